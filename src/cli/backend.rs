//! Who carries a command out: the server that runs, over its local socket, or this process on the store.
//!
//! Both are the same router with the same requests and answers.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode, header};
use axum::{Extension, Router};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tower::ServiceExt;

use super::failure::{Exit, Failure, in_words};
use super::output::Output;
use crate::clock::Clock;
use crate::config::{Limits, Settings};
use crate::http::{self, Problem, ProblemKind};
use crate::registry::{OpenError, Registry};
use crate::server::{Opening, Patience, open_forgotten, open_reading, open_registry};
use crate::store::{SOCKET_NAME, StoreError, has_store, holder};

/// The way to the directory.
pub(super) enum Backend {
    /// Through a server.
    Server {
        /// Its socket, for messages.
        socket: PathBuf,
        /// The connection.
        sender: SendRequest<Body>,
    },
    /// In this process.
    Own {
        /// What the directory was read from, for messages.
        source: String,
        /// The routes.
        router: Router,
        /// What they work on.
        registry: Arc<Registry>,
    },
}

/// How a command wants to find the directory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) socket: Option<&'a Path>,
    /// `[server]`
    pub(super) settings: Option<&'a Settings>,
    /// What to do when there is neither a server nor a store.
    pub(super) absent: Absent,
    pub(super) purpose: Purpose,
}

/// What a command does with the directory.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    /// It may change something, and opens the store like this.
    Change(Opening),
    /// It changes nothing, and writes nothing anywhere.
    Read,
}

/// What to do when there is neither a server nor a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absent {
    /// Make a store.
    Make,
    /// Work on an empty directory that is forgotten afterwards.
    Pretend,
    /// There is nothing to work on.
    Fail,
}

/// Why a request brought no answer.
#[derive(Debug)]
pub(super) enum CallError {
    /// It was refused, and nothing of it happened.
    Problem(Problem),
    /// Nobody knows whether it was carried out.
    Lost(String),
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Problem(problem) => problem.into(),
            CallError::Lost(message) => Failure::failed(message),
        }
    }
}

impl CallError {
    /// Whether it is certain that nothing was changed.
    pub(super) fn is_certain(&self) -> bool {
        let Self::Problem(problem) = self else { return false };
        !matches!(problem.kind, ProblemKind::StoreStopped | ProblemKind::WriterStopped)
    }
}

impl Backend {
    /// Finds the server, or opens the store when none runs.
    ///
    /// # Errors
    /// Neither can be had.
    pub(super) async fn find(wanted: Wanted<'_>) -> Result<Self, Failure> {
        let of_config = wanted.settings.map(|settings| settings.data_dir.join(SOCKET_NAME));
        let Some(socket) = wanted.socket.map(Path::to_owned).or(of_config) else {
            return Err(Failure::usage(
                "which directory? give --config FILE or --socket PATH, or set BINDERY_CONFIG or BINDERY_SOCKET",
            ));
        };
        let mut patience = None;
        loop {
            if let Some(backend) = Self::connect(&socket).await? {
                return Ok(backend);
            }
            let Some(settings) = wanted.settings else { return Err(nobody(&socket)) };
            if !has_store(&settings.data_dir) {
                match wanted.absent {
                    Absent::Make => {}
                    Absent::Pretend => return Self::pretend(settings),
                    Absent::Fail => {
                        return Err(Failure::failed(format!(
                            "there is no store in {}: start the server or run `bindery apply` first",
                            settings.data_dir.display()
                        )));
                    }
                }
            }
            let error = match wanted.purpose {
                Purpose::Change(opening) => match Self::open(settings, opening) {
                    Err(OpenError::Store(error @ StoreError::Held { .. })) => error,
                    opened => return Ok(opened?),
                },
                Purpose::Read => match holder(&settings.data_dir)? {
                    None => return Self::reading(settings),
                    Some(error) => error,
                },
            };
            let patience = patience.get_or_insert_with(|| Patience::new(&settings.limits));
            if patience.lasts(&error, tell) {
                tokio::time::sleep(Patience::PAUSE).await;
                continue;
            }
            let silent = format!("{}; nobody answers on its socket {}", in_words(&error), socket.display());
            if matches!(wanted.purpose, Purpose::Change(_)) {
                return Err(Failure::new(Exit::Store, silent));
            }
            tell(&format!("{silent}: this is what is in the store"));
            return Self::reading(settings);
        }
    }

    /// Works in this process on the store.
    fn open(settings: &Settings, opening: Opening) -> Result<Self, OpenError> {
        open_registry(settings, Arc::new(Clock::of_system()), opening).map(Self::own)
    }

    /// Reads the store in this process.
    fn reading(settings: &Settings) -> Result<Self, Failure> {
        match open_reading(settings, None)? {
            Some(registry) => Ok(Self::own(registry)),
            None => Ok(Self::open(settings, Opening::default())?),
        }
    }

    /// Reads a backup in this process.
    ///
    /// # Errors
    /// It cannot be used.
    pub(super) fn of_backup(settings: &Settings, backup: &Path) -> Result<Self, Failure> {
        let registry = open_reading(settings, Some(backup))?;
        let registry = registry.ok_or_else(|| Failure::failed("the backup holds no store"))?;
        Ok(Self::of(registry, format!("the backup {}", backup.display())))
    }

    /// Works in this process on a directory that is open.
    pub(super) fn own(registry: Arc<Registry>) -> Self {
        Self::of(registry, "the store".to_owned())
    }

    fn of(registry: Arc<Registry>, source: String) -> Self {
        let router =
            http::router(Arc::clone(&registry), &Limits::default(), None).layer(Extension(http::own_user()));
        Self::Own { source, router, registry }
    }

    /// Works on an empty directory that is forgotten afterwards.
    ///
    /// # Errors
    /// It cannot be made.
    pub(super) fn pretend(settings: &Settings) -> Result<Self, Failure> {
        Ok(Self::own(open_forgotten(settings)?))
    }

    /// The server that answers on a socket which the command names.
    ///
    /// # Errors
    /// Nobody does, this user may not connect, or it is no server.
    pub(super) async fn at(socket: &Path) -> Result<Self, Failure> {
        Self::connect(socket).await?.ok_or_else(|| nobody(socket))
    }

    /// The server that answers on a socket; `None` when nobody does.
    ///
    /// # Errors
    /// This user may not connect, or it is no server.
    pub(super) async fn connect(socket: &Path) -> Result<Option<Self>, Failure> {
        let stream = match UnixStream::connect(socket).await {
            Ok(stream) => stream,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
                return Ok(None);
            }
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                return Err(Failure::new(
                    Exit::Refused,
                    format!(
                        "this user may not connect to {}: run the command as the user of the server, or as root",
                        socket.display()
                    ),
                ));
            }
            Err(error) => {
                return Err(Failure::failed(format!("cannot connect to {}: {error}", socket.display())));
            }
        };
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| {
            Failure::failed(format!("the server on {} does not speak HTTP: {error}", socket.display()))
        })?;
        // A connection that breaks is told by the request on it.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Some(Self::Server { socket: socket.to_owned(), sender }))
    }

    /// What carries the commands out, if it is no server.
    pub(super) fn source(&self) -> Option<&str> {
        match self {
            Self::Server { .. } => None,
            Self::Own { source, .. } => Some(source),
        }
    }

    /// Sends a request with a body, and reads the answer.
    ///
    /// # Errors
    /// [`CallError`]
    pub(super) async fn call<Q, A>(&mut self, path: &str, request: &Q) -> Result<A, CallError>
    where
        Q: Serialize,
        A: DeserializeOwned,
    {
        self.answer(request_of(Method::POST, path, body_of(request)?)?).await
    }

    /// Asks for something.
    ///
    /// # Errors
    /// [`CallError`]
    pub(super) async fn ask<A: DeserializeOwned>(&mut self, path: &str) -> Result<A, CallError> {
        self.answer(request_of(Method::GET, path, Vec::new())?).await
    }

    /// Sends what comes in pieces, and reads the answer.
    ///
    /// # Errors
    /// [`CallError`]
    pub(super) async fn upload<B, A>(&mut self, path: &str, body: B) -> Result<A, CallError>
    where
        B: hyper::body::Body<Data = Bytes, Error = std::io::Error> + Send + 'static,
        A: DeserializeOwned,
    {
        let request = request_of(Method::POST, path, Vec::new())?.map(|_| Body::new(body));
        self.answer(request).await
    }

    /// Sends a request whose answer comes in pieces, and hands each to `take`.
    ///
    /// # Errors
    /// It was refused, the answer broke off, or `take` takes nothing more.
    pub(super) async fn download<Q: Serialize>(
        &mut self,
        path: &str,
        request: &Q,
        mut take: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let request = request_of(Method::POST, path, body_of(request)?)?;
        let response = self.send(request).await?;
        let status = response.status();
        let mut body = response.into_body();
        if !status.is_success() {
            let octets = axum::body::to_bytes(body, ANSWER_OCTETS_MAX).await.unwrap_or_default();
            return Err(refusal(status, &octets).into());
        }
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                Failure::failed(format!(
                    "the answer broke off, and what came is incomplete (the log of the server says why): {}",
                    in_words(&error)
                ))
            })?;
            if let Some(octets) = frame.data_ref() {
                take(octets)?;
            }
        }
        Ok(())
    }

    /// Sends a request, and reads the answer.
    ///
    /// # Errors
    /// [`CallError`]
    pub(super) async fn answer<A: DeserializeOwned>(
        &mut self,
        request: Request<Body>,
    ) -> Result<A, CallError> {
        let response = self.send(request).await?;
        let status = response.status();
        let octets = axum::body::to_bytes(response.into_body(), ANSWER_OCTETS_MAX)
            .await
            .map_err(|error| self.lost(&error))?;
        if status.is_success() {
            let octets = if octets.is_empty() { b"null".as_slice() } else { &octets };
            // The error would quote the answer, and a secret may stand in it.
            return serde_json::from_slice(octets).map_err(|_| {
                CallError::Lost(
                    "it was carried out, but its answer cannot be understood: server and command are of \
                     different versions"
                        .to_owned(),
                )
            });
        }
        Err(refusal(status, &octets))
    }

    async fn send(&mut self, request: Request<Body>) -> Result<Response<Body>, CallError> {
        match self {
            Self::Server { socket, sender } => {
                let lost = |error: hyper::Error| lost_to(socket, &error);
                sender.ready().await.map_err(lost)?;
                let response = sender.send_request(request).await.map_err(lost)?;
                Ok(response.map(Body::new))
            }
            Self::Own { router, .. } => match router.clone().oneshot(request).await {
                Ok(response) => Ok(response),
                Err(never) => match never {},
            },
        }
    }

    fn lost(&self, error: &dyn std::error::Error) -> CallError {
        match self {
            Self::Server { socket, .. } => lost_to(socket, error),
            Self::Own { .. } => CallError::Lost(format!("the answer cannot be read: {}", in_words(error))),
        }
    }

    /// Lets go of the store, if this process holds it.
    pub(super) async fn close(self) {
        if let Self::Own { registry, .. } = self {
            // It can only fail by a panic of the writer, whose caller has noticed.
            let _ = tokio::task::spawn_blocking(move || registry.close()).await;
        }
    }
}

/// Tries what needs the store for itself until no other process holds it, but not for long.
///
/// # Errors
/// What it says last.
pub(super) async fn in_turn<T>(
    limits: &Limits,
    mut attempt: impl FnMut() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut patience = Patience::new(limits);
    loop {
        match attempt() {
            Err(error) if patience.lasts(&error, tell) => tokio::time::sleep(Patience::PAUSE).await,
            done => return done,
        }
    }
}

fn nobody(socket: &Path) -> Failure {
    Failure::failed(format!(
        "no server answers on {}: start it, or give --config FILE, without --socket, to work on its store",
        socket.display()
    ))
}

/// A request as JSON.
pub(super) fn body_of(request: &impl Serialize) -> Result<Vec<u8>, CallError> {
    serde_json::to_vec(request).map_err(|error| {
        let message = format!("the request cannot be written as JSON: {error}");
        CallError::Problem(Problem::one(ProblemKind::BadRequest, message))
    })
}

pub(super) fn request_of(method: Method, path: &str, body: Vec<u8>) -> Result<Request<Body>, CallError> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "bindery")
        .header(header::CONTENT_TYPE, "application/json");
    if let Some(user) = http::sudo_user() {
        request = request.header(http::SUDO_USER_HEADER, user);
    }
    request.body(Body::from(body)).map_err(|error| CallError::Lost(error.to_string()))
}

/// What an answer says that is no success.
fn refusal(status: StatusCode, octets: &[u8]) -> CallError {
    match Problem::read(status, octets) {
        Some(problem) => CallError::Problem(problem),
        None => CallError::Lost(format!("the server answers with the HTTP status {status}")),
    }
}

fn lost_to(socket: &Path, error: &dyn std::error::Error) -> CallError {
    CallError::Lost(format!(
        "the connection to the server on {} broke off, and nobody knows whether the change was made: {}",
        socket.display(),
        in_words(error)
    ))
}

/// Says something on standard error, whatever the command says of its own.
fn tell(sentence: &str) {
    Output::new(false).message(sentence);
}

/// More than any list of a directory of a million accounts.
/// No limit of the config: in the memory of the operator's own command.
const ANSWER_OCTETS_MAX: usize = 1024 * 1024 * 1024;
