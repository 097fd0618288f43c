//! Matching rules (RFC 4517 section 4): how a value is compared, as a normal form that octets decide.

use std::cmp::Ordering;

use super::oid::is_oid;
use super::prepare::{self, Case, InvalidSyntax, PartPosition};
use super::syntax::{self, Syntax};
use super::{Schema, classes, dn, time};

/// A matching rule that this server evaluates. One that is not here is not published and makes a filter Undefined.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub enum MatchingRule {
    ObjectIdentifier,
    DistinguishedName,
    CaseIgnore,
    CaseIgnoreOrdering,
    CaseIgnoreSubstrings,
    CaseExact,
    CaseExactOrdering,
    CaseExactSubstrings,
    NumericString,
    NumericStringOrdering,
    NumericStringSubstrings,
    CaseIgnoreList,
    CaseIgnoreListSubstrings,
    Boolean,
    Integer,
    IntegerOrdering,
    BitString,
    OctetString,
    OctetStringOrdering,
    TelephoneNumber,
    TelephoneNumberSubstrings,
    UniqueMember,
    GeneralizedTime,
    GeneralizedTimeOrdering,
    IntegerFirstComponent,
    ObjectIdentifierFirstComponent,
    CaseExactIa5,
    CaseIgnoreIa5,
    CaseIgnoreIa5Substrings,
    CaseExactIa5Substrings,
    Uuid,
    UuidOrdering,
    /// Every bit of the assertion is set in the value (Active Directory).
    BitAnd,
    /// Some bit of the assertion is set in the value (Active Directory).
    BitOr,
    /// The DN is reached over any number of memberships (Active Directory). The relations of the directory decide
    /// it; here it normalises as [`MatchingRule::DistinguishedName`].
    InChain,
}

/// What a rule decides.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum RuleKind {
    /// Whether value and assertion are the same (or, for the bit and chain rules, stand in their relation).
    Equality,
    /// Which of two values comes first.
    Ordering,
    /// Whether parts occur in a value.
    Substrings,
}

impl MatchingRule {
    /// Every rule, in the order of the published subschema.
    pub const ALL: &[Self] = &[
        Self::ObjectIdentifier,
        Self::DistinguishedName,
        Self::CaseIgnore,
        Self::CaseIgnoreOrdering,
        Self::CaseIgnoreSubstrings,
        Self::CaseExact,
        Self::CaseExactOrdering,
        Self::CaseExactSubstrings,
        Self::NumericString,
        Self::NumericStringOrdering,
        Self::NumericStringSubstrings,
        Self::CaseIgnoreList,
        Self::CaseIgnoreListSubstrings,
        Self::Boolean,
        Self::Integer,
        Self::IntegerOrdering,
        Self::BitString,
        Self::OctetString,
        Self::OctetStringOrdering,
        Self::TelephoneNumber,
        Self::TelephoneNumberSubstrings,
        Self::UniqueMember,
        Self::GeneralizedTime,
        Self::GeneralizedTimeOrdering,
        Self::IntegerFirstComponent,
        Self::ObjectIdentifierFirstComponent,
        Self::CaseExactIa5,
        Self::CaseIgnoreIa5,
        Self::CaseIgnoreIa5Substrings,
        Self::CaseExactIa5Substrings,
        Self::Uuid,
        Self::UuidOrdering,
        Self::BitAnd,
        Self::BitOr,
        Self::InChain,
    ];

    /// The rule with this name, in any case, or with this dotted OID.
    pub fn find(name_or_oid: &str) -> Option<Self> {
        let named = |text: &str| name_or_oid.eq_ignore_ascii_case(text);
        Self::ALL
            .iter()
            .copied()
            .find(|rule| named(rule.name()) || named(rule.oid()) || rule.alias().is_some_and(named))
    }

    /// What it costs to compare one value by it, in the unit in which work is counted (some 50 ns): names and
    /// identifiers are looked up in the schema, the others are short of a unit.
    pub const fn cost(self) -> u64 {
        match self {
            Self::DistinguishedName | Self::UniqueMember | Self::InChain => 10,
            Self::ObjectIdentifier | Self::ObjectIdentifierFirstComponent => 8,
            _ => 1,
        }
    }

    /// What it costs to prepare a value or an assertion, of which a normal form of so many octets came.
    pub fn cost_of_preparing(self, value: &[u8], form: usize) -> u64 {
        let is_name = matches!(self.syntax(), Syntax::Dn | Syntax::NameAndOptionalUid);
        let names = if is_name { memchr::memchr_iter(b'=', value).count() as u64 } else { 1 };
        // What is escaped may be any text.
        let is_escaped = is_name && memchr::memchr2(b'\\', b'#', value).is_some();
        let text = match self {
            Self::OctetString | Self::OctetStringOrdering => prepare::cost_of_plain(value),
            _ if is_escaped => value.len().max(form) as u64,
            _ => prepare::cost_of_preparing(value, form),
        };
        self.cost() * names + text
    }

    /// Its name as published.
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// Its object identifier, dotted.
    pub const fn oid(self) -> &'static str {
        self.row().1
    }

    /// The syntax of an assertion.
    pub const fn syntax(self) -> Syntax {
        self.row().2
    }

    /// What it decides.
    pub const fn kind(self) -> RuleKind {
        self.row().3
    }

    /// Whether an extensible match may use the rule on values of `syntax` (RFC 4511 section 4.5.1.7.7; where it
    /// may not, the match is Undefined). All string syntaxes are one family here.
    pub fn applies_to(self, syntax: Syntax) -> bool {
        match self.row().2 {
            _ if self.kind() == RuleKind::Substrings => false,
            Syntax::Dn if self == Self::InChain => matches!(syntax, Syntax::Dn | Syntax::NameAndOptionalUid),
            Syntax::DirectoryString | Syntax::Ia5String => matches!(
                syntax,
                Syntax::DirectoryString
                    | Syntax::Ia5String
                    | Syntax::PrintableString
                    | Syntax::CountryString
                    | Syntax::TelephoneNumber
                    | Syntax::NumericString
            ),
            Syntax::Integer if self == Self::IntegerFirstComponent => {
                syntax == Syntax::DitStructureRuleDescription
            }
            Syntax::Oid if self == Self::ObjectIdentifierFirstComponent => matches!(
                syntax,
                Syntax::AttributeTypeDescription
                    | Syntax::DitContentRuleDescription
                    | Syntax::LdapSyntaxDescription
                    | Syntax::MatchingRuleDescription
                    | Syntax::MatchingRuleUseDescription
                    | Syntax::NameFormDescription
                    | Syntax::ObjectClassDescription
            ),
            own => own == syntax,
        }
    }

    /// Whether octets can be an assertion about values of `syntax`, apart from what the normal form says:
    /// text but that of IA5 has at least one character (RFC 4517 section 3.3), and spaces alone are no DN (RFC 4514
    /// section 3).
    pub fn is_assertion(syntax: Syntax, value: &[u8]) -> bool {
        match syntax {
            Syntax::DirectoryString
            | Syntax::PrintableString
            | Syntax::CountryString
            | Syntax::NumericString
            | Syntax::TelephoneNumber => !value.is_empty(),
            Syntax::Dn | Syntax::NameAndOptionalUid => {
                value.is_empty() || value.iter().any(|octet| *octet != b' ')
            }
            _ => true,
        }
    }

    /// The ordering rule over the same values as this equality rule.
    pub const fn ordering_of(self) -> Option<Self> {
        match self {
            Self::CaseIgnore | Self::CaseIgnoreIa5 => Some(Self::CaseIgnoreOrdering),
            Self::CaseExact | Self::CaseExactIa5 => Some(Self::CaseExactOrdering),
            Self::NumericString => Some(Self::NumericStringOrdering),
            Self::Integer => Some(Self::IntegerOrdering),
            Self::OctetString => Some(Self::OctetStringOrdering),
            Self::GeneralizedTime => Some(Self::GeneralizedTimeOrdering),
            Self::Uuid => Some(Self::UuidOrdering),
            _ => None,
        }
    }

    /// The substrings rule over the same values as this equality rule.
    pub const fn substrings_of(self) -> Option<Self> {
        match self {
            Self::CaseIgnore => Some(Self::CaseIgnoreSubstrings),
            Self::CaseExact => Some(Self::CaseExactSubstrings),
            Self::CaseIgnoreIa5 => Some(Self::CaseIgnoreIa5Substrings),
            Self::CaseExactIa5 => Some(Self::CaseExactIa5Substrings),
            Self::NumericString => Some(Self::NumericStringSubstrings),
            Self::TelephoneNumber => Some(Self::TelephoneNumberSubstrings),
            Self::CaseIgnoreList => Some(Self::CaseIgnoreListSubstrings),
            _ => None,
        }
    }

    /// Appends the normal form of a value or assertion.
    ///
    /// Two values match if and only if their normal forms are octet-equal; for an ordering rule `a <= b` if and
    /// only if the normal forms compare so. The bit rules are the exception: only [`MatchingRule::matches`] decides
    /// them. On an error nothing is appended.
    ///
    /// # Errors
    /// [`InvalidSyntax`] when the octets are not of the rule's syntax: an assertion of them is Undefined.
    pub fn normalize(self, value: &[u8], out: &mut Vec<u8>) -> Result<(), InvalidSyntax> {
        self.normalize_within(value, usize::MAX, out)
    }

    /// The same, but stops soon behind `octets_max` octets: where more than that is appended, it is no normal form.
    ///
    /// # Errors
    /// [`InvalidSyntax`] as [`MatchingRule::normalize`].
    pub fn normalize_within(
        self,
        value: &[u8],
        octets_max: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), InvalidSyntax> {
        let start = out.len();
        note_comparison(value);
        let result = self.append_normal_form(value, octets_max, out);
        if result.is_err() {
            out.truncate(start);
        }
        result
    }

    /// Appends the normal form of one part of a substring assertion, to be found in the normal form that
    /// [`MatchingRule::normalize`] gives for a value (spaces: see `prepare.rs`), stopping as
    /// [`MatchingRule::normalize_within`] does. On an error nothing is appended.
    ///
    /// # Errors
    /// [`InvalidSyntax`] when the part cannot occur in any value, or values of this rule have no parts.
    pub fn normalize_part(
        self,
        position: PartPosition,
        value: &[u8],
        octets_max: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), InvalidSyntax> {
        let start = out.len();
        note_comparison(value);
        let result = match self {
            // A part of a list cannot span lines, whose border no part contains.
            Self::CaseIgnore
            | Self::CaseIgnoreSubstrings
            | Self::CaseIgnoreIa5
            | Self::CaseIgnoreIa5Substrings
            | Self::CaseIgnoreList
            | Self::CaseIgnoreListSubstrings => {
                prepare::prepare_part(value, Case::Fold, position, octets_max, out)
            }
            Self::CaseExact
            | Self::CaseExactSubstrings
            | Self::CaseExactIa5
            | Self::CaseExactIa5Substrings => {
                prepare::prepare_part(value, Case::Keep, position, octets_max, out)
            }
            Self::NumericString
            | Self::NumericStringSubstrings
            | Self::TelephoneNumber
            | Self::TelephoneNumberSubstrings => self.append_normal_form(value, octets_max, out).map(|()| {
                // Of insignificant characters alone: one space (RFC 4518 sections 2.6.2 and 2.6.3), which is in no
                // value. An empty part would be in all.
                if out.len() == start {
                    out.push(b' ');
                }
            }),
            Self::OctetString => self.append_normal_form(value, octets_max, out),
            _ => Err(InvalidSyntax),
        };
        if result.is_err() {
            out.truncate(start);
        }
        result
    }

    /// Whether `value` matches an assertion that [`MatchingRule::normalize`] has normalised.
    ///
    /// An equality rule compares for equality; an ordering rule is true when the value is less, as an extensible
    /// match asks of it (RFC 4517 section 4.2.20, for one). Octets that are not of the syntax match nothing.
    /// `scratch` is overwritten; text in ASCII is compared without it.
    pub fn matches(self, value: &[u8], normal_assertion: &[u8], scratch: &mut Vec<u8>) -> bool {
        note_comparison(value);
        match self {
            Self::CaseIgnore | Self::CaseIgnoreIa5 => {
                prepare::matches(value, Case::Fold, normal_assertion, scratch)
            }
            Self::CaseExact | Self::CaseExactIa5 => {
                prepare::matches(value, Case::Keep, normal_assertion, scratch)
            }
            Self::OctetString => value == normal_assertion,
            Self::BitAnd | Self::BitOr => bits_match(self, value, normal_assertion),
            _ => match self.compare(value, normal_assertion, scratch) {
                Some(Ordering::Less) => self.kind() == RuleKind::Ordering,
                Some(Ordering::Equal) => self.kind() != RuleKind::Ordering,
                _ => false,
            },
        }
    }

    /// How the normal form of `value` compares with a normalised assertion; `None` when it has none.
    /// `scratch` is overwritten.
    pub fn compare(self, value: &[u8], normal_assertion: &[u8], scratch: &mut Vec<u8>) -> Option<Ordering> {
        scratch.clear();
        self.normalize(value, scratch).ok()?;
        Some(scratch.as_slice().cmp(normal_assertion))
    }

    fn append_normal_form(
        self,
        value: &[u8],
        octets_max: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), InvalidSyntax> {
        match self {
            // The IA5 rules take all of Unicode: internationalised mail addresses (RFC 6531) and `gecos` hold it, and
            // what an entry holds should be found. RFC 4517 section 4.2.3 would make such an assertion Undefined.
            Self::CaseIgnore
            | Self::CaseIgnoreOrdering
            | Self::CaseIgnoreSubstrings
            | Self::CaseIgnoreIa5
            | Self::CaseIgnoreIa5Substrings => prepare::prepare_within(value, Case::Fold, octets_max, out),
            Self::CaseExact
            | Self::CaseExactOrdering
            | Self::CaseExactSubstrings
            | Self::CaseExactIa5
            | Self::CaseExactIa5Substrings => prepare::prepare_within(value, Case::Keep, octets_max, out),
            Self::CaseIgnoreList | Self::CaseIgnoreListSubstrings => append_list(value, octets_max, out),
            Self::NumericString | Self::NumericStringOrdering | Self::NumericStringSubstrings => {
                prepare::prepare_numeric(value, out)
            }
            Self::TelephoneNumber | Self::TelephoneNumberSubstrings => prepare::prepare_telephone(value, out),
            Self::Boolean => append_boolean(value, out),
            Self::Integer | Self::IntegerOrdering => append_integer(value, out),
            Self::IntegerFirstComponent => append_integer(first_component(value), out),
            Self::BitAnd | Self::BitOr => {
                out.extend_from_slice(&bits(value).ok_or(InvalidSyntax)?.to_be_bytes());
                Ok(())
            }
            Self::BitString if syntax::is_bit_string(value) => {
                out.extend_from_slice(value);
                Ok(())
            }
            Self::BitString => Err(InvalidSyntax),
            Self::OctetString | Self::OctetStringOrdering => {
                out.extend_from_slice(value);
                Ok(())
            }
            Self::DistinguishedName | Self::InChain => append_dn(value, octets_max, out),
            Self::UniqueMember => append_unique_member(value, octets_max, out),
            Self::GeneralizedTime | Self::GeneralizedTimeOrdering => append_time(value, out),
            Self::ObjectIdentifier => append_identifier(value, out),
            Self::ObjectIdentifierFirstComponent => append_identifier(first_component(value), out),
            Self::Uuid | Self::UuidOrdering => {
                out.extend_from_slice(&syntax::uuid_octets(value).ok_or(InvalidSyntax)?);
                Ok(())
            }
        }
    }

    /// A second name by which clients call it.
    const fn alias(self) -> Option<&'static str> {
        match self {
            Self::BitAnd => Some("LDAP_MATCHING_RULE_BIT_AND"),
            Self::BitOr => Some("LDAP_MATCHING_RULE_BIT_OR"),
            Self::InChain => Some("LDAP_MATCHING_RULE_IN_CHAIN"),
            _ => None,
        }
    }

    const fn row(self) -> (&'static str, &'static str, Syntax, RuleKind) {
        use RuleKind::{Equality, Ordering, Substrings};
        use Syntax as S;
        match self {
            Self::ObjectIdentifier => ("objectIdentifierMatch", "2.5.13.0", S::Oid, Equality),
            Self::DistinguishedName => ("distinguishedNameMatch", "2.5.13.1", S::Dn, Equality),
            Self::CaseIgnore => ("caseIgnoreMatch", "2.5.13.2", S::DirectoryString, Equality),
            Self::CaseIgnoreOrdering => ("caseIgnoreOrderingMatch", "2.5.13.3", S::DirectoryString, Ordering),
            Self::CaseIgnoreSubstrings => {
                ("caseIgnoreSubstringsMatch", "2.5.13.4", S::SubstringAssertion, Substrings)
            }
            Self::CaseExact => ("caseExactMatch", "2.5.13.5", S::DirectoryString, Equality),
            Self::CaseExactOrdering => ("caseExactOrderingMatch", "2.5.13.6", S::DirectoryString, Ordering),
            Self::CaseExactSubstrings => {
                ("caseExactSubstringsMatch", "2.5.13.7", S::SubstringAssertion, Substrings)
            }
            Self::NumericString => ("numericStringMatch", "2.5.13.8", S::NumericString, Equality),
            Self::NumericStringOrdering => {
                ("numericStringOrderingMatch", "2.5.13.9", S::NumericString, Ordering)
            }
            Self::NumericStringSubstrings => {
                ("numericStringSubstringsMatch", "2.5.13.10", S::SubstringAssertion, Substrings)
            }
            Self::CaseIgnoreList => ("caseIgnoreListMatch", "2.5.13.11", S::PostalAddress, Equality),
            Self::CaseIgnoreListSubstrings => {
                ("caseIgnoreListSubstringsMatch", "2.5.13.12", S::SubstringAssertion, Substrings)
            }
            Self::Boolean => ("booleanMatch", "2.5.13.13", S::Boolean, Equality),
            Self::Integer => ("integerMatch", "2.5.13.14", S::Integer, Equality),
            Self::IntegerOrdering => ("integerOrderingMatch", "2.5.13.15", S::Integer, Ordering),
            Self::BitString => ("bitStringMatch", "2.5.13.16", S::BitString, Equality),
            Self::OctetString => ("octetStringMatch", "2.5.13.17", S::OctetString, Equality),
            Self::OctetStringOrdering => ("octetStringOrderingMatch", "2.5.13.18", S::OctetString, Ordering),
            Self::TelephoneNumber => ("telephoneNumberMatch", "2.5.13.20", S::TelephoneNumber, Equality),
            Self::TelephoneNumberSubstrings => {
                ("telephoneNumberSubstringsMatch", "2.5.13.21", S::SubstringAssertion, Substrings)
            }
            Self::UniqueMember => ("uniqueMemberMatch", "2.5.13.23", S::NameAndOptionalUid, Equality),
            Self::GeneralizedTime => ("generalizedTimeMatch", "2.5.13.27", S::GeneralizedTime, Equality),
            Self::GeneralizedTimeOrdering => {
                ("generalizedTimeOrderingMatch", "2.5.13.28", S::GeneralizedTime, Ordering)
            }
            Self::IntegerFirstComponent => ("integerFirstComponentMatch", "2.5.13.29", S::Integer, Equality),
            Self::ObjectIdentifierFirstComponent => {
                ("objectIdentifierFirstComponentMatch", "2.5.13.30", S::Oid, Equality)
            }
            Self::CaseExactIa5 => ("caseExactIA5Match", "1.3.6.1.4.1.1466.109.114.1", S::Ia5String, Equality),
            Self::CaseIgnoreIa5 => {
                ("caseIgnoreIA5Match", "1.3.6.1.4.1.1466.109.114.2", S::Ia5String, Equality)
            }
            Self::CaseIgnoreIa5Substrings => (
                "caseIgnoreIA5SubstringsMatch",
                "1.3.6.1.4.1.1466.109.114.3",
                S::SubstringAssertion,
                Substrings,
            ),
            Self::CaseExactIa5Substrings => {
                ("caseExactIA5SubstringsMatch", "1.3.6.1.4.1.4203.1.2.1", S::SubstringAssertion, Substrings)
            }
            Self::Uuid => ("UUIDMatch", "1.3.6.1.1.16.2", S::Uuid, Equality),
            Self::UuidOrdering => ("UUIDOrderingMatch", "1.3.6.1.1.16.3", S::Uuid, Ordering),
            Self::BitAnd => ("integerBitAndMatch", "1.2.840.113556.1.4.803", S::Integer, Equality),
            Self::BitOr => ("integerBitOrMatch", "1.2.840.113556.1.4.804", S::Integer, Equality),
            Self::InChain => ("inChainMatch", "1.2.840.113556.1.4.1941", S::Dn, Equality),
        }
    }
}

/// `TRUE` or `FALSE`. In any case: clients of other directories ask `(ak-active=true)`.
fn append_boolean(value: &[u8], out: &mut Vec<u8>) -> Result<(), InvalidSyntax> {
    let normal: &[u8] = if value.eq_ignore_ascii_case(b"TRUE") {
        b"TRUE"
    } else if value.eq_ignore_ascii_case(b"FALSE") {
        b"FALSE"
    } else {
        return Err(InvalidSyntax);
    };
    out.extend_from_slice(normal);
    Ok(())
}

/// An integer of any size so that octets compare as numbers do: one octet that holds sign and count of digits,
/// then the digits. Of a negative number all of it is inverted, so that the larger amount comes first.
fn append_integer(value: &[u8], out: &mut Vec<u8>) -> Result<(), InvalidSyntax> {
    if !syntax::is_integer(value) {
        return Err(InvalidSyntax);
    }
    let (is_negative, digits) = match value.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, value),
    };
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    let digits = digits.get(zeros..).unwrap_or_default();
    if digits.is_empty() {
        // Zero, `-0` too: no digits, above every negative and below every positive number.
        out.push(INTEGER_ZERO);
        return Ok(());
    }
    let start = out.len();
    match u8::try_from(digits.len()) {
        Ok(count) if count < INTEGER_LONG - INTEGER_ZERO => out.push(INTEGER_ZERO + count),
        _ => {
            out.push(INTEGER_LONG);
            out.extend_from_slice(&u64::try_from(digits.len()).map_err(|_| InvalidSyntax)?.to_be_bytes());
        }
    }
    out.extend_from_slice(digits);
    if is_negative {
        out.iter_mut().skip(start).for_each(|octet| *octet = !*octet);
    }
    Ok(())
}

const INTEGER_ZERO: u8 = 0x80;
/// The count of digits follows in eight octets.
const INTEGER_LONG: u8 = 0xFF;

/// A 64-bit set of flags, as Active Directory has them: a signed integer.
fn bits(value: &[u8]) -> Option<i64> {
    if !syntax::is_integer(value) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

fn bits_match(rule: MatchingRule, value: &[u8], normal_assertion: &[u8]) -> bool {
    let (Some(value), Ok(mask)) = (bits(value), normal_assertion.try_into()) else {
        return false;
    };
    let mask = i64::from_be_bytes(mask);
    match rule {
        MatchingRule::BitAnd => value & mask == mask,
        _ => value & mask != 0,
    }
}

/// Lines between `$`, in which `\24` is a `$` and `\5C` a `\` (RFC 4517 section 3.3.28). Prepared text holds no
/// line feed, so one stands between the lines.
fn append_list(value: &[u8], octets_max: usize, out: &mut Vec<u8>) -> Result<(), InvalidSyntax> {
    let start = out.len();
    for (number, line) in value.split(|octet| *octet == b'$').enumerate() {
        if number > 0 {
            out.push(b'\n');
        }
        let Some(left) = octets_max.checked_sub(out.len() - start) else { return Ok(()) };
        if !line.contains(&b'\\') {
            prepare::prepare_within(line, Case::Fold, left, out)?;
            continue;
        }
        let mut plain = Vec::with_capacity(line.len());
        let mut rest = line;
        while let [octet, after @ ..] = rest {
            let (plain_octet, after) = match rest {
                [b'\\', b'2', b'4', after @ ..] => (b'$', after),
                [b'\\', b'5', b'C' | b'c', after @ ..] => (b'\\', after),
                _ => (*octet, after),
            };
            plain.push(plain_octet);
            rest = after;
        }
        prepare::prepare_within(&plain, Case::Fold, left, out)?;
    }
    Ok(())
}

/// Types by name, values by their own rules. A custom type in a name that is a value is compared as text without
/// regard to case, as one that is not known: a rule stands for itself, without a schema.
fn append_dn(value: &[u8], octets_max: usize, out: &mut Vec<u8>) -> Result<(), InvalidSyntax> {
    dn::normalize_dn_within(value, Schema::core_table(), octets_max, out).map_err(|_| InvalidSyntax)
}

fn append_unique_member(value: &[u8], octets_max: usize, out: &mut Vec<u8>) -> Result<(), InvalidSyntax> {
    let (name, uid) = syntax::split_optional_uid(value);
    append_dn(name, octets_max, out)?;
    if let Some(uid) = uid {
        // A NUL stands in no normal form of a DN unescaped, so the two cannot run into each other.
        out.push(0);
        out.extend_from_slice(uid);
    }
    Ok(())
}

/// Seconds since 1970, shifted above zero, then nanoseconds when there are any.
fn append_time(value: &[u8], out: &mut Vec<u8>) -> Result<(), InvalidSyntax> {
    let time = time::parse(value).ok_or(InvalidSyntax)?;
    out.extend_from_slice(&(time.unix_seconds ^ i64::MIN).to_be_bytes());
    if time.nanoseconds != 0 {
        out.extend_from_slice(&time.nanoseconds.to_be_bytes());
    }
    Ok(())
}

/// The lower-case first name of a class, attribute type or matching rule that the schema knows by any name or by OID, else the
/// identifier itself in lower case.
///
/// RFC 4517 section 4.2.26 makes a name that the server does not know Undefined. Here it matches what is spelled
/// the same: entries may carry classes that only the configuration knows, and `(!(objectClass=computer))` must not
/// lose every entry.
fn append_identifier(value: &[u8], out: &mut Vec<u8>) -> Result<(), InvalidSyntax> {
    let text = std::str::from_utf8(value).map_err(|_| InvalidSyntax)?;
    let core = Schema::core_table();
    let name = match classes::find(text) {
        // Some names of authentik's classes are no short names.
        Some(class) => class.name(),
        None if !is_oid(value) => return Err(InvalidSyntax),
        None => match core.find(text) {
            Some(id) => core.attribute(id).name.as_ref(),
            // `matchingRules` and `matchingRuleUse` begin with the OID of a rule.
            None => MatchingRule::find(text).map_or(text, |rule| rule.name()),
        },
    };
    out.extend(name.bytes().map(|octet| octet.to_ascii_lowercase()));
    Ok(())
}

/// The first component of `( 2.5.4.3 NAME 'cn' … )`; an assertion is that component alone.
fn first_component(value: &[u8]) -> &[u8] {
    let Some(rest) = value.strip_prefix(b"(") else {
        return value;
    };
    let rest = rest.trim_ascii_start();
    let end = rest.iter().position(|octet| matches!(octet, b' ' | b')')).unwrap_or(rest.len());
    rest.get(..end).unwrap_or(rest)
}

/// One step, and one for each so many octets.
fn note_comparison(value: &[u8]) {
    super::steps::note(1 + value.len() as u64 / 256);
}

#[cfg(test)]
mod tests;
