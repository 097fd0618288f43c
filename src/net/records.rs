//! The TLS records of a client, below TLS: how many octets of them are taken at a time, and what those cost that carry
//! little or nothing.
//!
//! TLS looks at all that has come until there is something for whoever reads: records that bring nothing (RFC 8446
//! sections 4.6.3, 5.1 and 5.4) would have a network thread for as long as they come. Here a record that was read whole
//! ends what is read in one go. How long records are stands in clear before each (section 5.1), so nothing else is asked.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::listener::Stream;

/// A stream under TLS.
#[derive(Debug)]
pub struct Records {
    stream: Stream,
    /// How many octets of the header of a record have come, and the length that they have told so far.
    header: usize,
    length: usize,
    /// Octets that the record still lacks behind its header.
    missing: usize,
    /// Records that were whole since [`Records::begin`].
    whole: u64,
    /// Whether no more is read before the next [`Records::begin`], and whether more was wanted.
    is_enough: bool,
    is_held_back: bool,
    /// Octets of whole records since [`Records::forget`].
    vain: usize,
    /// Octets since something was written, up to the end of the handshake.
    unanswered: Option<usize>,
    is_answered: bool,
}

impl Records {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            header: 0,
            length: 0,
            missing: 0,
            whole: 0,
            is_enough: false,
            is_held_back: false,
            vain: 0,
            unanswered: Some(0),
            is_answered: false,
        }
    }

    /// TLS is about to look at what there is.
    pub(super) fn begin(&mut self) {
        self.whole = 0;
        self.is_enough = false;
        self.is_held_back = false;
        self.is_answered = false;
    }

    /// Whether there may be more that nobody will tell of: whoever gets nothing out of what has come is to ask again, when
    /// others had their turn.
    pub(super) fn is_held_back(&self) -> bool {
        self.is_held_back
    }

    /// What has come since [`Records::begin`] has cost, in the unit in which work is counted.
    pub(super) fn work(&self) -> u64 {
        self.whole * WORK_OF_A_RECORD
    }

    /// Whether something was written since [`Records::begin`].
    pub(super) fn is_answered(&self) -> bool {
        self.is_answered
    }

    /// From now on a client may say more than is answered.
    pub(super) fn shaken(&mut self) {
        self.unanswered = None;
        self.vain = 0;
    }

    /// What has come was good for something.
    pub(super) fn forget(&mut self) {
        self.vain = 0;
    }

    /// Whether so much has come for nothing that no client means it.
    pub(super) fn is_in_vain(&self) -> bool {
        self.vain > VAIN_OCTETS_MAX
    }

    fn note(&mut self, octets: &[u8]) {
        let mut rest = octets;
        while let Some((octet, behind)) = rest.split_first() {
            if self.missing > 0 {
                let of_record = self.missing.min(rest.len());
                self.missing -= of_record;
                rest = rest.get(of_record..).unwrap_or_default();
            } else {
                self.header += 1;
                // The length stands last.
                self.length = (self.length << 8 | usize::from(*octet)) & 0xffff;
                rest = behind;
                if self.header < HEADER_OCTETS {
                    continue;
                }
                self.header = 0;
                self.missing = self.length;
            }
            if self.missing == 0 {
                self.whole += 1;
                self.is_enough = true;
                self.vain += HEADER_OCTETS + self.length;
            }
        }
        if let Some(unanswered) = &mut self.unanswered {
            *unanswered += octets.len();
        }
    }
}

impl AsyncRead for Records {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.is_enough {
            // Whoever has begun comes again.
            this.is_held_back = true;
            return Poll::Pending;
        }
        if this.unanswered.is_some_and(|octets| octets > FLIGHT_OCTETS_MAX) {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, TOO_LONG)));
        }
        let octets_max = buffer.remaining().min(this.missing + READ_OCTETS);
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(octets_max));
        ready!(Pin::new(&mut this.stream).poll_read(context, &mut part))?;
        this.note(part.filled());
        let octets = part.filled().len();
        buffer.advance(octets);
        Poll::Ready(Ok(()))
    }
}

impl Records {
    fn answer(&mut self) -> Pin<&mut Stream> {
        self.is_answered = true;
        if let Some(unanswered) = &mut self.unanswered {
            *unanswered = 0;
            self.is_enough = false;
        }
        Pin::new(&mut self.stream)
    }
}

impl AsyncWrite for Records {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().answer().poll_write(context, octets)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().answer().poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

const TOO_LONG: &str = "what the client says of the handshake is longer than any handshake: let it \
     send only the certificates that lead from its own to the authority";
/// RFC 8446 section 5.1.
const HEADER_OCTETS: usize = 5;
/// What is read behind the end of a record at most: small records that come together cost up to 0.2 ms.
const READ_OCTETS: usize = 4 * 1024;
/// What a record costs, however little it carries: some 0.4 microseconds, and 1.2 where it exchanges the key.
const WORK_OF_A_RECORD: u64 = 20;
/// Octets of whole records that may have brought nothing since the last one that has, behind the handshake.
/// No limit of the config: an exchange of keys has 27, and no client has more to say without saying something.
const VAIN_OCTETS_MAX: usize = 8 * 1024;
/// Octets of a handshake that a client may send before it is answered.
/// No limit of the config: a first message with a ticket and keys for times to come has some 2 KiB, one with a client's
/// certificates no more than [`CHAIN_OCTETS_MAX`](super::client_chain::CHAIN_OCTETS_MAX) and a signature. As little as
/// a buffer that is not counted: `connections_max` bounds how often.
const FLIGHT_OCTETS_MAX: usize = 16 * 1024;
