//! The fingerprint of a certificate.

use std::fmt;
use std::str::FromStr;

/// SHA-256 of a certificate's DER form: of this one alone, whoever issues others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

/// A text that is no fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected the SHA-256 of a certificate: 64 hexadecimal digits, with or without colons between pairs")]
pub struct NoFingerprint;

impl Fingerprint {
    /// Takes the digest over.
    pub const fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(formatter, "{octet:02x}"))
    }
}

impl FromStr for Fingerprint {
    type Err = NoFingerprint;

    /// As `openssl x509 -fingerprint -sha256` and `sha256sum` write it.
    fn from_str(text: &str) -> Result<Self, NoFingerprint> {
        let mut digest = [0; 32];
        let mut places = digest.iter_mut();
        let digit = |octet: u8| char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let mut rest = text.as_bytes();
        while let Some((&[high, low], after)) = rest.split_first_chunk() {
            let (high, low) = (digit(high).ok_or(NoFingerprint)?, digit(low).ok_or(NoFingerprint)?);
            *places.next().ok_or(NoFingerprint)? = high << 4 | low;
            rest = match after.split_first() {
                Some((b':', pair)) if !pair.is_empty() => pair,
                _ => after,
            };
        }
        if rest.is_empty() && places.next().is_none() { Ok(Self(digest)) } else { Err(NoFingerprint) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_read_as_tools_write_them() {
        let plain = "00ff".repeat(16);
        let colons = ["00", "FF"].repeat(16).join(":");
        assert_eq!(plain.parse::<Fingerprint>().unwrap().to_string(), plain);
        assert_eq!(colons.parse::<Fingerprint>(), plain.parse());
        let short = &plain[2..];
        for wrong in ["", ":", short, &format!("{plain}0"), &format!("{plain}00"), &format!("{colons}:")] {
            assert_eq!(wrong.parse::<Fingerprint>(), Err(NoFingerprint), "{wrong}");
        }
        assert!("zz".repeat(32).parse::<Fingerprint>().is_err());
    }
}
