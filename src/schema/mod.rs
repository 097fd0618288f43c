//! LDAP's data: attribute types, object classes, syntaxes, matching rules, distinguished names. No I/O.
//!
//! [`Schema`] is the one place to ask what a name means. `attributes.rs` and `classes.rs` hold the tables,
//! `matching.rs` makes values comparable (`prepare.rs`: text by RFC 4518, `time.rs`: times), `dn.rs` reads and
//! writes names, `subschema.rs` publishes all of it (RFC 4512).

mod attributes;
mod classes;
pub mod dn;
mod matching;
mod prepare;
mod subschema;
mod syntax;
pub mod time;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

pub use attributes::{AttributeId, AttributeType, Indexes, Usage};
pub use classes::{ClassKind, ObjectClass};
pub use dn::{Dn, DnError, NormalDn, Rdn, TypeAndValue, normalize_dn};
pub use matching::{InvalidSyntax, MatchingRule, RuleKind};
pub use prepare::PartPosition;
pub use syntax::Syntax;

/// The core table and the custom attributes of a configuration. Immutable; a clone shares all of it.
#[derive(Clone, Debug)]
pub struct Schema(Arc<Table>);

/// Why a custom attribute cannot be added.
#[derive(Clone, Eq, PartialEq, Debug, thiserror::Error)]
pub enum SchemaError {
    /// The name is no attribute name.
    #[error(
        "The attribute name {name:?} cannot be used: write a letter, then letters, digits and any of - _ . /, or a dotted OID \
         (at most {LONGEST_NAME} octets)."
    )]
    Name {
        /// The name as given.
        name: String,
    },
    /// There is no number left for another attribute.
    #[error("The attribute {name:?} cannot be added: there are {MOST_ATTRIBUTES} already. Use fewer names.")]
    Full {
        /// The name as given.
        name: String,
    },
}

#[derive(Debug, Clone)]
struct Table {
    attributes: Vec<AttributeType>,
    /// At the place of a type: itself, then its descendants.
    subtypes: Vec<Vec<AttributeId>>,
    /// Names, aliases and OIDs in lower case.
    by_name: HashMap<Box<[u8]>, AttributeId, foldhash::fast::RandomState>,
    /// What an id that is not of this schema stands for.
    undefined: AttributeType,
}

impl Schema {
    /// The core table without custom attributes.
    pub fn core() -> Self {
        Self::core_table().clone()
    }

    /// This schema with one more attribute: text, compared without regard to case, multi-valued, not indexed. When
    /// the name, alias or OID is known already the schema is the same and the id is the known one. Ids of this
    /// schema stay valid.
    ///
    /// # Errors
    /// [`SchemaError`] when the name cannot stand in a request or too many attributes are there already.
    pub fn with_attribute(&self, name: &str) -> Result<(Self, AttributeId), SchemaError> {
        if let Some(id) = self.find(name) {
            return Ok((self.clone(), id));
        }
        if !is_attribute_name(name) {
            return Err(SchemaError::Name { name: name.to_owned() });
        }
        let number = self.0.attributes.len();
        if number >= MOST_ATTRIBUTES {
            return Err(SchemaError::Full { name: name.to_owned() });
        }
        let id =
            AttributeId::new(u16::try_from(number).map_err(|_| SchemaError::Full { name: name.to_owned() })?);
        let mut table = Table::clone(&self.0);
        table.add(AttributeType::custom(id, custom_oid(name), name.to_owned()));
        Ok((Self(Arc::new(table)), id))
    }

    /// The attribute type with this id. Total: an id of another schema is an attribute that has no rules, so that
    /// filters on it are Undefined.
    pub fn attribute(&self, id: AttributeId) -> &AttributeType {
        self.0.attributes.get(id.index()).unwrap_or(&self.0.undefined)
    }

    /// All attribute types, in the order of their ids.
    pub fn attributes(&self) -> &[AttributeType] {
        &self.0.attributes
    }

    /// The attribute type with this name or alias, in any case, or with this dotted OID; without options.
    pub fn find(&self, name: &str) -> Option<AttributeId> {
        self.0.by_name.get(LowerCase::of(name)?.as_bytes()).copied()
    }

    /// The type itself, then everything derived from it: what a filter on it looks at (RFC 4512 section 2.5.1).
    pub fn subtypes(&self, id: AttributeId) -> &[AttributeId] {
        self.0.subtypes.get(id.index()).map_or(&[], Vec::as_slice)
    }

    /// The object class with this name or alias, in any case, or with this dotted OID.
    pub fn class(&self, name: &str) -> Option<&'static ObjectClass> {
        classes::find(name)
    }

    /// All object classes, each after its superior.
    pub fn classes(&self) -> &'static [ObjectClass] {
        classes::CLASSES
    }

    /// Whether values of this attribute are secrets: they stand in no entry, under no selector, for nobody.
    pub fn is_secret(&self, id: AttributeId) -> bool {
        self.attribute(id).secret
    }

    /// The values of an attribute of the subschema entry (RFC 4512 section 4.2); none for other attributes.
    pub fn subschema_values(&self, id: AttributeId) -> Vec<String> {
        subschema::values(self, id)
    }

    /// The core table, shared.
    fn core_table() -> &'static Self {
        static CORE: OnceLock<Schema> = OnceLock::new();
        CORE.get_or_init(|| {
            let mut table = Table {
                attributes: Vec::new(),
                subtypes: Vec::new(),
                by_name: HashMap::default(),
                undefined: AttributeType::UNDEFINED,
            };
            for attribute in attributes::CORE {
                table.add(attribute.clone());
            }
            table.link_subtypes();
            Schema(Arc::new(table))
        })
    }
}

impl Table {
    fn add(&mut self, attribute: AttributeType) {
        for key in attribute.names().chain([attribute.oid.as_ref()]) {
            self.by_name.insert(key.to_ascii_lowercase().into_bytes().into_boxed_slice(), attribute.id);
        }
        self.subtypes.push(vec![attribute.id]);
        self.attributes.push(attribute);
    }

    /// Puts every type into the lists of all it is derived from. Custom types have no superior.
    fn link_subtypes(&mut self) {
        for attribute in &self.attributes {
            let mut superior = attribute.superior;
            while let Some(id) = superior {
                if let Some(list) = self.subtypes.get_mut(id.index()) {
                    list.push(attribute.id);
                }
                superior = self.attributes.get(id.index()).and_then(|attribute| attribute.superior);
            }
        }
    }
}

/// A name in lower case on the stack: the key of every look-up.
struct LowerCase {
    octets: [u8; LONGEST_NAME],
    length: usize,
}

impl LowerCase {
    /// `None` when the name is longer than any that is known.
    fn of(name: &str) -> Option<Self> {
        let mut octets = [0; LONGEST_NAME];
        let place = octets.get_mut(..name.len())?;
        place.copy_from_slice(name.as_bytes());
        place.make_ascii_lowercase();
        Some(Self { octets, length: name.len() })
    }

    fn as_bytes(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }
}

/// Whether a custom attribute may have this name: what RFC 4512 allows, and the signs that identity providers put
/// into names besides. All of them can be written in a filter without an escape.
fn is_attribute_name(name: &str) -> bool {
    name.len() <= LONGEST_NAME
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_./".contains(&octet))
        || (name.len() <= LONGEST_NAME && syntax::is_numeric_oid(name.as_bytes()))
}

/// The OID of a custom attribute: `2.25` and a UUID (version 8) made from the name, so that every server that
/// publishes the name publishes the same OID.
fn custom_oid(name: &str) -> String {
    if syntax::is_numeric_oid(name.as_bytes()) {
        return name.to_owned();
    }
    let hash = blake3::derive_key("bindery 2026 custom attribute type", name.to_ascii_lowercase().as_bytes());
    let mut octets = [0; 16];
    octets.iter_mut().zip(hash).for_each(|(octet, hashed)| *octet = hashed);
    format!("2.25.{}", uuid::Builder::from_custom_bytes(octets).into_uuid().as_u128())
}

/// In octets; the longest OID of the core table has 51.
const LONGEST_NAME: usize = 128;
/// Attribute types in one schema, core and custom.
const MOST_ATTRIBUTES: usize = 16_384;

#[cfg(test)]
mod tests;
