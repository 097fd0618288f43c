//! The seed: the objects that a config describes, as plain data.
//!
//! It is sent as JSON over the local socket when a server runs. A key that is `Some` is authoritative (a
//! list is set, not added to); one that is `None` is left alone.

use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::model::{
    AccountChanges, ApplicationChanges, AttributeSyntax, Expiry, GroupChanges, HashText, Permission,
    ProviderChanges, RoleChanges, TimeWindow, TokenChanges,
};
use crate::secret::Secret;

/// All objects of a config and its included files, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seed {
    /// `[[attribute]]`
    pub attributes: Vec<SeedAttribute>,
    /// `[[provider]]`
    pub providers: Vec<SeedProvider>,
    /// `[[role]]`
    pub roles: Vec<SeedRole>,
    /// `[[group]]`
    pub groups: Vec<SeedGroup>,
    /// `[[account]]`
    pub accounts: Vec<SeedAccount>,
    /// `[[token]]`
    pub tokens: Vec<SeedToken>,
    /// `[[application]]`
    pub applications: Vec<SeedApplication>,
}

/// A custom attribute type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeedAttribute {
    /// Its name, unique but for case, and not that of a built-in one.
    pub name: String,
    /// Its object identifier, dotted; empty: made from the name.
    pub oid: Option<String>,
    /// What its values may be; `None` on one that is new: [`AttributeSyntax::DirectoryString`].
    pub syntax: Option<AttributeSyntax>,
    /// Whether an entry has one value at most.
    pub single_valued: Option<bool>,
    /// What it is for.
    pub description: Option<String>,
}

/// A directory that is served.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeedProvider {
    /// Its name, unique.
    pub name: String,
    /// Everything else; a base DN is always said.
    pub said: ProviderChanges,
}

/// A named set of permissions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeedRole {
    /// Its name, unique.
    pub name: String,
    /// What it allows.
    pub permissions: Option<Vec<SeedGrant>>,
    /// Everything else.
    pub said: RoleChanges,
}

/// A permission, globally or on one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeedGrant {
    /// What is allowed.
    pub permission: Permission,
    /// On which object; `None`: on all.
    pub on: Option<SeedReference>,
}

/// An object by kind and name, written `provider:ldap`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeedReference {
    /// What it is.
    pub kind: ReferenceKind,
    /// Its name.
    pub name: String,
}

/// The kinds of objects that have a name in the config.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReferenceKind {
    /// By its name.
    Provider,
    /// By its username.
    Account,
    /// By its name.
    Group,
    /// By its name.
    Role,
    /// By its identifier.
    Token,
    /// By its slug.
    Application,
    /// A custom attribute type, by its name.
    Attribute,
}

/// A group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeedGroup {
    /// Its name, unique.
    pub name: String,
    /// Usernames of the accounts that are in it directly.
    pub members: Option<Vec<String>>,
    /// The groups that it is in.
    pub parents: Option<Vec<String>>,
    /// Roles of its members.
    pub roles: Option<Vec<String>>,
    /// Permissions of its members.
    pub permissions: Option<Vec<SeedGrant>>,
    /// Everything else.
    pub said: GroupChanges,
}

/// An account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeedAccount {
    /// Its name, unique.
    pub username: String,
    /// Roles that it holds directly.
    pub roles: Option<Vec<String>>,
    /// Permissions granted to it directly.
    pub permissions: Option<Vec<SeedGrant>>,
    /// The password, of a person.
    pub password: Option<SeedSecret>,
    /// A service account: whether a group of the same name is made for it, with the account in it.
    pub create_group: Option<bool>,
    /// A service account: whether its first app password expires.
    pub expiring: Option<bool>,
    /// A service account: when its first app password expires.
    pub expires: Option<Expiry>,
    /// Everything else. Of an account that is new, and of which no kind is said, it is [`AccountKind::Internal`].
    ///
    /// [`AccountKind::Internal`]: crate::model::AccountKind::Internal
    pub said: AccountChanges,
}

/// A secret of the operator's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeedSecret {
    /// The secret itself: not empty, UTF-8.
    Given(#[serde(with = "clear_secret")] Secret),
    /// What is kept of it.
    Hash(HashText),
}

/// A credential of an account; made once, by its identifier.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeedToken {
    /// Its name, unique among all tokens.
    pub identifier: String,
    /// The username of its owner.
    pub account: String,
    /// The secret; `None`: generated.
    pub secret: Option<SeedSecret>,
    /// Whether the secret is kept, encrypted, for whoever holds `view_token_key` on it; `None`: no.
    pub retrievable: Option<bool>,
    /// Everything else. Where nothing is said it is an app password, and expires unless its owner says otherwise.
    pub said: TokenChanges,
}

/// What an integration is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeedApplication {
    /// Its name in addresses, unique.
    pub slug: String,
    /// The directory that it uses.
    pub provider: Option<String>,
    /// Who may use it, from where and when; empty: every active account.
    pub bindings: Option<Vec<SeedBinding>>,
    /// Everything else.
    pub said: ApplicationChanges,
}

/// One rule of an application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeedBinding {
    /// For whom, from where or when it passes.
    pub subject: SeedSubject,
    /// Its place in lists; decides nothing.
    pub order: i32,
    /// Whether it passes for everybody else instead.
    pub negate: bool,
    /// Whether it takes part at all.
    pub enabled: bool,
}

/// For whom, from where or when a binding passes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeedSubject {
    /// One account, by its username.
    Account(String),
    /// The members of a group, direct or nested.
    Group(String),
    /// Clients in one of these networks; never empty.
    Networks(Vec<IpNet>),
    /// Whoever comes while it is open.
    Window(TimeWindow),
}

impl ReferenceKind {
    /// All of them, in the order in which they are read.
    pub(super) const ALL: [ReferenceKind; 7] = [
        Self::Attribute,
        Self::Provider,
        Self::Role,
        Self::Group,
        Self::Account,
        Self::Token,
        Self::Application,
    ];

    /// The kinds that a permission can be granted on.
    pub const GRANTABLE: [ReferenceKind; 6] =
        [Self::Provider, Self::Account, Self::Group, Self::Role, Self::Token, Self::Application];

    /// The word for it in the config, which is also the name of its table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Account => "account",
            Self::Group => "group",
            Self::Role => "role",
            Self::Token => "token",
            Self::Application => "application",
            Self::Attribute => "attribute",
        }
    }
}

impl fmt::Display for ReferenceKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A text that does not name an object as `kind:name`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected an object as \"kind:name\", such as \"provider:ldap\"; the kinds are provider, account, group, role, token and application"
)]
pub struct BadReference;

impl FromStr for SeedReference {
    type Err = BadReference;

    fn from_str(text: &str) -> Result<Self, BadReference> {
        let (kind, name) = text.split_once(':').ok_or(BadReference)?;
        let kind =
            ReferenceKind::GRANTABLE.into_iter().find(|known| known.as_str() == kind).ok_or(BadReference)?;
        if name.is_empty() {
            return Err(BadReference);
        }
        Ok(Self { kind, name: name.to_owned() })
    }
}

impl fmt::Display for SeedReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.kind, self.name)
    }
}

/// Writes a seeded secret as its text. Showing it is right here and nowhere else: the seed is serialised
/// only to go from `bindery apply` to the server that runs, over a Unix socket that only the server's own
/// user and root may open, and the server must have the secret to hash it.
mod clear_secret {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::secret::Secret;

    pub(super) fn serialize<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
        let text = std::str::from_utf8(secret.expose())
            .map_err(|_| serde::ser::Error::custom("a seeded secret must be UTF-8"))?;
        serializer.serialize_str(text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        String::deserialize(deserializer).map(Secret::from)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn references_read_back() {
        let reference: SeedReference = "provider:ldap".parse().unwrap();
        assert_eq!(reference, SeedReference { kind: ReferenceKind::Provider, name: "ldap".to_owned() });
        assert_eq!(reference.to_string(), "provider:ldap");
        assert!("ldap".parse::<SeedReference>().is_err());
        assert!("server:x".parse::<SeedReference>().is_err());
        assert!("role:".parse::<SeedReference>().is_err());
    }

    #[test]
    fn secrets_travel_but_do_not_print() {
        let secret = SeedSecret::Given(Secret::from("hunter2".to_owned()));
        assert!(!format!("{secret:?}").contains("hunter2"));
        let json = serde_json::to_string(&secret).unwrap();
        assert_eq!(serde_json::from_str::<SeedSecret>(&json).unwrap(), secret);
    }
}
