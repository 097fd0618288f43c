//! Which life of a store this is.

use std::fmt;

use serde::{Deserialize, Serialize};

/// 16 random octets that a store gets when it is made, and a new one when it is made of a backup, a copy or what was left of
/// another: whoever has noted something of a store by its revision compares this too. Prints in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Incarnation([u8; 16]);

impl Incarnation {
    /// Takes the octets over.
    pub const fn new(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    /// A new one, which no store has had.
    ///
    /// # Errors
    /// The operating system has no random octets.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut octets = [0; 16];
        getrandom::fill(&mut octets)?;
        Ok(Self(octets))
    }

    /// Whether both say who they are, and are not of one life of a store.
    pub fn is_foreign(one: Option<Self>, other: Option<Self>) -> bool {
        one.zip(other).is_some_and(|(one, other)| one != other)
    }

    pub const fn as_octets(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(formatter, "{octet:02x}"))
    }
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}
