//! How large an answer may be, and the memory that answers hold until their clients have taken them: a limit of each, and of
//! all one [`Budget`], shared by account and by source.
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
use super::page::Page;
use super::refusal::CallRefusal;
use super::route::{Answer, SchemaOf};
use crate::config::Limit;
use crate::model::AccountNumber;
use crate::net::{Budget, ClientSource, HOLDERS_MAX, Share};
use crate::registry::{Caller, Registry};

/// In whose name memory is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Holder {
    Account(AccountNumber),
    Source(ClientSource),
}

/// What one answer may hold.
pub(super) struct Room {
    registry: Arc<Registry>,
    octets_max: usize,
    memory: Arc<Budget<Holder>>,
    holders: [Option<Holder>; HOLDERS_MAX],
    objects: Mutex<Objects>,
}

/// What the answer is made from, as far as it was counted.
struct Objects {
    octets: usize,
    share: Share<Holder>,
    /// Whether what does not fit is left out, and the answer refused.
    is_bounded: bool,
    lack: Option<Lack>,
}

/// What an answer has too little of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lack {
    Size,
    Memory,
}

impl Room {
    /// For the answer to this caller.
    pub(super) fn new(api: &Api, caller: &Caller) -> Arc<Self> {
        let account = caller.holder().map(|holder| Holder::Account(holder.account));
        // Clients on this machine may be a proxy's, whose accounts are told apart.
        let source = caller.actor().source.filter(|source| account.is_none() || !source.is_loopback());
        let source = source.map(|source| Holder::Source(ClientSource::from(Some(source))));
        let holders = [account, source, None, None];
        let memory = Arc::clone(&api.bounds.answer_memory);
        let share = memory.share(holders);
        let objects = Mutex::new(Objects { octets: 0, share, is_bounded: true, lack: None });
        let registry = Arc::clone(&api.registry);
        Arc::new(Self { registry, octets_max: api.bounds.answer_octets_max, memory, holders, objects })
    }

    /// Whether what does not fit is left out and the answer refused, from now on. The answer to a change that was made is not
    /// refused: what it is made from counts as far as there is room.
    pub(super) fn bound(&self, is_bounded: bool) {
        let mut objects = self.objects();
        objects.is_bounded = is_bounded;
        objects.lack = None;
    }

    /// Counts something that the answer is made from; says whether it may be made. Where not, the answer will be refused.
    pub(super) fn hold(&self, octets: usize) -> bool {
        let mut objects = self.objects();
        if objects.lack.is_some() {
            return false;
        }
        let held = objects.octets.saturating_add(octets);
        let lack = match held {
            held if held > self.octets_max => Some(Lack::Size),
            held if !objects.share.set(counted(held)) => Some(Lack::Memory),
            _ => None,
        };
        objects.octets = held;
        objects.lack = lack.filter(|_| objects.is_bounded);
        objects.lack.is_none()
    }

    /// Octets that were counted, for [`Self::let_go`].
    pub(super) fn held(&self) -> usize {
        self.objects().octets
    }

    /// Holds again what it held before.
    pub(super) fn let_go(&self, before: usize) {
        let mut objects = self.objects();
        objects.octets = before;
        // Less always fits.
        let _ = objects.share.set(counted(before));
    }

    /// Whether something was left out.
    pub(super) fn is_exceeded(&self) -> bool {
        self.objects().lack.is_some()
    }

    /// Says that the answer is whole so far.
    ///
    /// # Errors
    /// Something was left out.
    pub(super) fn check(&self) -> Result<(), CallRefusal> {
        let lack = self.objects().lack;
        lack.map_or(Ok(()), |lack| Err(self.refused(lack)))
    }

    fn refused(&self, lack: Lack) -> CallRefusal {
        match lack {
            Lack::Size => {
                self.registry.reached().note(Limit::http_answer_size_max);
                CallRefusal::answer_too_large(self.octets_max)
            }
            Lack::Memory => {
                self.registry.reached().note(Limit::http_answer_memory_max);
                CallRefusal::no_memory()
            }
        }
    }

    fn objects(&self) -> MutexGuard<'_, Objects> {
        // Nothing that holds the lock can leave it half changed.
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The text of an answer, which counts until it is sent.
pub(super) struct Text {
    room: Arc<Room>,
    octets: Vec<u8>,
    share: Share<Holder>,
    is_bounded: bool,
    lack: Option<Lack>,
}

impl Text {
    /// Nothing yet.
    pub(super) fn new(room: &Arc<Room>) -> Self {
        let (share, is_bounded) = (room.memory.share(room.holders), room.objects().is_bounded);
        Self { room: Arc::clone(room), octets: Vec::new(), share, is_bounded, lack: None }
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
        written.map_err(|error| match self.lack {
            Some(lack) => self.room.refused(lack),
            None => {
                tracing::error!(%error, "an answer of the API cannot be written as JSON");
                CallRefusal::internal()
            }
        })
    }

    /// Makes room for more octets, twice as much as there was.
    fn grow(&mut self, more: usize) -> Result<(), Lack> {
        let octets = self.octets.len().saturating_add(more);
        let octets_max = if self.is_bounded { self.room.octets_max } else { usize::MAX };
        if octets > octets_max {
            return Err(Lack::Size);
        }
        if octets > self.octets.capacity() {
            let capacity =
                self.octets.capacity().saturating_mul(2).max(STEP_OCTETS).min(octets_max).max(octets);
            if !self.share.set(counted(capacity)) && self.is_bounded {
                return Err(Lack::Memory);
            }
            self.octets.reserve_exact(capacity - self.octets.len());
        }
        Ok(())
    }

    /// The answer, which is handed over in pieces and counts as a whole until the last of them was sent.
    ///
    /// # Errors
    /// An error of bindery's own.
    pub(super) fn respond(mut self, status: StatusCode) -> Result<Response, CallRefusal> {
        self.octets.shrink_to_fit();
        let _ = self.share.set(counted(self.octets.len()));
        let held = Held { octets: self.octets, _share: self.share };
        let body = Body::new(Pieces(Bytes::from_owner(held)));
        let response = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
        response.body(body).map_err(|_| CallRefusal::internal())
    }
}

impl io::Write for Text {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if let Err(lack) = self.grow(octets.len()) {
            self.lack = Some(lack);
            return Err(io::ErrorKind::OutOfMemory.into());
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
    _share: Share<Holder>,
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
    /// Writes a page around its objects, each of which `show` makes and nobody keeps.
    ///
    /// # Errors
    /// An object cannot be shown, or there is no room.
    pub(super) fn write<T>(
        room: &Arc<Room>,
        envelope: Page<V>,
        items: impl Iterator<Item = T>,
        mut show: impl FnMut(T) -> Result<V, CallRefusal>,
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
        for (place, item) in items.enumerate() {
            if place > 0 {
                text.write_text(",")?;
            }
            let shown = show(item)?;
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

/// As much of it as counts: what is small always fits, as `http_connections_max` bounds how often.
fn counted(octets: usize) -> u64 {
    if octets <= STEP_OCTETS { 0 } else { octets.next_multiple_of(STEP_OCTETS) as u64 }
}

/// Memory is counted by steps, and handed over by pieces, of so many octets.
const STEP_OCTETS: usize = 64 * 1024;
