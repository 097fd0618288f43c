//! `core/users/`: accounts of all kinds.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::attributes;
use super::call::Call;
use super::group;
use super::partial::{self, PartialGroup, last_login};
use super::reading::{Reading, RepresentationSource};
use super::refusal::CallRefusal;
use super::role::{self, Role};
use super::route::{NoContent, NoParameters};
use super::told::{ForeignCredentials, SharedValues, Told};
use super::used_by::{UsedBy, UsedByAction};
use super::value::{EndTime, Required, RequiredFields, Time, one_of, or_null, secret_text};
use crate::auth::Pause;
use crate::directory::AccountState;
use crate::model::{
    Account, AccountKind, AccountNumber, BindingSubject, Expiry, HashText, ObjectReference, Origin,
    Permission, Timestamp,
};
use crate::registry::commands::{
    AccountChanges, NewPassword, NewServiceAccount, create_account, delete_account, update_account,
};
use crate::registry::{ChangeError, Transaction};
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
    /// The groups that it is in directly, as far as the caller may view them.
    pub groups: Vec<Uuid>,
    /// The same with their names; `null` when they were not asked for.
    pub groups_obj: Option<Vec<PartialGroup>>,
    /// The roles that it holds directly, as far as the caller may view them.
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
    /// Where it is filed: what was given, else what authentik gives accounts of its kind. bindery has no paths of its own.
    pub path: String,
    /// What it is for.
    #[serde(rename = "type")]
    #[schemars(schema_with = "kinds")]
    pub kind: AccountKind,
    /// The `entryUUID`.
    pub uuid: Uuid,
    /// When its password was set; when it was made, if it has none.
    pub password_change_date: Time,
    /// When it was last changed.
    pub last_updated: Time,
    /// Credentials that others have made, of accounts that get rights by the change; bindery's own. Absent: there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign_credentials: Option<ForeignCredentials>,
    /// Objects that clients could take for it, or it for them, since the change; bindery's own. Absent: there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_values: Option<SharedValues>,
}

/// That the passwords of an account are not looked at for now, for clients of one source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AccountPause {
    /// An address, the network of an IPv6 host, or this machine.
    pub source: String,
    /// When it ends.
    pub until: Time,
}

/// What has come of an unlocking.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AccountUnlocked {
    /// How many pauses were ended.
    pub pauses: u32,
}

/// What is said of an account that is made or changed; what is absent stays.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PatchedUserRequest {
    pub username: Option<String>,
    pub name: Option<String>,
    pub is_active: Option<bool>,
    /// Accepted and not kept: bindery knows it itself.
    #[schemars(transform = or_null)]
    pub last_login: Option<Time>,
    pub groups: Option<Vec<Uuid>>,
    pub roles: Option<Vec<Uuid>>,
    pub email: Option<String>,
    pub attributes: Option<Map<String, Value>>,
    /// Kept to be read back and to be listed by; bindery has no paths of its own.
    pub path: Option<String>,
    /// Refused where it is not so already: groups make superusers.
    pub is_superuser: Option<bool>,
    #[serde(rename = "type")]
    #[schemars(schema_with = "kinds")]
    pub kind: Option<AccountKind>,
    /// Whether a person may lose its password, as it becomes a service account; bindery's own.
    pub drops_password: Option<bool>,
}

impl RequiredFields for PatchedUserRequest {
    const REQUIRED: &'static [&'static str] = &["username", "name"];
}

/// A service account that is to be made.
#[serde_with::skip_serializing_none]
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
    pub expires: Option<EndTime>,
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
    /// Objects that clients could take for it, or it for them, since the change; bindery's own. Absent: there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_values: Option<SharedValues>,
}

impl fmt::Debug for UserServiceAccountResponse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("UserServiceAccountResponse");
        shown.field("username", &self.username).field("token_identifier", &self.token_identifier);
        shown.finish_non_exhaustive()
    }
}

/// The new password of a person.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct UserPasswordSetRequest {
    pub password: String,
}

/// The hash of the new password of a person.
#[derive(Deserialize, JsonSchema)]
pub(super) struct UserPasswordHashSetRequest {
    password: String,
}

/// The paths of accounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub(super) struct SessionUser {
    user: UserSelf,
    original: Option<UserSelf>,
    users: Vec<UserSelf>,
}

/// Somebody, as they see themselves.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
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
    #[schemars(schema_with = "kinds")]
    kind: AccountKind,
    system_permissions: Vec<String>,
}

/// A group or a role, as its members see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct NamedObject {
    name: String,
    pk: Uuid,
}

/// What is shown of an account's groups and roles.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    pub(super) groups: bool,
    pub(super) roles: bool,
}

pub(super) async fn create(call: Call, request: Required<PatchedUserRequest>) -> Result<User, CallRefusal> {
    let Required(mut request) = request;
    let kind = request.kind.unwrap_or(AccountKind::Internal);
    let username = request.username.take().unwrap_or_default();
    call.require(Permission::AddUser)?;
    call.change(move |transaction| {
        let changes = changes(transaction, request, None)?;
        let number = create_account(transaction, username, kind, changes)?;
        after(transaction, number)
    })
    .await
}

pub(super) async fn create_service_account(
    call: Call,
    request: UserServiceAccountRequest,
) -> Result<UserServiceAccountResponse, CallRefusal> {
    let new = NewServiceAccount {
        username: request.name,
        create_group: request.create_group,
        expiring: request.expiring,
        expires: request.expires.map(|time| Expiry::At(time.0)),
    };
    let created = call.registry.create_service_account(call.caller.clone(), new).await;
    let created = created.map_err(|error| CallRefusal::from(error).naming("username", "name"))?;
    let token = created.token;
    Ok(UserServiceAccountResponse {
        username: token.account,
        token: secret_text(&token.secret),
        user_uid: created.uuid.simple().to_string(),
        user_pk: created.number.get(),
        group_pk: created.group.map(|group| group.to_string()),
        token_identifier: token.identifier,
        token_expires: token.expires.map(Time),
        shared_values: SharedValues::some(created.shared_values),
    })
}

pub(super) fn retrieve(reading: &Reading, _: NoParameters) -> Result<User, CallRefusal> {
    let number = AccountNumber::new(reading.parameter("id")?);
    reading.require_view(ObjectReference::Account(number))?;
    Ok(shown(reading, number)?)
}

pub(super) async fn update(call: Call, request: PatchedUserRequest) -> Result<User, CallRefusal> {
    let number = AccountNumber::new(call.parameter("id")?);
    call.require_on(Permission::ChangeUser, ObjectReference::Account(number))?;
    call.change(move |transaction| {
        let before = transaction.snapshot().accounts().account(number).cloned();
        let changes = changes(transaction, request, before.as_deref())?;
        update_account(transaction, number, changes)?;
        after(transaction, number)
    })
    .await
}

pub(super) async fn destroy(call: Call) -> Result<NoContent, CallRefusal> {
    let number = AccountNumber::new(call.parameter("id")?);
    call.change(move |transaction| delete_account(transaction, number)).await?;
    Ok(NoContent)
}

pub(super) async fn set_password(
    call: Call,
    request: UserPasswordSetRequest,
) -> Result<NoContent, CallRefusal> {
    let number = AccountNumber::new(call.parameter("id")?);
    let password = NewPassword::Secret(Secret::from(request.password));
    call.registry.set_account_password(call.caller.clone(), number, password).await?;
    Ok(NoContent)
}

pub(super) async fn set_password_hash(
    call: Call,
    request: UserPasswordHashSetRequest,
) -> Result<NoContent, CallRefusal> {
    let number = AccountNumber::new(call.parameter("id")?);
    let password = NewPassword::Hash(HashText::new(request.password));
    call.registry.set_account_password(call.caller.clone(), number, password).await?;
    Ok(NoContent)
}

/// Where an account is paused, the one that ends last first.
pub(super) fn pauses(reading: &Reading, _: NoParameters) -> Result<Vec<AccountPause>, CallRefusal> {
    let number = AccountNumber::new(reading.parameter("id")?);
    reading.require_view(ObjectReference::Account(number))?;
    let now = reading.registry.now();
    let mut pauses = reading.pauses(number);
    pauses.sort_by_key(|pause| (Reverse(pause.left), pause.source));
    let shown = pauses.into_iter().map(|Pause { source, left }| AccountPause {
        source: source.to_string(),
        until: Time(now.after(left)),
    });
    Ok(shown.collect())
}

pub(super) async fn unlock(call: Call, _: NoParameters) -> Result<AccountUnlocked, CallRefusal> {
    let number = AccountNumber::new(call.parameter("id")?);
    let pauses = call.registry.unlock_account(call.caller.clone(), number).await?;
    Ok(AccountUnlocked { pauses: u32::try_from(pauses).unwrap_or(u32::MAX) })
}

pub(super) fn me(reading: &Reading, _: NoParameters) -> Result<SessionUser, CallRefusal> {
    let holder = reading.caller.holder().ok_or_else(|| {
        CallRefusal::not_found_because("the operator of this machine is no account: call with an API token")
    })?;
    let record = reading.account(holder.account)?.ok_or_else(CallRefusal::not_found)?;
    let accounts = reading.accounts();
    let state = accounts.account(holder.account).ok_or_else(CallRefusal::not_found)?;
    // Its groups are those that the directory shows it too, whatever it may view.
    let groups = accounts.groups_of(state).into_iter().filter_map(|group| accounts.group(group));
    let roles = record.roles.iter().filter(|role| reading.may_view(ObjectReference::Role(**role)));
    let roles = roles.filter_map(|role| accounts.role(*role));
    let system =
        [Permission::AccessAdminInterface, Permission::ViewSystemInfo, Permission::ViewSystemSettings];
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

/// Those of every kind of account, and those of the accounts that the caller may view.
pub(super) fn paths(reading: &Reading, query: PathQuery) -> Result<UserPath, CallRefusal> {
    let search = query.search.unwrap_or_default();
    let usual = AccountKind::ALL.into_iter().map(|kind| usual_path(kind).to_owned());
    let mut paths: BTreeSet<String> = usual.filter(|path| path.contains(&search)).collect();
    for account in reading.walk(reading.accounts().accounts()) {
        if reading.may_view(ObjectReference::Account(account.number))
            && let Some(Account { path, .. }) = reading.account(account.number)?
            && !path.is_empty()
            && path.contains(&search)
        {
            let octets = path.len();
            // There may be as many as accounts. What does not fit is refused.
            if paths.insert(path) && !reading.room.hold(octets) {
                break;
            }
        }
    }
    Ok(UserPath { paths: paths.into_iter().collect() })
}

pub(super) fn used_by(reading: &Reading, _: NoParameters) -> Result<Vec<UsedBy>, CallRefusal> {
    let number = AccountNumber::new(reading.parameter("id")?);
    reading.require_view(ObjectReference::Account(number))?;
    let accounts = reading.accounts();
    let account = accounts.account(number).ok_or_else(CallRefusal::not_found)?;
    let tokens = account.tokens.iter().map(|token| ObjectReference::Token(*token));
    let tokens = tokens.filter_map(|on| UsedBy::of(reading, on, UsedByAction::Cascade));
    let named = BindingSubject::Account(number);
    let applications = reading
        .walk(accounts.applications())
        .filter(|application| application.bindings.iter().any(|binding| binding.subject == named))
        .map(|application| ObjectReference::Application(application.number))
        .filter_map(|on| UsedBy::of(reading, on, UsedByAction::LeftDangling));
    Ok(tokens.chain(applications).collect())
}

/// The account after a change, with what whoever makes it is told.
fn after(transaction: &Transaction<'_>, number: AccountNumber) -> Result<User, ChangeError> {
    let Told { foreign_credentials, shared_values, .. } = Told::of(transaction);
    Ok(User { foreign_credentials, shared_values, ..shown(transaction, number)? })
}

/// The account as it is now.
pub(super) fn shown(source: &impl RepresentationSource, number: AccountNumber) -> Result<User, ChangeError> {
    let record = source.account(number)?;
    let record = record.ok_or_else(|| ChangeError::NotFound { kind: "account", name: number.to_string() })?;
    Ok(user(source, &record, Shown { groups: true, roles: true }))
}

/// The account as the owner of a token. authentik's clients want one: where the caller may know nothing of it, it is
/// one that says nothing.
pub(super) fn owner(source: &impl RepresentationSource, number: AccountNumber) -> Result<User, ChangeError> {
    let viewer = source.viewer();
    if viewer.sees(ObjectReference::Account(number)) {
        return shown(source, number);
    }
    let at = Timestamp::from_unix_seconds(0);
    let (number_of_none, kind) = (AccountNumber::new(0), AccountKind::ServiceAccount);
    let nobody = Account::new(number_of_none, String::new(), kind, Origin::Unknown, at);
    let hidden = match source.account(number)? {
        Some(own) if viewer.names(ObjectReference::Account(number)) => {
            Account { number, username: own.username, uuid: own.uuid, kind: own.kind, ..nobody }
        }
        _ => Account { uuid: Uuid::nil(), ..nobody },
    };
    let shown = user(source, &hidden, Shown { groups: false, roles: false });
    Ok(User { groups: Vec::new(), roles: Vec::new(), last_login: None, is_superuser: false, ..shown })
}

/// The record of an account as it is answered.
pub(super) fn user(source: &impl RepresentationSource, record: &Account, shown: Shown) -> User {
    let accounts = source.accounts();
    let viewer = source.viewer();
    let state = accounts.account(record.number);
    let groups = state.map(|state| state.groups.iter()).into_iter().flatten();
    let groups = groups.filter(|group| viewer.names(ObjectReference::Group(**group)));
    let groups: Vec<_> = groups.filter_map(|group| accounts.group(*group)).collect();
    let roles = record.roles.iter().filter(|role| viewer.names(ObjectReference::Role(**role)));
    let roles: Vec<_> = roles.filter_map(|role| accounts.role(*role)).collect();
    User {
        pk: record.number.get(),
        username: record.username.clone(),
        name: record.name.clone(),
        is_active: record.is_active,
        last_login: last_login(source, record.number),
        date_joined: Time(record.created),
        is_superuser: state.is_some_and(|state| accounts.is_superuser(state)),
        groups: groups.iter().map(|group| group.uuid).collect(),
        groups_obj: shown.groups.then(|| groups.iter().map(|group| partial::group(group)).collect()),
        roles: roles.iter().map(|role| role.uuid).collect(),
        roles_obj: shown.roles.then(|| roles.iter().map(|role| role::shown(role)).collect()),
        email: record.email.clone(),
        avatar: String::new(),
        attributes: source.attributes(&record.attributes, &record.attribute_forms),
        uid: record.uuid.simple().to_string(),
        path: path_of(record).to_owned(),
        kind: record.kind,
        uuid: record.uuid,
        password_change_date: Time(
            record.password.as_ref().map_or(record.created, |password| password.changed),
        ),
        last_updated: Time(record.modified),
        foreign_credentials: None,
        shared_values: None,
    }
}

/// The kinds of accounts, as they are named.
pub(super) fn kinds(_: &mut SchemaGenerator) -> Schema {
    one_of(&AccountKind::ALL.map(AccountKind::as_str))
}

/// Where authentik's clients file an account: where they have said, else where those of its kind are.
pub(super) fn path_of(account: &Account) -> &str {
    if account.path.is_empty() { usual_path(account.kind) } else { &account.path }
}

fn usual_path(kind: AccountKind) -> &'static str {
    match kind {
        AccountKind::Internal | AccountKind::External => "users",
        AccountKind::ServiceAccount => "goauthentik.io/service-accounts",
        AccountKind::InternalServiceAccount => "goauthentik.io/outposts",
    }
}

/// What a request says, with numbers in place of UUIDs, for the account that is there.
fn changes(
    source: &impl RepresentationSource,
    request: PatchedUserRequest,
    before: Option<&AccountState>,
) -> Result<AccountChanges, ChangeError> {
    let is_so = before.map(|before| source.accounts().is_superuser(before));
    if request.is_superuser.is_some() && request.is_superuser != is_so {
        let message = "an account is a superuser by its groups: put it into one with `is_superuser`";
        source.noting(Err::<(), _>(ChangeError::field("is_superuser", message)))?;
    }
    // It would be read back as the usual one.
    if request.path.as_deref() == Some("") {
        let message = "no path is empty: leave it out, or write it such as users/berlin";
        source.noting(Err::<(), _>(ChangeError::field("path", message)))?;
    }
    let (groups, roles) = before.map(|before| (&*before.groups, &*before.roles)).unwrap_or_default();
    let groups = request.groups.map(|given| group::numbers(source, "groups", &given, groups)).transpose();
    let roles = request.roles.map(|given| role::numbers(source, &given, roles)).transpose();
    let (groups, roles) = (source.noting(groups)?.flatten(), source.noting(roles)?.flatten());
    let attributes = source.noting(request.attributes.map(attributes::read).transpose())?.flatten();
    let (attributes, attribute_forms) = attributes.unzip();
    let attribute_forms = attribute_forms.unwrap_or_default();
    Ok(AccountChanges {
        username: request.username,
        kind: request.kind,
        name: request.name,
        email: request.email,
        is_active: request.is_active,
        attributes,
        attribute_forms,
        groups,
        roles,
        grants: None,
        password: None,
        path: request.path,
        drops_password: request.drops_password == Some(true),
    })
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
            shared_values: None,
        };
        let shown = format!("{made:?}");
        assert!(shown.contains("portal-app-password") && !shown.contains("a secret"), "{shown}");
    }
}
