//! JSON of the commands: the body of a request, with a refusal that the command can show, and a long answer. A seed of many
//! objects is read and told on a thread that may take its time, and not on one of the network, which is LDAP's too.

use axum::body::Bytes;
use axum::extract::{FromRequest, Json, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::task::spawn_blocking;

use super::error::{Problem, ProblemKind};
use super::{BODY_OCTETS_MAX, HERE_OCTETS_MAX};

/// A request's body.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned + Send + 'static, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let octets = Bytes::from_request(request, state).await.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                let message = format!("the request is larger than {BODY_OCTETS_MAX} octets");
                Problem::one(ProblemKind::Invalid, message)
            } else {
                not_understood()
            }
        })?;
        let is_small = octets.len() <= HERE_OCTETS_MAX;
        let read = move || serde_json::from_slice(&octets).ok();
        let read = if is_small { read() } else { spawn_blocking(read).await.ok().flatten() };
        read.map(Self).ok_or_else(not_understood)
    }
}

/// What is wrong is not told: it quotes values of the body, and one of them may be a secret.
fn not_understood() -> Problem {
    let message = "the server does not understand the request: server and command are of different versions";
    Problem::one(ProblemKind::BadRequest, message)
}

/// The answer that `make` makes, which may be long.
///
/// # Errors
/// `make` has panicked.
pub(super) async fn written<T: Serialize>(
    make: impl FnOnce() -> T + Send + 'static,
) -> Result<Response, Problem> {
    let written = spawn_blocking(move || Json(make()).into_response()).await;
    written.map_err(|_| Problem::one(ProblemKind::Panicked, "the answer was not written"))
}
