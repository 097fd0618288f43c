//! The TLS records of a client, below TLS: how many octets of them are taken at a time, how many were whole, and whether
//! they are good for anything.
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
    /// Records that were whole since [`Records::begin`], and what TLS 1.3 may have carried in them.
    whole: u64,
    carried: u64,
    /// Whether no more is read before the next [`Records::begin`], and whether more was wanted.
    is_enough: bool,
    is_held_back: bool,
    /// Octets of whole records beyond those that [`Records::brought`] was told of.
    vain: usize,
    /// What stood in these beyond a small record since the last octet of data: some pad all that they send.
    padding: usize,
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
            carried: 0,
            is_enough: false,
            is_held_back: false,
            vain: 0,
            padding: 0,
            unanswered: Some(0),
            is_answered: false,
        }
    }

    /// TLS is about to look at what there is.
    pub(super) fn begin(&mut self) {
        self.whole = 0;
        self.carried = 0;
        self.is_enough = false;
        self.is_held_back = false;
        self.is_answered = false;
    }

    /// Whether there may be more that nobody will tell of: whoever gets nothing out of what has come is to ask again, when
    /// others had their turn.
    pub(super) fn is_held_back(&self) -> bool {
        self.is_held_back
    }

    /// Whether a record was whole since [`Records::begin`].
    pub(super) fn is_whole(&self) -> bool {
        self.whole > 0
    }

    /// What the records since [`Records::begin`] have cost, in the unit in which work is counted.
    pub(super) fn work(&self) -> u64 {
        self.whole * WORK_OF_A_RECORD
    }

    /// The same where TLS 1.3 has got so many octets of data out of them. What a record is about is sealed, and it may be as
    /// long as its sender likes; but what is no data stands in records too, and so many of them may have exchanged a key.
    pub(super) fn work_of_data(&self, octets: u64) -> u64 {
        let others = self.carried.saturating_sub(octets).div_ceil(OCTETS_OF_A_KEY_UPDATE).min(self.whole);
        self.work() + others * WORK_OF_A_KEY
    }

    /// Whether something was written since [`Records::begin`].
    pub(super) fn is_answered(&self) -> bool {
        self.is_answered
    }

    /// From now on a client may say more than is answered.
    pub(super) fn shaken(&mut self) {
        self.unanswered = None;
        self.vain = 0;
        self.padding = 0;
    }

    /// What has come was good for so many octets: as much as if each had come in a record of its own is forgotten, and not
    /// all that came before.
    pub(super) fn brought(&mut self, octets: usize) {
        self.vain = self.vain.saturating_sub(octets.saturating_mul(OCTETS_OF_A_SMALL_RECORD));
        if octets > 0 {
            self.padding = 0;
        }
    }

    /// Whether so much has come for nothing that no client means it.
    pub(super) fn is_in_vain(&self) -> bool {
        self.vain + self.padding > VAIN_OCTETS_MAX
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
                self.carried += self.length.saturating_sub(OCTETS_OF_A_SEAL) as u64;
                self.is_enough = true;
                let octets = HEADER_OCTETS + self.length;
                self.vain += octets.min(OCTETS_OF_A_SMALL_RECORD);
                self.padding += octets.saturating_sub(OCTETS_OF_A_SMALL_RECORD);
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
/// What is read behind the end of a record at most: small records that come together cost up to 0.2 ms, also where each
/// exchanges the key.
const READ_OCTETS: usize = 512;
/// What a record costs, however little it carries: 0.4 to 1.4 microseconds.
const WORK_OF_A_RECORD: u64 = 20;
/// What it costs beyond that to exchange the key: 6 to 11 microseconds.
const WORK_OF_A_KEY: u64 = 180;
/// RFC 8446 sections 4 and 4.6.3: a KeyUpdate, which ends its record.
const OCTETS_OF_A_KEY_UPDATE: u64 = 5;
/// What each suite of TLS 1.3 adds to what a record carries: the kind of that, and a tag of 16 octets.
const OCTETS_OF_A_SEAL: usize = 17;
/// A record with one octet of data has 23 in TLS 1.3, and at most 30 in TLS 1.2.
const OCTETS_OF_A_SMALL_RECORD: usize = 32;
/// Octets of whole records that may have brought nothing, behind the handshake, beyond what the others were good for.
/// No limit of the config: an exchange of keys has 27, and no client has more to say without saying something.
const VAIN_OCTETS_MAX: usize = 8 * 1024;
/// Octets of a handshake that a client may send before it is answered.
/// No limit of the config: a first message with a ticket and keys for times to come has some 2 KiB, one with a client's
/// certificates no more than [`CHAIN_OCTETS_MAX`](super::client_chain::CHAIN_OCTETS_MAX) and a signature. As little as
/// a buffer that is not counted: `connections_max` bounds how often.
const FLIGHT_OCTETS_MAX: usize = 16 * 1024;
