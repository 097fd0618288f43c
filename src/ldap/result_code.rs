//! The result codes that this server can answer with.

use std::fmt;

/// A result code: RFC 4511 section 4.1.9 and appendix A, with those of the extensions that are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ResultCode {
    /// The operation did what was asked.
    Success = 0,
    /// The operation stands in the wrong place among the others.
    OperationsError = 1,
    /// The request breaks the protocol.
    ProtocolError = 2,
    /// The time limit ended the operation.
    TimeLimitExceeded = 3,
    /// More entries match than may be sent.
    SizeLimitExceeded = 4,
    /// The assertion of a compare is FALSE or Undefined.
    CompareFalse = 5,
    /// The assertion of a compare is TRUE.
    CompareTrue = 6,
    /// The way to authenticate is not served.
    AuthMethodNotSupported = 7,
    /// A limit that an administrator set was exceeded.
    AdminLimitExceeded = 11,
    /// A critical control is not known, or not for this operation.
    UnavailableCriticalExtension = 12,
    /// The operation needs a confidential connection.
    ConfidentialityRequired = 13,
    /// A SASL bind has another step.
    SaslBindInProgress = 14,
    /// The entry has no such attribute.
    NoSuchAttribute = 16,
    /// The attribute has no such matching rule.
    InappropriateMatching = 18,
    /// A value breaks a constraint.
    ConstraintViolation = 19,
    /// The entry does not exist.
    NoSuchObject = 32,
    /// A distinguished name is not well formed.
    InvalidDnSyntax = 34,
    /// This way to authenticate does not fit the account.
    InappropriateAuthentication = 48,
    /// The credentials are wrong.
    InvalidCredentials = 49,
    /// The identity may not do this.
    InsufficientAccessRights = 50,
    /// The server has too much to do.
    Busy = 51,
    /// The server is shutting down or not ready.
    Unavailable = 52,
    /// The server will not do this for anybody.
    UnwillingToPerform = 53,
    /// A virtual list view cannot be given (draft-ietf-ldapext-ldapv3-vlv-09 section 6.2.1).
    VirtualListViewError = 76,
    /// None of the others.
    Other = 80,
    /// The operation was canceled (RFC 3909 section 2.2).
    Canceled = 118,
    /// There is no such operation to cancel (RFC 3909 section 2.2).
    NoSuchOperation = 119,
    /// The filter of the assertion control is not TRUE (RFC 4528 section 2).
    AssertionFailed = 122,
}

impl ResultCode {
    /// Every code, in the order of their numbers, with its name as the RFC spells it.
    pub const TABLE: &'static [(Self, &'static str)] = &[
        (Self::Success, "success"),
        (Self::OperationsError, "operationsError"),
        (Self::ProtocolError, "protocolError"),
        (Self::TimeLimitExceeded, "timeLimitExceeded"),
        (Self::SizeLimitExceeded, "sizeLimitExceeded"),
        (Self::CompareFalse, "compareFalse"),
        (Self::CompareTrue, "compareTrue"),
        (Self::AuthMethodNotSupported, "authMethodNotSupported"),
        (Self::AdminLimitExceeded, "adminLimitExceeded"),
        (Self::UnavailableCriticalExtension, "unavailableCriticalExtension"),
        (Self::ConfidentialityRequired, "confidentialityRequired"),
        (Self::SaslBindInProgress, "saslBindInProgress"),
        (Self::NoSuchAttribute, "noSuchAttribute"),
        (Self::InappropriateMatching, "inappropriateMatching"),
        (Self::ConstraintViolation, "constraintViolation"),
        (Self::NoSuchObject, "noSuchObject"),
        (Self::InvalidDnSyntax, "invalidDNSyntax"),
        (Self::InappropriateAuthentication, "inappropriateAuthentication"),
        (Self::InvalidCredentials, "invalidCredentials"),
        (Self::InsufficientAccessRights, "insufficientAccessRights"),
        (Self::Busy, "busy"),
        (Self::Unavailable, "unavailable"),
        (Self::UnwillingToPerform, "unwillingToPerform"),
        (Self::VirtualListViewError, "virtualListViewError"),
        (Self::Other, "other"),
        (Self::Canceled, "canceled"),
        (Self::NoSuchOperation, "noSuchOperation"),
        (Self::AssertionFailed, "assertionFailed"),
    ];

    /// The number on the wire.
    pub const fn as_u8(self) -> u8 {
        self as u8
    }

    /// The name as the RFC spells it.
    pub fn name(self) -> &'static str {
        Self::TABLE.iter().find(|(code, _)| *code == self).map_or("other", |(_, name)| name)
    }
}

impl fmt::Display for ResultCode {
    /// The name and the number: `invalidCredentials (49)`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.name(), self.as_u8())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_code_once_and_in_order() {
        let numbers: Vec<u8> = ResultCode::TABLE.iter().map(|(code, _)| code.as_u8()).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        let expected: Vec<u8> = (0..=7)
            .chain(11..=14)
            .chain([16, 18, 19, 32, 34])
            .chain(48..=53)
            .chain([76, 80, 118, 119, 122])
            .collect();
        assert_eq!(numbers, expected);
    }

    #[test]
    fn a_code_leads_to_its_name() {
        for (code, name) in ResultCode::TABLE {
            assert_eq!(code.name(), *name);
        }
        assert_eq!(ResultCode::InvalidCredentials.to_string(), "invalidCredentials (49)");
    }
}
