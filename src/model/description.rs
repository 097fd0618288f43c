//! What is said of an object when it is made or changed: one form for the config, the API, the commands and the import. Of
//! each kind the one writer (`registry/commands/`) asks whether it can be. The seed says beside it what it names.

use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize};

use super::{
    AccountKind, AccountNumber, ApplicationText, AsGivenChanges, Attribute, AttributeForm, Binding,
    BindingMode, Container, Expiry, Grant, GroupNumber, Intent, Password, ProviderNumber, RoleNumber,
};

/// What is said of a provider when it is made or changed; what is `None` is left as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderChanges {
    /// Its name.
    pub name: Option<String>,
    /// The suffix.
    pub base_dn: Option<String>,
    /// Whether bare names bind here.
    pub is_default: Option<bool>,
    /// The domain of `user@domain` names that bind here: `Some(None)` that of the base DN, empty for none.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "said")]
    pub domain: Option<Option<String>>,
    /// uidNumber of an account = this + its number.
    pub uid_start_number: Option<u32>,
    /// gidNumber of a group = this + its number.
    pub gid_start_number: Option<u32>,
    /// Whether accounts without a given gidNumber get a primary group of their own.
    pub virtual_groups: Option<bool>,
    /// Whether entries carry the authentik- and AD-shaped attributes and classes.
    pub compatibility_attributes: Option<bool>,
    /// Where people stand.
    pub users: Option<Vec<Container>>,
    /// Where service accounts stand.
    pub service_accounts: Option<Vec<Container>>,
    /// Where groups stand.
    pub groups: Option<Vec<Container>>,
    /// What is kept to be read back.
    pub as_given: AsGivenChanges,
}

/// What is said of a role when it is made or changed; what is `None` is left as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleChanges {
    /// Its name.
    pub name: Option<String>,
    /// Entries that a search of who holds it may return: `Some(None)` as many as the server says, 0 any number.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "said")]
    pub search_size_max: Option<Option<u32>>,
    /// How long such a search may take: `Some(None)` as long as the server says.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "said")]
    pub search_time_max: Option<Option<Duration>>,
    /// All that it allows.
    pub grants: Option<Vec<Grant>>,
}

/// What is said of a group when it is made or changed; what is `None` is left as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupChanges {
    /// Its name.
    pub name: Option<String>,
    /// Whether its members may do everything.
    pub is_superuser: Option<bool>,
    /// All groups that it is in directly.
    pub parents: Option<Vec<GroupNumber>>,
    /// All accounts that are directly in it.
    pub members: Option<Vec<AccountNumber>>,
    /// All roles of its members.
    pub roles: Option<Vec<RoleNumber>>,
    /// All permissions of its members.
    pub grants: Option<Vec<Grant>>,
    /// All its free attributes.
    pub attributes: Option<Vec<Attribute>>,
    /// How those are given.
    pub attribute_forms: Vec<AttributeForm>,
}

/// What is said of an account when it is made or changed; what is `None` is left as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountChanges {
    /// Its name.
    pub username: Option<String>,
    /// What it is for.
    pub kind: Option<AccountKind>,
    /// The full name.
    pub name: Option<String>,
    /// The mail address; empty: none.
    pub email: Option<String>,
    /// Whether it may bind and call the API.
    pub is_active: Option<bool>,
    /// All its free attributes.
    pub attributes: Option<Vec<Attribute>>,
    /// How those are given.
    pub attribute_forms: Vec<AttributeForm>,
    /// All groups that it is in directly.
    pub groups: Option<Vec<GroupNumber>>,
    /// All roles that it holds directly.
    pub roles: Option<Vec<RoleNumber>>,
    /// All permissions granted to it directly.
    pub grants: Option<Vec<Grant>>,
    /// The password of a person.
    pub password: Option<Password>,
    /// Where authentik's clients file it.
    pub path: Option<String>,
    /// Whether it may lose the password that it has, as it becomes a service account.
    pub drops_password: bool,
}

/// What is said of a token when it is changed; what is `None` is left as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenChanges {
    /// Its name, unique among all tokens.
    pub identifier: Option<String>,
    /// The username of its owner: who may make a token for an account may give it one.
    pub account: Option<String>,
    /// What it is for; it cannot become another.
    pub intent: Option<Intent>,
    /// Whether it expires. Of one that did not so far, and for which no time is given, after the usual lifetime.
    pub expiring: Option<bool>,
    /// When it expires; a duration counts from now.
    pub expires: Option<Expiry>,
    /// What it is used for.
    pub description: Option<String>,
    /// Where it may be used from; empty: anywhere.
    pub networks: Option<Vec<IpNet>>,
}

/// What is said of an application when it is made or changed; what is `None` is left as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplicationChanges {
    /// Its name in addresses.
    pub slug: Option<String>,
    /// Its name for people.
    pub name: Option<String>,
    /// The directory that it uses; `Some(None)`: none.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "said")]
    pub provider: Option<Option<ProviderNumber>>,
    /// How its bindings are put together.
    pub mode: Option<BindingMode>,
    /// Those of its texts that are said.
    pub texts: Vec<(ApplicationText, String)>,
    /// Whether a browser opens it in a tab of its own.
    pub open_in_new_tab: Option<bool>,
    /// Whether lists of applications leave it out.
    pub hide: Option<bool>,
    /// All its bindings. Over the API they are changed one by one, see `binding.rs`.
    pub bindings: Option<Vec<Binding>>,
}

/// A field that is there is said, be it to be nothing.
fn said<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
