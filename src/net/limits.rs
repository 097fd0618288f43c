//! How many connections there may be: in all, from one source, and before they have authenticated.
//!
//! One lock, taken when a connection opens, authenticates and closes; no request touches it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;

use super::peer::PeerAddress;
use super::source::Source;

/// Counts the open connections and says whether one more may open.
#[derive(Debug)]
pub struct ConnectionLimits {
    state: Mutex<State>,
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
}

/// Which limit a connection would have exceeded.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ConnectionRefused {
    /// `connections_max`
    #[error("there are {limit} open connections (connections_max)")]
    Connections {
        /// The limit (connections).
        limit: u32,
    },
    /// `connections_by_source_max`
    #[error("there are {limit} open connections from this source (connections_by_source_max)")]
    BySource {
        /// The limit (connections).
        limit: u32,
    },
    /// `connections_before_bind_max`
    #[error("there are {limit} open connections that have not authenticated (connections_before_bind_max)")]
    BeforeBind {
        /// The limit (connections).
        limit: u32,
    },
    /// `connections_before_bind_by_source_max`
    #[error(
        "there are {limit} open connections from this source that have not authenticated \
         (connections_before_bind_by_source_max)"
    )]
    BeforeBindBySource {
        /// The limit (connections).
        limit: u32,
    },
}

/// What is open now (connections).
#[cfg(test)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// Open in all.
    pub open: u32,
    /// Open and not authenticated yet.
    pub before_bind: u32,
    /// Different sources that have a connection open, without this machine.
    pub sources: usize,
}

impl ConnectionLimits {
    /// Nothing is open yet.
    pub fn new(settings: ConnectionLimitSettings) -> Arc<Self> {
        let state = State { settings, sources: HashMap::new(), open: 0, before_bind: 0 };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// Admits one connection, which counts as not authenticated until [`Permit::authenticated`].
    ///
    /// # Errors
    /// The limit that it would exceed.
    pub fn admit(self: &Arc<Self>, address: &PeerAddress) -> Result<Permit, ConnectionRefused> {
        let source = Source::elsewhere(address);
        self.state().admit(source)?;
        Ok(Permit { limits: Arc::clone(self), source, before_bind: true })
    }

    /// The same for one whose source is not known yet: a proxy's, whose header is still to come.
    ///
    /// # Errors
    /// The limit that it would exceed.
    pub fn admit_unknown(self: &Arc<Self>) -> Result<Permit, ConnectionRefused> {
        self.state().admit(None)?;
        Ok(Permit { limits: Arc::clone(self), source: None, before_bind: true })
    }

    /// Puts other limits in force. Connections that are open stay open, whatever the limits say.
    pub fn change(&self, settings: ConnectionLimitSettings) {
        self.state().settings = settings;
    }

    #[cfg(test)]
    pub fn counts(&self) -> ConnectionCounts {
        let state = self.state();
        ConnectionCounts { open: state.open, before_bind: state.before_bind, sources: state.sources.len() }
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
    source: Option<Source>,
    before_bind: bool,
}

impl Permit {
    /// Counts a connection that was admitted without a source for the one that a proxy has named. One that says that it is
    /// this machine is a source like others.
    ///
    /// # Errors
    /// The limit by source that it exceeds.
    pub fn came_from(&mut self, address: &PeerAddress) -> Result<(), ConnectionRefused> {
        let Some(ip) = address.ip() else { return Ok(()) };
        let source = Source::from(Some(ip));
        self.limits.state().claim(source, self.before_bind)?;
        self.source = Some(source);
        Ok(())
    }

    /// Gives back the share of those who have not authenticated; a second call does nothing.
    ///
    /// It is not taken again when the connection becomes anonymous: who has come this far holds a secret.
    pub fn authenticated(&mut self) {
        if std::mem::take(&mut self.before_bind) {
            self.limits.state().authenticated(self.source);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.limits.state().release(self.source, self.before_bind);
    }
}

#[derive(Debug)]
struct State {
    settings: ConnectionLimitSettings,
    /// Only sources with an open connection, so no larger than `connections_max`. Keyed hash:
    /// the addresses are chosen by strangers.
    sources: HashMap<Source, OfSource>,
    open: u32,
    before_bind: u32,
}

/// What one source has open.
#[derive(Clone, Copy, Debug, Default)]
struct OfSource {
    open: u32,
    before_bind: u32,
}

impl State {
    fn admit(&mut self, source: Option<Source>) -> Result<(), ConnectionRefused> {
        let ConnectionLimitSettings { connections_max, connections_before_bind_max, .. } = self.settings;
        // The source first: the refusals of one greedy client are not those of a full server.
        if let Some(source) = source {
            self.admit_from(source)?;
        }
        if self.open >= connections_max {
            return Err(ConnectionRefused::Connections { limit: connections_max });
        }
        if self.before_bind >= connections_before_bind_max {
            return Err(ConnectionRefused::BeforeBind { limit: connections_before_bind_max });
        }
        if let Some(source) = source {
            self.count(source, true);
        }
        self.open += 1;
        self.before_bind += 1;
        Ok(())
    }

    /// Asks the limits by source.
    fn admit_from(&mut self, source: Source) -> Result<(), ConnectionRefused> {
        let from_source = self.sources.get(&source).copied().unwrap_or_default();
        let limit = self.settings.connections_by_source_max;
        if from_source.open >= limit {
            return Err(ConnectionRefused::BySource { limit });
        }
        let limit = self.settings.connections_before_bind_by_source_max;
        if from_source.before_bind >= limit {
            return Err(ConnectionRefused::BeforeBindBySource { limit });
        }
        Ok(())
    }

    /// Counts an open connection for a source.
    fn count(&mut self, source: Source, before_bind: bool) {
        let of_source = self.sources.entry(source).or_default();
        of_source.open += 1;
        of_source.before_bind += u32::from(before_bind);
    }

    /// Counts one that is counted in all for its source too.
    fn claim(&mut self, source: Source, before_bind: bool) -> Result<(), ConnectionRefused> {
        self.admit_from(source)?;
        self.count(source, before_bind);
        Ok(())
    }

    fn authenticated(&mut self, source: Option<Source>) {
        self.before_bind -= 1;
        if let Some(of_source) = source.and_then(|source| self.sources.get_mut(&source)) {
            of_source.before_bind -= 1;
        }
    }

    fn release(&mut self, source: Option<Source>, before_bind: bool) {
        self.open -= 1;
        if before_bind {
            self.authenticated(source);
        }
        let Some(source) = source else { return };
        if let Some(of_source) = self.sources.get_mut(&source) {
            of_source.open -= 1;
            if of_source.open == 0 {
                self.sources.remove(&source);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn from(address: &str) -> PeerAddress {
        PeerAddress::Ip(std::net::SocketAddr::new(address.parse().unwrap(), 40_000))
    }

    fn limits(all: u32, by_source: u32, before_bind: u32) -> Arc<ConnectionLimits> {
        ConnectionLimits::new(ConnectionLimitSettings {
            connections_max: all,
            connections_by_source_max: by_source,
            connections_before_bind_max: before_bind,
            connections_before_bind_by_source_max: before_bind,
        })
    }

    #[test]
    fn one_source_does_not_take_all_places_before_bind() {
        let limits = ConnectionLimits::new(ConnectionLimitSettings {
            connections_max: 10,
            connections_by_source_max: 10,
            connections_before_bind_max: 10,
            connections_before_bind_by_source_max: 1,
        });
        let mut first = limits.admit(&from("192.0.2.1")).unwrap();
        let refused = limits.admit(&from("192.0.2.1")).unwrap_err();
        assert_eq!(refused, ConnectionRefused::BeforeBindBySource { limit: 1 });
        assert!(refused.to_string().contains("connections_before_bind_by_source_max"));
        let _other = limits.admit(&from("192.0.2.2")).unwrap();
        first.authenticated();
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
        assert_eq!(refused, ConnectionRefused::Connections { limit: 2 });
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
        assert_eq!(refused, ConnectionRefused::BySource { limit: 2 });
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
        assert_eq!((limits.counts().open, limits.counts().before_bind, limits.counts().sources), (3, 3, 0));
        first.came_from(&from("192.0.2.1")).unwrap();
        let refused = second.came_from(&from("192.0.2.1")).unwrap_err();
        assert_eq!(refused, ConnectionRefused::BySource { limit: 1 });
        drop(second);
        // A name for this machine is one source too.
        third.came_from(&from("127.0.0.1")).unwrap();
        let mut fourth = limits.admit_unknown().unwrap();
        assert!(fourth.came_from(&from("127.0.0.1")).is_err());
        first.authenticated();
        assert_eq!((limits.counts().open, limits.counts().before_bind, limits.counts().sources), (3, 2, 2));
        let _fifth = limits.admit_unknown().unwrap();
        assert_eq!(limits.admit_unknown().unwrap_err(), ConnectionRefused::Connections { limit: 4 });
        drop((first, third, fourth));
        assert_eq!((limits.counts().open, limits.counts().sources), (1, 0));
    }

    #[test]
    fn to_authenticate_makes_room_for_others_before_bind() {
        let limits = limits(100, 100, 1);
        let mut first = limits.admit(&from("192.0.2.1")).unwrap();
        let refused = limits.admit(&from("192.0.2.2")).unwrap_err();
        assert_eq!(refused, ConnectionRefused::BeforeBind { limit: 1 });
        first.authenticated();
        first.authenticated();
        let second = limits.admit(&from("192.0.2.2")).unwrap();
        assert_eq!((limits.counts().open, limits.counts().before_bind), (2, 1));
        drop(first);
        assert_eq!((limits.counts().open, limits.counts().before_bind), (1, 1));
        drop(second);
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
                            permit.authenticated();
                        }
                    }
                });
            }
        });
        assert_eq!(limits.counts(), ConnectionCounts::default());
    }
}
