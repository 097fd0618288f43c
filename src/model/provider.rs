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
            created: now,
            modified: now,
            origin,
        }
    }
}

/// As in authentik.
const UID_START_NUMBER: u32 = 2_000;
/// As in authentik.
const GID_START_NUMBER: u32 = 4_000;
