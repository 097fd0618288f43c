//! From records before and after to what an operator reads: fields with names in them, never secrets.

use std::sync::Arc;

use super::{DiffEntry, Sign};
use crate::config::ReferenceKind;
use crate::directory::{Accounts, Snapshot};
use crate::model::{
    Account, AccountNumber, Application, Attribute, Binding, Container, CustomAttribute, FieldChange, Grant,
    Group, GroupNumber, LdapProvider, ObjectReference, Record, Role, RoleNumber, Token,
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
    let old = before.map(|record| fields(record, lookup)).unwrap_or_default();
    let new = after.map(|record| fields(record, lookup)).unwrap_or_default();
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
    Some(DiffEntry { sign, kind, name, fields: changes, reason: None })
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
    DiffEntry { sign: Sign::Changed, kind, name: name.to_owned(), fields: Vec::new(), reason: None }
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
    /// The name of a group.
    pub(super) fn group(&self, number: GroupNumber) -> String {
        let group = self.after.group(number).or_else(|| self.before.group(number));
        group.map_or_else(|| GONE.to_owned(), |group| group.name.to_string())
    }

    fn account(&self, number: AccountNumber) -> String {
        let account = self.after.account(number).or_else(|| self.before.account(number));
        account.map_or_else(|| GONE.to_owned(), |account| account.username.to_string())
    }

    fn role(&self, number: RoleNumber) -> String {
        let role = self.after.role(number).or_else(|| self.before.role(number));
        role.map_or_else(|| GONE.to_owned(), |role| role.name.clone())
    }

    fn object(&self, object: ObjectReference) -> String {
        let (kind, name) = match object {
            ObjectReference::Provider(number) => {
                let provider = self.after.provider(number).or_else(|| self.before.provider(number));
                (ReferenceKind::Provider, provider.map(|provider| provider.name.clone()))
            }
            ObjectReference::Account(number) => (ReferenceKind::Account, Some(self.account(number))),
            ObjectReference::Group(number) => (ReferenceKind::Group, Some(self.group(number))),
            ObjectReference::Role(number) => (ReferenceKind::Role, Some(self.role(number))),
            ObjectReference::Token(number) => {
                let token = self.after.token(number).or_else(|| self.before.token(number));
                (ReferenceKind::Token, token.map(|token| token.identifier.clone()))
            }
            ObjectReference::Application(number) => {
                let found = self.after.application(number).or_else(|| self.before.application(number));
                (ReferenceKind::Application, found.map(|application| application.slug.clone()))
            }
        };
        format!("{kind}:{}", name.unwrap_or_else(|| GONE.to_owned()))
    }

    fn grants(&self, grants: &[Grant]) -> String {
        list(grants, |grant| match grant.on {
            None => grant.permission.codename().to_owned(),
            Some(on) => format!("{} on {}", grant.permission.codename(), self.object(on)),
        })
    }

    fn roles(&self, roles: &[RoleNumber]) -> String {
        list(roles, |role| self.role(*role))
    }

    fn binding(&self, binding: &Binding) -> String {
        binding.in_words(|number| self.account(number), |number| self.group(number))
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

fn fields(record: &Record, lookup: &Lookup<'_>) -> Fields {
    match record {
        Record::Provider(provider) => provider_fields(provider),
        Record::CustomAttribute(attribute) => custom_attribute_fields(attribute),
        Record::Role(role) => role_fields(role, lookup),
        Record::Group(group) => group_fields(group, lookup),
        Record::Account(account) => account_fields(account, lookup),
        Record::Token(token) => token_fields(token, lookup),
        Record::Application(application) => application_fields(application, lookup),
        Record::Membership(_) | Record::Tombstone(_) | Record::Usage(_) | Record::Event(_) => Vec::new(),
    }
}

fn custom_attribute_fields(attribute: &CustomAttribute) -> Fields {
    vec![
        // Only its case can change.
        field("name", attribute.name.clone()),
        field("oid", attribute.oid.clone().unwrap_or_default()),
        field("syntax", attribute.syntax.to_string()),
        field("single_valued", attribute.single_valued.to_string()),
        field("description", attribute.description.clone()),
    ]
}

fn provider_fields(provider: &LdapProvider) -> Fields {
    let containers = |containers: &[Container]| {
        list(containers, |container| format!("{} by {}", container.container, container.naming))
    };
    vec![
        field("base_dn", provider.base_dn.clone()),
        field("default", provider.is_default.to_string()),
        field("domain", provider.domain_in_words().to_owned()),
        field("uid_start_number", provider.uid_start_number.to_string()),
        field("gid_start_number", provider.gid_start_number.to_string()),
        field("virtual_groups", provider.virtual_groups.to_string()),
        field("compatibility_attributes", provider.compatibility_attributes.to_string()),
        field("users", containers(&provider.users)),
        field("service_accounts", containers(&provider.service_accounts)),
        field("groups", containers(&provider.groups)),
    ]
}

fn role_fields(role: &Role, lookup: &Lookup<'_>) -> Fields {
    let size = role.search_size_max.map(|size| size.to_string());
    let time = role.search_time_max.map(|time| humantime::format_duration(time).to_string());
    vec![
        field("permissions", lookup.grants(&role.grants)),
        field("search_size_max", size.unwrap_or_default()),
        field("search_time_max", time.unwrap_or_default()),
    ]
}

fn group_fields(group: &Group, lookup: &Lookup<'_>) -> Fields {
    let mut fields = vec![
        field("parents", list(&group.parents, |parent| lookup.group(*parent))),
        field("roles", lookup.roles(&group.roles)),
        field("permissions", lookup.grants(&group.grants)),
        field("is_superuser", group.is_superuser.to_string()),
    ];
    fields.extend(attribute_fields(&group.attributes));
    fields
}

fn account_fields(account: &Account, lookup: &Lookup<'_>) -> Fields {
    let mut fields = vec![
        field("type", account.kind.to_string()),
        field("name", account.name.clone()),
        field("email", account.email.clone()),
        field("is_active", account.is_active.to_string()),
        field("password", if account.password.is_some() { "set".to_owned() } else { String::new() }),
        field("roles", lookup.roles(&account.roles)),
        field("permissions", lookup.grants(&account.grants)),
    ];
    fields.extend(attribute_fields(&account.attributes));
    fields
}

fn token_fields(token: &Token, lookup: &Lookup<'_>) -> Fields {
    vec![
        field("account", lookup.account(token.account)),
        field("intent", token.intent.to_string()),
        field("expires", token.expires.map_or_else(|| "never".to_owned(), |expires| expires.to_string())),
        field("description", token.description.clone()),
        field("networks", list(&token.networks, ToString::to_string)),
        field("retrievable", token.is_retrievable().to_string()),
    ]
}

fn application_fields(application: &Application, lookup: &Lookup<'_>) -> Fields {
    let provider = application.provider.map(|number| lookup.object(ObjectReference::Provider(number)));
    vec![
        field("name", application.name.clone()),
        field("provider", provider.unwrap_or_default()),
        field("mode", application.mode.to_string()),
        field("bindings", list(&application.bindings, |binding| lookup.binding(binding))),
        field("group", application.group.clone()),
        field("launch_url", application.launch_url.clone()),
        field("description", application.description.clone()),
        field("publisher", application.publisher.clone()),
        field("open_in_new_tab", application.open_in_new_tab.to_string()),
        field("hide", application.hide.to_string()),
    ]
}

fn attribute_fields(attributes: &[Attribute]) -> impl Iterator<Item = (String, String)> + '_ {
    attributes.iter().map(|attribute| {
        let values = list(&attribute.values, |value| match std::str::from_utf8(value) {
            Ok(text) if text.len() <= VALUE_MAX => text.to_owned(),
            _ => format!("({} octets)", value.len()),
        });
        field(&format!("attributes.{}", attribute.description), values)
    })
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

fn field(name: &str, value: String) -> (String, String) {
    (name.to_owned(), value)
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
const NAMES_MAX: usize = 100;
/// Longer values are only counted.
const VALUE_MAX: usize = 256;
