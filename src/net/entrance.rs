//! How a connection comes in, the same at every door: it is counted, and a proxy's says first whom it stands for.

use std::sync::Arc;

use thiserror::Error;

use super::limits::{ConnectionLimits, ConnectionRefused, Permit};
use super::listener::Stream;
use super::peer::Peer;
use super::proxy::{HeaderError, Proxies};
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
    pub fn admit(&self, peer: &Peer) -> Result<Permit, TurnedAway> {
        let admitted = match self.proxies.is_proxy(peer) {
            true => self.limits.admit_unknown(),
            false => self.limits.admit(&peer.address),
        };
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
