//! One row of the table: a method and a path, what the caller needs for it, and what carries it out.
//!
//! What a handler takes and gives is in its type, from which the OpenAPI document is made.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{RawPathParams, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::task::spawn_blocking;

use super::bounds::read_body;
use super::call::{Call, Door, REHEARSE, RequestId, RequestSource};
use super::denied;
use super::query;
use super::reading::Reading;
use super::refusal::Refusal;
use super::told::Told;
use super::{Api, PREFIX, no_such_method};
use crate::model::Permission;
use crate::registry::Caller;

/// What a caller needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// Nothing: anybody may ask.
    Nothing,
    /// To be somebody.
    Credential,
    /// These permissions, globally or on the objects that it is about. A list needs them only for what it shows.
    All(&'static [Permission]),
}

/// A request whose maker is known.
struct Incoming {
    api: Api,
    caller: Caller,
    parameters: Vec<(String, String)>,
    query: String,
    body: Bytes,
    /// To be filled instead of a change.
    rehearsal: Option<Arc<Mutex<Told>>>,
}

type Handled = Pin<Box<dyn Future<Output = Result<Response, Refusal>> + Send>>;
type Handler = Arc<dyn Fn(Incoming) -> Handled + Send + Sync>;
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// One row of the table.
pub(super) struct Route {
    pub(super) method: Method,
    /// Below `/api/v3`.
    pub(super) path: &'static str,
    /// What it does, for the OpenAPI document.
    pub(super) about: &'static str,
    pub(super) needs: Needs,
    /// Of a success.
    pub(super) status: StatusCode,
    pub(super) query: Option<SchemaOf>,
    pub(super) is_list: bool,
    pub(super) body: Option<SchemaOf>,
    pub(super) answer: Option<SchemaOf>,
    /// Whether it can be rehearsed: all of its changes are made by [`Call::change`].
    pub(super) is_told: bool,
    /// Whether a GET uses something up.
    is_spent: bool,
    handler: Handler,
}

/// An answer without a body.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoContent;

/// What a handler may give.
pub(super) trait Answer: Send + 'static {
    /// Its schema; `None`: there is no body.
    const SCHEMA: Option<SchemaOf>;

    fn respond(self, status: StatusCode) -> Result<Response, Refusal>;
}

impl Answer for NoContent {
    const SCHEMA: Option<SchemaOf> = None;

    fn respond(self, _: StatusCode) -> Result<Response, Refusal> {
        Ok(StatusCode::NO_CONTENT.into_response())
    }
}

impl<T: Serialize + JsonSchema + Send + 'static> Answer for T {
    const SCHEMA: Option<SchemaOf> = Some(|generator| generator.subschema_for::<T>());

    fn respond(self, status: StatusCode) -> Result<Response, Refusal> {
        let body = serde_json::to_vec(&self).map_err(|error| {
            tracing::error!(%error, "an answer of the API cannot be written as JSON");
            Refusal::internal()
        })?;
        let response = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
        response.body(Body::from(body)).map_err(|_| Refusal::internal())
    }
}

/// A row that reads.
pub(super) fn get<Q, A>(path: &'static str, handler: fn(&Reading, Q) -> Result<A, Refusal>) -> Route
where
    Q: DeserializeOwned + JsonSchema + Send + 'static,
    A: Answer,
{
    reading(path, false, handler)
}

/// A row that reads a list, a page at a time.
pub(super) fn list<Q, A>(path: &'static str, handler: fn(&Reading, Q) -> Result<A, Refusal>) -> Route
where
    Q: DeserializeOwned + JsonSchema + Send + 'static,
    A: Answer,
{
    reading(path, true, handler)
}

fn reading<Q, A>(path: &'static str, is_list: bool, handler: fn(&Reading, Q) -> Result<A, Refusal>) -> Route
where
    Q: DeserializeOwned + JsonSchema + Send + 'static,
    A: Answer,
{
    let carry_out = move |incoming: Incoming| -> Handled {
        Box::pin(async move {
            let Incoming { api, caller, parameters, query, .. } = incoming;
            let (filters, page) = query::read::<Q>(&query, is_list)?;
            let turn = api.turn_to_read().await?;
            let reading = Call::new(&api, caller, page, parameters).reading();
            reading.verify()?;
            // Records are read from the disk, and a list may be long. The thread holds the turn, as it cannot be stopped.
            let read = spawn_blocking(move || {
                let _turn = turn;
                handler(&reading, filters)?.respond(StatusCode::OK)
            });
            let read = read.await;
            read.unwrap_or_else(|_| Err(Refusal::internal()))
        })
    };
    Route {
        query: Some(|generator| generator.subschema_for::<Q>()),
        is_list,
        ..Route::new(Method::GET, path, StatusCode::OK, A::SCHEMA, Arc::new(carry_out))
    }
}

/// A row that reads in a way of its own.
pub(super) fn read<Q, A, F>(path: &'static str, handler: fn(Call, Q) -> F) -> Route
where
    Q: DeserializeOwned + JsonSchema + Send + 'static,
    A: Answer,
    F: Future<Output = Result<A, Refusal>> + Send + 'static,
{
    reading_of_its_own(path, false, handler)
}

/// The same of a list, a page at a time.
pub(super) fn read_list<Q, A, F>(path: &'static str, handler: fn(Call, Q) -> F) -> Route
where
    Q: DeserializeOwned + JsonSchema + Send + 'static,
    A: Answer,
    F: Future<Output = Result<A, Refusal>> + Send + 'static,
{
    reading_of_its_own(path, true, handler)
}

fn reading_of_its_own<Q, A, F>(path: &'static str, is_list: bool, handler: fn(Call, Q) -> F) -> Route
where
    Q: DeserializeOwned + JsonSchema + Send + 'static,
    A: Answer,
    F: Future<Output = Result<A, Refusal>> + Send + 'static,
{
    let carry_out = move |incoming: Incoming| -> Handled {
        Box::pin(async move {
            let Incoming { api, caller, parameters, query, .. } = incoming;
            let (filters, page) = query::read::<Q>(&query, is_list)?;
            handler(Call::new(&api, caller, page, parameters), filters).await?.respond(StatusCode::OK)
        })
    };
    Route {
        query: Some(|generator| generator.subschema_for::<Q>()),
        is_list,
        ..Route::new(Method::GET, path, StatusCode::OK, A::SCHEMA, Arc::new(carry_out))
    }
}

/// A row that changes something, with a body.
pub(super) fn change<B, A, F>(method: Method, path: &'static str, handler: fn(Call, B) -> F) -> Route
where
    B: DeserializeOwned + JsonSchema + Send + 'static,
    A: Answer,
    F: Future<Output = Result<A, Refusal>> + Send + 'static,
{
    let carry_out = move |incoming: Incoming| -> Handled {
        Box::pin(async move {
            let Incoming { api, caller, parameters, query, body, rehearsal } = incoming;
            let (NoParameters {}, page) = query::read(&query, false)?;
            let body = parse_body::<B>(&body)?;
            let call = Call::new(&api, caller, page, parameters).rehearsed(rehearsal);
            handler(call, body).await?.respond(StatusCode::OK)
        })
    };
    Route {
        body: Some(|generator| generator.subschema_for::<B>()),
        ..Route::new(method, path, StatusCode::OK, A::SCHEMA, Arc::new(carry_out))
    }
}

/// A row that makes something.
pub(super) fn create<B, A, F>(path: &'static str, handler: fn(Call, B) -> F) -> Route
where
    B: DeserializeOwned + JsonSchema + Send + 'static,
    A: Answer,
    F: Future<Output = Result<A, Refusal>> + Send + 'static,
{
    Route { status: StatusCode::CREATED, ..change(Method::POST, path, handler) }
}

/// A row that deletes something, in a way that its query says.
pub(super) fn delete_with<Q, F>(path: &'static str, handler: fn(Call, Q) -> F) -> Route
where
    Q: DeserializeOwned + JsonSchema + Send + 'static,
    F: Future<Output = Result<NoContent, Refusal>> + Send + 'static,
{
    let carry_out = move |incoming: Incoming| -> Handled {
        Box::pin(async move {
            let Incoming { api, caller, parameters, query, .. } = incoming;
            let (how, page) = query::read::<Q>(&query, false)?;
            handler(Call::new(&api, caller, page, parameters), how).await?.respond(StatusCode::NO_CONTENT)
        })
    };
    Route {
        query: Some(|generator| generator.subschema_for::<Q>()),
        ..Route::new(Method::DELETE, path, StatusCode::NO_CONTENT, None, Arc::new(carry_out))
    }
}

/// A row that deletes something.
pub(super) fn delete<F>(path: &'static str, handler: fn(Call) -> F) -> Route
where
    F: Future<Output = Result<NoContent, Refusal>> + Send + 'static,
{
    let carry_out = move |incoming: Incoming| -> Handled {
        Box::pin(async move {
            let Incoming { api, caller, parameters, query, rehearsal, .. } = incoming;
            let (NoParameters {}, page) = query::read(&query, false)?;
            let call = Call::new(&api, caller, page, parameters).rehearsed(rehearsal);
            handler(call).await?.respond(StatusCode::NO_CONTENT)
        })
    };
    Route::new(Method::DELETE, path, StatusCode::NO_CONTENT, None, Arc::new(carry_out))
}

impl Route {
    fn new(
        method: Method,
        path: &'static str,
        status: StatusCode,
        answer: Option<SchemaOf>,
        handler: Handler,
    ) -> Self {
        let status = if answer.is_none() { StatusCode::NO_CONTENT } else { status };
        let needs = Needs::All(&[]);
        Self {
            method,
            path,
            about: "",
            needs,
            status,
            query: None,
            is_list: false,
            body: None,
            answer,
            is_told: false,
            is_spent: false,
            handler,
        }
    }

    /// What it does, in a sentence.
    pub(super) fn about(self, about: &'static str) -> Self {
        Self { about, ..self }
    }

    /// It tells whoever changes something of more than that, and can be rehearsed.
    pub(super) fn tells(self) -> Self {
        Self { is_told: true, ..self }
    }

    /// To read it uses something up. A HEAD, which is safe (RFC 9110, 9.2.1) and gives nothing, is no method of it.
    pub(super) fn spends(self) -> Self {
        Self { is_spent: true, ..self }
    }

    /// The permissions that the caller needs for it.
    pub(super) fn needs(self, permissions: &'static [Permission]) -> Self {
        Self { needs: Needs::All(permissions), ..self }
    }

    /// It is for everybody who is somebody.
    pub(super) fn needs_credential(self) -> Self {
        Self { needs: Needs::Credential, ..self }
    }

    /// It is for anybody.
    pub(super) fn needs_nothing(self) -> Self {
        Self { needs: Needs::Nothing, ..self }
    }

    /// As the router takes it.
    pub(super) fn service(&self) -> MethodRouter<Api> {
        let (handler, path, needs, status) = (Arc::clone(&self.handler), self.path, self.needs, self.status);
        let is_told = self.is_told;
        // There are methods of HTTP that axum does not route; the table has none of them.
        let filter = MethodFilter::try_from(self.method.clone()).unwrap_or(MethodFilter::GET);
        let routed =
            on(filter, move |State(api): State<Api>, parameters: RawPathParams, request: Request| {
                let parameters =
                    parameters.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                let handler = Arc::clone(&handler);
                async move {
                    let (registry, method) = (Arc::clone(&api.registry), request.method().clone());
                    let incoming = match receive(api, needs, parameters, request).await {
                        Ok(incoming) => incoming,
                        Err(refusal) => return refusal.into_response(),
                    };
                    if let Some(told) = incoming.rehearsal.clone() {
                        let rehearsed = if is_told {
                            rehearse(handler(incoming), &told).await
                        } else {
                            Err(no_rehearsal())
                        };
                        return rehearsed.unwrap_or_else(IntoResponse::into_response);
                    }
                    let asker = incoming.caller.asker().cloned();
                    match handler(incoming).await {
                        Ok(mut response) if response.status() == StatusCode::OK => {
                            *response.status_mut() = status;
                            response
                        }
                        Ok(response) => response,
                        Err(refusal) => {
                            let resource = format!("{PREFIX}{path}");
                            let asked = denied::Asked { method: &method, resource: &resource, needs };
                            asked.note(&registry, asker.as_ref(), &refusal);
                            refusal.into_response()
                        }
                    }
                }
            });
        if self.is_spent { routed.head(no_such_method) } else { routed }
    }
}

/// Finds out who asks, before anything of the request is read but its header.
async fn receive(
    api: Api,
    needs: Needs,
    parameters: Vec<(String, String)>,
    request: Request,
) -> Result<Incoming, Refusal> {
    let (parts, body) = request.into_parts();
    let source = parts.extensions.get::<RequestSource>().and_then(|source| source.0);
    let id = parts.extensions.get::<RequestId>().copied().unwrap_or_else(RequestId::new);
    let caller = match (api.door, needs) {
        (Door::Local, _) => Call::operator(id, parts.extensions.get()),
        (Door::Public, Needs::Nothing) => super::authenticate::stranger(source),
        (Door::Public, Needs::Credential | Needs::All(_)) => {
            super::authenticate::authenticate(&api, &parts.headers, source, id).await?
        }
    };
    let body = read_body(&api, &parts.headers, body).await?;
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let is_rehearsed = api.door == Door::Local && parts.headers.contains_key(REHEARSE);
    let rehearsal = is_rehearsed.then(Arc::default);
    Ok(Incoming { api, caller, parameters, query, body, rehearsal })
}

/// What a call would tell.
async fn rehearse(handled: Handled, told: &Mutex<Told>) -> Result<Response, Refusal> {
    handled.await?;
    let told = told.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(Json(told).into_response())
}

fn no_rehearsal() -> Refusal {
    Refusal::invalid("this call cannot be rehearsed")
}

/// The body of a request. Where it is wrong is said, never what stands there: it may be a secret.
fn parse_body<B: DeserializeOwned>(body: &[u8]) -> Result<B, Refusal> {
    let body = if body.is_empty() { b"{}".as_slice() } else { body };
    let mut reader = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let message = error.inner().to_string();
        let field = |name: &str| match path.as_str() {
            "." | "?" => name.to_owned(),
            path => path.trim_start_matches('.').to_owned(),
        };
        if let Some(missing) = message.strip_prefix("missing field `").and_then(|rest| rest.split('`').next())
        {
            return Refusal::field(missing, "This field is required.");
        }
        if !error.inner().is_data() {
            return Refusal::invalid("the body is no JSON");
        }
        // What is expected comes from the type of the field.
        let expected = message.rsplit_once(", expected ").map(|(_, expected)| expected);
        let expected = expected.map(|text| text.split(" at line ").next().unwrap_or(text));
        match expected {
            Some(expected) => {
                Refusal::field(field("non_field_errors"), format!("Not a valid value: expected {expected}."))
            }
            None => Refusal::field(field("non_field_errors"), "Not a valid value."),
        }
    })
}

/// Of a call that has none.
#[derive(Clone, Copy, Debug, serde::Deserialize, JsonSchema)]
pub(super) struct NoParameters {}
