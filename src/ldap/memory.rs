//! What connections hold in memory for clients: requests that are not whole, answers that are not taken, searches that
//! are outstanding. One [`Budget`] for all connections, shared by account and by source.

use std::sync::Arc;

use crate::access::Identity;
use crate::config::Limits;
use crate::net::{self, Budget, MemoryHolder, MemoryHolders, Share};

use super::session::SessionPeer;

/// The memory that all connections of the LDAP door share (`connection_memory_max`).
#[derive(Clone, Debug)]
pub struct ConnectionMemory(Arc<Budget<MemoryHolder>>);

/// A buffer of one connection, as far as it counts.
pub(super) struct BufferMemory {
    share: Share<MemoryHolder>,
    /// Whether there was no room since that was asked last.
    has_lacked_room: bool,
}

impl ConnectionMemory {
    /// All of it is free.
    pub fn new(limits: &Limits) -> Self {
        Self(Budget::with_crowd(limits.connection_memory_max, Some(MemoryHolder::Strangers)))
    }

    /// Octets that are held now.
    #[cfg(test)]
    pub fn used(&self) -> u64 {
        self.0.used()
    }

    pub(super) fn buffer(&self, holders: MemoryHolders) -> BufferMemory {
        BufferMemory { share: self.0.share(holders), has_lacked_room: false }
    }

    /// For an operation that goes on; `None`: there is no room.
    pub(super) fn operation(&self, holders: MemoryHolders, octets: usize) -> Option<Share<MemoryHolder>> {
        let mut share = self.0.share(holders);
        share.set(octets as u64).then_some(share)
    }
}

/// Where answers go, and how much of them there may be before others have their turn. More than is not counted is written
/// where room for it was asked for and given; who gets none writes as much as needs none, so that what is answered comes to
/// its end for every client that takes it.
pub(super) struct Output<'a> {
    pub(super) octets: &'a mut Vec<u8>,
    memory: &'a mut BufferMemory,
    /// Enough is written when it has so many octets.
    end: usize,
}

impl<'a> Output<'a> {
    /// One batch more.
    pub(super) fn new(octets: &'a mut Vec<u8>, memory: &'a mut BufferMemory) -> Self {
        let end = octets.len() + BATCH_OCTETS;
        Self { octets, memory, end }
    }

    /// How many octets there are when enough is written.
    pub(super) fn enough(&mut self) -> usize {
        if self.memory.grow(self.end) { self.end } else { self.end.min(FREE_OCTETS) }
    }

    /// Whether enough is written.
    pub(super) fn is_enough(&mut self) -> bool {
        let length = self.octets.len();
        length >= self.end || length > FREE_OCTETS - SMALL_OCTETS && length >= self.enough()
    }

    /// Whether there is room for something of so many octets that is written at once.
    pub(super) fn has_room(&mut self, octets: usize) -> bool {
        let length = self.octets.len() + octets;
        length <= FREE_OCTETS || self.memory.grow(length.max(self.end))
    }
}

impl BufferMemory {
    /// Says whether a buffer may hold so many octets; a small one always may.
    pub(super) fn hold(&mut self, octets: usize) -> bool {
        self.share.set(counted(octets))
    }

    /// The same, without giving back what is held beyond that.
    pub(super) fn grow(&mut self, octets: usize) -> bool {
        let counted = counted(octets);
        let is_held = counted <= self.share.octets() || self.share.set(counted);
        self.has_lacked_room |= !is_held;
        is_held
    }

    /// Whether it could not grow since the last time that this was asked.
    pub(super) fn take_lack_of_room(&mut self) -> bool {
        std::mem::take(&mut self.has_lacked_room)
    }

    pub(super) fn rename(&mut self, holders: MemoryHolders) {
        self.share.rename(holders);
    }
}

/// The account that is bound, and where the client is.
pub(super) fn holders(identity: Option<&Identity>, peer: SessionPeer) -> MemoryHolders {
    let account = identity.map(|identity| identity.holder.account);
    MemoryHolder::all(account, peer.source, peer.is_loopback)
}

/// What counts of a buffer of so many octets.
fn counted(octets: usize) -> u64 {
    net::counted(octets, FREE_OCTETS)
}

/// Memory is counted by steps of so many octets; a buffer that is no larger is not counted: `connections_max` is its bound.
pub(super) const FREE_OCTETS: usize = 16 * 1024;
/// So many octets of answers in one turn, then others have theirs. One write takes about as many.
pub(super) const BATCH_OCTETS: usize = 64 * 1024;
/// What most entries have at most: for one no room is asked.
const SMALL_OCTETS: usize = 4 * 1024;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::access::{Credential, Holder as IdentityHolder};
    use crate::model::{AccountNumber, ProviderNumber};

    fn peer(source: &str) -> SessionPeer {
        SessionPeer { source: Some(source.parse().unwrap()), is_loopback: false, is_tls_at_proxy: false }
    }

    fn full(memory: &ConnectionMemory, holders: MemoryHolders) -> (BufferMemory, usize) {
        let mut buffer = memory.buffer(holders);
        let mut octets = 0;
        while buffer.hold(octets + FREE_OCTETS) {
            octets += FREE_OCTETS;
        }
        (buffer, octets)
    }

    #[test]
    fn strangers_and_a_network_leave_room_for_others() {
        const MAX: usize = 48 << 20;
        let memory =
            ConnectionMemory::new(&Limits { connection_memory_max: MAX as u64, ..Limits::default() });
        let hosts = |network: &'static str| {
            (0..200).map(move |host| holders(None, peer(&format!("{network}:{host:x}00::1"))))
        };
        let network: Vec<_> = hosts("2001:db8:1").map(|holders| full(&memory, holders)).collect();
        let used = memory.used() as usize;
        assert!((MAX / 7..=MAX / 6).contains(&used), "half of a third: {used}");
        let elsewhere = full(&memory, holders(None, peer("192.0.2.1")));
        assert!(elsewhere.1 > MAX / 14);
        let strangers: Vec<_> =
            (1..200).map(|host| full(&memory, holders(None, peer(&format!("198.51.100.{host}"))))).collect();
        let used = memory.used() as usize;
        assert!(used > MAX / 4 && used <= MAX / 3, "all strangers: {used}");
        let holder = IdentityHolder {
            account: AccountNumber::new(7),
            credential: Credential::Password { generation: 1 },
        };
        let identity = Identity { holder, provider: ProviderNumber::new(1) };
        let account = full(&memory, holders(Some(&identity), peer("198.51.100.1")));
        assert!(account.1 >= MAX / 4, "who is bound: {}", account.1);
        drop((network, elsewhere, strangers, account));
        assert_eq!(memory.used(), 0);
    }
}
