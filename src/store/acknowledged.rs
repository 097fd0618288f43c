//! The small file beside the database that holds the last acknowledged revision.
//!
//! The database recovers from a lost tail by forgetting it; this file remembers that there was one.
//! Two slots are written in turn, so that a torn write leaves the revision before:
//!
//! ```text
//! slot    at 0 and at 4096: magic (8) | revision (8, little-endian) | checksum of both (16)
//! ```
//!
//! An operator who has nothing to restore may write the word `accept` into the file instead: then
//! the next start takes the store's own revision for the acknowledged one.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::error::{Damage, StoreError};
use crate::model::Revision;

/// What the file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// There is no file.
    Nothing,
    /// This revision was acknowledged.
    Revision(Revision),
    /// An operator takes what is there.
    Accept,
}

/// The open file.
#[derive(Debug)]
pub(super) struct Acknowledged {
    path: PathBuf,
    file: File,
}

impl Acknowledged {
    /// Where the file is in a data directory.
    pub(super) fn path_in(directory: &Path) -> PathBuf {
        directory.join(FILE_NAME)
    }

    /// What the file in this directory says.
    ///
    /// # Errors
    /// It is corrupt, or cannot be read.
    pub(super) fn read(directory: &Path) -> Result<Said, StoreError> {
        let path = Self::path_in(directory);
        let mut octets = Vec::new();
        match File::open(&path).and_then(|file| file.take(FILE_OCTETS as u64 + 1).read_to_end(&mut octets)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Said::Nothing),
            Err(error) => return Err(StoreError::from_io(&path, "read", error)),
        }
        if octets.trim_ascii() == ACCEPT {
            return Ok(Said::Accept);
        }
        let newest = if octets.len() == FILE_OCTETS {
            octets.chunks(SLOT_DISTANCE).filter_map(revision_in).max()
        } else {
            None
        };
        newest.map(Said::Revision).ok_or_else(|| StoreError::Damaged {
            path: directory.to_owned(),
            damage: Damage::AcknowledgedUnreadable { path },
        })
    }

    /// Makes the file anew with both slots at `revision`, durably, and opens it.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn create(directory: &Path, revision: Revision) -> Result<Self, StoreError> {
        let path = Self::path_in(directory);
        let failed = |error| StoreError::from_io(&path, "write", error);
        let new = path.with_extension("new");
        let mut octets = vec![0; FILE_OCTETS];
        for chunk in octets.chunks_mut(SLOT_DISTANCE) {
            for (octet, of_slot) in chunk.iter_mut().zip(slot(revision)) {
                *octet = of_slot;
            }
        }
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)
            .map_err(failed)?;
        file.write_all_at(&octets, 0).and_then(|()| file.sync_all()).map_err(failed)?;
        std::fs::rename(&new, &path).map_err(failed)?;
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)?;
        Self::open(directory)
    }

    /// Opens the file for writing.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(super) fn open(directory: &Path) -> Result<Self, StoreError> {
        let path = Self::path_in(directory);
        let file = OpenOptions::new()
            .write(true)
            .open(&path)
            .map_err(|error| StoreError::from_io(&path, "open", error))?;
        Ok(Self { path, file })
    }

    /// Remembers `revision`; it is on disk when this returns.
    ///
    /// # Errors
    /// It cannot be written (never said to be a full disk: the file has its size already); what it
    /// says then is this revision or the one before.
    pub(super) fn write(&self, revision: Revision) -> Result<(), StoreError> {
        let offset = (revision % SLOTS) * SLOT_DISTANCE as u64;
        self.file
            .write_all_at(&slot(revision), offset)
            .and_then(|()| self.file.sync_data())
            .map_err(|source| StoreError::Io { path: self.path.clone(), doing: "write", source })
    }
}

fn slot(revision: Revision) -> Vec<u8> {
    let mut octets = Vec::with_capacity(SLOT_OCTETS);
    octets.extend_from_slice(MAGIC);
    octets.extend_from_slice(&revision.to_le_bytes());
    let checksum = blake3::hash(&octets);
    octets.extend(checksum.as_bytes().iter().take(CHECKSUM_OCTETS));
    octets
}

fn revision_in(octets: &[u8]) -> Option<Revision> {
    let revision = octets.get(MAGIC.len()..)?.first_chunk::<8>()?;
    let revision = Revision::from_le_bytes(*revision);
    (octets.get(..SLOT_OCTETS)? == slot(revision)).then_some(revision)
}

const FILE_NAME: &str = "acknowledged";
const MAGIC: &[u8; 8] = b"BINDERY\x01";
const ACCEPT: &[u8] = b"accept";
const CHECKSUM_OCTETS: usize = 16;
const SLOT_OCTETS: usize = MAGIC.len() + size_of::<Revision>() + CHECKSUM_OCTETS;
const SLOTS: u64 = 2;
/// A page apart, so that one torn or unreadable page does not take both.
const SLOT_DISTANCE: usize = 4096;
const FILE_OCTETS: usize = SLOT_DISTANCE * SLOTS as usize;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn remembers_the_newest() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Acknowledged::read(directory.path()).unwrap(), Said::Nothing);
        let file = Acknowledged::create(directory.path(), 0).unwrap();
        for revision in 1..=5 {
            file.write(revision).unwrap();
            assert_eq!(Acknowledged::read(directory.path()).unwrap(), Said::Revision(revision));
        }
    }

    #[test]
    fn a_torn_slot_leaves_the_one_before() {
        let directory = tempfile::tempdir().unwrap();
        let file = Acknowledged::create(directory.path(), 7).unwrap();
        file.write(8).unwrap();
        file.file.write_all_at(&[0; 12], 4).unwrap();
        assert_eq!(Acknowledged::read(directory.path()).unwrap(), Said::Revision(7));
    }

    #[test]
    fn nonsense_is_damage() {
        let directory = tempfile::tempdir().unwrap();
        for nonsense in [vec![], b"accepted".to_vec(), vec![0; FILE_OCTETS], vec![255; FILE_OCTETS + 1]] {
            std::fs::write(Acknowledged::path_in(directory.path()), nonsense).unwrap();
            let error = Acknowledged::read(directory.path()).unwrap_err();
            assert!(matches!(
                error,
                StoreError::Damaged { damage: Damage::AcknowledgedUnreadable { .. }, .. }
            ));
        }
    }

    #[test]
    fn an_operator_may_accept() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(Acknowledged::path_in(directory.path()), "accept\n").unwrap();
        assert_eq!(Acknowledged::read(directory.path()).unwrap(), Said::Accept);
    }
}
