//! The memory that all hashes of a pool share: never more octets than the budget, reused where it can be.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::schemes::argon::ArgonMemory;

/// Hands out memory for one hash at a time to each thread, in the order of asking.
///
/// The usual size (that of the configured parameters) is kept between hashes. A hash that asks for more gets
/// memory of its own, which is given back to the system afterwards; kept memory makes way for it.
pub(super) struct HashMemory {
    state: Mutex<State>,
    changed: Condvar,
    octets_max: u64,
    octets_usual: u64,
}

#[derive(Default)]
struct State {
    /// Of the usual size each. The last one is handed out first: it is the one still in the caches.
    kept: Vec<ArgonMemory>,
    /// Handed out and kept, in octets.
    octets: u64,
    #[cfg(test)]
    octets_peak: u64,
    /// Tickets: one is drawn by each that asks; the one whose turn it is waits until there is enough. So a big
    /// hash is not overtaken for ever by small ones.
    next_ticket: u64,
    turn: u64,
}

impl HashMemory {
    /// `octets_usual` must not be above `octets_max`; [`super::HashPool::start`] checks it.
    pub(super) fn new(octets_max: u64, octets_usual: u64) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), octets_max, octets_usual }
    }

    /// The budget.
    pub(super) const fn octets_max(&self) -> u64 {
        self.octets_max
    }

    /// The most that was ever handed out and kept at one time.
    #[cfg(test)]
    pub(super) fn octets_peak(&self) -> u64 {
        self.lock().octets_peak
    }

    /// Waits for memory of `octets` or the usual size, whichever is more. What is above the whole budget is
    /// cut down to it, so that this always ends; the pool refuses such hashes before.
    pub(super) fn lease(&self, octets: u64) -> MemoryLease<'_> {
        let octets = octets.max(self.octets_usual).min(self.octets_max);
        let mut state = self.lock();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        let memory = loop {
            if state.turn == ticket
                && let Some(memory) = self.take(&mut state, octets)
            {
                break memory;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        };
        state.turn += 1;
        drop(state);
        self.changed.notify_all();
        MemoryLease { lender: self, memory, octets }
    }

    fn take(&self, state: &mut State, octets: u64) -> Option<ArgonMemory> {
        if octets == self.octets_usual
            && let Some(memory) = state.kept.pop()
        {
            return Some(memory);
        }
        while state.octets + octets > self.octets_max {
            state.kept.pop()?;
            state.octets -= self.octets_usual;
        }
        state.octets += octets;
        #[cfg(test)]
        {
            state.octets_peak = state.octets_peak.max(state.octets);
        }
        Some(ArgonMemory::new())
    }

    fn give_back(&self, memory: ArgonMemory, octets: u64) {
        if octets == self.octets_usual {
            self.lock().kept.push(memory);
        } else {
            // Freed first, so that the count is never below what is in use.
            drop(memory);
            self.lock().octets -= octets;
        }
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Memory for one hash; it goes back when this is dropped, after a panic too.
pub(crate) struct MemoryLease<'a> {
    lender: &'a HashMemory,
    memory: ArgonMemory,
    octets: u64,
}

impl MemoryLease<'_> {
    pub(super) fn memory(&mut self) -> &mut ArgonMemory {
        &mut self.memory
    }
}

impl Drop for MemoryLease<'_> {
    fn drop(&mut self) {
        self.lender.give_back(std::mem::take(&mut self.memory), self.octets);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn usual_memory_is_kept_and_counted_once() {
        let memory = HashMemory::new(100, 40);
        drop(memory.lease(0));
        drop(memory.lease(40));
        assert_eq!(memory.octets_peak(), 40);
        let both = (memory.lease(1), memory.lease(2));
        assert_eq!(memory.octets_peak(), 80);
        drop(both);
        assert_eq!(memory.lock().kept.len(), 2);
    }

    #[test]
    fn kept_memory_makes_way_for_a_big_hash() {
        let memory = HashMemory::new(100, 40);
        drop((memory.lease(0), memory.lease(0)));
        let big = memory.lease(90);
        assert_eq!(memory.lock().octets, 90);
        assert!(memory.lock().kept.is_empty());
        drop(big);
        assert_eq!(memory.lock().octets, 0);
    }

    #[test]
    fn more_than_the_budget_is_the_budget() {
        let memory = HashMemory::new(100, 40);
        drop(memory.lease(1_000));
        assert_eq!(memory.octets_peak(), 100);
    }

    #[test]
    fn a_big_hash_waits_and_is_not_overtaken() {
        let memory = HashMemory::new(100, 40);
        let (order, turns) = mpsc::channel();
        let first = memory.lease(0);
        thread::scope(|scope| {
            for (ticket, octets) in [(1, 100), (2, 40)] {
                let (order, memory) = (order.clone(), &memory);
                scope.spawn(move || {
                    let _lease = memory.lease(octets);
                    order.send(octets).unwrap();
                });
                while memory.lock().next_ticket <= ticket {
                    thread::yield_now();
                }
            }
            assert!(turns.try_recv().is_err(), "there is room for the small one, but it is not its turn");
            drop(first);
            assert_eq!((turns.recv().unwrap(), turns.recv().unwrap()), (100, 40));
        });
        assert_eq!(memory.octets_peak(), 100);
    }
}
