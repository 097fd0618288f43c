//! `POST /local/backup`: the store as an archive, streamed while changes go on.

use std::io;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::actor;
use super::error::{Problem, ProblemKind};
use super::json::Body;
use super::pieces::streamed;
use crate::model::{InternalAccount, SystemUser};
use crate::registry::Registry;
use crate::seldom::Seldom;

/// Which backup is wanted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BackupRequest {
    /// Where it goes, for the audit trail.
    pub to: String,
    /// Whether the key that chosen secrets are found by is to be in it.
    pub with_keys: bool,
}

pub(super) async fn backup(
    State(registry): State<Arc<Registry>>,
    user: Option<Extension<SystemUser>>,
    Body(BackupRequest { to, with_keys }): Body<BackupRequest>,
) -> Result<Response, Problem> {
    let keys = if with_keys { Some(registry.finding_key_file().map_err(no_keys)?) } else { None };
    let uid = user.as_ref().map(|user| user.uid);
    // Before the first octet; and of a store that takes no changes a backup is wanted all the more.
    let operator = actor(InternalAccount::CommandLine, user.as_deref());
    if let Err(error) = registry.note_backup(operator, to.clone(), with_keys).await {
        tracing::warn!(%error, to, with_keys, uid, "a backup is given away of which the audit trail cannot tell");
    }
    Ok(streamed(Seldom::BackupEnded, move |output| {
        let written = registry.store().write_archive(output, registry.clock().believed(), keys.as_ref());
        let meta = written.map_err(io::Error::other)?;
        tracing::info!(revision = meta.revision, with_keys, to, uid, "a backup was given to the operator");
        Ok(())
    }))
}

fn no_keys(reason: String) -> Problem {
    Problem::one(ProblemKind::Secret, format!("no backup with keys can be made: {reason}"))
}
