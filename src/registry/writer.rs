//! The one writer: a thread that carries changes out, one group of waiting ones at a time.
//!
//! The commands of a group each see what those before them did; one that fails leaves nothing
//! behind. All that succeeded are committed as one batch with one sync, then published, then
//! acknowledged.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

use arc_swap::ArcSwap;
use tokio::sync::oneshot;

use super::Loaded;
use super::error::ChangeError;
use super::transaction::{Draft, Transaction};
use crate::directory::Snapshot;
use crate::model::{Actor, Timestamp};
use crate::store::{Batch, Meta, Store, StoreError};

/// A command that waits: it runs in a transaction and leaves behind how to tell its caller.
type Job = Box<dyn FnOnce(&mut Transaction<'_>) -> Outcome + Send>;

/// How a command ended.
enum Outcome {
    /// It put its records; the caller learns whether they were committed.
    Ready(Box<dyn FnOnce(Result<(), Arc<StoreError>>) + Send>),
    /// Nothing of it is kept, and its caller knows.
    Abandoned,
}

/// The way to the writer.
pub(super) struct WriterHandle {
    jobs: Sender<(Actor, Job)>,
    thread: JoinHandle<()>,
}

impl WriterHandle {
    /// Hands a command to the writer; the answer comes when it is committed or refused.
    pub(super) fn submit<T, F>(&self, actor: Actor, command: F) -> oneshot::Receiver<Result<T, ChangeError>>
    where
        T: Send + 'static,
        F: FnOnce(&mut Transaction<'_>) -> Result<T, ChangeError> + Send + 'static,
    {
        let (answer, receiver) = oneshot::channel();
        let job: Job = Box::new(move |transaction| match command(transaction) {
            Ok(value) => Outcome::Ready(Box::new(move |committed| {
                // A caller that has gone away does not undo what was committed.
                let _ = answer.send(committed.map(|()| value).map_err(ChangeError::Store));
            })),
            Err(error) => {
                let _ = answer.send(Err(error));
                Outcome::Abandoned
            }
        });
        // When the writer is gone the job is dropped with the answer in it, which tells the caller.
        let _ = self.jobs.send((actor, job));
        receiver
    }

    /// Hands a command to the writer of which nothing is kept; the answer is what it did.
    pub(super) fn rehearse<T, F>(&self, actor: Actor, command: F) -> oneshot::Receiver<Result<T, ChangeError>>
    where
        T: Send + 'static,
        F: FnOnce(&mut Transaction<'_>) -> Result<T, ChangeError> + Send + 'static,
    {
        let (answer, receiver) = oneshot::channel();
        let job: Job = Box::new(move |transaction| {
            // A caller that has gone away misses nothing.
            let _ = answer.send(command(transaction));
            Outcome::Abandoned
        });
        // As in `submit`.
        let _ = self.jobs.send((actor, job));
        receiver
    }

    /// Lets the writer finish what waits, and ends it.
    pub(super) fn close(self) {
        drop(self.jobs);
        // A panic of a command has been noticed by its caller, whose answer was dropped.
        let _ = self.thread.join();
    }
}

/// The state of the writer's thread.
pub(super) struct Writer {
    store: Arc<dyn Store>,
    published: Arc<ArcSwap<Snapshot>>,
    meta: Meta,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(
        store: Arc<dyn Store>,
        published: Arc<ArcSwap<Snapshot>>,
        loaded: Loaded,
    ) -> std::io::Result<WriterHandle> {
        let (jobs, waiting) = channel();
        let mut writer = Self { store, published, meta: loaded };
        let thread = Builder::new().name("writer".to_owned()).spawn(move || writer.run(&waiting))?;
        Ok(WriterHandle { jobs, thread })
    }

    fn run(&mut self, waiting: &Receiver<(Actor, Job)>) {
        while let Ok(first) = waiting.recv() {
            let more = waiting.try_iter().take(GROUP_MAX - 1);
            let group: Vec<_> = std::iter::once(first).chain(more).collect();
            self.carry_out(group);
        }
    }

    fn carry_out(&mut self, group: Vec<(Actor, Job)>) {
        // A command reads what it changes: a store that a full disk had closed must be open before it.
        if let Err(error) = self.store.resume() {
            tracing::debug!(%error, "the store stays closed");
        }
        let mut draft = Draft::new(self.published.load_full(), self.meta);
        let mut ready = Vec::new();
        for (actor, job) in group {
            let mut transaction = Transaction::begin(&mut draft, &*self.store, actor, Timestamp::now());
            let outcome = job(&mut transaction);
            match outcome {
                Outcome::Ready(tell) => {
                    transaction.keep();
                    ready.push(tell);
                }
                Outcome::Abandoned => transaction.abandon(),
            }
        }
        let result = self.commit(draft);
        for tell in ready {
            tell(result.clone());
        }
    }

    /// Commits and publishes the draft; nothing is published that is not on disk.
    fn commit(&mut self, draft: Draft) -> Result<(), Arc<StoreError>> {
        let Some((changes, counters, seeded, mut snapshot)) = draft.finish() else { return Ok(()) };
        let batch = Batch { changes, counters, seeded };
        match self.store.commit(&batch) {
            Ok(meta) => {
                self.meta = meta;
                snapshot.set_revision(meta.revision);
                self.published.store(Arc::new(snapshot));
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, "a change was not committed");
                Err(Arc::new(error))
            }
        }
    }
}

/// So many commands are committed together at most, so that the first does not wait for all.
const GROUP_MAX: usize = 256;
