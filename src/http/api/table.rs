//! The one list of what the API has, with the permissions that each call needs.

use axum::http::Method;

use super::route::{Route, change, create, delete, delete_with, get, list, read, update, walk, walk_list};
use super::{
    application, binding, certificate, event, group, ldap_provider, outpost, permission, provider, role,
    server as of_server, token, user, user_list,
};
use crate::model::Permission as P;

/// Every method of every path.
pub(super) fn routes() -> Vec<Route> {
    [
        users(),
        groups(),
        tokens(),
        rbac(),
        events(),
        applications(),
        bindings(),
        providers(),
        certificates(),
        server(),
    ]
    .into_iter()
    .flatten()
    .flat_map(Route::by_method)
    .collect()
}

fn users() -> Vec<Route> {
    vec![
        list("/core/users/", user_list::list)
            .ordered_by(&["pk", "id", "username", "name", "email", "is_active", "type", "date_joined", "last_updated", "last_login", "uuid"])
            .needs(&[P::ViewUser])
            .about("Accounts that the caller may view."),
        create("/core/users/", user::create).tells().needs(&[P::AddUser]).about("Make an account."),
        change(Method::POST, "/core/users/service_account/", user::create_service_account)
            .needs(&[P::AddUser, P::AddToken])
            .about("Make a service account with its first app password, whose secret is shown once."),
        get("/core/users/me/", user::me).needs_credential().about("Who calls."),
        get("/core/users/paths/", user::paths)
            .needs_credential()
            .about("The paths of the accounts that the caller may view, and those that new ones get."),
        get("/core/users/{id}/", user::retrieve).needs(&[P::ViewUser]).about("One account."),
        update("/core/users/{id}/", user::update)
            .tells()
            .takes_back::<user::User>()
            .needs(&[P::ChangeUser])
            .about("Change an account."),
        delete("/core/users/{id}/", user::destroy)
            .needs(&[P::DeleteUser])
            .about("Delete an account with its tokens; its connections end with their next operation."),
        change(Method::POST, "/core/users/{id}/set_password/", user::set_password)
            .needs(&[P::ResetUserPassword])
            .about("Set the password of a person; a service account has none."),
        change(Method::POST, "/core/users/{id}/set_password_hash/", user::set_password_hash)
            .needs(&[P::ResetUserPassword])
            .about("Set the password of a person by its hash, a PHC string or one of an imported scheme."),
        get("/core/users/{id}/pauses/", user::pauses)
            .needs(&[P::ViewUser])
            .about("Where the passwords of an account are not looked at for now, as too many were wrong; bindery's own."),
        change(Method::POST, "/core/users/{id}/unlock/", user::unlock)
            .needs(&[P::ResetUserPassword])
            .about("End the pauses of an account; bindery's own."),
        get("/core/users/{id}/used_by/", user::used_by)
            .needs(&[P::ViewUser])
            .about("What goes with an account when it is deleted."),
    ]
}

fn groups() -> Vec<Route> {
    vec![
        list("/core/groups/", group::list)
            .ordered_by(&["pk", "group_uuid", "num_pk", "name", "is_superuser"])
            .needs(&[P::ViewGroup])
            .about("Groups that the caller may view."),
        create("/core/groups/", group::create).tells().needs(&[P::AddGroup]).about("Make a group."),
        get("/core/groups/{group_uuid}/", group::retrieve).needs(&[P::ViewGroup]).about("One group."),
        update("/core/groups/{group_uuid}/", group::update)
            .tells()
            .takes_back::<group::Group>()
            .needs(&[P::ChangeGroup])
            .about("Change a group."),
        delete("/core/groups/{group_uuid}/", group::destroy)
            .needs(&[P::DeleteGroup])
            .about("Delete a group; its members stay."),
        change(Method::POST, "/core/groups/{group_uuid}/add_user/", group::add_user)
            .tells()
            .needs(&[P::AddUserToGroup])
            .about("Put an account into a group."),
        change(Method::POST, "/core/groups/{group_uuid}/remove_user/", group::remove_user)
            .needs(&[P::RemoveUserFromGroup])
            .about("Take an account out of a group."),
        get("/core/groups/{group_uuid}/used_by/", group::used_by)
            .needs(&[P::ViewGroup])
            .about("What loses a group when it is deleted."),
    ]
}

fn tokens() -> Vec<Route> {
    vec![
        list("/core/tokens/", token::list).ordered_by(&["identifier", "intent", "user", "user__username", "description", "expires", "created"])
            .needs(&[P::ViewToken]).about("Tokens that the caller may view."),
        create("/core/tokens/", token::create).needs(&[P::AddToken]).about(
            "Make a token, for the caller or for an account that has no right which the caller lacks.",
        ),
        get("/core/tokens/{identifier}/", token::retrieve).needs(&[P::ViewToken]).about("One token."),
        update("/core/tokens/{identifier}/", token::update)
            .takes_back::<token::Token>()
            .prepares()
            .needs(&[P::ChangeToken])
            .about("Change a token; its intent and its secret stay."),
        delete_with("/core/tokens/{identifier}/", token::destroy).needs(&[P::DeleteToken]).about(
            "Revoke a token, and the secrets that it has replaced: what was bound with them is so no longer, from the \
             next operation on.",
        ),
        read("/core/tokens/{identifier}/view_key/", token::view_key)
            .needs(&[P::ViewTokenKey])
            .spends()
            .prepares()
            .about("The secret: once within ten minutes for who made it, always if the token is retrievable."),
        change(Method::POST, "/core/tokens/{identifier}/set_key/", token::set_key)
            .prepares()
            .needs(&[P::SetTokenKey])
            .about("Give a token a secret of one's own; the old one stops working."),
        change(Method::POST, "/core/tokens/{identifier}/rotate/", token::rotate)
            .prepares()
            .needs(&[P::SetTokenKey])
            .about("Put a new secret in the place of the old one, which goes on working for the overlap."),
        get("/core/tokens/{identifier}/used_by/", token::used_by)
            .needs(&[P::ViewToken])
            .about("What goes with a token when it is revoked: the secrets that it has replaced."),
    ]
}

fn rbac() -> Vec<Route> {
    vec![
        list("/rbac/roles/", role::list)
            .ordered_by(&["pk", "uuid", "name"])
            .needs(&[P::ViewRole])
            .about("Roles that the caller may view."),
        create("/rbac/roles/", role::create)
            .needs(&[P::AddRole])
            .about("Make a role that allows nothing yet."),
        get("/rbac/roles/{uuid}/", role::retrieve).needs(&[P::ViewRole]).about("One role."),
        update("/rbac/roles/{uuid}/", role::update)
            .takes_back::<role::Role>()
            .needs(&[P::ChangeRole])
            .about("Rename a role."),
        delete("/rbac/roles/{uuid}/", role::destroy)
            .needs(&[P::DeleteRole])
            .about("Delete a role, and take it from all who hold it."),
        change(Method::POST, "/rbac/roles/{uuid}/add_user/", role::add_user)
            .tells()
            .needs(&[P::ChangeRole])
            .about("Give a role to an account that the caller may view."),
        change(Method::POST, "/rbac/roles/{uuid}/remove_user/", role::remove_user)
            .needs(&[P::ChangeRole])
            .about("Take a role from an account that the caller may view."),
        get("/rbac/roles/{uuid}/used_by/", role::used_by)
            .needs(&[P::ViewRole])
            .about("Who loses a role when it is deleted."),
        list("/rbac/permissions/", permission::list)
            .ordered_by(&["id", "codename", "name"])
            .needs_credential()
            .about("All that can be allowed."),
        get("/rbac/permissions/{id}/", permission::retrieve).needs_credential().about("One permission."),
        list("/rbac/permissions/roles/", permission::of_role)
            .ordered_by(&["id", "codename", "object_pk"])
            .needs(&[P::ViewRole])
            .about("What a role holds on objects."),
        list("/rbac/permissions/assigned_by_roles/", permission::assigned_by_roles)
            .ordered_by(&["name"])
            .needs(&[P::ViewRole])
            .about("The roles that hold something on a model or an object."),
        change(
            Method::POST,
            "/rbac/permissions/assigned_by_roles/{uuid}/assign/",
            permission::assign_to_role,
        )
        .tells()
        .needs(&[P::AssignRolePermissions])
        .about("Grant permissions to a role, globally or on an object; the caller must hold them itself."),
        change(
            Method::PATCH,
            "/rbac/permissions/assigned_by_roles/{uuid}/unassign/",
            permission::unassign_from_role,
        )
        .needs(&[P::UnassignRolePermissions])
        .about("Take permissions from a role."),
        list("/rbac/permissions/assigned_by_groups/", permission::assigned_by_groups)
            .ordered_by(&["name"])
            .needs(&[P::ViewGroup])
            .about("The groups that hold something on a model or an object."),
        change(
            Method::POST,
            "/rbac/permissions/assigned_by_groups/{uuid}/assign/",
            permission::assign_to_group,
        )
        .tells()
        .needs(&[P::ChangeGroup, P::AssignRolePermissions])
        .about("Grant permissions to the members of a group; the caller must hold them itself."),
        change(
            Method::PATCH,
            "/rbac/permissions/assigned_by_groups/{uuid}/unassign/",
            permission::unassign_from_group,
        )
        .needs(&[P::ChangeGroup, P::UnassignRolePermissions])
        .about("Take permissions from a group."),
        list("/rbac/permissions/assigned_by_users/", permission::assigned_by_users)
            .ordered_by(&["username"])
            .needs(&[P::ViewUser])
            .about("The accounts that hold something on a model or an object directly."),
        change(Method::POST, "/rbac/permissions/assigned_by_users/{id}/assign/", permission::assign_to_user)
            .tells()
            .needs(&[P::ChangeUser, P::AssignRolePermissions])
            .about("Grant permissions to an account directly; the caller must hold them itself."),
        change(
            Method::PATCH,
            "/rbac/permissions/assigned_by_users/{id}/unassign/",
            permission::unassign_from_user,
        )
        .needs(&[P::ChangeUser, P::UnassignRolePermissions])
        .about("Take permissions from an account."),
    ]
}

fn events() -> Vec<Route> {
    vec![
        walk_list("/events/events/", event::list)
            .ordered_by(&["created"])
            .needs(&[P::ViewEvent])
            .about("The audit trail, the newest first."),
        create("/events/events/", event::create)
            .needs(&[P::AddEvent])
            .about("Note something of one's own in the audit trail."),
        get("/events/events/actions/", event::actions)
            .needs_credential()
            .about("The actions that events can have."),
        walk("/events/events/volume/", event::volume)
            .needs(&[P::ViewEvent])
            .about("How many events there were, by action and day."),
        walk("/events/events/top_per_user/", event::top_per_user)
            .needs(&[P::ViewEvent])
            .about("The applications with the most events, and how many accounts they were of."),
        walk("/events/events/stats/", event::stats)
            .needs(&[P::ViewEvent])
            .about("How many events there were in each of several spans, and of how many accounts."),
        walk("/events/events/{event_uuid}/", event::retrieve).needs(&[P::ViewEvent]).about("One event."),
    ]
}

fn applications() -> Vec<Route> {
    vec![
        list("/core/applications/", application::list)
            .ordered_by(&["pk", "pbm_uuid", "name", "slug", "group", "meta_publisher", "provider"])
            .needs(&[P::ViewApplication])
            .about("Applications that the caller may view."),
        create("/core/applications/", application::create)
            .tells()
            .needs(&[P::AddApplication])
            .about("Make an application; to tie it to a provider, the caller must be able to change that."),
        get("/core/applications/{slug}/", application::retrieve)
            .needs(&[P::ViewApplication])
            .about("One application."),
        update("/core/applications/{slug}/", application::update)
            .tells()
            .takes_back::<application::Application>()
            .needs(&[P::ChangeApplication])
            .about("Change an application."),
        delete("/core/applications/{slug}/", application::destroy)
            .needs(&[P::DeleteApplication])
            .about("Delete an application with its bindings; its provider then admits every active account."),
        get("/core/applications/{slug}/check_access/", application::check_access)
            .needs(&[P::ViewApplication])
            .about("Whether it admits the caller, or another account that the caller may view."),
        get("/core/applications/{slug}/used_by/", application::used_by)
            .needs(&[P::ViewApplication])
            .about("What goes with an application when it is deleted."),
    ]
}

fn bindings() -> Vec<Route> {
    vec![
        list("/policies/bindings/", binding::list)
            .ordered_by(&["pk", "policy_binding_uuid", "order", "enabled", "negate", "target"])
            .needs(&[P::ViewPolicyBinding])
            .about("All bindings; without the permission those of applications that the caller may view."),
        create("/policies/bindings/", binding::create)
            .tells()
            .needs(&[P::AddPolicyBinding, P::ChangeApplication])
            .about("Bind an application to a group, an account, networks or a time."),
        get("/policies/bindings/{policy_binding_uuid}/", binding::retrieve)
            .needs(&[P::ViewPolicyBinding])
            .about("One binding."),
        update("/policies/bindings/{policy_binding_uuid}/", binding::update)
            .tells()
            .takes_back::<binding::PolicyBinding>()
            .needs(&[P::ChangePolicyBinding, P::ChangeApplication])
            .about("Change a binding."),
        delete("/policies/bindings/{policy_binding_uuid}/", binding::destroy)
            .tells()
            .needs(&[P::DeletePolicyBinding, P::ChangeApplication])
            .about("Delete a binding; an application that has none left admits every active account."),
        get("/policies/bindings/{policy_binding_uuid}/used_by/", binding::used_by)
            .needs(&[P::ViewPolicyBinding])
            .about("Nothing refers to a binding."),
    ]
}

fn providers() -> Vec<Route> {
    vec![
        list("/providers/all/", provider::list)
            .ordered_by(&["pk", "id", "name"])
            .needs(&[P::ViewProvider])
            .about("Providers that the caller may view."),
        get("/providers/all/types/", provider::types)
            .needs_credential()
            .about("The kinds of providers that can be made."),
        get("/providers/all/{id}/", provider::retrieve).needs(&[P::ViewProvider]).about("One provider."),
        delete("/providers/all/{id}/", provider::destroy)
            .needs(&[P::DeleteProvider])
            .about("Delete a provider; its application stays without one."),
        get("/providers/all/{id}/used_by/", provider::used_by)
            .needs(&[P::ViewProvider])
            .about("What loses a provider when it is deleted."),
        list("/providers/ldap/", ldap_provider::list)
            .ordered_by(&["pk", "id", "name", "base_dn"])
            .needs(&[P::ViewProvider])
            .about("LDAP providers that the caller may view."),
        create("/providers/ldap/", ldap_provider::create)
            .needs(&[P::AddProvider])
            .about("Make an LDAP provider: one more tree of all accounts and groups."),
        get("/providers/ldap/{id}/", ldap_provider::retrieve)
            .needs(&[P::ViewProvider])
            .about("One LDAP provider."),
        update("/providers/ldap/{id}/", ldap_provider::update)
            .takes_back::<ldap_provider::LdapProvider>()
            .needs(&[P::ChangeProvider])
            .about("Change an LDAP provider."),
        delete("/providers/ldap/{id}/", provider::destroy)
            .needs(&[P::DeleteProvider])
            .about("Delete an LDAP provider; its application stays without one."),
        get("/providers/ldap/{id}/used_by/", provider::used_by)
            .needs(&[P::ViewProvider])
            .about("What loses an LDAP provider when it is deleted."),
        list("/outposts/ldap/", outpost::list)
            .ordered_by(&["pk", "id", "name"])
            .needs(&[P::ViewProvider, P::ViewApplication])
            .about("Providers with an application, as an LDAP outpost of authentik reads them."),
        get("/outposts/ldap/{id}/check_access/", outpost::check_access)
            .needs(&[P::ViewProvider, P::ViewApplication])
            .about("Whether the caller may bind to a provider, and sees all of it."),
    ]
}

fn certificates() -> Vec<Route> {
    vec![
        list("/crypto/certificatekeypairs/", certificate::list)
            .ordered_by(&["pk", "name", "managed", "cert_expiry", "cert_subject"])
            .needs(&[P::ViewCertificate])
            .about("The certificate of the server."),
        get("/crypto/certificatekeypairs/{kp_uuid}/", certificate::retrieve)
            .needs(&[P::ViewCertificate])
            .about("The same."),
        get("/crypto/certificatekeypairs/{kp_uuid}/view_certificate/", certificate::view_certificate)
            .needs(&[P::ViewCertificate])
            .about("The certificate of the server as PEM, with the intermediate ones behind it."),
        get("/crypto/certificatekeypairs/{kp_uuid}/view_private_key/", certificate::view_private_key)
            .needs(&[P::ViewCertificate])
            .about("Refused to everybody: private keys are never shown."),
        get("/crypto/certificatekeypairs/{kp_uuid}/used_by/", certificate::used_by)
            .needs(&[P::ViewCertificate])
            .about("The providers that are served with it."),
    ]
}

fn server() -> Vec<Route> {
    vec![
        get("/admin/version/", of_server::version).needs_credential().about("The version of the server."),
        get("/admin/version/history/", of_server::version_history)
            .needs_credential()
            .about("Always empty: bindery keeps no history of its versions."),
        get("/admin/system/", of_server::system)
            .needs(&[P::ViewSystemInfo])
            .about("What the server runs on."),
        get("/root/config/", of_server::config).needs_nothing().about("What clients ask before all else."),
    ]
}
