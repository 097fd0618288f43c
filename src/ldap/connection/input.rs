//! What a client has sent and nobody has taken yet, and whether more can come.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::Instant;

use crate::ldap::frame;
use crate::ldap::memory::{self, BufferMemory};
use crate::net::MemoryHolders;

/// The unread octets of a connection.
pub(super) struct Input {
    buffer: Vec<u8>,
    /// How many at the front of it were taken.
    taken: usize,
    memory: BufferMemory,
    /// How much the next read takes.
    read_octets: usize,
    /// What the buffer may grow to.
    room: usize,
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
        Self {
            buffer: Vec::new(),
            taken: 0,
            memory,
            read_octets: FIRST_READ_OCTETS,
            room: FIRST_READ_OCTETS,
            end: None,
        }
    }

    /// What was not taken yet.
    pub(super) fn octets(&self) -> &[u8] {
        self.buffer.get(self.taken..).unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.octets().is_empty()
    }

    /// What the buffer takes of memory, however little is in it.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// So many octets at the front were taken. Of a large buffer with little left in it that is put into a small one.
    pub(super) fn advance(&mut self, octets: usize) {
        self.taken = (self.taken + octets).min(self.buffer.len());
        let rest = self.octets();
        if rest.is_empty() {
            self.buffer.clear();
            self.taken = 0;
        } else if self.buffer.capacity() > KEPT_OCTETS && rest.len() <= self.buffer.capacity() / 4 {
            self.buffer = rest.to_vec();
            self.taken = 0;
            // Less always fits.
            let _ = self.memory.hold(self.buffer.capacity());
        }
    }

    pub(super) fn rename(&mut self, holders: MemoryHolders) {
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
        self.grow();
        if stream.read_buf(&mut self.buffer).await? == 0 {
            self.end = Some(End { patience: half_close_time, deadline: Instant::now() + half_close_time });
        }
        if self.buffer.len() == self.buffer.capacity() {
            self.read_octets = (self.read_octets * 4).min(READ_OCTETS);
        }
        Ok(())
    }

    /// Grows to what is held, when there is little room left for a read.
    fn grow(&mut self) {
        if self.buffer.capacity() - self.buffer.len() >= self.read_octets / 4 {
            return;
        }
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.buffer.reserve_exact(self.room.saturating_sub(self.buffer.len()).max(1));
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
        self.end.is_none() && self.octets().len() < announced && self.hold_for(announced)
    }

    /// Gives back what an idle connection need not hold. It is empty when this is called.
    pub(super) fn release(&mut self) {
        if self.buffer.capacity() > KEPT_OCTETS {
            self.buffer = Vec::new();
        }
        // Nothing always fits.
        let _ = self.memory.hold(0);
    }

    /// Octets of the message that comes next, or of one read where that is more.
    fn announced(&self, message_size_max: usize) -> usize {
        frame::announced(self.octets(), message_size_max).ok().flatten().unwrap_or(0).max(READ_OCTETS)
    }

    /// Holds what the buffer takes, and will take with one read more. A message that is announced and not sent takes no
    /// room: the buffer grows to twice of what was sent, or where there is no room for that by one read, and to no more than
    /// the message.
    fn hold_for(&mut self, announced: usize) -> bool {
        let (length, capacity) = (self.octets().len(), self.buffer.capacity());
        let room_for = |octets: usize| octets.min(announced).max(length + 1);
        let mut rooms = [2 * length, length].map(|octets| room_for(octets.max(length + self.read_octets)));
        if capacity - self.buffer.len() >= self.read_octets / 4 {
            rooms = [capacity; 2];
        }
        let held = rooms.into_iter().find(|room| self.memory.hold(capacity.max(*room)));
        self.room = held.unwrap_or(self.room);
        held.is_some()
    }
}

/// What a connection begins with: requests are smaller. One that fills it has a larger buffer for the next read.
const FIRST_READ_OCTETS: usize = 512;
/// One read takes at most so much at a time.
pub(super) const READ_OCTETS: usize = 16 * 1024;
/// A buffer that has grown beyond this is given back when the connection falls silent.
pub(super) const KEPT_OCTETS: usize = memory::FREE_OCTETS;
