//! Who asks for something: with which rights, and what stands in the events of it.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::error::ChangeError;
use crate::access::{Credential, Holder, Invalid, Missing, Rights, decide, missing};
use crate::directory::Accounts;
use crate::model::{Actor, InternalAccount, MadeBy, ObjectReference, Origin, Permission, Timestamp};
use crate::net::{MemoryHolder, Share};

/// Who asks for something.
///
/// Its rights are looked up when they are needed, never frozen: a change is decided in the transaction that makes it.
#[derive(Clone, Debug)]
pub struct Caller {
    actor: Actor,
    rights: CallerRights,
    /// Whether its request is refused already, for what of it cannot be read: it is looked at for what else is wrong with it,
    /// and not carried out.
    is_refused: bool,
    /// What its request counts: it goes with what the caller asks for, also when nobody waits for that any more.
    _held: Option<Arc<Share<MemoryHolder>>>,
}

/// Whose rights are asked.
#[derive(Clone, Debug)]
enum CallerRights {
    /// The operator's, who may do everything: whoever holds the store, the config or the local socket.
    All,
    /// Those of an account that has proved itself.
    Of(Asker),
    /// None at all.
    Nothing,
}

/// An account that asks for something in one request, and what it was answered last when it was asked for a right: with
/// it a refusal is told of by whoever has given the caller away.
#[derive(Clone, Debug)]
pub struct Asker {
    holder: Holder,
    source: Option<IpAddr>,
    /// `None`: nothing was asked yet.
    answer: Arc<Mutex<Option<Result<(), Lack>>>>,
}

/// What a caller lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// A permission that is needed.
    Permission(Permission),
    /// A permission that is given, taken away or taken over, by somebody who does not hold it.
    Held(Permission),
    /// The rights of a superuser, of whom it is.
    Superuser,
}

impl Lack {
    /// What is missing, in a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Permission(permission) | Self::Held(permission) => permission.codename(),
            Self::Superuser => "superuser",
        }
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Permission(permission) => write!(formatter, "the permission `{permission}` is missing"),
            Self::Held(permission) => {
                write!(formatter, "it is about the permission `{permission}`, which the caller does not hold")
            }
            Self::Superuser => {
                formatter.write_str("it is about the rights of a superuser, and the caller is none")
            }
        }
    }
}

impl From<Actor> for Caller {
    /// The operator, under a name.
    fn from(actor: Actor) -> Self {
        Self { actor, rights: CallerRights::All, is_refused: false, _held: None }
    }
}

impl Caller {
    /// An account that has proved itself; `actor` is what stands in the events.
    pub fn account(holder: Holder, actor: Actor) -> Self {
        let rights = CallerRights::Of(Asker { holder, source: actor.source, answer: Arc::default() });
        Self { actor, rights, is_refused: false, _held: None }
    }

    /// What stands in the events.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Somebody who has not proved anything.
    pub fn stranger(source: Option<IpAddr>) -> Self {
        let actor = Actor { source, ..Actor::named("") };
        Self { actor, rights: CallerRights::Nothing, is_refused: false, _held: None }
    }

    /// The same, of which the request counts so much until what it asks for is done.
    pub fn holding(self, held: Arc<Share<MemoryHolder>>) -> Self {
        Self { _held: Some(held), ..self }
    }

    /// The same, when nothing is left of the request.
    pub fn letting_go(self) -> Self {
        Self { _held: None, ..self }
    }

    /// The same, whose request is refused already, for what of it cannot be read.
    pub fn refused(self) -> Self {
        Self { is_refused: true, ..self }
    }

    /// Asked before something is done for its request, a hash computed for one; the writer asks before anything is kept.
    ///
    /// # Errors
    /// The request is refused already. Why is told by who has read it.
    pub fn require_not_refused(&self) -> Result<(), ChangeError> {
        if self.is_refused { Err(ChangeError::Fields(Vec::new())) } else { Ok(()) }
    }

    /// The account that asks; `None`: the operator, or a stranger.
    pub fn holder(&self) -> Option<Holder> {
        self.asker().map(|asker| asker.holder)
    }

    /// The account that asks, with what it turns out to lack; `None`: the operator, or a stranger.
    pub fn asker(&self) -> Option<&Asker> {
        match &self.rights {
            CallerRights::All | CallerRights::Nothing => None,
            CallerRights::Of(asker) => Some(asker),
        }
    }

    /// Whose an object is that it makes.
    pub fn origin(&self) -> Origin {
        match self.holder() {
            Some(holder) => Origin::Account(holder.account),
            None => origin_of(&self.actor),
        }
    }

    /// Who has made a secret that it makes: itself, and whoever may know the secret that it has come with.
    pub fn made_by(&self, accounts: &Accounts) -> MadeBy {
        let made_by = MadeBy::one(self.origin());
        let Some(holder) = self.holder() else { return made_by };
        let known = match holder.credential {
            Credential::Token { number, .. } => accounts.token(number).map(|token| &token.made_by),
            Credential::Password { .. } => {
                let account = accounts.account(holder.account);
                account.and_then(|account| account.password.as_ref()).map(|password| &password.made_by)
            }
            // The operator says whose it is.
            Credential::Certificate { .. } => None,
        };
        known.map_or(made_by.clone(), |known| made_by.and_all(known))
    }

    /// Whether it still is who it was.
    ///
    /// # Errors
    /// [`ChangeError::NotAuthenticated`]
    pub fn verify(&self, accounts: &Accounts, now: Timestamp) -> Result<(), ChangeError> {
        match &self.rights {
            CallerRights::All | CallerRights::Nothing => Ok(()),
            CallerRights::Of(Asker { holder, source, .. }) => {
                holder.verify(accounts, *source, now).map(drop).map_err(ChangeError::NotAuthenticated)
            }
        }
    }

    /// Whether it may do this, on the object or at all. For what is left out of an answer: nobody is told where it may
    /// not. What a request is refused for is asked by [`Caller::require`] and its like.
    pub fn may(&self, accounts: &Accounts, permission: Permission, on: Option<ObjectReference>) -> bool {
        match &self.rights {
            CallerRights::All => true,
            CallerRights::Nothing => false,
            CallerRights::Of(asker) => asker.may(accounts, permission, on),
        }
    }

    /// Whether it may know of an object that its request names. One that it may not know does not exist for it.
    pub fn knows(&self, accounts: &Accounts, on: ObjectReference) -> bool {
        let permission = on.view_permission();
        let is_known = self.may(accounts, permission, Some(on));
        self.note(is_known, Lack::Permission(permission));
        is_known
    }

    /// Notes what it lacks, where a request is refused for it in other words than those of [`Caller::require`].
    pub fn lacks(&self, lack: Lack) {
        self.note(false, lack);
    }

    /// Asks for a permission that is about no object in particular.
    ///
    /// # Errors
    /// [`ChangeError::Forbidden`]
    pub fn require(&self, accounts: &Accounts, permission: Permission) -> Result<(), ChangeError> {
        let may = self.may(accounts, permission, None);
        self.note(may, Lack::Permission(permission));
        match may {
            true => Ok(()),
            false => Err(ChangeError::Forbidden { permission }),
        }
    }

    /// Asks for a permission on an object of this name. An object that the caller may not view does not exist for it.
    ///
    /// # Errors
    /// [`ChangeError::Forbidden`] to those who may view the object, [`ChangeError::NotFound`] to all others.
    pub fn require_on(
        &self,
        accounts: &Accounts,
        permission: Permission,
        on: ObjectReference,
        name: &str,
    ) -> Result<(), ChangeError> {
        let may = self.may(accounts, permission, Some(on));
        self.note(may, Lack::Permission(permission));
        if may {
            Ok(())
        } else if self.may(accounts, on.view_permission(), Some(on)) {
            Err(ChangeError::Forbidden { permission })
        } else {
            Err(ChangeError::NotFound { kind: on.kind(), name: name.to_owned() })
        }
    }

    /// Asks whether it holds all that it is about to give, to take or to take over: nobody gets more rights through what they
    /// may change. The operator and superusers hold everything.
    ///
    /// # Errors
    /// [`ChangeError::Refused`] with the first right that the caller lacks.
    pub fn require_held(&self, accounts: &Accounts, given: &Rights) -> Result<(), ChangeError> {
        let account = match &self.rights {
            CallerRights::All => return Ok(()),
            CallerRights::Nothing => None,
            CallerRights::Of(asker) => accounts.account(asker.holder.account).map(|account| &**account),
        };
        match missing(accounts, account, given) {
            None => Ok(()),
            Some(Missing::Superuser) => {
                self.lacks(Lack::Superuser);
                Err(ChangeError::Refused(
                    "this is about the rights of a superuser, and you are none: ask a superuser".to_owned(),
                ))
            }
            Some(Missing::Permission(permission)) => {
                self.lacks(Lack::Held(permission));
                Err(ChangeError::Refused(format!(
                    "this is about the permission `{permission}`, which you do not hold yourself: ask somebody who does"
                )))
            }
        }
    }

    /// Whether it is a superuser, or the operator.
    pub fn is_superuser(&self, accounts: &Accounts) -> bool {
        match &self.rights {
            CallerRights::All => true,
            CallerRights::Nothing => false,
            CallerRights::Of(asker) => accounts
                .account(asker.holder.account)
                .is_some_and(|account| account.is_active && accounts.is_superuser(account)),
        }
    }

    fn note(&self, may: bool, lack: Lack) {
        if let CallerRights::Of(asker) = &self.rights {
            *asker.answer.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(may.then_some(()).ok_or(lack));
        }
    }
}

impl Asker {
    /// The account, and what proved it.
    pub fn holder(&self) -> Holder {
        self.holder
    }

    /// Where it asks from; `None`: from a Unix socket.
    pub fn source(&self) -> Option<IpAddr> {
        self.source
    }

    /// Whether it held what it was last asked for; `None`: it was asked for nothing.
    pub fn answer(&self) -> Option<Result<(), Lack>> {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As if it had been asked for nothing.
    pub fn forget(&self) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether it may do this, on the object or at all.
    pub fn may(&self, accounts: &Accounts, permission: Permission, on: Option<ObjectReference>) -> bool {
        accounts.account(self.holder.account).is_some_and(|account| {
            account.is_active && decide(accounts, account, permission, on).is_allowed()
        })
    }
}

/// What somebody is who is no account that has proved itself: known by the number, which nobody else can have.
pub(super) fn origin_of(actor: &Actor) -> Origin {
    match actor.number.and_then(InternalAccount::of_number) {
        Some(InternalAccount::Config) => Origin::Config,
        Some(InternalAccount::Import) => Origin::Import,
        Some(InternalAccount::Housekeeping) => Origin::Server,
        Some(InternalAccount::CommandLine) | None => Origin::Operator,
    }
}

impl From<Invalid> for ChangeError {
    fn from(invalid: Invalid) -> Self {
        Self::NotAuthenticated(invalid)
    }
}
