//! One process at a time works on a store: a lock file beside it, with the process id of its holder.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::error::{Holder, StoreError};
use super::{ledger, unreadable};
use crate::file_identity::FileIdentity;

/// Holds the store in a directory until it is dropped. The system frees it when the process ends.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    file: File,
}

impl Drop for Lock {
    /// Closing alone would leave it to a child process that was forked meanwhile, until that executes something.
    fn drop(&mut self) {
        // First: whoever takes it next is another one.
        if let Some(identity) = identity_of(&self.file) {
            own().remove(&identity);
        }
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

impl Lock {
    /// Takes the lock of the store in `directory`, without waiting.
    ///
    /// # Errors
    /// [`StoreError::Held`], [`StoreError::Foreign`], or the file cannot be made.
    pub(super) fn take(directory: &Path) -> Result<Self, StoreError> {
        check_owner(directory)?;
        let path = directory.join(FILE_NAME);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| StoreError::from_io(&path, "open the lock file", error))?;
        match lock(&mut file, FlockOperation::NonBlockingLockExclusive, pause) {
            Ok(None) => {}
            Ok(Some(holder)) => return Err(StoreError::Held { path: directory.to_owned(), holder }),
            Err(error) => return Err(StoreError::from_io(&path, "lock", error.into())),
        }
        own().extend(identity_of(&file));
        // Only the name of the holder in a message depends on it: a full disk is no reason to stop.
        let _ = note_holder(&mut file);
        Ok(Self { path, file })
    }

    /// Whether it is still what keeps others away: who removes or replaces the file lets another process in.
    ///
    /// # Errors
    /// It is not.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let is_in_place = match std::fs::metadata(&self.path) {
            Ok(found) => identity_of(&self.file).is_none_or(|own| own == FileIdentity::of(&found)),
            // What cannot be asked says nothing.
            Err(error) => error.kind() != std::io::ErrorKind::NotFound,
        };
        if is_in_place {
            return Ok(());
        }
        let source =
            std::io::Error::other("it was removed or replaced, and another process may work on the store");
        Err(StoreError::Io { path: self.path.clone(), doing: "rely on", source })
    }

    /// Who holds it, as [`StoreError::Held`]. Nothing is made or written.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn holder(directory: &Path) -> Result<Option<StoreError>, StoreError> {
        let path = directory.join(FILE_NAME);
        let mut file = match unreadable::open_file(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::from_io(&path, "open the lock file", error)),
        };
        // It is let go at once: whoever wants to work on the store tries more than once.
        match lock(&mut file, FlockOperation::NonBlockingLockShared, pause) {
            Ok(holder) => Ok(holder.map(|holder| StoreError::Held { path: directory.to_owned(), holder })),
            Err(error) => Err(StoreError::from_io(&path, "look at the lock", error.into())),
        }
    }
}

/// Refuses to work on what belongs to another user. Root can, and would leave files behind that the owner cannot read.
///
/// # Errors
/// [`StoreError::Foreign`]
pub fn check_owner(directory: &Path) -> Result<(), StoreError> {
    let user = rustix::process::geteuid().as_raw();
    // Whoever made the store in a directory goes on with it, whosever the directory is.
    let places = [ledger::path_in(directory), super::disk::database_in(directory), directory.to_owned()];
    let Some(found) = places.iter().find_map(|path| path.metadata().ok()) else { return Ok(()) };
    if found.uid() == user {
        return Ok(());
    }
    Err(StoreError::Foreign { path: directory.to_owned(), owner: found.uid(), user })
}

/// Takes the lock, or answers with who holds it. Whoever has noted itself may have gone since, and who came in its place may not
/// have noted itself yet: told is who stands there twice, while the lock is held; otherwise nobody knows who it is.
fn lock(file: &mut File, how: FlockOperation, pause: impl Fn()) -> Result<Option<Holder>, Errno> {
    let mut noted = None;
    for _ in 0..LOOKS {
        match flock(&*file, how) {
            Ok(()) => return Ok(None),
            Err(Errno::WOULDBLOCK) => {}
            Err(error) => return Err(error),
        }
        let found = holder(file);
        if noted == Some(found) {
            return Ok(noted);
        }
        noted = Some(found);
        pause();
    }
    Ok(Some(Holder::Unknown))
}

/// Longer than between taking the lock and noting who has it.
fn pause() {
    std::thread::sleep(Duration::from_millis(5));
}

fn note_holder(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    writeln!(file, "{}", std::process::id())
}

fn holder(file: &mut File) -> Holder {
    if identity_of(file).is_some_and(|identity| own().contains(&identity)) {
        return Holder::Own;
    }
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.take(PID_OCTETS_MAX).read_to_string(&mut text));
    read.ok().and_then(|_| text.trim().parse().ok()).map_or(Holder::Unknown, Holder::Process)
}

/// What a file is known by in this process.
fn identity_of(file: &File) -> Option<FileIdentity> {
    file.metadata().ok().map(|found| FileIdentity::of(&found))
}

/// The lock files that this process holds: the number of a process says nothing of it, as each container counts them anew.
fn own() -> MutexGuard<'static, BTreeSet<FileIdentity>> {
    static OWN: Mutex<BTreeSet<FileIdentity>> = Mutex::new(BTreeSet::new());
    OWN.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) const FILE_NAME: &str = "lock";
/// In the second one nearly always the first is found again.
const LOOKS: usize = 4;
/// No limit of the config: the form of the file gives it.
const PID_OCTETS_MAX: u64 = 32;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Between finding the lock held and reading by whom, the holder goes, another one comes, or many do.
    #[test]
    fn who_has_gone_meanwhile_is_not_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE_NAME);
        let locked = || {
            let file = File::open(&path).unwrap();
            flock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
            file
        };
        let ask = |meanwhile: &dyn Fn(usize)| {
            std::fs::write(&path, "4000001\n").unwrap();
            let mut file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
            let times = Cell::new(0);
            let pause = || meanwhile(times.replace(times.get() + 1));
            lock(&mut file, FlockOperation::NonBlockingLockExclusive, pause).unwrap()
        };
        std::fs::write(&path, "").unwrap();
        let other = Cell::new(Some(locked()));
        assert_eq!(ask(&|_| drop(other.take())), None, "it is ours");
        other.set(Some(locked()));
        let next = |_: usize| std::fs::write(&path, "4000002\n").unwrap();
        assert_eq!(ask(&next), Some(Holder::Process(4_000_002)));
        let many = |times: usize| std::fs::write(&path, format!("{}\n", 4_000_002 + times)).unwrap();
        assert_eq!(ask(&many), Some(Holder::Unknown));
    }

    /// In containers each process is the first one.
    #[test]
    fn another_process_may_have_the_same_number() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE_NAME);
        let own = std::process::id();
        std::fs::write(&path, format!("{own}\n")).unwrap();
        let other = File::open(&path).unwrap();
        flock(&other, FlockOperation::NonBlockingLockExclusive).unwrap();
        let held = |error: &StoreError| match error {
            StoreError::Held { holder, .. } => Some(*holder),
            _ => None,
        };
        let error = Lock::take(directory.path()).unwrap_err();
        assert_eq!(held(&error), Some(Holder::Process(own)));
        assert!(error.to_string().contains("of another container"), "{error}");
        assert_eq!(held(&Lock::holder(directory.path()).unwrap().unwrap()), Some(Holder::Process(own)));
        drop(other);
        let lock = Lock::take(directory.path()).unwrap();
        assert_eq!(held(&Lock::take(directory.path()).unwrap_err()), Some(Holder::Own));
        assert_eq!(held(&Lock::holder(directory.path()).unwrap().unwrap()), Some(Holder::Own));
        drop(lock);
        assert!(Lock::holder(directory.path()).unwrap().is_none());
    }
}
