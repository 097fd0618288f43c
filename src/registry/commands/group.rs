//! Groups one at a time: made, changed, deleted, joined and left.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::account::{check_roles, each_once, grant_to_creator};
use super::validate;
use crate::access::Rights;
use crate::directory::GroupState;
use crate::model::{
    AccountKind, AccountNumber, Application, Attribute, BindingSubject, Group, GroupNumber, ObjectReference,
    Permission, Record, RoleNumber,
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
    if transaction.snapshot().accounts().group_named(&name).is_some() {
        return Err(ChangeError::Exists { kind: "group", name });
    }
    let number = GroupNumber::new(transaction.next_number()?);
    let group = Group::new(number, name, transaction.origin(), transaction.now());
    let members = given.members.clone();
    put_group(transaction, None, group, GroupChanges { name: None, members: None, ..given })?;
    // Only now it may put accounts into what it has made.
    grant_to_creator(transaction, ObjectReference::Group(number))?;
    match members {
        None => {}
        Some(members) => set_members(transaction, number, &members)?,
    }
    Ok(number)
}

/// Changes a group.
///
/// # Errors
/// There is no such group that the caller may view, it would give rights that the caller lacks, it is renamed, ceases to
/// make superusers or leaves another group and gives rights that the caller lacks (a config would give them again, to
/// who has joined meanwhile), or [`Permission::ChangeGroup`] on it is missing.
pub fn update_group(
    transaction: &mut Transaction<'_>,
    number: GroupNumber,
    changes: GroupChanges,
) -> Result<(), ChangeError> {
    let group = group_for(transaction, number, Permission::ChangeGroup)?;
    let is_renamed = changes.name.as_ref().is_some_and(|name| *name != group.name);
    let is_lowered = changes.is_superuser == Some(false) && group.is_superuser;
    if is_renamed || is_lowered {
        require_rights_of(transaction, number)?;
    }
    put_group(transaction, Some(group.clone()), group, changes)
}

/// Deletes a group with its memberships; its children lose the parent.
///
/// # Errors
/// There is no such group that the caller may view, it gives rights that the caller lacks, a binding names it, or
/// [`Permission::DeleteGroup`] on it is missing.
pub fn delete_group(transaction: &mut Transaction<'_>, number: GroupNumber) -> Result<(), ChangeError> {
    let group = group_for(transaction, number, Permission::DeleteGroup)?;
    require_rights_of(transaction, number)?;
    let accounts = transaction.snapshot().accounts();
    let named = BindingSubject::Group(number);
    let is_bound =
        |application: &&Arc<Application>| application.bindings.iter().any(|bound| bound.subject == named);
    if let Some(application) = accounts.applications().find(is_bound) {
        let on = ObjectReference::Application(application.number);
        let slug = match transaction.caller().may(accounts, Permission::ViewApplication, Some(on)) {
            true => format!(" `{}`", application.slug),
            false => String::new(),
        };
        return Err(ChangeError::Refused(format!(
            "the group `{}` decides who may use the application{slug}: delete the binding first",
            group.name
        )));
    }
    transaction.delete_group(number)
}

fn require_rights_of(transaction: &Transaction<'_>, number: GroupNumber) -> Result<(), ChangeError> {
    let accounts = transaction.snapshot().accounts();
    transaction.caller().require_held(accounts, &Rights::of_group(accounts, number))
}

/// Puts an account into a group or takes it out; that it is so already is no error.
///
/// # Errors
/// There is no such group that the caller may view, no such account, the group gives rights that the caller lacks, or
/// [`Permission::AddUserToGroup`] (or [`Permission::RemoveUserFromGroup`]) on the group is missing.
pub fn set_member(
    transaction: &mut Transaction<'_>,
    group: GroupNumber,
    account: AccountNumber,
    is_member: bool,
) -> Result<(), ChangeError> {
    let permission = if is_member { Permission::AddUserToGroup } else { Permission::RemoveUserFromGroup };
    require_on_group(transaction, group, permission)?;
    // Whoever was given this one job need not be allowed to look at the accounts; the group shows them their numbers.
    check_account(transaction, account, "pk", true)?;
    set_member_for(transaction, group, account, is_member)
}

/// The same of an account that the caller may know.
pub(super) fn set_member_for(
    transaction: &mut Transaction<'_>,
    group: GroupNumber,
    account: AccountNumber,
    is_member: bool,
) -> Result<(), ChangeError> {
    let permission = if is_member { Permission::AddUserToGroup } else { Permission::RemoveUserFromGroup };
    let state = require_on_group(transaction, group, permission)?;
    if is_member && !state.has_member(account) {
        let accounts = transaction.snapshot().accounts();
        transaction.caller().require_held(accounts, &Rights::of_group(accounts, group))?;
    }
    transaction.set_member(group, account, is_member).map(drop)
}

fn require_on_group(
    transaction: &Transaction<'_>,
    group: GroupNumber,
    permission: Permission,
) -> Result<Arc<GroupState>, ChangeError> {
    let accounts = transaction.snapshot().accounts();
    let Some(state) = accounts.group(group).cloned() else {
        return Err(ChangeError::NotFound { kind: "group", name: group.to_string() });
    };
    transaction.require_on(permission, ObjectReference::Group(group), &state.name)?;
    Ok(state)
}

/// Whether an account that a list in a request names can be in groups. One that the caller may not view does not exist
/// for it.
fn check_member(
    transaction: &Transaction<'_>,
    number: AccountNumber,
    field: &'static str,
) -> Result<(), ChangeError> {
    let accounts = transaction.snapshot().accounts();
    let is_known =
        transaction.caller().may(accounts, Permission::ViewUser, Some(ObjectReference::Account(number)));
    check_account(transaction, number, field, is_known)
}

/// Whether an account can be in groups and hold roles.
pub(super) fn check_account(
    transaction: &Transaction<'_>,
    number: AccountNumber,
    field: &'static str,
    is_known: bool,
) -> Result<(), ChangeError> {
    let accounts = transaction.snapshot().accounts();
    match accounts.account(number).filter(|_| is_known) {
        None => Err(ChangeError::field(field, format!("there is no account {number}"))),
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
    let (parents, roles) = (parents.map(each_once), roles.map(each_once));
    if let Some(parents) = &parents {
        check_parents(transaction, number, &group.parents, parents)?;
    }
    if let Some(roles) = &roles {
        check_roles(transaction, &group.roles, roles)?;
    }
    group.name = name.unwrap_or(group.name);
    validate::name("group", &group.name).map_err(|problem| ChangeError::field("name", problem))?;
    if accounts.group_named(&group.name).is_some_and(|other| other.number != number) {
        return Err(ChangeError::Exists { kind: "group", name: group.name });
    }
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
    let joined = after.iter().filter(|parent| !before.contains(parent));
    let left = before.iter().filter(|parent| !after.contains(parent) && accounts.group(**parent).is_some());
    for parent in joined.chain(left) {
        let Some(state) = accounts.group(*parent) else {
            return Err(ChangeError::NotFound { kind: "group", name: parent.to_string() });
        };
        let is_joined = !before.contains(parent);
        if is_joined && (*parent == number || state.closure.binary_search(&number).is_ok()) {
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
    let above: BTreeSet<GroupNumber> = after
        .iter()
        .filter_map(|parent| accounts.group(*parent))
        .flat_map(|parent| parent.closure.iter().copied())
        .collect();
    let deepest = accounts.groups_below(number).into_iter().filter_map(|below| accounts.group(below));
    let deepest = deepest.map(|below| below.closure.len()).max().unwrap_or(1);
    if above.len().saturating_add(deepest) > GROUPS_ABOVE_MAX {
        return Err(ChangeError::field(
            "parents",
            format!(
                "an account can be in {GROUPS_ABOVE_MAX} groups through nesting of one: nest them less deeply"
            ),
        ));
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
    let present: BTreeSet<AccountNumber> = match accounts.group(number) {
        Some(group) => {
            let members = group.members().filter_map(|member| accounts.account_of_entry(member));
            members.map(|account| account.number).collect()
        }
        None => BTreeSet::new(),
    };
    let wanted: BTreeSet<AccountNumber> = members.iter().copied().collect();
    for account in wanted.difference(&present) {
        check_member(transaction, *account, "users")?;
        set_member_for(transaction, number, *account, true)?;
    }
    for account in present.difference(&wanted) {
        check_member(transaction, *account, "users")?;
        set_member_for(transaction, number, *account, false)?;
    }
    Ok(())
}

/// Groups that one group is in, itself counted: each is asked at every operation of its members.
const GROUPS_ABOVE_MAX: usize = 256;
