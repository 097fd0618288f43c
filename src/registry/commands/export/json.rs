//! The account model as one JSON document, with names in place of numbers where one object names another.
//!
//! Lists are written as they are read: neither all accounts nor all members of a group are in memory at a time.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::ser::{Error as _, SerializeMap};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::Export;
use crate::audit::EventObject;
use crate::directory::{Accounts, GroupState, Snapshot};
use crate::model::{
    AccountKind, Attribute, Binding, BindingSubject, Field, FieldValue, Grant, GroupNumber, Key,
    ObjectReference, Placement, Record, Timestamp, Weekday, fields,
};
use crate::registry::commands::import::Octets;
use crate::schema::Schema;

pub(super) fn write(export: &Export, mut output: impl Write) -> io::Result<()> {
    let names = Names { export, accounts: export.snapshot.accounts() };
    let mut serializer = serde_json::Serializer::pretty(&mut output);
    document(&names, &mut serializer)?;
    output.write_all(b"\n")?;
    output.flush()
}

fn document<S: Serializer>(names: &Names<'_>, serializer: S) -> Result<(), S::Error> {
    let snapshot: &Snapshot = &names.export.snapshot;
    let accounts = names.accounts;
    let mut document = serializer.serialize_map(None)?;
    document.serialize_entry("revision", &snapshot.revision())?;
    let attributes =
        || snapshot.custom_attributes().map(|one| names.object(Record::CustomAttribute((**one).clone())));
    document.serialize_entry("attributes", &Each(attributes))?;
    let exported = || accounts.providers().filter(|provider| names.is_exported(provider.number));
    let providers = || exported().map(|one| names.object(Record::Provider((**one).clone())));
    document.serialize_entry("providers", &Each(providers))?;
    let roles = || accounts.roles().map(|one| names.object(Record::Role((**one).clone())));
    document.serialize_entry("roles", &Each(roles))?;
    let groups = || {
        accounts.groups().filter_map(|state| names.stored(&Key::Group(state.number), Links::Members(state)))
    };
    document.serialize_entry("groups", &Each(groups))?;
    let people = || {
        // bindery's own parts are made by every bindery itself.
        let exported = accounts.accounts().filter(|state| state.kind != AccountKind::InternalServiceAccount);
        exported.filter_map(|state| names.stored(&Key::Account(state.number), Links::Groups(&state.groups)))
    };
    document.serialize_entry("accounts", &Each(people))?;
    let tokens = || accounts.tokens().map(|one| names.object(Record::Token((**one).clone())));
    document.serialize_entry("tokens", &Each(tokens))?;
    let applications =
        || accounts.applications().map(|one| names.object(Record::Application((**one).clone())));
    document.serialize_entry("applications", &Each(applications))?;
    document.end()?;
    Ok(())
}

/// A list that is written while it is read; an error in it is one of the document.
struct Each<F>(F);

impl<T, I, F> Serialize for Each<F>
where
    T: Serialize,
    I: Iterator<Item = Result<T, String>>,
    F: Fn() -> I,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)().map(Fallible))
    }
}

struct Fallible<T>(Result<T, String>);

impl<T: Serialize> Serialize for Fallible<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Ok(value) => value.serialize(serializer),
            Err(error) => Err(S::Error::custom(error)),
        }
    }
}

/// An object: what identifies it, its fields, what it is tied to, and when it was made and changed.
struct Document<'a> {
    names: &'a Names<'a>,
    record: Record,
    links: Links<'a>,
}

/// What an object is tied to by records of their own.
enum Links<'a> {
    None,
    Members(&'a GroupState),
    Groups(&'a [GroupNumber]),
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let names = self.names;
        let mut map = serializer.serialize_map(None)?;
        let EventObject { key, uuid, .. } = EventObject::of(&self.record);
        map.serialize_entry("number", &key)?;
        if let Some(uuid) = uuid {
            map.serialize_entry("uuid", &uuid)?;
        }
        for Field { name, value } in fields(&self.record) {
            match value {
                FieldValue::Generation(_) => {}
                FieldValue::Password(password) => map.serialize_entry("has_password", &password.is_some())?,
                FieldValue::Attributes(attributes) => {
                    map.serialize_entry(name, &names.attributes(attributes))?;
                }
                value => map.serialize_entry(name, &names.value(value))?,
            }
        }
        match self.links {
            Links::None => {}
            Links::Members(group) => {
                map.serialize_entry("members", &Members { accounts: names.accounts, group })?;
            }
            Links::Groups(groups) => {
                let groups = groups.iter().filter_map(|group| names.accounts.group(*group));
                map.serialize_entry("groups", &groups.map(|group| &*group.name).collect::<Vec<_>>())?;
            }
        }
        let (object_classes, made) = circumstances(&self.record);
        if let Some(object_classes) = object_classes {
            map.serialize_entry("object_classes", object_classes)?;
        }
        let (created, modified) = made;
        if let Some(created) = created {
            map.serialize_entry("created", &created.to_string())?;
        }
        if let Some(modified) = modified {
            map.serialize_entry("modified", &modified.to_string())?;
        }
        map.end()
    }
}

/// The usernames of the accounts that are directly in a group.
struct Members<'a> {
    accounts: &'a Accounts,
    group: &'a GroupState,
}

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let accounts = self.group.members().filter_map(|id| self.accounts.account_of_entry(id));
        serializer.collect_seq(accounts.map(|account| &*account.username))
    }
}

/// Where records come from, and the names of what they name.
struct Names<'a> {
    export: &'a Export,
    accounts: &'a Accounts,
}

impl<'a> Names<'a> {
    fn object(&'a self, record: Record) -> Result<Document<'a>, String> {
        Ok(Document { names: self, record, links: Links::None })
    }

    /// An object of which the directory does not hold all; `None` when it was deleted since.
    fn stored(&'a self, key: &Key, links: Links<'a>) -> Option<Result<Document<'a>, String>> {
        match self.export.registry.store().get(key) {
            Ok(record) => record.map(|record| Ok(Document { names: self, record, links })),
            Err(error) => Some(Err(error.to_string())),
        }
    }

    fn is_exported(&self, provider: crate::model::ProviderNumber) -> bool {
        self.export.provider.is_none_or(|only| only == provider)
    }

    fn value(&self, value: FieldValue<'_>) -> Value {
        match value {
            FieldValue::Name(text) | FieldValue::Text(text) => text.into(),
            FieldValue::OwnText(text) => text.into(),
            FieldValue::Flag(flag) => flag.into(),
            FieldValue::Number(number) => number.into(),
            FieldValue::Uuid(uuid) => json!(uuid),
            FieldValue::Duration(time) => {
                time.map(|time| humantime::format_duration(time).to_string()).into()
            }
            FieldValue::End(time) => time.map(|time| time.to_string()).into(),
            FieldValue::Object(object) => object.map(|object| self.name(object)).into(),
            FieldValue::Objects(objects) => objects.into_iter().map(|object| self.name(object)).collect(),
            FieldValue::Grants(grants) => grants.iter().map(|grant| self.grant(grant)).collect(),
            FieldValue::Networks(networks) => networks.iter().map(ToString::to_string).collect(),
            FieldValue::Containers(containers) => {
                containers.iter().map(|container| json!(container)).collect()
            }
            FieldValue::Bindings(bindings) => bindings.iter().map(|binding| self.binding(binding)).collect(),
            FieldValue::Placements(placements) => {
                let shown = placements.iter().filter(|placement| self.is_exported(placement.provider));
                shown.map(|placement| self.placement(placement)).collect()
            }
            // Written by themselves.
            FieldValue::Attributes(_) | FieldValue::Password(_) | FieldValue::Generation(_) => Value::Null,
        }
    }

    fn grant(&self, grant: &Grant) -> Value {
        let on = grant.on.map(|on| format!("{}:{}", on.kind(), self.name(on)));
        json!({ "permission": grant.permission.codename(), "on": on })
    }

    fn placement(&self, placement: &Placement) -> Value {
        let Placement { provider, container, rdn } = placement;
        let provider = self.name(ObjectReference::Provider(*provider));
        json!({ "provider": provider, "container": container, "rdn": rdn })
    }

    /// By the keys of the config.
    fn binding(&self, binding: &Binding) -> Value {
        let mut shown = Map::new();
        let mut say = |key: &str, value: Value| shown.insert(key.to_owned(), value);
        say("uuid", json!(binding.uuid));
        match &binding.subject {
            BindingSubject::Account(number) => {
                say("account", self.name(ObjectReference::Account(*number)).into());
            }
            BindingSubject::Group(number) => {
                say("group", self.name(ObjectReference::Group(*number)).into());
            }
            BindingSubject::Networks(networks) => {
                say("networks", networks.iter().map(ToString::to_string).collect());
            }
            BindingSubject::Window(window) => {
                say("days", window.days().map(Weekday::as_str).collect());
                say("from", window.from().to_string().into());
                say("to", window.to().to_string().into());
                say("timezone", window.timezone().name().into());
            }
        }
        say("order", binding.order.into());
        say("negate", binding.negate.into());
        say("enabled", binding.enabled.into());
        Value::Object(shown)
    }

    /// Free attributes, without those that are secrets in a later version of the schema.
    fn attributes<'b>(&self, attributes: &'b [Attribute]) -> BTreeMap<&'b str, Vec<Octets>> {
        let schema: &Schema = self.export.snapshot.schema();
        let is_secret = |description: &str| {
            let base = description.split(';').next().unwrap_or_default();
            schema.find(base).is_some_and(|id| schema.is_secret(id))
        };
        let shown = attributes.iter().filter(|attribute| !is_secret(&attribute.description));
        shown
            .map(|Attribute { description, values }| {
                (description.as_str(), values.iter().cloned().map(Octets).collect())
            })
            .collect()
    }

    /// The name of an object; of one that is gone the number.
    fn name(&self, object: ObjectReference) -> String {
        self.accounts.name(object).unwrap_or_else(|| format!("({}, deleted)", object.number()))
    }
}

type Made = (Option<Timestamp>, Option<Timestamp>);

/// The classes of an imported entry, and when an object was made and changed.
fn circumstances(record: &Record) -> (Option<&[String]>, Made) {
    match record {
        Record::Account(account) => {
            (Some(&account.object_classes), (Some(account.created), Some(account.modified)))
        }
        Record::Group(group) => {
            let modified = group.modified.max(group.members_modified);
            (Some(&group.object_classes), (Some(group.created), Some(modified)))
        }
        Record::Token(token) => (None, (Some(token.created), None)),
        Record::Application(application) => (None, (Some(application.created), Some(application.modified))),
        Record::Provider(provider) => (None, (Some(provider.created), Some(provider.modified))),
        _ => (None, (None, None)),
    }
}
