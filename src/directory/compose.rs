//! From an object to its entry: which attributes and classes it has in one provider's tree.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use smallvec::SmallVec;
use uuid::Uuid;

use super::common::{AttributeSet, ClassList, Common};
use super::entry::{Added, Entry, EntryBuilder, MembershipAttributes, attribute_length};
use crate::model::{Account, Attribute, Container, Group, LdapProvider, Placement};
use crate::schema::{
    AUTHENTIK_GROUP, AUTHENTIK_USER, AUTHENTIK_VIRTUAL_GROUP, AttributeId, ClassKind, Dn, MatchingRule,
    ObjectClass, Rdn, Schema,
};

/// What an entry is made from: where it stands, and its attributes in the order of answers.
pub(super) struct Composition<'a> {
    schema: &'a Schema,
    attributes: SmallVec<[Composed<'a>; 24]>,
    /// What the first ones of the classes are.
    list: Option<&'a ClassList>,
    /// The classes, in the order of their values, and `None` for one that the schema does not have.
    classes: SmallVec<[Option<&'static ObjectClass>; 12]>,
    /// How many of the classes are the object's own, with what they are derived from.
    own_classes: usize,
    /// Whether `uid` and `cn` are there for a class that is not the object's own.
    added_uid: bool,
    added_cn: bool,
    /// Whether the last class is there because no other allows some attribute.
    is_open: bool,
}

/// An attribute while its values come together.
struct Composed<'a> {
    id: AttributeId,
    /// The type's name with the options.
    description: Cow<'a, str>,
    values: SmallVec<[Cow<'a, [u8]>; 1]>,
    /// The normal forms of the values, once there are many.
    forms: BTreeSet<Vec<u8>>,
}

impl ClassList {
    /// The given classes in their order, then what they are derived from, which is implied (RFC 4512
    /// section 3.3); behind them `structural` where none of them is (posixGroup was structural in RFC 2307 and is
    /// auxiliary here), and what a provider adds.
    fn new<S: AsRef<str>>(
        schema: &Schema,
        given: &[S],
        structural: &'static str,
        compatibility: &'static [&'static str],
    ) -> Self {
        let mut entry = Composition::new(schema);
        entry.classes(given, structural, compatibility);
        let Composition { ref classes, own_classes, .. } = entry;
        let values = entry.values(AttributeId::OBJECT_CLASS).iter().map(|value| (**value).into());
        Self {
            given: given.iter().map(|class| class.as_ref().into()).collect(),
            structural,
            compatibility,
            values: values.collect(),
            classes: classes.clone(),
            own_classes,
            allowed: AttributeSet::of(classes.iter()),
            allowed_itself: AttributeSet::of(classes.iter().take(own_classes)),
        }
    }
}

impl Common {
    /// These classes, see [`ClassList::new`].
    fn classes<S: AsRef<str>>(
        &mut self,
        given: &[S],
        structural: &'static str,
        compatibility: &'static [&'static str],
    ) -> Arc<ClassList> {
        let known = self.known(given, structural, compatibility);
        known.unwrap_or_else(|| {
            let list = ClassList::new(self.schema(), given, structural, compatibility);
            self.keep(Arc::new(list))
        })
    }
}

/// The place of an entry.
pub(super) struct Place {
    /// The whole DN as it is to be written.
    pub(super) dn: String,
    /// The types and values of its RDN.
    pub(super) rdn: Vec<(String, Vec<u8>)>,
    /// The relative DN of the container above it.
    pub(super) container: String,
}

/// Where an object stands in a provider's tree: its placement, or the usual place. An error is
/// what would have to be one RDN and is none.
pub(super) fn place(
    provider: &LdapProvider,
    placements: &[Placement],
    containers: &[Container],
    name: &str,
) -> Result<Place, String> {
    let given = placements.iter().find(|placement| placement.provider == provider.number);
    let (container, rdn) = match given {
        Some(placement) => (placement.container.clone(), placement.rdn.clone()),
        None => {
            let first = containers.first().ok_or_else(|| name.to_owned())?;
            // Nearly always: nothing is to be escaped, and what is written is what would be read.
            if is_usual(&first.naming, b"-") && is_usual(name, b"-_.@") {
                let Container { container, naming } = first;
                let dn = [naming, "=", name, ",", container, ",", &provider.base_dn].concat();
                let rdn = vec![(naming.clone(), name.as_bytes().to_vec())];
                return Ok(Place { dn, rdn, container: container.clone() });
            }
            (first.container.clone(), Rdn::new(first.naming.as_str(), name).to_string())
        }
    };
    let dn = [&*rdn, &container, &provider.base_dn].join(",");
    let parsed = Dn::parse(rdn.as_bytes());
    let Some([only]) = parsed.as_ref().ok().map(Dn::rdns) else { return Err(rdn) };
    let rdn = only.pairs().iter().map(|ava| (ava.attribute.clone(), ava.value.clone())).collect();
    Ok(Place { dn, rdn, container })
}

/// Whether an account's gidNumber is derived, so that it may have a virtual group. One with an option is
/// another attribute.
pub(super) fn has_derived_gid_number(account: &Account, common: &mut Common) -> bool {
    let is_given = account
        .attributes
        .iter()
        .any(|attribute| common.find(&attribute.description) == Some(AttributeId::GID_NUMBER));
    has_class(&account.object_classes, "posixAccount") && !is_given
}

/// The classes of an account's entry.
pub(super) fn account_classes(
    common: &mut Common,
    provider: &LdapProvider,
    account: &Account,
) -> Arc<ClassList> {
    let added = added_by(provider, &["user", AUTHENTIK_USER]);
    match account.object_classes.as_slice() {
        [] => common.classes(&PERSON_CLASSES, "account", added),
        given => common.classes(given, "account", added),
    }
}

/// The attributes of an account's entry with these classes.
pub(super) fn account<'a>(
    schema: &'a Schema,
    provider: &LdapProvider,
    account: &'a Account,
    place: &'a Place,
    classes: &'a ClassList,
    common: &mut Common,
) -> Composition<'a> {
    let mut entry = Composition::of(schema, classes);
    entry.names(&place.rdn);
    let is_posix = has_class(&account.object_classes, "posixAccount");
    entry.free(&account.attributes, common);
    if entry.allows(AttributeId::CN) && !entry.has(AttributeId::CN) {
        let name = if account.name.is_empty() { &account.username } else { &account.name };
        entry.added_cn = !entry.allows_itself(AttributeId::CN);
        entry.add(AttributeId::CN, name);
    }
    if entry.allows(AttributeId::UID) {
        let is_there = entry.holds(AttributeId::UID, &account.username);
        entry.added_uid = !is_there && !entry.allows_itself(AttributeId::UID);
        entry.first(AttributeId::UID, &account.username);
    }
    if entry.allows(AttributeId::SN) && !entry.has(AttributeId::SN) {
        entry.add(AttributeId::SN, &account.username);
    }
    if entry.allows(AttributeId::DISPLAY_NAME)
        && !account.name.is_empty()
        && !entry.has(AttributeId::DISPLAY_NAME)
    {
        entry.first(AttributeId::DISPLAY_NAME, &account.name);
    }
    if entry.allows(AttributeId::MAIL) && !account.email.is_empty() {
        entry.first(AttributeId::MAIL, &account.email);
    }
    if is_posix {
        entry.default_number(AttributeId::UID_NUMBER, provider.uid_start_number, account.number.get());
        entry.default_number(AttributeId::GID_NUMBER, provider.gid_start_number, account.number.get());
        if !entry.has(AttributeId::HOME_DIRECTORY) {
            entry.add(AttributeId::HOME_DIRECTORY, format!("/home/{}", account.username));
        }
    }
    entry.open();
    entry
}

/// The classes of a group's entry.
pub(super) fn group_classes(common: &mut Common, provider: &LdapProvider, group: &Group) -> Arc<ClassList> {
    let added = added_by(provider, &["group", AUTHENTIK_GROUP]);
    match group.object_classes.as_slice() {
        [] => common.classes(&GROUP_CLASSES, "groupOfNames", added),
        given => common.classes(given, "groupOfNames", added),
    }
}

/// The attributes of a group's entry with these classes.
pub(super) fn group<'a>(
    schema: &'a Schema,
    provider: &LdapProvider,
    group: &'a Group,
    place: &'a Place,
    classes: &'a ClassList,
    common: &mut Common,
) -> Composition<'a> {
    let mut entry = Composition::of(schema, classes);
    entry.names(&place.rdn);
    entry.first(AttributeId::CN, &group.name);
    entry.free(&group.attributes, common);
    if has_class(&group.object_classes, "posixGroup") {
        entry.default_number(AttributeId::GID_NUMBER, provider.gid_start_number, group.number.get());
    }
    entry.open();
    entry
}

/// The classes of an account's virtual group.
pub(super) fn virtual_group_classes(common: &mut Common, provider: &LdapProvider) -> Arc<ClassList> {
    let added = added_by(provider, &["group", AUTHENTIK_GROUP, AUTHENTIK_VIRTUAL_GROUP]);
    common.classes(&GROUP_CLASSES, "groupOfNames", added)
}

/// The attributes of an account's virtual group with these classes.
pub(super) fn virtual_group<'a>(
    schema: &'a Schema,
    provider: &LdapProvider,
    account: &'a Account,
    classes: &'a ClassList,
) -> Composition<'a> {
    let mut entry = Composition::of(schema, classes);
    entry.add(AttributeId::CN, &account.username);
    entry.default_number(AttributeId::GID_NUMBER, provider.gid_start_number, account.number.get());
    entry
}

/// The attributes of the suffix or a container, by the type of its RDN.
pub(super) fn container<'a>(
    schema: &'a Schema,
    rdn: &'a [(String, Vec<u8>)],
    is_suffix: bool,
) -> Composition<'a> {
    let mut entry = Composition::new(schema);
    let first = rdn.first().and_then(|(attribute, _)| schema.find(attribute));
    let classes: &'static [&'static str] = match first {
        Some(AttributeId::DC) if is_suffix => &["top", "dcObject", "organization"],
        Some(AttributeId::DC) => &["top", "domain"],
        Some(AttributeId::O) => &["top", "organization"],
        Some(AttributeId::OU) => &["top", "organizationalUnit"],
        Some(AttributeId::L | AttributeId::ST) => &["top", "locality"],
        Some(AttributeId::C) => &["top", "country"],
        _ => &["top", "applicationProcess", "extensibleObject"],
    };
    entry.classes(classes, "applicationProcess", &[]);
    entry.names(rdn);
    if classes.contains(&"organization")
        && !entry.has(AttributeId::O)
        && let Some((_, value)) = rdn.first()
    {
        entry.add(AttributeId::O, String::from_utf8_lossy(value));
    }
    if classes.contains(&"applicationProcess")
        && !entry.has(AttributeId::CN)
        && let Some((_, value)) = rdn.first()
    {
        entry.add(AttributeId::CN, String::from_utf8_lossy(value));
    }
    entry.open();
    entry
}

/// The `entryUUID` of the suffix and of containers: derived from the provider's and the place.
pub(super) fn container_uuid(provider: &LdapProvider, relative: &str) -> Uuid {
    if relative.is_empty() {
        return provider.uuid;
    }
    let mut hasher = blake3::Hasher::new_derive_key("bindery container entryUUID");
    hasher.update(provider.uuid.as_bytes());
    hasher.update(relative.to_lowercase().as_bytes());
    let mut octets = [0; 16];
    hasher.finalize_xof().fill(&mut octets);
    uuid::Builder::from_custom_bytes(octets).into_uuid()
}

impl<'a> Composition<'a> {
    fn new(schema: &'a Schema) -> Self {
        Self {
            schema,
            attributes: SmallVec::new(),
            list: None,
            classes: SmallVec::new(),
            own_classes: 0,
            added_uid: false,
            added_cn: false,
            is_open: false,
        }
    }

    /// Nothing but classes.
    fn of(schema: &'a Schema, list: &'a ClassList) -> Self {
        let mut entry = Self::new(schema);
        let place = entry.place(AttributeId::OBJECT_CLASS, entry.name(AttributeId::OBJECT_CLASS));
        if let Some(attribute) = entry.attributes.get_mut(place) {
            attribute.values.extend(list.values.iter().map(|value| Cow::Borrowed(&**value)));
        }
        entry.classes = list.classes.clone();
        entry.own_classes = list.own_classes;
        entry.list = Some(list);
        entry
    }

    /// The finished entry below `parent`.
    pub(super) fn build(self, dn: &str, parent: u32) -> Entry {
        let length = |attribute: &Composed<'_>| attribute_length(&attribute.description, &attribute.values);
        let octets = self.attributes.iter().map(length).sum();
        let mut builder = EntryBuilder::with_room(dn.as_bytes(), parent, self.attributes.len(), octets);
        let classes = self.values(AttributeId::OBJECT_CLASS);
        let is = |class: &str| classes.iter().any(|value| value.eq_ignore_ascii_case(class.as_bytes()));
        builder.membership(MembershipAttributes {
            member: is("groupOfNames") || is("groupOfMembers") || is("group"),
            unique_member: is("groupOfUniqueNames"),
            member_uid: is("posixGroup"),
        });
        let added_classes = classes.len().saturating_sub(self.own_classes);
        builder.added(Added::new(added_classes, self.added_uid, self.added_cn, self.is_open));
        if self.attributes.iter().any(|attribute| self.schema.is_name(attribute.id)) {
            builder.names_others();
        }
        for Composed { id, description, values, .. } in &self.attributes {
            builder.attribute(*id, description, values);
        }
        builder.build()
    }

    fn values(&self, id: AttributeId) -> &[Cow<'a, [u8]>] {
        self.attributes.iter().find(|other| other.id == id).map_or(&[], |found| &found.values)
    }

    /// Whether it has the attribute itself: one with options, such as `cn;lang-de`, does not stand for it.
    fn has(&self, id: AttributeId) -> bool {
        self.attributes.iter().any(|other| other.id == id && !other.description.contains(';'))
    }

    /// Whether it has this value, by the rule of the attribute, without options.
    fn holds(&self, id: AttributeId, value: &str) -> bool {
        let rule = self.schema.attribute(id).equality.unwrap_or(MatchingRule::OctetString);
        let plain = || {
            let plain =
                self.attributes.iter().filter(|other| other.id == id && !other.description.contains(';'));
            plain.flat_map(|found| &found.values)
        };
        plain().any(|other| **other == *value.as_bytes()) || {
            let form = normal(rule, value.as_bytes());
            plain().any(|other| normal(rule, other) == form)
        }
    }

    /// See [`ClassList::new`].
    fn classes<S: AsRef<str>>(
        &mut self,
        classes: &'a [S],
        structural: &'static str,
        compatibility: &'static [&'static str],
    ) {
        self.add_classes(classes);
        self.own_classes = self.classes.len();
        // A class that is not known may be structural.
        let is_aside =
            |class: &Option<&ObjectClass>| class.is_some_and(|class| class.kind != ClassKind::Structural);
        if self.classes.iter().all(is_aside) {
            let first = self.classes.len();
            self.add(AttributeId::OBJECT_CLASS, structural);
            self.add_superclasses(first);
        }
        self.add_classes(compatibility);
    }

    fn add_classes<S: AsRef<str>>(&mut self, classes: &'a [S]) {
        let first = self.classes.len();
        for class in classes {
            self.add(AttributeId::OBJECT_CLASS, class.as_ref());
        }
        self.add_superclasses(first);
    }

    /// Adds what the classes from this place on are derived from.
    fn add_superclasses(&mut self, first: usize) {
        for place in first..self.classes.len() {
            let Some(class) = self.classes.get(place).copied().flatten() else { continue };
            for above in class.superclasses() {
                self.add_known_class(above, above.name().as_bytes().into());
            }
        }
    }

    /// Adds a class unless it is there by any of its names.
    fn add_known_class(&mut self, class: &'static ObjectClass, name: Cow<'a, [u8]>) {
        if self.classes.iter().flatten().any(|other| std::ptr::eq(*other, class)) {
            return;
        }
        let place = self.place(AttributeId::OBJECT_CLASS, self.name(AttributeId::OBJECT_CLASS));
        if let Some(attribute) = self.attributes.get_mut(place) {
            attribute.values.push(name);
            self.classes.push(Some(class));
        }
    }

    /// Whether a class that is known requires or allows the attribute.
    fn allows(&self, id: AttributeId) -> bool {
        self.list.is_some_and(|list| list.allowed.contains(id))
            || self
                .classes
                .iter()
                .skip(self.list.map_or(0, |list| list.classes.len()))
                .flatten()
                .any(|class| class.allows(id))
    }

    /// Whether one of the object's own classes requires or allows the attribute.
    fn allows_itself(&self, id: AttributeId) -> bool {
        match self.list {
            Some(list) => list.allowed_itself.contains(id),
            None => self.classes.iter().take(self.own_classes).flatten().any(|class| class.allows(id)),
        }
    }

    /// An entry with attributes that its classes do not allow (free ones may be any) says so by
    /// being an extensibleObject (RFC 4512 section 4.3); a class that is not known may allow them.
    fn open(&mut self) {
        let is_known = self.classes.iter().all(Option::is_some);
        let is_foreign = |id: AttributeId| !self.schema.attribute(id).is_operational() && !self.allows(id);
        if is_known && self.attributes.iter().any(|attribute| is_foreign(attribute.id)) {
            let count = self.classes.len();
            self.add(AttributeId::OBJECT_CLASS, "extensibleObject");
            self.is_open = self.classes.len() > count;
        }
    }

    /// The values of the RDN are values of the entry.
    fn names(&mut self, rdn: &'a [(String, Vec<u8>)]) {
        for (attribute, value) in rdn {
            if let Some(id) = self.schema.find(attribute).filter(|id| !self.schema.is_secret(*id)) {
                let place = self.place(id, self.name(id));
                self.push(place, value.into(), false);
            }
        }
    }

    fn free(&mut self, attributes: &'a [Attribute], common: &mut Common) {
        for attribute in attributes {
            let (base, options) = match attribute.description.split_once(';') {
                Some((base, options)) => (base, Some(options)),
                None => (attribute.description.as_str(), None),
            };
            let Some(id) = common.find(base) else { continue };
            let attribute_type = self.schema.attribute(id);
            if id.is_computed() || attribute_type.secret || attribute_type.is_operational() {
                continue;
            }
            let description = match options {
                None => self.name(id),
                Some(options) => format!("{};{options}", self.name(id)).into(),
            };
            let place = self.place(id, description);
            for value in &attribute.values {
                self.push(place, value.into(), false);
            }
        }
    }

    fn name(&self, id: AttributeId) -> Cow<'a, str> {
        Cow::Borrowed(&self.schema.attribute(id).name)
    }

    fn add(&mut self, id: AttributeId, value: impl Into<Cow<'a, str>>) {
        let place = self.place(id, self.name(id));
        self.push(place, octets(value.into()), false);
    }

    /// Adds a value in front of those that are there.
    fn first(&mut self, id: AttributeId, value: impl Into<Cow<'a, str>>) {
        let place = self.place(id, self.name(id));
        self.push(place, octets(value.into()), true);
    }

    fn default_number(&mut self, id: AttributeId, start: u32, number: u32) {
        if !self.has(id) {
            self.add(id, (u64::from(start) + u64::from(number)).to_string());
        }
    }

    /// Where an attribute stands; a new one comes behind all others.
    fn place(&mut self, id: AttributeId, description: Cow<'a, str>) -> usize {
        let found =
            self.attributes.iter().position(|other| other.id == id && other.description == description);
        found.unwrap_or_else(|| {
            self.attributes.push(Composed {
                id,
                description,
                values: if id == AttributeId::OBJECT_CLASS {
                    SmallVec::with_capacity(12)
                } else {
                    SmallVec::new()
                },
                forms: BTreeSet::new(),
            });
            self.attributes.len() - 1
        })
    }

    /// Adds a value to the attribute at `place` unless one that matches it is there, or the one that there may be.
    fn push(&mut self, place: usize, value: Cow<'a, [u8]>, in_front: bool) {
        let Some(attribute) = self.attributes.get_mut(place) else { return };
        let attribute_type = self.schema.attribute(attribute.id);
        // The RDN has said which value it is, where there is but one.
        if attribute_type.single_valued && !attribute.values.is_empty() {
            return;
        }
        let rule = attribute_type.equality.unwrap_or(MatchingRule::OctetString);
        if attribute.id != AttributeId::OBJECT_CLASS || attribute.description.contains(';') {
            return attribute.push(rule, value, in_front);
        }
        match std::str::from_utf8(&value).ok().and_then(|name| self.schema.class(name)) {
            Some(class) => self.add_known_class(class, value),
            None => {
                let count = attribute.values.len();
                attribute.push(rule, value, in_front);
                if attribute.values.len() > count {
                    self.classes.push(None);
                }
            }
        }
    }
}

impl<'a> Composed<'a> {
    fn push(&mut self, rule: MatchingRule, value: Cow<'a, [u8]>, in_front: bool) {
        if self.values.is_empty() {
            return self.values.push(value);
        }
        // Lists of mail addresses have ten thousands: comparing each with each would take seconds.
        if self.values.len() >= VALUES_COMPARED_MAX {
            if self.forms.is_empty() {
                self.forms = self.values.iter().map(|value| normal(rule, value)).collect();
            }
            if self.forms.insert(normal(rule, &value)) {
                return self.insert(value, in_front);
            }
            if !in_front {
                return;
            }
        }
        // No two of those that are there match: one that is spelled the same is the one that matches.
        let present = self.values.iter().position(|other| *other == value).or_else(|| {
            let form = normal(rule, &value);
            self.values.iter().position(|other| normal(rule, other) == form)
        });
        match (present, in_front) {
            (Some(place), true) => self.values[..=place].rotate_right(1),
            (Some(_), false) => {}
            (None, _) => self.insert(value, in_front),
        }
    }

    fn insert(&mut self, value: Cow<'a, [u8]>, in_front: bool) {
        self.values.insert(if in_front { 0 } else { self.values.len() }, value);
    }
}

/// Whether it is of ASCII letters, digits and these signs alone, a letter first.
fn is_usual(text: &str, signs: &[u8]) -> bool {
    let is_usual = |octet: u8| octet.is_ascii_alphanumeric() || signs.contains(&octet);
    text.bytes().next().is_some_and(|first| first.is_ascii_alphabetic()) && text.bytes().all(is_usual)
}

fn octets(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

/// So many values are compared one by one, which takes no memory.
/// No limit of the config: beyond it is another way to the same outcome.
const VALUES_COMPARED_MAX: usize = 16;

fn normal(rule: MatchingRule, value: &[u8]) -> Vec<u8> {
    let mut form = Vec::new();
    if rule.normalize(value, &mut form).is_err() {
        form = value.to_vec();
    }
    form
}

/// The classes that a provider adds for the sake of its compatibility attributes.
fn added_by(provider: &LdapProvider, classes: &'static [&'static str]) -> &'static [&'static str] {
    if provider.compatibility_attributes { classes } else { &[] }
}

/// Whether these classes, or the usual ones where none are given, hold `class`.
fn has_class(classes: &[String], class: &str) -> bool {
    classes.is_empty() || classes.iter().any(|other| other.eq_ignore_ascii_case(class))
}

const PERSON_CLASSES: [&str; 5] = ["top", "person", "organizationalPerson", "inetOrgPerson", "posixAccount"];
const GROUP_CLASSES: [&str; 4] = ["top", "groupOfNames", "groupOfUniqueNames", "posixGroup"];

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plain;

    proptest! {
        #![proptest_config(crate::rounds::cases(256))]
        /// Whatever a name holds, its place is what its RDN is read as.
        #[test]
        fn a_usual_name_has_the_place_of_any(name in "[a-z0-9]{0,2}[ -~ö]{0,5}", naming in "(cn|uid|x-Y9|a_b|1\\.2)") {
            let provider = plain::provider(1, "dc=example,dc=org");
            let containers = [Container { container: "ou=people".to_owned(), naming: naming.clone() }];
            let rdn = Rdn::new(naming.as_str(), name.as_str()).to_string();
            let read = Dn::parse(rdn.as_bytes()).ok().filter(|dn| dn.rdns().len() == 1);
            match (place(&provider, &[], &containers, &name), read) {
                (Ok(place), Some(read)) => {
                    prop_assert_eq!(place.dn, format!("{rdn},ou=people,dc=example,dc=org"));
                    let pairs = read.rdns()[0].pairs().iter();
                    prop_assert_eq!(place.rdn, pairs.map(|pair| (pair.attribute.clone(), pair.value.clone())).collect::<Vec<_>>());
                    prop_assert_eq!(place.container, "ou=people");
                }
                (Err(refused), None) => prop_assert_eq!(refused, rdn),
                (place, read) => prop_assert!(false, "{:?} {:?}", place.map(|place| place.dn), read),
            }
        }
    }

    /// The classes of one entry are not those of another.
    #[test]
    fn lists_of_classes_are_told_apart() {
        let schema = Schema::core();
        let mut common = Common::new(&schema);
        let lists: [&[&str]; 6] = [
            &["top", "person"],
            &["person", "top"],
            &["TOP", "person"],
            &["posixGroup"],
            &[],
            &["top", "person", "unknown"],
        ];
        for _ in 0..2 {
            for given in lists {
                for (structural, added) in [("account", &[] as &[&str]), ("groupOfNames", &["user"])] {
                    let list = common.classes(given, structural, added);
                    let mut entry = Composition::new(&schema);
                    entry.classes(given, structural, added);
                    let of_list = Composition::of(&schema, &list);
                    let values = |entry: &Composition<'_>| {
                        let values = entry.values(AttributeId::OBJECT_CLASS);
                        values.iter().map(|value| value.to_vec()).collect::<Vec<_>>()
                    };
                    assert_eq!(values(&of_list), values(&entry), "{given:?}");
                    assert_eq!(of_list.own_classes, entry.own_classes);
                    for attribute in schema.attributes() {
                        assert_eq!(of_list.allows(attribute.id), entry.allows(attribute.id));
                        assert_eq!(of_list.allows_itself(attribute.id), entry.allows_itself(attribute.id));
                    }
                }
            }
        }
    }
}
