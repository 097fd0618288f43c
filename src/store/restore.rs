//! A store made of a backup, under a new incarnation: whoever has noted something of the one before notices.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::archive::{ArchiveError, ArchiveReader};
use super::backup::BackupError;
use super::contents::Contents;
use super::directories::{make_directory, sync_directory};
use super::disk::DATABASE_OLD;
use super::error::{Damage, StoreError};
use super::ledger::Ledger;
use super::lock::Lock;
use super::verify::Verifier;
use super::{Meta, aside, record};
use crate::model::Incarnation;
use crate::secret::Secret;

/// A data directory that is to get the store of a backup, held until this is dropped.
#[derive(Debug)]
pub struct Restoration {
    directory: PathBuf,
    _lock: Lock,
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
    PARTS.iter().any(|part| fs::symlink_metadata(directory.join(part)).is_ok())
}

impl Restoration {
    /// Makes the data directory where there is none, and holds it.
    ///
    /// # Errors
    /// [`StoreError::Held`], or it cannot be made.
    pub fn begin(directory: &Path) -> Result<Self, StoreError> {
        make_directory(directory)?;
        let lock = Lock::take(directory)?;
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

    /// Puts the store of a backup into the directory. One that is there is set aside as a whole, with a copy of the file
    /// `key_name`; that file gets the content `key`, where there is one. Answers with where the store before is now: in a data
    /// directory of its own, on which a server can be started.
    ///
    /// What a crash leaves is the store before, or the new one, which the next start puts into its place.
    ///
    /// # Errors
    /// The backup cannot be used, or the system refuses something: what was there is there still, in its place or aside.
    pub fn restore(
        self,
        backup: &Path,
        key_name: &str,
        key: Option<&Secret>,
    ) -> Result<(Meta, Option<PathBuf>), BackupError> {
        let meta = self.draft(backup)?;
        let key_path = self.directory.join(key_name);
        let loses_key = key.is_some_and(|key| fs::read(&key_path).is_ok_and(|there| there != key.expose()));
        let aside = if has_store(&self.directory) || loses_key { Some(self.make_aside()?) } else { None };
        if let Some(aside) = &aside
            && key_path.exists()
        {
            let copied = aside.join(key_name);
            fs::copy(&key_path, &copied).map_err(|error| StoreError::from_io(&copied, "write", error))?;
        }
        if let Some(key) = key {
            self.place_key(&key_path, key)?;
        }
        if let Some(aside) = &aside {
            for part in PARTS {
                let (from, to) = (self.directory.join(part), aside.join(part));
                if fs::symlink_metadata(&from).is_ok() {
                    fs::rename(&from, &to).map_err(|error| StoreError::from_io(&from, "set aside", error))?;
                }
            }
            sync_directory(aside)?;
            sync_directory(&self.directory)?;
        }
        Ledger::finish_creating(&self.directory)?;
        Ok((meta, aside))
    }

    /// Makes the ledger of the items of the backup, beside the place where it belongs.
    fn draft(&self, backup: &Path) -> Result<Meta, BackupError> {
        let unusable = |fault| BackupError::of_archive(backup, fault);
        let file = File::open(backup).map_err(|error| unusable(error.into()))?;
        let reader = ArchiveReader::new(file).map_err(unusable)?;
        let mut meta = reader.head().meta;
        let described = if meta == Meta::default() {
            None
        } else {
            let incarnation = Incarnation::random();
            meta.incarnation = Some(incarnation.map_err(|error| unusable(ArchiveError::Io(error.into())))?);
            Some(record::encode_meta(&meta)?)
        };
        let mut fault = None;
        let drafted = Ledger::draft(&self.directory, &meta, |put| {
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
            (Ok(()), _) => Ok(meta),
            (Err(_), Some(ArchiveError::Io(error))) => {
                Err(StoreError::from_io(&self.directory, "write the store in", error).into())
            }
            (Err(_), Some(fault)) => Err(unusable(fault)),
            (Err(error), None) => Err(error.into()),
        }
    }

    fn make_aside(&self) -> Result<PathBuf, StoreError> {
        let place = aside::place_for(&self.directory, REPLACED)?;
        make_directory(&place)?;
        Ok(place)
    }

    fn place_key(&self, path: &Path, key: &Secret) -> Result<(), StoreError> {
        let failed = |error| StoreError::from_io(path, "write", error);
        let draft = path.with_extension("key.restored");
        // What a crash has left behind.
        let _ = fs::remove_file(&draft);
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).map_err(failed)?;
        file.write_all(key.expose()).and_then(|()| file.sync_all()).map_err(failed)?;
        fs::rename(&draft, path).map_err(failed)?;
        sync_directory(&self.directory)
    }
}

/// What a store is made of in a data directory, in the order in which it is set aside: without the first a start makes it
/// of the draft, whatever the others are.
const PARTS: [&str; 4] = ["journal", "store", DATABASE_OLD, "acknowledged"];
const REPLACED: &str = "replaced";
