//! Secrets that were right before: a bind with one of them costs a keyed hash, no argon2.
//!
//! # Why it takes no lock
//! The cache is a table of atomics. An entry is three words: the credential, and the two halves of a 128-bit
//! keyed BLAKE3 over the credential, its generation and the secret. Readers and writers load and store the
//! words one by one, so a reader can see words of two different proofs. That is a miss, not a hit: all three
//! words must be those of the proof it looks for, each half depends on everything that the proof is bound to,
//! and for a word of *another* proof to be the right one, 64 bits of a keyed hash would have to agree while
//! both are written within nanoseconds. No order between the words matters, so all accesses are relaxed; a
//! proof that is lost by such a race costs one argon2 the next time.
//!
//! # Why revocation does not wait for it
//! The caller asks with the generation that its snapshot holds, after it found the credential there. A
//! credential that is gone is not asked about; one whose secret or right changed has another generation, for
//! which no proof exists.
//!
//! The key is random at each start, lives in memory only and is wiped at the end.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use super::token_secret::RandomSourceError;

/// Which secret of which credential was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CredentialKey {
    /// The credential; never used again for another one.
    pub id: u64,
    /// Counts the changes of its secret.
    pub generation: u32,
}

/// A bounded, lossy table of verified secrets, for many threads at once.
///
/// Each credential has its place in one set of eight entries; at most one proof is kept for it, and when all
/// eight are taken by others a new one replaces any of them. An entry takes 24 octets: the default of 65,536
/// entries takes 1.5 MiB, once, at the start.
pub struct ProofCache {
    key: Zeroizing<[u8; 32]>,
    sets: Box<[[Entry; WAYS]]>,
    displaced: AtomicU64,
}

impl ProofCache {
    /// A cache of at least `entries` proofs (rounded up to the next power of two, at least eight), or of none
    /// if that is 0.
    ///
    /// # Errors
    /// There is no random key.
    pub fn new(entries: usize) -> Result<Self, RandomSourceError> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(key.as_mut_slice())?;
        let sets = match entries.div_ceil(WAYS).min(SETS_MAX) {
            0 => 0,
            sets => sets.next_power_of_two(),
        };
        let sets = std::iter::repeat_with(Default::default).take(sets).collect();
        Ok(Self { key, sets, displaced: AtomicU64::new(0) })
    }

    /// Whether `secret` was verified for this credential in this generation, and is still remembered.
    ///
    /// The comparison takes the same time wherever the entry is and however much of it agrees.
    pub fn check(&self, credential: CredentialKey, secret: &[u8]) -> bool {
        let proof = self.proof(credential, secret);
        let found = self
            .set(credential.id)
            .iter()
            .fold(Choice::from(0), |found, entry| found | entry.load().ct_eq(&proof));
        found.into()
    }

    /// Remembers that `secret` is right for this credential in this generation.
    pub fn remember(&self, credential: CredentialKey, secret: &[u8]) {
        let proof = self.proof(credential, secret);
        let set = self.set(credential.id);
        let of_credential = set.iter().find(|entry| entry.credential.load(Ordering::Relaxed) == proof[0]);
        let place = of_credential
            .or_else(|| set.iter().find(|entry| entry.load() == EMPTY))
            // The proof is random to everybody, so any of its bits choose evenly.
            .or_else(|| set.get(proof[1] as usize % WAYS));
        if let Some(entry) = place {
            let word = entry.credential.load(Ordering::Relaxed);
            if word != 0 && word != proof[0] {
                self.displaced.fetch_add(1, Ordering::Relaxed);
            }
            entry.store(proof);
        }
    }

    /// How many proofs were forgotten to make room for others.
    pub fn displaced(&self) -> u64 {
        self.displaced.load(Ordering::Relaxed)
    }

    fn proof(&self, credential: CredentialKey, secret: &[u8]) -> [u64; WORDS] {
        // Fixed lengths before the secret: no two inputs run together to the same octets.
        let hash = blake3::Hasher::new_keyed(&self.key)
            .update(&credential.id.to_le_bytes())
            .update(&credential.generation.to_le_bytes())
            .update(secret)
            .finalize();
        let (low, rest) = hash.as_bytes().split_at(8);
        let (high, _) = rest.split_at(8);
        [word_of(credential.id), word(low), word(high)]
    }

    fn set(&self, id: u64) -> &[Entry] {
        // Ids are counted, not chosen by clients: a multiplication spreads them over the upper bits. The
        // number of sets is a power of two, so the index is in the table, or there is none.
        let index = (id.wrapping_mul(SPREAD) >> 32) as usize & self.sets.len().saturating_sub(1);
        self.sets.get(index).map_or(&[], <[Entry; WAYS]>::as_slice)
    }
}

impl fmt::Debug for ProofCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ProofCache({} entries)", self.sets.len() * WAYS)
    }
}

/// One place of the table: the credential, and the two halves of the proof.
#[derive(Default)]
struct Entry {
    credential: AtomicU64,
    low: AtomicU64,
    high: AtomicU64,
}

impl Entry {
    fn load(&self) -> [u64; WORDS] {
        [&self.credential, &self.low, &self.high].map(|word| word.load(Ordering::Relaxed))
    }

    fn store(&self, words: [u64; WORDS]) {
        for (place, word) in [&self.credential, &self.low, &self.high].into_iter().zip(words) {
            place.store(word, Ordering::Relaxed);
        }
    }
}

/// The word of a credential; 0 means that a place is free.
const fn word_of(id: u64) -> u64 {
    id.wrapping_add(1)
}

fn word(octets: &[u8]) -> u64 {
    octets.iter().rev().fold(0, |word, octet| word << 8 | u64::from(*octet))
}

const EMPTY: [u64; WORDS] = [0; WORDS];
const WORDS: usize = 3;
const WAYS: usize = 8;

/// 2²⁴ sets are 134 million proofs in 3 GiB: more is a slip of the pen.
/// No limit of the config: the upper end of `verified_secrets_max`.
const SETS_MAX: usize = 1 << 24;

/// 2⁶⁴ divided by the golden ratio (Fibonacci hashing).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use super::*;

    const fn credential(id: u64, generation: u32) -> CredentialKey {
        CredentialKey { id, generation }
    }

    #[test]
    fn only_what_was_remembered_is_proven() {
        let cache = ProofCache::new(64).unwrap();
        assert!(!cache.check(credential(7, 1), b"secret"));
        cache.remember(credential(7, 1), b"secret");
        assert!(cache.check(credential(7, 1), b"secret"));
        assert!(!cache.check(credential(7, 1), b"Secret"));
        assert!(!cache.check(credential(7, 1), b""));
        assert!(!cache.check(credential(7, 2), b"secret"), "another generation");
        assert!(!cache.check(credential(8, 1), b"secret"), "another credential");
    }

    #[test]
    fn a_new_generation_takes_the_place_of_the_old() {
        let cache = ProofCache::new(8).unwrap();
        cache.remember(credential(7, 1), b"old");
        cache.remember(credential(7, 2), b"new");
        assert!(!cache.check(credential(7, 1), b"old"));
        assert!(cache.check(credential(7, 2), b"new"));
        assert_eq!(cache.set(7).iter().filter(|entry| entry.load() != EMPTY).count(), 1);
    }

    #[test]
    fn the_extremes_of_an_id_work() {
        let cache = ProofCache::new(1).unwrap();
        for id in [0, u64::MAX] {
            assert!(!cache.check(credential(id, 0), b""));
            cache.remember(credential(id, 0), b"");
            assert!(cache.check(credential(id, 0), b""));
        }
    }

    #[test]
    fn a_cache_of_none_remembers_nothing() {
        let cache = ProofCache::new(0).unwrap();
        cache.remember(credential(7, 1), b"secret");
        assert!(!cache.check(credential(7, 1), b"secret"));
        assert_eq!(size_of_val(&*cache.sets), 0);
    }

    #[test]
    fn it_is_bounded_and_as_large_as_documented() {
        let cache = ProofCache::new(65_536).unwrap();
        assert_eq!(size_of_val(&*cache.sets), 65_536 * 24);
        let small = ProofCache::new(9).unwrap();
        assert_eq!(size_of_val(&*small.sets), 16 * 24);
        for id in 0..1_000 {
            small.remember(credential(id, 0), b"secret");
            assert!(small.check(credential(id, 0), b"secret"), "the newest is always there");
        }
        assert!((0..1_000).filter(|id| small.check(credential(*id, 0), b"secret")).count() <= 16);
    }

    #[test]
    fn consecutive_ids_spread_over_the_sets() {
        let cache = ProofCache::new(8_192).unwrap();
        for id in 0..4_096 {
            cache.remember(credential(id, 0), b"secret");
        }
        let kept = (0..4_096).filter(|id| cache.check(credential(*id, 0), b"secret")).count();
        assert_eq!(kept, 4_096, "half full, nothing is lost");
    }

    #[test]
    fn two_caches_have_two_keys() {
        let (one, other) = (ProofCache::new(8).unwrap(), ProofCache::new(8).unwrap());
        assert_ne!(one.proof(credential(1, 1), b"s"), other.proof(credential(1, 1), b"s"));
    }

    #[test]
    fn words_of_two_proofs_prove_nothing() {
        let cache = ProofCache::new(8).unwrap();
        let one = cache.proof(credential(1, 0), b"secret");
        let other = cache.proof(credential(1, 1), b"secret");
        for torn in
            [[one[0], one[1], other[2]], [one[0], other[1], one[2]], [one[0], one[1], 0], [one[0], 0, one[2]]]
        {
            cache.set(1)[0].store(torn);
            assert!(!cache.check(credential(1, 0), b"secret"));
            assert!(!cache.check(credential(1, 1), b"secret"));
        }
    }

    #[test]
    fn threads_that_write_the_same_place_never_prove_a_wrong_secret() {
        let cache = ProofCache::new(8).unwrap();
        let is_done = AtomicBool::new(false);
        thread::scope(|scope| {
            for writer in 0..2_u32 {
                let (cache, is_done) = (&cache, &is_done);
                scope.spawn(move || {
                    while !is_done.load(Ordering::Relaxed) {
                        cache.remember(credential(1, writer), b"right");
                        cache.set(1).iter().for_each(|entry| entry.store(EMPTY));
                    }
                });
            }
            for _ in 0..20_000 {
                assert!(!cache.check(credential(1, 0), b"wrong"));
                assert!(!cache.check(credential(1, 2), b"right"));
            }
            is_done.store(true, Ordering::Relaxed);
        });
    }
}
