//! The work of a seed in the writer's transaction: deletions, then objects in the order of what they need,
//! then the rules that only the whole can be asked.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::diff::{self, Lookup};
use super::names::Names;
use super::secrets::Prepared;
use super::{DiffEntry, NeededSecret, SeedOptions, SeedPlan, Sign};
use crate::config::{ReferenceKind, Seed, SeedAccount, first_identifier};
use crate::directory::{Accounts, Snapshot, name_key};
use crate::model::{
    AccountKind, AccountNumber, ApplicationNumber, AttributeNumber, GroupNumber, Key, Record, RoleNumber,
    TokenNumber, TombstoneOf,
};
use crate::registry::commands::validate;
use crate::registry::transaction::name_form;
use crate::registry::{ChangeError, Transaction};

/// One application of a seed.
pub(super) struct Application<'t, 's> {
    pub(super) transaction: &'t mut Transaction<'s>,
    pub(super) seed: &'t Seed,
    pub(super) options: &'t SeedOptions,
    pub(super) prepared: &'t Prepared,
    /// The directory before any of it.
    pub(super) before: Snapshot,
    pub(super) names: Names,
    pub(super) needed: Vec<NeededSecret>,
    pub(super) problems: Vec<String>,
    pub(super) unresolved: BTreeSet<(ReferenceKind, String)>,
    /// Accounts whose credentials or numbers changed.
    pub(super) checked_accounts: BTreeSet<AccountNumber>,
    /// Custom attribute types that were there and are declared in another way now.
    pub(super) changed_attributes: BTreeSet<AttributeNumber>,
    /// Whether a provider is new or its tree changed.
    pub(super) are_trees_new: bool,
    skipped: Vec<DiffEntry>,
    touched: Vec<Touched>,
    touched_places: HashMap<Key, usize>,
    memberships: BTreeMap<GroupNumber, Vec<(AccountNumber, bool)>>,
}

/// A record that changed.
struct Touched {
    before: Option<Record>,
    after: Option<Record>,
}

impl<'t, 's> Application<'t, 's> {
    /// Nothing is done yet.
    pub(super) fn new(
        transaction: &'t mut Transaction<'s>,
        seed: &'t Seed,
        options: &'t SeedOptions,
        prepared: &'t Prepared,
    ) -> Self {
        let before = transaction.snapshot().clone();
        Self {
            transaction,
            seed,
            options,
            prepared,
            before,
            names: Names::default(),
            needed: Vec::new(),
            problems: Vec::new(),
            unresolved: BTreeSet::new(),
            checked_accounts: BTreeSet::new(),
            changed_attributes: BTreeSet::new(),
            are_trees_new: false,
            skipped: Vec::new(),
            touched: Vec::new(),
            touched_places: HashMap::new(),
            memberships: BTreeMap::new(),
        }
    }

    /// Does all of it, and says what became different.
    pub(super) fn run(mut self) -> Result<SeedPlan, ChangeError> {
        let seed = self.seed;
        self.recreate()?;
        if self.options.prune {
            self.prune()?;
        }
        for attribute in &seed.attributes {
            self.custom_attribute(attribute)?;
        }
        for provider in &seed.providers {
            self.provider(provider)?;
        }
        self.number_objects()?;
        for role in &seed.roles {
            self.role(role)?;
        }
        for group in &seed.groups {
            self.group(group)?;
        }
        self.made_groups()?;
        for account in &seed.accounts {
            self.account(account)?;
        }
        self.members()?;
        self.tokens()?;
        for application in &seed.applications {
            self.application(application)?;
        }
        self.check_custom_attributes()?;
        if self.options.prune {
            self.prune_custom_attributes()?;
        }
        self.check_whole();
        if !self.problems.is_empty() {
            return Err(ChangeError::Invalid(self.problems));
        }
        if !self.prepared.covers(&self.needed) {
            return Err(ChangeError::Conflict);
        }
        Ok(self.plan())
    }

    /// The directory as it is by now.
    pub(super) fn accounts(&self) -> &Accounts {
        self.transaction.snapshot().accounts()
    }

    /// Notes that something of the seed is left as it is.
    pub(super) fn skip(&mut self, kind: ReferenceKind, name: &str, reason: String) {
        self.skipped.push(DiffEntry {
            sign: Sign::Skipped,
            kind,
            name: name.to_owned(),
            fields: Vec::new(),
            reason: Some(reason),
        });
    }

    /// Puts a record and notes what it was before.
    pub(super) fn put(&mut self, before: Option<Record>, after: Record) -> Result<(), ChangeError> {
        self.note(after.key(), before, Some(after.clone()));
        self.transaction.put(after)
    }

    /// Notes a change of a record that is made elsewhere.
    pub(super) fn note(&mut self, key: Key, before: Option<Record>, after: Option<Record>) {
        if let Some(touched) = self.touched_places.get(&key).and_then(|place| self.touched.get_mut(*place)) {
            touched.after = after;
            return;
        }
        self.touched_places.insert(key, self.touched.len());
        self.touched.push(Touched { before, after });
    }

    /// Puts an account into a group or takes it out.
    pub(super) fn set_member(
        &mut self,
        group: GroupNumber,
        account: AccountNumber,
        is_member: bool,
    ) -> Result<(), ChangeError> {
        if self.transaction.set_member(group, account, is_member)? {
            self.memberships.entry(group).or_default().push((account, is_member));
        }
        Ok(())
    }

    /// The kind that an account of the seed has at the end.
    pub(super) fn kind_of(&self, account: &SeedAccount) -> AccountKind {
        let stored = self.before.accounts().account_named(&account.username).map(|account| account.kind);
        account.kind.or(stored).unwrap_or(AccountKind::Internal)
    }

    /// Whether an account of the seed is made now, not found.
    pub(super) fn is_new_account(&self, username: &str) -> bool {
        self.names.accounts.contains_key(&name_key(username))
    }

    /// Lifts the tombstones of what is to be made again; an account's with its tokens'.
    fn recreate(&mut self) -> Result<(), ChangeError> {
        for name in &self.options.recreate {
            let key = name_key(name);
            let account = TombstoneOf::Account(name_form(name));
            let mut lifted = vec![account.clone(), TombstoneOf::Token(name.clone())];
            if self.accounts().has_tombstone(&account) {
                lifted.push(TombstoneOf::Token(first_identifier(name)));
                for seeded in self.seed.accounts.iter().filter(|seeded| name_key(&seeded.username) == key) {
                    lifted.push(TombstoneOf::Token(first_identifier(&seeded.username)));
                }
                let tokens = self.seed.tokens.iter().filter(|token| name_key(&token.account) == key);
                lifted.extend(tokens.map(|token| TombstoneOf::Token(token.identifier.clone())));
            }
            let is_known = lifted.iter().any(|tombstone| self.accounts().has_tombstone(tombstone))
                || self.accounts().account_keyed(&key).is_some()
                || self.accounts().token_named(name).is_some();
            if !is_known {
                self.problems.push(format!(
                    "no account or token `{name}` was deleted, so there is nothing to recreate; check the name"
                ));
            }
            for tombstone in lifted {
                self.transaction.lift_tombstone(tombstone)?;
            }
        }
        Ok(())
    }

    /// Gives every new object its number, so that objects can name each other in any order.
    fn number_objects(&mut self) -> Result<(), ChangeError> {
        let seed = self.seed;
        for role in &seed.roles {
            if self.accounts().role_named(&role.name).is_none() {
                let number = RoleNumber::new(self.transaction.next_object()?);
                self.names.roles.insert(name_key(&role.name), number);
            }
        }
        let taken = validate::numbers_taken(self.transaction.snapshot(), seed);
        for group in &seed.groups {
            self.number_group(&group.name, &taken)?;
        }
        for account in &seed.accounts {
            let key = name_key(&account.username);
            if self.accounts().account_keyed(&key).is_none() {
                if self.accounts().has_tombstone(&TombstoneOf::Account(name_form(&account.username))) {
                    let reason = format!(
                        "it was deleted; --recreate {} makes it again, with its tokens",
                        account.username
                    );
                    self.skip(ReferenceKind::Account, &account.username, reason);
                    self.names.skipped_accounts.insert(key);
                    continue;
                }
                let number = AccountNumber::new(self.next_number(&taken)?);
                self.names.accounts.insert(key, number);
            }
            if account.create_group == Some(true) {
                self.number_group(&account.username, &taken)?;
            }
        }
        for application in &seed.applications {
            if self.accounts().application_named(&application.slug).is_none() {
                let number = ApplicationNumber::new(self.transaction.next_object()?);
                self.names.applications.insert(application.slug.clone(), number);
            }
        }
        self.number_tokens()
    }

    fn number_group(&mut self, name: &str, taken: &HashSet<u32>) -> Result<(), ChangeError> {
        let key = name_key(name);
        if self.accounts().group_keyed(&key).is_none() && !self.names.groups.contains_key(&key) {
            let number = GroupNumber::new(self.next_number(taken)?);
            self.names.groups.insert(key, number);
        }
        Ok(())
    }

    fn number_tokens(&mut self) -> Result<(), ChangeError> {
        let seed = self.seed;
        let first = seed.accounts.iter().filter(|account| {
            self.is_new_account(&account.username) && self.kind_of(account) == AccountKind::ServiceAccount
        });
        let first: Vec<(String, &str)> = first
            .map(|account| (first_identifier(&account.username), account.username.as_str()))
            .filter(|(identifier, _)| seed.tokens.iter().all(|token| token.identifier != *identifier))
            .collect();
        let seeded = seed.tokens.iter().map(|token| (token.identifier.clone(), token.account.as_str()));
        for (identifier, account) in seeded.chain(first) {
            if self.accounts().token_named(&identifier).is_some() {
                continue;
            }
            let is_deleted = self.accounts().has_tombstone(&TombstoneOf::Token(identifier.clone()));
            if self.names.skipped_accounts.contains(&name_key(account)) {
                self.skip(ReferenceKind::Token, &identifier, format!("its account `{account}` was deleted"));
            } else if is_deleted {
                let reason = format!("it was revoked or deleted; --recreate {identifier} makes it again");
                self.skip(ReferenceKind::Token, &identifier, reason);
            } else {
                let number = TokenNumber::new(self.transaction.next_object()?);
                self.names.tokens.insert(identifier, number);
                continue;
            }
            self.names.skipped_tokens.insert(identifier);
        }
        Ok(())
    }

    fn next_number(&mut self, taken: &HashSet<u32>) -> Result<u32, ChangeError> {
        loop {
            let number = self.transaction.next_number()?;
            if !taken.contains(&number) {
                return Ok(number);
            }
        }
    }

    /// The rules that are about more than one object.
    fn check_whole(&mut self) {
        let snapshot = self.transaction.snapshot();
        let mut problems = Vec::new();
        validate::providers(snapshot, &mut problems);
        validate::applications(snapshot, &mut problems);
        if self.are_trees_new && problems.is_empty() {
            validate::trees(snapshot, &mut problems);
        }
        for number in &self.checked_accounts {
            validate::uid_numbers(snapshot, *number, &mut problems);
            validate::credentials(snapshot, *number, &mut problems);
        }
        problems.retain(|problem| !self.problems.contains(problem));
        self.problems.append(&mut problems);
    }

    fn plan(self) -> SeedPlan {
        let after = self.transaction.snapshot();
        let lookup = Lookup { before: self.before.accounts(), after: after.accounts() };
        let mut memberships = self.memberships;
        let mut diff = diff::custom_attributes(&self.before, after, &lookup);
        for touched in &self.touched {
            let mut entry = diff::entry(touched.before.as_ref(), touched.after.as_ref(), &lookup);
            if let Some(Record::Group(group)) = &touched.after
                && let Some(changes) = memberships.remove(&group.number)
            {
                let field = diff::members(&changes, &lookup);
                entry
                    .get_or_insert_with(|| diff::unchanged(ReferenceKind::Group, &group.name))
                    .fields
                    .push(field);
            }
            diff.extend(entry);
        }
        for (group, changes) in memberships {
            let mut entry = diff::unchanged(ReferenceKind::Group, &lookup.group(group));
            entry.fields.push(diff::members(&changes, &lookup));
            diff.push(entry);
        }
        diff.sort_by_key(|entry| (entry.sign != Sign::Deleted, diff::rank(entry.kind)));
        diff.extend(self.skipped);
        SeedPlan {
            revision: self.before.revision(),
            diff,
            needed: self.needed,
            unresolved: self.unresolved.into_iter().collect(),
        }
    }
}
