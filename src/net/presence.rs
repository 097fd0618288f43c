//! Whether the client of a connection is silent, and since when: who is silent makes room for others.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::refused::ConnectionRefused;
use crate::seldom::{self, Seldom};

/// What a connection is waiting for, written by it and read by who looks for room. No lock is taken.
#[derive(Debug)]
pub struct Presence {
    /// Times are told from here on.
    started: Instant,
    /// [`SERVED`], or microseconds since `started`, times two, and one more for [`Waiting::Rest`].
    state: AtomicU64,
    asked: OnceLock<ConnectionRefused>,
    leave: Notify,
}

/// What a client is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    /// It is silent: nothing was begun.
    Request { since: u64 },
    /// It is in the middle of a request, of a handshake, or of taking an answer, or waits until its source has a turn.
    Rest { since: u64 },
}

impl Presence {
    pub(super) fn new(started: Instant) -> Self {
        Self { started, state: AtomicU64::new(SERVED), asked: OnceLock::new(), leave: Notify::new() }
    }

    /// It is silent from now on, if it was not before.
    pub fn is_silent(&self) {
        self.waits(0);
    }

    /// The rest of something that was begun is waited for.
    pub fn owes_the_rest(&self) {
        self.waits(1);
    }

    /// Something is done for it.
    pub fn is_served(&self) {
        self.state.store(SERVED, Ordering::Relaxed);
    }

    /// Whether it is to make room for others, which is told; the limit by which there was none.
    pub fn is_asked_to_leave(&self) -> Option<ConnectionRefused> {
        let limit = *self.asked.get()?;
        if let Some(count) = seldom::note(Seldom::MadeRoom) {
            tracing::warn!(count, reason = %limit, "{}", Seldom::MadeRoom.sentence());
        }
        Some(limit)
    }

    /// Comes when it is to make room for others, which is told; the limit by which there was none.
    pub async fn asked_to_leave(&self) -> ConnectionRefused {
        loop {
            if let Some(limit) = self.is_asked_to_leave() {
                return limit;
            }
            self.leave.notified().await;
        }
    }

    /// The same for a client that is waited for in the middle of something, if it does not come at once.
    pub async fn asked_to_leave_unfinished(&self) -> ConnectionRefused {
        self.owes_the_rest();
        self.asked_to_leave().await
    }

    pub(super) fn ask_to_leave(&self, limit: ConnectionRefused) {
        // Nobody is asked twice.
        let _ = self.asked.set(limit);
        self.leave.notify_one();
    }

    pub(super) fn waiting(&self) -> Option<Waiting> {
        let state = self.state.load(Ordering::Relaxed);
        match state {
            SERVED => None,
            _ if state.is_multiple_of(2) => Some(Waiting::Request { since: state / 2 }),
            _ => Some(Waiting::Rest { since: state / 2 }),
        }
    }

    fn waits(&self, kind: u64) {
        let state = self.state.load(Ordering::Relaxed);
        if state == SERVED || state % 2 != kind {
            self.state.store(micros(self.started) * 2 + kind, Ordering::Relaxed);
        }
    }
}

/// Microseconds since `started`.
pub(super) fn micros(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX / 4)
}

const SERVED: u64 = u64::MAX;
