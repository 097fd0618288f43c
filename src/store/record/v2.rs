//! Records as version 2 wrote them, where version 3 has another form, and what becomes of them in the present form.
//! Nothing here is ever changed.

use serde::Deserialize;
use uuid::Uuid;

use crate::model::{
    self, Action, Actor, EventDetail, EventDigest, FieldChange, Revision, Timestamp, TrailState, Trails,
};
use crate::store;

/// There was one trail.
#[derive(Deserialize)]
pub(super) struct Event {
    sequence: u64,
    previous: EventDigest,
    uuid: Uuid,
    time: Timestamp,
    since: Option<Timestamp>,
    count: u64,
    action: Action,
    actor: Actor,
    application: Option<String>,
    object_kind: String,
    object_name: String,
    object_key: Option<u32>,
    object_uuid: Option<Uuid>,
    changes: Vec<FieldChange>,
    details: Vec<EventDetail>,
}

/// The description of the store, as version 1 wrote it too.
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
    trail: Trail,
}

#[derive(Deserialize)]
struct Trail {
    first: u64,
    before: EventDigest,
    next: u64,
    head: EventDigest,
}

impl From<Event> for model::Event {
    /// Whatever it tells of, it stays in the chain that it is in.
    fn from(v2: Event) -> Self {
        let Event {
            sequence,
            previous,
            uuid,
            time,
            since,
            count,
            action,
            actor,
            application,
            object_kind,
            object_name,
            object_key,
            object_uuid,
            changes,
            details,
        } = v2;
        Self {
            trail: model::Trail::Changes,
            sequence,
            previous,
            uuid,
            time,
            since,
            count,
            action,
            actor,
            application,
            object_kind,
            object_name,
            object_key,
            object_uuid,
            changes,
            details,
        }
    }
}

impl From<Meta> for store::Meta {
    fn from(v2: Meta) -> Self {
        let Meta { revision, records, sum, counters, seeded } = v2;
        let Counters { next_number, next_object, trail: Trail { first, before, next, head } } = counters;
        let trails = Trails { changes: TrailState { first, before, next, head }, ..Trails::default() };
        let counters = store::Counters { next_number, next_object, trails, custom_octets: 0 };
        Self { revision, records, sum, counters, seeded, belief: None, incarnation: None, token_key: None }
    }
}
