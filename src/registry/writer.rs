//! The one writer: a thread that carries changes out, one group of waiting ones at a time.
//!
//! The commands of a group each see what those before them did; one that fails leaves nothing
//! behind. All that succeeded are committed as one batch with one sync, then published, then
//! acknowledged.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

use arc_swap::ArcSwap;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::caller::Caller;
use super::error::ChangeError;
use super::rules::Rules;
use super::transaction::{COMMAND_OCTETS_MAX, Draft, Transaction};
use crate::audit;
use crate::clock::Clock;
use crate::config::{Limit, LimitCounts};
use crate::directory::Snapshot;
use crate::model::{Change, Record, Trail};
use crate::seldom::{self, Seldom};
use crate::store::{BATCH_OCTETS_MAX, Batch, Meta, Store, StoreError};

/// A command that waits: it runs in a transaction and leaves behind how to tell its caller.
type Job = Box<dyn FnOnce(&mut Transaction<'_>) -> Outcome + Send>;

/// How a command ended.
struct Outcome {
    /// Whether the records that it put are committed.
    is_kept: bool,
    /// Tells its caller, who learns whether the store took what the answer rests on.
    tell: Tell,
}

type Tell = Box<dyn FnOnce(Result<(), Arc<StoreError>>) + Send>;

/// The way to the writer.
pub(super) struct WriterHandle {
    jobs: Sender<(Caller, Job)>,
    /// How many commands wait.
    waiting: Arc<AtomicUsize>,
    /// How many of callers of the API may.
    waiting_max: usize,
    reached: Arc<LimitCounts>,
    thread: JoinHandle<()>,
    ended: CancellationToken,
}

impl WriterHandle {
    /// Hands a command to the writer; the answer comes when it is committed or refused. It never comes when
    /// the writer has ended.
    pub(super) fn submit<T, F>(&self, caller: Caller, command: F) -> oneshot::Receiver<Result<T, ChangeError>>
    where
        T: Send + 'static,
        F: FnOnce(&mut Transaction<'_>) -> Result<T, ChangeError> + Send + 'static,
    {
        self.queue(caller, Purpose::Change, command)
    }

    /// Hands a command to the writer that is carried out whether anybody waits for it or not.
    pub(super) fn leave<F>(&self, caller: Caller, command: F)
    where
        F: FnOnce(&mut Transaction<'_>) -> Result<(), ChangeError> + Send + 'static,
    {
        drop(self.queue(caller, Purpose::Unawaited, command));
    }

    /// Hands a command to the writer of which nothing is kept; the answer is what it did.
    pub(super) fn rehearse<T, F>(
        &self,
        caller: Caller,
        command: F,
    ) -> oneshot::Receiver<Result<T, ChangeError>>
    where
        T: Send + 'static,
        F: FnOnce(&mut Transaction<'_>) -> Result<T, ChangeError> + Send + 'static,
    {
        self.queue(caller, Purpose::Rehearsal, command)
    }

    /// Cancelled when the thread has ended, asked to or not.
    pub(super) fn ended(&self) -> CancellationToken {
        self.ended.clone()
    }

    fn queue<T, F>(
        &self,
        caller: Caller,
        purpose: Purpose,
        command: F,
    ) -> oneshot::Receiver<Result<T, ChangeError>>
    where
        T: Send + 'static,
        F: FnOnce(&mut Transaction<'_>) -> Result<T, ChangeError> + Send + 'static,
    {
        let (answer, receiver) = oneshot::channel();
        let is_ours = matches!(purpose, Purpose::Unawaited) || caller.holder().is_none();
        let waiting = Waiting(Arc::clone(&self.waiting));
        // What is bindery's own and the operator's has room beyond what callers of the API may take.
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.waiting_max && !is_ours {
            self.reached.note(Limit::commands_waiting_max);
            let _ = answer.send(Err(ChangeError::Busy));
            return receiver;
        }
        let job: Job = Box::new(move |transaction| {
            drop(waiting);
            // Nobody waits any more who would learn of it: it was given up before it began.
            if !matches!(purpose, Purpose::Unawaited) && answer.is_closed() {
                return Outcome { is_kept: false, tell: Box::new(|_| ()) };
            }
            let done = caught(|| {
                transaction.caller().verify(transaction.snapshot().accounts(), transaction.now())?;
                let value = command(transaction)?;
                transaction.complete()?;
                transaction.caller().require_not_refused()?;
                Ok(value)
            });
            let is_kept = !matches!(purpose, Purpose::Rehearsal) && done.is_ok();
            let tell: Tell = Box::new(move |committed| {
                // A caller that has gone away does not undo what was committed.
                let _ = answer.send(committed.map_err(ChangeError::Store).and(done));
            });
            Outcome { is_kept, tell }
        });
        // When the writer is gone the job is dropped with the answer in it, which tells the caller.
        let _ = self.jobs.send((caller, job));
        receiver
    }

    /// Lets the writer finish what waits, and ends it.
    pub(super) fn close(self) {
        drop(self.jobs);
        // The thread catches its panics, so there is nothing to learn from its end.
        let _ = self.thread.join();
    }
}

/// What a command is handed over for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// To be kept.
    Change,
    /// To be kept, whoever waits.
    Unawaited,
    /// To be forgotten: what it would do is asked for.
    Rehearsal,
}

/// A command that waits, until this is dropped.
struct Waiting(Arc<AtomicUsize>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Runs a command. One that panics is refused like any other: the writer has to go on, as a token may have
/// to be revoked next. What the panic left half done is in the transaction, which is abandoned.
fn caught<T>(command: impl FnOnce() -> Result<T, ChangeError>) -> Result<T, ChangeError> {
    catch_unwind(AssertUnwindSafe(command)).unwrap_or_else(|_| {
        // The message of the panic is on standard error.
        if let Some(count) = seldom::note(Seldom::CommandPanicked) {
            tracing::error!(count, "{}", Seldom::CommandPanicked.sentence());
        }
        Err(ChangeError::Panicked)
    })
}

/// The state of the writer's thread.
pub(super) struct ChangeWriter {
    store: Arc<dyn Store>,
    published: Arc<ArcSwap<Snapshot>>,
    meta: Meta,
    rules: Rules,
    clock: Arc<Clock>,
}

impl ChangeWriter {
    /// On what was loaded.
    pub(super) fn new(
        store: Arc<dyn Store>,
        published: Arc<ArcSwap<Snapshot>>,
        loaded: Meta,
        rules: Rules,
        clock: Arc<Clock>,
    ) -> Self {
        Self { store, published, meta: loaded, rules, clock }
    }

    /// Carries a change out before there is a thread, and any other change; says whether it is committed. One that fails is
    /// told in the log.
    pub(super) fn begin_with(
        &mut self,
        caller: Caller,
        command: impl FnOnce(&mut Transaction<'_>) -> Result<(), ChangeError> + Send + 'static,
    ) -> bool {
        let is_committed = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_committed);
        let job: Job = Box::new(move |transaction| {
            let done = caught(|| command(transaction).and_then(|()| transaction.complete()));
            let is_kept = done.is_ok();
            if let Err(error) = done {
                tracing::warn!(%error, "what the store lacks was not added; it is tried again at the next start");
            }
            let tell: Tell = Box::new(move |done| told.store(is_kept && done.is_ok(), Ordering::Relaxed));
            Outcome { is_kept, tell }
        });
        self.carry_out(vec![(caller, job)]);
        is_committed.load(Ordering::Relaxed)
    }

    /// Notes in the store by which key the chosen secrets of tokens are found, before there is a thread. Where that does not
    /// succeed the next start tries again.
    pub(super) fn note_token_key(&mut self, mark: u64) {
        let Meta { counters, seeded, token_key, .. } = self.meta;
        if token_key == Some(mark) {
            return;
        }
        let batch = Batch { counters, seeded, token_key: Some(mark), ..Batch::default() };
        match self.store.commit(&batch) {
            Ok(meta) => {
                self.meta = meta;
                let mut snapshot = Snapshot::clone(&self.published.load());
                snapshot.set_revision(meta.revision);
                self.published.store(Arc::new(snapshot));
            }
            Err(error) => tracing::debug!(%error, "the mark of the token key was not noted"),
        }
    }

    /// Starts the thread, for which so many commands of callers of the API may wait.
    pub(super) fn start(
        self,
        waiting_max: usize,
        reached: Arc<LimitCounts>,
    ) -> std::io::Result<WriterHandle> {
        let (jobs, waiting) = channel();
        let mut writer = self;
        let ended = CancellationToken::new();
        let end = ended.clone().drop_guard();
        let thread = Builder::new().name("writer".to_owned()).spawn(move || {
            let _end = end;
            // A panic outside of a command: what is on disk may not be what is published, so nothing more
            // can be built on it.
            if catch_unwind(AssertUnwindSafe(|| writer.run(&waiting))).is_err() {
                tracing::error!("the writer has stopped: no change can be made until a restart");
            }
        })?;
        Ok(WriterHandle { jobs, waiting: Arc::default(), waiting_max, reached, thread, ended })
    }

    fn run(&mut self, waiting: &Receiver<(Caller, Job)>) {
        while let Ok(first) = waiting.recv() {
            let more = waiting.try_iter().take(GROUP_MAX - 1);
            let group: Vec<_> = std::iter::once(first).chain(more).collect();
            self.carry_out(group);
        }
    }

    fn carry_out(&mut self, group: Vec<(Caller, Job)>) {
        // A command reads what it changes: a store that a full disk had closed must be open before it.
        if let Err(error) = self.store.resume() {
            tracing::debug!(%error, "the store stays closed");
        }
        let mut group = group.into_iter().peekable();
        while group.peek().is_some() {
            let mut draft = Draft::new(self.published.load_full(), self.meta);
            let mut waiting = Vec::new();
            for (caller, job) in group.by_ref() {
                let rests_on_others = !draft.is_empty();
                let mut transaction =
                    Transaction::begin(&mut draft, &*self.store, caller, self.rules, self.clock.look());
                let Outcome { is_kept, tell } = job(&mut transaction);
                if is_kept {
                    transaction.keep();
                } else {
                    transaction.abandon();
                }
                // A refusal or a plan may rest on what others of the group did: it is true once that is.
                if is_kept || rests_on_others {
                    waiting.push(tell);
                } else {
                    tell(Ok(()));
                }
                if draft.octets() >= GROUP_OCTETS_MAX {
                    break;
                }
            }
            let result = self.commit(draft);
            let told = result.as_ref().map(|_| ()).map_err(Arc::clone);
            for tell in waiting {
                tell(told.clone());
            }
            // Behind the answers: who waits for a change does not wait for the log.
            if let Ok(changes) = result {
                self.write_to_log(&changes);
            }
        }
    }

    /// Writes the events of a commit to the log, and where their trails end: a line may be lost in a burst, and the next
    /// end tells what there was all the same.
    fn write_to_log(&self, changes: &[Change]) {
        let mut events: BTreeMap<Trail, u64> = BTreeMap::new();
        for change in changes {
            if let Change::Put(Record::Event(event)) = change {
                audit::committed(event);
                *events.entry(event.trail).or_default() += 1;
            }
        }
        for (trail, events) in events {
            audit::trail_ends(trail, &self.meta.counters.trails.of(trail), events);
        }
    }

    /// Commits and publishes the draft, and gives the changes; nothing is published that is not on disk.
    fn commit(&mut self, draft: Draft) -> Result<Vec<Change>, Arc<StoreError>> {
        let Some((changes, counters, seeded, mut snapshot)) = draft.finish() else { return Ok(Vec::new()) };
        let batch =
            Batch { changes, counters, seeded, belief: Some(self.clock.look().belief), ..Batch::default() };
        match self.store.commit(&batch) {
            Ok(meta) => {
                self.meta = meta;
                snapshot.set_revision(meta.revision);
                self.published.store(Arc::new(snapshot));
                Ok(batch.changes)
            }
            Err(error) => {
                if let Some(count) = seldom::note(Seldom::NotCommitted) {
                    tracing::error!(count, %error, "{}", Seldom::NotCommitted.sentence());
                }
                Err(Arc::new(error))
            }
        }
    }
}

/// So many commands are committed together at most, so that the first does not wait for all.
/// No limit of the config: it divides what `commands_waiting_max` bounds.
const GROUP_MAX: usize = 256;
/// A group that has come to this is committed before the next command. With the largest command there can
/// be it is still a batch that the store takes: no command fails because of those that waited with it.
/// No limit of the config: it follows from what the store takes.
const GROUP_OCTETS_MAX: usize = BATCH_OCTETS_MAX - COMMAND_OCTETS_MAX;
