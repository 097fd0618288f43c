//! The small file that held the last acknowledged revision before there was a journal. It is read at the first start of a
//! store that has one, so that a lost end is noticed then too, and removed.
//!
//! Two slots were written in turn, so that a torn write left the revision before:
//!
//! ```text
//! slot    at 0 and at 4096: magic (8) | revision (8, little-endian) | checksum of both (16)
//! ```
//!
//! The word `accept` in it stands for whatever revision the database is at.

use std::fs::File;
use std::io::{self, Read};
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

/// The file.
#[derive(Debug)]
pub(super) struct Acknowledged;

impl Acknowledged {
    fn path_in(directory: &Path) -> PathBuf {
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

    /// Removes the file: the journal tells the same.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(super) fn remove(directory: &Path) -> Result<(), StoreError> {
        let path = Self::path_in(directory);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::from_io(&path, "remove", error))
            }
            _ => Ok(()),
        }
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

/// Writes the file as it was written.
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) fn write(directory: &Path, revisions: [Revision; 2]) {
    let mut octets = Vec::new();
    for revision in revisions {
        octets.extend(slot(revision));
        octets.resize(octets.len().next_multiple_of(SLOT_DISTANCE), 0);
    }
    std::fs::write(Acknowledged::path_in(directory), octets).unwrap();
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn says_the_newest() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Acknowledged::read(directory.path()).unwrap(), Said::Nothing);
        for revisions in [[8, 7], [6, 7], [0, 0]] {
            write(directory.path(), revisions);
            let newest = revisions[0].max(revisions[1]);
            assert_eq!(Acknowledged::read(directory.path()).unwrap(), Said::Revision(newest));
        }
        Acknowledged::remove(directory.path()).unwrap();
        assert_eq!(Acknowledged::read(directory.path()).unwrap(), Said::Nothing);
        Acknowledged::remove(directory.path()).unwrap();
    }

    #[test]
    fn a_torn_slot_leaves_the_one_before() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), [8, 7]);
        let path = Acknowledged::path_in(directory.path());
        let mut octets = std::fs::read(&path).unwrap();
        octets.splice(4..16, [0; 12]);
        std::fs::write(path, octets).unwrap();
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
