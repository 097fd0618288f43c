//! What a body may cost, whoever sends it: its values, its memory, and the threads that read it and write long answers.

use std::sync::mpsc;
use std::time::Duration;

use axum::Extension;
use axum::http::HeaderMap;
use axum::response::Response;
use tokio::task::JoinHandle;

use super::rights::{Fixture, global};
use super::*;
use crate::audit::EventObject;
use crate::config::{Limit, Limits};
use crate::http::api::call::{RequestSource, TakesSecrets, memory_holders};
use crate::http::api::{PREFIX, body, mount};
use crate::net::{MemoryHolder, Share};

/// `robot`, who calls by the network, under limits of its own.
struct Bounded {
    fixture: Fixture,
    api: Api,
    router: Router,
}

impl Bounded {
    async fn new(limits: Limits) -> Self {
        let fixture = Fixture::new().await;
        let api = Api::new(Arc::clone(&fixture.registry), Door::Public).with_limits(&limits);
        let router = mount(Router::new(), api.clone())
            .layer(Extension(RequestSource(None)))
            .layer(Extension(TakesSecrets(true)));
        Self { fixture, api, router }
    }

    fn begin(&self, method: Method, path: &str, body: String) -> JoinHandle<Response> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{PREFIX}{path}"))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.fixture.secret))
            .header(header::CONTENT_TYPE, "application/json");
        let router = self.router.clone();
        tokio::spawn(async move { router.oneshot(request.body(Body::from(body)).unwrap()).await.unwrap() })
    }

    async fn send(&self, method: Method, path: &str, body: String) -> (StatusCode, Value) {
        read(self.begin(method, path, body)).await
    }

    fn reached(&self, limit: Limit) -> u64 {
        self.fixture.registry.reached().count(limit)
    }

    async fn is_reached(&self, limit: Limit) {
        until(|| self.reached(limit) > 0).await;
    }

    /// All the room that bodies have, taken by somebody else.
    fn full(&self) -> Share<MemoryHolder> {
        let mut share = self.api.bounds.body_memory.share([None; 4]);
        share.force(u64::MAX / 2);
        share
    }
}

async fn read(call: JoinHandle<Response>) -> (StatusCode, Value) {
    let answer = call.await.unwrap();
    let status = answer.status();
    let octets = to_bytes(answer.into_body(), 4 << 20).await.unwrap();
    (status, serde_json::from_slice(&octets).unwrap_or_default())
}

async fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// An account with a name of so many octets.
fn named(octets: usize) -> String {
    json!({ "username": "new", "name": "x".repeat(octets) }).to_string()
}

const LARGE: usize = 200 << 10;

#[tokio::test]
async fn a_body_has_so_many_values() {
    let bounded = Bounded::new(Limits { http_body_values_max: 10_000, ..Limits::default() }).await;
    let list = |count: usize| format!("{{\"name\": \"x\", \"users\": [{}0]}}", "0,".repeat(count - 1));
    // Two names, a name as a value, the list, and the object, which counts as ten.
    let most = 10_000 - 14;
    let mut refused = 0;
    for (body, is_read) in [
        (list(most), true),
        (list(most + 1), false),
        (list(500_000), false),
        (format!("{{\"attributes\": {{{}\"z\": 0}}}}", "\"a\":0,".repeat(100_000)), false),
        (format!("{{\"attributes\": {{\"a\": [{}0]}}}}", "{\"\":0},".repeat(1_000)), false),
        ("[".to_owned() + &"[],".repeat(10_000), false),
    ] {
        let (status, answer) = bounded.send(Method::POST, "/core/groups/", body).await;
        if is_read {
            assert_eq!(status, StatusCode::FORBIDDEN, "{answer}");
        } else {
            refused += 1;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
            assert!(
                answer["non_field_errors"][0].as_str().unwrap().contains("at most 10000 values"),
                "{answer}"
            );
        }
        assert_eq!(bounded.reached(Limit::http_body_values_max), refused);
    }
    assert_eq!(bounded.api.bounds.body_memory.used(), 0);
}

/// The largest lists that fit into a body by its octets.
#[tokio::test]
async fn a_large_group_is_said_in_one_body() {
    let bounded = Bounded::new(Limits::default()).await;
    bounded.fixture.grant(vec![global(Permission::AddGroup)]).await;
    let members: Vec<u32> = (1..=150_000).collect();
    let values: Vec<String> = (0..90_000).map(|number| format!("{number:x}")).collect();
    for (body, field) in [
        (json!({ "name": "all", "users": members }), "users"),
        (json!({ "name": "", "attributes": { "description": values } }), "name"),
    ] {
        let body = body.to_string();
        assert!(body.len() < 1 << 20, "{}", body.len());
        // Somebody has read them all.
        let (status, answer) = bounded.send(Method::POST, "/core/groups/", body).await;
        assert_eq!((status, answer[field].is_array()), (StatusCode::BAD_REQUEST, true), "{answer}");
    }
    assert_eq!(bounded.reached(Limit::http_body_values_max), 0);
}

#[tokio::test]
async fn a_large_body_is_read_in_its_turn() {
    let bounded = Bounded::new(Limits { http_readings_max: 1, ..Limits::default() }).await;
    let turn = Arc::clone(&bounded.api.bounds.readings).acquire_owned().await.unwrap();
    let large = bounded.begin(Method::POST, "/core/users/", named(LARGE));
    bounded.is_reached(Limit::http_readings_max).await;
    // What it may say counts as long as nobody has looked, and what is small is read where it has come.
    let memory = &bounded.api.bounds.body_memory;
    assert!(memory.used() > LARGE as u64, "{}", memory.used());
    let small = bounded.send(Method::POST, "/core/users/", named(1 << 10)).await.0;
    assert_eq!((small, large.is_finished()), (StatusCode::FORBIDDEN, false));
    drop(turn);
    assert_eq!(read(large).await.0, StatusCode::FORBIDDEN);
    assert_eq!((memory.used(), bounded.reached(Limit::http_readings_max)), (0, 1));
}

/// What is read of it is looked at, and forgotten, where it was read.
#[tokio::test]
async fn a_large_body_is_begun_on_a_thread_of_its_own() {
    let bounded = Bounded::new(Limits::default()).await;
    let (api, caller, waits) = (&bounded.api, operator(), Default::default());
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
    let here = std::thread::current().id();
    for (octets, is_here) in [(1 << 10, true), (LARGE, false)] {
        let received =
            body::receive(api, memory_holders(&caller), &waits, &headers, true, Body::from(named(octets)));
        let received = received.await.unwrap_or_else(|refusal| panic!("{refusal:?}"));
        let threads = received.begin(api, &caller, &waits, |_, _| async move {
            let begun = std::thread::current().id();
            // It goes on where it is waited for.
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok((begun, std::thread::current().id()))
        });
        let (begun, ended) = threads.await.unwrap_or_else(|refusal| panic!("{refusal:?}"));
        assert_eq!((begun == here, ended == here), (is_here, true), "{octets}");
    }
}

#[tokio::test]
async fn a_large_body_waits_for_room_and_small_ones_do_not() {
    let limits = Limits { http_request_time: Duration::from_secs(60), ..Limits::default() };
    let bounded = Bounded::new(limits).await;
    let full = bounded.full();
    let large = bounded.begin(Method::POST, "/core/users/", named(LARGE));
    bounded.is_reached(Limit::http_body_memory_max).await;
    // One that is small and has many values takes as much.
    let values = format!("{{\"users\": [{}0]}}", "0,".repeat(4_000));
    let many = bounded.begin(Method::POST, "/core/groups/", values);
    until(|| bounded.reached(Limit::http_body_memory_max) == 2).await;
    let small = bounded.send(Method::POST, "/core/users/", named(10 << 10)).await.0;
    let are_answered = large.is_finished() || many.is_finished();
    assert_eq!((small, are_answered), (StatusCode::FORBIDDEN, false));
    drop(full);
    assert_eq!(read(large).await.0, StatusCode::FORBIDDEN);
    assert_eq!(read(many).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(bounded.api.bounds.body_memory.used(), 0);
}

/// Whatever stands in the body of a call that takes none, it is refused at once, and nobody is kept waiting for it.
#[tokio::test]
async fn a_call_that_takes_no_body_makes_room_for_none() {
    let limits = Limits { http_request_time: Duration::from_secs(2), ..Limits::default() };
    let bounded = Bounded::new(limits).await;
    let full = bounded.full();
    for (method, path) in [(Method::GET, "/core/users/"), (Method::DELETE, "/core/users/1/")] {
        let refused = bounded.begin(method.clone(), path, named(LARGE)).await.unwrap();
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{method}");
        // It is not taken to its end.
        assert_eq!(refused.headers()[header::CONNECTION], "close", "{method}");
    }
    assert_eq!(bounded.reached(Limit::http_body_memory_max), 0);
    // Who is nobody has a part of it at most.
    let mut stranger = bounded.api.bounds.body_memory.share(MemoryHolder::all(None, None, false));
    assert!(!stranger.set(1) && stranger.set(0));
    drop(full);
    let memory = &bounded.api.bounds.body_memory;
    assert!(!stranger.set(memory.alone_max()) && stranger.set(memory.alone_max() / 3));
}

#[tokio::test]
async fn a_body_for_which_there_is_no_room_in_time_is_refused() {
    let bounded =
        Bounded::new(Limits { http_request_time: Duration::from_secs(2), ..Limits::default() }).await;
    let full = bounded.full();
    let refused = bounded.begin(Method::POST, "/core/users/", named(LARGE)).await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()[header::RETRY_AFTER], "1");
    // What of it is still to come is not taken.
    assert_eq!(refused.headers()[header::CONNECTION], "close");
    let reached = [Limit::http_body_memory_max, Limit::http_request_time].map(|limit| bounded.reached(limit));
    assert_eq!(reached, [1, 0]);
    drop(full);
    assert_eq!(bounded.api.bounds.body_memory.used(), 0);
}

/// Whoever does not wait for its change has it in the queue all the same.
#[tokio::test]
async fn a_body_counts_until_its_change_is_made() {
    counts_until_made(async |call| drop(call.change(|_| Ok(())).await)).await;
    // Commands that hand their changes to the writer themselves.
    counts_until_made(async |call| {
        let unlocked = call.registry.unlock_account(call.caller.clone(), AccountNumber::new(1));
        drop(unlocked.await);
    })
    .await;
    counts_until_made(async |call| {
        let object = EventObject { kind: "custom".to_owned(), name: "x".to_owned(), key: None, uuid: None };
        drop(call.registry.add_event(call.caller.clone(), object, Vec::new()).await);
    })
    .await;
}

async fn counts_until_made(change: impl AsyncFnOnce(Call)) {
    let bounded = Bounded::new(Limits::default()).await;
    let (api, memory) = (&bounded.api, &bounded.api.bounds.body_memory);
    let (registry, caller) = (&bounded.fixture.registry, operator());
    let (go_on, wait) = mpsc::channel::<()>();
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let busy = tokio::spawn({
        let registry = Arc::clone(registry);
        async move {
            let waiting = registry.change(operator(), move |_| {
                let _ = begun.send(());
                Ok(wait.recv().is_ok())
            });
            waiting.await.unwrap()
        }
    });
    has_begun.await.unwrap();
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
    let waits = Default::default();
    let received =
        body::receive(api, memory_holders(&caller), &waits, &headers, true, Body::from(named(LARGE)));
    let received = received.await.unwrap_or_else(|refusal| panic!("{refusal:?}"));
    let read =
        received.begin(api, &caller, &waits, |octets, held| async move { Ok((octets.len(), held)) }).await;
    let (length, held) = read.unwrap_or_else(|refusal| panic!("{refusal:?}"));
    assert_eq!(length, named(LARGE).len());
    let counted = memory.used();
    assert!((LARGE as u64..2 * LARGE as u64).contains(&counted), "{counted}");
    {
        let call = Call::new(api, caller, PageQuery::default(), Vec::new()).holding(held);
        // It is in the queue, and nobody waits.
        assert!(tokio::time::timeout(Duration::from_millis(50), change(call)).await.is_err());
    }
    assert_eq!(memory.used(), counted);
    go_on.send(()).unwrap();
    assert!(busy.await.unwrap());
    until(|| memory.used() == 0).await;
}

#[tokio::test]
async fn a_long_answer_to_a_change_waits_for_no_turn() {
    let bounded = Bounded::new(Limits { http_readings_max: 1, ..Limits::default() }).await;
    let rights = [Permission::AddUser, Permission::ChangeUser, Permission::ViewUser];
    bounded.fixture.grant(rights.map(global).to_vec()).await;
    let made = async |name: &str, octets: usize| {
        let body =
            json!({ "username": name, "name": "x", "attributes": { "description": "x".repeat(octets) } });
        let (status, made) = bounded.send(Method::POST, "/core/users/", body.to_string()).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        AccountNumber::new(number(&made["pk"]))
    };
    let long = made("long", 100 << 10).await;
    let _turn = Arc::clone(&bounded.api.bounds.readings).acquire_owned().await.unwrap();
    let rename = |number: AccountNumber| {
        bounded.begin(
            Method::PATCH,
            &format!("/core/users/{number}/"),
            "{\"username\": \"y\"}".replace('y', &format!("y{number}")),
        )
    };
    let answered = rename(long);
    let (status, answer) = read(answered).await;
    assert_eq!((status, &answer["username"]), (StatusCode::OK, &json!(format!("y{long}"))));
    assert_eq!(answer["attributes"]["description"].as_str().unwrap().len(), 100 << 10);
}
