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
        crate::access::may_admit(accounts, accounts.account_named(name).unwrap(), application)
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
