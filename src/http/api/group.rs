//! `core/groups/`: groups, nested, with roles.

use std::collections::BTreeSet;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::answer::WrittenPage;
use super::attributes::{self, AttributesFilter};
use super::by_uuid;
use super::call::Call;
use super::object;
use super::ordered::SortKey;
use super::partial::{self, PartialUser};
use super::reading::{Reading, RepresentationSource};
use super::refusal::CallRefusal;
use super::role::{self, Role};
use super::route::{NoContent, NoParameters};
use super::told::{ForeignCredentials, SharedValues, Told};
use super::used_by::{UsedBy, UsedByAction};
use super::value::{Required, RequiredFields};
use crate::directory::{Accounts, GroupState, name_key};
use crate::model::{self, AccountNumber, BindingSubject, GroupNumber, ObjectReference, Permission};
use crate::registry::commands::{GroupChanges, create_group, delete_group, set_member, update_group};
use crate::registry::{ChangeError, Transaction};

/// A group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Group {
    /// Its UUID.
    pub pk: Uuid,
    /// Its number.
    pub num_pk: u32,
    /// Its name.
    pub name: String,
    /// Whether its members, direct or nested, may do everything.
    pub is_superuser: bool,
    /// The groups that it is in directly, as far as the caller may view them.
    pub parents: Vec<Uuid>,
    /// The same with their names; `null` when they were not asked for.
    pub parents_obj: Option<Vec<RelatedGroup>>,
    /// The accounts that are directly in it, as far as the caller may view them.
    pub users: Vec<u32>,
    /// The same as they are, 1,000 at most; `null` when they were not asked for.
    pub users_obj: Option<Vec<PartialUser>>,
    /// Free attributes of its entry.
    pub attributes: Map<String, Value>,
    /// The roles of its members, as far as the caller may view them.
    pub roles: Vec<Uuid>,
    /// The same with their names.
    pub roles_obj: Vec<Role>,
    /// The roles that its members get through the groups that it is in; `null` when they were not asked for.
    pub inherited_roles_obj: Option<Vec<Role>>,
    /// The groups that are directly in it, as far as the caller may view them.
    pub children: Vec<Uuid>,
    /// The same with their names; `null` when they were not asked for.
    pub children_obj: Option<Vec<RelatedGroup>>,
    /// Credentials that others have made, of accounts that get rights by the change; bindery's own. Absent: there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign_credentials: Option<ForeignCredentials>,
    /// Objects that clients could take for it, or it for them, since the change; bindery's own. Absent: there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_values: Option<SharedValues>,
}

/// A group that another is in, or that is in another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RelatedGroup {
    /// Its UUID.
    pub pk: Uuid,
    /// Its name.
    pub name: String,
    /// Whether its members may do everything.
    pub is_superuser: bool,
    /// Free attributes of its entry.
    pub attributes: Map<String, Value>,
    /// Its UUID once more.
    pub group_uuid: Uuid,
}

/// What is said of a group that is made or changed; what is absent stays.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PatchedGroupRequest {
    pub name: Option<String>,
    pub is_superuser: Option<bool>,
    pub parents: Option<Vec<Uuid>>,
    pub users: Option<Vec<u32>>,
    pub attributes: Option<Map<String, Value>>,
    pub roles: Option<Vec<Uuid>>,
}

impl RequiredFields for PatchedGroupRequest {
    const REQUIRED: &'static [&'static str] = &["name"];
}

/// An account that joins a group, or leaves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UserAccountRequest {
    pub pk: u32,
}

/// Which groups are asked for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct GroupQuery {
    attributes: Option<String>,
    include_children: Option<bool>,
    include_inherited_roles: Option<bool>,
    include_parents: Option<bool>,
    include_users: Option<bool>,
    is_superuser: Option<bool>,
    members_by_pk: Vec<u32>,
    members_by_username: Vec<String>,
    name: Option<String>,
}

/// What is to be shown with a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct ShownQuery {
    include_children: Option<bool>,
    include_inherited_roles: Option<bool>,
    include_parents: Option<bool>,
    include_users: Option<bool>,
}

impl ShownQuery {
    /// After a change everything is shown that a client may look at.
    const ALL: Self = Self {
        include_children: Some(true),
        include_inherited_roles: Some(true),
        include_parents: Some(true),
        include_users: Some(true),
    };

    /// Where that is too large for an answer.
    const ITSELF: Self = Self {
        include_children: Some(false),
        include_inherited_roles: Some(false),
        include_parents: Some(false),
        include_users: Some(false),
    };

    fn users(self) -> bool {
        self.include_users != Some(false)
    }

    fn children(self) -> bool {
        self.include_children == Some(true)
    }

    fn parents(self) -> bool {
        self.include_parents == Some(true)
    }

    fn inherited_roles(self) -> bool {
        self.include_inherited_roles == Some(true)
    }
}

pub(super) fn list(reading: &Reading, query: GroupQuery) -> Result<WrittenPage<Group>, CallRefusal> {
    let accounts = reading.accounts();
    let wanted = AttributesFilter::read(query.attributes.as_deref())?;
    let mut members: BTreeSet<AccountNumber> =
        query.members_by_pk.iter().copied().map(AccountNumber::new).collect();
    let named = query.members_by_username.iter().filter_map(|name| accounts.account_named(name));
    members.extend(named.map(|account| account.number));
    members.retain(|member| reading.may_view(ObjectReference::Account(*member)));
    let by_member = !query.members_by_pk.is_empty() || !query.members_by_username.is_empty();
    let asked = ShownQuery {
        include_children: query.include_children,
        include_inherited_roles: query.include_inherited_roles,
        include_parents: query.include_parents,
        include_users: query.include_users,
    };
    let mut found: Vec<Arc<GroupState>> = Vec::new();
    for group in reading.walk(accounts.groups()) {
        let passes = reading.may_view(ObjectReference::Group(group.number))
            && query.is_superuser.is_none_or(|wanted| wanted == group.is_superuser)
            && query.name.as_deref().is_none_or(|name| name_key(name) == name_key(&group.name))
            && (!by_member || members.iter().any(|member| group.has_member(*member)))
            && reading.page.finds([&*group.name]);
        if !passes {
            continue;
        }
        if let Some(wanted) = &wanted {
            let record = reading.group(group.number)?;
            if !record.is_some_and(|record| wanted.is_held_by(&record.attributes)) {
                continue;
            }
        }
        found.push(Arc::clone(group));
    }
    reading.order(&mut found, |field, group| match field {
        "name" => Some(SortKey::name(&group.name)),
        "num_pk" => Some(SortKey::number(group.number.get())),
        "pk" | "group_uuid" => Some(SortKey::Uuid(group.uuid)),
        "is_superuser" => Some(SortKey::number(group.is_superuser)),
        _ => None,
    })?;
    let mut shown_users = 0;
    reading.cut(&found, |group| {
        let group = shown(reading, group.number, asked)?;
        // What the caller may not view is not shown, and does not count.
        shown_users += group.users_obj.as_ref().map_or(0, Vec::len);
        if shown_users > PAGE_USERS_SHOWN_MAX {
            return Err(CallRefusal::field(
                "include_users",
                format!(
                    "the groups of this page have more than {PAGE_USERS_SHOWN_MAX} members: ask with \
                     include_users=false, or for a smaller page"
                ),
            ));
        }
        Ok(group)
    })
}

pub(super) async fn create(call: Call, request: Required<PatchedGroupRequest>) -> Result<Group, CallRefusal> {
    let Required(mut request) = request;
    let name = request.name.take().unwrap_or_default();
    call.require(Permission::AddGroup)?;
    let made = call.change(move |transaction| {
        let changes = changes(transaction, request, None)?;
        let number = create_group(transaction, name, changes)?;
        Ok((number, Told::of(transaction)))
    });
    let (number, told) = made.await?;
    after(call, number, told).await
}

pub(super) fn retrieve(reading: &Reading, query: ShownQuery) -> Result<Group, CallRefusal> {
    let group = by_uuid::group(reading.accounts(), reading.parameter("group_uuid")?)
        .ok_or_else(CallRefusal::not_found)?;
    reading.require_view(ObjectReference::Group(group.number))?;
    Ok(shown(reading, group.number, query)?)
}

pub(super) async fn update(call: Call, request: PatchedGroupRequest) -> Result<Group, CallRefusal> {
    let uuid = call.parameter("group_uuid")?;
    let found = by_uuid::group(call.registry.snapshot().accounts(), uuid).map(|group| group.number);
    let number = found.ok_or_else(CallRefusal::not_found)?;
    call.require_on(Permission::ChangeGroup, ObjectReference::Group(number))?;
    let changed = call.change(move |transaction| {
        let before = transaction.snapshot().accounts().group(number).cloned();
        let changes = changes(transaction, request, before.as_deref())?;
        update_group(transaction, number, changes)?;
        Ok(Told::of(transaction))
    });
    let told = changed.await?;
    after(call, number, told).await
}

/// The group as it is after a change, with what whoever makes it is told: read behind the commit, as it may have many
/// members.
async fn after(call: Call, number: GroupNumber, told: Told) -> Result<Group, CallRefusal> {
    let read = call.read(move |reading| {
        reading.room.bound(true);
        let whole = shown(reading, number, ShownQuery::ALL);
        let is_exceeded = reading.room.is_exceeded();
        // The change is made, and told as that.
        reading.room.bound(false);
        if !is_exceeded {
            return whole;
        }
        drop(whole);
        reading.room.let_go(0);
        shown(reading, number, ShownQuery::ITSELF)
    });
    let group = read.await?;
    let Told { foreign_credentials, shared_values, .. } = told;
    Ok(Group { foreign_credentials, shared_values, ..group })
}

pub(super) async fn destroy(call: Call) -> Result<NoContent, CallRefusal> {
    let uuid = call.parameter("group_uuid")?;
    let found = by_uuid::group(call.registry.snapshot().accounts(), uuid).map(|group| group.number);
    let number = found.ok_or_else(CallRefusal::not_found)?;
    call.change_in_parts(move |transaction| delete_group(transaction, number)).await?;
    Ok(NoContent)
}

pub(super) async fn add_user(call: Call, request: UserAccountRequest) -> Result<NoContent, CallRefusal> {
    set_user(call, request, true).await
}

pub(super) async fn remove_user(call: Call, request: UserAccountRequest) -> Result<NoContent, CallRefusal> {
    set_user(call, request, false).await
}

async fn set_user(
    call: Call,
    request: UserAccountRequest,
    is_member: bool,
) -> Result<NoContent, CallRefusal> {
    let uuid = call.parameter("group_uuid")?;
    call.change(move |transaction| {
        let number = number(transaction, uuid)?;
        set_member(transaction, number, AccountNumber::new(request.pk), is_member)
    })
    .await?;
    Ok(NoContent)
}

pub(super) fn used_by(reading: &Reading, _: NoParameters) -> Result<Vec<UsedBy>, CallRefusal> {
    let accounts = reading.accounts();
    let group =
        by_uuid::group(accounts, reading.parameter("group_uuid")?).ok_or_else(CallRefusal::not_found)?;
    reading.require_view(ObjectReference::Group(group.number))?;
    let members = group.members().filter_map(|member| accounts.account_of_entry(member));
    let members = members.map(|account| ObjectReference::Account(account.number));
    let children = children(accounts, group).into_iter();
    let joined = members.chain(children.map(|child| ObjectReference::Group(child.number)));
    let joined = reading.walk(joined).filter_map(|on| UsedBy::of(reading, on, UsedByAction::CascadeMany));
    let named = BindingSubject::Group(group.number);
    let applications = reading
        .walk(accounts.applications())
        .filter(|application| application.bindings.iter().any(|binding| binding.subject == named))
        .map(|application| ObjectReference::Application(application.number))
        .filter_map(|on| UsedBy::of(reading, on, UsedByAction::LeftDangling));
    Ok(joined.chain(applications.map(UsedBy::preventing)).collect())
}

/// The group as it is now, with the members, parents, children and roles that the caller may view.
fn shown(
    source: &impl RepresentationSource,
    number: GroupNumber,
    asked: ShownQuery,
) -> Result<Group, ChangeError> {
    let accounts = source.accounts();
    let (Some(record), Some(state)) = (source.group(number)?, accounts.group(number)) else {
        return Err(ChangeError::NotFound { kind: "group", name: number.to_string() });
    };
    let viewer = source.viewer();
    let members: Vec<AccountNumber> =
        members(accounts, state).filter(|member| viewer.names(ObjectReference::Account(*member))).collect();
    let users_obj = match asked.users() {
        true => {
            // The caller knows itself by its number; to look at itself it needs what others need.
            let known = members.iter().filter(|member| viewer.sees(ObjectReference::Account(**member)));
            let known = known.take(USERS_SHOWN_MAX);
            let users: Result<Vec<_>, ChangeError> =
                known.filter_map(|member| partial::user(source, *member).transpose()).collect();
            Some(users?)
        }
        false => None,
    };
    let is_known = |group: &&Arc<GroupState>| viewer.names(ObjectReference::Group(group.number));
    let parents = state.parents.iter().filter_map(|parent| accounts.group(*parent));
    let parents: Vec<_> = parents.filter(is_known).collect();
    let mut children = children(accounts, state);
    children.retain(is_known);
    let related = |groups: &[&Arc<GroupState>]| -> Result<Vec<RelatedGroup>, ChangeError> {
        groups.iter().filter_map(|group| related(source, group).transpose()).collect()
    };
    let roles = state.roles.iter().filter(|number| viewer.names(ObjectReference::Role(**number)));
    let roles: Vec<&Arc<model::Role>> = roles.filter_map(|number| accounts.role(*number)).collect();
    Ok(Group {
        pk: state.uuid,
        num_pk: number.get(),
        name: record.name,
        is_superuser: state.is_superuser,
        parents: parents.iter().map(|group| group.uuid).collect(),
        parents_obj: if asked.parents() { Some(related(&parents)?) } else { None },
        users: members.iter().map(|member| member.get()).collect(),
        users_obj,
        attributes: source.attributes(&record.attributes, &record.attribute_forms),
        roles: roles.iter().map(|role| role.uuid).collect(),
        roles_obj: roles.iter().map(|role| role::shown(role)).collect(),
        inherited_roles_obj: asked.inherited_roles().then(|| inherited_roles(source, state)),
        children: children.iter().map(|group| group.uuid).collect(),
        children_obj: if asked.children() { Some(related(&children)?) } else { None },
        foreign_credentials: None,
        shared_values: None,
    })
}

fn inherited_roles(source: &impl RepresentationSource, state: &GroupState) -> Vec<Role> {
    let (accounts, viewer) = (source.accounts(), source.viewer());
    let above = state.closure.iter().filter(|number| **number != state.number);
    let numbers: BTreeSet<_> = above
        .filter_map(|number| accounts.group(*number))
        .flat_map(|group| group.roles.iter().copied())
        .collect();
    let numbers = numbers.into_iter().filter(|number| viewer.names(ObjectReference::Role(*number)));
    numbers.filter_map(|number| accounts.role(number)).map(|role| role::shown(role)).collect()
}

fn members<'a>(accounts: &'a Accounts, state: &'a GroupState) -> impl Iterator<Item = AccountNumber> + 'a {
    let members = state.members().filter_map(|member| accounts.account_of_entry(member));
    members.map(|account| account.number)
}

fn children<'a>(accounts: &'a Accounts, state: &GroupState) -> Vec<&'a Arc<GroupState>> {
    state.members().filter_map(|member| accounts.group_of_entry(member)).collect()
}

/// The group as it stands in another; `None`: it has gone since.
fn related(
    source: &impl RepresentationSource,
    state: &GroupState,
) -> Result<Option<RelatedGroup>, ChangeError> {
    let Some(record) = source.group(state.number)? else { return Ok(None) };
    Ok(Some(RelatedGroup {
        pk: state.uuid,
        name: state.name.to_string(),
        is_superuser: state.is_superuser,
        attributes: source.attributes(&record.attributes, &record.attribute_forms),
        group_uuid: state.uuid,
    }))
}

/// The numbers of groups that a field of a request names, where these are present: those that the caller may not view
/// do not exist for it, and stay.
pub(super) fn numbers(
    source: &impl RepresentationSource,
    field: &'static str,
    uuids: &[Uuid],
    present: &[GroupNumber],
) -> Result<Vec<GroupNumber>, ChangeError> {
    let all = source.accounts().groups().map(|group| (group.uuid, group.number));
    object::numbers(source, (field, "group"), uuids, present, all, ObjectReference::Group)
}

/// The same of accounts, which are named by their numbers.
fn account_numbers(
    source: &impl RepresentationSource,
    given: Vec<u32>,
    before: Option<&GroupState>,
) -> Result<Vec<AccountNumber>, ChangeError> {
    let (accounts, viewer) = (source.accounts(), source.viewer());
    let number = |given: u32| {
        let number = AccountNumber::new(given);
        let is_known = viewer.names(ObjectReference::Account(number)) && accounts.account(number).is_some();
        let unknown = || ChangeError::field("users", format!("there is no account {number}"));
        if is_known { Ok(number) } else { Err(unknown()) }
    };
    let given = given.into_iter().map(number).collect::<Result<_, _>>()?;
    let present = before.into_iter().flat_map(|before| members(accounts, before));
    Ok(viewer.kept(present, given, ObjectReference::Account))
}

/// The number of a group in the path.
pub(super) fn number(transaction: &Transaction<'_>, uuid: Uuid) -> Result<GroupNumber, ChangeError> {
    let found = by_uuid::group(transaction.snapshot().accounts(), uuid).map(|group| group.number);
    found.ok_or_else(|| ChangeError::NotFound { kind: "group", name: uuid.to_string() })
}

/// What a request says, with numbers in place of UUIDs, for the group that is there.
fn changes(
    source: &impl RepresentationSource,
    request: PatchedGroupRequest,
    before: Option<&GroupState>,
) -> Result<GroupChanges, ChangeError> {
    let (parents, roles) = before.map(|before| (&*before.parents, &*before.roles)).unwrap_or_default();
    let parents = request.parents.map(|given| numbers(source, "parents", &given, parents)).transpose();
    let members = request.users.map(|given| account_numbers(source, given, before)).transpose();
    let roles = request.roles.map(|given| role::numbers(source, &given, roles)).transpose();
    let attributes = request.attributes.map(attributes::read).transpose();
    let (attributes, attribute_forms) = source.noting(attributes)?.flatten().unzip();
    let attribute_forms = attribute_forms.unwrap_or_default();
    Ok(GroupChanges {
        name: request.name,
        is_superuser: request.is_superuser,
        parents: source.noting(parents)?.flatten(),
        members: source.noting(members)?.flatten(),
        roles: source.noting(roles)?.flatten(),
        grants: None,
        attributes,
        attribute_forms,
    })
}

/// Members that are shown whole with a group; `users` has them all.
/// No limit of the config: nothing is out of reach: `users` has them all.
const USERS_SHOWN_MAX: usize = 1_000;
/// The same for a whole page of a list.
/// No limit of the config: nothing is out of reach: `users` has them all.
const PAGE_USERS_SHOWN_MAX: usize = 20_000;
