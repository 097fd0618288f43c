//! Damaged files: a store opens with all that was acknowledged, or says that it is damaged.

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
            copy(original.path(), directory.path());
            drop(store);
        }
        Self { directory, revision }
    }

    fn length(&self, file: &Path) -> u64 {
        std::fs::metadata(self.directory.path().join(file)).unwrap().len()
    }

    /// Harms a copy; says whether it was noticed.
    fn suffer(&self, file: &Path, harm: Harm) -> bool {
        let copied = tempfile::tempdir().unwrap();
        copy(self.directory.path(), copied.path());
        let opened = OpenOptions::new().read(true).write(true).open(copied.path().join(file)).unwrap();
        match harm {
            Harm::Flip(at) => {
                let mut octet = [0];
                opened.read_exact_at(&mut octet, at).unwrap();
                opened.write_all_at(&[octet[0] ^ 0x10], at).unwrap();
            }
            Harm::Cut(length) => opened.set_len(length).unwrap(),
            Harm::Zero(at, octets) => {
                let octets = octets.min(usize::try_from(self.length(file) - at).unwrap());
                opened.write_all_at(&vec![0; octets], at).unwrap();
            }
        }
        drop(opened);
        let first = self.judge(copied.path(), file, harm);
        // Opening repairs in sled's way: the second time must not be happier.
        let second = self.judge(copied.path(), file, harm);
        assert!(second || !first, "{harm:?} of {} was noticed once only", file.display());
        first
    }

    fn judge(&self, directory: &Path, file: &Path, harm: Harm) -> bool {
        match open(directory).and_then(|store| Content::of(&store)) {
            Ok(content) => {
                assert!(
                    content == Content::after(self.revision),
                    "{harm:?} of {} went unnoticed: {:?}",
                    file.display(),
                    content.meta
                );
                false
            }
            Err(error) => {
                if std::env::var_os("BINDERY_TEST_SHOW").is_some() {
                    eprintln!("{harm:?}: {error}");
                }
                assert!(error.is_unusable(), "{harm:?} of {}: {error}", file.display());
                true
            }
        }
    }

    /// The files with content, relative.
    fn files(&self) -> Vec<PathBuf> {
        let mut files = vec![PathBuf::from("acknowledged")];
        for entry in std::fs::read_dir(self.directory.path().join("store")).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() && entry.metadata().unwrap().len() > 0 {
                files.push(Path::new("store").join(entry.file_name()));
            }
        }
        files
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
            let length = victim.length(&file);
            let harms = harms(length);
            let noticed = harms.iter().filter(|harm| victim.suffer(&file, **harm)).count();
            eprintln!("{life:?}: {} of {length} octets: {noticed} of {}", file.display(), harms.len());
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
