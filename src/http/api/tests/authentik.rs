//! What authentik's own tests ask of its API, restated where bindery once answered otherwise.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::super::fixed::CERTIFICATE;
use super::rights::{Fixture, global, text};
use super::*;
use crate::http::api::PREFIX;
use crate::model::Intent;
use crate::registry::commands::testing::new_token;

#[tokio::test]
async fn a_service_account_is_refused_by_the_field_that_was_sent() {
    let world = World::new();
    let taken = json!({ "name": "portal", "create_group": true });
    let (status, made) = world.call(Method::POST, "/core/users/service_account/", taken.clone()).await;
    assert_eq!((status, &made["username"]), (StatusCode::OK, &json!("portal")));
    for body in
        [taken, json!({ "name": "PORTAL" }), json!({ "name": "" }), json!({ "name": "a\u{0}b" }), json!({})]
    {
        assert_eq!(world.refused(Method::POST, "/core/users/service_account/", body).await, ["name"]);
    }
}

#[tokio::test]
async fn who_joins_or_leaves_and_is_nobody_is_not_found() {
    let fixture = Fixture::new().await;
    let may = [
        "add_user_to_group",
        "remove_user_from_group",
        "change_role",
        "view_user",
        "view_group",
        "view_role",
    ];
    fixture.grant(may.map(|name| global(name.parse().unwrap())).to_vec()).await;
    for path in ["/core/groups/<group>/", "/rbac/roles/<role>/"] {
        for call in ["add_user", "remove_user"] {
            let path = format!("{path}{call}/");
            let (status, answer) = fixture.send(Method::POST, &path, json!({ "pk": 4_711 })).await;
            assert_eq!(
                (status, &answer["detail"]),
                (StatusCode::NOT_FOUND, &json!("there is no account 4711")),
                "{path}"
            );
            let (status, answer) = fixture.send(Method::POST, &path, json!({})).await;
            assert_eq!(
                (status, &answer["pk"][0]),
                (StatusCode::BAD_REQUEST, &json!("This field is required.")),
                "{path}"
            );
        }
    }
}

/// Each field of a body that names an object: one that the caller may not view is answered as one that there is not, with
/// 400 on the field, whatever else the caller may do.
#[tokio::test]
async fn what_may_not_be_viewed_is_not_there_in_any_body() {
    let fixture = Fixture::new().await;
    let hidden = fixture.registry.change(Actor::named("test"), |transaction| {
        let number = create_account(
            transaction,
            "hidden".to_owned(),
            AccountKind::Internal,
            AccountChanges::default(),
        )?;
        let group =
            crate::registry::commands::create_group(transaction, "hidden".to_owned(), Default::default())?;
        let role =
            crate::registry::commands::create_role(transaction, "hidden".to_owned(), Default::default())?;
        let application = crate::registry::commands::create_application(
            transaction,
            "hidden".to_owned(),
            Default::default(),
        )?;
        Ok((number, group, role, application))
    });
    let (account, group, role, application) = hidden.await.unwrap();
    fixture
        .registry
        .create_token(Actor::named("test"), new_token("hidden", "hidden", Intent::Api))
        .await
        .unwrap();
    let snapshot = fixture.registry.snapshot();
    let accounts = snapshot.accounts();
    let pks = [
        ("user", json!(account.get()), json!(4_711), Permission::ViewUser),
        (
            "group",
            json!(accounts.group(group).unwrap().uuid),
            json!(Uuid::from_u128(4_711)),
            Permission::ViewGroup,
        ),
        (
            "role",
            json!(accounts.role(role).unwrap().uuid),
            json!(Uuid::from_u128(4_711)),
            Permission::ViewRole,
        ),
        (
            "application",
            json!(accounts.application(application).unwrap().uuid),
            json!(Uuid::from_u128(4_711)),
            Permission::ViewApplication,
        ),
        (
            "token",
            json!(accounts.token_named("hidden").unwrap().uuid),
            json!(Uuid::from_u128(4_711)),
            Permission::ViewToken,
        ),
        ("ldapprovider", json!(fixture_provider(&fixture)), json!(4_711), Permission::ViewProvider),
        ("certificate", json!(CERTIFICATE), json!(Uuid::from_u128(4_711)), Permission::ViewCertificate),
    ];
    let assign = |kind: &str| {
        let label = if kind == "role" {
            "rbac"
        } else if kind == "ldapprovider" {
            "providers_ldap"
        } else {
            "core"
        };
        let body = json!({ "permissions": [format!("view_{kind}")], "model": format!("authentik_{label}.{kind}"), "object_pk": "PK" });
        ["assign", "unassign"].into_iter().flat_map(move |verb| {
            let body = body.clone();
            ["roles/<role>", "groups/<group>", "users/<user>"].map(|who| {
                let method = if verb == "assign" { Method::POST } else { Method::PATCH };
                (method, format!("/rbac/permissions/assigned_by_{who}/{verb}/"), "object_pk", body.clone())
            })
        })
    };
    let both = |post: &str, patch: &str, field: &'static str, required: Value, pk: Value| {
        let mut body = required;
        body[field] = pk.clone();
        [
            (Method::POST, post.to_owned(), field, body),
            (Method::PATCH, patch.to_owned(), field, json!({ field: pk })),
        ]
    };
    let user = json!({ "username": "new", "name": "new" });
    let (new, order) = (json!({ "name": "new" }), json!({ "target": "<application_pk>", "order": 0 }));
    let mut bodies = Vec::new();
    for (field, kind) in [("groups", "group"), ("roles", "role")] {
        bodies.extend(
            both("/core/users/", "/core/users/<user>/", field, user.clone(), json!(["PK"]))
                .map(|row| (kind, row)),
        );
    }
    for (field, kind) in [("users", "user"), ("parents", "group"), ("roles", "role")] {
        bodies.extend(
            both("/core/groups/", "/core/groups/<spare>/", field, new.clone(), json!(["PK"]))
                .map(|row| (kind, row)),
        );
    }
    let token = json!({ "identifier": "new" });
    bodies.extend(
        both("/core/tokens/", "/core/tokens/<token>/", "user", token, json!("PK")).map(|row| ("user", row)),
    );
    for (field, kind) in [("target", "application"), ("group", "group"), ("user", "user")] {
        let mut order = order.clone();
        if field == "target" {
            order["networks"] = json!(["192.0.2.0/24"]);
        }
        let rows = both("/policies/bindings/", "/policies/bindings/<binding>/", field, order, json!("PK"));
        bodies.extend(rows.map(|row| (kind, row)));
    }
    let application = json!({ "name": "new", "slug": "new" });
    let rows = both(
        "/core/applications/",
        "/core/applications/<application>/",
        "provider",
        application,
        json!("PK"),
    );
    bodies.extend(rows.map(|row| ("ldapprovider", row)));
    let provider =
        json!({ "name": "new", "authorization_flow": Uuid::nil(), "invalidation_flow": Uuid::nil() });
    let rows = both("/providers/ldap/", "/providers/ldap/<provider>/", "certificate", provider, json!("PK"));
    bodies.extend(rows.map(|row| ("certificate", row)));
    // A field that names an object and is not tried here is found by what the document says of it.
    let resource = |path: &str| path.split('/').take(3).collect::<Vec<&str>>().join("/");
    let tried: BTreeSet<(String, &str)> =
        bodies.iter().map(|(_, (_, path, field, _))| (resource(path), *field)).collect();
    let mut others = references();
    others.retain(|(path, field)| !tried.contains(&(resource(path), field.as_str())));
    let others: Vec<String> = others.iter().map(|(path, field)| format!("{path} {field}")).collect();
    assert_eq!(others, NO_REFERENCES);
    // What there is no grant on is no object of one.
    for (kind, ..) in pks.iter().filter(|(kind, ..)| *kind != "certificate") {
        bodies.extend(assign(kind).map(|row| (*kind, row)));
    }
    let mut asked = 0;
    for (kind, (method, path, field, body)) in bodies {
        let (_, hidden, absent, view) = pks.iter().find(|(other, ..)| *other == kind).unwrap();
        // All but the right to view objects of this kind, and what includes it: who may change the provider or the
        // application that is tied or bound may name it.
        let may = Permission::ALL.iter().copied().filter(|permission| {
            permission != view
                && !(field == "provider" && *permission == Permission::ChangeProvider)
                && !(field == "target" && *permission == Permission::ChangeApplication)
        });
        let on_target = (field == "target").then(|| on_target(&fixture));
        fixture.grant(may.map(global).chain(on_target.into_iter().flatten()).collect()).await;
        let mut told = Vec::new();
        for pk in [hidden, absent] {
            let filled = match pk.as_str() {
                Some(uuid) => body.to_string().replace("PK", uuid),
                None if field == "object_pk" => body.to_string().replace("PK", &pk.to_string()),
                None => body.to_string().replace("\"PK\"", &pk.to_string()),
            };
            let (status, answer) =
                fixture.send(method.clone(), &path, serde_json::from_str(&filled).unwrap()).await;
            let named = answer.to_string().replace(&text(pk), "PK");
            assert_eq!(status, StatusCode::BAD_REQUEST, "{method} {path} {filled}: {answer}");
            assert!(answer[field][0].is_string(), "{method} {path} {filled}: {answer}");
            told.push(named);
        }
        assert_eq!(told[0], told[1], "{method} {path} {body}");
        asked += 1;
    }
    assert_eq!(asked, 4 + 6 + 2 + 6 + 2 + 2 + 36);
}

/// The fields of bodies that have the form of what an object is named by, a UUID or a number of one, by the path.
fn references() -> BTreeSet<(String, String)> {
    let document = crate::http::api::openapi::written(&crate::http::api::table::routes());
    let document: Value = serde_json::from_slice(&document).unwrap();
    let mut found = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for operation in methods.as_object().unwrap().values() {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) else {
                continue;
            };
            let fields = document["components"]["schemas"][name]["properties"].as_object();
            for (field, schema) in fields.into_iter().flatten() {
                let choices = schema["anyOf"].as_array().cloned().unwrap_or_default();
                let is_reference = [schema, &schema["items"]]
                    .into_iter()
                    .chain(&choices)
                    .any(|schema| [json!("uuid"), json!("uint32")].contains(&schema["format"]));
                if is_reference {
                    found.insert((path.trim_start_matches(PREFIX).to_owned(), field.clone()));
                }
            }
        }
    }
    found
}

/// Those that are refused whatever they name, that name nothing and are kept as they are given, that are seconds, and that stand
/// in a body as in a path: 404.
const NO_REFERENCES: [&str; 18] = [
    "/core/applications/ backchannel_providers",
    "/core/applications/{slug}/ backchannel_providers",
    "/core/groups/{group_uuid}/add_user/ pk",
    "/core/groups/{group_uuid}/remove_user/ pk",
    "/policies/bindings/ policy",
    "/policies/bindings/ timeout",
    "/policies/bindings/{policy_binding_uuid}/ policy",
    "/policies/bindings/{policy_binding_uuid}/ timeout",
    "/providers/ldap/ authentication_flow",
    "/providers/ldap/ authorization_flow",
    "/providers/ldap/ invalidation_flow",
    "/providers/ldap/ property_mappings",
    "/providers/ldap/{id}/ authentication_flow",
    "/providers/ldap/{id}/ authorization_flow",
    "/providers/ldap/{id}/ invalidation_flow",
    "/providers/ldap/{id}/ property_mappings",
    "/rbac/roles/{uuid}/add_user/ pk",
    "/rbac/roles/{uuid}/remove_user/ pk",
];

/// Who may not view the certificate is not shown that a provider has it, and takes it away by giving back what was read as
/// little as by saying nothing.
#[tokio::test]
async fn a_certificate_that_is_hidden_stays_where_it_was() {
    let fixture = Fixture::new().await;
    let (all, path) = (Permission::ALL, "/providers/ldap/<provider>/");
    let shown = async || fixture.send(Method::GET, path, Value::Null).await.1;
    fixture.grant(all.iter().copied().map(global).collect()).await;
    assert_eq!(shown().await["certificate"], json!(CERTIFICATE));
    let without = all.iter().copied().filter(|permission| *permission != Permission::ViewCertificate);
    fixture.grant(without.map(global).collect()).await;
    let read = shown().await;
    assert_eq!(read["certificate"], Value::Null);
    let (status, answer) = fixture.send(Method::PUT, path, read).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    fixture.grant(all.iter().copied().map(global).collect()).await;
    assert_eq!(shown().await["certificate"], json!(CERTIFICATE));
    // Whoever sees it may take it away.
    fixture.send(Method::PATCH, path, json!({ "certificate": null })).await;
    assert_eq!(shown().await["certificate"], Value::Null);
}

/// What authentik's published client has for what bindery serves and bindery has not, as `docs/from-authentik.md` says in its
/// rows.
#[tokio::test]
async fn what_there_is_not_of_the_published_client_is_refused_as_the_page_says() {
    let fixture = Fixture::new().await;
    fixture.grant(Permission::ALL.iter().copied().map(global).collect()).await;
    let page = include_str!("../../../../docs/from-authentik.md");
    let key = "/crypto/certificatekeypairs/<certificate>/";
    for (row, status, calls) in [
        (
            "`crypto/certificatekeypairs/`",
            405,
            &[
                (Method::POST, "/crypto/certificatekeypairs/"),
                (Method::POST, "/crypto/certificatekeypairs/generate/"),
                (Method::PUT, key),
                (Method::PATCH, key),
                (Method::DELETE, key),
            ] as &[_],
        ),
        (
            "`core/users/export/`, `account_lockdown/`, `switch/`",
            405,
            &[
                (Method::POST, "/core/users/export/"),
                (Method::POST, "/core/users/account_lockdown/"),
                (Method::POST, "/core/users/switch/"),
            ],
        ),
        ("`POST` of `admin/system/`", 405, &[(Method::POST, "/admin/system/")]),
        ("`core/applications/requestable/`", 404, &[(Method::GET, "/core/applications/requestable/")]),
        (
            "`core/object_attributes/`, `core/user_consent/`",
            404,
            &[
                (Method::GET, "/core/object_attributes/"),
                (Method::POST, "/core/object_attributes/"),
                (Method::GET, "/core/user_consent/"),
                (Method::DELETE, "/core/user_consent/1/"),
            ],
        ),
        (
            "`admin/settings/`, `admin/models/`, `admin/apps/`, `admin/file/`, `admin/version/history/{id}/`",
            404,
            &[
                (Method::GET, "/admin/settings/"),
                (Method::PATCH, "/admin/settings/"),
                (Method::GET, "/admin/models/"),
                (Method::GET, "/admin/apps/"),
                (Method::GET, "/admin/file/"),
                (Method::POST, "/admin/file/"),
                (Method::DELETE, "/admin/file/"),
                (Method::GET, "/admin/version/history/1/"),
            ],
        ),
    ] {
        let line = page.lines().find(|line| line.starts_with(&format!("| {row} "))).unwrap_or_default();
        assert!(line.contains(&format!("| {status}")), "{row}: {line}");
        for (method, path) in calls {
            let body = if *method == Method::GET { Value::Null } else { json!({}) };
            let (answered, answer) = fixture.send(method.clone(), path, body).await;
            assert_eq!(answered.as_u16(), status, "{method} {path}: {answer}");
            assert!(answer["detail"].is_string(), "{method} {path}: {answer}");
        }
    }
    // A group is sent back as it was read; one that is made has no children yet.
    let group = "/core/groups/<group>/";
    assert!(page.contains("| `children` in a request are ignored | 400 where a group is made; "));
    let (status, _) =
        fixture.send(Method::POST, "/core/groups/", json!({ "name": "new", "children": [] })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, answer) = fixture.send(Method::PATCH, group, json!({ "children": [Uuid::nil()] })).await;
    assert_eq!((status, &answer["children"]), (StatusCode::OK, &json!([])));
}

/// The provider that is there already, which nobody sees without a permission.
fn fixture_provider(fixture: &Fixture) -> u32 {
    fixture.registry.snapshot().accounts().providers().next().unwrap().number.get()
}

/// What it takes to change the application that is bound already.
fn on_target(fixture: &Fixture) -> [Grant; 1] {
    let snapshot = fixture.registry.snapshot();
    let application = snapshot.accounts().application_named("target").unwrap();
    [Grant {
        permission: Permission::ChangeApplication,
        on: Some(ObjectReference::Application(application.number)),
    }]
}

#[tokio::test]
async fn used_by_says_what_a_deletion_does() {
    let world = World::new();
    let group = world.post("/core/groups/", json!({ "name": "staff" })).await;
    let user = world.post("/core/users/", json!({ "username": "alice", "name": "Alice" })).await;
    let application = world.post("/core/applications/", json!({ "name": "Wiki", "slug": "wiki" })).await;
    for subject in [json!({ "group": group["pk"] }), json!({ "user": user["pk"] })] {
        let mut binding = subject;
        binding["target"] = application["pk"].clone();
        binding["order"] = json!(0);
        world.post("/policies/bindings/", binding).await;
    }
    // A group that decides who may use an application stays; an account that a binding names may go.
    let path = format!("/core/groups/{}/", text(&group["pk"]));
    let used = world.get(&format!("{path}used_by/")).await;
    assert_eq!((&used[0]["name"], &used[0]["prevents_deletion"]), (&json!("Wiki"), &json!(true)));
    let (status, refused) = world.call(Method::DELETE, &path, Value::Null).await;
    assert!(text(&refused["detail"]).contains("`wiki`: delete the binding first"), "{status} {refused}");
    let path = format!("/core/users/{}/", text(&user["pk"]));
    let used = world.get(&format!("{path}used_by/")).await;
    assert_eq!((&used[0]["name"], &used[0]["action"]), (&json!("Wiki"), &json!("left_dangling")));
    assert!(used[0].get("prevents_deletion").is_none(), "{used}");
    world.delete(&path).await;

    // A token takes with it what it has replaced.
    world.post("/core/users/", json!({ "username": "bob", "name": "Bob" })).await;
    let mut new = json!({ "identifier": "bob-app", "intent": "app_password" });
    new["user"] = world.get("/core/users/?username=bob").await["results"][0]["pk"].clone();
    world.post("/core/tokens/", new).await;
    let path = "/core/tokens/bob-app/";
    assert_eq!(world.get(&format!("{path}used_by/")).await, json!([]));
    let (status, _) = world.call(Method::POST, &format!("{path}rotate/"), json!({ "overlap": 3600 })).await;
    assert_eq!(status, StatusCode::OK);
    let used = world.get(&format!("{path}used_by/")).await;
    let replaced = text(&used[0]["name"]);
    assert!(replaced.starts_with("bob-app-replaced-until-") && used[0]["action"] == "cascade", "{used}");
    world.delete(path).await;
    let gone = world.status(Method::GET, &format!("/core/tokens/{replaced}/"), Value::Null).await;
    assert_eq!(gone, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_address_has_the_name_of_who_asks_in_it() {
    let fixture = Fixture::new().await;
    let may = [Permission::ViewApplication, Permission::AddApplication];
    fixture.grant(may.map(global).to_vec()).await;
    let given = "https://%(username)s.example.com/%(username)s?kind=%(type)s";
    let new = json!({ "name": "Wiki", "slug": "wiki", "meta_launch_url": given });
    let filled = json!("https://robot.example.com/robot?kind=service_account");
    let (_, made) = fixture.send(Method::POST, "/core/applications/", new).await;
    let (_, read) = fixture.send(Method::GET, "/core/applications/wiki/", Value::Null).await;
    let (_, listed) = fixture.send(Method::GET, "/core/applications/?slug=wiki", Value::Null).await;
    for shown in [&made, &read, &listed["results"][0]] {
        assert_eq!((&shown["launch_url"], &shown["meta_launch_url"]), (&filled, &json!(given)));
    }
    // Filled in it is no longer than a browser takes.
    fixture
        .grant([may.as_slice(), &[Permission::ChangeUser]].concat().into_iter().map(global).collect())
        .await;
    let me = fixture.send(Method::GET, "/core/users/me/", Value::Null).await.1["user"]["pk"].clone();
    let long = json!({ "name": "ä%".repeat(1_000) });
    let (status, answer) = fixture.send(Method::PATCH, &format!("/core/users/{me}/"), long).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let given_often = format!("https://example.com/{}", "%(name)s".repeat(500));
    let new = json!({ "name": "Long", "slug": "long", "meta_launch_url": given_often });
    let (_, made) = fixture.send(Method::POST, "/core/applications/", new).await;
    assert_eq!(made["launch_url"], json!(given_often));
    // The operator is no account.
    let world = World::new();
    let made = json!({ "name": "Wiki", "slug": "wiki", "meta_launch_url": given });
    assert_eq!(world.post("/core/applications/", made).await["launch_url"], given);
}

#[tokio::test]
async fn an_account_sees_its_own_tokens_and_exchanges_the_one_it_has_come_with() {
    let mut fixture = Fixture::new().await;
    let registry = Arc::clone(&fixture.registry);
    registry
        .create_token(Actor::named("test"), new_token("robot-app", "robot", Intent::AppPassword))
        .await
        .unwrap();
    fixture.grant(Vec::new()).await;
    let identifiers = |list: &Value| -> Vec<String> {
        list["results"].as_array().unwrap().iter().map(|token| text(&token["identifier"])).collect()
    };
    let (status, list) = fixture.send(Method::GET, "/core/tokens/?ordering=identifier", Value::Null).await;
    assert_eq!(
        (status, identifiers(&list)),
        (StatusCode::OK, vec!["robot-api".to_owned(), "robot-app".to_owned()])
    );
    for (path, expected) in [
        ("/core/tokens/robot-app/", StatusCode::OK),
        ("/core/tokens/robot-app/used_by/", StatusCode::OK),
        ("/core/tokens/target/", StatusCode::NOT_FOUND),
        // A look is no secret.
        ("/core/tokens/robot-app/view_key/", StatusCode::FORBIDDEN),
    ] {
        let (status, answer) = fixture.send(Method::GET, path, Value::Null).await;
        assert_eq!(status, expected, "{path}: {answer}");
    }
    for (method, path, body, missing) in [
        (Method::PATCH, "/core/tokens/robot-app/", json!({ "description": "mine" }), "change_token"),
        (Method::DELETE, "/core/tokens/robot-app/", Value::Null, "delete_token"),
        (Method::POST, "/core/tokens/robot-app/set_key/", json!({ "key": "x".repeat(40) }), "set_token_key"),
        (Method::POST, "/core/tokens/robot-api/set_key/", json!({ "key": "x".repeat(40) }), "set_token_key"),
        // It may end later, or work from more places, than the one that it has come with.
        (Method::POST, "/core/tokens/robot-app/rotate/", json!({}), "set_token_key"),
    ] {
        let (status, answer) = fixture.send(method.clone(), path, body).await;
        let why = text(&answer["detail"]);
        assert!(status == StatusCode::FORBIDDEN && why.contains(missing), "{method} {path}: {answer}");
    }
    let (status, rotated) =
        fixture.send(Method::POST, "/core/tokens/robot-api/rotate/", json!({ "overlap": 0 })).await;
    assert_eq!((status, &rotated["identifier"]), (StatusCode::OK, &json!("robot-api")), "{rotated}");
    // The old one is gone, the new one is the same to the caller.
    let (status, _) = fixture.send(Method::GET, "/core/users/me/", Value::Null).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    fixture.secret = text(&rotated["key"]);
    let (status, list) = fixture.send(Method::GET, "/core/tokens/", Value::Null).await;
    assert_eq!((status, identifiers(&list).len()), (StatusCode::OK, 2));
    // The old one works no longer beside it than the config says, whatever is asked for.
    let ninety_days = json!({ "overlap": 90 * 86_400 });
    let (status, rotated) = fixture.send(Method::POST, "/core/tokens/robot-api/rotate/", ninety_days).await;
    assert_eq!(status, StatusCode::OK, "{rotated}");
    fixture.secret = text(&rotated["key"]);
    let latest = registry.now().after(registry.rotation_overlap());
    let snapshot = registry.snapshot();
    let mut replaced = snapshot.accounts().tokens().filter(|token| token.is_replaced);
    assert!(replaced.all(|token| token.expires.unwrap() <= latest));
    // With the permission another of its own, too, without a look at tokens.
    fixture.grant(vec![global(Permission::SetTokenKey)]).await;
    let (status, answer) = fixture.send(Method::POST, "/core/tokens/robot-app/rotate/", json!({})).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
}

#[tokio::test]
async fn events_are_counted_and_found_by_what_was_done_to_an_account() {
    let world = World::new();
    let alice = json!({ "username": "alice", "name": "Alice", "email": "alice@example.com" });
    let alice = world.post("/core/users/", alice).await;
    world.post("/core/users/", json!({ "username": "bob", "name": "Bob" })).await;
    world.post("/core/groups/", json!({ "name": "alice" })).await;
    let path = format!("/core/users/{}/", text(&alice["pk"]));
    for is_active in [false, true] {
        world.patch(&path, json!({ "is_active": is_active })).await;
        let found = world.get("/events/events/?username=Alice&action=model_updated").await;
        assert_eq!(found["results"][0]["context"]["model"]["pk"], alice["pk"], "{found}");
        // What is called so and is no account is another thing.
        let found = world.listed("/events/events/?username=alice&action=model_created", "context").await;
        assert_eq!(found.len(), 1, "{found:?}");
    }
    let stats = world
        .get("/events/events/stats/?count_steps=hours=24&count_steps=days=7&count_steps=weeks=1;days=2")
        .await;
    let all = stats["count_step"]["hours24"].as_u64().unwrap();
    assert!(all >= 5 && stats["unique_users"].as_u64() >= Some(1), "{stats}");
    assert_eq!(stats["count_step"], json!({ "hours24": all, "days7": all, "weeks1days2": all }));
    let of_alice =
        world.get("/events/events/stats/?count_steps=days=7&username=alice&action=model_updated").await;
    assert_eq!(of_alice["count_step"], json!({ "days7": 2 }));
    let none = world.get("/events/events/stats/?count_steps=days=7&brand_name=x").await;
    assert_eq!(none, json!({ "unique_users": 0, "count_step": { "days7": 0 } }));
    for query in ["?count_steps=24d", "?count_steps=hours=24&count_steps=x", ""] {
        let path = format!("/events/events/stats/{query}");
        let (status, answer) = world.call(Method::GET, &path, Value::Null).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}: {answer}");
    }
    // By what it is about: of an application of authentik alone, and by a number only what is told by one.
    let role = world.post("/rbac/roles/", json!({ "name": "hr" })).await;
    let of_role = world.registry.snapshot().accounts().role_named("hr").unwrap().number;
    for (query, expected) in [
        ("context_model_app=authentik_rbac".to_owned(), vec![role["pk"].clone()]),
        ("context_model_app=nonsense".to_owned(), vec![]),
        ("context_model_app=authentik_core&context_model_name=role".to_owned(), vec![]),
        (format!("context_model_pk={of_role}&context_model_name=role"), vec![]),
        (format!("context_model_pk={}", text(&role["pk"])), vec![role["pk"].clone()]),
        (format!("context_model_pk={}&action=model_created", text(&alice["pk"])), vec![alice["pk"].clone()]),
        // Each word stands somewhere.
        ("search=hr+model_created".to_owned(), vec![role["pk"].clone()]),
        ("search=hr+model_deleted".to_owned(), vec![]),
    ] {
        let found = world.get(&format!("/events/events/?{query}")).await;
        let about = |event: &Value| event["context"]["model"]["pk"].clone();
        let found: Vec<Value> = found["results"].as_array().unwrap().iter().map(about).collect();
        assert_eq!(found, expected, "{query}");
    }
    // By any action: what was done to an application counts for it.
    world.post("/core/applications/", json!({ "name": "Wiki", "slug": "wiki" })).await;
    world.patch("/core/applications/wiki/", json!({ "name": "The wiki" })).await;
    for (query, expected) in [
        ("", json!([{ "application": { "name": "wiki" }, "counted_events": 2, "unique_users": 1 }])),
        (
            "?action=model_created",
            json!([{ "application": { "name": "wiki" }, "counted_events": 1, "unique_users": 1 }]),
        ),
        ("?action=authorize_application", json!([])),
    ] {
        assert_eq!(world.get(&format!("/events/events/top_per_user/{query}")).await, expected, "{query}");
    }
    // Who did it is told with the address of now.
    let caller = world.caller("carol", &[(Permission::ChangeUser, None), (Permission::ViewUser, None)]).await;
    let number = AccountNumber::new(u32::try_from(alice["pk"].as_u64().unwrap()).unwrap());
    world
        .change(&caller, move |transaction| {
            let named = AccountChanges { name: Some("Alice A.".to_owned()), ..AccountChanges::default() };
            crate::registry::commands::update_account(transaction, number, named)
        })
        .await
        .unwrap();
    let carol = world.get("/core/users/?username=carol").await["results"][0]["pk"].clone();
    world.patch(&format!("/core/users/{}/", text(&carol)), json!({ "email": "carol@example.com" })).await;
    let found = world.get("/events/events/?username=carol&action=model_updated").await;
    let mut done =
        found["results"].as_array().unwrap().iter().filter(|event| event["user"]["username"] == "carol");
    let event = done.next().unwrap();
    assert_eq!((&event["user"]["email"], done.next()), (&json!("carol@example.com"), None), "{found}");
    let one = world.get(&format!("/events/events/{}/", text(&event["pk"]))).await;
    assert_eq!(one["user"]["email"], "carol@example.com");
}

#[tokio::test]
async fn what_scripts_grant_of_authentik_opens_nothing_alone() {
    let fixture = Fixture::new().await;
    let group = "/core/groups/<spare>/";
    let change = |is_superuser: bool| json!({ "name": "spare", "is_superuser": is_superuser });
    let may = |more: &[Permission]| -> Vec<Grant> {
        let all = [Permission::AddGroup, Permission::ChangeGroup, Permission::ViewGroup];
        all.into_iter().chain(more.iter().copied()).map(global).collect()
    };
    let new = json!({ "name": "new", "is_superuser": true });
    for (more, why) in [
        (&[][..], "authentik_core.enable_group_superuser` is missing"),
        (&[Permission::DisableGroupSuperuser], "authentik_core.enable_group_superuser` is missing"),
        (&[Permission::EnableGroupSuperuser], "about the rights of a superuser, and you are none"),
        (
            &[Permission::EnableGroupSuperuser, Permission::DisableGroupSuperuser],
            "about the rights of a superuser",
        ),
    ] {
        fixture.grant(may(more)).await;
        for (method, path, body) in [
            (Method::PATCH, group, change(true)),
            (Method::PUT, group, change(true)),
            (Method::POST, "/core/groups/", new.clone()),
        ] {
            let (status, answer) = fixture.send(method.clone(), path, body).await;
            assert!(
                status == StatusCode::FORBIDDEN && text(&answer["detail"]).contains(why),
                "{method} {path}: {answer}"
            );
        }
        // What is so already is no change.
        let (status, answer) = fixture.send(Method::PATCH, group, change(false)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
    // A superuser holds both.
    let robot = fixture.robot;
    let made = fixture.registry.change(Actor::named("test"), move |transaction| {
        let changes =
            crate::registry::commands::GroupChanges { is_superuser: Some(true), ..Default::default() };
        let group = crate::registry::commands::create_group(transaction, "admins".to_owned(), changes)?;
        crate::registry::commands::set_member(transaction, group, robot, true)
    });
    made.await.unwrap();
    for is_superuser in [true, false] {
        let (status, answer) = fixture.send(Method::PATCH, group, change(is_superuser)).await;
        assert_eq!((status, &answer["is_superuser"]), (StatusCode::OK, &json!(is_superuser)), "{answer}");
    }

    // The console's permission is shown to whoever holds it, and opens no row.
    let fixture = Fixture::new().await;
    fixture.grant(vec![global(Permission::AccessAdminInterface)]).await;
    let (_, me) = fixture.send(Method::GET, "/core/users/me/", Value::Null).await;
    assert_eq!(me["user"]["system_permissions"], json!(["access_admin_interface"]));
    for path in [
        "/admin/system/",
        "/events/events/",
        "/core/users/<user>/",
        "/crypto/certificatekeypairs/<certificate>/",
    ] {
        let (status, answer) = fixture.send(Method::GET, path, Value::Null).await;
        assert!(matches!(status.as_u16(), 403 | 404), "{path}: {answer}");
    }
    for permission in ["access_admin_interface", "enable_group_superuser", "disable_group_superuser"] {
        let (status, answer) = fixture
            .send(Method::GET, &format!("/rbac/permissions/?codename={permission}"), Value::Null)
            .await;
        assert_eq!((status, &answer["pagination"]["count"]), (StatusCode::OK, &json!(1)), "{permission}");
    }
}

#[tokio::test]
async fn an_account_says_whether_its_new_tokens_expire() {
    let world = World::new();
    for (username, said, expires) in [
        ("silent", json!({}), true),
        ("no", json!({ "goauthentik.io/user/token-expires": false }), false),
        ("yes", json!({ "goauthentik.io/user/token-expires": true }), true),
    ] {
        let new = json!({ "username": username, "name": username, "attributes": said });
        let pk = world.post("/core/users/", new).await["pk"].clone();
        let token = |suffix: &str| json!({ "identifier": format!("{username}-{suffix}"), "user": pk, "intent": "app_password" });
        let made = world.post("/core/tokens/", token("default")).await;
        assert_eq!(
            (&made["expiring"], made["expires"].is_string()),
            (&json!(expires), expires),
            "{username}"
        );
        // What is said counts.
        for expiring in [true, false] {
            let mut body = token(if expiring { "expiring" } else { "staying" });
            body["expiring"] = json!(expiring);
            assert_eq!(world.post("/core/tokens/", body).await["expiring"], json!(expiring), "{username}");
        }
        let mut body = token("dated");
        body["expires"] = json!("2099-01-01T00:00:00Z");
        assert_eq!(world.post("/core/tokens/", body).await["expires"], "2099-01-01T00:00:00Z", "{username}");
    }
}
