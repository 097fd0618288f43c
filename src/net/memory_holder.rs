//! In whose name memory is held for a client, at both doors.

use std::net::IpAddr;

use super::budget::HOLDERS_MAX;
use super::source::ClientSource;
use crate::model::AccountNumber;

/// In whose name memory is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MemoryHolder {
    Account(AccountNumber),
    Source(ClientSource),
    /// All sources of an IPv6 network of 48 bits.
    Network(ClientSource),
    /// All who are nobody.
    Strangers,
}

/// All names of one client.
pub type MemoryHolders = [Option<MemoryHolder>; HOLDERS_MAX];

impl MemoryHolder {
    /// The account that asks, and where it is. Clients on this machine (`is_here`) may be a proxy's, whose accounts are told apart
    /// and whose strangers are not.
    pub fn all(account: Option<AccountNumber>, address: Option<IpAddr>, is_here: bool) -> MemoryHolders {
        let is_here = is_here || address.is_none();
        let source = (account.is_none() || !is_here).then(|| ClientSource::from(address));
        let network = source.and_then(ClientSource::widest_network).map(Self::Network);
        let strangers = account.is_none().then_some(Self::Strangers);
        [account.map(Self::Account), source.map(Self::Source), network, strangers]
    }
}
