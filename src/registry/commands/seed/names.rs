//! From the names in a seed to numbers: of objects that are there, and of those that are made along.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::apply::SeedRun;
use crate::config::{ReferenceKind, SeedGrant, SeedReference};
use crate::directory::{Accounts, name_key};
use crate::model::{
    AccountNumber, ApplicationNumber, Grant, GroupNumber, ObjectReference, ProviderNumber, RoleNumber,
    TokenNumber, TombstoneOf,
};
use crate::registry::ChangeError;
use crate::registry::transaction::name_form;

/// The numbers of objects that are not there yet, by the forms of their names, and what is skipped.
#[derive(Default)]
pub(super) struct Names {
    pub(super) accounts: HashMap<Vec<u8>, AccountNumber>,
    pub(super) groups: HashMap<Vec<u8>, GroupNumber>,
    pub(super) roles: HashMap<Vec<u8>, RoleNumber>,
    pub(super) tokens: HashMap<String, TokenNumber>,
    pub(super) applications: HashMap<String, ApplicationNumber>,
    /// What was deleted and stays so: what refers to it is left out.
    pub(super) skipped: HashSet<(ReferenceKind, Vec<u8>)>,
    /// What is somebody else's, with its name and why: the same holds for it.
    pub(super) left_out: BTreeMap<(ReferenceKind, Vec<u8>), (String, String)>,
    /// What lacks something that it is to give, and goes on giving what it gave.
    pub(super) incomplete: BTreeSet<(ReferenceKind, Vec<u8>)>,
}

/// What the names of a list stand for.
pub(super) struct Named<T> {
    pub(super) items: Vec<T>,
    /// The first that is not among them, as what it names is skipped or left out.
    pub(super) missing: Option<String>,
    /// Whether one of those may come later: nothing that was there is taken away meanwhile.
    pub(super) is_withheld: bool,
}

impl<T: Copy + PartialEq> Named<T> {
    /// Where something may come later, what is there stays, and nothing comes to it: both together nobody has said.
    fn keep(&mut self, present: &[T]) {
        if self.is_withheld && !present.is_empty() {
            self.items = present.to_vec();
        }
    }
}

impl Names {
    /// What is left out, in words.
    pub(super) fn told_left_out(&self) -> Vec<(ReferenceKind, String, String)> {
        let told =
            self.left_out.iter().map(|((kind, _), (name, reason))| (*kind, name.clone(), reason.clone()));
        told.collect()
    }
}

impl SeedRun<'_, '_> {
    /// The provider of this name.
    pub(super) fn provider_number(&mut self, name: &str) -> Option<ProviderNumber> {
        if self.is_left_out(ReferenceKind::Provider, name) {
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

    /// The account of this name; one that is skipped or left out is `None` without being noted.
    pub(super) fn account_number(&mut self, name: &str) -> Option<AccountNumber> {
        let key = name_key(name);
        if self.is_left_out(ReferenceKind::Account, name) {
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
        if self.is_left_out(ReferenceKind::Group, name) {
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

    /// The roles of these names, and where one is left out, all that are `present`: worth less for a while, what has them could be
    /// taken by who may not have what it gives again when nothing is left out.
    pub(super) fn role_numbers(&mut self, names: &[String], present: &[RoleNumber]) -> Named<RoleNumber> {
        self.numbers(ReferenceKind::Role, names, present, Self::role_number)
    }

    /// The same of groups.
    pub(super) fn group_numbers(&mut self, names: &[String], present: &[GroupNumber]) -> Named<GroupNumber> {
        self.numbers(ReferenceKind::Group, names, present, Self::group_number)
    }

    fn numbers<T: Copy + PartialEq>(
        &mut self,
        kind: ReferenceKind,
        names: &[String],
        present: &[T],
        resolve: fn(&mut Self, &str) -> Option<T>,
    ) -> Named<T> {
        let mut named = Named { items: Vec::with_capacity(names.len()), missing: None, is_withheld: false };
        for name in names {
            let Some(found) = resolve(self, name) else {
                if !self.unresolved.contains(&(kind, name.clone())) {
                    named.missing.get_or_insert_with(|| format!("the {kind} `{name}`"));
                    named.is_withheld |= !self.is_gone(kind, name);
                }
                continue;
            };
            named.items.push(found);
        }
        named.keep(present);
        named
    }

    /// Whether something that is skipped was deleted and stays so. What a caller of the API has made before it was deleted
    /// was not what the config says.
    fn is_gone(&self, kind: ReferenceKind, name: &str) -> bool {
        let of = match kind {
            ReferenceKind::Account => TombstoneOf::Account(name_form(name)),
            ReferenceKind::Group => TombstoneOf::Group(name_form(name)),
            ReferenceKind::Role => TombstoneOf::Role(name_form(name)),
            ReferenceKind::Token => TombstoneOf::Token(name.to_owned()),
            ReferenceKind::Provider | ReferenceKind::Application | ReferenceKind::Attribute => return false,
        };
        self.accounts().tombstone(&of).is_some_and(|tombstone| tombstone.origin.account().is_none())
    }

    /// The permissions of a list; one on something that is skipped is left out, and so is one on something that a caller of
    /// the API has given a name of the config, unless it is `present` already.
    pub(super) fn grants(
        &mut self,
        grants: &[SeedGrant],
        present: &[Grant],
    ) -> Result<Named<Grant>, ChangeError> {
        let mut named = Named { items: Vec::with_capacity(grants.len()), missing: None, is_withheld: false };
        for SeedGrant { permission, on: on_of } in grants {
            let on_of = on_of.as_ref();
            let on = match on_of {
                None => None,
                Some(reference) => match self.object(reference) {
                    Some(object) => Some(object),
                    // A grant on one object must never become one on all.
                    None => {
                        let SeedReference { kind, name } = reference;
                        if !self.unresolved.contains(&(*kind, name.clone())) {
                            named.missing.get_or_insert_with(|| {
                                format!("`{}` on the {kind} `{name}`", permission.codename())
                            });
                            named.is_withheld |= !self.is_gone(*kind, name);
                        }
                        continue;
                    }
                },
            };
            let grant = Grant { permission: *permission, on };
            if let (Some(object), Some(SeedReference { kind, name })) = (grant.on, on_of)
                && !present.contains(&grant)
                && self.is_strangers(object)?
            {
                let reason = format!(
                    "`{}` on it is not granted, as a caller of the API has made it or given it this name; --adopt {name} \
                     takes it over",
                    permission.codename()
                );
                self.leave_out(*kind, name, reason);
                named
                    .missing
                    .get_or_insert_with(|| format!("`{}` on the {kind} `{name}`", permission.codename()));
                named.is_withheld = true;
                continue;
            }
            if !named.items.contains(&grant) {
                named.items.push(grant);
            }
        }
        named.keep(present);
        Ok(named)
    }

    /// Notes whether an object goes on giving what it gave, as something that it is to give may come later.
    pub(super) fn note_incomplete(&mut self, is_withheld: bool, kind: ReferenceKind, name: &str) {
        if is_withheld {
            self.names.incomplete.insert((kind, name_key(name)));
        }
    }

    /// Leaves out a role or a group that would be made without something that it is to give: worth less for a while, it could be
    /// taken by who may not have what it gives later. Says whether it did.
    pub(super) fn is_left_out_without(
        &mut self,
        missing: Option<String>,
        is_new: bool,
        kind: ReferenceKind,
        name: &str,
    ) -> bool {
        let Some(missing) = missing.filter(|_| is_new) else { return false };
        let reason = format!(
            "it would be made without {missing}, and could be taken meanwhile by who may not have that: put that right first"
        );
        self.obstructed.push((kind, name.to_owned(), reason));
        true
    }

    fn role_number(&mut self, name: &str) -> Option<RoleNumber> {
        if self.is_left_out(ReferenceKind::Role, name) {
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
        if is_skipped || self.is_left_out(ReferenceKind::Token, identifier) {
            return None;
        }
        // One that is made now comes first: whoever else has this identifier is not meant.
        let made = self.names.tokens.get(identifier).copied();
        let found = made.or_else(|| self.accounts().token_named(identifier).map(|token| token.number));
        self.resolved(ReferenceKind::Token, identifier, found)
    }

    fn application_number(&mut self, slug: &str) -> Option<ApplicationNumber> {
        if self.is_left_out(ReferenceKind::Application, slug) {
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
