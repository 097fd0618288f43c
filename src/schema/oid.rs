//! Short names and object identifiers, as they stand for what a schema defines (RFC 4512 section 1.4).

/// A dotted OID with at least one dot and no leading zeros (RFC 4512 section 1.4, `numericoid`).
pub(super) fn is_numeric_oid(value: &[u8]) -> bool {
    let arc = |arc: &[u8]| {
        !arc.is_empty()
            && arc.iter().all(u8::is_ascii_digit)
            && (arc.len() == 1 || arc.first() != Some(&b'0'))
    };
    value.contains(&b'.') && value.split(|octet| *octet == b'.').all(arc)
}

/// A short name: a letter, then letters, digits and hyphens (RFC 4512 section 1.4, `keystring`).
pub fn is_keystring(value: &[u8]) -> bool {
    value.first().is_some_and(u8::is_ascii_alphabetic)
        && value.iter().all(|octet| octet.is_ascii_alphanumeric() || *octet == b'-')
}

/// A short name or a dotted OID: what stands for an attribute type in a DN (RFC 4514 section 3).
pub fn is_oid(value: &[u8]) -> bool {
    is_keystring(value) || is_numeric_oid(value)
}
