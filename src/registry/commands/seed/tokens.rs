//! The tokens of a seed: made once by their identifiers, with secrets that were generated or given.

use std::time::Duration;

use uuid::Uuid;

use super::NeededSecret;
use super::apply::SeedRun;
use super::objects::{same_or, set};
use super::options::typed;
use super::secrets::{PreparedToken, selector_of_token};
use crate::auth::SealError;
use crate::config::{ReferenceKind, SeedSecret, SeedToken};
use crate::model::{
    AccountKind, Expiry, HashText, Intent, Timestamp, Token, TokenChanges, TokenSelector, first_identifier,
};
use crate::registry::ChangeError;
use crate::registry::commands::DEFAULT_LIFETIME;
use crate::registry::commands::token::{self, FIRST_GENERATION, not_kept};

impl SeedRun<'_, '_> {
    /// The tokens of the seed, and the first app passwords of new service accounts.
    pub(super) fn tokens(&mut self) -> Result<(), ChangeError> {
        let seed = self.seed;
        for token in &seed.tokens {
            if self.is_passed_over(ReferenceKind::Account, &token.account) {
                continue;
            }
            match self.stored_token(&token.identifier, &token.account) {
                Some(stored) => self.change_token(token, Token::clone(&stored))?,
                None => {
                    let is_first = token.identifier == first_identifier(&token.account)
                        && self.is_new_account(&token.account);
                    self.make_token(token, &token.identifier, is_first)?;
                }
            }
        }
        for account in &seed.accounts {
            let name = first_identifier(&account.username);
            let is_new = self.is_new_account(&account.username);
            if !is_new || self.kind_of(account) != AccountKind::ServiceAccount {
                continue;
            }
            if self.described.token(&name).is_some() {
                continue;
            }
            let said = TokenChanges {
                intent: Some(Intent::AppPassword),
                expiring: account.expiring,
                expires: account.expires,
                description: Some("the first app password".to_owned()),
                ..TokenChanges::default()
            };
            let identifier = token::free_first_identifier(self.transaction, &account.username);
            let token =
                SeedToken { identifier, account: account.username.clone(), said, ..SeedToken::default() };
            self.make_token(&token, &name, true)?;
        }
        Ok(())
    }

    /// What may still be said of a token that is there: all but its secret, owner and intent.
    fn change_token(&mut self, seed: &SeedToken, stored: Token) -> Result<(), ChangeError> {
        let identifier = &seed.identifier;
        if seed.said.intent.is_some_and(|intent| intent != stored.intent) {
            let sentence = format!(
                "the token `{identifier}` has the intent {}, which cannot be changed; choose another identifier",
                stored.intent
            );
            self.problem(ReferenceKind::Token, identifier, Some("intent"), sentence);
            return Ok(());
        }
        let mut token = stored.clone();
        set(&mut token.description, seed.said.description.clone());
        if let Some(networks) = &seed.said.networks {
            token.networks = same_or(&token.networks, networks.clone());
        }
        match seed.retrievable {
            Some(false) => token.sealed = None,
            Some(true) if token.sealed.is_none() => {
                let sentence = format!(
                    "the token `{identifier}` cannot become retrievable, as its secret was not kept when it was made; \
                     revoke it and apply with {}, or take `retrievable` out",
                    typed("--recreate", identifier)
                );
                self.problem(ReferenceKind::Token, identifier, Some("retrievable"), sentence);
                return Ok(());
            }
            Some(true) | None => {}
        }
        self.change_expiry(seed, &mut token);
        if let Some(reason) = self.reason_against_token(&stored, &token) {
            self.obstruct(ReferenceKind::Token, identifier, reason);
            return Ok(());
        }
        self.write(ReferenceKind::Token, identifier, |transaction| {
            token::write(transaction, Some(&stored), token)
        })
    }

    /// When a token that is there expires. A duration that the config has said already moves nothing, whatever became of the
    /// token meanwhile; another one counts from when the token was made or rotated. What has passed is told, and ends no
    /// token: it has some rotated.
    fn change_expiry(&mut self, seed: &SeedToken, token: &mut Token) {
        let now = self.transaction.now();
        if seed.said.expiring == Some(false) {
            (token.expires, token.lifetime_said) = (None, None);
            return;
        }
        match seed.said.expires {
            Some(Expiry::At(time)) => {
                if token.expires != Some(time) && !is_renewed_since(token, time) {
                    if time <= now && !token.is_rotated_at_its_end() {
                        self.tell_passed(seed, time);
                        return;
                    }
                    (token.expires, token.renewed) = (Some(time), now);
                }
                token.lifetime_said = None;
            }
            Some(Expiry::In(lifetime)) => {
                let is_said = match token.lifetime_said {
                    Some(said) => said == lifetime,
                    // From before it was kept what was said: it was this, or it is not known any more.
                    None => token.expires.is_some(),
                };
                // A rotation by its expiry is all that leaves the record and begins anew.
                let is_rotated = token.generation > FIRST_GENERATION;
                let begin = if is_rotated { token.renewed } else { token.created };
                let time = begin.after(lifetime);
                if !is_said && time <= now {
                    self.tell_passed(seed, time);
                    return;
                }
                token.lifetime_said = Some(lifetime);
                if !is_said {
                    (token.expires, token.renewed) = (Some(time), begin);
                }
            }
            None if seed.said.expiring == Some(true) && token.expires.is_none() => {
                (token.expires, token.renewed) = (Some(token.created.after(DEFAULT_LIFETIME)), token.created);
            }
            None => {}
        }
    }

    fn tell_passed(&mut self, seed: &SeedToken, time: Timestamp) {
        let reason =
            format!("it would have expired at {time}, which has passed: give it a later time, or revoke it");
        self.skip(ReferenceKind::Token, &seed.identifier, reason);
    }

    /// Makes a token; `name` is what the seed calls it.
    fn make_token(&mut self, seed: &SeedToken, name: &str, is_first: bool) -> Result<(), ChangeError> {
        let Some(number) = self.names.tokens.get(name).copied() else { return Ok(()) };
        let Some(owner) = self.account_number(&seed.account) else { return Ok(()) };
        let Some(owner) = self.accounts().account(owner).cloned() else { return Ok(()) };
        let identifier = &seed.identifier;
        let now = self.transaction.now();
        let intent = seed.said.intent.unwrap_or(Intent::AppPassword);
        let TokenChanges { expiring, expires, .. } = seed.said;
        let expires = token::is_expiring(self.transaction, owner.number, expiring, expires)?
            .then(|| expires.map_or_else(|| now.after(DEFAULT_LIFETIME), |expires| expires.time(now)));
        if seed.retrievable == Some(true) && !self.prepared.keys().can_seal() {
            let sentence = not_kept(identifier, SealError::NoKey).to_string();
            self.problem(ReferenceKind::Token, identifier, Some("retrievable"), sentence);
        }
        let secret = self.secret(seed, &owner.username, intent, expires)?;
        let is_taken = |secret: &PreparedToken| self.accounts().token_found_by(&secret.selector).is_some();
        let (taken, secret) = match secret {
            Some(secret) if is_taken(&secret) => (true, None),
            secret => (false, secret),
        };
        if taken {
            let sentence = format!(
                "the secret of the token `{identifier}` belongs to a token that is there already; give it another \
                 one, or leave it out to have one generated"
            );
            self.problem(ReferenceKind::Token, identifier, Some("key"), sentence);
        }
        // What is wrong with it ends the run; the rest is written, for what is wrong with that.
        let PreparedToken { uuid, selector, hash, sealed, expires } = secret.unwrap_or_else(|| {
            let uuid = Uuid::new_v4();
            let selector = TokenSelector::Generated(uuid.to_string());
            PreparedToken { uuid, selector, hash: HashText::new(String::new()), sealed: None, expires }
        });
        let lifetime_said = match (seed.said.expiring, seed.said.expires) {
            (Some(false), _) | (_, Some(Expiry::At(_)) | None) => None,
            (_, Some(Expiry::In(lifetime))) => Some(lifetime),
        };
        let said = seed.said.clone();
        let token = Token {
            uuid,
            intent,
            sealed,
            expires,
            description: said.description.unwrap_or_default(),
            networks: said.networks.unwrap_or_default(),
            is_first,
            lifetime_said,
            ..token::made_now(self.transaction, number, identifier.clone(), owner.number, (selector, hash))
        };
        self.write(ReferenceKind::Token, identifier, |transaction| token::write(transaction, None, token))
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
                let sentence = format!(
                    "the API token `{identifier}` is found by its secret, so a secret_hash is not enough; leave it \
                     out to have a secret generated"
                );
                self.problem(ReferenceKind::Token, identifier, Some("key"), sentence);
                Ok(None)
            }
            Some(SeedSecret::Hash(_)) if seed.retrievable == Some(true) => {
                let sentence = format!(
                    "the token `{identifier}` cannot be retrievable, as of a secret_hash there is no secret to \
                     keep; give it a secret_file, or leave both out"
                );
                self.problem(ReferenceKind::Token, identifier, Some("retrievable"), sentence);
                Ok(None)
            }
            Some(SeedSecret::Hash(hash)) => {
                let what = format!("the secret_hash of the token `{identifier}`");
                let hash = self.bounded(ReferenceKind::Token, identifier, &what, hash);
                let (uuid, selector) = (Uuid::new_v4(), TokenSelector::None);
                Ok(hash.map(|hash| PreparedToken { uuid, selector, hash, sealed: None, expires }))
            }
            Some(SeedSecret::Given(secret)) => {
                let rules = self.transaction.rules();
                match selector_of_token(self.prepared.keys(), seed, secret, rules) {
                    Ok(selector) => {
                        Ok(Some(PreparedToken { selector, expires, ..self.prepared.token(seed)? }))
                    }
                    Err(problem) => {
                        self.problem(ReferenceKind::Token, identifier, Some("key"), problem);
                        Ok(None)
                    }
                }
            }
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
/// No limit of the config: it is worked out anew, and nobody is refused by it.
const PLAN_AGE_MAX: Duration = Duration::from_secs(60 * 60);
