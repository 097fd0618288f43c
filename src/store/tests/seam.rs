//! What both stores promise, and what the one on disk does with its files.

use std::os::unix::fs::{FileExt, PermissionsExt};

use super::*;
use crate::store::error::Damage;
use crate::store::ledger::Ledger;

/// Runs a test on a store in memory and on one on disk.
fn on_both(test: impl Fn(&dyn Store)) {
    test(&MemoryStore::new());
    let directory = tempfile::tempdir().unwrap();
    test(&open(directory.path()).unwrap());
}

fn put(records: Vec<Record>) -> Batch {
    Batch { changes: records.into_iter().map(Change::Put).collect(), ..Batch::default() }
}

#[test]
fn a_fresh_store_is_at_revision_0() {
    on_both(|store| {
        assert_eq!(store.load(&mut |_| panic!("there is nothing")).unwrap(), Meta::default());
        assert_eq!(store.meta(), Meta::default());
        assert_eq!(store.get(&Key::Account(AccountNumber::new(1))).unwrap(), None);
        for trail in Trail::ALL {
            assert_eq!(store.events(trail, 0, 10).unwrap(), []);
            assert_eq!(store.events_before(trail, u64::MAX, 10).unwrap(), []);
        }
    });
}

#[test]
fn what_is_committed_is_there() {
    on_both(|store| {
        for revision in 1..=100 {
            let meta = store.commit(&batch(revision)).unwrap();
            assert_eq!((meta.revision, store.meta()), (revision, meta));
        }
        assert_eq!(Content::of(store).unwrap(), Content::after(100));
        for (_, record) in Content::after(100).records {
            assert_eq!(store.get(&record.key()).unwrap().as_ref(), Some(&record));
        }
    });
}

#[test]
fn both_stores_agree_on_the_sum() {
    let memory = MemoryStore::new();
    let directory = tempfile::tempdir().unwrap();
    let disk = open(directory.path()).unwrap();
    for revision in 1..=60 {
        let [memory, disk] =
            [memory.commit(&batch(revision)).unwrap(), disk.commit(&batch(revision)).unwrap()];
        assert_eq!(Meta { incarnation: disk.incarnation, ..memory }, disk);
    }
}

#[test]
fn a_store_has_one_incarnation_from_its_first_commit_on() {
    on_both(|store| {
        let first = store.commit(&batch(1)).unwrap().incarnation;
        assert!(first.is_some());
        assert_eq!(store.commit(&batch(2)).unwrap().incarnation, first);
        assert_eq!(store.load(&mut |_| {}).unwrap().incarnation, first);
    });
    let [one, other] = [MemoryStore::new(), MemoryStore::new()].map(|store| store.commit(&batch(1)).unwrap());
    assert_ne!(one.incarnation, other.incarnation);
}

/// Nobody can seal a batch for it from its first one on.
#[test]
fn the_files_of_a_new_store_have_the_incarnation_that_its_first_batch_gives_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    let of_files = Ledger::read(directory.path()).unwrap().newest().unwrap().incarnation;
    assert!(of_files.is_some());
    assert_eq!(store.meta(), Meta::default());
    assert_eq!(store.commit(&batch(1)).unwrap().incarnation, of_files);
    drop(store);
    assert_eq!(open(directory.path()).unwrap().meta().incarnation, of_files);
}

#[test]
fn what_is_believed_of_the_clock_stays_until_another_batch_says_so() {
    on_both(|store| {
        let belief = Belief {
            time: Timestamp::from_unix_seconds(1_795_000_000),
            doubt: Some(Doubt { clock: Timestamp::from_unix_seconds(1_895_000_000), lasted: 60 }),
        };
        assert_eq!(store.commit(&batch(1)).unwrap().belief, None);
        let said = Batch { belief: Some(belief), ..batch(2) };
        assert_eq!(store.commit(&said).unwrap().belief, Some(belief));
        assert_eq!(store.commit(&batch(3)).unwrap().belief, Some(belief));
        assert_eq!(store.load(&mut |_| {}).unwrap().belief, Some(belief));
    });
}

#[test]
fn the_last_change_of_a_record_counts() {
    on_both(|store| {
        let key = Key::Account(AccountNumber::new(1));
        let small = Record::Account(account(1, 10));
        store.commit(&put(vec![Record::Account(account(1, 50_000)), small.clone()])).unwrap();
        assert_eq!(store.get(&key).unwrap(), Some(small.clone()));

        let mut batch = put(vec![Record::Account(account(1, 60_000))]);
        batch.changes.insert(0, Change::Delete(key.clone()));
        batch.changes.push(Change::Delete(key.clone()));
        assert_eq!(store.commit(&batch).unwrap().records, 0);
        assert_eq!(store.get(&key).unwrap(), None);

        let meta = store.commit(&Batch { changes: vec![Change::Delete(key)], ..Batch::default() }).unwrap();
        assert_eq!((meta.revision, meta.records, meta.sum), (3, 0, 0));
        assert_eq!(store.load(&mut |_| {}).unwrap(), meta);
    });
}

#[test]
fn records_come_in_the_order_of_what_they_refer_to() {
    on_both(|store| {
        let group = GroupNumber::new(1);
        let records = vec![
            Record::Role(plain::role(9, "readers")),
            Record::Account(account(2, 0)),
            Record::Account(account(300, 9_000)),
            Record::Membership(Membership { group, account: AccountNumber::new(2) }),
            Record::Tombstone(super::tombstone("gone".to_owned())),
        ];
        let mut shuffled = records.clone();
        shuffled.reverse();
        store.commit(&put(shuffled)).unwrap();
        let mut seen = Vec::new();
        store.load(&mut |record| seen.push(record)).unwrap();
        assert_eq!(seen, records);
    });
}

#[test]
fn events_are_read_in_pieces() {
    on_both(|store| {
        let mut large = event(4);
        large.changes[0].after = Some("x".repeat(20_000));
        store.commit(&put((1..=3).map(|sequence| Record::Event(event(sequence))).collect())).unwrap();
        store.commit(&put(vec![Record::Event(large), Record::Event(event(5))])).unwrap();
        let sequences = |after, limit| {
            store
                .events(Trail::Changes, after, limit)
                .unwrap()
                .iter()
                .map(|event| event.sequence)
                .collect::<Vec<_>>()
        };
        assert_eq!(sequences(0, 10), [1, 2, 3, 4, 5]);
        assert_eq!(sequences(0, 2), [1, 2]);
        assert_eq!(sequences(2, 2), [3, 4]);
        assert_eq!(sequences(5, 10), [0; 0]);
        assert_eq!(sequences(u64::MAX, 10), [0; 0]);
        assert_eq!(sequences(0, 0), [0; 0]);
        let backwards = |before, limit| {
            let events = store.events_before(Trail::Changes, before, limit).unwrap();
            events.iter().map(|event| event.sequence).collect::<Vec<_>>()
        };
        assert_eq!(backwards(u64::MAX, 10), [5, 4, 3, 2, 1]);
        assert_eq!(backwards(5, 2), [4, 3]);
        assert_eq!(backwards(4, 10), [3, 2, 1]);
        for nothing in [backwards(0, 10), backwards(1, 10), backwards(5, 0)] {
            assert_eq!(nothing, [0; 0]);
        }
        // What lies before and behind the events is none.
        let usage = plain::usage(UsageOf::Account(AccountNumber::new(u32::MAX)));
        store.commit(&put(vec![Record::Account(account(1, 0)), Record::Usage(usage)])).unwrap();
        assert_eq!((sequences(0, 9).len(), backwards(9, 9).len()), (5, 5));
        let (back, forth) = (store.events_before(Trail::Changes, 5, 1), store.events(Trail::Changes, 3, 1));
        assert_eq!(back.unwrap(), forth.unwrap());
    });
}

#[test]
fn each_trail_is_read_for_itself() {
    on_both(|store| {
        // Large ones, of several items, at the ends.
        let of = |trail, sequence| {
            let mut event = Event { trail, ..event(sequence) };
            event.changes[0].after = Some("x".repeat(14_000));
            Record::Event(event)
        };
        let records =
            Trail::ALL.into_iter().flat_map(|trail| (1..=3).map(move |sequence| of(trail, sequence)));
        store.commit(&put(records.collect())).unwrap();
        for trail in Trail::ALL {
            let all = store.events(trail, 0, usize::MAX).unwrap();
            let places: Vec<EventPlace> = all.iter().map(Event::place).collect();
            assert_eq!(places, [1, 2, 3].map(|sequence| trail.at(sequence)));
            let mut back = store.events_before(trail, u64::MAX, usize::MAX).unwrap();
            back.reverse();
            assert_eq!(back, all);
            assert_eq!(store.events(trail, 3, 1).unwrap(), []);
            assert_eq!(store.events_before(trail, 1, 1).unwrap(), []);
            let second = Key::Event(trail.at(2));
            assert_eq!(store.get(&second).unwrap().map(|record| record.key()), Some(second));
        }
        store.load(&mut |record| panic!("{record:?}")).unwrap();
    });
}

/// The one trail of a version before is the trail of changes, and goes on as it was.
#[test]
fn a_store_with_one_trail_is_opened_and_has_four() {
    let mut events: Vec<Event> = (1..=9).map(event).collect();
    let mut changes = TrailState::default();
    events.iter_mut().for_each(|event| crate::audit::append(&mut changes, event));
    let trails = Trails { changes, ..Trails::default() };
    let counters = Counters { next_number: 7, next_object: 8, trails, custom_octets: 0 };
    let directory = tempfile::tempdir().unwrap();
    let put = events.iter().cloned().map(|event| Change::Put(Record::Event(event)));
    open(directory.path())
        .unwrap()
        .commit(&Batch { changes: put.collect(), counters, seeded: true, ..Batch::default() })
        .unwrap();
    super::samples::as_version_2(directory.path());
    super::as_before_the_journal(directory.path(), 1);

    let store = open(directory.path()).unwrap();
    let meta = store.load(&mut |_| {}).unwrap();
    assert_eq!((meta.revision, meta.counters), (1, counters));
    assert_eq!(store.events(Trail::Changes, 0, 100).unwrap(), events);
    assert_eq!(store.events(Trail::Logins, 0, 100).unwrap(), []);
    let mut login = Event { trail: Trail::Logins, ..event(1) };
    let mut logins = TrailState::default();
    crate::audit::append(&mut logins, &mut login);
    let counters = Counters { trails: Trails { logins, ..trails }, ..counters };
    let changes =
        vec![Change::Put(Record::Event(login.clone())), Change::Delete(Key::Event(Trail::Changes.at(1)))];
    let written = store.commit(&Batch { changes, counters, seeded: true, ..Batch::default() }).unwrap();
    drop(store);
    let store = open(directory.path()).unwrap();
    assert_eq!(store.load(&mut |_| {}).unwrap(), written);
    assert_eq!(store.events(Trail::Changes, 0, 100).unwrap(), events[1..]);
    assert_eq!(store.events(Trail::Logins, 0, 100).unwrap(), [login]);
}

#[test]
fn a_store_of_version_3_is_read_and_written_on() {
    let directory = tempfile::tempdir().unwrap();
    let gone: Vec<Record> =
        ["ada", "bob"].map(|name| Record::Tombstone(super::tombstone(name.to_owned()))).into_iter().collect();
    let changes = gone.iter().cloned().map(Change::Put).collect();
    open(directory.path()).unwrap().commit(&Batch { changes, ..Batch::default() }).unwrap();
    super::samples::as_version_3(directory.path());
    super::as_before_the_journal(directory.path(), 1);

    let store = open(directory.path()).unwrap();
    let read = |store: &dyn Store| {
        let mut records = Vec::new();
        let meta = store.load(&mut |record| records.push(record)).unwrap();
        (meta, records)
    };
    assert_eq!(read(&store).1, gone, "nobody knows when they were made");
    let made = Some(Timestamp::from_unix_seconds(1_795_000_000));
    let Record::Tombstone(bob) = &gone[1] else { panic!("{gone:?}") };
    let bob = Record::Tombstone(Tombstone { made, ..bob.clone() });
    let changes = vec![Change::Put(bob.clone())];
    let written = store.commit(&Batch { changes, ..Batch::default() }).unwrap();
    drop(store);
    assert_eq!(read(&open(directory.path()).unwrap()), (written, vec![gone[0].clone(), bob]));
}

#[test]
fn a_record_that_is_too_large_changes_nothing() {
    on_both(|store| {
        store.commit(&batch(1)).unwrap();
        let error =
            store.commit(&put(vec![Record::Event(event(2)), Record::Account(account(2, RECORD_OCTETS_MAX))]));
        assert!(matches!(error, Err(StoreError::TooLarge { .. })));
        assert_eq!(Content::of(store).unwrap(), Content::after(1));
    });
}

#[test]
fn a_store_in_memory_can_be_full() {
    let store = MemoryStore::new();
    store.set_full(true);
    assert!(store.commit(&batch(1)).unwrap_err().is_full());
    store.set_full(false);
    assert_eq!(store.commit(&batch(1)).unwrap().revision, 1);
}

#[test]
fn a_store_is_the_same_when_it_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    for revision in 1..=20 {
        let store = open(directory.path()).unwrap();
        assert_eq!(Content::of(&store).unwrap(), Content::after(revision - 1));
        store.commit(&batch(revision)).unwrap();
    }
}

#[test]
fn a_held_store_names_its_holder() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    let error = open(directory.path()).unwrap_err();
    assert!(matches!(error, StoreError::Held { holder: crate::store::Holder::Own, .. }), "{error}");
    assert!(error.is_unusable());
    drop(store);
    open(directory.path()).unwrap();
}

#[test]
fn nothing_of_it_is_readable_for_others() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("var").join("data");
    drop(open(&directory).unwrap());
    let store = open(&directory).unwrap();
    store.commit(&batch(10)).unwrap();
    let mut left = vec![directory];
    while let Some(path) = left.pop() {
        let metadata = std::fs::metadata(&path).unwrap();
        let expected = if metadata.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(metadata.permissions().mode() & 0o777, expected, "{}", path.display());
        if metadata.is_dir() {
            left.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
}

/// sled does not sync what it writes there.
#[test]
fn no_page_becomes_a_file_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    for round in 0..8 {
        for number in 0..20 {
            store.commit(&put(vec![Record::Account(account(number, 40_000 + 6_000 * round))])).unwrap();
        }
        let gone = (0..15).map(|number| Change::Delete(Key::Account(AccountNumber::new(number)))).collect();
        store.commit(&Batch { changes: gone, ..Batch::default() }).unwrap();
    }
    let blobs = std::fs::read_dir(directory.path().join("store").join("blobs")).unwrap();
    assert_eq!(blobs.count(), 0);
}

/// The log of records that were replaced is used again.
#[test]
fn the_file_does_not_grow_for_ever() {
    const PHOTO: usize = 100_000;
    const COMMITS: u32 = 400;
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    for round in 0..COMMITS {
        store.commit(&put(vec![Record::Account(account(round % 8, PHOTO))])).unwrap();
    }
    let octets = std::fs::metadata(directory.path().join("store").join("db")).unwrap().len();
    let written = u64::from(COMMITS) * PHOTO as u64;
    assert!(octets < written / 2, "{octets} octets for 8 records, {written} were written");
}

fn prepared(revision: u64) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    for revision in 1..=revision {
        store.commit(&batch(revision)).unwrap();
    }
    directory
}

/// A store that was written before there was a journal.
#[test]
fn a_store_without_a_journal_gets_one() {
    let directory = prepared(12);
    super::as_before_the_journal(directory.path(), 12);
    for _ in 0..2 {
        assert_eq!(Content::of(&open(directory.path()).unwrap()).unwrap(), Content::after(12));
        assert!(std::fs::read(directory.path().join("acknowledged")).unwrap().len() > 100);
    }

    // As after a crash between two syncs.
    let directory = prepared(12);
    super::as_before_the_journal(directory.path(), 11);
    assert_eq!(Content::of(&open(directory.path()).unwrap()).unwrap(), Content::after(12));
}

#[test]
fn a_store_behind_the_acknowledged_revision_is_refused() {
    let directory = prepared(12);
    super::as_before_the_journal(directory.path(), 13);
    let before = super::files_of(directory.path());
    let error = open(directory.path()).unwrap_err();
    assert!(matches!(error, StoreError::Behind { store: 12, acknowledged: 13, .. }), "{error}");
    assert!(error.is_unusable());
    assert_eq!(super::files_of(directory.path()), before);

    std::fs::write(directory.path().join("acknowledged"), "accept\n").unwrap();
    for _ in 0..2 {
        assert_eq!(Content::of(&open(directory.path()).unwrap()).unwrap(), Content::after(12));
    }
}

/// As after a crash between the journal and the database.
#[test]
fn a_database_behind_the_journal_is_brought_forward() {
    let directory = prepared(12);
    let kept = tempfile::tempdir().unwrap();
    copy(&directory.path().join("store"), kept.path());
    let store = open(directory.path()).unwrap();
    for revision in 13..=40 {
        store.commit(&batch(revision)).unwrap();
    }
    drop(store);
    std::fs::remove_dir_all(directory.path().join("store")).unwrap();
    copy(kept.path(), &directory.path().join("store"));
    assert_eq!(Content::of(&open(directory.path()).unwrap()).unwrap(), Content::after(40));
}

#[test]
fn checkpoints_hold_what_the_journal_held() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    for revision in 1..=120 {
        store.commit(&batch(revision)).unwrap();
        if revision % 30 == 0 {
            store.wait_for_checkpoint();
        }
    }
    let checkpoint = Ledger::read(directory.path()).unwrap().checkpoint_revision();
    assert!(checkpoint > 20, "{checkpoint}");
    assert!(journal::files_in(&ledger::path_in(directory.path())).unwrap().len() < 3);
    let mut archive = Vec::new();
    assert_eq!(
        store.write_archive(&mut archive, crate::model::Timestamp::now(), None).unwrap(),
        store.meta()
    );
    drop(store);
    assert_eq!(Content::of(&open(directory.path()).unwrap()).unwrap(), Content::after(120));
    std::fs::remove_dir_all(directory.path().join("store")).unwrap();
    assert_eq!(Content::of(&open(directory.path()).unwrap()).unwrap(), Content::after(120));

    let mut records = BTreeMap::new();
    let summary = archive::ArchiveReader::new(&*archive)
        .unwrap()
        .verify(&mut |record| {
            records.insert(format!("{:?}", record.key()), record);
        })
        .unwrap();
    assert_eq!((summary.head.meta.revision, summary.keys.is_none()), (120, true));
    records.retain(|_, record| !matches!(record, Record::Event(_)));
    assert_eq!(records, Content::after(120).records);
}

#[test]
fn a_file_that_is_gone_is_no_loss_alone() {
    let directory = prepared(12);
    std::fs::remove_file(directory.path().join("store").join("db")).unwrap();
    assert_eq!(Content::of(&open(directory.path()).unwrap()).unwrap(), Content::after(12));

    for gone in ["checkpoint", "batches.00000000000000000001"] {
        let directory = prepared(12);
        std::fs::remove_file(directory.path().join("journal").join(gone)).unwrap();
        assert_eq!(Content::of(&open(directory.path()).unwrap()).unwrap(), Content::after(12), "{gone}");
        // What cannot be used is kept.
        assert_eq!(std::fs::read_dir(directory.path().join("set-aside")).unwrap().count(), 1);
    }
}

#[test]
fn a_store_without_both_copies_or_without_any_witness_is_refused() {
    let both = |harm: &dyn Fn(&Path)| {
        let directory = prepared(12);
        harm(directory.path());
        let before = super::files_of(directory.path());
        let error = open(directory.path()).unwrap_err();
        assert!(error.is_unusable(), "{error}");
        assert_eq!(super::files_of(directory.path()), before, "{error}");
    };
    both(&|directory| {
        std::fs::remove_dir_all(directory.join("journal")).unwrap();
        std::fs::remove_file(directory.join("acknowledged")).unwrap();
    });
    both(&|directory| {
        std::fs::remove_dir_all(directory.join("journal")).unwrap();
        std::fs::write(directory.join("acknowledged"), "nonsense").unwrap();
    });
    both(&|directory| {
        std::fs::remove_dir_all(directory.join("journal")).unwrap();
        std::fs::remove_dir_all(directory.join("store")).unwrap();
    });
    both(&|directory| {
        std::fs::write(directory.join("journal").join("checkpoint"), "nonsense").unwrap();
        std::fs::remove_dir_all(directory.join("store")).unwrap();
    });
    both(&|directory| {
        std::fs::write(directory.join("journal").join("checkpoint"), "nonsense").unwrap();
        std::fs::write(directory.join("store").join("db"), vec![7; 600_000]).unwrap();
    });
    // Nothing tells how far it had come, and nothing tells that it was empty.
    for said in ["nonsense", "accept"] {
        both(&|directory| {
            std::fs::write(directory.join(super::newest_batches(directory)), "nonsense").unwrap();
            std::fs::write(directory.join("journal").join("checkpoint"), "nonsense").unwrap();
            std::fs::write(directory.join("acknowledged"), said).unwrap();
            std::fs::remove_dir_all(directory.join("store")).unwrap();
        });
    }
}

#[test]
fn of_two_stores_nobody_knows_which_is_meant() {
    let (one, other) = (prepared(12), prepared(20));
    for parts in [&["store"][..], &["store", "acknowledged"], &["journal"], &["journal", "acknowledged"]] {
        let mixed = tempfile::tempdir().unwrap();
        copy(one.path(), mixed.path());
        for part in parts.iter().map(Path::new) {
            let (from, to) = (other.path().join(part), mixed.path().join(part));
            if from.is_dir() {
                std::fs::remove_dir_all(&to).unwrap();
                copy(&from, &to);
            } else {
                std::fs::copy(from, to).unwrap();
            }
        }
        let before = super::files_of(mixed.path());
        let refused = open(mixed.path()).unwrap_err();
        let said = refused.to_string();
        assert!(refused.is_unusable() && said.contains("two lives of one"), "{parts:?}: {said}");
        let after = super::files_of(mixed.path());
        let changed =
            before.iter().filter(|(path, octets)| after.get(*path) != Some(*octets)).map(|(path, _)| path);
        assert_eq!(changed.collect::<Vec<_>>(), Vec::<&std::path::PathBuf>::new(), "{parts:?}");
        assert!(after.keys().eq(before.keys()), "{parts:?}");
        // As the refusal says.
        for (moved, revision) in [("store", [20, 12]), ("journal", [12, 20])] {
            let kept = tempfile::tempdir().unwrap();
            copy(mixed.path(), kept.path());
            std::fs::remove_dir_all(kept.path().join(moved)).unwrap();
            std::fs::write(kept.path().join("acknowledged"), "accept\n").unwrap();
            let expected = revision[usize::from(parts.contains(&"store"))];
            assert_eq!(
                Content::of(&open(kept.path()).unwrap()).unwrap(),
                Content::after(expected),
                "{parts:?}"
            );
        }
        // Where the database cannot be read, `acknowledged` says that the journal is another's.
        if parts == ["journal"] {
            for harm in ["gone", "cut"] {
                let kept = tempfile::tempdir().unwrap();
                copy(mixed.path(), kept.path());
                match harm {
                    "gone" => std::fs::remove_dir_all(kept.path().join("store")).unwrap(),
                    _ => std::fs::write(kept.path().join("store/db"), "cut").unwrap(),
                }
                let said = open(kept.path()).unwrap_err().to_string();
                assert!(said.contains("two lives of one") && said.contains("acknowledged"), "{harm}: {said}");
            }
        }
    }
}

/// What the checksums and the revision notice when the database itself does not; alone, it is no loss.
#[test]
fn a_wrong_record_in_a_sound_database_is_noticed() {
    let damage = |harm: &dyn Fn(&::sled::Db)| {
        let directory = prepared(12);
        let database = sled_of(directory.path());
        harm(&database);
        drop(database);
        let copied = tempfile::tempdir().unwrap();
        copy(directory.path(), copied.path());
        assert_eq!(Content::of(&open(copied.path()).unwrap()).unwrap(), Content::after(12));
        super::as_before_the_journal(directory.path(), 12);
        match open(directory.path()).and_then(|store| Content::of(&store)) {
            Err(StoreError::Damaged { damage: Damage::Both { database, .. }, .. }) => database,
            other => panic!("{other:?}"),
        }
    };
    let key = |key: Key| crate::store::record::item_key(&crate::store::record::name_of(&key), 0);
    let membership = |account| key(Key::Membership(GroupNumber::new(1), AccountNumber::new(account)));
    let account = batch(12)
        .changes
        .iter()
        .find_map(|change| match change {
            Change::Put(Record::Account(account)) => Some(account.number.get()),
            _ => None,
        })
        .unwrap();

    let lost = damage(&|database| assert!(database.remove(membership(account)).unwrap().is_some()));
    assert_eq!(lost, Damage::Count { found: 37, expected: 38 }.to_string());

    let moved = damage(&|database| {
        let value = database.remove(membership(account)).unwrap().unwrap();
        database.insert(membership(99), value).unwrap();
    });
    assert_eq!(
        moved,
        Damage::Checksum { item: "the membership of account 99 in group 1".to_owned() }.to_string()
    );

    let old = damage(&|database| {
        let number = AccountNumber::new(account);
        let (key, value) = crate::store::record::encode(&Record::Account(super::account(number.get(), 7)))
            .unwrap()
            .remove(0);
        assert!(database.insert(key, value).unwrap().is_some());
    });
    assert_eq!(old, Damage::Sum.to_string());

    let without_meta = damage(&|database| {
        database.remove(crate::store::record::meta_key()).unwrap();
    });
    assert_eq!(without_meta, Damage::MetaMissing.to_string());
}

#[test]
fn a_newer_store_is_told_apart() {
    let directory = prepared(3);
    let database = sled_of(directory.path());
    let key = crate::store::record::meta_key();
    let mut value = database.get(&key).unwrap().unwrap().to_vec();
    value[0] = crate::store::record::VERSION + 1;
    crate::store::record::seal_again(&key, &mut value);
    database.insert(&*key, &*value).unwrap();
    drop(database);
    let error = open(directory.path()).unwrap_err();
    let known = crate::store::record::VERSION;
    let is_told =
        matches!(error, StoreError::TooNew { version, known: of, .. } if (version, of) == (known + 1, known));
    assert!(is_told, "{error}");
    assert!(error.is_unusable());

    let directory = prepared(3);
    let newest = Ledger::read(directory.path()).unwrap();
    let mut journal = journal::Journal::go_on(newest.newest().unwrap()).unwrap();
    journal.append(4, &std::iter::once((key, Some(value))).collect()).unwrap();
    let before = super::files_of(directory.path());
    let error = open(directory.path()).unwrap_err();
    let known = crate::store::record::VERSION;
    let is_told =
        matches!(error, StoreError::TooNew { version, known: of, .. } if (version, of) == (known + 1, known));
    assert!(is_told, "{error}");
    assert_eq!(super::files_of(directory.path()), before);
}

/// Whoever reads the pieces, in whatever order: all of them are needed, and what is wrong with one is told.
#[test]
fn what_was_not_read_is_not_taken_for_whole() {
    on_both(|store| {
        for revision in 1..=30 {
            store.commit(&batch(revision)).unwrap();
        }
        store
            .commit(&put((1_000..1_009).map(|number| Record::Account(account(number, 40_000))).collect()))
            .unwrap();
        let stored = || {
            let mut pieces = Vec::new();
            let loaded = store.load_stored(&mut |stored| pieces.push(stored)).unwrap();
            (pieces, loaded)
        };
        let (pieces, loaded) = stored();
        assert!(pieces.len() > 2, "{}", pieces.len());
        let first = pieces.iter().map(Stored::is_first).collect::<Vec<_>>();
        assert!(first.is_sorted_by(|one, next| one >= next) && first[0], "{first:?}");
        let read = std::sync::Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for stored in pieces.into_iter().rev() {
                let read = &read;
                scope.spawn(move || stored.read(&mut |record| read.lock().unwrap().push(record.key())));
            }
        });
        let mut read = read.into_inner().unwrap();
        read.sort_unstable();
        let mut expected = Vec::new();
        assert_eq!(loaded.finish().unwrap(), store.load(&mut |record| expected.push(record.key())).unwrap());
        expected.sort_unstable();
        assert_eq!(read, expected);
        for unread in 0..stored().0.len() {
            let (mut pieces, loaded) = stored();
            pieces.remove(unread);
            pieces.into_iter().for_each(|stored| stored.read(&mut |_| {}));
            assert!(matches!(loaded.finish(), Err(StoreError::Io { .. })), "{unread}");
        }
    });
}

/// The first block of an archive says how long it is; nothing is read behind what one can have.
#[test]
fn a_wrong_length_of_a_block_takes_no_memory() {
    let store = MemoryStore::new();
    store.commit(&batch(1)).unwrap();
    let mut octets = Vec::new();
    store.write_archive(&mut octets, crate::model::Timestamp::now(), None).unwrap();
    let longest = 1024 * 1024_u32;
    for (length, taken_max) in [(u32::MAX, 64), (longest + 1, 64), (longest, longest as usize + 64)] {
        let mut wrong = octets.clone();
        wrong[13..17].copy_from_slice(&length.to_le_bytes());
        let mut taken = 0;
        let error = {
            let endless = std::io::Read::chain(&*wrong, std::io::repeat(7));
            let counted = Counted { input: endless, taken: &mut taken };
            archive::ArchiveReader::new(counted).err().unwrap()
        };
        assert!(matches!(error, archive::ArchiveError::Damaged { at: 0 }), "{length}: {error}");
        assert!(taken <= taken_max, "{length}: {taken}");
        // The same by who goes through the heads alone.
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&wrong, 0).unwrap();
        file.set_len(1 << 33).unwrap();
        assert!(archive::check(&file).is_err(), "{length}");
    }
}

struct Counted<'a, R> {
    input: R,
    taken: &'a mut usize,
}

impl<R: std::io::Read> std::io::Read for Counted<'_, R> {
    fn read(&mut self, octets: &mut [u8]) -> std::io::Result<usize> {
        let taken = self.input.read(octets)?;
        *self.taken += taken;
        Ok(taken)
    }
}

/// However an archive is damaged, it is refused by who reads it from its beginning to its end and by who checks its blocks.
#[test]
fn blocks_of_an_archive_are_checked_as_they_are_read() {
    let store = MemoryStore::new();
    store.commit(&put((1..90).map(|number| Record::Account(account(number, 40_000))).collect())).unwrap();
    let mut whole = Vec::new();
    store.write_archive(&mut whole, crate::model::Timestamp::now(), None).unwrap();
    let file = tempfile::tempfile().unwrap();
    let revision = |octets: &[u8]| {
        file.set_len(0).unwrap();
        file.write_all_at(octets, 0).unwrap();
        let checked = archive::check(&file).map(|head| head.meta.revision).ok();
        let reader = archive::ArchiveReader::new(octets);
        let read = reader.and_then(|reader| reader.read::<archive::ArchiveError>(|_, _| Ok(())));
        assert_eq!(checked, read.map(|summary| summary.head.meta.revision).ok());
        checked
    };
    assert_eq!(revision(&whole), Some(1));
    assert_eq!(revision(&[&*whole, b"x"].concat()), None);
    for at in (0..whole.len()).step_by(whole.len() / 40).chain(whole.len() - 40..whole.len()) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        assert_eq!(revision(&flipped), None, "{at}");
        assert_eq!(revision(&whole[..at]), None, "{at}");
    }
}
