//! Way 2, behind the name: who holds a role, who is in a group and who may change an object is asked too, when the config
//! describes what somebody else has made, makes worth something what somebody else has filled, or is given another name.

use super::*;

/// Applies a config with all taken over that the plan says can be.
fn taken_over(doors: &Doors, text: &str) -> SeedPlan {
    let told = apply(doors, text);
    assert!(!obstacles(&told).is_empty(), "{text}");
    let plan = doors.config_with(text, &adopting(&told)).unwrap();
    assert_eq!(obstacles(&plan), [], "{text}");
    let again = apply(doors, text).diff;
    assert!(again.is_empty(), "{text}{again:?}");
    plan
}

/// Whether an application of the config admits an account.
fn is_admitted(doors: &Doors, slug: &str, username: &str) -> bool {
    let snapshot = doors.operator.registry.snapshot();
    let accounts = snapshot.accounts();
    let application = accounts.application_named(slug).unwrap();
    let account = accounts.account_named(username).unwrap();
    crate::access::Admissible::of(accounts, application, crate::access::AskedFor::Losses)
        .admits(accounts, account)
}

fn bound(slug: &str, bindings: &str) -> String {
    format!(
        "[[application]]\nslug = \"{slug}\"\nname = \"An application\"\nprovider = \"ldap\"\nbindings = [{bindings}]\n"
    )
}

fn joins(group: &'static str, user: &str) -> Said {
    post(group, json!({ "pk": format!("{{user:{user}}}") }))
}

fn below(name: &str, above: &str) -> Said {
    post("/core/groups/", json!({ "name": name, "parents": [format!("{{group:{above}}}")] }))
}

#[test]
fn what_is_taken_over_begins_as_the_config_says() {
    let reader =
        "[[role]]\nname = \"reader\"\npermissions = [\"view_event\"]\n[[account]]\nusername = \"carol\"\n";
    let cases: [(&'static [&'static str], Vec<Said>, String); 4] = [
        (
            &["add_role"],
            vec![role("reader"), joins("/rbac/roles/{role:reader}/add_user/", "robot")],
            format!("{reader}roles = [\"reader\"]\n"),
        ),
        (
            &["add_group"],
            vec![group("ops"), below("inner", "ops"), joins("/core/groups/{group:inner}/add_user/", "robot")],
            format!("{reader}[[group]]\nname = \"ops\"\nroles = [\"reader\"]\nmembers = [\"carol\"]\n"),
        ),
        (
            &["add_group"],
            vec![group("ops"), below("inner", "ops"), joins("/core/groups/{group:inner}/add_user/", "robot")],
            "[[group]]\nname = \"ops\"\nis_superuser = true\n".to_owned(),
        ),
        // Where the config does not say who is in it.
        (
            &["add_group"],
            vec![group("ops"), joins("/core/groups/{group:ops}/add_user/", "robot")],
            format!("{reader}[[group]]\nname = \"ops\"\nroles = [\"reader\"]\n"),
        ),
    ];
    for (held, calls, text) in cases {
        let doors = Doors::new();
        robot_holds(&doors, Held::Only(held, &[]));
        calls.iter().for_each(|said| drop(done(&doors, said)));
        let plan = taken_over(&doors, &text);
        let robot = rights_of(&doors, "robot");
        let is_event = |grant: &Grant| grant.permission == Permission::ViewEvent;
        assert!(!robot.is_superuser && !robot.grants.iter().any(is_event), "{text}{robot:?}");
        if text.contains("\"carol\"]")
            || text.contains("roles = [\"reader\"]\n") && text.contains("carol\"\nroles")
        {
            assert!(rights_of(&doors, "carol").grants.iter().any(is_event), "{text}");
        }
        // It is told who loses what.
        let loses = |entry: &crate::registry::DiffEntry| {
            let left = |name: &str, of: &str, lost: &str| {
                let mut fields = entry.fields.iter().filter(|field| field.field == of);
                let is_in = |list: &Option<String>| list.as_ref().is_some_and(|list| list.contains(lost));
                entry.name == name && fields.any(|field| is_in(&field.before) && !is_in(&field.after))
            };
            left("robot", "roles", "reader")
                || left("inner", "parents", "ops")
                || left("ops", "members", "robot")
        };
        assert!(plan.diff.iter().any(loses), "{text}{:?}", plan.diff);
    }
}

/// Who has made it may change, fill and delete it no more, unless the config says so.
#[test]
fn who_made_what_is_taken_over_keeps_no_permission_on_it() {
    let application = "[[application]]\nslug = \"new\"\nname = \"New\"\n";
    for (held, make, text, uses) in [
        (
            "add_user",
            user("new"),
            "[[account]]\nusername = \"new\"\n",
            post("/core/users/{user:new}/set_password/", json!({ "password": "a long enough one" })),
        ),
        (
            "add_group",
            group("new"),
            "[[group]]\nname = \"new\"\n",
            joins("/core/groups/{group:new}/add_user/", "robot"),
        ),
        (
            "add_role",
            role("new"),
            "[[role]]\nname = \"new\"\n",
            joins("/rbac/roles/{role:new}/add_user/", "robot"),
        ),
        (
            "add_application",
            post("/core/applications/", json!({ "slug": "new", "name": "New" })),
            application,
            delete("/core/applications/new/"),
        ),
    ] {
        let doors = Doors::new();
        robot_holds(&doors, Held::Only(&[held], &[]));
        done(&doors, &make);
        taken_over(&doors, text);
        refused(&doors, &uses);
        assert!(rights_of(&doors, "robot").grants.iter().all(|grant| grant.on.is_none()), "{text}");
    }
}

/// Whoever was told of a group does not mean the account of that name.
#[test]
fn of_two_kinds_the_one_is_taken_over_that_is_said() {
    let text = "[[group]]\nname = \"vip\"\npermissions = [\"view_event\"]\n";
    let doors = Doors::new();
    robot_holds(&doors, Held::AllBut(&["view_event"]));
    done(&doors, &user("vip"));
    done(&doors, &group("vip"));
    let told = obstacles(&apply(&doors, text));
    assert!(told.len() == 1 && told[0].1.contains("--adopt group:vip"), "{told:?}");
    let bare = SeedOptions { adopt: vec!["vip".to_owned()], ..SeedOptions::default() };
    let refusal = doors.config_with(text, &bare).unwrap_err();
    assert!(refusal.contains("--adopt account:vip") && refusal.contains("--adopt group:vip"), "{refusal}");
    taken_over(&doors, text);
    // The account is still who made it's.
    let member = format!("{text}members = [\"vip\"]\n");
    let told = obstacles(&apply(&doors, &member));
    assert!(told.len() == 1 && told[0].1.contains("--adopt account:vip"), "{told:?}");
}

#[test]
fn a_token_that_is_taken_over_gets_a_new_secret() {
    let text = "[[token]]\nidentifier = \"mine\"\naccount = \"svc\"\n";
    let of = |doors: &Doors| {
        let snapshot = doors.operator.registry.snapshot();
        let token = snapshot.accounts().token_named("mine").unwrap();
        (token.number, token.origin)
    };
    let make = || {
        let doors = Doors::new();
        doors.prepare(&[service("svc")]);
        robot_holds(&doors, Held::AllBut(&["view_event"]));
        done(
            &doors,
            &post(
                "/core/tokens/",
                json!({ "identifier": "mine", "user": "{user:svc}", "intent": "app_password" }),
            ),
        );
        doors
    };
    let doors = make();
    let before = of(&doors);
    let plan = taken_over(&doors, text);
    assert_eq!(plan.needed.len(), 1, "{plan:?}");
    let after = of(&doors);
    assert!(after.0 != before.0 && after.1 == crate::model::Origin::Config, "{after:?}");
    // Unless the operator says that it may be known.
    let doors = make();
    let before = of(&doors);
    let adopt = vec!["token:mine".to_owned()];
    let accept_credentials = vec!["token:mine".to_owned()];
    let plan = doors
        .config_with(text, &SeedOptions { adopt, accept_credentials, ..SeedOptions::default() })
        .unwrap();
    assert_eq!((of(&doors).0, plan.needed.len()), (before.0, 0));
}

/// What was worth nothing could be filled by anybody.
#[test]
fn who_was_put_there_before_it_was_worth_something_gains_nothing_unnoticed() {
    let ops = "[[group]]\nname = \"ops\"\n";
    let role = "[[role]]\nname = \"reader\"\npermissions = [\"view_event\"]\n";
    let inner = || vec![below("inner", "ops")];
    let member = || vec![user("mine"), joins("/core/groups/{group:ops}/add_user/", "mine")];
    for (calls, after, adopted) in [
        (inner(), format!("{role}{ops}members = []\nroles = [\"reader\"]\n"), "group:inner"),
        (inner(), format!("{ops}members = []\nis_superuser = true\n"), "group:inner"),
        (inner(), format!("{ops}members = []\n{}", bound("vault", "{ group = \"ops\" }")), "group:inner"),
        (member(), format!("{role}{ops}roles = [\"reader\"]\n"), "account:mine"),
        (member(), format!("{ops}{}", bound("vault", "{ group = \"ops\" }")), "account:mine"),
        (
            member(),
            format!("{role}[[group]]\nname = \"above\"\nroles = [\"reader\"]\n{ops}parents = [\"above\"]\n"),
            "account:mine",
        ),
    ] {
        let doors = Doors::new();
        apply(&doors, ops);
        robot_holds(&doors, Held::AllBut(&["view_event"]));
        calls.iter().for_each(|said| drop(done(&doors, said)));
        let told = obstacles(&apply(&doors, &after));
        assert!(told.len() == 1 && told[0].1.contains(&format!("--adopt {adopted}")), "{after}{told:?}");
        taken_over(&doors, &after);

        // The operator's is told, and gains.
        let doors = Doors::new();
        apply(&doors, ops);
        doors.prepare(&calls);
        doors.prepare(&[user("honest"), joins("/core/groups/{group:ops}/add_user/", "honest")]);
        let plan = apply(&doors, &after);
        assert_eq!(obstacles(&plan), [], "{after}");
        let gain =
            plan.diff.iter().flat_map(|entry| &entry.fields).filter(|field| field.field == "gives more to");
        let told: Vec<&str> = gain.filter_map(|field| field.after.as_deref()).collect();
        assert_eq!(
            told.iter().any(|names| names.contains("honest")),
            !after.contains("members"),
            "{after}{told:?}"
        );
        assert!(apply(&doors, &after).diff.is_empty(), "{after}");
    }
    // A role that allows nothing yet.
    let empty = "[[role]]\nname = \"reader\"\n";
    let doors = Doors::new();
    apply(&doors, empty);
    robot_holds(&doors, Held::AllBut(&["view_event"]));
    done(&doors, &user("mine"));
    for who in ["mine", "robot"] {
        done(&doors, &joins("/rbac/roles/{role:reader}/add_user/", who));
    }
    let told = obstacles(&apply(&doors, role));
    assert!(told.len() == 1 && told[0].1.contains("--adopt account:mine"), "{told:?}");
    let plan = taken_over(&doors, role);
    let told = plan.diff.iter().flat_map(|entry| &entry.fields).find(|field| field.field == "gives more to");
    let told = told.and_then(|field| field.after.clone()).unwrap();
    assert!(!told.contains("mine") && told.contains("robot"), "{told}");
}

/// The config does not make another object in the place of one that was renamed.
#[test]
fn a_name_that_is_given_up_is_not_made_again_in_silence() {
    let banned =
        format!("[[group]]\nname = \"banned\"\n{}", bound("vault", "{ group = \"banned\", negate = true }"));
    let eve = format!(
        "[[account]]\nusername = \"eve\"\n{}",
        bound("vault", "{ account = \"eve\", negate = true }")
    );
    let rename_group = patch("/core/groups/{group:banned}/", json!({ "name": "other" }));
    let rename_user = patch("/core/users/{user:eve}/", json!({ "username": "other" }));
    for (text, rename, back) in [
        (&banned, &rename_group, patch("/core/groups/{group:other}/", json!({ "name": "banned" }))),
        (&eve, &rename_user, patch("/core/users/{user:other}/", json!({ "username": "eve" }))),
    ] {
        let doors = Doors::new();
        apply(&doors, text);
        if text == &banned {
            doors.prepare(&[user("eve"), joins("/core/groups/{group:banned}/add_user/", "eve")]);
        }
        let who = if text == &banned { "eve" } else { "other" };
        robot_holds(&doors, Held::AllBut(&["view_event"]));
        refused(&doors, rename);
        doors.prepare(std::slice::from_ref(rename));
        assert!(!is_admitted(&doors, "vault", who), "{text}");
        let told = obstacles(&apply(&doors, text));
        assert!(!told.is_empty() && told.iter().all(|(_, it)| it.contains("renamed")), "{text}{told:?}");
        assert!(!is_admitted(&doors, "vault", who), "{text}");
        // Nobody else takes the name; given back, it is as it was.
        refused(&doors, &if text == &banned { group("banned") } else { user("eve") });
        doors.prepare(std::slice::from_ref(&back));
        assert_eq!(obstacles(&apply(&doors, text)), [], "{text}");
        assert!(!is_admitted(&doors, "vault", "eve"), "{text}");
        assert!(apply(&doors, text).diff.is_empty(), "{text}");
        // Or another one is meant, and the config says what becomes of that one.
        doors.prepare(std::slice::from_ref(rename));
        let name = if text == &banned { "banned" } else { "eve" };
        let recreate = SeedOptions { recreate: vec![name.to_owned()], ..SeedOptions::default() };
        let other = match text == &banned {
            true => "[[group]]\nname = \"other\"\n",
            false => "[[account]]\nusername = \"other\"\n",
        };
        let plan = doors.config_with(&format!("{text}{other}"), &recreate).unwrap();
        assert_eq!(obstacles(&plan), [], "{text}");
        assert!(plan.diff.iter().any(|entry| entry.sign == Sign::Created && entry.name == name), "{text}");
    }
}

/// An application that a superuser has renamed, and a config that knows it by its former slug.
#[test]
fn a_renamed_application_does_not_lose_its_bindings_to_a_prune() {
    let text = "[[application]]\nslug = \"vault\"\nname = \"Vault\"\nprovider = \"ldap\"\n";
    let doors = Doors::new();
    apply(&doors, text);
    let binding = json!({ "target": "{application:vault}", "user": "{user:robot}", "order": 0 });
    doors.prepare(&[
        post("/policies/bindings/", binding),
        patch("/core/applications/vault/", json!({ "slug": "other" })),
    ]);
    let prune = SeedOptions { prune: true, ..SeedOptions::default() };
    let described = format!("{text}[[account]]\nusername = \"robot\"\ntype = \"service_account\"\n");
    let told = obstacles(&doors.config_with(&described, &prune).unwrap());
    assert!(told.len() == 1 && told[0].1.contains("open to everybody"), "{told:?}");
    let open = described.replacen("provider = \"ldap\"\n", "provider = \"ldap\"\nbindings = []\n", 1);
    assert_eq!(obstacles(&doors.config_with(&open, &prune).unwrap()), []);
}

/// To be admitted is given to whoever knows a secret, as rights are.
#[test]
fn who_is_admitted_by_a_config_has_no_secret_that_somebody_else_has_set() {
    let few = format!("[[group]]\nname = \"few\"\n{}", bound("vault", "{ group = \"few\" }"));
    let with = |member: &str, more: &str| {
        few.replacen("\"few\"\n", &format!("\"few\"\nmembers = [\"{member}\"]\n"), 1) + more
    };
    let doors = Doors::new();
    doors.prepare(&[user("bob")]);
    apply(&doors, &few);
    robot_holds(&doors, Held::Only(&["view_user", "reset_user_password"], &[]));
    done(&doors, &post("/core/users/{user:bob}/set_password/", json!({ "password": "a long enough one" })));
    let told = doors.config_with(&with("bob", ""), &SeedOptions::default()).unwrap_err();
    assert!(told.contains("--accept-credentials password:bob") && told.contains("robot"), "{told}");
    assert!(!is_admitted(&doors, "vault", "bob"));
    let accept = |credential: &str| SeedOptions {
        accept_credentials: vec![credential.to_owned()],
        ..SeedOptions::default()
    };
    assert!(doors.config_with(&with("bob", ""), &accept("token:bob")).is_err());
    doors.config_with(&with("bob", ""), &accept("password:bob")).unwrap();
    assert!(is_admitted(&doors, "vault", "bob") && apply(&doors, &with("bob", "")).diff.is_empty());

    // A secret that was exchanged is as one that was made.
    let token = |networks: &str| {
        format!(
            "[[account]]\nusername = \"svc\"\ntype = \"service_account\"\n\
             [[token]]\nidentifier = \"mine\"\naccount = \"svc\"\nnetworks = [{networks}]\n"
        )
    };
    let doors = Doors::new();
    apply(&doors, &format!("{few}{}", token("\"10.0.0.0/8\"")));
    robot_holds(&doors, Held::Only(&[], &[("set_token_key", "token:mine"), ("view_token", "token:mine")]));
    done(
        &doors,
        &post("/core/tokens/mine/set_key/", json!({ "key": "a secret that is long enough, and chosen" })),
    );
    let told =
        doors.config_with(&with("svc", &token("\"10.0.0.0/8\"")), &SeedOptions::default()).unwrap_err();
    assert!(told.contains("--accept-credentials token:mine"), "{told}");
    // What stays as it is asks nothing.
    assert_eq!(obstacles(&apply(&doors, &format!("{few}{}", token("\"10.0.0.0/8\"")))), []);
    doors.config_with(&with("svc", &token("\"10.0.0.0/8\"")), &accept("token:mine")).unwrap();
    let wider = with("svc", &token(""));
    let told = obstacles(&apply(&doors, &wider));
    assert!(told.len() == 1 && told[0].1.contains("--adopt token:mine"), "{told:?}");
    assert_eq!(taken_over(&doors, &wider).needed.len(), 1);
}

/// A proof of the secret that has ended is remembered until that of another takes its place, and connections may be open.
#[test]
fn a_password_that_was_ended_is_not_proved_by_the_next_one() {
    let doors = Doors::new();
    robot_holds(&doors, Held::AllBut(&["view_event"]));
    done(&doors, &user("mine"));
    let registry = &doors.operator.registry;
    let set = |password: &str| post("/core/users/{user:mine}/set_password/", json!({ "password": password }));
    let generation = || {
        let snapshot = registry.snapshot();
        snapshot
            .accounts()
            .account_named("mine")
            .unwrap()
            .password
            .as_ref()
            .map(|password| password.generation)
    };
    let binds = |secret: &str| crate::registry::commands::testing::binds(registry, "mine", secret.as_bytes());
    let mut before = None;
    for secret in ["the first long one", "the second long one", "the third long one"] {
        done(&doors, &set(secret));
        assert!(binds(secret) && generation() > before, "{secret}");
        before = generation();
    }
    taken_over(&doors, "[[account]]\nusername = \"mine\"\n");
    assert!(generation().is_none() && !binds("the third long one"));
    doors.prepare(&[set("the fourth long one")]);
    assert!(generation() > before, "{before:?}");
    // Nobody has used the new one yet.
    assert!(!binds("the third long one") && binds("the fourth long one") && !binds("the third long one"));
}
