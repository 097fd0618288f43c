//! `rbac/permissions/`: what may be allowed, and who holds it.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::answer::WrittenPage;
use super::by_uuid;
use super::call::Call;
use super::group;
use super::object;
use super::ordered::SortKey;
use super::reading::{Reading, RepresentationSource};
use super::refusal::CallRefusal;
use super::role;
use super::route::{NoContent, NoParameters};
use super::told::{self, ForeignCredentials};
use super::value::{Required, RequiredFields};
use crate::directory::Accounts;
use crate::model::{self, AccountNumber, Grant, ObjectReference};
use crate::quoted::quoted;
use crate::registry::commands::{Grantee, require_grantee, set_grants};
use crate::registry::{ChangeError, Transaction, Viewer};

/// A permission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Permission {
    /// Its place in the table, from 1.
    pub id: usize,
    /// What it allows, in words.
    pub name: String,
    /// Its name behind the dot.
    pub codename: String,
    /// What it is about.
    pub model: String,
    /// Its name before the dot.
    pub app_label: String,
    /// The same in words.
    pub app_label_verbose: String,
    /// What it is about, in words.
    pub model_verbose: String,
}

/// A permission that a role has on one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExtraRoleObjectPermission {
    /// The place of the grant among the role's, from 1.
    pub id: usize,
    /// The permission's name behind the dot.
    pub codename: String,
    /// What it is about.
    pub model: String,
    /// Its name before the dot.
    pub app_label: String,
    /// The object.
    pub object_pk: String,
    /// What it allows, in words.
    pub name: String,
    /// Its name before the dot, in words.
    pub app_label_verbose: String,
    /// What it is about, in words.
    pub model_verbose: String,
    /// The name of the object.
    pub object_description: Option<String>,
}

/// What somebody holds on an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectPermission {
    /// The place of the grant among its holder's, from 1.
    pub id: usize,
    /// The permission's name behind the dot.
    pub codename: String,
    /// What it is about.
    pub model: String,
    /// Its name before the dot.
    pub app_label: String,
    /// The object.
    pub object_pk: String,
    /// What it allows, in words.
    pub name: String,
    /// The name of the object; bindery's own. `null`: it is gone.
    pub object_description: Option<String>,
}

/// What somebody holds globally.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModelPermission {
    /// The place of the grant among its holder's, from 1.
    pub id: usize,
    /// The permission's name behind the dot.
    pub codename: String,
    /// What it is about.
    pub model: String,
    /// Its name before the dot.
    pub app_label: String,
    /// What it allows, in words.
    pub name: String,
}

/// A role, with what it holds that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RoleAssignedObjectPermission {
    /// The role.
    pub role_pk: String,
    /// Its name.
    pub name: String,
    /// What it holds on the object, or on objects that the caller may view.
    pub object_permissions: Vec<ObjectPermission>,
    /// What it holds globally.
    pub model_permissions: Vec<ModelPermission>,
}

/// An account, with what it holds directly that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UserAssignedObjectPermission {
    /// The account.
    pub pk: u32,
    /// Its name.
    pub username: String,
    /// What it holds on the object, or on objects that the caller may view.
    pub object_permissions: Vec<ObjectPermission>,
    /// What it holds globally.
    pub model_permissions: Vec<ModelPermission>,
}

/// A group, with what it holds that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GroupAssignedObjectPermission {
    /// The group.
    pub pk: Uuid,
    /// Its name.
    pub name: String,
    /// What it holds on the object, or on objects that the caller may view.
    pub object_permissions: Vec<ObjectPermission>,
    /// What it holds globally.
    pub model_permissions: Vec<ModelPermission>,
}

/// Permissions that are granted, or taken.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PatchedPermissionAssignRequest {
    /// Their names: `label.codename`, or the codename alone.
    pub permissions: Option<Vec<String>>,
    /// The model of the object: `authentik_providers_ldap.ldapprovider`; without it they are granted globally.
    pub model: Option<String>,
    /// The object; where its model is named, it is too.
    pub object_pk: Option<String>,
}

impl RequiredFields for PatchedPermissionAssignRequest {
    const REQUIRED: &'static [&'static str] = &["permissions"];
}

/// A grant that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PermissionAssignResult {
    /// Its place among its holder's, from 1.
    pub id: String,
    /// Credentials that others have made, of accounts that get rights by all that is granted; bindery's own, with the first
    /// result only. Absent: there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign_credentials: Option<ForeignCredentials>,
}

/// Which permissions are asked for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[allow(non_snake_case, reason = "the names are those of authentik's parameters")]
pub(super) struct PermissionQuery {
    codename: Option<String>,
    content_type__app_label: Option<String>,
    content_type__model: Option<String>,
    /// Those that a role holds globally.
    role: Option<Uuid>,
}

/// Whose permissions are asked for.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct RolePermissionQuery {
    uuid: Uuid,
}

/// Who is asked for: those who hold something on a model, or on one object of it.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct AssignedQuery {
    model: String,
    #[serde(default)]
    object_pk: Option<String>,
}

pub(super) fn list(
    reading: &Reading,
    query: PermissionQuery,
) -> Result<WrittenPage<Permission>, CallRefusal> {
    let of_role = query.role.map(|uuid| viewed_role(reading, uuid, "role")).transpose()?;
    let is_of_role = |permission: &model::Permission| {
        of_role.is_none_or(|role| role.grants.contains(&Grant { permission: *permission, on: None }))
    };
    let is = |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|wanted| wanted == value);
    let mut found: Vec<model::Permission> = model::Permission::ALL
        .iter()
        .copied()
        .filter(|permission| {
            is(&query.codename, permission.codename())
                && is(&query.content_type__app_label, permission.label())
                && is(&query.content_type__model, permission.model())
                && is_of_role(permission)
                && reading.page.finds([permission.codename(), permission.title(), permission.model()])
        })
        .collect();
    reading.order(&mut found, |field, permission| match field {
        // Its number goes by its place in the table, as this does.
        "id" => Some(SortKey::number(*permission as u32)),
        "codename" => Some(SortKey::text(permission.codename())),
        "name" => Some(SortKey::text(permission.title())),
        _ => None,
    })?;
    reading.cut(&found, |permission| Ok(shown(*permission)))
}

pub(super) fn retrieve(reading: &Reading, _: NoParameters) -> Result<Permission, CallRefusal> {
    let id: usize = reading.parameter("id")?;
    let permission = id.checked_sub(1).and_then(|place| model::Permission::ALL.get(place));
    permission.map(|permission| shown(*permission)).ok_or_else(CallRefusal::not_found)
}

pub(super) fn of_role(
    reading: &Reading,
    query: RolePermissionQuery,
) -> Result<WrittenPage<ExtraRoleObjectPermission>, CallRefusal> {
    let accounts = reading.accounts();
    let role = viewed_role(reading, query.uuid, "uuid")?;
    // A grant on what was deleted says nothing any more, one on what the caller may not view nothing to it.
    let numbered = numbered(&role.grants, |on| accounts.has(on) && reading.may_view(on));
    let mut found: Vec<(usize, &Grant, ObjectReference)> =
        numbered.filter_map(|(place, grant)| Some((place, grant, grant.on?))).collect();
    found.retain(|(_, grant, _)| reading.page.finds([grant.permission.codename(), grant.permission.title()]));
    reading.order(&mut found, |field, (place, grant, on)| match field {
        "id" => Some(SortKey::number(i64::try_from(*place).unwrap_or(i64::MAX))),
        "codename" => Some(SortKey::text(grant.permission.codename())),
        "object_pk" => Some(SortKey::text(&object::pk(accounts, *on))),
        _ => None,
    })?;
    reading.cut(&found, |(place, grant, on)| {
        let Permission { app_label_verbose, model_verbose, codename, model, app_label, name, .. } =
            shown(grant.permission);
        Ok(ExtraRoleObjectPermission {
            id: place + 1,
            codename,
            model,
            app_label,
            object_pk: object::pk(accounts, *on),
            name,
            app_label_verbose,
            model_verbose,
            object_description: accounts.name(*on),
        })
    })
}

/// The role that a parameter names, if the caller may view it.
fn viewed_role<'a>(
    reading: &'a Reading,
    uuid: Uuid,
    parameter: &'static str,
) -> Result<&'a Arc<model::Role>, CallRefusal> {
    by_uuid::role(reading.accounts(), uuid)
        .filter(|role| reading.knows(ObjectReference::Role(role.number)))
        .ok_or_else(|| CallRefusal::field(parameter, "there is no such role"))
}

pub(super) fn assigned_by_roles(
    reading: &Reading,
    query: AssignedQuery,
) -> Result<WrittenPage<RoleAssignedObjectPermission>, CallRefusal> {
    assigned(
        reading,
        &query,
        reading.accounts().roles(),
        |role| (ObjectReference::Role(role.number), &*role.name, &*role.grants),
        |role, object_permissions, model_permissions| {
            let (role_pk, name) = (role.uuid.to_string(), role.name.clone());
            RoleAssignedObjectPermission { role_pk, name, object_permissions, model_permissions }
        },
    )
}

pub(super) fn assigned_by_users(
    reading: &Reading,
    query: AssignedQuery,
) -> Result<WrittenPage<UserAssignedObjectPermission>, CallRefusal> {
    assigned(
        reading,
        &query,
        reading.accounts().accounts(),
        |account| (ObjectReference::Account(account.number), &*account.username, &*account.grants),
        |account, object_permissions, model_permissions| {
            let (pk, username) = (account.number.get(), account.username.to_string());
            UserAssignedObjectPermission { pk, username, object_permissions, model_permissions }
        },
    )
}

pub(super) fn assigned_by_groups(
    reading: &Reading,
    query: AssignedQuery,
) -> Result<WrittenPage<GroupAssignedObjectPermission>, CallRefusal> {
    assigned(
        reading,
        &query,
        reading.accounts().groups(),
        |group| (ObjectReference::Group(group.number), &*group.name, &*group.grants),
        |group, object_permissions, model_permissions| {
            let (pk, name) = (group.uuid, group.name.to_string());
            GroupAssignedObjectPermission { pk, name, object_permissions, model_permissions }
        },
    )
}

/// Those of `all` who hold something that is asked for and whom the caller may view, as `row` shows them; `holder` says
/// which object one is, its name, and what it holds.
fn assigned<'a, T: 'a, R: Serialize>(
    reading: &'a Reading,
    query: &AssignedQuery,
    all: impl Iterator<Item = &'a Arc<T>>,
    holder: impl Fn(&'a T) -> (ObjectReference, &'a str, &'a [Grant]),
    row: impl Fn(&T, Vec<ObjectPermission>, Vec<ModelPermission>) -> R,
) -> Result<WrittenPage<R>, CallRefusal> {
    let accounts = reading.accounts();
    let asked = Asked::new(reading, query)?;
    let mut found: Vec<(&T, &[Grant])> = reading
        .walk(all)
        .filter_map(|one| {
            let (object, name, grants) = holder(one);
            let is_found =
                asked.is_held(accounts, grants) && reading.may_view(object) && reading.page.finds([name]);
            is_found.then_some((&**one, grants))
        })
        .collect();
    reading.order(&mut found, |field, (one, _)| match field {
        "name" | "username" => Some(SortKey::name(holder(one).1)),
        _ => None,
    })?;
    reading.cut(&found, |(one, grants)| {
        let (on_objects, globally) = asked.of(accounts, grants);
        Ok(row(one, on_objects, globally))
    })
}

pub(super) async fn assign_to_role(
    call: Call,
    request: Required<PatchedPermissionAssignRequest>,
) -> Result<Vec<PermissionAssignResult>, CallRefusal> {
    let uuid: Uuid = call.parameter("uuid")?;
    assign(call, request.0, move |transaction| Ok(Grantee::Role(role::number(transaction, uuid)?))).await
}

pub(super) async fn unassign_from_role(
    call: Call,
    request: PatchedPermissionAssignRequest,
) -> Result<NoContent, CallRefusal> {
    let uuid: Uuid = call.parameter("uuid")?;
    unassign(call, request, move |transaction| Ok(Grantee::Role(role::number(transaction, uuid)?))).await
}

pub(super) async fn assign_to_group(
    call: Call,
    request: Required<PatchedPermissionAssignRequest>,
) -> Result<Vec<PermissionAssignResult>, CallRefusal> {
    let uuid: Uuid = call.parameter("uuid")?;
    assign(call, request.0, move |transaction| Ok(Grantee::Group(group::number(transaction, uuid)?))).await
}

pub(super) async fn unassign_from_group(
    call: Call,
    request: PatchedPermissionAssignRequest,
) -> Result<NoContent, CallRefusal> {
    let uuid: Uuid = call.parameter("uuid")?;
    unassign(call, request, move |transaction| Ok(Grantee::Group(group::number(transaction, uuid)?))).await
}

pub(super) async fn assign_to_user(
    call: Call,
    request: Required<PatchedPermissionAssignRequest>,
) -> Result<Vec<PermissionAssignResult>, CallRefusal> {
    let grantee = Grantee::Account(AccountNumber::new(call.parameter("id")?));
    assign(call, request.0, move |_| Ok(grantee)).await
}

pub(super) async fn unassign_from_user(
    call: Call,
    request: PatchedPermissionAssignRequest,
) -> Result<NoContent, CallRefusal> {
    let grantee = Grantee::Account(AccountNumber::new(call.parameter("id")?));
    unassign(call, request, move |_| Ok(grantee)).await
}

/// Grants what a request names to whom `find` finds.
async fn assign(
    call: Call,
    request: PatchedPermissionAssignRequest,
    find: impl FnOnce(&Transaction<'_>) -> Result<Grantee, ChangeError> + Send + 'static,
) -> Result<Vec<PermissionAssignResult>, CallRefusal> {
    call.change(move |transaction| {
        let grantee = find(transaction)?;
        require_grantee(transaction, grantee, true)?;
        let grants = grants_of(transaction, request)?;
        set_grants(transaction, grantee, &grants, true)?;
        let (accounts, viewer) = (transaction.snapshot().accounts(), transaction.viewer());
        let is_known = |on| accounts.has(on) && viewer.sees(on);
        let mut results = results(&held(accounts, grantee), &grants, is_known);
        if let Some(first) = results.first_mut() {
            first.foreign_credentials = told::foreign_credentials(transaction);
        }
        Ok(results)
    })
    .await
}

/// Takes what a request names from whom `find` finds.
async fn unassign(
    call: Call,
    request: PatchedPermissionAssignRequest,
    find: impl FnOnce(&Transaction<'_>) -> Result<Grantee, ChangeError> + Send + 'static,
) -> Result<NoContent, CallRefusal> {
    call.change(move |transaction| {
        let grantee = find(transaction)?;
        require_grantee(transaction, grantee, false)?;
        let grants = grants_of(transaction, request)?;
        set_grants(transaction, grantee, &grants, false)
    })
    .await?;
    Ok(NoContent)
}

/// All that somebody holds directly.
fn held(accounts: &Accounts, grantee: Grantee) -> Vec<Grant> {
    match grantee {
        Grantee::Role(number) => accounts.role(number).map(|role| role.grants.clone()),
        Grantee::Group(number) => accounts.group(number).map(|group| group.grants.to_vec()),
        Grantee::Account(number) => accounts.account(number).map(|account| account.grants.to_vec()),
    }
    .unwrap_or_default()
}

fn grants_of(
    source: &impl RepresentationSource,
    request: PatchedPermissionAssignRequest,
) -> Result<Vec<Grant>, ChangeError> {
    let PatchedPermissionAssignRequest { permissions, model, object_pk } = request;
    object::grants(source, &permissions.unwrap_or_default(), model.as_deref(), object_pk.as_deref())
}

/// The grants of a list with their places: those alone that are global or on what is known, as others do not show in a place
/// either.
fn numbered<'g>(
    grants: &'g [Grant],
    is_known: impl Fn(ObjectReference) -> bool + 'g,
) -> impl Iterator<Item = (usize, &'g Grant)> {
    grants.iter().filter(move |grant| grant.on.is_none_or(&is_known)).enumerate()
}

/// Where the grants stand among those that are held, as far as these are known.
fn results(
    held: &[Grant],
    grants: &[Grant],
    is_known: impl Fn(ObjectReference) -> bool,
) -> Vec<PermissionAssignResult> {
    let held: Vec<&Grant> = numbered(held, is_known).map(|(_, grant)| grant).collect();
    let places = grants.iter().filter_map(|grant| held.iter().position(|other| *other == grant));
    let result =
        |place: usize| PermissionAssignResult { id: (place + 1).to_string(), foreign_credentials: None };
    places.map(result).collect()
}

/// A model, or one object of it, of which it is asked who holds what.
struct Asked {
    model: String,
    on: Option<ObjectReference>,
    viewer: Arc<Viewer>,
}

impl Asked {
    fn new(reading: &Reading, query: &AssignedQuery) -> Result<Self, CallRefusal> {
        let (accounts, viewer) = (reading.accounts(), reading.viewer());
        let mut known = model::Permission::ALL.iter().map(|one| format!("{}.{}", one.label(), one.model()));
        if known.all(|known| known != query.model) {
            let message = format!("nothing is allowed of {model}", model = quoted(&query.model));
            return Err(CallRefusal::field("model", message));
        }
        let on = query.object_pk.as_deref();
        let on = on
            .map(|pk| object::find(&reading.caller, &viewer, accounts, &query.model, Some(pk)))
            .transpose()?;
        Ok(Self { model: query.model.clone(), on, viewer })
    }

    /// Whether a grant is one of those that are asked for. One on what was deleted, or what the caller may not view, is
    /// not.
    fn is_about(&self, accounts: &Accounts, grant: &Grant) -> bool {
        let permission = grant.permission;
        let is_of_model = self
            .model
            .split_once('.')
            .is_some_and(|(label, model)| label == permission.label() && model == permission.model());
        is_of_model
            && grant.on.is_none_or(|on| accounts.has(on) && self.viewer.sees(on))
            && (grant.on.is_none() || self.on.is_none() || grant.on == self.on)
    }

    fn is_held(&self, accounts: &Accounts, grants: &[Grant]) -> bool {
        grants.iter().any(|grant| self.is_about(accounts, grant))
    }

    fn of(&self, accounts: &Accounts, grants: &[Grant]) -> (Vec<ObjectPermission>, Vec<ModelPermission>) {
        let (mut on_objects, mut globally) = (Vec::new(), Vec::new());
        let numbered = numbered(grants, |on| accounts.has(on) && self.viewer.sees(on));
        for (place, grant) in numbered.filter(|(_, grant)| self.is_about(accounts, grant)) {
            let Permission { codename, model, app_label, name, .. } = shown(grant.permission);
            let id = place + 1;
            match grant.on {
                Some(on) => {
                    on_objects.push(ObjectPermission {
                        id,
                        codename,
                        model,
                        app_label,
                        object_pk: object::pk(accounts, on),
                        name,
                        object_description: accounts.name(on),
                    });
                }
                None => globally.push(ModelPermission { id, codename, model, app_label, name }),
            }
        }
        (on_objects, globally)
    }
}

fn shown(permission: model::Permission) -> Permission {
    let place = model::Permission::ALL.iter().position(|other| *other == permission);
    Permission {
        id: place.map_or(0, |place| place + 1),
        name: permission.title().to_owned(),
        codename: permission.codename().to_owned(),
        model: permission.model().to_owned(),
        app_label: permission.label().to_owned(),
        app_label_verbose: label_in_words(permission.label()).to_owned(),
        model_verbose: model_in_words(permission.model()).to_owned(),
    }
}

fn model_in_words(model: &str) -> &str {
    match model {
        "ldapprovider" => "LDAP provider",
        "policybinding" => "policy binding",
        "certificatekeypair" => "certificate",
        "systempermission" => "server",
        other => other,
    }
}

fn label_in_words(label: &str) -> &str {
    match label {
        "authentik_core" => "Accounts",
        "authentik_rbac" => "Roles",
        "authentik_providers_ldap" => "LDAP providers",
        "authentik_policies" => "Bindings",
        "authentik_crypto" => "Certificates",
        "authentik_events" => "Events",
        other => other,
    }
}
