//! The listeners of `[server] http` and `https`: the API for holders of API tokens, and what anybody may ask: whether the
//! server is well, and its counters.
//!
//! Who asks may be a stranger, so connections are counted, and each has its deadlines.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Version};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::Request;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::api::{self, Api, CallRefusal, FromHere, RequestSource, TakesSecrets};
use super::health;
use super::metrics::metrics;
use crate::config::{Limit, Limits, SecretsInClear, Settings};
use crate::net::handshake;
use crate::net::mistaken::{self, Spoken};
use crate::net::{
    Answering, ConnectionLimitSettings, ConnectionLimits, ConnectionRefused, DRAIN_TIME_MAX, Entrance,
    HeaderError, LimitsOf, Listener, Peer, Permit, Presence, Proxies, Requests, Secured, SourceTurns, Stream,
    Tls, TurnedAway, Turns, Watched, Ways, WriteDeadline, linger,
};
use crate::registry::Registry;

/// What all HTTP listeners have in common.
pub struct PublicDoor {
    registry: Arc<Registry>,
    tls: Option<Arc<Tls>>,
    /// For handshakes, and what is read under TLS.
    turns: Turns,
    router: Router,
    entrance: Arc<Entrance>,
    secrets_in_clear: SecretsInClear,
    limits: Limits,
    shutdown: CancellationToken,
}

impl PublicDoor {
    /// The door over `registry`; connections end when `shutdown` is cancelled.
    pub fn new(
        registry: Arc<Registry>,
        tls: Option<Arc<Tls>>,
        settings: &Settings,
        proxies: Proxies,
        shutdown: CancellationToken,
    ) -> Arc<Self> {
        let limits = settings.limits.clone();
        let api =
            Api::new(Arc::clone(&registry), api::Door::Public).with_limits(&limits).with_tls(tls.clone());
        let of_metrics = api.clone();
        let router = health::router(Arc::clone(&registry), shutdown.clone())
            .route("/metrics", get(move |request: Parts| watch(of_metrics, request)));
        let router = api::mount(router, api).fallback(api::no_such_path);
        // What a connection has authenticated as is asked anew for each call: there is nothing to tell apart by it.
        let connections = ConnectionLimits::new(ConnectionLimitSettings {
            connections_max: limits.http_connections_max,
            connections_by_source_max: limits.http_connections_by_source_max,
            connections_before_bind_max: limits.http_connections_max,
            connections_before_bind_by_source_max: limits.http_connections_by_source_max,
            connections_reserved: limits.http_connections_reserved,
            connections_leaving_max: limits.connections_leaving_max,
            proxy_headers_awaited_max: limits.proxy_headers_awaited_max,
            of: LimitsOf::Http,
        });
        let entrance = Arc::new(Entrance::new(connections, proxies));
        let secrets_in_clear = settings.secrets_in_clear;
        let turns = Turns::new(tokio::runtime::Handle::current().metrics().num_workers());
        Arc::new(Self { registry, tls, turns, router, entrance, secrets_in_clear, limits, shutdown })
    }

    fn note(&self, limit: Limit) {
        self.registry.reached().note(limit);
    }

    fn note_away(&self, away: &TurnedAway) {
        self.note(match away {
            TurnedAway::Refused(refused) => limit_of(refused),
            TurnedAway::Header(HeaderError::TooLate) => Limit::proxy_header_time,
            TurnedAway::Header(HeaderError::TooLong { .. }) => Limit::proxy_header_size_max,
            TurnedAway::Header(_) | TurnedAway::Gone => return,
        });
    }
}

/// The limit by which a connection is refused, or makes room for others.
fn limit_of(refused: &ConnectionRefused) -> Limit {
    match refused {
        ConnectionRefused::Connections { .. } | ConnectionRefused::BeforeBind { .. } => {
            Limit::http_connections_max
        }
        ConnectionRefused::BySource { .. } | ConnectionRefused::BeforeBindBySource { .. } => {
            Limit::http_connections_by_source_max
        }
        ConnectionRefused::Leaving { .. } => Limit::connections_leaving_max,
        ConnectionRefused::Awaited { .. } => Limit::proxy_headers_awaited_max,
    }
}

/// The body of an answer, which is being given until this was sent.
struct Answered {
    body: Body,
    _answering: Answering,
}

impl HttpBody for Answered {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// `GET /metrics`
async fn watch(api: Api, request: Parts) -> Response {
    match api::admit_watcher(&api, &request).await {
        Ok(()) => metrics(api.registry()),
        Err(refusal) => refusal.into_response(),
    }
}

/// Serves until the server goes down; `is_tls` when connections begin with a TLS handshake.
pub async fn serve_public(listener: Listener, door: Arc<PublicDoor>, is_tls: bool) {
    let tracker = TaskTracker::new();
    let (entrance, shutdown) = (Arc::clone(&door.entrance), door.shutdown.clone());
    let (serving, telling) = (Arc::clone(&door), door);
    let ways = Ways {
        serve: move |stream, peer, permit| {
            serve_connection(Arc::clone(&serving), stream, peer, permit, is_tls)
        },
        turn_away: move |away: &TurnedAway| telling.note_away(away),
    };
    entrance.let_in(listener, ways, &tracker, shutdown).await;
    tracker.close();
    tracker.wait().await;
}

/// Where the requests of a connection come from.
#[derive(Clone, Copy)]
struct Origin {
    source: RequestSource,
    takes_secrets: TakesSecrets,
    from_here: FromHere,
    /// Whether it has a place that is set aside for asking whether the server is well.
    is_for_health: bool,
}

/// Serves one connection until it ends, or its time is over.
async fn serve_connection(door: Arc<PublicDoor>, stream: Stream, peer: Peer, permit: Permit, is_tls: bool) {
    if permit.is_reserved() {
        door.note(Limit::http_connections_reserved);
    }
    let source = RequestSource(peer.address.ip());
    let from = Origin {
        source,
        takes_secrets: TakesSecrets(
            door.secrets_in_clear.takes_secrets(is_tls || peer.is_tls_at_proxy(), peer.is_loopback()),
        ),
        from_here: FromHere(peer.is_loopback()),
        is_for_health: permit.is_for_few_words(),
    };
    let (presence, turns) = (permit.presence(), door.turns.of(peer.source_elsewhere()));
    if !is_tls {
        speak(&door, stream, &peer, from, presence, turns).await;
    } else if let Some(stream) = handshake(&door, stream, &peer, presence, &turns).await {
        speak(&door, stream, &peer, from, presence, turns).await;
    }
    drop(permit);
}

async fn handshake(
    door: &PublicDoor,
    stream: Stream,
    peer: &Peer,
    presence: &Presence,
    turns: &Arc<SourceTurns>,
) -> Option<Secured> {
    let acceptor = door.tls.as_ref()?.http_acceptor();
    let accepting = handshake::accept(acceptor, stream, peer, presence, turns);
    tokio::select! {
        accepted = timeout(door.limits.handshake_time, accepting) => match accepted {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                tracing::debug!(client = %peer.address, %error, "the TLS handshake for HTTP failed");
                None
            }
            Err(_) => {
                door.note(Limit::handshake_time);
                None
            }
        },
        limit = presence.asked_to_leave() => {
            door.note(limit_of(&limit));
            None
        }
        () = door.shutdown.cancelled() => None,
    }
}

/// Speaks HTTP/1.1 over a stream.
async fn speak<S>(
    door: &PublicDoor,
    stream: S,
    peer: &Peer,
    from: Origin,
    presence: &Arc<Presence>,
    turns: Arc<SourceTurns>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let requests = Requests::new(Arc::clone(presence));
    let stream = WriteDeadline::new(Watched::new(stream, Arc::clone(&requests)), door.limits.write_time);
    let router = door.router.clone();
    let answering = Arc::new(Mutex::new(()));
    let (turn, asked) = (Arc::clone(&answering), Arc::clone(&requests));
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(from.source);
        request.extensions_mut().insert(from.takes_secrets);
        request.extensions_mut().insert(from.from_here);
        let (router, turn, turns) = (router.clone(), Arc::clone(&turn), Arc::clone(&turns));
        let answering = asked.begin();
        Box::pin(async move {
            // One after the other, as HTTP/1.1 has it.
            let _turn = turn.lock().await;
            if let Some(refusal) = refuse_head(request.version(), request.headers()) {
                let mut response = refusal.into_response();
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                return Ok::<_, Infallible>(response);
            }
            if from.is_for_health && !request.uri().path().starts_with(HEALTH) {
                return Ok(health::no_place());
            }
            let answer = turns.answer(router.oneshot(request)).await?;
            Ok(answer.map(|body| Body::new(Answered { body, _answering: answering })))
        })
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // Who closes its side behind a request may wait for the answer.
        .half_close(true)
        .header_read_timeout(door.limits.http_header_time)
        .max_header_size(HEADER_OCTETS_MAX)
        .max_buf_size(BUFFER_OCTETS_MAX)
        .serve_connection(TokioIo::new(stream), service);
    // It is closed below, so that what it has answered last reaches a client that still sends.
    let mut turn = tokio::select! {
        ended = poll_fn(|context| connection.poll_without_shutdown(context)) => Turn::Ended(ended),
        limit = presence.asked_to_leave() => Turn::MadeRoom(limit),
        () = sleep(door.limits.http_connection_time) => Turn::Old,
        () = door.shutdown.cancelled() => Turn::GoingDown,
    };
    if let Turn::MadeRoom(limit) = turn {
        door.note(limit_of(&limit));
        // What was asked at the last moment is answered.
        if !requests.is_answering() {
            // Its descriptor is waited for.
            let mut stream = connection.into_parts().io.into_inner();
            let _ = timeout(CLOSE_TIME_MAX, stream.shutdown()).await;
            return;
        }
    }
    if !matches!(turn, Turn::Ended(_)) {
        if matches!(turn, Turn::Old) {
            door.note(Limit::http_connection_time);
        }
        Pin::new(&mut connection).graceful_shutdown();
        // What is being answered is; who takes longer to read it is cut off.
        turn = tokio::select! {
            ended = poll_fn(|context| connection.poll_without_shutdown(context)) => Turn::Ended(ended),
            () = patience(door, &turn, &answering) => turn,
        };
    }
    let Turn::Ended(ended) = turn else { return };
    let mut stream = connection.into_parts().io.into_inner();
    match ended {
        Err(error) if error.is_timeout() => door.note(Limit::http_header_time),
        Err(error) if error.is_parse() => {
            mistaken::tell_spoken(peer, stream.inner().first(), Spoken::Http);
        }
        _ => {}
    }
    if stream.is_over() {
        return door.note(Limit::write_time);
    }
    linger(&mut stream, CLOSE_TIME_MAX).await;
}

/// Why a request is not looked at, if its header says too little or two things (RFC 9110 5.3; of `Host` RFC 9112 3.2): what
/// stands in front of the server may have heard the other one.
fn refuse_head(version: Version, headers: &HeaderMap) -> Option<CallRefusal> {
    let count = |name| headers.get_all(name).iter().count();
    if version == Version::HTTP_11 && count(HOST) == 0 {
        return Some(CallRefusal::malformed("a request of HTTP/1.1 has a header field `Host`"));
    }
    let twice = [HOST, AUTHORIZATION, CONTENT_TYPE].into_iter().find(|name| count(name.clone()) > 1)?;
    Some(CallRefusal::malformed(format!("the header field `{twice}` is there more than once")))
}

/// Why a connection is no longer just served.
enum Turn {
    /// It has ended.
    Ended(hyper::Result<()>),
    /// There were too many.
    MadeRoom(ConnectionRefused),
    /// It has lasted long enough.
    Old,
    /// The server goes down.
    GoingDown,
}

/// How long the answer to the present request is waited for: when the server goes down, until there is one, and as long
/// again as a connection may take to be closed. Whoever has asked for nothing is closed at once.
async fn patience(door: &PublicDoor, turn: &Turn, answering: &Mutex<()>) {
    if !matches!(turn, Turn::GoingDown) {
        tokio::select! {
            () = sleep(door.limits.http_request_time + door.limits.write_time) => return,
            () = door.shutdown.cancelled() => {}
        }
    }
    let _ = timeout(ANSWER_TIME_MAX, answering.lock()).await;
    sleep(CLOSE_TIME_MAX).await;
}

/// How long a call that is being answered when the server goes down may still take: what is waited for all connections,
/// less the time to close them.
/// No limit of the config: it follows from what is waited for all connections.
const ANSWER_TIME_MAX: Duration = DRAIN_TIME_MAX.saturating_sub(Duration::from_secs(2));
/// The paths that tell whether the server is well.
const HEALTH: &str = "/-/health/";
/// What a connection may still take when it is closed, or when the server goes down.
/// No limit of the config: it is for a peer to answer a close, and who has not by then does not.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(1);
/// The largest header of a request, its first line included.
/// No limit of the config: no client has a larger one, and `http_connections_max` bounds how often.
const HEADER_OCTETS_MAX: usize = 32 * 1024;
/// What is read ahead and held back for one connection at most.
/// No limit of the config: `http_connections_max` bounds how often.
const BUFFER_OCTETS_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests;
