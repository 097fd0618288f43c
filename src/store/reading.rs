//! Reading a store without working on it: from the ledger of its data directory, or from a backup. Nothing is written and
//! nothing is locked, so it is done on a mount that is read-only, by whoever may read the files, and beside the process that
//! holds the store; what is seen then is the store as of one commit.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

use super::acknowledged::Said;
use super::archive::{ArchiveError, ArchiveReader};
use super::error::StoreError;
use super::ledger::{Files, Ledger, Trouble};
use super::lock::Lock;
use super::{MemoryStore, Meta, successor};

/// Who works on the store in a data directory, if anybody does, as the error of who wants to work on it too.
///
/// # Errors
/// It cannot be known.
pub fn holder(directory: &Path) -> Result<Option<StoreError>, StoreError> {
    Lock::holder(directory)
}

/// The store in a data directory, as of its last commit; the one that is decided on, wherever it lies. `None`: it has no ledger.
///
/// # Errors
/// The ledger is damaged, or cannot be read.
pub fn read_directory(directory: &Path) -> Result<Option<MemoryStore>, StoreError> {
    let mut attempt = 1;
    loop {
        let place = successor::store_in(directory);
        // Before the journal, which may grow meanwhile.
        let said = Said::read(&place);
        let damaged = |damage| StoreError::JournalDamaged { path: directory.to_owned(), damage };
        let error = match Files::open(&place).map_err(Trouble::from).and_then(Ledger::of) {
            Ok(ledger) => {
                match ledger.lacks(&said).map_or_else(|| ledger.parted_from_said(&said), |it| Ok(Some(it)))? {
                    None => return read_ledger(&ledger, directory).map(Some),
                    Some(damage) => damaged(damage),
                }
            }
            Err(trouble @ Trouble::Absent)
                if said.is_of_ledger() || successor::store_in(directory) != place =>
            {
                trouble.at(directory)
            }
            Err(Trouble::Absent) => return Ok(None),
            Err(Trouble::Other(error)) => return Err(error),
            Err(Trouble::Damaged { damage, .. }) => damaged(damage),
        };
        // Whoever holds the store may have been writing, making a checkpoint, or exchanging the whole of the ledger, while its
        // files were opened and read.
        if attempt == ATTEMPTS {
            return Err(error);
        }
        attempt += 1;
        std::thread::sleep(PAUSE);
    }
}

/// All of a ledger.
///
/// # Errors
/// It cannot be read any more.
pub(super) fn read_ledger(ledger: &Ledger, directory: &Path) -> Result<MemoryStore, StoreError> {
    let mut items = BTreeMap::new();
    ledger.items(|key, value| {
        items.insert(key.to_vec(), value.to_vec());
        Ok(())
    })?;
    Ok(MemoryStore::reading(directory.to_owned(), items, *ledger.meta()))
}

/// The store that a backup holds.
///
/// # Errors
/// It is none, is not whole, or cannot be read.
pub fn read_backup(path: &Path) -> Result<MemoryStore, StoreError> {
    let failed = |error: ArchiveError| match error {
        ArchiveError::Io(error) => StoreError::from_io(path, "read", error),
        error => StoreError::Backup { path: path.to_owned(), reason: error.to_string() },
    };
    let file = File::open(path).map_err(|error| StoreError::from_io(path, "open", error))?;
    let reader = ArchiveReader::new(file).map_err(failed)?;
    let meta: Meta = reader.head().meta;
    let mut items = BTreeMap::new();
    reader
        .read::<ArchiveError>(|key, value| {
            items.insert(key.to_vec(), value.to_vec());
            Ok(())
        })
        .map_err(failed)?;
    Ok(MemoryStore::reading(path.to_owned(), items, meta))
}

/// Files that are found wrong are opened so often.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::model::Trail;
    use crate::store::Holder;
    use crate::store::disk::Settings;
    use crate::store::tests::{Content, batch, files_of, newest_batches};
    use crate::store::{DiskStore, Store, has_store};

    #[test]
    fn a_store_is_read_without_a_trace() {
        let directory = tempfile::tempdir().unwrap();
        assert!(read_directory(directory.path()).unwrap().is_none());
        assert!(!has_store(directory.path()));
        let store = DiskStore::open(directory.path()).unwrap();
        for revision in 1..=12 {
            store.commit(&batch(revision)).unwrap();
        }
        assert!(matches!(holder(directory.path()), Ok(Some(StoreError::Held { holder: Holder::Own, .. }))));
        drop(store);
        assert!(holder(directory.path()).unwrap().is_none());
        let before = files_of(directory.path());
        let read = read_directory(directory.path()).unwrap().unwrap();
        assert_eq!(Content::of(&read).unwrap(), Content::after(12));
        assert_eq!(read.events_before(Trail::Changes, 13, 1).unwrap().len(), 1);
        assert!(matches!(read.commit(&batch(13)), Err(StoreError::OnlyRead { .. })));
        assert!(!read.is_writable());
        assert!(files_of(directory.path()) == before);
        // An end that is gone without a trace, and damage.
        let batches = directory.path().join(newest_batches(directory.path()));
        let end_missing = std::fs::read(&batches).unwrap()[..48].to_vec();
        let checkpoint = directory.path().join("journal/checkpoint");
        for (file, content) in [(batches, end_missing), (checkpoint, b"x".to_vec())] {
            std::fs::write(file, content).unwrap();
            let error = read_directory(directory.path()).unwrap_err();
            assert!(matches!(error, StoreError::JournalDamaged { .. }), "{error}");
        }
    }

    #[test]
    fn a_backup_is_read_as_the_store_was() {
        let directory = tempfile::tempdir().unwrap();
        let store = DiskStore::open(directory.path()).unwrap();
        for revision in 1..=7 {
            store.commit(&batch(revision)).unwrap();
        }
        let path = directory.path().join("backup");
        store.write_archive(&mut File::create(&path).unwrap(), crate::model::Timestamp::now(), None).unwrap();
        store.commit(&batch(8)).unwrap();
        assert_eq!(Content::of(&read_backup(&path).unwrap()).unwrap(), Content::after(7));
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert!(matches!(read_backup(&path), Err(StoreError::Backup { .. })));
    }

    /// As `compact` and `restore` do it, for a moment.
    #[test]
    fn what_is_exchanged_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let store = DiskStore::open(directory.path()).unwrap();
        store.commit(&batch(1)).unwrap();
        drop(store);
        let [journal, aside] = ["journal", "journal.old"].map(|name| directory.path().join(name));
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    std::fs::rename(&journal, &aside).unwrap();
                    std::thread::sleep(PAUSE / 100);
                    std::fs::rename(&aside, &journal).unwrap();
                    std::thread::sleep(PAUSE / 5);
                }
            });
            let read = (0..40).map(|_| {
                std::thread::sleep(PAUSE / 50);
                read_directory(directory.path())
            });
            let failed = read.filter(|read| !matches!(read, Ok(Some(_)))).count();
            is_over.store(true, Ordering::Relaxed);
            assert_eq!(failed, 0);
        });
    }

    /// While commits go on, and checkpoints take files away.
    #[test]
    fn what_is_read_beside_a_writer_is_one_revision() {
        let directory = tempfile::tempdir().unwrap();
        let settings = Settings { journal_octets_min: 64 * 1024, ..Settings::default() };
        let store = DiskStore::open_with(directory.path(), settings).unwrap();
        store.commit(&batch(1)).unwrap();
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut revision = 1;
                while !is_over.load(Ordering::Relaxed) {
                    revision += 1;
                    store.commit(&batch(revision)).unwrap();
                }
            });
            for _ in 0..crate::rounds::rounds(20) {
                let at_least = store.meta().revision;
                let read = read_directory(directory.path()).map(Option::unwrap);
                if read.is_err() {
                    is_over.store(true, Ordering::Relaxed);
                }
                let read = read.unwrap();
                let revision = read.meta().revision;
                assert!(revision >= at_least, "{revision} was read where {at_least} was acknowledged");
                assert_eq!(Content::of(&read).unwrap(), Content::after(revision));
            }
            is_over.store(true, Ordering::Relaxed);
            writer.join().unwrap();
        });
    }
}
