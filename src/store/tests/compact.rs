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
    // What is measured twice is not written meanwhile.
    store.wait_for_checkpoint();
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
    // Without a checkpoint: how many batches it would leave behind goes by how long it took.
    let unchecked = Settings { journal_octets_min: 64 * 1024 * 1024, ..Settings::default() };
    let store = DiskStore::open_with(directory.path(), unchecked).unwrap();
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

/// As if the process had ended at any moment of the exchange, in one step or in two.
#[test]
fn what_is_left_of_a_compaction_is_taken_away() {
    for names in [&["store", "store.new"][..], &["store.old", "store.new"], &["store.old", "store"]] {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path()).unwrap();
        store.commit(&batch(1)).unwrap();
        drop(store);
        let made = tempfile::tempdir().unwrap();
        std::fs::rename(directory.path().join("store"), made.path().join("store")).unwrap();
        for name in names {
            copy(&made.path().join("store"), &directory.path().join(name));
        }
        let store = open(directory.path()).unwrap();
        assert_eq!(Content::of(&store).unwrap(), Content::after(1));
        drop(store);
        for name in ["store.new", "store.old", "set-aside"] {
            assert!(!directory.path().join(name).exists(), "{name} of {names:?}");
        }
    }
}

/// Until the database was verified that took its place, it may be the only one that is whole.
#[test]
fn the_database_before_an_exchange_is_kept_until_the_one_behind_it_is_whole() {
    for (is_behind, is_torn) in [(false, false), (true, false), (false, true)] {
        let directory = tempfile::tempdir().unwrap();
        let (database, old) = (directory.path().join("store"), directory.path().join("store.old"));
        let store = open(directory.path()).unwrap();
        store.commit(&batch(1)).unwrap();
        drop(store);
        let before = tempfile::tempdir().unwrap();
        copy(&database, before.path());
        let store = open(directory.path()).unwrap();
        store.commit(&batch(2)).unwrap();
        drop(store);
        copy(if is_behind { before.path() } else { &database }, &old);
        std::fs::write(database.join("db"), "nonsense").unwrap();
        std::fs::write(directory.path().join("journal/checkpoint"), "nonsense").unwrap();
        if is_torn {
            let batches = directory.path().join(newest_batches(directory.path()));
            let mut octets = std::fs::read(&batches).unwrap();
            let end = octets.iter().rposition(|octet| *octet != 0).unwrap();
            octets[end] ^= 1;
            std::fs::write(&batches, octets).unwrap();
        }
        let before = files_of(directory.path());
        let opened = open(directory.path());
        if is_behind || is_torn {
            let error = opened.unwrap_err();
            assert!(error.to_string().contains("neither of its two copies"), "{error}");
            assert!(error.to_string().contains("`bindery salvage`"), "{error}");
            assert!(files_of(directory.path()) == before, "{is_behind} {is_torn}");
        } else {
            assert_eq!(Content::of(&opened.unwrap()).unwrap(), Content::after(2));
            assert!(!old.exists());
        }
    }
}

#[test]
fn what_stood_in_the_databases_place_is_salvaged_where_that_one_is_not_whole() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    store.commit(&batch(1)).unwrap();
    drop(store);
    copy(&directory.path().join("store"), &directory.path().join("store.old"));
    let scratch = tempfile::tempdir().unwrap();
    let remains = disk::Remains::of(directory.path(), scratch.path()).unwrap();
    assert!(remains.is_whole && !remains.is_old);
    std::fs::write(directory.path().join("store/db"), "nonsense").unwrap();
    let remains = disk::Remains::of(directory.path(), scratch.path()).unwrap();
    assert!(remains.is_whole && remains.is_old);
    assert_eq!(remains.meta.map(|meta| meta.revision), Some(1));
}

#[test]
fn a_compaction_that_saves_nothing_leaves_everything_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let store = DiskStore::open(directory.path()).unwrap();
    store.commit(&batch(1)).unwrap();
    drop(store);
    let store = DiskStore::open(directory.path()).unwrap();
    store.wait_for_opening();
    let before = files_of(directory.path());
    let takes = store.sizes();
    assert_eq!(store.compact().unwrap(), takes);
    assert!(files_of(directory.path()) == before);
    store.commit(&batch(2)).unwrap();
}

/// On a file system that cannot exchange two names.
#[test]
fn a_compaction_by_two_renames_keeps_everything() {
    let directory = tempfile::tempdir().unwrap();
    let settings =
        Settings { exchanges_names: false, compaction_gain_octets_min: None, ..Settings::default() };
    let store = DiskStore::open_with(directory.path(), settings).unwrap();
    for revision in 1..=3 {
        store.commit(&batch(revision)).unwrap();
        store.compact().unwrap();
        assert!(store.get(&Key::Event(Trail::Changes.at(revision))).unwrap().is_some());
    }
    drop(store);
    assert_eq!(Content::of(&open(directory.path()).unwrap()).unwrap(), Content::after(3));
    assert!(!directory.path().join("store.old").exists());
}

/// Neither the new database nor the old one can be put into its place.
#[test]
fn a_compaction_whose_renames_fail_loses_nothing() {
    type Rename = fn(&Path, &Path) -> std::io::Result<()>;
    let refuse_new: Rename = |from, to| {
        if from.ends_with("store.new") {
            Err(std::io::Error::other("it is refused"))
        } else {
            std::fs::rename(from, to)
        }
    };
    let refuse_both: Rename = |from, to| {
        if to.ends_with("store") {
            Err(std::io::Error::other("it is refused"))
        } else {
            std::fs::rename(from, to)
        }
    };
    for (rename, goes_on) in [(refuse_new, true), (refuse_both, false)] {
        let directory = tempfile::tempdir().unwrap();
        let settings = Settings {
            exchanges_names: false,
            compaction_gain_octets_min: None,
            rename,
            ..Settings::default()
        };
        let store = DiskStore::open_with(directory.path(), settings).unwrap();
        store.commit(&batch(1)).unwrap();
        store.commit(&batch(2)).unwrap();
        let error = store.compact().unwrap_err();
        let error = format!("{error} {:?}", std::error::Error::source(&error));
        assert!(error.contains("it is refused"), "{error}");
        assert!(!directory.path().join("store.new").exists());
        assert_eq!(Content::of(&store).unwrap(), Content::after(2));
        if goes_on {
            store.commit(&batch(3)).unwrap();
        } else {
            let error = store.commit(&batch(3)).unwrap_err();
            assert!(matches!(error, StoreError::Stopped { .. }), "{error}");
            assert!(error.to_string().contains("restart"), "{error}");
        }
        drop(store);
        let store = open(directory.path()).unwrap();
        let revision = if goes_on { 3 } else { 2 };
        assert_eq!(Content::of(&store).unwrap(), Content::after(revision));
        // It was put back, and not made anew.
        assert!(!directory.path().join("set-aside").exists());
        store.commit(&batch(revision + 1)).unwrap();
    }
}

/// `BINDERY_TEST_ROUNDS=167` makes 50,000.
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
    store.write_archive(&mut content, crate::model::Timestamp::now(), None).unwrap();
    let bound = 4 * content.len() as u64 + EMPTY_OCTETS;
    assert!(takes <= bound, "{takes} octets of {}", content.len());
}

/// What sled takes for nothing at all.
const EMPTY_OCTETS: u64 = 2 * 1024 * 1024;
