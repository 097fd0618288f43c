#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

fn normal(rule: MatchingRule, value: &[u8]) -> Result<Vec<u8>, InvalidSyntax> {
    let mut out = b"before".to_vec();
    let result = rule.normalize(value, &mut out);
    assert!(out.starts_with(b"before"));
    let appended = out.split_off(6);
    assert!(result.is_ok() || appended.is_empty(), "an error appends nothing");
    result.map(|()| appended)
}

/// Whether the two match, decided by the normal forms and by `matches`, which must agree.
fn same(rule: MatchingRule, value: &str, assertion: &str) -> Option<bool> {
    let assertion = normal(rule, assertion.as_bytes()).ok()?;
    let by_form = normal(rule, value.as_bytes()).is_ok_and(|value| value == assertion);
    assert_eq!(
        rule.matches(value.as_bytes(), &assertion, &mut b"rubbish".to_vec()),
        by_form,
        "{rule:?} {value}"
    );
    Some(by_form)
}

#[test]
fn names_and_oids_are_unique_and_found() {
    let mut seen = HashSet::new();
    for rule in MatchingRule::ALL.iter().copied() {
        for key in [rule.name(), rule.oid()] {
            assert!(seen.insert(key.to_ascii_lowercase()), "{key} is there twice");
            assert_eq!(MatchingRule::find(&key.to_ascii_uppercase()), Some(rule));
        }
    }
    assert_eq!(MatchingRule::find("LDAP_MATCHING_RULE_IN_CHAIN"), Some(MatchingRule::InChain));
    assert_eq!(MatchingRule::find("wordMatch"), None);
}

#[test]
fn the_oids_of_active_directory() {
    for (oid, rule) in [
        ("1.2.840.113556.1.4.803", MatchingRule::BitAnd),
        ("1.2.840.113556.1.4.804", MatchingRule::BitOr),
        ("1.2.840.113556.1.4.1941", MatchingRule::InChain),
    ] {
        assert_eq!(MatchingRule::find(oid), Some(rule));
    }
}

#[test]
fn equality_rules_decide() {
    use MatchingRule as R;
    for (rule, value, assertion, expected) in [
        (R::CaseIgnore, "Foo  Bar", " foo bar ", Some(true)),
        (R::CaseIgnore, "foobar", "foo bar", Some(false)),
        (R::CaseIgnore, "Ünal", "u\u{308}NAL", Some(true)),
        (R::CaseExact, "Foo  Bar", "Foo Bar", Some(true)),
        (R::CaseExact, "Foo", "foo", Some(false)),
        (R::CaseIgnoreIa5, "A@B.example", "a@b.EXAMPLE", Some(true)),
        (R::CaseIgnoreIa5, "jürgen@b.example", "JÜRGEN@b.example", Some(true)),
        (R::CaseExactIa5, "/home/a", "/home/A", Some(false)),
        (R::NumericString, "1 234", "12 34", Some(true)),
        (R::NumericString, "1", "x", None),
        (R::TelephoneNumber, "+49 30-12 34", "+493 01234", Some(true)),
        (R::TelephoneNumber, "1", "2", Some(false)),
        (R::CaseIgnoreList, "1 Main St$ Town", "1 main  st$town", Some(true)),
        (R::CaseIgnoreList, "a$b", "a\\24b", Some(false)),
        (R::CaseIgnoreList, "\\5cA\\24", "\\5Ca\\24 ", Some(true)),
        (R::Boolean, "TRUE", "true", Some(true)),
        (R::Boolean, "FALSE", "TRUE", Some(false)),
        (R::Boolean, "TRUE", "yes", None),
        (R::Integer, "0", "-0", Some(true)),
        (R::Integer, "007", "7", Some(true)),
        (R::Integer, "7", "-7", Some(false)),
        (R::Integer, "7", "+7", None),
        (R::Integer, "7", " 7", None),
        (R::Integer, "7", "", None),
        (R::Integer, "x", "7", Some(false)),
        (R::BitString, "'01'B", "'01'B", Some(true)),
        (R::BitString, "'01'B", "01", None),
        (R::OctetString, "Ab", "ab", Some(false)),
        (R::DistinguishedName, "CN=A B, DC=x", "commonName=a  b,dc=X", Some(true)),
        (R::DistinguishedName, "cn=a,dc=x", "cn=a", Some(false)),
        (R::DistinguishedName, "cn=a", "a", None),
        (R::UniqueMember, "cn=a#'01'B", "CN=A#'01'B", Some(true)),
        (R::UniqueMember, "cn=a#'01'B", "cn=a", Some(false)),
        (R::UniqueMember, "cn=a", "CN=a", Some(true)),
        (R::GeneralizedTime, "20240101000000Z", "2024010101+0100", Some(true)),
        (R::GeneralizedTime, "20240101000000Z", "20240101000000.5Z", Some(false)),
        (R::GeneralizedTime, "20240101000000Z", "2024-01-01T00:00:00Z", Some(true)),
        (R::GeneralizedTime, "20240101000000Z", "today", None),
        (R::ObjectIdentifier, "inetOrgPerson", "INETORGPERSON", Some(true)),
        (R::ObjectIdentifier, "inetOrgPerson", "2.16.840.1.113730.3.2.2", Some(true)),
        (R::ObjectIdentifier, "OpenLDAProotDSE", "ldaprootdse", Some(true)),
        (R::ObjectIdentifier, "person", "unknownClass", Some(false)),
        (R::ObjectIdentifier, "ourClass", "OURCLASS", Some(true)),
        (R::ObjectIdentifier, "person", "per son", None),
        (R::Uuid, "597ae2f6-16a6-1027-98f4-d28b5365dc14", "597AE2F6-16A6-1027-98F4-D28B5365DC14", Some(true)),
        (R::Uuid, "597ae2f6-16a6-1027-98f4-d28b5365dc14", "597ae2f6", None),
        (R::ObjectIdentifierFirstComponent, "( 2.5.4.3 NAME 'cn' )", "commonName", Some(true)),
        (R::ObjectIdentifierFirstComponent, "( 2.5.6.6 NAME 'person' )", "person", Some(true)),
        (R::ObjectIdentifierFirstComponent, "( 2.5.6.6 NAME 'person' )", "2.5.4.3", Some(false)),
        (
            R::ObjectIdentifierFirstComponent,
            "( 2.5.13.2 NAME 'caseIgnoreMatch' )",
            "CASEIGNOREMATCH",
            Some(true),
        ),
        (
            R::ObjectIdentifierFirstComponent,
            "( 2.5.13.2 NAME 'caseIgnoreMatch' )",
            "caseExactMatch",
            Some(false),
        ),
        (R::IntegerFirstComponent, "( 12 FORM x )", "12", Some(true)),
    ] {
        assert_eq!(same(rule, value, assertion), expected, "{rule:?} {value:?} {assertion:?}");
    }
}

#[test]
fn a_value_that_is_no_text_matches_no_string_rule_and_itself_as_octets() {
    assert_eq!(normal(MatchingRule::CaseIgnore, b"\xFF"), Err(InvalidSyntax));
    assert!(!MatchingRule::CaseIgnore.matches(b"\xFF", b"\xFF", &mut Vec::new()));
    assert!(MatchingRule::OctetString.matches(b"\xFF", b"\xFF", &mut Vec::new()));
}

#[test]
fn bits_are_compared_as_bits() {
    use MatchingRule::{BitAnd, BitOr};
    for (rule, value, mask, expected) in [
        (BitAnd, "514", "2", true),
        (BitAnd, "512", "2", false),
        (BitAnd, "3", "3", true),
        (BitAnd, "1", "3", false),
        (BitAnd, "0", "0", true),
        (BitAnd, "-2147483646", "2", true),
        (BitOr, "1", "3", true),
        (BitOr, "4", "3", false),
        (BitOr, "4", "0", false),
        (BitAnd, "text", "0", false),
    ] {
        let assertion = normal(rule, mask.as_bytes()).unwrap();
        assert_eq!(rule.matches(value.as_bytes(), &assertion, &mut Vec::new()), expected, "{value} {mask}");
    }
    assert!(normal(BitAnd, b"99999999999999999999").is_err());
}

#[test]
fn an_ordering_rule_matches_what_is_less() {
    let rule = MatchingRule::IntegerOrdering;
    let assertion = normal(rule, b"10").unwrap();
    let mut scratch = Vec::new();
    assert!(rule.matches(b"9", &assertion, &mut scratch));
    assert!(!rule.matches(b"10", &assertion, &mut scratch));
    assert_eq!(rule.compare(b"11", &assertion, &mut scratch), Some(Ordering::Greater));
    assert_eq!(rule.compare(b"x", &assertion, &mut scratch), None);
}

#[test]
fn ordering_rules_order() {
    use MatchingRule as R;
    let long = "9".repeat(200);
    let longer = format!("1{}", "0".repeat(200));
    let below = format!("-{longer}");
    for (rule, ascending) in [
        (R::IntegerOrdering, vec![below.as_str(), "-100", "-99", "-1", "0", "1", "9", "10", &long, &longer]),
        (
            R::GeneralizedTimeOrdering,
            vec![
                "00010101000000Z",
                "19691231235959Z",
                "19700101000000Z",
                "19700101000000.5Z",
                "20240101000000Z",
            ],
        ),
        (R::CaseIgnoreOrdering, vec!["a", "A b", "ab", "B"]),
        (R::CaseExactOrdering, vec!["B", "a"]),
        (R::NumericStringOrdering, vec!["1", "1 0", "2"]),
        (
            R::UuidOrdering,
            vec!["00000000-0000-0000-0000-00000000000a", "F0000000-0000-0000-0000-000000000000"],
        ),
    ] {
        let forms: Vec<_> = ascending.iter().map(|value| normal(rule, value.as_bytes()).unwrap()).collect();
        assert!(forms.is_sorted_by(|first, second| first < second), "{rule:?}");
    }
}

#[test]
fn parts_are_found_in_normal_forms() {
    use PartPosition::{Any, Final, Initial};
    let found = |rule: MatchingRule, position, value: &str, part: &str| {
        let value = normal(rule, value.as_bytes()).unwrap();
        let mut normal_part = Vec::new();
        rule.normalize_part(position, part.as_bytes(), usize::MAX, &mut normal_part).unwrap();
        match position {
            Initial => value.starts_with(&normal_part),
            Any => memchr::memmem::find(&value, &normal_part).is_some(),
            Final => value.ends_with(&normal_part),
        }
    };
    for (rule, position, value, part, expected) in [
        (MatchingRule::CaseIgnoreSubstrings, Initial, "A  Bc", "a b", true),
        (MatchingRule::CaseIgnoreSubstrings, Initial, "Ab", "a ", false),
        (MatchingRule::CaseIgnoreSubstrings, Final, "x B  C", " b c", true),
        (MatchingRule::CaseIgnoreSubstrings, Any, "one two three", " TWO ", true),
        (MatchingRule::CaseIgnoreSubstrings, Any, "onetwothree", " two ", false),
        (MatchingRule::CaseExactIa5Substrings, Any, "/bin/Bash", "bash", false),
        (MatchingRule::NumericStringSubstrings, Any, "12 34", "23", true),
        (MatchingRule::TelephoneNumberSubstrings, Final, "+49 30-1234", "3 01234", true),
        (MatchingRule::CaseIgnoreListSubstrings, Any, "Main St$Town", "st", true),
        (MatchingRule::CaseIgnoreListSubstrings, Any, "Main St$Town", "St Town", false),
    ] {
        assert_eq!(found(rule, position, value, part), expected, "{rule:?} {value:?} {part:?}");
    }
    assert_eq!(
        MatchingRule::Integer.normalize_part(Any, b"1", usize::MAX, &mut Vec::new()),
        Err(InvalidSyntax)
    );
}

#[test]
fn derived_rules_have_the_normal_form_of_their_equality_rule() {
    for rule in MatchingRule::ALL.iter().copied() {
        if let Some(ordering) = rule.ordering_of() {
            assert_eq!(ordering.kind(), RuleKind::Ordering);
        }
        if let Some(substrings) = rule.substrings_of() {
            assert_eq!(substrings.kind(), RuleKind::Substrings);
            assert_eq!(normal(substrings, b"12 34"), normal(rule, b"12 34"));
        }
    }
}

#[test]
fn a_rule_applies_to_values_of_its_kind() {
    assert!(MatchingRule::CaseExact.applies_to(Syntax::Ia5String));
    assert!(!MatchingRule::CaseExact.applies_to(Syntax::Integer));
    assert!(MatchingRule::BitAnd.applies_to(Syntax::Integer));
    assert!(MatchingRule::InChain.applies_to(Syntax::NameAndOptionalUid));
    assert!(!MatchingRule::DistinguishedName.applies_to(Syntax::NameAndOptionalUid));
    assert!(!MatchingRule::CaseIgnoreSubstrings.applies_to(Syntax::DirectoryString));
    assert!(MatchingRule::ObjectIdentifierFirstComponent.applies_to(Syntax::ObjectClassDescription));
    assert!(!MatchingRule::ObjectIdentifier.applies_to(Syntax::ObjectClassDescription));
}

proptest! {
    #![proptest_config(crate::rounds::cases(256))]
    #[test]
    fn integers_order_as_numbers(first in any::<i128>(), second in any::<i128>(), small in -300i128..300) {
        for (first, second) in [(first, second), (first, small), (small, small + 1), (small, -small)] {
            let forms = [first, second].map(|n| normal(MatchingRule::Integer, n.to_string().as_bytes()).unwrap());
            let [one, two] = forms;
            prop_assert_eq!(one.cmp(&two), first.cmp(&second));
        }
    }

    #[test]
    fn nothing_panics(value in proptest::collection::vec(any::<u8>(), 0..40), text in "[ -~]{0,40}") {
        for rule in MatchingRule::ALL.iter().copied() {
            for octets in [value.as_slice(), text.as_bytes()] {
                let form = normal(rule, octets);
                if let Ok(form) = form {
                    let is_equality = rule.kind() == RuleKind::Equality;
                    if !matches!(rule, MatchingRule::BitAnd | MatchingRule::BitOr) {
                        prop_assert_eq!(rule.matches(octets, &form, &mut Vec::new()), is_equality || rule.kind() == RuleKind::Substrings);
                    }
                }
                let _ = rule.normalize_part(PartPosition::Any, octets, usize::MAX, &mut Vec::new());
                let _ = rule.matches(octets, &value, &mut Vec::new());
            }
        }
    }
}
