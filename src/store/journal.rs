//! The batches that were committed since the last checkpoint, appended to files and synced: a batch is acknowledged when
//! it stands here, and what the database has lost is taken from here.
//!
//! ```text
//! file     "BNDRJRN" | format (1) | incarnation (16, zeros in a store of before) | revision of the first entry (8) | checksum (16) | entries | zeros
//! entry    octets of content (4) | revision (8) | checksum (16) | content
//! content  items: octets of key (2) | octets of value (4), all ones where the item is gone | key | value
//! ```
//!
//! Numbers are little-endian. The checksum of a file's beginning covers what stands before it; that of an entry covers the
//! incarnation, the revision and the content. Revisions follow on each other without a gap, over all files. A file grows
//! ahead of what is written, so zeros stand behind the last entry; anything else there is an entry that a crash has torn,
//! or damage: which of the two, the database knows, because it is written and synced before a batch is acknowledged, too.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;

use super::archive::{CHECKSUM_OCTETS, incarnation_of, octets_of, push_item, take, take_item};
use super::chain::{self, Effort};
use super::commit::Writes;
use super::error::{Damage, StoreError};
use super::unreadable;
use crate::model::{Incarnation, Revision};

/// The file that new entries go to.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    incarnation: Option<Incarnation>,
    /// The revision of its first entry.
    first: Revision,
    /// The revision of the next entry: nobody would find another one there.
    next: Revision,
    /// Where the next entry goes.
    length: u64,
    /// How far the file is ours on the disk.
    allocated: u64,
    /// Whether something stands behind the last entry.
    is_torn: bool,
    /// Octets of the next entry; kept for its memory.
    entry: Vec<u8>,
}

impl fmt::Debug for Journal {
    /// Without the entry whose memory it keeps.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, file: _, incarnation, first, next, length, allocated, is_torn, entry: _ } = self;
        let mut shown = formatter.debug_struct("Journal");
        shown.field("path", path).field("incarnation", incarnation).field("first", first).field("next", next);
        shown.field("length", length).field("allocated", allocated).field("is_torn", is_torn).finish()
    }
}

impl Journal {
    /// Makes a file whose first entry will be of the revision `first`, in the place of one that has its name. `sync` makes
    /// durable which files a directory has.
    ///
    /// # Errors
    /// It cannot be made durable. Then there is none: the file before it is the one to go on with.
    pub(super) fn create(
        directory: &Path,
        incarnation: Option<Incarnation>,
        first: Revision,
        sync: fn(&File) -> io::Result<()>,
    ) -> Result<Self, StoreError> {
        let path = path_of(directory, first);
        let failed = |error| StoreError::from_io(&path, "write", error);
        // Before anything has the name: behind it nothing is opened, as that may be refused.
        let names = File::open(directory).map_err(|error| StoreError::from_io(directory, "open", error))?;
        let new = directory.join(NEW_NAME);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)
            .map_err(failed)?;
        let head = head(incarnation, first);
        file.write_all_at(&head, 0).and_then(|()| file.sync_all()).map_err(failed)?;
        fs::rename(&new, &path).map_err(failed)?;
        if let Err(error) = sync(&names) {
            let _ = fs::remove_file(&path);
            return Err(StoreError::from_io(directory, "sync the directory", error));
        }
        let length = head.len() as u64;
        Ok(Self {
            path,
            file,
            incarnation,
            first,
            next: first,
            length,
            allocated: length,
            is_torn: false,
            entry: Vec::new(),
        })
    }

    /// Goes on behind the last whole entry of a file that was read. What stands there instead of zeros is cut off by the next
    /// entry, and until then the database can be asked what it was.
    ///
    /// # Errors
    /// It cannot be opened for writing.
    pub(super) fn go_on(segment: &Segment) -> Result<Self, StoreError> {
        let path = segment.path.clone();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(|error| StoreError::from_io(&path, "open", error))?;
        Ok(Self {
            path,
            file,
            incarnation: segment.incarnation,
            first: segment.first,
            next: segment.last().saturating_add(1),
            length: segment.length as u64,
            // What stands behind the last entry is of no use to rely on.
            allocated: segment.length as u64,
            is_torn: segment.end != End::Clean,
            entry: Vec::new(),
        })
    }

    /// Where the file is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How many octets of it are written.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Of which life of a store it is.
    pub(super) fn incarnation(&self) -> Option<Incarnation> {
        self.incarnation
    }

    /// The revision of its first entry.
    pub(super) fn first(&self) -> Revision {
        self.first
    }

    /// Appends the batch that leads to `revision`; it is on disk when this returns.
    ///
    /// # Errors
    /// With [`StoreError::Full`] nothing of it is there, nor where it does not follow on the entry before. Anything else leaves
    /// open whether it is.
    pub(super) fn append(&mut self, revision: Revision, writes: &Writes) -> Result<(), StoreError> {
        let failed = |error| StoreError::from_io(&self.path, "write", error);
        if revision != self.next {
            let reason = format!("revision {revision} is not the next one there, which is {}", self.next);
            return Err(self.unknown(io::Error::other(reason)));
        }
        let mut entry = std::mem::take(&mut self.entry);
        entry.clear();
        entry.resize(ENTRY_HEAD_OCTETS, 0);
        for (key, value) in writes {
            push_item(&mut entry, key, value.as_deref()).map_err(failed)?;
        }
        let Some((head, content)) = entry.split_first_chunk_mut::<ENTRY_HEAD_OCTETS>() else { return Ok(()) };
        let length = u32::try_from(content.len()).map_err(|error| failed(io::Error::other(error)))?;
        head.copy_from_slice(&entry_head(self.incarnation, revision, length, content));

        if self.is_torn {
            let cut = self.file.set_len(self.length).and_then(|()| self.file.sync_all());
            cut.map_err(|error| self.unknown(error))?;
            self.is_torn = false;
        }
        let end = self.length.saturating_add(entry.len() as u64);
        self.allocate(end)?;
        if let Err(error) = self.file.write_all_at(&entry, self.length) {
            let error = StoreError::from_io(&self.path, "write", error);
            // A file system that takes back what it had promised: as if nothing had been tried, where that can be said.
            return match self.file.set_len(self.length).and_then(|()| self.file.sync_all()) {
                Ok(()) if error.is_full() => {
                    self.allocated = self.length;
                    Err(error)
                }
                _ => Err(self.unknown(io::Error::other(error.to_string()))),
            };
        }
        self.file.sync_data().map_err(|error| self.unknown(error))?;
        self.length = end;
        self.next = revision.saturating_add(1);
        if entry.capacity() <= ENTRY_KEPT_OCTETS {
            self.entry = entry;
        }
        Ok(())
    }

    /// Makes durable what stands in it, by `sync`.
    ///
    /// # Errors
    /// What is on the disk is not known then.
    pub(super) fn sync(&self, sync: fn(&File) -> io::Result<()>) -> Result<(), StoreError> {
        sync(&self.file).map_err(|error| self.unknown(error))
    }

    /// Lets every write fail from now on, as a broken disk does.
    #[cfg(test)]
    #[allow(clippy::unwrap_used)]
    pub(super) fn refuse_writes(&mut self) {
        self.file = OpenOptions::new().read(true).write(true).open("/dev/full").unwrap();
    }

    /// Takes space on the disk up to `end`, ahead of what is written.
    fn allocate(&mut self, end: u64) -> Result<(), StoreError> {
        if end <= self.allocated {
            return Ok(());
        }
        let wanted = end.div_ceil(STEP_OCTETS).saturating_mul(STEP_OCTETS);
        let flags = FallocateFlags::empty();
        // A signal that only passes by interrupts it on some file systems.
        let taken = rustix::io::retry_on_intr(|| {
            rustix::fs::fallocate(&self.file, flags, self.allocated, wanted - self.allocated)
        });
        self.note_taken(wanted, taken)
    }

    /// Not every file system can take space ahead, and they say so in several ways: then the write itself says whether there is
    /// some.
    fn note_taken(&mut self, end: u64, taken: rustix::io::Result<()>) -> Result<(), StoreError> {
        let taken = taken.map_err(|error| StoreError::from_io(&self.path, "take space for", error.into()));
        match taken {
            Ok(()) => self.allocated = end,
            Err(error) if error.is_full() => return Err(error),
            Err(_) => {}
        }
        Ok(())
    }

    /// A failure of which nobody knows what it left; not a full disk, whatever the reason.
    fn unknown(&self, source: io::Error) -> StoreError {
        StoreError::Io { path: self.path.clone(), doing: "write and sync", source }
    }
}

/// A file as it was read.
pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) incarnation: Option<Incarnation>,
    /// The revision of its first entry, whether there is one or not.
    pub(super) first: Revision,
    octets: Vec<u8>,
    entries: Vec<Entry>,
    /// Behind the last whole entry.
    pub(super) length: usize,
    /// What stands there.
    pub(super) end: End,
}

impl fmt::Debug for Segment {
    /// Without what it holds: there are hashes and sealed secrets in it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, incarnation, first, octets: _, entries: _, length, end } = self;
        let mut shown = formatter.debug_struct("Segment");
        shown.field("path", path).field("incarnation", incarnation).field("first", first);
        shown.field("last", &self.last()).field("length", length).field("end", end).finish()
    }
}

#[derive(Clone, Debug)]
struct Entry {
    revision: Revision,
    content: std::ops::Range<usize>,
}

/// What stands behind the last whole entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Nothing, or zeros.
    Clean,
    /// Something: an entry that was never acknowledged, or one that was damaged.
    Torn,
    /// Something with a whole entry behind it: damage.
    Damaged,
}

impl Segment {
    /// Reads a file of a `store`, as far as it is known of which life that is; `None`: its beginning is damaged. Beside it the
    /// highest revision that stands anywhere in the file, behind damage too.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn read(
        path: &Path,
        file: &File,
        store: Option<Incarnation>,
    ) -> Result<(Option<Self>, Revision), StoreError> {
        Self::read_up_to(path, file, store, u64::MAX)
    }

    /// The same of the first octets of a file that is written on meanwhile.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn read_up_to(
        path: &Path,
        file: &File,
        store: Option<Incarnation>,
        length: u64,
    ) -> Result<(Option<Self>, Revision), StoreError> {
        let failed = |error| StoreError::from_io(path, "read", error);
        let octets = unreadable::read_up_to(file, length).map_err(failed)?;
        let segment = Self::of(path, &octets);
        let last = match &segment {
            Some(segment) if segment.end != End::Damaged => segment.last(),
            _ => {
                let mut last = 0;
                // Behind a checkpoint that has an incarnation no file is without one.
                let life = Life { store, may_be_before: false };
                salvage(path, &octets, life, |revision, _, _| last = last.max(revision));
                last
            }
        };
        Ok((segment.map(|segment| Self { octets, ..segment }), last))
    }

    /// What stands behind the last whole entry, without the zeros at its end.
    pub(super) fn behind(&self) -> &[u8] {
        let behind = self.octets.get(self.length..).unwrap_or_default();
        let end = behind.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
        behind.get(..end).unwrap_or_default()
    }

    /// What is damaged there.
    pub(super) fn damage(&self) -> Damage {
        Damage::File { path: self.path.clone(), reason: format!("it is damaged at octet {}", self.length) }
    }

    /// Cuts off what stands behind the last whole entry of the file.
    ///
    /// # Errors
    /// It cannot be made durable.
    pub(super) fn cut(&self) -> Result<(), StoreError> {
        let file = OpenOptions::new().write(true).open(&self.path);
        file.and_then(|file| {
            file.set_len(self.length as u64)?;
            file.sync_all()
        })
        .map_err(|error| StoreError::from_io(&self.path, "cut the torn end of", error))
    }

    /// What stands in these octets, without them.
    fn of(path: &Path, octets: &[u8]) -> Option<Self> {
        let (incarnation, first) = read_head(octets)?;
        let mut entries: Vec<Entry> = Vec::new();
        let mut length = HEAD_OCTETS;
        let mut revision = first;
        while let Some(content) = whole_entry(octets, length, incarnation, revision) {
            length = content.end;
            entries.push(Entry { revision, content });
            revision = revision.saturating_add(1);
        }
        let behind = octets.get(length..).unwrap_or_default();
        let end = if behind.iter().all(|octet| *octet == 0) {
            End::Clean
        } else if runs_in(octets, length, [first, revision], incarnation).len() > 1 {
            End::Damaged
        } else {
            End::Torn
        };
        Some(Self { path: path.to_owned(), incarnation, first, octets: Vec::new(), entries, length, end })
    }

    /// The revision that it leads to.
    pub(super) fn last(&self) -> Revision {
        self.entries.last().map_or(self.first.saturating_sub(1), |entry| entry.revision)
    }

    /// Whether the name of the file is that of the revision that it begins with.
    pub(super) fn is_named_by_first(&self) -> bool {
        named_first(&self.path) == Some(self.first)
    }

    /// The same from a revision on.
    pub(super) fn batches_from(&self, begin: Revision) -> impl Iterator<Item = (Revision, Items<'_>)> {
        self.batches().skip_while(move |(revision, _)| *revision < begin)
    }

    /// The items that each batch has changed, in the order of the revisions.
    pub(super) fn batches(&self) -> impl Iterator<Item = (Revision, Items<'_>)> {
        self.entries.iter().map(|entry| {
            let content = self.octets.get(entry.content.clone()).unwrap_or_default();
            (entry.revision, Items(content))
        })
    }
}

/// The items of one entry: a key, and the value or that the item is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Items<'a>(&'a [u8]);

impl<'a> Iterator for Items<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        take_item(&mut self.0)
    }
}

/// The files in a directory, the oldest first.
///
/// # Errors
/// It cannot be listed.
pub(super) fn files_in(directory: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let failed = |error| StoreError::from_io(directory, "list", error);
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_name().to_str().and_then(first_in_name).is_some() {
            files.push(entry.path());
        }
    }
    // The numbers have one length, so the names are in the order of the revisions.
    files.sort();
    Ok(files)
}

/// Of which life of a store a file is that does not say it any more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    /// That of the store, as far as it is known.
    pub(super) store: Option<Incarnation>,
    /// Whether the file may be of before the store had one: then anybody can seal for it.
    pub(super) may_be_before: bool,
}

/// Shows all items of the whole entries of a damaged file that belong together, with their revisions.
pub(super) fn salvage<'a>(
    path: &Path,
    octets: &'a [u8],
    life: Life,
    mut visit: impl FnMut(Revision, &'a [u8], Option<&'a [u8]>),
) {
    let read = read_head(octets);
    let Some(first) = read.map(|(_, first)| first).or_else(|| named_first(path)) else { return };
    let of_life = match (read, life.store) {
        (Some((incarnation, _)), _) => Some(incarnation),
        // What is of another life is of no use.
        (None, Some(store)) => Some(Some(store)),
        // Where the beginning is damaged, what stands in it as the incarnation may be right all the same.
        (None, None) => legible_incarnation(octets).map(Some),
    };
    let before = (read.is_none() && (life.may_be_before || life.store.is_none())).then_some(None);
    // A file is of one: what is sealed otherwise is looked for where nothing is sealed so.
    let runs = of_life.into_iter().chain(before).map(|of| runs_in(octets, HEAD_OCTETS, [first, first], of));
    let mut runs = runs.filter(|runs| runs.iter().any(|run| !run.entries.is_empty()));
    for run in runs.next().unwrap_or_default() {
        for entry in run.entries {
            for (key, value) in Items(octets.get(entry.content).unwrap_or_default()) {
                visit(entry.revision, key, value);
            }
        }
    }
}

/// Of which life of a store a file says it is, damaged or not: in its beginning or, where that is damaged, by an entry that is
/// sealed so.
pub(super) fn life_of(path: &Path, octets: &[u8]) -> Option<Incarnation> {
    if let Some((incarnation, _)) = read_head(octets) {
        return incarnation;
    }
    let legible = legible_incarnation(octets)?;
    let mut is_sealed = false;
    let life = Life { store: Some(legible), may_be_before: false };
    salvage(path, octets, life, |_, _, _| is_sealed = true);
    is_sealed.then_some(legible)
}

/// What stands where the incarnation does, without the checksum.
fn legible_incarnation(octets: &[u8]) -> Option<Incarnation> {
    incarnation_of(*octets.get(MAGIC.len()..)?.first_chunk()?)
}

/// Whole entries that stand one behind the other, of revisions that do.
struct Run {
    entries: Vec<Entry>,
    at: usize,
    end: usize,
    first: Revision,
    /// The revision that may follow.
    next: Revision,
}

impl Run {
    /// Whether another may follow: of the next revision right behind, or where something damaged is between, of one for
    /// which there is room. What nobody can seal who has put it there may be of the next revision behind something else, too.
    fn leads_to(&self, next: &Self, is_sealed: bool) -> bool {
        let between = next.first.checked_sub(self.next);
        between.is_some_and(|between| {
            let room = next.at.saturating_sub(self.end) / ENTRY_HEAD_OCTETS;
            let is_next = between == 0 && (next.at == self.end || is_sealed);
            is_next || between > 0 && between <= room as Revision
        })
    }
}

/// The runs that belong together in what stands from `at` on: the first one, which is empty, ends there. The file begins with
/// the first of the revisions, and the second one follows at `at`.
fn runs_in(
    octets: &[u8],
    at: usize,
    [first, next]: [Revision; 2],
    incarnation: Option<Incarnation>,
) -> Vec<Run> {
    let any_entry = |at| any_entry(octets, at, incarnation);
    let mut runs = vec![Run { entries: Vec::new(), at, end: at, first: next, next }];
    let mut at = at;
    let mut effort = Effort::default();
    while at < octets.len() {
        let length =
            may_stand_at(octets, at, first).filter(|length| effort.allows(at as u64, *length as u64));
        let found = length.and_then(|length| {
            let found = any_entry(at);
            if found.is_none() {
                effort.spend(length as u64);
            }
            found
        });
        let Some((revision, content)) = found else {
            let expected = runs.last().filter(|run| run.end == at).map(|run| run.next);
            at = expected.and_then(|next| behind(octets, at, next, any_entry)).unwrap_or(at + 1);
            continue;
        };
        let end = content.end;
        let entry = Entry { revision, content };
        match runs.last_mut() {
            Some(run) if run.end == at && run.next == revision => {
                (run.end, run.next) = (end, revision.saturating_add(1));
                run.entries.push(entry);
            }
            _ => {
                let next = revision.saturating_add(1);
                runs.push(Run { entries: vec![entry], at, end, first: revision, next });
            }
        }
        at = end;
    }
    // Where the file begins is known: what does not follow from there is of no use.
    let weight = |run: &Run| if run.entries.is_empty() { u64::MAX / 2 } else { (run.end - run.at) as u64 };
    let chain = chain::heaviest(&runs, weight, |run, next| run.leads_to(next, incarnation.is_some()));
    let mut chain = chain.into_iter().peekable();
    let numbered = runs.into_iter().enumerate();
    numbered.filter(|(number, _)| chain.next_if_eq(number).is_some()).map(|(_, run)| run).collect()
}

/// How long the entry is of a file that begins with the revision `first`, if one may begin at `at`, by the length and revision
/// that it would have.
fn may_stand_at(octets: &[u8], at: usize, first: Revision) -> Option<usize> {
    let (length, revision) = lengths_at(octets, at)?;
    let room = at.saturating_sub(HEAD_OCTETS) / ENTRY_HEAD_OCTETS;
    let has_room = revision.checked_sub(first).is_some_and(|before| before <= room as Revision);
    let fits = at.checked_add(ENTRY_HEAD_OCTETS)?.checked_add(length)? <= octets.len();
    (has_room && fits).then_some(length)
}

/// The length and revision that an entry has which begins at `at`.
fn lengths_at(octets: &[u8], at: usize) -> Option<(usize, Revision)> {
    let mut rest = octets.get(at..)?;
    let length = usize::try_from(u32::from_le_bytes(take(&mut rest)?)).ok()?;
    // A length of zero begins no entry: most of a file may be zeros.
    (length > 0).then_some((length, Revision::from_le_bytes(take(&mut rest)?)))
}

/// Where it goes on behind damaged entries, of which the first is of the revision `next`, if they are as long as they say: what
/// is in a value of theirs is no entry.
fn behind(
    octets: &[u8],
    mut at: usize,
    mut next: Revision,
    any_entry: impl Fn(usize) -> Option<(Revision, std::ops::Range<usize>)>,
) -> Option<usize> {
    loop {
        let (length, revision) = lengths_at(octets, at)?;
        if revision != next {
            return None;
        }
        let begin = at.checked_add(ENTRY_HEAD_OCTETS)?;
        let end = begin.checked_add(length)?;
        let (content, rest) = (octets.get(begin..end)?, octets.get(end..)?);
        next = next.checked_add(1)?;
        if any_entry(end).is_some_and(|(revision, _)| revision == next) {
            return Some(end);
        }
        // Where a damaged length leads into the zeros at the end, what is passed over is no row of items.
        if rest.iter().all(|octet| *octet == 0) {
            return has_form(content).then_some(octets.len());
        }
        at = end;
    }
}

/// Whether this could be the items of an entry.
fn has_form(content: &[u8]) -> bool {
    let (mut rest, mut last) = (content, &[][..]);
    while !rest.is_empty() {
        match take_item(&mut rest) {
            Some((key, _)) if key > last => last = key,
            _ => return false,
        }
    }
    true
}

/// Where the file is that begins with this revision.
pub(super) fn path_of(directory: &Path, first: Revision) -> PathBuf {
    directory.join(format!("{FILE_PREFIX}{first:020}"))
}

fn named_first(path: &Path) -> Option<Revision> {
    path.file_name().and_then(|name| name.to_str()).and_then(first_in_name)
}

fn first_in_name(name: &str) -> Option<Revision> {
    let digits = name.strip_prefix(FILE_PREFIX)?;
    if digits.len() == REVISION_DIGITS { digits.parse().ok() } else { None }
}

fn head(incarnation: Option<Incarnation>, first: Revision) -> Vec<u8> {
    let mut octets = Vec::with_capacity(HEAD_OCTETS);
    octets.extend_from_slice(MAGIC);
    octets.extend_from_slice(&octets_of(incarnation));
    octets.extend_from_slice(&first.to_le_bytes());
    let checksum = blake3::hash(&octets);
    octets.extend(checksum.as_bytes().iter().take(CHECKSUM_OCTETS));
    octets
}

fn read_head(octets: &[u8]) -> Option<(Option<Incarnation>, Revision)> {
    let mut rest = octets.strip_prefix(MAGIC)?;
    let incarnation = incarnation_of(take(&mut rest)?);
    let first = Revision::from_le_bytes(take(&mut rest)?);
    octets.starts_with(&head(incarnation, first)).then_some((incarnation, first))
}

fn entry_head(
    incarnation: Option<Incarnation>,
    revision: Revision,
    length: u32,
    content: &[u8],
) -> [u8; ENTRY_HEAD_OCTETS] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&octets_of(incarnation));
    hasher.update(&revision.to_le_bytes());
    hasher.update(content);
    let mut head = [0; ENTRY_HEAD_OCTETS];
    let [l0, l1, l2, l3, rest @ ..] = &mut head;
    [*l0, *l1, *l2, *l3] = length.to_le_bytes();
    if let Some((number, checksum)) = rest.split_first_chunk_mut::<8>() {
        *number = revision.to_le_bytes();
        hasher.finalize_xof().fill(checksum);
    }
    head
}

/// Where the content of the entry is that begins at `at`, if it is whole and of this revision.
fn whole_entry(
    octets: &[u8],
    at: usize,
    incarnation: Option<Incarnation>,
    revision: Revision,
) -> Option<std::ops::Range<usize>> {
    any_entry(octets, at, incarnation).filter(|found| found.0 == revision).map(|found| found.1)
}

/// The same of any revision.
fn any_entry(
    octets: &[u8],
    at: usize,
    incarnation: Option<Incarnation>,
) -> Option<(Revision, std::ops::Range<usize>)> {
    let head: &[u8; ENTRY_HEAD_OCTETS] = octets.get(at..)?.first_chunk()?;
    let mut rest = &head[..];
    let length = u32::from_le_bytes(take(&mut rest)?);
    let revision = Revision::from_le_bytes(take(&mut rest)?);
    if length == 0 {
        return None;
    }
    let begin = at + ENTRY_HEAD_OCTETS;
    let range = begin..begin.checked_add(usize::try_from(length).ok()?)?;
    let content = octets.get(range.clone())?;
    (*head == entry_head(incarnation, revision, length, content)).then_some((revision, range))
}

const MAGIC: &[u8; 8] = b"BNDRJRN\x01";
const FILE_PREFIX: &str = "batches.";
const REVISION_DIGITS: usize = 20;
pub(super) const NEW_NAME: &str = "batches.new";
const HEAD_OCTETS: usize = MAGIC.len() + 16 + 8 + CHECKSUM_OCTETS;
const ENTRY_HEAD_OCTETS: usize = 4 + 8 + CHECKSUM_OCTETS;
/// A file grows by so much, so that few commits change its length.
const STEP_OCTETS: u64 = 256 * 1024;
/// More memory than this is not kept for the next entry.
const ENTRY_KEPT_OCTETS: usize = 1024 * 1024;

/// An entry with one item, sealed for the file that begins with `octets`.
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) fn sealed(octets: &[u8], revision: Revision, key: &[u8], value: &[u8]) -> Vec<u8> {
    let (incarnation, _) = read_head(octets).unwrap();
    let mut content = Vec::new();
    push_item(&mut content, key, Some(value)).unwrap();
    let length = content.len().try_into().unwrap();
    [&entry_head(incarnation, revision, length, &content), &*content].concat()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn writes(revision: Revision) -> Writes {
        let mut writes = Writes::new();
        writes.insert(vec![1, revision as u8], Some(vec![7; 100]));
        writes.insert(vec![2, revision as u8], None);
        writes
    }

    fn journal() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let incarnation = Some(Incarnation::new([3; 16]));
        let mut journal = Journal::create(directory.path(), incarnation, 5, File::sync_all).unwrap();
        for revision in 5..=8 {
            journal.append(revision, &writes(revision)).unwrap();
        }
        let path = journal.path().to_owned();
        (directory, path)
    }

    fn read(path: &Path) -> Option<Segment> {
        Segment::read(path, &File::open(path).unwrap(), None).unwrap().0
    }

    fn of(octets: &[u8]) -> Option<Segment> {
        Segment::of(Path::new("batches"), octets)
    }

    #[test]
    fn what_is_appended_is_read() {
        let (_directory, path) = journal();
        let segment = read(&path).unwrap();
        assert_eq!((segment.first, segment.last(), segment.end), (5, 8, End::Clean));
        for (revision, items) in segment.batches() {
            let found: Writes = items.map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec))).collect();
            assert_eq!(found, writes(revision));
        }
        let mut journal = Journal::go_on(&segment).unwrap();
        journal.append(9, &writes(9)).unwrap();
        assert_eq!(read(&path).unwrap().last(), 9);
    }

    /// Nobody would find it there.
    #[test]
    fn what_does_not_follow_on_the_entry_before_is_not_written() {
        let (directory, path) = journal();
        let segment = read(&path).unwrap();
        let journals = [
            (Journal::go_on(&segment).unwrap(), 9, path.clone()),
            (
                Journal::create(directory.path(), None, 12, File::sync_all).unwrap(),
                12,
                path_of(directory.path(), 12),
            ),
        ];
        for (mut journal, next, path) in journals {
            let before = std::fs::read(&path).unwrap();
            for revision in [0, next - 1, next + 1, u64::MAX] {
                let error = journal.append(revision, &writes(7)).unwrap_err();
                assert!(!error.is_full(), "{error}");
                assert!(std::fs::read(&path).unwrap() == before, "{revision}");
            }
            journal.append(next, &writes(7)).unwrap();
            assert!(journal.append(next, &writes(7)).is_err(), "once");
            assert_eq!(read(&path).unwrap().last(), next);
        }
    }

    #[test]
    fn space_that_cannot_be_taken_ahead_is_no_failure_and_a_full_disk_is_one() {
        use rustix::io::Errno;

        let (_directory, path) = journal();
        let mut journal = Journal::go_on(&read(&path).unwrap()).unwrap();
        let allocated = journal.allocated;
        for errno in [Errno::OPNOTSUPP, Errno::NOSYS, Errno::PERM, Errno::INVAL, Errno::NODEV, Errno::IO] {
            journal.note_taken(1 << 30, Err(errno)).unwrap();
            assert_eq!(journal.allocated, allocated, "{errno}");
        }
        for errno in [Errno::NOSPC, Errno::DQUOT, Errno::FBIG] {
            assert!(journal.note_taken(1 << 30, Err(errno)).unwrap_err().is_full(), "{errno}");
        }
        journal.note_taken(1 << 30, Ok(())).unwrap();
        assert_eq!(journal.allocated, 1 << 30);
    }

    #[test]
    fn a_file_that_is_not_made_durable_is_not_there() {
        let directory = tempfile::tempdir().unwrap();
        let refused = |_: &File| Err(io::Error::from(rustix::io::Errno::IO));
        let error = Journal::create(directory.path(), None, 5, refused).unwrap_err();
        assert!(error.to_string().contains("sync the directory"), "{error}");
        assert!(files_in(directory.path()).unwrap().is_empty());
    }

    #[test]
    fn a_file_says_of_which_life_it_is_where_its_beginning_is_damaged() {
        let (_directory, path) = journal();
        let octets = std::fs::read(&path).unwrap();
        let life = Some(Incarnation::new([3; 16]));
        assert_eq!(life_of(&path, &octets), life);
        for at in 0..HEAD_OCTETS {
            let mut flipped = octets.clone();
            flipped[at] ^= 0x10;
            let is_in_it = (MAGIC.len()..MAGIC.len() + 16).contains(&at);
            assert_eq!(life_of(&path, &flipped), life.filter(|_| !is_in_it), "{at}");
            assert_eq!(salvaged(&path, &flipped, Some(Incarnation::new([4; 16]))), [0; 0], "{at}");
        }
    }

    #[test]
    fn every_cut_ends_at_an_entry_before_it() {
        let (_directory, path) = journal();
        let octets = std::fs::read(&path).unwrap();
        let whole = read(&path).unwrap();
        for cut in 0..=whole.length {
            match of(&octets[..cut]) {
                None => assert!(cut < HEAD_OCTETS),
                Some(segment) => {
                    assert!(segment.length <= cut);
                    assert_eq!(segment.end == End::Clean, segment.length == cut, "{cut}");
                }
            }
        }
    }

    #[test]
    fn a_flipped_bit_is_told_from_a_torn_end() {
        let (_directory, path) = journal();
        let octets = std::fs::read(&path).unwrap();
        let whole = read(&path).unwrap();
        let last = whole.entries[3].content.start - ENTRY_HEAD_OCTETS;
        for at in 0..whole.length {
            let mut flipped = octets.clone();
            flipped[at] ^= 0x10;
            match of(&flipped) {
                None => assert!(at < HEAD_OCTETS),
                Some(segment) => {
                    let expected = if at < last { End::Damaged } else { End::Torn };
                    assert_eq!(segment.end, expected, "{at}");
                }
            }
        }
    }

    #[test]
    fn what_stands_behind_a_damaged_entry_is_salvaged() {
        let (_directory, path) = journal();
        let mut octets = std::fs::read(&path).unwrap();
        octets[HEAD_OCTETS + ENTRY_HEAD_OCTETS] ^= 1;
        assert_eq!(salvaged(&path, &octets, None), [6, 7, 8]);
    }

    fn salvaged(path: &Path, octets: &[u8], store: Option<Incarnation>) -> Vec<Revision> {
        let mut found = Vec::new();
        let life = Life { store, may_be_before: false };
        salvage(path, octets, life, |revision, _, _| found.push(revision));
        found.dedup();
        found
    }

    /// A journal whose third entry has whole entries in a value, and where that entry begins and ends; other values follow.
    fn planted(incarnation: Option<Incarnation>) -> (tempfile::TempDir, PathBuf, Vec<u8>, [usize; 2]) {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(directory.path(), incarnation, 5, File::sync_all).unwrap();
        let head = head(None, 5);
        let forged: Vec<u8> = [6, 7, 8, 9, 1000, u64::MAX, 0]
            .iter()
            .flat_map(|revision| sealed(&head, *revision, b"key", b"forged"))
            .collect();
        let mut place = [0; 2];
        for revision in 5..=8 {
            let mut writes = writes(revision);
            if revision == 7 {
                writes.insert(vec![1, 100], Some([&[0xff; 8], &*forged].concat()));
                place[0] = journal.length() as usize;
            }
            journal.append(revision, &writes).unwrap();
            if revision == 7 {
                place[1] = journal.length() as usize;
            }
        }
        let path = journal.path().to_owned();
        let octets = std::fs::read(&path).unwrap();
        (directory, path, octets, place)
    }

    /// Whatever is damaged, what somebody has put into a value is no entry.
    #[test]
    fn an_entry_in_a_value_is_none() {
        let incarnation = Some(Incarnation::new([3; 16]));
        let (_directory, path, octets, [begin, end]) = planted(incarnation);
        for at in (0..HEAD_OCTETS).chain(begin..end) {
            let mut flipped = octets.clone();
            flipped[at] ^= 0x10;
            let expected = if at < HEAD_OCTETS { &[5, 6, 7, 8][..] } else { &[5, 6, 8] };
            assert_eq!(salvaged(&path, &flipped, incarnation), expected, "{at}");
        }
        // The last one.
        for at in begin..end {
            let mut flipped = octets[..end].to_vec();
            flipped[at] ^= 0x10;
            flipped.resize(octets.len(), 0);
            assert_eq!(salvaged(&path, &flipped, incarnation), [5, 6], "{at}");
            assert_eq!(of(&flipped).unwrap().end, End::Torn, "{at}");
        }
    }

    /// Anybody can seal for a store that has no incarnation: an entry that is as long as it says is not looked into.
    #[test]
    fn an_entry_in_a_value_is_none_of_a_store_without_an_incarnation() {
        let (_directory, path, octets, [begin, end]) = planted(None);
        for at in begin + 12..begin + ENTRY_HEAD_OCTETS {
            let mut flipped = octets.clone();
            flipped[at] ^= 0x10;
            assert_eq!(salvaged(&path, &flipped, None), [5, 6, 8], "{at}");
            flipped[end..].fill(0);
            assert_eq!(salvaged(&path, &flipped, None), [5, 6], "{at}");
            assert_eq!(of(&flipped).unwrap().end, End::Torn, "{at}");
        }
    }

    /// Where the store has got an incarnation since, and nothing in the file is sealed with that.
    #[test]
    fn a_file_of_before_incarnations_is_known_where_there_may_be_one() {
        let of = |incarnation, may_be_before| {
            let (_directory, path, mut octets, _) = planted(incarnation);
            octets[0] ^= 1;
            let mut found = Vec::new();
            let life = Life { store: Some(Incarnation::new([3; 16])), may_be_before };
            salvage(&path, &octets, life, |revision, _, _| found.push(revision));
            found.dedup();
            found
        };
        assert_eq!(of(None, true), [5, 6, 7, 8]);
        assert_eq!(of(None, false), [0; 0]);
        for may_be_before in [false, true] {
            assert_eq!(of(Some(Incarnation::new([3; 16])), may_be_before), [5, 6, 7, 8]);
        }
    }

    /// As long as somebody wants it to take: an entry of a length that reaches to the end of the file at each few octets.
    #[test]
    fn what_looks_like_an_entry_at_each_octet_takes_no_time() {
        let (_directory, path) = journal();
        let mut octets = std::fs::read(&path).unwrap();
        let length = read(&path).unwrap().length;
        octets.truncate(length);
        let far: Vec<u8> = [&1_000_000_u32.to_le_bytes()[..], &(1_u64 << 40).to_le_bytes()].concat();
        octets.extend(far.repeat(1 << 18));
        assert_eq!(of(&octets).unwrap().end, End::Torn);
        octets[HEAD_OCTETS + ENTRY_HEAD_OCTETS] ^= 1;
        assert_eq!(salvaged(&path, &octets, None), [6, 7, 8]);
    }

    /// The same of revisions that may well stand there, and what stands behind all of them is found.
    #[test]
    fn what_may_be_an_entry_at_each_octet_takes_no_time() {
        let (_directory, path) = journal();
        let octets = std::fs::read(&path).unwrap();
        let segment = read(&path).unwrap();
        let third = segment.entries[2].content.start - ENTRY_HEAD_OCTETS;
        for revision in [5_u64, 6, 7] {
            let planted = [&4_000_000_u32.to_le_bytes()[..], &revision.to_le_bytes()].concat();
            let planted = planted.repeat(1 << 19);
            let mut octets = [&octets[..third], &planted, &octets[third..segment.length]].concat();
            octets.resize(octets.len() + 1_000, 0);
            assert_eq!(of(&octets).unwrap().end, End::Damaged);
            assert_eq!(salvaged(&path, &octets, None), [5, 6, 7, 8], "{revision}");
        }
    }
}
