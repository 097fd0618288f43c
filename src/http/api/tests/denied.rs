//! What the trail says of refused calls: what was missing, how often, and nothing of what was not refused.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Bytes;
use hyper::body::{Body as HttpBody, Frame};

use super::rights::{Fixture, global, told};
use super::*;
use crate::config::Limit;
use crate::http::api::admit_watcher;
use crate::http::api::call::TakesSecrets;
use crate::model::{Action, Event, Timestamp, Token};
use crate::registry::commands::testing::{actor, wait};
use crate::registry::{EventQuery, Replaced};

/// What was missing in each refusal since it was asked last, with how often.
async fn missing(fixture: &Fixture) -> Vec<(String, u64)> {
    let events = fixture.denied().await;
    let mut missing: Vec<(String, u64)> = events
        .iter()
        .map(|event| (told(event, "missing").unwrap_or_default().to_owned(), event.count))
        .collect();
    missing.sort();
    missing
}

fn one(name: &str) -> Vec<(String, u64)> {
    vec![(name.to_owned(), 1)]
}

fn grants(names: &[&str]) -> Vec<Grant> {
    names.iter().map(|name| global(name.parse().unwrap())).collect()
}

#[tokio::test]
async fn refusals_that_are_alike_are_one_event_and_no_write() {
    let fixture = Fixture::new().await;
    fixture.grant(grants(&["view_user"])).await;
    let revision = fixture.registry.snapshot().revision();
    for _ in 0..30 {
        for path in ["/core/users/<user>/", "/core/users/<robot>/"] {
            let (status, body) = fixture.send(Method::PATCH, path, json!({ "name": "x" })).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{body}");
        }
    }
    assert_eq!(fixture.registry.snapshot().revision(), revision, "no refusal waits for the disk");
    let events = fixture.denied().await;
    assert_eq!(events.len(), 1, "{events:#?}");
    let Event { action, actor, count, since, time, .. } = &events[0];
    assert_eq!((*action, actor.account.as_str(), *count), (Action::SuspiciousRequest, "robot", 60));
    assert!(since.is_some_and(|since| since <= *time));
    assert_eq!(told(&events[0], "reason"), Some("the permission `authentik_core.change_user` is missing"));
    assert_eq!(fixture.registry.snapshot().revision(), revision + 1);
}

#[tokio::test]
async fn what_is_hidden_and_what_is_not_there_leave_the_same_trace() {
    let fixture = Fixture::new().await;
    for path in ["/core/users/<user>/", "/core/users/99999/", "/core/users/nobody/"] {
        let (status, _) = fixture.send(Method::GET, path, Value::Null).await;
        assert_eq!((status, missing(&fixture).await), (StatusCode::NOT_FOUND, one("view_user")), "{path}");
    }
    let give =
        |pk: &str| json!({ "permissions": ["view_user"], "model": "authentik_core.user", "object_pk": pk });
    fixture.grant(grants(&["view_role", "change_role", "assign_role_permissions"])).await;
    let path = "/rbac/permissions/assigned_by_roles/<role>/assign/";
    let snapshot = fixture.registry.snapshot();
    let hidden = snapshot.accounts().account_named("target").unwrap().number.to_string();
    for pk in [&hidden, "99999"] {
        let (status, body) = fixture.send(Method::POST, path, give(pk)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(missing(&fixture).await, one("view_user"), "{pk}");
    }
    // Who may view all of them has only lost its way.
    fixture.grant(grants(&["view_user"])).await;
    let (status, _) = fixture.send(Method::GET, "/core/users/99999/", Value::Null).await;
    assert_eq!((status, missing(&fixture).await), (StatusCode::NOT_FOUND, Vec::new()));
}

#[tokio::test]
async fn what_a_body_names_leaves_the_same_trace_hidden_or_not() {
    let fixture = Fixture::new().await;
    fixture.grant(grants(&["add_application"])).await;
    let snapshot = fixture.registry.snapshot();
    let hidden = snapshot.accounts().providers().next().unwrap().number.get();
    for slug in ["a-b", "a b", "target"] {
        for provider in [hidden, 99_999] {
            let app = json!({ "name": "q", "slug": slug, "provider": provider });
            let (status, body) = fixture.send(Method::POST, "/core/applications/", app).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
            let told = json!([format!("there is no provider {provider}")]);
            assert_eq!(body["provider"], told, "{body}");
            assert_eq!(missing(&fixture).await, one("change_ldapprovider"), "{slug} {provider}");
        }
    }
    fixture.grant(grants(&["view_role", "change_role", "assign_role_permissions"])).await;
    let path = "/rbac/permissions/assigned_by_roles/<role>/assign/";
    for (model, lacking) in [("token", "view_token"), ("application", "view_application")] {
        for pk in ["target", "nowhere"] {
            let model = format!("authentik_core.{model}");
            let give = json!({ "permissions": [lacking], "model": model, "object_pk": pk });
            let (status, body) = fixture.send(Method::POST, path, give).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
            assert_eq!(missing(&fixture).await, one(lacking), "{model} {pk}");
        }
    }
    // So many that are none are told as fifty, and the same one once.
    let names: Vec<String> = (0..1_000).map(|name| format!("p{name}")).collect();
    for (names, count) in [(vec!["a".to_owned(); 10_000], 1), (names, 51)] {
        let (status, body) = fixture.send(Method::POST, path, json!({ "permissions": names })).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(body["permissions"].as_array().unwrap().len(), count, "{body}");
    }
}

/// Whoever may make roles gives them to those whom it may view; the others are no accounts to it.
#[tokio::test]
async fn whom_a_role_is_given_to_leaves_the_same_trace_hidden_or_not() {
    let fixture = Fixture::new().await;
    fixture.grant(grants(&["add_role"])).await;
    let (status, made) = fixture.send(Method::POST, "/rbac/roles/", json!({ "name": "own" })).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let path = |call: &str| format!("/rbac/roles/{}/{call}/", made["pk"].as_str().unwrap());
    let number = |name: &str| {
        let snapshot = fixture.registry.snapshot();
        snapshot.accounts().account_named(name).unwrap().number
    };
    let [hidden, own] = [number("target"), number("robot")];
    let internal = InternalAccount::CommandLine.number();
    for call in ["add_user", "remove_user"] {
        for pk in [hidden.get(), internal.get(), 99_999] {
            let (status, body) = fixture.send(Method::POST, &path(call), json!({ "pk": pk })).await;
            let told = (status, body["detail"].clone());
            assert_eq!(told, (StatusCode::NOT_FOUND, json!(format!("there is no account {pk}"))), "{call}");
            assert_eq!(missing(&fixture).await, one("view_user"), "{call} {pk}");
        }
    }
    let held = async |call: &str, pk: AccountNumber| {
        let (status, body) = fixture.send(Method::POST, &path(call), json!({ "pk": pk.get() })).await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{call}: {body}");
        fixture.registry.snapshot().accounts().account(pk).unwrap().roles.len()
    };
    // It knows itself, and whom it may view.
    assert_eq!((held("add_user", own).await, held("remove_user", own).await), (1, 0));
    fixture.grant(grants(&["view_user", "change_role"])).await;
    assert_eq!(held("add_user", hidden).await, held("remove_user", hidden).await + 1);
}

#[tokio::test]
async fn what_is_wrong_otherwise_is_no_trespass() {
    let fixture = Fixture::new().await;
    fixture.grant(grants(&["view_user", "change_user", "view_role", "change_role"])).await;
    for (method, path, body, expected) in [
        (Method::PATCH, "/core/users/<user>/", json!({ "username": "" }), StatusCode::BAD_REQUEST),
        (Method::PATCH, "/core/users/<user>/", json!({ "nonsense": [] }), StatusCode::BAD_REQUEST),
        (Method::POST, "/rbac/roles/<role>/add_user/", json!({ "pk": "5" }), StatusCode::BAD_REQUEST),
        (Method::POST, "/rbac/roles/<role>/add_user/", json!({}), StatusCode::BAD_REQUEST),
        (Method::GET, "/core/groups/?page=7", Value::Null, StatusCode::NOT_FOUND),
        (Method::GET, "/core/users/?ordering=shoes", Value::Null, StatusCode::BAD_REQUEST),
        (Method::GET, "/core/tokens/", Value::Null, StatusCode::OK),
        (Method::GET, "/no/such/path/", Value::Null, StatusCode::NOT_FOUND),
    ] {
        let (status, body) = fixture.send(method, path, body).await;
        assert_eq!(status, expected, "{path}: {body}");
        assert_eq!(missing(&fixture).await, [], "{path}");
    }
}

#[tokio::test]
async fn rights_that_are_not_held_are_named() {
    let fixture = Fixture::new().await;
    let may = ["view_user", "change_user", "view_role", "change_role", "view_group", "change_group"];
    let more = ["assign_role_permissions", "add_token", "enable_group_superuser"];
    fixture.grant(grants(&[&may[..], &more[..]].concat())).await;
    let give = json!({ "permissions": ["delete_user"] });
    let path = "/rbac/permissions/assigned_by_roles/<role>/assign/";
    let (status, body) = fixture.send(Method::POST, path, give).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{body}");
    let events = fixture.denied().await;
    assert_eq!(told(&events[0], "missing"), Some("delete_user"));
    let reason = "it is about the permission `authentik_core.delete_user`, which the caller does not hold";
    assert_eq!(told(&events[0], "reason"), Some(reason));
    let superuser = json!({ "is_superuser": true });
    let (status, body) = fixture.send(Method::PATCH, "/core/groups/<group>/", superuser).await;
    assert_eq!((status, missing(&fixture).await), (StatusCode::FORBIDDEN, one("superuser")), "{body}");
    // Nobody may: a service account has no password.
    fixture.grant(grants(&["view_user", "reset_user_password"])).await;
    let path = "/core/users/<robot>/set_password/";
    let (status, body) = fixture.send(Method::POST, path, json!({ "password": "long enough for it" })).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{body}");
    let events = fixture.denied().await;
    assert_eq!(told(&events[0], "missing"), None);
    assert_eq!(told(&events[0], "reason"), Some("the rules forbid it, whatever is granted"));
}

/// Whose token is not let in at all has failed to log in.
#[tokio::test]
async fn calls_that_are_not_let_in_are_failed_logins() {
    let fixture = Fixture::new().await;
    let token = fixture.registry.snapshot().accounts().token_named("robot-api").unwrap().number;
    let robot = fixture.robot;
    for (reason, is_active, expires, networks) in [
        ("the account is inactive", false, None, vec![]),
        ("the token has expired", true, Some(Timestamp::from_unix_seconds(1)), vec![]),
        ("the token may not be used from this address", true, None, vec!["10.0.0.0/8".parse().unwrap()]),
    ] {
        let changed = fixture.registry.change(actor(), move |transaction| {
            let mut account = transaction.account(robot)?.unwrap();
            account.is_active = is_active;
            transaction.put(Record::Account(account))?;
            let mut token = Token::clone(transaction.snapshot().accounts().token(token).unwrap());
            (token.expires, token.networks) = (expires, networks);
            transaction.put(Record::Token(token))
        });
        changed.await.unwrap();
        let (status, _) = fixture.send(Method::GET, "/core/users/<user>/", Value::Null).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{reason}");
        assert_eq!(fixture.denied().await, [], "{reason}");
        let query = EventQuery { actions: vec![Action::LoginFailed], limit: 1, ..EventQuery::default() };
        let events = fixture.registry.events(query).await.unwrap();
        assert_eq!(told(&events[0], "reason"), Some(reason));
        assert_eq!(events[0].actor.token.as_deref(), Some("robot-api"), "{reason}");
    }
}

#[tokio::test]
async fn the_operator_is_never_refused_so() {
    let world = World::new();
    for path in ["/core/users/99999/", "/core/groups/nothing/", "/core/users/me/"] {
        let (status, _) = world.call(Method::GET, path, Value::Null).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
    let query = EventQuery { limit: 100, ..EventQuery::default() };
    let events = world.registry.events(query).await.unwrap();
    assert!(events.iter().all(|event| event.action != Action::SuspiciousRequest), "{events:#?}");
}

#[tokio::test]
async fn more_than_can_be_told_apart_are_counted_together() {
    let settings = RegistrySettings { denials_told_max: 3, ..RegistrySettings::default() };
    let fixture = Fixture::with(settings).await;
    let paths =
        ["/core/users/1/", "/core/groups/x/", "/core/tokens/x/", "/rbac/roles/x/", "/providers/ldap/1/"];
    for _ in 0..4 {
        for path in paths {
            let (status, _) = fixture.send(Method::GET, path, Value::Null).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        }
    }
    let reached = fixture.registry.reached().count(Limit::denials_told_max);
    assert_eq!(reached, 8);
    let mut counts: Vec<(String, u64)> =
        fixture.denied().await.iter().map(|event| (event.actor.account.clone(), event.count)).collect();
    counts.sort();
    let expected = [("others", 8), ("robot", 4), ("robot", 4), ("robot", 4)];
    assert_eq!(counts, expected.map(|(name, count)| (name.to_owned(), count)));
}

#[tokio::test]
async fn who_may_not_watch_the_server_leaves_a_trace() {
    let fixture = Fixture::new().await;
    let api = Api::new(Arc::clone(&fixture.registry), Door::Public);
    let request = Request::builder().uri("/metrics").extension(TakesSecrets(true));
    let request = request.header(header::AUTHORIZATION, format!("Bearer {}", fixture.secret));
    let (request, ()) = request.body(()).unwrap().into_parts();
    let refusal = admit_watcher(&api, &request).await.unwrap_err();
    assert_eq!(refusal.status(), StatusCode::FORBIDDEN);
    let events = fixture.denied().await;
    assert_eq!(events.len(), 1, "{events:#?}");
    assert_eq!(
        (told(&events[0], "resource"), events[0].object_name.as_str()),
        (Some("/metrics"), "GET /metrics")
    );
    assert_eq!(told(&events[0], "missing"), Some("view_system_info"));
    fixture.grant(grants(&["view_system_info"])).await;
    admit_watcher(&api, &request).await.unwrap();
    assert_eq!(fixture.denied().await, []);
}

/// A body that has nothing in it, and before which something happens.
struct Late(Option<Box<dyn FnOnce() + Send>>);

impl HttpBody for Late {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(happen) = self.0.take() {
            std::thread::spawn(happen).join().unwrap();
        }
        Poll::Ready(None)
    }
}

#[tokio::test]
async fn who_is_let_in_and_revoked_before_the_answer_leaves_a_trace() {
    let fixture = Fixture::new().await;
    fixture.grant(grants(&["view_user"])).await;
    let registry = Arc::clone(&fixture.registry);
    let revoke = move || wait(registry.revoke_token(actor(), "robot-api".to_owned(), Replaced::End)).unwrap();
    let request = Request::builder().uri("/api/v3/core/users/");
    let request = request.header(header::AUTHORIZATION, format!("Bearer {}", fixture.secret));
    let request = request.body(Body::new(Late(Some(Box::new(revoke))))).unwrap();
    let answer = fixture.router.clone().oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let events = fixture.denied().await;
    assert_eq!(events.len(), 1, "{events:#?}");
    assert_eq!((events[0].actor.account.as_str(), told(&events[0], "missing")), ("robot", None));
    assert_eq!(told(&events[0], "reason"), Some("the token was revoked"));
}
