//! The names of things: who may give an object another one, who may take that of something deleted, and what stays of one
//! that is given up.

use crate::directory::Accounts;
use crate::model::{
    AccountNumber, GroupNumber, ObjectReference, Origin, RoleNumber, TokenNumber, Tombstone, TombstoneOf,
};
use crate::registry::transaction::name_form;
use crate::registry::{Caller, ChangeError, Lack, Transaction, origins};

/// The name that an object had until now.
pub(super) struct Former<'n> {
    pub(super) name: &'n str,
    pub(super) of: TombstoneOf,
    /// Whose the object is.
    pub(super) origin: Origin,
    /// Whether it holds, or gives, any right.
    pub(super) holds_rights: bool,
}

/// Gives a name to an object that is made or renamed. The name that it had is given up; whose the object is stays as it is.
///
/// # Errors
/// As [`take`]. Whether the object is for the caller to rename is asked before, see [`refuse_rename`].
pub(super) fn give(
    transaction: &mut Transaction<'_>,
    of: TombstoneOf,
    former: Option<Former<'_>>,
) -> Result<(), ChangeError> {
    // Another spelling is the same name, whoever writes it.
    if former.as_ref().is_some_and(|former| former.of == of) {
        return Ok(());
    }
    take(transaction, of)?;
    former.map_or(Ok(()), |former| give_up(transaction, former))
}

/// The name of what the config had made stands in the config, with what that says of it: as a deletion does, a rename leaves
/// a tombstone, or the config would make another object of that name, which nobody has banned, deactivated or put into a
/// group. Of an account that held rights one stays as well, as of one that is deleted.
fn give_up(transaction: &mut Transaction<'_>, former: Former<'_>) -> Result<(), ChangeError> {
    let Former { of, origin, holds_rights: held_rights, .. } = former;
    let is_strangers = origins::is_strangers(origin, transaction.snapshot().accounts());
    let held = is_strangers && held_rights && matches!(of, TombstoneOf::Account(_));
    if origin != Origin::Config && !held {
        return Ok(());
    }
    transaction.put_tombstone(Tombstone { of, origin, held_rights, made: Some(transaction.now()) })
}

/// The object that had a name until it got another one, be it gone by now. A tombstone does not say it, the trail does.
/// `None`: what had it was deleted, or the trail goes back no further.
///
/// # Errors
/// The store cannot be read.
pub(super) fn renamed(
    transaction: &Transaction<'_>,
    of: &TombstoneOf,
) -> Result<Option<ObjectReference>, ChangeError> {
    let Some(made) = transaction.snapshot().accounts().tombstone(of).and_then(|it| it.made) else {
        return Ok(None);
    };
    let (kind, field, form): (&str, &str, fn(&str) -> TombstoneOf) = match of {
        TombstoneOf::Account(_) => ("account", "username", |name| TombstoneOf::Account(name_form(name))),
        TombstoneOf::Token(_) => ("token", "identifier", |name| TombstoneOf::Token(name.to_owned())),
        TombstoneOf::Group(_) => ("group", "name", |name| TombstoneOf::Group(name_form(name))),
        TombstoneOf::Role(_) => ("role", "name", |name| TombstoneOf::Role(name_form(name))),
    };
    // Of those of one second the last one counts: what has the name no more, and what it has instead.
    let gave_up = transaction.changes_at(made)?.into_iter().rev().find_map(|event| {
        let mut changes = event.changes.iter().filter(|change| change.field == field);
        let change = changes.find(|change| change.before.as_deref().is_some_and(|name| form(name) == *of));
        change.filter(|_| event.object_kind == kind).map(|change| (event.object_key, change.after.clone()))
    });
    let number = match gave_up {
        Some((Some(number), Some(after))) if form(&after) != *of => number,
        _ => return Ok(None),
    };
    Ok(Some(match of {
        TombstoneOf::Account(_) => ObjectReference::Account(AccountNumber::new(number)),
        TombstoneOf::Token(_) => ObjectReference::Token(TokenNumber::new(number)),
        TombstoneOf::Group(_) => ObjectReference::Group(GroupNumber::new(number)),
        TombstoneOf::Role(_) => ObjectReference::Role(RoleNumber::new(number)),
    }))
}

/// Another object has this name. Who may not know of that one lacks what would show it: refused calls are counted by that.
pub(super) fn taken(caller: &Caller, accounts: &Accounts, by: ObjectReference, name: &str) -> ChangeError {
    caller.knows(accounts, by);
    ChangeError::Exists { kind: by.kind(), name: name.to_owned() }
}

/// Notes that a name is another object's than the one that is to have it; `named`: which has it.
///
/// # Errors
/// It is, and nobody collects that.
pub(super) fn note_taken(
    transaction: &Transaction<'_>,
    named: Option<ObjectReference>,
    on: ObjectReference,
    name: &str,
) -> Result<(), ChangeError> {
    let Some(other) = named.filter(|named| *named != on) else { return Ok(()) };
    let taken = taken(transaction.caller(), transaction.snapshot().accounts(), other, name);
    transaction.noting(Err::<(), _>(taken)).map(drop)
}

/// Who may give an object another name: see [`require_maker`]. Another spelling is the same name.
///
/// # Errors
/// [`ChangeError::Refused`]
pub(super) fn refuse_rename(
    transaction: &Transaction<'_>,
    former: Option<&Former<'_>>,
    of: &TombstoneOf,
) -> Result<(), ChangeError> {
    let Some(former) = former.filter(|former| former.of != *of) else { return Ok(()) };
    let (kind, may) = match of {
        TombstoneOf::Account(_) => ("account", ANOTHER_NAME),
        TombstoneOf::Token(_) => ("token", "give it another identifier"),
        TombstoneOf::Group(_) => ("group", ANOTHER_NAME),
        TombstoneOf::Role(_) => ("role", ANOTHER_NAME),
    };
    require_maker(transaction, former.origin, (kind, former.name), may)
}

/// Asks whether an object is for the caller to name, and an account to be made something else of: the config, and whoever
/// remembers it, mean an object by its name, and what it can be is decided by its type. So both belong to whose the object
/// is, the caller of the API who has made it, and to superusers and the operator. Of what leaves no tombstone so does its
/// deletion, after which the config would make another one in silence.
///
/// `may`: what is asked for.
///
/// # Errors
/// [`ChangeError::Refused`]
pub(super) fn require_maker(
    transaction: &Transaction<'_>,
    origin: Origin,
    (kind, name): (&str, &str),
    may: &str,
) -> Result<(), ChangeError> {
    let caller = transaction.caller();
    let is_maker = caller.holder().is_some_and(|holder| origin == Origin::Account(holder.account));
    if is_maker || caller.is_superuser(transaction.snapshot().accounts()) {
        return Ok(());
    }
    caller.lacks(Lack::Superuser);
    Err(ChangeError::Refused(format!(
        "only who has made the {kind} `{name}`, a superuser or the operator may {may}"
    )))
}

/// What is asked for of [`require_maker`].
pub(super) const ANOTHER_NAME: &str = "give it another name";

/// Takes a name; its tombstone is lifted.
///
/// The config gives to a name what it says of it, and so may an operator who remembers it. So the name of what the config
/// had made, or of what held any right, is for superusers to bring back, and for the operator; not for whoever has written a
/// file that is imported.
///
/// # Errors
/// [`ChangeError::Refused`]
fn take(transaction: &mut Transaction<'_>, of: TombstoneOf) -> Result<(), ChangeError> {
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
            "`{name}` was the name of {kind} that somebody else had made, or that held rights, and was deleted or renamed: \
             {what_to_do}"
        )));
    }
    transaction.lift_tombstone(of)
}
