//! What is made beside the database for a while, gone at the end or with the next start: copies of it, which are opened in its
//! place, and links of its snapshots, which come back where it was opened itself and a start is refused all the same.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use uuid::Uuid;

use super::database;
use crate::store::archive::READ_OCTETS;
use crate::store::aside;
use crate::store::directories::sync_directory;
use crate::store::error::StoreError;
use crate::store::unreadable::{self, Patched};

/// A copy of the database's files, gone at the end. Its name is of this one copy: another directory may be somebody's.
#[derive(Debug)]
pub(super) struct Copy {
    pub(super) path: PathBuf,
    /// Locked, as long as the copy is used; not everywhere it can be.
    _used: Option<File>,
}

impl Copy {
    /// Copies the files of the database at `database` into `directory`.
    ///
    /// # Errors
    /// They cannot be read, or, as [`StoreError::Copy`], not be written there.
    pub(super) fn of(directory: &Path, database: &Path) -> Result<Self, StoreError> {
        let copy = Self::empty(directory)?;
        let failed = |error| StoreError::from_io(database, "copy", error);
        for entry in fs::read_dir(database).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_type().map_err(failed)?.is_file() && database::is_of_database(&entry.file_name()) {
                copy_file(&entry.path(), &copy.path.join(entry.file_name()))?;
            }
        }
        database::tidy_copy(&copy.path)?;
        Ok(copy)
    }

    /// A directory that is to hold one.
    fn empty(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(format!("{COPY_PREFIX}{}", Uuid::new_v4()));
        let made = fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|source| StoreError::Copy { path: path.clone(), source })?;
        Ok(Self { _used: File::open(&path).ok().filter(|copy| lock(copy).is_ok()), path })
    }
}

/// Copies a file; what cannot be read of it is damaged in the copy.
fn copy_file(from: &Path, to: &Path) -> Result<(), StoreError> {
    let unreadable = |error| StoreError::from_io(from, "copy", error);
    let file = unreadable::open_file(from).map_err(unreadable)?;
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to);
    let mut made = made.map_err(|source| StoreError::Copy { path: to.to_owned(), source })?;
    copy_octets((from, &mut Patched::of(&file).map_err(unreadable)?), (to, &mut made))
}

fn copy_octets(
    (from, file): (&Path, &mut impl Read),
    (to, made): (&Path, &mut impl Write),
) -> Result<(), StoreError> {
    let mut piece = vec![0; READ_OCTETS];
    loop {
        let taken = match file.read(&mut piece) {
            Ok(0) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            taken => taken.map_err(|error| StoreError::from_io(from, "copy", error))?,
        };
        // Whatever it is, it is not what was to be copied.
        made.write_all(piece.get(..taken).unwrap_or_default())
            .map_err(|source| StoreError::Copy { path: to.to_owned(), source })?;
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        take_away(&self.path);
    }
}

/// The snapshots of a database as they are before it is opened: sled then writes another of the same content, and removes these.
/// They come back when this is dropped, which has to be behind the database.
#[derive(Debug)]
pub(super) struct Snapshots {
    /// Where the database is.
    path: PathBuf,
    names: Vec<OsString>,
    /// Their links; `None` where there were none.
    links: Option<Copy>,
    /// Whether they are not needed any more.
    is_over: bool,
}

impl Snapshots {
    /// Links those of the database at `path` beside it. `None`: there is no database, or they cannot be linked there, on a full
    /// disk or on a file system that has no links; then what is written in their place is as good.
    pub(super) fn of(directory: &Path, path: &Path) -> Option<Self> {
        let names = database::snapshots_in(path).ok()?;
        let links = if names.is_empty() { None } else { Some(Copy::empty(directory).ok()?) };
        for (name, links) in names.iter().zip(links.iter().cycle()) {
            fs::hard_link(path.join(name), links.path.join(name)).ok()?;
        }
        Some(Self { path: path.to_owned(), names, links, is_over: false })
    }

    /// What sled has written in their place is gone on with.
    pub(super) fn let_go(mut self) {
        self.is_over = true;
    }

    fn put_back(&self) -> io::Result<()> {
        let there = database::snapshots_in(&self.path)?;
        for (name, links) in self.names.iter().zip(self.links.iter().cycle()) {
            // Where it is the same file still, nothing is done by that.
            fs::rename(links.path.join(name), self.path.join(name))?;
        }
        for new in there.iter().filter(|name| !self.names.contains(name)) {
            fs::remove_file(self.path.join(new))?;
        }
        sync_directory(&self.path).map_err(io::Error::other)
    }
}

impl Drop for Snapshots {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let closed = database::wait_until_closed(&self.path).map_err(io::Error::other);
        if let Err(error) = closed.and_then(|()| self.put_back()) {
            tracing::warn!(%error, "the database has another snapshot than before, of the same content");
        }
    }
}

/// Removes a database that may just have been closed: what sled still writes would come behind it, and what it still holds
/// open would go on taking space.
pub(super) fn take_away(path: &Path) {
    if path.exists() {
        let _ = database::wait_until_closed(path);
        let _ = aside::remove_made(path);
    }
}

/// Takes away the copies in a directory that processes have left behind when they were killed. `is_held`: nobody else makes one
/// there.
pub(super) fn remove_copies(directory: &Path, is_held: bool) {
    let left = fs::read_dir(directory).into_iter().flatten().flatten();
    let is_copy_there = |entry: &fs::DirEntry| {
        is_copy(&entry.file_name()) && entry.file_type().is_ok_and(|found| found.is_dir())
    };
    for copy in left.filter(is_copy_there) {
        // That of a process which is at work is locked; elsewhere what holds nothing may just have been made.
        let path = copy.path();
        let is_left = File::open(&path).is_ok_and(|copy| lock(&copy).is_ok());
        let holds_some = || fs::read_dir(&path).is_ok_and(|mut files| files.next().is_some());
        if is_left && (is_held || holds_some()) {
            tell_left(aside::remove_made(&path));
        }
    }
}

pub(super) fn tell_left(removed: Result<(), StoreError>) {
    if let Err(error) = removed {
        tracing::warn!(%error, "what an earlier process has left behind stays");
    }
}

fn lock(copy: &File) -> Result<(), Errno> {
    rustix::fs::flock(copy, rustix::fs::FlockOperation::NonBlockingLockExclusive)
}

/// Whether this is the name of a [`Copy`].
pub(super) fn is_copy(name: &OsStr) -> bool {
    let of = name.to_str().and_then(|name| name.strip_prefix(COPY_PREFIX));
    of.is_some_and(|of| {
        Uuid::try_parse(of).is_ok_and(|uuid| uuid.get_version_num() == 4 && uuid.to_string() == of)
    })
}

/// A random UUID follows.
const COPY_PREFIX: &str = "store.copy-";

#[cfg(test)]
mod tests {
    use super::*;

    struct Refusing;

    impl Read for Refusing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(Errno::IO.into())
        }
    }

    impl Write for Refusing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(Errno::IO.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The same error, of the disk of the store and of that of the copy.
    #[test]
    fn whose_disk_refuses_is_told_apart() {
        let (from, to) = (Path::new("from"), Path::new("to"));
        let read = copy_octets((from, &mut Refusing), (to, &mut Vec::new()));
        assert!(read.is_err_and(|error| error.is_damage()));
        let written = copy_octets((from, &mut &b"octets"[..]), (to, &mut Refusing));
        assert!(matches!(written, Err(StoreError::Copy { path, .. }) if path == to));
    }
}
