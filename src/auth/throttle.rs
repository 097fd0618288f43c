//! How often a secret may be wrong. It refuses nobody for what others do: what is wrong too often waits longer.
//!
//! - **A source** (and the IPv6 networks that it lies in) that tries too much is *paced*: its hashes wait in a class of
//!   their own. So is the secret of a token that was wrong too often from there. The right secret still succeeds.
//! - **A name at a source** is *paused* when its secret was wrong too often there: first for a moment, then for twice as
//!   long with each further failure. What is tried meanwhile is answered as a wrong secret is and not counted, so a
//!   pause ends by itself; a cached proof or a secret with a selector is never asked about.
//!
//! It knows names that do not exist like those that do: otherwise a pause would tell which is which. So a name is counted
//! as its text says, never as what it leads to.
//!
//! A source counts a try when it begins, so that many at once are not all within the limit, and takes it back when the
//! secret was right or was not looked at. A name counts a failure when it is known, so it can be tried as often more as its source has a share
//! of the hash queue.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, Hash};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::net::ClientSource;

/// Counts failures, in tables whose size is fixed at the start.
///
/// `now` is the time since any fixed moment, by a clock that does not go back; all calls use the same one.
pub struct Throttle {
    settings: ThrottleSettings,
    /// Keyed at random: nobody can aim at somebody else's slot.
    hasher: RandomState,
    tables: Mutex<Tables>,
    paused: AtomicU64,
    paced_by_source: AtomicU64,
    paced_by_application: AtomicU64,
    paced_by_token: AtomicU64,
    displaced: AtomicU64,
}

impl Throttle {
    /// An empty throttle.
    pub fn new(settings: ThrottleSettings) -> Self {
        let entries = settings.entries_max;
        Self {
            settings,
            hasher: RandomState::new(),
            tables: Mutex::new(Tables {
                names: Table::new(entries),
                tokens: Table::new(entries),
                sources: Table::new(entries),
            }),
            paused: AtomicU64::new(0),
            paced_by_source: AtomicU64::new(0),
            paced_by_application: AtomicU64::new(0),
            paced_by_token: AtomicU64::new(0),
            displaced: AtomicU64::new(0),
        }
    }

    /// Counts a try of a source that will cost a hash, and says whether it is one too many: then the hash is paced.
    ///
    /// What an application's address tries counts for itself alone: the networks around it are not its users'.
    pub fn begin(&self, source: TryingSource, now: Duration) -> bool {
        let now = millis(now);
        let (max, paced) = match source.is_application {
            true => (self.settings.failures_per_application_max, &self.paced_by_application),
            false => (self.settings.failures_per_source_max, &self.paced_by_source),
        };
        if max == 0 {
            return false;
        }
        let mut is_over = false;
        let mut displaced = 0;
        {
            let mut tables = self.lock();
            for key in self.keys_of_source(source) {
                let added = tables.sources.add(key, now, self.window());
                is_over |= added.before >= u64::from(max);
                displaced += u64::from(added.is_displaced);
            }
        }
        self.displaced.fetch_add(displaced, Ordering::Relaxed);
        if is_over {
            paced.fetch_add(1, Ordering::Relaxed);
        }
        is_over
    }

    /// What takes a try back that [`Throttle::begin`] has counted, unless its secret is looked at.
    pub fn unlooked(self: &Arc<Self>, source: TryingSource, now: Duration) -> Unlooked {
        Unlooked { throttle: Some(Arc::clone(self)), source, now }
    }

    /// The try was no failure: the secret was right, or was not looked at.
    pub fn take_back(&self, source: TryingSource, now: Duration) {
        let now = millis(now);
        let mut tables = self.lock();
        for key in self.keys_of_source(source) {
            tables.sources.take_back(key, now, self.window());
        }
    }

    /// Whether the secret of a token was wrong too often from there: then its hash is paced.
    pub fn is_token_paced(&self, token: u32, source: Option<IpAddr>, now: Duration) -> bool {
        let max = u64::from(self.settings.failures_per_token_max);
        let key = self.key((token, ClientSource::from(source)));
        let is_over = max > 0 && self.lock().tokens.count(key, millis(now), self.window()) > max;
        if is_over {
            self.paced_by_token.fetch_add(1, Ordering::Relaxed);
        }
        is_over
    }

    /// Notes that a secret with the selector of a token was wrong.
    pub fn token_failed(&self, token: u32, source: Option<IpAddr>, now: Duration) {
        if self.settings.failures_per_token_max == 0 {
            return;
        }
        let key = self.key((token, ClientSource::from(source)));
        let added = self.lock().tokens.add(key, millis(now), self.window());
        self.displaced.fetch_add(u64::from(added.is_displaced), Ordering::Relaxed);
    }

    /// Whether a name is paused at a source; counts the try that asks. A name has one form, made from its text and the
    /// configuration alone, never from whether there is such an account.
    pub fn is_paused(&self, name: &[u8], source: Option<IpAddr>, now: Duration) -> bool {
        let until = self.lock().names.paused_until(self.key((name, ClientSource::from(source))));
        let is_paused = millis(now) < until;
        if is_paused {
            self.paused.fetch_add(1, Ordering::Relaxed);
        }
        is_paused
    }

    /// Notes that the secret of a name was wrong.
    pub fn failed(&self, name: &[u8], source: Option<IpAddr>, now: Duration) {
        let source = ClientSource::from(source);
        let new =
            NameSlot { key: self.key((name, source)), name: self.key(name), source, ..NameSlot::default() };
        let is_displaced = self.lock().names.failed(new, &self.settings, millis(now));
        self.displaced.fetch_add(u64::from(is_displaced), Ordering::Relaxed);
    }

    /// Notes that the secret of whom a name is was right: it starts anew at this source.
    pub fn succeeded(&self, name: &[u8], source: Option<IpAddr>) {
        let key = self.key((name, ClientSource::from(source)));
        self.lock().names.forget(|slot| slot.key == key, Some(key));
    }

    /// Where any of these names is paused now, and until its last pause there ends.
    pub fn pauses(&self, names: &BTreeSet<Vec<u8>>, now: Duration) -> Vec<Pause> {
        self.pauses_of(&self.keys_of_names(names), millis(now))
    }

    /// Forgets the failures of these names, wherever they were; says at how many sources that has ended pauses.
    pub fn unlock(&self, names: &BTreeSet<Vec<u8>>, now: Duration) -> usize {
        let names = self.keys_of_names(names);
        let ended = self.pauses_of(&names, millis(now)).len();
        self.lock().names.forget(|slot| slot.key != 0 && names.contains(&slot.name), None);
        ended
    }

    fn pauses_of(&self, names: &[u64], now: u64) -> Vec<Pause> {
        let mut left: BTreeMap<ClientSource, u64> = BTreeMap::new();
        for slot in self.lock().names.slots().filter(|slot| now < slot.until && names.contains(&slot.name)) {
            let longest = left.entry(slot.source).or_default();
            *longest = (*longest).max(slot.until - now);
        }
        left.into_iter().map(|(source, left)| Pause { source, left: Duration::from_millis(left) }).collect()
    }

    fn keys_of_names(&self, names: &BTreeSet<Vec<u8>>) -> Vec<u64> {
        names.iter().map(|name| self.key(name.as_slice())).collect()
    }

    /// What was paused and paced since the start.
    pub fn counts(&self) -> ThrottleCounts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        ThrottleCounts {
            paused: read(&self.paused),
            paced_by_source: read(&self.paced_by_source),
            paced_by_application: read(&self.paced_by_application),
            paced_by_token: read(&self.paced_by_token),
            displaced: read(&self.displaced),
        }
    }

    fn keys_of_source(&self, source: TryingSource) -> impl Iterator<Item = u64> {
        let networks = if source.is_application { 1 } else { usize::MAX };
        ClientSource::from(source.address).networks().take(networks).map(|network| self.key(network))
    }

    fn window(&self) -> u64 {
        millis(self.settings.window).max(1)
    }

    /// 0 means a free slot; whoever hashes to it shares the key 1, which takes 2⁶⁴ names to happen.
    fn key(&self, of: impl Hash) -> u64 {
        self.hasher.hash_one(of).max(1)
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a try comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TryingSource {
    /// `None`: the local socket.
    pub address: Option<IpAddr>,
    /// Whether an application that binds as people is at home there.
    pub is_application: bool,
}

/// That an account is paused at a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// Where.
    pub source: ClientSource,
    /// How long it will last.
    pub left: Duration,
}

/// What a throttle did since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ThrottleCounts {
    /// Tries of names that were paused.
    pub paused: u64,
    /// Tries that were paced for their source.
    pub paced_by_source: u64,
    /// Tries that were paced for their source, where an application is at home.
    pub paced_by_application: u64,
    /// Tries that were paced for their token.
    pub paced_by_token: u64,
    /// Names, tokens and sources that were forgotten to make room for others.
    pub displaced: u64,
}

/// What is too often, and for how long. A limit of 0 is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThrottleSettings {
    /// Failures of one name from one source within the window; then it is paused there.
    pub failures_per_name_max: u32,
    /// Failures of one source within the window, whatever the names.
    pub failures_per_source_max: u32,
    /// The same of a source where an application is at home that binds as people.
    pub failures_per_application_max: u32,
    /// Failures of secrets with the selector of one token from one source within the window.
    pub failures_per_token_max: u32,
    /// Failures count together for so long; a pause does not grow beyond it, and after so long without a failure the
    /// next one is as short as the first.
    pub window: Duration,
    /// How long the first pause is. Each further failure makes one that is twice as long.
    pub pause_min: Duration,
    /// Names, tokens and sources that are remembered: 104 octets for all three, taken at the start.
    pub entries_max: usize,
}

impl Default for ThrottleSettings {
    fn default() -> Self {
        Self {
            failures_per_name_max: 10,
            failures_per_source_max: 100,
            failures_per_application_max: 1_000,
            failures_per_token_max: 5,
            window: Duration::from_secs(300),
            pause_min: Duration::from_secs(1),
            entries_max: 16_384,
        }
    }
}

/// Apart from each other: one source with many made-up names cannot push itself out of memory.
struct Tables {
    names: Table<NameSlot>,
    tokens: Table<CountSlot>,
    sources: Table<CountSlot>,
}

/// A set-associative table: a key has its place in one set of eight slots, so finding and replacing cost the
/// same however full it is.
struct Table<Slot> {
    sets: Box<[[Slot; WAYS]]>,
}

/// A slot of a table.
trait Keyed: Copy + Default {
    /// 0: nobody's.
    fn key(&self) -> u64;

    /// What is lost when it is forgotten, the least first; (0, 0): nothing.
    fn worth(&self) -> (u64, u64);
}

/// The failures of a name at a source. Times are in milliseconds.
#[derive(Clone, Copy)]
struct NameSlot {
    key: u64,
    /// What the name is known by, wherever it is tried.
    name: u64,
    source: ClientSource,
    /// When the first of the counted failures was.
    since: u64,
    /// Paused before this time.
    until: u64,
    failures: u32,
    /// Pauses so far.
    pauses: u32,
}

impl Default for NameSlot {
    fn default() -> Self {
        Self { key: 0, name: 0, source: ClientSource::Local, since: 0, until: 0, failures: 0, pauses: 0 }
    }
}

impl Keyed for NameSlot {
    fn key(&self) -> u64 {
        self.key
    }

    /// Paused for the longest time, then with the newest failures.
    fn worth(&self) -> (u64, u64) {
        (self.until, self.since)
    }
}

/// A try that was counted, whose secret was not looked at yet. Dropped, it is taken back: it found no place, lost it, or
/// its client has gone.
pub struct Unlooked {
    /// `None`: the secret is looked at.
    throttle: Option<Arc<Throttle>>,
    source: TryingSource,
    /// When it was counted.
    now: Duration,
}

impl Unlooked {
    /// The secret is looked at, so the try counts until it is known to be right.
    pub fn look(mut self) {
        self.throttle = None;
    }
}

impl Drop for Unlooked {
    fn drop(&mut self) {
        if let Some(throttle) = &self.throttle {
            throttle.take_back(self.source, self.now);
        }
    }
}

impl std::fmt::Debug for Unlooked {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Unlooked").field("source", &self.source).finish_non_exhaustive()
    }
}

/// Failures within a window that goes along with the time: those of the present one, and as much of those before it as
/// the window still covers, as if they had been spread evenly.
#[derive(Clone, Copy, Default)]
struct CountSlot {
    key: u64,
    /// When the present window began, in milliseconds.
    since: u64,
    count: u32,
    count_before: u32,
}

impl Keyed for CountSlot {
    fn key(&self) -> u64 {
        self.key
    }

    fn worth(&self) -> (u64, u64) {
        match u64::from(self.count) + u64::from(self.count_before) {
            0 => (0, 0),
            failures => (failures, self.since),
        }
    }
}

impl CountSlot {
    /// Moves the window so that `now` lies in it.
    fn roll(&mut self, now: u64, window: u64) {
        let passed = now.saturating_sub(self.since);
        if passed >= window.saturating_mul(2) {
            (self.count, self.count_before, self.since) = (0, 0, now);
        } else if passed >= window {
            (self.count_before, self.count) = (self.count, 0);
            self.since = self.since.saturating_add(window);
        }
    }

    /// How many there were within the window before `now`.
    fn within(&self, now: u64, window: u64) -> u64 {
        let covered = window.saturating_sub(now.saturating_sub(self.since));
        let before = u128::from(self.count_before) * u128::from(covered) / u128::from(window.max(1));
        u64::from(self.count) + u64::try_from(before).unwrap_or(u64::MAX)
    }
}

/// How one more was counted.
struct Added {
    /// How many there were before it.
    before: u64,
    /// Whether another key was forgotten for it.
    is_displaced: bool,
}

impl Table<CountSlot> {
    fn add(&mut self, key: u64, now: u64, window: u64) -> Added {
        let Some((slot, is_displaced)) = self.slot(key) else {
            return Added { before: 0, is_displaced: false };
        };
        if slot.key != key {
            *slot = CountSlot { key, since: now, ..CountSlot::default() };
        }
        slot.roll(now, window);
        let before = slot.within(now, window);
        slot.count = slot.count.saturating_add(1);
        Added { before, is_displaced }
    }

    fn take_back(&mut self, key: u64, now: u64, window: u64) {
        let Some(slot) = self.find_mut(key) else { return };
        slot.roll(now, window);
        // One that began in the window before.
        let count = if slot.count > 0 { &mut slot.count } else { &mut slot.count_before };
        *count = count.saturating_sub(1);
    }

    fn count(&mut self, key: u64, now: u64, window: u64) -> u64 {
        let Some(slot) = self.find_mut(key) else { return 0 };
        slot.roll(now, window);
        slot.within(now, window)
    }
}

impl Table<NameSlot> {
    fn paused_until(&mut self, key: u64) -> u64 {
        self.find_mut(key).map_or(0, |slot| slot.until)
    }

    /// Counts a failure of a name, which may be new; says whether another was forgotten for it.
    fn failed(&mut self, new: NameSlot, settings: &ThrottleSettings, now: u64) -> bool {
        let (failures_max, window) = (settings.failures_per_name_max, millis(settings.window));
        if failures_max == 0 {
            return false;
        }
        let Some((slot, is_displaced)) = self.slot(new.key) else { return false };
        if slot.key != new.key {
            *slot = new;
        }
        if now < slot.until {
            // Begun before the pause: it has been paid for already.
            return is_displaced;
        }
        if slot.pauses > 0 && now.saturating_sub(slot.until) >= window {
            (slot.pauses, slot.failures) = (0, 0);
        }
        if slot.failures == 0 || (slot.pauses == 0 && now.saturating_sub(slot.since) >= window) {
            (slot.failures, slot.since) = (0, now);
        }
        slot.failures = slot.failures.saturating_add(1);
        if slot.failures >= failures_max {
            let pause_min = millis(settings.pause_min).max(1);
            let grown = pause_min.saturating_mul(1_u64.checked_shl(slot.pauses).unwrap_or(u64::MAX));
            slot.until = now.saturating_add(grown.min(window.max(pause_min)));
            slot.pauses = slot.pauses.saturating_add(1);
        }
        is_displaced
    }

    fn slots(&self) -> impl Iterator<Item = &NameSlot> {
        self.sets.iter().flatten()
    }

    /// Frees the slots that `is_to_go` says of all, or of the set of one key.
    fn forget(&mut self, is_to_go: impl Fn(&NameSlot) -> bool, of: Option<u64>) {
        let sets = match of {
            Some(key) => {
                let index = self.index(key);
                self.sets.get_mut(index..=index)
            }
            None => Some(&mut *self.sets),
        };
        for slot in sets.into_iter().flatten().flatten().filter(|slot| is_to_go(slot)) {
            *slot = NameSlot::default();
        }
    }
}

impl<Slot: Keyed> Table<Slot> {
    fn new(entries: usize) -> Self {
        let sets = entries.div_ceil(WAYS).clamp(1, SETS_MAX);
        Self { sets: vec![[Slot::default(); WAYS]; sets].into_boxed_slice() }
    }

    fn find_mut(&mut self, key: u64) -> Option<&mut Slot> {
        let index = self.index(key);
        self.sets.get_mut(index)?.iter_mut().find(|slot| slot.key() == key)
    }

    /// The slot for a key, and whether something is lost when it is taken: its own, a free one, or that of the key which
    /// loses least.
    fn slot(&mut self, key: u64) -> Option<(&mut Slot, bool)> {
        let index = self.index(key);
        let slot =
            self.sets.get_mut(index)?.iter_mut().min_by_key(|slot| (slot.key() != key, slot.worth()))?;
        let is_displaced = slot.key() != key && slot.worth() > (0, 0);
        Some((slot, is_displaced))
    }

    /// The remainder is below the number of sets, which is at least 1.
    fn index(&self, key: u64) -> usize {
        (key % self.sets.len() as u64) as usize
    }
}

/// In 584 million years.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

const WAYS: usize = 8;

/// 2²⁰ sets are 8 million entries in 832 MiB: more is a slip of the pen.
/// No limit of the config: the upper end of `throttle_entries_max`.
const SETS_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const ALICE: &[u8] = b"alice";
    const BOB: &[u8] = b"bob";

    fn settings() -> ThrottleSettings {
        ThrottleSettings {
            failures_per_name_max: 3,
            failures_per_source_max: 10,
            failures_per_application_max: 100,
            failures_per_token_max: 5,
            window: at(60),
            pause_min: at(1),
            entries_max: 64,
        }
    }

    fn throttle() -> Throttle {
        Throttle::new(settings())
    }

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    fn stranger(text: &str) -> TryingSource {
        TryingSource { address: address(text), is_application: false }
    }

    fn fail(throttle: &Throttle, subject: &[u8], source: Option<IpAddr>, times: u32, now: Duration) {
        for _ in 0..times {
            throttle.failed(subject, source, now);
        }
    }

    fn names(name: &[u8]) -> BTreeSet<Vec<u8>> {
        BTreeSet::from([name.to_vec()])
    }

    /// How long a name is paused, in seconds, from a time at which it is.
    fn pause(throttle: &Throttle, subject: &[u8], source: Option<IpAddr>, now: u64) -> u64 {
        (0..).find(|passed| !throttle.is_paused(subject, source, at(now + passed))).unwrap()
    }

    #[test]
    fn a_name_is_paused_at_its_source_only() {
        let throttle = throttle();
        let (here, there) = (address("192.0.2.1"), address("192.0.2.2"));
        fail(&throttle, ALICE, here, 2, at(1_000));
        assert!(!throttle.is_paused(ALICE, here, at(1_000)));
        fail(&throttle, ALICE, here, 1, at(1_010));
        assert!(throttle.is_paused(ALICE, here, at(1_010)));
        assert!(throttle.is_paused(ALICE, here, Duration::from_millis(1_010_999)));
        assert!(!throttle.is_paused(ALICE, here, at(1_011)));
        assert!(!throttle.is_paused(ALICE, there, at(1_010)));
        assert!(!throttle.is_paused(BOB, here, at(1_010)));
        assert_eq!(throttle.counts(), ThrottleCounts { paused: 2, ..ThrottleCounts::default() });
    }

    #[test]
    fn a_name_that_does_not_exist_is_paused_alike() {
        let throttle = throttle();
        let nobody = b"nobody";
        let mut now = 5;
        fail(&throttle, nobody, None, 2, at(now));
        for seconds in [1, 2, 4] {
            fail(&throttle, nobody, None, 1, at(now));
            assert_eq!(pause(&throttle, nobody, None, now), seconds);
            now += seconds;
        }
        assert!(!throttle.is_paused(b"anybody", None, at(5)));
        assert!(!throttle.is_paused(ALICE, None, at(5)));
    }

    #[test]
    fn failures_far_apart_do_not_add_up() {
        let throttle = throttle();
        for round in 0..10 {
            fail(&throttle, ALICE, None, 2, at(round * 60));
        }
        assert!(!throttle.is_paused(ALICE, None, at(540)));
    }

    #[test]
    fn a_pause_doubles_with_each_failure_to_its_bound_and_is_short_after_quiet() {
        let throttle = throttle();
        let mut now = 0;
        fail(&throttle, ALICE, None, 2, at(now));
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            fail(&throttle, ALICE, None, 1, at(now));
            assert_eq!(pause(&throttle, ALICE, None, now), seconds);
            now += seconds;
        }
        // Quiet for less than the window: as before.
        now += 59;
        fail(&throttle, ALICE, None, 1, at(now));
        assert_eq!(pause(&throttle, ALICE, None, now), 60);
        now += 120;
        fail(&throttle, ALICE, None, 2, at(now));
        assert!(!throttle.is_paused(ALICE, None, at(now)));
        fail(&throttle, ALICE, None, 1, at(now));
        assert_eq!(pause(&throttle, ALICE, None, now), 1);
    }

    #[test]
    fn failures_during_a_pause_do_not_prolong_it() {
        let throttle = throttle();
        fail(&throttle, ALICE, None, 4, at(100));
        assert_eq!(pause(&throttle, ALICE, None, 100), 1);
        fail(&throttle, ALICE, None, 1, at(101));
        fail(&throttle, ALICE, None, 9, at(102));
        assert_eq!(pause(&throttle, ALICE, None, 101), 2);
    }

    #[test]
    fn a_source_is_paced_whatever_the_names_until_its_failures_are_old() {
        let throttle = throttle();
        let source = stranger("192.0.2.1");
        for _ in 0..10 {
            assert!(!throttle.begin(source, at(1)));
        }
        assert!(throttle.begin(source, at(1)));
        assert!(!throttle.begin(stranger("192.0.2.2"), at(1)));
        assert!(!throttle.begin(TryingSource { address: None, is_application: false }, at(1)));
        // Of the eleven of the first window half count in the middle of the second.
        assert!(throttle.begin(source, at(62)));
        assert!(!throttle.begin(source, at(91)));
        assert!(!throttle.begin(source, at(500)));
        assert_eq!(throttle.counts(), ThrottleCounts { paced_by_source: 2, ..ThrottleCounts::default() });
    }

    #[test]
    fn what_was_right_is_no_failure_of_its_source() {
        let throttle = throttle();
        let source = stranger("192.0.2.1");
        for now in 0..1_000 {
            assert!(!throttle.begin(source, at(now)));
            throttle.take_back(source, at(now));
        }
        // Many at once count until they are known to be right.
        assert_eq!((0..20).filter(|_| throttle.begin(source, at(2_000))).count(), 10);
        for _ in 0..20 {
            throttle.take_back(source, at(2_059));
        }
        assert!(!throttle.begin(source, at(2_060)));
        throttle.take_back(stranger("192.0.2.9"), at(2_060));
    }

    #[test]
    fn an_address_of_an_application_may_fail_more_often() {
        let throttle = throttle();
        let source = TryingSource { address: address("2001:db8::1"), is_application: true };
        assert_eq!((0..120).filter(|_| throttle.begin(source, at(1))).count(), 20);
        assert_eq!(throttle.counts().paced_by_application, 20);
        // For itself: who is near it has failed in nothing, but at the same address nobody is a stranger to it.
        assert!(!throttle.begin(stranger("2001:db8:0:1::1"), at(1)));
        assert!(throttle.begin(stranger("2001:db8::1"), at(1)));
    }

    #[test]
    fn an_ipv6_network_is_a_source_too() {
        for (wide, near, far) in [
            ("2001:db8:1:23{:02x}::1", "2001:db8:1:23ff::1", "2001:db8:2::1"),
            ("2001:db8:1:{:02x}00::1", "2001:db8:1:ff00::1", "2001:db8:2::1"),
        ] {
            let throttle = throttle();
            for subnet in 0..10_u8 {
                let text = wide.replace("{:02x}", &format!("{subnet:02x}"));
                assert!(!throttle.begin(stranger(&text), at(1)), "{text}");
            }
            assert!(throttle.begin(stranger(near), at(1)), "{near}");
            assert!(!throttle.begin(stranger(far), at(1)), "{far}");
        }
    }

    #[test]
    fn a_token_is_paced_where_its_secret_was_wrong_too_often() {
        let throttle = throttle();
        let (here, there) = (address("192.0.2.1"), address("192.0.2.2"));
        for _ in 0..6 {
            assert!(!throttle.is_token_paced(7, here, at(1)));
            throttle.token_failed(7, here, at(1));
        }
        assert!(throttle.is_token_paced(7, here, at(1)));
        assert!(!throttle.is_token_paced(7, there, at(1)));
        assert!(!throttle.is_token_paced(8, here, at(1)));
        assert!(!throttle.is_token_paced(7, here, at(200)));
        assert_eq!(throttle.counts(), ThrottleCounts { paced_by_token: 1, ..ThrottleCounts::default() });
    }

    #[test]
    fn a_success_lets_the_name_start_anew() {
        let throttle = throttle();
        fail(&throttle, ALICE, None, 2, at(1));
        throttle.succeeded(ALICE, None);
        fail(&throttle, ALICE, None, 2, at(2));
        assert!(!throttle.is_paused(ALICE, None, at(2)));
    }

    #[test]
    fn the_pauses_of_an_account_are_told_and_ended() {
        let throttle = throttle();
        let (here, there) = (address("192.0.2.1"), address("2001:db8::1"));
        for source in [here, there] {
            fail(&throttle, ALICE, source, 3, at(10));
            fail(&throttle, BOB, source, 3, at(10));
            fail(&throttle, b"x", source, 3, at(10));
        }
        fail(&throttle, ALICE, there, 1, at(11));
        let mut pauses = throttle.pauses(&names(ALICE), at(11));
        pauses.sort_by_key(|pause| pause.left);
        assert_eq!(pauses, [Pause { source: ClientSource::from(there), left: at(2) }]);
        assert_eq!(throttle.pauses(&names(ALICE), Duration::from_millis(10_500)).len(), 2);
        assert_eq!(throttle.unlock(&names(ALICE), at(11)), 1);
        assert!(
            throttle.pauses(&names(ALICE), at(11)).is_empty() && !throttle.is_paused(ALICE, there, at(11))
        );
        assert_eq!(throttle.pauses(&names(BOB), Duration::from_millis(10_500)).len(), 2);
        // It starts anew.
        fail(&throttle, ALICE, there, 2, at(11));
        assert!(!throttle.is_paused(ALICE, there, at(11)));
    }

    #[test]
    fn a_limit_of_nothing_is_off() {
        let throttle = Throttle::new(ThrottleSettings {
            failures_per_name_max: 0,
            failures_per_source_max: 0,
            failures_per_application_max: 0,
            failures_per_token_max: 0,
            ..ThrottleSettings::default()
        });
        fail(&throttle, ALICE, None, 1_000, at(1));
        for _ in 0..1_000 {
            throttle.token_failed(7, None, at(1));
            assert!(!throttle.begin(stranger("192.0.2.1"), at(1)));
        }
        assert!(!throttle.is_paused(ALICE, None, at(1)));
        assert!(!throttle.is_token_paced(7, None, at(1)));
    }

    #[test]
    fn many_sources_do_not_push_one_out_that_fails() {
        let throttle = throttle();
        for _ in 0..10 {
            throttle.begin(stranger("192.0.2.1"), at(1));
        }
        for number in 0..10_000_u32 {
            throttle.begin(
                TryingSource { address: Some(IpAddr::from(number.to_be_bytes())), is_application: false },
                at(1),
            );
        }
        assert!(throttle.begin(stranger("192.0.2.1"), at(1)));
        assert!(throttle.counts().displaced > 9_000);
    }

    #[test]
    fn what_is_paused_outlives_a_flood_of_first_failures() {
        let throttle = throttle();
        fail(&throttle, ALICE, address("192.0.2.1"), 3, at(1));
        for name in 0..10_000_u32 {
            throttle.failed(&name.to_le_bytes(), address("192.0.2.2"), at(1));
        }
        assert!(throttle.is_paused(ALICE, address("192.0.2.1"), at(1)));
    }

    #[test]
    fn the_ends_of_the_clock_do_not_panic() {
        for window in [Duration::MAX, Duration::ZERO] {
            let throttle =
                Throttle::new(ThrottleSettings { window, pause_min: window, ..ThrottleSettings::default() });
            for now in [Duration::MAX, Duration::ZERO, Duration::MAX] {
                fail(&throttle, ALICE, None, 200, now);
                throttle.is_paused(ALICE, None, now);
                for _ in 0..200 {
                    throttle.begin(stranger("2001:db8::1"), now);
                    throttle.token_failed(1, None, now);
                }
                throttle.is_token_paced(1, None, now);
                throttle.take_back(stranger("2001:db8::1"), now);
                throttle.pauses(&names(ALICE), now);
                throttle.unlock(&names(ALICE), now);
            }
        }
    }

    #[test]
    fn slots_are_as_large_as_documented() {
        assert_eq!(size_of::<NameSlot>() + 2 * size_of::<CountSlot>(), 104);
    }
}
