//! Way 2. The config gives to a name what it says of it: so whoever takes a name of the config, or that of something deleted
//! which held rights, would be given what was meant for another.

use super::*;

/// Objects that `robot` makes under a name that the config gives something to, and what the config says.
fn taken() -> Vec<(&'static str, Vec<Said>, &'static str)> {
    let permission = "permissions = [\"view_event\"]\n";
    let text = |text: String| -> &'static str { text.leak() };
    let gives = text(format!("[[role]]\nname = \"reader\"\n{permission}"));
    vec![
        ("new", vec![user("new")], text(format!("[[account]]\nusername = \"new\"\n{permission}"))),
        (
            "new",
            vec![service("new")],
            text(format!(
                "{gives}[[account]]\nusername = \"new\"\ntype = \"service_account\"\nroles = [\"reader\"]\n"
            )),
        ),
        (
            "new",
            vec![post("/core/users/service_account/", json!({ "name": "new", "create_group": true }))],
            text(format!("[[account]]\nusername = \"new\"\ntype = \"service_account\"\n{permission}")),
        ),
        (
            "new",
            vec![user("old"), patch("/core/users/{user:old}/", json!({ "username": "new" }))],
            text(format!("[[account]]\nusername = \"new\"\n{permission}")),
        ),
        // Not described itself, but named as a member.
        (
            "new",
            vec![user("new")],
            text(format!("[[group]]\nname = \"readers\"\nmembers = [\"new\"]\n{permission}")),
        ),
        ("new", vec![group("new")], text(format!("[[group]]\nname = \"new\"\n{permission}"))),
        (
            "new",
            vec![group("new")],
            text(format!("{gives}[[group]]\nname = \"new\"\nroles = [\"reader\"]\n")),
        ),
        ("new", vec![group("new")], "[[group]]\nname = \"new\"\nis_superuser = true\n"),
        (
            "new",
            vec![group("new")],
            text(format!(
                "[[group]]\nname = \"readers\"\n{permission}[[group]]\nname = \"new\"\nparents = [\"readers\"]\n"
            )),
        ),
        (
            "new",
            vec![group("old"), put("/core/groups/{group:old}/", json!({ "name": "new" }))],
            text(format!("[[group]]\nname = \"new\"\n{permission}")),
        ),
        ("new", vec![role("new")], text(format!("[[role]]\nname = \"new\"\n{permission}"))),
        (
            "new",
            vec![role("old"), patch("/rbac/roles/{role:old}/", json!({ "name": "new" }))],
            text(format!("[[role]]\nname = \"new\"\n{permission}")),
        ),
        (
            "new",
            vec![post(
                "/providers/ldap/",
                json!({ "name": "new", "base_dn": "dc=new", "authorization_flow": "00000000-0000-0000-0000-000000000000", "invalidation_flow": "00000000-0000-0000-0000-000000000000" }),
            )],
            "[[provider]]\nname = \"new\"\nbase_dn = \"dc=other\"\n",
        ),
        (
            "new",
            vec![post("/core/applications/", json!({ "slug": "new", "name": "New" }))],
            "[[application]]\nslug = \"new\"\nname = \"New\"\nprovider = \"ldap\"\n",
        ),
    ]
}

#[test]
fn the_config_gives_nothing_to_what_a_stranger_has_made() {
    let other = "[[account]]\nusername = \"bystander\"\n";
    for (name, calls, text) in taken() {
        let text = format!("{text}{other}");
        let make = |held: Held<'_>| {
            let doors = Doors::new();
            robot_holds(&doors, Held::AllBut(&["view_event", "change_ldapprovider"]));
            calls.iter().for_each(|said| drop(done(&doors, said)));
            robot_holds(&doors, held);
            doors
        };
        // Told, whatever who made it holds by now, and nothing is applied.
        let doors = make(Held::AllBut(&["view_event", "change_ldapprovider"]));
        let before = {
            let snapshot = doors.operator.registry.snapshot();
            let accounts = snapshot.accounts();
            accounts.account_named(name).map(|account| Rights::of_account(accounts, account))
        };
        let told = obstacles(&apply(&doors, &text));
        assert!(told.iter().any(|(of, reason)| of == name && reason.contains("robot")), "{text}{told:?}");
        assert!(told.iter().all(|(_, reason)| reason.contains(":new takes it over")), "{text}{told:?}");
        let snapshot = doors.operator.registry.snapshot();
        assert!(snapshot.accounts().account_named("bystander").is_none(), "{text}");
        if before.is_some() {
            assert_eq!(Some(rights_of(&doors, name)), before, "{text}");
        }
        // It stays so, however often, and the operator can say that it is meant.
        let plan = apply(&doors, &text);
        assert_eq!(obstacles(&plan), told, "{text}");
        let adopt = adopting(&plan);
        let plan = doors.config_with(&text, &adopt).unwrap();
        assert_eq!(obstacles(&plan), [], "{text}");
        assert!(plan.diff.iter().any(|entry| entry.reason.as_deref() == Some("adopted")), "{text}");
        assert!(apply(&doors, &text).diff.is_empty(), "{text}");

        // Who holds it all could have given it itself.
        let doors = make(Held::Superuser);
        assert_eq!(obstacles(&apply(&doors, &text)), [], "{text}");
    }
}

/// What the config and the operator have made is given what the config says, also where the operator gave the name.
#[test]
fn what_is_the_operators_is_given_what_the_config_says() {
    for (_, calls, text) in taken() {
        let doors = Doors::new();
        doors.prepare(&calls);
        assert_eq!(obstacles(&apply(&doors, text)), [], "{text}");
        let doors = Doors::new();
        if !text.contains("members") {
            apply(&doors, text);
            assert!(apply(&doors, text).diff.is_empty(), "{text}");
        }
    }
}

/// A permission on an object is not given where a stranger has taken the object's name.
#[test]
fn nothing_is_granted_on_what_a_stranger_has_made() {
    let on = [
        ("account:new", vec![user("new")], "change_user"),
        ("group:new", vec![group("new")], "change_group"),
        ("role:new", vec![role("new")], "change_role"),
        (
            "application:new",
            vec![post("/core/applications/", json!({ "slug": "new", "name": "New" }))],
            "change_application",
        ),
    ];
    for (on, calls, permission) in on {
        let text = format!(
            "[[account]]\nusername = \"helper\"\npermissions = [{{ permission = \"{permission}\", on = \"{on}\" }}]\n"
        );
        let doors = Doors::new();
        robot_holds(&doors, Held::AllBut(&["view_event"]));
        calls.iter().for_each(|said| drop(done(&doors, said)));
        let told = obstacles(&apply(&doors, &text));
        assert!(told.len() == 1 && told[0].1.contains(&format!("--adopt {on}")), "{on}: {told:?}");
        assert!(doors.operator.registry.snapshot().accounts().account_named("helper").is_none(), "{on}");
        let adopt = SeedOptions { adopt: vec!["new".to_owned()], ..SeedOptions::default() };
        doors.config_with(&text, &adopt).unwrap();
        assert_eq!(rights_of(&doors, "helper").grants.len(), 1, "{on}");
    }
}

/// What a stranger has put into an account, or a group, opens no application that the config binds to its name.
#[test]
fn the_config_admits_nobody_by_a_name_that_a_stranger_has_taken() {
    for (subject, said) in [("account", user("new")), ("group", group("new"))] {
        let text = format!(
            "[[application]]\nslug = \"vault\"\nname = \"Vault\"\nprovider = \"ldap\"\n\
             bindings = [{{ {subject} = \"new\" }}]\n"
        );
        let admits = |doors: &Doors| {
            let snapshot = doors.operator.registry.snapshot();
            let accounts = snapshot.accounts();
            let application = accounts.application_named("vault").unwrap();
            let robot = accounts.account_named("robot").unwrap();
            let new = accounts.account_named("new").unwrap_or(robot);
            crate::access::Admissible::of(accounts, application, crate::access::AskedFor::Losses)
                .admits(accounts, new)
        };
        let doors = Doors::new();
        robot_holds(&doors, Held::AllBut(&["change_application"]));
        done(&doors, &said);
        if subject == "group" {
            done(&doors, &post("/core/groups/{group:new}/add_user/", json!({ "pk": "{user:robot}" })));
        }
        let told = obstacles(&apply(&doors, &text));
        assert!(
            told.len() == 1 && told[0].1.contains(&format!("--adopt {subject}:new")),
            "{subject}: {told:?}"
        );
        let adopt = SeedOptions { adopt: vec!["new".to_owned()], ..SeedOptions::default() };
        doors.config_with(&text, &adopt).unwrap();
        // Who was put into a group that is taken over is in it no more.
        assert_eq!(admits(&doors), subject == "account", "{subject}");
        assert!(apply(&doors, &text).diff.is_empty(), "{subject}");
        // The operator's is meant.
        let doors = Doors::new();
        doors.prepare(&[said]);
        assert_eq!(obstacles(&apply(&doors, &text)), [], "{subject}");
    }
}

/// Adoption ends what the maker knows the secret of, unless the operator names it.
#[test]
fn adoption_ends_the_credentials_that_the_maker_made() {
    let text = "[[account]]\nusername = \"new\"\npermissions = [\"view_event\"]\n";
    for (named, left) in [(vec![], vec![]), (vec!["one".to_owned()], vec!["one"])] {
        let doors = Doors::new();
        robot_holds(&doors, Held::AllBut(&["view_event"]));
        done(&doors, &user("new"));
        done(
            &doors,
            &post("/core/users/{user:new}/set_password/", json!({ "password": "a long enough one" })),
        );
        for identifier in ["one", "two"] {
            let token = json!({ "identifier": identifier, "user": "{user:new}", "intent": "app_password" });
            done(&doors, &post("/core/tokens/", token));
        }
        let options = SeedOptions {
            adopt: vec!["new".to_owned()],
            accept_credentials: named,
            ..SeedOptions::default()
        };
        let plan = doors.config_with(text, &options).unwrap();
        assert_eq!(obstacles(&plan), []);
        let snapshot = doors.operator.registry.snapshot();
        let accounts = snapshot.accounts();
        let account = accounts.account_named("new").unwrap();
        let tokens: Vec<_> =
            account.tokens.iter().map(|token| accounts.token(*token).unwrap().identifier.as_str()).collect();
        assert_eq!(tokens, left);
        assert!(account.password.is_none());
        assert!(!rights_of(&doors, "new").is_empty());
    }
}

/// Names of things that are gone: whoever brings one back gets what the config says of it, or somebody who remembers it.
#[test]
fn the_names_of_what_the_config_made_or_what_held_rights_are_brought_back_by_superusers() {
    let config = "[[account]]\nusername = \"gone\"\n[[group]]\nname = \"gone\"\n[[role]]\nname = \"gone\"\n\
                  [[token]]\nidentifier = \"gone\"\naccount = \"robot\"\n";
    let of_config = || {
        let doors = Doors::new();
        apply(&doors, config);
        doors.prepare(&[
            delete("/core/users/{user:gone}/"),
            delete("/core/groups/{group:gone}/"),
            delete("/rbac/roles/{role:gone}/"),
            delete("/core/tokens/gone/"),
            user("other"),
            group("other"),
            role("other"),
            post(
                "/core/tokens/",
                json!({ "identifier": "other", "user": "{user:robot}", "intent": "app_password" }),
            ),
        ]);
        // It is the name that is refused.
        made_by("robot", doors, &["other"])
    };
    let of_accounts = || {
        vec![
            user("gone"),
            service("GONE"),
            post("/core/users/service_account/", json!({ "name": "gone" })),
            patch("/core/users/{user:other}/", json!({ "username": "gone" })),
            put("/core/users/{user:other}/", json!({ "username": "Gone", "name": "A person" })),
        ]
    };
    let mut calls = of_accounts();
    calls.extend([
        group("gone"),
        patch("/core/groups/{group:other}/", json!({ "name": "GONE" })),
        put("/core/groups/{group:other}/", json!({ "name": "gone" })),
        role("gone"),
        patch("/rbac/roles/{role:other}/", json!({ "name": "gone" })),
        put("/rbac/roles/{role:other}/", json!({ "name": "Gone" })),
        post("/core/tokens/", json!({ "identifier": "gone" })),
        patch("/core/tokens/other/", json!({ "identifier": "gone" })),
    ]);
    both_ways(&of_config, Held::AllBut(&[]), Held::Superuser, &calls);

    // The operator's, that held a right: through itself, a role, a group.
    let gives: [fn(&Doors); 3] = [
        |doors| {
            doors.prepare(&[grant("/rbac/permissions/assigned_by_users/{user:gone}/assign/", "view_role")])
        },
        |doors| {
            doors.prepare(&[
                role("giver"),
                grant("/rbac/permissions/assigned_by_roles/{role:giver}/assign/", "view_role"),
                patch("/core/users/{user:gone}/", json!({ "roles": ["{role:giver}"] })),
            ]);
        },
        |doors| {
            doors.prepare(&[
                post("/core/groups/", json!({ "name": "giver", "is_superuser": true })),
                patch("/core/users/{user:gone}/", json!({ "groups": ["{group:giver}"] })),
            ]);
        },
    ];
    for give in gives {
        let make = || {
            let doors = Doors::new();
            doors.prepare(&[user("gone"), user("other")]);
            give(&doors);
            doors.prepare(&[delete("/core/users/{user:gone}/")]);
            made_by("robot", doors, &["other"])
        };
        both_ways(&make, Held::AllBut(&[]), Held::Superuser, &of_accounts());
    }
    // One that nobody has given anything is anybody's.
    let make = || {
        let doors = Doors::new();
        doors.prepare(&[user("gone"), user("other"), delete("/core/users/{user:gone}/")]);
        made_by("robot", doors, &["other"])
    };
    for said in of_accounts() {
        let doors = make();
        done(&doors, &said);
    }
}
