//! What waits for a hash: bounded queues, in each of them one line for every source, served in turn. Two are
//! for binds; a third is for the many hashes of an import, which nobody's bind is to wait for.

use std::collections::{HashMap, VecDeque};

use super::source::Source;

/// The queues. Nothing in the second is served while something is in the first; in the third, one for each
/// [`BULK_TURN`] of the others while these have something.
pub(super) struct HashQueues<Job> {
    selector: Queue<Job>,
    other: Queue<Job>,
    bulk: Queue<Job>,
    /// How many others were served since the third queue was, while it had something.
    passed_over: u32,
}

/// Which queue a job waits in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// The secret names a record that exists, or an operator makes a new one: before all others.
    Selector,
    /// Anything that a stranger can send.
    Other,
    /// One of many that an operator's command brings at once: when there is nothing else to do.
    Bulk,
}

/// How many jobs wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueLengths {
    /// Jobs of [`Priority::Selector`].
    pub selector: usize,
    /// Jobs of [`Priority::Other`].
    pub other: usize,
    /// Jobs of [`Priority::Bulk`].
    pub bulk: usize,
}

impl<Job> HashQueues<Job> {
    /// Each queue takes `length_max` jobs, and `share_max` of any one source.
    pub(super) fn new(length_max: usize, share_max: usize) -> Self {
        let queue = || Queue::new(length_max, share_max);
        Self { selector: queue(), other: queue(), bulk: queue(), passed_over: 0 }
    }

    /// Appends a job, or gives it back if the queue or the share of its source is full. Jobs of that source
    /// that nobody waits for any more make way.
    pub(super) fn push(
        &mut self,
        priority: Priority,
        source: Source,
        job: Job,
        is_cancelled: impl Fn(&Job) -> bool,
    ) -> Result<(), Job> {
        match priority {
            Priority::Selector => self.selector.push(source, job, is_cancelled),
            Priority::Other => self.other.push(source, job, is_cancelled),
            Priority::Bulk => self.bulk.push(source, job, is_cancelled),
        }
    }

    /// The next job: the first queue before the second, in each of them the sources in turn; the third goes on
    /// slowly, however much strangers send.
    pub(super) fn pop(&mut self) -> Option<Job> {
        let is_bulk_due = self.bulk.length > 0 && self.passed_over >= BULK_TURN;
        if !is_bulk_due && let Some(job) = self.selector.pop().or_else(|| self.other.pop()) {
            self.passed_over = if self.bulk.length > 0 { self.passed_over + 1 } else { 0 };
            return Some(job);
        }
        self.passed_over = 0;
        self.bulk.pop()
    }

    /// Whether a queue takes no more from anybody.
    pub(super) fn is_full(&self, priority: Priority) -> bool {
        let queue = match priority {
            Priority::Selector => &self.selector,
            Priority::Other => &self.other,
            Priority::Bulk => &self.bulk,
        };
        queue.length >= queue.length_max
    }

    /// How many wait.
    pub(super) fn lengths(&self) -> QueueLengths {
        QueueLengths { selector: self.selector.length, other: self.other.length, bulk: self.bulk.length }
    }

    /// Drops all that waits.
    pub(super) fn clear(&mut self) {
        self.selector.clear();
        self.other.clear();
        self.bulk.clear();
    }
}

/// Others that are served before one of the third queue, when it has something.
const BULK_TURN: u32 = 8;

struct Queue<Job> {
    lines: HashMap<Source, VecDeque<Job>>,
    /// Every source that has a line, once, the next to be served first.
    turns: VecDeque<Source>,
    length: usize,
    length_max: usize,
    share_max: usize,
}

impl<Job> Queue<Job> {
    fn new(length_max: usize, share_max: usize) -> Self {
        Self { lines: HashMap::new(), turns: VecDeque::new(), length: 0, length_max, share_max }
    }

    fn push(&mut self, source: Source, job: Job, is_cancelled: impl Fn(&Job) -> bool) -> Result<(), Job> {
        if !self.has_room(source) {
            self.discard(source, is_cancelled);
            if !self.has_room(source) {
                return Err(job);
            }
        }
        self.lines
            .entry(source)
            .or_insert_with(|| {
                self.turns.push_back(source);
                VecDeque::new()
            })
            .push_back(job);
        self.length += 1;
        Ok(())
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

    fn has_room(&self, source: Source) -> bool {
        let share = self.lines.get(&source).map_or(0, VecDeque::len);
        self.length < self.length_max && share < self.share_max
    }

    /// Takes out the jobs of one source that were given up; its share bounds the work.
    fn discard(&mut self, source: Source, is_cancelled: impl Fn(&Job) -> bool) {
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

    fn source(last: u8) -> Source {
        Source::from(Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))))
    }

    fn push(queues: &mut HashQueues<u32>, priority: Priority, last: u8, job: u32) -> Result<(), u32> {
        queues.push(priority, source(last), job, |_| false)
    }

    fn drain(queues: &mut HashQueues<u32>) -> Vec<u32> {
        std::iter::from_fn(|| queues.pop()).collect()
    }

    #[test]
    fn selectors_come_before_all_others() {
        let mut queues = HashQueues::new(10, 10);
        push(&mut queues, Priority::Other, 1, 1).unwrap();
        push(&mut queues, Priority::Selector, 1, 2).unwrap();
        push(&mut queues, Priority::Other, 2, 3).unwrap();
        push(&mut queues, Priority::Selector, 2, 4).unwrap();
        assert_eq!(queues.lengths(), QueueLengths { selector: 2, other: 2, bulk: 0 });
        assert_eq!(drain(&mut queues), [2, 4, 1, 3]);
        assert_eq!(queues.lengths(), QueueLengths::default());
    }

    #[test]
    fn many_hashes_of_a_command_let_all_others_pass_and_still_go_on() {
        let mut queues = HashQueues::new(100, 100);
        for job in 100..104 {
            push(&mut queues, Priority::Bulk, 9, job).unwrap();
        }
        push(&mut queues, Priority::Other, 1, 1).unwrap();
        push(&mut queues, Priority::Selector, 1, 0).unwrap();
        assert_eq!([queues.pop(), queues.pop(), queues.pop()], [Some(0), Some(1), Some(100)]);
        for job in 1..=20 {
            push(&mut queues, Priority::Other, 1, job).unwrap();
        }
        let served = drain(&mut queues);
        let place = |job: u32| served.iter().position(|other| *other == job).unwrap();
        assert_eq!([place(101), place(102), place(103)], [8, 17, 22]);
        assert_eq!(served.len(), 23);
    }

    #[test]
    fn sources_are_served_in_turn() {
        let mut queues = HashQueues::new(10, 10);
        for (last, job) in [(1, 10), (1, 11), (1, 12), (2, 20), (3, 30), (2, 21)] {
            push(&mut queues, Priority::Other, last, job).unwrap();
        }
        assert_eq!(drain(&mut queues), [10, 20, 30, 11, 21, 12]);
    }

    #[test]
    fn a_source_has_its_share_and_no_more() {
        let mut queues = HashQueues::new(10, 2);
        push(&mut queues, Priority::Other, 1, 1).unwrap();
        push(&mut queues, Priority::Other, 1, 2).unwrap();
        assert_eq!(push(&mut queues, Priority::Other, 1, 3), Err(3));
        // Another source, and the same one in the other queue, are not touched.
        push(&mut queues, Priority::Other, 2, 4).unwrap();
        push(&mut queues, Priority::Selector, 1, 5).unwrap();
    }

    #[test]
    fn a_full_queue_refuses_everybody() {
        let mut queues = HashQueues::new(3, 2);
        for (last, job) in [(1, 1), (2, 2), (3, 3)] {
            push(&mut queues, Priority::Other, last, job).unwrap();
        }
        assert_eq!(push(&mut queues, Priority::Other, 4, 4), Err(4));
        push(&mut queues, Priority::Selector, 4, 5).unwrap();
    }

    #[test]
    fn cancelled_jobs_of_the_source_make_way() {
        let mut queues = HashQueues::new(10, 2);
        for job in [1, 2] {
            push(&mut queues, Priority::Other, 1, job).unwrap();
        }
        queues.push(Priority::Other, source(1), 3, |job| *job < 3).unwrap();
        assert_eq!(queues.lengths().other, 1);
        assert_eq!(drain(&mut queues), [3]);
    }

    proptest! {
        #![proptest_config(crate::rounds::cases(256))]
        #[test]
        fn lengths_and_order_hold(steps in proptest::collection::vec((0..4_u8, 0..3_u8, any::<bool>()), 0..200)) {
            let mut queues = HashQueues::new(6, 3);
            let mut waiting: Vec<(bool, u8, u32)> = Vec::new();
            for (number, (last, action, selector)) in steps.into_iter().enumerate() {
                let job = number as u32;
                if action < 2 {
                    let priority = if selector { Priority::Selector } else { Priority::Other };
                    let in_queue = waiting.iter().filter(|waiter| waiter.0 == selector).count();
                    let of_source =
                        waiting.iter().filter(|waiter| (waiter.0, waiter.1) == (selector, last)).count();
                    let pushed = push(&mut queues, priority, last, job);
                    prop_assert_eq!(pushed.is_ok(), in_queue < 6 && of_source < 3);
                    if pushed.is_ok() {
                        waiting.push((selector, last, job));
                    }
                } else if let Some(popped) = queues.pop() {
                    let place = waiting.iter().position(|waiter| waiter.2 == popped).unwrap();
                    let (selector, last, _) = waiting.remove(place);
                    prop_assert!(selector || waiting.iter().all(|waiter| !waiter.0));
                    prop_assert!(
                        !waiting.iter().any(|waiter| (waiter.0, waiter.1) == (selector, last) && waiter.2 < popped)
                    );
                } else {
                    prop_assert!(waiting.is_empty());
                }
                let lengths = queues.lengths();
                prop_assert_eq!(lengths.selector + lengths.other, waiting.len());
            }
        }
    }
}
