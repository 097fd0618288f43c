//! Way 1. Whoever could strip somebody of what they hold could then take the rest, and get it back with them when it is
//! given again: so what is taken away must be held, as what is given must.

use super::*;

/// Everything that gives `view_event`: `reader`, a role, and `readers`, a group, with `carol` in it and `gina` through `inner`;
/// `watchers`, a group that is granted it; `erin`, who holds the role, `frank`, who is granted it, `dave`, a superuser
/// through `admins` and `hana` one through `deputies`; `nobody`, who holds nothing, and `plain`, a group that gives nothing.
fn directory() -> Doors {
    let doors = Doors::new();
    doors.prepare(&[role("reader"), group("readers"), group("watchers"), group("admins"), group("plain")]);
    doors.prepare(&["carol", "gina", "erin", "frank", "dave", "hana", "nobody"].map(user));
    doors.prepare(&[
        grant("/rbac/permissions/assigned_by_roles/{role:reader}/assign/", "view_event"),
        grant("/rbac/permissions/assigned_by_groups/{group:watchers}/assign/", "view_event"),
        grant("/rbac/permissions/assigned_by_users/{user:frank}/assign/", "view_event"),
        patch(
            "/core/groups/{group:readers}/",
            json!({ "roles": ["{role:reader}"], "users": ["{user:carol}"] }),
        ),
        post(
            "/core/groups/",
            json!({ "name": "inner", "parents": ["{group:readers}"], "users": ["{user:gina}"] }),
        ),
        patch("/core/users/{user:erin}/", json!({ "roles": ["{role:reader}"] })),
        patch("/core/groups/{group:admins}/", json!({ "is_superuser": true, "users": ["{user:dave}"] })),
        post(
            "/core/groups/",
            json!({ "name": "deputies", "parents": ["{group:admins}"], "users": ["{user:hana}"] }),
        ),
        post("/core/tokens/", json!({ "identifier": "dave-api", "user": "{user:dave}", "intent": "api" })),
    ]);
    doors
}

const NOT_THAT: Held<'_> = Held::AllBut(&["view_event"]);

#[test]
fn what_is_taken_away_must_be_held() {
    let member = |name: &str| json!({ "pk": format!("{{user:{name}}}") });
    let calls = [
        post("/core/groups/{group:readers}/remove_user/", member("carol")),
        patch("/core/groups/{group:readers}/", json!({ "users": [] })),
        put("/core/groups/{group:readers}/", json!({ "name": "readers", "users": [] })),
        patch("/core/groups/{group:readers}/", json!({ "roles": [] })),
        put("/core/groups/{group:readers}/", json!({ "name": "readers", "roles": [] })),
        patch("/core/groups/{group:inner}/", json!({ "parents": [] })),
        put("/core/groups/{group:inner}/", json!({ "name": "inner", "parents": [] })),
        post("/core/groups/{group:inner}/remove_user/", member("gina")),
        patch("/core/groups/{group:inner}/", json!({ "users": [] })),
        delete("/core/groups/{group:readers}/"),
        delete("/core/groups/{group:inner}/"),
        delete("/core/groups/{group:watchers}/"),
        patch("/core/users/{user:carol}/", json!({ "groups": [] })),
        put("/core/users/{user:carol}/", json!({ "username": "carol", "name": "A person", "groups": [] })),
        patch("/core/users/{user:gina}/", json!({ "groups": [] })),
        patch("/core/users/{user:erin}/", json!({ "roles": [] })),
        put("/core/users/{user:erin}/", json!({ "username": "erin", "name": "A person", "roles": [] })),
        post("/rbac/roles/{role:reader}/remove_user/", member("erin")),
        delete("/rbac/roles/{role:reader}/"),
        (
            Method::PATCH,
            "/rbac/permissions/assigned_by_roles/{role:reader}/unassign/",
            json!({ "permissions": ["view_event"] }),
        ),
        (
            Method::PATCH,
            "/rbac/permissions/assigned_by_groups/{group:watchers}/unassign/",
            json!({ "permissions": ["view_event"] }),
        ),
        (
            Method::PATCH,
            "/rbac/permissions/assigned_by_users/{user:frank}/unassign/",
            json!({ "permissions": ["view_event"] }),
        ),
    ];
    both_ways(&directory, NOT_THAT, Held::AllBut(&[]), &calls);
}

#[test]
fn what_is_given_must_be_held() {
    let nobody = json!({ "pk": "{user:nobody}" });
    let calls = [
        post("/core/groups/{group:readers}/add_user/", nobody.clone()),
        post("/core/groups/{group:inner}/add_user/", nobody.clone()),
        patch("/core/groups/{group:inner}/", json!({ "users": ["{user:gina}", "{user:nobody}"] })),
        patch("/core/users/{user:nobody}/", json!({ "groups": ["{group:watchers}"] })),
        patch("/core/users/{user:nobody}/", json!({ "roles": ["{role:reader}"] })),
        put(
            "/core/users/{user:nobody}/",
            json!({ "username": "nobody", "name": "A person", "groups": ["{group:inner}"] }),
        ),
        patch("/core/groups/{group:plain}/", json!({ "parents": ["{group:inner}"] })),
        put("/core/groups/{group:plain}/", json!({ "name": "plain", "roles": ["{role:reader}"] })),
        post("/core/groups/", json!({ "name": "new", "parents": ["{group:readers}"] })),
        post("/core/groups/", json!({ "name": "new", "roles": ["{role:reader}"] })),
        post("/core/users/", json!({ "username": "new", "name": "New", "groups": ["{group:watchers}"] })),
        post("/core/users/", json!({ "username": "new", "name": "New", "roles": ["{role:reader}"] })),
        post("/rbac/roles/{role:reader}/add_user/", nobody),
        grant("/rbac/permissions/assigned_by_users/{user:nobody}/assign/", "view_event"),
        grant("/rbac/permissions/assigned_by_groups/{group:plain}/assign/", "view_event"),
        grant("/rbac/permissions/assigned_by_roles/{role:reader}/assign/", "view_event"),
    ];
    both_ways(&directory, NOT_THAT, Held::AllBut(&[]), &calls[..15]);
    // What is so already is given by nobody.
    let doors = directory();
    robot_holds(&doors, Held::AllBut(&[]));
    done(&doors, &calls[15]);
}

/// Whoever is a superuser, or makes one, through whatever.
#[test]
fn superusers_are_stripped_and_made_by_superusers() {
    let member = |name: &str| json!({ "pk": format!("{{user:{name}}}") });
    let calls = [
        post("/core/groups/{group:admins}/remove_user/", member("dave")),
        post("/core/groups/{group:admins}/add_user/", member("nobody")),
        patch("/core/groups/{group:admins}/", json!({ "users": [] })),
        put("/core/groups/{group:admins}/", json!({ "name": "admins", "users": [] })),
        patch("/core/groups/{group:admins}/", json!({ "is_superuser": false })),
        put("/core/groups/{group:admins}/", json!({ "name": "admins", "is_superuser": false })),
        patch("/core/groups/{group:plain}/", json!({ "is_superuser": true })),
        patch("/core/groups/{group:plain}/", json!({ "parents": ["{group:deputies}"] })),
        patch("/core/groups/{group:deputies}/", json!({ "parents": [] })),
        post("/core/groups/{group:deputies}/remove_user/", member("hana")),
        post("/core/groups/{group:deputies}/add_user/", member("nobody")),
        delete("/core/groups/{group:admins}/"),
        delete("/core/groups/{group:deputies}/"),
        patch("/core/users/{user:dave}/", json!({ "groups": [] })),
        patch("/core/users/{user:hana}/", json!({ "groups": [] })),
        patch("/core/users/{user:nobody}/", json!({ "groups": ["{group:deputies}"] })),
        post("/core/groups/", json!({ "name": "new", "is_superuser": true })),
        post("/core/groups/", json!({ "name": "new", "parents": ["{group:deputies}"] })),
    ];
    both_ways(&directory, Held::AllBut(&[]), Held::Superuser, &calls);
}

/// The rest, which stripping would open: somebody's names, activity, end and secrets are for who holds what they hold.
#[test]
fn nobody_becomes_somebody_who_is_worth_more() {
    let password = json!({ "password": "a long enough one" });
    let calls = [
        patch("/core/users/{user:carol}/", json!({ "username": "other" })),
        put("/core/users/{user:gina}/", json!({ "username": "other", "name": "A person" })),
        patch("/core/users/{user:erin}/", json!({ "is_active": false })),
        patch("/core/users/{user:frank}/", json!({ "email": "a@example.com" })),
        patch("/core/users/{user:frank}/", json!({ "attributes": { "sshPublicKey": "ssh-ed25519 AAAA" } })),
        delete("/core/users/{user:erin}/"),
        post("/core/users/{user:gina}/set_password/", password.clone()),
        post(
            "/core/users/{user:carol}/set_password_hash/",
            json!({ "password": "{SSHA}0c0blFTXXNuAMHECS4uxrj3ZieMoWImr" }),
        ),
        post("/core/tokens/", json!({ "identifier": "new", "user": "{user:frank}" })),
        post(
            "/core/tokens/",
            json!({ "identifier": "new", "user": "{user:gina}", "intent": "app_password" }),
        ),
        patch("/core/groups/{group:inner}/", json!({ "name": "other" })),
        put("/core/groups/{group:watchers}/", json!({ "name": "other" })),
        patch("/rbac/roles/{role:reader}/", json!({ "name": "other" })),
        put("/rbac/roles/{role:reader}/", json!({ "name": "other" })),
    ];
    let own = ["carol", "gina", "inner", "watchers", "reader", "hana", "admins"];
    let directory = || made_by("robot", directory(), &own);
    both_ways(&directory, NOT_THAT, Held::AllBut(&[]), &calls);
    let of_superusers = [
        patch("/core/users/{user:dave}/", json!({ "is_active": false })),
        patch("/core/users/{user:hana}/", json!({ "username": "other" })),
        delete("/core/users/{user:hana}/"),
        post("/core/users/{user:dave}/set_password/", password),
        post("/core/tokens/", json!({ "identifier": "new", "user": "{user:hana}" })),
        patch("/core/tokens/dave-api/", json!({ "description": "mine" })),
        patch("/core/tokens/dave-api/", json!({ "user": "{user:robot}" })),
        post("/core/tokens/dave-api/set_key/", json!({ "key": "x".repeat(40) })),
        post("/core/tokens/dave-api/rotate/", json!({})),
        patch("/core/groups/{group:admins}/", json!({ "name": "other" })),
    ];
    both_ways(&directory, Held::AllBut(&[]), Held::Superuser, &of_superusers);
}

/// What is not in force now is held all the same: an account that is not active gets it back with its activity.
#[test]
fn who_is_not_active_is_worth_what_it_was() {
    let inactive = || {
        let doors = directory();
        let off = json!({ "is_active": false });
        doors.prepare(&["{user:frank}", "{user:dave}"].map(|user| {
            let path: &'static str = format!("/core/users/{user}/").leak();
            patch(path, off.clone())
        }));
        doors
    };
    let frank = [
        patch("/core/users/{user:frank}/", json!({ "is_active": true })),
        post("/core/tokens/", json!({ "identifier": "new", "user": "{user:frank}" })),
        delete("/core/users/{user:frank}/"),
    ];
    both_ways(&inactive, NOT_THAT, Held::AllBut(&[]), &frank);
    let dave = [
        patch("/core/users/{user:dave}/", json!({ "is_active": true })),
        post("/core/groups/{group:admins}/remove_user/", json!({ "pk": "{user:dave}" })),
    ];
    both_ways(&inactive, Held::AllBut(&[]), Held::Superuser, &dave);
}

/// A right on one object is held by who has it on that one, or on all of them.
#[test]
fn what_is_granted_on_one_object_is_taken_by_who_holds_it_there() {
    let directory = || {
        let doors = directory();
        let on = json!({ "permissions": ["change_user"], "model": "authentik_core.user", "object_pk": "{pk:carol}" });
        doors.prepare(&[post("/rbac/permissions/assigned_by_users/{user:nobody}/assign/", on)]);
        doors
    };
    let off =
        json!({ "permissions": ["change_user"], "model": "authentik_core.user", "object_pk": "{pk:carol}" });
    let off = patch("/rbac/permissions/assigned_by_users/{user:nobody}/unassign/", off);
    let may: &[&str] = &["view_user", "unassign_role_permissions"];
    let here = ("change_user", "account:nobody");
    let lacking = Held::Only(may, &[here, ("change_user", "account:erin")]);
    let holding = Held::Only(may, &[here, ("change_user", "account:carol")]);
    both_ways(&directory, lacking, holding, &[off]);
}

/// Revoking is for who may, so that whoever finds a leaked secret can end it; an account that holds no more than the caller is
/// deactivated by it.
#[test]
fn a_leak_is_ended_by_who_may_only_that() {
    let doors = directory();
    robot_holds(&doors, Held::Only(&["delete_user", "view_token"], &[]));
    refused(&doors, &delete("/core/tokens/dave-api/"));
    robot_holds(&doors, Held::Only(&["delete_token"], &[]));
    done(&doors, &delete("/core/tokens/dave-api/"));
    robot_holds(&doors, Held::Only(&["view_user"], &[]));
    refused(&doors, &patch("/core/users/{user:nobody}/", json!({ "is_active": false })));
    robot_holds(&doors, Held::Only(&["change_user"], &[]));
    done(&doors, &patch("/core/users/{user:nobody}/", json!({ "is_active": false })));
}

/// What is not named in a PUT stays, so nobody is stripped by what they have not said.
#[test]
fn what_a_put_does_not_say_stays() {
    let doors = directory();
    robot_holds(&doors, Held::AllBut(&[]));
    done(&doors, &put("/core/users/{user:nobody}/", json!({ "username": "nobody", "name": "Other" })));
    done(&doors, &put("/core/users/{user:carol}/", json!({ "username": "carol", "name": "Other" })));
    done(&doors, &put("/core/groups/{group:admins}/", json!({ "name": "admins" })));
    done(&doors, &put("/rbac/roles/{role:reader}/", json!({ "name": "reader" })));
    assert!(rights_of(&doors, "dave").is_superuser && rights_of(&doors, "hana").is_superuser);
    for name in ["carol", "gina", "erin"] {
        assert_eq!(rights_of(&doors, name).grants, [global(Permission::ViewEvent)], "{name}");
    }
}
