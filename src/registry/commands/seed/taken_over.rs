//! What is taken over begins as the config says: what its maker, or anybody else, has put behind the name is given nothing.

use super::apply::SeedRun;
use crate::directory::name_key;
use crate::model::{
    Account, AccountNumber, Grant, Group, GroupNumber, Key, ObjectReference, Role, RoleChanges, RoleNumber,
};
use crate::registry::ChangeError;
use crate::registry::commands::{account, group, role};

impl SeedRun<'_, '_> {
    /// Takes from an object what the config does not say of it: who holds a role, who and which groups are in a group, and
    /// the permissions on it. Where the config says a list that it stands in, that list is set later.
    pub(super) fn begin_as_said(&mut self, key: &Key) -> Result<(), ChangeError> {
        let Some(on) = key.object() else { return Ok(()) };
        if let ObjectReference::Group(number) = on {
            self.empty(number)?;
        }
        self.take_from_all(on)
    }

    /// Has everybody leave a group whom the config does not name as in it.
    fn empty(&mut self, number: GroupNumber) -> Result<(), ChangeError> {
        let (seed, snapshot) = (self.seed, self.transaction.snapshot().clone());
        let accounts = snapshot.accounts();
        let Some(state) = accounts.group(number) else { return Ok(()) };
        for child in state.children.iter() {
            let says_parents = accounts.group(*child).is_some_and(|child| {
                let key = name_key(&child.name);
                seed.groups.iter().any(|group| group.parents.is_some() && name_key(&group.name) == key)
            });
            if let Some(before) = self.transaction.group(*child)?.filter(|_| !says_parents) {
                let mut child = Group { modified: self.transaction.now(), ..before.clone() };
                child.parents.retain(|parent| *parent != number);
                group::put(self.transaction, Some(&before), child)?;
            }
        }
        if self.says_members(&state.name) {
            return Ok(());
        }
        let members: Vec<AccountNumber> = state
            .members()
            .filter_map(|member| accounts.account_of_entry(member))
            .filter(|member| !self.is_own_group(&state.name, &member.username))
            .map(|member| member.number)
            .collect();
        members
            .into_iter()
            .try_for_each(|member| self.transaction.set_member(number, member, false).map(drop))
    }

    /// Whether the config lists who is in a group.
    pub(super) fn says_members(&self, group: &str) -> bool {
        let key = name_key(group);
        self.seed.groups.iter().any(|seed| seed.members.is_some() && name_key(&seed.name) == key)
    }

    /// Whether it is the group that the config has made for an account.
    pub(super) fn is_own_group(&self, group: &str, username: &str) -> bool {
        let key = name_key(group);
        let mut makers = self.seed.accounts.iter().filter(|account| account.create_group == Some(true));
        name_key(username) == key && makers.any(|account| name_key(&account.username) == key)
    }

    /// Takes a role, and permissions on an object, from all of whom the config does not say which they hold.
    fn take_from_all(&mut self, on: ObjectReference) -> Result<(), ChangeError> {
        let (seed, snapshot) = (self.seed, self.transaction.snapshot().clone());
        let (accounts, modified) = (snapshot.accounts(), self.transaction.now());
        let left = |grants: &[Grant], is_said: bool| -> Vec<Grant> {
            grants.iter().filter(|grant| is_said || grant.on != Some(on)).copied().collect()
        };
        let held = |roles: &[RoleNumber], is_said: bool| -> Vec<RoleNumber> {
            let is_it = |role: RoleNumber| ObjectReference::Role(role) == on;
            roles.iter().filter(|role| is_said || !is_it(**role)).copied().collect()
        };
        for state in accounts.roles() {
            let key = name_key(&state.name);
            let said = seed.roles.iter().find(|seed| name_key(&seed.name) == key);
            let grants = left(&state.grants, said.is_some_and(|said| said.permissions.is_some()));
            if grants != state.grants {
                let before = Role::clone(state);
                let after = Role { grants, ..before.clone() };
                role::write(self.transaction, Some(before), after, RoleChanges::default())?;
            }
        }
        for state in accounts.groups() {
            let key = name_key(&state.name);
            let said = seed.groups.iter().find(|seed| name_key(&seed.name) == key);
            let grants = left(&state.grants, said.is_some_and(|said| said.permissions.is_some()));
            let roles = held(&state.roles, said.is_some_and(|said| said.roles.is_some()));
            let is_same = *grants == *state.grants && *roles == *state.roles;
            if is_same {
                continue;
            }
            if let Some(before) = self.transaction.group(state.number)? {
                group::put(
                    self.transaction,
                    Some(&before),
                    Group { roles, grants, modified, ..before.clone() },
                )?;
            }
        }
        for state in accounts.accounts() {
            if !state.grants.iter().any(|grant| grant.on == Some(on))
                && !state.roles.iter().any(|role| ObjectReference::Role(*role) == on)
            {
                continue;
            }
            let key = name_key(&state.username);
            let said = seed.accounts.iter().find(|seed| name_key(&seed.username) == key);
            let grants = left(&state.grants, said.is_some_and(|said| said.permissions.is_some()));
            let roles = held(&state.roles, said.is_some_and(|said| said.roles.is_some()));
            if let Some(before) = self.transaction.account(state.number)? {
                let after = Account { roles, grants, modified, ..before.clone() };
                if (&after.roles, &after.grants) != (&before.roles, &before.grants) {
                    account::put(self.transaction, Some(&before), after)?;
                }
            }
        }
        Ok(())
    }
}
