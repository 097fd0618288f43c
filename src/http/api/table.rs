//! The one list of what the API has, with the permissions that each call needs.

use axum::http::Method;

use super::route::{Route, change, create, delete, get, list, read, read_list};
use super::{event, group, permission, role, token, user};
use crate::model::Permission as P;

/// Every method of every path.
pub(super) fn routes() -> Vec<Route> {
    [users(), groups(), tokens(), rbac(), events()].into_iter().flatten().collect()
}

fn users() -> Vec<Route> {
    let (put, patch) = (Method::PUT, Method::PATCH);
    vec![
        list("/core/users/", user::list).needs(&[P::ViewUser]).about("Accounts that the caller may view."),
        create("/core/users/", user::create).needs(&[P::AddUser]).about("Make an account."),
        change(Method::POST, "/core/users/service_account/", user::create_service_account)
            .needs(&[P::AddUser, P::AddToken])
            .about("Make a service account with its first app password, whose secret is shown once."),
        get("/core/users/me/", user::me).needs_credential().about("Who calls."),
        get("/core/users/paths/", user::paths)
            .needs_credential()
            .about("The paths under which authentik would file accounts."),
        get("/core/users/{id}/", user::retrieve).needs(&[P::ViewUser]).about("One account."),
        change(put, "/core/users/{id}/", user::update).needs(&[P::ChangeUser]).about("Change an account."),
        change(patch, "/core/users/{id}/", user::partial_update)
            .needs(&[P::ChangeUser])
            .about("Change what is named of an account."),
        delete("/core/users/{id}/", user::destroy)
            .needs(&[P::DeleteUser])
            .about("Delete an account with its tokens; its connections end with their next operation."),
        change(Method::POST, "/core/users/{id}/set_password/", user::set_password)
            .needs(&[P::ResetUserPassword])
            .about("Set the password of a person; a service account has none."),
        change(Method::POST, "/core/users/{id}/set_password_hash/", user::set_password_hash)
            .needs(&[P::ResetUserPassword])
            .about("Set the password of a person by its hash, a PHC string or one of an imported scheme."),
        get("/core/users/{id}/used_by/", user::used_by)
            .needs(&[P::ViewUser])
            .about("What goes with an account when it is deleted."),
    ]
}

fn groups() -> Vec<Route> {
    let (put, patch) = (Method::PUT, Method::PATCH);
    vec![
        list("/core/groups/", group::list).needs(&[P::ViewGroup]).about("Groups that the caller may view."),
        create("/core/groups/", group::create).needs(&[P::AddGroup]).about("Make a group."),
        get("/core/groups/{group_uuid}/", group::retrieve).needs(&[P::ViewGroup]).about("One group."),
        change(put, "/core/groups/{group_uuid}/", group::update)
            .needs(&[P::ChangeGroup])
            .about("Change a group."),
        change(patch, "/core/groups/{group_uuid}/", group::partial_update)
            .needs(&[P::ChangeGroup])
            .about("Change what is named of a group."),
        delete("/core/groups/{group_uuid}/", group::destroy)
            .needs(&[P::DeleteGroup])
            .about("Delete a group; its members stay."),
        change(Method::POST, "/core/groups/{group_uuid}/add_user/", group::add_user)
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
        list("/core/tokens/", token::list).needs(&[P::ViewToken]).about("Tokens that the caller may view."),
        create("/core/tokens/", token::create).needs(&[P::AddToken]).about(
            "Make a token, for the caller or for an account that has no right which the caller lacks.",
        ),
        get("/core/tokens/{identifier}/", token::retrieve).needs(&[P::ViewToken]).about("One token."),
        change(Method::PUT, "/core/tokens/{identifier}/", token::update)
            .needs(&[P::ChangeToken])
            .about("Change a token; its intent and its secret stay."),
        change(Method::PATCH, "/core/tokens/{identifier}/", token::partial_update)
            .needs(&[P::ChangeToken])
            .about("Change what is named of a token."),
        delete("/core/tokens/{identifier}/", token::destroy)
            .needs(&[P::DeleteToken])
            .about("Revoke a token: what was bound with it is so no longer, from the next operation on."),
        read("/core/tokens/{identifier}/view_key/", token::view_key).needs(&[P::ViewTokenKey]).about(
            "The secret: once within ten minutes for who made it, always if the token is retrievable.",
        ),
        change(Method::POST, "/core/tokens/{identifier}/set_key/", token::set_key)
            .needs(&[P::SetTokenKey])
            .about("Give a token a secret of one's own; the old one stops working."),
        change(Method::POST, "/core/tokens/{identifier}/rotate/", token::rotate)
            .needs(&[P::SetTokenKey])
            .about("Put a new secret in the place of the old one, which goes on working for the overlap."),
        get("/core/tokens/{identifier}/used_by/", token::used_by)
            .needs(&[P::ViewToken])
            .about("What uses a token: nothing but itself."),
    ]
}

fn rbac() -> Vec<Route> {
    let (put, patch) = (Method::PUT, Method::PATCH);
    vec![
        list("/rbac/roles/", role::list).needs(&[P::ViewRole]).about("Roles that the caller may view."),
        create("/rbac/roles/", role::create)
            .needs(&[P::AddRole])
            .about("Make a role that allows nothing yet."),
        get("/rbac/roles/{uuid}/", role::retrieve).needs(&[P::ViewRole]).about("One role."),
        change(put, "/rbac/roles/{uuid}/", role::update).needs(&[P::ChangeRole]).about("Rename a role."),
        change(patch, "/rbac/roles/{uuid}/", role::partial_update)
            .needs(&[P::ChangeRole])
            .about("Change what is named of a role."),
        delete("/rbac/roles/{uuid}/", role::destroy)
            .needs(&[P::DeleteRole])
            .about("Delete a role, and take it from all who hold it."),
        change(Method::POST, "/rbac/roles/{uuid}/add_user/", role::add_user)
            .needs(&[P::ChangeRole])
            .about("Give an account a role."),
        change(Method::POST, "/rbac/roles/{uuid}/remove_user/", role::remove_user)
            .needs(&[P::ChangeRole])
            .about("Take a role from an account."),
        get("/rbac/roles/{uuid}/used_by/", role::used_by)
            .needs(&[P::ViewRole])
            .about("Who loses a role when it is deleted."),
        list("/rbac/permissions/", permission::list).needs_credential().about("All that can be allowed."),
        get("/rbac/permissions/{id}/", permission::retrieve).needs_credential().about("One permission."),
        list("/rbac/permissions/roles/", permission::of_role)
            .needs(&[P::ViewRole])
            .about("What a role holds on objects."),
        list("/rbac/permissions/assigned_by_roles/", permission::assigned_by_roles)
            .needs(&[P::ViewRole])
            .about("The roles that hold something on a model or an object."),
        change(
            Method::POST,
            "/rbac/permissions/assigned_by_roles/{uuid}/assign/",
            permission::assign_to_role,
        )
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
            .needs(&[P::ViewGroup])
            .about("The groups that hold something on a model or an object."),
        change(
            Method::POST,
            "/rbac/permissions/assigned_by_groups/{uuid}/assign/",
            permission::assign_to_group,
        )
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
            .needs(&[P::ViewUser])
            .about("The accounts that hold something on a model or an object directly."),
        change(Method::POST, "/rbac/permissions/assigned_by_users/{id}/assign/", permission::assign_to_user)
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
        read_list("/events/events/", event::list)
            .needs(&[P::ViewEvent])
            .about("The audit trail, the newest first."),
        create("/events/events/", event::create)
            .needs(&[P::AddEvent])
            .about("Note something of one's own in the audit trail."),
        get("/events/events/actions/", event::actions)
            .needs_credential()
            .about("The actions that events can have."),
        read("/events/events/volume/", event::volume)
            .needs(&[P::ViewEvent])
            .about("How many events there were, by action and day."),
        read("/events/events/top_per_user/", event::top_per_user)
            .needs(&[P::ViewEvent])
            .about("The applications with the most events, and how many accounts they were of."),
        read("/events/events/{event_uuid}/", event::retrieve).needs(&[P::ViewEvent]).about("One event."),
    ]
}
