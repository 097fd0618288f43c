//! Whether an account may use a provider at all, from where it comes and now: the bindings of its application.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::binding::Applicant;
use super::binding_reason::{Audience, reason};
use crate::directory::{AccountState, Accounts};
use crate::model::{Application, BindingMode, BindingSubject, ObjectReference, ProviderNumber, Timestamp};

/// The application's bindings do not admit the account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the application `{}` does not admit this account: {}", .application.slug, Listed(.reasons, *.more))]
pub struct NotAdmitted {
    /// Whose bindings.
    pub application: Arc<Application>,
    /// Why those that take part do not pass, the first of them; none: all are switched off. They name nothing that who
    /// asked may not see.
    pub reasons: Arc<[String]>,
    /// How many more do not pass.
    pub more: usize,
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
    admitted(&Applicant::new(accounts, account, source, now), application, Audience::Client)
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
    admitted(&Applicant::new(accounts, account, source, now), application, Audience::Viewer(names))
}

fn admitted(
    applicant: &Applicant<'_>,
    application: &Arc<Application>,
    audience: Audience<'_>,
) -> Result<(), NotAdmitted> {
    if Admission::of(applicant, application).admits(applicant, application) {
        return Ok(());
    }
    Err(NotAdmitted::new(applicant, application, audience))
}

/// What the bindings of an application make of an account, wherever it comes from and whenever: it is the same until the
/// directory is another.
#[derive(Clone, Debug)]
pub(super) enum Admission {
    /// It is admitted, or it is not.
    Decided(bool),
    /// That is for these bindings to networks and times to say, by their places in the list.
    Open(Arc<[usize]>),
}

impl Admission {
    /// Asks all bindings that do not ask for the client's address, or the time.
    pub(super) fn of(applicant: &Applicant<'_>, application: &Application) -> Self {
        let mut enabled =
            application.bindings.iter().enumerate().filter(|(_, binding)| binding.enabled).peekable();
        if enabled.peek().is_none() {
            // Bindings that are all switched off bind nobody, and so do not open the application to all.
            return Self::Decided(application.bindings.is_empty());
        }
        let decisive = decisive(application);
        let mut open = Vec::new();
        for (place, binding) in enabled {
            match &binding.subject {
                BindingSubject::Networks(_) | BindingSubject::Window(_) => open.push(place),
                BindingSubject::Account(_) | BindingSubject::Group(_) => {
                    if applicant.passes(binding) == decisive {
                        return Self::Decided(decisive);
                    }
                }
            }
        }
        if open.is_empty() { Self::Decided(!decisive) } else { Self::Open(open.into()) }
    }

    /// Whether the account is admitted from where it is, now.
    pub(super) fn admits(&self, applicant: &Applicant<'_>, application: &Application) -> bool {
        let decisive = decisive(application);
        match self {
            Self::Decided(admits) => *admits,
            Self::Open(places) => {
                let mut bindings = places.iter().filter_map(|place| application.bindings.get(*place));
                bindings.any(|binding| applicant.passes(binding) == decisive) == decisive
            }
        }
    }

    /// How many bindings have to be asked anew.
    pub(super) fn open(&self) -> usize {
        match self {
            Self::Decided(_) => 0,
            Self::Open(places) => places.len(),
        }
    }
}

/// What one binding decides by itself: one that passes, where any is enough; one that does not, where all must.
fn decisive(application: &Application) -> bool {
    application.mode == BindingMode::Any
}

impl NotAdmitted {
    /// The refusal in words, for who asked.
    pub(super) fn new(
        applicant: &Applicant<'_>,
        application: &Arc<Application>,
        audience: Audience<'_>,
    ) -> Self {
        let mut refusing =
            application.bindings.iter().filter(|binding| binding.enabled && !applicant.passes(binding));
        let told = refusing.by_ref().take(REASONS_MAX);
        let reasons = told.map(|binding| reason(applicant, binding, audience)).collect();
        Self { application: application.clone(), reasons, more: refusing.count() }
    }
}

/// Reasons in one line, and how many more there are.
struct Listed<'a>(&'a [String], usize);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return formatter.write_str("all of its bindings are switched off");
        }
        formatter.write_str(&self.0.join("; "))?;
        if self.1 == 0 { Ok(()) } else { write!(formatter, "; and {} more", self.1) }
    }
}

/// So many reasons stand in one message.
/// No limit of the config: it is about the words of an answer.
const REASONS_MAX: usize = 8;
