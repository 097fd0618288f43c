//! Why a request was not carried out: what a command understands of it, and turns into its exit code. It travels as the API
//! says it to everybody ([`CallRefusal`](super::api::CallRefusal)).

use std::error::Error;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::api::{CallRefusal, DETAIL, NOT_KEPT, SEED, UNIQUE, WHOLE};
use crate::registry::{ChangeError, SeedProblem};
use crate::store::StoreError;

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub kind: ProblemKind,
    /// Sentences for the operator, each about one thing.
    pub messages: Vec<String>,
    /// The same, of a seed: with the objects that they are about, for whoever knows where these stand.
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
    #[cfg(test)]
    const ALL: [Self; 14] = [
        Self::Invalid,
        Self::NotFound,
        Self::Exists,
        Self::Refused,
        Self::Conflict,
        Self::Busy,
        Self::StoreUnusable,
        Self::Store,
        Self::StoreStopped,
        Self::Secret,
        Self::ShuttingDown,
        Self::Panicked,
        Self::WriterStopped,
        Self::BadRequest,
    ];

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
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Exists | Self::Conflict => StatusCode::CONFLICT,
            Self::Refused => StatusCode::FORBIDDEN,
            Self::StoreUnusable | Self::Store | Self::StoreStopped => StatusCode::INSUFFICIENT_STORAGE,
            Self::Secret | Self::Panicked | Self::WriterStopped => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Busy | Self::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
            Self::Invalid | Self::BadRequest => StatusCode::BAD_REQUEST,
        }
    }
}

impl Problem {
    /// With one sentence.
    pub fn one(kind: ProblemKind, message: impl Into<String>) -> Self {
        Self { kind, messages: vec![message.into()], seed: Vec::new() }
    }

    /// What an answer says that is no success. `None`: it was not bindery that said it.
    pub fn read(status: StatusCode, body: &[u8]) -> Option<Self> {
        let Ok(Value::Object(mut body)) = serde_json::from_slice(body) else { return None };
        let code = body.remove("code").unwrap_or_default();
        let seed = body.remove(SEED).map(serde_json::from_value).transpose().ok()?.unwrap_or_default();
        let kind = match (ProblemKind::deserialize(&code), code.as_str()) {
            (Ok(kind), _) => kind,
            (Err(_), Some(UNIQUE)) => ProblemKind::Exists,
            // No right would show it.
            (Err(_), Some(NOT_KEPT)) => ProblemKind::NotFound,
            (Err(_), _) => match status {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ProblemKind::Refused,
                StatusCode::TOO_MANY_REQUESTS => ProblemKind::Busy,
                StatusCode::INTERNAL_SERVER_ERROR => ProblemKind::Panicked,
                status if status.is_client_error() => ProblemKind::BadRequest,
                _ => return None,
            },
        };
        Some(Self { kind, messages: sentences(&body), seed })
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
            ChangeError::Busy | ChangeError::TooOften { .. } => ProblemKind::Busy,
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
            ChangeError::Fields(wrong) => Self {
                kind,
                messages: wrong.into_iter().map(|(_, message)| message).collect(),
                seed: Vec::new(),
            },
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
        CallRefusal::from(self).into_response()
    }
}

/// One sentence for each thing that the body of an answer says.
fn sentences(body: &Map<String, Value>) -> Vec<String> {
    let mut sentences = Vec::new();
    for (field, said) in body {
        let said = said.as_array().map_or(std::slice::from_ref(said), Vec::as_slice);
        for message in said.iter().filter_map(Value::as_str) {
            sentences.push(match field.as_str() {
                DETAIL | WHOLE => message.to_owned(),
                field => format!("{field}: {message}"),
            });
        }
    }
    sentences
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
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    async fn travelled(problem: Problem) -> Option<Problem> {
        let response = problem.into_response();
        let (status, body) = (response.status(), response.into_body());
        Problem::read(status, &axum::body::to_bytes(body, usize::MAX).await.unwrap())
    }

    #[tokio::test]
    async fn what_is_wrong_travels_whole() {
        for kind in ProblemKind::ALL {
            let problem = Problem::one(kind, "a sentence\nof two lines");
            assert_eq!(travelled(problem.clone()).await, Some(problem));
        }
        let many = Problem::from(ChangeError::Invalid(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(many.messages, ["a", "b"]);
        assert_eq!(travelled(many.clone()).await, Some(many));
        let seed = SeedProblem { object: None, field: None, sentence: "c".to_owned() };
        let of_seed = Problem::from(ChangeError::Seed(vec![seed]));
        assert_eq!((of_seed.messages.len(), of_seed.seed.len()), (1, 1));
        assert_eq!(travelled(of_seed.clone()).await, Some(of_seed));
    }

    #[test]
    fn what_the_api_says_is_understood() {
        let read = |status, body: &str| {
            Problem::read(status, body.as_bytes()).map(|problem| (problem.kind, problem.messages.join("|")))
        };
        let problem = |kind, sentences: &str| Some((kind, sentences.to_owned()));
        assert_eq!(
            read(StatusCode::BAD_REQUEST, r#"{"name":["is empty","is no name"],"code":"invalid"}"#),
            problem(ProblemKind::Invalid, "name: is empty|name: is no name")
        );
        assert_eq!(
            read(StatusCode::BAD_REQUEST, r#"{"name":["is taken"],"code":"unique"}"#),
            problem(ProblemKind::Exists, "name: is taken")
        );
        assert_eq!(
            read(StatusCode::NOT_FOUND, r#"{"detail":"Not found.","code":"not_found"}"#),
            problem(ProblemKind::NotFound, "Not found.")
        );
        assert_eq!(
            read(StatusCode::FORBIDDEN, r#"{"detail":"no","code":"permission_denied"}"#),
            problem(ProblemKind::Refused, "no")
        );
        assert_eq!(
            read(StatusCode::FORBIDDEN, r#"{"detail":"gone","code":"not_kept"}"#),
            problem(ProblemKind::NotFound, "gone")
        );
        assert_eq!(
            read(StatusCode::URI_TOO_LONG, r#"{"detail":"long","code":"uri_too_long"}"#),
            problem(ProblemKind::BadRequest, "long")
        );
        assert_eq!(read(StatusCode::BAD_GATEWAY, "<html>"), None);
        assert_eq!(read(StatusCode::BAD_GATEWAY, "{}"), None);
    }
}
