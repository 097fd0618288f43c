//! Points in time, to the second, UTC, and the one way in which they are read: in the API, in commands, in a config.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time: seconds since 1970-01-01T00:00:00Z. Prints as RFC 3339.
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

/// What a date stands for where no time of day is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateMeans {
    /// Its first second: something begins with it.
    Begin,
    /// Its last second: something ends with it, and goes on for all of that day.
    End,
}

/// A text is no point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTime {
    /// It is written in another way, or there is no such day, time of day or offset.
    #[error("expected {}", TIME_WORDS)]
    Form,
    /// What cannot be printed cannot be read back.
    #[error("expected a time up to \"{}\"", Timestamp(i64::MAX))]
    Late,
}

/// What a time looks like, for messages.
pub const TIME_WORDS: &str = "a time such as \"2027-11-18T10:00:00Z\" or \"2027-11-18T11:00:00+01:00\" (without an offset it \
                              is UTC), or a date such as \"2027-11-18\"";

impl Timestamp {
    /// Reads what people and programs write: RFC 3339, of which seconds and offset may be left out, the latter for UTC, and
    /// the colon of the offset; or a date. A fraction of a second is cut off.
    ///
    /// # Errors
    /// It is none of these, or there is no such day, time of day or offset.
    pub fn read(text: &str, date_means: DateMeans) -> Result<Self, BadTime> {
        let octets = text.as_bytes();
        let (date, rest) = octets.split_at_checked("2027-11-18".len()).ok_or(BadTime::Form)?;
        let date = read_date(date).ok_or(BadTime::Form)?;
        let (time, offset) = match rest {
            [] if date_means == DateMeans::Begin => (Time::midnight(), 0),
            [] => (LAST_SECOND, 0),
            [b'T' | b't' | b' ', rest @ ..] => {
                let (time, rest) = read_time(rest).ok_or(BadTime::Form)?;
                (time, read_offset(rest).ok_or(BadTime::Form)?)
            }
            _ => return Err(BadTime::Form),
        };
        // Every year of four digits has a second, but the last few hours of the last one.
        let local = Offset::UTC.to_timestamp(DateTime::from_parts(date, time)).map_err(|_| BadTime::Late)?;
        let seconds = local.as_second() - offset;
        // What cannot be printed cannot be read back.
        jiff::Timestamp::from_second(seconds).map(|_| Self(seconds)).map_err(|_| BadTime::Late)
    }
}

/// `2027-11-18`
fn read_date(text: &[u8]) -> Option<Date> {
    let (year, rest) = digits(text, 4)?;
    let (month, rest) = digits(rest.strip_prefix(b"-")?, 2)?;
    let (day, rest) = digits(rest.strip_prefix(b"-")?, 2)?;
    rest.is_empty().then_some(())?;
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

/// `10:00`, `10:00:00` or `10:00:00.123456`, and what stands behind it.
fn read_time(text: &[u8]) -> Option<(Time, &[u8])> {
    let (hour, rest) = digits(text, 2)?;
    let (minute, rest) = digits(rest.strip_prefix(b":")?, 2)?;
    let Some(seconds) = rest.strip_prefix(b":") else { return Some((civil_time(hour, minute, 0)?, rest)) };
    let (second, mut rest) = digits(seconds, 2)?;
    if let Some(fraction) = rest.strip_prefix(b".") {
        let length = fraction.iter().take_while(|octet| octet.is_ascii_digit()).count();
        rest = if length == 0 { None } else { fraction.get(length..) }?;
    }
    // A leap second (RFC 3339, 5.7) is counted with the one before it.
    Some((civil_time(hour, minute, if second == 60 { 59 } else { second })?, rest))
}

fn civil_time(hour: i16, minute: i16, second: i16) -> Option<Time> {
    let [hour, minute, second] = [hour, minute, second].map(i8::try_from);
    Time::new(hour.ok()?, minute.ok()?, second.ok()?, 0).ok()
}

/// Nothing, `Z`, `+01:00`, `+0100` or `+01`, in seconds to the east of UTC.
fn read_offset(text: &[u8]) -> Option<i64> {
    let (sign, rest) = match text {
        [] | [b'Z' | b'z'] => return Some(0),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let (hours, rest) = digits(rest, 2)?;
    let (minutes, rest) = match rest {
        [] => (0, rest),
        _ => digits(rest.strip_prefix(b":").unwrap_or(rest), 2)?,
    };
    let seconds = sign * (i64::from(hours) * 3600 + i64::from(minutes) * 60);
    (rest.is_empty() && minutes < 60 && OFFSETS.contains(&seconds)).then_some(seconds)
}

/// The next `count` digits as a number, and what stands behind them.
fn digits(text: &[u8], count: usize) -> Option<(i16, &[u8])> {
    let (number, rest) = text.split_at_checked(count)?;
    let number = number
        .iter()
        .try_fold(0, |sum: i16, digit| digit.is_ascii_digit().then(|| sum * 10 + i16::from(digit - b'0')))?;
    Some((number, rest))
}

/// 23:59:59
const LAST_SECOND: Time = Time::constant(23, 59, 59, 0);
/// The offsets that there are on Earth, in seconds: from the Date Line's west, -12:00, to Kiribati, +14:00.
const OFFSETS: std::ops::RangeInclusive<i64> = -12 * 3600..=14 * 3600;

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is printed can be read again: before and after all years that can be written stand the last ones.
        let bounded = self.0.clamp(jiff::Timestamp::MIN.as_second(), jiff::Timestamp::MAX.as_second());
        jiff::Timestamp::from_second(bounded).map_err(|_| fmt::Error)?.fmt(formatter)
    }
}

impl FromStr for Timestamp {
    type Err = BadTime;

    /// [`Timestamp::read`], of a date the beginning; and whatever was printed here.
    fn from_str(text: &str) -> Result<Self, BadTime> {
        Self::read(text, DateMeans::Begin).or_else(|bad| match text.starts_with('-') {
            // A year before the first.
            true => text.parse().map(|time: jiff::Timestamp| Self(time.as_second())).map_err(|_| bad),
            false => Err(bad),
        })
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
    fn what_programs_write_is_read() {
        for text in [
            "2027-11-18T10:00:00Z",
            "2027-11-18t10:00:00z",
            "2027-11-18T10:00:00.999999Z",
            "2027-11-18T10:00:00.000000+0000",
            "2027-11-18 10:00:00+00:00",
            "2027-11-18T10:00:00",
            "2027-11-18T10:00",
            "2027-11-19T00:00:00+14:00",
            "2027-11-17T22:00:00-12:00",
            "2027-11-18T11:00:00+01",
            "2027-11-18T15:30:00+05:30",
            "2027-11-18T10:00:00-00:00",
        ] {
            let read = Timestamp::read(text, DateMeans::Begin);
            assert_eq!(read.map(|time| time.to_string()).as_deref(), Ok("2027-11-18T10:00:00Z"), "{text}");
        }
        let leap = Timestamp::read("2016-12-31T23:59:60Z", DateMeans::Begin);
        assert_eq!(leap.unwrap().to_string(), "2016-12-31T23:59:59Z");
    }

    #[test]
    fn a_date_begins_or_ends() {
        let read = |means| Timestamp::read("2028-02-29", means).map(|time| time.to_string());
        assert_eq!(read(DateMeans::Begin).as_deref(), Ok("2028-02-29T00:00:00Z"));
        assert_eq!(read(DateMeans::End).as_deref(), Ok("2028-02-29T23:59:59Z"));
    }

    #[test]
    fn what_there_is_not_is_refused() {
        for text in [
            "",
            "tomorrow",
            "2027",
            "2027-11",
            "2027-11-18T",
            "2027-11-18T10",
            "2027-11-18T10:00:",
            "2027-11-18T10:00:00.Z",
            "2027-11-18T10:00:00Z ",
            " 2027-11-18",
            "2027-11-18Z",
            "2027-11-18T10:00:00 Z",
            "2027-11-18T10:00:00+25:00",
            "2027-11-18T10:00:00+14:01",
            "2027-11-18T10:00:00-12:01",
            "2027-11-18T10:00:00+01:60",
            "2027-11-18T10:00:00+1:00",
            "2027-11-18T10:00:00+01:00:00",
            "2027-11-18T10:00:00Z[Europe/Berlin]",
            "2027-11-18T24:00:00Z",
            "2027-11-18T10:60:00Z",
            "2027-02-29",
            "2027-13-01",
            "2027-00-10",
            "20271118T100000Z",
            "20271118100000Z",
            "1810720800",
            "18.11.2027",
            "11/18/2027",
            "+2027-11-18",
            "٢٠٢٧-١١-١٨",
            "-002027-11-18T10:00:00Z",
        ] {
            assert_eq!(Timestamp::read(text, DateMeans::End), Err(BadTime::Form), "{text}");
        }
        for text in ["9999-12-30", "9999-12-31", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-12:00"] {
            assert_eq!(Timestamp::read(text, DateMeans::End), Err(BadTime::Late), "{text}");
        }
        assert_eq!(BadTime::Late.to_string(), "expected a time up to \"9999-12-30T22:00:00Z\"");
        assert!(Timestamp::read("9999-12-30T22:00:00Z", DateMeans::End).is_ok());
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
