//! What one call, one token and one source may ask of the API.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::body;
use super::call::Door;
use crate::config::Limits;
use crate::http::BODY_OCTETS_MAX;
use crate::model::AccountNumber;
use crate::net::{Budget, MemoryHolder, Rate};

/// The limits of `[server.limits]` that the API keeps. The operator's own commands have hardly any.
pub(super) struct Bounds {
    pub(super) body_octets_max: usize,
    pub(super) body_values_max: usize,
    /// What all bodies hold together, with what was read of them.
    pub(super) body_memory: Arc<Budget<MemoryHolder>>,
    pub(super) page_size_max: usize,
    /// Of one answer.
    pub(super) answer_octets_max: usize,
    /// What all answers hold together.
    pub(super) answer_memory: Arc<Budget<MemoryHolder>>,
    /// For the whole of a call; `None`: as long as it takes.
    pub(super) request_time: Option<Duration>,
    pub(super) by_source: Option<Rate>,
    pub(super) by_token: Option<Rate>,
    /// Turns to read on a thread that may wait.
    pub(super) readings: Arc<Semaphore>,
    /// Of those, one account's.
    pub(super) readings_by_account: Shares,
    /// One account's walks through the trail.
    pub(super) walks_by_account: Shares,
}

/// The part of turns that one account has at a time, by however many tokens: half, so that others come to theirs.
pub(super) struct Shares {
    /// Of those that have a turn, or wait for one.
    by_account: Mutex<HashMap<AccountNumber, Weak<Semaphore>>>,
    at_a_time: usize,
}

impl Shares {
    fn new(turns: u32) -> Self {
        Self { by_account: Mutex::default(), at_a_time: (turns as usize / 2).max(1) }
    }

    /// The turns of an account.
    pub(super) fn of(&self, account: AccountNumber) -> Arc<Semaphore> {
        let mut by_account = self.by_account.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turns) = by_account.get(&account).and_then(Weak::upgrade) {
            return turns;
        }
        // There are no more than connections.
        by_account.retain(|_, turns| turns.strong_count() > 0);
        let turns = Arc::new(Semaphore::new(self.at_a_time));
        by_account.insert(account, Arc::downgrade(&turns));
        turns
    }
}

impl Bounds {
    pub(super) fn new(limits: &Limits, door: Door) -> Self {
        let page_size_max = limits.http_page_size_max as usize;
        let readings = Arc::new(Semaphore::new(limits.http_readings_max as usize));
        let readings_by_account = Shares::new(limits.http_readings_max);
        let walks_by_account = Shares::new(limits.trail_walks_max);
        // One that is made doubles what it holds, and has half of all: else it would be told to come again for ever.
        let answer_octets_max = limits.http_answer_size_max.min(limits.http_answer_memory_max / 4);
        // The largest body with the most values counts no more than one that is alone may.
        let body_memory = Budget::with_crowd(limits.http_body_memory_max, Some(MemoryHolder::Strangers));
        let body_octets_max = limits.http_body_size_max.min(limits.http_body_memory_max / 4);
        let body_octets_max = usize::try_from(body_octets_max).unwrap_or(usize::MAX);
        let body_values_max = body::values_max(body_octets_max, body_memory.alone_max());
        match door {
            Door::Local => Self {
                body_octets_max: BODY_OCTETS_MAX,
                body_values_max: usize::MAX,
                body_memory: Budget::new(u64::MAX),
                page_size_max,
                answer_octets_max: usize::MAX,
                answer_memory: Budget::new(u64::MAX),
                request_time: None,
                by_source: None,
                by_token: None,
                readings,
                readings_by_account,
                walks_by_account,
            },
            Door::Public => Self {
                body_octets_max,
                body_values_max: body_values_max.min(limits.http_body_values_max as usize),
                body_memory,
                page_size_max,
                answer_octets_max: usize::try_from(answer_octets_max).unwrap_or(usize::MAX),
                answer_memory: Budget::new(limits.http_answer_memory_max),
                request_time: Some(limits.http_request_time),
                by_source: Some(Rate::per_minute(limits.http_requests_by_source_max)),
                by_token: Some(Rate::per_minute(limits.http_requests_by_token_max)),
                readings,
                readings_by_account,
                walks_by_account,
            },
        }
    }
}
