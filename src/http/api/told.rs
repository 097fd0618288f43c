//! What whoever changes something is told beside the answer: credentials that others know, accounts that are shut out. The
//! fields are bindery's own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::Time;
use crate::model::ObjectReference;
use crate::registry::{self, Transaction};

/// Credentials that somebody else has made, of accounts to which a change gives rights that their makers do not hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ForeignCredentials {
    /// Those that the caller may view, 100 at most.
    pub credentials: Vec<ForeignCredential>,
    /// How many more it may view.
    pub more: usize,
}

/// A credential that somebody else has made than the account whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ForeignCredential {
    /// The account's name.
    pub account: String,
    /// The identifier of the token; of a password the account's name.
    pub identifier: String,
    /// The accounts that made it, as far as the caller may view them.
    pub made_by: Vec<String>,
}

/// Active accounts that a change shuts out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LosingAccess {
    /// Those that the caller may view, 100 at most, the last used first.
    pub accounts: Vec<LosingAccount>,
    /// How many more it may view.
    pub more: usize,
}

/// An account that an application does not admit any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LosingAccount {
    /// Its number.
    pub pk: u32,
    /// Its name.
    pub username: String,
    /// The slug of the application.
    pub application: String,
    /// When it last proved who it is; `null`: never, as far as is known.
    pub last_used: Option<Time>,
}

/// Values by which objects are known that a change gives to others as well.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SharedValues {
    /// Those that the caller may view, 100 at most.
    pub values: Vec<SharedValue>,
    /// How many more it may view.
    pub more: usize,
}

/// A value by which clients find two objects, and may take one for the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SharedValue {
    /// What has got it by the change, and what was found by it before.
    pub between: [KnownObject; 2],
    /// In lower case.
    pub value: String,
}

/// An account or a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KnownObject {
    /// `account` or `group`.
    pub kind: String,
    /// The username, or the name of the group.
    pub name: String,
}

/// All that a change tells whoever makes it: the answer to a call that is rehearsed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// `None`: there are none.
    pub foreign_credentials: Option<ForeignCredentials>,
    /// `None`: there are none.
    pub losing_access: Option<LosingAccess>,
    /// `None`: there are none.
    pub shared_values: Option<SharedValues>,
    /// The names of accounts that lose their passwords.
    pub dropped_passwords: Vec<String>,
}

impl Told {
    /// Of what a command has done so far.
    pub(super) fn of(transaction: &Transaction<'_>) -> Self {
        Self {
            foreign_credentials: foreign_credentials(transaction),
            losing_access: losing_access(transaction),
            shared_values: shared_values(transaction),
            dropped_passwords: transaction.dropped_passwords(),
        }
    }
}

/// What a command has given to accounts of which others hold credentials, as far as the caller may know; `None`: nothing.
/// What is hidden is not counted either: a count would tell of it.
pub(super) fn foreign_credentials(transaction: &Transaction<'_>) -> Option<ForeignCredentials> {
    let found = transaction.foreign_credentials();
    if found.is_empty() {
        return None;
    }
    let viewer = transaction.viewer();
    let known = found.into_iter().filter(|credential| credential.objects().all(|on| viewer.names(on)));
    let mut known = known.map(|credential| {
        let makers = credential.makers.iter().zip(credential.made_by);
        let makers = makers.filter(|(number, _)| viewer.names(ObjectReference::Account(**number)));
        ForeignCredential {
            account: credential.account,
            identifier: credential.identifier,
            made_by: makers.map(|(_, name)| name).collect(),
        }
    });
    let credentials: Vec<ForeignCredential> = known.by_ref().take(TOLD_MAX).collect();
    let more = known.count();
    (!credentials.is_empty()).then_some(ForeignCredentials { credentials, more })
}

/// Whom a command has shut out of applications, as far as the caller may know; `None`: nobody.
pub(super) fn losing_access(transaction: &Transaction<'_>) -> Option<LosingAccess> {
    let viewer = transaction.viewer();
    let lost = transaction.lost_access(|on| viewer.names(on));
    let accounts = lost.accounts.into_iter().map(|lost| LosingAccount {
        pk: lost.number.get(),
        username: lost.account,
        application: lost.application,
        last_used: lost.last_used.map(Time),
    });
    let accounts: Vec<LosingAccount> = accounts.collect();
    (!accounts.is_empty()).then_some(LosingAccess { accounts, more: lost.more })
}

/// What a command has made known by what something else is known by, as far as the caller may know; `None`: nothing.
pub(super) fn shared_values(transaction: &Transaction<'_>) -> Option<SharedValues> {
    let viewer = transaction.viewer();
    SharedValues::some(transaction.shared_values(|on| viewer.names(on)))
}

impl SharedValues {
    /// As it is answered; `None`: there are none.
    pub(super) fn some(found: registry::SharedValues) -> Option<Self> {
        let object = |(on, name): (ObjectReference, String)| KnownObject { kind: on.kind().to_owned(), name };
        let values = found
            .values
            .into_iter()
            .map(|shared| SharedValue { between: shared.between.map(object), value: shared.value });
        let values: Vec<SharedValue> = values.collect();
        (!values.is_empty()).then_some(Self { values, more: found.more })
    }
}

/// So many stand in one answer.
/// No limit of the config: all are counted, and nobody reads more.
const TOLD_MAX: usize = 100;
