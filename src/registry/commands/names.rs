//! The names of things: who may take that of something deleted, and what stays of one that is given up.

use crate::directory::Accounts;
use crate::model::{
    AccountNumber, GroupNumber, ObjectReference, Origin, RoleNumber, TokenNumber, Tombstone, TombstoneOf,
};
use crate::registry::transaction::name_form;
use crate::registry::{Caller, ChangeError, Lack, Transaction, origins};

/// The name that an object had until now.
pub(super) struct Former {
    pub(super) on: ObjectReference,
    pub(super) of: TombstoneOf,
    /// Whose the object was.
    pub(super) origin: Origin,
    /// Whether it holds, or gives, any right.
    pub(super) holds_rights: bool,
}

/// Gives a name to an object that is made or renamed: whose the object is from now on. The name that it had is given up.
///
/// # Errors
/// As [`take`].
pub(super) fn give(
    transaction: &mut Transaction<'_>,
    of: TombstoneOf,
    former: Option<Former>,
) -> Result<Origin, ChangeError> {
    let tombstone = transaction.snapshot().accounts().tombstone(&of).map(|tombstone| tombstone.origin);
    // Another object of the same maker is not what had the name.
    let is_its_own = match (&former, tombstone) {
        (Some(former), Some(_)) => renamed(transaction, &of)? == Some(former.on),
        _ => false,
    };
    // Who has given it another name takes that back. The tombstone stays: the object is that caller's from now on, which would
    // leave none when it gives the name up again, and the name is kept from all others as before.
    let own = transaction.origin();
    let is_taken_back = is_its_own && own.account().is_some() && tombstone == Some(own);
    if !is_taken_back {
        take(transaction, of.clone())?;
    }
    let Some(former) = former else { return Ok(transaction.origin()) };
    let before = former.origin;
    // Another spelling is the same name, whoever writes it.
    if former.of == of {
        return Ok(before);
    }
    give_up(transaction, former)?;
    // The operator has given back what somebody else had taken.
    let is_given_back = is_its_own && before.account().is_some() && tombstone == Some(before);
    Ok(match is_given_back && is_operators(transaction) {
        true => transaction.origin(),
        false => origin(transaction, Some(before)),
    })
}

/// The name of what the config had made stands in the config, with what that says of it: as a deletion does, a rename leaves
/// a tombstone, or the config would make another object of that name, which nobody has banned, deactivated or put into a
/// group. Who is no superuser and renames what no other such caller has made leaves one in its own name: it stands in the
/// way of the config, which may describe that too. So does whoever renames an account, as its deletion does: it may have come
/// to be its own by a change of kind.
fn give_up(transaction: &mut Transaction<'_>, former: Former) -> Result<(), ChangeError> {
    let now = transaction.origin();
    let is_strangers =
        now.account().is_some() && !transaction.caller().is_superuser(transaction.snapshot().accounts());
    let Former { of, origin, holds_rights, .. } = former;
    let is_others = || !origins::is_strangers(origin, transaction.snapshot().accounts());
    let is_left =
        origin == Origin::Config || is_strangers && (matches!(of, TombstoneOf::Account(_)) || is_others());
    if !is_left {
        return Ok(());
    }
    // Of a group or a role that is deleted later nothing else would stay.
    let is_guarded = origin == Origin::Config || matches!(of, TombstoneOf::Group(_) | TombstoneOf::Role(_));
    let held_rights = holds_rights || is_strangers && is_guarded;
    let origin = if is_strangers { now } else { origin };
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

/// Of what leaves no tombstone: who may give up the name by which the config knows it.
///
/// # Errors
/// [`ChangeError::Refused`]
pub(super) fn refuse_rename(
    transaction: &Transaction<'_>,
    before: Origin,
    kind: &str,
    name: &str,
) -> Result<(), ChangeError> {
    let caller = transaction.caller();
    if before != Origin::Config || caller.is_superuser(transaction.snapshot().accounts()) {
        return Ok(());
    }
    caller.lacks(Lack::Superuser);
    Err(ChangeError::Refused(format!(
        "the config has made the {kind} `{name}`, and would make another one of that name: only a superuser may rename it"
    )))
}

/// Whose an object is that gets a name: of two that had it, the one who gave the name that it has now. The config gives to
/// a name what it says of it, so who chooses the name of an object chooses what it gets.
pub(super) fn origin(transaction: &Transaction<'_>, before: Option<Origin>) -> Origin {
    match before {
        Some(before) if is_operators(transaction) => before,
        Some(_) | None => transaction.origin(),
    }
}

/// Whether it is no caller of the API who gives a name: who means an object by the name that it has need not know who made it.
fn is_operators(transaction: &Transaction<'_>) -> bool {
    transaction.caller().holder().is_none()
}

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
