//! Groups one at a time: made, changed, deleted, joined and left.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::account::grant_to_creator;
use super::names::Former;
use super::role::{check_grants, check_roles, each_once, part_of};
use super::{names, set, validate, whole};
use crate::access::Rights;
use crate::directory::GroupState;
use crate::model::{
    AccountKind, AccountNumber, Group, GroupChanges, GroupNumber, Key, ObjectReference, Origin, Permission,
    Record, Tombstone, TombstoneOf,
};
use crate::registry::transaction::name_form;
use crate::registry::{ChangeError, Lack, Transaction, Viewer};

/// Makes a group.
///
/// # Errors
/// The name is taken or none, or that of something deleted that is not for the caller to bring back; it would give rights
/// that the caller lacks, or [`Permission::AddGroup`] is missing.
pub fn create_group(
    transaction: &mut Transaction<'_>,
    name: String,
    given: GroupChanges,
) -> Result<GroupNumber, ChangeError> {
    transaction.require(Permission::AddGroup)?;
    let number = GroupNumber::new(transaction.next_number()?);
    let group = Group::new(number, name, transaction.origin(), transaction.now());
    let members = given.members.clone();
    write(transaction, None, group, GroupChanges { name: None, members: None, ..given })?;
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
/// There is no such group that the caller may view, it gives, or would give, rights that the caller lacks (a config would give
/// them again to who has its name, hosts and applications go by what it is known by), or [`Permission::ChangeGroup`] on it is
/// missing.
pub fn update_group(
    transaction: &mut Transaction<'_>,
    number: GroupNumber,
    changes: GroupChanges,
) -> Result<(), ChangeError> {
    let group = group_for(transaction, number, Permission::ChangeGroup)?;
    let given = Rights::of_group(transaction.snapshot().accounts(), number);
    write(transaction, Some(group.clone()), group.clone(), changes)?;
    match transaction.group(number)? {
        // What was said of it was so already, or was said of others: who is in a group is asked for by itself.
        Some(after) if after == group => Ok(()),
        _ => transaction.caller().require_held(transaction.snapshot().accounts(), &given),
    }
}

/// Deletes a group with its memberships; its children lose the parent. Of many members a part leaves it, as
/// [`delete_role`](super::role::delete_role) takes a role from a part, and it is said of how many, as there is more to be done.
///
/// # Errors
/// There is no such group that the caller may view, it gives rights that the caller lacks, or
/// [`Permission::DeleteGroup`] on it is missing. That no binding names it is asked at the end of the change (`whole.rs`).
pub fn delete_group(
    transaction: &mut Transaction<'_>,
    number: GroupNumber,
) -> Result<Option<usize>, ChangeError> {
    group_for(transaction, number, Permission::DeleteGroup)?;
    require_rights_of(transaction, number)?;
    // Before anybody has left it.
    whole::refuse_bound(transaction.snapshot(), number, &transaction.viewer())?;
    let snapshot = transaction.snapshot().clone();
    let members = snapshot.accounts().group(number).into_iter().flat_map(|group| group.members());
    let members = members.filter_map(|member| member.number()).map(AccountNumber::new);
    let members = members.filter(|member| snapshot.accounts().account(*member).is_some());
    let Some(part) = part_of(transaction, members, MEMBERS_MAX) else {
        return transaction.delete_group(number).map(|()| None);
    };
    part.iter().try_for_each(|member| transaction.delete(Key::Membership(number, *member)))?;
    Ok(Some(part.len()))
}

/// What is taken is asked for like what is given: whoever could strip somebody of it could then take the rest, and get the
/// rights back with it when they are given again.
fn require_rights_of(transaction: &Transaction<'_>, number: GroupNumber) -> Result<(), ChangeError> {
    let accounts = transaction.snapshot().accounts();
    transaction.caller().require_held(accounts, &Rights::of_group(accounts, number))
}

/// Puts an account into a group or takes it out; that it is so already is no error.
///
/// # Errors
/// There is no such group that the caller may view, no such account, the group gives (or gave) rights that the caller
/// lacks, or
/// [`Permission::AddUserToGroup`] (or [`Permission::RemoveUserFromGroup`]) on the group is missing.
pub fn set_member(
    transaction: &mut Transaction<'_>,
    group: GroupNumber,
    account: AccountNumber,
    is_member: bool,
) -> Result<(), ChangeError> {
    require_on_group(transaction, group, permission_for(is_member))?;
    // Whoever was given this one job need not be allowed to look at the accounts; the group shows them their numbers.
    check_number(transaction, account, "pk")?;
    set_member_for(transaction, group, account, is_member)
}

/// The same of an account that the caller may know.
pub(super) fn set_member_for(
    transaction: &mut Transaction<'_>,
    group: GroupNumber,
    account: AccountNumber,
    is_member: bool,
) -> Result<(), ChangeError> {
    let state = require_on_group(transaction, group, permission_for(is_member))?;
    if is_member != state.has_member(account) {
        require_rights_of(transaction, group)?;
    }
    transaction.set_member(group, account, is_member).map(drop)
}

fn permission_for(is_member: bool) -> Permission {
    if is_member { Permission::AddUserToGroup } else { Permission::RemoveUserFromGroup }
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

/// Whether an account that a request names can be in groups and hold roles. One that may not be named to the caller does not
/// exist for it.
pub(super) fn check_account(
    transaction: &Transaction<'_>,
    viewer: &Viewer,
    number: AccountNumber,
    field: &'static str,
) -> Result<(), ChangeError> {
    if viewer.names(ObjectReference::Account(number)) {
        return check_number(transaction, number, field);
    }
    transaction.caller().lacks(Lack::Permission(Permission::ViewUser));
    Err(no_account(number, field))
}

/// The same of an account that may be hidden from the caller, for the one job that is given without a look at anybody.
fn check_number(
    transaction: &Transaction<'_>,
    number: AccountNumber,
    field: &'static str,
) -> Result<(), ChangeError> {
    match transaction.snapshot().accounts().account(number) {
        None => Err(no_account(number, field)),
        Some(account) if account.kind == AccountKind::InternalServiceAccount => {
            Err(validate::internal_to(&transaction.viewer(), number, &account.username))
        }
        Some(_) => Ok(()),
    }
}

fn no_account(number: AccountNumber, field: &'static str) -> ChangeError {
    ChangeError::field(field, format!("there is no account {number}"))
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

/// The one writer of groups: puts `group`, with what is said of it, in the place of `before`. It asks whether the caller
/// holds what is given and taken; whether it may change the group at all is asked before.
///
/// # Errors
/// What cannot be, or a right that the caller lacks.
pub(super) fn write(
    transaction: &mut Transaction<'_>,
    before: Option<Group>,
    mut group: Group,
    changes: GroupChanges,
) -> Result<(), ChangeError> {
    let GroupChanges { name, is_superuser, parents, members, roles, grants, attributes, attribute_forms } =
        changes;
    let number = group.number;
    set(&mut group.name, name);
    if before.as_ref().is_none_or(|before| before.name != group.name) {
        let of = TombstoneOf::Group(name_form(&group.name));
        let former = before.as_ref().map(|before| Former {
            name: &before.name,
            of: TombstoneOf::Group(name_form(&before.name)),
            origin: before.origin,
            holds_rights: !Rights::of_group(transaction.snapshot().accounts(), number).is_empty(),
        });
        names::refuse_rename(transaction, former.as_ref(), &of)?;
        let named = validate::name("group", &group.name);
        transaction.noting(named.map_err(|problem| ChangeError::field("name", problem)))?;
        let named = transaction.snapshot().accounts().group_named(&group.name);
        let named = named.map(|named| ObjectReference::Group(named.number));
        names::note_taken(transaction, named, ObjectReference::Group(number), &group.name)?;
        names::give(transaction, of, former)?;
    }
    if let Some(is_superuser) = is_superuser.filter(|is_superuser| *is_superuser != group.is_superuser) {
        let (accounts, caller) = (transaction.snapshot().accounts(), transaction.caller());
        // authentik's permission for it is asked for besides: alone it opens nothing.
        let permission = match is_superuser {
            true => Permission::EnableGroupSuperuser,
            false => Permission::DisableGroupSuperuser,
        };
        if !caller.may(accounts, permission, before.as_ref().map(|_| ObjectReference::Group(number))) {
            caller.lacks(Lack::Permission(permission));
            return Err(ChangeError::Forbidden { permission });
        }
        caller.require_held(accounts, &Rights { is_superuser: true, grants: Vec::new() })?;
        group.is_superuser = is_superuser;
    }
    if let Some(parents) = parents.map(each_once) {
        check_parents(transaction, &group.parents, &parents)?;
        group.parents = parents;
    }
    if let Some(roles) = roles.map(each_once) {
        check_roles(transaction, &group.roles, &roles)?;
        group.roles = roles;
    }
    if let Some(grants) = grants.map(each_once) {
        check_grants(transaction, &group.grants, &grants)?;
        group.grants = grants;
    }
    if let Some(attributes) = attributes {
        group.attributes = attributes;
        group.attribute_forms = attribute_forms;
    }
    if before.as_ref() != Some(&group) {
        // Who is in a group is said of that group, and what an import says of the time holds for what it makes.
        let is_changed =
            |before: &Group| *before != Group { parents: before.parents.clone(), ..group.clone() };
        if before.as_ref().is_some_and(is_changed) {
            group.modified = transaction.now();
        }
        put(transaction, before.as_ref(), group)?;
    }
    match members {
        None => Ok(()),
        Some(members) => set_members(transaction, number, &members),
    }
}

/// Puts a group in the place of `before`. What each of its records keeps is asked here, and nothing about rights: for
/// [`write`], and for what follows from something else that was asked for.
///
/// # Errors
/// What cannot be and was not so before.
pub(super) fn put(
    transaction: &mut Transaction<'_>,
    before: Option<&Group>,
    group: Group,
) -> Result<(), ChangeError> {
    let present = &before.unwrap_or(&group).name;
    transaction.noting_all(validate::new_problems(before, &group, |group, problems| {
        validate::group(group, present, transaction.snapshot(), || transaction.viewer(), problems);
    }))?;
    let present = before.map(|before| &*before.attributes);
    transaction.noting(validate::value_counts(transaction, &group.attributes, present))?;
    transaction.noting(validate::posix_numbers(transaction, &group.attributes, present))?;
    transaction.put(Record::Group(group))
}

impl Transaction<'_> {
    /// Deletes a group with its memberships; its children lose the parent. Of one that the config would bring back a
    /// tombstone stays.
    pub fn delete_group(&mut self, number: GroupNumber) -> Result<(), ChangeError> {
        let Some(state) = self.snapshot().accounts().group(number).cloned() else { return Ok(()) };
        for member in state.members() {
            let Some(member) = member.number() else { continue };
            if self.snapshot().accounts().account(AccountNumber::new(member)).is_some() {
                self.delete(Key::Membership(number, AccountNumber::new(member)))?;
            } else if let Some(before) = self.group(GroupNumber::new(member))? {
                let mut child = Group { modified: self.now(), ..before.clone() };
                child.parents.retain(|parent| *parent != number);
                put(self, Some(&before), child)?;
            }
        }
        let origin = self.group(number)?.map(|group| group.origin).unwrap_or_default();
        let held_rights = !Rights::of_group(self.snapshot().accounts(), number).is_empty();
        self.delete(Key::Group(number))?;
        let of = TombstoneOf::Group(name_form(&state.name));
        match origin {
            Origin::Config => {
                self.put_tombstone(Tombstone { of, origin, held_rights, made: Some(self.now()) })
            }
            _ => Ok(()),
        }
    }
}

/// A group that joins another brings its members all that the other gives, and one that leaves it takes that from them.
/// That groups are not in each other is asked at the end of the change (`whole.rs`).
fn check_parents(
    transaction: &Transaction<'_>,
    before: &[GroupNumber],
    after: &[GroupNumber],
) -> Result<(), ChangeError> {
    let accounts = transaction.snapshot().accounts();
    let joined = after.iter().filter(|parent| !before.contains(parent));
    let left = before.iter().filter(|parent| !after.contains(parent) && accounts.group(**parent).is_some());
    for parent in joined.chain(left) {
        let on = ObjectReference::Group(*parent);
        let Some(state) = accounts.group(*parent) else {
            if transaction.is_announced(on) {
                continue;
            }
            return Err(ChangeError::NotFound { kind: "group", name: parent.to_string() });
        };
        transaction.require_on(Permission::ChangeGroup, on, &state.name)?;
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
    let present: BTreeSet<AccountNumber> = match accounts.group(number) {
        Some(group) => {
            let members = group.members().filter_map(|member| accounts.account_of_entry(member));
            members.map(|account| account.number).collect()
        }
        None => BTreeSet::new(),
    };
    let wanted: BTreeSet<AccountNumber> = members.iter().copied().collect();
    let viewer = transaction.viewer();
    for (changed, is_member) in [(wanted.difference(&present), true), (present.difference(&wanted), false)] {
        let mut is_asked = false;
        for account in changed {
            check_account(transaction, &viewer, *account, "users")?;
            // Once for all: there may be very many, and what the group gives is the same for each.
            if !is_asked {
                require_on_group(transaction, number, permission_for(is_member))?;
                require_rights_of(transaction, number)?;
                is_asked = true;
            }
            transaction.set_member(number, *account, is_member)?;
        }
    }
    Ok(())
}

/// So many members leave a group in one change.
/// No limit of the config: the writer is not held up for longer than these take.
const MEMBERS_MAX: usize = 500;
