//! The secret of a token that is there: rotated, set, viewed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::given::selector_of;
use super::rights::{find_secret_of, find_to_rotate, find_to_set, has_come_with, inherit_grants, overlap_of};
use super::{CreatedToken, FIRST_GENERATION, NewTokenSecret, replaced_by, write, write_after};
use crate::audit::EventObject;
use crate::auth::SealError;
use crate::config::{ROTATION_OVERLAP_MAX, show_duration};
use crate::directory::Accounts;
use crate::model::{Action, EventDetail, Key, Permission, Record, Timestamp, Token, TokenNumber, slug_of};
use crate::quoted::called;
use crate::registry::commands::{DEFAULT_LIFETIME, validate};
use crate::registry::fresh_secrets::Viewing;
use crate::registry::{Caller, ChangeError, Registry, Transaction};
use crate::secret::Secret;

impl Registry {
    /// Puts a replacement with a generated secret in the place of a token: it takes its identifier, description,
    /// networks and lifetime, and the grants on it. The old one goes on working for the overlap, under a name that says
    /// so, and is deleted then; without an overlap at once. The caller holds `set_token_key` on it,
    /// or has come with it.
    ///
    /// # Errors
    /// There is no such token, it was replaced already, the overlap is too long, or the caller may not.
    pub async fn rotate_token(
        &self,
        caller: impl Into<Caller>,
        identifier: String,
        overlap: Duration,
    ) -> Result<CreatedToken, ChangeError> {
        let caller = caller.into();
        let old = self.secret_to_exchange(&caller, &identifier, find_to_rotate)?;
        if overlap > ROTATION_OVERLAP_MAX {
            let most = show_duration(ROTATION_OVERLAP_MAX);
            let token = called(&identifier);
            let message = format!(
                "the old secret of {token} would go on working for more than {most}: give a shorter overlap"
            );
            return Err(ChangeError::field("overlap", message));
        }
        caller.require_not_refused()?;
        if has_come_with(&caller, &old) {
            self.admit_own_secret(old.account)?;
        }
        let new = NewUuid::new();
        let made = self
            .new_token_secret(&identifier, old.intent, old.is_retrievable(), new.0, FIRST_GENERATION, &caller)
            .await?;
        let secret = made.secret.clone();
        let overlap_usual = self.rotation_overlap();
        self.change(caller, move |transaction| {
            let old = still(transaction, &identifier, (old.number, old.generation), find_to_rotate)?;
            let caller = transaction.caller();
            let overlap = overlap_of(caller, transaction.snapshot().accounts(), &old, overlap, overlap_usual);
            let token = replace(transaction, &old, overlap, new, made)?;
            let owner = transaction.snapshot().accounts().account(token.account);
            let account = owner.map_or_else(|| token.account.to_string(), |owner| owner.username.to_string());
            let Token { identifier, intent, expires, .. } = token;
            Ok(CreatedToken { account, identifier, intent, secret, expires })
        })
        .await
    }

    /// Gives a token a secret of the caller's own; the old one stops working at once. The caller holds `set_token_key`
    /// on it.
    ///
    /// An app password takes one that bindery has generated for it, or anything else if its account has no other
    /// credential that only its name leads to; an API token one that bindery has generated, or at least 32 characters.
    ///
    /// # Errors
    /// There is no such token, it cannot have this secret, or the caller may not.
    pub async fn set_token_key(
        &self,
        caller: impl Into<Caller>,
        identifier: String,
        secret: Secret,
    ) -> Result<(), ChangeError> {
        let caller = caller.into();
        let old = self.secret_to_exchange(&caller, &identifier, find_to_set)?;
        let selector =
            selector_of(&self.token_keys, old.intent, &secret, self.rules()).map_err(|problem| {
                ChangeError::field("key", format!("the new secret of the token `{identifier}` {problem}"))
            })?;
        let generation = old.generation.saturating_add(1);
        let sealed = self.seal(&identifier, old.is_retrievable(), &secret, old.uuid, generation)?;
        let hash = self.hash_secret(secret, &caller).await?;
        self.change(caller, move |transaction| {
            let old = still(transaction, &identifier, (old.number, old.generation), find_to_set)?;
            let found = transaction.snapshot().accounts().token_found_by(&selector);
            if found.is_some_and(|found| found.number != old.number) {
                let message = "belongs to another token; give it another one";
                let message = format!("the new secret of the token `{identifier}` {message}");
                return Err(ChangeError::field("key", message));
            }
            let made_by = transaction.made_by();
            let token = Token { selector, hash, sealed, generation, made_by, ..old.clone() };
            write(transaction, Some(&old), token)
        })
        .await
    }

    /// Shows the secret of a token: once within ten minutes to whoever made it, and else if it is kept because the token
    /// is retrievable. The caller holds `view_token_key` on it. Each view is an event, on disk before the secret is out.
    ///
    /// # Errors
    /// There is no such token, its secret is not kept ([`ChangeError::NotFound`]) or does not open
    /// ([`ChangeError::Refused`]), or the caller may not.
    pub async fn view_token_key(
        &self,
        caller: impl Into<Caller>,
        identifier: String,
    ) -> Result<Secret, ChangeError> {
        let caller = caller.into();
        let token =
            find_secret_of(&caller, self.snapshot().accounts(), Permission::ViewTokenKey, &identifier)?;
        let seen = (token.number, token.generation);
        let viewer = caller.holder().map(|holder| holder.account);
        let fresh = self.fresh_secrets.take(token.number, token.generation, viewer, Instant::now());
        let secret = match (fresh.as_ref().and_then(Viewing::secret), &token.sealed) {
            (Some(secret), _) => secret.clone(),
            (None, Some(sealed)) => {
                let opened = self.token_keys.open_sealed(sealed, token.uuid, token.generation);
                opened.map_err(|error| closed(&identifier, error))?
            }
            (None, None) => return Err(ChangeError::NotKept { identifier }),
        };
        self.change(caller, move |transaction| {
            let accounts = transaction.snapshot().accounts();
            let token =
                find_secret_of(transaction.caller(), accounts, Permission::ViewTokenKey, &identifier)?;
            if (token.number, token.generation) != seen {
                return Err(ChangeError::Conflict);
            }
            let record = Record::Token(Token::clone(&token));
            // Who has seen a secret knows it, as who has made it does; and who knows the one that it was seen with.
            let viewers = transaction.made_by();
            if viewers.accounts().any(|by| by != token.account) {
                let made_by = token.made_by.clone().and_all(&viewers);
                write(transaction, Some(&token), Token { made_by, ..Token::clone(&token) })?;
            }
            transaction.note(Action::SecretView, EventObject::of(&record))
        })
        .await?;
        if let Some(fresh) = fresh {
            fresh.shown();
        }
        Ok(secret)
    }

    /// The token whose secret the caller may exchange; asked again by the writer, here it saves the hash.
    fn secret_to_exchange(
        &self,
        caller: &Caller,
        identifier: &str,
        find: Find,
    ) -> Result<Token, ChangeError> {
        let snapshot = self.snapshot();
        let token = find(caller, snapshot.accounts(), identifier)?;
        check_present(&token)?;
        Ok(Token::clone(&token))
    }
}

/// Whose secret the caller may exchange.
type Find = fn(&Caller, &Accounts, &str) -> Result<Arc<Token>, ChangeError>;

/// The token of this name, if the caller may still exchange its secret, and if it is the one that was seen before.
fn still(
    transaction: &Transaction<'_>,
    identifier: &str,
    seen: (TokenNumber, u32),
    find: Find,
) -> Result<Token, ChangeError> {
    let accounts = transaction.snapshot().accounts();
    let token = find(transaction.caller(), accounts, identifier)?;
    check_present(&token)?;
    match (token.number, token.generation) == seen {
        true => Ok(Token::clone(&token)),
        false => Err(ChangeError::Conflict),
    }
}

/// Refuses a token that was replaced: whoever holds its secret, perhaps because it has leaked, must not make a fresh one
/// of it.
///
/// # Errors
/// [`ChangeError::Refused`]
pub(in crate::registry::commands) fn check_present(token: &Token) -> Result<(), ChangeError> {
    if token.is_replaced {
        return Err(ChangeError::Refused(format!(
            "another token has taken the place of `{}`, which ends by itself: exchange the secret of that one",
            token.identifier
        )));
    }
    Ok(())
}

/// The `uuid` of a token that will be made: what its secret is sealed for.
#[derive(Clone, Copy)]
pub(in crate::registry::commands) struct NewUuid(pub(in crate::registry::commands) Uuid);

impl NewUuid {
    pub(in crate::registry::commands) fn new() -> Self {
        Self(Uuid::new_v4())
    }
}

/// Puts a replacement in the place of a token, and gives it back.
///
/// # Errors
/// Another has taken its place already, or the store says so.
pub(in crate::registry::commands) fn replace(
    transaction: &mut Transaction<'_>,
    old: &Token,
    overlap: Duration,
    NewUuid(uuid): NewUuid,
    made: NewTokenSecret,
) -> Result<Token, ChangeError> {
    check_present(old)?;
    let now = transaction.now();
    check_replaced(transaction, old)?;
    let NewTokenSecret { selector, hash, sealed, .. } = made;
    if transaction.snapshot().accounts().token_found_by(&selector).is_some() {
        return Err(ChangeError::Conflict);
    }
    let replacement = Token {
        number: TokenNumber::new(transaction.next_object()?),
        uuid,
        selector,
        hash,
        sealed,
        generation: FIRST_GENERATION,
        expires: next_expiry(old, now),
        created: now,
        renewed: now,
        warned: None,
        is_replaced: false,
        began_as: old.began_as.or(Some(old.number)),
        made_by: transaction.made_by(),
        ..old.clone()
    };
    // By a clock that is not believed nothing is over.
    let is_over = transaction.trusted().is_some_and(|trusted| old.is_expired(trusted.get()));
    let replaced = (!overlap.is_zero() && !is_over).then(|| {
        // One that has expired by a clock that is not believed works again when that is right, and no longer than it was meant to.
        let from = if old.is_expired(now) { transaction.earliest() } else { now };
        let until = from.after(overlap);
        let until = old.expires.map_or(until, |expires| expires.min(until));
        let identifier = replaced_name(transaction, &old.identifier, from.after(overlap));
        Token { identifier, expires: Some(until), is_replaced: true, is_first: false, ..old.clone() }
    });
    // The old one is found by its number and UUID after it is gone, under its name only as long as it works.
    let detail = |name: &str, value: String| EventDetail { name: name.to_owned(), value };
    let name = replaced.as_ref().map(|replaced| detail(EventDetail::REPLACED, replaced.identifier.clone()));
    let told = name.into_iter().chain([
        detail(EventDetail::REPLACED_UUID, old.uuid.to_string()),
        detail(EventDetail::REPLACED_NUMBER, old.number.to_string()),
    ]);
    let records = (&Record::Token(old.clone()), &Record::Token(replacement.clone()));
    transaction.as_one_event(Action::SecretRotate, records, told.collect(), |transaction| {
        // The name is free before the replacement takes it.
        match replaced {
            Some(replaced) => write(transaction, Some(old), replaced)?,
            // No seed knows it by a name of its own, so it needs no tombstone.
            None => transaction.delete(Key::Token(old.number))?,
        }
        write_after(transaction, None, Some(old), replacement.clone())
    })?;
    inherit_grants(transaction, old.number, replacement.number)?;
    Ok(replacement)
}

/// When a secret that takes the place of a token's present one at `now` expires: it lives as long.
pub(super) fn next_expiry(token: &Token, now: Timestamp) -> Option<Timestamp> {
    let lifetime = token.lifetime()?;
    // A seed may have given a time that had passed: there is no lifetime to repeat.
    Some(now.after(if lifetime.is_zero() { DEFAULT_LIFETIME } else { lifetime }))
}

/// Whether one more secret of a token may go on working beside the newest.
fn check_replaced(transaction: &Transaction<'_>, token: &Token) -> Result<(), ChangeError> {
    if replaced_by(transaction.snapshot().accounts(), token).len() < REPLACED_MAX {
        return Ok(());
    }
    Err(ChangeError::Refused(format!(
        "{REPLACED_MAX} secrets that `{}` has replaced still work: revoke some, or rotate with a shorter overlap",
        token.identifier
    )))
}

/// A free name for a token that was replaced and works until then. It is no longer than a name may be: the end of a long
/// identifier makes room.
fn replaced_name(transaction: &Transaction<'_>, identifier: &str, until: Timestamp) -> String {
    let accounts = transaction.snapshot().accounts();
    let until = slug_of(&until.to_string());
    let names = (1_u64..).map(|count| {
        let end = match count {
            1 => format!("{REPLACED}{until}"),
            count => format!("{REPLACED}{until}-{count}"),
        };
        let kept = validate::IDENTIFIER_OCTETS_MAX.saturating_sub(end.len());
        let begin: String = slug_of(identifier).chars().take(kept).collect();
        begin + &end
    });
    let mut free = names.filter(|name| accounts.token_named(name).is_none());
    free.next().unwrap_or_else(|| identifier.to_owned())
}

/// Whether this is the name that a token was given when this one took its place.
pub(in crate::registry) fn is_replaced_name(name: &str, successor: &Token) -> bool {
    let Some((begin, _)) = name.rsplit_once(REPLACED) else { return false };
    let whole = slug_of(&successor.identifier);
    whole == begin || (name.len() == validate::IDENTIFIER_OCTETS_MAX && whole.starts_with(begin))
}

fn closed(identifier: &str, error: SealError) -> ChangeError {
    ChangeError::Refused(format!("the secret of the token `{identifier}` cannot be shown: {error}"))
}

/// So many secrets that a token has replaced may still work: a day of rotations, and a season of daily ones.
/// No limit of the config: a rule about what one object may hold, far above what any does.
const REPLACED_MAX: usize = 100;
/// What stands in the name of a token that was replaced, between its own and the time until which it works.
const REPLACED: &str = "-replaced-until-";
