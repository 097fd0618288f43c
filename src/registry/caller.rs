//! Who asks for something: with which rights, and what stands in the events of it.

use std::net::IpAddr;

use super::error::ChangeError;
use crate::access::{Holder, Invalid, decide};
use crate::directory::Accounts;
use crate::model::{Actor, ObjectReference, Permission, Timestamp};

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

    /// The account that asks; `None`: the operator.
    pub fn holder(&self) -> Option<Holder> {
        match self.rights {
            CallerRights::All => None,
            CallerRights::Of(holder, _) => Some(holder),
        }
    }

    /// Whether it still is who it was.
    ///
    /// # Errors
    /// [`ChangeError::NotAuthenticated`]
    pub fn verify(&self, accounts: &Accounts, now: Timestamp) -> Result<(), ChangeError> {
        match self.rights {
            CallerRights::All => Ok(()),
            CallerRights::Of(holder, source) => {
                holder.verify(accounts, source, now).map(drop).map_err(ChangeError::NotAuthenticated)
            }
        }
    }

    /// Whether it may do this, on the object or at all.
    pub fn may(&self, accounts: &Accounts, permission: Permission, on: Option<ObjectReference>) -> bool {
        match self.rights {
            CallerRights::All => true,
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

    /// Whether it is a superuser, or the operator: who may give rights that it does not hold itself.
    pub fn is_superuser(&self, accounts: &Accounts) -> bool {
        match self.rights {
            CallerRights::All => true,
            CallerRights::Of(holder, _) => accounts
                .account(holder.account)
                .is_some_and(|account| account.is_active && accounts.is_superuser(account)),
        }
    }
}

impl From<Invalid> for ChangeError {
    fn from(invalid: Invalid) -> Self {
        Self::NotAuthenticated(invalid)
    }
}
