//! What can be read of a damaged database: a copy of its files is opened, and read from both ends until it errs.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::copies::{self, Copy};
use super::database::{self, DATABASE_OLD, Database};
use super::opening::said;
use super::{Settings, check_space, record};
use crate::model::Incarnation;
use crate::store::Meta;
use crate::store::error::StoreError;
use crate::store::record::Item;
use crate::store::verify::Verifier;

/// The items of a database that can be read.
#[derive(Default)]
pub(in crate::store) struct Remains {
    /// Closed before its files go.
    database: Option<Database>,
    _copy: Option<Copy>,
    /// Keys from and up to, and without, which it can be read.
    ranges: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where it is.
    pub(in crate::store) path: PathBuf,
    /// Whether it is the one that stood in the database's place before.
    pub(in crate::store) is_old: bool,
    /// Why these are not all.
    pub(in crate::store) reason: Option<String>,
    /// How many items there are; one that is found from both ends counts twice.
    pub(in crate::store) items: u64,
    /// What it says about itself, if that can be read.
    pub(in crate::store) meta: Option<Meta>,
    /// Whether every item is there and whole.
    pub(in crate::store) is_whole: bool,
    /// That the disk of the copy has refused something while it was read.
    failed: RefCell<Option<StoreError>>,
}

impl Remains {
    /// Opens a copy in `scratch` of the database in a data directory, and finds out how far it can be read. A copy goes that a
    /// process has left there when it was killed.
    ///
    /// # Errors
    /// The files cannot be copied, or the copy not be used for a reason that is not in them.
    pub(in crate::store) fn of(directory: &Path, scratch: &Path) -> Result<Self, StoreError> {
        // Those in the data directory stay until a start has found the database whole.
        if scratch.canonicalize().ok() != directory.canonicalize().ok() {
            copies::remove_copies(scratch, false);
        }
        let mut found: Option<Self> = None;
        // An exchange of databases may have left the one before beside the one that took its place, or instead of it.
        for (path, is_old) in [(Database::path_in(directory), false), (directory.join(DATABASE_OLD), true)] {
            if !path.exists() || found.as_ref().is_some_and(|found| found.is_whole) {
                continue;
            }
            let remains = Self { is_old, path: path.clone(), ..Self::of_one(&path, scratch)? };
            found = match found {
                Some(found) if !remains.tells_more_than(&found) => Some(found),
                _ => Some(remains),
            };
        }
        Ok(found.unwrap_or_else(|| Self { reason: Some("there is none".to_owned()), ..Self::default() }))
    }

    /// Whether this is to be read in the place of another one, which is not whole.
    fn tells_more_than(&self, other: &Self) -> bool {
        let life = |remains: &Self| remains.meta.and_then(|meta| meta.incarnation);
        if Incarnation::is_foreign(life(self), life(other)) {
            return false;
        }
        let revision = |remains: &Self| remains.meta.map(|meta| meta.revision);
        self.items > 0 && (other.items == 0 || self.is_whole && revision(self) >= revision(other))
    }

    fn of_one(path: &Path, scratch: &Path) -> Result<Self, StoreError> {
        let settings = Settings::default();
        let open = |copy: &Copy| {
            // sled writes, too, and what it meets then need not come back as what it is.
            check_space(scratch, &settings, database::octets_to_open(&copy.path))
                .map_err(|error| error.of_copy(&copy.path))?;
            Database::open_copy(scratch, &copy.path, settings.cache_octets)
        };
        let copy = match Copy::of(scratch, path) {
            Err(error) if error.is_damage() => {
                return Ok(Self { reason: Some(said(&error)), ..Self::default() });
            }
            copy => copy?,
        };
        let opened = match open(&copy) {
            // A snapshot that is whole and does not fit the log: the log alone may tell more.
            Err(error) if error.is_damage() => {
                drop(copy);
                let copy = Copy::of(scratch, path)?;
                database::remove_snapshots(&copy.path)?;
                open(&copy).map(|database| (copy, database))
            }
            opened => opened.map(|database| (copy, database)),
        };
        match opened {
            Ok((copy, database)) => Self::explore(copy, database),
            Err(error @ StoreError::Copy { .. }) => Err(error),
            Err(error) => Ok(Self { reason: Some(said(&error)), ..Self::default() }),
        }
    }

    /// # Errors
    /// The disk of the copy refuses something.
    fn explore(copy: Copy, database: Database) -> Result<Self, StoreError> {
        let mut remains = Self::default();
        let mut verifier = Some(Verifier::default());
        let mut last = None;
        let ended = database.scan(|key, value| {
            remains.items += 1;
            last = Some(key.to_vec());
            if verifier.as_mut().is_some_and(|verifier| verifier.check(key, value).is_err()) {
                verifier = None;
            }
            Ok(ControlFlow::Continue(()))
        });
        let described = match database.get(&record::meta_key()) {
            Err(error @ StoreError::Copy { .. }) => return Err(error),
            described => described.ok().flatten(),
        };
        remains.meta = described.and_then(|value| record::decode_meta(&value).ok());
        match ended {
            Err(error @ StoreError::Copy { .. }) => return Err(error),
            Ok(()) => {
                let verified = verifier.and_then(|verifier| verifier.finish().ok());
                remains.is_whole = remains.meta.is_some() && verified.is_some();
                remains.ranges.push((Vec::new(), END.to_vec()));
            }
            Err(error) => {
                remains.reason = Some(said(&error));
                remains.ranges.extend(last.map(|last| (Vec::new(), behind(last))));
                let mut first = None;
                let ended = database.scan_back(&[], END, |key, _| {
                    remains.items += 1;
                    first = Some(key.to_vec());
                    Ok(ControlFlow::Continue(()))
                });
                // Whatever else ends it there as well, it is one reason.
                if let Err(error @ StoreError::Copy { .. }) = ended {
                    return Err(error);
                }
                remains.ranges.extend(first.map(|first| (first, END.to_vec())));
            }
        }
        remains.database = Some(database);
        remains._copy = Some(copy);
        Ok(remains)
    }

    /// All of them, in the order of their keys; one may come twice. Whether they were all, [`Remains::ended`] says.
    pub(in crate::store) fn items(&self) -> impl Iterator<Item = Item> {
        self.ranges.iter().flat_map(move |(from, end)| self.range(from, end))
    }

    /// Those from a key up to, and without, another, as far as they can be read; the same of whether they were all.
    pub(in crate::store) fn range<'a>(
        &'a self,
        from: &[u8],
        end: &'a [u8],
    ) -> impl Iterator<Item = Item> + use<'a> {
        Pieces {
            database: self.database.as_ref(),
            failed: &self.failed,
            from: Some(from.to_vec()),
            end,
            piece: Vec::new().into_iter(),
        }
    }

    /// Says after the items whether they were as many as before.
    ///
    /// # Errors
    /// The disk of the copy has refused something meanwhile.
    pub(in crate::store) fn ended(&self) -> Result<(), StoreError> {
        self.failed.take().map_or(Ok(()), Err)
    }
}

/// The items of a range, read some at a time.
struct Pieces<'a> {
    database: Option<&'a Database>,
    failed: &'a RefCell<Option<StoreError>>,
    /// Where the next ones begin; `None`: there are none.
    from: Option<Vec<u8>>,
    end: &'a [u8],
    piece: std::vec::IntoIter<Item>,
}

impl Iterator for Pieces<'_> {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        if let Some(item) = self.piece.next() {
            return Some(item);
        }
        let from = self.from.take()?;
        let mut piece = Vec::with_capacity(PIECE_ITEMS);
        let read = self.database?.scan_to(&from, self.end, |key, value| {
            piece.push((key.to_vec(), value.to_vec()));
            Ok(if piece.len() < PIECE_ITEMS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        });
        match read {
            Ok(()) if piece.len() == PIECE_ITEMS => {
                self.from = piece.last().map(|(key, _)| behind(key.clone()));
            }
            Err(error @ StoreError::Copy { .. }) => *self.failed.borrow_mut() = Some(error),
            // It was read before: what errs now is not read again.
            _ => {}
        }
        self.piece = piece.into_iter();
        self.piece.next()
    }
}

/// The first key that may follow.
fn behind(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}

/// Above all keys.
const END: &[u8] = &[u8::MAX];
const PIECE_ITEMS: usize = 512;
