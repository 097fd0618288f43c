//! Whether the server is well: `/-/health/live/` and `/-/health/ready/`.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::header::{CONNECTION, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::clock::Standing;
use crate::registry::Registry;

/// What the answers are made from.
struct Health {
    registry: Arc<Registry>,
    shutdown: CancellationToken,
    /// When a store that a full disk had closed was last asked to go on.
    resumed: Mutex<Option<Instant>>,
}

/// The routes.
pub(super) fn router(registry: Arc<Registry>, shutdown: CancellationToken) -> Router {
    let health = Health { registry, shutdown, resumed: Mutex::new(None) };
    Router::new()
        .route("/-/health/live/", get(|| async { StatusCode::NO_CONTENT }))
        .route("/-/health/ready/", get(ready))
        .with_state(Arc::new(health))
}

/// Ready is who can do everything that is asked of it, changes included.
async fn ready(State(health): State<Arc<Health>>) -> Response {
    if health.shutdown.is_cancelled() {
        return not_ready("the server is going down");
    }
    if health.registry.writer_ended().is_none_or(|ended| ended.is_cancelled()) {
        return not_ready("the server takes no changes any more: start it again");
    }
    let asked = Arc::clone(&health);
    // To ask a file system for its free space may take long when it is a broken one.
    let hindrance = spawn_blocking(move || asked.registry.store().hindrance()).await;
    let Ok(hindrance) = hindrance else {
        return not_ready("whether the store takes changes cannot be asked");
    };
    let Some(hindrance) = hindrance else { return with_clock(&health.registry) };
    // The answer does not wait for it: the whole store is read again.
    drop(spawn_blocking(move || health.resume()));
    not_ready(hindrance)
}

impl Health {
    /// Lets a store go on that a full disk had closed. A change does so too, but whoever sends changes only to a server
    /// that is ready would never send one. Strangers may ask, so it is not done often.
    fn resume(&self) {
        let Ok(mut last) = self.resumed.try_lock() else { return };
        if last.is_none_or(|last| last.elapsed() >= RESUME_PERIOD) {
            if let Err(error) = self.registry.store().resume() {
                tracing::debug!(%error, "the store does not go on yet");
            }
            *last = Some(Instant::now());
        }
    }
}

/// Whoever is ready is so with any clock: it may be right after a weekend off, or after a backup was restored. What is wrong
/// with it is only said.
fn with_clock(registry: &Registry) -> Response {
    let report = registry.clock().report();
    match report.standing {
        Standing::Believed => StatusCode::NO_CONTENT.into_response(),
        Standing::Ahead | Standing::Behind => (StatusCode::OK, format!("{report}\n")).into_response(),
    }
}

/// For whoever asks something else over a place that is set aside for health.
pub(super) fn no_place() -> Response {
    let mut response = not_ready("there are too many connections (http_connections_max): ask again");
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn not_ready(reason: impl std::fmt::Display) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response()
}

/// The time between two tries to go on.
const RESUME_PERIOD: Duration = Duration::from_secs(5);

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use axum::body::Body;
    use axum::http::{Method, Request};
    use tower::ServiceExt;

    use super::*;
    use crate::model::Timestamp;
    use crate::registry::RegistrySettings;
    use crate::store::{DiskStore, MemoryStore, Store};

    fn over(store: Arc<dyn Store>) -> (Arc<Registry>, Router, CancellationToken) {
        let registry = Registry::open(store, RegistrySettings::default()).unwrap();
        let shutdown = CancellationToken::new();
        (Arc::clone(&registry), router(registry, shutdown.clone()), shutdown)
    }

    async fn ask(router: &Router, method: Method, path: &str) -> StatusCode {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        router.clone().oneshot(request).await.unwrap().status()
    }

    async fn is_ready(router: &Router) -> bool {
        let got = ask(router, Method::GET, "/-/health/ready/").await;
        assert_eq!(ask(router, Method::GET, "/-/health/live/").await, StatusCode::NO_CONTENT);
        match got {
            StatusCode::NO_CONTENT => true,
            StatusCode::SERVICE_UNAVAILABLE => false,
            other => panic!("{other}"),
        }
    }

    #[tokio::test]
    async fn a_full_store_is_not_ready_until_it_takes_changes_again() {
        let store = Arc::new(MemoryStore::new());
        let (_registry, router, shutdown) = over(store.clone());
        assert!(is_ready(&router).await);
        assert_eq!(ask(&router, Method::HEAD, "/-/health/ready/").await, StatusCode::NO_CONTENT);
        store.set_full(true);
        assert!(!is_ready(&router).await);
        assert_eq!(ask(&router, Method::HEAD, "/-/health/ready/").await, StatusCode::SERVICE_UNAVAILABLE);
        store.set_full(false);
        assert!(is_ready(&router).await);
        shutdown.cancel();
        assert!(!is_ready(&router).await);
    }

    #[tokio::test]
    async fn who_doubts_its_clock_is_ready_and_says_so() {
        let early = Timestamp::from_unix_seconds(1_800_000_000);
        let said = Arc::new(Mutex::new((early, Duration::ZERO)));
        let clock = Arc::new(crate::clock::Clock::of_test(Arc::clone(&said)));
        let settings = RegistrySettings { clock, ..RegistrySettings::default() };
        let registry = Registry::open(Arc::new(MemoryStore::new()), settings).unwrap();
        let router = router(registry, CancellationToken::new());
        assert!(is_ready(&router).await);
        *said.lock().unwrap() = (early.after(Duration::from_secs(400 * 24 * 60 * 60)), Duration::ZERO);
        let request = Request::builder().uri("/-/health/ready/").body(Body::empty()).unwrap();
        let answer = router.oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let body = axum::body::to_bytes(answer.into_body(), 4_096).await.unwrap();
        let text = String::from_utf8_lossy(&body);
        assert!(text.contains("2027-01-15") && text.contains("--trust-clock"), "{text}");
    }

    #[tokio::test]
    async fn a_store_that_was_closed_by_a_full_disk_goes_on_by_being_asked() {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(DiskStore::open(directory.path()).unwrap());
        let (registry, router, _) = over(store.clone());
        assert!(is_ready(&router).await);
        store.close_as_full();
        assert!(!is_ready(&router).await);
        // It was asked to go on, and there is space.
        while !is_ready(&router).await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        registry.close();
        assert!(!is_ready(&router).await, "without a writer nothing is changed");
    }
}
