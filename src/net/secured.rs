//! A stream under TLS, of whatever protocol: what its records cost is counted for the source of the client, and one whose
//! records carry nothing ends.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use rustls::ProtocolVersion;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};
use tokio_rustls::server::TlsStream;

use super::records::Records;
use super::turns::{SourceTurns, work_of_time};

/// A stream whose handshake is done.
#[derive(Debug)]
pub struct Secured {
    stream: TlsStream<Records>,
    turns: Arc<SourceTurns>,
    /// What its records have cost beyond what they have brought.
    owed: u64,
    /// Octets of data that TLS has, and nobody has read yet.
    unread: u64,
    clock: fn() -> Instant,
    /// Until when others have their turns; made behind many small records only.
    rest: Option<Pin<Box<Sleep>>>,
}

impl Secured {
    pub(super) fn new(mut stream: TlsStream<Records>, turns: Arc<SourceTurns>) -> Self {
        let (records, _) = stream.get_mut();
        records.shaken();
        let unread = unread(&mut stream);
        Self { stream, turns, owed: 0, unread, clock: Instant::now, rest: None }
    }

    /// What the client has shown in the handshake, or in the one that began the session which it has resumed.
    pub fn peer_certificates(&self) -> Option<&[CertificateDer<'static>]> {
        self.stream.get_ref().1.peer_certificates()
    }

    /// What was read in one go has cost, of which so many octets went to whoever reads.
    fn work_of_reading(&mut self, brought: u64, begun: Instant) -> u64 {
        let before = self.unread;
        if !self.stream.get_ref().0.is_whole() {
            self.unread = before.saturating_sub(brought);
            return 0;
        }
        self.unread = unread(&mut self.stream);
        let (records, connection) = self.stream.get_ref();
        let counted = match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => {
                records.work_of_data((self.unread + brought).saturating_sub(before))
            }
            _ => records.work(),
        };
        work_of_time(counted, (self.clock)().saturating_duration_since(begun))
    }
}

/// Octets of data that TLS has and gives to whoever reads next; where it has failed that is none.
fn unread(stream: &mut TlsStream<Records>) -> u64 {
    stream.get_mut().1.process_new_packets().map_or(0, |state| state.plaintext_bytes_to_read() as u64)
}

impl AsyncRead for Secured {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(rest) = &mut this.rest {
            ready!(rest.as_mut().poll(context));
            this.rest = None;
        }
        let before = buffer.filled().len();
        this.stream.get_mut().0.begin();
        let begun = (this.clock)();
        let polled = Pin::new(&mut this.stream).poll_read(context, buffer);
        let brought = buffer.filled().len() - before;
        let work = this.work_of_reading(brought as u64, begun);
        this.owed = (this.owed + work).saturating_sub(PAID_FOR_MAX.min(brought as u64));
        if let Some(rest) = this.turns.note_read(this.owed) {
            this.owed = 0;
            this.rest = Some(Box::pin(sleep(rest)));
        }
        let records = this.stream.get_mut().0;
        records.brought(brought);
        if polled.is_ready() {
            return polled;
        }
        if records.is_in_vain() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, IN_VAIN)));
        }
        // What has come meanwhile is looked at behind the rest.
        let rests = this.rest.as_mut().is_some_and(|rest| rest.as_mut().poll(context).is_pending());
        if records.is_held_back() && !rests {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl AsyncWrite for Secured {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, octets)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, slices)
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

/// An octet that is brought pays for a unit of work, as far as so many records cost that bring requests: many that bring
/// nothing are not paid for by a large one.
/// No limit of the config: it belongs to what a record costs, which is measured.
const PAID_FOR_MAX: u64 = 1_000;
const IN_VAIN: &str = "the client has sent records of TLS that carry nothing, and nothing else";

#[cfg(test)]
mod tests;
