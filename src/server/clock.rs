//! Whether the clock can be believed before something is deleted because its time is over.
//!
//! A clock that jumps far ahead would make a minute's housekeeping delete the whole audit trail and every token. So a
//! jump is held against the time that has passed on a clock that never jumps, and believed only when it has lasted.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::model::Timestamp;

/// What the clock said when it was last believed.
pub(super) struct Clock {
    state: Mutex<State>,
}

struct State {
    believed: (Timestamp, Instant),
    /// Since when it is ahead of what it should say.
    ahead_since: Option<Instant>,
}

impl Clock {
    /// Believes what the clock says now.
    pub(super) fn new(now: Timestamp, instant: Instant) -> Self {
        Self { state: Mutex::new(State { believed: (now, instant), ahead_since: None }) }
    }

    /// The time, if it can be believed; that it cannot is told once.
    pub(super) fn now(&self) -> Option<Timestamp> {
        let now = Timestamp::now();
        self.believes(now, Instant::now()).then_some(now)
    }

    fn believes(&self, now: Timestamp, instant: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (time, then) = state.believed;
        let expected = time.after(instant.saturating_duration_since(then));
        let is_ahead = now > expected.after(JUMP_MAX);
        let lasted = state.ahead_since.map(|since| instant.saturating_duration_since(since));
        if !is_ahead || lasted.is_some_and(|lasted| lasted >= DOUBT_TIME) {
            *state = State { believed: (now, instant), ahead_since: None };
            return true;
        }
        if state.ahead_since.is_none() {
            state.ahead_since = Some(instant);
            tracing::error!(
                clock = %now,
                expected = %expected,
                "the clock has jumped ahead by more than a day: neither events nor tokens are deleted because their time \
                 is over. Set it right; if it is, restart the server, or wait for a day"
            );
        }
        false
    }
}

/// So far ahead it may be at once: a machine may have slept.
const JUMP_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// A jump that has lasted for this long is believed: the operator was told, and the machine may have slept for days.
const DOUBT_TIME: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(60 * 60);

    #[test]
    fn a_clock_that_jumps_ahead_is_not_believed_at_once() {
        let (start, begun) = (Timestamp::from_unix_seconds(1_800_000_000), Instant::now());
        let clock = Clock::new(start, begun);
        let believes = |ahead: Duration, passed: Duration| clock.believes(start.after(ahead), begun + passed);
        assert!(believes(HOUR, HOUR));
        assert!(believes(20 * HOUR, HOUR), "it may have slept");
        assert!(believes(40 * HOUR, 2 * HOUR), "and again");
        let decade = 10 * 365 * 24 * HOUR;
        assert!(!believes(decade, 3 * HOUR));
        assert!(!believes(decade + HOUR, 4 * HOUR));
        assert!(believes(42 * HOUR, 5 * HOUR), "it is right again");
        assert!(believes(Duration::ZERO, 6 * HOUR), "behind it deletes nothing");
        // Set once and for all.
        assert!(!believes(decade, 7 * HOUR));
        assert!(!believes(decade + 23 * HOUR, 30 * HOUR));
        assert!(believes(decade + 24 * HOUR, 31 * HOUR));
        assert!(believes(decade + 25 * HOUR, 32 * HOUR));
    }
}
