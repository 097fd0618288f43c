//! Accounts one at a time.

use super::validate;
use crate::model::{AccountKind, Actor, Record};
use crate::registry::{ChangeError, Registry, Transaction};

impl Registry {
    /// Lets an account bind and call the API, or forbids it, from the next operation on.
    ///
    /// # Errors
    /// There is no such account, or it is bindery's own.
    pub async fn set_account_active(
        &self,
        actor: Actor,
        username: String,
        is_active: bool,
    ) -> Result<(), ChangeError> {
        self.change(actor, move |transaction| {
            let number = find(transaction, username)?;
            let now = transaction.now();
            if let Some(mut account) = transaction.account(number)?
                && account.is_active != is_active
            {
                account.is_active = is_active;
                account.modified = now;
                transaction.put(Record::Account(account))?;
            }
            Ok(())
        })
        .await
    }

    /// Deletes an account with its tokens and memberships, and leaves tombstones.
    ///
    /// # Errors
    /// There is no such account, or it is bindery's own.
    pub async fn delete_account(&self, actor: Actor, username: String) -> Result<(), ChangeError> {
        self.change(actor, move |transaction| {
            let number = find(transaction, username)?;
            transaction.delete_account(number)
        })
        .await
    }
}

/// The account of this name, if others than bindery may change it.
fn find(transaction: &Transaction<'_>, username: String) -> Result<crate::model::AccountNumber, ChangeError> {
    match transaction.snapshot().accounts().account_named(&username) {
        None => Err(ChangeError::NotFound { kind: "account", name: username }),
        Some(account) if account.kind == AccountKind::InternalServiceAccount => {
            Err(validate::internal(&account.username))
        }
        Some(account) => Ok(account.number),
    }
}
