//! Who may make a token for whom, and what whoever makes one may do with it.
//!
//! A secret is worth all the rights of its account, so nobody may get hold of one that is worth more than they are:
//!
//! - A token for oneself needs `add_token` and nothing else.
//! - A token for another account needs `change_user` on that account besides; the account must be no superuser and hold
//!   no permission that the caller lacks, on whatever object and through whatever role or group.
//! - A change of a token that is there needs, beside `change_token`, all that its owner holds; another owner needs `add_token`
//!   and ends the old secret besides.
//! - The secret of a token that is there (rotated, set or viewed) needs the permission on that token, and all that its
//!   owner holds now: a grant on a token outlives the check that it was made with, and the owner may have got more since.
//!   One's own needs the permission alone; that of a superuser is for superusers and its owner.
//! - The token that the caller has come with it may rotate without a permission, as over LDAP: what comes of it is worth
//!   what that was.
//! - A superuser, and the operator, may do all of it.

use std::sync::Arc;
use std::time::Duration;

use crate::access::{Credential, Rights};
use crate::directory::{AccountState, Accounts};
use crate::model::{AccountKind, AccountNumber, Grant, ObjectReference, Permission, Token, TokenNumber};
use crate::registry::commands::role::change_held;
use crate::registry::commands::validate;
use crate::registry::{Caller, ChangeError, Lack, Transaction, Viewer};

/// The account for which the caller may make a token, or which it may give one to.
///
/// # Errors
/// There is none that it may know of, it is bindery's own, or its rights are not the caller's to give.
pub(super) fn owner_to_be(
    caller: &Caller,
    accounts: &Accounts,
    username: &str,
) -> Result<Arc<AccountState>, ChangeError> {
    let missing = || ChangeError::NotFound { kind: "account", name: username.to_owned() };
    let owner = accounts.account_named(username).ok_or_else(missing)?;
    let on = ObjectReference::Account(owner.number);
    let is_own = is_own(caller, owner.number);
    if !is_own && !caller.knows(accounts, on) {
        return Err(missing());
    }
    if owner.kind == AccountKind::InternalServiceAccount {
        return Err(validate::internal(&owner.username));
    }
    if !is_own && !caller.is_superuser(accounts) {
        caller.require_on(accounts, Permission::ChangeUser, on, username)?;
        check_superuser(caller, accounts, owner)?;
        caller.require_held(accounts, &Rights::of_account(accounts, owner))?;
    }
    Ok(owner.clone())
}

/// The token of this name, if the caller may do this to it.
///
/// # Errors
/// There is none that it may know of, it is bindery's own, or the permission is missing.
pub(super) fn find_token(
    caller: &Caller,
    accounts: &Accounts,
    permission: Permission,
    identifier: &str,
) -> Result<Arc<Token>, ChangeError> {
    let token = accounts
        .token_named(identifier)
        .ok_or_else(|| ChangeError::NotFound { kind: "token", name: identifier.to_owned() })?;
    caller.require_on(accounts, permission, ObjectReference::Token(token.number), identifier)?;
    if let Some(owner) = accounts.account(token.account)
        && owner.kind == AccountKind::InternalServiceAccount
    {
        let viewer = Viewer::new(caller, accounts);
        return Err(validate::internal_to(&viewer, owner.number, &owner.username));
    }
    Ok(token.clone())
}

/// Leaves the tokens of superusers to superusers and to their owners.
///
/// # Errors
/// It is a superuser's, and the caller is another account that is none.
fn check_superusers(caller: &Caller, accounts: &Accounts, token: &Token) -> Result<(), ChangeError> {
    match accounts.account(token.account) {
        Some(owner) if !is_own(caller, owner.number) => check_superuser(caller, accounts, owner),
        _ => Ok(()),
    }
}

/// Asks whether a token is worth no more than the caller: whether it is its own, or it holds all that the owner holds.
///
/// # Errors
/// It is a superuser's, or its owner holds something that the caller lacks.
pub(super) fn require_worth(caller: &Caller, accounts: &Accounts, token: &Token) -> Result<(), ChangeError> {
    check_superusers(caller, accounts, token)?;
    match accounts.account(token.account) {
        Some(owner) if !is_own(caller, owner.number) => {
            caller.require_held(accounts, &Rights::of_account(accounts, owner))
        }
        _ => Ok(()),
    }
}

/// The same, of a token whose secret the caller is to learn or to choose.
///
/// # Errors
/// As [`find_token`], or as [`require_worth`].
pub(super) fn find_secret_of(
    caller: &Caller,
    accounts: &Accounts,
    permission: Permission,
    identifier: &str,
) -> Result<Arc<Token>, ChangeError> {
    let token = find_token(caller, accounts, permission, identifier)?;
    require_worth(caller, accounts, &token)?;
    Ok(token)
}

/// The token that the caller may put another in the place of.
///
/// # Errors
/// It is not the one that the caller has come with, and as [`find_secret_of`].
pub(super) fn find_to_rotate(
    caller: &Caller,
    accounts: &Accounts,
    identifier: &str,
) -> Result<Arc<Token>, ChangeError> {
    match accounts.token_named(identifier).filter(|token| has_come_with(caller, token)) {
        Some(token) => Ok(Arc::clone(token)),
        None => find_secret_of(caller, accounts, Permission::SetTokenKey, identifier),
    }
}

/// Whether a token is what the caller has come with.
pub(super) fn has_come_with(caller: &Caller, token: &Token) -> bool {
    let credential = caller.holder().map(|holder| holder.credential);
    credential == Some(Credential::Token { number: token.number, generation: token.generation })
}

/// How long the old secret of a token goes on working beside the new one, where `asked` was asked for: for who has come with
/// it no longer than is usual, unless it may set secrets. A stolen one is not to outlive its rotation for long.
pub(super) fn overlap_of(
    caller: &Caller,
    accounts: &Accounts,
    token: &Token,
    asked: Duration,
    usual: Duration,
) -> Duration {
    let may_set = caller.may(accounts, Permission::SetTokenKey, Some(ObjectReference::Token(token.number)));
    if may_set { asked } else { asked.min(usual) }
}

/// The token that the caller may give a secret of its own.
///
/// # Errors
/// As [`find_secret_of`].
pub(super) fn find_to_set(
    caller: &Caller,
    accounts: &Accounts,
    identifier: &str,
) -> Result<Arc<Token>, ChangeError> {
    find_secret_of(caller, accounts, Permission::SetTokenKey, identifier)
}

/// Whether the account is the caller itself.
fn is_own(caller: &Caller, account: AccountNumber) -> bool {
    caller.holder().is_some_and(|holder| holder.account == account)
}

fn check_superuser(caller: &Caller, accounts: &Accounts, owner: &AccountState) -> Result<(), ChangeError> {
    if accounts.is_superuser(owner) && !caller.is_superuser(accounts) {
        caller.lacks(Lack::Superuser);
        let viewer = Viewer::new(caller, accounts);
        return Err(ChangeError::Refused(format!(
            "{} is a superuser, whose secrets are for superusers alone; ask one",
            viewer.called(ObjectReference::Account(owner.number), &owner.username, "the owner")
        )));
    }
    Ok(())
}

/// Whoever may do something to a token may do it to the one that takes its place.
pub(super) fn inherit_grants(
    transaction: &mut Transaction<'_>,
    old: TokenNumber,
    new: TokenNumber,
) -> Result<(), ChangeError> {
    let snapshot = transaction.snapshot().clone();
    let is_gone = |grant: &Grant| match grant.on {
        Some(ObjectReference::Token(number)) => snapshot.accounts().token(number).is_none(),
        _ => false,
    };
    change_held(transaction, |_, grants| {
        let of_old = grants.iter().filter(|grant| grant.on == Some(ObjectReference::Token(old)));
        let of_new = of_old.map(|grant| Grant { on: Some(ObjectReference::Token(new)), ..*grant });
        let more: Vec<Grant> = of_new.collect();
        if !more.is_empty() {
            grants.retain(|grant| !is_gone(grant) && !more.contains(grant));
            grants.extend(more);
        }
    })
}
