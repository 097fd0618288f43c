//! The way of a search through a tree: which entries to look at, one after the other.

use super::entry_id::EntryId;
use super::plan::{Candidates, Plan, plan};
use super::prepared::PreparedFilter;
use super::reader::TreeReader;
use super::visibility::Visibility;

/// How much of the tree a search is about (RFC 4511 section 4.5.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Base,
    /// What stands directly below it.
    One,
    /// The base and all below it.
    Subtree,
    /// All below it.
    Subordinates,
}

/// What a walk found with the work that it was allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The next entry in scope.
    Entry(EntryId),
    /// The allowance is used up; the walk goes on where it stopped.
    Paused,
    /// There are no more.
    End,
}

/// The place of a search in its tree: plain numbers, so that it can rest between two batches.
#[derive(Clone, Debug)]
pub struct Walk {
    base: EntryId,
    scope: Scope,
    way: Way,
    next: Option<u32>,
    /// How many entries were offered.
    examined: u64,
    /// What it has cost to choose the way.
    work_of_planning: u64,
    /// Whether the number of candidates may be told to nobody.
    tells_hidden: bool,
}

#[derive(Clone, Debug)]
enum Way {
    /// One entry only.
    Base,
    /// What an index says.
    Candidates(Candidates),
    /// Everything directly below the base: because no index helps, or because it is less than
    /// what the index says.
    Children { is_indexed: bool },
    /// Everything in the tree.
    Tree,
    /// The entries of a reader without the right to search the full directory.
    Own,
}

impl Walk {
    /// Chooses the way. A reader who does not see everything is never led by an index: what an
    /// index holds, and so what it costs, is a function of everybody's entries.
    pub fn new(reader: &TreeReader<'_>, filter: &PreparedFilter, base: EntryId, scope: Scope) -> Self {
        let (mut work_of_planning, mut tells_hidden) = (0, false);
        let way = match (scope, reader.visibility()) {
            (Scope::Base, _) => Way::Base,
            (_, Visibility::Own(_)) => Way::Own,
            (scope, Visibility::Full | Visibility::Tree(_)) => {
                let below = (scope == Scope::One || Self::is_flat(reader, base))
                    .then(|| reader.tree().children(base).map_or(0, |children| children.len()));
                let Plan { candidates, work, tells_hidden: tells } = plan(filter, reader);
                (work_of_planning, tells_hidden) = (work, tells);
                match (candidates, below) {
                    (Candidates::All, Some(_)) => Way::Children { is_indexed: false },
                    (Candidates::All, None) => Way::Tree,
                    (candidates, Some(below)) if candidates.count().is_some_and(|count| below < count) => {
                        Way::Children { is_indexed: true }
                    }
                    (candidates, _) => Way::Candidates(candidates),
                }
            }
        };
        Self { base, scope, way, next: Some(0), examined: 0, work_of_planning, tells_hidden }
    }

    /// What it has cost to choose the way, in the unit in which an evaluator counts.
    pub fn work_of_planning(&self) -> u64 {
        self.work_of_planning
    }

    /// The next entry in scope that may be seen; whether it matches is for the evaluator.
    pub fn next(&mut self, reader: &TreeReader<'_>) -> Option<EntryId> {
        loop {
            let mut allowance = u32::MAX;
            match self.next_within(reader, &mut allowance) {
                Step::Entry(id) => return Some(id),
                Step::Paused => {}
                Step::End => return None,
            }
        }
    }

    /// The same, but looks at no more than `allowance` entries and counts them off it: an index may name any
    /// number of entries that are not in scope.
    pub fn next_within(&mut self, reader: &TreeReader<'_>, allowance: &mut u32) -> Step {
        while *allowance > 0 {
            let Some(id) = self.next.and_then(|from| self.step(reader, from)) else { return Step::End };
            self.next = id.raw().checked_add(1);
            self.examined += 1;
            *allowance -= 1;
            if reader.visibility().sees(id) && self.is_in_scope(reader, id) {
                return Step::Entry(id);
            }
        }
        Step::Paused
    }

    /// Goes on behind this entry.
    pub fn resume_after(&mut self, id: EntryId) {
        self.next = id.raw().checked_add(1);
    }

    /// Goes on for a reader who sees less than the one that the way was chosen for.
    pub fn narrow(&mut self, reader: &TreeReader<'_>) {
        if matches!(reader.visibility(), Visibility::Own(_)) && !matches!(self.way, Way::Base) {
            self.way = Way::Own;
        }
    }

    /// Begins anew.
    pub fn restart(&mut self) {
        self.next = Some(0);
        self.examined = 0;
    }

    /// Octets that it holds beside itself.
    pub fn octets(&self) -> usize {
        match &self.way {
            Way::Candidates(candidates) => candidates.octets(),
            Way::Base | Way::Children { .. } | Way::Tree | Way::Own => 0,
        }
    }

    /// How many entries were looked at.
    pub fn examined(&self) -> u64 {
        self.examined
    }

    /// Whether no index helps, so that the number of entries that it looks at has no bound.
    pub fn is_unindexed(&self) -> bool {
        matches!(self.way, Way::Children { is_indexed: false } | Way::Tree)
    }

    /// At most how many entries are left to look at, if that is known and may be told.
    pub fn candidates(&self) -> Option<usize> {
        match &self.way {
            Way::Candidates(candidates) if !self.tells_hidden => candidates.count(),
            _ => None,
        }
    }

    fn step(&self, reader: &TreeReader<'_>, from: u32) -> Option<EntryId> {
        let raw = match &self.way {
            Way::Base => (from <= self.base.raw()).then_some(self.base.raw()),
            Way::Candidates(candidates) => candidates.next(from),
            Way::Children { .. } if from <= self.base.raw() && self.scope == Scope::Subtree => {
                // A container's number is below those of all that stand in it.
                Some(self.base.raw())
            }
            Way::Children { .. } => reader.tree().children(self.base)?.next(from),
            Way::Tree => return reader.tree().next(from),
            Way::Own => {
                if (from as usize) < reader.tree().containers().len() {
                    Some(from)
                } else if let Visibility::Own(own) = reader.visibility() {
                    let own = own.as_slice();
                    own.get(own.partition_point(|id| id.raw() < from)).map(|id| id.raw())
                } else {
                    None
                }
            }
        };
        raw.map(EntryId::from_raw)
    }

    fn is_in_scope(&self, reader: &TreeReader<'_>, id: EntryId) -> bool {
        let Some(entry) = reader.stored(id) else { return false };
        match self.scope {
            Scope::Base => id == self.base,
            Scope::One => entry.parent() == self.base.raw(),
            Scope::Subtree => reader.tree().is_at_or_below(entry, id, self.base),
            Scope::Subordinates => id != self.base && reader.tree().is_at_or_below(entry, id, self.base),
        }
    }

    /// Whether nothing stands below the children of the base.
    fn is_flat(reader: &TreeReader<'_>, base: EntryId) -> bool {
        base != EntryId::SUFFIX
            && !reader.tree().containers().iter().any(|container| container.is_below(base))
    }
}
