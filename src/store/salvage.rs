//! What is sound in the files of a damaged store, as a backup of which `restore` makes a store that starts.
//!
//! Three sources are read: the checkpoint and the batches of the journal as far as their blocks and entries are whole, and
//! the database from a copy of its files, from both ends until it errs. Of each record the newest whole version counts:
//! a batch tells of which revision it is, the database and the checkpoint are of that which their description says. Where
//! every batch up to the database's revision is there, what the journal says is exact, and the database, which may have
//! lost a page, comes second.
//!
//! What refers to something that is gone is left out or loses the reference, so that no new object of the same number gets
//! it; for the same reason numbers are given away from some way behind the highest that is mentioned anywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use super::archive::{self, ArchiveWriter};
use super::commit::Writes;
use super::disk;
use super::error::StoreError;
use super::lock::Lock;
use super::record::{self, Fault, Item};
use super::verify::{Assembler, Verifier};
use super::{Meta, ledger};
use crate::model::{
    Account, AccountNumber, Action, ApplicationNumber, BindingSubject, CustomAttribute, Event, EventDigest,
    Grant, Group, GroupNumber, InternalAccount, Key, LdapProvider, ObjectReference, ProviderNumber, Record,
    Revision, RoleNumber, TokenNumber, TombstoneOf, Trail, TrailState, UsageOf,
};

/// What the store cannot decide by itself.
pub struct SalvageRules<'a> {
    /// The digest of an event, by which the one behind it is held to it.
    pub digest: &'a dyn Fn(&Event) -> EventDigest,
    /// Why a provider makes no directory with these attribute types; `None`: it does.
    pub misfit: &'a dyn Fn(&[CustomAttribute], &LdapProvider) -> Option<String>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Salvaged {
    /// Of each of the three sources, what could be read.
    pub sources: Vec<String>,
    /// What is known to have been there and is not, by kind, number and name.
    pub missing: Vec<Missing>,
    /// What is there and was left out, with the reason.
    pub left_out: Vec<String>,
    /// What lost a reference to something that is missing.
    pub changed: Vec<String>,
    /// Of which only an earlier version was whole.
    pub earlier: Vec<String>,
    /// How many events of each trail are missing.
    pub events_missing: BTreeMap<Trail, u64>,
    /// How many records the newest description counts; `None`: no description was found.
    pub records_expected: Option<u64>,
    /// How many there are now.
    pub records: u64,
    /// The newest revision of which anything was found.
    pub revision: Revision,
}

/// An object that is gone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    /// What it is: `account`, `token`.
    pub kind: &'static str,
    pub number: u32,
    /// Its last name in the audit trail.
    pub name: Option<String>,
}

/// Reads the files in a data directory without changing them, and writes what is sound as an archive. The copy of the
/// database is made in `scratch`, and removed.
///
/// # Errors
/// A process works on the store, a newer version wrote it, nothing at all was found, or the system refuses something.
pub fn salvage(
    directory: &Path,
    scratch: &Path,
    rules: &SalvageRules<'_>,
    out: &mut dyn Write,
) -> Result<Salvaged, StoreError> {
    let _lock = match Lock::take(directory) {
        // A disk that nobody may write to is read all the same.
        Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::ReadOnlyFilesystem => None,
        lock => Some(lock?),
    };
    let mut salvaged = Salvaged::default();
    let mut found = Found::default();
    let batches = read_batches(directory, &mut salvaged)?;
    read_checkpoint(directory, &mut found, &mut salvaged)?;
    read_database(directory, scratch, &batches, &mut found, &mut salvaged)?;
    found.add_batches(&batches);
    if let Some(fault) = found.too_new.take() {
        return Err(fault.at(directory));
    }
    let meta = found.newest_meta();
    let mut records = found.choose(&mut salvaged);
    if records.is_empty() {
        let reason = format!("nothing that is whole was found; {}", salvaged.sources.join("; "));
        let damage = super::error::Damage::Database { reason };
        return Err(StoreError::Damaged { path: directory.to_owned(), damage });
    }
    salvaged.records_expected = meta.map(|meta| meta.records);
    records.mend(rules, &mut salvaged);
    let meta = records.describe(meta, found.revision, rules, &mut salvaged);
    salvaged.revision = meta.revision;
    salvaged.records = meta.records;
    records.write(&meta, out)?;
    Ok(salvaged)
}

/// Of which version of a record something is: the greater, the later.
///
/// The revision; then checkpoint, database, and what the journal says exactly; then the revision of a batch.
type Rank = (Revision, u8, Revision);

const CHECKPOINT: u8 = 0;
const DATABASE: u8 = 1;
const EXACT: u8 = 2;

/// A version of a record.
#[derive(Debug, Default)]
struct Version {
    parts: BTreeMap<u16, Item>,
    is_gone: bool,
}

/// The versions of all records that were found, by name.
#[derive(Debug, Default)]
struct Found {
    versions: BTreeMap<Vec<u8>, BTreeMap<Rank, Version>>,
    checkpoint: Option<Revision>,
    /// The database's, where it says one.
    database: Option<Revision>,
    revision: Revision,
    /// A whole database is asked alone about what is not newer.
    whole_database: bool,
    too_new: Option<Fault>,
}

/// What whole entries of the journal say.
#[derive(Debug, Default)]
struct Batches {
    items: BTreeMap<Revision, Writes>,
}

impl Batches {
    /// The first of the batches that lead to `revision` without a gap.
    fn first_towards(&self, revision: Revision) -> Revision {
        let mut first = revision.saturating_add(1);
        while first > 1 && self.items.contains_key(&(first - 1)) {
            first -= 1;
        }
        first
    }
}

fn read_batches(directory: &Path, salvaged: &mut Salvaged) -> Result<Batches, StoreError> {
    let path = ledger::path_in(directory);
    let mut batches = Batches::default();
    let files = if path.is_dir() { super::journal::files_in(&path)? } else { Vec::new() };
    for file in &files {
        let octets = match fs::read(file) {
            Ok(octets) => octets,
            Err(error) => {
                salvaged.sources.push(format!("{} cannot be read ({error})", file.display()));
                continue;
            }
        };
        super::journal::salvage(&octets, |revision, key, value| {
            let items = batches.items.entry(revision).or_default();
            items.insert(key.to_vec(), value.map(<[u8]>::to_vec));
        });
    }
    salvaged.sources.push(match (batches.items.keys().next(), batches.items.keys().next_back()) {
        (Some(first), Some(last)) => {
            let gaps = (last - first + 1).saturating_sub(batches.items.len() as u64);
            format!(
                "journal: {} batches from revision {first} to {last}, {gaps} missing",
                batches.items.len()
            )
        }
        _ => format!("journal: no whole batch in {} files", files.len()),
    });
    Ok(batches)
}

fn read_checkpoint(directory: &Path, found: &mut Found, salvaged: &mut Salvaged) -> Result<(), StoreError> {
    let path = ledger::path_in(directory).join(ledger::CHECKPOINT);
    let octets = match fs::read(&path) {
        Ok(octets) => octets,
        Err(error) => {
            salvaged.sources.push(format!("checkpoint: {} cannot be read ({error})", path.display()));
            return Ok(());
        }
    };
    // The description may stand in the first block, as an item, or in neither.
    let mut items = Vec::new();
    let (head, lost) = archive::salvage(&octets, |key, value| items.push((key.to_vec(), value.to_vec())));
    let described = items.iter().find(|(key, _)| *key == record::meta_key());
    let described = described.and_then(|(_, value)| record::decode_meta(value).ok());
    let meta = head.map(|head| head.meta).or(described);
    found.checkpoint = meta.map(|meta| meta.revision);
    salvaged.sources.push(format!(
        "checkpoint: {} items{}, {lost} octets of {} passed over",
        items.len(),
        meta.map(|meta| format!(" of revision {}", meta.revision)).unwrap_or_default(),
        octets.len()
    ));
    let revision = found.checkpoint.unwrap_or_default();
    for (key, value) in items {
        found.add((revision, CHECKPOINT, 0), key, value);
    }
    Ok(())
}

fn read_database(
    directory: &Path,
    scratch: &Path,
    batches: &Batches,
    found: &mut Found,
    salvaged: &mut Salvaged,
) -> Result<(), StoreError> {
    let mut items: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let ended = disk::salvage(directory, scratch, &mut |key, value| {
        items.insert(key.to_vec(), value.to_vec());
    })?;
    let described = items.get(&record::meta_key()).and_then(|value| record::decode_meta(value).ok());
    let of_revision = described.map(|meta| format!(" of revision {}", meta.revision)).unwrap_or_default();
    let why = ended.as_ref().map(|reason| format!(", and no more ({reason})")).unwrap_or_default();
    salvaged.sources.push(format!("database: {} items{of_revision}{why}", items.len()));
    found.database = described.map(|meta| meta.revision);
    found.whole_database = ended.is_none() && described.is_some() && is_whole(&items);
    let revision = found.database.or(found.checkpoint).unwrap_or_default();
    if found.whole_database {
        // What it does not have is gone, whatever the checkpoint says.
        if found.checkpoint.is_none_or(|checkpoint| checkpoint <= revision) {
            found.versions.clear();
        }
    } else if found.checkpoint.is_some_and(|checkpoint| batches.first_towards(revision) <= checkpoint + 1) {
        // Nothing between the two is missing: what the checkpoint has and no batch has changed is as it was.
        found.raise_checkpoint(revision);
    }
    for (key, value) in items {
        found.add((revision, DATABASE, 0), key, value);
    }
    Ok(())
}

fn is_whole(items: &BTreeMap<Vec<u8>, Vec<u8>>) -> bool {
    let mut verifier = Verifier::default();
    items.iter().all(|(key, value)| verifier.push(key, value).is_ok()) && verifier.finish().is_ok()
}

impl Found {
    fn add(&mut self, rank: Rank, key: Vec<u8>, value: Vec<u8>) {
        let (name, part) = match record::verify(&key, &value) {
            Ok(item) => (item.name.to_vec(), item.part),
            Err(fault @ Fault::TooNew { .. }) => {
                self.too_new = Some(fault);
                return;
            }
            Err(Fault::Damaged(_)) => return,
        };
        self.revision = self.revision.max(rank.0).max(rank.2);
        let version = self.versions.entry(name).or_default().entry(rank).or_default();
        version.is_gone = false;
        version.parts.insert(part, (key, value));
    }

    /// The checkpoint is as exact as the batches behind it.
    fn raise_checkpoint(&mut self, revision: Revision) {
        for versions in self.versions.values_mut() {
            let raised = std::mem::take(versions);
            versions.extend(raised.into_values().map(|version| ((revision, EXACT, 0), version)));
        }
    }

    fn add_batches(&mut self, batches: &Batches) {
        let database = self.database.unwrap_or_default();
        let exact = batches.first_towards(database);
        for (revision, items) in &batches.items {
            if self.whole_database && *revision <= database {
                continue;
            }
            let rank = if *revision >= exact && *revision <= database && !self.whole_database {
                (database, EXACT, *revision)
            } else {
                (*revision, EXACT, *revision)
            };
            for (key, value) in items {
                match value {
                    Some(value) => self.add(rank, key.clone(), value.clone()),
                    None => self.add_gone(rank, key),
                }
            }
        }
    }

    fn add_gone(&mut self, rank: Rank, key: &[u8]) {
        self.revision = self.revision.max(rank.2);
        // A later part that is gone says that the record has become shorter.
        if let Some((name, [0, 0])) = key.split_last_chunk::<2>() {
            let version = self.versions.entry(name.to_vec()).or_default().entry(rank).or_default();
            version.is_gone = version.parts.is_empty();
        }
    }

    fn newest_meta(&mut self) -> Option<Meta> {
        let key = record::meta_key();
        let (name, _) = key.split_last_chunk::<2>()?;
        let versions = self.versions.remove(name)?;
        let items = versions.into_values().filter_map(|mut version| version.parts.remove(&0));
        let described = items.filter_map(|(_, value)| record::decode_meta(&value).ok());
        described.max_by_key(|meta| meta.revision)
    }

    /// The newest whole version of each record.
    fn choose(&mut self, salvaged: &mut Salvaged) -> Records {
        let mut records = Records::default();
        for (name, versions) in std::mem::take(&mut self.versions) {
            let mut is_newest = true;
            for (rank, version) in versions.iter().rev() {
                if version.is_gone {
                    break;
                }
                if let Some(record) = assemble(version) {
                    if !is_newest {
                        salvaged.earlier.push(record::title(&name));
                    }
                    // How long a trace has been there says whether what has its name was made after it.
                    let rank = match record {
                        Record::Tombstone(_) => first_rank(&versions, version).unwrap_or(*rank),
                        _ => *rank,
                    };
                    let items = version.parts.values().cloned().collect();
                    records.by_key.insert(record.key(), Chosen { rank, record, items });
                    is_newest = true;
                    break;
                }
                is_newest = false;
            }
            if !is_newest {
                salvaged.left_out.push(format!("{}: no version of it is whole", record::title(&name)));
            }
        }
        records
    }
}

/// Since when a version has been there.
fn first_rank(versions: &BTreeMap<Rank, Version>, version: &Version) -> Option<Rank> {
    versions.iter().find(|(_, other)| other.parts == version.parts).map(|(rank, _)| *rank)
}

/// The record of a version, if all parts of it are there.
fn assemble(version: &Version) -> Option<Record> {
    let mut assembler = Assembler::default();
    let mut record = None;
    for (key, value) in version.parts.values() {
        // What stands behind the last part was of an earlier version.
        if record.is_none() {
            record = assembler.push(&record::verify(key, value).ok()?).ok()?;
        }
    }
    record
}

/// A record that is kept.
#[derive(Debug)]
struct Chosen {
    rank: Rank,
    record: Record,
    /// As they were found; empty: the record was changed.
    items: Vec<Item>,
}

#[derive(Debug, Default)]
struct Records {
    by_key: BTreeMap<Key, Chosen>,
}

impl Records {
    fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    fn has(&self, reference: ObjectReference) -> bool {
        self.by_key.contains_key(&key_of(reference))
    }

    /// Leaves out what would keep a directory from being made or give somebody what was another's.
    fn mend(&mut self, rules: &SalvageRules<'_>, salvaged: &mut Salvaged) {
        let names = self.names_in_trail();
        self.leave_out_deleted(salvaged);
        self.leave_out_doubles(salvaged);
        self.leave_out_misfits(rules, salvaged);
        let mut missing = BTreeMap::new();
        self.leave_out_orphans(&mut missing, salvaged);
        self.strip(&mut missing, salvaged);
        for (reference, name) in &names {
            if let Some(name) = name
                && !self.has(*reference)
            {
                missing.insert(*reference, Some(name.clone()));
            }
        }
        salvaged.missing = missing
            .into_iter()
            .map(|(reference, name)| Missing {
                kind: reference.kind(),
                number: reference.number(),
                name: name.or_else(|| names.get(&reference).cloned().flatten()),
            })
            .collect();
        salvaged.missing.sort();
    }

    /// The last name of each object that the audit trail tells of; `None`: it was deleted.
    fn names_in_trail(&self) -> BTreeMap<ObjectReference, Option<String>> {
        let mut names = BTreeMap::new();
        for chosen in self.by_key.values() {
            let Record::Event(event) = &chosen.record else { continue };
            if event.trail != Trail::Changes || event.object_name.is_empty() {
                continue;
            }
            if let Some(reference) = reference_of(event) {
                let name = (event.action != Action::ModelDeleted).then(|| event.object_name.clone());
                names.insert(reference, name);
            }
        }
        names
    }

    fn leave_out(&mut self, key: &Key, reason: &str, salvaged: &mut Salvaged) {
        if let Some(chosen) = self.by_key.remove(key) {
            salvaged.left_out.push(format!("{}: {reason}", title_of(&chosen.record)));
        }
    }

    /// The trace of a deletion is newer than what it is of: the deletion itself is lost.
    fn leave_out_deleted(&mut self, salvaged: &mut Salvaged) {
        let mut deleted = Vec::new();
        for (key, chosen) in &self.by_key {
            let of = match &chosen.record {
                Record::Account(account) => TombstoneOf::Account(account.username.clone()),
                Record::Token(token) => TombstoneOf::Token(token.identifier.clone()),
                Record::Group(group) => TombstoneOf::Group(group.name.clone()),
                Record::Role(role) => TombstoneOf::Role(role.name.clone()),
                _ => continue,
            };
            if self.by_key.get(&Key::Tombstone(of)).is_some_and(|tombstone| tombstone.rank > chosen.rank) {
                deleted.push(key.clone());
            }
        }
        for key in deleted {
            self.leave_out(&key, "it was deleted later", salvaged);
        }
    }

    /// Of two of one name the later made stays.
    fn leave_out_doubles(&mut self, salvaged: &mut Salvaged) {
        let mut seen: BTreeMap<(&str, String), Key> = BTreeMap::new();
        let mut doubles = Vec::new();
        for (key, chosen) in &self.by_key {
            let named = match &chosen.record {
                Record::Account(account) => ("account", account.username.to_lowercase()),
                Record::Group(group) => ("group", group.name.to_lowercase()),
                Record::Role(role) => ("role", role.name.to_lowercase()),
                Record::Token(token) => ("token", token.identifier.clone()),
                Record::Application(application) => ("application", application.slug.clone()),
                Record::Provider(provider) => ("provider", provider.name.to_lowercase()),
                _ => continue,
            };
            doubles.extend(seen.insert(named, key.clone()));
        }
        for key in doubles {
            self.leave_out(&key, "a later one has its name", salvaged);
        }
    }

    fn leave_out_misfits(&mut self, rules: &SalvageRules<'_>, salvaged: &mut Salvaged) {
        let attributes = self.by_key.values().filter_map(|chosen| match &chosen.record {
            Record::CustomAttribute(attribute) => Some(attribute.clone()),
            _ => None,
        });
        let attributes: Vec<CustomAttribute> = attributes.collect();
        let misfits = self.by_key.iter().filter_map(|(key, chosen)| match &chosen.record {
            Record::Provider(provider) => Some((key.clone(), (rules.misfit)(&attributes, provider)?)),
            _ => None,
        });
        let misfits: Vec<(Key, String)> = misfits.collect();
        for (key, reason) in misfits {
            self.leave_out(&key, &reason, salvaged);
        }
    }

    /// Memberships, tokens and last uses of what is not there.
    fn leave_out_orphans(
        &mut self,
        missing: &mut BTreeMap<ObjectReference, Option<String>>,
        salvaged: &mut Salvaged,
    ) {
        let mut note = |all: &[(ObjectReference, bool)]| {
            all.iter().filter(|(_, is_there)| !is_there).for_each(|(reference, _)| {
                missing.insert(*reference, None);
            });
            all.iter().any(|(_, is_there)| !is_there)
        };
        let mut orphans = Vec::new();
        for (key, chosen) in &self.by_key {
            let owners: Vec<ObjectReference> = match &chosen.record {
                Record::Membership(membership) => vec![
                    ObjectReference::Group(membership.group),
                    ObjectReference::Account(membership.account),
                ],
                Record::Token(token) => vec![ObjectReference::Account(token.account)],
                _ => continue,
            };
            let owners: Vec<_> = owners.into_iter().map(|owner| (owner, self.has(owner))).collect();
            if note(&owners) {
                orphans.push(key.clone());
            }
        }
        for key in orphans {
            self.leave_out(&key, "what it belongs to is missing", salvaged);
        }
        // Nobody misses the last use of what is gone.
        let uses = self.by_key.keys().filter(|key| match key {
            Key::Usage(UsageOf::Token(number)) => !self.has(ObjectReference::Token(*number)),
            Key::Usage(UsageOf::Account(number)) => !self.has(ObjectReference::Account(*number)),
            _ => false,
        });
        let uses: Vec<Key> = uses.cloned().collect();
        uses.iter().for_each(|key| drop(self.by_key.remove(key)));
    }

    /// Takes references to what is missing away, but for those of applications' bindings: an application without
    /// bindings admits everybody, and one whose subject is missing nobody by it.
    fn strip(&mut self, missing: &mut BTreeMap<ObjectReference, Option<String>>, salvaged: &mut Salvaged) {
        let there: BTreeSet<Key> = self.by_key.keys().cloned().collect();
        for chosen in self.by_key.values_mut() {
            let mut is_changed = false;
            let mut stays = |reference: ObjectReference| {
                let is_there = there.contains(&key_of(reference));
                if !is_there {
                    missing.entry(reference).or_default();
                    is_changed = true;
                }
                is_there
            };
            let strip_grants = |grants: &mut Vec<Grant>, stays: &mut dyn FnMut(ObjectReference) -> bool| {
                grants.retain(|grant| grant.on.is_none_or(&mut *stays));
            };
            match &mut chosen.record {
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
                chosen.items.clear();
                salvaged.changed.push(title_of(&chosen.record));
            }
        }
    }

    /// The description of what is left.
    fn describe(
        &self,
        newest: Option<Meta>,
        revision: Revision,
        rules: &SalvageRules<'_>,
        salvaged: &mut Salvaged,
    ) -> Meta {
        let mut meta = newest.unwrap_or_default();
        meta.revision = meta.revision.max(revision).max(1);
        meta.records = self.by_key.len() as u64;
        meta.seeded |= self.by_key.keys().any(|key| match key {
            Key::Account(number) => InternalAccount::of_number(*number).is_none(),
            _ => false,
        });
        let (number, object) = self.highest_numbers();
        let counters = &mut meta.counters;
        counters.next_number =
            counters.next_number.max(number.saturating_add(1)).saturating_add(NUMBERS_LOST);
        counters.next_object =
            counters.next_object.max(object.saturating_add(1)).saturating_add(NUMBERS_LOST);
        counters.custom_octets = 0;
        for trail in Trail::ALL {
            let events = self.by_key.values().filter_map(|chosen| match &chosen.record {
                Record::Event(event) if event.trail == trail => Some(event),
                _ => None,
            });
            let events: Vec<&Event> = events.collect();
            let known = newest.map(|_| counters.trails.of(trail));
            let state = state_of(known, &events, rules);
            let lost = state.kept().saturating_sub(events.len() as u64);
            if lost > 0 {
                salvaged.events_missing.insert(trail, lost);
            }
            *counters.trails.of_mut(trail) = state;
            if trail == Trail::Custom {
                let measured = events.iter().map(|event| record::measure(&Record::Event((*event).clone())));
                counters.custom_octets = measured.flatten().map(|octets| octets as u64).sum();
            }
        }
        meta
    }

    /// The highest number of accounts and groups, and of all other objects, that is mentioned anywhere.
    fn highest_numbers(&self) -> (u32, u32) {
        let (mut number, mut object) = (0, 0);
        let mut note = |reference: ObjectReference| match reference {
            ObjectReference::Account(account) if InternalAccount::of_number(account).is_some() => {}
            ObjectReference::Account(_) | ObjectReference::Group(_) => {
                number = number.max(reference.number())
            }
            _ => object = object.max(reference.number()),
        };
        for chosen in self.by_key.values() {
            match &chosen.record {
                Record::Account(account) => note(ObjectReference::Account(account.number)),
                Record::Group(group) => note(ObjectReference::Group(group.number)),
                Record::Role(role) => note(ObjectReference::Role(role.number)),
                Record::Token(token) => note(ObjectReference::Token(token.number)),
                Record::Provider(provider) => note(ObjectReference::Provider(provider.number)),
                Record::CustomAttribute(attribute) => {
                    note(ObjectReference::Role(RoleNumber::new(attribute.number.get())));
                }
                Record::Application(application) => {
                    note(ObjectReference::Application(application.number));
                    for binding in &application.bindings {
                        match &binding.subject {
                            BindingSubject::Account(number) => note(ObjectReference::Account(*number)),
                            BindingSubject::Group(number) => note(ObjectReference::Group(*number)),
                            BindingSubject::Networks(_) | BindingSubject::Window(_) => {}
                        }
                    }
                }
                Record::Event(event) => reference_of(event).into_iter().for_each(&mut note),
                Record::Membership(_) | Record::Tombstone(_) | Record::Usage(_) => {}
            }
        }
        (number, object)
    }

    fn write(&self, meta: &Meta, out: &mut dyn Write) -> Result<(), StoreError> {
        let mut meta = *meta;
        let mut items: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        meta.sum = 0;
        for chosen in self.by_key.values() {
            let encoded =
                if chosen.items.is_empty() { record::encode(&chosen.record)? } else { chosen.items.clone() };
            for (key, value) in encoded {
                if let Ok(item) = record::verify(&key, &value) {
                    meta.sum = meta.sum.wrapping_add(item.checksum);
                }
                items.insert(key, value);
            }
        }
        let (key, value) = record::encode_meta(&meta)?;
        items.insert(key, value);
        let failed = |error| StoreError::from_io(Path::new("the output"), "write", error);
        let mut writer = ArchiveWriter::new(out, &meta, crate::clock::system_time()).map_err(failed)?;
        for (key, value) in &items {
            writer.item(key, value).map_err(failed)?;
        }
        writer.finish(None).map(drop).map_err(failed)
    }
}

/// The ends of a trail: as they are known, but that no event stands outside of them.
fn state_of(known: Option<TrailState>, events: &[&Event], rules: &SalvageRules<'_>) -> TrailState {
    let mut state = known.unwrap_or_default();
    if let Some(first) = events.first()
        && (known.is_none() || first.sequence < state.first)
    {
        (state.first, state.before) = (first.sequence, first.previous);
    }
    if let Some(last) = events.last()
        && last.sequence >= state.next
    {
        (state.next, state.head) = (last.sequence.saturating_add(1), (rules.digest)(last));
    }
    state
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

const fn key_of(reference: ObjectReference) -> Key {
    match reference {
        ObjectReference::Provider(number) => Key::Provider(number),
        ObjectReference::Account(number) => Key::Account(number),
        ObjectReference::Group(number) => Key::Group(number),
        ObjectReference::Role(number) => Key::Role(number),
        ObjectReference::Token(number) => Key::Token(number),
        ObjectReference::Application(number) => Key::Application(number),
    }
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
