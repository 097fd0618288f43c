//! The audit trail as a whole: read, verified, and shortened when its time is over.
//!
//! A walk through it may take long and be asked for by anybody who may read events. So few walk at a time, the others
//! wait their turn, and a walk ends soon after whoever asked for it has gone away.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Caller, ChangeError, Registry};
use crate::audit::{EventObject, ExpectedEvent, TrailReport, TrailVerifier};
use crate::config::Limit;
use crate::model::{Action, Actor, Event, EventDetail, Key, Permission, Record, Timestamp};
use crate::store::{Store, StoreError};

/// Which events are asked for. What is not said restricts nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventQuery {
    /// Only those with a sequence above this.
    pub after: Option<u64>,
    /// Only those with a sequence below this.
    pub before: Option<u64>,
    /// Only these actions; empty: all.
    pub actions: Vec<Action>,
    /// Only what this account did, by its name in any case.
    pub account: Option<String>,
    /// Only what was done with this token.
    pub token: Option<String>,
    /// Only what is about objects of this kind.
    pub object_kind: Option<String>,
    /// Only what is about the object of this name.
    pub object_name: Option<String>,
    /// Only what is about the object of this number.
    pub object_key: Option<u32>,
    /// Only what is about the object of this UUID.
    pub object_uuid: Option<Uuid>,
    /// Only what came from this address.
    pub source: Option<IpAddr>,
    /// Only what is about this application, by its slug.
    pub application: Option<String>,
    /// Only at or after this time.
    pub since: Option<Timestamp>,
    /// Only at or before this time.
    pub until: Option<Timestamp>,
    /// Only those in which this text stands, in any case: in names, values, addresses.
    pub text: Option<String>,
    /// The oldest first; otherwise the newest.
    pub oldest_first: bool,
    /// So many at most.
    pub limit: usize,
}

/// What was removed from the front of the trail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetiredEvents {
    /// Events whose time was over.
    pub too_old: u64,
    /// Events that were too many.
    pub too_many: u64,
    /// Whether there may be more to remove.
    pub is_more: bool,
}

impl RetiredEvents {
    /// How many there were.
    pub fn count(&self) -> u64 {
        self.too_old.saturating_add(self.too_many)
    }
}

impl Registry {
    /// Walks the whole trail and says whether anything was edited, removed, moved or added. `expected`, noted from the
    /// log or from an earlier report, tells as well whether everything was written anew.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn verify_events(&self, expected: Option<ExpectedEvent>) -> Result<TrailReport, ChangeError> {
        // Only the operator asks for it, so it waits for no turn.
        self.read_store(move |store, left| verify(store, expected, left)).await
    }

    /// The events that a query asks for, those of the last logins included.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn events(self: &Arc<Self>, query: EventQuery) -> Result<Vec<Event>, ChangeError> {
        self.flush_before_reading().await;
        self.walk(move |store, left| {
            let mut found = Vec::new();
            if query.limit > 0 {
                scan(store, &query, left, &mut |event| {
                    found.push(event);
                    found.len() < query.limit
                })?;
            }
            Ok(found)
        })
        .await
    }

    /// Hands each event that a query asks for, its limit left aside, to `step`, and gives what came of it. Logins that
    /// are still counted are not among them: see [`Registry::flush_logins_sometimes`].
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn fold_events<T, F>(
        self: &Arc<Self>,
        query: EventQuery,
        begin: T,
        step: F,
    ) -> Result<T, ChangeError>
    where
        T: Send + 'static,
        F: Fn(&mut T, Event) + Send + 'static,
    {
        self.walk(move |store, left| {
            let mut state = begin;
            scan(store, &query, left, &mut |event| {
                step(&mut state, event);
                true
            })?;
            Ok(state)
        })
        .await
    }

    /// The event with this sequence.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn event(&self, sequence: u64) -> Result<Option<Event>, ChangeError> {
        self.read_store(move |store, _| {
            Ok(match store.get(&Key::Event(sequence))? {
                Some(Record::Event(event)) => Some(event),
                _ => None,
            })
        })
        .await
    }

    /// The event with this UUID, its `pk` in the API.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn event_by_uuid(&self, uuid: Uuid) -> Result<Option<Event>, ChangeError> {
        self.walk(move |store, left| {
            let mut found = None;
            scan(store, &EventQuery::default(), left, &mut |event| {
                if event.uuid == uuid {
                    found = Some(event);
                }
                found.is_none()
            })?;
            Ok(found)
        })
        .await
    }

    /// Notes what somebody outside wants to have in the trail. The caller holds [`Permission::AddEvent`].
    ///
    /// # Errors
    /// The caller may not, or the store does not take it.
    pub async fn add_event(
        &self,
        caller: impl Into<Caller>,
        object: EventObject,
        details: Vec<EventDetail>,
    ) -> Result<Event, ChangeError> {
        self.change(caller, move |transaction| {
            transaction.require(Permission::AddEvent)?;
            transaction.note_with(Action::Custom, object, details)
        })
        .await
    }

    /// Removes the oldest events, those older than `retention` and those that are more than `events_max`, as many as
    /// fit into one change.
    ///
    /// # Errors
    /// The store cannot be read, or does not take the change.
    pub async fn retire_events(
        &self,
        retention: Duration,
        events_max: u64,
    ) -> Result<RetiredEvents, ChangeError> {
        let retired = self
            .change(super::nobody(), move |transaction| transaction.retire_events(retention, events_max))
            .await?;
        self.reached().add(Limit::event_retention, retired.too_old);
        self.reached().add(Limit::events_max, retired.too_many);
        Ok(retired)
    }

    /// Walks through the trail when it is its turn.
    async fn walk<T, F>(&self, walk: F) -> Result<T, ChangeError>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Store, &CancellationToken) -> Result<T, StoreError> + Send + 'static,
    {
        let turn = Arc::clone(&self.walks).acquire_owned().await.map_err(|_| ChangeError::ShuttingDown)?;
        self.read_store(move |store, left| {
            // It holds its turn until the thread is free, not only as long as somebody waits for it.
            let _turn = turn;
            walk(store, left)
        })
        .await
    }

    /// Reads on a thread that may wait for the disk; `read` is told when nobody waits for it any more.
    async fn read_store<T, F>(&self, read: F) -> Result<T, ChangeError>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Store, &CancellationToken) -> Result<T, StoreError> + Send + 'static,
    {
        let store = Arc::clone(&self.store);
        let left = CancellationToken::new();
        let _waits = left.clone().drop_guard();
        let read = tokio::task::spawn_blocking(move || read(&*store, &left)).await;
        read.map_err(|_| ChangeError::Panicked)?.map_err(|error| ChangeError::Store(Arc::new(error)))
    }
}

impl EventQuery {
    /// The newest events.
    #[cfg(test)]
    pub fn newest(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    fn asks_for(&self, event: &Event, text: Option<&str>) -> bool {
        let is = |asked: &Option<String>, value: &str| asked.as_deref().is_none_or(|asked| asked == value);
        self.after.is_none_or(|after| event.sequence > after)
            && self.before.is_none_or(|before| event.sequence < before)
            && (self.actions.is_empty() || self.actions.contains(&event.action))
            && self.account.as_ref().is_none_or(|name| same_name(name, &event.actor.account))
            && is(&self.token, event.actor.token.as_deref().unwrap_or_default())
            && is(&self.object_kind, &event.object_kind)
            && self.object_name.as_ref().is_none_or(|name| same_name(name, &event.object_name))
            && self.object_key.is_none_or(|key| event.object_key == Some(key))
            && self.object_uuid.is_none_or(|uuid| event.object_uuid == Some(uuid))
            && self.source.is_none_or(|source| event.actor.source == Some(source))
            && is(&self.application, event.application.as_deref().unwrap_or_default())
            && self.since.is_none_or(|since| event.time >= since)
            && self.until.is_none_or(|until| event.since.unwrap_or(event.time) <= until)
            && text.is_none_or(|text| stands_in(text, event))
    }
}

fn same_name(one: &str, other: &str) -> bool {
    one == other || one.to_lowercase() == other.to_lowercase()
}

/// Whether a text in lower case stands anywhere in an event.
fn stands_in(text: &str, event: &Event) -> bool {
    let has = |value: &str| value.to_lowercase().contains(text);
    let has_optional = |value: &Option<String>| value.as_deref().is_some_and(has);
    let Actor { account, token, source, request, .. } = &event.actor;
    has(event.action.as_str())
        || has(account)
        || has_optional(token)
        || source.is_some_and(|source| has(&source.to_string()))
        || request.is_some_and(|request| has(&request.to_string()))
        || has_optional(&event.application)
        || has(&event.object_kind)
        || has(&event.object_name)
        || event
            .changes
            .iter()
            .any(|change| has(&change.field) || has_optional(&change.before) || has_optional(&change.after))
        || event.details.iter().any(|detail| has(&detail.name) || has(&detail.value))
}

/// Hands all events that are asked for to `take`, until it says that it has enough, or nobody waits for it any more.
fn scan(
    store: &dyn Store,
    query: &EventQuery,
    left: &CancellationToken,
    take: &mut dyn FnMut(Event) -> bool,
) -> Result<(), StoreError> {
    let text = query.text.as_deref().map(str::to_lowercase);
    let mut after = query.after.unwrap_or(0);
    let mut before = query.before.unwrap_or(u64::MAX);
    loop {
        let piece = if query.oldest_first {
            store.events(after, EVENTS_READ_TOGETHER)?
        } else {
            store.events_before(before, EVENTS_READ_TOGETHER)?
        };
        let Some(last) = piece.last().map(|event| event.sequence) else { return Ok(()) };
        if left.is_cancelled() {
            return Ok(());
        }
        (after, before) = (last, last);
        let is_before = |since: Timestamp| piece.iter().all(|event| event.time.after(LATE_MAX) < since);
        let is_too_old = !query.oldest_first && query.since.is_some_and(is_before);
        for event in piece {
            if query.asks_for(&event, text.as_deref()) && !take(event) {
                return Ok(());
            }
        }
        let is_beyond = if query.oldest_first {
            query.before.is_some_and(|end| after.saturating_add(1) >= end)
        } else {
            query.after.is_some_and(|end| before <= end.saturating_add(1))
        };
        if is_beyond || is_too_old {
            return Ok(());
        }
    }
}

fn verify(
    store: &dyn Store,
    expected: Option<ExpectedEvent>,
    left: &CancellationToken,
) -> Result<TrailReport, StoreError> {
    let trail = store.meta().counters.trail;
    let mut verifier = TrailVerifier::new(trail, expected);
    let mut after: u64 = 0;
    while after.saturating_add(1) < trail.next && !left.is_cancelled() {
        let piece = store.events(after, EVENTS_READ_TOGETHER)?;
        let Some(last) = piece.last().map(|event| event.sequence) else { break };
        for event in &piece {
            if event.sequence > verifier.next() {
                // Perhaps the time of those before it was over while this was read.
                verifier.advance(&store.meta().counters.trail);
            }
            verifier.push(event);
        }
        after = last;
    }
    verifier.advance(&store.meta().counters.trail);
    // Read before the end is asked for: what was committed in between is no stranger.
    let newest = store.events_before(u64::MAX, 1)?;
    let next = store.meta().counters.trail.next;
    newest
        .iter()
        .filter(|event| event.sequence >= next)
        .for_each(|event| verifier.added_behind(event.sequence));
    Ok(verifier.finish())
}

/// Events that are in memory at a time.
const EVENTS_READ_TOGETHER: usize = 512;

/// So much later than it happened something may stand in the trail: logins are counted for a while, and on while the
/// disk is full. A walk back to a time ends when a whole piece is earlier than that by more than this.
const LATE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Walks through the trail at a time: each keeps changes waiting while a piece is read.
pub(super) const WALKS_MAX: usize = 2;

#[cfg(test)]
mod tests;
