//! The schema as values of the subschema entry (RFC 4512 section 4.1), for clients that read all of it.

use std::fmt::Write;

use super::attributes::{AttributeId, AttributeType, Usage};
use super::classes::{ClassKind, ObjectClass};
use super::matching::{MatchingRule, RuleKind};
use super::oid::is_keystring;
use super::syntax::Syntax;
use super::{Schema, classes};

/// The values of one attribute of the subschema entry.
pub(super) fn values(schema: &Schema, id: AttributeId) -> Vec<String> {
    match id {
        AttributeId::ATTRIBUTE_TYPES => {
            schema.attributes().map(|attribute| attribute_type(schema, attribute)).collect()
        }
        AttributeId::OBJECT_CLASSES => {
            classes::CLASSES.iter().map(|class| object_class(schema, class)).collect()
        }
        AttributeId::MATCHING_RULES => MatchingRule::ALL.iter().map(|rule| matching_rule(*rule)).collect(),
        AttributeId::MATCHING_RULE_USE => {
            MatchingRule::ALL.iter().filter_map(|rule| matching_rule_use(schema, *rule)).collect()
        }
        AttributeId::LDAP_SYNTAXES => Syntax::ALL.iter().map(|syntax| ldap_syntax(*syntax)).collect(),
        _ => Vec::new(),
    }
}

/// Section 4.1.2. What a supertype says already is not repeated.
fn attribute_type(schema: &Schema, attribute: &AttributeType) -> String {
    let superior = attribute.superior.map(|id| schema.attribute(id));
    let mut text = format!("( {}", attribute.oid);
    // A custom name with signs that RFC 4512 does not allow in a NAME is told in words.
    let names = legal(attribute.names());
    if names.is_empty() {
        let words = [&*attribute.name, &*attribute.description];
        let words: Vec<&str> = words.into_iter().filter(|words| !words.is_empty()).collect();
        append(&mut text, "DESC", &quoted(&words.join(": ")));
    } else {
        append(&mut text, "NAME", &quoted_list(&names));
        if !attribute.description.is_empty() {
            append(&mut text, "DESC", &quoted(&attribute.description));
        }
    }
    if let Some(superior) = superior {
        append(&mut text, "SUP", &superior.name);
    }
    for (word, own, inherited) in [
        ("EQUALITY", attribute.equality, superior.and_then(|superior| superior.equality)),
        ("ORDERING", attribute.ordering, superior.and_then(|superior| superior.ordering)),
        ("SUBSTR", attribute.substrings, superior.and_then(|superior| superior.substrings)),
    ] {
        if let Some(rule) = own.filter(|rule| inherited != Some(*rule)) {
            append(&mut text, word, rule.name());
        }
    }
    if superior.is_none_or(|superior| superior.syntax != attribute.syntax) {
        append(&mut text, "SYNTAX", attribute.syntax.oid());
    }
    if attribute.single_valued {
        text.push_str(" SINGLE-VALUE");
    }
    if attribute.no_user_modification {
        text.push_str(" NO-USER-MODIFICATION");
    }
    match attribute.usage {
        Usage::User => {}
        Usage::DirectoryOperation => append(&mut text, "USAGE", "directoryOperation"),
        Usage::DsaOperation => append(&mut text, "USAGE", "dSAOperation"),
    }
    append(&mut text, "X-ORIGIN", &quoted(attribute.origin));
    text.push_str(" )");
    text
}

/// Section 4.1.1.
fn object_class(schema: &Schema, class: &ObjectClass) -> String {
    let mut text = format!("( {}", class.oid);
    append(&mut text, "NAME", &quoted_list(&legal(class.names.iter().copied())));
    match class.superiors {
        [] => {}
        [superior] => append(&mut text, "SUP", superior),
        superiors => append(&mut text, "SUP", &format!("( {} )", superiors.join(" $ "))),
    }
    text.push_str(match class.kind {
        ClassKind::Abstract => " ABSTRACT",
        ClassKind::Structural => " STRUCTURAL",
        ClassKind::Auxiliary => " AUXILIARY",
    });
    for (word, attributes) in [("MUST", class.must), ("MAY", class.may)] {
        if !attributes.is_empty() {
            append(&mut text, word, &names_of(schema, attributes));
        }
    }
    append(&mut text, "X-ORIGIN", &quoted(class.origin));
    text.push_str(" )");
    text
}

/// Section 4.1.3.
fn matching_rule(rule: MatchingRule) -> String {
    format!("( {} NAME {} SYNTAX {} )", rule.oid(), quoted(rule.name()), rule.syntax().oid())
}

/// Section 4.1.4: the attributes that an extensible match may use the rule on. None for substrings rules, whose
/// assertions an extensible match cannot carry here, and for rules without an attribute.
fn matching_rule_use(schema: &Schema, rule: MatchingRule) -> Option<String> {
    if rule.kind() == RuleKind::Substrings {
        return None;
    }
    let attributes: Vec<_> = schema
        .attributes()
        .filter(|attribute| rule.applies_to(attribute.syntax))
        .map(|attribute| attribute.id)
        .collect();
    if attributes.is_empty() {
        return None;
    }
    let applies = names_of(schema, &attributes);
    Some(format!("( {} NAME {} APPLIES {applies} )", rule.oid(), quoted(rule.name())))
}

/// Section 4.1.5.
fn ldap_syntax(syntax: Syntax) -> String {
    let mut text = format!("( {} DESC {}", syntax.oid(), quoted(syntax.description()));
    if !syntax.is_human_readable() {
        append(&mut text, "X-NOT-HUMAN-READABLE", "'TRUE'");
    }
    text.push_str(" )");
    text
}

fn append(text: &mut String, word: &str, value: &str) {
    // Writing to a String cannot fail.
    let _ = write!(text, " {word} {value}");
}

/// Those of the names that RFC 4512 allows in a NAME.
fn legal<'n>(names: impl Iterator<Item = &'n str>) -> Vec<&'n str> {
    names.filter(|name| is_keystring(name.as_bytes())).collect()
}

/// `qdescrs`: one name, or several in parentheses.
fn quoted_list(names: &[&str]) -> String {
    match names {
        [name] => quoted(name),
        names => {
            let names: Vec<_> = names.iter().map(|name| quoted(name)).collect();
            format!("( {} )", names.join(" "))
        }
    }
}

/// `qdstring`: `'` and `\` are escaped.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\5C").replace('\'', "\\27"))
}

/// `oids`: one, or several between `$` in parentheses. A name that is no `descr` is given by its OID.
fn names_of(schema: &Schema, attributes: &[AttributeId]) -> String {
    let names: Vec<&str> = attributes
        .iter()
        .map(|id| schema.attribute(*id))
        .map(
            |attribute| {
                if is_keystring(attribute.name.as_bytes()) { &*attribute.name } else { &*attribute.oid }
            },
        )
        .collect();
    match names.as_slice() {
        [name] => (*name).to_owned(),
        names => format!("( {} )", names.join(" $ ")),
    }
}

#[cfg(test)]
mod tests;
