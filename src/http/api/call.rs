//! One call: who makes it, and what stands in its path.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

use super::Api;
use super::answer::Room;
use super::body::Held;
use super::page::PageQuery;
use super::reading::Reading;
use super::refusal::{CallRefusal, joined};
use super::told::Told;
use crate::http::actor;
use crate::model::{Actor, InternalAccount, ObjectReference, Permission, SystemUser};
use crate::net::{MemoryHolder, MemoryHolders, Tls};
use crate::registry::{Caller, ChangeError, Registry, Transaction};

/// How a caller has come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Through the local socket, or in the process of a command: the operator.
    Local,
    /// Through a listener of `[server] http`: whoever holds an API token.
    Public,
}

/// Where a request comes from: put there by whoever accepted the connection. `None`: from a Unix socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestSource(pub(crate) Option<IpAddr>);

/// Whether a request has come over a connection that secrets may be sent over: put there by whoever accepted it. Where
/// nobody has said so, they may not.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TakesSecrets(pub(crate) bool);

/// Whether a request comes from this machine: put there by whoever accepted the connection. Where nobody has said so, it
/// does not.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FromHere(pub(crate) bool);

/// What a request is called in the log and towards the client, in `X-Request-Id`. It is made here for each: what a
/// client calls its own could stand for another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId(Uuid);

impl RequestId {
    pub(super) fn new() -> Self {
        Self(Uuid::new_v4())
    }

    pub fn uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A call whose maker is known.
pub(super) struct Call {
    pub(super) registry: Arc<Registry>,
    pub(super) caller: Caller,
    pub(super) page: PageQuery,
    pub(super) tls: Option<Arc<Tls>>,
    /// What its answer may hold.
    pub(super) room: Arc<Room>,
    parameters: Vec<(String, String)>,
    /// Where it leaves what its maker would be told, if it is only rehearsed: then it changes nothing.
    rehearsal: Option<Arc<Mutex<Told>>>,
}

impl Call {
    /// Of a request with these parts of its path.
    pub(super) fn new(api: &Api, caller: Caller, page: PageQuery, parameters: Vec<(String, String)>) -> Self {
        let page = api.bounded(page);
        let room = Room::new(api, &caller);
        let (registry, tls) = (Arc::clone(&api.registry), api.tls.clone());
        Self { registry, caller, page, tls, room, parameters, rehearsal: None }
    }

    /// The same with an answer that is made in this room.
    pub(super) fn within(self, room: Arc<Room>) -> Self {
        Self { room, ..self }
    }

    /// The same, to leave there what its maker would be told.
    pub(super) fn rehearsed(self, told: Option<Arc<Mutex<Told>>>) -> Self {
        Self { rehearsal: told, ..self }
    }

    /// The same, of which the body counts so much: until its change is made, also when nobody waits for that any more.
    pub(super) fn holding(self, body: Held) -> Self {
        Self { caller: self.caller.holding(body), ..self }
    }

    /// The same, whose request is refused already, for what of it cannot be read: see [`Caller::refused`].
    pub(super) fn refused(self) -> Self {
        Self { caller: self.caller.refused(), ..self }
    }

    /// The operator, as whom commands of this machine are carried out.
    pub(super) fn operator(id: RequestId, user: Option<&SystemUser>) -> Caller {
        Actor { request: Some(id.uuid()), ..actor(InternalAccount::CommandLine, user) }.into()
    }

    /// A part of the path.
    ///
    /// # Errors
    /// Nothing can have such a name.
    pub(super) fn parameter<T: FromStr + ToString>(&self, name: &str) -> Result<T, CallRefusal> {
        parameter(&self.parameters, name)
    }

    /// Asks for a permission before the writer is, so that who lacks it costs nothing. It is asked again there.
    ///
    /// # Errors
    /// It is missing.
    pub(super) fn require(&self, permission: Permission) -> Result<(), CallRefusal> {
        Ok(self.caller.require(self.registry.snapshot().accounts(), permission)?)
    }

    /// The same on an object.
    ///
    /// # Errors
    /// It is missing, or the object is, as far as the caller may know.
    pub(super) fn require_on(&self, permission: Permission, on: ObjectReference) -> Result<(), CallRefusal> {
        let snapshot = self.registry.snapshot();
        let accounts = snapshot.accounts();
        if !accounts.has(on) {
            return Err(CallRefusal::not_found());
        }
        Ok(self.caller.require_on(accounts, permission, on, "")?)
    }

    /// Carries a change out in the name of the caller, see [`Registry::change`], or rehearses it.
    ///
    /// # Errors
    /// What `command` says, or the store.
    pub(super) async fn change<T, F>(&self, command: F) -> Result<T, CallRefusal>
    where
        T: Send + 'static,
        F: FnOnce(&mut Transaction<'_>) -> Result<T, ChangeError> + Send + 'static,
    {
        let command = |transaction: &mut Transaction<'_>| transaction.telling_all_fields(command);
        let Some(told) = self.rehearsal.clone() else {
            return Ok(self.registry.change(self.caller.clone(), command).await?);
        };
        let rehearsed = self.registry.rehearse(move |transaction| {
            let value = command(transaction)?;
            *told.lock().unwrap_or_else(PoisonError::into_inner) = Told::of(transaction);
            Ok(value)
        });
        Ok(rehearsed.await?)
    }

    /// Carries a change out part by part, each as [`Call::change`] does: a part says how many accounts it has taken out, as long as
    /// something is left to do. Also when nobody waits for it any more, as nobody has asked for half of it.
    ///
    /// # Errors
    /// What `part` says, or the store: what was done by then stays, and is told with it.
    pub(super) async fn change_in_parts(
        self,
        part: impl FnMut(&mut Transaction<'_>) -> Result<Option<usize>, ChangeError> + Clone + Send + 'static,
    ) -> Result<(), CallRefusal> {
        let all = tokio::spawn(async move {
            let mut done = 0;
            loop {
                match self.change(part.clone()).await {
                    // Of what is rehearsed the first part stays to be done.
                    Ok(Some(count)) if self.rehearsal.is_none() => done += count,
                    Ok(_) => return Ok(()),
                    Err(refusal) if done == 0 => return Err(refusal),
                    Err(refusal) => {
                        let sentence = format!("{done} accounts were taken out of it before, and stay so");
                        return Err(refusal.with(&sentence));
                    }
                }
            }
        });
        joined(all.await)?
    }

    /// What is read in this call: one revision of the directory. After a change it may be read without asking again who
    /// the caller is: it may have exchanged its own token.
    pub(super) fn reading(self) -> Reading {
        let caller = self.caller.letting_go();
        Reading::new(self.registry, caller, self.page, self.tls, self.room, self.parameters)
    }

    /// The same on a thread that may wait for the disk.
    ///
    /// # Errors
    /// What `read` says.
    pub(super) async fn read<T: Send + 'static, E: Into<CallRefusal> + Send + 'static>(
        self,
        read: impl FnOnce(&Reading) -> Result<T, E> + Send + 'static,
    ) -> Result<T, CallRefusal> {
        let reading = self.reading();
        let read = tokio::task::spawn_blocking(move || read(&reading));
        read.await.map_err(|_| CallRefusal::internal())?.map_err(Into::into)
    }
}

/// In whose name memory is held for a caller.
pub(super) fn memory_holders(caller: &Caller) -> MemoryHolders {
    let source = caller.actor().source;
    let is_here = source.is_some_and(|source| source.to_canonical().is_loopback());
    MemoryHolder::all(caller.holder().map(|holder| holder.account), source, is_here)
}

/// A part of a path among all of them.
pub(super) fn parameter<T: FromStr + ToString>(
    parameters: &[(String, String)],
    name: &str,
) -> Result<T, CallRefusal> {
    let text = parameters.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
    text.and_then(written).ok_or_else(CallRefusal::not_found)
}

/// What a number, an UUID or a name stands for, in the one spelling that answers have: rules of a proxy in front and what
/// is logged by path would otherwise hold for `4` and not for `+4`.
pub(super) fn written<T: FromStr + ToString>(text: &str) -> Option<T> {
    text.parse().ok().filter(|parsed: &T| parsed.to_string() == text)
}

/// The header of a call of the operator that is to change nothing: what it would tell is the answer.
pub const REHEARSE: &str = "bindery-rehearse";
