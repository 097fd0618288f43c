//! A store in memory: the same octets, the same limits, nothing on disk. For tests and simulations, and for who reads a store
//! without working on it: what was read takes no changes.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::archive::ArchiveWriter;
use super::error::StoreError;
use super::stored::{Cutter, Stored, Unverified};
use super::verify::{Assembler, BackwardAssembler};
use super::{Batch, Hindrance, Meta, Store, commit, record};
use crate::model::{Event, Key, Record, Timestamp, Trail};
use crate::secret::Secret;

/// Records in memory. Encodes and decodes them as the one on disk does, so that its limits hold.
#[derive(Debug, Default)]
pub struct MemoryStore {
    /// What the items were read from, once for all.
    read_from: Option<PathBuf>,
    state: RwLock<State>,
}

#[derive(Clone, Debug, Default)]
struct State {
    items: BTreeMap<Vec<u8>, Vec<u8>>,
    meta: Meta,
    is_full: bool,
}

impl MemoryStore {
    /// An empty store at revision 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was read from a data directory or a backup; every commit is refused.
    pub(super) fn reading(path: PathBuf, items: BTreeMap<Vec<u8>, Vec<u8>>, meta: Meta) -> Self {
        Self { read_from: Some(path), state: RwLock::new(State { items, meta, is_full: false }) }
    }

    /// Another one with what is in this one now.
    #[cfg(test)]
    pub fn copy(&self) -> Self {
        Self { read_from: self.read_from.clone(), state: RwLock::new(self.read().clone()) }
    }

    /// While `is_full`, every commit is refused with [`StoreError::Full`].
    #[cfg(test)]
    pub fn set_full(&self, is_full: bool) {
        self.write().is_full = is_full;
    }

    /// What errors call it.
    fn path(&self) -> &Path {
        self.read_from.as_deref().unwrap_or(Path::new("memory"))
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn load_stored(&self, visit: &mut dyn FnMut(Stored)) -> Result<Unverified, StoreError> {
        let state = self.read();
        let mut cutter = Cutter::new(self.path(), &state.meta, visit);
        for (key, value) in &state.items {
            cutter.item(key, value)?;
        }
        Ok(cutter.finish())
    }

    fn get(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        let name = record::name_of(key);
        let state = self.read();
        let mut assembler = Assembler::default();
        for (key, value) in state.items.range(record::item_key(&name, 0)..=record::item_key(&name, u16::MAX))
        {
            let item = record::verify(key, value).map_err(|fault| fault.at(self.path()))?;
            if item.name == name {
                let record = assembler.push(&item).map_err(|fault| fault.at(self.path()))?;
                if record.is_some() {
                    return Ok(record);
                }
            }
        }
        assembler.finish().map_err(|fault| fault.at(self.path()))?;
        Ok(None)
    }

    fn commit(&self, batch: &Batch) -> Result<Meta, StoreError> {
        if let Some(path) = &self.read_from {
            return Err(StoreError::OnlyRead { path: path.clone() });
        }
        let mut state = self.write();
        if state.is_full {
            return Err(StoreError::Full { path: self.path().to_owned(), free: None, needed: None });
        }
        let prepared =
            commit::prepare(self.path(), batch, &state.meta, |key| Ok(state.items.get(key).cloned()))?;
        for (key, value) in prepared.writes {
            match value {
                Some(value) => state.items.insert(key, value),
                None => state.items.remove(&key),
            };
        }
        state.meta = prepared.meta;
        Ok(prepared.meta)
    }

    fn meta(&self) -> Meta {
        self.read().meta
    }

    fn events(&self, trail: Trail, after: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        let Some((first, end)) = record::event_keys_above(trail, after) else { return Ok(Vec::new()) };
        let state = self.read();
        let mut assembler = Assembler::default();
        let mut events = Vec::new();
        for (key, value) in state.items.range(first..end) {
            if events.len() >= limit {
                break;
            }
            let item = record::verify(key, value).map_err(|fault| fault.at(self.path()))?;
            if let Some(Record::Event(event)) =
                assembler.push(&item).map_err(|fault| fault.at(self.path()))?
            {
                events.push(event);
            }
        }
        Ok(events)
    }

    fn events_before(&self, trail: Trail, before: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        let (first, end) = record::event_keys_below(trail, before);
        let state = self.read();
        let mut assembler = BackwardAssembler::default();
        let mut events = Vec::new();
        for (key, value) in state.items.range(first..end).rev() {
            if events.len() >= limit {
                break;
            }
            if let Some(Record::Event(event)) =
                assembler.push(key, value).map_err(|fault| fault.at(self.path()))?
            {
                events.push(event);
            }
        }
        Ok(events)
    }

    fn write_archive(
        &self,
        out: &mut dyn Write,
        made: Timestamp,
        keys: Option<&Secret>,
    ) -> Result<Meta, StoreError> {
        let failed = |source| StoreError::Output { source };
        let state = self.read();
        let mut writer = ArchiveWriter::new(out, &state.meta, made).map_err(failed)?;
        for (key, value) in &state.items {
            writer.item(key, value).map_err(failed)?;
        }
        writer.finish(keys).map_err(failed)?;
        Ok(state.meta)
    }

    fn resume(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn hindrance(&self) -> Option<Hindrance> {
        if self.read_from.is_some() {
            return Some(Hindrance::OnlyRead);
        }
        self.read().is_full.then_some(Hindrance::Full)
    }
}
