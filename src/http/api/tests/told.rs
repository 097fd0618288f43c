//! Whoever gives rights, or binds an application, is told what comes with it, as far as they may know of it.

use super::*;
use crate::access::Rights;
use crate::http::api::call::REHEARSE;
use crate::http::api::refusal::CallRefusal;
use crate::http::api::route::{NoContent, delete_with};
use crate::http::api::told::{foreign_credentials, losing_access};
use crate::model::{BindingSubject, GroupNumber, Intent, Timestamp, Usage, UsageOf};
use crate::registry::commands::testing::{new_token, registry};
use crate::registry::commands::{BindingChanges, Grantee, create_binding, set_grants};

/// `portal`, with a token that `mallory` has made.
async fn with_foreign_token() -> (World, AccountNumber, Caller) {
    let registry = registry();
    let api = Api::new(Arc::clone(&registry), Door::Local);
    let world = World { registry, router: router(api.clone()), api };
    let made = json!({ "username": "portal", "name": "Portal", "type": "service_account" });
    let portal = AccountNumber::new(number(&world.post("/core/users/", made).await["pk"]));
    let may = [
        (Permission::AddToken, None),
        (Permission::ChangeUser, Some(ObjectReference::Account(portal))),
        (Permission::ViewUser, Some(ObjectReference::Account(portal))),
    ];
    let mallory = world.caller("mallory", &may).await;
    let new = new_token("portal-backup", "portal", Intent::AppPassword);
    world.registry.create_token(mallory.clone(), new).await.unwrap();
    (world, portal, mallory)
}

fn told() -> Value {
    let credential = json!({ "account": "portal", "identifier": "portal-backup", "made_by": ["mallory"] });
    json!({ "credentials": [credential], "more": 0 })
}

#[tokio::test]
async fn the_api_tells_of_credentials_that_others_have_made() {
    let (world, portal, _) = with_foreign_token().await;
    let group = json!({ "name": "readers" });
    let group = world.post("/core/groups/", group).await["pk"].as_str().unwrap().to_owned();
    let assign = format!("/rbac/permissions/assigned_by_groups/{group}/assign/");
    let (status, answer) =
        world.call(Method::POST, &assign, json!({ "permissions": ["view_group", "view_role"] })).await;
    assert_eq!((status, answer[0].get("foreign_credentials")), (StatusCode::OK, None), "{answer}");

    let path = format!("/core/groups/{group}/");
    let answer = world.patch(&path, json!({ "users": [portal.get()] })).await;
    assert_eq!(answer["foreign_credentials"], told());
    // Nothing is given any more.
    let answer = world.put(&path, json!({ "name": "readers", "users": [portal.get()] })).await;
    assert_eq!(answer.get("foreign_credentials"), None, "{answer}");
    assert_eq!(world.get(&path).await.get("foreign_credentials"), None);

    let (_, answer) =
        world.call(Method::POST, &assign, json!({ "permissions": ["view_token", "view_event"] })).await;
    assert_eq!(answer[0]["foreign_credentials"], told());
    assert_eq!(answer[1].get("foreign_credentials"), None);

    let path = format!("/core/users/{}/", portal.get());
    assert_eq!(world.patch(&path, json!({ "groups": [] })).await.get("foreign_credentials"), None);
    assert_eq!(world.patch(&path, json!({ "groups": [group] })).await["foreign_credentials"], told());
    world.patch(&path, json!({ "groups": [] })).await;
    let path = format!("/rbac/permissions/assigned_by_users/{}/assign/", portal.get());
    let (_, answer) = world.call(Method::POST, &path, json!({ "permissions": ["view_event"] })).await;
    assert_eq!(answer[0]["foreign_credentials"], told());
    let made = json!({ "name": "staff", "users": [portal.get()], "is_superuser": true });
    assert_eq!(world.post("/core/groups/", made).await["foreign_credentials"], told());
}

#[tokio::test]
async fn rights_that_come_by_a_group_above_or_a_role_are_told_too() {
    let (world, portal, _) = with_foreign_token().await;
    let made = |name: &str, more: Value| {
        let mut body = json!({ "name": name });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let pk = |answer: Value| answer["pk"].as_str().unwrap().to_owned();
    let inner = pk(world.post("/core/groups/", made("inner", json!({ "users": [portal.get()] }))).await);
    let outer = pk(world.post("/core/groups/", made("outer", json!({}))).await);
    let role = pk(world.post("/rbac/roles/", made("watchers", json!({}))).await);
    let grant = json!({ "permissions": ["view_event"] });
    let to_role = format!("/rbac/permissions/assigned_by_roles/{role}/assign/");
    let (inner, outer) = (format!("/core/groups/{inner}/"), format!("/core/groups/{outer}/"));
    let outer_pk = outer.split('/').rev().nth(1).unwrap();
    let tells = |answer: &Value| answer.get("foreign_credentials").is_some();

    // Nobody is in the group that gets the role, and the role gives nothing yet.
    assert!(!tells(&world.patch(&outer, json!({ "roles": [role] })).await));
    assert!(!tells(&world.patch(&inner, json!({ "parents": [outer_pk] })).await));
    let (_, answer) = world.call(Method::POST, &to_role, grant).await;
    assert_eq!(answer[0]["foreign_credentials"], told(), "by the grants of a role");
    assert!(!tells(&world.patch(&inner, json!({ "parents": [] })).await));
    let answer = world.patch(&inner, json!({ "parents": [outer_pk] })).await;
    assert_eq!(answer["foreign_credentials"], told(), "by a group above");
    assert!(!tells(&world.patch(&outer, json!({ "roles": [] })).await));
    let answer = world.patch(&outer, json!({ "roles": [role] })).await;
    assert_eq!(answer["foreign_credentials"], told(), "by the roles of a group above");
    let answer = world.patch(&outer, json!({ "is_superuser": true })).await;
    assert_eq!(answer["foreign_credentials"], told(), "by what a group above makes of its members");
    assert!(!tells(&world.patch(&outer, json!({ "attributes": { "notes": "more" } })).await));
}

#[tokio::test]
async fn what_its_maker_holds_too_is_not_told() {
    let (world, portal, mallory) = with_foreign_token().await;
    let mallory = mallory.holder().unwrap().account.get();
    let path = |number: u32| format!("/rbac/permissions/assigned_by_users/{number}/assign/");
    let give = json!({ "permissions": ["view_event"] });
    world.call(Method::POST, &path(mallory), give.clone()).await;
    let (_, answer) = world.call(Method::POST, &path(portal.get()), give).await;
    assert_eq!(answer[0].get("foreign_credentials"), None, "{answer}");
}

#[tokio::test]
async fn nobody_is_told_of_what_it_may_not_view() {
    let (world, portal, mallory) = with_foreign_token().await;
    let token = world.registry.snapshot().accounts().token_named("portal-backup").unwrap().number;
    let views = [
        (Permission::ViewUser, Some(ObjectReference::Account(portal))),
        (Permission::ViewToken, Some(ObjectReference::Token(token))),
        (Permission::ViewUser, Some(ObjectReference::Account(mallory.holder().unwrap().account))),
    ];
    for seen in 0..=views.len() {
        let mut grants = views[..seen].to_vec();
        grants.extend([(Permission::ChangeUser, None), (Permission::AssignRolePermissions, None)]);
        grants.push((Permission::ViewEvent, None));
        let caller = world.caller(&format!("giver-{seen}"), &grants).await;
        let grant = Grant { permission: Permission::ViewEvent, on: None };
        let given = world.change(&caller, move |transaction| {
            set_grants(transaction, Grantee::Account(portal), &[grant], true)?;
            assert_eq!(transaction.foreign_credentials().len(), 1);
            Ok(foreign_credentials(transaction))
        });
        // What may not be viewed cannot be changed either.
        let Ok(told) = given.await else { continue };
        world
            .change(&operator(), move |transaction| {
                set_grants(transaction, Grantee::Account(portal), &[grant], false)
            })
            .await
            .unwrap();
        match (seen, told) {
            (0 | 1, told) => assert_eq!(told, None, "{seen}"),
            (_, told) => {
                let told = told.unwrap();
                let makers: &[&str] = if seen == 2 { &[] } else { &["mallory"] };
                assert_eq!((told.credentials.len(), told.more), (1, 0));
                assert_eq!(told.credentials[0].made_by, makers, "{seen}");
            }
        }
    }
}

/// `alice` and `bob`, of whom `alice` is in the group that is answered.
async fn people(world: &World) -> String {
    let alice = world.account("alice").await;
    world.account("bob").await;
    let made = world.post("/core/groups/", json!({ "name": "engineering", "users": [alice.get()] })).await;
    made["pk"].as_str().unwrap().to_owned()
}

fn shut_out(answer: &Value) -> Vec<&str> {
    let accounts = answer["losing_access"]["accounts"].as_array().into_iter().flatten();
    accounts.map(|account| account["username"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn who_binds_an_application_is_told_whom_that_shuts_out() {
    let world = World::new();
    let group = people(&world).await;
    let provider = world.provider("ldap", "dc=example,dc=com").await;
    world.application("cloud", Some(provider)).await;
    let target = world.get("/core/applications/cloud/").await["pk"].clone();
    let carol = json!({ "username": "carol", "name": "Carol", "is_active": false });
    world.post("/core/users/", carol).await;
    world.account("dave").await;
    let dave = world.registry.snapshot().accounts().account_named("dave").unwrap().number;
    let used =
        Usage { time: Timestamp::now(), provider: Some(provider), ..plain::usage(UsageOf::Account(dave)) };
    world.change(&operator(), move |transaction| transaction.put(Record::Usage(used))).await.unwrap();

    let networks = json!({ "target": target, "networks": ["10.0.0.0/8"], "order": 0 });
    let binding = world.post("/policies/bindings/", networks).await;
    assert_eq!(binding.get("losing_access"), None, "what depends on the source is not lost: {binding}");
    let path = format!("/policies/bindings/{}/", binding["pk"].as_str().unwrap());
    let binding = world.patch(&path, json!({ "networks": null, "group": group })).await;
    assert_eq!(shut_out(&binding), ["dave", "bob"], "the last used first: {binding}");
    assert_eq!(binding["losing_access"]["accounts"][0]["application"], "cloud");
    assert!(binding["losing_access"]["accounts"][0]["last_used"].is_string());
    assert!(binding["losing_access"]["accounts"][1]["last_used"].is_null());
    assert_eq!(world.get(&path).await.get("losing_access"), None);
    assert_eq!(world.patch(&path, json!({ "order": 2 })).await.get("losing_access"), None);
    assert_eq!(shut_out(&world.patch(&path, json!({ "negate": true })).await), ["alice"]);

    // A mode, and a provider that gets an application with bindings, shut out as well.
    world.patch(&path, json!({ "negate": false })).await;
    let bob = world.registry.snapshot().accounts().account_named("bob").unwrap().number.get();
    let second = json!({ "target": target, "user": bob, "order": 0 });
    assert_eq!(world.post("/policies/bindings/", second).await.get("losing_access"), None);
    let application = world.patch("/core/applications/cloud/", json!({ "policy_engine_mode": "all" })).await;
    assert_eq!(shut_out(&application), ["alice", "bob"]);
    let application = world.patch("/core/applications/cloud/", json!({ "provider": null })).await;
    assert_eq!(application.get("losing_access"), None);
    let application = world.patch("/core/applications/cloud/", json!({ "provider": provider.get() })).await;
    assert_eq!(shut_out(&application), ["dave", "alice", "bob"]);
}

#[tokio::test]
async fn whom_the_caller_may_not_view_is_neither_named_nor_counted() {
    let world = World::new();
    let group = people(&world).await;
    for name in ["x", "y", "z"] {
        world.account(name).await;
    }
    let provider = world.provider("ldap", "dc=example,dc=com").await;
    let application = world.application("cloud", Some(provider)).await;
    let accounts = |name: &str| world.registry.snapshot().accounts().account_named(name).unwrap().number;
    let bob = accounts("bob");
    let group =
        crate::http::api::by_uuid::group(world.registry.snapshot().accounts(), group.parse().unwrap())
            .unwrap()
            .number;
    let on = Some(ObjectReference::Application(application));
    for sees_application in [false, true] {
        let mut grants = vec![
            (Permission::AddPolicyBinding, None),
            (Permission::ChangeApplication, on),
            (Permission::ViewGroup, None),
            (Permission::ViewUser, Some(ObjectReference::Account(bob))),
        ];
        grants.extend(sees_application.then_some((Permission::ViewApplication, on)));
        let caller = world.caller(&format!("binder-{sees_application}"), &grants).await;
        let bound = world.change(&caller, move |transaction| {
            create_binding(
                transaction,
                application,
                BindingSubject::Group(group),
                BindingChanges::default(),
            )?;
            assert!(transaction.lost_access(|_| true).accounts.len() >= 4);
            let told = losing_access(transaction);
            // Nothing of it is to stay.
            Err::<(), _>(ChangeError::Refused(format!("{told:?}")))
        });
        let Err(ChangeError::Refused(told)) = bound.await else { panic!("it is refused") };
        assert_eq!(told.contains("bob"), sees_application, "{told}");
        assert!(!told.contains("\"x\"") && !told.contains("more: 3"), "{told}");
    }
}

#[tokio::test]
async fn a_rehearsal_tells_and_changes_nothing() {
    let (world, portal, _) = with_foreign_token().await;
    let rehearse = async |path: &str, body: Value| {
        let request = Request::builder().method(Method::POST).uri(path).header("bindery-rehearse", "1");
        let request = request.header(header::CONTENT_TYPE, "application/json");
        let answer =
            world.router.clone().oneshot(request.body(Body::from(body.to_string())).unwrap()).await.unwrap();
        let status = answer.status();
        let octets = to_bytes(answer.into_body(), 1024 * 1024).await.unwrap();
        (status, serde_json::from_slice::<Value>(&octets).unwrap())
    };
    let revision = world.registry.snapshot().revision();
    let path = format!("/rbac/permissions/assigned_by_users/{}/assign/", portal.get());
    let (status, answer) = rehearse(&path, json!({ "permissions": ["view_event"] })).await;
    assert_eq!((status, &answer["foreign_credentials"]), (StatusCode::OK, &told()), "{answer}");
    let (status, answer) = rehearse(&path, json!({ "permissions": ["fly"] })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
    // What cannot be rehearsed is not done instead.
    let token = json!({ "identifier": "another", "user": portal.get(), "intent": "app_password" });
    let (status, answer) = rehearse("/core/tokens/", token).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
    let snapshot = world.registry.snapshot();
    assert_eq!(snapshot.revision(), revision);
    let account = snapshot.accounts().account(portal).unwrap();
    assert!(Rights::of_account(snapshot.accounts(), account).is_empty());
}

/// How something is deleted.
#[derive(serde::Deserialize, schemars::JsonSchema)]
struct How {
    #[serde(default)]
    is_at_once: Option<bool>,
}

async fn delete_group(call: Call, how: How) -> Result<NoContent, CallRefusal> {
    assert_eq!(how.is_at_once, Some(true));
    let number = GroupNumber::new(call.parameter("id")?);
    call.change_in_parts(move |transaction| crate::registry::commands::delete_group(transaction, number))
        .await?;
    Ok(NoContent)
}

#[tokio::test]
async fn a_deletion_with_a_query_is_rehearsed_too() {
    let world = World::new();
    let group = number(&world.post("/core/groups/", json!({ "name": "readers" })).await["num_pk"]);
    let row = delete_with("/group/{id}/", delete_group).tells();
    let rows = Router::new().route(row.path, row.service()).with_state(world.api.clone());
    let delete = |is_rehearsed: bool| {
        let request = Request::delete(format!("/group/{group}/?is_at_once=true"));
        let request = if is_rehearsed { request.header(REHEARSE, "1") } else { request };
        rows.clone().oneshot(request.body(Body::empty()).unwrap())
    };
    assert_eq!(delete(true).await.unwrap().status(), StatusCode::OK);
    let is_there = || world.registry.snapshot().accounts().group_named("readers").is_some();
    assert!(is_there());
    assert_eq!(delete(false).await.unwrap().status(), StatusCode::NO_CONTENT);
    assert!(!is_there());
}

/// Parts of which the third one is refused.
async fn take_out_in_parts(call: Call, _: How) -> Result<NoContent, CallRefusal> {
    let parts = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    call.change_in_parts(move |_| match parts.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
        0 | 1 => Ok(Some(500)),
        _ => Err(ChangeError::Refused("delete the binding first".to_owned())),
    })
    .await?;
    Ok(NoContent)
}

#[tokio::test]
async fn a_deletion_that_is_refused_in_the_middle_tells_what_it_has_done() {
    let world = World::new();
    let row = delete_with("/parts/{id}/", take_out_in_parts).tells();
    let rows = Router::new().route(row.path, row.service()).with_state(world.api.clone());
    let request = Request::delete("/parts/1/?is_at_once=true").body(Body::empty()).unwrap();
    let answer = rows.oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    let octets = to_bytes(answer.into_body(), 1024 * 1024).await.unwrap();
    let body: Value = serde_json::from_slice(&octets).unwrap();
    assert_eq!(
        body["detail"],
        "delete the binding first; 1000 accounts were taken out of it before, and stay so"
    );
}
