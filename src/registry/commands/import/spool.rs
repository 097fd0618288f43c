//! The file of an import, kept in the data directory until the import is over: it is read more than once, and to its end
//! before anything is changed.

use std::fs::{File, OpenOptions, remove_file};
use std::io::{self, BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::registry::Registry;
use crate::store::{StoreError, check_reserve};

/// Where such files are kept, and how large they may be.
#[derive(Clone, Debug, Default)]
pub struct Spools {
    /// `None`: nowhere, as nothing is on disk.
    pub directory: Option<PathBuf>,
    /// Octets of one.
    pub size_max: u64,
    /// Entries in one: of each something is kept in memory while the file is imported.
    pub entries_max: usize,
}

impl Registry {
    /// A file for an import.
    ///
    /// # Errors
    /// The data directory takes none.
    pub fn spool(&self) -> Result<Spool, SpoolError> {
        self.spools.make()
    }
}

impl Spools {
    /// An empty one.
    ///
    /// # Errors
    /// The directory takes no file.
    pub fn make(&self) -> Result<Spool, SpoolError> {
        let directory = self.directory.clone().ok_or(io::Error::from(io::ErrorKind::Unsupported))?;
        let path = directory.join(format!("{PREFIX}{}", Uuid::new_v4()));
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        remove_file(&path)?;
        let &Self { size_max: octets_max, entries_max, .. } = self;
        Ok(Spool { file, directory, octets: 0, octets_max, entries_max, asked_at: 0 })
    }
}

/// The file. Its name is taken away as soon as it is open, so that nothing is left of it however the process ends.
pub struct Spool {
    file: File,
    directory: PathBuf,
    octets: u64,
    octets_max: u64,
    /// How many entries may be in it.
    pub(super) entries_max: usize,
    /// At how many octets it is asked next whether the disk takes more.
    asked_at: u64,
}

/// Why something was not kept.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// There is more of it than there may be.
    #[error("the file is larger than server.limits.import_size_max ({octets_max} octets)")]
    TooLarge {
        /// The limit.
        octets_max: u64,
    },
    /// The data directory does not take it.
    #[error("the file cannot be kept in the data directory while it is imported")]
    Disk(#[from] io::Error),
    /// It would take space that the store needs.
    #[error("the disk is too full for the file")]
    Full(#[from] StoreError),
}

impl Spool {
    /// Adds something to it.
    ///
    /// # Errors
    /// [`SpoolError`]
    pub fn write(&mut self, octets: &[u8]) -> Result<(), SpoolError> {
        let before = self.octets;
        self.octets = before.saturating_add(octets.len() as u64);
        if self.octets > self.octets_max {
            return Err(SpoolError::TooLarge { octets_max: self.octets_max });
        }
        if before >= self.asked_at {
            self.asked_at = self.octets.saturating_add(ASK_OCTETS);
            check_reserve(&self.directory)?;
        }
        Ok(self.file.write_all(octets)?)
    }

    /// How many octets are in it.
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// Reads it from an offset on. There is one reader at a time.
    ///
    /// # Errors
    /// The data directory does not give it.
    pub fn read(&self, from: u64) -> io::Result<BufReader<File>> {
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(from))?;
        Ok(BufReader::with_capacity(READ_OCTETS, file))
    }
}

/// Removes what a process left that was killed between two steps; for who holds the store.
pub fn remove_spools(directory: &Path) {
    let Ok(entries) = directory.read_dir() else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is_one = name.to_str().and_then(|name| name.strip_prefix(PREFIX)).is_some_and(is_of_spool);
        // One that stays takes room and is in nobody's way.
        if is_one && let Err(error) = remove_file(entry.path()) {
            tracing::warn!(path = %entry.path().display(), %error, "what is left of an import cannot be removed");
        }
    }
}

fn is_of_spool(rest: &str) -> bool {
    Uuid::parse_str(rest).is_ok()
}

const PREFIX: &str = "import-";
const READ_OCTETS: usize = 256 * 1024;
/// After how many octets it is asked again whether the disk takes more.
const ASK_OCTETS: u64 = 1024 * 1024;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_spool_is_read_twice_and_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let spools = Spools { directory: Some(directory.path().to_owned()), size_max: 8, entries_max: 1 };
        let mut spool = spools.make().unwrap();
        assert_eq!(directory.path().read_dir().unwrap().count(), 0);
        spool.write(b"12345").unwrap();
        for (from, rest) in [(0, "12345"), (2, "345")] {
            let mut text = String::new();
            spool.read(from).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, rest);
        }
        assert!(matches!(spool.write(b"6789"), Err(SpoolError::TooLarge { octets_max: 8 })));
    }

    #[test]
    fn what_is_left_is_removed_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        for name in [format!("import-{}", Uuid::new_v4()), "import-mine".to_owned(), "journal".to_owned()] {
            std::fs::write(directory.path().join(name), "x").unwrap();
        }
        remove_spools(directory.path());
        assert_eq!(directory.path().read_dir().unwrap().count(), 2);
    }
}
