//! Tokens: made with a generated secret, changed, revoked, listed.
//!
//! Who may do it is in `rights.rs`; what becomes of their secrets in `secret.rs`, of those that somebody gives in
//! `given.rs`; what is done as time goes by in `care.rs`.

mod care;
mod given;
mod rights;
mod secret;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::account::grant_to_creator;
use super::names::Former;
use super::{DEFAULT_LIFETIME, names, secret_text, set, validate};
use crate::access::Rights;
use crate::auth::{SealError, TokenSecret};
use crate::config::Limit;
use crate::directory::{AccountState, Accounts};
use crate::model::{
    AccountKind, AccountNumber, Expiry, HashText, Intent, Key, LIFETIME_SECONDS_MAX, ObjectReference,
    Permission, Record, SealedSecret, Timestamp, Token, TokenChanges, TokenNumber, TokenSelector, Tombstone,
    TombstoneOf, first_identifier,
};
use crate::quoted::called;
use crate::registry::fresh_secrets::{FreshSecret, VIEW_TIME};
use crate::registry::{Caller, ChangeError, Registry, Transaction, WrongFields};
use crate::secret::Secret;
use rights::{find_token, owner_to_be, require_worth};

pub use care::{TokenCare, TokenCareSettings, TokenCounts};
pub(super) use given::selector_of;
pub(in crate::registry) use secret::is_replaced_name;
pub(super) use secret::{NewUuid, check_present, replace};

/// A token that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// Its name, unique among all tokens.
    pub identifier: String,
    /// The username of its owner.
    pub account: String,
    /// What it is for.
    pub intent: Intent,
    /// Whether it expires; `None`: if a time is given, or as the account's attribute `goauthentik.io/user/token-expires` has it.
    pub expiring: Option<bool>,
    /// When it expires; `None`: after [`DEFAULT_LIFETIME`].
    pub expires: Option<Expiry>,
    /// What it is used for, in the operator's words.
    pub description: String,
    /// Where it may be used from; empty: anywhere.
    pub networks: Vec<IpNet>,
    /// Whether its secret is kept, encrypted, for whoever holds `view_token_key` on it.
    pub retrievable: bool,
}

/// A token that was made, with its secret, which is shown once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedToken {
    /// The username of its owner.
    pub account: String,
    /// Its name.
    pub identifier: String,
    /// What it is for.
    pub intent: Intent,
    #[serde(with = "secret_text")]
    pub secret: Secret,
    /// When it expires; `None`: never.
    pub expires: Option<Timestamp>,
}

impl Registry {
    /// Makes a token with a generated secret. A tombstone of its identifier is cleared.
    ///
    /// The caller holds `add_token` and sees the account. For another account than its own it holds `change_user` on that
    /// one, which is no superuser and holds no permission that the caller lacks: nobody makes a secret that is worth more
    /// than they are. Superusers and the operator may make any. Whoever makes one through the API is granted every
    /// permission on it, and can view its secret once within ten minutes.
    ///
    /// # Errors
    /// There is no such account, the identifier is taken or none, the time to expire has passed, the account is
    /// bindery's own, the caller may not, or it is to be retrievable and there is no key for that.
    pub async fn create_token(
        &self,
        caller: impl Into<Caller>,
        new: NewToken,
    ) -> Result<CreatedToken, ChangeError> {
        let caller = caller.into();
        // Asked again by the writer; here it saves the hash.
        let wrong = WrongFields::of(&caller);
        let checked = self.check_new_token(&caller, &new, &wrong);
        wrong.told(checked)?;
        let NewToken { identifier, account, intent, expiring, expires, description, networks, retrievable } =
            new;
        let uuid = Uuid::new_v4();
        let NewTokenSecret { secret, selector, hash, sealed } =
            self.new_token_secret(&identifier, intent, retrievable, uuid, FIRST_GENERATION, &caller).await?;
        let creator = caller.holder().map(|holder| holder.account);
        let (number, created) = self
            .change(caller, move |transaction| {
                let now = transaction.now();
                let accounts = transaction.snapshot().accounts();
                let owner = may_create(transaction.caller(), accounts, &account)?;
                let expiring = is_expiring(transaction, owner.number, expiring, expires)?;
                let expires = expiry(&identifier, expiring, expires, now)?;
                let number = TokenNumber::new(transaction.next_object()?);
                let made = made_now(transaction, number, identifier.clone(), owner.number, (selector, hash));
                let token = Token { uuid, intent, sealed, expires, description, networks, ..made };
                put_new(transaction, token)?;
                let account = owner.username.to_string();
                Ok((number, CreatedToken { account, identifier, intent, secret, expires }))
            })
            .await?;
        self.keep_fresh(number, FIRST_GENERATION, creator, created.secret.clone());
        Ok(created)
    }

    /// Whether [`Registry::create_token`] would make this token now, as far as that can be said before there is a secret; of
    /// its fields all that is wrong is noted.
    ///
    /// # Errors
    /// The caller may not, or there is no such account.
    pub fn check_new_token(
        &self,
        caller: &Caller,
        new: &NewToken,
        wrong: &WrongFields,
    ) -> Result<(), ChangeError> {
        let snapshot = self.snapshot();
        let accounts = snapshot.accounts();
        let NewToken { identifier, account, expiring, expires, .. } = new;
        caller.require(accounts, Permission::AddToken)?;
        wrong.noting(check_identifier(caller, accounts, identifier, None))?;
        let now = self.now();
        let ends = end_of(identifier, *expires)
            .and_then(|end| expiry(identifier, expiring.unwrap_or(true), end, now));
        wrong.noting(ends)?;
        wrong.noting(check_description(identifier, &new.description))?;
        wrong.noting(check_networks(identifier, &new.networks))?;
        owner_to_be(caller, accounts, account).map(drop)
    }

    /// Whether [`Registry::update_token`] would change this token so now; of the fields all that is wrong is noted.
    ///
    /// # Errors
    /// The caller may not, or there is no such token or account.
    pub fn check_token_changes(
        &self,
        caller: &Caller,
        identifier: &str,
        changes: &TokenChanges,
        wrong: &WrongFields,
    ) -> Result<(), ChangeError> {
        check_changes(caller, self.snapshot().accounts(), self.now(), identifier, changes, wrong).map(drop)
    }

    /// Changes what is not its secret. The caller holds `change_token` on it, and all that the owner holds, or is the owner.
    ///
    /// To give it to another account, the caller must besides be able to make a token for that one. The old secret, which
    /// others may know, stops at once: the token has a new one, which nobody knows until it is rotated, set, or viewed if
    /// it is retrievable.
    ///
    /// # Errors
    /// There is no such token or account, the new name is taken, the time to expire has passed, or the caller may not.
    pub async fn update_token(
        &self,
        caller: impl Into<Caller>,
        identifier: String,
        changes: TokenChanges,
    ) -> Result<(), ChangeError> {
        let caller = caller.into();
        let exchange = self.exchange_for_new_owner(&caller, &identifier, &changes).await?;
        self.change(caller, move |transaction| update(transaction, &identifier, changes, exchange)).await
    }

    /// The secret of a token that gets another owner; `None`: it stays where it is.
    async fn exchange_for_new_owner(
        &self,
        caller: &Caller,
        identifier: &str,
        changes: &TokenChanges,
    ) -> Result<Option<Exchange>, ChangeError> {
        let Some(username) = &changes.account else { return Ok(None) };
        let token = {
            let snapshot = self.snapshot();
            let accounts = snapshot.accounts();
            let token = find_token(caller, accounts, Permission::ChangeToken, identifier)?;
            if accounts.account_named(username).is_some_and(|owner| owner.number == token.account) {
                return Ok(None);
            }
            // Asked again by the writer; here it saves the hash.
            check_present(&token)?;
            new_owner(caller, accounts, &token, username)?;
            token
        };
        let generation = token.generation.saturating_add(1);
        let made = self
            .new_token_secret(
                identifier,
                token.intent,
                token.is_retrievable(),
                token.uuid,
                generation,
                caller,
            )
            .await?;
        Ok(Some(Exchange { seen: (token.number, token.generation), made }))
    }

    /// Deletes a token and leaves a tombstone. It is refused from the next operation on, and so are those whose place it
    /// took, which would else work on behind it. The caller holds `delete_token` on it.
    ///
    /// # Errors
    /// There is no such token, it is of bindery's own, or the caller may not.
    pub async fn revoke_token(
        &self,
        caller: impl Into<Caller>,
        identifier: String,
        replaced: Replaced,
    ) -> Result<(), ChangeError> {
        self.change(caller, move |transaction| {
            let accounts = transaction.snapshot().accounts();
            let token = find_token(transaction.caller(), accounts, Permission::DeleteToken, &identifier)?;
            let behind = match replaced {
                Replaced::End => replaced_by(accounts, &token),
                Replaced::Keep => Vec::new(),
            };
            transaction.delete_token(token.number)?;
            // No seed knows them by a name of their own, so they need no tombstone.
            behind.into_iter().try_for_each(|token| transaction.delete(Key::Token(token.number)))
        })
        .await
    }

    /// Generates the secret of a token, hashes it, and encrypts it if it is to be kept.
    ///
    /// # Errors
    /// The request is refused already, it is to be kept and there is no key for that, or it cannot be hashed.
    pub(super) async fn new_token_secret(
        &self,
        identifier: &str,
        intent: Intent,
        retrievable: bool,
        uuid: Uuid,
        generation: u32,
        caller: &Caller,
    ) -> Result<NewTokenSecret, ChangeError> {
        let secret = TokenSecret::generate(intent).map_err(|error| ChangeError::Secret(error.to_string()))?;
        let selector = TokenSelector::Generated(secret.selector().to_string());
        let secret = secret.into_secret();
        // Sealed before it is hashed: that it cannot be costs nothing.
        let sealed = self.seal(identifier, retrievable, &secret, uuid, generation)?;
        let hash = self.hash_secret(secret.clone(), caller).await?;
        Ok(NewTokenSecret { secret, selector, hash, sealed })
    }

    /// Encrypts the secret of a token that is retrievable.
    ///
    /// # Errors
    /// There is no key for that.
    pub(super) fn seal(
        &self,
        identifier: &str,
        retrievable: bool,
        secret: &Secret,
        uuid: Uuid,
        generation: u32,
    ) -> Result<Option<SealedSecret>, ChangeError> {
        if !retrievable {
            return Ok(None);
        }
        self.token_keys.seal(secret, uuid, generation).map(Some).map_err(|error| not_kept(identifier, error))
    }

    /// Lets the creator of a token view its secret once.
    pub(super) fn keep_fresh(
        &self,
        token: TokenNumber,
        generation: u32,
        creator: Option<AccountNumber>,
        secret: Secret,
    ) {
        let deadline = Instant::now() + VIEW_TIME;
        let displaced = self.fresh_secrets.keep(FreshSecret { token, generation, creator, secret, deadline });
        self.reached().add(Limit::fresh_secrets_max, u64::try_from(displaced).unwrap_or(u64::MAX));
    }
}

/// What becomes of the tokens whose place one took that is revoked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replaced {
    /// They end with it.
    #[default]
    End,
    /// They work until they expire.
    Keep,
}

/// The tokens whose place this one took, as far as they still work: they end with it.
pub fn replaced_by(accounts: &Accounts, token: &Token) -> Vec<Arc<Token>> {
    let of_owner = accounts.account(token.account).map(|owner| owner.tokens.clone()).unwrap_or_default();
    let of_owner = of_owner.into_iter().filter_map(|number| accounts.token(number).cloned());
    of_owner.filter(|earlier| token.replaces(earlier)).collect()
}

/// The token that took the place of one.
pub fn successor_of<'a>(accounts: &'a Accounts, token: &Token) -> Option<&'a Arc<Token>> {
    if !token.is_replaced {
        return None;
    }
    let of_owner = accounts.account(token.account)?.tokens.iter();
    of_owner.filter_map(|number| accounts.token(*number)).find(|other| other.replaces(token))
}

/// A secret that was generated for a token, and all that is kept of it.
pub(super) struct NewTokenSecret {
    /// The secret, to be shown once.
    pub(super) secret: Secret,
    /// What it is found by.
    pub(super) selector: TokenSelector,
    pub(super) hash: HashText,
    /// Itself, encrypted, if it is to be kept.
    pub(super) sealed: Option<SealedSecret>,
}

/// A secret that takes the place of a token's present one, if that is still the one that was seen.
struct Exchange {
    seen: (TokenNumber, u32),
    made: NewTokenSecret,
}

/// A token that is made now under this number, of which nothing is said but whose it is and what is kept of its secret: an
/// app password that does not expire.
pub(super) fn made_now(
    transaction: &Transaction<'_>,
    number: TokenNumber,
    identifier: String,
    account: AccountNumber,
    (selector, hash): (TokenSelector, HashText),
) -> Token {
    let now = transaction.now();
    Token {
        number,
        uuid: Uuid::new_v4(),
        identifier,
        account,
        intent: Intent::AppPassword,
        selector,
        hash,
        sealed: None,
        generation: FIRST_GENERATION,
        expires: None,
        description: String::new(),
        networks: Vec::new(),
        created: now,
        renewed: now,
        warned: None,
        is_replaced: false,
        began_as: None,
        origin: transaction.origin(),
        made_by: transaction.made_by(),
        is_first: false,
        lifetime_said: None,
    }
}

/// Puts a new token, and grants whoever makes it every permission on it.
pub(super) fn put_new(transaction: &mut Transaction<'_>, token: Token) -> Result<(), ChangeError> {
    let on = ObjectReference::Token(token.number);
    write(transaction, None, token)?;
    grant_to_creator(transaction, on)
}

/// The one writer of tokens: puts `token` in the place of `before`. Whether the caller may do that to it is asked before,
/// see `rights.rs`.
///
/// # Errors
/// What cannot be of a token, or that its identifier or what it is found by is another's.
pub(super) fn write(
    transaction: &mut Transaction<'_>,
    before: Option<&Token>,
    token: Token,
) -> Result<(), ChangeError> {
    write_after(transaction, before, before, token)
}

/// The same of a token that takes over what `known` says of itself, which a store may hold against a rule that came later.
fn write_after(
    transaction: &mut Transaction<'_>,
    before: Option<&Token>,
    known: Option<&Token>,
    token: Token,
) -> Result<(), ChangeError> {
    let accounts = transaction.snapshot().accounts();
    let owner = accounts.account(token.account);
    if let Some(owner) = owner.filter(|owner| owner.kind == AccountKind::InternalServiceAccount) {
        return Err(validate::internal(&owner.username));
    }
    if known.is_none_or(|known| known.identifier != token.identifier) {
        let of = TombstoneOf::Token(token.identifier.clone());
        // The replacement of a token goes on with its name.
        let former = before.filter(|before| !before.is_replaced && !token.is_replaced);
        let former = former.map(|before| Former {
            name: &before.identifier,
            of: TombstoneOf::Token(before.identifier.clone()),
            origin: before.origin,
            holds_rights: owner.is_some_and(|owner| !Rights::of_account(accounts, owner).is_empty()),
        });
        names::refuse_rename(transaction, former.as_ref(), &of)?;
        let caller = transaction.caller();
        transaction.noting(check_identifier(caller, accounts, &token.identifier, Some(token.number)))?;
        names::give(transaction, of, former)?;
    }
    if known.is_none_or(|known| known.description != token.description) {
        transaction.noting(check_description(&token.identifier, &token.description))?;
    }
    if known.is_none_or(|known| known.networks != token.networks) {
        transaction.noting(check_networks(&token.identifier, &token.networks))?;
    }
    let accounts = transaction.snapshot().accounts();
    if accounts.token_found_by(&token.selector).is_some_and(|other| other.number != token.number) {
        return Err(ChangeError::Conflict);
    }
    // One that was replaced may end by a clock that is not believed, and a config has some rotated by a time that has passed.
    let may_end = token.is_replaced || token.is_rotated_at_its_end();
    if before.is_none_or(|before| before.expires != token.expires && !may_end) {
        transaction.noting(check_future(&token.identifier, token.expires, transaction.now()))?;
    }
    transaction.noting(before.map_or(Ok(()), |before| check_replaced(before, &token)))?;
    transaction.put(Record::Token(token))
}

impl Transaction<'_> {
    /// Deletes a token and leaves a tombstone.
    pub fn delete_token(&mut self, number: TokenNumber) -> Result<(), ChangeError> {
        let accounts = self.snapshot().accounts();
        let Some(token) = accounts.token(number).cloned() else { return Ok(()) };
        let owner = accounts.account(token.account);
        let held_rights = owner.is_some_and(|owner| !Rights::of_account(accounts, owner).is_empty());
        self.delete(Key::Token(number))?;
        let of = TombstoneOf::Token(token.identifier.clone());
        let made = Some(self.now());
        self.put_tombstone(Tombstone { of, origin: token.origin, held_rights, made })
    }
}

/// Puts another hash of the same secret in the place of one.
pub(in crate::registry) fn rehash(
    transaction: &mut Transaction<'_>,
    number: TokenNumber,
    generation: u32,
    hash: HashText,
) -> Result<(), ChangeError> {
    match transaction.snapshot().accounts().token(number).cloned() {
        Some(token) if token.generation == generation => {
            write(transaction, Some(&token), Token { hash, ..Token::clone(&token) })
        }
        _ => Ok(()),
    }
}

/// The identifier of the first app password of a new account: the usual one, or the next that nobody has and that is not the
/// name of something deleted.
pub(super) fn free_first_identifier(transaction: &Transaction<'_>, username: &str) -> String {
    let accounts = transaction.snapshot().accounts();
    let usual = first_identifier(username);
    let is_superuser = transaction.caller().is_superuser(accounts);
    let is_free = |identifier: &String| {
        accounts.token_named(identifier).is_none()
            && (is_superuser || !accounts.has_tombstone(&TombstoneOf::Token(identifier.clone())))
    };
    let others = (2_u64..).map(|count| format!("{usual}-{count}"));
    let mut free = std::iter::once(usual.clone()).chain(others).filter(is_free);
    free.next().unwrap_or_else(|| usual.clone())
}

/// Whether a token that is made for an account expires: as is said; where nothing is, one with a time does, and any other
/// unless the account says otherwise.
pub(super) fn is_expiring(
    transaction: &Transaction<'_>,
    owner: AccountNumber,
    expiring: Option<bool>,
    expires: Option<Expiry>,
) -> Result<bool, ChangeError> {
    if let Some(expiring) = expiring.or(expires.map(|_| true)) {
        return Ok(expiring);
    }
    let Some(account) = transaction.account(owner)? else { return Ok(true) };
    let said =
        account.attributes.iter().find(|attribute| attribute.description.eq_ignore_ascii_case(TOKEN_EXPIRES));
    let is_false = |value: &Vec<u8>| value.eq_ignore_ascii_case(b"false");
    Ok(!said.is_some_and(|attribute| attribute.values.iter().any(is_false)))
}

/// When a token expires that is made now.
///
/// # Errors
/// It would be expired at once, or there is a time for what does not expire.
pub(super) fn expiry(
    identifier: &str,
    expiring: bool,
    expires: Option<Expiry>,
    now: Timestamp,
) -> Result<Option<Timestamp>, ChangeError> {
    if !expiring && expires.is_some() {
        return Err(time_without_end(identifier));
    }
    let expires = expiring.then(|| expires.map_or_else(|| now.after(DEFAULT_LIFETIME), |at| at.time(now)));
    check_future(identifier, expires, now)?;
    Ok(expires)
}

/// Why a token cannot be retrievable.
pub(super) fn not_kept(identifier: &str, error: SealError) -> ChangeError {
    ChangeError::Refused(format!("the token {} cannot be retrievable: {error}", called(identifier)))
}

/// The account for which the caller may make a token.
fn may_create(caller: &Caller, accounts: &Accounts, account: &str) -> Result<Arc<AccountState>, ChangeError> {
    caller.require(accounts, Permission::AddToken)?;
    owner_to_be(caller, accounts, account)
}

fn update(
    transaction: &mut Transaction<'_>,
    identifier: &str,
    changes: TokenChanges,
    exchange: Option<Exchange>,
) -> Result<(), ChangeError> {
    let (accounts, caller, now) =
        (transaction.snapshot().accounts(), transaction.caller(), transaction.now());
    let wrong = WrongFields::of(caller);
    let checked = check_changes(caller, accounts, now, identifier, &changes, &wrong);
    let (before, mut token) = wrong.told(checked)?;
    if token.account != before.account {
        let Exchange { seen, made: NewTokenSecret { selector, hash, sealed, .. } } =
            exchange.ok_or(ChangeError::Conflict)?;
        if seen != (before.number, before.generation) || accounts.token_found_by(&selector).is_some() {
            return Err(ChangeError::Conflict);
        }
        token = Token {
            selector,
            hash,
            sealed,
            generation: before.generation.saturating_add(1),
            made_by: transaction.made_by(),
            ..token
        };
    }
    write(transaction, Some(&before), token)
}

/// A token and what would become of it, but for the secret that another owner would bring it; of the fields all that is wrong
/// is noted.
///
/// # Errors
/// The caller may not, or there is no such token or account.
fn check_changes(
    caller: &Caller,
    accounts: &Accounts,
    now: Timestamp,
    identifier: &str,
    changes: &TokenChanges,
    wrong: &WrongFields,
) -> Result<(Arc<Token>, Token), ChangeError> {
    let TokenChanges { identifier: name, account, intent, expiring, expires, description, networks } =
        changes;
    let before = find_token(caller, accounts, Permission::ChangeToken, identifier)?;
    require_worth(caller, accounts, &before)?;
    let mut token = Token::clone(&before);
    if intent.is_some_and(|intent| intent != token.intent) {
        let message = format!(
            "the token `{identifier}` has the intent {}, which cannot be changed: make another token",
            token.intent
        );
        wrong.noting(Err::<(), _>(ChangeError::field("intent", message)))?;
    }
    set(&mut token.identifier, name.clone());
    if token.identifier != before.identifier {
        wrong.noting(check_identifier(caller, accounts, &token.identifier, Some(before.number)))?;
    }
    let end = wrong.noting(end_of(identifier, *expires))?.flatten();
    token.expires = match (expiring, end.map(|end| end.time(now))) {
        (Some(false), Some(end)) if token.expires != Some(end) => {
            wrong.noting(Err::<(), _>(time_without_end(identifier)))?;
            None
        }
        // The time that it had is sent back by who has read it, as Terraform does.
        (Some(false), _) => None,
        (_, Some(end)) => Some(end),
        (Some(true), None) => Some(token.expires.unwrap_or_else(|| now.after(DEFAULT_LIFETIME))),
        (None, None) => token.expires,
    };
    if token.expires != before.expires {
        wrong.noting(check_future(identifier, token.expires, now))?;
        token.renewed = now;
    }
    set(&mut token.description, description.clone());
    set(&mut token.networks, networks.clone());
    if token.description != before.description {
        wrong.noting(check_description(identifier, &token.description))?;
    }
    if token.networks != before.networks {
        wrong.noting(check_networks(identifier, &token.networks))?;
    }
    if let Some(account) = account {
        let owner = accounts.account_named(account).map(|owner| owner.number);
        if owner != Some(token.account) {
            token.account = new_owner(caller, accounts, &before, account)?;
        }
    }
    Ok((before, token))
}

/// Refuses to make more of a token that was replaced: it ends by itself, and under a name that is no seed's.
fn check_replaced(before: &Token, after: &Token) -> Result<(), ChangeError> {
    // Who has learnt its secret is no change of it, nor is another hash of the same one.
    let Token { description, expires, renewed, made_by, hash, .. } = after.clone();
    let is_otherwise_same =
        *after == Token { description, expires, renewed, made_by, hash, ..before.clone() };
    if before.is_replaced && (!is_otherwise_same || is_later(before.expires, after.expires)) {
        return Err(ChangeError::Refused(format!(
            "another token has taken the place of `{}`, which ends by itself: only its description can be changed, and \
             its end brought forward; change the other one",
            before.identifier
        )));
    }
    Ok(())
}

/// The account that a token is given to: the caller could have made it for either.
fn new_owner(
    caller: &Caller,
    accounts: &Accounts,
    token: &Token,
    username: &str,
) -> Result<AccountNumber, ChangeError> {
    let owner = owner_to_be(caller, accounts, username)?.number;
    caller.require(accounts, Permission::AddToken)?;
    require_worth(caller, accounts, token)?;
    Ok(owner)
}

/// Whether a token could be used from somewhere else than before.
pub(super) fn is_wider(before: &[IpNet], after: &[IpNet]) -> bool {
    let is_within = |network: &IpNet| before.iter().any(|wider| wider.contains(network));
    !before.is_empty() && (after.is_empty() || !after.iter().all(is_within))
}

/// Whether a token would expire later than it does, or never.
pub(super) fn is_later(before: Option<Timestamp>, after: Option<Timestamp>) -> bool {
    before.is_some_and(|before| after.is_none_or(|after| after > before))
}

/// When a token is to expire, unless it is to live longer than any.
fn end_of(identifier: &str, expires: Option<Expiry>) -> Result<Option<Expiry>, ChangeError> {
    match expires {
        Some(Expiry::In(duration)) if duration.as_secs() > LIFETIME_SECONDS_MAX => {
            let message = "would live for more than 100 years: let it not expire instead";
            Err(ChangeError::field("expires", format!("the token {} {message}", called(identifier))))
        }
        expires => Ok(expires),
    }
}

/// Nothing that is said is dropped.
fn time_without_end(identifier: &str) -> ChangeError {
    let message = "has a time to expire, and is not to expire (`expiring` is false): leave one of both out";
    ChangeError::field("expires", format!("the token {} {message}", called(identifier)))
}

/// Whether a token may have this description.
fn check_description(identifier: &str, description: &str) -> Result<(), ChangeError> {
    let checked = validate::description_of(identifier, description);
    checked.map_err(|problem| ChangeError::field("description", problem))
}

/// Whether a token may have as many networks.
fn check_networks(identifier: &str, networks: &[IpNet]) -> Result<(), ChangeError> {
    let checked = validate::networks_of(identifier, networks);
    checked.map_err(|problem| ChangeError::field("networks", problem))
}

/// Whether a token may have this identifier; `of`: the one that is to have it.
fn check_identifier(
    caller: &Caller,
    accounts: &Accounts,
    identifier: &str,
    of: Option<TokenNumber>,
) -> Result<(), ChangeError> {
    validate::identifier(identifier).map_err(|problem| ChangeError::field("identifier", problem))?;
    match accounts.token_named(identifier) {
        Some(other) if Some(other.number) != of => {
            Err(names::taken(caller, accounts, ObjectReference::Token(other.number), identifier))
        }
        _ => Ok(()),
    }
}

fn check_future(identifier: &str, expires: Option<Timestamp>, now: Timestamp) -> Result<(), ChangeError> {
    if expires.is_some_and(|expires| expires <= now) {
        return Err(ChangeError::field(
            "expires",
            format!(
                "the token {} would be expired at once: give a time that is still to come",
                called(identifier)
            ),
        ));
    }
    Ok(())
}

/// authentik's attribute of an account: whether its new tokens expire where nothing is said of it.
const TOKEN_EXPIRES: &str = "goauthentik.io/user/token-expires";

/// The number of a token's first secret.
pub(super) const FIRST_GENERATION: u32 = 1;
