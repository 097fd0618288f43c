//! Deletes what is in the store and not in the seed.

use std::collections::HashSet;

use super::apply::Application;
use crate::config::Seed;
use crate::directory::name_key;
use crate::model::{
    AccountKind, AccountNumber, Grant, GroupNumber, Key, ObjectReference, Record, RoleNumber,
};
use crate::registry::ChangeError;

/// The names of a seed, in the forms in which they are compared.
struct Kept {
    providers: HashSet<Vec<u8>>,
    roles: HashSet<Vec<u8>>,
    groups: HashSet<Vec<u8>>,
    accounts: HashSet<Vec<u8>>,
    tokens: HashSet<String>,
    applications: HashSet<String>,
}

impl Kept {
    fn of(seed: &Seed) -> Self {
        let made = seed.accounts.iter().filter(|account| account.create_group == Some(true));
        Self {
            providers: seed.providers.iter().map(|provider| name_key(&provider.name)).collect(),
            roles: seed.roles.iter().map(|role| name_key(&role.name)).collect(),
            groups: seed
                .groups
                .iter()
                .map(|group| name_key(&group.name))
                .chain(made.map(|account| name_key(&account.username)))
                .collect(),
            accounts: seed.accounts.iter().map(|account| name_key(&account.username)).collect(),
            tokens: seed.tokens.iter().map(|token| token.identifier.clone()).collect(),
            applications: seed.applications.iter().map(|application| application.slug.clone()).collect(),
        }
    }
}

impl Application<'_, '_> {
    /// Deletes what the seed does not describe; internal service accounts and what is theirs stay.
    pub(super) fn prune(&mut self) -> Result<(), ChangeError> {
        let kept = Kept::of(self.seed);
        let before = self.before.clone();
        let accounts = before.accounts();
        let is_internal = |number: AccountNumber| {
            accounts
                .account(number)
                .is_some_and(|account| account.kind == AccountKind::InternalServiceAccount)
        };
        let mut gone: HashSet<ObjectReference> = HashSet::new();

        let doomed: Vec<AccountNumber> = accounts
            .accounts()
            .filter(|account| {
                account.kind != AccountKind::InternalServiceAccount
                    && !kept.accounts.contains(&name_key(&account.username))
            })
            .map(|account| account.number)
            .collect();
        let dead: HashSet<AccountNumber> = doomed.iter().copied().collect();
        for application in accounts.applications() {
            if !kept.applications.contains(&application.slug) {
                gone.insert(ObjectReference::Application(application.number));
                self.delete(Record::Application((**application).clone()))?;
            }
        }
        for token in accounts.tokens() {
            // The first token of an account goes with it, whatever it is called.
            let is_kept = token.is_first || kept.tokens.contains(&token.identifier);
            let is_doomed = dead.contains(&token.account) || !is_kept;
            if is_doomed && !is_internal(token.account) {
                gone.insert(ObjectReference::Token(token.number));
                self.delete(Record::Token((**token).clone()))?;
            }
        }
        for number in doomed {
            if let Some(account) = self.transaction.account(number)? {
                gone.insert(ObjectReference::Account(number));
                self.delete(Record::Account(account))?;
            }
        }
        for group in accounts.groups() {
            if !kept.groups.contains(&name_key(&group.name))
                && let Some(group) = self.transaction.group(group.number)?
            {
                gone.insert(ObjectReference::Group(group.number));
                self.delete(Record::Group(group))?;
            }
        }
        for role in accounts.roles() {
            if !kept.roles.contains(&name_key(&role.name)) {
                gone.insert(ObjectReference::Role(role.number));
                self.delete(Record::Role((**role).clone()))?;
            }
        }
        for provider in accounts.providers() {
            if !kept.providers.contains(&name_key(&provider.name)) {
                gone.insert(ObjectReference::Provider(provider.number));
                self.delete(Record::Provider((**provider).clone()))?;
            }
        }
        if gone.is_empty() { Ok(()) } else { self.forget(&gone) }
    }

    fn delete(&mut self, record: Record) -> Result<(), ChangeError> {
        match record.key() {
            Key::Account(number) => self.transaction.delete_account(number),
            Key::Group(number) => self.transaction.delete_group(number),
            Key::Token(number) => self.transaction.delete_token(number),
            Key::Role(number) => self.transaction.delete_role(number),
            key => self.transaction.delete(key),
        }
    }

    /// Takes roles that are gone, and grants on what is gone, from those that have them. Bindings stay:
    /// without them an application could stand open to all.
    fn forget(&mut self, gone: &HashSet<ObjectReference>) -> Result<(), ChangeError> {
        let is_gone = |grant: &Grant| grant.on.is_some_and(|on| gone.contains(&on));
        let is_role_gone = |role: &RoleNumber| gone.contains(&ObjectReference::Role(*role));
        let now = self.transaction.now();
        let snapshot = self.transaction.snapshot().clone();
        for role in snapshot.accounts().roles().filter(|role| role.grants.iter().any(is_gone)) {
            let mut after = (**role).clone();
            after.grants.retain(|grant| !is_gone(grant));
            self.transaction.put(Record::Role(after))?;
        }
        let groups: Vec<GroupNumber> = snapshot
            .accounts()
            .groups()
            .filter(|group| group.grants.iter().any(is_gone) || group.roles.iter().any(is_role_gone))
            .map(|group| group.number)
            .collect();
        for number in groups {
            let Some(before) = self.transaction.group(number)? else { continue };
            let mut after = before;
            after.grants.retain(|grant| !is_gone(grant));
            after.roles.retain(|role| !is_role_gone(role));
            after.modified = now;
            self.transaction.put(Record::Group(after))?;
        }
        let holders: Vec<AccountNumber> = snapshot
            .accounts()
            .accounts()
            .filter(|account| account.grants.iter().any(is_gone) || account.roles.iter().any(is_role_gone))
            .map(|account| account.number)
            .collect();
        for number in holders {
            let Some(before) = self.transaction.account(number)? else { continue };
            let mut after = before;
            after.grants.retain(|grant| !is_gone(grant));
            after.roles.retain(|role| !is_role_gone(role));
            after.modified = now;
            self.transaction.put(Record::Account(after))?;
        }
        Ok(())
    }
}
