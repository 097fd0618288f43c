//! What may not be while something is left out, as it could be used until that is put right: a provider without the
//! application that is to decide who binds there, an application that lets in whom it is to shut out, and a role, a group or
//! an account that is worth less than before and than later. What keeps that so stays as it is, and is left out too.

use std::collections::BTreeSet;

use super::apply::SeedRun;
use crate::config::{ReferenceKind, SeedApplication, SeedSubject};
use crate::directory::{Accounts, name_key};
use crate::model::{Application, BindingSubject, Grant, ObjectReference};
use crate::registry::ChangeError;

/// The applications that providers have, and new providers, that are left out as long as the application is that the config
/// puts before the provider.
pub(super) fn unguarded(run: &SeedRun<'_, '_>) -> Vec<(ReferenceKind, String, String)> {
    let (before, after) = (run.before.accounts(), run.accounts());
    let seeds = run.seed;
    let mut found = Vec::new();
    for seed in &seeds.applications {
        let number = seed.provider.as_deref().and_then(|provider| run.find_provider(provider));
        let open = number.filter(|number| after.application_of(*number).is_none());
        let Some(provider) = open.and_then(|number| after.provider(number)) else { continue };
        let (name, slug) = (&provider.name, &seed.slug);
        if !run.is_left_out(ReferenceKind::Application, slug) {
            continue;
        }
        if let Some(present) = before.application_of(provider.number) {
            let reason = format!(
                "without it the provider `{name}` would admit every active account, as the application `{slug}`, which is to \
                 take its place there, is left out"
            );
            found.push((ReferenceKind::Application, present.slug.clone(), reason));
        } else if before.provider(provider.number).is_none() {
            let reason = format!(
                "its application `{slug}` is left out, and without one it would admit every active account"
            );
            found.push((ReferenceKind::Provider, name.clone(), reason));
        }
    }
    // One that is there only because something that stays needs it.
    for on in &run.spared {
        let ObjectReference::Provider(number) = on else { continue };
        let (Some(provider), Some(present)) = (before.provider(*number), before.application_of(*number))
        else {
            continue;
        };
        let key = name_key(&provider.name);
        let is_described = seeds.providers.iter().any(|seed| name_key(&seed.name) == key);
        if !is_described && after.application_of(*number).is_none() {
            let name = &provider.name;
            let reason = format!(
                "without it the provider `{name}`, which is not deleted yet, would admit every active account"
            );
            found.push((ReferenceKind::Application, present.slug.clone(), reason));
        }
    }
    found
}

/// What `--prune` does not delete: what is needed by what stays as it is, or goes on having what it had.
pub(super) fn spared(run: &SeedRun<'_, '_>) -> Result<BTreeSet<ObjectReference>, ChangeError> {
    let accounts = run.before.accounts();
    let mut waiting = Vec::new();
    for (kind, key) in run.names.left_out.keys().chain(&run.names.incomplete) {
        // What somebody has only made under a name of the config spares nothing.
        if let Some(on) = keyed(accounts, *kind, key)
            && !run.is_strangers(on)?
        {
            waiting.push(on);
        }
    }
    let mut spared = BTreeSet::new();
    while let Some(on) = waiting.pop() {
        for needed in needed_by(accounts, on) {
            if spared.insert(needed) {
                waiting.push(needed);
            }
        }
    }
    Ok(spared)
}

/// What gives an object what it is worth, or who may use it. Who is to go goes, whoever has rights on it.
fn needed_by(accounts: &Accounts, on: ObjectReference) -> Vec<ObjectReference> {
    let on_grants = |grants: &[Grant]| -> Vec<ObjectReference> {
        let on = grants.iter().filter_map(|grant| grant.on);
        on.filter(|on| !matches!(on, ObjectReference::Account(_) | ObjectReference::Token(_))).collect()
    };
    match on {
        ObjectReference::Account(number) => accounts.account(number).map_or_else(Vec::new, |account| {
            let roles = account.roles.iter().copied().map(ObjectReference::Role);
            roles.chain(on_grants(&account.grants)).collect()
        }),
        ObjectReference::Group(number) => accounts.group(number).map_or_else(Vec::new, |group| {
            let parents = group.parents.iter().copied().map(ObjectReference::Group);
            let roles = group.roles.iter().copied().map(ObjectReference::Role);
            parents.chain(roles).chain(on_grants(&group.grants)).collect()
        }),
        ObjectReference::Role(number) => {
            accounts.role(number).map_or_else(Vec::new, |role| on_grants(&role.grants))
        }
        ObjectReference::Application(number) => {
            accounts.application(number).map_or_else(Vec::new, |application| {
                let bound = application.bindings.iter().filter_map(|binding| match binding.subject {
                    BindingSubject::Group(group) => Some(ObjectReference::Group(group)),
                    _ => None,
                });
                bound.chain(application.provider.map(ObjectReference::Provider)).collect()
            })
        }
        ObjectReference::Provider(number) => {
            let application = accounts.application_of(number);
            application
                .map(|application| ObjectReference::Application(application.number))
                .into_iter()
                .collect()
        }
        ObjectReference::Token(_) => Vec::new(),
    }
}

fn keyed(accounts: &Accounts, kind: ReferenceKind, key: &[u8]) -> Option<ObjectReference> {
    match kind {
        ReferenceKind::Account => accounts.account_keyed(key).map(|it| ObjectReference::Account(it.number)),
        ReferenceKind::Group => accounts.group_keyed(key).map(|it| ObjectReference::Group(it.number)),
        ReferenceKind::Role => {
            let found = accounts.roles().find(|it| name_key(&it.name) == key);
            found.map(|it| ObjectReference::Role(it.number))
        }
        ReferenceKind::Provider => {
            let found = accounts.providers().find(|it| name_key(&it.name) == key);
            found.map(|it| ObjectReference::Provider(it.number))
        }
        ReferenceKind::Application => {
            let found = accounts.applications().find(|it| name_key(&it.slug) == key);
            found.map(|it| ObjectReference::Application(it.number))
        }
        ReferenceKind::Token | ReferenceKind::Attribute => None,
    }
}

impl SeedRun<'_, '_> {
    /// Why an application cannot be as the config says, as far as it would let somebody in for that: its provider is left out,
    /// so that all else would be for another one, or whom it is to shut out is. Whom it is to admit is nobody meanwhile.
    pub(super) fn missing_to(
        &self,
        seed: &SeedApplication,
        present: &Application,
    ) -> Result<Option<String>, ChangeError> {
        if let Some(provider) = &seed.provider
            && self.is_left_out(ReferenceKind::Provider, provider)
            && self.find_provider(provider).is_none_or(|number| present.provider != Some(number))
        {
            return Ok(Some(format!("its provider `{provider}` is left out")));
        }
        for binding in seed.bindings.iter().flatten().filter(|binding| binding.negate && binding.enabled) {
            let SeedSubject::Group(name) = &binding.subject else { continue };
            let stored = self.accounts().group_named(name).map(|group| group.number);
            let is_shut_out = stored.is_some_and(|number| {
                let subject = BindingSubject::Group(number);
                present.bindings.iter().any(|it| it.negate && it.enabled && it.subject == subject)
            });
            // Also where the group is shut out already: who is left out would be let in by what else is changed.
            if let Some(missing) = self.left_out_in(name) {
                return Ok(Some(format!("it is to shut out the group `{name}`, and {missing} is left out")));
            }
            if let Some(number) = stored.filter(|_| !is_shut_out)
                && self.is_strangers(ObjectReference::Group(number))?
            {
                return Ok(Some(format!(
                    "it is to shut out the group `{name}`, and a caller of the API has made it or given it this name, and could \
                     take anybody out of it; --adopt {name} takes it over"
                )));
            }
        }
        Ok(None)
    }

    /// What of a group, with all that the config puts into it, is left out.
    fn left_out_in(&self, name: &str) -> Option<String> {
        let mut waiting = vec![name];
        let mut seen = BTreeSet::new();
        while let Some(name) = waiting.pop() {
            let key = name_key(name);
            if !seen.insert(key.clone()) {
                continue;
            }
            if self.is_left_out(ReferenceKind::Group, name) {
                return Some(format!("the group `{name}`"));
            }
            for group in &self.seed.groups {
                if name_key(&group.name) == key {
                    let mut members = group.members.iter().flatten();
                    // Who does not exist is let in nowhere.
                    let left_out = members.find(|member| {
                        self.is_left_out(ReferenceKind::Account, member)
                            && self.accounts().account_named(member).is_some()
                    });
                    if let Some(member) = left_out {
                        return Some(format!("the account `{member}`"));
                    }
                }
                if group.parents.iter().flatten().any(|parent| name_key(parent) == key) {
                    waiting.push(&group.name);
                }
            }
        }
        None
    }
}
