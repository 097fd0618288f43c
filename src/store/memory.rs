//! A store in memory: the same octets, the same limits, nothing on disk. For tests and simulations.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::error::StoreError;
use super::verify::{Assembler, BackwardAssembler, Verifier};
use super::{Batch, Meta, Store, commit, record};
use crate::model::{Event, Key, Record, Trail};

/// Records in memory. Encodes and decodes them as the one on disk does, so that its limits hold.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: RwLock<State>,
}

#[derive(Debug, Default)]
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

    /// While `is_full`, every commit is refused with [`StoreError::Full`].
    #[cfg(test)]
    pub fn set_full(&self, is_full: bool) {
        self.write().is_full = is_full;
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn load(&self, visit: &mut dyn FnMut(Record)) -> Result<Meta, StoreError> {
        let state = self.read();
        let mut verifier = Verifier::default();
        for (key, value) in &state.items {
            match verifier.push(key, value).map_err(|fault| fault.at(path()))? {
                None | Some(Record::Event(_)) => {}
                Some(record) => visit(record),
            }
        }
        verifier.finish().map_err(|fault| fault.at(path()))
    }

    fn get(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        let name = record::name_of(key);
        let state = self.read();
        let mut assembler = Assembler::default();
        for (key, value) in state.items.range(record::item_key(&name, 0)..=record::item_key(&name, u16::MAX))
        {
            let item = record::verify(key, value).map_err(|fault| fault.at(path()))?;
            if item.name == name {
                let record = assembler.push(&item).map_err(|fault| fault.at(path()))?;
                if record.is_some() {
                    return Ok(record);
                }
            }
        }
        assembler.finish().map_err(|fault| fault.at(path()))?;
        Ok(None)
    }

    fn commit(&self, batch: &Batch) -> Result<Meta, StoreError> {
        let mut state = self.write();
        if state.is_full {
            return Err(StoreError::Full { path: path().to_owned(), free: None, needed: None });
        }
        let prepared = commit::prepare(path(), batch, &state.meta, |key| Ok(state.items.get(key).cloned()))?;
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
            let item = record::verify(key, value).map_err(|fault| fault.at(path()))?;
            if let Some(Record::Event(event)) = assembler.push(&item).map_err(|fault| fault.at(path()))? {
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
                assembler.push(key, value).map_err(|fault| fault.at(path()))?
            {
                events.push(event);
            }
        }
        Ok(events)
    }

    fn resume(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn is_writable(&self) -> bool {
        !self.read().is_full
    }
}

/// What errors call it.
fn path() -> &'static Path {
    Path::new("memory")
}
