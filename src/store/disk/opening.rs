//! How a start comes to the two copies of a store that agree: the ledger first, which is only read; then the database, which
//! sled changes by opening it.
//!
//! Whatever sled's opening does to its files, the ledger is whole then, and the database can be made anew. Where the ledger is
//! not whole, or is not what a start finds behind a close or a kill, a copy of the database is opened first, so that a start that
//! is refused has changed nothing.
//!
//! Before either copy is brought to the other, both must be of one history: [`Agreed`] asks.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use rustix::io::Errno;

use super::agreement::{Agreed, Asked, Journal};
use super::copies::{Copy, Snapshots, is_copy, remove_copies, take_away, tell_left};
use super::database::{self, DATABASE_OLD, Database};
use super::{Settings, check_space, octets_in, verify};
use crate::model::{Incarnation, Revision};
use crate::store::acknowledged::{self, Said};
use crate::store::commit::Writes;
use crate::store::directories::sync_directory;
use crate::store::error::{Damage, FOREIGN, StoreError, check_ending};
use crate::store::journal::{End, Segment};
use crate::store::ledger::{self, Changed, Ledger, Legible, Trouble};
use crate::store::successor::{self, Draft};
use crate::store::{Meta, aside, record};

/// The ledger of a store, made where there is none, and repaired from the database where it is damaged.
///
/// # Errors
/// Neither copy is whole, or the system refuses something.
pub(super) fn ledger(directory: &Path, settings: &Settings) -> Result<Ledger, StoreError> {
    successor::go_on(directory)?;
    let said = Said::read(directory);
    let has_database = database_there(directory).exists();
    // What cannot be read may tell of a store that had changes.
    let is_legible = !matches!(said, Said::Unreadable { .. } | Said::Accept);
    let is_empty = !has_database && is_legible && said.of_life(None).unwrap_or_default() == 0;
    match Ledger::read(directory) {
        Ok(ledger) => {
            let damage = match ledger.lacks(&said) {
                // What is beyond all that was acknowledged may be of a copy of the store that went on by itself; and it is
                // acknowledged next.
                None if settings.is_doubted || !said.is_up_to(ledger.meta(), ledger.incarnation()) => {
                    ledger.fault()?
                }
                damage => damage,
            };
            let Some(damage) = damage else {
                return match ledger.parted_from_said(&said)? {
                    Some(damage) => Err(StoreError::Damaged { path: directory.to_owned(), damage }),
                    None => Ok(ledger),
                };
            };
            from_database(directory, settings, damage, &Left::Journal(ledger.legible()), &said)?;
        }
        Err(Trouble::Other(error)) => return Err(error),
        // A start that was killed when it had begun to make a store. Where something cannot be read, or not be listed, it may be
        // one that was restored and has had no database yet.
        Err(Trouble::Damaged { damage: Damage::FileMissing { .. }, legible })
            if is_empty && legible.has_no_changes() =>
        {
            create(directory, &Meta::default(), |_| Ok(()))?;
        }
        Err(Trouble::Damaged { damage, legible }) => {
            from_database(directory, settings, damage, &Left::Journal(*legible), &said)?;
        }
        Err(Trouble::Absent) => match &said {
            Said::Nothing | Said::Acknowledged(_) if is_empty => {
                create(directory, &Meta::default(), |_| Ok(()))?;
            }
            Said::Unreadable { path } => {
                let damage = Damage::AcknowledgedUnreadable { path: path.clone() };
                return Err(StoreError::Damaged { path: directory.to_owned(), damage });
            }
            Said::Nothing => return Err(Trouble::Absent.at(directory)),
            Said::Acknowledged(_) | Said::Accept => {
                let missing = Damage::FileMissing { path: ledger::path_in(directory) };
                from_database(directory, settings, missing, &Left::Nothing, &said)?;
            }
        },
    }
    Ledger::read(directory).map_err(|trouble| trouble.at(directory))
}

/// What is left of the ledger when it is to be made of the database.
#[derive(Debug)]
enum Left {
    /// Something. A database at revision 0 beside it has lost everything.
    Journal(Legible),
    /// Nothing: what was acknowledged has to tell how far the database must go.
    Nothing,
}

impl Left {
    /// How far a database that `meta` describes has to go. It is of the life of the store that all tell who can: of another one,
    /// or of an earlier one of this store, it would bring back what was revoked.
    ///
    /// # Errors
    /// Why that cannot be known.
    fn at_least(&self, said: &Said, meta: &Meta) -> Result<Revision, String> {
        let left = match self {
            Self::Journal(legible) if legible.is_foreign(meta.incarnation, said) => {
                return Err(FOREIGN.to_owned());
            }
            Self::Journal(legible) => legible.at_least(meta.incarnation).max(1),
            Self::Nothing => 0,
        };
        match (said, said.of_life(meta.incarnation)) {
            (Said::Acknowledged(_), None) => {
                Err("what was acknowledged is of another store, or of another life of this one".to_owned())
            }
            (_, acknowledged) => Ok(left.max(acknowledged.unwrap_or_default())),
        }
    }
}

/// Makes the ledger anew of the items of the database, of which a copy is opened.
fn from_database(
    directory: &Path,
    settings: &Settings,
    damage: Damage,
    left: &Left,
    acknowledged: &Said,
) -> Result<(), StoreError> {
    let path = database_there(directory);
    let both = |damage, database| {
        let damage = Damage::Both { journal: Box::new(damage), database };
        StoreError::Damaged { path: directory.to_owned(), damage }
    };
    if !path.exists() {
        return Err(both(damage, "there is none".to_owned()));
    }
    let found = match open_whole(directory, settings, &path) {
        Err(error) if error.is_damage() => {
            let old = match left {
                Left::Journal(legible) => open_old(directory, settings, legible, acknowledged)?,
                Left::Nothing => None,
            };
            old.ok_or(error)
        }
        found => found,
    };
    // What comes first is dropped last.
    let Whole { copy: _copy, path, database, meta } = match found {
        Ok(found) => found,
        Err(error) if error.is_damage() => return Err(both(damage, said(&error))),
        Err(error) => return Err(error),
    };
    let mut at_least = match left.at_least(acknowledged, &meta) {
        Ok(at_least) => at_least,
        Err(reason) => return Err(both(damage, reason)),
    };
    let journal = Journal::Left { damage: &damage, said: acknowledged };
    let agreed = match Agreed::ask(directory, &journal, (&path, database, meta))? {
        Asked::Agreed(agreed) => agreed,
        Asked::Parted(damage) => return Err(StoreError::Damaged { path: directory.to_owned(), damage }),
    };
    if at_least > meta.revision && is_only_checkpoint_of_copy(directory, left, acknowledged, &damage, &meta) {
        tracing::warn!(
            revision = meta.revision,
            of_checkpoint = at_least,
            "the checkpoint of the journal has no batches behind it and is of a copy of the store that went on by itself; what was \
             acknowledged last is in the database"
        );
        at_least = meta.revision;
    }
    if meta.revision < at_least {
        let copies = match damage {
            Damage::EndMissing { found, .. } => {
                format!("the journal ends with revision {found}, and the database with {}", meta.revision)
            }
            damage => format!("the database is at revision {}, and of the journal {damage}", meta.revision),
        };
        let noted = acknowledged.of_life(meta.incarnation).filter(|noted| *noted < at_least);
        let (path, store) = (directory.to_owned(), meta.revision);
        return Err(StoreError::Behind { path, store, acknowledged: at_least, noted, copies });
    }
    let revision = meta.revision;
    match fill(directory, &agreed)? {
        Some(aside) => tracing::warn!(
            revision, %damage, set_aside = %aside.display(),
            "the journal was made anew of the database, which is whole"
        ),
        None => tracing::info!(revision, "the journal was made of the database"),
    }
    Ok(())
}

/// Whether nothing but the checkpoint tells of more than a whole database has that is where `acknowledged` says, and the checkpoint is
/// not of its history. In one of this store that had come so far the file of batches behind it was on the disk before it. Where it is
/// of the same history, it may be right, in a copy that somebody made of a store in use.
fn is_only_checkpoint_of_copy(
    directory: &Path,
    left: &Left,
    acknowledged: &Said,
    damage: &Damage,
    meta: &Meta,
) -> bool {
    let Left::Journal(legible) = left else { return false };
    matches!(damage, Damage::FileMissing { .. })
        && acknowledged.is_up_to(meta, meta.incarnation)
        && legible.at_least_by_batches(meta.incarnation) <= meta.revision
        && ledger::is_checkpoint_of_copy(directory, meta)
}

/// A database that was found whole, in a copy.
struct Whole {
    /// What it is a copy of.
    path: PathBuf,
    database: Database,
    meta: Meta,
    // Last, so that its files go when it is closed.
    copy: Copy,
}

/// Opens a copy of the database at `path`, and verifies all of it.
fn open_whole(directory: &Path, settings: &Settings, path: &Path) -> Result<Whole, StoreError> {
    let copy = only_copy_of(directory, path)?;
    let database = Database::open_copy(directory, &copy.path, settings.cache_octets)?;
    let meta = verify(directory, &database, &AtomicBool::new(false))?;
    Ok(Whole { path: path.to_owned(), database, meta, copy })
}

/// A copy of the database at `path`. Those of starts that were killed go first: one start after the other would fill the disk with
/// them, and none come to where it removes them.
fn only_copy_of(directory: &Path, path: &Path) -> Result<Copy, StoreError> {
    remove_copies(directory, true);
    Copy::of(directory, path)
}

/// The same of the database that an exchange has left beside the one that took its place. Batches may have come since: only a
/// journal whose end is whole tells that none has.
fn open_old(
    directory: &Path,
    settings: &Settings,
    legible: &Legible,
    acknowledged: &Said,
) -> Result<Option<Whole>, StoreError> {
    let path = directory.join(DATABASE_OLD);
    if !path.exists() || path == database_there(directory) {
        return Ok(None);
    }
    let Some(last) = ledger::end_in(directory)? else { return Ok(None) };
    match open_whole(directory, settings, &path) {
        Ok(found)
            if found.meta.revision >= last.max(legible.at_least(found.meta.incarnation))
                && !legible.is_foreign(found.meta.incarnation, acknowledged) =>
        {
            tracing::warn!(
                revision = found.meta.revision, database = %path.display(),
                "the database is damaged, and what stood in its place before is whole and as far as the journal"
            );
            Ok(Some(found))
        }
        Err(error) if !error.is_damage() => Err(error),
        _ => Ok(None),
    }
}

/// Makes a ledger of all items of a database that was found whole, and of the history of what is left of the ledger before.
fn fill(directory: &Path, agreed: &Agreed) -> Result<Option<PathBuf>, StoreError> {
    create(directory, agreed.meta(), |put| {
        agreed.database().scan(|key, value| {
            put(key, value).map_err(|error| {
                StoreError::from_io(ledger::path_in(directory), "write a checkpoint in", error)
            })?;
            Ok(ControlFlow::Continue(()))
        })
    })
}

/// Makes a ledger in the place of the one that there may be, which is put aside: empty, or of the items that `fill` hands over.
fn create(
    directory: &Path,
    meta: &Meta,
    fill: impl FnOnce(&mut dyn FnMut(&[u8], &[u8]) -> io::Result<()>) -> Result<(), StoreError>,
) -> Result<Option<PathBuf>, StoreError> {
    Draft::make(directory, meta, fill)?.take_place()
}

/// What a start found of the database beside a ledger.
#[derive(Debug)]
pub(super) enum Begun {
    /// It is open and not ahead of the ledger; with the snapshots that it had before.
    Open(Database, Option<Snapshots>),
    /// It cannot be used, and is to be made of the ledger.
    Unusable {
        /// Why not.
        reason: String,
    },
    /// It is ahead of the ledger, and whole: the ledger was made anew.
    Ahead(Database),
    /// There is no space to open it; what is known of it is no reason to serve nothing.
    Full(StoreError),
}

/// Opens the database, and sees whether it knows of more than the ledger does. Where it does, or has to be asked what stands behind
/// the end of the journal, a full disk is no reason to go on without it: what was acknowledged may be lacking.
///
/// # Errors
/// The disk is full, the end of the ledger is lost, or the system refuses something.
pub(super) fn begin(directory: &Path, settings: &Settings, ledger: &Ledger) -> Result<Begun, StoreError> {
    begin_with(directory, settings, ledger, false)
}

/// The same; `is_ahead`: it is known to tell of more than the ledger. To see then whether it is whole a copy is asked, as sled may
/// write where all of it is read.
fn begin_with(
    directory: &Path,
    settings: &Settings,
    ledger: &Ledger,
    is_ahead: bool,
) -> Result<Begun, StoreError> {
    let path = database_there(directory);
    let torn = ledger.newest().filter(|newest| newest.end != End::Clean);
    if let Some(torn) = torn {
        tracing::warn!(
            revision = ledger.meta().revision, octets = torn.behind().len(), file = %torn.path.display(),
            "something torn or damaged stands behind the last whole batch of the journal; the database is asked what it was"
        );
        if !path.exists() {
            return Err(both(directory, torn, "there is none".to_owned()));
        }
    }
    if !path.exists() {
        check_life(directory, ledger)?;
    }
    // A copy is asked first, so that a start that is refused has changed nothing; without room for one, the database.
    let is_asked = torn.is_some() || is_ahead || path.exists() && !is_as_left(directory, ledger, &path);
    if is_asked && check_space(directory, settings, octets_in(&path)).is_ok() {
        let compared = only_copy_of(directory, &path).and_then(|copy| {
            let opened = Database::open_copy(directory, &copy.path, settings.cache_octets);
            // Closed before its files go.
            compare(directory, ledger, opened, true).and_then(|compared| match torn {
                Some(torn) => tell_end(directory, ledger, torn, &compared),
                None => Ok(()),
            })
        });
        match compared {
            // What keeps the copy from being made says nothing; the database is whole, or can be made anew.
            Err(error) if torn.is_none() && !error.is_unusable() => {
                tracing::warn!(%error, "no copy of the database could be asked whether it is of this journal; it is opened itself");
            }
            compared => compared?,
        }
    }
    // Where nothing of this life was acknowledged, the database alone could tell whether the journal has all of it, if there is one.
    let is_told = !path.exists() || Said::read(directory).of_life(ledger.incarnation()).is_some();
    let is_served = |error: &StoreError| error.is_full() && torn.is_none() && !is_ahead && is_told;
    // What was not finished when it was to take the place of this one.
    let cleared = successor::remove_draft(directory)
        .and_then(|()| finish_exchanging(directory))
        .and_then(|()| aside::remove_made(&directory.join(NEW)))
        .and_then(|()| ledger::clear(directory));
    match cleared {
        Err(error) if is_served(&error) => return Ok(Begun::Full(error)),
        cleared => cleared?,
    }
    let path = Database::path_in(directory);
    // Dropped behind the database, also where this ends early: a start that is refused leaves them as they were.
    let mut snapshots = None;
    let opened = check_space(directory, settings, database::octets_to_open(&path)).and_then(|()| {
        database::tidy(directory, &path)?;
        snapshots = Snapshots::of(directory, &path);
        Database::open(directory, &path, settings.cache_octets)
    });
    let compared = match opened {
        Err(error) if is_served(&error) => return Ok(Begun::Full(error)),
        opened => compare(directory, ledger, opened, is_asked)?,
    };
    if let Some(torn) = torn {
        tell_end(directory, ledger, torn, &compared)?;
        if matches!(compared, Compared::NotAhead(_)) {
            set_end_aside(directory, settings, torn)?;
        }
    }
    match compared {
        // It is closed by now, and has its snapshots again with this.
        Compared::Unasked => {
            drop(snapshots);
            begin_with(directory, settings, ledger, true)
        }
        Compared::Unusable { reason } => Ok(Begun::Unusable { reason }),
        Compared::NotAhead(database) => Ok(Begun::Open(database, snapshots)),
        Compared::Ahead(agreed) => {
            let (revision, of_journal) = (agreed.meta().revision, ledger.meta().revision);
            let aside = fill(directory, &agreed)?.unwrap_or_default();
            if let Some(snapshots) = snapshots {
                snapshots.let_go();
            }
            tracing::warn!(
                revision, of_journal, set_aside = %aside.display(),
                "the end of the journal was lost; it was made anew of the database, which is whole"
            );
            Ok(Begun::Ahead(agreed.into_database()))
        }
    }
}

/// Where no database tells whose a journal is, what was acknowledged must not be of another life.
///
/// # Errors
/// It is.
fn check_life(directory: &Path, ledger: &Ledger) -> Result<(), StoreError> {
    let said = Said::read(directory);
    let is_of_life = said.of_life(ledger.incarnation()).is_some();
    // Where nothing was committed there is nothing to lose.
    let is_empty = ledger.meta().revision == 0 && said.of_life(None).unwrap_or_default() == 0;
    if !said.is_of_ledger() || is_of_life || is_empty {
        return Ok(());
    }
    let journal = ledger.file_at(ledger.meta().revision).into();
    let damage = Damage::Lives { journal, other: acknowledged::path_in(directory).into() };
    Err(StoreError::Damaged { path: directory.to_owned(), damage })
}

/// Whether all is as a close or a kill leaves it: the ledger is where `acknowledged` says, and nothing is there that a start moves
/// or removes.
fn is_as_left(directory: &Path, ledger: &Ledger, path: &Path) -> bool {
    let is_there = |name: &str| fs::symlink_metadata(directory.join(name)).is_ok();
    Said::read(directory).is_up_to(ledger.meta(), ledger.incarnation())
        && path == Database::path_in(directory)
        && !is_there(NEW)
        && !successor::has_draft(directory)
        && database::is_tidy(path)
        // Opened without a snapshot, sled writes to its log too.
        && database::snapshots_in(path).is_ok_and(|snapshots| !snapshots.is_empty())
}

/// Where something else than zeros stands behind the last whole batch, the database has to tell whether it was acknowledged:
/// it was at that last batch before the next one was begun.
///
/// # Errors
/// It cannot tell.
fn tell_end(
    directory: &Path,
    ledger: &Ledger,
    torn: &Segment,
    compared: &Compared,
) -> Result<(), StoreError> {
    let reason = match compared {
        Compared::Unusable { reason } => reason.clone(),
        Compared::NotAhead(database) => {
            let (is, should_be) = (super::read_meta(directory, database)?.revision, ledger.meta().revision);
            if is == should_be {
                return Ok(());
            }
            behind(is, should_be)
        }
        Compared::Ahead(_) | Compared::Unasked => return Ok(()),
    };
    Err(both(directory, torn, reason))
}

/// Puts aside what stands behind the last whole batch and was never acknowledged, and cuts it off: another start, which may find
/// no database, has nothing to ask then. Where it cannot be kept, it stays for the next change to cut.
///
/// # Errors
/// It cannot be cut off.
fn set_end_aside(directory: &Path, settings: &Settings, torn: &Segment) -> Result<(), StoreError> {
    let octets = torn.behind();
    let aside = check_space(directory, settings, octets.len() as u64)
        .and_then(|()| aside::put_octets(directory, &torn.path, octets));
    match aside {
        Ok(aside) => {
            torn.cut()?;
            tracing::warn!(
                set_aside = %aside.display(),
                "what stood behind the last whole batch was never acknowledged; it was cut off"
            );
        }
        Err(error) => tracing::warn!(
            %error,
            "what stands behind the last whole batch was never acknowledged; it stays until the next change"
        ),
    }
    Ok(())
}

fn both(directory: &Path, torn: &Segment, database: String) -> StoreError {
    let journal = Box::new(torn.damage());
    StoreError::Damaged { path: directory.to_owned(), damage: Damage::Both { journal, database } }
}

/// What a database is beside a ledger.
enum Compared {
    /// It is not what can be asked.
    Unusable {
        /// Why not.
        reason: String,
    },
    /// It knows of no batch that the ledger does not.
    NotAhead(Database),
    /// The journal is written before the database, so the end of the journal is lost. The database is whole.
    Ahead(Box<Agreed>),
    /// The same, and a copy is to be asked first whether it is whole.
    Unasked,
}

/// Holds the database, or a copy of it, against the ledger. `is_asked`: one that is ahead is read, to see whether it is whole.
///
/// # Errors
/// The end of the ledger is lost and the database is not whole, or the system refuses something.
fn compare(
    directory: &Path,
    ledger: &Ledger,
    opened: Result<Database, StoreError>,
    is_asked: bool,
) -> Result<Compared, StoreError> {
    let opened = opened.and_then(|database| Ok((super::read_meta(directory, &database)?, database)));
    let (meta, database) = match opened {
        Ok(opened) => opened,
        Err(error) if error.is_damage() => {
            check_life(directory, ledger)?;
            return Ok(Compared::Unusable { reason: said(&error) });
        }
        Err(error) => return Err(error),
    };
    if meta.incarnation.is_none() {
        check_life(directory, ledger)?;
    }
    // Either may be what is ours, and the other have been brought here, with `acknowledged` or without.
    if Incarnation::is_foreign(meta.incarnation, ledger.incarnation()) {
        let damage = Damage::Lives {
            journal: ledger.file_at(ledger.meta().revision).into(),
            other: database_there(directory).into(),
        };
        return Err(StoreError::Damaged { path: directory.to_owned(), damage });
    }
    // Both go by what was committed: another state of the same revision is no damage, and nobody knows which of the two is meant.
    // Nor does `acknowledged` where it is of one with the journal: both may have been brought here, and the database be what is ours.
    let there = database_there(directory);
    let agreed = match Agreed::ask(directory, &Journal::Whole(ledger), (&there, database, meta))? {
        Asked::Agreed(agreed) => agreed,
        // One of an older version, whose life nobody knows, that was left beside the journal of another.
        Asked::Parted(_) if meta.incarnation.is_none() && ledger.incarnation().is_some() => {
            return Ok(Compared::Unusable { reason: FOREIGN.to_owned() });
        }
        Asked::Parted(damage) => return Err(StoreError::Damaged { path: directory.to_owned(), damage }),
    };
    if meta.revision <= ledger.meta().revision {
        return Ok(Compared::NotAhead(agreed.into_database()));
    }
    if !is_asked {
        return Ok(Compared::Unasked);
    }
    match verify(directory, agreed.database(), &AtomicBool::new(false)) {
        Ok(found) if found == meta => Ok(Compared::Ahead(agreed)),
        Err(error) if !error.is_damage() => Err(error),
        _ => Err(StoreError::Behind {
            path: directory.to_owned(),
            store: ledger.meta().revision,
            acknowledged: meta.revision,
            noted: None,
            copies: format!(
                "the journal ends with revision {}, and the database, which has more, is not whole",
                ledger.meta().revision
            ),
        }),
    }
}

/// Why the database in a data directory, of which a copy is asked, keeps what its ledger says from being all there is to say of the
/// store. `None`: it does not, or there is no database that can be asked.
///
/// # Errors
/// It cannot be asked for another reason.
pub(in crate::store) fn objection(
    directory: &Path,
    ledger: &Ledger,
) -> Result<Option<StoreError>, StoreError> {
    let path = database_there(directory);
    if !path.exists() {
        return Ok(check_life(directory, ledger).err());
    }
    let asked = Copy::of(directory, &path).and_then(|copy| {
        let opened = Database::open_copy(directory, &copy.path, Settings::default().cache_octets);
        // Closed before its files go.
        compare(directory, ledger, opened, true).map(|compared| match compared {
            Compared::Unusable { .. } | Compared::NotAhead(_) | Compared::Unasked => None,
            Compared::Ahead(agreed) => {
                let (found, acknowledged) = (ledger.meta().revision, agreed.meta().revision);
                let damage = Damage::EndMissing { found, acknowledged };
                Some(StoreError::JournalDamaged { path: directory.to_owned(), damage })
            }
        })
    });
    match asked {
        Err(error) if error.is_unusable() => Ok(Some(error)),
        asked => asked,
    }
}

/// Brings the database to the last batch of the ledger and verifies it; makes it anew where that is not enough. Gives up
/// when `ending` becomes true.
///
/// # Errors
/// The disk is full, or the system refuses something.
pub(super) fn finish(
    directory: &Path,
    settings: &Settings,
    ledger: &Ledger,
    begun: Begun,
    ending: &AtomicBool,
) -> Result<Database, StoreError> {
    let anew = |reason: String| make_anew(directory, settings, ledger, &reason, ending);
    let database = match begun {
        Begun::Ahead(database) => database,
        Begun::Full(error) => return Err(error),
        Begun::Unusable { reason } => anew(reason)?,
        Begun::Open(database, snapshots) => {
            // What was read is in use.
            if let Some(snapshots) = snapshots {
                snapshots.let_go();
            }
            match catch_up(directory, ledger, &database, ending) {
                Ok(()) => database,
                Err(error) if error.is_damage() => {
                    drop(database);
                    anew(said(&error))?
                }
                Err(error) => return Err(error),
            }
        }
    };
    remove_leftovers(directory);
    Ok(database)
}

fn catch_up(
    directory: &Path,
    ledger: &Ledger,
    database: &Database,
    ending: &AtomicBool,
) -> Result<(), StoreError> {
    let meta = super::read_meta(directory, database)?;
    if meta.revision < ledger.meta().revision {
        // Older than the checkpoint: for its owner that is the same as damaged.
        let missing = ledger.since(meta.revision).ok_or_else(|| {
            let reason = behind(meta.revision, ledger.meta().revision);
            StoreError::Damaged { path: directory.to_owned(), damage: Damage::Database { reason } }
        })?;
        write_missing(database, missing)?;
    }
    if verify(directory, database, ending)? == *ledger.meta() {
        return Ok(());
    }
    Err(StoreError::Damaged { path: directory.to_owned(), damage: Damage::Sum })
}

/// Makes the database of the items of the ledger, beside the one that there is, which is put aside.
fn make_anew(
    directory: &Path,
    settings: &Settings,
    ledger: &Ledger,
    reason: &str,
    ending: &AtomicBool,
) -> Result<Database, StoreError> {
    let path = Database::path_in(directory);
    let new = Beside::write(directory, settings, ledger, ending)?;
    let aside = aside::put(directory, &path)?;
    fs::rename(&new.path, &path).map_err(|error| StoreError::from_io(&path, "make", error))?;
    sync_directory(directory)?;
    let revision = ledger.meta().revision;
    match aside {
        Some(aside) => tracing::warn!(
            revision, reason, set_aside = %aside.display(),
            "the database was made anew of the journal, which is whole"
        ),
        None => tracing::info!(revision, "the database was made of the journal"),
    }
    // As it is opened now: where the disk does not give what was just written, sled may find less, and say nothing.
    let database = Database::open(directory, &path, settings.cache_octets)?;
    if verify(directory, &database, ending)? == *ledger.meta() {
        return Ok(database);
    }
    Err(StoreError::Damaged { path: directory.to_owned(), damage: Damage::Sum })
}

/// Opens the database that came into its place, and sees that it is where the store is.
///
/// # Errors
/// It is not, or cannot be opened.
pub(super) fn open_exchanged(
    directory: &Path,
    settings: &Settings,
    meta: &Meta,
) -> Result<Database, StoreError> {
    let database = Database::open(directory, &Database::path_in(directory), settings.cache_octets)?;
    if super::read_meta(directory, &database)? == *meta {
        return Ok(database);
    }
    Err(StoreError::Damaged { path: directory.to_owned(), damage: Damage::Sum })
}

/// Writes all items of the ledger into a database at `path`, and verifies and closes it.
fn write_database(
    directory: &Path,
    settings: &Settings,
    ledger: &Ledger,
    path: &Path,
    ending: &AtomicBool,
) -> Result<(), StoreError> {
    let database = Database::open(directory, path, settings.cache_octets)?;
    let mut pieces = Pieces::into(&database);
    ledger.items(|key, value| {
        check_ending(directory, ending)?;
        pieces.put(key, Some(value))
    })?;
    pieces.finish()?;
    if verify(directory, &database, ending)? == *ledger.meta() {
        return Ok(());
    }
    Err(StoreError::Damaged { path: directory.to_owned(), damage: Damage::Sum })
}

/// Brings a database to the end of a ledger by what it lacks. Ended in the middle, it is at its old revision: the description
/// of the store comes last.
fn write_missing(database: &Database, mut missing: Changed<'_>) -> Result<(), StoreError> {
    let meta_key = record::meta_key();
    let description = missing.remove(&*meta_key).flatten();
    let mut pieces = Pieces::into(database);
    for (key, value) in missing {
        pieces.put(key, value)?;
    }
    if let Some(description) = description {
        pieces.put(&meta_key, Some(description))?;
    }
    pieces.finish()
}

/// Items on their way into a database, some at a time.
struct Pieces<'a> {
    database: &'a Database,
    writes: Writes,
    octets: usize,
}

impl<'a> Pieces<'a> {
    fn into(database: &'a Database) -> Self {
        Self { database, writes: Writes::new(), octets: 0 }
    }

    fn put(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), StoreError> {
        self.octets += key.len() + value.map_or(0, <[u8]>::len);
        self.writes.insert(key.to_vec(), value.map(<[u8]>::to_vec));
        if self.octets < WRITTEN_TOGETHER_OCTETS {
            return Ok(());
        }
        self.octets = 0;
        self.database.write(&std::mem::take(&mut self.writes))
    }

    fn finish(self) -> Result<(), StoreError> {
        self.database.write(&self.writes)?;
        self.database.sync()
    }
}

/// A database that was written beside the one that is in use: gone with this, unless it was put into the place of that one.
pub(super) struct Beside {
    pub(super) path: PathBuf,
}

impl Beside {
    /// Makes it of the ledger.
    ///
    /// # Errors
    /// There is no space, or it cannot be written.
    pub(super) fn write(
        directory: &Path,
        settings: &Settings,
        ledger: &Ledger,
        ending: &AtomicBool,
    ) -> Result<Self, StoreError> {
        let beside = Self { path: directory.join(NEW) };
        beside.write_all(directory, settings, ledger, ending)?;
        Ok(beside)
    }

    /// Brings it to the end of the ledger.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn write_rest(
        &self,
        directory: &Path,
        settings: &Settings,
        ledger: &Ledger,
        ending: &AtomicBool,
    ) -> Result<(), StoreError> {
        let database = Database::open(directory, &self.path, settings.cache_octets)?;
        let revision = super::read_meta(directory, &database)?.revision;
        match ledger.since(revision) {
            Some(missing) if missing.is_empty() => Ok(()),
            Some(missing) => write_missing(&database, missing),
            // A checkpoint was made meanwhile, which holds what is missing among all the rest.
            None => {
                drop(database);
                self.write_all(directory, settings, ledger, ending)
            }
        }
    }

    fn write_all(
        &self,
        directory: &Path,
        settings: &Settings,
        ledger: &Ledger,
        ending: &AtomicBool,
    ) -> Result<(), StoreError> {
        let octets = ledger.checkpoint_octets().saturating_mul(DATABASE_OCTETS_FOR_ONE);
        check_space(directory, settings, octets)?;
        aside::remove_made(&self.path)?;
        write_database(directory, settings, ledger, &self.path, ending)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        take_away(&self.path);
    }
}

/// Puts a database that was written beside in the place of the one that was in use, and takes that away. In each moment one
/// of them stands there, or, where the file system cannot exchange names, the old one under another name, which a start
/// knows.
///
/// # Errors
/// It cannot be moved.
pub(super) fn exchange(directory: &Path, settings: &Settings, new: &Beside) -> Result<(), StoreError> {
    let (path, new) = (Database::path_in(directory), new.path.as_path());
    let failed = |error: io::Error| StoreError::from_io(&path, "exchange", error);
    // sled knows its files by their names: what it still writes of one must not come to the other.
    database::wait_until_closed(&path)?;
    database::wait_until_closed(new)?;
    let exchanged = if settings.exchanges_names {
        let (here, flags) = (rustix::fs::CWD, rustix::fs::RenameFlags::EXCHANGE);
        rustix::fs::renameat_with(here, new, here, &path, flags)
    } else {
        Err(Errno::INVAL)
    };
    match exchanged {
        Ok(()) => {
            sync_directory(directory)?;
            aside::remove_made(new)
        }
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            let old = directory.join(DATABASE_OLD);
            aside::remove_made(&old)?;
            (settings.rename)(&path, &old).map_err(failed)?;
            if let Err(error) = (settings.rename)(new, &path) {
                // Where that fails as well, the next start puts it back.
                let _ = (settings.rename)(&old, &path);
                return Err(failed(error));
            }
            sync_directory(directory)?;
            aside::remove_made(&old)
        }
        Err(error) => Err(failed(error.into())),
    }
}

/// Where the database is: where it belongs, or, of an exchange by two names that was killed, where the old one is that comes back.
fn database_there(directory: &Path) -> PathBuf {
    let (path, old) = (Database::path_in(directory), directory.join(DATABASE_OLD));
    if !path.exists() && old.exists() { old } else { path }
}

/// What is left of an exchange by two names: the old database comes back where no other took its place. Where one did, it stays
/// until that one was verified.
fn finish_exchanging(directory: &Path) -> Result<(), StoreError> {
    let (path, old) = (Database::path_in(directory), database_there(directory));
    if old == path {
        return Ok(());
    }
    fs::rename(&old, &path).map_err(|error| StoreError::from_io(&path, "put back", error))?;
    sync_directory(directory)
}

/// Takes away what the database, which was verified, makes needless: copies that processes have left behind when they were
/// killed, and what stood in its place before.
fn remove_leftovers(directory: &Path) {
    remove_copies(directory, true);
    tell_left(aside::remove_made(&directory.join(DATABASE_OLD)));
}

/// Whether a name in a data directory is that of a database which is made, or of a copy of one.
pub(in crate::store) fn is_beside_database(name: &str) -> bool {
    name == NEW || is_copy(OsStr::new(name))
}

/// An error as a part of another one's sentence: what is damaged, without what to do.
pub(super) fn said(error: &StoreError) -> String {
    match error {
        StoreError::Damaged { damage, .. } => damage.to_string(),
        StoreError::Behind { store, acknowledged, .. } => behind(*store, *acknowledged),
        error => error.with_reason(),
    }
}

fn behind(is: Revision, should_be: Revision) -> String {
    format!("it is at revision {is} instead of {should_be}")
}

const NEW: &str = "store.new";
/// Items are handed to the database in batches of about so many octets. sled writes the items of a batch in no order, and can
/// use again what pages have left behind only when a batch has ended: with 1 MiB a database took 2.5 to 3 times what its
/// items do, with this 1.8 times, of 100,000 accounts as of the traces of 50,000 tokens; in order and one by one, 2.1 to 4
/// times.
const WRITTEN_TOGETHER_OCTETS: usize = 64 * 1024;
/// A database takes several times what its items do.
const DATABASE_OCTETS_FOR_ONE: u64 = 4;
