//! From records before and after to what an operator reads: fields with names in them, never secrets.

use std::sync::Arc;

use super::{DiffEntry, Sign};
use crate::config::ReferenceKind;
use crate::directory::{Accounts, Snapshot};
use crate::model::{
    Binding, CustomAttribute, Field, FieldChange, FieldValue, Grant, ObjectReference, Record, fields,
    value_in_words,
};

/// Where names are looked up: what is gone stands in the directory before.
pub(super) struct Lookup<'a> {
    pub(super) before: &'a Accounts,
    pub(super) after: &'a Accounts,
}

type Fields = Vec<(String, String)>;

/// What became of an object; `None`: nothing that is told.
pub(super) fn entry(
    before: Option<&Record>,
    after: Option<&Record>,
    lookup: &Lookup<'_>,
) -> Option<DiffEntry> {
    let (kind, name) = title(after.or(before)?)?;
    let old = before.map(|record| told(record, lookup)).unwrap_or_default();
    let new = after.map(|record| told(record, lookup)).unwrap_or_default();
    let sign = match (before, after) {
        (None, _) => Sign::Created,
        (Some(_), Some(_)) => Sign::Changed,
        (Some(_), None) => Sign::Deleted,
    };
    let mut changes = Vec::new();
    if sign != Sign::Deleted {
        changes = compare(&old, &new);
        if let (Some(Record::Account(old)), Some(Record::Account(new))) = (before, after)
            && let (Some(old), Some(new)) = (&old.password, &new.password)
            && old.generation != new.generation
        {
            changes.push(change("password", Some("set"), Some("another one")));
        }
    }
    if changes.is_empty() && sign == Sign::Changed {
        return None;
    }
    Some(DiffEntry { sign, kind, name, fields: changes, reason: None, together: Vec::new() })
}

/// What became of custom attribute types: those of the seed, and those that what it describes is the first to use.
pub(super) fn custom_attributes(before: &Snapshot, after: &Snapshot, lookup: &Lookup<'_>) -> Vec<DiffEntry> {
    let record = |attribute: &Arc<CustomAttribute>| Record::CustomAttribute((**attribute).clone());
    let gone = before.custom_attributes().filter(|old| after.custom_attribute(old.number).is_none());
    let gone = gone.filter_map(|old| entry(Some(&record(old)), None, lookup));
    let there = after.custom_attributes().filter_map(|new| {
        let old = before.custom_attribute(new.number);
        if old == Some(new) {
            return None;
        }
        entry(old.map(record).as_ref(), Some(&record(new)), lookup)
    });
    gone.chain(there).collect()
}

/// An entry of an object of which only the members change.
pub(super) fn unchanged(kind: ReferenceKind, name: &str) -> DiffEntry {
    of_object(Sign::Changed, kind, name, None)
}

/// An entry that says why, and of no field.
pub(super) fn of_object(sign: Sign, kind: ReferenceKind, name: &str, reason: Option<String>) -> DiffEntry {
    DiffEntry { sign, kind, name: name.to_owned(), fields: Vec::new(), reason, together: Vec::new() }
}

/// The accounts that left and joined a group.
pub(super) fn members(changes: &[(String, bool)]) -> FieldChange {
    let list = |joined: bool| {
        let names = changes.iter().filter(|(_, other)| *other == joined).map(|(name, _)| name.as_str());
        let mut names: Vec<&str> = names.collect();
        names.sort_unstable();
        match names.len() {
            0 => None,
            1..=NAMES_MAX => Some(names.join(", ")),
            many => Some(format!("{many} accounts")),
        }
    };
    FieldChange { field: "members".to_owned(), before: list(false), after: list(true) }
}

/// The place of a kind in the diff.
pub(super) fn rank(kind: ReferenceKind) -> usize {
    const ORDER: [ReferenceKind; 7] = [
        ReferenceKind::Attribute,
        ReferenceKind::Provider,
        ReferenceKind::Role,
        ReferenceKind::Group,
        ReferenceKind::Account,
        ReferenceKind::Token,
        ReferenceKind::Application,
    ];
    ORDER.iter().position(|other| *other == kind).unwrap_or(ORDER.len())
}

impl Lookup<'_> {
    /// What an object is called.
    pub(super) fn name(&self, object: ObjectReference) -> String {
        let name = self.after.name(object).or_else(|| self.before.name(object));
        name.unwrap_or_else(|| GONE.to_owned())
    }

    fn grants(&self, grants: &[Grant]) -> String {
        list(grants, |grant| match grant.on {
            None => grant.permission.codename().to_owned(),
            Some(on) => format!("{} on {}:{}", grant.permission.codename(), on.kind(), self.name(on)),
        })
    }

    fn binding(&self, binding: &Binding) -> String {
        binding.in_words(
            |number| self.name(ObjectReference::Account(number)),
            |number| self.name(ObjectReference::Group(number)),
        )
    }
}

fn title(record: &Record) -> Option<(ReferenceKind, String)> {
    match record {
        Record::Provider(provider) => Some((ReferenceKind::Provider, provider.name.clone())),
        Record::CustomAttribute(attribute) => Some((ReferenceKind::Attribute, attribute.name.clone())),
        Record::Role(role) => Some((ReferenceKind::Role, role.name.clone())),
        Record::Group(group) => Some((ReferenceKind::Group, group.name.clone())),
        Record::Account(account) => Some((ReferenceKind::Account, account.username.clone())),
        Record::Token(token) => Some((ReferenceKind::Token, token.identifier.clone())),
        Record::Application(application) => Some((ReferenceKind::Application, application.slug.clone())),
        Record::Membership(_) | Record::Tombstone(_) | Record::Usage(_) | Record::Event(_) => None,
    }
}

/// The fields of an object in words, each attribute for itself.
fn told(record: &Record, lookup: &Lookup<'_>) -> Fields {
    let mut told = Vec::new();
    for Field { name, value } in fields(record) {
        let text = match value {
            // What a config cannot say of an object, or says with its name.
            FieldValue::Name(_) | FieldValue::Placements(_) | FieldValue::Generation(_) => continue,
            FieldValue::Attributes(attributes) => {
                told.extend(attributes.iter().map(|attribute| {
                    let values = list(&attribute.values, |value| value_in_words(value));
                    (format!("{name}.{}", attribute.description), values)
                }));
                continue;
            }
            FieldValue::End(time) => time.map_or_else(|| "never".to_owned(), |time| time.to_string()),
            FieldValue::Object(object) => object.map(|object| lookup.name(object)).unwrap_or_default(),
            FieldValue::Objects(objects) => list(&objects, |object| lookup.name(*object)),
            FieldValue::Grants(grants) => lookup.grants(grants),
            FieldValue::Bindings(bindings) => list(bindings, |binding| lookup.binding(binding)),
            FieldValue::Password(password) => password.map(|_| "set".to_owned()).unwrap_or_default(),
            value @ (FieldValue::Text(_)
            | FieldValue::OwnText(_)
            | FieldValue::Flag(_)
            | FieldValue::Number(_)
            | FieldValue::Uuid(_)
            | FieldValue::Duration(_)
            | FieldValue::Networks(_)
            | FieldValue::Containers(_)) => value.in_words().unwrap_or_default(),
        };
        told.push((name.to_owned(), text));
    }
    told
}

fn compare(old: &Fields, new: &Fields) -> Vec<FieldChange> {
    let value = |fields: &Fields, name: &str| {
        fields
            .iter()
            .find(|(other, value)| other == name && !value.is_empty())
            .map(|(_, value)| value.clone())
    };
    let mut changes: Vec<FieldChange> = Vec::new();
    for (name, _) in new.iter().chain(old) {
        let (before, after) = (value(old, name), value(new, name));
        if before != after && changes.iter().all(|change| change.field != *name) {
            changes.push(FieldChange { field: name.clone(), before, after });
        }
    }
    changes
}

fn change(name: &str, before: Option<&str>, after: Option<&str>) -> FieldChange {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    FieldChange { field: name.to_owned(), before: owned(before), after: owned(after) }
}

fn list<T>(items: &[T], show: impl FnMut(&T) -> String) -> String {
    items.iter().map(show).collect::<Vec<_>>().join(", ")
}

/// The name of something that is not there any more.
const GONE: &str = "(deleted)";
/// More names than these are only counted.
/// No limit of the config: all are counted, and nobody reads more.
const NAMES_MAX: usize = 100;
