//! What a batch does to the stored items: the same for every kind of store.

use std::collections::BTreeMap;
use std::path::Path;

use super::error::StoreError;
use super::record::{self, Item};
use super::{Batch, Meta};
use crate::model::{Change, Incarnation};

/// New values of items by their keys; `None`: the item is gone.
pub(super) type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// A batch in the form of items.
#[derive(Debug)]
pub(super) struct Prepared {
    /// The description of the store after it.
    pub(super) meta: Meta,
    /// All items that it writes, the description among them.
    pub(super) writes: Writes,
}

/// Works out what `batch` does to a store that is described by `meta`; `read` finds an item in it.
///
/// # Errors
/// [`StoreError::TooLarge`], a damaged record in the way, or what `read` says.
pub(super) fn prepare(
    path: &Path,
    batch: &Batch,
    meta: &Meta,
    mut read: impl FnMut(&[u8]) -> Result<Option<Vec<u8>>, StoreError>,
) -> Result<Prepared, StoreError> {
    let mut meta = *meta;
    let mut writes = Writes::new();

    for (name, items) in last_changes(batch)? {
        for (key, value) in stored_items(path, &name, &mut read)? {
            let checksum = record::verify(&key, &value).map_err(|fault| fault.at(path))?.checksum;
            meta.sum = meta.sum.wrapping_sub(checksum);
            if key == record::item_key(&name, 0) {
                meta.records = meta.records.saturating_sub(1);
            }
            writes.insert(key, None);
        }
        if !items.is_empty() {
            meta.records = meta.records.saturating_add(1);
        }
        for (key, value) in items {
            let checksum = record::verify(&key, &value).map_err(|fault| fault.at(path))?.checksum;
            meta.sum = meta.sum.wrapping_add(checksum);
            writes.insert(key, Some(value));
        }
    }

    meta.revision = meta.revision.saturating_add(1);
    meta.counters = batch.counters;
    meta.seeded = batch.seeded;
    meta.belief = batch.belief.or(meta.belief);
    meta.token_key = batch.token_key.or(meta.token_key);
    // Where there are no random octets, the next batch tries again.
    meta.incarnation = meta.incarnation.or_else(|| Incarnation::random().ok());
    let (key, value) = record::encode_meta(&meta)?;
    writes.insert(key, Some(value));
    Ok(Prepared { meta, writes })
}

/// How many octets a set of writes holds.
pub(super) fn octets_of(writes: &Writes) -> usize {
    writes.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len)).sum()
}

/// The items of each changed record after the batch, by its name; none: it is deleted.
fn last_changes(batch: &Batch) -> Result<BTreeMap<Vec<u8>, Vec<Item>>, StoreError> {
    let mut changes = BTreeMap::new();
    let mut octets: usize = 0;
    for change in &batch.changes {
        match change {
            Change::Put(record) => {
                let items = record::encode(record)?;
                octets += items.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
                changes.insert(record::name_of(&record.key()), items);
            }
            Change::Delete(key) => {
                changes.insert(record::name_of(key), Vec::new());
            }
        }
        if octets > BATCH_OCTETS_MAX {
            return Err(StoreError::TooLarge {
                what: "this change as a whole".to_owned(),
                octets,
                limit: BATCH_OCTETS_MAX,
            });
        }
    }
    Ok(changes)
}

/// The items that a record has now; none: there is no such record.
fn stored_items(
    path: &Path,
    name: &[u8],
    read: &mut impl FnMut(&[u8]) -> Result<Option<Vec<u8>>, StoreError>,
) -> Result<Vec<Item>, StoreError> {
    let key = record::item_key(name, 0);
    let Some(value) = read(&key)? else { return Ok(Vec::new()) };
    let (parts, _) =
        record::verify(&key, &value).and_then(|item| item.head()).map_err(|fault| fault.at(path))?;
    let mut items = vec![(key, value)];
    for part in 1..parts {
        let key = record::item_key(name, part);
        let value = read(&key)?.ok_or_else(|| record::part_missing(name).at(path))?;
        items.push((key, value));
    }
    Ok(items)
}

/// One batch is held in memory several times over and written as one piece of the log.
/// No limit of the config: every part of the store rests on it.
pub const BATCH_OCTETS_MAX: usize = 256 * 1024 * 1024;
