//! What time it is, and whether time may delete something now. Nobody else reads the system's clock.
//!
//! A clock may be wrong: a machine starts in 1970, or years ahead until it has asked another one; somebody sets it by hand.
//! So what was last believed is kept in the store ([`Belief`]), goes on by a clock that never jumps, and is held against what
//! the system says:
//!
//! - *Ahead* by more than a day: what is expired by it is refused, but nothing is deleted, rotated or retired because its
//!   time is over, until the clock has said so for a day or the operator vouches for it.
//! - *Behind* by more than a day: it counts for nothing. Time goes on from what was believed.
//! - Otherwise it is right, and the later of it and what was believed is the time: what has expired stays so.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::model::{Belief, Doubt, Timestamp};

/// The clock of one store.
pub struct Clock {
    source: TimeSource,
    /// No time before this one is told; as of the last look.
    floor: AtomicI64,
    watch: Mutex<Watch>,
    is_vouched_for: AtomicBool,
}

/// A look at the clock.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// What time it is.
    pub now: Timestamp,
    /// It is no earlier: what a clock should say that is ahead and not believed.
    pub earliest: Timestamp,
    /// The same as `now`, if something may be deleted because its time is over.
    pub trusted: Option<TrustedTime>,
    /// What is to be kept in the store.
    pub belief: Belief,
}

/// A time by which something may be deleted. Only a [`Clock`] that believes itself gives one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustedTime(Timestamp);

impl TrustedTime {
    /// The time.
    pub const fn get(self) -> Timestamp {
        self.0
    }
}

/// Tests say what time it is.
#[cfg(test)]
impl From<Timestamp> for TrustedTime {
    fn from(time: Timestamp) -> Self {
        Self(time)
    }
}

/// How the system's clock stands to what was believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It is right.
    #[default]
    Believed,
    /// It is ahead by more than a day, for less than a day.
    Ahead,
    /// It is behind by more than a day.
    Behind,
}

/// What is told of a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockReport {
    pub standing: Standing,
    /// What the system says.
    pub system: Timestamp,
    /// What it should say.
    pub expected: Timestamp,
    /// How long until it is believed (seconds); 0 unless it is ahead.
    pub believed_in: u64,
}

impl ClockReport {
    /// By how much the system is ahead of what it should say (seconds).
    pub const fn difference(&self) -> i64 {
        self.system.unix_seconds().saturating_sub(self.expected.unix_seconds())
    }
}

impl fmt::Display for ClockReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { standing, system, expected, believed_in } = self;
        match standing {
            Standing::Believed => write!(formatter, "the clock is believed: {system}"),
            Standing::Ahead => write!(
                formatter,
                "the clock says {system} and should say {expected}: what is expired by it is refused, and nothing is deleted or \
                 rotated because its time is over. Set it right; if it is, restart with --trust-clock, or wait: it is \
                 believed in {}",
                humantime::format_duration(Duration::from_secs(*believed_in))
            ),
            Standing::Behind => write!(
                formatter,
                "the clock says {system} and should say {expected}, by which things go on expiring; nothing is deleted or rotated \
                 because its time is over. Set it right; if it is, restart with --trust-clock"
            ),
        }
    }
}

impl Clock {
    /// The system's, which is believed until [`Clock::recall`].
    pub fn of_system() -> Self {
        Self::new(TimeSource::System { started: Instant::now() })
    }

    /// One that says what a test says, and how long it has run.
    #[cfg(test)]
    pub fn of_test(said: std::sync::Arc<Mutex<(Timestamp, Duration)>>) -> Self {
        Self::new(TimeSource::Test(said))
    }

    fn new(source: TimeSource) -> Self {
        let (time, moment) = source.read();
        Self {
            source,
            floor: AtomicI64::new(time.unix_seconds()),
            watch: Mutex::new(Watch::new(Belief::of(time), moment)),
            is_vouched_for: AtomicBool::new(false),
        }
    }

    /// The operator vouches for it: what it says when a store is opened is believed, whatever was believed before.
    pub fn vouch(&self) {
        self.is_vouched_for.store(true, Ordering::Relaxed);
    }

    /// Holds the clock against what a store has kept of it. Of a store that has kept nothing yet, `newest` is what was
    /// written last: it is at least as late as that, and more is not known.
    pub fn recall(&self, kept: Option<Belief>, newest: Option<Timestamp>) {
        let (time, moment) = self.source.read();
        let is_vouched_for = self.is_vouched_for();
        if is_vouched_for {
            tracing::warn!(clock = %time, "the clock is believed, because --trust-clock was given");
        }
        let kept = kept.filter(|_| !is_vouched_for);
        let newest = newest.filter(|_| !is_vouched_for);
        let belief = kept.unwrap_or_else(|| Belief::of(newest.map_or(time, |newest| newest.min(time))));
        *self.watch() = Watch::new(belief, moment);
        self.floor.store(belief.time.unix_seconds(), Ordering::Relaxed);
        self.look();
    }

    /// Whether the operator has vouched for it.
    pub fn is_vouched_for(&self) -> bool {
        self.is_vouched_for.load(Ordering::Relaxed)
    }

    /// What time it is: for expiry, and for all else.
    pub fn now(&self) -> Timestamp {
        self.source.time().max(Timestamp::from_unix_seconds(self.floor.load(Ordering::Relaxed)))
    }

    /// What time it is as far as that is believed: what a clock says that is ahead does not count.
    pub fn believed(&self) -> Timestamp {
        self.look().earliest
    }

    /// Looks at the clock and learns from it; that it is not believed any more, or again, is told once. A server does so each
    /// second, and whoever writes before each change.
    pub fn look(&self) -> Look {
        let (time, moment) = self.source.read();
        let mut watch = self.watch();
        let before = watch.standing;
        watch.observe(time, moment);
        let (floor, belief, standing) = (watch.floor(moment), watch.belief, watch.standing);
        let report = watch.report(time, moment);
        drop(watch);
        self.floor.store(floor.unix_seconds(), Ordering::Relaxed);
        match standing {
            Standing::Believed if before == Standing::Believed => {}
            Standing::Believed => tracing::warn!(clock = %time, "the clock is believed again"),
            _ if before == standing => {}
            _ => tracing::error!(clock = %time, expected = %report.expected, "{report}"),
        }
        let now = time.max(floor);
        let trusted = (standing == Standing::Believed).then_some(TrustedTime(now));
        let earliest = if standing == Standing::Ahead { floor } else { now };
        Look { now, earliest, trusted, belief }
    }

    /// What is told of it.
    pub fn report(&self) -> ClockReport {
        self.look();
        let (time, moment) = self.source.read();
        self.watch().report(time, moment)
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Clock").field(&self.now()).finish()
    }
}

/// The rule, without a clock.
#[derive(Clone, Copy, Debug)]
struct Watch {
    belief: Belief,
    /// What was believed, and when on the clock that never jumps.
    base: (Timestamp, Duration),
    /// When it began to be doubted in this process, and how long it had been before (seconds).
    doubted: Option<(Duration, u64)>,
    /// When it was last looked at.
    last: Duration,
    standing: Standing,
}

impl Watch {
    fn new(belief: Belief, moment: Duration) -> Self {
        let doubted = belief.doubt.map(|doubt| (moment, doubt.lasted));
        Self { belief, base: (belief.time, moment), doubted, last: moment, standing: Standing::Believed }
    }

    /// What the clock should say.
    fn expected(&self, moment: Duration) -> Timestamp {
        self.base.0.after(moment.saturating_sub(self.base.1))
    }

    /// No earlier time is told.
    fn floor(&self, moment: Duration) -> Timestamp {
        match self.standing {
            // A clock that is a little behind catches up with what was believed.
            Standing::Believed => self.belief.time,
            Standing::Ahead | Standing::Behind => self.expected(moment),
        }
    }

    fn observe(&mut self, clock: Timestamp, moment: Duration) {
        let expected = self.expected(moment);
        let passed = moment.saturating_sub(self.last);
        self.last = moment;
        if clock > expected.after(DIFFERENCE_MAX) {
            self.doubt(clock, moment, passed);
            return;
        }
        self.doubted = None;
        if clock.after(DIFFERENCE_MAX) < expected {
            self.standing = Standing::Behind;
            self.belief = Belief::of(expected);
            self.base = (expected, moment);
            return;
        }
        self.standing = Standing::Believed;
        self.belief.doubt = None;
        if clock >= self.belief.time {
            self.believe(clock, moment);
        }
    }

    /// Doubts the clock, or believes it when it has said the same for a day. When it has jumped once more, that is another
    /// clock to be watched.
    fn doubt(&mut self, clock: Timestamp, moment: Duration, passed: Duration) {
        let goes_on = self.belief.doubt.is_some_and(|doubt| {
            let then = doubt.clock.after(passed);
            clock <= then.after(DIFFERENCE_MAX) && then <= clock.after(DIFFERENCE_MAX)
        });
        let (since, before) = self.doubted.filter(|_| goes_on).unwrap_or((moment, 0));
        let lasted = before.saturating_add(moment.saturating_sub(since).as_secs());
        if lasted >= DOUBT_TIME.as_secs() {
            self.standing = Standing::Believed;
            self.believe(clock, moment);
            return;
        }
        self.standing = Standing::Ahead;
        self.doubted = Some((since, before));
        self.belief.doubt = Some(Doubt { clock, lasted });
    }

    fn believe(&mut self, clock: Timestamp, moment: Duration) {
        self.belief = Belief::of(clock);
        self.base = (clock, moment);
        self.doubted = None;
    }

    fn report(&self, clock: Timestamp, moment: Duration) -> ClockReport {
        let lasted = self.belief.doubt.map_or(0, |doubt| doubt.lasted);
        ClockReport {
            standing: self.standing,
            system: clock,
            expected: self.expected(moment),
            believed_in: match self.standing {
                Standing::Ahead => DOUBT_TIME.as_secs().saturating_sub(lasted),
                Standing::Believed | Standing::Behind => 0,
            },
        }
    }
}

/// Where times come from.
enum TimeSource {
    /// The system.
    System {
        /// When the clock that never jumps began.
        started: Instant,
    },
    /// A test, which says what both clocks say.
    #[cfg(test)]
    Test(std::sync::Arc<Mutex<(Timestamp, Duration)>>),
}

impl TimeSource {
    /// What the clock says.
    fn time(&self) -> Timestamp {
        match self {
            Self::System { .. } => system_time(),
            #[cfg(test)]
            Self::Test(_) => self.read().0,
        }
    }

    /// The same, and what one says that never jumps.
    fn read(&self) -> (Timestamp, Duration) {
        match self {
            Self::System { started } => (system_time(), started.elapsed()),
            #[cfg(test)]
            Self::Test(said) => *said.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }
}

/// What the system's clock says, right or wrong: for commands, of which no store has kept anything.
pub fn system_time() -> Timestamp {
    let seconds = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX),
    };
    Timestamp::from_unix_seconds(seconds)
}

/// TLS asks for the time to look at certificates of clients, and at the age of sessions.
impl rustls::time_provider::TimeProvider for Clock {
    fn current_time(&self) -> Option<rustls::pki_types::UnixTime> {
        let seconds = u64::try_from(self.now().unix_seconds()).ok()?;
        Some(rustls::pki_types::UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// So far from what it should say a clock may be: a machine may have slept, or have been switched off over night.
/// No limit of the config: where trust in a clock ends is a judgement about machines, not about load.
const DIFFERENCE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// A clock that has been ahead for so long is believed: the operator was told, and the machine may have been off for days.
const DOUBT_TIME: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests;
