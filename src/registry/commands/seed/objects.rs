//! What a seed says of each kind of object, as changes for its writer: keys that are present are set, all others are left
//! alone.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::adoption::origin;
use super::apply::{SeedRun, name_of};
use super::obstacle::Obstacle;
use super::secrets::check_password;
use crate::auth::StoredHash;
use crate::config::{
    ReferenceKind, SeedAccount, SeedApplication, SeedBinding, SeedGroup, SeedProvider, SeedRole, SeedSecret,
    SeedSubject,
};
use crate::directory::name_key;
use crate::model::{
    self, Account, AccountChanges, AccountKind, AccountNumber, ApplicationChanges, Attribute, Binding,
    BindingSubject, Grant, Group, GroupChanges, GroupNumber, HashText, LdapProvider, ObjectReference,
    Password, Role, RoleChanges,
};
use crate::registry::ChangeError;
use crate::registry::commands::provider::{create_provider, update_provider};
pub(super) use crate::registry::commands::set;
use crate::registry::commands::{account, application, group, provider, role, validate};

impl SeedRun<'_, '_> {
    pub(super) fn provider(&mut self, seed: &SeedProvider) -> Result<(), ChangeError> {
        if self.is_passed_over(ReferenceKind::Provider, &seed.name) {
            return Ok(());
        }
        let found = self.find_provider(&seed.name);
        let begun = found.filter(|number| self.begun.contains(&ObjectReference::Provider(*number)));
        if let Some(before) = begun.and_then(|number| self.accounts().provider(number)).cloned() {
            let (before, after) = (LdapProvider::clone(&before), self.new_provider(&before));
            return self.write(ReferenceKind::Provider, &seed.name, |transaction| {
                provider::write(transaction, Some(before), after, seed.said.clone())
            });
        }
        self.write(ReferenceKind::Provider, &seed.name, |transaction| match found {
            Some(number) => update_provider(transaction, number, seed.said.clone()),
            None => create_provider(transaction, seed.name.clone(), seed.said.clone()).map(drop),
        })
    }

    pub(super) fn role(&mut self, seed: &SeedRole) -> Result<(), ChangeError> {
        if self.is_passed_over(ReferenceKind::Role, &seed.name) {
            return Ok(());
        }
        let before = self.accounts().role_named(&seed.name).map(|role| (**role).clone());
        let role = match (&before, self.names.roles.get(&name_key(&seed.name)).copied()) {
            (Some(before), _) => before.clone(),
            (None, Some(number)) => Role::new(number, seed.name.clone(), self.transaction.origin()),
            (None, None) => return Ok(()),
        };
        let grants = seed.permissions.as_ref().map(|permissions| self.grants(permissions));
        let changes =
            RoleChanges { grants: grants.map(|grants| same_or(&role.grants, grants)), ..seed.said.clone() };
        self.write(ReferenceKind::Role, &seed.name, |transaction| {
            role::write(transaction, before, role, changes)
        })
    }

    pub(super) fn group(&mut self, seed: &SeedGroup) -> Result<(), ChangeError> {
        if self.is_passed_over(ReferenceKind::Group, &seed.name) {
            return Ok(());
        }
        let parents = seed.parents.as_ref().map(|parents| self.group_numbers(parents));
        let roles = seed.roles.as_ref().map(|roles| self.role_numbers(roles));
        let grants = seed.permissions.as_ref().map(|permissions| self.grants(permissions));
        self.put_group(&seed.name, |group| GroupChanges {
            parents: parents.map(|parents| same_or(&group.parents, parents)),
            roles: roles.map(|roles| same_or(&group.roles, roles)),
            grants: grants.map(|grants| same_or(&group.grants, grants)),
            attributes: same_attributes_or(&group.attributes, &seed.said.attributes),
            ..seed.said.clone()
        })
    }

    /// The groups of `create_group` that have no table of their own.
    pub(super) fn made_groups(&mut self) -> Result<(), ChangeError> {
        for account in self.made_group_accounts() {
            if self.accounts().group_named(&account.username).is_none() {
                self.put_group(&account.username, |_| GroupChanges::default())?;
            }
        }
        Ok(())
    }

    fn put_group(
        &mut self,
        name: &str,
        changes: impl FnOnce(&Group) -> GroupChanges,
    ) -> Result<(), ChangeError> {
        let stored = self.accounts().group_named(name).map(|group| group.number);
        let before = match stored {
            Some(number) => self.transaction.group(number)?,
            None => None,
        };
        let (origin, now) = (self.transaction.origin(), self.transaction.now());
        let group = match (&before, self.names.groups.get(&name_key(name)).copied()) {
            (Some(before), _) => before.clone(),
            (None, Some(number)) => Group::new(number, name.to_owned(), origin, now),
            (None, None) => return Ok(()),
        };
        let schema = self.transaction.snapshot().schema();
        if let Some(reason) = self.tree_in_the_way(|tree| tree.check_group(&group, schema))? {
            self.obstructed.push(Obstacle::alone(ReferenceKind::Group, name, reason));
            return Ok(());
        }
        let changes = changes(&group);
        self.write(ReferenceKind::Group, name, |transaction| {
            group::write(transaction, before, group, changes)
        })
    }

    pub(super) fn account(&mut self, seed: &SeedAccount) -> Result<(), ChangeError> {
        let (kind_of_object, name) = (ReferenceKind::Account, seed.username.as_str());
        if self.is_passed_over(kind_of_object, name) {
            return Ok(());
        }
        let key = name_key(name);
        let stored = self.accounts().account_keyed(&key).map(|account| account.number);
        let before = match stored {
            Some(number) => self.transaction.account(number)?,
            None => None,
        };
        let kind = self.kind_of(seed);
        let (origin, now) = (self.transaction.origin(), self.transaction.now());
        let account = match (&before, self.names.accounts.get(&key).copied()) {
            (Some(before), _) => before.clone(),
            (None, Some(number)) => Account::new(number, name.to_owned(), kind, origin, now),
            (None, None) => return Ok(()),
        };
        // What they tell ends the run; the rest is written, for what is wrong with that.
        self.check_keys(seed, before.as_ref().map(|before| before.kind), kind);
        let roles = seed.roles.as_ref().map(|roles| self.role_numbers(roles));
        let grants = match &seed.permissions {
            Some(permissions) => {
                let said = self.grants(permissions);
                Some(self.with_own(said, &account)?)
            }
            None => None,
        };
        let password = match &seed.password {
            Some(password) if kind.is_person() => self.password(seed, password, &account)?,
            Some(_) | None => None,
        };
        let changes = AccountChanges {
            kind: Some(kind),
            attributes: same_attributes_or(&account.attributes, &seed.said.attributes),
            roles: roles.map(|roles| same_or(&account.roles, roles)),
            grants: grants.map(|grants| same_or(&account.grants, grants)),
            password,
            // A config says what everything is to be: the diff shows what goes.
            drops_password: true,
            ..seed.said.clone()
        };
        let filled = Account { kind, ..account::filled(account.clone(), &changes) };
        let schema = self.transaction.snapshot().schema();
        if let Some(reason) = self.tree_in_the_way(|tree| tree.check_account(&filled, schema))? {
            self.obstructed.push(Obstacle::alone(kind_of_object, name, reason));
            return Ok(());
        }
        self.write(kind_of_object, name, |transaction| account::write(transaction, before, account, changes))
    }

    /// The permissions that the config says, with those that the account holds on what it has made and the config does not
    /// describe: the config says nothing of these, and without them nobody would go on with that.
    fn with_own(&self, mut said: Vec<Grant>, account: &Account) -> Result<Vec<Grant>, ChangeError> {
        for grant in &account.grants {
            if let Some(on) = grant.on
                && !said.contains(grant)
                && let Some((kind, name)) = name_of(self.accounts(), on)
                && self.described.name(kind, &name).is_none()
                && let Some(record) = self.transaction.stored(&on.into())?
                && origin(&record).account() == Some(account.number)
            {
                said.push(*grant);
            }
        }
        Ok(said)
    }

    /// Who is in the groups of the seed, and in those of `create_group`.
    pub(super) fn members(&mut self) -> Result<(), ChangeError> {
        let seed = self.seed;
        for group in &seed.groups {
            let Some(names) = &group.members else { continue };
            if self.is_passed_over(ReferenceKind::Group, &group.name) {
                continue;
            }
            let Some(number) = self.accounts().group_named(&group.name).map(|group| group.number) else {
                continue;
            };
            let wanted: BTreeSet<AccountNumber> =
                names.iter().filter_map(|name| self.member(&group.name, name)).collect();
            let changes =
                GroupChanges { members: Some(wanted.into_iter().collect()), ..GroupChanges::default() };
            self.write(ReferenceKind::Group, &group.name, |transaction| {
                group::update_group(transaction, number, changes)
            })?;
        }
        for account in self.made_group_accounts() {
            let key = name_key(&account.username);
            let is_listed = self.described.says_members(&account.username);
            let number = self.accounts().account_keyed(&key).map(|account| account.number);
            let group = self.accounts().group_keyed(&key).map(|group| group.number);
            if self.is_passed_over(ReferenceKind::Group, &account.username) {
                continue;
            }
            if let (false, Some(number), Some(group)) = (is_listed, number, group) {
                self.write(ReferenceKind::Account, &account.username, |transaction| {
                    group::set_member(transaction, group, number, true)
                })?;
            }
        }
        Ok(())
    }

    pub(super) fn application(&mut self, seed: &SeedApplication) -> Result<(), ChangeError> {
        if self.is_passed_over(ReferenceKind::Application, &seed.slug) {
            return Ok(());
        }
        let (origin, now) = (self.transaction.origin(), self.transaction.now());
        let before = self.accounts().application_named(&seed.slug).map(|found| (**found).clone());
        let application = match (&before, self.names.applications.get(&seed.slug).copied()) {
            (Some(before), _) => before.clone(),
            (None, Some(number)) => {
                model::Application::of_slug(number, Uuid::new_v4(), seed.slug.clone(), origin, now)
            }
            (None, None) => return Ok(()),
        };
        let not_renamed = || self.not_renamed(seed, before.as_ref()?);
        let missing = self.not_shut_out(seed).or_else(not_renamed).or_else(|| self.not_kept_closed(seed));
        if let Some(missing) = missing {
            self.obstructed.push(Obstacle::alone(ReferenceKind::Application, &seed.slug, missing));
            return Ok(());
        }
        // Where it is not there, or something is in its way, that is told and nothing is kept of this: to stay before another
        // one meanwhile would be in the way of who the config puts there.
        let provider = seed.provider.as_ref().map(|provider| self.provider_number(provider));
        let bindings = seed.bindings.as_ref();
        let bindings = bindings.map(|bindings| self.bindings(bindings, application.bindings.clone()));
        let changes = ApplicationChanges { provider, bindings, ..seed.said.clone() };
        self.write(ReferenceKind::Application, &seed.slug, |transaction| {
            application::write(transaction, before, application, changes)
        })
    }

    /// The bindings of an application. One that was there keeps its uuid: it is known by its subject and whether it is
    /// negated, as its order and whether it is enabled are what an operator changes about it.
    fn bindings(&mut self, seed: &[SeedBinding], mut present: Vec<Binding>) -> Vec<Binding> {
        let mut wanted = Vec::with_capacity(seed.len());
        for SeedBinding { subject, order, negate, enabled } in seed {
            let (subject, negate) = (self.subject(subject), *negate);
            let same = present.iter().position(|other| other.subject == subject && other.negate == negate);
            let uuid = same.map_or_else(Uuid::new_v4, |same| present.swap_remove(same).uuid);
            wanted.push(Binding { uuid, subject, order: *order, negate, enabled: *enabled });
        }
        wanted
    }

    /// For whom, from where or when a binding passes. An account that was deleted is nobody: without its binding an application
    /// could stand open to all.
    fn subject(&mut self, subject: &SeedSubject) -> BindingSubject {
        match subject {
            SeedSubject::Account(name) => {
                BindingSubject::Account(self.account_number(name).unwrap_or(AccountNumber::new(NOBODY)))
            }
            SeedSubject::Group(name) => {
                BindingSubject::Group(self.group_number(name).unwrap_or(GroupNumber::new(NOBODY)))
            }
            SeedSubject::Networks(networks) => BindingSubject::Networks(networks.clone()),
            SeedSubject::Window(window) => BindingSubject::Window(window.clone()),
        }
    }

    /// An account that is named as a member of a group.
    fn member(&mut self, group: &str, name: &str) -> Option<AccountNumber> {
        let number = self.account_number(name)?;
        let kind = self.accounts().account(number)?.kind;
        if kind == AccountKind::InternalServiceAccount {
            let sentence = format!(
                "the group `{group}` cannot hold `{name}`, an internal service account; take it out of its members"
            );
            self.problem(ReferenceKind::Group, group, Some("users"), sentence);
            return None;
        }
        Some(number)
    }

    /// Whether keys of the account go with what it is.
    fn check_keys(&mut self, seed: &SeedAccount, stored: Option<AccountKind>, kind: AccountKind) {
        let username = &seed.username;
        // One that is kept as it is would still be edited.
        if stored == Some(AccountKind::InternalServiceAccount) {
            let error = validate::internal(username);
            self.problem(ReferenceKind::Account, username, Some("type"), error.to_string());
            return;
        }
        let (field, problem) = if kind.is_person() {
            let of_services = [
                ("create_group", seed.create_group == Some(true)),
                ("expiring", seed.expiring.is_some()),
                ("expires", seed.expires.is_some()),
            ];
            let Some((field, _)) = of_services.into_iter().find(|(_, is_said)| *is_said) else { return };
            let problem = format!(
                "the account `{username}` is a person, and create_group, expiring and expires are for service \
                 accounts; take them out"
            );
            (field, problem)
        } else if seed.password.is_some() {
            let problem = format!(
                "the service account `{username}` cannot have a password, it authenticates with tokens; give it a \
                 [[token]] instead"
            );
            ("password", problem)
        } else {
            return;
        };
        self.problem(ReferenceKind::Account, username, Some(field), problem);
    }

    /// The password of a person, if it is another than the one that is there.
    fn password(
        &mut self,
        seed: &SeedAccount,
        password: &SeedSecret,
        account: &Account,
    ) -> Result<Option<Password>, ChangeError> {
        let generation = account.password.as_ref().map(|password| password.generation);
        let hash = match password {
            SeedSecret::Given(secret) => match check_password(seed, secret, self.transaction.rules()) {
                Ok(()) => self.prepared.password(&seed.username, generation)?.cloned(),
                Err(problem) => {
                    self.problem(ReferenceKind::Account, &seed.username, Some("password"), problem);
                    None
                }
            },
            SeedSecret::Hash(hash)
                if account
                    .password
                    .as_ref()
                    .is_some_and(|stored| stored.hash == *hash || stored.seeded == Some(digest(hash))) =>
            {
                None
            }
            SeedSecret::Hash(hash) => {
                let what = format!("the password_hash of the account `{}`", seed.username);
                self.bounded(ReferenceKind::Account, &seed.username, &what, hash)
            }
        };
        Ok(hash.map(|hash| {
            let seeded = matches!(password, SeedSecret::Hash(_)).then(|| digest(&hash));
            account::next_password(self.transaction, account, hash, seeded)
        }))
    }

    /// A hash that costs no more than it may.
    pub(super) fn bounded(
        &mut self,
        kind: ReferenceKind,
        name: &str,
        what: &str,
        hash: &HashText,
    ) -> Option<HashText> {
        match StoredHash::parse(hash.expose(), self.prepared.bounds()) {
            Ok(_) => Some(hash.clone()),
            Err(error) => {
                let field = if kind == ReferenceKind::Token { "key" } else { "password" };
                self.problem(kind, name, Some(field), format!("{what} cannot be kept: {error}"));
                None
            }
        }
    }
}

impl<'t> SeedRun<'t, '_> {
    /// The accounts for which a group of the same name is made.
    fn made_group_accounts(&self) -> Vec<&'t SeedAccount> {
        let seed = self.seed;
        let made = seed.accounts.iter().filter(|account| account.create_group == Some(true));
        made.filter(|account| !self.is_passed_over(ReferenceKind::Account, &account.username)).collect()
    }
}

/// The wanted list; the present one when it holds the same, in whatever order.
pub(super) fn same_or<T: Clone + PartialEq>(present: &[T], wanted: Vec<T>) -> Vec<T> {
    let is_same = present.len() == wanted.len() && wanted.iter().all(|item| present.contains(item));
    if is_same { present.to_vec() } else { wanted }
}

/// The attributes that are said; the present ones when they are the same, in whatever order and case.
fn same_attributes_or(present: &[Attribute], said: &Option<Vec<Attribute>>) -> Option<Vec<Attribute>> {
    let sorted = |attributes: &[Attribute]| -> BTreeMap<String, Vec<Vec<u8>>> {
        let pair =
            |attribute: &Attribute| (attribute.description.to_ascii_lowercase(), attribute.values.clone());
        attributes.iter().map(pair).collect()
    };
    let said = said.as_ref()?;
    let is_same = present.len() == said.len() && sorted(present) == sorted(said);
    Some(if is_same { present.to_vec() } else { said.clone() })
}

/// What a seeded hash is known by, once another has taken its place.
fn digest(hash: &HashText) -> [u8; 32] {
    *blake3::hash(hash.expose().as_bytes()).as_bytes()
}

/// No object has this number.
const NOBODY: u32 = 0;
