//! How large an answer may be, and the memory that answers hold until their clients have taken them: a limit of each, and of
//! all one [`Budget`], shared by account and by source. Who finds no room in it waits for some ([`super::waiting`]).
//!
//! A list is written object by object, so that only its text and one object are held at a time.

use std::convert::Infallible;
use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{StatusCode, header};
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use schemars::JsonSchema;
use serde::Serialize;

use super::Api;
use super::call::memory_holders;
use super::page::Page;
use super::refusal::CallRefusal;
use super::route::{Answer, SchemaOf};
use crate::config::Limit;
use crate::net::{self, Budget, MemoryHolder, MemoryHolders, Share};
use crate::registry::{Caller, Registry};

/// What one answer may hold.
pub(super) struct Room {
    registry: Arc<Registry>,
    octets_max: usize,
    memory: Arc<Budget<MemoryHolder>>,
    holders: MemoryHolders,
    made: Mutex<Made>,
}

/// What is made of the answer so far, as it is counted.
struct Made {
    /// Octets of what is held of all that was found, until it is in order.
    found: usize,
    /// Octets of what it is made from, as far as they were counted.
    objects: usize,
    /// Octets of its text.
    text: usize,
    share: Share<MemoryHolder>,
    /// So much is held whatever there is: it was waited for.
    least: u64,
    /// Whether what does not fit is left out, and the answer refused.
    is_bounded: bool,
    lack: Option<Lack>,
}

/// What an answer has too little of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lack {
    Size,
    /// So many octets would have to be free.
    Memory(u64),
    /// What was found would take more than one alone may ever have.
    Found,
}

impl Room {
    /// For the answer to this caller.
    pub(super) fn new(api: &Api, caller: &Caller) -> Arc<Self> {
        let holders = memory_holders(caller);
        Self::within(api, holders, api.bounds.answer_memory.share(holders))
    }

    fn within(api: &Api, holders: MemoryHolders, share: Share<MemoryHolder>) -> Arc<Self> {
        let made = Made {
            found: 0,
            objects: 0,
            text: 0,
            least: share.octets(),
            share,
            is_bounded: true,
            lack: None,
        };
        Arc::new(Self {
            registry: Arc::clone(&api.registry),
            octets_max: api.bounds.answer_octets_max,
            memory: Arc::clone(&api.bounds.answer_memory),
            holders,
            made: Mutex::new(made),
        })
    }

    /// Waits until there is as much room as an answer lacked, and gives it to the same answer, made anew; lacks it more then, it
    /// is given all that an answer may ever hold, so that none is made more than three times. What it held is given back first.
    /// `None`: it lacked no room.
    pub(super) async fn enough(self: Arc<Self>, api: &Api) -> Option<Arc<Self>> {
        let (lacked, least, found) = {
            let made = self.made();
            let Some(Lack::Memory(lacked)) = made.lack else { return None };
            (lacked, made.least, made.found)
        };
        // Objects and text, and no more than there can be.
        let whole = if found == 0 { counted(self.octets_max).saturating_mul(2) } else { u64::MAX };
        let whole = whole.min(self.memory.alone_max());
        let wanted = if least == 0 { lacked.min(whole) } else { whole };
        if least >= wanted {
            return None;
        }
        let holders = self.holders;
        drop(self);
        let mut share = api.bounds.answer_memory.share(holders);
        share.wait_for(wanted).await;
        Some(Self::within(api, holders, share))
    }

    /// Whether what does not fit is left out and the answer refused, from now on.
    ///
    /// The answer to a change that was made is not refused: what it takes counts whether or not there is room, and readers wait
    /// until it is given back. Room is not asked for before the change: what its answer takes is known behind it, and whoever
    /// closes an account in a hurry would wait for those who do not read. It is an object on each connection at most, of who may
    /// change something.
    pub(super) fn bound(&self, is_bounded: bool) {
        let mut made = self.made();
        made.is_bounded = is_bounded;
        made.lack = None;
    }

    /// Counts something that the answer is made from; says whether it may be made. Where not, the answer will be refused.
    pub(super) fn hold(&self, octets: usize) -> bool {
        let mut made = self.made();
        let (objects, text) = (made.objects.saturating_add(octets), made.text);
        made.lack.is_none() && made.set(objects, text, objects, self.octets_max).is_ok()
    }

    /// Counts what is held of all that was found for the answer, in the place of what was counted of it before: it is no part of
    /// the answer, and has no other bound than memory.
    ///
    /// # Errors
    /// There is no room for it. For less there always is.
    pub(super) fn keep(&self, octets: usize) -> Result<(), CallRefusal> {
        let mut made = self.made();
        let before = std::mem::replace(&mut made.found, octets);
        let (objects, text) = (made.objects, made.text);
        let Err(lack) = made.count(objects, text) else { return Ok(()) };
        made.found = before;
        let lack = match lack {
            Lack::Memory(octets) if octets > self.memory.alone_max() => Lack::Found,
            lack => lack,
        };
        made.lack = made.lack.or(Some(lack));
        drop(made);
        Err(self.refused(lack))
    }

    /// Octets that were counted, for [`Self::let_go`].
    pub(super) fn held(&self) -> usize {
        self.made().objects
    }

    /// Holds again what it held before.
    pub(super) fn let_go(&self, before: usize) {
        let mut made = self.made();
        let text = made.text;
        // Less always fits.
        let _ = made.count(before, text);
    }

    /// Whether something was left out.
    pub(super) fn is_exceeded(&self) -> bool {
        self.made().lack.is_some()
    }

    /// Says that the answer is whole so far.
    ///
    /// # Errors
    /// Something was left out.
    pub(super) fn check(&self) -> Result<(), CallRefusal> {
        let lack = self.made().lack;
        lack.map_or(Ok(()), |lack| Err(self.refused(lack)))
    }

    /// Makes room for a text of so many octets, at least twice as many as there was room for; says for how many there is now.
    fn grow(&self, octets: usize, before: usize) -> Result<usize, Lack> {
        let mut made = self.made();
        let octets_max = if made.is_bounded { self.octets_max } else { usize::MAX };
        let capacity = before.saturating_mul(2).max(STEP_OCTETS).min(octets_max).max(octets);
        let objects = made.objects;
        made.set(objects, capacity, octets, self.octets_max).map(|()| capacity)
    }

    /// Hands over what a text that is whole holds; what it was made from is counted no more.
    fn hand_over(&self, octets: usize) -> Share<MemoryHolder> {
        let mut made = self.made();
        (made.least, made.found) = (0, 0);
        let _ = made.count(0, octets);
        std::mem::replace(&mut made.share, self.memory.share(self.holders))
    }

    fn refused(&self, lack: Lack) -> CallRefusal {
        match lack {
            Lack::Size => {
                self.registry.reached().note(Limit::http_answer_size_max);
                CallRefusal::answer_too_large(self.octets_max)
            }
            Lack::Memory(_) => {
                self.registry.reached().note(Limit::http_answer_memory_max);
                CallRefusal::no_memory()
            }
            Lack::Found => {
                self.registry.reached().note(Limit::http_answer_memory_max);
                CallRefusal::too_long_for_order()
            }
        }
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        // Nothing that holds the lock can leave it half changed.
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Made {
    /// Counts this, if `size` is within `size_max`.
    fn set(&mut self, objects: usize, text: usize, size: usize, size_max: usize) -> Result<(), Lack> {
        let fits =
            if self.is_bounded && size > size_max { Err(Lack::Size) } else { self.count(objects, text) };
        // What was left out once is missing, whatever fits behind it.
        self.lack = self.lack.or(fits.err());
        fits
    }

    fn count(&mut self, objects: usize, text: usize) -> Result<(), Lack> {
        let octets = counted(self.found)
            .saturating_add(counted(objects))
            .saturating_add(counted(text))
            .max(self.least);
        if !self.share.set(octets) {
            if self.is_bounded {
                return Err(Lack::Memory(octets));
            }
            self.share.force(octets);
        }
        (self.objects, self.text) = (objects, text);
        Ok(())
    }
}

/// The text of an answer, which counts until it is sent.
pub(super) struct Text {
    room: Arc<Room>,
    octets: Vec<u8>,
}

impl Text {
    /// Nothing yet.
    pub(super) fn new(room: &Arc<Room>) -> Self {
        Self { room: Arc::clone(room), octets: Vec::new() }
    }

    /// Appends a value as JSON.
    ///
    /// # Errors
    /// Something of it was left out, or the text would be too large.
    pub(super) fn write_json(&mut self, value: &impl Serialize) -> Result<(), CallRefusal> {
        self.room.check()?;
        let written = serde_json::to_writer(&mut *self, value);
        self.done(written.map_err(io::Error::from))
    }

    fn write_text(&mut self, text: &str) -> Result<(), CallRefusal> {
        let written = io::Write::write_all(self, text.as_bytes());
        self.done(written)
    }

    fn done(&self, written: io::Result<()>) -> Result<(), CallRefusal> {
        let Err(error) = written else { return Ok(()) };
        self.room.check()?;
        tracing::error!(%error, "an answer of the API cannot be written as JSON");
        Err(CallRefusal::internal())
    }

    /// The answer, which is handed over in pieces and counts as a whole until the last of them was sent.
    ///
    /// # Errors
    /// An error of bindery's own.
    pub(super) fn respond(mut self, status: StatusCode) -> Result<Response, CallRefusal> {
        self.octets.shrink_to_fit();
        let share = self.room.hand_over(self.octets.len());
        let held = Held { octets: self.octets, _share: share };
        let body = Body::new(Pieces(Bytes::from_owner(held)));
        let response = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
        response.body(body).map_err(|_| CallRefusal::internal())
    }
}

impl io::Write for Text {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let length = self.octets.len().saturating_add(octets.len());
        if length > self.octets.capacity() {
            let grown = self.room.grow(length, self.octets.capacity());
            let capacity = grown.map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
            self.octets.reserve_exact(capacity - self.octets.len());
        }
        self.octets.extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The octets of an answer, with what they count.
struct Held {
    octets: Vec<u8>,
    _share: Share<MemoryHolder>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.octets
    }
}

/// A body that is handed over in pieces: what takes it may copy a piece, and holds none before the one before was sent.
struct Pieces(Bytes);

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let rest = &mut self.get_mut().0;
        let piece = rest.split_to(rest.len().min(STEP_OCTETS));
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}

/// A page of a list, written: a [`Page`] for whoever reads it.
pub(super) struct WrittenPage<V> {
    text: Text,
    of: PhantomData<fn() -> V>,
    /// What was written.
    #[cfg(test)]
    pub(super) page: Page<V>,
}

impl<V: Serialize> WrittenPage<V> {
    /// Writes a page around its objects, each of which is made when the one before is written, and kept by nobody.
    ///
    /// # Errors
    /// An object cannot be shown, or there is no room.
    pub(super) fn write(
        room: &Arc<Room>,
        envelope: Page<V>,
        objects: impl Iterator<Item = Result<V, CallRefusal>>,
    ) -> Result<Self, CallRefusal> {
        #[cfg(test)]
        let mut page = envelope;
        #[cfg(not(test))]
        let page = envelope;
        let mut text = Text::new(room);
        text.write_text("{\"pagination\":")?;
        text.write_json(&page.pagination)?;
        text.write_text(",\"results\":[")?;
        let before = room.held();
        for (place, object) in objects.enumerate() {
            if place > 0 {
                text.write_text(",")?;
            }
            let shown = object?;
            text.write_json(&shown)?;
            room.let_go(before);
            #[cfg(test)]
            page.results.push(shown);
        }
        text.write_text("],\"autocomplete\":")?;
        text.write_json(&page.autocomplete)?;
        text.write_text("}")?;
        Ok(Self {
            text,
            of: PhantomData,
            #[cfg(test)]
            page,
        })
    }
}

impl<V: JsonSchema + 'static> Answer for WrittenPage<V>
where
    Self: Send,
{
    const SCHEMA: Option<SchemaOf> = Some(|generator| generator.subschema_for::<Page<V>>());

    fn respond(self, status: StatusCode, _: &Arc<Room>) -> Result<Response, CallRefusal> {
        self.text.respond(status)
    }
}

/// Whether a value takes much to write: it is not written where others wait for their turn.
pub(super) fn is_long(value: &impl Serialize) -> bool {
    let mut left = Left(STEP_OCTETS);
    serde_json::to_writer(&mut left, value).is_err()
}

/// So many octets may still be written, and are forgotten.
struct Left(usize);

impl io::Write for Left {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(octets.len()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// As much of it as counts.
fn counted(octets: usize) -> u64 {
    net::counted(octets, STEP_OCTETS)
}

/// Memory is counted by steps, and handed over by pieces, of so many octets.
const STEP_OCTETS: usize = 64 * 1024;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::Limits;
    use crate::http::api::Door;
    use crate::model::Actor;
    use crate::registry::commands::testing::registry_over;
    use crate::store::MemoryStore;

    #[test]
    fn an_answer_to_a_change_counts_and_is_not_refused() {
        let limits = Limits { http_answer_memory_max: 8 << 20, ..Limits::default() };
        let api = Api::new(registry_over(Arc::new(MemoryStore::new())), Door::Public).with_limits(&limits);
        let caller = Caller::from(Actor::named("somebody"));
        let memory = &api.bounds.answer_memory;
        let change = || {
            let room = Room::new(&api, &caller);
            room.bound(false);
            room
        };
        let large = || "x".repeat(3 << 20);
        let sent: Vec<Response> =
            (0..4).map(|_| large().respond(StatusCode::OK, &change()).unwrap()).collect();
        assert!(memory.used() > 12 << 20, "{}", memory.used());
        // Who reads has none then, until some of it is taken.
        let room = Room::new(&api, &caller);
        let refused = "x".repeat(1 << 20).respond(StatusCode::OK, &room).unwrap_err();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        drop((room, sent));
        assert_eq!(memory.used(), 0);
        assert!("x".repeat(1 << 20).respond(StatusCode::OK, &Room::new(&api, &caller)).is_ok());
    }
}
