//! Time zones, by the names of the IANA database.
//!
//! A zone is looked up once, when it is named or read, and holds its rules from then on: asking what time it is there
//! touches no disk. The system's database comes first, as it is kept up to date; what that lacks is in the binary.

use std::fmt;
use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::TimeZoneDatabase;

use super::Timestamp;
use crate::quoted::quoted;

/// A time zone, with its rules.
#[derive(Clone, Debug)]
pub struct TimeZone {
    /// As the database spells it.
    name: String,
    /// `None`: it was kept by a bindery or on a system that knows more zones than this one.
    rules: Option<jiff::tz::TimeZone>,
}

/// A name that no time zone has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no time zone {}; expected a name of the IANA database, such as \"Europe/Berlin\" or \"UTC\"",
    quoted(.0)
)]
pub struct UnknownTimeZone(pub String);

impl TimeZone {
    /// Coordinated universal time.
    pub fn utc() -> Self {
        Self { name: "UTC".to_owned(), rules: Some(jiff::tz::TimeZone::UTC) }
    }

    /// The zone of a name that was kept. One that is not known here is a zone without a time, not an error: a record
    /// must be readable wherever its store is taken.
    pub(super) fn kept(name: String) -> Self {
        // Spelled as it was: a record that is read is the one that was written.
        let rules = name.parse::<Self>().ok().and_then(|zone| zone.rules);
        Self { name, rules }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether its rules are known here.
    pub fn is_known(&self) -> bool {
        self.rules.is_some()
    }

    /// What calendar and clock show there; `None` when its rules are not known.
    pub(super) fn local(&self, time: Timestamp) -> Option<DateTime> {
        let rules = self.rules.as_ref()?;
        let seconds =
            time.unix_seconds().clamp(jiff::Timestamp::MIN.as_second(), jiff::Timestamp::MAX.as_second());
        Some(rules.to_datetime(jiff::Timestamp::from_second(seconds).ok()?))
    }
}

impl FromStr for TimeZone {
    type Err = UnknownTimeZone;

    fn from_str(name: &str) -> Result<Self, UnknownTimeZone> {
        if name.eq_ignore_ascii_case("UTC") {
            return Ok(Self::utc());
        }
        if NOT_ZONES.iter().any(|other| name.eq_ignore_ascii_case(other)) {
            return Err(UnknownTimeZone(name.to_owned()));
        }
        let found = jiff::tz::db().get(name).or_else(|_| TimeZoneDatabase::bundled().get(name));
        let rules = found.map_err(|_| UnknownTimeZone(name.to_owned()))?;
        let name = rules.iana_name().unwrap_or(name).to_owned();
        Ok(Self { name, rules: Some(rules) })
    }
}

impl PartialEq for TimeZone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for TimeZone {}

impl fmt::Display for TimeZone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}

/// Files beside the zones of some systems: each means another zone on another machine, or none.
const NOT_ZONES: [&str; 3] = ["localtime", "posixrules", "Factory"];

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_database() {
        for (text, name) in [
            ("UTC", "UTC"),
            ("utc", "UTC"),
            ("Europe/Berlin", "Europe/Berlin"),
            ("america/new_york", "America/New_York"),
            // An old name, which some systems keep in a package of its own: it is in the binary.
            ("US/Eastern", "US/Eastern"),
        ] {
            let zone: TimeZone = text.parse().unwrap();
            assert_eq!(zone.name(), name);
            assert!(zone.is_known());
            assert_eq!(TimeZone::kept(zone.name().to_owned()), zone);
        }
        for text in [
            "",
            "Mars/Olympus",
            "../../etc/passwd",
            "/etc/localtime",
            "CET-1CEST",
            "+02:00",
            "Europe",
            "localtime",
            "posixrules",
        ] {
            assert_eq!(text.parse::<TimeZone>(), Err(UnknownTimeZone(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn a_kept_zone_that_is_not_known_has_no_time() {
        let zone = TimeZone::kept("Mars/Olympus".to_owned());
        assert_eq!(zone.name(), "Mars/Olympus");
        assert!(!zone.is_known());
        assert_eq!(zone.local(Timestamp::from_unix_seconds(0)), None);
    }

    #[test]
    fn the_ends_of_time_have_a_local_time() {
        for seconds in [i64::MIN, -1, 0, i64::MAX] {
            let zone: TimeZone = "Pacific/Auckland".parse().unwrap();
            assert!(zone.local(Timestamp::from_unix_seconds(seconds)).is_some(), "{seconds}");
        }
    }
}
