//! An entry, kept as the octets that leave on the wire.
//!
//! Layout of the one allocation: a table of (attribute type, end of its octets), then the DN as an
//! LDAPDN element, then each attribute as a PartialAttribute element (RFC 4511 section 4.1.7). An
//! answer with all attributes is one copy; one with some is a copy for each. What can be computed
//! from the account (memberOf, entryUUID, …) is not here, see `computed`.
//!
//! Of an entry that a reader does not see all of nothing is copied: it is the stored one, and which of its values are left
//! out.

use std::sync::Arc;

use crate::schema::{AttributeId, Schema, steps};

/// An entry of one provider's tree.
#[derive(Debug)]
pub struct Entry {
    octets: Octets,
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

#[derive(Debug)]
enum Octets {
    Own(Box<[u8]>),
    /// Those of a stored entry.
    Shown(Box<ShownOctets>),
}

#[derive(Debug)]
struct ShownOctets {
    stored: Arc<Entry>,
    /// Attributes that lack values, in their order.
    lacking: Box<[Lacking]>,
    /// Octets of all attributes as they are shown.
    length: usize,
}

/// An attribute of a stored entry of which some values are not shown.
#[derive(Debug, PartialEq, Eq)]
struct Lacking {
    /// Its place in the entry.
    place: usize,
    /// Octets of the values that are shown; 0: none is, and so it is not there.
    values_length: usize,
    /// A bit for each value, those that are not shown set.
    hidden: Box<[u64]>,
}

impl ShownOctets {
    fn octets(&self) -> usize {
        let hidden = self.lacking.iter().map(|lacking| size_of_val(&*lacking.hidden));
        size_of::<Self>() + size_of_val(&*self.lacking) + hidden.sum::<usize>()
    }
}

impl Lacking {
    fn is_gone(&self) -> bool {
        self.values_length == 0
    }

    fn hides(&self, number: usize) -> bool {
        self.hidden.get(number / 64).is_some_and(|bits| bits >> (number % 64) & 1 == 1)
    }
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
    /// The whole element as it is stored.
    octets: &'a [u8],
    /// Which of its values are left out.
    lacking: Option<&'a Lacking>,
}

/// A part of octets that are handed on one piece after the other.
#[derive(Clone, Copy, Debug)]
struct Window {
    /// Octets that come before it.
    before: usize,
    /// Its octets that are still to come.
    left: usize,
}

impl Window {
    fn put(&mut self, octets: &[u8], put: &mut dyn FnMut(&[u8])) {
        let skipped = self.before.min(octets.len());
        let part = &octets[skipped..];
        let part = &part[..part.len().min(self.left)];
        self.before -= skipped;
        self.left -= part.len();
        if !part.is_empty() {
            put(part);
        }
    }
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
        let (stored, _) = self.stored();
        &stored.own_octets()[stored.table_length()..stored.attributes_start()]
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

    /// How much memory is not given back as long as this is kept.
    pub(super) fn octets(&self) -> usize {
        match &self.octets {
            Octets::Own(octets) => octets.len(),
            Octets::Shown(shown) => shown.stored.octets() + shown.octets(),
        }
    }

    /// How much of that nobody else keeps.
    #[cfg(test)]
    pub(super) fn octets_apart(&self) -> usize {
        match &self.octets {
            Octets::Own(octets) => octets.len(),
            Octets::Shown(shown) => shown.octets(),
        }
    }

    /// The entry as it would be made without some of its [`Entry::names`]: `is_kept` is asked for each.
    pub(super) fn without(self: &Arc<Self>, schema: &Schema, mut is_kept: impl FnMut() -> bool) -> Self {
        let mut lacking: Vec<Lacking> = Vec::new();
        for (place, stored) in self.attributes().enumerate().filter(|(_, stored)| schema.is_name(stored.id)) {
            lacking.extend(stored.lacking(place, |_| is_kept()));
        }
        let mut added = self.added;
        if added.is_open() {
            let is_gone = |place: usize| {
                let found = lacking.binary_search_by_key(&place, |lacking| lacking.place);
                found.ok().and_then(|at| lacking.get(at)).is_some_and(Lacking::is_gone)
            };
            let kept = self.attributes().enumerate().filter(|(place, _)| !is_gone(*place));
            let types: Vec<AttributeId> = kept.map(|(_, stored)| stored.id).collect();
            let mut all = self.attributes().enumerate();
            if let Some((place, stored)) = all.find(|(_, stored)| stored.id == AttributeId::OBJECT_CLASS)
                && let classes = stored.values().collect::<Vec<_>>()
                && let Some((_, others)) = classes.split_last()
                && !is_open(&types, others, schema)
            {
                lacking.extend(stored.lacking(place, |number| number < others.len()));
                lacking.sort_unstable_by_key(|lacking| lacking.place);
                added = added.closed();
            }
        }
        let mut shown = Self {
            octets: Octets::Shown(Box::new(ShownOctets {
                stored: Arc::clone(self),
                lacking: lacking.into_boxed_slice(),
                length: 0,
            })),
            stores_computed: false,
            names_others: false,
            added,
            ..**self
        };
        let (mut attributes, mut length, mut stores_computed) = (0, 0, false);
        for stored in shown.attributes() {
            attributes += 1;
            length += stored.length();
            stores_computed |= stored.id.is_computed();
        }
        (shown.attributes, shown.stores_computed) = (attributes, stores_computed);
        if let Octets::Shown(octets) = &mut shown.octets {
            octets.length = length;
        }
        shown
    }

    /// Whether it is the same stored entry of which the same is shown.
    pub fn is_same(&self, other: &Self) -> bool {
        let ((stored, lacking), (others, lacking_there)) = (self.stored(), other.stored());
        std::ptr::eq(stored, others) && lacking == lacking_there
    }

    /// In which attributes it shows its members.
    pub(super) fn membership(&self) -> MembershipAttributes {
        self.membership
    }

    /// What was added to what the object has itself.
    pub fn added(&self) -> Added {
        self.added
    }

    /// How many octets all attributes have as they stand one behind the other: PartialAttribute elements.
    pub fn attributes_length(&self) -> usize {
        match &self.octets {
            Octets::Own(octets) => octets.len() - self.attributes_start(),
            Octets::Shown(shown) => shown.length,
        }
    }

    /// Hands `count` of these octets on, behind the first `before`, or as many as there are.
    pub fn put_attributes(&self, before: usize, count: usize, put: &mut dyn FnMut(&[u8])) {
        let mut window = Window { before, left: count };
        match &self.octets {
            Octets::Own(octets) => window.put(&octets[self.attributes_start()..], put),
            Octets::Shown(_) => self.attributes().for_each(|stored| stored.put_within(&mut window, put)),
        }
    }

    pub fn attributes(&self) -> impl Iterator<Item = StoredAttribute<'_>> {
        steps::note(self.cost_of_table());
        let (stored, mut lacking) = self.stored();
        let (table, attributes) = stored.table_and_attributes();
        let mut start = 0;
        let rows = table.chunks_exact(ROW).enumerate();
        rows.filter_map(move |(place, row)| {
            let end = u32::from_le_bytes([row[2], row[3], row[4], row[5]]) as usize;
            let attribute = StoredAttribute {
                id: AttributeId::new(u16::from_le_bytes([row[0], row[1]])),
                octets: &attributes[start..end],
                lacking: None,
            };
            start = end;
            match lacking.split_first() {
                Some((first, others)) if first.place == place => {
                    lacking = others;
                    (!first.is_gone()).then_some(StoredAttribute { lacking: Some(first), ..attribute })
                }
                _ => Some(attribute),
            }
        })
    }

    /// The one at this place among them.
    pub fn attribute(&self, place: usize) -> Option<StoredAttribute<'_>> {
        let (stored, lacking) = self.stored();
        let mut gone = lacking.iter().filter(|lacking| lacking.is_gone());
        let mut place = place;
        while gone.next().is_some_and(|gone| gone.place <= place) {
            place += 1;
        }
        let (table, attributes) = stored.table_and_attributes();
        let (rows, rest) = table.as_chunks::<ROW>();
        debug_assert!(rest.is_empty());
        let [id, more, end @ ..] = *rows.get(place)?;
        let start = match place.checked_sub(1).and_then(|before| rows.get(before)) {
            Some([_, _, end @ ..]) => u32::from_le_bytes(*end) as usize,
            None => 0,
        };
        let octets = attributes.get(start..u32::from_le_bytes(end) as usize)?;
        let lacking = lacking.iter().find(|lacking| lacking.place == place);
        Some(StoredAttribute { id: AttributeId::new(u16::from_le_bytes([id, more])), octets, lacking })
    }

    /// What it costs to look through the table for an attribute, in the unit in which an evaluator counts.
    pub(super) fn cost_of_table(&self) -> u64 {
        u64::from(self.attributes) / ROWS_OF_ONE_WORK
    }

    /// The attributes of this type, those with options included.
    pub fn attributes_of(&self, id: AttributeId) -> impl Iterator<Item = StoredAttribute<'_>> {
        self.attributes().filter(move |attribute| attribute.id == id)
    }

    /// The entry that holds the octets, and what of it is not shown.
    fn stored(&self) -> (&Self, &[Lacking]) {
        match &self.octets {
            Octets::Own(_) => (self, &[]),
            Octets::Shown(shown) => (&shown.stored, &shown.lacking),
        }
    }

    fn own_octets(&self) -> &[u8] {
        match &self.octets {
            Octets::Own(octets) => octets,
            Octets::Shown(_) => &[],
        }
    }

    fn table_and_attributes(&self) -> (&[u8], &[u8]) {
        let octets = self.own_octets();
        (&octets[..self.table_length()], &octets[self.attributes_start()..])
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
        Values { rest: element(set).0, number: 0, lacking: self.lacking }
    }

    /// Those that are left at this place, as [`Values::place`] said; `None`: all.
    pub fn values_from(&self, place: Option<ValuePlace>) -> Values<'a> {
        let mut values = self.values();
        if let Some(ValuePlace { left, number }) = place {
            values.rest = &values.rest[values.rest.len().saturating_sub(left)..];
            values.number = number;
        }
        values
    }

    /// How many octets the element has as it is shown.
    pub fn length(&self) -> usize {
        match self.lacking {
            None => self.octets.len(),
            Some(lacking) => {
                let description = element_length(self.description().len());
                element_length(description + element_length(lacking.values_length))
            }
        }
    }

    /// Hands `count` octets of the element as it is shown on, behind the first `before`, or as many as there are.
    pub fn put(&self, before: usize, count: usize, put: &mut dyn FnMut(&[u8])) {
        self.put_within(&mut Window { before, left: count }, put);
    }

    fn put_within(&self, window: &mut Window, put: &mut dyn FnMut(&[u8])) {
        let Some(lacking) = self.lacking else { return window.put(self.octets, put) };
        let length = self.length();
        if window.left == 0 || window.before >= length {
            window.before = window.before.saturating_sub(length);
            return;
        }
        let description = self.description();
        let mut header = Vec::with_capacity(description.len() + 3 * HEADER_OCTETS_MAX);
        let contents = element_length(description.len()) + element_length(lacking.values_length);
        push_header(&mut header, SEQUENCE, contents);
        push_element(&mut header, OCTET_STRING, description);
        push_header(&mut header, SET, lacking.values_length);
        window.put(&header, put);
        let mut values = self.values();
        while let Some(value) = values.next_element().filter(|_| window.left > 0) {
            window.put(value, put);
        }
    }

    /// What it is without some of its values; `is_kept` is asked for each. `None`: it has all.
    fn lacking(&self, place: usize, mut is_kept: impl FnMut(usize) -> bool) -> Option<Lacking> {
        let mut values = self.values();
        let (mut number, mut values_length, mut hidden) = (0, 0, Vec::new());
        while let Some(value) = values.next_element() {
            if is_kept(number) {
                values_length += value.len();
            } else {
                hidden.resize(hidden.len().max(number / 64 + 1), 0_u64);
                hidden[number / 64] |= 1 << (number % 64);
            }
            number += 1;
        }
        let hidden = hidden.into_boxed_slice();
        (!hidden.is_empty()).then_some(Lacking { place, values_length, hidden })
    }
}

/// Where somebody has stopped in the values of an attribute, in plain numbers.
#[derive(Clone, Copy, Debug)]
pub struct ValuePlace {
    /// Octets that are left.
    left: usize,
    /// Values that were passed, shown or not.
    number: usize,
}

/// The values of an attribute.
#[derive(Clone)]
pub struct Values<'a> {
    rest: &'a [u8],
    /// The number of the next one, by which those are known that are left out.
    number: usize,
    lacking: Option<&'a Lacking>,
}

impl<'a> Values<'a> {
    /// Where the next one begins.
    pub fn place(&self) -> ValuePlace {
        ValuePlace { left: self.rest.len(), number: self.number }
    }

    /// Passes the next one, shown or not; gives its contents.
    fn pass(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let (value, rest) = element(self.rest);
        self.rest = rest;
        self.number += 1;
        Some(value)
    }

    /// The next one that is shown.
    fn next_shown(&mut self) -> Option<&'a [u8]> {
        loop {
            let number = self.number;
            let value = self.pass()?;
            if !self.lacking.is_some_and(|lacking| lacking.hides(number)) {
                return Some(value);
            }
        }
    }

    /// The same as an element.
    fn next_element(&mut self) -> Option<&'a [u8]> {
        self.next_shown_with_element().map(|(_, element)| element)
    }

    fn next_shown_with_element(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let before = self.rest;
        let value = self.next_shown()?;
        let end = before.len() - self.rest.len();
        Some((value, before.get(end - element_length(value.len())..end)?))
    }

    /// The next value, and the same as an element.
    pub fn next_with_element(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        steps::note(1);
        self.next_shown_with_element()
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let value = self.next_shown()?;
        steps::note(1);
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
            octets: Octets::Own(self.octets.into_boxed_slice()),
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
/// A tag and a length have no more.
/// No limit of the config: it is how lengths are written here.
const HEADER_OCTETS_MAX: usize = 6;
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

    proptest! {
        #![proptest_config(crate::rounds::cases(256))]
        #[test]
        fn what_lacks_values_is_as_if_made_without_them(
            attributes in proptest::collection::vec(
                (0usize..4, proptest::collection::vec((any::<bool>(), "[a-z]{0,150}"), 1..140)),
                0..6,
            ),
            before in 0usize..3_000,
            count in 0usize..3_000,
        ) {
            let schema = Schema::core();
            let kinds = ["cn", "seeAlso", "manager", "owner"].map(|name| schema.find(name).unwrap());
            let made = |is_whole: bool| {
                let mut builder = EntryBuilder::new(b"cn=x", 3);
                for (kind, values) in &attributes {
                    let is_shown = |shown: bool| is_whole || *kind == 0 || shown;
                    let kept: Vec<&str> =
                        values.iter().filter(|(shown, _)| is_shown(*shown)).map(|(_, value)| &**value).collect();
                    builder.attribute(kinds[*kind], "a;x", &kept);
                }
                builder.build()
            };
            let whole = Arc::new(made(true));
            let names = attributes.iter().filter(|(kind, _)| *kind > 0).flat_map(|(_, values)| values);
            let mut names = names.map(|(shown, _)| *shown);
            let (shown, expected) = (whole.without(&schema, || names.next().unwrap()), made(false));
            prop_assert_eq!((shown.dn(), shown.dn_element()), (expected.dn(), expected.dn_element()));
            let octets = |entry: &Entry, before, count| {
                let mut octets = Vec::new();
                entry.put_attributes(before, count, &mut |part| octets.extend_from_slice(part));
                octets
            };
            prop_assert_eq!(shown.attributes_length(), expected.attributes_length());
            for (before, count) in [(0, usize::MAX), (before, count)] {
                prop_assert_eq!(octets(&shown, before, count), octets(&expected, before, count));
            }
            prop_assert_eq!(shown.cost_of_table(), expected.cost_of_table());
            prop_assert_eq!(shown.attributes().count(), expected.attributes().count());
            for (place, own) in shown.attributes().enumerate() {
                let (at, expected) = (shown.attribute(place).unwrap(), expected.attribute(place).unwrap());
                prop_assert_eq!((own.id, own.description()), (expected.id, expected.description()));
                prop_assert_eq!(own.length(), expected.length());
                let values = |stored: StoredAttribute<'_>| stored.values().map(<[u8]>::to_vec).collect::<Vec<_>>();
                prop_assert_eq!(values(own), values(expected));
                prop_assert_eq!(values(at), values(expected));
                let mut all = at.values();
                for passed in 0..=values(own).len() {
                    let rest: Vec<_> = at.values_from(Some(all.place())).map(<[u8]>::to_vec).collect();
                    prop_assert_eq!(&rest[..], &values(own)[passed..]);
                    all.next();
                }
            }
            prop_assert!(shown.attribute(expected.attributes().count()).is_none());
            prop_assert!(shown.octets_apart() < 300 + 16 * attributes.len() * size_of::<usize>());
        }
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
        assert_eq!(entry.attributes_length(), 0);
    }
}
