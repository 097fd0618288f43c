//! Addresses where an application is at home that binds as people: an account is bound from there that sees the whole
//! directory, as one does that searches for a person and then tries their password. Wrong passwords of many people come
//! from such an address every day, so the throttle allows it more.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Registry;
use super::authenticate::Trial;
use crate::access::{Entitlements, Identity, sees_all};
use crate::config::Limit;
use crate::directory::Snapshot;
use crate::model::ProviderNumber;
use crate::net::ClientSource;

/// Who is bound where, of those who saw all when they bound.
pub(super) struct ApplicationAddresses {
    addresses: Mutex<HashMap<Address, Vec<Bound>>>,
    addresses_max: usize,
    /// So long after its last bind an account counts as bound: a connection that an application uses for both is
    /// nobody's while a person is tried.
    kept: Duration,
}

type Address = (ClientSource, ProviderNumber);

#[derive(Clone)]
struct Bound {
    identity: Identity,
    source: Option<IpAddr>,
    /// The connections that are bound so now.
    connections: u32,
    /// The last bind, since the start.
    last: Duration,
    /// What its groups and its application have made of it.
    entitlements: Arc<Mutex<Entitlements>>,
}

/// A connection whose account sees the whole directory; the address is known by it until it is dropped.
pub struct BoundApplication {
    addresses: Arc<ApplicationAddresses>,
    address: Address,
    identity: Identity,
}

impl Drop for BoundApplication {
    fn drop(&mut self) {
        let mut addresses = self.addresses.lock();
        let bound = addresses.get_mut(&self.address).into_iter().flatten();
        if let Some(bound) = bound.into_iter().find(|bound| bound.identity.is_same(&self.identity)) {
            bound.connections = bound.connections.saturating_sub(1);
        }
    }
}

impl BoundApplication {
    /// What has become of the identity of the connection: a certificate may have been withdrawn, or stand for the account
    /// again. What else may end an identity is asked of the directory.
    pub fn review(&mut self, identity: &Identity) {
        if self.identity == *identity {
            return;
        }
        self.identity = *identity;
        let mut addresses = self.addresses.lock();
        let bound = addresses.get_mut(&self.address).into_iter().flatten();
        if let Some(bound) = bound.into_iter().find(|bound| bound.identity.is_same(identity)) {
            bound.identity = *identity;
        }
    }
}

impl ApplicationAddresses {
    pub(super) fn new(addresses_max: usize, kept: Duration) -> Self {
        Self { addresses: Mutex::default(), addresses_max, kept }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Address, Vec<Bound>>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn holds(&self, bound: &Bound, now: Duration) -> bool {
        bound.connections > 0 || now.saturating_sub(bound.last) < self.kept
    }

    /// Says whether there was room for it.
    fn add(&self, address: Address, identity: Identity, source: Option<IpAddr>, now: Duration) -> bool {
        let mut addresses = self.lock();
        if addresses.len() >= self.addresses_max && !addresses.contains_key(&address) {
            addresses.retain(|_, there| there.iter().any(|bound| self.holds(bound, now)));
            if addresses.len() >= self.addresses_max {
                return false;
            }
        }
        let there = addresses.entry(address).or_default();
        if let Some(bound) = there.iter_mut().find(|bound| bound.identity.is_same(&identity)) {
            let connections = bound.connections.saturating_add(1);
            (bound.identity, bound.connections, bound.last, bound.source) =
                (identity, connections, now, source);
            return true;
        }
        if there.len() >= ACCOUNTS_MAX {
            // One of them is enough to know the address by.
            there.retain(|bound| self.holds(bound, now));
        }
        let has_room = there.len() < ACCOUNTS_MAX;
        if has_room {
            there.push(Bound { identity, source, connections: 1, last: now, entitlements: Arc::default() });
        }
        has_room
    }

    fn at(&self, address: &Address, now: Duration) -> Vec<Bound> {
        let addresses = self.lock();
        addresses.get(address).into_iter().flatten().filter(|bound| self.holds(bound, now)).cloned().collect()
    }
}

impl Registry {
    /// Notes that a connection is bound as `identity`, if that sees the whole directory of its provider.
    pub fn note_bound(
        &self,
        identity: &Identity,
        snapshot: &Snapshot,
        trial: Trial,
        entitlements: &mut Entitlements,
    ) -> Option<BoundApplication> {
        if !sees_all(snapshot, identity, trial.source, trial.now, entitlements) {
            return None;
        }
        let address = (ClientSource::from(trial.source), identity.provider);
        if !self.applications.add(address, *identity, trial.source, self.since_start(trial.instant)) {
            self.reached().note(Limit::throttle_entries_max);
            return None;
        }
        let addresses = Arc::clone(&self.applications);
        Some(BoundApplication { addresses, address, identity: *identity })
    }

    /// Whether an application is at home there that binds as people of this provider: rights are asked anew, for which
    /// little is done as long as the directory stays as it is. `entitlements`: those of who is tried, where it is counted.
    pub(crate) fn is_application(
        &self,
        provider: ProviderNumber,
        snapshot: &Snapshot,
        trial: Trial,
        entitlements: &mut Entitlements,
    ) -> bool {
        let address = (ClientSource::from(trial.source), provider);
        let there = self.applications.at(&address, self.since_start(trial.instant));
        there.iter().any(|bound| {
            // Nothing that holds the lock can leave it half changed.
            let mut own = bound.entitlements.lock().unwrap_or_else(PoisonError::into_inner);
            let sees_all = sees_all(snapshot, &bound.identity, bound.source, trial.now, &mut own);
            entitlements.add_work(1 + own.take_work());
            sees_all
        })
    }
}

/// Accounts that an address is known by, for one provider.
/// No limit of the config: an address of more accounts is known all the same; `throttle_entries_max` bounds the
/// addresses.
const ACCOUNTS_MAX: usize = 16;
