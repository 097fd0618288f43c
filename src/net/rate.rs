//! How often somebody may ask: so many times within a minute or an hour, and as many at once when they were silent before.
//!
//! The table has a fixed size, and to ask it takes no lock and no memory. A key has a cell in each of the rows and counts
//! in all of them, as in a count-min sketch: two keys that share a cell in one row hardly do so in the others, and the row
//! that says the least is right. Cells are chosen by a hash with a random key, so that nobody can aim at those of another.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The rate of everybody who asks.
///
/// A cell holds the time at which all that was asked for is worked off, in nanoseconds since the start (the "theoretical
/// arrival time" of the generic cell rate algorithm, ITU-T I.371): one number for a bucket of tokens.
pub struct Rate {
    /// What one request takes.
    interval_ns: u64,
    /// How far ahead of the clock a cell may be for one more request to fit.
    ahead_ns_max: u64,
    started: Instant,
    hasher: RandomState,
    rows: [Box<[AtomicU64]>; ROWS],
}

impl Rate {
    /// Admits `requests_max` requests of each key within a minute.
    pub fn per_minute(requests_max: u32) -> Self {
        Self::within(MINUTE_NS, requests_max)
    }

    /// The same within an hour.
    pub fn per_hour(requests_max: u32) -> Self {
        Self::within(60 * MINUTE_NS, requests_max)
    }

    fn within(window_ns: u64, requests_max: u32) -> Self {
        let interval_ns = window_ns / u64::from(requests_max.max(1));
        Self {
            interval_ns,
            ahead_ns_max: window_ns - interval_ns,
            started: Instant::now(),
            hasher: RandomState::new(),
            rows: std::array::from_fn(|_| (0..CELLS).map(|_| AtomicU64::new(0)).collect()),
        }
    }

    /// Counts one request of `key`, or refuses it uncounted.
    ///
    /// # Errors
    /// The time after which one will be admitted.
    pub fn admit(&self, key: &impl Hash) -> Result<(), Duration> {
        self.admit_at(key, self.started.elapsed())
    }

    fn admit_at(&self, key: &impl Hash, now: Duration) -> Result<(), Duration> {
        // In 584 years.
        let now_ns = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let hash = self.hasher.hash_one(key);
        let least = self.cells(hash).map(|cell| cell.load(Ordering::Relaxed)).min().unwrap_or_default();
        let ahead_ns = least.saturating_sub(now_ns);
        if ahead_ns > self.ahead_ns_max {
            return Err(Duration::from_nanos(ahead_ns - self.ahead_ns_max));
        }
        // Whoever comes between the look and this is admitted too, but is counted as well. A cell that others have
        // filled is not filled beyond what it can hold: it would never be of use again.
        let full = now_ns.saturating_add(self.ahead_ns_max).saturating_add(self.interval_ns);
        for cell in self.cells(hash) {
            let counted = |worked_off: u64| {
                let fuller = worked_off.max(now_ns).saturating_add(self.interval_ns);
                Some(fuller.min(full.max(worked_off)))
            };
            // It cannot fail: there always is a next value.
            let _ = cell.fetch_update(Ordering::Relaxed, Ordering::Relaxed, counted);
        }
        Ok(())
    }

    /// The cells of a key, by different bits of its hash.
    fn cells(&self, hash: u64) -> impl Iterator<Item = &AtomicU64> {
        self.rows.iter().enumerate().filter_map(move |(row, cells)| {
            let place = (hash >> (16 * row)) as usize % CELLS;
            cells.get(place)
        })
    }
}

const ROWS: usize = 4;
/// In each row; a power of two, and no more than 16 bits tell apart. With 2,000 sources at their limit at a time one in
/// 300 others shares all its cells with some of them.
const CELLS: usize = 8_192;

const MINUTE_NS: u64 = 60_000_000_000;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// A bucket of requests for each key, refilled evenly.
    struct Buckets {
        requests_max: u128,
        /// What is in each, in billionths of a request times 60, and when that was so.
        buckets: HashMap<u32, (u128, u128)>,
    }

    impl Buckets {
        fn admits(&mut self, key: u32, now_ns: u128) -> bool {
            let minute = u128::from(MINUTE_NS);
            let full = self.requests_max * minute;
            let (held, then) = self.buckets.get(&key).copied().unwrap_or((full, 0));
            let held = (held + (now_ns - then) * self.requests_max).min(full);
            let is_admitted = held >= minute;
            self.buckets.insert(key, (if is_admitted { held - minute } else { held }, now_ns));
            is_admitted
        }
    }

    #[test]
    fn so_many_at_once_then_evenly() {
        let rate = Rate::per_minute(60);
        let at = Duration::from_secs;
        for _ in 0..60 {
            rate.admit_at(&1, at(5)).unwrap();
        }
        assert_eq!(rate.admit_at(&1, at(5)), Err(at(1)));
        // Whoever is refused does not wait longer for having asked.
        assert_eq!(rate.admit_at(&1, at(5)), Err(at(1)));
        rate.admit_at(&2, at(5)).unwrap();
        rate.admit_at(&1, at(6)).unwrap();
        assert_eq!(rate.admit_at(&1, at(6)), Err(at(1)));
        for _ in 0..60 {
            rate.admit_at(&1, at(1_000)).unwrap();
        }
        assert!(rate.admit_at(&1, at(1_000)).is_err());
    }

    #[test]
    fn the_clock_that_goes_on_by_itself_is_used() {
        let rate = Rate::per_minute(1);
        rate.admit(&"somebody").unwrap();
        let wait = rate.admit(&"somebody").unwrap_err();
        assert!(wait <= Duration::from_secs(60) && wait > Duration::from_secs(50), "{wait:?}");
    }

    #[test]
    fn threads_are_all_counted() {
        let rate = Rate::per_minute(1_000);
        let now = Duration::from_secs(1);
        let admitted = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        if rate.admit_at(&7, now).is_ok() {
                            admitted.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        // Each thread may once have looked before another counted.
        assert!((1_000..1_004).contains(&admitted.into_inner()));
        assert!(rate.admit_at(&7, now).is_err());
    }

    #[test]
    fn who_shares_some_cells_is_admitted_by_the_others() {
        let rate = Rate::per_minute(10);
        let now = Duration::from_secs(1);
        // A third of all cells are full.
        for key in 0..3_300_u32 {
            while rate.admit_at(&key, now).is_ok() {}
        }
        let refused = (1_000_000..1_001_000_u32).filter(|key| rate.admit_at(key, now).is_err()).count();
        assert!(refused < 50, "{refused} of 1,000");
    }

    proptest! {
        #![proptest_config(crate::rounds::cases(256))]
        /// Few keys share nothing but by a chance of one in a billion: the table is exact. Rates that divide a minute.
        #[test]
        fn it_admits_what_a_bucket_for_each_key_does(
            requests_max in prop::sample::select(vec![1_u32, 2, 3, 10, 60, 600, 6_000]),
            asks in prop::collection::vec((0..3_u32, 0..3_000_u64), 1..400),
        ) {
            let rate = Rate::per_minute(requests_max);
            let mut model = Buckets { requests_max: requests_max.into(), buckets: HashMap::new() };
            let mut now = Duration::from_secs(1_000_000);
            for (key, wait_ms) in asks {
                now += Duration::from_millis(wait_ms);
                let admitted = rate.admit_at(&key, now);
                prop_assert_eq!(admitted.is_ok(), model.admits(key, now.as_nanos()));
                if let Err(wait) = admitted {
                    // What is told is true, and not a nanosecond too much.
                    let mut early = Buckets { requests_max: requests_max.into(), buckets: model.buckets.clone() };
                    let mut then = Buckets { requests_max: requests_max.into(), buckets: model.buckets.clone() };
                    prop_assert!(!early.admits(key, (now + wait).as_nanos() - 1));
                    prop_assert!(then.admits(key, (now + wait).as_nanos()));
                }
            }
        }

        /// However crowded the table is, nobody is admitted more often than a bucket of their own would.
        #[test]
        fn nobody_gets_more_by_sharing(
            others in prop::collection::vec(any::<u32>(), 0..2_000),
            asks in prop::collection::vec(0..2_000_u64, 1..100),
        ) {
            let rate = Rate::per_minute(6);
            let mut model = Buckets { requests_max: 6, buckets: HashMap::new() };
            let mut now = Duration::from_secs(1_000_000);
            let mut others = others.chunks(20);
            let (mut admitted, mut due) = (0, 0);
            for wait_ms in asks {
                now += Duration::from_millis(wait_ms);
                for other in others.next().unwrap_or_default() {
                    while rate.admit_at(&("other", other), now).is_ok() {}
                }
                // The bucket is asked only when the table admits: it must admit each time.
                if rate.admit_at(&"me", now).is_ok() {
                    admitted += 1;
                    due += u32::from(model.admits(0, now.as_nanos()));
                }
            }
            prop_assert_eq!(admitted, due);
        }
    }
}
