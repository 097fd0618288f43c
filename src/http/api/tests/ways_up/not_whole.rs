//! Ways 2 and 3 together. What stands in the config's way leaves something out: nothing that is worth less for that while may
//! be taken, and nothing that the config had given before is taken away by it.

use super::*;

/// A suffix of the config that `robot` has taken.
fn taken_suffix() -> Said {
    let nil = uuid::Uuid::nil();
    post(
        "/providers/ldap/",
        json!({ "name": "mine", "base_dn": "dc=second", "authorization_flow": nil, "invalidation_flow": nil }),
    )
}

const NOT_SEARCH: Held<'_> = Held::AllBut(&["search_full_directory"]);

fn names(plan: &SeedPlan) -> Vec<String> {
    let mut names: Vec<String> = left_out(plan).into_iter().map(|(name, _)| name).collect();
    names.sort();
    names
}

/// A role or a group of the config that could only be made empty could be filled by whoever may fill what is worth nothing.
#[test]
fn what_cannot_be_made_whole_is_not_made() {
    let text = "[[provider]]\nname = \"second\"\nbase_dn = \"dc=second\"\n\
                [[role]]\nname = \"reader\"\n\
                permissions = [{ permission = \"search_full_directory\", on = \"provider:second\" }]\n\
                [[group]]\nname = \"granted\"\n\
                permissions = [\"view_event\", { permission = \"search_full_directory\", on = \"provider:second\" }]\n\
                [[group]]\nname = \"readers\"\nroles = [\"reader\"]\nmembers = [\"alice\"]\n\
                [[group]]\nname = \"inner\"\nparents = [\"readers\"]\n\
                [[group]]\nname = \"plain\"\n\
                [[account]]\nusername = \"alice\"\nroles = [\"reader\"]\n";
    let doors = Doors::new();
    robot_holds(&doors, NOT_SEARCH);
    done(&doors, &taken_suffix());
    let plan = apply(&doors, text);
    assert_eq!(names(&plan), ["granted", "inner", "reader", "readers", "second"], "{:?}", plan.diff);
    let told = left_out(&plan);
    let reason = |of: &str| told.iter().find(|(name, _)| name == of).unwrap().1.clone();
    assert!(reason("second").contains("`robot`"), "{told:?}");
    assert!(reason("reader").contains("the provider `second`"), "{told:?}");
    assert!(reason("inner").contains("the group `readers`"), "{told:?}");
    assert_eq!(names(&apply(&doors, text)), names(&plan), "it stays so");
    // All else is there, and what the caller can fill gives nothing later.
    assert!(rights_of(&doors, "alice").is_empty());
    done(&doors, &post("/core/groups/{group:plain}/add_user/", json!({ "pk": "{user:robot}" })));
    for said in [
        post("/rbac/roles/{role:reader}/add_user/", json!({ "pk": "{user:robot}" })),
        post("/core/groups/{group:readers}/add_user/", json!({ "pk": "{user:robot}" })),
        post("/core/groups/{group:granted}/add_user/", json!({ "pk": "{user:robot}" })),
    ] {
        refused(&doors, &said);
    }
    done(&doors, &delete("/providers/ldap/{provider:mine}/"));
    let plan = apply(&doors, text);
    assert_eq!(names(&plan), Vec::<String>::new(), "{:?}", plan.diff);
    let snapshot = doors.operator.registry.snapshot();
    let searches = |name: &str| {
        let rights = rights_of(&doors, name);
        rights.grants.iter().any(|grant| grant.permission == Permission::SearchFullDirectory)
    };
    assert!(searches("alice") && !searches("robot"));
    assert_eq!(snapshot.accounts().group_named("inner").unwrap().parents.len(), 1);
    // Where nothing stands in the way it is all made at once.
    let doors = Doors::new();
    assert_eq!(left_out(&apply(&doors, text)), []);
    assert!(apply(&doors, text).diff.is_empty());
}

/// A provider without its application would admit everybody.
#[test]
fn a_provider_is_not_made_without_its_application() {
    let text = "[[provider]]\nname = \"second\"\nbase_dn = \"dc=second\"\n\
                [[group]]\nname = \"staff\"\n\
                [[application]]\nslug = \"vault\"\nname = \"Vault\"\nprovider = \"second\"\n\
                bindings = [{ group = \"staff\" }]\n";
    let doors = Doors::new();
    robot_holds(&doors, Held::AllBut(&["change_ldapprovider"]));
    done(&doors, &post("/core/applications/", json!({ "slug": "vault", "name": "Mine" })));
    let plan = apply(&doors, text);
    assert_eq!(names(&plan), ["second", "vault"], "{:?}", plan.diff);
    assert!(doors.operator.registry.snapshot().accounts().provider_named("second").is_none());
    let adopt = SeedOptions { adopt: vec!["vault".to_owned()], ..SeedOptions::default() };
    assert_eq!(names(&doors.config_with(text, &adopt).unwrap()), Vec::<String>::new());
    let snapshot = doors.operator.registry.snapshot();
    let vault = snapshot.accounts().application_named("vault").unwrap();
    assert!(vault.provider.is_some() && vault.bindings.len() == 1);
}

/// The application that a provider has, by their names.
fn application_of(doors: &Doors, provider: &str) -> Option<String> {
    let snapshot = doors.operator.registry.snapshot();
    let accounts = snapshot.accounts();
    let number = accounts.provider_named(provider).unwrap().number;
    accounts.application_of(number).map(|application| application.slug.clone())
}

/// Whoever may make applications takes the slug of the one that is to come before a provider: the provider keeps the one that it
/// has, whether the config moves that elsewhere or a prune would delete it.
#[test]
fn no_provider_is_left_without_the_application_that_it_had() {
    let base = "[[provider]]\nname = \"second\"\nbase_dn = \"dc=second\"\n\
                [[group]]\nname = \"staff\"\n[[account]]\nusername = \"robot\"\ntype = \"service_account\"\n";
    let of = |slug: &str, provider: &str, group: &str| {
        format!(
            "[[application]]\nslug = \"{slug}\"\nname = \"{slug}\"\nprovider = \"{provider}\"\n\
             bindings = [{{ group = \"{group}\" }}]\n"
        )
    };
    let before = format!("{base}{}", of("vault", "ldap", "staff"));
    let moved = format!("{base}{}{}", of("vault", "second", "staff"), of("late", "ldap", "staff"));
    let crew = "[[group]]\nname = \"crew\"\n";
    let replaced = base.replace("staff", "crew") + &of("late", "ldap", "crew");
    for (text, prune, later) in [
        (&moved, false, Some("vault")),
        (&moved, true, Some("vault")),
        (&format!("{base}{crew}{}", of("late", "ldap", "crew")), true, None),
        // The group that its bindings name stays with it.
        (&replaced, true, None),
    ] {
        let doors = Doors::new();
        apply(&doors, &before);
        robot_holds(&doors, Held::Only(&["add_application"], &[]));
        done(&doors, &post("/core/applications/", json!({ "slug": "late", "name": "Mine" })));
        let options = SeedOptions { prune, ..SeedOptions::default() };
        for _ in 0..2 {
            let plan = doors.config_with(text, &options).unwrap();
            let told = left_out(&plan);
            let reason = |of: &str| told.iter().find(|(name, _)| name == of).unwrap().1.clone();
            assert!(reason("late").contains("`robot`"), "{told:?}");
            assert!(
                reason("vault").contains("the provider `ldap` would admit every active account"),
                "{told:?}"
            );
            assert_eq!(application_of(&doors, "ldap").as_deref(), Some("vault"), "{text}");
            let snapshot = doors.operator.registry.snapshot();
            let bound = snapshot.accounts().application_named("vault").unwrap().bindings.clone();
            let staff = snapshot.accounts().group_named("staff").unwrap().number;
            assert!(
                bound.len() == 1 && bound[0].subject == crate::model::BindingSubject::Group(staff),
                "{bound:?}"
            );
        }
        let adopt = SeedOptions { adopt: vec!["late".to_owned()], ..options };
        assert_eq!(names(&doors.config_with(text, &adopt).unwrap()), Vec::<String>::new(), "{text}");
        assert_eq!(application_of(&doors, "ldap").as_deref(), Some("late"));
        assert_eq!(application_of(&doors, "second").as_deref(), later);
    }
}

/// An application whose provider is left out stays whole where it is: its new bindings are not for the provider that it has.
#[test]
fn an_application_is_left_out_with_its_provider() {
    let text = |provider: &str, bindings: &str| {
        format!(
            "[[provider]]\nname = \"{provider}\"\nbase_dn = \"dc={provider}\"\n[[group]]\nname = \"staff\"\n\
             [[application]]\nslug = \"vault\"\nname = \"Vault\"\nprovider = \"{provider}\"\nbindings = [{bindings}]\n"
        )
    };
    let staff = "{ group = \"staff\" }";
    let doors = Doors::new();
    apply(&doors, &text("first", staff));
    robot_holds(&doors, NOT_SEARCH);
    done(&doors, &taken_suffix());
    let plan = apply(&doors, &text("second", ""));
    assert_eq!(names(&plan), ["second", "vault"], "{:?}", plan.diff);
    assert_eq!(application_of(&doors, "first").as_deref(), Some("vault"));
    let bindings = |doors: &Doors| {
        doors.operator.registry.snapshot().accounts().application_named("vault").unwrap().bindings.len()
    };
    assert_eq!(bindings(&doors), 1, "the first provider is open to nobody else meanwhile");
    // What goes with the provider that it has is done.
    done(&doors, &delete("/providers/ldap/{provider:mine}/"));
    let plan = apply(&doors, &text("second", ""));
    assert_eq!(names(&plan), Vec::<String>::new(), "{:?}", plan.diff);
    assert_eq!((application_of(&doors, "second").as_deref(), bindings(&doors)), (Some("vault"), 0));
}

/// Whom an application is to shut out it shuts out, or it stays as it is.
#[test]
fn an_application_is_left_out_with_the_group_that_it_is_to_shut_out() {
    let text = |more: &str, bindings: &str| {
        format!(
            "[[group]]\nname = \"staff\"\n{more}[[account]]\nusername = \"eve\"\n\
             [[application]]\nslug = \"vault\"\nname = \"Vault\"\nprovider = \"ldap\"\nbindings = [{bindings}]\n"
        )
    };
    let staff = "{ group = \"staff\" }";
    let but_blocked = "{ group = \"blocked\", negate = true }";
    let admits_eve = |doors: &Doors| {
        let snapshot = doors.operator.registry.snapshot();
        let accounts = snapshot.accounts();
        let application = accounts.application_named("vault").unwrap();
        crate::access::Admissible::of(accounts, application)
            .admits(accounts, accounts.account_named("eve").unwrap())
    };
    let blocked = "[[group]]\nname = \"blocked\"\nmembers = [\"eve\"]\n";
    let with_rights = format!("{blocked}permissions = [\"view_event\"]\n");
    let below = "[[group]]\nname = \"blocked\"\nmembers = []\n\
                 [[group]]\nname = \"inner\"\nmembers = [\"eve\"]\nparents = [\"blocked\"]\n\
                 permissions = [\"view_event\"]\n";
    // Who made it could take anybody out of it.
    for (made, more) in [("blocked", blocked), ("blocked", &with_rights), ("inner", below)] {
        let doors = Doors::new();
        apply(&doors, &text("", staff));
        assert!(!admits_eve(&doors));
        robot_holds(&doors, Held::AllBut(&["view_event"]));
        done(&doors, &group(made));
        let told = left_out(&apply(&doors, &text(more, but_blocked)));
        assert!(told.iter().any(|(name, reason)| name == "vault" && reason.contains(made)), "{more}{told:?}");
        assert!(!admits_eve(&doors), "{more}{told:?}");
        let options = SeedOptions { adopt: vec![made.to_owned()], ..SeedOptions::default() };
        let plan = doors.config_with(&text(more, but_blocked), &options).unwrap();
        assert_eq!(names(&plan), Vec::<String>::new(), "{more}");
        let snapshot = doors.operator.registry.snapshot();
        assert!(
            snapshot.accounts().application_named("vault").unwrap().bindings[0].negate && !admits_eve(&doors)
        );
    }
}

/// What is to give something else from now on, and cannot yet, goes on giving what it does: worth nothing meanwhile, it would be
/// filled by whoever may fill such. `--prune` deletes nothing of it.
#[test]
fn what_cannot_be_exchanged_goes_on_giving_what_it_gave() {
    let text = |role: &str| {
        format!(
            "[[role]]\nname = \"{role}\"\npermissions = [\"view_event\"]\n\
             [[group]]\nname = \"crew\"\nroles = [\"{role}\"]\n\
             [[group]]\nname = \"{role}s\"\npermissions = [\"view_event\"]\n\
             [[group]]\nname = \"inner\"\nparents = [\"{role}s\"]\n\
             [[account]]\nusername = \"svc\"\ntype = \"service_account\"\nroles = [\"{role}\"]\n\
             [[account]]\nusername = \"robot\"\ntype = \"service_account\"\n\
             [[token]]\nidentifier = \"robot-api\"\naccount = \"robot\"\n"
        )
    };
    for prune in [false, true] {
        let doors = Doors::new();
        apply(&doors, &text("reader"));
        robot_holds(&doors, Held::AllBut(&["view_event"]));
        done(&doors, &role("seer"));
        done(&doors, &group("seers"));
        let options = SeedOptions { prune, ..SeedOptions::default() };
        let plan = doors.config_with(&text("seer"), &options).unwrap();
        let told = names(&plan);
        assert!(told.contains(&"seer".to_owned()) && told.contains(&"seers".to_owned()), "{:?}", plan.diff);
        for kept in ["reader", "readers"] {
            assert_eq!(told.contains(&kept.to_owned()), prune, "{kept}: {:?}", plan.diff);
        }
        done(&doors, &group("idle"));
        for fill in [
            post("/core/groups/{group:crew}/add_user/", json!({ "pk": "{user:robot}" })),
            post("/core/groups/{group:inner}/add_user/", json!({ "pk": "{user:robot}" })),
            post("/core/tokens/", json!({ "identifier": "of-svc", "user": "{user:svc}", "intent": "api" })),
        ] {
            refused(&doors, &fill);
        }
        let adopt = SeedOptions { adopt: vec!["seer".to_owned(), "seers".to_owned()], ..options };
        let plan = doors.config_with(&text("seer"), &adopt).unwrap();
        assert_eq!(names(&plan), Vec::<String>::new(), "{:?}", plan.diff);
        let snapshot = doors.operator.registry.snapshot();
        assert_eq!(snapshot.accounts().role_named("reader").is_some(), !prune);
        assert_eq!(snapshot.accounts().group_named("crew").unwrap().roles.len(), 1);
        assert_eq!(snapshot.accounts().group_named("inner").unwrap().parents.len(), 1);
    }
}

/// What is left out for somebody's credential stays as it is, and so does whoever had it.
#[test]
fn what_others_have_is_not_taken_away_with_what_is_left_out() {
    let text = |more: &str| {
        format!(
            "[[role]]\nname = \"reader\"\npermissions = [\"view_role\"{more}]\n\
             [[group]]\nname = \"staff\"\nroles = [\"reader\"]\n\
             [[group]]\nname = \"outer\"\npermissions = [\"view_group\"{more}]\n\
             [[group]]\nname = \"inner\"\nparents = [\"outer\"]\n\
             [[account]]\nusername = \"helper\"\nroles = [\"reader\"]\n"
        )
    };
    let doors = Doors::new();
    apply(&doors, &text(""));
    doors.prepare(&[
        user("svc"),
        patch("/core/users/{user:svc}/", json!({ "roles": ["{role:reader}"], "groups": ["{group:outer}"] })),
    ]);
    robot_holds(&doors, Held::AllBut(&["view_event"]));
    done(
        &doors,
        &post("/core/tokens/", json!({ "identifier": "of-svc", "user": "{user:svc}", "intent": "api" })),
    );
    let plan = apply(&doors, &text(", \"view_event\""));
    assert_eq!(names(&plan), ["outer", "reader"], "{:?}", plan.diff);
    let snapshot = doors.operator.registry.snapshot();
    let accounts = snapshot.accounts();
    let group = |name: &str| accounts.group_named(name).unwrap();
    assert_eq!((group("staff").roles.len(), group("inner").parents.len()), (1, 1));
    assert_eq!(rights_of(&doors, "helper").grants.len(), 1);
    // Empty, they could have been filled by somebody, and given all of it later.
    robot_holds(&doors, Held::Only(&["view_group", "view_user", "add_user_to_group"], &[]));
    refused(&doors, &post("/core/groups/{group:staff}/add_user/", json!({ "pk": "{user:robot}" })));
}

/// Whoever is left out stays shut out, and stays admitted.
#[test]
fn who_is_left_out_is_bound_as_before() {
    let text = |more: &str| {
        format!(
            "[[group]]\nname = \"staff\"\nmembers = [\"bob\", \"carol\"]\n\
             [[account]]\nusername = \"bob\"\npermissions = [\"view_role\"{more}]\n\
             [[account]]\nusername = \"carol\"\npermissions = [\"view_role\"{more}]\n\
             [[application]]\nslug = \"vault\"\nname = \"Vault\"\nprovider = \"ldap\"\nmode = \"all\"\n\
             bindings = [{{ group = \"staff\" }}, {{ account = \"bob\", negate = true }}, {{ account = \"carol\" }}]\n"
        )
    };
    let doors = Doors::new();
    apply(&doors, &text(""));
    robot_holds(&doors, Held::AllBut(&["view_event"]));
    for name in ["bob", "carol"] {
        let body = json!({ "identifier": name, "user": format!("{{user:{name}}}"), "intent": "api" });
        done(&doors, &post("/core/tokens/", body));
    }
    let admits = |name: &str| {
        let snapshot = doors.operator.registry.snapshot();
        let accounts = snapshot.accounts();
        let application = accounts.application_named("vault").unwrap();
        crate::access::Admissible::of(accounts, application)
            .admits(accounts, accounts.account_named(name).unwrap())
    };
    assert!(!admits("bob") && admits("carol"));
    let plan = apply(&doors, &text(", \"view_event\""));
    assert_eq!(names(&plan), ["bob", "carol"], "{:?}", plan.diff);
    assert!(!admits("bob"), "who is shut out is let in by nothing that somebody else does");
    assert!(admits("carol"));
}

/// A value that a caller has given to what is the operator's stops the change of that type, and nothing else.
#[test]
fn a_value_that_a_caller_has_set_leaves_out_its_type_and_no_more() {
    let declared = |syntax: &str, oid: &str| {
        format!("[[attribute]]\nname = \"badge\"\nsyntax = \"{syntax}\"\noid = \"{oid}\"\n")
    };
    let level = |is_single: bool| format!("[[attribute]]\nname = \"level\"\nsingle_valued = {is_single}\n");
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
        let before = format!("{}{}{others}", declared("directory_string", oid), level(false));
        apply(&doors, &before);
        robot_holds(&doors, Held::AllBut(&[]));
        done(&doors, &set(path, by));
        // Another syntax, or another OID where the value is known by it.
        let changed = match by == oid {
            true => declared("directory_string", "1.3.6.1.4.1.99999.2"),
            false => declared("integer", oid),
        };
        let text = format!("{changed}{}{others}[[account]]\nusername = \"bystander\"\n", level(true));
        let plan = apply(&doors, &text);
        assert_eq!(names(&plan), ["badge"], "{path} {by}: {:?}", plan.diff);
        let snapshot = doors.operator.registry.snapshot();
        assert!(snapshot.accounts().account_named("bystander").is_some());
        assert!(snapshot.custom_attribute_named("level").unwrap().single_valued, "{path} {by}");
        // What the config says of it itself is a mistake of the config.
        let said = others
            .replace("username = \"bob\"\n", "username = \"bob\"\nattributes = { badge = [\"seven\"] }\n");
        let text = format!("{}{said}", declared("integer", oid));
        let is_refused = doors.config_with(&text, &SeedOptions::default()).is_err();
        assert_eq!(is_refused, path.starts_with("/core/users/"), "{path} {by}");
    }
    // What the config says of others that goes only with the new form is left out with it.
    let doors = Doors::new();
    apply(&doors, &format!("{}{others}", declared("integer", oid)));
    robot_holds(&doors, Held::AllBut(&[]));
    done(&doors, &patch("/core/users/{user:bob}/", json!({ "attributes": { "badge": "7" } })));
    let text = format!(
        "{}{others}[[account]]\nusername = \"carol\"\nattributes = {{ badge = [\"TRUE\"] }}\n\
         [[account]]\nusername = \"bystander\"\n",
        declared("boolean", oid)
    );
    let plan = apply(&doors, &text);
    assert_eq!(names(&plan), ["badge", "carol"], "{:?}", plan.diff);
    assert!(doors.operator.registry.snapshot().accounts().account_named("bystander").is_some());
}
