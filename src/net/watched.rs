//! A stream that remembers how it began, and sees whether its client is silent, for a protocol that others speak over it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::mistaken::TELLING_OCTETS;
use super::presence::Presence;

/// Around a stream that others read from.
#[derive(Debug)]
pub struct Watched<S> {
    stream: S,
    first: [u8; TELLING_OCTETS],
    /// How many octets of `first` have come.
    seen: usize,
    requests: Arc<Requests>,
    /// Whether an answer waits for the client to take it.
    is_written_to: bool,
}

/// What is asked over a [`Watched`].
#[derive(Debug)]
pub struct Requests {
    presence: Arc<Presence>,
    /// Whether octets have come that belong to no request which is being answered.
    is_begun: AtomicBool,
    answered_now: AtomicUsize,
}

/// A request that is being answered, until this is dropped.
#[derive(Debug)]
pub struct Answering(Arc<Requests>);

impl Requests {
    /// Nothing was asked.
    pub fn new(presence: Arc<Presence>) -> Arc<Self> {
        Arc::new(Self { presence, is_begun: AtomicBool::new(false), answered_now: AtomicUsize::new(0) })
    }

    /// A request has come.
    pub fn begin(self: &Arc<Self>) -> Answering {
        self.is_begun.store(false, Ordering::Relaxed);
        self.answered_now.fetch_add(1, Ordering::Relaxed);
        self.presence.is_served();
        Answering(Arc::clone(self))
    }

    /// Whether one is being answered.
    pub fn is_answering(&self) -> bool {
        self.answered_now.load(Ordering::Relaxed) > 0
    }

    fn note_read(&self) {
        self.is_begun.store(true, Ordering::Relaxed);
    }

    /// The client is waited for.
    fn note_waiting(&self, is_written_to: bool) {
        if self.is_answering() {
            return;
        }
        match is_written_to || self.is_begun.load(Ordering::Relaxed) {
            true => self.presence.owes_the_rest(),
            false => self.presence.is_silent(),
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answered_now.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<S> Watched<S> {
    /// Nothing was read yet.
    pub fn new(stream: S, requests: Arc<Requests>) -> Self {
        Self { stream, first: [0; TELLING_OCTETS], seen: 0, requests, is_written_to: false }
    }

    /// The first octets that were read.
    pub fn first(&self) -> &[u8] {
        self.first.get(..self.seen).unwrap_or_default()
    }

    fn note_read(&mut self, octets: &[u8]) {
        if !octets.is_empty() {
            self.requests.note_read();
        }
        let room = self.first.get_mut(self.seen..).unwrap_or_default();
        for (place, octet) in room.iter_mut().zip(octets) {
            *place = *octet;
            self.seen += 1;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(context, buffer);
        this.note_read(buffer.filled().get(before..).unwrap_or_default());
        if polled.is_pending() {
            this.requests.note_waiting(this.is_written_to);
        }
        polled
    }
}

impl<S> Watched<S> {
    fn note_written<T>(&mut self, polled: Poll<T>) -> Poll<T> {
        self.is_written_to = polled.is_pending();
        if self.is_written_to {
            self.requests.note_waiting(true);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(context, octets);
        this.note_written(polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write_vectored(context, slices);
        this.note_written(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_flush(context);
        this.note_written(polled)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
