//! What may happen to every connection and is told seldom: strangers do not write the log.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Counts something that is told at once when it was silent before, and else once in a period with how often it came.
#[derive(Debug)]
pub struct Repeated {
    period: Duration,
    state: Mutex<State>,
}

/// When it was told last, and how often it came since.
#[derive(Debug, Default)]
struct State {
    told: Option<Instant>,
    count: u64,
}

impl Repeated {
    /// To be told once in `period` at most.
    pub fn new(period: Duration) -> Self {
        Self { period, state: Mutex::default() }
    }

    /// Counts it once more; how many to tell of, when it is time to.
    pub fn note(&self, now: Instant) -> Option<u64> {
        // Nothing that holds the lock can leave it half changed.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.count += 1;
        if state.told.is_some_and(|told| now.duration_since(told) < self.period) {
            return None;
        }
        state.told = Some(now);
        Some(std::mem::take(&mut state.count))
    }
}

/// At most one line of a kind about connections within this.
pub const TOLD_PERIOD: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_once_for_each_period() {
        let start = Instant::now();
        let repeated = Repeated::new(Duration::from_secs(10));
        assert_eq!(repeated.note(start), Some(1));
        assert_eq!(repeated.note(start + Duration::from_secs(1)), None);
        assert_eq!(repeated.note(start + Duration::from_secs(9)), None);
        assert_eq!(repeated.note(start + Duration::from_secs(10)), Some(3));
    }
}
