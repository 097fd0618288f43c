//! The fields of an object as they are told: to the audit trail, in the diff of a config and in the JSON export, which each
//! write the values in their own way. A field stands here once, under its name in the config.

use std::time::Duration;

use ipnet::IpNet;
use uuid::Uuid;

use super::{
    Account, Application, ApplicationText, Attribute, Binding, Container, CustomAttribute, Grant, Group,
    LdapProvider, ObjectReference, Password, Placement, Record, Role, Timestamp, Token,
};

/// A field of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    pub name: &'static str,
    pub value: FieldValue<'a>,
}

/// What a field holds. Names of other objects are for who tells it to look up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldValue<'a> {
    /// What the object is called; whoever tells of it has said that already.
    Name(&'a str),
    /// Empty: nothing is said.
    Text(&'a str),
    /// `None`: what follows from something else; empty: none.
    OwnText(Option<&'a str>),
    Flag(bool),
    /// `None`: none.
    Number(Option<u32>),
    /// `None`: none.
    Uuid(Option<Uuid>),
    /// `None`: as long as the server says.
    Duration(Option<Duration>),
    /// When it ends; `None`: never.
    End(Option<Timestamp>),
    /// `None`: none.
    Object(Option<ObjectReference>),
    /// Their order says nothing.
    Objects(Vec<ObjectReference>),
    /// Their order says nothing.
    Grants(&'a [Grant]),
    Attributes(&'a [Attribute]),
    Networks(&'a [IpNet]),
    Containers(&'a [Container]),
    Bindings(&'a [Binding]),
    /// Where it stands; of no interest to a config, which says nothing of it.
    Placements(&'a [Placement]),
    /// Only that there is one, and whether it is another.
    Password(Option<&'a Password>),
    /// How many secrets a token has had; for the trail.
    Generation(u32),
}

impl FieldValue<'_> {
    /// The value in words, of what is told alike wherever it is told; `None`: who tells of it knows how.
    pub fn in_words(&self) -> Option<String> {
        Some(match self {
            Self::Text(text) => (*text).to_owned(),
            Self::OwnText(None) => String::new(),
            Self::OwnText(Some("")) => "none".to_owned(),
            Self::OwnText(Some(text)) => (*text).to_owned(),
            Self::Flag(flag) => flag.to_string(),
            Self::Number(number) => number.map(|number| number.to_string()).unwrap_or_default(),
            Self::Uuid(uuid) => uuid.map(|uuid| uuid.to_string()).unwrap_or_default(),
            Self::Duration(time) => {
                time.map(|time| humantime::format_duration(time).to_string()).unwrap_or_default()
            }
            Self::Networks(networks) => in_a_row(networks),
            Self::Containers(containers) => in_a_row(containers),
            Self::Name(_)
            | Self::End(_)
            | Self::Object(_)
            | Self::Objects(_)
            | Self::Grants(_)
            | Self::Attributes(_)
            | Self::Bindings(_)
            | Self::Placements(_)
            | Self::Password(_)
            | Self::Generation(_) => return None,
        })
    }
}

/// A value of an attribute as text; a photo does not belong into the trail or into a diff.
pub fn value_in_words(value: &[u8]) -> String {
    match std::str::from_utf8(value) {
        Ok(text) if text.len() <= VALUE_OCTETS_MAX => text.to_owned(),
        _ => format!("({} octets)", value.len()),
    }
}

fn in_a_row<T: ToString>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

/// The fields of an object, in the order in which they are told; none of what is no object.
pub fn fields(record: &Record) -> Vec<Field<'_>> {
    match record {
        Record::Account(account) => account_fields(account),
        Record::Group(group) => group_fields(group),
        Record::Role(role) => role_fields(role),
        Record::Token(token) => token_fields(token),
        Record::Application(application) => application_fields(application),
        Record::Provider(provider) => provider_fields(provider),
        Record::CustomAttribute(attribute) => custom_attribute_fields(attribute),
        Record::Membership(_) | Record::Tombstone(_) | Record::Usage(_) | Record::Event(_) => Vec::new(),
    }
}

fn account_fields(account: &Account) -> Vec<Field<'_>> {
    vec![
        field("username", FieldValue::Name(&account.username)),
        field("type", FieldValue::Text(account.kind.as_str())),
        field("name", FieldValue::Text(&account.name)),
        field("email", FieldValue::Text(&account.email)),
        field("is_active", FieldValue::Flag(account.is_active)),
        field("path", FieldValue::Text(&account.path)),
        field("attributes", FieldValue::Attributes(&account.attributes)),
        field("password", FieldValue::Password(account.password.as_ref())),
        field("roles", objects(&account.roles, ObjectReference::Role)),
        field("permissions", FieldValue::Grants(&account.grants)),
        field("placements", FieldValue::Placements(&account.placements)),
    ]
}

fn group_fields(group: &Group) -> Vec<Field<'_>> {
    vec![
        field("name", FieldValue::Name(&group.name)),
        field("is_superuser", FieldValue::Flag(group.is_superuser)),
        field("parents", objects(&group.parents, ObjectReference::Group)),
        field("roles", objects(&group.roles, ObjectReference::Role)),
        field("permissions", FieldValue::Grants(&group.grants)),
        field("attributes", FieldValue::Attributes(&group.attributes)),
        field("placements", FieldValue::Placements(&group.placements)),
    ]
}

fn role_fields(role: &Role) -> Vec<Field<'_>> {
    vec![
        field("name", FieldValue::Name(&role.name)),
        field("permissions", FieldValue::Grants(&role.grants)),
        field("search_size_max", FieldValue::Number(role.search_size_max)),
        field("search_time_max", FieldValue::Duration(role.search_time_max)),
    ]
}

fn token_fields(token: &Token) -> Vec<Field<'_>> {
    vec![
        field("identifier", FieldValue::Name(&token.identifier)),
        field("account", FieldValue::Object(Some(ObjectReference::Account(token.account)))),
        field("intent", FieldValue::Text(token.intent.as_str())),
        field("secret", FieldValue::Generation(token.generation)),
        field("retrievable", FieldValue::Flag(token.is_retrievable())),
        field("expires", FieldValue::End(token.expires)),
        field("description", FieldValue::Text(&token.description)),
        field("networks", FieldValue::Networks(&token.networks)),
    ]
}

fn application_fields(application: &Application) -> Vec<Field<'_>> {
    let texts = ApplicationText::ALL.into_iter();
    let texts = texts.map(|text| field(text.row().key, FieldValue::Text(application.texts.get(text))));
    let mut fields = vec![
        field("slug", FieldValue::Name(&application.slug)),
        field("name", FieldValue::Text(&application.name)),
        field("provider", FieldValue::Object(application.provider.map(ObjectReference::Provider))),
        field("mode", FieldValue::Text(application.mode.as_str())),
        field("bindings", FieldValue::Bindings(&application.bindings)),
    ];
    fields.extend(texts);
    fields.push(field("open_in_new_tab", FieldValue::Flag(application.open_in_new_tab)));
    fields.push(field("hide", FieldValue::Flag(application.hide)));
    fields
}

fn provider_fields(provider: &LdapProvider) -> Vec<Field<'_>> {
    let as_given = &provider.as_given;
    vec![
        field("name", FieldValue::Name(&provider.name)),
        field("base_dn", FieldValue::Text(&provider.base_dn)),
        field("default", FieldValue::Flag(provider.is_default)),
        field("domain", FieldValue::OwnText(provider.domain.as_deref())),
        field("uid_start_number", FieldValue::Number(Some(provider.uid_start_number))),
        field("gid_start_number", FieldValue::Number(Some(provider.gid_start_number))),
        field("virtual_groups", FieldValue::Flag(provider.virtual_groups)),
        field("compatibility_attributes", FieldValue::Flag(provider.compatibility_attributes)),
        field("users", FieldValue::Containers(&provider.users)),
        field("service_accounts", FieldValue::Containers(&provider.service_accounts)),
        field("groups", FieldValue::Containers(&provider.groups)),
        field("authentication_flow", FieldValue::Uuid(as_given.authentication_flow)),
        field("authorization_flow", FieldValue::Uuid(Some(as_given.authorization_flow))),
        field("invalidation_flow", FieldValue::Uuid(Some(as_given.invalidation_flow))),
        field("search_mode", FieldValue::Text(as_given.search_mode.as_str())),
        field("bind_mode", FieldValue::Text(as_given.bind_mode.as_str())),
        field("mfa_support", FieldValue::Flag(as_given.mfa_support)),
    ]
}

fn custom_attribute_fields(attribute: &CustomAttribute) -> Vec<Field<'_>> {
    vec![
        // Its case can change, and that is all that the name of it tells.
        field("name", FieldValue::Text(&attribute.name)),
        field("oid", FieldValue::OwnText(attribute.oid.as_deref())),
        field("syntax", FieldValue::Text(attribute.syntax.as_str())),
        field("single_valued", FieldValue::Flag(attribute.single_valued)),
        field("description", FieldValue::Text(&attribute.description)),
    ]
}

fn field<'a>(name: &'static str, value: FieldValue<'a>) -> Field<'a> {
    Field { name, value }
}

fn objects<T: Copy>(numbers: &[T], reference: fn(T) -> ObjectReference) -> FieldValue<'_> {
    FieldValue::Objects(numbers.iter().copied().map(reference).collect())
}

/// Longer values are only counted.
/// No limit of the config: it is about the words of an event and of a plan.
const VALUE_OCTETS_MAX: usize = 256;
