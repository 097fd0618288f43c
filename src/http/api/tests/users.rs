//! `core/users/`: what is said of an account and decides nothing is read back.

use super::*;

#[tokio::test]
async fn a_path_is_kept_as_it_was_given() {
    let world = World::new();
    world.provider("ldap", "dc=example,dc=com").await;
    let new = |username: &str| json!({ "username": username, "name": "", "type": "service_account" });
    let usual = world.post("/core/users/", new("usual")).await;
    assert_eq!(usual["path"], "goauthentik.io/service-accounts");
    let mut body = new("filed");
    body["path"] = json!("users");
    let filed = world.post("/core/users/", body).await;
    assert_eq!(filed["path"], "users");
    let path = format!("/core/users/{}/", filed["pk"]);
    let moved = world.patch(&path, json!({ "path": "machines/berlin" })).await;
    assert_eq!(moved["path"], "machines/berlin");
    // What says nothing of it leaves it alone.
    assert_eq!(
        world.put(&path, json!({ "username": "filed", "name": "F" })).await["path"],
        "machines/berlin"
    );
    for (query, expected) in [
        ("path=machines/berlin", vec!["filed"]),
        ("path=machines", vec![]),
        ("path_startswith=mach", vec!["filed"]),
        ("path=goauthentik.io/service-accounts", vec!["usual"]),
    ] {
        assert_eq!(world.listed(&format!("/core/users/?{query}"), "username").await, expected, "{query}");
    }
    let paths = world.get("/core/users/paths/?search=in").await;
    assert_eq!(paths["paths"], json!(["machines/berlin"]));
    let paths = world.get("/core/users/paths/").await;
    let all = ["goauthentik.io/outposts", "goauthentik.io/service-accounts", "machines/berlin", "users"];
    assert_eq!(paths["paths"], json!(all));
    for wrong in ["", "/users", "users/", "a//b", " users", "users\u{7}", "x".repeat(300).as_str()] {
        assert_eq!(
            world.refused(Method::PATCH, &path, json!({ "path": wrong })).await,
            ["path"],
            "{wrong:?}"
        );
    }
}

/// Whoever may view all accounts is told of one that there is not what everybody is told.
#[tokio::test]
async fn of_no_account_there_is_nothing() {
    let world = World::new();
    let number = world.account("alice").await.get();
    for behind in ["", "pauses/", "used_by/"] {
        let status = async |number: u32| {
            world.status(Method::GET, &format!("/core/users/{number}/{behind}"), Value::Null).await
        };
        assert_eq!((status(number).await, status(number + 1).await), (StatusCode::OK, StatusCode::NOT_FOUND));
    }
}

#[tokio::test]
async fn attributes_are_read_back_as_they_were_given() {
    let world = World::new();
    world.provider("ldap", "dc=example,dc=com").await;
    let attributes = json!({
        "description": "one", "title": ["alone"], "uidNumber": 70001, "x-is-remote": true,
        "x-mixed": ["1", 2, false, { "base64": "dGV4dA==" }],
    });
    for (path, mut body) in [
        ("/core/users/", json!({ "username": "alice", "name": "" })),
        ("/core/groups/", json!({ "name": "staff" })),
    ] {
        body["attributes"] = attributes.clone();
        if path == "/core/groups/" {
            body["attributes"].as_object_mut().unwrap().remove("title");
        }
        let made = world.post(path, body.clone()).await;
        assert_eq!(made["attributes"], body["attributes"]);
        let path = format!("{path}{}/", made["pk"].to_string().trim_matches('"'));
        assert_eq!(world.get(&path).await["attributes"], body["attributes"]);
        let again = world.patch(&path, json!({ "attributes": { "description": ["one"] } })).await;
        assert_eq!(again["attributes"], json!({ "description": ["one"] }));
        for wrong in [json!({ "description": null }), json!({ "description": [] })] {
            let body = json!({ "attributes": wrong });
            assert_eq!(world.refused(Method::PATCH, &path, body).await, ["attributes"]);
        }
    }
}

#[tokio::test]
async fn roles_are_read_back_in_their_order() {
    let world = World::new();
    let role = async |name: &str| world.post("/rbac/roles/", json!({ "name": name })).await["pk"].clone();
    let (one, two, three) = (role("one").await, role("two").await, role("three").await);
    let made = world.post("/core/groups/", json!({ "name": "staff", "roles": [three, one, two] })).await;
    assert_eq!(made["roles"], json!([three, one, two]));
    let path = format!("/core/groups/{}/", made["pk"].as_str().unwrap());
    let changed = world.patch(&path, json!({ "roles": [one, two, three] })).await;
    assert_eq!(changed["roles"], json!([one, two, three]));
}

#[tokio::test]
async fn only_groups_make_superusers() {
    let world = World::new();
    let body = json!({ "username": "alice", "name": "", "is_superuser": true });
    assert_eq!(world.refused(Method::POST, "/core/users/", body).await, ["is_superuser"]);
    let alice = world.post("/core/users/", json!({ "username": "alice", "name": "" })).await;
    let path = format!("/core/users/{}/", alice["pk"]);
    assert_eq!(world.refused(Method::PATCH, &path, json!({ "is_superuser": true })).await, ["is_superuser"]);
    let group = json!({ "name": "admins", "is_superuser": true, "users": [alice["pk"]] });
    assert_eq!(world.post("/core/groups/", group).await["is_superuser"], true);
    assert_eq!(world.refused(Method::PATCH, &path, json!({ "is_superuser": false })).await, ["is_superuser"]);
    // As it was read.
    assert_eq!(world.patch(&path, json!({ "is_superuser": true })).await["is_superuser"], true);
}
