//! What of the records that are whole is kept, so that a directory can be made of them and nobody gets what was another's.

use std::collections::BTreeMap;

use roaring::RoaringBitmap;

use super::outcome::{Missing, SalvageRules, Salvaged};
use super::sources::{Chosen, Rank};
use crate::model::{
    Account, AccountNumber, Action, ApplicationNumber, BindingSubject, CustomAttribute, Event, Grant, Group,
    GroupNumber, InternalAccount, LdapProvider, ObjectReference, ProviderNumber, Record, Revision,
    RoleNumber, TokenNumber, TombstoneOf, Trail, TrailState, UsageOf,
};
use crate::store::Meta;
use crate::store::record::{self, Item};

/// What there is, as far as one record decides about another.
#[derive(Default)]
pub(super) struct Survey {
    /// The newest that the store says about itself.
    pub(super) meta: Option<Meta>,
    records: u64,
    there: Objects,
    named: Vec<Named>,
    deleted: Vec<(NameHash, Rank)>,
    tokens: Vec<(TokenNumber, AccountNumber)>,
    attributes: Vec<CustomAttribute>,
    providers: Vec<LdapProvider>,
}

/// Something that has a name which nothing else of its kind has.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Named {
    name: NameHash,
    what: ObjectReference,
    rank: Rank,
}

/// Stands for a kind and a name.
type NameHash = [u8; 16];

fn hash_of(kind: &str, name: &[u8]) -> NameHash {
    let mut hash = NameHash::default();
    blake3::Hasher::new().update(kind.as_bytes()).update(&[0]).update(name).finalize_xof().fill(&mut hash);
    hash
}

/// Numbers of objects, by kind.
#[derive(Default)]
struct Objects(BTreeMap<&'static str, RoaringBitmap>);

impl Objects {
    fn has(&self, what: ObjectReference) -> bool {
        self.0.get(what.kind()).is_some_and(|numbers| numbers.contains(what.number()))
    }

    fn insert(&mut self, what: ObjectReference) {
        self.0.entry(what.kind()).or_default().insert(what.number());
    }

    fn remove(&mut self, what: ObjectReference) {
        if let Some(numbers) = self.0.get_mut(what.kind()) {
            numbers.remove(what.number());
        }
    }
}

impl Survey {
    pub(super) fn is_empty(&self) -> bool {
        self.records == 0
    }

    pub(super) fn note(&mut self, chosen: &Chosen, rules: &SalvageRules<'_>) {
        self.records += 1;
        let folded = |name: &str| (rules.name_key)(name);
        let name = match &chosen.record {
            Record::Account(account) => folded(&account.username),
            Record::Group(group) => folded(&group.name),
            Record::Role(role) => folded(&role.name),
            Record::Provider(provider) => {
                self.providers.push(provider.clone());
                folded(&provider.name)
            }
            Record::Token(token) => {
                self.tokens.push((token.number, token.account));
                token.identifier.as_bytes().to_vec()
            }
            Record::Application(application) => application.slug.as_bytes().to_vec(),
            Record::CustomAttribute(attribute) => return self.attributes.push(attribute.clone()),
            Record::Tombstone(tombstone) => {
                let name = match &tombstone.of {
                    TombstoneOf::Account(name) => hash_of("account", name.as_bytes()),
                    TombstoneOf::Token(name) => hash_of("token", name.as_bytes()),
                    TombstoneOf::Group(name) => hash_of("group", name.as_bytes()),
                    TombstoneOf::Role(name) => hash_of("role", name.as_bytes()),
                };
                return self.deleted.push((name, chosen.rank));
            }
            Record::Membership(_) | Record::Usage(_) | Record::Event(_) => return,
        };
        let Some(what) = object_of(&chosen.record) else { return };
        self.there.insert(what);
        self.named.push(Named { name: hash_of(what.kind(), &name), what, rank: chosen.rank });
    }
}

/// What is kept, and what became known of it.
#[derive(Default)]
pub(super) struct Kept {
    known: Option<Meta>,
    there: Objects,
    left_out: BTreeMap<ObjectReference, String>,
    /// What is referred to and not there, with its name.
    missing: BTreeMap<ObjectReference, Option<String>>,
    /// The last name in the audit trail of what is not there; `None`: it was deleted.
    names: BTreeMap<ObjectReference, Option<String>>,
    titles_left_out: Vec<String>,
    titles_changed: Vec<String>,
    records: u64,
    sum: u128,
    has_people: bool,
    /// The highest number of accounts and groups, and of all other objects, that is mentioned anywhere.
    number: u32,
    object: u32,
    trails: BTreeMap<Trail, Events>,
    custom_octets: u64,
}

/// What there is of a trail.
struct Events {
    first: Event,
    last: Event,
    count: u64,
    /// Numbers that a restored store has passed over: the chain goes on behind them.
    passed_over: u64,
}

impl Events {
    /// How many of the numbers of a trail are known: those of events, and those that were passed over.
    fn known_numbers(&self, state: &TrailState, rules: &SalvageRules<'_>) -> u64 {
        let behind = state.next.saturating_sub(self.last.sequence).saturating_sub(1);
        let is_end = behind > 0 && state.head == (rules.digest)(&self.last);
        self.count.saturating_add(self.passed_over).saturating_add(if is_end { behind } else { 0 })
    }
}

impl Kept {
    /// Leaves out what would keep a directory from being made or give somebody what was another's.
    pub(super) fn of(survey: Survey, rules: &SalvageRules<'_>) -> Self {
        let Survey { meta, records: _, there, mut named, deleted, tokens, attributes, providers } = survey;
        let mut kept = Self { known: meta, there, ..Self::default() };
        named.sort_unstable();
        // The trace of a deletion is newer than what it is of: the deletion itself is lost.
        for (name, since) in deleted {
            let first = named.partition_point(|other| other.name < name);
            for other in named.iter().skip(first).take_while(|other| other.name == name) {
                if since > other.rank {
                    kept.leave_out(other.what, "it was deleted later");
                }
            }
        }
        named.retain(|named| kept.there.has(named.what));
        // Of two of one name the later made stays.
        for (one, next) in named.iter().zip(named.iter().skip(1)) {
            if one.name == next.name {
                kept.leave_out(one.what, "a later one has its name");
            }
        }
        for provider in providers {
            let what = ObjectReference::Provider(provider.number);
            if kept.there.has(what)
                && let Some(reason) = (rules.misfit)(&attributes, &provider)
            {
                kept.leave_out(what, &reason);
            }
        }
        for (token, account) in tokens {
            let (what, owner) = (ObjectReference::Token(token), ObjectReference::Account(account));
            if kept.there.has(what) && !kept.there.has(owner) {
                kept.missing.entry(owner).or_default();
                kept.leave_out(what, BELONGS_TO_MISSING);
            }
        }
        kept
    }

    fn leave_out(&mut self, what: ObjectReference, reason: &str) {
        self.there.remove(what);
        self.left_out.insert(what, reason.to_owned());
    }

    /// Whether a record is kept.
    pub(super) fn keeps(&mut self, record: &Record) -> bool {
        let reason = match record {
            Record::Membership(membership) => {
                let group = ObjectReference::Group(membership.group);
                let account = ObjectReference::Account(membership.account);
                let is_kept = [group, account].into_iter().all(|owner| self.there.has(owner));
                for owner in [group, account] {
                    if !self.there.has(owner) {
                        self.missing.entry(owner).or_default();
                    }
                }
                if is_kept {
                    return true;
                }
                BELONGS_TO_MISSING
            }
            // Nobody misses the last use of what is gone.
            Record::Usage(usage) => match usage.of {
                UsageOf::Token(number) => return self.there.has(ObjectReference::Token(number)),
                UsageOf::Account(number) => return self.there.has(ObjectReference::Account(number)),
            },
            _ => match object_of(record).and_then(|what| self.left_out.get(&what)) {
                Some(reason) => reason,
                None => return true,
            },
        };
        self.titles_left_out.push(format!("{}: {reason}", title_of(record)));
        false
    }

    /// Takes references to what is missing away, but for those of applications' bindings: an application without
    /// bindings admits everybody, and one whose subject is missing nobody by it. Whether there were any.
    pub(super) fn strip(&mut self, record: &mut Record) -> bool {
        let (there, missing) = (&self.there, &mut self.missing);
        let mut is_changed = false;
        let mut stays = |what: ObjectReference| {
            let is_there = there.has(what);
            if !is_there {
                missing.entry(what).or_default();
                is_changed = true;
            }
            is_there
        };
        let strip_grants = |grants: &mut Vec<Grant>, stays: &mut dyn FnMut(ObjectReference) -> bool| {
            grants.retain(|grant| grant.on.is_none_or(&mut *stays));
        };
        match record {
            Record::Account(Account { roles, grants, placements, .. }) => {
                roles.retain(|role| stays(ObjectReference::Role(*role)));
                strip_grants(grants, &mut stays);
                placements.retain(|placement| stays(ObjectReference::Provider(placement.provider)));
            }
            Record::Group(Group { parents, roles, grants, placements, .. }) => {
                parents.retain(|parent| stays(ObjectReference::Group(*parent)));
                roles.retain(|role| stays(ObjectReference::Role(*role)));
                strip_grants(grants, &mut stays);
                placements.retain(|placement| stays(ObjectReference::Provider(placement.provider)));
            }
            Record::Role(role) => strip_grants(&mut role.grants, &mut stays),
            Record::Application(application) => {
                application.provider =
                    application.provider.filter(|provider| stays(ObjectReference::Provider(*provider)));
            }
            _ => {}
        }
        if is_changed {
            self.titles_changed.push(title_of(record));
        }
        is_changed
    }

    /// Takes note of a record that is kept, as it is kept.
    pub(super) fn count(&mut self, record: &Record, items: &[Item], rules: &SalvageRules<'_>) {
        self.records += 1;
        for (key, value) in items {
            if let Ok(item) = record::verify(key, value) {
                self.sum = self.sum.wrapping_add(item.checksum);
            }
        }
        match record {
            Record::Account(account) if InternalAccount::of_number(account.number).is_none() => {
                self.has_people = true;
            }
            Record::Event(event) => self.count_event(event, record, rules),
            // These are numbered as other objects are.
            Record::CustomAttribute(attribute) => {
                self.note_number(ObjectReference::Role(RoleNumber::new(attribute.number.get())));
            }
            Record::Application(application) => {
                for binding in &application.bindings {
                    match &binding.subject {
                        BindingSubject::Account(number) => {
                            self.note_number(ObjectReference::Account(*number))
                        }
                        BindingSubject::Group(number) => self.note_number(ObjectReference::Group(*number)),
                        BindingSubject::Networks(_) | BindingSubject::Window(_) => {}
                    }
                }
            }
            _ => {}
        }
        if let Some(what) = object_of(record) {
            self.note_number(what);
        }
    }

    fn count_event(&mut self, event: &Event, record: &Record, rules: &SalvageRules<'_>) {
        if event.trail == Trail::Custom {
            self.custom_octets += record::measure(record).unwrap_or_default() as u64;
        }
        let seen = self.trails.entry(event.trail).or_insert_with(|| Events {
            first: event.clone(),
            last: event.clone(),
            count: 0,
            passed_over: 0,
        });
        let between = event.sequence.saturating_sub(seen.last.sequence).saturating_sub(1);
        if between > 0 && event.previous == (rules.digest)(&seen.last) {
            seen.passed_over = seen.passed_over.saturating_add(between);
        }
        seen.count += 1;
        seen.last = event.clone();
        let Some(what) = reference_of(event) else { return };
        self.note_number(what);
        if event.trail == Trail::Changes && !event.object_name.is_empty() && !self.there.has(what) {
            let name = (event.action != Action::ModelDeleted).then(|| event.object_name.clone());
            self.names.insert(what, name);
        }
    }

    fn note_number(&mut self, what: ObjectReference) {
        match what {
            ObjectReference::Account(account) if InternalAccount::of_number(account).is_some() => {}
            ObjectReference::Account(_) | ObjectReference::Group(_) => {
                self.number = self.number.max(what.number());
            }
            _ => self.object = self.object.max(what.number()),
        }
    }

    /// The description of what was counted; tells what is not in it.
    pub(super) fn describe(
        &mut self,
        revision: Revision,
        rules: &SalvageRules<'_>,
        salvaged: &mut Salvaged,
    ) -> Meta {
        salvaged.left_out.append(&mut self.titles_left_out);
        salvaged.changed.append(&mut self.titles_changed);
        let names = std::mem::take(&mut self.names);
        let mut missing = std::mem::take(&mut self.missing);
        // What was deleted is not missed.
        missing.extend(names.into_iter().filter(|(_, name)| name.is_some()));
        salvaged.missing = missing
            .into_iter()
            .map(|(what, name)| Missing { kind: what.kind(), number: what.number(), name })
            .collect();
        salvaged.missing.sort();

        let mut meta = self.known.unwrap_or_default();
        meta.revision = meta.revision.max(revision).max(1);
        meta.records = self.records;
        meta.sum = self.sum;
        meta.seeded |= self.has_people;
        let counters = &mut meta.counters;
        counters.next_number =
            counters.next_number.max(self.number.saturating_add(1)).saturating_add(NUMBERS_LOST);
        counters.next_object =
            counters.next_object.max(self.object.saturating_add(1)).saturating_add(NUMBERS_LOST);
        counters.custom_octets = self.custom_octets;
        for trail in Trail::ALL {
            let known = self.known.map(|meta| meta.counters.trails.of(trail));
            let events = self.trails.get(&trail);
            let state = state_of(known, events, rules);
            let lost =
                state.kept().saturating_sub(events.map_or(0, |events| events.known_numbers(&state, rules)));
            if lost > 0 {
                salvaged.events_missing.insert(trail, lost);
            }
            *counters.trails.of_mut(trail) = state;
        }
        meta
    }
}

/// The ends of a trail: as they are known, but that no event stands outside of them.
fn state_of(known: Option<TrailState>, events: Option<&Events>, rules: &SalvageRules<'_>) -> TrailState {
    let mut state = known.unwrap_or_default();
    let Some(Events { first, last, .. }) = events else { return state };
    if known.is_none() || first.sequence < state.first {
        (state.first, state.before) = (first.sequence, first.previous);
    }
    if last.sequence >= state.next {
        (state.next, state.head) = (last.sequence.saturating_add(1), (rules.digest)(last));
    }
    state
}

/// What others refer to.
const fn object_of(record: &Record) -> Option<ObjectReference> {
    Some(match record {
        Record::Provider(provider) => ObjectReference::Provider(provider.number),
        Record::Account(account) => ObjectReference::Account(account.number),
        Record::Group(group) => ObjectReference::Group(group.number),
        Record::Role(role) => ObjectReference::Role(role.number),
        Record::Token(token) => ObjectReference::Token(token.number),
        Record::Application(application) => ObjectReference::Application(application.number),
        _ => return None,
    })
}

fn reference_of(event: &Event) -> Option<ObjectReference> {
    let number = event.object_key?;
    Some(match event.object_kind.as_str() {
        "account" => ObjectReference::Account(AccountNumber::new(number)),
        "group" => ObjectReference::Group(GroupNumber::new(number)),
        "role" => ObjectReference::Role(RoleNumber::new(number)),
        "token" => ObjectReference::Token(TokenNumber::new(number)),
        "provider" => ObjectReference::Provider(ProviderNumber::new(number)),
        "application" => ObjectReference::Application(ApplicationNumber::new(number)),
        _ => return None,
    })
}

/// What an operator calls it, with its name where it has one.
fn title_of(record: &Record) -> String {
    let title = record::title(&record::name_of(&record.key()));
    match record {
        Record::Account(account) => format!("{title} ({})", account.username),
        Record::Group(group) => format!("{title} ({})", group.name),
        Record::Role(role) => format!("{title} ({})", role.name),
        Record::Token(token) => format!("{title} ({})", token.identifier),
        Record::Provider(provider) => format!("{title} ({})", provider.name),
        Record::Application(application) => format!("{title} ({})", application.slug),
        _ => title,
    }
}

/// So many numbers are passed over: objects that nothing mentions any more may have had them, and files of theirs exist.
const NUMBERS_LOST: u32 = 1_000;
const BELONGS_TO_MISSING: &str = "what it belongs to is missing";
