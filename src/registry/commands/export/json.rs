//! The account model as one JSON document, with names in place of numbers where one object names another.
//!
//! Lists are written as they are read: neither all accounts nor all members of a group are in memory at a time.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::ser::{Error as _, SerializeMap};
use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::Export;
use crate::directory::{Accounts, GroupState, Snapshot};
use crate::model::{
    Account, AccountKind, Application, Attribute, Binding, BindingSubject, Container, Grant, Group,
    GroupNumber, Key, LdapProvider, ObjectReference, Placement, Record, RoleNumber, Timestamp, Token,
    Weekday,
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
    document.serialize_entry("attributes", &Each(|| snapshot.custom_attributes().map(|one| Ok(&**one))))?;
    let providers = || accounts.providers().filter(|provider| names.is_exported(provider.number));
    document.serialize_entry("providers", &Each(|| providers().map(|one| Ok(provider(one)))))?;
    let roles = || {
        accounts.roles().map(|role| {
            Ok(RoleDocument {
                number: role.number.get(),
                uuid: role.uuid,
                name: &role.name,
                permissions: names.grants(&role.grants),
            })
        })
    };
    document.serialize_entry("roles", &Each(roles))?;
    let groups = || {
        accounts.groups().filter_map(|state| match names.record(&Key::Group(state.number)) {
            Ok(Some(Record::Group(record))) => Some(Ok(names.group(record, state))),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        })
    };
    document.serialize_entry("groups", &Each(groups))?;
    let people = || {
        // bindery's own parts are made by every bindery itself.
        let exported = accounts.accounts().filter(|state| state.kind != AccountKind::InternalServiceAccount);
        exported.filter_map(|state| match names.record(&Key::Account(state.number)) {
            Ok(Some(Record::Account(record))) => Some(Ok(names.account(record, &state.groups))),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        })
    };
    document.serialize_entry("accounts", &Each(people))?;
    document.serialize_entry("tokens", &Each(|| accounts.tokens().map(|one| Ok(names.token(one)))))?;
    let applications = || accounts.applications().map(|one| Ok(names.application(one)));
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

#[derive(Serialize)]
struct ProviderDocument<'a> {
    number: u32,
    uuid: Uuid,
    name: &'a str,
    base_dn: &'a str,
    default: bool,
    domain: Option<&'a str>,
    uid_start_number: u32,
    gid_start_number: u32,
    virtual_groups: bool,
    compatibility_attributes: bool,
    users: &'a [Container],
    service_accounts: &'a [Container],
    groups: &'a [Container],
    created: String,
    modified: String,
}

#[derive(Serialize)]
struct RoleDocument<'a> {
    number: u32,
    uuid: Uuid,
    name: &'a str,
    permissions: Vec<GrantDocument>,
}

#[derive(Serialize)]
struct GrantDocument {
    permission: &'static str,
    on: Option<String>,
}

#[derive(Serialize)]
struct PlacementDocument {
    provider: String,
    container: String,
    rdn: String,
}

#[derive(Serialize)]
struct GroupDocument<'a> {
    number: u32,
    uuid: Uuid,
    name: String,
    is_superuser: bool,
    members: Members<'a>,
    parents: Vec<String>,
    roles: Vec<String>,
    permissions: Vec<GrantDocument>,
    attributes: BTreeMap<String, Vec<Octets>>,
    object_classes: Vec<String>,
    placements: Vec<PlacementDocument>,
    created: String,
    modified: String,
}

#[derive(Serialize)]
struct AccountDocument {
    number: u32,
    uuid: Uuid,
    username: String,
    r#type: &'static str,
    name: String,
    email: String,
    is_active: bool,
    has_password: bool,
    groups: Vec<String>,
    roles: Vec<String>,
    permissions: Vec<GrantDocument>,
    attributes: BTreeMap<String, Vec<Octets>>,
    object_classes: Vec<String>,
    placements: Vec<PlacementDocument>,
    created: String,
    modified: String,
}

#[derive(Serialize)]
struct TokenDocument<'a> {
    number: u32,
    uuid: Uuid,
    identifier: &'a str,
    account: String,
    intent: &'static str,
    retrievable: bool,
    expires: Option<String>,
    description: &'a str,
    networks: Vec<String>,
    created: String,
}

#[derive(Serialize)]
struct ApplicationDocument<'a> {
    number: u32,
    uuid: Uuid,
    slug: &'a str,
    name: &'a str,
    provider: Option<String>,
    mode: &'static str,
    bindings: Vec<BindingDocument<'a>>,
    group: &'a str,
    launch_url: &'a str,
    description: &'a str,
    publisher: &'a str,
    open_in_new_tab: bool,
    hide: bool,
    created: String,
    modified: String,
}

#[derive(Serialize)]
struct BindingDocument<'a> {
    uuid: Uuid,
    #[serde(flatten)]
    subject: SubjectDocument<'a>,
    order: i32,
    negate: bool,
    enabled: bool,
}

/// By the keys of the config.
#[derive(Serialize)]
#[serde(untagged)]
enum SubjectDocument<'a> {
    Account { account: String },
    Group { group: String },
    Networks { networks: Vec<String> },
    Window { days: Vec<&'static str>, from: String, to: String, timezone: &'a str },
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
    /// The whole record; `None` when it was deleted since.
    fn record(&self, key: &Key) -> Result<Option<Record>, String> {
        self.export.registry.store().get(key).map_err(|error| error.to_string())
    }

    fn is_exported(&self, provider: crate::model::ProviderNumber) -> bool {
        self.export.provider.is_none_or(|only| only == provider)
    }

    fn group(&self, group: Group, state: &'a GroupState) -> GroupDocument<'a> {
        GroupDocument {
            number: group.number.get(),
            uuid: group.uuid,
            name: group.name,
            is_superuser: group.is_superuser,
            members: Members { accounts: self.accounts, group: state },
            parents: group.parents.iter().filter_map(|parent| self.group_name(*parent)).collect(),
            roles: self.roles(&group.roles),
            permissions: self.grants(&group.grants),
            attributes: self.attributes(group.attributes),
            object_classes: group.object_classes,
            placements: self.placements(group.placements),
            created: time(group.created),
            modified: time(group.modified.max(group.members_modified)),
        }
    }

    fn account(&self, account: Account, groups: &[GroupNumber]) -> AccountDocument {
        AccountDocument {
            number: account.number.get(),
            uuid: account.uuid,
            username: account.username,
            r#type: account.kind.as_str(),
            name: account.name,
            email: account.email,
            is_active: account.is_active,
            has_password: account.password.is_some(),
            groups: groups.iter().filter_map(|group| self.group_name(*group)).collect(),
            roles: self.roles(&account.roles),
            permissions: self.grants(&account.grants),
            attributes: self.attributes(account.attributes),
            object_classes: account.object_classes,
            placements: self.placements(account.placements),
            created: time(account.created),
            modified: time(account.modified),
        }
    }

    fn token(&self, token: &'a Token) -> TokenDocument<'a> {
        TokenDocument {
            number: token.number.get(),
            uuid: token.uuid,
            identifier: &token.identifier,
            account: self
                .accounts
                .account(token.account)
                .map(|account| account.username.to_string())
                .unwrap_or_default(),
            intent: token.intent.as_str(),
            retrievable: token.is_retrievable(),
            expires: token.expires.map(time),
            description: &token.description,
            networks: token.networks.iter().map(ToString::to_string).collect(),
            created: time(token.created),
        }
    }

    fn application(&self, application: &'a Application) -> ApplicationDocument<'a> {
        let binding = |binding: &'a Binding| BindingDocument {
            uuid: binding.uuid,
            subject: self.subject(&binding.subject),
            order: binding.order,
            negate: binding.negate,
            enabled: binding.enabled,
        };
        ApplicationDocument {
            number: application.number.get(),
            uuid: application.uuid,
            slug: &application.slug,
            name: &application.name,
            provider: application.provider.map(|number| self.object(ObjectReference::Provider(number)).1),
            mode: application.mode.as_str(),
            bindings: application.bindings.iter().map(binding).collect(),
            group: &application.group,
            launch_url: &application.launch_url,
            description: &application.description,
            publisher: &application.publisher,
            open_in_new_tab: application.open_in_new_tab,
            hide: application.hide,
            created: time(application.created),
            modified: time(application.modified),
        }
    }

    fn subject(&self, subject: &'a BindingSubject) -> SubjectDocument<'a> {
        match subject {
            BindingSubject::Account(number) => {
                SubjectDocument::Account { account: self.object(ObjectReference::Account(*number)).1 }
            }
            BindingSubject::Group(number) => {
                SubjectDocument::Group { group: self.object(ObjectReference::Group(*number)).1 }
            }
            BindingSubject::Networks(networks) => {
                SubjectDocument::Networks { networks: networks.iter().map(ToString::to_string).collect() }
            }
            BindingSubject::Window(window) => SubjectDocument::Window {
                days: window.days().map(Weekday::as_str).collect(),
                from: window.from().to_string(),
                to: window.to().to_string(),
                timezone: window.timezone().name(),
            },
        }
    }

    /// Free attributes, without those that are secrets in a later version of the schema.
    fn attributes(&self, attributes: Vec<Attribute>) -> BTreeMap<String, Vec<Octets>> {
        let schema: &Schema = self.export.snapshot.schema();
        let is_secret = |description: &str| {
            let base = description.split(';').next().unwrap_or_default();
            schema.find(base).is_some_and(|id| schema.is_secret(id))
        };
        let shown = attributes.into_iter().filter(|attribute| !is_secret(&attribute.description));
        shown
            .map(|Attribute { description, values }| (description, values.into_iter().map(Octets).collect()))
            .collect()
    }

    fn placements(&self, placements: Vec<Placement>) -> Vec<PlacementDocument> {
        let shown = placements.into_iter().filter(|placement| self.is_exported(placement.provider));
        shown
            .map(|placement| PlacementDocument {
                provider: self.object(ObjectReference::Provider(placement.provider)).1,
                container: placement.container,
                rdn: placement.rdn,
            })
            .collect()
    }

    fn roles(&self, roles: &[RoleNumber]) -> Vec<String> {
        roles.iter().map(|role| self.object(ObjectReference::Role(*role)).1).collect()
    }

    fn grants(&self, grants: &[Grant]) -> Vec<GrantDocument> {
        let on = |object: ObjectReference| {
            let (kind, name) = self.object(object);
            format!("{kind}:{name}")
        };
        grants
            .iter()
            .map(|grant| GrantDocument { permission: grant.permission.codename(), on: grant.on.map(on) })
            .collect()
    }

    fn group_name(&self, number: GroupNumber) -> Option<String> {
        self.accounts.group(number).map(|group| group.name.to_string())
    }

    /// The kind and the name of an object; of one that is gone the number.
    fn object(&self, object: ObjectReference) -> (&'static str, String) {
        let accounts = self.accounts;
        let (kind, name, number) = match object {
            ObjectReference::Provider(number) => {
                ("provider", accounts.provider(number).map(|found| found.name.clone()), number.get())
            }
            ObjectReference::Account(number) => {
                ("account", accounts.account(number).map(|found| found.username.to_string()), number.get())
            }
            ObjectReference::Group(number) => ("group", self.group_name(number), number.get()),
            ObjectReference::Role(number) => {
                ("role", accounts.role(number).map(|found| found.name.clone()), number.get())
            }
            ObjectReference::Token(number) => {
                ("token", accounts.token(number).map(|found| found.identifier.clone()), number.get())
            }
            ObjectReference::Application(number) => {
                ("application", accounts.application(number).map(|found| found.slug.clone()), number.get())
            }
        };
        (kind, name.unwrap_or_else(|| format!("({number}, deleted)")))
    }
}

fn provider(provider: &LdapProvider) -> ProviderDocument<'_> {
    ProviderDocument {
        number: provider.number.get(),
        uuid: provider.uuid,
        name: &provider.name,
        base_dn: &provider.base_dn,
        default: provider.is_default,
        domain: provider.domain.as_deref(),
        uid_start_number: provider.uid_start_number,
        gid_start_number: provider.gid_start_number,
        virtual_groups: provider.virtual_groups,
        compatibility_attributes: provider.compatibility_attributes,
        users: &provider.users,
        service_accounts: &provider.service_accounts,
        groups: &provider.groups,
        created: time(provider.created),
        modified: time(provider.modified),
    }
}

fn time(time: Timestamp) -> String {
    time.to_string()
}
