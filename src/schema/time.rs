//! GeneralizedTime (RFC 4517 section 3.3.13) to and from seconds since 1970.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// A point in time as read from a value.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Debug)]
pub struct Time {
    /// Whole seconds since 1970-01-01 UTC, before it negative.
    pub unix_seconds: i64,
    /// Nanoseconds after that second; a finer fraction is cut off.
    pub nanoseconds: u32,
}

/// `YYYYMMDDHHMMSSZ`. A time outside the years 0 to 9999 becomes the nearest that can be written.
pub fn generalized_time(unix_seconds: i64) -> [u8; 15] {
    let seconds = unix_seconds.clamp(EARLIEST, LATEST);
    let time = Offset::UTC.to_datetime(Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH));
    let mut text = *b"00000000000000Z";
    let fields: [(usize, usize, u16); 6] = [
        (0, 4, time.year().unsigned_abs()),
        (4, 2, time.month().unsigned_abs().into()),
        (6, 2, time.day().unsigned_abs().into()),
        (8, 2, time.hour().unsigned_abs().into()),
        (10, 2, time.minute().unsigned_abs().into()),
        (12, 2, time.second().unsigned_abs().into()),
    ];
    for (start, width, mut number) in fields {
        for place in text.iter_mut().skip(start).take(width).rev() {
            *place = b'0' + (number % 10) as u8;
            number /= 10;
        }
    }
    text
}

/// Reads a GeneralizedTime with or without minutes, seconds, fraction and offset, and RFC 3339 text.
///
/// More lenient than RFC 4517: clients poll `(modifyTimestamp>=…)` with what their language prints. A time
/// without an offset is UTC. `None` when it is not a time.
pub fn parse(value: &[u8]) -> Option<Time> {
    let text = std::str::from_utf8(value).ok()?;
    parse_generalized(text).or_else(|| parse_rfc3339(text))
}

fn parse_generalized(text: &str) -> Option<Time> {
    let mut rest = text.as_bytes();
    let year = digits(&mut rest, 4)?;
    let month = digits(&mut rest, 2)?;
    let day = digits(&mut rest, 2)?;
    let hour = digits(&mut rest, 2)?;
    let minute = digits(&mut rest, 2);
    let second = if minute.is_some() { digits(&mut rest, 2) } else { None };
    // A fraction is one of the last unit that was written.
    let unit_seconds: u64 = match (minute, second) {
        (None, _) => 3600,
        (_, None) => 60,
        _ => 1,
    };
    let fraction = fraction(&mut rest, unit_seconds)?;
    let offset = offset(rest)?;

    // 60 is a leap second, and the second after 59.
    let second = second.unwrap_or(0);
    let leap = i64::from(second == 60);
    let second = if leap == 1 { 59 } else { second };
    let civil = DateTime::new(
        i16::try_from(year).ok()?,
        i8::try_from(month).ok()?,
        i8::try_from(day).ok()?,
        i8::try_from(hour).ok()?,
        i8::try_from(minute.unwrap_or(0)).ok()?,
        i8::try_from(second).ok()?,
        0,
    )
    .ok()?;
    let seconds = Offset::UTC.to_timestamp(civil).ok()?.as_second() + leap - offset;
    Some(Time {
        unix_seconds: seconds + i64::try_from(fraction / NANOSECONDS).ok()?,
        nanoseconds: u32::try_from(fraction % NANOSECONDS).ok()?,
    })
}

fn parse_rfc3339(text: &str) -> Option<Time> {
    let timestamp: Timestamp = match text.parse() {
        Ok(timestamp) => timestamp,
        Err(_) => Offset::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok()?,
    };
    let nanoseconds = timestamp.as_nanosecond();
    let second = i128::from(NANOSECONDS);
    Some(Time {
        unix_seconds: i64::try_from(nanoseconds.div_euclid(second)).ok()?,
        nanoseconds: u32::try_from(nanoseconds.rem_euclid(second)).ok()?,
    })
}

/// The next `count` digits as a number; `None`, and nothing taken, when there are not so many.
fn digits(rest: &mut &[u8], count: usize) -> Option<u32> {
    let (number, after) = rest.split_at_checked(count)?;
    if !number.iter().all(u8::is_ascii_digit) {
        return None;
    }
    *rest = after;
    Some(number.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')))
}

/// `.5` or `,5` of a unit, in nanoseconds; 0 when there is none. `None` when no digit follows the point.
fn fraction(rest: &mut &[u8], unit_seconds: u64) -> Option<u64> {
    let Some(after) = rest.strip_prefix(b".").or_else(|| rest.strip_prefix(b",")) else {
        return Some(0);
    };
    let length = after.iter().take_while(|octet| octet.is_ascii_digit()).count();
    let (written, after) = after.split_at_checked(length)?;
    if written.is_empty() {
        return None;
    }
    *rest = after;
    // Twelve digits are a nanosecond of an hour, and exact in 64 bits.
    let parts = written.iter().chain(std::iter::repeat(&b'0')).take(12);
    let parts = parts.fold(0u128, |sum, digit| sum * 10 + u128::from(digit - b'0'));
    let nanoseconds = parts * u128::from(unit_seconds) * u128::from(NANOSECONDS) / 1_000_000_000_000;
    u64::try_from(nanoseconds).ok()
}

/// `Z`, `+hh`, `+hhmm` or nothing, in seconds east of UTC.
fn offset(rest: &[u8]) -> Option<i64> {
    let (sign, mut rest) = match rest {
        [] | b"Z" | b"z" => return Some(0),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let hours = digits(&mut rest, 2)?;
    let minutes = if rest.is_empty() { 0 } else { digits(&mut rest, 2)? };
    (rest.is_empty() && hours < 24 && minutes < 60).then(|| sign * i64::from(hours * 3600 + minutes * 60))
}

const NANOSECONDS: u64 = 1_000_000_000;
/// 0000-01-01T00:00:00Z.
const EARLIEST: i64 = -62_167_219_200;
/// 9999-12-30T22:00:00Z, the last second that the calendar knows whatever the offset.
const LATEST: i64 = 253_402_207_200;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Option<(i64, u32)> {
        parse(text.as_bytes()).map(|time| (time.unix_seconds, time.nanoseconds))
    }

    #[test]
    fn times_are_written() {
        assert_eq!(&generalized_time(0), b"19700101000000Z");
        assert_eq!(&generalized_time(1_709_208_296), b"20240229120456Z");
        assert_eq!(&generalized_time(-1), b"19691231235959Z");
        assert_eq!(&generalized_time(i64::MIN), b"00000101000000Z");
        assert_eq!(&generalized_time(i64::MAX), b"99991230220000Z");
    }

    #[test]
    fn the_examples_of_rfc_4517_are_read() {
        assert_eq!(read("199412161032Z"), Some((787_573_920, 0)));
        assert_eq!(read("199412160532-0500"), Some((787_573_920, 0)));
    }

    #[test]
    fn fractions_are_of_the_last_unit() {
        assert_eq!(read("1970010100.5Z"), Some((1800, 0)));
        assert_eq!(read("197001010000,25Z"), Some((15, 0)));
        assert_eq!(read("19700101000000.123456789999Z"), Some((0, 123_456_789)));
        assert_eq!(read("19700101000000.0Z"), Some((0, 0)));
    }

    #[test]
    fn offsets_and_leap_seconds_are_read() {
        assert_eq!(read("19700101010000+01"), Some((0, 0)));
        assert_eq!(read("19691231233000-0030"), Some((0, 0)));
        assert_eq!(read("19700101000060Z"), Some((60, 0)));
        assert_eq!(read("19700101000000"), Some((0, 0)));
    }

    #[test]
    fn rfc_3339_is_read() {
        assert_eq!(read("1970-01-01T01:00:00.5+01:00"), Some((0, 500_000_000)));
        assert_eq!(read("1970-01-01T00:00:01Z"), Some((1, 0)));
        assert_eq!(read("1970-01-01T00:00:01"), Some((1, 0)));
        assert_eq!(read("1969-12-31T23:59:59.5Z"), Some((-1, 500_000_000)));
    }

    #[test]
    fn what_is_not_a_time_is_none() {
        for text in [
            "",
            "Z",
            "2024",
            "20240230000000Z",
            "20241301000000Z",
            "20240101250000Z",
            "20240101000000.Z",
            "20240101000000+2500",
            "20240101000000ZZ",
            "20240101000061Z",
            "now",
            "202401010",
            "*",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest! {
        #![proptest_config(crate::rounds::cases(256))]
        #[test]
        fn what_is_written_is_read(seconds in EARLIEST..LATEST) {
            prop_assert_eq!(parse(&generalized_time(seconds)), Some(Time { unix_seconds: seconds, nanoseconds: 0 }));
        }

        #[test]
        fn nothing_panics(value in proptest::collection::vec(any::<u8>(), 0..40), text in "[0-9TZ:.,+-]{0,30}") {
            parse(&value);
            parse(text.as_bytes());
        }
    }
}
