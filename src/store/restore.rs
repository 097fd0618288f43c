//! A store made of a backup, under a new incarnation: whoever has noted something of the one before notices.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::acknowledged::Said;
use super::archive::{ArchiveError, ArchiveReader};
use super::backup::BackupError;
use super::contents::Contents;
use super::directories::{make_directory, sync_directory, write_file};
use super::disk::{check_closed, objection, remove_database};
use super::error::{Damage, StoreError};
use super::ledger::{self, Ledger};
use super::lock::Lock;
use super::mounts::check_mounts;
use super::successor::{self, Draft, PARTS};
use super::verify::Verifier;
use super::{Meta, record};
use crate::model::{Belief, Incarnation, Trail};
use crate::secret::Secret;

/// A data directory that is to get the store of a backup, held until this is dropped.
#[derive(Debug)]
pub struct Restoration {
    directory: PathBuf,
    _lock: Lock,
}

/// The store of a backup, in a data directory of its own: whoever holds it may work there before it takes its place. It is gone
/// with this.
#[derive(Debug)]
pub struct Drafted {
    draft: Draft,
    meta: Meta,
    key_name: &'static str,
    /// The content of the file of the key that is there.
    key_there: Option<Secret>,
    sets_aside: bool,
}

impl Drafted {
    /// Where it is.
    pub fn directory(&self) -> &Path {
        self.draft.path()
    }
}

/// The store that a data directory has already.
#[derive(Debug)]
pub enum Existing {
    /// There is none.
    Nothing,
    /// All of it can be read.
    Readable(Box<Contents>),
    /// It cannot be read, or not as a whole.
    Unreadable(StoreError),
}

/// Whether a data directory has a store, or what is left of one.
pub fn has_store(directory: &Path) -> bool {
    successor::is_decided(directory)
        || PARTS.iter().any(|part| fs::symlink_metadata(directory.join(part)).is_ok())
}

impl Restoration {
    /// Makes the data directory where there is none, and holds it. A restore that was killed when it was decided on is finished.
    ///
    /// # Errors
    /// [`StoreError::Held`], or the system refuses something.
    pub fn begin(directory: &Path) -> Result<Self, StoreError> {
        check_mounts(directory)?;
        make_directory(directory)?;
        let lock = Lock::take(directory)?;
        check_closed(directory)?;
        successor::go_on(directory)?;
        Ok(Self { directory: directory.to_owned(), _lock: lock })
    }

    /// The store that is there. Reads all of it and changes nothing.
    pub fn existing(&self) -> Existing {
        if !has_store(&self.directory) {
            return Existing::Nothing;
        }
        match self.read_existing() {
            Ok(contents) => Existing::Readable(Box::new(contents)),
            Err(error) => Existing::Unreadable(error),
        }
    }

    fn read_existing(&self) -> Result<Contents, StoreError> {
        let ledger = Ledger::read(&self.directory).map_err(|trouble| trouble.at(&self.directory))?;
        // What is compared must have all that was acknowledged: what was revoked with it would be valid again, and not named.
        let said = Said::read(&self.directory);
        let damage = ledger.lacks(&said).or_else(|| ledger.torn());
        if let Some(damage) = damage.map_or_else(|| ledger.parted_from_said(&said), |it| Ok(Some(it)))? {
            return Err(StoreError::JournalDamaged { path: self.directory.clone(), damage });
        }
        // Nor may it be of a copy, or behind, by what the database says: a start would not take it either.
        if let Some(objection) = objection(&self.directory, &ledger)? {
            return Err(objection);
        }
        let mut contents = Contents::default();
        let mut verifier = Verifier::default();
        ledger.items(|key, value| {
            let record = verifier.push(key, value).map_err(|fault| fault.at(&self.directory))?;
            record.into_iter().for_each(|record| contents.take(record));
            Ok(())
        })?;
        contents.counts.meta = verifier.finish().map_err(|fault| fault.at(&self.directory))?;
        Ok(contents)
    }

    /// Makes the store of a backup beside the place where it is to be. The file `key_name` of the data directory is to get
    /// the content `key`, where there is one. What the store there that it replaces has given, as `replaced` describes that, is not
    /// given again, and time does not go back behind it. Nothing of what is there is changed, and a crash leaves nothing that counts.
    ///
    /// # Errors
    /// The backup cannot be used, or the system refuses something.
    pub fn draft(
        &self,
        backup: &Path,
        key_name: &'static str,
        key: Option<&Secret>,
        replaced: Option<&Meta>,
    ) -> Result<Drafted, BackupError> {
        let path = self.directory.join(key_name);
        let there = match fs::read(&path) {
            Ok(there) => Some(Secret::new(there)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(StoreError::from_io(path, "read", error).into()),
        };
        let (draft, meta) = self.draft_ledger(backup, replaced)?;
        let other = key.filter(|key| there.as_ref().is_none_or(|there| there.expose() != key.expose()));
        if let Some(key) = other {
            write_file(&draft.path().join(key_name), key.expose())?;
        }
        let sets_aside = has_store(&self.directory) || (other.is_some() && there.is_some());
        Ok(Drafted { draft, meta, key_name, key_there: there, sets_aside })
    }

    /// Puts a draft into its place. A store that is there is set aside as a whole, with a copy of the file of its key.
    /// Answers with where it is now: in a data directory of its own, on which a server can be started.
    ///
    /// What a crash leaves is the store before, or the new one, which the next start puts into its place.
    ///
    /// # Errors
    /// The system refuses something: what was there is there still, unless it was put aside and cannot come back. Then the
    /// new store takes its place with the next start.
    pub fn finish(self, drafted: Drafted) -> Result<(Meta, Option<PathBuf>), StoreError> {
        let Drafted { draft, meta, key_name, key_there, sets_aside } = drafted;
        keep_only(draft.path(), &[ledger::DIRECTORY, key_name])?;
        if !sets_aside {
            draft.take_place()?;
            return Ok((meta, None));
        }
        let aside = draft.set_all_aside()?;
        let copied = aside.join(key_name);
        let placed = key_there
            .map_or(Ok(()), |key| write_file(&copied, key.expose()))
            .and_then(|()| sync_directory(&aside))
            .and_then(|()| draft.take_place());
        if placed.is_err() && successor::is_taken_back(&self.directory) {
            let _ = fs::remove_file(copied);
            let _ = fs::remove_dir(aside);
        }
        placed.map(|aside| (meta, aside))
    }

    /// Makes the ledger of the items of the backup.
    fn draft_ledger(&self, backup: &Path, replaced: Option<&Meta>) -> Result<(Draft, Meta), BackupError> {
        let unusable = |fault| BackupError::of_archive(backup, fault);
        let file = File::open(backup).map_err(|error| unusable(error.into()))?;
        let reader = ArchiveReader::new(file).map_err(unusable)?;
        let mut meta = reader.head().meta;
        let described = if meta == Meta::default() {
            None
        } else {
            let incarnation = Incarnation::random();
            meta.incarnation = Some(incarnation.map_err(|error| unusable(ArchiveError::Io(error.into())))?);
            if let Some(replaced) = replaced {
                go_on_behind(&mut meta, replaced);
            }
            Some(record::encode_meta(&meta)?)
        };
        let mut fault = None;
        let drafted = Draft::make(&self.directory, &meta, |put| {
            let read = reader.read::<ArchiveError>(|key, value| match &described {
                Some((meta_key, meta_value)) if meta_key == key => Ok(put(key, meta_value)?),
                _ => Ok(put(key, value)?),
            });
            read.map(drop).map_err(|error| {
                let reason = error.to_string();
                fault = Some(error);
                let damage = Damage::File { path: backup.to_owned(), reason };
                StoreError::Damaged { path: self.directory.clone(), damage }
            })
        });
        match (drafted, fault) {
            (Ok(draft), _) => Ok((draft, meta)),
            (Err(_), Some(ArchiveError::Io(error))) => {
                Err(StoreError::from_io(&self.directory, "write the store in", error).into())
            }
            (Err(_), Some(fault)) => Err(unusable(fault)),
            (Err(error), None) => Err(error.into()),
        }
    }
}

/// Has a store go on behind another one in whose place it comes: with later numbers, of events too, and no earlier time. What has
/// noted a number of the other one, as a file that belongs to a uidNumber, or a log, finds nothing else under it.
fn go_on_behind(meta: &mut Meta, replaced: &Meta) {
    let (counters, given) = (&mut meta.counters, &replaced.counters);
    counters.next_number = counters.next_number.max(given.next_number);
    counters.next_object = counters.next_object.max(given.next_object);
    for trail in Trail::ALL {
        let state = counters.trails.of_mut(trail);
        let is_empty = state.kept() == 0;
        state.next = state.next.max(given.trails.of(trail).next);
        if is_empty {
            state.first = state.next;
        }
    }
    let time = |belief: Option<Belief>| belief.map(|belief| belief.time);
    if time(replaced.belief) > time(meta.belief) {
        meta.belief = replaced.belief;
    }
}

/// Removes what working on a store that is to be moved has made in its data directory, but for these.
fn keep_only(directory: &Path, names: &[&str]) -> Result<(), StoreError> {
    remove_database(directory)?;
    let entries = fs::read_dir(directory).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    for entry in entries.map_err(|error| StoreError::from_io(directory, "list", error))? {
        let path = entry.path();
        if names.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(|error| StoreError::from_io(path, "remove", error))?;
    }
    Ok(())
}
