//! Evaluates a filter with one entry after the other, within bounds of work: at once, or with rests.

use super::entry::Entry;
use super::entry_id::EntryId;
use super::evaluate::Evaluation;
use super::long_look::LongLook;
use super::prepared::{PreparedFilter, Truth};
use super::reader::TreeReader;

/// Evaluates filters; keeps a buffer between entries, and counts what it looks at.
pub struct Evaluator {
    scratch: Vec<u8>,
    work: u64,
    work_per_entry_max: u64,
    is_exhausted: bool,
}

impl Default for Evaluator {
    /// One that looks at any number of values.
    fn default() -> Self {
        Self::new(u64::MAX)
    }
}

impl Evaluator {
    /// One that looks at no more than so many elements and values for one entry.
    pub fn new(work_per_entry_max: u64) -> Self {
        Self { scratch: Vec::new(), work: 0, work_per_entry_max, is_exhausted: false }
    }

    /// Sets how many elements and values it looks at for one entry.
    pub fn bound(&mut self, work_per_entry_max: u64) {
        self.work_per_entry_max = work_per_entry_max;
    }

    /// How many it looks at for one entry.
    pub fn work_per_entry_max(&self) -> u64 {
        self.work_per_entry_max
    }

    /// How many elements of filters and values of entries it has looked at so far. All of them may be seen by the
    /// readers that it worked for.
    pub fn work(&self) -> u64 {
        self.work
    }

    /// Counts work that was done for a reader beside the evaluation of a filter.
    pub fn add_work(&mut self, work: u64) {
        self.work += work;
    }

    /// Whether an entry needed more work than it may: what was said of it is nothing. Asking forgets it.
    pub fn take_exhausted(&mut self) -> bool {
        std::mem::take(&mut self.is_exhausted)
    }

    /// Whether the entry matches.
    pub fn matches(
        &mut self,
        filter: &PreparedFilter,
        reader: &TreeReader<'_>,
        id: EntryId,
        entry: &Entry,
    ) -> bool {
        self.truth(filter, reader, id, entry) == Truth::True
    }

    /// What the filter says of the entry. An empty filter says nothing.
    pub fn truth(
        &mut self,
        filter: &PreparedFilter,
        reader: &TreeReader<'_>,
        id: EntryId,
        entry: &Entry,
    ) -> Truth {
        let truth = self.truth_within(self.work_per_entry_max, filter, reader, id, entry);
        self.is_exhausted |= truth.is_none();
        truth.unwrap_or(Truth::Undefined)
    }

    /// What the filter says of the entry, where there is no rest; `None`: that is more than can be looked at without one.
    pub fn truth_at_once(
        &mut self,
        filter: &PreparedFilter,
        reader: &TreeReader<'_>,
        id: EntryId,
        entry: &Entry,
    ) -> Option<Truth> {
        self.truth_within(self.work_per_entry_max.min(WORK_WITHOUT_REST), filter, reader, id, entry)
    }

    /// What the filter says of the entry, of which no more than [`WORK_AT_ONCE`] elements and values are looked at before
    /// a rest; `begun` is how far it has come before the last one.
    pub fn look(
        &mut self,
        filter: &PreparedFilter,
        reader: &TreeReader<'_>,
        id: EntryId,
        entry: &Entry,
        begun: Option<Box<LongLook>>,
    ) -> Looked {
        let Some(mut long) = begun else {
            let allowance = self.work_per_entry_max.min(WORK_AT_ONCE);
            return match self.truth_within(allowance, filter, reader, id, entry) {
                Some(truth) => Looked::Truth(truth),
                None if allowance == self.work_per_entry_max => Looked::TooMuch,
                // Seldom; then it is done once more, in pieces.
                None => Looked::More(Box::default()),
            };
        };
        let allowance = WORK_AT_ONCE;
        let mut evaluation =
            Evaluation { filter, reader, id, entry, scratch: &mut self.scratch, name: None, allowance };
        let truth = long.go_on(&mut evaluation);
        let work = allowance - evaluation.allowance;
        self.work += work;
        long.work += work;
        match truth {
            _ if long.work >= self.work_per_entry_max => Looked::TooMuch,
            Some(truth) => Looked::Truth(truth),
            None => Looked::More(long),
        }
    }

    /// `None`: the allowance was used up.
    fn truth_within(
        &mut self,
        allowance: u64,
        filter: &PreparedFilter,
        reader: &TreeReader<'_>,
        id: EntryId,
        entry: &Entry,
    ) -> Option<Truth> {
        let mut evaluation =
            Evaluation { filter, reader, id, entry, scratch: &mut self.scratch, name: None, allowance };
        let truth = evaluation.node(0);
        let left = evaluation.allowance;
        self.work += allowance - left;
        (left > 0).then_some(truth)
    }
}

/// So many elements of a filter and values of an entry are looked at in one turn: some 250 microseconds.
pub const WORK_AT_ONCE: u64 = 5_000;
/// So many are where there is no other turn, and no more: about a millisecond.
const WORK_WITHOUT_REST: u64 = 20_000;

/// What a look at an entry came to.
pub enum Looked {
    /// What the filter says of it.
    Truth(Truth),
    /// There is more to look at, after a rest.
    More(Box<LongLook>),
    /// It needs more work than one entry may.
    TooMuch,
}
