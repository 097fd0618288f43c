//! Whom an application is to shut out must be there: of a group that was deleted or renamed, and is not made again, nobody
//! would be. And what one keeps closed is not opened by another that takes its place.

use std::collections::BTreeSet;

use super::apply::SeedRun;
use super::options::typed;
use crate::config::{ReferenceKind, SeedApplication, SeedGroup, SeedSubject};
use crate::directory::name_key;
use crate::model::{Application, BindingSubject, Record};

impl SeedRun<'_, '_> {
    /// Why an application would let in whom the config says that it shuts out.
    pub(super) fn not_shut_out(&self, seed: &SeedApplication) -> Option<String> {
        // What else is in the way is told first: what follows from it is not.
        if !self.told.is_empty() {
            return None;
        }
        let shut_out = seed.bindings.iter().flatten().filter(|binding| binding.negate && binding.enabled);
        let groups = shut_out.filter_map(|binding| match &binding.subject {
            SeedSubject::Group(name) => Some(name),
            _ => None,
        });
        groups.into_iter().find_map(|name| {
            let missing = self.missing_of(name)?;
            Some(format!(
                "it is to shut out the group `{name}`, and the group `{missing}`, which was deleted or renamed, is not made \
                 again: {} makes it",
                typed("--recreate", missing)
            ))
        })
    }

    /// Why an account that an application shuts out would be let in: it has another name by now.
    pub(super) fn not_renamed(&self, seed: &SeedApplication, before: &Application) -> Option<String> {
        let accounts = self.accounts();
        let is_skipped = |name: &str| self.names.skipped.contains(&(ReferenceKind::Account, name_key(name)));
        let mut bindings = seed.bindings.iter().flatten().filter(|binding| binding.negate && binding.enabled);
        let missing = bindings.find_map(|binding| match &binding.subject {
            SeedSubject::Account(name) if is_skipped(name) => Some(name),
            _ => None,
        })?;
        let is_named = |username: &str| {
            seed.bindings.iter().flatten().any(
                |binding| matches!(&binding.subject, SeedSubject::Account(name) if name_key(name) == name_key(username)),
            )
        };
        let shut_out = before.bindings.iter().filter(|binding| binding.negate && binding.enabled);
        let renamed = shut_out.filter_map(|binding| match binding.subject {
            BindingSubject::Account(number) => accounts.account(number),
            _ => None,
        });
        let renamed = renamed.into_iter().find(|account| !is_named(&account.username))?;
        Some(format!(
            "it is to shut out the account `{missing}`, which was deleted or renamed, and shuts out `{}`: say that name, or {} \
             makes another",
            renamed.username,
            typed("--recreate", missing)
        ))
    }

    /// Why a new application would open the provider of one that a prune deletes, with bindings of which the config says
    /// nothing: that may be the same one, under another name.
    pub(super) fn not_kept_closed(&self, seed: &SeedApplication) -> Option<String> {
        let before = self.before.accounts();
        if seed.bindings.is_some() || before.application_named(&seed.slug).is_some() {
            return None;
        }
        let provider = self.find_provider(seed.provider.as_ref()?)?;
        let gone = before.application_of(provider).filter(|gone| !gone.bindings.is_empty())?;
        if self.accounts().application(gone.number).is_some() {
            return None;
        }
        let slug = &gone.slug;
        Some(format!(
            "it would be open to everybody, in the place of `{slug}`, which was {} and goes with its bindings: say its \
             `bindings`, or rename `{slug}` to `{}`",
            self.made(&Record::Application(Application::clone(gone))),
            seed.slug
        ))
    }

    /// What of a group, with all that the config puts into it, is not made.
    fn missing_of<'n>(&'n self, name: &'n str) -> Option<&'n str> {
        let mut waiting = vec![name];
        let mut seen = BTreeSet::new();
        while let Some(name) = waiting.pop() {
            let key = name_key(name);
            if !seen.insert(key.clone()) {
                continue;
            }
            if self.names.skipped.contains(&(ReferenceKind::Group, name_key(name))) {
                return Some(name);
            }
            let below =
                |group: &&SeedGroup| group.parents.iter().flatten().any(|parent| name_key(parent) == key);
            waiting.extend(self.seed.groups.iter().filter(below).map(|group| group.name.as_str()));
        }
        None
    }
}
