//! Server-side sorting (RFC 2891).

use smallvec::SmallVec;

use super::{in_value, value_of};
use crate::ldap::ber::{self, BerWriter, tag};
use crate::ldap::message::{Control, Fault};
use crate::ldap::result_code::ResultCode;

pub(super) const REQUEST_OID: &str = "1.2.840.113556.1.4.473";
const RESPONSE_OID: &str = "1.2.840.113556.1.4.474";

/// The order that a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ldap) struct SortRequest<'a> {
    /// By what, the first before the others; never empty.
    pub(in crate::ldap) keys: SmallVec<[SortKeyRequest<'a>; 2]>,
    /// Whether the search must fail when it cannot be sorted.
    pub(in crate::ldap) criticality: bool,
}

/// One key of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ldap) struct SortKeyRequest<'a> {
    /// The attribute description.
    pub(in crate::ldap) attribute: &'a str,
    /// The ordering rule, when it is not the attribute's own.
    pub(in crate::ldap) rule: Option<&'a str>,
    /// Whether the largest comes first.
    pub(in crate::ldap) reverse: bool,
}

impl<'a> SortRequest<'a> {
    pub(super) fn decode(control: &Control<'a>) -> Result<Self, Fault> {
        let mut list = value_of(control, tag::SEQUENCE)?;
        let mut keys = SmallVec::new();
        while !list.is_empty() {
            if keys.len() == KEYS_MAX {
                return Err(Fault::ControlValue);
            }
            let mut key = list.sequence().map_err(in_value)?;
            let attribute = key.string().map_err(in_value)?;
            let rule = key.optional(ORDERING_RULE).map_err(in_value)?;
            let rule = rule.map(ber::utf8).transpose().map_err(in_value)?;
            let reverse = key.optional(REVERSE_ORDER).map_err(in_value)?;
            let reverse = reverse.map(ber::boolean).transpose().map_err(in_value)?.unwrap_or(false);
            key.ignore_unknown_rest(&[ORDERING_RULE, REVERSE_ORDER]).map_err(in_value)?;
            keys.push(SortKeyRequest { attribute, rule, reverse });
        }
        if keys.is_empty() {
            return Err(Fault::ControlValue);
        }
        Ok(Self { keys, criticality: control.criticality })
    }
}

/// The value of the response: whether the results are sorted and, when they are not, for which attribute.
pub(in crate::ldap) fn sort_response(code: ResultCode, attribute: Option<&str>) -> (&'static str, Vec<u8>) {
    let mut value = Vec::new();
    let mut writer = BerWriter::new(&mut value);
    let sequence = writer.begin(tag::SEQUENCE);
    writer.enumerated(i64::from(code.as_u8()));
    if let Some(attribute) = attribute {
        writer.element(ATTRIBUTE_TYPE, attribute.as_bytes());
    }
    writer.end(sequence);
    (RESPONSE_OID, value)
}

const ORDERING_RULE: u8 = tag::context(0);
const REVERSE_ORDER: u8 = tag::context(1);
const ATTRIBUTE_TYPE: u8 = tag::context(0);
/// Keys of one order. More than this nobody means: RFC 2891 section 2 lets a server restrict them.
/// No limit of the config: the RFC gives the right to it.
const KEYS_MAX: usize = 16;
