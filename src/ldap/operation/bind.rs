//! Bind (RFC 4511 section 4.2, RFC 4513 section 5.1).

use crate::auth::HashOutcome;
use crate::config::PlainBind;
use crate::ldap::message::{Authentication as Method, BindRequest};
use crate::ldap::response::{self, Outcome};
use crate::ldap::result_code::ResultCode;
use crate::ldap::session::{Clock, Context, Session};
use crate::registry::{Attempt, Authentication, AuthenticationRefusal, Verdict};

/// A bind that waits for its hash.
pub(in crate::ldap) struct PendingBind {
    pub(in crate::ldap) attempt: Box<Attempt>,
    message_id: i32,
}

/// Begins a bind; it may have to wait for a hash.
pub(in crate::ldap) fn run(session: &mut Session, request: &BindRequest<'_>, context: Context<'_>) {
    let Context { output, message_id, clock, .. } = context;
    let mut refuse = |code, sentence: &str| {
        response::bind_response(output, message_id, &Outcome::new(code, sentence), None, &[]);
    };
    if request.version != 3 {
        return refuse(ResultCode::ProtocolError, "this server speaks LDAP version 3 only");
    }
    let secret = match request.authentication {
        Method::Simple(secret) => secret,
        Method::Sasl { .. } => {
            return refuse(
                ResultCode::AuthMethodNotSupported,
                "this server knows no SASL mechanism; bind with a password",
            );
        }
        Method::Other { .. } => {
            return refuse(ResultCode::AuthMethodNotSupported, "bind with a password");
        }
    };
    match (request.name.is_empty(), secret.is_empty()) {
        (true, true) => return refuse(ResultCode::Success, ""),
        // RFC 4513 section 5.1.2: a client that sends no password has authenticated nobody.
        (false, true) => {
            return refuse(ResultCode::UnwillingToPerform, "a bind with a name needs a password");
        }
        (_, false) => {}
    }
    if !may_send_secrets(session) {
        return refuse(
            ResultCode::ConfidentialityRequired,
            "passwords are taken over TLS only: use StartTLS or ldaps",
        );
    }
    if secret.len() > session.settings.limits.bind_secret_length_max as usize {
        return refuse(ResultCode::InvalidCredentials, INVALID_CREDENTIALS);
    }
    match session.registry.authenticate(request.name, secret, session.peer.source, clock.now) {
        Authentication::Done(verdict) => answer(session, &verdict, message_id, output),
        Authentication::Pending(attempt) => session.bind = Some(PendingBind { attempt, message_id }),
    }
}

/// Ends a bind whose hash has come.
pub(in crate::ldap) fn conclude(
    session: &mut Session,
    outcome: Option<HashOutcome>,
    output: &mut Vec<u8>,
    clock: Clock,
) {
    let Some(bind) = session.bind.take() else { return };
    let verdict = session.registry.conclude(&bind.attempt, outcome, clock.now);
    answer(session, &verdict, bind.message_id, output);
}

fn answer(session: &mut Session, verdict: &Verdict, message_id: i32, output: &mut Vec<u8>) {
    let sentence;
    let outcome = match verdict {
        Verdict::Accepted(identity) => {
            session.identity = Some(*identity);
            Outcome::SUCCESS
        }
        Verdict::Refused(AuthenticationRefusal::InvalidCredentials) => {
            Outcome::new(ResultCode::InvalidCredentials, INVALID_CREDENTIALS)
        }
        Verdict::Refused(AuthenticationRefusal::Busy) => Outcome::new(
            ResultCode::Busy,
            "too many passwords are being checked, or too many were wrong; try again later",
        ),
        Verdict::Refused(AuthenticationRefusal::NotAdmitted(refused)) => {
            sentence = refused.to_string();
            Outcome::new(ResultCode::InsufficientAccessRights, &sentence)
        }
    };
    response::bind_response(output, message_id, &outcome, None, &[]);
}

fn may_send_secrets(session: &Session) -> bool {
    session.is_tls
        || match session.settings.plain_bind {
            PlainBind::Always => true,
            PlainBind::Loopback => session.peer.is_loopback,
            PlainBind::Never => false,
        }
}

/// The same words for every reason.
const INVALID_CREDENTIALS: &str =
    "the name or the password is wrong, or the credential does not hold any more";
