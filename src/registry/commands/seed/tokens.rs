//! The tokens of a seed: made once by their identifiers, with secrets that were generated or given.

use std::time::Duration;

use uuid::Uuid;

use super::NeededSecret;
use super::apply::Application;
use super::objects::{same_or, set};
use super::secrets::{PreparedToken, selector_of_token};
use crate::auth::SealError;
use crate::config::{Expiry, SeedSecret, SeedToken, first_identifier};
use crate::model::{AccountKind, Intent, Record, Timestamp, Token, TokenSelector};
use crate::registry::ChangeError;
use crate::registry::commands::token::{FIRST_GENERATION, not_kept};
use crate::registry::commands::{DEFAULT_LIFETIME, validate};

impl Application<'_, '_> {
    /// The tokens of the seed, and the first app passwords of new service accounts.
    pub(super) fn tokens(&mut self) -> Result<(), ChangeError> {
        let seed = self.seed;
        for token in &seed.tokens {
            match self.accounts().token_named(&token.identifier).map(|stored| (**stored).clone()) {
                Some(stored) => self.change_token(token, stored)?,
                None => self.make_token(token)?,
            }
        }
        for account in &seed.accounts {
            let identifier = first_identifier(&account.username);
            let is_new = self.is_new_account(&account.username);
            if !is_new || self.kind_of(account) != AccountKind::ServiceAccount {
                continue;
            }
            if seed.tokens.iter().any(|token| token.identifier == identifier) {
                continue;
            }
            if self.accounts().token_named(&identifier).is_some() {
                self.problems.push(format!(
                    "the account `{}` would get the app password `{identifier}`, but another account has a token \
                     of that identifier; revoke that one, or describe a [[token]] of it",
                    account.username
                ));
                continue;
            }
            self.make_token(&SeedToken {
                identifier,
                account: account.username.clone(),
                intent: Some(Intent::AppPassword),
                expiring: account.expiring,
                expires: account.expires,
                description: Some("the first app password".to_owned()),
                networks: None,
                secret: None,
                retrievable: None,
            })?;
        }
        Ok(())
    }

    /// What may still be said of a token that is there: all but its secret, owner and intent.
    fn change_token(&mut self, seed: &SeedToken, stored: Token) -> Result<(), ChangeError> {
        let identifier = &seed.identifier;
        let owner = self.account_number(&seed.account);
        if owner.is_some_and(|owner| owner != stored.account) {
            self.problems.push(format!(
                "the token `{identifier}` belongs to another account than `{}`; choose another identifier, or \
                 revoke it first",
                seed.account
            ));
            return Ok(());
        }
        if seed.intent.is_some_and(|intent| intent != stored.intent) {
            self.problems.push(format!(
                "the token `{identifier}` has the intent {}, which cannot be changed; choose another identifier",
                stored.intent
            ));
            return Ok(());
        }
        let mut token = stored.clone();
        match (seed.expiring, seed.expires) {
            (Some(false), _) => token.expires = None,
            (_, Some(Expiry::At(time))) if is_renewed_since(&token, time) => {}
            (_, Some(Expiry::At(time))) if token.expires != Some(time) => {
                (token.expires, token.renewed) = (Some(time), self.transaction.now());
            }
            // A relative expiry counts from the token's creation and is not moved; of one that did not expire
            // so far, too.
            (_, Some(Expiry::In(lifetime))) if token.expires.is_none() => {
                (token.expires, token.renewed) = (Some(token.created.after(lifetime)), token.created);
            }
            (Some(true), None) if token.expires.is_none() => {
                (token.expires, token.renewed) = (Some(token.created.after(DEFAULT_LIFETIME)), token.created);
            }
            (_, Some(_) | None) => {}
        }
        set(&mut token.description, seed.description.clone());
        if let Some(networks) = &seed.networks {
            token.networks = same_or(&token.networks, networks.clone());
        }
        match seed.retrievable {
            Some(false) => token.sealed = None,
            Some(true) if token.sealed.is_none() => {
                self.problems.push(format!(
                    "the token `{identifier}` cannot become retrievable, as its secret was not kept when it was made; \
                     revoke it and apply with --recreate {identifier}, or take `retrievable` out"
                ));
                return Ok(());
            }
            Some(true) | None => {}
        }
        if token == stored {
            return Ok(());
        }
        self.put(Some(Record::Token(stored)), Record::Token(token))
    }

    fn make_token(&mut self, seed: &SeedToken) -> Result<(), ChangeError> {
        let Some(number) = self.names.tokens.get(&seed.identifier).copied() else { return Ok(()) };
        let Some(owner) = self.account_number(&seed.account) else { return Ok(()) };
        let Some(owner) = self.accounts().account(owner).cloned() else { return Ok(()) };
        let identifier = &seed.identifier;
        if owner.kind == AccountKind::InternalServiceAccount {
            self.problems.push(format!(
                "the token `{identifier}` cannot belong to `{}`, an internal service account; choose another account",
                owner.username
            ));
            return Ok(());
        }
        if let Err(problem) = validate::identifier(identifier) {
            self.problems.push(problem);
            return Ok(());
        }
        let now = self.transaction.now();
        let intent = seed.intent.unwrap_or(Intent::AppPassword);
        let expires = (seed.expiring != Some(false))
            .then(|| seed.expires.map_or_else(|| now.after(DEFAULT_LIFETIME), |expires| expires.time(now)));
        if seed.retrievable == Some(true) && !self.prepared.keys().can_seal() {
            self.problems.push(not_kept(identifier, SealError::NoKey).to_string());
            return Ok(());
        }
        let Some(PreparedToken { uuid, selector, hash, sealed, expires }) =
            self.secret(seed, &owner.username, intent, expires)?
        else {
            return Ok(());
        };
        if self.accounts().token_found_by(&selector).is_some() {
            self.problems.push(format!(
                "the secret of the token `{identifier}` belongs to a token that is there already; give it another \
                 one, or leave it out to have one generated"
            ));
            return Ok(());
        }
        self.checked_accounts.insert(owner.number);
        let token = Token {
            number,
            uuid,
            identifier: identifier.clone(),
            account: owner.number,
            intent,
            selector,
            hash,
            sealed,
            generation: FIRST_GENERATION,
            expires,
            description: seed.description.clone().unwrap_or_default(),
            networks: seed.networks.clone().unwrap_or_default(),
            created: now,
            renewed: now,
            warned: None,
            is_replaced: false,
            origin: self.transaction.origin(),
            made_by: self.transaction.made_by(),
            is_first: false,
            lifetime_said: None,
        };
        self.put(None, Record::Token(token))
    }

    /// The secret of a token that is made; `None`: it cannot have the one that is given.
    fn secret(
        &mut self,
        seed: &SeedToken,
        username: &str,
        intent: Intent,
        expires: Option<Timestamp>,
    ) -> Result<Option<PreparedToken>, ChangeError> {
        let identifier = &seed.identifier;
        match &seed.secret {
            Some(SeedSecret::Hash(_)) if intent == Intent::Api => {
                self.problems.push(format!(
                    "the API token `{identifier}` is found by its secret, so a secret_hash is not enough; leave it \
                     out to have a secret generated"
                ));
                Ok(None)
            }
            Some(SeedSecret::Hash(hash)) => {
                let hash = self.bounded(&format!("the secret_hash of the token `{identifier}`"), hash);
                if seed.retrievable == Some(true) {
                    self.problems.push(format!(
                        "the token `{identifier}` cannot be retrievable, as of a secret_hash there is no secret to \
                         keep; give it a secret_file, or leave both out"
                    ));
                    return Ok(None);
                }
                let (uuid, selector) = (Uuid::new_v4(), TokenSelector::None);
                Ok(hash.map(|hash| PreparedToken { uuid, selector, hash, sealed: None, expires }))
            }
            Some(SeedSecret::Given(secret)) => match selector_of_token(self.prepared.keys(), seed, secret) {
                Ok(selector) => Ok(Some(PreparedToken { selector, expires, ..self.prepared.token(seed)? })),
                Err(problem) => {
                    self.problems.push(problem);
                    Ok(None)
                }
            },
            None => {
                let prepared = self.prepared.token(seed)?;
                let expires = if self.prepared.is_plan() {
                    expires
                } else {
                    as_told(prepared.expires, expires).ok_or(ChangeError::Conflict)?
                };
                self.needed.push(NeededSecret {
                    account: username.to_owned(),
                    identifier: identifier.clone(),
                    intent,
                    expires,
                });
                Ok(Some(PreparedToken { expires, ..prepared }))
            }
        }
    }
}

/// Whether an API token has got a new secret because this time to expire had come: the seed has had what it asked for.
/// Were it set again, each application would make the next housekeeping exchange the secret once more.
fn is_renewed_since(token: &Token, time: Timestamp) -> bool {
    token.intent == Intent::Api && token.generation > FIRST_GENERATION && token.renewed >= time
}

/// The time to expire that the caller was told with the secret, if it is the one that is meant: a relative
/// one was counted from a moment before the commit.
fn as_told(told: Option<Timestamp>, computed: Option<Timestamp>) -> Option<Option<Timestamp>> {
    match (told, computed) {
        (None, None) => Some(None),
        (Some(told), Some(computed)) if told <= computed && computed <= told.after(PLAN_AGE_MAX) => {
            Some(Some(told))
        }
        _ => None,
    }
}

/// A plan that is older than this is worked out anew.
const PLAN_AGE_MAX: Duration = Duration::from_secs(60 * 60);
