//! Records on their way out of a store: handed over as they are stored, some at a time, and checked and decoded by whoever
//! takes them, on whichever thread. Only when all of them were read it is known whether the store is whole.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Meta;
use super::archive::{push_item, take_item};
use super::error::{Damage, StoreError};
use super::record::{self, Fault};
use super::verify::Verifier;
use crate::model::Record;

/// Some records, one behind the other in the order of their keys.
#[derive(Debug)]
pub struct Stored {
    /// Which piece of the store it is.
    number: u64,
    is_first: bool,
    /// Items as they stand in an archive.
    items: Vec<u8>,
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
        let mut verifier = Verifier::default();
        let checked = self.check(&mut verifier, each);
        let mut found = lock(&self.found);
        found.pieces += 1;
        let joined = checked.and_then(|()| found.verifier.join(verifier));
        if let Err(fault) = joined
            && found.fault.as_ref().is_none_or(|(number, _)| *number > self.number)
        {
            found.fault = Some((self.number, fault));
        }
    }

    fn check(&self, verifier: &mut Verifier, each: &mut dyn FnMut(Record)) -> Result<(), Fault> {
        let mut rest = &*self.items;
        while let Some((key, value)) = take_item(&mut rest) {
            match verifier.check(key, value.unwrap_or_default())? {
                Some(whole) if !whole.is_event() => each(whole.decode()?),
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
    visit: &'a mut dyn FnMut(Stored),
}

impl<'a> Cutter<'a> {
    /// Hands the pieces of the store in `path`, which `meta` describes, to `visit`.
    pub(super) fn new(path: &Path, meta: &Meta, visit: &'a mut dyn FnMut(Stored)) -> Self {
        let found = Arc::default();
        let unverified = Unverified { path: path.to_owned(), meta: *meta, pieces: 0, found };
        Self { unverified, is_first: true, items: Vec::new(), visit }
    }

    /// Takes the next item, in the order of keys.
    ///
    /// # Errors
    /// It is longer than any item can be.
    pub(super) fn item(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
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
        (self.visit)(Stored { number, is_first: self.is_first, items, found });
    }
}

/// Whoever panicked has told, and its piece is missing.
fn lock(found: &Mutex<Found>) -> MutexGuard<'_, Found> {
    found.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A piece is closed before the first record behind so many octets.
const PIECE_OCTETS: usize = 64 * 1024;
