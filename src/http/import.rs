//! `POST /local/import`: people and groups of another directory. The body is a line of JSON, [`ImportOptions`], and behind it
//! the file.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::{Extension, Json};
use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::sync::mpsc::{Receiver, channel};
use tokio_util::sync::CancellationToken;

use super::actor;
use super::error::{Problem, ProblemKind, in_words};
use crate::config::Limit;
use crate::model::{InternalAccount, SystemUser};
use crate::registry::{ImportOptions, ImportReport, Registry, Spool, SpoolError};

pub(super) async fn import(
    State(registry): State<Arc<Registry>>,
    user: Option<Extension<SystemUser>>,
    going_down: Option<Extension<CancellationToken>>,
    body: Body,
) -> Result<Json<ImportReport>, Problem> {
    let (options, spool) = receive(&registry, body).await?;
    let actor = actor(InternalAccount::Import, user.as_deref());
    let going_down = going_down.map(|Extension(token)| token).unwrap_or_default();
    Ok(Json(registry.import_file(actor, options, spool, &going_down).await?))
}

/// Keeps the file. What comes behind a mistake is taken and thrown away: who still sends does not listen.
async fn receive(registry: &Registry, mut body: Body) -> Result<(ImportOptions, Spool), Problem> {
    let spool = registry.spool().map_err(|error| refused(registry, &error))?;
    let (pieces, receiver) = channel(PIECES_WAITING_MAX);
    // It waits for the disk: no work for the threads of the network.
    let kept = tokio::task::spawn_blocking(move || keep(spool, receiver));
    let mut line = Vec::new();
    let mut has_options = false;
    while let Some(frame) = body.frame().await {
        let broken_off = |_| Problem::one(ProblemKind::BadRequest, "the file did not come to its end");
        let Ok(mut octets) = frame.map_err(broken_off)?.into_data() else { continue };
        if !has_options {
            let end = memchr::memchr(b'\n', &octets);
            let part = octets.split_to(end.map_or(octets.len(), |end| end + 1));
            if line.len() + part.len() <= OPTIONS_OCTETS_MAX {
                line.extend_from_slice(&part);
            }
            has_options = end.is_some();
        }
        // Nobody is left who takes it when the thread has panicked, which is told below.
        if !octets.is_empty() && pieces.send(octets).await.is_err() {
            break;
        }
    }
    drop(pieces);
    let kept = kept.await.map_err(|_| Problem::one(ProblemKind::Panicked, "the file was not kept"))?;
    let spool = kept.map_err(|error| refused(registry, &error))?;
    let options = serde_json::from_slice(&line).map_err(|_| {
        let message =
            "the server does not understand the request: server and command are of different versions";
        Problem::one(ProblemKind::BadRequest, message)
    })?;
    Ok((options, spool))
}

fn keep(mut spool: Spool, mut pieces: Receiver<Bytes>) -> Result<Spool, SpoolError> {
    let mut failed = None;
    while let Some(octets) = pieces.blocking_recv() {
        if failed.is_none() {
            failed = spool.write(&octets).err();
        }
    }
    failed.map_or(Ok(spool), Err)
}

fn refused(registry: &Registry, error: &SpoolError) -> Problem {
    let kind = match error {
        SpoolError::TooLarge { .. } => {
            registry.reached().note(Limit::import_size_max);
            ProblemKind::Invalid
        }
        SpoolError::Disk(_) => ProblemKind::Store,
    };
    Problem::one(kind, format!("{}; nothing was changed", in_words(error)))
}

/// Pieces that wait for the disk; then nothing more is taken from the connection.
const PIECES_WAITING_MAX: usize = 4;
/// What a line of options is at most.
const OPTIONS_OCTETS_MAX: usize = 1024 * 1024;
