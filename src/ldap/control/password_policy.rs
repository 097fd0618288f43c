//! The password policy response (draft-behera-ldap-password-policy-11 section 6.2).

use crate::ldap::ber::{BerWriter, tag};

pub(super) const REQUEST_OID: &str = "1.3.6.1.4.1.42.2.27.8.5.1";

/// What a client that asks is told of its password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ldap) enum PasswordPolicy {
    /// Nothing. Why a bind is refused is nobody's business who could not bind.
    Silent,
    /// The secret was right, and expires soon.
    ExpiresSoon {
        /// Seconds until then.
        seconds_left: u32,
    },
    /// It was not looked at, as too many were wrong before. That is so of names that nobody has too.
    AccountLocked,
}

/// The value of the response.
///
/// `timeBeforeExpiration` has the tag 0 inside of `warning`, which has the tag 0 too; SSSD fails the bind over one wrong
/// octet of it.
pub(in crate::ldap) fn password_policy_response(policy: PasswordPolicy) -> (&'static str, Vec<u8>) {
    let mut value = Vec::new();
    let mut writer = BerWriter::new(&mut value);
    // Short lengths here: some clients compare the octets.
    match policy {
        PasswordPolicy::Silent => writer.element(tag::SEQUENCE, &[]),
        PasswordPolicy::ExpiresSoon { seconds_left } => {
            let mut integer = Vec::new();
            BerWriter::new(&mut integer).integer(i64::from(seconds_left));
            // The tag of the INTEGER gives way to the one of the choice.
            let contents = integer.get(2..).unwrap_or_default();
            let mut choice = Vec::new();
            BerWriter::new(&mut choice).element(TIME_BEFORE_EXPIRATION, contents);
            let mut warning = Vec::new();
            BerWriter::new(&mut warning).element(WARNING, &choice);
            writer.element(tag::SEQUENCE, &warning);
        }
        PasswordPolicy::AccountLocked => {
            let mut error = Vec::new();
            BerWriter::new(&mut error).element(ERROR, &[ACCOUNT_LOCKED]);
            writer.element(tag::SEQUENCE, &error);
        }
    }
    (REQUEST_OID, value)
}

const WARNING: u8 = tag::context_constructed(0);
const TIME_BEFORE_EXPIRATION: u8 = tag::context(0);
const ERROR: u8 = tag::context(1);
const ACCOUNT_LOCKED: u8 = 1;
