//! `bindery role`: named sets of permissions, and who holds them.

use serde::Serialize;

use super::arguments::{OpeningArguments, PlaceArguments, ReadingArguments};
use super::backend::Absent;
use super::confirm::ConfirmArguments;
use super::failure::Failure;
use super::grant::{self, GrantArguments, Held, Holder, held_by_role};
use super::member::{self, MemberOf};
use super::output::{Output, Stream, fields, table};
use crate::http::api::{PatchedRoleRequest, Role, User};

/// Roles: named sets of permissions, and who holds them
#[derive(Debug, clap::Subcommand)]
pub(super) enum RoleCommand {
    /// Make a role that allows nothing yet
    Create(NamedRole),
    /// List roles
    List(ListArguments),
    /// Show a role with what it allows, and who holds it directly
    Show(ShowArguments),
    /// Give a role another name
    Rename(RenameArguments),
    /// Give an account a role
    Add(HolderArguments),
    /// Take a role from an account
    Remove(HolderArguments),
    /// Grant a permission to a role, globally or on one object
    Grant(RoleGrantArguments),
    /// Take a permission from a role
    Ungrant(RoleGrantArguments),
    /// Delete a role, and take it from all who hold it
    Delete(DeleteArguments),
}

#[derive(Debug, clap::Args)]
pub(super) struct ListArguments {
    /// Only those in whose name all of these words stand
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    #[command(flatten)]
    directory: ReadingArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct NamedRole {
    /// The role
    name: String,
    #[command(flatten)]
    directory: OpeningArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct ShowArguments {
    /// The role
    name: String,
    #[command(flatten)]
    directory: ReadingArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct RenameArguments {
    /// The role
    name: String,
    /// Its new name
    new: String,
    #[command(flatten)]
    directory: OpeningArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct HolderArguments {
    /// The role
    role: String,
    /// The account
    account: String,
    #[command(flatten)]
    confirm: ConfirmArguments,
    #[command(flatten)]
    directory: OpeningArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct RoleGrantArguments {
    /// The role
    role: String,
    #[command(flatten)]
    grant: GrantArguments,
    #[command(flatten)]
    directory: OpeningArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct DeleteArguments {
    #[command(flatten)]
    role: NamedRole,
    #[command(flatten)]
    confirm: ConfirmArguments,
}

/// What `--json` shows of a role.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    role: Role,
    permissions: Vec<Held>,
    accounts: Vec<String>,
}

pub(super) async fn run(command: RoleCommand, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    match command {
        RoleCommand::Create(role) => create(role, place, output).await,
        RoleCommand::List(arguments) => list(arguments, place, output).await,
        RoleCommand::Show(role) => show(role, place, output).await,
        RoleCommand::Rename(arguments) => rename(arguments, place, output).await,
        RoleCommand::Add(arguments) => set_holder(arguments, true, place, output).await,
        RoleCommand::Remove(arguments) => set_holder(arguments, false, place, output).await,
        RoleCommand::Grant(arguments) => set_grant(arguments, true, place, output).await,
        RoleCommand::Ungrant(arguments) => set_grant(arguments, false, place, output).await,
        RoleCommand::Delete(arguments) => delete(arguments, place, output).await,
    }
}

async fn create(role: NamedRole, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    let NamedRole { name, directory } = role;
    let role: Role = directory
        .with(place, Absent::Fail, async |backend| {
            backend.post(&["rbac", "roles"], &PatchedRoleRequest { name: Some(name) }).await
        })
        .await?;
    output.result(&role, || format!("created {}", role.name))
}

async fn list(arguments: ListArguments, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    let mut query = vec![("ordering", "name")];
    query.extend(arguments.search.as_deref().map(|search| ("search", search)));
    let roles: Vec<Role> = arguments
        .directory
        .with(place, async |backend| backend.read_all(&["rbac", "roles"], &query).await)
        .await?;
    output.result(&roles, || {
        let rows = roles.iter().map(|role| vec![role.name.clone(), role.pk.to_string()]).collect();
        table(&["NAME", "UUID"], rows, Some(Stream::Output))
    })
}

async fn show(named: ShowArguments, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    let shown = named
        .directory
        .with(place, async |backend| {
            let role = backend.role_named(&named.name).await?;
            let pk = role.pk.to_string();
            let permissions = held_by_role(backend, &pk).await?;
            let query = [("roles_by_pk", pk.as_str()), ("ordering", "username")];
            let holders: Vec<User> = backend.read_all(&["core", "users"], &query).await?;
            let accounts = holders.into_iter().map(|user| user.username).collect();
            Ok(Shown { role, permissions, accounts })
        })
        .await?;
    output.result(&shown, || {
        let permissions: Vec<String> = shown.permissions.iter().map(Held::in_words).collect();
        fields(&[
            ("name".to_owned(), shown.role.name.clone()),
            ("uuid".to_owned(), shown.role.pk.to_string()),
            ("permissions".to_owned(), permissions.join(", ")),
            ("accounts".to_owned(), shown.accounts.join(", ")),
        ])
    })
}

async fn rename(arguments: RenameArguments, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    let RenameArguments { name, new, directory } = arguments;
    let role: Role = directory
        .with(place, Absent::Fail, async |backend| {
            let role = backend.role_named(&name).await?;
            backend
                .patch(&["rbac", "roles", &role.pk.to_string()], &PatchedRoleRequest { name: Some(new) })
                .await
        })
        .await?;
    output.result(&role, || format!("changed {}", role.name))
}

async fn set_holder(
    arguments: HolderArguments,
    holds: bool,
    place: &PlaceArguments,
    output: Output,
) -> Result<(), Failure> {
    let HolderArguments { role, account, confirm, directory } = arguments;
    member::set_member(MemberOf::Role(role), &account, holds, (confirm, directory), place, output).await
}

async fn set_grant(
    arguments: RoleGrantArguments,
    granted: bool,
    place: &PlaceArguments,
    output: Output,
) -> Result<(), Failure> {
    let RoleGrantArguments { role, grant, directory } = arguments;
    grant::set(Holder::Role(role), &grant, granted, directory, place, output).await
}

async fn delete(arguments: DeleteArguments, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    let DeleteArguments { role: NamedRole { name, directory }, confirm } = arguments;
    let name = directory
        .with(place, Absent::Fail, async |backend| {
            let role = backend.role_named(&name).await?;
            confirm
                .ask(&format!("Delete the role {}, and take it from all who hold it?", role.name), output)?;
            backend.delete(&["rbac", "roles", &role.pk.to_string()]).await?;
            Ok(role.name)
        })
        .await?;
    output.done("role", &name, "deleted")
}
