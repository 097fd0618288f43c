//! Tokens: the credentials of accounts.

use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{AccountNumber, Timestamp, TokenNumber};

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Intent {
    /// The password of an LDAP bind.
    #[serde(rename = "app_password")]
    AppPassword,
    /// `Authorization: Bearer …` on the HTTP API.
    #[serde(rename = "api")]
    Api,
}

impl Intent {
    /// Every intent.
    pub const ALL: [Self; 2] = [Self::AppPassword, Self::Api];

    /// The name in config, commands and API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AppPassword => "app_password",
            Self::Api => "api",
        }
    }

    /// The characters that every generated secret for it begins with, so that scanners find a leaked one.
    pub const fn secret_prefix(self) -> &'static str {
        match self {
            Self::AppPassword => "bindery_app_",
            Self::Api => "bindery_api_",
        }
    }
}

impl fmt::Display for Intent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Intent {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|intent| intent.as_str() == text).ok_or(())
    }
}

/// What is kept of a secret: a PHC string or an imported scheme. Does not print.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HashText(String);

impl HashText {
    /// Takes the text over.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, for the one who verifies.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for HashText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("HashText(…)")
    }
}

/// A credential of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Its number: tells it from an earlier token of the same identifier.
    pub number: TokenNumber,
    /// Its `pk` in the API.
    pub uuid: Uuid,
    /// Its name, unique among all tokens.
    pub identifier: String,
    /// Its owner.
    pub account: AccountNumber,
    /// What it is for.
    pub intent: Intent,
    /// The part of the secret that finds this record; `None`: the account's selector-less credential.
    pub selector: Option<String>,
    /// What is kept of the secret.
    pub hash: HashText,
    /// Counts the secrets that this token has had; a proof of an older one is worth nothing.
    pub generation: u32,
    /// From this second on it is refused; `None`: it does not expire.
    pub expires: Option<Timestamp>,
    /// What it is used for, in the operator's words.
    pub description: String,
    /// Where it may be used from; empty: anywhere.
    pub networks: Vec<IpNet>,
    /// When it was made.
    pub created: Timestamp,
}

impl Token {
    /// Whether it is expired at `now`.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}
