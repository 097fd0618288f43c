//! LDAP's data: attribute types, object classes, syntaxes, matching rules, distinguished names. No I/O.
//!
//! [`Schema`] is the one place to ask what a name means. `attributes.rs` and `classes.rs` hold the tables,
//! `matching.rs` makes values comparable (`prepare.rs`: text by RFC 4518, `time.rs`: times), `dn.rs` reads and
//! writes names, `subschema.rs` publishes all of it (RFC 4512).

/// An OID under the arc that this project made for itself from a UUID: X.667 gives every UUID the arc
/// `2.25.<the UUID as an integer>`, which needs no registration. Attribute types stand below `1`, object classes
/// below `2`.
macro_rules! arc {
    ($suffix:literal) => {
        concat!("2.25.35571760610023963491769869525137176506.", $suffix)
    };
}

mod attributes;
mod classes;
pub mod dn;
mod matching;
mod oid;
mod prepare;
pub mod steps;
mod subschema;
mod syntax;
pub mod time;

use crate::quoted::quoted;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

#[cfg(test)]
pub use attributes::Usage;
pub use attributes::{AttributeId, AttributeType, computed_attributes};
pub use classes::{AUTHENTIK_GROUP, AUTHENTIK_USER, AUTHENTIK_VIRTUAL_GROUP, ClassKind, ObjectClass};
pub use dn::{Dn, DnError, Rdn, TypeAndValue, normalize_dn, normalize_dn_within};
pub use matching::{MatchingRule, RuleKind};
pub use oid::{is_keystring, is_oid};
pub use prepare::PartPosition;
pub use syntax::Syntax;

/// The core table and the custom attribute types of a directory. Immutable; a clone shares all of it.
#[derive(Clone, Debug)]
pub struct Schema(Arc<Table>);

/// A custom attribute type, as it is declared. Its matching rules follow from its syntax.
#[derive(Clone, Eq, PartialEq, Debug)]
pub struct CustomType {
    /// Its name as it is given; answers spell it without the signs that no schema allows.
    pub name: String,
    /// Its object identifier, dotted; `None`: made from the name.
    pub oid: Option<String>,
    /// What its values may be.
    pub syntax: Syntax,
    /// Whether an entry has one value at most.
    pub single_valued: bool,
    /// What it is for; empty when nobody said.
    pub description: String,
}

impl CustomType {
    /// One of which nothing is known but its name: text, compared without regard to case, multi-valued.
    pub fn of_name(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            oid: None,
            syntax: Syntax::DirectoryString,
            single_valued: false,
            description: String::new(),
        }
    }
}

/// Why a custom attribute type cannot be added.
#[derive(Clone, Eq, PartialEq, Debug, thiserror::Error)]
pub enum SchemaError {
    /// The name is no attribute name.
    #[error(
        "The attribute name {} cannot be used: write a letter, then letters, digits and any of - _ . /, or a dotted OID (at \
         most {NAME_OCTETS_MAX} octets).",
        quoted(name)
    )]
    Name {
        /// The name as given.
        name: String,
    },
    /// In LDIF the name stands for something else.
    #[error(
        "The attribute name {} cannot be used: in LDIF a line that begins with it is none of an attribute. Choose another \
         name.",
        quoted(name)
    )]
    OfLdif {
        /// The name as given.
        name: String,
    },
    /// The OID is none.
    #[error(
        "The OID {} of the attribute {} is none: write it dotted, such as 1.3.6.1.4.1.55555.1.",
        quoted(oid),
        quoted(name)
    )]
    Oid {
        /// The attribute.
        name: String,
        /// The OID as given.
        oid: String,
    },
    /// The OID names another attribute type.
    #[error(
        "The attribute {} cannot have the OID {oid}, which is that of {other}: give it another one.",
        quoted(name)
    )]
    OidTaken {
        /// The attribute.
        name: String,
        oid: String,
        /// Whose it is.
        other: String,
    },
    /// There is no number left for another attribute.
    #[error(
        "The attribute {} cannot be added: there are {ATTRIBUTES_MAX} already. Use fewer names.",
        quoted(name)
    )]
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

    /// Whether it is this very schema: all that was found by one holds for the other.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// This schema with one more attribute type, which has no index. When its name is known already the schema is
    /// the same and the id is the known one. Ids of this schema stay valid.
    ///
    /// # Errors
    /// [`SchemaError`] when the name cannot stand in a request, the OID is none or another's, or too many
    /// attribute types are there already.
    pub fn with_attribute(&self, custom: &CustomType) -> Result<(Self, AttributeId), SchemaError> {
        if let Some(id) = self.find(&custom.name) {
            let known = self.attribute(id);
            let is_named_so =
                known.given_name.as_ref().is_none_or(|given| given.eq_ignore_ascii_case(&custom.name));
            if is_named_so || !known.name.eq_ignore_ascii_case(&custom.name) {
                return Ok((self.clone(), id));
            }
            // A store of an earlier version may hold both names: then each keeps its own.
            return self.with_own_name(id).with_attribute(custom);
        }
        self.check_name(&custom.name)?;
        let full = || SchemaError::Full { name: custom.name.clone() };
        let id = AttributeId::new(u16::try_from(self.0.attributes.len()).map_err(|_| full())?);
        let oid = self.oid_of(custom, id)?;
        let mut table = Table::clone(&self.0);
        table.add(AttributeType::custom(id, oid, self.spelled(&custom.name), custom));
        Ok((Self(Arc::new(table)), id))
    }

    /// This schema with another declaration of a custom attribute type. All ids stay valid; entries that have it
    /// were made with the old one.
    ///
    /// # Errors
    /// [`SchemaError`] as for [`Schema::with_attribute`].
    pub fn with_changed(&self, id: AttributeId, custom: &CustomType) -> Result<Self, SchemaError> {
        if !self.is_custom(id) {
            return Ok(self.clone());
        }
        let without = self.without(id);
        without.check_name(&custom.name)?;
        let oid = without.oid_of(custom, id)?;
        let mut table = Table::clone(&without.0);
        table.put(AttributeType::custom(id, oid, without.spelled(&custom.name), custom));
        Ok(Self(Arc::new(table)))
    }

    /// A custom name as answers spell it. authentik's outpost takes the signs out that no schema allows, but for `_`; so it
    /// is here, unless another type has that name.
    fn spelled(&self, name: &str) -> String {
        let spelled = without_signs(name);
        let is_other = oid::is_numeric_oid(name.as_bytes()) || self.find(&spelled).is_some();
        if is_other { name.to_owned() } else { spelled }
    }

    /// This schema with a type that answers spell as it was given.
    fn with_own_name(&self, id: AttributeId) -> Self {
        let mut table = Table::clone(&self.0);
        if let Some(attribute) = table.attributes.get_mut(id.index())
            && let Some(given) = attribute.given_name.take()
        {
            table.by_name.remove(attribute.name.to_ascii_lowercase().as_bytes());
            attribute.name = Cow::Owned(given.into());
        }
        Self(Arc::new(table))
    }

    /// This schema without a custom attribute type. Its id has no rules from then on and is not given away again,
    /// all others stay valid.
    pub fn without(&self, id: AttributeId) -> Self {
        if !self.is_custom(id) {
            return self.clone();
        }
        let mut table = Table::clone(&self.0);
        table.by_name.retain(|_, other| *other != id);
        if let Some(place) = table.attributes.get_mut(id.index()) {
            *place = AttributeType { id, ..AttributeType::UNDEFINED };
        }
        Self(Arc::new(table))
    }

    /// Whether an attribute type that is not known yet could have this name.
    ///
    /// # Errors
    /// [`SchemaError`] when it cannot stand in a request, or too many attribute types are there already.
    pub fn check_name(&self, name: &str) -> Result<(), SchemaError> {
        if !is_attribute_name(name) {
            return Err(SchemaError::Name { name: name.to_owned() });
        }
        if self.0.attributes.len() >= ATTRIBUTES_MAX {
            return Err(SchemaError::Full { name: name.to_owned() });
        }
        Ok(())
    }

    /// The same of one that is declared or used for the first time: a store may hold one that has come in before.
    ///
    /// # Errors
    /// [`SchemaError`] as for [`Schema::check_name`], and where answers would spell it as what is no attribute in LDIF.
    pub fn check_new_name(&self, name: &str) -> Result<(), SchemaError> {
        if is_word_of_ldif(&without_signs(name)) {
            return Err(SchemaError::OfLdif { name: name.to_owned() });
        }
        self.check_name(name)
    }

    /// Whether the attribute type is not of the core table.
    pub fn is_custom(&self, id: AttributeId) -> bool {
        id.index() >= attributes::CORE.len() && id.index() < self.0.attributes.len()
    }

    /// The OID that is given, if it may be, or the one that is made from the name.
    fn oid_of(&self, custom: &CustomType, id: AttributeId) -> Result<String, SchemaError> {
        let name = || custom.name.clone();
        let Some(oid) = &custom.oid else { return Ok(custom_oid(&custom.name)) };
        if !oid::is_numeric_oid(oid.as_bytes()) || oid.len() > NAME_OCTETS_MAX {
            return Err(SchemaError::Oid { name: name(), oid: oid.clone() });
        }
        match self.find(oid) {
            Some(other) if other != id => {
                let other = self.attribute(other).name.to_string();
                Err(SchemaError::OidTaken { name: name(), oid: oid.clone(), other })
            }
            _ => Ok(oid.clone()),
        }
    }

    /// Whether both are one: neither was changed into the other.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The attribute type with this id. Total: an id of another schema is an attribute that has no rules, so that
    /// filters on it are Undefined.
    pub fn attribute(&self, id: AttributeId) -> &AttributeType {
        self.0.attributes.get(id.index()).unwrap_or(&self.0.undefined)
    }

    /// All attribute types, in the order of their ids.
    pub fn attributes(&self) -> impl Iterator<Item = &AttributeType> {
        // A type that was taken out has left its place behind.
        self.0.attributes.iter().filter(|attribute| !attribute.oid.is_empty())
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

    /// Whether values of this attribute are secrets: they stand in no entry, under no selector, for nobody.
    pub fn is_secret(&self, id: AttributeId) -> bool {
        self.attribute(id).secret
    }

    /// Whether values of this attribute are names of entries.
    pub fn is_name(&self, id: AttributeId) -> bool {
        matches!(self.attribute(id).syntax, Syntax::Dn | Syntax::NameAndOptionalUid)
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
        self.subtypes.push(vec![attribute.id]);
        self.attributes.push(AttributeType { id: attribute.id, ..AttributeType::UNDEFINED });
        self.put(attribute);
    }

    /// Puts a type into its place, and its names beside the others'.
    fn put(&mut self, attribute: AttributeType) {
        for key in attribute.names().chain([attribute.oid.as_ref()]) {
            self.by_name.insert(key.to_ascii_lowercase().into_bytes().into_boxed_slice(), attribute.id);
        }
        if let Some(place) = self.attributes.get_mut(attribute.id.index()) {
            *place = attribute;
        }
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
    octets: [u8; NAME_OCTETS_MAX],
    length: usize,
}

impl LowerCase {
    /// `None` when the name is longer than any that is known.
    fn of(name: &str) -> Option<Self> {
        let mut octets = [0; NAME_OCTETS_MAX];
        let place = octets.get_mut(..name.len())?;
        place.copy_from_slice(name.as_bytes());
        place.make_ascii_lowercase();
        Some(Self { octets, length: name.len() })
    }

    fn as_bytes(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }
}

/// Whether a line of LDIF that begins so says something else than a value of an attribute (RFC 2849).
pub fn is_word_of_ldif(name: &str) -> bool {
    ["dn", "changetype", "control"].iter().any(|word| word.eq_ignore_ascii_case(name))
}

/// A custom name without the signs that no schema allows, but for `_`.
fn without_signs(name: &str) -> String {
    name.replace('/', "-").replace('.', "")
}

/// Whether a custom attribute may have this name: what RFC 4512 allows, and the signs that identity providers put
/// into names besides. All of them can be written in a filter without an escape.
fn is_attribute_name(name: &str) -> bool {
    name.len() <= NAME_OCTETS_MAX
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_./".contains(&octet))
        || (name.len() <= NAME_OCTETS_MAX && oid::is_numeric_oid(name.as_bytes()))
}

/// The OID of a custom attribute: `2.25` and a UUID (version 8) made from the name, so that every server that
/// publishes the name publishes the same OID.
fn custom_oid(name: &str) -> String {
    if oid::is_numeric_oid(name.as_bytes()) {
        return name.to_owned();
    }
    let hash = blake3::derive_key("bindery 2026 custom attribute type", name.to_ascii_lowercase().as_bytes());
    let mut octets = [0; 16];
    octets.iter_mut().zip(hash).for_each(|(octet, hashed)| *octet = hashed);
    format!("2.25.{}", uuid::Builder::from_custom_bytes(octets).into_uuid().as_u128())
}

/// Of a name or an OID, in octets; the longest OID of the core table has 51.
/// No limit of the config: a rule about what may be declared, far above what any has.
const NAME_OCTETS_MAX: usize = 128;
/// Attribute types in one schema, core and custom.
/// No limit of the config: their ids have 16 bits, and all of them are published in one entry.
const ATTRIBUTES_MAX: usize = 16_384;

#[cfg(test)]
mod tests;
