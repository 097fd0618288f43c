//! From the hash of a key to the entries that have it; a changed copy is cheap.
//!
//! The keys themselves are not kept: an entry holds its values already, and who looks up a key
//! verifies what was found against the entry. So a key that one entry has costs eight octets.
//! A leaf holds some hundred keys; a change copies one leaf and the branches above it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use smallvec::SmallVec;

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
struct Posting(u128);

impl Posting {
    fn of(path: u64, id: u32) -> Self {
        Self(u128::from(path) << u32::BITS | u128::from(id))
    }

    fn path(self) -> u64 {
        (self.0 >> u32::BITS) as u64
    }

    fn tag(self) -> u32 {
        tag_of(self.path())
    }

    fn id(self) -> u32 {
        self.0 as u32
    }
}

/// Postings that are gathered before they are put into an index, sorted. Of a key that many entries have the ids alone are
/// kept, and need not be sorted: nearly all postings are of such keys.
///
/// All of it is in few large pieces of memory, which go back to the system as a whole.
pub(crate) struct Gathered {
    postings: Vec<Posting>,
    popular: Popular,
}

impl Gathered {
    pub(crate) fn new() -> Self {
        Self { postings: Vec::new(), popular: Popular::default() }
    }

    /// The memory that it takes, in postings.
    pub(crate) fn len(&self) -> usize {
        self.postings.len() + self.popular.full.len() * (size_of::<Line>() / size_of::<Posting>())
    }

    /// Entry `id` has the key with this hash.
    pub(crate) fn push(&mut self, hash: u64, id: u32) {
        let path = path_of(hash);
        match self.popular.find(path) {
            Ok(place) => self.popular.push(place, id),
            Err(_) => self.postings.push(Posting::of(path, id)),
        }
    }
}

/// Keys that many entries have, as far as they are known, with the ids that are gathered of each.
#[derive(Default)]
struct Popular {
    /// The last ids of each key.
    lines: Vec<Line>,
    /// By the tag of a key: its place among the lines, from one on; 0: none.
    places: Vec<u16>,
    /// The places in the order of their paths.
    sorted: Vec<u16>,
    /// Lines that became full, of whatever keys, in their order.
    full: Vec<Line>,
}

/// Some ids of one key, in one line of a cache.
#[derive(Clone)]
#[repr(align(64))]
struct Line {
    path: u64,
    place: u16,
    count: u16,
    ids: [u32; LINE_IDS],
}

impl Popular {
    /// The place of a key among the lines, or where it is to be noted.
    fn find(&self, path: u64) -> Result<u16, usize> {
        if self.places.is_empty() {
            return Err(0);
        }
        let mut at = tag_of(path) as usize % POPULAR_PLACES;
        loop {
            let Some(place) = self.places[at].checked_sub(1) else { return Err(at) };
            if self.lines[usize::from(place)].path == path {
                return Ok(place);
            }
            at = (at + 1) % POPULAR_PLACES;
        }
    }

    fn push(&mut self, place: u16, id: u32) {
        let line = &mut self.lines[usize::from(place)];
        let count = usize::from(line.count);
        // One behind the other where an entry has a key twice.
        if count > 0 && line.ids[count - 1] == id {
            return;
        }
        if count == LINE_IDS {
            self.full.push(line.clone());
            line.count = 0;
        }
        line.ids[usize::from(line.count)] = id;
        line.count += 1;
    }

    /// Notes the keys of sorted postings that many entries have.
    fn learn(&mut self, postings: &[Posting]) {
        for same_key in postings.chunk_by(|a, b| a.path() == b.path()) {
            if same_key.len() < POPULAR_MIN || self.lines.len() == POPULAR_MAX {
                continue;
            }
            self.places.resize(POPULAR_PLACES, 0);
            let path = same_key[0].path();
            if let Err(at) = self.find(path) {
                let place = self.lines.len() as u16;
                self.lines.push(Line { path, place, count: 0, ids: [0; LINE_IDS] });
                self.places[at] = place + 1;
            }
        }
        if self.sorted.len() < self.lines.len() {
            self.sorted = (0..self.lines.len() as u16).collect();
            self.sorted.sort_unstable_by_key(|place| self.lines[usize::from(*place)].path);
        }
    }

    /// Which lines are full of each key: the places among them, and where those of a key begin.
    fn full_of_each(&self) -> (Vec<u32>, Vec<u32>) {
        let mut starts = vec![0; self.lines.len() + 1];
        for line in &self.full {
            starts[usize::from(line.place) + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let mut next = starts.clone();
        let mut order = vec![0; self.full.len()];
        for (at, line) in self.full.iter().enumerate() {
            let next = &mut next[usize::from(line.place)];
            order[*next as usize] = at as u32;
            *next += 1;
        }
        (order, starts)
    }

    /// Forgets the ids.
    fn clear(&mut self) {
        self.full.clear();
        self.lines.iter_mut().for_each(|line| line.count = 0);
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
        let Gathered { postings, popular } = gathered;
        postings.sort_unstable();
        postings.dedup();
        let (full, starts) = popular.full_of_each();
        let path_at = |place: &u16| popular.lines[usize::from(*place)].path;
        let mut ids = Vec::new();
        let count = self.0.len();
        for number in (0..count).map(|number| (first + number) % count) {
            let Some(part) = self.0.get(number) else { continue };
            let start = postings.partition_point(|posting| child(posting.path()) < number);
            let postings = &postings[start..];
            let postings = &postings[..postings.partition_point(|posting| child(posting.path()) == number)];
            let start = popular.sorted.partition_point(|place| child(path_at(place)) < number);
            let places = popular.sorted[start..].iter().take_while(|place| child(path_at(place)) == number);
            let mut part = lock(part);
            if !postings.is_empty() {
                add_sorted(&mut part, postings, 1);
            }
            for place in places {
                let line = &popular.lines[usize::from(*place)];
                let [start, end] = [0, 1].map(|behind| starts[usize::from(*place) + behind] as usize);
                ids.clear();
                for line in full[start..end].iter().map(|at| &popular.full[*at as usize]).chain([line]) {
                    ids.extend_from_slice(&line.ids[..usize::from(line.count)]);
                }
                // Nearly always they are: numbers are read in their order.
                if !ids.is_sorted_by(|one, next| one < next) {
                    ids.sort_unstable();
                    ids.dedup();
                }
                if !ids.is_empty() {
                    add_list(&mut part, line.path, &ids, 1);
                }
            }
        }
        popular.learn(postings);
        popular.clear();
        postings.clear();
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
                match same_key {
                    [only] => leaf.insert(only.tag(), only.id()),
                    _ => {
                        let ids: SmallVec<[u32; POPULAR_MIN]> =
                            same_key.iter().map(|posting| posting.id()).collect();
                        leaf.insert_all(same_key[0].tag(), &ids);
                    }
                }
            }
        }
    }
}

/// Puts ascending ids that have one key below a node that stands so deep.
fn add_list(node: &mut Arc<Node>, path: u64, ids: &[u32], depth: u32) {
    let tag = tag_of(path);
    let node = Arc::make_mut(node);
    if let Node::Leaf(leaf) = node
        && depth < DEPTH_MAX
        && leaf.len() >= LEAF_MAX
        && matches!(leaf.get(tag), Postings::None)
    {
        *node = leaf.split(depth);
    }
    match node {
        Node::Branch(children) => {
            add_list(&mut children[child(path << (BITS * depth))], path, ids, depth + 1)
        }
        Node::Leaf(leaf) => match ids {
            [only] => leaf.insert(tag, *only),
            _ => leaf.insert_all(tag, ids),
        },
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

    /// Inserts ascending ids, at least two, that have one key.
    fn insert_all(&mut self, tag: u32, ids: &[u32]) {
        let at = self.many.binary_search_by_key(&tag, |(key, _)| *key).unwrap_or_else(|at| {
            let before = self.one.binary_search_by_key(&tag, |(key, _)| *key).ok();
            let before = before.map(|at| self.one.remove(at).1);
            self.many.insert(at, (tag, Arc::new(before.into_iter().collect())));
            at
        });
        Arc::make_mut(&mut self.many[at].1).insert_all(ids);
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
/// A key of so many gathered postings gets a list.
const POPULAR_MIN: usize = 16;
/// So many keys do.
/// No limit of the config: what is gathered in another way has the same outcome.
const POPULAR_MAX: usize = POPULAR_PLACES / 2;
const POPULAR_PLACES: usize = 1 << 15;
const _: () = assert!(POPULAR_MAX < u16::MAX as usize);
const LINE_IDS: usize = 13;
const _: () = assert!(size_of::<Line>() == 64);
/// How many keys a leaf holds before it is split.
/// No limit of the config: a shape of the index, where no key is refused.
const LEAF_MAX: usize = 192;

/// The bits that lead to a leaf, first ones on top: those of the fixed levels, then the tag.
fn path_of(hash: u64) -> u64 {
    let fixed = FIXED_DEPTH * BITS;
    (hash >> (u64::BITS - fixed) << (u64::BITS - fixed)) | (u64::from(hash as u32) << (u32::BITS - fixed))
}

/// The tag in a path.
fn tag_of(path: u64) -> u32 {
    (path >> (u32::BITS - FIXED_DEPTH * BITS)) as u32
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
            // Of the keys that were many once the ids alone are kept from then on.
            let mut gathered = Gathered::new();
            for (first, piece) in &pieces {
                let popular = popular.iter().flat_map(|id| [(7, *id), (7 + u64::from(id % 3), *id)]);
                for (key, id) in piece.iter().copied().chain(popular) {
                    one_by_one.insert(spread(key), id);
                    gathered.push(spread(key), id);
                }
                parts.add(&mut gathered, *first);
                prop_assert_eq!(gathered.len(), 0);
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
        postings.for_each(|(hash, id)| gathered.push(hash, id));
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
