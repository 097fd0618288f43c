//! Why a request was not carried out, in a form that the command turns back into its exit code.

use std::error::Error;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::registry::{ChangeError, SeedProblem};
use crate::store::StoreError;

/// The body of every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    pub kind: ProblemKind,
    /// Sentences for the operator, each about one thing.
    pub messages: Vec<String>,
    /// The same, of a seed: with the objects that they are about, for whoever knows where these stand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seed: Vec<SeedProblem>,
}

/// The kinds of problems that a command tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// What is asked for cannot be.
    Invalid,
    /// Something that is named does not exist.
    NotFound,
    /// Something of this name exists already.
    Exists,
    /// The rules of the product forbid it.
    Refused,
    /// The directory has changed since the command looked.
    Conflict,
    /// Too many changes wait.
    Busy,
    /// The store cannot be used as it is.
    StoreUnusable,
    /// The store did not take the change.
    Store,
    /// The store failed in a way that leaves open whether it took the change.
    StoreStopped,
    /// A secret could not be made or hashed.
    Secret,
    /// The server is going down.
    ShuttingDown,
    /// The command met an error of bindery's own.
    Panicked,
    /// The writer has ended, which leaves open whether the change was made.
    WriterStopped,
    /// The server does not understand the command: they are of different versions.
    BadRequest,
}

impl ProblemKind {
    /// Its name, as it travels.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::NotFound => "not_found",
            Self::Exists => "exists",
            Self::Refused => "refused",
            Self::Busy => "busy",
            Self::Conflict => "conflict",
            Self::StoreUnusable => "store_unusable",
            Self::Store => "store",
            Self::StoreStopped => "store_stopped",
            Self::Secret => "secret",
            Self::ShuttingDown => "shutting_down",
            Self::Panicked => "panicked",
            Self::WriterStopped => "writer_stopped",
            Self::BadRequest => "bad_request",
        }
    }

    /// The status of an answer that tells of it.
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Exists | Self::Conflict => StatusCode::CONFLICT,
            Self::Refused => StatusCode::FORBIDDEN,
            Self::StoreUnusable | Self::Store | Self::StoreStopped => StatusCode::INSUFFICIENT_STORAGE,
            Self::Secret | Self::Panicked | Self::WriterStopped => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Busy | Self::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
            Self::BadRequest => StatusCode::BAD_REQUEST,
        }
    }
}

impl Problem {
    /// With one sentence.
    pub fn one(kind: ProblemKind, message: impl Into<String>) -> Self {
        Self { kind, messages: vec![message.into()], seed: Vec::new() }
    }

    /// Something that does not exist.
    pub(super) fn not_found(kind: &'static str, name: &str) -> Self {
        Self::from(ChangeError::NotFound { kind, name: name.to_owned() })
    }
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        let kind = match &error {
            ChangeError::Invalid(_)
            | ChangeError::Seed(_)
            | ChangeError::Field { .. }
            | ChangeError::Fields(_) => ProblemKind::Invalid,
            ChangeError::NotFound { .. } | ChangeError::NotKept { .. } => ProblemKind::NotFound,
            ChangeError::Exists { .. } => ProblemKind::Exists,
            ChangeError::Refused(_) | ChangeError::Forbidden { .. } | ChangeError::NotAuthenticated(_) => {
                ProblemKind::Refused
            }
            ChangeError::Busy | ChangeError::TooManyEvents { .. } => ProblemKind::Busy,
            ChangeError::Conflict => ProblemKind::Conflict,
            ChangeError::Store(store) if store.is_unusable() => ProblemKind::StoreUnusable,
            ChangeError::Store(store) if matches!(**store, StoreError::Stopped { .. }) => {
                ProblemKind::StoreStopped
            }
            ChangeError::Store(_) => ProblemKind::Store,
            ChangeError::Secret(_) => ProblemKind::Secret,
            ChangeError::ShuttingDown => ProblemKind::ShuttingDown,
            ChangeError::Panicked => ProblemKind::Panicked,
            ChangeError::WriterStopped => ProblemKind::WriterStopped,
        };
        match error {
            ChangeError::Invalid(messages) => Self { kind, messages, seed: Vec::new() },
            ChangeError::Seed(problems) => {
                let messages = problems.iter().map(|problem| problem.sentence.clone()).collect();
                Self { kind, messages, seed: problems }
            }
            other => Self::one(kind, in_words(&other)),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.kind.status(), Json(self)).into_response()
    }
}

/// The answer for a path or a method that there is not.
pub(super) async fn no_such_path() -> Problem {
    Problem::one(
        ProblemKind::BadRequest,
        "the server does not know this request: server and command are of different versions",
    )
}

/// An error and its causes in one line.
pub fn in_words(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        // A transparent error says what its source says.
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_travel() {
        let problem = Problem::from(ChangeError::NotFound { kind: "account", name: "alice".to_owned() });
        let json = serde_json::to_value(&problem).unwrap_or_default();
        assert_eq!(json["kind"], "not_found");
        assert_eq!(serde_json::from_value::<Problem>(json).ok(), Some(problem));
        let many = Problem::from(ChangeError::Invalid(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(many.messages, ["a", "b"]);
    }
}
