//! Logins become few events with right counts, and each credential knows its last use.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;

use super::*;
use crate::config::Seed;
use crate::model::{AccountKind, Key};
use crate::registry::EventQuery;
use crate::registry::commands::testing::{
    account, actor, apply, binds, count_events, provider, registry, registry_over, token, verdict_of, wait,
};
use crate::secret::Secret;
use crate::store::{MemoryStore, Store};

/// A registry with the service account `portal`, its token `cloud` and that token's secret.
fn portal(store: Arc<dyn Store>) -> (Arc<Registry>, TokenNumber, Secret) {
    let registry = registry_over(store);
    let seed = Seed {
        providers: vec![provider("ldap", "dc=example,dc=com")],
        accounts: vec![account("portal", AccountKind::ServiceAccount)],
        tokens: vec![token("cloud", "portal")],
        ..Seed::default()
    };
    let (_, secrets) = apply(&registry, &seed).unwrap();
    let secret = secrets.into_iter().find(|secret| secret.identifier == "cloud").unwrap().secret;
    let number = registry.snapshot().accounts().token_named("cloud").unwrap().number;
    (registry, number, secret)
}

/// Binds from an address with a secret that is remembered.
fn bind_from(registry: &Registry, secret: &[u8], last: u8) {
    let source = Some(IpAddr::from([192, 0, 2, last]));
    wait(verdict_of(registry, "portal", secret, source, Timestamp::now()));
}

fn events(registry: &Arc<Registry>, action: Action) -> Vec<Event> {
    let query = EventQuery { actions: vec![action], limit: 1_000, ..EventQuery::default() };
    wait(registry.events(query)).unwrap()
}

#[test]
fn logins_that_are_alike_are_one_event() {
    let store = Arc::new(MemoryStore::new());
    let (registry, number, secret) = portal(store.clone());
    let revision = store.meta().revision;
    for _ in 0..500 {
        bind_from(&registry, secret.expose(), 1);
    }
    for _ in 0..20 {
        bind_from(&registry, secret.expose(), 2);
        bind_from(&registry, b"wrong", 3);
    }
    assert_eq!(store.meta().revision, revision, "no bind waits for the disk");
    let mut logins = events(&registry, Action::Login);
    assert_eq!(store.meta().revision, revision + 1, "all become events in one change");
    logins.sort_by_key(|event| event.count);
    assert_eq!(logins.iter().map(|event| event.count).collect::<Vec<_>>(), [20, 500]);
    let login = &logins[1];
    assert_eq!((login.actor.account.as_str(), login.actor.token.as_deref()), ("portal", Some("cloud")));
    assert_eq!(login.actor.source, Some(IpAddr::from([192, 0, 2, 1])));
    assert!(login.since.is_some_and(|since| since <= login.time));
    assert_eq!((login.object_kind.as_str(), login.object_name.as_str()), ("provider", "ldap"));
    let failures = events(&registry, Action::LoginFailed);
    // Those that are wrong, and those that the throttle does not even look at.
    assert_eq!(failures.iter().map(|event| event.count).sum::<u64>(), 20);
    assert!(failures.iter().all(|event| event.details.iter().any(|detail| detail.name == "reason")));
    assert!(wait(registry.verify_events(None)).unwrap().is_whole());

    let usage = registry.last_used_token(number).unwrap();
    assert_eq!(usage.count, 520);
    let snapshot = registry.snapshot();
    assert_eq!(**snapshot.accounts().usage(UsageOf::Token(number)).unwrap(), usage);
    assert_eq!(usage.application, None, "no application is behind the provider");
}

#[test]
fn the_last_use_is_known_before_it_is_in_the_store() {
    let (registry, number, secret) = portal(Arc::new(MemoryStore::new()));
    assert_eq!(registry.last_used_token(number), None);
    bind_from(&registry, secret.expose(), 1);
    assert_eq!(registry.last_used_token(number).unwrap().count, 1);
    assert!(registry.snapshot().accounts().usage(UsageOf::Token(number)).is_none());
    wait(registry.flush_logins()).unwrap();
    bind_from(&registry, secret.expose(), 7);
    let usage = registry.last_used_token(number).unwrap();
    assert_eq!((usage.count, usage.source), (2, Some(IpAddr::from([192, 0, 2, 7]))));
    registry.note_api_login(number, None, Timestamp::now().after(std::time::Duration::from_secs(5)));
    let usage = registry.last_used_token(number).unwrap();
    assert_eq!((usage.count, usage.provider), (3, None));
}

#[test]
fn a_full_disk_loses_no_count() {
    let store = Arc::new(MemoryStore::new());
    let (registry, number, secret) = portal(store.clone());
    bind_from(&registry, secret.expose(), 1);
    store.set_full(true);
    for _ in 0..3 {
        bind_from(&registry, secret.expose(), 1);
        bind_from(&registry, b"wrong", 3);
        assert!(wait(registry.flush_logins()).is_err());
    }
    // What is in the store can be read all the same.
    assert_eq!(events(&registry, Action::Login), []);
    store.set_full(false);
    let logins = events(&registry, Action::Login);
    assert_eq!(logins.iter().map(|event| event.count).collect::<Vec<_>>(), [4]);
    assert_eq!(events(&registry, Action::LoginFailed).iter().map(|event| event.count).sum::<u64>(), 3);
    assert_eq!(registry.last_used_token(number).unwrap().count, 4);
    assert!(wait(registry.verify_events(None)).unwrap().is_whole());
}

#[test]
fn the_last_logins_become_events_when_the_directory_is_closed() {
    let store = Arc::new(MemoryStore::new());
    let (registry, number, secret) = portal(store.clone());
    bind_from(&registry, secret.expose(), 1);
    registry.close();
    assert!(matches!(wait(registry.flush_logins()), Ok(())), "nothing is left");
    let registry = registry_over(store);
    assert_eq!(events(&registry, Action::Login).len(), 1);
    assert_eq!(registry.snapshot().accounts().usage(UsageOf::Token(number)).unwrap().count, 1);
}

#[test]
fn a_flush_that_is_under_way_is_finished_before_the_directory_is_closed() {
    let store = Arc::new(MemoryStore::new());
    let (registry, number, _) = portal(store.clone());
    let count: u32 = 40_000;
    for source in 0..count {
        registry.note_api_login(number, Some(IpAddr::from(source.to_be_bytes())), Timestamp::now());
    }
    let revision = store.meta().revision;
    let flushing = Arc::clone(&registry);
    let flush = std::thread::spawn(move || wait(flushing.flush_logins()));
    while store.meta().revision == revision {
        std::thread::yield_now();
    }
    registry.close();
    flush.join().unwrap().unwrap();
    let told = store.events(Trail::Logins, 0, usize::MAX).unwrap();
    let logins = told.iter().filter(|event| event.action == Action::Login).map(|event| event.count);
    assert_eq!(logins.sum::<u64>(), u64::from(count));
}

#[test]
fn a_last_use_goes_with_its_credential() {
    let store = Arc::new(MemoryStore::new());
    let (registry, number, secret) = portal(store.clone());
    bind_from(&registry, secret.expose(), 1);
    wait(registry.flush_logins()).unwrap();
    bind_from(&registry, secret.expose(), 1);
    wait(registry.change(actor(), move |transaction| transaction.delete_token(number))).unwrap();
    assert_eq!(registry.last_used_token(number), None);
    // The login that was counted before is told under its name all the same.
    let logins = events(&registry, Action::Login);
    assert_eq!((logins.len(), logins[0].actor.token.as_deref()), (2, Some("cloud")));
    assert!(registry.snapshot().accounts().usage(UsageOf::Token(number)).is_none());
    assert_eq!(store.get(&Key::Usage(UsageOf::Token(number))).unwrap(), None);
}

#[test]
fn more_logins_than_are_told_apart_are_counted_together() {
    let settings = crate::registry::RegistrySettings { logins_told_max: 2, ..Default::default() };
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let (first, number, _) = portal(store.clone());
    first.close();
    let registry = Registry::open(store, settings).unwrap();
    for last in 0..10 {
        registry.note_api_login(number, Some(IpAddr::from([192, 0, 2, last])), Timestamp::now());
    }
    assert_eq!(registry.reached().count(Limit::logins_told_max), 8);
    let logins = events(&registry, Action::Login);
    assert_eq!(logins.len(), 3);
    assert_eq!(logins.iter().map(|event| event.count).sum::<u64>(), 10);
    assert!(logins.iter().any(|event| event.actor.account == "others" && event.count == 8));
    assert_eq!(registry.last_used_token(number).unwrap().count, 10);
}

#[test]
fn many_rows_become_events_in_several_changes() {
    let (registry, number, _) = portal(Arc::new(MemoryStore::new()));
    for source in 0..20_000_u32 {
        registry.note_api_login(number, Some(IpAddr::from(source.to_be_bytes())), Timestamp::now());
    }
    wait(registry.flush_logins()).unwrap();
    let query = EventQuery { actions: vec![Action::Login], ..EventQuery::default() };
    assert_eq!(count_events(&registry, query), 20_000);
    assert_eq!(registry.last_used_token(number).unwrap().count, 20_000);
    assert!(wait(registry.verify_events(None)).unwrap().is_whole());
}

/// Who asks for events while another flush is under way, or goes away in the middle, changes no count.
#[test]
fn flushes_at_the_same_time_lose_and_double_nothing() {
    let (registry, number, secret) = portal(Arc::new(MemoryStore::new()));
    wait(async {
        for round in 0..50 {
            verdict_of(&registry, "portal", secret.expose(), None, Timestamp::now()).await;
            let flush = registry.flush_logins();
            if round % 3 == 0 {
                // Dropped at once.
                let _ = tokio::time::timeout(std::time::Duration::ZERO, flush).await;
            } else {
                let (one, other) = tokio::join!(flush, registry.flush_logins());
                one.unwrap();
                other.unwrap();
            }
        }
        registry.flush_logins().await.unwrap();
    });
    let logins = events(&registry, Action::Login);
    assert_eq!(logins.iter().map(|event| event.count).sum::<u64>(), 50);
    assert_eq!(registry.last_used_token(number).unwrap().count, 50);
}

#[test]
fn passwords_and_rotations_have_events_of_their_own() {
    let registry = registry();
    let seed = Seed {
        providers: vec![provider("ldap", "dc=example,dc=com")],
        accounts: vec![account("alice", AccountKind::Internal)],
        ..Seed::default()
    };
    apply(&registry, &seed).unwrap();
    let alice = registry.snapshot().accounts().account_named("alice").unwrap().number;
    let set = |generation| {
        wait(registry.change(actor(), move |transaction| {
            let mut account = transaction.account(alice)?.unwrap();
            let password = crate::plain::password(&format!("hash at {generation}"));
            account.password = Some(crate::model::Password { generation, ..password });
            transaction.put(crate::model::Record::Account(account))
        }))
        .unwrap();
    };
    set(1);
    set(2);
    // The same password in another hash is none of a person's doings.
    wait(registry.change(actor(), move |transaction| {
        let mut account = transaction.account(alice)?.unwrap();
        account.password.as_mut().unwrap().hash = crate::model::HashText::new("another".to_owned());
        transaction.put(crate::model::Record::Account(account))
    }))
    .unwrap();
    let told = events(&registry, Action::PasswordSet);
    assert_eq!(told.len(), 2);
    assert!(told.iter().all(|event| event.object_name == "alice" && event.object_key == Some(alice.get())));
    assert!(told.iter().all(|event| event.changes.iter().any(|change| change.field == "password")));
    assert!(events(&registry, Action::ModelUpdated).iter().all(|event| event.object_name != "alice"));
    assert!(!binds(&registry, "alice", b"wrong"));
}
