//! What a command works on: the directory as it will be, and the changes that lead there.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::caller::Caller;
use super::commands::foreign::{self, ForeignCredential};
use super::commands::gains::Gains;
use super::commands::known_by::{self, Claim, SharedValues};
use super::commands::lost::{self, LostAccesses};
use super::commands::whole;
use super::error::ChangeError;
use super::origins::{is_unknown, with_origin};
use super::rules::Rules;
use super::trail::RetiredEvents;
use super::viewer::Viewer;
use super::wrong_fields::WrongFields;
use crate::audit::{self, EventObject};
use crate::clock::{Look, TrustedTime};
use crate::directory::{NUMBER_MAX, RecordSource, Snapshot, unknown_attributes};
use crate::model::{
    Account, AccountNumber, Action, ApplicationNumber, AttributeNumber, Change, CustomAttribute, Event,
    EventDetail, EventDigest, FieldChange, Group, GroupNumber, Key, MadeBy, Membership, ObjectReference,
    Origin, Permission, ProviderNumber, Record, Timestamp, Token, TokenNumber, Tombstone, TombstoneOf, Trail,
    Usage, UsageOf,
};
use crate::store::{Counters, Meta, Store, StoreError, measure};

/// The work of a whole group of commands, before it is committed.
pub(super) struct Draft {
    snapshot: Snapshot,
    changes: Vec<Change>,
    counters: Counters,
    seeded: bool,
    before: Meta,
    /// Whether what is believed of the clock is to be kept, whatever else is.
    keeps_clock: bool,
    /// Where the newest change of a key stands.
    newest: HashMap<Key, usize>,
    /// About what the store writes for it.
    octets: usize,
}

impl Draft {
    pub(super) fn new(published: Arc<Snapshot>, meta: Meta) -> Self {
        Self {
            snapshot: (*published).clone(),
            changes: Vec::new(),
            counters: meta.counters,
            seeded: meta.seeded,
            before: meta,
            keeps_clock: false,
            newest: HashMap::new(),
            octets: 0,
        }
    }

    /// Whether nothing is to be committed.
    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.seeded == self.before.seeded && !self.keeps_clock
    }

    /// About how many octets the store writes for it.
    pub(super) fn octets(&self) -> usize {
        self.octets
    }

    /// What is to be committed; `None` when there is nothing.
    pub(super) fn finish(self) -> Option<(Vec<Change>, Counters, bool, Snapshot)> {
        if self.is_empty() {
            return None;
        }
        Some((self.changes, self.counters, self.seeded, self.snapshot))
    }
}

/// One command's work. What it reads is the directory with everything before it, its own changes
/// included; records that are not in memory come from the store.
pub struct Transaction<'a> {
    draft: &'a mut Draft,
    store: &'a dyn Store,
    caller: Caller,
    now: Timestamp,
    /// The same, if something may be deleted because its time is over.
    trusted: Option<TrustedTime>,
    earliest: Timestamp,
    /// To go back to when the command fails.
    start: (Snapshot, usize, Counters, bool),
    /// How many changes it has made, events not counted.
    changes: usize,
    /// Fields that cannot be, to be told together; `None`: the first ends the command.
    wrong_fields: Option<WrongFields>,
    /// Whether one event tells of all that is put: see [`Transaction::as_one_event`].
    is_one_event: bool,
    /// Where the newest change of a key stands, of this command.
    newest: HashMap<Key, usize>,
    /// Membership changes by group, with the account's name: `true` joined, `false` left.
    memberships: BTreeMap<GroupNumber, Vec<(String, bool)>>,
    /// Groups that a group joined or left.
    nested: BTreeSet<GroupNumber>,
    /// Objects that will be there at the end, so that others can name them before.
    announced: HashSet<ObjectReference>,
    rules: Rules,
    /// Records that were put or deleted, as they were before and are now, in the order of the first change.
    journal: Vec<(Option<Record>, Option<Record>)>,
    /// Where a key stands in it.
    journal_places: HashMap<Key, usize>,
    /// What was changed when it was last asked what cannot be.
    asked_at: Option<usize>,
    /// Groups whose time of change stays, whoever joins them.
    timeless: BTreeSet<GroupNumber>,
    /// Providers that are said not to be the default.
    not_default: BTreeSet<ProviderNumber>,
    /// What counts as new by what it is known by, though it was there.
    anew: HashSet<ObjectReference>,
    /// About what the store writes for this command.
    octets: usize,
}

impl<'a> Transaction<'a> {
    pub(super) fn begin(
        draft: &'a mut Draft,
        store: &'a dyn Store,
        caller: Caller,
        rules: Rules,
        look: Look,
    ) -> Self {
        let start = (draft.snapshot.clone(), draft.changes.len(), draft.counters, draft.seeded);
        Self {
            draft,
            store,
            caller,
            now: look.now,
            trusted: look.trusted,
            earliest: look.earliest,
            start,
            newest: HashMap::new(),
            memberships: BTreeMap::new(),
            nested: BTreeSet::new(),
            announced: HashSet::new(),
            rules,
            journal: Vec::new(),
            journal_places: HashMap::new(),
            asked_at: None,
            timeless: BTreeSet::new(),
            not_default: BTreeSet::new(),
            anew: HashSet::new(),
            octets: 0,
            changes: 0,
            wrong_fields: None,
            is_one_event: false,
        }
    }

    /// Carries a command out that goes on behind a field that cannot be ([`Transaction::noting`]), so that all are told. It
    /// puts nothing any more behind one.
    ///
    /// # Errors
    /// What the command says, of wrong fields all.
    pub fn telling_all_fields<T>(
        &mut self,
        command: impl FnOnce(&mut Self) -> Result<T, ChangeError>,
    ) -> Result<T, ChangeError> {
        self.wrong_fields = Some(WrongFields::of(&self.caller));
        let result = command(self);
        match self.wrong_fields.take() {
            Some(wrong) => wrong.told(result),
            None => result,
        }
    }

    /// What came of looking at a field, see [`WrongFields::noting`].
    ///
    /// # Errors
    /// It cannot be, and nobody collects that.
    pub fn noting<T>(&self, result: Result<T, ChangeError>) -> Result<Option<T>, ChangeError> {
        match &self.wrong_fields {
            Some(wrong) => wrong.noting(result),
            None => result.map(Some),
        }
    }

    /// The same of a whole object, by its fields, see [`WrongFields::note_others`].
    ///
    /// # Errors
    /// Something cannot be, and nobody collects that.
    pub(super) fn noting_all(&self, problems: Vec<(&'static str, String)>) -> Result<(), ChangeError> {
        let Some(wrong) = &self.wrong_fields else { return ChangeError::of_fields(problems) };
        wrong.note_others(problems);
        Ok(())
    }

    /// The directory as it is after all that was put so far.
    pub fn snapshot(&self) -> &Snapshot {
        &self.draft.snapshot
    }

    /// The same before the command has done anything.
    pub(super) fn before(&self) -> &Snapshot {
        &self.start.0
    }

    /// Who asks for the change.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// What who asks for the change may know of, in the directory as it is by now.
    pub fn viewer(&self) -> Viewer {
        Viewer::new(&self.caller, self.snapshot().accounts())
    }

    /// Asks for a permission that is about no object in particular.
    ///
    /// # Errors
    /// [`ChangeError::Forbidden`]
    pub fn require(&self, permission: Permission) -> Result<(), ChangeError> {
        self.caller.require(self.snapshot().accounts(), permission)
    }

    /// Asks for a permission on an object of this name.
    ///
    /// # Errors
    /// [`ChangeError::Forbidden`] to those who may view the object, [`ChangeError::NotFound`] to all others.
    pub fn require_on(
        &self,
        permission: Permission,
        on: ObjectReference,
        name: &str,
    ) -> Result<(), ChangeError> {
        self.caller.require_on(self.snapshot().accounts(), permission, on, name)
    }

    /// Whose an object is that is made now. What a superuser makes is the operator's: it stays so when who made it is a
    /// superuser no more, or gone. Who it was is in the trail.
    pub fn origin(&self) -> Origin {
        match self.caller.origin() {
            Origin::Account(_) if self.caller.is_superuser(self.snapshot().accounts()) => Origin::Operator,
            origin => origin,
        }
    }

    /// Who has made a secret that is made now.
    pub fn made_by(&self) -> MadeBy {
        self.caller.made_by(self.snapshot().accounts())
    }

    /// What objects are held to.
    pub(super) fn rules(&self) -> Rules {
        self.rules
    }

    /// Says that an object will be there when the command is done: others may name it meanwhile.
    pub(super) fn announce(&mut self, object: ObjectReference) {
        self.announced.insert(object);
    }

    /// Whether an object was announced.
    pub(super) fn is_announced(&self, object: ObjectReference) -> bool {
        self.announced.contains(&object)
    }

    /// Lets accounts have the uidNumber of another, in this command.
    pub fn share_uid_numbers(&mut self) {
        self.rules.shares_uid_numbers = true;
    }

    /// What the command has made so far that cannot be, of the rules about more than one object.
    pub(super) fn problems(&mut self) -> Vec<whole::Problem> {
        self.asked_at = Some(self.draft.changes.len());
        let Self { draft, caller, .. } = &*self;
        let (before, after) = (&self.start.0, &draft.snapshot);
        let mut found = whole::problems(before, after, self.newest.keys(), &self.journal, caller, self.rules);
        found.extend(known_by::unseen(after, &self.journal, caller));
        found
    }

    /// Notes that a provider is said not to be the default: then it is not by what follows from something else either.
    pub(super) fn say_not_default(&mut self, number: ProviderNumber) {
        self.not_default.insert(number);
    }

    /// Whether that is so.
    pub(super) fn is_said_not_default(&self, number: ProviderNumber) -> bool {
        self.not_default.contains(&number)
    }

    /// Has something count as new by all that it is known by: nobody has said yet that others may share that.
    pub(super) fn count_as_new(&mut self, on: ObjectReference) {
        self.anew.insert(on);
    }

    /// Whether it does.
    pub(super) fn counts_as_new(&self, on: ObjectReference) -> bool {
        self.anew.contains(&on)
    }

    /// The time of the change.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The same, if something may be deleted now because its time is over.
    pub(super) fn trusted(&self) -> Option<TrustedTime> {
        self.trusted
    }

    /// It is no earlier than this, however far ahead the clock may be.
    pub(super) fn earliest(&self) -> Timestamp {
        self.earliest
    }

    /// Has what is believed of the clock kept by now, though nothing else is changed.
    pub(super) fn keep_clock(&mut self) {
        self.draft.keeps_clock = true;
    }

    /// The place in the trail of changes of the event of what is put next. It never comes again.
    pub(super) fn next_event(&self) -> u64 {
        self.draft.counters.trails.changes.next
    }

    /// Whether a seed was ever applied.
    pub fn is_seeded(&self) -> bool {
        self.draft.seeded
    }

    /// Notes that a seed was applied.
    pub fn set_seeded(&mut self) {
        self.draft.seeded = true;
    }

    /// How many changes this command has made so far, events not counted.
    pub fn change_count(&self) -> usize {
        self.changes
    }

    /// The whole record of an account, as it will be.
    pub fn account(&self, number: AccountNumber) -> Result<Option<Account>, ChangeError> {
        match self.record(&Key::Account(number))? {
            Some(Record::Account(account)) => Ok(Some(account)),
            _ => Ok(None),
        }
    }

    /// The whole record of a group, as it will be.
    pub fn group(&self, number: GroupNumber) -> Result<Option<Group>, ChangeError> {
        match self.record(&Key::Group(number))? {
            Some(Record::Group(group)) => Ok(Some(group)),
            _ => Ok(None),
        }
    }

    /// A number for a new account or group: one whose derived uidNumber and gidNumber are free in
    /// every provider.
    pub fn next_number(&mut self) -> Result<u32, ChangeError> {
        loop {
            let number = self.draft.counters.next_number;
            if number > NUMBER_MAX {
                return Err(ChangeError::Refused(
                    "there are no numbers left for another account or group".to_owned(),
                ));
            }
            self.draft.counters.next_number += 1;
            if self.draft.snapshot.is_number_free(number) {
                return Ok(number);
            }
        }
    }

    /// Takes this number for a new account or group, and all below it; `false` when it was, or may have been, given
    /// away before.
    pub fn take_number(&mut self, number: u32) -> bool {
        let counters = &mut self.draft.counters;
        let is_new = number >= counters.next_number && number <= NUMBER_MAX;
        if !is_new || !self.draft.snapshot.is_number_free(number) {
            return false;
        }
        counters.next_number = number + 1;
        true
    }

    /// A number for a new role, token, application, provider or custom attribute type.
    pub fn next_object(&mut self) -> Result<u32, ChangeError> {
        let number = self.draft.counters.next_object;
        self.draft.counters.next_object = number
            .checked_add(1)
            .ok_or_else(|| ChangeError::Refused("there are no numbers left for another object".to_owned()))?;
        Ok(number)
    }

    /// About how many octets the store writes for this command so far.
    pub fn octets(&self) -> usize {
        self.octets
    }

    /// Whether the store takes a record and the event of its creation, however much there is besides.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`].
    pub fn check_size(&self, record: &Record) -> Result<(), ChangeError> {
        measured(record)?;
        if let Some(event) = self.event_of(None, Some(record)) {
            // Its place in the chain takes the same room whichever it is.
            measured(&Record::Event(event))?;
        }
        Ok(())
    }

    /// Hands every account and group, as it will be, to `visit`.
    pub fn objects(&self, visit: &mut dyn FnMut(Record)) -> Result<(), ChangeError> {
        let overlay = Overlay { store: self.store, changes: &self.draft.changes };
        overlay.objects(visit).map_err(ChangeError::invalid)
    }

    /// Puts a record in place of the one with the same key, with its event. Attribute types that nobody has
    /// declared, and that it is the first to use, are put before it.
    pub fn put(&mut self, record: Record) -> Result<(), ChangeError> {
        if self.wrong_fields.as_ref().is_some_and(|wrong| !wrong.is_empty()) {
            // They are told by who collects them.
            return Err(ChangeError::Fields(Vec::new()));
        }
        for name in unknown_attributes(self.snapshot().schema(), &record) {
            let field = if matches!(record, Record::Provider(_)) { "base_dn" } else { "attributes" };
            if let Err(error) = self.snapshot().schema().check_new_name(&name) {
                return Err(ChangeError::field(field, error.to_string()));
            }
            // The table of types is public, never shrinks by itself, and has an end.
            if !self.caller.is_superuser(self.snapshot().accounts()) {
                return Err(ChangeError::field(
                    field,
                    format!(
                        "there is no attribute type `{name}`: let the operator declare it, with [[attribute]]"
                    ),
                ));
            }
            let number = AttributeNumber::new(self.next_object()?);
            self.put(Record::CustomAttribute(CustomAttribute::of_name(number, name)))?;
        }
        let key = record.key();
        if let Record::Membership(membership) = &record {
            self.note_member(membership.group, membership.account, true);
            return self.apply(Change::Put(record));
        }
        if !audit::is_told(&key) {
            return self.apply(Change::Put(record));
        }
        let before = self.record(&key)?;
        if before.as_ref() == Some(&record) {
            return Ok(());
        }
        self.note_parents(before.as_ref(), Some(&record));
        self.write_journal(key, before.as_ref(), Some(&record));
        let event = self.event_of(before.as_ref(), Some(&record));
        self.apply(Change::Put(record))?;
        self.tell(event)
    }

    /// Deletes a record, with its event; one that is not there is no error.
    pub fn delete(&mut self, key: Key) -> Result<(), ChangeError> {
        if let Key::Membership(group, account) = &key {
            self.note_member(*group, *account, false);
            return self.apply(Change::Delete(key));
        }
        if !audit::is_told(&key) {
            return self.apply(Change::Delete(key));
        }
        let Some(before) = self.record(&key)? else { return Ok(()) };
        if let Key::Group(number) = &key {
            self.memberships.remove(number);
        }
        self.note_parents(Some(&before), None);
        self.write_journal(key.clone(), Some(&before), None);
        let event = self.event_of(Some(&before), None);
        let used = match &key {
            Key::Token(number) => Some(UsageOf::Token(*number)),
            Key::Account(number) => Some(UsageOf::Account(*number)),
            _ => None,
        };
        self.apply(Change::Delete(key))?;
        if let Some(of) = used.filter(|of| self.snapshot().accounts().usage(*of).is_some()) {
            self.apply(Change::Delete(Key::Usage(of)))?;
        }
        self.tell(event)
    }

    /// Says whose an object is, of which that was not kept. It is no change that anybody makes, and has no event.
    pub(super) fn set_origin(&mut self, key: &Key, origin: Origin) -> Result<(), ChangeError> {
        match self.record(key)? {
            Some(record) if is_unknown(&record) => self.apply(Change::Put(with_origin(record, origin))),
            Some(_) | None => Ok(()),
        }
    }

    /// The same of the first of the tokens that took each other's place up to this one.
    pub(super) fn set_beginning(
        &mut self,
        number: TokenNumber,
        first: TokenNumber,
    ) -> Result<(), ChangeError> {
        match self.record(&Key::Token(number))? {
            Some(Record::Token(token)) if token.began_as.is_none() => {
                self.apply(Change::Put(Record::Token(Token { began_as: Some(first), ..token })))
            }
            _ => Ok(()),
        }
    }

    /// Takes an object over: it is the caller's from now on.
    pub(super) fn adopt(&mut self, key: &Key) -> Result<(), ChangeError> {
        let origin = self.origin();
        match self.record(key)? {
            Some(record) => self.apply(Change::Put(with_origin(record, origin))),
            None => Ok(()),
        }
    }

    /// A record, as it will be.
    pub(super) fn stored(&self, key: &Key) -> Result<Option<Record>, ChangeError> {
        self.record(key)
    }

    /// Leaves the time at which members of a group changed as it is, though this command changes them: it
    /// brings back what was so at that time.
    pub fn keep_time_of_members(&mut self, group: GroupNumber) {
        self.timeless.insert(group);
    }

    /// Puts or takes an account into or out of a group; says whether that changed anything.
    pub fn set_member(
        &mut self,
        group: GroupNumber,
        account: AccountNumber,
        is_member: bool,
    ) -> Result<bool, ChangeError> {
        let state = self.snapshot().accounts().account(account);
        if state.is_some_and(|state| state.groups.binary_search(&group).is_ok()) == is_member {
            return Ok(false);
        }
        if is_member {
            self.put(Record::Membership(Membership { group, account }))?;
        } else {
            self.delete(Key::Membership(group, account))?;
        }
        Ok(true)
    }

    /// Adds an event beside those of the changes: what they were for, or what changes nothing.
    ///
    /// # Errors
    /// The store would not take it.
    pub fn note(&mut self, action: Action, object: EventObject) -> Result<(), ChangeError> {
        self.note_with(action, object, Vec::new()).map(drop)
    }

    /// The same, with what else is known of it.
    pub(super) fn note_with(
        &mut self,
        action: Action,
        object: EventObject,
        details: Vec<EventDetail>,
    ) -> Result<Event, ChangeError> {
        let event = Event { details, ..self.event(action, object, Vec::new()) };
        self.tell(Some(event.clone()))?;
        // It has got its place in the trail meanwhile.
        match self.draft.changes.last() {
            Some(Change::Put(Record::Event(told))) => Ok(told.clone()),
            _ => Ok(event),
        }
    }

    /// Carries out what one event tells of, which says what became of `before` when `after` took its place: the records that
    /// are put or deleted have none of their own.
    pub(super) fn as_one_event(
        &mut self,
        action: Action,
        (before, after): (&Record, &Record),
        details: Vec<EventDetail>,
        command: impl FnOnce(&mut Self) -> Result<(), ChangeError>,
    ) -> Result<(), ChangeError> {
        self.is_one_event = true;
        let done = command(self);
        self.is_one_event = false;
        done?;
        let changes = audit::describe(Some(before), Some(after)).map(|(_, changes)| changes);
        let event = self.event(action, EventObject::of(after), changes.unwrap_or_default());
        self.tell(Some(Event { details, ..event }))
    }

    /// Adds an event of something that somebody else did than who makes this change.
    pub(super) fn note_event(&mut self, event: Event) -> Result<(), ChangeError> {
        self.tell(Some(event))
    }

    /// What was changed in this second, as far as the trail tells, with what this transaction has done. The trail is in the
    /// order of time, so where the second begins is found in few steps; if the clock was put back, nothing may be.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(super) fn changes_at(&self, time: Timestamp) -> Result<Vec<Event>, ChangeError> {
        let read = |after: u64, limit| {
            let events = self.store.events(Trail::Changes, after, limit);
            events.map_err(|error| ChangeError::Store(Arc::new(error)))
        };
        let state = self.draft.counters.trails.changes;
        let (mut low, mut high) = (state.first, state.next);
        while low < high {
            let middle = low.midpoint(high);
            match read(middle.saturating_sub(1), 1)?.first() {
                Some(event) if event.time < time => low = event.sequence.saturating_add(1),
                Some(_) | None => high = middle,
            }
        }
        let (mut found, mut after) = (Vec::new(), low.saturating_sub(1));
        loop {
            let events = read(after, EVENTS_READ_TOGETHER)?;
            let count = events.len();
            after = events.last().map_or(after, |event| event.sequence);
            let of_it = events.into_iter().take_while(|event| event.time == time);
            let taken = found.len();
            found.extend(of_it);
            if found.len() - taken < EVENTS_READ_TOGETHER || count < EVENTS_READ_TOGETHER {
                break;
            }
        }
        found.extend(self.draft.changes.iter().filter_map(|change| match change {
            Change::Put(Record::Event(event)) if event.trail == Trail::Changes && event.time == time => {
                Some(event.clone())
            }
            _ => None,
        }));
        Ok(found)
    }

    /// Removes events from the fronts of the trails that are older than `retention`, if the clock is believed, or, of all together, more than
    /// `events_max`, and custom events that have more octets together than `custom_octets_max`, as many as fit into one
    /// change, and holds the first of each that is kept to what was before it.
    pub(super) fn retire_events(
        &mut self,
        retention: Duration,
        events_max: u64,
        custom_octets_max: u64,
    ) -> Result<RetiredEvents, ChangeError> {
        let mut surplus = self.draft.counters.trails.surplus(events_max, EVENTS_RETIRED_TOGETHER);
        let mut retired = RetiredEvents::default();
        for trail in Trail::ALL {
            let too_many = surplus.remove(&trail).unwrap_or_default();
            // What is too much in those to come goes first.
            let reserved: u64 = surplus.values().sum();
            let at_most = EVENTS_RETIRED_TOGETHER.saturating_sub(retired.count()).saturating_sub(reserved);
            let octets_max = if trail == Trail::Custom { custom_octets_max } else { u64::MAX };
            self.retire_front(trail, retention, (too_many, octets_max), at_most, &mut retired)?;
        }
        retired.is_more = retired.count() >= EVENTS_RETIRED_TOGETHER;
        Ok(retired)
    }

    /// The same of one trail, of which so many are too many and so many octets are kept; no more than `at_most`.
    fn retire_front(
        &mut self,
        trail: Trail,
        retention: Duration,
        (too_many, octets_max): (u64, u64),
        at_most: u64,
        retired: &mut RetiredEvents,
    ) -> Result<(), ChangeError> {
        let mut state = self.draft.counters.trails.of(trail);
        let after = state.first.saturating_sub(1);
        let read = |limit| {
            let events = self.store.events(trail, after, limit);
            events.map_err(|error| ChangeError::Store(Arc::new(error)))
        };
        let (now, trusted) = (self.now, self.trusted.map(TrustedTime::get));
        let is_too_old = |event: &Event| trusted.is_some_and(|trusted| event.time.after(retention) < trusted);
        // When the clock was wrong: nobody knows how old it is, but no younger than what came after it.
        let is_of_the_future = |event: &Event| event.time > now;
        // Mostly there is nothing to do.
        let mut kept_octets = if trail == Trail::Custom { self.draft.counters.custom_octets } else { 0 };
        if state.kept() == 0
            || too_many == 0
                && kept_octets <= octets_max
                && !read(1)?.iter().any(|event| is_too_old(event) || is_of_the_future(event))
        {
            return Ok(());
        }
        let events = read(usize::try_from(at_most).unwrap_or(usize::MAX))?;
        let known = events.iter().take_while(|event| is_too_old(event) || is_of_the_future(event));
        let old = known.enumerate().filter(|(_, event)| is_too_old(event)).map(|(place, _)| place + 1);
        let old = old.last().unwrap_or_default();
        let keep = state.kept().saturating_sub(too_many);
        for (place, event) in events.into_iter().enumerate() {
            if state.kept() > keep {
                retired.too_many += 1;
            } else if place < old {
                retired.too_old += 1;
            } else if kept_octets > octets_max {
                retired.too_large += 1;
            } else {
                break;
            }
            // What was restored goes on behind the numbers of what it has replaced.
            if event.sequence > state.first && event.previous != state.before {
                let (first, last) = (state.first, event.sequence - 1);
                tracing::error!(
                    trail = trail.as_str(),
                    first,
                    last,
                    "events are missing from the audit trail: `bindery event verify`"
                );
            }
            state.first = event.sequence.saturating_add(1);
            state.before = audit::digest(&event);
            self.draft.changes.push(Change::Delete(Key::Event(event.place())));
            if trail == Trail::Custom {
                kept_octets = kept_octets.saturating_sub(measured(&Record::Event(event))? as u64);
            }
        }
        if trail == Trail::Custom {
            // Events of an earlier version may have been counted otherwise.
            self.draft.counters.custom_octets = if state.kept() == 0 { 0 } else { kept_octets };
        }
        *self.draft.counters.trails.of_mut(trail) = state;
        Ok(())
    }

    /// Adds uses of a credential to what is known of its last one; a credential that is gone has none.
    pub(super) fn note_use(&mut self, usage: Usage) -> Result<(), ChangeError> {
        let accounts = self.snapshot().accounts();
        let is_there = match usage.of {
            UsageOf::Token(number) => accounts.token(number).is_some(),
            UsageOf::Account(number) => accounts.account(number).is_some(),
        };
        if !is_there {
            return Ok(());
        }
        let usage = match accounts.usage(usage.of) {
            Some(known) => {
                let mut known = Usage::clone(known);
                known.add_at(&usage, self.now);
                known
            }
            None => usage,
        };
        self.apply(Change::Put(Record::Usage(usage)))
    }

    /// Notes that something of this name was deleted.
    pub(super) fn put_tombstone(&mut self, tombstone: Tombstone) -> Result<(), ChangeError> {
        self.apply(Change::Put(Record::Tombstone(tombstone)))
    }

    /// Forgets that something of this name was deleted.
    pub fn lift_tombstone(&mut self, of: TombstoneOf) -> Result<(), ChangeError> {
        if self.snapshot().accounts().has_tombstone(&of) {
            self.apply(Change::Delete(Key::Tombstone(of)))?;
        }
        Ok(())
    }

    /// What became of each record that has events, before and after, in the order of the first change.
    pub(super) fn journal(&self) -> &[(Option<Record>, Option<Record>)] {
        &self.journal
    }

    /// Who joined (`true`) and left which group.
    pub(super) fn memberships(&self) -> &BTreeMap<GroupNumber, Vec<(String, bool)>> {
        &self.memberships
    }

    /// Forgets all that the command has done so far, and lets it begin anew.
    pub(super) fn rewind(&mut self) {
        let (snapshot, changes, counters, seeded) = &self.start;
        self.draft.snapshot = snapshot.clone();
        self.draft.changes.truncate(*changes);
        self.draft.counters = *counters;
        self.draft.seeded = *seeded;
        self.newest.clear();
        self.memberships.clear();
        self.nested.clear();
        self.announced.clear();
        self.journal.clear();
        self.journal_places.clear();
        self.asked_at = None;
        self.timeless.clear();
        self.not_default.clear();
        self.anew.clear();
        self.octets = 0;
        self.changes = 0;
    }

    /// Credentials that somebody else has made, of accounts to which the command gives rights that their makers do not hold:
    /// whoever gives them is told.
    pub fn foreign_credentials(&self) -> Vec<ForeignCredential> {
        foreign::credentials(&self.gains())
    }

    /// Who gains what by the command, so far.
    pub(super) fn gains(&self) -> Gains<'_> {
        Gains::of(self.start.0.accounts(), self.draft.snapshot.accounts(), self.newest.keys())
    }

    /// Active accounts that the command shuts out of providers by the applications that it binds, or puts before them, as far as
    /// the objects may be named.
    pub fn lost_access(&self, names: impl Fn(ObjectReference) -> bool) -> LostAccesses {
        let changed: BTreeSet<ApplicationNumber> = self.newest.keys().filter_map(application_of).collect();
        lost::access(&self.start.0, &self.draft.snapshot, changed, names)
    }

    /// What the command makes known by what something else is known by.
    pub(super) fn claims(&self) -> Vec<Claim> {
        known_by::claims(&self.start.0, &self.draft.snapshot, self.newest.keys(), &self.anew)
    }

    /// What these are known by that something else is known by, as if they were new.
    pub(super) fn claims_of(&self, these: &HashSet<ObjectReference>) -> Vec<Claim> {
        known_by::claims(&self.start.0, &self.draft.snapshot, std::iter::empty(), these)
    }

    /// What of it whoever makes the change is told, as far as the objects may be named.
    pub fn shared_values(&self, names: impl Fn(ObjectReference) -> bool) -> SharedValues {
        self.shared_by(self.claims(), names)
    }

    /// The same of claims that were asked for already.
    pub(super) fn shared_by(
        &self,
        claims: Vec<Claim>,
        names: impl Fn(ObjectReference) -> bool,
    ) -> SharedValues {
        let is_import = self.origin() == Origin::Import;
        known_by::told(self.snapshot().accounts(), claims, is_import, names)
    }

    /// The names of accounts that had a password, and have none after the command.
    pub fn dropped_passwords(&self) -> Vec<String> {
        let dropped = self.journal.iter().filter_map(|(before, after)| match (before, after) {
            (Some(Record::Account(before)), Some(Record::Account(after)))
                if before.password.is_some() && after.password.is_none() =>
            {
                Some(after.username.clone())
            }
            _ => None,
        });
        dropped.collect()
    }

    /// An event for each of them.
    fn tell_foreign_credentials(&mut self) -> Result<(), ChangeError> {
        // Who was told of so many looks after the others too; an application that admits thousands would fill the trail.
        for credential in self.foreign_credentials().into_iter().take(FOREIGN_CREDENTIALS_TOLD_MAX) {
            let object = match self.account(credential.number)? {
                Some(account) => EventObject::of(&Record::Account(account)),
                None => continue,
            };
            let detail =
                |name: &str, value: String| EventDetail { name: name.to_owned(), value: value.to_owned() };
            let reason =
                "an account was given rights, or admitted, with a credential made by somebody who is not";
            let details = vec![
                detail("reason", reason.to_owned()),
                detail("credential", credential.identifier),
                detail("made_by", credential.made_by.join(", ")),
            ];
            self.note_with(Action::SuspiciousRequest, object, details)?;
        }
        Ok(())
    }

    /// Adds what is only known at the end of a command: the events of memberships, and the times at which
    /// members changed. No change is kept without its event.
    pub(super) fn complete(&mut self) -> Result<(), ChangeError> {
        if self.asked_at != Some(self.draft.changes.len()) {
            let problems = self.problems();
            whole::refuse(problems)?;
        }
        // What was announced and does not come would leave others with a name of nothing.
        if self.announced.iter().any(|object| !self.snapshot().accounts().has(*object)) {
            return Err(ChangeError::Conflict);
        }
        self.tell_foreign_credentials()?;
        self.tell_memberships()?;
        for group in std::mem::take(&mut self.nested) {
            self.touch_members(group)?;
        }
        Ok(())
    }

    /// Keeps the work for the commit.
    pub(super) fn keep(self) {
        self.draft.newest.extend(self.newest);
        self.draft.octets = self.draft.octets.saturating_add(self.octets);
    }

    /// Forgets the work.
    pub(super) fn abandon(self) {
        let (snapshot, changes, counters, seeded) = self.start;
        self.draft.snapshot = snapshot;
        self.draft.changes.truncate(changes);
        // Numbers that were given away are not given away again: nobody else has seen them.
        self.draft.counters = counters;
        self.draft.seeded = seeded;
    }

    fn record(&self, key: &Key) -> Result<Option<Record>, ChangeError> {
        let newest = self.newest.get(key).or_else(|| self.draft.newest.get(key));
        match newest.and_then(|place| self.draft.changes.get(*place)) {
            Some(Change::Put(record)) => Ok(Some(record.clone())),
            Some(Change::Delete(_)) => Ok(None),
            None => self.store.get(key).map_err(|error| ChangeError::Store(Arc::new(error))),
        }
    }

    fn apply(&mut self, change: Change) -> Result<(), ChangeError> {
        self.count(&change)?;
        let Draft { snapshot, changes, .. } = &mut *self.draft;
        snapshot
            .apply_change(&change, &Overlay { store: self.store, changes })
            .map_err(ChangeError::invalid)?;
        let key = match &change {
            Change::Put(record) => record.key(),
            Change::Delete(key) => key.clone(),
        };
        if matches!(key, Key::CustomAttribute(_)) {
            // Whoever keeps a copy of it reads it anew when this has become later, be it in one second.
            let next = self.start.0.schema_since().after(Duration::from_secs(1));
            snapshot.set_schema_since(self.now.max(next));
        }
        self.newest.insert(key, changes.len());
        changes.push(change);
        self.changes += 1;
        Ok(())
    }

    /// Whether the store takes the change beside the others of this command: asked here, so that a command
    /// fails by itself and not with all that wait with it.
    fn count(&mut self, change: &Change) -> Result<(), ChangeError> {
        let Change::Put(record) = change else { return Ok(()) };
        let octets = self.octets.saturating_add(measured(record)?);
        if octets > COMMAND_OCTETS_MAX {
            let what = "this change as a whole".to_owned();
            let error = StoreError::TooLarge { what, octets, limit: COMMAND_OCTETS_MAX };
            return Err(ChangeError::Store(Arc::new(error)));
        }
        self.octets = octets;
        Ok(())
    }

    fn write_journal(&mut self, key: Key, before: Option<&Record>, after: Option<&Record>) {
        if let Some((_, newest)) = self.journal_places.get(&key).and_then(|at| self.journal.get_mut(*at)) {
            *newest = after.cloned();
            return;
        }
        self.journal_places.insert(key, self.journal.len());
        self.journal.push((before.cloned(), after.cloned()));
    }

    /// The account's name is asked for now: at the end it may be gone.
    fn note_member(&mut self, group: GroupNumber, account: AccountNumber, joined: bool) {
        let state = self.snapshot().accounts().account(account);
        let name = state.map_or_else(|| account.to_string(), |account| account.username.to_string());
        self.memberships.entry(group).or_default().push((name, joined));
    }

    /// A group that another joins or leaves has other members than before.
    fn note_parents(&mut self, before: Option<&Record>, after: Option<&Record>) {
        let parents = |record: Option<&Record>| match record {
            Some(Record::Group(group)) => group.parents.iter().copied().collect::<BTreeSet<_>>(),
            _ => BTreeSet::new(),
        };
        self.nested.extend(parents(before).symmetric_difference(&parents(after)));
    }

    fn event_of(&self, before: Option<&Record>, after: Option<&Record>) -> Option<Event> {
        if self.is_one_event {
            return None;
        }
        let object = EventObject::of(after.or(before)?);
        let (action, changes) = audit::describe(before, after)?;
        Some(self.event(action, object, changes))
    }

    /// One event for each group whose members changed, and the group's new time of change.
    fn tell_memberships(&mut self) -> Result<(), ChangeError> {
        for (group, changes) in std::mem::take(&mut self.memberships) {
            let Some(record) = self.group(group)? else { continue };
            let list = |joined: bool| {
                let names: Vec<&str> = changes
                    .iter()
                    .filter(|(_, other)| *other == joined)
                    .map(|(name, _)| name.as_str())
                    .collect();
                match names.len() {
                    0 => None,
                    1..=NAMES_MAX => Some(names.join(", ")),
                    many => Some(format!("{many} accounts")),
                }
            };
            let change = FieldChange { field: "members".to_owned(), before: list(false), after: list(true) };
            let object = EventObject::of(&Record::Group(record));
            let event = self.event(Action::ModelUpdated, object, vec![change]);
            self.tell(Some(event))?;
            self.touch_members(group)?;
        }
        Ok(())
    }

    /// Notes that the members of a group changed now. It has no event of its own.
    fn touch_members(&mut self, group: GroupNumber) -> Result<(), ChangeError> {
        if self.timeless.contains(&group) {
            return Ok(());
        }
        let Some(mut record) = self.group(group)? else { return Ok(()) };
        if record.members_modified != self.now {
            record.members_modified = self.now;
            self.apply(Change::Put(Record::Group(record)))?;
        }
        Ok(())
    }

    fn event(&self, action: Action, object: EventObject, changes: Vec<FieldChange>) -> Event {
        Event {
            trail: Trail::of(action),
            // It gets its place when it is told.
            sequence: 0,
            previous: EventDigest::NONE,
            uuid: Uuid::new_v4(),
            time: self.now,
            since: None,
            count: 1,
            action,
            actor: self.caller.actor().clone(),
            application: None,
            object_kind: object.kind,
            object_name: object.name,
            object_key: object.key,
            object_uuid: object.uuid,
            changes,
            details: Vec::new(),
        }
    }

    fn tell(&mut self, event: Option<Event>) -> Result<(), ChangeError> {
        let Some(mut event) = event else { return Ok(()) };
        // The counters go back with a command that fails, and the chain with them.
        let trail = event.trail;
        let mut state = self.draft.counters.trails.of(trail);
        audit::append(&mut state, &mut event);
        let change = Change::Put(Record::Event(event));
        let before = self.octets;
        self.count(&change)?;
        if trail == Trail::Custom {
            let octets = self.octets.saturating_sub(before) as u64;
            let counters = &mut self.draft.counters;
            counters.custom_octets = counters.custom_octets.saturating_add(octets);
        }
        *self.draft.counters.trails.of_mut(trail) = state;
        self.draft.changes.push(change);
        Ok(())
    }
}

fn application_of(key: &Key) -> Option<ApplicationNumber> {
    match key {
        Key::Application(number) => Some(*number),
        _ => None,
    }
}

fn measured(record: &Record) -> Result<usize, ChangeError> {
    measure(record).map_err(|error| ChangeError::Store(Arc::new(error)))
}

/// A name in its RFC 4518 caseIgnore form, as text.
pub(crate) fn name_form(name: &str) -> String {
    String::from_utf8_lossy(&crate::directory::name_key(name)).into_owned()
}

/// The records of the store with those on top that are not committed yet.
struct Overlay<'a> {
    store: &'a dyn Store,
    changes: &'a [Change],
}

impl RecordSource for Overlay<'_> {
    fn objects(&self, visit: &mut dyn FnMut(Record)) -> Result<(), String> {
        let mut pending: BTreeMap<Key, Option<&Record>> = BTreeMap::new();
        for change in self.changes {
            match change {
                Change::Put(record @ (Record::Account(_) | Record::Group(_))) => {
                    pending.insert(record.key(), Some(record));
                }
                Change::Delete(key @ (Key::Account(_) | Key::Group(_))) => {
                    pending.insert(key.clone(), None);
                }
                _ => {}
            }
        }
        let loaded: Result<Meta, StoreError> = self.store.load(&mut |record| {
            if matches!(record, Record::Account(_) | Record::Group(_)) && !pending.contains_key(&record.key())
            {
                visit(record);
            }
        });
        loaded.map_err(|error| error.to_string())?;
        pending.into_values().flatten().for_each(|record| visit(record.clone()));
        Ok(())
    }
}

/// Events that are read at a time.
/// No limit of the config: all that are asked for are read.
const EVENTS_READ_TOGETHER: usize = 1_000;
/// What the store writes for one command at most; an import stays far below.
/// No limit of the config: it follows from what the store takes.
pub(super) const COMMAND_OCTETS_MAX: usize = 192 * 1024 * 1024;
/// More names than these are only counted in an event.
/// No limit of the config: a part of the stored event.
const NAMES_MAX: usize = 100;
/// Events about credentials of one change.
/// No limit of the config: it keeps one change from pushing out what others have done.
const FOREIGN_CREDENTIALS_TOLD_MAX: usize = 100;
/// The writer is not held up for longer than these take.
const EVENTS_RETIRED_TOGETHER: u64 = 1_000;
