//! What was done to the trail behind bindery's back is named, whatever the store.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::audit::{TrailProblem, append, digest};
use crate::model::{AccountKind, Change, EventDigest, InternalAccount, TrailState};
use crate::plain::event;
use crate::registry::commands::testing::{
    account, actor, apply, count_events, provider, registry, registry_over, secrets_for, set_active, wait,
};
use crate::registry::{RegistrySettings, SeedOptions, Transaction};
use crate::store::{Batch, Call, DiskStore, Fate, FaultyStore, MemoryStore};

fn seed() -> crate::config::Seed {
    crate::config::Seed {
        providers: vec![provider("ldap", "dc=example,dc=com")],
        accounts: ["alice", "bob", "carol"].map(|name| account(name, AccountKind::Internal)).to_vec(),
        ..Default::default()
    }
}

/// Events of each store: the accounts of bindery's own parts are made.
const BEGINNING: usize = InternalAccount::ALL.len();

/// A trail of some events.
fn filled(store: Arc<dyn Store>) -> Arc<Registry> {
    let registry = registry_over(store);
    apply(&registry, &seed()).unwrap();
    for _ in 0..5 {
        for is_active in [false, true] {
            wait(set_active(&registry, "alice".to_owned(), is_active)).unwrap();
        }
    }
    registry
}

/// Runs a test on a store in memory and on one on disk.
fn on_both(test: impl Fn(Arc<dyn Store>)) {
    test(Arc::new(MemoryStore::new()));
    let directory = tempfile::tempdir().unwrap();
    test(Arc::new(DiskStore::open(directory.path()).unwrap()));
}

fn commit(store: &dyn Store, put: Vec<Change>, changes: TrailState) {
    let meta = store.meta();
    let trails = crate::model::Trails { changes, ..meta.counters.trails };
    let counters = crate::store::Counters { trails, ..meta.counters };
    store.commit(&Batch { changes: put, counters, seeded: meta.seeded, ..Batch::default() }).unwrap();
}

/// What there is to say of the trail of changes; the others are as they were written.
fn verified(registry: &Registry, expected: Option<ExpectedEvent>) -> TrailReport {
    let report = wait(registry.verify_events(expected)).unwrap();
    assert_eq!(report.trails.iter().map(|report| report.trail).collect::<Vec<_>>(), Trail::ALL);
    assert!(report.trails.iter().skip(1).all(TrailReport::is_whole), "{report:?}");
    report.trails.into_iter().next().unwrap()
}

/// Changes the events behind bindery's back, and opens the store anew.
fn harmed(harm: impl Fn(&mut Vec<Event>) -> Vec<u64>) -> Vec<Vec<TrailProblem>> {
    let reports = std::cell::RefCell::new(Vec::new());
    on_both(|store| {
        filled(store.clone()).close();
        let state = store.meta().counters.trails.changes;
        let before = store.events(Trail::Changes, 0, usize::MAX).unwrap();
        let mut after = before.clone();
        let removed = harm(&mut after);
        let deleted =
            removed.into_iter().map(|sequence| Change::Delete(Key::Event(Trail::Changes.at(sequence))));
        let put = after.into_iter().filter(|event| !before.contains(event));
        commit(&*store, deleted.chain(put.map(|event| Change::Put(Record::Event(event)))).collect(), state);
        let registry = registry_over(store);
        let report = verified(&registry, None);
        assert_eq!(report.is_whole(), report.problems.is_empty());
        reports.borrow_mut().push(report.problems);
        // It does not go away when more is written.
        wait(set_active(&registry, "bob".to_owned(), false)).unwrap();
        assert!(!wait(registry.verify_events(None)).unwrap().is_whole());
    });
    reports.into_inner()
}

#[test]
fn an_untouched_trail_is_whole_across_restarts() {
    on_both(|store| {
        filled(store.clone()).close();
        let registry = registry_over(store.clone());
        wait(set_active(&registry, "bob".to_owned(), false)).unwrap();
        let report = verified(&registry, None);
        assert!(report.is_whole() && report.verified > 10, "{report:?}");
        let newest = store.events_before(Trail::Changes, u64::MAX, 1).unwrap().remove(0);
        assert_eq!((report.last, report.head), (newest.sequence, digest(&newest)));
        assert_eq!(newest.object_name, "bob");
        let noted = ExpectedEvent { place: newest.place(), digest: digest(&newest) };
        assert!(wait(registry.verify_events(Some(noted))).unwrap().is_whole());
    });
}

#[test]
fn an_event_that_was_edited_is_named() {
    for problems in harmed(|events| {
        events[4].actor.account = "somebody else".to_owned();
        Vec::new()
    }) {
        assert_eq!(problems, [TrailProblem::Edited { sequence: 5 }]);
    }
    for problems in harmed(|events| {
        events.last_mut().unwrap().changes.clear();
        Vec::new()
    }) {
        assert!(matches!(problems.as_slice(), [TrailProblem::Edited { .. }]), "{problems:?}");
    }
}

#[test]
fn events_that_were_removed_are_named() {
    for problems in harmed(|_| vec![3, 4, 7]) {
        let gap = |first, last| TrailProblem::Removed { first, last };
        assert_eq!(problems, [gap(3, 4), gap(7, 7)]);
    }
    for problems in harmed(|events| vec![1, events.len() as u64]) {
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert_eq!(problems[0], TrailProblem::Removed { first: 1, last: 1 });
    }
}

#[test]
fn events_that_were_swapped_are_named() {
    for problems in harmed(|events| {
        events.swap(5, 6);
        (events[5].sequence, events[6].sequence) = (6, 7);
        Vec::new()
    }) {
        assert!(problems.contains(&TrailProblem::Moved { sequence: 7, written_behind: 5 }), "{problems:?}");
    }
}

#[test]
fn events_that_were_added_are_named() {
    for problems in harmed(|events| {
        let mut more = events[3].clone();
        more.sequence = 1_000;
        events.push(more);
        Vec::new()
    }) {
        assert_eq!(problems, [TrailProblem::Added { sequence: 1_000 }]);
    }
}

#[test]
fn a_trail_that_was_written_anew_is_told_by_a_digest_from_the_log() {
    // The one on disk refuses a batch that does not follow on the one before it.
    let store = Arc::new(MemoryStore::new());
    filled(store.clone()).close();
    let mut events = store.events(Trail::Changes, 0, usize::MAX).unwrap();
    let noted = ExpectedEvent { place: Trail::Changes.at(9), digest: digest(&events[8]) };
    events[2].object_name = "somebody else".to_owned();
    let mut state = TrailState::default();
    events.iter_mut().for_each(|event| append(&mut state, event));
    commit(&*store, events.into_iter().map(|event| Change::Put(Record::Event(event))).collect(), state);
    let registry = registry_over(store);
    assert!(wait(registry.verify_events(None)).unwrap().is_whole());
    let problems = verified(&registry, Some(noted)).problems;
    assert!(matches!(problems.as_slice(), [TrailProblem::Rewritten { sequence: 9, .. }]), "{problems:?}");
}

/// Commands that fail, panic or are only rehearsed leave no gap, also between others of one group.
#[test]
fn what_is_not_kept_does_not_disturb_the_chain() {
    let registry = filled(Arc::new(MemoryStore::new()));
    let deletes = |transaction: &mut Transaction<'_>| {
        let bob = transaction.snapshot().accounts().account_named("bob").unwrap().number;
        transaction.delete_account(bob)
    };
    let fails = move |transaction: &mut Transaction<'_>| -> Result<(), ChangeError> {
        deletes(transaction)?;
        Err(ChangeError::Conflict)
    };
    let panics = move |transaction: &mut Transaction<'_>| -> Result<(), ChangeError> {
        deletes(transaction)?;
        panic!("an error in a command")
    };
    wait(async {
        for is_active in [false, true] {
            let (first, rehearsed, failed, panicked, last) = tokio::join!(
                set_active(&registry, "alice".to_owned(), is_active),
                registry.rehearse(deletes),
                registry.change(actor(), fails),
                registry.change(actor(), panics),
                set_active(&registry, "carol".to_owned(), is_active),
            );
            assert!(first.is_ok() && rehearsed.is_ok() && last.is_ok());
            assert!(failed.is_err() && panicked.is_err());
        }
        registry.plan_seed(seed(), SeedOptions::default()).await.map(|plan| secrets_for(&plan)).unwrap();
    });
    let report = verified(&registry, None);
    assert!(report.is_whole(), "{report:?}");
    assert!(registry.snapshot().accounts().account_named("bob").is_some());
}

#[test]
fn a_full_disk_leaves_no_gap() {
    let store = Arc::new(MemoryStore::new());
    let registry = filled(store.clone());
    for is_full in [true, false] {
        store.set_full(is_full);
        let done = wait(set_active(&registry, "bob".to_owned(), false));
        assert_eq!(done.is_err(), is_full);
    }
    assert!(wait(registry.verify_events(None)).unwrap().is_whole());
}

#[test]
fn events_go_from_the_front_when_there_are_too_many() {
    on_both(|store| {
        let registry = filled(store.clone());
        let length = store.meta().counters.trails.changes.kept();
        let retired = wait(registry.retire_events(Duration::from_secs(1_000), 5)).unwrap();
        assert_eq!((retired.too_many, retired.too_old, retired.is_more), (length - 5, 0, false));
        assert_eq!(registry.reached().count(Limit::events_max), length - 5);
        let report = verified(&registry, None);
        assert!(report.is_whole(), "{report:?}");
        assert_eq!((report.verified, report.first, report.last), (5, length - 4, length));
        // The first that is kept is held to what was before it.
        let mut first = store.events(Trail::Changes, 0, 1).unwrap().remove(0);
        first.previous = EventDigest::NONE;
        commit(&*store, vec![Change::Put(Record::Event(first))], store.meta().counters.trails.changes);
        let problems = verified(&registry, None).problems;
        assert!(problems.contains(&TrailProblem::Edited { sequence: length - 4 }), "{problems:?}");
    });
}

#[test]
fn events_go_from_the_front_when_their_time_is_over() {
    let store = Arc::new(MemoryStore::new());
    let registry = filled(store.clone());
    let length = store.meta().counters.trails.changes.kept();
    let none = wait(registry.retire_events(Duration::from_secs(1_000), 1_000)).unwrap();
    assert_eq!(none, RetiredEvents::default());
    assert_eq!(store.meta().counters.trails.changes.kept(), length);
    std::thread::sleep(Duration::from_millis(1_100));
    let retired = wait(registry.retire_events(Duration::ZERO, 1_000)).unwrap();
    assert_eq!((retired.too_old, retired.too_many), (length, 0));
    assert_eq!(registry.reached().count(Limit::event_retention), length);
    let report = verified(&registry, None);
    assert!(report.is_whole() && report.verified == 0, "{report:?}");
    // The chain goes on where it was.
    wait(set_active(&registry, "bob".to_owned(), false)).unwrap();
    let report = verified(&registry, None);
    assert!(report.is_whole() && report.verified == 1 && report.first == length + 1, "{report:?}");
}

#[test]
fn an_event_of_the_future_does_not_keep_what_is_behind_it() {
    let store = Arc::new(MemoryStore::new());
    let mut state = TrailState::default();
    let far = Timestamp::now().after(Duration::from_secs(1_000_000_000));
    let old = Timestamp::from_unix_seconds(1_000);
    let recent = Timestamp::now();
    let events = [far, old, far, far, old, old, recent, far].map(|time| {
        let mut event = Event { time, ..event() };
        append(&mut state, &mut event);
        Change::Put(Record::Event(event))
    });
    commit(&*store, events.to_vec(), state);
    let registry = registry_over(store);
    let retire = || wait(registry.retire_events(Duration::from_secs(1_000), 1_000)).unwrap().too_old;
    assert_eq!((retire(), retire()), (6, 0), "but not those before what is recent");
    assert!(wait(registry.verify_events(None)).unwrap().is_whole());
}

/// While the clock is years ahead nothing is over; what is too much goes all the same. When it is right again, all is there.
#[test]
fn a_clock_that_is_ahead_retires_nothing() {
    let day = Duration::from_secs(24 * 60 * 60);
    let store = Arc::new(MemoryStore::new());
    filled(store.clone()).close();
    let length = store.meta().counters.trails.changes.kept();
    let open = |time| {
        let said = Arc::new(std::sync::Mutex::new((time, Duration::ZERO)));
        let clock = Arc::new(crate::clock::Clock::of_test(Arc::clone(&said)));
        let settings = RegistrySettings { clock, ..RegistrySettings::default() };
        (Registry::open(store.clone(), settings).unwrap(), said)
    };
    let believed = store.meta().belief.unwrap().time;
    let ahead = believed.after(3_650 * day);
    let (registry, said) = open(ahead);
    let retire = |registry: &Registry, max| wait(registry.retire_events(100 * day, max)).unwrap();
    assert_eq!(retire(&registry, 1_000), RetiredEvents::default());
    wait(set_active(&registry, "bob".to_owned(), false)).unwrap();
    assert_eq!(store.meta().belief.unwrap().time, believed, "what is written meanwhile does not move it");
    assert_eq!(
        (retire(&registry, length).too_many, retire(&registry, length)),
        (1, RetiredEvents::default())
    );
    registry.close();
    let (right, _) = open(believed.after(day / 2));
    assert_eq!(retire(&right, 1_000), RetiredEvents::default());
    assert_eq!(store.meta().counters.trails.changes.kept(), length);
    right.close();
    // A day later it is believed.
    *said.lock().unwrap() = (ahead, Duration::ZERO);
    let (registry, said) = open(ahead);
    assert_eq!(retire(&registry, 1_000), RetiredEvents::default());
    *said.lock().unwrap() = (ahead.after(day), day);
    assert_eq!(retire(&registry, 1_000).too_old, length - 1, "all but what was written when it was ahead");
    assert!(wait(registry.verify_events(None)).unwrap().is_whole());
    registry.close();
    assert!(store.meta().belief.unwrap().time >= ahead);
}

#[test]
fn many_events_go_in_several_changes() {
    let store = Arc::new(MemoryStore::new());
    let registry = registry_over(store.clone());
    wait(registry.change(actor(), |transaction| {
        (0..2_500).try_for_each(|_| transaction.note(Action::Custom, EventObject::default()))
    }))
    .unwrap();
    let counts: Vec<u64> = (0..3)
        .map(|_| wait(registry.retire_events(Duration::from_secs(1_000), 100)).unwrap())
        .map(|retired| {
            assert_eq!(retired.is_more, retired.count() == 1_000);
            retired.count()
        })
        .collect();
    assert_eq!(counts, [1_000, 1_000, 400 + BEGINNING as u64]);
    assert!(wait(registry.verify_events(None)).unwrap().is_whole());
}

/// Events come at the end and go at the front, in many parts, while others walk over them.
#[test]
fn a_trail_that_moves_on_is_verified_and_read() {
    on_both(|store| {
        let registry = registry_over(store);
        let large = EventObject { name: "x".repeat(14_000), ..EventObject::default() };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        runtime.block_on(async {
            let is_over = Arc::new(std::sync::atomic::AtomicBool::new(false));
            let (writing, over) = (Arc::clone(&registry), Arc::clone(&is_over));
            let writer = tokio::spawn(async move {
                for round in 0..60 {
                    let large = large.clone();
                    let note = move |transaction: &mut Transaction<'_>| {
                        (0..10).try_for_each(|_| transaction.note(Action::Custom, large.clone()))
                    };
                    writing.change(actor(), note).await.unwrap();
                    if round % 2 == 1 {
                        writing.retire_events(Duration::from_secs(1_000), 15).await.unwrap();
                    }
                }
                over.store(true, std::sync::atomic::Ordering::Relaxed);
            });
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                let report = registry.verify_events(None).await.unwrap();
                assert!(report.is_whole(), "{report:?}");
                registry.events(EventQuery::newest(100)).await.unwrap();
                registry.event(Trail::Custom.at(report.trails[3].first)).await.unwrap();
            }
            writer.await.unwrap();
        });
        let report = wait(registry.verify_events(None)).unwrap();
        assert!(report.is_whole(), "{report:?}");
        assert_eq!(report.trails.iter().map(|report| report.verified).sum::<u64>(), 15);
        assert_eq!([0, 3].map(|trail| report.trails[trail].last), [BEGINNING as u64, 600]);
    });
}

#[test]
fn queries_find_what_they_ask_for() {
    on_both(|store| {
        let registry = filled(store.clone());
        let all = store.events(Trail::Changes, 0, usize::MAX).unwrap();
        let length = all.len();
        let ask = |query: EventQuery| {
            let events = wait(registry.events(EventQuery { limit: 1_000, ..query.clone() })).unwrap();
            assert_eq!(count_events(&registry, query), events.len() as u64);
            events.iter().map(|event| event.sequence).collect::<Vec<_>>()
        };
        let last = length as u64;
        assert_eq!(ask(EventQuery::default()), (1..=last).rev().collect::<Vec<_>>());
        assert_eq!(ask(EventQuery { oldest_first: true, ..EventQuery::default() }).first(), Some(&1));
        let between = EventQuery {
            after: Some(Trail::Changes.at(3)),
            before: Some(Trail::Changes.at(7)),
            ..EventQuery::default()
        };
        assert_eq!(ask(between.clone()), [6, 5, 4]);
        assert_eq!(ask(EventQuery { oldest_first: true, ..between }), [4, 5, 6]);
        let newest = wait(registry.events(EventQuery::newest(2))).unwrap();
        assert_eq!(newest.iter().map(|event| event.sequence).collect::<Vec<_>>(), [last, last - 1]);
        assert_eq!(wait(registry.events(EventQuery::newest(0))).unwrap(), []);

        let updates = EventQuery { actions: vec![Action::ModelUpdated], ..EventQuery::default() };
        assert_eq!(ask(updates.clone()).len(), 10);
        let of_alice = EventQuery { object_name: Some("ALICE".to_owned()), ..updates };
        assert_eq!(ask(of_alice).len(), 10);
        let kind = |kind: &str| EventQuery { object_kinds: vec![kind.to_owned()], ..EventQuery::default() };
        assert_eq!(ask(kind("provider")).len(), 1);
        assert_eq!(ask(kind("role")).len(), 0);
        let text = |text: &str| EventQuery { text: Some(text.to_owned()), ..EventQuery::default() };
        assert_eq!(ask(text("DC=example")).len(), 1);
        assert_eq!(ask(text("nowhere to be found")).len(), 0);
        let by = |account: &str| EventQuery { account: Some(account.to_owned()), ..EventQuery::default() };
        assert_eq!((ask(by("Bindery:Config")).len(), ask(by("bob")).len()), (length - BEGINNING, 0));
        assert_eq!((ask(by("bindery:housekeeping")).len(), ask(by("config")).len()), (BEGINNING, 0));
        let now = Timestamp::now();
        let since = EventQuery { since: Some(now.after(Duration::from_secs(60))), ..EventQuery::default() };
        assert_eq!(ask(since.clone()).len(), 0);
        assert_eq!(ask(EventQuery { until: since.since, since: None, ..since }).len(), length);

        let third = &all[2];
        assert_eq!(wait(registry.event_by_uuid(third.uuid)).unwrap().as_ref(), Some(third));
        assert_eq!(wait(registry.event_by_uuid(Uuid::from_u128(5))).unwrap(), None);
        assert_eq!(wait(registry.event(Trail::Changes.at(3))).unwrap().as_ref(), Some(third));
        assert_eq!(wait(registry.event(Trail::Changes.at(1_000))).unwrap(), None);
    });
}

/// Whatever trail an event stands in, it is listed when it happened, and pages go on from one another.
#[test]
fn trails_are_listed_side_by_side_in_the_order_of_time() {
    on_both(|store| {
        let registry = registry_over(store.clone());
        let retired = wait(registry.retire_events(Duration::from_secs(1_000), 0)).unwrap();
        assert_eq!(retired.too_many, BEGINNING as u64);
        // Many of one trail, so that it is read in pieces; some of the same second, and one that came late.
        let times = |trail: Trail| -> Vec<i64> {
            match trail {
                Trail::Changes => vec![10, 500, 500, 900, 90_000],
                Trail::Logins => (0..1_200).collect(),
                Trail::Failures => vec![500, 20, 1_100],
                Trail::Custom => vec![],
            }
        };
        let meta = store.meta();
        let (mut trails, mut put) = (meta.counters.trails, Vec::new());
        for trail in Trail::ALL {
            for time in times(trail) {
                let mut event = Event { trail, time: Timestamp::from_unix_seconds(time), ..event() };
                append(trails.of_mut(trail), &mut event);
                put.push(Change::Put(Record::Event(event)));
            }
        }
        let counters = crate::store::Counters { trails, ..meta.counters };
        store.commit(&Batch { changes: put, counters, seeded: meta.seeded, ..Batch::default() }).unwrap();

        let ask = |query: EventQuery| {
            let events = wait(registry.events(query)).unwrap();
            events.into_iter().map(|event| (event.time.unix_seconds(), event.place())).collect::<Vec<_>>()
        };
        let all = ask(EventQuery::newest(10_000));
        assert_eq!(all.len(), 5 + 1_200 + 3);
        // The one that came late does not hold up those that stand before it in its trail.
        let late = Trail::Failures.at(2);
        let in_time = all.iter().filter(|(_, place)| *place != late && *place != Trail::Failures.at(1));
        assert!(in_time.is_sorted_by_key(|(time, _)| Reverse(*time)), "{all:?}");
        for trail in Trail::ALL {
            let of = EventQuery { trails: vec![trail], ..EventQuery::newest(10_000) };
            let expected: Vec<_> = all.iter().filter(|(_, place)| place.trail == trail).copied().collect();
            assert_eq!(ask(of), expected);
            assert!(expected.is_sorted_by_key(|(_, place)| Reverse(place.sequence)));
        }
        let two = EventQuery { trails: vec![Trail::Changes, Trail::Failures], ..EventQuery::newest(4) };
        let places: Vec<EventPlace> = ask(two).into_iter().map(|(_, place)| place).collect();
        // Behind those that are gone.
        let changes = |number| Trail::Changes.at(BEGINNING as u64 + number);
        let failures = |number| Trail::Failures.at(number);
        assert_eq!(places, [changes(5), failures(3), changes(4), changes(3)]);
        let oldest = EventQuery { oldest_first: true, ..EventQuery::newest(10_000) };
        let oldest = ask(oldest);
        let in_time = oldest.iter().filter(|(_, place)| *place != late);
        assert!(in_time.is_sorted_by_key(|(time, _)| *time), "{oldest:?}");

        // Page by page it is the same, whatever the order.
        for (whole, oldest_first) in [(all, false), (oldest, true)] {
            let (mut paged, mut last) = (Vec::new(), None);
            loop {
                let page = match oldest_first {
                    false => EventQuery { before: last, ..EventQuery::newest(7) },
                    true => EventQuery { after: last, oldest_first, ..EventQuery::newest(7) },
                };
                let page = ask(page);
                let Some((_, place)) = page.last() else { break };
                last = Some(*place);
                paged.extend(page);
            }
            assert_eq!(paged, whole);
        }
        // One that is gone by now, or is of a trail that is not asked for, is a place all the same.
        let gone = EventQuery { before: Some(Trail::Custom.at(3)), ..EventQuery::newest(1) };
        assert_eq!(ask(gone), [(90_000, changes(5))]);
        let to_come = Some(Trail::Custom.at(3));
        let to_come = EventQuery { before: to_come, oldest_first: true, ..EventQuery::newest(1) };
        assert_eq!(ask(to_come), [(0, Trail::Logins.at(1))]);
        let elsewhere =
            EventQuery { trails: vec![Trail::Logins], before: Some(changes(2)), ..EventQuery::newest(1) };
        assert_eq!(ask(elsewhere), [(500, Trail::Logins.at(501))]);
    });
}

/// A registry over a trail of so many events of a minute each, and how often a piece of it was read.
fn long(minutes: usize) -> (Arc<Registry>, Pieces) {
    let pieces = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&pieces);
    let store = FaultyStore::over(Arc::new(MemoryStore::new()), move |call| {
        counted.fetch_add(usize::from(call == Call::Events), Ordering::Relaxed);
        Fate::CarriedOut
    });
    let mut state = TrailState::default();
    let events = (0..minutes).map(|minute| {
        let time = Timestamp::from_unix_seconds(60 * i64::try_from(minute).unwrap());
        let mut event = Event { time, ..event() };
        append(&mut state, &mut event);
        Change::Put(Record::Event(event))
    });
    let events = events.collect();
    commit(&store, events, state);
    (registry_over(Arc::new(store)), Pieces(pieces))
}

/// Pieces of the trail that were read since the last look.
struct Pieces(Arc<AtomicUsize>);

impl Pieces {
    fn taken(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

#[test]
fn a_walk_back_to_a_time_ends_there() {
    let (registry, pieces) = long(20_000);
    let since = Timestamp::from_unix_seconds(60 * 19_900);
    let query = EventQuery { since: Some(since), ..EventQuery::default() };
    pieces.taken();
    assert_eq!(count_events(&registry, query.clone()), 100 + BEGINNING as u64);
    // A day behind it is looked at as well, and the piece that ends the walk; and whether there is anything in the
    // three other trails.
    assert!(pieces.taken() <= 5 + 3);
    assert_eq!(count_events(&registry, EventQuery { oldest_first: true, ..query }), 100 + BEGINNING as u64);
    assert!(pieces.taken() > 30);
}

#[test]
fn a_walk_ends_when_nobody_waits_for_it() {
    let (registry, pieces) = long(20_000);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let (begun, begins) = std::sync::mpsc::channel();
    let (goes_on, go_on) = std::sync::mpsc::channel::<()>();
    let go_on = std::sync::Mutex::new(go_on);
    pieces.taken();
    runtime.block_on(async {
        let walking = Arc::clone(&registry);
        let walk = tokio::spawn(async move {
            let step = move |count: &mut usize, _: Event| {
                if *count == 0 {
                    begun.send(()).unwrap();
                    let _ = go_on.lock().unwrap().recv();
                }
                *count += 1;
            };
            walking.fold_events(EventQuery::default(), 0, step).await
        });
        tokio::task::spawn_blocking(move || begins.recv().unwrap()).await.unwrap();
        walk.abort();
        assert!(walk.await.unwrap_err().is_cancelled());
        drop(goes_on);
        // Its turn is free again.
        let _all = registry.walks.acquire_many(2).await.unwrap();
    });
    // With the first of the three other trails.
    assert!(pieces.taken() <= 2 + 3);
}

#[test]
fn few_walk_at_a_time() {
    const EVENTS: usize = 100 + BEGINNING;
    let (registry, _) = long(100);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let counts = Arc::new(std::sync::Mutex::new((0_usize, 0_usize)));
    runtime.block_on(async {
        let mut walks = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let (registry, counts) = (Arc::clone(&registry), Arc::clone(&counts));
            walks.spawn(async move {
                let step = move |place: &mut usize, _: Event| {
                    *place += 1;
                    let mut counts = counts.lock().unwrap();
                    match *place {
                        1 => counts.0 += 1,
                        EVENTS => counts.0 -= 1,
                        _ => {}
                    }
                    counts.1 = counts.1.max(counts.0);
                    drop(counts);
                    std::thread::sleep(Duration::from_micros(50));
                };
                registry.fold_events(EventQuery::default(), 0, step).await.unwrap()
            });
        }
        while let Some(walked) = walks.join_next().await {
            assert_eq!(walked.unwrap(), EVENTS);
        }
    });
    assert_eq!(*counts.lock().unwrap(), (0, 2));
    // Some of them had to wait.
    assert!(registry.reached().count(Limit::trail_walks_max) > 0);
}

#[test]
fn what_changes_nothing_can_be_noted() {
    let registry = registry();
    let object = EventObject {
        kind: "token".to_owned(),
        name: "cloud".to_owned(),
        key: Some(9),
        uuid: Some(Uuid::from_u128(9)),
    };
    wait(registry.change(actor(), move |transaction| transaction.note(Action::SecretView, object))).unwrap();
    let of_tokens = EventQuery { object_kinds: vec!["token".to_owned()], ..EventQuery::newest(10) };
    let events = wait(registry.events(of_tokens)).unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].action, events[0].object_key), (Action::SecretView, Some(9)));
}

/// Failed logins and what callers note have bounds of their own: however many there are, what was changed stays.
#[test]
fn neither_strangers_nor_callers_push_a_change_out() {
    let store = Arc::new(MemoryStore::new());
    let registry = filled(store.clone());
    let changes = || {
        let actions = vec![Action::ModelCreated, Action::ModelUpdated];
        wait(registry.events(EventQuery { actions, ..EventQuery::newest(1_000) })).unwrap()
    };
    let before = changes();
    for round in 0..10 {
        for name in 0..30 {
            let name = format!("name-{round}-{name}");
            let now = Timestamp::now();
            let failure = crate::audit::Failure {
                account: &name,
                number: None,
                token: None,
                provider: "ldap",
                application: None,
                source: Some("192.0.2.7".parse().unwrap()),
                kind: crate::audit::FailureKind::Failed,
                reason: "wrong",
                call: None,
            };
            registry.note_failure(failure, now);
            let object = EventObject { kind: "custom".to_owned(), name, ..EventObject::default() };
            wait(registry.add_event(actor(), object, Vec::new())).unwrap();
        }
        wait(registry.flush_logins()).unwrap();
        wait(registry.retire_events(Duration::from_secs(1_000), 100)).unwrap();
    }
    assert_eq!(changes(), before);
    assert!(wait(registry.verify_events(None)).unwrap().is_whole());
}

/// A source that tries many names leaves few events, which say how often it did.
#[test]
fn many_failures_of_one_source_are_few_events() {
    let registry = registry();
    for number in 0..1_000 {
        let name = format!("name-{number}");
        let source = if number % 2 == 0 { "192.0.2.7" } else { "2001:db8::7" };
        let failure = crate::audit::Failure {
            account: &name,
            number: None,
            token: None,
            provider: "ldap",
            application: None,
            source: Some(source.parse().unwrap()),
            kind: crate::audit::FailureKind::Failed,
            reason: "wrong",
            call: None,
        };
        registry.note_failure(failure, Timestamp::now());
    }
    let failures = EventQuery { trails: vec![Trail::Failures], ..EventQuery::newest(1_000) };
    let failures = wait(registry.events(failures)).unwrap();
    assert_eq!(failures.len(), 2 * (32 + 1));
    assert_eq!(failures.iter().map(|event| event.count).sum::<u64>(), 1_000);
    assert_eq!(registry.reached().count(Limit::failures_told_by_source_max), 1_000 - 64);
    let others: Vec<&Event> = failures.iter().filter(|event| event.actor.account == "others").collect();
    assert_eq!((others.len(), others.iter().map(|event| event.count).sum::<u64>()), (2, 1_000 - 64));
    let network = |event: &&&Event| event.details.iter().any(|detail| detail.value == "2001:db8::/64");
    assert_eq!(others.iter().filter(network).count(), 1);
    assert!(others.iter().any(|event| event.actor.source == "192.0.2.7".parse().ok()));
}

/// As much as callers note, there is an end to what is kept of it, and the other trails lose nothing.
#[test]
fn custom_events_take_no_more_room_than_is_theirs() {
    on_both(|store| {
        let custom_events =
            CustomEventBounds { size_max: 20_000, kept_size_max: 100_000, ..Default::default() };
        let settings = RegistrySettings { custom_events, ..Default::default() };
        let registry = Registry::open(store.clone(), settings).unwrap();
        let add = |octets: usize| {
            let object = EventObject { name: "x".repeat(octets), ..EventObject::default() };
            wait(registry.add_event(actor(), object, Vec::new())).map(|event| event.place())
        };
        assert!(matches!(add(20_001), Err(ChangeError::Field { field: "app", .. })));
        assert_eq!(registry.reached().count(Limit::custom_event_size_max), 1);
        let retire = || wait(registry.retire_events(Duration::from_secs(1_000), 1_000)).unwrap();
        for sequence in 1..=30 {
            assert_eq!(add(9_000).unwrap(), Trail::Custom.at(sequence));
        }
        let counted = store.meta().counters.custom_octets;
        assert!((270_000..290_000).contains(&counted), "{counted}");
        let retired = retire();
        assert_eq!((retired.too_large, retired.count()), (20, 20));
        assert_eq!(registry.reached().count(Limit::custom_events_size_max), 20);
        assert!((90_000..=100_000).contains(&store.meta().counters.custom_octets));
        let report = wait(registry.verify_events(None)).unwrap();
        assert!(report.is_whole(), "{report:?}");
        assert_eq!([0, 3].map(|trail| report.trails[trail].verified), [BEGINNING as u64, 10]);
        assert_eq!(retire(), RetiredEvents::default());
        // What went for another reason is not counted any more either.
        wait(registry.retire_events(Duration::from_secs(1_000), 0)).unwrap();
        assert_eq!(store.meta().counters.custom_octets, 0);
    });
}
