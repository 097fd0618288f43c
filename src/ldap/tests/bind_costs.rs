//! What a bind costs: hashes are counted, time is not. The number depends on the shape of the secret and on
//! whether its selector exists, never on the name.

use super::binds::plain;
use super::client::Client;
use super::passwords::{modify, nobody, value};
use super::throttle::authenticate;
use super::world::{ALICE, ALICE_PASSWORD, APP_TOKEN, LEGACY_SECRET, LEGACY_TOKEN, Wishes, World, hash};
use crate::auth::Argon2Parameters;
use crate::model::{HashText, Password};
use crate::plain;
use crate::registry::{Authentication, AuthenticationRefusal, Verdict};
use crate::schema::steps;

/// Names of all sorts: a service account, a person with and one without a password, one that is inactive, one
/// that is bindery's own, unknown ones, no name.
const NAMES: [&str; 11] = [
    "cn=app,ou=users,dc=example,dc=org",
    "alice",
    "hidden-bob",
    "carol",
    "legacy",
    "bindery:command-line",
    "prober",
    "nobody",
    "cn=nobody,ou=users,dc=nowhere",
    "not,a=dn",
    "",
];

#[test]
fn hashes_by_the_shape_of_the_secret() {
    let world = World::new();
    let secrets = &world.secrets;
    let mut mistyped = secrets.app.clone().into_bytes();
    mistyped[15] = if mistyped[15] == b'x' { b'y' } else { b'x' };
    let shapes: Vec<(&str, Vec<u8>, u64)> = vec![
        ("our prefix, too short", secrets.app.as_bytes()[..30].to_vec(), 0),
        ("our prefix, too long", [secrets.app.as_bytes(), b"x"].concat(), 0),
        ("our prefix alone", b"bindery_app_".to_vec(), 0),
        ("our prefix, wrong checksum", mistyped, 0),
        ("our shape, no such selector", secrets.nobody.clone().into(), 0),
        ("anything else", b"wrong".to_vec(), 1),
        ("not text", vec![0, 0xff], 1),
        ("longer than any secret", vec![b'x'; 2_000], 0),
    ];
    for (what, secret, cost) in &shapes {
        for name in NAMES {
            let before = world.hashes();
            Client::new(&world).bind(name, secret).is(49);
            assert_eq!(world.hashes() - before, *cost, "{what} for {name:?}");
        }
    }
}

#[test]
fn a_selector_that_exists_costs_one_hash_for_every_name() {
    for name in NAMES {
        // Anew for each: the second time the proof is remembered.
        let world = World::new();
        let secrets = &world.secrets;
        for (what, secret) in [
            ("right", &secrets.app),
            ("expired", &secrets.app_expired),
            ("from elsewhere", &secrets.app_local),
            ("an API token", &secrets.app_api),
            ("of an inactive account", &secrets.carol),
        ] {
            let before = world.hashes();
            Client::new(&world).bind(name, secret);
            assert_eq!(world.hashes() - before, 1, "{what} for {name:?}");
            Client::new(&world).bind(name, secret);
            assert_eq!(world.hashes() - before, 1, "{what} for {name:?}, remembered");
        }
    }
}

/// Names that somebody or something has that may not be told of, each with one that nobody has.
fn names_and_others() -> Vec<(String, String)> {
    let (here, base) = ("ou=users", "dc=example,dc=org");
    let mut pairs = Vec::new();
    for (name, other) in
        [("hidden-bob", "hidden-box"), ("alice", "alicf"), ("carol", "carom"), ("app", "apq")]
    {
        pairs.push((name.to_owned(), other.to_owned()));
        for around in ["cn=NAME,", "uid=NAME,", "CN = NAME ,", "sAMAccountName=NAME\u{ad}\u{ad},"] {
            let [name, other] = [name, other].map(|name| around.replace("NAME", name) + here + "," + base);
            pairs.push((name, other));
        }
        pairs.push((format!("{name}@example.org"), format!("{other}@example.org")));
    }
    for (name, other) in [("cn=staff,ou=groups", "cn=stuff,ou=groups"), ("ou=users", "ou=usert")] {
        pairs.push((format!("{name},{base}"), format!("{other},{base}")));
    }
    pairs
}

/// By the time nobody learns whether somebody has a name: its look-up takes as many steps, and so does what is made of it.
#[test]
fn a_name_that_nobody_has_takes_as_many_steps() {
    let world = World::new();
    let secret = &world.secrets.app;
    // From now on it costs no hash.
    Client::new(&world).bind("app", secret).is(0);
    let bound = || {
        let mut client = nobody(&world);
        client.bind("app", secret).is(0);
        client
    };
    let mut client = bound();
    let counted = |ask: &mut dyn FnMut()| {
        let before = steps::taken();
        ask();
        steps::taken() - before
    };
    let mut all = 0;
    for (name, other) in names_and_others() {
        let both = [name.as_str(), other.as_str()];
        let is_own = ["app", "app@"].iter().any(|own| name.starts_with(own))
            || name.to_ascii_lowercase().replace(' ', "").contains("=app");
        if !is_own {
            let [there, nowhere] = both.map(|name| {
                counted(&mut || assert_eq!(Client::new(&world).bind(name, secret).is(49).messages.len(), 1))
            });
            assert_eq!(there, nowhere, "a bind by {name}");
            all += there;
            let [there, nowhere] = both.map(|name| {
                let message = [name.as_bytes(), b"\0app\0", secret.as_bytes()].concat();
                counted(&mut || {
                    assert_eq!(Client::new(&world).send(&plain(7, Some(&message))).is(50).messages.len(), 1)
                })
            });
            assert_eq!(there, nowhere, "PLAIN as {name}");
            let [there, nowhere] = both.map(|name| {
                counted(&mut || {
                    assert_eq!(
                        modify(&mut client, Some(value(Some(name), None, None))).is(50).messages.len(),
                        1
                    )
                })
            });
            assert_eq!(there, nowhere, "a password of {name}");
        }
    }
    assert!(all > 0, "nothing is counted");

    // Where no place is left for a hash.
    let _held = world.registry.hash_pool().hold();
    let ask = |name: &str| authenticate(&world, name, b"wrong", "198.51.100.77");
    let is_busy = |authentication: &Authentication| {
        matches!(authentication, Authentication::Done(Verdict::Refused(AuthenticationRefusal::Busy)))
    };
    let waiting: Vec<_> = (0..10_000).map(|_| ask("plug")).take_while(|asked| !is_busy(asked)).collect();
    assert!((1..10_000).contains(&waiting.len()));
    for (name, other) in names_and_others() {
        let [there, nowhere] = [&name, &other].map(|name| counted(&mut || assert!(is_busy(&ask(name)))));
        assert_eq!(there, nowhere, "a bind by {name} while all is full");
    }
}

#[test]
fn a_wrong_secret_under_a_selector_that_exists_costs_one_hash() {
    let world = World::new();
    // Another secret with the selector of the app's: the record now holds a hash of something else.
    world.change_token(APP_TOKEN, |token| {
        token.hash = HashText::new(hash("something else", super::world::cheap()));
    });
    for tries in 1..=3 {
        Client::new(&world).bind("app", &world.secrets.app).is(49);
        assert_eq!(world.hashes(), tries);
    }
}

#[test]
fn the_second_bind_costs_nothing() {
    let world = World::new();
    let secrets = [("app", world.secrets.app.as_str()), ("alice", ALICE_PASSWORD), ("legacy", LEGACY_SECRET)];
    for (name, secret) in secrets {
        let before = world.hashes();
        Client::new(&world).bind(name, secret).is(0);
        assert_eq!(world.hashes() - before, 1, "{name}");
        for spelling in
            [name.to_owned(), format!("CN={name},ou=users,dc=example,dc=org"), format!("{name}@example.org")]
        {
            Client::new(&world).bind(&spelling, secret).is(0);
        }
        assert_eq!(world.hashes() - before, 1, "{name}");
        // A wrong one beside it is hashed each time, and does not push the right one out.
        Client::new(&world).bind(name, "wrong").is(49);
        Client::new(&world).bind(name, "wrong").is(49);
        Client::new(&world).bind(name, secret).is(0);
        assert_eq!(world.hashes() - before, 3, "{name}");
    }
}

#[test]
fn a_proof_is_worth_nothing_once_the_credential_changed() {
    let world = World::new();
    let app = |code| {
        Client::new(&world).bind("app", &world.secrets.app).is(code);
    };
    app(0);
    // Rotated: the same record, another secret.
    world.change_token(APP_TOKEN, |token| {
        token.generation += 1;
        token.hash = HashText::new(hash("another", super::world::cheap()));
    });
    app(49);
    world.change(|transaction| transaction.delete_token(APP_TOKEN));
    let before = world.hashes();
    app(49);
    assert_eq!(world.hashes(), before, "a selector that exists no more costs nothing");

    Client::new(&world).bind("alice", ALICE_PASSWORD).is(0);
    world.change_account(ALICE, |account| {
        let password = plain::password(&hash("new", super::world::cheap()));
        account.password = Some(Password { generation: 1, ..password });
    });
    Client::new(&world).bind("alice", ALICE_PASSWORD).is(49);
    Client::new(&world).bind("alice", "new").is(0);
    world.change_account(ALICE, |account| account.is_active = false);
    let before = world.hashes();
    Client::new(&world).bind("alice", "new").is(49);
    assert_eq!(world.hashes() - before, 1, "the dummy stands in for an inactive account");

    Client::new(&world).bind("legacy", LEGACY_SECRET).is(0);
    world.change_token(LEGACY_TOKEN, |token| token.expires = Some(super::world::NOW));
    Client::new(&world).bind("legacy", LEGACY_SECRET).is(49);
}

#[test]
fn an_imported_scheme_costs_the_same_and_is_replaced_at_its_first_success() {
    // {SHA} of "secret".
    let world = World::with(Wishes {
        alice_hash: Some("{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=".to_owned()),
        ..Wishes::default()
    });
    Client::new(&world).bind("alice", "wrong").is(49);
    assert_eq!(world.hashes(), 1);
    Client::new(&world).bind("alice", "secret").is(0);
    // The hash that replaces it is put by the writer, behind which this change waits.
    world.change(|_| Ok(()));
    let snapshot = world.registry.snapshot();
    let password = snapshot.accounts().account(ALICE).unwrap().password.clone().unwrap();
    assert!(password.hash.expose().starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{}", password.hash.expose());
    assert_eq!(password.generation, 0, "the secret is the same");
    let before = world.hashes();
    Client::new(&world).bind("alice", "secret").is(0);
    assert_eq!(world.hashes(), before, "its proof holds");
}

#[test]
fn other_parameters_are_replaced_too() {
    let elsewhere = Argon2Parameters::new(16, 2, 1).unwrap();
    let world = World::with(Wishes { alice_hash: Some(hash("secret", elsewhere)), ..Wishes::default() });
    Client::new(&world).bind("alice", "wrong").is(49);
    Client::new(&world).bind("alice", "secret").is(0);
    assert_eq!(world.hashes(), 2);
    world.change(|_| Ok(()));
    let snapshot = world.registry.snapshot();
    let password = snapshot.accounts().account(ALICE).unwrap().password.clone().unwrap();
    assert!(password.hash.expose().contains("m=8,t=1,p=1"), "{}", password.hash.expose());
}
