//! From when and until when a certificate is valid.
//!
//! rustls reads no more of our own certificate than its key, and the one question that is left
//! (RFC 5280 section 4.1.2.5) is not worth an X.509 library.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The two ends of a certificate's validity, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
}

impl Validity {
    /// Reads the validity out of a DER certificate; `None` if there is none to be found.
    pub(crate) fn of(certificate: &[u8]) -> Option<Self> {
        let (content, _) = element(certificate, SEQUENCE)?;
        let (mut fields, _) = element(content, SEQUENCE)?;
        // The version is absent in a certificate of version 1.
        if let Some((_, rest)) = element(fields, VERSION) {
            fields = rest;
        }
        // The serial number, the algorithm and the issuer stand before it.
        for tag in [INTEGER, SEQUENCE, SEQUENCE] {
            (_, fields) = element(fields, tag)?;
        }
        let (validity, _) = element(fields, SEQUENCE)?;
        let (not_before, rest) = time(validity)?;
        let (not_after, _) = time(rest)?;
        Some(Self { not_before, not_after })
    }
}

/// The content of the element that `octets` begins with, and what follows it.
fn element(octets: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = octets.split_first()?;
    if first != tag {
        return None;
    }
    let (&length, mut rest) = rest.split_first()?;
    let mut size = usize::from(length);
    if length >= 0x80 {
        let (digits, after) = rest.split_at_checked(usize::from(length & 0x7F))?;
        if digits.is_empty() || digits.len() > 4 {
            return None;
        }
        size = digits.iter().fold(0, |size, &digit| (size << 8) | usize::from(digit));
        rest = after;
    }
    rest.split_at_checked(size)
}

/// A UTCTime (of the years 1950 to 2049) or a GeneralizedTime, both to the second and in UTC.
fn time(octets: &[u8]) -> Option<(Timestamp, &[u8])> {
    if let Some((text, rest)) = element(octets, UTC_TIME) {
        let (year, text) = number(text, 2)?;
        let century = if year >= 50 { 1900 } else { 2000 };
        return Some((timestamp(century + year, text)?, rest));
    }
    let (text, rest) = element(octets, GENERALIZED_TIME)?;
    let (year, text) = number(text, 4)?;
    Some((timestamp(year, text)?, rest))
}

fn timestamp(year: i16, text: &[u8]) -> Option<Timestamp> {
    let (month, text) = number(text, 2)?;
    let (day, text) = number(text, 2)?;
    let (hour, text) = number(text, 2)?;
    let (minute, text) = number(text, 2)?;
    let (second, text) = number(text, 2)?;
    if text != b"Z" {
        return None;
    }
    let [month, day, hour, minute, second] =
        [month, day, hour, minute, second].map(|part| i8::try_from(part).unwrap_or(i8::MAX));
    let time = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    TimeZone::UTC.to_timestamp(time).ok()
}

/// At most four decimal digits.
fn number(text: &[u8], digits: usize) -> Option<(i16, &[u8])> {
    let (number, rest) = text.split_at_checked(digits)?;
    let value = number
        .iter()
        .try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + i16::from(digit - b'0')))?;
    Some((value, rest))
}

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xA0;
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(first: (i32, u8, u8), last: (i32, u8, u8)) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(first.0, first.1, first.2);
        params.not_after = date_time_ymd(last.0, last.1, last.2);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn both_forms_of_time_are_read() {
        let validity = Validity::of(&certificate((1999, 12, 31), (2049, 2, 28))).unwrap();
        assert_eq!(validity.not_before, "1999-12-31T00:00:00Z".parse().unwrap());
        assert_eq!(validity.not_after, "2049-02-28T00:00:00Z".parse().unwrap());
        let validity = Validity::of(&certificate((2026, 1, 1), (9999, 12, 30))).unwrap();
        assert_eq!(validity.not_after, "9999-12-30T00:00:00Z".parse().unwrap());
    }

    proptest! {
        #[test]
        fn nothing_panics(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Validity::of(&octets);
        }

        #[test]
        fn no_change_to_a_certificate_panics(at in 0_usize..200, octet in any::<u8>(), end in 0_usize..400) {
            let mut changed = certificate((2026, 1, 1), (2027, 1, 1));
            if let Some(place) = changed.get_mut(at) {
                *place = octet;
            }
            changed.truncate(end);
            let _ = Validity::of(&changed);
        }
    }
}
