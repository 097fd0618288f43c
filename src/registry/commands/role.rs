//! Roles and what is granted: roles made, changed and deleted, given to accounts, permissions assigned and taken.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::account::grant_to_creator;
use super::names::Former;
use super::{account, group, names, set, validate};
use crate::access::Rights;
use crate::model::{
    Account, AccountChanges, AccountKind, AccountNumber, Grant, Group, GroupChanges, GroupNumber, Key,
    ObjectReference, Origin, Permission, Record, Role, RoleChanges, RoleNumber, Tombstone, TombstoneOf,
};
use crate::registry::transaction::name_form;
use crate::registry::{ChangeError, Transaction};

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
    let role = Role::new(number, name, transaction.origin());
    write(transaction, None, role, RoleChanges { name: None, ..given })?;
    grant_to_creator(transaction, ObjectReference::Role(number))?;
    Ok(number)
}

/// Changes a role.
///
/// # Errors
/// There is no such role that the caller may view, [`Permission::ChangeRole`] on it is missing, or it allows what the caller
/// may not do: a config would give that to whatever takes its name next.
pub fn update_role(
    transaction: &mut Transaction<'_>,
    number: RoleNumber,
    changes: RoleChanges,
) -> Result<(), ChangeError> {
    let role = role_for(transaction, number, Permission::ChangeRole)?;
    let given = Rights::of_roles(transaction.snapshot().accounts(), &[number]);
    write(transaction, Some(role.clone()), role.clone(), changes)?;
    let accounts = transaction.snapshot().accounts();
    match accounts.role(number) {
        // What was said of it was so already.
        Some(after) if **after == role => Ok(()),
        _ => transaction.caller().require_held(accounts, &given),
    }
}

/// Where a deletion in parts is: the next part goes on from there, so that all of them together look at each account once.
#[derive(Clone, Debug, Default)]
pub struct Place(Arc<AtomicU32>);

/// Deletes a role, and takes it from all who hold it; where these are many, from a part of them, and says of how many, as there
/// is more to be done: the writer serves others in between. Who asks for it, and groups, keep it to the last part, with which
/// the role is gone: the right to delete it may come from it.
///
/// # Errors
/// There is no such role that the caller may view, [`Permission::DeleteRole`] on it is missing, or it allows what the
/// caller may not do.
pub fn delete_role(
    transaction: &mut Transaction<'_>,
    number: RoleNumber,
    Place(place): &Place,
) -> Result<Option<usize>, ChangeError> {
    role_for(transaction, number, Permission::DeleteRole)?;
    require_rights_of(transaction, number)?;
    let snapshot = transaction.snapshot().clone();
    let part_from = |from: u32| {
        let accounts = snapshot.accounts().accounts_from(AccountNumber::new(from));
        let holders = accounts.filter(|account| account.roles.contains(&number));
        part_of(transaction, holders.map(|account| account.number), HOLDERS_MAX)
    };
    let from = place.load(Ordering::Relaxed);
    // Who got it meanwhile may stand before the place.
    let part = part_from(from).or_else(|| (from > 0).then(|| part_from(0)).flatten());
    let Some(part) = part else {
        return transaction.delete_role(number).map(|()| None);
    };
    for holder in &part {
        if let Some(before) = transaction.account(*holder)? {
            let mut account = Account { modified: transaction.now(), ..before.clone() };
            account.roles.retain(|role| *role != number);
            account::put(transaction, Some(&before), account)?;
        }
    }
    place.store(part.last().map_or(0, |last| last.get()), Ordering::Relaxed);
    Ok(Some(part.len()))
}

/// A part of these accounts, who asks not among them; `None`: they are no more than one change takes.
pub(super) fn part_of(
    transaction: &Transaction<'_>,
    accounts: impl Iterator<Item = AccountNumber>,
    most: usize,
) -> Option<Vec<AccountNumber>> {
    let own = transaction.caller().holder().map(|holder| holder.account);
    let mut part: Vec<AccountNumber> =
        accounts.filter(|account| Some(*account) != own).take(most + 1).collect();
    (part.len() > most).then(|| {
        part.truncate(most);
        part
    })
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
    let account = grantee_account(transaction, account)?;
    if account.roles.contains(&role) == holds {
        return Ok(());
    }
    let mut roles = account.roles.clone();
    if holds {
        roles.push(role);
    } else {
        roles.retain(|other| *other != role);
    }
    let changes = AccountChanges { roles: Some(roles), ..AccountChanges::default() };
    account::write(transaction, Some(account.clone()), account, changes)
}

/// Grants permissions to a role, a group or an account, or takes them; what is so already is no error.
///
/// # Errors
/// There is no such role, account or object; a permission cannot be granted on such an object; the caller does not
/// hold what it gives or takes; or [`Permission::AssignRolePermissions`] (or [`Permission::UnassignRolePermissions`]) on the
/// role is missing, for an account [`Permission::ChangeUser`] and that permission globally.
pub fn set_grants(
    transaction: &mut Transaction<'_>,
    grantee: Grantee,
    grants: &[Grant],
    granted: bool,
) -> Result<(), ChangeError> {
    require_grantee(transaction, grantee, granted)?;
    match grantee {
        Grantee::Role(number) => {
            let role = role_for(transaction, number, assignment(granted))?;
            let grants = Some(with_grants(&role.grants, grants, granted));
            write(transaction, Some(role.clone()), role, RoleChanges { grants, ..RoleChanges::default() })
        }
        Grantee::Group(number) => {
            let group = transaction.group(number)?;
            let group =
                group.ok_or_else(|| ChangeError::NotFound { kind: "group", name: number.to_string() })?;
            let grants = Some(with_grants(&group.grants, grants, granted));
            let changes = GroupChanges { grants, ..GroupChanges::default() };
            group::write(transaction, Some(group.clone()), group, changes)
        }
        Grantee::Account(number) => {
            let account = transaction.account(number)?;
            let account =
                account.ok_or_else(|| ChangeError::NotFound { kind: "account", name: number.to_string() })?;
            let grants = Some(with_grants(&account.grants, grants, granted));
            let changes = AccountChanges { grants, ..AccountChanges::default() };
            account::write(transaction, Some(account.clone()), account, changes)
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

fn with_grants(present: &[Grant], grants: &[Grant], granted: bool) -> Vec<Grant> {
    match granted {
        true => present.iter().chain(grants).copied().collect(),
        false => present.iter().filter(|grant| !grants.contains(grant)).copied().collect(),
    }
}

/// Whether the caller may change the roles of somebody from these to those: it holds what is given and what is taken.
pub(super) fn check_roles(
    transaction: &Transaction<'_>,
    before: &[RoleNumber],
    after: &[RoleNumber],
) -> Result<(), ChangeError> {
    let accounts = transaction.snapshot().accounts();
    let changed: Vec<RoleNumber> = difference(before, after).collect();
    for role in &changed {
        let on = ObjectReference::Role(*role);
        if !accounts.has(on) && (!after.contains(role) || transaction.is_announced(on)) {
            continue;
        }
        let name = accounts.role(*role).map_or_else(|| role.to_string(), |role| role.name.clone());
        transaction.require_on(Permission::ChangeRole, on, &name)?;
    }
    transaction.caller().require_held(accounts, &Rights::of_roles(accounts, &changed))
}

/// The same of permissions: those that are given are ones about such an object, which exists.
pub(super) fn check_grants(
    transaction: &Transaction<'_>,
    before: &[Grant],
    after: &[Grant],
) -> Result<(), ChangeError> {
    let accounts = transaction.snapshot().accounts();
    let is_there = |on: ObjectReference| accounts.has(on) || transaction.is_announced(on);
    let known: HashSet<&Grant> = before.iter().collect();
    for grant in after.iter().filter(|grant| !known.contains(grant)) {
        let Some(on) = grant.on else { continue };
        let granted = validate::grant(grant).map_err(|problem| ChangeError::field("permissions", problem));
        transaction.noting(granted)?;
        if !is_there(on) {
            return Err(ChangeError::field("object_pk", "there is no such object"));
        }
    }
    // What is granted on something that is gone is worth nothing, and may be taken away by anybody.
    let changed = difference(before, after).filter(|grant| grant.on.is_none_or(is_there)).collect();
    transaction.caller().require_held(accounts, &Rights { is_superuser: false, grants: changed })
}

/// What stands in one of them alone.
fn difference<T: Copy + Eq + Hash>(before: &[T], after: &[T]) -> impl Iterator<Item = T> {
    let (old, new): (HashSet<T>, HashSet<T>) =
        (before.iter().copied().collect(), after.iter().copied().collect());
    let only_new: Vec<T> = new.difference(&old).copied().collect();
    only_new.into_iter().chain(old.difference(&new).copied().collect::<Vec<T>>())
}

/// In their order, none twice.
pub(super) fn each_once<T: Copy + Eq + Hash>(items: Vec<T>) -> Vec<T> {
    let mut seen = HashSet::new();
    items.into_iter().filter(|item| seen.insert(*item)).collect()
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

fn grantee_account(transaction: &Transaction<'_>, number: AccountNumber) -> Result<Account, ChangeError> {
    group::check_account(transaction, &transaction.viewer(), number, "pk")?;
    let account = transaction.account(number)?;
    account.ok_or_else(|| ChangeError::NotFound { kind: "account", name: number.to_string() })
}

/// The one writer of roles: puts `role`, with what is said of it, in the place of `before`. It asks whether the caller
/// holds what is given and taken; whether it may change the role at all is asked before.
///
/// # Errors
/// What cannot be, or a right that the caller lacks.
pub(super) fn write(
    transaction: &mut Transaction<'_>,
    before: Option<Role>,
    mut role: Role,
    changes: RoleChanges,
) -> Result<(), ChangeError> {
    let RoleChanges { name, search_size_max, search_time_max, grants } = changes;
    set(&mut role.name, name);
    set(&mut role.search_size_max, search_size_max);
    set(&mut role.search_time_max, search_time_max);
    if before.as_ref().is_none_or(|before| before.name != role.name) {
        let of = TombstoneOf::Role(name_form(&role.name));
        let former = before.as_ref().map(|before| Former {
            name: &before.name,
            of: TombstoneOf::Role(name_form(&before.name)),
            origin: before.origin,
            holds_rights: !before.grants.is_empty(),
        });
        names::refuse_rename(transaction, former.as_ref(), &of)?;
        let named = validate::name("role", &role.name);
        transaction.noting(named.map_err(|problem| ChangeError::field("name", problem)))?;
        let named = transaction.snapshot().accounts().role_named(&role.name);
        let named = named.map(|named| ObjectReference::Role(named.number));
        names::note_taken(transaction, named, ObjectReference::Role(role.number), &role.name)?;
        names::give(transaction, of, former)?;
    }
    if let Some(grants) = grants.map(each_once) {
        check_grants(transaction, &role.grants, &grants)?;
        role.grants = grants;
    }
    transaction.put(Record::Role(role))
}

impl Transaction<'_> {
    /// Deletes a role: whoever holds it loses it. Of one that the config would bring back a tombstone stays.
    pub fn delete_role(&mut self, number: RoleNumber) -> Result<(), ChangeError> {
        let Some(role) = self.snapshot().accounts().role(number).cloned() else { return Ok(()) };
        change_held(self, |roles, _| roles.retain(|role| *role != number))?;
        self.delete(Key::Role(number))?;
        let of = TombstoneOf::Role(name_form(&role.name));
        let (origin, held_rights, made) = (role.origin, !role.grants.is_empty(), Some(self.now()));
        match origin {
            Origin::Config => self.put_tombstone(Tombstone { of, origin, held_rights, made }),
            _ => Ok(()),
        }
    }
}

/// Changes the roles and permissions that roles, groups and accounts hold, where they follow from something else: nothing
/// is asked about rights. It looks at all of them, as there is no index of what is held.
pub(super) fn change_held(
    transaction: &mut Transaction<'_>,
    change: impl Fn(&mut Vec<RoleNumber>, &mut Vec<Grant>),
) -> Result<(), ChangeError> {
    let changed = |roles: &[RoleNumber], grants: &[Grant]| {
        let mut held = (roles.to_vec(), grants.to_vec());
        change(&mut held.0, &mut held.1);
        ((&*held.0, &*held.1) != (roles, grants)).then_some(held)
    };
    let (snapshot, modified) = (transaction.snapshot().clone(), transaction.now());
    let accounts = snapshot.accounts();
    for role in accounts.roles() {
        if let Some((_, grants)) = changed(&[], &role.grants) {
            transaction.put(Record::Role(Role { grants, ..Role::clone(role) }))?;
        }
    }
    for group in accounts.groups() {
        if let Some((roles, grants)) = changed(&group.roles, &group.grants)
            && let Some(before) = transaction.group(group.number)?
        {
            group::put(transaction, Some(&before), Group { roles, grants, modified, ..before.clone() })?;
        }
    }
    for account in accounts.accounts() {
        if let Some((roles, grants)) = changed(&account.roles, &account.grants)
            && let Some(before) = transaction.account(account.number)?
        {
            account::put(transaction, Some(&before), Account { roles, grants, modified, ..before.clone() })?;
        }
    }
    Ok(())
}

/// So many accounts lose a role in one change.
/// No limit of the config: the writer is not held up for longer than these take, whose entries are all made anew.
const HOLDERS_MAX: usize = 50;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::access::{Credential, Holder};
    use crate::model::{Actor, Change, Password};
    use crate::plain;
    use crate::registry::Caller;
    use crate::registry::commands::testing::{registry_over, wait};
    use crate::schema::steps;
    use crate::store::{Batch, Counters, MemoryStore, Store as _};

    /// Whoever has made thousands of objects holds a permission on each of them.
    #[test]
    fn what_follows_for_many_does_not_cost_each_what_the_caller_holds() {
        const GRANTS: u32 = 2_000;
        let number = RoleNumber::new(1);
        let cost = |holders: u32| {
            let mut grants = vec![Grant { permission: Permission::DeleteRole, on: None }];
            grants.extend((0..GRANTS).map(|other| {
                let on = Some(ObjectReference::Account(AccountNumber::new(10_000 + other)));
                Grant { permission: Permission::ViewUser, on }
            }));
            let password = Some(Password { generation: 1, ..plain::password("none") });
            let helper = Account { grants, password, ..plain::account(4_000, "helper") };
            let held = (1..=holders).map(|account| {
                let holder = plain::account(account, &format!("a{account}"));
                Record::Account(Account { roles: vec![number], ..holder })
            });
            let records = [
                Record::Provider(plain::provider(1, "dc=example,dc=org")),
                Record::Role(plain::role(1, "held")),
                Record::Account(helper),
            ];
            let store = Arc::new(MemoryStore::new());
            let changes = records.into_iter().chain(held).map(Change::Put).collect();
            let counters = Counters { next_number: 20_000, next_object: 1_000, ..Counters::default() };
            store.commit(&Batch { changes, counters, seeded: true, ..Batch::default() }).unwrap();
            let registry = registry_over(store);
            let credential = Credential::Password { generation: 1 };
            let holder = Holder { account: AccountNumber::new(4_000), credential };
            let caller = Caller::account(holder, Actor::named("helper"));
            let command = move |transaction: &mut Transaction<'_>| {
                let before = steps::taken();
                assert_eq!(delete_role(transaction, number, &Place::default())?, None);
                assert!(transaction.problems().is_empty());
                Ok(steps::taken() - before)
            };
            wait(registry.change(caller, command)).unwrap()
        };
        let (few, many) = (cost(10), cost(50));
        assert!(many < few + 40 * u64::from(GRANTS) / 4, "{many} for five times what cost {few}");
    }

    /// Whatever the first accounts are, a part does not begin with them again; and who gets the role behind the scan loses it.
    #[test]
    fn the_parts_of_a_deletion_look_at_each_account_once() {
        let number = RoleNumber::new(1);
        let holder = |account: u32| {
            let name = format!("a{account}");
            Record::Account(Account { roles: vec![number], ..plain::account(account, &name) })
        };
        let count = u32::try_from(3 * HOLDERS_MAX + 7).unwrap();
        let records = [
            Record::Provider(plain::provider(1, "dc=example,dc=org")),
            Record::Role(plain::role(1, "held")),
            Record::Account(plain::account(1, "late")),
        ];
        let store = Arc::new(MemoryStore::new());
        let changes = records.into_iter().chain((2..2 + count).map(holder)).map(Change::Put).collect();
        let counters = Counters { next_number: 20_000, next_object: 1_000, ..Counters::default() };
        store.commit(&Batch { changes, counters, seeded: true, ..Batch::default() }).unwrap();
        let registry = registry_over(store);
        let place = Place::default();
        let part = || {
            let place = place.clone();
            let operator = Caller::from(Actor::named("operator"));
            wait(registry.change(operator, move |transaction| delete_role(transaction, number, &place)))
                .unwrap()
        };
        let last = |place: &Place| place.0.load(Ordering::Relaxed);
        for turn in 1..=3 {
            assert_eq!(part(), Some(HOLDERS_MAX));
            assert_eq!(last(&place), 1 + turn * u32::try_from(HOLDERS_MAX).unwrap());
        }
        let late = AccountNumber::new(1);
        let operator = Caller::from(Actor::named("operator"));
        let give =
            move |transaction: &mut Transaction<'_>| set_role_of_account(transaction, number, late, true);
        wait(registry.change(operator, give)).unwrap();
        assert_eq!(part(), None);
        let snapshot = registry.snapshot();
        assert!(snapshot.accounts().role(number).is_none());
        assert!(snapshot.accounts().accounts().all(|account| account.roles.is_empty()));
    }
}
