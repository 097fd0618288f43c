//! Whether an account may use a provider at all: the bindings of its application.

use std::sync::Arc;

use crate::directory::{AccountState, Accounts};
use crate::model::{Application, Binding, BindingMode, BindingSubject, ProviderNumber};

/// The application's bindings do not admit the account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the application `{}` does not admit this account", .application.slug)]
pub struct NotAdmitted {
    /// Whose bindings.
    pub application: Arc<Application>,
}

/// Asks the application of the provider. Without one, or without bindings, every active account is
/// admitted.
pub fn admit(
    accounts: &Accounts,
    account: &AccountState,
    provider: ProviderNumber,
) -> Result<(), NotAdmitted> {
    let Some(application) = accounts.application_of(provider) else { return Ok(()) };
    let passes = |binding: &Binding| names(accounts, account, binding.subject) != binding.negate;
    let mut enabled = application.bindings.iter().filter(|binding| binding.enabled).peekable();
    if enabled.peek().is_none() {
        // Bindings that are all switched off bind nobody, and so do not open the application to all.
        return if application.bindings.is_empty() {
            Ok(())
        } else {
            Err(NotAdmitted { application: application.clone() })
        };
    }
    let admitted = match application.mode {
        BindingMode::Any => enabled.any(passes),
        BindingMode::All => enabled.all(passes),
    };
    if admitted { Ok(()) } else { Err(NotAdmitted { application: application.clone() }) }
}

fn names(accounts: &Accounts, account: &AccountState, subject: BindingSubject) -> bool {
    match subject {
        BindingSubject::Account(number) => account.number == number,
        BindingSubject::Group(number) => accounts.lead_to(&account.groups, number),
    }
}
