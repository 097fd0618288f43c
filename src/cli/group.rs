//! `bindery group`: groups one at a time, and who is in them.

use axum::http::Method;
use serde_json::{Map, Value};

use super::arguments::{OpeningArguments, PlaceArguments, ReadingArguments};
use super::attribute::{self, AttributeArguments};
use super::backend::{Absent, Backend};
use super::confirm::ConfirmArguments;
use super::failure::Failure;
use super::grant::{self, GrantArguments, Holder};
use super::member::{self, MemberOf};
use super::output::{Output, Stream, fields, table, yes_no};
use super::told::tell_shared;
use crate::http::api::{Group, PatchedGroupRequest};

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
    directory: OpeningArguments,
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
    directory: OpeningArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct NamedGroup {
    /// The group
    name: String,
    #[command(flatten)]
    directory: OpeningArguments,
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
    directory: OpeningArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct GroupGrantArguments {
    /// The group
    group: String,
    #[command(flatten)]
    grant: GrantArguments,
    #[command(flatten)]
    directory: OpeningArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct DeleteArguments {
    #[command(flatten)]
    group: NamedGroup,
    #[command(flatten)]
    confirm: ConfirmArguments,
}

pub(super) async fn run(
    command: GroupCommand,
    place: &PlaceArguments,
    output: Output,
) -> Result<(), Failure> {
    match command {
        GroupCommand::Create(arguments) => create(*arguments, place, output).await,
        GroupCommand::List(arguments) => list(arguments, place, output).await,
        GroupCommand::Show(group) => show(group, place, output).await,
        GroupCommand::Set(arguments) => set(*arguments, place, output).await,
        GroupCommand::Add(arguments) => set_member(arguments, true, place, output).await,
        GroupCommand::Remove(arguments) => set_member(arguments, false, place, output).await,
        GroupCommand::Grant(arguments) => set_grant(arguments, true, place, output).await,
        GroupCommand::Ungrant(arguments) => set_grant(arguments, false, place, output).await,
        GroupCommand::Delete(arguments) => delete(arguments, place, output).await,
    }
}

async fn create(arguments: CreateArguments, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    let CreateArguments { name, described, directory } = arguments;
    let group: Group = directory
        .with(place, Absent::Fail, async |backend| {
            let described = described.request(backend, &Map::new()).await?;
            let request = PatchedGroupRequest { name: Some(name), ..described };
            backend.post(&["core", "groups"], &request).await
        })
        .await?;
    tell_shared(group.shared_values.as_ref(), output);
    output.result(&group, || format!("created {}", group.name))
}

async fn list(arguments: ListArguments, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    let ListArguments { search, account, directory } = arguments;
    let mut query = vec![("ordering", "name"), ("include_users", "false"), ("include_parents", "true")];
    query.extend(search.as_deref().map(|search| ("search", search)));
    query.extend(account.as_deref().map(|account| ("members_by_username", account)));
    let groups: Vec<Group> = directory
        .with(place, async |backend| {
            if let Some(account) = &account {
                backend.user_named(account).await?;
            }
            backend.read_all(&["core", "groups"], &query).await
        })
        .await?;
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

async fn show(named: ShowArguments, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    let query = [
        ("name", named.name.as_str()),
        ("include_parents", "true"),
        ("include_children", "true"),
        ("include_inherited_roles", "true"),
    ];
    let group: Group = named
        .directory
        .with(place, async |backend| backend.one(&["core", "groups"], &query, "group", &named.name).await)
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

async fn set(arguments: SetArguments, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    let SetArguments { name, rename, described, confirm, directory } = arguments;
    let group: Group = directory
        .with(place, Absent::Fail, async |backend| {
            let group = backend.group_named(&name).await?;
            let described = described.request(backend, &group.attributes).await?;
            let request = PatchedGroupRequest { name: rename, ..described };
            if request == PatchedGroupRequest::default() {
                return Err(Failure::usage(
                    "nothing to change: give --rename, --parent, --role, --superuser or --attribute",
                ));
            }
            let pk = group.pk.to_string();
            let path = ["core", "groups", &pk];
            backend.ask_about(Method::PATCH, &path, &request, confirm, output).await?;
            backend.patch(&path, &request).await
        })
        .await?;
    output.result(&group, || format!("changed {}", group.name))
}

async fn set_member(
    arguments: MemberArguments,
    is_member: bool,
    place: &PlaceArguments,
    output: Output,
) -> Result<(), Failure> {
    let MemberArguments { group, account, confirm, directory } = arguments;
    member::set_member(MemberOf::Group(group), &account, is_member, (confirm, directory), place, output).await
}

async fn set_grant(
    arguments: GroupGrantArguments,
    granted: bool,
    place: &PlaceArguments,
    output: Output,
) -> Result<(), Failure> {
    let GroupGrantArguments { group, grant, directory } = arguments;
    grant::set(Holder::Group(group), &grant, granted, directory, place, output).await
}

async fn delete(arguments: DeleteArguments, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    let DeleteArguments { group: NamedGroup { name, directory }, confirm } = arguments;
    let name = directory
        .with(place, Absent::Fail, async |backend| {
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
    async fn request(
        self,
        backend: &mut Backend,
        present: &Map<String, Value>,
    ) -> Result<PatchedGroupRequest, Failure> {
        let mut request = PatchedGroupRequest {
            is_superuser: self.superuser,
            attributes: self.attributes.over(present)?,
            ..PatchedGroupRequest::default()
        };
        // An empty name stands for none of them.
        for parent in &self.parents {
            let parents = request.parents.get_or_insert_default();
            if !parent.is_empty() {
                parents.push(backend.group_named(parent).await?.pk);
            }
        }
        for role in &self.roles {
            let roles = request.roles.get_or_insert_default();
            if !role.is_empty() {
                roles.push(backend.role_named(role).await?.pk);
            }
        }
        Ok(request)
    }
}
