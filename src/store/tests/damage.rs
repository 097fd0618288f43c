//! Damaged files: whichever one of them is harmed, a store opens with all that was acknowledged; of one in each copy, it does
//! or is refused as it is.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::*;

/// What is done to a file.
#[derive(Clone, Copy, Debug)]
enum Harm {
    Flip(u64),
    Cut(u64),
    Zero(u64, usize),
    Gone,
    /// Something else stands there.
    Replaced(By),
}

#[derive(Clone, Copy, Debug)]
enum By {
    Directory,
    /// That nobody writes to.
    Pipe,
    /// A link that leads to itself.
    Circle,
    /// A file of which the system gives nothing: a bad sector.
    Unreadable,
}

/// What happened to the store before.
#[derive(Clone, Copy, Debug)]
enum Life {
    /// Opened once, and closed in order.
    Closed,
    /// Opened once, and left as a crash would leave it.
    Crashed,
    /// Opened twice, so that sled has a snapshot of its pages and a log behind it.
    Reopened,
}

/// A store after some commits.
struct Victim {
    directory: tempfile::TempDir,
    revision: u64,
}

impl Victim {
    fn new(revision: u64, life: Life) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let original = tempfile::tempdir().unwrap();
        let mut store = open(original.path()).unwrap();
        for next in 1..=revision {
            store.commit(&batch(next)).unwrap();
            if next == revision / 2 && matches!(life, Life::Reopened) {
                drop(store);
                store = open(original.path()).unwrap();
            }
        }
        if matches!(life, Life::Closed) {
            drop(store);
            copy(original.path(), directory.path());
        } else {
            // Files come and go while a checkpoint is made.
            store.wait_for_checkpoint();
            copy(original.path(), directory.path());
            drop(store);
        }
        Self { directory, revision }
    }

    fn length(&self, file: &Path) -> u64 {
        std::fs::metadata(self.directory.path().join(file)).unwrap().len()
    }

    /// Harms a file in a copy; all is there afterwards.
    fn suffer(&self, file: &Path, harm: Harm) {
        let copied = tempfile::tempdir().unwrap();
        copy(self.directory.path(), copied.path());
        harm.doing(&copied.path().join(file));
        // Opening repairs: the second time must be as happy.
        for time in 1..=2 {
            let store = open(copied.path());
            let content = store.and_then(|store| {
                let content = Content::of(&store)?;
                assert!(store.is_writable());
                Ok(content)
            });
            match content {
                Ok(content) => assert!(
                    content == Content::after(self.revision),
                    "{harm:?} of {} went unnoticed: {:?}",
                    file.display(),
                    content.meta
                ),
                Err(error) => panic!("{harm:?} of {}, time {time}: {error}", file.display()),
            }
        }
    }

    /// Harms one file of the journal and one of the database; says whether that was refused.
    fn suffer_twice(&self, files: [&Path; 2], harms: [Harm; 2]) -> bool {
        let copied = tempfile::tempdir().unwrap();
        copy(self.directory.path(), copied.path());
        for (file, harm) in files.into_iter().zip(harms) {
            harm.doing(&copied.path().join(file));
        }
        let before = files_of(copied.path());
        match open(copied.path()).and_then(|store| Content::of(&store)) {
            Ok(content) => {
                assert!(
                    content == Content::after(self.revision),
                    "{harms:?} of {files:?}: {:?}",
                    content.meta
                );
                false
            }
            Err(error) => {
                assert!(error.is_unusable(), "{harms:?} of {files:?}: {error}");
                assert!(files_of(copied.path()) == before, "{harms:?} of {files:?}: {error}");
                true
            }
        }
    }

    /// The files with content, relative.
    fn files(&self) -> Vec<PathBuf> {
        files_of(self.directory.path())
            .into_iter()
            .filter(|(_, content)| !content.is_empty())
            .map(|(file, _)| file)
            .collect()
    }
}

impl Harm {
    fn doing(self, path: &Path) {
        let opened = OpenOptions::new().read(true).write(true).open(path).unwrap();
        match self {
            Harm::Flip(at) => {
                let mut octet = [0];
                opened.read_exact_at(&mut octet, at).unwrap();
                opened.write_all_at(&[octet[0] ^ 0x10], at).unwrap();
            }
            Harm::Cut(length) => opened.set_len(length).unwrap(),
            Harm::Zero(at, octets) => {
                let left = usize::try_from(opened.metadata().unwrap().len() - at).unwrap();
                opened.write_all_at(&vec![0; octets.min(left)], at).unwrap();
            }
            Harm::Gone => std::fs::remove_file(path).unwrap(),
            Harm::Replaced(by) => {
                std::fs::remove_file(path).unwrap();
                match by {
                    By::Directory => std::fs::create_dir(path).unwrap(),
                    By::Pipe => {
                        let (here, mode) = (rustix::fs::CWD, rustix::fs::Mode::RWXU);
                        rustix::fs::mknodat(here, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
                    }
                    By::Circle => std::os::unix::fs::symlink(path, path).unwrap(),
                    By::Unreadable => std::os::unix::fs::symlink("/proc/self/mem", path).unwrap(),
                }
            }
        }
    }
}

/// Positions over the whole range, denser where `rounds` is larger.
fn spread(length: u64, rounds: u64) -> impl Iterator<Item = u64> {
    let step = (length / rounds).max(1);
    // An odd number added, so that the positions do not all fall on the same place in a page.
    (0..rounds).map(move |round| round * step + (round * 7919) % step).take_while(move |&at| at < length)
}

/// How often each kind of harm is done.
fn rounds() -> u64 {
    crate::rounds::rounds(8).into()
}

fn do_harm(harms: impl Fn(u64) -> Vec<Harm>) {
    for (revision, life) in [(60, Life::Closed), (60, Life::Crashed), (300, Life::Reopened)] {
        let victim = Victim::new(revision, life);
        for file in victim.files() {
            for harm in harms(victim.length(&file)) {
                victim.suffer(&file, harm);
            }
        }
    }
}

#[test]
fn a_flipped_bit_loses_nothing_unnoticed() {
    do_harm(|length| spread(length, rounds()).map(Harm::Flip).collect());
}

#[test]
fn a_cut_file_loses_nothing_unnoticed() {
    do_harm(|length| spread(length, rounds()).map(Harm::Cut).collect());
}

#[test]
fn a_zeroed_range_loses_nothing_unnoticed() {
    do_harm(|length| {
        let sizes = [1, 16, 512, 4096, 100_000];
        spread(length, rounds())
            .zip(sizes.into_iter().cycle())
            .map(|(at, size)| Harm::Zero(at, size))
            .collect()
    });
}

#[test]
fn a_file_that_is_gone_loses_nothing() {
    do_harm(|_| vec![Harm::Gone, Harm::Cut(0)]);
}

#[test]
fn a_file_of_which_nothing_can_be_read_loses_nothing() {
    do_harm(|_| [By::Directory, By::Pipe, By::Circle, By::Unreadable].map(Harm::Replaced).to_vec());
}

/// What a killed start, a backup program or a person leaves there.
#[test]
fn strays_are_put_aside() {
    let victim = Victim::new(60, Life::Reopened);
    for stray in [
        "store/snap.0000000000000BAD.generating",
        "store/snap.bak",
        "store/snap.FFFFFFFFFFFFFFFF",
        "store/db.orig",
        "store/notes.txt",
        "journal/checkpoint.new",
        "journal/batches.new",
        "journal/batches.bak",
        "journal/notes.txt",
        "store.new/db",
        "store.copy/db",
        "journal.new/notes.txt",
        "successor.new/notes.txt",
        "successor/notes.txt",
    ] {
        let copied = tempfile::tempdir().unwrap();
        copy(victim.directory.path(), copied.path());
        let path = copied.path().join(stray);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "stray").unwrap();
        for _ in 0..2 {
            let content = Content::of(&open(copied.path()).unwrap()).unwrap();
            assert!(content == Content::after(60), "{stray}");
        }
    }
}

#[test]
fn a_harmed_file_of_each_copy_is_made_up_for_or_refused() {
    let victim = Victim::new(60, Life::Closed);
    let files = victim.files();
    let journal: Vec<&PathBuf> = files.iter().filter(|file| file.starts_with("journal")).collect();
    let mut refused = 0;
    for file in &journal {
        for at in spread(victim.length(file), rounds()) {
            for (number, position) in spread(victim.length(Path::new("store/db")), 3).enumerate() {
                let harm = if number == 0 { Harm::Zero(position, 400_000) } else { Harm::Flip(position) };
                let harms = [Harm::Flip(at), harm];
                refused += usize::from(victim.suffer_twice([file, Path::new("store/db")], harms));
            }
        }
    }
    assert!(refused > 0);
}

/// All else is as a close leaves it, so it was opened itself; it is as it was behind that.
#[test]
fn a_start_that_is_refused_for_a_database_that_is_ahead_and_not_whole_changes_nothing() {
    let place = tempfile::tempdir().unwrap();
    let (data, earlier) = (place.path().join("data"), place.path().join("earlier"));
    for (revisions, is_last) in [(1..=15, false), (16..=20, true)] {
        let store = open(&data).unwrap();
        for revision in revisions {
            store.commit(&batch(revision)).unwrap();
        }
        drop(store);
        if !is_last {
            copy(&data, &earlier);
        }
    }
    std::fs::remove_dir_all(data.join("journal")).unwrap();
    copy(&earlier.join("journal"), &data.join("journal"));
    std::fs::copy(earlier.join("acknowledged"), data.join("acknowledged")).unwrap();
    let database = sled_of(&data);
    let name = crate::store::record::name_of(&Key::Account(AccountNumber::new(3)));
    let (key, value) = database.scan_prefix(name).next().unwrap().unwrap();
    let mut value = value.to_vec();
    *value.last_mut().unwrap() ^= 1;
    database.insert(key, value).unwrap();
    database.flush().unwrap();
    drop(database);
    std::fs::File::open(data.join("store/db")).unwrap().lock().unwrap();
    let before = files_of(&data);
    for _ in 0..2 {
        let error = open(&data).unwrap_err();
        assert!(error.to_string().contains("which has more, is not whole"), "{error}");
        let behind = files_of(&data);
        assert!(behind.keys().eq(before.keys()), "{:?}", behind.keys());
        for (file, octets) in &behind {
            assert!(before[file] == *octets, "{}: {error}", file.display());
        }
    }
}

/// What stood at the end of the journal only the database can tell, and it cannot.
#[test]
fn a_start_that_is_refused_for_the_ends_of_both_changes_nothing() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    let store = open(&data).unwrap();
    let mut revision = 0;
    for earlier in ["empty", "older"] {
        copy(&data.join("store"), &place.path().join(earlier));
        for _ in 0..30 {
            revision += 1;
            store.commit(&batch(revision)).unwrap();
        }
    }
    drop(store);
    let journal = newest_batches(&data);
    let octets = std::fs::read(data.join(&journal)).unwrap();
    let end = octets.iter().rposition(|octet| *octet != 0).unwrap();
    for at in [end, end + 64] {
        let databases = ["as it is", "empty", "older", "gone", "db gone", "db empty", "strays"];
        for (database, is_told) in databases.into_iter().flat_map(|name| [(name, false), (name, true)]) {
            let copied = place.path().join("copied");
            copy(&data, &copied);
            if !is_told {
                std::fs::remove_file(copied.join("acknowledged")).unwrap();
            }
            Harm::Flip(at as u64).doing(&copied.join(&journal));
            let path = copied.join("store");
            match database {
                "empty" | "older" => {
                    std::fs::remove_dir_all(&path).unwrap();
                    copy(&place.path().join(database), &path);
                }
                "gone" => std::fs::remove_dir_all(&path).unwrap(),
                "db gone" => std::fs::remove_file(path.join("db")).unwrap(),
                "db empty" => std::fs::write(path.join("db"), "").unwrap(),
                "strays" => std::fs::write(path.join("snap.bak"), "stray").unwrap(),
                _ => {}
            }
            let before = files_of(&copied);
            match open(&copied).and_then(|store| Content::of(&store)) {
                Ok(content) => {
                    assert!(matches!(database, "as it is" | "strays"), "{database}, damaged at {at}");
                    assert!(content == Content::after(revision), "{database}: {:?}", content.meta);
                }
                Err(error) => {
                    assert!(error.is_unusable(), "{database}: {error}");
                    // What was damaged is known to be the last batch, or asked for.
                    let is_behind =
                        is_told && at == end && matches!(error, StoreError::Behind { acknowledged: 60, .. });
                    let is_of_both = error.to_string().contains("neither of its two copies");
                    assert!(is_behind || is_of_both, "{database}: {error}");
                    assert!(files_of(&copied) == before, "{database}, damaged at {at}: {error}");
                }
            }
            std::fs::remove_dir_all(&copied).unwrap();
        }
    }
}

/// A store at revision 60, with what its database was at 30, and how long its journal was then.
fn with_older_database() -> (tempfile::TempDir, tempfile::TempDir, u64) {
    let (directory, older) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut length = 0;
    for revisions in [1..=30, 31..=60] {
        let store = DiskStore::open(directory.path()).unwrap();
        for revision in revisions {
            store.commit(&batch(revision)).unwrap();
        }
        drop(store);
        if length == 0 {
            copy(&directory.path().join("store"), older.path());
            length = end_of(&directory.path().join(newest_batches(directory.path()))) as u64;
        }
    }
    (directory, older, length)
}

/// Each copy is whole, and both have lost the same.
#[test]
fn an_end_that_is_lost_in_both_copies_is_noticed() {
    let (directory, older, length) = with_older_database();
    let journal = newest_batches(directory.path());
    let end = end_of(&directory.path().join(&journal)) as u64;
    for (cut, is_older) in
        [(length, true), (length + 1, true), (length, false), (end, true), (0, true), (0, false)]
    {
        let copied = tempfile::tempdir().unwrap();
        copy(directory.path(), copied.path());
        if cut == 0 {
            std::fs::remove_dir_all(copied.path().join("journal")).unwrap();
        } else {
            Harm::Cut(cut).doing(&copied.path().join(&journal));
        }
        if is_older {
            std::fs::remove_dir_all(copied.path().join("store")).unwrap();
            copy(older.path(), &copied.path().join("store"));
        }
        let before = files_of(copied.path());
        let context = format!("cut at {cut}, older database: {is_older}");
        if is_older && cut < end {
            let error = open(copied.path()).unwrap_err();
            assert!(
                matches!(error, StoreError::Behind { store: 30, acknowledged: 60, .. }),
                "{context}: {error}"
            );
            assert!(error.is_unusable(), "{error}");
            for named in ["`bindery restore`", "`bindery salvage`", "60", "30"] {
                assert!(error.to_string().contains(named), "{error}");
            }
            assert!(files_of(copied.path()) == before, "{context}");
            let error = read_directory(copied.path()).unwrap_err();
            assert!(error.is_unusable(), "{context}: {error}");
            // Who takes the file away believes what is left.
            std::fs::remove_file(copied.path().join("acknowledged")).unwrap();
            if cut == length {
                assert_eq!(Content::of(&open(copied.path()).unwrap()).unwrap(), Content::after(30));
            }
        } else {
            for _ in 0..2 {
                assert_eq!(
                    Content::of(&open(copied.path()).unwrap()).unwrap(),
                    Content::after(60),
                    "{context}"
                );
            }
        }
    }
}

/// It is not synced with each commit, and may be lost itself: it never keeps a sound store from starting.
#[test]
fn what_was_acknowledged_may_be_told_late_or_not_at_all() {
    let (directory, _, _) = with_older_database();
    let path = directory.path().join("acknowledged");
    let said = std::fs::read(&path).unwrap();
    let other = tempfile::tempdir().unwrap();
    let store = open(other.path()).unwrap();
    for revision in 1..=90 {
        store.commit(&batch(revision)).unwrap();
    }
    let of_another = std::fs::read(other.path().join("acknowledged")).unwrap();
    let [one, two] = [&said[..4096], &said[4096..]].map(|slot| [slot, &[0; 4096]].concat());
    for content in [one, two, of_another, Vec::new(), vec![0; 8192], b"nonsense".to_vec()] {
        std::fs::write(&path, content).unwrap();
        assert_eq!(Content::of(&open(directory.path()).unwrap()).unwrap(), Content::after(60));
        assert_eq!(std::fs::read(&path).unwrap().len(), said.len());
    }
    // One that cannot be written does not keep it from taking changes.
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let store = open(directory.path()).unwrap();
    store.commit(&batch(61)).unwrap();
    drop(store);
    assert_eq!(Content::of(&open(directory.path()).unwrap()).unwrap(), Content::after(61));
}

/// Batches of one store and a database of another are not made one.
#[test]
fn a_missing_end_is_not_made_up_for_by_another_store() {
    let (directory, _, length) = with_older_database();
    let other = tempfile::tempdir().unwrap();
    let store = open(other.path()).unwrap();
    for revision in 1..=90 {
        store.commit(&batch(revision)).unwrap();
    }
    drop(store);
    Harm::Cut(length).doing(&directory.path().join(newest_batches(directory.path())));
    std::fs::remove_dir_all(directory.path().join("store")).unwrap();
    copy(&other.path().join("store"), &directory.path().join("store"));
    let before = files_of(directory.path());
    let error = open(directory.path()).unwrap_err();
    assert!(error.to_string().contains("it belongs to another store"), "{error}");
    assert!(files_of(directory.path()) == before);
    // Nor is a journal made of it.
    std::fs::remove_dir_all(directory.path().join("journal")).unwrap();
    let error = open(directory.path()).unwrap_err();
    assert!(error.to_string().contains("of another store"), "{error}");
}

/// Behind the last whole batch of a file.
fn end_of(batches: &Path) -> usize {
    let file = std::fs::File::open(batches).unwrap();
    journal::Segment::read(batches, &file, None).unwrap().0.unwrap().length
}

/// The database goes when it is made anew, and the process may end before the new one is there.
#[test]
fn a_torn_end_is_put_aside_by_the_start_that_knows_what_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    for revision in 1..=3 {
        store.commit(&batch(revision)).unwrap();
    }
    drop(store);
    let journal = directory.path().join(newest_batches(directory.path()));
    let end = end_of(&journal);
    let opened = OpenOptions::new().write(true).open(&journal).unwrap();
    opened.write_all_at(b"a batch that was never whole", end as u64).unwrap();
    for _ in 0..2 {
        drop(open(directory.path()).unwrap());
        let aside: Vec<_> = std::fs::read_dir(directory.path().join("set-aside")).unwrap().collect();
        assert_eq!(aside.len(), 1);
        let aside = aside.into_iter().next().unwrap().unwrap().path();
        assert_eq!(std::fs::read(aside).unwrap(), b"a batch that was never whole");
        std::fs::remove_dir_all(directory.path().join("store")).unwrap();
    }
    let store = open(directory.path()).unwrap();
    assert_eq!(Content::of(&store).unwrap(), Content::after(3));
    store.commit(&batch(4)).unwrap();
    drop(store);
    assert_eq!(Content::of(&open(directory.path()).unwrap()).unwrap(), Content::after(4));
}

/// Without room to keep it, it stays in the journal, and the start goes on.
#[test]
fn a_torn_end_that_cannot_be_kept_stays() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    store.commit(&batch(1)).unwrap();
    drop(store);
    let journal = directory.path().join(newest_batches(directory.path()));
    let mut torn = std::fs::read(&journal).unwrap();
    torn.truncate(end_of(&journal));
    torn.extend_from_slice(b"torn");
    std::fs::write(&journal, &torn).unwrap();
    std::fs::write(directory.path().join("set-aside"), "a file where the directory would be").unwrap();
    let store = open(directory.path()).unwrap();
    assert!(std::fs::read(&journal).unwrap() == torn);
    assert_eq!(Content::of(&store).unwrap(), Content::after(1));
    store.commit(&batch(2)).unwrap();
    drop(store);
    assert_eq!(Content::of(&open(directory.path()).unwrap()).unwrap(), Content::after(2));
}

/// What stands there may have been acknowledged: without room to ask what it was, nothing is served without it.
#[test]
fn a_torn_end_is_not_passed_over_for_want_of_space() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    for revision in 1..=3 {
        store.commit(&batch(revision)).unwrap();
    }
    drop(store);
    let journal = newest_batches(directory.path());
    Harm::Flip(end_of(&directory.path().join(&journal)) as u64 - 1).doing(&directory.path().join(&journal));
    std::fs::remove_file(directory.path().join("acknowledged")).unwrap();
    let before = files_of(directory.path());
    let full = disk::Settings { reserve_octets: u64::MAX / 4, ..disk::Settings::default() };
    let error = DiskStore::open_with(directory.path(), full).map(|store| store.meta().revision).unwrap_err();
    assert!(error.is_full(), "{error}");
    assert!(files_of(directory.path()) == before);
    assert_eq!(Content::of(&open(directory.path()).unwrap()).unwrap(), Content::after(3));
    // Where nothing is there that could have been, the directory is served.
    assert_eq!(DiskStore::open_with(directory.path(), full).unwrap().meta().revision, 3);
}

/// Copies of the database have names that nobody else gives, and those of processes that were killed go once all is whole.
#[test]
fn a_copy_of_the_database_takes_nobodys_place() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    for revision in 1..=2 {
        store.commit(&batch(revision)).unwrap();
    }
    drop(store);
    let (ours, others) = (
        ["store.copy-0b0c4fb2-7d1c-4f0e-9a58-0e5a3a1f9b11"],
        ["store.copy", "store.copy-notes", "store.copy-0b0c4fb27d1c4f0e9a580e5a3a1f9b11"],
    );
    for name in ours.iter().chain(&others) {
        std::fs::create_dir(directory.path().join(name)).unwrap();
        std::fs::write(directory.path().join(name).join("notes"), "kept").unwrap();
    }
    let journal = directory.path().join(newest_batches(directory.path()));
    let whole = std::fs::read(&journal).unwrap();
    let mut torn = whole.clone();
    let end = torn.iter().rposition(|octet| *octet != 0).unwrap();
    torn[end] ^= 1;
    std::fs::write(&journal, &torn).unwrap();
    let database = directory.path().join("store/db");
    let sound = std::fs::read(&database).unwrap();
    std::fs::write(&database, "nonsense").unwrap();
    let mut before = files_of(directory.path());
    assert!(open(directory.path()).unwrap_err().is_unusable());
    // One start that is killed after the other would fill the disk with them.
    before.retain(|path, _| !ours.iter().any(|name| path.starts_with(name)));
    assert!(files_of(directory.path()) == before);
    disk::Remains::of(directory.path(), directory.path()).unwrap();
    assert!(files_of(directory.path()) == before);

    std::fs::write(&database, sound).unwrap();
    assert_eq!(Content::of(&open(directory.path()).unwrap()).unwrap(), Content::after(2));
    for name in others {
        assert!(directory.path().join(name).join("notes").exists(), "{name}");
    }
    let left = std::fs::read_dir(directory.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().starts_with("store.copy"));
    assert_eq!(left.count(), others.len());
}

/// They are made beside the output, where no start looks.
#[test]
fn a_copy_that_a_killed_salvage_has_left_goes_with_the_next_one() {
    let (directory, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    open(directory.path()).unwrap().commit(&batch(1)).unwrap();
    let (left, somebodys) = ("store.copy-0b0c4fb2-7d1c-4f0e-9a58-0e5a3a1f9b11", "store.copy-notes");
    for name in [left, somebodys] {
        copy(&directory.path().join("store"), &scratch.path().join(name));
    }
    let there = || -> Vec<String> {
        let names = std::fs::read_dir(scratch.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).filter(|name| name != somebodys).collect()
    };
    let one = disk::Remains::of(directory.path(), scratch.path()).unwrap();
    let used = there();
    assert!(used.len() == 1 && used != [left], "{used:?}");
    // One that is used stays.
    drop(disk::Remains::of(directory.path(), scratch.path()).unwrap());
    assert_eq!(there(), used);
    assert!(one.is_whole && one.items().count() > 0);
    drop(one);
    assert!(there().is_empty());
    assert!(scratch.path().join(somebodys).exists());
}

/// A batch that a killed process has written, and not synced: a power loss takes it, but not what a start had noted of it.
#[test]
fn what_a_start_finds_is_synced_before_it_is_noted() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    for revision in 1..=3 {
        store.commit(&batch(revision)).unwrap();
    }
    let noted = std::fs::read(directory.path().join("acknowledged")).unwrap();
    store.commit(&batch(4)).unwrap();
    drop(store);
    std::fs::write(directory.path().join("acknowledged"), &noted).unwrap();
    let refusing =
        disk::Settings { sync_batches: |_| Err(rustix::io::Errno::IO.into()), ..disk::Settings::default() };
    let refused = DiskStore::open_with(directory.path(), refusing).unwrap_err();
    assert!(!refused.is_unusable() && refused.to_string().contains("batches."), "{refused}");
    assert!(std::fs::read(directory.path().join("acknowledged")).unwrap() == noted);
    // Behind an orderly end there is nothing to sync.
    assert_eq!(Content::of(&open(directory.path()).unwrap()).unwrap(), Content::after(4));
    drop(DiskStore::open_with(directory.path(), refusing).unwrap());
}
