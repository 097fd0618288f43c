//! From a frame to a request: decoded by ourselves where it is hot, borrowed from the read buffer,
//! values as octets, a filter as one flat list.
//!
//! Nothing here allocates for an ordinary request, recurses, or trusts a number of elements before
//! they have been read. A request that cannot be decoded does not end the connection:
//! [`DecodeError`] says how it is answered.

use std::fmt;

use super::ber;
use super::frame::Frame;

mod bind;
mod compare;
mod control;
mod extended;
mod fault;
mod filter;
mod operation;
mod proto;
mod search;

pub use bind::{Authentication, BindRequest};
pub use compare::CompareRequest;
pub use control::{Control, Controls, RepeatedControl};
pub use extended::ExtendedRequest;
pub use fault::{Answer, DecodeError, Fault};
pub use filter::{FilterItems, decode_filter};
pub use operation::{Operation, ResponseTag};
pub use search::{Dereference, Scope, SearchRequest, names_in};

/// One decoded LDAPMessage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The message ID, 0 to 2,147,483,647; 0 is not a request's (see [`Frame::message_id`]).
    pub message_id: i32,
    /// What is asked.
    pub request: Request<'a>,
    /// The controls in the order they were sent.
    pub controls: Controls<'a>,
}

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
// A search is the ordinary request: to box it would cost an allocation for each.
#[allow(clippy::large_enum_variant)]
pub enum Request<'a> {
    /// RFC 4511 section 4.2.
    Bind(BindRequest<'a>),
    /// RFC 4511 section 4.3. It decodes whatever its contents and controls are: the client goes.
    Unbind,
    /// RFC 4511 section 4.5.
    Search(SearchRequest<'a>),
    /// RFC 4511 section 4.10.
    Compare(CompareRequest<'a>),
    /// RFC 4511 section 4.11.
    Abandon {
        /// The message ID of the operation to abandon.
        message_id: i32,
    },
    /// RFC 4511 section 4.12.
    Extended(ExtendedRequest),
    /// A change of the directory. It is refused over LDAP, so its contents are not decoded.
    Update(Update),
}

/// The operations that change the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Update {
    /// RFC 4511 section 4.7.
    Add,
    /// RFC 4511 section 4.6.
    Modify,
    /// RFC 4511 section 4.8.
    Delete,
    /// RFC 4511 section 4.9.
    ModifyDn,
}

/// How much a request may hold. What exceeds a limit is answered with adminLimitExceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// How many connectives of a filter may stand one inside the other.
    pub filter_depth_max: usize,
    /// How many elements a filter may have: connectives, assertions and parts of substrings.
    pub filter_elements_max: usize,
    /// How many controls a request may carry.
    pub controls_max: usize,
    /// How many attributes a search may select.
    pub attributes_max: usize,
}

/// Decodes a frame.
///
/// # Errors
///
/// [`DecodeError`]: the frame is not a request, or the request is malformed or exceeds a limit.
pub fn decode<'a>(frame: &Frame<'a>, limits: &DecodeLimits) -> Result<Message<'a>, DecodeError> {
    let Some(operation) = Operation::from_tag(frame.operation) else {
        return Err(DecodeError::UnknownOperation { tag: frame.operation });
    };
    let refuse = |fault| DecodeError::Refused { operation, fault };
    let controls = match (operation, Controls::decode(frame.controls, limits)) {
        (_, Ok(controls)) => controls,
        (Operation::Unbind, Err(_)) => Controls::default(),
        (_, Err(fault)) => return Err(refuse(fault)),
    };
    let request = Request::decode(operation, frame.body, limits).map_err(refuse)?;
    Ok(Message { message_id: frame.message_id, request, controls })
}

impl<'a> Request<'a> {
    /// Which operation it is.
    pub const fn operation(&self) -> Operation {
        match self {
            Self::Bind(_) => Operation::Bind,
            Self::Unbind => Operation::Unbind,
            Self::Search(_) => Operation::Search,
            Self::Compare(_) => Operation::Compare,
            Self::Abandon { .. } => Operation::Abandon,
            Self::Extended(_) => Operation::Extended,
            Self::Update(update) => update.operation(),
        }
    }

    fn decode(operation: Operation, body: &'a [u8], limits: &DecodeLimits) -> Result<Self, Fault> {
        match operation {
            Operation::Bind => BindRequest::decode(body).map(Self::Bind),
            Operation::Unbind => Ok(Self::Unbind),
            Operation::Search => SearchRequest::decode(body, limits).map(Self::Search),
            Operation::Compare => CompareRequest::decode(body).map(Self::Compare),
            Operation::Abandon => decode_abandon(body),
            Operation::Extended => ExtendedRequest::decode(body).map(Self::Extended),
            Operation::Add => Ok(Self::Update(Update::Add)),
            Operation::Modify => Ok(Self::Update(Update::Modify)),
            Operation::Delete => Ok(Self::Update(Update::Delete)),
            Operation::ModifyDn => Ok(Self::Update(Update::ModifyDn)),
        }
    }
}

impl Update {
    /// Which operation it is.
    pub const fn operation(self) -> Operation {
        match self {
            Self::Add => Operation::Add,
            Self::Modify => Operation::Modify,
            Self::Delete => Operation::Delete,
            Self::ModifyDn => Operation::ModifyDn,
        }
    }
}

impl Default for DecodeLimits {
    /// Deeper than 389 Directory Server (40) and less than `ldap3_proto` (128); an OR of 2,000 names has
    /// room twice.
    fn default() -> Self {
        Self { filter_depth_max: 100, filter_elements_max: 4096, controls_max: 16, attributes_max: 1024 }
    }
}

fn decode_abandon<'a>(body: &[u8]) -> Result<Request<'a>, Fault> {
    let value = ber::integer(body).map_err(Fault::in_field("messageID"))?;
    let message_id = i32::try_from(value).ok().filter(|id| *id >= 0);
    let message_id = message_id.ok_or(Fault::OutOfRange { field: "messageID", value })?;
    Ok(Request::Abandon { message_id })
}

/// Shows octets that may be a secret by their number only.
struct Withheld(usize);

impl fmt::Debug for Withheld {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "({} octets)", self.0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
