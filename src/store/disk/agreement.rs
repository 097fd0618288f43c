//! Whether journal and database are of one history, which is asked here and nowhere else before one of them takes the place of the
//! other: a journal is made of an [`Agreed`] database alone, and there is none that was not asked. What `acknowledged` says that the
//! store was is a third witness, of each of them: a database that cannot be read says nothing against the journal of a copy.
//!
//! Each event has the digest of the one before it, so what one of them says of the last revision that both have been at is what the
//! other says of it. A journal that is damaged still tells as much as can be read of each of its files.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::database::Database;
use crate::model::Incarnation;
use crate::store::Meta;
use crate::store::acknowledged::{self, Said};
use crate::store::error::{Damage, StoreError};
use crate::store::history::{self, Ends};
use crate::store::ledger::{self, Ledger};

/// What a database is held against.
pub(super) enum Journal<'a> {
    /// A ledger that is whole.
    Whole(&'a Ledger),
    /// What is left of one that is to be made anew, and what was acknowledged beside it.
    Left {
        /// Why it is to be.
        damage: &'a Damage,
        said: &'a Said,
    },
}

/// What a database was found to be beside a journal.
pub(super) enum Asked {
    Agreed(Box<Agreed>),
    /// The two are of two copies of a store that went on by themselves, as far as the database can be believed.
    Parted(Damage),
}

/// A database of which the journal says nothing else, as far as anything tells.
pub(super) struct Agreed {
    database: Database,
    meta: Meta,
}

impl Agreed {
    /// Holds the database at `path`, or a copy of it, against a journal. Beside one that is damaged it was verified before.
    ///
    /// # Errors
    /// What there is to compare cannot be read.
    pub(super) fn ask(
        directory: &Path,
        journal: &Journal<'_>,
        (path, database, meta): (&Path, Database, Meta),
    ) -> Result<Asked, StoreError> {
        let (parted, damage) = match journal {
            Journal::Whole(ledger) => (parted_from_whole(ledger, &database, &meta)?, None),
            Journal::Left { damage, said } => {
                (parted_from_left(directory, said, &database, &meta)?, Some((*damage).clone()))
            }
        };
        Ok(match parted {
            None => Asked::Agreed(Box::new(Self { database, meta })),
            Some((file, reason)) => Asked::Parted(Damage::Parted {
                journal: file.into(),
                other: path.into(),
                reason: reason.into(),
                damage: damage.map(Box::new),
            }),
        })
    }

    /// What the database says of itself.
    pub(super) fn meta(&self) -> &Meta {
        &self.meta
    }

    pub(super) fn database(&self) -> &Database {
        &self.database
    }

    pub(super) fn into_database(self) -> Database {
        self.database
    }
}

/// Which file of a ledger, which is whole, tells something else than the database, and what: of the one that is behind, the other
/// does. `None`: they are of one history, or nothing tells.
fn parted_from_whole(
    ledger: &Ledger,
    database: &Database,
    meta: &Meta,
) -> Result<Option<(PathBuf, String)>, StoreError> {
    let end = ledger.meta();
    let reason = if meta.revision > end.revision {
        parted_behind(database, end, meta)?
    } else {
        ledger.parted_from(meta)?
    };
    Ok(reason.map(|reason| (ledger.file_at(meta.revision.min(end.revision)), reason)))
}

/// The same of what is left of a ledger, each file by itself. One that tells something else is enough: nobody knows which of them are
/// meant. But for a checkpoint, where a file of batches is where the database is, and `acknowledged` too: then it alone came there.
fn parted_from_left(
    directory: &Path,
    said: &Said,
    database: &Database,
    meta: &Meta,
) -> Result<Option<(PathBuf, String)>, StoreError> {
    if let Some(described) = said.described(meta.incarnation).filter(|was| was.revision <= meta.revision)
        && let Some(reason) = parted_at_or_behind(database, described, meta)?
    {
        return Ok(Some((acknowledged::path_in(directory), reason)));
    }
    let mut is_led_to = false;
    let mut of_checkpoint = None;
    for told in ledger::told_in(directory, meta.revision)? {
        let described = told.described;
        if Incarnation::is_foreign(described.incarnation, meta.incarnation) {
            continue;
        }
        let is_there = described.revision == meta.revision;
        match parted_at_or_behind(database, &described, meta)? {
            Some(reason) if told.is_checkpoint => of_checkpoint = Some((told.file, reason)),
            Some(reason) => return Ok(Some((told.file, reason))),
            None => is_led_to |= is_there && !told.is_checkpoint,
        }
    }
    Ok(of_checkpoint.filter(|_| !is_led_to || !said.is_up_to(meta, meta.incarnation)))
}

/// Why a database is not of the history of what is described of its revision, or of an earlier one.
fn parted_at_or_behind(
    database: &Database,
    described: &Meta,
    meta: &Meta,
) -> Result<Option<String>, StoreError> {
    if described.revision == meta.revision {
        return Ok(history::parted_at(described, meta));
    }
    parted_behind(database, described, meta)
}

/// The same of an earlier one.
fn parted_behind(database: &Database, described: &Meta, meta: &Meta) -> Result<Option<String>, StoreError> {
    let mut ends = Ends::of(described);
    for (from, to) in ends.keys() {
        let read = database.scan_to(&from, &to, |key, value| {
            ends.take(key, value);
            Ok(ControlFlow::Continue(()))
        });
        match read {
            Err(error) if !error.is_damage() => return Err(error),
            // Whether all of it is whole, is seen elsewhere.
            _ => {}
        }
    }
    Ok(ends.parted(meta))
}
