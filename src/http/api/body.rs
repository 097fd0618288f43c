//! The body of a call: how much of it is taken, how many values it may have, the memory that it holds, and which thread reads it.
//!
//! What it can cost is bounded before anything is made of it. Its octets count as they come; room for it, and for what it may
//! say at most, is waited for before it comes, while it holds nothing that others wait for; its values are counted before the
//! first of them is kept; and only a small one is read and looked at on a thread of the network, which is LDAP's too.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use axum::body::{Body, HttpBody as _};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use http_body_util::BodyExt as _;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use tokio::task::spawn_blocking;

use super::Api;
use super::refusal::{CallRefusal, joined};
use super::waiting::WaitsForRoom;
use crate::config::Limit;
use crate::http::HERE_OCTETS_MAX;
use crate::net::{self, MemoryHolder, MemoryHolders, Share};
use crate::registry::Caller;

/// A body that has come, and what it counts.
pub(super) struct Received {
    pub(super) octets: Vec<u8>,
    share: Share<MemoryHolder>,
}

/// What a body that was read counts, until nobody has any more of it.
pub(super) type Held = Arc<Share<MemoryHolder>>;

/// Takes the body of a call, in the name of these; `is_taken`: the call takes one, else what there is of it is read to be refused.
/// What its header says is wrong is refused before it is sent: a client that asks whether it may (`Expect: 100-continue`) is
/// told to only when something is read of it.
///
/// # Errors
/// It is too large, not JSON, or does not come to its end.
pub(super) async fn receive(
    api: &Api,
    holders: MemoryHolders,
    waits: &WaitsForRoom,
    headers: &HeaderMap,
    is_taken: bool,
    mut body: Body,
) -> Result<Received, CallRefusal> {
    let octets_max = if is_taken { api.bounds.body_octets_max } else { NO_BODY_OCTETS_MAX };
    let too_large = || {
        if !is_taken {
            return CallRefusal::invalid("this call takes no body");
        }
        api.registry.reached().note(Limit::http_body_size_max);
        CallRefusal::too_large(octets_max)
    };
    waits.set_body_to_come(true);
    // So many, or nobody has said how many.
    let octets_min = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if octets_min > octets_max {
        return Err(too_large());
    }
    let is_json = is_json(headers);
    if octets_min > 0 && !is_json {
        return Err(CallRefusal::not_json());
    }
    let mut share = api.bounds.body_memory.share(holders);
    let mut expected = octets_min.max(HERE_OCTETS_MAX);
    if octets_min > HERE_OCTETS_MAX {
        hold(api, &mut share, cost_max(api, octets_min), waits).await;
    }
    let mut octets = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| CallRefusal::invalid("the body ended before its end"))?;
        let Ok(piece) = frame.into_data() else { continue };
        let length = octets.len().saturating_add(piece.len());
        if length > octets_max {
            return Err(too_large());
        }
        if length > expected {
            expected = octets_max;
            hold(api, &mut share, cost_max(api, expected), waits).await;
        }
        if length > octets.capacity() {
            // Never more than there was room made for.
            let capacity = octets.capacity().saturating_mul(2).min(expected).max(length);
            octets.reserve_exact(capacity - octets.len());
        }
        octets.extend_from_slice(&piece);
    }
    waits.set_body_to_come(false);
    if is_json || octets.is_empty() { Ok(Received { octets, share }) } else { Err(CallRefusal::not_json()) }
}

impl Received {
    /// Hands it on to whoever reads it and does what it asks for: a small one here, a larger one on a thread that may take its
    /// time, in the caller's turn. There `begin` is carried out as far as it does not wait for anything: to look at what was read,
    /// to refuse it and to forget it takes its time too.
    ///
    /// # Errors
    /// It has too many values, or what `begin` says.
    pub(super) async fn begin<T, F>(
        self,
        api: &Api,
        caller: &Caller,
        waits: &WaitsForRoom,
        begin: impl FnOnce(Vec<u8>, Held) -> F + Send + 'static,
    ) -> Result<T, CallRefusal>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, CallRefusal>> + Send + 'static,
    {
        let Self { octets, mut share } = self;
        if octets.len() <= HERE_OCTETS_MAX {
            let values = counted_values(api, &octets)?;
            hold(api, &mut share, cost(octets.len(), values), waits).await;
            return begin(octets, Arc::new(share)).await;
        }
        let turn = api.turn_to_read(caller).await?;
        let api = api.clone();
        let begun = spawn_blocking(move || {
            let _turn = turn;
            let values = counted_values(&api, &octets)?;
            // Less always fits.
            let _ = share.set(cost(octets.len(), values).min(share.octets()));
            let mut doing = Box::pin(begin(octets, Arc::new(share)));
            // Nobody is woken: it is asked again at once.
            match doing.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(done) => Ok(Begun::Done(done?)),
                Poll::Pending => Ok(Begun::Waiting(doing)),
            }
        });
        let begun: Result<_, CallRefusal> = joined(begun.await)?;
        match begun? {
            Begun::Done(done) => Ok(done),
            Begun::Waiting(doing) => doing.await,
        }
    }
}

/// What has become of something that was begun.
enum Begun<T, F> {
    Done(T),
    Waiting(F),
}

/// How much comes of a body, whoever sends it.
#[cfg(test)]
pub(in crate::http) async fn length_of_body(
    api: &Api,
    headers: &HeaderMap,
    body: Body,
) -> Result<usize, CallRefusal> {
    let holders = MemoryHolder::all(None, None, false);
    Ok(receive(api, holders, &WaitsForRoom::default(), headers, true, body).await?.octets.len())
}

/// Holds so much, and waits until there is room for it. One that is alone always finds some: see [`values_max`].
async fn hold(api: &Api, share: &mut Share<MemoryHolder>, octets: u64, waits: &WaitsForRoom) {
    if share.set(octets) {
        return;
    }
    api.registry.reached().note(Limit::http_body_memory_max);
    waits.set(true);
    share.wait_for(octets).await;
    waits.set(false);
}

/// Octets of memory that a body counts with what it says.
fn cost(octets: usize, values: usize) -> u64 {
    net::counted(octets.saturating_add(values.saturating_mul(VALUE_OCTETS)), STEP_OCTETS)
}

/// The same of one of so many octets, whatever it will say.
fn cost_max(api: &Api, octets: usize) -> u64 {
    cost(octets, octets.saturating_mul(VALUES_OF_AN_OCTET_MAX).min(api.bounds.body_values_max))
}

/// How many values a body of so many octets may have at most, of which no more than so much memory is counted.
pub(super) fn values_max(octets: usize, memory: u64) -> usize {
    let left = memory.saturating_sub((octets.saturating_add(STEP_OCTETS)) as u64);
    usize::try_from(left).unwrap_or(usize::MAX) / VALUE_OCTETS
}

/// How many values a body has.
fn counted_values(api: &Api, octets: &[u8]) -> Result<usize, CallRefusal> {
    let values_max = api.bounds.body_values_max;
    values(octets, values_max).ok_or_else(|| {
        api.registry.reached().note(Limit::http_body_values_max);
        CallRefusal::too_many_values(values_max)
    })
}

/// How many values JSON has, its keys among them, an object with any as [`VALUES_OF_AN_OBJECT`]; `None`: more than `max`. Nothing
/// is kept of it. Where it is none, those before that are counted: nobody reads further.
fn values(json: &[u8], max: usize) -> Option<usize> {
    let values = Cell::new(0);
    // What is wrong with it is told by who reads it.
    let _ = Counting { values: &values, max }.deserialize(&mut serde_json::Deserializer::from_slice(json));
    (values.get() <= max).then_some(values.get())
}

/// Counts a value, or a key, and what is in it.
#[derive(Clone, Copy)]
struct Counting<'v> {
    values: &'v Cell<usize>,
    max: usize,
}

impl Counting<'_> {
    fn count<E: Error>(self, more: usize) -> Result<(), E> {
        let values = self.values.get().saturating_add(more);
        self.values.set(values);
        if values > self.max { Err(E::custom("there are too many")) } else { Ok(()) }
    }
}

impl<'de> DeserializeSeed<'de> for Counting<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Counting<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.count(1)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.count(1)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.count(1)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.count(1)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.count(1)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.count(1)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.count(1)?;
        while items.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        self.count(1)?;
        let mut is_empty = true;
        while entries.next_key_seed(self)?.is_some() {
            if std::mem::take(&mut is_empty) {
                self.count(VALUES_OF_AN_OBJECT - 1)?;
            }
            entries.next_value_seed(self)?;
        }
        Ok(())
    }
}

/// Whether the body is said to be JSON, with whatever parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/json")
}

/// What a value takes in memory beside its text: a place in a list that may have room for twice as many, and a text of its own.
const VALUE_OCTETS: usize = 64;
/// As many values an object is worth: with one key it has room for eleven.
const VALUES_OF_AN_OBJECT: usize = 10;
/// No JSON has more of them than this for each octet: `{"":` is an object in another, and its key.
/// No limit of the config: the form of JSON gives it.
const VALUES_OF_AN_OCTET_MAX: usize = 3;
/// What a call that takes no body is read for: an empty object, or fields that it has not.
/// No limit of the config: there is nothing to say in more.
const NO_BODY_OCTETS_MAX: usize = 1024;
/// Memory is counted by steps of so many octets.
const STEP_OCTETS: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::bounds::Bounds;
    use super::super::call::Door;
    use super::*;
    use crate::config::Limits;

    /// Whatever stands in the config, the largest body counts all that it takes.
    #[test]
    fn the_largest_body_has_room_when_it_is_alone() {
        const MIB: u64 = 1 << 20;
        for memory in [16 * MIB, 17 * MIB, 256 * MIB, 1024 << 30] {
            for size in [1 << 10, MIB, 64 * MIB] {
                for values in [1_000, 200_000, 10_000_000] {
                    let limits = Limits {
                        http_body_memory_max: memory,
                        http_body_size_max: size,
                        http_body_values_max: values,
                        ..Limits::default()
                    };
                    let bounds = Bounds::new(&limits, Door::Public);
                    let most = cost(bounds.body_octets_max, bounds.body_values_max);
                    assert!(most <= bounds.body_memory.alone_max(), "{memory} {size} {values}: {most}");
                    assert!(
                        bounds.body_values_max >= 1_000 && bounds.body_octets_max as u64 >= size.min(MIB)
                    );
                }
            }
        }
    }

    #[test]
    fn values_are_counted_without_being_kept() {
        for (json, expected) in [
            ("", 0),
            ("{}", 1),
            ("[]", 1),
            ("\"a\\u0041\"", 1),
            ("[1, -1, 1.5, 1e400, 1]", 4),
            ("[null, true, \"\", 18446744073709551616]", 5),
            ("{\"a\": 1}", 12),
            ("{\"a\": 1, \"a\": [2]}", 15),
            ("{\"attributes\": {\"a\": [{\"base64\": \"\"}]}}", 11 + 11 + 1 + 12),
            // What follows is not looked at, by whoever reads it either.
            ("[1, 2, nothing, 3]", 3),
            ("[1, 2] 3", 3),
        ] {
            assert_eq!(values(json.as_bytes(), 100), Some(expected), "{json}");
            assert_eq!(values(json.as_bytes(), expected), Some(expected), "{json}");
            if expected > 0 {
                assert_eq!(values(json.as_bytes(), expected - 1), None, "{json}");
            }
        }
    }

    /// However little a body says in an octet, it costs no more than what room is made for before it comes.
    #[test]
    fn no_octet_says_more_than_was_expected() {
        let deep = |depth: usize| "{\"\":".repeat(depth) + "0" + &"}".repeat(depth);
        let many: Vec<String> = vec![deep(120); 50];
        for json in [deep(1), deep(120), format!("[{}]", many.join(",")), "[{\"\":0},{\"\":0}]".to_owned()] {
            let counted = values(json.as_bytes(), usize::MAX).unwrap_or(usize::MAX);
            assert!(counted > json.len(), "{json}");
            assert!(counted <= json.len() * VALUES_OF_AN_OCTET_MAX, "{json}");
        }
        // A node of the map of an object has eleven entries, in a list that grows a value has two places.
        let entry = size_of::<(String, Value)>();
        assert!(11 * entry <= (VALUES_OF_AN_OBJECT + 2) * VALUE_OCTETS);
        assert!(2 * size_of::<Value>() <= VALUE_OCTETS);
    }
}
