//! What a client has sent and nobody has taken yet, and whether more can come.

use std::io;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::Instant;

use crate::ldap::frame;
use crate::ldap::memory::{self, BufferMemory, Holders};

/// The unread octets of a connection.
pub(super) struct Input {
    pub(super) octets: BytesMut,
    memory: BufferMemory,
    /// How much the next read takes.
    read_octets: usize,
    end: Option<End>,
}

/// The client has closed its side: nothing more comes, but it may wait for its answers.
#[derive(Clone, Copy, Debug)]
struct End {
    patience: Duration,
    /// Until then it is worked for; renewed when it takes something.
    deadline: Instant,
}

impl Input {
    /// Nothing yet.
    pub(super) fn new(memory: BufferMemory) -> Self {
        Self { octets: BytesMut::new(), memory, read_octets: FIRST_READ_OCTETS, end: None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// So many octets at the front were taken.
    pub(super) fn advance(&mut self, octets: usize) {
        self.octets.advance(octets);
    }

    pub(super) fn rename(&mut self, holders: Holders) {
        self.memory.rename(holders);
    }

    /// Whether the client has closed its side.
    pub(super) fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// Comes when a client that has closed its side was worked for long enough: a close looks like this too, until an
    /// answer is refused.
    pub(super) fn patience_is_over(&self) -> impl Future<Output = ()> + use<> {
        let deadline = self.end.map(|end| end.deadline);
        async move {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        }
    }

    /// The client was sent something. If it is gone, the operating system will say so at the next answer.
    pub(super) fn note_answered(&mut self) {
        if let Some(end) = &mut self.end {
            end.deadline = Instant::now() + end.patience;
        }
    }

    /// Waits for octets, or for the client to close its side; then it is waited for so long.
    pub(super) async fn read<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        half_close_time: Duration,
    ) -> io::Result<()> {
        // Never for more than has been sent, but a read at a time; thousands that are silent hold next to nothing.
        if self.octets.capacity() - self.octets.len() < self.read_octets / 4 {
            self.octets.reserve(self.read_octets);
        }
        if stream.read_buf(&mut self.octets).await? == 0 {
            self.end = Some(End { patience: half_close_time, deadline: Instant::now() + half_close_time });
        }
        if self.octets.len() == self.octets.capacity() {
            self.read_octets = (self.read_octets * 4).min(READ_OCTETS);
        }
        Ok(())
    }

    /// Holds the memory for one read more of the next message; says whether there was room.
    pub(super) fn hold(&mut self, message_size_max: usize) -> bool {
        let announced = self.announced(message_size_max);
        self.hold_for(announced)
    }

    /// Whether more is read while something is done for the client. One that sends faster than it is served is held back
    /// by its own unread octets; but the message that comes next is read to its end, for it may be an abandon, or a small
    /// search beside a large one.
    pub(super) fn may_read(&mut self, message_size_max: usize) -> bool {
        let announced = self.announced(message_size_max);
        self.end.is_none() && self.octets.len() < announced && self.hold_for(announced)
    }

    /// Gives back what an idle connection need not hold. It is empty when this is called.
    pub(super) fn release(&mut self) {
        // Nothing always fits.
        let _ = self.memory.hold(0);
        // Its capacity does not count what was taken from the front; what can be reclaimed does.
        if self.octets.try_reclaim(KEPT_OCTETS + 1) {
            self.octets = BytesMut::new();
        }
    }

    /// Octets of the message that comes next, or of one read where that is more.
    fn announced(&self, message_size_max: usize) -> usize {
        frame::announced(&self.octets, message_size_max).ok().flatten().unwrap_or(0).max(READ_OCTETS)
    }

    /// A message that is announced and not sent takes no room.
    fn hold_for(&mut self, announced: usize) -> bool {
        let length = self.octets.len();
        self.memory.hold((length + READ_OCTETS).min(announced).max(length))
    }
}

/// What a connection begins with: requests are smaller. One that fills it has a larger buffer for the next read.
const FIRST_READ_OCTETS: usize = 512;
/// One read takes at most so much at a time.
pub(super) const READ_OCTETS: usize = 16 * 1024;
/// A buffer that has grown beyond this is given back when the connection falls silent.
pub(super) const KEPT_OCTETS: usize = memory::FREE_OCTETS;
