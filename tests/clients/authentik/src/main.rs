//! authentik-client, the published crate for authentik's API, unmodified: the shorter story of what a service account
//! is made with, may do, and is refused. It ends with a panic where an answer is not the one that is due.

mod whole;

use std::env;
use std::fmt::Debug;

use authentik_client::apis::Error;
use authentik_client::apis::configuration::Configuration;
use authentik_client::apis::core_api::*;
use authentik_client::apis::events_api::*;
use authentik_client::apis::rbac_api::*;
use authentik_client::models::{
    EventActions, GroupRequest, IntentEnum, PermissionAssignRequest, RoleRequest, TokenRequest,
    UserAccountRequest, UserAccountSerializerForRoleRequest, UserServiceAccountRequest, UserTypeEnum,
};
use serde_json::Value;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let [admin, clerk, auditor, stranger] =
            ["ADMIN", "CLERK", "AUDITOR", "STRANGER"].map(|name| caller(&of(name)));
        credentials(&clerk).await;
        let made = service_account(&clerk, &stranger).await;
        tokens(made, &clerk, &auditor, &stranger).await;
        groups(made, &admin, &auditor).await;
        let role = grants(made, &admin, &auditor).await;
        events(&admin, &auditor, &stranger).await;
        rbac_roles_destroy(&admin, &role).await.unwrap();
        core_users_destroy(&admin, made).await.unwrap();
        refused(404, core_users_retrieve(&admin, made).await);
        whole::whole(&admin).await;
        ok("all operations");
    });
}

async fn credentials(clerk: &Configuration) {
    let me = core_users_me_retrieve(clerk).await.unwrap();
    assert_eq!(me.user.username, "clerk");
    for wrong in ["wrong".to_owned(), of("PORTAL_APP_PASSWORD")] {
        refused(401, core_users_me_retrieve(&caller(&wrong)).await);
    }
    ok("credentials");
}

async fn service_account(clerk: &Configuration, stranger: &Configuration) -> i32 {
    let request = UserServiceAccountRequest::new("made-in-rust".to_owned());
    let detail = refused(403, core_users_service_account_create(stranger, request.clone()).await);
    assert!(detail["detail"].to_string().contains("`authentik_core.add_user`"), "{detail}");
    let made = core_users_service_account_create(clerk, request.clone()).await.unwrap();
    assert!(!made.token.is_empty());
    let body = refused(400, core_users_service_account_create(clerk, request).await);
    assert!(body["name"][0].is_string(), "{body}");
    let user = core_users_retrieve(clerk, made.user_pk).await.unwrap();
    assert_eq!((user.username.as_str(), user.r#type), ("made-in-rust", Some(UserTypeEnum::ServiceAccount)));
    refused(404, core_users_retrieve(stranger, made.user_pk).await);
    ok("service account");
    made.user_pk
}

async fn tokens(owner: i32, clerk: &Configuration, auditor: &Configuration, stranger: &Configuration) {
    for number in 0..3 {
        let token = core_tokens_create(clerk, token(&format!("story-{number}"), owner)).await.unwrap();
        assert_eq!((token.user, token.intent), (Some(owner), Some(IntentEnum::AppPassword)));
    }
    refused(400, core_tokens_create(clerk, token("story-0", owner)).await);
    let body = refused(400, core_tokens_create(clerk, token("white space", owner)).await);
    assert!(body["identifier"][0].is_string(), "{body}");

    let page = |page| {
        core_tokens_list(
            clerk,
            None,
            None,
            None,
            None,
            Some(IntentEnum::AppPassword),
            None,
            Some("-identifier"),
            Some(page),
            Some(2),
            Some("story-"),
            None,
        )
    };
    let (first, second) = (page(1).await.unwrap(), page(2).await.unwrap());
    let identifiers: Vec<String> =
        first.results.into_iter().chain(second.results).map(|token| token.identifier).collect();
    assert_eq!(identifiers, ["story-2", "story-1", "story-0"]);
    assert_eq!((first.pagination.count, first.pagination.next, second.pagination.next), (3.0, 2.0, 0.0));
    refused(404, page(3).await);

    refused(403, core_tokens_view_key_retrieve(auditor, "story-0").await);
    refused(404, core_tokens_view_key_retrieve(stranger, "story-0").await);
    assert!(!core_tokens_view_key_retrieve(clerk, "story-0").await.unwrap().key.is_empty());
    refused(403, core_tokens_view_key_retrieve(clerk, "story-0").await);
    refused(403, core_tokens_destroy(auditor, "story-0").await);
    core_tokens_destroy(clerk, "story-0").await.unwrap();
    refused(404, core_tokens_retrieve(clerk, "story-0").await);
    ok("tokens");
}

async fn groups(member: i32, admin: &Configuration, auditor: &Configuration) {
    let group = core_groups_create(admin, GroupRequest::new("made-in-rust".to_owned())).await.unwrap();
    refused(403, core_groups_create(auditor, GroupRequest::new("another".to_owned())).await);
    let pk = group.pk.to_string();
    core_groups_add_user_create(admin, &pk, UserAccountRequest::new(member)).await.unwrap();
    let group = core_groups_retrieve(admin, &pk, None, None, None, Some(true)).await.unwrap();
    assert_eq!(group.users, Some(vec![member]));
    refused(403, core_groups_destroy(auditor, &pk).await);
    core_groups_destroy(admin, &pk).await.unwrap();
    ok("groups");
}

/// A right is there as soon as it is granted.
async fn grants(holder: i32, admin: &Configuration, auditor: &Configuration) -> String {
    let role =
        rbac_roles_create(admin, RoleRequest::new("made-in-rust".to_owned())).await.unwrap().pk.to_string();
    rbac_roles_add_user_create(admin, &role, UserAccountSerializerForRoleRequest::new(holder)).await.unwrap();
    let api_token = TokenRequest { intent: None, ..token("story-api", holder) };
    core_tokens_create(admin, api_token).await.unwrap();
    let helper = caller(&core_tokens_view_key_retrieve(admin, "story-api").await.unwrap().key);
    let request = || RoleRequest::new("theirs".to_owned());
    refused(403, rbac_roles_create(&helper, request()).await);
    let grant = PermissionAssignRequest::new(vec!["authentik_rbac.add_role".to_owned()]);
    refused(403, rbac_permissions_assigned_by_roles_assign(auditor, &role, grant.clone()).await);
    assert_eq!(rbac_permissions_assigned_by_roles_assign(admin, &role, grant).await.unwrap().len(), 1);
    let theirs = rbac_roles_create(&helper, request()).await.unwrap().pk.to_string();
    rbac_roles_destroy(&helper, &theirs).await.unwrap();
    refused(404, rbac_roles_destroy(&helper, &role).await);
    ok("grants");
    role
}

async fn events(admin: &Configuration, auditor: &Configuration, stranger: &Configuration) {
    let list = |caller| {
        let actions = Some(vec![EventActions::SecretView]);
        events_events_list(
            caller,
            None,
            actions,
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            Some("clerk"),
        )
    };
    let viewed = list(auditor).await.unwrap();
    assert_eq!(viewed.results.len(), 1);
    assert_eq!(viewed.results[0].action, EventActions::SecretView);
    let body = refused(403, list(stranger).await);
    assert!(body["detail"].to_string().contains("`authentik_events.view_event`"), "{body}");
    assert_eq!(list(admin).await.unwrap().pagination.count, 1.0);
    ok("events");
}

fn token(identifier: &str, owner: i32) -> TokenRequest {
    let intent = Some(IntentEnum::AppPassword);
    TokenRequest { user: Some(owner), intent, ..TokenRequest::new(identifier.to_owned()) }
}

fn caller(token: &str) -> Configuration {
    let base_path = format!("{}/api/v3", of("HTTP_URL"));
    Configuration { base_path, bearer_access_token: Some(token.to_owned()), ..Configuration::default() }
}

/// The body of an answer that must be a refusal.
#[track_caller]
fn refused<T: Debug, E: Debug>(status: u16, answer: Result<T, Error<E>>) -> Value {
    match answer {
        Err(Error::ResponseError(response)) => {
            assert_eq!(response.status.as_u16(), status, "{}", response.content);
            serde_json::from_str(&response.content).unwrap()
        }
        other => panic!("must be refused with {status}: {other:?}"),
    }
}

fn of(name: &str) -> String {
    env::var(name).unwrap()
}

fn ok(what: &str) {
    println!("ok: {what}");
}
