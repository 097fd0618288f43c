//! From the hash of a key to the entries that have it; a changed copy is cheap.
//!
//! The keys themselves are not kept: an entry holds its values already, and who looks up a key
//! verifies what was found against the entry. So a key that one entry has costs eight octets.
//! A leaf holds some hundred keys; a change copies one leaf and the branches above it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

/// That an entry has a key; they are ordered as they stand in an index.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Posting(u128);

impl Posting {
    /// Entry `id` has the key with this hash.
    pub(crate) fn new(hash: u64, id: u32) -> Self {
        Self(u128::from(path_of(hash)) << u32::BITS | u128::from(id))
    }

    fn path(self) -> u64 {
        (self.0 >> u32::BITS) as u64
    }

    fn tag(self) -> u32 {
        (self.path() >> (u32::BITS - FIXED_DEPTH * BITS)) as u32
    }

    fn id(self) -> u32 {
        self.0 as u32
    }
}

/// Postings that are gathered before they are put into an index, dealt out by the upper bits of their paths: each heap is
/// sorted by itself, in memory that a cache holds.
pub(crate) struct Gathered {
    heaps: Vec<Vec<Posting>>,
    len: usize,
}

impl Gathered {
    pub(crate) fn new() -> Self {
        Self { heaps: vec![Vec::new(); HEAPS], len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn push(&mut self, posting: Posting) {
        self.heaps[(posting.path() >> (u64::BITS - HEAPS.ilog2())) as usize].push(posting);
        self.len += 1;
    }
}

/// An index while several threads fill it, each one part at a time.
pub(crate) struct IndexParts(Vec<Mutex<Arc<Node>>>);

impl IndexParts {
    /// How many parts there are.
    pub(crate) const COUNT: usize = WIDTH;

    /// Begins with what is in an index.
    pub(crate) fn of(index: &HashIndex) -> Self {
        let children = match &*index.root {
            Node::Branch(children) => children.to_vec(),
            // The first levels are branches, always.
            Node::Leaf(_) => Vec::new(),
        };
        Self(children.into_iter().map(Mutex::new).collect())
    }

    /// Puts all postings in, and leaves none; begins with the part `first`.
    pub(crate) fn add(&self, gathered: &mut Gathered, first: usize) {
        let parts = self.0.iter().zip(gathered.heaps.chunks_mut(HEAPS / Self::COUNT));
        let mut parts: Vec<_> = parts.collect();
        let count = parts.len();
        parts.rotate_left(first % count.max(1));
        for (part, heaps) in parts {
            for heap in heaps.iter_mut() {
                heap.sort_unstable();
                heap.dedup();
            }
            let mut part = lock(part);
            for heap in heaps.iter_mut().filter(|heap| !heap.is_empty()) {
                add_sorted(&mut part, heap, 1);
                heap.clear();
            }
        }
        gathered.len = 0;
    }

    /// Gives back memory that growing left over in one part.
    pub(crate) fn shrink(&self, part: usize) {
        if let Some(part) = self.0.get(part) {
            shrink(Arc::make_mut(&mut lock(part)));
        }
    }

    /// The whole index.
    pub(crate) fn join(self) -> HashIndex {
        let mut parts =
            self.0.into_iter().map(|part| part.into_inner().unwrap_or_else(PoisonError::into_inner));
        let empty = || Arc::new(Node::Leaf(Leaf::default()));
        HashIndex {
            root: Arc::new(Node::Branch(std::array::from_fn(|_| parts.next().unwrap_or_else(empty)))),
        }
    }
}

impl Default for IndexParts {
    fn default() -> Self {
        Self::of(&HashIndex::new())
    }
}

fn lock(part: &Mutex<Arc<Node>>) -> MutexGuard<'_, Arc<Node>> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Puts sorted postings, no two of them the same, below a node that stands so deep.
fn add_sorted(node: &mut Arc<Node>, postings: &[Posting], depth: u32) {
    let node = Arc::make_mut(node);
    if let Node::Leaf(leaf) = node
        && depth < DEPTH_MAX
        && leaf.len_with(postings) > LEAF_MAX
    {
        *node = leaf.split(depth);
    }
    match node {
        Node::Branch(children) => {
            let place = |posting: &Posting| child(posting.path() << (BITS * depth));
            for same_child in postings.chunk_by(|a, b| place(a) == place(b)) {
                add_sorted(&mut children[place(&same_child[0])], same_child, depth + 1);
            }
        }
        Node::Leaf(leaf) => {
            for same_key in postings.chunk_by(|a, b| a.tag() == b.tag()) {
                leaf.insert_all(same_key);
            }
        }
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

impl Default for HashIndex {
    fn default() -> Self {
        Self::new()
    }
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

    /// Inserts sorted postings of one key, no two of them the same.
    fn insert_all(&mut self, postings: &[Posting]) {
        if let [only] = postings {
            return self.insert(only.tag(), only.id());
        }
        let tag = postings[0].tag();
        let at = self.many.binary_search_by_key(&tag, |(key, _)| *key).unwrap_or_else(|at| {
            let before = self.one.binary_search_by_key(&tag, |(key, _)| *key).ok();
            let before = before.map(|at| self.one.remove(at).1);
            self.many.insert(at, (tag, Arc::new(before.into_iter().collect())));
            at
        });
        Arc::make_mut(&mut self.many[at].1).insert_all(postings.iter().map(|posting| posting.id()));
    }

    /// How many keys it would hold with those of sorted postings.
    fn len_with(&self, postings: &[Posting]) -> usize {
        // Mostly there is no need to look.
        if self.len() + postings.len() <= LEAF_MAX {
            return self.len() + postings.len();
        }
        let is_new = |same_key: &&[Posting]| matches!(self.get(same_key[0].tag()), Postings::None);
        self.len() + postings.chunk_by(|a, b| a.tag() == b.tag()).filter(is_new).count()
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
/// No limit of the config: the bits of a hash give it.
const DEPTH_MAX: u32 = FIXED_DEPTH + u32::BITS / BITS;
/// Of postings that are gathered: some thousands each, when there are a million.
const HEAPS: usize = 1 << (2 * BITS);
/// How many keys a leaf holds before it is split.
/// No limit of the config: a shape of the index, where no key is refused.
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
            let parts = IndexParts::of(&index);
            (0..IndexParts::COUNT).for_each(|part| parts.shrink(part));
            let index = parts.join();
            for (index, model) in kept.into_iter().chain([(index, model)]) {
                for key in 0..3_000 {
                    let expected: Vec<u32> = model.get(&key).into_iter().flatten().copied().collect();
                    prop_assert_eq!(ids(index.get(spread(key))), expected);
                }
            }
        }
    }

    proptest! {
        #![proptest_config(crate::rounds::cases(64))]
        /// Whatever is put in at once is what is put in one by one, in whatever pieces and beside what is there.
        #[test]
        fn what_is_added_sorted_is_what_is_added_one_by_one(
            before in proptest::collection::vec((0u64..3_000, 0u32..200_000), 0..500),
            pieces in proptest::collection::vec(
                (0usize..WIDTH, proptest::collection::vec((0u64..3_000, 0u32..200_000), 0..2_000)),
                0..6,
            ),
            popular in proptest::collection::vec(0u32..200_000, 0..300),
        ) {
            let mut index = HashIndex::new();
            before.iter().for_each(|(key, id)| index.insert(spread(*key), *id));
            let parts = IndexParts::of(&index);
            let mut one_by_one = index.clone();
            for (first, piece) in &pieces {
                let all = || piece.iter().copied().chain(popular.iter().map(|id| (7, *id)));
                all().for_each(|(key, id)| one_by_one.insert(spread(key), id));
                parts.add(&mut gathered(all().map(|(key, id)| (spread(key), id))), *first);
            }
            (0..IndexParts::COUNT).for_each(|part| parts.shrink(part));
            let together = parts.join();
            for key in 0..3_000 {
                prop_assert_eq!(ids(together.get(spread(key))), ids(one_by_one.get(spread(key))));
                let of_before = before.iter().filter(|(other, _)| *other == key).map(|(_, id)| *id);
                let of_before: BTreeSet<u32> = of_before.collect();
                prop_assert_eq!(ids(index.get(spread(key))), of_before.into_iter().collect::<Vec<_>>());
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
        // More of them than a leaf holds, below each other to the last bit.
        let parts = IndexParts::default();
        parts.add(&mut gathered((0..1_000).map(|id| (7 | u64::from(id) << 32, id))), 3);
        assert_eq!(ids(parts.join().get(7)).len(), 1_000);
    }

    fn gathered(postings: impl Iterator<Item = (u64, u32)>) -> Gathered {
        let mut gathered = Gathered::new();
        postings.for_each(|(hash, id)| gathered.push(Posting::new(hash, id)));
        gathered
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
