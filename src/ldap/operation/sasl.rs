//! SASL mechanisms (RFC 4513 section 5.2): what a client sends with them, taken apart.

use crate::config::{ClientAccount, ClientName};
use crate::net::ClientCertificate;
use crate::schema::{MatchingRule, Schema, normalize_dn, steps};

/// The message of PLAIN (RFC 4616 section 2).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Plain<'a> {
    /// As whom the client wants to act; empty: as who it is.
    pub(super) authorization: &'a str,
    /// The name to authenticate.
    pub(super) name: &'a str,
    pub(super) secret: &'a [u8],
}

impl<'a> Plain<'a> {
    /// `[authzid] NUL authcid NUL passwd`, where the name is not empty. `None`: it is something else.
    pub(super) fn parse(message: &'a [u8]) -> Option<Self> {
        let mut parts = message.split(|octet| *octet == 0);
        let (authorization, name, secret) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || name.is_empty() {
            return None;
        }
        let text = |octets| std::str::from_utf8(octets).ok();
        Some(Self { authorization: text(authorization)?, name: without_prefix(text(name)?), secret })
    }
}

/// The name in an authorization identity (RFC 4513 section 5.2.1.8): `dn:` and a DN, or `u:` and a name. Who writes
/// neither means the name.
pub(super) fn without_prefix(identity: &str) -> &str {
    ["dn:", "u:"]
        .iter()
        .find_map(|prefix| {
            let (begin, name) = identity.split_at_checked(prefix.len())?;
            begin.eq_ignore_ascii_case(prefix).then_some(name)
        })
        .unwrap_or(identity)
}

/// The account that a client certificate stands for, by EXTERNAL: the first in the list of the config that fits. `work`
/// grows by what it costs to find it: every subject in the list is a DN to be read.
pub(in crate::ldap) fn account_of<'a>(
    certificate: &ClientCertificate,
    accounts: &'a [ClientAccount],
    schema: &Schema,
    work: &mut u64,
) -> Option<&'a str> {
    let rule = MatchingRule::DistinguishedName;
    let subject = certificate.subject.as_ref().map(|subject| subject.normal_form(schema));
    if let Some(subject) = &subject {
        *work += rule.cost_of_preparing(subject.as_bytes(), subject.as_bytes().len());
    }
    let mut form = Vec::new();
    let mut fits = |name: &ClientName| {
        steps::note(1);
        *work += 1;
        match name {
            ClientName::Subject(text) => {
                form.clear();
                let is_dn = normalize_dn(text.as_bytes(), schema, &mut form).is_ok();
                *work += rule.cost_of_preparing(text.as_bytes(), form.len());
                is_dn && subject.as_ref().is_some_and(|subject| subject.as_bytes() == form)
            }
            ClientName::Dns(name) => certificate.dns_names.iter().any(|own| {
                steps::note(1);
                *work += 1;
                own.eq_ignore_ascii_case(name)
            }),
            ClientName::Sha256(fingerprint) => certificate.fingerprint == *fingerprint,
        }
    };
    let fitting = accounts.iter().find(|account| fits(&account.certificate))?;
    Some(&fitting.account)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_messages_have_three_parts() {
        let parts = |message: &'static [u8]| {
            Plain::parse(message).map(|plain| (plain.authorization, plain.name, plain.secret))
        };
        assert_eq!(parts(b"\0tim\0tanstaaftanstaaf"), Some(("", "tim", &b"tanstaaftanstaaf"[..])));
        assert_eq!(parts(b"Ursel\0Kurt\0xipj3plmq"), Some(("Ursel", "Kurt", &b"xipj3plmq"[..])));
        assert_eq!(parts(b"\0dn:cn=a,dc=b\0x"), Some(("", "cn=a,dc=b", &b"x"[..])));
        assert_eq!(parts(b"\0U:tim\0\xff"), Some(("", "tim", &b"\xff"[..])));
        assert_eq!(parts(b"\0tim\0"), Some(("", "tim", &b""[..])));
        for broken in [&b""[..], b"tim", b"\0tim", b"\0\0secret", b"\0tim\0secret\0", b"\0\xff\0secret"] {
            assert!(Plain::parse(broken).is_none(), "{broken:02x?}");
        }
    }
}
