//! `bindery grant`: permissions that an account holds directly; and what grants to roles have in common with them.

use axum::http::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::arguments::{OpeningArguments, PlaceArguments, ReadingArguments};
use super::backend::{Absent, Backend};
use super::confirm::ConfirmArguments;
use super::failure::Failure;
use super::output::{Output, Stream, table};
use crate::config::{BadReference, SeedReference};
use crate::http::api::{
    ExtraRoleObjectPermission, ModelPermission, ObjectPermission, PatchedPermissionAssignRequest, Permission,
    UserAssignedObjectPermission,
};
use crate::model;

/// Permissions that an account holds directly
#[derive(Debug, clap::Subcommand)]
pub(super) enum GrantCommand {
    /// Grant a permission to an account, globally or on one object
    Add(AccountGrantArguments),
    /// Take a permission from an account
    Remove(AccountGrantArguments),
    /// List what accounts hold directly, or what can be granted
    List(ListArguments),
}

/// A permission, globally or on one object.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct GrantArguments {
    /// The permission, such as search_full_directory; `bindery grant list --all` shows them
    #[arg(value_parser = permission)]
    permission: model::Permission,
    /// The one object that it is about, such as provider:ldap or group:engineering; without it: all of them
    #[arg(long, value_name = "KIND:NAME", value_parser = reference)]
    on: Option<SeedReference>,
    #[command(flatten)]
    confirm: ConfirmArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct AccountGrantArguments {
    /// The account
    account: String,
    #[command(flatten)]
    grant: GrantArguments,
    #[command(flatten)]
    directory: OpeningArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct ListArguments {
    /// Only what this account holds
    account: Option<String>,
    /// All permissions that there are, instead of those that are held
    #[arg(long, conflicts_with = "account")]
    all: bool,
    #[command(flatten)]
    directory: ReadingArguments,
}

/// A permission that is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Held {
    permission: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object_pk: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
}

impl Held {
    /// `search_full_directory on ldapprovider ldap`
    pub(super) fn in_words(&self) -> String {
        let object = self.object.as_ref().or(self.object_pk.as_ref());
        match (&self.model, object) {
            (Some(model), Some(object)) => format!("{} on {model} {object}", self.permission),
            _ => self.permission.clone(),
        }
    }

    fn globally(app_label: &str, codename: &str) -> Self {
        Self { permission: format!("{app_label}.{codename}"), model: None, object_pk: None, object: None }
    }

    fn on_object(
        app_label: &str,
        codename: &str,
        model: String,
        object_pk: String,
        object: Option<String>,
    ) -> Self {
        Self { model: Some(model), object_pk: Some(object_pk), object, ..Self::globally(app_label, codename) }
    }
}

/// Who is granted something, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Holder {
    /// An account, directly.
    Account(String),
    /// The members of a group.
    Group(String),
    Role(String),
}

impl Holder {
    /// It as it is written where it is kept, with the place of its grants in the API.
    async fn found(self, backend: &mut Backend) -> Result<(Self, &'static str, String), Failure> {
        Ok(match self {
            Self::Account(name) => {
                let user = backend.user_named(&name).await?;
                (Self::Account(user.username), "assigned_by_users", user.pk.to_string())
            }
            Self::Group(name) => {
                let group = backend.group_named(&name).await?;
                (Self::Group(group.name), "assigned_by_groups", group.pk.to_string())
            }
            Self::Role(name) => {
                let role = backend.role_named(&name).await?;
                (Self::Role(role.name), "assigned_by_roles", role.pk.to_string())
            }
        })
    }

    fn name(&self) -> &str {
        match self {
            Self::Account(name) | Self::Group(name) | Self::Role(name) => name,
        }
    }
}

#[derive(Serialize)]
struct Done<'a> {
    #[serde(flatten)]
    holder: &'a Holder,
    permission: &'a str,
    done: &'a str,
}

#[derive(Serialize)]
struct OfAccount {
    account: String,
    permissions: Vec<Held>,
}

pub(super) async fn run(
    command: GrantCommand,
    place: &PlaceArguments,
    output: Output,
) -> Result<(), Failure> {
    match command {
        GrantCommand::Add(arguments) => set_for_account(arguments, true, place, output).await,
        GrantCommand::Remove(arguments) => set_for_account(arguments, false, place, output).await,
        GrantCommand::List(arguments) if arguments.all => list_all(arguments, place, output).await,
        GrantCommand::List(arguments) => list(arguments, place, output).await,
    }
}

async fn set_for_account(
    arguments: AccountGrantArguments,
    granted: bool,
    place: &PlaceArguments,
    output: Output,
) -> Result<(), Failure> {
    let AccountGrantArguments { account, grant, directory } = arguments;
    set(Holder::Account(account), &grant, granted, directory, place, output).await
}

/// Grants a permission to `holder`, or takes it.
pub(super) async fn set(
    holder: Holder,
    grant: &GrantArguments,
    granted: bool,
    directory: OpeningArguments,
    place: &PlaceArguments,
    output: Output,
) -> Result<(), Failure> {
    let holder = directory
        .with(place, Absent::Fail, async |backend| {
            let (holder, list, pk) = holder.found(backend).await?;
            grant.set(backend, &["rbac", "permissions", list, &pk], granted, output).await?;
            Ok(holder)
        })
        .await?;
    let (name, permission) = (holder.name(), grant.in_words());
    let directly = if matches!(holder, Holder::Account(_)) { " directly" } else { "" };
    let (done, sentence) = match granted {
        true => ("granted", format!("{name} has {permission}")),
        false => ("ungranted", format!("{name} does not have {permission}{directly}")),
    };
    output.result(&Done { holder: &holder, permission: &permission, done }, || sentence)
}

async fn list_all(arguments: ListArguments, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    let permissions: Vec<Permission> = arguments
        .directory
        .with(place, async |backend| backend.read_all(&["rbac", "permissions"], &[]).await)
        .await?;
    output.result(&permissions, || {
        let rows = permissions.iter().map(|permission| {
            let name = format!("{}.{}", permission.app_label, permission.codename);
            vec![name, permission.model_verbose.clone(), permission.name.clone()]
        });
        table(&["PERMISSION", "ABOUT", "ALLOWS TO"], rows.collect(), Some(Stream::Output))
    })
}

async fn list(arguments: ListArguments, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    let ListArguments { account, directory, .. } = arguments;
    let found = directory
        .with(place, async |backend| {
            let account = match &account {
                Some(account) => Some(backend.user_named(account).await?.username),
                None => None,
            };
            held_by_accounts(backend, account.as_deref()).await
        })
        .await?;
    output.result(&found, || {
        let rows = found.iter().flat_map(|account| {
            account.permissions.iter().map(|held| vec![account.account.clone(), held.in_words()])
        });
        table(&["ACCOUNT", "PERMISSION"], rows.collect(), Some(Stream::Output))
    })
}

/// What accounts hold directly, or one of them.
async fn held_by_accounts(backend: &mut Backend, account: Option<&str>) -> Result<Vec<OfAccount>, Failure> {
    let mut found: Vec<OfAccount> = Vec::new();
    for model in models() {
        let mut query = vec![("model", model.as_str())];
        query.extend(account.map(|account| ("search", account)));
        let path = ["rbac", "permissions", "assigned_by_users"];
        let holders: Vec<UserAssignedObjectPermission> = backend.read_all(&path, &query).await?;
        for holder in holders.into_iter().filter(|holder| account.is_none_or(|name| name == holder.username))
        {
            let held = of_model(holder.object_permissions, holder.model_permissions);
            match found.iter_mut().find(|account| account.account == holder.username) {
                Some(account) => account.permissions.extend(held),
                None => found.push(OfAccount { account: holder.username, permissions: held.collect() }),
            }
        }
    }
    found.sort_by(|one, other| one.account.cmp(&other.account));
    Ok(found)
}

fn of_model(on_objects: Vec<ObjectPermission>, globally: Vec<ModelPermission>) -> impl Iterator<Item = Held> {
    let globally = globally.into_iter().map(|held| Held::globally(&held.app_label, &held.codename));
    let on_objects = on_objects.into_iter().map(|held| {
        Held::on_object(&held.app_label, &held.codename, held.model, held.object_pk, held.object_description)
    });
    globally.chain(on_objects)
}

/// What a role holds.
pub(super) async fn held_by_role(backend: &mut Backend, pk: &str) -> Result<Vec<Held>, Failure> {
    let globally: Vec<Permission> = backend.read_all(&["rbac", "permissions"], &[("role", pk)]).await?;
    let on_objects: Vec<ExtraRoleObjectPermission> =
        backend.read_all(&["rbac", "permissions", "roles"], &[("uuid", pk)]).await?;
    let globally = globally.into_iter().map(|held| Held::globally(&held.app_label, &held.codename));
    let on_objects = on_objects.into_iter().map(|held| {
        Held::on_object(&held.app_label, &held.codename, held.model, held.object_pk, held.object_description)
    });
    Ok(globally.chain(on_objects).collect())
}

impl GrantArguments {
    /// Grants it to whom the path names, or takes it.
    async fn set(
        &self,
        backend: &mut Backend,
        path: &[&str],
        granted: bool,
        output: Output,
    ) -> Result<(), Failure> {
        let mut request = PatchedPermissionAssignRequest {
            permissions: Some(vec![self.permission.to_string()]),
            ..PatchedPermissionAssignRequest::default()
        };
        if let Some(on) = &self.on {
            let (model, pk) = backend.object_named(on).await?;
            request.model = Some(model.to_owned());
            request.object_pk = Some(pk);
        }
        let mut path = path.to_vec();
        path.push(if granted { "assign" } else { "unassign" });
        match granted {
            true => {
                backend.ask_about(Method::POST, &path, &request, self.confirm, output).await?;
                backend.post::<Value>(&path, &request).await.map(drop)
            }
            false => backend.patch::<Value>(&path, &request).await.map(drop),
        }
    }

    /// `authentik_core.view_user on account:alice`
    fn in_words(&self) -> String {
        match &self.on {
            Some(on) => format!("{} on {}:{}", self.permission, on.kind.as_str(), on.name),
            None => self.permission.to_string(),
        }
    }
}

/// The models that there are permissions about.
fn models() -> Vec<String> {
    let mut models: Vec<String> = model::Permission::ALL
        .iter()
        .map(|permission| format!("{}.{}", permission.label(), permission.model()))
        .collect();
    models.sort();
    models.dedup();
    models
}

fn permission(text: &str) -> Result<model::Permission, String> {
    text.parse().map_err(|error: model::UnknownPermission| {
        format!("{error}; `bindery grant list --all` shows those that there are")
    })
}

fn reference(text: &str) -> Result<SeedReference, String> {
    text.parse().map_err(|error: BadReference| error.to_string())
}
