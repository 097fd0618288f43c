//! What is wrong with a request that cannot be decoded, and how it is answered.

use thiserror::Error;

use super::operation::{Operation, ResponseTag};
use crate::ldap::ber::BerError;
use crate::ldap::result_code::ResultCode;

/// Why a frame is not a request that this server can handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The tag of the operation is not the tag of a request. RFC 4511 section 4.1.1 has the server
    /// send a Notice of Disconnection and close the connection.
    #[error("the operation tag {tag:#04x} is not the tag of a request")]
    UnknownOperation {
        /// The tag octet.
        tag: u8,
    },
    /// The request is known but cannot be decoded. The connection goes on.
    #[error("the {} request is refused: {fault}", .operation.name())]
    Refused {
        /// Which request it is.
        operation: Operation,
        /// What is wrong with it.
        fault: Fault,
    },
}

/// How a [`DecodeError`] is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// With this response, under the message ID of the frame.
    Response(ResponseTag),
    /// Not at all: abandon has no response.
    Silence,
    /// With a Notice of Disconnection; then the connection is closed.
    Disconnection,
}

/// What is wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// A component is not encoded as it must be.
    #[error("{field}: {error}")]
    Encoding {
        /// The component, as RFC 4511 names it.
        field: &'static str,
        /// What is wrong with its octets.
        error: BerError,
    },
    /// A number is not one that the component can have.
    #[error("{field} cannot be {value}")]
    OutOfRange {
        /// The component, as RFC 4511 names it.
        field: &'static str,
        /// The number.
        value: i64,
    },
    /// A choice has a tag that its component cannot have.
    #[error("{field} cannot have the tag {tag:#04x}")]
    Choice {
        /// The component, as RFC 4511 names it.
        field: &'static str,
        /// The tag octet.
        tag: u8,
    },
    /// The value of a control is missing or malformed.
    #[error("the value of a control is missing or malformed")]
    ControlValue,
    /// More or fewer than one filter stands in a NOT.
    #[error("a NOT in the filter must hold exactly one filter")]
    NotOperands,
    /// A substring assertion has no part.
    #[error("a substring assertion in the filter has no part")]
    NoSubstrings,
    /// `initial` is not the first part of a substring assertion, or `final` not the last.
    #[error("the parts of a substring assertion in the filter stand in the wrong order")]
    SubstringOrder,
    /// An extensible match names neither a matching rule nor an attribute.
    #[error("an extensible match in the filter names neither a matching rule nor an attribute")]
    NothingToMatch,
    /// The filter has too many connectives one inside the other.
    #[error("the filter is nested more than {max} deep")]
    FilterTooDeep {
        /// [`super::DecodeLimits::filter_depth_max`].
        max: usize,
    },
    /// The filter has too many elements.
    #[error("the filter has more than {max} elements")]
    FilterTooLong {
        /// [`super::DecodeLimits::filter_elements_max`].
        max: usize,
    },
    /// The request carries too many controls.
    #[error("the request carries more than {max} controls")]
    TooManyControls {
        /// [`super::DecodeLimits::controls_max`].
        max: usize,
    },
    /// The search selects too many attributes.
    #[error("the search selects more than {max} attributes")]
    TooManyAttributes {
        /// [`super::DecodeLimits::attributes_max`].
        max: usize,
    },
}

impl DecodeError {
    /// How it is answered.
    pub fn answer(&self) -> Answer {
        match self {
            Self::UnknownOperation { .. } => Answer::Disconnection,
            Self::Refused { operation, .. } => operation.response().map_or(Answer::Silence, Answer::Response),
        }
    }

    /// The result code of the answer. The sentence to go with it is the error itself.
    pub const fn code(&self) -> ResultCode {
        match self {
            Self::UnknownOperation { .. } => ResultCode::ProtocolError,
            Self::Refused { fault, .. } => fault.code(),
        }
    }
}

impl Fault {
    /// adminLimitExceeded for what is sound but more than this server was set to take (RFC 4511
    /// appendix A.2), protocolError for what is malformed.
    pub const fn code(&self) -> ResultCode {
        match self {
            Self::FilterTooDeep { .. }
            | Self::FilterTooLong { .. }
            | Self::TooManyControls { .. }
            | Self::TooManyAttributes { .. } => ResultCode::AdminLimitExceeded,
            Self::Encoding { .. }
            | Self::OutOfRange { .. }
            | Self::Choice { .. }
            | Self::ControlValue
            | Self::NotOperands
            | Self::NoSubstrings
            | Self::SubstringOrder
            | Self::NothingToMatch => ResultCode::ProtocolError,
        }
    }

    /// For `map_err`: the octets of this component are wrong.
    pub(super) fn in_field(field: &'static str) -> impl Fn(BerError) -> Self + Copy {
        move |error| Self::Encoding { field, error }
    }
}
