//! Tokens: made with a generated secret, revoked, listed.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::account::grant_to_creator;
use super::{DEFAULT_LIFETIME, secret_text, validate};
use crate::auth::TokenSecret;
use crate::config::{Expiry, LIFETIME_SECONDS_MAX};
use crate::model::{
    AccountKind, AccountNumber, Actor, HashText, Intent, ObjectReference, Record, Timestamp, Token,
    TokenNumber, Tombstone,
};
use crate::registry::{ChangeError, Registry, Transaction};
use crate::secret::Secret;

/// A token that is to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewToken {
    /// Its name, unique among all tokens.
    pub identifier: String,
    /// The username of its owner.
    pub account: String,
    /// What it is for.
    pub intent: Intent,
    /// Whether it expires.
    pub expiring: bool,
    /// When it expires; `None`: after [`DEFAULT_LIFETIME`].
    pub expires: Option<Expiry>,
    /// What it is used for, in the operator's words.
    pub description: String,
    /// Where it may be used from; empty: anywhere.
    pub networks: Vec<IpNet>,
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
    /// Its secret.
    #[serde(with = "secret_text")]
    pub secret: Secret,
    /// When it expires; `None`: never.
    pub expires: Option<Timestamp>,
}

/// A token as far as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenSummary {
    /// Its `pk` in the API.
    pub uuid: Uuid,
    /// Its name.
    pub identifier: String,
    /// The username of its owner.
    pub account: String,
    /// What it is for.
    pub intent: Intent,
    /// When it expires; `None`: never.
    pub expires: Option<Timestamp>,
    /// What it is used for.
    pub description: String,
    /// Where it may be used from; empty: anywhere.
    pub networks: Vec<IpNet>,
    /// When it was made.
    pub created: Timestamp,
}

/// What the record of a new token is made of.
pub(super) struct NewRecord {
    pub(super) identifier: String,
    pub(super) account: AccountNumber,
    pub(super) intent: Intent,
    pub(super) selector: String,
    pub(super) hash: HashText,
    pub(super) expires: Option<Timestamp>,
    pub(super) description: String,
    pub(super) networks: Vec<IpNet>,
}

/// Puts a new token, and lifts a tombstone of its identifier.
pub(super) fn put_new(transaction: &mut Transaction<'_>, new: NewRecord) -> Result<TokenNumber, ChangeError> {
    let NewRecord { identifier, account, intent, selector, hash, expires, description, networks } = new;
    let accounts = transaction.snapshot().accounts();
    if accounts.token_named(&identifier).is_some() {
        return Err(ChangeError::Exists { kind: "token", name: identifier });
    }
    if accounts.token_selected(&selector).is_some() {
        return Err(ChangeError::Conflict);
    }
    transaction.lift_tombstone(Tombstone::Token(identifier.clone()))?;
    let number = TokenNumber::new(transaction.next_object()?);
    let token = Token {
        number,
        uuid: Uuid::new_v4(),
        identifier,
        account,
        intent,
        selector: Some(selector),
        hash,
        generation: 1,
        expires,
        description,
        networks,
        created: transaction.now(),
    };
    transaction.put(Record::Token(token))?;
    grant_to_creator(transaction, ObjectReference::Token(number))?;
    Ok(number)
}

/// When a token expires that is made now.
pub(super) fn expiry(
    now: Timestamp,
    identifier: &str,
    expiring: bool,
    expires: Option<Expiry>,
) -> Result<Option<Timestamp>, ChangeError> {
    let expires = expiring.then(|| expires.map_or_else(|| now.after(DEFAULT_LIFETIME), |at| at.time(now)));
    if expires.is_some_and(|expires| expires <= now) {
        return Err(ChangeError::field(
            "expires",
            format!("the token `{identifier}` would be expired at once: give a time that is still to come"),
        ));
    }
    Ok(expires)
}

impl Registry {
    /// Makes a token with a generated secret. A tombstone of its identifier is cleared.
    ///
    /// # Errors
    /// There is no such account, the identifier is taken or none, the time to expire has passed, or the
    /// account is bindery's own.
    pub async fn create_token(&self, actor: Actor, new: NewToken) -> Result<CreatedToken, ChangeError> {
        let NewToken { identifier, account, intent, expiring, expires, description, networks } = new;
        validate::name("token", &identifier).map_err(ChangeError::invalid)?;
        if let Some(Expiry::In(duration)) = expires
            && duration.as_secs() > LIFETIME_SECONDS_MAX
        {
            return Err(ChangeError::invalid(format!(
                "the token `{identifier}` would live for more than 100 years: let it not expire instead"
            )));
        }
        // Asked again by the writer; here it saves the hash.
        if self.snapshot().accounts().account_named(&account).is_none() {
            return Err(ChangeError::NotFound { kind: "account", name: account });
        }
        let (secret, hash) = self.new_secret(intent).await?;
        let selector = secret.selector().to_string();
        self.change(actor, move |transaction| {
            let expires = expiry(transaction.now(), &identifier, expiring, expires)?;
            let accounts = transaction.snapshot().accounts();
            let Some(owner) = accounts.account_named(&account).cloned() else {
                return Err(ChangeError::NotFound { kind: "account", name: account });
            };
            if owner.kind == AccountKind::InternalServiceAccount {
                return Err(validate::internal(&owner.username));
            }
            let new = NewRecord {
                identifier: identifier.clone(),
                account: owner.number,
                intent,
                selector,
                hash,
                expires,
                description,
                networks,
            };
            put_new(transaction, new)?;
            let account = owner.username.to_string();
            Ok(CreatedToken { account, identifier, intent, secret: secret.into_secret(), expires })
        })
        .await
    }

    /// Deletes a token and leaves a tombstone. It is refused from the next operation on.
    ///
    /// # Errors
    /// There is no such token, or it is of bindery's own.
    pub async fn revoke_token(&self, actor: Actor, identifier: String) -> Result<(), ChangeError> {
        self.change(actor, move |transaction| {
            let accounts = transaction.snapshot().accounts();
            let Some(token) = accounts.token_named(&identifier).cloned() else {
                return Err(ChangeError::NotFound { kind: "token", name: identifier });
            };
            if let Some(owner) = accounts.account(token.account)
                && owner.kind == AccountKind::InternalServiceAccount
            {
                return Err(validate::internal(&owner.username));
            }
            transaction.delete_token(token.number)
        })
        .await
    }

    /// The tokens of an account, or of all accounts, in the order of their identifiers.
    ///
    /// # Errors
    /// There is no such account.
    pub fn list_tokens(&self, account: Option<&str>) -> Result<Vec<TokenSummary>, ChangeError> {
        let snapshot = self.snapshot();
        let accounts = snapshot.accounts();
        let owner = match account {
            None => None,
            Some(name) => Some(
                accounts
                    .account_named(name)
                    .ok_or_else(|| ChangeError::NotFound { kind: "account", name: name.to_owned() })?
                    .number,
            ),
        };
        let tokens = accounts.tokens().filter(|token| owner.is_none_or(|owner| token.account == owner));
        Ok(tokens
            .map(|token| TokenSummary {
                uuid: token.uuid,
                identifier: token.identifier.clone(),
                account: accounts
                    .account(token.account)
                    .map_or_else(|| token.account.to_string(), |owner| owner.username.to_string()),
                intent: token.intent,
                expires: token.expires,
                description: token.description.clone(),
                networks: token.networks.clone(),
                created: token.created,
            })
            .collect())
    }

    /// Generates a secret and hashes it.
    pub(super) async fn new_secret(&self, intent: Intent) -> Result<(TokenSecret, HashText), ChangeError> {
        let secret = TokenSecret::generate(intent).map_err(|error| ChangeError::Secret(error.to_string()))?;
        let hash = self.hash_secret(secret.secret().clone()).await?;
        Ok((secret, hash))
    }
}
