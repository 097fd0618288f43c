//! What is taken over by its name begins as the config says: what its maker, or anybody else, has put behind the name is given
//! nothing. What is taken over with all that its maker has made keeps who is in it: that is asked of each (`filled.rs`).

use std::collections::HashSet;

use super::apply::SeedRun;
use crate::model::{
    Account, AccountNumber, Grant, Group, GroupNumber, ObjectReference, Role, RoleChanges, RoleNumber,
};
use crate::registry::ChangeError;
use crate::registry::commands::{account, group, role};

impl SeedRun<'_, '_> {
    /// Has the maker of a group leave it, whom the config does not name as in it, and says who stays.
    pub(super) fn leave_group(
        &mut self,
        number: GroupNumber,
        maker: AccountNumber,
    ) -> Result<String, ChangeError> {
        let snapshot = self.transaction.snapshot().clone();
        let Some(state) = snapshot.accounts().group(number) else { return Ok("adopted".to_owned()) };
        let is_left = state.has_member(maker) && !self.described.says_members(&state.name);
        if is_left {
            self.transaction.set_member(number, maker, false)?;
        }
        let groups = state.children.len();
        let accounts = state.members().count().saturating_sub(groups).saturating_sub(usize::from(is_left));
        Ok(format!("adopted, with the accounts ({accounts}) and groups ({groups}) in it"))
    }

    /// Has everybody leave a group whom the config does not name as in it.
    pub(super) fn empty(&mut self, number: GroupNumber) -> Result<(), ChangeError> {
        let snapshot = self.transaction.snapshot().clone();
        let accounts = snapshot.accounts();
        let Some(state) = accounts.group(number) else { return Ok(()) };
        for child in state.children.iter() {
            let says_parents = accounts
                .group(*child)
                .and_then(|child| self.described.group(&child.name))
                .is_some_and(|seed| seed.parents.is_some());
            if let Some(before) = self.transaction.group(*child)?.filter(|_| !says_parents) {
                let mut child = Group { modified: self.transaction.now(), ..before.clone() };
                child.parents.retain(|parent| *parent != number);
                group::put(self.transaction, Some(&before), child)?;
            }
        }
        if self.described.says_members(&state.name) {
            return Ok(());
        }
        let members: Vec<AccountNumber> = state
            .members()
            .filter_map(|member| accounts.account_of_entry(member))
            .filter(|member| !self.described.is_own_group(&state.name, &member.username))
            .map(|member| member.number)
            .collect();
        members
            .into_iter()
            .try_for_each(|member| self.transaction.set_member(number, member, false).map(drop))
    }

    /// Takes these roles, and the permissions on these objects, from all of whom the config does not say which they hold. Where it
    /// says a list that they stand in, that list is set later.
    pub(super) fn take_from_all(&mut self, begun: &HashSet<ObjectReference>) -> Result<(), ChangeError> {
        let (snapshot, modified) = (self.transaction.snapshot().clone(), self.transaction.now());
        let accounts = snapshot.accounts();
        let left = |grants: &[Grant], is_said: bool| -> Vec<Grant> {
            let is_begun = |grant: &Grant| grant.on.is_some_and(|on| begun.contains(&on));
            grants.iter().filter(|grant| is_said || !is_begun(grant)).copied().collect()
        };
        let held = |roles: &[RoleNumber], is_said: bool| -> Vec<RoleNumber> {
            let is_begun = |role: RoleNumber| begun.contains(&ObjectReference::Role(role));
            roles.iter().filter(|role| is_said || !is_begun(**role)).copied().collect()
        };
        for state in accounts.roles() {
            let said = self.described.role(&state.name);
            let grants = left(&state.grants, said.is_some_and(|said| said.permissions.is_some()));
            if grants != state.grants {
                let before = Role::clone(state);
                let after = Role { grants, ..before.clone() };
                role::write(self.transaction, Some(before), after, RoleChanges::default())?;
            }
        }
        for state in accounts.groups().filter(|state| !state.grants.is_empty() || !state.roles.is_empty()) {
            let said = self.described.group(&state.name);
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
        for state in accounts.accounts().filter(|state| !state.grants.is_empty() || !state.roles.is_empty()) {
            let said = self.described.account(&state.username);
            let grants = left(&state.grants, said.is_some_and(|said| said.permissions.is_some()));
            let roles = held(&state.roles, said.is_some_and(|said| said.roles.is_some()));
            if *grants == *state.grants && *roles == *state.roles {
                continue;
            }
            if let Some(before) = self.transaction.account(state.number)? {
                account::put(
                    self.transaction,
                    Some(&before),
                    Account { roles, grants, modified, ..before.clone() },
                )?;
            }
        }
        Ok(())
    }
}
