//! The ways by which a caller with a few permissions could get more than it was given, one after the other: each is tried
//! by who lacks the one right that it takes, which is refused and changes nothing, and by who holds it, which is done.
//!
//! | way | tried in |
//! | --- | --- |
//! | 1 what is taken away is asked for like what is given | `taking_away.rs`; who made a credential `made_by.rs` |
//! | 2 a name of the config taken by a stranger | `taken_names.rs`, what is behind one `behind_names.rs`, `worth_before.rs`, what is left of it `as_new.rs`, in bulk `by_maker.rs`, another name `renamed.rs` |
//! | 3 what stands in the config's way | `obstacles.rs`, `not_whole.rs`; what is put where something is yet to come `planted.rs` |
//! | 4 a provider in front of another | `providers.rs` |
//! | 5 a change of kind | `kinds.rs` |
//! | 6 attributes that others trust | `attributes.rs` |
//! | 7 names told | `../named.rs`: every row, and changes of each kind; over LDAP `access/tests`, `directory/tests`, `ldap/tests` |
//! | 8 actors imitated | `actors.rs`, `kinds.rs`, `registry/commands/internal_accounts.rs`; binds in `ldap/tests` |
//! | 9 refused calls that leave no trace | `traces.rs`, `../denied.rs`, each row in `../rights.rs`; over LDAP `ldap/tests/passwords.rs` |
//! | 10 certificates of an authority that is gone | `ldap/tests/external.rs`, `net/tls/tests.rs`; with the real binary `tests/programs/openldap_clients.rs` |
//!
//! Whoever writes a file that is imported is tried in `files.rs`, and two callers at once in `parallel.rs`.

mod actors;
mod as_new;
mod attributes;
mod behind_names;
mod by_maker;
mod files;
mod kinds;
mod made_by;
mod not_whole;
mod obstacles;
mod parallel;
mod planted;
mod providers;
mod renamed;
mod taken_names;
mod taking_away;
mod traces;
mod worth_before;

use super::rights::global;
use super::rules::{Doors, Said, imported_group, imported_person};
use super::*;
use crate::access::Rights;
use crate::model::{Key, Origin};
use crate::registry::commands::testing::{set_origins, wait};
use crate::registry::commands::{SeedOptions, SeedPlan, Sign};

/// What a caller holds.
#[derive(Clone, Copy, Debug)]
enum Held<'a> {
    /// Each permission globally, but for these.
    AllBut(&'a [&'a str]),
    /// These globally, and these on what a name stands for.
    Only(&'a [&'a str], &'a [(&'a str, &'a str)]),
    /// Everything.
    Superuser,
}

/// What has one of these names, of whichever kind.
fn keys(doors: &Doors, names: &[&str]) -> Vec<Key> {
    let snapshot = doors.operator.registry.snapshot();
    let accounts = snapshot.accounts();
    let mut keys: Vec<Key> = Vec::new();
    for name in names {
        keys.extend(accounts.account_named(name).map(|it| Key::Account(it.number)));
        keys.extend(accounts.group_named(name).map(|it| Key::Group(it.number)));
        keys.extend(accounts.role_named(name).map(|it| Key::Role(it.number)));
        keys.extend(accounts.token_named(name).map(|it| Key::Token(it.number)));
        keys.extend(accounts.provider_named(name).map(|it| Key::Provider(it.number)));
        keys.extend(accounts.application_named(name).map(|it| Key::Application(it.number)));
    }
    keys
}

/// The same directory, in which this account has made what has these names.
fn made_by(maker: &str, doors: Doors, names: &[&str]) -> Doors {
    let registry = &doors.operator.registry;
    let maker = registry.snapshot().accounts().account_named(maker).unwrap().number;
    let keys = keys(&doors, names);
    assert!(keys.len() >= names.len());
    wait(set_origins(registry, keys, Origin::Account(maker)));
    doors
}

/// Makes this what `robot` holds.
fn robot_holds(doors: &Doors, held: Held<'_>) {
    let registry = &doors.operator.registry;
    let snapshot = registry.snapshot();
    let accounts = snapshot.accounts();
    let parse = |name: &str| name.parse::<Permission>().unwrap();
    let grants: Vec<Grant> = match held {
        Held::AllBut(names) => {
            let left_out: Vec<Permission> = names.iter().map(|name| parse(name)).collect();
            Permission::ALL.iter().copied().filter(|it| !left_out.contains(it)).map(global).collect()
        }
        Held::Only(names, on_objects) => {
            let on_objects = on_objects.iter().map(|(name, on)| {
                let (kind, of) = on.split_once(':').unwrap();
                let on = match kind {
                    "account" => ObjectReference::Account(accounts.account_named(of).unwrap().number),
                    "group" => ObjectReference::Group(accounts.group_named(of).unwrap().number),
                    "role" => ObjectReference::Role(accounts.role_named(of).unwrap().number),
                    "token" => ObjectReference::Token(accounts.token_named(of).unwrap().number),
                    "application" => {
                        ObjectReference::Application(accounts.application_named(of).unwrap().number)
                    }
                    _ => {
                        let found = accounts.providers().find(|provider| provider.name == of).unwrap();
                        ObjectReference::Provider(found.number)
                    }
                };
                Grant { permission: parse(name), on: Some(on) }
            });
            names.iter().map(|name| global(parse(name))).chain(on_objects).collect()
        }
        Held::Superuser => Vec::new(),
    };
    let robot = accounts.account_named("robot").unwrap().number;
    let chiefs = accounts.group_named("chiefs").map(|group| group.number);
    let is_superuser = matches!(held, Held::Superuser);
    let done = registry.change(operator(), move |transaction| {
        let chiefs = match chiefs {
            Some(chiefs) => chiefs,
            None => {
                let given = crate::registry::commands::GroupChanges {
                    is_superuser: Some(true),
                    ..crate::registry::commands::GroupChanges::default()
                };
                crate::registry::commands::create_group(transaction, "chiefs".to_owned(), given)?
            }
        };
        transaction.set_member(chiefs, robot, is_superuser)?;
        let mut account = transaction.account(robot)?.unwrap();
        account.grants = grants;
        transaction.put(Record::Account(account))
    });
    wait(done).unwrap();
}

/// Calls of which each is refused to whoever lacks something, in a directory that stays as it was, and done for whoever holds
/// it, in one where nothing has been done before.
#[track_caller]
fn both_ways(make: &dyn Fn() -> Doors, lacking: Held<'_>, holding: Held<'_>, calls: &[Said]) {
    let doors = make();
    robot_holds(&doors, lacking);
    for said in calls {
        refused(&doors, said);
    }
    for said in calls {
        let doors = make();
        robot_holds(&doors, holding);
        done(&doors, said);
    }
}

/// A call of `robot` that is refused and changes nothing; gives what it is told.
#[track_caller]
fn refused(doors: &Doors, said: &Said) -> String {
    let revision = doors.operator.registry.snapshot().revision();
    let (status, told) = doors.robot(said);
    assert!(
        [StatusCode::FORBIDDEN, StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND].contains(&status),
        "{said:?} was not refused: {status} {told}"
    );
    assert_eq!(doors.operator.registry.snapshot().revision(), revision, "{said:?}: {told}");
    told
}

/// A call of `robot` that is done; gives the answer.
#[track_caller]
fn done(doors: &Doors, said: &Said) -> String {
    let (status, told) = doors.robot(said);
    assert!(status.is_success(), "{said:?} was not done: {status} {told}");
    told
}

fn post(path: &'static str, body: Value) -> Said {
    (Method::POST, path, body)
}

fn patch(path: &'static str, body: Value) -> Said {
    (Method::PATCH, path, body)
}

fn put(path: &'static str, body: Value) -> Said {
    (Method::PUT, path, body)
}

fn delete(path: &'static str) -> Said {
    (Method::DELETE, path, Value::Null)
}

fn user(name: &str) -> Said {
    post("/core/users/", json!({ "username": name, "name": "A person", "type": "internal" }))
}

fn service(name: &str) -> Said {
    post("/core/users/", json!({ "username": name, "name": "A program", "type": "service_account" }))
}

fn group(name: &str) -> Said {
    post("/core/groups/", json!({ "name": name }))
}

fn role(name: &str) -> Said {
    post("/rbac/roles/", json!({ "name": name }))
}

/// Gives a permission to a role, a group or an account.
fn grant(path: &'static str, permission: &str) -> Said {
    post(path, json!({ "permissions": [permission] }))
}

/// What an account may do.
fn rights_of(doors: &Doors, username: &str) -> Rights {
    let snapshot = doors.operator.registry.snapshot();
    let accounts = snapshot.accounts();
    Rights::of_account(accounts, accounts.account_named(username).unwrap())
}

fn apply(doors: &Doors, text: &str) -> SeedPlan {
    doors.config_with(text, &SeedOptions::default()).unwrap()
}

/// What stands in the way of a plan, by name, with the reason.
fn obstacles(plan: &SeedPlan) -> Vec<(String, String)> {
    let entries = plan.diff.iter().filter(|entry| entry.sign == Sign::Obstructed);
    entries.map(|entry| (entry.name.clone(), entry.reason.clone().unwrap_or_default())).collect()
}

/// What an operator types to take over all that stands in the way of a plan.
fn adopting(plan: &SeedPlan) -> SeedOptions {
    let told = obstacles(plan);
    let named = told.iter().flat_map(|(_, reason)| reason.split("--adopt ").skip(1));
    let named = named.filter_map(|rest| rest.split_whitespace().next());
    SeedOptions { adopt: named.map(str::to_owned).collect(), ..SeedOptions::default() }
}
