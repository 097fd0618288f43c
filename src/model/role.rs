//! Roles and grants.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    AccountNumber, ApplicationNumber, GroupNumber, Permission, ProviderNumber, RoleNumber, TokenNumber,
};

/// The one object that a permission is granted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ObjectReference {
    /// An LDAP provider.
    Provider(ProviderNumber),
    /// An account.
    Account(AccountNumber),
    /// A group.
    Group(GroupNumber),
    /// A role.
    Role(RoleNumber),
    /// A token.
    Token(TokenNumber),
    /// An application.
    Application(ApplicationNumber),
}

/// A permission, globally or on one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grant {
    /// What is allowed.
    pub permission: Permission,
    /// On which object; `None`: on all.
    pub on: Option<ObjectReference>,
}

/// A named set of permissions, with limits of its own. Accounts hold it directly or through their groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Its number.
    pub number: RoleNumber,
    /// Its `pk` in the API.
    pub uuid: Uuid,
    /// Its name, unique by RFC 4518 caseIgnore form.
    pub name: String,
    /// What it allows.
    pub grants: Vec<Grant>,
    /// Entries that a search of who holds it may return, in place of the server's number; 0: no limit.
    pub search_size_max: Option<u32>,
    /// How long such a search may take, in place of the server's time.
    pub search_time_max: Option<Duration>,
}
