//! The subschema subentry (RFC 4512 section 4.2), as an entry that stands in no tree.

use super::computed::SUBSCHEMA_DN;
use super::entry::Entry;
use crate::schema::{AttributeId, Schema};

/// Makes the entry from the one table of the schema.
pub(super) fn entry(schema: &Schema) -> Entry {
    let text = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<String>>();
    let mut attributes = vec![
        (AttributeId::OBJECT_CLASS, text(&["top", "subentry", "subschema", "extensibleObject"])),
        (AttributeId::CN, text(&["subschema"])),
        // A subentry has one (RFC 3672 section 2.1); empty: the whole of its area.
        (AttributeId::SUBTREE_SPECIFICATION, text(&["{}"])),
        (AttributeId::STRUCTURAL_OBJECT_CLASS, text(&["subentry"])),
        (AttributeId::SUBSCHEMA_SUBENTRY, text(&[SUBSCHEMA_DN])),
        (AttributeId::ENTRY_DN, text(&[SUBSCHEMA_DN])),
        (AttributeId::HAS_SUBORDINATES, text(&["FALSE"])),
        (AttributeId::NUM_SUBORDINATES, text(&["0"])),
    ];
    for id in PUBLISHED {
        attributes.push((id, schema.subschema_values(id)));
    }
    Entry::standalone(
        SUBSCHEMA_DN,
        attributes.iter().map(|(id, values)| (*id, &*schema.attribute(*id).name, values.as_slice())),
    )
}

const PUBLISHED: [AttributeId; 5] = [
    AttributeId::LDAP_SYNTAXES,
    AttributeId::MATCHING_RULES,
    AttributeId::MATCHING_RULE_USE,
    AttributeId::ATTRIBUTE_TYPES,
    AttributeId::OBJECT_CLASSES,
];
