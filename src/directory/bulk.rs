//! Many accounts and groups at once, on all cores: what a start does with the records of a store.
//!
//! Whichever thread is free takes the next batch of records, reads them where that was not done, and makes states and entries
//! of them. What leads to them is gathered first and put into the indexes sorted, a million postings at a time: one by one, each would cost a walk
//! through memory that no cache holds.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::accounts::{AccountTables, Accounts, ObjectState};
use super::common::Common;
use super::custom::unknown_attributes;
use super::entry::Entry;
use super::entry_id::EntryId;
use super::hash_index::{Gathered, IndexParts};
use super::sparse::Sparse;
use super::tree::Tree;
use crate::model::{Membership, Record};
use crate::schema::Schema;

/// Records that are read by whoever takes them, on whichever thread: shown one by one to what it is called with. There are
/// no custom attribute types and no providers among them, and each attribute type that they use was declared before.
pub type Unread = Box<dyn FnOnce(&mut dyn FnMut(&Record)) + Send>;

/// Takes records; has accounts and groups in tables and trees at the end.
pub(super) struct Bulk {
    means: Means,
    batch: Vec<Record>,
    /// What waits until it is clear that there is much more.
    unread: Vec<Unread>,
    crew: Crew,
    /// What is done by the caller's thread.
    own: Worker,
}

/// What may be used for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Means {
    /// Threads beside the caller's; with none, or when none can be made, the caller does it all.
    pub(super) threads: usize,
    /// Records that a thread takes at a time.
    pub(super) batch_max: usize,
    /// Postings that all threads together gather at least before they are put into the indexes.
    pub(super) postings_min: usize,
}

/// What was made.
pub(super) struct Made {
    pub(super) accounts: AccountTables,
    pub(super) trees: Vec<Tree>,
    /// Of what was unread, that which is neither account nor group.
    pub(super) others: Others,
}

/// What is put in only when all accounts and groups are there.
#[derive(Default)]
pub(super) struct Others {
    pub(super) memberships: Vec<Membership>,
    pub(super) records: Vec<Record>,
}

/// The threads.
enum Crew {
    /// None is there yet: few records are not worth one.
    Waiting,
    Working {
        queue: SyncSender<Batch>,
        threads: Vec<JoinHandle<()>>,
    },
    /// There is none, and none will be.
    Nobody,
}

/// Records with the schema that was known when they came.
struct Batch {
    schema: Schema,
    records: Records,
}

enum Records {
    Read(Vec<Record>),
    Unread(Unread),
}

/// What all threads put their work into.
struct Shared {
    /// Hashes names; `None`: only trees are made.
    accounts: Option<Accounts>,
    /// With the containers alone; what is made for them is beside.
    trees: Vec<Tree>,
    /// Of the names of accounts, of groups, then two for each tree: of DNs, of all else.
    indexes: Vec<IndexParts>,
    objects: Mutex<Objects>,
    /// What uses an attribute type that has not been declared yet.
    early: Mutex<Vec<Record>>,
    others: Mutex<Others>,
}

struct Objects {
    accounts: AccountTables,
    /// For each tree.
    entries: Vec<Entries>,
}

/// The entries of one tree, by number.
struct Entries {
    /// Of accounts and groups.
    numbered: Sparse<Arc<Entry>>,
    /// By the account's number.
    virtual_groups: Sparse<Arc<Entry>>,
    /// What stands directly below each container.
    below: Vec<Vec<u32>>,
}

impl Entries {
    /// None yet but the containers of a tree.
    fn of(tree: &Tree) -> Self {
        let below = tree.containers().iter().map(|_| Vec::new()).collect();
        Self { numbered: Sparse::new(), virtual_groups: Sparse::new(), below }
    }
}

/// One thread's work.
struct Worker {
    shared: Arc<Shared>,
    /// For each index, what is not in it yet.
    postings: Vec<Gathered>,
    postings_min: usize,
    /// How many it has put into the indexes.
    postings_put: usize,
    /// The part of an index that it begins with, so that two rarely want the same.
    first_part: usize,
    common: Option<Common>,
    /// What it has made of a batch.
    states: Vec<ObjectState>,
    /// The same, each with the place of its tree.
    entries: Vec<(usize, EntryId, Arc<Entry>)>,
    others: Others,
}

impl Means {
    /// All cores.
    pub(super) fn all() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self { threads: cores.min(THREADS_MAX), ..Self::alone() }
    }

    /// The caller's thread: others are being served beside.
    pub(super) fn alone() -> Self {
        Self { threads: 0, batch_max: BATCH_MAX, postings_min: POSTINGS_MIN }
    }
}

impl Bulk {
    /// Makes entries for these trees, in which nobody is yet, and, with `accounts`, which are empty, the states too.
    pub(super) fn new(accounts: Option<&Accounts>, trees: Vec<Tree>, means: Means) -> Self {
        let mut indexes = vec![IndexParts::default(), IndexParts::default()];
        for tree in &trees {
            indexes.extend(tree.indexes().map(IndexParts::of));
        }
        let objects =
            Objects { accounts: AccountTables::new(), entries: trees.iter().map(Entries::of).collect() };
        let shared = Arc::new(Shared {
            accounts: accounts.cloned(),
            trees,
            indexes,
            objects: Mutex::new(objects),
            early: Mutex::default(),
            others: Mutex::default(),
        });
        let crew = if means.threads == 0 { Crew::Nobody } else { Crew::Waiting };
        let own = Worker::new(shared, means.postings_min, 0);
        Self { means, batch: Vec::new(), unread: Vec::new(), crew, own }
    }

    /// Takes the next account or group, each once.
    pub(super) fn add(&mut self, record: Record, schema: &Schema) {
        self.batch.push(record);
        if self.batch.len() >= self.means.batch_max {
            let records = std::mem::replace(&mut self.batch, Vec::with_capacity(self.means.batch_max));
            self.hand_over(Records::Read(records), schema);
        }
    }

    /// Takes the next records that are to be read.
    pub(super) fn add_unread(&mut self, unread: Unread, schema: &Schema) {
        self.unread.push(unread);
        if self.unread.len() > UNREAD_MAX || !matches!(self.crew, Crew::Waiting) {
            for unread in std::mem::take(&mut self.unread) {
                self.hand_over(Records::Unread(unread), schema);
            }
        }
    }

    fn hand_over(&mut self, records: Records, schema: &Schema) {
        let mut batch = Batch { schema: schema.clone(), records };
        if matches!(self.crew, Crew::Waiting) {
            self.crew = self.muster();
        }
        if let Crew::Working { queue, .. } = &self.crew {
            match queue.send(batch) {
                Ok(()) => return,
                // All of them have ended, which the end will tell.
                Err(unsent) => batch = unsent.0,
            }
        }
        self.own.take(batch);
    }

    /// Everything that was made. What uses an attribute type that is not in `schema` lacks that attribute.
    ///
    /// # Errors
    /// A thread did not do its part.
    pub(super) fn finish(mut self, schema: &Schema) -> Result<Made, String> {
        let unread = std::mem::take(&mut self.unread).into_iter().map(Records::Unread);
        for records in unread.chain([Records::Read(std::mem::take(&mut self.batch))]) {
            self.own.take(Batch { schema: schema.clone(), records });
        }
        if let Crew::Working { queue, threads } = std::mem::replace(&mut self.crew, Crew::Nobody) {
            drop(queue);
            // All are waited for, so that nobody else holds what they have made.
            let ended: Vec<_> = threads.into_iter().map(JoinHandle::join).collect();
            if ended.iter().any(Result::is_err) {
                return Err("a thread that made entries of them has panicked".to_owned());
            }
        }
        let early = std::mem::take(&mut *lock(&self.own.shared.early));
        early.iter().for_each(|record| self.own.make(record, schema));
        self.own.end();
        let Worker { shared, .. } = self.own;
        shared.shrink(self.means.threads);
        let shared = Arc::into_inner(shared).ok_or("a thread still makes entries of them")?;
        Ok(shared.join())
    }

    /// Starts as many threads as there may be, or as can be.
    fn muster(&self) -> Crew {
        let (queue, batches) = sync_channel(self.means.threads * QUEUE_BATCHES);
        let batches = Arc::new(Mutex::new(batches));
        let mut threads = Vec::new();
        for number in 0..self.means.threads {
            let share = self.means.postings_min / self.means.threads;
            let first_part = number * IndexParts::COUNT / self.means.threads;
            let worker = Worker::new(self.own.shared.clone(), share, first_part);
            let batches = batches.clone();
            match thread::Builder::new().name("load".to_owned()).spawn(move || worker.run(&batches)) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    tracing::warn!(%error, threads = threads.len(), "the directory is loaded by fewer threads");
                    break;
                }
            }
        }
        if threads.is_empty() { Crew::Nobody } else { Crew::Working { queue, threads } }
    }
}

impl Worker {
    fn new(shared: Arc<Shared>, postings_min: usize, first_part: usize) -> Self {
        let postings = shared.indexes.iter().map(|_| Gathered::new()).collect();
        Self {
            shared,
            postings,
            postings_min,
            postings_put: 0,
            first_part,
            common: None,
            states: Vec::new(),
            entries: Vec::new(),
            others: Others::default(),
        }
    }

    /// Takes batches until there are no more.
    fn run(mut self, batches: &Mutex<Receiver<Batch>>) {
        loop {
            let next = lock(batches).recv();
            let Ok(batch) = next else { break };
            self.take(batch);
        }
        self.end();
    }

    fn take(&mut self, Batch { schema, records }: Batch) {
        match records {
            Records::Read(records) => {
                for record in records {
                    if unknown_attributes(&schema, &record).is_empty() {
                        self.make(&record, &schema);
                    } else {
                        lock(&self.shared.early).push(record);
                    }
                }
            }
            Records::Unread(unread) => unread(&mut |record| match record {
                Record::Account(_) | Record::Group(_) => self.make(record, &schema),
                Record::Membership(membership) => self.others.memberships.push(*membership),
                record => self.others.records.push(record.clone()),
            }),
        }
        self.hand_over();
        // The more there is, the more is put in at once: each time is a walk through all of it. The first ones show which keys
        // many entries have.
        let first = POSTINGS_FIRST.max(self.postings_put.saturating_mul(2));
        if self.gathered() >= self.postings_min.min(first).max(self.postings_put / POSTINGS_SHARE) {
            self.put();
        }
    }

    /// Puts what was made of a batch into the tables.
    fn hand_over(&mut self) {
        if self.states.is_empty() && self.entries.is_empty() {
            return;
        }
        let mut objects = lock(&self.shared.objects);
        for state in self.states.drain(..) {
            objects.accounts.insert(state);
        }
        for (place, id, entry) in self.entries.drain(..) {
            let Some(entries) = objects.entries.get_mut(place) else { continue };
            if let Some(below) = entries.below.get_mut(entry.parent() as usize) {
                below.push(id.raw());
            }
            match (id.number(), id.virtual_group_of()) {
                (Some(number), _) => entries.numbered.insert(number, entry),
                (None, Some(account)) => entries.virtual_groups.insert(account.get(), entry),
                (None, None) => None,
            };
        }
    }

    fn make(&mut self, record: &Record, schema: &Schema) {
        let Self { shared, postings, states, entries, common, .. } = self;
        if common.as_ref().is_some_and(|common| !common.is_of(schema)) {
            *common = None;
        }
        let common = common.get_or_insert_with(|| Common::new(schema));
        let [accounts_by_name, groups_by_name, of_trees @ ..] = &mut postings[..] else { return };
        for (place, (tree, of_tree)) in shared.trees.iter().zip(of_trees.chunks_exact_mut(2)).enumerate() {
            let [by_dn, index] = of_tree else { continue };
            tree.compose(record, schema, common, &mut |id, entry, uuid| {
                by_dn.push(tree.dn_hash(&entry, schema), id.raw());
                tree.each_key(&entry, schema, &mut |key| index.push(key, id.raw()));
                index.push(tree.uuid_key(uuid), id.raw());
                entries.push((place, id, Arc::new(entry)));
            });
        }
        if let Some((state, hash)) = shared.accounts.as_ref().and_then(|accounts| accounts.state_of(record)) {
            let by_name = if matches!(record, Record::Group(_)) { groups_by_name } else { accounts_by_name };
            by_name.push(hash, state.number());
            states.push(state);
        }
    }

    /// Hands over what it has when there is no more.
    fn end(&mut self) {
        self.hand_over();
        self.put();
        let Others { memberships, records } = &mut *lock(&self.shared.others);
        memberships.append(&mut self.others.memberships);
        records.append(&mut self.others.records);
    }

    fn gathered(&self) -> usize {
        self.postings.iter().map(Gathered::len).sum()
    }

    /// Puts what was gathered into the indexes.
    fn put(&mut self) {
        self.postings_put += self.gathered();
        for (index, postings) in self.shared.indexes.iter().zip(&mut self.postings) {
            index.add(postings, self.first_part);
        }
    }
}

impl Shared {
    /// Gives back memory that growing left over, with `threads` beside this one.
    fn shrink(&self, threads: usize) {
        let parts = self.indexes.len() * IndexParts::COUNT;
        let next = AtomicUsize::new(0);
        let work = || {
            loop {
                let part = next.fetch_add(1, Ordering::Relaxed);
                if part >= parts {
                    break;
                }
                if let Some(index) = self.indexes.get(part / IndexParts::COUNT) {
                    index.shrink(part % IndexParts::COUNT);
                }
            }
        };
        thread::scope(|scope| {
            for _ in 1..threads {
                // What cannot be started is done by this one.
                let _ = thread::Builder::new().spawn_scoped(scope, work);
            }
            work();
        });
    }

    fn join(self) -> Made {
        let Objects { mut accounts, entries } =
            self.objects.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut indexes = self.indexes.into_iter().map(IndexParts::join);
        let mut next = || indexes.next().unwrap_or_default();
        accounts.by_name = [next(), next()];
        let mut trees = self.trees;
        for (tree, Entries { numbered, virtual_groups, below }) in trees.iter_mut().zip(entries) {
            tree.take_entries(numbered, virtual_groups, below, next(), next());
        }
        let others = self.others.into_inner().unwrap_or_else(PoisonError::into_inner);
        Made { accounts, trees, others }
    }
}

/// Whoever panicked has told, and what it leaves behind is thrown away.
fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// More than these the reader of a store does not keep busy.
/// No limit of the config: more threads would gain nothing.
const THREADS_MAX: usize = 16;
/// No limit of the config: the rest follows in the next batch.
const BATCH_MAX: usize = 256;
/// Fewer unread batches are not worth a thread.
/// No limit of the config: the reader of the store waits, and nobody is refused by it.
const UNREAD_MAX: usize = 4;
/// Batches that wait, for each thread.
const QUEUE_BATCHES: usize = 8;
/// Of 16 octets each.
const POSTINGS_MIN: usize = 1 << 21;
/// So many are enough to see which keys many entries have.
const POSTINGS_FIRST: usize = 1 << 14;
/// What is gathered may become such a part of what is in the indexes.
const POSTINGS_SHARE: usize = 16;
