//! The work of a seed in the writer's transaction: deletions, then objects in the order of what they need,
//! then the rules that only the whole can be asked.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::adoption;
use super::described::Described;
use super::diff::{self, Lookup};
use super::filled;
use super::names::{self, Names};
use super::obstacle::{Obstacle, grouped};
use super::options::{Meant, PASSWORD, TOKEN, maker_named, typed};
use super::planted;
use super::secrets::Prepared;
use super::{DiffEntry, NeededSecret, SeedOptions, SeedPlan, SeedProblem, Sign};
use crate::config::{ReferenceKind, Seed, SeedAccount};
use crate::directory::{Accounts, Snapshot, name_key};
use crate::model::{
    AccountKind, AccountNumber, ApplicationNumber, AttributeNumber, GroupNumber, Key, ObjectReference,
    Origin, Record, RoleNumber, TokenNumber, Tombstone, TombstoneOf, first_identifier,
};
use crate::quoted::beginning;
use crate::registry::commands::foreign::{ForeignCredential, ForeignCredentials};
use crate::registry::commands::names::renamed;
use crate::registry::commands::validate;
use crate::registry::transaction::name_form;
use crate::registry::{ChangeError, Transaction};

/// A seed that is applied: once, to one transaction.
pub(super) struct SeedRun<'t, 's> {
    pub(super) transaction: &'t mut Transaction<'s>,
    pub(super) seed: &'t Seed,
    /// The same by name.
    pub(super) described: Described<'t>,
    pub(super) options: &'t SeedOptions,
    pub(super) prepared: &'t Prepared,
    /// The directory before any of it.
    pub(super) before: Snapshot,
    pub(super) names: Names,
    pub(super) needed: Vec<NeededSecret>,
    pub(super) problems: Vec<SeedProblem>,
    pub(super) unresolved: BTreeSet<(ReferenceKind, String)>,
    /// Custom attribute types that were there and are declared in another way now.
    pub(super) changed_attributes: BTreeSet<AttributeNumber>,
    skipped: Vec<DiffEntry>,
    /// What cannot be as the seed says, because something that it does not describe stands in the way.
    pub(super) obstructed: Vec<Obstacle>,
    /// All of that, of an object whatever is in its way.
    pub(super) told: Vec<Obstacle>,
    /// What was told that may be taken over, by what the seed calls it: it is, from then on, to find what else is in the way.
    pub(super) presumed: BTreeMap<(ReferenceKind, Vec<u8>), Key>,
    /// What is taken over by its name: it begins as new.
    pub(super) begun: HashSet<ObjectReference>,
    /// Accounts of which the operator takes over all that they have made and that stands in the way.
    pub(super) adopted_makers: HashSet<AccountNumber>,
    /// Accounts of which the operator accepts all credentials that they alone have made.
    pub(super) accepted_makers: HashSet<AccountNumber>,
    /// What stands in the way and is taken over with all that its maker has made.
    pub(super) taken: BTreeSet<Key>,
    /// What is not, as it would make somebody a superuser.
    pub(super) not_taken: BTreeSet<Key>,
}

/// How the config calls an object.
pub(super) fn name_of(accounts: &Accounts, on: ObjectReference) -> Option<(ReferenceKind, String)> {
    let kind = match on {
        ObjectReference::Account(_) => ReferenceKind::Account,
        ObjectReference::Group(_) => ReferenceKind::Group,
        ObjectReference::Role(_) => ReferenceKind::Role,
        ObjectReference::Token(_) => ReferenceKind::Token,
        ObjectReference::Provider(_) => ReferenceKind::Provider,
        ObjectReference::Application(_) => ReferenceKind::Application,
    };
    Some((kind, accounts.name(on)?))
}

/// What whoever has no provider is told.
pub(super) fn without_provider(accounts: &Accounts) -> Option<&'static str> {
    accounts.providers().next().is_none().then_some(
        "there is no provider, so there is no directory to serve: describe one in the config, as [[provider]] with `name` \
         and `base_dn`",
    )
}

impl<'t, 's> SeedRun<'t, 's> {
    /// Nothing is done yet.
    pub(super) fn new(
        transaction: &'t mut Transaction<'s>,
        seed: &'t Seed,
        options: &'t SeedOptions,
        prepared: &'t Prepared,
    ) -> Self {
        let before = transaction.snapshot().clone();
        let number = |name: &str| maker_named(before.accounts(), name);
        let adopted_makers = options.adopted_makers().filter_map(number).collect();
        let accepted_makers = options.accepted_makers().filter_map(number).collect();
        Self {
            transaction,
            seed,
            described: Described::of(seed),
            options,
            prepared,
            before,
            names: Names::default(),
            needed: Vec::new(),
            problems: Vec::new(),
            unresolved: BTreeSet::new(),
            changed_attributes: BTreeSet::new(),
            skipped: Vec::new(),
            obstructed: Vec::new(),
            told: Vec::new(),
            presumed: BTreeMap::new(),
            begun: HashSet::new(),
            adopted_makers,
            accepted_makers,
            taken: BTreeSet::new(),
            not_taken: BTreeSet::new(),
        }
    }

    /// Does all of it, and says what became different.
    ///
    /// What stands in the config's way is only known at the end: all the rest is done anew without it, so that all of it is
    /// told at once, and nothing is told that only follows from it. Then nothing of it is kept: what would be there, the
    /// config in part, nobody has said.
    pub(super) fn run(mut self) -> Result<SeedPlan, ChangeError> {
        let mut problems;
        loop {
            self.attempt()?;
            planted::count_what_is_worth_more(&mut self)?;
            let (mut obstacles, mut taken) = adoption::obstacles(&self)?;
            filled::obstacles(&self, &mut obstacles, &mut taken)?;
            obstacles.append(&mut self.obstructed);
            obstacles.append(&mut planted::obstacles(&self)?);
            problems = self.transaction.problems();
            let mut between = HashSet::new();
            problems.retain(|problem| match adoption::obstacle(&self, problem) {
                Some(obstructed) => {
                    // Of what two have in common the first is nearest to the matter, and the rest may follow from it.
                    let pair = problem.between.map(|(one, other)| (one.min(other), one.max(other)));
                    obstacles.extend(Some(obstructed).filter(|_| between.insert(pair)));
                    false
                }
                None => true,
            });
            obstacles.retain(|obstacle| !self.is_passed_over(obstacle.kind, &obstacle.name));
            let is_all_said = self.take_all(taken);
            if obstacles.is_empty() && is_all_said {
                break;
            }
            // What else stands in the way may be no more behind what is taken over, and what does is found again.
            if obstacles.iter().any(|obstacle| self.may_begin(obstacle)) {
                obstacles.retain(|obstacle| self.may_begin(obstacle));
            }
            self.begin_anew(obstacles);
        }
        // A uidNumber that two accounts want is told once, not of each.
        let mut pairs = HashSet::new();
        problems.retain(|problem| {
            let between = problem.between.filter(|_| problem.field == "attributes");
            between.is_none_or(|(one, other)| pairs.insert((one.min(other), one.max(other))))
        });
        self.problems.extend(problems.into_iter().map(|problem| {
            let on = problem.on.or(problem.between.map(|(_, other)| other));
            let object = on.and_then(|on| name_of(self.transaction.snapshot().accounts(), on));
            SeedProblem::about(object, Some(problem.field), problem.sentence)
        }));
        if !self.problems.is_empty() {
            // A mistake of the config hides nothing that stands in its way, and may be none without that.
            let obstacles = self.skipped.iter().filter(|entry| entry.sign == Sign::Obstructed);
            self.problems.extend(obstacles.map(|entry| {
                SeedProblem::about(Some((entry.kind, entry.name.clone())), None, entry.obstacle())
            }));
            return Err(ChangeError::Seed(self.problems));
        }
        let is_obstructed = self.skipped.iter().any(|entry| entry.sign == Sign::Obstructed);
        if !is_obstructed && !self.prepared.covers(&self.needed) {
            return Err(ChangeError::Conflict);
        }
        if is_obstructed { Ok(self.obstructed_plan()) } else { self.plan() }
    }

    fn attempt(&mut self) -> Result<(), ChangeError> {
        let seed = self.seed;
        self.recreate()?;
        self.adopt()?;
        self.check_makers();
        self.check_accepted();
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
        Ok(())
    }

    /// Forgets what was done, and takes over from now on what is told that it may be, and passes over all else that is in the way.
    fn begin_anew(&mut self, obstacles: Vec<Obstacle>) {
        self.transaction.rewind();
        let mut obstructed = std::mem::take(&mut self.names.obstructed);
        for obstacle in obstacles {
            let name = (obstacle.kind, name_key(&obstacle.name));
            match obstacle.begins.clone().filter(|_| self.may_begin(&obstacle)) {
                Some(key) => drop(self.presumed.insert(name, key)),
                None => drop(obstructed.insert(name)),
            }
            self.told.push(obstacle);
        }
        self.names = Names { obstructed, ..Names::default() };
        self.needed.clear();
        self.problems.clear();
        self.unresolved.clear();
        self.changed_attributes.clear();
        self.skipped.clear();
        self.obstructed.clear();
        self.begun.clear();
    }

    /// Whether an object that is in the way may be taken over by its name, which was not presumed yet.
    fn may_begin(&self, obstacle: &Obstacle) -> bool {
        obstacle.begins.is_some() && !self.presumed.contains_key(&(obstacle.kind, name_key(&obstacle.name)))
    }

    /// The directory as it is by now.
    pub(super) fn accounts(&self) -> &Accounts {
        self.transaction.snapshot().accounts()
    }

    /// Notes that something of the seed is left as it is.
    pub(super) fn skip(&mut self, kind: ReferenceKind, name: &str, reason: String) {
        self.tell(Sign::Skipped, kind, name, reason);
    }

    /// Notes that something else stands in the way of something of the seed.
    pub(super) fn obstruct(&mut self, kind: ReferenceKind, name: &str, reason: String) {
        self.tell(Sign::Obstructed, kind, name, reason);
    }

    /// Notes something that became different and is no change of a record's content.
    pub(super) fn note(&mut self, entry: DiffEntry) {
        self.skipped.push(entry);
    }

    fn tell(&mut self, sign: Sign, kind: ReferenceKind, name: &str, reason: String) {
        self.skipped.push(diff::of_object(sign, kind, name, Some(reason)));
    }

    /// Whether an object of the seed is not made or changed: it was deleted, or something stands in its way.
    pub(super) fn is_passed_over(&self, kind: ReferenceKind, name: &str) -> bool {
        self.names.obstructed.contains(&(kind, name_key(name)))
            || self.names.skipped.contains(&(kind, name_key(name)))
    }

    /// Writes an object, and notes all that cannot be about it; what is about the whole ends it.
    pub(super) fn write<T>(
        &mut self,
        kind: ReferenceKind,
        name: &str,
        command: impl FnOnce(&mut Transaction<'_>) -> Result<T, ChangeError>,
    ) -> Result<(), ChangeError> {
        let done = self.transaction.telling_all_fields(command);
        self.collect(kind, name, done).map(drop)
    }

    /// Notes what cannot be about an object; what is about the whole ends it.
    pub(super) fn collect<T>(
        &mut self,
        kind: ReferenceKind,
        name: &str,
        result: Result<T, ChangeError>,
    ) -> Result<Option<T>, ChangeError> {
        let error = match result {
            Ok(value) => return Ok(Some(value)),
            Err(error) => error,
        };
        let problems: Vec<(Option<&'static str>, String)> = match error {
            ChangeError::Invalid(sentences) => {
                sentences.into_iter().map(|sentence| (None, sentence)).collect()
            }
            ChangeError::Field { field, message } => vec![(Some(field), message)],
            ChangeError::Fields(wrong) => {
                wrong.into_iter().map(|(field, message)| (Some(field), message)).collect()
            }
            ChangeError::Refused(sentence) => vec![(None, sentence)],
            error @ (ChangeError::Exists { .. } | ChangeError::NotFound { .. }) => {
                vec![(None, error.to_string())]
            }
            error => return Err(error),
        };
        let mut wrong = Vec::new();
        let mut obstructed = Vec::new();
        for (field, sentence) in problems {
            match adoption::obstruction(self, kind, name)? {
                Some(whose) => obstructed.push((sentence, whose)),
                None => wrong.push((field, sentence)),
            }
        }
        // What would be wrong also without what stands in the way is told first.
        if let (Some((_, whose)), true) = (obstructed.first(), wrong.is_empty()) {
            let sentences: Vec<&str> = obstructed.iter().map(|(sentence, _)| sentence.as_str()).collect();
            let reason = format!("{}: {whose}", sentences.join("; "));
            self.obstructed.push(Obstacle::alone(kind, name, reason));
        }
        for (field, sentence) in wrong {
            let attribute = self.attribute_of(kind, name, &sentence);
            self.problem(kind, name, attribute.as_deref().or(field), sentence);
        }
        Ok(None)
    }

    /// The attribute of the seed that a sentence about an object is about, as a field of the object.
    fn attribute_of(&self, kind: ReferenceKind, name: &str, sentence: &str) -> Option<String> {
        let said = match kind {
            ReferenceKind::Account => self.described.account(name)?.said.attributes.as_ref()?,
            ReferenceKind::Group => self.described.group(name)?.said.attributes.as_ref()?,
            _ => return None,
        };
        let schema = self.transaction.snapshot().schema();
        let problems = validate::attribute_problems(&format!("the {kind} `{name}`"), said, schema);
        let (description, _) = problems.into_iter().find(|(_, problem)| problem == sentence)?;
        Some(match description {
            Some(description) => format!("attributes.{description}"),
            None => "attributes".to_owned(),
        })
    }

    /// Notes what cannot be about an object.
    pub(super) fn problem(&mut self, kind: ReferenceKind, name: &str, field: Option<&str>, sentence: String) {
        // A sentence that says only what is wrong with a field does not say of what.
        let begins = beginning(name);
        let sentence = match sentence.contains(name) || sentence.contains(&begins) {
            true => sentence,
            false => format!("the {kind} `{begins}`: {sentence}"),
        };
        let problem = SeedProblem::about(Some((kind, name.to_owned())), field, sentence);
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// Credentials of accounts that get rights, made by somebody who does not hold these: that the operator has not accepted, and
    /// has accepted with all that one account has made.
    fn foreign_credentials(&self) -> [Vec<ForeignCredential>; 2] {
        let is_named = |credential: &ForeignCredential| match credential.token {
            Some(_) => self.options.accepts_token(&credential.identifier),
            None => self.options.accepts_password(&credential.identifier),
        };
        let mut found = self.transaction.foreign_credentials();
        found.retain(|credential| !is_named(credential));
        let is_accepted = |credential: &ForeignCredential| {
            credential.maker().is_some_and(|maker| self.accepted_makers.contains(&maker))
        };
        let (accepted, left) = found.into_iter().partition(is_accepted);
        [left, accepted]
    }

    /// The kind that an account of the seed has at the end.
    pub(super) fn kind_of(&self, account: &SeedAccount) -> AccountKind {
        let stored = self.before.accounts().account_named(&account.username);
        let stored = stored.filter(|account| !self.begins(account.number)).map(|account| account.kind);
        account.said.kind.or(stored).unwrap_or(AccountKind::Internal)
    }

    /// Whether an account of the seed is made now, or taken over as a new one.
    pub(super) fn is_new_account(&self, username: &str) -> bool {
        let key = name_key(username);
        self.names.accounts.contains_key(&key)
            || self.accounts().account_keyed(&key).is_some_and(|account| self.begins(account.number))
    }

    fn begins(&self, account: AccountNumber) -> bool {
        self.begun.contains(&ObjectReference::Account(account))
    }

    /// Lifts the tombstones of what is to be made again; an account's with its tokens'. Whether there are any is asked of the
    /// directory as it was: one that was lifted with its account may be named besides.
    fn recreate(&mut self) -> Result<(), ChangeError> {
        let (before, options) = (self.before.clone(), self.options);
        let accounts = before.accounts();
        for said in &options.recreate {
            let meant = Meant::recreated(said);
            let (name, key) = (meant.name, name_key(meant.name));
            let mut found = vec![
                (ReferenceKind::Account, TombstoneOf::Account(name_form(name))),
                (ReferenceKind::Token, TombstoneOf::Token(name.to_owned())),
                (ReferenceKind::Group, TombstoneOf::Group(name_form(name))),
                (ReferenceKind::Role, TombstoneOf::Role(name_form(name))),
            ];
            found.retain(|(kind, _)| meant.may_be(kind.as_str()));
            let is_there = found.iter().any(|(kind, _)| names::is_there(accounts, *kind, name));
            found.retain(|(_, of)| accounts.has_tombstone(of));
            if found.is_empty() && !is_there {
                let sentence = format!(
                    "no account, token, group or role `{said}` was deleted, so there is nothing to recreate; check the name"
                );
                self.problems.push(SeedProblem::about(None, None, sentence));
            }
            if found.len() > 1 {
                let kinds: Vec<String> = found
                    .iter()
                    .map(|(kind, _)| typed("--recreate", format_args!("{kind}:{name}")))
                    .collect();
                let sentence =
                    format!("`{said}` was the name of {} things: say {}", kinds.len(), kinds.join(", or "));
                self.problems.push(SeedProblem::about(None, None, sentence));
                continue;
            }
            for (kind, of) in found {
                self.lift(kind, name, of)?;
                if kind != ReferenceKind::Account {
                    continue;
                }
                let seed = self.seed;
                let described = seed.accounts.iter().filter(|seeded| name_key(&seeded.username) == key);
                let first = described.map(|seeded| first_identifier(&seeded.username));
                let tokens = seed.tokens.iter().filter(|token| name_key(&token.account) == key);
                let tokens = tokens.map(|token| token.identifier.clone());
                for token in first.chain([first_identifier(name)]).chain(tokens) {
                    self.lift(ReferenceKind::Token, &token, TombstoneOf::Token(token.clone()))?;
                }
            }
        }
        Ok(())
    }

    /// Lifts the tombstone of something that is to be made again, and says what goes on under another name.
    fn lift(&mut self, kind: ReferenceKind, name: &str, of: TombstoneOf) -> Result<(), ChangeError> {
        if let Some(present) = self.renamed(&of)?.filter(|present| self.goes_on(kind, present)) {
            self.skip(kind, &present, format!("it was `{name}` until it was renamed, and goes on as it is"));
        }
        self.transaction.lift_tombstone(of)
    }

    /// Whether there are the credentials that are accepted, and which are meant.
    fn check_accepted(&mut self) {
        for said in &self.options.accept_credentials {
            let accounts = self.before.accounts();
            let meant = Meant::accepted(said);
            let name = meant.name;
            if meant.maker().is_some() {
                continue;
            }
            let owner = accounts.account_named(name).filter(|owner| *owner.username == *name);
            let is_password = owner.is_some() && meant.may_be(PASSWORD);
            let is_token = accounts.token_named(name).is_some() && meant.may_be(TOKEN);
            let sentence = match (is_password, is_token) {
                (false, false) => {
                    format!(
                        "there is no token and no account `{said}`, so there is no credential to accept; check the name"
                    )
                }
                // Whoever makes a token chooses its identifier.
                (true, true) => {
                    let [token, password] = [TOKEN, PASSWORD]
                        .map(|kind| typed("--accept-credentials", format_args!("{kind}:{name}")));
                    format!("`{name}` is a token and an account: say {token}, or {password}")
                }
                _ => continue,
            };
            self.problems.push(SeedProblem::about(None, None, sentence));
        }
    }

    /// Whether there are the accounts of which all is meant that they have made.
    fn check_makers(&mut self) {
        for name in self.options.adopted_makers().chain(self.options.accepted_makers()) {
            if maker_named(self.before.accounts(), name).is_none() {
                let sentence = format!(
                    "there is no account `{name}`, so there is nothing that it has made; check the name, which is a username, or \
                     # and the number of an account that is gone"
                );
                let problem = SeedProblem::about(None, None, sentence);
                if !self.problems.contains(&problem) {
                    self.problems.push(problem);
                }
            }
        }
    }

    /// The tombstone of something that the config describes is the config's, whoever had made it: the config would bring it
    /// back, perhaps with the secret that was revoked, so it is not forgotten.
    fn keep_tombstone(&mut self, of: &TombstoneOf) -> Result<(), ChangeError> {
        let Some(tombstone) = self.accounts().tombstone(of) else { return Ok(()) };
        if tombstone.origin == Origin::Config {
            return Ok(());
        }
        let tombstone = Tombstone { origin: Origin::Config, ..Tombstone::clone(tombstone) };
        self.transaction.put_tombstone(tombstone)
    }

    /// Gives every new object its number, so that objects can name each other in any order.
    fn number_objects(&mut self) -> Result<(), ChangeError> {
        let seed = self.seed;
        let told: Vec<DiffEntry> =
            grouped(self.told.iter()).iter().filter_map(|alike| self.told_obstacle(alike)).collect();
        self.skipped.extend(told);
        for role in &seed.roles {
            let deleted = TombstoneOf::Role(name_form(&role.name));
            if self.accounts().role_named(&role.name).is_none()
                && !self.is_passed_over(ReferenceKind::Role, &role.name)
                && !self.is_deleted(ReferenceKind::Role, &role.name, &deleted)?
            {
                let number = RoleNumber::new(self.transaction.next_object()?);
                self.transaction.announce(ObjectReference::Role(number));
                self.names.roles.insert(name_key(&role.name), number);
            }
        }
        let taken = validate::numbers_taken(self.transaction.snapshot(), seed);
        for group in &seed.groups {
            self.number_group(&group.name, &taken)?;
        }
        for account in &seed.accounts {
            let key = name_key(&account.username);
            let deleted = TombstoneOf::Account(name_form(&account.username));
            if self.accounts().account_keyed(&key).is_none() {
                if self.is_passed_over(ReferenceKind::Account, &account.username)
                    || self.is_deleted(ReferenceKind::Account, &account.username, &deleted)?
                {
                    continue;
                }
                let number = AccountNumber::new(self.next_number(&taken)?);
                self.transaction.announce(ObjectReference::Account(number));
                self.names.accounts.insert(key, number);
            }
            if account.create_group == Some(true)
                && !self.is_passed_over(ReferenceKind::Account, &account.username)
            {
                self.number_group(&account.username, &taken)?;
            }
        }
        // The group of an account that is not made is not made either, unless the seed describes it.
        for account in seed.accounts.iter().filter(|account| account.create_group == Some(true)) {
            let key = name_key(&account.username);
            let is_described = self.described.group(&account.username).is_some();
            if self.is_passed_over(ReferenceKind::Account, &account.username)
                && self.accounts().group_keyed(&key).is_none()
                && !is_described
            {
                self.names.skipped.insert((ReferenceKind::Group, key));
            }
        }
        for application in &seed.applications {
            if self.accounts().application_named(&application.slug).is_none()
                && !self.is_passed_over(ReferenceKind::Application, &application.slug)
            {
                let number = ApplicationNumber::new(self.transaction.next_object()?);
                self.transaction.announce(ObjectReference::Application(number));
                self.names.applications.insert(application.slug.clone(), number);
            }
        }
        self.number_tokens()
    }

    /// Whether something of the seed was deleted and stays so, which is told.
    fn is_deleted(&mut self, kind: ReferenceKind, name: &str, of: &TombstoneOf) -> Result<bool, ChangeError> {
        if !self.accounts().has_tombstone(of) {
            return Ok(false);
        }
        // What refers to it would be made without it.
        if let Some(reason) = self.strangers_tombstone(kind, name, of) {
            self.obstructed.push(Obstacle::alone(kind, name, reason));
            return Ok(true);
        }
        let with = if kind == ReferenceKind::Account { ", with its tokens" } else { "" };
        let reason = self.tombstone_in_words("it was deleted or renamed", kind, name, of)?;
        self.skip(kind, name, format!("{reason}{with}"));
        self.names.skipped.insert((kind, name_key(name)));
        Ok(true)
    }

    /// Why something of the seed stays away, and how it is made again.
    fn tombstone_in_words(
        &self,
        why: &str,
        kind: ReferenceKind,
        name: &str,
        of: &TombstoneOf,
    ) -> Result<String, ChangeError> {
        let recreate = typed("--recreate", format_args!("{kind}:{name}"));
        Ok(match self.renamed(of)? {
            Some(present) => {
                format!(
                    "it was renamed to `{present}`, and goes on under that name; {recreate} makes another one"
                )
            }
            None => format!("{why}; {recreate} makes it again"),
        })
    }

    /// Who has done it, in words, and what to do, where a caller of the API who is no superuser had made what is gone: that was
    /// not what the config describes.
    fn strangers_tombstone(&self, kind: ReferenceKind, name: &str, of: &TombstoneOf) -> Option<String> {
        let origin = self.accounts().tombstone(of)?.origin;
        let recreate = typed("--recreate", format_args!("{kind}:{name}"));
        self.is_strangers_origin(origin).then(|| {
            format!(
                "one of this name that {} had made was deleted or renamed: {recreate} makes the one of the config, or take it \
                 out of the config",
                self.whose(origin)
            )
        })
    }

    /// What that is called now which was renamed and had this name.
    fn renamed(&self, of: &TombstoneOf) -> Result<Option<String>, ChangeError> {
        Ok(renamed(self.transaction, of)?.and_then(|on| self.before.accounts().name(on)))
    }

    /// Whether something is there at the end of which the config says nothing.
    fn goes_on(&self, kind: ReferenceKind, name: &str) -> bool {
        !self.options.prune && self.described.name(kind, name).is_none()
    }

    fn number_group(&mut self, name: &str, taken: &HashSet<u32>) -> Result<(), ChangeError> {
        let key = name_key(name);
        let deleted = TombstoneOf::Group(name_form(name));
        if self.accounts().group_keyed(&key).is_none()
            && !self.names.groups.contains_key(&key)
            && !self.is_passed_over(ReferenceKind::Group, name)
            && !self.is_deleted(ReferenceKind::Group, name, &deleted)?
        {
            let number = GroupNumber::new(self.next_number(taken)?);
            self.transaction.announce(ObjectReference::Group(number));
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
            .filter(|(identifier, _)| self.described.token(identifier).is_none())
            .collect();
        let seeded = seed.tokens.iter().map(|token| (token.identifier.clone(), token.account.as_str()));
        let seeded: Vec<_> = seeded.map(|token| (token, true)).collect();
        for ((identifier, account), is_listed) in
            seeded.into_iter().chain(first.into_iter().map(|token| (token, false)))
        {
            // The first token of a new account gets a free identifier, whoever has this one. One that is taken over may have kept
            // its first token.
            if self.stored_token(&identifier, account).is_some() {
                continue;
            }
            let of = TombstoneOf::Token(identifier.clone());
            if is_listed
                && let Some(reason) = self.strangers_tombstone(ReferenceKind::Token, &identifier, &of)
            {
                self.obstruct(ReferenceKind::Token, &identifier, reason);
                self.names.skipped.insert((ReferenceKind::Token, identifier.into_bytes()));
                continue;
            }
            if is_listed {
                self.keep_tombstone(&of)?;
            }
            if self.is_passed_over(ReferenceKind::Account, account) {
                let reason = format!("its account `{account}` was deleted or renamed");
                self.skip(ReferenceKind::Token, &identifier, reason);
            } else if self.account_number(account).is_none() {
                // That is told, and what names the token is not told beside.
            } else if is_listed && self.accounts().token_named(&identifier).is_some() {
                let reason = adoption::taken_token(self, &identifier, account)?;
                self.obstruct(ReferenceKind::Token, &identifier, reason);
            } else if is_listed && self.accounts().has_tombstone(&of) && !self.is_pruned_now(&identifier) {
                let why = "it was revoked, deleted or renamed";
                let reason = self.tombstone_in_words(why, ReferenceKind::Token, &identifier, &of)?;
                self.skip(ReferenceKind::Token, &identifier, reason);
            } else {
                let number = TokenNumber::new(self.transaction.next_object()?);
                self.transaction.announce(ObjectReference::Token(number));
                self.names.tokens.insert(identifier, number);
                continue;
            }
            self.names.skipped.insert((ReferenceKind::Token, identifier.into_bytes()));
        }
        Ok(())
    }

    /// Whether a token was there until this run, which has deleted it with its account: the config has another in its place.
    fn is_pruned_now(&self, identifier: &str) -> bool {
        let token = self.before.accounts().token_named(identifier);
        token.is_some_and(|token| self.accounts().account(token.account).is_none())
    }

    fn next_number(&mut self, taken: &HashSet<u32>) -> Result<u32, ChangeError> {
        loop {
            let number = self.transaction.next_number()?;
            if !taken.contains(&number) {
                return Ok(number);
            }
        }
    }

    /// What stands in the way, and nothing else.
    fn obstructed_plan(self) -> SeedPlan {
        let diff = self.skipped.into_iter().filter(|entry| entry.sign == Sign::Obstructed).collect();
        SeedPlan { revision: self.before.revision(), diff, ..SeedPlan::default() }
    }

    fn plan(self) -> Result<SeedPlan, ChangeError> {
        let after = self.transaction.snapshot();
        let lookup = Lookup { before: self.before.accounts(), after: after.accounts() };
        let mut memberships = self.transaction.memberships().clone();
        let mut diff = diff::custom_attributes(&self.before, after, &lookup);
        for (before, after) in self.transaction.journal() {
            let is_attribute = matches!(after.as_ref().or(before.as_ref()), Some(Record::CustomAttribute(_)));
            if is_attribute {
                continue;
            }
            let mut entry = diff::entry(before.as_ref(), after.as_ref(), &lookup);
            if let (Some(before), Some(entry)) = (before, entry.as_mut())
                && entry.sign == Sign::Deleted
            {
                entry.reason = self.made_by(before);
            }
            if let Some(Record::Group(group)) = after
                && let Some(changes) = memberships.remove(&group.number)
            {
                let field = diff::members(&changes);
                entry
                    .get_or_insert_with(|| diff::unchanged(ReferenceKind::Group, &group.name))
                    .fields
                    .push(field);
            }
            diff.extend(entry);
        }
        let is_there = |group: &GroupNumber| after.accounts().group(*group).is_some();
        for (group, changes) in memberships.into_iter().filter(|(group, _)| is_there(group)) {
            let mut entry =
                diff::unchanged(ReferenceKind::Group, &lookup.name(ObjectReference::Group(group)));
            entry.fields.push(diff::members(&changes));
            diff.push(entry);
        }
        filled::tell(&self, &mut diff)?;
        diff.sort_by_key(|entry| (entry.sign != Sign::Deleted, diff::rank(entry.kind)));
        let [credentials, accepted] = self.foreign_credentials();
        let (credentials_together, _) = ForeignCredentials::among(&credentials, after.accounts());
        diff.extend(self.accepted(&accepted)?);
        diff.extend(self.skipped);
        Ok(SeedPlan {
            revision: self.before.revision(),
            diff,
            needed: self.needed,
            unresolved: self.unresolved.into_iter().collect(),
            credentials,
            credentials_together,
            warnings: without_provider(after.accounts()).map(str::to_owned).into_iter().collect(),
            losing_access: self.transaction.lost_access(|_| true),
            shared_values: self.transaction.shared_values(|_| true),
        })
    }
}
