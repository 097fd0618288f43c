//! `POST /local/import/…`: people and groups of another directory, batch by batch.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};

use super::actor;
use super::error::Problem;
use super::json::Body;
use crate::model::{InternalAccount, SystemUser};
use crate::registry::{ImportEntry, ImportLayout, ImportOptions, ImportReport, Registry};

/// Some entries of an import: accounts first, then groups, then members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportBatch {
    /// As for the preparation.
    pub options: ImportOptions,
    pub entries: Vec<ImportEntry>,
}

pub(super) async fn prepare(
    State(registry): State<Arc<Registry>>,
    user: Option<Extension<SystemUser>>,
    Body(options): Body<ImportOptions>,
) -> Result<Json<ImportLayout>, Problem> {
    Ok(Json(registry.prepare_import(actor(InternalAccount::Import, user.as_deref()), options).await?))
}

pub(super) async fn batch(
    State(registry): State<Arc<Registry>>,
    user: Option<Extension<SystemUser>>,
    Body(ImportBatch { options, entries }): Body<ImportBatch>,
) -> Result<Json<ImportReport>, Problem> {
    Ok(Json(registry.import(actor(InternalAccount::Import, user.as_deref()), options, entries).await?))
}
