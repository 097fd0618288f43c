//! Deletes what is in the store and not in the seed.

use std::collections::HashSet;

use super::apply::SeedRun;
use crate::config::Seed;
use crate::directory::name_key;
use crate::model::{AccountKind, AccountNumber, Key, ObjectReference};
use crate::registry::ChangeError;
use crate::registry::commands::role::change_held;
use crate::registry::commands::successor_of;

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

impl SeedRun<'_, '_> {
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
            let on = ObjectReference::Application(application.number);
            if !kept.applications.contains(&application.slug) {
                gone.insert(on);
                self.transaction.delete(Key::Application(application.number))?;
            }
        }
        for token in accounts.tokens() {
            // One that was replaced works until its overlap is over, as long as the one in its place stays.
            let newest = successor_of(accounts, token).unwrap_or(token);
            // The first token of an account goes with it, whatever it is called.
            let is_kept = newest.is_first || kept.tokens.contains(&newest.identifier);
            let is_doomed = dead.contains(&token.account) || !is_kept;
            if is_doomed && !is_internal(token.account) {
                gone.insert(ObjectReference::Token(token.number));
                self.transaction.delete_token(token.number)?;
            }
        }
        for number in doomed {
            gone.insert(ObjectReference::Account(number));
            self.transaction.delete_account(number)?;
        }
        for group in accounts.groups() {
            let on = ObjectReference::Group(group.number);
            if !kept.groups.contains(&name_key(&group.name)) {
                gone.insert(on);
                self.transaction.delete_group(group.number)?;
            }
        }
        for role in accounts.roles() {
            let on = ObjectReference::Role(role.number);
            if !kept.roles.contains(&name_key(&role.name)) {
                gone.insert(on);
                self.transaction.delete_role(role.number)?;
            }
        }
        for provider in accounts.providers() {
            let on = ObjectReference::Provider(provider.number);
            if !kept.providers.contains(&name_key(&provider.name)) {
                gone.insert(on);
                self.transaction.delete_provider(provider.number)?;
            }
        }
        if gone.is_empty() { Ok(()) } else { self.forget(&gone) }
    }

    /// Takes roles that are gone, and grants on what is gone, from those that have them. Bindings stay:
    /// without them an application could stand open to all.
    fn forget(&mut self, gone: &HashSet<ObjectReference>) -> Result<(), ChangeError> {
        change_held(self.transaction, |roles, grants| {
            roles.retain(|role| !gone.contains(&ObjectReference::Role(*role)));
            grants.retain(|grant| grant.on.is_none_or(|on| !gone.contains(&on)));
        })
    }
}
