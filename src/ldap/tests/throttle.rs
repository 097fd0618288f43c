//! Who fails too often waits, and nobody else: how hashes wait, and what a name is told that is guessed at.

use std::future::Future as _;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use super::client::{Client, bind, with_controls};
use super::passwords;
use super::world::{
    ALICE, ALICE_PASSWORD, APP, CAROL, CAROL_PASSWORD, LEGACY_SECRET, MAIN, NOW, ROOT_PASSWORD, Wishes,
    World, cheap, hash, peer, stranger, wait,
};
use crate::access::Entitlements;
use crate::auth::hash_pool::MemoryLease;
use crate::auth::{HashClass, ThrottleSettings, TokenSecret};
use crate::config::Limit;
use crate::model::{Container, LdapProvider, Placement, Record};
use crate::plain::search_grant;
use crate::registry::{ApiRefusal, Attempt, Authentication};

const PASSWORD_POLICY: &str = "1.3.6.1.4.1.42.2.27.8.5.1";

/// Pauses that no test outlasts by being slow.
fn settings() -> ThrottleSettings {
    ThrottleSettings {
        failures_per_name_max: 3,
        failures_per_source_max: 10,
        failures_per_application_max: 100,
        failures_per_token_max: 5,
        window: Duration::from_secs(6_000),
        pause_min: Duration::from_secs(600),
        entries_max: 1_024,
    }
}

fn world(throttle: ThrottleSettings) -> World {
    World::with(Wishes { throttle: Some(throttle), ..Wishes::default() })
}

/// A registry whose pool computes nothing more, so that it can be seen how hashes wait.
struct Held<'a> {
    world: &'a World,
    _held: MemoryLease<'a>,
    plug: Box<Attempt>,
}

impl<'a> Held<'a> {
    fn new(world: &'a World) -> Self {
        let held = world.registry.hash_pool().hold();
        let plug = pending(authenticate(world, "plug", b"plug", "198.51.100.250"));
        // The one thread has taken it, and waits for memory.
        while world.registry.hash_pool().queue_lengths().of(HashClass::Other) > 0 {
            std::thread::yield_now();
        }
        Self { world, _held: held, plug }
    }

    /// How a secret waits from now on.
    fn class_of(&self, name: &str, secret: &[u8], source: &str) -> (HashClass, Box<Attempt>) {
        let lengths = || self.world.registry.hash_pool().queue_lengths();
        let before = lengths();
        let attempt = pending(authenticate(self.world, name, secret, source));
        let after = lengths();
        let mut classes = HashClass::ALL.into_iter().filter(|class| after.of(*class) > before.of(*class));
        (classes.next().unwrap(), attempt)
    }

    /// Lets everything be computed.
    fn release(self) -> Box<Attempt> {
        self.plug
    }
}

pub(super) fn authenticate(world: &World, name: &str, secret: &[u8], source: &str) -> Authentication {
    world.registry.authenticate(
        name,
        secret,
        peer(source).source,
        NOW,
        Instant::now(),
        &mut Entitlements::default(),
    )
}

fn pending(authentication: Authentication) -> Box<Attempt> {
    match authentication {
        Authentication::Pending(attempt) => attempt,
        Authentication::Done(verdict) => panic!("{verdict:?}"),
    }
}

/// A wrong secret with the selector of the right one.
fn forged(secret: &str) -> String {
    TokenSecret::forged(secret)
}

fn fail(world: &World, name: &str, secret: &str, source: &str, times: usize) {
    for _ in 0..times {
        Client::from(world, peer(source), true).bind(name, secret).is(49);
    }
}

#[test]
fn each_secret_waits_by_what_is_known_of_its_token() {
    let world = world(settings());
    let secrets = &world.secrets;
    // One for all: what the pool still has to do of an earlier one would leave its queue meanwhile.
    let held = Held::new(&world);
    let expect = |secret: &str, class| {
        // Never by the name.
        for name in ["app", "alice", "nobody"] {
            assert_eq!(held.class_of(name, secret.as_bytes(), "192.0.2.1").0, class, "{secret} for {name}");
        }
    };
    expect(&secrets.app, HashClass::Selector);
    expect(&forged(&secrets.app), HashClass::Selector);
    expect("a password", HashClass::Other);
    // It has expired, its account is inactive, it is for other networks, it is for the API: it cannot succeed.
    for secret in [&secrets.app_expired, &secrets.carol, &secrets.app_local, &secrets.app_api] {
        expect(secret, HashClass::Paced);
        expect(&forged(secret), HashClass::Paced);
    }
}

#[test]
fn forged_secrets_of_a_token_are_paced_after_a_few_and_let_others_pass() {
    let world = world(ThrottleSettings { failures_per_source_max: 0, ..settings() });
    let forged = forged(&world.secrets.app);
    fail(&world, "app", &forged, "192.0.2.1", 6);
    let held = Held::new(&world);
    let mut waiting = Vec::new();
    for _ in 0..20 {
        let (class, attempt) = held.class_of("app", forged.as_bytes(), "192.0.2.1");
        assert_eq!(class, HashClass::Paced);
        waiting.push(attempt);
    }
    // The owner, from there and from elsewhere, and whoever has a password.
    assert_eq!(held.class_of("app", world.secrets.app.as_bytes(), "192.0.2.1").0, HashClass::Paced);
    assert_eq!(held.class_of("app", world.secrets.app.as_bytes(), "192.0.2.2").0, HashClass::Selector);
    assert_eq!(held.class_of("reader", world.secrets.reader.as_bytes(), "192.0.2.1").0, HashClass::Selector);
    assert_eq!(held.class_of("alice", ALICE_PASSWORD.as_bytes(), "192.0.2.1").0, HashClass::Other);
    held.release();
    let reached: u64 = world
        .registry
        .limits_reached()
        .filter(|(limit, _)| *limit == Limit::throttle_failures_by_token_max)
        .map(|(_, count)| count)
        .sum();
    assert_eq!(reached, 21);
    // Paced, not refused.
    drop(waiting);
    Client::from(&world, peer("192.0.2.1"), true).bind("app", &world.secrets.app).is(0);
}

#[test]
fn secrets_of_the_api_wait_like_those_of_binds() {
    let world = world(settings());
    let source = peer("192.0.2.1").source;
    let refused = |secret: &str| {
        let call = world.registry.authenticate_api(secret.as_bytes(), source, NOW);
        assert_eq!(wait(call).unwrap_err(), ApiRefusal::Invalid);
    };
    let forged = forged(&world.secrets.app_api);
    for _ in 0..7 {
        refused(&forged);
    }
    let paced = |limit: Limit| world.registry.limits_reached().find(|(other, _)| *other == limit).unwrap().1;
    assert_eq!(paced(Limit::throttle_failures_by_token_max), 1);
    for _ in 0..5 {
        refused(&forged);
    }
    assert_eq!(paced(Limit::throttle_failures_by_source_max), 2);
    let call = world.registry.authenticate_api(world.secrets.app_api.as_bytes(), source, NOW);
    assert_eq!(wait(call).unwrap().holder.account, APP);
}

#[test]
fn a_source_that_fails_too_often_waits_for_itself() {
    let world = world(settings());
    for number in 0..10 {
        fail(&world, &format!("somebody-{number}"), "wrong", "192.0.2.1", 1);
    }
    let held = Held::new(&world);
    assert_eq!(held.class_of("alice", ALICE_PASSWORD.as_bytes(), "192.0.2.1").0, HashClass::Paced);
    assert_eq!(held.class_of("app", world.secrets.app.as_bytes(), "192.0.2.1").0, HashClass::Paced);
    assert_eq!(held.class_of("alice", ALICE_PASSWORD.as_bytes(), "192.0.2.2").0, HashClass::Other);
    held.release();
    // What is right succeeds all the same, and is no failure.
    for _ in 0..30 {
        Client::from(&world, peer("192.0.2.1"), true).bind("alice", ALICE_PASSWORD).is(0);
    }
    let mut later = Client::from(&world, peer("192.0.2.1"), true);
    later.later = Duration::from_secs(20_000);
    later.bind("root", ROOT_PASSWORD).is(0);
}

#[test]
fn a_secret_that_was_not_looked_at_is_no_failure() {
    let world = world(settings());
    let source = "192.0.2.1";
    for _ in 0..3 {
        let held = Held::new(&world);
        // As many as may fail, of clients that do not wait for their answers.
        let given_up: Vec<_> =
            (0..10).map(|_| held.class_of("alice", ALICE_PASSWORD.as_bytes(), source)).collect();
        assert!(given_up.iter().all(|(class, _)| *class == HashClass::Other));
        let cancelled = world.registry.hash_pool().counts().cancelled;
        drop(given_up);
        let mut api = Box::pin(world.registry.authenticate_api(
            world.secrets.app_api.as_bytes(),
            peer(source).source,
            NOW,
        ));
        assert!(api.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(api);
        let _plug = held.release();
        while world.registry.hash_pool().counts().cancelled < cancelled + 11 {
            std::thread::yield_now();
        }
    }
    // What was looked at counts, also where nobody is told.
    for number in 0..10 {
        let mut attempt = pending(authenticate(&world, &format!("nobody-{number}"), b"wrong", source));
        assert!(!wait(async { (&mut attempt.outcome).await }).unwrap().matches);
    }
    let held = Held::new(&world);
    assert_eq!(held.class_of("alice", ALICE_PASSWORD.as_bytes(), source).0, HashClass::Paced);
    held.release();
}

/// A login form of an application, at which somebody guesses.
#[test]
fn where_an_application_is_at_home_ten_times_as_many_may_be_wrong() {
    let world = world(settings());
    let form = |world: &World, failures: usize| {
        for number in 0..failures {
            fail(world, &format!("somebody-{number}"), "wrong", "192.0.2.7", 1);
        }
    };
    let class = || {
        let held = Held::new(&world);
        let (class, _) = held.class_of("root", ROOT_PASSWORD.as_bytes(), "192.0.2.7");
        held.release();
        class
    };
    // The app may not search: it is nobody that binds as people.
    let app = Client::app(&world);
    form(&world, 11);
    assert_eq!(class(), HashClass::Paced);
    drop(app);
    let reader = Client::reader(&world);
    assert_eq!(class(), HashClass::Other);
    form(&world, 5);
    assert_eq!(class(), HashClass::Other);
    // Only as long as it has the right.
    world.grant_readers(Vec::new());
    assert_eq!(class(), HashClass::Paced);
    world.grant_readers(vec![search_grant(Some(MAIN))]);
    assert_eq!(class(), HashClass::Other);
    // An application may use one connection for both: then nobody is bound while the person is tried.
    drop(reader);
    assert_eq!(class(), HashClass::Other);
    form(&world, 100);
    assert_eq!(class(), HashClass::Paced);
    let reached = world.registry.limits_reached();
    let paced: Vec<u64> = reached
        .filter(|(limit, _)| {
            [Limit::throttle_failures_by_source_max, Limit::throttle_failures_by_application_max]
                .contains(limit)
        })
        .map(|(_, count)| count)
        .collect();
    assert!(paced.iter().all(|count| *count > 0), "{paced:?}");
}

#[test]
fn an_application_is_at_home_where_it_is_bound() {
    let world = world(settings());
    let _reader = Client::reader(&world);
    for number in 0..12 {
        fail(&world, &format!("somebody-{number}"), "wrong", "192.0.2.1", 1);
    }
    let held = Held::new(&world);
    assert_eq!(held.class_of("root", ROOT_PASSWORD.as_bytes(), "192.0.2.1").0, HashClass::Paced);
    // And after a while nowhere any more, when it is gone.
    let moment = |later: u64| Instant::now() + Duration::from_secs(later);
    let is_application = |later: u64| {
        let snapshot = world.registry.snapshot();
        let trial = crate::registry::Trial { source: stranger().source, now: NOW, instant: moment(later) };
        world.registry.is_application(MAIN, &snapshot, trial, &mut Entitlements::default())
    };
    assert!(is_application(100_000), "it is bound");
    drop(_reader);
    assert!(is_application(5_000));
    assert!(!is_application(6_100));
    held.release();
}

#[test]
fn a_pause_is_answered_as_a_wrong_secret_is_at_the_same_cost() {
    let world = world(ThrottleSettings { failures_per_source_max: 0, ..settings() });
    // Seen before the failures begin.
    Client::new(&world).bind("legacy", LEGACY_SECRET).is(0);
    let at_first = world.hashes();
    for spelling in ["alice", " ALICE", "uid=alice,ou=users,dc=example,dc=org"] {
        Client::new(&world).bind(spelling, "wrong").is(49);
    }
    assert_eq!(world.hashes() - at_first, 3);
    let answers = |client: &mut Client, name: &str, secret: &str| {
        let before = world.hashes();
        let request = bind(client.id(), name, secret.as_bytes());
        let asked = client.send(&with_controls(&request, &[(PASSWORD_POLICY, false, None)]));
        let unasked = client.bind(name, secret);
        assert_eq!(world.hashes() - before, 2, "{name}");
        assert_eq!(unasked.control(PASSWORD_POLICY), None);
        let result = |reply: &super::client::Reply| {
            let result = reply.result();
            (result.code.clone(), result.matcheddn.clone(), result.message.clone())
        };
        assert_eq!(result(&asked), result(&unasked));
        (result(&asked), asked.control(PASSWORD_POLICY).unwrap().to_vec())
    };
    let wrong = answers(&mut Client::new(&world), "root", "wrong");
    assert_eq!(wrong.1, b"\x30\x00");
    // The fourth is not looked at, whatever it is, however the name is spelt.
    for spelling in ["alice", "cn=alice,ou=users,dc=example,dc=org"] {
        for secret in [ALICE_PASSWORD, "wrong"] {
            let (result, policy) = answers(&mut Client::new(&world), spelling, secret);
            assert_eq!(result, wrong.0);
            assert_eq!(policy, b"\x30\x03\x81\x01\x01", "accountLocked");
        }
    }
    // A name that nobody has is paused after as many.
    for _ in 0..3 {
        Client::new(&world).bind("nobody", "wrong").is(49);
    }
    for spelling in ["NOBODY", "uid=nobody,ou=users,dc=example,dc=org"] {
        let (result, policy) = answers(&mut Client::new(&world), spelling, "wrong");
        assert_eq!((result, policy.as_slice()), (wrong.0.clone(), b"\x30\x03\x81\x01\x01".as_slice()));
    }
    // A mistyped secret of ours costs nothing, so it is no guess.
    Client::new(&world).bind("alice", &world.secrets.nobody).is(49);
    // From elsewhere she gets in, and then is known here too.
    Client::from(&world, peer("198.51.100.1"), true).bind("alice", ALICE_PASSWORD).is(0);
    Client::new(&world).bind("alice", ALICE_PASSWORD).is(0);
    // A proof is never asked, nor is a selector that exists, for whatever name.
    for _ in 0..4 {
        Client::new(&world).bind("legacy", "wrong").is(49);
    }
    Client::new(&world).bind("legacy", LEGACY_SECRET).is(0);
    fail(&world, "app", "wrong", "192.0.2.7", 4);
    Client::new(&world).bind("app", &world.secrets.app).is(0);
    Client::new(&world).bind("app", &world.secrets.app_expired).is(49);
    for _ in 0..20 {
        Client::new(&world).bind("alice", &world.secrets.app_api).is(49);
    }
    Client::new(&world).bind("app", &world.secrets.app_brief).is(0);
}

/// Containers whose entries are named by their mail addresses, and by the usual names.
fn world_with_mail() -> World {
    let world = World::with(Wishes {
        throttle: Some(ThrottleSettings { failures_per_source_max: 0, entries_max: 65_536, ..settings() }),
        ..Wishes::default()
    });
    world.change(|transaction| {
        let main = transaction.snapshot().accounts().provider(MAIN).cloned().unwrap();
        let container =
            |name: &str, naming: &str| Container { container: name.into(), naming: naming.into() };
        transaction.put(Record::Provider(LdapProvider {
            users: vec![container("ou=people", "mail"), container("ou=users", "cn")],
            ..LdapProvider::clone(&main)
        }))
    });
    world
}

/// Spellings that may lead to the account of a name, and then such that never do.
fn spellings(name: &str) -> Vec<String> {
    let hexadecimal: String = name.bytes().map(|octet| format!("{octet:02x}")).collect();
    let length = name.len();
    let mut all = vec![
        name.to_owned(),
        format!("{}@EXAMPLE.org", name.to_uppercase()),
        format!("{name}@corp.example"),
        format!("{name}@corp.example@example.org"),
        format!("mail={name},ou=people,dc=example,dc=org"),
        format!("mail={name}@example.org,ou=people,dc=example,dc=org"),
        format!("UID = {name} , ou=people,dc=example,dc=org"),
        format!("cn={name},ou=users,dc=example,dc=org"),
        format!("sAMAccountName={name},ou=users,dc=other,dc=net"),
        format!("cn=#04{length:02x}{hexadecimal},ou=users,dc=example,dc=org"),
    ];
    for rdn in ["cn={}+cn={}", "cn={}+commonName={}", "cn={}+uid={}", "description={}"] {
        all.push(format!("{},ou=users,dc=example,dc=org", rdn.replace("{}", name)));
    }
    all.extend([
        format!("cn={name},dc=example,dc=org"),
        format!("cn={name},dc=nowhere"),
        format!("{name}@nowhere"),
    ]);
    all
}

/// What is counted of a name at one source is what its text says: of two spellings, one tells nothing of what the other
/// leads to.
#[test]
fn no_spelling_tells_by_another_whether_there_is_an_account() {
    let told = |username: &'static str| {
        let world = world_with_mail();
        let hash = hash("hers", cheap());
        world.change_account(ALICE, move |alice| {
            alice.username = username.to_owned();
            alice.password = Some(crate::plain::password(&hash));
        });
        let all = spellings("mary");
        let mut told = Vec::new();
        for (first, tried) in all.iter().enumerate() {
            for (second, asked) in all.iter().enumerate() {
                let source = peer(&format!("192.0.{first}.{second}"));
                let mut client = Client::from(&world, source, true);
                let before = (world.hashes(), world.registry.throttle.counts().paused);
                let mut answers = Vec::new();
                for spelling in [tried, tried, tried, tried, asked] {
                    let request = bind(client.id(), spelling, b"wrong");
                    let reply = client.send(&with_controls(&request, &[(PASSWORD_POLICY, false, None)]));
                    let result = reply.is(49).result();
                    let words = (result.matcheddn.clone(), result.message.clone());
                    answers.push((words, reply.control(PASSWORD_POLICY)));
                }
                let after = (world.hashes(), world.registry.throttle.counts().paused);
                let is_locked = answers[4].1.as_deref() == Some(b"\x30\x03\x81\x01\x01".as_slice());
                // A name, it with each domain, and a DN that is made of neither: they are told apart by their text alone.
                let counted = [0, 1, 2, 3, 0, 1, 0, 0, 0, 0, 4, 4];
                let of = |place: usize| counted.get(place);
                let is_one = first == second || of(first).is_some() && of(first) == of(second);
                assert_eq!(is_locked, is_one, "{username}: {tried}, then {asked}");
                told.push((tried.clone(), asked.clone(), answers, after.0 - before.0, after.1 - before.1));
            }
        }
        told
    };
    let nobody = told("somebody");
    for username in ["mary", "mary@example.org", "Mary@corp.example", "mary@corp.example@example.org"] {
        for (nobody, somebody) in nobody.iter().zip(told(username)) {
            assert_eq!(*nobody, somebody, "{username}");
        }
    }
}

/// Whoever has a name like another's, or a DN that is made of it, cannot go on guessing at the other by being right in
/// between, nor by what it may do to itself.
#[test]
fn ones_own_secret_forgives_no_guesses_at_a_namesake() {
    let operator = || crate::model::Actor::named("test").into();
    for (carol_is, her_name) in
        [("alice@example.org", "alice@example.org"), ("carol", "cn=alice,ou=users,dc=example,dc=org")]
    {
        let world = world_with_mail();
        world.change_account(CAROL, |carol| {
            (carol.username, carol.is_active) = (carol_is.to_owned(), true);
            let (container, rdn) = ("ou=users".to_owned(), "cn=alice".to_owned());
            carol.placements = vec![Placement { provider: MAIN, container, rdn }];
        });
        for _ in 0..2 {
            Client::new(&world).bind("alice", "wrong").is(49);
        }
        Client::new(&world).bind(her_name, CAROL_PASSWORD).is(0);
        Client::new(&world).bind("alice", "wrong").is(49);
        Client::new(&world).bind("alice", ALICE_PASSWORD).is(49);
        assert_eq!((world.registry.pauses(ALICE).len(), world.registry.pauses(CAROL).len()), (1, 0));
        assert_eq!(wait(world.registry.unlock_account(operator(), CAROL)).unwrap(), 0);
        Client::new(&world).bind("alice", ALICE_PASSWORD).is(49);
        assert_eq!(wait(world.registry.unlock_account(operator(), ALICE)).unwrap(), 1);
        Client::new(&world).bind("alice", ALICE_PASSWORD).is(0);
    }
}

/// By a password that no bind has proved since it was set.
#[test]
fn the_old_one_in_a_password_modify_forgives_what_a_bind_would() {
    for (rdn, is_namesake) in [("cn=carol", false), ("cn=alice", true)] {
        let world = world_with_mail();
        world.change_account(CAROL, |carol| {
            carol.is_active = true;
            let (container, rdn) = ("ou=users".to_owned(), rdn.to_owned());
            carol.placements = vec![Placement { provider: MAIN, container, rdn }];
        });
        let carol = format!("{rdn},ou=users,dc=example,dc=org");
        let mut alice = passwords::nobody(&world);
        alice.bind("alice", ALICE_PASSWORD).is(0);
        let new = b"another password of hers";
        passwords::modify(&mut alice, Some(passwords::value(None, None, Some(new)))).is(0);
        let guessed_at = if is_namesake { &carol } else { "alice" };
        fail(&world, guessed_at, "wrong", "192.0.2.7", 2);
        // What is refused afterwards has told that the old one is right.
        let before = world.hashes();
        for _ in 0..3 {
            let asked = passwords::value(None, Some(new), Some(b"x"));
            passwords::modify(&mut alice, Some(asked)).is(19);
        }
        assert_eq!(world.hashes() - before, 1, "a proof is kept");
        fail(&world, guessed_at, "wrong", "192.0.2.7", 1);
        assert_eq!(world.registry.pauses(ALICE).len(), usize::from(is_namesake), "{rdn}");
    }
}

/// What was imported under another name than its own is counted by both, and told, ended and forgiven as its own.
#[test]
fn a_dn_of_another_name_is_told_and_ended_with_the_account() {
    let operator = || crate::model::Actor::named("test").into();
    for (rdn, dn) in [
        ("cn=Alice Adams+uid=7", "uid=7+cn=alice adams,ou=users,dc=example,dc=org"),
        ("cn=Alice Adams", "CN=alice adams,ou=users,dc=example,dc=org"),
    ] {
        let world = world(ThrottleSettings { failures_per_source_max: 0, ..settings() });
        world.change_account(ALICE, |alice| {
            let (container, rdn) = ("ou=users".to_owned(), rdn.to_owned());
            alice.placements = vec![Placement { provider: MAIN, container, rdn }];
        });
        // Being right forgives what was wrong before.
        fail(&world, dn, "wrong", "192.0.2.8", 2);
        Client::from(&world, peer("192.0.2.8"), true).bind(dn, ALICE_PASSWORD).is(0);
        fail(&world, dn, "wrong", "192.0.2.8", 3);
        assert_eq!(world.registry.throttle.counts().paused, 0);
        assert_eq!(wait(world.registry.unlock_account(operator(), ALICE)).unwrap(), 1);
        // Of the same password as another no proof is kept.
        world.change_account(ALICE, |alice| alice.password.as_mut().unwrap().generation += 1);
        fail(&world, dn, "wrong", "192.0.2.7", 3);
        Client::new(&world).bind(dn, ALICE_PASSWORD).is(49);
        assert_eq!(world.registry.pauses(ALICE).len(), 1);
        fail(&world, "alice", "wrong", "192.0.2.7", 4);
        assert_eq!(world.registry.pauses(ALICE).len(), 1, "at one source");
        assert_eq!(wait(world.registry.unlock_account(operator(), ALICE)).unwrap(), 1);
        Client::new(&world).bind(dn, ALICE_PASSWORD).is(0);
        Client::new(&world).bind("alice", ALICE_PASSWORD).is(0);
    }
}

#[test]
fn a_pause_ends_by_itself_however_much_is_tried() {
    let world = world(ThrottleSettings { failures_per_source_max: 0, ..settings() });
    fail(&world, "root", "wrong", "192.0.2.7", 30);
    // No earlier because the time of day was set.
    let mut later = Client::new(&world);
    later.now = NOW.after(Duration::from_secs(5_000));
    later.bind("root", ROOT_PASSWORD).is(49);
    later.now = NOW;
    later.later = Duration::from_secs(610);
    later.bind("root", ROOT_PASSWORD).is(0);
    // It begins anew: three more.
    let mut guesser = Client::new(&world);
    guesser.later = Duration::from_secs(610);
    for _ in 0..2 {
        guesser.bind("alice", "wrong").is(49);
    }
    guesser.bind("alice", ALICE_PASSWORD).is(0);
}

#[test]
fn a_pause_doubles_and_is_told_and_ended() {
    let world = world(ThrottleSettings { failures_per_source_max: 0, ..settings() });
    fail(&world, "alice", "wrong", "192.0.2.7", 4);
    fail(&world, "alice", "wrong", "2001:db8::7", 3);
    let mut pauses = world.registry.pauses(ALICE);
    pauses.sort_by_key(|pause| pause.source);
    let sources: Vec<String> = pauses.iter().map(|pause| pause.source.to_string()).collect();
    assert_eq!(sources, ["192.0.2.7", "2001:db8::/64"]);
    assert!(pauses.iter().all(|pause| pause.left <= Duration::from_secs(600)));
    let mut guesser = Client::new(&world);
    guesser.later = Duration::from_secs(610);
    guesser.bind("alice", "wrong").is(49);
    guesser.later = Duration::from_secs(610 + 1_100);
    guesser.bind("alice", ALICE_PASSWORD).is(49);
    guesser.later = Duration::from_secs(610 + 1_210);
    guesser.bind("alice", "wrong").is(49);
    let operator = crate::model::Actor::named("test");
    assert_eq!(wait(world.registry.unlock_account(operator.into(), ALICE)).unwrap(), 2);
    guesser.bind("alice", ALICE_PASSWORD).is(0);
    // It is told whoever did it, in the trail.
    let events = world.registry.store().events(crate::model::Trail::Changes, 0, 100).unwrap();
    let told = events.iter().filter(|event| event.details.iter().any(|detail| detail.value == "unlocked"));
    assert_eq!(told.map(|event| event.object_name.as_str()).collect::<Vec<_>>(), ["alice"]);
}

#[test]
fn a_full_queue_tells_nothing_of_a_pause() {
    let world = world(ThrottleSettings { failures_per_source_max: 0, ..settings() });
    fail(&world, "alice", "wrong", "192.0.2.1", 3);
    let held = Held::new(&world);
    let mut waiting = Vec::new();
    for _ in 0..128 {
        waiting.push(held.class_of("alice", b"wrong", "192.0.2.1").1);
    }
    // Of its share nothing is left: no 51, by which a client would learn that it is not the secret.
    match authenticate(&world, "alice", ALICE_PASSWORD.as_bytes(), "192.0.2.1") {
        Authentication::Done(verdict) => {
            let refusal = crate::registry::AuthenticationRefusal::Paused;
            assert_eq!(verdict, crate::registry::Verdict::Refused(refusal));
        }
        Authentication::Pending(_) => panic!("there was a place"),
    }
    held.release();
}

/// Who gives up before the answer has come has made the hash all the same.
#[test]
fn tries_count_from_their_beginning() {
    let world = world(settings());
    let held = Held::new(&world);
    let classes: Vec<HashClass> =
        (0..20).map(|number| held.class_of(&format!("somebody-{number}"), b"wrong", "192.0.2.1").0).collect();
    assert_eq!(classes, [vec![HashClass::Other; 10], vec![HashClass::Paced; 10]].concat());
    held.release();
}

#[test]
fn guesses_at_the_old_password_count_too() {
    let world = world(settings());
    let mut client = Client::new(&world);
    client.bind("alice", ALICE_PASSWORD).is(0);
    for _ in 0..3 {
        super::passwords::change(&mut client, Some(b"wrong"), b"a new password").is(49);
    }
    assert_eq!(world.registry.throttle.counts().paused, 0);
    super::passwords::change(&mut client, Some(b"wrong"), b"a new password").is(49);
    assert_eq!(world.registry.throttle.counts().paused, 1);
    // The one that it was bound with is known without a hash.
    super::passwords::change(&mut client, Some(ALICE_PASSWORD.as_bytes()), b"a new password").is(0);
}
