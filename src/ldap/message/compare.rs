//! CompareRequest (RFC 4511 section 4.10).

use super::fault::Fault;
use crate::ldap::ber::BerReader;

/// A request to compare one value with those of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompareRequest<'a> {
    /// The DN of the entry.
    pub entry: &'a str,
    /// The attribute description, options included.
    pub attribute: &'a str,
    /// The assertion value: octets, not necessarily UTF-8.
    pub value: &'a [u8],
}

impl<'a> CompareRequest<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Self, Fault> {
        let mut reader = BerReader::new(body);
        let entry = reader.string().map_err(Fault::in_field("entry"))?;
        let mut assertion = reader.sequence().map_err(Fault::in_field("ava"))?;
        let attribute = assertion.string().map_err(Fault::in_field("attributeDesc"))?;
        let value = assertion.octet_string().map_err(Fault::in_field("assertionValue"))?;
        assertion.ignore_rest().map_err(Fault::in_field("ava"))?;
        reader.ignore_rest().map_err(Fault::in_field("CompareRequest"))?;
        Ok(Self { entry, attribute, value })
    }
}
