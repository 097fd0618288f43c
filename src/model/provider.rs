//! LDAP providers: the directories that are served.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Origin, ProviderNumber, Timestamp};

/// A branch of the tree that holds entries of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Its DN relative to the base DN, such as `ou=users`.
    pub container: String,
    /// The attribute that names the entries in it, such as `cn`.
    pub naming: String,
}

/// How an outpost of authentik gets at its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessMode {
    /// It asks each time.
    Direct,
    /// It keeps them.
    #[default]
    Cached,
}

impl AccessMode {
    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Cached => "cached",
        }
    }
}

/// What authentik's clients say of a provider and nothing here goes by: kept, so that they read what they have said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AsGiven {
    /// The base DN where it is written otherwise than it is kept; empty where it is not.
    pub base_dn: String,
    /// bindery has no flows.
    pub authentication_flow: Option<Uuid>,
    pub authorization_flow: Uuid,
    pub invalidation_flow: Uuid,
    /// Whether the certificate of the server is said to be that of the provider; it is, as there is one for all.
    pub names_certificate: bool,
    /// bindery is as fast as `cached`, and as fresh as `direct`.
    pub search_mode: AccessMode,
    pub bind_mode: AccessMode,
    /// bindery looks for no codes behind passwords.
    pub mfa_support: bool,
}

/// What is said of that; what is `None` is left as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AsGivenChanges {
    /// `Some(None)`: none.
    pub authentication_flow: Option<Option<Uuid>>,
    pub authorization_flow: Option<Uuid>,
    pub invalidation_flow: Option<Uuid>,
    pub names_certificate: Option<bool>,
    pub search_mode: Option<AccessMode>,
    pub bind_mode: Option<AccessMode>,
    pub mfa_support: Option<bool>,
}

impl Default for AsGiven {
    fn default() -> Self {
        Self {
            base_dn: String::new(),
            authentication_flow: Some(FLOW),
            authorization_flow: FLOW,
            invalidation_flow: FLOW,
            names_certificate: true,
            search_mode: AccessMode::default(),
            bind_mode: AccessMode::default(),
            mfa_support: false,
        }
    }
}

/// One directory that is served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LdapProvider {
    /// Its number, its `pk` in the API.
    pub number: ProviderNumber,
    /// The `entryUUID` of the suffix; those of the containers derive from it.
    pub uuid: Uuid,
    /// Its name, unique.
    pub name: String,
    /// The suffix, as it is to be written.
    pub base_dn: String,
    /// Whether bare names bind here.
    pub is_default: bool,
    /// The domain of `user@domain` names that bind here: `None` for that of the base DN, empty for none.
    pub domain: Option<String>,
    /// uidNumber of an account = this + its number.
    pub uid_start_number: u32,
    /// gidNumber of a group (and of an account's virtual group) = this + its number.
    pub gid_start_number: u32,
    /// Whether accounts without a given gidNumber get a primary group of their own.
    pub virtual_groups: bool,
    /// Whether entries carry the authentik- and AD-shaped attributes and classes.
    pub compatibility_attributes: bool,
    /// Where people stand; the first is where new ones appear.
    pub users: Vec<Container>,
    /// Where service accounts stand; may be the same as `users`.
    pub service_accounts: Vec<Container>,
    /// Where groups stand.
    pub groups: Vec<Container>,
    /// What is kept to be read back.
    pub as_given: AsGiven,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub modified: Timestamp,
    /// Who made it.
    pub origin: Origin,
}

impl Container {
    /// One whose entries are named by `cn`.
    pub fn of_dn(relative: &str) -> Self {
        Self { container: relative.to_owned(), naming: "cn".to_owned() }
    }
}

impl fmt::Display for Container {
    /// `ou=users by cn`
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} by {}", self.container, self.naming)
    }
}

impl LdapProvider {
    /// A directory of which nothing is said but its name: it has no base DN yet.
    pub fn of_name(number: ProviderNumber, name: String, origin: Origin, now: Timestamp) -> Self {
        Self {
            number,
            uuid: Uuid::new_v4(),
            name,
            base_dn: String::new(),
            is_default: false,
            domain: None,
            uid_start_number: UID_START_NUMBER,
            gid_start_number: GID_START_NUMBER,
            virtual_groups: false,
            compatibility_attributes: true,
            users: vec![Container::of_dn("ou=users")],
            service_accounts: vec![Container::of_dn("ou=users")],
            groups: vec![Container::of_dn("ou=groups")],
            as_given: AsGiven::default(),
            created: now,
            modified: now,
            origin,
        }
    }
}

/// Every flow of which nothing was said. It never changes, so that what a client keeps of it stays true.
const FLOW: Uuid = Uuid::from_u128(0x6269_6e64_6572_4900_8000_0000_0000_0001);
/// As in authentik.
const UID_START_NUMBER: u32 = 2_000;
/// As in authentik.
const GID_START_NUMBER: u32 = 4_000;
