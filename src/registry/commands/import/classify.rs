//! What an entry of another directory is here: by its place it is a person, a service account or a group,
//! and its attributes are read, kept or left out.

use std::collections::{BTreeMap, HashMap, HashSet};

use uuid::Uuid;

use super::{
    ImportLayout, ImportedAccount, ImportedAttribute, ImportedGroup, ImportedMembers, LOCKED_FOR_GOOD,
    MEMBERS, MemberName, Octets, RESTORED,
};
use crate::ldif;
use crate::model::{Container, Timestamp};
use crate::registry::commands::validate;
use crate::schema::dn::{is_at_or_below, parent};
use crate::schema::{AttributeId, ClassKind, Dn, ObjectClass, Rdn, Schema, time};

/// What an entry of another directory is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Classified {
    /// A person or a service account, and what of it is left out, each with its reason.
    Account(Box<ImportedAccount>, Vec<String>),
    /// A group, its members, and what of it is left out, each with its reason.
    Group(Box<ImportedGroup>, ImportedMembers, Vec<String>),
    /// The suffix or a container: it is there already, and what of it is left out, each with its reason.
    Container(Vec<String>),
    /// None of these, and why.
    Ignored {
        /// The reason, the same text for all entries that it holds for.
        reason: String,
    },
}

/// What an entry may become, by its container and its classes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Person,
    ServiceAccount,
    Group,
}

/// Says what records are here, by where an import puts them.
pub struct Classifier {
    schema: Schema,
    /// The normal form of the base DN; `None`: it is no DN.
    suffix: Option<Vec<u8>>,
    /// The containers, with the normal forms of their DNs.
    containers: Vec<(Kind, Container, Vec<u8>)>,
    restore: bool,
}

impl Classifier {
    /// For all records of an import.
    pub fn new(layout: &ImportLayout) -> Self {
        let schema = layout.schema();
        let lists = [
            (Kind::Person, &layout.users),
            (Kind::ServiceAccount, &layout.service_accounts),
            (Kind::Group, &layout.groups),
        ];
        let containers = lists
            .into_iter()
            .flat_map(|(kind, containers)| containers.iter().map(move |container| (kind, container)))
            .filter_map(|(kind, container)| {
                let place = format!("{},{}", container.container, layout.base_dn);
                Some((kind, container.clone(), normal_form(&place, &schema)?))
            })
            .collect();
        Self { suffix: normal_form(&layout.base_dn, &schema), containers, schema, restore: layout.restore }
    }

    /// The normal form of a name, if it is one.
    pub(super) fn normal_name(&self, dn: &str) -> Option<Vec<u8>> {
        normal_form(dn, &self.schema)
    }

    /// Whether a record can be a group at all, by its classes.
    pub(super) fn may_be_group(&self, record: &ldif::Record) -> bool {
        let is_classified = given_classes(record, &self.schema).count() <= validate::CLASSES_MAX;
        is_classified && has_class(&object_classes(record, &self.schema), &GROUP_CLASSES)
    }

    /// A value as a report tells it; a secret is not told, nor what may be one, as the schema does not know it.
    pub(super) fn told(&self, description: &str, value: &[u8]) -> String {
        let base = description.split(';').next().unwrap_or_default();
        let known = self.schema.find(base);
        let is_secret = FOREIGN_SECRETS.contains(&base.to_ascii_lowercase().as_str())
            || known.is_some_and(|id| self.schema.attribute(id).secret);
        if is_secret {
            return format!("{description} (a secret)");
        }
        if known.is_none() {
            return format!("{description} (a value of it)");
        }
        let text = String::from_utf8_lossy(value);
        let shown: String = text.chars().take(TOLD_CHARACTERS_MAX).collect();
        let rest = if shown.len() < text.len() { "…" } else { "" };
        format!("{description}: {shown}{rest}")
    }

    /// Says what a record is, by its place and its classes.
    pub fn classify(&self, record: &ldif::Record) -> Classified {
        classify(record, self)
    }
}

fn classify(record: &ldif::Record, classifier: &Classifier) -> Classified {
    let Classifier { schema, suffix, containers, restore } = classifier;
    let ignored = |reason: &str| Classified::Ignored { reason: reason.to_owned() };
    let Ok(dn) = Dn::parse(record.dn.as_bytes()) else {
        return ignored("its name (dn) is not a distinguished name");
    };
    let normal = dn.normal_form(schema);
    let normal = normal.as_bytes();
    let Some(suffix) = suffix else {
        return ignored("the base DN of the provider is not a distinguished name");
    };
    if !is_at_or_below(normal, suffix) {
        return if is_at_or_below(suffix, normal) {
            held_already(record, &dn, schema)
        } else {
            ignored("it does not stand below the provider's base DN")
        };
    }
    let mut homes: Vec<(Kind, &Container)> = Vec::new();
    for (kind, container, place) in containers {
        if is_at_or_below(place, normal) {
            return held_already(record, &dn, schema);
        }
        if parent(normal) == Some(place) {
            homes.push((*kind, container));
        }
    }
    let (Some(rdn), false) = (dn.rdn(), homes.is_empty()) else {
        return ignored(
            "it does not stand directly in a container of the provider \
             (--users, --groups and --service-accounts add some)",
        );
    };
    if has_too_many_attributes(record) {
        return ignored(&format!("it has more than {} attributes", validate::ATTRIBUTES_MAX));
    }
    if has_too_many_with_options(record) {
        let most = validate::ATTRIBUTES_WITH_OPTIONS_MAX;
        return ignored(&format!("it has more than {most} attributes with options"));
    }
    if given_classes(record, schema).count() > validate::CLASSES_MAX {
        return ignored(&format!("it has more than {} object classes", validate::CLASSES_MAX));
    }
    let classes = object_classes(record, schema);
    let found = kind_of(&classes, &homes);
    let (classes, dropped) = one_structural_class(classes, schema);
    let mut classified = match found {
        Some((Kind::Group, home)) => group(record, rdn, home, classes, schema),
        Some((kind, home)) => account(record, rdn, kind, home, classes, *restore, schema),
        None => return ignored("its object classes are not those that its container takes"),
    };
    if let Classified::Account(_, left_out) | Classified::Group(_, _, left_out) = &mut classified {
        left_out.extend(dropped);
    }
    classified
}

/// The classes without those that would make an entry two things at once, and why they are left out: an entry has one
/// structural class with its superclasses (RFC 4512 section 2.4.2), which some directories do not enforce.
fn one_structural_class(mut classes: Vec<String>, schema: &Schema) -> (Vec<String>, Vec<String>) {
    let structural = |name: &str| schema.class(name).filter(|class| class.kind == ClassKind::Structural);
    let depth = |class: &'static ObjectClass| class.superclasses().count();
    // The most special one; of several the first.
    let mut found: Option<&'static ObjectClass> = None;
    for class in classes.iter().filter_map(|name| structural(name)) {
        if found.is_none_or(|found| depth(class) > depth(found)) {
            found = Some(class);
        }
    }
    let Some(found) = found else { return (classes, Vec::new()) };
    let mut dropped = Vec::new();
    classes.retain(|name| {
        let is_kept =
            structural(name).is_none_or(|class| found.superclasses().any(|above| std::ptr::eq(above, class)));
        if !is_kept {
            dropped.push(format!("the object class {name}: an entry has one structural class"));
        }
        is_kept
    });
    (classes, dropped)
}

/// What is not taken over of the suffix or a container, whose entry the provider makes: all that does not follow from
/// its name, or is kept by each server for itself.
fn held_already(record: &ldif::Record, dn: &Dn, schema: &Schema) -> Classified {
    if has_too_many_attributes(record) {
        let reason = format!(
            "the attributes of a container: there are more than {}, and its entry follows from the provider",
            validate::ATTRIBUTES_MAX
        );
        return Classified::Container(vec![reason]);
    }
    let pairs = || dn.rdns().iter().flat_map(|rdn| rdn.pairs());
    let mut told: HashSet<&str> = HashSet::new();
    let mut left_out: Vec<String> = Vec::new();
    for (description, value) in &record.attributes {
        let base = description.split(';').next().unwrap_or_default();
        let known = schema.find(base);
        let is_derived = |id: AttributeId| schema.attribute(id).is_operational() && !RESTORED.contains(&id);
        let is_of_server = known.is_some_and(|id| id == AttributeId::OBJECT_CLASS || is_derived(id))
            || FOREIGN_OPERATIONAL.contains(&base.to_ascii_lowercase().as_str());
        let is_named = pairs().any(|pair| pair.value.eq_ignore_ascii_case(value));
        if !is_of_server && !is_named && told.insert(description) {
            left_out.push(format!(
                "the attribute {description} of a container: its entry follows from the provider"
            ));
        }
    }
    Classified::Container(left_out)
}

/// What the classes make of an entry in a container, which may hold several kinds.
fn kind_of<'a>(classes: &[String], homes: &[(Kind, &'a Container)]) -> Option<(Kind, &'a Container)> {
    let has = |names: &[&str]| has_class(classes, names);
    let home = |kind: Kind| homes.iter().copied().find(|(other, _)| *other == kind);
    if has(&GROUP_CLASSES) {
        return home(Kind::Group);
    }
    if has(&PERSON_CLASSES) {
        return home(Kind::Person).or_else(|| home(Kind::ServiceAccount));
    }
    if has(&SERVICE_CLASSES) {
        return home(Kind::ServiceAccount)
            .or_else(|| home(Kind::Person).filter(|_| has(&["account", "applicationProcess"])));
    }
    None
}

fn account(
    record: &ldif::Record,
    rdn: &Rdn,
    kind: Kind,
    home: &Container,
    classes: Vec<String>,
    restore: bool,
    schema: &Schema,
) -> Classified {
    let has_class = |name: &str| classes.iter().any(|class| class.eq_ignore_ascii_case(name));
    let mut reading = Reading::new(record, schema);
    let is_inet_org_person = has_class("inetOrgPerson");
    // As in the directory's own making of an entry: what no class allows is not added to it there.
    let allows = |id: AttributeId| {
        let known = classes.iter().filter_map(|class| schema.class(class));
        known.into_iter().any(|class| class.attributes().any(|other| other == id))
    };

    let mut uids = reading.take(AttributeId::UID);
    let username = match uids.first() {
        Some(uid) => text(uid),
        None => naming_value(rdn, &home.naming, schema).and_then(text),
    };
    let Some(username) = username else {
        return Classified::Ignored { reason: "it has no name that is text".to_owned() };
    };
    // Names are compared without them (RFC 4518 section 2.6.1), so nothing is lost; its DN keeps them.
    let username = username.trim().to_owned();
    if allows(AttributeId::UID) {
        uids.retain(|uid| uid.trim_ascii() != username.as_bytes());
    }
    let fits = |value: &Vec<u8>| text(value).is_some_and(|name| validate::text("a full name", &name).is_ok());
    let mut display_names = reading.take(AttributeId::DISPLAY_NAME);
    // Elsewhere one that is no full name stays what it is, an attribute.
    if is_inet_org_person && !display_names.iter().all(fits) {
        display_names.retain(fits);
        reading.leave_out("displayName", "a value is too long for a full name, or no text");
    }
    let common_names = reading.take(AttributeId::CN);
    let mut mails = reading.take(AttributeId::MAIL);
    let given = mails.len();
    mails.retain(|mail| text(mail).is_some_and(|mail| validate::email(&mail).is_ok()));
    if mails.len() < given {
        reading.leave_out("mail", "a value is no mail address");
    }
    // In an export a full name is told where there is one.
    let stand_in = common_names.first().filter(|_| !(restore && is_inet_org_person));
    let name =
        display_names.first().or(stand_in).filter(|name| fits(name)).and_then(text).unwrap_or_default();
    let email = mails.first().and_then(text).unwrap_or_default();
    // What the account itself shows in its entry is not kept a second time.
    let is_shown = is_inet_org_person && !name.is_empty();
    if is_shown && display_names.len() > 1 {
        reading.leave_out("displayName", "it has one value at most");
    }
    let names_itself = rdn.pairs().iter().any(|pair| schema.find(&pair.attribute) == Some(AttributeId::CN));
    let is_derived = allows(AttributeId::CN)
        && common_names.len() == 1
        && (!names_itself && common_names.first().is_some_and(|value| value == name.as_bytes()));
    reading.keep(AttributeId::UID, uids);
    reading.keep(AttributeId::CN, if is_derived { Vec::new() } else { common_names });
    reading.keep(AttributeId::DISPLAY_NAME, if is_shown { Vec::new() } else { display_names });
    let mails = if is_inet_org_person && !email.is_empty() { mails.get(1..).unwrap_or(&[]) } else { &mails };
    reading.keep(AttributeId::MAIL, mails.to_vec());

    for id in MEMBERS {
        if !reading.take(id).is_empty() {
            reading.leave_out(&schema.attribute(id).name, "only a group has members");
        }
    }
    let is_active = !reading.is_locked();
    let passwords = reading.take(AttributeId::USER_PASSWORD).into_iter().map(Octets).collect();
    let read = reading.finish(rdn);
    let account = ImportedAccount {
        dn: record.dn.clone(),
        is_service_account: kind == Kind::ServiceAccount,
        container: home.container.clone(),
        rdn: rdn.to_string(),
        username,
        name,
        email,
        is_active,
        attributes: read.attributes,
        object_classes: unless_usual(classes, &USUAL_PERSON),
        passwords,
        uuid: read.uuid,
        created: read.created,
        modified: read.modified,
    };
    Classified::Account(Box::new(account), read.left_out)
}

fn group(
    record: &ldif::Record,
    rdn: &Rdn,
    home: &Container,
    classes: Vec<String>,
    schema: &Schema,
) -> Classified {
    let mut reading = Reading::new(record, schema);
    let common_name = naming_pair(rdn, "cn", schema);
    let first = reading.peek(AttributeId::CN).and_then(|values| values.first().cloned());
    let name = common_name.map(<[u8]>::to_vec).or(first);
    let name = name.or_else(|| naming_value(rdn, &home.naming, schema).map(<[u8]>::to_vec));
    let Some(name) = name.as_deref().and_then(text) else {
        return Classified::Ignored { reason: "it has no name that is text".to_owned() };
    };
    let name = name.trim().to_owned();
    let mut common_names = reading.take(AttributeId::CN);
    common_names.retain(|value| value.trim_ascii() != name.as_bytes());
    reading.keep(AttributeId::CN, common_names);
    if !reading.take(AttributeId::USER_PASSWORD).is_empty() {
        reading.leave_out("userPassword", "a group has no password");
    }
    let mut members = Vec::new();
    for id in MEMBERS {
        for value in reading.take(id) {
            match text(&value) {
                Some(name) if id == AttributeId::MEMBER_UID => members.push(MemberName::Username(name)),
                Some(name) => members.push(MemberName::Dn(without_unique_identifier(&name).to_owned())),
                None => reading.leave_out(&schema.attribute(id).name, "a value is not text"),
            }
        }
    }
    let read = reading.finish(rdn);
    let group = ImportedGroup {
        dn: record.dn.clone(),
        container: home.container.clone(),
        rdn: rdn.to_string(),
        name,
        attributes: read.attributes,
        object_classes: unless_usual(classes, &USUAL_GROUP),
        uuid: read.uuid,
        created: read.created,
        modified: read.modified,
    };
    let members =
        ImportedMembers { group: record.dn.clone(), modified: read.modified.or(read.created), members };
    Classified::Group(Box::new(group), members, read.left_out)
}

/// The attributes of a record while they are sorted out.
struct Reading<'a> {
    schema: &'a Schema,
    /// Each description once, with all of its values.
    attributes: Vec<(Option<AttributeId>, String, Vec<Vec<u8>>)>,
    left_out: Vec<String>,
}

/// What was read of any entry.
struct Read {
    attributes: Vec<ImportedAttribute>,
    uuid: Option<Uuid>,
    created: Option<Timestamp>,
    modified: Option<Timestamp>,
    left_out: Vec<String>,
}

impl<'a> Reading<'a> {
    fn new(record: &ldif::Record, schema: &'a Schema) -> Self {
        let mut attributes: Vec<(Option<AttributeId>, String, Vec<Vec<u8>>)> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut spelled: HashMap<&str, usize> = HashMap::new();
        for (description, value) in &record.attributes {
            let place = match spelled.get(description.as_str()) {
                Some(place) => *place,
                None => {
                    let canonical = validate::canonical_description(description, schema);
                    let next = attributes.len();
                    let place = *places.entry(canonical).or_insert(next);
                    if place == next {
                        // With options it is another attribute: it is only kept, never read.
                        let id = if description.contains(';') { None } else { schema.find(description) };
                        attributes.push((id, description.clone(), Vec::new()));
                    }
                    spelled.insert(description, place);
                    place
                }
            };
            if let Some((_, _, values)) = attributes.get_mut(place) {
                values.push(value.clone());
            }
        }
        Self { schema, attributes, left_out: Vec::new() }
    }

    fn peek(&self, id: AttributeId) -> Option<&Vec<Vec<u8>>> {
        self.attributes.iter().find(|(other, _, _)| *other == Some(id)).map(|(_, _, values)| values)
    }

    /// Takes the values of an attribute out.
    fn take(&mut self, id: AttributeId) -> Vec<Vec<u8>> {
        match self.attributes.iter().position(|(other, _, _)| *other == Some(id)) {
            Some(place) => self.attributes.remove(place).2,
            None => Vec::new(),
        }
    }

    /// Puts values that were taken back, to be kept.
    fn keep(&mut self, id: AttributeId, values: Vec<Vec<u8>>) {
        if !values.is_empty() {
            self.attributes.push((Some(id), self.schema.attribute(id).name.to_string(), values));
        }
    }

    fn leave_out(&mut self, attribute: &str, reason: &str) {
        self.left_out.push(format!("the attribute {attribute}: {reason}"));
    }

    /// Whether the other directory lets nobody in by this entry: then neither does this one.
    fn is_locked(&mut self) -> bool {
        let is_true = |values: &[Vec<u8>]| values.iter().any(|value| value.eq_ignore_ascii_case(b"true"));
        let locks = |(id, description, values): &(Option<AttributeId>, String, Vec<Vec<u8>>)| match id {
            Some(AttributeId::AK_ACTIVE) => values.iter().any(|value| value.eq_ignore_ascii_case(b"false")),
            Some(AttributeId::USER_ACCOUNT_CONTROL) => values.iter().any(|value| {
                let flags = std::str::from_utf8(value).ok().and_then(|value| value.parse::<i64>().ok());
                flags.is_some_and(|flags| flags & ACCOUNT_DISABLED != 0)
            }),
            _ => match description.to_ascii_lowercase().as_str() {
                "nsaccountlock" | "logindisabled" => is_true(values),
                "pwdaccountlockedtime" => values.iter().any(|value| value == LOCKED_FOR_GOOD),
                _ => false,
            },
        };
        let count = self.attributes.len();
        // What was read is not told to be not read.
        self.attributes.retain(|attribute| !locks(attribute));
        let is_locked = self.attributes.len() < count;
        if is_locked {
            self.left_out.push("it is locked in the other directory: imported as inactive".to_owned());
        }
        is_locked
    }

    /// Sorts out what was not taken.
    fn finish(mut self, rdn: &Rdn) -> Read {
        let schema = self.schema;
        let first_text = |values: Vec<Vec<u8>>| values.first().and_then(text);
        let uuids = self.take(AttributeId::ENTRY_UUID);
        let uuid = first_text(uuids.clone()).and_then(|uuid| Uuid::parse_str(&uuid).ok());
        if uuid.is_none() && !uuids.is_empty() {
            self.leave_out("entryUUID", "it is no UUID, a new one is made");
        }
        let created = self.take(AttributeId::CREATE_TIMESTAMP);
        let modified = self.take(AttributeId::MODIFY_TIMESTAMP);
        let moment = |values: &[Vec<u8>]| {
            let time = time::parse(values.first()?)?;
            Some(Timestamp::from_unix_seconds(time.unix_seconds))
        };
        for (attribute, values) in [("createTimestamp", &created), ("modifyTimestamp", &modified)] {
            if !values.is_empty() && moment(values).is_none() {
                self.leave_out(attribute, "it is no time, another one takes its place");
            }
        }
        drop(self.take(AttributeId::OBJECT_CLASS));
        let mut attributes = Vec::new();
        // As the writer counts them: with whatever options.
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for (id, description, values) in std::mem::take(&mut self.attributes) {
            match self.sort_out(id, &description, values, rdn) {
                Ok(values) if values.is_empty() => {}
                Ok(values) => {
                    let base = validate::canonical_base(&description, schema);
                    let count = counts.entry(base).or_default();
                    if *count + values.len() > validate::VALUES_MAX {
                        let most = validate::VALUES_MAX;
                        let reason = format!("it has more than {most} values, with whatever options");
                        self.leave_out(&description, &reason);
                        continue;
                    }
                    *count += values.len();
                    let values = values.into_iter().map(Octets).collect();
                    attributes.push(ImportedAttribute { description, values });
                }
                Err(reason) => {
                    let name = id.map_or(description.as_str(), |id| &schema.attribute(id).name);
                    self.leave_out(name, &reason);
                }
            }
        }
        Read {
            attributes,
            uuid,
            created: moment(&created),
            modified: moment(&modified),
            left_out: self.left_out,
        }
    }

    /// The values of an attribute that are kept; none: they come from elsewhere.
    fn sort_out(
        &mut self,
        id: Option<AttributeId>,
        description: &str,
        values: Vec<Vec<u8>>,
        rdn: &Rdn,
    ) -> Result<Vec<Vec<u8>>, String> {
        let schema = self.schema;
        if id.is_none() {
            let base = description.split(';').next().unwrap_or_default().to_ascii_lowercase();
            // One that the schema knows is kept as any other, with options too.
            if schema.find(&base).is_none() && FOREIGN_SECRETS.contains(&base.as_str()) {
                return Err("no entry holds secrets".to_owned());
            }
            if FOREIGN_OPERATIONAL.contains(&base.as_str()) {
                return Err("it is operational, derived and not read".to_owned());
            }
        }
        let base = description.split(';').next().unwrap_or_default();
        let known = id.or_else(|| schema.find(base));
        let Some(id) = known else {
            validate::attribute_type(description, schema)?;
            let count = values.len();
            let kept: Vec<_> =
                values.into_iter().filter(|value| !value.is_empty() && text(value).is_some()).collect();
            if kept.len() < count {
                self.leave_out(description, "the schema does not know it, and a value is not text");
            }
            return Ok(kept);
        };
        if schema.attribute(id).secret {
            return Err("no entry holds secrets".to_owned());
        }
        if id.is_computed() || schema.attribute(id).is_operational() {
            return Err("it is derived, not read".to_owned());
        }
        validate::attribute_type(description, schema)?;
        let count = values.len();
        let mut kept: Vec<Vec<u8>> =
            values.into_iter().filter(|value| validate::is_value(value, id, schema)).collect();
        if kept.len() < count {
            self.leave_out(description, "a value is not of its syntax");
        }
        if schema.attribute(id).single_valued && kept.len() > 1 {
            kept.truncate(1);
            self.leave_out(description, "it has one value at most");
        }
        if !description.contains(';') {
            // The values of the RDN are values of the entry anyway.
            kept.retain(|value| {
                rdn.pairs()
                    .iter()
                    .all(|pair| schema.find(&pair.attribute) != Some(id) || pair.value != *value)
            });
        }
        Ok(kept)
    }
}

/// Before anything is looked up for each of them.
fn has_too_many_attributes(record: &ldif::Record) -> bool {
    has_more_than(validate::ATTRIBUTES_MAX, record, |_| true)
}

fn has_too_many_with_options(record: &ldif::Record) -> bool {
    has_more_than(validate::ATTRIBUTES_WITH_OPTIONS_MAX, record, |description| description.contains(';'))
}

/// Whether a record has more attributes than so many of those that count.
fn has_more_than(most: usize, record: &ldif::Record, counts: fn(&str) -> bool) -> bool {
    let mut seen: HashSet<&str> = HashSet::new();
    record.attributes.iter().filter(|(description, _)| counts(description)).any(|(description, _)| {
        seen.insert(description);
        seen.len() > most
    })
}

/// The classes that a record names, as it spells them.
fn given_classes<'r>(record: &'r ldif::Record, schema: &Schema) -> impl Iterator<Item = &'r [u8]> {
    let is_class = |name: &str| schema.find(name) == Some(AttributeId::OBJECT_CLASS);
    record.attributes.iter().filter(move |(name, _)| is_class(name)).map(|(_, value)| value.as_slice())
}

/// Whether one of these classes is among them.
fn has_class(classes: &[String], names: &[&str]) -> bool {
    classes.iter().any(|class| names.iter().any(|name| class.eq_ignore_ascii_case(name)))
}

/// The classes of a record as the schema spells them, with their superclasses.
fn object_classes(record: &ldif::Record, schema: &Schema) -> Vec<String> {
    let mut classes: Vec<String> = Vec::new();
    let mut add = |name: &str| {
        if !classes.iter().any(|other| other.eq_ignore_ascii_case(name)) {
            classes.push(name.to_owned());
        }
    };
    let given: Vec<String> = given_classes(record, schema).filter_map(text).collect();
    for name in &given {
        add(schema.class(name).map_or(name, |class| class.name()));
    }
    for class in given.iter().filter_map(|name| schema.class(name)) {
        class.superclasses().for_each(|above| add(above.name()));
    }
    classes
}

/// None, when they are the usual ones.
fn unless_usual(classes: Vec<String>, usual: &[&str]) -> Vec<String> {
    let is_usual =
        classes.len() == usual.len() && classes.iter().all(|class| usual.contains(&class.as_str()));
    if is_usual { Vec::new() } else { classes }
}

/// The value of the RDN that names the entry: that of the container's naming attribute, or the first.
fn naming_value<'a>(rdn: &'a Rdn, naming: &str, schema: &Schema) -> Option<&'a [u8]> {
    naming_pair(rdn, naming, schema).or_else(|| rdn.pairs().first().map(|pair| pair.value.as_slice()))
}

fn naming_pair<'a>(rdn: &'a Rdn, attribute: &str, schema: &Schema) -> Option<&'a [u8]> {
    let id = schema.find(attribute);
    let pair = rdn.pairs().iter().find(|pair| schema.find(&pair.attribute) == id);
    pair.map(|pair| pair.value.as_slice())
}

/// A `uniqueMember` without the unique identifier behind its DN (RFC 4517 section 3.3.21).
fn without_unique_identifier(value: &str) -> &str {
    match value.rsplit_once("#'") {
        Some((dn, rest)) if rest.ends_with("'B") => dn,
        _ => value,
    }
}

fn normal_form(dn: &str, schema: &Schema) -> Option<Vec<u8>> {
    Dn::parse(dn.as_bytes()).ok().map(|dn| dn.normal_form(schema).as_bytes().to_vec())
}

fn text(octets: impl AsRef<[u8]>) -> Option<String> {
    std::str::from_utf8(octets.as_ref()).ok().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// So much of a value is told.
/// No limit of the config: it is about the words of a report.
const TOLD_CHARACTERS_MAX: usize = 100;

const GROUP_CLASSES: [&str; 5] =
    ["groupOfNames", "groupOfUniqueNames", "groupOfMembers", "posixGroup", "group"];
const PERSON_CLASSES: [&str; 4] = ["person", "posixAccount", "shadowAccount", "user"];
const SERVICE_CLASSES: [&str; 4] =
    ["account", "applicationProcess", "organizationalRole", "simpleSecurityObject"];

/// The classes of entries that were made here.
const USUAL_PERSON: [&str; 5] = ["top", "person", "organizationalPerson", "inetOrgPerson", "posixAccount"];
const USUAL_GROUP: [&str; 4] = ["top", "groupOfNames", "groupOfUniqueNames", "posixGroup"];

/// The bit ACCOUNTDISABLE of Active Directory's userAccountControl.
const ACCOUNT_DISABLED: i64 = 2;
/// Secrets of other directories, in lower case: they are never told, and not kept where the schema does not know them.
const FOREIGN_SECRETS: [&str; 16] = [
    "pwdhistory",
    "passwordhistory",
    "krbprincipalkey",
    "sambapasswordhistory",
    "sambacleartextpassword",
    "ipanthash",
    "nthash",
    "supplementalcredentials",
    "dbcspwd",
    "ntpwdhistory",
    "ms-mcs-admpwd",
    "mslaps-password",
    "mslaps-encryptedpassword",
    "olcrootpw",
    "userpkcs12",
    "sshprivatekey",
];

/// Operational attributes of other directories that the schema does not know, in lower case.
const FOREIGN_OPERATIONAL: [&str; 28] = [
    "accountunlocktime",
    "contextcsn",
    "dscorepropagationdata",
    "entrycsn",
    "entrydn",
    "entryid",
    "instancetype",
    "logindisabled",
    "lmpwdhistory",
    "nsaccountlock",
    "nsds5replconflict",
    "nsuniqueid",
    "objectsid",
    "parentid",
    "passwordexpirationtime",
    "passwordgraceusertime",
    "passwordretrycount",
    "pwdaccountlockedtime",
    "pwdchangedtime",
    "pwdfailuretime",
    "pwdgraceusetime",
    "pwdlastsuccess",
    "pwdpolicysubentry",
    "pwdreset",
    "usnchanged",
    "usncreated",
    "whenchanged",
    "whencreated",
];
