//! The normal form of a distinguished name: equal names are equal octets, and "below" is "ends with".
//!
//! `type=value` of the leaf first, RDNs joined with `,`, the pairs of one RDN with `+` in order of their octets.
//! A type is the lower-case first name of the attribute type (one that the schema does not know: as written, in
//! lower case). A value is the normal form of the type's equality rule, without a rule as text without regard to
//! case; in it `,` `+` and `\` are written as `\` and two digits, so a `,` is always a border of an RDN. A value
//! that is not of the type's syntax starts with `\!` and is compared as text, or octet by octet when it is no text.
//!
//! So `name` is at or below `suffix` when the suffix is empty, when they are equal, or when `name` ends with a `,`
//! and the suffix. Everything here works on the octets without allocation; [`NormalDn`] owns them.

use std::borrow::Borrow;
use std::fmt;

use super::{Dn, DnError, Rdn};
use crate::schema::Schema;
use crate::schema::matching::MatchingRule;
use crate::schema::prepare::{self, Case};

/// The normal form of a name. Two spellings of one name have the same; hashes and compares as its octets.
#[derive(Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Default)]
pub struct NormalDn(Box<[u8]>);

impl NormalDn {
    /// Takes octets over that [`normalize_dn`] has made.
    pub fn from_normal(octets: Vec<u8>) -> Self {
        Self(octets.into_boxed_slice())
    }

    /// The octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn is_at_or_below(&self, suffix: &Self) -> bool {
        is_at_or_below(&self.0, &suffix.0)
    }
}

impl Borrow<[u8]> for NormalDn {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for NormalDn {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for NormalDn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "NormalDn({})", self.0.escape_ascii())
    }
}

impl Dn {
    /// The form in which two spellings of one name are the same.
    pub fn normal_form(&self, schema: &Schema) -> NormalDn {
        let mut out = Vec::new();
        self.append_normal_form(schema, usize::MAX, &mut out);
        NormalDn::from_normal(out)
    }

    fn append_normal_form(&self, schema: &Schema, octets_max: usize, out: &mut Vec<u8>) {
        let start = out.len();
        for (place, rdn) in self.rdns().iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            let Some(left) = octets_max.checked_sub(out.len() - start) else { return };
            append_rdn(rdn, schema, left, out);
        }
    }
}

/// Appends the normal form of a name straight from its text; the usual `cn=x,ou=y,dc=z` in ASCII without an
/// allocation. On an error nothing is appended.
///
/// # Errors
/// [`DnError`] when the text is no name.
pub fn normalize_dn(text: &[u8], schema: &Schema, out: &mut Vec<u8>) -> Result<(), DnError> {
    normalize_dn_within(text, schema, usize::MAX, out)
}

/// The same, but stops soon behind `octets_max` octets: where more than that is appended, it is no normal form.
///
/// # Errors
/// [`DnError`] when the text is no name.
pub fn normalize_dn_within(
    text: &[u8],
    schema: &Schema,
    octets_max: usize,
    out: &mut Vec<u8>,
) -> Result<(), DnError> {
    let start = out.len();
    if append_usual(text, schema, out).is_some() {
        return Ok(());
    }
    out.truncate(start);
    Dn::parse(text)?.append_normal_form(schema, octets_max, out);
    Ok(())
}

/// Whether `name` is `suffix` or below it; both in normal form.
pub fn is_at_or_below(name: &[u8], suffix: &[u8]) -> bool {
    match name.strip_suffix(suffix) {
        Some([] | [.., b',']) => true,
        Some(_) => suffix.is_empty(),
        None => false,
    }
}

/// The name one step up, of a name in normal form; `None` for the root.
pub fn parent(name: &[u8]) -> Option<&[u8]> {
    if name.is_empty() {
        return None;
    }
    match memchr::memchr(b',', name) {
        Some(border) => name.get(border + 1..),
        None => Some(&[]),
    }
}

/// The usual name, in one pass. `None`, with `out` in any state, when it is not so plain that this function knows
/// it: then the parser decides.
fn append_usual(text: &[u8], schema: &Schema, out: &mut Vec<u8>) -> Option<()> {
    if !text.iter().all(|octet| matches!(octet, b' '..=b'~') && !b"\\\"+;".contains(octet)) {
        return None;
    }
    if text.is_empty() {
        return Some(());
    }
    for (place, rdn) in text.split(|octet| *octet == b',').enumerate() {
        if place > 0 {
            out.push(b',');
        }
        let equals = memchr::memchr(b'=', rdn)?;
        let (attribute, [_, value @ ..]) = rdn.split_at_checked(equals)? else {
            return None;
        };
        let attribute = std::str::from_utf8(attribute.trim_ascii()).ok()?;
        let value = value.trim_ascii_start();
        let is_name = attribute.bytes().next().is_some_and(|first| first.is_ascii_alphabetic())
            && attribute.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
        if !is_name || value.first() == Some(&b'#') {
            return None;
        }
        let case = match schema.find(attribute) {
            None => {
                append_lower_case(attribute, out);
                Case::Fold
            }
            Some(id) => {
                let attribute = schema.attribute(id);
                append_lower_case(&attribute.name, out);
                match attribute.equality {
                    None | Some(MatchingRule::CaseIgnore | MatchingRule::CaseIgnoreIa5) => Case::Fold,
                    Some(MatchingRule::CaseExact | MatchingRule::CaseExactIa5) => Case::Keep,
                    Some(_) => return None,
                }
            }
        };
        out.push(b'=');
        // Nothing that must be escaped can be in it.
        prepare::prepare_plain(value, case, out).then_some(())?;
    }
    Some(())
}

fn append_rdn(rdn: &Rdn, schema: &Schema, octets_max: usize, out: &mut Vec<u8>) {
    if let [pair] = rdn.pairs() {
        append_pair(&pair.attribute, &pair.value, schema, octets_max, out);
        return;
    }
    let mut left = octets_max;
    let mut pairs: Vec<Vec<u8>> = Vec::with_capacity(rdn.pairs().len());
    for pair in rdn.pairs() {
        let mut octets = Vec::new();
        append_pair(&pair.attribute, &pair.value, schema, left, &mut octets);
        let is_too_much = octets.len() > left;
        left = left.saturating_sub(octets.len());
        if is_too_much {
            out.extend_from_slice(&octets);
            out.resize(out.len() + octets_max, b' ');
            return;
        }
        pairs.push(octets);
    }
    // An RDN is a set (X.501), so order does not count. No type may come twice in it: what repeats one is not the name
    // of what has it once.
    pairs.sort_unstable();
    for (place, pair) in pairs.iter().enumerate() {
        if place > 0 {
            out.push(b'+');
        }
        out.extend_from_slice(pair);
    }
}

fn append_pair(attribute: &str, value: &[u8], schema: &Schema, octets_max: usize, out: &mut Vec<u8>) {
    let known = schema.find(attribute).map(|id| schema.attribute(id));
    append_lower_case(known.map_or(attribute, |attribute| &attribute.name), out);
    out.push(b'=');
    let rule = known.and_then(|attribute| attribute.equality).unwrap_or(MatchingRule::CaseIgnore);
    // A value that is itself a name is compared octet by octet: names in names in names would be recursion.
    let is_name = matches!(rule, MatchingRule::DistinguishedName | MatchingRule::UniqueMember);
    let mut normal = Vec::with_capacity(value.len());
    if is_name || rule.normalize_within(value, octets_max, &mut normal).is_err() {
        out.extend_from_slice(b"\\!");
        if MatchingRule::CaseIgnore.normalize_within(value, octets_max, &mut normal).is_err() {
            out.push(b'!');
            normal.extend_from_slice(value);
        }
    }
    for octet in normal {
        match octet {
            b',' | b'+' | b'\\' => {
                out.push(b'\\');
                out.extend_from_slice(match octet {
                    b',' => b"2c",
                    b'+' => b"2b",
                    _ => b"5c",
                });
            }
            _ => out.push(octet),
        }
    }
}

fn append_lower_case(name: &str, out: &mut Vec<u8>) {
    out.extend(name.bytes().map(|octet| octet.to_ascii_lowercase()));
}
