//! The body of a request as JSON, with a refusal that the command can show.

use axum::extract::{FromRequest, Json, Request};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;

use super::BODY_OCTETS_MAX;
use super::error::{Problem, ProblemKind};

/// A request's body.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(Problem::one(
                ProblemKind::Invalid,
                format!("the request is larger than {BODY_OCTETS_MAX} octets"),
            )),
            // The rejection quotes values of the body, and one of them may be a secret.
            Err(_) => Err(Problem::one(
                ProblemKind::BadRequest,
                "the server does not understand the request: server and command are of different versions",
            )),
        }
    }
}
