//! Durable records behind a small seam: load everything at a revision, commit a batch atomically.
//!
//! A record is one object of `model/`. A batch of changes becomes durable as a whole or not at all,
//! and each batch increases the revision by one. [`DiskStore`] keeps the records on disk,
//! [`MemoryStore`] keeps the same octets in memory for tests and simulations.
//! `docs/reliability.md` says what a crash, a full disk and a damaged file do.

mod acknowledged;
mod archive;
mod aside;
mod backup;
mod catch;
mod chain;
mod commit;
mod contents;
mod directories;
mod disk;
mod error;
#[cfg(test)]
mod faulty;
mod history;
mod journal;
mod ledger;
mod lock;
mod memory;
mod mounts;
mod new_file;
mod own_files;
mod reading;
mod record;
mod restore;
mod salvage;
mod stored;
mod successor;
#[cfg(test)]
pub(crate) mod tests;
mod unreadable;
mod verify;

use std::io::Write;

use serde::{Deserialize, Serialize};

use crate::model::{Belief, Change, Event, Incarnation, Key, Record, Revision, Timestamp, Trail, Trails};
use crate::secret::Secret;

pub use aside::put as put_aside;
pub use backup::{BackupError, Examined, Verified, examine, read_head, verify};
pub use commit::BATCH_OCTETS_MAX;
pub use contents::{Contents, Counts, ValidAgain};
pub use disk::{DiskStore, Unopened, check_reserve};
pub use error::{Holder, StoreError};
#[cfg(test)]
pub(crate) use faulty::{Call, Fate, FaultyStore};
pub use history::has_been;
pub use lock::check_owner;
pub use memory::MemoryStore;
pub use mounts::check_mounts;
pub use new_file::{FileError, NewFile, check_apart};
pub use own_files::{FINDING_KEY_NAME, OwnPlace, SOCKET_NAME, own_place};
pub use reading::{holder, read_backup, read_directory};
pub use record::{RECORD_OCTETS_MAX, TOMBSTONE_OCTETS_MAX, measure};
pub use restore::{Existing, Restoration, has_store};
pub use salvage::{Missing, SalvageRules, Salvaged, salvage};
pub use stored::{Stored, Unverified};
pub use successor::{beside_store, was_before};
pub use unreadable::open_file;

/// Where records are kept. Every method may block on the disk: not for the network threads.
///
/// One process at a time holds a store; within it commits are carried out one after the other.
pub trait Store: Send + Sync {
    /// Reads and verifies everything; hands every record but the events to `visit`, in the order
    /// custom attribute types, providers, roles, groups, accounts, memberships, tokens, applications,
    /// tombstones, last uses of credentials.
    ///
    /// Only at the end is it known that nothing is missing: on an error, what was visited before
    /// is worth nothing. `visit` must not call the store.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::TooNew`], or a failure to read.
    fn load(&self, visit: &mut dyn FnMut(Record)) -> Result<Meta, StoreError> {
        let meta = self.load_stored(&mut |stored| stored.read(visit))?.finish()?;
        self.loaded();
        Ok(meta)
    }

    /// Reads everything, and hands it over in the same order as it is stored, so that several threads can check and decode it.
    ///
    /// Only [`Unverified::finish`], when all of it was read, tells whether anything is missing or damaged: before that
    /// the records are worth nothing. `visit` must not call the store.
    ///
    /// # Errors
    /// A failure to read.
    fn load_stored(&self, visit: &mut dyn FnMut(Stored)) -> Result<Unverified, StoreError>;

    /// Says that what was loaded is in use: what had to wait for that begins.
    fn loaded(&self) {}

    /// The record of this name, as of the last commit.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], or a failure to read.
    fn get(&self, key: &Key) -> Result<Option<Record>, StoreError>;

    /// Carries out all changes of the batch in their order, or none. They are on disk when this
    /// returns; the answer holds the new revision. Deleting what is not there changes nothing.
    ///
    /// # Errors
    /// Nothing of the batch happened, and with [`StoreError::Full`] it may be tried again when there is
    /// space. Only [`StoreError::Stopped`] leaves open whether it will be there after the restart
    /// that is needed then.
    fn commit(&self, batch: &Batch) -> Result<Meta, StoreError>;

    /// What the store says about itself, as of the last commit.
    fn meta(&self) -> Meta;

    /// At most `limit` events of a trail with a sequence above `after`, in their order.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], or a failure to read.
    fn events(&self, trail: Trail, after: u64, limit: usize) -> Result<Vec<Event>, StoreError>;

    /// At most `limit` events of a trail with a sequence below `before`, the newest first.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], or a failure to read.
    fn events_before(&self, trail: Trail, before: u64, limit: usize) -> Result<Vec<Event>, StoreError>;

    /// Writes all items, as of one revision, as an archive, with the content of the file of keys if it is given; commits go
    /// on meanwhile. Answers with the description of the store that it holds.
    ///
    /// # Errors
    /// The items cannot be read, or the archive not be written.
    fn write_archive(
        &self,
        out: &mut dyn Write,
        made: Timestamp,
        keys: Option<&Secret>,
    ) -> Result<Meta, StoreError>;

    /// Goes on after a full disk had closed the store, if there is space by now; costs next to nothing
    /// otherwise. Whoever changes something calls it before reading what the change rests on.
    ///
    /// # Errors
    /// The store stays closed: there still is no space, or it cannot be used for another reason.
    fn resume(&self) -> Result<(), StoreError>;

    /// Writes anew what has grown by what is gone; changes wait for the end of it, and nobody else does. Where nothing is
    /// saved by it, everything stays as it was.
    ///
    /// # Errors
    /// There is no space for the new one beside the old one, or it cannot be written: the old one stays.
    fn compact(&self) -> Result<Sizes, StoreError> {
        Ok(self.sizes())
    }

    /// How much the store takes on the disk.
    fn sizes(&self) -> Sizes {
        Sizes::default()
    }

    /// Why no change would be taken now, as far as that is known without trying. It asks the file system for its free
    /// space, and waits for nobody who holds the store.
    fn hindrance(&self) -> Option<Hindrance>;

    /// Whether a small change would be taken now.
    fn is_writable(&self) -> bool {
        self.hindrance().is_none()
    }
}

/// Octets of the files of a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizes {
    /// Of the database.
    pub database: u64,
    /// Of the journal, its checkpoint included.
    pub journal: u64,
}

impl Sizes {
    /// All of them.
    pub fn total(self) -> u64 {
        self.database.saturating_add(self.journal)
    }
}

/// Why a store takes no changes. What it says is for whoever watches the server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Hindrance {
    /// Its two copies are still being compared.
    #[error(
        "the store was opened and is being checked: until that is done it takes no changes; reading goes on"
    )]
    Opening,
    /// There is no space.
    #[error("the store takes no changes: the disk is full; reading goes on")]
    Full,
    /// A failure left open what is on disk.
    #[error(
        "the store takes no changes until the server is restarted, because a write failed ({reason}): check the disk; \
         reading goes on"
    )]
    Stopped {
        /// What failed.
        reason: String,
    },
    /// It was opened to be read only.
    #[error("the store is only read")]
    OnlyRead,
}

/// The next numbers to be given away; none is ever used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Of accounts and groups.
    pub next_number: u32,
    /// Of roles, tokens, applications, providers and custom attribute types.
    pub next_object: u32,
    /// Of events in each trail, with what its chain rests on.
    pub trails: Trails,
    /// Octets that the trail of custom events takes in the store.
    pub custom_octets: u64,
}

impl Default for Counters {
    /// Counting begins at 1, so that 0 can stand for "before the first".
    fn default() -> Self {
        Self { next_number: 1, next_object: 1, trails: Trails::default(), custom_octets: 0 }
    }
}

/// What a store knows about itself; written with every batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// The number of batches that were committed.
    pub revision: Revision,
    /// How many records there are, events included.
    pub records: u64,
    /// The sum, modulo 2¹²⁸, of the checksums of all stored items: tells a lost or an old record.
    pub sum: u128,
    /// The next numbers to be given away.
    pub counters: Counters,
    /// Whether a seed was ever applied.
    pub seeded: bool,
    /// What was last believed of the clock; `None` while nobody has said.
    pub belief: Option<Belief>,
    /// Which life of the store this is, as its files say already, or made with the first batch that finds none. `None` before
    /// that.
    pub incarnation: Option<Incarnation>,
    /// By what the key is known again that chosen secrets of tokens are found by; `None` while there was none.
    pub token_key: Option<u64>,
}

/// Changes that happen together, with their events among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The changes, in their order.
    pub changes: Vec<Change>,
    /// The counters after them.
    pub counters: Counters,
    /// Whether a seed was ever applied, after them.
    pub seeded: bool,
    /// What is believed of the clock by now; `None`: what was believed before stays.
    pub belief: Option<Belief>,
    /// The mark of the key that chosen secrets of tokens are found by; `None`: that of before stays.
    pub token_key: Option<u64>,
}
