//! Files that a command writes and an operator keeps: one has its name only when it is complete and on disk, and never takes
//! the place of what was not meant.

use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, Mode, OFlags, RenameFlags, flock, renameat_with};
use rustix::io::{Errno, retry_on_intr};
use uuid::Uuid;

use super::archive::READ_OCTETS;
use super::own_files::{OwnPlace, own_place};
use crate::file_identity::FileIdentity;

/// Why a file cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It would stand among the files of a store, which makes, moves and deletes what is there.
    #[error(
        "{} is a place of the store in {}, where `{name}` is bindery's own: name another file",
        path.display(),
        directory.display()
    )]
    OfStore {
        /// What was named.
        path: PathBuf,
        /// The data directory.
        directory: PathBuf,
        /// The name there.
        name: String,
    },
    /// It would take the place of something.
    #[error("{} exists already: name another file, or give --force to put this one in its place", path.display())]
    Exists {
        /// What is there.
        path: PathBuf,
    },
    /// What is there can be no file.
    #[error("{} is {what}: name a file", path.display())]
    NoFile {
        /// What is there.
        path: PathBuf,
        /// What it is, in words.
        what: &'static str,
    },
    /// The system refuses something.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried, as a verb: `write`.
        doing: &'static str,
        /// What the system says.
        source: io::Error,
    },
}

impl FileError {
    fn of_io(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, doing, source }
    }
}

/// Refuses to write a file, or to make a directory, among the own files of a store: of the one in `data_dir`, or of any other.
///
/// # Errors
/// [`FileError::OfStore`]
pub fn check_apart(path: &Path, data_dir: Option<&Path>) -> Result<(), FileError> {
    match own_place(path, data_dir) {
        Some(OwnPlace { directory, name }) => {
            Err(FileError::OfStore { path: path.to_owned(), directory, name })
        }
        None => Ok(()),
    }
}

/// A file that is being written, beside the place where it belongs. What is dropped unfinished is removed.
#[derive(Debug)]
pub struct NewFile {
    /// `None` once it is finished.
    out: Option<BufWriter<File>>,
    /// Where it belongs, behind all links.
    path: PathBuf,
    /// `None`: it is written where it belongs, as that is no file.
    partial: Option<PathBuf>,
    may_replace: bool,
}

impl NewFile {
    /// Begins a file that only its owner may read. A link is followed to its file.
    ///
    /// # Errors
    /// [`FileError`]: what is there is not to be replaced, is no file, is of a store, or nothing can be made there.
    pub fn create(path: &Path, may_replace: bool) -> Result<Self, FileError> {
        let place = Place::of(path)?;
        match place.no_file() {
            Some((_, what)) => Err(FileError::NoFile { path: path.to_owned(), what }),
            None => Self::beside(path, place, may_replace),
        }
    }

    /// The same, but what is a device or a pipe is written into.
    ///
    /// # Errors
    /// As [`Self::create`] says.
    pub fn create_or_write_into(path: &Path, may_replace: bool) -> Result<Self, FileError> {
        let place = Place::of(path)?;
        match place.no_file() {
            None => Self::beside(path, place, may_replace),
            Some((true, _)) => {
                let opened = OpenOptions::new().write(true).open(&place.path);
                let file = opened.map_err(FileError::of_io(path, "open"))?;
                Ok(Self { out: Some(buffered(file)), path: place.path, partial: None, may_replace })
            }
            Some((false, what)) => Err(FileError::NoFile { path: path.to_owned(), what }),
        }
    }

    fn beside(named: &Path, place: Place, may_replace: bool) -> Result<Self, FileError> {
        check_apart(&place.path, None)?;
        if place.found.is_some() && !may_replace {
            return Err(FileError::Exists { path: named.to_owned() });
        }
        let path = place.path;
        remove_left(&path);
        let mut partial = path.as_os_str().to_owned();
        partial.push(format!(".{}{PARTIAL_END}", Uuid::new_v4()));
        let partial = PathBuf::from(partial);
        let file = begin_partial(&partial).map_err(FileError::of_io(&partial, "make"))?;
        Ok(Self { out: Some(buffered(file)), path, partial: Some(partial), may_replace })
    }

    /// What the file is to be called that is not finished and has this name; `None`: this is no such name.
    pub fn finished_name(partial: &[u8]) -> Option<&[u8]> {
        let begun = partial.strip_suffix(PARTIAL_END.as_bytes())?;
        let dot = begun.iter().rposition(|octet| *octet == b'.')?;
        let (name, middle) = (begun.get(..dot)?, begun.get(dot + 1..)?);
        // A version before called it by a process.
        let is_ours = Uuid::try_parse_ascii(middle).is_ok()
            || (!middle.is_empty() && middle.iter().all(u8::is_ascii_digit));
        is_ours.then_some(name)
    }

    /// Removes a file that was not finished, unless somebody is writing it.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove_partial(path: &Path) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            // It is finished or gone, or is none.
            Err(Errno::NOENT | Errno::LOOP | Errno::NXIO) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let is_left = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
        if is_left && is_at(&file, path)? { fs::remove_file(path) } else { Ok(()) }
    }

    /// Makes it durable, lets `read_back` read it, and gives it its name.
    ///
    /// # Errors
    /// It is not what was written, or the system refuses something: then there is nothing new of this name.
    pub fn finish<T, E: From<FileError>>(
        mut self,
        read_back: impl FnOnce(&Path) -> Result<T, E>,
    ) -> Result<T, E> {
        let Some(out) = self.out.take() else {
            return Err(self.failed("write")(io::ErrorKind::BrokenPipe.into()).into());
        };
        let file = out.into_inner().map_err(|error| self.failed("write")(error.into_error()));
        let finished = file.map_err(E::from).and_then(|file| match &self.partial {
            Some(partial) => self.place(&file, partial, read_back),
            None => read_back(&self.path),
        });
        if finished.is_err() {
            self.remove();
        }
        finished
    }

    fn place<T, E: From<FileError>>(
        &self,
        file: &File,
        partial: &Path,
        read_back: impl FnOnce(&Path) -> Result<T, E>,
    ) -> Result<T, E> {
        file.sync_all().map_err(self.failed("write"))?;
        let found = read_back(partial)?;
        if self.may_replace {
            // Whatever has come there meanwhile.
            if let Some((_, what)) = Place::of(&self.path)?.no_file() {
                return Err(FileError::NoFile { path: self.path.clone(), what }.into());
            }
            fs::rename(partial, &self.path).map_err(self.failed("write"))?;
        } else {
            self.place_where_nothing_is(partial)?;
        }
        let directory = match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let synced = File::open(directory).and_then(|directory| directory.sync_all());
        synced.map_err(FileError::of_io(directory, "sync the directory"))?;
        Ok(found)
    }

    fn place_where_nothing_is(&self, partial: &Path) -> Result<(), FileError> {
        let exists = || FileError::Exists { path: self.path.clone() };
        match renameat_with(CWD, partial, CWD, &self.path, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => Err(exists()),
            // Not every file system can.
            Err(Errno::INVAL | Errno::NOSYS) => match fs::symlink_metadata(&self.path) {
                Ok(_) => Err(exists()),
                Err(_) => fs::rename(partial, &self.path).map_err(self.failed("write")),
            },
            Err(error) => Err(self.failed("write")(error.into())),
        }
    }

    fn failed(&self, doing: &'static str) -> impl FnOnce(io::Error) -> FileError {
        FileError::of_io(&self.path, doing)
    }

    fn remove(&self) {
        // One that stays has a name that says what it is.
        let _ = self.partial.as_ref().map(fs::remove_file);
    }
}

impl Write for NewFile {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.out.as_mut().map_or(Err(io::ErrorKind::BrokenPipe.into()), |out| out.write(octets))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(out) = self.out.take() {
            // What is left goes nowhere: nobody asks for it, and a pipe may have lost its reader.
            drop(out.into_parts());
            self.remove();
        }
    }
}

/// Where a file is to be, and what is there.
struct Place {
    /// Behind all links, where it is a file or a directory.
    path: PathBuf,
    found: Option<FileType>,
}

impl Place {
    fn of(path: &Path) -> Result<Self, FileError> {
        let failed = |error| FileError::of_io(path, "look at")(error);
        let found = match fs::symlink_metadata(path) {
            Ok(found) => found.file_type(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { path: path.to_owned(), found: None });
            }
            Err(error) => return Err(failed(error)),
        };
        if !found.is_symlink() {
            return Ok(Self { path: path.to_owned(), found: Some(found) });
        }
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => FileError::NoFile { path: path.to_owned(), what: "a link to nothing" },
            _ => failed(error),
        };
        let found = fs::metadata(path).map_err(failed)?.file_type();
        if !found.is_file() && !found.is_dir() {
            // What is open need have no name but this one: a link such as /dev/stdout leads to `pipe:[1]`, which is none.
            return Ok(Self { path: path.to_owned(), found: Some(found) });
        }
        let path = fs::canonicalize(path).map_err(failed)?;
        Ok(Self { path, found: Some(found) })
    }

    /// What is there that is no file, in words, and whether it can be written into.
    fn no_file(&self) -> Option<(bool, &'static str)> {
        let found = self.found?;
        match found {
            _ if found.is_file() => None,
            _ if found.is_dir() => Some((false, "a directory")),
            _ if found.is_socket() => Some((false, "a socket")),
            _ if found.is_fifo() => Some((true, "a pipe")),
            _ => Some((true, "a device")),
        }
    }
}

/// Refuses what is there and no file that can be read more than once.
///
/// # Errors
/// [`FileError::NoFile`], or it cannot be looked at.
pub(super) fn check_file(path: &Path) -> Result<(), FileError> {
    match Place::of(path)?.no_file() {
        Some((_, what)) => Err(FileError::NoFile { path: path.to_owned(), what }),
        None => Ok(()),
    }
}

/// Makes a file that is locked as long as it is open: by that it is told from what a crash has left.
fn begin_partial(path: &Path) -> io::Result<File> {
    loop {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        // Not every file system can: there nothing is ever taken for left.
        let locked = retry_on_intr(|| flock(&file, FlockOperation::LockExclusive));
        // Somebody may have taken it for left before it was locked.
        if locked.is_err() || is_at(&file, path)? {
            return Ok(file);
        }
    }
}

/// Whether this file has this name.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(there) => {
            let file = file.metadata()?;
            Ok(there.is_file() && FileIdentity::of(&there) == FileIdentity::of(&file))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes what a crash has left of earlier files for the same place; what cannot be removed stays.
fn remove_left(path: &Path) {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        if NewFile::finished_name(entry.file_name().as_encoded_bytes()) == Some(name.as_encoded_bytes()) {
            let _ = NewFile::remove_partial(&entry.path());
        }
    }
}

fn buffered(file: File) -> BufWriter<File> {
    BufWriter::with_capacity(READ_OCTETS, file)
}

/// What a file is called that is not finished, behind its name and a random UUID.
const PARTIAL_END: &str = ".partial";

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use rustix::fs::{FileType, mknodat};

    use super::*;

    fn done(_: &Path) -> Result<(), FileError> {
        Ok(())
    }

    fn write(path: &Path, may_replace: bool) -> Result<(), FileError> {
        let mut file = NewFile::create_or_write_into(path, may_replace)?;
        file.write_all(b"new").unwrap();
        file.finish(done)
    }

    #[test]
    fn what_a_crash_has_left_goes_and_what_somebody_writes_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let left = ["file.77.partial", "file.7b1b9a3e-6f0f-4c0e-9d1e-5a3f8f1f2a55.partial"];
        // Somebody's, of another file, and none.
        let others = ["file.mine.partial", "file.partial", "other.77.partial", "file.77.partial.bak"];
        for name in left.iter().chain(&others) {
            fs::write(path(name), "half").unwrap();
        }
        symlink("file.partial", path("file.78.partial")).unwrap();
        let writing = NewFile::create(&path("file"), false).unwrap();
        let partial = writing.partial.clone().unwrap();
        for name in left {
            assert!(!path(name).exists(), "{name}");
        }
        // As the server does in its directory, and another command for the same file.
        NewFile::remove_partial(&partial).unwrap();
        let second = NewFile::create(&path("file"), true).unwrap();
        assert!(partial.exists() && second.partial.as_ref().unwrap().exists());
        writing.finish(done).unwrap();
        second.finish(done).unwrap();
        NewFile::remove_partial(&partial).unwrap();
        for name in others.iter().chain(&["file", "file.78.partial"]) {
            assert!(path(name).exists(), "{name}");
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), others.len() + 2);
    }

    #[test]
    fn what_is_there_is_looked_at_first() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        write(&path("file"), false).unwrap();
        assert_eq!(fs::read(path("file")).unwrap(), b"new");
        fs::write(path("file"), "old").unwrap();
        assert!(matches!(write(&path("file"), false), Err(FileError::Exists { .. })));
        assert_eq!(fs::read(path("file")).unwrap(), b"old");
        drop(NewFile::create(&path("file"), true).unwrap());
        assert_eq!(fs::read(path("file")).unwrap(), b"old", "it was not finished");

        // A link stays one.
        symlink("file", path("link")).unwrap();
        assert!(matches!(write(&path("link"), false), Err(FileError::Exists { .. })));
        write(&path("link"), true).unwrap();
        assert_eq!(fs::read(path("file")).unwrap(), b"new");
        assert!(fs::symlink_metadata(path("link")).unwrap().is_symlink());
        symlink("nothing", path("dangling")).unwrap();
        fs::create_dir(path("directory")).unwrap();
        let _listener = UnixListener::bind(path("socket")).unwrap();
        for name in ["dangling", "directory", "socket"] {
            assert!(matches!(write(&path(name), true), Err(FileError::NoFile { .. })), "{name}");
        }

        // A pipe gets what is written, and stays one; what has to be read back cannot be there.
        mknodat(CWD, path("pipe"), FileType::Fifo, Mode::from(0o600), 0).unwrap();
        let reader = std::thread::spawn({
            let pipe = path("pipe");
            move || {
                let mut text = String::new();
                File::open(pipe).unwrap().read_to_string(&mut text).unwrap();
                text
            }
        });
        write(&path("pipe"), false).unwrap();
        assert_eq!(reader.join().unwrap(), "new");
        assert!(matches!(NewFile::create(&path("pipe"), true), Err(FileError::NoFile { .. })));
        // One without a name too, as a shell gives it: a link that leads to it alone, or one to that.
        for is_linked in [false, true] {
            let (mut reader, writer) = io::pipe().unwrap();
            let mut substitution = PathBuf::from(format!("/proc/self/fd/{}", writer.as_raw_fd()));
            if is_linked {
                symlink(&substitution, path("substitution")).unwrap();
                substitution = path("substitution");
            }
            assert!(matches!(NewFile::create(&substitution, true), Err(FileError::NoFile { .. })));
            write(&substitution, false).unwrap();
            drop(writer);
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            assert_eq!(text, "new");
        }
        let names = fs::read_dir(directory.path()).unwrap();
        let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 7, "{names:?}");
    }
}
