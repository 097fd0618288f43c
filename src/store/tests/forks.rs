//! Parts of a copy of a store, of the same life, that went on by itself: none takes the place of what was acknowledged, and whatever
//! of the store's own history takes the place of something else, all that was acknowledged is there.

use std::collections::BTreeSet;
use std::fs::File;
use std::sync::atomic::AtomicBool;

use super::parts::{each_copy_has_all, opened, remove};
use super::*;
use crate::store::journal::Journal;
use crate::store::ledger::Ledger;
use crate::store::restore::{Existing, Restoration};
use crate::store::salvage::{SalvageRules, Salvaged, salvage};

/// The last revision that both have.
const FORK: u64 = 6;
/// The last one of the store.
const LAST: u64 = 9;

/// What an event has the digest of: whose it is, and its place.
fn digest(sequence: u64, is_theirs: bool) -> EventDigest {
    let mut digest = [sequence as u8; 32];
    digest[31] = u8::from(is_theirs && sequence > FORK);
    if sequence == 0 { EventDigest::NONE } else { EventDigest::new(digest) }
}

/// The batch of a revision of the store, or of a copy that parts from it behind [`FORK`]: with an event that follows on that before.
fn batch_of(revision: u64, is_theirs: bool) -> Batch {
    let mut batch = batch(revision);
    let whose = if is_theirs && revision > FORK { "theirs" } else { "ours" };
    for change in &mut batch.changes {
        if let Change::Put(Record::Event(event)) = change {
            event.previous = digest(revision - 1, is_theirs);
            event.object_name = format!("{whose}{revision}");
        }
    }
    batch.changes.push(Change::Put(Record::Tombstone(tombstone(format!("{whose}{revision}")))));
    batch.counters.trails.changes.head = digest(revision, is_theirs);
    batch
}

fn ours(revision: u64) -> Content {
    Content::after_batches(revision, |revision| batch_of(revision, false))
}

fn go_on(
    directory: &Path,
    revisions: std::ops::RangeInclusive<u64>,
    is_theirs: bool,
    checkpoint_octets: u64,
) {
    for revision in revisions {
        let store = opened(directory, checkpoint_octets);
        assert_eq!(store.commit(&batch_of(revision, is_theirs)).unwrap().revision, revision);
        store.wait_for_checkpoint();
    }
}

/// Makes a checkpoint of all that there is.
fn make_checkpoint(directory: &Path) {
    let (ledger, journal) = (Ledger::read(directory).unwrap(), ledger::path_in(directory));
    let before = journal::files_in(&journal).unwrap();
    Journal::create(&journal, ledger.incarnation(), ledger.meta().revision + 1, File::sync_all).unwrap();
    ledger.make_checkpoint(&AtomicBool::new(false)).unwrap();
    before.iter().for_each(|file| remove(file));
}

/// A store that has gone on to its last revision, and a copy of it from the fork that has gone on to another one by itself.
fn forked(theirs: u64) -> [tempfile::TempDir; 2] {
    let place = tempfile::tempdir().unwrap();
    go_on(place.path(), 1..=FORK, false, u64::MAX);
    let other = copied(place.path());
    go_on(place.path(), FORK + 1..=LAST, false, u64::MAX);
    go_on(other.path(), FORK + 1..=theirs, true, u64::MAX);
    [place, other]
}

fn copied(directory: &Path) -> tempfile::TempDir {
    let copied = tempfile::tempdir().unwrap();
    copy(directory, copied.path());
    copied
}

/// Puts a part of one data directory in the place of that of another.
fn put(from: &Path, part: &str, to: &Path) {
    let (from, to) = (from.join(part), to.join(part));
    if to.exists() {
        remove(&to);
    }
    if from.is_dir() {
        copy(&from, &to);
    } else {
        std::fs::copy(from, to).unwrap();
    }
}

fn files_in(directory: &Path, part: &str) -> Vec<String> {
    let files = files_of(&directory.join(part)).into_keys();
    files.map(|file| format!("{part}/{}", file.display())).collect()
}

fn journal_of(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    files_of(&ledger::path_in(directory))
}

/// What is salvaged, by whom there are traces, and what is told.
fn salvaged(directory: &Path) -> (BTreeSet<String>, Salvaged) {
    let rules = SalvageRules {
        digest: &|event| digest(event.sequence, event.object_name.starts_with("theirs")),
        misfit: &|_, _| None,
        name_key: &|name| name.to_lowercase().into_bytes(),
    };
    let scratch = tempfile::tempdir().unwrap();
    let mut archive = Vec::new();
    let salvaged = salvage(directory, scratch.path(), &rules, &mut archive).unwrap();
    let path = scratch.path().join("salvaged.backup");
    std::fs::write(&path, archive).unwrap();
    let mut traces = BTreeSet::new();
    let store = read_backup(&path).unwrap();
    store
        .load(&mut |record| {
            if let Record::Tombstone(Tombstone { of: TombstoneOf::Account(name), .. }) = record {
                traces.insert(name);
            }
        })
        .unwrap();
    (traces, salvaged)
}

/// What is wrong with what is salvaged, which is to be of one history, with whatever is left out told of.
fn wrong_with_salvaged(directory: &Path) -> Option<String> {
    let (traces, salvaged) = salvaged(directory);
    let after_fork = |whose: &str| {
        let behind = FORK + 1..=LAST + FORK;
        behind.filter(|revision| traces.contains(&format!("{whose}{revision}"))).count()
    };
    let is_of_one = after_fork("ours") == 0 || after_fork("theirs") == 0;
    let has_rest = (1..=FORK).all(|revision| traces.contains(&format!("ours{revision}")));
    let is_told =
        salvaged.sources.iter().any(|line| line.contains("went on by itself") && line.contains("without"));
    // In a file that nothing was written to nothing is left out.
    let has_theirs = files_of(directory).values().any(|octets| octets.windows(6).any(|six| six == b"theirs"));
    (!is_of_one || !has_rest || has_theirs && !is_told).then(|| format!("{traces:?} {:?}", salvaged.sources))
}

/// Whatever is of an earlier moment of one history: nothing of it is refused, or lost.
#[test]
fn parts_of_one_history_have_all_that_was_acknowledged() {
    for checkpoint_octets in [2048, u64::MAX] {
        let place = tempfile::tempdir().unwrap();
        let mut states = Vec::new();
        for revision in 1..=LAST {
            go_on(place.path(), revision..=revision, false, checkpoint_octets);
            states.push((revision, copied(place.path())));
        }
        for (revision, earlier) in &states {
            let mut parts: Vec<String> = ["store", "journal", "acknowledged"].map(str::to_owned).to_vec();
            parts.extend(files_in(earlier.path(), "journal"));
            for part in parts {
                let case = format!("{part} of {revision}, checkpoints after {checkpoint_octets}");
                let mixed = copied(place.path());
                put(earlier.path(), &part, mixed.path());
                let content = open(mixed.path()).map(|store| Content::of(&store).unwrap());
                assert!(content.unwrap() == ours(LAST), "{case}");
                each_copy_has_all(mixed.path(), &ours(LAST));
            }
            // A journal that has lost its end, and nobody tells of that.
            let mixed = copied(earlier.path());
            put(place.path(), "store", mixed.path());
            let content = Content::of(&open(mixed.path()).unwrap()).unwrap();
            assert!(content == ours(LAST), "store/ beside a journal of {revision}");
            // What a crash has rolled back.
            let lines = salvaged(mixed.path()).1.sources;
            assert!(!lines.iter().any(|line| line.contains("went on by itself")), "{lines:?}");
        }
    }
}

/// The store is at 9; the copy, since 6, at less, as much, and more.
#[test]
fn parts_of_a_copy_that_went_on_by_itself_take_no_place() {
    let (mut refused, mut begun) = (0, 0);
    let mut wrong = Vec::new();
    for (ours_checkpoint, theirs_checkpoint) in
        [(u64::MAX, u64::MAX), (2048, 2048), (u64::MAX, 0), (0, u64::MAX)]
    {
        let place = tempfile::tempdir().unwrap();
        go_on(place.path(), 1..=FORK, false, ours_checkpoint);
        let other = copied(place.path());
        go_on(place.path(), FORK + 1..=LAST, false, ours_checkpoint);
        for theirs in FORK + 1..=LAST + 3 {
            go_on(other.path(), theirs..=theirs, true, theirs_checkpoint);
            let mut parts: Vec<Vec<String>> =
                [vec!["store"], vec!["journal"], vec!["journal", "acknowledged"]].map(strings).to_vec();
            parts.extend(files_in(other.path(), "journal").into_iter().map(|file| vec![file]));
            for part in parts {
                let case = format!("{part:?} of {theirs}, checkpoints {ours_checkpoint} {theirs_checkpoint}");
                let mixed = copied(place.path());
                part.iter().for_each(|part| put(other.path(), part, mixed.path()));
                let before = journal_of(mixed.path());
                match open(mixed.path()) {
                    Ok(store) => {
                        assert!(Content::of(&store).unwrap() == ours(LAST), "{case}: {:?}", store.meta());
                        drop(store);
                        each_copy_has_all_or_parts(mixed.path(), &ours(LAST));
                        begun += 1;
                    }
                    Err(error) => {
                        assert!(error.is_unusable(), "{case}: {error}");
                        assert!(journal_of(mixed.path()) == before, "{case}: {error}");
                        assert!(!mixed.path().join("set-aside").exists(), "{case}: {error}");
                        let salvaged = wrong_with_salvaged(mixed.path());
                        wrong.extend(salvaged.map(|salvaged| format!("{case}: {error}: {salvaged}")));
                        refused += 1;
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(refused > 20 && begun > 20, "{refused} {begun}");
}

/// Each copy of a store has all of it by itself. A file of batches of another copy that the checkpoint makes up for stays: without
/// that checkpoint nobody knows which of the two is meant.
fn each_copy_has_all_or_parts(directory: &Path, all: &Content) {
    for gone in ["store", "journal/checkpoint"] {
        let copied = copied(directory);
        remove(&copied.path().join(gone));
        match open(copied.path()) {
            Ok(store) => assert!(Content::of(&store).unwrap() == *all, "without {gone}: {:?}", store.meta()),
            Err(error) => {
                let said = error.to_string();
                assert!(gone != "store" && said.contains("went on by themselves"), "without {gone}: {said}");
            }
        }
    }
}

fn strings(parts: Vec<&str>) -> Vec<String> {
    parts.into_iter().map(str::to_owned).collect()
}

/// The one file that claims more is a checkpoint: the database has what was acknowledged, and begins.
#[test]
fn a_checkpoint_of_a_copy_that_went_further_is_made_up_for() {
    let [place, other] = forked(LAST + 3);
    make_checkpoint(other.path());
    put(other.path(), "journal/checkpoint", place.path());
    let damaged = copied(place.path());
    let store = open(place.path()).unwrap();
    assert!(Content::of(&store).unwrap() == ours(LAST));
    drop(store);
    each_copy_has_all(place.path(), &ours(LAST));
    // Salvage has the same, and says how to get at the rest.
    let (traces, told) = salvaged(damaged.path());
    assert!(traces.contains(&format!("ours{LAST}")), "{traces:?}");
    let told = told.sources.join("\n");
    assert!(told.contains("journal/checkpoint is left out") && told.contains("without"), "{told}");
    // Nothing says that it is of another history where nobody says how far the store was: nothing is lost untold.
    remove(&damaged.path().join("acknowledged"));
    let refused = open(damaged.path()).unwrap_err().to_string();
    assert!(refused.contains("is at revision 9"), "{refused}");
}

/// The journal is whole up to what was acknowledged: what stands behind it is what is named.
#[test]
fn batches_of_a_copy_behind_the_end_are_named() {
    let [place, other] = forked(LAST);
    make_checkpoint(other.path());
    go_on(other.path(), LAST + 1..=LAST + 2, true, u64::MAX);
    let stray = files_in(other.path(), "journal").into_iter().find(|file| file.ends_with("10")).unwrap();
    put(other.path(), &stray, place.path());
    let before = files_of(place.path());
    let refused = open(place.path()).unwrap_err().to_string();
    assert!(refused.contains(&stray) && refused.contains("its batch 10 does not follow on"), "{refused}");
    assert!(
        refused.contains("tells of revision 11") && !refused.contains("11 was acknowledged"),
        "{refused}"
    );
    assert!(files_of(place.path()) == before);
    for has_database in [true, false] {
        let (traces, told) = salvaged(place.path());
        assert!(traces.contains("ours9") && !traces.contains("theirs10"), "{traces:?}");
        let told = told.sources.join("\n");
        assert!(told.contains(&format!("{stray} is left out")), "{told}");
        if has_database {
            std::fs::write(place.path().join("store/db"), "cut").unwrap();
        }
    }
    put(other.path(), "store", place.path());
    remove(&place.path().join(stray));
    let refused = open(place.path()).unwrap_err().to_string();
    assert!(
        refused.contains("batches.00000000000000000001") && refused.contains("move the other"),
        "{refused}"
    );
}

/// What a start would clear away stays where it is refused, which only the database can tell.
#[test]
fn a_refused_start_clears_nothing_away() {
    let [place, other] = forked(LAST);
    put(other.path(), "store", place.path());
    std::fs::write(place.path().join("store/notes.txt"), "mine").unwrap();
    for made in ["store.new", "successor.new", "successor"] {
        std::fs::create_dir(place.path().join(made)).unwrap();
        std::fs::write(place.path().join(made).join("left"), "of a crash").unwrap();
    }
    let before = files_of(place.path());
    let refused = open(place.path()).unwrap_err().to_string();
    assert!(refused.contains("other records at the same revision 9"), "{refused}");
    assert!(files_of(place.path()) == before, "{refused}");
}

/// Flips a bit of a file.
fn flip(path: &Path, at: impl Fn(usize) -> usize) {
    let mut octets = std::fs::read(path).unwrap();
    let at = at(octets.len());
    octets[at] ^= 1;
    std::fs::write(path, octets).unwrap();
}

/// A store whose newest file of batches begins at the fork, and a copy: what is harmed of the journal is not made of a database of
/// the copy, which looks as well as ours.
#[test]
fn a_database_of_a_copy_takes_no_place_of_a_harmed_journal() {
    type Harm = (&'static str, bool, fn(&Path, &Path));
    let harms: &[Harm] = &[
        ("acknowledged", true, |_, _| {}),
        ("a bit of the checkpoint", false, |ours, _| {
            flip(&ours.join("journal/checkpoint"), |length| length / 2)
        }),
        ("a bit of the head of the checkpoint", false, |ours, _| {
            flip(&ours.join("journal/checkpoint"), |_| 40)
        }),
        ("a bit of the first batch", false, |ours, _| flip(&ours.join(newest_batches(ours)), |_| 120)),
        ("a bit of the head of the batches", false, |ours, _| flip(&ours.join(newest_batches(ours)), |_| 3)),
        ("the checkpoint gone", true, |ours, _| remove(&ours.join("journal/checkpoint"))),
        ("the checkpoint of the copy", false, |ours, theirs| {
            make_checkpoint(theirs);
            put(theirs, "journal/checkpoint", ours);
            put(theirs, "store", ours);
        }),
        ("batches of the copy among ours", true, |ours, theirs| {
            make_checkpoint(theirs);
            let last = Ledger::read(theirs).unwrap().meta().revision;
            go_on(theirs, last + 1..=last + 1, true, u64::MAX);
            put(theirs, newest_batches(theirs).to_str().unwrap(), ours);
            put(theirs, "acknowledged", ours);
            put(theirs, "store", ours);
        }),
        ("a database that was exchanged", false, |ours, _| {
            std::fs::rename(ours.join("store"), ours.join("store.old")).unwrap();
            std::fs::create_dir(ours.join("store")).unwrap();
            std::fs::write(ours.join("store/db"), "cut").unwrap();
            flip(&ours.join("journal/checkpoint"), |length| length / 2);
        }),
    ];
    for theirs in LAST..=LAST + 3 {
        for (harm, with_acknowledged, harmed) in harms {
            let case = format!("{harm}, of a copy at {theirs}");
            let place = tempfile::tempdir().unwrap();
            go_on(place.path(), 1..=FORK, false, u64::MAX);
            make_checkpoint(place.path());
            let other = copied(place.path());
            go_on(place.path(), FORK + 1..=LAST, false, u64::MAX);
            go_on(other.path(), FORK + 1..=theirs, true, u64::MAX);
            put(other.path(), "store", place.path());
            if *with_acknowledged {
                put(other.path(), "acknowledged", place.path());
            }
            harmed(place.path(), other.path());
            let before = files_of(place.path());
            let refused = open(place.path()).map(|store| store.meta()).unwrap_err();
            assert!(refused.is_unusable(), "{case}: {refused}");
            let said = refused.to_string();
            // Of what is left of an exchange nobody says more than that it does not do.
            let is_named = said.contains("went on by themselves")
                && ["/store", "/acknowledged"].iter().any(|other| said.contains(other));
            let is_left = *harm == "a database that was exchanged" && said.contains("was acknowledged");
            assert!((is_named || is_left) && said.contains("journal/"), "{case}: {said}");
            assert!(files_of(place.path()) == before, "{case}: {said}");
        }
    }
}

/// As the refusal says: with the other moved out, and `accept` in the file that may be of that one, a start goes on with one of them.
#[test]
fn what_a_refusal_for_a_copy_advises_leads_to_either() {
    for (theirs, parts) in [
        (LAST + 3, &["store"][..]),
        (LAST + 3, &["store", "acknowledged"]),
        (LAST, &["store"]),
        (LAST + 3, &["journal"]),
        (LAST + 3, &["journal", "acknowledged"]),
        (LAST - 1, &["journal"]),
    ] {
        let [place, other] = forked(theirs);
        parts.iter().for_each(|part| put(other.path(), part, place.path()));
        let refused = open(place.path()).unwrap_err().to_string();
        assert!(refused.contains("`accept` into the file `acknowledged`"), "{parts:?} {theirs}: {refused}");
        for moved in ["journal", "store"] {
            let kept = copied(place.path());
            remove(&kept.path().join(moved));
            std::fs::write(kept.path().join("acknowledged"), "accept\n").unwrap();
            let is_theirs = parts.contains(&if moved == "journal" { "store" } else { "journal" });
            let expected = Content::after_batches(if is_theirs { theirs } else { LAST }, |revision| {
                batch_of(revision, is_theirs)
            });
            let content = Content::of(&open(kept.path()).unwrap()).unwrap();
            assert!(content == expected, "{parts:?} {theirs}, without {moved}: {:?}", content.meta);
            each_copy_has_all(kept.path(), &expected);
        }
    }
}

/// What a restore compares with is what a start would take.
#[test]
fn a_restore_compares_nothing_with_a_journal_of_a_copy() {
    for theirs in [LAST - 1, LAST, LAST + 3] {
        for parts in [&["journal"][..], &["journal", "acknowledged"]] {
            let [place, other] = forked(theirs);
            parts.iter().for_each(|part| put(other.path(), part, place.path()));
            let before = files_of(place.path());
            match Restoration::begin(place.path()).unwrap().existing() {
                Existing::Unreadable(error) => {
                    let said = error.to_string();
                    assert!(said.contains("by themselves") || parts.len() == 1 && theirs < LAST, "{said}");
                }
                existing => panic!("{existing:?}"),
            }
            assert!(files_of(place.path()) == before, "{parts:?} {theirs}");
        }
    }
    let whole = tempfile::tempdir().unwrap();
    go_on(whole.path(), 1..=FORK, false, u64::MAX);
    let earlier = copied(whole.path());
    go_on(whole.path(), FORK + 1..=LAST, false, u64::MAX);
    // Of one history, the end of the journal and what was noted of it are lost.
    let place = copied(whole.path());
    ["journal", "acknowledged"].iter().for_each(|part| put(earlier.path(), part, place.path()));
    match Restoration::begin(place.path()).unwrap().existing() {
        Existing::Unreadable(error) => assert!(error.to_string().contains("revision 9"), "{error}"),
        existing => panic!("{existing:?}"),
    }
    // Whatever the database is, the journal has all.
    for harm in ["nothing", "earlier", "gone", "damaged"] {
        let place = copied(whole.path());
        match harm {
            "nothing" => {}
            "earlier" => put(earlier.path(), "store", place.path()),
            "gone" => remove(&place.path().join("store")),
            _ => std::fs::write(place.path().join("store/db"), "cut").unwrap(),
        }
        let existing = Restoration::begin(place.path()).unwrap().existing();
        assert!(matches!(existing, Existing::Readable(_)), "{harm}: {existing:?}");
    }
}

/// Where no database can be asked, what was acknowledged tells that a journal is of a copy: with all of it, or one file, also on a full
/// disk. With what the copy has acknowledged, nothing does.
#[test]
fn a_journal_of_a_copy_takes_no_place_where_the_database_says_nothing() {
    for theirs in [LAST - 1, LAST, LAST + 3] {
        for with_checkpoint in [false, true] {
            for harm in ["a bit", "cut", "gone", "no space"] {
                let case = format!("{harm}, of a copy at {theirs}, {with_checkpoint}");
                let [place, other] = forked(theirs);
                if with_checkpoint {
                    make_checkpoint(other.path());
                }
                put(other.path(), "journal", place.path());
                let mut settings = disk::Settings::default();
                match harm {
                    "a bit" => flip(&place.path().join("store/db"), |length| length / 2),
                    "cut" => std::fs::write(place.path().join("store/db"), "cut").unwrap(),
                    "gone" => remove(&place.path().join("store")),
                    _ => settings.reserve_octets = u64::MAX / 4,
                }
                let before = files_of(place.path());
                let refused =
                    DiskStore::open_with(place.path(), settings).map(|store| store.meta()).unwrap_err();
                assert!(refused.is_unusable() || refused.is_full(), "{case}: {refused}");
                assert!(files_of(place.path()) == before, "{case}: {refused}");
            }
        }
    }
}

/// Nor does a database of before the fork, which both have been.
#[test]
fn a_database_of_before_says_nothing_for_a_journal_of_a_copy() {
    for theirs in [LAST, LAST + 3] {
        let place = tempfile::tempdir().unwrap();
        go_on(place.path(), 1..=FORK, false, u64::MAX);
        let (earlier, other) = (copied(place.path()), copied(place.path()));
        go_on(place.path(), FORK + 1..=LAST, false, u64::MAX);
        go_on(other.path(), FORK + 1..=theirs, true, u64::MAX);
        // As a kill leaves it between the journal and the database.
        put(earlier.path(), "store", place.path());
        assert!(open(copied(place.path()).path()).is_ok_and(|store| store.meta().revision == LAST));
        put(other.path(), "journal", place.path());
        let said = open(place.path()).unwrap_err().to_string();
        assert!(said.contains("went on by themselves") && said.contains("/acknowledged"), "{said}");
    }
}

/// A store that nothing was committed to loses nothing, whatever is gone of it.
#[test]
fn an_empty_store_is_begun_anew() {
    for gone in [&["journal"][..], &["journal", "store"], &["store"]] {
        let place = tempfile::tempdir().unwrap();
        drop(open(place.path()).unwrap());
        gone.iter().for_each(|part| remove(&place.path().join(part)));
        assert_eq!(open(place.path()).unwrap().meta().revision, 0, "{gone:?}");
        go_on(place.path(), 1..=FORK, false, u64::MAX);
    }
}

/// On a full disk a journal is served without its database only where something was acknowledged of it.
#[test]
fn a_full_disk_serves_no_journal_that_nothing_tells_of() {
    let place = tempfile::tempdir().unwrap();
    go_on(place.path(), 1..=LAST, false, u64::MAX);
    let full = disk::Settings { reserve_octets: u64::MAX / 4, ..disk::Settings::default() };
    assert_eq!(DiskStore::open_with(place.path(), full).unwrap().meta().revision, LAST);
    remove(&place.path().join("acknowledged"));
    let before = files_of(place.path());
    let error = DiskStore::open_with(place.path(), full).map(|store| store.meta().revision).unwrap_err();
    assert!(error.is_full(), "{error}");
    assert!(files_of(place.path()) == before);
    assert_eq!(open(place.path()).unwrap().meta().revision, LAST);
}

/// A directory that was copied in the middle of a restore, and comes back to the store that came of it.
#[test]
fn what_came_to_its_place_before_takes_no_place_again() {
    let place = tempfile::tempdir().unwrap();
    go_on(place.path(), 1..=FORK, false, u64::MAX);
    let stray = place.path().join("successor");
    let draft = copied(place.path());
    std::fs::create_dir(&stray).unwrap();
    copy(&draft.path().join("journal"), &stray.join("journal"));
    // It may be on its way: it has all that was acknowledged.
    assert_eq!(open(copied(place.path()).path()).unwrap().meta().revision, FORK);
    remove(&stray);
    go_on(place.path(), FORK + 1..=LAST, false, u64::MAX);
    std::fs::create_dir(&stray).unwrap();
    copy(&draft.path().join("journal"), &stray.join("journal"));
    // Also where it was copied while its files went.
    let cut = copied(place.path());
    remove(&cut.path().join("successor").join(newest_batches(draft.path())));
    for place in [place.path(), cut.path()] {
        assert_eq!(crate::store::read_directory(place).unwrap().unwrap().meta().revision, LAST);
        assert_eq!(Content::of(&open(place).unwrap()).unwrap(), ours(LAST));
        assert!(!place.join("successor").exists() && place.join("set-aside").exists());
    }
}
