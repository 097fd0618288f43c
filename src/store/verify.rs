//! Reading items back into records, and checking that all of them are there.

use std::borrow::Cow;

use super::Meta;
use super::error::Damage;
use super::record::{self, Fault, Item};
use crate::model::Record;

/// Puts records together from items that come in the order of their keys.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    /// The record whose later parts are still to come.
    open: Option<Open>,
}

/// A record of which some parts were seen.
#[derive(Debug)]
struct Open {
    name: Vec<u8>,
    version: u8,
    parts: u16,
    next: u16,
    octets: Vec<u8>,
}

impl Assembler {
    /// Takes the next item; answers with the record that it completes.
    ///
    /// # Errors
    /// What is wrong with the item, or that one before it is missing.
    pub(super) fn push(&mut self, item: &record::Verified<'_>) -> Result<Option<Record>, Fault> {
        self.put_together(item)?.map(|whole| whole.decode()).transpose()
    }

    /// The same without a look at what the record says.
    fn put_together<'a>(&mut self, item: &record::Verified<'a>) -> Result<Option<Whole<'a>>, Fault> {
        let Some(open) = &mut self.open else {
            if item.part != 0 {
                return Err(record::part_missing(item.name));
            }
            let (parts, piece) = item.head()?;
            if parts == 1 {
                return Ok(Some(Whole {
                    name: item.name,
                    version: item.version,
                    octets: Cow::Borrowed(piece),
                }));
            }
            self.open = Some(Open {
                name: item.name.to_vec(),
                version: item.version,
                parts,
                next: 1,
                octets: piece.to_vec(),
            });
            return Ok(None);
        };
        if (&*open.name, open.version, open.next) != (item.name, item.version, item.part) {
            return Err(record::part_missing(&open.name));
        }
        open.octets.extend_from_slice(item.piece());
        open.next += 1;
        if open.next < open.parts {
            return Ok(None);
        }
        let octets = std::mem::take(&mut open.octets);
        self.open = None;
        Ok(Some(Whole { name: item.name, version: item.version, octets: Cow::Owned(octets) }))
    }

    /// Says that there are no more items.
    ///
    /// # Errors
    /// A part is missing.
    pub(super) fn finish(&self) -> Result<(), Fault> {
        match &self.open {
            None => Ok(()),
            Some(open) => Err(record::part_missing(&open.name)),
        }
    }
}

/// A record of which all parts are there.
#[derive(Debug)]
pub(super) struct Whole<'a> {
    name: &'a [u8],
    version: u8,
    octets: Cow<'a, [u8]>,
}

impl Whole<'_> {
    /// Whether it is an event.
    pub(super) fn is_event(&self) -> bool {
        record::is_event(self.name)
    }

    /// What it says, in the place of another record, whose memory an account takes.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn decode_to<'p>(&self, place: &'p mut Option<Record>) -> Result<&'p Record, Fault> {
        let is_in_place = match place {
            Some(Record::Account(account)) => {
                record::decode_in_place(self.name, self.version, &self.octets, account)?
            }
            _ => false,
        };
        if !is_in_place {
            *place = None;
        }
        match place {
            Some(record) => Ok(record),
            None => Ok(place.insert(self.decode()?)),
        }
    }

    /// What it says.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn decode(&self) -> Result<Record, Fault> {
        record::decode(self.name, self.version, &self.octets)
    }
}

/// Puts records together from items that come from the last key to the first.
#[derive(Debug, Default)]
pub(super) struct BackwardAssembler {
    /// The items of a record, its last part first, whose part 0 is still to come.
    items: Vec<Item>,
}

impl BackwardAssembler {
    /// Takes the next item; answers with the record that it completes.
    ///
    /// # Errors
    /// What is wrong with an item of the record, or that one is missing.
    pub(super) fn push(&mut self, key: &[u8], value: &[u8]) -> Result<Option<Record>, Fault> {
        let is_first = record::verify(key, value)?.part == 0;
        self.items.push((key.to_vec(), value.to_vec()));
        if !is_first {
            return Ok(None);
        }
        let mut assembler = Assembler::default();
        let mut record = None;
        for (key, value) in self.items.drain(..).rev() {
            record = assembler.push(&record::verify(&key, &value)?)?;
        }
        assembler.finish()?;
        Ok(record)
    }
}

/// Checks every item of a store, and their number and sum at the end.
#[derive(Debug, Default)]
pub(super) struct Verifier {
    assembler: Assembler,
    meta: Option<Meta>,
    records: u64,
    sum: u128,
}

impl Verifier {
    /// Takes the next item, in the order of keys; answers with the record that it completes.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn push(&mut self, key: &[u8], value: &[u8]) -> Result<Option<Record>, Fault> {
        self.check(key, value)?.map(|whole| whole.decode()).transpose()
    }

    /// The same without a look at what the record says.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn check<'a>(&mut self, key: &'a [u8], value: &'a [u8]) -> Result<Option<Whole<'a>>, Fault> {
        self.take(record::verify(key, value)?, value)
    }

    /// The same for an item in octets that were checked, see [`record::believe`].
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn believe<'a>(&mut self, key: &'a [u8], value: &'a [u8]) -> Result<Option<Whole<'a>>, Fault> {
        self.take(record::believe(key, value)?, value)
    }

    fn take<'a>(&mut self, item: record::Verified<'a>, value: &'a [u8]) -> Result<Option<Whole<'a>>, Fault> {
        if record::is_meta(item.name) {
            self.meta = Some(record::decode_meta(value)?);
            return Ok(None);
        }
        self.sum = self.sum.wrapping_add(item.checksum);
        if item.part == 0 {
            self.records += 1;
        }
        self.assembler.put_together(&item)
    }

    /// Takes what another has checked: some records, of which this one has checked none.
    ///
    /// # Errors
    /// The last of them lacks a part.
    pub(super) fn join(&mut self, other: Self) -> Result<(), Fault> {
        other.assembler.finish()?;
        self.meta = self.meta.or(other.meta);
        self.records += other.records;
        self.sum = self.sum.wrapping_add(other.sum);
        Ok(())
    }

    /// Says that there are no more items; answers with the description of the store.
    ///
    /// # Errors
    /// Something is missing, or not the newest.
    pub(super) fn finish(self) -> Result<Meta, Fault> {
        self.assembler.finish()?;
        let damage = match self.meta {
            None if self.records == 0 && self.sum == 0 => return Ok(Meta::default()),
            None => Damage::MetaMissing,
            Some(meta) if meta.records != self.records => {
                Damage::Count { found: self.records, expected: meta.records }
            }
            Some(meta) if meta.sum != self.sum => Damage::Sum,
            Some(meta) => return Ok(meta),
        };
        Err(Fault::Damaged(damage))
    }
}
