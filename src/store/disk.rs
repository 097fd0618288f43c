//! The store on disk, in two copies: the ledger, which is read at start and from which the other one can be made, and the
//! database (sled), in which single records and events are found.
//!
//! A commit appends its batch to the journal and syncs it, notes the revision in a file that is neither of the two, then
//! writes the batch to the database and syncs that, and only then answers. What a failure means:
//!
//! - *No space for the journal*: nothing happened.
//! - *No space for the database*: the batch is in the journal, so it is committed. The database is closed; when there is
//!   space, it is opened again and gets from the journal what it lacks. Until then nothing can be read from it or written.
//! - *Anything else* leaves open what is on disk: the store stops until the process is restarted,
//!   because a disk that failed to sync once reports success the next time without having written.

mod agreement;
mod copies;
mod database;
mod growth;
mod opening;
mod remains;

use std::fs::File;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{
    Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError,
};
use std::thread::JoinHandle;

use self::database::Database;
#[cfg(test)]
pub(super) use self::database::open_files;
pub(super) use self::database::{DATABASE, DATABASE_OLD, database_in, is_database, remove_database};
use self::opening::Begun;
pub(super) use self::opening::{is_beside_database, objection};
pub(super) use self::remains::Remains;
use super::acknowledged::{Acknowledged, Said};
use super::commit::{self, Prepared};
use super::directories::make_directory;
use super::error::{Damage, Holder, StoreError, check_ending};
use super::journal::Journal;
use super::ledger::{self, Files, Ledger, Trouble};
use super::lock::Lock;
use super::mounts::check_mounts;
use super::stored::{Stored, Unverified};
use super::verify::{Assembler, BackwardAssembler, Verifier};
use super::{Batch, Hindrance, MemoryStore, Meta, Sizes, Store, reading, record};
use crate::model::{Event, Key, Record, Revision, Timestamp, Trail};
use crate::secret::Secret;
use crate::seldom::{self, Seldom};

/// A store in a directory, held by this process until it is dropped.
#[derive(Debug)]
pub struct DiskStore {
    shared: Arc<Shared>,
    /// Brings the database to where the ledger is.
    opening: Option<JoinHandle<()>>,
    // Last, so that it is freed after the database is closed.
    lock: Lock,
}

/// A store of which the ledger was read, and the database was not opened yet.
#[derive(Debug)]
pub struct Unopened<'a>(&'a Ledger);

impl Unopened<'_> {
    /// What the ledger says of the store.
    pub fn meta(&self) -> &Meta {
        self.0.meta()
    }

    /// The same as [`Store::load`].
    ///
    /// # Errors
    /// The same.
    pub fn load(&self, visit: &mut dyn FnMut(Record)) -> Result<Meta, StoreError> {
        self.0.load_stored(&mut |stored| stored.read(visit))?.finish()
    }
}

/// What the threads of a store share.
#[derive(Debug)]
struct Shared {
    directory: PathBuf,
    settings: Settings,
    engine: RwLock<Engine>,
    /// What the thread that opens the database begins with.
    begun: Mutex<Option<(Arc<Ledger>, Begun)>>,
    /// How far the database is; with who waits for that.
    opened: (Mutex<Opened>, Condvar),
    writer: Mutex<CommitState>,
    /// What the start has read, until it was loaded.
    start: Mutex<Option<Arc<Ledger>>>,
    /// What the ledger holds, once somebody has read while the database cannot be asked.
    copy: Mutex<Option<Arc<MemoryStore>>>,
    checkpointing: Mutex<Option<JoinHandle<()>>>,
    /// One at a time makes the database anew.
    compacting: Mutex<()>,
    /// Whether threads are to end.
    ending: AtomicBool,
}

/// How far the database of a store is that was just opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opened {
    /// It has time until the directory is loaded, which takes all processors.
    NotYet,
    /// It is needed.
    Wanted,
    /// It is where the ledger is, or never will be.
    Done,
}

/// What is adjusted in tests only.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    /// What the database may keep of its pages in memory.
    pub(super) cache_octets: u64,
    /// What stays free on the disk: a commit that would use it is refused.
    pub(super) reserve_octets: u64,
    /// How many octets one octet of a batch may take on the disk.
    pub(super) write_amplification: u64,
    /// A journal that is smaller becomes no checkpoint.
    pub(super) journal_octets_min: u64,
    /// A database that is smaller is not made anew by a start.
    pub(super) compacted_octets_min: u64,
    /// A database that was made anew and saves less is not put into the place of the old one; `None`: it always is.
    pub(super) compaction_gain_octets_min: Option<u64>,
    /// Whether all items of the ledger are summed at a start, whatever was acknowledged.
    pub(super) is_doubted: bool,
    /// Whether the file system can exchange two names, if it can.
    pub(super) exchanges_names: bool,
    /// How a database gets its name from the one before, where they cannot be exchanged.
    pub(super) rename: fn(&Path, &Path) -> std::io::Result<()>,
    /// How it is made durable that the journal has a new file.
    pub(super) sync_directory: fn(&File) -> std::io::Result<()>,
    /// How it is made durable what a start has found in the file of batches that is gone on with.
    pub(super) sync_batches: fn(&File) -> std::io::Result<()>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cache_octets: CACHE_OCTETS,
            reserve_octets: RESERVE_OCTETS,
            write_amplification: WRITE_AMPLIFICATION,
            journal_octets_min: JOURNAL_OCTETS_MIN,
            compacted_octets_min: COMPACTED_OCTETS_MIN,
            compaction_gain_octets_min: Some(COMPACTION_GAIN_OCTETS_MIN),
            is_doubted: false,
            exchanges_names: true,
            rename: |from, to| std::fs::rename(from, to),
            sync_directory: File::sync_all,
            sync_batches: File::sync_data,
        }
    }
}

/// The state of the database.
#[derive(Debug)]
enum Engine {
    /// In use.
    Open(Database),
    /// Closed since the disk was full; the next change tries again, see [`Store::resume`].
    Closed,
    /// A failure left open what is on disk.
    Stopped {
        /// Which one.
        reason: String,
    },
}

impl Engine {
    fn hindrance(&self) -> Option<Hindrance> {
        match self {
            Self::Open(_) => None,
            Self::Closed => Some(Hindrance::Full),
            Self::Stopped { reason } => Some(Hindrance::Stopped { reason: reason.clone() }),
        }
    }
}

/// What belongs to the one that commits. Whoever reads more than one item holds it too, so that no commit comes between
/// the parts of a record.
#[derive(Debug)]
struct CommitState {
    /// As of the last acknowledged commit.
    meta: Meta,
    journal: Journal,
    acknowledged: Acknowledged,
    /// Files of batches before that one, and the octets in them.
    before: Vec<(PathBuf, u64)>,
    checkpoint_octets: u64,
    /// A checkpoint is made when the journal is longer than this.
    journal_octets_max: u64,
}

impl DiskStore {
    /// Opens the store in the data directory `directory`, or makes an empty one there: the ledger in `journal/`, the
    /// database in `store/`, and the files `acknowledged` and `lock`.
    ///
    /// Call [`Store::load`] next: opening alone compares revisions and checks the ledger, not the records. The database is
    /// verified when that is done; what needs it waits.
    ///
    /// # Errors
    /// [`StoreError::Held`], [`StoreError::TooNew`], [`StoreError::Damaged`], [`StoreError::Behind`],
    /// [`StoreError::Full`] or [`StoreError::Io`].
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        Self::open_with(directory, Settings::default())
    }

    /// The same, once `check` has looked at what was found there, before the database is opened, which changes its files. Answers
    /// with what `check` says, too. `may_begin` is asked first, when nobody else holds the store and nothing of it was touched.
    /// `is_doubted`: what the ledger holds did not fit together when it was loaded, so it is summed before anything is believed of
    /// it, and the database is asked where it does not.
    ///
    /// # Errors
    /// The same, or what `check` says.
    pub fn open_checked<T, E: From<StoreError> + From<B>, B>(
        directory: &Path,
        is_doubted: bool,
        may_begin: impl FnOnce() -> Result<(), B>,
        check: impl FnOnce(&Unopened<'_>) -> Result<T, E>,
    ) -> Result<(Self, T), E> {
        let settings = Settings { is_doubted, ..Settings::default() };
        Self::open_checked_with(directory, settings, || Ok(may_begin()?), check)
    }

    /// The same as [`DiskStore::open`] with other bounds.
    pub(super) fn open_with(directory: &Path, settings: Settings) -> Result<Self, StoreError> {
        Self::open_checked_with(directory, settings, || Ok(()), |_| Ok(())).map(|(store, ())| store)
    }

    fn open_checked_with<T, E: From<StoreError>>(
        directory: &Path,
        settings: Settings,
        may_begin: impl FnOnce() -> Result<(), E>,
        check: impl FnOnce(&Unopened<'_>) -> Result<T, E>,
    ) -> Result<(Self, T), E> {
        check_mounts(directory)?;
        make_directory(directory)?;
        let lock = Lock::take(directory)?;
        // Somebody may have removed the lock of whoever works there.
        check_closed(directory)?;
        may_begin()?;
        let ledger = opening::ledger(directory, &settings)?;
        let checked = check(&Unopened(&ledger))?;
        Ok((Self::go_on(directory, settings, lock, ledger)?, checked))
    }

    /// Opens the database beside a ledger.
    fn go_on(
        directory: &Path,
        settings: Settings,
        lock: Lock,
        mut ledger: Ledger,
    ) -> Result<Self, StoreError> {
        let begun = match opening::begin(directory, &settings, &ledger)? {
            // What is read at start and served is in the ledger.
            Begun::Full(error) => {
                tracing::warn!(%error, "the database stays closed; until there is space, changes are refused");
                None
            }
            begun => Some(begun),
        };
        if matches!(begun, Some(Begun::Ahead(_))) {
            ledger = opening::ledger(directory, &settings)?;
        }
        let newest = ledger.newest().ok_or_else(|| Trouble::Absent.at(directory))?;
        let journal = Journal::go_on(newest)?;
        if !Said::read(directory).is_up_to(ledger.meta(), ledger.incarnation()) {
            // A batch that a killed process has written and not synced may be known to the system alone; a power loss takes it then,
            // and would not take what is noted of it.
            journal.sync(settings.sync_batches)?;
        }
        let before = ledger.files().filter(|(path, _)| *path != journal.path());
        let before = before.map(|(path, octets)| (path.to_owned(), octets)).collect();
        let mut writer = CommitState {
            meta: *ledger.meta(),
            journal,
            acknowledged: Acknowledged::go_on(directory, ledger.meta(), ledger.incarnation()),
            before,
            checkpoint_octets: ledger.checkpoint_octets(),
            journal_octets_max: 0,
        };
        writer.journal_octets_max = writer.journal_bound(&settings);
        let ledger = Arc::new(ledger);
        let opened = if begun.is_none() { Opened::Done } else { Opened::NotYet };
        let shared = Arc::new(Shared {
            directory: directory.to_owned(),
            settings,
            engine: RwLock::new(Engine::Closed),
            opened: (Mutex::new(opened), Condvar::new()),
            writer: Mutex::new(writer),
            begun: Mutex::new(begun.map(|begun| (ledger.clone(), begun))),
            start: Mutex::new(Some(ledger)),
            copy: Mutex::default(),
            checkpointing: Mutex::default(),
            compacting: Mutex::default(),
            ending: AtomicBool::default(),
        });
        let opening = if opened == Opened::Done { None } else { start_opening(&shared) };
        Ok(Self { shared, opening, lock })
    }

    /// Closes the database as a disk does that becomes full in the middle of a commit.
    #[cfg(test)]
    pub(crate) fn close_as_full(&self) {
        self.shared.wait_until_opened();
        *self.shared.engine_mut() = Engine::Closed;
    }

    /// Waits until the thread has ended that opens the database.
    #[cfg(test)]
    pub(super) fn wait_for_opening(&self) {
        self.shared.want_opened();
        while self.opening.as_ref().is_some_and(|thread| !thread.is_finished()) {
            std::thread::yield_now();
        }
    }

    /// Waits for a checkpoint that is being made.
    #[cfg(test)]
    pub(super) fn wait_for_checkpoint(&self) {
        self.shared.join_checkpoint();
    }
}

impl Drop for DiskStore {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::Relaxed);
        self.shared.give_up_opening();
        if let Some(opening) = self.opening.take() {
            let _ = opening.join();
        }
        self.shared.join_checkpoint();
    }
}

/// Brings the database to where the ledger is on a thread of its own, or here where there can be none.
fn start_opening(shared: &Arc<Shared>) -> Option<JoinHandle<()>> {
    let for_thread = shared.clone();
    let spawned = std::thread::Builder::new().name("store-opening".to_owned()).spawn(move || {
        if for_thread.wait_until_wanted() {
            for_thread.finish_opening();
        }
    });
    if spawned.is_err() {
        shared.finish_opening();
    }
    spawned.ok()
}

impl Shared {
    fn finish_opening(&self) {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((ledger, begun)) = begun else { return };
        let finished = opening::finish(&self.directory, &self.settings, &ledger, begun, &self.ending);
        drop(ledger);
        let engine = match finished {
            Ok(database) => Engine::Open(database),
            Err(error) if error.is_full() => {
                tracing::warn!(%error, "the database stays closed; until there is space, changes are refused");
                Engine::Closed
            }
            Err(_) if self.ending.load(Ordering::Relaxed) => Engine::Closed,
            Err(error) => {
                let reason = error.with_reason();
                tracing::error!(reason, "the database cannot be used; the store takes no changes");
                Engine::Stopped { reason }
            }
        };
        let is_open = matches!(engine, Engine::Open(_));
        *self.engine_mut() = engine;
        *self.opened() = Opened::Done;
        self.opened.1.notify_all();
        if is_open {
            self.compact_in_time();
        }
    }

    fn sizes(&self) -> Sizes {
        Sizes {
            database: octets_in(&database_in(&self.directory)),
            journal: octets_in(&ledger::path_in(&self.directory)),
        }
    }

    fn is_opened(&self) -> bool {
        *self.opened() == Opened::Done
    }

    fn opened(&self) -> MutexGuard<'_, Opened> {
        self.opened.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the thread begin that brings the database to where the ledger is.
    fn want_opened(&self) {
        let mut opened = self.opened();
        if *opened == Opened::NotYet {
            *opened = Opened::Wanted;
            self.opened.1.notify_all();
        }
    }

    /// Has the database stay as it is, where nobody needs it yet: what was read may not be whole.
    fn give_up_opening(&self) {
        let mut opened = self.opened();
        if *opened == Opened::NotYet {
            *opened = Opened::Done;
            self.opened.1.notify_all();
        }
    }

    /// Whether it is needed, once that is known.
    fn wait_until_wanted(&self) -> bool {
        let mut opened = self.opened();
        while *opened == Opened::NotYet {
            opened = self.opened.1.wait(opened).unwrap_or_else(PoisonError::into_inner);
        }
        *opened == Opened::Wanted
    }

    fn wait_until_opened(&self) {
        self.want_opened();
        let mut opened = self.opened();
        while *opened != Opened::Done {
            opened = self.opened.1.wait(opened).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The ledger as of the last acknowledged commit.
    fn ledger(&self) -> Result<Ledger, StoreError> {
        let (files, revision) = {
            let writer = self.writer();
            (self.files(&writer)?, writer.meta.revision)
        };
        self.read(files, revision)
    }

    /// The files of the ledger, with the batches that are there now.
    fn files(&self, writer: &CommitState) -> Result<Files, StoreError> {
        Ok(Files::open(&self.directory)?.up_to(writer.journal.path(), writer.journal.length()))
    }

    /// Files of the ledger, which lead to this revision.
    fn read(&self, files: Files, revision: Revision) -> Result<Ledger, StoreError> {
        match Ledger::of(files) {
            Ok(ledger) if ledger.meta().revision == revision => Ok(ledger),
            Ok(ledger) => Err(StoreError::Behind {
                path: self.directory.clone(),
                store: ledger.meta().revision,
                acknowledged: revision,
                noted: None,
                copies: format!("the journal ends with revision {}", ledger.meta().revision),
            }),
            Err(trouble) => Err(trouble.at(&self.directory)),
        }
    }

    /// The database, if it can be used; held for reading, so that nobody closes it.
    fn with_database<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.wait_until_opened();
        match &*self.engine() {
            Engine::Open(database) => work(database),
            Engine::Closed => Err(self.full()),
            Engine::Stopped { reason } => Err(self.stopped(reason.clone())),
        }
    }

    /// What the ledger holds, where the database cannot be asked: the store has stopped, or a full disk has closed it. Nothing is
    /// committed then, so one copy serves all who read until it is opened again.
    fn copy_if_closed(&self) -> Result<Option<Arc<MemoryStore>>, StoreError> {
        self.wait_until_opened();
        if matches!(*self.engine(), Engine::Open(_)) {
            // What was read meanwhile is not needed any more.
            if let Ok(mut copy) = self.copy.try_lock() {
                *copy = None;
            }
            return Ok(None);
        }
        let mut copy = self.copy.lock().unwrap_or_else(PoisonError::into_inner);
        let revision = self.writer().meta.revision;
        if copy.as_ref().is_none_or(|copy| copy.meta().revision != revision) {
            *copy = Some(Arc::new(reading::read_ledger(&self.ledger()?, &self.directory)?));
        }
        Ok(copy.clone())
    }

    /// Opens the database again, if a full disk had closed it.
    fn reopen(&self, writer: &CommitState) -> Result<(), StoreError> {
        self.wait_until_opened();
        // Nearly always it is open, and to see that nobody who reads has to be waited for.
        if matches!(*self.engine(), Engine::Open(_)) {
            return Ok(());
        }
        let mut engine = self.engine_mut();
        match &*engine {
            Engine::Open(_) => return Ok(()),
            Engine::Stopped { reason } => return Err(self.stopped(reason.clone())),
            Engine::Closed => {}
        }
        // Rare, and a database that was closed by an error is not to be trusted unread.
        let ledger = self.read(self.files(writer)?, writer.meta.revision)?;
        let opened = match opening::begin(&self.directory, &self.settings, &ledger) {
            // The directory is served without what was lost, and the journal that is written to was put aside.
            Ok(Begun::Ahead(_)) => {
                let source =
                    std::io::Error::other("the end of its journal was lost, and found in the database");
                Err(StoreError::Io { path: self.directory.clone(), doing: "go on with", source })
            }
            Ok(begun) => opening::finish(&self.directory, &self.settings, &ledger, begun, &self.ending),
            Err(error) => Err(error),
        };
        match opened {
            Ok(database) => *engine = Engine::Open(database),
            Err(error) if error.is_full() => return Err(error),
            Err(error) => return Err(self.stop(&mut engine, None, &error)),
        }
        if let Some(count) = seldom::note(Seldom::StoreReopened) {
            tracing::info!(count, revision = writer.meta.revision, "{}", Seldom::StoreReopened.sentence());
        }
        Ok(())
    }

    /// Puts the database into a defined state after a failed write of a batch that is in the journal.
    fn fail(&self, error: &StoreError) {
        let mut engine = self.engine_mut();
        let Engine::Open(database) = std::mem::replace(&mut *engine, Engine::Closed) else { return };
        if !error.is_full() {
            self.stop(&mut engine, Some(database), error);
        } else if let Some(count) = seldom::note(Seldom::StoreClosed) {
            tracing::warn!(count, %error, "{}", Seldom::StoreClosed.sentence());
        }
    }

    fn stop_now(&self, error: &StoreError) -> StoreError {
        self.wait_until_opened();
        let mut engine = self.engine_mut();
        let database = match std::mem::replace(&mut *engine, Engine::Closed) {
            Engine::Open(database) => Some(database),
            _ => None,
        };
        self.stop(&mut engine, database, error)
    }

    fn stop(&self, engine: &mut Engine, database: Option<Database>, error: &StoreError) -> StoreError {
        if let Some(database) = database {
            database.abandon();
        }
        let reason = error.with_reason();
        tracing::error!(reason, "the store takes no more changes");
        *engine = Engine::Stopped { reason: reason.clone() };
        self.stopped(reason)
    }

    /// Appends a batch to the journal, and brings it to the database.
    fn write(&self, writer: &mut CommitState, prepared: &Prepared) -> Result<(), StoreError> {
        if let Err(error) = writer.journal.append(prepared.meta.revision, &prepared.writes) {
            if error.is_full() {
                return Err(self.full());
            }
            return Err(self.stop_now(&error));
        }
        // From here on it is committed, whatever becomes of the database. Noted before that takes its time, a start behind a kill
        // has nothing to doubt.
        writer.acknowledged.note(&prepared.meta);
        let written = self.with_database(|database| {
            database.write(&prepared.writes)?;
            database.sync()
        });
        if let Err(error) = written {
            self.fail(&error);
        }
        Ok(())
    }

    fn full(&self) -> StoreError {
        StoreError::Full { path: self.directory.clone(), free: None, needed: None }
    }

    fn stopped(&self, reason: String) -> StoreError {
        StoreError::Stopped { path: self.directory.clone(), reason }
    }

    fn engine(&self) -> RwLockReadGuard<'_, Engine> {
        self.engine.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn engine_mut(&self) -> RwLockWriteGuard<'_, Engine> {
        self.engine.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self) -> MutexGuard<'_, CommitState> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for DiskStore {
    fn load_stored(&self, visit: &mut dyn FnMut(Stored)) -> Result<Unverified, StoreError> {
        let start = self.shared.start.lock().unwrap_or_else(PoisonError::into_inner).take();
        match start.filter(|ledger| *ledger.meta() == self.shared.writer().meta) {
            Some(ledger) => ledger.load_stored(visit),
            None => self.shared.ledger()?.load_stored(visit),
        }
    }

    fn loaded(&self) {
        self.shared.want_opened();
    }

    fn get(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        if let Some(copy) = self.shared.copy_if_closed()? {
            return copy.get(key);
        }
        let name = record::name_of(key);
        let _writer = self.shared.writer();
        self.shared.with_database(|database| {
            let mut assembler = Assembler::default();
            for part in 0..=u16::MAX {
                let key = record::item_key(&name, part);
                let Some(value) = database.get(&key)? else { break };
                let record = record::verify(&key, &value).and_then(|item| assembler.push(&item));
                if let Some(record) = record.map_err(|fault| fault.at(&self.shared.directory))? {
                    return Ok(Some(record));
                }
            }
            assembler.finish().map_err(|fault| fault.at(&self.shared.directory))?;
            Ok(None)
        })
    }

    fn commit(&self, batch: &Batch) -> Result<Meta, StoreError> {
        let shared = &self.shared;
        let mut writer = shared.writer();
        if let Err(error) = self.lock.check() {
            return Err(shared.stop_now(&error));
        }
        check_space(&shared.directory, &shared.settings, 0)?;
        shared.reopen(&writer)?;
        // Its files have the incarnation before its first batch.
        let incarnation = writer.meta.incarnation.or(writer.journal.incarnation());
        let meta = Meta { incarnation, ..writer.meta };
        let prepared = shared.with_database(|database| {
            commit::prepare(&shared.directory, batch, &meta, |key| database.get(key))
        })?;
        let octets = commit::octets_of(&prepared.writes) as u64;
        let octets = octets.saturating_mul(shared.settings.write_amplification);
        check_space(&shared.directory, &shared.settings, octets)?;
        shared.write(&mut writer, &prepared)?;
        writer.meta = prepared.meta;
        shared.make_checkpoint_in_time(&mut writer);
        Ok(prepared.meta)
    }

    fn meta(&self) -> Meta {
        self.shared.writer().meta
    }

    fn events(&self, trail: Trail, after: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        if let Some(copy) = self.shared.copy_if_closed()? {
            return copy.events(trail, after, limit);
        }
        let Some((first, end)) = record::event_keys_above(trail, after) else { return Ok(Vec::new()) };
        let mut events = Vec::new();
        if limit == 0 {
            return Ok(events);
        }
        let mut assembler = Assembler::default();
        let _writer = self.shared.writer();
        self.shared.with_database(|database| {
            database.scan_to(&first, &end, |key, value| {
                let record = record::verify(key, value).and_then(|item| assembler.push(&item));
                if let Some(Record::Event(event)) =
                    record.map_err(|fault| fault.at(&self.shared.directory))?
                {
                    events.push(event);
                }
                Ok(if events.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
            })
        })?;
        Ok(events)
    }

    fn events_before(&self, trail: Trail, before: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        if let Some(copy) = self.shared.copy_if_closed()? {
            return copy.events_before(trail, before, limit);
        }
        let (first, end) = record::event_keys_below(trail, before);
        let mut events = Vec::new();
        if limit == 0 {
            return Ok(events);
        }
        let mut assembler = BackwardAssembler::default();
        let _writer = self.shared.writer();
        self.shared.with_database(|database| {
            database.scan_back(&first, &end, |key, value| {
                let record = assembler.push(key, value).map_err(|fault| fault.at(&self.shared.directory))?;
                if let Some(Record::Event(event)) = record {
                    events.push(event);
                }
                Ok(if events.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
            })
        })?;
        Ok(events)
    }

    fn write_archive(
        &self,
        out: &mut dyn Write,
        made: Timestamp,
        keys: Option<&Secret>,
    ) -> Result<Meta, StoreError> {
        let ledger = self.shared.ledger()?;
        ledger.write_archive(out, made, keys)?;
        Ok(*ledger.meta())
    }

    fn resume(&self) -> Result<(), StoreError> {
        let shared = &self.shared;
        if !shared.is_opened() || !matches!(*shared.engine(), Engine::Closed) {
            return Ok(());
        }
        let writer = shared.writer();
        check_space(&shared.directory, &shared.settings, 0)?;
        shared.reopen(&writer)
    }

    fn compact(&self) -> Result<Sizes, StoreError> {
        self.shared.compact()
    }

    fn sizes(&self) -> Sizes {
        self.shared.sizes()
    }

    fn hindrance(&self) -> Option<Hindrance> {
        let found = match self.shared.engine.try_read() {
            Ok(engine) => engine.hindrance(),
            Err(TryLockError::Poisoned(engine)) => engine.get_ref().hindrance(),
            // Whoever holds it for writing is closing the database, or opening it again.
            Err(TryLockError::WouldBlock) => Some(Hindrance::Full),
        };
        if found == Some(Hindrance::Full) && !self.shared.is_opened() {
            return Some(Hindrance::Opening);
        }
        let has_space = || check_space(&self.shared.directory, &self.shared.settings, 0).is_ok();
        found.or_else(|| (!has_space()).then_some(Hindrance::Full))
    }
}

/// Refuses to take the store from whoever works on it without the lock, which somebody has removed: the database is locked too.
///
/// # Errors
/// [`StoreError::Held`]
pub(super) fn check_closed(directory: &Path) -> Result<(), StoreError> {
    match database::wait_until_closed(&database_in(directory)) {
        Err(StoreError::Io { source, .. }) if source.kind() == std::io::ErrorKind::TimedOut => {
            Err(StoreError::Held { path: directory.to_owned(), holder: Holder::Unknown })
        }
        // What is not there, or cannot be opened, nobody has.
        _ => Ok(()),
    }
}

/// Refuses what would leave too little space on the disk, before anything is touched.
fn check_space(directory: &Path, settings: &Settings, octets: u64) -> Result<(), StoreError> {
    check_free(directory, octets.saturating_add(settings.reserve_octets))
}

/// Refuses what is of no store and would leave too little space for one: twice what a commit leaves, so that changes go on
/// when this is full.
///
/// # Errors
/// [`StoreError::Full`], or the free space is not known.
pub fn check_reserve(directory: &Path) -> Result<(), StoreError> {
    check_free(directory, RESERVE_OCTETS.saturating_mul(2))
}

fn check_free(directory: &Path, needed: u64) -> Result<(), StoreError> {
    let room = rustix::fs::statvfs(directory)
        .map_err(|error| StoreError::from_io(directory, "ask for the free space of", error.into()))?;
    // A file system without a size says so with zeros.
    if room.f_blocks == 0 {
        return Ok(());
    }
    let free = room.f_bavail.saturating_mul(room.f_frsize);
    if free < needed {
        let path = directory.to_owned();
        return Err(StoreError::Full { path, free: Some(free), needed: Some(needed) });
    }
    Ok(())
}

/// The octets of all files in a directory that has no other directories of ours.
fn octets_in(directory: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(directory) else { return 0 };
    entries
        .flatten()
        .filter_map(|entry| entry.metadata().ok())
        .filter(|found| found.is_file())
        .map(|found| found.len())
        .sum()
}

/// What the database says about itself; a store without records is at revision 0.
fn read_meta(directory: &Path, database: &Database) -> Result<Meta, StoreError> {
    match database.get(&record::meta_key())? {
        Some(value) => record::decode_meta(&value).map_err(|fault| fault.at(directory)),
        None if database.is_empty()? => Ok(Meta::default()),
        None => Err(StoreError::Damaged { path: directory.to_owned(), damage: Damage::MetaMissing }),
    }
}

/// Checks every item of the database; answers with what it says about itself.
fn verify(directory: &Path, database: &Database, ending: &AtomicBool) -> Result<Meta, StoreError> {
    let mut verifier = Verifier::default();
    database.scan(|key, value| {
        check_ending(directory, ending)?;
        verifier.push(key, value).map_err(|fault| fault.at(directory))?;
        Ok(ControlFlow::Continue(()))
    })?;
    verifier.finish().map_err(|fault| fault.at(directory))
}

/// sled's own bound is 1 GiB; what is served is in memory once already, and a commit reads few pages.
const CACHE_OCTETS: u64 = 32 * 1024 * 1024;
/// Room for the pages that a small commit writes anew, and for opening the store once more.
const RESERVE_OCTETS: u64 = 8 * 1024 * 1024;
/// While the journal is shorter, a checkpoint is not worth the while.
const JOURNAL_OCTETS_MIN: u64 = 16 * 1024 * 1024;
/// A start leaves a smaller database as it is.
const COMPACTED_OCTETS_MIN: u64 = 64 * 1024 * 1024;
/// What a database takes more or less by how it was written and opened: two segments of sled's log.
const COMPACTION_GAIN_OCTETS_MIN: u64 = 1024 * 1024;
/// The log holds whole pages besides the items: what was seen is below 3.
const WRITE_AMPLIFICATION: u64 = 4;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;
    use crate::store::tests::{Content, batch, copy, event};

    /// A device that refuses every write stands for the file of the journal.
    #[test]
    fn a_failed_write_of_unknown_effect_stops_the_store() {
        let directory = tempfile::tempdir().unwrap();
        let store = DiskStore::open(directory.path()).unwrap();
        store.commit(&batch(1)).unwrap();
        store.shared.writer().journal.refuse_writes();

        for _ in 0..2 {
            let error = store.commit(&batch(2)).unwrap_err();
            assert!(matches!(error, StoreError::Stopped { .. }), "{error}");
            assert!(!error.is_unusable() && !error.is_full(), "{error}");
        }
        assert!(matches!(store.hindrance(), Some(Hindrance::Stopped { .. })));
        // What was acknowledged is read on, from the journal.
        assert_eq!(store.events(Trail::Changes, 0, 9).unwrap(), [event(1)]);
        assert_eq!(store.events_before(Trail::Changes, 9, 9).unwrap(), [event(1)]);
        assert!(store.get(&Key::Event(Trail::Changes.at(1))).unwrap().is_some());

        // After a restart it is one or the other, and whole.
        let copied = tempfile::tempdir().unwrap();
        copy(directory.path(), copied.path());
        let content = Content::of(&DiskStore::open(copied.path()).unwrap()).unwrap();
        assert!(content == Content::after(1) || content == Content::after(2));
    }

    /// Somebody took the lock for one that was left behind: two do not work on one store.
    #[test]
    fn a_store_whose_lock_was_removed_or_replaced_is_nobody_elses_and_takes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let lock = directory.path().join("lock");
        let first = DiskStore::open(directory.path()).unwrap();
        first.commit(&batch(1)).unwrap();
        std::fs::remove_file(&lock).unwrap();
        let refused = DiskStore::open(directory.path()).map(drop).unwrap_err();
        assert!(matches!(refused, StoreError::Held { .. }), "{refused}");
        // A full disk has closed its database, so nothing else tells that it is in use.
        first.close_as_full();
        let second = DiskStore::open(directory.path()).unwrap();
        second.commit(&batch(2)).unwrap();
        let refused = first.commit(&batch(2)).unwrap_err();
        assert!(matches!(refused, StoreError::Stopped { .. }), "{refused}");
        assert!(refused.to_string().contains("it was removed or replaced"), "{refused}");
        assert!(matches!(first.hindrance(), Some(Hindrance::Stopped { .. })));
        second.commit(&batch(3)).unwrap();
        drop((first, second));
        let store = DiskStore::open(directory.path()).unwrap();
        assert_eq!(Content::of(&store).unwrap(), Content::after(3));
    }

    /// Whoever reads the file that is written to may see the end of a batch before its beginning.
    #[test]
    fn a_backup_reads_no_batch_that_is_being_written() {
        let directory = tempfile::tempdir().unwrap();
        let store = DiskStore::open(directory.path()).unwrap();
        store.commit(&batch(1)).unwrap();
        let (files, length, path) = {
            let writer = store.shared.writer();
            let files = store.shared.files(&writer).unwrap();
            (files, writer.journal.length(), writer.journal.path().to_owned())
        };
        store.commit(&batch(2)).unwrap();
        store.commit(&batch(3)).unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &[0; 24], length).unwrap();
        assert_eq!(store.shared.read(files, 1).unwrap().meta().revision, 1);
    }

    #[test]
    fn a_commit_waits_for_nobody_who_reads() {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(DiskStore::open(directory.path()).unwrap());
        let (done, committed) = channel();
        store.shared.wait_until_opened();
        let reading = store.shared.engine();
        let writing = Arc::clone(&store);
        let thread = std::thread::spawn(move || done.send(writing.commit(&Batch::default()).map(drop)));
        let answer = committed.recv_timeout(Duration::from_secs(60));
        drop(reading);
        thread.join().unwrap().ok();
        answer.unwrap().unwrap();
    }
}
