//! A set of entry ids, of which a changed copy is cheap.
//!
//! Few ids are a sorted list. Many are cut into chunks of 65,536, each a compressed bitmap behind
//! an `Arc`: a change copies the list of chunks and one chunk, at most some 8 KiB.

use std::sync::Arc;

use roaring::RoaringBitmap;

use crate::schema::steps;

/// A persistent set of entry ids.
#[derive(Clone, Debug)]
pub(crate) enum IdSet {
    /// Sorted.
    Few(Vec<u32>),
    /// Sorted by the upper half of the ids; no chunk is empty.
    Many(Vec<(u16, Arc<RoaringBitmap>)>),
}

impl IdSet {
    /// The empty set.
    pub(crate) const fn new() -> Self {
        Self::Few(Vec::new())
    }

    /// How many ids are in it.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Few(ids) => ids.len(),
            Self::Many(chunks) => chunks.iter().map(|(_, chunk)| chunk.len() as usize).sum(),
        }
    }

    /// Octets that it holds beside itself, without the chunks, which copies share.
    pub(crate) fn octets(&self) -> usize {
        match self {
            Self::Few(ids) => size_of::<u32>() * ids.capacity(),
            Self::Many(chunks) => size_of::<(u16, Arc<RoaringBitmap>)>() * chunks.capacity(),
        }
    }

    /// What it costs to put it together with another, in ids: of a chunk of many ids the words of its bitmap count, not
    /// its ids.
    pub(crate) fn cost(&self) -> u64 {
        match self {
            Self::Few(ids) => ids.len() as u64,
            Self::Many(chunks) => chunks
                .iter()
                .map(|(_, chunk)| if chunk.len() > ARRAY_MAX { BITMAP_WORDS } else { chunk.len() })
                .sum(),
        }
    }

    /// Whether they are the same and show it without a look at all ids: copies of one set do.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Few(own), Self::Few(others)) => own == others,
            (Self::Many(own), Self::Many(others)) => {
                own.len() == others.len()
                    && own.iter().zip(others).all(|((key, chunk), (other_key, other))| {
                        key == other_key && Arc::ptr_eq(chunk, other)
                    })
            }
            _ => false,
        }
    }

    /// Whether `id` is in it.
    pub(crate) fn contains(&self, id: u32) -> bool {
        match self {
            Self::Few(ids) => ids.binary_search(&id).is_ok(),
            Self::Many(chunks) => match chunks.binary_search_by_key(&upper(id), |(key, _)| *key) {
                Ok(at) => chunks[at].1.contains(id),
                Err(_) => false,
            },
        }
    }

    /// Puts `id` in; says whether it was new.
    pub(crate) fn insert(&mut self, id: u32) -> bool {
        match self {
            Self::Few(ids) => {
                // Numbers are given away ascending, so that most ids come last.
                if ids.last().is_some_and(|last| *last >= id) {
                    let Err(at) = ids.binary_search(&id) else { return false };
                    ids.insert(at, id);
                } else {
                    ids.push(id);
                }
                if ids.len() > FEW_MAX {
                    *self = Self::many(ids);
                }
                true
            }
            Self::Many(chunks) => match chunks.binary_search_by_key(&upper(id), |(key, _)| *key) {
                Ok(at) => Arc::make_mut(&mut chunks[at].1).insert(id),
                Err(at) => {
                    chunks.insert(at, (upper(id), Arc::new(RoaringBitmap::from_iter([id]))));
                    true
                }
            },
        }
    }

    /// Puts ascending ids in, no two of them the same.
    pub(crate) fn insert_all(&mut self, ids: &[u32]) {
        match self {
            Self::Few(few) => {
                let is_behind = few.last().zip(ids.first()).is_none_or(|(last, first)| last < first);
                few.extend_from_slice(ids);
                if !is_behind {
                    few.sort_unstable();
                    few.dedup();
                }
                if few.len() > FEW_MAX {
                    *self = Self::many(few);
                }
            }
            Self::Many(chunks) => {
                for same_chunk in ids.chunk_by(|a, b| upper(*a) == upper(*b)) {
                    let key = upper(same_chunk[0]);
                    let joined = || RoaringBitmap::from_sorted_iter(same_chunk.iter().copied());
                    match chunks.binary_search_by_key(&key, |(key, _)| *key) {
                        Ok(at) => {
                            let chunk = Arc::make_mut(&mut chunks[at].1);
                            match (same_chunk.len() >= JOINED_MIN).then(joined) {
                                Some(Ok(others)) => *chunk |= others,
                                _ => chunk.extend(same_chunk),
                            }
                        }
                        Err(at) => {
                            let chunk = joined().unwrap_or_else(|_| same_chunk.iter().copied().collect());
                            chunks.insert(at, (key, Arc::new(chunk)));
                        }
                    }
                }
            }
        }
    }

    /// Takes `id` out; says whether it was there.
    pub(crate) fn remove(&mut self, id: u32) -> bool {
        match self {
            Self::Few(ids) => {
                let Ok(at) = ids.binary_search(&id) else { return false };
                ids.remove(at);
                true
            }
            Self::Many(chunks) => {
                let Ok(at) = chunks.binary_search_by_key(&upper(id), |(key, _)| *key) else { return false };
                if !chunks[at].1.contains(id) {
                    return false;
                }
                Arc::make_mut(&mut chunks[at].1).remove(id);
                if chunks[at].1.is_empty() {
                    chunks.remove(at);
                }
                if self.len() <= FEW_MAX / 2 {
                    *self = Self::Few(self.iter().collect());
                }
                true
            }
        }
    }

    /// The first id at or behind `from`.
    pub(crate) fn next(&self, from: u32) -> Option<u32> {
        match self {
            Self::Few(ids) => ids.get(ids.partition_point(|id| *id < from)).copied(),
            Self::Many(chunks) => {
                let first = chunks.partition_point(|(key, _)| *key < upper(from));
                chunks[first..].iter().take(2).find_map(|(_, chunk)| chunk.range(from..).next())
            }
        }
    }

    /// The ids at or behind `from`, ascending.
    pub(crate) fn range(&self, from: u32) -> Box<dyn Iterator<Item = u32> + '_> {
        match self {
            Self::Few(ids) => Box::new(ids.iter().skip(ids.partition_point(|id| *id < from)).copied()),
            Self::Many(chunks) => {
                let first = chunks.partition_point(|(key, _)| *key < upper(from));
                Box::new(chunks[first..].iter().flat_map(move |(_, chunk)| chunk.range(from..)))
            }
        }
    }

    /// All ids, ascending.
    pub(crate) fn iter(&self) -> Box<dyn Iterator<Item = u32> + '_> {
        match self {
            Self::Few(ids) => Box::new(ids.iter().copied()),
            Self::Many(chunks) => Box::new(chunks.iter().flat_map(|(_, chunk)| chunk.iter())),
        }
    }

    /// Adds all ids to `into`.
    pub(crate) fn union_into(&self, into: &mut RoaringBitmap) {
        steps::note(self.cost() / IDS_OF_A_STEP);
        match self {
            Self::Few(ids) => into.extend(ids.iter().copied()),
            Self::Many(chunks) => chunks.iter().for_each(|(_, chunk)| *into |= chunk.as_ref()),
        }
    }

    /// Keeps in `ids` what is in this set too.
    pub(crate) fn intersect_into(&self, ids: &mut RoaringBitmap) {
        steps::note(1 + self.cost() / IDS_OF_A_STEP);
        match self {
            Self::Few(few) => *ids = few.iter().copied().filter(|id| ids.contains(*id)).collect(),
            Self::Many(_) if ids.len() < FEW_MAX as u64 => {
                *ids = ids.iter().filter(|id| self.contains(*id)).collect();
            }
            Self::Many(chunks) => {
                let mut both = RoaringBitmap::new();
                for (_, chunk) in chunks {
                    both |= chunk.as_ref() & &*ids;
                }
                *ids = both;
            }
        }
    }

    /// Gives back memory that growing left over.
    pub(crate) fn shrink(&mut self) {
        match self {
            Self::Few(ids) => ids.shrink_to_fit(),
            Self::Many(chunks) => {
                chunks.shrink_to_fit();
                for (_, chunk) in chunks {
                    Arc::make_mut(chunk).optimize();
                }
            }
        }
    }

    fn many(ids: &[u32]) -> Self {
        let mut chunks: Vec<(u16, Arc<RoaringBitmap>)> = Vec::new();
        for same_chunk in ids.chunk_by(|a, b| upper(*a) == upper(*b)) {
            chunks.push((upper(same_chunk[0]), Arc::new(same_chunk.iter().copied().collect())));
        }
        Self::Many(chunks)
    }
}

impl FromIterator<u32> for IdSet {
    fn from_iter<I: IntoIterator<Item = u32>>(ids: I) -> Self {
        let mut sorted: Vec<u32> = ids.into_iter().collect();
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.len() > FEW_MAX { Self::many(&sorted) } else { Self::Few(sorted) }
    }
}

/// Up to here a sorted list is smaller and faster than a bitmap.
/// No limit of the config: beyond it is another form of the same set.
const FEW_MAX: usize = 64;

/// So many ids that are put together are a step.
const IDS_OF_A_STEP: u64 = 50;

/// So many ids are put into a bitmap of their own first: one by one, each would be looked for in the one that is there.
const JOINED_MIN: usize = 32;

/// A chunk with more ids is a bitmap of [`BITMAP_WORDS`] words, one with less a sorted array.
/// No limit of the config: beyond it is another form of the same set.
pub(super) const ARRAY_MAX: u64 = 4_096;
const BITMAP_WORDS: u64 = 1_024;

fn upper(id: u32) -> u16 {
    (id >> 16) as u16
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn ids() -> impl Strategy<Value = Vec<(bool, u32)>> {
        let id = prop_oneof![0u32..40, 65_530u32..65_800, any::<u32>()];
        proptest::collection::vec((proptest::bool::weighted(0.7), id), 0..400)
    }

    proptest! {
        #![proptest_config(crate::rounds::cases(256))]
        #[test]
        fn behaves_like_a_set(steps in ids(), other in ids(), from in any::<u32>()) {
            let (set, model) = play(steps);
            let (other_set, other_model) = play(other);
            prop_assert_eq!(set.len(), model.len());
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), model.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(set.next(from), model.range(from..).next().copied());
            let mut united = RoaringBitmap::new();
            set.union_into(&mut united);
            let mut both = united.clone();
            other_set.union_into(&mut united);
            other_set.intersect_into(&mut both);
            prop_assert_eq!(united.iter().collect::<Vec<_>>(), model.union(&other_model).copied().collect::<Vec<_>>());
            prop_assert_eq!(both.iter().collect::<Vec<_>>(), model.intersection(&other_model).copied().collect::<Vec<_>>());
            let mut small = set.clone();
            small.shrink();
            prop_assert_eq!(small.iter().collect::<IdSet>().len(), set.len());
            let mut joined = set.clone();
            joined.insert_all(&other_model.iter().copied().collect::<Vec<_>>());
            let all = model.union(&other_model).copied().collect::<Vec<_>>();
            prop_assert_eq!(joined.iter().collect::<Vec<_>>(), all);
            prop_assert_eq!(set.len(), model.len());
        }
    }

    fn play(steps: Vec<(bool, u32)>) -> (IdSet, BTreeSet<u32>) {
        let (mut set, mut model) = (IdSet::new(), BTreeSet::new());
        for (insert, id) in steps {
            if insert {
                assert_eq!(set.insert(id), model.insert(id));
            } else {
                assert_eq!(set.remove(id), model.remove(&id));
            }
            assert_eq!(set.contains(id), model.contains(&id));
        }
        (set, model)
    }
}
