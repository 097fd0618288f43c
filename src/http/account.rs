//! `POST /local/account/…`: accounts are activated, deactivated and deleted.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::error::Problem;
use super::json::Body;
use super::{Doer, actor};
use crate::registry::Registry;
use crate::registry::commands::{AccountChanges, account_named, delete_account, update_account};

/// Lets an account bind, or forbids it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveRequest {
    /// Its name.
    pub username: String,
    /// Whether it may.
    pub is_active: bool,
}

/// Deletes an account with its tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteRequest {
    /// Its name.
    pub username: String,
}

pub(super) async fn set_active(
    State(registry): State<Arc<Registry>>,
    Body(ActiveRequest { username, is_active }): Body<ActiveRequest>,
) -> Result<Json<()>, Problem> {
    let changes = AccountChanges { is_active: Some(is_active), ..AccountChanges::default() };
    let changed = registry.change(actor(Doer::CommandLine), move |transaction| {
        let number = account_named(transaction, &username)?;
        update_account(transaction, number, changes)
    });
    Ok(Json(changed.await?))
}

pub(super) async fn delete(
    State(registry): State<Arc<Registry>>,
    Body(request): Body<DeleteRequest>,
) -> Result<Json<()>, Problem> {
    let deleted = registry.change(actor(Doer::CommandLine), move |transaction| {
        let number = account_named(transaction, &request.username)?;
        delete_account(transaction, number)
    });
    Ok(Json(deleted.await?))
}
