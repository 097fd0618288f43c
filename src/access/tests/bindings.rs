//! Bindings that ask for the source and for the time, and what is told of them.

use super::*;
use crate::directory::AccountState;
use crate::model::{TimeWindow, Weekday};

/// Monday, 10:00 in Berlin.
const MONDAY: &str = "2026-11-23T09:00:00Z";
/// Saturday, 10:00 in Berlin.
const SATURDAY: &str = "2026-11-28T09:00:00Z";
const INSIDE: Option<&str> = Some("10.1.2.3");
const OUTSIDE: Option<&str> = Some("192.0.2.7");

fn networks() -> BindingSubject {
    BindingSubject::Networks(vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()])
}

fn office() -> BindingSubject {
    let days = Weekday::ALL.into_iter().take(5);
    let (from, to) = ("08:00".parse().unwrap(), "18:00".parse().unwrap());
    BindingSubject::Window(TimeWindow::new(days, from, to, "Europe/Berlin".parse().unwrap()).unwrap())
}

/// Office hours in a time zone that only a later bindery knows.
fn unknown() -> BindingSubject {
    let text = serde_json::to_string(&office()).unwrap().replace("Europe/Berlin", "Mars/Olympus");
    serde_json::from_str(&text).unwrap()
}

fn with(mode: BindingMode, bindings: Vec<Binding>) -> World {
    let mut world = world();
    world.applications.insert(51, application(1, mode, bindings));
    world
}

fn admitted(world: &World, source: Option<&str>, at: &str) -> Result<(), NotAdmitted> {
    let snapshot = world.snapshot();
    let accounts = snapshot.accounts();
    let alice = accounts.account(AccountNumber::new(ALICE)).unwrap();
    let source = source.map(|source| source.parse().unwrap());
    admit(accounts, alice, ProviderNumber::new(1), source, at.parse().unwrap())
}

#[test]
fn networks_ask_for_the_source() {
    for (source, is_inside) in [
        (INSIDE, true),
        (Some("10.0.0.0"), true),
        (Some("10.255.255.255"), true),
        (Some("11.0.0.0"), false),
        (OUTSIDE, false),
        (Some("2001:db8::7"), true),
        (Some("2001:db9::7"), false),
        // As a listener for both versions sees a client of the first.
        (Some("::ffff:10.1.2.3"), true),
        (Some("::ffff:192.0.2.7"), false),
        // A client on a Unix socket.
        (None, false),
    ] {
        for negate in [false, true] {
            let world = with(BindingMode::Any, vec![binding(networks(), negate, true)]);
            assert_eq!(admitted(&world, source, MONDAY).is_ok(), is_inside != negate, "{source:?} {negate}");
        }
    }
    for negate in [false, true] {
        let world = with(BindingMode::Any, vec![binding(BindingSubject::Networks(Vec::new()), negate, true)]);
        assert_eq!(admitted(&world, INSIDE, MONDAY).is_ok(), negate);
    }
}

#[test]
fn windows_ask_for_the_time() {
    for (at, is_open) in
        [(MONDAY, true), (SATURDAY, false), ("2026-11-23T06:59:59Z", false), ("2026-11-23T17:00:00Z", false)]
    {
        for negate in [false, true] {
            let world = with(BindingMode::Any, vec![binding(office(), negate, true)]);
            assert_eq!(admitted(&world, None, at).is_ok(), is_open != negate, "{at} {negate}");
        }
    }
}

#[test]
fn a_window_whose_time_zone_is_unknown_admits_nobody_either_way() {
    for negate in [false, true] {
        let world = with(BindingMode::Any, vec![binding(unknown(), negate, true)]);
        let refused = admitted(&world, INSIDE, MONDAY).unwrap_err().to_string();
        assert!(refused.contains("Mars/Olympus"), "{refused}");
    }
}

#[test]
fn source_time_and_people_go_together_by_the_mode() {
    use BindingMode::{All, Any};
    let alice = || binding(of_account(ALICE), false, true);
    let bob = || binding(of_account(11), false, true);
    for (mode, who, expected) in [
        // Inside and open, inside and closed, outside and open, outside and closed.
        (All, alice(), [true, false, false, false]),
        (All, bob(), [false; 4]),
        (Any, alice(), [true; 4]),
        (Any, bob(), [true, true, true, false]),
    ] {
        let bindings = vec![who.clone(), binding(networks(), false, true), binding(office(), false, true)];
        let world = with(mode, bindings);
        let cases = [(INSIDE, MONDAY), (INSIDE, SATURDAY), (OUTSIDE, MONDAY), (OUTSIDE, SATURDAY)];
        for ((source, at), expected) in cases.into_iter().zip(expected) {
            let is_admitted = admitted(&world, source, at).is_ok();
            assert_eq!(is_admitted, expected, "{mode} {who:?} {source:?} {at}");
        }
    }
    // One that is switched off takes no part.
    let world = with(All, vec![alice(), binding(office(), false, false)]);
    assert!(admitted(&world, OUTSIDE, SATURDAY).is_ok());
}

/// What many bindings come to is what each of them says, for everybody.
#[test]
fn whom_an_application_may_admit_is_what_its_bindings_say() {
    let snapshot = world().snapshot();
    let accounts = snapshot.accounts();
    let people = [ALICE, 11].map(|number| accounts.account(AccountNumber::new(number)).unwrap());
    let subjects = [
        of_account(ALICE),
        of_account(11),
        of_group(LOW),
        of_group(HIGH),
        of_group(OTHER),
        of_group(999),
        networks(),
        office(),
        unknown(),
    ];
    let all: Vec<Binding> = subjects
        .iter()
        .flat_map(|subject| [false, true].map(|negate| binding(subject.clone(), negate, true)))
        .collect();
    // `None`: it is as if there were no such binding.
    let passes = |binding: &Binding, account: &AccountState, asked: AskedFor| {
        let decides = match &binding.subject {
            BindingSubject::Networks(_) => asked == AskedFor::Losses,
            BindingSubject::Window(window) => asked == AskedFor::Losses || !window.timezone().is_known(),
            BindingSubject::Account(_) | BindingSubject::Group(_) => true,
        };
        decides.then(|| match &binding.subject {
            BindingSubject::Account(number) => (*number == account.number) != binding.negate,
            BindingSubject::Group(number) => {
                accounts.group(*number).is_some()
                    && accounts.groups_of(account).contains(number) != binding.negate
            }
            BindingSubject::Networks(_) => true,
            BindingSubject::Window(window) => window.timezone().is_known(),
        })
    };
    let check = |mode: BindingMode, bindings: &[&Binding], asked: AskedFor| {
        let switched_off = Binding { enabled: false, ..all[0].clone() };
        let mut bindings: Vec<Binding> = bindings.iter().copied().cloned().collect();
        let alone = Admissible::of(accounts, &application(1, mode, bindings.clone()), asked);
        for account in people {
            let mut each = bindings.iter().filter_map(|binding| passes(binding, account, asked));
            let expected =
                if mode == BindingMode::Any { each.any(|passes| passes) } else { each.all(|passes| passes) };
            assert_eq!(alone.admits(accounts, account), expected, "{asked:?} {mode} {bindings:?}");
        }
        // Neither their order nor one that is switched off decides anything.
        bindings.reverse();
        bindings.push(switched_off);
        assert_eq!(Admissible::of(accounts, &application(1, mode, bindings), asked), alone);
    };
    for (mode, asked) in BindingMode::ALL
        .into_iter()
        .flat_map(|mode| [AskedFor::Losses, AskedFor::Gains].map(|asked| (mode, asked)))
    {
        for (one, other) in all.iter().flat_map(|one| all.iter().map(move |other| (one, other))) {
            check(mode, &[one, other], asked);
            all.iter().for_each(|third| check(mode, &[one, other, third], asked));
        }
        let off = vec![binding(of_account(ALICE), false, false)];
        let off = Admissible::of(accounts, &application(1, mode, off), asked);
        assert!(people.iter().all(|account| !off.admits(accounts, account)), "{mode}");
        let unbound = Admissible::of(accounts, &application(1, mode, Vec::new()), asked);
        assert!(
            people.iter().all(|account| unbound.admits(accounts, account))
                && unbound == Admissible::everybody()
        );
    }
}

#[test]
fn an_identity_loses_and_regains_access_as_time_passes() {
    let window = || vec![binding(office(), false, true)];
    let mut world = with(BindingMode::Any, window());
    let look = |world: &World, on: u32, at: &str| {
        authorise(
            &world.snapshot(),
            Some(&identity()),
            ProviderNumber::new(on),
            None,
            at.parse().unwrap(),
            &mut Entitlements::default(),
        )
    };
    assert!(look(&world, 1, MONDAY).is_ok());
    assert!(matches!(look(&world, 1, SATURDAY), Err(Denied::NotAdmitted(_))));
    assert!(matches!(look(&world, 2, SATURDAY), Err(Denied::NotAdmitted(_))));
    assert!(look(&world, 1, "2026-11-30T09:00:00Z").is_ok());
    // Another provider exists while its window is open.
    world.applications.clear();
    world.applications.insert(52, application(2, BindingMode::Any, window()));
    assert!(look(&world, 2, MONDAY).is_ok());
    assert_eq!(look(&world, 2, SATURDAY), Err(Denied::OtherProvider));
}

#[test]
fn a_client_is_told_why_but_no_name_that_it_may_not_see() {
    let told = |bindings: Vec<Binding>, source, at| {
        admitted(&with(BindingMode::All, bindings), source, at).unwrap_err().to_string()
    };
    let bindings = |negate| {
        let subjects = [of_account(11), of_group(OTHER), networks(), office()];
        subjects.map(|subject| binding(subject, negate, true)).to_vec()
    };
    assert_eq!(
        told(bindings(false), OUTSIDE, SATURDAY),
        "the application `app-1` does not admit this account: it is not the account that the binding names; it is \
         not in the group that the binding names; the source 192.0.2.7 is in none of 10.0.0.0/8, 2001:db8::/32; \
         outside of Mon-Fri 08:00-18:00 Europe/Berlin: it is Sat 10:00 there"
    );
    let negated = [of_account(ALICE), of_group(HIGH)].map(|subject| binding(subject, true, true)).to_vec();
    assert_eq!(
        told(negated, None, MONDAY),
        "the application `app-1` does not admit this account: it is the account `alice`, and the binding is negated; \
         it is in the group `high`, and the binding is negated"
    );
    // What passes is no reason.
    let mixed = vec![binding(of_account(ALICE), false, true), binding(networks(), false, true)];
    assert_eq!(
        told(mixed, None, MONDAY),
        "the application `app-1` does not admit this account: there is no source address, so it is in none of \
         10.0.0.0/8, 2001:db8::/32"
    );
    let off = vec![binding(networks(), false, false)];
    assert!(told(off, INSIDE, MONDAY).ends_with(": all of its bindings are switched off"));
    let many = vec![binding(of_account(11), false, true); 100];
    assert!(told(many, INSIDE, MONDAY).ends_with("; and 92 more"));
}

#[test]
fn an_operator_is_told_what_each_binding_makes_of_it() {
    let mut bindings: Vec<Binding> =
        [of_account(11), of_group(HIGH), of_group(999), networks(), office(), unknown()]
            .map(|subject| binding(subject, false, true))
            .to_vec();
    bindings[0].order = 10;
    bindings[3].enabled = false;
    let explained = |mode: BindingMode, source: Option<&str>, at: &str| {
        let snapshot = with(mode, bindings.clone()).snapshot();
        let alice = snapshot.accounts().account(AccountNumber::new(ALICE)).unwrap();
        let source = source.map(|source| source.parse().unwrap());
        explain(
            &snapshot,
            alice,
            ProviderNumber::new(1),
            Question { entry: None, filter: None, source, now: at.parse().unwrap() },
        )
        .unwrap()
    };
    let told = explained(BindingMode::Any, OUTSIDE, SATURDAY);
    assert!(told.may_bind);
    assert_eq!(told.bind_reason, "the application `app-1` admits it");
    let lines: Vec<(Option<bool>, &str)> =
        told.bindings.iter().map(|bound| (bound.passes, bound.sentence.as_str())).collect();
    assert_eq!(
        lines,
        [
            (Some(true), "it is in the group `high`"),
            (Some(false), "it is not in the group that the binding names, which is deleted"),
            (None, "the source 192.0.2.7 is in none of 10.0.0.0/8, 2001:db8::/32"),
            (Some(false), "outside of Mon-Fri 08:00-18:00 Europe/Berlin: it is Sat 10:00 there"),
            (
                Some(false),
                "the rules of the time zone Mars/Olympus are not known here, so nobody can tell whether it is within \
                 Mon-Fri 08:00-18:00 Mars/Olympus; update bindery, or the zoneinfo of this system and restart"
            ),
            (Some(false), "it is not the account `bob`"),
        ]
    );
    let told = explained(BindingMode::All, INSIDE, MONDAY);
    assert!(!told.may_bind);
    assert_eq!(told.bind_reason, "the application `app-1` does not admit it: each of its bindings must pass");
    assert_eq!(told.bindings[2].sentence, "the source 10.1.2.3 is in one of 10.0.0.0/8, 2001:db8::/32");
    assert_eq!(told.bindings[3].sentence, "within Mon-Fri 08:00-18:00 Europe/Berlin: it is Mon 10:00 there");
}
