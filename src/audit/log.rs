//! Logins and failed logins, as structured lines of the log. No secret and no hash ever stands in one.

use std::net::IpAddr;

use crate::model::{Action, Fingerprint};

/// What an account has proved itself with, for the log.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoginProof<'a> {
    /// The identifier of the token; `None`: it was something else.
    pub token: Option<&'a str>,
    /// The client certificate; `None`: it was a secret.
    pub certificate: Option<Fingerprint>,
}

/// A login that failed, under the canonical name of the account.
#[derive(Clone, Copy, Debug)]
pub struct Failure<'a> {
    /// Whose, as far as it is known.
    pub account: &'a str,
    /// The provider's name; empty: none.
    pub provider: &'a str,
    /// Where from; `None`: from a Unix socket.
    pub source: Option<IpAddr>,
    /// How it failed.
    pub kind: FailureKind,
    /// What was the matter; for [`FailureKind::NotAdmitted`] the application. The client may not learn it.
    pub reason: &'a str,
}

/// How a login failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The secret was wrong, or there is no such account.
    Failed,
    /// The secret was right, but the application does not admit the account.
    NotAdmitted,
    /// The server was too busy, or there were too many failures.
    Refused,
}

/// Notes a login of an account under its name: the secret was right, and the application admits it.
pub fn login(account: &str, provider: &str, source: Option<IpAddr>, proof: LoginProof<'_>) {
    let token = proof.token.unwrap_or("");
    let certificate = proof.certificate.map(tracing::field::display);
    with_source(source, |source| {
        tracing::debug!(target: "audit", action = Action::Login.as_str(), account, token, certificate, provider, source);
    });
}

/// Writes a failed login; `count`: so many more of them, after one that was written.
pub(super) fn failure(failed: Failure<'_>, count: Option<u64>) {
    let Failure { account, provider, source, kind, reason } = failed;
    let action = match kind {
        FailureKind::Failed | FailureKind::Refused => Action::LoginFailed.as_str(),
        FailureKind::NotAdmitted => Action::AuthorizationDenied.as_str(),
    };
    with_source(source, |source| match kind {
        FailureKind::Failed => {
            tracing::info!(target: "audit", action, account, provider, source, reason, count);
        }
        FailureKind::NotAdmitted => {
            tracing::info!(target: "audit", action, account, provider, source, application = reason, count);
        }
        FailureKind::Refused => {
            tracing::warn!(target: "audit", action, account, provider, source, reason, count);
        }
    });
}

fn with_source(source: Option<IpAddr>, write: impl FnOnce(&str)) {
    match source {
        None => write("local"),
        Some(source) => write(&source.to_string()),
    }
}
