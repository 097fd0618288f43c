//! The names of things that were deleted: who may take one.

use crate::model::{Origin, TombstoneOf};
use crate::registry::{ChangeError, Transaction};

/// Whose an object is that gets a name: of two that had it, the one who gave the name that it has now. The config gives to
/// a name what it says of it, so who chooses the name of an object chooses what it gets.
pub(super) fn origin(transaction: &Transaction<'_>, before: Option<Origin>) -> Origin {
    let now = transaction.origin();
    match before {
        Some(before) if now.account().is_none() => before,
        Some(_) | None => now,
    }
}

/// Takes a name for an object that is made or renamed; its tombstone is lifted.
///
/// The config gives to a name what it says of it, and so may an operator who remembers it. So the name of what the config
/// had made, or of what held any right, is for superusers to bring back, and for the operator; not for whoever has written a
/// file that is imported.
///
/// # Errors
/// [`ChangeError::Refused`]
pub(super) fn take(transaction: &mut Transaction<'_>, of: TombstoneOf) -> Result<(), ChangeError> {
    let accounts = transaction.snapshot().accounts();
    let Some(tombstone) = accounts.tombstone(&of) else { return Ok(()) };
    let is_anybodys = tombstone.origin != Origin::Config && !tombstone.held_rights;
    // Who imports a file has not written it.
    let is_import = transaction.origin() == Origin::Import;
    if !is_anybodys && (is_import || !transaction.caller().is_superuser(accounts)) {
        let (kind, name) = match &of {
            TombstoneOf::Account(name) => ("an account", name),
            TombstoneOf::Token(name) => ("a token", name),
            TombstoneOf::Group(name) => ("a group", name),
            TombstoneOf::Role(name) => ("a role", name),
        };
        let what_to_do = match is_import {
            true => "no import brings it back: `apply --recreate` does, or a command that makes it",
            false => "only a superuser may give it to another; choose another name, or ask one",
        };
        return Err(ChangeError::Refused(format!(
            "`{name}` was the name of {kind} that the config had made, or that held rights, and was deleted: {what_to_do}"
        )));
    }
    transaction.lift_tombstone(of)
}
