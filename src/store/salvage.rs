//! What is sound in the files of a damaged store, as a backup of which `restore` makes a store that starts.
//!
//! Three sources are read: the checkpoint and the batches of the journal as far as their blocks and entries are whole, and
//! the database from a copy of its files, from both ends until it errs. Of each record the newest whole version counts:
//! a batch tells of which revision it is, the database and the checkpoint are of that which their description says. Where
//! every batch up to the database's revision is there, what the journal says is exact, and the database, which may have
//! lost a page, comes second. Where the checkpoint is whole and as new as the database, that one is left out: it may have what is gone.
//!
//! All of them are of one life of a store: that which was acknowledged last, where something is left of it. What is of another
//! one is left out, and told of, as it would bring back what was revoked. So is what is of another history of that life, of a copy
//! that went on by itself.
//!
//! What refers to something that is gone is left out or loses the reference, so that no new object of the same number gets
//! it; for the same reason numbers are given away from some way behind the highest that is mentioned anywhere.
//!
//! Checkpoint and database are read first for what of them is whole and how far they go. Then the sources are gone through three
//! times, record by record in the order of their names: to know what there is, to count what of it is kept, and to write
//! that. Of all records only numbers, hashes of names and ranks are in memory, beside the journal, the providers and
//! attributes, the last names in the audit trail of what is gone, and what is told at the end.

mod history;
mod kept;
mod outcome;
mod sources;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

pub use self::outcome::{Missing, SalvageRules, Salvaged};

use self::kept::{Kept, Survey};
use self::sources::{Choice, Sources};
use super::acknowledged::Said;
use super::archive::{ArchiveWriter, Wreck};
use super::disk::Remains;
use super::error::{Damage, StoreError};
use super::lock::Lock;
use super::record::{self, Item};
use super::{Meta, journal, ledger, successor, unreadable};
use crate::model::{Incarnation, Record, Timestamp};

/// Reads the files in a data directory without changing them, and writes what is sound as an archive. The copy of the
/// database is made in `scratch`, and removed.
///
/// # Errors
/// A process works on the store, a newer version wrote it, nothing at all was found, or the system refuses something: what it
/// refuses of the copy is [`StoreError::Copy`], and nothing is done with less.
pub fn salvage(
    directory: &Path,
    scratch: &Path,
    rules: &SalvageRules<'_>,
    out: &mut dyn Write,
) -> Result<Salvaged, StoreError> {
    let _lock = match Lock::take(directory) {
        // A disk that nobody may write to is read all the same.
        Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::ReadOnlyFilesystem => None,
        lock => Some(lock?),
    };
    let mut salvaged = Salvaged::default();
    let place = successor::store_in(directory);
    let is_decided = place != directory;
    if is_decided {
        salvaged.sources.push(format!(
            "the store that was decided on, in {}; what was there before is in its place or in `set-aside`",
            place.display()
        ));
    }
    let said = Said::read(&place);
    let mut journal = read_journal(&place, &mut salvaged)?;
    let mut checkpoint = open_checkpoint(&place, &mut salvaged);
    // What was there before may be there still, in part.
    let mut database = if is_decided { Remains::default() } else { Remains::of(directory, scratch)? };
    salvaged.sources.push(format!(
        "database{}: {} items{}{}",
        if database.is_old { " (of store.old)" } else { "" },
        database.items,
        of_revision(database.meta),
        database.reason.as_ref().map(|reason| format!(", and no more ({reason})")).unwrap_or_default()
    ));
    // Behind a checkpoint that has an incarnation no file is without one.
    let may_be_before = life_of(checkpoint.as_ref()).is_none();
    let store = keep_one_life(&said, &mut checkpoint, &mut database, &mut journal, &mut salvaged);
    let life = journal::Life { store, may_be_before };
    let left_out =
        history::others(&place, said.of_life(store), life, checkpoint.as_ref(), &database, &journal);
    left_out.leave(&mut checkpoint, &mut database, &mut journal, &mut salvaged);
    let checkpoint = checkpoint.as_ref().map(|(wreck, meta)| (wreck, *meta));
    let sources = Sources::of(checkpoint, &database, &journal, life, &mut salvaged);

    let mut survey = Survey::default();
    let mut revision = 0;
    sources.records(directory, |name, versions| {
        revision = revision.max(versions.newest());
        if record::is_meta(name) {
            survey.meta = versions.newest_meta();
            return Ok(());
        }
        match versions.choose() {
            Choice::Gone => {}
            Choice::Broken => {
                salvaged.left_out.push(format!("{}: no version of it is whole", record::title(name)));
            }
            Choice::Chosen(chosen) => {
                if !chosen.is_newest {
                    salvaged.earlier.push(record::title(name));
                }
                survey.note(&chosen, rules);
            }
        }
        Ok(())
    })?;
    if survey.is_empty() {
        let reason = format!("nothing that is whole was found; {}", salvaged.sources.join("; "));
        return Err(StoreError::Damaged { path: directory.to_owned(), damage: Damage::Database { reason } });
    }
    let described = survey.meta;
    salvaged.records_expected = described.map(|meta| meta.records);

    let mut kept = Kept::of(survey, rules);
    each_kept(directory, &sources, &mut kept, |kept, record, items| {
        kept.count(record, items, rules);
        Ok(())
    })?;
    let meta = kept.describe(revision, rules, &mut salvaged);
    salvaged.revision = meta.revision;
    if let Some(acknowledged) = said.of_life(store) {
        let told = match acknowledged.saturating_sub(meta.revision) {
            0 => String::new(),
            lost => format!(", of which the last {lost} are in none of these"),
        };
        salvaged.sources.push(format!("acknowledged: up to revision {acknowledged}{told}"));
    } else if matches!(said, Said::Acknowledged(_)) {
        salvaged.sources.push("acknowledged: of another store, or of another life of this one".to_owned());
    }
    salvaged.records = meta.records;
    if let Some(more) = salvaged.records_expected.and_then(|expected| meta.records.checked_sub(expected))
        && more > 0
    {
        salvaged.sources.push(format!(
            "{more} records more than the store had by its last description that was found: what was deleted may be among them"
        ));
    }

    if salvaged.is_complete()
        && described.is_some_and(|described| described.records == meta.records && described.sum != meta.sum)
    {
        salvaged.sources.push(
            "as many records as the newest description counts, and not those: some are of an earlier revision, or of a copy of the \
             store that went on by itself"
                .to_owned(),
        );
    }

    // Not the disk of the store, if it is full.
    let failed = |source| StoreError::Io { path: PathBuf::from("the output"), doing: "write", source };
    let made = crate::clock::system_time()
        .max(meta.belief.map_or(Timestamp::from_unix_seconds(0), |belief| belief.time));
    let mut writer = ArchiveWriter::new(out, &meta, made).map_err(failed)?;
    // Its key is the first of all.
    let (key, value) = record::encode_meta(&meta)?;
    writer.item(&key, &value).map_err(failed)?;
    each_kept(directory, &sources, &mut kept, |_, _, items| {
        items.iter().try_for_each(|(key, value)| writer.item(key, value)).map_err(failed)
    })?;
    writer.finish(None).map_err(failed)?;
    Ok(salvaged)
}

/// Shows each record that is kept, as it is kept, with its items.
fn each_kept(
    directory: &Path,
    sources: &Sources<'_>,
    kept: &mut Kept,
    mut visit: impl FnMut(&mut Kept, &Record, &[Item]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    sources.records(directory, |name, versions| {
        if record::is_meta(name) {
            return Ok(());
        }
        let Choice::Chosen(mut chosen) = versions.choose() else { return Ok(()) };
        if !kept.keeps(&chosen.record) {
            return Ok(());
        }
        if kept.strip(&mut chosen.record) {
            chosen.items = record::encode(&chosen.record)?;
        }
        visit(kept, &chosen.record, &chosen.items)
    })
}

/// Leaves out what is not of the life of the store that is salvaged: of the one that was acknowledged last, where something of it
/// is there, or else of that of the checkpoint, of the newest batches or of the database. Answers with which that is.
fn keep_one_life(
    said: &Said,
    checkpoint: &mut Option<(Wreck, Option<Meta>)>,
    database: &mut Remains,
    journal: &mut Vec<(PathBuf, Vec<u8>)>,
    salvaged: &mut Salvaged,
) -> Option<Incarnation> {
    let of_checkpoint = life_of(checkpoint.as_ref());
    let of_files: Vec<_> = journal.iter().map(|(path, octets)| journal::life_of(path, octets)).collect();
    let of_database = database.meta.and_then(|meta| meta.incarnation);
    let newest_first = of_files.iter().rev().copied().flatten();
    let there: Vec<_> = of_checkpoint.into_iter().chain(newest_first).chain(of_database).collect();
    let last = said.lives().find(|life| there.contains(life));
    let life = last.or_else(|| there.first().copied());
    let mut others: Vec<String> = Vec::new();
    if Incarnation::is_foreign(of_checkpoint, life) {
        *checkpoint = None;
        others.push("the checkpoint".to_owned());
    }
    if Incarnation::is_foreign(of_database, life) {
        *database = Remains::default();
        others.push("the database".to_owned());
    }
    let mut of_files = of_files.into_iter();
    journal.retain(|(path, _)| {
        let is_other = Incarnation::is_foreign(of_files.next().flatten(), life);
        if is_other {
            others.push(path.display().to_string());
        }
        !is_other
    });
    if let (Some(life), false) = (life, others.is_empty()) {
        salvaged.sources.push(format!(
            "of another store, or of another life of this one, and left out: {}; what is kept is of the incarnation {life}, which \
             {} (for what was left out, salvage a copy of the directory in which that is alone)",
            others.join(", "),
            if last.is_some() { "was acknowledged last" } else { "the journal, or else the database, names first" },
        ));
    }
    life
}

/// Of which life a checkpoint is, as far as it says so.
fn life_of(checkpoint: Option<&(Wreck, Option<Meta>)>) -> Option<Incarnation> {
    let (wreck, meta) = checkpoint?;
    let described = meta.and_then(|meta| meta.incarnation);
    described.or_else(|| wreck.head().and_then(|head| head.life()))
}

/// The files of batches.
fn read_journal(directory: &Path, salvaged: &mut Salvaged) -> Result<Vec<(PathBuf, Vec<u8>)>, StoreError> {
    let path = ledger::path_in(directory);
    let mut journal = Vec::new();
    let files = match super::journal::files_in(&path) {
        _ if !path.is_dir() => Vec::new(),
        Err(error) if error.is_damage() => {
            salvaged.sources.push(error.with_reason());
            Vec::new()
        }
        files => files?,
    };
    for file in files {
        match unreadable::open_file(&file).and_then(|file| unreadable::read_without_end(&file)) {
            Ok(octets) => journal.push((file, octets)),
            Err(error) => salvaged.sources.push(format!("{} cannot be read ({error})", file.display())),
        }
    }
    Ok(journal)
}

/// The checkpoint with what it says about itself.
fn open_checkpoint(directory: &Path, salvaged: &mut Salvaged) -> Option<(Wreck, Option<Meta>)> {
    let path = ledger::path_in(directory).join(ledger::CHECKPOINT);
    let explored = unreadable::open_file(&path).and_then(Wreck::of).map(|wreck| {
        let (mut items, mut described) = (0_u64, None);
        for (key, value) in wreck.items() {
            items += 1;
            if key == record::meta_key() {
                described = record::decode_meta(&value).ok();
            }
        }
        // The description may stand in the first block, as an item, or in neither.
        let meta = wreck.head().map(|head| head.meta).or(described);
        let (octets, lost) = wreck.octets();
        let found = format!("{items} items{}, {lost} octets of {octets} passed over", of_revision(meta));
        (wreck, meta, found)
    });
    match explored {
        Ok((wreck, meta, found)) => {
            salvaged.sources.push(format!("checkpoint: {found}"));
            Some((wreck, meta))
        }
        Err(error) => {
            salvaged.sources.push(format!("checkpoint: {} cannot be read ({error})", path.display()));
            None
        }
    }
}

fn of_revision(meta: Option<Meta>) -> String {
    meta.map(|meta| format!(" of revision {}", meta.revision)).unwrap_or_default()
}
