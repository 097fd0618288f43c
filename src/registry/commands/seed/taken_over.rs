//! What is taken over by its name begins as the config says, as if that had made it: what its maker, or anybody else, has said of
//! it, or put behind the name, is gone. What is taken over with all that its maker has made keeps who is in it: that is asked of
//! each (`filled.rs`).

use std::collections::HashSet;

use super::apply::SeedRun;
use crate::config::ReferenceKind;
use crate::model::{
    Account, AccountNumber, Application, Grant, Group, GroupNumber, Key, LdapProvider, ObjectReference,
    ProviderNumber, Record, Role, RoleChanges, RoleNumber, Token, TombstoneOf, first_identifier,
};
use crate::registry::ChangeError;
use crate::registry::commands::token::replaced_by;
use crate::registry::commands::{account, application, group, role};

impl SeedRun<'_, '_> {
    /// Has an object that was taken over begin as one that the config makes: the record of a new one, with the number, the UUID
    /// and the time of creation of this one. What the config says of it comes later.
    pub(super) fn begin(&mut self, on: ObjectReference) -> Result<(), ChangeError> {
        self.begun.insert(on);
        match self.transaction.stored(&Key::from(on))? {
            Some(Record::Account(before)) => {
                self.end_tokens(before.number)?;
                self.leave_groups(before.number)?;
                let after = self.new_account(&before);
                account::put(self.transaction, Some(&before), after)
            }
            Some(Record::Group(before)) => {
                self.empty(before.number)?;
                let after = self.new_group(&before);
                group::put(self.transaction, Some(&before), after)
            }
            Some(Record::Role(before)) => {
                let after = self.new_role(&before);
                role::write(self.transaction, Some(before), after, RoleChanges::default())
            }
            Some(Record::Application(before)) => {
                let after = self.new_application(&before);
                application::put(self.transaction, Some(&before), after)
            }
            // One that the config describes begins where that is written: without what it says there may be no directory. By the
            // settings of another the entries are called, and nobody says others.
            Some(Record::Provider(before)) => self.detach(before.number),
            Some(Record::Token(token)) => self.end_replaced(&token),
            _ => Ok(()),
        }
    }

    /// Of what the config does not describe it does not say what it is for. A password that the config says, or that the operator
    /// has accepted, is compared with later, or stays.
    fn new_account(&self, before: &Account) -> Account {
        let seed = self.described.account(&before.username);
        let kind = seed.map_or(before.kind, |seed| self.kind_of(seed));
        let is_said = seed.is_some_and(|seed| seed.password.is_some());
        let state = self.accounts().account(before.number);
        let password = before.password.as_ref().filter(|password| {
            is_said || state.is_some_and(|state| self.accepts_password(state, &password.made_by))
        });
        let name = self.name_of_new(ReferenceKind::Account, &before.username);
        let (origin, now) = (self.transaction.origin(), self.transaction.now());
        Account {
            uuid: before.uuid,
            created: before.created,
            password: password.filter(|_| kind.is_person()).cloned(),
            ..Account::new(before.number, name, kind, origin, now)
        }
    }

    fn new_group(&self, before: &Group) -> Group {
        let name = self.name_of_new(ReferenceKind::Group, &before.name);
        Group {
            uuid: before.uuid,
            created: before.created,
            members_modified: before.members_modified,
            ..Group::new(before.number, name, self.transaction.origin(), self.transaction.now())
        }
    }

    fn new_role(&self, before: &Role) -> Role {
        let name = self.name_of_new(ReferenceKind::Role, &before.name);
        Role { uuid: before.uuid, ..Role::new(before.number, name, self.transaction.origin()) }
    }

    /// Of one that the config does not describe who is admitted stays: its provider would stand open.
    fn new_application(&self, before: &Application) -> Application {
        let (slug, origin, now) = (before.slug.clone(), self.transaction.origin(), self.transaction.now());
        let new = Application {
            created: before.created,
            ..Application::of_slug(before.number, before.uuid, slug, origin, now)
        };
        match self.described.application(&before.slug) {
            Some(_) => new,
            None => Application {
                provider: before.provider,
                mode: before.mode,
                bindings: before.bindings.clone(),
                ..new
            },
        }
    }

    /// It has the suffix of the present one until the config says another.
    pub(super) fn new_provider(&self, before: &LdapProvider) -> LdapProvider {
        let name = self.name_of_new(ReferenceKind::Provider, &before.name);
        let (origin, now) = (self.transaction.origin(), self.transaction.now());
        LdapProvider {
            uuid: before.uuid,
            created: before.created,
            base_dn: before.base_dn.clone(),
            ..LdapProvider::of_name(before.number, name, origin, now)
        }
    }

    /// The name as the config spells it.
    fn name_of_new(&self, kind: ReferenceKind, name: &str) -> String {
        self.described.name(kind, name).unwrap_or(name).to_owned()
    }

    /// Ends all tokens of an account, whoever made them, but for those that the operator accepts.
    fn end_tokens(&mut self, number: AccountNumber) -> Result<(), ChangeError> {
        let snapshot = self.transaction.snapshot().clone();
        let accounts = snapshot.accounts();
        let Some(account) = accounts.account(number) else { return Ok(()) };
        for token in account.tokens.iter().filter_map(|token| accounts.token(*token)) {
            if self.accepts_token(token) {
                continue;
            }
            self.transaction.delete_token(token.number)?;
            // The config makes these anew, and nobody has deleted them.
            let is_made = token.is_first
                || token.identifier == first_identifier(&account.username)
                || self.is_seeded(token);
            if is_made {
                self.transaction.lift_tombstone(TombstoneOf::Token(token.identifier.clone()))?;
            }
        }
        Ok(())
    }

    fn is_seeded(&self, token: &Token) -> bool {
        self.described.token(&token.identifier).is_some()
    }

    /// Ends a token that the config makes anew, and those of which it has taken the place.
    pub(super) fn end_token(&mut self, token: &Token) -> Result<(), ChangeError> {
        self.end_replaced(token)?;
        self.transaction.delete_token(token.number)?;
        self.transaction.lift_tombstone(TombstoneOf::Token(token.identifier.clone()))
    }

    fn end_replaced(&mut self, token: &Token) -> Result<(), ChangeError> {
        let replaced = replaced_by(self.accounts(), token);
        let ended = replaced.iter().filter(|earlier| !self.accepts_token(earlier));
        let ended: Vec<_> = ended.map(|earlier| earlier.number).collect();
        ended.into_iter().try_for_each(|earlier| self.transaction.delete_token(earlier))
    }

    /// Has an account leave all groups of which the config does not say who is in them.
    fn leave_groups(&mut self, number: AccountNumber) -> Result<(), ChangeError> {
        let snapshot = self.transaction.snapshot().clone();
        let accounts = snapshot.accounts();
        let Some(account) = accounts.account(number) else { return Ok(()) };
        let groups = account.groups.iter().filter_map(|group| accounts.group(*group));
        let left = groups.filter(|group| {
            !self.described.says_members(&group.name)
                && !self.described.is_own_group(&group.name, &account.username)
        });
        let left: Vec<GroupNumber> = left.map(|group| group.number).collect();
        left.into_iter().try_for_each(|group| self.transaction.set_member(group, number, false).map(drop))
    }

    /// Takes a provider from an application that a caller of the API has put before it, and the config does not describe.
    fn detach(&mut self, number: ProviderNumber) -> Result<(), ChangeError> {
        let Some(before) = self.accounts().application_of(number).cloned() else { return Ok(()) };
        let is_strangers = self.is_strangers_origin(before.origin);
        if !is_strangers || self.described.application(&before.slug).is_some() {
            return Ok(());
        }
        let after = Application { provider: None, ..Application::clone(&before) };
        application::put(self.transaction, Some(&before), after)
    }

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
