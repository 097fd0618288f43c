//! From `[server]` to an open directory: the one place where settings become those of the rooms below.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::process::check_threads;
use crate::auth::{
    Argon2Parameters, HashBounds, HashPoolSettings, ThrottleSettings, TokenKeyError, TokenKeys,
};
use crate::clock::Clock;
use crate::config::{HashingSettings, Limits, Settings};
use crate::net::ListenError;
use crate::registry::{
    CustomEventBounds, OpenError, Registry, RegistrySettings, Rules, Spools, TokenCareSettings,
    check_key_of_store, remove_spools,
};
use crate::store::{DiskStore, Holder, MemoryStore, StoreError, check_owner, read_backup, read_directory};

/// What is said of one opening of a store.
#[derive(Clone, Copy, Debug, Default)]
pub struct Opening {
    /// The operator vouches for the clock.
    pub trusts_clock: bool,
    /// Where the token key is lost or another one, the tokens end that need it, and a new one is made.
    pub makes_new_token_key: bool,
}

/// Opens the store in the data directory and loads the directory from it; waits for a process that holds the store, but not
/// for long. `may_begin` is asked when nobody else holds it, before any file of it is changed.
///
/// # Errors
/// [`OpenError`]: the store is held, damaged or too new, or threads cannot be started.
pub fn open_in_turn(
    settings: &Settings,
    clock: &Arc<Clock>,
    opening: Opening,
    may_begin: &MayBegin<'_>,
) -> Result<Arc<Registry>, OpenError> {
    let mut patience = Patience::new(&settings.limits);
    loop {
        match open_if(settings, clock.clone(), opening, may_begin) {
            Err(OpenError::Store(error))
                if patience.lasts(&error, |sentence| tracing::warn!("{sentence}")) =>
            {
                std::thread::sleep(Patience::PAUSE);
            }
            opened => return opened,
        }
    }
}

/// Opens the store in the data directory and loads the directory from it. `clock` is held against what the store has kept of
/// it.
///
/// # Errors
/// [`OpenError`]: the store is held, damaged or too new, or threads cannot be started.
pub fn open_registry(
    settings: &Settings,
    clock: Arc<Clock>,
    opening: Opening,
) -> Result<Arc<Registry>, OpenError> {
    open_if(settings, clock, opening, &|| Ok(()))
}

/// What may still refuse a store that nobody else holds.
pub type MayBegin<'a> = dyn Fn() -> Result<(), ListenError> + 'a;

fn open_if(
    settings: &Settings,
    clock: Arc<Clock>,
    opening: Opening,
    may_begin: &MayBegin<'_>,
) -> Result<Arc<Registry>, OpenError> {
    let hashing = settings
        .hashing
        .threads
        .map_or_else(|| std::thread::available_parallelism().map_or(1, NonZeroUsize::get), count);
    check_threads(STORE_THREADS + WRITER_THREADS + hashing)?;
    // Another user may read neither.
    check_owner(&settings.data_dir)?;
    // No store is made that cannot be opened, and none is opened, which changes its files, without keys that can be read.
    let token_keys = TokenKeys::open(&settings.data_dir, settings.token_key_file.as_deref())?;
    let open = |is_doubted| {
        open_with_keys(settings, clock.clone(), opening, token_keys.clone(), (may_begin, is_doubted))
    };
    match open(false) {
        // Each file of the journal is whole, and they are not of one store: the database may be.
        Err(OpenError::Store(StoreError::Damaged { .. })) => open(true),
        opened => opened,
    }
}

/// The same with keys of tokens that can be read.
fn open_with_keys(
    settings: &Settings,
    clock: Arc<Clock>,
    opening: Opening,
    token_keys: TokenKeys,
    (may_begin, is_doubted): (&MayBegin<'_>, bool),
) -> Result<Arc<Registry>, OpenError> {
    let makes_new_token_key = opening.makes_new_token_key;
    let (store, token_keys) =
        DiskStore::open_checked(&settings.data_dir, is_doubted, may_begin, |unopened| {
            // From here on no other process makes one there, and that of a restore which was decided on is in its place.
            let token_keys = token_keys.read_again()?;
            if !makes_new_token_key {
                check_key_of_store(&token_keys, unopened)?;
            }
            Ok::<_, OpenError>(token_keys)
        })?;
    remove_spools(&settings.data_dir);
    let settings = RegistrySettings { token_keys, makes_new_token_key, clock, ..registry_settings(settings) };
    Registry::open(Arc::new(store), settings)
}

/// Loads the directory from what is in the data directory or in `backup`, and changes nothing. `None`: the store there has to
/// be opened in earnest once, as one that an earlier version made.
///
/// # Errors
/// [`OpenError`]: it is damaged or too new, or threads cannot be started.
pub fn open_reading(settings: &Settings, backup: Option<&Path>) -> Result<Option<Arc<Registry>>, OpenError> {
    let store = match backup {
        Some(backup) => Some(read_backup(backup)?),
        None => read_directory(&settings.data_dir)?,
    };
    let Some(store) = store else { return Ok(None) };
    let token_keys = TokenKeys::as_they_are(&settings.data_dir, settings.token_key_file.as_deref());
    let settings = RegistrySettings { token_keys, ..registry_settings(settings) };
    Registry::open(Arc::new(store), settings).map(Some)
}

/// How long somebody waits for another process that holds the store.
#[derive(Debug)]
pub struct Patience {
    end: Instant,
    is_told: bool,
}

impl Patience {
    /// From now on, for `store_wait_time`.
    pub fn new(limits: &Limits) -> Self {
        let now = Instant::now();
        Self { end: now.checked_add(limits.store_wait_time).unwrap_or(now), is_told: false }
    }

    /// Whether to try again after [`Patience::PAUSE`], as another process holds the store. The first time `tell` is told
    /// which.
    pub fn lasts(&mut self, error: &StoreError, tell: impl FnOnce(&str)) -> bool {
        let StoreError::Held { path, holder } = error else { return false };
        if *holder == Holder::Own || Instant::now() >= self.end {
            return false;
        }
        if !std::mem::replace(&mut self.is_told, true) {
            tell(&format!("waiting for {holder}, which holds the store in {}", path.display()));
        }
        true
    }

    /// Between two tries.
    pub const PAUSE: Duration = Duration::from_millis(50);
}

/// An empty directory in memory, which is forgotten afterwards.
///
/// # Errors
/// [`OpenError`]: the key file cannot be used, or threads cannot be started.
pub fn open_forgotten(settings: &Settings) -> Result<Arc<Registry>, OpenError> {
    let token_keys = TokenKeys::forgotten(&settings.data_dir, settings.token_key_file.as_deref())?;
    let settings = RegistrySettings { token_keys, ..registry_settings(settings) };
    Registry::open(Arc::new(MemoryStore::default()), settings)
}

/// Reads the file of `token_key_file` without making anything.
///
/// # Errors
/// It cannot be used.
pub fn check_token_key(settings: &Settings) -> Result<(), TokenKeyError> {
    TokenKeys::forgotten(&settings.data_dir, settings.token_key_file.as_deref()).map(drop)
}

/// What the directory is opened with; the keys of tokens are not there yet.
fn registry_settings(settings: &Settings) -> RegistrySettings {
    let Settings { hashing, limits, .. } = settings;
    let bounds = hash_bounds(limits);
    RegistrySettings {
        hashing: hash_pool_settings(hashing, limits, &bounds),
        bounds,
        verified_secrets_max: count(limits.verified_secrets_max),
        throttle: throttle_settings(limits),
        logins_told_max: count(limits.logins_told_max),
        login_failures_told_max: count(limits.login_failures_told_max),
        denials_told_max: count(limits.denials_told_max),
        failures_told_by_source_max: count(limits.failures_told_by_source_max),
        custom_events: CustomEventBounds {
            by_account_max: limits.custom_events_by_account_max,
            size_max: limits.custom_event_size_max,
            kept_size_max: limits.custom_events_size_max,
        },
        own_secrets_by_account_max: limits.own_secrets_by_account_max,
        rotation_overlap: settings.rotation_overlap,
        token_care: TokenCareSettings {
            expiry_warning: settings.expiry_warning,
            expired_tokens_kept: limits.expired_tokens_kept,
            tombstones_kept: limits.token_tombstones_kept,
        },
        fresh_secrets_max: count(limits.fresh_secrets_max),
        commands_waiting_max: count(limits.commands_waiting_max),
        trail_walks_max: count(limits.trail_walks_max),
        token_keys: TokenKeys::default(),
        clock: Arc::new(Clock::of_system()),
        makes_new_token_key: false,
        spools: spools(settings),
        rules: Rules {
            posix_number_min: limits.posix_number_min,
            attribute_values_max: count(limits.attribute_values_max),
            password_length_min: count(limits.password_length_min),
            secret_length_max: count(limits.bind_secret_length_max),
            groups_above_max: count(limits.groups_above_max),
            containers_max: count(limits.containers_max),
            container_length_max: count(limits.container_length_max),
            shares_uid_numbers: false,
        },
    }
}

/// Where the files of imports are kept, and how large they may be.
pub fn spools(settings: &Settings) -> Spools {
    Spools {
        directory: Some(settings.data_dir.clone()),
        size_max: settings.limits.import_size_max,
        entries_max: count(settings.limits.import_entries_max),
    }
}

fn hash_bounds(limits: &Limits) -> HashBounds {
    HashBounds {
        memory_kib_max: kib(limits.argon2_memory_max),
        time_cost_max: limits.argon2_time_cost_max,
        parallelism_max: limits.argon2_parallelism_max,
        pbkdf2_rounds_max: limits.pbkdf2_rounds_max,
        sha_crypt_rounds_max: limits.sha_crypt_rounds_max,
        bcrypt_cost_max: limits.bcrypt_cost_max,
    }
}

fn throttle_settings(limits: &Limits) -> ThrottleSettings {
    ThrottleSettings {
        failures_per_name_max: limits.throttle_failures_max,
        failures_per_source_max: limits.throttle_failures_by_source_max,
        failures_per_application_max: limits.throttle_failures_by_application_max,
        failures_per_token_max: limits.throttle_failures_by_token_max,
        window: limits.throttle_time,
        pause_min: limits.throttle_pause_min,
        entries_max: count(limits.throttle_entries_max),
    }
}

fn hash_pool_settings(hashing: &HashingSettings, limits: &Limits, bounds: &HashBounds) -> HashPoolSettings {
    HashPoolSettings {
        threads: hashing.threads.and_then(|threads| NonZeroUsize::new(count(threads))),
        // The config has checked the same bounds (RFC 9106, 3.1), so the default is never taken.
        parameters: Argon2Parameters::new(kib(hashing.memory), hashing.time_cost, hashing.parallelism)
            .unwrap_or_default(),
        stored_memory_kib_max: bounds.memory_kib_max,
        memory_octets_max: hashing.memory_budget,
        queue_length_max: count(limits.hash_queue_max),
        queue_share_max: count(limits.hash_queue_by_source_max),
        ..HashPoolSettings::default()
    }
}

/// The config allows sizes up to 4 GiB here, so nothing is cut off.
fn kib(octets: u64) -> u32 {
    u32::try_from(octets / 1024).unwrap_or(u32::MAX)
}

fn count(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// What sled begins with.
const STORE_THREADS: usize = 7;
const WRITER_THREADS: usize = 1;
