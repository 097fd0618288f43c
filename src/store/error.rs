//! What can go wrong with a store, in the words of an operator.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::unreadable;
use crate::model::Revision;
use crate::users;

/// Why a store cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process, or another part of this one, works on the store.
    #[error(
        "the store in {} is held by {}; stop that one first, or go through the running server",
        path.display(),
        holder
    )]
    Held {
        /// The data directory.
        path: PathBuf,
        /// Who holds it.
        holder: Holder,
    },
    /// It belongs to another user, who could not read what this one would write.
    #[error(
        "the store in {} belongs to {}, and files that {} makes there would keep its owner from it: run this as its owner \
         (`sudo -u {} bindery …`)",
        path.display(),
        users::shown(*owner),
        users::shown(*user),
        users::typed(*owner)
    )]
    Foreign {
        /// The data directory.
        path: PathBuf,
        /// The user whose it is.
        owner: u32,
        /// The user of this process.
        user: u32,
    },
    /// A successor was decided on, and cannot come to its place.
    #[error(
        "the store that was decided on for {} (of a restore, or a journal made anew) cannot come to its place, and nothing is \
         lost: {reason}. See to that, and start the server again, which goes on with it; until then `bindery salvage` and \
         commands that only read take it from the directory `successor` there, and what was there before is in its place or in \
         `set-aside`",
        path.display()
    )]
    Unfinished {
        /// The data directory.
        path: PathBuf,
        /// What the system refuses.
        reason: String,
    },
    /// A part of it that is moved as a whole is a mount of its own.
    #[error(
        "{} is a mount point of its own, or a link to another disk, and what the store does with it goes by renaming, which that \
         refuses: mount {} instead, the data directory as a whole (`backups` in it may be another mount)",
        part.display(),
        path.display()
    )]
    Mounted {
        /// The data directory.
        path: PathBuf,
        /// What is mounted.
        part: PathBuf,
    },
    /// It was opened to be read only.
    #[error("{} is only read: nothing of it is changed", path.display())]
    OnlyRead {
        /// The data directory, or the backup.
        path: PathBuf,
    },
    /// A backup that is none, or is not whole.
    #[error("the backup {} cannot be used: {reason}", path.display())]
    Backup {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A newer version of bindery wrote it.
    #[error(
        "the store in {} was written by a newer version of bindery ({item} has format {version}, this one \
         knows up to {known}); use that version again, or restore a backup that was made with this one",
        path.display()
    )]
    TooNew {
        /// The data directory.
        path: PathBuf,
        /// Which item says so.
        item: String,
        /// The format that it is in.
        version: u8,
        /// The newest format that is known here.
        known: u8,
    },
    /// Something is corrupt or missing.
    #[error("the store in {} is damaged: {damage}; restore a backup (`bindery restore`), or what `bindery salvage` finds in its files", path.display())]
    Damaged {
        /// The data directory.
        path: PathBuf,
        /// What was noticed.
        damage: Damage,
    },
    /// The journal is corrupt or missing, and nothing else was looked at.
    #[error(
        "the journal of the store in {} is damaged: {damage}; what only reads does not look at the database: start the server, \
         which makes the journal anew of it if that one is whole",
        path.display()
    )]
    JournalDamaged {
        /// The data directory.
        path: PathBuf,
        /// What was noticed.
        damage: Damage,
    },
    /// Changes that were acknowledged are not there any more.
    #[error(
        "the store in {} {}, but {copies}; restore a backup (`bindery restore`), or what `bindery salvage` finds in its files, \
         whichever has more",
        path.display(),
        claim(*acknowledged, *noted)
    )]
    Behind {
        /// The data directory.
        path: PathBuf,
        /// The revision that the store is at.
        store: Revision,
        /// The revision that was acknowledged last, as far as something of a later one can be read.
        acknowledged: Revision,
        /// The one that was noted last as acknowledged, where that is an earlier one.
        noted: Option<Revision>,
        /// How far its two copies are.
        copies: String,
    },
    /// There is no space left for a change.
    #[error("the disk that holds the store in {} is full{}; free some space and try again", path.display(), space(*free, *needed))]
    Full {
        /// The data directory.
        path: PathBuf,
        /// Octets that are free, where that was the reason.
        free: Option<u64>,
        /// Octets that must be free for this change, where that was the reason.
        needed: Option<u64>,
    },
    /// A record is larger than any may be.
    #[error(
        "{what} is too large for the store: {octets} octets, at most {limit} are possible; make it smaller"
    )]
    TooLarge {
        /// Which record, or the batch.
        what: String,
        /// Its size.
        octets: usize,
        /// The bound.
        limit: usize,
    },
    /// The system refused to read or write a file.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried, as a verb with its object: `sync the database of`.
        doing: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// A copy of the database, which is read in its place, cannot be made or used: that says nothing of the store.
    #[error(
        "no copy of the database can be made and read in {}, and nothing is known of the database by that: see to the space and \
         the state of that disk, or have the copy made on another one, beside the output of `bindery salvage --output`",
        path.display()
    )]
    Copy {
        /// The copy.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// What a backup is written to takes nothing: that says nothing of the store.
    #[error("cannot write what the backup is written to")]
    Output {
        /// What is said there.
        source: io::Error,
    },
    /// A failure leaves open what is on disk, or the database cannot be used.
    #[error(
        "the store in {} takes no more changes ({reason}); check the disk, then restart the server",
        path.display()
    )]
    Stopped {
        /// The data directory.
        path: PathBuf,
        /// What failed.
        reason: String,
    },
}

/// What is corrupt or missing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// An item is not what was written.
    #[error("the checksum of {item} is wrong")]
    Checksum { item: String },
    /// An item's checksum is right, but nothing can be made of it.
    #[error("{item} cannot be read ({reason})")]
    Unreadable {
        item: String,
        /// Why not.
        reason: String,
    },
    /// A part of a large record is not there.
    #[error("a part of {item} is missing")]
    PartMissing {
        /// Which record.
        item: String,
    },
    /// Records are missing, or there are too many.
    #[error("it has {found} records instead of {expected}")]
    Count {
        /// How many there are.
        found: u64,
        /// How many there must be.
        expected: u64,
    },
    /// All records are right by themselves, but not all of them are the newest.
    #[error("some of its records are from an earlier revision")]
    Sum,
    /// There are records, but not the one that describes them.
    #[error("the record of its revision is missing")]
    MetaMissing,
    /// A file of the store is not there.
    #[error("the file {} is missing", path.display())]
    FileMissing {
        /// Which.
        path: PathBuf,
    },
    /// A file of the store is not what was written.
    #[error("the file {} cannot be used ({reason})", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The journal ends as it should, but too early.
    #[error("the journal ends with revision {found}, and revision {acknowledged} was acknowledged")]
    EndMissing {
        /// The revision that it leads to.
        found: Revision,
        /// The revision that was acknowledged last.
        acknowledged: Revision,
    },
    /// Two of journal, database and what was acknowledged are not of one history.
    #[error(
        "{} and {} are of two copies of one store that went on by themselves ({reason}){}, and nobody knows which is meant: to go on \
         with one of them, move the other out of the directory, all of `journal/` or all of `store/`, and write the word `accept` \
         into the file `acknowledged`, which may be of that one",
        journal.display(),
        other.display(),
        damage.as_ref().map(|damage| format!("; the journal by itself is not whole, {damage}")).unwrap_or_default()
    )]
    Parted {
        /// The file of the journal.
        journal: Box<Path>,
        /// The database, or the file that says what was acknowledged.
        other: Box<Path>,
        /// How that shows.
        reason: Box<str>,
        /// What is wrong with the journal besides.
        damage: Option<Box<Self>>,
    },
    /// Journal and database, or what was acknowledged where there is none, are not of one life of a store.
    #[error(
        "{} and {} are of two stores, or of two lives of one (before and after a restore), and nobody knows which is meant: to go on \
         with one of them, move the other out of the directory, all of `journal/` or all of `store/`, and write the word `accept` \
         into the file `acknowledged`, which may be of that one",
        journal.display(),
        other.display()
    )]
    Lives {
        /// The file of the journal.
        journal: Box<Path>,
        /// The database, or the file that says what was acknowledged.
        other: Box<Path>,
    },
    /// Neither the journal nor the database is whole.
    #[error("neither of its two copies is whole: {journal}; and in the database {database}")]
    Both {
        /// What is wrong with the journal.
        journal: Box<Damage>,
        /// What is wrong with the database.
        database: String,
    },
    /// The file that holds the last acknowledged revision cannot be understood.
    #[error("the file {} with the last acknowledged revision is corrupt", path.display())]
    AcknowledgedUnreadable {
        /// The file.
        path: PathBuf,
    },
    /// The database itself cannot be used.
    #[error("the database cannot be read ({reason})")]
    Database {
        /// What the database says.
        reason: String,
    },
}

impl StoreError {
    /// The sentence, with what the system says of it.
    pub(super) fn with_reason(&self) -> String {
        match std::error::Error::source(self) {
            Some(source) => format!("{self}: {source}"),
            None => self.to_string(),
        }
    }

    /// Whether the store as a whole cannot be used as it is: held, damaged, behind or too new
    /// (exit code 4). Anything else is a failure of one command (exit code 1).
    pub fn is_unusable(&self) -> bool {
        match self {
            Self::Held { .. }
            | Self::TooNew { .. }
            | Self::Damaged { .. }
            | Self::JournalDamaged { .. }
            | Self::Behind { .. }
            | Self::Backup { .. } => true,
            Self::Foreign { .. }
            | Self::Unfinished { .. }
            | Self::Mounted { .. }
            | Self::OnlyRead { .. }
            | Self::Full { .. }
            | Self::TooLarge { .. }
            | Self::Io { .. }
            | Self::Copy { .. }
            | Self::Output { .. }
            | Self::Stopped { .. } => false,
        }
    }

    /// Whether it says that one copy of the store is not what it should be: the other may serve. What the system refuses to whoever
    /// asks says nothing of the copy.
    pub(super) fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } | Self::Behind { .. } => true,
            Self::Io { source, .. } => unreadable::is_damage(source),
            _ => false,
        }
    }

    /// Whether the same change may succeed once there is space.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Full { .. } => true,
            Self::Copy { source, .. } => is_out_of_space(source.kind()),
            _ => false,
        }
    }

    /// The same of a copy at `path`: what the system refuses there is not the store's.
    pub(super) fn of_copy(self, path: &Path) -> Self {
        let source = match self {
            Self::Io { source, .. } if !is_of_content(source.kind()) => source,
            Self::Full { free, needed, .. } => {
                io::Error::new(io::ErrorKind::StorageFull, format!("it is full{}", space(free, needed)))
            }
            error => return error,
        };
        Self::Copy { path: path.to_owned(), source }
    }

    /// An error of the system while `doing` something with `path`; a full disk is told apart.
    pub(super) fn from_io(path: impl Into<PathBuf>, doing: &'static str, source: io::Error) -> Self {
        let path = path.into();
        if is_out_of_space(source.kind()) {
            Self::Full { path, free: None, needed: None }
        } else {
            Self::Io { path, doing, source }
        }
    }
}

/// Whether what is read may be the reason, and not what it is read from: octets that lead to nowhere.
fn is_of_content(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, NotFound, Other, UnexpectedEof};
    matches!(kind, InvalidData | InvalidInput | NotFound | Other | UnexpectedEof)
}

/// What is wrong with a file that is of another life of a store.
pub(super) const FOREIGN: &str = "it belongs to another store, or to another life of this one";

/// Whether space, a quota or the size limit of files is the reason.
fn is_out_of_space(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

/// Who holds a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// This process.
    Own,
    /// Another one, by the number that it has where it runs.
    Process(u32),
    /// Nobody knows who.
    Unknown,
}

impl fmt::Display for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = std::process::id();
        match self {
            Self::Own => write!(formatter, "this process itself ({own})"),
            // In each container they are counted anew.
            Self::Process(pid) if *pid == own => write!(formatter, "process {pid} of another container"),
            Self::Process(pid) => write!(formatter, "process {pid}"),
            Self::Unknown => formatter.write_str("another process"),
        }
    }
}

fn claim(acknowledged: Revision, noted: Option<Revision>) -> String {
    match noted {
        Some(noted) => format!(
            "has lost changes, or has a file of a copy of it that went on by itself: its journal tells of revision {acknowledged}, \
             and `acknowledged` of {noted}"
        ),
        None => format!("has lost acknowledged changes: revision {acknowledged} was acknowledged"),
    }
}

fn space(free: Option<u64>, needed: Option<u64>) -> String {
    match (free, needed) {
        (Some(free), Some(needed)) => format!(" ({free} octets are free, {needed} are needed)"),
        _ => String::new(),
    }
}

/// Gives up what takes long when the store is to be closed.
pub(super) fn check_ending(directory: &Path, ending: &AtomicBool) -> Result<(), StoreError> {
    if ending.load(Ordering::Relaxed) {
        let source = std::io::ErrorKind::Interrupted.into();
        return Err(StoreError::Io { path: directory.to_owned(), doing: "go on with", source });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    /// What a disk refuses is told of the disk; what sled says of octets that it cannot use is told of those.
    #[test]
    fn what_a_copy_meets_is_no_damage_of_the_store() {
        let of = |source| StoreError::from_io("store", "use", source).of_copy(Path::new("copy"));
        for error in [Errno::IO, Errno::ROFS, Errno::NOSPC, Errno::DQUOT, Errno::ACCESS, Errno::MFILE] {
            let of_copy = of(error.into());
            assert!(matches!(of_copy, StoreError::Copy { .. }), "{of_copy:?}");
            assert!(!of_copy.is_damage() && !of_copy.is_unusable(), "{of_copy:?}");
            assert_eq!(of_copy.is_full(), matches!(error, Errno::NOSPC | Errno::DQUOT), "{of_copy:?}");
        }
        for error in [io::Error::other("corrupt"), Errno::NOENT.into(), Errno::INVAL.into()] {
            assert!(matches!(of(error), StoreError::Io { .. }));
        }
        let path = PathBuf::from("store");
        let damaged = StoreError::Damaged { path, damage: Damage::Sum }.of_copy(Path::new("copy"));
        assert!(damaged.is_damage());
    }
}
