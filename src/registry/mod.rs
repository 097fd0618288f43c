//! The meeting place: the one way to read and to change.
//!
//! Reading: [`Registry::snapshot`], an immutable directory at one revision. Changing:
//! [`Registry::change`], carried out by one writer thread: validated against a draft of the next snapshot and
//! applied to it, committed with its events, published, acknowledged, in that order. Authenticating:
//! [`Registry::authenticate`], see `authenticate.rs`.

mod application_addresses;
mod authenticate;
mod authenticate_api;
mod backups;
mod caller;
#[cfg(test)]
pub(crate) mod climb;
pub mod commands;
mod error;
mod fresh_secrets;
mod logins;
mod origins;
mod rules;
mod search_words;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
mod token_key;
mod trail;
mod transaction;
mod viewer;
mod writer;
mod wrong_fields;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

pub use application_addresses::BoundApplication;
pub use authenticate::{
    Attempt, Authentication, AuthenticationRefusal, NAME_FORM_OCTETS_MAX, Trial, Verdict,
    account_of_certificate,
};
pub use authenticate_api::ApiRefusal;
pub use backups::{BackupState, Backups, NewestBackup};
pub use caller::{Asker, Caller, Lack};
#[cfg(test)]
pub use commands::{Classified, Classifier, ImportEntry, ImportLayout};
pub use commands::{
    DEFAULT_LIFETIME, DiffEntry, Exchanged, ForeignCredential, ForeignCredentials, ImportOptions,
    ImportReport, LostAccesses, NeededSecret, NewSecret, NewToken, OwnSecret, OwnSecretError, Replaced,
    SeedOptions, SeedPlan, SeedProblem, SharedValue, SharedValues, Sign, Spool, SpoolError, Spools,
    TokenCare, TokenCareSettings, TokenChanges, TokenCounts, remove_spools,
};
pub use error::{ChangeError, OpenError};
pub use rules::Rules;
pub use search_words::SearchWords;
pub use token_key::{TokenKeyState, check_key_of_store};
pub use trail::{CustomEventBounds, EventQuery};
pub use transaction::Transaction;
pub use viewer::Viewer;
pub use wrong_fields::WrongFields;

use crate::audit::{LoginTally, TallyBounds};
use crate::auth::{
    HashBounds, HashPool, HashPoolSettings, ProofCache, Throttle, ThrottleSettings, TokenKeys,
};
use crate::clock::Clock;
use crate::config::{Limit, LimitCounts};
use crate::directory::{Snapshot, SnapshotBuilder};
use crate::model::{Actor, InternalAccount, Key, Record, Timestamp, Trail};
use crate::net::Rate;
use crate::secret::Secret;
use crate::seldom::{self, Seldom};
use crate::store::Store;
use application_addresses::ApplicationAddresses;
use fresh_secrets::FreshSecrets;
use writer::{ChangeWriter, WriterHandle};

/// What a registry is made with.
#[derive(Clone, Debug)]
pub struct RegistrySettings {
    pub hashing: HashPoolSettings,
    /// What a stored hash may cost.
    pub bounds: HashBounds,
    /// How many verified secrets are remembered.
    pub verified_secrets_max: usize,
    /// How often a secret may be wrong.
    pub throttle: ThrottleSettings,
    /// How many logins are told apart between two calls of [`Registry::flush_logins`].
    pub logins_told_max: usize,
    /// How many failed logins are told apart between two such calls.
    pub login_failures_told_max: usize,
    /// How many refusals of who had proved themselves are told apart between two such calls.
    pub denials_told_max: usize,
    /// How many of either of one source are.
    pub failures_told_by_source_max: usize,
    /// What callers may add to the audit trail.
    pub custom_events: CustomEventBounds,
    /// Secrets of its own that an account exchanges within an hour.
    pub own_secrets_by_account_max: u32,
    /// How long a replaced token goes on working when nothing else is said.
    pub rotation_overlap: Duration,
    /// What [`Registry::keep_tokens`] does.
    pub token_care: TokenCareSettings,
    /// How many new secrets can be viewed at a time.
    pub fresh_secrets_max: usize,
    /// How many commands of callers of the API may wait for the writer.
    pub commands_waiting_max: usize,
    /// How many walks through the trail there are at a time.
    pub trail_walks_max: usize,
    /// What chosen secrets are found by, and kept secrets encrypted with.
    pub token_keys: TokenKeys,
    /// Whether the tokens end whose key is lost, and a new one is made.
    pub makes_new_token_key: bool,
    /// What objects are held to.
    pub rules: Rules,
    /// Where the file of an import is kept.
    pub spools: Spools,
    /// What time it is.
    pub clock: Arc<Clock>,
}

impl Default for RegistrySettings {
    fn default() -> Self {
        Self {
            hashing: HashPoolSettings::default(),
            bounds: HashBounds::default(),
            verified_secrets_max: 0,
            throttle: ThrottleSettings::default(),
            logins_told_max: 65_536,
            login_failures_told_max: 1_024,
            denials_told_max: 1_024,
            failures_told_by_source_max: 32,
            custom_events: CustomEventBounds::default(),
            own_secrets_by_account_max: u32::MAX,
            rotation_overlap: Duration::ZERO,
            token_care: TokenCareSettings::default(),
            fresh_secrets_max: 1_024,
            commands_waiting_max: 4_096,
            trail_walks_max: 2,
            token_keys: TokenKeys::default(),
            makes_new_token_key: false,
            rules: Rules::default(),
            spools: Spools::default(),
            clock: Arc::new(Clock::of_system()),
        }
    }
}

/// The directory of one data store, for everybody who reads or changes it.
pub struct Registry {
    published: Arc<ArcSwap<Snapshot>>,
    store: Arc<dyn Store>,
    writer: Mutex<Option<WriterHandle>>,
    pub(crate) hash_pool: HashPool,
    pub(crate) proofs: ProofCache,
    pub(crate) throttle: Arc<Throttle>,
    applications: Arc<ApplicationAddresses>,
    pub(crate) bounds: HashBounds,
    reached: Arc<LimitCounts>,
    tally: LoginTally,
    /// Held by who makes events of the tally.
    flushing: tokio::sync::Mutex<()>,
    /// Parts of the tally that have been answered, so that the end sees whether a flush gets on.
    flushed_parts: AtomicU64,
    /// When it was last done for a reader.
    flushed: Mutex<Option<Instant>>,
    custom_events: CustomEventBounds,
    /// How often an account may add one.
    custom_rate: Arc<Rate>,
    /// How many secrets of its own an account exchanges within an hour, and what is counted of it.
    own_secrets: (u32, Rate),
    /// Turns to walk through the audit trail.
    walks: Arc<tokio::sync::Semaphore>,
    pub(crate) token_keys: TokenKeys,
    fresh_secrets: FreshSecrets,
    token_care: TokenCareSettings,
    token_counts: TokenCounts,
    rotation_overlap: Duration,
    rules: Rules,
    spools: Spools,
    clock: Arc<Clock>,
    backups: Backups,
    started: Instant,
}

impl Registry {
    /// Loads and verifies the store, and starts the writer and the hash pool.
    ///
    /// # Errors
    /// What the store says, records of which no directory can be made, or a pool that did not start.
    pub fn open(store: Arc<dyn Store>, settings: RegistrySettings) -> Result<Arc<Self>, OpenError> {
        let mut builder = SnapshotBuilder::new();
        let without_origin: Arc<Mutex<Vec<Key>>> = Arc::default();
        let loaded = store.load_stored(&mut |stored| {
            let without_origin = without_origin.clone();
            let is_first = stored.is_first();
            let read = move |each: &mut dyn FnMut(&Record)| {
                stored.lend(&mut |record| {
                    if origins::is_unknown(record) {
                        without_origin.lock().unwrap_or_else(PoisonError::into_inner).push(record.key());
                    }
                    each(record);
                });
            };
            if is_first {
                read(&mut |record| builder.add(record.clone()))
            } else {
                builder.add_unread(Box::new(read))
            }
        })?;
        let snapshot = builder.finish(loaded.meta().revision);
        let meta = loaded.finish()?;
        store.loaded();
        let mut snapshot = snapshot.map_err(OpenError::Directory)?;
        let clock = settings.clock;
        // Looked up once: the first change keeps what is believed.
        let newest = if meta.belief.is_none() { newest_event(&*store)? } else { None };
        clock.recall(meta.belief, newest);
        snapshot.set_schema_since(clock.now());
        let mut token_keys = settings.token_keys;
        let ending =
            token_key::settle(&mut token_keys, &meta, snapshot.accounts(), settings.makes_new_token_key)?;
        let has_ending = !ending.is_empty();
        let published = Arc::new(ArcSwap::from_pointee(snapshot));
        let mut writer =
            ChangeWriter::new(store.clone(), published.clone(), meta, settings.rules, clock.clone());
        if !commands::internal_accounts::are_kept(published.load().accounts()) {
            writer.begin_with(nobody().into(), commands::internal_accounts::keep);
        }
        let ends = move |transaction: &mut Transaction<'_>| token_key::end(transaction, &ending);
        if has_ending && !writer.begin_with(nobody().into(), ends) {
            return Err(OpenError::TokensStay);
        }
        // What is of no data directory is not known again.
        if let Some(mark) = token_keys.path().and_then(|_| token_keys.mark()) {
            writer.note_token_key(mark);
        }
        let reached = Arc::default();
        let writer =
            writer.start(settings.commands_waiting_max, Arc::clone(&reached)).map_err(OpenError::Thread)?;
        let registry = Arc::new(Self {
            published,
            store,
            writer: Mutex::new(Some(writer)),
            hash_pool: HashPool::start(settings.hashing)?,
            proofs: ProofCache::new(settings.verified_secrets_max)?,
            throttle: Arc::new(Throttle::new(settings.throttle)),
            applications: Arc::new(ApplicationAddresses::new(
                settings.throttle.entries_max,
                settings.throttle.window,
            )),
            bounds: settings.bounds,
            reached,
            tally: LoginTally::new(TallyBounds {
                logins_max: settings.logins_told_max,
                failures_max: settings.login_failures_told_max,
                denials_max: settings.denials_told_max,
                failures_by_source_max: settings.failures_told_by_source_max,
            }),
            flushing: tokio::sync::Mutex::default(),
            flushed_parts: AtomicU64::default(),
            flushed: Mutex::default(),
            custom_events: settings.custom_events,
            custom_rate: Arc::new(Rate::per_minute(settings.custom_events.by_account_max)),
            own_secrets: (
                settings.own_secrets_by_account_max,
                Rate::per_hour(settings.own_secrets_by_account_max),
            ),
            walks: Arc::new(tokio::sync::Semaphore::new(settings.trail_walks_max)),
            token_keys,
            fresh_secrets: FreshSecrets::new(settings.fresh_secrets_max),
            token_care: settings.token_care,
            token_counts: TokenCounts::default(),
            rotation_overlap: settings.rotation_overlap,
            rules: settings.rules,
            spools: settings.spools,
            clock,
            backups: Backups::default(),
            started: Instant::now(),
        });
        let mut without_origin =
            std::mem::take(&mut *without_origin.lock().unwrap_or_else(PoisonError::into_inner));
        without_origin.sort_unstable();
        registry.look_up_origins(without_origin);
        Ok(registry)
    }

    /// What time it is, for expiry and all else.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What says so, and whether time may delete something.
    pub fn clock(&self) -> &Arc<Clock> {
        &self.clock
    }

    /// Has the store keep what is believed of the clock: a server to which nothing happens must know at its next start how
    /// late it had become.
    ///
    /// # Errors
    /// The store takes nothing.
    pub async fn keep_clock(&self) -> Result<(), ChangeError> {
        self.change(nobody(), |transaction| {
            transaction.keep_clock();
            Ok(())
        })
        .await
    }

    /// The newest directory. Whoever holds it goes on reading the same revision.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.published.load_full()
    }

    /// The newest directory, to be let go soon: cheaper than [`Registry::snapshot`], as no count is kept.
    pub fn current(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.published.load()
    }

    /// Whether a seed was ever applied to this store.
    pub async fn is_seeded(&self) -> Result<bool, ChangeError> {
        self.change(nobody(), |transaction| Ok(transaction.is_seeded())).await
    }

    /// Carries a change out: `command` validates it and puts records; when it succeeds, they and their
    /// events are committed together, synced, published, and only then does this return. Whether `caller` is still
    /// who it was is asked first; what it may do is asked by `command`.
    ///
    /// # Errors
    /// What `command` says, or that the store refuses: then nothing of it happened.
    pub async fn change<T, F>(&self, caller: impl Into<Caller>, command: F) -> Result<T, ChangeError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Transaction<'_>) -> Result<T, ChangeError> + Send + 'static,
    {
        let answer = {
            let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            writer.as_ref().ok_or(ChangeError::ShuttingDown)?.submit(caller.into(), command)
        };
        answer.await.map_err(|_| ChangeError::WriterStopped)?
    }

    /// Carries `command` out like [`Registry::change`] and forgets what it did: what a change would do.
    pub(crate) async fn rehearse<T, F>(&self, command: F) -> Result<T, ChangeError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Transaction<'_>) -> Result<T, ChangeError> + Send + 'static,
    {
        let answer = {
            let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            writer.as_ref().ok_or(ChangeError::ShuttingDown)?.rehearse(nobody().into(), command)
        };
        answer.await.map_err(|_| ChangeError::WriterStopped)?
    }

    /// Hands a change to the writer without waiting for it; why it was not made stands in the log.
    pub(crate) fn change_later<F>(&self, actor: Actor, command: F)
    where
        F: FnOnce(&mut Transaction<'_>) -> Result<(), ChangeError> + Send + 'static,
    {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(writer) = writer.as_ref() {
            writer.leave(actor.into(), move |transaction| {
                command(transaction).inspect_err(|error| {
                    tracing::debug!(%error, "a change was not made");
                    if let Some(count) = seldom::note(Seldom::ChangeRefused) {
                        tracing::warn!(count, %error, "{}", Seldom::ChangeRefused.sentence());
                    }
                })
            });
        }
    }

    /// Cancelled when the writer has ended: without one no token can be revoked. `None`: the registry was
    /// closed.
    pub fn writer_ended(&self) -> Option<CancellationToken> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.as_ref().map(WriterHandle::ended)
    }

    /// The content of the file of the key that chosen secrets are found by, for a backup.
    ///
    /// # Errors
    /// In words: there is none, it cannot be read, or it is not the one that tokens need.
    pub fn finding_key_file(&self) -> Result<Secret, String> {
        match self.token_keys.own_file() {
            Ok(Some(key)) => {
                token_key::check_file(&key, self.token_keys.mark(), self.snapshot().accounts()).map(|()| key)
            }
            Ok(None) => Err("there is no `token.key` in the data directory".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// What is known of the backups that are made without being asked for.
    pub fn backups(&self) -> &Backups {
        &self.backups
    }

    /// The store, for threads that may wait for a disk.
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Hashes, proofs and refusals so far, for tests and metrics.
    pub fn hash_pool(&self) -> &HashPool {
        &self.hash_pool
    }

    /// How long a replaced token goes on working when nothing else is said.
    pub fn rotation_overlap(&self) -> Duration {
        self.rotation_overlap
    }

    /// What objects are held to.
    pub fn rules(&self) -> Rules {
        self.rules
    }

    /// Where the doors note that a limit was reached.
    pub fn reached(&self) -> &Arc<LimitCounts> {
        &self.reached
    }

    /// How often each limit that is counted was reached since the start. The rooms below count their own.
    pub fn limits_reached(&self) -> impl Iterator<Item = (Limit, u64)> {
        let (hashes, throttled) = (self.hash_pool.counts(), self.throttle.counts());
        let count = move |limit| match limit {
            Limit::hash_queue_max => hashes.refused_busy.saturating_sub(hashes.refused_share),
            Limit::hash_queue_by_source_max => hashes.refused_share,
            Limit::throttle_failures_max => throttled.paused,
            Limit::throttle_failures_by_source_max => throttled.paced_by_source,
            Limit::throttle_failures_by_application_max => throttled.paced_by_application,
            Limit::throttle_failures_by_token_max => throttled.paced_by_token,
            Limit::throttle_entries_max => throttled.displaced + self.reached.count(limit),
            Limit::verified_secrets_max => self.proofs.displaced(),
            other => self.reached.count(other),
        };
        Limit::counted().map(move |limit| (limit, count(limit)))
    }

    /// Takes no more changes, finishes those that wait, makes events of the last logins, ends the threads and lets go
    /// of the store's writer.
    pub fn close(&self) {
        // What a flush that is under way has taken out of the tally it still has to hand to the writer.
        let turn = self.last_turn_to_flush();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            let tell = self.flush_last(&writer);
            writer.close();
            tell();
            // One that took too long gives back what it has left.
            drop(turn.or_else(|| self.last_turn_to_flush()));
            let left = self.tally.count();
            if left > 0 {
                tracing::error!(logins = left, "logins have no events, as the server went down");
            }
        }
        self.hash_pool.close();
    }
}

/// When the newest event happened that the store holds.
fn newest_event(store: &dyn Store) -> Result<Option<Timestamp>, OpenError> {
    let mut newest = None;
    for trail in Trail::ALL {
        let last = store.events_before(trail, u64::MAX, 1)?;
        newest = newest.max(last.first().map(|event| event.time));
    }
    Ok(newest)
}

/// Who acts when nobody asks.
fn nobody() -> Actor {
    Actor::internal(InternalAccount::Housekeeping)
}
