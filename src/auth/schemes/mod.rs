//! The schemes that a stored hash can be of: argon2 for our own, the rest for what was imported.
//!
//! Each file parses one family within its bounds and verifies a secret against it. What has been parsed can
//! be verified without a further check, and nothing that was stored, however damaged, makes it panic.

pub mod argon;
pub(super) mod crypt;
pub(super) mod digest;
pub(super) mod pbkdf2;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Base64 with or without padding: exports of other servers have both.
pub(super) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text).ok()
}

/// Base64 as passlib and OpenLDAP's pw-pbkdf2 write it: `.` in the place of `+`, no padding.
pub(super) fn decode_adapted_base64(text: &str) -> Option<Vec<u8>> {
    decode_base64(&text.replace('.', "+"))
}

/// A number as these formats write it: digits only, no sign.
pub(super) fn decimal(text: &str) -> Option<u32> {
    if text.bytes().all(|octet| octet.is_ascii_digit()) { text.parse().ok() } else { None }
}

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
