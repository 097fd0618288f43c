//! Ways 2 and 3 together. A config is applied whole, or not at all: what would be there if only a part of it were, nobody has
//! said, and something that is worth more, or less, for a while is there for the taking.

use super::*;

const NOT_SEARCH: Held<'_> = Held::AllBut(&["search_full_directory"]);

/// A provider that `robot` makes.
fn provider(name: &str, base_dn: &str) -> Said {
    let nil = uuid::Uuid::nil();
    post(
        "/providers/ldap/",
        json!({ "name": name, "base_dn": base_dn, "authorization_flow": nil, "invalidation_flow": nil }),
    )
}

fn application(slug: &str) -> Said {
    post("/core/applications/", json!({ "slug": slug, "name": "Mine" }))
}

fn of_application(slug: &str, provider: &str, bindings: &str) -> String {
    format!(
        "[[application]]\nslug = \"{slug}\"\nname = \"{slug}\"\nprovider = \"{provider}\"\nbindings = [{bindings}]\n"
    )
}

fn names(plan: &SeedPlan) -> Vec<String> {
    let mut names: Vec<String> = obstacles(plan).into_iter().map(|(name, _)| name).collect();
    names.sort();
    names
}

/// What is there, what `robot` does with which rights, what the config says then, and what is told to stand in the way.
struct Case {
    before: String,
    held: Held<'static>,
    calls: Vec<Said>,
    after: String,
    obstacles: &'static [&'static str],
}

/// Each opened something, or gave it away, when the rest of the config was applied without what stood in the way.
fn cases() -> Vec<Case> {
    let staff = "{ group = \"staff\" }";
    let crew = "[[group]]\nname = \"crew\"\nmembers = [\"eve\"]\n[[account]]\nusername = \"eve\"\n";
    let strong = "[[role]]\nname = \"strong\"\npermissions = [\"change_user\", \"view_event\"]\n";
    let weak = "[[role]]\nname = \"weak\"\npermissions = [\"view_group\"]\n";
    let group =
        |members: &str, more: &str| format!("[[group]]\nname = \"ops\"\nmembers = [{members}]\n{more}\n");
    let eve = "[[account]]\nusername = \"eve\"\n";
    let mut cases = vec![
        // A role and groups that could only be made empty.
        Case {
            before: String::new(),
            held: NOT_SEARCH,
            calls: vec![provider("mine", "dc=second")],
            after: "[[provider]]\nname = \"second\"\nbase_dn = \"dc=second\"\n\
                    [[role]]\nname = \"reader\"\n\
                    permissions = [{ permission = \"search_full_directory\", on = \"provider:second\" }]\n\
                    [[group]]\nname = \"readers\"\nroles = [\"reader\"]\nmembers = [\"alice\"]\n\
                    [[group]]\nname = \"inner\"\nparents = [\"readers\"]\n\
                    [[account]]\nusername = \"alice\"\nroles = [\"reader\"]\n"
                .to_owned(),
            obstacles: &["second"],
        },
        // A provider without its application, a new one and one that has another.
        Case {
            before: String::new(),
            held: Held::Only(&["add_application"], &[]),
            calls: vec![application("vault")],
            after: format!(
                "[[provider]]\nname = \"second\"\nbase_dn = \"dc=second\"\n[[group]]\nname = \"staff\"\n{}",
                of_application("vault", "second", staff)
            ),
            obstacles: &["vault"],
        },
        Case {
            before: format!("[[group]]\nname = \"staff\"\n{}", of_application("vault", "ldap", staff)),
            held: Held::Only(&["add_application"], &[]),
            calls: vec![application("late")],
            after: format!(
                "[[provider]]\nname = \"second\"\nbase_dn = \"dc=second\"\n{}{}",
                of_application("vault", "second", staff),
                of_application("late", "ldap", staff)
            ),
            obstacles: &["late"],
        },
        // New bindings for a provider that it does not get.
        Case {
            before: format!("[[group]]\nname = \"staff\"\n{}", of_application("vault", "ldap", staff)),
            held: NOT_SEARCH,
            calls: vec![provider("mine", "dc=second")],
            after: format!(
                "[[provider]]\nname = \"second\"\nbase_dn = \"dc=second\"\n{}",
                of_application("vault", "second", "")
            ),
            obstacles: &["second"],
        },
        // An application goes on admitting a group which is filled now.
        Case {
            before: format!(
                "[[group]]\nname = \"crew\"\n{}",
                of_application("x", "ldap", "{ group = \"crew\" }")
            ),
            held: Held::Only(&["add_application"], &[]),
            calls: vec![application("y")],
            after: format!(
                "[[provider]]\nname = \"second\"\nbase_dn = \"dc=second\"\n{crew}[[group]]\nname = \"staff\"\n{}{}",
                of_application("x", "second", ""),
                of_application("y", "ldap", staff)
            ),
            obstacles: &["y"],
        },
        // A group that goes on giving what it gave, and is filled now.
        Case {
            before: format!("{strong}{}{eve}", group("", "roles = [\"strong\"]")),
            held: Held::AllBut(&["change_user"]),
            calls: vec![role("weak")],
            after: format!("{strong}{weak}{}{eve}", group("\"eve\"", "roles = [\"weak\"]")),
            obstacles: &["weak"],
        },
        Case {
            before: format!("{strong}{}{eve}", group("", "roles = [\"strong\"]")),
            held: Held::AllBut(&["change_user"]),
            calls: vec![super::group("under")],
            after: format!(
                "{strong}[[group]]\nname = \"under\"\n{}{eve}",
                group("\"eve\"", "roles = []\nparents = [\"under\"]")
            ),
            obstacles: &["under"],
        },
        // An account that goes on holding what it held, and is active now.
        Case {
            before: format!("{strong}{eve}roles = [\"strong\"]\nis_active = false\n"),
            held: Held::AllBut(&["change_user"]),
            calls: vec![role("weak")],
            after: format!("{strong}{weak}{eve}roles = [\"weak\"]\nis_active = true\n"),
            obstacles: &["weak"],
        },
        // What is given up for another is free for whoever has taken that one's name.
        Case {
            before: "[[account]]\nusername = \"alice\"\nattributes = { mail = [\"boss@example.com\"] }\n"
                .to_owned(),
            held: Held::Only(&["add_user"], &[]),
            calls: vec![user("head")],
            after: "[[account]]\nusername = \"alice\"\nattributes = {}\n\
                    [[account]]\nusername = \"head\"\nattributes = { mail = [\"boss@example.com\"] }\n"
                .to_owned(),
            obstacles: &["head"],
        },
        // One that was made and deleted by somebody else is not what the config describes; it held rights.
        Case {
            before: String::new(),
            held: Held::AllBut(&["view_event"]),
            calls: vec![
                user("reader"),
                grant("/rbac/permissions/assigned_by_users/{user:reader}/assign/", "view_role"),
                delete("/core/users/{user:reader}/"),
            ],
            after: "[[account]]\nusername = \"reader\"\n\
                    [[group]]\nname = \"readers\"\nmembers = [\"reader\"]\npermissions = [\"view_event\"]\n"
                .to_owned(),
            obstacles: &["reader"],
        },
        Case {
            before: "[[account]]\nusername = \"builder\"\ntype = \"service_account\"\n".to_owned(),
            held: Held::AllBut(&["view_event"]),
            calls: vec![post("/core/tokens/", json!({ "identifier": "ci" })), delete("/core/tokens/ci/")],
            after: "[[account]]\nusername = \"builder\"\ntype = \"service_account\"\n\
                    [[token]]\nidentifier = \"ci\"\naccount = \"builder\"\n"
                .to_owned(),
            obstacles: &["ci"],
        },
        // One whose secret somebody else has made.
        Case {
            before: "[[account]]\nusername = \"builder\"\ntype = \"service_account\"\n".to_owned(),
            held: Held::AllBut(&["view_event"]),
            calls: vec![post("/core/tokens/", json!({ "identifier": "ci", "user": "{user:builder}" }))],
            after: "[[account]]\nusername = \"builder\"\ntype = \"service_account\"\n\
                    [[token]]\nidentifier = \"ci\"\naccount = \"builder\"\n"
                .to_owned(),
            obstacles: &["ci"],
        },
        // A role that gives no right may still limit who holds it.
        Case {
            before: String::new(),
            held: Held::AllBut(&["view_event"]),
            calls: vec![role("limits")],
            after: "[[role]]\nname = \"limits\"\n[[group]]\nname = \"staff\"\nroles = [\"limits\"]\n"
                .to_owned(),
            obstacles: &["limits"],
        },
    ];
    // Whom an application is to shut out must be there whole.
    let shuts_out =
        of_application("vault", "ldap", "{ group = \"staff\" }, { group = \"blocked\", negate = true }");
    let blocked = "[[group]]\nname = \"blocked\"\nmembers = [\"eve\"]\n";
    let below = "[[group]]\nname = \"blocked\"\nmembers = []\n\
                 [[group]]\nname = \"inner\"\nmembers = [\"eve\"]\nparents = [\"blocked\"]\n";
    for (made, text) in [("blocked", blocked), ("inner", below)] {
        cases.push(Case {
            before: format!("[[group]]\nname = \"staff\"\n{eve}{}", of_application("vault", "ldap", staff)),
            held: Held::AllBut(&["view_event"]),
            calls: vec![super::group(made)],
            after: format!("[[group]]\nname = \"staff\"\n{text}{eve}{shuts_out}"),
            obstacles: if made == "inner" { &["inner"] } else { &["blocked"] },
        });
    }
    cases
}

#[test]
fn a_config_is_applied_whole_or_not_at_all() {
    for Case { before, held, calls, after, obstacles: expected } in cases() {
        for prune in [false, true] {
            // Who does it is not pruned.
            let robot = "[[account]]\nusername = \"robot\"\ntype = \"service_account\"\n\
                         [[token]]\nidentifier = \"robot-api\"\naccount = \"robot\"\n";
            // A prune takes out of the way what the config does not describe.
            let expected = if prune && expected == ["second"] { &[][..] } else { expected };
            let after = if prune { format!("{after}{robot}") } else { after.clone() };
            let doors = Doors::new();
            apply(&doors, &before);
            robot_holds(&doors, held);
            calls.iter().for_each(|said| drop(done(&doors, said)));
            let options = SeedOptions { prune, ..SeedOptions::default() };
            for _ in 0..2 {
                // That nothing is changed is asked with it.
                let plan = doors.config_with(&after, &options).unwrap();
                assert_eq!(names(&plan), expected, "{after}{:?}", plan.diff);
                assert!(
                    obstacles(&plan).iter().all(|(_, reason)| reason.contains("`robot`")),
                    "{:?}",
                    plan.diff
                );
            }
        }
        // Where nothing stands in the way it is all applied.
        let doors = Doors::new();
        apply(&doors, &before);
        assert_eq!(names(&apply(&doors, &after)), Vec::<String>::new(), "{after}");
        assert!(apply(&doors, &after).diff.is_empty(), "{after}");
    }
}

/// Whom the config admits, and in whose place, somebody else cannot be for having taken the name.
#[test]
fn nobody_is_admitted_or_shut_out_under_a_name_that_a_stranger_has_taken() {
    let few = of_application("vault", "ldap", "{ group = \"few\" }");
    let of_few = |more: &str| format!("[[group]]\nname = \"few\"\n{more}{few}");
    let member = "members = [\"new\"]\n";
    let rename =
        vec![user("new"), patch("/core/users/{user:new}/", json!({ "username": "old" })), user("new")];
    let but_not =
        of_application("vault", "ldap", "{ group = \"few\" }, { account = \"new\", negate = true }");
    let on_mine = of_application("vault", "mine", "{ group = \"few\" }");
    for (name, calls, text) in [
        ("new", vec![user("new")], of_few(member)),
        ("new", vec![user("new")], format!("{}[[account]]\nusername = \"new\"\n", of_few(member))),
        (
            "new",
            vec![user("new")],
            format!("{}[[group]]\nname = \"in\"\nparents = [\"few\"]\n{member}", of_few("")),
        ),
        (
            "new",
            vec![group("new")],
            format!("{}[[group]]\nname = \"new\"\nparents = [\"few\"]\n", of_few("")),
        ),
        ("new", rename, of_few(member)),
        ("new", vec![user("new")], format!("[[group]]\nname = \"few\"\n{but_not}")),
        // One that is just as the config says is who made it's all the same.
        (
            "mine",
            vec![provider("mine", "dc=mine")],
            format!(
                "[[group]]\nname = \"few\"\n[[provider]]\nname = \"mine\"\nbase_dn = \"dc=mine\"\n{on_mine}"
            ),
        ),
        ("mine", vec![provider("mine", "dc=mine")], format!("[[group]]\nname = \"few\"\n{on_mine}")),
    ] {
        let doors = Doors::new();
        robot_holds(&doors, Held::AllBut(&["view_event"]));
        calls.iter().for_each(|said| drop(done(&doors, said)));
        let told = obstacles(&apply(&doors, &text));
        assert!(told.len() == 1 && told[0].0 == name && told[0].1.contains("--adopt"), "{text}{told:?}");
        let adopt = SeedOptions { adopt: vec![name.to_owned()], ..SeedOptions::default() };
        assert_eq!(obstacles(&doors.config_with(&text, &adopt).unwrap()), [], "{text}");
        assert!(apply(&doors, &text).diff.is_empty(), "{text}");
    }
    // Who is in a group that is worth nothing gets nothing for a name, before it is worth something.
    let doors = Doors::new();
    robot_holds(&doors, Held::AllBut(&["view_event"]));
    done(&doors, &user("new"));
    assert_eq!(obstacles(&apply(&doors, &format!("[[group]]\nname = \"few\"\n{member}"))), []);
    assert_eq!(obstacles(&apply(&doors, &of_few(member))).len(), 1);
}

/// Rights that would go to who may know somebody's secret are given to nobody, and nothing else is changed meanwhile.
#[test]
fn nothing_is_applied_before_the_operator_has_accepted_a_credential() {
    let text = |more: &str| {
        format!(
            "[[role]]\nname = \"reader\"\npermissions = [\"view_role\"{more}]\n\
             [[account]]\nusername = \"bob\"\nroles = [\"reader\"]\n"
        )
    };
    let doors = Doors::new();
    apply(&doors, &text(""));
    robot_holds(&doors, Held::AllBut(&["view_event"]));
    let body = json!({ "identifier": "of-bob", "user": "{user:bob}", "intent": "api" });
    done(&doors, &post("/core/tokens/", body));
    let more = format!("{}[[group]]\nname = \"bystanders\"\n", text(", \"view_event\""));
    let told = doors.config_with(&more, &SeedOptions::default()).unwrap_err();
    assert!(told.contains("--accept-credentials token:of-bob"), "{told}");
    assert_eq!(rights_of(&doors, "bob").grants.len(), 1);
    assert!(doors.operator.registry.snapshot().accounts().group_named("bystanders").is_none());
    let accept = SeedOptions { accept_credentials: vec!["of-bob".to_owned()], ..SeedOptions::default() };
    doors.config_with(&more, &accept).unwrap();
    assert_eq!(rights_of(&doors, "bob").grants.len(), 2);
}

/// A value that a caller has given to what is the operator's stands in the way of the change of that type.
#[test]
fn a_value_that_a_caller_has_set_is_told_with_its_type() {
    let declared = |syntax: &str, oid: &str| {
        format!("[[attribute]]\nname = \"badge\"\nsyntax = \"{syntax}\"\noid = \"{oid}\"\n")
    };
    let others = "[[group]]\nname = \"club\"\n[[account]]\nusername = \"bob\"\n";
    let oid = "1.3.6.1.4.1.99999.1";
    let set = |path: &'static str, name: &str| patch(path, json!({ "attributes": { name: "seven" } }));
    for (path, by) in [
        ("/core/users/{user:bob}/", "badge"),
        ("/core/groups/{group:club}/", "badge"),
        ("/core/users/{user:bob}/", oid),
        ("/core/groups/{group:club}/", oid),
    ] {
        let doors = Doors::new();
        apply(&doors, &format!("{}{others}", declared("directory_string", oid)));
        robot_holds(&doors, Held::AllBut(&[]));
        done(&doors, &set(path, by));
        // Another syntax, or another OID where the value is known by it.
        let changed = match by == oid {
            true => declared("directory_string", "1.3.6.1.4.1.99999.2"),
            false => declared("integer", oid),
        };
        let plan = apply(&doors, &format!("{changed}{others}"));
        assert_eq!(names(&plan), ["badge"], "{path} {by}: {:?}", plan.diff);
        // What the config says of it itself is a mistake of the config.
        let said = others
            .replace("username = \"bob\"\n", "username = \"bob\"\nattributes = { badge = [\"seven\"] }\n");
        let text = format!("{}{said}", declared("integer", oid));
        let is_refused = doors.config_with(&text, &SeedOptions::default()).is_err();
        assert_eq!(is_refused, path.starts_with("/core/users/"), "{path} {by}");
    }
    // What the config says of others that goes only with the new form is told with it.
    let doors = Doors::new();
    apply(&doors, &format!("{}{others}", declared("integer", oid)));
    robot_holds(&doors, Held::AllBut(&[]));
    done(&doors, &patch("/core/users/{user:bob}/", json!({ "attributes": { "badge": "7" } })));
    let text = format!(
        "{}{others}[[account]]\nusername = \"carol\"\nattributes = {{ badge = [\"TRUE\"] }}\n",
        declared("boolean", oid)
    );
    let plan = apply(&doors, &text);
    assert_eq!(names(&plan), ["badge", "carol"], "{:?}", plan.diff);
}
