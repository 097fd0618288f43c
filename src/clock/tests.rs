//! The rule with clocks that tests set, and that nobody else reads a clock.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = DIFFERENCE_MAX;
const YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
const START: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

/// A clock that says what a test says.
struct Set {
    said: Arc<Mutex<(Timestamp, Duration)>>,
    clock: Clock,
}

impl Set {
    fn at(time: Timestamp) -> Self {
        let said = Arc::new(Mutex::new((time, Duration::ZERO)));
        Self { clock: Clock::of_test(Arc::clone(&said)), said }
    }

    /// After so long it says this.
    fn look(&self, passed: Duration, time: Timestamp) -> Look {
        *self.said.lock().unwrap() = (time, passed);
        self.clock.look()
    }

    /// Another process starts on what was kept.
    fn restarted(&self, time: Timestamp) -> Self {
        let belief = self.clock.look().belief;
        let other = Self::at(time);
        other.clock.recall(Some(belief), None);
        other
    }

    fn is_trusted(&self, passed: Duration, time: Timestamp) -> bool {
        self.look(passed, time).trusted.is_some()
    }
}

fn before(time: Timestamp, by: Duration) -> Timestamp {
    Timestamp::from_unix_seconds(time.unix_seconds() - i64::try_from(by.as_secs()).unwrap())
}

#[test]
fn a_clock_that_jumps_ahead_is_not_believed_at_once() {
    let clock = Set::at(START);
    let believes = |ahead: Duration, passed: Duration| clock.is_trusted(passed, START.after(ahead));
    assert!(believes(HOUR, HOUR));
    assert!(believes(20 * HOUR, HOUR), "it may have slept");
    assert!(believes(40 * HOUR, 2 * HOUR), "and again");
    assert!(!believes(YEARS, 3 * HOUR));
    assert!(!believes(YEARS + HOUR, 4 * HOUR));
    assert_eq!(clock.clock.now(), START.after(YEARS + HOUR), "what is expired by it is refused");
    assert!(believes(42 * HOUR, 5 * HOUR), "it is right again");
    assert_eq!(clock.clock.now(), START.after(42 * HOUR), "nothing is left of it");
    // Set once and for all.
    assert!(!believes(YEARS, 7 * HOUR));
    assert!(!believes(YEARS + 23 * HOUR, 30 * HOUR));
    assert!(believes(YEARS + 24 * HOUR, 31 * HOUR));
    assert!(believes(YEARS + 25 * HOUR, 32 * HOUR));
}

#[test]
fn a_start_is_held_against_what_was_believed_before() {
    for ahead in [400 * DAY, YEARS] {
        let clock = Set::at(START).restarted(START.after(ahead));
        assert!(!clock.is_trusted(Duration::ZERO, START.after(ahead)));
        assert!(!clock.is_trusted(HOUR, START.after(ahead + HOUR)));
        assert_eq!(clock.clock.look().belief.time, START, "nothing that is written meanwhile moves it");
        let right = clock.restarted(START.after(2 * HOUR));
        assert!(right.is_trusted(Duration::ZERO, START.after(2 * HOUR)));
        assert_eq!(right.clock.now(), START.after(2 * HOUR));
    }
}

#[test]
fn a_clock_that_is_ahead_is_believed_after_a_day_over_all_starts() {
    let mut clock = Set::at(START);
    let mut time = START.after(400 * DAY);
    for start in 0..4 {
        clock = clock.restarted(time);
        for hour in 0..7 {
            let trusted = clock.is_trusted(hour * HOUR, time.after(hour * HOUR));
            assert_eq!(trusted, start == 3 && hour == 6, "start {start}, hour {hour}");
        }
        // Off for the night.
        time = time.after(16 * HOUR);
    }
}

#[test]
fn a_clock_that_jumps_once_more_is_watched_anew() {
    let clock = Set::at(START);
    assert!(!clock.is_trusted(HOUR, START.after(400 * DAY)));
    assert!(!clock.is_trusted(20 * HOUR, START.after(400 * DAY + 19 * HOUR)));
    assert!(!clock.is_trusted(21 * HOUR, START.after(YEARS)));
    assert!(!clock.is_trusted(30 * HOUR, START.after(YEARS + 9 * HOUR)), "a day after the first jump");
    assert!(clock.is_trusted(45 * HOUR, START.after(YEARS + 24 * HOUR)));
    // The same across a start.
    let clock = Set::at(START);
    assert!(!clock.is_trusted(HOUR, START.after(400 * DAY)));
    assert!(!clock.is_trusted(24 * HOUR, START.after(400 * DAY + 23 * HOUR)));
    let again = clock.restarted(START.after(YEARS));
    assert!(!again.is_trusted(2 * HOUR, START.after(YEARS + 2 * HOUR)));
}

#[test]
fn a_clock_in_1970_makes_nothing_valid_again() {
    let epoch = Timestamp::from_unix_seconds(0);
    let clock = Set::at(START).restarted(epoch);
    assert_eq!(clock.clock.now(), START);
    let look = clock.look(5 * HOUR, epoch.after(5 * HOUR));
    assert_eq!((look.now, look.trusted), (START.after(5 * HOUR), None), "what expires meanwhile expires");
    assert_eq!(clock.clock.report().standing, Standing::Behind);
    // Nor does a second start there.
    let clock = clock.restarted(epoch);
    assert_eq!(clock.clock.now(), START.after(5 * HOUR));
    // Set right, it is believed at once.
    assert!(clock.is_trusted(HOUR, START.after(6 * HOUR)));
    // Set back by hand while it runs, as far as that is noticed.
    assert_eq!(clock.look(2 * HOUR, before(START, 30 * DAY)).now, START.after(7 * HOUR));
}

#[test]
fn a_clock_that_is_a_little_behind_catches_up() {
    let clock = Set::at(START);
    let behind = |passed: Duration| clock.look(passed, before(START.after(passed), 2 * HOUR));
    for passed in [Duration::ZERO, HOUR, 2 * HOUR] {
        let look = behind(passed);
        assert_eq!(look.now, START, "it waits");
        assert!(look.trusted.is_some());
    }
    assert_eq!(behind(3 * HOUR).now, START.after(HOUR));
    assert_eq!(behind(1_000 * DAY).now, before(START.after(1_000 * DAY), 2 * HOUR));
}

#[test]
fn the_operator_vouches_for_a_clock_either_way() {
    for time in [START.after(YEARS), before(START, 400 * DAY)] {
        let belief = Belief::of(START);
        let clock = Set::at(time);
        clock.clock.recall(Some(belief), None);
        assert!(clock.clock.look().trusted.is_none());
        let clock = Set::at(time);
        clock.clock.vouch();
        clock.clock.recall(Some(belief), Some(START));
        let look = clock.look(HOUR, time.after(HOUR));
        assert_eq!(look.trusted.map(TrustedTime::get), Some(time.after(HOUR)));
        assert_eq!(look.belief, Belief::of(time.after(HOUR)));
    }
}

#[test]
fn a_store_that_has_kept_nothing_is_known_by_what_was_written_last() {
    let clock = Set::at(START.after(YEARS));
    clock.clock.recall(None, Some(START));
    assert!(clock.clock.look().trusted.is_none());
    // What was written by a clock that was ahead is no reason to doubt one that is right.
    let clock = Set::at(START);
    clock.clock.recall(None, Some(START.after(YEARS)));
    assert_eq!(clock.clock.look().trusted.map(TrustedTime::get), Some(START));
    clock.clock.recall(None, None);
    assert!(clock.clock.look().trusted.is_some());
}

#[test]
fn it_is_told_once_what_is_wrong_with_a_clock() {
    let clock = Set::at(START);
    let lines = crate::audit::log_lines(|| {
        for hour in 0..9 {
            clock.look(hour * HOUR, START.after(400 * DAY + hour * HOUR));
        }
        clock.look(9 * HOUR, START.after(9 * HOUR));
    });
    let [ahead, again] = <[String; 2]>::try_from(lines).unwrap();
    assert!(ahead.contains("--trust-clock") && again.contains("believed again"), "{ahead}\n{again}");
    let report = clock.clock.report();
    assert_eq!((report.standing, report.difference(), report.believed_in), (Standing::Believed, 0, 0));
    clock.look(10 * HOUR, START.after(400 * DAY + 10 * HOUR));
    clock.look(12 * HOUR, START.after(400 * DAY + 12 * HOUR));
    let report = clock.clock.report();
    assert_eq!((report.standing, report.believed_in), (Standing::Ahead, 22 * 60 * 60));
    assert_eq!(report.difference(), 400 * 24 * 60 * 60);
}

proptest! {
    #![proptest_config(crate::rounds::cases(256))]

    /// Whatever a clock says, and however often the server starts: the time is never before what was believed; unless it
    /// has been looked at for a day, nothing is trusted beyond a day from what it should say; and a clock that is right
    /// again, after whatever errors that were not believed, is believed at once.
    #[test]
    fn no_clock_that_is_wrong_for_less_than_a_day_does_harm(
        steps in prop::collection::vec(
            (0_u64..7_200, prop_oneof![Just(0_i64), -400_000_000_i64..400_000_000, -90_000_i64..90_000], any::<bool>()),
            1..12,
        )
    ) {
        // The true time goes on by itself; less than a day passes in all.
        let mut clock = Set::at(START);
        let (mut truth, mut begun) = (0_u64, 0_u64);
        let at = |truth: u64| START.after(Duration::from_secs(truth));
        for (seconds, wrong, restarts) in steps {
            truth += seconds;
            let said = Timestamp::from_unix_seconds(at(truth).unix_seconds() + wrong);
            if restarts {
                clock = clock.restarted(said);
                begun = truth;
            }
            let kept = clock.clock.look().belief.time;
            let look = clock.look(Duration::from_secs(truth - begun), said);
            prop_assert!(look.now >= kept && look.now >= said);
            prop_assert!(look.belief.time >= kept);
            if let Some(trusted) = look.trusted {
                prop_assert!(trusted.get() <= kept.after(2 * DAY), "trusted {trusted:?} after {kept:?}");
            }
        }
        // Right again: unless small errors have added up to more than a day, counted to this moment.
        let believed = clock.clock.look().belief.time;
        let expected = clock.clock.report().expected;
        let right = clock.look(Duration::from_secs(truth - begun), at(truth));
        if expected <= at(truth).after(DAY) {
            prop_assert!(right.trusted.is_some());
            prop_assert!(right.now <= at(truth).max(believed));
        }
    }
}

/// Who reads a clock besides this file: what is written here is not compared with anything that was kept. `system_time` is
/// for commands, for certificates and files that are made; the log has times of its own.
#[test]
fn nobody_else_reads_the_systems_clock() {
    let readers = [
        "SystemTime::now",
        "UnixTime::now",
        "Zoned::now",
        "Utc::now",
        "Local::now",
        "OffsetDateTime::now",
        "jiff::Timestamp::now",
        "DefaultTimeProvider",
        "clock_gettime",
        // What they make asks the system for the time.
        "ServerConfig::builder()",
        "ServerConfig::builder_with_provider",
    ];
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut directories = vec![source.clone()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(&source).unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let is_test = name.contains("tests") || name.starts_with("registry/climb/");
            if is_test || name == "clock.rs" || !name.ends_with(".rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            // Tests at the end of a file may.
            let text = text.split("#[cfg(test)]\n#[allow").next().unwrap_or_default();
            let has = |reader: &&str| text.contains(*reader);
            // The last two hand it on, to tests.
            let of_files = ["store/aside.rs", "store/ledger.rs", "store/memory.rs", "store/salvage.rs"];
            let asks = ["net/certificate.rs", "server/certificates.rs", "inside.rs", "model/time.rs"];
            let may_ask = name.starts_with("cli/") || asks.iter().chain(&of_files).any(|file| *file == name);
            found.extend(
                readers.iter().filter(|reader| has(reader)).map(|reader| format!("{name}: {reader}")),
            );
            found.extend((!may_ask && has(&"system_time")).then(|| format!("{name}: system_time")));
        }
    }
    assert!(found.is_empty(), "ask `clock.rs`, by the registry: {found:#?}");
}
