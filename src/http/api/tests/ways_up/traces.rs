//! Way 9. Who tries what it may not do leaves a trace: which token, what it called, what it lacks, how often. Who may do it, and
//! the operator, leave none.

use super::super::rights::told;
use super::*;
use crate::model::{Action, Event};
use crate::registry::EventQuery;

fn traces(doors: &Doors) -> Vec<Event> {
    let query =
        EventQuery { actions: vec![Action::SuspiciousRequest], limit: 1_000, ..EventQuery::default() };
    wait(doors.operator.registry.events(query)).unwrap()
}

/// Two of each kind, `one` with a right, a token of each account, an application of `one`.
fn directory() -> Doors {
    let doors = Doors::new();
    doors.prepare(&[
        user("one"),
        user("two"),
        group("one"),
        group("two"),
        role("one"),
        post("/core/applications/", json!({ "slug": "one", "name": "One" })),
        post("/core/tokens/", json!({ "identifier": "one", "user": "{user:one}", "intent": "api" })),
        grant("/rbac/permissions/assigned_by_users/{user:one}/assign/", "view_event"),
        grant("/rbac/permissions/assigned_by_groups/{group:one}/assign/", "view_event"),
        grant("/rbac/permissions/assigned_by_roles/{role:one}/assign/", "view_event"),
    ]);
    doors
}

/// What is called, and which permission is missing.
fn calls() -> Vec<(Said, &'static str)> {
    let noted = json!({ "name": "two", "attributes": { "description": "x" } });
    vec![
        (patch("/core/users/{user:two}/", json!({ "name": "x" })), "change_user"),
        (put("/core/users/{user:two}/", json!({ "username": "two", "name": "x" })), "change_user"),
        (patch("/core/users/{user:two}/", json!({ "username": "TWO" })), "change_user"),
        (delete("/core/users/{user:two}/"), "delete_user"),
        (
            post("/core/users/{user:two}/set_password/", json!({ "password": "a long enough one" })),
            "reset_user_password",
        ),
        (user("new"), "add_user"),
        (patch("/core/groups/{group:two}/", noted.clone()), "change_group"),
        (put("/core/groups/{group:two}/", noted), "change_group"),
        (delete("/core/groups/{group:two}/"), "delete_group"),
        (post("/core/groups/{group:two}/add_user/", json!({ "pk": "{user:two}" })), "add_user_to_group"),
        (patch("/rbac/roles/{role:one}/", json!({ "name": "One" })), "change_role"),
        (put("/rbac/roles/{role:one}/", json!({ "name": "ONE" })), "change_role"),
        (delete("/rbac/roles/{role:one}/"), "delete_role"),
        (patch("/core/tokens/one/", json!({ "description": "x" })), "change_token"),
        (put("/core/tokens/one/", json!({ "identifier": "one", "description": "x" })), "change_token"),
        (delete("/core/tokens/one/"), "delete_token"),
        (post("/core/tokens/one/rotate/", json!({})), "set_token_key"),
        (patch("/core/applications/one/", json!({ "name": "x" })), "change_application"),
        (put("/core/applications/one/", json!({ "slug": "one", "name": "x" })), "change_application"),
        (patch("/providers/ldap/{provider:ldap}/", json!({ "base_dn": "dc=other" })), "change_ldapprovider"),
        (
            put(
                "/providers/ldap/{provider:ldap}/",
                json!({ "name": "ldap", "base_dn": "dc=example,dc=com" }),
            ),
            "change_ldapprovider",
        ),
        // What is given, taken or taken over, and not held.
        (patch("/core/users/{user:one}/", json!({ "name": "x" })), "view_event"),
        (patch("/core/users/{user:one}/", json!({ "username": "ONE" })), "view_event"),
        (patch("/core/groups/{group:one}/", json!({ "name": "One" })), "view_event"),
        (put("/rbac/roles/{role:one}/", json!({ "name": "One" })), "view_event"),
        (post("/core/tokens/one/rotate/", json!({})), "view_event"),
    ]
}

/// What is for whose the object is, and for superusers; and what is missing for who lacks the permission as well.
fn of_makers() -> Vec<(Said, &'static str)> {
    vec![
        (patch("/core/users/{user:two}/", json!({ "username": "other" })), "change_user"),
        (patch("/core/users/{user:two}/", json!({ "type": "external" })), "change_user"),
        (patch("/core/groups/{group:two}/", json!({ "name": "other" })), "change_group"),
        (put("/rbac/roles/{role:one}/", json!({ "name": "other" })), "change_role"),
        (put("/core/tokens/one/", json!({ "identifier": "other" })), "change_token"),
        (put("/core/applications/one/", json!({ "slug": "other", "name": "x" })), "change_application"),
        (delete("/core/applications/one/"), "delete_application"),
        (patch("/providers/ldap/{provider:ldap}/", json!({ "name": "other" })), "change_ldapprovider"),
        (delete("/providers/ldap/{provider:ldap}/"), "delete_ldapprovider"),
    ]
}

#[test]
fn who_is_not_the_maker_leaves_a_trace_and_a_superuser_leaves_none() {
    for (said, permission) in of_makers() {
        for (lacking, missing) in [(vec![permission], permission), (Vec::new(), "superuser")] {
            let doors = directory();
            robot_holds(&doors, Held::AllBut(&lacking));
            refused(&doors, &said);
            let events = traces(&doors);
            assert_eq!(events.len(), 1, "{said:?}: {events:#?}");
            assert_eq!(told(&events[0], "missing"), Some(missing), "{said:?}");
        }
        let doors = directory();
        robot_holds(&doors, Held::Superuser);
        done(&doors, &said);
        assert_eq!(traces(&doors), [], "{said:?}");
    }
}

#[test]
fn who_lacks_a_right_leaves_a_trace_and_who_holds_it_leaves_none() {
    for (said, lacking) in calls() {
        let doors = directory();
        robot_holds(&doors, Held::AllBut(&[lacking]));
        for _ in 0..3 {
            refused(&doors, &said);
        }
        let events = traces(&doors);
        assert_eq!(events.len(), 1, "{said:?}: {events:#?}");
        let Event { actor, count, .. } = &events[0];
        assert_eq!((actor.account.as_str(), *count), ("robot", 3), "{said:?}");
        assert_eq!(actor.token.as_deref(), Some("robot-api"), "{said:?}");
        assert_eq!(told(&events[0], "missing"), Some(lacking), "{said:?}");
        let method = said.0.as_str();
        assert!(events[0].object_name.starts_with(method), "{said:?}: {}", events[0].object_name);

        let doors = directory();
        robot_holds(&doors, Held::AllBut(&[]));
        done(&doors, &said);
        assert_eq!(traces(&doors), [], "{said:?}");
        // The operator lacks nothing, and what a config may not say is no trespass either.
        let doors = directory();
        doors.prepare(std::slice::from_ref(&said));
        assert_eq!(traces(&doors), [], "{said:?}");
    }
    let doors = directory();
    assert!(doors.config_with("[[account]]\nusername = \"bindery:x\"\n", &SeedOptions::default()).is_err());
    doors.import(&["ou=users"], &imported_person("bindery:x", ""));
    doors.import(&[], &imported_group("one", &["nobody"]));
    assert_eq!(traces(&doors), []);
    // Where the server has no certificate, none is hidden from who names one.
    for held in [Held::AllBut(&[]), Held::AllBut(&["view_certificatekeypair"])] {
        let doors = directory();
        robot_holds(&doors, held);
        let named = json!({ "certificate": uuid::Uuid::from_u128(7) });
        refused(&doors, &patch("/providers/ldap/{provider:ldap}/", named));
        assert_eq!(traces(&doors), []);
    }
}

/// A refused call that finds out what somebody has whom its caller may not know: whoever tries many names is seen.
#[test]
fn who_names_what_a_hidden_one_has_leaves_a_trace() {
    let shared =
        json!({ "username": "x", "name": "n", "type": "internal", "attributes": { "uid": ["one"] } });
    let with_a_mistake = json!({ "username": "one", "name": "n", "type": "internal", "nokey": 1 });
    for (said, lacking) in [
        (user("one"), "view_user"),
        (post("/core/users/", with_a_mistake), "view_user"),
        (post("/core/users/", shared), "change_user"),
        (group("one"), "view_group"),
        (role("one"), "view_role"),
        (post("/core/tokens/", json!({ "identifier": "one" })), "view_token"),
        (post("/core/applications/", json!({ "slug": "one", "name": "x" })), "view_application"),
    ] {
        let doors = directory();
        robot_holds(&doors, Held::AllBut(&[lacking]));
        refused(&doors, &said);
        let events = traces(&doors);
        assert_eq!(events.len(), 1, "{said:?}: {events:#?}");
        assert_eq!(told(&events[0], "missing"), Some(lacking), "{said:?}");
        // Who may know it, or names what nobody has, is no trespasser.
        if lacking.starts_with("view") {
            let doors = directory();
            robot_holds(&doors, Held::AllBut(&[]));
            refused(&doors, &said);
            assert_eq!(traces(&doors), [], "{said:?}");
        }
    }
}
