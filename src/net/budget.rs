//! Octets of memory that many share, of whom nobody takes so many that nothing is left for the others.
//!
//! A holder may have as much as is free: one alone half of all, one of two a third, one of `n` the part `n + 1`. So
//! there is always something left for the next one, however many came before, and nobody has to be told apart by how
//! long it has waited (this is how switches share their packet buffers).
//!
//! Those who are nobody in particular are a crowd, which has a part of all for itself and no more, and in which the same
//! holds: however many they are, what is left is for who is known.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The memory that is shared. One lock, taken by who holds more than a small request needs.
pub struct Budget<H> {
    /// Octets of all holders.
    max: u64,
    /// Who stands for all of a crowd.
    crowd: Option<H>,
    state: Mutex<State<H>>,
    /// Told when something is given back and somebody waits for that.
    given_back: Notify,
    /// How many wait for room: mostly nobody does.
    waiting: AtomicUsize,
}

/// Somebody waits, for as long as this is there.
struct Waiting<'b>(&'b AtomicUsize);

struct State<H> {
    used: u64,
    /// Who holds something, by a keyed hash: strangers choose their addresses.
    holders: HashMap<H, u64>,
}

/// What one connection or operation holds of a [`Budget`], in the name of a few holders, such as an account and
/// where it comes from; it is given back when dropped.
pub struct Share<H: Copy + Eq + Hash> {
    budget: Arc<Budget<H>>,
    holders: [Option<H>; HOLDERS_MAX],
    octets: u64,
}

/// In whose name something is held at most.
/// No limit of the config: it is how many names there are for one client.
pub const HOLDERS_MAX: usize = 4;
/// The crowd has this part of all, as of the places of connections.
const PART_OF_THE_CROWD: u64 = 3;

impl<H: Copy + Eq + Hash> Budget<H> {
    /// `max` octets, all of them free.
    pub fn new(max: u64) -> Arc<Self> {
        Self::with_crowd(max, None)
    }

    /// The same, of which all that is held in the name of `crowd` is no more than a third.
    pub fn with_crowd(max: u64, crowd: Option<H>) -> Arc<Self> {
        let state = Mutex::new(State { used: 0, holders: HashMap::new() });
        Arc::new(Self { max, crowd, state, given_back: Notify::new(), waiting: AtomicUsize::new(0) })
    }

    /// Octets that one holder may have when nobody else has any.
    pub fn alone_max(&self) -> u64 {
        self.max / 2
    }

    /// Whoever waits has counted itself before it has looked under the lock.
    fn tell_given_back(&self) {
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.given_back.notify_waiters();
        }
    }

    /// Octets that are held now.
    pub fn used(&self) -> u64 {
        self.state().used
    }

    /// Nothing yet, in the name of these.
    pub fn share(self: &Arc<Self>, holders: [Option<H>; HOLDERS_MAX]) -> Share<H> {
        Share { budget: Arc::clone(self), holders, octets: 0 }
    }

    fn state(&self) -> MutexGuard<'_, State<H>> {
        // Nothing that holds the lock can leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<H: Copy + Eq + Hash> State<H> {
    fn held(&self, holder: H) -> u64 {
        self.holders.get(&holder).copied().unwrap_or_default()
    }

    fn take(&mut self, holders: [Option<H>; HOLDERS_MAX], octets: u64) {
        if octets == 0 {
            return;
        }
        self.used += octets;
        for holder in holders.into_iter().flatten() {
            *self.holders.entry(holder).or_default() += octets;
        }
    }

    fn give_back(&mut self, holders: [Option<H>; HOLDERS_MAX], octets: u64) {
        self.used = self.used.saturating_sub(octets);
        for holder in holders.into_iter().flatten() {
            if let Some(held) = self.holders.get_mut(&holder) {
                *held = held.saturating_sub(octets);
                if *held == 0 {
                    self.holders.remove(&holder);
                }
            }
        }
    }
}

impl<H: Copy + Eq + Hash> Share<H> {
    /// Holds so many octets from now on. Less is always possible; says whether there was room for more, and else goes on
    /// holding what it held.
    #[must_use]
    pub fn set(&mut self, octets: u64) -> bool {
        if octets == self.octets {
            return true;
        }
        let Some(more) = octets.checked_sub(self.octets) else {
            self.give_back(self.octets - octets);
            return true;
        };
        let mut state = self.budget.state();
        let Budget { max, crowd, .. } = *self.budget;
        let holders = || self.holders.into_iter().flatten();
        let mut free = max.saturating_sub(state.used).checked_sub(more);
        if let Some(crowd) = holders().find(|holder| Some(*holder) == crowd) {
            let of_crowd = (max / PART_OF_THE_CROWD).saturating_sub(state.held(crowd));
            free = free.min(of_crowd.checked_sub(more));
        }
        let fits = |free| {
            let mut others = holders().filter(|holder| Some(*holder) != crowd);
            others.all(|holder| state.held(holder).saturating_add(more) <= free)
        };
        if !free.is_some_and(fits) {
            return false;
        }
        state.take(self.holders, more);
        drop(state);
        self.octets = octets;
        true
    }

    /// Holds so many octets whether or not there is room: what is more than all is nobody's until it is given back.
    pub fn force(&mut self, octets: u64) {
        match octets.checked_sub(self.octets) {
            None => self.give_back(self.octets - octets),
            Some(more) => {
                self.budget.state().take(self.holders, more);
                self.octets = octets;
            }
        }
    }

    /// Waits until there is room for so many octets, and holds them. Who waits holds no lock, and keeps nobody back: whoever
    /// needs less may find it sooner.
    pub async fn wait_for(&mut self, octets: u64) {
        let budget = Arc::clone(&self.budget);
        let _waiting = Waiting::new(&budget.waiting);
        loop {
            // What is given back from here on is not missed.
            let given_back = budget.given_back.notified();
            if self.set(octets) {
                return;
            }
            given_back.await;
        }
    }

    fn give_back(&mut self, octets: u64) {
        if octets > 0 {
            self.budget.state().give_back(self.holders, octets);
            self.octets -= octets;
            self.budget.tell_given_back();
        }
    }

    /// Octets that it holds.
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// Goes on in the name of others, with what it holds.
    pub fn rename(&mut self, holders: [Option<H>; HOLDERS_MAX]) {
        if holders == self.holders {
            return;
        }
        if self.octets > 0 {
            let mut state = self.budget.state();
            state.give_back(self.holders, self.octets);
            state.take(holders, self.octets);
            drop(state);
            self.budget.tell_given_back();
        }
        self.holders = holders;
    }
}

impl<H: Copy + Eq + Hash> Drop for Share<H> {
    fn drop(&mut self) {
        self.give_back(self.octets);
    }
}

impl<'b> Waiting<'b> {
    fn new(waiting: &'b AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// As much of a buffer as counts, in steps of so many octets, so that the lock is taken seldom. What is no larger than one
/// step is not counted: how many connections there are bounds it.
pub const fn counted(octets: usize, step: usize) -> u64 {
    if octets <= step { 0 } else { octets.next_multiple_of(step) as u64 }
}

impl<H: Copy + Eq + Hash> fmt::Debug for Budget<H> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Budget").field("max", &self.max).field("used", &self.used()).finish()
    }
}

impl<H: Copy + Eq + Hash> fmt::Debug for Share<H> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Share").field(&self.octets).finish()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of<H: Copy>(holders: &[H]) -> [Option<H>; HOLDERS_MAX] {
        std::array::from_fn(|place| holders.get(place).copied())
    }

    #[test]
    fn a_crowd_has_its_part_however_many_it_is() {
        let budget = Budget::with_crowd(1_200, Some("crowd"));
        let stranger = |source| budget.share(of(&[source, "crowd"]));
        let mut one = stranger("one");
        assert!(!one.set(201) && one.set(200), "one alone has half of the part");
        let mut others: Vec<_> = ["two", "three", "four", "five"].into_iter().map(stranger).collect();
        for other in &mut others {
            while other.set(other.octets() + 1) {}
        }
        assert!((350..=400).contains(&budget.used()), "{}", budget.used());
        assert!(!stranger("six").set(50));
        let mut account = budget.share(of(&["account", "one"]));
        assert!(account.set(200) && account.set(300));
        // What is held goes on to be held in another's name, and there is no room then.
        account.rename(of(&["one", "crowd"]));
        assert!(!stranger("seven").set(1) && account.set(0));
    }

    #[test]
    fn nobody_takes_all() {
        let budget = Budget::new(1_200);
        let mut shares: Vec<_> = (0..5).map(|holder| budget.share(of(&[holder]))).collect();
        let mut second_of_the_first = budget.share(of(&[0]));
        assert!(shares[0].set(600) && !shares[0].set(601) && !second_of_the_first.set(1));
        // Whoever comes later finds half of what the others have left.
        assert!(shares[1].set(300) && !shares[1].set(301));
        assert!(shares[2].set(150) && !shares[2].set(151));
        assert!(shares[3].set(75) && shares[4].set(37));
        assert!(shares[0].set(0) && shares[4].set(300));
        drop(shares);
        assert_eq!(budget.used(), 0);
        assert!(second_of_the_first.set(600));
    }

    #[tokio::test]
    async fn who_waits_goes_on_when_there_is_room() {
        use std::pin::pin;
        use std::task::{Context, Waker};

        let budget = Budget::new(1_200);
        let [mut first, mut second] = [budget.share(of(&["one"])), budget.share(of(&["one"]))];
        assert!(first.set(600));
        {
            let mut waits = pin!(second.wait_for(100));
            assert!(waits.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            // Who waits keeps nobody else back.
            let mut other = budget.share(of(&["other"]));
            assert!(other.set(300));
            drop(other);
            assert!(waits.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            assert!(first.set(500));
            waits.await;
        }
        assert_eq!((second.octets(), budget.used()), (100, 600));
        // What is forced counts, and is in the way of more until it is given back.
        first.force(1_300);
        assert_eq!(budget.used(), 1_400);
        assert!(!budget.share(of(&["other"])).set(1) && !second.set(101) && second.set(50));
        first.force(100);
        assert!(budget.share(of(&["other"])).set(500));
        drop((first, second));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn both_names_count() {
        let budget = Budget::new(1_000);
        // One account from many addresses, many accounts from one address.
        let mut one = budget.share(of(&["account", "here"]));
        assert!(one.set(400));
        assert!(!budget.share(of(&["account", "there"])).set(101));
        assert!(!budget.share(of(&["other", "here"])).set(101));
        assert!(budget.share(of(&["other", "there"])).set(300));
        one.rename(of(&["other"]));
        assert!(!budget.share(of(&["other"])).set(101));
        assert!(budget.share(of(&["account", "here"])).set(300));
    }

    proptest! {
        #[test]
        fn what_is_held_is_what_is_counted(
            steps in prop::collection::vec((0_usize..6, 0_u64..600, 0_u8..4, 0_u8..3), 0..60),
        ) {
            let budget = Budget::new(1_000);
            let mut shares: Vec<_> = (0..6_u8).map(|name| budget.share(of(&[name % 3]))).collect();
            for (which, octets, name, kind) in steps {
                match kind {
                    0 => shares[which].rename(of(&[name, name + 10])),
                    1 => shares[which] = budget.share(of(&[name])),
                    _ => {
                        let (before, free) = (shares[which].octets(), 1_000 - budget.used());
                        if !shares[which].set(octets) {
                            prop_assert!(octets > before);
                            prop_assert_eq!(shares[which].octets(), before);
                        } else if octets > before {
                            prop_assert!(octets - before <= free / 2, "something is left");
                        }
                    }
                }
                prop_assert_eq!(budget.used(), shares.iter().map(Share::octets).sum::<u64>());
                prop_assert!(budget.used() <= 1_000);
            }
            drop(shares);
            prop_assert_eq!(budget.used(), 0);
            prop_assert!(budget.state().holders.is_empty());
        }
    }
}
