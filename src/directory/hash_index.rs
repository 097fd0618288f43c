//! From the hash of a key to the entries that have it; a changed copy is cheap.
//!
//! The keys themselves are not kept: an entry holds its values already, and who looks up a key
//! verifies what was found against the entry. So a key that one entry has costs eight octets.
//! A leaf holds some hundred keys; a change copies one leaf and the branches above it.

use std::sync::Arc;

use super::id_set::IdSet;

/// A persistent multimap from 64-bit hashes to entry ids.
///
/// What it answers may hold ids of other keys whose hash looks alike (a chance of some 2⁻⁴⁸ for
/// each pair), never too few.
#[derive(Clone)]
pub(crate) struct HashIndex {
    root: Arc<Node>,
}

/// The entries that have a key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Postings<'a> {
    /// Nobody.
    None,
    /// One entry.
    One(u32),
    /// Several entries.
    Many(&'a IdSet),
}

impl<'a> Postings<'a> {
    /// All of them.
    pub(crate) fn ids(self) -> impl Iterator<Item = u32> + 'a {
        let (one, many) = match self {
            Self::None => (None, None),
            Self::One(id) => (Some(id), None),
            Self::Many(ids) => (None, Some(ids)),
        };
        one.into_iter().chain(many.into_iter().flat_map(IdSet::iter))
    }
}

#[derive(Clone)]
enum Node {
    Branch([Arc<Node>; WIDTH]),
    Leaf(Leaf),
}

#[derive(Clone, Default)]
struct Leaf {
    /// Keys of one entry: (tag, id), sorted.
    one: Vec<(u32, u32)>,
    /// Keys of several entries, sorted by tag.
    many: Vec<(u32, Arc<IdSet>)>,
}

impl HashIndex {
    /// An empty index.
    pub(crate) fn new() -> Self {
        let mut root = Arc::new(Node::Leaf(Leaf::default()));
        for _ in 0..FIXED_DEPTH {
            root = Arc::new(Node::Branch(std::array::from_fn(|_| root.clone())));
        }
        Self { root }
    }

    /// The entries that have the key with this hash.
    pub(crate) fn get(&self, hash: u64) -> Postings<'_> {
        #[cfg(test)]
        LOOKUPS.with(|lookups| lookups.set(lookups.get() + 1));
        let mut node = &*self.root;
        let mut path = path_of(hash);
        loop {
            match node {
                Node::Branch(children) => {
                    node = &children[child(path)];
                    path <<= BITS;
                }
                Node::Leaf(leaf) => return leaf.get(hash as u32),
            }
        }
    }

    /// Notes that entry `id` has the key with this hash.
    pub(crate) fn insert(&mut self, hash: u64, id: u32) {
        // Nothing is copied for what is there already.
        match self.get(hash) {
            Postings::One(present) if present == id => return,
            Postings::Many(ids) if ids.contains(id) => return,
            _ => {}
        }
        self.add(hash, id);
    }

    /// The same for an entry that has no such key yet, which is not looked up first.
    pub(crate) fn add(&mut self, hash: u64, id: u32) {
        let mut node = Arc::make_mut(&mut self.root);
        let mut path = path_of(hash);
        let mut depth = 0;
        loop {
            if let Node::Leaf(leaf) = node
                && leaf.len() >= LEAF_MAX
                && depth < DEPTH_MAX
            {
                *node = leaf.split(depth);
            }
            match node {
                Node::Branch(children) => {
                    node = Arc::make_mut(&mut children[child(path)]);
                    path <<= BITS;
                    depth += 1;
                }
                Node::Leaf(leaf) => return leaf.insert(hash as u32, id),
            }
        }
    }

    /// Notes that entry `id` has the key with this hash no longer.
    pub(crate) fn remove(&mut self, hash: u64, id: u32) {
        let mut node = Arc::make_mut(&mut self.root);
        let mut path = path_of(hash);
        loop {
            match node {
                Node::Branch(children) => {
                    node = Arc::make_mut(&mut children[child(path)]);
                    path <<= BITS;
                }
                Node::Leaf(leaf) => return leaf.remove(hash as u32, id),
            }
        }
    }

    /// Gives back memory that growing left over.
    pub(crate) fn shrink(&mut self) {
        shrink(Arc::make_mut(&mut self.root));
    }
}

impl Leaf {
    fn len(&self) -> usize {
        self.one.len() + self.many.len()
    }

    fn get(&self, tag: u32) -> Postings<'_> {
        if let Ok(at) = self.one.binary_search_by_key(&tag, |(key, _)| *key) {
            return Postings::One(self.one[at].1);
        }
        match self.many.binary_search_by_key(&tag, |(key, _)| *key) {
            Ok(at) => Postings::Many(&self.many[at].1),
            Err(_) => Postings::None,
        }
    }

    fn insert(&mut self, tag: u32, id: u32) {
        if let Ok(at) = self.many.binary_search_by_key(&tag, |(key, _)| *key) {
            Arc::make_mut(&mut self.many[at].1).insert(id);
            return;
        }
        match self.one.binary_search_by_key(&tag, |(key, _)| *key) {
            Ok(at) if self.one[at].1 == id => {}
            Ok(at) => {
                let (_, other) = self.one.remove(at);
                let place = self.many.partition_point(|(key, _)| *key < tag);
                self.many.insert(place, (tag, Arc::new([other, id].into_iter().collect())));
            }
            Err(at) => self.one.insert(at, (tag, id)),
        }
    }

    fn remove(&mut self, tag: u32, id: u32) {
        if let Ok(at) = self.one.binary_search_by_key(&tag, |(key, _)| *key) {
            if self.one[at].1 == id {
                self.one.remove(at);
            }
            return;
        }
        let Ok(at) = self.many.binary_search_by_key(&tag, |(key, _)| *key) else { return };
        let ids = Arc::make_mut(&mut self.many[at].1);
        ids.remove(id);
        match (ids.len(), ids.next(0)) {
            (0, _) => {
                self.many.remove(at);
            }
            (1, Some(last)) => {
                self.many.remove(at);
                let place = self.one.partition_point(|(key, _)| *key < tag);
                self.one.insert(place, (tag, last));
            }
            _ => {}
        }
    }

    /// Deals the keys out to children by the next bits of their tags.
    fn split(&mut self, depth: u32) -> Node {
        let mut children: [Leaf; WIDTH] = Default::default();
        let shift = u32::BITS - BITS * (depth - FIXED_DEPTH + 1);
        for (tag, id) in self.one.drain(..) {
            children[(tag >> shift) as usize % WIDTH].one.push((tag, id));
        }
        for (tag, ids) in self.many.drain(..) {
            children[(tag >> shift) as usize % WIDTH].many.push((tag, ids));
        }
        Node::Branch(children.map(|leaf| Arc::new(Node::Leaf(leaf))))
    }
}

fn shrink(node: &mut Node) {
    match node {
        Node::Branch(children) => children.iter_mut().for_each(|child| {
            if !matches!(&**child, Node::Leaf(leaf) if leaf.len() == 0) {
                shrink(Arc::make_mut(child));
            }
        }),
        Node::Leaf(leaf) => {
            leaf.one.shrink_to_fit();
            leaf.many.shrink_to_fit();
            leaf.many.iter_mut().for_each(|(_, ids)| Arc::make_mut(ids).shrink());
        }
    }
}

const BITS: u32 = 4;
const WIDTH: usize = 1 << BITS;
/// Levels that are there from the beginning; they are chosen by the upper bits of the hash, all
/// below by the bits of the tag, its lower half: a leaf need not keep more than the tags to be split.
const FIXED_DEPTH: u32 = 3;
const DEPTH_MAX: u32 = FIXED_DEPTH + u32::BITS / BITS;
/// How many keys a leaf holds before it is split.
const LEAF_MAX: usize = 192;

/// The bits that lead to a leaf, first ones on top: those of the fixed levels, then the tag.
fn path_of(hash: u64) -> u64 {
    let fixed = FIXED_DEPTH * BITS;
    (hash >> (u64::BITS - fixed) << (u64::BITS - fixed)) | (u64::from(hash as u32) << (u32::BITS - fixed))
}

fn child(path: u64) -> usize {
    (path >> (u64::BITS - BITS)) as usize
}

#[cfg(test)]
thread_local! {
    static LOOKUPS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// How many look-ups this thread has made: what a reader may not see must not change it.
#[cfg(test)]
pub(crate) fn lookups() -> u64 {
    LOOKUPS.with(std::cell::Cell::get)
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(crate::rounds::cases(64))]
        #[test]
        fn behaves_like_a_multimap_and_old_versions_stay(
            steps in proptest::collection::vec((proptest::bool::weighted(0.8), 0u64..3_000, 0u32..50), 1..4_000)
        ) {
            let mut model: BTreeMap<u64, BTreeSet<u32>> = BTreeMap::new();
            let mut index = HashIndex::new();
            let mut kept = None;
            for (step, (insert, key, id)) in steps.iter().enumerate() {
                let hash = spread(*key);
                if *insert {
                    index.insert(hash, *id);
                    model.entry(*key).or_default().insert(*id);
                } else {
                    index.remove(hash, *id);
                    model.entry(*key).or_default().remove(id);
                }
                if step == steps.len() / 2 {
                    kept = Some((index.clone(), model.clone()));
                }
            }
            index.shrink();
            for (index, model) in kept.into_iter().chain([(index, model)]) {
                for key in 0..3_000 {
                    let expected: Vec<u32> = model.get(&key).into_iter().flatten().copied().collect();
                    prop_assert_eq!(ids(index.get(spread(key))), expected);
                }
            }
        }
    }

    #[test]
    fn keys_that_cannot_be_told_apart_share_their_postings() {
        let mut index = HashIndex::new();
        for id in 0..1_000 {
            index.insert(7, id);
        }
        assert_eq!(ids(index.get(7)).len(), 1_000);
        assert!(ids(index.get(8)).is_empty());
    }

    fn spread(key: u64) -> u64 {
        key.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23)
    }

    fn ids(postings: Postings<'_>) -> Vec<u32> {
        match postings {
            Postings::None => Vec::new(),
            Postings::One(id) => vec![id],
            Postings::Many(set) => set.iter().collect(),
        }
    }
}
