//! Active Directory's in-chain rule over values that name entries: whether a way of one and more of them leads to a name.

use roaring::RoaringBitmap;
use smallvec::SmallVec;

use super::cost::{WORK_OF_A_LOOK_UP, spend, spend_on};
use super::entry::Entry;
use super::entry_id::EntryId;
use super::reader::TreeReader;
use super::value_cursor::{Met, ValueCursor};
use crate::schema::{AttributeId, MatchingRule, steps};

/// What leads on, and to what.
pub(super) struct Chain<'f> {
    pub(super) types: &'f [AttributeId],
    /// Options that the description of a value must have.
    pub(super) options: &'f [u8],
    /// The name in normal form.
    pub(super) form: &'f [u8],
}

/// A way, as far as it was gone. No entry is gone through twice, so that circles end.
#[derive(Clone, Debug)]
pub(super) struct ChainWalk {
    reached: RoaringBitmap,
    /// The entry whose values are looked at, and how far.
    at: Option<EntryId>,
    cursor: ValueCursor,
    /// What comes behind it.
    open: SmallVec<[EntryId; 4]>,
}

impl ChainWalk {
    /// From the values of an entry on.
    pub(super) fn new(from: EntryId) -> Self {
        let (reached, open) = (RoaringBitmap::new(), SmallVec::new());
        Self { reached, at: Some(from), cursor: ValueCursor::default(), open }
    }

    /// Goes on until the name is found, each step through an entry that may be seen, or the allowance is used up; one
    /// value is looked at in any case. `start` is the entry that it begins with, which may stand in no tree.
    pub(super) fn go_on(
        &mut self,
        chain: &Chain<'_>,
        reader: &TreeReader<'_>,
        start: (EntryId, &Entry),
        allowance: &mut u64,
        scratch: &mut Vec<u8>,
    ) -> bool {
        let rule = MatchingRule::InChain;
        while let Some(id) = self.at {
            let other = if id == start.0 { None } else { reader.entry(id) };
            let entry = if id == start.0 { Some(start.1) } else { other.as_deref() };
            let cost =
                |entry: &Entry| chain.types.iter().map(|kind| reader.cost_of_values(id, entry, *kind)).sum();
            *allowance = allowance.saturating_sub(1 + entry.map_or(0, cost));
            let mut found = false;
            let mut look_at = |met: Met<'_>| {
                let value = match met {
                    Met::Value(value) => value,
                    Met::Nothing => return spend(allowance, rule.cost()),
                    Met::Options(work) => return spend(allowance, work),
                };
                scratch.clear();
                if rule.normalize(value, scratch).is_ok() {
                    found = *scratch == chain.form;
                    if let Some(next) = reader.find_normal(scratch)
                        && !found
                        && self.reached.insert(next.raw())
                    {
                        self.open.push(next);
                    }
                }
                steps::note(1);
                spend_on(allowance, rule.cost() + WORK_OF_A_LOOK_UP, value) && !found
            };
            let is_done = entry.is_none_or(|entry| {
                self.cursor.go_on(reader, (id, entry), chain.types, chain.options, &mut look_at)
            });
            if found {
                return true;
            }
            if is_done {
                self.at = self.open.pop();
                self.cursor = ValueCursor::default();
            }
            if *allowance == 0 {
                break;
            }
        }
        false
    }

    /// Octets that it holds.
    pub(super) fn octets(&self) -> usize {
        let open = if self.open.spilled() { size_of::<EntryId>() * self.open.capacity() } else { 0 };
        size_of::<Self>() + self.reached.serialized_size() + open
    }

    /// Whether all of it was gone.
    pub(super) fn is_done(&self) -> bool {
        self.at.is_none()
    }
}
