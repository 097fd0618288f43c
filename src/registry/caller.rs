//! Who asks for something: with which rights, and what stands in the events of it.

use std::net::IpAddr;

use super::error::ChangeError;
use crate::access::{Credential, Holder, Invalid, Lack, Rights, decide, lacks};
use crate::directory::Accounts;
use crate::model::{Actor, MadeBy, ObjectReference, Origin, Permission, Timestamp};

/// Who asks for something.
///
/// Its rights are looked up when they are needed, never frozen: a change is decided in the transaction that makes it.
#[derive(Clone, Debug)]
pub struct Caller {
    actor: Actor,
    rights: CallerRights,
}

/// Whose rights are asked.
#[derive(Clone, Copy, Debug)]
enum CallerRights {
    /// The operator's, who may do everything: whoever holds the store, the config or the local socket.
    All,
    /// Those of an account that has proved itself from this address.
    Of(Holder, Option<IpAddr>),
    /// None at all.
    Nothing,
}

impl From<Actor> for Caller {
    /// The operator, under a name.
    fn from(actor: Actor) -> Self {
        Self { actor, rights: CallerRights::All }
    }
}

impl Caller {
    /// An account that has proved itself; `actor` is what stands in the events.
    pub fn account(holder: Holder, actor: Actor) -> Self {
        let rights = CallerRights::Of(holder, actor.source);
        Self { actor, rights }
    }

    /// What stands in the events.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Somebody who has not proved anything.
    pub fn stranger(source: Option<IpAddr>) -> Self {
        let actor = Actor { source, ..Actor::named("") };
        Self { actor, rights: CallerRights::Nothing }
    }

    /// The account that asks; `None`: the operator, or a stranger.
    pub fn holder(&self) -> Option<Holder> {
        match self.rights {
            CallerRights::All | CallerRights::Nothing => None,
            CallerRights::Of(holder, _) => Some(holder),
        }
    }

    /// Whose an object is that it makes.
    pub fn origin(&self) -> Origin {
        match self.rights {
            CallerRights::Of(holder, _) => Origin::Account(holder.account),
            CallerRights::All | CallerRights::Nothing => origin_of(&self.actor),
        }
    }

    /// Who has made a secret that it makes: itself, and whoever may know the secret that it has come with.
    pub fn made_by(&self, accounts: &Accounts) -> MadeBy {
        let made_by = MadeBy::one(self.origin());
        let CallerRights::Of(holder, _) = self.rights else { return made_by };
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
        match self.rights {
            CallerRights::All | CallerRights::Nothing => Ok(()),
            CallerRights::Of(holder, source) => {
                holder.verify(accounts, source, now).map(drop).map_err(ChangeError::NotAuthenticated)
            }
        }
    }

    /// Whether it may do this, on the object or at all.
    pub fn may(&self, accounts: &Accounts, permission: Permission, on: Option<ObjectReference>) -> bool {
        match self.rights {
            CallerRights::All => true,
            CallerRights::Nothing => false,
            CallerRights::Of(holder, _) => accounts.account(holder.account).is_some_and(|account| {
                account.is_active && decide(accounts, account, permission, on).is_allowed()
            }),
        }
    }

    /// Asks for a permission that is about no object in particular.
    ///
    /// # Errors
    /// [`ChangeError::Forbidden`]
    pub fn require(&self, accounts: &Accounts, permission: Permission) -> Result<(), ChangeError> {
        match self.may(accounts, permission, None) {
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
        if self.may(accounts, permission, Some(on)) {
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
        let account = match self.rights {
            CallerRights::All => return Ok(()),
            CallerRights::Nothing => None,
            CallerRights::Of(holder, _) => accounts.account(holder.account).map(|account| &**account),
        };
        match lacks(accounts, account, given) {
            None => Ok(()),
            Some(Lack::Superuser) => Err(ChangeError::Refused(
                "this is about the rights of a superuser, and you are none: ask a superuser".to_owned(),
            )),
            Some(Lack::Permission(permission)) => Err(ChangeError::Refused(format!(
                "this is about the permission `{permission}`, which you do not hold yourself: ask somebody who does"
            ))),
        }
    }

    /// Whether it is a superuser, or the operator.
    pub fn is_superuser(&self, accounts: &Accounts) -> bool {
        match self.rights {
            CallerRights::All => true,
            CallerRights::Nothing => false,
            CallerRights::Of(holder, _) => accounts
                .account(holder.account)
                .is_some_and(|account| account.is_active && accounts.is_superuser(account)),
        }
    }
}

/// Whoever is named so in events is the config.
pub(crate) const CONFIG: &str = "config";
/// Whoever is named so in events is an import.
pub(crate) const IMPORT: &str = "import";
/// Whoever is named so in events is the server itself.
pub(crate) const SERVER: &str = "bindery";

/// What somebody is who is no account of the directory.
pub(super) fn origin_of(actor: &Actor) -> Origin {
    match actor.account.as_str() {
        CONFIG => Origin::Config,
        IMPORT => Origin::Import,
        SERVER => Origin::Server,
        _ => Origin::Operator,
    }
}

impl From<Invalid> for ChangeError {
    fn from(invalid: Invalid) -> Self {
        Self::NotAuthenticated(invalid)
    }
}
