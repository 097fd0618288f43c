//! The controls that are honoured (RFC 4511 section 4.1.11): one table, and what a request asks for with them.
//!
//! Their values are decoded by ourselves, exactly: `ldap3_proto` has no type for most of them, takes a
//! negative number for a large one, and drops an element that is cut without a word. It is the oracle in the
//! tests where it knows the control.

mod list_view;
mod paged;
mod password_policy;
mod session_tracking;
mod sort;
mod values;

use super::message::{
    Control, Controls, DecodeLimits, Fault, FilterItems, Operation, RepeatedControl, decode_filter,
};
use super::result_code::ResultCode;
use crate::ldap::ber::{BerError, BerReader};

pub(super) use list_view::{ListViewRequest, ListViewResult, Target, list_view_response};
pub(super) use paged::{PagedRequest, paged_response};
pub(super) use password_policy::{PasswordPolicy, password_policy_response};
pub(super) use session_tracking::SessionTracking;
pub(super) use sort::{SortRequest, sort_response};

/// What a control is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Paged,
    Sort,
    ListView,
    MatchedValues,
    Assertion,
    ManageDsaIt,
    Subentries,
    DomainScope,
    DontUseCopy,
    SessionTracking,
    PasswordPolicy,
}

/// A control that is honoured.
struct Supported {
    kind: Kind,
    oid: &'static str,
    /// The operations that it may be sent with; with another it is treated as one that is not known.
    operations: &'static [Operation],
}

const fn row(kind: Kind, oid: &'static str, operations: &'static [Operation]) -> Supported {
    Supported { kind, oid, operations }
}

/// Every control that is honoured, as the root DSE advertises it.
const TABLE: &[Supported] = &[
    // RFC 2696.
    row(Kind::Paged, paged::OID, SEARCH),
    // RFC 2891.
    row(Kind::Sort, sort::REQUEST_OID, SEARCH),
    // draft-ietf-ldapext-ldapv3-vlv-09.
    row(Kind::ListView, list_view::REQUEST_OID, SEARCH),
    // RFC 3876.
    row(Kind::MatchedValues, "1.2.826.0.1.3344810.2.3", SEARCH),
    // RFC 4528.
    row(Kind::Assertion, "1.3.6.1.1.12", READ_AND_UPDATE),
    // RFC 3296: there are no referral objects here, so it changes nothing.
    row(Kind::ManageDsaIt, "2.16.840.1.113730.3.4.2", READ_AND_UPDATE),
    // RFC 3672.
    row(Kind::Subentries, "1.3.6.1.4.1.4203.1.10.1", SEARCH),
    // Active Directory's: no referrals are made here, so it changes nothing.
    row(Kind::DomainScope, "1.2.840.113556.1.4.1339", SEARCH),
    // RFC 6171: what is answered is never a copy.
    row(Kind::DontUseCopy, "1.3.6.1.1.22", READ),
    // draft-wahl-ldap-session.
    row(Kind::SessionTracking, session_tracking::OID, ANY),
    // draft-behera-ldap-password-policy.
    row(Kind::PasswordPolicy, password_policy::REQUEST_OID, BIND),
];

const SEARCH: &[Operation] = &[Operation::Search];
const BIND: &[Operation] = &[Operation::Bind];
const READ: &[Operation] = &[Operation::Search, Operation::Compare];
const READ_AND_UPDATE: &[Operation] = &[
    Operation::Search,
    Operation::Compare,
    Operation::Add,
    Operation::Modify,
    Operation::Delete,
    Operation::ModifyDn,
];
const ANY: &[Operation] = &[
    Operation::Bind,
    Operation::Unbind,
    Operation::Search,
    Operation::Modify,
    Operation::Add,
    Operation::Delete,
    Operation::ModifyDn,
    Operation::Compare,
    Operation::Abandon,
    Operation::Extended,
];

/// The OIDs for `supportedControl`.
pub(super) fn supported() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|row| row.oid)
}

/// What a request asks for with its controls.
#[derive(Debug, Default)]
pub(super) struct RequestControls<'a> {
    /// One page of the results.
    pub(super) paged: Option<PagedRequest<'a>>,
    /// The results in this order.
    pub(super) sort: Option<SortRequest<'a>>,
    /// A part of the sorted results.
    pub(super) list_view: Option<ListViewRequest<'a>>,
    /// Only these values, as an OR of assertions.
    pub(super) values: Option<FilterItems<'a>>,
    /// The operation only if this is true of its entry.
    pub(super) assertion: Option<FilterItems<'a>>,
    /// `true`: subentries only; `false`: none, whatever the scope; `None`: only when one is the base.
    pub(super) subentries: Option<bool>,
    /// The expiry of the password in the answer to the bind.
    pub(super) password_policy: bool,
    /// For whom the client works.
    pub(super) session_tracking: Option<SessionTracking<'a>>,
    /// What stays the same from one page or view to the next: a hash of all controls but those. Zero without a page
    /// or an order, which every view has.
    pub(super) unchanging: [u8; 32],
}

/// Why a request is refused for one of its controls.
#[derive(Debug)]
pub(super) struct ControlRefusal {
    pub(super) code: ResultCode,
    /// What is wrong with the value of the control, if that is it.
    pub(super) fault: Option<Fault>,
    pub(super) sentence: String,
}

impl<'a> RequestControls<'a> {
    /// Reads the controls of a request.
    ///
    /// # Errors
    /// unavailableCriticalExtension for a critical control that is not known or does not belong to the operation,
    /// protocolError for one whose value is malformed or that stands twice.
    pub(super) fn read(
        operation: Operation,
        controls: &Controls<'a>,
        limits: &DecodeLimits,
    ) -> Result<Self, ControlRefusal> {
        let mut read = Self::default();
        if controls.is_empty() {
            return Ok(read);
        }
        for control in controls.iter() {
            let known = TABLE.iter().find(|row| row.oid == control.oid);
            match known.filter(|row| row.operations.contains(&operation)) {
                Some(row) => read.take(row, control, controls, limits)?,
                None if control.criticality => {
                    return Err(ControlRefusal {
                        code: ResultCode::UnavailableCriticalExtension,
                        fault: None,
                        sentence: match known {
                            Some(_) => {
                                format!(
                                    "the control {} does not belong to the {} request",
                                    control.oid,
                                    operation.name()
                                )
                            }
                            None => format!("the control {} is not supported", control.oid),
                        },
                    });
                }
                None => {}
            }
        }
        // Without a sequence nobody asks for it.
        if read.paged.is_some() || read.sort.is_some() {
            read.unchanging = unchanging(controls);
        }
        Ok(read)
    }

    fn take(
        &mut self,
        row: &Supported,
        control: &Control<'a>,
        controls: &Controls<'a>,
        limits: &DecodeLimits,
    ) -> Result<(), ControlRefusal> {
        // Several parties may each say for whom they work; of all others it would not be known which is meant.
        if row.kind != Kind::SessionTracking {
            controls.only(row.oid).map_err(|repeated: RepeatedControl| ControlRefusal {
                code: ResultCode::ProtocolError,
                fault: None,
                sentence: repeated.to_string(),
            })?;
        }
        let malformed = |fault: Fault| ControlRefusal {
            code: fault.code(),
            fault: Some(fault),
            sentence: format!("the control {} cannot be read: {fault}", row.oid),
        };
        match row.kind {
            Kind::Paged => self.paged = Some(PagedRequest::decode(control).map_err(malformed)?),
            Kind::Sort => self.sort = Some(SortRequest::decode(control).map_err(malformed)?),
            Kind::ListView => self.list_view = Some(ListViewRequest::decode(control).map_err(malformed)?),
            Kind::MatchedValues => self.values = Some(values::decode(control, limits).map_err(malformed)?),
            Kind::Assertion => self.assertion = Some(decode_assertion(control, limits).map_err(malformed)?),
            Kind::Subentries => self.subentries = Some(decode_boolean(control).map_err(malformed)?),
            Kind::PasswordPolicy => self.password_policy = true,
            Kind::SessionTracking => {
                self.session_tracking = Some(SessionTracking::decode(control).map_err(malformed)?);
            }
            Kind::ManageDsaIt | Kind::DomainScope => {}
            Kind::DontUseCopy => {
                // RFC 6171 section 3: it is critical and has no value.
                if !control.criticality || control.value.is_some() {
                    return Err(malformed(Fault::ControlValue));
                }
            }
        }
        Ok(())
    }
}

/// A hash of all controls but those that differ from page to page.
fn unchanging(controls: &Controls<'_>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for control in controls.iter() {
        if ![paged::OID, list_view::REQUEST_OID, session_tracking::OID].contains(&control.oid) {
            for octets in [control.oid.as_bytes(), control.value.unwrap_or_default()] {
                hasher.update(&(octets.len() as u64).to_be_bytes()).update(octets);
            }
        }
    }
    hasher.finalize().into()
}

/// The contents of the one element that a control's value must be.
fn value_of<'a>(control: &Control<'a>, tag: u8) -> Result<BerReader<'a>, Fault> {
    let mut reader = BerReader::new(control.value.ok_or(Fault::ControlValue)?);
    let contents = reader.expect(tag).map_err(in_value)?;
    if !reader.is_empty() {
        return Err(Fault::ControlValue);
    }
    Ok(BerReader::new(contents))
}

/// RFC 4528 section 3: the value is a Filter.
fn decode_assertion<'a>(control: &Control<'a>, limits: &DecodeLimits) -> Result<FilterItems<'a>, Fault> {
    let mut reader = BerReader::new(control.value.ok_or(Fault::ControlValue)?);
    let filter = decode_filter(&mut reader, limits)?;
    if reader.is_empty() { Ok(filter) } else { Err(Fault::ControlValue) }
}

/// RFC 3672 section 3: the value is a BOOLEAN.
fn decode_boolean(control: &Control<'_>) -> Result<bool, Fault> {
    let mut reader = BerReader::new(control.value.ok_or(Fault::ControlValue)?);
    let value = reader.boolean().map_err(in_value)?;
    if reader.is_empty() { Ok(value) } else { Err(Fault::ControlValue) }
}

/// INTEGER (0 .. maxInt).
fn decode_count(reader: &mut BerReader<'_>) -> Result<u32, Fault> {
    let value = reader.integer().map_err(in_value)?;
    let count = i32::try_from(value).ok().and_then(|count| u32::try_from(count).ok());
    count.ok_or(Fault::OutOfRange { field: "controlValue", value })
}

fn in_value(error: BerError) -> Fault {
    Fault::Encoding { field: "controlValue", error }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
