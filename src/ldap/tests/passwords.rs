//! Password Modify (RFC 3062): rotation of the app password that one is bound with, and passwords of people.

use std::time::Instant;

use ldap3_proto::proto::{LdapExtendedRequest, LdapOp};

use super::binds::plain;
use super::client::{Client, Reply, element, encode};
use super::world::{
    ALICE, ALICE_PASSWORD, APP, APP_TOKEN, MAIN, ROOT_PASSWORD, Wishes, World, stranger, wait,
};
use crate::access::Entitlements;
use crate::config::Limit;
use crate::model::{Action, Event, Timestamp, Trail};
use crate::registry::{EventQuery, Trial};

const PASSWORD_MODIFY: &str = "1.3.6.1.4.1.4203.1.11.1";
const ALICE_DN: &str = "cn=alice,ou=users,dc=example,dc=org";
const APP_DN: &str = "cn=app,ou=users,dc=example,dc=org";

pub(super) fn value(user: Option<&str>, old: Option<&[u8]>, new: Option<&[u8]>) -> Vec<u8> {
    let part = |tag, octets: Option<&[u8]>| octets.map(|octets| element(tag, octets)).unwrap_or_default();
    element(0x30, &[part(0x80, user.map(str::as_bytes)), part(0x81, old), part(0x82, new)].concat())
}

pub(super) fn modify(client: &mut Client, value: Option<Vec<u8>>) -> Reply {
    let request = LdapExtendedRequest { name: PASSWORD_MODIFY.to_owned(), value };
    let request = encode(client.id(), LdapOp::ExtendedRequest(request));
    client.send(&request)
}

/// A client whose clock is the writer's.
pub(super) fn nobody(world: &World) -> Client {
    let mut client = Client::new(world);
    client.now = Timestamp::now();
    client
}

/// The same, bound as the app.
fn app(world: &World) -> Client {
    let mut client = nobody(world);
    client.bind(APP_DN, &world.secrets.app).is(0);
    client
}

/// The secret that was generated.
fn generated(reply: &Reply) -> Option<String> {
    match &reply.messages[0].op {
        LdapOp::ExtendedResponse(response) => {
            assert_eq!(response.name, None, "RFC 3062 section 2: the response has no name");
            let value = response.value.as_deref()?;
            let mut sequence = crate::ldap::ber::BerReader::new(value).sequence().unwrap();
            Some(String::from_utf8(sequence.expect(0x80).unwrap().to_vec()).unwrap())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_old_secret_that_nobody_has_costs_no_hash() {
    let world = World::new();
    let mut client = app(&world);
    let mistyped = world.secrets.app.replace("bindery_app_", "bindery_api_");
    for old in ["bindery_app_x", &world.secrets.app[..30], &mistyped, &world.secrets.nobody] {
        let before = world.hashes();
        modify(&mut client, Some(value(None, Some(old.as_bytes()), None))).is(49);
        assert_eq!(world.hashes(), before, "{old}");
    }
    let before = world.hashes();
    modify(&mut client, Some(value(None, Some(b"wrong"), None))).is(49);
    assert_eq!(world.hashes(), before + 1, "anything else");
    modify(&mut client, Some(value(None, Some(world.secrets.app.as_bytes()), None))).is(0);
}

#[test]
fn what_a_name_costs_beside_a_bind_is_counted() {
    let world = World::new();
    let mut client = app(&world);
    let dear = "\u{fdfa}".repeat(1_300);
    let long = "x".repeat(5_000);
    let reached = || {
        let mut limits = world.registry.limits_reached();
        limits.find(|(limit, _)| *limit == Limit::name_length_max).map_or(0, |(_, count)| count)
    };
    // Of Password Modify.
    let before = client.session.work_done();
    modify(&mut client, Some(value(Some(&dear), None, Some(b"a new secret of mine")))).is(50);
    assert!((8_000..15_000).contains(&(client.session.work_done() - before)));
    let before = (client.session.work_done(), reached());
    modify(&mut client, Some(value(Some(&long), None, Some(b"a new secret of mine")))).is(50);
    assert!(client.session.work_done() - before.0 < 500);
    assert_eq!(reached(), before.1 + 1);
    // As whom PLAIN is to act.
    let before = client.session.work_done();
    let message = [dear.as_bytes(), b"app", world.secrets.app.as_bytes()].join(&0);
    let id = client.id();
    client.send(&plain(id, Some(&message))).is(50);
    assert!((8_000..15_000).contains(&(client.session.work_done() - before)));
}

#[test]
fn an_account_rotates_the_app_password_it_is_bound_with() {
    let world = World::new();
    let mut client = app(&world);
    let reply = modify(&mut client, None);
    reply.is(0);
    let secret = generated(&reply).unwrap();
    assert_ne!(secret, world.secrets.app);
    // Both work, and the connection goes on.
    assert_eq!(client.who_am_i(), format!("dn:{APP_DN}"));
    for secret in [&secret, &world.secrets.app] {
        nobody(&world).bind(APP_DN, secret).is(0);
    }
    // The replacement has its identifier; the old one ends with the overlap, on open connections too.
    let snapshot = world.registry.snapshot();
    let tokens = snapshot.accounts();
    let replacement = tokens.token_named("token-30").unwrap();
    assert_ne!(replacement.number, APP_TOKEN);
    assert_eq!((replacement.account, replacement.expires), (APP, None));
    let old = tokens.token(APP_TOKEN).unwrap();
    assert!(old.identifier.starts_with("token-30-replaced-until-"), "{}", old.identifier);
    let end = old.expires.unwrap();
    assert!(end.unix_seconds() > Timestamp::now().unix_seconds());
    client.now = end;
    client.compare(APP_DN, "cn", "app").is(50);
    client.bind(APP_DN, &world.secrets.app).is(49);
    client.bind(APP_DN, &secret).is(0);
    // Somebody who holds a copy of the old one cannot rotate it any more.
    let mut late = nobody(&world);
    late.now = end;
    late.bind(APP_DN, &world.secrets.app).is(49);
}

/// Whoever is bound has no right but its own, and each exchange leaves events and a token that works on.
#[test]
fn secrets_of_ones_own_are_exchanged_so_often_within_an_hour() {
    let world = World::with(Wishes { own_secrets: Some(3), ..Wishes::default() });
    let limit = || world.registry.reached().count(Limit::own_secrets_by_account_max);
    let mut client = nobody(&world);
    client.bind("alice", ALICE_PASSWORD).is(0);
    for number in 0..3 {
        let new = format!("another password {number}");
        modify(&mut client, Some(value(None, None, Some(new.as_bytes())))).is(0);
    }
    let revision = world.registry.snapshot().revision();
    for _ in 0..2 {
        // Not 51, which clients take for a server that is down.
        let reply = modify(&mut client, Some(value(None, None, Some(b"one password more"))));
        reply.is(19);
        assert!(reply.result().message.contains("3 secrets of its own within an hour"));
    }
    assert_eq!((world.registry.snapshot().revision(), limit()), (revision, 2));
    nobody(&world).bind("alice", "another password 2").is(0);
    // Another account has its own.
    modify(&mut app(&world), None).is(0);
}

#[test]
fn a_secret_that_was_replaced_gets_no_new_one() {
    let world = World::new();
    let (mut first, mut second) = (app(&world), app(&world));
    let secret = generated(modify(&mut first, None).is(0)).unwrap();
    let (count, hashes) = (tokens(&world), world.registry.hash_pool().counts());
    // Whoever holds the old one: the same connection, another instance, somebody who has found it.
    for client in [&mut first, &mut second, &mut app(&world)] {
        let reply = modify(client, None);
        reply.is(53);
        assert_eq!(generated(&reply), None);
        modify(client, Some(value(None, Some(world.secrets.app.as_bytes()), None))).is(53);
        assert_eq!(client.who_am_i(), format!("dn:{APP_DN}"), "it works on until the overlap ends");
    }
    assert_eq!((tokens(&world), world.registry.hash_pool().counts()), (count, hashes));
    let mut renewed = nobody(&world);
    renewed.bind(APP_DN, &secret).is(0);
    modify(&mut renewed, None).is(0);
}

#[test]
fn a_token_keeps_its_lifetime_when_it_is_rotated() {
    let world = World::new();
    let now = Timestamp::now();
    world.change_token(APP_TOKEN, move |token| {
        token.renewed = Timestamp::from_unix_seconds(now.unix_seconds() - 1_000);
        token.expires = Some(Timestamp::from_unix_seconds(now.unix_seconds() + 600));
    });
    let mut client = app(&world);
    modify(&mut client, None).is(0);
    let snapshot = world.registry.snapshot();
    let left = |expires: Option<Timestamp>| expires.unwrap().unix_seconds() - now.unix_seconds();
    let replacement = snapshot.accounts().token_named("token-30").unwrap();
    assert!((1_600..1_660).contains(&left(replacement.expires)));
    // The overlap of an hour does not lengthen the old one's life.
    assert_eq!(left(snapshot.accounts().token(APP_TOKEN).unwrap().expires), 600);
    let events = world.registry.store().events(Trail::Changes, 1, 100).unwrap();
    assert!(
        events.iter().any(|event| event.action.as_str() == "secret_rotate" && event.actor.account == "app")
    );
}

#[test]
fn what_an_account_may_not() {
    let world = World::new();
    let secret = world.secrets.app.as_bytes();
    for (asked, code) in [
        // A service account chooses no secret.
        (value(None, None, Some(b"chosen by myself")), 19),
        (value(None, Some(secret), Some(b"chosen by myself")), 19),
        // Nobody else's.
        (value(Some("cn=alice,ou=users,dc=example,dc=org"), None, None), 50),
        (value(Some("nobody"), None, None), 50),
        (value(None, Some(b"wrong"), None), 49),
        (value(None, Some(&[b'x'; 2_000]), None), 19),
        (b"\x30\x01".to_vec(), 2),
        (element(0x30, &element(0x83, b"x")), 2),
        (element(0x30, &element(0x80, b"\xff")), 2),
    ] {
        let mut client = app(&world);
        let reply = modify(&mut client, Some(asked));
        reply.is(code);
        assert_eq!(generated(&reply), None);
        assert_eq!(world.registry.snapshot().accounts().tokens().count(), tokens(&World::new()));
    }
    // Itself, by every name, with the right old secret.
    for user in [APP_DN, "dn:CN=app,ou=users,dc=example,dc=org", "u:APP", "app", ""] {
        let world = World::new();
        let secret = world.secrets.app.as_bytes();
        modify(&mut app(&world), Some(value(Some(user), Some(secret), None))).is(0);
    }
    // Nobody, in any form.
    modify(&mut nobody(&world), None).is(50);
    let mut client = app(&world);
    client.bind(APP_DN, "wrong").is(49);
    modify(&mut client, None).is(50);
    let mut client = app(&world);
    world.change_account(APP, |account| account.is_active = false);
    modify(&mut client, None).is(50);
}

/// What is refused for a lack of a right is counted, what is wrong otherwise and what strangers ask is not.
#[test]
fn who_asks_for_more_than_it_may_leaves_a_trace() {
    let world = World::new();
    let denied = || {
        let query =
            EventQuery { actions: vec![Action::SuspiciousRequest], limit: 10, ..EventQuery::default() };
        let mut events = wait(world.registry.events(query)).unwrap();
        events.sort_by_key(|event| event.count);
        let told = |event: &Event| {
            assert_eq!((event.actor.account.as_str(), event.actor.number), ("app", Some(APP)), "{event:#?}");
            assert!(event.actor.token.is_some(), "{event:#?}");
            (event.count, event.details[0].value.clone())
        };
        events.iter().map(told).collect::<Vec<_>>()
    };
    let mut client = app(&world);
    modify(&mut client, Some(value(None, None, Some(b"chosen by myself")))).is(19);
    modify(&mut client, Some(value(None, Some(b"wrong"), None))).is(49);
    modify(&mut client, Some(b"\x30\x01".to_vec())).is(2);
    modify(&mut nobody(&world), Some(value(Some("alice"), None, None))).is(50);
    assert_eq!(denied(), []);
    // Whoever they are, and whether or not they are there.
    for user in ["alice", "nobody", "cn=alice,ou=users,dc=example,dc=org"] {
        modify(&mut client, Some(value(Some(user), None, None))).is(50);
    }
    let as_alice = [&b"u:alice\0app\0"[..], world.secrets.app.as_bytes()].concat();
    let as_app = [&b"u:app\0app\0"[..], world.secrets.app.as_bytes()].concat();
    for (credentials, code) in [(&as_alice, 50), (&as_app, 0)] {
        let id = client.id();
        client.send(&plain(id, Some(credentials))).is(code);
    }
    world.change_account(APP, |account| account.is_active = false);
    for _ in 0..2 {
        modify(&mut client, None).is(50);
    }
    let expected = [
        (1, "it asked to act as somebody else"),
        (2, "the account is inactive"),
        (3, "it asked for a change of the password of somebody else"),
    ];
    assert_eq!(denied(), expected.map(|(count, reason)| (count, reason.to_owned())));
}

fn tokens(world: &World) -> usize {
    world.registry.snapshot().accounts().tokens().count()
}

#[test]
fn secrets_are_not_told_in_clear() {
    let mut world = World::new();
    world.settings.secrets_in_clear = crate::config::SecretsInClear::Always;
    let mut client = Client::in_clear(&world);
    client.now = Timestamp::now();
    client.bind(APP_DN, &world.secrets.app).is(0);
    modify(&mut client, None).is(0);
    std::sync::Arc::make_mut(&mut client.session.settings).secrets_in_clear =
        crate::config::SecretsInClear::Never;
    modify(&mut client, None).is(13);
}

#[test]
fn people_set_their_passwords() {
    let world = World::new();
    let mut client = nobody(&world);
    client.bind("alice", ALICE_PASSWORD).is(0);
    let mut other = nobody(&world);
    other.bind("alice", ALICE_PASSWORD).is(0);
    let long = vec![b'x'; world.settings.limits.bind_secret_length_max as usize + 1];
    let generated_or_odd: [&[u8]; 6] = [
        b"",
        world.secrets.app.as_bytes(),
        b"bindery_app_x",
        &long,
        b"one line\nand another",
        b"behind it:\0",
    ];
    for refused in generated_or_odd {
        modify(&mut client, Some(value(None, None, Some(refused)))).is(19);
    }
    modify(&mut client, Some(value(None, Some(&long), Some(b"a new one")))).is(19);
    modify(&mut client, Some(value(None, Some(b"wrong"), Some(b"new")))).is(49);
    let reply =
        modify(&mut client, Some(value(Some("alice"), Some(ALICE_PASSWORD.as_bytes()), Some(b"a new one"))));
    reply.is(0);
    assert_eq!(generated(&reply), None);
    // The old one proves nothing any more. Who has changed it knows the new one, and goes on.
    assert_eq!(other.who_am_i(), "");
    assert_eq!(client.who_am_i(), format!("dn:{ALICE_DN}"));
    client.compare(ALICE_DN, "cn", "alice").is(6);
    other.compare(ALICE_DN, "cn", "alice").is(50);
    assert!(suspicious(&world).is_empty(), "a connection that does not know of it yet is no suspicion");
    client.bind("alice", ALICE_PASSWORD).is(49);
    client.bind("alice", "a new one").is(0);
    // Without a new one it is generated.
    let secret = generated(modify(&mut client, None).is(0)).unwrap();
    assert_eq!(client.who_am_i(), format!("dn:{ALICE_DN}"));
    client.bind("alice", "a new one").is(49);
    client.bind("alice", &secret).is(0);
    // Whoever else has changed it has thrown it out.
    world.change_account(ALICE, |account| {
        if let Some(password) = &mut account.password {
            password.generation += 1;
        }
    });
    client.compare(ALICE_DN, "cn", "alice").is(50);
    assert!(suspicious(&world).is_empty());
    // All else is told.
    let mut app = app(&world);
    world.change_account(APP, |account| account.is_active = false);
    app.compare(APP_DN, "cn", "app").is(50);
    assert_eq!(suspicious(&world), ["app"]);
}

#[test]
fn where_the_own_password_is_changed_an_application_stays_at_home() {
    let world = World::new();
    let is_application = || {
        let trial = Trial { source: stranger().source, now: Timestamp::now(), instant: Instant::now() };
        world.registry.is_application(MAIN, &world.registry.snapshot(), trial, &mut Entitlements::default())
    };
    let mut client = nobody(&world);
    client.bind("root", ROOT_PASSWORD).is(0);
    assert!(is_application());
    modify(&mut client, Some(value(None, None, Some(b"another password of mine")))).is(0);
    assert!(!client.who_am_i().is_empty() && is_application());
}

/// What a token made would outlive it: its end, its networks, and that somebody has revoked it.
#[test]
fn no_password_is_set_by_means_of_an_app_password() {
    let world = World::new();
    let new = crate::registry::NewToken {
        identifier: "of-alice".to_owned(),
        account: "alice".to_owned(),
        intent: crate::model::Intent::AppPassword,
        expiring: Some(true),
        expires: Some(crate::model::Expiry::In(std::time::Duration::from_secs(60))),
        description: String::new(),
        networks: Vec::new(),
        retrievable: false,
    };
    let actor = crate::registry::commands::testing::actor();
    let made = wait(world.registry.create_token(actor.clone(), new)).unwrap();
    let secret = String::from_utf8(made.secret.expose().to_vec()).unwrap();
    let password = || {
        let snapshot = world.registry.snapshot();
        snapshot.accounts().account_named("alice").unwrap().password.as_ref().unwrap().generation
    };
    let (before, mut client) = (password(), nobody(&world));
    for is_lasting in [false, true] {
        if is_lasting {
            let changes = crate::registry::TokenChanges {
                expiring: Some(false),
                ..crate::registry::TokenChanges::default()
            };
            wait(world.registry.update_token(actor.clone(), "of-alice".to_owned(), changes)).unwrap();
        }
        client.bind("alice", &secret).is(0);
        for old in [None, Some(secret.as_bytes())] {
            let reply = modify(&mut client, Some(value(None, old, Some(b"a password of mine"))));
            let text = reply.is(53).result().message.clone();
            assert!(text.contains("bind with the password"), "{text}");
        }
        let wrong = Some(ALICE_PASSWORD.as_bytes());
        modify(&mut client, Some(value(None, wrong, Some(b"a password of mine")))).is(49);
        assert_eq!(client.who_am_i(), format!("dn:{ALICE_DN}"));
    }
    assert_eq!(password(), before);
    nobody(&world).bind("alice", "a password of mine").is(49);
    nobody(&world).bind("alice", ALICE_PASSWORD).is(0);
    // It is exchanged for one that is worth as much, and the password for a password.
    let exchanged = generated(modify(&mut client, None).is(0)).unwrap();
    assert!(exchanged.starts_with("bindery_app_"), "{exchanged}");
    assert_eq!(password(), before);
    client.bind("alice", ALICE_PASSWORD).is(0);
    change(&mut client, None, b"a password of mine").is(0);
    assert_ne!(password(), before);
}

/// Whose operations were refused although they had bound.
fn suspicious(world: &World) -> Vec<String> {
    super::world::wait(world.registry.flush_logins()).unwrap();
    let events = world.registry.store().events(Trail::Failures, 0, 1_000).unwrap();
    let told = events.into_iter().filter(|event| event.action.as_str() == "suspicious_request");
    told.map(|event| event.actor.account).collect()
}

/// Sets a password.
pub(super) fn change(client: &mut Client, old: Option<&[u8]>, new: &[u8]) -> Reply {
    client.now = Timestamp::now();
    modify(client, Some(value(None, old, Some(new))))
}
