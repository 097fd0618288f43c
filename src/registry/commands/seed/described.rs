//! What a seed describes, by name: read once, however often it is asked.

use std::collections::HashMap;

use crate::config::{
    ReferenceKind, Seed, SeedAccount, SeedApplication, SeedGroup, SeedProvider, SeedRole, SeedToken,
};
use crate::directory::name_key;

/// The objects of a seed by the forms of their names, in which they are compared.
pub(super) struct Described<'s> {
    providers: HashMap<Vec<u8>, &'s SeedProvider>,
    roles: HashMap<Vec<u8>, &'s SeedRole>,
    groups: HashMap<Vec<u8>, &'s SeedGroup>,
    accounts: HashMap<Vec<u8>, &'s SeedAccount>,
    applications: HashMap<&'s str, &'s SeedApplication>,
    tokens: HashMap<&'s str, &'s SeedToken>,
}

impl<'s> Described<'s> {
    pub(super) fn of(seed: &'s Seed) -> Self {
        Self {
            providers: seed.providers.iter().map(|provider| (name_key(&provider.name), provider)).collect(),
            roles: seed.roles.iter().map(|role| (name_key(&role.name), role)).collect(),
            groups: seed.groups.iter().map(|group| (name_key(&group.name), group)).collect(),
            accounts: seed.accounts.iter().map(|account| (name_key(&account.username), account)).collect(),
            applications: seed.applications.iter().map(|it| (it.slug.as_str(), it)).collect(),
            tokens: seed.tokens.iter().map(|token| (token.identifier.as_str(), token)).collect(),
        }
    }

    pub(super) fn provider(&self, name: &str) -> Option<&'s SeedProvider> {
        self.providers.get(&name_key(name)).copied()
    }

    pub(super) fn role(&self, name: &str) -> Option<&'s SeedRole> {
        self.roles.get(&name_key(name)).copied()
    }

    pub(super) fn group(&self, name: &str) -> Option<&'s SeedGroup> {
        self.groups.get(&name_key(name)).copied()
    }

    pub(super) fn account(&self, username: &str) -> Option<&'s SeedAccount> {
        self.accounts.get(&name_key(username)).copied()
    }

    pub(super) fn application(&self, slug: &str) -> Option<&'s SeedApplication> {
        self.applications.get(slug).copied()
    }

    pub(super) fn token(&self, identifier: &str) -> Option<&'s SeedToken> {
        self.tokens.get(identifier).copied()
    }

    /// What the seed calls an object that it describes: a group also by the account for which it is made.
    pub(super) fn name(&self, kind: ReferenceKind, name: &str) -> Option<&'s str> {
        match kind {
            ReferenceKind::Provider => self.provider(name).map(|it| it.name.as_str()),
            ReferenceKind::Role => self.role(name).map(|it| it.name.as_str()),
            ReferenceKind::Group => {
                let made = || self.makes_group(name).map(|it| it.username.as_str());
                self.group(name).map(|it| it.name.as_str()).or_else(made)
            }
            ReferenceKind::Account => self.account(name).map(|it| it.username.as_str()),
            ReferenceKind::Application => self.application(name).map(|it| it.slug.as_str()),
            ReferenceKind::Token => self.token(name).map(|it| it.identifier.as_str()),
            ReferenceKind::Attribute => None,
        }
    }

    /// The account for which a group of this name is made.
    fn makes_group(&self, name: &str) -> Option<&'s SeedAccount> {
        self.account(name).filter(|account| account.create_group == Some(true))
    }

    /// Whether the seed lists who is in a group.
    pub(super) fn says_members(&self, group: &str) -> bool {
        self.group(group).is_some_and(|group| group.members.is_some())
    }

    /// Whether it is the group that is made for an account.
    pub(super) fn is_own_group(&self, group: &str, username: &str) -> bool {
        name_key(username) == name_key(group) && self.makes_group(group).is_some()
    }
}
