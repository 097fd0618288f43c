//! What a seed makes of each kind of object: keys that are present are set, all others are left alone.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::apply::Application;
use super::secrets::check_password;
use crate::auth::StoredHash;
use crate::config::{
    SeedAccount, SeedApplication, SeedBinding, SeedGroup, SeedProvider, SeedRole, SeedSecret, SeedSubject,
};
use crate::directory::name_key;
use crate::model::{
    self, Account, AccountKind, AccountNumber, Attribute, Binding, BindingSubject, Group, GroupNumber,
    HashText, LdapProvider, Password, ProviderNumber, Record, Role,
};
use crate::registry::ChangeError;
pub(super) use crate::registry::commands::set;
use crate::registry::commands::validate;

impl Application<'_, '_> {
    pub(super) fn provider(&mut self, seed: &SeedProvider) -> Result<(), ChangeError> {
        let now = self.transaction.now();
        let found = self.find_provider(&seed.name);
        let before = found.and_then(|number| self.accounts().provider(number)).map(|found| (**found).clone());
        let mut provider = match &before {
            Some(before) => before.clone(),
            None => {
                let number = ProviderNumber::new(self.transaction.next_object()?);
                LdapProvider::of_name(number, seed.name.clone(), self.transaction.origin(), now)
            }
        };
        provider.base_dn.clone_from(&seed.base_dn);
        set(&mut provider.is_default, seed.is_default);
        if let Some(domain) = &seed.domain {
            provider.domain = Some(domain.clone());
        }
        set(&mut provider.uid_start_number, seed.uid_start_number);
        set(&mut provider.gid_start_number, seed.gid_start_number);
        set(&mut provider.virtual_groups, seed.virtual_groups);
        set(&mut provider.compatibility_attributes, seed.compatibility_attributes);
        set(&mut provider.users, seed.users.clone());
        set(&mut provider.service_accounts, seed.service_accounts.clone());
        set(&mut provider.groups, seed.groups.clone());
        if before.as_ref() == Some(&provider) {
            return Ok(());
        }
        provider.modified = now;
        let known = self.problems.len();
        validate::provider(&provider, self.transaction.snapshot().schema(), &mut self.problems);
        if self.problems.len() > known {
            return Ok(());
        }
        self.are_trees_new = true;
        self.put(before.map(Record::Provider), Record::Provider(provider))
    }

    pub(super) fn role(&mut self, seed: &SeedRole) -> Result<(), ChangeError> {
        let before = self.accounts().role_named(&seed.name).map(|role| (**role).clone());
        let mut role = match &before {
            Some(before) => before.clone(),
            None => {
                let Some(number) = self.names.roles.get(&name_key(&seed.name)).copied() else {
                    return Ok(());
                };
                Role {
                    number,
                    uuid: Uuid::new_v4(),
                    name: seed.name.clone(),
                    grants: Vec::new(),
                    search_size_max: None,
                    search_time_max: None,
                    origin: self.transaction.origin(),
                }
            }
        };
        if let Some(permissions) = &seed.permissions {
            role.grants = same_or(&role.grants, self.grants(permissions));
        }
        if let Some(limit) = &seed.search_size_max {
            role.search_size_max = limit.of_role();
        }
        if let Some(limit) = &seed.search_time_max {
            role.search_time_max = limit.of_role();
        }
        if before.as_ref() == Some(&role) {
            return Ok(());
        }
        if let Err(problem) = validate::name("role", &role.name) {
            self.problems.push(problem);
            return Ok(());
        }
        self.put(before.map(Record::Role), Record::Role(role))
    }

    pub(super) fn group(&mut self, seed: &SeedGroup) -> Result<(), ChangeError> {
        let stored = self.accounts().group_named(&seed.name).map(|group| group.number);
        let before = match stored {
            Some(number) => self.transaction.group(number)?,
            None => None,
        };
        let mut group = match &before {
            Some(before) => before.clone(),
            None => match self.names.groups.get(&name_key(&seed.name)).copied() {
                Some(number) => {
                    let (origin, now) = (self.transaction.origin(), self.transaction.now());
                    Group::new(number, seed.name.clone(), origin, now)
                }
                None => return Ok(()),
            },
        };
        set(&mut group.is_superuser, seed.is_superuser);
        if let Some(parents) = &seed.parents {
            let parents = parents.iter().filter_map(|parent| self.group_number(parent)).collect();
            group.parents = same_or(&group.parents, parents);
        }
        if let Some(roles) = &seed.roles {
            group.roles = same_or(&group.roles, self.role_numbers(roles));
        }
        if let Some(permissions) = &seed.permissions {
            group.grants = same_or(&group.grants, self.grants(permissions));
        }
        if let Some(given) = &seed.attributes {
            group.attributes = same_attributes_or(&group.attributes, attributes(given));
        }
        if before.as_ref() == Some(&group) {
            return Ok(());
        }
        self.put_group(before, group)
    }

    /// The groups of `create_group` that have no table of their own.
    pub(super) fn made_groups(&mut self) -> Result<(), ChangeError> {
        for account in self.made_group_accounts() {
            if self.accounts().group_named(&account.username).is_none()
                && let Some(number) = self.names.groups.get(&name_key(&account.username)).copied()
            {
                let group = {
                    let (origin, now) = (self.transaction.origin(), self.transaction.now());
                    Group::new(number, account.username.clone(), origin, now)
                };
                self.put_group(None, group)?;
            }
        }
        Ok(())
    }

    pub(super) fn account(&mut self, seed: &SeedAccount) -> Result<(), ChangeError> {
        let key = name_key(&seed.username);
        if self.names.skipped_accounts.contains(&key) {
            return Ok(());
        }
        let stored = self.accounts().account_keyed(&key).map(|account| account.number);
        let before = match stored {
            Some(number) => self.transaction.account(number)?,
            None => None,
        };
        let kind = self.kind_of(seed);
        let mut account = match (&before, self.names.accounts.get(&key).copied()) {
            (Some(before), _) => before.clone(),
            (None, Some(number)) => {
                let (origin, now) = (self.transaction.origin(), self.transaction.now());
                Account::new(number, seed.username.clone(), kind, origin, now)
            }
            (None, None) => return Ok(()),
        };
        let known = self.problems.len();
        self.check_kind(seed, before.as_ref().map(|before| before.kind), kind);
        account.kind = kind;
        if !kind.is_person() {
            account.password = None;
        }
        set(&mut account.name, seed.name.clone());
        set(&mut account.email, seed.email.clone());
        set(&mut account.is_active, seed.is_active);
        if let Some(roles) = &seed.roles {
            account.roles = same_or(&account.roles, self.role_numbers(roles));
        }
        if let Some(permissions) = &seed.permissions {
            account.grants = same_or(&account.grants, self.grants(permissions));
        }
        if let Some(given) = &seed.attributes {
            account.attributes = same_attributes_or(&account.attributes, attributes(given));
        }
        if let Some(password) = &seed.password {
            self.password(seed, password, &mut account)?;
        }
        if before.as_ref() == Some(&account) {
            return Ok(());
        }
        account.modified = self.transaction.now();
        validate::account(&account, self.transaction.snapshot(), &mut self.problems);
        if self.problems.len() > known {
            return Ok(());
        }
        self.checked_accounts.insert(account.number);
        self.put(before.map(Record::Account), Record::Account(account))
    }

    /// Who is in the groups of the seed, and in those of `create_group`.
    pub(super) fn members(&mut self) -> Result<(), ChangeError> {
        let seed = self.seed;
        for group in &seed.groups {
            let Some(names) = &group.members else { continue };
            let Some(number) = self.accounts().group_named(&group.name).map(|group| group.number) else {
                continue;
            };
            let wanted: BTreeSet<AccountNumber> =
                names.iter().filter_map(|name| self.member(&group.name, name)).collect();
            let accounts = self.accounts();
            let present: BTreeSet<AccountNumber> =
                accounts.group(number).map_or_else(BTreeSet::new, |group| {
                    let members = group.members().filter_map(|member| accounts.account_of_entry(member));
                    members.map(|account| account.number).collect()
                });
            for account in present.difference(&wanted) {
                self.set_member(number, *account, false)?;
            }
            for account in wanted.difference(&present) {
                self.set_member(number, *account, true)?;
            }
        }
        for account in self.made_group_accounts() {
            let key = name_key(&account.username);
            let is_listed =
                seed.groups.iter().any(|group| group.members.is_some() && name_key(&group.name) == key);
            let number = self.accounts().account_keyed(&key).map(|account| account.number);
            let group = self.accounts().group_keyed(&key).map(|group| group.number);
            if let (false, Some(number), Some(group)) = (is_listed, number, group) {
                self.set_member(group, number, true)?;
            }
        }
        Ok(())
    }

    pub(super) fn application(&mut self, seed: &SeedApplication) -> Result<(), ChangeError> {
        let now = self.transaction.now();
        let before = self.accounts().application_named(&seed.slug).map(|found| (**found).clone());
        let mut application = match &before {
            Some(before) => before.clone(),
            None => {
                let Some(number) = self.names.applications.get(&seed.slug).copied() else { return Ok(()) };
                {
                    let origin = self.transaction.origin();
                    model::Application::of_slug(number, Uuid::new_v4(), seed.slug.clone(), origin, now)
                }
            }
        };
        set(&mut application.name, seed.name.clone());
        set(&mut application.group, seed.group.clone());
        set(&mut application.launch_url, seed.launch_url.clone());
        set(&mut application.description, seed.description.clone());
        set(&mut application.publisher, seed.publisher.clone());
        set(&mut application.open_in_new_tab, seed.open_in_new_tab);
        set(&mut application.hide, seed.hide);
        if let Some(provider) = &seed.provider {
            application.provider = self.provider_number(provider);
        }
        set(&mut application.mode, seed.mode);
        if let Some(bindings) = &seed.bindings {
            application.bindings = self.bindings(bindings, application.bindings);
        }
        if before.as_ref() == Some(&application) {
            return Ok(());
        }
        if let Err(problem) = validate::application(&application) {
            self.problems.push(problem.sentence);
            return Ok(());
        }
        application.modified = now;
        self.put(before.map(Record::Application), Record::Application(application))
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
            self.problems.push(format!(
                "the group `{group}` cannot hold `{name}`, an internal service account; take it out of its members"
            ));
            return None;
        }
        Some(number)
    }

    fn check_kind(&mut self, seed: &SeedAccount, stored: Option<AccountKind>, kind: AccountKind) {
        let username = &seed.username;
        // One that is kept as it is would still be edited; to become one is refused in the same words.
        let before = match kind {
            AccountKind::InternalServiceAccount => AccountKind::Internal,
            kind => stored.unwrap_or(kind),
        };
        if let Err(problem) = validate::kind_change(username, before, kind) {
            self.problems.push(problem);
            return;
        }
        let problem = match (stored, kind) {
            (_, AccountKind::ServiceAccount) if seed.password.is_some() => format!(
                "the service account `{username}` cannot have a password, it authenticates with tokens; give it a \
                 [[token]] instead"
            ),
            (_, kind)
                if kind.is_person()
                    && (seed.create_group == Some(true)
                        || seed.expiring.is_some()
                        || seed.expires.is_some()) =>
            {
                format!(
                    "the account `{username}` is a person, and create_group, expiring and expires are for service \
                     accounts; take them out"
                )
            }
            _ => return,
        };
        self.problems.push(problem);
    }

    fn password(
        &mut self,
        seed: &SeedAccount,
        password: &SeedSecret,
        account: &mut Account,
    ) -> Result<(), ChangeError> {
        if !account.kind.is_person() {
            return Ok(());
        }
        let generation = account.password.as_ref().map(|password| password.generation);
        let hash = match password {
            SeedSecret::Given(secret) => match check_password(seed, secret) {
                Ok(()) => self.prepared.password(&seed.username, generation)?.new.clone(),
                Err(problem) => {
                    self.problems.push(problem);
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
                self.bounded(&format!("the password_hash of the account `{}`", seed.username), hash)
            }
        };
        if let Some(hash) = hash {
            let seeded = matches!(password, SeedSecret::Hash(_)).then(|| digest(&hash));
            let generation = generation.map_or(1, |last| last + 1);
            let changed = self.transaction.now();
            account.password =
                Some(Password { hash, generation, seeded, changed, made_by: self.transaction.made_by() });
        }
        Ok(())
    }

    /// A hash that costs no more than it may.
    pub(super) fn bounded(&mut self, what: &str, hash: &HashText) -> Option<HashText> {
        match StoredHash::parse(hash.expose(), self.prepared.bounds()) {
            Ok(_) => Some(hash.clone()),
            Err(error) => {
                self.problems.push(format!("{what} cannot be kept: {error}"));
                None
            }
        }
    }

    fn put_group(&mut self, before: Option<Group>, mut group: Group) -> Result<(), ChangeError> {
        group.modified = self.transaction.now();
        let known = self.problems.len();
        validate::group(&group, self.transaction.snapshot(), &mut self.problems);
        if self.problems.len() > known {
            return Ok(());
        }
        self.put(before.map(Record::Group), Record::Group(group))
    }
}

impl<'t> Application<'t, '_> {
    /// The accounts for which a group of the same name is made.
    fn made_group_accounts(&self) -> Vec<&'t SeedAccount> {
        let seed = self.seed;
        let is_skipped =
            |account: &SeedAccount| self.names.skipped_accounts.contains(&name_key(&account.username));
        let made = seed.accounts.iter().filter(|account| account.create_group == Some(true));
        made.filter(|account| !is_skipped(account)).collect()
    }
}

/// The wanted list; the present one when it holds the same, in whatever order.
pub(super) fn same_or<T: Clone + PartialEq>(present: &[T], wanted: Vec<T>) -> Vec<T> {
    let is_same = present.len() == wanted.len() && wanted.iter().all(|item| present.contains(item));
    if is_same { present.to_vec() } else { wanted }
}

fn attributes(given: &BTreeMap<String, Vec<String>>) -> Vec<Attribute> {
    let octets = |values: &[String]| values.iter().map(|value| value.clone().into_bytes()).collect();
    let attribute = |(description, values): (&String, &Vec<String>)| Attribute {
        description: description.clone(),
        values: octets(values),
    };
    given.iter().map(attribute).collect()
}

/// The wanted attributes; the present ones when they are the same, in whatever order and case.
fn same_attributes_or(present: &[Attribute], wanted: Vec<Attribute>) -> Vec<Attribute> {
    let sorted = |attributes: &[Attribute]| -> BTreeMap<String, Vec<Vec<u8>>> {
        let pair =
            |attribute: &Attribute| (attribute.description.to_ascii_lowercase(), attribute.values.clone());
        attributes.iter().map(pair).collect()
    };
    if present.len() == wanted.len() && sorted(present) == sorted(&wanted) {
        present.to_vec()
    } else {
        wanted
    }
}

/// What a seeded hash is known by, once another has taken its place.
fn digest(hash: &HashText) -> [u8; 32] {
    *blake3::hash(hash.expose().as_bytes()).as_bytes()
}

/// No object has this number.
const NOBODY: u32 = 0;
