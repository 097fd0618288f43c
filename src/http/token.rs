//! `POST /local/token/…`: tokens are made, revoked and listed.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::error::Problem;
use super::json::Body;
use super::{Doer, actor};
use crate::registry::{CreatedToken, NewToken, Registry, TokenSummary};

/// Revokes a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokeRequest {
    /// Its identifier.
    pub identifier: String,
}

/// Lists tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListRequest {
    /// Those of one account; `None`: all.
    pub account: Option<String>,
}

pub(super) async fn create(
    State(registry): State<Arc<Registry>>,
    Body(new): Body<NewToken>,
) -> Result<Json<CreatedToken>, Problem> {
    Ok(Json(registry.create_token(actor(Doer::CommandLine), new).await?))
}

pub(super) async fn revoke(
    State(registry): State<Arc<Registry>>,
    Body(request): Body<RevokeRequest>,
) -> Result<Json<()>, Problem> {
    Ok(Json(registry.revoke_token(actor(Doer::CommandLine), request.identifier).await?))
}

pub(super) async fn list(
    State(registry): State<Arc<Registry>>,
    Body(request): Body<ListRequest>,
) -> Result<Json<Vec<TokenSummary>>, Problem> {
    Ok(Json(registry.list_tokens(request.account.as_deref())?))
}
