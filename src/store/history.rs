//! Whether two states of a store are of one history. By its audit trails: each event has the digest of the one before it, so the end
//! of a trail at one revision stands in every later state, as long as its events are kept. In that of a copy that went on by itself
//! it does not.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::error::StoreError;
use super::verify::Assembler;
use super::{Meta, Store, record};
use crate::model::{EventDigest, Key, Record, Trail, Trails};

/// The ends of the trails at one revision, which are looked for in a later state.
#[derive(Debug)]
pub(super) struct Ends {
    trails: Trails,
    /// The events that come right behind them, by the names of their records.
    names: Vec<(Vec<u8>, Trail)>,
    assembler: Assembler,
    /// What those have as the digest of the event before.
    found: BTreeMap<Trail, EventDigest>,
}

impl Ends {
    /// Those of a state.
    pub(super) fn of(meta: &Meta) -> Self {
        let trails = meta.counters.trails;
        // Where there is no digest, nothing was written yet, or by a version that made none.
        let told = Trail::ALL.into_iter().filter(|trail| trails.of(*trail).head != EventDigest::NONE);
        let names = told.map(|trail| (record::name_of(&Key::Event(trail.at(trails.of(trail).next))), trail));
        Self { trails, names: names.collect(), assembler: Assembler::default(), found: BTreeMap::new() }
    }

    /// The keys of all items that are looked for: from the first of two up to, and without, the second.
    pub(super) fn keys(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let both = |name: &[u8]| (record::item_key(name, 0), record::item_key(name, u16::MAX));
        self.names.iter().map(|(name, _)| both(name)).collect()
    }

    /// Takes an item of the later state, or of a batch that leads there; those of a record in their order.
    pub(super) fn take(&mut self, key: &[u8], value: &[u8]) {
        let is_of =
            |name: &[u8]| key.strip_prefix(name).is_some_and(|part| part.len() == record::PART_OCTETS);
        let Some(trail) = self.names.iter().find(|(name, _)| is_of(name)).map(|(_, trail)| *trail) else {
            return;
        };
        match record::verify(key, value).and_then(|item| self.assembler.push(&item)) {
            Ok(Some(Record::Event(event))) => {
                self.found.insert(trail, event.previous);
            }
            Ok(_) => {}
            // What cannot be read tells nothing.
            Err(_) => self.assembler = Assembler::default(),
        }
    }

    /// Why the later state, of which the items were taken, is not of the same history; `None`: it is, or nothing tells.
    pub(super) fn parted(&self, later: &Meta) -> Option<String> {
        let is_parted = |trail: &Trail| {
            let (ours, theirs) = (self.trails.of(*trail), later.counters.trails.of(*trail));
            if ours.head == EventDigest::NONE {
                return false;
            }
            match theirs.next.cmp(&ours.next) {
                Ordering::Less => true,
                Ordering::Equal => theirs.head != ours.head,
                Ordering::Greater => self
                    .found
                    .get(trail)
                    .is_some_and(|before| *before != EventDigest::NONE && *before != ours.head),
            }
        };
        let trail = Trail::ALL.into_iter().find(is_parted)?;
        Some(format!(
            "the audit trail `{trail}` is another one before its event {}",
            self.trails.of(trail).next
        ))
    }
}

/// Whether a store has been what `meta` describes; also where nothing tells.
///
/// # Errors
/// The store cannot be read.
pub fn has_been(store: &dyn Store, meta: &Meta) -> Result<bool, StoreError> {
    let mut ends = Ends::of(meta);
    // As it was before: what comes meanwhile takes nothing away but the oldest events.
    let now = store.meta();
    if now.revision == meta.revision {
        return Ok(is_same(&now, meta));
    }
    for (_, trail) in &ends.names {
        let next = meta.counters.trails.of(*trail).next;
        let behind = store.events(*trail, next.saturating_sub(1), 1)?;
        ends.found.extend(
            behind.first().filter(|event| event.sequence == next).map(|event| (*trail, event.previous)),
        );
    }
    Ok(ends.parted(&now).is_none())
}

/// Why two descriptions of a store at one revision are not of one history; `None`: they are.
pub(super) fn parted_at(one: &Meta, other: &Meta) -> Option<String> {
    (!is_same(one, other)).then(|| format!("there are other records at the same revision {}", one.revision))
}

/// Whether two descriptions of a store at one revision are of the same records.
fn is_same(one: &Meta, other: &Meta) -> bool {
    let of = |meta: &Meta| (meta.records, meta.sum, meta.counters.trails);
    of(one) == of(other)
}
