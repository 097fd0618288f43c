//! What a request may say: all that is wrong is told at once, and what was read is taken back.

use axum::Extension;
use tokio_util::sync::CancellationToken;

use super::rights::text;
use super::*;
use crate::config::{Limit, Limits};
use crate::http::api::call::{RequestSource, TakesSecrets};
use crate::http::api::mount;

#[tokio::test]
async fn all_that_is_wrong_is_told_at_once() {
    let world = World::new();
    let count = async |list: &str| world.get(list).await["pagination"]["count"].clone();
    let none = "00000000-0000-4000-8000-000000000001";
    let user = json!({ "username": "", "name": "x", "email": "nobody", "groups": [none], "roles": [none],
        "attributes": { "mobile": { "no": "value" } }, "type": "internal_service_account" });
    let all = ["attributes", "email", "groups", "roles", "type", "username"];
    assert_eq!(world.refused(Method::POST, "/core/users/", user).await, all);
    let group = json!({ "name": "", "parents": [none], "roles": [none], "users": [4_000_000] });
    let all = ["name", "parents", "roles", "users"];
    assert_eq!(world.refused(Method::POST, "/core/groups/", group).await, all);
    let binding = json!({ "target": none, "order": 0, "timeout": 31, "failure_result": true, "group": none });
    let all = ["failure_result", "group", "target", "timeout"];
    assert_eq!(world.refused(Method::POST, "/policies/bindings/", binding).await, all);
    // Of names that are taken, of attributes and of several texts too.
    world.account("taken").await;
    let user = json!({ "username": "taken", "name": "x", "email": "nobody", "path": "/", "attributes":
        { "uidNumber": "many" } });
    let all = ["attributes", "email", "path", "username"];
    assert_eq!(world.refused(Method::POST, "/core/users/", user).await, all);
    let application = json!({ "slug": "no slug", "name": "", "provider": 99, "meta_launch_url": "javascript:x",
        "meta_icon": "x".repeat(100_000), "backchannel_providers": [1] });
    let all = ["backchannel_providers", "meta_icon", "meta_launch_url", "name", "provider", "slug"];
    assert_eq!(world.refused(Method::POST, "/core/applications/", application).await, all);
    let token = json!({ "identifier": "no slug", "user": 4_000_000, "intent": "recovery", "managed": "x",
        "expires": "2001-01-01" });
    let all = ["expires", "identifier", "intent", "managed", "user"];
    assert_eq!(world.refused(Method::POST, "/core/tokens/", token).await, all);
    let owner = world.account("owner").await.get();
    for name in ["one", "other"] {
        world.post("/core/tokens/", json!({ "identifier": name, "user": owner })).await;
    }
    let token = json!({ "identifier": "other", "user": 4_000_000, "intent": "app_password", "managed": "x",
        "expires": "2001-01-01", "retrievable": true });
    let all = ["expires", "identifier", "intent", "managed", "retrievable", "user"];
    assert_eq!(world.refused(Method::PATCH, "/core/tokens/one/", token).await, all);
    let (long, short) = (json!({ "overlap": 1_000_000_000 }), json!({ "key": "short" }));
    assert_eq!(world.refused(Method::POST, "/core/tokens/one/rotate/", long).await, ["overlap"]);
    assert_eq!(world.refused(Method::POST, "/core/tokens/one/set_key/", short).await, ["key"]);
    let account = json!({ "name": "", "expires": "2001-01-01" });
    assert_eq!(
        world.refused(Method::POST, "/core/users/service_account/", account).await,
        ["expires", "name"]
    );
    let container = |name: &str| json!([{ "container": name, "naming": "cn" }]);
    let provider = json!({ "name": "", "base_dn": "no dn", "domain": "a@b", "tls_server_name": "x", "certificate": none,
        "property_mappings": [none], "users": [], "service_accounts": container("none"),
        "groups": [{ "container": "ou=groups", "naming": "jpegPhoto" }] });
    let all = [
        "base_dn",
        "certificate",
        "domain",
        "groups",
        "name",
        "property_mappings",
        "service_accounts",
        "tls_server_name",
        "users",
    ];
    assert_eq!(world.refused(Method::POST, "/providers/ldap/", provider).await, all);
    let role = world.post("/rbac/roles/", json!({ "name": "reader" })).await["pk"].clone();
    let assign = format!("/rbac/permissions/assigned_by_roles/{}/assign/", role.as_str().unwrap());
    let grants = json!({ "permissions": ["none", "view_user", "nothing"], "model": "authentik_core.user",
        "object_pk": "4000000" });
    let (_, answer) = world.call(Method::POST, &assign, grants).await;
    assert_eq!(answer["permissions"].as_array().unwrap().len(), 2, "{answer}");
    assert_eq!(answer["object_pk"].as_array().unwrap().len(), 1, "{answer}");
    let grants = json!({ "permissions": ["none", "view_group", "view_role"], "model": "authentik_core.user",
        "object_pk": owner.to_string() });
    let (_, answer) = world.call(Method::POST, &assign, grants).await;
    assert_eq!(answer["permissions"].as_array().unwrap().len(), 3, "{answer}");
    // Who names a model means one object of it: without that it is not every one.
    let unassign = assign.replace("/assign/", "/unassign/");
    for (on, field) in [
        (json!({ "model": "authentik_core.user" }), "object_pk"),
        (json!({ "model": "authentik_core.user", "object_pk": "" }), "object_pk"),
        (json!({ "model": "authentik_core.token", "object_pk": "" }), "object_pk"),
        (json!({ "model": "foo.bar" }), "model"),
        (json!({ "model": "" }), "model"),
        (json!({ "model": "foo.bar", "object_pk": owner.to_string() }), "model"),
        (json!({ "object_pk": owner.to_string() }), "model"),
    ] {
        let mut grants = on;
        grants["permissions"] = json!(["view_user"]);
        for (method, path) in [(Method::POST, &assign), (Method::PATCH, &unassign)] {
            assert_eq!(world.refused(method, path, grants.clone()).await, [field], "{path} {grants}");
        }
    }
    let held = format!("/rbac/permissions/?role={}", role.as_str().unwrap());
    assert_eq!(count(&held).await, 0);
    for model in ["foo.bar", "authentik_core"] {
        let path = format!("/rbac/permissions/assigned_by_roles/?model={model}");
        assert_eq!(world.refused(Method::GET, &path, json!(null)).await, ["model"], "{path}");
    }
    // Nothing was made, and what is right is told nothing of.
    for (list, expected) in [
        ("/core/users/?type=internal", 2),
        ("/core/tokens/", 2),
        ("/core/applications/", 0),
        ("/providers/ldap/", 0),
    ] {
        assert_eq!(count(list).await, expected, "{list}");
    }
    let answer =
        world.call(Method::POST, "/core/users/", json!({ "username": "new", "name": "", "email": "x" }));
    let (_, answer) = answer.await;
    assert_eq!(answer.as_object().unwrap().keys().collect::<Vec<_>>(), ["code", "email"]);
}

/// What cannot be read and what cannot be are told together; nothing is told of a field but that it cannot be read, where that
/// is so, and nothing of it is done.
#[tokio::test]
async fn what_cannot_be_read_is_told_with_what_cannot_be() {
    let world = World::new();
    let none = "00000000-0000-4000-8000-000000000001";
    let taken = world.account("taken").await;
    world.post("/core/users/", json!({ "username": "person", "name": "x" })).await;
    world.post("/core/tokens/", json!({ "identifier": "taken", "user": taken.get() })).await;
    world.post("/core/groups/", json!({ "name": "taken" })).await;
    let role = text(&world.post("/rbac/roles/", json!({ "name": "taken" })).await["pk"]);
    world.post("/core/applications/", json!({ "slug": "taken", "name": "x" })).await;
    let (user, person) = (format!("/core/users/{taken}/"), world.get("/core/users/?username=person").await);
    let person = format!("/core/users/{}/", person["results"][0]["pk"]);
    let assign = format!("/rbac/permissions/assigned_by_roles/{role}/assign/");
    let hashes = || world.registry.hash_pool().counts().created;
    let (revision, before) = (world.registry.snapshot().revision(), hashes());
    let (post, patch, put) = (Method::POST, Method::PATCH, Method::PUT);
    for (method, path, body, all) in [
        (
            &post,
            "/core/users/",
            json!({ "username": "taken", "name": "x", "email": "no address", "is_active": 3 }),
            &["email", "is_active", "username"] as &[&str],
        ),
        (
            &post,
            "/core/users/",
            json!({ "username": 3, "email": "no address" }),
            &["email", "name", "username"],
        ),
        (
            &patch,
            &user,
            json!({ "username": "person", "is_active": "no", "groups": [none] }),
            &["groups", "is_active", "username"],
        ),
        (
            &put,
            &user,
            json!({ "username": 3, "email": "x", "path": "/" }),
            &["email", "name", "path", "username"],
        ),
        (
            &post,
            "/core/users/service_account/",
            json!({ "name": "taken", "expires": "tomorrow" }),
            &["expires", "name"],
        ),
        (
            &post,
            "/core/users/service_account/",
            json!({ "name": 3, "expires": "2001-01-01" }),
            &["expires", "name"],
        ),
        (
            &post,
            "/core/tokens/",
            json!({ "identifier": "taken", "expires": "tomorrow", "user": 4_000_000 }),
            &["expires", "identifier", "user"],
        ),
        (
            &patch,
            "/core/tokens/taken/",
            json!({ "user": 4_000_000, "expiring": 3, "intent": "app_password" }),
            &["expiring", "intent", "user"],
        ),
        (
            &post,
            "/core/groups/",
            json!({ "users": [4_000_000], "is_superuser": "x" }),
            &["is_superuser", "name", "users"],
        ),
        (&post, "/rbac/roles/", json!({ "name": "taken", "x": 1 }), &["name", "x"]),
        (
            &post,
            "/core/applications/",
            json!({ "slug": "taken", "name": 3, "provider": 99 }),
            &["name", "provider", "slug"],
        ),
        (
            &post,
            "/providers/ldap/",
            json!({ "name": "x", "base_dn": "no dn", "uid_start_number": "x", "tls_server_name": "x" }),
            &["base_dn", "tls_server_name", "uid_start_number"],
        ),
        (
            &post,
            "/policies/bindings/",
            json!({ "target": none, "order": "x", "user": 4_000_000 }),
            &["order", "target", "user"],
        ),
        // That it is for nothing may be so for want of what cannot be read.
        (
            &post,
            "/policies/bindings/",
            json!({ "target": none, "order": 0, "group": 3 }),
            &["group", "target"],
        ),
        (
            &post,
            "/events/events/",
            json!({ "action": "login", "app": 3, "brand": { "x": 1 } }),
            &["action", "app", "brand"],
        ),
        (&post, &assign, json!({ "permissions": ["no_such"], "model": 3 }), &["model", "permissions"]),
        (&post, &format!("{person}set_password/"), json!({ "password": "", "x": 1 }), &["password", "x"]),
        // What is right but for one field that there is not costs no hash either.
        (&post, &format!("{person}set_password/"), json!({ "password": "long enough", "x": 1 }), &["x"]),
        (&post, &format!("{person}unlock/"), json!({ "x": 1 }), &["x"]),
        (&post, "/core/tokens/taken/rotate/", json!({ "overlap": 0, "x": 1 }), &["x"]),
        (&post, "/core/tokens/taken/set_key/", json!({ "key": "short", "x": 1 }), &["key", "x"]),
        (&post, "/core/tokens/", json!({ "identifier": "new", "user": taken.get(), "x": 1 }), &["x"]),
        (&post, "/core/groups/", json!({ "name": "new", "x": 1 }), &["x"]),
        (&patch, &user, json!({ "name": "new", "x": 1 }), &["x"]),
        (&post, &assign, json!({ "permissions": ["view_user"], "x": 1 }), &["x"]),
    ] {
        let (_, answer) = world.call(method.clone(), path, body.clone()).await;
        assert_eq!(world.refused(method.clone(), path, body.clone()).await, all, "{path} {body}");
        for (field, messages) in answer.as_object().unwrap().iter().filter(|(field, _)| *field != "code") {
            assert_eq!(messages.as_array().map(Vec::len), Some(1), "{path} {body} {field}: {answer}");
        }
    }
    assert_eq!((world.registry.snapshot().revision(), hashes()), (revision, before));
    // Truths are taken as Python writes them, in lists and queries as well as here.
    let made = json!({ "username": "python", "name": "x", "is_active": "False" });
    assert_eq!(world.post("/core/users/", made).await["is_active"], false);
    let made = json!({ "name": "python", "is_superuser": "true" });
    assert_eq!(world.post("/core/groups/", made).await["is_superuser"], true);
    let named = json!({ "username": "other", "name": "True" });
    assert_eq!(world.post("/core/users/", named).await["name"], "True");
}

#[tokio::test]
async fn what_was_read_is_taken_back() {
    let world = World::new();
    let provider = world.provider("ldap", "dc=example,dc=com").await;
    world.application("portal", Some(provider)).await;
    let user = world.account("alice").await;
    let group = world.post("/core/groups/", json!({ "name": "staff", "users": [user.get()] })).await;
    world.post("/rbac/roles/", json!({ "name": "reader" })).await;
    world.post("/core/tokens/", json!({ "identifier": "of-alice", "user": user.get() })).await;
    let target = world.get("/core/applications/portal/").await["pk"].clone();
    world.post("/policies/bindings/", json!({ "target": target, "order": 1, "group": group["pk"] })).await;
    for list in [
        "/core/users/?username=alice",
        "/core/groups/",
        "/core/tokens/",
        "/rbac/roles/",
        "/core/applications/",
        "/policies/bindings/",
        "/providers/ldap/",
    ] {
        let read = world.get(list).await["results"][0].clone();
        let path = list.split('?').next().unwrap();
        let key = if path.contains("tokens") {
            &read["identifier"]
        } else if path.contains("applications") {
            &read["slug"]
        } else {
            &read["pk"]
        };
        let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
        let path = format!("{path}{key}/");
        for method in [Method::PUT, Method::PATCH] {
            let (status, answer) = world.call(method.clone(), &path, read.clone()).await;
            assert_eq!(status, StatusCode::OK, "{method} {path} {read}: {answer}");
        }
        // Whoever makes something would not get it.
        let only_read = world.refused(Method::POST, path.trim_end_matches(&format!("{key}/")), read).await;
        assert!(only_read.contains(&"pk".to_owned()), "{path}: {only_read:?}");
    }
    // A secret that is chosen is none that is passed over.
    let chosen = json!({ "identifier": "other", "user": user.get(), "key": "chosen" });
    assert_eq!(world.refused(Method::POST, "/core/tokens/", chosen).await, ["key"]);
    assert_eq!(
        world.refused(Method::PATCH, "/core/tokens/of-alice/", json!({ "key": "chosen" })).await,
        ["key"]
    );
}

#[tokio::test]
async fn lists_are_ordered_by_several_fields() {
    let world = World::new();
    for (name, kind) in [("b", "internal"), ("a", "external"), ("c", "external")] {
        world.post("/core/users/", json!({ "username": name, "name": name, "type": kind })).await;
    }
    let ordered = async |ordering: &str| {
        let path = format!("/core/users/?type=internal&type=external&ordering={ordering}");
        world.listed(&path, "username").await
    };
    assert_eq!(ordered("type,-username").await, ["c", "a", "b"]);
    assert_eq!(ordered("-type,%20username").await, ["b", "a", "c"]);
    assert_eq!(ordered("").await.len(), 3);
    let (_, answer) = world.call(Method::GET, "/core/users/?ordering=type,shoes", Value::Null).await;
    assert!(answer["ordering"][0].as_str().unwrap().contains("date_joined"), "{answer}");
}

#[tokio::test]
async fn a_path_without_its_last_slash_is_sent_on_to_the_row() {
    let world = World::new();
    let router = mount(Router::new(), world.api.clone());
    for (path, expected) in [
        ("/api/v3/core/users", Some("/api/v3/core/users/")),
        ("/api/v3/core/users?page=2&search=%2F%2Fx", Some("/api/v3/core/users/?page=2&search=%2F%2Fx")),
        (
            "/api/v3/core/tokens/a%2Fb%0d%0aX:y/view_key",
            Some("/api/v3/core/tokens/a%2Fb%0D%0AX%3Ay/view_key/"),
        ),
        ("/api/v3/core/applications/%2F%2Felsewhere", Some("/api/v3/core/applications/%2F%2Felsewhere/")),
        ("/api/v3/core/tokens/%FF%C3", Some("/api/v3/core/tokens/%FF%C3/")),
        ("/api/v3/schema", Some("/api/v3/schema/")),
        ("//elsewhere.example/core/users", None),
        ("/api/v3//elsewhere.example", None),
        ("/api/v3/core/tokens//elsewhere.example", None),
        ("/api/v3/core/nothing", None),
    ] {
        let request = Request::builder().method(Method::PATCH).uri(path).body(Body::empty()).unwrap();
        let answer = router.clone().oneshot(request).await.unwrap();
        let location = answer.headers().get(header::LOCATION).map(|location| location.to_str().unwrap());
        assert_eq!(location, expected, "{path}");
        let status = if expected.is_some() { StatusCode::PERMANENT_REDIRECT } else { StatusCode::NOT_FOUND };
        assert_eq!(answer.status(), status, "{path}");
    }
}

/// A name that is no text is nobody's, and who calls is asked first.
#[tokio::test]
async fn a_path_with_octets_that_are_no_text_names_nothing() {
    let world = World::new();
    let (status, answer) = world.call(Method::GET, "/core/tokens/%ff/", Value::Null).await;
    assert_eq!((status, &answer["code"]), (StatusCode::NOT_FOUND, &json!("not_found")), "{answer}");
    let public = mount(Router::new(), Api::new(Arc::clone(&world.registry), Door::Public));
    let public = public.layer(Extension(RequestSource(None))).layer(Extension(TakesSecrets(true)));
    for (method, path) in [
        (Method::GET, "core/tokens/%ff/"),
        (Method::PATCH, "core/applications/a%C3/"),
        (Method::DELETE, "core/users/%80/"),
        (Method::GET, "core/users/7/"),
    ] {
        let request = Request::builder().method(method).uri(format!("/api/v3/{path}"));
        let answer = public.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}");
        let kind = &answer.headers()[header::CONTENT_TYPE];
        assert_eq!(kind, "application/json", "{path}");
    }
}

/// Of a token as of a binding: an address is a network, and bits behind a prefix are a mistake.
#[tokio::test]
async fn networks_are_read_in_one_way() {
    let world = World::new();
    world.application("vault", None).await;
    let target = world.get("/core/applications/vault/").await["pk"].clone();
    let token = |networks: Value| json!({ "identifier": "other", "networks": networks });
    let binding = |networks: Value| json!({ "target": target, "order": 0, "networks": networks });
    let owner = world.account("owner").await.get();
    world.post("/core/tokens/", json!({ "identifier": "other", "user": owner })).await;
    for (method, path, body) in [
        (Method::PATCH, "/core/tokens/other/", token(json!(["10.0.0.1", "2001:db8::7", "10.0.0.0/8"]))),
        (Method::POST, "/policies/bindings/", binding(json!(["10.0.0.1", "2001:db8::7", "10.0.0.0/8"]))),
    ] {
        let (status, answer) = world.call(method, path, body).await;
        assert!(status.is_success(), "{path}: {answer}");
        assert_eq!(answer["networks"], json!(["10.0.0.1/32", "2001:db8::7/128", "10.0.0.0/8"]), "{path}");
    }
    let mut told = Vec::new();
    for (path, body) in [
        ("/core/tokens/", token(json!(["10.0.0.1/8"]))),
        ("/policies/bindings/", binding(json!(["10.0.0.1/8"]))),
    ] {
        let (status, answer) = world.call(Method::POST, path, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
        told.push(answer["networks"][0].as_str().unwrap().to_owned());
    }
    assert_eq!(told[0], told[1]);
    assert!(told[0].contains("did you mean 10.0.0.0/8?"), "{told:?}");
}

/// A search compares each of them with each name that it asks for.
#[tokio::test]
async fn attributes_with_options_are_few_and_each_is_once() {
    let world = World::new();
    let path = format!("/core/users/{}/", world.account("tagged").await.get());
    let tagged = |count: usize| -> Value {
        (0..count).map(|number| (format!("description;x-{number}"), json!(["x"]))).collect()
    };
    for refused in [
        tagged(65),
        json!({ "description;1;2;3;4;5;6;7;8;9": ["x"] }),
        json!({ "description;x;y": ["a"], "description;Y;x": ["b"] }),
        json!({ "sn;x": ["a"], "surname;x;x": ["b"] }),
    ] {
        let body = json!({ "attributes": refused });
        assert_eq!(world.refused(Method::PATCH, &path, body).await, ["attributes"]);
    }
    for taken in [tagged(64), json!({ "description;1;2;3;4;5;6;7;8": ["x"], "sn;x;y": ["a"], "sn;x": ["b"] })]
    {
        let body = json!({ "attributes": taken });
        assert_eq!(world.patch(&path, body.clone()).await["attributes"], body["attributes"]);
    }
}

/// What means nothing is told, not answered as if something else had been asked.
#[tokio::test]
async fn what_is_sent_is_kept_or_refused() {
    let world = World::new();
    let owner = world.account("owner").await.get();
    let endless = json!({ "identifier": "x", "user": owner, "expiring": false, "expires": "2100-01-01" });
    assert_eq!(world.refused(Method::POST, "/core/tokens/", endless).await, ["expires"]);
    let account = json!({ "name": "x", "expiring": false, "expires": "2100-01-01" });
    assert_eq!(world.refused(Method::POST, "/core/users/service_account/", account).await, ["expires"]);
    let token =
        world.post("/core/tokens/", json!({ "identifier": "x", "user": owner, "expiring": true })).await;
    let later = json!({ "expiring": false, "expires": "2100-01-01" });
    assert_eq!(world.refused(Method::PATCH, "/core/tokens/x/", later).await, ["expires"]);
    let kept = json!({ "expires": null });
    assert_eq!(world.refused(Method::PATCH, "/core/tokens/x/", kept.clone()).await, ["expires"]);
    // Terraform sends the time back that it has read.
    let same = json!({ "expiring": false, "expires": token["expires"] });
    assert_eq!(world.patch("/core/tokens/x/", same).await["expires"], Value::Null);
    assert_eq!(world.patch("/core/tokens/x/", kept).await["expires"], Value::Null);
    for (path, field) in [
        ("/core/users/?page_size=0", "page_size"),
        ("/events/events/?action=foo", "action"),
        ("/events/events/?actions=login&actions=foo", "actions"),
        ("/events/events/volume/?history_days=0", "history_days"),
        ("/events/events/volume/?history_days=99999999", "history_days"),
        ("/events/events/top_per_user/?top_n=0", "top_n"),
        ("/events/events/top_per_user/?top_n=1000", "top_n"),
        ("/schema/?format=yaml", "format"),
    ] {
        assert_eq!(world.refused(Method::GET, path, Value::Null).await, [field], "{path}");
    }
    for path in [
        "/events/events/?action=policy_exception",
        "/events/events/?actions=custom_backup",
        "/schema/?format=json",
    ] {
        world.get(path).await;
    }
    let deep = format!("{{\"attributes\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000));
    let (status, answer) = world.call_with(Method::POST, "/core/users/", deep).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(answer.to_string().contains("in each other"), "{answer}");
    for number in ["12345678901234567890123", "[18446744073709551616]", "-1e30", "-9223372036854775809"] {
        let user = format!("{{\"username\":\"wide\",\"name\":\"\",\"attributes\":{{\"a\":{number}}}}}");
        let (status, answer) = world.call_with(Method::POST, "/core/users/", user).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{number}");
        assert!(answer["attributes"][0].as_str().unwrap().contains("digits"), "{answer}");
    }
    let long = json!({ "username": "x".repeat(257), "name": "" });
    let (_, answer) = world.call(Method::POST, "/core/users/", long).await;
    assert!(answer["username"][0].as_str().unwrap().contains("more than 150 characters"), "{answer}");
    // A binding that is left behind is for an account that is gone, as who may view all of them is told.
    world.application("vault", None).await;
    let target = world.get("/core/applications/vault/").await["pk"].clone();
    world.post("/policies/bindings/", json!({ "target": target, "order": 0, "user": owner })).await;
    world.delete(&format!("/core/users/{owner}/")).await;
    let used = world.get("/core/applications/vault/used_by/").await;
    assert!(used.to_string().contains("account (deleted)"), "{used}");
}

/// Whoever sends much that is wrong gets no answer that is larger, and nothing is looked for without an end.
#[tokio::test]
async fn what_is_wrong_is_told_to_a_bound() {
    let world = World::new();
    let unknown: serde_json::Map<String, Value> =
        (0..20_000).map(|number| (format!("k{number}"), json!(0))).collect();
    let unknown_text = Value::Object(unknown.clone()).to_string();
    let twice = format!("{{{}}}", vec![r#""name":1"#; 20_000].join(","));
    let networks = json!({ "identifier": "x", "networks": vec![1; 100_000] });
    for (path, body) in [
        ("/core/users/", unknown_text.clone()),
        ("/core/users/", twice),
        ("/core/tokens/", networks.to_string()),
        ("/core/tokens/", json!({ "identifier": "x", "networks": [unknown] }).to_string()),
    ] {
        let (status, answer) = world.call_with(Method::POST, path, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
        let told: usize =
            answer.as_object().unwrap().values().filter_map(Value::as_array).map(Vec::len).sum();
        assert!((1..=51).contains(&told), "{path}: {told}");
    }
    // Whoever is nobody has less said to it still.
    let (status, answer) = world.call_with(Method::GET, "/root/config/", unknown_text).await;
    assert_eq!((status, answer.to_string().len() < 200), (StatusCode::BAD_REQUEST, true), "{answer}");
    // What a list is ordered by twice it is ordered by once.
    let ordering = "username,".repeat(500) + "-username,pk";
    for name in ["b", "a"] {
        world.account(name).await;
    }
    let list = world.get(&format!("/core/users/?ordering={ordering}&type=service_account")).await;
    let names: Vec<&Value> =
        list["results"].as_array().unwrap().iter().map(|account| &account["username"]).collect();
    assert!(names.is_sorted_by_key(|name| name.to_string()), "{names:?}");
    let query: String = (0..500).map(|number| format!("q{number}=1&")).collect();
    let (status, answer) = world.call(Method::GET, &format!("/core/users/?{query}"), Value::Null).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(answer.as_object().unwrap().len() <= 52, "{answer}");
}

#[tokio::test]
async fn few_read_at_a_time() {
    let world = World::new();
    let limits = Limits { http_readings_max: 2, ..Limits::default() };
    let api = Api::new(Arc::clone(&world.registry), Door::Public).with_limits(&limits);
    let waited = || world.registry.reached().count(Limit::http_readings_max);
    let operator = operator();
    let first = api.turn_to_read(&operator).await.unwrap();
    let _second = api.turn_to_read(&operator).await.unwrap();
    assert_eq!(waited(), 0);
    let (third, ()) = tokio::join!(api.turn_to_read(&operator), async {
        assert_eq!(waited(), 1);
        drop(first);
    });
    drop(third.unwrap());
}

/// One account, with however many tokens, leaves turns to others.
#[tokio::test]
async fn one_account_has_a_part_of_the_turns() {
    let world = World::new();
    let limits = Limits { http_readings_max: 4, trail_walks_max: 2, ..Limits::default() };
    let api = Api::new(Arc::clone(&world.registry), Door::Public).with_limits(&limits);
    let (one, other) = (world.caller("one", &[]).await, world.caller("other", &[]).await);
    let waited = |limit| world.registry.reached().count(limit);
    let first = api.turn_to_read(&one).await.unwrap();
    let _second = api.turn_to_read(&one).await.unwrap();
    assert_eq!(waited(Limit::http_readings_max), 0);
    let (third, others) = tokio::join!(api.turn_to_read(&one), async {
        let others = [api.turn_to_read(&other).await.unwrap(), api.turn_to_read(&other).await.unwrap()];
        assert_eq!(waited(Limit::http_readings_max), 1);
        drop(first);
        others
    });
    drop((third.unwrap(), others));
    let walk = api.turn_to_walk(&one).await.unwrap();
    let (second, ()) = tokio::join!(api.turn_to_walk(&one), async {
        drop(api.turn_to_walk(&other).await.unwrap());
        assert_eq!(waited(Limit::trail_walks_max), 1);
        drop(walk);
    });
    drop(second.unwrap());
}

/// Whoever walks through the audit trail is kept from no secret meanwhile.
#[tokio::test]
async fn only_a_walk_takes_the_turn_of_one() {
    let mut fixture = rights::Fixture::new().await;
    let limits = Limits { trail_walks_max: 2, ..Limits::default() };
    let api = Api::new(Arc::clone(&fixture.registry), Door::Public).with_limits(&limits);
    fixture.router = mount(Router::new(), api.clone())
        .layer(Extension(RequestSource(None)))
        .layer(Extension(TakesSecrets(true)));
    let holder = Holder { account: fixture.robot, credential: Credential::Password { generation: 1 } };
    let robot = Caller::account(holder, Actor::named("robot"));
    let walk = api.turn_to_walk(&robot).await.unwrap();
    let waits = async || {
        while fixture.registry.reached().count(Limit::trail_walks_max) == 0 {
            tokio::task::yield_now().await;
        }
    };
    // What it may not see is refused, but at once.
    tokio::select! {
        (status, answer) = fixture.send(Method::GET, "/core/tokens/robot-api/view_key/", Value::Null) => {
            assert_eq!(status, StatusCode::FORBIDDEN, "{answer}");
        }
        () = waits() => panic!("a secret waits for a walk"),
    }
    let walked = async { fixture.send(Method::GET, "/events/events/stats/", Value::Null).await };
    let (_, ()) = tokio::join!(walked, async {
        waits().await;
        drop(walk);
    });
}

/// What a list is searched for is read once, and is no more than somebody means.
#[tokio::test]
async fn what_a_list_is_searched_for_has_an_end() {
    let world = World::new();
    let body = json!({ "username": "alice", "name": "Alice Smith", "attributes": { "title": ["a", "b"], "age": 7 } });
    world.post("/core/users/", body).await;
    world.account("bob").await;
    let found = async |query: &str| {
        let query = query.replace('"', "%22");
        let page = world.get(&format!("/core/users/?type=internal&{query}")).await;
        let found = page["results"].as_array().unwrap().iter();
        found.map(|account| account["username"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    // The same word is one, however often and in whichever case.
    let same =
        format!("search={}", ["smith", "SMITH", "ali"].map(|word| vec![word; 900].join("+")).join("+"));
    assert_eq!(found(&same).await, ["alice"]);
    assert_eq!(found("search=smith+bob").await, [] as [&str; 0]);
    assert_eq!(found("search=+").await, ["alice", "bob"]);
    let ones = vec!["\"a\""; 900].join(",");
    assert_eq!(found(&format!("attributes={{\"title\":[{ones}]}}")).await, ["alice"]);
    assert_eq!(found("attributes={\"TITLE\":[\"b\",\"a\"],\"age\":7}").await, ["alice"]);
    assert_eq!(found("attributes={\"title\":\"c\"}").await, [] as [&str; 0]);
    assert_eq!(found("attributes={}").await, ["alice", "bob"]);
    let words: Vec<String> = (0..13).map(|number| format!("w{number}")).collect();
    let wanted: Vec<String> = (0..101).map(|number| number.to_string()).collect();
    for list in ["users", "groups"] {
        for query in [
            format!("search={}", words.join("+")),
            format!("attributes={{\"x\":[{}]}}", wanted.join(",")),
            "attributes={\"x\":[]}".to_owned(),
            "attributes=[]".to_owned(),
        ] {
            let path = format!("/core/{list}/?{}", query.replace('"', "%22"));
            let fields = world.refused(Method::GET, &path, Value::Null).await;
            assert_eq!(fields, [query.split('=').next().unwrap()], "{query}");
        }
        world.get(&format!("/core/{list}/?search={}", words[1..].join("+"))).await;
    }
    // An event is searched for as it is written.
    world.get(&format!("/events/events/?search={}", words.join("+"))).await;
}

/// A list ends with the call that it is read for.
#[tokio::test]
async fn what_nobody_waits_for_is_not_read_on() {
    let world = World::new();
    world.account("alice").await;
    let left = CancellationToken::new();
    let reading = world.reading(&operator(), &[]).until(left.clone());
    let mut walk = reading.walk(1..);
    assert_eq!((walk.next(), walk.next()), (Some(1), Some(2)));
    left.cancel();
    assert_eq!(walk.next(), None);
    assert_eq!(super::super::user_list::list(&reading, Default::default()).unwrap().page.pagination.count, 0);
}

/// What a request calls as an answer calls something of its own is told with its name.
#[tokio::test]
async fn fields_that_are_called_as_those_of_answers_are_named() {
    let world = World::new();
    for name in ["code", "detail", "seed", "non_field_errors", "other"] {
        let body = json!({ "username": "j", "name": "x", name: 1 });
        let (status, answer) = world.call(Method::POST, "/core/users/", body).await;
        assert_eq!((status, &answer["code"]), (StatusCode::BAD_REQUEST, &json!("invalid")), "{answer}");
        let other = if name == "other" { name } else { "non_field_errors" };
        let told = answer[other][0].as_str().unwrap();
        assert!(told.contains("There is no such field"), "{answer}");
        assert!(other == name || told.starts_with(&format!("`{name}`: ")), "{answer}");
        let (_, answer) = world.call(Method::GET, &format!("/core/users/?{name}=1"), Value::Null).await;
        assert!(answer[other][0].as_str().unwrap().contains("There is no such parameter"), "{answer}");
    }
}

/// What cannot be is repeated so far that it is found again, whichever field it stands in, and a time says what is wanted.
#[tokio::test]
async fn what_is_wrong_is_repeated_in_short() {
    let world = World::new();
    let long = "x\n".repeat(50_000);
    for (path, body) in [
        (
            "/core/users/",
            json!({ "username": long, "name": "x", "email": long, "path": format!("{long}//") }),
        ),
        ("/core/users/", json!({ "username": "x", "name": "x", "attributes": { long.clone(): "x" } })),
        ("/core/users/", json!({ "username": "x", "name": "x", long.clone(): "x" })),
        (
            "/core/users/",
            json!({ "username": "x", "name": "x", "attributes": { "cn": { long.clone(): 1 } } }),
        ),
        ("/core/groups/", json!({ "name": long })),
        ("/rbac/roles/", json!({ "name": long })),
        ("/core/tokens/", json!({ "identifier": long, "intent": long, "expires": "2001-01-01", "user": 1 })),
        ("/core/applications/", json!({ "slug": long, "name": long, "meta_launch_url": long })),
        (
            "/providers/ldap/",
            json!({ "name": long, "base_dn": long, "users": [{ "container": long, "naming": long }] }),
        ),
        ("/events/events/", json!({ "action": long, "app": "x" })),
    ] {
        let (status, answer) = world.call(Method::POST, path, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
        let octets = answer.to_string().len();
        assert!(octets < 4_096, "{path}: {octets} octets");
    }
    let owner = world.account("owner").await.get();
    for time in ["9999-12-30", "9999-12-31", "9999-12-31T23:59:59Z"] {
        let token = json!({ "identifier": "x", "user": owner, "expires": time });
        let (_, answer) = world.call(Method::POST, "/core/tokens/", token).await;
        assert_eq!(
            answer["expires"][0],
            "Not a valid value: expected a time up to \"9999-12-30T22:00:00Z\"."
        );
    }
}

/// A text that describes something has an end, wherever it comes from; the same length is told in the same words.
#[tokio::test]
async fn no_text_is_without_end() {
    let world = World::new();
    let owner = world.account("owner").await.get();
    let long = "x".repeat(4_097);
    let longest = &long[1..];
    let at_most = "of more than 4096 octets; give it a shorter one";
    let networks: Vec<String> = (0..=1_000).map(|_| "10.0.0.0/8".to_owned()).collect();
    for (path, field, body, said) in [
        ("/core/users/", "name", json!({ "username": "x", "name": long }), at_most),
        (
            "/core/tokens/",
            "description",
            json!({ "identifier": "x", "user": owner, "description": long }),
            at_most,
        ),
        (
            "/core/applications/",
            "meta_description",
            json!({ "slug": "x", "name": "x", "meta_description": long }),
            at_most,
        ),
        (
            "/core/tokens/",
            "networks",
            json!({ "identifier": "x", "user": owner, "networks": networks }),
            "more than 1000 networks",
        ),
        (
            "/core/users/",
            "attributes",
            json!({ "username": "x", "name": "x", "attributes": { format!("mobile;lang-{long}"): "1" } }),
            "more than 256 octets",
        ),
    ] {
        let (status, answer) = world.call(Method::POST, path, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}: {answer}");
        assert!(answer[field][0].as_str().is_some_and(|message| message.contains(said)), "{path}: {answer}");
    }
    world.post("/core/users/", json!({ "username": "long", "name": longest })).await;
    world.post("/core/tokens/", json!({ "identifier": "t", "user": owner, "description": longest })).await;
    for (path, body) in [
        ("/core/tokens/t/", json!({ "description": long })),
        ("/core/tokens/t/", json!({ "networks": networks })),
    ] {
        world.refused(Method::PATCH, path, body).await;
    }
}
