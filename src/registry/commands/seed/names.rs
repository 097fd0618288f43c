//! From the names in a seed to numbers: of objects that are there, and of those that are made along.

use std::collections::{HashMap, HashSet};

use super::apply::SeedRun;
use crate::config::{ReferenceKind, SeedGrant, SeedReference};
use crate::directory::{Accounts, name_key};
use crate::model::{
    AccountNumber, ApplicationNumber, Grant, GroupNumber, ObjectReference, ProviderNumber, RoleNumber,
    TokenNumber,
};
use crate::registry::ChangeError;

/// The numbers of objects that are not there yet, by the forms of their names, and what is skipped.
#[derive(Default)]
pub(super) struct Names {
    pub(super) accounts: HashMap<Vec<u8>, AccountNumber>,
    pub(super) groups: HashMap<Vec<u8>, GroupNumber>,
    pub(super) roles: HashMap<Vec<u8>, RoleNumber>,
    pub(super) tokens: HashMap<String, TokenNumber>,
    pub(super) applications: HashMap<String, ApplicationNumber>,
    /// What was deleted and stays so: what refers to it goes without.
    pub(super) skipped: HashSet<(ReferenceKind, Vec<u8>)>,
    /// What stands in the way: what refers to it is told no more.
    pub(super) obstructed: HashSet<(ReferenceKind, Vec<u8>)>,
}

impl SeedRun<'_, '_> {
    /// The provider of this name.
    pub(super) fn provider_number(&mut self, name: &str) -> Option<ProviderNumber> {
        if self.is_passed_over(ReferenceKind::Provider, name) {
            return None;
        }
        let found = self.find_provider(name);
        self.resolved(ReferenceKind::Provider, name, found)
    }

    /// The provider of this name; none is not noted.
    pub(super) fn find_provider(&self, name: &str) -> Option<ProviderNumber> {
        let key = name_key(name);
        let mut providers = self.accounts().providers();
        providers.find(|provider| name_key(&provider.name) == key).map(|provider| provider.number)
    }

    /// The account of this name; one that is passed over is `None` without being noted.
    pub(super) fn account_number(&mut self, name: &str) -> Option<AccountNumber> {
        let key = name_key(name);
        if self.is_passed_over(ReferenceKind::Account, name) {
            return None;
        }
        let found = self
            .accounts()
            .account_keyed(&key)
            .map(|account| account.number)
            .or_else(|| self.names.accounts.get(&key).copied());
        self.resolved(ReferenceKind::Account, name, found)
    }

    /// The group of this name.
    pub(super) fn group_number(&mut self, name: &str) -> Option<GroupNumber> {
        if self.is_passed_over(ReferenceKind::Group, name) {
            return None;
        }
        let key = name_key(name);
        let found = self
            .accounts()
            .group_keyed(&key)
            .map(|group| group.number)
            .or_else(|| self.names.groups.get(&key).copied());
        self.resolved(ReferenceKind::Group, name, found)
    }

    /// The roles of these names; what is skipped is not among them.
    pub(super) fn role_numbers(&mut self, names: &[String]) -> Vec<RoleNumber> {
        names.iter().filter_map(|name| self.role_number(name)).collect()
    }

    /// The same of groups.
    pub(super) fn group_numbers(&mut self, names: &[String]) -> Vec<GroupNumber> {
        names.iter().filter_map(|name| self.group_number(name)).collect()
    }

    /// The permissions of a list, without those on something that is skipped.
    pub(super) fn grants(&mut self, grants: &[SeedGrant]) -> Vec<Grant> {
        let mut found = Vec::with_capacity(grants.len());
        for SeedGrant { permission, on } in grants {
            let on = match on {
                None => None,
                Some(reference) => match self.object(reference) {
                    Some(object) => Some(object),
                    // A grant on one object must never become one on all.
                    None => continue,
                },
            };
            let grant = Grant { permission: *permission, on };
            if !found.contains(&grant) {
                found.push(grant);
            }
        }
        found
    }

    fn role_number(&mut self, name: &str) -> Option<RoleNumber> {
        if self.is_passed_over(ReferenceKind::Role, name) {
            return None;
        }
        let found = self
            .accounts()
            .role_named(name)
            .map(|role| role.number)
            .or_else(|| self.names.roles.get(&name_key(name)).copied());
        self.resolved(ReferenceKind::Role, name, found)
    }

    fn token_number(&mut self, identifier: &str) -> Option<TokenNumber> {
        let is_skipped = self.names.skipped.contains(&(ReferenceKind::Token, identifier.as_bytes().to_vec()));
        if is_skipped || self.is_passed_over(ReferenceKind::Token, identifier) {
            return None;
        }
        // One that is made now comes first: whoever else has this identifier is not meant.
        let made = self.names.tokens.get(identifier).copied();
        let found = made.or_else(|| self.accounts().token_named(identifier).map(|token| token.number));
        self.resolved(ReferenceKind::Token, identifier, found)
    }

    fn application_number(&mut self, slug: &str) -> Option<ApplicationNumber> {
        if self.is_passed_over(ReferenceKind::Application, slug) {
            return None;
        }
        let found = self
            .accounts()
            .application_named(slug)
            .map(|application| application.number)
            .or_else(|| self.names.applications.get(slug).copied());
        self.resolved(ReferenceKind::Application, slug, found)
    }

    fn object(&mut self, SeedReference { kind, name }: &SeedReference) -> Option<ObjectReference> {
        match kind {
            ReferenceKind::Provider => self.provider_number(name).map(ObjectReference::Provider),
            ReferenceKind::Account => self.account_number(name).map(ObjectReference::Account),
            ReferenceKind::Group => self.group_number(name).map(ObjectReference::Group),
            ReferenceKind::Role => self.role_number(name).map(ObjectReference::Role),
            ReferenceKind::Token => self.token_number(name).map(ObjectReference::Token),
            ReferenceKind::Application => self.application_number(name).map(ObjectReference::Application),
            // The config reads no grant on one.
            ReferenceKind::Attribute => self.resolved(*kind, name, None),
        }
    }

    fn resolved<T>(&mut self, kind: ReferenceKind, name: &str, found: Option<T>) -> Option<T> {
        if found.is_none() {
            self.unresolved.insert((kind, name.to_owned()));
        }
        found
    }
}

/// Whether there is something of this name.
pub(super) fn is_there(accounts: &Accounts, kind: ReferenceKind, name: &str) -> bool {
    let key = name_key(name);
    match kind {
        ReferenceKind::Provider => accounts.providers().any(|provider| name_key(&provider.name) == key),
        ReferenceKind::Account => accounts.account_keyed(&key).is_some(),
        ReferenceKind::Group => accounts.group_keyed(&key).is_some(),
        ReferenceKind::Role => accounts.role_named(name).is_some(),
        ReferenceKind::Token => accounts.token_named(name).is_some(),
        ReferenceKind::Application => accounts.application_named(name).is_some(),
        ReferenceKind::Attribute => false,
    }
}

/// Says no to a seed that names what does not exist; `is_pruned`: nor what it does not describe.
pub(super) fn refuse_unresolved(
    unresolved: &[(ReferenceKind, String)],
    is_pruned: bool,
) -> Result<(), ChangeError> {
    if unresolved.is_empty() {
        return Ok(());
    }
    let nowhere = if is_pruned {
        "in the seed, and what is in the store alone is deleted"
    } else {
        "neither in the seed nor in the store"
    };
    let sentence = |(kind, name): &(ReferenceKind, String)| {
        format!("there is no {kind} `{name}`, {nowhere}; describe it, or take its name out")
    };
    Err(ChangeError::Invalid(unresolved.iter().map(sentence).collect()))
}
