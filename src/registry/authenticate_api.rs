//! Whose API token is it? From the secret of `Authorization: Bearer …` to an account.
//!
//! The rules are those of a bind (product rule 8), without a name: a secret that leads to no token costs no hash, one
//! that does costs one, and none any more once it was right. So nothing here is ever throttled.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use super::Registry;
use super::authenticate::{NO_PLACE, Trial, WRONG, of_token, reason_of};
use crate::access::{Credential, Holder};
use crate::audit::{Failure, FailureKind};
use crate::auth::{HashClass, HashJob, SecretShape, TryingSource};
use crate::directory::Accounts;
use crate::model::{
    CHOSEN_SECRET_LENGTH_MAX, CHOSEN_SECRET_LENGTH_MIN, Intent, Timestamp, Token, TokenNumber,
};
use crate::secret::Secret;

/// Who calls the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiIdentity {
    /// The account and what proved it: to be verified anew for whatever is done in its name.
    pub holder: Holder,
    /// The account's name, for events.
    pub account: String,
    /// The identifier of the token, for events.
    pub token: String,
    pub token_number: TokenNumber,
    /// The first of those that took each other's place up to it: what is counted of it goes on with its replacement.
    pub first_token: TokenNumber,
}

/// Why nobody was authenticated, as far as the client may learn it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiRefusal {
    /// No such secret, not an API token, expired or revoked, an inactive account, another network: all the same.
    #[error("the API token is not valid")]
    Invalid,
    /// Too many hashes wait, or the server is going down.
    #[error("the server is busy; try again later")]
    Busy,
}

impl Registry {
    /// Finds out whose API token a secret is. Waits for one hash at most, on the hash pool. A failure is counted here; a
    /// success by whoever lets the call in: see [`Registry::note_api_login`].
    ///
    /// # Errors
    /// [`ApiRefusal`]
    pub async fn authenticate_api(
        &self,
        secret: &[u8],
        source: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<ApiIdentity, ApiRefusal> {
        let trial = Trial { source, now, instant: Instant::now() };
        // There is no provider that somebody could be re-bound in.
        let trying = TryingSource { address: source, is_application: false };
        let since = self.since_start(trial.instant);
        let (token, (key, credential), class) = {
            // Not held while a hash is waited for, so no count is kept of it.
            let snapshot = self.current();
            let accounts = snapshot.accounts();
            let token = self
                .api_token(accounts, secret)
                .map_err(|reason| self.note_invalid_api_token(None, trial, reason))?;
            let (key, credential) = of_token(&token);
            if self.proofs.check(key, secret) {
                return self.accept_api(accounts, &token, credential, trial);
            }
            let class = match self.throttle.begin(trying, since) {
                true => HashClass::Paced,
                false => self.class_of_token(&token, Intent::Api, accounts, trial),
            };
            (token, (key, credential), class)
        };
        let secret = Secret::from(secret);
        let candidate = self.candidate(Some(&token.hash), &token.identifier);
        let unlooked = Some(self.throttle.unlooked(trying, since));
        let job = HashJob { class, source, secret: secret.clone(), candidate, unlooked };
        let outcome = match self.hash_pool.verify(job) {
            Ok(outcome) => outcome.await.map_err(|_| NO_PLACE),
            Err(refusal) => Err(reason_of(refusal)),
        };
        let since = self.since_start(Instant::now());
        let outcome = outcome.map_err(|reason| {
            self.note_failed_api_login(Some(&token), trial, FailureKind::Refused, reason);
            ApiRefusal::Busy
        })?;
        if !outcome.matches {
            self.throttle.token_failed(token.number.get(), source, since);
            return Err(self.note_invalid_api_token(Some(&token), trial, WRONG));
        }
        self.throttle.take_back(trying, since);
        self.proofs.remember(key, secret.expose());
        if let Some(hash) = outcome.rehashed {
            self.rehash(credential, None, hash);
        }
        // While the hash was computed the token may have been revoked.
        self.accept_api(self.snapshot().accounts(), &token, credential, trial)
    }

    /// The token that a secret leads to.
    ///
    /// # Errors
    /// Why it leads to none.
    fn api_token(&self, accounts: &Accounts, secret: &[u8]) -> Result<Arc<Token>, &'static str> {
        let token = match SecretShape::parse(secret) {
            SecretShape::OursBroken => return Err("the secret is mistyped or made up"),
            SecretShape::Ours { selector, .. } => accounts.token_selected(selector.as_str()),
            SecretShape::Other
                if !(CHOSEN_SECRET_LENGTH_MIN..=CHOSEN_SECRET_LENGTH_MAX).contains(&secret.len()) =>
            {
                None
            }
            SecretShape::Other => {
                self.token_keys.digest(secret).and_then(|digest| accounts.token_digested(&digest))
            }
        };
        token.cloned().ok_or("there is no such token")
    }

    /// The secret is right: does the token hold, and is it for the API?
    fn accept_api(
        &self,
        accounts: &Accounts,
        token: &Token,
        credential: Credential,
        trial: Trial,
    ) -> Result<ApiIdentity, ApiRefusal> {
        if token.intent != Intent::Api {
            return Err(self.note_invalid_api_token(Some(token), trial, "the token is not an API token"));
        }
        // As it is now: it may have been given to another account meanwhile, or another name.
        let present = accounts.token(token.number).map_or(token, |present| present);
        let holder = Holder { account: present.account, credential };
        match holder.verify(accounts, trial.source, trial.now) {
            Ok(account) => Ok(ApiIdentity {
                holder,
                account: account.username.to_string(),
                token: present.identifier.clone(),
                token_number: present.number,
                first_token: present.first(),
            }),
            Err(invalid) => Err(self.note_invalid_api_token(Some(present), trial, &invalid.to_string())),
        }
    }

    /// Notes a call with a token that is not valid, and gives what all of these are answered with.
    fn note_invalid_api_token(&self, token: Option<&Token>, trial: Trial, reason: &str) -> ApiRefusal {
        self.note_failed_api_login(token, trial, FailureKind::Failed, reason);
        ApiRefusal::Invalid
    }

    /// Counts a failure. There is no provider; where no token was found, no account either.
    fn note_failed_api_login(&self, token: Option<&Token>, trial: Trial, kind: FailureKind, reason: &str) {
        let snapshot = self.snapshot();
        let account = token.and_then(|token| snapshot.accounts().account(token.account));
        let failure = Failure {
            account: account.map_or("", |account| &account.username),
            number: account.map(|account| account.number),
            token: token.map(|token| token.identifier.as_str()),
            provider: "",
            application: None,
            source: trial.source,
            kind,
            reason,
            call: None,
        };
        self.note_failure(failure, trial.now);
    }
}
