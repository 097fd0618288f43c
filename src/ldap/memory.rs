//! What connections hold in memory for clients: requests that are not whole, answers that are not taken, searches that
//! are outstanding. One [`Budget`] for all connections, shared by account and by source.

use std::sync::Arc;

use crate::access::Identity;
use crate::config::Limits;
use crate::model::AccountNumber;
use crate::net::ClientSource;
use crate::net::{Budget, Share};

use super::session::SessionPeer;

/// In whose name memory is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Holder {
    Account(AccountNumber),
    Source(ClientSource),
}

/// The memory that all connections of the LDAP door share (`connection_memory_max`).
#[derive(Clone, Debug)]
pub struct ConnectionMemory(Arc<Budget<Holder>>);

/// A buffer of one connection, as far as it counts.
pub(super) struct BufferMemory {
    share: Share<Holder>,
}

impl ConnectionMemory {
    /// All of it is free.
    pub fn new(limits: &Limits) -> Self {
        Self(Budget::new(limits.connection_memory_max))
    }

    /// Octets that are held now.
    #[cfg(test)]
    pub fn used(&self) -> u64 {
        self.0.used()
    }

    pub(super) fn buffer(&self, holders: Holders) -> BufferMemory {
        BufferMemory { share: self.0.share(holders) }
    }

    /// For an operation that goes on; `None`: there is no room.
    pub(super) fn operation(&self, holders: Holders, octets: usize) -> Option<Share<Holder>> {
        let mut share = self.0.share(holders);
        share.set(octets as u64).then_some(share)
    }
}

impl BufferMemory {
    /// Says whether a buffer may hold so many octets; a small one always may.
    pub(super) fn hold(&mut self, octets: usize) -> bool {
        let counted = if octets <= FREE_OCTETS { 0 } else { octets.next_multiple_of(STEP_OCTETS) };
        self.share.set(counted as u64)
    }

    pub(super) fn rename(&mut self, holders: Holders) {
        self.share.rename(holders);
    }
}

/// The account that is bound, and where the client is. Clients on this machine may be a proxy's, whose accounts are told
/// apart and whose strangers are not.
pub(super) fn holders(identity: Option<&Identity>, peer: SessionPeer) -> Holders {
    let account = identity.map(|identity| Holder::Account(identity.holder.account));
    let is_here = peer.is_loopback || peer.source.is_none();
    let source = (account.is_none() || !is_here).then(|| Holder::Source(ClientSource::from(peer.source)));
    [account, source]
}

pub(super) type Holders = [Option<Holder>; 2];

/// A buffer that is no larger is not counted: `connections_max` is its bound.
pub(super) const FREE_OCTETS: usize = 16 * 1024;
/// A buffer that grows is counted by steps, so that the lock is taken seldom.
const STEP_OCTETS: usize = 16 * 1024;
