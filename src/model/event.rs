//! Events: one line each of the audit trail, and what is known of the trail as a whole.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use super::{AccountNumber, InternalAccount, Timestamp};

/// Declares the actions with their names, in one table.
macro_rules! actions {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal;)*) => {
        /// What happened, as authentik names it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Action {
            $($(#[doc = $doc])+ #[serde(rename = $name)] $variant,)*
        }

        impl Action {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name in the log and in the API.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

actions! {
    /// Somebody proved who they are.
    Login = "login";
    /// Somebody failed to, or proved it and was refused the application.
    LoginFailed = "login_failed";
    /// A secret was shown again.
    SecretView = "secret_view";
    /// A secret was exchanged for another.
    SecretRotate = "secret_rotate";
    /// An account got a password, or another.
    PasswordSet = "password_set";
    /// An object was made.
    ModelCreated = "model_created";
    /// An object was changed.
    ModelUpdated = "model_updated";
    /// An object was deleted.
    ModelDeleted = "model_deleted";
    /// A connection that had bound was refused an operation, or an account a call of the API.
    SuspiciousRequest = "suspicious_request";
    /// Something will stop working soon: a token is about to expire.
    ConfigurationWarning = "configuration_warning";
    /// Whatever a caller of the API wants to note.
    Custom = "custom_";
}

/// A text that names no action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an action such as login, login_failed, secret_rotate or model_updated")]
pub struct UnknownAction;

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Action {
    type Err = UnknownAction;

    fn from_str(text: &str) -> Result<Self, UnknownAction> {
        Self::ALL.iter().copied().find(|action| action.as_str() == text).ok_or(UnknownAction)
    }
}

/// Who did it, with which credential, from where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The account's name, or what somebody gave as one.
    pub account: String,
    /// The account's number; `None`: it is none of the directory's. An internal service account is known by it: a name that
    /// was typed may be anything.
    pub number: Option<AccountNumber>,
    /// The identifier of the token that was used.
    pub token: Option<String>,
    /// The address that it came from.
    pub source: Option<IpAddr>,
    /// The request that it was part of, where requests have an id.
    pub request: Option<Uuid>,
    /// The user of the operating system who did it, where it came through the local socket or from a command.
    pub user: Option<SystemUser>,
}

/// A user of the operating system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemUser {
    /// The number.
    pub uid: u32,
    /// The name, where the system knows one.
    pub name: Option<String>,
    /// Who has become this user by `sudo`, as that program says.
    pub sudo_user: Option<String>,
}

impl fmt::Display for SystemUser {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(formatter, "{name} ({})", self.uid)?,
            None => write!(formatter, "{}", self.uid)?,
        }
        match &self.sudo_user {
            Some(sudo_user) => write!(formatter, ", by sudo of {sudo_user}"),
            None => Ok(()),
        }
    }
}

impl Actor {
    /// A part of bindery, or what stands for its operator.
    pub fn internal(account: InternalAccount) -> Self {
        Self { number: Some(account.number()), ..Self::named(account.username()) }
    }

    /// Somebody of whom a name is known, and no account of the directory.
    pub fn named(account: &str) -> Self {
        Self {
            account: account.to_owned(),
            number: None,
            token: None,
            source: None,
            request: None,
            user: None,
        }
    }
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

/// Something else that is known of an event, such as the reason of a failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventDetail {
    /// What it is.
    pub name: String,
    /// Its value, as text.
    pub value: String,
}

/// The BLAKE3 digest of an event, and with it of all events before it.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventDigest([u8; 32]);

impl EventDigest {
    /// What stands before the first event that there ever was.
    pub const NONE: Self = Self([0; 32]);

    /// Takes the digest over.
    pub const fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    pub const fn as_octets(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A text that is no digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected the digest of an event: 64 hexadecimal digits")]
pub struct NoEventDigest;

impl fmt::Display for EventDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(formatter, "{octet:02x}"))
    }
}

impl fmt::Debug for EventDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for EventDigest {
    type Err = NoEventDigest;

    fn from_str(text: &str) -> Result<Self, NoEventDigest> {
        let mut digest = [0; 32];
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if !rest.is_empty() || pairs.len() != digest.len() {
            return Err(NoEventDigest);
        }
        let digit = |octet: u8| char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        for (place, [high, low]) in digest.iter_mut().zip(pairs) {
            *place = digit(*high).ok_or(NoEventDigest)? << 4 | digit(*low).ok_or(NoEventDigest)?;
        }
        Ok(Self(digest))
    }
}

impl Serialize for EventDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for EventDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
        } else {
            <[u8; 32]>::deserialize(deserializer).map(Self)
        }
    }
}

/// One line of the audit trail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its place in the trail; increases by one.
    pub sequence: u64,
    /// The digest of the event before it, so that a gap or an edit shows.
    pub previous: EventDigest,
    /// Its `pk` in the API.
    pub uuid: Uuid,
    /// When it happened; of an aggregate the last time.
    pub time: Timestamp,
    /// Of an aggregate: when it happened first.
    pub since: Option<Timestamp>,
    /// How often it happened: 1, or what an aggregate stands for.
    pub count: u64,
    /// What happened.
    pub action: Action,
    /// Who did it.
    pub actor: Actor,
    /// The slug of the application through which.
    pub application: Option<String>,
    /// The kind of the object that it is about (`account`, `token`, …).
    pub object_kind: String,
    /// The name of the object that it is about.
    pub object_name: String,
    /// The number of that object.
    pub object_key: Option<u32>,
    pub object_uuid: Option<Uuid>,
    /// What became different.
    pub changes: Vec<FieldChange>,
    /// What else is known: a reason, an outcome.
    pub details: Vec<EventDetail>,
}

/// The state of the trail: what its two ends must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trail {
    /// The sequence of the first event that is kept; those before it were removed when their time was over.
    pub first: u64,
    /// The digest of the event before that one.
    pub before: EventDigest,
    /// The sequence that the next event gets.
    pub next: u64,
    /// The digest of the newest event.
    pub head: EventDigest,
}

impl Trail {
    /// How many events are kept.
    pub const fn kept(&self) -> u64 {
        self.next.saturating_sub(self.first)
    }
}

impl Default for Trail {
    /// Counting begins at 1, so that 0 can stand for "before the first".
    fn default() -> Self {
        Self { first: 1, before: EventDigest::NONE, next: 1, head: EventDigest::NONE }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_found_by_their_names() {
        for action in Action::ALL {
            assert_eq!(action.to_string().parse(), Ok(*action));
            assert_eq!(serde_json::to_value(action).unwrap(), action.as_str());
        }
        assert_eq!("authorization_denied".parse::<Action>(), Err(UnknownAction));
    }

    #[test]
    fn digests_are_read_as_they_are_printed() {
        let digest = EventDigest::new(std::array::from_fn(|place| place as u8 * 7));
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!(serde_json::from_str::<EventDigest>(&format!("\"{digest}\"")).unwrap(), digest);
        for wrong in ["", "00", &"0".repeat(63), &"0".repeat(66), &"zz".repeat(32)] {
            assert_eq!(wrong.parse::<EventDigest>(), Err(NoEventDigest), "{wrong}");
        }
    }
}
