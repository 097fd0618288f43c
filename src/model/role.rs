//! Roles and grants.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    AccountNumber, ApplicationNumber, GroupNumber, Origin, Permission, ProviderNumber, RoleNumber,
    TokenNumber,
};

/// The one object that a permission is granted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ObjectReference {
    /// An LDAP provider.
    Provider(ProviderNumber),
    Account(AccountNumber),
    Group(GroupNumber),
    Role(RoleNumber),
    Token(TokenNumber),
    Application(ApplicationNumber),
}

impl ObjectReference {
    /// What it is, in words.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Provider(_) => "provider",
            Self::Account(_) => "account",
            Self::Group(_) => "group",
            Self::Role(_) => "role",
            Self::Token(_) => "token",
            Self::Application(_) => "application",
        }
    }

    pub const fn number(self) -> u32 {
        match self {
            Self::Provider(number) => number.get(),
            Self::Account(number) => number.get(),
            Self::Group(number) => number.get(),
            Self::Role(number) => number.get(),
            Self::Token(number) => number.get(),
            Self::Application(number) => number.get(),
        }
    }

    /// What lets somebody know that it exists.
    pub const fn view_permission(self) -> Permission {
        match self {
            Self::Provider(_) => Permission::ViewProvider,
            Self::Account(_) => Permission::ViewUser,
            Self::Group(_) => Permission::ViewGroup,
            Self::Role(_) => Permission::ViewRole,
            Self::Token(_) => Permission::ViewToken,
            Self::Application(_) => Permission::ViewApplication,
        }
    }

    /// Every permission that can be granted on it.
    pub fn permissions(self) -> impl Iterator<Item = Permission> {
        let model = self.view_permission().model();
        Permission::ALL.iter().copied().filter(move |permission| permission.model() == model)
    }
}

/// A permission, globally or on one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grant {
    /// What is allowed.
    pub permission: Permission,
    /// On which object; `None`: on all.
    pub on: Option<ObjectReference>,
}

impl fmt::Display for Grant {
    /// `authentik_core.view_user on account 7`
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.permission.fmt(formatter)?;
        match self.on {
            Some(on) => write!(formatter, " on {} {}", on.kind(), on.number()),
            None => Ok(()),
        }
    }
}

/// A named set of permissions, with limits of its own. Accounts hold it directly or through their groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
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
    /// Who made it.
    pub origin: Origin,
}

impl Role {
    /// One that allows nothing and has no limits of its own.
    pub fn new(number: RoleNumber, name: String, origin: Origin) -> Self {
        Self {
            number,
            uuid: Uuid::new_v4(),
            name,
            grants: Vec::new(),
            search_size_max: None,
            search_time_max: None,
            origin,
        }
    }
}
