//! How a connection comes in, the same at every door: it is counted, and a proxy's says first whom it stands for.

use std::sync::Arc;

use thiserror::Error;

use super::limits::{ConnectionLimits, Permit};
use super::listener::Stream;
use super::peer::Peer;
use super::proxy::{HeaderError, Proxies};
use super::refused::ConnectionRefused;
use crate::seldom::{self, Seldom};

/// What stands before a door.
#[derive(Debug)]
pub struct Entrance {
    limits: Arc<ConnectionLimits>,
    proxies: Proxies,
}

/// Why a connection does not come in.
#[derive(Debug, Error)]
pub enum TurnedAway {
    /// There are too many.
    #[error(transparent)]
    Refused(#[from] ConnectionRefused),
    /// A proxy's header is not as it must be.
    #[error("the PROXY header: {0}")]
    Header(#[from] HeaderError),
}

impl Entrance {
    /// With these limits, and with these proxies in front.
    pub fn new(limits: Arc<ConnectionLimits>, proxies: Proxies) -> Self {
        Self { limits, proxies }
    }

    /// What is open and what was refused.
    #[cfg(test)]
    pub(crate) fn counts(&self) -> super::limits::ConnectionCounts {
        self.limits.counts()
    }

    /// Counts a connection. What is one too many is told, and to be closed without a word: a client need not be answered,
    /// and an answer would cost what the limit is there to save.
    ///
    /// # Errors
    /// The limit.
    pub async fn admit(&self, peer: &Peer) -> Result<Permit, TurnedAway> {
        let admit = || match self.proxies.is_proxy(peer) {
            true => self.limits.admit_unknown(),
            false => self.limits.admit(&peer.address),
        };
        once_others_have_left(admit).await.map_err(|refused| self.tell(peer, refused.into()))
    }

    /// Waits for what must come before anything else, and says who is at the other end.
    ///
    /// # Errors
    /// The connection is to be closed, which is told.
    pub async fn meet(
        &self,
        stream: &mut Stream,
        peer: Peer,
        permit: &mut Permit,
    ) -> Result<Peer, TurnedAway> {
        if !self.proxies.is_proxy(&peer) {
            return Ok(peer);
        }
        let client = match self.proxies.read_header(stream, peer.clone()).await {
            Ok(client) => client,
            Err(error) => return Err(self.tell(&peer, error.into())),
        };
        match once_others_have_left(|| permit.came_from(&client.address)).await {
            Ok(()) => Ok(client),
            Err(refused) => Err(self.tell(&client, refused.into())),
        }
    }

    /// Tells the log, but not of each.
    fn tell(&self, peer: &Peer, away: TurnedAway) -> TurnedAway {
        tracing::debug!(peer = %peer.address, reason = %away, "a connection was refused");
        match &away {
            // Whoever looks whether a port is open does nothing else.
            TurnedAway::Header(HeaderError::Closed(_)) => {}
            TurnedAway::Header(error) => {
                if let Some(count) = seldom::note(Seldom::ProxyHeader) {
                    tracing::warn!(
                        count, proxy = %peer.address, listener = %peer.local, reason = %error,
                        "{}", Seldom::ProxyHeader.sentence()
                    );
                }
            }
            TurnedAway::Refused(refused) => {
                if let Some(count) = seldom::note(Seldom::ConnectionRefused) {
                    tracing::warn!(count, reason = %refused, "{}", Seldom::ConnectionRefused.sentence());
                }
            }
        }
        away
    }
}

/// Those who make room need a thread to go by. On a machine that has none to spare they wait for the one that lets others in, so
/// that many newcomers at once would be refused for want of those whom they themselves have sent away: where too many are
/// leaving they are let go first.
async fn once_others_have_left<T>(
    mut ask: impl FnMut() -> Result<T, ConnectionRefused>,
) -> Result<T, ConnectionRefused> {
    match ask() {
        Err(ConnectionRefused::Leaving { .. }) => {
            tokio::task::yield_now().await;
            ask()
        }
        answer => answer,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use super::super::limits::ConnectionLimitSettings;
    use super::super::peer::{LocalAddress, PeerAddress};
    use super::super::refused::LimitsOf;
    use super::*;

    const PLACES: u32 = 100;
    const LEAVING: u32 = 8;

    /// One thread for all, and many newcomers before anybody else has a turn.
    #[tokio::test(start_paused = true)]
    async fn those_who_make_room_go_before_a_newcomer_is_refused() {
        let (entrance, strangers) = full().await;
        for stranger in strangers {
            tokio::spawn(async move { stranger.presence().asked_to_leave().await });
        }
        let mut newcomers = Vec::new();
        for number in 0..PLACES / 2 {
            newcomers.push(entrance.admit(&peer(&format!("198.51.100.{number}"))).await.unwrap());
        }
        let leaving = entrance.counts().leaving;
        assert!((1..=LEAVING).contains(&leaving), "{leaving}");
        tokio::task::yield_now().await;
        assert_eq!((entrance.counts().open, entrance.counts().leaving), (PLACES, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn where_nobody_goes_a_newcomer_is_refused() {
        let (entrance, _strangers) = full().await;
        let mut newcomers = Vec::new();
        for number in 0..LEAVING {
            newcomers.push(entrance.admit(&peer(&format!("198.51.100.{number}"))).await.unwrap());
        }
        let refused = entrance.admit(&peer("203.0.113.1")).await.unwrap_err();
        assert!(matches!(refused, TurnedAway::Refused(ConnectionRefused::Leaving { limit: LEAVING })));
    }

    /// All places are taken by a few sources, which are silent.
    async fn full() -> (Entrance, Vec<Permit>) {
        let limits = ConnectionLimits::new(ConnectionLimitSettings {
            connections_max: PLACES,
            connections_by_source_max: PLACES,
            connections_before_bind_max: PLACES,
            connections_before_bind_by_source_max: PLACES,
            connections_reserved: 0,
            connections_leaving_max: LEAVING,
            of: LimitsOf::Ldap,
        });
        let proxies = Proxies { networks: Vec::new(), header_time: Duration::ZERO, header_size_max: 0 };
        let entrance = Entrance::new(limits, proxies);
        let mut strangers = Vec::new();
        for number in 0..PLACES {
            let permit = entrance.admit(&peer(&format!("192.0.2.{}", number % 5))).await.unwrap();
            tokio::time::advance(Duration::from_millis(1)).await;
            permit.presence().is_silent();
            strangers.push(permit);
        }
        tokio::time::advance(Duration::from_millis(1)).await;
        (entrance, strangers)
    }

    fn peer(address: &str) -> Peer {
        let address = PeerAddress::from_socket(SocketAddr::new(address.parse().unwrap(), 40_000));
        Peer { address, local: LocalAddress::Ip("192.0.2.254:389".parse().unwrap()), proxied: None }
    }
}
