//! Tokens: the credentials of accounts.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{AccountNumber, BadTime, DateMeans, MadeBy, Origin, TIME_WORDS, Timestamp, TokenNumber};

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

/// A secret that can be shown again: encrypted under a key that is not in the store. Does not print.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SealedSecret(Vec<u8>);

impl SealedSecret {
    /// Takes nonce and ciphertext over, as the one who seals has put them together.
    pub fn new(octets: Vec<u8>) -> Self {
        Self(octets)
    }

    /// The same, for the one who opens it.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SealedSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SealedSecret(…)")
    }
}

/// What leads from a secret to the record of its token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenSelector {
    /// Nothing: it is the one credential of its account that only the account's name leads to. App passwords only.
    None,
    /// The selector that stands in a secret which bindery generated.
    Generated(String),
    /// A keyed digest of the whole secret, which somebody chose. API tokens only.
    Chosen([u8; 32]),
}

impl fmt::Debug for TokenSelector {
    /// A digest is not shown: with its key a guess could be held against it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => formatter.write_str("None"),
            Self::Generated(selector) => write!(formatter, "Generated({selector})"),
            Self::Chosen(_) => formatter.write_str("Chosen(…)"),
        }
    }
}

/// Characters of a secret that somebody chooses for an API token, at least: nothing but its length makes it hard to
/// guess.
pub const CHOSEN_SECRET_LENGTH_MIN: usize = 32;
/// The same for an app password, whose failures are counted by the account that it is tried for.
pub const CHOSEN_PASSWORD_LENGTH_MIN: usize = 16;
/// And at most.
/// No limit of the config: a rule about what one object may hold, far above what any does.
pub const CHOSEN_SECRET_LENGTH_MAX: usize = 1_024;

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
    /// What leads from the secret to this record.
    pub selector: TokenSelector,
    /// What is kept of the secret.
    pub hash: HashText,
    /// The secret itself, encrypted, of a token that is retrievable; `None`: it is not, and nobody can see it again.
    pub sealed: Option<SealedSecret>,
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
    /// When its present lifetime began: when it was made, was rotated by its expiry, or was given another time to expire.
    /// A secret that takes the place of the present one lives as long as from here to `expires`.
    pub renewed: Timestamp,
    /// The time to expire that the operator was warned of; another one is warned of anew.
    pub warned: Option<Timestamp>,
    /// Whether another token has taken its place: it works on until it expires, and is deleted then.
    pub is_replaced: bool,
    /// The first of the tokens that took each other's place, one after the other, up to this one; `None`: it took
    /// nobody's, or in a version that did not keep it.
    pub began_as: Option<TokenNumber>,
    /// Who made it.
    pub origin: Origin,
    /// Who made its present secret.
    pub made_by: MadeBy,
    /// Whether it is the one that was made along with its service account.
    pub is_first: bool,
    /// How long the config last said that it lives; `None`: the config has not said a duration.
    pub lifetime_said: Option<Duration>,
}

impl Token {
    /// Whether it is expired at `now`.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// How long its present secret lives from beginning to end; `None`: it does not expire.
    pub fn lifetime(&self) -> Option<Duration> {
        let expires = self.expires?;
        let seconds = expires.unix_seconds().saturating_sub(self.renewed.unix_seconds());
        Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
    }

    /// The first of the tokens that took each other's place up to this one: all of them are one credential.
    pub fn first(&self) -> TokenNumber {
        self.began_as.unwrap_or(self.number)
    }

    /// Whether it was replaced, and this one took its place or that of one which had: both are one credential to whoever
    /// revokes it.
    pub fn replaces(&self, earlier: &Self) -> bool {
        earlier.is_replaced && !self.is_replaced && self.began_as == Some(earlier.first())
    }

    /// Whether it is given a new secret when it expires, and does not end.
    pub fn is_rotated_at_its_end(&self) -> bool {
        self.intent == Intent::Api && self.is_retrievable()
    }

    /// Whether its secret can be seen again.
    pub fn is_retrievable(&self) -> bool {
        self.sealed.is_some()
    }

    /// Whether only the name of its account leads to it.
    pub fn is_selectorless(&self) -> bool {
        self.selector == TokenSelector::None && self.intent == Intent::AppPassword
    }
}

/// When a token expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expiry {
    /// So long after it is made; at least a second.
    In(Duration),
    /// At this time.
    At(Timestamp),
}

/// A token lives at most so long; one that shall live longer does not expire.
/// No limit of the config: a time that the calendar of the store can hold.
pub const LIFETIME_SECONDS_MAX: u64 = 100 * 366 * 24 * 60 * 60;

/// A text does not say when something expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadExpiry {
    /// It is no duration and no time.
    #[error("expected a duration such as \"90d\", or {}", TIME_WORDS)]
    Form,
    /// After less than a second.
    #[error("what expires at once is of no use")]
    AtOnce,
    /// After more than a life of a token.
    #[error("expected at most 100 years")]
    TooLong,
    /// At a time that is later than any.
    #[error(transparent)]
    Late(BadTime),
}

impl FromStr for Expiry {
    type Err = BadExpiry;

    /// Reads a duration in words, or a time; of a date, its end.
    fn from_str(text: &str) -> Result<Self, BadExpiry> {
        match Timestamp::read(text, DateMeans::End) {
            Ok(time) => return Ok(Self::At(time)),
            Err(late @ BadTime::Late) => return Err(BadExpiry::Late(late)),
            Err(BadTime::Form) => {}
        }
        let duration = humantime::parse_duration(text).map_err(|_| BadExpiry::Form)?;
        match duration.as_secs() {
            0 => Err(BadExpiry::AtOnce),
            1..=LIFETIME_SECONDS_MAX => Ok(Self::In(duration)),
            _ => Err(BadExpiry::TooLong),
        }
    }
}

impl Expiry {
    /// The time, for a token that is made at `now`.
    pub fn time(self, now: Timestamp) -> Timestamp {
        match self {
            Self::In(duration) => now.after(duration),
            Self::At(time) => time,
        }
    }
}
