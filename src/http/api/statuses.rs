//! The statuses that calls are refused with, by whatever: the guard, what all rows have in common, a handler. A refusal has no
//! other, and the OpenAPI document is made from them.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

/// One of them.
pub(super) struct Refused {
    status: StatusCode,
    /// What the document calls it.
    name: &'static str,
    about: &'static str,
    of: Calls,
}

/// Which calls are refused so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Calls {
    All,
    /// Those that say who makes them.
    WithToken,
    /// Those that name an object or a page.
    Named,
    /// Those that prepare something before the writer has it, which another call may have changed by then.
    Prepared,
    /// None by the network that stands in the table.
    Others,
}

impl Refused {
    const fn new(status: StatusCode, name: &'static str, about: &'static str, of: Calls) -> Self {
        Self { status, name, about, of }
    }

    fn answer(&self) -> Value {
        let schema = if self.status == StatusCode::BAD_REQUEST { "ValidationError" } else { "GenericError" };
        let schema = json!({ "$ref": format!("#/components/schemas/{schema}") });
        let mut answer =
            json!({ "description": self.about, "content": { "application/json": { "schema": schema } } });
        if [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&self.status) {
            let seconds = json!({ "description": "After so many seconds to try again.", "schema": { "type": "integer" } });
            answer["headers"] = json!({ "Retry-After": seconds });
        }
        answer
    }
}

/// Whether calls are refused with it.
pub(super) fn is_known(status: StatusCode) -> bool {
    ALL.iter().any(|refused| refused.status == status)
}

/// The answers of the document that others refer to.
pub(super) fn answers() -> Map<String, Value> {
    ALL.iter().map(|refused| (refused.name.to_owned(), refused.answer())).collect()
}

/// What a call may be answered with when it is refused, if it is one of these.
pub(super) fn of(is_one: impl Fn(Calls) -> bool) -> impl Iterator<Item = (String, Value)> {
    let refused = ALL.iter().filter(move |refused| is_one(refused.of));
    refused.map(|Refused { status, name, .. }| {
        (status.as_str().to_owned(), json!({ "$ref": format!("#/components/responses/{name}") }))
    })
}

const ALL: &[Refused] = &[
    Refused::new(StatusCode::BAD_REQUEST, "Invalid", "the request is wrong", Calls::All),
    Refused::new(
        StatusCode::UNAUTHORIZED,
        "NotAuthenticated",
        "the token is missing or wrong",
        Calls::WithToken,
    ),
    Refused::new(
        StatusCode::FORBIDDEN,
        "Forbidden",
        "a permission is missing, a rule forbids it, or the connection can be read by others",
        Calls::All,
    ),
    Refused::new(
        StatusCode::NOT_FOUND,
        "NotFound",
        "there is none that the caller may know, or no such page",
        Calls::Named,
    ),
    // A row has its methods, and says no others.
    Refused::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "NoSuchMethod",
        "the path has no such method",
        Calls::Others,
    ),
    Refused::new(
        StatusCode::REQUEST_TIMEOUT,
        "TooLate",
        "it took longer than a call may: a change may have been made",
        Calls::All,
    ),
    // A name that is taken is 400.
    Refused::new(
        StatusCode::CONFLICT,
        "Conflict",
        "another call has changed it at the same time: try again",
        Calls::Prepared,
    ),
    Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "TooLarge", "the body is too large", Calls::All),
    Refused::new(StatusCode::URI_TOO_LONG, "UriTooLong", "the path with its query is too long", Calls::All),
    Refused::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "NotJson",
        "the body is not said to be JSON",
        Calls::All,
    ),
    Refused::new(StatusCode::TOO_MANY_REQUESTS, "Throttled", "too many requests", Calls::All),
    Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "Failed", "an error in bindery", Calls::All),
    Refused::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "Unavailable",
        "there was no room for the answer, or for a large body, within the time of a call, or the server goes down",
        Calls::All,
    ),
    Refused::new(
        StatusCode::INSUFFICIENT_STORAGE,
        "StoreFailed",
        "the store cannot be read or written, as when its disk is full",
        Calls::All,
    ),
];
