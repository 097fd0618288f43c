//! Events: one line each of the audit trail.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Timestamp;

/// What happened, as authentik names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Action {
    /// Somebody proved who they are.
    #[serde(rename = "login")]
    Login,
    /// Somebody failed to.
    #[serde(rename = "login_failed")]
    LoginFailed,
    /// An object was made.
    #[serde(rename = "model_created")]
    ModelCreated,
    /// An object was changed.
    #[serde(rename = "model_updated")]
    ModelUpdated,
    /// An object was deleted.
    #[serde(rename = "model_deleted")]
    ModelDeleted,
    /// A secret was exchanged for another.
    #[serde(rename = "secret_rotate")]
    SecretRotate,
    /// An account was refused an application.
    #[serde(rename = "authorization_denied")]
    AuthorizationDenied,
    /// Somebody looked at a secret.
    #[serde(rename = "secret_view")]
    SecretView,
    /// Something needs the operator soon: a token expires.
    #[serde(rename = "configuration_warning")]
    ConfigurationWarning,
}

impl Action {
    /// The name in the log and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::LoginFailed => "login_failed",
            Self::ModelCreated => "model_created",
            Self::ModelUpdated => "model_updated",
            Self::ModelDeleted => "model_deleted",
            Self::SecretRotate => "secret_rotate",
            Self::AuthorizationDenied => "authorization_denied",
            Self::SecretView => "secret_view",
            Self::ConfigurationWarning => "configuration_warning",
        }
    }
}

/// Who did it, with which credential, from where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The account's name, or what stands for it (`config`, `command line`, `import`).
    pub account: String,
    /// The identifier of the token that was used.
    pub token: Option<String>,
    /// The address that it came from.
    pub source: Option<IpAddr>,
}

/// One field of an object, before and after. Secrets never stand here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// The field's name.
    pub field: String,
    /// Its value before, as text; `None`: there was none.
    pub before: Option<String>,
    /// Its value after, as text; `None`: there is none.
    pub after: Option<String>,
}

/// One line of the audit trail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its place in the trail; increases by one.
    pub sequence: u64,
    /// Its `pk` in the API.
    pub uuid: Uuid,
    /// When it happened.
    pub time: Timestamp,
    /// What happened.
    pub action: Action,
    /// Who did it.
    pub actor: Actor,
    /// The kind of the object that it is about (`account`, `token`, …).
    pub object_kind: String,
    /// The name of the object that it is about.
    pub object_name: String,
    /// What became different.
    pub changes: Vec<FieldChange>,
}
