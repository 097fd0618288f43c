//! Logins and failed logins, as structured lines of the log. No secret and no hash ever stands in one.

use std::net::IpAddr;

use crate::model::{Action, Fingerprint};

/// How a login ended, for the log.
#[derive(Clone, Copy, Debug)]
pub enum LoginResult<'a> {
    /// The secret was right, and the application admits the account.
    Accepted {
        /// The identifier of the token; `None`: it was something else.
        token: Option<&'a str>,
        /// The client certificate; `None`: it was a secret.
        certificate: Option<Fingerprint>,
    },
    /// The secret was wrong, or there is no such account: the log says which, the client never learns.
    Failed {
        /// What was the matter.
        reason: &'a str,
    },
    /// The secret was right, but the application does not admit the account.
    NotAdmitted {
        /// The application.
        application: &'a str,
    },
    /// The server was too busy, or there were too many failures.
    Refused {
        /// Which of them.
        reason: &'a str,
    },
}

/// Notes a login under the canonical name of the account.
pub fn login(account: &str, provider: Option<&str>, source: Option<IpAddr>, result: LoginResult<'_>) {
    let source = source.map(|source| source.to_string());
    let source = source.as_deref().unwrap_or("local");
    let provider = provider.unwrap_or("");
    match result {
        LoginResult::Accepted { token, certificate } => {
            let token = token.unwrap_or("");
            let certificate = certificate.map(tracing::field::display);
            tracing::debug!(target: "audit", action = Action::Login.as_str(), account, token, certificate, provider, source);
        }
        LoginResult::Failed { reason } => {
            tracing::info!(target: "audit", action = Action::LoginFailed.as_str(), account, provider, source, reason);
        }
        LoginResult::NotAdmitted { application } => {
            let action = Action::AuthorizationDenied.as_str();
            tracing::info!(target: "audit", action, account, provider, source, application);
        }
        LoginResult::Refused { reason } => {
            tracing::warn!(target: "audit", action = Action::LoginFailed.as_str(), account, provider, source, reason);
        }
    }
}
