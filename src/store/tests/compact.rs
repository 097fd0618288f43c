//! A database that has grown by what is gone is made anew, while others read and write.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::store::disk::Settings;

const COMMITS: u64 = 400;

#[test]
fn a_store_is_compacted_while_changes_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    for revision in 1..=COMMITS {
        store.commit(&batch(revision)).unwrap();
    }
    let is_over = AtomicBool::new(false);
    let revision = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut revision = COMMITS;
            while !is_over.load(Ordering::Relaxed) {
                revision += 1;
                store.commit(&batch(revision)).unwrap();
                assert!(store.get(&Key::Event(Trail::Changes.at(revision))).unwrap().is_some());
            }
            revision
        });
        for _ in 0..crate::rounds::rounds(3) {
            store.compact().unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
        writer.join().unwrap()
    });
    assert_eq!(Content::of(&store).unwrap(), Content::after(revision));
    let before = store.sizes().database;
    assert_eq!(store.compact().unwrap(), store.sizes());
    // A little more or less: that depends on how it was written.
    assert!(store.sizes().database <= 2 * before);
    assert!(!directory.path().join("store.new").exists());
    drop(store);
    let store = open(directory.path()).unwrap();
    assert_eq!(Content::of(&store).unwrap(), Content::after(revision));
    store.commit(&batch(revision + 1)).unwrap();
}

#[test]
fn a_start_compacts_what_has_grown_and_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    // In the end nothing is left of it.
    for revision in 1..=COMMITS {
        let person = Record::Account(account(1, 40_000));
        let changes =
            vec![if revision.is_multiple_of(2) { Change::Delete(person.key()) } else { Change::Put(person) }];
        store.commit(&Batch { changes, ..Batch::default() }).unwrap();
    }
    let grown = store.sizes().database;
    drop(store);
    // The journal is as long: a checkpoint makes it as short as what there is.
    let settings = Settings { journal_octets_min: 1024, compacted_octets_min: 1024, ..Settings::default() };
    let store = DiskStore::open_with(directory.path(), settings).unwrap();
    store.commit(&Batch::default()).unwrap();
    store.wait_for_checkpoint();
    assert!(store.sizes().journal * 8 < grown, "{:?} of {grown}", store.sizes());
    drop(store);
    let store = DiskStore::open_with(directory.path(), settings).unwrap();
    store.wait_for_opening();
    assert!(store.sizes().database * 4 < grown, "{:?} of {grown}", store.sizes());
    assert_eq!(store.load(&mut |_| ()).unwrap(), store.meta());
}

/// As if the process had ended before the new one took the place of the old one.
#[test]
fn what_is_left_of_a_compaction_is_taken_away() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    store.commit(&batch(1)).unwrap();
    drop(store);
    copy(&directory.path().join("store"), &directory.path().join("store.new"));
    let store = open(directory.path()).unwrap();
    assert_eq!(Content::of(&store).unwrap(), Content::after(1));
    drop(store);
    assert!(!directory.path().join("store.new").exists());
}

/// `BINDERY_TEST_ROUNDS=50000` makes as many.
#[test]
fn what_was_made_and_is_gone_takes_little_room() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    for number in 1..=crate::rounds::rounds(300) {
        let made = Record::Account(account(number, 2_000));
        let key = made.key();
        let gone = Change::Put(Record::Tombstone(tombstone(format!("gone{number}"))));
        store.commit(&Batch { changes: vec![Change::Put(made)], ..Batch::default() }).unwrap();
        store.commit(&Batch { changes: vec![Change::Delete(key), gone], ..Batch::default() }).unwrap();
    }
    let takes = store.compact().unwrap().database;
    let mut content = Vec::new();
    store.write_archive(&mut content, None).unwrap();
    let bound = 4 * content.len() as u64 + EMPTY_OCTETS;
    assert!(takes <= bound, "{takes} octets of {}", content.len());
}

/// What sled takes for nothing at all.
const EMPTY_OCTETS: u64 = 2 * 1024 * 1024;
