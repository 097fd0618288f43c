//! How often a secret may be wrong: too many recent failures of one name from one source, or of one source,
//! and further tries are refused before any hash.
//!
//! It is asked only about secrets that would cost a hash without a valid selector: a cached proof or a valid
//! selector is never refused, so a stranger shuts nobody out. It knows names that do not exist like those
//! that do: otherwise the refusal would tell which is which.
//!
//! A failure counts when it is known, so a source can have as many tries more as its share of the hash queue.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hash};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::source::Source;

/// Counts failures, in a table whose size is fixed at the start.
///
/// `now` is in seconds of any clock that does not go back; all calls use the same one.
pub struct Throttle {
    settings: ThrottleSettings,
    /// Keyed at random: nobody can aim at somebody else's slot.
    hasher: RandomState,
    tables: Mutex<Tables>,
    refused: AtomicU64,
    refused_by_source: AtomicU64,
    displaced: AtomicU64,
}

impl Throttle {
    /// An empty throttle.
    pub fn new(settings: ThrottleSettings) -> Self {
        let tables =
            Tables { names: Table::new(settings.entries_max), sources: Table::new(settings.entries_max) };
        Self {
            settings,
            hasher: RandomState::new(),
            tables: Mutex::new(tables),
            refused: AtomicU64::new(0),
            refused_by_source: AtomicU64::new(0),
            displaced: AtomicU64::new(0),
        }
    }

    /// Whether this source may try a secret for this name now. `source` is `None` for the local socket.
    pub fn check(&self, subject: Subject<'_>, source: Option<IpAddr>, now: u64) -> Admission {
        let (name, source) = self.keys(subject, source);
        let tables = self.lock();
        let until_of_source = tables.sources.refused_until(source);
        let until = tables.names.refused_until(name).max(until_of_source);
        drop(tables);
        if until <= now {
            return Admission::Admit;
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        if until_of_source > now {
            self.refused_by_source.fetch_add(1, Ordering::Relaxed);
        }
        Admission::Refuse { retry_after_seconds: until - now }
    }

    /// Notes that a secret was wrong.
    pub fn failed(&self, subject: Subject<'_>, source: Option<IpAddr>, now: u64) {
        let (name, source) = self.keys(subject, source);
        let mut tables = self.lock();
        let displaced = [
            tables.names.failed(name, self.settings.failures_per_name_max, &self.settings, now),
            tables.sources.failed(source, self.settings.failures_per_source_max, &self.settings, now),
        ];
        drop(tables);
        let displaced = displaced.iter().filter(|displaced| **displaced).count();
        self.displaced.fetch_add(displaced as u64, Ordering::Relaxed);
    }

    /// Notes that a secret was right: the name starts anew from this source. The source itself does not,
    /// or one account of one's own would buy guesses at all others.
    pub fn succeeded(&self, subject: Subject<'_>, source: Option<IpAddr>) {
        let (name, _) = self.keys(subject, source);
        self.lock().names.forget(name);
    }

    /// How many tries were refused.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// How many of them because of the source, whatever the name.
    pub fn refused_by_source(&self) -> u64 {
        self.refused_by_source.load(Ordering::Relaxed)
    }

    /// How many names and sources were forgotten to make room for others.
    pub fn displaced(&self) -> u64 {
        self.displaced.load(Ordering::Relaxed)
    }

    fn keys(&self, subject: Subject<'_>, source: Option<IpAddr>) -> (u64, u64) {
        let source = Source::from(source);
        (self.key((subject, source)), self.key(source))
    }

    /// 0 means a free slot; whoever hashes to it shares the key 1, which takes 2⁶⁴ names to happen.
    fn key(&self, of: impl Hash) -> u64 {
        self.hasher.hash_one(of).max(1)
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose secret was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject<'a> {
    /// An account that exists, however it was spelt.
    Account(u32),
    /// A name that no account has, in the one canonical form that an account's name would have been brought
    /// to: all spellings (DN, UPN, bare, upper case) of one name must give the same octets here, as they give
    /// the same account there.
    Unknown(&'a [u8]),
}

/// May it be tried?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Yes.
    Admit,
    /// No, without a hash.
    Refuse {
        /// Seconds until the next try is admitted.
        retry_after_seconds: u64,
    },
}

/// What is too often, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThrottleSettings {
    /// Failures of one name from one source within the window; 0 turns this limit off.
    pub failures_per_name_max: u32,
    /// Failures of one source within the window, whatever the names; 0 turns this limit off.
    pub failures_per_source_max: u32,
    /// Failures count together for so long, and the first refusal lasts as long, in seconds. Each further
    /// one lasts twice as long as the one before.
    pub window_seconds: u64,
    /// A refusal does not grow beyond this; after so long without a failure it starts small again. In seconds.
    pub window_seconds_max: u64,
    /// Names, and sources, that are remembered: 32 octets for each of both, taken at the start.
    pub entries_max: usize,
}

impl Default for ThrottleSettings {
    /// 10 failures of a name, 100 of a source, in a minute, growing to an hour; 16,384 entries, 1 MiB.
    fn default() -> Self {
        Self {
            failures_per_name_max: 10,
            failures_per_source_max: 100,
            window_seconds: 60,
            window_seconds_max: 3_600,
            entries_max: 16_384,
        }
    }
}

/// Apart from each other: one source with many made-up names cannot push itself out of memory.
struct Tables {
    names: Table,
    sources: Table,
}

/// A set-associative table: a key has its place in one set of eight slots, so finding and replacing cost the
/// same however full it is.
struct Table {
    sets: Box<[[Slot; WAYS]]>,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    /// 0: free.
    key: u64,
    /// When the first of the counted failures was.
    since: u64,
    /// Refused before this second.
    until: u64,
    failures: u32,
    /// Refusals so far.
    refusals: u32,
}

impl Table {
    fn new(entries: usize) -> Self {
        let sets = entries.div_ceil(WAYS).clamp(1, SETS_MAX);
        Self { sets: vec![[Slot::default(); WAYS]; sets].into_boxed_slice() }
    }

    fn refused_until(&self, key: u64) -> u64 {
        let set = self.sets.get(self.index(key)).map_or(&[] as &[Slot], <[Slot; WAYS]>::as_slice);
        set.iter().find(|slot| slot.key == key).map_or(0, |slot| slot.until)
    }

    /// Says whether another key was forgotten for it.
    fn failed(&mut self, key: u64, failures_max: u32, settings: &ThrottleSettings, now: u64) -> bool {
        if failures_max == 0 {
            return false;
        }
        let Some((slot, is_displaced)) = self.slot(key) else { return false };
        if now < slot.until {
            // Begun before the refusal: it has been paid for already.
            return false;
        }
        if now.saturating_sub(slot.since.max(slot.until)) >= settings.window_seconds_max {
            slot.refusals = 0;
        }
        if slot.failures == 0 || now.saturating_sub(slot.since) >= settings.window_seconds {
            slot.failures = 0;
            slot.since = now;
        }
        slot.failures += 1;
        if slot.failures >= failures_max {
            let grown =
                settings.window_seconds.saturating_mul(1_u64.checked_shl(slot.refusals).unwrap_or(u64::MAX));
            slot.until =
                now.saturating_add(grown.min(settings.window_seconds_max.max(settings.window_seconds)));
            slot.refusals = slot.refusals.saturating_add(1);
            slot.failures = 0;
        }
        is_displaced
    }

    fn forget(&mut self, key: u64) {
        let index = self.index(key);
        for slot in self.sets.get_mut(index).into_iter().flatten().filter(|slot| slot.key == key) {
            *slot = Slot::default();
        }
    }

    /// The slot of a key, and whether it was another's: its own, a free one, or that of the key which loses least: refused for the shortest
    /// time, then with the oldest failures.
    fn slot(&mut self, key: u64) -> Option<(&mut Slot, bool)> {
        let index = self.index(key);
        let slot = self
            .sets
            .get_mut(index)?
            .iter_mut()
            .min_by_key(|slot| (slot.key != key, slot.key != 0, slot.until, slot.since))?;
        let is_displaced = slot.key != key && slot.key != 0;
        if slot.key != key {
            *slot = Slot { key, ..Slot::default() };
        }
        Some((slot, is_displaced))
    }

    /// The remainder is below the number of sets, which is at least 1.
    fn index(&self, key: u64) -> usize {
        (key % self.sets.len() as u64) as usize
    }
}

const WAYS: usize = 8;

/// 2²⁰ sets are 8 million entries in 256 MiB: more is a slip of the pen.
const SETS_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const ALICE: Subject<'_> = Subject::Account(1);
    const BOB: Subject<'_> = Subject::Account(2);

    fn throttle() -> Throttle {
        Throttle::new(ThrottleSettings {
            failures_per_name_max: 3,
            failures_per_source_max: 10,
            window_seconds: 60,
            window_seconds_max: 200,
            entries_max: 64,
        })
    }

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    fn fail(throttle: &Throttle, subject: Subject<'_>, source: Option<IpAddr>, times: u32, now: u64) {
        for _ in 0..times {
            throttle.failed(subject, source, now);
        }
    }

    #[test]
    fn a_name_is_refused_from_its_source_only() {
        let throttle = throttle();
        let (here, there) = (address("192.0.2.1"), address("192.0.2.2"));
        fail(&throttle, ALICE, here, 2, 1_000);
        assert_eq!(throttle.check(ALICE, here, 1_000), Admission::Admit);
        fail(&throttle, ALICE, here, 1, 1_010);
        assert_eq!(throttle.check(ALICE, here, 1_010), Admission::Refuse { retry_after_seconds: 60 });
        assert_eq!(throttle.check(ALICE, here, 1_069), Admission::Refuse { retry_after_seconds: 1 });
        assert_eq!(throttle.check(ALICE, here, 1_070), Admission::Admit);
        assert_eq!(throttle.check(ALICE, there, 1_010), Admission::Admit);
        assert_eq!(throttle.check(BOB, here, 1_010), Admission::Admit);
        assert_eq!(throttle.refused(), 2);
    }

    #[test]
    fn a_name_that_does_not_exist_is_refused_alike() {
        let throttle = throttle();
        let nobody = Subject::Unknown(b"nobody");
        fail(&throttle, nobody, None, 3, 5);
        assert_eq!(throttle.check(nobody, None, 5), Admission::Refuse { retry_after_seconds: 60 });
        assert_eq!(throttle.check(Subject::Unknown(b"anybody"), None, 5), Admission::Admit);
        assert_eq!(throttle.check(ALICE, None, 5), Admission::Admit);
    }

    #[test]
    fn failures_far_apart_do_not_add_up() {
        let throttle = throttle();
        for round in 0..10 {
            fail(&throttle, ALICE, None, 2, round * 60);
        }
        assert_eq!(throttle.check(ALICE, None, 540), Admission::Admit);
    }

    #[test]
    fn a_refusal_grows_to_its_bound_and_shrinks_after_quiet() {
        let throttle = throttle();
        let mut now = 0;
        for seconds in [60, 120, 200, 200] {
            fail(&throttle, ALICE, None, 3, now);
            assert_eq!(throttle.check(ALICE, None, now), Admission::Refuse { retry_after_seconds: seconds });
            now += seconds;
            assert_eq!(throttle.check(ALICE, None, now), Admission::Admit);
        }
        now += 200;
        fail(&throttle, ALICE, None, 3, now);
        assert_eq!(throttle.check(ALICE, None, now), Admission::Refuse { retry_after_seconds: 60 });
    }

    #[test]
    fn failures_during_a_refusal_do_not_prolong_it() {
        let throttle = throttle();
        fail(&throttle, ALICE, None, 3, 100);
        fail(&throttle, ALICE, None, 3, 130);
        assert_eq!(throttle.check(ALICE, None, 130), Admission::Refuse { retry_after_seconds: 30 });
    }

    #[test]
    fn a_source_is_refused_for_every_name_and_a_success_does_not_help() {
        let throttle = throttle();
        let source = address("2001:db8::1");
        for account in 0..10 {
            throttle.failed(Subject::Account(account), source, 1);
            throttle.succeeded(Subject::Account(99), source);
        }
        let refused = Admission::Refuse { retry_after_seconds: 60 };
        assert_eq!(throttle.check(Subject::Account(500), source, 1), refused);
        assert_eq!(throttle.check(Subject::Unknown(b"x"), address("2001:db8::2"), 1), refused);
        assert_eq!(throttle.check(Subject::Account(500), address("2001:db8:0:1::1"), 1), Admission::Admit);
        assert_eq!(throttle.check(Subject::Account(500), None, 1), Admission::Admit);
    }

    #[test]
    fn a_success_lets_the_name_start_anew() {
        let throttle = throttle();
        fail(&throttle, ALICE, None, 2, 1);
        throttle.succeeded(ALICE, None);
        fail(&throttle, ALICE, None, 2, 2);
        assert_eq!(throttle.check(ALICE, None, 2), Admission::Admit);
    }

    #[test]
    fn a_limit_of_nothing_is_off() {
        let throttle = Throttle::new(ThrottleSettings {
            failures_per_name_max: 0,
            failures_per_source_max: 0,
            ..ThrottleSettings::default()
        });
        fail(&throttle, ALICE, None, 1_000, 1);
        assert_eq!(throttle.check(ALICE, None, 1), Admission::Admit);
    }

    #[test]
    fn made_up_names_do_not_push_the_source_out() {
        let throttle = throttle();
        for name in 0..10_000_u32 {
            throttle.failed(Subject::Unknown(&name.to_le_bytes()), address("192.0.2.1"), 1);
        }
        assert!(matches!(throttle.check(BOB, address("192.0.2.1"), 1), Admission::Refuse { .. }));
    }

    #[test]
    fn what_is_refused_outlives_a_flood_of_first_failures() {
        let throttle = throttle();
        fail(&throttle, ALICE, address("192.0.2.1"), 3, 1);
        for name in 0..10_000_u32 {
            throttle.failed(Subject::Unknown(&name.to_le_bytes()), address("192.0.2.2"), 1);
        }
        assert!(matches!(throttle.check(ALICE, address("192.0.2.1"), 1), Admission::Refuse { .. }));
    }

    #[test]
    fn the_ends_of_the_clock_do_not_panic() {
        let throttle =
            Throttle::new(ThrottleSettings { window_seconds: u64::MAX, ..ThrottleSettings::default() });
        for now in [u64::MAX, 0, u64::MAX] {
            fail(&throttle, ALICE, None, 200, now);
            throttle.check(ALICE, None, now);
        }
    }

    #[test]
    fn a_slot_is_as_large_as_documented() {
        assert_eq!(size_of::<Slot>(), 32);
    }
}
