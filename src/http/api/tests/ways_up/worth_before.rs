//! Way 2, behind the name once more: what the config gives is held against what a stranger has, not against whether the group,
//! the role or the account was worth anything before. A stranger can make it worth a little first, with what is its own.

use super::*;

const STRONG: &str =
    "[[role]]\nname = \"strong\"\npermissions = [\"search_full_directory\", \"view_event\"]\n";
const ROBOT: &str = "by `robot`";

fn joins(place: &'static str, user: &str) -> Said {
    post(place, json!({ "pk": format!("{{user:{user}}}") }))
}

fn person(name: &str, attributes: Value) -> Said {
    let body = json!({ "username": name, "name": "Somebody", "type": "internal", "attributes": attributes });
    post("/core/users/", body)
}

/// An application of the caller's own, before a provider of its own, to which this is bound.
fn own_application(of: &str, bound: &str) -> Vec<Said> {
    let nil = uuid::Uuid::nil();
    let provider = json!({
        "name": "mine", "base_dn": "dc=mine", "domain": "", "authorization_flow": nil, "invalidation_flow": nil,
    });
    vec![
        post("/providers/ldap/", provider),
        post("/core/applications/", json!({ "slug": "mine", "name": "Mine", "provider": "{provider:mine}" })),
        post("/policies/bindings/", json!({ "target": "{application:mine}", of: bound, "order": 0 })),
    ]
}

/// What a stranger does first, so that the group `ops` is worth something, if only a little.
fn worth_a_little() -> Vec<(&'static [&'static str], Vec<Said>)> {
    let view_group = || grant("/rbac/permissions/assigned_by_roles/{role:weak}/assign/", "view_group");
    vec![
        (&[], vec![]),
        (
            &["add_application", "add_policybinding", "add_ldapprovider"],
            own_application("group", "{group:ops}"),
        ),
        (
            &["add_role", "change_group"],
            vec![
                role("weak"),
                view_group(),
                patch("/core/groups/{group:ops}/", json!({ "roles": ["{role:weak}"] })),
            ],
        ),
    ]
}

/// A directory in which `robot` has done all of this, with these permissions; or the operator.
fn after(
    before: &[Said],
    held: &[&[&str]],
    on: &[(&str, &str)],
    calls: &[Said],
    is_strangers: bool,
) -> Doors {
    let doors = Doors::new();
    doors.prepare(before);
    robot_holds(&doors, Held::Only(&held.concat(), on));
    match is_strangers {
        true => calls.iter().for_each(|said| drop(done(&doors, said))),
        false => doors.prepare(calls),
    }
    doors
}

fn told_of_robot(doors: &Doors, text: &str) -> Vec<(String, String)> {
    let told = obstacles(&apply(doors, text));
    assert!(!told.is_empty() && told.iter().all(|(_, reason)| reason.contains(ROBOT)), "{text}{told:?}");
    told
}

#[test]
fn who_was_put_into_a_group_gains_nothing_because_it_gave_a_little() {
    let superusers = "[[group]]\nname = \"ops\"\nis_superuser = true\n".to_owned();
    let admitted = "[[group]]\nname = \"ops\"\n[[application]]\nslug = \"vault\"\nname = \"Vault\"\n\
                    provider = \"ldap\"\nbindings = [{ group = \"ops\" }]\n";
    let given = format!("{STRONG}[[group]]\nname = \"ops\"\nroles = [\"strong\"]\n");
    let named = |text: &str| text.replacen("\"ops\"\n", "\"ops\"\nmembers = [\"dave\"]\n", 1);
    for (held, first) in worth_a_little() {
        let mut calls = vec![user("dave")];
        calls.extend(first);
        calls.push(joins("/core/groups/{group:ops}/add_user/", "dave"));
        let held = [&["add_user", "add_user_to_group", "view_group"], held];
        for text in [&given, &superusers, &admitted.to_owned()] {
            for text in [text.clone(), named(text)] {
                let doors = after(&[group("ops")], &held, &[], &calls, true);
                let before = rights_of(&doors, "dave");
                let told = told_of_robot(&doors, &text);
                assert!(told.iter().any(|(_, it)| it.contains("--adopt account:dave")), "{text}{told:?}");
                assert_eq!(rights_of(&doors, "dave"), before, "{text}");
                // It is said once.
                let plan = doors.config_with(&text, &adopting(&apply(&doors, &text))).unwrap();
                assert_eq!(obstacles(&plan), [], "{text}");
                assert!(apply(&doors, &text).diff.is_empty(), "{text}");

                let doors = after(&[group("ops")], &held, &[], &calls, false);
                assert_eq!(obstacles(&apply(&doors, &text)), [], "{text}");
                assert!(apply(&doors, &text).diff.is_empty(), "{text}");
            }
        }
    }
}

/// Who fills a group that gives something has that itself; what it is to give now is another matter.
#[test]
fn what_a_group_gives_more_than_who_filled_it_holds_is_said_once() {
    let reader = "[[role]]\nname = \"reader\"\npermissions = [\"view_group\"]\n";
    let staff = |roles: &str, members: &str| {
        format!("{reader}{STRONG}[[group]]\nname = \"staff\"\nroles = [{roles}]\n{members}")
    };
    for members in ["", "members = [\"ann\", \"ben\"]\n"] {
        let doors = Doors::new();
        apply(&doors, &staff("\"reader\"", ""));
        robot_holds(&doors, Held::Only(&["add_user", "view_group"], &[("add_user_to_group", "group:staff")]));
        for name in ["ann", "ben"] {
            done(&doors, &user(name));
            done(&doors, &joins("/core/groups/{group:staff}/add_user/", name));
        }
        assert_eq!(obstacles(&apply(&doors, &staff("\"reader\"", members))), []);
        let text = staff("\"reader\", \"strong\"", members);
        let told = told_of_robot(&doors, &text);
        assert!(told.len() == 1 && told[0].1.contains("--adopt by:robot"), "{told:?}");
        let by_robot = SeedOptions { adopt: vec!["by:robot".to_owned()], ..SeedOptions::default() };
        let plan = doors.config_with(&text, &by_robot).unwrap();
        assert_eq!(obstacles(&plan), [], "{members}");
        assert!(apply(&doors, &text).diff.is_empty(), "{members}");
        // As nothing is given any more to anybody, nobody is asked again.
        let text = format!("{text}[[group]]\nname = \"else\"\n");
        assert_eq!(obstacles(&apply(&doors, &text)), []);
    }
    // Who holds all of it gives nothing away.
    let doors = Doors::new();
    apply(&doors, &staff("\"reader\"", ""));
    robot_holds(&doors, Held::AllBut(&[]));
    done(&doors, &user("ann"));
    done(&doors, &joins("/core/groups/{group:staff}/add_user/", "ann"));
    assert_eq!(obstacles(&apply(&doors, &staff("\"reader\", \"strong\"", ""))), []);
}

/// The caller would hold it by the same config, as it has put itself there too.
#[test]
fn nobody_is_let_in_by_who_is_let_in_with_it() {
    let calls = [
        user("dave"),
        joins("/core/groups/{group:ops}/add_user/", "dave"),
        joins("/core/groups/{group:ops}/add_user/", "robot"),
    ];
    let held: [&[&str]; 2] = [&["add_user", "add_user_to_group", "view_group"], worth_a_little()[1].0];
    let calls = [own_application("group", "{group:ops}"), calls.to_vec()].concat();
    let doors = after(&[group("ops")], &held, &[], &calls, true);
    told_of_robot(&doors, &format!("{STRONG}[[group]]\nname = \"ops\"\nroles = [\"strong\"]\n"));
}

#[test]
fn who_was_given_a_role_gains_nothing_because_it_allowed_a_little() {
    let text = "[[role]]\nname = \"dev\"\npermissions = [\"search_full_directory\"]\n";
    let view_group = grant("/rbac/permissions/assigned_by_roles/{role:dev}/assign/", "view_group");
    for first in [vec![], vec![view_group]] {
        let calls =
            [vec![user("evil")], first, vec![joins("/rbac/roles/{role:dev}/add_user/", "evil")]].concat();
        let held: &[&[&str]] = &[&[
            "add_user",
            "view_role",
            "change_role",
            "view_group",
            "change_user",
            "assign_role_permissions",
        ]];
        let doors = after(&[role("dev")], held, &[], &calls, true);
        let told = told_of_robot(&doors, text);
        assert!(told.len() == 1 && told[0].1.contains("--adopt account:evil"), "{told:?}");
        let doors = after(&[role("dev")], held, &[], &calls, false);
        assert_eq!(obstacles(&apply(&doors, text)), []);
        assert!(apply(&doors, text).diff.is_empty());
    }
}

#[test]
fn who_is_known_like_a_group_gains_nothing_because_it_gave_a_little() {
    let text = format!("{STRONG}[[group]]\nname = \"ops\"\nroles = [\"strong\"]\n");
    for (held, first) in worth_a_little() {
        for is_strangers in [true, false] {
            let doors = Doors::new();
            doors.prepare(&[group("ops")]);
            let number = {
                let snapshot = doors.operator.registry.snapshot();
                let start = snapshot.default_tree().unwrap().provider().gid_start_number;
                start + snapshot.accounts().group_named("ops").unwrap().number.get()
            };
            let held = [&["add_user", "add_user_to_group", "view_group"], held].concat();
            robot_holds(&doors, Held::Only(&held, &[]));
            let evil = person("evil", json!({ "gidNumber": number.to_string() }));
            let calls = [vec![evil], first.clone()].concat();
            match is_strangers {
                true => calls.iter().for_each(|said| drop(done(&doors, said))),
                false => doors.prepare(&calls),
            }
            if is_strangers {
                let told = told_of_robot(&doors, &text);
                assert!(told.len() == 1 && told[0].0 == "ops" && told[0].1.contains("evil"), "{told:?}");
            } else {
                assert_eq!(obstacles(&apply(&doors, &text)), []);
                assert!(apply(&doors, &text).diff.is_empty());
            }
        }
    }
}

/// An account that the config describes, and one that it only names.
#[test]
fn who_is_known_like_an_account_gains_nothing_because_it_had_a_little_or_is_not_described() {
    let described = format!("{STRONG}[[account]]\nusername = \"alice\"\nroles = [\"strong\"]\n");
    let member = format!("{STRONG}[[group]]\nname = \"ops\"\nroles = [\"strong\"]\nmembers = [\"alice\"]\n");
    let bound = "[[application]]\nslug = \"vault\"\nname = \"Vault\"\nprovider = \"ldap\"\n\
                 bindings = [{ account = \"alice\" }]\n";
    let own = || own_application("user", "{user:alice}");
    let held: &[&[&str]] = &[&["add_user", "view_user"], worth_a_little()[1].0];
    for text in [&described, &member, &bound.to_owned()] {
        for first in [vec![], own()] {
            let calls = [vec![person("evil", json!({ "uid": ["alice"] }))], first].concat();
            for is_strangers in [true, false] {
                let before = [user("alice")];
                let on = [("change_user", "account:alice")];
                let doors = after(&before, held, &on, &calls, is_strangers);
                // What it may change no more.
                robot_holds(&doors, Held::Only(&["view_user"], &[]));
                if is_strangers {
                    let told = told_of_robot(&doors, text);
                    assert!(
                        told.len() == 1 && told[0].0 == "alice" && told[0].1.contains("evil"),
                        "{told:?}"
                    );
                } else {
                    assert_eq!(obstacles(&apply(&doors, text)), [], "{text}");
                    assert!(apply(&doors, text).diff.is_empty(), "{text}");
                }
            }
        }
    }
}

/// Another mode, or a binding less, admits who was in one of several groups.
#[test]
fn who_is_admitted_by_other_rules_of_an_application_is_told() {
    let text = |mode: &str, bindings: &str| {
        format!(
            "[[group]]\nname = \"few\"\nmembers = [\"bob\"]\n[[account]]\nusername = \"bob\"\n[[group]]\nname = \"ops\"\n\
             [[application]]\nslug = \"vault\"\nname = \"Vault\"\nprovider = \"ldap\"\nmode = \"{mode}\"\n\
             bindings = [{bindings}]\n"
        )
    };
    let (both, ops) = ("{ group = \"few\" }, { group = \"ops\" }", "{ group = \"ops\" }");
    let shut_out =
        "{ group = \"ops\" }, { group = \"few\", negate = true, enabled = true }, { group = \"few\" }";
    let calls = [
        user("evil"),
        joins("/core/groups/{group:ops}/add_user/", "evil"),
        joins("/core/groups/{group:ops}/add_user/", "robot"),
    ];
    for (before, then) in [
        (text("all", both), text("any", both)),
        (text("all", both), text("all", ops)),
        (text("all", shut_out), text("all", ops)),
    ] {
        for is_strangers in [true, false] {
            let doors = Doors::new();
            apply(&doors, &before);
            robot_holds(&doors, Held::Only(&["add_user", "add_user_to_group", "view_group"], &[]));
            match is_strangers {
                true => calls.iter().for_each(|said| drop(done(&doors, said))),
                false => doors.prepare(&calls),
            }
            if is_strangers {
                let told = told_of_robot(&doors, &then);
                assert!(
                    told.len() == 1 && told[0].0 == "vault" && told[0].1.contains("--adopt account:evil"),
                    "{told:?}"
                );
                let accept = SeedOptions { adopt: vec!["by:robot".to_owned()], ..SeedOptions::default() };
                let again = after_accepting(&doors, &then, &accept);
                assert!(again.iter().any(|names| names.contains("robot")), "{again:?}");
            } else {
                let plan = apply(&doors, &then);
                assert_eq!(obstacles(&plan), [], "{then}");
                // Whom the config does not name, of whomever it is.
                let told = gives_more(&plan);
                assert!(told.len() == 1 && told[0].contains("evil") && told[0].contains("robot"), "{told:?}");
                assert!(!told[0].contains("bob"), "{told:?}");
                assert!(apply(&doors, &then).diff.is_empty(), "{then}");
            }
        }
    }
}

fn gives_more(plan: &SeedPlan) -> Vec<String> {
    let fields = plan.diff.iter().flat_map(|entry| &entry.fields);
    fields.filter(|field| field.field == "gives more to").filter_map(|field| field.after.clone()).collect()
}

fn after_accepting(doors: &Doors, text: &str, options: &SeedOptions) -> Vec<String> {
    let plan = doors.config_with(text, options).unwrap();
    assert_eq!(obstacles(&plan), [], "{text}");
    assert!(apply(doors, text).diff.is_empty(), "{text}");
    gives_more(&plan)
}

/// What one has made by means of an account is no more that account's own than what one has made for it.
#[test]
fn a_token_that_a_stranger_has_made_through_its_account_is_the_strangers() {
    let text = |more: &str| {
        format!(
            "[[account]]\nusername = \"svc\"\ntype = \"service_account\"\npermissions = [\"add_token\", \"set_token_key\"]\n{more}"
        )
    };
    let key = |token: &'static str, key: &str| {
        let path = if token == "t0" { "/core/tokens/t0/set_key/" } else { "/core/tokens/t1/set_key/" };
        post(path, json!({ "key": key }))
    };
    let make = |identifier: &str, intent: &str| {
        post("/core/tokens/", json!({ "identifier": identifier, "user": "{user:svc}", "intent": intent }))
    };
    let (first, second) =
        ("a-secret-of-the-first-token-that-is-long-enough", "another-secret-that-is-long-enough");
    let listed = text("[[token]]\nidentifier = \"t1\"\naccount = \"svc\"\n");
    for is_strangers in [true, false] {
        let mut doors = Doors::new();
        apply(&doors, &text(""));
        robot_holds(
            &doors,
            Held::Only(&["view_user", "add_token", "change_user", "view_token", "set_token_key"], &[]),
        );
        let setting_up = [make("t0", "api"), key("t0", first)];
        match is_strangers {
            true => setting_up.iter().for_each(|said| drop(done(&doors, said))),
            false => doors.prepare(&setting_up),
        }
        // From here on as `svc`.
        let robot = std::mem::replace(&mut doors.secret, first.to_owned());
        done(&doors, &make("t1", "app_password"));
        done(&doors, &key("t1", second));
        doors.secret = robot;
        if is_strangers {
            let told = obstacles(&apply(&doors, &listed));
            assert!(
                told.len() == 1 && told[0].1.contains("--adopt token:t1") && told[0].1.contains("`robot`"),
                "{told:?}"
            );
            let plan = doors.config_with(&listed, &adopting(&apply(&doors, &listed))).unwrap();
            assert_eq!((obstacles(&plan), plan.needed.len()), (vec![], 1));
        } else {
            assert_eq!(obstacles(&apply(&doors, &listed)), []);
        }
        assert!(apply(&doors, &listed).diff.is_empty());
    }
}
