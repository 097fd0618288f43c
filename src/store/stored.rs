//! Records on their way out of a store: handed over as they are stored, some at a time, and checked and decoded by whoever
//! takes them, on whichever thread. Only when all of them were read it is known whether the store is whole.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Meta;
use super::archive::{push_item, take_item};
use super::error::{Damage, StoreError};
use super::record::{self, Fault};
use super::verify::{Verifier, Whole};
use crate::model::Record;

/// Some records, one behind the other in the order of their keys.
#[derive(Debug)]
pub struct Stored {
    /// Which piece of the store it is.
    number: u64,
    is_first: bool,
    /// Items as they stand in an archive.
    items: Vec<u8>,
    /// Whether what they were read from had the checksum that it should have.
    are_checked: bool,
    found: Arc<Mutex<Found>>,
}

impl Stored {
    /// Whether it holds what is read before all other records, because these name it: custom attribute types, providers and
    /// roles. No piece holds both.
    pub fn is_first(&self) -> bool {
        self.is_first
    }

    /// Checks all of it, decodes every record but the events, and hands these to `each`. What is wrong is told by
    /// [`Unverified::finish`].
    pub fn read(self, each: &mut dyn FnMut(Record)) {
        self.check(|whole| {
            each(whole.decode()?);
            Ok(())
        });
    }

    /// The same, but each record is only lent.
    pub fn lend(self, each: &mut dyn FnMut(&Record)) {
        let mut place = None;
        self.check(|whole| {
            each(whole.decode_to(&mut place)?);
            Ok(())
        });
    }

    fn check(self, each: impl FnMut(&Whole<'_>) -> Result<(), Fault>) {
        let mut verifier = Verifier::default();
        let checked = self.check_items(&mut verifier, each);
        let mut found = lock(&self.found);
        found.pieces += 1;
        found.join(self.number, checked.map(|()| verifier));
    }

    fn check_items(
        &self,
        verifier: &mut Verifier,
        mut each: impl FnMut(&Whole<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut rest = &*self.items;
        while let Some((key, value)) = take_item(&mut rest) {
            let value = value.unwrap_or_default();
            let whole =
                if self.are_checked { verifier.believe(key, value) } else { verifier.check(key, value) };
            match whole? {
                Some(whole) if !whole.is_event() => each(&whole)?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// What the pieces that were read so far hold together.
#[derive(Debug, Default)]
struct Found {
    pieces: u64,
    verifier: Verifier,
    /// The first fault in the order of the keys, with the number of its piece.
    fault: Option<(u64, Fault)>,
}

impl Found {
    /// Takes what the piece of this number holds, or what is wrong with it.
    fn join(&mut self, number: u64, checked: Result<Verifier, Fault>) {
        let joined = checked.and_then(|verifier| self.verifier.join(verifier));
        if let Err(fault) = joined
            && self.fault.as_ref().is_none_or(|(first, _)| *first > number)
        {
            self.fault = Some((number, fault));
        }
    }
}

/// A store whose records were all handed over.
#[derive(Debug)]
#[must_use = "without `finish` nobody knows whether the records are all, and whole"]
pub struct Unverified {
    path: PathBuf,
    meta: Meta,
    pieces: u64,
    found: Arc<Mutex<Found>>,
}

impl Unverified {
    /// What the store says about itself.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Says that every piece was read; answers with the description of the store. On an error the records are worth nothing.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::TooNew`], or a piece was read by nobody.
    pub fn finish(self) -> Result<Meta, StoreError> {
        let Found { pieces, verifier, fault } = std::mem::take(&mut *lock(&self.found));
        if let Some((_, fault)) = fault {
            return Err(fault.at(&self.path));
        }
        if pieces != self.pieces {
            let source = std::io::Error::other("whoever was to read a part of it ended before");
            return Err(StoreError::from_io(self.path, "read all of", source));
        }
        let meta = verifier.finish().map_err(|fault| fault.at(&self.path))?;
        if meta == self.meta {
            return Ok(meta);
        }
        Err(StoreError::Damaged { path: self.path, damage: Damage::Sum })
    }
}

/// Cuts the items of a store into pieces.
pub(super) struct Cutter<'a> {
    unverified: Unverified,
    is_first: bool,
    items: Vec<u8>,
    are_checked: bool,
    /// The events, of which nothing is handed over, where their items need no more than to be counted.
    events: Result<Verifier, Fault>,
    visit: &'a mut dyn FnMut(Stored),
}

impl<'a> Cutter<'a> {
    /// Hands the pieces of the store in `path`, which `meta` describes, to `visit`.
    pub(super) fn new(path: &Path, meta: &Meta, visit: &'a mut dyn FnMut(Stored)) -> Self {
        let found = Arc::default();
        let unverified = Unverified { path: path.to_owned(), meta: *meta, pieces: 0, found };
        let events = Ok(Verifier::default());
        Self { unverified, is_first: true, items: Vec::new(), are_checked: false, events, visit }
    }

    /// The same of items that are read from blocks, or entries of a journal, each of which has the checksum that it should
    /// have. What is in them was checked item by item when it was written ([`super::ledger`]).
    pub(super) fn of_checked(path: &Path, meta: &Meta, visit: &'a mut dyn FnMut(Stored)) -> Self {
        Self { are_checked: true, ..Self::new(path, meta, visit) }
    }

    /// Takes the next item, in the order of keys.
    ///
    /// # Errors
    /// It is longer than any item can be.
    pub(super) fn item(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        if self.are_checked && record::is_event(key) {
            if let Ok(verifier) = &mut self.events
                && let Err(fault) = verifier.believe(key, value)
            {
                self.events = Err(fault);
            }
            return Ok(());
        }
        if record::begins_record(key) {
            let is_first = record::is_first(key);
            if self.items.len() >= PIECE_OCTETS || is_first != self.is_first {
                self.hand_over();
            }
            self.is_first = is_first;
        }
        push_item(&mut self.items, key, Some(value))
            .map_err(|error| StoreError::from_io(&self.unverified.path, "read", error))
    }

    /// Says that there are no more items.
    pub(super) fn finish(mut self) -> Unverified {
        self.hand_over();
        // They stand behind all other records.
        lock(&self.unverified.found).join(self.unverified.pieces, self.events);
        self.unverified
    }

    fn hand_over(&mut self) {
        if self.items.is_empty() {
            return;
        }
        let items = std::mem::replace(&mut self.items, Vec::with_capacity(PIECE_OCTETS + PIECE_OCTETS / 8));
        let number = self.unverified.pieces;
        self.unverified.pieces += 1;
        let found = self.unverified.found.clone();
        let Self { is_first, are_checked, .. } = *self;
        (self.visit)(Stored { number, is_first, items, are_checked, found });
    }
}

/// Whoever panicked has told, and its piece is missing.
fn lock(found: &Mutex<Found>) -> MutexGuard<'_, Found> {
    found.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A piece is closed before the first record behind so many octets.
const PIECE_OCTETS: usize = 64 * 1024;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::archive::{ArchiveError, ArchiveReader};
    use super::super::record::{Item, VERSION, is_event, part_missing, seal_again};
    use super::super::tests::{batch, event};
    use super::super::{MemoryStore, Store};
    use super::*;
    use crate::model::{Change, FieldChange};

    /// Items with small events and a large one.
    fn items() -> (Meta, Vec<Item>) {
        let store = MemoryStore::new();
        for revision in 1..=5 {
            store.commit(&batch(revision)).unwrap();
        }
        let mut large = event(6);
        let after = Some("x".repeat(20_000));
        large.changes = vec![FieldChange { field: "name".to_owned(), before: None, after }];
        let mut last = batch(6);
        last.changes = vec![Change::Put(Record::Event(large))];
        store.commit(&last).unwrap();
        let mut archive = Vec::new();
        store.write_archive(&mut archive, crate::model::Timestamp::now(), None).unwrap();
        let mut items = Vec::new();
        let put = |key: &[u8], value: &[u8]| {
            items.push((key.to_vec(), value.to_vec()));
            Ok::<(), ArchiveError>(())
        };
        ArchiveReader::new(&*archive).unwrap().read(put).unwrap();
        (store.meta(), items)
    }

    fn loaded(meta: &Meta, items: &[Item]) -> Result<usize, StoreError> {
        let mut pieces = Vec::new();
        let mut visit = |stored| pieces.push(stored);
        let mut cutter = Cutter::of_checked(Path::new("store"), meta, &mut visit);
        items.iter().for_each(|(key, value)| cutter.item(key, value).unwrap());
        let unverified = cutter.finish();
        let mut records = 0;
        pieces.into_iter().for_each(|stored| stored.read(&mut |_| records += 1));
        unverified.finish().map(|_| records)
    }

    /// Of items in blocks whose checksums are right each is missed all the same, and so is what does not fit the others.
    #[test]
    fn items_of_checked_blocks_are_counted_and_summed() {
        let (meta, whole) = items();
        let events = whole.iter().filter(|(key, _)| is_event(key)).count();
        assert!(events > 8, "{events}");
        assert!(loaded(&meta, &whole).unwrap() > 5);
        for gone in 0..whole.len() {
            let mut items = whole.clone();
            items.remove(gone);
            assert!(matches!(loaded(&meta, &items), Err(StoreError::Damaged { .. })), "{gone}");
        }
        for changed in 1..whole.len() {
            let mut items = whole.clone();
            let (key, value) = &mut items[changed];
            *value.last_mut().unwrap() ^= 1;
            seal_again(key, value);
            assert!(matches!(loaded(&meta, &items), Err(StoreError::Damaged { .. })), "{changed}");
            items[changed].1[0] = VERSION + 1;
            assert!(matches!(loaded(&meta, &items), Err(StoreError::TooNew { .. })), "{changed}");
        }
        // The last part of the large event.
        let lacks = loaded(&meta, &whole[..whole.len() - 1]).unwrap_err();
        let name = &whole.last().unwrap().0;
        let expected = part_missing(&name[..name.len() - 2]).at(Path::new("store"));
        assert_eq!(lacks.to_string(), expected.to_string());
    }
}
