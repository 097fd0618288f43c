//! Way 2, in bulk: an automation makes accounts, sets their passwords and fills groups, and the config makes such a group worth
//! something later. The operator says so of all that this one account has made (`by:`), and of nothing else.

use super::*;
use crate::config::ReferenceKind;
use crate::model::{Account, MadeBy, Origin};
use crate::registry::commands::testing::binds;

const PEOPLE: [&str; 5] = ["ann", "ben", "cat", "dan", "eve"];
const SECRET: &str = "a long enough one";
const STAFF: &str = "[[group]]\nname = \"staff\"\n";
const READER: &str = "[[role]]\nname = \"reader\"\npermissions = [\"view_event\"]\n";

fn leaked(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

fn joins(group: &str, account: &str) -> Said {
    let body = json!({ "pk": format!("{{user:{account}}}") });
    post(leaked(format!("/core/groups/{{group:{group}}}/add_user/")), body)
}

fn sets_password(account: &str) -> Said {
    post(leaked(format!("/core/users/{{user:{account}}}/set_password/")), json!({ "password": SECRET }))
}

/// A group of the config, filled by `robot` with accounts that it has made, whose passwords it has set.
fn filled() -> Doors {
    let doors = Doors::new();
    apply(&doors, STAFF);
    robot_holds(
        &doors,
        Held::Only(&["add_user", "add_group", "view_user"], &[("add_user_to_group", "group:staff")]),
    );
    for name in PEOPLE {
        done(&doors, &user(name));
        done(&doors, &sets_password(name));
        done(&doors, &joins("staff", name));
    }
    doors
}

/// `mallory`, and an account that was given to it, or a password that it knows as well.
fn to_mallory(doors: &Doors, account: &'static str, change: fn(&mut Account, AccountNumber)) {
    doors.prepare(&[user("mallory")]);
    let registry = &doors.operator.registry;
    let snapshot = registry.snapshot();
    let number = |name: &str| snapshot.accounts().account_named(name).unwrap().number;
    let (account, mallory) = (number(account), number("mallory"));
    let done = registry.change(operator(), move |transaction| {
        let mut account = transaction.account(account)?.unwrap();
        change(&mut account, mallory);
        transaction.put(Record::Account(account))
    });
    wait(done).unwrap();
}

fn saying(adopt: &[&str], accept: &[&str]) -> SeedOptions {
    let owned = |said: &[&str]| said.iter().map(ToString::to_string).collect();
    SeedOptions { adopt: owned(adopt), accept_credentials: owned(accept), ..SeedOptions::default() }
}

fn by_robot() -> SeedOptions {
    saying(&["by:robot"], &["by:robot"])
}

fn accepted(plan: &SeedPlan) -> Vec<&str> {
    let entries = plan.diff.iter().filter(|entry| entry.sign == Sign::Accepted);
    entries.filter_map(|entry| entry.reason.as_deref()).collect()
}

/// Who has made an account, whether it may view events, and whether its password is the one that `robot` has set.
fn state(doors: &Doors, name: &str) -> (Origin, bool, bool) {
    let registry = &doors.operator.registry;
    let account = {
        let snapshot = registry.snapshot();
        let number = snapshot.accounts().account_named(name).unwrap().number;
        wait(registry.change(operator(), move |transaction| transaction.account(number))).unwrap().unwrap()
    };
    let rights = rights_of(doors, name);
    let may = rights.grants.iter().any(|grant| grant.permission == Permission::ViewEvent);
    (account.origin, may, binds(registry, name, SECRET.as_bytes()))
}

fn robot(doors: &Doors) -> AccountNumber {
    doors.operator.registry.snapshot().accounts().account_named("robot").unwrap().number
}

#[test]
fn what_one_account_has_made_is_told_and_accepted_together() {
    let doors = filled();
    let text = format!("{READER}{STAFF}roles = [\"reader\"]\n");
    let plan = apply(&doors, &text);
    let [entry] = plan.obstacles().collect::<Vec<_>>()[..] else { panic!("{:?}", plan.diff) };
    let reason = entry.reason.as_deref().unwrap();
    let told = "5 accounts made by `robot` (ann, ben, cat and 2 more)";
    assert!(reason.contains(told) && reason.contains("--adopt by:robot"), "{reason}");
    let together = serde_json::to_value(&entry.together).unwrap();
    assert_eq!(
        together,
        json!([{ "kind": "account", "by": "robot", "count": 5, "names": ["ann", "ben", "cat", "dan", "eve"] }])
    );
    // Whoever knows their secrets would get it as well.
    let refusal = doors.config_with(&text, &saying(&["by:robot"], &[])).unwrap_err();
    assert!(
        refusal.contains("5 passwords that `robot` has made or exchanged (ann, ben, cat and 2 more)"),
        "{refusal}"
    );
    assert!(refusal.contains("--accept-credentials by:robot"), "{refusal}");
    assert!(!state(&doors, "ann").1);
    let plan = doors.config_with(&text, &by_robot()).unwrap();
    let told = accepted(&plan);
    assert!(told.len() == 2 && told[0].contains("5 accounts") && told[1].contains("5 passwords"), "{told:?}");
    for name in PEOPLE {
        // As they were, and in the group.
        assert_eq!(state(&doors, name), (Origin::Account(robot(&doors)), true, true), "{name}");
    }
    // Nothing is asked again, and who comes later needs the rights that the group gives.
    assert!(apply(&doors, &text).diff.is_empty());
    done(&doors, &user("fay"));
    refused(&doors, &joins("staff", "fay"));
    refused(&doors, &sets_password("ann"));
}

/// What somebody else has made or knows is not accepted with it, and nobody becomes a superuser so.
#[test]
fn nothing_follows_from_it_for_what_somebody_else_has_made() {
    let text = format!("{READER}{STAFF}roles = [\"reader\"]\n");
    let doors = filled();
    to_mallory(&doors, "eve", |eve, mallory| eve.origin = Origin::Account(mallory));
    let told = obstacles(&doors.config_with(&text, &by_robot()).unwrap());
    assert!(told.len() == 1 && told[0].1.contains("--adopt account:eve"), "{told:?}");
    assert!(!told[0].1.contains("ann") && !state(&doors, "ann").1, "{told:?}");
    let plan = doors.config_with(&text, &saying(&["by:robot", "by:mallory"], &["by:robot"])).unwrap();
    assert!(accepted(&plan).iter().any(|told| told.contains("1 account made by `mallory`")));
    assert!(state(&doors, "eve").1);

    let doors = filled();
    to_mallory(&doors, "eve", |eve, mallory| {
        let password = eve.password.as_mut().unwrap();
        password.made_by = MadeBy::default().and_all(&password.made_by).and(Origin::Account(mallory));
    });
    let refusal = doors.config_with(&text, &by_robot()).unwrap_err();
    assert!(refusal.contains("password:eve") && !refusal.contains("ann"), "{refusal}");
    let both = saying(&["by:robot"], &["by:robot", "password:eve"]);
    assert_eq!(obstacles(&doors.config_with(&text, &both).unwrap()), []);

    for superusers in [
        format!("{STAFF}is_superuser = true\n"),
        format!("[[group]]\nname = \"all\"\nis_superuser = true\n{STAFF}parents = [\"all\"]\n"),
    ] {
        let doors = filled();
        for options in [SeedOptions::default(), by_robot()] {
            let told = obstacles(&doors.config_with(&superusers, &options).unwrap());
            assert_eq!(told.len(), 1, "{told:?}");
            let each = PEOPLE.iter().all(|name| told[0].1.contains(&format!("--adopt account:{name} ")));
            assert!(each && !told[0].1.contains("by:robot"), "{told:?}");
        }
        let named = PEOPLE.map(|name| format!("account:{name}"));
        let named: Vec<&str> = named.iter().map(String::as_str).collect();
        assert_eq!(obstacles(&doors.config_with(&superusers, &saying(&named, &[])).unwrap()), []);
    }
    // Nor by a credential.
    let doors = filled();
    let superusers = format!("{STAFF}members = [\"ann\", \"ben\"]\nis_superuser = true\n");
    let named = ["account:ann", "account:ben"];
    let refusal = doors.config_with(&superusers, &saying(&named, &["by:robot"])).unwrap_err();
    assert!(refusal.contains("password:ann") && !refusal.contains("by:robot"), "{refusal}");
    assert!(!rights_of(&doors, "ann").is_superuser);
}

/// Also when that account is gone: by its number, which nobody else has. A name that looks like one stands for no number.
#[test]
fn what_a_deleted_account_has_made_is_taken_over_by_its_number() {
    let text = format!("{READER}{STAFF}roles = [\"reader\"]\n[[group]]\nname = \"crew\"\n");
    let make = || {
        let doors = filled();
        done(&doors, &group("crew"));
        done(&doors, &joins("crew", "ann"));
        let number = robot(&doors);
        doors.prepare(&[delete("/core/users/{user:robot}/"), user(&format!("#{number}"))]);
        (doors, format!("by:#{number}"), number)
    };
    let (doors, by, number) = make();
    assert!(doors.config_with(&text, &saying(&["by:robot"], &[])).unwrap_err().contains("`robot`"));
    let told = obstacles(&apply(&doors, &text));
    let adopt = format!("--adopt '{by}'");
    assert_eq!(told.len(), 2, "{told:?}");
    for (name, reason) in &told {
        assert!(reason.contains(&adopt), "{reason}");
        let who = match name.as_str() {
            "crew" => format!("made by the deleted account {number} at"),
            _ => format!("5 accounts made by account {number} (ann"),
        };
        assert!(reason.contains(&who), "{reason}");
    }
    let plan = doors.config_with(&text, &saying(&[&by], &[&by])).unwrap();
    assert_eq!(obstacles(&plan), []);
    let snapshot = doors.operator.registry.snapshot();
    let accounts = snapshot.accounts();
    let ann = accounts.account_named("ann").unwrap();
    assert!(ann.password.is_some() && accounts.group_named("crew").unwrap().has_member(ann.number));
    assert!(PEOPLE.iter().all(|name| !rights_of(&doors, name).is_empty()));
    // By its name it begins as a new one.
    let (doors, by, _) = make();
    let named = saying(&["group:crew", &by], &[&by]);
    assert_eq!(obstacles(&doors.config_with(&text, &named).unwrap()), []);
    let snapshot = doors.operator.registry.snapshot();
    assert_eq!(snapshot.accounts().group_named("crew").unwrap().members().count(), 0);
}

#[test]
fn a_group_that_is_taken_over_so_keeps_its_members_but_not_its_maker() {
    let banned = "[[application]]\nslug = \"vault\"\nname = \"Vault\"\nprovider = \"ldap\"\n\
                  bindings = [{ group = \"crew\", negate = true }]\n";
    let crew = "[[group]]\nname = \"crew\"\n";
    for (text, is_given) in
        [(format!("{READER}{crew}roles = [\"reader\"]\n"), true), (format!("{crew}{banned}"), false)]
    {
        let doors = filled();
        done(&doors, &group("crew"));
        doors.prepare(&[user("honest"), joins("crew", "honest")]);
        ["ann", "ben", "robot"].iter().for_each(|name| drop(done(&doors, &joins("crew", name))));
        let told = obstacles(&apply(&doors, &text));
        assert!(
            told.iter().any(|(name, told)| name == "crew" && told.contains("--adopt group:crew")),
            "{told:?}"
        );
        let plan = doors.config_with(&text, &by_robot()).unwrap();
        assert_eq!(obstacles(&plan), [], "{text}");
        let taken =
            plan.diff.iter().find(|entry| entry.reason.as_deref().is_some_and(|it| it.contains("adopted")));
        assert!(taken.unwrap().reason.as_deref().unwrap().contains("accounts (3)"), "{taken:?}");
        let snapshot = doors.operator.registry.snapshot();
        let accounts = snapshot.accounts();
        let crew = accounts.group_named("crew").unwrap();
        let is_in = |name: &str| crew.has_member(accounts.account_named(name).unwrap().number);
        assert_eq!(["ann", "ben", "honest", "robot"].map(is_in), [true, true, true, false], "{text}");
        assert_eq!(state(&doors, "ann").1, is_given, "{text}");
        // It is the config's: who has made it may fill it no more.
        refused(&doors, &joins("crew", "cat"));
        assert!(apply(&doors, &text).diff.is_empty(), "{text}");
    }
    // A group below one of the config, which could be filled on.
    let doors = filled();
    let inner = json!({ "name": "inner" });
    done(&doors, &post("/core/groups/", inner));
    done(&doors, &joins("inner", "ann"));
    doors.prepare(&[patch("/core/groups/{group:inner}/", json!({ "parents": ["{group:staff}"] }))]);
    let text = format!("{READER}{STAFF}roles = [\"reader\"]\n");
    assert_eq!(obstacles(&doors.config_with(&text, &by_robot()).unwrap()), []);
    assert!(state(&doors, "ann").1);
    refused(&doors, &joins("inner", "robot"));
}

#[test]
fn accounts_that_the_config_describes_are_taken_over_together() {
    let text = format!(
        "{READER}{STAFF}[[account]]\nusername = \"ann\"\nroles = [\"reader\"]\n\
         [[account]]\nusername = \"ben\"\nroles = [\"reader\"]\n"
    );
    let doors = filled();
    let plan = apply(&doors, &text);
    let [entry] = plan.obstacles().collect::<Vec<_>>()[..] else { panic!("{:?}", plan.diff) };
    assert_eq!((entry.kind, entry.name.as_str()), (ReferenceKind::Account, "ann"));
    assert!(entry.obstacle().contains("2 accounts made"), "{}", entry.obstacle());
    assert!(entry.obstacle().contains("--adopt by:robot takes them over"), "{}", entry.obstacle());
    // Their credentials end, unless they are accepted too.
    let plan = doors.config_with(&text, &saying(&["by:robot"], &[])).unwrap();
    assert_eq!(plan.diff.iter().filter(|entry| entry.reason.as_deref() == Some("adopted")).count(), 2);
    assert_eq!(state(&doors, "ann"), (Origin::Config, true, false));
    let doors = filled();
    doors.config_with(&text, &by_robot()).unwrap();
    assert_eq!(state(&doors, "ann"), (Origin::Config, true, true));
    assert_eq!(state(&doors, "cat"), (Origin::Account(robot(&doors)), false, true));

    // Who is named alone is accepted.
    let doors = filled();
    let text = format!(
        "{READER}{STAFF}[[group]]\nname = \"vip\"\nroles = [\"reader\"]\nmembers = [\"ann\", \"ben\"]\n"
    );
    let told = obstacles(&apply(&doors, &text));
    assert!(told.len() == 1 && told[0].1.contains("--adopt by:robot accepts them as they are"), "{told:?}");
    let plan = doors.config_with(&text, &by_robot()).unwrap();
    assert!(accepted(&plan)[0].contains("2 accounts"), "{:?}", plan.diff);
    assert_eq!(state(&doors, "ann"), (Origin::Account(robot(&doors)), true, true));
    assert!(apply(&doors, &text).diff.is_empty());

    // Nor is who is shut out asked again.
    let doors = filled();
    let text = format!(
        "{STAFF}[[group]]\nname = \"banned\"\nmembers = [\"ann\", \"ben\"]\n\
         [[application]]\nslug = \"vault\"\nname = \"Vault\"\nprovider = \"ldap\"\n\
         bindings = [{{ group = \"banned\", negate = true }}]\n"
    );
    assert_eq!(obstacles(&apply(&doors, &text)).len(), 1);
    assert!(accepted(&doors.config_with(&text, &by_robot()).unwrap())[0].contains("2 accounts"));
    assert!(apply(&doors, &text).diff.is_empty());

    for options in [saying(&["by:nobody"], &[]), saying(&[], &["by:nobody"])] {
        let refusal = doors.config_with(&text, &options).unwrap_err();
        assert!(refusal.contains("there is no account `nobody`"), "{refusal}");
    }
}

/// What gives nothing could be filled by anybody, whatever stands on it.
#[test]
fn an_empty_role_or_a_binding_that_is_switched_off_makes_a_group_worth_nothing() {
    let bound = |more: &str| {
        format!(
            "[[application]]\nslug = \"vault\"\nname = \"Vault\"\nprovider = \"ldap\"\n\
             bindings = [{{ group = \"ops\"{more} }}]\n"
        )
    };
    let unbound = bound("").replace("provider = \"ldap\"\n", "");
    let (empty, ops) = ("[[role]]\nname = \"reader\"\n", "[[group]]\nname = \"ops\"\n");
    for (before, after) in [
        (format!("{empty}{ops}roles = [\"reader\"]\n"), format!("{READER}{ops}roles = [\"reader\"]\n")),
        (format!("{ops}{}", bound(", enabled = false")), format!("{ops}{}", bound(""))),
        (format!("{ops}{}", bound(", negate = true")), format!("{ops}{}", bound(""))),
        (format!("{ops}{unbound}"), format!("{ops}{}", bound(""))),
    ] {
        let doors = Doors::new();
        apply(&doors, &before);
        robot_holds(&doors, Held::AllBut(&["view_event"]));
        done(&doors, &user("mine"));
        done(&doors, &joins("ops", "mine"));
        for text in [after.clone(), after.replace(ops, &format!("{ops}members = [\"mine\"]\n"))] {
            let told = obstacles(&apply(&doors, &text));
            assert!(told.len() == 1 && told[0].1.contains("--adopt account:mine"), "{before}{text}{told:?}");
        }
        // Whoever filled it when it gave something was asked for that.
        let doors = Doors::new();
        apply(&doors, &after);
        robot_holds(&doors, Held::AllBut(&[]));
        done(&doors, &user("mine"));
        done(&doors, &joins("ops", "mine"));
        let more = format!("{after}[[role]]\nname = \"more\"\npermissions = [\"view_role\"]\n")
            .replace(ops, &format!("{ops}roles = [\"reader\", \"more\"]\n"))
            .replace("roles = [\"reader\"]\n", "");
        let more = if more.contains(READER) { more } else { format!("{READER}{more}") };
        assert_eq!(obstacles(&apply(&doors, &more)), [], "{more}");
    }
}
