//! Killed in the middle: every acknowledged change is there, none is torn.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;

/// Which store the child process works on.
const DIRECTORY: &str = "BINDERY_TEST_CRASH_DIRECTORY";
const MEMBERS: u32 = 1500;

/// Small batches, and now and then one that fills several segments of the log.
fn mixed(revision: u64) -> Batch {
    let mut batch = batch(revision);
    if revision.is_multiple_of(4) {
        let group = GroupNumber::new(u32::try_from(revision % 3).unwrap() + 2);
        let members = (0..MEMBERS).map(|number| Membership {
            group,
            account: AccountNumber::new(number * 3 + u32::try_from(revision % 5).unwrap()),
        });
        batch.changes.extend(members.map(|membership| Change::Put(Record::Membership(membership))));
    }
    batch
}

/// Not a test by itself: the child process of the one below, which commits until it is killed.
#[test]
fn child() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let store = open(Path::new(&directory)).unwrap();
    let mut revision = store.load(&mut |_| {}).unwrap().revision;
    loop {
        revision += 1;
        store.commit(&mixed(revision)).unwrap();
        // Not by a print macro: the harness keeps what those write.
        writeln!(std::io::stderr(), "acknowledged {revision}").unwrap();
    }
}

#[test]
fn a_killed_process_loses_nothing_that_it_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    let rounds = u64::from(crate::rounds::rounds(4));
    for round in 0..rounds {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::crash::child"])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut left = 3 + round % 12;
        for line in BufReader::new(child.stderr.take().unwrap()).lines() {
            let Some(number) = line.unwrap().strip_prefix("acknowledged ").map(str::parse) else { continue };
            acknowledged = number.unwrap();
            left = left.saturating_sub(1);
            if left == 0 {
                // Somewhere in the next commit; what it says until then counts.
                std::thread::sleep(Duration::from_millis(round * 5 % 23));
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();

        let store = open(directory.path()).unwrap();
        let content = Content::of(&store).unwrap();
        let revision = content.meta.0;
        assert!(
            revision == acknowledged || revision == acknowledged + 1,
            "round {round}: revision {revision}, acknowledged {acknowledged}"
        );
        assert!(content == Content::after_batches(revision, mixed), "round {round} at {revision}");
        acknowledged = revision;
    }
    assert!(acknowledged > rounds);
}

/// Not a test by itself: the child process of the one below, which starts again and again until it is killed.
#[test]
fn starting_child() {
    let Some(directory) = std::env::var_os(STARTING) else { return };
    loop {
        let store = open(Path::new(&directory)).unwrap();
        let revision = store.load(&mut |_| {}).unwrap().revision;
        store.commit(&batch(revision + 1)).unwrap();
        writeln!(std::io::stderr(), "acknowledged {}", revision + 1).unwrap();
    }
}

#[test]
fn a_killed_start_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for round in 0..u64::from(crate::rounds::rounds(4)) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::crash::starting_child"])
            .env(STARTING, directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut seen = 0;
        for line in lines {
            let Some(number) = line.unwrap().strip_prefix("acknowledged ").map(str::parse) else { continue };
            acknowledged = number.unwrap();
            seen += 1;
            if seen == 2 {
                // Somewhere in the next starts.
                std::thread::sleep(Duration::from_millis(round * 17 % 61));
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        let content = Content::of(&open(directory.path()).unwrap()).unwrap();
        let revision = content.meta.0;
        assert!(revision == acknowledged || revision == acknowledged + 1, "{revision} {acknowledged}");
        assert_eq!(content, Content::after(revision), "round {round}");
        acknowledged = revision;
    }
}

/// Not a test by itself: the child process of the one below, which compacts while it commits until it is killed.
#[test]
fn compacting_child() {
    let Some(directory) = std::env::var_os(COMPACTING) else { return };
    let settings = disk::Settings {
        exchanges_names: std::env::var_os(WITHOUT_EXCHANGE).is_none(),
        compaction_gain_octets_min: None,
        journal_octets_min: 64 * 1024,
        ..disk::Settings::default()
    };
    let store = DiskStore::open_with(Path::new(&directory), settings).unwrap();
    let mut revision = store.load(&mut |_| {}).unwrap().revision;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            loop {
                store.compact().unwrap();
            }
        });
        loop {
            revision += 1;
            store.commit(&batch(revision)).unwrap();
            writeln!(std::io::stderr(), "acknowledged {revision}").unwrap();
        }
    });
}

#[test]
fn a_killed_compaction_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    let mut seen = 0;
    for round in 0..u64::from(crate::rounds::rounds(6)) {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "store::tests::crash::compacting_child"]).env(COMPACTING, directory.path());
        if round % 2 == 1 {
            child.env(WITHOUT_EXCHANGE, "1");
        }
        let mut child = child.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut left = 2;
        for line in BufReader::new(child.stderr.take().unwrap()).lines() {
            let Some(number) = line.unwrap().strip_prefix("acknowledged ").map(str::parse) else { continue };
            acknowledged = number.unwrap();
            left -= 1;
            if left == 0 {
                // Somewhere in the next compactions.
                std::thread::sleep(Duration::from_millis(round * 17 % 101));
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        seen +=
            usize::from(["store.new", "store.old"].iter().any(|name| directory.path().join(name).exists()));
        let content = Content::of(&open(directory.path()).unwrap()).unwrap();
        let revision = content.meta.0;
        assert!(revision == acknowledged || revision == acknowledged + 1, "{revision} {acknowledged}");
        assert!(content == Content::after(revision), "round {round}");
        acknowledged = revision;
    }
    assert!(seen > 0);
}

const COMPACTING: &str = "BINDERY_TEST_COMPACTING_DIRECTORY";
const WITHOUT_EXCHANGE: &str = "BINDERY_TEST_WITHOUT_EXCHANGE";
const STARTING: &str = "BINDERY_TEST_STARTING_DIRECTORY";
