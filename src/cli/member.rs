//! Accounts in groups, and holders of roles: one at a time.

use axum::http::Method;
use serde_json::json;

use super::arguments::{OpeningArguments, PlaceArguments};
use super::backend::Absent;
use super::confirm::ConfirmArguments;
use super::failure::Failure;
use super::output::Output;
use crate::http::api::UserAccountRequest;

/// What an account is put into or taken out of, by name.
pub(super) enum MemberOf {
    Group(String),
    /// Its members hold it.
    Role(String),
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
    let (kind, yes, no) = match &of {
        MemberOf::Group(_) => ("group", "is in", "is no longer in"),
        MemberOf::Role(_) => ("role", "holds", "no longer holds"),
    };
    let (name, account) = directory
        .with(place, Absent::Fail, async |backend| {
            let (name, [area, list], pk) = match &of {
                MemberOf::Group(name) => {
                    let group = backend.group_named(name).await?;
                    (group.name, ["core", "groups"], group.pk.to_string())
                }
                MemberOf::Role(name) => {
                    let role = backend.role_named(name).await?;
                    (role.name, ["rbac", "roles"], role.pk.to_string())
                }
            };
            let user = backend.user_named(account).await?;
            let path = [area, list, &pk, if is_member { "add_user" } else { "remove_user" }];
            // Roles take the same.
            let request = UserAccountRequest { pk: user.pk };
            if is_member {
                backend.ask_about(Method::POST, &path, &request, confirm, output).await?;
            }
            backend.post::<()>(&path, &request).await?;
            Ok((name, user.username))
        })
        .await?;
    let (done, relation) = if is_member { ("added", yes) } else { ("removed", no) };
    let document = json!({ kind: name, "account": account, "done": done });
    output.result(&document, || format!("{account} {relation} {name}"))
}
