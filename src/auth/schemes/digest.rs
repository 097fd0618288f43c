//! `{SHA}`, `{SSHA}` and their SHA-2 brothers: base64 of one digest, and of the salt behind it.

use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};
use subtle::ConstantTimeEq;

use super::decode_base64;

/// The hash functions that imported schemes are built on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::auth) enum Function {
    /// SHA-1, 20 octets.
    Sha1,
    /// SHA-256, 32 octets.
    Sha256,
    /// SHA-512, 64 octets.
    Sha512,
}

impl Function {
    /// Octets of its output.
    pub(in crate::auth) const fn length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// A digest of the secret, followed by a salt or not.
#[derive(Clone)]
pub(in crate::auth) struct DigestHash {
    function: Function,
    digest: Box<[u8]>,
    salt: Box<[u8]>,
}

impl DigestHash {
    /// Reads what stands after the scheme. `None` if it is not base64, or has another length than the scheme
    /// says; a salted scheme has at least one octet of salt, as OpenLDAP asks for, too.
    pub(in crate::auth) fn parse(function: Function, salted: bool, text: &str) -> Option<Self> {
        let octets = decode_base64(text)?;
        let (digest, salt) = octets.split_at_checked(function.length())?;
        if salt.is_empty() == salted {
            return None;
        }
        Some(Self { function, digest: digest.into(), salt: salt.into() })
    }

    /// Compares in constant time.
    pub(in crate::auth) fn verify(&self, secret: &[u8]) -> bool {
        let parts = [secret, &self.salt];
        match self.function {
            Function::Sha1 => self.is(&parts.iter().fold(Sha1::new(), Sha1::chain_update).finalize()),
            Function::Sha256 => self.is(&parts.iter().fold(Sha256::new(), Sha256::chain_update).finalize()),
            Function::Sha512 => self.is(&parts.iter().fold(Sha512::new(), Sha512::chain_update).finalize()),
        }
    }

    fn is(&self, computed: &[u8]) -> bool {
        self.digest.ct_eq(computed).into()
    }
}
