//! The subschema subentry (RFC 4512 section 4.2), as an entry that stands in no tree.

use std::sync::Arc;

use uuid::Uuid;

use super::entry::Entry;
use crate::model::{LdapProvider, Timestamp};
use crate::schema::time::generalized_time;
use crate::schema::{AttributeId, MatchingRule, Schema};

/// The DN of the subschema subentry.
pub const SUBSCHEMA_DN: &str = "cn=subschema";

/// The entry, and the normal forms of what it publishes: to make them anew for every assertion about them would cost
/// more than anything else that a stranger may ask.
#[derive(Debug)]
pub(super) struct Subschema {
    entry: Arc<Entry>,
    /// In the order of [`PUBLISHED`], by the rule of [`FIRST_COMPONENTS`].
    forms: Vec<(AttributeId, Vec<Box<[u8]>>)>,
}

impl Subschema {
    /// Of a schema that has been this one since `since`, on a server whose first directory is that of `provider`.
    pub(super) fn new(schema: &Schema, since: Timestamp, provider: Option<&LdapProvider>) -> Self {
        let entry = entry(schema, since, provider);
        let forms = PUBLISHED.iter().map(|id| {
            let values = entry.attributes_of(*id).flat_map(|attribute| attribute.values());
            let forms = values.filter_map(|value| {
                let mut form = Vec::new();
                FIRST_COMPONENTS.normalize(value, &mut form).ok().map(|()| form.into_boxed_slice())
            });
            (*id, forms.collect())
        });
        let forms = forms.collect();
        Self { entry: Arc::new(entry), forms }
    }

    pub(super) fn entry(&self) -> &Arc<Entry> {
        &self.entry
    }

    /// The normal forms of an attribute's values by a rule, if they are kept.
    pub(super) fn forms(&self, attribute: AttributeId, rule: MatchingRule) -> Option<&[Box<[u8]>]> {
        let (_, forms) = self.forms.iter().find(|(id, _)| *id == attribute)?;
        (rule == FIRST_COMPONENTS).then_some(forms)
    }
}

/// Makes the entry from the one table of the schema.
fn entry(schema: &Schema, since: Timestamp, provider: Option<&LdapProvider>) -> Entry {
    let created = provider.map_or(since, |provider| provider.created);
    let time =
        |time: Timestamp| vec![String::from_utf8_lossy(&generalized_time(time.unix_seconds())).into_owned()];
    let text = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<String>>();
    let mut attributes = vec![
        (AttributeId::OBJECT_CLASS, text(&["top", "subentry", "subschema", "extensibleObject"])),
        (AttributeId::CN, text(&["subschema"])),
        // A subentry has one (RFC 3672 section 2.1); empty: the whole of its area.
        (AttributeId::SUBTREE_SPECIFICATION, text(&["{}"])),
        (AttributeId::STRUCTURAL_OBJECT_CLASS, text(&["subentry"])),
        (AttributeId::SUBSCHEMA_SUBENTRY, text(&[SUBSCHEMA_DN])),
        (AttributeId::ENTRY_DN, text(&[SUBSCHEMA_DN])),
        (AttributeId::ENTRY_UUID, vec![uuid(provider).to_string()]),
        (AttributeId::CREATORS_NAME, text(&[SUBSCHEMA_DN])),
        (AttributeId::MODIFIERS_NAME, text(&[SUBSCHEMA_DN])),
        (AttributeId::CREATE_TIMESTAMP, time(created)),
        (AttributeId::MODIFY_TIMESTAMP, time(created.max(since))),
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

/// The `entryUUID`, derived from that of the first directory: the same after each start.
fn uuid(provider: Option<&LdapProvider>) -> Uuid {
    let mut octets = [0; 16];
    let mut hasher = blake3::Hasher::new_derive_key("bindery subschema entryUUID");
    hasher.update(provider.map_or(Uuid::nil(), |provider| provider.uuid).as_bytes());
    hasher.finalize_xof().fill(&mut octets);
    uuid::Builder::from_custom_bytes(octets).into_uuid()
}

/// The equality rule of all of them.
const FIRST_COMPONENTS: MatchingRule = MatchingRule::ObjectIdentifierFirstComponent;

const PUBLISHED: [AttributeId; 5] = [
    AttributeId::LDAP_SYNTAXES,
    AttributeId::MATCHING_RULES,
    AttributeId::MATCHING_RULE_USE,
    AttributeId::ATTRIBUTE_TYPES,
    AttributeId::OBJECT_CLASSES,
];
