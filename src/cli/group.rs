//! `bindery group`: groups one at a time, and who is in them.

use axum::http::Method;
use serde_json::{Map, Value};

use super::arguments::{DirectoryArguments, ReadingArguments};
use super::attribute::{self, AttributeArguments};
use super::backend::{Absent, Backend};
use super::confirm::ConfirmArguments;
use super::failure::Failure;
use super::grant::{self, GrantArguments, Holder};
use super::member::{self, MemberOf};
use super::output::{Output, Stream, fields, table, yes_no};
use super::told::tell_shared;
use crate::http::api::Group;

/// Groups, and who is in them
#[derive(Debug, clap::Subcommand)]
pub(super) enum GroupCommand {
    /// Make a group
    Create(Box<CreateArguments>),
    /// List groups
    List(ListArguments),
    /// Show a group with its members, roles and attributes
    Show(ShowArguments),
    /// Change a group
    Set(Box<SetArguments>),
    /// Put an account into a group
    Add(MemberArguments),
    /// Take an account out of a group
    Remove(MemberArguments),
    /// Grant a permission to the members of a group, globally or on one object
    Grant(GroupGrantArguments),
    /// Take a permission from a group
    Ungrant(GroupGrantArguments),
    /// Delete a group; its members stay
    Delete(DeleteArguments),
}

#[derive(Debug, clap::Args)]
pub(super) struct CreateArguments {
    /// Its name, unique
    name: String,
    #[command(flatten)]
    described: DescribedArguments,
    #[command(flatten)]
    directory: DirectoryArguments,
}

/// What can be said of a group.
#[derive(Debug, clap::Args)]
struct DescribedArguments {
    /// A group that it is in; given several times for several. In `set`: all of them, "" for none
    #[arg(long = "parent", value_name = "GROUP")]
    parents: Vec<String>,
    /// A role of its members; given several times for several. In `set`: all of them, "" for none
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// Whether its members, direct or nested, may do everything
    #[arg(long, value_name = "true|false")]
    superuser: Option<bool>,
    #[command(flatten)]
    attributes: AttributeArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct ListArguments {
    /// Only those in whose name all of these words stand
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only those that this account is in directly
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    #[command(flatten)]
    directory: ReadingArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct SetArguments {
    /// The group
    name: String,
    /// Give it another name
    #[arg(long, value_name = "NAME")]
    rename: Option<String>,
    #[command(flatten)]
    described: DescribedArguments,
    #[command(flatten)]
    confirm: ConfirmArguments,
    #[command(flatten)]
    directory: DirectoryArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct NamedGroup {
    /// The group
    name: String,
    #[command(flatten)]
    directory: DirectoryArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct ShowArguments {
    /// The group
    name: String,
    #[command(flatten)]
    directory: ReadingArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct MemberArguments {
    /// The group
    group: String,
    /// The account
    account: String,
    #[command(flatten)]
    confirm: ConfirmArguments,
    #[command(flatten)]
    directory: DirectoryArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct GroupGrantArguments {
    /// The group
    group: String,
    #[command(flatten)]
    grant: GrantArguments,
    #[command(flatten)]
    directory: DirectoryArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct DeleteArguments {
    #[command(flatten)]
    group: NamedGroup,
    #[command(flatten)]
    confirm: ConfirmArguments,
}

pub(super) async fn run(command: GroupCommand, output: Output) -> Result<(), Failure> {
    match command {
        GroupCommand::Create(arguments) => create(*arguments, output).await,
        GroupCommand::List(arguments) => list(arguments, output).await,
        GroupCommand::Show(group) => show(group, output).await,
        GroupCommand::Set(arguments) => set(*arguments, output).await,
        GroupCommand::Add(arguments) => set_member(arguments, true, output).await,
        GroupCommand::Remove(arguments) => set_member(arguments, false, output).await,
        GroupCommand::Grant(arguments) => set_grant(arguments, true, output).await,
        GroupCommand::Ungrant(arguments) => set_grant(arguments, false, output).await,
        GroupCommand::Delete(arguments) => delete(arguments, output).await,
    }
}

async fn create(arguments: CreateArguments, output: Output) -> Result<(), Failure> {
    let CreateArguments { name, described, directory } = arguments;
    let group: Group = directory
        .with(Absent::Fail, async |backend| {
            let mut body = described.body(backend, &Map::new()).await?;
            body.insert("name".to_owned(), name.into());
            backend.post(&["core", "groups"], &body).await
        })
        .await?;
    tell_shared(group.shared_values.as_ref(), output);
    output.result(&group, || format!("created {}", group.name))
}

async fn list(arguments: ListArguments, output: Output) -> Result<(), Failure> {
    let ListArguments { search, account, directory } = arguments;
    let mut query = vec![("ordering", "name"), ("include_users", "false"), ("include_parents", "true")];
    query.extend(search.as_deref().map(|search| ("search", search)));
    query.extend(account.as_deref().map(|account| ("members_by_username", account)));
    let groups: Vec<Group> =
        directory.with(async |backend| backend.read_all(&["core", "groups"], &query).await).await?;
    output.result(&groups, || {
        let rows = groups.iter().map(|group| {
            vec![
                group.name.clone(),
                group.users.len().to_string(),
                yes_no(group.is_superuser),
                group.roles_obj.iter().map(|role| role.name.as_str()).collect::<Vec<_>>().join(", "),
                group
                    .parents_obj
                    .iter()
                    .flatten()
                    .map(|group| group.name.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
            ]
        });
        let header = ["NAME", "MEMBERS", "SUPERUSER", "ROLES", "IN GROUPS"];
        table(&header, rows.collect(), Some(Stream::Output))
    })
}

async fn show(named: ShowArguments, output: Output) -> Result<(), Failure> {
    let query = [
        ("name", named.name.as_str()),
        ("include_parents", "true"),
        ("include_children", "true"),
        ("include_inherited_roles", "true"),
    ];
    let group: Group = named
        .directory
        .with(async |backend| backend.one(&["core", "groups"], &query, "group", &named.name).await)
        .await?;
    output.result(&group, || {
        let names = |names: Vec<&str>| names.join(", ");
        let related = |groups: &Option<Vec<crate::http::api::RelatedGroup>>| {
            groups.iter().flatten().map(|group| group.name.clone()).collect::<Vec<_>>().join(", ")
        };
        let mut lines = vec![
            ("name".to_owned(), group.name.clone()),
            ("number".to_owned(), group.num_pk.to_string()),
            ("uuid".to_owned(), group.pk.to_string()),
            ("superuser".to_owned(), yes_no(group.is_superuser)),
            (
                "members".to_owned(),
                names(group.users_obj.iter().flatten().map(|user| user.username.as_str()).collect()),
            ),
            ("groups in it".to_owned(), related(&group.children_obj)),
            ("in groups".to_owned(), related(&group.parents_obj)),
            ("roles".to_owned(), names(group.roles_obj.iter().map(|role| role.name.as_str()).collect())),
            (
                "inherited roles".to_owned(),
                names(group.inherited_roles_obj.iter().flatten().map(|role| role.name.as_str()).collect()),
            ),
        ];
        lines.extend(attribute::in_words(&group.attributes));
        fields(&lines)
    })
}

async fn set(arguments: SetArguments, output: Output) -> Result<(), Failure> {
    let SetArguments { name, rename, described, confirm, directory } = arguments;
    let group: Group = directory
        .with(Absent::Fail, async |backend| {
            let group = backend.group_named(&name).await?;
            let mut body = described.body(backend, &group.attributes).await?;
            if let Some(rename) = rename {
                body.insert("name".to_owned(), rename.into());
            }
            if body.is_empty() {
                return Err(Failure::usage(
                    "nothing to change: give --rename, --parent, --role, --superuser or --attribute",
                ));
            }
            let pk = group.pk.to_string();
            let path = ["core", "groups", &pk];
            backend.ask_about(Method::PATCH, &path, &body, confirm, output).await?;
            backend.patch(&path, &body).await
        })
        .await?;
    output.result(&group, || format!("changed {}", group.name))
}

async fn set_member(arguments: MemberArguments, is_member: bool, output: Output) -> Result<(), Failure> {
    let MemberArguments { group, account, confirm, directory } = arguments;
    member::set_member(MemberOf::Group(group), &account, is_member, (confirm, directory), output).await
}

async fn set_grant(arguments: GroupGrantArguments, granted: bool, output: Output) -> Result<(), Failure> {
    let GroupGrantArguments { group, grant, directory } = arguments;
    grant::set(Holder::Group(group), &grant, granted, directory, output).await
}

async fn delete(arguments: DeleteArguments, output: Output) -> Result<(), Failure> {
    let DeleteArguments { group: NamedGroup { name, directory }, confirm } = arguments;
    let name = directory
        .with(Absent::Fail, async |backend| {
            let group = backend.group_named(&name).await?;
            let members = group.users.len();
            confirm.ask(&format!("Delete the group {} of {members} accounts?", group.name), output)?;
            backend.delete(&["core", "groups", &group.pk.to_string()]).await?;
            Ok(group.name)
        })
        .await?;
    output.done("group", &name, "deleted")
}

impl DescribedArguments {
    /// What is said, as the API takes it.
    async fn body(
        &self,
        backend: &mut Backend,
        present: &Map<String, Value>,
    ) -> Result<Map<String, Value>, Failure> {
        let mut body = Map::new();
        if !self.parents.is_empty() {
            let mut parents = Vec::new();
            for parent in self.parents.iter().filter(|parent| !parent.is_empty()) {
                parents.push(Value::String(backend.group_named(parent).await?.pk.to_string()));
            }
            body.insert("parents".to_owned(), parents.into());
        }
        if !self.roles.is_empty() {
            let mut roles = Vec::new();
            for role in self.roles.iter().filter(|role| !role.is_empty()) {
                roles.push(Value::String(backend.role_named(role).await?.pk.to_string()));
            }
            body.insert("roles".to_owned(), roles.into());
        }
        if let Some(superuser) = self.superuser {
            body.insert("is_superuser".to_owned(), superuser.into());
        }
        if let Some(attributes) = self.attributes.over(present)? {
            body.insert("attributes".to_owned(), attributes.into());
        }
        Ok(body)
    }
}
