//! A full disk: nothing is acknowledged, nothing is torn, and changes resume when there is space.
//!
//! Needs a small file system of its own, and so the right to mount one.

use std::path::PathBuf;
use std::process::Command;

use super::*;
use crate::store::salvage::{SalvageRules, salvage};

/// A file system in memory of a few MiB, gone at the end.
pub(super) struct SmallDisk {
    directory: tempfile::TempDir,
}

impl SmallDisk {
    /// `None`: not allowed here; the test says so and passes, unless all are to be played.
    fn mount(mebibytes: u32) -> Option<Self> {
        Self::mount_with(&format!("size={mebibytes}m"))
    }

    /// The same with these options.
    pub(super) fn mount_with(options: &str) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(directory.path())
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            crate::rounds::skip("no right to mount a small file system");
            return None;
        }
        Some(Self { directory })
    }

    pub(super) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn free(&self) -> u64 {
        let room = rustix::fs::statvfs(self.directory.path()).unwrap();
        room.f_bavail * room.f_frsize
    }

    /// Takes the space of the disk but for this much.
    fn fill(&self, leave: u64) {
        let octets = self.free().saturating_sub(leave);
        std::fs::write(self.directory.path().join("ballast"), vec![1; usize::try_from(octets).unwrap()])
            .unwrap();
    }

    fn empty(&self) {
        std::fs::remove_file(self.directory.path().join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.directory.path()).output();
    }
}

/// As `tests/run --rounds` plays them.
#[test]
fn what_cannot_be_played_fails_by_its_name_where_all_is_to_be() {
    let play = |is_strict: bool| {
        let mut play = Command::new(std::env::current_exe().unwrap());
        play.args(["--exact", "store::tests::full::a_change_is_refused_before_the_disk_is_full"]);
        // Without the program that mounts.
        play.env("PATH", "/nonexistent").env_remove("BINDERY_TEST_NO_SKIP");
        if is_strict {
            play.env("BINDERY_TEST_NO_SKIP", "1");
        }
        let output = play.output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    assert!(play(false).0);
    let (is_passed, said) = play(true);
    assert!(!is_passed && said.contains("a_change_is_refused_before_the_disk_is_full ... FAILED"), "{said}");
    assert!(said.contains("no right to mount"), "{said}");
}

#[test]
fn a_change_is_refused_before_the_disk_is_full() {
    let Some(disk) = SmallDisk::mount(32) else { return };
    let store = DiskStore::open(&disk.data()).unwrap();
    for revision in 1..=20 {
        store.commit(&batch(revision)).unwrap();
    }
    assert!(store.is_writable());
    disk.fill(2 * 1024 * 1024);
    assert!(!store.is_writable());

    let error = store.commit(&batch(21)).unwrap_err();
    assert!(error.is_full() && !error.is_unusable(), "{error}");
    assert!(error.to_string().contains("is full ("), "{error}");
    assert_eq!(Content::of(&store).unwrap(), Content::after(20));

    disk.empty();
    store.commit(&batch(21)).unwrap();
    assert_eq!(Content::of(&store).unwrap(), Content::after(21));
}

/// What takes space beside a store ends before the store has to.
#[test]
fn what_is_no_store_leaves_it_its_reserve() {
    let Some(disk) = SmallDisk::mount(32) else { return };
    let store = DiskStore::open(&disk.data()).unwrap();
    // Once it is opened to its end.
    store.commit(&batch(1)).unwrap();
    check_reserve(&disk.data()).unwrap();
    disk.fill(12 * 1024 * 1024);
    assert!(check_reserve(&disk.data()).unwrap_err().is_full());
    assert!(store.is_writable());
}

/// What the disk of a copy refuses says nothing of the database.
#[test]
fn a_salvage_goes_on_with_less_for_no_full_disk_of_its_copy() {
    let Some(disk) = SmallDisk::mount(64) else { return };
    let place = tempfile::tempdir().unwrap();
    let store = open(place.path()).unwrap();
    for revision in 1..=20 {
        store.commit(&batch(revision)).unwrap();
    }
    drop(store);
    let rules = SalvageRules {
        digest: &|event| EventDigest::new([event.sequence as u8; 32]),
        misfit: &|_, _| None,
        name_key: &|name| name.to_lowercase().into_bytes(),
    };
    let salvaged = || {
        let mut out = Vec::new();
        let salvaged = salvage(place.path(), disk.directory.path(), &rules, &mut out);
        // But for what fills the disk.
        let left = std::fs::read_dir(disk.directory.path()).unwrap();
        let left = left.filter(|entry| entry.as_ref().unwrap().file_name() != "ballast");
        assert_eq!(left.count(), 0, "the copy is gone");
        salvaged.map(|_| out)
    };
    let octets = std::fs::metadata(place.path().join("store/db")).unwrap().len();
    // For half of the copy; for the copy, and not for what opening it writes.
    for leave in [octets / 2, octets + 1024 * 1024] {
        disk.fill(leave);
        let error = salvaged().unwrap_err();
        assert!(matches!(&error, StoreError::Copy { path, .. } if path.starts_with(disk.directory.path())));
        assert!(error.is_full() && !error.is_damage(), "{error}");
        disk.empty();
    }
    assert!(!salvaged().unwrap().is_empty());
}

#[test]
fn a_disk_that_fills_in_the_middle_of_a_commit_tears_nothing() {
    let Some(disk) = SmallDisk::mount(24) else { return };
    let settings = disk::Settings {
        cache_octets: 1024 * 1024,
        reserve_octets: 0,
        write_amplification: 0,
        journal_octets_min: 256 * 1024,
        compacted_octets_min: u64::MAX,
        ..disk::Settings::default()
    };
    let mut store = DiskStore::open_with(&disk.data(), settings).unwrap();
    let mut revision = 0;
    let mut refused = 0;
    for round in 0..12 {
        disk.fill(round * 60_000);
        for _ in 0..40 {
            match store.commit(&batch(revision + 1)) {
                Ok(meta) => {
                    revision += 1;
                    assert_eq!(meta.revision, revision);
                }
                Err(error) => {
                    assert!(error.is_full(), "{error}");
                    refused += 1;
                }
            }
            match Content::of(&store) {
                Ok(content) => assert_eq!(content, Content::after(revision)),
                Err(error) => assert!(error.is_full(), "{error}"),
            }
        }
        disk.empty();
        revision += 1;
        store.commit(&batch(revision)).unwrap();
        assert_eq!(Content::of(&store).unwrap(), Content::after(revision));
        drop(store);
        store = DiskStore::open_with(&disk.data(), settings).unwrap();
        assert_eq!(Content::of(&store).unwrap(), Content::after(revision));
    }
    assert!(refused > 0);
}

/// Before every change something is read: were that refused, nothing would ever come to the commit.
#[test]
fn a_closed_store_is_read_again_once_there_is_space() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    for revision in 1..=20 {
        store.commit(&batch(revision)).unwrap();
    }
    assert!(store.is_writable());
    store.close_as_full();
    assert!(!store.is_writable());
    // From the journal.
    assert_eq!(Content::of(&store).unwrap(), Content::after(20));
    assert_eq!(store.events_before(Trail::Changes, 9, 1).unwrap(), [event(8)]);
    store.resume().unwrap();
    assert!(store.is_writable());
    assert_eq!(Content::of(&store).unwrap(), Content::after(20));
    store.resume().unwrap();
    store.commit(&batch(21)).unwrap();
}

/// As if a start had been killed, or the disk been filled, while sled wrote a snapshot.
#[test]
fn a_start_on_a_full_disk_reads_and_harms_nothing() {
    let Some(disk) = SmallDisk::mount(24) else { return };
    let mut revision = 0;
    for round in 0..u64::from(crate::rounds::rounds(6)) {
        let store = open(&disk.data()).unwrap();
        for _ in 0..10 {
            revision += 1;
            store.commit(&batch(revision)).unwrap();
        }
        drop(store);
        disk.fill(round % 4 * 40_000);
        let store = open(&disk.data()).unwrap();
        let mut records = BTreeMap::new();
        store.load(&mut |record| drop(records.insert(format!("{:?}", record.key()), record))).unwrap();
        assert_eq!(records, Content::after(revision).records);
        assert!(!store.is_writable());
        assert!(store.commit(&batch(revision + 1)).unwrap_err().is_full());
        assert_eq!(Content::of(&store).unwrap(), Content::after(revision));
        disk.empty();
        store.resume().unwrap();
        assert_eq!(Content::of(&store).unwrap(), Content::after(revision));
        revision += 1;
        store.commit(&batch(revision)).unwrap();
    }
    assert_eq!(Content::of(&open(&disk.data()).unwrap()).unwrap(), Content::after(revision));
}

/// A disk with a store at revision 20, the end of whose journal is damaged.
fn damaged_end() -> Option<SmallDisk> {
    let disk = SmallDisk::mount(48)?;
    let store = DiskStore::open(&disk.data()).unwrap();
    for revision in 1..=20 {
        store.commit(&batch(revision)).unwrap();
    }
    drop(store);
    // What its threads still write takes none of the space that is measured from here on.
    std::fs::File::open(disk.data().join("store/db")).unwrap().lock().unwrap();
    damage_end(&disk.data());
    Some(disk)
}

/// Flips a bit of the last batch.
fn damage_end(data: &Path) {
    let journal = data.join(newest_batches(data));
    let mut octets = std::fs::read(&journal).unwrap();
    let end = octets.iter().rposition(|octet| *octet != 0).unwrap();
    octets[end] ^= 1;
    std::fs::write(&journal, octets).unwrap();
}

#[test]
fn without_room_for_a_copy_the_database_itself_is_asked_for_the_end() {
    for is_told in [false, true] {
        let Some(disk) = damaged_end() else { return };
        // What is known to be missing is asked for in a copy all the same.
        if !is_told {
            std::fs::remove_file(disk.data().join("acknowledged")).unwrap();
        }
        disk.fill(8 * 1024 * 1024 + 256 * 1024);
        let store = DiskStore::open(&disk.data()).unwrap();
        assert_eq!(Content::of(&store).unwrap(), Content::after(20));
    }
}

/// A database that cannot tell what the end was is opened for it all the same, where there is no room for a copy, and is as it was
/// behind that.
#[test]
fn a_start_that_is_refused_for_a_torn_end_without_room_for_a_copy_keeps_what_there_is() {
    let Some(disk) = SmallDisk::mount(48) else { return };
    let (earlier, store) = (tempfile::tempdir().unwrap(), disk.data().join("store"));
    for (revisions, is_last) in [(1..=15, false), (16..=20, true)] {
        let opened = DiskStore::open(&disk.data()).unwrap();
        for revision in revisions {
            opened.commit(&batch(revision)).unwrap();
        }
        drop(opened);
        std::fs::File::open(store.join("db")).unwrap().lock().unwrap();
        if !is_last {
            copy(&store, earlier.path());
        }
    }
    std::fs::remove_dir_all(&store).unwrap();
    copy(earlier.path(), &store);
    damage_end(&disk.data());
    std::fs::remove_file(disk.data().join("acknowledged")).unwrap();
    disk.fill(8 * 1024 * 1024 + 256 * 1024);
    let before = files_of(&disk.data());
    for _ in 0..2 {
        let error = DiskStore::open(&disk.data()).unwrap_err();
        assert!(error.is_unusable() && error.to_string().contains("revision 15"), "{error}");
        assert!(files_of(&disk.data()) == before, "{error}");
    }
    disk.empty();
    let before = files_of(&disk.data());
    assert!(DiskStore::open(&disk.data()).unwrap_err().is_unusable());
    assert!(files_of(&disk.data()) == before);
}

/// Nothing else tells that a batch is missing, and what was revoked by it would be served.
#[test]
fn what_a_full_disk_keeps_from_being_asked_is_not_served_without() {
    let Some(disk) = damaged_end() else { return };
    std::fs::remove_file(disk.data().join("acknowledged")).unwrap();
    disk.fill(2 * 1024 * 1024);
    let before = files_of(&disk.data());
    assert!(DiskStore::open(&disk.data()).unwrap_err().is_full());
    assert!(files_of(&disk.data()) == before);
    disk.empty();
    let store = DiskStore::open(&disk.data()).unwrap();
    assert_eq!(Content::of(&store).unwrap(), Content::after(20));
    store.commit(&batch(21)).unwrap();
}

/// Wherever the disk becomes full, from asking the database to making the journal of it.
#[test]
fn a_store_that_is_found_to_lack_its_end_is_not_served() {
    let mut refused = 0;
    for step in 0..24 {
        let Some(disk) = damaged_end() else { return };
        std::fs::remove_file(disk.data().join("acknowledged")).unwrap();
        disk.fill(step * 24 * 1024);
        let settings = disk::Settings { reserve_octets: 0, ..disk::Settings::default() };
        match DiskStore::open_with(&disk.data(), settings) {
            Ok(store) => assert_eq!(store.meta().revision, 20, "{step}"),
            Err(_) => refused += 1,
        }
        disk.empty();
        assert_eq!(
            Content::of(&DiskStore::open(&disk.data()).unwrap()).unwrap(),
            Content::after(20),
            "{step}"
        );
    }
    assert!(refused > 0);
}

/// What is known to lack a batch is not served.
#[test]
fn without_room_to_ask_for_a_missing_end_a_start_is_refused() {
    let Some(disk) = damaged_end() else { return };
    disk.fill(256 * 1024);
    let before = files_of(&disk.data());
    let error = DiskStore::open(&disk.data()).unwrap_err();
    assert!(error.is_full(), "{error}");
    assert!(files_of(&disk.data()) == before);
    disk.empty();
    assert_eq!(Content::of(&DiskStore::open(&disk.data()).unwrap()).unwrap(), Content::after(20));
}
