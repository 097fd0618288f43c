//! Every operation that the crate has of what bindery serves, by somebody who may do everything. Each is called once at least
//! and its answer read by the crate's models; the test compares what has succeeded with the list of what there is.

use authentik_client::apis::admin_api::*;
use authentik_client::apis::configuration::Configuration;
use authentik_client::apis::core_api::*;
use authentik_client::apis::crypto_api::*;
use authentik_client::apis::events_api::*;
use authentik_client::apis::outposts_api::*;
use authentik_client::apis::policies_api::*;
use authentik_client::apis::providers_api::*;
use authentik_client::apis::rbac_api::*;
use authentik_client::apis::root_api::*;
use authentik_client::models::*;

/// Calls an operation, which succeeds, and says so.
macro_rules! done {
    ($operation:literal, $call:expr) => {{
        let answer = $call.await.unwrap_or_else(|error| panic!("{}: {error:?}", $operation));
        println!("done: {}", $operation);
        answer
    }};
}

pub async fn whole(admin: &Configuration) {
    server(admin).await;
    let user = users(admin).await;
    let role = roles(admin, user).await;
    groups(admin, user).await;
    tokens(admin, user).await;
    events(admin).await;
    directories(admin, user).await;
    done!("DELETE /rbac/roles/{uuid}/", rbac_roles_destroy(admin, &role));
    done!("DELETE /core/users/{id}/", core_users_destroy(admin, user));
}

async fn server(admin: &Configuration) {
    done!("GET /root/config/", root_config_retrieve(admin));
    done!("GET /admin/version/", admin_version_retrieve(admin));
    done!("GET /admin/version/history/", admin_version_history_list(admin, None, None, None, None));
    done!("GET /admin/system/", admin_system_retrieve(admin));
    let pairs = done!(
        "GET /crypto/certificatekeypairs/",
        crypto_certificatekeypairs_list(admin, None, None, None, None, None, None, None, None)
    );
    let pair = pairs.results[0].pk.to_string();
    done!("GET /crypto/certificatekeypairs/{kp_uuid}/", crypto_certificatekeypairs_retrieve(admin, &pair));
    done!(
        "GET /crypto/certificatekeypairs/{kp_uuid}/used_by/",
        crypto_certificatekeypairs_used_by_list(admin, &pair)
    );
    let shown = done!(
        "GET /crypto/certificatekeypairs/{kp_uuid}/view_certificate/",
        crypto_certificatekeypairs_view_certificate_retrieve(admin, &pair, None)
    );
    assert!(shown.data.starts_with("-----BEGIN CERTIFICATE-----"));
}

async fn users(admin: &Configuration) -> i32 {
    done!("GET /core/users/me/", core_users_me_retrieve(admin));
    let account = UserServiceAccountRequest::new("whole-service".to_owned());
    done!("POST /core/users/service_account/", core_users_service_account_create(admin, account));
    let request = UserRequest {
        path: Some("users/rust".to_owned()),
        ..UserRequest::new("whole".to_owned(), "Whole".to_owned())
    };
    let user = done!("POST /core/users/", core_users_create(admin, request.clone())).pk;
    let again = done!("PUT /core/users/{id}/", core_users_update(admin, user, request));
    assert_eq!(again.path.as_deref(), Some("users/rust"));
    let patch =
        PatchedUserRequest { email: Some("whole@example.com".to_owned()), ..PatchedUserRequest::new() };
    done!("PATCH /core/users/{id}/", core_users_partial_update(admin, user, Some(patch)));
    let found = done!("GET /core/users/{id}/", core_users_retrieve(admin, user));
    assert_eq!(found.email.as_deref(), Some("whole@example.com"));
    let password = UserPasswordSetRequest::new("a password of Rust".to_owned());
    done!("POST /core/users/{id}/set_password/", core_users_set_password_create(admin, user, password));
    // Of "password".
    let hash = UserPasswordHashSetRequest::new("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=".to_owned());
    done!("POST /core/users/{id}/set_password_hash/", core_users_set_password_hash_create(admin, user, hash));
    done!("GET /core/users/{id}/used_by/", core_users_used_by_list(admin, user));
    let paths = done!("GET /core/users/paths/", core_users_paths_retrieve(admin, Some("rust")));
    assert_eq!(paths.paths, ["users/rust"]);
    let listed = done!(
        "GET /core/users/",
        core_users_list(
            admin,
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
            Some("users/rust"),
            None,
            None,
            None,
            None,
            None,
            None,
            None
        )
    );
    assert_eq!(listed.results.len(), 1);
    user
}

async fn roles(admin: &Configuration, user: i32) -> String {
    let request = RoleRequest::new("whole".to_owned());
    let role = done!("POST /rbac/roles/", rbac_roles_create(admin, request.clone())).pk.to_string();
    done!("PUT /rbac/roles/{uuid}/", rbac_roles_update(admin, &role, request));
    let patch = PatchedRoleRequest { name: Some("wholly".to_owned()) };
    done!("PATCH /rbac/roles/{uuid}/", rbac_roles_partial_update(admin, &role, Some(patch)));
    assert_eq!(done!("GET /rbac/roles/{uuid}/", rbac_roles_retrieve(admin, &role)).name, "wholly");
    let listed = done!(
        "GET /rbac/roles/",
        rbac_roles_list(admin, None, None, None, None, Some("wholly"), None, None, None, None, None)
    );
    assert_eq!(listed.results.len(), 1);
    let member = || UserAccountSerializerForRoleRequest::new(user);
    done!("POST /rbac/roles/{uuid}/add_user/", rbac_roles_add_user_create(admin, &role, member()));
    done!("GET /rbac/roles/{uuid}/used_by/", rbac_roles_used_by_list(admin, &role));
    done!("POST /rbac/roles/{uuid}/remove_user/", rbac_roles_remove_user_create(admin, &role, member()));
    let granted = vec!["authentik_core.view_user".to_owned()];
    let grant = PermissionAssignRequest::new(granted.clone());
    done!(
        "POST /rbac/permissions/assigned_by_roles/{uuid}/assign/",
        rbac_permissions_assigned_by_roles_assign(admin, &role, grant)
    );
    let known = done!(
        "GET /rbac/permissions/",
        rbac_permissions_list(admin, None, None, None, None, None, None, Some(role.as_str()), None)
    );
    assert_eq!(known.results.len(), 1);
    done!("GET /rbac/permissions/{id}/", rbac_permissions_retrieve(admin, known.results[0].id));
    done!(
        "GET /rbac/permissions/roles/",
        rbac_permissions_roles_list(admin, None, None, None, None, Some(role.as_str()))
    );
    done!(
        "GET /rbac/permissions/assigned_by_roles/",
        rbac_permissions_assigned_by_roles_list(admin, "authentik_core.user", None, None, None, None, None)
    );
    let taken = PatchedPermissionAssignRequest {
        permissions: Some(granted),
        ..PatchedPermissionAssignRequest::new()
    };
    done!(
        "PATCH /rbac/permissions/assigned_by_roles/{uuid}/unassign/",
        rbac_permissions_assigned_by_roles_unassign_partial_update(admin, &role, Some(taken))
    );
    role
}

async fn groups(admin: &Configuration, user: i32) {
    let request = GroupRequest::new("whole".to_owned());
    let group = done!("POST /core/groups/", core_groups_create(admin, request.clone())).pk.to_string();
    done!("PUT /core/groups/{group_uuid}/", core_groups_update(admin, &group, request));
    let patch = PatchedGroupRequest { name: Some("wholly".to_owned()), ..PatchedGroupRequest::new() };
    done!("PATCH /core/groups/{group_uuid}/", core_groups_partial_update(admin, &group, Some(patch)));
    let member = || UserAccountRequest::new(user);
    done!("POST /core/groups/{group_uuid}/add_user/", core_groups_add_user_create(admin, &group, member()));
    let found = done!(
        "GET /core/groups/{group_uuid}/",
        core_groups_retrieve(admin, &group, None, None, None, Some(false))
    );
    assert_eq!(found.users, Some(vec![user]));
    done!("GET /core/groups/{group_uuid}/used_by/", core_groups_used_by_list(admin, &group));
    let listed = done!(
        "GET /core/groups/",
        core_groups_list(
            admin,
            None,
            None,
            None,
            None,
            None,
            None,
            Some(vec![user]),
            None,
            None,
            None,
            None,
            None,
            None
        )
    );
    assert_eq!(listed.results.len(), 1);
    done!(
        "POST /core/groups/{group_uuid}/remove_user/",
        core_groups_remove_user_create(admin, &group, member())
    );
    done!("DELETE /core/groups/{group_uuid}/", core_groups_destroy(admin, &group));
}

async fn tokens(admin: &Configuration, user: i32) {
    let name = "whole";
    let request = TokenRequest { user: Some(user), ..TokenRequest::new(name.to_owned()) };
    done!("POST /core/tokens/", core_tokens_create(admin, request.clone()));
    done!("PUT /core/tokens/{identifier}/", core_tokens_update(admin, name, request));
    let patch = PatchedTokenRequest { description: Some("all".to_owned()), ..PatchedTokenRequest::new() };
    done!("PATCH /core/tokens/{identifier}/", core_tokens_partial_update(admin, name, Some(patch)));
    done!("GET /core/tokens/{identifier}/", core_tokens_retrieve(admin, name));
    done!("GET /core/tokens/{identifier}/used_by/", core_tokens_used_by_list(admin, name));
    done!("GET /core/tokens/{identifier}/view_key/", core_tokens_view_key_retrieve(admin, name));
    let key = TokenSetKeyRequest::new("a-secret-of-Rust,which-somebody-has-chosen".to_owned());
    done!("POST /core/tokens/{identifier}/set_key/", core_tokens_set_key_create(admin, name, key));
    let listed = done!(
        "GET /core/tokens/",
        core_tokens_list(admin, None, None, None, Some(name), None, None, None, None, None, None, None)
    );
    assert_eq!(listed.results.len(), 1);
    done!("DELETE /core/tokens/{identifier}/", core_tokens_destroy(admin, name));
}

async fn events(admin: &Configuration) {
    let request = EventRequest::new(EventActions::Custom, "rust".to_owned());
    let event = done!("POST /events/events/", events_events_create(admin, request)).pk.to_string();
    done!("GET /events/events/{event_uuid}/", events_events_retrieve(admin, &event));
    done!("GET /events/events/actions/", events_events_actions_list(admin));
    done!(
        "GET /events/events/",
        events_events_list(
            admin, None, None, None, None, None, None, None, None, None, None, None, None, None, None
        )
    );
    done!(
        "GET /events/events/top_per_user/",
        events_events_top_per_user_list(
            admin, None, None, None, None, None, None, None, None, None, None, None, None, None
        )
    );
    done!(
        "GET /events/events/volume/",
        events_events_volume_list(
            admin, None, None, None, None, None, None, None, None, None, None, None, None, None
        )
    );
    let spans = vec!["hours=24".to_owned(), "days=7".to_owned()];
    done!(
        "GET /events/events/stats/",
        events_events_stats_retrieve(
            admin, spans, None, None, None, None, None, None, None, None, None, None, None, None
        )
    );
}

/// Providers, applications and their bindings.
async fn directories(admin: &Configuration, user: i32) {
    let flow = uuid::Uuid::from_u128(7);
    let request = LdapProviderRequest {
        base_dn: Some("dc=whole,dc=example".to_owned()),
        ..LdapProviderRequest::new("whole".to_owned(), flow, flow)
    };
    let provider = done!("POST /providers/ldap/", providers_ldap_create(admin, request.clone())).pk;
    done!("PUT /providers/ldap/{id}/", providers_ldap_update(admin, provider, request.clone()));
    let patch = PatchedLdapProviderRequest { mfa_support: Some(true), ..PatchedLdapProviderRequest::new() };
    done!("PATCH /providers/ldap/{id}/", providers_ldap_partial_update(admin, provider, Some(patch)));
    let found = done!("GET /providers/ldap/{id}/", providers_ldap_retrieve(admin, provider));
    assert_eq!((found.mfa_support, found.authorization_flow), (Some(true), flow));
    done!("GET /providers/ldap/{id}/used_by/", providers_ldap_used_by_list(admin, provider));
    done!(
        "GET /providers/ldap/",
        providers_ldap_list(
            admin,
            None,
            None,
            None,
            None,
            None,
            None,
            Some("whole"),
            None,
            None,
            None,
            None,
            None,
            None
        )
    );
    done!("GET /providers/all/", providers_all_list(admin, None, None, None, None, None, None));
    done!("GET /providers/all/types/", providers_all_types_list(admin));
    done!("GET /providers/all/{id}/", providers_all_retrieve(admin, provider));
    done!("GET /providers/all/{id}/used_by/", providers_all_used_by_list(admin, provider));

    let slug = "whole";
    let request = ApplicationRequest {
        provider: Some(Some(provider)),
        ..ApplicationRequest::new("Whole".to_owned(), slug.to_owned())
    };
    let application = done!("POST /core/applications/", core_applications_create(admin, request.clone())).pk;
    done!("PUT /core/applications/{slug}/", core_applications_update(admin, slug, request));
    let patch = PatchedApplicationRequest {
        meta_icon: Some("whole.svg".to_owned()),
        ..PatchedApplicationRequest::new()
    };
    done!("PATCH /core/applications/{slug}/", core_applications_partial_update(admin, slug, Some(patch)));
    let found = done!("GET /core/applications/{slug}/", core_applications_retrieve(admin, slug));
    assert_eq!(found.meta_icon.as_deref(), Some("whole.svg"));
    done!(
        "GET /core/applications/",
        core_applications_list(
            admin,
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
            Some(slug),
            None
        )
    );
    done!("GET /outposts/ldap/", outposts_ldap_list(admin, None, None, None, None, None));
    done!("GET /outposts/ldap/{id}/check_access/", outposts_ldap_access_check(admin, provider, Some(slug)));

    let request =
        PolicyBindingRequest { user: Some(Some(user)), ..PolicyBindingRequest::new(application, 0) };
    let binding = done!("POST /policies/bindings/", policies_bindings_create(admin, request.clone()));
    let binding = binding.pk.to_string();
    done!(
        "PUT /policies/bindings/{policy_binding_uuid}/",
        policies_bindings_update(admin, &binding, request)
    );
    let patch = PatchedPolicyBindingRequest { order: Some(3), ..PatchedPolicyBindingRequest::new() };
    done!(
        "PATCH /policies/bindings/{policy_binding_uuid}/",
        policies_bindings_partial_update(admin, &binding, Some(patch))
    );
    done!("GET /policies/bindings/{policy_binding_uuid}/", policies_bindings_retrieve(admin, &binding));
    done!(
        "GET /policies/bindings/{policy_binding_uuid}/used_by/",
        policies_bindings_used_by_list(admin, &binding)
    );
    let target = application.to_string();
    let listed = done!(
        "GET /policies/bindings/",
        policies_bindings_list(
            admin,
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            Some(target.as_str()),
            None,
            None
        )
    );
    assert_eq!(listed.results.len(), 1);
    let checked = done!(
        "GET /core/applications/{slug}/check_access/",
        core_applications_check_access_retrieve(admin, slug, Some(user))
    );
    assert!(checked.passing);
    done!("GET /core/applications/{slug}/used_by/", core_applications_used_by_list(admin, slug));
    done!("DELETE /policies/bindings/{policy_binding_uuid}/", policies_bindings_destroy(admin, &binding));
    done!("DELETE /core/applications/{slug}/", core_applications_destroy(admin, slug));
    done!("DELETE /providers/ldap/{id}/", providers_ldap_destroy(admin, provider));
    let another = LdapProviderRequest {
        base_dn: Some("dc=another,dc=example".to_owned()),
        ..LdapProviderRequest::new("another".to_owned(), flow, flow)
    };
    let another = done!("POST /providers/ldap/", providers_ldap_create(admin, another)).pk;
    done!("DELETE /providers/all/{id}/", providers_all_destroy(admin, another));
}
