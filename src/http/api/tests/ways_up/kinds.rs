//! Way 5. A change of what an account is for ends credentials and rights for good: it is for who has made the account and
//! holds what it holds, and a password is dropped by nobody who has not said so.

use super::*;

/// `dave`, a superuser, `frank`, who is granted `view_event`, both with passwords; `plain`, who has a password and nothing else,
/// `bare`, who has not even that, and `program`, a service account.
fn directory() -> Doors {
    let doors = Doors::new();
    doors.prepare(&["dave", "frank", "plain", "bare"].map(user));
    let password = json!({ "password": "a long enough one" });
    doors.prepare(&[
        service("program"),
        post("/core/groups/", json!({ "name": "admins", "is_superuser": true, "users": ["{user:dave}"] })),
        grant("/rbac/permissions/assigned_by_users/{user:frank}/assign/", "view_event"),
        post("/core/users/{user:dave}/set_password/", password.clone()),
        post("/core/users/{user:frank}/set_password/", password.clone()),
        post("/core/users/{user:plain}/set_password/", password),
    ]);
    doors
}

fn becomes(path: &'static str, kind: &str) -> Said {
    patch(path, json!({ "type": kind, "drops_password": true }))
}

#[test]
fn what_an_account_is_for_is_changed_by_who_holds_what_it_holds() {
    let of_frank = [
        becomes("/core/users/{user:frank}/", "service_account"),
        becomes("/core/users/{user:frank}/", "external"),
        put(
            "/core/users/{user:frank}/",
            json!({ "username": "frank", "name": "F", "type": "service_account", "drops_password": true }),
        ),
    ];
    let robots = || made_by("robot", directory(), &["frank", "dave"]);
    both_ways(&robots, Held::AllBut(&["view_event"]), Held::AllBut(&[]), &of_frank);
    let of_dave = [
        becomes("/core/users/{user:dave}/", "service_account"),
        becomes("/core/users/{user:dave}/", "external"),
    ];
    both_ways(&robots, Held::AllBut(&[]), Held::Superuser, &of_dave);
    // What somebody else has made.
    both_ways(&directory, Held::AllBut(&[]), Held::Superuser, &of_frank);
}

#[test]
fn a_password_is_dropped_by_who_says_so() {
    let doors = Doors::new();
    robot_holds(&doors, Held::AllBut(&[]));
    ["plain", "bare"].iter().for_each(|name| drop(done(&doors, &user(name))));
    let password = json!({ "password": "a long enough one" });
    done(&doors, &post("/core/users/{user:plain}/set_password/", password));
    let has_password = |doors: &Doors| {
        let snapshot = doors.operator.registry.snapshot();
        snapshot.accounts().account_named("plain").unwrap().password.is_some()
    };
    for body in [
        json!({ "type": "service_account" }),
        json!({ "type": "service_account", "drops_password": false }),
        json!({ "type": "service_account", "drops_password": null }),
    ] {
        let told = refused(&doors, &patch("/core/users/{user:plain}/", body));
        assert!(told.contains("drops_password"), "{told}");
    }
    let whole = json!({ "username": "plain", "name": "Plain", "type": "service_account" });
    refused(&doors, &put("/core/users/{user:plain}/", whole));
    assert!(has_password(&doors));
    // It is no way to drop a password of somebody who stays a person, nor is it needed where there is none.
    done(&doors, &patch("/core/users/{user:plain}/", json!({ "drops_password": true })));
    done(&doors, &becomes("/core/users/{user:plain}/", "external"));
    assert!(has_password(&doors));
    done(&doors, &patch("/core/users/{user:bare}/", json!({ "type": "service_account" })));
    done(&doors, &becomes("/core/users/{user:plain}/", "service_account"));
    assert!(!has_password(&doors));
}

/// What nobody may, superusers and the operator included; of the sentence, what was asked.
#[test]
fn nobody_makes_a_person_of_a_program_or_anything_of_binderys_own() {
    let doors = directory();
    robot_holds(&doors, Held::Superuser);
    let own = {
        let snapshot = doors.operator.registry.snapshot();
        let mut accounts = snapshot.accounts().accounts();
        let own = accounts.find(|account| account.kind == AccountKind::InternalServiceAccount).unwrap();
        own.number
    };
    let own = |rest: &str| -> &'static str { format!("/core/users/{own}/{rest}").leak() };
    let new = json!({ "username": "new", "name": "New", "type": "internal_service_account" });
    let calls = [
        (becomes("/core/users/{user:program}/", "internal"), "cannot become a person"),
        (becomes("/core/users/{user:program}/", "external"), "cannot become a person"),
        (becomes("/core/users/{user:program}/", "internal_service_account"), "internal service account"),
        (becomes("/core/users/{user:plain}/", "internal_service_account"), "internal service account"),
        (post("/core/users/", new), "internal service account"),
        (becomes(own(""), "service_account"), "internal service account"),
        (becomes(own(""), "internal"), "internal service account"),
        (patch(own(""), json!({ "name": "Mine" })), "internal service account"),
        (put(own(""), json!({ "username": "mine", "name": "Mine" })), "internal service account"),
        (delete(own("")), "internal service account"),
        (post(own("set_password/"), json!({ "password": "a long enough one" })), ""),
        (user("bindery:mine"), "bindery:"),
        (user("BINDERY:command-line"), ""),
        (patch("/core/users/{user:plain}/", json!({ "username": "Bindery:config" })), "bindery:"),
        (post("/core/users/service_account/", json!({ "name": "bindery:mine" })), "bindery:"),
    ];
    for (said, words) in calls {
        let told = refused(&doors, &said);
        assert!(told.contains(words), "{said:?}: {told}");
        let (status, told) = doors.operator_says(&said);
        assert!(status.is_client_error() && told.contains(words), "{said:?}: {status} {told}");
    }
    let told = refused(&doors, &becomes("/core/users/{user:program}/", "internal_service_account"));
    assert!(!told.contains("`program` is an internal service account"), "it is not what was asked: {told}");
}
