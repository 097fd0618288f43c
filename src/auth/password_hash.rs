//! What is kept of a secret: a PHC string of our own, or a hash in the scheme of another server that was
//! brought along. The text is kept as it came; this parses it within bounds and verifies secrets.

use std::fmt;

use thiserror::Error;

use super::schemes::argon::{Argon2Parameters, ArgonHash, ArgonMemory};
use super::schemes::crypt::{BcryptInput, CryptHash};
use super::schemes::digest::{DigestHash, Function};
use super::schemes::pbkdf2::Pbkdf2Hash;

/// A stored hash that was read and costs no more than the bounds allow.
///
/// | text | what it is |
/// | --- | --- |
/// | `$argon2id$…`, `$argon2i$…`, `$argon2d$…`, and the same after `{ARGON2}` | argon2 as a PHC string |
/// | `{CRYPT}$5$…`, `{CRYPT}$6$…` | sha-crypt |
/// | `{CRYPT}$2a$…`, `$2b$`, `$2y$` | bcrypt |
/// | `{SSHA}`, `{SSHA256}`, `{SSHA512}`, `{SHA}`, `{SHA256}`, `{SHA512}` | one digest, salted or not |
/// | `{PBKDF2}`, `{PBKDF2-SHA1}`, `{PBKDF2-SHA256}`, `{PBKDF2-SHA512}` | PBKDF2 as OpenLDAP's pw-pbkdf2 writes it |
/// | `pbkdf2_sha256$…`, `pbkdf2_sha1$…`, `argon2$argon2id$…`, `bcrypt_sha256$$2b$…`, `bcrypt$$2b$…` | as Django, and so authentik, writes them |
///
/// Names in braces are read in any case.
#[derive(Clone)]
pub struct StoredHash {
    scheme: Scheme,
}

impl StoredHash {
    /// Reads the text of a stored or imported hash.
    ///
    /// # Errors
    /// The scheme is none that bindery verifies, the text is not of its form, or verifying it would cost more
    /// than `bounds` allow. No error holds a piece of the hash.
    pub fn parse(text: &str, bounds: &HashBounds) -> Result<Self, HashParseError> {
        match Scheme::parse(text) {
            // However long it is.
            Err(HashParseError::NoScheme) => Err(HashParseError::NoScheme),
            _ if text.len() > TEXT_LENGTH_MAX => Err(HashParseError::TooLong { found: text.len() }),
            Err(error) => Err(error),
            Ok(scheme) => scheme.check(bounds).map(|()| Self { scheme }),
        }
    }

    /// The scheme by its name, for reports.
    pub fn scheme_name(&self) -> &'static str {
        match &self.scheme {
            Scheme::Argon(hash) if hash.is_argon2id() => "argon2id",
            Scheme::Argon(_) => "argon2i or argon2d",
            Scheme::Crypt(CryptHash::ShaCrypt { .. }) => "sha-crypt",
            Scheme::Crypt(CryptHash::Bcrypt { .. }) => "bcrypt",
            Scheme::Digest(_) => "SHA",
            Scheme::Pbkdf2(_) => "PBKDF2",
        }
    }

    /// Whether verifying it is one argon2id computation. Any other scheme is verified with a dummy argon2id
    /// beside it, so that an imported account costs what every account costs.
    pub fn is_argon2id(&self) -> bool {
        matches!(&self.scheme, Scheme::Argon(hash) if hash.is_argon2id())
    }

    /// Octets of argon2 memory that verifying it takes; 0 for other schemes.
    pub fn memory_octets(&self) -> u64 {
        match &self.scheme {
            Scheme::Argon(hash) => hash.parameters().memory_octets(),
            Scheme::Crypt(_) | Scheme::Digest(_) | Scheme::Pbkdf2(_) => 0,
        }
    }

    /// What verifying it costs, in KiB that argon2 passes over, by its parameters: measured on one machine, and near enough
    /// on others for who waits to be served by it.
    pub fn cost(&self) -> u64 {
        match &self.scheme {
            Scheme::Argon(hash) => hash.parameters().cost(),
            Scheme::Crypt(hash) => hash.cost(),
            Scheme::Pbkdf2(hash) => hash.cost(),
            Scheme::Digest(_) => 1,
        }
    }

    /// Whether `secret` is the one that was hashed. Compares in constant time.
    ///
    /// It takes as long as the hash takes: call it on the hash pool, never on a network thread.
    pub fn verify(&self, secret: &[u8], memory: &mut ArgonMemory) -> bool {
        match &self.scheme {
            Scheme::Argon(hash) => hash.verify(secret, memory),
            Scheme::Crypt(hash) => hash.verify(secret),
            Scheme::Digest(hash) => hash.verify(secret),
            Scheme::Pbkdf2(hash) => hash.verify(secret),
        }
    }

    /// Whether a new hash with `parameters` would be of another scheme or cost something else, so that the
    /// next success should replace this one.
    pub fn needs_rehash(&self, parameters: &Argon2Parameters) -> bool {
        match &self.scheme {
            Scheme::Argon(hash) => hash.differs_from(parameters),
            Scheme::Crypt(_) | Scheme::Digest(_) | Scheme::Pbkdf2(_) => true,
        }
    }
}

impl fmt::Debug for StoredHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "StoredHash({}, …)", self.scheme_name())
    }
}

/// The most that verifying one stored hash may cost. A hash that asks for more is an error where it is seeded
/// and is left out where it is imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashBounds {
    /// Memory of argon2, in KiB.
    pub memory_kib_max: u32,
    /// Passes of argon2.
    pub time_cost_max: u32,
    /// Lanes of argon2.
    pub parallelism_max: u32,
    pub pbkdf2_rounds_max: u32,
    pub sha_crypt_rounds_max: u32,
    /// Binary logarithm of bcrypt's rounds.
    pub bcrypt_cost_max: u32,
}

impl Default for HashBounds {
    /// What the usual tools write by default passes (100 MiB and 8 lanes of Django's argon2, 1,000,000 rounds of
    /// Django 5.2's PBKDF2 and 1,200,000 of 6.0's, passlib's 656,000 rounds of sha-crypt); each bound is about a
    /// second of one core.
    fn default() -> Self {
        Self {
            memory_kib_max: 131_072,
            time_cost_max: 10,
            parallelism_max: 16,
            pbkdf2_rounds_max: 2_000_000,
            sha_crypt_rounds_max: 1_000_000,
            bcrypt_cost_max: 14,
        }
    }
}

/// Why a text is no hash that bindery keeps.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HashParseError {
    /// It begins neither with `$argon2`, nor with `{SCHEME}`, nor with a name of Django's.
    #[error(
        "this is not a password hash: a hash begins with $argon2id$, $argon2i$, $argon2d$, \
         a scheme in braces such as {{SSHA}}, or a name of Django's such as pbkdf2_sha256$"
    )]
    NoScheme,
    /// It has a scheme, but none that bindery verifies.
    #[error("the scheme {}is not supported; use one of {SUPPORTED}", shown(*scheme))]
    UnknownScheme {
        /// The name between the braces, or Django's with its `$`, where it is one that other servers write.
        /// Anything else may be a piece of a password in clear, and is not shown.
        scheme: Option<&'static str>,
    },
    /// It has a scheme, and what follows is not of its form.
    #[error("the {scheme} hash is damaged or cut off; it should be {expected}")]
    Malformed {
        scheme: &'static str,
        /// What should follow.
        expected: &'static str,
    },
    /// Verifying it would cost more than is allowed.
    #[error(
        "the hash asks for {quantity} = {found}, above {bound} = {maximum} of server.limits; raise that limit or set a \
         new password"
    )]
    AboveBound {
        /// What the hash asks for.
        quantity: &'static str,
        /// The limit of the config that [`HashBounds`] holds.
        bound: &'static str,
        /// What it asks for.
        found: u32,
        /// What is allowed.
        maximum: u32,
    },
    /// No scheme writes so much.
    #[error("the hash has {found} characters, above the {TEXT_LENGTH_MAX} that any scheme writes")]
    TooLong {
        /// Its length in octets.
        found: usize,
    },
}

#[derive(Clone)]
enum Scheme {
    Argon(ArgonHash),
    Crypt(CryptHash),
    Digest(DigestHash),
    Pbkdf2(Pbkdf2Hash),
}

impl Scheme {
    fn parse(text: &str) -> Result<Self, HashParseError> {
        if text.starts_with("$argon2") {
            return Self::parse_argon("argon2", text);
        }
        let Some(text) = text.strip_prefix('{') else { return Self::parse_django(text) };
        let (name, rest) =
            text.split_once('}').filter(|(name, _)| is_scheme_name(name)).ok_or(HashParseError::NoScheme)?;
        match name.to_ascii_uppercase().as_str() {
            "ARGON2" => Self::parse_argon("{ARGON2}", rest),
            "CRYPT" => CryptHash::parse(rest).map(Self::Crypt).ok_or(HashParseError::Malformed {
                scheme: "{CRYPT}",
                expected: "{CRYPT} and $5$, $6$, $2a$, $2b$ or $2y$ with its salt and digest in full",
            }),
            "SHA" => Self::parse_digest("{SHA}", Function::Sha1, false, rest),
            "SHA256" => Self::parse_digest("{SHA256}", Function::Sha256, false, rest),
            "SHA512" => Self::parse_digest("{SHA512}", Function::Sha512, false, rest),
            "SSHA" => Self::parse_digest("{SSHA}", Function::Sha1, true, rest),
            "SSHA256" => Self::parse_digest("{SSHA256}", Function::Sha256, true, rest),
            "SSHA512" => Self::parse_digest("{SSHA512}", Function::Sha512, true, rest),
            "PBKDF2" | "PBKDF2-SHA1" => Self::parse_pbkdf2("{PBKDF2-SHA1}", Function::Sha1, rest),
            "PBKDF2-SHA256" => Self::parse_pbkdf2("{PBKDF2-SHA256}", Function::Sha256, rest),
            "PBKDF2-SHA512" => Self::parse_pbkdf2("{PBKDF2-SHA512}", Function::Sha512, rest),
            other => {
                let known = FOREIGN_SCHEMES.iter().find(|known| **known == other);
                Err(HashParseError::UnknownScheme { scheme: known.copied() })
            }
        }
    }

    /// `name$…`, as the hashers of Django write it. A name that none of them has makes it no hash at all.
    fn parse_django(text: &str) -> Result<Self, HashParseError> {
        let (name, rest) = text.split_once('$').ok_or(HashParseError::NoScheme)?;
        let pbkdf2 = |scheme, function| {
            Pbkdf2Hash::parse_django(function, rest).map(Self::Pbkdf2).ok_or(HashParseError::Malformed {
                scheme,
                expected: "<rounds>$<salt>$<key> behind its name",
            })
        };
        let bcrypt = |scheme, input| {
            CryptHash::parse_bcrypt(rest, input).map(Self::Crypt).ok_or(HashParseError::Malformed {
                scheme,
                expected: "$2b$<cost>$<salt and digest> behind its name",
            })
        };
        match name {
            "pbkdf2_sha256" => pbkdf2("pbkdf2_sha256$", Function::Sha256),
            "pbkdf2_sha1" => pbkdf2("pbkdf2_sha1$", Function::Sha1),
            "argon2" => Self::parse_argon("argon2$", text.get(name.len()..).unwrap_or_default()),
            "bcrypt_sha256" => bcrypt("bcrypt_sha256$", BcryptInput::HexOfSha256),
            "bcrypt" => bcrypt("bcrypt$", BcryptInput::Secret),
            // A password in clear may begin with such a word; what has two signs more is the work of a hasher.
            other if rest.contains('$') => DJANGO_UNSUPPORTED
                .iter()
                .find(|known| known.strip_suffix('$') == Some(other))
                .map_or(Err(HashParseError::NoScheme), |known| {
                    Err(HashParseError::UnknownScheme { scheme: Some(known) })
                }),
            _ => Err(HashParseError::NoScheme),
        }
    }

    fn parse_argon(scheme: &'static str, text: &str) -> Result<Self, HashParseError> {
        ArgonHash::parse(text).map(Self::Argon).ok_or(HashParseError::Malformed {
            scheme,
            expected: "a PHC string such as $argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>",
        })
    }

    fn parse_digest(
        scheme: &'static str,
        function: Function,
        salted: bool,
        text: &str,
    ) -> Result<Self, HashParseError> {
        let expected = if salted {
            "the scheme and base64 of the digest and its salt"
        } else {
            "the scheme and base64 of the digest"
        };
        DigestHash::parse(function, salted, text)
            .map(Self::Digest)
            .ok_or(HashParseError::Malformed { scheme, expected })
    }

    fn parse_pbkdf2(scheme: &'static str, function: Function, text: &str) -> Result<Self, HashParseError> {
        Pbkdf2Hash::parse(function, text)
            .map(Self::Pbkdf2)
            .ok_or(HashParseError::Malformed { scheme, expected: "the scheme and <rounds>$<salt>$<key>" })
    }

    fn check(&self, bounds: &HashBounds) -> Result<(), HashParseError> {
        match self {
            Self::Argon(hash) => {
                let parameters = hash.parameters();
                within("m (KiB)", parameters.memory_kib(), "argon2_memory_max", bounds.memory_kib_max)?;
                within("t", parameters.time_cost(), "argon2_time_cost_max", bounds.time_cost_max)?;
                within("p", parameters.parallelism(), "argon2_parallelism_max", bounds.parallelism_max)
            }
            Self::Crypt(CryptHash::ShaCrypt { rounds, .. }) => {
                within("rounds", *rounds, "sha_crypt_rounds_max", bounds.sha_crypt_rounds_max)
            }
            Self::Crypt(CryptHash::Bcrypt { cost, .. }) => {
                within("cost", *cost, "bcrypt_cost_max", bounds.bcrypt_cost_max)
            }
            Self::Pbkdf2(hash) => {
                within("rounds", hash.rounds(), "pbkdf2_rounds_max", bounds.pbkdf2_rounds_max)
            }
            Self::Digest(_) => Ok(()),
        }
    }
}

fn within(
    quantity: &'static str,
    found: u32,
    bound: &'static str,
    maximum: u32,
) -> Result<(), HashParseError> {
    if found <= maximum {
        Ok(())
    } else {
        Err(HashParseError::AboveBound { quantity, bound, found, maximum })
    }
}

fn shown(scheme: Option<&str>) -> String {
    match scheme {
        None => "in its braces ".to_owned(),
        Some(scheme) if scheme.ends_with('$') => format!("{scheme} "),
        Some(scheme) => format!("{{{scheme}}} "),
    }
}

/// Whether it has the form of a scheme's name.
fn is_scheme_name(name: &str) -> bool {
    (1..=SCHEME_LENGTH_MAX).contains(&name.len())
        && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet))
}

const SUPPORTED: &str = "{ARGON2}, {CRYPT} with $5$, $6$, $2a$, $2b$ or $2y$, {SSHA}, {SSHA256}, {SSHA512}, \
                         {SHA}, {SHA256}, {SHA512}, {PBKDF2}, {PBKDF2-SHA1}, {PBKDF2-SHA256}, {PBKDF2-SHA512}, \
                         or Django's pbkdf2_sha256$, pbkdf2_sha1$, argon2$, bcrypt_sha256$, bcrypt$";

/// Schemes of other servers that are not verified here, in upper case.
const FOREIGN_SCHEMES: [&str; 20] = [
    "AES",
    "CLEAR",
    "CLEARTEXT",
    "DES",
    "GSS-SPNEGO",
    "KERBEROS",
    "LANMAN",
    "LM",
    "MD4",
    "MD5",
    "NS-MTA-MD5",
    "NT",
    "NTLM",
    "PBKDF2_SHA256",
    "SASL",
    "SHA384",
    "SMD5",
    "SSHA384",
    "TOTP",
    "UNIX",
];

/// Hashers that Django has or had, and that are not verified here: scrypt, whose memory no pool counts, and what is
/// broken.
const DJANGO_UNSUPPORTED: [&str; 6] =
    ["scrypt$", "sha1$", "md5$", "crypt$", "unsalted_sha1$", "unsalted_md5$"];

/// Characters of a hash: the longest scheme writes about 200.
/// No limit of the config: the schemes give it.
const TEXT_LENGTH_MAX: usize = 512;

/// Characters of a scheme's name.
/// No limit of the config: the schemes give it.
const SCHEME_LENGTH_MAX: usize = 20;

#[cfg(test)]
mod tests;
