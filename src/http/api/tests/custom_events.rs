//! What callers add to the audit trail: how often and how much, and where it stands.

use super::rights::{Fixture, global};
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
    assert_eq!(registry.reached().count(Limit::custom_event_size_max), 1);
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
