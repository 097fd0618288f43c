//! ExtendedRequest (RFC 4511 section 4.12), decoded by `ldap3_proto`.

use std::fmt;

use ldap3_proto::proto::LdapOp;

use super::fault::Fault;
use super::{Withheld, proto};
use crate::ldap::ber::{BerError, BerReader, tag};

/// A request for an operation that an OID names.
#[derive(Clone, PartialEq, Eq)]
pub struct ExtendedRequest {
    /// The OID of the operation, as sent.
    pub name: String,
    /// What the operation needs; may hold passwords.
    pub value: Option<Vec<u8>>,
}

impl ExtendedRequest {
    pub(super) fn decode(body: &[u8]) -> Result<Self, Fault> {
        let components = known_components(body)?;
        let message = proto::decode(|writer| writer.element(EXTENDED, components));
        match message.map(|message| message.op) {
            Some(LdapOp::ExtendedRequest(request)) => Ok(Self { name: request.name, value: request.value }),
            _ => Err(Fault::Encoding { field: "requestName", error: BerError::NotUtf8 }),
        }
    }
}

impl fmt::Debug for ExtendedRequest {
    /// Without the value: that of Password Modify is passwords.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ExtendedRequest")
            .field("name", &self.name)
            .field("value", &self.value.as_ref().map(|octets| Withheld(octets.len())))
            .finish()
    }
}

/// The octets of requestName and requestValue without what stands behind them.
///
/// `ldap3_proto` takes a value that is cut or of the wrong form for no value, and a Password Modify
/// without one would make a new password: so both are checked to be whole before it sees them.
fn known_components(body: &[u8]) -> Result<&[u8], Fault> {
    let mut reader = BerReader::new(body);
    reader.expect(NAME).map_err(Fault::in_field("requestName"))?;
    reader.optional(VALUE).map_err(Fault::in_field("requestValue"))?;
    let known = body.len() - reader.rest().len();
    let tags = [NAME, NAME_CONSTRUCTED, VALUE, VALUE_CONSTRUCTED];
    reader.ignore_unknown_rest(&tags).map_err(Fault::in_field("ExtendedRequest"))?;
    Ok(body.get(..known).unwrap_or(body))
}

const EXTENDED: u8 = 0x77;
const NAME: u8 = tag::context(0);
const NAME_CONSTRUCTED: u8 = tag::context_constructed(0);
const VALUE: u8 = tag::context(1);
const VALUE_CONSTRUCTED: u8 = tag::context_constructed(1);
