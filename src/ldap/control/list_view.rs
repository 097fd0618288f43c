//! Virtual list views (draft-ietf-ldapext-ldapv3-vlv-09): a window of the sorted results.

use super::{decode_count, in_value, value_of};
use crate::ldap::ber::{BerReader, BerWriter, tag};
use crate::ldap::message::{Control, Fault};
use crate::ldap::result_code::ResultCode;

pub(super) const REQUEST_OID: &str = "2.16.840.1.113730.3.4.9";
const RESPONSE_OID: &str = "2.16.840.1.113730.3.4.10";

/// The window that a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ldap) struct ListViewRequest<'a> {
    /// Entries before the target.
    pub(in crate::ldap) before: u32,
    /// Entries behind the target.
    pub(in crate::ldap) after: u32,
    /// The entry in the window that it is about.
    pub(in crate::ldap) target: Target<'a>,
    /// What the view before was answered with.
    pub(in crate::ldap) context_id: Option<&'a [u8]>,
}

/// Which entry a window is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ldap) enum Target<'a> {
    /// The one at this place of so many.
    Offset {
        /// Its place, from 1.
        offset: u32,
        /// How many the client believes that there are; 0: it does not know.
        content_count: u32,
    },
    /// The first whose first sort key is not less.
    AtLeast(&'a [u8]),
}

impl<'a> ListViewRequest<'a> {
    pub(super) fn decode(control: &Control<'a>) -> Result<Self, Fault> {
        let mut reader = value_of(control, tag::SEQUENCE)?;
        let before = decode_count(&mut reader)?;
        let after = decode_count(&mut reader)?;
        let choice = reader.element().map_err(in_value)?;
        let target = match choice.tag {
            BY_OFFSET => {
                let mut place = BerReader::new(choice.contents);
                let offset = decode_count(&mut place)?;
                let content_count = decode_count(&mut place)?;
                place.ignore_rest().map_err(in_value)?;
                Target::Offset { offset, content_count }
            }
            AT_LEAST => Target::AtLeast(choice.contents),
            tag => return Err(Fault::Choice { field: "controlValue", tag }),
        };
        let context_id = reader.optional(tag::OCTET_STRING).map_err(in_value)?;
        reader.ignore_unknown_rest(&[tag::OCTET_STRING]).map_err(in_value)?;
        Ok(Self { before, after, target, context_id })
    }
}

/// What came of a list view (section 6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ldap) enum ListViewResult {
    /// One of the result codes of LDAP.
    Code(ResultCode),
    /// It came without a sort control.
    SortControlMissing,
    /// There is no such offset.
    OffsetRangeError,
}

impl ListViewResult {
    const fn as_u8(self) -> u8 {
        match self {
            Self::Code(code) => code.as_u8(),
            Self::SortControlMissing => 60,
            Self::OffsetRangeError => 61,
        }
    }
}

/// The value of the response: the place of the target from 1 (one more than there are when no entry is), how many
/// entries there are, what came of it, and what the next view may come back with.
pub(in crate::ldap) fn list_view_response(
    target: u32,
    content_count: u32,
    result: ListViewResult,
    context_id: &[u8],
) -> (&'static str, Vec<u8>) {
    let mut value = Vec::new();
    let mut writer = BerWriter::new(&mut value);
    let sequence = writer.begin(tag::SEQUENCE);
    writer.integer(i64::from(target));
    writer.integer(i64::from(content_count));
    writer.enumerated(i64::from(result.as_u8()));
    if !context_id.is_empty() {
        writer.octet_string(context_id);
    }
    writer.end(sequence);
    (RESPONSE_OID, value)
}

const BY_OFFSET: u8 = tag::context_constructed(0);
const AT_LEAST: u8 = tag::context(1);
