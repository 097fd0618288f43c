//! From a change of a record to its event: what became different, without secrets.

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::model::{
    Account, Action, Field, FieldChange, FieldValue, Grant, Key, Record, TombstoneOf, UsageOf, fields,
    value_in_words,
};

/// The object that an event is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventObject {
    /// Its kind (`account`, `token`, …).
    pub kind: String,
    /// Its name, for people.
    pub name: String,
    /// Its number.
    pub key: Option<u32>,
    pub uuid: Option<Uuid>,
}

/// What an event can be about, as its `object_kind` says it.
pub const OBJECT_KINDS: [&str; 10] =
    ["account", "api", "application", "attribute", "backup", "custom", "group", "provider", "role", "token"];

impl EventObject {
    /// What a record is about.
    pub fn of(record: &Record) -> Self {
        let (kind, name) = object_name(record);
        let (key, uuid) = match record {
            Record::Account(account) => (Some(account.number.get()), Some(account.uuid)),
            Record::Group(group) => (Some(group.number.get()), Some(group.uuid)),
            Record::Role(role) => (Some(role.number.get()), Some(role.uuid)),
            Record::Token(token) => (Some(token.number.get()), Some(token.uuid)),
            Record::Application(application) => (Some(application.number.get()), Some(application.uuid)),
            Record::Provider(provider) => (Some(provider.number.get()), Some(provider.uuid)),
            Record::CustomAttribute(attribute) => (Some(attribute.number.get()), None),
            Record::Event(event) => (None, Some(event.uuid)),
            Record::Membership(_) | Record::Tombstone(_) | Record::Usage(_) => (None, None),
        };
        Self { kind: kind.to_owned(), name, key, uuid }
    }
}

/// The action and the fields that became different, when a record changes from `before` to `after`;
/// `None` when there is nothing to tell.
pub fn describe(before: Option<&Record>, after: Option<&Record>) -> Option<(Action, Vec<FieldChange>)> {
    let action = match (before, after) {
        (None, Some(_)) => Action::ModelCreated,
        (Some(before), Some(after)) => describe_secret(before, after).unwrap_or(Action::ModelUpdated),
        (Some(_), None) => Action::ModelDeleted,
        (None, None) => return None,
    };
    let old = before.map(fields).unwrap_or_default();
    let new = after.map(fields).unwrap_or_default();
    let gone = old.iter().filter(|_| new.is_empty());
    let mut changes: Vec<FieldChange> = Vec::new();
    for field in new.iter().chain(gone) {
        let value = |fields: &[Field<'_>]| {
            let found = fields.iter().find(|other| other.name == field.name)?;
            Some(in_words(found.value.clone())).filter(|text| !text.is_empty())
        };
        let is_set = matches!(field.value, FieldValue::Objects(_) | FieldValue::Grants(_));
        let (before, after) = match is_set {
            true => difference(value(&old), value(&new)),
            false => (value(&old), value(&new)),
        };
        if before != after {
            changes.push(FieldChange {
                field: field.name.to_owned(),
                before: before.map(shortened),
                after: after.map(shortened),
            });
        }
    }
    if changes.is_empty() && action == Action::ModelUpdated {
        return None;
    }
    Some((action, changes))
}

/// Of two lists whose order says nothing what stands in one of them alone: a list may be long, and little of it changes at a
/// time.
fn difference(before: Option<String>, after: Option<String>) -> (Option<String>, Option<String>) {
    let items = |text: &Option<String>| -> BTreeSet<String> {
        text.iter().flat_map(|text| text.split(SEPARATOR)).map(str::to_owned).collect()
    };
    let (old, new) = (items(&before), items(&after));
    let told = |items: Vec<&String>| match items.is_empty() {
        true => None,
        false => Some(items.into_iter().cloned().collect::<Vec<_>>().join(SEPARATOR)),
    };
    (told(old.difference(&new).collect()), told(new.difference(&old).collect()))
}

/// The kind and the name of what a record is about, for people.
pub fn object_name(record: &Record) -> (&'static str, String) {
    match record {
        Record::Account(account) => ("account", account.username.clone()),
        Record::Group(group) => ("group", group.name.clone()),
        Record::Membership(membership) => {
            ("membership", format!("{}/{}", membership.group, membership.account))
        }
        Record::Role(role) => ("role", role.name.clone()),
        Record::Token(token) => ("token", token.identifier.clone()),
        Record::Application(application) => ("application", application.slug.clone()),
        Record::Provider(provider) => ("provider", provider.name.clone()),
        Record::CustomAttribute(attribute) => ("attribute", attribute.name.clone()),
        Record::Tombstone(tombstone) => match &tombstone.of {
            TombstoneOf::Account(name) => ("tombstone", format!("account {name}")),
            TombstoneOf::Token(identifier) => ("tombstone", format!("token {identifier}")),
            TombstoneOf::Group(name) => ("tombstone", format!("group {name}")),
            TombstoneOf::Role(name) => ("tombstone", format!("role {name}")),
        },
        Record::Usage(usage) => match usage.of {
            UsageOf::Token(number) => ("usage", format!("token {number}")),
            UsageOf::Account(number) => ("usage", format!("account {number}")),
        },
        Record::Event(event) => ("event", event.sequence.to_string()),
    }
}

/// What a change of an account or of a token is called that changes its secret: a person got a password or another, a token
/// another secret. The same secret in another hash is no other.
fn describe_secret(before: &Record, after: &Record) -> Option<Action> {
    match (before, after) {
        (Record::Account(before), Record::Account(after)) => {
            let generation =
                |account: &Account| account.password.as_ref().map(|password| password.generation);
            let is_set = generation(after).is_some() && generation(before) != generation(after);
            is_set.then_some(Action::PasswordSet)
        }
        (Record::Token(before), Record::Token(after)) => {
            (before.generation != after.generation).then_some(Action::SecretRotate)
        }
        _ => None,
    }
}

/// Whether changes of records under this key have events of their own.
pub(crate) fn is_told(key: &Key) -> bool {
    !matches!(key, Key::Event(_) | Key::Tombstone(_) | Key::Usage(_))
}

/// A field in words, with numbers where other objects are: their names change, and what was said of them does not.
fn in_words(value: FieldValue<'_>) -> String {
    match value {
        FieldValue::Name(text) => text.to_owned(),
        FieldValue::End(time) => time.map(|time| time.to_string()).unwrap_or_default(),
        FieldValue::Object(object) => object.map(|object| object.number().to_string()).unwrap_or_default(),
        FieldValue::Objects(objects) => list(&objects, |object| object.number().to_string()),
        FieldValue::Grants(grants) => list(grants, Grant::to_string),
        FieldValue::Attributes(attributes) => list(attributes, |attribute| {
            let values: Vec<_> = attribute.values.iter().map(|value| value_in_words(value)).collect();
            format!("{}={}", attribute.description, values.join("|"))
        }),
        FieldValue::Bindings(bindings) => list(bindings, |binding| {
            binding.in_words(|number| number.to_string(), |number| number.to_string())
        }),
        FieldValue::Placements(placements) => list(placements, |placement| {
            format!("{} in {} of provider {}", placement.rdn, placement.container, placement.provider)
        }),
        FieldValue::Password(password) => {
            password.map(|password| format!("set, number {}", password.generation)).unwrap_or_default()
        }
        FieldValue::Generation(generation) => format!("number {generation}"),
        FieldValue::Text(_)
        | FieldValue::OwnText(_)
        | FieldValue::Flag(_)
        | FieldValue::Number(_)
        | FieldValue::Uuid(_)
        | FieldValue::Duration(_)
        | FieldValue::Networks(_)
        | FieldValue::Containers(_) => value.in_words().unwrap_or_default(),
    }
}

fn list<T>(items: &[T], in_words: impl FnMut(&T) -> String) -> String {
    items.iter().map(in_words).collect::<Vec<_>>().join(SEPARATOR)
}

/// A field as it is told. What is kept in a record may not fit into an event as well, and no object may be
/// too large to be deleted.
fn shortened(mut text: String) -> String {
    if text.len() > FIELD_OCTETS_MAX {
        let octets = text.len();
        let end = (0..=FIELD_OCTETS_MAX).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or_default());
        text.push_str(&format!("… ({octets} octets)"));
    }
    text
}

const SEPARATOR: &str = ", ";
/// What an event tells of a field, in octets.
/// No limit of the config: a part of the stored event.
const FIELD_OCTETS_MAX: usize = 16 * 1024;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::{
        AccountNumber, Application, ApplicationText, Binding, BindingSubject, GroupNumber, ObjectReference,
        Permission, TimeOfDay, TimeWindow, TimeZone, Weekday,
    };
    use crate::plain::{self, binding};

    #[test]
    fn of_permissions_what_came_and_went_is_told() {
        let before = plain::account(1, "a");
        let grant = |permission, on| Grant { permission, on };
        let group = Some(ObjectReference::Group(GroupNumber::new(5)));
        let kept = grant(Permission::ViewUser, None);
        let before = Account { grants: vec![kept, grant(Permission::ViewRole, None)], ..before };
        let after =
            Account { grants: vec![grant(Permission::AddUserToGroup, group), kept], ..before.clone() };
        let same = Account { grants: before.grants.iter().rev().copied().collect(), ..before.clone() };
        let [before, after, same] = [before, after, same].map(Record::Account);
        let (_, changes) = describe(Some(&before), Some(&after)).unwrap();
        let change = changes.first().unwrap();
        assert_eq!((changes.len(), change.field.as_str()), (1, "permissions"));
        assert_eq!(change.before.as_deref(), Some("authentik_rbac.view_role"));
        assert_eq!(change.after.as_deref(), Some("authentik_core.add_user_to_group on group 5"));
        assert_eq!(describe(Some(&before), Some(&same)), None);
    }

    #[test]
    fn bindings_are_told_in_words() {
        let before = plain::application(1, "vault");
        let night = TimeWindow::new(
            [Weekday::Fri, Weekday::Sat],
            "22:00".parse().unwrap(),
            TimeOfDay::END,
            TimeZone::utc(),
        );
        let bindings = vec![
            binding(BindingSubject::Account(AccountNumber::new(17))),
            Binding {
                order: 300,
                negate: true,
                enabled: false,
                ..binding(BindingSubject::Group(GroupNumber::new(20)))
            },
            binding(BindingSubject::Networks(vec![
                "10.0.0.0/8".parse().unwrap(),
                "2001:db8::/32".parse().unwrap(),
            ])),
            binding(BindingSubject::Window(night.unwrap())),
        ];
        let texts = [(ApplicationText::Publisher, "Example")].into_iter().collect();
        let after = Application { bindings, texts, ..before.clone() };
        let (before, after) = (Record::Application(before), Record::Application(after));
        let (_, changes) = describe(Some(&before), Some(&after)).unwrap();
        let told: Vec<(&str, Option<&str>)> =
            changes.iter().map(|change| (change.field.as_str(), change.after.as_deref())).collect();
        assert_eq!(
            told,
            [
                (
                    "bindings",
                    Some(
                        "account 17, not group 20, order 300, disabled, networks 10.0.0.0/8 2001:db8::/32, time \
                         Fri, Sat 22:00-24:00 UTC"
                    )
                ),
                ("publisher", Some("Example")),
            ]
        );
    }
}
