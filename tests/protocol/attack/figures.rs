//! What is measured, and how it is printed.

use std::fmt;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long each of the victim's operations took.
#[derive(Clone, Default)]
pub struct Waits(Vec<Duration>);

impl Waits {
    pub fn add(&mut self, wait: Duration) {
        self.0.push(wait);
    }

    /// Sorts them, once all are there.
    pub fn sorted(mut self) -> Self {
        self.0.sort_unstable();
        self
    }

    /// Which all but so many of a hundred stay below.
    fn part(&self, percent: usize) -> Option<Duration> {
        self.0.get((self.0.len() * percent / 100).min(self.0.len().checked_sub(1)?)).copied()
    }

    fn median(&self) -> Option<Duration> {
        self.part(50)
    }
}

/// What the victim did, and how long it waited: its searches, and what it does beside them.
#[derive(Clone, Default)]
pub struct Measured {
    pub searches: Waits,
    pub beside: Waits,
}

/// One attack.
pub struct Row {
    pub attack: &'static str,
    pub rate: u32,
    pub without: Measured,
    pub with: Measured,
    /// Nanoseconds of network threads that one message of the attack took.
    pub for_one: Option<u64>,
    pub memory: Memories,
    /// What did not come as it should.
    pub faults: Vec<String>,
}

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let compared = |without: &Waits, with: &Waits| {
            let (Some(before), Some(then)) = (without.median(), with.median()) else {
                return "–".to_owned();
            };
            let (Some(slow_before), Some(slow)) = (without.part(99), with.part(99)) else {
                return "–".to_owned();
            };
            format!(
                "{} / {} → {} / {} ({:.1}×)",
                milliseconds(before),
                milliseconds(slow_before),
                milliseconds(then),
                milliseconds(slow),
                then.as_secs_f64() / before.as_secs_f64()
            )
        };
        let for_one = match self.for_one {
            Some(nanoseconds) => milliseconds(Duration::from_nanos(nanoseconds)),
            None => "–".to_owned(),
        };
        let [start, peak, after] =
            [self.memory.start, self.memory.peak, self.memory.after].map(|kib| kib / 1024);
        write!(
            formatter,
            "| {} | {} | {} | {} | {for_one} | {start} · {peak} · {after} ({} s) |",
            self.attack,
            self.rate,
            compared(&self.without.searches, &self.with.searches),
            compared(&self.without.beside, &self.with.beside),
            self.memory.waited.as_secs(),
        )
    }
}

/// All rows, as Markdown.
pub fn table(rows: &[Row]) -> String {
    let head = "| attack | messages/s | victim's search: median / p99 ms | its bind, newcomer or sort | ms of a network thread for a message | RSS MiB: start · peak · after (seconds) |\n| --- | --- | --- | --- | --- | --- |\n";
    rows.iter().fold(head.to_owned(), |table, row| table + &format!("{row}\n"))
}

fn milliseconds(time: Duration) -> String {
    let time = time.as_secs_f64() * 1_000.0;
    if time < 10.0 { format!("{time:.2}") } else { format!("{time:.0}") }
}

/// The time that the network threads of a process have had, in nanoseconds.
pub fn network_time(process: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let times = tasks.filter_map(|task| {
        // A thread may have ended meanwhile.
        let task = task.ok()?.path();
        if fs::read_to_string(task.join("comm")).ok()?.trim_end() != "network" {
            return None;
        }
        let text = fs::read_to_string(task.join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    times.sum()
}

/// Resident memory of a process, in KiB.
fn resident(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Resident memory over a time, in KiB, and how long it took to come back.
pub struct Memories {
    start: u64,
    peak: u64,
    after: u64,
    waited: Duration,
}

impl Memories {
    /// Whether it stayed within what one attacker may fill of the budgets.
    pub fn is_within_budget(&self) -> bool {
        self.peak <= self.start + BUDGET_KIB
    }

    /// Whether it came back to within a fifth of what it was at the start.
    pub fn is_back(&self) -> bool {
        self.after <= self.start + self.start / 5
    }
}

/// Half of the largest budget (`connection_memory_max`), which is all that one account or source has of it, and a quarter of that
/// for what hashes and the buffers of connections take beside.
const BUDGET_KIB: u64 = 320 * 1024;

/// Looks at the memory of a process until it is told to end.
pub struct Memory {
    process: u32,
    start: u64,
    peak: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Memory {
    pub fn watch(process: u32) -> Self {
        let start = resident(process);
        let (peak, is_over) = (Arc::new(AtomicU64::new(start)), Arc::new(AtomicBool::new(false)));
        let thread = {
            let (peak, is_over) = (Arc::clone(&peak), Arc::clone(&is_over));
            std::thread::spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    peak.fetch_max(resident(process), Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(20));
                }
            })
        };
        Self { process, start, peak, is_over, thread }
    }

    /// Looks each second whether it came back, and for so long after the attack at most.
    pub fn end(self, at_most: Duration) -> Memories {
        let ended = Instant::now();
        let seen = |after| Memories {
            start: self.start,
            peak: self.peak.load(Ordering::Relaxed),
            after,
            waited: ended.elapsed(),
        };
        let memories = loop {
            let memories = seen(resident(self.process));
            if memories.is_back() || ended.elapsed() >= at_most {
                break memories;
            }
            std::thread::sleep(Duration::from_secs(1).min(at_most));
        };
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        memories
    }
}
