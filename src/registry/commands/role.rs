//! Roles and what is granted: roles made, changed and deleted, given to accounts, permissions assigned and taken.

use std::time::Duration;

use uuid::Uuid;

use super::account::{check_roles, grant_to_creator};
use super::validate;
use crate::access::Rights;
use crate::model::{
    AccountKind, AccountNumber, Grant, GroupNumber, ObjectReference, Permission, Record, Role, RoleNumber,
};
use crate::registry::{ChangeError, Transaction};

/// What is said of a role when it is made or changed; what is `None` is left as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleChanges {
    /// Its name.
    pub name: Option<String>,
    /// Entries that a search of who holds it may return: `Some(None)` as many as the server says, 0 any number.
    pub search_size_max: Option<Option<u32>>,
    /// How long such a search may take: `Some(None)` as long as the server says.
    pub search_time_max: Option<Option<Duration>>,
}

/// Who holds permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grantee {
    /// Who holds the role.
    Role(RoleNumber),
    /// Who is in the group, directly or through nesting.
    Group(GroupNumber),
    /// One account, directly.
    Account(AccountNumber),
}

/// Makes a role that allows nothing yet.
///
/// # Errors
/// The name is taken or none, or [`Permission::AddRole`] is missing.
pub fn create_role(
    transaction: &mut Transaction<'_>,
    name: String,
    given: RoleChanges,
) -> Result<RoleNumber, ChangeError> {
    transaction.require(Permission::AddRole)?;
    let number = RoleNumber::new(transaction.next_object()?);
    let role = Role {
        number,
        uuid: Uuid::new_v4(),
        name,
        grants: Vec::new(),
        search_size_max: None,
        search_time_max: None,
        origin: transaction.origin(),
    };
    put_role(transaction, role, RoleChanges { name: None, ..given })?;
    grant_to_creator(transaction, ObjectReference::Role(number))?;
    Ok(number)
}

/// Changes a role.
///
/// # Errors
/// There is no such role that the caller may view, [`Permission::ChangeRole`] on it is missing, or it is renamed and
/// allows what the caller may not do: a config would give that to whatever takes its name next.
pub fn update_role(
    transaction: &mut Transaction<'_>,
    number: RoleNumber,
    changes: RoleChanges,
) -> Result<(), ChangeError> {
    let role = role_for(transaction, number, Permission::ChangeRole)?;
    if changes.name.as_ref().is_some_and(|name| *name != role.name) {
        require_rights_of(transaction, number)?;
    }
    put_role(transaction, role, changes)
}

/// Deletes a role, and takes it from all who hold it.
///
/// # Errors
/// There is no such role that the caller may view, [`Permission::DeleteRole`] on it is missing, or it allows what the
/// caller may not do.
pub fn delete_role(transaction: &mut Transaction<'_>, number: RoleNumber) -> Result<(), ChangeError> {
    role_for(transaction, number, Permission::DeleteRole)?;
    require_rights_of(transaction, number)?;
    transaction.delete_role(number)
}

/// Gives an account a role, or takes it; that it is so already is no error.
///
/// # Errors
/// There is no such role or account that the caller may view, the role allows what the caller may not do, or
/// [`Permission::ChangeRole`] on the role is missing.
pub fn set_role_of_account(
    transaction: &mut Transaction<'_>,
    role: RoleNumber,
    account: AccountNumber,
    holds: bool,
) -> Result<(), ChangeError> {
    role_for(transaction, role, Permission::ChangeRole)?;
    let mut account = grantee_account(transaction, account)?;
    if account.roles.contains(&role) == holds {
        return Ok(());
    }
    let mut roles = account.roles.clone();
    if holds {
        roles.push(role);
    } else {
        roles.retain(|other| *other != role);
    }
    check_roles(transaction, &account.roles, &roles)?;
    account.roles = roles;
    account.modified = transaction.now();
    transaction.put(Record::Account(account))
}

/// Grants permissions to a role, a group or an account, or takes them; what is so already is no error.
///
/// # Errors
/// There is no such role, account or object; a permission cannot be granted on such an object; the caller does not
/// hold what it gives; or [`Permission::AssignRolePermissions`] (or [`Permission::UnassignRolePermissions`]) on the
/// role is missing, for an account [`Permission::ChangeUser`] and that permission globally.
pub fn set_grants(
    transaction: &mut Transaction<'_>,
    grantee: Grantee,
    grants: &[Grant],
    granted: bool,
) -> Result<(), ChangeError> {
    require_grantee(transaction, grantee, granted)?;
    let accounts = transaction.snapshot().accounts();
    for grant in grants {
        check_grant(grant)?;
        if granted && grant.on.is_some_and(|on| !accounts.has(on)) {
            return Err(ChangeError::field("object_pk", "there is no such object"));
        }
    }
    if granted {
        let given = Rights { is_superuser: false, grants: grants.to_vec() };
        transaction.caller().require_held(accounts, &given)?;
    }
    match grantee {
        Grantee::Role(number) => {
            let mut role = role_for(transaction, number, assignment(granted))?;
            change_grants(&mut role.grants, grants, granted);
            transaction.put(Record::Role(role))
        }
        Grantee::Group(number) => {
            let Some(mut group) = transaction.group(number)? else {
                return Err(ChangeError::NotFound { kind: "group", name: number.to_string() });
            };
            let before = group.grants.clone();
            change_grants(&mut group.grants, grants, granted);
            if group.grants != before {
                group.modified = transaction.now();
                transaction.put(Record::Group(group))?;
            }
            Ok(())
        }
        Grantee::Account(number) => {
            let account = transaction.account(number)?;
            let mut account =
                account.ok_or_else(|| ChangeError::NotFound { kind: "account", name: number.to_string() })?;
            let before = account.grants.clone();
            change_grants(&mut account.grants, grants, granted);
            if account.grants != before {
                account.modified = transaction.now();
                transaction.put(Record::Account(account))?;
            }
            Ok(())
        }
    }
}

/// Asks whether the caller may change the grants of a role, a group or an account at all. Whoever may not is told
/// nothing of what it names in them.
///
/// # Errors
/// There is no such grantee that the caller may view, or a permission on it is missing.
pub fn require_grantee(
    transaction: &Transaction<'_>,
    grantee: Grantee,
    granted: bool,
) -> Result<(), ChangeError> {
    let permission = assignment(granted);
    match grantee {
        Grantee::Role(number) => role_for(transaction, number, permission).map(drop),
        Grantee::Group(number) => {
            let accounts = transaction.snapshot().accounts();
            let Some(group) = accounts.group(number) else {
                return Err(ChangeError::NotFound { kind: "group", name: number.to_string() });
            };
            transaction.require_on(Permission::ChangeGroup, ObjectReference::Group(number), &group.name)?;
            transaction.require(permission)
        }
        Grantee::Account(number) => {
            let Some(account) = transaction.snapshot().accounts().account(number) else {
                return Err(ChangeError::NotFound { kind: "account", name: number.to_string() });
            };
            let on = ObjectReference::Account(number);
            transaction.require_on(Permission::ChangeUser, on, &account.username)?;
            if account.kind == AccountKind::InternalServiceAccount {
                return Err(validate::internal(&account.username));
            }
            transaction.require(permission)
        }
    }
}

fn assignment(granted: bool) -> Permission {
    if granted { Permission::AssignRolePermissions } else { Permission::UnassignRolePermissions }
}

fn change_grants(present: &mut Vec<Grant>, grants: &[Grant], granted: bool) {
    for grant in grants {
        match (granted, present.contains(grant)) {
            (true, false) => present.push(*grant),
            (false, true) => present.retain(|other| other != grant),
            (true, true) | (false, false) => {}
        }
    }
}

/// Whether the permission is one about such an object.
fn check_grant(grant: &Grant) -> Result<(), ChangeError> {
    match grant.on {
        Some(on) if on.permissions().all(|permission| permission != grant.permission) => {
            Err(ChangeError::field(
                "permissions",
                format!("`{}` cannot be granted on a {}; leave the object out", grant.permission, on.kind()),
            ))
        }
        _ => Ok(()),
    }
}

fn require_rights_of(transaction: &Transaction<'_>, number: RoleNumber) -> Result<(), ChangeError> {
    let accounts = transaction.snapshot().accounts();
    transaction.caller().require_held(accounts, &Rights::of_roles(accounts, &[number]))
}

fn role_for(
    transaction: &Transaction<'_>,
    number: RoleNumber,
    permission: Permission,
) -> Result<Role, ChangeError> {
    let Some(role) = transaction.snapshot().accounts().role(number) else {
        return Err(ChangeError::NotFound { kind: "role", name: number.to_string() });
    };
    transaction.require_on(permission, ObjectReference::Role(number), &role.name)?;
    Ok((**role).clone())
}

fn grantee_account(
    transaction: &Transaction<'_>,
    number: AccountNumber,
) -> Result<crate::model::Account, ChangeError> {
    super::group::check_account(transaction, number, "pk", true)?;
    let account = transaction.account(number)?;
    account.ok_or_else(|| ChangeError::NotFound { kind: "account", name: number.to_string() })
}

fn put_role(
    transaction: &mut Transaction<'_>,
    mut role: Role,
    changes: RoleChanges,
) -> Result<(), ChangeError> {
    let RoleChanges { name, search_size_max, search_time_max } = changes;
    role.name = name.unwrap_or(role.name);
    role.search_size_max = search_size_max.unwrap_or(role.search_size_max);
    role.search_time_max = search_time_max.unwrap_or(role.search_time_max);
    validate::name("role", &role.name).map_err(|problem| ChangeError::field("name", problem))?;
    let named = transaction.snapshot().accounts().role_named(&role.name);
    if named.is_some_and(|other| other.number != role.number) {
        return Err(ChangeError::Exists { kind: "role", name: role.name });
    }
    transaction.put(Record::Role(role))
}
