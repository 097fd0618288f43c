//! Applications: what an integration is for, and who may use it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{AccountNumber, ApplicationNumber, GroupNumber, ProviderNumber};

/// How the bindings of an application are put together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum BindingMode {
    /// One passing binding admits.
    #[default]
    #[serde(rename = "any")]
    Any,
    /// Each enabled binding must pass.
    #[serde(rename = "all")]
    All,
}

/// Whom a binding names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BindingSubject {
    /// One account.
    Account(AccountNumber),
    /// The members of a group, direct or nested.
    Group(GroupNumber),
}

/// One rule of an application: who may use it, or, negated, who may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// Whom it names.
    pub subject: BindingSubject,
    /// Its place in lists; decides nothing.
    pub order: i32,
    /// Whether it passes for everybody else instead.
    pub negate: bool,
    /// Whether it takes part at all.
    pub enabled: bool,
}

/// What an integration is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Application {
    /// Its number.
    pub number: ApplicationNumber,
    /// Its `pk` in the API.
    pub uuid: Uuid,
    /// Its name in addresses, unique.
    pub slug: String,
    /// Its name for people.
    pub name: String,
    /// The directory that it uses; a provider has at most one application.
    pub provider: Option<ProviderNumber>,
    /// How the bindings are put together.
    pub mode: BindingMode,
    /// Who may use it; none: every active account.
    pub bindings: Vec<Binding>,
}
