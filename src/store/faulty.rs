//! A store for tests that does with each call what it is told to: carry it out, fail, or fail and carry it out all the same.

use std::io::Write;
use std::sync::Arc;

use super::{Batch, Hindrance, Meta, Store, StoreError, Stored, Unverified};
use crate::model::{Event, Key, Record, Timestamp, Trail};
use crate::secret::Secret;

/// What is asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Get,
    Commit,
    Events,
    Resume,
    /// Whether a change would be taken.
    Hindrance,
}

/// What becomes of a call.
#[derive(Debug)]
pub(crate) enum Fate {
    CarriedOut,
    Fails(StoreError),
    /// It is carried out, and answered with an error.
    FailsAfterwards(StoreError),
}

/// A store over another one.
pub(crate) struct FaultyStore {
    records: Arc<dyn Store>,
    fate: Box<dyn Fn(Call) -> Fate + Send + Sync>,
}

impl FaultyStore {
    /// What `fate` says happens to each call; it may panic, as a store with an error in it does.
    pub(crate) fn over(records: Arc<dyn Store>, fate: impl Fn(Call) -> Fate + Send + Sync + 'static) -> Self {
        Self { records, fate: Box::new(fate) }
    }

    fn call<T>(
        &self,
        call: Call,
        work: impl FnOnce(&dyn Store) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match (self.fate)(call) {
            Fate::CarriedOut => work(&*self.records),
            Fate::Fails(error) => Err(error),
            Fate::FailsAfterwards(error) => work(&*self.records).and(Err(error)),
        }
    }
}

impl Store for FaultyStore {
    fn loaded(&self) {
        self.records.loaded();
    }

    fn load_stored(&self, visit: &mut dyn FnMut(Stored)) -> Result<Unverified, StoreError> {
        self.records.load_stored(visit)
    }

    fn get(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        self.call(Call::Get, |store| store.get(key))
    }

    fn commit(&self, batch: &Batch) -> Result<Meta, StoreError> {
        self.call(Call::Commit, |store| store.commit(batch))
    }

    fn meta(&self) -> Meta {
        self.records.meta()
    }

    fn events(&self, trail: Trail, after: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        self.call(Call::Events, |store| store.events(trail, after, limit))
    }

    fn events_before(&self, trail: Trail, before: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        self.call(Call::Events, |store| store.events_before(trail, before, limit))
    }

    fn write_archive(
        &self,
        out: &mut dyn Write,
        made: Timestamp,
        keys: Option<&Secret>,
    ) -> Result<Meta, StoreError> {
        self.records.write_archive(out, made, keys)
    }

    fn resume(&self) -> Result<(), StoreError> {
        self.call(Call::Resume, |store| store.resume())
    }

    fn hindrance(&self) -> Option<Hindrance> {
        match (self.fate)(Call::Hindrance) {
            Fate::CarriedOut => self.records.hindrance(),
            Fate::Fails(StoreError::Stopped { reason, .. })
            | Fate::FailsAfterwards(StoreError::Stopped { reason, .. }) => {
                Some(Hindrance::Stopped { reason })
            }
            Fate::Fails(_) | Fate::FailsAfterwards(_) => Some(Hindrance::Full),
        }
    }
}
