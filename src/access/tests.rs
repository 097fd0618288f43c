//! Every way to hold a right and to lose it, every end of an identity, every kind of binding.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::IpAddr;

use super::admission::admit;
use super::limits::search_limits;
use super::rights::{Decision, Reason, Via, missing as missing_of};
use super::*;
use crate::directory::tests::fixture::World;
use crate::directory::{EntryId, OwnEntries, Snapshot, Visibility};
use crate::model::{
    AccountNumber, Application, ApplicationNumber, Binding, BindingMode, BindingSubject, Change, Fingerprint,
    Grant, GroupNumber, Key, ObjectReference, Password, Permission, ProviderNumber, Record, RoleNumber,
    Timestamp, Token, TokenNumber,
};
use crate::plain::{self, account, group, provider, role, search_grant};

mod bindings;

const ALICE: u32 = 10;
/// alice is in `low`, `low` is in `middle`, `middle` is in `high`, which is in `low` again.
const LOW: u32 = 20;
const MIDDLE: u32 = 21;
const HIGH: u32 = 22;
const OTHER: u32 = 23;
const ROLE: u32 = 30;
const TOKEN: u32 = 40;
const NOW: Timestamp = Timestamp::from_unix_seconds(1_700_000_100);

fn world() -> World {
    let mut world = World::default();
    world.providers.insert(1, provider(1, "dc=one"));
    world.providers.insert(2, provider(2, "dc=two"));
    world.accounts.insert(ALICE, account(ALICE, "alice"));
    world.accounts.insert(11, account(11, "bob"));
    for (number, name, parents) in [
        (LOW, "low", vec![MIDDLE]),
        (MIDDLE, "middle", vec![HIGH]),
        (HIGH, "high", vec![LOW]),
        (OTHER, "other", vec![]),
    ] {
        let mut group = group(number, name);
        group.parents = parents.into_iter().map(GroupNumber::new).collect();
        world.groups.insert(number, group);
    }
    world.memberships = [(LOW, ALICE), (OTHER, 11)].into();
    world.roles.insert(ROLE, role(ROLE, "reader"));
    world.tokens.insert(TOKEN, token());
    world
}

fn token() -> Token {
    Token {
        identifier: "alice-token".to_owned(),
        generation: 3,
        ..plain::token(TOKEN, AccountNumber::new(ALICE))
    }
}

fn with(credential: Credential) -> Identity {
    let Identity { holder, provider } = identity();
    Identity { holder: Holder { credential, ..holder }, provider }
}

fn identity() -> Identity {
    Identity {
        holder: Holder {
            account: AccountNumber::new(ALICE),
            credential: Credential::Token { number: TokenNumber::new(TOKEN), generation: 3 },
        },
        provider: ProviderNumber::new(1),
    }
}

fn look(world: &World, on: u32) -> Result<Visibility, Denied> {
    see(&world.snapshot(), on)
}

fn see(snapshot: &Snapshot, on: u32) -> Result<Visibility, Denied> {
    seen(snapshot, on).map(|seen| match seen {
        Visibility::Tree(_) => Visibility::Full,
        Visibility::Own(own) => Visibility::Own(OwnEntries::new(own.as_slice().to_vec())),
        Visibility::Full => Visibility::Full,
    })
}

/// The same with what is seen of the other provider's tree, as far as values name what stands there.
fn seen(snapshot: &Snapshot, on: u32) -> Result<Visibility, Denied> {
    authorise(snapshot, Some(&identity()), ProviderNumber::new(on), None, NOW, &mut Entitlements::default())
}

#[test]
fn values_show_what_is_seen_in_the_tree_that_they_lie_in() {
    use crate::directory::Elsewhere;
    let (one, two) = (ProviderNumber::new(1), ProviderNumber::new(2));
    let Visibility::Own(mine) = own() else { panic!("it sees everything") };
    let with = |grant: Option<Option<ProviderNumber>>, is_admitted: bool| {
        let mut world = world();
        world.accounts.get_mut(&ALICE).unwrap().grants = grant.map(search_grant).into_iter().collect();
        let closed = application(2, BindingMode::Any, vec![binding(of_account(11), false, true)]);
        if !is_admitted {
            world.applications.insert(52, closed);
        }
        seen(&world.snapshot(), 1).unwrap()
    };
    let there = |seen: Vec<Visibility>| Elsewhere::new(seen.into_iter().map(|seen| (two, seen)).collect());
    assert_eq!(with(Some(None), true), Visibility::Full);
    assert_eq!(with(Some(None), false), Visibility::Tree(there(vec![])));
    assert_eq!(with(Some(Some(one)), true), Visibility::Tree(there(vec![own()])));
    assert_eq!(with(Some(Some(one)), false), Visibility::Tree(there(vec![])));
    let expected = |seen| Visibility::Own(mine.clone().with_elsewhere(there(seen)));
    assert_eq!(with(Some(Some(two)), true), expected(vec![Visibility::Full]));
    assert_eq!(with(Some(Some(two)), false), expected(vec![]));
    assert_eq!(with(None, true), expected(vec![own()]));
    assert_ne!(with(None, true), with(None, false));
    // Whoever saw more goes on with what both see.
    let narrow = with(None, false);
    for (wide, newer) in [
        (with(Some(None), true), with(Some(Some(one)), false)),
        (with(Some(Some(one)), true), with(Some(Some(one)), false)),
        (with(Some(Some(one)), true), narrow.clone()),
        (with(Some(Some(two)), true), narrow.clone()),
        (with(None, true), narrow),
    ] {
        assert_eq!(wide.narrowed(&newer), newer, "{wide:?}");
        assert_eq!(newer.narrowed(&wide), newer, "{wide:?}");
    }
}

fn own() -> Visibility {
    let alice = AccountNumber::new(ALICE);
    let groups = [LOW, MIDDLE, HIGH].map(|number| EntryId::of_group(GroupNumber::new(number)));
    let entries = groups.into_iter().chain([EntryId::of_account(alice), EntryId::of_virtual_group(alice)]);
    Visibility::Own(OwnEntries::new(entries.collect()))
}

#[test]
fn nothing_is_granted_from_the_beginning() {
    for on in [1, 2] {
        assert_eq!(look(&world(), on), Ok(own()));
    }
    let snapshot = world().snapshot();
    assert_eq!(
        authorise(&snapshot, None, ProviderNumber::new(1), None, NOW, &mut Entitlements::default()),
        Err(Denied::Anonymous)
    );
}

/// Many rights are asked for together, with the same outcome as one by one.
#[test]
fn of_many_rights_the_first_that_is_missing_is_found() {
    let mut world = world();
    let on = |number: u32| Some(ObjectReference::Account(AccountNumber::new(number)));
    let grant = |permission, on| Grant { permission, on };
    let own = grant(Permission::ViewToken, Some(ObjectReference::Token(TokenNumber::new(TOKEN))));
    let alice = world.accounts.get_mut(&ALICE).unwrap();
    alice.roles = vec![RoleNumber::new(ROLE)];
    alice.grants = (100..130).map(|number| grant(Permission::ChangeUser, on(number))).collect();
    world.roles.get_mut(&ROLE).unwrap().grants = vec![grant(Permission::ViewUser, None)];
    world.groups.get_mut(&HIGH).unwrap().grants = vec![grant(Permission::DeleteUser, on(7))];
    let snapshot = world.snapshot();
    let accounts = snapshot.accounts();
    let alice = accounts.account(AccountNumber::new(ALICE)).map(|account| &**account);
    let mut asked: Vec<Grant> = (100..130).map(|number| grant(Permission::ChangeUser, on(number))).collect();
    asked.extend([own, grant(Permission::ViewUser, on(1)), grant(Permission::DeleteUser, on(7))]);
    let missing = |grants: Vec<Grant>| missing_of(accounts, alice, &Rights { is_superuser: false, grants });
    assert_eq!(missing(asked.clone()), None);
    for lacking in [
        grant(Permission::ChangeUser, on(99)),
        grant(Permission::ChangeUser, None),
        grant(Permission::ViewToken, Some(ObjectReference::Token(TokenNumber::new(TOKEN + 1)))),
        grant(Permission::DeleteUser, None),
    ] {
        for place in [0, 20, asked.len()] {
            let mut more = asked.clone();
            more.insert(place, lacking);
            more.push(grant(Permission::AddUser, None));
            assert_eq!(missing(more), Some(Missing::Permission(lacking.permission)), "{lacking:?}");
        }
    }
    assert!(!holds(accounts, None, &Rights { is_superuser: false, grants: asked }));
}

/// One way to hold the right: what it does to the directory.
type Way = (&'static str, fn(&mut World, Option<ProviderNumber>));

const WAYS: &[Way] = &[
    ("directly", |world, on| world.accounts.get_mut(&ALICE).unwrap().grants = vec![search_grant(on)]),
    ("by a role", |world, on| {
        world.roles.get_mut(&ROLE).unwrap().grants = vec![search_grant(on)];
        world.accounts.get_mut(&ALICE).unwrap().roles = vec![RoleNumber::new(ROLE)];
    }),
    ("by a group", |world, on| world.groups.get_mut(&LOW).unwrap().grants = vec![search_grant(on)]),
    ("by the role of a group", |world, on| {
        world.roles.get_mut(&ROLE).unwrap().grants = vec![search_grant(on)];
        world.groups.get_mut(&LOW).unwrap().roles = vec![RoleNumber::new(ROLE)];
    }),
    ("by a group far above", |world, on| {
        world.groups.get_mut(&HIGH).unwrap().grants = vec![search_grant(on)]
    }),
    ("by the role of a group far above", |world, on| {
        world.roles.get_mut(&ROLE).unwrap().grants = vec![search_grant(on)];
        world.groups.get_mut(&HIGH).unwrap().roles = vec![RoleNumber::new(ROLE)];
    }),
];

#[test]
fn every_way_shows_the_directory_that_it_is_for_and_can_be_taken_away() {
    for (name, give) in WAYS {
        for (on, seen) in [(None, [true, true]), (Some(1), [true, false]), (Some(2), [false, true])] {
            let without = world();
            let mut with = world();
            give(&mut with, on.map(ProviderNumber::new));
            let mut snapshot = without.snapshot();
            for (provider, seen) in [1, 2].into_iter().zip(seen) {
                let expected = if seen { Visibility::Full } else { own() };
                assert_eq!(look(&with, provider), Ok(expected), "{name} {on:?} {provider}");
            }
            // Given and taken away by a change of the records, on an open connection.
            for (state, is_given) in [(&with, true), (&without, false), (&with, true)] {
                snapshot = snapshot.apply(2, &records(state), state).unwrap();
                for (provider, seen) in [1, 2].into_iter().zip(seen) {
                    let expected = if seen && is_given { Visibility::Full } else { own() };
                    assert_eq!(see(&snapshot, provider), Ok(expected), "{name} {on:?} {is_given}");
                }
            }
            // The role goes.
            let gone = snapshot.apply(3, &[Change::Delete(Key::Role(RoleNumber::new(ROLE)))], &with).unwrap();
            if name.contains("role") {
                assert_eq!(see(&gone, 1), Ok(own()), "{name}");
            }
            // The account leaves the group.
            let leave = Key::Membership(GroupNumber::new(LOW), AccountNumber::new(ALICE));
            let gone = snapshot.apply(3, &[Change::Delete(leave)], &with).unwrap();
            if name.contains("group") {
                assert!(matches!(see(&gone, 1), Ok(Visibility::Own(_))), "{name}");
                assert!(matches!(see(&gone, 2), Ok(Visibility::Own(_))), "{name}");
            }
            // A group between goes.
            let gone =
                snapshot.apply(3, &[Change::Delete(Key::Group(GroupNumber::new(MIDDLE)))], &with).unwrap();
            if name.contains("far above") {
                assert!(matches!(see(&gone, 1), Ok(Visibility::Own(_))), "{name}");
                assert!(matches!(see(&gone, 2), Ok(Visibility::Own(_))), "{name}");
            }
        }
    }
}

fn records(world: &World) -> Vec<Change> {
    let accounts = world.accounts.values().cloned().map(Record::Account);
    let groups = world.groups.values().cloned().map(Record::Group);
    let roles = world.roles.values().cloned().map(Record::Role);
    accounts.chain(groups).chain(roles).map(Change::Put).collect()
}

#[test]
fn a_superuser_sees_everything_through_any_nesting() {
    for number in [LOW, MIDDLE, HIGH] {
        let mut world = world();
        world.groups.get_mut(&number).unwrap().is_superuser = true;
        assert_eq!(look(&world, 1), Ok(Visibility::Full));
        assert_eq!(look(&world, 2), Ok(Visibility::Full));
    }
    let mut world = world();
    world.groups.get_mut(&OTHER).unwrap().is_superuser = true;
    assert_eq!(look(&world, 1), Ok(own()));
}

#[test]
fn other_permissions_and_other_objects_show_nothing() {
    use crate::model::{Grant, ObjectReference, Permission};
    let mut world = world();
    let mut grants: Vec<Grant> = Permission::ALL
        .iter()
        .filter(|permission| **permission != Permission::SearchFullDirectory)
        .map(|permission| Grant { permission: *permission, on: None })
        .collect();
    for on in [
        ObjectReference::Account(AccountNumber::new(1)),
        ObjectReference::Group(GroupNumber::new(1)),
        ObjectReference::Role(RoleNumber::new(1)),
        ObjectReference::Token(TokenNumber::new(1)),
        ObjectReference::Application(ApplicationNumber::new(1)),
    ] {
        grants.push(Grant { permission: Permission::SearchFullDirectory, on: Some(on) });
    }
    world.accounts.get_mut(&ALICE).unwrap().grants = grants;
    assert_eq!(look(&world, 1), Ok(own()));
}

#[test]
fn the_reason_names_where_the_grant_stands() {
    for ((name, give), expected) in WAYS.iter().zip([
        Via::Account,
        Via::Role(RoleNumber::new(ROLE)),
        Via::Group(GroupNumber::new(LOW)),
        Via::GroupRole(GroupNumber::new(LOW), RoleNumber::new(ROLE)),
        Via::Group(GroupNumber::new(HIGH)),
        Via::GroupRole(GroupNumber::new(HIGH), RoleNumber::new(ROLE)),
    ]) {
        let mut world = world();
        give(&mut world, Some(ProviderNumber::new(1)));
        let snapshot = world.snapshot();
        let accounts = snapshot.accounts();
        let alice = accounts.account(AccountNumber::new(ALICE)).unwrap();
        let on = Some(crate::model::ObjectReference::Provider(ProviderNumber::new(1)));
        let decision = decide(accounts, alice, crate::model::Permission::SearchFullDirectory, on);
        assert_eq!(decision, Decision::Allowed(Reason::Grant { is_global: false, via: expected }), "{name}");
        let told = explain(
            &snapshot,
            alice,
            ProviderNumber::new(1),
            Question { entry: Some("cn=bob,ou=users,dc=one"), filter: None, source: None, now: NOW },
        )
        .unwrap();
        assert!(told.sees_everything && told.may_bind && told.own_entries.is_empty(), "{name}");
        assert_eq!(told.entry.unwrap(), "`cn=bob,ou=users,dc=one` is seen");
        let told = explain(
            &snapshot,
            alice,
            ProviderNumber::new(2),
            Question { entry: Some("cn=bob,ou=users,dc=two"), filter: None, source: None, now: NOW },
        )
        .unwrap();
        assert_eq!(told.own_entries.len(), 5);
        assert!(told.entry.unwrap().contains("is not seen"));
    }
}

/// One way in which an identity ends.
type End = (fn(&mut World), Invalid);

#[test]
fn an_identity_ends_with_what_proved_it() {
    let cases: &[End] = &[
        (|world| world.tokens.clear(), Invalid::CredentialGone),
        (|world| world.tokens.get_mut(&TOKEN).unwrap().generation = 4, Invalid::CredentialGone),
        (
            |world| world.tokens.get_mut(&TOKEN).unwrap().account = AccountNumber::new(11),
            Invalid::CredentialGone,
        ),
        (|world| world.tokens.get_mut(&TOKEN).unwrap().expires = Some(NOW), Invalid::Expired),
        (
            |world| world.tokens.get_mut(&TOKEN).unwrap().expires = Some(Timestamp::from_unix_seconds(0)),
            Invalid::Expired,
        ),
        (
            |world| world.tokens.get_mut(&TOKEN).unwrap().networks = vec!["10.0.0.0/8".parse().unwrap()],
            Invalid::Network,
        ),
        (|world| world.accounts.get_mut(&ALICE).unwrap().is_active = false, Invalid::AccountInactive),
        (|world| drop(world.accounts.remove(&ALICE)), Invalid::AccountGone),
        (|world| drop(world.providers.remove(&1)), Invalid::ProviderGone),
    ];
    for (place, (change, expected)) in cases.iter().enumerate() {
        let mut world = world();
        world.accounts.get_mut(&ALICE).unwrap().grants = vec![search_grant(None)];
        change(&mut world);
        for on in [1, 2] {
            assert_eq!(look(&world, on), Err(Denied::Invalid(*expected)), "{place}");
        }
    }
    let mut world = world();
    world.tokens.get_mut(&TOKEN).unwrap().expires =
        Some(Timestamp::from_unix_seconds(NOW.unix_seconds() + 1));
    assert_eq!(look(&world, 1), Ok(own()));
}

#[test]
fn revoking_a_token_ends_open_connections() {
    let world = world();
    let snapshot = world.snapshot();
    assert_eq!(see(&snapshot, 1), Ok(own()));
    let revoked = snapshot.apply(2, &[Change::Delete(Key::Token(TokenNumber::new(TOKEN)))], &world).unwrap();
    assert_eq!(see(&revoked, 1), Err(Denied::Invalid(Invalid::CredentialGone)));
    let mut rotated = token();
    rotated.generation += 1;
    let rotated = snapshot.apply(2, &[Change::Put(Record::Token(rotated))], &world).unwrap();
    assert_eq!(see(&rotated, 1), Err(Denied::Invalid(Invalid::CredentialGone)));
}

#[test]
fn a_token_is_used_from_its_networks_only() {
    let mut world = world();
    world.tokens.get_mut(&TOKEN).unwrap().networks =
        vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
    let snapshot = world.snapshot();
    for (source, is_allowed) in [
        (Some("10.1.2.3"), true),
        (Some("::ffff:10.1.2.3"), true),
        (Some("11.1.2.3"), false),
        (Some("2001:db8::1"), true),
        (Some("2001:db9::1"), false),
        (None, false),
    ] {
        let address: Option<IpAddr> = source.map(|source| source.parse().unwrap());
        let seen = authorise(
            &snapshot,
            Some(&identity()),
            ProviderNumber::new(1),
            address,
            NOW,
            &mut Entitlements::default(),
        );
        assert_eq!(seen.is_ok(), is_allowed, "{source:?}");
    }
}

#[test]
fn a_password_proves_until_it_is_exchanged() {
    let mut world = world();
    let by = |generation| with(Credential::Password { generation });
    let check = |world: &World, generation| {
        authorise(
            &world.snapshot(),
            Some(&by(generation)),
            ProviderNumber::new(1),
            None,
            NOW,
            &mut Entitlements::default(),
        )
        .is_ok()
    };
    assert!(!check(&world, 0));
    let password = Password { generation: 2, ..plain::password("") };
    world.accounts.get_mut(&ALICE).unwrap().password = Some(password);
    assert!(check(&world, 2));
    assert!(!check(&world, 1));
    assert!(!check(&world, 3));
}

#[test]
fn a_certificate_proves_until_its_last_second_or_until_it_is_withdrawn() {
    let world = world();
    let check = |not_after, withdrawn| {
        let fingerprint = Fingerprint::new([1; 32]);
        let by = with(Credential::Certificate { fingerprint, not_after, withdrawn });
        authorise(
            &world.snapshot(),
            Some(&by),
            ProviderNumber::new(1),
            None,
            NOW,
            &mut Entitlements::default(),
        )
    };
    assert!(check(NOW, None).is_ok());
    let before = Timestamp::from_unix_seconds(NOW.unix_seconds() - 1);
    assert_eq!(check(before, None), Err(Denied::Invalid(Invalid::CertificateExpired)));
    for reason in [Invalid::AuthorityGone, Invalid::CertificateReassigned] {
        assert_eq!(check(NOW, Some(reason)), Err(Denied::Invalid(reason)));
    }
}

#[test]
fn of_several_roles_the_most_generous_limits_count() {
    let mut world = world();
    let limited = |number: u32, size: Option<u32>, seconds: Option<u64>| {
        let mut role = role(number, &format!("limited-{number}"));
        role.search_size_max = size;
        role.search_time_max = seconds.map(std::time::Duration::from_secs);
        role
    };
    let found = |world: &World| {
        let snapshot = world.snapshot();
        let accounts = snapshot.accounts();
        let account = accounts.account(AccountNumber::new(ALICE)).unwrap();
        let limits = search_limits(accounts, account);
        (limits.size_max.map(|(size, _)| size), limits.time_max.map(|(time, _)| time.as_secs()))
    };
    assert_eq!(found(&world), (None, None));
    assert!(!world.snapshot().accounts().has_limited_roles());
    let roles =
        [limited(901, Some(10), Some(60)), limited(902, Some(20), None), limited(903, Some(0), Some(5))];
    for role in roles {
        world.roles.insert(role.number.get(), role);
    }
    // Somebody's roles have limits, but not this account's.
    assert_eq!(found(&world), (None, None));
    assert!(world.snapshot().accounts().has_limited_roles());
    let hold = |world: &mut World, numbers: &[u32]| {
        let roles = numbers.iter().map(|number| RoleNumber::new(*number)).collect();
        world.accounts.get_mut(&ALICE).unwrap().roles = roles;
    };
    hold(&mut world, &[901]);
    assert_eq!(found(&world), (Some(10), Some(60)));
    hold(&mut world, &[901, 902]);
    assert_eq!(found(&world), (Some(20), Some(60)));
    hold(&mut world, &[903, 902, 901]);
    assert_eq!(found(&world), (Some(0), Some(60)));
    // Through a group above the account's own.
    hold(&mut world, &[]);
    world.groups.get_mut(&HIGH).unwrap().roles = vec![RoleNumber::new(902)];
    assert_eq!(found(&world), (Some(20), None));
}

fn binding(subject: BindingSubject, negate: bool, enabled: bool) -> Binding {
    Binding { negate, enabled, ..plain::binding(subject) }
}

fn of_account(number: u32) -> BindingSubject {
    BindingSubject::Account(AccountNumber::new(number))
}

fn of_group(number: u32) -> BindingSubject {
    BindingSubject::Group(GroupNumber::new(number))
}

fn application(provider: u32, mode: BindingMode, bindings: Vec<Binding>) -> Application {
    Application {
        provider: Some(ProviderNumber::new(provider)),
        mode,
        bindings,
        ..plain::application(50 + provider, &format!("app-{provider}"))
    }
}

#[test]
fn bindings_admit_by_their_mode() {
    use BindingMode::{All, Any};
    let (yes, no) = (binding(of_account(ALICE), false, true), binding(of_account(11), false, true));
    let (not_yes, not_no) = (Binding { negate: true, ..yes.clone() }, Binding { negate: true, ..no.clone() });
    let (off_yes, off_no) =
        (Binding { enabled: false, ..yes.clone() }, Binding { enabled: false, ..no.clone() });
    for (mode, bindings, expected) in [
        (Any, vec![], true),
        (All, vec![], true),
        (Any, vec![&yes], true),
        (Any, vec![&no], false),
        (Any, vec![&no, &yes], true),
        (Any, vec![&yes, &no], true),
        (All, vec![&yes, &no], false),
        (All, vec![&yes, &not_no], true),
        (Any, vec![&not_yes], false),
        (Any, vec![&not_no], true),
        (All, vec![&not_yes, &yes], false),
        (Any, vec![&off_yes, &no], false),
        (All, vec![&off_no, &yes], true),
        // A binding that is switched off does not open the application to everybody.
        (Any, vec![&off_no], false),
        (Any, vec![&off_yes], false),
        (All, vec![&off_yes], false),
    ] {
        for order in [[0, 1], [1, 0], [-5, -5]] {
            let mut sorted: Vec<Binding> = bindings.iter().copied().cloned().collect();
            sorted.iter_mut().zip(order).for_each(|(binding, order)| binding.order = order);
            let mut world = world();
            world.applications.insert(51, application(1, mode, sorted));
            assert_eq!(look(&world, 1).is_ok(), expected, "{mode:?} {bindings:?}");
            // The identity is none any more wherever it asks.
            assert_eq!(look(&world, 2).is_ok(), expected, "{mode:?} {bindings:?}");
            if !expected {
                assert!(
                    matches!(look(&world, 2), Err(Denied::NotAdmitted(refused)) if refused.application.slug == "app-1")
                );
            }
        }
    }
}

#[test]
fn a_group_binding_reaches_nested_members() {
    for (number, expected) in [(LOW, true), (MIDDLE, true), (HIGH, true), (OTHER, false), (99, false)] {
        let mut world = world();
        world
            .applications
            .insert(51, application(1, BindingMode::Any, vec![binding(of_group(number), false, true)]));
        assert_eq!(look(&world, 1).is_ok(), expected, "{number}");
        world
            .applications
            .insert(51, application(1, BindingMode::Any, vec![binding(of_group(number), true, true)]));
        // Nobody knows who was in a group that is gone, so it lets nobody in.
        assert_eq!(look(&world, 1).is_ok(), !expected && number != 99, "{number}");
    }
}

#[test]
fn rights_do_not_replace_a_binding() {
    let mut world = world();
    world.groups.get_mut(&HIGH).unwrap().is_superuser = true;
    world
        .applications
        .insert(51, application(1, BindingMode::Any, vec![binding(of_account(11), false, true)]));
    assert!(matches!(look(&world, 1), Err(Denied::NotAdmitted(_))));
}

#[test]
fn another_provider_that_does_not_admit_does_not_exist() {
    let mut world = world();
    world.accounts.get_mut(&ALICE).unwrap().grants = vec![search_grant(None)];
    world
        .applications
        .insert(52, application(2, BindingMode::Any, vec![binding(of_account(11), false, true)]));
    assert_eq!(look(&world, 1), Ok(Visibility::Full));
    assert_eq!(look(&world, 2), Err(Denied::OtherProvider));
    world
        .applications
        .insert(52, application(2, BindingMode::Any, vec![binding(of_account(ALICE), false, true)]));
    assert_eq!(look(&world, 2), Ok(Visibility::Full));
    let snapshot = world.snapshot();
    let close = application(2, BindingMode::Any, vec![binding(of_account(ALICE), true, true)]);
    let closed = snapshot.apply(2, &[Change::Put(Record::Application(close))], &world).unwrap();
    assert_eq!(see(&closed, 2), Err(Denied::OtherProvider));
    let open = Change::Delete(Key::Application(ApplicationNumber::new(52)));
    assert_eq!(see(&closed.apply(3, &[open], &world).unwrap(), 2), Ok(Visibility::Full));
}
