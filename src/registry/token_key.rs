//! At the start: whether the key is there by which the chosen secrets of tokens are found.
//!
//! The store knows the key by a mark. Where it is lost or another one, the tokens that need it work for nobody, though their
//! secrets are right: that is for the operator to decide, before anybody is refused.

use super::{ChangeError, OpenError, Transaction};
use crate::auth::TokenKeys;
use crate::directory::Accounts;
use crate::model::{TokenNumber, TokenSelector};
use crate::store::Meta;

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
    let is_other = keys.mark().zip(meta.token_key).is_some_and(|(key, store)| key != store);
    if keys.mark().is_some() && !is_other {
        return Ok(Vec::new());
    }
    let mut needing: Vec<(&str, TokenNumber)> = accounts
        .tokens()
        .filter(|token| matches!(token.selector, TokenSelector::Chosen(_)))
        .map(|token| (&*token.identifier, token.number))
        .collect();
    needing.sort_unstable();
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

const NAMES_TOLD_MAX: usize = 1_000;
