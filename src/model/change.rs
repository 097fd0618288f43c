//! Changes: what a commit does to the records.

use serde::{Deserialize, Serialize};

use super::{
    Account, AccountNumber, Application, ApplicationNumber, AttributeNumber, CustomAttribute, Event,
    EventPlace, Group, GroupNumber, LdapProvider, Membership, ObjectReference, Origin, ProviderNumber, Role,
    RoleNumber, Timestamp, Token, TokenNumber, Usage, UsageOf,
};

/// The number of a commit; increases by one. 0: nothing was ever committed.
pub type Revision = u64;

/// What was deleted, by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TombstoneOf {
    /// An account, by the RFC 4518 caseIgnore form of its name.
    Account(String),
    /// A token, by its identifier.
    Token(String),
    /// A group, by the RFC 4518 caseIgnore form of its name.
    Group(String),
    /// A role, by the RFC 4518 caseIgnore form of its name.
    Role(String),
}

/// The trace of something that was deleted, or given another name, so that a seed does not bring it back, and nobody takes
/// its name to get what it stood for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// What it was.
    pub of: TombstoneOf,
    /// Who had made it; in one of an earlier version perhaps who had renamed it.
    pub origin: Origin,
    /// Whether it held, or gave, any right.
    pub held_rights: bool,
    /// When it was deleted; `None`: before that was kept.
    pub made: Option<Timestamp>,
}

/// What names a record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    Account(AccountNumber),
    Group(GroupNumber),
    Membership(GroupNumber, AccountNumber),
    Role(RoleNumber),
    Token(TokenNumber),
    Application(ApplicationNumber),
    /// An LDAP provider.
    Provider(ProviderNumber),
    /// A custom attribute type.
    CustomAttribute(AttributeNumber),
    /// The trace of something deleted.
    Tombstone(TombstoneOf),
    /// The last use of a credential.
    Usage(UsageOf),
    /// A line of the audit trail.
    Event(EventPlace),
}

impl Key {
    /// The object that it is the record of, if it is one that others refer to.
    pub const fn object(&self) -> Option<ObjectReference> {
        Some(match self {
            Self::Account(number) => ObjectReference::Account(*number),
            Self::Group(number) => ObjectReference::Group(*number),
            Self::Role(number) => ObjectReference::Role(*number),
            Self::Token(number) => ObjectReference::Token(*number),
            Self::Application(number) => ObjectReference::Application(*number),
            Self::Provider(number) => ObjectReference::Provider(*number),
            Self::Membership(..)
            | Self::CustomAttribute(_)
            | Self::Tombstone(_)
            | Self::Usage(_)
            | Self::Event(_) => return None,
        })
    }
}

impl From<ObjectReference> for Key {
    fn from(on: ObjectReference) -> Self {
        match on {
            ObjectReference::Account(number) => Self::Account(number),
            ObjectReference::Group(number) => Self::Group(number),
            ObjectReference::Role(number) => Self::Role(number),
            ObjectReference::Token(number) => Self::Token(number),
            ObjectReference::Application(number) => Self::Application(number),
            ObjectReference::Provider(number) => Self::Provider(number),
        }
    }
}

/// One object as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    Account(Account),
    Group(Group),
    /// One account in one group.
    Membership(Membership),
    Role(Role),
    Token(Token),
    Application(Application),
    Provider(LdapProvider),
    /// A custom attribute type.
    CustomAttribute(CustomAttribute),
    /// The trace of something deleted.
    Tombstone(Tombstone),
    /// The last use of a credential.
    Usage(Usage),
    /// A line of the audit trail.
    Event(Event),
}

impl Record {
    /// What names it.
    pub fn key(&self) -> Key {
        match self {
            Self::Account(account) => Key::Account(account.number),
            Self::Group(group) => Key::Group(group.number),
            Self::Membership(membership) => Key::Membership(membership.group, membership.account),
            Self::Role(role) => Key::Role(role.number),
            Self::Token(token) => Key::Token(token.number),
            Self::Application(application) => Key::Application(application.number),
            Self::Provider(provider) => Key::Provider(provider.number),
            Self::CustomAttribute(attribute) => Key::CustomAttribute(attribute.number),
            Self::Tombstone(tombstone) => Key::Tombstone(tombstone.of.clone()),
            Self::Usage(usage) => Key::Usage(usage.of),
            Self::Event(event) => Key::Event(event.place()),
        }
    }
}

/// One step of a commit.
#[allow(
    clippy::large_enum_variant,
    reason = "nearly all changes put a record; a box for each would be paid for by all"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The record is there from now on, in place of one with the same key.
    Put(Record),
    /// The record is gone.
    Delete(Key),
}
