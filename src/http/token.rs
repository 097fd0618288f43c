//! `POST /local/token/…`: tokens are made, changed, rotated, viewed, revoked and listed.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::error::Problem;
use super::json::Body;
use super::{Doer, actor};
use crate::registry::{ChangeError, CreatedToken, NewToken, Registry, TokenChanges, TokenSummary};

/// Revokes a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokeRequest {
    /// Its identifier.
    pub identifier: String,
}

/// Changes a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateRequest {
    /// Its identifier.
    pub identifier: String,
    /// What is to become of it.
    pub changes: TokenChanges,
}

/// Puts a replacement in the place of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotateRequest {
    /// Its identifier.
    pub identifier: String,
    /// How long the old secret goes on working; `None`: as long as `rotation_overlap` says.
    pub overlap: Option<Duration>,
}

/// Shows the secret of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewKeyRequest {
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

pub(super) async fn update(
    State(registry): State<Arc<Registry>>,
    Body(UpdateRequest { identifier, changes }): Body<UpdateRequest>,
) -> Result<Json<()>, Problem> {
    Ok(Json(registry.update_token(actor(Doer::CommandLine), identifier, changes).await?))
}

pub(super) async fn rotate(
    State(registry): State<Arc<Registry>>,
    Body(RotateRequest { identifier, overlap }): Body<RotateRequest>,
) -> Result<Json<CreatedToken>, Problem> {
    let overlap = overlap.unwrap_or_else(|| registry.rotation_overlap());
    Ok(Json(registry.rotate_token(actor(Doer::CommandLine), identifier, overlap).await?))
}

/// Answers as for a token that was made: what the secret is of stands beside it.
pub(super) async fn view_key(
    State(registry): State<Arc<Registry>>,
    Body(ViewKeyRequest { identifier }): Body<ViewKeyRequest>,
) -> Result<Json<CreatedToken>, Problem> {
    let secret = registry.view_token_key(actor(Doer::CommandLine), identifier.clone()).await?;
    let snapshot = registry.snapshot();
    let accounts = snapshot.accounts();
    let token = accounts.token_named(&identifier).ok_or_else(|| Problem::not_found("token", &identifier))?;
    let owner = accounts.account(token.account);
    Ok(Json(CreatedToken {
        account: owner.map_or_else(|| token.account.to_string(), |owner| owner.username.to_string()),
        identifier,
        intent: token.intent,
        secret,
        expires: token.expires,
    }))
}

pub(super) async fn list(
    State(registry): State<Arc<Registry>>,
    Body(request): Body<ListRequest>,
) -> Result<Json<Vec<TokenSummary>>, Problem> {
    // There may be many tokens, and others wait for this thread.
    let listed = tokio::task::spawn_blocking(move || registry.list_tokens(request.account.as_deref())).await;
    Ok(Json(listed.unwrap_or(Err(ChangeError::Panicked))?))
}
