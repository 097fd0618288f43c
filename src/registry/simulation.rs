//! A deterministic simulation of a store that fails, a clock that jumps and the commands of an operator: whatever comes in
//! between, what was acknowledged is there, what was refused is not, and no credential ends or begins to work by a wrong
//! clock.
//!
//! A world is made of a number, which a failure prints: `BINDERY_SIMULATE=NUMBER` plays that one alone. The store is one in
//! memory behind a layer that fails at each call with some likelihood: with a full disk, or with a write of which nobody knows
//! whether it was carried out, and then with everything until the restart.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::commands::testing::{account, actor, apply, new_token, provider, registry_with, wait};
use super::{Authentication, ChangeError, Registry, RegistrySettings, TokenCareSettings, Verdict};
use crate::auth::TokenKeys;
use crate::clock::Clock;
use crate::config::Seed;
use crate::model::{AccountKind, Event, Expiry, Intent, Key, Record, Timestamp, Trail};
use crate::secret::Secret;
use crate::store::{Batch, Hindrance, MemoryStore, Meta, Store, StoreError};

/// A number after the other, the same for the same beginning.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// A store that fails.
struct FailingStore {
    records: Arc<MemoryStore>,
    numbers: Mutex<Numbers>,
    /// One call in so many fails; 0: none.
    likelihood: AtomicU64,
    is_stopped: AtomicBool,
}

impl FailingStore {
    fn new(records: Arc<MemoryStore>, seed: u64) -> Self {
        Self {
            records,
            numbers: Mutex::new(Numbers(seed)),
            likelihood: AtomicU64::new(0),
            is_stopped: AtomicBool::new(false),
        }
    }

    fn fails(&self) -> bool {
        let likelihood = self.likelihood.load(Ordering::Relaxed);
        likelihood > 0 && self.numbers.lock().unwrap().one_in(likelihood)
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.is_stopped.load(Ordering::Relaxed) {
            return Err(stopped());
        }
        if self.fails() {
            Err(StoreError::Full { path: "simulated".into(), free: None, needed: None })
        } else {
            Ok(())
        }
    }
}

fn stopped() -> StoreError {
    StoreError::Stopped { path: "simulated".into(), reason: "a write failed".to_owned() }
}

impl Store for FailingStore {
    fn load(&self, visit: &mut dyn FnMut(Record)) -> Result<Meta, StoreError> {
        self.records.load(visit)
    }

    fn get(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        self.check()?;
        self.records.get(key)
    }

    fn commit(&self, batch: &Batch) -> Result<Meta, StoreError> {
        self.check()?;
        if !self.fails() {
            return self.records.commit(batch);
        }
        // A failure of which nobody knows what it left.
        self.is_stopped.store(true, Ordering::Relaxed);
        if self.numbers.lock().unwrap().one_in(2) {
            self.records.commit(batch)?;
        }
        Err(stopped())
    }

    fn meta(&self) -> Meta {
        self.records.meta()
    }

    fn events(&self, trail: Trail, after: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        self.check()?;
        self.records.events(trail, after, limit)
    }

    fn events_before(&self, trail: Trail, before: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        self.check()?;
        self.records.events_before(trail, before, limit)
    }

    fn resume(&self) -> Result<(), StoreError> {
        self.check()
    }

    fn write_archive(&self, out: &mut dyn Write, keys: Option<&Secret>) -> Result<Meta, StoreError> {
        self.records.write_archive(out, keys)
    }

    fn hindrance(&self) -> Option<Hindrance> {
        let is_stopped = self.is_stopped.load(Ordering::Relaxed);
        is_stopped.then(|| Hindrance::Stopped { reason: "a write failed".to_owned() })
    }
}

/// What is known of something that was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Yes,
    No,
    /// The answer was that nobody knows; the next look tells.
    Unknown,
}

/// A credential as an operator knows it.
#[derive(Debug)]
struct Issued {
    secret: Vec<u8>,
    /// By the right time.
    expires: Option<Timestamp>,
    is_there: Known,
}

struct World {
    seed: u64,
    numbers: Numbers,
    records: Arc<MemoryStore>,
    store: Arc<FailingStore>,
    registry: Arc<Registry>,
    said: Arc<Mutex<(Timestamp, Duration)>>,
    /// What a right clock says.
    truth: Timestamp,
    /// By how much the clock is wrong (seconds).
    error: i64,
    /// How long it has been (seconds).
    wrong_for: u64,
    running: Duration,
    issued: BTreeMap<String, Issued>,
    is_active: Known,
    steps: Vec<String>,
    seen: Seen,
}

/// What has happened: a simulation in which nothing fails shows nothing.
#[derive(Debug, Default)]
struct Seen {
    acknowledged: usize,
    refused: usize,
    unknown: usize,
    ended: usize,
    /// Credentials that were refused because a wrong clock said so, and works again.
    suspended: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let records = Arc::new(MemoryStore::new());
        let truth = Timestamp::from_unix_seconds(1_800_000_000);
        let said = Arc::new(Mutex::new((truth, Duration::ZERO)));
        let store = Arc::new(FailingStore::new(records.clone(), seed));
        let registry = open(store.clone(), &said);
        let seeded = Seed {
            providers: vec![provider("ldap", "dc=example,dc=com")],
            accounts: vec![account("robot", AccountKind::ServiceAccount)],
            ..Seed::default()
        };
        apply(&registry, &seeded).unwrap();
        Self {
            seed,
            numbers: Numbers(seed ^ 0x5EED),
            records,
            store,
            registry,
            said,
            truth,
            error: 0,
            wrong_for: 0,
            running: Duration::ZERO,
            issued: BTreeMap::new(),
            is_active: Known::Yes,
            steps: Vec::new(),
            seen: Seen::default(),
        }
    }

    /// Goes on for so many seconds.
    fn pass(&mut self, seconds: u64) {
        self.truth = self.truth.after(Duration::from_secs(seconds));
        self.running += Duration::from_secs(seconds);
        if self.error != 0 {
            self.wrong_for += seconds;
        }
        self.set_clock();
    }

    fn set_clock(&self) {
        let clock = Timestamp::from_unix_seconds(self.truth.unix_seconds() + self.error);
        *self.said.lock().unwrap() = (clock, self.running);
        self.registry.clock().look();
    }

    /// What a command's answer tells of what it was to do.
    fn learn(&mut self, answer: &Result<(), ChangeError>, before: Known, after: Known) -> Known {
        match answer {
            Ok(()) => {
                self.seen.acknowledged += 1;
                after
            }
            Err(ChangeError::Store(error)) if matches!(**error, StoreError::Stopped { .. }) => {
                self.seen.unknown += 1;
                if before == after { before } else { Known::Unknown }
            }
            Err(ChangeError::Store(_)) => {
                self.seen.refused += 1;
                before
            }
            Err(error) => panic!("world {}: {error}\n{:#?}", self.seed, self.steps),
        }
    }

    fn step(&mut self) {
        let likelihood = if self.numbers.one_in(3) { 4 } else { 0 };
        self.store.likelihood.store(likelihood, Ordering::Relaxed);
        let what = self.numbers.below(12);
        self.steps.push(format!("{what} at {} by {}, faults {likelihood}", self.truth, self.error));
        match what {
            0 | 1 => self.create(),
            2 => self.revoke(),
            3 => self.activate(),
            4 => {
                let seconds = self.numbers.below(20 * 3_600);
                // A clock that is wrong for a day is believed: that it is not, the operator has noticed.
                if self.error == 0 || self.wrong_for + seconds < 20 * 3_600 {
                    self.pass(seconds)
                } else {
                    self.right()
                }
            }
            5 => {
                self.right();
                self.pass(self.numbers.0 % (40 * 24 * 3_600));
            }
            6 => {
                self.right();
                self.wrong_for = 0;
                let errors = [-1_800_000_000, -40 * 24 * 3_600, 400 * 24 * 3_600, 3_650 * 24 * 3_600, 3_600];
                self.error = errors[usize::try_from(self.numbers.below(5)).unwrap()];
                self.set_clock();
            }
            7 => self.right(),
            8 => self.restart(),
            9 | 10 => {
                // As a server does each minute.
                let look = self.registry.clock().look();
                if let Some(now) = look.trusted {
                    self.tolerate(wait(self.registry.keep_tokens(now)).map(drop));
                }
                self.tolerate(
                    wait(self.registry.retire_events(Duration::from_secs(365 * 24 * 3_600), 10_000))
                        .map(drop),
                );
                self.tolerate(wait(self.registry.keep_clock()));
            }
            _ => self.tolerate(wait(self.registry.flush_logins())),
        }
        self.store.likelihood.store(0, Ordering::Relaxed);
        if self.store.is_stopped.load(Ordering::Relaxed) {
            self.restart();
        }
        self.check();
    }

    fn tolerate(&mut self, answer: Result<(), ChangeError>) {
        let _ = self.learn(&answer, Known::Yes, Known::Yes);
    }

    fn right(&mut self) {
        self.error = 0;
        self.set_clock();
    }

    /// As by `kill -9`, and a start.
    fn restart(&mut self) {
        self.registry.close();
        self.store = Arc::new(FailingStore::new(self.records.clone(), self.numbers.next()));
        self.registry = open(self.store.clone(), &self.said);
    }

    fn create(&mut self) {
        // By a wrong clock nobody can say when something ends.
        let life =
            (self.error == 0 && self.numbers.one_in(2)).then(|| self.numbers.below(90) * 24 * 3_600 + 60);
        let identifier = format!("token-{}", self.issued.len());
        let expires = life.map(|life| Expiry::In(Duration::from_secs(life)));
        let new = super::NewToken {
            expiring: Some(life.is_some()),
            expires,
            ..new_token(&identifier, "robot", Intent::AppPassword)
        };
        let answer = wait(self.registry.create_token(actor(), new));
        let secret = answer.as_ref().map(|created| created.secret.expose().to_vec()).unwrap_or_default();
        let is_there = self.learn(&answer.map(drop), Known::No, Known::Yes);
        let expires = life.map(|life| self.truth.after(Duration::from_secs(life)));
        self.issued.insert(identifier, Issued { secret, expires, is_there });
    }

    fn revoke(&mut self) {
        let there: Vec<String> = self
            .issued
            .iter()
            .filter(|(_, issued)| issued.is_there == Known::Yes)
            .map(|(name, _)| name.clone())
            .collect();
        if there.is_empty() {
            return;
        }
        let name = there[usize::try_from(self.numbers.below(there.len() as u64)).unwrap()].clone();
        let answer =
            wait(self.registry.revoke_token(actor(), name.clone(), super::Replaced::default())).map(drop);
        let is_there = match &answer {
            // It had expired long ago.
            Err(ChangeError::NotFound { .. }) => Known::No,
            answer => self.learn(answer, Known::Yes, Known::No),
        };
        if let Some(issued) = self.issued.get_mut(&name) {
            issued.is_there = is_there;
        }
    }

    fn activate(&mut self) {
        let to = self.numbers.one_in(2);
        let answer = wait(super::commands::testing::set_active(&self.registry, "robot".to_owned(), to));
        let after = if to { Known::Yes } else { Known::No };
        self.is_active = self.learn(&answer, self.is_active, after);
    }

    /// What must hold at any moment.
    fn check(&mut self) {
        let snapshot = self.registry.snapshot();
        let is_active = snapshot.accounts().account_named("robot").unwrap().is_active;
        match self.is_active {
            Known::Unknown => self.is_active = if is_active { Known::Yes } else { Known::No },
            known => assert_eq!(is_active, known == Known::Yes, "world {}: {:#?}", self.seed, self.steps),
        }
        let now = self.registry.now();
        let is_right =
            self.error == 0 && self.registry.clock().report().standing == crate::clock::Standing::Believed;
        for (name, issued) in &mut self.issued {
            let is_there = snapshot.accounts().token_named(name).is_some();
            let context =
                || format!("world {}: {name} at {} (told {now}): {:#?}", self.seed, self.truth, self.steps);
            match issued.is_there {
                Known::Unknown => issued.is_there = if is_there { Known::Yes } else { Known::No },
                Known::No => assert!(!is_there, "{}", context()),
                Known::Yes if !is_there => {
                    let long_ago = issued.expires.is_some_and(|expires| {
                        expires.after(Duration::from_secs(29 * 24 * 3_600)) < self.truth
                    });
                    assert!(long_ago, "{}", context());
                    self.seen.ended += 1;
                    issued.is_there = Known::No;
                }
                Known::Yes => {}
            }
            let works = binds(&self.registry, &issued.secret, now);
            let may = issued.is_there == Known::Yes && is_active && !issued.secret.is_empty();
            match issued.expires {
                _ if !may => assert!(!works, "{}", context()),
                None => assert!(works, "{}", context()),
                // Whatever the clock says: what has ended by the right time stays so.
                Some(expires) if expires <= self.truth && !is_behind(self.error) => {
                    assert!(!works, "{}", context())
                }
                Some(expires) if is_right && expires > self.truth => assert!(works, "{}", context()),
                Some(expires) if expires > self.truth && !works => self.seen.suspended += 1,
                Some(expires) => assert_eq!(works, expires > now, "{}", context()),
            }
        }
    }
}

/// Whether so wrong a clock is behind.
fn is_behind(error: i64) -> bool {
    error < 0
}

fn binds(registry: &Registry, secret: &[u8], now: Timestamp) -> bool {
    match registry.authenticate("robot", secret, None, now, Instant::now()) {
        Authentication::Done(verdict) => matches!(verdict, Verdict::Accepted(_)),
        Authentication::Pending(mut attempt) => {
            let outcome = wait(async { (&mut attempt.outcome).await.ok() });
            matches!(registry.conclude(&attempt, outcome, now, Instant::now()), Verdict::Accepted(_))
        }
    }
}

fn open(store: Arc<FailingStore>, said: &Arc<Mutex<(Timestamp, Duration)>>) -> Arc<Registry> {
    let settings = RegistrySettings {
        token_keys: TokenKeys::of(1, Some(2)),
        token_care: TokenCareSettings {
            expiry_warning: Duration::from_secs(14 * 24 * 3_600),
            expired_tokens_kept: Duration::from_secs(30 * 24 * 3_600),
            tombstones_kept: Duration::from_secs(365 * 24 * 3_600),
        },
        clock: Arc::new(Clock::of_test(said.clone())),
        ..RegistrySettings::default()
    };
    registry_with(store, settings)
}

fn play(seed: u64, seen: &mut Seen) {
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        world.step();
    }
    world.store.likelihood.store(0, Ordering::Relaxed);
    world.right();
    world.restart();
    world.check();
    let found = wait(world.registry.verify_events([])).unwrap();
    assert!(found.is_whole(), "world {seed}: {found:#?}");
    world.registry.close();
    let Seen { acknowledged, refused, unknown, ended, suspended } = world.seen;
    seen.acknowledged += acknowledged;
    seen.refused += refused;
    seen.unknown += unknown;
    seen.ended += ended;
    seen.suspended += suspended;
}

#[test]
fn whatever_fails_nothing_is_lost_and_nothing_comes_back() {
    if let Ok(seed) = std::env::var("BINDERY_SIMULATE") {
        return play(seed.parse().unwrap(), &mut Seen::default());
    }
    let mut seen = Seen::default();
    for seed in 1..=u64::from(crate::rounds::rounds(WORLDS)) {
        play(seed, &mut seen);
    }
    let Seen { acknowledged, refused, unknown, ended, suspended } = seen;
    assert!([acknowledged, refused, unknown, ended, suspended].iter().all(|often| *often > 20), "{seen:?}");
}

const STEPS: usize = 20;
const WORLDS: u32 = 1_000;
