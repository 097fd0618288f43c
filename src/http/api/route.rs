//! One row of the table: a method and a path, what the caller needs for it, and what carries it out.
//!
//! What a handler takes and gives is in its type, from which the OpenAPI document is made.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::answer::{Room, Text, is_long};
use super::body::{self, Received};
use super::call::{Call, Door, REHEARSE, RequestId, RequestSource, memory_holders};
use super::denied;
use super::fields::Fields;
use super::page::PageQuery;
use super::reading::Reading;
use super::refusal::{CallRefusal, joined};
use super::told::Told;
use super::value::{Required, RequiredFields};
use super::waiting::{WaitsForRoom, in_room};
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
    body: Received,
    /// What its query and its body may say.
    says: Arc<Says>,
    /// To be filled instead of a change.
    rehearsal: Option<Arc<Mutex<Told>>>,
    /// To be told whether it waits for room.
    waits: WaitsForRoom,
}

impl Incoming {
    fn query<Q: DeserializeOwned>(&self) -> Result<(Q, PageQuery), CallRefusal> {
        self.says.query.read_query(&self.query)
    }

    /// A call that reads this page, of which the answer is made in this room.
    fn call(&self, page: PageQuery, room: Arc<Room>) -> Call {
        Call::new(&self.api, self.caller.clone(), page, self.parameters.clone()).within(room)
    }
}

type Parameters = Result<RawPathParams, RawPathParamsRejection>;
type Handled = Pin<Box<dyn Future<Output = Result<Response, CallRefusal>> + Send>>;
type Handler = Arc<dyn Fn(Incoming) -> Handled + Send + Sync>;
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// What a request may say.
#[derive(Clone, Debug)]
struct Says {
    query: Fields,
    body: Fields,
}

/// A change of an object as a whole, beside the one of what is named of it.
#[derive(Clone)]
struct Whole {
    body: SchemaOf,
    says: Fields,
    handler: Handler,
}

/// One row of the table.
#[derive(Clone)]
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
    /// Whether it prepares something before the writer has it.
    pub(super) is_prepared: bool,
    /// The fields that its list can be ordered by.
    pub(super) orderings: &'static [&'static str],
    says: Says,
    handler: Handler,
    /// What PUT does, in the row of PATCH.
    whole: Option<Whole>,
}

/// An answer without a body.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoContent;

/// What a handler may give.
pub(super) trait Answer: Send + 'static {
    /// Its schema; `None`: there is no body.
    const SCHEMA: Option<SchemaOf>;

    /// Whether it takes so long to be written that no thread of the network does it.
    fn is_long(&self) -> bool {
        false
    }

    /// The answer, in what room there is.
    fn respond(self, status: StatusCode, room: &Arc<Room>) -> Result<Response, CallRefusal>;
}

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

impl Answer for NoContent {
    const SCHEMA: Option<SchemaOf> = None;

    fn respond(self, _: StatusCode, _: &Arc<Room>) -> Result<Response, CallRefusal> {
        Ok(self.into_response())
    }
}

impl<T: Serialize + JsonSchema + Send + 'static> Answer for T {
    const SCHEMA: Option<SchemaOf> = Some(|generator| generator.subschema_for::<T>());

    fn is_long(&self) -> bool {
        is_long(self)
    }

    fn respond(self, status: StatusCode, room: &Arc<Room>) -> Result<Response, CallRefusal> {
        let mut text = Text::new(room);
        text.write_json(&self)?;
        text.respond(status)
    }
}

/// A row that reads.
pub(super) fn get<Q, A>(path: &'static str, handler: fn(&Reading, Q) -> Result<A, CallRefusal>) -> Route
where
    Q: DeserializeOwned + JsonSchema + Send + 'static,
    A: Answer,
{
    reading(path, false, handler)
}

/// A row that reads a list, a page at a time.
pub(super) fn list<Q, A>(path: &'static str, handler: fn(&Reading, Q) -> Result<A, CallRefusal>) -> Route
where
    Q: DeserializeOwned + JsonSchema + Send + 'static,
    A: Answer,
{
    reading(path, true, handler)
}

fn reading<Q, A>(
    path: &'static str,
    is_list: bool,
    handler: fn(&Reading, Q) -> Result<A, CallRefusal>,
) -> Route
where
    Q: DeserializeOwned + JsonSchema + Send + 'static,
    A: Answer,
{
    let carry_out = move |incoming: Incoming| -> Handled {
        Box::pin(async move {
            let incoming = &incoming;
            let Incoming { api, caller, waits, .. } = incoming;
            let read = |room: Arc<Room>| async move {
                let (filters, page) = incoming.query::<Q>()?;
                let page = page.with_words()?;
                let turn = api.turn_to_read(caller).await?;
                let left = CancellationToken::new();
                let _waits = left.clone().drop_guard();
                let reading = incoming.call(page, room).reading().until(left);
                reading.verify()?;
                // Records are read from the disk, and a list may be long. The thread holds the turn: it goes on to the next
                // object when nobody waits any more.
                let read = spawn_blocking(move || {
                    let _turn = turn;
                    handler(&reading, filters)?.respond(StatusCode::OK, &reading.room)
                });
                joined(read.await)?
            };
            in_room(api, caller, waits, read).await
        })
    };
    Route {
        is_list,
        ..Route::new(Method::GET, path, StatusCode::OK, A::SCHEMA, Arc::new(carry_out)).asks::<Q>(is_list)
    }
}

/// A row that reads in a way of its own, and not for long.
pub(super) fn read<Q, A, F>(path: &'static str, handler: fn(Call, Q) -> F) -> Route
where
    Q: DeserializeOwned + JsonSchema + Send + 'static,
    A: Answer,
    F: Future<Output = Result<A, CallRefusal>> + Send + 'static,
{
    reading_of_its_own(path, false, false, handler)
}

/// A row that walks through the audit trail.
pub(super) fn walk<Q, A, F>(path: &'static str, handler: fn(Call, Q) -> F) -> Route
where
    Q: DeserializeOwned + JsonSchema + Send + 'static,
    A: Answer,
    F: Future<Output = Result<A, CallRefusal>> + Send + 'static,
{
    reading_of_its_own(path, true, false, handler)
}

/// The same of a list, a page at a time.
pub(super) fn walk_list<Q, A, F>(path: &'static str, handler: fn(Call, Q) -> F) -> Route
where
    Q: DeserializeOwned + JsonSchema + Send + 'static,
    A: Answer,
    F: Future<Output = Result<A, CallRefusal>> + Send + 'static,
{
    reading_of_its_own(path, true, true, handler)
}

fn reading_of_its_own<Q, A, F>(
    path: &'static str,
    is_walk: bool,
    is_list: bool,
    handler: fn(Call, Q) -> F,
) -> Route
where
    Q: DeserializeOwned + JsonSchema + Send + 'static,
    A: Answer,
    F: Future<Output = Result<A, CallRefusal>> + Send + 'static,
{
    let carry_out = move |incoming: Incoming| -> Handled {
        Box::pin(async move {
            let incoming = &incoming;
            let Incoming { api, caller, waits, .. } = incoming;
            // What is used up by being read is small, and small answers always have room: it is read once.
            let read = |room: Arc<Room>| async move {
                let (filters, page) = incoming.query::<Q>()?;
                let _turn = if is_walk { api.turn_to_walk(caller).await? } else { None };
                let call = incoming.call(page, Arc::clone(&room));
                respond(handler(call, filters).await?, room).await
            };
            in_room(api, caller, waits, read).await
        })
    };
    Route {
        is_list,
        ..Route::new(Method::GET, path, StatusCode::OK, A::SCHEMA, Arc::new(carry_out)).asks::<Q>(is_list)
    }
}

/// A row that changes an object: by PUT as a whole, in which what it requires is said, by PATCH what is named of it. What is
/// absent stays in both.
pub(super) fn update<B, A, F>(path: &'static str, handler: fn(Call, B) -> F) -> Route
where
    B: DeserializeOwned + JsonSchema + RequiredFields + Send + 'static,
    A: Answer,
    F: Future<Output = Result<A, CallRefusal>> + Send + 'static,
{
    let whole = change(Method::PUT, path, move |call, Required(body): Required<B>| handler(call, body));
    let whole = whole.body.map(|body| Whole { body, says: whole.says.body, handler: whole.handler });
    Route { whole, ..change(Method::PATCH, path, handler) }
}

/// A row that changes something, with a body.
pub(super) fn change<B, A, F>(
    method: Method,
    path: &'static str,
    handler: impl Fn(Call, B) -> F + Copy + Send + Sync + 'static,
) -> Route
where
    B: DeserializeOwned + JsonSchema + Send + 'static,
    A: Answer,
    F: Future<Output = Result<A, CallRefusal>> + Send + 'static,
{
    let carry_out = move |incoming: Incoming| -> Handled {
        Box::pin(async move {
            let (NoParameters {}, page) = incoming.query()?;
            let Incoming { api, caller, parameters, rehearsal, body, says, waits, .. } = incoming;
            let call = Call::new(&api, caller.clone(), page, parameters).rehearsed(rehearsal);
            let room = Arc::clone(&call.room);
            // What was changed is not told as refused because of what is said of it.
            room.bound(false);
            let change = move |octets: Vec<u8>, held| async move {
                let (said, unread) = says.body.read::<B>(&octets)?;
                drop(octets);
                let call = call.holding(held);
                if unread.is_empty() {
                    return handler(call, said).await;
                }
                // Asked for what else is wrong: nothing of it is carried out, whatever the handler does.
                let asker = call.caller.asker().cloned();
                let rest = handler(call.refused(), said).await.err();
                // What it lacks for an object that stands in for one which cannot be read is nobody's trespass; what it is told
                // of the rest may be.
                let is_told = |rest: &CallRefusal| rest.is_trespass() || rest.tells_beside(&unread);
                if let Some(asker) = asker.filter(|_| !rest.as_ref().is_some_and(is_told)) {
                    asker.forget();
                }
                Err(CallRefusal::unread(unread, rest))
            };
            let answer = body.begin(&api, &caller, &waits, change).await?;
            respond(answer, room).await
        })
    };
    let route = Route::new(method, path, StatusCode::OK, A::SCHEMA, Arc::new(carry_out));
    let says = Says { body: Fields::of_body::<B>(), ..route.says };
    Route { body: Some(|generator| generator.subschema_for::<B>()), says, ..route }
}

/// Writes an answer; a long one on a thread that may take its time. It waits for no turn: what was changed, and a new secret, is
/// told in any case, and there are as many as the one writer has done.
async fn respond(answer: impl Answer, room: Arc<Room>) -> Result<Response, CallRefusal> {
    if !answer.is_long() {
        return answer.respond(StatusCode::OK, &room);
    }
    joined(spawn_blocking(move || answer.respond(StatusCode::OK, &room)).await)?
}

/// A row that makes something.
pub(super) fn create<B, A, F>(path: &'static str, handler: fn(Call, B) -> F) -> Route
where
    B: DeserializeOwned + JsonSchema + Send + 'static,
    A: Answer,
    F: Future<Output = Result<A, CallRefusal>> + Send + 'static,
{
    Route { status: StatusCode::CREATED, ..change(Method::POST, path, handler) }
}

/// A row that deletes something, in a way that its query says.
pub(super) fn delete_with<Q, F>(
    path: &'static str,
    handler: impl Fn(Call, Q) -> F + Copy + Send + Sync + 'static,
) -> Route
where
    Q: DeserializeOwned + JsonSchema + Send + 'static,
    F: Future<Output = Result<NoContent, CallRefusal>> + Send + 'static,
{
    let carry_out = move |incoming: Incoming| -> Handled {
        Box::pin(async move {
            let (how, page) = incoming.query::<Q>()?;
            let Incoming { api, caller, parameters, rehearsal, .. } = incoming;
            let call = Call::new(&api, caller, page, parameters).rehearsed(rehearsal);
            Ok(handler(call, how).await?.into_response())
        })
    };
    Route::new(Method::DELETE, path, StatusCode::NO_CONTENT, None, Arc::new(carry_out)).asks::<Q>(false)
}

/// A row that deletes something.
pub(super) fn delete<F>(path: &'static str, handler: fn(Call) -> F) -> Route
where
    F: Future<Output = Result<NoContent, CallRefusal>> + Send + 'static,
{
    delete_with(path, move |call, NoParameters {}| handler(call))
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
            is_prepared: false,
            orderings: &[],
            says: Says { query: Fields::default(), body: Fields::default() },
            handler,
            whole: None,
        }
    }

    fn asks<Q: JsonSchema>(self, is_list: bool) -> Self {
        let says = Says { query: Fields::of_query::<Q>(is_list), ..self.says };
        Self { query: Some(|generator| generator.subschema_for::<Q>()), says, ..self }
    }

    /// The fields that its list can be ordered by.
    pub(super) fn ordered_by(self, names: &'static [&'static str]) -> Self {
        let says = Says { query: self.says.query.ordered_by(names), ..self.says };
        Self { orderings: names, says, ..self }
    }

    /// It takes an object as it was read: what only the server writes of it is passed over.
    pub(super) fn takes_back<A: JsonSchema>(self) -> Self {
        let says = Says { body: self.says.body.passing_over::<A>(), ..self.says };
        let whole = self.whole.map(|whole| Whole { says: whole.says.passing_over::<A>(), ..whole });
        Self { says, whole, ..self }
    }

    /// The same, a row for each method.
    pub(super) fn by_method(self) -> Vec<Self> {
        let Some(Whole { body, says, handler }) = self.whole.clone() else { return vec![self] };
        let patch = Self { whole: None, ..self };
        let says = Says { body: says, ..patch.says.clone() };
        let put = Self { method: Method::PUT, body: Some(body), says, handler, ..patch.clone() };
        vec![put, patch]
    }

    /// What is passed over in its body.
    pub(super) fn passed_over(&self) -> impl Iterator<Item = &str> {
        self.says.body.passed_over()
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

    /// It makes a secret before the writer is asked: where another call has changed the object by then, it is a conflict.
    pub(super) fn prepares(self) -> Self {
        Self { is_prepared: true, ..self }
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
        let (is_told, has_body, says) = (self.is_told, self.body.is_some(), Arc::new(self.says.clone()));
        // There are methods of HTTP that axum does not route; the table has none of them.
        let filter = MethodFilter::try_from(self.method.clone()).unwrap_or(MethodFilter::GET);
        let routed = on(filter, move |State(api): State<Api>, parameters: Parameters, request: Request| {
            // Nothing has a name that is no text.
            let parameters = parameters.map_err(|_| CallRefusal::not_found()).map(|parameters| {
                parameters.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
            });
            let (handler, says) = (Arc::clone(&handler), Arc::clone(&says));
            async move {
                let (registry, method) = (Arc::clone(&api.registry), request.method().clone());
                let received = receive(api, (needs, has_body), parameters, says, request).await;
                // Whatever stands in the body of a call that takes none is not done.
                let received = received.and_then(|incoming| {
                    if has_body {
                        return Ok(incoming);
                    }
                    let (NoParameters {}, unread) = incoming.says.body.read(&incoming.body.octets)?;
                    if unread.is_empty() { Ok(incoming) } else { Err(CallRefusal::fields(unread)) }
                });
                let incoming = match received {
                    Ok(incoming) => incoming,
                    Err(refusal) => return refusal.into_response(),
                };
                if let Some(told) = incoming.rehearsal.clone() {
                    let rehearsed =
                        if is_told { rehearse(handler(incoming), &told).await } else { Err(no_rehearsal()) };
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
    (needs, has_body): (Needs, bool),
    parameters: Result<Vec<(String, String)>, CallRefusal>,
    says: Arc<Says>,
    request: Request,
) -> Result<Incoming, CallRefusal> {
    let (parts, body) = request.into_parts();
    let source = parts.extensions.get::<RequestSource>().and_then(|source| source.0);
    let id = parts.extensions.get::<RequestId>().copied().unwrap_or_else(RequestId::new);
    let waits = parts.extensions.get::<WaitsForRoom>().cloned().unwrap_or_default();
    let caller = match (api.door, needs) {
        (Door::Local, _) => Call::operator(id, parts.extensions.get()),
        (Door::Public, Needs::Nothing) => super::authenticate::stranger(source),
        (Door::Public, Needs::Credential | Needs::All(_)) => {
            super::authenticate::authenticate(&api, &parts.headers, source, id).await?
        }
    };
    let parameters = parameters?;
    let holders = memory_holders(&caller);
    let body = body::receive(&api, holders, &waits, &parts.headers, has_body, body).await?;
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let is_rehearsed = api.door == Door::Local && parts.headers.contains_key(REHEARSE);
    let rehearsal = is_rehearsed.then(Arc::default);
    Ok(Incoming { api, caller, parameters, query, body, says, rehearsal, waits })
}

/// What a call would tell.
async fn rehearse(handled: Handled, told: &Mutex<Told>) -> Result<Response, CallRefusal> {
    handled.await?;
    let told = told.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(Json(told).into_response())
}

fn no_rehearsal() -> CallRefusal {
    CallRefusal::invalid("this call cannot be rehearsed")
}

/// Of a call that has none.
#[derive(Clone, Copy, Debug, serde::Deserialize, JsonSchema)]
pub(super) struct NoParameters {}
