//! The password policy response (draft-behera-ldap-password-policy-11 section 6.2).

use crate::ldap::ber::{Writer, tag};

pub(super) const REQUEST_OID: &str = "1.3.6.1.4.1.42.2.27.8.5.1";

/// The value of the response: the seconds until the secret expires, when the client should be warned.
///
/// An error is never told: why a bind is refused is nobody's business who could not bind. `timeBeforeExpiration` has
/// the tag 0 inside of `warning`, which has the tag 0 too; SSSD fails the bind over one wrong octet of it.
pub(in crate::ldap) fn password_policy_response(seconds_left: Option<u32>) -> (&'static str, Vec<u8>) {
    let mut value = Vec::new();
    let mut writer = Writer::new(&mut value);
    // Short lengths here: some clients compare the octets.
    match seconds_left {
        None => writer.element(tag::SEQUENCE, &[]),
        Some(seconds) => {
            let mut integer = Vec::new();
            Writer::new(&mut integer).integer(i64::from(seconds));
            // The tag of the INTEGER gives way to the one of the choice.
            let contents = integer.get(2..).unwrap_or_default();
            let mut choice = Vec::new();
            Writer::new(&mut choice).element(TIME_BEFORE_EXPIRATION, contents);
            let mut warning = Vec::new();
            Writer::new(&mut warning).element(WARNING, &choice);
            writer.element(tag::SEQUENCE, &warning);
        }
    }
    (REQUEST_OID, value)
}

const WARNING: u8 = tag::context_constructed(0);
const TIME_BEFORE_EXPIRATION: u8 = tag::context(0);
