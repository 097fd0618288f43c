//! What anybody may ask on a listener of `[server] http`: whether the server is well, and its counters.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use axum::serve::Listener as AxumListener;
use tokio_util::sync::CancellationToken;

use super::metrics::metrics;
use crate::net::{Listener, PeerAddress, Stream};
use crate::registry::Registry;

/// Serves health checks and metrics until the server goes down.
pub async fn serve_public(listener: Listener, registry: Arc<Registry>, shutdown: CancellationToken) {
    let is_down = shutdown.clone();
    let router = Router::new()
        .route("/-/health/live/", get(|| async { StatusCode::NO_CONTENT }))
        .route("/-/health/ready/", get(move || async move { ready(is_down.is_cancelled()) }))
        .route("/metrics", get(move || async move { metrics(&registry) }));
    let served =
        axum::serve(PublicListener(listener), router).with_graceful_shutdown(shutdown.cancelled_owned());
    // The listener never fails.
    if let Err(error) = served.await {
        tracing::error!(%error, "an HTTP listener is no longer served");
    }
}

fn ready(is_down: bool) -> StatusCode {
    if is_down { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::NO_CONTENT }
}

struct PublicListener(Listener);

impl AxumListener for PublicListener {
    type Io = Stream;
    type Addr = PeerAddress;

    async fn accept(&mut self) -> (Stream, PeerAddress) {
        let (stream, peer) = self.0.accept().await;
        (stream, peer.address)
    }

    fn local_addr(&self) -> io::Result<PeerAddress> {
        let address = self.0.local().socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(PeerAddress::from_socket(address))
    }
}
