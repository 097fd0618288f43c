//! The format of the secrets that bindery generates.
//!
//! ```text
//! bindery_app_ 3kTz9QxY0b 7c…(28 characters)…Q aB3dE9
//! prefix       selector   secret part          checksum
//! ```
//! (without the spaces). The prefix says the intent, so that secret scanners find a leaked one; the selector
//! finds the record without a hash; the secret part alone is 166 bits; the checksum refuses a mistyped or
//! made-up secret before any hash. All but the prefix is base62 in the order `0-9A-Za-z`. Case matters.
//!
//! The checksum is no secret: anybody may compute it, so nothing here needs constant time.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use zeroize::Zeroizing;

use crate::model::Intent;
use crate::secret::Secret;

/// The part of a generated secret that finds its record. It is no secret and may be shown and logged.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selector([u8; SELECTOR_LENGTH]);

impl Selector {
    /// The characters as text.
    pub fn as_str(&self) -> &str {
        // Every constructor checks the alphabet, which is ASCII: the default is never taken.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl TryFrom<&[u8]> for Selector {
    type Error = SelectorError;

    fn try_from(octets: &[u8]) -> Result<Self, SelectorError> {
        let selector: [u8; SELECTOR_LENGTH] = octets.try_into().map_err(|_| SelectorError)?;
        if selector.iter().all(u8::is_ascii_alphanumeric) { Ok(Self(selector)) } else { Err(SelectorError) }
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        Self::try_from(text.as_bytes())
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for Selector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Selector({self})")
    }
}

/// A stored selector is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a selector has exactly {SELECTOR_LENGTH} letters and digits")]
pub struct SelectorError;

/// A secret that bindery has just generated.
#[derive(Debug, Clone)]
pub struct TokenSecret {
    selector: Selector,
    secret: Secret,
}

impl TokenSecret {
    /// Makes a new secret from the operating system's random source; what it is for decides its prefix.
    ///
    /// The selector is unique only by chance (59 bits): a caller that finds it in use generates again.
    ///
    /// # Errors
    /// The random source failed; nothing was generated.
    pub fn generate(intent: Intent) -> Result<Self, RandomSourceError> {
        let mut selector = [0; SELECTOR_LENGTH];
        let mut secret_part = Zeroizing::new([0; SECRET_PART_LENGTH]);
        fill_base62(&mut selector)?;
        fill_base62(secret_part.as_mut_slice())?;

        // Reserved whole, so that no growth leaves a copy behind that is not wiped.
        let mut octets = Vec::with_capacity(intent.secret_prefix().len() + BODY_LENGTH);
        octets.extend_from_slice(intent.secret_prefix().as_bytes());
        octets.extend_from_slice(&selector);
        octets.extend_from_slice(secret_part.as_slice());
        let checksum = checksum(&octets);
        octets.extend_from_slice(&checksum);
        Ok(Self { selector: Selector(selector), secret: Secret::new(octets) })
    }

    /// What its record is found by.
    pub const fn selector(&self) -> Selector {
        self.selector
    }

    /// The whole text, to hash it and to show it once.
    pub const fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Gives the whole text away.
    pub fn into_secret(self) -> Secret {
        self.secret
    }
}

#[cfg(test)]
impl TokenSecret {
    /// The text with the same selector, another secret and the checksum that belongs to it: what anybody can make who
    /// knows the selector.
    pub fn forged(text: &str) -> String {
        let (body, _) = text.as_bytes().split_at(text.len() - CHECKSUM_LENGTH);
        let mut octets = body.to_vec();
        let last = octets.last_mut().unwrap_or_else(|| unreachable!("a secret is longer"));
        *last = if *last == b'a' { b'b' } else { b'a' };
        let checksum = checksum(&octets);
        octets.extend_from_slice(&checksum);
        String::from_utf8_lossy(&octets).into_owned()
    }
}

/// What a secret that somebody presents looks like. It says nothing about whether it is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretShape {
    /// Our prefix, length, alphabet and checksum: its record is under `selector`, or it is wrong.
    Ours {
        /// What the prefix says it is for.
        intent: Intent,
        /// What to look its record up by.
        selector: Selector,
    },
    /// Our prefix, but a length, character or checksum that no generated secret has: wrong, without a hash.
    OursBroken,
    /// Anything else: a password, or a secret that somebody chose.
    Other,
}

impl SecretShape {
    /// Looks at the octets of a presented or seeded secret.
    pub fn parse(octets: &[u8]) -> Self {
        let ours = Intent::ALL.into_iter().find_map(|intent| {
            octets.strip_prefix(intent.secret_prefix().as_bytes()).map(|body| (intent, body))
        });
        let Some((intent, body)) = ours else {
            return Self::Other;
        };
        if body.len() != BODY_LENGTH || !body.iter().all(u8::is_ascii_alphanumeric) {
            return Self::OursBroken;
        }
        let (checked, stated) = octets.split_at(octets.len() - CHECKSUM_LENGTH);
        let (selector, _) = body.split_at(SELECTOR_LENGTH);
        match Selector::try_from(selector) {
            Ok(selector) if stated == checksum(checked) => Self::Ours { intent, selector },
            _ => Self::OursBroken,
        }
    }
}

/// The operating system's random source failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the operating system's random source failed; without it no secret, salt or key can be made")]
pub struct RandomSourceError(#[source] getrandom::Error);

impl From<getrandom::Error> for RandomSourceError {
    fn from(error: getrandom::Error) -> Self {
        Self(error)
    }
}

/// Fills `characters` with evenly distributed base62 characters.
fn fill_base62(characters: &mut [u8]) -> Result<(), RandomSourceError> {
    let mut random = Zeroizing::new([0; RANDOM_BATCH]);
    let mut filled = 0;
    while filled < characters.len() {
        getrandom::fill(random.as_mut_slice())?;
        // Six bits give 64 values; the two that base62 does not have are thrown away, never folded.
        let accepted = random.iter().filter_map(|octet| ALPHABET.get(usize::from(octet & 0x3f)));
        for (place, character) in characters.iter_mut().skip(filled).zip(accepted) {
            *place = *character;
            filled += 1;
        }
    }
    Ok(())
}

/// The first eight octets of BLAKE3, little-endian, modulo 62⁶, as six base62 digits, the highest first.
fn checksum(octets: &[u8]) -> [u8; CHECKSUM_LENGTH] {
    let hash = blake3::hash(octets);
    let mut number =
        hash.as_bytes().iter().take(8).rev().fold(0_u64, |number, octet| number << 8 | u64::from(*octet));
    let mut digits = [0; CHECKSUM_LENGTH];
    for digit in digits.iter_mut().rev() {
        // The remainder is below 62, so it fits and has a character.
        *digit = ALPHABET.get((number % 62) as usize).copied().unwrap_or_default();
        number /= 62;
    }
    digits
}

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Characters of a selector: 59 bits.
pub const SELECTOR_LENGTH: usize = 10;

/// Characters of the secret part: 166 bits, above the 160 that a secret must have.
const SECRET_PART_LENGTH: usize = 28;

/// Characters of the checksum: one made-up secret in 57 thousand million passes.
const CHECKSUM_LENGTH: usize = 6;

/// Characters after the prefix.
const BODY_LENGTH: usize = SELECTOR_LENGTH + SECRET_PART_LENGTH + CHECKSUM_LENGTH;

/// Random octets asked for at once.
const RANDOM_BATCH: usize = 48;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_generated_secret_has_the_documented_shape() {
        for intent in Intent::ALL {
            let generated = TokenSecret::generate(intent).unwrap();
            let octets = generated.secret().expose();
            assert!(octets.len() <= 64, "{}", octets.len());
            assert!(octets.starts_with(intent.secret_prefix().as_bytes()));
            assert!(octets.iter().all(|octet| octet.is_ascii_alphanumeric() || b"_-".contains(octet)));
            assert_eq!(
                SecretShape::parse(octets),
                SecretShape::Ours { intent, selector: generated.selector() }
            );
        }
        assert!((SECRET_PART_LENGTH as f64) * 62_f64.log2() >= 160.0);
    }

    #[test]
    fn the_format_is_fixed_for_ever() {
        // Secrets out in the world keep their checksum: these were computed by another implementation.
        for (intent, text) in [
            (Intent::AppPassword, "bindery_app_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabstTcsa"),
            (Intent::Api, "bindery_api_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZab8y6Jfi"),
        ] {
            let selector = "0123456789".parse().unwrap();
            assert_eq!(SecretShape::parse(text.as_bytes()), SecretShape::Ours { intent, selector });
        }
    }

    #[test]
    fn generated_secrets_differ_and_use_the_whole_alphabet() {
        let mut selectors = HashSet::new();
        let mut characters = HashSet::new();
        for _ in 0..200 {
            let generated = TokenSecret::generate(Intent::AppPassword).unwrap();
            assert!(selectors.insert(generated.selector()));
            characters.extend(generated.secret().expose()[12..].to_vec());
        }
        assert_eq!(characters.len(), 62);
    }

    #[test]
    fn every_changed_character_breaks_it() {
        let generated = TokenSecret::generate(Intent::AppPassword).unwrap();
        let octets = generated.secret().expose().to_vec();
        for place in Intent::AppPassword.secret_prefix().len()..octets.len() {
            let mut changed = octets.clone();
            changed[place] = if changed[place] == b'x' { b'y' } else { b'x' };
            assert_eq!(SecretShape::parse(&changed), SecretShape::OursBroken, "character {place}");
        }
    }

    #[test]
    fn the_other_prefix_has_another_checksum() {
        let generated = TokenSecret::generate(Intent::AppPassword).unwrap();
        let text = String::from_utf8(generated.into_secret().expose().to_vec()).unwrap();
        let other = text.replace("bindery_app_", "bindery_api_");
        assert_eq!(SecretShape::parse(other.as_bytes()), SecretShape::OursBroken);
    }

    #[test]
    fn our_prefix_with_another_length_or_alphabet_is_broken() {
        let generated = TokenSecret::generate(Intent::Api).unwrap();
        let octets = generated.secret().expose();
        let mut longer = octets.to_vec();
        longer.push(b'0');
        let mut other_alphabet = octets.to_vec();
        other_alphabet[20] = b'_';
        for broken in
            [&octets[..octets.len() - 1], &longer, &other_alphabet, b"bindery_api_", b"bindery_app_"]
        {
            assert_eq!(SecretShape::parse(broken), SecretShape::OursBroken);
        }
    }

    #[test]
    fn anything_without_our_prefix_is_other() {
        let upper = TokenSecret::generate(Intent::Api).unwrap().secret().expose().to_ascii_uppercase();
        for other in [b"".as_slice(), b"hunter2", b"bindery_app", b" bindery_app_", &upper, &[0xff; 56]] {
            assert_eq!(SecretShape::parse(other), SecretShape::Other);
        }
    }

    #[test]
    fn nothing_of_the_secret_part_prints() {
        let generated = TokenSecret::generate(Intent::Api).unwrap();
        let shown = format!("{generated:?}");
        let text = String::from_utf8(generated.secret().expose().to_vec()).unwrap();
        assert!(shown.contains(generated.selector().as_str()));
        assert!(!shown.contains(&text[22..]), "{shown}");
    }

    #[test]
    fn a_selector_reads_back() {
        let selector = TokenSecret::generate(Intent::Api).unwrap().selector();
        assert_eq!(selector.as_str().parse::<Selector>().unwrap(), selector);
        assert_eq!(Selector::try_from(selector.as_str().as_bytes()).unwrap(), selector);
        for damaged in ["", "short", "elevenchars", "with space", "äöüäö"] {
            assert_eq!(damaged.parse::<Selector>(), Err(SelectorError), "{damaged:?}");
        }
    }

    proptest! {
        #![proptest_config(crate::rounds::cases(256))]
        #[test]
        fn any_octets_have_a_shape(octets in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert_eq!(SecretShape::parse(&octets), SecretShape::Other);
        }

        #[test]
        fn made_up_secrets_of_ours_are_broken(body in "[0-9A-Za-z_]{0,60}") {
            let text = format!("bindery_app_{body}");
            prop_assert_eq!(SecretShape::parse(text.as_bytes()), SecretShape::OursBroken);
        }
    }
}
