//! Backups: archives in files that an operator keeps. One has its name only when it is on disk and was read back.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::archive::{ArchiveError, ArchiveReader, Head, Summary};
use super::contents::{Contents, Counts};
use super::error::StoreError;
use super::new_file::{FileError, check_file};
use super::unreadable;
use crate::model::{Record, Timestamp, TokenSelector};
use crate::secret::Secret;

/// Why there is no backup, or it cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// It cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
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
            Self::File(_) | Self::Io { .. } => false,
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
    /// The content of the file with the key of chosen secrets, where it is in it.
    pub keys: Option<Secret>,
    /// Whether a token in it needs that key.
    pub needs_key: bool,
}

/// Reads a backup to its end, and checks all of it. It can be read again: a pipe is refused.
///
/// # Errors
/// [`BackupError::Unusable`], [`FileError::NoFile`], or it cannot be read.
pub fn examine(path: &Path) -> Result<Examined, BackupError> {
    check_file(path)?;
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
    let mut needs_key = false;
    let (summary, octets) = read(path, &mut |record| {
        counts.take(&record);
        needs_key |=
            matches!(&record, Record::Token(token) if matches!(token.selector, TokenSelector::Chosen(_)));
    })?;
    counts.meta = summary.head.meta;
    Ok(Verified { made: summary.head.made, counts, octets, keys: summary.keys, needs_key })
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
    let file = unreadable::open_file(path).map_err(BackupError::of_io(path, "open"))?;
    let reader = ArchiveReader::new(file);
    reader.map(|reader| *reader.head()).map_err(|fault| BackupError::of_archive(path, fault))
}
