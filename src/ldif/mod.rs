//! LDIF (RFC 2849): content records from other directories, and exports of our own.

pub mod reader;
pub mod writer;

use std::fmt;

pub use reader::LdifReader;
pub use writer::{LdifWriteError, LdifWriter, RecordWriter};

/// One content record: an entry as LDIF states it, with nothing interpreted.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// The line that it begins on, counted from 1.
    pub line: u64,
    /// The distinguished name as written.
    pub dn: String,
    /// Attribute descriptions as written (options included) with one value each, in order.
    pub attributes: Vec<(String, Vec<u8>)>,
}

impl Record {
    /// The values of one attribute description, its case ignored; its options must be the same.
    pub fn values<'a>(&'a self, description: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.attributes
            .iter()
            .filter(|(candidate, _)| candidate.eq_ignore_ascii_case(description))
            .map(|(_, value)| value.as_slice())
    }

    /// The record as LDIF, secrets included: for exports and the messages of failing tests.
    pub fn to_ldif(&self) -> String {
        let mut text = Vec::new();
        writer::push_line(&mut text, "dn", self.dn.as_bytes());
        for (description, value) in &self.attributes {
            writer::push_line(&mut text, description, value);
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl fmt::Debug for Record {
    /// Without values: one of them may be a password.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let descriptions: Vec<&str> =
            self.attributes.iter().map(|(description, _)| description.as_str()).collect();
        formatter
            .debug_struct("Record")
            .field("line", &self.line)
            .field("dn", &self.dn)
            .field("descriptions", &descriptions)
            .finish_non_exhaustive()
    }
}

/// An attribute description of LDIF: a letter or digit, then letters, digits, `-`, `.` and `;`.
///
/// Beyond RFC 2849, `_` and `=` are accepted: other directories export such names and options
/// (`member;range=0-999`).
fn is_description(description: &[u8]) -> bool {
    description.first().is_some_and(u8::is_ascii_alphanumeric)
        && description
            .iter()
            .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b';' | b'_' | b'='))
}

#[cfg(test)]
mod tests;
