//! The secrets of a seed: which ones are new, and their hashes, computed before the writer is asked.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use uuid::Uuid;

use super::{NeededSecret, NewSecret, SeedOptions};
use crate::auth::{HashBounds, SecretShape, TokenKeys};
use crate::config::{ReferenceKind, Seed, SeedAccount, SeedSecret, SeedToken};
use crate::directory::{Accounts, name_key};
use crate::model::{HashText, Intent, SealedSecret, Timestamp, Token, TokenSelector, TombstoneOf};
use crate::registry::commands::token::{FIRST_GENERATION, selector_of};
use crate::registry::commands::validate;
use crate::registry::transaction::name_form;
use crate::registry::{ChangeError, Registry, Rules};
use crate::secret::Secret;

/// What was computed for a seed.
pub(super) struct Prepared {
    /// Whether only a plan is wanted, which needs no hash.
    is_plan: bool,
    /// What a hash from elsewhere may cost.
    bounds: HashBounds,
    /// What chosen secrets are found by, and kept secrets encrypted with.
    keys: TokenKeys,
    /// By identifier.
    tokens: HashMap<String, PreparedToken>,
    /// By the form of the username.
    passwords: HashMap<Vec<u8>, PreparedPassword>,
    /// The secrets that the caller generated.
    given: BTreeSet<(Vec<u8>, String, &'static str)>,
}

/// A token's secret.
#[derive(Clone)]
pub(super) struct PreparedToken {
    /// Its `uuid`: what its secret is sealed for.
    pub(super) uuid: Uuid,
    /// What leads to its record.
    pub(super) selector: TokenSelector,
    /// What is kept of it.
    pub(super) hash: HashText,
    /// Itself, encrypted, if it is to be kept.
    pub(super) sealed: Option<SealedSecret>,
    /// When it expires, as the caller was told.
    pub(super) expires: Option<Timestamp>,
}

/// A person's password, compared with the one that was stored.
enum PreparedPassword {
    /// It is another one, and this is to be kept: also where somebody has set yet another one since. Or whoever may set one
    /// would keep each config out that says it, the one that takes that from them too.
    New(HashText),
    /// It is the stored one, which had this generation.
    Same(u32),
}

impl Prepared {
    /// Compares passwords; hashes nothing.
    pub(super) async fn for_plan(registry: &Registry, seed: &Seed) -> Result<Self, ChangeError> {
        let mut prepared = Self::empty(registry, true);
        prepared.compare_passwords(registry, seed).await?;
        Ok(prepared)
    }

    /// Compares passwords, and hashes everything that is new, the secrets of the caller included.
    pub(super) async fn for_apply(
        registry: &Registry,
        seed: &Seed,
        options: &SeedOptions,
        secrets: Vec<NewSecret>,
    ) -> Result<Self, ChangeError> {
        let mut prepared = Self::empty(registry, false);
        prepared.compare_passwords(registry, seed).await?;

        // That there is no key is told with everything else that cannot be.
        let is_kept = |token: &&SeedToken| token.retrievable == Some(true) && registry.token_keys.can_seal();
        let retrievable = seed.tokens.iter().filter(is_kept);
        let retrievable: BTreeSet<&str> = retrievable.map(|token| token.identifier.as_str()).collect();
        let snapshot = registry.snapshot();
        let mut found = Vec::new();
        for token in &seed.tokens {
            if let Some(SeedSecret::Given(secret)) = &token.secret
                && is_new(token, options, snapshot.accounts())
                && let Ok(selector) = selector_of_token(&prepared.keys, token, secret, registry.rules())
            {
                found.push((token.identifier.clone(), selector, None, secret.clone()));
            }
        }
        for new in secrets {
            let SecretShape::Ours { intent, selector } = SecretShape::parse(new.secret.expose()) else {
                return Err(foreign_secret(&new.identifier));
            };
            if intent != new.intent {
                return Err(foreign_secret(&new.identifier));
            }
            prepared.given.insert((name_key(&new.account), new.identifier.clone(), new.intent.as_str()));
            let selector = TokenSelector::Generated(selector.to_string());
            found.push((new.identifier, selector, new.expires, new.secret));
        }
        let secrets: Vec<Secret> = found.iter().map(|(_, _, _, secret)| secret.clone()).collect();
        let hashes = registry.hash_secrets(&secrets).await?;
        for ((identifier, selector, expires, secret), hash) in found.into_iter().zip(hashes) {
            let uuid = Uuid::new_v4();
            let sealed = registry.seal(
                &identifier,
                retrievable.contains(identifier.as_str()),
                &secret,
                uuid,
                FIRST_GENERATION,
            )?;
            prepared.tokens.insert(identifier, PreparedToken { uuid, selector, hash, sealed, expires });
        }
        Ok(prepared)
    }

    /// The secret of a token that is made now; for a plan a stand-in, which is forgotten with it.
    pub(super) fn token(&self, seed: &SeedToken) -> Result<PreparedToken, ChangeError> {
        match self.tokens.get(&seed.identifier) {
            Some(prepared) => Ok(prepared.clone()),
            None if self.is_plan => Ok(PreparedToken {
                uuid: Uuid::new_v4(),
                selector: TokenSelector::Generated(seed.identifier.clone()),
                hash: HashText::new(String::new()),
                sealed: (seed.retrievable == Some(true)).then(|| SealedSecret::new(Vec::new())),
                expires: None,
            }),
            None => Err(ChangeError::Conflict),
        }
    }

    /// Whether only a plan is wanted.
    pub(super) fn is_plan(&self) -> bool {
        self.is_plan
    }

    /// What is to be kept of the password of an account whose stored one has this generation; `None`: that one.
    pub(super) fn password(
        &self,
        username: &str,
        generation: Option<u32>,
    ) -> Result<Option<&HashText>, ChangeError> {
        match self.passwords.get(&name_key(username)) {
            Some(PreparedPassword::New(hash)) => Ok(Some(hash)),
            Some(PreparedPassword::Same(compared_with)) if generation == Some(*compared_with) => Ok(None),
            // It was exchanged since, and nothing has been hashed: the next attempt finds it so.
            Some(PreparedPassword::Same(_)) | None => Err(ChangeError::Conflict),
        }
    }

    /// Whether the caller generated exactly the secrets that are needed.
    pub(super) fn covers(&self, needed: &[NeededSecret]) -> bool {
        let needed: BTreeSet<_> = needed
            .iter()
            .map(|needed| (name_key(&needed.account), needed.identifier.clone(), needed.intent.as_str()))
            .collect();
        self.is_plan || needed == self.given
    }

    /// What chosen secrets are found by, and kept secrets encrypted with.
    pub(super) fn keys(&self) -> &TokenKeys {
        &self.keys
    }

    /// What a hash from elsewhere may cost.
    pub(super) fn bounds(&self) -> &HashBounds {
        &self.bounds
    }

    fn empty(registry: &Registry, is_plan: bool) -> Self {
        Self {
            is_plan,
            bounds: registry.bounds,
            keys: registry.token_keys.clone(),
            tokens: HashMap::new(),
            passwords: HashMap::new(),
            given: BTreeSet::new(),
        }
    }

    async fn compare_passwords(&mut self, registry: &Registry, seed: &Seed) -> Result<(), ChangeError> {
        let snapshot = registry.snapshot();
        let mut changed = Vec::new();
        for account in &seed.accounts {
            let Some(SeedSecret::Given(secret)) = &account.password else { continue };
            if check_password(account, secret, registry.rules()).is_err() {
                continue;
            }
            let state = snapshot.accounts().account_named(&account.username);
            let stored = state.and_then(|state| state.password.as_ref());
            match stored {
                Some(stored) if registry.is_stored_secret(secret, &stored.hash).await? => {
                    let same = PreparedPassword::Same(stored.generation);
                    self.passwords.insert(name_key(&account.username), same);
                }
                _ => changed.push((account.username.as_str(), secret.clone())),
            }
        }
        let hashes = if self.is_plan {
            vec![HashText::new(String::new()); changed.len()]
        } else {
            let secrets: Vec<Secret> = changed.iter().map(|(_, secret)| secret.clone()).collect();
            registry.hash_secrets(&secrets).await?
        };
        for ((username, _), hash) in changed.into_iter().zip(hashes) {
            self.passwords.insert(name_key(username), PreparedPassword::New(hash));
        }
        Ok(())
    }
}

/// Whether a token will be made, as far as can be said before the writer is asked.
fn is_new(token: &SeedToken, options: &SeedOptions, accounts: &Accounts) -> bool {
    let is_deleted = accounts.has_tombstone(&TombstoneOf::Token(token.identifier.clone()))
        || accounts.has_tombstone(&TombstoneOf::Account(name_form(&token.account)));
    let is_of_another = |stored: &Arc<Token>| {
        let owner = accounts.account_named(&token.account);
        owner.is_none_or(|owner| owner.number != stored.account)
    };
    // With an account that is pruned its tokens go, and one that is taken over is made anew.
    let stored = accounts.token_named(&token.identifier);
    let is_adopted = |stored: &Arc<Token>| {
        let mut makers = stored.made_by.accounts().chain(stored.origin.account());
        // All credentials of an account end with what it was.
        options.adopts(ReferenceKind::Token, &token.identifier)
            || accounts
                .account(stored.account)
                .is_some_and(|owner| options.adopts(ReferenceKind::Account, &owner.username))
            || options.adopted_makers().next().is_some() && makers.next().is_some()
    };
    stored.is_none_or(|stored| is_adopted(stored) || options.prune && is_of_another(stored))
        && (!is_deleted || !options.recreate.is_empty())
}

/// What the secret that a token is seeded with is found by.
///
/// # Errors
/// A sentence: the token cannot have it.
pub(super) fn selector_of_token(
    keys: &TokenKeys,
    token: &SeedToken,
    secret: &Secret,
    rules: Rules,
) -> Result<TokenSelector, String> {
    selector_of(keys, token.said.intent.unwrap_or(Intent::AppPassword), secret, rules)
        .map_err(|problem| format!("the secret of the token `{}` {problem}", token.identifier))
}

/// Whether a person may have this password.
///
/// # Errors
/// A sentence.
pub(super) fn check_password(account: &SeedAccount, secret: &Secret, rules: Rules) -> Result<(), String> {
    validate::password(secret, rules)
        .map_err(|problem| format!("the password of the account `{}` {problem}", account.username))
}

fn foreign_secret(identifier: &str) -> ChangeError {
    ChangeError::Refused(format!(
        "the secret that was sent for the token `{identifier}` is not one that bindery generates; use the same \
         version of bindery on both sides"
    ))
}
