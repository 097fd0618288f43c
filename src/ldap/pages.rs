//! What lasts from one page of a search to the next: nothing on the connection, only a cookie with the client, and
//! for a while the revisions and orders that pages were answered from.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use subtle::ConstantTimeEq;

use crate::config::{Limit, LimitCounts, Limits};
use crate::directory::{EntryId, Snapshot, Visibility};
use crate::model::{Revision, Timestamp};

/// What all connections of the LDAP door share for paged and sorted searches.
pub struct Pages {
    /// Authenticates cookies; made anew at each start.
    key: [u8; 32],
    snapshots_max: usize,
    snapshot_time: Duration,
    cookie_time: Duration,
    sort_memory_max: u64,
    /// Octets of sort keys and orders that are held now.
    sort_memory: Arc<AtomicU64>,
    kept: Mutex<Kept>,
    reached: Arc<LimitCounts>,
}

/// One digest for all that must be the same from page to page: who asks, and what.
pub(super) type QueryDigest = [u8; 16];

/// Where a sequence of pages stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The revision that the sequence is answered from.
    pub(super) revision: Revision,
    /// The last entry that was sent.
    pub(super) last: EntryId,
}

/// The cookie is forged, belongs to another query or somebody else, or is too old.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cookie is not of this search and account, or too old; begin the search anew")]
pub(super) struct InvalidCookie;

/// What the order of a sorted search depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OrderKey {
    pub(super) revision: Revision,
    pub(super) query: QueryDigest,
    /// What the reader may see: the order of who sees something else is another.
    pub(super) view: QueryDigest,
}

/// The sorted results of a search, shared between its pages.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) ids: Vec<u32>,
    _memory: SortMemory,
}

/// A share of the memory for sorting; it is given back when dropped.
#[derive(Debug)]
pub(super) struct SortMemory {
    octets: u64,
    max: u64,
    used: Arc<AtomicU64>,
}

#[derive(Default)]
struct Kept {
    /// The one that was used last stands last.
    snapshots: VecDeque<(Arc<Snapshot>, Instant)>,
    orders: VecDeque<(OrderKey, Arc<Order>, Instant)>,
}

impl std::fmt::Debug for Pages {
    /// Without the key.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Pages")
            .field("snapshots_kept", &self.snapshots_kept())
            .finish_non_exhaustive()
    }
}

impl Pages {
    /// Nothing is kept yet.
    ///
    /// # Errors
    /// The operating system's random source does not answer.
    pub fn new(limits: &Limits, reached: Arc<LimitCounts>) -> Result<Arc<Self>, getrandom::Error> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        Ok(Arc::new(Self {
            key,
            snapshots_max: limits.paging_snapshots as usize,
            snapshot_time: limits.paging_snapshot_time,
            cookie_time: limits.paging_cookie_time,
            sort_memory_max: limits.sort_memory_max,
            sort_memory: Arc::default(),
            kept: Mutex::default(),
            reached,
        }))
    }

    /// The cookie for the page behind `place`.
    pub(super) fn cookie(&self, place: Place, query: &QueryDigest, now: Timestamp) -> Vec<u8> {
        let mut cookie = Vec::with_capacity(COOKIE_OCTETS);
        cookie.push(COOKIE_VERSION);
        cookie.extend(place.revision.to_be_bytes());
        cookie.extend(place.last.raw().to_be_bytes());
        cookie.extend(now.unix_seconds().to_be_bytes());
        let mac = self.mac(&cookie, query);
        cookie.extend(mac);
        cookie
    }

    /// The place that a cookie stands for.
    ///
    /// # Errors
    /// [`InvalidCookie`].
    pub(super) fn place(
        &self,
        cookie: &[u8],
        query: &QueryDigest,
        now: Timestamp,
    ) -> Result<Place, InvalidCookie> {
        let (contents, mac) = cookie.split_at_checked(COOKIE_OCTETS - MAC_OCTETS).ok_or(InvalidCookie)?;
        if !bool::from(self.mac(contents, query).ct_eq(mac)) {
            return Err(InvalidCookie);
        }
        let mut rest = contents.get(1..).unwrap_or_default();
        let mut take = |octets: usize| -> u64 {
            let (taken, behind) = rest.split_at_checked(octets).unwrap_or((rest, &[]));
            rest = behind;
            taken.iter().fold(0, |value, octet| value << 8 | u64::from(*octet))
        };
        let (revision, last, made) = (take(8), take(4), take(8));
        let age = now.unix_seconds().saturating_sub(made.cast_signed());
        let age_max = i64::try_from(self.cookie_time.as_secs()).unwrap_or(i64::MAX);
        if age > age_max {
            self.reached.note(Limit::paging_cookie_time);
        }
        if contents.first() != Some(&COOKIE_VERSION) || age > age_max {
            return Err(InvalidCookie);
        }
        let last = u32::try_from(last).map_err(|_| InvalidCookie)?;
        Ok(Place { revision, last: EntryId::from_raw(last) })
    }

    /// Keeps a revision for the next page.
    pub(super) fn keep(&self, snapshot: &Arc<Snapshot>, now: Instant) {
        let mut kept = self.kept();
        kept.snapshots.retain(|(other, _)| other.revision() != snapshot.revision());
        kept.snapshots.push_back((snapshot.clone(), now));
        kept.forget(now, self.snapshot_time, self.snapshots_max, &self.reached);
    }

    /// The snapshot of a revision, if it is still kept.
    pub(super) fn snapshot(&self, revision: Revision, now: Instant) -> Option<Arc<Snapshot>> {
        let mut kept = self.kept();
        kept.forget(now, self.snapshot_time, self.snapshots_max, &self.reached);
        let found = kept.snapshots.iter().find(|(snapshot, _)| snapshot.revision() == revision);
        found.map(|(snapshot, _)| snapshot.clone())
    }

    /// Keeps the order of a search for its next page.
    pub(super) fn keep_order(&self, key: OrderKey, order: &Arc<Order>, now: Instant) {
        let mut kept = self.kept();
        kept.orders.retain(|(other, _, _)| *other != key);
        kept.orders.push_back((key, order.clone(), now));
        kept.forget(now, self.snapshot_time, self.snapshots_max, &self.reached);
    }

    /// The order of a search, if it is still kept.
    pub(super) fn order(&self, key: &OrderKey, now: Instant) -> Option<Arc<Order>> {
        let mut kept = self.kept();
        kept.forget(now, self.snapshot_time, self.snapshots_max, &self.reached);
        kept.orders.iter().find(|(other, _, _)| other == key).map(|(_, order, _)| order.clone())
    }

    /// No memory for sorting yet, to be grown.
    pub(super) fn sort_memory(&self) -> SortMemory {
        SortMemory { octets: 0, max: self.sort_memory_max, used: self.sort_memory.clone() }
    }

    /// Octets of sort keys and orders that are held now.
    pub fn sort_memory_used(&self) -> u64 {
        self.sort_memory.load(Ordering::Relaxed)
    }

    /// Revisions that are kept now.
    pub fn snapshots_kept(&self) -> usize {
        self.kept().snapshots.len()
    }

    /// Forgets what is too old; who asks for a page does so too.
    pub fn sweep(&self, now: Instant) {
        self.kept().forget(now, self.snapshot_time, self.snapshots_max, &self.reached);
    }

    fn mac(&self, contents: &[u8], query: &QueryDigest) -> [u8; MAC_OCTETS] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(query).update(contents);
        let mut mac = [0; MAC_OCTETS];
        hasher.finalize_xof().fill(&mut mac);
        mac
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing that holds the lock can leave it half changed.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn forget(&mut self, now: Instant, time: Duration, max: usize, reached: &LimitCounts) {
        let is_old = |since: &Instant| now.saturating_duration_since(*since) > time;
        let before = self.snapshots.len();
        self.snapshots.retain(|(_, since)| !is_old(since));
        self.orders.retain(|(_, _, since)| !is_old(since));
        reached.add(Limit::paging_snapshot_time, (before - self.snapshots.len()) as u64);
        while self.snapshots.len() > max {
            self.snapshots.pop_front();
            reached.note(Limit::paging_snapshots);
        }
        while self.orders.len() > max {
            self.orders.pop_front();
        }
    }
}

impl Order {
    /// Sorted ids that hold `memory`.
    pub(super) fn new(ids: Vec<u32>, mut memory: SortMemory) -> Arc<Self> {
        memory.shrink_to(ids.capacity() as u64 * size_of::<u32>() as u64);
        Arc::new(Self { ids, _memory: memory })
    }
}

impl SortMemory {
    /// Takes more; says whether there was as much.
    #[must_use]
    pub(super) fn grow(&mut self, octets: u64) -> bool {
        let before = self.used.fetch_add(octets, Ordering::Relaxed);
        self.octets += octets;
        before.saturating_add(octets) <= self.max
    }

    fn shrink_to(&mut self, octets: u64) {
        let less = self.octets.saturating_sub(octets);
        self.used.fetch_sub(less, Ordering::Relaxed);
        self.octets -= less;
    }
}

impl Drop for SortMemory {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

/// A digest of what a reader may see.
pub(super) fn view_digest(visibility: &Visibility) -> QueryDigest {
    let mut hasher = blake3::Hasher::new();
    if let Visibility::Own(own) = visibility {
        for id in own.as_slice() {
            hasher.update(&id.raw().to_be_bytes());
        }
        hasher.update(b"own");
    }
    finish(&hasher)
}

/// The first half of a hash: enough against accidents, and cookies are authenticated besides.
pub(super) fn finish(hasher: &blake3::Hasher) -> QueryDigest {
    let mut digest = QueryDigest::default();
    hasher.finalize_xof().fill(&mut digest);
    digest
}

const COOKIE_VERSION: u8 = 1;
const MAC_OCTETS: usize = 16;
/// Version, revision, last entry, time, code.
const COOKIE_OCTETS: usize = 1 + 8 + 4 + 8 + MAC_OCTETS;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn pages(limits: &Limits) -> Arc<Pages> {
        Pages::new(limits, Arc::default()).unwrap()
    }

    #[test]
    fn a_cookie_is_good_for_its_query_its_server_and_its_time() {
        let limits = Limits::default();
        let pages = pages(&limits);
        let place = Place { revision: 7, last: EntryId::from_raw(1_234_567) };
        let query = [3; 16];
        let cookie = pages.cookie(place, &query, NOW);
        assert_eq!(pages.place(&cookie, &query, NOW), Ok(place));
        let late = |seconds| Timestamp::from_unix_seconds(NOW.unix_seconds() + seconds);
        assert_eq!(pages.place(&cookie, &query, late(3_600)), Ok(place));
        assert_eq!(pages.place(&cookie, &query, late(3_601)), Err(InvalidCookie));
        assert_eq!(pages.place(&cookie, &[4; 16], NOW), Err(InvalidCookie));
        assert_eq!(self::pages(&limits).place(&cookie, &query, NOW), Err(InvalidCookie));
        for place in 0..cookie.len() {
            for bit in 0..8 {
                let mut forged = cookie.clone();
                forged[place] ^= 1 << bit;
                assert_eq!(pages.place(&forged, &query, NOW), Err(InvalidCookie), "octet {place}, bit {bit}");
            }
            assert_eq!(pages.place(&cookie[..place], &query, NOW), Err(InvalidCookie));
        }
        assert_eq!(pages.place(&[&cookie[..], &[0]].concat(), &query, NOW), Err(InvalidCookie));
    }

    #[test]
    fn few_revisions_are_kept_and_not_for_long() {
        let limits = Limits { paging_snapshots: 2, ..Limits::default() };
        let pages = pages(&limits);
        let start = Instant::now();
        let snapshot = |revision| {
            let mut snapshot = Snapshot::empty();
            snapshot.set_revision(revision);
            Arc::new(snapshot)
        };
        let after = |seconds| start + Duration::from_secs(seconds);
        pages.keep(&snapshot(1), start);
        pages.keep(&snapshot(2), after(1));
        // Who is used again is kept longer.
        pages.keep(&snapshot(1), after(2));
        pages.keep(&snapshot(3), after(3));
        assert!(pages.snapshot(2, after(3)).is_none());
        assert_eq!(pages.snapshot(1, after(4)).map(|snapshot| snapshot.revision()), Some(1));
        assert!(pages.snapshot(1, after(63)).is_none());
        assert!(pages.snapshot(3, after(63)).is_some());
        pages.sweep(after(64));
        assert_eq!(pages.snapshots_kept(), 0);
    }

    #[test]
    fn memory_for_sorting_is_bounded_and_given_back() {
        let limits = Limits { sort_memory_max: 1_000, ..Limits::default() };
        let pages = pages(&limits);
        let mut one = pages.sort_memory();
        let mut two = pages.sort_memory();
        assert!(one.grow(600));
        assert!(!two.grow(600));
        drop(two);
        let order = Order::new(vec![1; 10], one);
        assert_eq!(pages.sort_memory_used(), 40);
        let key = OrderKey { revision: 1, query: [0; 16], view: [0; 16] };
        let now = Instant::now();
        pages.keep_order(key, &order, now);
        drop(order);
        assert!(pages.order(&key, now).is_some());
        assert!(pages.order(&OrderKey { view: [1; 16], ..key }, now).is_none());
        assert_eq!(pages.sort_memory_used(), 40);
        pages.sweep(now + Duration::from_secs(61));
        assert_eq!(pages.sort_memory_used(), 0);
    }
}
