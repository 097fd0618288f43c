//! The audit trail as a whole: its four trails read side by side, verified, and shortened when their time is over.
//!
//! A walk through them may take long and be asked for by anybody who may read events. So few walk at a time, the others
//! wait their turn, and a walk ends soon after whoever asked for it has gone away.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::search_words::SearchWords;
use super::{Caller, ChangeError, Registry};
use crate::audit::{AuditReport, EventObject, ExpectedEvent, TrailReport, TrailVerifier};
use crate::config::Limit;
use crate::model::{
    Action, Actor, Event, EventDetail, EventPlace, Key, Permission, Record, Timestamp, Trail,
};
use crate::store::{Store, StoreError};

/// Which events are asked for. What is not said restricts nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventQuery {
    /// Only those of these trails; empty: of all.
    pub trails: Vec<Trail>,
    /// Only those that happened after this one, and those that stand behind it in its trail.
    pub after: Option<EventPlace>,
    /// Only those that happened before this one, and those that stand before it in its trail.
    pub before: Option<EventPlace>,
    /// Only these actions; empty: all.
    pub actions: Vec<Action>,
    /// Only what this account did, by its name in any case.
    pub account: Option<String>,
    /// Only what this account did, or what was done to it.
    pub concerning: Option<String>,
    /// Only what was done with this token.
    pub token: Option<String>,
    /// Only what is about objects of these kinds; empty: all.
    pub object_kinds: Vec<String>,
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
    /// Only those in which every word of this text stands, in any case: in names, values, addresses.
    pub text: Option<String>,
    /// The oldest first; otherwise the newest.
    pub oldest_first: bool,
    /// So many at most.
    pub limit: usize,
}

/// What callers may add to the audit trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CustomEventBounds {
    /// Events of one account within a minute.
    pub by_account_max: u32,
    /// Octets of what one of them says.
    pub size_max: u64,
    /// Octets of all that are kept.
    pub kept_size_max: u64,
}

impl Default for CustomEventBounds {
    fn default() -> Self {
        Self { by_account_max: 60, size_max: 16 * 1024, kept_size_max: 256 * 1024 * 1024 }
    }
}

/// What was removed from the fronts of the trails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetiredEvents {
    /// Events whose time was over.
    pub too_old: u64,
    /// Events that were too many.
    pub too_many: u64,
    /// Custom events that were too large together.
    pub too_large: u64,
    /// Whether there may be more to remove.
    pub is_more: bool,
}

impl RetiredEvents {
    /// How many there were.
    pub fn count(&self) -> u64 {
        self.too_old.saturating_add(self.too_many).saturating_add(self.too_large)
    }
}

impl Registry {
    /// Walks all trails and says whether anything was edited, removed, moved or added. `expected`, noted from the log or
    /// from an earlier report, tells as well whether everything was written anew.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn verify_events(
        &self,
        expected: impl IntoIterator<Item = ExpectedEvent>,
    ) -> Result<AuditReport, ChangeError> {
        let expected: Vec<ExpectedEvent> = expected.into_iter().collect();
        // Only the operator asks for it, so it waits for no turn.
        self.read_store(move |store, left| {
            let trails = Trail::ALL.into_iter().map(|trail| verify(store, trail, &expected, left));
            Ok(AuditReport { trails: trails.collect::<Result<_, _>>()? })
        })
        .await
    }

    /// The events that a query asks for, in the order in which they happened, those of the last logins included.
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

    /// The event in this place.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn event(&self, place: EventPlace) -> Result<Option<Event>, ChangeError> {
        self.read_store(move |store, _| {
            Ok(match store.get(&Key::Event(place))? {
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
    /// The caller may not, or not so often; it is too large, or the store does not take it.
    pub async fn add_event(
        &self,
        caller: impl Into<Caller>,
        object: EventObject,
        details: Vec<EventDetail>,
    ) -> Result<Event, ChangeError> {
        let CustomEventBounds { by_account_max, size_max, .. } = self.custom_events;
        let said = details.iter().map(|detail| detail.name.len().saturating_add(detail.value.len()));
        let octets = said.fold(object.name.len(), usize::saturating_add);
        if octets as u64 > size_max {
            self.reached().note(Limit::custom_event_size_max);
            let sentence = format!("an event says {octets} octets, of at most {size_max}");
            let is_name = object.name.len() > octets / 2;
            return Err(ChangeError::field(if is_name { "app" } else { "context" }, sentence));
        }
        let rate = Arc::clone(&self.custom_rate);
        let added = self.change(caller, move |transaction| {
            transaction.require(Permission::AddEvent)?;
            // What is not added counts for nobody.
            transaction.caller().require_not_refused()?;
            // The operator is no account.
            if let Some(account) = transaction.caller().holder().map(|holder| holder.account) {
                let admitted = rate.admit(&account.get());
                admitted.map_err(|wait| {
                    let what = format!("added {by_account_max} events to the audit trail within a minute");
                    ChangeError::TooOften { what, wait }
                })?;
            }
            transaction.note_with(Action::Custom, object, details)
        });
        added.await.inspect_err(|error| {
            if matches!(error, ChangeError::TooOften { .. }) {
                self.reached().note(Limit::custom_events_by_account_max);
            }
        })
    }

    /// Removes the oldest events of each trail, those older than `retention`, those that are more than `events_max`, and of
    /// custom events those that are too large together, as many as fit into one change.
    ///
    /// # Errors
    /// The store cannot be read, or does not take the change.
    pub async fn retire_events(
        &self,
        retention: Duration,
        events_max: u64,
    ) -> Result<RetiredEvents, ChangeError> {
        let custom_octets_max = self.custom_events.kept_size_max;
        let retired = self
            .change(super::nobody(), move |transaction| {
                transaction.retire_events(retention, events_max, custom_octets_max)
            })
            .await?;
        self.reached().add(Limit::event_retention, retired.too_old);
        self.reached().add(Limit::events_max, retired.too_many);
        self.reached().add(Limit::custom_events_size_max, retired.too_large);
        Ok(retired)
    }

    /// Walks through the trail when it is its turn.
    async fn walk<T, F>(&self, walk: F) -> Result<T, ChangeError>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Store, &CancellationToken) -> Result<T, StoreError> + Send + 'static,
    {
        let turn = Arc::clone(&self.walks).try_acquire_owned();
        let turn = match turn {
            Ok(turn) => turn,
            Err(_) => {
                self.reached().note(Limit::trail_walks_max);
                Arc::clone(&self.walks).acquire_owned().await.map_err(|_| ChangeError::ShuttingDown)?
            }
        };
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

    fn asks_for(&self, event: &Event, words: &SearchWords) -> bool {
        let is = |asked: &Option<String>, value: &str| asked.as_deref().is_none_or(|asked| asked == value);
        (self.trails.is_empty() || self.trails.contains(&event.trail))
            && (self.actions.is_empty() || self.actions.contains(&event.action))
            && self.account.as_ref().is_none_or(|name| same_name(name, &event.actor.account))
            && self.concerning.as_ref().is_none_or(|name| {
                same_name(name, &event.actor.account)
                    || event.object_kind == "account" && same_name(name, &event.object_name)
            })
            && is(&self.token, event.actor.token.as_deref().unwrap_or_default())
            && (self.object_kinds.is_empty() || self.object_kinds.contains(&event.object_kind))
            && self.object_name.as_ref().is_none_or(|name| same_name(name, &event.object_name))
            && self.object_key.is_none_or(|key| {
                event.object_key == Some(key)
                    || has_replaced(event, EventDetail::REPLACED_NUMBER, &key.to_string())
            })
            && self.object_uuid.is_none_or(|uuid| {
                event.object_uuid == Some(uuid)
                    || has_replaced(event, EventDetail::REPLACED_UUID, &uuid.to_string())
            })
            && self.source.is_none_or(|source| event.actor.source == Some(source))
            && is(&self.application, event.application.as_deref().unwrap_or_default())
            && self.since.is_none_or(|since| event.time >= since)
            && self.until.is_none_or(|until| event.since.unwrap_or(event.time) <= until)
            && words.stand_in(texts_of(event))
    }
}

/// Whether an event is of a rotation that has ended the token of this number or UUID.
fn has_replaced(event: &Event, name: &str, value: &str) -> bool {
    event.action == Action::SecretRotate
        && event.details.iter().any(|detail| detail.name == name && detail.value == value)
}

fn same_name(one: &str, other: &str) -> bool {
    one == other || one.to_lowercase() == other.to_lowercase()
}

/// All that an event says, which is searched.
fn texts_of(event: &Event) -> impl Iterator<Item = Cow<'_, str>> {
    let Actor { account, token, source, request, .. } = &event.actor;
    let of_actor = [Some(account), token.as_ref()].into_iter().flatten();
    let names = of_actor.chain(&event.application).chain([&event.object_kind, &event.object_name]);
    let changes = event.changes.iter().flat_map(|change| {
        [Some(&change.field), change.before.as_ref(), change.after.as_ref()].into_iter().flatten()
    });
    let details = event.details.iter().flat_map(|detail| [&detail.name, &detail.value]);
    let kept = names.chain(changes).chain(details).map(|text| Cow::Borrowed(text.as_str()));
    let made = [source.map(|source| source.to_string()), request.map(|request| request.to_string())];
    let made = made.into_iter().flatten().map(Cow::Owned);
    kept.chain(made).chain([Cow::Borrowed(event.action.as_str())])
}

/// Hands all events that are asked for to `take`, in the order in which they happened, until it says that it has enough,
/// or nobody waits for it any more. Those of one trail keep the order in which they stand there.
fn scan(
    store: &dyn Store,
    query: &EventQuery,
    left: &CancellationToken,
    take: &mut dyn FnMut(Event) -> bool,
) -> Result<(), StoreError> {
    let words = SearchWords::of(query.text.as_deref().unwrap_or_default());
    let mut walk = Walk::new(store, query);
    while let Some(event) = walk.next(left)? {
        if query.asks_for(&event, &words) && !take(event) {
            break;
        }
    }
    Ok(())
}

/// A walk through several trails at the same time.
struct Walk<'a> {
    store: &'a dyn Store,
    cursors: Vec<Cursor>,
    /// The newest come first.
    is_back: bool,
    /// Who walks back to a time need not go further than this.
    since: Option<Timestamp>,
    /// Nothing is wanted before this one was passed.
    begin: Option<EventPlace>,
    /// Nothing is wanted from this one on.
    end: Option<EventPlace>,
}

/// Where a walk is in one trail.
struct Cursor {
    trail: Trail,
    /// The event that was read last, or what stands for the one before the first.
    last: u64,
    /// What was read and not yet walked over, the next one at the end.
    piece: Vec<Event>,
    /// There is nothing more to read.
    is_over: bool,
}

impl<'a> Walk<'a> {
    fn new(store: &'a dyn Store, query: &EventQuery) -> Self {
        let is_back = !query.oldest_first;
        let (begin, end) = if is_back { (query.before, query.after) } else { (query.after, query.before) };
        let mut trails: BTreeSet<Trail> = query.trails.iter().copied().collect();
        if trails.is_empty() {
            trails.extend(Trail::ALL);
        }
        // Where it begins and ends is seen in their own trails.
        trails.extend(begin.iter().chain(&end).map(|place| place.trail));
        let last = if is_back { u64::MAX } else { 0 };
        let cursor = |trail| Cursor { trail, last, piece: Vec::new(), is_over: false };
        let cursors = trails.into_iter().map(cursor).collect();
        Self { store, cursors, is_back, since: query.since.filter(|_| is_back), begin, end }
    }

    /// The next event; `None`: there is none, or nobody waits for it any more.
    fn next(&mut self, left: &CancellationToken) -> Result<Option<Event>, StoreError> {
        loop {
            for cursor in &mut self.cursors {
                if cursor.piece.is_empty() && !cursor.is_over {
                    if left.is_cancelled() {
                        return Ok(None);
                    }
                    cursor.read(self.store, self.is_back, self.since)?;
                }
            }
            if self.end.is_some_and(|end| self.has_come_to(end)) {
                return Ok(None);
            }
            let is_wanted = self.begin.is_none_or(|begin| self.has_passed(begin));
            let heads = self.cursors.iter_mut().filter(|cursor| !cursor.piece.is_empty());
            // Of the same second, changes are the last.
            let at = |cursor: &Cursor| (cursor.piece.last().map(|event| event.time), Reverse(cursor.trail));
            let next = if self.is_back {
                heads.max_by_key(|cursor| at(cursor))
            } else {
                heads.min_by_key(|cursor| at(cursor))
            };
            let Some(event) = next.and_then(|cursor| cursor.piece.pop()) else { return Ok(None) };
            if is_wanted {
                return Ok(Some(event));
            }
        }
    }

    /// Whether the next event of its trail is this one or one behind it. Where there is none any more, it was passed on the
    /// way back, and is still to be written on the way forth.
    fn has_come_to(&self, place: EventPlace) -> bool {
        self.next_of(place.trail).map_or(self.is_back, |next| {
            if self.is_back { next <= place.sequence } else { next >= place.sequence }
        })
    }

    /// Whether the next event of its trail is one behind this one; also when there is none any more.
    fn has_passed(&self, place: EventPlace) -> bool {
        self.next_of(place.trail)
            .is_none_or(|next| if self.is_back { next < place.sequence } else { next > place.sequence })
    }

    fn next_of(&self, trail: Trail) -> Option<u64> {
        let cursor = self.cursors.iter().find(|cursor| cursor.trail == trail)?;
        cursor.piece.last().map(|event| event.sequence)
    }
}

impl Cursor {
    fn read(&mut self, store: &dyn Store, is_back: bool, since: Option<Timestamp>) -> Result<(), StoreError> {
        self.piece = if is_back {
            store.events_before(self.trail, self.last, EVENTS_READ_TOGETHER)?
        } else {
            store.events(self.trail, self.last, EVENTS_READ_TOGETHER)?
        };
        let is_before = |since: Timestamp| self.piece.iter().all(|event| event.time.after(LATE_MAX) < since);
        self.is_over = self.piece.len() < EVENTS_READ_TOGETHER || since.is_some_and(is_before);
        self.last = self.piece.last().map_or(self.last, |event| event.sequence);
        self.piece.reverse();
        Ok(())
    }
}

fn verify(
    store: &dyn Store,
    trail: Trail,
    expected: &[ExpectedEvent],
    left: &CancellationToken,
) -> Result<TrailReport, StoreError> {
    let state = || store.meta().counters.trails.of(trail);
    let begun = state();
    let mut verifier = TrailVerifier::new(trail, begun, expected);
    let mut after: u64 = 0;
    while after.saturating_add(1) < begun.next && !left.is_cancelled() {
        let piece = store.events(trail, after, EVENTS_READ_TOGETHER)?;
        let Some(last) = piece.last().map(|event| event.sequence) else { break };
        for event in &piece {
            if event.sequence > verifier.next() {
                // Perhaps the time of those before it was over while this was read.
                verifier.advance(&state());
            }
            verifier.push(event);
        }
        after = last;
    }
    verifier.advance(&state());
    // Read before the end is asked for: what was committed in between is no stranger.
    let newest = store.events_before(trail, u64::MAX, 1)?;
    let next = state().next;
    newest
        .iter()
        .filter(|event| event.sequence >= next)
        .for_each(|event| verifier.added_behind(event.sequence));
    Ok(verifier.finish())
}

/// Events of one trail that are in memory at a time.
const EVENTS_READ_TOGETHER: usize = 512;

/// So much later than it happened something may stand in the trail: logins are counted for a while, and on while the
/// disk is full. A walk back to a time ends when a whole piece is earlier than that by more than this.
/// No limit of the config: it bounds no work, but tells where a walk may end.
const LATE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests;
