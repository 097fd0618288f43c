//! `POST /local/import`: people and groups of another directory. The body is a line of JSON, [`ImportOptions`], and behind it
//! the file.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::{Extension, Json};
use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::actor;
use super::error::{Problem, ProblemKind, in_words};
use crate::config::Limit;
use crate::model::{InternalAccount, SystemUser};
use crate::registry::{ChangeError, ImportOptions, ImportReport, Registry, Spool, SpoolError};

pub(super) async fn import(
    State(registry): State<Arc<Registry>>,
    user: Option<Extension<SystemUser>>,
    going_down: Option<Extension<CancellationToken>>,
    mut body: Body,
) -> Result<Json<ImportReport>, Problem> {
    let is_served = going_down.is_some();
    let going_down = going_down.map(|Extension(token)| token).unwrap_or_default();
    let received = receive(&registry, &mut body, &going_down).await;
    // A command that does this itself has nobody to listen to.
    if received.is_err() && is_served {
        tokio::spawn(take_rest(body, going_down.clone()));
    }
    let (options, spool) = received?;
    let actor = actor(InternalAccount::Import, user.as_deref());
    Ok(Json(registry.import_file(actor, options, spool, &going_down).await?))
}

/// Keeps the file.
async fn receive(
    registry: &Registry,
    body: &mut Body,
    going_down: &CancellationToken,
) -> Result<(ImportOptions, Spool), Problem> {
    let spool = registry.spool().map_err(|error| refused(registry, &error))?;
    let (pieces, receiver) = channel(PIECES_WAITING_MAX);
    // It waits for the disk: no work for the threads of the network.
    let kept = tokio::task::spawn_blocking(move || keep(spool, receiver));
    let mut line = Vec::new();
    let mut has_options = false;
    loop {
        let frame = tokio::select! {
            frame = body.frame() => frame,
            // It was given up, or the thread has panicked, which is told below.
            () = pieces.closed() => break,
            () = going_down.cancelled() => return Err(ChangeError::ShuttingDown.into()),
        };
        let Some(frame) = frame else { break };
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

/// Takes what comes behind a mistake and throws it away, for a while: who still sends may not listen yet, and would find the
/// connection broken in place of the answer.
async fn take_rest(mut body: Body, going_down: CancellationToken) {
    let rest = async { while let Some(Ok(_)) = body.frame().await {} };
    tokio::select! {
        // There may be no end to it.
        _ = timeout(REST_TIME_MAX, rest) => {}
        () = going_down.cancelled() => {}
    }
}

/// Writes what comes; at the first mistake the file is given up, and its space on the disk with it.
fn keep(mut spool: Spool, mut pieces: Receiver<Bytes>) -> Result<Spool, SpoolError> {
    while let Some(octets) = pieces.blocking_recv() {
        spool.write(&octets)?;
    }
    Ok(spool)
}

fn refused(registry: &Registry, error: &SpoolError) -> Problem {
    let kind = match error {
        SpoolError::TooLarge { .. } => {
            registry.reached().note(Limit::import_size_max);
            ProblemKind::Invalid
        }
        SpoolError::Disk(_) | SpoolError::Full(_) => ProblemKind::Store,
    };
    Problem::one(kind, format!("{}; nothing was changed", in_words(error)))
}

/// Pieces that wait for the disk; then nothing more is taken from the connection.
/// No limit of the config: who sends waits, and nobody else.
const PIECES_WAITING_MAX: usize = 4;
/// For how long that is taken which comes behind a mistake.
/// No limit of the config: a refusal is on its way already, to the operator alone.
const REST_TIME_MAX: Duration = Duration::from_secs(5);
/// What a line of options is at most.
/// No limit of the config: the form of the operator's own call gives it.
const OPTIONS_OCTETS_MAX: usize = 1024 * 1024;
