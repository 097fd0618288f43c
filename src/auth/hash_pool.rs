//! The threads that compute hashes, so that a network thread never does.
//!
//! They run below the network threads' scheduling priority, share a memory budget, and take their work from
//! bounded queues: a full one refuses at once, nothing ever waits for a place.

use std::hint::black_box;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use thiserror::Error;
use tokio::sync::oneshot;

use super::hash_memory::HashMemory;
#[cfg(test)]
pub(crate) use super::hash_memory::MemoryLease;
pub use super::hash_queue::{HashClass, QueueLengths};
use super::hash_queue::{HashQueues, NoPlace};
use super::password_hash::{HashBounds, HashParseError, StoredHash};
use super::schemes::argon::{Argon2Parameters, ArgonMemory, HashError, hash_new};
use super::throttle::Unlooked;
use super::token_secret::{RandomSourceError, TokenSecret};
use crate::model::Intent;
use crate::net::ClientSource;
use crate::secret::Secret;
use crate::seldom::{self, Seldom};

/// Threads that compute hashes. Dropping it ends them.
pub struct HashPool {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl HashPool {
    /// Makes the dummy hash and starts the threads.
    ///
    /// # Errors
    /// The memory budget does not hold the largest hash that is allowed, a queue has no place, the system gives no random octets, no
    /// memory or no thread. No thread is left behind.
    pub fn start(settings: HashPoolSettings) -> Result<Self, HashPoolError> {
        let octets_usual = settings.parameters.memory_octets();
        // Otherwise a stored hash could be refused without a hash, which tells its account from others.
        let hash_octets = octets_usual.max(u64::from(settings.stored_memory_kib_max) * 1024);
        if settings.memory_octets_max < hash_octets {
            return Err(HashPoolError::MemoryBudget {
                budget_octets: settings.memory_octets_max,
                hash_octets,
            });
        }
        if settings.queue_length_max == 0 || settings.queue_share_max == 0 {
            return Err(HashPoolError::NoPlaceInQueue);
        }
        let count =
            settings.threads.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
        let (dummy, dummy_text) = make_dummy(&settings.parameters)?;
        let pool = Self {
            shared: Arc::new(Shared {
                parameters: settings.parameters,
                dummy,
                dummy_text,
                state: Mutex::new(State {
                    queues: HashQueues::new(settings.queue_length_max, settings.queue_share_max),
                    slow: 0,
                    is_closed: false,
                }),
                slow_max: (count - 1).max(1),
                arrived: Condvar::new(),
                memory: HashMemory::new(settings.memory_octets_max, octets_usual),
                counters: Counters::default(),
            }),
            threads: Mutex::default(),
        };
        for number in 0..count {
            let shared = Arc::clone(&pool.shared);
            let started = thread::Builder::new().name(format!("hash-{number}")).spawn(move || {
                lower_priority(settings.niceness);
                shared.work();
            });
            // On an error the pool is dropped, which ends the threads that were started.
            pool.lock_threads().push(started.map_err(HashPoolError::Thread)?);
        }
        Ok(pool)
    }

    /// Queues a verification. It never blocks; dropping the receiver cancels a job that has not begun.
    ///
    /// The receiver ends without a value when the job will not be run: the pool was closed, or in a full queue the job has
    /// made way for that of a source which has less there.
    ///
    /// # Errors
    /// The queue, or the share of the source in it, is full: answer `busy` at once. Or the stored hash asks
    /// for more memory than the whole budget, or the pool is closed.
    pub fn verify(&self, job: HashJob) -> Result<oneshot::Receiver<HashOutcome>, HashRefusal> {
        if let Candidate::Stored(stored) | Candidate::Withheld(stored) = &job.candidate
            && stored.memory_octets() > self.shared.memory.octets_max()
        {
            return Err(HashRefusal::AboveMemoryBudget);
        }
        let (answer, outcome) = oneshot::channel();
        let HashJob { class, source, secret, candidate, unlooked } = job;
        let work = Work::Verify { secret, candidate, unlooked, answer };
        self.push(class, source, work)?;
        Ok(outcome)
    }

    /// Queues the hash of a new credential, for a PHC string. One waits with the secrets that have a selector,
    /// as whoever makes credentials was admitted before; many are [`HashClass::Bulk`].
    ///
    /// # Errors
    /// As [`HashPool::verify`]; the receiver tells when the hash itself failed.
    pub fn hash(
        &self,
        class: HashClass,
        secret: Secret,
        source: Option<IpAddr>,
    ) -> Result<oneshot::Receiver<Result<String, HashError>>, HashRefusal> {
        let (answer, hash) = oneshot::channel();
        self.push(class, source, Work::Hash { secret, answer })?;
        Ok(hash)
    }

    /// What was computed and refused since the start.
    pub fn counts(&self) -> HashCounts {
        self.shared.counters.read()
    }

    /// A hash of the configured parameters whose secret nobody knows, a PHC string.
    pub fn dummy_text(&self) -> &str {
        &self.shared.dummy_text
    }

    /// How many jobs wait.
    pub fn queue_lengths(&self) -> QueueLengths {
        self.shared.lock().queues.lengths()
    }

    /// Forgets what waits, lets what runs finish, and ends the threads. Later jobs are refused.
    pub fn close(&self) {
        {
            let mut state = self.shared.lock();
            state.is_closed = true;
            state.queues.clear();
        }
        self.shared.arrived.notify_all();
        let threads = std::mem::take(&mut *self.lock_threads());
        for thread in threads {
            // A thread catches the panics of its jobs, so there is nothing to learn from its end.
            let _ = thread.join();
        }
    }

    /// Lets nothing be computed until it is dropped: each thread stops at its next job.
    #[cfg(test)]
    pub(crate) fn hold(&self) -> MemoryLease<'_> {
        self.shared.memory.lease(u64::MAX)
    }

    fn push(&self, class: HashClass, source: Option<IpAddr>, work: Work) -> Result<(), HashRefusal> {
        let pushed = {
            let mut state = self.shared.lock();
            if state.is_closed {
                return Err(HashRefusal::Closed);
            }
            let cost = work.cost(&self.shared.parameters);
            state.queues.push(class, ClientSource::from(source), (cost, work), Work::is_cancelled)
        };
        match pushed {
            Ok(None) => {}
            // Dropped, it tells who waits for it that no outcome will come.
            Ok(Some(_)) => Counters::add(&self.shared.counters.refused_busy),
            Err(no_place) => {
                Counters::add(&self.shared.counters.refused_busy);
                if no_place == NoPlace::ShareFull {
                    Counters::add(&self.shared.counters.refused_share);
                }
                return Err(HashRefusal::Busy);
            }
        }
        self.shared.arrived.notify_one();
        Ok(())
    }

    fn lock_threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for HashPool {
    fn drop(&mut self) {
        self.close();
    }
}

/// How a pool is made.
#[derive(Debug, Clone)]
pub struct HashPoolSettings {
    /// Threads; the number of cores if `None`.
    pub threads: Option<NonZeroUsize>,
    /// What is added to the niceness of each thread (Linux), 0 to 19.
    pub niceness: i32,
    /// What new hashes and the dummy cost.
    pub parameters: Argon2Parameters,
    /// [`HashBounds::memory_kib_max`] of the stored hashes that will be verified, in KiB; the budget must hold
    /// one of them.
    pub stored_memory_kib_max: u32,
    /// The most memory that hashes use at one time, in octets.
    pub memory_octets_max: u64,
    /// Jobs that wait in each of the queues.
    pub queue_length_max: usize,
    /// Jobs of one source that wait in one queue.
    pub queue_share_max: usize,
}

impl Default for HashPoolSettings {
    /// One thread for each core, 256 MiB. 512 jobs wait at most: about four seconds of two cores, which is
    /// what clients wait for an answer; one source has a quarter of them.
    fn default() -> Self {
        Self {
            threads: None,
            niceness: 10,
            parameters: Argon2Parameters::default(),
            stored_memory_kib_max: HashBounds::default().memory_kib_max,
            memory_octets_max: 256 * 1024 * 1024,
            queue_length_max: 512,
            queue_share_max: 128,
        }
    }
}

/// One verification.
#[derive(Debug)]
pub struct HashJob {
    /// Which queue it waits in.
    pub class: HashClass,
    /// Where the client is; `None` for the local socket.
    pub source: Option<IpAddr>,
    /// What the client sent.
    pub secret: Secret,
    /// What it is compared with.
    pub candidate: Candidate,
    /// How the try was counted, if it was; a job that is dropped before it begins takes that back.
    pub unlooked: Option<Unlooked>,
}

/// What a secret is compared with. Either way costs one argon2id computation: a stored hash of another scheme
/// has the dummy beside it, so that nothing tells an imported account, or one that does not exist, from others.
#[derive(Debug, Clone)]
pub enum Candidate {
    /// The hash of a credential.
    Stored(Arc<StoredHash>),
    /// The hash of a credential that may not be tried now: the same work as for a wrong secret, and it never matches.
    Withheld(Arc<StoredHash>),
    /// No credential: the dummy with the configured parameters, which never matches.
    Dummy,
}

/// The verdict of a verification.
#[derive(Debug, PartialEq, Eq)]
pub struct HashOutcome {
    /// Whether the secret is the one that was stored.
    pub matches: bool,
    /// If it matches and was stored in another scheme or with other parameters: what to store instead, a PHC
    /// string.
    pub rehashed: Option<String>,
}

/// Why a job was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HashRefusal {
    /// The queue, or the share of the source, is full.
    #[error("too many hashes are waiting; try again later")]
    Busy,
    /// The stored hash does not fit: it was parsed with other bounds than the pool was started with.
    #[error("the stored hash asks for more than all the memory for hashes; raise that or set a new password")]
    AboveMemoryBudget,
    /// The server is going down.
    #[error("the server is shutting down")]
    Closed,
}

/// Why a pool did not start.
#[derive(Debug, Error)]
pub enum HashPoolError {
    /// The largest hash that is allowed does not fit.
    #[error(
        "the memory for hashes is {budget_octets} octets, but one hash may take {hash_octets}: \
         raise it, or lower argon2's memory_kib and memory_kib_max"
    )]
    MemoryBudget {
        budget_octets: u64,
        /// The largest hash, in octets.
        hash_octets: u64,
    },
    /// A queue without a place would refuse everything.
    #[error("the hash queue's length and the share of a source must each be at least 1")]
    NoPlaceInQueue,
    /// No dummy could be made.
    #[error("the dummy secret was not made")]
    RandomSource(#[from] RandomSourceError),
    /// The dummy was not hashed.
    #[error("the dummy hash was not made")]
    Dummy(#[from] HashError),
    /// The dummy hash was not read back.
    #[error("the dummy hash was not read back")]
    DummyRead(#[from] HashParseError),
    /// The system gave no thread.
    #[error("a hash thread did not start; lower their number or raise the limit on threads")]
    Thread(#[source] std::io::Error),
}

/// What a pool did since it was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HashCounts {
    /// Secrets compared with a stored hash, of any scheme.
    pub verified: u64,
    /// Secrets compared with the dummy, alone or beside a stored hash of another scheme.
    pub dummies: u64,
    /// argon2id verifications, of stored hashes and of the dummy: the number that must not depend on names.
    pub argon2id_verified: u64,
    /// New hashes, first ones and those after a success.
    pub created: u64,
    /// Jobs that were given up before they began; they cost nothing.
    pub cancelled: u64,
    /// Jobs that found no place, or had to give it up.
    pub refused_busy: u64,
    /// Those of them whose source had its share, while the queue had places left.
    pub refused_share: u64,
}

struct Shared {
    parameters: Argon2Parameters,
    dummy: StoredHash,
    dummy_text: String,
    state: Mutex<State>,
    /// So many threads compute at a time what can wait; where there are two or more, one is left for the rest.
    slow_max: usize,
    arrived: Condvar,
    memory: HashMemory,
    counters: Counters,
}

struct State {
    queues: HashQueues<Work>,
    /// How many threads compute what can wait.
    slow: usize,
    is_closed: bool,
}

impl Shared {
    /// The life of one thread.
    fn work(&self) {
        while let Some((class, work)) = self.next() {
            let _slow = class.is_slow().then_some(Slow { shared: self });
            let mut lease = self.memory.lease(work.memory_octets());
            // Asked as late as can be: the client may have gone while this waited for memory.
            if work.is_cancelled() {
                Counters::add(&self.counters.cancelled);
                continue;
            }
            // A thread that ended would take every later job with it into silence.
            let outcome = catch_unwind(AssertUnwindSafe(|| self.run(work, lease.memory())));
            if outcome.is_err()
                && let Some(count) = seldom::note(Seldom::HashPanicked)
            {
                tracing::error!(count, "{}", Seldom::HashPanicked.sentence());
            }
        }
    }

    /// Waits for a job; `None` when the pool is closed. One that can wait is counted until its [`Slow`] is dropped.
    fn next(&self) -> Option<(HashClass, Work)> {
        let mut state = self.lock();
        loop {
            if state.is_closed {
                return None;
            }
            let with_slow = state.slow < self.slow_max;
            match state.queues.pop(with_slow) {
                Some((_, work)) if work.is_cancelled() => Counters::add(&self.counters.cancelled),
                Some((class, work)) => {
                    state.slow += usize::from(class.is_slow());
                    return Some((class, work));
                }
                None => state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    fn run(&self, work: Work, memory: &mut ArgonMemory) {
        // An answer that cannot be delivered was given up meanwhile: there is nobody to tell.
        match work {
            Work::Verify { secret, candidate, unlooked, answer } => {
                if let Some(unlooked) = unlooked {
                    unlooked.look();
                }
                let _ = answer.send(self.verify(&secret, &candidate, memory));
            }
            Work::Hash { secret, answer } => {
                let _ = answer.send(self.create(&secret, memory));
            }
        }
    }

    fn verify(&self, secret: &Secret, candidate: &Candidate, memory: &mut ArgonMemory) -> HashOutcome {
        let (stored, is_withheld) = match candidate {
            Candidate::Stored(stored) => (stored, false),
            Candidate::Withheld(stored) => (stored, true),
            Candidate::Dummy => {
                self.verify_dummy(secret, memory);
                return HashOutcome { matches: false, rehashed: None };
            }
        };
        Counters::add(&self.counters.verified);
        if stored.is_argon2id() {
            Counters::add(&self.counters.argon2id_verified);
        } else {
            self.verify_dummy(secret, memory);
        }
        let matches = stored.verify(secret.expose(), memory) && !is_withheld;
        let rehashed = (matches && stored.needs_rehash(&self.parameters))
            .then(|| self.create(secret, memory))
            .and_then(|created| match created {
                Ok(hash) => Some(hash),
                Err(error) => {
                    // The secret is right all the same; the next success tries again.
                    if let Some(count) = seldom::note(Seldom::HashStays) {
                        tracing::warn!(count, %error, "{}", Seldom::HashStays.sentence());
                    }
                    None
                }
            });
        HashOutcome { matches, rehashed }
    }

    fn verify_dummy(&self, secret: &Secret, memory: &mut ArgonMemory) {
        Counters::add(&self.counters.dummies);
        Counters::add(&self.counters.argon2id_verified);
        black_box(self.dummy.verify(secret.expose(), memory));
    }

    fn create(&self, secret: &Secret, memory: &mut ArgonMemory) -> Result<String, HashError> {
        Counters::add(&self.counters.created);
        hash_new(secret.expose(), &self.parameters, memory)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread that computes what can wait.
struct Slow<'a> {
    shared: &'a Shared,
}

impl Drop for Slow<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.slow = state.slow.saturating_sub(1);
        drop(state);
        // Another thread may have waited for that.
        self.shared.arrived.notify_one();
    }
}

enum Work {
    Verify {
        secret: Secret,
        candidate: Candidate,
        unlooked: Option<Unlooked>,
        answer: oneshot::Sender<HashOutcome>,
    },
    Hash {
        secret: Secret,
        answer: oneshot::Sender<Result<String, HashError>>,
    },
}

impl Work {
    fn is_cancelled(&self) -> bool {
        match self {
            Self::Verify { answer, .. } => answer.is_closed(),
            Self::Hash { answer, .. } => answer.is_closed(),
        }
    }

    /// What it costs, in KiB that argon2 passes over, where one with `usual` parameters is computed in any case.
    fn cost(&self, usual: &Argon2Parameters) -> u64 {
        match self {
            Self::Verify { candidate: Candidate::Stored(stored) | Candidate::Withheld(stored), .. } => {
                let dummy = if stored.is_argon2id() { 0 } else { usual.cost() };
                dummy + stored.cost()
            }
            Self::Verify { candidate: Candidate::Dummy, .. } | Self::Hash { .. } => usual.cost(),
        }
    }

    fn memory_octets(&self) -> u64 {
        match self {
            Self::Verify { candidate: Candidate::Stored(stored) | Candidate::Withheld(stored), .. } => {
                stored.memory_octets()
            }
            Self::Verify { candidate: Candidate::Dummy, .. } | Self::Hash { .. } => 0,
        }
    }
}

#[derive(Default)]
struct Counters {
    verified: AtomicU64,
    dummies: AtomicU64,
    argon2id_verified: AtomicU64,
    created: AtomicU64,
    cancelled: AtomicU64,
    refused_busy: AtomicU64,
    refused_share: AtomicU64,
}

impl Counters {
    fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> HashCounts {
        HashCounts {
            verified: self.verified.load(Ordering::Relaxed),
            dummies: self.dummies.load(Ordering::Relaxed),
            argon2id_verified: self.argon2id_verified.load(Ordering::Relaxed),
            created: self.created.load(Ordering::Relaxed),
            cancelled: self.cancelled.load(Ordering::Relaxed),
            refused_busy: self.refused_busy.load(Ordering::Relaxed),
            refused_share: self.refused_share.load(Ordering::Relaxed),
        }
    }
}

/// The hash of a secret that nobody knows.
fn make_dummy(parameters: &Argon2Parameters) -> Result<(StoredHash, String), HashPoolError> {
    let unknown = TokenSecret::generate(Intent::AppPassword)?.into_secret();
    let text = hash_new(unknown.expose(), parameters, &mut ArgonMemory::new())?;
    // Our own parameters are no seeded hash: whatever the operator configured is within bounds.
    let bounds = HashBounds {
        memory_kib_max: u32::MAX,
        time_cost_max: u32::MAX,
        parallelism_max: u32::MAX,
        ..HashBounds::default()
    };
    Ok((StoredHash::parse(&text, &bounds)?, text))
}

/// Lets the network threads go first. On Linux a niceness belongs to the thread; elsewhere it would slow the
/// whole process down, so nothing is done there.
#[cfg(target_os = "linux")]
fn lower_priority(niceness: i32) {
    let lowered = rustix::process::getpriority_process(None)
        .and_then(|now| rustix::process::setpriority_process(None, (now + niceness.clamp(0, 19)).min(19)));
    if let Err(error) = lowered {
        tracing::warn!(%error, "the priority of a hash thread was not lowered; searches may slow down beside binds");
    }
}

#[cfg(not(target_os = "linux"))]
fn lower_priority(_niceness: i32) {}

#[cfg(test)]
mod tests;
