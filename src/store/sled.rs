//! The store on disk: sled, made durable and made to notice what is missing.
//!
//! A commit writes one batch, syncs the database's file, then writes the revision into the file
//! `acknowledged`, and only then answers. What a failure in the middle means:
//!
//! - *No space*, noticed before anything is written, or by the database: nothing was acknowledged.
//!   The database is closed, opened again, and the values from before the batch are written over
//!   whatever became of it. Until that succeeds nothing can be read or written.
//! - *Anything else* leaves open what is on disk: the store stops until the process is restarted,
//!   because a disk that failed to sync once reports success the next time without having written.

mod database;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};

use self::database::Database;
use super::acknowledged::{Acknowledged, Said};
use super::commit::{self, Prepared, Writes};
use super::error::{Damage, StoreError};
use super::lock::Lock;
use super::verify::{Assembler, BackwardAssembler, Verifier};
use super::{Batch, Meta, Store, record};
use crate::model::{Event, Key, Record, Trail};
use crate::seldom::{self, Seldom};

/// A store in a directory, held by this process until it is dropped.
#[derive(Debug)]
pub struct SledStore {
    directory: PathBuf,
    settings: Settings,
    engine: RwLock<Engine>,
    writer: Mutex<Writer>,
    // Last, so that it is freed after the database is closed.
    _lock: Lock,
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
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cache_octets: CACHE_OCTETS,
            reserve_octets: RESERVE_OCTETS,
            write_amplification: WRITE_AMPLIFICATION,
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

/// What belongs to the one that commits. Whoever reads more than one item holds it too, so that no commit comes between
/// the parts of a record.
#[derive(Debug)]
struct Writer {
    /// As of the last acknowledged commit.
    meta: Meta,
    acknowledged: Acknowledged,
    /// What must be written over a failed batch before anything else.
    undo: Option<Writes>,
}

impl SledStore {
    /// Opens the store in the data directory `directory`, or makes an empty one there: the database
    /// in `store/`, and the files `acknowledged` and `lock` beside it.
    ///
    /// Call [`Store::load`] next: opening alone compares the revision, not the records.
    ///
    /// # Errors
    /// [`StoreError::Held`], [`StoreError::TooNew`], [`StoreError::Damaged`], [`StoreError::Behind`],
    /// [`StoreError::Full`] or [`StoreError::Io`].
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        Self::open_with(directory, Settings::default())
    }

    /// The same with other bounds.
    pub(super) fn open_with(directory: &Path, settings: Settings) -> Result<Self, StoreError> {
        database::make_directory(directory)?;
        let lock = Lock::take(directory)?;
        let said = Acknowledged::read(directory)?;
        // The file comes before the first database: one without it has lost it.
        if said == Said::Nothing && !Database::path_in(directory).exists() {
            Acknowledged::create(directory, 0)?;
        }
        let database = Database::open(directory, settings.cache_octets)?;
        let meta = read_meta(directory, &database)?;
        let acknowledged = acknowledge(directory, said, &meta)?;
        Ok(Self {
            directory: directory.to_owned(),
            settings,
            engine: RwLock::new(Engine::Open(database)),
            writer: Mutex::new(Writer { meta, acknowledged, undo: None }),
            _lock: lock,
        })
    }

    /// The database, if it can be used; held for reading, so that nobody closes it.
    fn with_database<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match &*self.engine() {
            Engine::Open(database) => work(database),
            Engine::Closed => Err(self.full()),
            Engine::Stopped { reason } => Err(self.stopped(reason.clone())),
        }
    }

    /// Opens the database again, if a full disk had closed it.
    fn reopen(&self, writer: &mut Writer) -> Result<(), StoreError> {
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
        let database = Database::open(&self.directory, self.settings.cache_octets)?;
        if let Some(undo) = &writer.undo {
            match database.write(undo).and_then(|()| database.sync()) {
                Ok(()) => {}
                Err(error) if error.is_full() => return Err(error),
                Err(error) => return Err(self.stop(&mut engine, Some(database), &error)),
            }
        }
        // Rare, and a database that was closed by an error is not to be trusted unread.
        match verify(&self.directory, &database, &mut |_| {}) {
            Ok(meta) if meta == writer.meta => {}
            Ok(_) => {
                let error = StoreError::Damaged { path: self.directory.clone(), damage: Damage::Sum };
                return Err(self.stop(&mut engine, Some(database), &error));
            }
            Err(error) => return Err(self.stop(&mut engine, Some(database), &error)),
        }
        writer.undo = None;
        *engine = Engine::Open(database);
        if let Some(count) = seldom::note(Seldom::StoreReopened) {
            tracing::info!(count, revision = writer.meta.revision, "{}", Seldom::StoreReopened.sentence());
        }
        Ok(())
    }

    /// Puts the store into a defined state after a failed write; answers with what to tell.
    fn fail(&self, writer: &mut Writer, undo: Writes, error: StoreError) -> StoreError {
        let mut engine = self.engine_mut();
        let Engine::Open(database) = std::mem::replace(&mut *engine, Engine::Closed) else {
            return error;
        };
        if !error.is_full() {
            return self.stop(&mut engine, Some(database), &error);
        }
        drop(database);
        drop(engine);
        writer.undo = Some(undo);
        // So that it can be read at once; if there is too little space even for this, later.
        if let Err(error) = self.reopen(writer)
            && let Some(count) = seldom::note(Seldom::StoreClosed)
        {
            tracing::warn!(count, %error, "{}", Seldom::StoreClosed.sentence());
        }
        error
    }

    fn stop(&self, engine: &mut Engine, database: Option<Database>, error: &StoreError) -> StoreError {
        if let Some(database) = database {
            database.abandon();
        }
        let reason = match std::error::Error::source(error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        tracing::error!(reason, "the store takes no more changes");
        *engine = Engine::Stopped { reason: reason.clone() };
        self.stopped(reason)
    }

    /// Refuses a change that the disk has no space for, before the database is touched.
    fn check_space(&self, octets: usize) -> Result<(), StoreError> {
        let room = rustix::fs::statvfs(&self.directory).map_err(|error| {
            StoreError::from_io(&self.directory, "ask for the free space of", error.into())
        })?;
        // A file system without a size says so with zeros.
        if room.f_blocks == 0 {
            return Ok(());
        }
        let free = room.f_bavail.saturating_mul(room.f_frsize);
        let needed = (octets as u64)
            .saturating_mul(self.settings.write_amplification)
            .saturating_add(self.settings.reserve_octets);
        if free < needed {
            let path = self.directory.clone();
            return Err(StoreError::Full { path, free: Some(free), needed: Some(needed) });
        }
        Ok(())
    }

    fn write(&self, writer: &Writer, prepared: &Prepared) -> Result<(), StoreError> {
        self.with_database(|database| {
            database.write(&prepared.writes)?;
            database.sync()
        })?;
        writer.acknowledged.write(prepared.meta.revision)
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

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the database as a disk does that becomes full in the middle of a commit.
    #[cfg(test)]
    pub(crate) fn close_as_full(&self) {
        *self.engine_mut() = Engine::Closed;
    }
}

impl Store for SledStore {
    fn load(&self, visit: &mut dyn FnMut(Record)) -> Result<Meta, StoreError> {
        // Held to the end, so that no commit changes the number and the sum in between.
        let writer = self.writer();
        let meta = self.with_database(|database| verify(&self.directory, database, visit))?;
        if meta == writer.meta {
            Ok(meta)
        } else {
            Err(StoreError::Damaged { path: self.directory.clone(), damage: Damage::Sum })
        }
    }

    fn get(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        let name = record::name_of(key);
        let _writer = self.writer();
        self.with_database(|database| {
            let mut assembler = Assembler::default();
            for part in 0..=u16::MAX {
                let key = record::item_key(&name, part);
                let Some(value) = database.get(&key)? else { break };
                let record = record::verify(&key, &value).and_then(|item| assembler.push(&item));
                if let Some(record) = record.map_err(|fault| fault.at(&self.directory))? {
                    return Ok(Some(record));
                }
            }
            assembler.finish().map_err(|fault| fault.at(&self.directory))?;
            Ok(None)
        })
    }

    fn commit(&self, batch: &Batch) -> Result<Meta, StoreError> {
        let mut writer = self.writer();
        self.check_space(0)?;
        self.reopen(&mut writer)?;
        let prepared = self.with_database(|database| {
            commit::prepare(&self.directory, batch, &writer.meta, |key| database.get(key))
        })?;
        self.check_space(commit::octets_of(&prepared.writes))?;
        match self.write(&writer, &prepared) {
            Ok(()) => {
                writer.meta = prepared.meta;
                Ok(prepared.meta)
            }
            Err(error) => Err(self.fail(&mut writer, prepared.undo, error)),
        }
    }

    fn meta(&self) -> Meta {
        self.writer().meta
    }

    fn events(&self, trail: Trail, after: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        let Some((first, end)) = record::event_keys_above(trail, after) else { return Ok(Vec::new()) };
        let mut events = Vec::new();
        if limit == 0 {
            return Ok(events);
        }
        let mut assembler = Assembler::default();
        let _writer = self.writer();
        self.with_database(|database| {
            database.scan_to(&first, &end, |key, value| {
                let record = record::verify(key, value).and_then(|item| assembler.push(&item));
                if let Some(Record::Event(event)) = record.map_err(|fault| fault.at(&self.directory))? {
                    events.push(event);
                }
                Ok(if events.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
            })
        })?;
        Ok(events)
    }

    fn events_before(&self, trail: Trail, before: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        let (first, end) = record::event_keys_below(trail, before);
        let mut events = Vec::new();
        if limit == 0 {
            return Ok(events);
        }
        let mut assembler = BackwardAssembler::default();
        let _writer = self.writer();
        self.with_database(|database| {
            database.scan_back(&first, &end, |key, value| {
                let record = assembler.push(key, value).map_err(|fault| fault.at(&self.directory))?;
                if let Some(Record::Event(event)) = record {
                    events.push(event);
                }
                Ok(if events.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
            })
        })?;
        Ok(events)
    }

    fn resume(&self) -> Result<(), StoreError> {
        if !matches!(*self.engine(), Engine::Closed) {
            return Ok(());
        }
        let mut writer = self.writer();
        self.check_space(0)?;
        self.reopen(&mut writer)
    }

    fn is_writable(&self) -> bool {
        let is_open = match self.engine.try_read() {
            Ok(engine) => matches!(*engine, Engine::Open(_)),
            Err(TryLockError::Poisoned(engine)) => matches!(**engine.get_ref(), Engine::Open(_)),
            // Whoever holds it for writing is closing the database, or opening it again.
            Err(TryLockError::WouldBlock) => false,
        };
        is_open && self.check_space(0).is_ok()
    }
}

/// What the database says about itself; a store without records is at revision 0.
fn read_meta(directory: &Path, database: &Database) -> Result<Meta, StoreError> {
    match database.get(&record::meta_key())? {
        Some(value) => record::decode_meta(&value).map_err(|fault| fault.at(directory)),
        None if database.is_empty()? => Ok(Meta::default()),
        None => Err(StoreError::Damaged { path: directory.to_owned(), damage: Damage::MetaMissing }),
    }
}

/// Compares the revision with the acknowledged one, and remembers it where it is newer: clients are
/// about to see it.
fn acknowledge(directory: &Path, said: Said, meta: &Meta) -> Result<Acknowledged, StoreError> {
    match said {
        Said::Revision(acknowledged) if meta.revision < acknowledged => {
            Err(StoreError::Behind { path: directory.to_owned(), store: meta.revision, acknowledged })
        }
        Said::Nothing if meta.revision > 0 => Err(StoreError::Damaged {
            path: directory.to_owned(),
            damage: Damage::AcknowledgedMissing { path: Acknowledged::path_in(directory) },
        }),
        Said::Revision(_) => {
            let file = Acknowledged::open(directory)?;
            file.write(meta.revision)?;
            Ok(file)
        }
        Said::Nothing | Said::Accept => Acknowledged::create(directory, meta.revision),
    }
}

fn verify(directory: &Path, database: &Database, visit: &mut dyn FnMut(Record)) -> Result<Meta, StoreError> {
    let mut verifier = Verifier::default();
    database.scan(|key, value| {
        match verifier.push(key, value).map_err(|fault| fault.at(directory))? {
            None | Some(Record::Event(_)) => {}
            Some(record) => visit(record),
        }
        Ok(ControlFlow::Continue(()))
    })?;
    verifier.finish().map_err(|fault| fault.at(directory))
}

/// sled's own bound is 1 GiB; what is served is in memory once already, and a commit reads few pages.
const CACHE_OCTETS: u64 = 32 * 1024 * 1024;
/// Room for the pages that a small commit writes anew, and for opening the store once more.
const RESERVE_OCTETS: u64 = 8 * 1024 * 1024;
/// The log holds whole pages besides the items: what was seen is below 3.
const WRITE_AMPLIFICATION: u64 = 4;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;
    use crate::store::tests::{Content, batch, copy};

    /// A device that refuses every write stands for the file of the acknowledged revision.
    #[test]
    fn a_failed_write_of_unknown_effect_stops_the_store() {
        let refusing = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/full", Acknowledged::path_in(refusing.path())).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let store = SledStore::open(directory.path()).unwrap();
        store.commit(&batch(1)).unwrap();
        store.writer().acknowledged = Acknowledged::open(refusing.path()).unwrap();

        for _ in 0..2 {
            let error = store.commit(&batch(2)).unwrap_err();
            assert!(matches!(error, StoreError::Stopped { .. }), "{error}");
            assert!(!error.is_unusable() && !error.is_full(), "{error}");
        }
        assert!(!store.is_writable());
        assert!(store.load(&mut |_| {}).is_err());

        // After a restart it is one or the other, and whole.
        let copied = tempfile::tempdir().unwrap();
        copy(directory.path(), copied.path());
        let content = Content::of(&SledStore::open(copied.path()).unwrap()).unwrap();
        assert!(content == Content::after(1) || content == Content::after(2));
    }

    #[test]
    fn a_commit_waits_for_nobody_who_reads() {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(SledStore::open(directory.path()).unwrap());
        let (done, committed) = channel();
        let reading = store.engine();
        let writing = Arc::clone(&store);
        let thread = std::thread::spawn(move || done.send(writing.commit(&Batch::default()).map(drop)));
        let answer = committed.recv_timeout(Duration::from_secs(10));
        drop(reading);
        thread.join().unwrap().ok();
        answer.unwrap().unwrap();
    }
}
