//! A deterministic simulation of a store that fails, a clock that jumps and the commands of an operator: whatever comes in
//! between, what was acknowledged is there, what was refused is not, and no credential ends or begins to work by a wrong
//! clock. The commands make, revoke and rotate tokens, deactivate their account, put it into a nested group and give it a
//! role, grant the role a right, and bind the application to the outer group; what follows from these is asked too.
//!
//! A world is made of a number, which a failure prints: `BINDERY_SIMULATE=NUMBER` plays that one alone. The store is one in
//! memory behind a layer that fails at each call with some likelihood: with a full disk, or with a write of which nobody knows
//! whether it was carried out, and then with everything until the restart.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use super::commands::testing::{
    account, actor, apply, group, new_token, provider, registry_with, role, verdict_of, wait,
};
use super::{ChangeError, Registry, RegistrySettings, TokenCareSettings, Transaction, Verdict, commands};
use crate::access::decide;
use crate::auth::{ThrottleSettings, TokenKeys};
use crate::clock::Clock;
use crate::config::{Seed, SeedApplication};
use crate::directory::Accounts;
use crate::model::{
    AccountKind, ApplicationChanges, BindingSubject, Expiry, Grant, GroupChanges, Intent, Permission,
    Timestamp,
};
use crate::store::{Call, Fate, FaultyStore, MemoryStore, StoreError};

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

/// How a store fails.
struct Faults {
    numbers: Mutex<Numbers>,
    /// One call in so many fails; 0: none.
    likelihood: AtomicU64,
    is_stopped: AtomicBool,
}

impl Faults {
    /// A store over `records` that fails so.
    fn store(records: Arc<MemoryStore>, seed: u64) -> (Arc<FaultyStore>, Arc<Self>) {
        let faults = Arc::new(Self {
            numbers: Mutex::new(Numbers(seed)),
            likelihood: AtomicU64::new(0),
            is_stopped: AtomicBool::new(false),
        });
        let own = Arc::clone(&faults);
        (Arc::new(FaultyStore::over(records, move |call| own.fate(call))), faults)
    }

    fn fate(&self, call: Call) -> Fate {
        if self.is_stopped.load(Ordering::Relaxed) {
            return Fate::Fails(stopped());
        }
        if call == Call::Hindrance {
            return Fate::CarriedOut;
        }
        if self.strikes() {
            return Fate::Fails(StoreError::Full { path: "simulated".into(), free: None, needed: None });
        }
        if call != Call::Commit || !self.strikes() {
            return Fate::CarriedOut;
        }
        // A failure of which nobody knows what it left.
        self.is_stopped.store(true, Ordering::Relaxed);
        if self.numbers.lock().unwrap().one_in(2) {
            Fate::FailsAfterwards(stopped())
        } else {
            Fate::Fails(stopped())
        }
    }

    fn strikes(&self) -> bool {
        let likelihood = self.likelihood.load(Ordering::Relaxed);
        likelihood > 0 && self.numbers.lock().unwrap().one_in(likelihood)
    }
}

fn stopped() -> StoreError {
    StoreError::Stopped { path: "simulated".into(), reason: "a write failed".to_owned() }
}

/// Something that commands make so and undo again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fact {
    /// `robot` is in the group `inner`.
    Member,
    /// `inner` is in the group `staff`.
    Nested,
    /// `robot` has the role `viewers`.
    HasRole,
    /// That role may view tokens.
    Granted,
    /// `staff` alone may use the application of the directory.
    Bound,
}

impl Fact {
    const ALL: [Self; 5] = [Self::Member, Self::Nested, Self::HasRole, Self::Granted, Self::Bound];

    fn is_so(self, accounts: &Accounts) -> bool {
        let robot = accounts.account_named("robot").unwrap();
        let inner = accounts.group_named("inner").unwrap();
        let role = accounts.role_named("viewers").unwrap();
        match self {
            Self::Member => inner.has_member(robot.number),
            Self::Nested => accounts.lead_to(&[inner.number], accounts.group_named("staff").unwrap().number),
            Self::HasRole => robot.roles.contains(&role.number),
            Self::Granted => role.grants.contains(&VIEW_TOKENS),
            Self::Bound => !accounts.application_named("app").unwrap().bindings.is_empty(),
        }
    }

    fn make(self, transaction: &mut Transaction<'_>, is_so: bool) -> Result<(), ChangeError> {
        let accounts = transaction.snapshot().accounts();
        let robot = accounts.account_named("robot").unwrap().number;
        let inner = accounts.group_named("inner").unwrap().number;
        let staff = accounts.group_named("staff").unwrap().number;
        let role = accounts.role_named("viewers").unwrap().number;
        match self {
            Self::Member => commands::set_member(transaction, inner, robot, is_so),
            Self::Nested => {
                let parents = Some(if is_so { vec![staff] } else { Vec::new() });
                let changes = GroupChanges { parents, ..GroupChanges::default() };
                commands::update_group(transaction, inner, changes)
            }
            Self::HasRole => commands::set_role_of_account(transaction, role, robot, is_so),
            Self::Granted => {
                commands::set_grants(transaction, commands::Grantee::Role(role), &[VIEW_TOKENS], is_so)
            }
            Self::Bound => {
                let application = accounts.application_named("app").unwrap();
                let bound = application.bindings.first().map(|binding| binding.uuid);
                let (target, to) = (application.number, BindingSubject::Group(staff));
                let changes = commands::BindingChanges::default();
                match bound {
                    None if is_so => commands::create_binding(transaction, target, to, changes).map(drop),
                    Some(uuid) if !is_so => commands::delete_binding(transaction, uuid),
                    _ => Ok(()),
                }
            }
        }
    }
}

const VIEW_TOKENS: Grant = Grant { permission: Permission::ViewToken, on: None };

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
    /// What it is called now.
    name: String,
    secret: Vec<u8>,
    /// By the right time.
    expires: Option<Timestamp>,
    is_there: Known,
    /// Another took its place: it goes when its time is over, and with that one.
    is_replaced: bool,
    /// Of which line it is: those that took the place of each other.
    line: usize,
}

struct World {
    seed: u64,
    numbers: Numbers,
    records: Arc<MemoryStore>,
    faults: Arc<Faults>,
    registry: Arc<Registry>,
    said: Arc<Mutex<(Timestamp, Duration)>>,
    /// What a right clock says.
    truth: Timestamp,
    /// By how much the clock is wrong (seconds).
    error: i64,
    /// How long it has been (seconds).
    wrong_for: u64,
    running: Duration,
    issued: Vec<Issued>,
    is_active: Known,
    facts: BTreeMap<Fact, Known>,
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
    rotated: usize,
    /// Looks at a directory that the application does not admit the account to.
    shut_out: usize,
    /// Looks at an account that may do something.
    entitled: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let said = Arc::new(Mutex::new((BEGINNING, Duration::ZERO)));
        // What every world begins with is made once.
        static SEEDED: OnceLock<MemoryStore> = OnceLock::new();
        let records = Arc::new(SEEDED.get_or_init(|| seeded(&said)).copy());
        let (store, faults) = Faults::store(records.clone(), seed);
        let registry = open(store, &said);
        Self {
            seed,
            numbers: Numbers(seed ^ 0x5EED),
            records,
            faults,
            registry,
            said,
            truth: BEGINNING,
            error: 0,
            wrong_for: 0,
            running: Duration::ZERO,
            issued: Vec::new(),
            is_active: Known::Yes,
            facts: Fact::ALL.map(|fact| (fact, Known::No)).into(),
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
        self.faults.likelihood.store(likelihood, Ordering::Relaxed);
        let what = self.numbers.below(18);
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
            11 => self.tolerate(wait(self.registry.flush_logins())),
            12 | 13 => self.rotate(),
            _ => self.change_fact(),
        }
        self.faults.likelihood.store(0, Ordering::Relaxed);
        if self.faults.is_stopped.load(Ordering::Relaxed) {
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
        let (store, faults) = Faults::store(self.records.clone(), self.numbers.next());
        self.faults = faults;
        self.registry = open(store, &self.said);
    }

    fn create(&mut self) {
        // By a wrong clock nobody can say when something ends.
        let life =
            (self.error == 0 && self.numbers.one_in(2)).then(|| self.numbers.below(90) * 24 * 3_600 + 60);
        let line = self.issued.len();
        let name = format!("token-{line}");
        let expires = life.map(|life| Expiry::In(Duration::from_secs(life)));
        let new = super::NewToken {
            expiring: Some(life.is_some()),
            expires,
            ..new_token(&name, "robot", Intent::AppPassword)
        };
        let answer = wait(self.registry.create_token(actor(), new));
        let secret = answer.as_ref().map(|created| created.secret.expose().to_vec()).unwrap_or_default();
        let is_there = self.learn(&answer.map(drop), Known::No, Known::Yes);
        // By the server's time, which goes on from that of a clock that was believed though it was an hour ahead.
        let expires = life.map(|life| self.registry.now().after(Duration::from_secs(life)));
        self.issued.push(Issued { name, secret, expires, is_there, is_replaced: false, line });
    }

    /// One that is there, and whose place none has taken.
    fn choose(&mut self) -> Option<usize> {
        let there = self.issued.iter().enumerate();
        let there = there.filter(|(_, issued)| issued.is_there == Known::Yes && !issued.is_replaced);
        let there: Vec<usize> = there.map(|(at, _)| at).collect();
        let count = u64::try_from(there.len()).unwrap();
        (count > 0).then(|| there[usize::try_from(self.numbers.below(count)).unwrap()])
    }

    fn revoke(&mut self) {
        let Some(at) = self.choose() else { return };
        let (name, line) = (self.issued[at].name.clone(), self.issued[at].line);
        let answer = wait(self.registry.revoke_token(actor(), name, super::Replaced::default())).map(drop);
        let is_there = match &answer {
            // It had expired long ago.
            Err(ChangeError::NotFound { .. }) => Known::No,
            answer => self.learn(answer, Known::Yes, Known::No),
        };
        for issued in &mut self.issued {
            if issued.line == line && issued.is_there == Known::Yes {
                issued.is_there = is_there;
            }
        }
    }

    fn rotate(&mut self) {
        // By a wrong clock nobody can say when something ends.
        if !self.is_right() {
            return;
        }
        let Some(at) = self.choose() else { return };
        let (name, line, before) =
            (self.issued[at].name.clone(), self.issued[at].line, self.issued[at].expires);
        let overlap = if self.numbers.one_in(3) { 0 } else { self.numbers.below(3) * 3_600 + 60 };
        let overlap = Duration::from_secs(overlap);
        let number = self.registry.snapshot().accounts().token_named(&name).unwrap().number;
        let answer = wait(self.registry.rotate_token(actor(), name.clone(), overlap));
        let secret = answer.as_ref().map(|created| created.secret.expose().to_vec()).unwrap_or_default();
        self.learn(&answer.map(drop), Known::No, Known::Yes);
        if self.faults.is_stopped.load(Ordering::Relaxed) {
            self.restart();
        }
        let snapshot = self.registry.snapshot();
        let accounts = snapshot.accounts();
        let newest = accounts.token_named(&name).unwrap();
        assert!(secret.is_empty() || newest.number != number, "world {}: {:#?}", self.seed, self.steps);
        if newest.number == number {
            return;
        }
        self.seen.rotated += 1;
        let old = &mut self.issued[at];
        match accounts.token(number) {
            Some(kept) => {
                let least = self.truth.after(overlap);
                let least = before.map_or(least, |before| before.min(least));
                assert!(kept.expires >= Some(least), "world {}: {:#?}", self.seed, self.steps);
                (old.name, old.expires, old.is_replaced) = (kept.identifier.to_string(), kept.expires, true);
            }
            None => {
                let is_over = before.is_some_and(|before| before <= self.registry.now());
                assert!(overlap.is_zero() || is_over, "world {}: {:#?}", self.seed, self.steps);
                // Its name is that of another now; that its secret is of no use is asked for on.
                (old.name, old.is_there) = (String::new(), Known::No);
            }
        }
        let (expires, is_there) = (newest.expires, Known::Yes);
        self.issued.push(Issued { name, secret, expires, is_there, is_replaced: false, line });
    }

    fn change_fact(&mut self) {
        let fact = Fact::ALL[usize::try_from(self.numbers.below(5)).unwrap()];
        let is_so = !self.numbers.one_in(3);
        let made = self.registry.change(actor(), move |transaction| fact.make(transaction, is_so));
        let answer = wait(made);
        let after = if is_so { Known::Yes } else { Known::No };
        let known = self.learn(&answer, self.facts[&fact], after);
        self.facts.insert(fact, known);
    }

    fn is_right(&self) -> bool {
        self.error == 0 && self.registry.clock().report().standing == crate::clock::Standing::Believed
    }

    /// What is known is so, and so is what follows from it: whether the application admits the account.
    fn check_facts(&mut self, accounts: &Accounts, is_active: bool) -> bool {
        let mut so = BTreeMap::new();
        for (fact, known) in &mut self.facts {
            let is_so = fact.is_so(accounts);
            if *known == Known::Unknown {
                *known = if is_so { Known::Yes } else { Known::No };
            }
            assert_eq!(is_so, *known == Known::Yes, "world {}: {fact:?} {:#?}", self.seed, self.steps);
            so.insert(*fact, is_so);
        }
        let robot = accounts.account_named("robot").unwrap();
        let is_in = so[&Fact::Member] && so[&Fact::Nested];
        let staff = accounts.group_named("staff").unwrap().number;
        assert_eq!(accounts.lead_to(&robot.groups, staff), is_in, "world {}: {:#?}", self.seed, self.steps);
        let may = decide(accounts, robot, VIEW_TOKENS.permission, None).is_allowed();
        let is_entitled = so[&Fact::HasRole] && so[&Fact::Granted];
        assert_eq!(may && is_active, is_entitled && is_active, "world {}: {:#?}", self.seed, self.steps);
        let is_admitted = !so[&Fact::Bound] || is_in;
        self.seen.entitled += usize::from(is_entitled);
        self.seen.shut_out += usize::from(!is_admitted);
        is_admitted
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
        let is_admitted = self.check_facts(snapshot.accounts(), is_active);
        let now = self.registry.now();
        let is_right = self.is_right();
        // As late as it may be by a clock that was believed though it was an hour ahead.
        let latest = self.truth.after(Duration::from_secs(3_600));
        for issued in &mut self.issued {
            let name = &issued.name;
            let is_there = snapshot.accounts().token_named(name).is_some();
            let context =
                || format!("world {}: {name} at {} (told {now}): {:#?}", self.seed, self.truth, self.steps);
            match issued.is_there {
                Known::Unknown => issued.is_there = if is_there { Known::Yes } else { Known::No },
                Known::No => assert!(!is_there, "{}", context()),
                Known::Yes if !is_there => {
                    let kept = if issued.is_replaced { 0 } else { 29 * 24 * 3_600 };
                    let kept = Duration::from_secs(kept);
                    let long_ago = issued.expires.is_some_and(|expires| expires.after(kept) <= latest);
                    assert!(long_ago, "{}", context());
                    self.seen.ended += 1;
                    issued.is_there = Known::No;
                }
                Known::Yes => {}
            }
            let works = binds(&self.registry, &issued.secret, now);
            let may = issued.is_there == Known::Yes && is_active && is_admitted && !issued.secret.is_empty();
            match issued.expires {
                _ if !may => assert!(!works, "{}", context()),
                None => assert!(works, "{}", context()),
                // Whatever the clock says: what has ended by the right time stays so.
                Some(expires) if expires <= self.truth && !is_behind(self.error) => {
                    assert!(!works, "{}", context())
                }
                Some(expires) if is_right && expires > latest => assert!(works, "{}", context()),
                Some(expires) if expires > self.truth && !works => self.seen.suspended += 1,
                Some(expires) => assert_eq!(works, expires > now, "{}", context()),
            }
        }
    }
}

/// An account, groups, a role, and an application that admits everybody.
fn seeded(said: &Arc<Mutex<(Timestamp, Duration)>>) -> MemoryStore {
    let records = Arc::new(MemoryStore::new());
    let (store, _) = Faults::store(records.clone(), 0);
    let registry = open(store, said);
    let app = SeedApplication {
        slug: "app".to_owned(),
        provider: Some("ldap".to_owned()),
        bindings: Some(Vec::new()),
        said: ApplicationChanges::default(),
    };
    let seed = Seed {
        providers: vec![provider("ldap", "dc=example,dc=com")],
        accounts: vec![account("robot", AccountKind::ServiceAccount)],
        groups: vec![group("staff", &[]), group("inner", &[])],
        roles: vec![role("viewers", Vec::new())],
        applications: vec![app],
        ..Seed::default()
    };
    apply(&registry, &seed).unwrap();
    registry.close();
    records.copy()
}

const BEGINNING: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

/// Whether so wrong a clock is behind.
fn is_behind(error: i64) -> bool {
    error < 0
}

fn binds(registry: &Registry, secret: &[u8], now: Timestamp) -> bool {
    matches!(wait(verdict_of(registry, "robot", secret, None, now)), Verdict::Accepted(_))
}

fn open(store: Arc<FaultyStore>, said: &Arc<Mutex<(Timestamp, Duration)>>) -> Arc<Registry> {
    let settings = RegistrySettings {
        token_keys: TokenKeys::of(1, Some(2)),
        token_care: TokenCareSettings {
            expiry_warning: Duration::from_secs(14 * 24 * 3_600),
            expired_tokens_kept: Duration::from_secs(30 * 24 * 3_600),
            tombstones_kept: Duration::from_secs(365 * 24 * 3_600),
        },
        clock: Arc::new(Clock::of_test(said.clone())),
        // Tables that are made for each start.
        throttle: ThrottleSettings { entries_max: 64, ..ThrottleSettings::default() },
        ..RegistrySettings::default()
    };
    registry_with(store, settings)
}

fn play(seed: u64, seen: &mut Seen) {
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        world.step();
    }
    world.faults.likelihood.store(0, Ordering::Relaxed);
    world.right();
    world.restart();
    world.check();
    let found = wait(world.registry.verify_events([])).unwrap();
    assert!(found.is_whole(), "world {seed}: {found:#?}");
    world.registry.close();
    let Seen { acknowledged, refused, unknown, ended, suspended, rotated, shut_out, entitled } = world.seen;
    seen.rotated += rotated;
    seen.shut_out += shut_out;
    seen.entitled += entitled;
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
    let Seen { acknowledged, refused, unknown, ended, suspended, rotated, shut_out, entitled } = seen;
    let all = [acknowledged, refused, unknown, ended, suspended, rotated, shut_out, entitled];
    assert!(all.iter().all(|often| *often > 20), "{seen:?}");
}

const STEPS: usize = 20;
const WORLDS: u32 = 1_000;
