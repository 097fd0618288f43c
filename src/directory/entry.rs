//! An entry, kept as the octets that leave on the wire.
//!
//! Layout of the one allocation: a table of (attribute type, end of its octets), then the DN as an
//! LDAPDN element, then each attribute as a PartialAttribute element (RFC 4511 section 4.1.7). An
//! answer with all attributes is one copy; one with some is a copy for each. What can be computed
//! from the account (memberOf, entryUUID, …) is not here, see `computed`.

use smallvec::SmallVec;

use crate::schema::{AttributeId, Schema, steps};

/// An entry of one provider's tree.
#[derive(Debug)]
pub struct Entry {
    octets: Box<[u8]>,
    /// The entry above it.
    parent: u32,
    attributes: u32,
    dn_length: u16,
    membership: MembershipAttributes,
    /// Whether a value of an attribute that is else computed is stored: its RDN is made of one.
    stores_computed: bool,
    /// Whether an attribute is stored whose values are names of entries.
    names_others: bool,
    added: Added,
}

/// What an entry has beside what follows from its own classes and attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Added {
    classes: u8,
    /// Bits, as a million entries have it.
    names: u8,
}

impl Added {
    /// `classes` of the last values of `objectClass`, and whether `uid` and `cn` are there for them alone.
    /// `is_open`: the last of the classes is there because no other allows some attribute.
    pub(super) fn new(classes: usize, uid: bool, cn: bool, is_open: bool) -> Self {
        let names = if uid { ADDED_UID } else { 0 } | if cn { ADDED_CN } else { 0 };
        let names = names | if is_open { ADDED_OPEN } else { 0 };
        Self { classes: u8::try_from(classes).unwrap_or(u8::MAX), names }
    }

    /// How many of the last values of `objectClass` were added: for the compatibility attributes, for want of a
    /// structural class, for attributes that no class allows.
    pub fn classes(self) -> usize {
        usize::from(self.classes)
    }

    /// Whether the first value of `uid` is there for an added class alone.
    pub fn uid(self) -> bool {
        self.names & ADDED_UID != 0
    }

    /// Whether `cn` is there for an added class alone.
    pub fn cn(self) -> bool {
        self.names & ADDED_CN != 0
    }

    fn is_open(self) -> bool {
        self.names & ADDED_OPEN != 0
    }

    /// The same without the class that allows any attribute.
    fn closed(self) -> Self {
        Self { classes: self.classes.saturating_sub(1), names: self.names & !ADDED_OPEN }
    }
}

const ADDED_UID: u8 = 1;
const ADDED_CN: u8 = 2;
const ADDED_OPEN: u8 = 4;

/// In which attributes a group shows its members, by its object classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct MembershipAttributes {
    /// `member`: DNs of accounts and groups.
    pub(super) member: bool,
    /// `uniqueMember`: the same.
    pub(super) unique_member: bool,
    /// `memberUid`: names of accounts.
    pub(super) member_uid: bool,
}

/// One attribute of an entry, as a PartialAttribute element.
#[derive(Clone, Copy, Debug)]
pub struct StoredAttribute<'a> {
    /// Its type; an attribute with options has the type without.
    pub id: AttributeId,
    /// The whole element.
    pub octets: &'a [u8],
}

impl Entry {
    /// An entry that stands in no tree, such as the root DSE: all its attributes are given.
    pub fn standalone<'v, V: AsRef<[u8]> + 'v>(
        dn: &str,
        attributes: impl IntoIterator<Item = (AttributeId, &'v str, &'v [V])>,
    ) -> Self {
        let mut builder = EntryBuilder::new(dn.as_bytes(), 0);
        for (id, description, values) in attributes {
            builder.attribute(id, description, values);
        }
        builder.build()
    }

    /// The DN in its one canonical spelling.
    pub fn dn(&self) -> &[u8] {
        let element = self.dn_element();
        &element[element.len() - usize::from(self.dn_length)..]
    }

    /// The DN as an LDAPDN element.
    pub fn dn_element(&self) -> &[u8] {
        let start = self.table_length();
        &self.octets[start..self.attributes_start()]
    }

    /// The plain number of the entry above it; the suffix names itself.
    pub(super) fn parent(&self) -> u32 {
        self.parent
    }

    /// Whether it holds this attribute, which is else computed, as octets: then that is the only one.
    pub fn stores_computed(&self, attribute: AttributeId) -> bool {
        self.stores_computed && self.attributes_of(attribute).next().is_some()
    }

    /// Whether some of its stored values are names of entries, which not everybody may see.
    pub(super) fn names_others(&self) -> bool {
        self.names_others
    }

    /// Its stored values that are names of entries, in their order.
    pub(super) fn names(&self, schema: &Schema) -> impl Iterator<Item = &[u8]> {
        self.attributes().filter(|stored| schema.is_name(stored.id)).flat_map(|stored| stored.values())
    }

    /// How much memory its values take.
    pub(super) fn octets(&self) -> usize {
        self.octets.len()
    }

    /// The entry as it would be made without some of its [`Entry::names`]: `is_kept` is asked for each.
    pub(super) fn without(&self, schema: &Schema, mut is_kept: impl FnMut() -> bool) -> Self {
        let attributes = self.attributes().map(|stored| {
            let is_name = schema.is_name(stored.id);
            (stored, stored.values().filter(|_| !is_name || is_kept()).collect::<Vec<&[u8]>>())
        });
        let mut attributes: Vec<_> = attributes.filter(|(_, values)| !values.is_empty()).collect();
        let mut added = self.added;
        if added.is_open() {
            let types: Vec<AttributeId> = attributes.iter().map(|(stored, _)| stored.id).collect();
            let classes = attributes.iter_mut().find(|(stored, _)| stored.id == AttributeId::OBJECT_CLASS);
            if let Some((_, classes)) = classes
                && let Some((_, others)) = classes.split_last()
                && !is_open(&types, others, schema)
            {
                classes.pop();
                added = added.closed();
            }
        }
        let mut builder = EntryBuilder::new(self.dn(), self.parent);
        builder.membership(self.membership);
        builder.added(added);
        for (stored, values) in &attributes {
            // Descriptions are made of text.
            let description = std::str::from_utf8(stored.description()).unwrap_or_default();
            builder.attribute(stored.id, description, values);
        }
        builder.build()
    }

    /// In which attributes it shows its members.
    pub(super) fn membership(&self) -> MembershipAttributes {
        self.membership
    }

    /// What was added to what the object has itself.
    pub fn added(&self) -> Added {
        self.added
    }

    /// All attributes as they stand one behind the other: PartialAttribute elements.
    pub fn attribute_octets(&self) -> &[u8] {
        &self.octets[self.attributes_start()..]
    }

    pub fn attributes(&self) -> impl Iterator<Item = StoredAttribute<'_>> {
        steps::note(self.cost_of_table());
        let octets = self.attribute_octets();
        let mut start = 0;
        self.octets[..self.table_length()].chunks_exact(ROW).map(move |row| {
            let end = u32::from_le_bytes([row[2], row[3], row[4], row[5]]) as usize;
            let attribute = StoredAttribute {
                id: AttributeId::new(u16::from_le_bytes([row[0], row[1]])),
                octets: &octets[start..end],
            };
            start = end;
            attribute
        })
    }

    /// The one at this place among them.
    pub fn attribute(&self, place: usize) -> Option<StoredAttribute<'_>> {
        let (rows, rest) = self.octets[..self.table_length()].as_chunks::<ROW>();
        debug_assert!(rest.is_empty());
        let [id, more, end @ ..] = *rows.get(place)?;
        let start = match place.checked_sub(1).and_then(|before| rows.get(before)) {
            Some([_, _, end @ ..]) => u32::from_le_bytes(*end) as usize,
            None => 0,
        };
        let octets = self.attribute_octets().get(start..u32::from_le_bytes(end) as usize)?;
        Some(StoredAttribute { id: AttributeId::new(u16::from_le_bytes([id, more])), octets })
    }

    /// What it costs to look through the table for an attribute, in the unit in which an evaluator counts.
    pub(super) fn cost_of_table(&self) -> u64 {
        u64::from(self.attributes) / ROWS_OF_ONE_WORK
    }

    /// The attributes of this type, those with options included.
    pub fn attributes_of(&self, id: AttributeId) -> impl Iterator<Item = StoredAttribute<'_>> {
        self.attributes().filter(move |attribute| attribute.id == id)
    }

    fn table_length(&self) -> usize {
        self.attributes as usize * ROW
    }

    fn attributes_start(&self) -> usize {
        self.table_length() + length_octets(usize::from(self.dn_length)) + 1 + usize::from(self.dn_length)
    }
}

impl<'a> StoredAttribute<'a> {
    /// The attribute description as it leaves: the type's spelling and the options.
    pub fn description(&self) -> &'a [u8] {
        let (sequence, _) = element(self.octets);
        element(sequence).0
    }

    pub fn values(&self) -> Values<'a> {
        let (sequence, _) = element(self.octets);
        let (_, set) = element(sequence);
        Values { rest: element(set).0 }
    }

    /// Those of which `left` octets are left, as [`Values::left`] said.
    pub fn values_left(&self, left: usize) -> Values<'a> {
        let Values { rest } = self.values();
        Values { rest: &rest[rest.len() - left.min(rest.len())..] }
    }
}

/// The values of an attribute.
#[derive(Clone)]
pub struct Values<'a> {
    rest: &'a [u8],
}

impl Values<'_> {
    /// How many octets of values are left.
    pub fn left(&self) -> usize {
        self.rest.len()
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        steps::note(1);
        let (value, rest) = element(self.rest);
        self.rest = rest;
        Some(value)
    }
}

/// Puts an entry together.
pub(super) struct EntryBuilder<'a> {
    dn: &'a [u8],
    parent: u32,
    membership: MembershipAttributes,
    stores_computed: bool,
    names_others: bool,
    added: Added,
    /// Rows of the table that there is room for.
    rows: usize,
    attributes: usize,
    /// The entry's own octets, as they come to stand.
    octets: Vec<u8>,
}

impl<'a> EntryBuilder<'a> {
    /// Begins an entry with this DN (at most 65,535 octets) below that parent.
    pub(super) fn new(dn: &'a [u8], parent: u32) -> Self {
        Self::with_room(dn, parent, 32, 1024)
    }

    /// The same, with room for so many attributes of so many octets; where these are right, memory is taken once.
    pub(super) fn with_room(dn: &'a [u8], parent: u32, attributes: usize, octets: usize) -> Self {
        let dn = &dn[..dn.len().min(usize::from(u16::MAX))];
        let table = attributes * ROW;
        let mut entry = Vec::with_capacity(table + element_length(dn.len()) + octets);
        entry.resize(table, 0);
        push_element(&mut entry, OCTET_STRING, dn);
        Self {
            dn,
            parent,
            membership: MembershipAttributes::default(),
            stores_computed: false,
            names_others: false,
            added: Added::default(),
            rows: attributes,
            attributes: 0,
            octets: entry,
        }
    }

    /// Says in which attributes it shows its members.
    pub(super) fn membership(&mut self, membership: MembershipAttributes) {
        self.membership = membership;
    }

    /// Says that values of it are names of entries, of which a reader may not see some.
    pub(super) fn names_others(&mut self) {
        self.names_others = true;
    }

    /// Says what was added to what the object has itself.
    pub(super) fn added(&mut self, added: Added) {
        self.added = added;
    }

    /// Adds an attribute with all its values; without values there is nothing to add.
    pub(super) fn attribute<V: AsRef<[u8]>>(&mut self, id: AttributeId, description: &str, values: &[V]) {
        if values.is_empty() {
            return;
        }
        let (values_length, sequence_length) = attribute_lengths(description, values);
        push_header(&mut self.octets, SEQUENCE, sequence_length);
        push_element(&mut self.octets, OCTET_STRING, description.as_bytes());
        push_header(&mut self.octets, SET, values_length);
        for value in values {
            push_element(&mut self.octets, OCTET_STRING, value.as_ref());
        }
        self.stores_computed |= id.is_computed();
        if self.attributes == self.rows {
            let more = self.rows.max(1);
            let table = self.rows * ROW;
            self.octets.splice(table..table, std::iter::repeat_n(0, more * ROW));
            self.rows += more;
        }
        let end = self.octets.len() - self.rows * ROW - element_length(self.dn.len());
        let row = self.attributes * ROW;
        self.octets[row..row + 2].copy_from_slice(&id.get().to_le_bytes());
        self.octets[row + 2..row + ROW]
            .copy_from_slice(&u32::try_from(end).unwrap_or(u32::MAX).to_le_bytes());
        self.attributes += 1;
    }

    /// The entry, in one allocation.
    pub(super) fn build(mut self) -> Entry {
        self.octets.drain(self.attributes * ROW..self.rows * ROW);
        Entry {
            octets: self.octets.into_boxed_slice(),
            parent: self.parent,
            // A row stands for octets of a record, of which there are far fewer than 2³².
            attributes: u32::try_from(self.attributes).unwrap_or(u32::MAX),
            dn_length: u16::try_from(self.dn.len()).unwrap_or(u16::MAX),
            membership: self.membership,
            stores_computed: self.stores_computed,
            names_others: self.names_others,
            added: self.added,
        }
    }
}

/// How many octets an attribute takes in an entry.
pub(super) fn attribute_length<V: AsRef<[u8]>>(description: &str, values: &[V]) -> usize {
    if values.is_empty() { 0 } else { element_length(attribute_lengths(description, values).1) }
}

/// The contents of the set of its values, and of the whole.
fn attribute_lengths<V: AsRef<[u8]>>(description: &str, values: &[V]) -> (usize, usize) {
    let values = values.iter().map(|value| element_length(value.as_ref().len())).sum();
    (values, element_length(description.len()) + element_length(values))
}

/// Octets of a row of the table: type (2), end (4).
const ROW: usize = 6;
/// So many rows cost as much to look through, a few times over, as a short value to look at.
const ROWS_OF_ONE_WORK: u64 = 32;
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;

/// Splits the first element, which this file has written, into its contents and what follows.
fn element(octets: &[u8]) -> (&[u8], &[u8]) {
    let first = usize::from(octets[1]);
    let (start, length) = if first < 0x80 {
        (2, first)
    } else {
        let more = first & 0x7f;
        (2 + more, octets[2..2 + more].iter().fold(0, |length, octet| length << 8 | usize::from(*octet)))
    };
    octets[start..].split_at(length)
}

fn push_element(into: &mut Vec<u8>, tag: u8, contents: &[u8]) {
    push_header(into, tag, contents.len());
    into.extend_from_slice(contents);
}

fn push_header(into: &mut Vec<u8>, tag: u8, length: usize) {
    into.push(tag);
    if length < 0x80 {
        into.push(length as u8);
    } else {
        let octets = length_octets(length) - 1;
        into.push(0x80 | octets as u8);
        into.extend_from_slice(&length.to_be_bytes()[size_of::<usize>() - octets..]);
    }
}

fn length_octets(length: usize) -> usize {
    match length {
        0..0x80 => 1,
        0x80..0x100 => 2,
        0x100..0x1_0000 => 3,
        0x1_0000..0x100_0000 => 4,
        _ => 5,
    }
}

fn element_length(contents: usize) -> usize {
    1 + length_octets(contents) + contents
}

/// Whether the classes, without the one that is there for what no other allows, leave something that none allows.
fn is_open(attributes: &[AttributeId], classes: &[&[u8]], schema: &Schema) -> bool {
    let classes = || classes.iter().filter_map(|class| schema.class(std::str::from_utf8(class).ok()?));
    attributes
        .iter()
        .any(|id| !schema.attribute(*id).is_operational() && !classes().any(|class| class.allows(*id)))
}

/// The options of an attribute description that somebody asks for (`a;b`), as [`has_options`] compares them: in lower
/// case, in order, each once. `None`: nothing has them, as one is empty (RFC 4512 section 2.5.2: an option has at least
/// one character) or they are more than [`OPTIONS_MAX`].
pub fn wanted_options(options: &str) -> Option<String> {
    let lower = options.to_ascii_lowercase();
    let mut wanted: SmallVec<[&str; 4]> = lower.split(';').take(OPTIONS_MAX + 1).collect();
    if wanted.len() > OPTIONS_MAX || wanted.iter().any(|option| option.is_empty()) {
        return None;
    }
    wanted.sort_unstable();
    wanted.dedup();
    Some(wanted.join(";"))
}

/// Whether an attribute description has all of these options, made ready by [`wanted_options`]; none is had by all.
/// `work` grows by what it costs to compare them, in the unit in which an evaluator counts.
pub fn has_options(description: &[u8], wanted: &[u8], work: &mut u64) -> bool {
    if wanted.is_empty() {
        return true;
    }
    *work += 1;
    let Some(place) = memchr::memchr(b';', description) else { return false };
    let own = &description[place + 1..];
    // Each that is wanted is another one.
    if wanted.len() > own.len() {
        return false;
    }
    wanted.split(|octet| *octet == b';').all(|option| {
        *work += 1 + own.len() as u64 / OCTETS_OF_ONE_WORK;
        own.split(|octet| *octet == b';').any(|own| {
            steps::note(1);
            own.eq_ignore_ascii_case(option)
        })
    })
}

/// Options that may be asked for at once.
/// No limit of the config: a rule about what one description may ask for, far above what any does.
const OPTIONS_MAX: usize = 64;
/// So many octets of options cost as much to compare as a short value; the shortest have two, with what separates them.
const OCTETS_OF_ONE_WORK: u64 = 8;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(crate::rounds::cases(256))]
        #[test]
        fn gives_back_what_was_put_in(
            dn in proptest::collection::vec(any::<u8>(), 0..300),
            attributes in proptest::collection::vec(
                (0u16..500, "[a-z]{1,8}", proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..400), 1..4)),
                0..6,
            )
        ) {
            let mut builder = EntryBuilder::new(&dn, 3);
            for (id, description, values) in &attributes {
                builder.attribute(AttributeId::new(*id), description, values);
            }
            let entry = builder.build();
            prop_assert_eq!(entry.dn(), &dn[..]);
            prop_assert_eq!(entry.parent(), 3);
            let read: Vec<_> = entry
                .attributes()
                .map(|attribute| {
                    let description = String::from_utf8(attribute.description().to_vec()).unwrap();
                    (attribute.id.get(), description, attribute.values().map(<[u8]>::to_vec).collect::<Vec<_>>())
                })
                .collect();
            prop_assert_eq!(read, attributes);
            for (place, expected) in entry.attributes().enumerate() {
                let found = entry.attribute(place).map(|found| (found.id, found.octets));
                prop_assert_eq!(found, Some((expected.id, expected.octets)));
            }
            prop_assert!(entry.attribute(entry.attributes().count()).is_none());
        }
    }

    #[test]
    fn options_are_compared_in_any_order_and_case_within_what_is_counted() {
        let many = |count: usize| (0..count).map(|number| format!("x{number}")).collect::<Vec<_>>().join(";");
        assert_eq!(wanted_options("X"), Some("x".to_owned()));
        assert_eq!(wanted_options("b;A;B;a"), Some("a;b".to_owned()));
        assert_eq!(wanted_options(&many(OPTIONS_MAX)).unwrap().split(';').count(), OPTIONS_MAX);
        for nothing in ["", ";", "a;", ";a", "a;;b", &many(OPTIONS_MAX + 1), &"a;".repeat(10_000)] {
            assert_eq!(wanted_options(nothing), None, "{nothing}");
        }
        for (description, wanted, expected) in [
            ("cn", "", true),
            ("cn", "a", false),
            ("cn;A", "a", true),
            ("cn;ab", "a", false),
            ("cn;b;a", "a;b", true),
            ("cn;b;b", "a;b", false),
            ("cn;a", "a;b", false),
            ("cn;x;b;A;y", "B;a", true),
        ] {
            let (before, mut work) = (steps::taken(), 0);
            let wanted = wanted_options(wanted).unwrap_or_default();
            let found = has_options(description.as_bytes(), wanted.as_bytes(), &mut work);
            assert_eq!(found, expected, "{description}: {wanted}");
            assert!(steps::taken() - before <= 4 * work, "{description}: {wanted}");
        }
        // The dearest that there is: all are compared, to the last.
        let description = format!("cn;{}", "a;".repeat(60) + &many(OPTIONS_MAX));
        let (before, mut work) = (steps::taken(), 0);
        let wanted = wanted_options(&many(OPTIONS_MAX)).unwrap();
        assert!(has_options(description.as_bytes(), wanted.as_bytes(), &mut work));
        let steps = steps::taken() - before;
        assert!(steps > 4_000 && steps <= 4 * work, "{steps} steps, counted as {work}");
        // One that is longer than all that it could be is not compared at all.
        work = 0;
        assert!(!has_options(b"cn;a", wanted.as_bytes(), &mut work));
        assert_eq!(work, 1);
    }

    #[test]
    fn any_number_of_attributes_fits() {
        let mut builder = EntryBuilder::new(b"dc=a", 0);
        let count = 70_000;
        for number in 0..count {
            builder.attribute(AttributeId::new(1), &format!("description;x-{number}"), &[b"v"]);
        }
        let entry = builder.build();
        assert_eq!(entry.dn(), b"dc=a");
        assert_eq!(entry.attributes().count(), count);
    }

    #[test]
    fn an_attribute_without_values_is_not_there() {
        let mut builder = EntryBuilder::new(b"dc=a", 0);
        builder.attribute(AttributeId::new(1), "cn", &[] as &[&[u8]]);
        let entry = builder.build();
        assert_eq!(entry.attributes().count(), 0);
        assert!(entry.attribute_octets().is_empty());
    }
}
