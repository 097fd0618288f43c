//! Accounts: people and machines.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{AccountNumber, Grant, HashText, MadeBy, Origin, ProviderNumber, RoleNumber, Timestamp, pieces};

/// What an account is for; authentik's user types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AccountKind {
    /// A person of the organisation.
    #[serde(rename = "internal")]
    Internal,
    /// A person from outside.
    #[serde(rename = "external")]
    External,
    /// A machine: it authenticates with tokens only, its password is unusable.
    #[serde(rename = "service_account")]
    ServiceAccount,
    /// A machine of bindery's own; nobody can create, convert, edit or delete one.
    #[serde(rename = "internal_service_account")]
    InternalServiceAccount,
}

impl AccountKind {
    /// All kinds, in the order of the documentation.
    pub const ALL: [AccountKind; 4] =
        [Self::Internal, Self::External, Self::ServiceAccount, Self::InternalServiceAccount];

    /// The name in config, commands and API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::External => "external",
            Self::ServiceAccount => "service_account",
            Self::InternalServiceAccount => "internal_service_account",
        }
    }

    /// Whether it is a person, who may hold a password.
    pub const fn is_person(self) -> bool {
        matches!(self, Self::Internal | Self::External)
    }
}

impl fmt::Display for AccountKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for AccountKind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(())
    }
}

/// A free attribute: its description (`cn;lang-de` included) and its values, as octets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// The attribute description as it was given.
    #[serde(deserialize_with = "pieces::text")]
    pub description: String,
    /// The values in their order; never empty.
    #[serde(with = "pieces::values")]
    pub values: Vec<Vec<u8>>,
}

/// How a free attribute stands in JSON, where that is no list of texts; so it is read back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributeForm {
    /// The attribute description as it was given.
    pub description: String,
    /// Whether its one value stands without a list.
    pub is_one: bool,
    /// What its values are; none: texts.
    pub kinds: Vec<ValueKind>,
}

/// What a value of a free attribute is in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ValueKind {
    Text,
    Number,
    Truth,
    /// Octets, be they text or not.
    Base64,
}

/// Where an object stands in one provider's tree, when it is not the usual place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// The provider whose tree this is about.
    pub provider: ProviderNumber,
    /// The container, relative to the base DN, as the provider writes it.
    #[serde(deserialize_with = "pieces::text")]
    pub container: String,
    /// The relative DN as written, such as `uid=alice` or `cn=Alice+sn=Adams`.
    #[serde(deserialize_with = "pieces::text")]
    pub rdn: String,
}

/// A person's password: argon2id, or an imported scheme until its first success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Password {
    /// What is kept of it.
    pub hash: HashText,
    /// Higher with each password of this account, also behind one that has ended: a proof of an older one is worth nothing.
    pub generation: u32,
    /// BLAKE3 of the `password_hash` that the seed gave, to know it again when the first success has put another
    /// hash in its place; `None`: it did not come so.
    pub seeded: Option<[u8; 32]>,
    /// When it was set; putting another hash of the same password in the place of one does not count.
    pub changed: Timestamp,
    /// Who set it.
    pub made_by: MadeBy,
}

/// Anybody who can be named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its number, its `pk` in the API.
    pub number: AccountNumber,
    /// Its `entryUUID`.
    pub uuid: Uuid,
    /// Its name, unique by RFC 4518 caseIgnore form.
    #[serde(deserialize_with = "pieces::text")]
    pub username: String,
    /// What it is for.
    pub kind: AccountKind,
    /// The full name.
    #[serde(deserialize_with = "pieces::text")]
    pub name: String,
    /// The mail address; empty when there is none.
    #[serde(deserialize_with = "pieces::text")]
    pub email: String,
    /// Whether it may bind and call the API.
    pub is_active: bool,
    /// Free attributes, each description once.
    pub attributes: Vec<Attribute>,
    /// How some of them were given.
    pub attribute_forms: Vec<AttributeForm>,
    /// Where authentik's clients file it, as it was given; empty: where those of its kind are.
    pub path: String,
    /// The objectClass values it was imported with; empty for the usual ones.
    pub object_classes: Vec<String>,
    /// The password, of a person.
    pub password: Option<Password>,
    /// Its places that are not the usual ones, at most one for each provider.
    pub placements: Vec<Placement>,
    /// Roles that it holds directly.
    pub roles: Vec<RoleNumber>,
    /// Permissions granted to it directly.
    pub grants: Vec<Grant>,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed, memberships not counted.
    pub modified: Timestamp,
    /// Who made it.
    pub origin: Origin,
}

impl Account {
    /// One of which nothing is said but its name and what it is for.
    pub fn new(
        number: AccountNumber,
        username: String,
        kind: AccountKind,
        origin: Origin,
        now: Timestamp,
    ) -> Self {
        Self {
            number,
            uuid: Uuid::new_v4(),
            username,
            kind,
            name: String::new(),
            email: String::new(),
            is_active: true,
            attributes: Vec::new(),
            attribute_forms: Vec::new(),
            path: String::new(),
            object_classes: Vec::new(),
            password: None,
            placements: Vec::new(),
            roles: Vec::new(),
            grants: Vec::new(),
            created: now,
            modified: now,
            origin,
        }
    }
}
