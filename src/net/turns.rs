//! Turns go by source first, then by connection: a source of which a turn was long, or whose turns together have taken more
//! than half of a thread for a while, has no more turns at a time than there are network threads, however many connections
//! it has, so that everybody else waits for as many at most. It does no less for that, it only has its turns in a line.
//! Behind one that could not be cut short, such as the decoding of a large filter, it rests for twice as long as that took:
//! then most of the time nobody has to wait for it at all.
//!
//! The networks of IPv6 that a source lies in are held up with it, with some more turns at a time: whoever has a /48 has
//! 65,536 sources.
//!
//! To begin a connection costs its source a turn like any other, whoever has taken it; and what a source owes outlives its last
//! connection, so that nobody comes off better by connecting anew.
//!
//! A source whose turns are short and not many is not held up, and asks a number or three that others may write.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use smallvec::SmallVec;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::source::ClientSource;

/// The sources that have a connection open or owe something, and the networks that they lie in.
#[derive(Debug)]
pub struct Turns {
    /// Taken when a connection opens.
    sources: Mutex<HashMap<(u8, ClientSource), Arc<Line>>>,
    at_a_time: usize,
    started: Instant,
}

/// The turns of one source: those that it shares with the networks that it lies in stand behind its own.
#[derive(Debug)]
pub struct SourceTurns {
    lines: Box<[Arc<Line>]>,
}

/// A turn; it lasts until this is dropped.
#[derive(Debug)]
pub struct Turn<'a> {
    _permits: Permits<'a>,
}

/// One of each line: a source and the networks of IPv6 that it lies in.
type Permits<'a> = SmallVec<[SemaphorePermit<'a>; 3]>;

/// Who waits for turns together.
#[derive(Debug)]
struct Line {
    permits: Semaphore,
    /// How much more it may have than a source.
    allowance: u32,
    started: Instant,
    /// Until when turns are given one by one, in milliseconds since `started`; 0: never.
    paced_until: AtomicU64,
    /// Until when none is given, in microseconds since `started`.
    rests_until: AtomicU64,
    /// Until when what was sent in small records takes, in microseconds since `started`.
    reads_until: AtomicU64,
    /// Until when what its turns have cost would take in half of a thread, in microseconds since `started`.
    busy_until: AtomicU64,
    /// How long its turns have taken since others were looked for the last time, while they are given one by one, in
    /// microseconds.
    unlooked: AtomicU64,
    /// Whether there may be several connections.
    is_shared: bool,
}

impl Turns {
    /// Sources that were paced have so many turns at a time: as many as there are threads.
    pub fn new(at_a_time: usize) -> Self {
        let sources = Mutex::new(HashMap::new());
        Self { sources, at_a_time: at_a_time.max(1), started: Instant::now() }
    }

    /// The turns of the source of a connection that begins, as [`Peer::source_elsewhere`] says it, with what that costs. Peers
    /// on this machine are not one source: each connection is.
    ///
    /// [`Peer::source_elsewhere`]: super::peer::Peer::source_elsewhere
    pub fn of(&self, source: Option<ClientSource>) -> Arc<SourceTurns> {
        let (turns, now) = (self.lines_of(source), Instant::now());
        turns.lines.iter().for_each(|line| line.spend(TIME_OF_A_BEGINNING, now));
        turns
    }

    fn lines_of(&self, source: Option<ClientSource>) -> Arc<SourceTurns> {
        let lines = match source {
            None => [Arc::new(Line::new(self, 1, false))].into(),
            Some(source) => {
                // A network has some more than a source, and one of 48 bits than one of 56.
                let lines = source.networks().zip([1, 2, 4]);
                lines.map(|(network, allowance)| self.line(network, allowance)).collect()
            }
        };
        Arc::new(SourceTurns { lines })
    }

    fn line(&self, network: (u8, ClientSource), allowance: u32) -> Arc<Line> {
        // Nothing that holds the lock can leave it half changed.
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = sources.get(&network) {
            return Arc::clone(line);
        }
        if sources.len() == sources.capacity() {
            let (now, mut kept) = (Instant::now(), 0);
            sources.retain(|_, line| {
                if Arc::strong_count(line) > 1 {
                    return true;
                }
                let is_kept = kept < OWING_MAX && line.owes(now);
                kept += usize::from(is_kept);
                is_kept
            });
            // So that it is not gone through again soon.
            let count = sources.len();
            sources.reserve(count + 1);
        }
        let line = Arc::new(Line::new(self, allowance, true));
        sources.insert(network, Arc::clone(&line));
        line
    }
}

impl SourceTurns {
    /// Waits for a turn, which lasts until what is given back is dropped. `None`: nobody has to wait.
    pub async fn take(&self) -> Option<Turn<'_>> {
        if self.lines.iter().any(|line| line.was_paced()) { self.take_at(Instant::now()).await } else { None }
    }

    async fn take_at(&self, now: Instant) -> Option<Turn<'_>> {
        let widest = self.lines.iter().rposition(|line| line.is_paced(now))?;
        let (first, wider) = self.lines.get(..=widest)?.split_first()?;
        // No line is ever closed.
        let own = first.permits.acquire().await.ok();
        // Of a network's turns each source waits for as many at most as it would have alone, and takes none while it rests.
        let (mut permits, mut tries) = (Permits::new(), 0..TRIES_MAX);
        loop {
            self.sleep().await;
            for line in wider {
                permits.extend(line.permits.acquire().await.ok());
            }
            // Another turn of this source may have ended meanwhile.
            if first.rest(Instant::now()).is_zero() || tries.next().is_none() {
                break;
            }
            permits.clear();
        }
        permits.extend(own);
        // Otherwise all connections of a source would have their turns before anybody looks for what has come from others.
        // Whoever is ready meanwhile finds that there is no turn, and waits in the line: short turns are over as soon as
        // they have begun, so that nobody would ever wait for one.
        if self.lines.get(widest).is_some_and(|line| line.is_to_look()) {
            let_others_first().await;
        }
        self.sleep().await;
        Some(Turn { _permits: permits })
    }

    /// Polls what goes on for a client in turns of its source, without keeping one while it waits; `poll` says what each has
    /// cost, in the unit in which work is counted; 0: nothing to speak of.
    pub(super) async fn in_turns<T>(&self, mut poll: impl FnMut(&mut Context<'_>) -> (Poll<T>, u64)) -> T {
        loop {
            let turn = self.take().await;
            let begun = Instant::now();
            let (polled, work) = poll_fn(|context| Poll::Ready(poll(context))).await;
            self.note(work, begun);
            drop(turn);
            if let Poll::Ready(done) = polled {
                return done;
            }
            // What was polled has told whom to wake.
            let mut is_woken = false;
            poll_fn(|_| match std::mem::replace(&mut is_woken, true) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            })
            .await;
        }
    }

    /// Goes on with what computes an answer in turns of its source.
    pub async fn answer<T>(&self, answering: impl Future<Output = T>) -> T {
        let mut answering = pin!(answering);
        self.in_turns(|context| (answering.as_mut().poll(context), 1)).await
    }

    /// Waits until turns are given.
    async fn sleep(&self) {
        let rest = self.rest(Instant::now());
        if !rest.is_zero() {
            tokio::time::sleep(rest).await;
        }
    }

    /// How long no turn is given from now on.
    fn rest(&self, now: Instant) -> Duration {
        self.lines.iter().map(|line| line.rest(now)).max().unwrap_or_default()
    }

    /// Whether turns are given one by one.
    #[cfg(test)]
    pub(super) fn is_paced(&self, now: Instant) -> bool {
        self.lines.iter().any(|line| line.is_paced(now))
    }

    /// Notes what a turn that began then has cost, in the unit in which work is counted.
    pub fn note(&self, work: u64, begun: Instant) {
        if work == 0 {
            return;
        }
        let ended = Instant::now().max(begun);
        // What is not counted takes its time too.
        let counted = Duration::from_micros(work / WORK_IN_A_MICROSECOND);
        let taken = TIME_BESIDE_A_TURN + counted.max(ended.saturating_duration_since(begun));
        self.lines.iter().for_each(|line| line.spend(taken, begun));
        if work >= LONG_TURN {
            self.rest_behind(work, begun, ended);
            // Also behind its rest: a turn may have taken longer than a source is paced.
            self.lines.iter().for_each(|line| line.pace(ended + line.rest(ended)));
        }
    }

    /// Notes what was read in one go, and says for how long the connection is not read from, if that was a long turn: nobody
    /// waits for a turn in the middle of reading, so those of one source have theirs one behind the other, and others as
    /// much time between them.
    pub(super) fn note_read(&self, work: u64) -> Option<Duration> {
        if work < LONG_TURN {
            return None;
        }
        let now = Instant::now();
        self.note(work, now);
        self.lines.iter().map(|line| line.read_behind(work, now)).max()
    }

    fn rest_behind(&self, work: u64, begun: Instant, ended: Instant) {
        let taken = ended.saturating_duration_since(begun);
        if taken > TURN_TIME {
            let rest_max = REST_MAX.max(Duration::from_micros(work.saturating_mul(TIME_OF_WORK)));
            let rest = 2 * taken.min(rest_max);
            self.lines.iter().for_each(|line| line.rest_until(ended, rest / line.allowance));
        }
    }
}

/// What was counted of something has cost where it took so long. What takes as long as a long turn is counted by its time,
/// as far as what is counted may explain that: the machine may have done something else meanwhile.
pub(super) fn work_of_time(counted: u64, taken: Duration) -> u64 {
    let of_time = |taken: Duration| {
        u64::try_from(taken.as_micros()).unwrap_or(u64::MAX).saturating_mul(WORK_IN_A_MICROSECOND)
    };
    let explained = Duration::from_micros(counted.saturating_mul(TIME_OF_WORK));
    match of_time(taken) {
        work if work < LONG_TURN => counted,
        work => counted.max(work.min(of_time(explained))),
    }
}

/// Goes on when everybody has had a turn who waits for one by now, also those of whom nobody has heard yet because nobody
/// has looked for what has come.
pub async fn let_others_first() {
    // Runs out of what is ready, then looks for what has come.
    tokio::task::yield_now().await;
    // Who has yielded is woken behind those, but the runtime runs first whom it woke last: once more, to its queue's end.
    let mut is_behind = false;
    poll_fn(|context| {
        if std::mem::replace(&mut is_behind, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl Line {
    fn new(turns: &Turns, allowance: u32, is_shared: bool) -> Self {
        Self {
            permits: Semaphore::new(turns.at_a_time * allowance as usize),
            allowance,
            started: turns.started,
            paced_until: AtomicU64::new(0),
            rests_until: AtomicU64::new(0),
            reads_until: AtomicU64::new(0),
            busy_until: AtomicU64::new(0),
            unlooked: AtomicU64::new(0),
            is_shared,
        }
    }

    /// Whether turns were ever given one by one: most sources need not be asked what time it is.
    fn was_paced(&self) -> bool {
        self.paced_until.load(Ordering::Relaxed) != 0
    }

    fn is_paced(&self, now: Instant) -> bool {
        self.was_paced() && self.millis(now) < self.paced_until.load(Ordering::Relaxed)
    }

    fn pace(&self, begun: Instant) {
        let until = self.millis(begun).saturating_add(PACED_TIME.as_millis() as u64);
        self.paced_until.fetch_max(until, Ordering::Relaxed);
    }

    /// Whether something is not over yet that it has done.
    fn owes(&self, now: Instant) -> bool {
        let micros = [&self.rests_until, &self.reads_until, &self.busy_until];
        self.is_paced(now) || micros.iter().any(|until| until.load(Ordering::Relaxed) > self.micros(now))
    }

    /// Adds how long a turn has taken; a line that takes more than its part for too long is paced.
    fn spend(&self, taken: Duration, begun: Instant) {
        if !self.is_shared {
            return;
        }
        let taken = u64::try_from(taken.as_micros()).unwrap_or(u64::MAX);
        let (paced_until, millis) = (self.paced_until.load(Ordering::Relaxed), self.millis(begun));
        if millis < paced_until {
            self.unlooked.fetch_add(taken, Ordering::Relaxed);
        }
        if millis + PACED_TIME.as_millis() as u64 / 2 < paced_until {
            return;
        }
        let now = self.micros(begun);
        let until = add_behind(&self.busy_until, now, taken.saturating_mul(2) / u64::from(self.allowance));
        if until.saturating_sub(now) > BUSY_TIME.as_micros() as u64 {
            self.busy_until.store(now, Ordering::Relaxed);
            self.pace(begun);
        }
    }

    /// Whether so much was done that others are looked for first.
    fn is_to_look(&self) -> bool {
        let is_to_look = self.unlooked.load(Ordering::Relaxed) >= LOOK_TIME.as_micros() as u64;
        if is_to_look {
            self.unlooked.store(0, Ordering::Relaxed);
        }
        is_to_look
    }

    fn rest(&self, now: Instant) -> Duration {
        let until = Duration::from_micros(self.rests_until.load(Ordering::Relaxed));
        until.saturating_sub(now.saturating_duration_since(self.started))
    }

    fn rest_until(&self, ended: Instant, rest: Duration) {
        let until = ended.saturating_duration_since(self.started) + rest;
        self.rests_until.fetch_max(u64::try_from(until.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// For how long a read waits behind those before it, when this is one more.
    fn read_behind(&self, work: u64, now: Instant) -> Duration {
        let now = self.micros(now);
        let taken = 2 * work / WORK_IN_A_MICROSECOND / u64::from(self.allowance);
        Duration::from_micros(add_behind(&self.reads_until, now, taken).saturating_sub(now))
    }

    fn micros(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.started).as_micros()).unwrap_or(u64::MAX)
    }

    fn millis(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.started).as_millis()).unwrap_or(u64::MAX)
    }
}

/// Puts what takes so long behind what is there, or behind now; says when it is over.
fn add_behind(until: &AtomicU64, now: u64, taken: u64) -> u64 {
    let behind = |until: u64| until.max(now).saturating_add(taken);
    let before = until.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |until| Some(behind(until)));
    // It never fails: both are the value before.
    behind(before.unwrap_or_else(|before| before))
}

/// A turn is long from here on: some 150 microseconds. A point search costs a few hundred.
const LONG_TURN: u64 = 3_000;
/// So much of it is done in a microsecond when nothing else runs.
const WORK_IN_A_MICROSECOND: u64 = 20;
/// What a turn takes beside: what was asked is read, and the answer is written.
const TIME_BESIDE_A_TURN: Duration = Duration::from_micros(10);
/// Behind so much it is looked who else has come: others wait about as long, and looking costs some microseconds itself.
const LOOK_TIME: Duration = Duration::from_micros(200);
/// Whoever is ahead of its part of the time by so much is paced: others would wait about as long.
const BUSY_TIME: Duration = Duration::from_millis(2);
/// What a TLS handshake counts for without a client's certificate: about a signature.
pub(super) const WORK_OF_A_HANDSHAKE: u64 = 10_000;
/// What a connection counts for that begins: it is accepted, counted and given a task, and ends again.
const TIME_OF_A_BEGINNING: Duration = Duration::from_micros(60);
/// So many lines are kept at most without a connection for what they owe, which is seldom a second.
/// No limit of the config: it takes no more memory than some thousand connections, and nobody is refused by it.
const OWING_MAX: usize = 16_384;
/// What is counted is cut into turns that are over by then.
const TURN_TIME: Duration = Duration::from_millis(1);
/// No turn counts for longer whose work does not explain it: it may have taken so long because the machine did
/// something else.
/// No limit of the config: it is there to be short for who rests, however large the machine.
const REST_MAX: Duration = Duration::from_millis(20);
/// Microseconds that one unit of work may explain: twenty times what it takes when nothing else runs.
const TIME_OF_WORK: u64 = 1;
/// So often at most a source waits again for turns of its networks, when it is to rest behind a turn that ended meanwhile.
/// No limit of the config: it is there to end.
const TRIES_MAX: usize = 3;
/// So long a source is paced behind a long turn.
const PACED_TIME: Duration = Duration::from_secs(1);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::net::PeerAddress;

    fn from(address: &str) -> Option<ClientSource> {
        let address = std::net::SocketAddr::new(address.parse().unwrap(), 1);
        PeerAddress::from_socket(address).source_elsewhere()
    }

    /// When nobody else has to be waited for.
    fn soon<T>(future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        let mut context = Context::from_waker(std::task::Waker::noop());
        (0..4).find_map(|_| match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    }

    #[test]
    fn a_source_with_long_turns_has_as_many_at_a_time_as_there_are_threads() {
        let turns = Turns::new(2);
        let (one, two, other) =
            (turns.of(from("192.0.2.1")), turns.of(from("192.0.2.1")), turns.of(from("192.0.2.2")));
        let now = Instant::now() + Duration::from_secs(3_600);
        one.note(LONG_TURN - 1, now);
        assert!(soon(two.take_at(now)).unwrap().is_none(), "short turns are not counted");
        one.note(LONG_TURN, now);
        assert!(two.is_paced(now) && !other.is_paced(now));
        let first = soon(one.take_at(now)).unwrap();
        let _second = soon(two.take_at(now)).unwrap();
        assert!(soon(two.take_at(now)).is_none());
        assert!(soon(other.take_at(now)).unwrap().is_none());
        drop(first);
        assert!(soon(two.take_at(now)).is_some());
        let later = now + PACED_TIME + Duration::from_millis(1);
        assert!(soon(two.take_at(later)).unwrap().is_none(), "it is over");
    }

    #[test]
    fn a_source_with_many_short_turns_is_paced_and_one_with_few_is_not() {
        let turns = Turns::new(2);
        let (busy, calm) = (turns.of(from("192.0.2.1")), turns.of(from("192.0.2.2")));
        let here = turns.of(from("127.0.0.1"));
        // In time to come, so that none has taken longer than it says.
        let begun = Instant::now() + Duration::from_secs(3_600);
        // Turns of some 20 microseconds, one behind the other and one in a tenth of the time.
        for turn in 0..2_000 {
            let now = begun + Duration::from_micros(turn * 20);
            busy.note(300, now);
            here.note(300, now);
            if turn % 10 == 0 {
                calm.note(300, now);
            }
            assert!(!calm.is_paced(now) && !here.is_paced(now));
        }
        let now = begun + Duration::from_millis(40);
        assert!(busy.is_paced(now));
        let other = turns.of(from("192.0.2.1"));
        // Whoever has a turn looks for others, and holds it meanwhile.
        let both = [soon(busy.take_at(now)), soon(busy.take_at(now))];
        assert!(both.iter().all(|turn| turn.as_ref().is_some_and(Option::is_some)));
        assert!(soon(other.take_at(now)).is_none(), "as many at a time as there are threads");
        assert!(!busy.is_paced(now + PACED_TIME), "it is over");
    }

    #[test]
    fn a_source_that_begins_many_connections_is_paced_and_one_that_begins_few_is_not() {
        let turns = Turns::new(2);
        let is_paced = |address: &str| turns.lines_of(from(address)).is_paced(Instant::now());
        // Each is gone again before the next one comes.
        for _ in 0..4 {
            drop(turns.of(from("192.0.2.2")));
        }
        let burst = (0..10_000).take_while(|_| {
            drop(turns.of(from("192.0.2.1")));
            !is_paced("192.0.2.1")
        });
        // Two milliseconds of half of a thread, and some that the test itself has taken.
        assert!((16..9_000).contains(&burst.count()));
        assert!(is_paced("192.0.2.1") && !is_paced("192.0.2.2"));
        // A network is when all of its sources together begin as many.
        for host in 0..10_000 {
            drop(turns.of(from(&format!("2001:db8:1:{host}::1"))));
        }
        assert!(is_paced("2001:db8:1::1") && !is_paced("2001:db8:2::1"));
    }

    #[test]
    fn what_a_source_owes_outlives_its_last_connection() {
        let turns = Turns::new(2);
        let hour = Duration::from_secs(3_600);
        let names = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1"];
        for name in names {
            let one = turns.of(from(name));
            let line = one.lines.first().unwrap();
            match name {
                "192.0.2.1" => line.pace(Instant::now() + hour),
                "192.0.2.2" => {
                    let _ = line.read_behind(1 << 40, Instant::now());
                }
                _ => line.rest_until(Instant::now(), hour),
            }
        }
        // So many others come and go that there is no room for all.
        for number in 0..10_000 {
            drop(turns.of(from(&format!("10.0.{}.{}", number / 250, number % 250))));
        }
        let [paced, reading, resting, network] = names.map(|name| turns.lines_of(from(name)));
        assert!(paced.is_paced(Instant::now()));
        assert!(reading.lines[0].reads_until.load(Ordering::Relaxed) > 0);
        assert!([resting, network].iter().all(|turns| turns.rest(Instant::now()) > hour / 2));
        // Who owes nothing is forgotten, and of those who do no more are kept than that.
        let kept = |turns: &Turns| turns.sources.lock().unwrap().len();
        assert!(kept(&turns) < 5_000, "{}", kept(&turns));
        let turns = Turns::new(2);
        for number in 0..3 * OWING_MAX as u32 {
            let source = format!("10.{}.{}.{}", number >> 16, (number >> 8) & 255, number & 255);
            turns.lines_of(from(&source)).lines[0].pace(Instant::now() + hour);
        }
        assert!((OWING_MAX..=4 * OWING_MAX).contains(&kept(&turns)), "{}", kept(&turns));
    }

    #[test]
    fn a_source_rests_behind_a_turn_that_was_longer_than_it_is_paced() {
        let turns = Turns::new(2);
        let (one, two) = (turns.of(from("192.0.2.1")), turns.of(from("192.0.2.1")));
        let begun = Instant::now() - 4 * PACED_TIME;
        one.note(4_000_000, begun);
        let ended = Instant::now();
        assert!(two.is_paced(ended) && two.rest(ended) > 3 * PACED_TIME);
        assert!(two.is_paced(ended + 7 * PACED_TIME), "until it has rested");
    }

    #[tokio::test(start_paused = true)]
    async fn who_rests_holds_no_turn_of_its_network() {
        let turns = Turns::new(1);
        let sources: Vec<_> =
            (0..4).map(|number| turns.of(from(&format!("2001:db8:0:{number}::1")))).collect();
        let calm = turns.of(from("2001:db8:0:9::1"));
        let now = Instant::now() + Duration::from_secs(3_600);
        sources.iter().for_each(|source| source.note(LONG_TURN, now));
        // Each of them alone rests.
        for source in &sources {
            let own = source.lines.first().unwrap();
            own.rest_until(Instant::now(), Duration::from_secs(3_600));
        }
        let mut resting: Vec<_> = sources.iter().map(|source| Box::pin(source.take_at(now))).collect();
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(resting.iter_mut().all(|turn| turn.as_mut().poll(&mut context).is_pending()));
        assert!(soon(calm.take_at(now)).is_some_and(|turn| turn.is_some()));
    }

    #[test]
    fn a_source_rests_for_twice_as_long_as_a_turn_took_that_was_not_cut_short() {
        let turns = Turns::new(1);
        let (one, other) = (turns.of(from("192.0.2.1")), turns.of(from("192.0.2.2")));
        let begun = Instant::now();
        let after = |millis| begun + Duration::from_millis(millis);
        one.rest_behind(LONG_TURN, begun, after(1));
        assert!(one.rest(after(1)).is_zero());
        one.rest_behind(LONG_TURN, begun, after(7));
        assert_eq!(one.rest(after(7)).as_micros().div_ceil(1_000), 14);
        assert_eq!(one.rest(after(10)).as_micros().div_ceil(1_000), 11);
        assert!(one.rest(after(21)).is_zero() && other.rest(after(7)).is_zero());
        one.rest_behind(LONG_TURN, begun, after(1_000));
        assert_eq!(one.rest(after(1_000)).as_micros().div_ceil(1_000), 40);
        // As much was done, and could not be cut.
        one.rest_behind(2_000_000, begun, after(1_000));
        assert_eq!(one.rest(after(1_000)).as_micros().div_ceil(1_000), 2_000);
    }

    #[test]
    fn what_takes_long_is_counted_by_its_time_as_far_as_it_is_explained() {
        let micros = Duration::from_micros;
        for (counted, taken, work) in [
            (400, micros(149), 400),
            (400, micros(150), 3_000),
            (400, micros(400), 8_000),
            // The machine did something else.
            (400, micros(4_000), 8_000),
            (0, Duration::MAX, 0),
            (80_000, micros(400), 80_000),
        ] {
            assert_eq!(work_of_time(counted, taken), work, "{counted} {taken:?}");
        }
    }

    #[test]
    fn what_a_source_sends_in_small_records_is_read_one_behind_the_other() {
        let one = Turns::new(1).of(from("192.0.2.1"));
        assert_eq!(one.note_read(LONG_TURN - 1), None);
        assert!(!one.is_paced(Instant::now()));
        let mut until = 0;
        for _ in 0..4 {
            assert!(one.note_read(4_000).is_some());
            let before = std::mem::replace(&mut until, one.lines[0].reads_until.load(Ordering::Relaxed));
            assert!(until >= before + 400, "{before} {until}");
        }
        assert!(one.is_paced(Instant::now()));
    }

    #[test]
    fn the_networks_of_a_source_have_some_more_turns_and_no_more() {
        let turns = Turns::new(1);
        // In time to come, so that none has taken longer than it says.
        let now = Instant::now() + Duration::from_secs(3_600);
        let host = |host: u32| turns.of(from(&format!("2001:db8:1:{:x}::1", host)));
        let hosts: Vec<_> = (0..20).map(|place| host(place * 0x100)).collect();
        let near: Vec<_> = (1..20).map(host).collect();
        assert!(hosts.iter().chain(&near).all(|host| !host.is_paced(now)));
        hosts[0].note(LONG_TURN, now);
        assert!(hosts.iter().chain(&near).all(|host| host.is_paced(now)));
        assert!(!turns.of(from("2001:db8:2::1")).is_paced(now) && !turns.of(from("192.0.2.1")).is_paced(now));
        // Two of the /56, four of the /48.
        let taken: Vec<_> = near.iter().filter_map(|host| soon(host.take_at(now))).collect();
        assert_eq!(taken.len(), 2);
        let more: Vec<_> = hosts[1..].iter().filter_map(|host| soon(host.take_at(now))).collect();
        assert_eq!(more.len(), 2);
        drop(taken);
        assert!(soon(hosts[19].take_at(now)).is_some());
        let after = now + Duration::from_millis(8);
        hosts[0].rest_behind(LONG_TURN, now, after);
        let rests = [&hosts[0], &near[0], &hosts[1]].map(|host| host.rest(after).as_micros().div_ceil(1_000));
        assert_eq!(rests, [16, 8, 4]);
    }

    #[test]
    fn peers_on_this_machine_are_not_one_source_and_sources_are_forgotten() {
        let turns = Turns::new(1);
        let now = Instant::now();
        let (one, two) = (turns.of(from("127.0.0.1")), turns.of(from("127.0.0.1")));
        one.note(LONG_TURN, now);
        assert!(one.is_paced(now) && !two.is_paced(now));
        for number in 0..1_000 {
            drop(turns.of(from(&format!("10.0.{}.{}", number / 250, number % 250))));
        }
        assert!(turns.sources.lock().unwrap().len() < 500);
    }

    #[test]
    fn who_was_not_heard_of_yet_comes_first_too() {
        use std::io::Write;
        use std::sync::atomic::AtomicUsize;
        use tokio::io::AsyncReadExt;

        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let heard = Arc::new(AtomicUsize::new(0));
        let (mut here, there) = std::os::unix::net::UnixStream::pair().unwrap();
        there.set_nonblocking(true).unwrap();
        let counted = Arc::clone(&heard);
        let turns = async move {
            let mut there = tokio::net::UnixStream::from_std(there).unwrap();
            let other = tokio::spawn(async move {
                while there.read_u8().await.is_ok() {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            });
            let_others_first().await;
            for turn in 1..=100 {
                here.write_all(b"x").unwrap();
                let_others_first().await;
                assert_eq!(heard.load(Ordering::Relaxed), turn);
            }
            drop(here);
            other.await.unwrap();
        };
        runtime.block_on(async { tokio::spawn(turns).await.unwrap() });
    }

    #[test]
    fn others_wait_for_few_of_the_turns_of_a_source_that_has_many_connections() {
        use std::io::Write;
        use std::sync::atomic::AtomicUsize;
        use tokio::io::AsyncReadExt;

        const CONNECTIONS: usize = 100;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let turns = Turns::new(1);
        let done = Arc::new(AtomicUsize::new(0));
        let (here, there) = std::os::unix::net::UnixStream::pair().unwrap();
        there.set_nonblocking(true).unwrap();
        let here = Arc::new(here);
        let all = async move {
            let mut there = tokio::net::UnixStream::from_std(there).unwrap();
            let flood: Vec<_> = (0..CONNECTIONS)
                .map(|connection| {
                    let (turns, done) = (turns.of(from("192.0.2.1")), Arc::clone(&done));
                    let here = Arc::clone(&here);
                    tokio::spawn(async move {
                        for round in 0..50 {
                            let turn = turns.take().await;
                            let before = done.fetch_add(1, Ordering::Relaxed);
                            if connection == 0 && round > 0 {
                                (&*here).write_all(&before.to_ne_bytes()).unwrap();
                            }
                            turns.note(LONG_TURN, Instant::now());
                            drop(turn);
                            tokio::task::yield_now().await;
                        }
                    })
                })
                .collect();
            drop(here);
            let mut before = [0; size_of::<usize>()];
            let mut waited = Vec::new();
            while there.read_exact(&mut before).await.is_ok() {
                waited.push(done.load(Ordering::Relaxed) - usize::from_ne_bytes(before));
            }
            for connection in flood {
                connection.await.unwrap();
            }
            waited
        };
        let waited = runtime.block_on(async { tokio::spawn(all).await.unwrap() });
        assert_eq!(waited.len(), 49);
        assert!(waited.iter().all(|turns| *turns <= 5), "{waited:?}");
    }
}
