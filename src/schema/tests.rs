#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashSet;

use super::attributes::{Indexes, Usage};
use super::*;

#[test]
fn ids_are_places_and_keys_are_unique() {
    let schema = Schema::core();
    let mut seen = HashSet::new();
    for (place, attribute) in schema.attributes().enumerate() {
        assert_eq!(attribute.id.index(), place, "{}", attribute.name);
        assert!(oid::is_numeric_oid(attribute.oid.as_bytes()), "{}", attribute.oid);
        for key in attribute.names().chain([attribute.oid.as_ref()]) {
            assert!(key.len() <= NAME_OCTETS_MAX);
            assert!(seen.insert(key.to_ascii_lowercase()), "{key} is there twice");
            assert_eq!(schema.find(&key.to_ascii_uppercase()), Some(attribute.id));
        }
    }
    assert_eq!(AttributeId::new(AttributeId::CN.get()), AttributeId::CN);
}

#[test]
fn unknown_names_are_not_found() {
    let schema = Schema::core();
    for name in ["", "cn;lang-de", "c n", "2.5.4", &"x".repeat(NAME_OCTETS_MAX + 1)] {
        assert_eq!(schema.find(name), None, "{name}");
    }
}

#[test]
fn rules_fit_the_syntax_and_belong_to_each_other() {
    for attribute in Schema::core().attributes() {
        let name = &attribute.name;
        if let Some(rule) = attribute.equality {
            assert_eq!(rule.kind(), RuleKind::Equality, "{name}");
            assert!(rule.applies_to(attribute.syntax) || rule == MatchingRule::CaseIgnoreList, "{name}");
        }
        if let Some(rule) = attribute.ordering {
            assert_eq!(attribute.equality.unwrap().ordering_of(), Some(rule), "{name}");
        }
        if let Some(rule) = attribute.substrings {
            assert_eq!(attribute.equality.unwrap().substrings_of(), Some(rule), "{name}");
        }
        let indexes = attribute.indexes;
        assert!(!indexes.equality || attribute.equality.is_some(), "{name}");
        assert!(!indexes.substrings || attribute.substrings.is_some() && indexes.equality, "{name}");
    }
}

#[test]
fn no_user_modification_needs_an_operational_usage() {
    for attribute in Schema::core().attributes() {
        assert!(!attribute.no_user_modification || attribute.is_operational(), "{}", attribute.name);
    }
}

/// RFC 4512 section 2.5.1: usage is that of the supertype, and the rules are inherited.
#[test]
fn a_subtype_is_like_its_supertype() {
    let schema = Schema::core();
    for attribute in schema.attributes() {
        let Some(superior) = attribute.superior.map(|id| schema.attribute(id)) else { continue };
        assert_eq!(
            (attribute.usage, attribute.equality, attribute.ordering, attribute.substrings),
            (superior.usage, superior.equality, superior.ordering, superior.substrings),
            "{}",
            attribute.name
        );
        assert!(schema.subtypes(superior.id).contains(&attribute.id));
    }
    let names = schema.subtypes(AttributeId::NAME);
    assert_eq!(names.first(), Some(&AttributeId::NAME));
    for subtype in [AttributeId::CN, AttributeId::SN, AttributeId::OU, AttributeId::C] {
        assert!(names.contains(&subtype));
    }
    assert_eq!(schema.subtypes(AttributeId::MEMBER), [AttributeId::MEMBER]);
}

#[test]
fn the_indexes_are_those_that_searches_need() {
    let schema = Schema::core();
    let of = |wanted: fn(&Indexes) -> bool| -> HashSet<String> {
        let attributes = schema.attributes().filter(|attribute| wanted(&attribute.indexes));
        attributes.map(|attribute| attribute.name.to_string()).collect()
    };
    let equality = "cn uid mail sn givenName displayName uidNumber gidNumber employeeNumber objectClass entryUUID ou \
                    sAMAccountName userPrincipalName telephoneNumber o l title departmentNumber";
    assert_eq!(of(|indexes| indexes.equality), equality.split_whitespace().map(str::to_owned).collect());
    let substrings = "cn uid mail sn givenName displayName";
    assert_eq!(of(|indexes| indexes.substrings), substrings.split_whitespace().map(str::to_owned).collect());
}

#[test]
fn passwords_are_known_and_secret() {
    let schema = Schema::core();
    for name in
        ["userPassword", "authPassword", "unicodePwd", "sambaNTPassword", "sambaLMPassword", "nisSecretKey"]
    {
        assert!(schema.is_secret(schema.find(name).unwrap()), "{name}");
    }
    assert!(!schema.is_secret(AttributeId::CN));
}

#[test]
fn numbers_and_paths_order_and_have_parts_without_a_declared_rule() {
    let schema = Schema::core();
    let of = |id| schema.attribute(id);
    assert_eq!(of(AttributeId::UID_NUMBER).ordering, None);
    assert_eq!(of(AttributeId::UID_NUMBER).ordering_rule(), Some(MatchingRule::IntegerOrdering));
    assert_eq!(of(AttributeId::LOGIN_SHELL).substrings_rule(), Some(MatchingRule::CaseExactIa5Substrings));
    assert_eq!(of(AttributeId::MEMBER).substrings_rule(), None);
    assert!(of(AttributeId::CN).is_naming() && of(AttributeId::DC).is_naming());
    assert!(!of(AttributeId::MEMBER).is_naming() && !of(AttributeId::USER_PASSWORD).is_naming());
}

#[test]
fn custom_attributes_are_added_once() {
    let core = Schema::core();
    let (schema, id) = core.with_attribute(&CustomType::of_name("customerNumber")).unwrap();
    assert_eq!(core.find("customernumber"), None);
    assert_eq!(schema.find("CUSTOMERNUMBER"), Some(id));
    let attribute = schema.attribute(id);
    assert_eq!(attribute.name, "customerNumber");
    assert_eq!(attribute.equality, Some(MatchingRule::CaseIgnore));
    assert_eq!(
        (attribute.single_valued, attribute.usage, attribute.indexes),
        (false, Usage::User, Indexes::default())
    );
    assert_eq!(schema.find(&attribute.oid), Some(id));
    assert_eq!(schema.subtypes(id), [id]);
    assert_eq!(schema.with_attribute(&CustomType::of_name("customernumber")).unwrap().1, id);
    assert_eq!(schema.with_attribute(&CustomType::of_name("commonName")).unwrap().1, AttributeId::CN);

    let (schema, second) = schema.with_attribute(&CustomType::of_name("settings/locale.name_1")).unwrap();
    assert_ne!(second, id);
    assert_eq!(schema.attribute(id).name, "customerNumber");
    assert_eq!(
        core.with_attribute(&CustomType::of_name("customerNumber")).unwrap().0.attribute(id).oid,
        schema.attribute(id).oid
    );
    assert_eq!(
        schema.with_attribute(&CustomType::of_name("1.2.3")).unwrap().0.find("1.2.3").map(AttributeId::get),
        Some(second.get() + 1)
    );
}

/// As authentik's outpost spells the attributes of its users.
#[test]
fn signs_that_no_schema_allows_are_taken_out_of_names() {
    let type_of = |schema: &Schema, name: &str| schema.attribute(schema.find(name).unwrap()).name.to_string();
    let add = |schema: &Schema, name: &str| schema.with_attribute(&CustomType::of_name(name)).unwrap();
    let (schema, id) = add(&Schema::core(), "goauthentik.io/user/Sources");
    for name in ["goauthentik.io/user/sources", "GOAUTHENTIKIO-user-sources"] {
        assert_eq!(
            (schema.find(name), type_of(&schema, name)),
            (Some(id), "goauthentikio-user-Sources".into())
        );
    }
    assert!(!schema.subschema_values(AttributeId::ATTRIBUTE_TYPES).iter().any(|value| value.contains('/')));
    // Where another has that name, whichever came first, each keeps its own.
    for names in [["a/b.c", "a-bc"], ["a-bc", "a/b.c"]] {
        let (schema, first) = add(&Schema::core(), names[0]);
        let (schema, second) = add(&schema, names[1]);
        assert_ne!(first, second);
        for (name, id) in names.into_iter().zip([first, second]) {
            assert_eq!((schema.find(name), type_of(&schema, name)), (Some(id), name.to_owned()));
            assert_eq!(add(&schema, name).1, id);
        }
    }
    assert_eq!(type_of(&add(&Schema::core(), "c/n").0, "c/n"), "c-n");
    assert_eq!(type_of(&add(&Schema::core(), "c.n").0, "c.n"), "c.n", "cn is another");
    assert_eq!(type_of(&add(&Schema::core(), "1.2.3").0, "1.2.3"), "1.2.3");
    let changed = schema.with_changed(id, &CustomType::of_name("x/y")).unwrap();
    assert_eq!((changed.find("goauthentikio-user-sources"), type_of(&changed, "x/y")), (None, "x-y".into()));
}

#[test]
fn names_that_no_request_can_hold_are_refused() {
    let schema = Schema::core();
    for name in [
        "",
        "a b",
        "a;b",
        "a=b",
        "a:b",
        "(a)",
        "ä",
        "1a",
        "-a",
        "a\0",
        "1.",
        &"x".repeat(NAME_OCTETS_MAX + 1),
    ] {
        let error = schema.with_attribute(&CustomType::of_name(name)).unwrap_err();
        assert_eq!(error, SchemaError::Name { name: name.to_owned() }, "{name}");
    }
}

/// One that is stored stays what it is.
#[test]
fn no_new_name_is_a_word_of_ldif() {
    let schema = Schema::core();
    for name in ["dn", "d.n", "DN", "changeType", "Control", "c.ontrol"] {
        let refused = Err(SchemaError::OfLdif { name: name.to_owned() });
        assert_eq!((schema.check_new_name(name), schema.check_name(name)), (refused, Ok(())));
    }
    assert_eq!(schema.check_new_name("d-n"), Ok(()));
}

#[test]
fn the_id_of_another_schema_has_no_rules() {
    let foreign = Schema::core().with_attribute(&CustomType::of_name("one")).unwrap().1;
    let schema = Schema::core();
    assert_eq!(schema.attribute(foreign).equality, None);
    assert_eq!(schema.subtypes(foreign), []);
}

#[test]
fn what_classes_name_exists_and_stands_in_the_schema() {
    let schema = Schema::core();
    assert_eq!(schema.class("POSIXACCOUNT").unwrap().name(), "posixAccount");
    for name in [
        "top",
        "person",
        "organizationalPerson",
        "inetOrgPerson",
        "posixAccount",
        "posixGroup",
        "shadowAccount",
        "groupOfNames",
        "groupOfUniqueNames",
        "organizationalUnit",
        "organization",
        "dcObject",
        "domain",
        "account",
        "applicationProcess",
        "organizationalRole",
        "simpleSecurityObject",
        "country",
        "locality",
        "uidObject",
        "extensibleObject",
        "subschema",
        "subentry",
        "user",
        "group",
        "ldapPublicKey",
        "residentialPerson",
        "device",
        "document",
        "documentSeries",
        "room",
        "rFC822localPart",
        "dNSDomain",
        "domainRelatedObject",
        "friendlyCountry",
        "pilotPerson",
        "pilotOrganization",
        "pkiUser",
        "pkiCA",
        "cRLDistributionPoint",
        "deltaCRL",
        "strongAuthenticationUser",
        "userSecurityInformation",
        "certificationAuthority",
        "certificationAuthority-V2",
        "labeledURIObject",
        "ipService",
        "ipProtocol",
        "oncRpc",
        "ipHost",
        "ipNetwork",
        "nisNetgroup",
        "nisMap",
        "nisObject",
        "ieee802Device",
        "bootableDevice",
        "nisKeyObject",
        "nisDomainObject",
        "automountMap",
        "automount",
        "groupOfMembers",
    ] {
        assert!(schema.class(name).is_some(), "{name}");
    }
}
