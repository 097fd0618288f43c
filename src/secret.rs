//! Secrets that do not print, are wiped when dropped, and are compared in constant time.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Octets that must not be shown: a password, an app password, an API token.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the octets over.
    pub fn new(octets: Vec<u8>) -> Self {
        Self(Zeroizing::new(octets))
    }

    /// The octets, for the one place that needs them (hashing, writing the secrets file).
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Secret {
    fn from(octets: &[u8]) -> Self {
        Self::new(octets.to_vec())
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text.into_bytes())
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_slice().ct_eq(other.0.as_slice()).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print() {
        let shown = format!("{:?}", Secret::from("hunter2".to_owned()));
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn secrets_are_equal_by_octets() {
        assert_eq!(Secret::new(vec![0, 159]), Secret::new(vec![0, 159]));
        assert_ne!(Secret::new(vec![0, 159]), Secret::new(vec![0]));
    }
}
