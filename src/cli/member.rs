//! Accounts in groups, and holders of roles: one at a time.

use std::collections::HashSet;

use axum::http::Method;
use serde_json::json;
use uuid::Uuid;

use super::arguments::{OpeningArguments, PlaceArguments};
use super::backend::{Absent, Backend};
use super::confirm::ConfirmArguments;
use super::failure::Failure;
use super::output::Output;
use crate::http::api::{Group, User, UserAccountRequest};

/// What an account is put into or taken out of, by name.
pub(super) enum MemberOf {
    Group(String),
    /// Its members hold it.
    Role(String),
}

impl MemberOf {
    /// Whether an account is in it, or holds it, directly.
    fn has(&self, user: &User, pk: Uuid) -> bool {
        match self {
            Self::Group(_) => user.groups.contains(&pk),
            Self::Role(_) => user.roles.contains(&pk),
        }
    }

    /// The group of the account by which it has it too: one that is in the group, or has the role.
    async fn through(&self, backend: &mut Backend, user: &User, pk: Uuid) -> Result<Option<Group>, Failure> {
        let is_of_it = |group: &&Uuid| matches!(self, Self::Role(_)) || **group != pk;
        let mut waiting: Vec<Uuid> = user.groups.iter().filter(is_of_it).copied().collect();
        let mut seen: HashSet<Uuid> = waiting.iter().copied().collect();
        while let Some(next) = waiting.pop() {
            let path = ["core", "groups", &next.to_string()];
            let group: Group = backend.read(&path, &[("include_users", "false")]).await?;
            let gives = if matches!(self, Self::Role(_)) { &group.roles } else { &group.parents };
            if gives.contains(&pk) {
                return Ok(Some(group));
            }
            waiting.extend(group.parents.iter().filter(|parent| seen.insert(**parent)));
        }
        Ok(None)
    }

    /// What is so now.
    fn in_words(
        &self,
        account: &str,
        name: &str,
        is_member: bool,
        was: bool,
        through: Option<&str>,
    ) -> String {
        let (yes, no_longer, not, still) = match self {
            Self::Group(_) => ("is in", "is no longer in", "is not in", "is in it"),
            Self::Role(_) => ("holds", "no longer holds", "does not hold", "holds it"),
        };
        match (is_member, was, through) {
            (true, false, _) => format!("{account} {yes} {name}"),
            (true, true, _) => format!("{account} {yes} {name} already"),
            (false, _, Some(group)) => {
                let no = if was { no_longer } else { not };
                format!("{account} {no} {name} directly, but {still} through the group {group}")
            }
            (false, true, None) => format!("{account} {no_longer} {name}"),
            (false, false, None) => format!("{account} {not} {name}"),
        }
    }
}

/// Puts an account into it, or takes it out.
pub(super) async fn set_member(
    of: MemberOf,
    account: &str,
    is_member: bool,
    (confirm, directory): (ConfirmArguments, OpeningArguments),
    place: &PlaceArguments,
    output: Output,
) -> Result<(), Failure> {
    let kind = match &of {
        MemberOf::Group(_) => "group",
        MemberOf::Role(_) => "role",
    };
    let (name, account, was, through) = directory
        .with(place, Absent::Fail, async |backend| {
            let (name, [area, list], pk) = match &of {
                MemberOf::Group(name) => {
                    let group = backend.group_named(name).await?;
                    (group.name, ["core", "groups"], group.pk)
                }
                MemberOf::Role(name) => {
                    let role = backend.role_named(name).await?;
                    (role.name, ["rbac", "roles"], role.pk)
                }
            };
            let user = backend.user_named(account).await?;
            let path = [area, list, &pk.to_string(), if is_member { "add_user" } else { "remove_user" }];
            // Roles take the same.
            let request = UserAccountRequest { pk: user.pk };
            if is_member {
                backend.ask_about(Method::POST, &path, &request, confirm, output).await?;
            }
            backend.post::<()>(&path, &request).await?;
            let through = if is_member { Ok(None) } else { of.through(backend, &user, pk).await };
            let was = of.has(&user, pk);
            Ok((name, user.username, was, through.map(|group| group.map(|group| group.name))))
        })
        .await?;
    // What was done is done, whatever can be read behind it.
    let through = through.unwrap_or_else(|failure| {
        let has = if matches!(of, MemberOf::Group(_)) { "is in" } else { "holds" };
        for reason in failure.messages {
            output.message(&format!(
                "warning: whether {account} {has} {name} through another group is not known: {reason}"
            ));
        }
        None
    });
    let done = if is_member { "added" } else { "removed" };
    let document = json!({ kind: name, "account": account, "done": done, "was": was, "through": through });
    output.result(&document, || of.in_words(&account, &name, is_member, was, through.as_deref()))
}
