//! `rbac/roles/`: named sets of permissions.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::answer::WrittenPage;
use super::by_uuid;
use super::call::Call;
use super::object;
use super::ordered::SortKey;
use super::reading::{Reading, RepresentationSource};
use super::refusal::CallRefusal;
use super::route::{NoContent, NoParameters};
use super::used_by::{UsedBy, UsedByAction};
use super::value::{Required, RequiredFields};
use crate::directory::name_key;
use crate::model::{self, AccountNumber, ObjectReference, Permission, RoleNumber};
use crate::registry::commands::{
    Place, RoleChanges, create_role, delete_role, set_role_of_account, update_role,
};
use crate::registry::{ChangeError, Transaction};

/// A role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Role {
    /// Its UUID.
    pub pk: Uuid,
    /// Its name.
    pub name: String,
}

/// What is said of a role that is made or changed; what is absent stays.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PatchedRoleRequest {
    pub name: Option<String>,
}

impl RequiredFields for PatchedRoleRequest {
    const REQUIRED: &'static [&'static str] = &["name"];
}

/// An account that gets a role, or loses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub(super) struct UserAccountSerializerForRoleRequest {
    pk: u32,
}

/// Which roles are asked for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[allow(non_snake_case, reason = "the names are those of authentik's parameters")]
pub(super) struct RoleQuery {
    /// Those of a group.
    groups: Option<Uuid>,
    /// Those that come through other groups too.
    inherited: Option<bool>,
    managed: Vec<String>,
    managed__isnull: Option<bool>,
    name: Option<String>,
    /// Those of an account.
    users: Option<u32>,
}

pub(super) fn list(reading: &Reading, query: RoleQuery) -> Result<WrittenPage<Role>, CallRefusal> {
    let accounts = reading.accounts();
    // bindery manages no roles of its own.
    if !query.managed.is_empty() || query.managed__isnull == Some(false) {
        return reading.cut(&[] as &[Arc<model::Role>], |role| Ok(shown(role)));
    }
    let inherited = query.inherited.unwrap_or(false);
    let shown_group = |uuid| {
        by_uuid::group(accounts, uuid).filter(|group| reading.may_view(ObjectReference::Group(group.number)))
    };
    let shown_account = |number| {
        let account = accounts.account(AccountNumber::new(number));
        account.filter(|account| reading.may_view(ObjectReference::Account(account.number)))
    };
    let of_group = query.groups.map(|uuid| match shown_group(uuid) {
        Some(group) if inherited => {
            let closure = group.closure.iter().filter_map(|number| accounts.group(*number));
            closure.flat_map(|group| group.roles.iter().copied()).collect()
        }
        Some(group) => group.roles.to_vec(),
        None => Vec::new(),
    });
    let of_account = query.users.map(|number| match shown_account(number) {
        Some(account) if inherited => {
            let groups = accounts.groups_above(account).flat_map(|group| group.roles.iter().copied());
            groups.chain(account.roles.iter().copied()).collect()
        }
        Some(account) => account.roles.to_vec(),
        None => Vec::new(),
    });
    let is_among = |list: &Option<Vec<RoleNumber>>, role: &model::Role| {
        list.as_ref().is_none_or(|list| list.contains(&role.number))
    };
    let mut found: Vec<Arc<model::Role>> = reading
        .walk(accounts.roles())
        .filter(|role| {
            reading.may_view(ObjectReference::Role(role.number))
                && query.name.as_deref().is_none_or(|name| name_key(name) == name_key(&role.name))
                && is_among(&of_group, role)
                && is_among(&of_account, role)
                && reading.page.finds([role.name.as_str()])
        })
        .cloned()
        .collect();
    reading.order(&mut found, |field, role| match field {
        "name" => Some(SortKey::name(&role.name)),
        "pk" | "uuid" => Some(SortKey::Uuid(role.uuid)),
        _ => None,
    })?;
    reading.cut(&found, |role| Ok(shown(role)))
}

pub(super) async fn create(call: Call, request: Required<PatchedRoleRequest>) -> Result<Role, CallRefusal> {
    let name = request.0.name.unwrap_or_default();
    call.require(Permission::AddRole)?;
    call.change(move |transaction| {
        let number = create_role(transaction, name, RoleChanges::default())?;
        by_number(transaction, number)
    })
    .await
}

pub(super) fn retrieve(reading: &Reading, _: NoParameters) -> Result<Role, CallRefusal> {
    let role =
        by_uuid::role(reading.accounts(), reading.parameter("uuid")?).ok_or_else(CallRefusal::not_found)?;
    reading.require_view(ObjectReference::Role(role.number))?;
    Ok(shown(role))
}

pub(super) async fn update(call: Call, request: PatchedRoleRequest) -> Result<Role, CallRefusal> {
    let uuid = call.parameter("uuid")?;
    call.change(move |transaction| {
        let number = number(transaction, uuid)?;
        update_role(transaction, number, RoleChanges { name: request.name, ..RoleChanges::default() })?;
        by_number(transaction, number)
    })
    .await
}

pub(super) async fn destroy(call: Call) -> Result<NoContent, CallRefusal> {
    let found =
        by_uuid::role(call.registry.snapshot().accounts(), call.parameter("uuid")?).map(|it| it.number);
    let number = found.ok_or_else(CallRefusal::not_found)?;
    let place = Place::default();
    call.change_in_parts(move |transaction| delete_role(transaction, number, &place)).await?;
    Ok(NoContent)
}

pub(super) async fn add_user(
    call: Call,
    request: UserAccountSerializerForRoleRequest,
) -> Result<NoContent, CallRefusal> {
    set_user(call, request, true).await
}

pub(super) async fn remove_user(
    call: Call,
    request: UserAccountSerializerForRoleRequest,
) -> Result<NoContent, CallRefusal> {
    set_user(call, request, false).await
}

async fn set_user(
    call: Call,
    request: UserAccountSerializerForRoleRequest,
    holds: bool,
) -> Result<NoContent, CallRefusal> {
    let uuid = call.parameter("uuid")?;
    call.change(move |transaction| {
        let number = number(transaction, uuid)?;
        set_role_of_account(transaction, number, AccountNumber::new(request.pk), holds)
    })
    .await?;
    Ok(NoContent)
}

pub(super) fn used_by(reading: &Reading, _: NoParameters) -> Result<Vec<UsedBy>, CallRefusal> {
    let accounts = reading.accounts();
    let role = by_uuid::role(accounts, reading.parameter("uuid")?).ok_or_else(CallRefusal::not_found)?;
    reading.require_view(ObjectReference::Role(role.number))?;
    let holders = reading.walk(accounts.accounts()).filter(|account| account.roles.contains(&role.number));
    let holders = holders.map(|account| ObjectReference::Account(account.number));
    let groups = reading.walk(accounts.groups()).filter(|group| group.roles.contains(&role.number));
    let all = holders.chain(groups.map(|group| ObjectReference::Group(group.number)));
    Ok(all.filter_map(|on| UsedBy::of(reading, on, UsedByAction::CascadeMany)).collect())
}

/// As it is answered.
pub(super) fn shown(role: &model::Role) -> Role {
    Role { pk: role.uuid, name: role.name.clone() }
}

/// The numbers of roles that a request names, where these are present: those that the caller may not view do not exist
/// for it, and stay.
pub(super) fn numbers(
    source: &impl RepresentationSource,
    uuids: &[Uuid],
    present: &[RoleNumber],
) -> Result<Vec<RoleNumber>, ChangeError> {
    let all = source.accounts().roles().map(|role| (role.uuid, role.number));
    object::numbers(source, ("roles", "role"), uuids, present, all, ObjectReference::Role)
}

/// The number of a role in the path.
pub(super) fn number(transaction: &Transaction<'_>, uuid: Uuid) -> Result<RoleNumber, ChangeError> {
    let found = by_uuid::role(transaction.snapshot().accounts(), uuid).map(|role| role.number);
    found.ok_or_else(|| ChangeError::NotFound { kind: "role", name: uuid.to_string() })
}

fn by_number(transaction: &Transaction<'_>, number: RoleNumber) -> Result<Role, ChangeError> {
    match transaction.snapshot().accounts().role(number) {
        Some(role) => Ok(shown(role)),
        None => Err(ChangeError::NotFound { kind: "role", name: number.to_string() }),
    }
}
