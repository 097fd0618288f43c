//! Whether an account may use a provider at all, from where it comes and now: the bindings of its application.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::binding::passes;
use super::binding_reason::{Audience, reason};
use crate::directory::{AccountState, Accounts};
use crate::model::{
    Application, Binding, BindingMode, BindingSubject, ObjectReference, ProviderNumber, Timestamp,
};

/// The application's bindings do not admit the account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the application `{}` does not admit this account: {}", .application.slug, Listed(.reasons))]
pub struct NotAdmitted {
    /// Whose bindings.
    pub application: Arc<Application>,
    /// Why each that takes part does not pass; none: all are switched off. They name nothing that who asked may not see.
    pub reasons: Vec<String>,
}

/// Asks the application of the provider whether it admits the account to a client at `source`, at `now`. Without one, or
/// without bindings, every active account is admitted.
pub fn admit(
    accounts: &Accounts,
    account: &AccountState,
    provider: ProviderNumber,
    source: Option<IpAddr>,
    now: Timestamp,
) -> Result<(), NotAdmitted> {
    match accounts.application_of(provider) {
        Some(application) => admit_to(accounts, account, application, source, now),
        None => Ok(()),
    }
}

/// Asks an application, whether it has a provider or not.
pub fn admit_to(
    accounts: &Accounts,
    account: &AccountState,
    application: &Arc<Application>,
    source: Option<IpAddr>,
    now: Timestamp,
) -> Result<(), NotAdmitted> {
    admitted(accounts, account, application, source, now, Audience::Client)
}

/// Asks an application for somebody else than the account, who may know of the objects of which `names` says so.
pub fn admit_to_before(
    accounts: &Accounts,
    account: &AccountState,
    application: &Arc<Application>,
    source: Option<IpAddr>,
    now: Timestamp,
    names: &dyn Fn(ObjectReference) -> bool,
) -> Result<(), NotAdmitted> {
    admitted(accounts, account, application, source, now, Audience::Viewer(names))
}

fn admitted(
    accounts: &Accounts,
    account: &AccountState,
    application: &Arc<Application>,
    source: Option<IpAddr>,
    now: Timestamp,
    audience: Audience<'_>,
) -> Result<(), NotAdmitted> {
    if !refuses(accounts, account, application, source, now) {
        return Ok(());
    }
    let told = application
        .bindings
        .iter()
        .filter(|binding| binding.enabled && !passes(accounts, account, binding, source, now));
    let told = told.map(|binding| reason(accounts, account, binding, source, now, audience));
    Err(NotAdmitted { application: application.clone(), reasons: told.collect() })
}

/// [`admit`] for who does not tell why.
pub(super) fn is_admitted(
    accounts: &Accounts,
    account: &AccountState,
    provider: ProviderNumber,
    source: Option<IpAddr>,
    now: Timestamp,
) -> bool {
    accounts
        .application_of(provider)
        .is_none_or(|application| !refuses(accounts, account, application, source, now))
}

fn refuses(
    accounts: &Accounts,
    account: &AccountState,
    application: &Application,
    source: Option<IpAddr>,
    now: Timestamp,
) -> bool {
    refuses_by(application, |binding| passes(accounts, account, binding, source, now))
}

/// Whether an application may admit an account to some client at some time: bindings to networks and times are taken to
/// pass, negated or not.
pub fn may_admit(accounts: &Accounts, account: &AccountState, application: &Application) -> bool {
    // Neither of the two that are left looks at the time.
    let never = Timestamp::from_unix_seconds(0);
    !refuses_by(application, |binding| match &binding.subject {
        BindingSubject::Networks(_) => true,
        BindingSubject::Window(window) => window.timezone().is_known(),
        BindingSubject::Account(_) | BindingSubject::Group(_) => {
            passes(accounts, account, binding, None, never)
        }
    })
}

fn refuses_by(application: &Application, passes: impl Fn(&Binding) -> bool) -> bool {
    let mut enabled = application.bindings.iter().filter(|binding| binding.enabled).peekable();
    if enabled.peek().is_none() {
        // Bindings that are all switched off bind nobody, and so do not open the application to all.
        return !application.bindings.is_empty();
    }
    match application.mode {
        BindingMode::Any => !enabled.any(passes),
        BindingMode::All => !enabled.all(passes),
    }
}

/// Reasons in one line, not too many of them.
struct Listed<'a>(&'a [String]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return formatter.write_str("all of its bindings are switched off");
        }
        let (told, more) = self.0.split_at_checked(REASONS_MAX).unwrap_or((self.0, &[]));
        formatter.write_str(&told.join("; "))?;
        if more.is_empty() { Ok(()) } else { write!(formatter, "; and {} more", more.len()) }
    }
}

/// So many reasons stand in one message.
/// No limit of the config: it is about the words of an answer.
const REASONS_MAX: usize = 8;
