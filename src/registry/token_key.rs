//! At the start: whether the key is there by which the chosen secrets of tokens are found.
//!
//! The store knows the key by a mark. Where it is lost or another one, the tokens that need it work for nobody, though their
//! secrets are right: that is for the operator to decide, before anybody is refused.

use serde::{Deserialize, Serialize};

use super::{ChangeError, OpenError, Registry, Transaction};
use crate::auth::TokenKeys;
use crate::directory::Accounts;
use crate::model::{Record, Token, TokenNumber, TokenSelector};
use crate::secret::Secret;
use crate::store::{Meta, Unopened};

/// Sees to it that the key is that of the store. Answers with the tokens that end because it is not: those that need it, and
/// no others.
///
/// # Errors
/// Tokens need a key that is not there, and `makes_new` is not said; or none can be made.
pub(super) fn settle(
    keys: &mut TokenKeys,
    meta: &Meta,
    accounts: &Accounts,
    makes_new: bool,
) -> Result<Vec<TokenNumber>, OpenError> {
    // Who only reads, or forgets everything, finds nobody by it.
    let Some(path) = keys.path() else { return Ok(Vec::new()) };
    let Some((is_other, needing)) = lacking(keys.mark(), meta, accounts) else { return Ok(Vec::new()) };
    if needing.is_empty() {
        if is_other {
            tracing::warn!(
                path = %path.display(),
                "the key by which chosen secrets of API tokens are found is another one; no token needed the one before"
            );
            return Ok(Vec::new());
        }
        // A full disk must not keep a server from starting.
        match keys.make() {
            Ok(()) => tracing::info!(
                path = %path.display(),
                "the key by which chosen secrets of API tokens are found was made; no token needed one before"
            ),
            Err(error) => tracing::warn!(
                path = %path.display(), %error,
                "the key by which chosen secrets of API tokens are found cannot be made: until a restart makes it, none \
                 can be set"
            ),
        }
        return Ok(Vec::new());
    }
    if !makes_new {
        let tokens = needing.iter().map(|(identifier, _)| (*identifier).to_owned()).collect();
        return Err(OpenError::TokenKeyGone { path, is_other, tokens });
    }
    keys.make().map_err(|source| OpenError::TokenKeyNotMade { path: path.clone(), source })?;
    let tokens = named(needing.iter().map(|(identifier, _)| *identifier));
    tracing::warn!(path = %path.display(), tokens, "a new token key was made, and the tokens end that needed the old one");
    Ok(needing.into_iter().map(|(_, number)| number).collect())
}

/// Refuses a store whose tokens need a key that is not there, before any of its files is changed.
///
/// # Errors
/// They do, or the store cannot be read.
pub fn check_key_of_store(keys: &TokenKeys, store: &Unopened<'_>) -> Result<(), OpenError> {
    let Some(path) = keys.path() else { return Ok(()) };
    let Some(is_other) = is_other(keys.mark(), store.meta()) else { return Ok(()) };
    let mut tokens = Vec::new();
    store.load(&mut |record| {
        if let Record::Token(token) = record
            && needs_key(&token)
        {
            tokens.push(token.identifier);
        }
    })?;
    if tokens.is_empty() {
        return Ok(());
    }
    tokens.sort_unstable();
    Err(OpenError::TokenKeyGone { path, is_other, tokens })
}

/// Refuses a file of another key than the one with this mark, which is in use, where tokens need that.
///
/// # Errors
/// In words, with the tokens.
pub(super) fn check_file(file: &Secret, mark: Option<u64>, accounts: &Accounts) -> Result<(), String> {
    if TokenKeys::mark_in(file) == mark {
        return Ok(());
    }
    let mut needing: Vec<&str> =
        accounts.tokens().filter(|token| needs_key(token)).map(|token| &*token.identifier).collect();
    needing.sort_unstable();
    if needing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the `token.key` in the data directory is not the one that the server was started with, which API tokens need ({}): put \
         that one back; no start takes another one",
        named(needing.into_iter())
    ))
}

/// Whether the key with this mark is another one than that of the store, with the tokens that need that; `None`: it is the
/// right one.
fn lacking<'a>(
    mark: Option<u64>,
    meta: &Meta,
    accounts: &'a Accounts,
) -> Option<(bool, Vec<(&'a str, TokenNumber)>)> {
    let is_other = is_other(mark, meta)?;
    let needing = accounts.tokens().filter(|token| needs_key(token));
    let mut needing: Vec<(&str, TokenNumber)> =
        needing.map(|token| (&*token.identifier, token.number)).collect();
    needing.sort_unstable();
    Some((is_other, needing))
}

/// Whether there is another key than that of the store, or none; `None`: it is the right one.
fn is_other(mark: Option<u64>, meta: &Meta) -> Option<bool> {
    let is_other = mark.zip(meta.token_key).is_some_and(|(key, store)| key != store);
    (is_other || mark.is_none()).then_some(is_other)
}

/// Whether a token is found by the key.
fn needs_key(token: &Token) -> bool {
    matches!(token.selector, TokenSelector::Chosen(_))
}

/// What a start would say of the key in the data directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenKeyState {
    /// Whether it is another one than that of the store.
    pub is_other: bool,
    /// The tokens that lack the right one, by their identifiers; none where nothing is wrong.
    pub tokens: Vec<String>,
}

impl Registry {
    /// The same of a key with this mark; `None`: there is none.
    pub fn token_key_state(&self, mark: Option<u64>) -> TokenKeyState {
        let snapshot = self.snapshot();
        match lacking(mark, &self.store().meta(), snapshot.accounts()) {
            Some((is_other, needing)) => {
                let tokens = needing.into_iter().map(|(identifier, _)| identifier.to_owned()).collect();
                TokenKeyState { is_other, tokens }
            }
            None => TokenKeyState::default(),
        }
    }
}

/// Ends tokens that nobody can be found by any more.
pub(super) fn end(transaction: &mut Transaction<'_>, tokens: &[TokenNumber]) -> Result<(), ChangeError> {
    tokens.iter().try_for_each(|token| transaction.delete_token(*token))
}

/// Names in a sentence, but not without end.
pub(super) fn named<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let untold = names.len().saturating_sub(NAMES_TOLD_MAX);
    let mut told: Vec<String> = names.take(NAMES_TOLD_MAX).map(crate::model::visible).collect();
    if untold > 0 {
        told.push(format!("and {untold} more"));
    }
    told.join(", ")
}

/// No limit of the config: all are counted, and nobody reads more.
const NAMES_TOLD_MAX: usize = 1_000;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Arc;

    use super::*;
    use crate::model::{AccountNumber, Change, Intent};
    use crate::plain;
    use crate::registry::RegistrySettings;
    use crate::store::{Batch, Counters, MemoryStore, Store};

    /// Of a config management, while the server goes on with the one that it has.
    #[test]
    fn a_backup_gets_no_key_but_that_of_its_store() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token.key");
        let store = Arc::new(MemoryStore::new());
        let open = || {
            let token_keys = TokenKeys::open(directory.path(), None).unwrap();
            Registry::open(store.clone(), RegistrySettings { token_keys, ..RegistrySettings::default() })
                .unwrap()
        };
        let put = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        };
        let registry = open();
        let right = registry.finding_key_file().unwrap();
        let other = TokenKeys::new_file().unwrap();
        // Nothing needs it: any start would take it.
        put(other.expose());
        assert!(registry.finding_key_file().is_ok());
        put(right.expose());
        drop(registry);

        let token = Token {
            identifier: "chosen".to_owned(),
            selector: TokenSelector::Chosen([7; 32]),
            intent: Intent::Api,
            ..plain::token(101, AccountNumber::new(100))
        };
        let changes = vec![
            Change::Put(Record::Account(plain::account(100, "portal"))),
            Change::Put(Record::Token(token)),
        ];
        let counters = Counters { next_number: 200, next_object: 200, ..store.meta().counters };
        store.commit(&Batch { changes, counters, ..Batch::default() }).unwrap();
        let registry = open();
        assert!(registry.finding_key_file().is_ok());
        put(other.expose());
        let refused = registry.finding_key_file().map(drop).unwrap_err();
        assert!(refused.contains("not the one") && refused.contains("chosen"), "{refused}");
        put(right.expose());
        assert!(registry.finding_key_file().is_ok());
    }
}
