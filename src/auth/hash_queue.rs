//! What waits for a hash: four classes, each of them a bounded queue with one line for every source, served in turn.
//!
//! The classes are served by weights: no class, however much is sent to it, keeps another from its part. So a stranger
//! who can reach one of them, because he knows a selector or has a name to guess at, slows down that class alone. In a
//! class it is so with sources, and with the networks of IPv6 that they lie in.
//!
//! What counts of a job is what its hash costs, in a unit that whoever pushes jobs chooses.

use std::collections::{HashMap, VecDeque};

use crate::net::ClientSource;

/// The queues, one for each class.
///
/// Each class has a time of its own, which goes on by its [`HashClass::interval`] for what each job costs that is served; the class
/// whose time is the earliest is next (start-time fair queueing). One that was empty begins where the others are: it has
/// saved nothing up.
pub(super) struct HashQueues<Job> {
    queues: [Queue<Job>; HashClass::ALL.len()],
    /// The time of the class that was served last.
    time: u64,
}

/// Which queue a job waits in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HashClass {
    /// The secret names a token that can succeed, or somebody who was admitted makes a new credential.
    Selector,
    /// Anything else that is sent: passwords above all.
    Other,
    /// What is likely to fail, or was wrong too often: see the throttle.
    Paced,
    /// One of many that an operator's command brings at once.
    Bulk,
}

impl HashClass {
    /// All of them, in the order in which they are served when they are level.
    pub const ALL: [Self; 4] = [Self::Selector, Self::Other, Self::Paced, Self::Bulk];

    /// The name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Selector => "selector",
            Self::Other => "other",
            Self::Paced => "paced",
            Self::Bulk => "bulk",
        }
    }

    /// Whose line a job of a source stands in. What is paced is so for a whole network of IPv6 that fails: there it has one
    /// line, or whoever has a /48 would have a turn for some of its hosts.
    fn line_of(self, source: ClientSource) -> ClientSource {
        match self {
            Self::Paced => source.widest_network().unwrap_or(source),
            Self::Selector | Self::Other | Self::Bulk => source,
        }
    }

    /// What can wait: it never keeps the last thread from the others.
    pub(super) const fn is_slow(self) -> bool {
        matches!(self, Self::Paced | Self::Bulk)
    }

    /// What the cost of one job moves the time of its class on by: where all four have something, of 27 that are served 16 are of the
    /// first class, 8 of the second, 2 of the third and 1 of the last.
    const fn interval(self) -> u64 {
        match self {
            Self::Selector => 1,
            Self::Other => 2,
            Self::Paced => 8,
            Self::Bulk => 16,
        }
    }
}

/// How many jobs wait in each class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueLengths([usize; HashClass::ALL.len()]);

impl QueueLengths {
    /// How many wait in one of them.
    pub fn of(&self, class: HashClass) -> usize {
        let [selector, other, paced, bulk] = self.0;
        match class {
            HashClass::Selector => selector,
            HashClass::Other => other,
            HashClass::Paced => paced,
            HashClass::Bulk => bulk,
        }
    }
}

/// Why a job found no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// The queue takes no more from anybody.
    QueueFull,
    /// The source has its share of it.
    ShareFull,
}

impl<Job> HashQueues<Job> {
    /// Each queue takes `length_max` jobs, and `share_max` of any one source.
    pub(super) fn new(length_max: usize, share_max: usize) -> Self {
        Self { queues: HashClass::ALL.map(|class| Queue::new(class, length_max, share_max)), time: 0 }
    }

    /// Appends a job of this cost. Jobs of its source that nobody waits for any more make way; in a full queue so does the
    /// last of the source that has the most there, if it has more than the newcomer would have: who comes first does not
    /// keep others out. That one is given back, to be dropped.
    ///
    /// # Errors
    /// There is no place, see [`NoPlace`].
    pub(super) fn push(
        &mut self,
        class: HashClass,
        source: ClientSource,
        (cost, job): (u64, Job),
        is_cancelled: impl Fn(&Job) -> bool,
    ) -> Result<Option<Job>, NoPlace> {
        let time = self.time;
        let Some(queue) = self.queues.iter_mut().find(|queue| queue.class == class) else {
            return Err(NoPlace::QueueFull);
        };
        let was_empty = queue.length == 0;
        let cost = cost.clamp(1, COST_MAX) * PARTS;
        let displaced = queue.push(class.line_of(source), Waiting { cost, job }, is_cancelled)?;
        if was_empty {
            queue.time = queue.time.max(time);
        }
        Ok(displaced)
    }

    /// The next job: the classes by their weights, in each of them the sources in turn. `with_slow`: whether it may be of
    /// one that can wait.
    pub(super) fn pop(&mut self, with_slow: bool) -> Option<(HashClass, Job)> {
        let is_served = |queue: &&mut Queue<Job>| queue.length > 0 && (with_slow || !queue.class.is_slow());
        // Of those that are level the first.
        let queue = self.queues.iter_mut().filter(is_served).min_by_key(|queue| queue.time)?;
        let Waiting { cost, job } = queue.pop()?;
        self.time = self.time.max(queue.time);
        queue.time = queue.time.saturating_add(queue.class.interval().saturating_mul(cost));
        Some((queue.class, job))
    }

    /// How many wait.
    pub(super) fn lengths(&self) -> QueueLengths {
        QueueLengths(self.queues.each_ref().map(|queue| queue.length))
    }

    /// Drops all that waits.
    pub(super) fn clear(&mut self) {
        self.queues.iter_mut().for_each(Queue::clear);
    }
}

/// One class.
///
/// Each line has a time, as each class has, and so has each network that lines lie in: a job moves all of them on by what it
/// costs, and the next is of the line whose time, or that of its network, is the earliest. Where all cost the same, lines
/// have their turns one after the other.
struct Queue<Job> {
    class: HashClass,
    time: u64,
    lines: HashMap<ClientSource, Line<Job>>,
    networks: HashMap<(u8, ClientSource), Network>,
    /// Where there are so many, those are forgotten of which nothing waits and whose time is over.
    networks_max: usize,
    /// The time of lines that begin now: that at which the last job was served, so that who comes now is neither before all
    /// that wait nor behind them.
    now: u64,
    /// How many turns were given.
    turns: u64,
    length: usize,
    length_max: usize,
    share_max: usize,
}

/// What waits of one source.
struct Line<Job> {
    jobs: VecDeque<Waiting<Job>>,
    begun: u64,
    /// When it came, or was served for the last time: of those that are level the first is next.
    turn: u64,
}

/// A source, or a network of sources, of which something waits or was served.
#[derive(Clone, Copy, Default)]
struct Network {
    waiting: usize,
    time: u64,
}

struct Waiting<Job> {
    cost: u64,
    job: Job,
}

impl<Job> Queue<Job> {
    fn new(class: HashClass, length_max: usize, share_max: usize) -> Self {
        let (lines, networks) = (HashMap::new(), HashMap::new());
        Self {
            class,
            time: 0,
            lines,
            networks,
            networks_max: NETWORKS_KEPT,
            now: 0,
            turns: 0,
            length: 0,
            length_max,
            share_max,
        }
    }

    fn push(
        &mut self,
        source: ClientSource,
        waiting: Waiting<Job>,
        is_cancelled: impl Fn(&Job) -> bool,
    ) -> Result<Option<Job>, NoPlace> {
        if self.is_full() || !self.has_share(source) {
            self.discard(source, is_cancelled);
        }
        if !self.has_share(source) {
            return Err(NoPlace::ShareFull);
        }
        let displaced = match self.is_full() {
            true => Some(self.displace(self.load(source, 1)).ok_or(NoPlace::QueueFull)?),
            false => None,
        };
        let (begun, turn) = (self.now, self.turns);
        let line = self.lines.entry(source).or_insert_with(|| Line { jobs: VecDeque::new(), begun, turn });
        self.turns += u64::from(line.jobs.is_empty());
        line.jobs.push_back(waiting);
        self.length += 1;
        self.count(source, |waiting| waiting + 1);
        Ok(displaced)
    }

    /// It looks at all lines, of which there are no more than places.
    fn pop(&mut self) -> Option<Waiting<Job>> {
        let next = self.lines.iter().map(|(source, line)| (self.time_of(*source, line), line.turn, *source));
        let (time, _, source) = next.min_by_key(|(time, turn, _)| (*time, *turn))?;
        let waiting = self.take(source, VecDeque::pop_front)?;
        for (network, allowance) in source.networks().zip(ALLOWANCES) {
            let network = self.networks.entry(network).or_default();
            network.time = network.time.max(time) + waiting.cost * ALLOWANCE / allowance;
        }
        if let Some(line) = self.lines.get_mut(&source) {
            (line.begun, line.turn) = (time, self.turns);
            self.turns += 1;
        }
        // Where nobody is left to wait, nobody owes anything.
        let idle = if self.length == 0 { waiting.cost } else { 0 };
        self.now = self.now.max(time + idle);
        if self.networks.len() >= self.networks_max {
            self.networks.retain(|_, network| network.waiting > 0 || network.time > self.now);
            self.networks_max = 2 * self.networks.len() + NETWORKS_KEPT;
        }
        Some(waiting)
    }

    fn is_full(&self) -> bool {
        self.length >= self.length_max
    }

    fn time_of(&self, source: ClientSource, line: &Line<Job>) -> u64 {
        let networks = source.networks().filter_map(|network| self.networks.get(&network));
        networks.map(|network| network.time).fold(line.begun, u64::max)
    }

    /// Whether there is a place for one more of a source, and of its networks, which have some more.
    fn has_share(&self, source: ClientSource) -> bool {
        source.networks().zip(ALLOWANCES).all(|(network, allowance)| {
            let share_max = self.share_max as u64 * allowance / ALLOWANCE;
            (self.waiting(network) as u64) < share_max
        })
    }

    fn waiting(&self, network: (u8, ClientSource)) -> usize {
        self.networks.get(&network).map_or(0, |network| network.waiting)
    }

    /// How much of its share a source has, or its networks have of theirs, and would have with some more.
    fn load(&self, source: ClientSource, more: usize) -> u64 {
        let of = |(network, allowance)| (self.waiting(network) + more) as u64 * LOAD / allowance;
        source.networks().zip(ALLOWANCES).map(of).max().unwrap_or_default()
    }

    /// Takes out the last job of the line with the greatest load, if that is above `load`. It looks at all lines, of which
    /// a full queue has no more than places.
    fn displace(&mut self, load: u64) -> Option<Job> {
        let lines = self.lines.iter().map(|(source, line)| (self.load(*source, 0), line.jobs.len(), *source));
        let (_, _, source) =
            lines.filter(|(other, ..)| *other > load).max_by_key(|(load, length, _)| (*load, *length))?;
        self.take(source, VecDeque::pop_back).map(|waiting| waiting.job)
    }

    fn take(
        &mut self,
        source: ClientSource,
        from: impl FnOnce(&mut VecDeque<Waiting<Job>>) -> Option<Waiting<Job>>,
    ) -> Option<Waiting<Job>> {
        let line = self.lines.get_mut(&source)?;
        let taken = from(&mut line.jobs)?;
        if line.jobs.is_empty() {
            self.lines.remove(&source);
        }
        self.length -= 1;
        self.count(source, |waiting| waiting.saturating_sub(1));
        Some(taken)
    }

    fn count(&mut self, source: ClientSource, count: impl Fn(usize) -> usize) {
        for network in source.networks() {
            let network = self.networks.entry(network).or_default();
            network.waiting = count(network.waiting);
        }
    }

    /// Takes out the jobs of one source that were given up; its share bounds the work.
    fn discard(&mut self, source: ClientSource, is_cancelled: impl Fn(&Job) -> bool) {
        let Some(line) = self.lines.get_mut(&source) else { return };
        let before = line.jobs.len();
        line.jobs.retain(|waiting| !is_cancelled(&waiting.job));
        let discarded = before - line.jobs.len();
        if line.jobs.is_empty() {
            self.lines.remove(&source);
        }
        self.length -= discarded;
        self.count(source, |waiting| waiting.saturating_sub(discarded));
    }

    fn clear(&mut self) {
        self.lines.clear();
        self.networks.clear();
        self.length = 0;
    }
}

/// What a source and the IPv6 networks of 56 and of 48 bits that it lies in may have, as parts of [`ALLOWANCE`].
const ALLOWANCES: [u64; 3] = [ALLOWANCE, 3, 4];
const ALLOWANCE: u64 = 2;
/// Loads are counted in parts of this, so that they can be compared.
const LOAD: u64 = 12;
/// Costs are counted in parts, so that one can be shared by many lines.
const PARTS: u64 = 1 << 10;
/// No job counts for more.
/// No limit of the config: it is far above what the limits on hashes let one cost.
const COST_MAX: u64 = 1 << 32;
/// Sources and networks that can be forgotten are looked for when there are so many more than twice what there were.
/// No limit of the config: it says when work is done that has no end of its own, and whatever is in use is kept.
const NETWORKS_KEPT: usize = 64;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::net::{IpAddr, Ipv4Addr};

    use proptest::prelude::*;

    use super::*;

    fn source(last: u8) -> ClientSource {
        ClientSource::from(Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))))
    }

    fn push(
        queues: &mut HashQueues<u32>,
        class: HashClass,
        last: u8,
        job: u32,
    ) -> Result<Option<u32>, NoPlace> {
        queues.push(class, source(last), (1, job), |_| false)
    }

    fn pop(queues: &mut HashQueues<u32>) -> Option<u32> {
        queues.pop(true).map(|(_, job)| job)
    }

    fn drain(queues: &mut HashQueues<u32>) -> Vec<u32> {
        std::iter::from_fn(|| pop(queues)).collect()
    }

    #[test]
    fn selectors_come_first_but_starve_nobody() {
        let mut queues = HashQueues::new(1_000, 1_000);
        for job in 0..1_000 {
            push(&mut queues, HashClass::Selector, 1, job).unwrap();
        }
        push(&mut queues, HashClass::Other, 2, 5_000).unwrap();
        push(&mut queues, HashClass::Other, 2, 5_001).unwrap();
        let served = drain(&mut queues);
        let place = |job: u32| served.iter().position(|other| *other == job).unwrap();
        assert_eq!([place(0), place(5_000), place(5_001)], [0, 1, 4]);
        assert_eq!(served.len(), 1_002);
    }

    #[test]
    fn each_class_has_its_part_and_none_has_none() {
        let mut queues = HashQueues::new(1_000, 1_000);
        for (class, first) in HashClass::ALL.into_iter().zip([0, 1_000, 2_000, 3_000]) {
            for job in 0..1_000 {
                push(&mut queues, class, 1, first + job).unwrap();
            }
            assert_eq!(queues.lengths().of(class), 1_000);
        }
        let mut counts = [0; 4];
        for _ in 0..270 {
            counts[pop(&mut queues).unwrap() as usize / 1_000] += 1;
        }
        assert_eq!(counts, [160, 80, 20, 10]);
    }

    #[test]
    fn a_class_that_was_empty_has_saved_nothing_up() {
        let mut queues = HashQueues::new(1_000, 1_000);
        for job in 0..500 {
            push(&mut queues, HashClass::Selector, 1, job).unwrap();
        }
        for _ in 0..400 {
            pop(&mut queues).unwrap();
        }
        for job in 1_000..1_100 {
            push(&mut queues, HashClass::Paced, 2, job).unwrap();
        }
        let served: Vec<u32> = std::iter::from_fn(|| pop(&mut queues)).take(90).collect();
        assert_eq!(served.iter().filter(|job| **job >= 1_000).count(), 10);
    }

    #[test]
    fn many_hashes_of_a_command_let_all_others_pass_and_still_go_on() {
        let mut queues = HashQueues::new(100, 100);
        for job in 100..104 {
            push(&mut queues, HashClass::Bulk, 9, job).unwrap();
        }
        push(&mut queues, HashClass::Other, 1, 1).unwrap();
        push(&mut queues, HashClass::Selector, 1, 0).unwrap();
        assert_eq!([pop(&mut queues), pop(&mut queues), pop(&mut queues)], [Some(0), Some(1), Some(100)]);
        for job in 1..=20 {
            push(&mut queues, HashClass::Other, 1, job).unwrap();
        }
        let served = drain(&mut queues);
        let place = |job: u32| served.iter().position(|other| *other == job).unwrap();
        assert_eq!([place(101), place(102), place(103)], [8, 17, 22]);
        assert_eq!(served.len(), 23);
    }

    #[test]
    fn sources_are_served_in_turn() {
        for class in HashClass::ALL {
            let mut queues = HashQueues::new(10, 10);
            for (last, job) in [(1, 10), (1, 11), (1, 12), (2, 20), (3, 30), (2, 21)] {
                push(&mut queues, class, last, job).unwrap();
            }
            assert_eq!(drain(&mut queues), [10, 20, 30, 11, 21, 12]);
        }
    }

    #[test]
    fn a_network_that_is_paced_has_one_line() {
        let of = |text: &str| ClientSource::from(Some(text.parse::<IpAddr>().unwrap()));
        for (class, order) in [(HashClass::Other, [1, 4, 3, 2]), (HashClass::Paced, [1, 4, 2, 3])] {
            let mut queues = HashQueues::new(10, 10);
            for (text, job) in
                [("2001:db8::1", 1), ("2001:db8:0:1::1", 2), ("2001:db8:0:ff00::1", 3), ("192.0.2.1", 4)]
            {
                queues.push(class, of(text), (1, job), |_| false).unwrap();
            }
            assert_eq!(drain(&mut queues), order);
        }
    }

    #[test]
    fn a_network_has_some_more_than_a_source_and_no_more() {
        let of = |text: &str| ClientSource::from(Some(text.parse::<IpAddr>().unwrap()));
        let host = |host: u32| of(&format!("2001:db8:1:{host:x}::1"));
        for class in [HashClass::Selector, HashClass::Other] {
            let mut queues = HashQueues::new(100, 100);
            for job in 0..50 {
                queues.push(class, host(job * 0x100), (1, job), |_| false).unwrap();
            }
            for job in 100..110 {
                push(&mut queues, class, 1, job).unwrap();
            }
            // Two of the network for one of the other source.
            let served: Vec<u32> = std::iter::from_fn(|| pop(&mut queues)).take(30).collect();
            let of_other = served.iter().filter(|job| **job >= 100).count();
            assert!((9..=10).contains(&of_other), "{served:?}");
            // Its share is that of two sources, and in a full queue it makes room.
            let mut queues = HashQueues::new(40, 10);
            let pushed = |queues: &mut HashQueues<u32>, hosts: u32| {
                (0..hosts)
                    .filter(|job| queues.push(class, host(job * 0x100), (1, *job), |_| false).is_ok())
                    .count()
            };
            assert_eq!(pushed(&mut queues, 50), 20);
            let mut queues = HashQueues::new(15, 10);
            assert_eq!(pushed(&mut queues, 50), 15);
            for job in 100..105 {
                assert!(push(&mut queues, class, 1, job).unwrap().is_some_and(|displaced| displaced < 50));
            }
        }
    }

    #[test]
    fn what_a_job_costs_is_what_counts() {
        let mut queues = HashQueues::new(1_000, 1_000);
        for job in 0..1_000 {
            queues.push(HashClass::Selector, source(1), (10, job), |_| false).unwrap();
            queues.push(HashClass::Other, source(2), (1, 1_000 + job), |_| false).unwrap();
        }
        let served: Vec<u32> = std::iter::from_fn(|| pop(&mut queues)).take(120).collect();
        // Two thirds of the time are for the first.
        assert_eq!(served.iter().filter(|job| **job < 1_000).count(), 20);
        // And so with sources, also where the costly ones come one by one.
        let mut queues = HashQueues::new(1_000, 1_000);
        for job in 0..100 {
            push(&mut queues, HashClass::Other, 2, job).unwrap();
        }
        queues.push(HashClass::Other, source(1), (10, 1_000), |_| false).unwrap();
        let mut costly = 0;
        for _ in 0..60 {
            let served = pop(&mut queues).unwrap();
            if served >= 1_000 {
                costly += 1;
                queues.push(HashClass::Other, source(1), (10, 1_000), |_| false).unwrap();
            }
        }
        assert!((5..=7).contains(&costly), "{costly}");
    }

    #[test]
    fn what_can_wait_is_left_when_it_may_not_have_the_last_thread() {
        let mut queues = HashQueues::new(10, 10);
        for (class, job) in [(HashClass::Paced, 1), (HashClass::Bulk, 2), (HashClass::Other, 3)] {
            push(&mut queues, class, 1, job).unwrap();
        }
        assert_eq!(queues.pop(false), Some((HashClass::Other, 3)));
        assert_eq!(queues.pop(false), None);
        assert_eq!(drain(&mut queues), [1, 2]);
    }

    /// Where a network has many sources, as where it has few.
    #[test]
    fn who_comes_late_has_its_turns_and_no_more() {
        let mut queues = HashQueues::new(1_000, 100);
        let crowd = |host: u32| ClientSource::from(Some(format!("2001:db8:1:{host:x}::1").parse().unwrap()));
        let (victim, late) = (source(1), source(2));
        let push = |queues: &mut HashQueues<u32>, job: u32| {
            let source = [victim, late].get(job as usize).copied().unwrap_or_else(|| crowd(job));
            queues.push(HashClass::Other, source, (1_000, job), |_| false).unwrap();
        };
        (2..52).chain([0]).for_each(|job| push(&mut queues, job));
        for _ in 0..2_000 {
            let job = pop(&mut queues).unwrap();
            push(&mut queues, job);
        }
        (0..20).for_each(|_| push(&mut queues, 1));
        let served: Vec<u32> = (0..20)
            .map(|_| {
                let job = pop(&mut queues).unwrap();
                push(&mut queues, job);
                job
            })
            .collect();
        let of = |job: u32| served.iter().filter(|served| **served == job).count();
        assert!((4..=6).contains(&of(0)) && (4..=6).contains(&of(1)), "{served:?}");
    }

    #[test]
    fn sources_that_were_served_are_forgotten() {
        let mut queues = HashQueues::new(10, 10);
        for host in 0..10_000_u32 {
            let source = ClientSource::from(Some(Ipv4Addr::from_bits(host).into()));
            queues.push(HashClass::Other, source, (1, host), |_| false).unwrap();
            pop(&mut queues).unwrap();
        }
        let kept = queues.queues.iter().map(|queue| queue.networks.len()).max();
        assert!(kept <= Some(2 * NETWORKS_KEPT), "{kept:?}");
    }

    #[test]
    fn a_source_has_its_share_and_no_more() {
        let mut queues = HashQueues::new(10, 2);
        push(&mut queues, HashClass::Other, 1, 1).unwrap();
        push(&mut queues, HashClass::Other, 1, 2).unwrap();
        assert_eq!(push(&mut queues, HashClass::Other, 1, 3), Err(NoPlace::ShareFull));
        // Another source, and the same one in the other queues, are not touched.
        push(&mut queues, HashClass::Other, 2, 4).unwrap();
        for (class, job) in [(HashClass::Selector, 5), (HashClass::Paced, 6), (HashClass::Bulk, 7)] {
            push(&mut queues, class, 1, job).unwrap();
        }
    }

    #[test]
    fn a_full_queue_makes_room_for_who_has_less_than_another() {
        let mut queues = HashQueues::new(4, 4);
        for (last, job) in [(1, 1), (1, 2), (1, 3), (2, 4)] {
            assert_eq!(push(&mut queues, HashClass::Other, last, job), Ok(None));
        }
        // Its last one, so that those before keep their order.
        assert_eq!(push(&mut queues, HashClass::Other, 3, 5), Ok(Some(3)));
        assert_eq!(push(&mut queues, HashClass::Other, 4, 6), Ok(Some(2)));
        assert_eq!(push(&mut queues, HashClass::Other, 1, 7), Err(NoPlace::QueueFull));
        assert_eq!(drain(&mut queues), [1, 4, 5, 6]);
    }

    #[test]
    fn a_queue_that_is_evenly_full_refuses_everybody() {
        let mut queues = HashQueues::new(3, 2);
        for (last, job) in [(1, 1), (2, 2), (3, 3)] {
            push(&mut queues, HashClass::Other, last, job).unwrap();
        }
        assert_eq!(push(&mut queues, HashClass::Other, 4, 4), Err(NoPlace::QueueFull));
        push(&mut queues, HashClass::Selector, 4, 5).unwrap();
    }

    #[test]
    fn cancelled_jobs_of_the_source_make_way() {
        let mut queues = HashQueues::new(10, 2);
        for job in [1, 2] {
            push(&mut queues, HashClass::Other, 1, job).unwrap();
        }
        queues.push(HashClass::Other, source(1), (1, 3), |job| *job < 3).unwrap();
        assert_eq!(queues.lengths().of(HashClass::Other), 1);
        assert_eq!(drain(&mut queues), [3]);
    }

    proptest! {
        #![proptest_config(crate::rounds::cases(256))]
        #[test]
        fn lengths_and_order_hold(steps in proptest::collection::vec((0..4_u8, 0..3_u8, 0..4_usize), 0..200)) {
            let mut queues = HashQueues::new(6, 3);
            let mut waiting: Vec<(HashClass, u8, u32)> = Vec::new();
            // How many were served since a class was, while it had something.
            let mut passed_over = [0_u64; 4];
            for (number, (last, action, class)) in steps.into_iter().enumerate() {
                let (job, class) = (number as u32, HashClass::ALL[class]);
                if action < 2 {
                    let in_queue = waiting.iter().filter(|waiter| waiter.0 == class).count();
                    let of = |last: u8| waiting.iter().filter(|waiter| (waiter.0, waiter.1) == (class, last)).count();
                    let most = (0..4).map(of).max().unwrap();
                    let fits = of(last) < 3 && (in_queue < 6 || most > of(last) + 1);
                    let pushed = push(&mut queues, class, last, job);
                    prop_assert_eq!(pushed.is_ok(), fits);
                    if let Ok(displaced) = pushed {
                        prop_assert_eq!(displaced.is_some(), in_queue == 6);
                        waiting.retain(|waiter| Some(waiter.2) != displaced);
                        waiting.push((class, last, job));
                    }
                } else if let Some(popped) = pop(&mut queues) {
                    let place = waiting.iter().position(|waiter| waiter.2 == popped).unwrap();
                    let (class, last, _) = waiting.remove(place);
                    prop_assert!(
                        !waiting.iter().any(|waiter| (waiter.0, waiter.1) == (class, last) && waiter.2 < popped)
                    );
                    for (other, passed) in HashClass::ALL.into_iter().zip(&mut passed_over) {
                        let waits = waiting.iter().any(|waiter| waiter.0 == other);
                        *passed = if other != class && waits { *passed + 1 } else { 0 };
                        let max: u64 = HashClass::ALL.iter().map(|faster| other.interval() / faster.interval() + 1).sum();
                        prop_assert!(*passed <= max, "{other:?} waits");
                    }
                } else {
                    prop_assert!(waiting.is_empty());
                }
                let lengths = queues.lengths();
                prop_assert_eq!(HashClass::ALL.map(|class| lengths.of(class)).iter().sum::<usize>(), waiting.len());
            }
        }
    }
}
