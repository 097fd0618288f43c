//! Simple paged results (RFC 2696).

use super::{decode_count, in_value, value_of};
use crate::ldap::ber::{BerWriter, tag};
use crate::ldap::message::{Control, Fault};

pub(super) const OID: &str = "1.2.840.113556.1.4.319";

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ldap) struct PagedRequest<'a> {
    /// Entries of a page.
    pub(in crate::ldap) size: u32,
    /// What the page before ended with; empty for the first.
    pub(in crate::ldap) cookie: &'a [u8],
}

impl<'a> PagedRequest<'a> {
    pub(super) fn decode(control: &Control<'a>) -> Result<Self, Fault> {
        let mut reader = value_of(control, tag::SEQUENCE)?;
        let size = decode_count(&mut reader)?;
        let cookie = reader.octet_string().map_err(in_value)?;
        reader.ignore_rest().map_err(in_value)?;
        Ok(Self { size, cookie })
    }
}

/// The value of the response: an estimate of the number of entries (0: unknown), and the cookie of the next page
/// (empty: there is none).
pub(in crate::ldap) fn paged_response(estimate: u32, cookie: &[u8]) -> (&'static str, Vec<u8>) {
    let mut value = Vec::new();
    let mut writer = BerWriter::new(&mut value);
    let sequence = writer.begin(tag::SEQUENCE);
    writer.integer(i64::from(estimate));
    writer.octet_string(cookie);
    writer.end(sequence);
    (OID, value)
}
