//! Backups, stores made of them, and what comes out of damaged ones.

use std::io::Write;

use super::*;
use crate::model::EventDigest;
use crate::store::backup::{BackupError, Examined, examine};
use crate::store::new_file::{FileError, NewFile};
use crate::store::own_files::is_own_name;
use crate::store::record::Item;
use crate::store::restore::{Existing, Restoration, has_store};
use crate::store::salvage::{SalvageRules, Salvaged};
use crate::store::{ledger, read_directory, salvage::salvage, successor};

/// The sample batches without what they leave behind: nothing refers to what is not there.
fn sound(revision: u64) -> Batch {
    let mut batch = batch(revision);
    batch.changes.retain(|change| !matches!(change, Change::Put(Record::Membership(_))));
    for change in &mut batch.changes {
        if let Change::Put(Record::Account(account)) = change {
            account.roles.clear();
        }
    }
    batch
}

fn filled(directory: &Path, revision: u64) {
    filled_on(directory, 1..=revision);
}

fn filled_on(directory: &Path, revisions: std::ops::RangeInclusive<u64>) {
    let store = open(directory).unwrap();
    for next in revisions {
        store.commit(&sound(next)).unwrap();
        store.wait_for_checkpoint();
    }
}

fn back_up(store: &dyn Store, path: &Path) -> Examined {
    let mut file = NewFile::create(path, false).unwrap();
    store
        .write_archive(&mut file, crate::model::Timestamp::now(), Some(&Secret::from("the key".to_owned())))
        .unwrap();
    file.finish(examine).unwrap()
}

fn restore(backup: &Path, directory: &Path) -> Result<(Meta, Option<PathBuf>), BackupError> {
    let key = Secret::from("another key".to_owned());
    let restoration = Restoration::begin(directory)?;
    let drafted = restoration.draft(backup, "token.key", Some(&key), None)?;
    Ok(restoration.finish(drafted)?)
}

fn rescue(directory: &Path, output: &Path) -> Result<Salvaged, BackupError> {
    let rules = SalvageRules {
        digest: &|event| EventDigest::new([event.sequence as u8; 32]),
        misfit: &|_, _| None,
        name_key: &|name| name.to_lowercase().into_bytes(),
    };
    let mut file = NewFile::create(output, true)?;
    let salvaged = salvage(directory, output.parent().unwrap(), &rules, &mut file)?;
    file.finish(crate::store::backup::verify)?;
    Ok(salvaged)
}

/// What a backup gives a store that is made of it, but for its numbers.
fn content_of(backup: &Path) -> Content {
    let directory = tempfile::tempdir().unwrap();
    let (meta, _) = restore(backup, directory.path()).unwrap();
    let store = open(directory.path()).unwrap();
    assert_eq!(store.meta(), meta);
    Content::of(&store).unwrap()
}

#[test]
fn a_backup_holds_one_revision_whatever_is_committed_meanwhile() {
    let place = tempfile::tempdir().unwrap();
    let store = open(&place.path().join("data")).unwrap();
    for next in 1..=30 {
        store.commit(&sound(next)).unwrap();
    }
    /// Commits while it is written to.
    struct Meanwhile<'a>(NewFile, &'a DiskStore, u64);
    impl Write for Meanwhile<'_> {
        fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
            self.2 += 1;
            self.1.commit(&sound(self.2)).unwrap();
            self.0.write(octets)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            self.0.flush()
        }
    }
    let backup = place.path().join("one.backup");
    let mut file = Meanwhile(NewFile::create(&backup, false).unwrap(), &store, 30);
    let meta = store.write_archive(&mut file, crate::model::Timestamp::now(), None).unwrap();
    assert!(file.2 > 31);
    let examined = file.0.finish(examine).unwrap();
    assert_eq!((meta.revision, examined.contents.counts.meta), (30, meta));
    assert!(examined.keys.is_none());
    let content = content_of(&backup);
    assert!(content == Content::after_batches(30, sound));
}

#[test]
fn a_store_of_a_backup_is_another_life_and_the_one_before_is_set_aside() {
    let place = tempfile::tempdir().unwrap();
    let (data, backup) = (place.path().join("data"), place.path().join("one.backup"));
    filled(&data, 20);
    let before = back_up(&open(&data).unwrap(), &backup);
    let again = NewFile::create(&backup, false).unwrap_err();
    assert!(matches!(again, FileError::Exists { .. }));
    std::fs::write(data.join("token.key"), "the key").unwrap();
    let store = open(&data).unwrap();
    let held = Restoration::begin(&data).unwrap_err();
    assert!(matches!(held, StoreError::Held { .. }));
    store.commit(&sound(21)).unwrap();
    drop(store);
    match Restoration::begin(&data).unwrap().existing() {
        Existing::Readable(contents) => assert_eq!(contents.counts.meta.revision, 21),
        other => panic!("{other:?}"),
    }

    let (meta, aside) = restore(&backup, &data).unwrap();
    assert_ne!(meta.incarnation, before.contents.counts.meta.incarnation);
    assert_eq!(
        Meta { incarnation: before.contents.counts.meta.incarnation, ..meta },
        before.contents.counts.meta
    );
    let store = open(&data).unwrap();
    assert!(Content::of(&store).unwrap() == Content::after_batches(20, sound));
    store.commit(&sound(21)).unwrap();
    drop(store);
    assert_eq!(std::fs::read(data.join("token.key")).unwrap(), b"another key");
    let aside = aside.unwrap();
    assert_eq!(std::fs::read(aside.join("token.key")).unwrap(), b"the key");
    let store = open(&aside).unwrap();
    assert!(Content::of(&store).unwrap() == Content::after_batches(21, sound));
}

/// Files belong to a uidNumber, a log names an event by its number, and what has expired stays so.
#[test]
fn what_a_replaced_store_has_given_is_not_given_again() {
    let place = tempfile::tempdir().unwrap();
    let (data, backup) = (place.path().join("data"), place.path().join("one.backup"));
    filled(&data, 20);
    let store = open(&data).unwrap();
    let earlier = back_up(&store, &backup).contents.counts.meta;
    let belief = Some(Belief::of(Timestamp::from_unix_seconds(1_900_000_000)));
    let mut later = sound(21);
    (later.counters.next_number, later.counters.next_object, later.belief) = (900, 800, belief);
    later.counters.trails.changes.next = 70;
    later.counters.trails.logins.next = 30;
    let replaced = store.commit(&later).unwrap();
    drop(store);
    let restoration = Restoration::begin(&data).unwrap();
    let drafted = restoration.draft(&backup, "token.key", None, Some(&replaced)).unwrap();
    let (meta, _) = restoration.finish(drafted).unwrap();
    let store = open(&data).unwrap();
    assert_eq!(store.meta(), meta);
    assert_eq!(store.load(&mut |_| {}).unwrap(), meta);
    assert_eq!((meta.counters.next_number, meta.counters.next_object, meta.belief), (900, 800, belief));
    assert_eq!((meta.revision, meta.records, meta.sum), (earlier.revision, earlier.records, earlier.sum));
    let (trails, before) = (meta.counters.trails, earlier.counters.trails);
    // The chain is the one of the backup, and goes on behind the numbers.
    assert_eq!(trails.changes, TrailState { next: 70, ..before.changes });
    assert_eq!(trails.logins, TrailState { first: 30, next: 30, ..before.logins });
    assert_eq!(trails.custom, before.custom);
    // One that is behind takes nothing back.
    drop(store);
    let restoration = Restoration::begin(&data).unwrap();
    let drafted = restoration.draft(&backup, "token.key", None, Some(&Meta::default())).unwrap();
    let (meta, _) = restoration.finish(drafted).unwrap();
    assert_eq!((meta.counters, meta.belief), (earlier.counters, earlier.belief));
}

/// A store at revision 6 with a key, and a backup of its revision 5.
fn with_backup(place: &Path) -> (PathBuf, PathBuf) {
    let (data, backup) = (place.join("data"), place.join("one.backup"));
    filled(&data, 5);
    back_up(&open(&data).unwrap(), &backup);
    open(&data).unwrap().commit(&sound(6)).unwrap();
    std::fs::write(data.join("token.key"), "the key").unwrap();
    (data, backup)
}

/// Opened again and again, it is the store before, or the one of the backup, with the key of the same.
fn is_one_of_two(data: &Path, is_new: bool, context: &str) {
    let (revision, key) = if is_new { (5, "another key") } else { (6, "the key") };
    for _ in 0..2 {
        let store = open(data).unwrap();
        assert!(Content::of(&store).unwrap() == Content::after_batches(revision, sound), "{context}");
        assert_eq!(std::fs::read_to_string(data.join("token.key")).unwrap(), key, "{context}");
    }
    for name in ["successor.new", "successor", "journal.new"] {
        assert!(!data.join(name).exists(), "{context}: {name}");
    }
}

/// Killed at any point of its work, a restore leaves the store before or the new one.
#[test]
fn a_restore_that_is_killed_leaves_one_of_the_two() {
    let place = tempfile::tempdir().unwrap();
    let (data, backup) = with_backup(place.path());
    let drafted = place.path().join("drafted");
    let restoration = Restoration::begin(&data).unwrap();
    let draft = restoration.draft(&backup, "token.key", Some(&Secret::from("another key".to_owned())), None);
    copy(&data, &drafted);
    drop((draft, restoration));
    is_one_of_two(&data, false, "given up");

    // What is not decided on is nothing, whatever else is lost; what a version before has left is neither.
    for lost in ["nothing", "journal", "store"] {
        for name in ["successor.new", "journal.new"] {
            let killed = tempfile::tempdir().unwrap();
            copy(&drafted, killed.path());
            if name == "journal.new" {
                std::fs::rename(killed.path().join("successor.new/journal"), killed.path().join(name))
                    .unwrap();
            }
            let _ = std::fs::remove_dir_all(killed.path().join(lost));
            is_one_of_two(killed.path(), false, &format!("{name} without {lost}"));
        }
    }
    // What is decided on is put into its place, from wherever that was left.
    for moved in 0..=MOVES.len() {
        let killed = decided(&drafted, moved);
        let at = |name: &str| killed.path().join(name);
        is_new_to_readers(killed.path(), place.path());
        is_one_of_two(killed.path(), true, &format!("after {moved} moves"));
        let before = open(&at("set-aside/replaced.1")).unwrap();
        assert!(Content::of(&before).unwrap() == Content::after_batches(6, sound), "{moved}");
        let names = std::fs::read_dir(at("set-aside")).unwrap().map(|entry| entry.unwrap().file_name());
        let replaced = names.filter(|name| name.to_str().unwrap().starts_with("replaced"));
        assert_eq!(replaced.count(), 1, "{moved}");
    }
}

/// What a restore does when it has decided, in this order.
const MOVES: [(&str, &str); 5] = [
    ("journal", "set-aside/replaced.1/journal"),
    ("store", "set-aside/replaced.1/store"),
    ("acknowledged", "set-aside/replaced.1/acknowledged"),
    ("successor/token.key", "token.key"),
    ("successor/journal", "journal"),
];

/// A copy of a data directory with a draft, of a restore that was killed when it had decided and done so many of these.
fn decided(drafted: &Path, moved: usize) -> tempfile::TempDir {
    let killed = tempfile::tempdir().unwrap();
    copy(drafted, killed.path());
    let at = |name: &str| killed.path().join(name);
    let place = Path::new("set-aside/replaced.1");
    std::fs::write(at("successor.new/aside"), successor::sealed(place)).unwrap();
    std::fs::create_dir_all(killed.path().join(place)).unwrap();
    std::fs::rename(at("successor.new"), at("successor")).unwrap();
    for (from, to) in &MOVES[..moved] {
        std::fs::rename(at(from), at(to)).unwrap();
    }
    killed
}

/// Whoever only reads, and a salvage, finds the new store wherever it lies, and changes nothing.
fn is_new_to_readers(data: &Path, place: &Path) {
    let expected = Content::after_batches(5, sound);
    assert!(has_store(data));
    let files = files_of(data);
    let read = read_directory(data).unwrap().unwrap();
    assert!(Content::of(&read).unwrap() == expected);
    let key = std::fs::read_to_string(successor::beside_store(data, "token.key"));
    assert_eq!(key.unwrap(), "another key");
    let salvaged = place.join("salvaged");
    rescue(data, &salvaged).unwrap();
    assert!(content_of(&salvaged).records == expected.records);
    assert!(files_of(data) == files);
}

/// Where the few octets are harmed that say where the store goes that is there, both are whole all the same.
#[test]
fn a_restore_that_does_not_know_where_all_goes_takes_another_place() {
    let place = tempfile::tempdir().unwrap();
    let (data, backup) = with_backup(place.path());
    let drafted = place.path().join("drafted");
    let restoration = Restoration::begin(&data).unwrap();
    let draft = restoration.draft(&backup, "token.key", Some(&Secret::from("another key".to_owned())), None);
    copy(&data, &drafted);
    drop((draft, restoration));
    type Harm = dyn Fn(&Path, Vec<u8>);
    let harms: [&Harm; 6] = [
        &|path, _| std::fs::write(path, "").unwrap(),
        &|path, octets| std::fs::write(path, &octets[..octets.len() / 2]).unwrap(),
        &|path, octets| std::fs::write(path, &octets[..15]).unwrap(),
        &|path, mut octets| {
            octets[0] ^= 0x80;
            std::fs::write(path, octets).unwrap();
        },
        &|path, octets| std::fs::write(path, vec![0; octets.len()]).unwrap(),
        &|path, _| {
            std::fs::remove_file(path).unwrap();
            std::fs::create_dir(path).unwrap();
        },
    ];
    for (number, harm) in harms.iter().enumerate() {
        for moved in 0..MOVES.len() {
            let context = format!("harm {number} after {moved} moves");
            let killed = decided(&drafted, moved);
            let path = killed.path().join("successor/aside");
            harm(&path, std::fs::read(&path).unwrap());
            is_new_to_readers(killed.path(), place.path());
            is_one_of_two(killed.path(), true, &context);
            let places = std::fs::read_dir(killed.path().join("set-aside")).unwrap();
            let places = places.map(|entry| entry.unwrap().path());
            let before = places.filter(|place| place.join("journal").exists());
            let before: Vec<PathBuf> = before.collect();
            assert_eq!(before.len(), 1, "{context}");
            let before = open(&before[0]).unwrap();
            assert!(Content::of(&before).unwrap() == Content::after_batches(6, sound), "{context}");
        }
    }
}

/// Ended when it is about to say where else all goes, it has said it, or the next start does.
#[test]
fn a_start_that_fails_as_it_takes_another_place_loses_nothing() {
    let Some(disk) = full::SmallDisk::mount_with("size=64m,nr_inodes=400") else { return };
    let place = tempfile::tempdir().unwrap();
    let (data, backup) = with_backup(place.path());
    let drafted = place.path().join("drafted");
    let restoration = Restoration::begin(&data).unwrap();
    let draft = restoration.draft(&backup, "token.key", Some(&Secret::from("another key".to_owned())), None);
    copy(&data, &drafted);
    drop((draft, restoration));
    for moved in 0..MOVES.len() {
        let context = format!("after {moved} moves");
        let there = disk.data();
        copy(decided(&drafted, moved).path(), &there);
        std::fs::write(there.join("successor/aside"), "nobody can read this").unwrap();
        let before = files_of(&there);
        let others: Vec<PathBuf> = (0..)
            .map(|number: u32| there.with_file_name(number.to_string()))
            .take_while(|path| std::fs::File::create(path).is_ok())
            .collect();
        open(&there).unwrap_err();
        assert!(files_of(&there) == before, "{context}");
        others.iter().for_each(|path| std::fs::remove_file(path).unwrap());
        is_new_to_readers(&there, place.path());
        is_one_of_two(&there, true, &context);
        let places = std::fs::read_dir(there.join("set-aside")).unwrap();
        let places: Vec<PathBuf> = places.map(|entry| entry.unwrap().path()).collect();
        // What had moved is where it was, and the rest is together.
        for part in ["journal", "store", "acknowledged"] {
            let of_part = places.iter().filter(|place| place.join(part).exists());
            assert_eq!(of_part.count(), 1, "{context}: {part} in {places:?}");
        }
        std::fs::remove_dir_all(there).unwrap();
    }
}

/// What cannot be put into its place is there all the same, and the refusal says how to come to it.
#[test]
fn a_restore_that_cannot_come_to_its_end_loses_nothing() {
    let place = tempfile::tempdir().unwrap();
    let (data, backup) = with_backup(place.path());
    let drafted = place.path().join("drafted");
    let restoration = Restoration::begin(&data).unwrap();
    let draft = restoration.draft(&backup, "token.key", Some(&Secret::from("another key".to_owned())), None);
    copy(&data, &drafted);
    drop((draft, restoration));
    let killed = decided(&drafted, 0);
    let aside = killed.path().join("set-aside");
    std::fs::remove_dir_all(&aside).unwrap();
    std::fs::write(&aside, "in its way").unwrap();
    for _ in 0..2 {
        let error = open(killed.path()).unwrap_err();
        assert!(matches!(error, StoreError::Unfinished { .. }), "{error}");
        assert!(error.to_string().contains("bindery salvage"), "{error}");
        is_new_to_readers(killed.path(), place.path());
    }
    std::fs::remove_file(&aside).unwrap();
    is_one_of_two(killed.path(), true, "once there is room");
}

/// What only has the name of something that a store makes keeps nobody from it.
#[test]
fn strays_with_names_of_the_store_are_set_aside() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    filled(&data, 6);
    let expected = Content::after_batches(6, sound);
    let strays: [&dyn Fn(&Path); 4] = [
        &|path| std::fs::write(path, "somebody's").unwrap(),
        &|path| std::os::unix::fs::symlink("/nonexistent/somewhere", path).unwrap(),
        &|path| std::os::unix::fs::symlink(path, path).unwrap(),
        &|path| {
            std::fs::create_dir(path).unwrap();
            std::fs::write(path.join("store"), "somebody's").unwrap();
        },
    ];
    for name in ["successor", "successor.new", "journal.new", "store.new", "store.old"] {
        assert!(is_own_name(name));
        for (number, stray) in strays.iter().enumerate() {
            let context = format!("{name}, stray {number}");
            let copied = place.path().join("copied");
            copy(&data, &copied);
            stray(&copied.join(name));
            assert!(
                Content::of(&read_directory(&copied).unwrap().unwrap()).unwrap() == expected,
                "{context}"
            );
            for _ in 0..2 {
                let store = open(&copied).unwrap_or_else(|error| panic!("{context}: {error}"));
                assert!(Content::of(&store).unwrap() == expected, "{context}");
                store.compact().unwrap_or_else(|error| panic!("{context}: {error}"));
            }
            assert!(
                !copied.join("successor").is_symlink() && !copied.join("successor").exists(),
                "{context}"
            );
            std::fs::remove_dir_all(copied).unwrap();
        }
    }
}

/// Whether it can be, is known before anything is moved.
#[test]
fn a_start_that_is_refused_moves_no_stray() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    filled(&data, 6);
    std::fs::write(data.join("journal/checkpoint"), "no checkpoint").unwrap();
    let without = |name: &str| std::fs::rename(data.join(name), place.path().join(name)).unwrap();
    let db = std::fs::read(data.join("store/db")).unwrap();
    without("store");
    for name in ["successor", "successor.new", "journal.new", "store.new", "store.old"] {
        let stray = data.join(name);
        std::fs::create_dir(&stray).unwrap();
        std::fs::write(stray.join("db"), &db[..db.len() / 3]).unwrap();
        let before = files_of(&data);
        let error = open(&data).unwrap_err();
        assert!(error.is_unusable(), "{name}: {error}");
        assert!(files_of(&data).keys().eq(before.keys()), "{name}: {:?}", files_of(&data).keys());
        assert!(files_of(&data) == before, "{name}");
        std::fs::remove_dir_all(stray).unwrap();
    }
}

#[test]
fn a_restore_that_fails_leaves_what_was_there() {
    let place = tempfile::tempdir().unwrap();
    let (data, backup) = with_backup(place.path());
    let aside = data.join("set-aside");
    std::fs::write(&aside, "in its way").unwrap();
    restore(&backup, &data).unwrap_err();
    is_one_of_two(&data, false, "nothing can be set aside");
    // Of a damaged store too: its database is whole.
    std::fs::remove_dir_all(data.join("journal")).unwrap();
    restore(&backup, &data).unwrap_err();
    std::fs::remove_file(&aside).unwrap();
    is_one_of_two(&data, false, "nothing can be set aside of a damaged store");

    // `set-aside` is on another disk.
    let Ok(other) = tempfile::tempdir_in("/dev/shm") else {
        crate::rounds::skip("there is no /dev/shm");
        return;
    };
    if std::fs::rename(data.join("token.key"), other.path().join("token.key")).is_ok() {
        crate::rounds::skip("there is no other file system");
        return;
    }
    std::os::unix::fs::symlink(other.path(), &aside).unwrap();
    let error = restore(&backup, &data).unwrap_err();
    assert!(error.to_string().contains("a link to another disk"), "{error}");
    assert!(open(&data).unwrap_err().to_string().contains("a link to another disk"));
    std::fs::remove_file(&aside).unwrap();
    is_one_of_two(&data, false, "what is set aside would go to another disk");
    assert_eq!(std::fs::read_dir(other.path()).unwrap().count(), 0);
}

#[test]
fn a_file_that_is_no_whole_backup_becomes_no_store() {
    let place = tempfile::tempdir().unwrap();
    let (data, backup) = (place.path().join("data"), place.path().join("one.backup"));
    filled(&data, 12);
    back_up(&open(&data).unwrap(), &backup);
    let whole = std::fs::read(&backup).unwrap();
    let target = place.path().join("target");
    for round in 0..u64::from(crate::rounds::rounds(20)) {
        let at = (round * 7_919 % whole.len() as u64) as usize;
        let mut octets = whole.clone();
        if round % 2 == 0 {
            octets[at] ^= 1 << (round % 8);
        } else {
            octets.truncate(at);
        }
        std::fs::write(&backup, octets).unwrap();
        for error in [examine(&backup).unwrap_err(), verify(&backup).unwrap_err()] {
            assert!(error.is_unusable(), "{at}: {error}");
        }
        assert!(restore(&backup, &target).unwrap_err().is_unusable());
        assert!(!has_store(&target), "{at}");
    }
}

#[test]
fn all_of_a_store_comes_out_of_each_of_its_copies() {
    let place = tempfile::tempdir().unwrap();
    let (data, output) = (place.path().join("data"), place.path().join("left.backup"));
    filled(&data, 60);
    let expected = Content::after_batches(60, sound);
    for gone in ["nothing", "store", "journal", "journal/checkpoint"] {
        let copied = place.path().join("copied");
        copy(&data, &copied);
        let path = copied.join(gone);
        let _ = std::fs::remove_dir_all(&path).or_else(|_| std::fs::remove_file(&path));
        let files = files_of(&copied);
        let salvaged = rescue(&copied, &output).unwrap();
        assert!(files_of(&copied) == files, "without {gone}: the files are as they were");
        assert!(content_of(&output).records == expected.records, "without {gone}");
        if gone != "nothing" {
            // A file that the disk does not give, also where a directory should be.
            std::os::unix::fs::symlink("/proc/self/mem", &path).unwrap();
        }
        let salvaged_too = rescue(&copied, &output).unwrap();
        assert_eq!(salvaged_too.missing, salvaged.missing, "{gone}: {salvaged_too:?}");
        let content = content_of(&output);
        assert!(content.records == expected.records, "without {gone}: {salvaged:#?}");
        assert!(content.events == expected.events, "without {gone}");
        assert!(salvaged.missing.is_empty() && salvaged.left_out.is_empty(), "without {gone}: {salvaged:?}");
        std::fs::remove_dir_all(copied).unwrap();
    }
}

/// Whatever is harmed, what comes out was once in the store, and makes a store.
#[test]
fn what_comes_out_of_damaged_files_was_in_them() {
    let place = tempfile::tempdir().unwrap();
    let (data, output) = (place.path().join("data"), place.path().join("left.backup"));
    filled(&data, 60);
    let mut history = std::collections::BTreeSet::new();
    for batch in (1..=60).map(sound) {
        for change in batch.changes {
            if let Change::Put(record) = change {
                history.insert(format!("{record:?}"));
            }
        }
    }
    let files: Vec<PathBuf> = files_of(&data).into_keys().collect();
    let mut kept = Vec::new();
    for round in 0..u64::from(crate::rounds::rounds(12)) {
        let copied = place.path().join("copied");
        copy(&data, &copied);
        // A flip in each of the three, a hole in one of them.
        for (number, file) in files.iter().enumerate() {
            let path = copied.join(file);
            let mut octets = std::fs::read(&path).unwrap();
            if octets.is_empty() {
                continue;
            }
            let written = octets.iter().rposition(|octet| *octet != 0).unwrap_or_default() + 1;
            let at = ((round + 1) * 104_729 * (number as u64 + 3) % written as u64) as usize;
            octets[at] ^= 0xff;
            if round % files.len() as u64 == number as u64 {
                let end = (at + 4_096).min(octets.len());
                octets[at..end].fill(0);
            }
            std::fs::write(path, octets).unwrap();
        }
        match rescue(&copied, &output) {
            Ok(salvaged) => {
                let content = content_of(&output);
                let records = content.records.into_values();
                for record in records.chain(content.events.into_iter().map(Record::Event)) {
                    assert!(history.contains(&format!("{record:?}")), "round {round}: {record:?}");
                }
                kept.push(salvaged.records);
            }
            Err(error) => assert!(error.is_unusable(), "round {round}: {error}"),
        }
        std::fs::remove_dir_all(copied).unwrap();
    }
    let all = Content::after_batches(60, sound).meta.1;
    assert!(kept.iter().any(|records| *records >= all * 3 / 4), "{kept:?} of {all}");
}

/// What refers to something that is not there gives nobody new what was another's.
#[test]
fn what_belongs_to_what_is_missing_is_left_out() {
    let place = tempfile::tempdir().unwrap();
    let (data, output) = (place.path().join("data"), place.path().join("left.backup"));
    let store = open(&data).unwrap();
    // Memberships in group 1, which there is none of, of accounts that hold role 1, which there is none of.
    store.commit(&batch(1)).unwrap();
    let token = plain::token(900, AccountNumber::new(700));
    let counters = store.meta().counters;
    let changes = vec![Change::Put(Record::Token(token))];
    store.commit(&Batch { changes, counters, ..batch(2) }).unwrap();
    drop(store);
    let salvaged = rescue(&data, &output).unwrap();
    let missing: Vec<_> = salvaged.missing.iter().map(|missing| (missing.kind, missing.number)).collect();
    assert!(missing.contains(&("group", 1)) && missing.contains(&("role", 1)), "{missing:?}");
    assert!(missing.contains(&("account", 700)), "{missing:?}");
    assert!(salvaged.left_out.iter().any(|title| title.contains("token-900")), "{salvaged:?}");
    assert!(salvaged.changed.iter().any(|title| title.starts_with("account")), "{salvaged:?}");
    let content = content_of(&output);
    for record in content.records.values() {
        assert!(!matches!(record, Record::Membership(_) | Record::Token(_)));
        if let Record::Account(account) = record {
            assert!(account.roles.is_empty());
        }
    }
    let (_, _, counters, _) = content.meta;
    assert!(counters.next_number > 1_000 && counters.next_object > 1_000, "{counters:?}");
}

/// Names are the same whatever their case, and so are the traces of what had them.
#[test]
fn what_was_deleted_and_what_has_the_name_of_another_is_left_out() {
    let place = tempfile::tempdir().unwrap();
    let (data, output) = (place.path().join("data"), place.path().join("left.backup"));
    let store = open(&data).unwrap();
    let put = |records: Vec<Record>| {
        let changes = records.into_iter().map(Change::Put).collect();
        store.commit(&Batch { changes, ..Batch::default() }).unwrap();
    };
    let person = |number, name: &str| Record::Account(plain::account(number, name));
    put(vec![person(1, "Deleted"), person(2, "TWICE"), person(3, "Made-Again")]);
    put(vec![Record::Tombstone(tombstone("deleted".to_owned())), person(4, "Twice")]);
    put(vec![Record::Tombstone(tombstone("made-again".to_owned()))]);
    put(vec![person(3, "Made-Again")]);
    drop(store);
    std::fs::remove_dir_all(data.join("store")).unwrap();
    let salvaged = rescue(&data, &output).unwrap();
    assert_eq!(
        salvaged.left_out,
        ["account 1 (Deleted): it was deleted later", "account 2 (TWICE): a later one has its name"]
    );
    let kept = content_of(&output).records;
    let kept = kept.values().filter_map(|record| match record {
        Record::Account(account) => Some(account.number.get()),
        _ => None,
    });
    assert_eq!(kept.collect::<Vec<_>>(), [3, 4]);
}

/// Puts a sealed batch where a torn one may stand, a few octets behind the last.
fn plant(data: &Path, batches: &[(u64, Item)]) {
    let path = data.join(newest_batches(data));
    let mut octets = std::fs::read(&path).unwrap();
    let length = octets.iter().rposition(|octet| *octet != 0).unwrap() + 8;
    octets.truncate(length);
    octets.resize(length, 0);
    for (revision, (key, value)) in batches {
        octets.extend(journal::sealed(&octets, *revision, key, value));
    }
    std::fs::write(path, octets).unwrap();
}

/// Whatever stands in a journal behind its end, nothing of the sound rest is lost by it.
#[test]
fn a_batch_of_any_revision_is_salvaged_beside_the_others() {
    let place = tempfile::tempdir().unwrap();
    let (data, output) = (place.path().join("data"), place.path().join("left.backup"));
    filled(&data, 6);
    let item = (record::item_key(&record::name_of(&Key::Account(AccountNumber::new(1))), 0), vec![0; 40]);
    plant(&data, &[(u64::MAX, item.clone()), (0, item)]);
    std::fs::remove_dir_all(data.join("store")).unwrap();
    rescue(&data, &output).unwrap();
    assert!(content_of(&output).records == Content::after_batches(6, sound).records);
}

/// Somebody puts whole blocks of a checkpoint into a photo, and damage lays them open.
#[test]
fn a_block_in_a_photo_is_no_block_of_a_damaged_checkpoint() {
    const PEOPLE: u32 = 90;
    let place = tempfile::tempdir().unwrap();
    let (data, output) = (place.path().join("data"), place.path().join("left.backup"));
    let put = |record: Record| {
        let changes = vec![Change::Put(record)];
        Batch { changes, seeded: true, ..Batch::default() }
    };
    let store = open(&data).unwrap();
    let mut planted = record::encode(&Record::Account(plain::account(1, "forged"))).unwrap();
    let event = Event { trail: Trail::Custom, sequence: u64::MAX - 1, ..event(1) };
    planted.extend(record::encode(&Record::Event(event)).unwrap());
    let blocks: Vec<u8> = (0..40).flat_map(|number| archive::sealed(number, &planted)).collect();
    for number in 1..=PEOPLE {
        let mut person = account(number, 40_000);
        person.roles.clear();
        if number == 40 {
            person.attributes[0].values = vec![blocks.repeat(3)];
        }
        store.commit(&put(Record::Account(person))).unwrap();
        store.wait_for_checkpoint();
    }
    drop(store);
    std::fs::remove_dir_all(data.join("store")).unwrap();
    let path = ledger::path_in(&data).join(ledger::CHECKPOINT);
    let whole = std::fs::read(&path).unwrap();
    let sealed = archive::sealed(7, &planted);
    let place_of_planted = whole.windows(sealed.len()).position(|octets| octets == sealed).unwrap();
    let (mut at, mut end) = (0, 0);
    while end < place_of_planted {
        at = end;
        end += 33 + u32::from_le_bytes(whole[at + 13..at + 17].try_into().unwrap()) as usize;
    }
    // In its head, so that nobody knows how long it is, and in what it holds.
    for harm in [at, at + 14, at + 33] {
        let mut octets = whole.clone();
        octets[harm] ^= 0x10;
        std::fs::write(&path, octets).unwrap();
        let salvaged = rescue(&data, &output).unwrap();
        let content = content_of(&output);
        assert_eq!(content.meta.2.trails.custom, TrailState::default(), "{harm}: {salvaged:?}");
        assert!(content.records.len() as u32 > PEOPLE - 12, "{harm}: {salvaged:?}");
        for record in content.records.values() {
            assert!(!matches!(record, Record::Account(account) if account.username == "forged"), "{harm}");
        }
    }
}

/// Somebody puts the first block of items, and a whole archive, into the first photo of a checkpoint, whose beginning is damaged.
#[test]
fn what_a_photo_in_the_first_block_holds_is_no_beginning_of_a_checkpoint() {
    const PEOPLE: u32 = 24;
    let place = tempfile::tempdir().unwrap();
    let (data, output) = (place.path().join("data"), place.path().join("left.backup"));
    // Of more octets than the head of the checkpoint.
    let forged = Account { name: "x".repeat(500), ..plain::account(1, "forged") };
    let forged = record::encode(&Record::Account(forged)).unwrap();
    let block = archive::sealed(1, &forged);
    let mut whole =
        archive::ArchiveWriter::new(Vec::new(), &Meta::default(), Timestamp::from_unix_seconds(0)).unwrap();
    for (key, value) in &forged {
        whole.item(key, value).unwrap();
    }
    let whole = whole.finish(None).unwrap();
    let people = (1..=PEOPLE).map(|number| {
        let mut person = account(number, 40_000);
        person.roles.clear();
        if number == 1 {
            person.attributes[0].values =
                vec![[block.repeat(2_000 / block.len()), whole.repeat(60)].concat()];
        }
        Change::Put(Record::Account(person))
    });
    let store = open(&data).unwrap();
    store.commit(&Batch { changes: people.collect(), seeded: true, ..Batch::default() }).unwrap();
    store.wait_for_checkpoint();
    drop(store);
    std::fs::remove_dir_all(data.join("store")).unwrap();
    let path = ledger::path_in(&data).join(ledger::CHECKPOINT);
    let checkpoint = std::fs::read(&path).unwrap();
    let places = |sealed: &[u8]| memchr::memmem::find_iter(&checkpoint, sealed).collect::<Vec<_>>();
    assert!(places(&block).first().is_some_and(|at| *at < 4_000), "{:?}", places(&block));
    assert!(places(&whole).iter().any(|at| (4_096..256 * 1024).contains(at)), "{:?}", places(&whole));
    let first = 33 + u32::from_le_bytes(checkpoint[13..17].try_into().unwrap()) as usize;
    for harmed in [first + 15..first + 16, 0..4_096] {
        let mut octets = checkpoint.clone();
        octets[harmed.clone()].fill(0);
        std::fs::write(&path, octets).unwrap();
        let salvaged = rescue(&data, &output).unwrap();
        let records = content_of(&output).records;
        assert!(records.len() as u32 >= PEOPLE - 8, "{harmed:?}: {salvaged:?}");
        for record in records.values() {
            assert!(
                !matches!(record, Record::Account(account) if account.username == "forged"),
                "{harmed:?}"
            );
        }
    }
}

/// What comes into a checkpoint, or is cut out of it, loses the block that it is in and none on either side.
#[test]
fn octets_too_many_or_too_few_lose_no_side_of_a_checkpoint() {
    const PEOPLE: u32 = 24;
    let place = tempfile::tempdir().unwrap();
    let (data, output) = (place.path().join("data"), place.path().join("left.backup"));
    let store = open(&data).unwrap();
    let people = (1..=PEOPLE).map(|number| {
        let mut person = account(number, 40_000);
        person.roles.clear();
        Change::Put(Record::Account(person))
    });
    store.commit(&Batch { changes: people.collect(), seeded: true, ..Batch::default() }).unwrap();
    store.wait_for_checkpoint();
    drop(store);
    std::fs::remove_dir_all(data.join("store")).unwrap();
    let path = ledger::path_in(&data).join(ledger::CHECKPOINT);
    let whole = std::fs::read(&path).unwrap();
    let mut begins = vec![0];
    while let Some(length) = begins.last().and_then(|at| whole.get(at + 13..at + 17)) {
        begins.push(begins.last().unwrap() + 33 + u32::from_le_bytes(length.try_into().unwrap()) as usize);
    }
    assert!(begins.len() > 5);
    for at in &begins[..begins.len() - 1] {
        for octets in [1, 50, 5_000, 300_000] {
            let inserted = vec![b'b'; octets];
            std::fs::write(&path, [&whole[..*at], &inserted, &whole[*at..]].concat()).unwrap();
            let salvaged = rescue(&data, &output).unwrap();
            assert_eq!(content_of(&output).records.len() as u32, PEOPLE, "{octets} at {at}: {salvaged:?}");
        }
    }
    for pair in begins.windows(2).filter(|pair| pair[1] - pair[0] > 200_000) {
        let at = pair[0] + 100_000;
        for octets in [1, 50, 5_000] {
            let inserted = vec![b'b'; octets];
            let too_many = [&whole[..at], &inserted, &whole[at..]].concat();
            let too_few = [&whole[..at], &whole[at + octets..]].concat();
            for harmed in [too_many, too_few] {
                std::fs::write(&path, &harmed).unwrap();
                let salvaged = rescue(&data, &output).unwrap();
                let left = content_of(&output).records.len() as u32;
                assert!(
                    left >= PEOPLE - 9,
                    "{left} behind {octets} at {at} ({}): {salvaged:?}",
                    harmed.len()
                );
            }
        }
    }
}

/// Somebody puts a whole batch of the far future into a photo, and damage lays it open.
#[test]
fn a_batch_in_a_photo_is_no_batch_of_a_damaged_journal() {
    let place = tempfile::tempdir().unwrap();
    let (data, output) = (place.path().join("data"), place.path().join("left.backup"));
    let head = [&b"BNDRJRN\x01"[..], &[0; 16], &1_u64.to_le_bytes()].concat();
    let checksum = blake3::hash(&head);
    let head = [&*head, &checksum.as_bytes()[..16]].concat();
    let (key, value) = record::encode(&Record::Account(plain::account(1, "forged"))).unwrap().remove(0);
    let forged = [7, 8, 20, 1000].map(|revision| journal::sealed(&head, revision, &key, &value)).concat();
    let with_photo = |revision: u64| {
        let mut batch = sound(revision);
        if revision == 6 {
            let mut person = account(200, 0);
            person.roles.clear();
            person.attributes[0].values = vec![forged.clone()];
            batch.changes.push(Change::Put(Record::Account(person)));
        }
        batch
    };
    let store = open(&data).unwrap();
    for revision in 1..=10 {
        store.commit(&with_photo(revision)).unwrap();
    }
    drop(store);
    let path = data.join(newest_batches(&data));
    let whole = std::fs::read(&path).unwrap();
    let planted = whole.windows(forged.len()).position(|octets| octets == forged).unwrap();
    for harm in [planted - 1, planted, planted - 200] {
        let copied = place.path().join("copied");
        copy(&data, &copied);
        let mut octets = whole.clone();
        octets[harm] ^= 0x10;
        std::fs::write(copied.join(newest_batches(&data)), &octets).unwrap();
        assert!(Content::of(&open(&copied).unwrap()).unwrap() == Content::after_batches(10, with_photo));
        std::fs::remove_dir_all(&copied).unwrap();
        copy(&data, &copied);
        std::fs::remove_dir_all(copied.join("store")).unwrap();
        std::fs::write(copied.join(newest_batches(&data)), &octets).unwrap();
        let salvaged = rescue(&copied, &output).unwrap();
        assert_eq!(salvaged.revision, 10, "{salvaged:?}");
        for record in content_of(&output).records.values() {
            assert!(!matches!(record, Record::Account(account) if account.username == "forged"), "{harm}");
        }
        std::fs::remove_dir_all(&copied).unwrap();
    }
}

/// Writes the newest batches anew, up to a revision, as those of another life.
fn write_again(data: &Path, life: impl FnOnce(Option<Incarnation>) -> Option<Incarnation>, last: u64) {
    let path = data.join(newest_batches(data));
    let file = std::fs::File::open(&path).unwrap();
    let segment = journal::Segment::read(&path, &file, None).unwrap().0.unwrap();
    let (journal, life) = (ledger::path_in(data), life(segment.incarnation));
    let mut made = journal::Journal::create(&journal, life, segment.first, std::fs::File::sync_all).unwrap();
    for (revision, items) in segment.batches().take_while(|(revision, _)| *revision <= last) {
        let items = items.map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec)));
        made.append(revision, &items.collect()).unwrap();
    }
}

/// As a version left it whose stores had no incarnation, gone on with by this one.
fn as_before_incarnations(data: &Path) {
    write_again(data, |_| None, u64::MAX);
    let journal = ledger::path_in(data);
    let (nothing, begin) = (Meta::default(), Timestamp::from_unix_seconds(0));
    let writer = archive::ArchiveWriter::of_life(Vec::new(), &nothing, None, begin).unwrap();
    std::fs::write(journal.join(ledger::CHECKPOINT), writer.finish(None).unwrap()).unwrap();
}

/// Its batches are found where the beginning of their file is damaged, and where nothing says that there may be such a file it
/// is not looked for: anybody can seal a batch without an incarnation.
#[test]
fn what_a_store_without_an_incarnation_has_written_is_salvaged() {
    let place = tempfile::tempdir().unwrap();
    let (data, output) = (place.path().join("data"), place.path().join("left.backup"));
    filled(&data, 3);
    copy(&data.join("store"), &place.path().join("earlier"));
    filled_on(&data, 4..=6);
    let with_damage = |data: &Path| {
        let path = data.join(newest_batches(data));
        let mut octets = std::fs::read(&path).unwrap();
        octets[0] ^= 1;
        std::fs::write(path, octets).unwrap();
        std::fs::remove_dir_all(data.join("store")).unwrap();
        copy(&place.path().join("earlier"), &data.join("store"));
    };
    for is_of_before in [false, true] {
        let copied = place.path().join("copied");
        copy(&data, &copied);
        if is_of_before {
            as_before_incarnations(&copied);
            assert!(Content::of(&open(&copied).unwrap()).unwrap() == Content::after_batches(6, sound));
        }
        with_damage(&copied);
        let salvaged = rescue(&copied, &output).unwrap();
        assert_eq!(salvaged.revision, 6, "{is_of_before}: {salvaged:?}");
        assert!(content_of(&output).records == Content::after_batches(6, sound).records, "{salvaged:?}");
        std::fs::remove_dir_all(copied).unwrap();
    }
}

/// One that is whole and as new says by what it does not have what is gone: an older database brings nothing back.
#[test]
fn what_a_whole_checkpoint_knows_to_be_gone_does_not_come_back() {
    let place = tempfile::tempdir().unwrap();
    let (data, output) = (place.path().join("data"), place.path().join("left.backup"));
    filled(&data, 6);
    let change = |change: Change| {
        let store = open(&data).unwrap();
        let counters = store.meta().counters;
        store.commit(&Batch { changes: vec![change], counters, ..sound(7) }).unwrap();
    };
    let application = plain::application(7, "wiki");
    let key = Key::Application(application.number);
    change(Change::Put(Record::Application(application)));
    copy(&data.join("store"), &place.path().join("earlier"));
    change(Change::Delete(key));
    let left = ledger::Ledger::read(&data).unwrap();
    left.make_checkpoint(&std::sync::atomic::AtomicBool::new(false)).unwrap();
    let (journal, life) = (ledger::path_in(&data), left.incarnation());
    std::fs::remove_file(data.join(newest_batches(&data))).unwrap();
    journal::Journal::create(&journal, life, 9, std::fs::File::sync_all).unwrap();
    for is_earlier in [false, true] {
        if is_earlier {
            std::fs::remove_dir_all(data.join("store")).unwrap();
            copy(&place.path().join("earlier"), &data.join("store"));
        }
        let salvaged = rescue(&data, &output).unwrap();
        assert_eq!(salvaged.records_expected, Some(salvaged.records), "{salvaged:?}");
        assert!(content_of(&output).records == Content::after_batches(6, sound).records, "{salvaged:?}");
    }
    // One that is not vouched for may have lost what the database has, and that there is too much is told.
    let checkpoint = journal.join(ledger::CHECKPOINT);
    let whole = std::fs::read(&checkpoint).unwrap();
    std::fs::write(&checkpoint, &whole[..whole.len() - 1]).unwrap();
    let salvaged = rescue(&data, &output).unwrap();
    assert!(salvaged.sources.iter().any(|line| line.starts_with("1 records more")), "{salvaged:?}");
}

/// What was revoked with its end would be valid again, and nobody would be told.
#[test]
fn a_store_that_lacks_its_end_is_not_compared_with_a_backup() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    filled(&data, 6);
    let is_readable = || match Restoration::begin(&data).unwrap().existing() {
        Existing::Readable(contents) => {
            assert_eq!(contents.counts.meta.revision, 6);
            true
        }
        Existing::Unreadable(StoreError::JournalDamaged { .. }) => false,
        other => panic!("{other:?}"),
    };
    assert!(is_readable());
    let path = data.join(newest_batches(&data));
    let whole = std::fs::read(&path).unwrap();
    let mut torn = whole.clone();
    *torn.iter_mut().rfind(|octet| **octet != 0).unwrap() ^= 1;
    std::fs::write(&path, torn).unwrap();
    assert!(!is_readable());
    std::fs::remove_file(data.join("acknowledged")).unwrap();
    assert!(!is_readable());
    std::fs::write(&path, whole).unwrap();
    assert!(is_readable());
    drop(open(&data).unwrap());
    write_again(&data, |life| life, 5);
    assert!(!is_readable());
}

/// Somebody took the lock for one that was left behind.
#[test]
fn a_store_in_use_whose_lock_was_removed_is_not_replaced() {
    let place = tempfile::tempdir().unwrap();
    let (data, backup) = with_backup(place.path());
    let store = open(&data).unwrap();
    std::fs::remove_file(data.join("lock")).unwrap();
    let before = files_of(&data);
    let refused = restore(&backup, &data).unwrap_err();
    assert!(matches!(refused, BackupError::Store(StoreError::Held { .. })), "{refused}");
    assert!(files_of(&data) == before);
    drop(store);
    restore(&backup, &data).unwrap();
    is_one_of_two(&data, true, "once it is closed");
}

#[test]
fn nothing_comes_out_of_nothing() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    filled(&data, 3);
    for file in files_of(&data).into_keys() {
        std::fs::write(data.join(file), "").unwrap();
    }
    let error = rescue(&data, &place.path().join("left.backup")).unwrap_err();
    assert!(error.is_unusable(), "{error}");
    assert!(error.to_string().contains("nothing that is whole was found"), "{error}");
    assert!(!place.path().join("left.backup").exists());
    assert!(ledger::path_in(&data).exists());
}
