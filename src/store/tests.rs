//! Tests of the seam, for both stores, and what the others share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod backups;
mod compact;
mod crash;
mod damage;
mod forks;
mod full;
mod parts;
mod records;
mod samples;
mod seam;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::*;
use crate::model::*;
use crate::plain;

/// Has a test run in a process of its own, as all of a process share what it is about; says whether this is that one.
pub(super) fn is_alone(test: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
    let done = alone.args(["--exact", test, "--nocapture"]).env(ALONE, "1").output().unwrap();
    let is_done = String::from_utf8_lossy(&done.stdout).contains("1 passed");
    assert!(done.status.success() && is_done, "{}", String::from_utf8_lossy(&done.stderr));
    false
}

const ALONE: &str = "BINDERY_TEST_ALONE";

/// The database in a data directory, as sled has it. Another test that begins a process hands on all that is open, for a moment.
pub(super) fn sled_of(directory: &Path) -> ::sled::Db {
    disk::open_files(&::sled::Config::new().path(disk::database_in(directory))).unwrap().unwrap()
}

/// The trace of an account that held nothing.
pub(super) fn tombstone(name: String) -> Tombstone {
    Tombstone { of: TombstoneOf::Account(name), origin: Origin::Operator, held_rights: false, made: None }
}

/// An account with a photo of so many octets.
pub(super) fn account(number: u32, photo: usize) -> Account {
    let photo = (0..photo).map(|octet| octet as u8 ^ number as u8).collect();
    Account {
        kind: AccountKind::Internal,
        name: "Ada Lovelace".to_owned(),
        email: format!("user{number}@example.com"),
        attributes: vec![Attribute { description: "jpegPhoto".to_owned(), values: vec![photo] }],
        roles: vec![RoleNumber::new(1)],
        ..plain::account(number, &format!("user{number}"))
    }
}

pub(super) fn event(sequence: u64) -> Event {
    Event {
        trail: Trail::Changes,
        sequence,
        uuid: Uuid::from_u128(u128::from(sequence)),
        action: Action::ModelCreated,
        actor: Actor { source: Some("192.0.2.7".parse().unwrap()), ..Actor::named("config") },
        previous: EventDigest::new([sequence as u8; 32]),
        object_key: Some(7),
        object_kind: "account".to_owned(),
        object_name: format!("user{sequence}"),
        changes: vec![FieldChange {
            field: "email".to_owned(),
            before: None,
            after: Some("a@example.com".to_owned()),
        }],
        ..plain::event()
    }
}

/// The batch of this revision: an account with its membership and its event, now and then a large
/// one; names come back, so that records grow, shrink and go, and old events go too.
pub(super) fn batch(revision: u64) -> Batch {
    let number = |of: u64| AccountNumber::new(u32::try_from(of % ACCOUNTS + 1).unwrap());
    let photo = if revision.is_multiple_of(10) { 40_000 } else { 100 };
    let mut person = account(number(revision * 7).get(), photo);
    person.modified = Timestamp::from_unix_seconds(i64::try_from(revision).unwrap());
    let mut changes = vec![
        Change::Put(Record::Membership(Membership { group: GroupNumber::new(1), account: person.number })),
        Change::Put(Record::Account(person)),
        Change::Put(Record::Event(event(revision))),
    ];
    if revision.is_multiple_of(5) {
        let gone = number(revision * 13);
        changes.push(Change::Delete(Key::Account(gone)));
        changes.push(Change::Put(Record::Tombstone(tombstone(format!("user{gone}")))));
    }
    if let Some(old) = revision.checked_sub(EVENTS_KEPT) {
        changes.push(Change::Delete(Key::Event(Trail::Changes.at(old))));
    }
    Batch {
        changes,
        counters: Counters {
            next_number: 41,
            next_object: 1,
            trails: Trails {
                changes: TrailState { next: revision + 1, ..TrailState::default() },
                ..Trails::default()
            },
            custom_octets: 0,
        },
        seeded: true,
        ..Batch::default()
    }
}

const ACCOUNTS: u64 = 40;
const EVENTS_KEPT: u64 = 50;

/// What a store holds, put together by a plain map.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Content {
    pub(super) meta: (u64, u64, Counters, bool),
    pub(super) records: BTreeMap<String, Record>,
    pub(super) events: Vec<Event>,
}

impl Content {
    /// After the batches 1 to `revision`.
    pub(super) fn after(revision: u64) -> Self {
        Self::after_batches(revision, batch)
    }

    /// After other batches 1 to `revision`.
    pub(super) fn after_batches(revision: u64, batch: impl Fn(u64) -> Batch) -> Self {
        let mut all = BTreeMap::new();
        let mut counters = Counters::default();
        for batch in (1..=revision).map(batch) {
            for change in batch.changes {
                match change {
                    Change::Put(record) => all.insert(format!("{:?}", record.key()), record),
                    Change::Delete(key) => all.remove(&format!("{key:?}")),
                };
            }
            counters = batch.counters;
        }
        let mut content =
            Self { meta: (revision, all.len() as u64, counters, revision > 0), ..Self::default() };
        for (key, record) in all {
            match record {
                Record::Event(event) => content.events.push(event),
                record => {
                    content.records.insert(key, record);
                }
            }
        }
        content.events.sort_by_key(|event| event.sequence);
        content
    }

    /// In this store.
    pub(super) fn of(store: &dyn Store) -> Result<Self, StoreError> {
        let mut records = BTreeMap::new();
        let meta = store.load(&mut |record| {
            records.insert(format!("{:?}", record.key()), record);
        })?;
        let events = store.events(Trail::Changes, 0, usize::MAX)?;
        Ok(Self { meta: (meta.revision, meta.records, meta.counters, meta.seeded), records, events })
    }
}

/// A small cache, so that pages are read from the file, and a checkpoint now and then.
pub(super) fn open(directory: &Path) -> Result<DiskStore, StoreError> {
    let settings = disk::Settings {
        cache_octets: 1024 * 1024,
        journal_octets_min: 256 * 1024,
        compaction_gain_octets_min: None,
        ..disk::Settings::default()
    };
    DiskStore::open_with(directory, settings)
}

/// Makes of a store at `revision` what it was before there was a journal.
pub(super) fn as_before_the_journal(directory: &Path, revision: Revision) {
    std::fs::remove_dir_all(ledger::path_in(directory)).unwrap();
    acknowledged::write_v1(directory, [revision, revision.saturating_sub(1)]);
}

/// All files of a data directory with their content, but for the lock.
pub(super) fn files_of(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut left = vec![directory.to_owned()];
    while let Some(path) = left.pop() {
        for entry in std::fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else if path.file_name().unwrap() != "lock" {
                let content = std::fs::read(&path).unwrap();
                files.insert(path.strip_prefix(directory).unwrap().to_owned(), content);
            }
        }
    }
    files
}

/// The file of the journal that is written to, relative.
pub(super) fn newest_batches(directory: &Path) -> PathBuf {
    let files = journal::files_in(&ledger::path_in(directory)).unwrap();
    files.last().unwrap().strip_prefix(directory).unwrap().to_owned()
}

/// Copies a data directory.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}
