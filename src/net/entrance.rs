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
    /// Those who make room need a thread to go by. On a machine that has none to spare they wait for the one that accepts, so
    /// that many newcomers at once would be refused for want of those whom they themselves have sent away: these are let go
    /// first.
    ///
    /// # Errors
    /// The limit.
    pub async fn admit(&self, peer: &Peer) -> Result<Permit, TurnedAway> {
        let admit = || match self.proxies.is_proxy(peer) {
            true => self.limits.admit_unknown(),
            false => self.limits.admit(&peer.address),
        };
        let mut admitted = admit();
        if let Err(ConnectionRefused::Leaving { .. }) = admitted {
            tokio::task::yield_now().await;
            admitted = admit();
        }
        admitted.map_err(|refused| self.tell(peer, refused.into()))
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
        match permit.came_from(&client.address) {
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::SocketAddr;

    use super::super::limits::ConnectionLimitSettings;
    use super::super::peer::{LocalAddress, PeerAddress};
    use super::*;

    /// One thread for all, and many newcomers before anybody else has a turn.
    #[tokio::test(start_paused = true)]
    async fn those_who_make_room_go_before_a_newcomer_is_refused() {
        const PLACES: u32 = 100;
        const LEAVING: u32 = 8;
        let limits = ConnectionLimits::new(ConnectionLimitSettings {
            connections_max: PLACES,
            connections_by_source_max: PLACES,
            connections_before_bind_max: PLACES,
            connections_before_bind_by_source_max: PLACES,
            connections_reserved: 0,
            connections_leaving_max: LEAVING,
            is_reserve_open: false,
        });
        let header_time = std::time::Duration::ZERO;
        let entrance =
            Entrance::new(limits, Proxies { networks: Vec::new(), header_time, header_size_max: 0 });
        let mut gone = tokio::task::JoinSet::new();
        for number in 0..PLACES {
            let permit = entrance.admit(&peer(&format!("192.0.2.{number}"))).await.unwrap();
            permit.presence().is_silent();
            gone.spawn(async move { permit.presence().asked_to_leave().await });
        }
        // Silent for a while.
        tokio::time::advance(std::time::Duration::from_millis(1)).await;
        let mut newcomers = Vec::new();
        for number in 0..PLACES {
            newcomers.push(entrance.admit(&peer(&format!("198.51.100.{number}"))).await.unwrap());
        }
        let leaving = entrance.counts().leaving;
        assert!((1..=LEAVING).contains(&leaving), "{leaving}");
        while gone.join_next().await.is_some() {}
        assert_eq!((entrance.counts().open, entrance.counts().leaving), (PLACES, 0));
        // Where nobody goes, whoever is one too many is refused still.
        for newcomer in newcomers.iter().take(LEAVING as usize + 1) {
            newcomer.presence().is_silent();
        }
        tokio::time::advance(std::time::Duration::from_millis(1)).await;
        let mut last = Vec::new();
        for _ in 0..LEAVING {
            last.push(entrance.admit(&peer("203.0.113.1")).await.unwrap());
        }
        let refused = entrance.admit(&peer("203.0.113.2")).await.unwrap_err();
        assert!(matches!(refused, TurnedAway::Refused(ConnectionRefused::Leaving { limit: LEAVING })));
    }

    fn peer(address: &str) -> Peer {
        let address = PeerAddress::from_socket(SocketAddr::new(address.parse().unwrap(), 40_000));
        Peer { address, local: LocalAddress::Ip("192.0.2.254:389".parse().unwrap()), proxied: None }
    }
}
