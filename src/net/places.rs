//! Who makes room: places of open connections by who holds them, so that the one with the most is found, and of its
//! connections the one that was silent for the longest, or was waited for.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::presence::{Presence, Waiting};
use super::source::ClientSource;
use crate::model::AccountNumber;

/// Who holds places, and what holders are together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Holder {
    /// A proxy's connection whose header is still to come: it is waited for beside all places.
    Unknown,
    /// This machine, before a bind.
    Here,
    /// A source, before a bind.
    Source(ClientSource),
    /// Sources of an IPv6 network of 56 bits.
    Network56(u64),
    /// Sources of an IPv6 network of 48 bits.
    Network48(u64),
    /// Whoever is bound as this account.
    Account(AccountNumber),
    /// All sources, this machine among them.
    Sources,
    /// All networks of 56 bits.
    Networks56,
    /// All networks of 48 bits.
    Networks48,
    /// All accounts.
    Accounts,
}

/// All places that are taken.
#[derive(Debug, Default)]
pub(super) struct Places {
    places: HashMap<u64, Place>,
    next: u64,
    counts: HashMap<Holder, u32>,
    /// How many of those are accounts.
    accounts: u32,
    /// What stands above a holder, how many places it has, and it.
    order: BTreeSet<(Holder, u32, Holder)>,
    /// The places of a holder, by a time before which they were not silent.
    queue: BTreeSet<(Holder, u64, u64)>,
}

/// One place.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) holder: Holder,
    /// Where the client is, if that is counted.
    pub(super) source: Option<ClientSource>,
    key: u64,
    pub(super) presence: Arc<Presence>,
}

impl Holder {
    /// The source, before a bind.
    pub(super) fn source(self) -> Option<ClientSource> {
        match self {
            Self::Source(source) => Some(source),
            _ => None,
        }
    }

    /// For how much each of its places counts: networks may have some more than a source.
    fn weight(self) -> u32 {
        match self {
            Self::Network48(_) => 1,
            Self::Network56(_) => 4,
            _ => 16,
        }
    }
}

impl Places {
    /// Takes a place; gives its number.
    pub(super) fn take(
        &mut self,
        holder: Holder,
        source: Option<ClientSource>,
        presence: Arc<Presence>,
        now: u64,
    ) -> u64 {
        let number = self.next;
        self.next += 1;
        self.places.insert(number, Place { holder, source, key: now, presence });
        self.enter(number, holder, now);
        number
    }

    /// Somebody else holds it now; gives where the client is. `None`: it was given to somebody else before.
    pub(super) fn hand_over(&mut self, number: u64, holder: Holder) -> Option<Option<ClientSource>> {
        let place = self.places.get_mut(&number)?;
        let (before, key, source) = (std::mem::replace(&mut place.holder, holder), place.key, place.source);
        self.leave(number, before, key);
        self.enter(number, holder, key);
        Some(source)
    }

    /// It is known now where the client is.
    pub(super) fn claim(&mut self, number: u64, source: ClientSource) {
        if let Some(place) = self.places.get_mut(&number) {
            place.source = Some(source);
        }
        self.hand_over(number, Holder::Source(source));
    }

    /// Gives a place back. `None`: it was given to somebody else before.
    pub(super) fn give_back(&mut self, number: u64) -> Option<Place> {
        let place = self.places.remove(&number)?;
        self.leave(number, place.holder, place.key);
        Some(place)
    }

    /// The one whose header was waited for the longest, and since when.
    pub(super) fn first_unknown(&self) -> Option<(u64, u64)> {
        self.queue_of(Holder::Unknown).next().map(|(_, since, number)| (*number, *since))
    }

    /// Whether it is still to come whose it is.
    pub(super) fn is_unknown(&self, number: u64) -> bool {
        self.places.get(&number).is_some_and(|place| place.holder == Holder::Unknown)
    }

    /// How many places somebody holds.
    pub(super) fn count(&self, holder: Holder) -> u32 {
        self.counts.get(&holder).copied().unwrap_or_default()
    }

    /// Places whose clients are silent.
    #[cfg(test)]
    pub(super) fn silent(&self) -> usize {
        let is_silent = |place: &&Place| matches!(place.presence.waiting(), Some(Waiting::Request { .. }));
        self.places.values().filter(is_silent).count()
    }

    /// Whether so many places are taken, and nothing is left of others.
    #[cfg(test)]
    pub(super) fn is_consistent(&self, taken: usize) -> bool {
        [self.places.len(), self.queue.len(), self.counts.len(), self.order.len()] == [taken; 4]
    }

    /// How many accounts hold places.
    pub(super) fn account_count(&self) -> u32 {
        self.accounts
    }

    /// The account with the most places, and how many these are.
    pub(super) fn first_account(&self) -> Option<(Holder, u32)> {
        self.below(Holder::Accounts).next()
    }

    /// The place of a holder whose client was silent for the longest.
    pub(super) fn longest_silent(&mut self, holder: Holder, now: u64) -> Option<u64> {
        let mut looks = LOOKED_AT_MAX;
        self.longest_silent_within(&mut looks, holder, now)
    }

    fn longest_silent_within(&mut self, looks: &mut usize, holder: Holder, now: u64) -> Option<u64> {
        while let Some(left) = looks.checked_sub(1) {
            *looks = left;
            let (_, key, number) = *self.queue_of(holder).next()?;
            let place = self.places.get_mut(&number)?;
            let newer = match place.presence.waiting() {
                Some(Waiting::Request { since }) if since <= key => return Some(number),
                Some(Waiting::Request { since }) => since,
                // All others were looked at now.
                Some(Waiting::Rest { .. }) | None if key > now => return None,
                Some(Waiting::Rest { .. }) | None => now.max(key + 1),
            };
            place.key = newer;
            self.queue.remove(&(holder, key, number));
            self.queue.insert((holder, newer, number));
        }
        None
    }

    /// The place of whoever has the most before a bind that can be had: by sources, and by the networks that they lie in,
    /// which may have some more.
    pub(super) fn longest_silent_of_sources(&mut self, now: u64) -> Option<u64> {
        let holders = self.sources_with_the_most();
        let mut looks = LOOKED_AT_MAX;
        holders.into_iter().find_map(|(_, holder)| self.longest_silent_within(&mut looks, holder, now))
    }

    /// The same where nobody is silent: of who has the most, if that is clearly more than whoever comes has.
    pub(super) fn longest_at_work_of_sources(&self, newcomer: Holder) -> Option<u64> {
        let (weight, holder) = *self.sources_with_the_most().first()?;
        let clearly_more = CLEARLY_MORE * newcomer.weight();
        let is_fair = weight < self.weight(newcomer).saturating_add(clearly_more);
        if is_fair { None } else { self.longest_at_work(holder) }
    }

    /// Where nobody is silent, the place of the client that is waited for in the middle of something for the longest; where
    /// none is, that of one for which something is done.
    pub(super) fn longest_at_work(&self, holder: Holder) -> Option<u64> {
        let unfinished =
            |(_, _, number): &(Holder, u64, u64)| match self.places.get(number)?.presence.waiting()? {
                Waiting::Rest { since } => Some((since, *number)),
                Waiting::Request { .. } => None,
            };
        let longest = self.queue_of(holder).take(LOOKED_AT_MAX).filter_map(unfinished).min();
        longest
            .map(|(_, number)| number)
            .or_else(|| self.queue_of(holder).next().map(|(_, _, number)| *number))
    }

    /// How much a holder has, as a part of what has the most for its size.
    fn weight(&self, holder: Holder) -> u32 {
        let weights = lines(holder)
            .into_iter()
            .flatten()
            .map(|(holder, _)| self.count(holder).saturating_mul(holder.weight()));
        weights.max().unwrap_or_default()
    }

    /// Those sources from which most may be taken first, and of each network the one with the most; with what they are part
    /// of weighs.
    fn sources_with_the_most(&self) -> Vec<(u32, Holder)> {
        let mut found: Vec<(u32, Holder)> = Vec::new();
        for all in [Holder::Networks48, Holder::Networks56, Holder::Sources] {
            let most = self.below(all).take(HOLDERS_TRIED_MAX);
            found.extend(most.map(|(holder, count)| (count.saturating_mul(holder.weight()), holder)));
        }
        found.sort_unstable_by(|one, other| other.cmp(one));
        let mut sources: Vec<(u32, Holder)> = found
            .into_iter()
            .filter_map(|(weight, holder)| Some((weight, self.source_with_the_most(holder)?)))
            .collect();
        let mut seen = Vec::new();
        sources.retain(|(_, source)| {
            let is_new = !seen.contains(source);
            seen.push(*source);
            is_new
        });
        sources
    }

    fn source_with_the_most(&self, holder: Holder) -> Option<Holder> {
        match holder {
            Holder::Network48(_) | Holder::Network56(_) => {
                let (holder, _) = self.below(holder).next()?;
                self.source_with_the_most(holder)
            }
            _ => Some(holder),
        }
    }

    /// What stands below a holder, those with the most places first.
    fn below(&self, above: Holder) -> impl Iterator<Item = (Holder, u32)> {
        let (first, last) = ((above, 0, Holder::Unknown), (above, u32::MAX, Holder::Unknown));
        self.order.range(first..last).rev().map(|(_, count, holder)| (*holder, *count))
    }

    fn queue_of(&self, holder: Holder) -> impl Iterator<Item = &(Holder, u64, u64)> {
        self.queue.range((holder, 0, 0)..=(holder, u64::MAX, u64::MAX))
    }

    fn enter(&mut self, number: u64, holder: Holder, key: u64) {
        self.queue.insert((holder, key, number));
        self.recount(holder, |count| count + 1);
    }

    fn leave(&mut self, number: u64, holder: Holder, key: u64) {
        self.queue.remove(&(holder, key, number));
        self.recount(holder, |count| count.saturating_sub(1));
    }

    fn recount(&mut self, holder: Holder, change: impl Fn(u32) -> u32) {
        for (holder, above) in lines(holder).into_iter().flatten() {
            let before = self.count(holder);
            let after = change(before);
            for above in above.into_iter().flatten() {
                self.order.remove(&(above, before, holder));
                if after > 0 {
                    self.order.insert((above, after, holder));
                }
            }
            match after {
                0 => self.counts.remove(&holder),
                _ => self.counts.insert(holder, after),
            };
            if matches!(holder, Holder::Account(_)) {
                self.accounts = self.accounts + u32::from(before == 0) - u32::from(after == 0);
            }
        }
    }
}

/// A holder and what it is part of, each with what stands above it.
fn lines(holder: Holder) -> [Option<(Holder, [Option<Holder>; 2])>; 3] {
    let one = |above| [Some((holder, [Some(above), None])), None, None];
    match holder {
        Holder::Source(ClientSource::Ipv6Network(bits)) => {
            let network = |prefix: u32| bits >> (64 - prefix);
            let (of_48, of_56) = (Holder::Network48(network(48)), Holder::Network56(network(56)));
            [
                Some((of_48, [Some(Holder::Networks48), None])),
                Some((of_56, [Some(Holder::Networks56), Some(of_48)])),
                Some((holder, [Some(Holder::Sources), Some(of_56)])),
            ]
        }
        Holder::Here | Holder::Source(_) => one(Holder::Sources),
        Holder::Account(_) => one(Holder::Accounts),
        _ => [None, None, None],
    }
}

/// So many places are looked at for one that is silent: those that are not come last the next time.
/// No limit of the config: it bounds the work under a lock, and nobody is refused by it: the next one looks on.
const LOOKED_AT_MAX: usize = 128;
/// So many sources and networks of each size are asked for a place.
/// No limit of the config: it bounds the work under a lock, and those that have the most come first.
const HOLDERS_TRIED_MAX: usize = 4;
/// Who has so many places more than another has clearly more: to take one then makes it no less.
pub(super) const CLEARLY_MORE: u32 = 2;
