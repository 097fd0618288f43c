//! Deletes what is in the store and not in the seed.

use std::collections::HashSet;

use super::apply::SeedRun;
use crate::config::ReferenceKind;
use crate::model::{AccountKind, AccountNumber, Key, ObjectReference};
use crate::registry::ChangeError;
use crate::registry::commands::role::change_held;
use crate::registry::commands::successor_of;

impl SeedRun<'_, '_> {
    /// Deletes what the seed does not describe; internal service accounts and what is theirs stay.
    pub(super) fn prune(&mut self) -> Result<(), ChangeError> {
        let is_kept = |kind, name: &str| self.described.name(kind, name).is_some();
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
                    && !is_kept(ReferenceKind::Account, &account.username)
            })
            .map(|account| account.number)
            .collect();
        let dead: HashSet<AccountNumber> = doomed.iter().copied().collect();
        for application in accounts.applications() {
            let on = ObjectReference::Application(application.number);
            if !is_kept(ReferenceKind::Application, &application.slug) {
                gone.insert(on);
                self.transaction.delete(Key::Application(application.number))?;
            }
        }
        for token in accounts.tokens() {
            // One that was replaced works until its overlap is over, as long as the one in its place stays.
            let newest = successor_of(accounts, token).unwrap_or(token);
            // The first token of an account goes with it, whatever it is called.
            let stays = newest.is_first || is_kept(ReferenceKind::Token, &newest.identifier);
            let is_doomed = dead.contains(&token.account) || !stays;
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
            if !is_kept(ReferenceKind::Group, &group.name) {
                gone.insert(on);
                self.transaction.delete_group(group.number)?;
            }
        }
        for role in accounts.roles() {
            let on = ObjectReference::Role(role.number);
            if !is_kept(ReferenceKind::Role, &role.name) {
                gone.insert(on);
                self.transaction.delete_role(role.number)?;
            }
        }
        for provider in accounts.providers() {
            let on = ObjectReference::Provider(provider.number);
            if !is_kept(ReferenceKind::Provider, &provider.name) {
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
