//! Groups one at a time: made, changed, deleted, joined and left.

use super::account::{check_roles, grant_to_creator};
use super::validate;
use crate::access::Rights;
use crate::model::{
    AccountKind, AccountNumber, Attribute, Group, GroupNumber, ObjectReference, Permission, Record,
    RoleNumber,
};
use crate::registry::{ChangeError, Transaction};

/// What is said of a group when it is made or changed; what is `None` is left as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupChanges {
    /// Its name.
    pub name: Option<String>,
    /// Whether its members may do everything.
    pub is_superuser: Option<bool>,
    /// All groups that it is in directly.
    pub parents: Option<Vec<GroupNumber>>,
    /// All accounts that are directly in it.
    pub members: Option<Vec<AccountNumber>>,
    /// All roles of its members.
    pub roles: Option<Vec<RoleNumber>>,
    /// All its free attributes.
    pub attributes: Option<Vec<Attribute>>,
}

/// Makes a group.
///
/// # Errors
/// The name is taken or none, it would give rights that the caller lacks, or [`Permission::AddGroup`] is missing.
pub fn create_group(
    transaction: &mut Transaction<'_>,
    name: String,
    given: GroupChanges,
) -> Result<GroupNumber, ChangeError> {
    transaction.require(Permission::AddGroup)?;
    let number = new_group(transaction, name, given)?;
    grant_to_creator(transaction, ObjectReference::Group(number))?;
    Ok(number)
}

/// Makes a group for whoever may.
pub(super) fn new_group(
    transaction: &mut Transaction<'_>,
    name: String,
    given: GroupChanges,
) -> Result<GroupNumber, ChangeError> {
    if transaction.snapshot().accounts().group_named(&name).is_some() {
        return Err(ChangeError::Exists { kind: "group", name });
    }
    let number = GroupNumber::new(transaction.next_number()?);
    let group = Group::new(number, name, transaction.now());
    put_group(transaction, None, group, GroupChanges { name: None, ..given })?;
    Ok(number)
}

/// Changes a group.
///
/// # Errors
/// There is no such group that the caller may view, it would give rights that the caller lacks, or
/// [`Permission::ChangeGroup`] on it is missing.
pub fn update_group(
    transaction: &mut Transaction<'_>,
    number: GroupNumber,
    changes: GroupChanges,
) -> Result<(), ChangeError> {
    let group = group_for(transaction, number, Permission::ChangeGroup)?;
    put_group(transaction, Some(group.clone()), group, changes)
}

/// Deletes a group with its memberships; its children lose the parent.
///
/// # Errors
/// There is no such group that the caller may view, or [`Permission::DeleteGroup`] on it is missing.
pub fn delete_group(transaction: &mut Transaction<'_>, number: GroupNumber) -> Result<(), ChangeError> {
    group_for(transaction, number, Permission::DeleteGroup)?;
    transaction.delete_group(number)
}

/// Puts an account into a group or takes it out; that it is so already is no error.
///
/// # Errors
/// There is no such group or account that the caller may view, the group gives rights that the caller lacks, or
/// [`Permission::AddUserToGroup`] (or [`Permission::RemoveUserFromGroup`]) on the group is missing.
pub fn set_member(
    transaction: &mut Transaction<'_>,
    group: GroupNumber,
    account: AccountNumber,
    is_member: bool,
) -> Result<(), ChangeError> {
    let permission = if is_member { Permission::AddUserToGroup } else { Permission::RemoveUserFromGroup };
    let accounts = transaction.snapshot().accounts();
    let Some(state) = accounts.group(group) else {
        return Err(ChangeError::NotFound { kind: "group", name: group.to_string() });
    };
    transaction.require_on(permission, ObjectReference::Group(group), &state.name)?;
    check_member(transaction, account)?;
    let is_joining = is_member && !state.has_member(account);
    if is_joining {
        let accounts = transaction.snapshot().accounts();
        transaction.caller().require_held(accounts, &Rights::of_group(accounts, group))?;
    }
    transaction.set_member(group, account, is_member).map(drop)
}

/// Whether an account can be in groups.
fn check_member(transaction: &Transaction<'_>, number: AccountNumber) -> Result<(), ChangeError> {
    match transaction.snapshot().accounts().account(number) {
        None => Err(ChangeError::NotFound { kind: "account", name: number.to_string() }),
        Some(account) if account.kind == AccountKind::InternalServiceAccount => {
            Err(validate::internal(&account.username))
        }
        Some(_) => Ok(()),
    }
}

fn group_for(
    transaction: &Transaction<'_>,
    number: GroupNumber,
    permission: Permission,
) -> Result<Group, ChangeError> {
    let Some(group) = transaction.group(number)? else {
        return Err(ChangeError::NotFound { kind: "group", name: number.to_string() });
    };
    transaction.require_on(permission, ObjectReference::Group(number), &group.name)?;
    Ok(group)
}

fn put_group(
    transaction: &mut Transaction<'_>,
    before: Option<Group>,
    mut group: Group,
    changes: GroupChanges,
) -> Result<(), ChangeError> {
    let GroupChanges { name, is_superuser, parents, members, roles, attributes } = changes;
    let number = group.number;
    let accounts = transaction.snapshot().accounts();
    if is_superuser == Some(true) && !group.is_superuser {
        transaction.caller().require_held(accounts, &Rights { is_superuser: true, grants: Vec::new() })?;
    }
    if let Some(parents) = &parents {
        check_parents(transaction, number, &group.parents, parents)?;
    }
    if let Some(roles) = &roles {
        check_roles(transaction, &group.roles, roles)?;
    }
    group.name = name.unwrap_or(group.name);
    group.is_superuser = is_superuser.unwrap_or(group.is_superuser);
    group.parents = parents.unwrap_or(group.parents);
    group.roles = roles.unwrap_or(group.roles);
    group.attributes = attributes.unwrap_or(group.attributes);
    if before.as_ref() != Some(&group) {
        group.modified = transaction.now();
        let mut problems = Vec::new();
        validate::group(&group, transaction.snapshot(), &mut problems);
        validate::refuse(problems)?;
        transaction.put(Record::Group(group))?;
    }
    match members {
        None => Ok(()),
        Some(members) => set_members(transaction, number, &members),
    }
}

/// A group that joins another brings its members all that the other gives.
fn check_parents(
    transaction: &Transaction<'_>,
    number: GroupNumber,
    before: &[GroupNumber],
    after: &[GroupNumber],
) -> Result<(), ChangeError> {
    let accounts = transaction.snapshot().accounts();
    for parent in after.iter().filter(|parent| !before.contains(parent)) {
        let Some(state) = accounts.group(*parent) else {
            return Err(ChangeError::NotFound { kind: "group", name: parent.to_string() });
        };
        if *parent == number || state.closure.binary_search(&number).is_ok() {
            return Err(ChangeError::field(
                "parents",
                format!(
                    "the group `{}` is in this one already, and groups cannot be in each other",
                    state.name
                ),
            ));
        }
        transaction.require_on(Permission::ChangeGroup, ObjectReference::Group(*parent), &state.name)?;
        transaction.caller().require_held(accounts, &Rights::of_group(accounts, *parent))?;
    }
    Ok(())
}

/// Makes these the accounts that are directly in a group.
fn set_members(
    transaction: &mut Transaction<'_>,
    number: GroupNumber,
    members: &[AccountNumber],
) -> Result<(), ChangeError> {
    let accounts = transaction.snapshot().accounts();
    let present: Vec<AccountNumber> = match accounts.group(number) {
        Some(group) => {
            let members = group.members().filter_map(|member| accounts.account_of_entry(member));
            members.map(|account| account.number).collect()
        }
        None => Vec::new(),
    };
    for account in members.iter().filter(|account| !present.contains(account)) {
        set_member(transaction, number, *account, true)?;
    }
    for account in present.iter().filter(|account| !members.contains(account)) {
        set_member(transaction, number, *account, false)?;
    }
    Ok(())
}
