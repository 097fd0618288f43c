//! The syntaxes of attribute values and assertions (RFC 4517 section 3.3).

use super::dn::Dn;
use super::oid::is_oid;
use super::time;

/// A syntax: what octets a value may consist of.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub enum Syntax {
    AttributeTypeDescription,
    Binary,
    BitString,
    Boolean,
    BootParameter,
    Certificate,
    CertificateList,
    CertificatePair,
    CountryString,
    DeliveryMethod,
    DirectoryString,
    DitContentRuleDescription,
    DitStructureRuleDescription,
    Dn,
    EnhancedGuide,
    FacsimileTelephoneNumber,
    Fax,
    GeneralizedTime,
    Guide,
    Ia5String,
    Integer,
    Jpeg,
    LdapSyntaxDescription,
    MatchingRuleDescription,
    MatchingRuleUseDescription,
    NameAndOptionalUid,
    NameFormDescription,
    NisNetgroupTriple,
    NumericString,
    ObjectClassDescription,
    OctetString,
    Oid,
    OtherMailbox,
    PostalAddress,
    PrintableString,
    SubstringAssertion,
    SubtreeSpecification,
    SupportedAlgorithm,
    TelephoneNumber,
    TeletexTerminalIdentifier,
    TelexNumber,
    Uuid,
}

impl Syntax {
    /// Every syntax, in the order of the published subschema.
    pub const ALL: &[Self] = &[
        Self::AttributeTypeDescription,
        Self::Binary,
        Self::BitString,
        Self::Boolean,
        Self::BootParameter,
        Self::Certificate,
        Self::CertificateList,
        Self::CertificatePair,
        Self::CountryString,
        Self::DeliveryMethod,
        Self::DirectoryString,
        Self::DitContentRuleDescription,
        Self::DitStructureRuleDescription,
        Self::Dn,
        Self::EnhancedGuide,
        Self::FacsimileTelephoneNumber,
        Self::Fax,
        Self::GeneralizedTime,
        Self::Guide,
        Self::Ia5String,
        Self::Integer,
        Self::Jpeg,
        Self::LdapSyntaxDescription,
        Self::MatchingRuleDescription,
        Self::MatchingRuleUseDescription,
        Self::NameAndOptionalUid,
        Self::NameFormDescription,
        Self::NisNetgroupTriple,
        Self::NumericString,
        Self::ObjectClassDescription,
        Self::OctetString,
        Self::Oid,
        Self::OtherMailbox,
        Self::PostalAddress,
        Self::PrintableString,
        Self::SubstringAssertion,
        Self::SubtreeSpecification,
        Self::SupportedAlgorithm,
        Self::TelephoneNumber,
        Self::TeletexTerminalIdentifier,
        Self::TelexNumber,
        Self::Uuid,
    ];

    /// Its object identifier, dotted.
    pub const fn oid(self) -> &'static str {
        self.row().0
    }

    /// Its name in words, as RFC 4517 spells it.
    pub const fn description(self) -> &'static str {
        self.row().1
    }

    /// Whether values are text that a person can read.
    pub const fn is_human_readable(self) -> bool {
        !matches!(
            self,
            Self::Binary
                | Self::Certificate
                | Self::CertificateList
                | Self::CertificatePair
                | Self::SupportedAlgorithm
                | Self::Fax
                | Self::Jpeg
                | Self::OctetString
        )
    }

    /// Whether `value` is of this syntax, for values that come from configuration or import.
    ///
    /// Text that is not ASCII is accepted where RFC 4517 wants IA5 or printable characters, because mail
    /// addresses (RFC 6531) and `gecos` hold it in practice. Syntaxes that nothing here interprets accept all
    /// octets.
    pub fn accepts(self, value: &[u8]) -> bool {
        match self {
            Self::Boolean => value == b"TRUE" || value == b"FALSE",
            Self::Integer => is_integer(value),
            Self::BitString => is_bit_string(value),
            Self::CountryString => value.len() == 2 && value.iter().all(u8::is_ascii_alphabetic),
            Self::NumericString => {
                !value.is_empty() && value.iter().all(|octet| octet.is_ascii_digit() || *octet == b' ')
            }
            Self::GeneralizedTime => time::parse(value).is_some(),
            Self::Uuid => uuid_octets(value).is_some(),
            Self::Oid => is_oid(value),
            Self::Dn => Dn::parse(value).is_ok(),
            Self::OtherMailbox => is_other_mailbox(value),
            Self::NisNetgroupTriple => is_netgroup_triple(value),
            Self::NameAndOptionalUid => Dn::parse(split_optional_uid(value).0).is_ok(),
            Self::DirectoryString
            | Self::Ia5String
            | Self::PrintableString
            | Self::TelephoneNumber
            | Self::BootParameter
            | Self::PostalAddress => !value.is_empty() && std::str::from_utf8(value).is_ok(),
            _ => true,
        }
    }

    const fn row(self) -> (&'static str, &'static str) {
        match self {
            Self::AttributeTypeDescription => ("1.3.6.1.4.1.1466.115.121.1.3", "Attribute Type Description"),
            Self::Binary => ("1.3.6.1.4.1.1466.115.121.1.5", "Binary"),
            Self::BitString => ("1.3.6.1.4.1.1466.115.121.1.6", "Bit String"),
            Self::Boolean => ("1.3.6.1.4.1.1466.115.121.1.7", "Boolean"),
            Self::Certificate => ("1.3.6.1.4.1.1466.115.121.1.8", "X.509 Certificate"),
            Self::BootParameter => ("1.3.6.1.1.1.0.1", "RFC 2307 Boot Parameter"),
            Self::CertificateList => ("1.3.6.1.4.1.1466.115.121.1.9", "X.509 Certificate List"),
            Self::CertificatePair => ("1.3.6.1.4.1.1466.115.121.1.10", "X.509 Certificate Pair"),
            Self::CountryString => ("1.3.6.1.4.1.1466.115.121.1.11", "Country String"),
            Self::DeliveryMethod => ("1.3.6.1.4.1.1466.115.121.1.14", "Delivery Method"),
            Self::DirectoryString => ("1.3.6.1.4.1.1466.115.121.1.15", "Directory String"),
            Self::DitContentRuleDescription => {
                ("1.3.6.1.4.1.1466.115.121.1.16", "DIT Content Rule Description")
            }
            Self::DitStructureRuleDescription => {
                ("1.3.6.1.4.1.1466.115.121.1.17", "DIT Structure Rule Description")
            }
            Self::Dn => ("1.3.6.1.4.1.1466.115.121.1.12", "DN"),
            Self::EnhancedGuide => ("1.3.6.1.4.1.1466.115.121.1.21", "Enhanced Guide"),
            Self::FacsimileTelephoneNumber => ("1.3.6.1.4.1.1466.115.121.1.22", "Facsimile Telephone Number"),
            Self::Fax => ("1.3.6.1.4.1.1466.115.121.1.23", "Fax"),
            Self::GeneralizedTime => ("1.3.6.1.4.1.1466.115.121.1.24", "Generalized Time"),
            Self::Guide => ("1.3.6.1.4.1.1466.115.121.1.25", "Guide"),
            Self::Ia5String => ("1.3.6.1.4.1.1466.115.121.1.26", "IA5 String"),
            Self::Integer => ("1.3.6.1.4.1.1466.115.121.1.27", "INTEGER"),
            Self::Jpeg => ("1.3.6.1.4.1.1466.115.121.1.28", "JPEG"),
            Self::LdapSyntaxDescription => ("1.3.6.1.4.1.1466.115.121.1.54", "LDAP Syntax Description"),
            Self::MatchingRuleDescription => ("1.3.6.1.4.1.1466.115.121.1.30", "Matching Rule Description"),
            Self::MatchingRuleUseDescription => {
                ("1.3.6.1.4.1.1466.115.121.1.31", "Matching Rule Use Description")
            }
            Self::NameAndOptionalUid => ("1.3.6.1.4.1.1466.115.121.1.34", "Name And Optional UID"),
            Self::NameFormDescription => ("1.3.6.1.4.1.1466.115.121.1.35", "Name Form Description"),
            Self::NisNetgroupTriple => ("1.3.6.1.1.1.0.0", "RFC 2307 NIS Netgroup Triple"),
            Self::NumericString => ("1.3.6.1.4.1.1466.115.121.1.36", "Numeric String"),
            Self::ObjectClassDescription => ("1.3.6.1.4.1.1466.115.121.1.37", "Object Class Description"),
            Self::OctetString => ("1.3.6.1.4.1.1466.115.121.1.40", "Octet String"),
            Self::Oid => ("1.3.6.1.4.1.1466.115.121.1.38", "OID"),
            Self::OtherMailbox => ("1.3.6.1.4.1.1466.115.121.1.39", "Other Mailbox"),
            Self::PostalAddress => ("1.3.6.1.4.1.1466.115.121.1.41", "Postal Address"),
            Self::PrintableString => ("1.3.6.1.4.1.1466.115.121.1.44", "Printable String"),
            Self::SubstringAssertion => ("1.3.6.1.4.1.1466.115.121.1.58", "Substring Assertion"),
            Self::SubtreeSpecification => ("1.3.6.1.4.1.1466.115.121.1.45", "SubtreeSpecification"),
            Self::SupportedAlgorithm => ("1.3.6.1.4.1.1466.115.121.1.49", "X.509 Supported Algorithm"),
            Self::TelephoneNumber => ("1.3.6.1.4.1.1466.115.121.1.50", "Telephone Number"),
            Self::TeletexTerminalIdentifier => {
                ("1.3.6.1.4.1.1466.115.121.1.51", "Teletex Terminal Identifier")
            }
            Self::TelexNumber => ("1.3.6.1.4.1.1466.115.121.1.52", "Telex Number"),
            Self::Uuid => ("1.3.6.1.1.16.1", "UUID"),
        }
    }
}

/// `-5`, `0`, `007`: RFC 4517 section 3.3.16, leniently with leading zeros.
pub(super) fn is_integer(value: &[u8]) -> bool {
    let digits = value.strip_prefix(b"-").unwrap_or(value);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

/// `'0101'B` (RFC 4517 section 3.3.2).
pub(super) fn is_bit_string(value: &[u8]) -> bool {
    value
        .strip_prefix(b"'")
        .and_then(|rest| rest.strip_suffix(b"'B"))
        .is_some_and(|bits| bits.iter().all(|bit| matches!(bit, b'0' | b'1')))
}

/// `type$mailbox` (RFC 4517 section 3.3.27).
fn is_other_mailbox(value: &[u8]) -> bool {
    std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.split_once('$'))
        .is_some_and(|(kind, mailbox)| !kind.trim().is_empty() && !mailbox.trim().is_empty())
}

/// `(host,user,domain)`, each of which may be empty or `-` (RFC 2307 section 2.4).
fn is_netgroup_triple(value: &[u8]) -> bool {
    std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.trim().strip_prefix('(')?.strip_suffix(')'))
        .is_some_and(|inside| inside.split(',').count() == 3)
}

/// The 16 octets of `597ae2f6-16a6-1027-98f4-d28b5365dc14` (RFC 4530 section 2.1).
pub(super) fn uuid_octets(value: &[u8]) -> Option<[u8; 16]> {
    // The crate reads other spellings too (braces, no hyphens), which are not of this syntax.
    if value.len() != 36 {
        return None;
    }
    uuid::Uuid::try_parse_ascii(value).ok().map(uuid::Uuid::into_bytes)
}

/// The DN and, when there is one, the `'0101'B` behind its last `#` (RFC 4517 section 3.3.21).
pub(super) fn split_optional_uid(value: &[u8]) -> (&[u8], Option<&[u8]>) {
    if value.ends_with(b"'B")
        && let Some(place) = value.iter().rposition(|octet| *octet == b'#')
        && let Some((name, [_, uid @ ..])) = value.split_at_checked(place)
        && is_bit_string(uid)
    {
        return (name, Some(uid));
    }
    (value, None)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use std::collections::HashSet;

    use super::super::oid::is_numeric_oid;
    use super::*;

    #[test]
    fn oids_and_descriptions_are_unique() {
        let oids: HashSet<_> = Syntax::ALL.iter().map(|syntax| syntax.oid()).collect();
        let descriptions: HashSet<_> = Syntax::ALL.iter().map(|syntax| syntax.description()).collect();
        assert_eq!((oids.len(), descriptions.len()), (Syntax::ALL.len(), Syntax::ALL.len()));
        assert!(Syntax::ALL.iter().all(|syntax| is_numeric_oid(syntax.oid().as_bytes())));
    }

    #[test]
    fn values_are_accepted_by_their_syntax() {
        for (syntax, good, bad) in [
            (Syntax::Boolean, "TRUE", "true"),
            (Syntax::Integer, "-12", "12a"),
            (Syntax::BitString, "'0101'B", "0101"),
            (Syntax::CountryString, "DE", "DEU"),
            (Syntax::NumericString, "12 34", "12-34"),
            (Syntax::GeneralizedTime, "20240229120000Z", "yesterday"),
            (Syntax::Uuid, "597ae2f6-16a6-1027-98f4-d28b5365dc14", "597ae2f616a6102798f4d28b5365dc14"),
            (Syntax::Oid, "2.5.4.3", "2.5.4."),
            (Syntax::Dn, "cn=a,dc=b", "cn"),
            (Syntax::NameAndOptionalUid, "cn=a#'01'B", "a#'01'B"),
            (Syntax::OtherMailbox, "x400$a b", "x400"),
            (Syntax::NisNetgroupTriple, "(host,-,)", "host,-,"),
            (Syntax::DirectoryString, "ü", ""),
        ] {
            assert!(syntax.accepts(good.as_bytes()), "{syntax:?} {good}");
            assert!(!syntax.accepts(bad.as_bytes()), "{syntax:?} {bad}");
        }
        assert!(Syntax::OctetString.accepts(&[0xFF]));
    }

    #[test]
    fn oids_have_no_leading_zeros_and_at_least_two_arcs() {
        assert!(is_numeric_oid(b"0.9.2342"));
        for bad in ["2", "2.", ".2", "2..5", "2.05", "2.5a", ""] {
            assert!(!is_numeric_oid(bad.as_bytes()), "{bad}");
        }
    }
}
