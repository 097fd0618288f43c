//! The second copy of a store, beside the database and without it: a checkpoint, which is an archive of all items at one
//! revision, and the journal of every batch since. It is read at start and by who only reads, backups are made of it, and
//! the database is made anew from it.
//!
//! ```text
//! journal/checkpoint                      all items as of revision R
//! journal/batches.00000000000000000012    the batches from revision 12 on; the newest such file is written to
//! ```
//!
//! A checkpoint is made of the one before and the batches since, when those have become large; only when it is on disk
//! and was read back, the files go whose batches it holds.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use super::Meta;
use super::acknowledged::Said;
use super::archive::{self, ArchiveError, ArchiveReader, ArchiveWriter, Head, READ_OCTETS};
use super::error::{Damage, StoreError};
use super::journal::{self, End, Journal, Segment};
use super::record::{self, Fault};
use super::stored::{Cutter, Stored, Unverified};
use super::unreadable;
use crate::model::{Incarnation, Revision, Timestamp};
use crate::secret::Secret;

/// What is in the files of a ledger, as of one revision: they are held open, so it can be read while others write on and
/// take files away.
#[derive(Debug)]
pub(super) struct Ledger {
    /// The data directory, for errors.
    directory: PathBuf,
    checkpoint: File,
    head: Head,
    /// The files of batches, the oldest first. None are without one.
    segments: Vec<Segment>,
    /// As of the last batch.
    meta: Meta,
}

/// The files of a ledger, open.
#[derive(Debug)]
pub(super) struct Files {
    directory: PathBuf,
    checkpoint: Option<Opened>,
    segments: Vec<(PathBuf, Opened)>,
}

/// A file that is there, or why nothing of it can be read.
type Opened = Result<File, String>;

impl Files {
    /// Opens what there is in a data directory.
    ///
    /// # Errors
    /// One cannot be opened.
    pub(super) fn open(directory: &Path) -> Result<Self, StoreError> {
        let path = path_in(directory);
        let opened = |path: &Path| match unreadable::open_file(path) {
            Ok(file) => Ok(Some(Ok(file))),
            Err(error) if unreadable::is_damage(&error) => Ok(Some(Err(error.to_string()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::from_io(path, "open", error)),
        };
        let mut segments = Vec::new();
        for file in if path.is_dir() { journal::files_in(&path)? } else { Vec::new() } {
            if let Some(opened) = opened(&file)? {
                segments.push((file, opened));
            }
        }
        Ok(Self { directory: directory.to_owned(), checkpoint: opened(&path.join(CHECKPOINT))?, segments })
    }
}

/// Reads a file from its beginning, whoever else reads it.
struct FileReader<'a> {
    file: &'a File,
    at: u64,
}

impl Read for FileReader<'_> {
    fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        let taken = self.file.read_at(octets, self.at)?;
        self.at += taken as u64;
        Ok(taken)
    }
}

/// Why the ledger is not what it should be.
#[derive(Debug)]
pub(super) enum Trouble {
    /// There is none, and no trace of one.
    Absent,
    /// It is damaged; the revision is what could still be read of how far it went.
    Damaged {
        /// What was noticed.
        damage: Damage,
        /// At least this revision was committed.
        at_least: Revision,
    },
    /// It cannot be used for another reason.
    Other(StoreError),
}

impl Trouble {
    /// The same as an error of the store in `directory`.
    pub(super) fn at(self, directory: &Path) -> StoreError {
        match self {
            Self::Other(error) => error,
            Self::Damaged { damage, .. } => StoreError::Damaged { path: directory.to_owned(), damage },
            Self::Absent => StoreError::Damaged {
                path: directory.to_owned(),
                damage: Damage::FileMissing { path: path_in(directory) },
            },
        }
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Io { path, source, .. } if unreadable::is_damage(&source) => {
                let damage = Damage::File { path, reason: source.to_string() };
                Self::Damaged { damage, at_least: 0 }
            }
            error => Self::Other(error),
        }
    }
}

/// New values of items by their keys, as they stand in a journal; `None`: the item is gone.
pub(super) type Changed<'a> = BTreeMap<&'a [u8], Option<&'a [u8]>>;

impl Ledger {
    /// Reads the ledger in a data directory, and checks all of it but what the items say.
    ///
    /// # Errors
    /// [`Trouble`].
    pub(super) fn read(directory: &Path) -> Result<Self, Trouble> {
        Self::of(Files::open(directory)?)
    }

    /// The same of files that were opened at a moment when nobody took any away.
    ///
    /// # Errors
    /// [`Trouble`].
    pub(super) fn of(files: Files) -> Result<Self, Trouble> {
        let Files { directory, checkpoint, segments: files } = files;
        let path = path_in(&directory);
        let mut segments = Vec::new();
        let mut illegible = None;
        let mut last = 0;
        let store = checkpoint.as_ref().and_then(|file| {
            let file = file.as_ref().ok()?;
            ArchiveReader::new(FileReader { file, at: 0 }).ok().and_then(|reader| reader.head().incarnation)
        });
        for (file, opened) in &files {
            let (segment, seen) = match opened {
                Ok(opened) => Segment::read(file, opened, store)?,
                Err(_) => (None, 0),
            };
            last = last.max(seen);
            match segment {
                Some(segment) => segments.push(segment),
                None => {
                    let reason = opened.as_ref().err().map_or(BEGINNING, String::as_str).to_owned();
                    illegible = Some(Damage::File { path: file.clone(), reason });
                }
            }
        }
        let Some(checkpoint) = checkpoint else {
            if files.is_empty() {
                return Err(Trouble::Absent);
            }
            let damage = Damage::FileMissing { path: path.join(CHECKPOINT) };
            return Err(Trouble::Damaged { damage, at_least: last });
        };
        let damaged = |reason| {
            let damage = Damage::File { path: path.join(CHECKPOINT), reason };
            Trouble::Damaged { damage, at_least: last }
        };
        let checkpoint = checkpoint.map_err(damaged)?;
        let head = match archive::check(&checkpoint) {
            Ok(head) => head,
            Err(ArchiveError::Io(error)) if !unreadable::is_damage(&error) => {
                return Err(StoreError::from_io(path.join(CHECKPOINT), "read", error).into());
            }
            Err(error) => return Err(damaged(error.to_string())),
        };
        let at_least = last.max(head.meta.revision);
        let damaged = |damage| Trouble::Damaged { damage, at_least };
        if let Some(damage) = illegible {
            return Err(damaged(damage));
        }
        let Some(newest) = segments.last() else {
            return Err(damaged(Damage::FileMissing { path: path.join("batches.*") }));
        };
        let newest = newest.path.clone();
        let mut meta = head.meta;
        let mut next = meta.revision.saturating_add(1);
        let mut kept = Vec::new();
        for segment in segments {
            let is_last = segment.path == newest;
            // One whose batches the checkpoint holds, which was to be taken away.
            if segment.last() < next && !is_last {
                continue;
            }
            let reason = if segment.first > next {
                Some("batches before it are missing".to_owned())
            } else if segment.end == End::Damaged || (segment.end == End::Torn && !is_last) {
                Some(format!("it is damaged at octet {}", segment.length))
            } else if Incarnation::is_foreign(segment.incarnation, meta.incarnation.or(store)) {
                Some("it belongs to another store".to_owned())
            } else {
                None
            };
            if let Some(reason) = reason {
                return Err(damaged(Damage::File { path: segment.path, reason }));
            }
            let first = next;
            let mut wrong = None;
            for (revision, items) in segment.batches().filter(|(revision, _)| *revision >= first) {
                let described = items.into_iter().find(|(key, _)| *key == record::meta_key());
                match described.and_then(|(_, value)| value).map(record::decode_meta) {
                    Some(Ok(described)) if described.revision == revision => meta = described,
                    Some(Err(fault @ Fault::TooNew { .. })) => return Err(fault.at(&directory).into()),
                    _ => wrong = wrong.or(Some(revision)),
                }
                next = revision.saturating_add(1);
            }
            if let Some(revision) = wrong {
                let reason = format!("its batch {revision} does not describe the store");
                return Err(damaged(Damage::File { path: segment.path, reason }));
            }
            kept.push(segment);
        }
        Ok(Self { directory, checkpoint, head, segments: kept, meta })
    }

    /// Writes a ledger into a data directory that has none: empty, or with a checkpoint of the items that `fill` hands over.
    ///
    /// # Errors
    /// It cannot be made durable, or what `fill` says.
    pub(super) fn write(
        directory: &Path,
        meta: &Meta,
        fill: impl FnOnce(&mut dyn FnMut(&[u8], &[u8]) -> io::Result<()>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let path = path_in(directory);
        super::directories::make_directory(&path)?;
        // One that nothing was committed to has its incarnation in its files already, and gets it with the first batch.
        let random = || (meta.revision == 0).then(|| Incarnation::random().ok()).flatten();
        let incarnation = meta.incarnation.or_else(random);
        Journal::create(&path, incarnation, meta.revision.saturating_add(1))?;
        write_checkpoint(&path, meta, incarnation, fill).map(drop)
    }

    /// The store as of the last batch.
    pub(super) fn meta(&self) -> &Meta {
        &self.meta
    }

    /// The revision of the checkpoint.
    pub(super) fn checkpoint_revision(&self) -> Revision {
        self.head.meta.revision
    }

    /// Of which life of a store it is.
    pub(super) fn incarnation(&self) -> Option<Incarnation> {
        self.meta.incarnation.or(self.head.incarnation)
    }

    /// Whether its end is missing, by what was acknowledged.
    pub(super) fn lacks(&self, said: &Said) -> Option<Damage> {
        let (found, acknowledged) = (self.meta.revision, said.of_life(self.incarnation())?);
        (found < acknowledged).then_some(Damage::EndMissing { found, acknowledged })
    }

    /// How long the checkpoint is.
    pub(super) fn checkpoint_octets(&self) -> u64 {
        self.checkpoint.metadata().map_or(0, |metadata| metadata.len())
    }

    /// The file that is written to.
    pub(super) fn newest(&self) -> Option<&Segment> {
        self.segments.last()
    }

    /// The files of batches.
    pub(super) fn files(&self) -> impl Iterator<Item = (&Path, u64)> {
        self.segments.iter().map(|segment| (&*segment.path, segment.length as u64))
    }

    /// Forgets the batches above `revision`.
    ///
    /// # Errors
    /// None of the batches up to it describes the store.
    pub(super) fn up_to(mut self, revision: Revision) -> Result<Self, StoreError> {
        self.meta = self.head.meta;
        for segment in &self.segments {
            for (_, items) in segment.batches().filter(|(number, _)| *number <= revision) {
                for (key, value) in items {
                    if let (true, Some(value)) = (key == record::meta_key(), value) {
                        self.meta = record::decode_meta(value).map_err(|fault| fault.at(&self.directory))?;
                    }
                }
            }
        }
        self.segments.retain(|segment| segment.first <= revision);
        Ok(self)
    }

    /// What was written after `revision`: the newest value of each item. `None`: the ledger does not reach so far back.
    pub(super) fn since(&self, revision: Revision) -> Option<Changed<'_>> {
        if revision < self.checkpoint_revision() {
            return None;
        }
        let mut changed = Changed::new();
        for (_, items) in self.batches().filter(|(number, _)| *number > revision) {
            changed.extend(items);
        }
        Some(changed)
    }

    /// Shows all items in the order of their keys, as of the last batch.
    ///
    /// # Errors
    /// The checkpoint cannot be read any more, or what `visit` says.
    pub(super) fn items(
        &self,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut changed = Changed::new();
        for (_, items) in self.batches() {
            changed.extend(items);
        }
        let mut changed = changed.into_iter().peekable();
        let reader = self.reader().map_err(|error| self.unreadable(&error))?;
        reader
            .read::<Interrupted>(|key, value| {
                while let Some((new, value)) = changed.next_if(|(new, _)| *new < key) {
                    if let Some(value) = value {
                        visit(new, value)?;
                    }
                }
                match changed.next_if(|(new, _)| *new == key) {
                    Some((_, None)) => {}
                    Some((_, Some(value))) => visit(key, value)?,
                    None => visit(key, value)?,
                }
                Ok(())
            })
            .map_err(|interrupted| match interrupted {
                Interrupted::Visit(error) => error,
                Interrupted::Archive(error) => self.unreadable(&error),
            })?;
        for (new, value) in changed {
            if let Some(value) = value {
                visit(new, value)?;
            }
        }
        Ok(())
    }

    /// Hands over all records.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn load_stored(&self, visit: &mut dyn FnMut(Stored)) -> Result<Unverified, StoreError> {
        let mut cutter = Cutter::of_checked(&self.directory, &self.meta, visit);
        self.items(|key, value| cutter.item(key, value))?;
        Ok(cutter.finish())
    }

    /// Writes all items as an archive.
    ///
    /// # Errors
    /// The items cannot be read, or the archive not be written.
    pub(super) fn write_archive(
        &self,
        out: impl Write,
        made: Timestamp,
        keys: Option<&Secret>,
    ) -> Result<(), StoreError> {
        let failed = |error| StoreError::from_io(&self.directory, "write a copy of the store in", error);
        let mut writer = ArchiveWriter::new(out, &self.meta, made).map_err(failed)?;
        self.items(|key, value| writer.item(key, value).map_err(failed))?;
        writer.finish(keys).map(drop).map_err(failed)
    }

    /// Makes this the new checkpoint of its directory: written, synced and read back, and then put in the place of the old
    /// one. Answers with its octets; gives up when `ending` becomes true.
    ///
    /// # Errors
    /// It cannot be; the old one stays.
    pub(super) fn make_checkpoint(&self, ending: &AtomicBool) -> Result<u64, StoreError> {
        write_checkpoint(&path_in(&self.directory), &self.meta, self.meta.incarnation, |put| {
            self.items(|key, value| {
                super::error::check_ending(&self.directory, ending)?;
                put(key, value).map_err(|error| {
                    StoreError::from_io(path_in(&self.directory), "write a checkpoint in", error)
                })
            })
        })
    }

    fn batches(&self) -> impl Iterator<Item = (Revision, journal::Items<'_>)> {
        let (first, last) = (self.checkpoint_revision(), self.meta.revision);
        let batches = self.segments.iter().flat_map(Segment::batches);
        batches.filter(move |(revision, _)| *revision > first && *revision <= last)
    }

    fn reader(&self) -> Result<ArchiveReader<impl Read>, ArchiveError> {
        ArchiveReader::new(FileReader { file: &self.checkpoint, at: 0 })
    }

    fn unreadable(&self, error: &ArchiveError) -> StoreError {
        StoreError::Damaged {
            path: self.directory.clone(),
            damage: Damage::File {
                path: path_in(&self.directory).join(CHECKPOINT),
                reason: error.to_string(),
            },
        }
    }
}

/// Why reading an archive ended.
enum Interrupted {
    Visit(StoreError),
    Archive(ArchiveError),
}

impl From<StoreError> for Interrupted {
    fn from(error: StoreError) -> Self {
        Self::Visit(error)
    }
}

impl From<ArchiveError> for Interrupted {
    fn from(error: ArchiveError) -> Self {
        Self::Archive(error)
    }
}

/// Where the ledger is in a data directory.
pub(super) fn path_in(directory: &Path) -> PathBuf {
    directory.join(DIRECTORY)
}

/// Takes away the files whose batches the checkpoint holds.
///
/// # Errors
/// One cannot be removed; it is passed over by who reads.
pub(super) fn remove(files: &[PathBuf]) -> Result<(), StoreError> {
    for file in files {
        fs::remove_file(file).map_err(|error| StoreError::from_io(file, "remove", error))?;
    }
    Ok(())
}

/// Of which life of a store the newest batch is that was committed, and its revision; `None` where the end of the journal is
/// gone, torn or damaged.
///
/// # Errors
/// A file cannot be read.
pub(super) fn end_in(directory: &Path) -> Result<Option<(Option<Incarnation>, Revision)>, StoreError> {
    let files = Files::open(directory)?;
    let Some((path, Ok(file))) = files.segments.last() else { return Ok(None) };
    let (segment, _) = Segment::read(path, file, None)?;
    let whole = segment.filter(|segment| segment.end == End::Clean);
    Ok(whole.map(|segment| (segment.incarnation, segment.last())))
}

fn write_checkpoint(
    path: &Path,
    meta: &Meta,
    incarnation: Option<Incarnation>,
    fill: impl FnOnce(&mut dyn FnMut(&[u8], &[u8]) -> io::Result<()>) -> Result<(), StoreError>,
) -> Result<u64, StoreError> {
    let new = path.join(CHECKPOINT_NEW);
    let failed = |error| StoreError::from_io(&new, "write", error);
    let written = (|| {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)
            .map_err(failed)?;
        let out = BufWriter::with_capacity(READ_OCTETS, file);
        let made = crate::clock::system_time();
        let mut writer = ArchiveWriter::of_life(out, meta, incarnation, made).map_err(failed)?;
        fill(&mut |key, value| writer.item(key, value))?;
        let out = writer.finish(None).map_err(failed)?;
        let file = out.into_inner().map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(failed)?;
        let reader = ArchiveReader::new(FileReader { file: &file, at: 0 });
        match reader.and_then(|reader| reader.verify(&mut |_| {})) {
            Ok(_) => {}
            Err(ArchiveError::Io(error)) => return Err(failed(error)),
            Err(error) => {
                let damage = Damage::File { path: new.clone(), reason: error.to_string() };
                return Err(StoreError::Damaged { path: path.to_owned(), damage });
            }
        }
        let checkpoint = path.join(CHECKPOINT);
        fs::rename(&new, &checkpoint).map_err(|error| StoreError::from_io(&checkpoint, "write", error))?;
        super::directories::sync_directory(path)?;
        file.metadata().map(|metadata| metadata.len()).map_err(failed)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

pub(super) const DIRECTORY: &str = "journal";
pub(super) const CHECKPOINT: &str = "checkpoint";
const CHECKPOINT_NEW: &str = "checkpoint.new";
const BEGINNING: &str = "its beginning is damaged";
