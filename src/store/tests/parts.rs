//! Files of a store that do not belong together, of different times or of different lives: what is acknowledged beside them is
//! in both copies, and what was revoked does not come back.

use std::cell::Cell;
use std::fs::File;

use rustix::process::{Resource, Rlimit, setrlimit};

use super::*;
use crate::store::journal::Journal;
use crate::store::ledger::Ledger;
use crate::store::salvage::{SalvageRules, Salvaged};

/// A store with a checkpoint after so many octets of batches.
pub(super) fn opened(directory: &Path, journal_octets_min: u64) -> DiskStore {
    let settings = disk::Settings {
        cache_octets: 1024 * 1024,
        journal_octets_min,
        sync_directory: sync,
        ..disk::Settings::default()
    };
    DiskStore::open_with(directory, settings).unwrap()
}

thread_local! {
    static IS_REFUSED: Cell<bool> = const { Cell::new(false) };
    static REFUSED: Cell<u32> = const { Cell::new(0) };
}

fn sync(directory: &File) -> std::io::Result<()> {
    if IS_REFUSED.get() {
        REFUSED.set(REFUSED.get() + 1);
        return Err(rustix::io::Errno::IO.into());
    }
    directory.sync_all()
}

fn commit(store: &DiskStore, revisions: std::ops::RangeInclusive<u64>) {
    for revision in revisions {
        assert_eq!(store.commit(&batch(revision)).unwrap().revision, revision);
        store.wait_for_checkpoint();
    }
}

/// Each copy of a store has all of it by itself.
fn each_copy_has(directory: &Path, revision: u64) {
    each_copy_has_all(directory, &Content::after(revision));
}

/// The same of other batches.
pub(super) fn each_copy_has_all(directory: &Path, all: &Content) {
    for gone in ["store", "journal/checkpoint"] {
        let copied = tempfile::tempdir().unwrap();
        copy(directory, copied.path());
        remove(&copied.path().join(gone));
        let content = Content::of(&open(copied.path()).unwrap()).unwrap();
        assert!(content == *all, "without {gone}: {:?}, not {:?}", content.meta, all.meta);
    }
}

pub(super) fn remove(path: &Path) {
    if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }.unwrap();
}

/// Opening it is refused, and has changed nothing; answers with what is said.
fn is_refused(directory: &Path) -> String {
    let before = files_of(directory);
    let error = open(directory).unwrap_err();
    assert!(error.is_unusable(), "{error}");
    assert!(files_of(directory) == before, "{error}");
    error.to_string()
}

#[test]
fn a_restored_store_is_not_taken_for_one_that_was_never_begun() {
    let directory = tempfile::tempdir().unwrap();
    let store = opened(directory.path(), 32 * 1024);
    commit(&store, 1..=3);
    drop(store);
    // It has had no start yet.
    for gone in ["store", "acknowledged"] {
        remove(&directory.path().join(gone));
    }
    for file in std::fs::read_dir(directory.path().join("journal")).unwrap() {
        std::fs::write(file.unwrap().path(), [0; 4096]).unwrap();
    }
    is_refused(directory.path());
}

#[test]
fn a_checkpoint_that_fails_to_begin_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut revision = 0;
    for round in 0..u64::from(crate::rounds::rounds(4)) {
        let store = opened(directory.path(), 32 * 1024);
        for step in 0..40 {
            IS_REFUSED.set((round * 5 + step / 8) % 3 != 1);
            revision += 1;
            commit(&store, revision..=revision);
        }
        drop(store);
        each_copy_has(directory.path(), revision);
    }
    assert!(REFUSED.get() > 0);
    assert!(Ledger::read(directory.path()).unwrap().checkpoint_revision() > 0);
}

/// In a process of its own, as all of a process share its descriptors.
#[test]
fn a_checkpoint_without_descriptors_loses_nothing() {
    if !is_alone("store::tests::parts::a_checkpoint_without_descriptors_loses_nothing") {
        return;
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(256), maximum: Some(256) }).unwrap();
    for free in 0..10 {
        let directory = tempfile::tempdir().unwrap();
        let store = opened(directory.path(), 0);
        commit(&store, 1..=2);
        let mut taken: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        taken.truncate(taken.len() - free);
        commit(&store, 3..=5);
        drop(taken);
        drop(store);
        let store = opened(directory.path(), u64::MAX);
        commit(&store, 6..=7);
        drop(store);
        each_copy_has(directory.path(), 7);
    }
}

/// As a checkpoint has left it that failed to begin, in a version before.
#[test]
fn a_file_of_batches_that_nothing_was_written_to_is_not_gone_on_with() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    commit(&store, 1..=12);
    drop(store);
    let journal = ledger::path_in(directory.path());
    let life = Ledger::read(directory.path()).unwrap().incarnation();
    for first in [5, 12] {
        Journal::create(&journal, life, first, File::sync_all).unwrap();
    }
    let store = open(directory.path()).unwrap();
    assert_eq!(Content::of(&store).unwrap(), Content::after(12));
    commit(&store, 13..=15);
    assert_eq!(read_directory(directory.path()).unwrap().unwrap().meta().revision, 15);
    drop(store);
    each_copy_has(directory.path(), 15);
    // They go with the next checkpoint.
    let store = opened(directory.path(), 0);
    commit(&store, 16..=18);
    drop(store);
    assert_eq!(journal::files_in(&journal).unwrap().len(), 1);
    each_copy_has(directory.path(), 18);
}

/// What a copy of a store in use may have that lists its files before a checkpoint, and reads that one.
#[test]
fn a_checkpoint_beside_batches_of_before_it_is_not_gone_on_with() {
    let directory = tempfile::tempdir().unwrap();
    let store = opened(directory.path(), 64 * 1024);
    let first = journal::path_of(&ledger::path_in(directory.path()), 1);
    let (mut earlier, mut checkpoint) = (Vec::new(), 0);
    while first.exists() {
        checkpoint += 1;
        commit(&store, checkpoint..=checkpoint);
        if first.exists() {
            earlier.push(std::fs::read(&first).unwrap());
        }
    }
    let last = checkpoint + 3;
    commit(&store, checkpoint + 1..=last);
    drop(store);
    assert!(earlier.len() > 5, "{}", earlier.len());
    // The same to the checkpoint, and no further.
    let place = tempfile::tempdir().unwrap();
    let path = journal::path_of(place.path(), 1);
    let mut up_to_it = earlier.last().unwrap().clone();
    std::fs::write(&path, &up_to_it).unwrap();
    let whole = journal::Segment::read(&path, &File::open(&path).unwrap(), None).unwrap().0.unwrap();
    assert_eq!(whole.last() + 1, checkpoint);
    let sealed = journal::sealed(&up_to_it, checkpoint, b"key", b"value");
    up_to_it.splice(whole.length..whole.length + sealed.len(), sealed);
    for batches in [&earlier[2], &up_to_it] {
        let copied = tempfile::tempdir().unwrap();
        copy(directory.path(), copied.path());
        let journal = ledger::path_in(copied.path());
        journal::files_in(&journal).unwrap().iter().for_each(|file| remove(file));
        std::fs::write(journal::path_of(&journal, 1), batches).unwrap();
        let without = tempfile::tempdir().unwrap();
        copy(copied.path(), without.path());

        let store = opened(copied.path(), u64::MAX);
        assert_eq!(Content::of(&store).unwrap(), Content::after(last));
        commit(&store, last + 1..=last + 3);
        drop(store);
        each_copy_has(copied.path(), last + 3);

        remove(&without.path().join("store"));
        let said = is_refused(without.path());
        assert!(said.contains(&format!("{:020} is missing", checkpoint + 1)), "{said}");
    }
}

#[test]
fn an_older_duplicate_of_a_file_of_batches_is_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    commit(&store, 1..=10);
    drop(store);
    let older = std::fs::read(directory.path().join(newest_batches(directory.path()))).unwrap();
    let store = open(directory.path()).unwrap();
    commit(&store, 11..=12);
    drop(store);
    // 13 is what the next file will be called.
    for number in [2, 11, 13, 14, 99] {
        for has_database in [true, false] {
            let copied = tempfile::tempdir().unwrap();
            copy(directory.path(), copied.path());
            let journal = ledger::path_in(copied.path());
            std::fs::write(journal::path_of(&journal, number), &older).unwrap();
            if !has_database {
                remove(&copied.path().join("store"));
            }
            assert_eq!(Content::of(&open(copied.path()).unwrap()).unwrap(), Content::after(12), "{number}");
            assert!(!copied.path().join("set-aside").exists(), "{number}");
            let store = opened(copied.path(), 0);
            commit(&store, 13..=16);
            drop(store);
            assert_eq!(journal::files_in(&journal).unwrap().len(), 1, "{number}");
            each_copy_has(copied.path(), 16);
        }
    }
}

/// One that has more than the file of its batches is not taken for it: who makes the next file may give that its name.
#[test]
fn a_newer_duplicate_of_a_file_of_batches_is_damage() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    commit(&store, 1..=12);
    drop(store);
    let journal = ledger::path_in(directory.path());
    std::fs::rename(journal::path_of(&journal, 1), journal::path_of(&journal, 13)).unwrap();
    let copied = tempfile::tempdir().unwrap();
    copy(directory.path(), copied.path());
    let store = open(copied.path()).unwrap();
    assert_eq!(Content::of(&store).unwrap(), Content::after(12));
    commit(&store, 13..=14);
    drop(store);
    each_copy_has(copied.path(), 14);
    remove(&directory.path().join("store"));
    let said = is_refused(directory.path());
    assert!(said.contains("it begins with revision 1"), "{said}");
}

/// What is done to a journal.
const HARMS: [&str; 6] =
    ["checkpoint flipped", "checkpoint gone", "batches gone", "batches flipped", "both flipped", "end cut"];

fn harm(journal: &Path, harm: &str) {
    let (checkpoint, batches) = (journal.join("checkpoint"), journal::files_in(journal).unwrap().remove(0));
    let flip = |path: &Path, at: Option<usize>| {
        let mut octets = std::fs::read(path).unwrap();
        let at = at.unwrap_or(octets.len() - 60);
        octets[at] ^= 1;
        std::fs::write(path, octets).unwrap();
    };
    match harm {
        "checkpoint flipped" => flip(&checkpoint, None),
        "checkpoint gone" => remove(&checkpoint),
        "batches gone" => remove(&batches),
        "batches flipped" => flip(&batches, Some(30)),
        // In what says of which life they are.
        "both flipped" => {
            flip(&checkpoint, Some(40));
            flip(&batches, Some(10));
        }
        "end cut" => File::options().write(true).open(&batches).unwrap().set_len(48).unwrap(),
        other => panic!("{other}"),
    }
}

/// A database of another store, or of an earlier life, is further on, and whole; the journal is damaged and says whose it is.
#[test]
fn a_database_of_another_life_does_not_take_the_place_of_a_journal() {
    let [one, other] = [12, 30].map(|revision| {
        let directory = tempfile::tempdir().unwrap();
        commit(&open(directory.path()).unwrap(), 1..=revision);
        directory
    });
    for harmed in HARMS {
        for is_told in [true, false] {
            let copied = tempfile::tempdir().unwrap();
            copy(one.path(), copied.path());
            remove(&copied.path().join("store"));
            copy(&other.path().join("store"), &copied.path().join("store"));
            harm(&ledger::path_in(copied.path()), harmed);
            if !is_told {
                // Then nobody says whose it is, or that something is missing.
                if matches!(harmed, "both flipped" | "end cut") {
                    continue;
                }
                remove(&copied.path().join("acknowledged"));
            }
            let said = is_refused(copied.path());
            assert!(
                said.contains("of another store") || said.contains("to another store"),
                "{harmed}: {said}"
            );
        }
    }
    // One that nothing was committed to yet is of a life, too, and nobody knows which is meant.
    let fresh = tempfile::tempdir().unwrap();
    drop(open(fresh.path()).unwrap());
    remove(&fresh.path().join("store"));
    copy(&other.path().join("store"), &fresh.path().join("store"));
    let said = is_refused(fresh.path());
    assert!(said.contains("two lives of one"), "{said}");
}

/// One file of another store among ours is no loss.
#[test]
fn a_file_of_another_store_is_made_up_for() {
    let [one, other] = [12, 30].map(|revision| {
        let directory = tempfile::tempdir().unwrap();
        commit(&open(directory.path()).unwrap(), 1..=revision);
        directory
    });
    for file in ["journal/checkpoint", "journal/batches.00000000000000000001", "acknowledged"] {
        let copied = tempfile::tempdir().unwrap();
        copy(one.path(), copied.path());
        std::fs::copy(other.path().join(file), copied.path().join(file)).unwrap();
        let store = open(copied.path()).unwrap();
        assert_eq!(Content::of(&store).unwrap(), Content::after(12), "{file}");
        commit(&store, 13..=13);
        drop(store);
        each_copy_has(copied.path(), 13);
    }
    // Under a name of its own it is none of ours either.
    let stray = "journal/batches.00000000000000000002";
    std::fs::copy(other.path().join("journal/batches.00000000000000000001"), one.path().join(stray)).unwrap();
    assert_eq!(Content::of(&open(one.path()).unwrap()).unwrap(), Content::after(12));
    assert!(!one.path().join(stray).exists());
    each_copy_has(one.path(), 12);
}

/// A file of theirs among ours, and their database: the checkpoint, which all others follow, says whose the store is.
#[test]
fn a_stray_file_makes_no_database_of_another_store_ours() {
    let [one, other] = [12, 30].map(|revision| {
        let directory = tempfile::tempdir().unwrap();
        commit(&open(directory.path()).unwrap(), 1..=revision);
        directory
    });
    let stray = "journal/batches.00000000000000000002";
    std::fs::copy(other.path().join("journal/batches.00000000000000000001"), one.path().join(stray)).unwrap();
    for gone in ["store", "acknowledged"] {
        remove(&one.path().join(gone));
    }
    copy(&other.path().join("store"), &one.path().join("store"));
    let said = is_refused(one.path());
    assert!(said.contains("to another store"), "{said}");
}

/// Two stores of one life that went on by themselves from revision 12: one to 16, the other, whose last file of batches begins
/// with that revision, to 20.
fn parted(first: u64) -> [tempfile::TempDir; 2] {
    let [one, other] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    commit(&open(one.path()).unwrap(), 1..=12);
    copy(one.path(), other.path());
    commit(&open(one.path()).unwrap(), 13..=16);
    let store = opened(other.path(), u64::MAX);
    for revision in 13..=20 {
        let mut batch = batch(revision);
        batch.changes.push(Change::Put(Record::Tombstone(tombstone(format!("theirs{revision}")))));
        store.commit(&batch).unwrap();
    }
    drop(store);
    let life = Ledger::read(other.path()).unwrap().incarnation();
    let path = journal::path_of(&ledger::path_in(other.path()), 1);
    let batches = journal::Segment::read(&path, &File::open(&path).unwrap(), life).unwrap().0.unwrap();
    let mut made = Journal::create(&ledger::path_in(other.path()), life, first, File::sync_all).unwrap();
    for (revision, items) in batches.batches().filter(|(revision, _)| *revision >= first) {
        let items = items.map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec)));
        made.append(revision, &items.collect()).unwrap();
    }
    [one, other]
}

fn salvaged(directory: &Path) -> Salvaged {
    let rules = SalvageRules {
        digest: &|event| EventDigest::new([event.sequence as u8; 32]),
        misfit: &|_, _| None,
        name_key: &|name| name.to_lowercase().into_bytes(),
    };
    let scratch = tempfile::tempdir().unwrap();
    crate::store::salvage::salvage(directory, scratch.path(), &rules, &mut std::io::sink()).unwrap()
}

/// A file of batches of a copy of this very store, of the same life, that went on by itself: what it has is not taken for ours,
/// and a start that is refused for it has changed nothing.
#[test]
fn a_file_of_batches_of_a_copy_that_went_on_by_itself_is_not_gone_on_with() {
    for first in [14, 16, 17] {
        let [one, other] = parted(first);
        let stray = format!("journal/batches.{first:020}");
        std::fs::copy(other.path().join(&stray), one.path().join(&stray)).unwrap();
        let said = is_refused(one.path());
        assert!(first == 17 || said.contains(&stray), "{said}");
        let told = salvaged(one.path()).sources;
        let is_told = told.iter().any(|line| line.contains(&stray) && line.contains("went on by itself"));
        assert!(first == 17 || is_told, "{told:?}");
        remove(&one.path().join(stray));
        assert_eq!(Content::of(&open(one.path()).unwrap()).unwrap(), Content::after(16));
        each_copy_has(one.path(), 16);
    }
}

/// Whoever gives up when a part of it was loaded has brought nothing of the journal to the database.
#[test]
fn a_store_that_was_not_loaded_brings_nothing_to_its_database() {
    let [directory, earlier] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    commit(&open(directory.path()).unwrap(), 1..=6);
    copy(&directory.path().join("store"), earlier.path());
    commit(&open(directory.path()).unwrap(), 7..=12);
    remove(&directory.path().join("store"));
    copy(earlier.path(), &directory.path().join("store"));
    drop(open(directory.path()).unwrap());
    let described = sled_of(directory.path()).get(record::meta_key()).unwrap().unwrap();
    assert_eq!(record::decode_meta(&described).unwrap().revision, 6);
    let store = open(directory.path()).unwrap();
    assert_eq!(Content::of(&store).unwrap(), Content::after(12));
    drop(store);
    each_copy_has(directory.path(), 12);
}

/// What is called as a file that a checkpoint writes, and is none, is in no checkpoint's way.
#[test]
fn a_stray_in_the_journal_keeps_no_checkpoint_from_being_made() {
    for stray in ["journal/checkpoint.new", "journal/batches.new"] {
        let directory = tempfile::tempdir().unwrap();
        commit(&open(directory.path()).unwrap(), 1..=2);
        std::fs::create_dir(directory.path().join(stray)).unwrap();
        let store = opened(directory.path(), 0);
        commit(&store, 3..=5);
        drop(store);
        assert!(Ledger::read(directory.path()).unwrap().checkpoint_revision() >= 3, "{stray}");
        each_copy_has(directory.path(), 5);
    }
}

/// The same of its checkpoint, which is as far as ours: only all of it together tells, once it is looked at.
#[test]
fn a_checkpoint_of_a_copy_that_went_on_by_itself_is_made_up_for() {
    let [one, other] = parted(17);
    for directory in [&one, &other] {
        let ledger = Ledger::read(directory.path()).unwrap();
        ledger.make_checkpoint(&std::sync::atomic::AtomicBool::new(false)).unwrap();
        let journal = ledger::path_in(directory.path());
        journal::files_in(&journal).unwrap().iter().for_each(|file| remove(file));
        Journal::create(&journal, ledger.incarnation(), ledger.meta().revision + 1, File::sync_all).unwrap();
    }
    let store = open(one.path()).unwrap();
    assert_eq!(Content::of(&store).unwrap(), Content::after(16));
    commit(&store, 17..=20);
    drop(store);
    let whole = Ledger::read(one.path()).unwrap();
    let journal = ledger::path_in(one.path());
    journal::files_in(&journal).unwrap().iter().for_each(|file| remove(file));
    whole.make_checkpoint(&std::sync::atomic::AtomicBool::new(false)).unwrap();
    Journal::create(&journal, whole.incarnation(), 21, File::sync_all).unwrap();
    commit(&open(one.path()).unwrap(), 21..=21);
    std::fs::copy(other.path().join("journal/checkpoint"), journal.join("checkpoint")).unwrap();
    let before = files_of(one.path());
    let refused = open(one.path()).and_then(|store| Content::of(&store)).map(|content| content.meta);
    assert!(refused.is_err(), "{refused:?}");
    // The database was opened before what was read turned out not to fit together.
    assert!(files_of(one.path()) == before);
    let doubted = disk::Settings { is_doubted: true, ..disk::Settings::default() };
    let store = DiskStore::open_with(one.path(), doubted).unwrap();
    assert_eq!(Content::of(&store).unwrap(), Content::after(21));
    drop(store);
    each_copy_has(one.path(), 21);
}

/// The whole journal of a copy that is as far as ours: nobody knows which of the two is meant, and neither takes the other's place.
/// Only the database can tell, so it was opened, and is as it was behind that.
#[test]
fn a_journal_of_a_copy_that_went_on_by_itself_takes_no_place_of_a_database() {
    let [one, other] = parted(17);
    commit(&open(one.path()).unwrap(), 17..=20);
    let (ours, theirs) = (ledger::path_in(one.path()), ledger::path_in(other.path()));
    let kept = tempfile::tempdir().unwrap();
    copy(&ours, kept.path());
    remove(&ours);
    copy(&theirs, &ours);
    let before = files_of(one.path());
    for _ in 0..2 {
        let refused = open(one.path()).map(|store| store.meta()).unwrap_err();
        assert!(refused.is_unusable(), "{refused}");
        assert!(refused.to_string().contains("other records at the same revision 20"), "{refused}");
        assert!(files_of(one.path()) == before, "{refused}");
    }
    remove(&ours);
    copy(kept.path(), &ours);
    assert_eq!(Content::of(&open(one.path()).unwrap()).unwrap(), Content::after(20));
    each_copy_has(one.path(), 20);
}
