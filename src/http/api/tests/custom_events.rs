//! What callers add to the audit trail: how often and how much, and where it stands.

use super::rights::{Fixture, global, text};
use super::*;
use crate::audit::EventObject;
use crate::config::Limit;
use crate::model::Trail;
use crate::registry::{CustomEventBounds, EventQuery};

#[tokio::test]
async fn an_account_adds_so_many_events_within_a_minute() {
    let custom_events = CustomEventBounds { by_account_max: 2, ..CustomEventBounds::default() };
    let settings = RegistrySettings { custom_events, ..RegistrySettings::default() };
    let fixture = Fixture::with(settings).await;
    fixture.grant(vec![global(Permission::AddEvent)]).await;
    let add = async |app: &str| {
        let body = json!({ "action": "custom_", "app": app, "context": { "files": 7 } });
        let (status, body) = fixture.send(Method::POST, "/events/events/", body).await;
        (status.as_u16(), body)
    };
    // What is too large is refused before it counts.
    let (status, body) = add(&"x".repeat(16 * 1024)).await;
    assert_eq!(status, 400, "{body}");
    assert!(body["app"].to_string().contains("of at most 16384"), "{body}");
    let large = json!({ "action": "custom_", "app": "x", "context": { "files": "x".repeat(16 * 1024) } });
    let (_, body) = fixture.send(Method::POST, "/events/events/", large).await;
    assert!(body["context"].to_string().contains("of at most 16384"), "{body}");
    for number in 1..=2 {
        let (status, body) = add("backup").await;
        assert_eq!((status, &body["context"]["trail"]), (201, &"custom".into()), "{body}");
        assert!(body["context"]["sequence"].as_u64().unwrap() >= number, "{body}");
    }
    for _ in 0..3 {
        let (status, body) = add("backup").await;
        assert_eq!((status, &body["code"]), (429, &"throttled".into()), "{body}");
    }
    let registry = &fixture.registry;
    assert_eq!(registry.reached().count(Limit::custom_events_by_account_max), 3);
    assert_eq!(registry.reached().count(Limit::custom_event_size_max), 2);
    // It is no refusal of a right, and the operator is no account.
    assert_eq!(fixture.denied().await, []);
    for _ in 0..7 {
        let object = EventObject { name: "operator".to_owned(), ..EventObject::default() };
        registry.add_event(Actor::named("operator"), object, Vec::new()).await.unwrap();
    }
    let custom = EventQuery { trails: vec![Trail::Custom], ..EventQuery::newest(1_000) };
    let noted = registry.events(custom).await.unwrap();
    assert_eq!(noted.iter().filter(|event| event.actor.account == "robot").count(), 2);
}

#[tokio::test]
async fn what_is_taken_of_an_event_is_read_back_and_the_rest_is_refused_by_its_field() {
    let world = World::new();
    let context = json!({ "page": "start", "number": 7, "text": "7", "null": null, "word": "null", "quoted": "\"x\"",
        "list": [1, { "a": 1.5 }], "empty": "", "braces": "{}" });
    let event = json!({ "action": "custom_", "app": "the wiki", "context": context, "user": {}, "brand": {},
        "client_ip": null, "expires": null });
    let made = world.post("/events/events/", event).await;
    let read = world.get(&format!("/events/events/{}/", text(&made["pk"]))).await;
    assert_eq!(read, made);
    assert_eq!(read["app"], "the wiki");
    for (name, value) in context.as_object().unwrap() {
        assert_eq!(&read["context"][name], value, "{name}");
    }
    let event = json!({ "action": "login", "app": "x", "context": { "trail": 1, "diff": 2 }, "user": { "pk": 1 },
        "client_ip": "192.0.2.1", "expires": "2099-01-01", "brand": { "pk": "x" } });
    let all = ["action", "brand", "client_ip", "context", "expires", "user"];
    assert_eq!(world.refused(Method::POST, "/events/events/", event).await, all);
    let event = json!({ "action": "custom_", "app": "x", "client_ip": "here" });
    assert_eq!(world.refused(Method::POST, "/events/events/", event).await, ["client_ip"]);
    let (_, answer) = world.call(Method::GET, "/events/events/?client_ip=here", Value::Null).await;
    assert!(text(&answer["client_ip"][0]).contains("expected an address such as"), "{answer}");
    world.get("/events/events/?client_ip=").await;
    // What is empty is as what is not there.
    let count = async |query: &str| {
        world.get(&format!("/events/events/{query}")).await["pagination"]["count"].clone()
    };
    let (all, custom) = (count("").await, count("?action=custom_").await);
    assert!(all != custom, "{all}");
    for query in ["?action=", "?actions=", "?actions=&actions="] {
        assert_eq!(count(query).await, all, "{query}");
    }
    assert_eq!(count("?actions=&actions=custom_").await, custom);
}
