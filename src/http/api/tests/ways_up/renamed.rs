//! Way 2, another name: an object's name, and an account's type, are for whose it is. What a superuser or the operator has renamed
//! goes on under its new name, and the config is not told that it is gone.

use super::*;
use crate::model::Origin;
use crate::registry::commands::testing::origins;

fn recreating(said: &str) -> SeedOptions {
    SeedOptions { recreate: vec![said.to_owned()], ..SeedOptions::default() }
}

/// Of each kind one, called `old`: the account is a person, the token is of `svc`.
fn makes() -> Vec<Said> {
    let flow = "00000000-0000-0000-0000-000000000000";
    vec![
        user("old"),
        group("old"),
        role("old"),
        post("/core/tokens/", json!({ "identifier": "old", "user": "{user:svc}", "intent": "app_password" })),
        post(
            "/providers/ldap/",
            json!({ "name": "old", "base_dn": "dc=old", "authorization_flow": flow, "invalidation_flow": flow }),
        ),
        post("/core/applications/", json!({ "slug": "old", "name": "Old" })),
    ]
}

const DESCRIBED: &str = "[[account]]\nusername = \"old\"\n[[group]]\nname = \"old\"\n[[role]]\nname = \"old\"\n\
                         [[token]]\nidentifier = \"old\"\naccount = \"svc\"\n\
                         [[provider]]\nname = \"old\"\nbase_dn = \"dc=old\"\n\
                         [[application]]\nslug = \"old\"\nname = \"Old\"\n";

/// What only whose the objects are may do: each other name and type, and what would take away without a trace.
fn of_makers() -> Vec<Said> {
    let person = |kind: &str| json!({ "username": "old", "name": "A person", "type": kind });
    vec![
        patch("/core/users/{user:old}/", json!({ "username": "new" })),
        put("/core/users/{user:old}/", json!({ "username": "new", "name": "A person" })),
        patch("/core/users/{user:old}/", json!({ "type": "external" })),
        put("/core/users/{user:old}/", person("service_account")),
        patch("/core/groups/{group:old}/", json!({ "name": "new" })),
        put("/core/groups/{group:old}/", json!({ "name": "new" })),
        patch("/rbac/roles/{role:old}/", json!({ "name": "new" })),
        put("/rbac/roles/{role:old}/", json!({ "name": "new" })),
        patch("/core/tokens/old/", json!({ "identifier": "new" })),
        put("/core/tokens/old/", json!({ "identifier": "OLD" })),
        patch("/providers/ldap/{provider:old}/", json!({ "name": "new" })),
        put("/providers/ldap/{provider:old}/", json!({ "name": "new", "base_dn": "dc=old" })),
        patch("/core/applications/old/", json!({ "slug": "new" })),
        put("/core/applications/old/", json!({ "slug": "new", "name": "Old" })),
        delete("/core/applications/old/"),
        delete("/providers/ldap/{provider:old}/"),
    ]
}

/// What leaves the name and the type as they are.
fn of_all() -> Vec<Said> {
    let person = json!({ "username": "old", "name": "Another", "type": "internal" });
    let attributes = json!({ "name": "old", "attributes": { "description": "x" } });
    vec![
        put("/core/users/{user:old}/", person),
        patch("/core/users/{user:old}/", json!({ "username": "Old", "email": "old@example.net" })),
        put("/core/groups/{group:old}/", json!({ "name": "OLD" })),
        patch("/core/groups/{group:old}/", attributes),
        put("/rbac/roles/{role:old}/", json!({ "name": "Old" })),
        patch("/core/tokens/old/", json!({ "identifier": "old", "description": "another" })),
        patch("/providers/ldap/{provider:old}/", json!({ "name": "Old", "base_dn": "dc=older" })),
        patch("/core/applications/old/", json!({ "slug": "old", "name": "Another" })),
    ]
}

/// Directories in which each kind of object is somebody else's than `robot`'s.
fn of_others() -> [fn() -> Doors; 3] {
    fn operators() -> Doors {
        let doors = Doors::new();
        doors.prepare(&[service("svc")]);
        doors.prepare(&makes());
        doors
    }
    fn configs() -> Doors {
        let doors = Doors::new();
        doors.prepare(&[service("svc")]);
        assert_eq!(obstacles(&apply(&doors, DESCRIBED)), []);
        doors
    }
    fn strangers() -> Doors {
        let doors = operators();
        doors.prepare(&[user("scim")]);
        made_by("scim", doors, &["old"])
    }
    [operators, configs, strangers]
}

fn origins_of(doors: &Doors) -> Vec<Origin> {
    origins(&doors.operator.registry, keys(doors, &["old", "new"]))
}

#[test]
fn a_name_and_a_type_are_for_whose_the_object_is() {
    for make in of_others() {
        let doors = make();
        let before = origins_of(&doors);
        both_ways(&make, Held::AllBut(&[]), Held::Superuser, &of_makers());
        robot_holds(&doors, Held::AllBut(&[]));
        for said in of_makers() {
            let told = refused(&doors, &said);
            assert!(told.contains("a superuser or the operator may"), "{said:?}: {told}");
        }
        for said in of_all() {
            let doors = make();
            robot_holds(&doors, Held::AllBut(&[]));
            done(&doors, &said);
        }
        // Whoever gives another name has not made it.
        for said in of_makers().into_iter().filter(|(method, ..)| *method == Method::PATCH) {
            let doors = make();
            doors.prepare(&[said]);
            assert_eq!(origins_of(&doors), before);
        }
    }
    // Its maker may, with what it was given for having made it.
    let own = || {
        let doors = Doors::new();
        doors.prepare(&[service("svc")]);
        let may = ["add_user", "add_group", "add_role", "add_token", "add_ldapprovider", "add_application"];
        robot_holds(
            &doors,
            Held::Only(&may, &[("change_user", "account:svc"), ("view_user", "account:svc")]),
        );
        makes().iter().for_each(|said| drop(done(&doors, said)));
        doors
    };
    let origins = origins_of(&own());
    assert!(origins.len() == 6 && origins.iter().all(|origin| origin.account().is_some()), "{origins:?}");
    for said in of_makers().iter().chain(&of_all()) {
        let doors = own();
        done(&doors, said);
        assert!(origins_of(&doors).iter().all(|origin| origin.account().is_some()), "{said:?}");
    }
}

/// A refused name is no way to find out what is hidden.
#[test]
fn who_may_not_rename_is_not_told_which_names_there_are() {
    let doors = Doors::new();
    doors.prepare(&[user("old"), user("hidden"), group("old"), group("hidden")]);
    robot_holds(
        &doors,
        Held::Only(
            &[],
            &[("change_user", "account:old"), ("view_user", "account:old"), ("change_group", "group:old")],
        ),
    );
    let renames = |name: &str| {
        [
            patch("/core/users/{user:old}/", json!({ "username": name })),
            patch("/core/groups/{group:old}/", json!({ "name": name })),
        ]
    };
    for (hidden, free) in renames("hidden").iter().zip(&renames("free")) {
        assert_eq!(refused(&doors, hidden), refused(&doors, free));
    }
}

/// What the operator renames is still whose it was: the config that names it then does not mean it.
#[test]
fn what_a_stranger_has_made_stays_its_own_under_whatever_name() {
    let text = "[[account]]\nusername = \"ceo\"\npermissions = [\"view_event\"]\n";
    let doors = Doors::new();
    robot_holds(&doors, Held::Only(&["add_user"], &[]));
    done(&doors, &user("ceo"));
    done(&doors, &patch("/core/users/{user:ceo}/", json!({ "username": "attic" })));
    for _ in 0..2 {
        doors.prepare(&[patch("/core/users/{user:attic}/", json!({ "username": "ceo" }))]);
        let told = obstacles(&apply(&doors, text));
        assert!(told.len() == 1 && told[0].1.contains("made by `robot`"), "{told:?}");
        assert!(told[0].1.contains("--adopt account:ceo"), "{told:?}");
        doors.prepare(&[patch("/core/users/{user:ceo}/", json!({ "username": "attic" }))]);
    }
    // The name that it gave up is the config's.
    assert_eq!(obstacles(&apply(&doors, text)), []);
    assert!(rights_of(&doors, "attic").is_empty() && !rights_of(&doors, "ceo").is_empty());
}

/// Who makes, renames and deletes what is its own leaves nothing behind that stays.
#[test]
fn what_comes_and_goes_by_its_maker_leaves_no_tombstone() {
    let doors = Doors::new();
    robot_holds(&doors, Held::Only(&["add_user", "add_group", "add_role"], &[]));
    for made in [user("a"), group("a"), role("a")] {
        done(&doors, &made);
    }
    for (from, to) in [("a", "b"), ("b", "c"), ("c", "a")] {
        let path = |kind: &str, of: &str| -> &'static str { format!("/{kind}s/{{{of}:{from}}}/").leak() };
        done(&doors, &patch(path("core/user", "user"), json!({ "username": to })));
        done(&doors, &patch(path("core/group", "group"), json!({ "name": to })));
        done(&doors, &patch(path("rbac/role", "role"), json!({ "name": to })));
    }
    let count = |doors: &Doors| doors.operator.registry.snapshot().accounts().tombstones().count();
    assert_eq!(count(&doors), 0);
    for gone in ["/core/users/{user:a}/", "/core/groups/{group:a}/", "/rbac/roles/{role:a}/"] {
        done(&doors, &delete(gone));
    }
    assert_eq!(count(&doors), 0);
    // One that held rights leaves its name to superusers, whichever way it goes.
    for is_deleted in [true, false] {
        let doors = Doors::new();
        robot_holds(&doors, Held::Only(&["add_user", "view_event"], &[]));
        done(&doors, &user("held"));
        doors.prepare(&[grant("/rbac/permissions/assigned_by_users/{user:held}/assign/", "view_event")]);
        done(
            &doors,
            &match is_deleted {
                true => delete("/core/users/{user:held}/"),
                false => patch("/core/users/{user:held}/", json!({ "username": "other" })),
            },
        );
        assert_eq!(count(&doors), 1);
        refused(&doors, &user("held"));
        let told = obstacles(&apply(&doors, "[[account]]\nusername = \"held\"\n"));
        assert!(told.len() == 1 && told[0].1.contains("--recreate account:held"), "{told:?}");
    }
}

/// The operator may rename, and have another one made: what goes on is told.
#[test]
fn what_goes_on_beside_another_of_its_name_is_told() {
    let text = "[[account]]\nusername = \"eve\"\n";
    let doors = Doors::new();
    apply(&doors, text);
    doors.prepare(&[patch("/core/users/{user:eve}/", json!({ "username": "eve.adams" }))]);
    let plan = apply(&doors, text);
    assert_eq!(obstacles(&plan), []);
    let told: Vec<_> = plan.diff.iter().filter_map(|entry| entry.reason.as_deref()).collect();
    assert!(
        told.len() == 1 && told[0].contains("`eve.adams`") && told[0].contains("--recreate account:eve "),
        "{told:?}"
    );
    let plan = doors.config_with(text, &recreating("account:eve")).unwrap();
    let signs: Vec<_> = plan.diff.iter().map(|entry| (entry.sign, entry.name.as_str())).collect();
    assert!(
        signs.contains(&(Sign::Created, "eve")) && signs.contains(&(Sign::Skipped, "eve.adams")),
        "{signs:?}"
    );
}

/// Told of a group, `--recreate` brings back no account of that name, with its secrets.
#[test]
fn a_name_that_two_things_had_is_recreated_by_its_kind() {
    let text = "[[account]]\nusername = \"svc\"\ntype = \"service_account\"\n[[group]]\nname = \"svc\"\n";
    let doors = Doors::new();
    apply(&doors, text);
    doors.prepare(&[delete("/core/users/{user:svc}/")]);
    robot_holds(&doors, Held::AllBut(&["view_event"]));
    done(&doors, &delete("/core/groups/{group:svc}/"));
    let plan = apply(&doors, text);
    let told: Vec<_> = plan.diff.iter().filter_map(|entry| entry.reason.as_deref()).collect();
    for option in ["--recreate account:svc ", "--recreate group:svc "] {
        assert!(told.iter().any(|reason| reason.contains(option)), "{told:?}");
    }
    let told = doors.config_with(text, &recreating("svc")).unwrap_err();
    assert!(told.contains("--recreate account:svc, or --recreate group:svc"), "{told}");
    doors.config_with(text, &recreating("group:svc")).unwrap();
    let snapshot = doors.operator.registry.snapshot();
    assert!(snapshot.accounts().group_named("svc").is_some());
    assert!(snapshot.accounts().account_named("svc").is_none());
    assert!(doors.config_with(text, &recreating("token:svc")).unwrap_err().contains("nothing to recreate"));
}
