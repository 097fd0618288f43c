//! Events: one line each of the audit trail, the four trails that it is made of, and what is known of each as a whole.

use std::collections::BTreeMap;
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

/// One of the chains that the audit trail is made of. Each has its own sequence and room of its own, so that what
/// strangers or callers can write as often as they like pushes nothing out that was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trail {
    /// What became different, what was warned of, and all that happened before there was more than one trail.
    Changes,
    /// Who proved who they are, and who was shown a secret.
    Logins,
    /// Who failed to, and what was refused to who had.
    Failures,
    /// What callers of the API noted.
    Custom,
}

impl Trail {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Changes, Self::Logins, Self::Failures, Self::Custom];

    /// The trail of what a change or a call tells. What was counted before it was told has its own.
    pub const fn of(action: Action) -> Self {
        match action {
            Action::Login | Action::SecretView => Self::Logins,
            Action::LoginFailed => Self::Failures,
            Action::Custom => Self::Custom,
            Action::SecretRotate
            | Action::PasswordSet
            | Action::ModelCreated
            | Action::ModelUpdated
            | Action::ModelDeleted
            | Action::SuspiciousRequest
            | Action::ConfigurationWarning => Self::Changes,
        }
    }

    /// The name in commands, in the log and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Changes => "changes",
            Self::Logins => "logins",
            Self::Failures => "failures",
            Self::Custom => "custom",
        }
    }

    /// The place of the event with this sequence.
    pub const fn at(self, sequence: u64) -> EventPlace {
        EventPlace { trail: self, sequence }
    }
}

/// A text that names no trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a trail: changes, logins, failures or custom")]
pub struct UnknownTrail;

impl fmt::Display for Trail {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Trail {
    type Err = UnknownTrail;

    fn from_str(text: &str) -> Result<Self, UnknownTrail> {
        Self::ALL.into_iter().find(|trail| trail.as_str() == text).ok_or(UnknownTrail)
    }
}

/// Where an event stands: written `logins:7`, or `7` in the trail of changes, as when there was no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventPlace {
    /// In which trail.
    pub trail: Trail,
    /// As which of that trail; the first is 1.
    pub sequence: u64,
}

/// A text that says no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected TRAIL:SEQUENCE, such as logins:7, or the number of an event in the trail of changes")]
pub struct NoEventPlace;

impl fmt::Display for EventPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.trail, self.sequence)
    }
}

impl FromStr for EventPlace {
    type Err = NoEventPlace;

    fn from_str(text: &str) -> Result<Self, NoEventPlace> {
        let (trail, sequence) = match text.split_once(':') {
            Some((trail, sequence)) => (trail.parse().map_err(|_| NoEventPlace)?, sequence),
            None => (Trail::Changes, text),
        };
        Ok(trail.at(sequence.parse().map_err(|_| NoEventPlace)?))
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

impl EventDetail {
    /// The name of a token that was replaced, where it works on.
    pub const REPLACED: &str = "replaced";
    /// Its UUID, whether it works on or not.
    pub const REPLACED_UUID: &str = "replaced_uuid";
    /// Its number, whether it works on or not.
    pub const REPLACED_NUMBER: &str = "replaced_number";
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
    /// The trail that it stands in.
    pub trail: Trail,
    /// Its place in that trail; increases by one.
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

impl Event {
    /// Where it stands.
    pub const fn place(&self) -> EventPlace {
        self.trail.at(self.sequence)
    }
}

/// The state of a trail: what its two ends must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrailState {
    /// The sequence of the first event that is kept; those before it were removed when their time was over.
    pub first: u64,
    /// The digest of the event before that one.
    pub before: EventDigest,
    /// The sequence that the next event gets.
    pub next: u64,
    /// The digest of the newest event.
    pub head: EventDigest,
}

impl TrailState {
    /// How many events are kept.
    pub const fn kept(&self) -> u64 {
        self.next.saturating_sub(self.first)
    }
}

impl Default for TrailState {
    /// Counting begins at 1, so that 0 can stand for "before the first".
    fn default() -> Self {
        Self { first: 1, before: EventDigest::NONE, next: 1, head: EventDigest::NONE }
    }
}

/// The states of all trails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trails {
    pub changes: TrailState,
    pub logins: TrailState,
    pub failures: TrailState,
    pub custom: TrailState,
}

impl Trails {
    /// The state of one.
    pub const fn of(&self, trail: Trail) -> TrailState {
        match trail {
            Trail::Changes => self.changes,
            Trail::Logins => self.logins,
            Trail::Failures => self.failures,
            Trail::Custom => self.custom,
        }
    }

    /// The same, to be changed.
    pub const fn of_mut(&mut self, trail: Trail) -> &mut TrailState {
        match trail {
            Trail::Changes => &mut self.changes,
            Trail::Logins => &mut self.logins,
            Trail::Failures => &mut self.failures,
            Trail::Custom => &mut self.custom,
        }
    }

    /// How many of its oldest events each trail gives away so that all together keep `events_max`; no more than
    /// `count_max` in all. The longest gives first. So each has a quarter of them to itself, which no other can take,
    /// and what one leaves of its quarter the others use.
    pub fn surplus(&self, events_max: u64, count_max: u64) -> BTreeMap<Trail, u64> {
        let mut kept = Trail::ALL.map(|trail| (self.of(trail).kept(), trail));
        let all = kept.iter().fold(0_u64, |all, (length, _)| all.saturating_add(*length));
        let mut surplus = BTreeMap::new();
        for _ in 0..all.saturating_sub(events_max).min(count_max) {
            if let Some((length, trail)) = kept.iter_mut().max() {
                *length = length.saturating_sub(1);
                *surplus.entry(*trail).or_default() += 1;
            }
        }
        surplus
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
    fn events_are_found_by_their_places() {
        for trail in Trail::ALL {
            assert_eq!(trail.to_string().parse(), Ok(trail));
            assert_eq!(serde_json::to_value(trail).unwrap(), trail.as_str());
            assert_eq!(trail.at(7).to_string().parse(), Ok(trail.at(7)));
        }
        assert_eq!("7".parse(), Ok(Trail::Changes.at(7)));
        assert_eq!("Logins".parse::<Trail>(), Err(UnknownTrail));
        for wrong in ["", ":7", "logins", "logins:", "logins:-7", "logins:7:7", "logs:7"] {
            assert_eq!(wrong.parse::<EventPlace>(), Err(NoEventPlace), "{wrong}");
        }
    }

    #[test]
    fn the_longest_trail_gives_first_and_a_quarter_is_never_taken() {
        let trails = |lengths: [u64; 4]| {
            let mut trails = Trails::default();
            for (trail, length) in Trail::ALL.into_iter().zip(lengths) {
                *trails.of_mut(trail) = TrailState { next: length + 1, ..TrailState::default() };
            }
            trails
        };
        let surplus = |lengths, events_max, count_max| {
            let given = trails(lengths).surplus(events_max, count_max);
            Trail::ALL.map(|trail| given.get(&trail).copied().unwrap_or_default())
        };
        assert_eq!(surplus([20, 30, 40, 10], 100, 1_000), [0; 4]);
        // What others leave of theirs is used.
        assert_eq!(surplus([0, 0, 120, 10], 100, 1_000), [0, 0, 30, 0]);
        assert_eq!(surplus([25, 25, 1_000, 25], 100, 2_000), [0, 0, 975, 0]);
        assert_eq!(surplus([90, 20, 1_000, 5], 100, 2_000), [52, 0, 963, 0]);
        assert_eq!(surplus([90, 20, 1_000, 5], 100, 10), [0, 0, 10, 0]);
        for events_max in 0..50 {
            for lengths in [[100, 100, 100, 100], [3, 500, 13, 1], [0, 0, 0, 60]] {
                let given = surplus(lengths, events_max, 10_000);
                let kept: Vec<u64> =
                    lengths.iter().zip(given).map(|(length, given)| length - given).collect();
                assert_eq!(kept.iter().sum::<u64>(), events_max.min(lengths.iter().sum()));
                let share = events_max / 4;
                assert!(
                    kept.iter().zip(lengths).all(|(kept, length)| *kept >= length.min(share)),
                    "{kept:?}"
                );
            }
        }
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
