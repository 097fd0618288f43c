//! What keeps the files of a store from growing: checkpoints, which take the place of the batches before them, and databases
//! that are made anew without what is gone.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;

use super::opening::{self, Beside};
use super::{CommitState, Engine, Settings, Shared, check_space, database_in, octets_in};
use crate::model::Revision;
use crate::seldom::{self, Seldom};
use crate::store::Sizes;
use crate::store::error::StoreError;
use crate::store::journal::Journal;
use crate::store::ledger::{self, Files};

impl CommitState {
    /// How long the journal may become before a checkpoint is made.
    pub(super) fn journal_bound(&self, settings: &Settings) -> u64 {
        (self.checkpoint_octets / 4)
            .clamp(settings.journal_octets_min, JOURNAL_OCTETS_MAX.max(settings.journal_octets_min))
    }

    fn journal_octets(&self) -> u64 {
        self.before.iter().map(|(_, octets)| octets).sum::<u64>().saturating_add(self.journal.length())
    }
}

impl Shared {
    /// Begins to make a checkpoint, if the journal has become long.
    pub(super) fn make_checkpoint_in_time(self: &Arc<Self>, writer: &mut CommitState) {
        if writer.journal_octets() <= writer.journal_octets_max {
            return;
        }
        let mut checkpointing = self.checkpointing.lock().unwrap_or_else(PoisonError::into_inner);
        if checkpointing.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return;
        }
        // Where it does not succeed, it is tried again when there is as much once more.
        writer.journal_octets_max =
            writer.journal_octets().saturating_add(writer.journal_bound(&self.settings));
        if let Err(error) = self.begin_checkpoint(writer, &mut checkpointing)
            && let Some(count) = seldom::note(Seldom::CheckpointFailed)
        {
            tracing::warn!(count, %error, "{}", Seldom::CheckpointFailed.sentence());
        }
    }

    fn begin_checkpoint(
        self: &Arc<Self>,
        writer: &mut CommitState,
        checkpointing: &mut Option<JoinHandle<()>>,
    ) -> Result<(), StoreError> {
        let octets = writer.checkpoint_octets.saturating_add(writer.journal_octets());
        check_space(&self.directory, &self.settings, octets)?;
        let next = writer.meta.revision.saturating_add(1);
        let path = ledger::path_in(&self.directory);
        if writer.journal.first() != next {
            let sync = self.settings.sync_directory;
            let journal = Journal::create(&path, writer.meta.incarnation, next, sync)?;
            // One that added nothing and had its name.
            writer.before.retain(|(path, _)| path != journal.path());
            let old = std::mem::replace(&mut writer.journal, journal);
            writer.before.push((old.path().to_owned(), old.length()));
        }
        let revision = writer.meta.revision;
        let files = self.files(writer)?;
        let shared = self.clone();
        let thread = std::thread::Builder::new().name("store-checkpoint".to_owned()).spawn(move || {
            if let Err(error) = shared.checkpoint(files, revision)
                && let Some(count) = seldom::note(Seldom::CheckpointFailed)
            {
                tracing::warn!(count, %error, "{}", Seldom::CheckpointFailed.sentence());
            }
        });
        *checkpointing =
            Some(thread.map_err(|error| StoreError::from_io(&path, "start a thread for", error))?);
        Ok(())
    }

    /// Makes a checkpoint as of `revision`, and takes away the batches before it.
    fn checkpoint(&self, files: Files, revision: Revision) -> Result<(), StoreError> {
        let ledger = self.read(files, revision)?;
        let octets = ledger.make_checkpoint(&self.ending)?;
        let mut writer = self.writer();
        let before = std::mem::take(&mut writer.before);
        writer.checkpoint_octets = octets;
        writer.journal_octets_max = writer.journal_bound(&self.settings);
        let before: Vec<PathBuf> = before.into_iter().map(|(path, _)| path).collect();
        tracing::debug!(revision, octets, "a checkpoint of the journal was made");
        ledger::remove(&before)
    }

    pub(super) fn join_checkpoint(&self) {
        let thread = self.checkpointing.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }

    /// Makes a database anew that has grown beyond a multiple of what it holds.
    pub(super) fn compact_in_time(&self) {
        let before = self.sizes();
        let bound = before.journal.saturating_mul(COMPACTED_AT).max(self.settings.compacted_octets_min);
        if before.database <= bound {
            return;
        }
        match self.compact() {
            Ok(after) => tracing::info!(
                before = before.database,
                after = after.database,
                "the database had grown by what is gone, and was made anew"
            ),
            Err(error) => {
                tracing::warn!(%error, octets = before.database, "the database stays as large as it is")
            }
        }
    }

    pub(super) fn compact(&self) -> Result<Sizes, StoreError> {
        self.wait_until_opened();
        let _turn = self.compacting.lock().unwrap_or_else(PoisonError::into_inner);
        // Most of it while changes go on.
        let new = Beside::write(&self.directory, &self.settings, &self.ledger()?, &self.ending)?;
        let writer = self.writer();
        self.reopen(&writer)?;
        let ledger = self.read(self.files(&writer)?, writer.meta.revision)?;
        new.write_rest(&self.directory, &self.settings, &ledger, &self.ending)?;
        let before = octets_in(&database_in(&self.directory));
        if self.settings.compaction_gain_octets_min.is_some_and(|gain| octets_in(&new.path) + gain > before) {
            return Ok(self.sizes());
        }
        let mut engine = self.engine_mut();
        match std::mem::replace(&mut *engine, Engine::Closed) {
            Engine::Open(database) => drop(database),
            other => {
                *engine = other;
                return Err(self.full());
            }
        }
        let exchanged = opening::exchange(&self.directory, &self.settings, &new);
        let path = database_in(&self.directory);
        // One of the two is there, and each is whole; or neither, until a start puts the old one back.
        let opened = match exchanged {
            Err(error) if !path.exists() => return Err(self.stop(&mut engine, None, &error)),
            _ => opening::open_exchanged(&self.directory, &self.settings, &writer.meta),
        };
        match opened {
            Ok(database) => *engine = Engine::Open(database),
            Err(error) if error.is_full() => return Err(error),
            Err(error) => return Err(self.stop(&mut engine, None, &error)),
        }
        exchanged?;
        Ok(self.sizes())
    }
}

/// A start makes a database anew that is so many times as large as the journal, which holds little that is gone.
const COMPACTED_AT: u64 = 8;
/// The batches since the checkpoint are in memory while a store is opened.
/// No limit of the config: a checkpoint follows, and nobody is refused by it.
const JOURNAL_OCTETS_MAX: u64 = 128 * 1024 * 1024;
