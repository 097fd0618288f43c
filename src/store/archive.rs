//! A file that holds all items of a store at one revision: what a checkpoint and a backup are.
//!
//! It is written and read from its beginning to its end, without sled, in blocks that each have a checksum:
//!
//! ```text
//! file     block of kind H | blocks of kind I | perhaps one block of kind K | block of kind E
//! block    "bndr" | kind (1) | number of the block, from 0 (8) | octets of content (4) | checksum (16) | content
//! H        format (2) | incarnation of the store it was made from (16) | made at, Unix seconds (8)
//!          | octets (4) and value of the item that describes the store
//! I        items, in the order of their keys: octets of key (2) | octets of value (4) | key | value
//! K        the content of the file `token.key`
//! E        items (8) | octets of all their keys and values (8) | BLAKE3 over the checksums of the blocks before (32)
//! ```
//!
//! Numbers are little-endian. A block's checksum is the first 16 octets of BLAKE3 over everything in the block but the
//! checksum itself, so that no block can stand in another's place; the last block tells that nothing is missing. Keys and
//! values are those of [`super::record`], each with the checksum that it has in the database.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::Meta;
use super::chain::{self, Effort};
use super::error::Damage;
use super::record::{self, Fault, Item};
use super::unreadable::PAGE_OCTETS;
use super::verify::Verifier;
use crate::model::{Incarnation, Record, Timestamp};
use crate::secret::Secret;

/// Why an archive cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It does not begin as one.
    #[error("it is no backup of bindery")]
    Foreign,
    /// A later version of bindery made it.
    #[error("a newer version of bindery made it (format {format}, this one knows up to {known})", known = FORMAT)]
    TooNew {
        /// Its format.
        format: u16,
    },
    /// It ends before its last block.
    #[error("it ends too early: it has {octets} octets, and its end is missing")]
    Cut {
        /// How long it is.
        octets: u64,
    },
    /// A block is not what was written.
    #[error("it is damaged at octet {at}")]
    Damaged {
        /// Where the block begins.
        at: u64,
    },
    /// All blocks are whole, and yet they are not what they should hold together.
    #[error("its content is wrong: {0}")]
    Content(#[from] Damage),
    /// An item was written by a later version.
    #[error("a newer version of bindery made it ({item} has format {version})")]
    ItemTooNew {
        /// Which.
        item: String,
        /// Its format.
        version: u8,
    },
    /// It cannot be read, or what is made of it cannot be written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<Fault> for ArchiveError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Damaged(damage) => Self::Content(damage),
            Fault::TooNew { item, version } => Self::ItemTooNew { item, version },
        }
    }
}

/// What an archive says of itself in its first block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The store at that moment.
    pub meta: Meta,
    /// When it was made.
    pub made: Timestamp,
    /// Which life of the store it is of; that which the first batch gives it, where there is none yet.
    pub incarnation: Option<Incarnation>,
}

impl Head {
    /// Which life of a store it is of.
    pub(super) fn life(&self) -> Option<Incarnation> {
        self.meta.incarnation.or(self.incarnation)
    }
}

/// What an archive was found to hold.
#[derive(Debug)]
pub struct Summary {
    /// What it says of itself.
    pub head: Head,
    /// The keys of tokens, where it holds them.
    pub keys: Option<Secret>,
}

/// Writes an archive.
pub(super) struct ArchiveWriter<W: Write> {
    out: W,
    block: Vec<u8>,
    blocks: u64,
    items: u64,
    octets: u64,
    whole: blake3::Hasher,
}

impl<W: Write> ArchiveWriter<W> {
    /// Begins an archive of a store that `meta` describes.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn new(out: W, meta: &Meta, made: Timestamp) -> io::Result<Self> {
        Self::of_life(out, meta, meta.incarnation, made)
    }

    /// The same of a store that has an incarnation before its description says so.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn of_life(
        out: W,
        meta: &Meta,
        incarnation: Option<Incarnation>,
        made: Timestamp,
    ) -> io::Result<Self> {
        let mut writer = Self {
            out,
            block: Vec::with_capacity(BLOCK_OCTETS + BLOCK_OCTETS / 4),
            blocks: 0,
            items: 0,
            octets: 0,
            whole: blake3::Hasher::new(),
        };
        let (_, description) = record::encode_meta(meta).map_err(io::Error::other)?;
        let mut head = Vec::new();
        head.extend_from_slice(&FORMAT.to_le_bytes());
        head.extend_from_slice(&octets_of(incarnation));
        head.extend_from_slice(&made.unix_seconds().to_le_bytes());
        head.extend_from_slice(&length_of(&description)?.to_le_bytes());
        head.extend_from_slice(&description);
        writer.write_block(HEAD, &head)?;
        Ok(writer)
    }

    /// Takes the next item, in the order of keys.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn item(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        self.items += 1;
        self.octets += (key.len() + value.len()) as u64;
        push_item(&mut self.block, key, Some(value))?;
        if self.block.len() >= BLOCK_OCTETS { self.flush() } else { Ok(()) }
    }

    /// Puts the keys of tokens behind the items, and ends the archive; answers with what it was written to.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn finish(mut self, keys: Option<&Secret>) -> io::Result<W> {
        self.flush()?;
        if let Some(keys) = keys {
            self.write_block(KEYS, keys.expose())?;
        }
        let end = end_of(self.items, self.octets, &self.whole);
        self.write_block(END, &end)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let mut block = std::mem::take(&mut self.block);
        self.write_block(ITEMS, &block)?;
        block.clear();
        self.block = block;
        Ok(())
    }

    fn write_block(&mut self, kind: u8, content: &[u8]) -> io::Result<()> {
        if content.len() > BLOCK_OCTETS_MAX as usize {
            return Err(io::Error::other("a block of the archive is too long"));
        }
        let mut head = [0; BLOCK_HEAD_OCTETS];
        let mut rest = &mut head[..];
        rest.write_all(MAGIC)?;
        rest.write_all(&[kind])?;
        rest.write_all(&self.blocks.to_le_bytes())?;
        rest.write_all(&length_of(content)?.to_le_bytes())?;
        let checksum = block_checksum(kind, self.blocks, content);
        rest.write_all(&checksum)?;
        self.whole.update(&checksum);
        self.blocks += 1;
        self.out.write_all(&head)?;
        self.out.write_all(content)
    }
}

/// Reads an archive, block by block.
pub(super) struct ArchiveReader<R: Read> {
    input: R,
    head: Head,
    at: u64,
    blocks: u64,
    items: u64,
    octets: u64,
    whole: blake3::Hasher,
    block: Vec<u8>,
}

impl<R: Read> ArchiveReader<R> {
    /// Reads the first block.
    ///
    /// # Errors
    /// It is none, or the first block is damaged.
    pub(super) fn new(input: R) -> Result<Self, ArchiveError> {
        let mut reader = Self {
            input,
            head: Head { meta: Meta::default(), made: Timestamp::from_unix_seconds(0), incarnation: None },
            at: 0,
            blocks: 0,
            items: 0,
            octets: 0,
            whole: blake3::Hasher::new(),
            block: Vec::new(),
        };
        if reader.next_block()? != HEAD {
            return Err(ArchiveError::Damaged { at: 0 });
        }
        reader.head = read_head(&reader.block)?;
        Ok(reader)
    }

    /// What the first block says.
    pub(super) fn head(&self) -> &Head {
        &self.head
    }

    /// Shows all items, and checks every block to the last.
    ///
    /// # Errors
    /// The archive is not whole, or what `visit` says.
    pub(super) fn read<E: From<ArchiveError>>(
        mut self,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<Summary, E> {
        let mut keys = None;
        loop {
            let at = self.at;
            let before = self.whole.clone();
            let damaged = || E::from(ArchiveError::Damaged { at });
            match self.next_block()? {
                ITEMS if keys.is_none() => {
                    let mut rest = &*self.block;
                    while !rest.is_empty() {
                        let (key, value) = take_item(&mut rest).ok_or_else(damaged)?;
                        let value = value.ok_or_else(damaged)?;
                        self.items += 1;
                        self.octets += (key.len() + value.len()) as u64;
                        visit(key, value)?;
                    }
                }
                KEYS if keys.is_none() => keys = Some(Secret::new(std::mem::take(&mut self.block))),
                END => {
                    let end = end_of(self.items, self.octets, &before);
                    if end != self.block || self.input.read(&mut [0]).map_err(ArchiveError::from)? != 0 {
                        return Err(damaged());
                    }
                    return Ok(Summary { head: self.head, keys });
                }
                _ => return Err(damaged()),
            }
        }
    }

    /// Shows the records of all items, checked as those of a store are at its start.
    ///
    /// # Errors
    /// The archive is not whole, or an item is wrong, missing, or of another revision.
    pub(super) fn verify(self, visit: &mut dyn FnMut(Record)) -> Result<Summary, ArchiveError> {
        let mut verifier = Verifier::default();
        let meta = self.head.meta;
        let summary = self.read(|key, value| -> Result<(), ArchiveError> {
            if let Some(record) = verifier.push(key, value)? {
                visit(record);
            }
            Ok(())
        })?;
        if verifier.finish()? == meta { Ok(summary) } else { Err(ArchiveError::Content(Damage::Sum)) }
    }

    /// Reads the next block into `self.block`; answers with its kind.
    fn next_block(&mut self) -> Result<u8, ArchiveError> {
        let at = self.at;
        let mut head = [0; BLOCK_HEAD_OCTETS];
        self.fill(&mut head)?;
        let (kind, length, checksum) = block_at(at, self.blocks, &head)?;
        let mut block = std::mem::take(&mut self.block);
        block.resize(length as usize, 0);
        self.fill(&mut block)?;
        self.block = block;
        if block_checksum(kind, self.blocks, &self.block) != checksum {
            return Err(ArchiveError::Damaged { at });
        }
        self.whole.update(&checksum);
        self.blocks += 1;
        Ok(kind)
    }

    fn fill(&mut self, octets: &mut [u8]) -> Result<(), ArchiveError> {
        let mut rest = octets;
        while !rest.is_empty() {
            match self.input.read(rest) {
                Ok(0) => return Err(ArchiveError::Cut { octets: self.at }),
                Ok(taken) => {
                    self.at += taken as u64;
                    rest = rest.get_mut(taken..).unwrap_or_default();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Checks every block of an archive in a file, on all processors; answers with what the first one says.
///
/// # Errors
/// The archive is not whole.
pub(super) fn check(file: &File) -> Result<Head, ArchiveError> {
    let blocks = find_blocks(file)?;
    let next = AtomicUsize::new(0);
    let found = Mutex::new((Counted::default(), None));
    let work = || {
        let mut counted = Counted::default();
        let mut content = Vec::new();
        let mut fault = None;
        while fault.is_none() {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(block) = blocks.get(place) else { break };
            let checked = block.read(file, place as u64, &mut content);
            fault = checked.and_then(|()| counted.count(block, &content)).err().map(|fault| (place, fault));
        }
        let (all, first) = &mut *found.lock().unwrap_or_else(PoisonError::into_inner);
        all.items += counted.items;
        all.octets += counted.octets;
        if let Some((place, _)) = &fault
            && first.as_ref().is_none_or(|(other, _)| other > place)
        {
            *first = fault;
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.min(THREADS_MAX).min(blocks.len() / BLOCKS_A_THREAD);
    thread::scope(|scope| {
        for _ in 1..threads {
            // What cannot be started is done by this one.
            let _ = thread::Builder::new().name("check".to_owned()).spawn_scoped(scope, work);
        }
        work();
    });
    let (counted, fault) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, fault)) = fault {
        return Err(fault);
    }
    let (Some(first), Some(last)) = (blocks.first(), blocks.last()) else {
        return Err(ArchiveError::Damaged { at: 0 });
    };
    let mut whole = blake3::Hasher::new();
    for block in blocks.iter().take(blocks.len() - 1) {
        whole.update(&block.checksum);
    }
    let mut content = Vec::new();
    last.read(file, blocks.len() as u64 - 1, &mut content)?;
    if content != end_of(counted.items, counted.octets, &whole) {
        return Err(ArchiveError::Damaged { at: last.at });
    }
    first.read(file, 0, &mut content)?;
    read_head(&content)
}

/// Where a block is in a file.
#[derive(Clone, Copy)]
struct Block {
    at: u64,
    kind: u8,
    length: u32,
    checksum: [u8; CHECKSUM_OCTETS],
}

impl Block {
    fn end(&self) -> u64 {
        self.at.saturating_add(BLOCK_HEAD_OCTETS as u64 + u64::from(self.length))
    }

    /// Whether it is as long as a block of items that is not the last one, and so longer than anything that is in a value.
    fn is_full(&self) -> bool {
        (FULL_OCTETS_MIN..=FULL_OCTETS_MAX).contains(&(self.end() - self.at))
    }

    /// Whether no other block of its number takes its place: of those that may be in a value that one counts which stands before
    /// the last block.
    fn is_settled(&self) -> bool {
        self.kind == HEAD || self.is_full()
    }

    /// Reads its content, and compares the checksum.
    fn read(&self, file: &File, number: u64, content: &mut Vec<u8>) -> Result<(), ArchiveError> {
        content.resize(self.length as usize, 0);
        file.read_exact_at(content, self.at + BLOCK_HEAD_OCTETS as u64)?;
        if block_checksum(self.kind, number, content) == self.checksum {
            Ok(())
        } else {
            Err(ArchiveError::Damaged { at: self.at })
        }
    }
}

/// All blocks of a file, from its heads alone: they stand one behind the other as they should.
fn find_blocks(file: &File) -> Result<Vec<Block>, ArchiveError> {
    let octets = file.metadata()?.len();
    let mut blocks: Vec<Block> = Vec::new();
    let mut at = 0;
    loop {
        let content = at + BLOCK_HEAD_OCTETS as u64;
        if content > octets {
            return Err(ArchiveError::Cut { octets });
        }
        let mut head = [0; BLOCK_HEAD_OCTETS];
        file.read_exact_at(&mut head, at)?;
        let (kind, length, checksum) = block_at(at, blocks.len() as u64, &head)?;
        let end = content + u64::from(length);
        if end > octets {
            return Err(ArchiveError::Cut { octets });
        }
        let is_in_order = match (kind, blocks.last().map(|before| before.kind)) {
            (HEAD, before) => before.is_none(),
            (ITEMS | KEYS, before) => matches!(before, Some(HEAD | ITEMS)),
            (END, before) => before.is_some() && end == octets,
            _ => false,
        };
        if !is_in_order {
            return Err(ArchiveError::Damaged { at });
        }
        blocks.push(Block { at, kind, length, checksum });
        if kind == END {
            return Ok(blocks);
        }
        at = end;
    }
}

/// How much the blocks of items hold.
#[derive(Default)]
struct Counted {
    items: u64,
    octets: u64,
}

impl Counted {
    fn count(&mut self, block: &Block, content: &[u8]) -> Result<(), ArchiveError> {
        let mut rest = if block.kind == ITEMS { content } else { &[] };
        while !rest.is_empty() {
            let Some((key, Some(value))) = take_item(&mut rest) else {
                return Err(ArchiveError::Damaged { at: block.at });
            };
            self.items += 1;
            self.octets += (key.len() + value.len()) as u64;
        }
        Ok(())
    }
}

/// The content of the last block.
fn end_of(items: u64, octets: u64, whole: &blake3::Hasher) -> Vec<u8> {
    let mut end = Vec::with_capacity(END_OCTETS);
    end.extend_from_slice(&items.to_le_bytes());
    end.extend_from_slice(&octets.to_le_bytes());
    end.extend_from_slice(whole.finalize().as_bytes());
    end
}

/// What is left of a damaged archive: of its whole blocks of items those that belong together. All do where the last block vouches
/// for them: then something was put in between, or nothing is wrong.
pub(super) struct Wreck {
    file: File,
    octets: u64,
    head: Option<Head>,
    /// Of items, each with its number.
    blocks: Vec<(u64, Block)>,
    lost: u64,
    /// Whether its last block vouches for all of them.
    is_whole: bool,
}

/// Whole blocks of items that stand one behind the other as they should.
#[derive(Default)]
struct Run {
    blocks: Vec<(u64, Block)>,
    at: u64,
    end: u64,
    first: u64,
    last: u64,
    first_key: Vec<u8>,
    last_key: Vec<u8>,
    /// Whether the first one is in no value.
    is_ours: bool,
    /// Whether the last one can be followed by another: of those of items only the last of all is not full.
    goes_on: bool,
}

impl Run {
    /// One block, if the keys of its items are in order.
    fn of(number: u64, block: Block, content: &[u8]) -> Option<Self> {
        let items = items_in(content)?;
        let ((first_key, _), (last_key, _)) = (items.first()?, items.last()?);
        Some(Self {
            blocks: vec![(number, block)],
            at: block.at,
            end: block.end(),
            first: number,
            last: number,
            first_key: first_key.clone(),
            last_key: last_key.clone(),
            is_ours: block.is_full(),
            goes_on: block.is_full(),
        })
    }

    /// Puts another one behind.
    fn take(&mut self, next: Self) {
        (self.end, self.last, self.last_key) = (next.end, next.last, next.last_key);
        self.goes_on = next.goes_on;
        self.blocks.extend(next.blocks);
    }

    /// Whether another may follow: its keys are higher, and there is room for just as many blocks as its number says, or it
    /// is none that can be in a value: octets that are too many or too few before it lose it nothing.
    fn leads_to(&self, next: &Self) -> bool {
        let Some(between) = next.first.checked_sub(self.last).and_then(|number| number.checked_sub(1)) else {
            return false;
        };
        let room = between.saturating_mul(FULL_OCTETS_MIN)..=between.saturating_mul(FULL_OCTETS_MAX);
        let is_near = next.is_ours || room.contains(&(next.at - self.end));
        self.goes_on && self.last_key < next.first_key && is_near
    }
}

impl Wreck {
    /// Looks through a whole file.
    ///
    /// # Errors
    /// Nobody can say how long it is.
    pub(super) fn of(file: File) -> io::Result<Self> {
        let octets = file.metadata()?.len();
        let mut wreck = Self { file, octets, head: None, blocks: Vec::new(), lost: octets, is_whole: false };
        let (runs, vouched) = wreck.find_runs();
        if !vouched.is_empty() {
            let octets: u64 = vouched.iter().map(|(_, block)| block.end() - block.at).sum();
            wreck.lost = wreck.lost.saturating_sub(octets);
            wreck.is_whole = true;
            wreck.blocks = vouched;
            wreck.blocks.retain(|(_, block)| block.kind == ITEMS);
            return Ok(wreck);
        }
        let chain = chain::heaviest(&runs, |run| run.end - run.at, Run::leads_to);
        let mut chain = chain.into_iter().peekable();
        for (number, run) in runs.into_iter().enumerate() {
            if chain.next_if_eq(&number).is_some() {
                wreck.lost = wreck.lost.saturating_sub(run.end - run.at);
                wreck.blocks.extend(run.blocks);
            }
        }
        Ok(wreck)
    }

    /// Whether no block is missing: what is not in it was not in the store.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// What the first block says, if it was whole.
    pub(super) fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// How many octets the file has, and how many of them are in no block that belongs to it.
    pub(super) fn octets(&self) -> (u64, u64) {
        (self.octets, self.lost)
    }

    /// The items, in the order of their keys.
    pub(super) fn items(&self) -> impl Iterator<Item = Item> {
        self.blocks.iter().flat_map(|(number, block)| {
            let mut content = Vec::new();
            // It was read before: what errs now is not read again.
            if block.read(&self.file, *number, &mut content).is_err() {
                content.clear();
            }
            items_in(&content).unwrap_or_default()
        })
    }

    /// What stands together, and the blocks for which the last one, at the end of the file, vouches, but that one and the keys.
    fn find_runs(&mut self) -> (Vec<Run>, Vec<(u64, Block)>) {
        let mut runs: Vec<Run> = Vec::new();
        let mut all = BTreeMap::new();
        let mut vouched = Vec::new();
        // Of a number that has no business there.
        let mut displaced = None;
        let mut effort = Effort::default();
        let mut content = Vec::new();
        let mut at = 0;
        while at < self.octets {
            let Some((number, block)) = self.read_block(at, &mut effort, &mut content) else {
                at = self.behind(at).unwrap_or_else(|| self.find_magic(at + 1));
                continue;
            };
            let end = block.end();
            let is_settled = all.get(&number).is_some_and(Block::is_settled);
            if block.kind != END && !is_settled {
                all.insert(number, block);
            }
            match block.kind {
                HEAD if at == 0 => {
                    self.head = read_head(&content).ok();
                    runs.push(Run { end, goes_on: true, ..Run::default() });
                }
                ITEMS => match (Run::of(number, block, &content), runs.last_mut()) {
                    (None, _) => {}
                    (Some(run), Some(before)) if before.end == at && before.leads_to(&run) => {
                        before.take(run);
                    }
                    (Some(run), _) if run.is_ours || may_stand_at(number, at) => runs.push(run),
                    (Some(run), _) => displaced = Some(run),
                },
                KEYS => self.lost = self.lost.saturating_sub(end - at),
                END => {
                    self.lost = self.lost.saturating_sub(end - at);
                    // Elsewhere it may be in a value, together with all that it vouches for.
                    if end == self.octets && is_end_of(&content, number, &all) {
                        vouched = all.iter().map(|(number, block)| (*number, *block)).collect();
                        vouched.retain(|(_, block)| block.kind != KEYS);
                    }
                    // Where the file ends, nothing is in a value either, nor is what stands right before.
                    let is_before = |run: &Run| run.end == at && run.last.checked_add(1) == Some(number);
                    if end == self.octets {
                        runs.extend(displaced.take().filter(is_before));
                        if let Some(run) = runs.last_mut().filter(|run| is_before(run)) {
                            run.is_ours = true;
                        }
                    }
                }
                _ => {}
            }
            at = end;
        }
        (runs, vouched)
    }

    /// Reads the block that begins here, if it is whole; answers with its number.
    fn read_block(&self, at: u64, effort: &mut Effort, content: &mut Vec<u8>) -> Option<(u64, Block)> {
        let (number, block) = self.read_head(at)?;
        let length = u64::from(block.length);
        if !effort.allows(at, length) {
            return None;
        }
        if block.read(&self.file, number, content).is_err() {
            effort.spend(length);
            return None;
        }
        Some((number, block))
    }

    /// Reads what a block says of itself that begins here.
    fn read_head(&self, at: u64) -> Option<(u64, Block)> {
        let mut head = [0; BLOCK_HEAD_OCTETS];
        self.file.read_exact_at(&mut head, at).ok()?;
        let (kind, number, length, checksum) = read_block_head(&head)?;
        Some((number, Block { at, kind, length, checksum }))
    }

    /// Where the next block begins, if the damaged one that begins here is as long as it says: what is in a value of its
    /// is no block.
    fn behind(&self, at: u64) -> Option<u64> {
        let end = self.read_head(at)?.1.end();
        (end == self.octets || self.read_head(end).is_some()).then_some(end)
    }

    /// Where a block may begin, from `at` on.
    fn find_magic(&self, mut at: u64) -> u64 {
        let mut window = vec![0; READ_OCTETS];
        while at < self.octets {
            let taken = match self.file.read_at(&mut window, at) {
                Ok(0) => break,
                Ok(taken) => taken,
                // What the disk does not give is passed over.
                Err(_) => {
                    at = (at / PAGE_OCTETS + 1) * PAGE_OCTETS;
                    continue;
                }
            };
            if let Some(found) = memchr::memmem::find(window.get(..taken).unwrap_or_default(), MAGIC) {
                return at + found as u64;
            }
            at += taken.saturating_sub(MAGIC.len() - 1).max(1) as u64;
        }
        self.octets
    }
}

/// Whether this is the content of the last block, which has this number, behind all of these.
fn is_end_of(content: &[u8], number: u64, blocks: &BTreeMap<u64, Block>) -> bool {
    let mut whole = blake3::Hasher::new();
    for block in blocks.values() {
        whole.update(&block.checksum);
    }
    blocks.keys().copied().eq(0..number) && content.ends_with(whole.finalize().as_bytes())
}

/// Whether a block of items of this number may begin at `at`: those before it but the first are full.
fn may_stand_at(number: u64, at: u64) -> bool {
    let before = at.saturating_sub(HEAD_BLOCK_OCTETS_MAX).div_ceil(FULL_OCTETS_MAX)..=at / FULL_OCTETS_MIN;
    number.checked_sub(1).is_some_and(|number| before.contains(&number))
}

/// The items of a block, if their keys are in order.
fn items_in(content: &[u8]) -> Option<Vec<Item>> {
    let mut items: Vec<Item> = Vec::new();
    let mut rest = content;
    while !rest.is_empty() {
        let (key, value) = take_item(&mut rest)?;
        if items.last().is_some_and(|(last, _)| &**last >= key) {
            return None;
        }
        items.push((key.to_vec(), value?.to_vec()));
    }
    Some(items)
}

/// Kind, length and checksum of the block that begins at `at`, where the one of this number belongs.
fn block_at(
    at: u64,
    number: u64,
    head: &[u8; BLOCK_HEAD_OCTETS],
) -> Result<(u8, u32, [u8; CHECKSUM_OCTETS]), ArchiveError> {
    if at == 0 && !head.starts_with(MAGIC) {
        return Err(ArchiveError::Foreign);
    }
    match read_block_head(head) {
        Some((kind, found, length, checksum)) if found == number => Ok((kind, length, checksum)),
        _ => Err(ArchiveError::Damaged { at }),
    }
}

/// Kind, number, length and checksum, if it is the head of a block and says no more than one can have.
fn read_block_head(head: &[u8; BLOCK_HEAD_OCTETS]) -> Option<(u8, u64, u32, [u8; CHECKSUM_OCTETS])> {
    let mut rest = head.strip_prefix(MAGIC)?;
    let [kind] = take(&mut rest)?;
    let number = u64::from_le_bytes(take(&mut rest)?);
    let length = u32::from_le_bytes(take(&mut rest)?);
    let checksum = take(&mut rest)?;
    (length <= BLOCK_OCTETS_MAX).then_some((kind, number, length, checksum))
}

fn read_head(content: &[u8]) -> Result<Head, ArchiveError> {
    let damaged = ArchiveError::Damaged { at: 0 };
    let mut rest = content;
    let Some(format) = take(&mut rest).map(u16::from_le_bytes) else { return Err(damaged) };
    if format > FORMAT {
        return Err(ArchiveError::TooNew { format });
    }
    let parts = (|| {
        let incarnation = incarnation_of(take(&mut rest)?);
        let made = i64::from_le_bytes(take(&mut rest)?);
        let length = u32::from_le_bytes(take(&mut rest)?);
        let description = rest.get(..usize::try_from(length).ok()?)?;
        Some((incarnation, made, description))
    })();
    let (incarnation, made, description) = parts.ok_or(damaged)?;
    let meta = record::decode_meta(description)?;
    Ok(Head { meta, made: Timestamp::from_unix_seconds(made), incarnation })
}

/// Puts an item, or that there is none of this key, behind others.
///
/// # Errors
/// It is longer than any item can be.
pub(super) fn push_item(octets: &mut Vec<u8>, key: &[u8], value: Option<&[u8]>) -> io::Result<()> {
    let key_length =
        u16::try_from(key.len()).map_err(|_| io::Error::other("the key of an item is too long"))?;
    let value_length = match value {
        Some(value) => length_of(value)?,
        None => GONE,
    };
    octets.extend_from_slice(&key_length.to_le_bytes());
    octets.extend_from_slice(&value_length.to_le_bytes());
    octets.extend_from_slice(key);
    octets.extend_from_slice(value.unwrap_or_default());
    Ok(())
}

/// Takes an item off the front; its value is `None` where it says that there is no item of this key.
pub(super) fn take_item<'a>(octets: &mut &'a [u8]) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    let key_length = usize::from(u16::from_le_bytes(take(octets)?));
    let value_length = u32::from_le_bytes(take(octets)?);
    let (key, rest) = octets.split_at_checked(key_length)?;
    if value_length == GONE {
        *octets = rest;
        return Some((key, None));
    }
    let (value, rest) = rest.split_at_checked(usize::try_from(value_length).ok()?)?;
    *octets = rest;
    Some((key, Some(value)))
}

/// Takes so many octets off the front.
pub(super) fn take<const N: usize>(octets: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = octets.split_first_chunk::<N>()?;
    *octets = rest;
    Some(*taken)
}

/// The incarnation of a store in a file of its own: zeros where it has none yet.
pub(super) fn octets_of(incarnation: Option<Incarnation>) -> [u8; 16] {
    incarnation.map_or([0; 16], |incarnation| *incarnation.as_octets())
}

/// The same, read.
pub(super) fn incarnation_of(octets: [u8; 16]) -> Option<Incarnation> {
    (octets != [0; 16]).then(|| Incarnation::new(octets))
}

fn block_checksum(kind: u8, number: u64, content: &[u8]) -> [u8; CHECKSUM_OCTETS] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(MAGIC);
    hasher.update(&[kind]);
    hasher.update(&number.to_le_bytes());
    hasher.update(&(content.len() as u64).to_le_bytes());
    hasher.update(content);
    let mut checksum = [0; CHECKSUM_OCTETS];
    hasher.finalize_xof().fill(&mut checksum);
    checksum
}

fn length_of(octets: &[u8]) -> io::Result<u32> {
    match u32::try_from(octets.len()) {
        Ok(length) if length < GONE => Ok(length),
        _ => Err(io::Error::other("a piece of the store is too long")),
    }
}

/// The newest format, and the only one so far.
const FORMAT: u16 = 1;
const MAGIC: &[u8; 4] = b"bndr";
const HEAD: u8 = b'H';
const ITEMS: u8 = b'I';
const KEYS: u8 = b'K';
const END: u8 = b'E';
pub(super) const CHECKSUM_OCTETS: usize = 16;
const BLOCK_HEAD_OCTETS: usize = MAGIC.len() + 1 + 8 + 4 + CHECKSUM_OCTETS;
const END_OCTETS: usize = 8 + 8 + blake3::OUT_LEN;
/// Octets that are asked of what is read at a time, and given to what is written.
pub(super) const READ_OCTETS: usize = 256 * 1024;
/// A block is closed when it has so many octets.
const BLOCK_OCTETS: usize = 256 * 1024;
/// Where the length of a block is damaged, no more than this is read for it; none is written that is longer.
/// No limit of the config: a bound of the format.
const BLOCK_OCTETS_MAX: u32 = 1024 * 1024;
/// A block of items that is not the last one is closed by the item that makes it so long, and no item is as long as the rest.
const FULL_OCTETS_MIN: u64 = (BLOCK_HEAD_OCTETS + BLOCK_OCTETS) as u64;
/// No limit of the config: a bound of the format.
const FULL_OCTETS_MAX: u64 = FULL_OCTETS_MIN + (ITEM_HEAD_OCTETS + record::ITEM_OCTETS_MAX) as u64;
const ITEM_HEAD_OCTETS: usize = 2 + 4;
/// The first block is not as long.
/// No limit of the config: a bound of the format.
const HEAD_BLOCK_OCTETS_MAX: u64 = 4096;
/// More than these wait for the disk.
/// No limit of the config: more threads would gain nothing.
const THREADS_MAX: usize = 16;
/// Fewer are not worth a thread to check them.
const BLOCKS_A_THREAD: usize = 8;
/// In the place of the length of a value: there is no item of this key.
const GONE: u32 = u32::MAX;

/// A block of items, sealed.
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) fn sealed(number: u64, items: &[Item]) -> Vec<u8> {
    let mut content = Vec::new();
    for (key, value) in items {
        push_item(&mut content, key, Some(value)).unwrap();
    }
    let mut octets = MAGIC.to_vec();
    octets.push(ITEMS);
    octets.extend(number.to_le_bytes());
    octets.extend(length_of(&content).unwrap().to_le_bytes());
    octets.extend(block_checksum(ITEMS, number, &content));
    octets.extend(content);
    octets
}
