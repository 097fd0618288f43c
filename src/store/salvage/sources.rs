//! The three copies of a damaged store, gone through together: all versions of each record, in the order of their names.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use super::outcome::Salvaged;
use crate::model::{Record, Revision};
use crate::store::Meta;
use crate::store::archive::Wreck;
use crate::store::disk::Remains;
use crate::store::error::StoreError;
use crate::store::journal;
use crate::store::record::{self, Fault, Item};
use crate::store::verify::Assembler;

/// Of which version of a record something is: the greater, the later.
///
/// The revision; then checkpoint, database, and what the journal says exactly; then the revision of a batch.
pub(super) type Rank = (Revision, u8, Revision);

const CHECKPOINT: u8 = 0;
const DATABASE: u8 = 1;
const EXACT: u8 = 2;

/// What there is to be read.
pub(super) struct Sources<'a> {
    /// With the rank of what is in it.
    checkpoint: Option<(&'a Wreck, Rank)>,
    /// Unless it has nothing to say.
    database: Option<&'a Remains>,
    database_rank: Rank,
    /// By key, and then by revision.
    changes: Vec<Change<'a>>,
    /// The batches from the first to the second revision lead to the database without a gap.
    exact: RangeInclusive<Revision>,
}

/// What a batch says of an item; no value: it is gone.
struct Change<'a> {
    key: &'a [u8],
    revision: Revision,
    value: Option<&'a [u8]>,
}

impl<'a> Sources<'a> {
    /// Puts them in their order, which are of one life of a store, as far as that is known; tells of the journal.
    pub(super) fn of(
        checkpoint: Option<(&'a Wreck, Option<Meta>)>,
        database: &'a Remains,
        journal: &'a [(PathBuf, Vec<u8>)],
        life: journal::Life,
        salvaged: &mut Salvaged,
    ) -> Self {
        let mut batches = BTreeSet::new();
        let mut changes = Vec::new();
        for (path, octets) in journal {
            journal::salvage(path, octets, life, |revision, key, value| {
                batches.extend([revision]);
                changes.push(Change { key, revision, value });
            });
        }
        salvaged.sources.push(match (batches.first(), batches.last()) {
            (Some(first), Some(last)) => {
                let gaps = (last - first).saturating_add(1).saturating_sub(batches.len() as u64);
                format!("journal: {} batches from revision {first} to {last}, {gaps} missing", batches.len())
            }
            _ => format!("journal: no whole batch in {} files", journal.len()),
        });
        let of_checkpoint = checkpoint.and_then(|(_, meta)| meta).map(|meta| meta.revision);
        // What one that is whole and as new does not have is gone, and is in the database, which is not, all the same.
        let whole = checkpoint.filter(|(wreck, _)| wreck.is_whole()).and(of_checkpoint);
        let is_asked = |at: Revision| {
            let is_newer = |meta: Meta| meta.revision > at || database.is_whole && meta.revision == at;
            database.items > 0 && database.meta.is_none_or(is_newer)
        };
        let whole = whole.filter(|at| !is_asked(*at));
        if let Some(revision) = whole.filter(|_| database.items > 0) {
            salvaged.sources.push(format!(
                "the database is left out: the checkpoint is whole, and of revision {revision}"
            ));
        }
        let database = if whole.is_some() { None } else { Some(database) };
        let is_whole = database.is_some_and(|database| database.is_whole);
        let of_database = database.and_then(|database| database.meta).map(|meta| meta.revision);
        let revision = of_database.or(of_checkpoint).unwrap_or_default();
        let is_wanted = !is_whole || of_checkpoint.is_some_and(|checkpoint| checkpoint > revision);
        // Nothing between the two is missing: what the checkpoint has and no batch has changed is as it was.
        let is_exact = !is_whole
            && of_checkpoint
                .is_some_and(|checkpoint| first_towards(&batches, revision) <= checkpoint.saturating_add(1));
        let checkpoint_rank =
            if is_exact { (revision, EXACT, 0) } else { (of_checkpoint.unwrap_or_default(), CHECKPOINT, 0) };

        let at_database = of_database.unwrap_or_default();
        // What is whole is asked alone about what is not newer.
        let alone = whole.or(of_database.filter(|_| is_whole));
        changes.retain(|change: &Change<'_>| {
            may_be_of_record(change.key, change.value) && alone.is_none_or(|alone| change.revision > alone)
        });
        changes.sort_by_key(|change| (change.key, change.revision));
        Self {
            checkpoint: checkpoint.filter(|_| is_wanted).map(|(wreck, _)| (wreck, checkpoint_rank)),
            database,
            database_rank: (revision, DATABASE, 0),
            changes,
            exact: first_towards(&batches, at_database)..=at_database,
        }
    }

    /// Shows the versions of each record, by its name.
    ///
    /// # Errors
    /// A newer version of bindery wrote one, the disk of the copy refuses something, or what `visit` says.
    pub(super) fn records(
        &self,
        directory: &Path,
        mut visit: impl FnMut(&[u8], &Versions) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let checkpoint_rank = self.checkpoint.map(|(_, rank)| rank).unwrap_or_default();
        let mut checkpoint = in_order(self.checkpoint.into_iter().flat_map(|(wreck, _)| wreck.items()));
        let mut database = in_order(self.database.into_iter().flat_map(Remains::items));
        let mut changes = self.changes.iter().peekable();
        loop {
            let names = [
                checkpoint.peek().and_then(|(key, _)| name_in(key)),
                database.peek().and_then(|(key, _)| name_in(key)),
                changes.peek().and_then(|change| name_in(change.key)),
            ];
            let Some(name) = names.into_iter().flatten().min().map(<[u8]>::to_vec) else {
                return self.database.map_or(Ok(()), Remains::ended);
            };
            let mut versions = Versions::default();
            while let Some((key, value)) = checkpoint.next_if(|(key, _)| name_in(key) == Some(&name)) {
                versions.add(checkpoint_rank, key, value);
            }
            while let Some((key, value)) = database.next_if(|(key, _)| name_in(key) == Some(&name)) {
                versions.add(self.database_rank, key, value);
            }
            while let Some(change) = changes.next_if(|change| name_in(change.key) == Some(&name)) {
                let of =
                    if self.exact.contains(&change.revision) { *self.exact.end() } else { change.revision };
                let rank = (of, EXACT, change.revision);
                match change.value {
                    Some(value) => versions.add(rank, change.key.to_vec(), value.to_vec()),
                    None => versions.add_gone(rank, change.key),
                }
            }
            if let Some(fault) = versions.too_new.take() {
                return Err(fault.at(directory));
            }
            visit(&name, &versions)?;
        }
    }
}

/// The first of the batches that lead to `revision` without a gap.
fn first_towards(batches: &BTreeSet<Revision>, revision: Revision) -> Revision {
    let mut first = revision.saturating_add(1);
    while first > 1 && batches.contains(&(first - 1)) {
        first -= 1;
    }
    first
}

/// Items without those that are not in the order of their keys, and without those that can be of no record.
fn in_order(items: impl Iterator<Item = Item>) -> Peekable<impl Iterator<Item = Item>> {
    let mut last = Vec::new();
    let rising = items.filter(move |(key, value)| {
        let rises = may_be_of_record(key, Some(value)) && *key > last;
        if rises {
            last.clone_from(key);
        }
        rises
    });
    rising.peekable()
}

/// Whether there is a kind of record that an item can be of; one of a newer version may be of a kind that is not known here.
fn may_be_of_record(key: &[u8], value: Option<&[u8]>) -> bool {
    name_in(key).is_some_and(|name| {
        record::is_meta(name)
            || record::key_of(name).is_some()
            || value.is_some_and(|value| matches!(record::verify(key, value), Err(Fault::TooNew { .. })))
    })
}

/// The name of the record that an item belongs to.
fn name_in(key: &[u8]) -> Option<&[u8]> {
    key.split_last_chunk::<2>().map(|(name, _)| name)
}

/// The versions of a record that were found.
#[derive(Debug, Default)]
pub(super) struct Versions {
    by_rank: BTreeMap<Rank, Version>,
    newest: Revision,
    too_new: Option<Fault>,
}

/// A version of a record.
#[derive(Debug, Default)]
struct Version {
    parts: BTreeMap<u16, Item>,
    is_gone: bool,
}

/// What comes of the versions of a record.
pub(super) enum Choice {
    /// It was deleted, or there is nothing of it.
    Gone,
    /// None of them is whole.
    Broken,
    Chosen(Box<Chosen>),
}

/// The newest whole version of a record.
pub(super) struct Chosen {
    pub(super) rank: Rank,
    pub(super) record: Record,
    /// As they were found.
    pub(super) items: Vec<Item>,
    /// Whether there is no trace of a newer one.
    pub(super) is_newest: bool,
}

impl Versions {
    fn add(&mut self, rank: Rank, key: Vec<u8>, value: Vec<u8>) {
        let part = match record::verify(&key, &value) {
            Ok(item) => item.part,
            Err(fault @ Fault::TooNew { .. }) => {
                self.too_new = Some(fault);
                return;
            }
            Err(Fault::Damaged(_)) => return,
        };
        self.newest = self.newest.max(rank.0).max(rank.2);
        let version = self.by_rank.entry(rank).or_default();
        version.is_gone = false;
        version.parts.insert(part, (key, value));
    }

    fn add_gone(&mut self, rank: Rank, key: &[u8]) {
        self.newest = self.newest.max(rank.2);
        // A later part that is gone says that the record has become shorter.
        if record::begins_record(key) {
            let version = self.by_rank.entry(rank).or_default();
            version.is_gone = version.parts.is_empty();
        }
    }

    /// The newest revision of which there is something.
    pub(super) fn newest(&self) -> Revision {
        self.newest
    }

    /// Of the item that describes the store.
    pub(super) fn newest_meta(&self) -> Option<Meta> {
        let items = self.by_rank.values().filter_map(|version| version.parts.get(&0));
        let described = items.filter_map(|(_, value)| record::decode_meta(value).ok());
        described.max_by_key(|meta| meta.revision)
    }

    pub(super) fn choose(&self) -> Choice {
        let mut is_newest = true;
        for (rank, version) in self.by_rank.iter().rev() {
            if version.is_gone {
                break;
            }
            if let Some((record, items)) = version.assemble() {
                // How long a trace has been there says whether what has its name was made after it.
                let rank = match record {
                    Record::Tombstone(_) => self.first_rank(version).unwrap_or(*rank),
                    _ => *rank,
                };
                return Choice::Chosen(Box::new(Chosen { rank, record, items, is_newest }));
            }
            is_newest = false;
        }
        if is_newest { Choice::Gone } else { Choice::Broken }
    }

    /// Since when a version has been there.
    fn first_rank(&self, version: &Version) -> Option<Rank> {
        self.by_rank.iter().find(|(_, other)| other.parts == version.parts).map(|(rank, _)| *rank)
    }
}

impl Version {
    /// The record, if all parts of it are there, and those.
    fn assemble(&self) -> Option<(Record, Vec<Item>)> {
        let mut assembler = Assembler::default();
        let mut items = Vec::new();
        // What stands behind the last part was of an earlier version.
        for (key, value) in self.parts.values() {
            items.push((key.clone(), value.clone()));
            if let Some(record) = assembler.push(&record::verify(key, value).ok()?).ok()? {
                return Some((record, items));
            }
        }
        None
    }
}
