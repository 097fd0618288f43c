//! `{PBKDF2-SHA256}` and its brothers as OpenLDAP's contributed pw-pbkdf2 writes them:
//! `rounds$salt$key`, salt and key in adapted base64, the key as long as the hash function's output.

use pbkdf2::pbkdf2_hmac;
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::decode_adapted_base64;
use super::digest::Function;

/// A key derived from the secret.
#[derive(Clone)]
pub(in crate::auth) struct Pbkdf2Hash {
    function: Function,
    rounds: u32,
    salt: Box<[u8]>,
    key: Box<[u8]>,
}

impl Pbkdf2Hash {
    /// Reads what stands after the scheme; `None` if it is not of that form.
    pub(in crate::auth) fn parse(function: Function, text: &str) -> Option<Self> {
        let mut fields = text.split('$');
        let rounds = super::decimal(fields.next()?)?;
        let salt = decode_adapted_base64(fields.next()?)?;
        let key = decode_adapted_base64(fields.next()?)?;
        if fields.next().is_some() || rounds == 0 || salt.is_empty() || key.len() != function.length() {
            return None;
        }
        Some(Self { function, rounds, salt: salt.into(), key: key.into() })
    }

    /// How often the hash function is applied.
    pub(in crate::auth) const fn rounds(&self) -> u32 {
        self.rounds
    }

    /// Compares in constant time.
    pub(in crate::auth) fn verify(&self, secret: &[u8]) -> bool {
        let mut computed = Zeroizing::new(vec![0; self.key.len()]);
        match self.function {
            Function::Sha1 => pbkdf2_hmac::<Sha1>(secret, &self.salt, self.rounds, &mut computed),
            Function::Sha256 => pbkdf2_hmac::<Sha256>(secret, &self.salt, self.rounds, &mut computed),
            Function::Sha512 => pbkdf2_hmac::<Sha512>(secret, &self.salt, self.rounds, &mut computed),
        }
        // HMAC fills a short key up with zeros, so "a" and "a\0" derive the same: nobody chose the second.
        let is_padded = secret.last() == Some(&0);
        bool::from(self.key.ct_eq(&computed)) && !is_padded
    }
}
