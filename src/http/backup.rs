//! `POST /local/backup`: the store as an archive, streamed while changes go on.

use std::io;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::error::{Problem, ProblemKind};
use super::json::Body;
use super::pieces::streamed;
use crate::model::SystemUser;
use crate::registry::Registry;
use crate::seldom::Seldom;

/// Which backup is wanted.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct BackupRequest {
    /// Whether the key that chosen secrets are found by is to be in it.
    pub with_keys: bool,
}

pub(super) async fn backup(
    State(registry): State<Arc<Registry>>,
    user: Option<Extension<SystemUser>>,
    Body(BackupRequest { with_keys }): Body<BackupRequest>,
) -> Result<Response, Problem> {
    let keys = if with_keys { Some(registry.finding_key_file().map_err(no_keys)?) } else { None };
    Ok(streamed(Seldom::BackupEnded, move |output| {
        let written = registry.store().write_archive(output, keys.as_ref());
        let meta = written.map_err(io::Error::other)?;
        let uid = user.map(|user| user.uid);
        tracing::info!(revision = meta.revision, with_keys, uid, "a backup was given to the operator");
        Ok(())
    }))
}

fn no_keys(reason: String) -> Problem {
    Problem::one(ProblemKind::Secret, format!("no backup with keys can be made: {reason}"))
}
