//! Custom attribute types: from their records to the schema, and the names that a record needs.

use crate::model::{AttributeSyntax, CustomAttribute, Record};
use crate::schema::{AttributeId, CustomType, Dn, Schema, Syntax};

/// A custom attribute type as the schema takes it.
pub fn custom_type(attribute: &CustomAttribute) -> CustomType {
    CustomType {
        name: attribute.name.clone(),
        oid: attribute.oid.clone(),
        syntax: syntax(attribute.syntax),
        single_valued: attribute.single_valued,
        description: attribute.description.clone(),
    }
}

/// The schema with one more custom attribute type.
///
/// It was checked before it was committed. A later version of the core table may know its name, whose definition
/// then holds, or its OID, in place of which one is made from the name.
pub fn with_custom(schema: &Schema, attribute: &CustomAttribute) -> Option<(Schema, AttributeId)> {
    let declared = custom_type(attribute);
    let without_oid = || schema.with_attribute(&CustomType { oid: None, ..declared.clone() });
    schema.with_attribute(&declared).or_else(|_| without_oid()).ok()
}

/// The attribute types that a record uses and the schema does not know, each once, as the record spells them.
pub fn unknown_attributes(schema: &Schema, record: &Record) -> Vec<String> {
    let mut unknown: Vec<String> = Vec::new();
    let mut look = |name: &str| {
        let is_new = schema.find(name).is_none() && schema.check_name(name).is_ok();
        if is_new && unknown.iter().all(|other| !other.eq_ignore_ascii_case(name)) {
            unknown.push(name.to_owned());
        }
    };
    each_attribute(record, &mut look);
    unknown
}

/// Whether a record uses the attribute type, by whatever name.
pub fn uses_attribute(schema: &Schema, record: &Record, id: AttributeId) -> bool {
    let mut is_used = false;
    each_attribute(record, &mut |name| is_used |= schema.find(name) == Some(id));
    is_used
}

/// Hands the attribute types to `look` that a record has values of or names its entries by.
fn each_attribute(record: &Record, look: &mut dyn FnMut(&str)) {
    let (attributes, placements) = match record {
        Record::Account(account) => (&account.attributes, &account.placements),
        Record::Group(group) => (&group.attributes, &group.placements),
        Record::Provider(provider) => {
            each_in_dn(&provider.base_dn, look);
            let lists = [&provider.users, &provider.service_accounts, &provider.groups];
            for container in lists.into_iter().flatten() {
                each_in_dn(&container.container, look);
                look(&container.naming);
            }
            return;
        }
        _ => return,
    };
    for attribute in attributes {
        look(attribute.description.split(';').next().unwrap_or_default());
    }
    placements.iter().for_each(|placement| each_in_dn(&placement.rdn, look));
}

fn each_in_dn(dn: &str, look: &mut dyn FnMut(&str)) {
    if let Ok(dn) = Dn::parse(dn.as_bytes()) {
        dn.rdns().iter().flat_map(|rdn| rdn.pairs()).for_each(|pair| look(&pair.attribute));
    }
}

fn syntax(syntax: AttributeSyntax) -> Syntax {
    match syntax {
        AttributeSyntax::DirectoryString => Syntax::DirectoryString,
        AttributeSyntax::Ia5String => Syntax::Ia5String,
        AttributeSyntax::PrintableString => Syntax::PrintableString,
        AttributeSyntax::NumericString => Syntax::NumericString,
        AttributeSyntax::TelephoneNumber => Syntax::TelephoneNumber,
        AttributeSyntax::PostalAddress => Syntax::PostalAddress,
        AttributeSyntax::Integer => Syntax::Integer,
        AttributeSyntax::Boolean => Syntax::Boolean,
        AttributeSyntax::GeneralizedTime => Syntax::GeneralizedTime,
        AttributeSyntax::Dn => Syntax::Dn,
        AttributeSyntax::Oid => Syntax::Oid,
        AttributeSyntax::Uuid => Syntax::Uuid,
        AttributeSyntax::BitString => Syntax::BitString,
        AttributeSyntax::OctetString => Syntax::OctetString,
        AttributeSyntax::Jpeg => Syntax::Jpeg,
    }
}
