//! `core/users/`: accounts of all kinds.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::attributes;
use super::call::Call;
use super::group::{self, PartialGroup};
use super::page::Page;
use super::reading::{Reading, Source};
use super::refusal::Refusal;
use super::role::{self, Role};
use super::route::{NoContent, NoParameters};
use super::used_by::{UsedBy, UsedByAction};
use super::value::{Required, RequiredFields, Time};
use crate::config::Expiry;
use crate::directory::{AccountState, Accounts, GroupState, name_key};
use crate::model::{
    self, Account, AccountKind, AccountNumber, BindingSubject, GroupNumber, HashText, ObjectReference,
    Permission, RoleNumber, Timestamp,
};
use crate::registry::ChangeError;
use crate::registry::commands::{
    AccountChanges, NewPassword, NewServiceAccount, create_account, delete_account, update_account,
};
use crate::secret::Secret;

/// An account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct User {
    /// Its number.
    pub pk: u32,
    /// Its name.
    pub username: String,
    /// The full name.
    pub name: String,
    /// Whether it may bind and call the API.
    pub is_active: bool,
    /// When it last proved who it is.
    pub last_login: Option<Time>,
    /// When it was made.
    pub date_joined: Time,
    /// Whether one of its groups makes it a superuser.
    pub is_superuser: bool,
    /// The groups that it is in directly.
    pub groups: Vec<Uuid>,
    /// The same with their names; `null` when they were not asked for.
    pub groups_obj: Option<Vec<PartialGroup>>,
    /// The roles that it holds directly.
    pub roles: Vec<Uuid>,
    /// The same with their names; `null` when they were not asked for.
    pub roles_obj: Option<Vec<Role>>,
    /// The mail address; empty when there is none.
    pub email: String,
    /// Always empty: bindery shows no pictures.
    pub avatar: String,
    /// Free attributes of its entry.
    pub attributes: Map<String, Value>,
    /// A name that never changes.
    pub uid: String,
    /// Where authentik would file it.
    pub path: String,
    /// What it is for.
    #[serde(rename = "type")]
    #[schemars(with = "String")]
    pub kind: AccountKind,
    /// The `entryUUID`.
    pub uuid: Uuid,
    /// When its password was set; when it was made, if it has none.
    pub password_change_date: Time,
    /// When it was last changed.
    pub last_updated: Time,
}

/// An account as far as it stands in a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PartialUser {
    /// Its number.
    pub pk: u32,
    /// Its name.
    pub username: String,
    /// The full name.
    pub name: String,
    /// Whether it may bind and call the API.
    pub is_active: bool,
    /// When it last proved who it is.
    pub last_login: Option<Time>,
    /// The mail address.
    pub email: String,
    /// Free attributes of its entry.
    pub attributes: Map<String, Value>,
    /// A name that never changes.
    pub uid: String,
}

/// What is said of an account that is made or changed; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct PatchedUserRequest {
    username: Option<String>,
    name: Option<String>,
    is_active: Option<bool>,
    /// Accepted and not kept: bindery knows it itself.
    last_login: Option<Time>,
    groups: Option<Vec<Uuid>>,
    roles: Option<Vec<Uuid>>,
    email: Option<String>,
    attributes: Option<Map<String, Value>>,
    /// Accepted where it says what bindery would answer; bindery has no paths.
    path: Option<String>,
    #[serde(rename = "type")]
    #[schemars(with = "Option<String>")]
    kind: Option<AccountKind>,
}

impl RequiredFields for PatchedUserRequest {
    const REQUIRED: &'static [&'static str] = &["username", "name"];

    fn missing(&self) -> Option<&'static str> {
        match (&self.username, &self.name) {
            (None, _) => Some("username"),
            (_, None) => Some("name"),
            _ => None,
        }
    }
}

/// A service account that is to be made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UserServiceAccountRequest {
    /// Its username.
    pub name: String,
    /// Whether a group of the same name is made, with the account in it.
    #[serde(default)]
    pub create_group: bool,
    /// Whether its app password expires.
    #[serde(default = "yes")]
    pub expiring: bool,
    /// When; 360 days from now when nothing is said.
    #[serde(default)]
    pub expires: Option<Time>,
}

/// A service account that was made, with the secret of its app password. Does not print that.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UserServiceAccountResponse {
    /// Its username.
    pub username: String,
    /// The secret of its app password, shown once.
    pub token: String,
    /// A name that never changes.
    pub user_uid: String,
    /// Its number.
    pub user_pk: u32,
    /// The group that was made with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_pk: Option<String>,
    /// The identifier of the app password; bindery's own.
    pub token_identifier: String,
    /// When the app password expires; bindery's own.
    pub token_expires: Option<Time>,
}

impl fmt::Debug for UserServiceAccountResponse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("UserServiceAccountResponse");
        shown.field("username", &self.username).field("token_identifier", &self.token_identifier);
        shown.finish_non_exhaustive()
    }
}

/// The new password of a person.
#[derive(Deserialize, JsonSchema)]
pub(super) struct UserPasswordSetRequest {
    password: String,
}

/// The hash of the new password of a person.
#[derive(Deserialize, JsonSchema)]
pub(super) struct UserPasswordHashSetRequest {
    password: String,
}

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
    #[schemars(with = "Vec<String>")]
    kind: Vec<AccountKind>,
    username: Option<String>,
    uuid: Option<Uuid>,
}

/// The paths under which authentik files accounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(super) struct UserPath {
    paths: Vec<String>,
}

/// Which paths are asked for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(super) struct PathQuery {
    #[serde(default)]
    search: Option<String>,
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct SessionUser {
    user: UserSelf,
    original: Option<UserSelf>,
    users: Vec<UserSelf>,
}

/// Somebody, as they see themselves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct UserSelf {
    pk: u32,
    username: String,
    name: String,
    is_active: bool,
    is_superuser: bool,
    is_current: bool,
    groups: Vec<NamedObject>,
    roles: Vec<NamedObject>,
    email: String,
    avatar: String,
    uid: String,
    settings: BTreeMap<String, Value>,
    #[serde(rename = "type")]
    #[schemars(with = "String")]
    kind: AccountKind,
    system_permissions: Vec<String>,
}

/// A group or a role, as its members see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(super) struct NamedObject {
    name: String,
    pk: Uuid,
}

/// What is shown of an account's groups and roles.
#[derive(Clone, Copy, Debug)]
struct Shown {
    groups: bool,
    roles: bool,
}

pub(super) fn list(reading: &Reading, query: UserQuery) -> Result<Page<User>, Refusal> {
    let filter = Filter::new(query, reading)?;
    let accounts = reading.accounts();
    let mut found: Vec<Found> = Vec::new();
    let ordering = reading.page.ordering.as_deref().map(|field| field.trim_start_matches('-'));
    let is_by_login = ordering == Some("last_login");
    let needs_record =
        filter.needs_record() || reading.page.is_searched() || matches!(ordering, Some("name" | "email"));
    for state in accounts.accounts() {
        let is_shown = reading.may_view(ObjectReference::Account(state.number));
        if !is_shown || !filter.passes(accounts, state, reading) {
            continue;
        }
        let record = if needs_record { reading.account(state.number)? } else { None };
        if let Some(record) = &record {
            let texts = [record.username.as_str(), &record.name, &record.email];
            if !filter.passes_record(record)? || !reading.page.finds(texts) {
                continue;
            }
        }
        // Once for each account, not for each comparison.
        let login = if is_by_login { last_login(reading, state.number) } else { None };
        found.push(Found { state: Arc::clone(state), record, login });
    }
    reading.page.order(&mut found, |field, one, other| one.compare(other, field))?;
    let shown = filter.shown();
    reading.page.cut(&found, |found| {
        let record = match &found.record {
            Some(record) => Some(record.clone()),
            None => reading.account(found.state.number)?,
        };
        let record = record.ok_or_else(Refusal::not_found)?;
        Ok(user(reading, &record, shown))
    })
}

pub(super) async fn create(call: Call, request: Required<PatchedUserRequest>) -> Result<User, Refusal> {
    let Required(mut request) = request;
    let kind = request.kind.unwrap_or(AccountKind::Internal);
    let username = request.username.take().unwrap_or_default();
    call.require(Permission::AddUser)?;
    call.change(move |transaction| {
        request.check_path(kind)?;
        let changes = changes(transaction, request)?;
        let number = create_account(transaction, username, kind, changes)?;
        shown(transaction, number)
    })
    .await
}

pub(super) async fn create_service_account(
    call: Call,
    request: UserServiceAccountRequest,
) -> Result<UserServiceAccountResponse, Refusal> {
    let new = NewServiceAccount {
        username: request.name,
        create_group: request.create_group,
        expiring: request.expiring,
        expires: request.expires.map(|time| Expiry::At(time.0)),
    };
    let created = call.registry.create_service_account(call.caller.clone(), new).await?;
    let token = created.token;
    Ok(UserServiceAccountResponse {
        username: token.account,
        token: String::from_utf8_lossy(token.secret.expose()).into_owned(),
        user_uid: created.uuid.simple().to_string(),
        user_pk: created.number.get(),
        group_pk: created.group.map(|group| group.to_string()),
        token_identifier: token.identifier,
        token_expires: token.expires.map(Time),
    })
}

pub(super) fn retrieve(reading: &Reading, _: NoParameters) -> Result<User, Refusal> {
    let number = AccountNumber::new(reading.parameter("id")?);
    reading.require_view(ObjectReference::Account(number))?;
    Ok(shown(reading, number)?)
}

pub(super) async fn update(call: Call, request: Required<PatchedUserRequest>) -> Result<User, Refusal> {
    partial_update(call, request.0).await
}

pub(super) async fn partial_update(call: Call, request: PatchedUserRequest) -> Result<User, Refusal> {
    let number = AccountNumber::new(call.parameter("id")?);
    call.require_on(Permission::ChangeUser, ObjectReference::Account(number))?;
    call.change(move |transaction| {
        let kind = transaction.snapshot().accounts().account(number).map(|account| account.kind);
        if let Some(kind) = request.kind.or(kind) {
            request.check_path(kind)?;
        }
        let changes = changes(transaction, request)?;
        update_account(transaction, number, changes)?;
        shown(transaction, number)
    })
    .await
}

pub(super) async fn destroy(call: Call) -> Result<NoContent, Refusal> {
    let number = AccountNumber::new(call.parameter("id")?);
    call.change(move |transaction| delete_account(transaction, number)).await?;
    Ok(NoContent)
}

pub(super) async fn set_password(call: Call, request: UserPasswordSetRequest) -> Result<NoContent, Refusal> {
    let number = AccountNumber::new(call.parameter("id")?);
    let password = NewPassword::Secret(Secret::from(request.password));
    call.registry.set_account_password(call.caller.clone(), number, password).await?;
    Ok(NoContent)
}

pub(super) async fn set_password_hash(
    call: Call,
    request: UserPasswordHashSetRequest,
) -> Result<NoContent, Refusal> {
    let number = AccountNumber::new(call.parameter("id")?);
    let password = NewPassword::Hash(HashText::new(request.password));
    call.registry.set_account_password(call.caller.clone(), number, password).await?;
    Ok(NoContent)
}

pub(super) fn me(reading: &Reading, _: NoParameters) -> Result<SessionUser, Refusal> {
    let holder = reading.caller.holder().ok_or_else(|| {
        Refusal::not_found_because("the operator of this machine is no account: call with an API token")
    })?;
    let record = reading.account(holder.account)?.ok_or_else(Refusal::not_found)?;
    let accounts = reading.accounts();
    let state = accounts.account(holder.account).ok_or_else(Refusal::not_found)?;
    let groups = accounts.groups_of(state).into_iter().filter_map(|group| accounts.group(group));
    let roles = record.roles.iter().filter_map(|role| accounts.role(*role));
    let system = [Permission::ViewSystemInfo, Permission::ViewSystemSettings];
    let system_permissions = system.into_iter().filter(|permission| reading.may(*permission, None));
    let user = UserSelf {
        pk: record.number.get(),
        username: record.username.clone(),
        name: record.name.clone(),
        is_active: record.is_active,
        is_superuser: accounts.is_superuser(state),
        is_current: true,
        groups: groups.map(|group| NamedObject { name: group.name.to_string(), pk: group.uuid }).collect(),
        roles: roles.map(|role| NamedObject { name: role.name.clone(), pk: role.uuid }).collect(),
        email: record.email.clone(),
        avatar: String::new(),
        uid: record.uuid.simple().to_string(),
        settings: BTreeMap::new(),
        kind: record.kind,
        system_permissions: system_permissions.map(|permission| permission.codename().to_owned()).collect(),
    };
    Ok(SessionUser { users: vec![user.clone()], user, original: None })
}

pub(super) fn paths(_: &Reading, query: PathQuery) -> Result<UserPath, Refusal> {
    let search = query.search.unwrap_or_default();
    let paths = AccountKind::ALL.into_iter().map(path_of).filter(|path| path.contains(&search));
    let mut paths: Vec<String> = paths.map(str::to_owned).collect();
    paths.dedup();
    Ok(UserPath { paths })
}

pub(super) fn used_by(reading: &Reading, _: NoParameters) -> Result<Vec<UsedBy>, Refusal> {
    let number = AccountNumber::new(reading.parameter("id")?);
    reading.require_view(ObjectReference::Account(number))?;
    let accounts = reading.accounts();
    let account = accounts.account(number).ok_or_else(Refusal::not_found)?;
    let mut used = Vec::new();
    for token in account.tokens.iter().filter_map(|token| accounts.token(*token)) {
        if reading.may_view(ObjectReference::Token(token.number)) {
            let model = ("authentik_core", "token");
            used.push(UsedBy::new(model, &token.identifier, &token.identifier, UsedByAction::Cascade));
        }
    }
    for application in accounts.applications() {
        let named = BindingSubject::Account(number);
        let is_named = application.bindings.iter().any(|binding| binding.subject == named);
        if is_named && reading.may_view(ObjectReference::Application(application.number)) {
            let model = ("authentik_core", "application");
            used.push(UsedBy::new(model, application.uuid, &application.name, UsedByAction::LeftDangling));
        }
    }
    Ok(used)
}

/// The account as it is now.
pub(super) fn shown(source: &impl Source, number: AccountNumber) -> Result<User, ChangeError> {
    let record = source.account(number)?;
    let record = record.ok_or_else(|| ChangeError::NotFound { kind: "account", name: number.to_string() })?;
    Ok(user(source, &record, Shown { groups: true, roles: true }))
}

/// The account as the owner of a token: no more than its name, if the caller may not view it.
pub(super) fn owner(source: &impl Source, number: AccountNumber) -> Result<User, ChangeError> {
    let shown = shown(source, number)?;
    if source.is_shown(ObjectReference::Account(number)) {
        return Ok(shown);
    }
    let hidden = Account::new(number, shown.username, shown.kind, shown.date_joined.0);
    let hidden = Account { uuid: shown.uuid, ..hidden };
    let shown = user(source, &hidden, Shown { groups: false, roles: false });
    Ok(User { groups: Vec::new(), roles: Vec::new(), last_login: None, is_superuser: false, ..shown })
}

fn user(source: &impl Source, record: &Account, shown: Shown) -> User {
    let accounts = source.accounts();
    let state = accounts.account(record.number);
    let groups: Vec<_> = state
        .map(|state| state.groups.iter().filter_map(|group| accounts.group(*group)).collect())
        .unwrap_or_default();
    let roles: Vec<_> = record.roles.iter().filter_map(|role| accounts.role(*role)).collect();
    User {
        pk: record.number.get(),
        username: record.username.clone(),
        name: record.name.clone(),
        is_active: record.is_active,
        last_login: last_login(source, record.number),
        date_joined: Time(record.created),
        is_superuser: state.is_some_and(|state| accounts.is_superuser(state)),
        groups: groups.iter().map(|group| group.uuid).collect(),
        groups_obj: shown.groups.then(|| {
            let known = groups.iter().filter(|group| source.is_shown(ObjectReference::Group(group.number)));
            known.map(|group| group::partial(source, group)).collect()
        }),
        roles: roles.iter().map(|role| role.uuid).collect(),
        roles_obj: shown.roles.then(|| {
            let known = roles.iter().filter(|role| source.is_shown(ObjectReference::Role(role.number)));
            known.map(|role| role::shown(role)).collect()
        }),
        email: record.email.clone(),
        avatar: String::new(),
        attributes: attributes::write(&record.attributes),
        uid: record.uuid.simple().to_string(),
        path: path_of(record.kind).to_owned(),
        kind: record.kind,
        uuid: record.uuid,
        password_change_date: Time(
            record.password.as_ref().map_or(record.created, |password| password.changed),
        ),
        last_updated: Time(record.modified),
    }
}

/// The account as a member of a group.
pub(super) fn partial(
    source: &impl Source,
    number: AccountNumber,
) -> Result<Option<PartialUser>, ChangeError> {
    let Some(record) = source.account(number)? else { return Ok(None) };
    Ok(Some(PartialUser {
        pk: record.number.get(),
        last_login: last_login(source, number),
        attributes: attributes::write(&record.attributes),
        uid: record.uuid.simple().to_string(),
        username: record.username,
        name: record.name,
        is_active: record.is_active,
        email: record.email,
    }))
}

fn last_login(source: &impl Source, number: AccountNumber) -> Option<Time> {
    source.last_login(number).map(Time)
}

/// Where authentik files accounts of a kind.
fn path_of(kind: AccountKind) -> &'static str {
    match kind {
        AccountKind::Internal | AccountKind::External => "users",
        AccountKind::ServiceAccount => "goauthentik.io/service-accounts",
        AccountKind::InternalServiceAccount => "goauthentik.io/outposts",
    }
}

impl PatchedUserRequest {
    fn check_path(&self, kind: AccountKind) -> Result<(), ChangeError> {
        // What authentik's clients send when nothing is chosen is taken for everybody.
        let is_known = |path: &str| path == path_of(kind) || path == "users";
        match &self.path {
            Some(path) if !is_known(path) => Err(ChangeError::field(
                "path",
                format!("bindery has no paths: leave it out, or say {:?}", path_of(kind)),
            )),
            _ => Ok(()),
        }
    }
}

/// What a request says, with numbers in place of UUIDs.
fn changes(source: &impl Source, request: PatchedUserRequest) -> Result<AccountChanges, ChangeError> {
    let accounts = source.accounts();
    let groups = request.groups.map(|groups| group::numbers(accounts, "groups", &groups)).transpose()?;
    let roles = request.roles.map(|roles| role::numbers(accounts, &roles)).transpose()?;
    Ok(AccountChanges {
        username: request.username,
        kind: request.kind,
        name: request.name,
        email: request.email,
        is_active: request.is_active,
        attributes: request.attributes.map(attributes::read).transpose()?,
        groups,
        roles,
    })
}

/// An account that passes the filters.
struct Found {
    state: Arc<AccountState>,
    /// Loaded where something is asked of it.
    record: Option<Account>,
    /// Asked where the list is ordered by it.
    login: Option<Time>,
}

impl Found {
    fn compare(&self, other: &Self, field: &str) -> Option<std::cmp::Ordering> {
        let (one, two) = (&self.state, &other.state);
        let text = |found: &Self, of: fn(&Account) -> &str| {
            found.record.as_ref().map(|record| of(record).to_lowercase()).unwrap_or_default()
        };
        Some(match field {
            "pk" | "id" => one.number.cmp(&two.number),
            "username" => name_key(&one.username).cmp(&name_key(&two.username)),
            "name" => text(self, |record| &record.name).cmp(&text(other, |record| &record.name)),
            "email" => text(self, |record| &record.email).cmp(&text(other, |record| &record.email)),
            "is_active" => one.is_active.cmp(&two.is_active),
            "type" => one.kind.as_str().cmp(two.kind.as_str()),
            "date_joined" => one.created.cmp(&two.created),
            "last_updated" => one.modified.cmp(&two.modified),
            "last_login" => self.login.cmp(&other.login),
            "uuid" => one.uuid.cmp(&two.uuid),
            _ => return None,
        })
    }
}

/// The filters of a list, read once.
struct Filter {
    query: UserQuery,
    attributes: Option<Map<String, Value>>,
    /// What is named, if anything is; what the caller may not view is nothing.
    groups_by_name: Option<Vec<GroupNumber>>,
    groups_by_pk: Option<Vec<GroupNumber>>,
    roles_by_name: Option<Vec<RoleNumber>>,
    roles_by_pk: Option<Vec<RoleNumber>>,
}

impl Filter {
    fn new(query: UserQuery, reading: &Reading) -> Result<Self, Refusal> {
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
        let attributes = query.attributes.as_deref().filter(|text| !text.is_empty());
        let attributes = attributes.map(serde_json::from_str::<Map<String, Value>>).transpose();
        let attributes =
            attributes.map_err(|_| Refusal::field("attributes", "expected a JSON object, as text"))?;
        Ok(Self { query, attributes, groups_by_name, groups_by_pk, roles_by_name, roles_by_pk })
    }

    fn shown(&self) -> Shown {
        Shown {
            groups: self.query.include_groups.unwrap_or(true),
            roles: self.query.include_roles.unwrap_or(true),
        }
    }

    fn needs_record(&self) -> bool {
        self.attributes.is_some() || self.query.email.is_some() || self.query.name.is_some()
    }

    fn passes_record(&self, record: &Account) -> Result<bool, ChangeError> {
        let is_same = |wanted: &Option<String>, value: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted.is_empty() || wanted == value)
        };
        let holds = match &self.attributes {
            Some(wanted) => attributes::hold(&record.attributes, wanted)?,
            None => true,
        };
        Ok(holds && is_same(&self.query.email, &record.email) && is_same(&self.query.name, &record.name))
    }

    fn passes(&self, accounts: &Accounts, state: &AccountState, source: &impl Source) -> bool {
        let query = &self.query;
        let in_group = |group: &GroupNumber| state.groups.contains(group);
        let has_role = |role: &RoleNumber| state.roles.contains(role);
        let path = path_of(state.kind);
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
            && query.path.as_deref().is_none_or(|wanted| wanted == path)
            && query.path_startswith.as_deref().is_none_or(|wanted| path.starts_with(wanted))
            && self.groups_by_name.as_ref().is_none_or(|groups| groups.iter().any(in_group))
            && self.groups_by_pk.as_ref().is_none_or(|groups| groups.iter().any(in_group))
            && self.roles_by_name.as_ref().is_none_or(|roles| roles.iter().any(has_role))
            && self.roles_by_pk.as_ref().is_none_or(|roles| roles.iter().any(has_role))
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

const fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_secret_is_not_printed() {
        let made = UserServiceAccountResponse {
            username: "portal".to_owned(),
            token: "a secret".to_owned(),
            user_uid: String::new(),
            user_pk: 1,
            group_pk: None,
            token_identifier: "portal-app-password".to_owned(),
            token_expires: None,
        };
        let shown = format!("{made:?}");
        assert!(shown.contains("portal-app-password") && !shown.contains("a secret"), "{shown}");
    }
}
