//! What stands around every call: whether it may come in at all, its id, its time, its line in the log, and the headers
//! of its answer.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use axum::extract::{OriginalUri, Request, State};
use axum::http::header::{CACHE_CONTROL, CONNECTION, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;

use super::Api;
use super::call::{Door, RequestId, RequestSource, TakesSecrets};
use super::refusal::CallRefusal;
use super::waiting::WaitsForRoom;
use crate::config::Limit;
use crate::seldom::{self, Seldom};

/// Carries a call out, if it may come in.
pub(super) async fn guard(
    State(api): State<Api>,
    OriginalUri(uri): OriginalUri,
    mut request: Request,
    next: Next,
) -> Response {
    let begun = Instant::now();
    let id = RequestId::new();
    let method = request.method().clone();
    let admitted = match uri_octets(&uri) {
        octets if octets > URI_OCTETS_MAX => Err(CallRefusal::uri_too_long(URI_OCTETS_MAX)),
        _ => admit(&api, &request),
    };
    let waits = WaitsForRoom::default();
    request.extensions_mut().insert(id);
    request.extensions_mut().insert(waits.clone());
    let mut response = match admitted {
        Ok(()) => carry_out(&api, id, &waits, next.run(request)).await,
        Err(refusal) => refusal.into_response(),
    };
    let status = response.status();
    put_headers(response.headers_mut(), id, status, waits.has_body_to_come());
    // Never the query, which may hold what somebody is looked for by.
    tracing::debug!(
        %method,
        path = uri.path(),
        status = status.as_u16(),
        microseconds = begun.elapsed().as_micros(),
        request = %id,
        "a call was answered"
    );
    response
}

/// Whether a call is looked at. What its credential is worth is not asked before this.
fn admit(api: &Api, request: &Request) -> Result<(), CallRefusal> {
    if api.door == Door::Local {
        return Ok(());
    }
    let extensions = request.extensions();
    if !extensions.get::<TakesSecrets>().copied().unwrap_or_default().0 {
        return Err(CallRefusal::in_clear());
    }
    api.admit_source(extensions.get::<RequestSource>().and_then(|source| source.0))
}

/// Waits for the answer of a handler, as long as one may take. One that panics fails alone.
async fn carry_out(
    api: &Api,
    id: RequestId,
    waits: &WaitsForRoom,
    handling: impl Future<Output = Response>,
) -> Response {
    let handling = caught(handling);
    let handled = match api.bounds.request_time {
        None => handling.await,
        Some(time) => match timeout(time, handling).await {
            Ok(handled) => handled,
            // It was counted when it began to wait.
            Err(_) if waits.is_so() => return CallRefusal::no_memory().into_response(),
            Err(_) => {
                api.registry.reached().note(Limit::http_request_time);
                return CallRefusal::too_late(time).into_response();
            }
        },
    };
    handled.unwrap_or_else(|Panicked| {
        if let Some(count) = seldom::note(Seldom::HandlerPanicked) {
            tracing::error!(count, request = %id, "{}", Seldom::HandlerPanicked.sentence());
        }
        CallRefusal::internal().into_response()
    })
}

/// A future that has panicked; what it said stands in standard error.
struct Panicked;

async fn caught<T>(future: impl Future<Output = T>) -> Result<T, Panicked> {
    let mut future = pin!(future);
    // What the future holds is dropped with it, and what others share with it takes care of itself.
    poll_fn(move |context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(_) => Poll::Ready(Err(Panicked)),
    })
    .await
}

fn put_headers(headers: &mut HeaderMap, id: RequestId, status: StatusCode, has_body_to_come: bool) {
    if let Ok(id) = HeaderValue::try_from(id.to_string()) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // A secret may stand in an answer, and what one may see changes at any time.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let is_body_unread =
        [StatusCode::REQUEST_TIMEOUT, StatusCode::PAYLOAD_TOO_LARGE, StatusCode::UNSUPPORTED_MEDIA_TYPE];
    if has_body_to_come || is_body_unread.contains(&status) {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

fn uri_octets(uri: &axum::http::Uri) -> usize {
    uri.path_and_query().map_or(0, |path| path.as_str().len())
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest path with its query.
/// No limit of the config: `HEADER_OCTETS_MAX` bounds it too, and the sentence is clearer.
const URI_OCTETS_MAX: usize = 16 * 1024;
