//! What waits for a hash: four classes, each of them a bounded queue with one line for every source, served in turn.
//!
//! The classes are served by weights: no class, however much is sent to it, keeps another from its part. So a stranger
//! who can reach one of them, because he knows a selector or has a name to guess at, slows down that class alone.

use std::collections::{HashMap, VecDeque};

use crate::net::ClientSource;

/// The queues, one for each class.
///
/// Each class has a time of its own, which goes on by its [`HashClass::interval`] for each job that is served; the class
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
    /// line, or whoever has a /48 would have a turn for each of its hosts.
    fn line_of(self, source: ClientSource) -> ClientSource {
        match self {
            Self::Paced => source.networks().last().map_or(source, |(_, widest)| widest),
            Self::Selector | Self::Other | Self::Bulk => source,
        }
    }

    /// What one job moves the time of its class on by: where all four have something, of 27 that are served 16 are of the
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

    /// Appends a job. Jobs of its source that nobody waits for any more make way; in a full queue so does the last of
    /// the source that has the most there, if it has more than the newcomer would have: who comes first does not keep
    /// others out. That one is given back, to be dropped.
    ///
    /// # Errors
    /// There is no place, see [`NoPlace`].
    pub(super) fn push(
        &mut self,
        class: HashClass,
        source: ClientSource,
        job: Job,
        is_cancelled: impl Fn(&Job) -> bool,
    ) -> Result<Option<Job>, NoPlace> {
        let time = self.time;
        let Some(queue) = self.queues.iter_mut().find(|queue| queue.class == class) else {
            return Err(NoPlace::QueueFull);
        };
        let was_empty = queue.length == 0;
        let displaced = queue.push(class.line_of(source), job, is_cancelled)?;
        if was_empty {
            queue.time = queue.time.max(time);
        }
        Ok(displaced)
    }

    /// The next job: the classes by their weights, in each of them the sources in turn.
    pub(super) fn pop(&mut self) -> Option<Job> {
        let waiting = self.queues.iter_mut().filter(|queue| queue.length > 0);
        // Of those that are level the first.
        let queue = waiting.min_by_key(|queue| queue.time)?;
        self.time = queue.time;
        queue.time = queue.time.saturating_add(queue.class.interval());
        queue.pop()
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

struct Queue<Job> {
    class: HashClass,
    time: u64,
    lines: HashMap<ClientSource, VecDeque<Job>>,
    /// Every source that has a line, once, the next to be served first.
    turns: VecDeque<ClientSource>,
    length: usize,
    length_max: usize,
    share_max: usize,
}

impl<Job> Queue<Job> {
    fn new(class: HashClass, length_max: usize, share_max: usize) -> Self {
        let (lines, turns) = (HashMap::new(), VecDeque::new());
        Self { class, time: 0, lines, turns, length: 0, length_max, share_max }
    }

    fn push(
        &mut self,
        source: ClientSource,
        job: Job,
        is_cancelled: impl Fn(&Job) -> bool,
    ) -> Result<Option<Job>, NoPlace> {
        if self.is_full() || self.share(source) >= self.share_max {
            self.discard(source, is_cancelled);
        }
        let share = self.share(source);
        if share >= self.share_max {
            return Err(NoPlace::ShareFull);
        }
        let displaced = match self.is_full() {
            true => Some(self.displace(share + 1).ok_or(NoPlace::QueueFull)?),
            false => None,
        };
        self.lines
            .entry(source)
            .or_insert_with(|| {
                self.turns.push_back(source);
                VecDeque::new()
            })
            .push_back(job);
        self.length += 1;
        Ok(displaced)
    }

    fn pop(&mut self) -> Option<Job> {
        let source = self.turns.pop_front()?;
        let line = self.lines.get_mut(&source)?;
        let job = line.pop_front();
        if line.is_empty() {
            self.lines.remove(&source);
        } else {
            self.turns.push_back(source);
        }
        self.length -= usize::from(job.is_some());
        job
    }

    fn is_full(&self) -> bool {
        self.length >= self.length_max
    }

    fn share(&self, source: ClientSource) -> usize {
        self.lines.get(&source).map_or(0, VecDeque::len)
    }

    /// Takes out the last job of the longest line, if that has more than `share`. It looks at all lines, of which a
    /// full queue has no more than places.
    fn displace(&mut self, share: usize) -> Option<Job> {
        let line = self.lines.values_mut().max_by_key(|line| line.len()).filter(|line| line.len() > share)?;
        let job = line.pop_back();
        self.length -= usize::from(job.is_some());
        job
    }

    /// Takes out the jobs of one source that were given up; its share bounds the work.
    fn discard(&mut self, source: ClientSource, is_cancelled: impl Fn(&Job) -> bool) {
        let Some(line) = self.lines.get_mut(&source) else { return };
        let before = line.len();
        line.retain(|job| !is_cancelled(job));
        self.length -= before - line.len();
        if line.is_empty() {
            self.lines.remove(&source);
            self.turns.retain(|turn| *turn != source);
        }
    }

    fn clear(&mut self) {
        self.lines.clear();
        self.turns.clear();
        self.length = 0;
    }
}

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
        queues.push(class, source(last), job, |_| false)
    }

    fn drain(queues: &mut HashQueues<u32>) -> Vec<u32> {
        std::iter::from_fn(|| queues.pop()).collect()
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
            counts[queues.pop().unwrap() as usize / 1_000] += 1;
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
            queues.pop().unwrap();
        }
        for job in 1_000..1_100 {
            push(&mut queues, HashClass::Paced, 2, job).unwrap();
        }
        let served: Vec<u32> = std::iter::from_fn(|| queues.pop()).take(90).collect();
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
        assert_eq!([queues.pop(), queues.pop(), queues.pop()], [Some(0), Some(1), Some(100)]);
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
        for (class, order) in [(HashClass::Other, [1, 2, 3, 4]), (HashClass::Paced, [1, 4, 2, 3])] {
            let mut queues = HashQueues::new(10, 10);
            for (text, job) in
                [("2001:db8::1", 1), ("2001:db8:0:1::1", 2), ("2001:db8:0:ff00::1", 3), ("192.0.2.1", 4)]
            {
                queues.push(class, of(text), job, |_| false).unwrap();
            }
            assert_eq!(drain(&mut queues), order);
        }
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
        queues.push(HashClass::Other, source(1), 3, |job| *job < 3).unwrap();
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
                } else if let Some(popped) = queues.pop() {
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
