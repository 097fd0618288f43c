//! What stands after `{CRYPT}`: sha-crypt (`$5$`, `$6$`) and bcrypt (`$2a$`, `$2b$`, `$2y$`); bcrypt stands after
//! two names of Django's, too.
//!
//! DES, MD5-crypt and `$2x$` (the sign-extension bug of an old bcrypt) are not verified: they are broken.

use std::str::FromStr as _;

use bcrypt::HashParts;
use sha_crypt::{PasswordVerifier as _, ShaCrypt};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// A hash that crypt(3) would verify.
#[derive(Clone)]
pub(in crate::auth) enum CryptHash {
    /// `$5$` or `$6$`, as text; `rounds` is what it says or implies.
    ShaCrypt {
        /// The whole text.
        text: Box<str>,
        /// How often the hash function is applied.
        rounds: u32,
    },
    /// `$2…$`, as text.
    Bcrypt {
        /// The whole text.
        text: Box<str>,
        /// The binary logarithm of the rounds.
        cost: u32,
        input: BcryptInput,
    },
}

/// What bcrypt was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::auth) enum BcryptInput {
    Secret,
    /// Django's `bcrypt_sha256`: lower-case hexadecimal digits, so that more than 72 octets of a secret count.
    HexOfSha256,
}

impl CryptHash {
    /// Reads what stands after `{CRYPT}`; `None` if it is no scheme of ours or not of its form.
    pub(in crate::auth) fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split('$');
        if !fields.next()?.is_empty() {
            return None;
        }
        match fields.next()? {
            "5" => Self::parse_sha_crypt(text, fields, 43),
            "6" => Self::parse_sha_crypt(text, fields, 86),
            "2a" | "2b" | "2y" => Self::parse_bcrypt(text, BcryptInput::Secret),
            _ => None,
        }
    }

    /// What it costs, in KiB that argon2 passes over.
    pub(in crate::auth) fn cost(&self) -> u64 {
        match self {
            Self::ShaCrypt { rounds, .. } => u64::from(*rounds) * 5 / 2,
            Self::Bcrypt { cost, .. } => (1 << cost.min(&BCRYPT_COST_MAX)) * 150,
        }
    }

    /// Compares in constant time.
    ///
    /// As in libxcrypt no secret above 512 octets matches: sha-crypt costs time with the square of the length,
    /// and the client chooses the length.
    pub(in crate::auth) fn verify(&self, secret: &[u8]) -> bool {
        if secret.len() > SECRET_LENGTH_MAX {
            return false;
        }
        // crypt(3) takes a C string: a secret with a zero octet never made such a hash. Without this test
        // bcrypt, which repeats the secret with its zero, would take "a\0a" for "a".
        let is_c_string = !secret.contains(&0);
        let matches = match self {
            Self::ShaCrypt { text, .. } => ShaCrypt::default().verify_password(secret, &**text).is_ok(),
            Self::Bcrypt { text, input: BcryptInput::Secret, .. } => {
                bcrypt::verify(secret, text).unwrap_or(false)
            }
            Self::Bcrypt { text, input: BcryptInput::HexOfSha256, .. } => {
                bcrypt::verify(&*hex_of_sha256(secret), text).unwrap_or(false)
            }
        };
        matches && is_c_string
    }

    fn parse_sha_crypt<'a>(
        text: &str,
        mut fields: impl Iterator<Item = &'a str>,
        digest_length: usize,
    ) -> Option<Self> {
        let mut salt = fields.next()?;
        let mut rounds = ROUNDS_IMPLIED;
        if let Some(stated) = salt.strip_prefix("rounds=") {
            // crypt(3) moves other numbers into this range and writes the number it used.
            rounds = super::decimal(stated).filter(|rounds| (ROUNDS_MIN..=ROUNDS_MAX).contains(rounds))?;
            salt = fields.next()?;
        }
        let digest = fields.next()?;
        let is_well_formed = fields.next().is_none()
            && (1..=SALT_LENGTH_MAX).contains(&salt.len())
            && salt.bytes().all(is_crypt_character)
            && digest.len() == digest_length
            && digest.bytes().all(is_crypt_character);
        is_well_formed.then(|| Self::ShaCrypt { text: text.into(), rounds })
    }

    /// Reads `$2…$`; `None` if it is not of that form.
    pub(in crate::auth) fn parse_bcrypt(text: &str, input: BcryptInput) -> Option<Self> {
        if !["$2a$", "$2b$", "$2y$"].iter().any(|version| text.starts_with(version)) {
            return None;
        }
        // The crate checks the form; only the cost, where it would take "+4", is read here.
        HashParts::from_str(text).ok()?;
        let cost = super::decimal(text.get(4..6)?)?;
        let is_cost = (BCRYPT_COST_MIN..=BCRYPT_COST_MAX).contains(&cost);
        is_cost.then(|| Self::Bcrypt { text: text.into(), cost, input })
    }
}

fn hex_of_sha256(secret: &[u8]) -> Zeroizing<Vec<u8>> {
    let digest = Zeroizing::new(<[u8; 32]>::from(Sha256::digest(secret)));
    let digits = digest.iter().flat_map(|octet| [octet >> 4, octet & 0xf]);
    Zeroizing::new(digits.map(|digit| if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }).collect())
}

/// The alphabet of crypt(3): `./0-9A-Za-z`.
fn is_crypt_character(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || octet == b'.' || octet == b'/'
}

/// Octets of a secret, as libxcrypt has it (`CRYPT_MAX_PASSPHRASE_SIZE`).
/// No limit of the config: crypt(3) gives it.
const SECRET_LENGTH_MAX: usize = 512;

/// Characters of a sha-crypt salt; crypt(3) cuts a longer one, so none is ever stored.
/// No limit of the config: crypt(3) gives it.
const SALT_LENGTH_MAX: usize = 16;

/// Rounds of a sha-crypt hash that states none.
const ROUNDS_IMPLIED: u32 = 5_000;
const ROUNDS_MIN: u32 = 1_000;
/// No limit of the config: crypt(3) gives it; `sha_crypt_rounds_max` is the limit.
const ROUNDS_MAX: u32 = 999_999_999;

const BCRYPT_COST_MIN: u32 = 4;
/// No limit of the config: the scheme gives it; `bcrypt_cost_max` is the limit.
const BCRYPT_COST_MAX: u32 = 31;
