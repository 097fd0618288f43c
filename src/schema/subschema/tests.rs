//! A small checker of the grammar of RFC 4512 section 4.1, which is stricter than what clients do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashSet;

use super::*;
use crate::schema::CustomType;
use crate::schema::oid::{is_numeric_oid, is_oid};

#[derive(Clone, PartialEq, Debug)]
enum Token {
    Open,
    Close,
    Dollar,
    Quoted(String),
    Word(String),
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        rest = match first {
            ' ' => &rest[1..],
            '(' | ')' | '$' => {
                tokens.push(match first {
                    '(' => Token::Open,
                    ')' => Token::Close,
                    _ => Token::Dollar,
                });
                // WSP is not demanded around them, but some clients split at spaces.
                assert!(rest.len() == 1 || rest[1..].starts_with(' '), "{text}");
                &rest[1..]
            }
            '\'' => {
                let end = rest[1..].find('\'').expect(text) + 1;
                tokens.push(Token::Quoted(rest[1..end].replace("\\27", "'").replace("\\5C", "\\")));
                &rest[end + 1..]
            }
            _ => {
                let end = rest.find(' ').unwrap_or(rest.len());
                tokens.push(Token::Word(rest[..end].to_owned()));
                &rest[end..]
            }
        };
    }
    tokens
}

/// What stands behind a keyword.
#[derive(Clone, Copy)]
enum Form {
    Flag,
    Oid,
    Oids,
    Descriptors,
    Text,
    OneOf(&'static [&'static str]),
}

struct Description {
    oid: String,
    fields: Vec<(String, Vec<String>)>,
}

impl Description {
    fn get(&self, word: &str) -> &[String] {
        self.fields.iter().find(|(field, _)| field == word).map_or(&[], |(_, values)| values)
    }
}

/// Reads a description whose keywords must come in the given order.
fn parse(text: &str, grammar: &[(&str, Form)]) -> Description {
    let tokens = tokens(text);
    let mut rest = tokens.iter().peekable();
    assert_eq!(rest.next(), Some(&Token::Open), "{text}");
    let Some(Token::Word(oid)) = rest.next() else { panic!("{text}") };
    assert!(is_numeric_oid(oid.as_bytes()), "{text}");
    let mut fields = Vec::new();
    for (word, form) in grammar {
        if rest.peek() != Some(&&Token::Word((*word).to_owned())) {
            continue;
        }
        rest.next();
        let mut values = Vec::new();
        let list = |rest: &mut std::iter::Peekable<std::slice::Iter<'_, Token>>, between: Option<Token>| {
            let mut values = Vec::new();
            if rest.peek() != Some(&&Token::Open) {
                values.push(rest.next().unwrap().clone());
                return values;
            }
            rest.next();
            loop {
                values.push(rest.next().unwrap().clone());
                if rest.peek() == Some(&&Token::Close) {
                    rest.next();
                    return values;
                }
                if let Some(between) = &between {
                    assert_eq!(rest.next(), Some(between), "{text}");
                }
            }
        };
        match form {
            Form::Flag => {}
            Form::Oid | Form::Oids => {
                let between = Some(Token::Dollar);
                for token in list(&mut rest, between) {
                    let Token::Word(oid) = token else { panic!("{text}") };
                    assert!(is_oid(oid.as_bytes()), "{oid} in {text}");
                    values.push(oid);
                }
                assert!(matches!(form, Form::Oids) || values.len() == 1, "{text}");
            }
            Form::Descriptors | Form::Text => {
                for token in list(&mut rest, None) {
                    let Token::Quoted(name) = token else { panic!("{text}") };
                    assert!(matches!(form, Form::Text) || is_keystring(name.as_bytes()), "{name} in {text}");
                    assert!(!name.is_empty());
                    values.push(name);
                }
            }
            Form::OneOf(words) => {
                let Some(Token::Word(word)) = rest.next() else { panic!("{text}") };
                assert!(words.contains(&word.as_str()), "{text}");
                values.push(word.clone());
            }
        }
        fields.push(((*word).to_owned(), values));
    }
    assert_eq!(rest.next(), Some(&Token::Close), "{text}");
    assert_eq!(rest.next(), None, "{text}");
    Description { oid: oid.clone(), fields }
}

const ATTRIBUTE_TYPE: &[(&str, Form)] = &[
    ("NAME", Form::Descriptors),
    ("DESC", Form::Text),
    ("SUP", Form::Oid),
    ("EQUALITY", Form::Oid),
    ("ORDERING", Form::Oid),
    ("SUBSTR", Form::Oid),
    ("SYNTAX", Form::Oid),
    ("SINGLE-VALUE", Form::Flag),
    ("NO-USER-MODIFICATION", Form::Flag),
    ("USAGE", Form::OneOf(&["directoryOperation", "dSAOperation"])),
    ("X-ORIGIN", Form::Text),
];
const OBJECT_CLASS: &[(&str, Form)] = &[
    ("NAME", Form::Descriptors),
    ("SUP", Form::Oids),
    ("ABSTRACT", Form::Flag),
    ("STRUCTURAL", Form::Flag),
    ("AUXILIARY", Form::Flag),
    ("MUST", Form::Oids),
    ("MAY", Form::Oids),
    ("X-ORIGIN", Form::Text),
];
const MATCHING_RULE: &[(&str, Form)] = &[("NAME", Form::Descriptors), ("SYNTAX", Form::Oid)];
const MATCHING_RULE_USE: &[(&str, Form)] = &[("NAME", Form::Descriptors), ("APPLIES", Form::Oids)];
const LDAP_SYNTAX: &[(&str, Form)] = &[("DESC", Form::Text), ("X-NOT-HUMAN-READABLE", Form::Text)];

fn published(schema: &Schema, id: AttributeId, grammar: &[(&str, Form)]) -> Vec<Description> {
    let values = schema.subschema_values(id);
    assert!(!values.is_empty());
    values.iter().map(|value| parse(value, grammar)).collect()
}

#[test]
fn all_that_is_named_is_published() {
    let schema = Schema::core().with_attribute(&CustomType::of_name("customer")).unwrap().0;
    let syntaxes: HashSet<String> = published(&schema, AttributeId::LDAP_SYNTAXES, LDAP_SYNTAX)
        .into_iter()
        .map(|syntax| syntax.oid)
        .collect();
    let rules = published(&schema, AttributeId::MATCHING_RULES, MATCHING_RULE);
    let attributes = published(&schema, AttributeId::ATTRIBUTE_TYPES, ATTRIBUTE_TYPE);
    let classes = published(&schema, AttributeId::OBJECT_CLASSES, OBJECT_CLASS);
    let names = |descriptions: &[Description]| -> HashSet<String> {
        descriptions.iter().flat_map(|description| description.get("NAME").to_vec()).collect()
    };
    let (rule_names, attribute_names, class_names) = (names(&rules), names(&attributes), names(&classes));

    for rule in &rules {
        assert!(syntaxes.contains(&rule.get("SYNTAX")[0]), "{}", rule.oid);
    }
    for attribute in &attributes {
        assert!(!attribute.get("SYNTAX").is_empty() || !attribute.get("SUP").is_empty(), "{}", attribute.oid);
        assert!(attribute.get("SYNTAX").iter().all(|syntax| syntaxes.contains(syntax)), "{}", attribute.oid);
        assert!(attribute.get("SUP").iter().all(|superior| attribute_names.contains(superior)));
        for word in ["EQUALITY", "ORDERING", "SUBSTR"] {
            assert!(attribute.get(word).iter().all(|rule| rule_names.contains(rule)), "{}", attribute.oid);
        }
    }
    for class in &classes {
        assert!(class.get("SUP").iter().all(|superior| class_names.contains(superior)));
        for word in ["MUST", "MAY"] {
            for name in class.get(word) {
                assert!(attribute_names.contains(name), "{name} of {}", class.oid);
            }
        }
    }
    for rule in published(&schema, AttributeId::MATCHING_RULE_USE, MATCHING_RULE_USE) {
        assert!(rules.iter().any(|known| known.oid == rule.oid));
        assert!(rule.get("APPLIES").iter().all(|name| attribute_names.contains(name)), "{}", rule.oid);
    }
}

#[test]
fn some_values_as_clients_see_them() {
    let schema = Schema::core();
    let attributes = schema.subschema_values(AttributeId::ATTRIBUTE_TYPES);
    for expected in [
        "( 2.5.4.3 NAME ( 'cn' 'commonName' ) SUP name X-ORIGIN 'RFC 4519' )",
        "( 2.5.4.6 NAME ( 'c' 'countryName' ) SUP name SYNTAX 1.3.6.1.4.1.1466.115.121.1.11 SINGLE-VALUE X-ORIGIN 'RFC 4519' )",
        "( 2.5.18.2 NAME 'modifyTimestamp' EQUALITY generalizedTimeMatch ORDERING generalizedTimeOrderingMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.24 SINGLE-VALUE NO-USER-MODIFICATION USAGE directoryOperation X-ORIGIN 'RFC 4512' )",
        "( 1.2.840.113556.1.2.102 NAME 'memberOf' EQUALITY distinguishedNameMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.12 X-ORIGIN 'bindery' )",
    ] {
        assert!(attributes.iter().any(|value| value == expected), "{expected}");
    }
    let classes = schema.subschema_values(AttributeId::OBJECT_CLASSES);
    let posix_group = "( 1.3.6.1.1.1.2.2 NAME 'posixGroup' SUP top AUXILIARY MUST ( cn $ gidNumber ) MAY ( userPassword $ memberUid $ description ) X-ORIGIN 'bindery' )";
    assert!(classes.iter().any(|value| value == posix_group));
    let of_authentik = "NAME 'goauthentikio-ldap-virtual-group' SUP top AUXILIARY X-ORIGIN 'bindery' )";
    assert!(classes.iter().any(|value| value.ends_with(of_authentik)));
    let syntaxes = schema.subschema_values(AttributeId::LDAP_SYNTAXES);
    assert!(
        syntaxes.contains(
            &"( 1.3.6.1.4.1.1466.115.121.1.28 DESC 'JPEG' X-NOT-HUMAN-READABLE 'TRUE' )".to_owned()
        )
    );
    assert!(schema.subschema_values(AttributeId::CN).is_empty());
}

#[test]
fn a_custom_name_that_rfc_4512_does_not_allow_is_told_in_words() {
    let (schema, id) = Schema::core().with_attribute(&CustomType::of_name("settings/locale_1")).unwrap();
    let attributes = published(&schema, AttributeId::ATTRIBUTE_TYPES, ATTRIBUTE_TYPE);
    let custom = attributes.iter().find(|attribute| attribute.oid == schema.attribute(id).oid).unwrap();
    assert_eq!(custom.get("DESC"), ["settings-locale_1"]);
    assert!(custom.get("NAME").is_empty());
    for value in schema.subschema_values(AttributeId::MATCHING_RULE_USE) {
        parse(&value, MATCHING_RULE_USE);
    }
}
