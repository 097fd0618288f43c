//! How many connections there may be: in all, from one source, and before they have authenticated; and who makes room
//! when there are more.
//!
//! One lock, taken when a connection opens, authenticates and closes; no other request touches it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::peer::PeerAddress;
use super::places::{CLEARLY_MORE, Holder, Place, Places};
use super::presence::{Presence, micros};
use super::refused::{ConnectionRefused, LimitsOf};
use super::source::ClientSource;
use crate::model::AccountNumber;

/// Counts the open connections and says whether one more may open.
#[derive(Debug)]
pub struct ConnectionLimits {
    started: Instant,
    state: Mutex<State>,
    /// Told of each header that is awaited no more.
    header_came: Notify,
}

/// The limits by their names in the config.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimitSettings {
    /// Open connections in all (connections).
    pub connections_max: u32,
    /// Open connections from one IPv4 address or one IPv6 network of 64 bits (connections).
    ///
    /// Peers on this machine are not counted: a proxy here would make one source of all its clients.
    pub connections_by_source_max: u32,
    /// Open connections that have not authenticated yet (connections). What lies between this and
    /// `connections_max` is out of reach for who has no secret.
    pub connections_before_bind_max: u32,
    /// Those of them that may come from one IPv4 address or one IPv6 network of 64 bits (connections), so that no
    /// stranger alone shuts all others out.
    pub connections_before_bind_by_source_max: u32,
    /// Places beside those (connections), for peers on this machine.
    pub connections_reserved: u32,
    /// Connections that may be on their way out to make room (connections): each keeps its descriptor until it has gone.
    pub connections_leaving_max: u32,
    /// Proxies' connections whose header may still be to come (connections), beside all places: nobody else's is theirs.
    pub proxy_headers_awaited_max: u32,
    /// Whose limits they are. Those of HTTP let others have such a place too where nobody makes room, for what is asked in few
    /// words.
    pub of: LimitsOf,
}

/// What is open now (connections).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// Open in all.
    pub open: u32,
    /// Open and not authenticated yet.
    pub before_bind: u32,
    /// Open, and with a client that is silent.
    pub silent: usize,
    /// Open still, though their place is somebody else's.
    pub leaving: u32,
    /// Open, and it is still to come whose they are; counted nowhere else.
    pub awaited: u32,
    /// Asked to make room for others since the start.
    pub made_room: u64,
    /// Different sources that have a connection open, without this machine.
    pub sources: usize,
}

impl ConnectionLimits {
    /// Nothing is open yet.
    pub fn new(settings: ConnectionLimitSettings) -> Arc<Self> {
        let state = State {
            settings,
            places: Places::default(),
            sources: HashMap::new(),
            counts: ConnectionCounts::default(),
            lacks_exit: false,
        };
        Arc::new(Self { started: Instant::now(), state: Mutex::new(state), header_came: Notify::new() })
    }

    /// Admits one connection, which counts as not authenticated until [`Permit::bound_as`]. Where there are too many, one
    /// that is silent makes room if it can be had.
    ///
    /// # Errors
    /// The limit that it would exceed.
    pub fn admit(self: &Arc<Self>, address: &PeerAddress) -> Result<Permit, ConnectionRefused> {
        match address.source_elsewhere() {
            Some(source) => self.admit_holder(Holder::Source(source)),
            None => self.admit_holder(Holder::Here),
        }
    }

    /// Counts one whose source is not known yet: a proxy's, whose header is still to come. It takes a place when that has
    /// come. Where too many are waited for, the one that was for the longest makes room, if that was long enough.
    ///
    /// # Errors
    /// The limit that it would exceed: [`ConnectionRefused::Awaited`] if none was waited for long enough.
    pub fn admit_unknown(self: &Arc<Self>) -> Result<Permit, ConnectionRefused> {
        self.admit_holder(Holder::Unknown)
    }

    /// Waits until a header that was awaited has come, or its connection has ended. Of several who wait, one hears of it.
    pub async fn header_came(&self) {
        self.header_came.notified().await;
    }

    fn admit_holder(self: &Arc<Self>, holder: Holder) -> Result<Permit, ConnectionRefused> {
        let presence = Arc::new(Presence::new(self.started));
        let (number, is_reserved) = self.state().admit(holder, &presence, micros(self.started))?;
        Ok(Permit { limits: Arc::clone(self), number, presence, holder, origin: holder, is_reserved })
    }

    /// Puts other limits in force. Connections that are open stay open, whatever the limits say.
    pub fn change(&self, settings: ConnectionLimitSettings) {
        self.state().settings = settings;
    }

    #[cfg(test)]
    pub fn counts(&self) -> ConnectionCounts {
        let state = self.state();
        ConnectionCounts { sources: state.sources.len(), silent: state.places.silent(), ..state.counts }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The share of one open connection; it is given back when dropped.
#[derive(Debug)]
#[must_use = "the connection stops counting when its permit is dropped"]
pub struct Permit {
    limits: Arc<ConnectionLimits>,
    number: u64,
    presence: Arc<Presence>,
    holder: Holder,
    /// Who held it before a bind.
    origin: Holder,
    is_reserved: bool,
}

impl Permit {
    /// Takes a place for a connection that was admitted without a source, as one of the source that a proxy has named. One
    /// that says that it is this machine is a source like others.
    ///
    /// # Errors
    /// The limit that it would exceed.
    pub fn came_from(&mut self, address: &PeerAddress) -> Result<(), ConnectionRefused> {
        let Some(ip) = address.ip() else { return Ok(()) };
        let source = ClientSource::from(Some(ip));
        self.is_reserved = self.limits.state().claim(self.number, source, micros(self.limits.started))?;
        self.limits.header_came.notify_one();
        self.holder = Holder::Source(source);
        self.origin = self.holder;
        Ok(())
    }

    /// Gives back the share of those who have not authenticated, and counts it for an account from now on.
    ///
    /// It is not taken again when the connection becomes anonymous: who has come this far holds a secret.
    pub fn bound_as(&mut self, account: AccountNumber) {
        self.hand_over(Holder::Account(account));
    }

    /// Takes a share of those who have not authenticated again, for one whose secret holds no more.
    pub fn bound_as_nobody(&mut self) {
        self.hand_over(self.origin);
    }

    fn hand_over(&mut self, holder: Holder) {
        if self.holder != holder {
            let before = std::mem::replace(&mut self.holder, holder);
            self.limits.state().hand_over(self.number, before, holder);
        }
    }

    /// What the connection says about its client, and is told about making room.
    pub fn presence(&self) -> &Arc<Presence> {
        &self.presence
    }

    /// Whether it has one of the places that are set aside.
    pub fn is_reserved(&self) -> bool {
        self.is_reserved
    }

    /// Whether it has such a place though it does not come from this machine.
    pub fn is_for_few_words(&self) -> bool {
        self.is_reserved && self.holder != Holder::Here
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.limits.state().release(self.number);
        if self.holder == Holder::Unknown {
            self.limits.header_came.notify_one();
        }
    }
}

#[derive(Debug)]
struct State {
    settings: ConnectionLimitSettings,
    places: Places,
    /// Only sources with an open connection, so no larger than `connections_max`. Keyed hash:
    /// the addresses are chosen by strangers.
    sources: HashMap<ClientSource, OfSource>,
    counts: ConnectionCounts,
    /// Whether somebody would have made room, had not too many been on their way out.
    lacks_exit: bool,
}

/// What one source has open.
#[derive(Clone, Copy, Debug, Default)]
struct OfSource {
    open: u32,
    before_bind: u32,
}

impl State {
    /// The number of a place, and whether it is one that is set aside.
    fn admit(
        &mut self,
        holder: Holder,
        presence: &Arc<Presence>,
        now: u64,
    ) -> Result<(u64, bool), ConnectionRefused> {
        self.lacks_exit = false;
        if holder == Holder::Unknown {
            self.find_awaited(now).map_err(|refused| self.said_exactly(refused))?;
            self.counts.awaited += 1;
            return Ok((self.places.take(holder, None, Arc::clone(presence), now), false));
        }
        let is_reserved = self.find_place(holder, now).map_err(|refused| self.said_exactly(refused))?;
        self.count(holder.source());
        Ok((self.places.take(holder, holder.source(), Arc::clone(presence), now), is_reserved))
    }

    /// Looks whether one more header may be waited for.
    fn find_awaited(&mut self, now: u64) -> Result<(), ConnectionRefused> {
        let limit = self.settings.proxy_headers_awaited_max;
        let refused = ConnectionRefused::Awaited { limit };
        if self.counts.awaited < limit {
            return Ok(());
        }
        let longest = self.places.first_unknown().filter(|(_, since)| now >= since + HEADER_TIME_MIN);
        let has_room = self.ask_to_leave(longest.map(|(number, _)| number), refused);
        if has_room { Ok(()) } else { Err(refused) }
    }

    /// The limit that keeps somebody out: that on those who leave, where one would have.
    fn said_exactly(&self, refused: ConnectionRefused) -> ConnectionRefused {
        if self.lacks_exit {
            ConnectionRefused::Leaving { limit: self.settings.connections_leaving_max }
        } else {
            refused
        }
    }

    /// Looks for a place before a bind; says whether it is one that is set aside.
    fn find_place(&mut self, holder: Holder, now: u64) -> Result<bool, ConnectionRefused> {
        let ConnectionLimitSettings { connections_max, connections_before_bind_max, of, .. } = self.settings;
        // The source first: the refusals of one greedy client are not those of a full server.
        if let Some(source) = holder.source() {
            self.admit_from(source, now)?;
        }
        let set_aside = self.settings.connections_reserved;
        let own = if holder == Holder::Here { set_aside } else { 0 };
        let full = ConnectionRefused::Connections { limit: connections_max, of };
        let before_bind = match of {
            LimitsOf::Ldap => ConnectionRefused::BeforeBind { limit: connections_before_bind_max },
            LimitsOf::Http => full,
        };
        let mut refused = None;
        if self.counts.before_bind >= connections_before_bind_max.saturating_add(own)
            && !self.make_room_before_bind(holder, before_bind, now)
        {
            refused = Some(before_bind);
        }
        if refused.is_none()
            && self.counts.open >= connections_max.saturating_add(own)
            && !self.make_room(holder, full, now)
        {
            refused = Some(full);
        }
        let is_reserved =
            self.counts.open >= connections_max || self.counts.before_bind >= connections_before_bind_max;
        if let Some(refused) = refused {
            let is_room = self.counts.open < connections_max.saturating_add(set_aside);
            if own > 0 || self.settings.of == LimitsOf::Ldap || !is_room {
                return Err(refused);
            }
        }
        Ok(is_reserved)
    }

    /// Asks the limits by source.
    fn admit_from(&mut self, source: ClientSource, now: u64) -> Result<(), ConnectionRefused> {
        let ConnectionLimitSettings { connections_by_source_max: limit, of, .. } = self.settings;
        let by_source = ConnectionRefused::BySource { limit, of };
        if self.of(source).open >= limit && !self.make_room_of(source, by_source, now) {
            return Err(by_source);
        }
        let limit = self.settings.connections_before_bind_by_source_max;
        let refused = match of {
            LimitsOf::Ldap => ConnectionRefused::BeforeBindBySource { limit },
            LimitsOf::Http => by_source,
        };
        if self.of(source).before_bind >= limit && !self.make_room_of(source, refused, now) {
            return Err(refused);
        }
        Ok(())
    }

    fn of(&self, source: ClientSource) -> OfSource {
        self.sources.get(&source).copied().unwrap_or_default()
    }

    /// Of a source that has not bound.
    fn make_room_of(&mut self, source: ClientSource, limit: ConnectionRefused, now: u64) -> bool {
        let found = self.places.longest_silent(Holder::Source(source), now);
        self.ask_to_leave(found, limit)
    }

    /// Of whoever has the most and has not bound: who is silent first, then who has clearly more than whoever comes.
    fn make_room_before_bind(&mut self, newcomer: Holder, limit: ConnectionRefused, now: u64) -> bool {
        let silent = self.places.longest_silent_of_sources(now);
        let found = silent.or_else(|| self.places.longest_at_work_of_sources(newcomer));
        self.ask_to_leave(found, limit)
    }

    /// The same of the account with the most too: before those who have not bound if it has more than all of them, behind
    /// them if it has more than its share.
    fn make_room(&mut self, newcomer: Holder, limit: ConnectionRefused, now: u64) -> bool {
        let (strangers, share) = (self.counts.before_bind, self.share());
        let first = self.places.first_account();
        let has = |least: u32| first.filter(|(_, count)| *count >= least).map(|(account, _)| account);
        let places = &mut self.places;
        let most = has(strangers.saturating_add(1));
        let beyond = has(share.saturating_add(1));
        let clearly = share.saturating_add(CLEARLY_MORE);
        let found = most
            .and_then(|account| places.longest_silent(account, now))
            .or_else(|| places.longest_silent_of_sources(now))
            .or_else(|| places.longest_silent(beyond?, now))
            .or_else(|| places.longest_at_work(has(clearly.max(strangers.saturating_add(1)))?))
            .or_else(|| places.longest_at_work_of_sources(newcomer))
            .or_else(|| places.longest_at_work(has(clearly)?));
        self.ask_to_leave(found, limit)
    }

    /// What an account may have when there is no more, in places.
    fn share(&self) -> u32 {
        // Those who have not bound are one of those who share.
        let holders = self.places.account_count().saturating_add(1);
        self.settings.connections_max / holders
    }

    /// Its place is free from now on, though its descriptor is not until it has gone: not too many go at a time.
    fn ask_to_leave(&mut self, number: Option<u64>, limit: ConnectionRefused) -> bool {
        let Some(number) = number else { return false };
        if self.counts.leaving >= self.settings.connections_leaving_max {
            self.lacks_exit = true;
            return false;
        }
        let Some(presence) = self.give_back(number) else { return false };
        presence.ask_to_leave(limit);
        self.counts.leaving += 1;
        self.counts.made_room += 1;
        true
    }

    /// Counts one more place before a bind, for a source too if there is one.
    fn count(&mut self, source: Option<ClientSource>) {
        self.counts.open += 1;
        self.counts.before_bind += 1;
        if let Some(source) = source {
            let of_source = self.sources.entry(source).or_default();
            of_source.open += 1;
            of_source.before_bind += 1;
        }
    }

    /// A place for one whose source was waited for; says whether it is one that is set aside.
    fn claim(&mut self, number: u64, source: ClientSource, now: u64) -> Result<bool, ConnectionRefused> {
        self.lacks_exit = false;
        if !self.places.is_unknown(number) {
            // It has just made room for another.
            return Err(ConnectionRefused::Awaited { limit: self.settings.proxy_headers_awaited_max });
        }
        let found = self.find_place(Holder::Source(source), now);
        let is_reserved = found.map_err(|refused| self.said_exactly(refused))?;
        self.counts.awaited -= 1;
        self.count(Some(source));
        self.places.claim(number, source);
        Ok(is_reserved)
    }

    fn hand_over(&mut self, number: u64, before: Holder, holder: Holder) {
        let Some(source) = self.places.hand_over(number, holder) else { return };
        match (before, holder) {
            (Holder::Account(_), Holder::Account(_)) => {}
            (Holder::Account(_), _) => self.unbound_from(source),
            _ => self.bound_from(source),
        }
    }

    /// One more has not bound, whatever the limits say: they are asked of who comes.
    fn unbound_from(&mut self, source: Option<ClientSource>) {
        self.counts.before_bind += 1;
        if let Some(of_source) = source.and_then(|source| self.sources.get_mut(&source)) {
            of_source.before_bind += 1;
        }
    }

    /// One less has not bound.
    fn bound_from(&mut self, source: Option<ClientSource>) {
        self.counts.before_bind -= 1;
        if let Some(of_source) = source.and_then(|source| self.sources.get_mut(&source)) {
            of_source.before_bind -= 1;
        }
    }

    fn release(&mut self, number: u64) {
        if self.give_back(number).is_none() {
            // Somebody else has its place already.
            self.counts.leaving -= 1;
        }
    }

    fn give_back(&mut self, number: u64) -> Option<Arc<Presence>> {
        let Place { holder, source, presence, .. } = self.places.give_back(number)?;
        if holder == Holder::Unknown {
            self.counts.awaited -= 1;
            return Some(presence);
        }
        self.counts.open -= 1;
        if !matches!(holder, Holder::Account(_)) {
            self.bound_from(source);
        }
        if let Some(source) = source
            && let Some(of_source) = self.sources.get_mut(&source)
        {
            of_source.open -= 1;
            if of_source.open == 0 {
                self.sources.remove(&source);
            }
        }
        Some(presence)
    }
}

/// So long at least a proxy's header is waited for, though others come: 50 milliseconds, in microseconds.
/// No limit of the config: a header comes with the connection, and what is lost on the way hardly later.
const HEADER_TIME_MIN: u64 = 50_000;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn from(address: &str) -> PeerAddress {
        PeerAddress::Ip(std::net::SocketAddr::new(address.parse().unwrap(), 40_000))
    }

    fn account(number: u32) -> AccountNumber {
        AccountNumber::new(number)
    }

    fn limits(all: u32, by_source: u32, before_bind: u32) -> Arc<ConnectionLimits> {
        ConnectionLimits::new(ConnectionLimitSettings {
            connections_max: all,
            connections_by_source_max: by_source,
            connections_before_bind_max: before_bind,
            connections_before_bind_by_source_max: before_bind,
            connections_reserved: 0,
            connections_leaving_max: 64,
            proxy_headers_awaited_max: 3,
            of: LimitsOf::Ldap,
        })
    }

    #[test]
    fn one_source_does_not_take_all_places_before_bind() {
        let limits = ConnectionLimits::new(ConnectionLimitSettings {
            connections_max: 10,
            connections_by_source_max: 10,
            connections_before_bind_max: 10,
            connections_before_bind_by_source_max: 1,
            connections_reserved: 0,
            connections_leaving_max: 64,
            proxy_headers_awaited_max: 3,
            of: LimitsOf::Ldap,
        });
        let mut first = limits.admit(&from("192.0.2.1")).unwrap();
        let refused = limits.admit(&from("192.0.2.1")).unwrap_err();
        assert_eq!(refused, ConnectionRefused::BeforeBindBySource { limit: 1 });
        assert!(refused.to_string().contains("connections_before_bind_by_source_max"));
        let _other = limits.admit(&from("192.0.2.2")).unwrap();
        first.bound_as(account(1));
        let _second = limits.admit(&from("192.0.2.1")).unwrap();
        assert!(limits.admit(&from("192.0.2.1")).is_err());
        assert_eq!((limits.counts().open, limits.counts().before_bind), (3, 2));
    }

    #[test]
    fn the_limit_in_all_admits_again_after_a_close() {
        let limits = limits(2, 10, 10);
        let first = limits.admit(&from("192.0.2.1")).unwrap();
        let _second = limits.admit(&from("192.0.2.2")).unwrap();
        let refused = limits.admit(&from("192.0.2.3")).unwrap_err();
        assert_eq!(refused, ConnectionRefused::Connections { limit: 2, of: LimitsOf::Ldap });
        assert!(refused.to_string().contains("connections_max"));
        drop(first);
        let _third = limits.admit(&from("192.0.2.3")).unwrap();
        assert_eq!(limits.counts().open, 2);
    }

    #[test]
    fn one_source_is_an_address_or_an_ipv6_network() {
        let limits = limits(100, 2, 100);
        let _one = limits.admit(&from("2001:db8::1")).unwrap();
        let _two = limits.admit(&from("2001:db8::ffff:0:0:2")).unwrap();
        let refused = limits.admit(&from("2001:db8::3")).unwrap_err();
        assert_eq!(refused, ConnectionRefused::BySource { limit: 2, of: LimitsOf::Ldap });
        let _neighbour = limits.admit(&from("2001:db8:0:1::1")).unwrap();

        let _three = limits.admit(&from("192.0.2.1")).unwrap();
        let four = limits.admit(&from("::ffff:192.0.2.1")).unwrap();
        assert!(limits.admit(&from("192.0.2.1")).is_err());
        let _other = limits.admit(&from("192.0.2.2")).unwrap();
        drop(four);
        let _five = limits.admit(&from("192.0.2.1")).unwrap();
    }

    #[test]
    fn peers_on_this_machine_are_not_one_source() {
        let limits = limits(100, 1, 100);
        let local =
            [from("127.0.0.1"), from("127.0.0.1"), from("::1"), from("::1"), PeerAddress::Unix { uid: 1 }];
        let permits: Vec<_> = local.iter().map(|address| limits.admit(address).unwrap()).collect();
        assert_eq!((limits.counts().open, limits.counts().sources), (5, 0));
        drop(permits);
        assert_eq!(limits.counts().open, 0);
    }

    #[test]
    fn who_comes_by_a_proxy_counts_for_its_own_source() {
        let limits = limits(4, 1, 4);
        let mut first = limits.admit_unknown().unwrap();
        let mut second = limits.admit_unknown().unwrap();
        let mut third = limits.admit_unknown().unwrap();
        let counts = limits.counts();
        assert_eq!((counts.open, counts.before_bind, counts.sources, counts.awaited), (0, 0, 0, 3));
        first.came_from(&from("192.0.2.1")).unwrap();
        let refused = second.came_from(&from("192.0.2.1")).unwrap_err();
        assert_eq!(refused, ConnectionRefused::BySource { limit: 1, of: LimitsOf::Ldap });
        drop(second);
        // A name for this machine is one source too.
        third.came_from(&from("127.0.0.1")).unwrap();
        let mut fourth = limits.admit_unknown().unwrap();
        assert!(fourth.came_from(&from("127.0.0.1")).is_err());
        first.bound_as(account(1));
        assert_eq!((limits.counts().open, limits.counts().before_bind, limits.counts().sources), (2, 1, 2));
        // All places are taken when its header comes.
        let _others = ["192.0.2.2", "192.0.2.3"].map(|address| limits.admit(&from(address)).unwrap());
        assert_eq!(
            fourth.came_from(&from("192.0.2.4")).unwrap_err(),
            ConnectionRefused::Connections { limit: 4, of: LimitsOf::Ldap }
        );
        drop((first, third, fourth));
        assert_eq!((limits.counts().open, limits.counts().sources, limits.counts().awaited), (2, 2, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn headers_that_do_not_come_take_no_place_and_make_room_for_others() {
        let limits = limits(1, 1, 1);
        let mut waited = [(); 3].map(|()| limits.admit_unknown().unwrap());
        let refused = limits.admit_unknown().unwrap_err();
        assert_eq!(refused, ConnectionRefused::Awaited { limit: 3 });
        assert!(refused.to_string().contains("proxy_headers_awaited_max"));
        let _other = limits.admit(&from("192.0.2.1")).unwrap();
        // One of which the header has come is waited for no longer.
        let full = ConnectionRefused::BeforeBind { limit: 1 };
        assert_eq!(waited[1].came_from(&from("192.0.2.2")).unwrap_err(), full);
        tokio::time::advance(Duration::from_micros(HEADER_TIME_MIN)).await;
        let _newcomer = limits.admit_unknown().unwrap();
        assert_eq!(waited[0].presence().is_asked_to_leave(), Some(refused));
        assert_eq!(waited[0].came_from(&from("192.0.2.3")).unwrap_err(), refused);
        assert_eq!((limits.counts().awaited, limits.counts().leaving), (3, 1));
        drop(waited);
        assert_eq!((limits.counts().open, limits.counts().awaited, limits.counts().leaving), (1, 1, 0));
    }

    #[test]
    fn to_authenticate_makes_room_for_others_before_bind() {
        let limits = limits(100, 100, 1);
        let mut first = limits.admit(&from("192.0.2.1")).unwrap();
        let refused = limits.admit(&from("192.0.2.2")).unwrap_err();
        assert_eq!(refused, ConnectionRefused::BeforeBind { limit: 1 });
        first.bound_as(account(1));
        first.bound_as(account(1));
        let second = limits.admit(&from("192.0.2.2")).unwrap();
        assert_eq!((limits.counts().open, limits.counts().before_bind), (2, 1));
        drop(first);
        assert_eq!((limits.counts().open, limits.counts().before_bind), (1, 1));
        drop(second);
        assert_eq!(limits.counts(), ConnectionCounts::default());
    }

    #[test]
    fn who_is_nobody_again_counts_before_bind() {
        let limits = limits(100, 100, 2);
        let mut permit = limits.admit_unknown().unwrap();
        permit.came_from(&from("192.0.2.1")).unwrap();
        permit.bound_as(account(1));
        let other = limits.admit(&from("192.0.2.1")).unwrap();
        permit.bound_as_nobody();
        permit.bound_as_nobody();
        assert_eq!((limits.counts().open, limits.counts().before_bind), (2, 2));
        let refused = limits.admit(&from("192.0.2.1")).unwrap_err();
        assert_eq!(refused, ConnectionRefused::BeforeBindBySource { limit: 2 });
        permit.bound_as(account(1));
        let third = limits.admit(&from("192.0.2.1")).unwrap();
        assert_eq!((limits.counts().open, limits.counts().before_bind), (3, 2));
        // It is over the limit then, and whoever comes makes no more of it.
        permit.bound_as_nobody();
        assert_eq!((limits.counts().open, limits.counts().before_bind), (3, 3));
        drop((permit, third, other));
        assert_eq!(limits.counts(), ConnectionCounts::default());
    }

    #[test]
    fn other_limits_act_on_new_connections_only() {
        let limits = limits(2, 2, 2);
        let first = limits.admit(&from("192.0.2.1")).unwrap();
        let _second = limits.admit(&from("192.0.2.1")).unwrap();
        let mut settings = ConnectionLimitSettings {
            connections_max: 1,
            connections_by_source_max: 2,
            connections_before_bind_max: 2,
            connections_before_bind_by_source_max: 2,
            connections_reserved: 0,
            connections_leaving_max: 64,
            proxy_headers_awaited_max: 3,
            of: LimitsOf::Ldap,
        };
        limits.change(settings);
        assert_eq!(limits.counts().open, 2);
        drop(first);
        assert!(limits.admit(&from("192.0.2.1")).is_err());
        settings.connections_max = 2;
        limits.change(settings);
        assert!(limits.admit(&from("192.0.2.1")).is_ok());
    }

    #[test]
    fn threads_give_back_what_they_took() {
        let limits = limits(64, 64, 64);
        std::thread::scope(|scope| {
            for thread in 0..4_u8 {
                let limits = &limits;
                scope.spawn(move || {
                    for round in 0..500_u32 {
                        let mut permit = limits.admit(&from(&format!("192.0.2.{thread}"))).unwrap();
                        if round % 2 == 0 {
                            permit.bound_as(account(1));
                        }
                    }
                });
            }
        });
        assert_eq!(limits.counts(), ConnectionCounts::default());
    }

    fn settings(all: u32, before_bind: u32, before_bind_by_source: u32) -> ConnectionLimitSettings {
        ConnectionLimitSettings {
            connections_max: all,
            connections_by_source_max: all,
            connections_before_bind_max: before_bind,
            connections_before_bind_by_source_max: before_bind_by_source,
            connections_reserved: 0,
            connections_leaving_max: 64,
            proxy_headers_awaited_max: 3,
            of: LimitsOf::Ldap,
        }
    }

    /// A connection whose client is silent from now on; the clock goes on behind it.
    async fn silent(limits: &Arc<ConnectionLimits>, address: &str) -> Permit {
        let permit = limits.admit(&from(address)).unwrap();
        permit.presence().is_silent();
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        permit
    }

    /// The limit by which it was asked to make room.
    fn asked(permit: &Permit) -> Option<ConnectionRefused> {
        let mut asked = std::pin::pin!(permit.presence().asked_to_leave());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match asked.as_mut().poll(&mut context) {
            std::task::Poll::Ready(limit) => Some(limit),
            std::task::Poll::Pending => None,
        }
    }

    /// Which of them were asked.
    fn all_asked(permits: &[Permit]) -> Vec<usize> {
        permits
            .iter()
            .enumerate()
            .filter(|(_, permit)| asked(permit).is_some())
            .map(|(place, _)| place)
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_silent_of_a_source_makes_room_for_its_own() {
        let limits = ConnectionLimits::new(settings(10, 10, 3));
        let mut permits = Vec::new();
        for _ in 0..3 {
            permits.push(silent(&limits, "192.0.2.1").await);
        }
        let _other = silent(&limits, "192.0.2.2").await;
        // The first says something, so that the second is silent for the longest.
        permits[0].presence().is_served();
        permits[0].presence().is_silent();
        permits.push(silent(&limits, "192.0.2.1").await);
        assert_eq!(all_asked(&permits), [1]);
        assert_eq!(asked(&permits[1]), Some(ConnectionRefused::BeforeBindBySource { limit: 3 }));
        // Its place is the newcomer's already, and is not given back twice.
        assert_eq!((limits.counts().open, limits.counts().leaving, limits.counts().made_room), (4, 1, 1));
        drop(permits.remove(1));
        assert_eq!((limits.counts().open, limits.counts().leaving), (4, 0));
        permits.push(silent(&limits, "192.0.2.1").await);
        assert_eq!(all_asked(&permits), [1], "the third, by now");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_outstanding_or_half_sent_is_not_silent() {
        let limits = ConnectionLimits::new(settings(10, 2, 2));
        let served = limits.admit(&from("192.0.2.1")).unwrap();
        let half = limits.admit(&from("192.0.2.2")).unwrap();
        half.presence().owes_the_rest();
        assert_eq!(limits.admit(&from("192.0.2.3")).unwrap_err(), ConnectionRefused::BeforeBind { limit: 2 });
        half.presence().is_silent();
        let _third = limits.admit(&from("192.0.2.3")).unwrap();
        assert!(asked(&half).is_some() && asked(&served).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn half_messages_of_a_few_sources_keep_nobody_out() {
        let limits = ConnectionLimits::new(settings(100, 20, 10));
        let mut permits = Vec::new();
        for number in 0..20 {
            permits.push(silent(&limits, &format!("192.0.2.{}", number % 2)).await);
            permits[number].presence().owes_the_rest();
        }
        let newcomer = silent(&limits, "198.51.100.1").await;
        assert_eq!(all_asked(&permits).len(), 1);
        // Nobody takes from who has as much.
        let limits = ConnectionLimits::new(settings(100, 2, 10));
        let one = limits.admit(&from("192.0.2.1")).unwrap();
        let two = limits.admit(&from("192.0.2.2")).unwrap();
        one.presence().owes_the_rest();
        two.presence().owes_the_rest();
        assert!(limits.admit(&from("192.0.2.3")).is_err());
        drop(newcomer);
    }

    #[tokio::test(start_paused = true)]
    async fn five_sources_with_silent_connections_keep_nobody_out() {
        let limits = ConnectionLimits::new(settings(1_000, 500, 100));
        let mut strangers = Vec::new();
        for number in 0..500 {
            strangers.push(silent(&limits, &format!("192.0.2.{}", number % 5)).await);
        }
        // However long a victim was silent, it has less than they have.
        let mut victims = Vec::new();
        for number in 0..40 {
            victims.push(silent(&limits, &format!("198.51.100.{number}")).await);
        }
        assert!(all_asked(&victims).is_empty());
        assert_eq!(all_asked(&strangers).len(), 40);
        assert_eq!(limits.counts().before_bind, 500);
        // While they come again and again.
        for number in 0..20 {
            strangers.push(silent(&limits, &format!("192.0.2.{}", number % 5)).await);
        }
        assert!(all_asked(&victims).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_of_many_sources_has_not_more_than_others() {
        let limits = ConnectionLimits::new(settings(1_000, 200, 100));
        let mut strangers = Vec::new();
        for number in 0..199 {
            // All of one /48, each of another /56.
            strangers.push(silent(&limits, &format!("2001:db8:1:{number:x}00::1")).await);
        }
        // Two of a source: more than each of the strangers' has.
        let mut victims = Vec::new();
        for number in 0..20 {
            victims.push(silent(&limits, &format!("198.51.100.{}", number / 2)).await);
        }
        assert!(all_asked(&victims).is_empty());
        assert_eq!(all_asked(&strangers).len(), 19);
        // One address with a hundred goes before a campus with as many.
        let limits = ConnectionLimits::new(settings(1_000, 200, 100));
        let (mut campus, mut greedy) = (Vec::new(), Vec::new());
        for number in 0..100 {
            campus.push(silent(&limits, &format!("2001:db8:2:{number:x}::1")).await);
            greedy.push(silent(&limits, "192.0.2.1").await);
        }
        let _newcomer = silent(&limits, "198.51.100.1").await;
        assert_eq!((all_asked(&campus).len(), all_asked(&greedy).len()), (0, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn the_account_with_the_most_makes_room_when_all_places_are_taken() {
        let limits = ConnectionLimits::new(settings(10, 4, 4));
        let mut permits = Vec::new();
        for number in 0..9 {
            let mut permit = silent(&limits, "192.0.2.1").await;
            permit.bound_as(account(if number < 6 { 1 } else { 2 }));
            permits.push(permit);
        }
        let stranger = silent(&limits, "192.0.2.9").await;
        let _newcomer = silent(&limits, "192.0.2.2").await;
        assert_eq!(all_asked(&permits), [0], "of the first account, which has six");
        assert_eq!(
            asked(&permits[0]),
            Some(ConnectionRefused::Connections { limit: 10, of: LimitsOf::Ldap })
        );
        assert!(asked(&stranger).is_none());
        // One that is at something keeps its place.
        permits[1].presence().is_served();
        let _newcomer = silent(&limits, "192.0.2.3").await;
        assert_eq!(all_asked(&permits), [0, 2]);
        assert_eq!((limits.counts().open, limits.counts().before_bind), (10, 3));
        // Who has a secret keeps more than strangers have: of four accounts with one each nobody makes room for them.
        let limits = ConnectionLimits::new(settings(6, 6, 6));
        let mut bound = Vec::new();
        for number in 0..3 {
            let mut permit = silent(&limits, "192.0.2.1").await;
            permit.bound_as(account(number));
            bound.push(permit);
        }
        let mut strangers = Vec::new();
        for number in 0..20 {
            strangers.push(silent(&limits, &format!("198.51.100.{number}")).await);
        }
        assert!(all_asked(&bound).is_empty());
        assert_eq!(all_asked(&strangers).len(), 17);
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_that_is_at_something_keeps_nobody_out() {
        let limits = ConnectionLimits::new(settings(10, 10, 10));
        let mut held = Vec::new();
        for number in 0..9 {
            let mut permit = limits.admit(&from("192.0.2.1")).unwrap();
            permit.bound_as(account(1));
            tokio::time::advance(std::time::Duration::from_secs(1)).await;
            if number > 5 {
                // Half a message, or an answer that is not taken.
                permit.presence().owes_the_rest();
            }
            held.push(permit);
        }
        // Another account has no more than its share, though it is silent.
        let mut other = silent(&limits, "198.51.100.1").await;
        other.bound_as(account(2));
        let mut newcomers = Vec::new();
        for number in 0..5 {
            let mut newcomer = limits.admit(&from("203.0.113.1")).unwrap();
            newcomer.bound_as(account(3));
            newcomers.push(newcomer);
            // First what is unfinished, from the oldest on.
            let unfinished = &[6, 7, 8][..(number + 1).min(3)];
            let asked = all_asked(&held);
            assert!(
                unfinished.iter().all(|place| asked.contains(place)) && asked.len() == number + 1,
                "{asked:?}"
            );
        }
        assert!(asked(&other).is_none() && all_asked(&newcomers).is_empty());
        assert_eq!(asked(&held[6]), Some(ConnectionRefused::Connections { limit: 10, of: LimitsOf::Ldap }));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_takes_from_who_has_hardly_more_than_its_share() {
        let limits = ConnectionLimits::new(settings(9, 9, 9));
        let mut held: Vec<Permit> = (0..9).map(|_| limits.admit(&from("192.0.2.1")).unwrap()).collect();
        for (number, permit) in (0..8).zip(&mut held) {
            permit.bound_as(account(number % 2));
            permit.presence().owes_the_rest();
        }
        // Four of nine, of three that share: whoever came in their place would have as much.
        let refused = limits.admit(&from("203.0.113.1")).unwrap_err();
        assert_eq!(refused, ConnectionRefused::Connections { limit: 9, of: LimitsOf::Ldap });
        held[1].bound_as(account(0));
        let _newcomer = limits.admit(&from("203.0.113.1")).unwrap();
        assert_eq!(all_asked(&held), [0]);
    }

    #[tokio::test(start_paused = true)]
    async fn strangers_that_are_busy_keep_nobody_out() {
        let limits = ConnectionLimits::new(settings(100, 20, 20));
        let mut strangers = Vec::new();
        for number in 0..20 {
            strangers.push(limits.admit(&from(&format!("192.0.2.{}", number % 5))).unwrap());
        }
        strangers[7].presence().owes_the_rest();
        let mut newcomers = Vec::new();
        for number in 0..10 {
            newcomers.push(limits.admit(&from(&format!("198.51.100.{number}"))).unwrap());
        }
        assert_eq!(all_asked(&strangers).len(), 10);
        // Who is at it again has no more than others: it takes its own places.
        let again = limits.admit(&from("192.0.2.1")).map(|_| ());
        assert_eq!(again, Err(ConnectionRefused::BeforeBind { limit: 20 }));
        assert!(all_asked(&newcomers).is_empty());
        assert_eq!((limits.counts().open, limits.counts().before_bind), (20, 20));
        // Those that a proxy brings too, whose source is not known yet.
        let _unknown = limits.admit_unknown().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn busy_strangers_of_one_network_keep_nobody_out() {
        // Each of another /64: of one /56, then of one /48.
        for step in [1, 0x100] {
            let limits = ConnectionLimits::new(settings(100, 40, 40));
            let from_network =
                |number: usize| limits.admit(&from(&format!("2001:db8:1:{:x}::1", number * step)));
            let strangers: Vec<Permit> = (0..40).map(|number| from_network(number).unwrap()).collect();
            assert!(from_network(50).is_err());
            let _newcomer = limits.admit(&from("198.51.100.1")).unwrap();
            assert_eq!(all_asked(&strangers).len(), 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn some_places_are_for_this_machine() {
        let limits =
            ConnectionLimits::new(ConnectionLimitSettings { connections_reserved: 2, ..settings(3, 3, 3) });
        let elsewhere: Vec<Permit> =
            (0..3).map(|number| limits.admit(&from(&format!("192.0.2.1{number}"))).unwrap()).collect();
        assert!(limits.admit(&from("192.0.2.2")).is_err());
        let here = limits.admit(&from("127.0.0.1")).unwrap();
        assert!(here.is_reserved() && !here.is_for_few_words());
        let _socket = limits.admit(&PeerAddress::Unix { uid: 1 }).unwrap();
        assert!(limits.admit(&from("127.0.0.1")).is_err());
        let mut proxied = limits.admit_unknown().unwrap();
        assert!(proxied.came_from(&from("127.0.0.1")).is_err(), "a proxy's client is elsewhere");
        drop(elsewhere);
        assert!(!limits.admit(&from("127.0.0.1")).unwrap().is_reserved());
        // Where others may ask a few words.
        let limits = ConnectionLimits::new(ConnectionLimitSettings {
            connections_reserved: 1,
            of: LimitsOf::Http,
            ..settings(1, 1, 1)
        });
        let _first = limits.admit(&from("192.0.2.1")).unwrap();
        let mut second = limits.admit_unknown().unwrap();
        second.came_from(&from("192.0.2.2")).unwrap();
        assert!(second.is_for_few_words());
        // It is told by the name of the limit that is reached.
        let refused = limits.admit(&from("192.0.2.3")).unwrap_err();
        assert_eq!(refused.to_string(), "there are 1 open connections (http_connections_max)");
        let refused = limits.admit(&from("192.0.2.2")).unwrap_err().to_string();
        assert_eq!(refused, "there are 1 open connections from this source (http_connections_by_source_max)");
    }

    #[tokio::test(start_paused = true)]
    async fn not_too_many_go_at_a_time() {
        let limits = ConnectionLimits::new(settings(100, 100, 100));
        let mut permits = Vec::new();
        for _ in 0..100 {
            permits.push(silent(&limits, "192.0.2.1").await);
        }
        for _ in 0..64 {
            permits.push(silent(&limits, "192.0.2.2").await);
        }
        let refused = limits.admit(&from("192.0.2.3")).unwrap_err();
        assert_eq!(refused, ConnectionRefused::Leaving { limit: 64 });
        assert!(refused.to_string().contains("connections_leaving_max"));
        drop(permits.remove(0));
        let _newcomer = limits.admit(&from("192.0.2.3")).unwrap();
        assert_eq!((limits.counts().open, limits.counts().leaving), (100, 64));
        drop(permits);
        assert_eq!((limits.counts().open, limits.counts().leaving), (1, 0));
        let state = limits.state();
        assert!(state.places.is_consistent(1), "{state:?}");
    }
}
