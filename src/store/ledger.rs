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
//! and was read back, the files go whose batches it holds. The file that begins behind it is made before it, so a checkpoint
//! without that file is beside files of another time. From there on the batches are of revisions that follow on each other,
//! to an end: a file that adds none of them is neither read from nor written to ([`Ledger::of`], and nowhere else).

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use super::Meta;
use super::acknowledged::{self, Said};
use super::archive::{self, ArchiveError, ArchiveReader, ArchiveWriter, Head, READ_OCTETS, Wreck};
use super::error::{Damage, FOREIGN, StoreError};
use super::history::{self, Ends};
use super::journal::{self, End, Journal, Segment};
use super::record::{self, Fault};
use super::stored::{Cutter, Stored, Unverified};
use super::unreadable;
use super::verify::Verifier;
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
    /// The files of batches that lead from the checkpoint to the end, in this order. The last one, and it alone, is gone on with.
    segments: Vec<Segment>,
    /// Those that add nothing, with their octets.
    spent: Vec<(PathBuf, usize)>,
    /// As of the last batch.
    meta: Meta,
}

/// The files of a ledger, open.
#[derive(Debug)]
pub(super) struct Files {
    directory: PathBuf,
    checkpoint: Option<Opened>,
    segments: Vec<(PathBuf, Opened)>,
    /// The file that is written on, and how many octets of it count.
    written: Option<(PathBuf, u64)>,
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
        let checkpoint = opened(&path.join(CHECKPOINT))?;
        Ok(Self { directory: directory.to_owned(), checkpoint, segments, written: None })
    }

    /// The same with no more of a file than this, as batches are written to it: of those whoever reads it may see a part.
    pub(super) fn up_to(self, written: &Path, octets: u64) -> Self {
        Self { written: Some((written.to_owned(), octets)), ..self }
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

/// What a ledger still says of itself that is damaged, or ends too early.
#[derive(Clone, Debug, Default)]
pub(super) struct Legible {
    /// Of which life the checkpoint is, as far as that says so, and its revision.
    checkpoint: Option<(Option<Incarnation>, Revision)>,
    /// The same of each file of batches, and the highest revision in it. They are of more than one life where somebody has put
    /// a file there.
    files: Vec<(Option<Incarnation>, Revision)>,
    /// Whether there are files of which nothing can be read.
    is_illegible: bool,
}

impl Legible {
    /// At least this revision was committed in a life of a store.
    pub(super) fn at_least(&self, life: Option<Incarnation>) -> Revision {
        highest(self.all(), life)
    }

    /// The same without a word of the checkpoint.
    pub(super) fn at_least_by_batches(&self, life: Option<Incarnation>) -> Revision {
        highest(self.files.iter().copied(), life)
    }

    fn all(&self) -> impl Iterator<Item = (Option<Incarnation>, Revision)> {
        self.checkpoint.into_iter().chain(self.files.iter().copied())
    }

    /// Whether something of it says that it is of this life.
    pub(super) fn is_of(&self, life: Incarnation) -> bool {
        self.all().any(|(of, _)| of == Some(life))
    }

    /// Whether all that is there can be read, and no change is in it.
    pub(super) fn has_no_changes(&self) -> bool {
        !self.is_illegible && self.all().all(|(_, revision)| revision == 0)
    }

    /// Whether what is known of its life is another one: what was acknowledged last is, where nothing there is of it; of any
    /// other the checkpoint says so, where it can, as all files follow it.
    pub(super) fn is_foreign(&self, life: Option<Incarnation>, said: &Said) -> bool {
        let is_told = life.is_some_and(|life| said.lives().any(|told| told == life));
        let checkpoint = self.checkpoint.and_then(|(of, _)| of);
        if !is_told && checkpoint.is_some() {
            return Incarnation::is_foreign(checkpoint, life);
        }
        let mut known = self.all().filter(|(of, _)| of.is_some()).peekable();
        known.peek().is_some() && known.all(|(of, _)| Incarnation::is_foreign(of, life))
    }
}

/// The highest revision of what is of a life.
fn highest(
    files: impl Iterator<Item = (Option<Incarnation>, Revision)>,
    life: Option<Incarnation>,
) -> Revision {
    let ours = files.filter(|(of, _)| !Incarnation::is_foreign(*of, life));
    ours.map(|(_, revision)| revision).max().unwrap_or_default()
}

/// Why the ledger is not what it should be.
#[derive(Debug)]
pub(super) enum Trouble {
    /// There is none, and no trace of one.
    Absent,
    /// It is damaged.
    Damaged {
        /// What was noticed.
        damage: Damage,
        /// What could still be read.
        legible: Box<Legible>,
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
                Self::Damaged { damage, legible: Box::default() }
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
        let Files { directory, checkpoint, segments: files, written } = files;
        let path = path_in(&directory);
        let head = checkpoint.as_ref().and_then(|file| {
            let reader = ArchiveReader::new(FileReader { file: file.as_ref().ok()?, at: 0 }).ok()?;
            Some(*reader.head())
        });
        let store = head.and_then(|head| head.life());
        let checkpoint_at = head.map(|head| (store, head.meta.revision));
        let mut legible = Box::new(Legible { checkpoint: checkpoint_at, ..Legible::default() });
        let mut segments = Vec::new();
        let mut illegible = None;
        for (file, opened) in &files {
            let (segment, highest) = match opened {
                Ok(opened) => {
                    let written = written.as_ref().filter(|(path, _)| path == file);
                    Segment::read_up_to(file, opened, store, written.map_or(u64::MAX, |(_, octets)| *octets))?
                }
                Err(_) => (None, 0),
            };
            legible.files.push((segment.as_ref().map_or(store, |segment| segment.incarnation), highest));
            match segment {
                Some(segment) => {
                    legible.is_illegible |= segment.end != End::Clean;
                    segments.push((segment, highest));
                }
                None => {
                    legible.is_illegible = true;
                    let reason = opened.as_ref().err().map_or(BEGINNING, String::as_str).to_owned();
                    illegible = Some(Damage::File { path: file.clone(), reason });
                }
            }
        }
        let Some(checkpoint) = checkpoint else {
            if files.is_empty() {
                return Err(Trouble::Absent);
            }
            return Err(Trouble::Damaged {
                damage: Damage::FileMissing { path: path.join(CHECKPOINT) },
                legible,
            });
        };
        let checked = checkpoint.map(|file| (archive::check(&file), file));
        let (head, checkpoint) = match checked {
            Ok((Ok(head), file)) => (head, file),
            Ok((Err(ArchiveError::Io(error)), _)) if !unreadable::is_damage(&error) => {
                return Err(StoreError::from_io(path.join(CHECKPOINT), "read", error).into());
            }
            Ok((Err(error), _)) => {
                let damage = Damage::File { path: path.join(CHECKPOINT), reason: error.to_string() };
                return Err(Trouble::Damaged { damage, legible });
            }
            Err(reason) => {
                let damage = Damage::File { path: path.join(CHECKPOINT), reason };
                return Err(Trouble::Damaged { damage, legible });
            }
        };
        let chained = match illegible.or_else(|| parted(&head, &segments)) {
            Some(damage) => Err(damage),
            None => chain(&path, &head, segments),
        };
        let Chained { segments, spent } = match chained {
            Ok(chained) => chained,
            Err(damage) => return Err(Trouble::Damaged { damage, legible }),
        };
        let meta_key = record::meta_key();
        let mut meta = head.meta;
        let mut wrong = None;
        for (revision, items) in rising(&segments, head.meta.revision) {
            let mut ends = Ends::of(&meta);
            let mut described = None;
            for (key, value) in items {
                match value {
                    Some(value) if *key == *meta_key => described = Some(record::decode_meta(value)),
                    Some(value) => ends.take(key, value),
                    None => {}
                }
            }
            let file = |revision| file_at(&path, &segments, head.meta.revision, revision);
            let reason = match described {
                Some(Ok(described)) if described.revision == revision => {
                    let reason = ends.parted(&described);
                    meta = described;
                    reason.map(|reason| {
                        format!(
                            "its batch {revision} does not follow on {}, as {reason}: one of the two files is of a copy of the \
                             store that went on by itself",
                            file(revision.saturating_sub(1)).display()
                        )
                    })
                }
                Some(Err(fault @ Fault::TooNew { .. })) => return Err(fault.at(&directory).into()),
                _ => Some(format!("its batch {revision} does not describe the store")),
            };
            wrong = wrong.or_else(|| reason.map(|reason| Damage::File { path: file(revision), reason }));
        }
        if let Some(damage) = wrong {
            return Err(Trouble::Damaged { damage, legible });
        }
        Ok(Self { directory, checkpoint, head, segments, spent, meta })
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
        Journal::create(&path, incarnation, meta.revision.saturating_add(1), File::sync_all)?;
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

    /// What stands behind its end, which may have been acknowledged.
    pub(super) fn torn(&self) -> Option<Damage> {
        self.newest().filter(|newest| newest.end != End::Clean).map(Segment::damage)
    }

    /// How long the checkpoint is.
    pub(super) fn checkpoint_octets(&self) -> u64 {
        self.checkpoint.metadata().map_or(0, |metadata| metadata.len())
    }

    /// What it says of itself, where its end is missing.
    pub(super) fn legible(&self) -> Legible {
        let life = self.incarnation();
        let checkpoint = Some((life, self.checkpoint_revision()));
        Legible { checkpoint, files: vec![(life, self.meta.revision)], is_illegible: false }
    }

    /// What it says of the store at a revision; `None`: it does not reach so far back, or not so far.
    pub(super) fn described_at(&self, revision: Revision) -> Option<Meta> {
        // Mostly it is asked for its end, which need not be looked for.
        for known in [self.meta, self.head.meta] {
            if known.revision == revision {
                return Some(known);
            }
        }
        let (_, mut items) = self.batches().find(|(number, _)| *number == revision)?;
        let (_, value) = items.find(|(key, _)| *key == record::meta_key())?;
        record::decode_meta(value?).ok()
    }

    /// Why this is not of the history of what `earlier` describes, of a revision that it is not behind; `None`: it is, or nothing tells.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn parted_from(&self, earlier: &Meta) -> Result<Option<String>, StoreError> {
        if let Some(described) = self.described_at(earlier.revision) {
            return Ok(history::parted_at(&described, earlier));
        }
        // It is from before the checkpoint.
        let mut ends = Ends::of(earlier);
        if ends.keys().is_empty() {
            return Ok(None);
        }
        self.items(|key, value| {
            ends.take(key, value);
            Ok(())
        })?;
        Ok(ends.parted(&self.meta))
    }

    /// Why it is not that of which something was acknowledged, if it has come as far; `None`: it is, or nothing tells.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn parted_from_said(&self, said: &Said) -> Result<Option<Damage>, StoreError> {
        let described = said.described(self.incarnation());
        let Some(described) = described.filter(|was| was.revision <= self.meta.revision) else {
            return Ok(None);
        };
        let reason = self.parted_from(described)?;
        Ok(reason.map(|reason| Damage::Parted {
            journal: self.file_at(described.revision).into(),
            other: acknowledged::path_in(&self.directory).into(),
            reason: reason.into(),
            damage: None,
        }))
    }

    /// In which file it is at a revision.
    pub(super) fn file_at(&self, revision: Revision) -> PathBuf {
        file_at(&path_in(&self.directory), &self.segments, self.checkpoint_revision(), revision)
    }

    /// The file that is written to: it leads to the end.
    pub(super) fn newest(&self) -> Option<&Segment> {
        self.segments.last()
    }

    /// The files of batches, also those that add nothing.
    pub(super) fn files(&self) -> impl Iterator<Item = (&Path, u64)> {
        let files = self.segments.iter().map(|segment| (&*segment.path, segment.length as u64));
        files.chain(self.spent.iter().map(|(path, octets)| (&**path, *octets as u64)))
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

    /// What is wrong with all of it together, item by item: of batches and a checkpoint that are whole, and not of one store.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn fault(&self) -> Result<Option<Damage>, StoreError> {
        let mut verifier = Verifier::default();
        let mut fault = None;
        let read = self.items(|key, value| {
            if fault.is_none() {
                fault = verifier.believe(key, value).err();
            }
            Ok(())
        });
        match read {
            Err(StoreError::Damaged { damage, .. }) => return Ok(Some(damage)),
            read => read?,
        }
        match fault.map_or_else(|| verifier.finish(), Err) {
            Ok(meta) if meta == self.meta => Ok(None),
            Ok(_) => Ok(Some(Damage::Sum)),
            Err(fault) => match fault.at(&self.directory) {
                StoreError::Damaged { damage, .. } => Ok(Some(damage)),
                error => Err(error),
            },
        }
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
        let failed = |source| StoreError::Output { source };
        let mut writer = ArchiveWriter::new(out, &self.meta, made).map_err(failed)?;
        self.items(|key, value| writer.item(key, value).map_err(failed))?;
        writer.finish(keys).map(drop).map_err(failed)
    }

    /// Makes this the new checkpoint of its directory: written, synced and read back, and then put in the place of the old
    /// one. Answers with its octets; gives up when `ending` becomes true.
    ///
    /// # Errors
    /// It cannot be: the old one stays or, where it cannot be made durable which has its name, one of the two. The batches behind the
    /// old one are to stay then.
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
        let last = self.meta.revision;
        rising(&self.segments, self.checkpoint_revision()).take_while(move |(revision, _)| *revision <= last)
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

/// The files of batches behind a checkpoint.
struct Chained {
    /// Those that lead to an end, in this order.
    segments: Vec<Segment>,
    /// Those that add nothing, with their octets.
    spent: Vec<(PathBuf, usize)>,
}

/// Two files that have another batch of the same revision behind a checkpoint: one is of a copy of the store that went on by itself.
fn parted(head: &Head, segments: &[(Segment, Revision)]) -> Option<Damage> {
    let after = head.meta.revision;
    for (number, (one, _)) in segments.iter().enumerate() {
        let others = segments.iter().skip(number + 1).map(|(other, _)| other);
        for other in others.filter(|other| !Incarnation::is_foreign(one.incarnation, other.incarnation)) {
            let begin = one.first.max(other.first).max(after.saturating_add(1));
            let differs = one
                .batches_from(begin)
                .zip(other.batches_from(begin))
                .find(|((_, ours), (_, theirs))| ours != theirs);
            if let Some(((revision, _), _)) = differs {
                let reason = format!(
                    "its batch {revision} is another one than that in {}: one of the two files is of a copy of the store that went \
                     on by itself",
                    one.path.display()
                );
                return Some(Damage::File { path: other.path.clone(), reason });
            }
        }
    }
    None
}

/// Tells those apart that lead from a checkpoint to an end. Each comes with the highest revision that stands anywhere in it.
///
/// # Errors
/// They do not.
fn chain(path: &Path, head: &Head, mut segments: Vec<(Segment, Revision)>) -> Result<Chained, Damage> {
    let begin = head.meta.revision.saturating_add(1);
    segments.sort_by_key(|(segment, _)| (segment.first, !segment.is_named_by_first()));
    let mut life = head.life();
    let mut next = begin;
    let mut has_begin = false;
    let (mut kept, mut spent) = (Vec::<Segment>::new(), Vec::new());
    for (segment, highest) in segments {
        let wrong = |reason: String| Damage::File { path: segment.path.clone(), reason };
        if Incarnation::is_foreign(segment.incarnation, life) {
            return Err(wrong(FOREIGN.to_owned()));
        }
        life = life.or(segment.incarnation);
        has_begin |= segment.first == begin;
        if segment.first > next {
            return Err(wrong("batches before it are missing".to_owned()));
        }
        if segment.last() < next && segment.first != next {
            // What may have stood there is not in the checkpoint.
            if segment.end != End::Clean && (segment.first >= begin || highest >= begin) {
                return Err(segment.damage());
            }
            spent.push((segment.path, segment.length));
            continue;
        }
        if segment.end == End::Damaged {
            return Err(segment.damage());
        }
        if let Some(torn) = kept.last().filter(|before| before.end != End::Clean) {
            return Err(torn.damage());
        }
        // A file that is made may be about to take its name.
        if !segment.is_named_by_first() {
            return Err(wrong(format!("it begins with revision {}", segment.first)));
        }
        next = segment.last().saturating_add(1);
        kept.push(segment);
    }
    // It was made before the checkpoint was: what was acknowledged may have stood in it.
    if !has_begin {
        return Err(Damage::FileMissing { path: journal::path_of(path, begin) });
    }
    Ok(Chained { segments: kept, spent })
}

/// In which file a ledger is at a revision whose checkpoint is of another one.
fn file_at(path: &Path, segments: &[Segment], checkpoint: Revision, revision: Revision) -> PathBuf {
    let of = segments.iter().find(|segment| revision > checkpoint && segment.last() >= revision);
    of.map_or_else(|| path.join(CHECKPOINT), |segment| segment.path.clone())
}

/// Whether the checkpoint in a data directory, which is whole, is of a copy of the store that went on by itself from before `meta`.
pub(super) fn is_checkpoint_of_copy(directory: &Path, meta: &Meta) -> bool {
    let parted = unreadable::open_file(&path_in(directory).join(CHECKPOINT))
        .map_err(ArchiveError::from)
        .and_then(|file| {
            let mut ends = Ends::of(meta);
            let reader = ArchiveReader::new(FileReader { file: &file, at: 0 })?;
            let summary = reader.read::<ArchiveError>(|key, value| {
                ends.take(key, value);
                Ok(())
            })?;
            Ok(summary.head.meta.revision > meta.revision && ends.parted(&summary.head.meta).is_some())
        });
    // What cannot be read tells nothing.
    parted.unwrap_or_default()
}

/// What a file of a ledger tells of the store, whatever else is damaged.
pub(super) struct Told {
    pub(super) file: PathBuf,
    pub(super) is_checkpoint: bool,
    /// The store at the last revision that was asked for of which the file tells.
    pub(super) described: Meta,
}

/// What each file of the ledger in a data directory tells of the store at a revision, or last before that.
///
/// # Errors
/// A file cannot be read, and is not damaged.
pub(super) fn told_in(directory: &Path, revision: Revision) -> Result<Vec<Told>, StoreError> {
    let Files { checkpoint, segments, .. } = Files::open(directory)?;
    let meta_key = record::meta_key();
    let mut told = Vec::new();
    if let Some(Ok(file)) = checkpoint {
        let path = path_in(directory).join(CHECKPOINT);
        let wreck = Wreck::of(file).map_err(|error| StoreError::from_io(&path, "read", error))?;
        let of_head = wreck.head().map(|head| Meta { incarnation: head.life(), ..head.meta });
        let described = of_head.or_else(|| {
            let (_, value) = wreck.items().find(|(key, _)| *key == meta_key)?;
            record::decode_meta(&value).ok()
        });
        let described = described.filter(|described| described.revision <= revision);
        told.extend(described.map(|described| Told { file: path, is_checkpoint: true, described }));
    }
    for (file, opened) in segments {
        let Ok(opened) = opened else { continue };
        let octets = unreadable::read_up_to(&opened, u64::MAX)
            .map_err(|error| StoreError::from_io(&file, "read", error))?;
        let mut described: Option<Meta> = None;
        let life = journal::Life { store: None, may_be_before: true };
        journal::salvage(&file, &octets, life, |number, key, value| {
            if number <= revision && *key == *meta_key {
                let meta = value.and_then(|value| record::decode_meta(value).ok());
                let is_later = |meta: &Meta| described.is_none_or(|before| before.revision < meta.revision);
                if let Some(meta) = meta.filter(|meta| meta.revision == number).filter(is_later) {
                    described = Some(meta);
                }
            }
        });
        told.extend(described.map(|described| Told { file, is_checkpoint: false, described }));
    }
    Ok(told)
}

/// The batches behind a revision in files that lead on from there: of revisions that follow on each other.
fn rising(segments: &[Segment], after: Revision) -> impl Iterator<Item = (Revision, journal::Items<'_>)> {
    let mut last = after;
    segments.iter().flat_map(Segment::batches).filter(move |(revision, _)| {
        let is_next = last.checked_add(1) == Some(*revision);
        if is_next {
            last = *revision;
        }
        is_next
    })
}

/// Where the ledger is in a data directory.
pub(super) fn path_in(directory: &Path) -> PathBuf {
    directory.join(DIRECTORY)
}

/// Puts aside what is no file and has the name of one that is written here: with it in the way the journal would grow for ever.
///
/// # Errors
/// It cannot be moved.
pub(super) fn clear(directory: &Path) -> Result<(), StoreError> {
    let path = path_in(directory);
    for new in [path.join(CHECKPOINT_NEW), path.join(journal::NEW_NAME)] {
        if fs::symlink_metadata(&new).is_ok_and(|found| !found.is_file()) {
            super::aside::put(directory, &new)?;
        }
    }
    Ok(())
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

/// The revision of the newest batch that was committed; `None` where a file of batches is torn or damaged, or there is none.
///
/// # Errors
/// A file cannot be read.
pub(super) fn end_in(directory: &Path) -> Result<Option<Revision>, StoreError> {
    let mut end = None;
    for (path, opened) in Files::open(directory)?.segments {
        let Ok(file) = opened else { return Ok(None) };
        match Segment::read(&path, &file, None)? {
            (Some(segment), _) if segment.end == End::Clean => end = end.max(Some(segment.last())),
            _ => return Ok(None),
        }
    }
    Ok(end)
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
