//! The listeners of `[server] http`: the API for holders of API tokens, and what anybody may ask: whether the server is
//! well, and its counters.
//!
//! Who asks may be a stranger, so connections are counted, and each has its deadlines.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::routing::get;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::api::{self, Api, RequestSource};
use super::metrics::metrics;
use crate::config::{Limit, Limits};
use crate::net::{ConnectionLimitSettings, ConnectionLimits, ConnectionRefused, Listener, Permit};
use crate::registry::Registry;

/// What all HTTP listeners have in common.
pub struct PublicDoor {
    registry: Arc<Registry>,
    router: Router,
    connections: Arc<ConnectionLimits>,
    header_time: Duration,
    connection_time: Duration,
    shutdown: CancellationToken,
}

impl PublicDoor {
    /// The door over `registry`; connections end when `shutdown` is cancelled.
    pub fn new(registry: Arc<Registry>, limits: &Limits, shutdown: CancellationToken) -> Arc<Self> {
        let (is_down, of_metrics) = (shutdown.clone(), Arc::clone(&registry));
        let router = Router::new()
            .route("/-/health/live/", get(|| async { StatusCode::NO_CONTENT }))
            .route("/-/health/ready/", get(move || async move { ready(is_down.is_cancelled()) }))
            .route("/metrics", get(move || async move { metrics(&of_metrics) }))
            .nest(api::PREFIX, api::router(Api::new(Arc::clone(&registry), api::Door::Public)));
        // Nobody authenticates here, so that there is nothing to tell apart by it.
        let connections = ConnectionLimits::new(ConnectionLimitSettings {
            connections_max: limits.http_connections_max,
            connections_by_source_max: limits.http_connections_by_source_max,
            connections_before_bind_max: limits.http_connections_max,
            connections_before_bind_by_source_max: limits.http_connections_by_source_max,
        });
        Arc::new(Self {
            registry,
            router,
            connections,
            header_time: limits.http_header_time,
            connection_time: limits.http_connection_time,
            shutdown,
        })
    }

    fn note(&self, limit: Limit) {
        self.registry.reached().note(limit);
    }
}

/// Serves health checks and metrics until the server goes down.
pub async fn serve_public(listener: Listener, door: Arc<PublicDoor>) {
    let tracker = TaskTracker::new();
    loop {
        let (stream, peer) = tokio::select! {
            biased;
            () = door.shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match door.connections.admit(&peer.address) {
            Ok(permit) => {
                let source = RequestSource(peer.address.ip());
                tracker.spawn(serve_connection(Arc::clone(&door), stream, source, permit));
            }
            Err(refused) => {
                tracing::debug!(peer = %peer.address, "an HTTP connection was refused");
                door.note(match refused {
                    ConnectionRefused::Connections { .. } | ConnectionRefused::BeforeBind { .. } => {
                        Limit::http_connections_max
                    }
                    ConnectionRefused::BySource { .. } | ConnectionRefused::BeforeBindBySource { .. } => {
                        Limit::http_connections_by_source_max
                    }
                });
            }
        }
    }
    tracker.close();
    tracker.wait().await;
}

/// Serves one connection until it ends, or its time is over.
async fn serve_connection<S>(door: Arc<PublicDoor>, stream: S, source: RequestSource, permit: Permit)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = TowerToHyperService::new(door.router.clone().layer(Extension(source)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(door.header_time)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        served = &mut connection => {
            if served.is_err_and(|error| error.is_timeout()) {
                door.note(Limit::http_header_time);
            }
        }
        () = sleep(door.connection_time) => door.note(Limit::http_connection_time),
        () = door.shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            // What is being answered is; who takes longer to read it is cut off.
            let _ = timeout(CLOSE_TIME, connection).await;
        }
    }
    drop(permit);
}

fn ready(is_down: bool) -> StatusCode {
    if is_down { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::NO_CONTENT }
}

/// What a connection may still take when the server goes down.
const CLOSE_TIME: Duration = Duration::from_secs(1);

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;
    use crate::registry::RegistrySettings;
    use crate::store::MemoryStore;

    /// A door with short deadlines, on a port that is free.
    async fn door(connections_max: u32, header_ms: u64, connection_ms: u64) -> (Arc<PublicDoor>, SocketAddr) {
        let registry = Registry::open(Arc::new(MemoryStore::new()), RegistrySettings::default()).unwrap();
        let limits = Limits {
            http_connections_max: connections_max,
            http_header_time: Duration::from_millis(header_ms),
            http_connection_time: Duration::from_millis(connection_ms),
            ..Limits::default()
        };
        let door = PublicDoor::new(registry, &limits, CancellationToken::new());
        let listener = Listener::bind_tcp("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local().socket().unwrap();
        tokio::spawn(serve_public(listener, Arc::clone(&door)));
        (door, address)
    }

    async fn ask(stream: &mut TcpStream, path: &str) -> String {
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
        let mut octets = vec![0; 16 * 1024];
        let mut read = 0;
        loop {
            let more = stream.read(&mut octets[read..]).await.unwrap();
            read += more;
            let text = String::from_utf8_lossy(&octets[..read]);
            if more == 0 || text.contains("204") || text.contains("} 0\n") {
                return text.into_owned();
            }
        }
    }

    /// Waits for the server to close.
    async fn is_closed(stream: &mut TcpStream) -> bool {
        let mut rest = Vec::new();
        timeout(Duration::from_secs(30), stream.read_to_end(&mut rest)).await.is_ok()
    }

    fn reached(door: &PublicDoor, limit: Limit) -> u64 {
        door.registry.reached().count(limit)
    }

    #[tokio::test]
    async fn one_connection_too_many_is_closed_and_counted() {
        let (door, address) = door(2, 60_000, 60_000).await;
        let mut first = TcpStream::connect(address).await.unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        assert!(ask(&mut first, "/-/health/live/").await.contains("204"));
        assert!(ask(&mut second, "/-/health/ready/").await.contains("204"));
        let mut third = TcpStream::connect(address).await.unwrap();
        assert!(is_closed(&mut third).await);
        assert_eq!(reached(&door, Limit::http_connections_max), 1);
        // Who goes makes room.
        drop(first);
        while door.connections.counts().open > 1 {
            sleep(Duration::from_millis(5)).await;
        }
        let mut fourth = TcpStream::connect(address).await.unwrap();
        assert!(ask(&mut fourth, "/metrics").await.contains("bindery_limit_reached_total{limit=\""));
    }

    #[tokio::test]
    async fn silent_clients_are_closed() {
        let (door, address) = door(10, 50, 60_000).await;
        let mut silent = TcpStream::connect(address).await.unwrap();
        assert!(is_closed(&mut silent).await);
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        assert!(is_closed(&mut slow).await);
        // Between two requests too.
        let mut idle = TcpStream::connect(address).await.unwrap();
        assert!(ask(&mut idle, "/-/health/live/").await.contains("204"));
        assert!(is_closed(&mut idle).await);
        assert!(reached(&door, Limit::http_header_time) >= 2);
        assert_eq!(reached(&door, Limit::http_connection_time), 0);
    }

    #[tokio::test]
    async fn no_connection_outlives_its_time() {
        let (door, address) = door(10, 60_000, 50).await;
        let mut silent = TcpStream::connect(address).await.unwrap();
        assert!(is_closed(&mut silent).await);
        assert_eq!(reached(&door, Limit::http_connection_time), 1);
        while door.connections.counts().open > 0 {
            sleep(Duration::from_millis(5)).await;
        }
    }
}
