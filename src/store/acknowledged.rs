//! The file `acknowledged`: which revision was acknowledged last, told by neither of the two copies of a store, so that an end
//! is missed which both have lost.
//!
//! It is written in each commit, when its batch is on the disk, and left to the system to bring there: a power loss may
//! leave it some commits behind, and then it says less than it could. It is never ahead.
//!
//! It also says what the store was at that revision, as the store describes itself: so neither copy takes the place of the other
//! that has never been that, because it is of a copy of the store that went on by itself.
//!
//! Two slots are written in turn, so that a torn write leaves the revision before:
//!
//! ```text
//! slot    at 0 and at 4096: "BINDERY" | format 3 (1) | incarnation (16) | revision (8)
//!         | length of what follows (4) | the item that describes the store | checksum of what is before it (16)
//! ```
//!
//! Numbers are little-endian. In format 2 nothing stood between the revision and the checksum. Before there was a journal the slots had
//! format 1, without an incarnation, and the word `accept` in the file stood for whatever revision the database is at; such a file is
//! read at the first start of such a store.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::Meta;
use super::archive::{CHECKSUM_OCTETS, incarnation_of, octets_of, take};
use super::directories::sync_directory;
use super::error::StoreError;
use super::record;
use super::unreadable::{self, Patched};
use crate::model::{Incarnation, Revision};

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// There is no file.
    Nothing,
    /// It is corrupt, or cannot be read.
    Unreadable {
        /// The file.
        path: PathBuf,
    },
    /// These were acknowledged.
    Acknowledged(Vec<Slot>),
    /// An operator takes what is there: of a store without a journal. Beside one it says nothing.
    Accept,
}

/// A revision that was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// In which life of the store; `None`: it had none.
    incarnation: Option<Incarnation>,
    revision: Revision,
    /// What the store was; `None`: a version before has written it, or a later one.
    described: Option<Meta>,
}

impl Said {
    /// What the file in this directory says.
    pub(super) fn read(directory: &Path) -> Self {
        let path = path_in(directory);
        let mut octets = Vec::new();
        let read = unreadable::open_file(&path)
            .and_then(|file| Patched::of(&file)?.take(FILE_OCTETS as u64 + 1).read_to_end(&mut octets));
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::Nothing,
            Err(_) => return Self::Unreadable { path },
        }
        if octets.trim_ascii() == ACCEPT {
            return Self::Accept;
        }
        let slots: Vec<Slot> = if octets.len() == FILE_OCTETS {
            octets.chunks(SLOT_DISTANCE).filter_map(Slot::read).collect()
        } else {
            Vec::new()
        };
        if slots.is_empty() { Self::Unreadable { path } } else { Self::Acknowledged(slots) }
    }

    /// The last revision of this life of a store, as far as that is known; `None`: nothing is said of it.
    pub(super) fn of_life(&self, incarnation: Option<Incarnation>) -> Option<Revision> {
        match self {
            Self::Nothing | Self::Unreadable { .. } | Self::Accept => None,
            Self::Acknowledged(slots) => slots
                .iter()
                .filter(|slot| !Incarnation::is_foreign(slot.incarnation, incarnation))
                .map(|slot| slot.revision)
                .max(),
        }
    }

    /// What the store was in this life of it when something was acknowledged last; `None`: nothing is said of that.
    pub(super) fn described(&self, incarnation: Option<Incarnation>) -> Option<&Meta> {
        let Self::Acknowledged(slots) = self else { return None };
        let of_life = slots.iter().filter(|slot| !Incarnation::is_foreign(slot.incarnation, incarnation));
        of_life.max_by_key(|slot| slot.revision)?.described.as_ref()
    }

    /// The lives of which something is said.
    pub(super) fn lives(&self) -> impl Iterator<Item = Incarnation> {
        let slots = match self {
            Self::Nothing | Self::Unreadable { .. } | Self::Accept => &[][..],
            Self::Acknowledged(slots) => slots,
        };
        slots.iter().filter_map(|slot| slot.incarnation)
    }

    /// Whether a store with a journal has said it.
    pub(super) fn is_of_ledger(&self) -> bool {
        matches!(self, Self::Acknowledged(slots) if slots.iter().any(|slot| slot.incarnation.is_some()))
    }

    /// Whether it says the last revision of this life of a store, and nothing of another.
    pub(super) fn is_up_to(&self, meta: &Meta, incarnation: Option<Incarnation>) -> bool {
        let is_of_it = |slot: &Slot| slot.incarnation.is_some() && slot.incarnation == incarnation;
        matches!(self, Self::Acknowledged(slots) if slots.iter().all(is_of_it))
            && self.of_life(incarnation) == Some(meta.revision)
    }
}

impl Slot {
    fn read(octets: &[u8]) -> Option<Self> {
        let mut rest = octets;
        let slot = match &take(&mut rest)? {
            MAGIC => {
                let incarnation = incarnation_of(take(&mut rest)?);
                let revision = Revision::from_le_bytes(take(&mut rest)?);
                let length = usize::try_from(u32::from_le_bytes(take(&mut rest)?)).ok()?;
                let (item, behind) = rest.split_at_checked(length)?;
                rest = behind;
                Self { incarnation, revision, described: record::decode_meta(item).ok() }
            }
            MAGIC_V2 => {
                let incarnation = incarnation_of(take(&mut rest)?);
                Self { incarnation, revision: Revision::from_le_bytes(take(&mut rest)?), described: None }
            }
            MAGIC_V1 => {
                let revision = Revision::from_le_bytes(take(&mut rest)?);
                Self { incarnation: None, revision, described: None }
            }
            _ => return None,
        };
        let covered = octets.len() - rest.len();
        let checksum = checksum(octets.get(..covered)?);
        rest.starts_with(&checksum).then_some(slot)
    }
}

/// The slot of what the store is, in this life of it.
///
/// # Errors
/// Never in practice: its size is bounded far below that of a slot.
fn slot_of(meta: &Meta, incarnation: Option<Incarnation>) -> Result<Vec<u8>, StoreError> {
    let (_, item) = record::encode_meta(meta)?;
    let mut octets = MAGIC.to_vec();
    octets.extend_from_slice(&octets_of(incarnation));
    octets.extend_from_slice(&meta.revision.to_le_bytes());
    octets.extend_from_slice(&u32::try_from(item.len()).unwrap_or(u32::MAX).to_le_bytes());
    octets.extend(item);
    octets.extend(checksum(&octets));
    Ok(octets)
}

fn checksum(octets: &[u8]) -> [u8; CHECKSUM_OCTETS] {
    let mut checksum = [0; CHECKSUM_OCTETS];
    blake3::Hasher::new().update(octets).finalize_xof().fill(&mut checksum);
    checksum
}

/// The file, as it is written to.
#[derive(Debug)]
pub(super) struct Acknowledged {
    path: PathBuf,
    /// `None` since it could not be written: from then on it falls behind, which loses no more than what it would have told.
    file: Option<File>,
}

impl Acknowledged {
    /// Goes on from a store in `directory` that was found to have all that is said, of which life its files are: where it is
    /// takes the place of what says something else, on the disk too.
    pub(super) fn go_on(directory: &Path, meta: &Meta, incarnation: Option<Incarnation>) -> Self {
        let path = path_in(directory);
        let said = Said::read(directory);
        let is_said = said.is_up_to(meta, incarnation) && said.described(incarnation) == Some(meta);
        let mut made = OpenOptions::new();
        // A pipe would be waited for.
        made.write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(OFlags::NONBLOCK.bits().cast_signed());
        let write = |file: &File, slot: &[u8]| {
            // At once: half of it would say nothing.
            let mut octets = vec![0; FILE_OCTETS];
            let at = place_of(meta.revision);
            octets.splice(at..at + slot.len(), slot.iter().copied());
            file.write_all_at(&octets, 0)?;
            file.set_len(FILE_OCTETS as u64)?;
            file.sync_all()
        };
        let failed = |error| StoreError::from_io(&path, "write", error);
        let made = made.open(&path).map_err(failed).and_then(|file| {
            if !is_said {
                write(&file, &slot_of(meta, incarnation)?).map_err(failed)?;
            }
            Ok(file)
        });
        let made = made.and_then(|file| sync_directory(directory).map(|()| file));
        let mut acknowledged = Self { path, file: None };
        match made {
            Ok(file) => acknowledged.file = Some(file),
            Err(error) => acknowledged.fail(&error),
        }
        acknowledged
    }

    /// Takes note that the store came to where `meta` says, which is on the disk.
    pub(super) fn note(&mut self, meta: &Meta) {
        let Some(file) = &self.file else { return };
        let noted = slot_of(meta, meta.incarnation).and_then(|slot| {
            let written = file.write_all_at(&slot, place_of(meta.revision) as u64);
            written.map_err(|error| StoreError::from_io(&self.path, "write", error))
        });
        if let Err(error) = noted {
            self.fail(&error);
        }
    }

    fn fail(&mut self, error: &StoreError) {
        self.file = None;
        tracing::warn!(
            reason = error.with_reason(),
            "until the next start nothing but the two copies of the store tells how far it has come"
        );
    }
}

/// Where the file of a data directory is.
pub(super) fn path_in(directory: &Path) -> PathBuf {
    directory.join(FILE_NAME)
}

/// Where the slot of a revision begins.
const fn place_of(revision: Revision) -> usize {
    if revision.is_multiple_of(2) { 0 } else { SLOT_DISTANCE }
}

pub(super) const FILE_NAME: &str = "acknowledged";
const MAGIC: &[u8; 8] = b"BINDERY\x03";
const MAGIC_V2: &[u8; 8] = b"BINDERY\x02";
const MAGIC_V1: &[u8; 8] = b"BINDERY\x01";
const ACCEPT: &[u8] = b"accept";
/// A page apart, so that one torn or unreadable page does not take both.
const SLOT_DISTANCE: usize = 4096;
const FILE_OCTETS: usize = SLOT_DISTANCE * 2;

/// Writes the file as it was before there was a journal.
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) fn write_v1(directory: &Path, revisions: [Revision; 2]) {
    let mut octets = Vec::new();
    for revision in revisions {
        let slot = [&MAGIC_V1[..], &revision.to_le_bytes()].concat();
        octets.extend([&slot[..], &checksum(&slot)].concat());
        octets.resize(octets.len().next_multiple_of(SLOT_DISTANCE), 0);
    }
    std::fs::write(directory.join(FILE_NAME), octets).unwrap();
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    const ONE: Option<Incarnation> = Some(Incarnation::new([1; 16]));
    const OTHER: Option<Incarnation> = Some(Incarnation::new([2; 16]));

    fn at(revision: Revision, incarnation: Option<Incarnation>) -> Meta {
        Meta { revision, incarnation, ..Meta::default() }
    }

    #[test]
    fn says_the_newest() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Said::read(directory.path()), Said::Nothing);
        let mut acknowledged = Acknowledged::go_on(directory.path(), &at(7, ONE), ONE);
        for revision in 7..=12 {
            acknowledged.note(&at(revision, ONE));
            assert_eq!(Said::read(directory.path()).of_life(ONE), Some(revision));
            assert_eq!(Said::read(directory.path()).of_life(None), Some(revision));
        }
        Acknowledged::go_on(directory.path(), &at(12, ONE), ONE);
        assert_eq!(Said::read(directory.path()).of_life(ONE), Some(12));
    }

    /// What a version before has written is as good, and written anew by the next start.
    #[test]
    fn says_what_the_store_was() {
        let directory = tempfile::tempdir().unwrap();
        let at = |revision, sum| Meta { sum, ..at(revision, ONE) };
        let mut acknowledged = Acknowledged::go_on(directory.path(), &at(7, 1), ONE);
        assert_eq!(Said::read(directory.path()).described(ONE), Some(&at(7, 1)));
        acknowledged.note(&at(8, 2));
        let said = Said::read(directory.path());
        assert_eq!((said.described(ONE), said.described(OTHER)), (Some(&at(8, 2)), None));
        let slot = [&MAGIC_V2[..], &octets_of(ONE), &8_u64.to_le_bytes()].concat();
        let mut octets = [&slot[..], &checksum(&slot)].concat();
        octets.resize(FILE_OCTETS, 0);
        std::fs::write(path_in(directory.path()), octets).unwrap();
        let said = Said::read(directory.path());
        assert_eq!((said.of_life(ONE), said.described(ONE)), (Some(8), None));
        Acknowledged::go_on(directory.path(), &at(8, 2), ONE);
        assert_eq!(Said::read(directory.path()).described(ONE), Some(&at(8, 2)));
    }

    /// Each life of a store counts its revisions for itself.
    #[test]
    fn says_nothing_of_another_life() {
        let directory = tempfile::tempdir().unwrap();
        Acknowledged::go_on(directory.path(), &at(7, ONE), ONE);
        assert_eq!(Said::read(directory.path()).of_life(OTHER), None);
        Acknowledged::go_on(directory.path(), &at(2, OTHER), OTHER);
        assert_eq!(Said::read(directory.path()).of_life(OTHER), Some(2));
        assert_eq!(Said::read(directory.path()).of_life(ONE), None);
    }

    #[test]
    fn says_what_it_said_before_there_was_a_journal() {
        let directory = tempfile::tempdir().unwrap();
        for revisions in [[8, 7], [6, 7], [0, 0]] {
            write_v1(directory.path(), revisions);
            let newest = revisions[0].max(revisions[1]);
            assert_eq!(Said::read(directory.path()).of_life(ONE), Some(newest));
        }
    }

    #[test]
    fn a_torn_slot_leaves_the_one_before() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE_NAME);
        let mut acknowledged = Acknowledged::go_on(directory.path(), &at(7, ONE), ONE);
        acknowledged.note(&at(8, ONE));
        let whole = std::fs::read(&path).unwrap();
        let slot = slot_of(&at(8, ONE), ONE).unwrap();
        for octet in 0..slot.len() {
            let mut torn = whole.clone();
            torn[octet] ^= 0x10;
            std::fs::write(&path, torn).unwrap();
            assert_eq!(Said::read(directory.path()).of_life(ONE), Some(7), "{octet}");
        }
    }

    #[test]
    fn nonsense_says_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE_NAME);
        for nonsense in [vec![], b"accepted".to_vec(), vec![0; FILE_OCTETS], vec![255; FILE_OCTETS + 1]] {
            std::fs::write(&path, nonsense).unwrap();
            let said = Said::read(directory.path());
            assert_eq!(said, Said::Unreadable { path: path.clone() });
            assert_eq!(said.of_life(None), None);
        }
        // What is not a file at all neither, and it keeps nobody from going on.
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert_eq!(Said::read(directory.path()), Said::Unreadable { path });
        Acknowledged::go_on(directory.path(), &at(7, ONE), ONE).note(&at(8, ONE));
    }

    #[test]
    fn an_operator_may_accept() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(FILE_NAME), "accept\n").unwrap();
        let said = Said::read(directory.path());
        assert_eq!((said.of_life(None), said), (None, Said::Accept));
    }
}
