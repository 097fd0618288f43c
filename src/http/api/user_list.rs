//! The list of `core/users/`: its filters, its order, and the page that is cut out of it.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use uuid::Uuid;

use super::answer::WrittenPage;
use super::attributes::AttributesFilter;
use super::ordered::SortKey;
use super::partial::last_login;
use super::reading::{Reading, RepresentationSource};
use super::refusal::CallRefusal;
use super::user::{Shown, User, kinds, path_of, user};
use super::value::Time;
use crate::directory::{AccountState, Accounts, GroupState, name_key};
use crate::model::{self, Account, AccountKind, GroupNumber, ObjectReference, RoleNumber, Timestamp};

/// Which accounts are asked for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[allow(non_snake_case, reason = "the names are those of authentik's parameters")]
pub(super) struct UserQuery {
    attributes: Option<String>,
    date_joined: Option<Time>,
    date_joined__gt: Option<Time>,
    date_joined__lt: Option<Time>,
    email: Option<String>,
    groups_by_name: Vec<String>,
    groups_by_pk: Vec<Uuid>,
    include_groups: Option<bool>,
    include_roles: Option<bool>,
    is_active: Option<bool>,
    is_superuser: Option<bool>,
    last_login: Option<Time>,
    last_login__gt: Option<Time>,
    last_login__isnull: Option<bool>,
    last_login__lt: Option<Time>,
    last_updated: Option<Time>,
    last_updated__gt: Option<Time>,
    last_updated__lt: Option<Time>,
    name: Option<String>,
    path: Option<String>,
    path_startswith: Option<String>,
    roles_by_name: Vec<String>,
    roles_by_pk: Vec<Uuid>,
    #[serde(rename = "type")]
    #[schemars(schema_with = "list_of_kinds")]
    kind: Vec<AccountKind>,
    username: Option<String>,
    uuid: Option<Uuid>,
}

pub(super) fn list(reading: &Reading, query: UserQuery) -> Result<WrittenPage<User>, CallRefusal> {
    let filter = Filter::new(query, reading)?;
    let accounts = reading.accounts();
    let is_by = |name: &str| reading.page.ordering_keys().any(|(key, _)| key == name);
    let needs_record = filter.needs_record() || reading.page.is_searched() || is_by("name") || is_by("email");
    let mut found = reading.ordered();
    for state in reading.walk(accounts.accounts()) {
        let is_shown = reading.may_view(ObjectReference::Account(state.number));
        if !is_shown || !filter.passes(accounts, state, reading) {
            continue;
        }
        let record = if needs_record { reading.account(state.number)? } else { None };
        let passes = record.as_ref().is_some_and(|record| {
            let texts = [record.username.as_str(), &record.name, &record.email];
            filter.passes_record(record) && reading.page.finds(texts)
        });
        // Nor does one that has none any more, see [`Reading::cut`]. The record is not kept: there may be very many.
        if passes || !needs_record {
            found.push(state, |field, state| key(reading, state, record.as_ref(), field))?;
        }
    }
    let shown = filter.shown();
    reading.cut(&found.done(), |state| {
        let record = reading.account(state.number)?.ok_or_else(CallRefusal::not_found)?;
        Ok(user(reading, &record, shown))
    })
}

/// What an account is ordered by; `record`: where it is by what stands there.
fn key(reading: &Reading, state: &AccountState, record: Option<&Account>, field: &str) -> Option<SortKey> {
    let folded = |text: Option<&String>| text.map_or(SortKey::Nothing, |text| SortKey::folded(text));
    Some(match field {
        "pk" | "id" => SortKey::number(state.number.get()),
        "username" => SortKey::name(&state.username),
        "name" => folded(record.map(|record| &record.name)),
        "email" => folded(record.map(|record| &record.email)),
        "is_active" => SortKey::number(state.is_active),
        "type" => SortKey::text(state.kind.as_str()),
        "date_joined" => SortKey::time(state.created),
        "last_updated" => SortKey::time(state.modified),
        "last_login" => reading.last_login(state.number).map_or(SortKey::Nothing, SortKey::time),
        "uuid" => SortKey::Uuid(state.uuid),
        _ => return None,
    })
}

fn list_of_kinds(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": kinds(generator) })
}

/// The filters of a list, read once.
struct Filter {
    query: UserQuery,
    attributes: Option<AttributesFilter>,
    /// What is named, if anything is; what the caller may not view is nothing.
    groups_by_name: Option<BTreeSet<GroupNumber>>,
    groups_by_pk: Option<BTreeSet<GroupNumber>>,
    roles_by_name: Option<BTreeSet<RoleNumber>>,
    roles_by_pk: Option<BTreeSet<RoleNumber>>,
}

impl Filter {
    fn new(query: UserQuery, reading: &Reading) -> Result<Self, CallRefusal> {
        let accounts = reading.accounts();
        let group = |group: &Arc<GroupState>| {
            let is_shown = reading.may_view(ObjectReference::Group(group.number));
            is_shown.then_some(group.number)
        };
        let role = |role: &Arc<model::Role>| {
            let is_shown = reading.may_view(ObjectReference::Role(role.number));
            is_shown.then_some(role.number)
        };
        let (groups, roles) = (&query.groups_by_name, &query.roles_by_name);
        let groups = groups.iter().filter_map(|name| accounts.group_named(name).and_then(group));
        let roles = roles.iter().filter_map(|name| accounts.role_named(name).and_then(role));
        let group_keys: HashSet<Uuid> = query.groups_by_pk.iter().copied().collect();
        let role_keys: HashSet<Uuid> = query.roles_by_pk.iter().copied().collect();
        let by_pk = accounts.groups().filter(|group| group_keys.contains(&group.uuid)).filter_map(group);
        let roles_by_pk = accounts.roles().filter(|role| role_keys.contains(&role.uuid)).filter_map(role);
        let groups_by_name = (!query.groups_by_name.is_empty()).then(|| groups.collect());
        let groups_by_pk = (!query.groups_by_pk.is_empty()).then(|| by_pk.collect());
        let roles_by_name = (!query.roles_by_name.is_empty()).then(|| roles.collect());
        let roles_by_pk = (!query.roles_by_pk.is_empty()).then(|| roles_by_pk.collect());
        let attributes = AttributesFilter::read(query.attributes.as_deref())?;
        Ok(Self { query, attributes, groups_by_name, groups_by_pk, roles_by_name, roles_by_pk })
    }

    fn shown(&self) -> Shown {
        Shown {
            groups: self.query.include_groups.unwrap_or(true),
            roles: self.query.include_roles.unwrap_or(true),
        }
    }

    fn needs_record(&self) -> bool {
        let UserQuery { email, name, path, path_startswith, .. } = &self.query;
        self.attributes.is_some() || [email, name, path, path_startswith].iter().any(|said| said.is_some())
    }

    fn passes_record(&self, record: &Account) -> bool {
        let is_same = |wanted: &Option<String>, value: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted.is_empty() || wanted == value)
        };
        let (query, path) = (&self.query, path_of(record));
        self.attributes.as_ref().is_none_or(|wanted| wanted.is_held_by(&record.attributes))
            && is_same(&query.email, &record.email)
            && is_same(&query.name, &record.name)
            && query.path.as_deref().is_none_or(|wanted| wanted == path)
            && query.path_startswith.as_deref().is_none_or(|wanted| path.starts_with(wanted))
    }

    fn passes(&self, accounts: &Accounts, state: &AccountState, source: &impl RepresentationSource) -> bool {
        let query = &self.query;
        let in_one = |wanted: &Option<BTreeSet<GroupNumber>>| {
            wanted.as_ref().is_none_or(|wanted| state.groups.iter().any(|group| wanted.contains(group)))
        };
        let has_one = |wanted: &Option<BTreeSet<RoleNumber>>| {
            wanted.as_ref().is_none_or(|wanted| state.roles.iter().any(|role| wanted.contains(role)))
        };
        let at = |time: &Option<Time>, value: Timestamp| time.is_none_or(|time| time.0 == value);
        let after = |time: &Option<Time>, value: Timestamp| time.is_none_or(|time| value > time.0);
        let before = |time: &Option<Time>, value: Timestamp| time.is_none_or(|time| value < time.0);
        let asks_for_login = query.last_login__isnull.is_some()
            || [query.last_login, query.last_login__gt, query.last_login__lt].iter().any(Option::is_some);
        let login = if asks_for_login { last_login(source, state.number) } else { None };
        (query.kind.is_empty() || query.kind.contains(&state.kind))
            && query.is_active.is_none_or(|wanted| wanted == state.is_active)
            && query.is_superuser.is_none_or(|wanted| wanted == accounts.is_superuser(state))
            && query.username.as_deref().is_none_or(|wanted| name_key(wanted) == name_key(&state.username))
            && query.uuid.is_none_or(|wanted| wanted == state.uuid)
            && in_one(&self.groups_by_name)
            && in_one(&self.groups_by_pk)
            && has_one(&self.roles_by_name)
            && has_one(&self.roles_by_pk)
            && at(&query.date_joined, state.created)
            && after(&query.date_joined__gt, state.created)
            && before(&query.date_joined__lt, state.created)
            && at(&query.last_updated, state.modified)
            && after(&query.last_updated__gt, state.modified)
            && before(&query.last_updated__lt, state.modified)
            && query.last_login__isnull.is_none_or(|wanted| wanted == login.is_none())
            && query.last_login.is_none_or(|time| login == Some(time))
            && query.last_login__gt.is_none_or(|time| login.is_some_and(|login| login > time))
            && query.last_login__lt.is_none_or(|time| login.is_some_and(|login| login < time))
    }
}
