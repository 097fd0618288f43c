//! Why a call was not carried out, as authentik's clients read it: `{"detail": …, "code": …}`, or, where the request
//! itself is wrong, `{"field": ["message"], "non_field_errors": […], "code": "invalid"}`.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};
use tokio::task::JoinError;

use super::fields::ORDERING;
use super::statuses;
use crate::http::error::{Problem, ProblemKind};
use crate::quoted::beginning;
use crate::registry::{ChangeError, SeedProblem};

/// Why a call was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRefusal {
    status: StatusCode,
    code: &'static str,
    about: About,
    retry_after: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum About {
    /// What is named does not exist, or may not be known by the caller.
    NotThere,
    Detail(String),
    Fields(BTreeMap<String, Vec<String>>),
    /// A seed is wrong: the sentences, and the objects that they are about.
    Seed(Vec<String>, Vec<SeedProblem>),
}

/// What was done on another thread; a panic there is one here, where it is noted.
pub(super) fn joined<T>(done: Result<T, JoinError>) -> Result<T, CallRefusal> {
    done.map_err(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => CallRefusal::internal(),
    })
}

impl CallRefusal {
    fn detail(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, about: About::Detail(detail.into()), retry_after: None }
    }

    /// One field of the request is wrong.
    pub(super) fn field(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self::fields(BTreeMap::from([(name.into(), vec![message.into()])]))
    }

    /// Fields of the request are wrong.
    pub(super) fn fields(fields: BTreeMap<String, Vec<String>>) -> Self {
        let about = About::Fields(fields);
        Self { status: StatusCode::BAD_REQUEST, code: "invalid", about, retry_after: None }
    }

    /// Of a body of which something cannot be read: that, and what else is wrong with its fields. What is said of those that
    /// cannot be read, or of the whole, may be so for want of them.
    pub(super) fn unread(mut fields: BTreeMap<String, Vec<String>>, rest: Option<Self>) -> Self {
        if let Some(Self { about: About::Fields(others), .. }) = rest {
            for (name, messages) in others.into_iter().filter(|(name, _)| name != WHOLE) {
                fields.entry(name).or_insert(messages);
            }
        }
        Self::fields(fields)
    }

    /// Whether it is about another field than these.
    pub(super) fn tells_beside(&self, fields: &BTreeMap<String, Vec<String>>) -> bool {
        let About::Fields(others) = &self.about else { return false };
        others.keys().any(|name| name != WHOLE && !fields.contains_key(name))
    }

    /// The request is wrong as a whole.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::field(WHOLE, message)
    }

    /// The request is none that HTTP knows.
    pub(in crate::http) fn malformed(sentence: impl Into<String>) -> Self {
        Self::detail(StatusCode::BAD_REQUEST, "parse_error", sentence)
    }

    /// What is named does not exist, or may not be known by the caller.
    pub(super) fn not_found() -> Self {
        let about = About::NotThere;
        Self { status: StatusCode::NOT_FOUND, code: "not_found", about, retry_after: None }
    }

    /// The same with a sentence that says more.
    pub(super) fn not_found_because(sentence: impl Into<String>) -> Self {
        Self::detail(StatusCode::NOT_FOUND, "not_found", sentence)
    }

    /// Nobody may do it, whatever is granted.
    pub(super) fn forbidden_because(sentence: impl Into<String>) -> Self {
        Self::detail(StatusCode::FORBIDDEN, "permission_denied", sentence)
    }

    /// The credential is missing or wrong.
    pub(super) fn not_authenticated(sentence: &str) -> Self {
        Self::detail(StatusCode::UNAUTHORIZED, "not_authenticated", sentence)
    }

    /// A token would have to be shown over a connection that others can read.
    pub(super) fn in_clear() -> Self {
        Self::detail(
            StatusCode::FORBIDDEN,
            "confidentiality_required",
            "credentials are taken over TLS only: call the https:// address of this server, and replace a token that \
             was sent here",
        )
    }

    pub(super) fn too_many_requests(wait: Duration) -> Self {
        let seconds = whole_seconds(wait);
        let detail = format!("Request was throttled. Expected available in {seconds} seconds.");
        let refusal = Self::detail(StatusCode::TOO_MANY_REQUESTS, "throttled", detail);
        Self { retry_after: Some(wait), ..refusal }
    }

    pub(super) fn too_late(time: Duration) -> Self {
        let seconds = whole_seconds(time);
        let detail = format!(
            "the request was not done within {seconds} seconds: look whether its change was made, then try again"
        );
        Self::detail(StatusCode::REQUEST_TIMEOUT, "timeout", detail)
    }

    pub(super) fn uri_too_long(octets_max: usize) -> Self {
        let detail = format!("a path with its query has at most {octets_max} octets");
        Self::detail(StatusCode::URI_TOO_LONG, "uri_too_long", detail)
    }

    pub(super) fn not_json() -> Self {
        let detail = "the body of a request is JSON, with `Content-Type: application/json`";
        Self::detail(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
    }

    pub(super) fn too_large(octets_max: usize) -> Self {
        let detail = format!("the body of a request has at most {octets_max} octets");
        Self::detail(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
    }

    pub(super) fn too_many_values(values_max: usize) -> Self {
        Self::invalid(format!(
            "the body of a request has at most {values_max} values, the names of fields among them, and each object counts as \
             ten: say it in several requests"
        ))
    }

    /// What is asked for is more than one answer may be.
    pub(super) fn answer_too_large(octets_max: usize) -> Self {
        Self::invalid(format!(
            "the answer would have more than {octets_max} octets: ask for a smaller `page_size`, or without the objects that \
             stand in others (`include_…=false`)"
        ))
    }

    /// What a list would be ordered by is more than there is memory for one answer.
    pub(super) fn too_long_for_order() -> Self {
        Self::field(
            ORDERING,
            "there is no memory to put so long a list in an order: ask for less of it by filters, or for no order",
        )
    }

    /// Others have taken what memory there is for answers, or for large bodies.
    pub(super) fn no_memory() -> Self {
        let detail = "there is no memory for this call now: read the answers to other calls to their end, send fewer large bodies at a time, \
             and try again";
        let refusal = Self::detail(StatusCode::SERVICE_UNAVAILABLE, "busy", detail);
        Self { retry_after: Some(Duration::from_secs(1)), ..refusal }
    }

    /// An error of bindery's own; the log knows more.
    pub(super) fn internal() -> Self {
        Self::detail(
            StatusCode::INTERNAL_SERVER_ERROR,
            "error",
            "bindery failed at this request, which is an error in bindery: please report it with its log",
        )
    }

    pub(in crate::http) fn no_such_path(path: &str) -> Self {
        let what = if is_sign_in(path) {
            "nobody signs in here or acts as somebody else; applications bind over LDAP with an app password, automation \
             calls the API with an API token"
        } else {
            "of authentik's API it has the account model, LDAP providers, applications and events"
        };
        Self::not_found_because(format!("bindery has nothing at {}: {what}", beginning(path)))
    }

    pub(super) fn no_such_method(method: &Method) -> Self {
        let detail = format!("Method \"{method}\" not allowed.");
        Self::detail(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
    }

    /// The same, where the request calls a field by another name.
    pub(super) fn naming(self, field: &str, other: &str) -> Self {
        let About::Fields(mut fields) = self.about else { return self };
        if let Some(messages) = fields.remove(field) {
            fields.entry(other.to_owned()).or_default().extend(messages);
        }
        Self { about: About::Fields(fields), ..self }
    }

    /// The same with another sentence.
    pub(super) fn with(self, sentence: &str) -> Self {
        let about = match self.about {
            About::Detail(detail) => About::Detail(format!("{detail}; {sentence}")),
            About::NotThere => About::Detail(format!("Not found; {sentence}")),
            About::Fields(mut fields) => {
                fields.entry(WHOLE.to_owned()).or_default().push(sentence.to_owned());
                About::Fields(fields)
            }
            About::Seed(mut messages, seed) => {
                messages.push(sentence.to_owned());
                About::Seed(messages, seed)
            }
        };
        Self { about, ..self }
    }

    /// The status of the answer.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// Why, in a sentence; empty where the request itself is wrong.
    pub(super) fn sentence(&self) -> &str {
        match &self.about {
            About::Detail(detail) => detail,
            About::NotThere | About::Fields(_) | About::Seed(..) => "",
        }
    }

    /// Whether it is for what the caller may not do, and not for what nobody can.
    pub(super) fn is_trespass(&self) -> bool {
        self.status == StatusCode::FORBIDDEN && self.code != NOT_KEPT
    }

    /// Whether it leaves open whether what is named does not exist or may not be known.
    pub(super) fn is_not_there(&self) -> bool {
        self.about == About::NotThere
    }
}

impl From<ChangeError> for CallRefusal {
    fn from(error: ChangeError) -> Self {
        match error {
            // The account of `add_user/` and its like stands in the body as if it stood in the path: so authentik answers.
            ChangeError::Field { field: "pk", message } => return Self::not_found_because(message),
            ChangeError::Field { .. } | ChangeError::Fields(_) | ChangeError::Exists { .. } => {
                let mut fields = BTreeMap::<String, Vec<String>>::new();
                for (field, message) in error.fields() {
                    fields.entry(field.to_owned()).or_default().push(message);
                }
                let is_taken = matches!(error, ChangeError::Exists { .. });
                return Self { code: if is_taken { UNIQUE } else { "invalid" }, ..Self::fields(fields) };
            }
            ChangeError::Forbidden { permission } => {
                let detail =
                    format!("You do not have permission to perform this action: `{permission}` is missing.");
                return Self::detail(StatusCode::FORBIDDEN, "permission_denied", detail);
            }
            ChangeError::NotAuthenticated(invalid) => return Self::not_authenticated(&invalid.to_string()),
            // Never the name: the caller may not know what it has found by a number.
            ChangeError::NotFound { .. } => return Self::not_found(),
            // It is there, and not found would make infrastructure tools forget it.
            ChangeError::NotKept { .. } => {
                return Self::detail(StatusCode::FORBIDDEN, NOT_KEPT, error.to_string());
            }
            ChangeError::Busy => return Self::too_many_requests(Duration::from_secs(1)),
            ChangeError::TooOften { wait, .. } => return Self::too_many_requests(wait),
            ChangeError::Invalid(_)
            | ChangeError::Seed(_)
            | ChangeError::Refused(_)
            | ChangeError::Conflict
            | ChangeError::Store(_)
            | ChangeError::Secret(_)
            | ChangeError::ShuttingDown
            | ChangeError::Panicked
            | ChangeError::WriterStopped => {}
        }
        Self::from(Problem::from(error))
    }
}

impl From<Problem> for CallRefusal {
    fn from(Problem { kind, messages, seed }: Problem) -> Self {
        let about = match kind {
            _ if !seed.is_empty() => About::Seed(messages, seed),
            ProblemKind::Invalid => About::Fields(BTreeMap::from([(WHOLE.to_owned(), messages)])),
            _ => About::Detail(messages.join("\n")),
        };
        Self { status: kind.status(), code: kind.as_str(), about, retry_after: None }
    }
}

impl IntoResponse for CallRefusal {
    fn into_response(self) -> Response {
        let Self { status, code, about, retry_after } = self;
        debug_assert!(statuses::is_known(status), "{status} does not stand among the statuses of refusals");
        let mut body = Map::new();
        match about {
            About::NotThere => {
                body.insert(DETAIL.to_owned(), Value::String("Not found.".to_owned()));
            }
            About::Detail(detail) => {
                body.insert(DETAIL.to_owned(), Value::String(detail));
            }
            About::Fields(fields) => body = of_fields(fields),
            About::Seed(messages, seed) => {
                body.insert(WHOLE.to_owned(), messages.into());
                // They are made of texts alone.
                body.insert(SEED.to_owned(), serde_json::to_value(seed).unwrap_or_default());
            }
        }
        body.insert(CODE.to_owned(), Value::String(code.to_owned()));
        let mut response = (status, Json(Value::Object(body))).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(wait) = retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
        }
        response
    }
}

/// What is wrong by the field. What a request calls as an answer calls something else stands with what is about the whole.
fn of_fields(mut fields: BTreeMap<String, Vec<String>>) -> Map<String, Value> {
    for name in [CODE, DETAIL, SEED] {
        let messages = fields.remove(name).unwrap_or_default().into_iter();
        let named: Vec<String> = messages.map(|message| format!("`{name}`: {message}")).collect();
        if !named.is_empty() {
            fields.entry(WHOLE.to_owned()).or_default().extend(named);
        }
    }
    fields.into_iter().map(|(field, messages)| (field, messages.into())).collect()
}

/// Whether authentik has there what only a person does: flows and their stages, its web console, another's session.
fn is_sign_in(path: &str) -> bool {
    let below = ["/if/", "/flows/", "/api/v3/flows/", "/api/v3/stages/"];
    let of_a_user = ["/impersonate/", "/recovery/", "/recovery_email/", "/impersonate_end/"];
    below.iter().any(|start| path.starts_with(start)) || of_a_user.iter().any(|end| path.ends_with(end))
}

/// Rounded up: after so many seconds it is so.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// The field of what is wrong with a request as a whole.
pub const WHOLE: &str = "non_field_errors";
/// The field of a word for the kind of a refusal.
const CODE: &str = "code";
/// The field of a sentence that is about no field.
pub const DETAIL: &str = "detail";
/// The field of what is wrong with a seed, for the command that knows where its objects stand.
pub const SEED: &str = "seed";
/// That a name is another's already.
pub const UNIQUE: &str = "unique";
/// That a secret cannot be shown, whatever is granted.
pub const NOT_KEPT: &str = "not_kept";
