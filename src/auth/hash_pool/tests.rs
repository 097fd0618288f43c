#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use std::net::Ipv4Addr;

use super::*;

/// Of "correct horse".
const SSHA: &str = "{SSHA}awc/Cj0kafyFd5d8fGn07xoHBJJzYWx0c2FsdA==";
const ARGON2I_OF_PASSWORD: &str =
    "$argon2i$v=19$m=65536,t=1,p=1$c29tZXNhbHQAAAAAAAAAAA$+r0d29hqEB0yasKr55ZgICsQGSkl0v0kgwhd+U3wyRo";

fn tiny() -> Argon2Parameters {
    Argon2Parameters::new(8, 1, 1).unwrap()
}

fn settings() -> HashPoolSettings {
    HashPoolSettings {
        threads: NonZeroUsize::new(1),
        parameters: tiny(),
        stored_memory_kib_max: 64,
        memory_octets_max: 64 * 1024,
        queue_length_max: 4,
        queue_share_max: 2,
        ..HashPoolSettings::default()
    }
}

fn pool() -> HashPool {
    HashPool::start(settings()).unwrap()
}

fn stored(text: &str) -> Candidate {
    Candidate::Stored(Arc::new(StoredHash::parse(text, &HashBounds::default()).unwrap()))
}

fn stored_new(secret: &[u8], memory_kib: u32) -> Candidate {
    let parameters = Argon2Parameters::new(memory_kib, 1, 1).unwrap();
    stored(&hash_new(secret, &parameters, &mut ArgonMemory::new()).unwrap())
}

fn job(class: HashClass, last: u8, secret: &[u8], candidate: Candidate) -> HashJob {
    HashJob {
        class,
        source: Some(Ipv4Addr::new(192, 0, 2, last).into()),
        secret: Secret::from(secret),
        candidate,
        unlooked: None,
    }
}

fn verify(pool: &HashPool, secret: &[u8], candidate: Candidate) -> HashOutcome {
    pool.verify(job(HashClass::Other, 1, secret, candidate)).unwrap().blocking_recv().unwrap()
}

/// Takes all memory, so that the pool's thread stops at its next job, and waits until it has taken that job.
fn stall(pool: &HashPool) -> (MemoryLease<'_>, oneshot::Receiver<HashOutcome>) {
    let lease = pool.hold();
    let plug = pool.verify(job(HashClass::Selector, 250, b"plug", Candidate::Dummy)).unwrap();
    while pool.queue_lengths().of(HashClass::Selector) > 0 {
        thread::yield_now();
    }
    (lease, plug)
}

#[test]
fn a_stored_hash_costs_one_hash_right_or_wrong() {
    let pool = pool();
    let candidate = stored_new(b"secret", 8);
    assert_eq!(verify(&pool, b"secret", candidate.clone()), HashOutcome { matches: true, rehashed: None });
    let after_right = HashCounts { verified: 1, argon2id_verified: 1, ..HashCounts::default() };
    assert_eq!(pool.counts(), after_right);
    assert_eq!(verify(&pool, b"wrong", candidate), HashOutcome { matches: false, rehashed: None });
    assert_eq!(pool.counts(), HashCounts { verified: 2, argon2id_verified: 2, ..HashCounts::default() });
}

#[test]
fn nobody_costs_the_same_argon2id_as_somebody() {
    let candidates = [stored_new(b"secret", 8), stored_new(b"secret", 16), stored(SSHA), Candidate::Dummy];
    for candidate in candidates {
        let pool = pool();
        assert!(!verify(&pool, b"wrong", candidate.clone()).matches);
        assert_eq!((pool.counts().argon2id_verified, pool.counts().created), (1, 0), "{candidate:?}");
    }
}

#[test]
fn an_imported_hash_has_a_dummy_beside_it_and_is_renewed_by_a_success() {
    let pool = pool();
    assert_eq!(verify(&pool, b"wrong", stored(SSHA)), HashOutcome { matches: false, rehashed: None });
    assert_eq!(
        pool.counts(),
        HashCounts { verified: 1, dummies: 1, argon2id_verified: 1, ..HashCounts::default() }
    );
    let outcome = verify(&pool, b"correct horse", stored(SSHA));
    assert!(outcome.matches);
    assert_eq!(
        pool.counts(),
        HashCounts { verified: 2, dummies: 2, argon2id_verified: 2, created: 1, ..HashCounts::default() }
    );
    let renewed = stored(&outcome.rehashed.unwrap());
    assert_eq!(verify(&pool, b"correct horse", renewed), HashOutcome { matches: true, rehashed: None });
    assert_eq!(pool.counts().dummies, 2);
}

#[test]
fn other_parameters_are_renewed_by_a_success() {
    let pool = pool();
    let outcome = verify(&pool, b"secret", stored_new(b"secret", 16));
    assert!(outcome.matches);
    assert!(outcome.rehashed.unwrap().starts_with("$argon2id$v=19$m=8,t=1,p=1$"));
    assert_eq!(pool.counts().created, 1);
}

#[test]
fn new_credentials_are_hashed_with_a_salt_each() {
    let pool = pool();
    let secret = Secret::from(b"secret".as_slice());
    let hash =
        || pool.hash(HashClass::Selector, secret.clone(), None).unwrap().blocking_recv().unwrap().unwrap();
    let (one, other) = (hash(), hash());
    assert_ne!(one, other);
    for text in [one, other] {
        assert!(verify(&pool, b"secret", stored(&text)).matches);
    }
    assert_eq!(pool.counts().created, 2);
}

#[test]
fn a_full_queue_and_a_full_share_are_busy_at_once() {
    let pool = pool();
    let (lease, _plug) = stall(&pool);
    let push = |class, last| pool.verify(job(class, last, b"x", Candidate::Dummy));
    let mut waiting = vec![push(HashClass::Other, 1).unwrap(), push(HashClass::Other, 1).unwrap()];
    assert_eq!(push(HashClass::Other, 1).unwrap_err(), HashRefusal::Busy, "the share");
    waiting.push(push(HashClass::Other, 2).unwrap());
    waiting.push(push(HashClass::Other, 3).unwrap());
    // Who has two gives one up for who has none; when nobody has more than another it is full.
    let given_up = waiting.remove(1);
    waiting.push(push(HashClass::Other, 4).unwrap());
    assert!(given_up.blocking_recv().is_err());
    assert_eq!(push(HashClass::Other, 5).unwrap_err(), HashRefusal::Busy, "the queue");
    waiting.push(push(HashClass::Selector, 1).unwrap());
    assert_eq!(HashClass::ALL.map(|class| pool.queue_lengths().of(class)), [1, 4, 0, 0]);
    assert_eq!(pool.counts(), HashCounts { refused_busy: 3, refused_share: 1, ..HashCounts::default() });
    drop(lease);
    for outcome in waiting {
        assert!(!outcome.blocking_recv().unwrap().matches);
    }
    assert_eq!(pool.queue_lengths(), QueueLengths::default());
}

#[test]
fn a_secret_that_may_not_be_tried_costs_what_a_wrong_one_does() {
    let pool = pool();
    let withheld = |candidate: Candidate| match candidate {
        Candidate::Stored(stored) => Candidate::Withheld(stored),
        other => other,
    };
    for text in [
        SSHA,
        &hash_new(b"correct horse", &Argon2Parameters::new(16, 2, 1).unwrap(), &mut ArgonMemory::new())
            .unwrap(),
    ] {
        let before = pool.counts();
        assert!(!verify(&pool, b"wrong", stored(text)).matches);
        let wrong = pool.counts();
        let outcome = verify(&pool, b"correct horse", withheld(stored(text)));
        assert_eq!(outcome, HashOutcome { matches: false, rehashed: None });
        let after = pool.counts();
        let cost = |from: HashCounts, to: HashCounts| {
            [
                to.verified - from.verified,
                to.dummies - from.dummies,
                to.argon2id_verified - from.argon2id_verified,
                to.created - from.created,
            ]
        };
        assert_eq!(cost(before, wrong), cost(wrong, after));
    }
}

#[test]
fn a_dropped_receiver_cancels_what_has_not_begun() {
    let pool = pool();
    let (lease, plug) = stall(&pool);
    drop(pool.verify(job(HashClass::Other, 1, b"x", Candidate::Dummy)).unwrap());
    drop(plug);
    let last = pool.verify(job(HashClass::Other, 1, b"x", Candidate::Dummy)).unwrap();
    drop(lease);
    last.blocking_recv().unwrap();
    assert_eq!(
        pool.counts(),
        HashCounts { cancelled: 2, dummies: 1, argon2id_verified: 1, ..HashCounts::default() }
    );
}

#[test]
fn what_can_wait_never_takes_the_last_thread() {
    let pool = HashPool::start(HashPoolSettings { threads: NonZeroUsize::new(2), ..settings() }).unwrap();
    let lease = pool.hold();
    let push = |class| pool.verify(job(class, 1, b"x", Candidate::Dummy)).unwrap();
    let until = |class, length| {
        let begun = std::time::Instant::now();
        while pool.queue_lengths().of(class) > length {
            assert!(begun.elapsed().as_secs() < 60, "{class:?} waits");
            thread::yield_now();
        }
    };
    let mut outcomes = vec![push(HashClass::Paced), push(HashClass::Bulk)];
    until(HashClass::Paced, 0);
    outcomes.push(push(HashClass::Other));
    until(HashClass::Other, 0);
    assert_eq!(pool.queue_lengths().of(HashClass::Bulk), 1);
    // When the first of them is done the other has its turn.
    drop(lease);
    for outcome in outcomes {
        assert!(!outcome.blocking_recv().unwrap().matches);
    }
}

#[test]
fn an_imported_hash_counts_for_what_it_costs() {
    let usual = Argon2Parameters::default();
    let cost = |text: &str| StoredHash::parse(text, &HashBounds::default()).unwrap().cost();
    let key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    let rounds = cost(&format!("pbkdf2_sha256$1000000$salt${key}"));
    assert!((6..10).contains(&(rounds / usual.cost())), "{rounds}");
    let bcrypt = "{CRYPT}$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW";
    assert!((10..20).contains(&(cost(bcrypt) / usual.cost())), "{}", cost(bcrypt));
    assert!(cost("{SSHA}W6ph5Mm5Pz8GgiULbPgzG37mj9hzYWx0") < usual.cost());
    let work = |text: &str| {
        let (answer, _) = oneshot::channel();
        let secret = Secret::from(b"x".as_slice());
        Work::Verify { secret, candidate: stored(text), unlooked: None, answer }.cost(&usual)
    };
    assert_eq!(
        work(&format!("pbkdf2_sha256$1000000$salt${key}")),
        usual.cost() + rounds,
        "a dummy is beside it"
    );
}

#[test]
fn memory_stays_within_the_budget() {
    let pool = HashPool::start(HashPoolSettings {
        threads: NonZeroUsize::new(4),
        queue_length_max: 100,
        queue_share_max: 100,
        ..settings()
    })
    .unwrap();
    let big = stored_new(b"secret", 60);
    let small = stored_new(b"secret", 8);
    let outcomes: Vec<_> = (0..40)
        .map(|number| if number % 3 == 0 { big.clone() } else { small.clone() })
        .map(|candidate| pool.verify(job(HashClass::Other, 1, b"secret", candidate)).unwrap())
        .collect();
    for outcome in outcomes {
        assert!(outcome.blocking_recv().unwrap().matches);
    }
    let peak = pool.shared.memory.octets_peak();
    assert!((60 * 1024..=64 * 1024).contains(&peak), "{peak}");
    assert_eq!(
        pool.verify(job(HashClass::Other, 1, b"password", stored(ARGON2I_OF_PASSWORD))).unwrap_err(),
        HashRefusal::AboveMemoryBudget
    );
}

#[test]
fn a_closed_pool_refuses_and_leaves_nobody_waiting() {
    let pool = pool();
    let (lease, plug) = stall(&pool);
    let waiting = pool.verify(job(HashClass::Other, 1, b"x", Candidate::Dummy)).unwrap();
    thread::scope(|scope| {
        let closing = scope.spawn(|| pool.close());
        assert!(waiting.blocking_recv().is_err(), "what waited is forgotten");
        drop(lease);
        assert!(plug.blocking_recv().is_ok(), "what ran is finished");
        closing.join().unwrap();
    });
    assert_eq!(
        pool.verify(job(HashClass::Other, 1, b"x", Candidate::Dummy)).unwrap_err(),
        HashRefusal::Closed
    );
    assert!(matches!(
        pool.hash(HashClass::Selector, Secret::from(b"x".as_slice()), None),
        Err(HashRefusal::Closed)
    ));
    pool.close();
}

#[test]
fn settings_that_cannot_work_are_refused() {
    for (stored_memory_kib_max, hash_octets) in [(0, 8_192), (64, 65_536)] {
        let small =
            HashPoolSettings { stored_memory_kib_max, memory_octets_max: hash_octets - 1, ..settings() };
        let error = HashPool::start(small).err();
        assert!(
            matches!(error, Some(HashPoolError::MemoryBudget { hash_octets: found, .. }) if found == hash_octets)
        );
    }
    for (queue_length_max, queue_share_max) in [(0, 1), (1, 0)] {
        let none = HashPoolSettings { queue_length_max, queue_share_max, ..settings() };
        assert!(matches!(HashPool::start(none), Err(HashPoolError::NoPlaceInQueue)));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn only_the_thread_that_asks_is_lowered() {
    let before = rustix::process::getpriority_process(None).unwrap();
    let lowered = thread::spawn(|| {
        lower_priority(3);
        rustix::process::getpriority_process(None).unwrap()
    });
    assert_eq!(lowered.join().unwrap(), (before + 3).min(19));
    assert_eq!(rustix::process::getpriority_process(None).unwrap(), before);
}
