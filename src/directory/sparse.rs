//! A vector with holes, addressed by a number, of which a changed copy is cheap.
//!
//! Three levels of 64 and more slots: a change copies one leaf and the branches above it, some
//! kilobytes, however many items there are. Readers keep the version that they hold.

use std::sync::Arc;

/// A persistent vector with holes.
#[derive(Clone)]
pub(crate) struct Sparse<T> {
    branches: Vec<Option<Arc<Branch<T>>>>,
    items: usize,
}

#[derive(Clone)]
struct Branch<T> {
    leaves: [Option<Arc<Leaf<T>>>; WIDTH],
}

#[derive(Clone)]
struct Leaf<T> {
    items: [Option<T>; WIDTH],
}

impl<T: Clone> Sparse<T> {
    /// An empty vector.
    pub(crate) fn new() -> Self {
        Self { branches: Vec::new(), items: 0 }
    }

    /// How many items there are.
    pub(crate) fn len(&self) -> usize {
        self.items
    }

    /// The item at `index`.
    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        let leaf = self.leaf(index)?;
        leaf.items[slot(index)].as_ref()
    }

    /// Puts the item at `index`; gives back the one that was there.
    pub(crate) fn insert(&mut self, index: u32, item: T) -> Option<T> {
        let top = top(index);
        if self.branches.len() <= top {
            self.branches.resize_with(top + 1, || None);
        }
        let branch =
            self.branches[top].get_or_insert_with(|| Arc::new(Branch { leaves: [const { None }; WIDTH] }));
        let leaf = Arc::make_mut(branch).leaves[middle(index)]
            .get_or_insert_with(|| Arc::new(Leaf { items: [const { None }; WIDTH] }));
        let before = Arc::make_mut(leaf).items[slot(index)].replace(item);
        if before.is_none() {
            self.items += 1;
        }
        before
    }

    /// The item at `index`, to be changed in place (copied first when others hold it).
    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.leaf(index)?.items[slot(index)].as_ref()?;
        let branch = Arc::make_mut(self.branches.get_mut(top(index))?.as_mut()?);
        let leaf = Arc::make_mut(branch.leaves[middle(index)].as_mut()?);
        leaf.items[slot(index)].as_mut()
    }

    /// Takes the item at `index` out.
    pub(crate) fn remove(&mut self, index: u32) -> Option<T> {
        self.leaf(index)?.items[slot(index)].as_ref()?;
        let branch = Arc::make_mut(self.branches.get_mut(top(index))?.as_mut()?);
        let leaf = Arc::make_mut(branch.leaves[middle(index)].as_mut()?);
        let before = leaf.items[slot(index)].take();
        self.items -= usize::from(before.is_some());
        before
    }

    /// The first item at or behind `index`, with its index.
    pub(crate) fn next(&self, index: u32) -> Option<(u32, &T)> {
        let mut at = index;
        loop {
            let branch = match self.branches.get(top(at))? {
                Some(branch) => branch,
                None => {
                    at = next_multiple(at, BRANCH_SPAN)?;
                    continue;
                }
            };
            let Some(leaf) = &branch.leaves[middle(at)] else {
                at = next_multiple(at, LEAF_SPAN)?;
                continue;
            };
            if let Some(item) = &leaf.items[slot(at)] {
                return Some((at, item));
            }
            at = at.checked_add(1)?;
        }
    }

    /// All items in the order of their indexes.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let mut from = Some(0);
        std::iter::from_fn(move || {
            let (index, item) = self.next(from?)?;
            from = index.checked_add(1);
            Some((index, item))
        })
    }

    fn leaf(&self, index: u32) -> Option<&Leaf<T>> {
        let branch = self.branches.get(top(index))?.as_ref()?;
        branch.leaves[middle(index)].as_deref()
    }
}

const BITS: u32 = 6;
const WIDTH: usize = 1 << BITS;
const LEAF_SPAN: u32 = 1 << BITS;
const BRANCH_SPAN: u32 = 1 << (2 * BITS);

fn top(index: u32) -> usize {
    (index >> (2 * BITS)) as usize
}

fn middle(index: u32) -> usize {
    (index >> BITS) as usize & (WIDTH - 1)
}

fn slot(index: u32) -> usize {
    index as usize & (WIDTH - 1)
}

fn next_multiple(index: u32, span: u32) -> Option<u32> {
    (index | (span - 1)).checked_add(1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(crate::rounds::cases(256))]
        #[test]
        fn behaves_like_a_map_and_old_versions_stay(steps in proptest::collection::vec((0u32..20_000, any::<Option<u8>>()), 1..200)) {
            let mut model = BTreeMap::new();
            let mut sparse = Sparse::new();
            let mut versions = Vec::new();
            for (index, step) in steps {
                match step {
                    Some(item) => prop_assert_eq!(sparse.insert(index, item), model.insert(index, item)),
                    None => prop_assert_eq!(sparse.remove(index), model.remove(&index)),
                }
                versions.push((sparse.clone(), model.clone()));
            }
            for (sparse, model) in versions {
                prop_assert_eq!(sparse.len(), model.len());
                let all: Vec<_> = sparse.iter().map(|(index, item)| (index, *item)).collect();
                prop_assert_eq!(all, model.into_iter().collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn the_last_index_is_an_index() {
        let mut sparse = Sparse::new();
        sparse.insert(1 << 20, 'a');
        assert_eq!(sparse.next(0), Some((1 << 20, &'a')));
        assert_eq!(sparse.next((1 << 20) + 1), None);
    }
}
