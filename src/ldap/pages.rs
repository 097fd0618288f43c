//! What lasts from one page of a search to the next: nothing on the connection, only a cookie with the client, and
//! for a while the revisions and orders that pages were answered from.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};

use crate::config::{Limit, LimitCounts, Limits};
use crate::directory::{EntryId, Snapshot, Visibility};
use crate::model::{Revision, Timestamp};
use crate::net::{Budget, MemoryHolder, MemoryHolders, Share};

/// What all connections of the LDAP door share for paged and sorted searches.
pub struct Pages {
    /// Seals cookies; its key is made anew at each start.
    cipher: XChaCha20Poly1305,
    nonces: Nonces,
    snapshots_max: usize,
    snapshot_time: Duration,
    cookie_time: Duration,
    sort_memory: Arc<Budget<MemoryHolder>>,
    kept: Mutex<Kept>,
    reached: Arc<LimitCounts>,
}

/// One digest for all that must be the same from page to page: who asks, and what.
pub(super) type QueryDigest = [u8; 16];

/// Where a sequence of pages stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The revision that the sequence is answered from, while that is kept.
    pub(super) revision: Revision,
    /// The last entry that was sent.
    pub(super) last: EntryId,
    /// What that entry was sorted by when it was sent: its first [`ORDER_OCTETS_MAX`] octets, and a digest of more; empty: the sequence has no order
    /// but that of the ids.
    pub(super) order: Vec<u8>,
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
    pub(super) visibility: QueryDigest,
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
    share: Share<MemoryHolder>,
}

/// Numbers for one use each that tell nothing of how many there were: the counter is hashed under a key of its own.
struct Nonces {
    key: [u8; 32],
    next: AtomicU64,
}

#[derive(Default)]
struct Kept {
    snapshots: Shelf<Revision, Arc<Snapshot>>,
    orders: Shelf<OrderKey, Arc<Order>>,
}

/// What is kept for a while, each for whoever uses it. Where there is too much, whoever has the most loses first.
struct Shelf<K, V> {
    /// The one that was used last stands last.
    items: VecDeque<Item<K, V>>,
}

struct Item<K, V> {
    key: K,
    value: V,
    /// The account that it is kept for, or the source of who is nobody.
    holder: Option<MemoryHolder>,
    since: Instant,
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
        let (mut key, mut nonce_key) = ([0; 32], [0; 32]);
        getrandom::fill(&mut key)?;
        getrandom::fill(&mut nonce_key)?;
        Ok(Arc::new(Self {
            cipher: XChaCha20Poly1305::new(&Key::from(key)),
            nonces: Nonces { key: nonce_key, next: AtomicU64::new(0) },
            snapshots_max: limits.paging_snapshots as usize,
            snapshot_time: limits.paging_snapshot_time,
            cookie_time: limits.paging_cookie_time,
            sort_memory: Budget::new(limits.sort_memory_max),
            kept: Mutex::default(),
            reached,
        }))
    }

    /// The cookie for the page behind `place`. Whoever holds it reads nothing in it: the revision would count the changes
    /// that it may not see, the entry those between two of its own. Two for one place are not alike.
    pub(super) fn cookie(&self, place: &Place, query: &QueryDigest, now: Timestamp) -> Vec<u8> {
        let mut contents = Vec::with_capacity(8 + 4 + 8 + place.order.len());
        contents.extend_from_slice(&place.revision.to_be_bytes());
        contents.extend_from_slice(&place.last.raw().to_be_bytes());
        contents.extend_from_slice(&now.unix_seconds().to_be_bytes());
        contents.extend_from_slice(&place.order);
        let nonce = self.nonces.take();
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), Payload { msg: &contents, aad: query });
        // Only a message of gigabytes cannot be sealed. A cookie without contents opens as none.
        [nonce.as_slice(), &sealed.unwrap_or_default()].concat()
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
        let (nonce, sealed) = cookie.split_first_chunk::<NONCE_OCTETS>().ok_or(InvalidCookie)?;
        let opened = self.cipher.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: query });
        let contents = opened.map_err(|_| InvalidCookie)?;
        let (revision, rest) = contents.split_first_chunk().ok_or(InvalidCookie)?;
        let (last, rest) = rest.split_first_chunk().ok_or(InvalidCookie)?;
        let (made, order) = rest.split_first_chunk().ok_or(InvalidCookie)?;
        let made = i64::from_be_bytes(*made);
        let age_max = i64::try_from(self.cookie_time.as_secs()).unwrap_or(i64::MAX);
        if now.unix_seconds().saturating_sub(made) > age_max {
            self.reached.note(Limit::paging_cookie_time);
            return Err(InvalidCookie);
        }
        let last = EntryId::from_raw(u32::from_be_bytes(*last));
        Ok(Place { revision: u64::from_be_bytes(*revision), last, order: order.to_vec() })
    }

    /// Keeps a revision for the next page.
    pub(super) fn keep(&self, snapshot: &Arc<Snapshot>, holders: MemoryHolders, now: Instant) {
        let mut kept = self.kept();
        kept.snapshots.put(snapshot.revision(), snapshot.clone(), holders, now);
        kept.forget(now, self.snapshot_time, self.snapshots_max, &self.reached);
    }

    /// The snapshot of a revision, if it is still kept.
    pub(super) fn snapshot(&self, revision: Revision, now: Instant) -> Option<Arc<Snapshot>> {
        let mut kept = self.kept();
        kept.forget(now, self.snapshot_time, self.snapshots_max, &self.reached);
        kept.snapshots.take_up(&revision).map(|item| item.value.clone())
    }

    /// Keeps the order of a search for its next page.
    pub(super) fn keep_order(&self, key: OrderKey, order: &Arc<Order>, holders: MemoryHolders, now: Instant) {
        let mut kept = self.kept();
        kept.orders.put(key, order.clone(), holders, now);
        kept.forget(now, self.snapshot_time, self.snapshots_max, &self.reached);
    }

    /// The order of a search, if it is still kept.
    pub(super) fn order(&self, key: &OrderKey, now: Instant) -> Option<Arc<Order>> {
        let mut kept = self.kept();
        kept.forget(now, self.snapshot_time, self.snapshots_max, &self.reached);
        // The page behind this one is answered from it too.
        let item = kept.orders.take_up(key)?;
        item.since = now;
        Some(item.value.clone())
    }

    /// No memory for sorting yet, to be grown.
    pub(super) fn sort_memory(&self, holders: MemoryHolders) -> SortMemory {
        SortMemory { octets: 0, share: self.sort_memory.share(holders) }
    }

    /// Octets of sort keys and orders that are held now.
    #[cfg(test)]
    pub fn sort_memory_used(&self) -> u64 {
        self.sort_memory.used()
    }

    /// Revisions that are kept now.
    pub fn snapshots_kept(&self) -> usize {
        self.kept().snapshots.items.len()
    }

    /// Forgets what is too old; who asks for a page does so too.
    pub fn sweep(&self, now: Instant) {
        self.kept().forget(now, self.snapshot_time, self.snapshots_max, &self.reached);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing that holds the lock can leave it half changed.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Nonces {
    fn take(&self) -> [u8; NONCE_OCTETS] {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut nonce = [0; NONCE_OCTETS];
        blake3::Hasher::new_keyed(&self.key).update(&number.to_be_bytes()).finalize_xof().fill(&mut nonce);
        nonce
    }
}

impl Kept {
    fn forget(&mut self, now: Instant, time: Duration, max: usize, reached: &LimitCounts) {
        reached.add(Limit::paging_snapshot_time, self.snapshots.drop_old(now, time));
        self.orders.drop_old(now, time);
        reached.add(Limit::paging_snapshots, self.snapshots.drop_beyond(max));
        self.orders.drop_beyond(max);
    }
}

impl<K, V> Default for Shelf<K, V> {
    fn default() -> Self {
        Self { items: VecDeque::new() }
    }
}

impl<K: PartialEq, V> Shelf<K, V> {
    /// What several use is kept for the one of them who has less: it does not go with what the other has too much.
    fn put(&mut self, key: K, value: V, [account, source, ..]: MemoryHolders, now: Instant) {
        let mut holder = account.or(source);
        if let Some(at) = self.place(&key)
            && let Some(before) = self.items.remove(at)
            && self.count(before.holder) < self.count(holder)
        {
            holder = before.holder;
        }
        self.items.push_back(Item { key, value, holder, since: now });
    }

    /// It is used again.
    fn take_up(&mut self, key: &K) -> Option<&mut Item<K, V>> {
        let item = self.items.remove(self.place(key)?)?;
        self.items.push_back(item);
        self.items.back_mut()
    }

    fn place(&self, key: &K) -> Option<usize> {
        self.items.iter().position(|item| item.key == *key)
    }

    fn count(&self, holder: Option<MemoryHolder>) -> usize {
        self.items.iter().filter(|item| item.holder == holder).count()
    }

    /// Says how many were too old.
    fn drop_old(&mut self, now: Instant, time: Duration) -> u64 {
        let before = self.items.len();
        self.items.retain(|item| now.saturating_duration_since(item.since) <= time);
        (before - self.items.len()) as u64
    }

    /// Says how many were too many.
    fn drop_beyond(&mut self, max: usize) -> u64 {
        let mut dropped = 0;
        while self.items.len() > max {
            let mut counts: HashMap<Option<MemoryHolder>, usize> = HashMap::new();
            for item in &self.items {
                *counts.entry(item.holder).or_default() += 1;
            }
            let most = counts.values().copied().max();
            let oldest = self.items.iter().position(|item| counts.get(&item.holder).copied() == most);
            self.items.remove(oldest.unwrap_or_default());
            dropped += 1;
        }
        dropped
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
        self.octets += octets;
        self.octets <= self.share.octets()
            || self.share.set(self.octets.next_multiple_of(SORT_MEMORY_STEP))
            || self.share.set(self.octets)
    }

    fn shrink_to(&mut self, octets: u64) {
        self.octets = octets.min(self.octets);
        // Less is always possible.
        let _ = self.share.set(self.octets);
    }
}

/// A digest of what a reader may see.
pub(super) fn visibility_digest(visibility: &Visibility) -> QueryDigest {
    let mut hasher = blake3::Hasher::new();
    digest_visibility(visibility, &mut hasher);
    finish(&hasher)
}

fn digest_visibility(visibility: &Visibility, hasher: &mut blake3::Hasher) {
    let elsewhere = match visibility {
        Visibility::Full => return,
        Visibility::Tree(elsewhere) => {
            hasher.update(b"tree");
            elsewhere
        }
        Visibility::Own(own) => {
            for id in own.as_slice() {
                hasher.update(&id.raw().to_be_bytes());
            }
            hasher.update(b"own");
            own.elsewhere()
        }
    };
    for (provider, seen) in elsewhere.trees() {
        hasher.update(&provider.get().to_be_bytes());
        digest_visibility(seen, hasher);
        hasher.update(b"there");
    }
}

/// The first half of a hash: enough against accidents, and cookies are sealed besides.
pub(super) fn finish(hasher: &blake3::Hasher) -> QueryDigest {
    let mut digest = QueryDigest::default();
    hasher.finalize_xof().fill(&mut digest);
    digest
}

/// Memory for sorting is taken by steps, so that the lock is taken seldom.
const SORT_MEMORY_STEP: u64 = 4 * 1024;
const NONCE_OCTETS: usize = 24;
/// So much of what an entry is sorted by stands in a cookie, which comes back with each page. No limit of the config: behind
/// entries that are alike so far a sequence goes on as well, but for the last of them being taken away between two pages.
pub(super) const ORDER_OCTETS_MAX: usize = 256;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::AccountNumber;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn of(account: u32) -> MemoryHolders {
        [Some(MemoryHolder::Account(AccountNumber::new(account))), None, None, None]
    }

    fn pages(limits: &Limits) -> Arc<Pages> {
        Pages::new(limits, Arc::default()).unwrap()
    }

    #[test]
    fn a_cookie_is_good_for_its_query_its_server_and_its_time() {
        let limits = Limits::default();
        let pages = pages(&limits);
        let place =
            Place { revision: 7, last: EntryId::from_raw(1_234_567), order: b"\x01name\0\0".to_vec() };
        let query = [3; 16];
        let cookie = pages.cookie(&place, &query, NOW);
        assert_eq!(pages.place(&cookie, &query, NOW), Ok(place.clone()));
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
    fn a_cookie_tells_nothing() {
        let pages = pages(&Limits::default());
        let query = [3; 16];
        let cookies: Vec<_> = (0..64)
            .map(|number| {
                // A revision and an entry that are not sealed would stand in all of them.
                let (last, order) = (EntryId::from_raw(1_234_567), b"\x01name\0\0".to_vec());
                let place = Place { revision: 7 + number % 2, last, order };
                pages.cookie(&place, &query, NOW)
            })
            .collect();
        let length = cookies[0].len();
        for place in 0..length {
            let mut octets: Vec<u8> = cookies.iter().map(|cookie| cookie[place]).collect();
            octets.sort_unstable();
            octets.dedup();
            assert!(octets.len() > 32, "octet {place} has {} values in 64 cookies", octets.len());
        }
        assert!(cookies.iter().all(|cookie| cookie.len() == length));
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
        pages.keep(&snapshot(1), of(1), start);
        pages.keep(&snapshot(2), of(1), after(1));
        // Who is used again is kept longer.
        pages.keep(&snapshot(1), of(1), after(2));
        pages.keep(&snapshot(3), of(1), after(3));
        assert!(pages.snapshot(2, after(3)).is_none());
        assert_eq!(pages.snapshot(1, after(4)).map(|snapshot| snapshot.revision()), Some(1));
        assert!(pages.snapshot(1, after(63)).is_none());
        assert!(pages.snapshot(3, after(63)).is_some());
        pages.sweep(after(64));
        assert_eq!(pages.snapshots_kept(), 0);
    }

    #[test]
    fn who_keeps_much_pushes_out_its_own() {
        let limits = Limits { paging_snapshots: 4, ..Limits::default() };
        let pages = pages(&limits);
        let now = Instant::now();
        let key = |number| OrderKey { revision: 1, query: [number; 16], visibility: [0; 16] };
        let snapshot = |revision| {
            let mut snapshot = Snapshot::empty();
            snapshot.set_revision(revision);
            Arc::new(snapshot)
        };
        let keep = |number: u8, account| {
            let order = Order::new(vec![1], pages.sort_memory(of(account)));
            pages.keep_order(key(number), &order, of(account), now);
            pages.keep(&snapshot(u64::from(number)), of(account), now);
        };
        let is_kept = |number: u8| {
            let is_kept = pages.order(&key(number), now).is_some();
            assert_eq!(pages.snapshot(u64::from(number), now).is_some(), is_kept, "{number}");
            is_kept
        };
        keep(1, 1);
        for number in 100..140 {
            keep(number, 2);
            // Another that it uses with the first does not become its own.
            pages.keep(&snapshot(1), of(2), now);
        }
        assert_eq!((136..140).map(is_kept).collect::<Vec<_>>(), [false, true, true, true]);
        assert!(is_kept(1));
        // The one that was used goes last.
        assert!(is_kept(137));
        keep(140, 2);
        assert_eq!([137, 138, 139, 140].map(is_kept), [true, false, true, true]);
        // Of those who have as much, the one who did not use it for the longest time.
        for account in 3..6 {
            keep(account, u32::from(account));
        }
        assert_eq!([1, 3, 4, 5].map(is_kept), [false, true, true, true]);
        // An order that is used goes on to be kept.
        let later = |seconds| now + Duration::from_secs(seconds);
        assert!(pages.order(&key(5), later(50)).is_some());
        assert!(pages.order(&key(5), later(100)).is_some());
        assert!(pages.order(&key(4), later(100)).is_none());
    }

    #[test]
    fn memory_for_sorting_is_bounded_and_given_back() {
        let limits = Limits { sort_memory_max: 2_000, ..Limits::default() };
        let pages = pages(&limits);
        let memory_of = |account| pages.sort_memory(of(account));
        let (mut one, mut two, mut of_the_first) = (memory_of(1), memory_of(2), memory_of(1));
        assert!(one.grow(900));
        assert!(!two.grow(600));
        drop(two);
        // Another order of the same account: others would find nothing.
        assert!(!of_the_first.grow(200));
        assert!(memory_of(2).grow(500));
        drop(of_the_first);
        let order = Order::new(vec![1; 10], one);
        assert_eq!(pages.sort_memory_used(), 40);
        let key = OrderKey { revision: 1, query: [0; 16], visibility: [0; 16] };
        let now = Instant::now();
        pages.keep_order(key, &order, of(1), now);
        drop(order);
        assert!(pages.order(&key, now).is_some());
        assert!(pages.order(&OrderKey { query: [1; 16], ..key }, now).is_none());
        assert_eq!(pages.sort_memory_used(), 40);
        pages.sweep(now + Duration::from_secs(61));
        assert_eq!(pages.sort_memory_used(), 0);
    }
}
