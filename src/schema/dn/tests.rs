#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::normal::NormalDn;
use super::*;
use crate::schema::Schema;

fn dn(text: &str) -> Dn {
    Dn::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The RDNs of a name in normal form, the leaf first.
fn rdns(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_root = name.is_empty();
    name.split(|octet| *octet == b',').skip(usize::from(is_root))
}

fn normal(text: &str) -> NormalDn {
    let schema = Schema::core();
    let slow = dn(text).normal_form(&schema);
    let mut fast = b"before".to_vec();
    normalize_dn(text.as_bytes(), &schema, &mut fast).unwrap();
    assert_eq!(fast.split_off(6), slow.as_bytes(), "{text}");
    slow
}

#[test]
fn the_examples_of_rfc_4514_are_read() {
    let name = dn("UID=jsmith,DC=example,DC=net");
    assert_eq!(name.rdns().len(), 3);
    assert_eq!(
        name.rdn().unwrap().pairs()[0],
        TypeAndValue { attribute: "UID".into(), value: b"jsmith".into() }
    );
    assert_eq!(dn("OU=Sales+CN=J.  Smith,DC=example,DC=net").rdn().unwrap().pairs()[1].value, b"J.  Smith");
    assert_eq!(
        dn(r#"CN=James \"Jim\" Smith\, III,DC=net"#).rdn().unwrap().pairs()[0].value,
        br#"James "Jim" Smith, III"#
    );
    assert_eq!(dn(r"CN=Before\0dAfter,DC=example,DC=net").rdn().unwrap().pairs()[0].value, b"Before\rAfter");
    assert_eq!(dn("1.3.6.1.4.1.1466.0=#04024869").rdn().unwrap().pairs()[0].value, b"Hi");
    assert_eq!(dn(r"CN=Lu\C4\8Di\C4\87").rdn().unwrap().pairs()[0].value, "Lučić".as_bytes());
}

#[test]
fn respellings_are_one_name() {
    let expected = normal("cn=Doe\\, John,ou=people,dc=example");
    for text in [
        "CN=doe\\2C john,OU=People,DC=EXAMPLE",
        "cn = Doe\\,  John , ou = people ; dc=example",
        "commonName=\"Doe, John\",organizationalUnitName=people,domainComponent=example",
        "2.5.4.3=Doe\\, John,OID.2.5.4.11=people,oid.0.9.2342.19200300.100.1.25=example",
        "cn=#0C09446F652C204A6F686E,ou=people,dc=example",
        "cn=\\ Doe\\, John\\20,ou=people,dc=example",
        " cn=Doe\\, John,ou=people,dc=example ",
    ] {
        assert_eq!(normal(text), expected, "{text}");
    }
    assert_eq!(expected.as_bytes(), br"cn=doe\2c john,ou=people,dc=example");
}

#[test]
fn the_prefix_of_an_oid_is_taken_off_an_oid_alone() {
    for (text, spelling) in [
        ("OID.2.5.4.3=x", "2.5.4.3=x"),
        ("oid.oid.2.5.4.3=x", "oid.oid.2.5.4.3=x"),
        ("oid.cn=x", "oid.cn=x"),
        ("oid.=x", "oid.=x"),
    ] {
        let name = dn(text);
        assert_eq!(name.to_string(), spelling);
        assert_eq!(dn(spelling), name, "{text}");
    }
    assert_ne!(normal("oid.cn=x"), normal("cn=x"));
}

#[test]
fn values_are_compared_by_the_rule_of_their_type() {
    for (first, second, same) in [
        ("uidNumber=007,dc=x", "uidNumber=7,dc=x", true),
        ("telephoneNumber=1 2-3", "telephoneNumber=123", true),
        ("homeDirectory=/A", "homeDirectory=/a", false),
        ("unknownType=A", "UNKNOWNTYPE=a", true),
        ("cn=a+sn=b,dc=x", "SN=B + CN=A,dc=x", true),
        ("cn=a+cn=a", "cn=a", false),
        ("cn=a+commonName=A+2.5.4.3=a", "cn=a", false),
        ("cn=a\\+sn=b", "cn=a+sn=b", false),
        ("cn=a\\,dc=x", "cn=a,dc=x", false),
        ("cn=\\5c2c", "cn=\\,", false),
        ("uidNumber=x", "uidNumber=X", true),
        ("uidNumber=\\80", "uidNumber=0", false),
        ("cn=\\FF", "cn=\\FF", true),
        ("cn=\\FF", "cn=\\FE", false),
        ("cn=Straße", "cn=STRASSE", true),
        ("member=cn\\=a", "member=CN\\=A", true),
        ("description=a", "cn=a", false),
        ("cn=", "cn=\\20", true),
    ] {
        assert_eq!(normal(first) == normal(second), same, "{first} {second}");
    }
}

#[test]
fn what_is_no_name_is_refused_with_its_place() {
    for (text, error) in [
        ("cn", DnError::Equals { position: 2 }),
        ("=a", DnError::Type { position: 0 }),
        ("cn=a,", DnError::Type { position: 5 }),
        (",cn=a", DnError::Type { position: 0 }),
        ("cn=a,,dc=b", DnError::Type { position: 5 }),
        ("cn=a+", DnError::Type { position: 5 }),
        ("c n=a", DnError::Equals { position: 2 }),
        ("2.5.=a", DnError::Type { position: 0 }),
        ("-a=b", DnError::Type { position: 0 }),
        ("cn=a\\", DnError::Escape { position: 4 }),
        ("cn=a\\x", DnError::Escape { position: 4 }),
        ("cn=\"a", DnError::Quote { position: 3 }),
        ("cn=\"a\"b", DnError::Character { position: 6 }),
        ("cn=a\"b", DnError::Character { position: 4 }),
        ("cn=#", DnError::Hexadecimal { position: 3 }),
        ("cn=#0", DnError::Hexadecimal { position: 3 }),
        ("cn=#0405aa", DnError::Hexadecimal { position: 3 }),
        ("cn=#04016zz", DnError::Hexadecimal { position: 3 }),
        ("cn=#0484ffffffffaa", DnError::Hexadecimal { position: 3 }),
        ("cn=a\0", DnError::Character { position: 4 }),
    ] {
        assert_eq!(Dn::parse(text.as_bytes()), Err(error), "{text}");
        let mut out = b"before".to_vec();
        assert_eq!(normalize_dn(text.as_bytes(), &Schema::core(), &mut out), Err(error), "{text}");
        assert_eq!(out, b"before");
    }
    assert_eq!(Dn::parse(b"cn=\xFF"), Err(DnError::NotUtf8));
}

#[test]
fn the_root_is_the_empty_text() {
    for text in ["", "  "] {
        assert!(dn(text).is_root());
        assert_eq!(normal(text).as_bytes(), b"");
    }
    assert_eq!(dn("").parent(), None);
    assert_eq!(parent(normal("").as_bytes()), None);
    assert_eq!(rdns(b"").count(), 0);
}

#[test]
fn names_are_spelled_canonically() {
    for (text, spelled) in [
        ("CN = Foo , DC=x", "CN=Foo,DC=x"),
        ("cn=\"a,b\"", r"cn=a\,b"),
        (r"cn=\20a\20", r"cn=\ a\ "),
        (r"cn=\ ", r"cn=\ "),
        (r"cn=\#a#", r"cn=\#a#"),
        (r"cn=a=b", "cn=a=b"),
        (r"cn=\00\0a", r"cn=\00\0A"),
        (r"cn=\C3\BC\FF", r"cn=ü\FF"),
        ("ou=a+cn=b;dc=c", "ou=a+cn=b,dc=c"),
        ("cn=", "cn="),
        (r#"cn=\"\<\>\;\+"#, r#"cn=\"\<\>\;\+"#),
        (r"cn=a\\", r"cn=a\5C"),
        (r"cn=a\5c", r"cn=a\5C"),
    ] {
        assert_eq!(dn(text).to_string(), spelled);
    }
}

#[test]
fn parents_and_children() {
    let base = dn("ou=users,dc=x");
    let child = dn(r"cn=a\,b, ou=users, dc=x");
    assert_eq!(child.to_string(), r"cn=a\,b,ou=users,dc=x");
    assert_eq!(child.parent(), Some(base.clone()));
    let (child, base) = (normal(&child.to_string()), normal(&base.to_string()));
    assert_eq!(parent(child.as_bytes()), Some(base.as_bytes()));
    assert_eq!(parent(b"dc=x"), Some(b"".as_slice()));
    let steps: Vec<_> = rdns(child.as_bytes()).collect();
    assert_eq!(steps, [br"cn=a\2cb".as_slice(), b"ou=users", b"dc=x"]);
}

#[test]
fn below_is_decided_on_the_borders_of_rdns() {
    for (name, suffix, below) in [
        ("cn=a,dc=x", "dc=x", true),
        ("dc=x", "dc=x", true),
        ("dc=x", "cn=a,dc=x", false),
        ("cn=a,xdc=x", "dc=x", false),
        ("cn=a\\,dc=x", "dc=x", false),
        ("cn=a,dc=x", "", true),
        ("", "", true),
        ("", "dc=x", false),
    ] {
        assert_eq!(normal(name).is_at_or_below(&normal(suffix)), below, "{name} {suffix}");
    }
}

#[test]
fn a_normal_name_is_found_by_its_octets() {
    let map = std::collections::HashMap::from([(normal("CN=a,dc=x"), 1)]);
    assert_eq!(map.get(b"cn=a,dc=x".as_slice()), Some(&1));
}

#[test]
fn a_deep_name_is_read_without_recursion() {
    let text = "cn=a,".repeat(200_000) + "dc=x";
    assert_eq!(dn(&text).rdns().len(), 200_001);
}

fn any_dn() -> impl Strategy<Value = Dn> {
    let attribute =
        prop_oneof!["[a-zA-Z][a-zA-Z0-9-]{0,6}", Just("2.5.4.3".to_owned()), Just("cn".to_owned())];
    let value = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..8),
        "[ -~äÄ\u{301}]{0,8}".prop_map(String::into_bytes),
        r##"[ ,+"\\#;<>=a]{0,6}"##.prop_map(String::into_bytes),
    ];
    let pair = (attribute, value).prop_map(|(attribute, value)| TypeAndValue { attribute, value });
    let rdn = proptest::collection::vec(pair, 1..3).prop_map(|pairs| Rdn { pairs });
    proptest::collection::vec(rdn, 0..4).prop_map(|rdns| Dn { rdns })
}

/// Another spelling of the same name.
fn respell(name: &Dn) -> String {
    let mut text = String::new();
    for (place, rdn) in name.rdns().iter().enumerate() {
        text.push_str(if place > 0 { " ;  " } else { " " });
        for (place, pair) in rdn.pairs().iter().rev().enumerate() {
            text.push_str(if place > 0 { " + " } else { "" });
            let attribute = match pair.attribute.as_str() {
                "cn" => "OID.2.5.4.3".to_owned(),
                "2.5.4.3" => "CommonName".to_owned(),
                other => other.to_ascii_uppercase(),
            };
            text.push_str(&attribute);
            text.push_str(" = ");
            pair.value.iter().for_each(|octet| text.push_str(&format!("\\{octet:02x}")));
        }
    }
    text
}

proptest! {
    #![proptest_config(crate::rounds::cases(256))]
    #[test]
    fn what_is_written_is_read(name in any_dn()) {
        prop_assert_eq!(&dn(&name.to_string()), &name);
    }

    #[test]
    fn a_respelled_name_has_the_same_normal_form(name in any_dn()) {
        let schema = Schema::core();
        prop_assert_eq!(dn(&respell(&name)).normal_form(&schema), name.normal_form(&schema));
    }

    #[test]
    fn the_straight_way_is_the_long_way(text in "([ ]?(cn|OU|dc|x|uidNumber|homeDirectory|2.5.4.3)[ ]?=[ ]?[ -~ü]{0,5}[,+]?){0,4}") {
        let schema = Schema::core();
        let mut out = Vec::new();
        let straight = normalize_dn(text.as_bytes(), &schema, &mut out);
        match Dn::parse(text.as_bytes()) {
            Ok(name) => {
                prop_assert_eq!(straight, Ok(()));
                let form = name.normal_form(&schema);
                prop_assert_eq!(out.as_slice(), form.as_bytes());
            }
            Err(error) => prop_assert_eq!(straight, Err(error)),
        }
    }

    #[test]
    fn steps_of_the_text_are_steps_of_the_normal_form(name in any_dn()) {
        let schema = Schema::core();
        let form = name.normal_form(&schema);
        prop_assert_eq!(rdns(form.as_bytes()).count(), name.rdns().len());
        if let Some(above) = name.parent() {
            let above = above.normal_form(&schema);
            prop_assert_eq!(parent(form.as_bytes()), Some(above.as_bytes()));
            prop_assert!(form.is_at_or_below(&above));
        }
    }

    #[test]
    fn nothing_panics(octets in proptest::collection::vec(any::<u8>(), 0..60), text in r##"[cn=,+;"\\#0-9a-f ]{0,40}"##) {
        let schema = Schema::core();
        let _ = normalize_dn(&octets, &schema, &mut Vec::new());
        let _ = normalize_dn(text.as_bytes(), &schema, &mut Vec::new());
    }
}
