//! `{PBKDF2-SHA256}` and its brothers as OpenLDAP's contributed pw-pbkdf2 writes them:
//! `rounds$salt$key`, salt and key in adapted base64, the key as long as the hash function's output.
//! Django's `pbkdf2_sha256$` and `pbkdf2_sha1$` have the same fields, but the salt is text that is used as it stands.

use pbkdf2::pbkdf2_hmac;
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::digest::Function;
use super::{decode_adapted_base64, decode_base64};

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
        let [rounds, salt, key] = fields(text)?;
        Self::new(function, rounds, decode_adapted_base64(salt)?, decode_adapted_base64(key)?)
    }

    /// Reads what stands after `pbkdf2_sha256$`; `None` if it is not of that form.
    pub(in crate::auth) fn parse_django(function: Function, text: &str) -> Option<Self> {
        let [rounds, salt, key] = fields(text)?;
        Self::new(function, rounds, salt.as_bytes().to_vec(), decode_base64(key)?)
    }

    fn new(function: Function, rounds: &str, salt: Vec<u8>, key: Vec<u8>) -> Option<Self> {
        let rounds = super::decimal(rounds)?;
        let is_well_formed = rounds > 0 && !salt.is_empty() && key.len() == function.length();
        is_well_formed.then(|| Self { function, rounds, salt: salt.into(), key: key.into() })
    }

    /// How often the hash function is applied.
    pub(in crate::auth) const fn rounds(&self) -> u32 {
        self.rounds
    }

    /// What it costs, in KiB that argon2 passes over.
    pub(in crate::auth) const fn cost(&self) -> u64 {
        let rounds = self.rounds as u64;
        match self.function {
            Function::Sha1 | Function::Sha256 => rounds * 3 / 10,
            Function::Sha512 => rounds * 3 / 4,
        }
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

/// Exactly three fields.
fn fields(text: &str) -> Option<[&str; 3]> {
    let mut fields = text.split('$');
    let three = [fields.next()?, fields.next()?, fields.next()?];
    fields.next().is_none().then_some(three)
}
