//! Backups: archives in files that an operator keeps. One has its name only when it is on disk and was read back.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::archive::{ArchiveError, ArchiveReader, Head, READ_OCTETS, Summary};
use super::contents::{Contents, Counts};
use super::error::StoreError;
use crate::model::{Record, Timestamp};
use crate::secret::Secret;

/// Why there is no backup, or it cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// It would take the place of something.
    #[error("{} exists already: name another file, or give --force to put the backup in its place", path.display())]
    Exists {
        /// What is there.
        path: PathBuf,
    },
    /// It is not what was written, or cannot be read by this version.
    #[error("the backup {} cannot be used: {fault}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why not.
        fault: ArchiveError,
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
    /// The store that it is about.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BackupError {
    /// Whether a file or a store cannot be used as it is (exit code 4). Anything else is a failure of one command (1).
    pub fn is_unusable(&self) -> bool {
        match self {
            Self::Unusable { .. } => true,
            Self::Store(error) => error.is_unusable(),
            Self::Exists { .. } | Self::Io { .. } => false,
        }
    }

    pub(super) fn of_archive(path: &Path, fault: ArchiveError) -> Self {
        let path = path.to_owned();
        match fault {
            ArchiveError::Io(source) => Self::Io { path, doing: "read", source },
            fault => Self::Unusable { path, fault },
        }
    }

    fn of_io(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, doing, source }
    }
}

/// What a backup was found to hold, every octet of it read.
#[derive(Debug)]
pub struct Examined {
    /// When it was made.
    pub made: Timestamp,
    /// What is in it.
    pub contents: Contents,
    /// The content of the file with the key of chosen secrets, where it is in it.
    pub keys: Option<Secret>,
}

/// The same without what would have to be held in memory.
#[derive(Debug)]
pub struct Verified {
    /// When it was made.
    pub made: Timestamp,
    /// How many there are of what.
    pub counts: Counts,
    /// How long the file is.
    pub octets: u64,
    /// Whether the file with the key of chosen secrets is in it.
    pub has_keys: bool,
}

/// Reads a backup to its end, and checks all of it.
///
/// # Errors
/// [`BackupError::Unusable`], or it cannot be read.
pub fn examine(path: &Path) -> Result<Examined, BackupError> {
    let mut contents = Contents::default();
    let (summary, _) = read(path, &mut |record| contents.take(record))?;
    contents.counts.meta = summary.head.meta;
    Ok(Examined { made: summary.head.made, contents, keys: summary.keys })
}

/// Reads a backup to its end and checks all of it, without keeping any of it: however large it is, it takes as much memory.
///
/// # Errors
/// [`BackupError::Unusable`], or it cannot be read.
pub fn verify(path: &Path) -> Result<Verified, BackupError> {
    let mut counts = Counts::default();
    let (summary, octets) = read(path, &mut |record| {
        counts.take(&record);
    })?;
    counts.meta = summary.head.meta;
    Ok(Verified { made: summary.head.made, counts, octets, has_keys: summary.keys.is_some() })
}

/// Hands over all records of a backup, and answers with its length too.
fn read(path: &Path, visit: &mut dyn FnMut(Record)) -> Result<(Summary, u64), BackupError> {
    let file = File::open(path).map_err(BackupError::of_io(path, "open"))?;
    let octets = file.metadata().map_err(BackupError::of_io(path, "read"))?.len();
    let reader = ArchiveReader::new(file);
    let summary = reader.and_then(|reader| reader.verify(visit));
    summary.map(|summary| (summary, octets)).map_err(|fault| BackupError::of_archive(path, fault))
}

/// Reads no more of a backup than what its beginning says: when it was made, and of which revision of which life of a store.
///
/// # Errors
/// [`BackupError::Unusable`], or it cannot be read.
pub fn read_head(path: &Path) -> Result<Head, BackupError> {
    let file = File::open(path).map_err(BackupError::of_io(path, "open"))?;
    let reader = ArchiveReader::new(file);
    reader.map(|reader| *reader.head()).map_err(|fault| BackupError::of_archive(path, fault))
}

/// A backup that is being written, beside the place where it belongs. What is dropped unfinished is removed.
#[derive(Debug)]
pub struct BackupFile {
    /// `None` once it is finished.
    out: Option<BufWriter<File>>,
    partial: PathBuf,
    path: PathBuf,
    may_replace: bool,
}

impl BackupFile {
    /// Begins a file that only its owner may read.
    ///
    /// # Errors
    /// [`BackupError::Exists`], or it cannot be made.
    pub fn create(path: &Path, may_replace: bool) -> Result<Self, BackupError> {
        match fs::symlink_metadata(path) {
            Ok(found) if !may_replace || !found.is_file() => {
                return Err(BackupError::Exists { path: path.to_owned() });
            }
            _ => {}
        }
        let mut partial = path.as_os_str().to_owned();
        partial.push(format!(".{}{PARTIAL_END}", std::process::id()));
        let partial = PathBuf::from(partial);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&partial)
            .map_err(BackupError::of_io(&partial, "make"))?;
        let out = Some(BufWriter::with_capacity(READ_OCTETS, file));
        Ok(Self { out, partial, path: path.to_owned(), may_replace })
    }

    /// Makes it durable, lets `read_back` read it, and gives it its name.
    ///
    /// # Errors
    /// It is not what was written, or the system refuses something: then there is nothing of this name.
    pub fn finish<T>(
        mut self,
        read_back: impl FnOnce(&Path) -> Result<T, BackupError>,
    ) -> Result<T, BackupError> {
        let Some(out) = self.out.take() else {
            return Err(BackupError::of_io(&self.partial, "write")(io::ErrorKind::BrokenPipe.into()));
        };
        let finished = self.place(out, read_back);
        if finished.is_err() {
            let _ = fs::remove_file(&self.partial);
        }
        finished
    }

    fn place<T>(
        &self,
        out: BufWriter<File>,
        read_back: impl FnOnce(&Path) -> Result<T, BackupError>,
    ) -> Result<T, BackupError> {
        let failed = |error: io::Error| BackupError::of_io(&self.path, "write")(error);
        let file = out.into_inner().map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(failed)?;
        drop(file);
        let found = read_back(&self.partial)?;
        if self.may_replace {
            fs::rename(&self.partial, &self.path).map_err(failed)?;
        } else {
            self.place_where_nothing_is()?;
        }
        self.path.parent().map_or(Ok(()), super::directories::sync_directory)?;
        Ok(found)
    }

    fn place_where_nothing_is(&self) -> Result<(), BackupError> {
        let exists = || BackupError::Exists { path: self.path.clone() };
        match renameat_with(CWD, &self.partial, CWD, &self.path, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => Err(exists()),
            // Not every file system can.
            Err(Errno::INVAL | Errno::NOSYS) => match fs::symlink_metadata(&self.path) {
                Ok(_) => Err(exists()),
                Err(_) => {
                    fs::rename(&self.partial, &self.path).map_err(BackupError::of_io(&self.path, "write"))
                }
            },
            Err(error) => Err(BackupError::of_io(&self.path, "write")(error.into())),
        }
    }
}

impl Write for BackupFile {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.out.as_mut().map_or(Err(io::ErrorKind::BrokenPipe.into()), |out| out.write(octets))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for BackupFile {
    fn drop(&mut self) {
        if self.out.take().is_some() {
            let _ = fs::remove_file(&self.partial);
        }
    }
}

/// What a file is called that is not finished.
pub(super) const PARTIAL_END: &str = ".partial";
