//! How a connection comes in, the same at every door: it is counted, and a proxy's says first whom it stands for.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::limits::{ConnectionLimits, Permit};
use super::listener::{Listener, Stream};
use super::peer::Peer;
use super::proxy::{HeaderError, Proxies};
use super::refused::ConnectionRefused;
use super::turns::let_others_first;
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
    /// The client has gone already, before it had a place.
    #[error("it was reset")]
    Gone,
}

/// What a door does with connections.
pub struct Ways<S, T> {
    /// Serves one that has come in, to its end.
    pub serve: S,
    /// Hears of one that does not come in.
    pub turn_away: T,
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

    /// Lets connections in until `shutdown` is cancelled, each in a task of `tracker`. Behind each few the others have their
    /// turn first: to accept costs less than to begin, and whoever came would run ahead of those who have come. What was reset
    /// before is not one of them: it is gone sooner than others could have come.
    pub async fn let_in<S, T, F>(
        self: Arc<Self>,
        listener: Listener,
        ways: Ways<S, T>,
        tracker: &TaskTracker,
        shutdown: CancellationToken,
    ) where
        S: Fn(Stream, Peer, Permit) -> F + Send + Sync + 'static,
        T: Fn(&TurnedAway) + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let ways = Arc::new(ways);
        let mut in_a_row = 0;
        loop {
            let next = async {
                let (stream, peer) = listener.accept().await;
                let permit = self.admit(&peer).await;
                (stream, peer, permit)
            };
            let (mut stream, peer, permit) = tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                next = next => next,
            };
            match permit {
                Ok(mut permit) => {
                    let (entrance, ways, shutdown) = (Arc::clone(&self), Arc::clone(&ways), shutdown.clone());
                    tracker.spawn(async move {
                        let met = tokio::select! {
                            biased;
                            met = entrance.meet(&mut stream, peer, &mut permit) => met,
                            () = shutdown.cancelled() => return,
                        };
                        match met {
                            // By itself: what is turned away is to cost no room for what it will never do.
                            Ok(peer) => Box::pin((ways.serve)(stream, peer, permit)).await,
                            Err(away) => (ways.turn_away)(&away),
                        }
                    });
                }
                Err(away) => (ways.turn_away)(&away),
            }
            in_a_row += 1;
            if in_a_row == IN_A_ROW_MAX {
                in_a_row = 0;
                let_others_first().await;
            }
        }
    }

    /// Counts a connection. What is one too many is told, and to be closed without a word: a client need not be answered,
    /// and an answer would cost what the limit is there to save. A proxy's waits where too many headers are still to come:
    /// mostly they have, and nobody has looked.
    ///
    /// # Errors
    /// The limit.
    pub(crate) async fn admit(&self, peer: &Peer) -> Result<Permit, TurnedAway> {
        if !self.proxies.is_proxy(peer) {
            let admitted = once_others_have_left(|| self.limits.admit(&peer.address)).await;
            return admitted.map_err(|refused| self.tell(peer, refused.into()));
        }
        let mut has_looked = false;
        loop {
            match once_others_have_left(|| self.limits.admit_unknown()).await {
                Ok(permit) => return Ok(permit),
                Err(ConnectionRefused::Awaited { .. }) if has_looked => {
                    // Also without one: the longest that was waited for makes room when that was long enough.
                    let _ = timeout(LOOK_PERIOD, self.limits.header_came()).await;
                }
                Err(ConnectionRefused::Awaited { .. }) => let_others_first().await,
                Err(refused) => return Err(self.tell(peer, refused.into())),
            }
            has_looked = true;
        }
    }

    /// Waits for what must come before anything else, and says who is at the other end.
    ///
    /// # Errors
    /// The connection is to be closed, which is told.
    async fn meet(&self, stream: &mut Stream, peer: Peer, permit: &mut Permit) -> Result<Peer, TurnedAway> {
        if !self.proxies.is_proxy(&peer) {
            return Ok(peer);
        }
        let header = tokio::select! {
            biased;
            header = self.proxies.read_header(stream, peer.clone()) => header,
            limit = permit.presence().asked_to_leave() => return Err(limit.into()),
        };
        let client = header.map_err(|error| self.tell(&peer, error.into()))?;
        if stream.is_gone() {
            return Err(TurnedAway::Gone);
        }
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
            TurnedAway::Header(HeaderError::Closed(_)) | TurnedAway::Gone => {}
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

/// So many connections are let in, one behind the other, before others have their turn: to begin them costs half a millisecond.
/// No limit of the config: nobody is refused by it.
const IN_A_ROW_MAX: u32 = 8;
/// So often it is looked whether a header was waited for long enough.
const LOOK_PERIOD: Duration = Duration::from_millis(5);

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use std::io::Write;
    use std::net::{SocketAddr, TcpStream};
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rustix::net::sockopt;
    use tokio::io::AsyncReadExt;

    use super::super::limits::ConnectionLimitSettings;
    use super::super::peer::{LocalAddress, PeerAddress};
    use super::super::refused::LimitsOf;
    use super::*;

    const PLACES: u32 = 100;
    const LEAVING: u32 = 8;
    const AWAITED: u32 = 16;

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

    /// Connections that wait to be accepted, and what listens.
    async fn come(count: usize) -> (Listener, Vec<TcpStream>) {
        let listener = Listener::bind_tcp("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local().socket().unwrap();
        let clients = (0..count).map(|_| TcpStream::connect(address).unwrap()).collect();
        (listener, clients)
    }

    #[tokio::test]
    async fn behind_each_few_that_come_in_others_have_their_turn() {
        for networks in [&[][..], &["127.0.0.0/8"][..]] {
            let (listener, mut clients) = come(200).await;
            let entrance = Arc::new(Entrance::new(limits(1_000), proxies(networks)));
            if !networks.is_empty() {
                clients.iter_mut().for_each(|client| client.write_all(b"PROXY UNKNOWN\r\n").unwrap());
            }
            let begun = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&begun);
            let ways = Ways {
                serve: move |_, _, _| {
                    counted.fetch_add(1, Ordering::Relaxed);
                    std::future::ready(())
                },
                turn_away: |away: &TurnedAway| panic!("{away}"),
            };
            let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
            let (others, stop) = (Arc::clone(&begun), shutdown.clone().drop_guard());
            let other = tokio::spawn(async move {
                let (mut before, _stop) = (0, stop);
                while before < 200 {
                    let_others_first().await;
                    let now = others.load(Ordering::Relaxed);
                    assert!(now - before <= 2 * IN_A_ROW_MAX as usize, "{before} {now}");
                    before = now;
                }
            });
            entrance.let_in(listener, ways, &tracker, shutdown).await;
            other.await.unwrap();
        }
    }

    #[tokio::test]
    async fn who_was_reset_takes_no_place_and_no_turn_of_who_is_alive() {
        for (networks, header) in
            [(&[][..], ""), (&["127.0.0.0/8"][..], "PROXY TCP4 192.0.2.7 127.0.0.1 4 389\r\n")]
        {
            let (listener, mut clients) = come(200).await;
            for client in clients.drain(..) {
                (&client).write_all(header.as_bytes()).unwrap();
                sockopt::set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
            }
            let mut alive = TcpStream::connect(listener.local().socket().unwrap()).unwrap();
            alive.write_all(header.replace("2.7", "2.8").as_bytes()).unwrap();
            // Fewer places and headers than have come.
            let entrance = Arc::new(Entrance::new(limits(2), proxies(networks)));
            let (served, refused) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
            let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
            let (counted, told, stop) = (Arc::clone(&served), Arc::clone(&refused), shutdown.clone());
            let ways = Ways {
                serve: move |mut stream: Stream, _, permit| {
                    counted.fetch_add(1, Ordering::Relaxed);
                    stop.cancel();
                    async move {
                        let _ = stream.read_u8().await;
                        drop(permit);
                    }
                },
                turn_away: move |away: &TurnedAway| match away {
                    TurnedAway::Gone | TurnedAway::Header(HeaderError::Closed(_)) => {}
                    away => told.lock().unwrap().push(away.to_string()),
                },
            };
            let counts = Arc::clone(&entrance);
            entrance.let_in(listener, ways, &tracker, shutdown).await;
            assert_eq!(*refused.lock().unwrap(), Vec::<String>::new());
            assert_eq!((served.load(Ordering::Relaxed), counts.counts().open), (1, 1));
            drop(alive);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_newcomer_waits_for_headers_and_then_the_longest_makes_room() {
        let entrance = Entrance::new(limits(1), proxies(&["192.0.2.0/24"]));
        let mut waited = Vec::new();
        for number in 0..AWAITED {
            waited.push(entrance.admit(&peer(&format!("192.0.2.{number}"))).await.unwrap());
        }
        let begun = tokio::time::Instant::now();
        let newcomer = entrance.admit(&peer("192.0.2.200")).await.unwrap();
        // The clock stands but for who waits.
        assert!((50..=55).contains(&begun.elapsed().as_millis()));
        let refused = waited[0].presence().is_asked_to_leave().unwrap();
        assert_eq!(refused, ConnectionRefused::Awaited { limit: AWAITED });
        assert!(waited[1].presence().is_asked_to_leave().is_none());
        // Where one is done, nobody has to go.
        drop((waited, newcomer));
        drop(entrance.admit(&peer("192.0.2.201")).await.unwrap());
        assert_eq!((entrance.counts().awaited, entrance.counts().made_room), (0, 1));
    }

    /// All places are taken by a few sources, which are silent.
    async fn full() -> (Entrance, Vec<Permit>) {
        let entrance = Entrance::new(limits(PLACES), proxies(&[]));
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

    fn limits(places: u32) -> Arc<ConnectionLimits> {
        ConnectionLimits::new(ConnectionLimitSettings {
            connections_max: places,
            connections_by_source_max: places,
            connections_before_bind_max: places,
            connections_before_bind_by_source_max: places,
            connections_reserved: 0,
            connections_leaving_max: LEAVING,
            proxy_headers_awaited_max: AWAITED,
            of: LimitsOf::Ldap,
        })
    }

    fn proxies(networks: &[&str]) -> Proxies {
        let networks = networks.iter().map(|network| network.parse().unwrap()).collect();
        Proxies { networks, header_time: Duration::from_secs(30), header_size_max: 4_096 }
    }

    fn peer(address: &str) -> Peer {
        let address = PeerAddress::from_socket(SocketAddr::new(address.parse().unwrap(), 40_000));
        Peer { address, local: LocalAddress::Ip("192.0.2.254:389".parse().unwrap()), proxied: None }
    }
}
