//! `POST /local/account/…`: accounts are activated, deactivated and deleted.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::error::Problem;
use super::json::Body;
use super::{Doer, actor};
use crate::registry::Registry;

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
    Ok(Json(registry.set_account_active(actor(Doer::CommandLine), username, is_active).await?))
}

pub(super) async fn delete(
    State(registry): State<Arc<Registry>>,
    Body(request): Body<DeleteRequest>,
) -> Result<Json<()>, Problem> {
    Ok(Json(registry.delete_account(actor(Doer::CommandLine), request.username).await?))
}
