//! What is done to tokens as time goes by: expired API tokens that are retrievable are rotated, what has long expired is
//! deleted and at last forgotten, and the operator is warned of what will expire.
//!
//! Nothing here decides whether a token works: an expired one is refused from its second on, whether or not this ran.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::NewTokenSecret;
use super::secret::next_expiry;
use crate::audit::EventObject;
use crate::clock::TrustedTime;
use crate::config::Limit;
use crate::directory::Accounts;
use crate::model::{
    Action, Intent, Key, Origin, Record, Timestamp, Token, TokenNumber, Tombstone, TombstoneOf,
};
use crate::registry::{ChangeError, Registry, Transaction, nobody};
use crate::seldom::{self, Seldom};
use crate::store::StoreError;

/// How long is looked ahead and back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenCareSettings {
    /// The operator is warned of tokens that expire within this.
    pub expiry_warning: Duration,
    /// What has expired and is not rotated is deleted after this; zero: never.
    pub expired_tokens_kept: Duration,
    /// The tombstone of a token that the config had not made, or of anything that a caller of the API had, is deleted after
    /// this; zero: never.
    pub tombstones_kept: Duration,
}

impl Default for TokenCareSettings {
    fn default() -> Self {
        Self {
            expiry_warning: Duration::ZERO,
            expired_tokens_kept: Duration::ZERO,
            tombstones_kept: Duration::ZERO,
        }
    }
}

/// What one run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenCare {
    /// Expired API tokens that have a new secret.
    pub rotated: usize,
    /// Tokens that were deleted.
    pub removed: usize,
    /// Tokens of which the operator was warned.
    pub warned: usize,
    /// Tombstones that were deleted.
    pub forgotten: usize,
    /// Whether there is more to do than one run does.
    pub is_more: bool,
}

/// How many tokens are about to expire and expired, when it was last looked.
#[derive(Debug, Default)]
pub struct TokenCounts {
    expiring: AtomicU64,
    expired: AtomicU64,
    /// Retrievable API tokens that have expired and wait for a key: told when there are others than before.
    unsealable: AtomicU64,
}

impl TokenCounts {
    /// Tokens that expire within the time of the warning.
    pub fn expiring(&self) -> u64 {
        self.expiring.load(Ordering::Relaxed)
    }

    /// Tokens that are expired and still there.
    pub fn expired(&self) -> u64 {
        self.expired.load(Ordering::Relaxed)
    }
}

/// What is to be done, as far as one run does it.
#[derive(Default)]
struct Due {
    rotate: Vec<Token>,
    remove: Vec<TokenNumber>,
    warn: Vec<TokenNumber>,
    forget: Vec<TombstoneOf>,
    is_more: bool,
    /// Retrievable API tokens that have expired, while there is no key to keep a new secret with.
    unsealable: u64,
    expiring: u64,
    expired: u64,
}

impl Registry {
    /// Does what is due for tokens at `now`, which only a clock gives that is believed, at most
    /// [`RUN_MAX`] of each, and [`FORGOTTEN_MAX`] tombstones; the rest is for the next run. Looks at every token and tombstone: call it where a thread may be busy for a while.
    ///
    /// A token that cannot be deleted or exchanged is named in the log, and the others are seen to.
    ///
    /// # Errors
    /// The store takes nothing, or a secret cannot be made; what was done before stays done.
    pub async fn keep_tokens(&self, now: impl Into<TrustedTime>) -> Result<TokenCare, ChangeError> {
        let now = now.into().get();
        self.fresh_secrets.sweep(Instant::now());
        let settings = self.token_care;
        let due = due(self.snapshot().accounts(), settings, self.token_keys.can_seal(), now);
        self.token_counts.expiring.store(due.expiring, Ordering::Relaxed);
        self.token_counts.expired.store(due.expired, Ordering::Relaxed);
        let unsealable = self.token_counts.unsealable.swap(due.unsealable, Ordering::Relaxed);
        if due.unsealable > 0 && due.unsealable != unsealable {
            tracing::warn!(
                tokens = due.unsealable,
                "expired API tokens are retrievable, but there is no key to keep a new secret with: name it as \
                 `token_key_file` in [server], or rotate them"
            );
        }
        let Due { rotate, remove, warn, forget, is_more, .. } = due;
        let mut care = TokenCare { is_more, ..TokenCare::default() };
        if !remove.is_empty() {
            care.removed = self.remove_each_expired(remove, now).await?;
            let removed = u64::try_from(care.removed).unwrap_or(u64::MAX);
            self.token_counts.expired.fetch_sub(removed.min(due.expired), Ordering::Relaxed);
            self.reached().add(Limit::expired_tokens_kept, removed);
        }
        if !warn.is_empty() {
            let warned =
                self.change(nobody(), move |transaction| warn_of(transaction, &warn, settings, now)).await;
            let warned = match warned {
                Err(error) if is_about_one(&error) => {
                    if let Some(count) = seldom::note(Seldom::WarningsUntold) {
                        tracing::error!(count, %error, "{}", Seldom::WarningsUntold.sentence());
                    }
                    Vec::new()
                }
                warned => warned?,
            };
            // Told when it is on disk that they were: a crash in between repeats nothing in the trail.
            for Warned { identifier, account, expires } in &warned {
                tracing::warn!(token = identifier, account, %expires, "a token expires soon: rotate it");
            }
            care.warned = warned.len();
        }
        if !forget.is_empty() {
            care.forgotten = self
                .change(nobody(), move |transaction| forget_each(transaction, forget, settings, now))
                .await?;
            self.reached()
                .add(Limit::token_tombstones_kept, u64::try_from(care.forgotten).unwrap_or(u64::MAX));
        }
        // Last, as a full hash pool ends the run.
        for token in rotate {
            let identifier = token.identifier.clone();
            match self.rotate_expired(token, now).await {
                Ok(is_rotated) => care.rotated += usize::from(is_rotated),
                Err(error) if is_about_one(&error) => {
                    if let Some(count) = seldom::note(Seldom::TokenStays) {
                        tracing::error!(count, token = identifier, %error, "{}", Seldom::TokenStays.sentence());
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(care)
    }

    /// Deletes what is over: all of it together, or, when one of them cannot be deleted, each by itself.
    async fn remove_each_expired(
        &self,
        numbers: Vec<TokenNumber>,
        now: Timestamp,
    ) -> Result<usize, ChangeError> {
        match self.remove_expired(numbers.clone(), now).await {
            Err(error) if is_about_one(&error) => {}
            done => return done,
        }
        let mut removed = 0;
        for number in numbers {
            match self.remove_expired(vec![number], now).await {
                Ok(count) => removed += count,
                Err(error) if is_about_one(&error) => {
                    if let Some(count) = seldom::note(Seldom::TokenStays) {
                        tracing::error!(count, token = %number, %error, "{}", Seldom::TokenStays.sentence());
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(removed)
    }

    async fn remove_expired(&self, numbers: Vec<TokenNumber>, now: Timestamp) -> Result<usize, ChangeError> {
        let settings = self.token_care;
        self.change(nobody(), move |transaction| remove_expired(transaction, &numbers, settings, now)).await
    }

    /// How many tokens were about to expire, and expired, at the last [`Registry::keep_tokens`].
    pub fn token_counts(&self) -> &TokenCounts {
        &self.token_counts
    }

    /// Gives an expired API token a new secret, for whoever may view it. Says whether it was still as it was.
    async fn rotate_expired(&self, token: Token, now: Timestamp) -> Result<bool, ChangeError> {
        let generation = token.generation.saturating_add(1);
        let NewTokenSecret { selector, hash, sealed, .. } = self
            .new_token_secret(
                &token.identifier,
                token.intent,
                token.is_retrievable(),
                token.uuid,
                generation,
                &nobody().into(),
            )
            .await?;
        self.change(nobody(), move |transaction| {
            let accounts = transaction.snapshot().accounts();
            if accounts.token(token.number).is_none_or(|present| **present != token) {
                return Ok(false);
            }
            // There was a key when it was looked what is due.
            if sealed.is_none() {
                return Ok(false);
            }
            if accounts.token_found_by(&selector).is_some() {
                return Err(ChangeError::Conflict);
            }
            let mut expires = next_expiry(&token, now);
            expires = expires.map(|expires| expires.max(now.after(ROTATED_LIFETIME_MIN)));
            let rotated = Token {
                selector,
                hash,
                sealed,
                generation,
                expires,
                renewed: now,
                warned: None,
                made_by: transaction.made_by(),
                ..token.clone()
            };
            super::write(transaction, Some(&token), rotated)?;
            Ok(true)
        })
        .await
    }
}

/// Whether an error may be about one token alone, so that others can still be seen to.
fn is_about_one(error: &ChangeError) -> bool {
    match error {
        ChangeError::Store(error) => matches!(**error, StoreError::TooLarge { .. }),
        ChangeError::Secret(_) | ChangeError::ShuttingDown | ChangeError::WriterStopped => false,
        _ => true,
    }
}

/// Whether an expired token is deleted at `now`.
fn is_over(token: &Token, settings: TokenCareSettings, now: Timestamp) -> bool {
    let Some(expires) = token.expires.filter(|expires| *expires <= now) else { return false };
    let kept = settings.expired_tokens_kept;
    match token.intent {
        _ if token.is_replaced => true,
        // Its record stays.
        _ if token.is_rotated_at_its_end() => false,
        Intent::Api | Intent::AppPassword => !kept.is_zero() && expires.after(kept) <= now,
    }
}

/// Whether a tombstone is deleted at `now`: those of the config's are asked for at each `apply`, those of what the
/// operator had made, but for tokens, guard what is said of their names. How old one of an earlier version is nobody knows.
fn is_forgotten(tombstone: &Tombstone, settings: TokenCareSettings, now: Timestamp) -> bool {
    let kept = settings.tombstones_kept;
    let is_callers = tombstone.origin.account().is_some();
    let is_tokens = matches!(tombstone.of, TombstoneOf::Token(_)) && tombstone.origin != Origin::Config;
    (is_callers || is_tokens) && !kept.is_zero() && tombstone.made.is_some_and(|made| made.after(kept) <= now)
}

/// Whether the operator has to be warned of a token at `now`, or was.
fn is_expiring(token: &Token, settings: TokenCareSettings, now: Timestamp) -> bool {
    let is_near = token.expires.is_some_and(|expires| expires <= now.after(settings.expiry_warning));
    // What is rotated by itself more often than the operator would look is nothing to be warned of.
    let is_routine = token.is_rotated_at_its_end()
        && token.lifetime().is_some_and(|lifetime| lifetime < settings.expiry_warning);
    // One that was replaced is meant to expire.
    is_near && !is_routine && !token.is_expired(now) && !token.is_replaced
}

fn due(accounts: &Accounts, settings: TokenCareSettings, can_seal: bool, now: Timestamp) -> Due {
    let mut due = Due::default();
    for token in accounts.tokens() {
        if is_over(token, settings, now) {
            push(&mut due.remove, token.number, RUN_MAX, &mut due.is_more);
        } else if token.is_expired(now) && token.is_rotated_at_its_end() {
            // One that is not retrievable is not rotated: nobody could learn its secret.
            if can_seal {
                push(&mut due.rotate, Token::clone(token), RUN_MAX, &mut due.is_more);
                continue;
            }
            due.unsealable += 1;
        } else if is_expiring(token, settings, now) {
            due.expiring += 1;
            if token.warned != token.expires {
                push(&mut due.warn, token.number, RUN_MAX, &mut due.is_more);
            }
        }
        due.expired += u64::from(token.is_expired(now));
    }
    for tombstone in accounts.tombstones().filter(|tombstone| is_forgotten(tombstone, settings, now)) {
        push(&mut due.forget, tombstone.of.clone(), FORGOTTEN_MAX, &mut due.is_more);
    }
    due
}

fn push<T>(list: &mut Vec<T>, item: T, at_most: usize, is_more: &mut bool) {
    if list.len() < at_most {
        list.push(item);
    } else {
        *is_more = true;
    }
}

/// Deletes what is still over; a replaced one leaves no tombstone, as no seed knows it by its name.
fn remove_expired(
    transaction: &mut Transaction<'_>,
    numbers: &[TokenNumber],
    settings: TokenCareSettings,
    now: Timestamp,
) -> Result<usize, ChangeError> {
    let mut removed = 0;
    for number in numbers {
        let Some(token) = transaction.snapshot().accounts().token(*number).cloned() else { continue };
        if !is_over(&token, settings, now) {
            continue;
        }
        if token.is_replaced {
            transaction.delete(Key::Token(*number))?;
        } else {
            transaction.delete_token(*number)?;
        }
        removed += 1;
    }
    Ok(removed)
}

/// Deletes the tombstones that are still over.
fn forget_each(
    transaction: &mut Transaction<'_>,
    tombstones: Vec<TombstoneOf>,
    settings: TokenCareSettings,
    now: Timestamp,
) -> Result<usize, ChangeError> {
    let mut forgotten = 0;
    for of in tombstones {
        // Its name may have been taken and be free again since.
        let tombstone = transaction.snapshot().accounts().tombstone(&of);
        if tombstone.is_some_and(|tombstone| is_forgotten(tombstone, settings, now)) {
            transaction.lift_tombstone(of)?;
            forgotten += 1;
        }
    }
    Ok(forgotten)
}

/// A token of which the operator is warned.
struct Warned {
    identifier: String,
    account: String,
    expires: Timestamp,
}

/// Notes of what is still about to expire that the operator was warned, with an event for each.
fn warn_of(
    transaction: &mut Transaction<'_>,
    numbers: &[TokenNumber],
    settings: TokenCareSettings,
    now: Timestamp,
) -> Result<Vec<Warned>, ChangeError> {
    let mut warned = Vec::new();
    for number in numbers {
        let accounts = transaction.snapshot().accounts();
        let Some(token) = accounts.token(*number).cloned() else { continue };
        let Some(expires) = token.expires else { continue };
        if !is_expiring(&token, settings, now) || token.warned == token.expires {
            continue;
        }
        let owner = accounts.account(token.account);
        let account = owner.map_or_else(|| token.account.to_string(), |owner| owner.username.to_string());
        let identifier = token.identifier.clone();
        let noted = Token { warned: Some(expires), ..Token::clone(&token) };
        let object = EventObject::of(&Record::Token(noted.clone()));
        super::write(transaction, Some(&token), noted)?;
        transaction.note(Action::ConfigurationWarning, object)?;
        warned.push(Warned { identifier, account, expires });
    }
    Ok(warned)
}

/// Of each kind one run does so many at most: a hash takes some hundredths of a second, and others wait for the writer.
/// No limit of the config: the rest follows in the next run.
const RUN_MAX: usize = 250;

/// So many tombstones go in one change at most: it is one batch of the store, which others wait for.
/// No limit of the config: the rest follows in the next run.
const FORGOTTEN_MAX: usize = 1_000;

/// A new secret for an expired API token lives so long at least, however short the life of the old one was: each costs a
/// hash and an event.
const ROTATED_LIFETIME_MIN: Duration = Duration::from_secs(60 * 60);
