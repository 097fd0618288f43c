//! Points in time, to the second, UTC.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time: seconds since 1970-01-01T00:00:00Z. Reads and prints as RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From seconds since the epoch.
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since the epoch.
    pub const fn unix_seconds(self) -> i64 {
        self.0
    }

    /// This moment, for tests. All else asks the clock of its store, which knows whether the system's is right.
    #[cfg(test)]
    pub fn now() -> Self {
        crate::clock::system_time()
    }

    /// Later by `duration`, at most the end of time.
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is printed can be read again: before and after all years that can be written stand the last ones.
        let bounded = self.0.clamp(jiff::Timestamp::MIN.as_second(), jiff::Timestamp::MAX.as_second());
        jiff::Timestamp::from_second(bounded).map_err(|_| fmt::Error)?.fmt(formatter)
    }
}

impl FromStr for Timestamp {
    type Err = jiff::Error;

    /// Reads RFC 3339; a fraction of a second is cut off.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.parse::<jiff::Timestamp>()?.as_second()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            text.parse().map_err(serde::de::Error::custom)
        } else {
            Ok(Self(i64::deserialize(deserializer)?))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints_rfc_3339() {
        let time: Timestamp = "2027-11-18T10:00:00Z".parse().unwrap();
        assert_eq!(time.to_string(), "2027-11-18T10:00:00Z");
        assert_eq!("2027-11-18T11:00:00.5+01:00".parse::<Timestamp>().unwrap(), time);
        assert!("tomorrow".parse::<Timestamp>().is_err());
    }

    #[test]
    fn what_is_printed_can_be_read() {
        for seconds in [i64::MIN, -1, 0, 253_500_000_000, i64::MAX] {
            let printed = Timestamp::from_unix_seconds(seconds).to_string();
            let read: Timestamp = printed.parse().unwrap();
            assert_eq!(read.to_string(), printed);
        }
    }

    #[test]
    fn adding_saturates() {
        let end = Timestamp::from_unix_seconds(i64::MAX);
        assert_eq!(end.after(Duration::from_secs(1)), end);
    }
}
