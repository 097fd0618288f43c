//! The database below [`super::DiskStore`]: sled with its errors and panics made into ours, and with
//! the syncs that it leaves out. Nothing else in bindery knows sled.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_epoch as epoch;

use crate::store::archive::READ_OCTETS;
use crate::store::catch::catch;
use crate::store::commit::Writes;
use crate::store::directories::{make_directory, sync_directory};
use crate::store::error::{Damage, Holder, StoreError};
use crate::store::{aside, unreadable};

/// An open database.
#[derive(Debug)]
pub(super) struct Database {
    /// The data directory, for errors.
    directory: PathBuf,
    /// Where it is, if it is a copy.
    copy: Option<PathBuf>,
    /// `None` only while it is being dropped.
    database: Option<::sled::Db>,
    /// Our own handle of the file that sled writes, to sync it.
    file: File,
    /// The length of the file when it was last synced as a whole.
    synced_length: AtomicU64,
    /// After how many batches what they have replaced is not yet freed.
    left: Arc<AtomicU64>,
}

impl Database {
    /// Where the database is in a data directory.
    pub(super) fn path_in(directory: &Path) -> PathBuf {
        directory.join(DATABASE)
    }

    /// Opens the database at `path` for the store in the data directory `directory`, or makes an empty one.
    ///
    /// # Errors
    /// sled cannot make sense of the files, or the system refuses something.
    pub(super) fn open(directory: &Path, path: &Path, cache_octets: u64) -> Result<Self, StoreError> {
        if fs::symlink_metadata(path).is_ok() && !path.is_dir() {
            let damage = Damage::Database { reason: "it is no directory".to_owned() };
            return Err(StoreError::Damaged { path: directory.to_owned(), damage });
        }
        make_directory(path)?;
        // sled makes its files readable for everybody; the ones that exist it leaves as they are,
        // and an empty configuration counts as none.
        for name in [DATABASE_FILE, CONFIGURATION_FILE] {
            make_file(&path.join(name))?;
        }

        let config = ::sled::Config::new().path(path).cache_capacity(cache_octets).flush_every_ms(None);
        let database = settle(directory, open_files(&config))?;

        let failed = |error| StoreError::from_io(path, "open the database in", error);
        let file = File::open(path.join(DATABASE_FILE)).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        close_to_others(path).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        sync_directory(path)?;
        path.parent().map_or(Ok(()), sync_directory)?;
        Ok(Self {
            directory: directory.to_owned(),
            copy: None,
            database: Some(database),
            file,
            synced_length: AtomicU64::new(length),
            left: Arc::default(),
        })
    }

    /// Opens a copy, which is at `path`.
    ///
    /// # Errors
    /// [`StoreError::Copy`], or sled cannot make sense of the files.
    pub(super) fn open_copy(directory: &Path, path: &Path, cache_octets: u64) -> Result<Self, StoreError> {
        let mut opened = Self::open(directory, path, cache_octets).map_err(|error| error.of_copy(path))?;
        opened.copy = Some(path.to_owned());
        Ok(opened)
    }

    /// The value of an item.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let found = self.ask(|database| database.get(key))?;
        Ok(found.map(|value| value.to_vec()))
    }

    /// Whether there is no item at all.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.ask(|database| database.first())?.is_none())
    }

    /// Shows all items in their order, until `visit` breaks.
    ///
    /// # Errors
    /// One cannot be read, or what `visit` says.
    pub(super) fn scan(
        &self,
        visit: impl FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        self.show(self.ask(|database| Ok(database.iter()))?, visit)
    }

    /// Shows all items from the key `from` up to, and without, the key `end`, in their order, until `visit` breaks.
    ///
    /// # Errors
    /// One cannot be read, or what `visit` says.
    pub(super) fn scan_to(
        &self,
        from: &[u8],
        end: &[u8],
        visit: impl FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        self.show(self.ask(|database| Ok(database.range(from..end)))?, visit)
    }

    /// The same, the last one first.
    ///
    /// # Errors
    /// One cannot be read, or what `visit` says.
    pub(super) fn scan_back(
        &self,
        from: &[u8],
        end: &[u8],
        visit: impl FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        self.show(self.ask(|database| Ok(database.range(from..end).rev()))?, visit)
    }

    fn show(
        &self,
        mut items: impl Iterator<Item = ::sled::Result<(::sled::IVec, ::sled::IVec)>>,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        // `visit` is not to be called where panics are caught: its own are not the database's.
        let mut piece = Vec::with_capacity(SCAN_ITEMS);
        loop {
            let last = self.settle(catch(|| {
                for item in items.by_ref().take(SCAN_ITEMS) {
                    piece.push(item?);
                }
                Ok(piece.len() < SCAN_ITEMS)
            }))?;
            for (key, value) in piece.drain(..) {
                if visit(&key, &value)?.is_break() {
                    return Ok(());
                }
            }
            if last {
                return Ok(());
            }
        }
    }

    /// Writes all items or, after a crash, none; hands them to the system.
    ///
    /// # Errors
    /// What is in memory and on disk is not known then: see [`super::DiskStore`].
    pub(super) fn write(&self, writes: &Writes) -> Result<(), StoreError> {
        let mut batch = ::sled::Batch::default();
        for (key, value) in writes {
            match value {
                Some(value) => batch.insert(key.as_slice(), value.as_slice()),
                None => batch.remove(key.as_slice()),
            }
        }
        self.ask(|database| database.apply_batch(batch))?;
        self.ask(|database| database.flush())?;
        self.collect()
    }

    /// Frees what sled has replaced: with each item that it writes it leaves a copy of the page behind, of some KiB. By itself
    /// it frees some hundred of them with each piece of the log and in every 128 operations of a thread; a batch is one.
    fn collect(&self) -> Result<(), StoreError> {
        self.ask(|_| {
            // All that was left before this mark is freed before it.
            self.left.fetch_add(1, Ordering::Relaxed);
            let left = self.left.clone();
            epoch::pin().defer(move || left.fetch_sub(1, Ordering::Relaxed));
            // While another thread reads, what it may see stays: the next batch tries again.
            for _ in 0..COLLECT_ATTEMPTS {
                if self.left.load(Ordering::Relaxed) == 0 {
                    break;
                }
                epoch::pin().flush();
            }
            Ok(())
        })
    }

    /// Makes durable what was written: sled itself asks for neither the file's length nor the
    /// disk's cache.
    ///
    /// # Errors
    /// What is on disk is not known then.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        let synced = self.file.metadata().and_then(|metadata| {
            if metadata.len() == self.synced_length.load(Ordering::Relaxed) {
                return self.file.sync_data();
            }
            self.file.sync_all()?;
            self.synced_length.store(metadata.len(), Ordering::Relaxed);
            Ok(())
        });
        // Not a full disk, whatever the reason: nobody knows what was left out.
        synced.map_err(|source| StoreError::Io {
            path: self.directory.clone(),
            doing: "sync the database in",
            source,
        })
    }

    /// Gives up without another write: neither its memory nor its lock is freed.
    pub(super) fn abandon(mut self) {
        if let Some(database) = self.database.take() {
            std::mem::forget(database);
        }
    }

    fn ask<T>(&self, work: impl FnOnce(&::sled::Db) -> ::sled::Result<T>) -> Result<T, StoreError> {
        self.settle(catch(|| match &self.database {
            Some(database) => work(database),
            None => Err(::sled::Error::ReportableBug("it was closed".to_owned())),
        }))
    }

    fn settle<T>(&self, answer: Result<::sled::Result<T>, String>) -> Result<T, StoreError> {
        settle(&self.directory, answer).map_err(|error| match &self.copy {
            Some(copy) => error.of_copy(copy),
            None => error,
        })
    }
}

impl Drop for Database {
    /// sled syncs when it is dropped, and panics where that fails.
    fn drop(&mut self) {
        let database = self.database.take();
        if let Err(reason) = catch(|| drop(database)) {
            tracing::error!(reason, "the database could not be closed in order");
        }
    }
}

/// Puts aside what keeps sled from opening files that are whole: what is not sled's, and snapshots that it had not finished
/// or that are damaged. A whole one stays: what it tells, the log may not tell any more.
///
/// # Errors
/// Something cannot be read or moved.
pub(super) fn tidy(directory: &Path, path: &Path) -> Result<(), StoreError> {
    for stray in strays(path)? {
        let aside = aside::put(directory, &stray)?.unwrap_or_default();
        tracing::warn!(file = %stray.display(), set_aside = %aside.display(), "a file that the database cannot use was put aside");
    }
    Ok(())
}

/// Whether all there can be listed and read, and nothing is to be put aside.
pub(super) fn is_tidy(path: &Path) -> bool {
    strays(path).is_ok_and(|strays| strays.is_empty())
}

/// The same as [`tidy`] in a copy: what cannot be used goes.
///
/// # Errors
/// Something cannot be read or removed.
pub(super) fn tidy_copy(path: &Path) -> Result<(), StoreError> {
    for stray in strays(path)? {
        fs::remove_file(&stray)
            .map_err(|error| StoreError::from_io(&stray, "remove", error).of_copy(path))?;
    }
    Ok(())
}

/// Takes the snapshots of a copy away.
///
/// # Errors
/// One cannot be removed.
pub(super) fn remove_snapshots(path: &Path) -> Result<(), StoreError> {
    let failed = |error| StoreError::from_io(path, "list", error);
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if is_snapshot(&entry.file_name()) {
            fs::remove_file(entry.path())
                .map_err(|error| StoreError::from_io(entry.path(), "remove", error).of_copy(path))?;
        }
    }
    Ok(())
}

/// The names of the snapshots, and of what begins as one.
///
/// # Errors
/// They cannot be listed.
pub(super) fn snapshots_in(path: &Path) -> io::Result<Vec<OsString>> {
    let names = fs::read_dir(path)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>();
    let is_one = |name: &OsString| name.as_encoded_bytes().starts_with(SNAPSHOT_PREFIX.as_bytes());
    names.map(|names| names.into_iter().filter(is_one).collect())
}

/// How many octets sled may write by opening the database, besides what a commit writes: a new snapshot.
pub(super) fn octets_to_open(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    let snapshots = entries.flatten().filter(|entry| is_snapshot(&entry.file_name()));
    snapshots.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).max().unwrap_or(0)
}

/// Waits until the threads of a database that was closed have let go of its files.
///
/// # Errors
/// They do not.
pub(super) fn wait_until_closed(path: &Path) -> Result<(), StoreError> {
    let failed = |error| StoreError::from_io(path, "wait for the end of the database in", error);
    let file = unreadable::open_file(&path.join(DATABASE_FILE)).map_err(failed)?;
    for _ in 0..LOCK_ATTEMPTS {
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(rustix::io::Errno::WOULDBLOCK) => std::thread::sleep(LOCK_PAUSE),
            Err(error) => return Err(failed(error.into())),
        }
    }
    Err(failed(io::ErrorKind::TimedOut.into()))
}

/// Whether this is the name of one of sled's files.
pub(super) fn is_of_database(name: &OsStr) -> bool {
    name == DATABASE_FILE || name == CONFIGURATION_FILE || is_snapshot(name)
}

fn is_snapshot(name: &OsStr) -> bool {
    name.to_str().and_then(|name| name.strip_prefix(SNAPSHOT_PREFIX)).is_some_and(|digits| {
        digits.len() == SNAPSHOT_DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
    })
}

fn strays(path: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut strays = Vec::new();
    if !path.exists() {
        return Ok(strays);
    }
    let failed = |error| StoreError::from_io(path, "list", error);
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let kind = entry.file_type().map_err(failed)?;
        let stays = if kind.is_dir() {
            name == BLOBS_DIRECTORY
        } else if is_snapshot(&name) {
            is_whole_snapshot(&entry.path())?
        } else {
            kind.is_file() && is_of_database(&name)
        };
        if !stays {
            strays.push(entry.path());
        }
    }
    Ok(strays)
}

/// Whether a snapshot has the checksum that sled asks for. Its content is followed by 8 octets of length and the CRC-32 of
/// the content, little-endian.
fn is_whole_snapshot(path: &Path) -> Result<bool, StoreError> {
    match unreadable::open_file(path).and_then(|file| has_checksum(&file)) {
        Ok(is_whole) => Ok(is_whole),
        Err(error) if unreadable::is_damage(&error) => Ok(false),
        Err(error) => Err(StoreError::from_io(path, "read", error)),
    }
}

fn has_checksum(file: &File) -> io::Result<bool> {
    let Some(length) = file.metadata()?.len().checked_sub(8 + 4).filter(|length| *length > 0) else {
        return Ok(false);
    };
    let mut input = BufReader::with_capacity(READ_OCTETS, file).take(length);
    let mut hasher = crc32fast::Hasher::new();
    loop {
        // `take` hands over no more than the content.
        let piece = input.fill_buf()?;
        if piece.is_empty() {
            break;
        }
        hasher.update(piece);
        let taken = piece.len();
        input.consume(taken);
    }
    let mut checksum = [0; 4];
    FileExt::read_exact_at(file, &mut checksum, length + 8)?;
    Ok(hasher.finalize() == u32::from_le_bytes(checksum))
}

fn make_file(path: &Path) -> Result<(), StoreError> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map(drop)
        .map_err(|error| StoreError::from_io(path, "open", error))
}

/// Where the database is in a data directory.
pub(in crate::store) fn database_in(directory: &Path) -> PathBuf {
    Database::path_in(directory)
}

/// Whether the files of a database are in a directory, whatever it is called.
pub(in crate::store) fn is_database(path: &Path) -> bool {
    let is_file = |name: &str| path.join(name).is_file();
    is_file(DATABASE_FILE) && is_file(CONFIGURATION_FILE) && path.join(BLOBS_DIRECTORY).is_dir()
}

/// Removes the database in a data directory that was closed.
///
/// # Errors
/// It is not closed, or cannot be removed.
pub(in crate::store) fn remove_database(directory: &Path) -> Result<(), StoreError> {
    let path = Database::path_in(directory);
    if !path.exists() {
        return Ok(());
    }
    wait_until_closed(&path)?;
    fs::remove_dir_all(&path).map_err(|error| StoreError::from_io(&path, "remove", error))
}

fn close_to_others(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let mode = if entry.file_type()?.is_dir() { 0o700 } else { 0o600 };
        if entry.metadata()?.permissions().mode() & 0o777 != mode {
            fs::set_permissions(entry.path(), Permissions::from_mode(mode))?;
        }
    }
    Ok(())
}

fn settle<T>(directory: &Path, answer: Result<::sled::Result<T>, String>) -> Result<T, StoreError> {
    let damaged = |reason: String| StoreError::Damaged {
        path: directory.to_owned(),
        damage: Damage::Database { reason },
    };
    match answer {
        Ok(Ok(value)) => Ok(value),
        Err(message) => Err(damaged(message)),
        Ok(Err(::sled::Error::Io(error))) if is_locked_io(&error) => {
            Err(StoreError::Held { path: directory.to_owned(), holder: Holder::Unknown })
        }
        // A file that ends too early.
        Ok(Err(::sled::Error::Io(error))) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(damaged("a file ends too early".to_owned()))
        }
        Ok(Err(::sled::Error::Io(error))) => {
            Err(StoreError::from_io(directory, "use the database in", error))
        }
        Ok(Err(::sled::Error::Corruption { .. })) => Err(damaged("a page is corrupt".to_owned())),
        Ok(Err(::sled::Error::Unsupported(reason) | ::sled::Error::ReportableBug(reason))) => {
            Err(damaged(reason))
        }
        Ok(Err(::sled::Error::CollectionNotFound(_))) => Err(damaged("its tree is missing".to_owned())),
    }
}

/// Opens the files of sled. Our own lock says that nobody else has them open: what holds sled's lock is an I/O thread of this
/// process that still ends its work for a store that was just closed.
pub(in crate::store) fn open_files(config: &::sled::Config) -> Result<::sled::Result<::sled::Db>, String> {
    let mut opened = catch(|| config.open());
    for _ in 0..LOCK_ATTEMPTS {
        if !matches!(&opened, Ok(Err(error)) if is_locked(error)) {
            break;
        }
        std::thread::sleep(LOCK_PAUSE);
        opened = catch(|| config.open());
    }
    opened
}

fn is_locked(error: &::sled::Error) -> bool {
    matches!(error, ::sled::Error::Io(error) if is_locked_io(error))
}

/// sled answers with a text of its own when somebody holds the lock of its file.
fn is_locked_io(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Other && error.to_string().starts_with("could not acquire lock")
}

pub(in crate::store) const DATABASE: &str = "store";
/// What stood in the place of a new database until it came there by two renames.
pub(in crate::store) const DATABASE_OLD: &str = "store.old";
/// The one file that holds sled's data.
const DATABASE_FILE: &str = "db";
const CONFIGURATION_FILE: &str = "conf";
const BLOBS_DIRECTORY: &str = "blobs";
const SNAPSHOT_PREFIX: &str = "snap.";
const SNAPSHOT_DIGITS: usize = 16;
const SCAN_ITEMS: usize = 512;
/// In each, 512 pages are freed.
const COLLECT_ATTEMPTS: usize = 4096;
const LOCK_ATTEMPTS: usize = 200;
const LOCK_PAUSE: Duration = Duration::from_millis(25);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::store::tests::is_alone;

    /// In a process of its own: what other tests read holds up what is freed, for as long as they do not get on.
    #[test]
    fn what_batches_replace_is_freed_while_they_are_written() {
        if !is_alone("store::disk::database::tests::what_batches_replace_is_freed_while_they_are_written") {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let path = Database::path_in(directory.path());
        let database = Database::open(directory.path(), &path, 1024 * 1024).unwrap();
        let mut most = 0;
        for batch in 0..BATCHES {
            let keys = (0..4_000_u64).map(|item| (batch * 4_000 + item).to_be_bytes().to_vec());
            let writes = keys.map(|key| (key, Some(Vec::new()))).collect();
            database.write(&writes).unwrap();
            most = most.max(database.left.load(Ordering::Relaxed));
        }
        assert!(most <= BATCHES / 4, "{most} of {BATCHES} batches");
    }

    const BATCHES: u64 = 40;
}
