//! What is known of something deleted, and the description of the store, as version 3 wrote them; all else is as in version
//! 4. Nothing here is ever changed.

use serde::Deserialize;

use crate::model::{self, Origin, Revision, TombstoneOf, Trails};
use crate::store;

/// As version 2 wrote it too.
#[derive(Deserialize)]
pub(super) struct Tombstone {
    of: TombstoneOf,
    origin: Origin,
    held_rights: bool,
}

#[derive(Deserialize)]
pub(super) struct Meta {
    revision: Revision,
    records: u64,
    sum: u128,
    counters: Counters,
    seeded: bool,
}

#[derive(Deserialize)]
struct Counters {
    next_number: u32,
    next_object: u32,
    trails: Trails,
    custom_octets: u64,
}

impl From<Tombstone> for model::Tombstone {
    fn from(v3: Tombstone) -> Self {
        let Tombstone { of, origin, held_rights } = v3;
        Self { of, origin, held_rights, made: None }
    }
}

impl From<Meta> for store::Meta {
    /// Nothing was known of the clock, and no store had a name of its own.
    fn from(v3: Meta) -> Self {
        let Meta { revision, records, sum, counters, seeded } = v3;
        let Counters { next_number, next_object, trails, custom_octets } = counters;
        let counters = store::Counters { next_number, next_object, trails, custom_octets };
        Self { revision, records, sum, counters, seeded, belief: None, incarnation: None, token_key: None }
    }
}
