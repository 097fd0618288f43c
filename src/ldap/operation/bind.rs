//! Bind (RFC 4511 section 4.2, RFC 4513 section 5): simple, SASL PLAIN, and SASL EXTERNAL by a client certificate.

use super::gate::{is_long_name, note_denied};
use super::sasl::{Plain, without_prefix};
use crate::access::{Credential, Identity};
use crate::auth::HashOutcome;
use crate::config::{Limit, SecretsInClear};
use crate::ldap::control::{PasswordPolicy, RequestControls, password_policy_response};
use crate::ldap::message::{Authentication as Method, BindRequest};
use crate::ldap::response::{self, Outcome, ResponseControls};
use crate::ldap::result_code::ResultCode;
use crate::ldap::session::{Context, Moment, Session, SessionSettings};
use crate::model::AccountNumber;
use crate::registry::{Attempt, Authentication, AuthenticationRefusal, NAME_FORM_OCTETS_MAX, Verdict};
use crate::schema::MatchingRule;

/// A bind that waits for its hash.
pub(in crate::ldap) struct PendingBind {
    pub(in crate::ldap) attempt: Box<Attempt>,
    answering: Answering,
}

/// What the answer to a bind needs beside its verdict.
struct Answering {
    message_id: i32,
    /// Whether the client has asked when its secret expires.
    tells_expiry: bool,
    /// As whom a SASL client wants to act; empty: as who it is.
    authorization: Box<str>,
    /// For whom the client says that it works, for the log.
    tracked: tracing::Span,
}

/// Begins a bind; it may have to wait for a hash.
pub(in crate::ldap) fn run(
    session: &mut Session,
    request: &BindRequest<'_>,
    controls: &RequestControls<'_>,
    context: Context<'_>,
) {
    let Context { snapshot, output, message_id, moment, body } = context;
    let tells_expiry = controls.password_policy;
    let mut refuse = |code, sentence: &str| {
        respond(
            output,
            message_id,
            &Outcome::new(code, sentence),
            tells_expiry.then_some(PasswordPolicy::Silent),
        );
    };
    if request.version != 3 {
        return refuse(ResultCode::ProtocolError, "this server speaks LDAP version 3 only");
    }
    session.is_sasl_in_progress = false;
    let (name, secret, authorization) = match request.authentication {
        Method::Simple(secret) => (request.name, secret, ""),
        Method::Sasl { mechanism, credentials } if mechanism.eq_ignore_ascii_case(PLAIN) => {
            match credentials.map(Plain::parse) {
                // Who would send a secret next must not be told to in clear, and who sent one that cannot be read is told that
                // before what is wrong with it.
                None | Some(None) if !may_send_secrets(session) => {
                    return refuse(ResultCode::ConfidentialityRequired, IN_CLEAR);
                }
                // A client that waits for a challenge gets an empty one (RFC 4513 section 5.2.1.2).
                None => {
                    session.is_sasl_in_progress = true;
                    let outcome = Outcome::new(ResultCode::SaslBindInProgress, "");
                    return response::bind_response(output, message_id, &outcome, Some(b""), &[]);
                }
                Some(None) => return refuse(ResultCode::InvalidCredentials, INVALID_CREDENTIALS),
                Some(Some(Plain { authorization, name, secret })) => (name, secret, authorization),
            }
        }
        Method::Sasl { mechanism, credentials }
            if mechanism.eq_ignore_ascii_case(EXTERNAL) && session.settings.client_trust.present().asks() =>
        {
            let authorization = credentials.unwrap_or_default();
            let context = Context { snapshot, moment, output, message_id, body };
            return external(session, authorization, tells_expiry, context);
        }
        Method::Sasl { .. } => {
            let known = mechanisms(&session.settings).join(", ");
            let sentence =
                format!("this server knows these SASL mechanisms: {known}; or bind with a password");
            return refuse(ResultCode::AuthMethodNotSupported, &sentence);
        }
        Method::Other { .. } => {
            return refuse(ResultCode::AuthMethodNotSupported, "bind with a password");
        }
    };
    match (name.is_empty(), secret.is_empty()) {
        (true, true) => return refuse(ResultCode::Success, ""),
        // RFC 4513 section 5.1.2: a client that sends no password has authenticated nobody.
        (false, true) => {
            return refuse(ResultCode::UnwillingToPerform, "a bind with a name needs a password");
        }
        (_, false) => {}
    }
    if !may_send_secrets(session) {
        return refuse(ResultCode::ConfidentialityRequired, IN_CLEAR);
    }
    // Nothing of what is longer than any that somebody has is looked at.
    if secret.len() > session.settings.limits.bind_secret_length_max as usize {
        session.note(Limit::bind_secret_length_max);
        return refuse(ResultCode::InvalidCredentials, INVALID_CREDENTIALS);
    }
    if is_long_name(session, name) || is_long_name(session, authorization) {
        session.note(Limit::name_length_max);
        return refuse(ResultCode::InvalidCredentials, INVALID_CREDENTIALS);
    }
    let answering = Answering {
        message_id,
        tells_expiry,
        authorization: authorization.into(),
        tracked: tracing::Span::current(),
    };
    count_name(session, name);
    let (source, entitlements) = (session.peer.source, &mut session.entitlements);
    let Moment { now, instant } = moment;
    let authentication = session.registry.authenticate(name, secret, source, now, instant, entitlements);
    session.evaluator.add_work(session.entitlements.take_work());
    match authentication {
        Authentication::Done(verdict) => answer(session, &verdict, &answering, output, moment),
        Authentication::Pending(attempt) => session.bind = Some(PendingBind { attempt, answering }),
    }
}

/// RFC 4513 section 5.2.3: the client is who its certificate says. `authorization` is empty, or as whom it wants to act.
fn external(session: &mut Session, authorization: &[u8], tells_expiry: bool, context: Context<'_>) {
    let Context { snapshot, moment, output, message_id, .. } = context;
    session.evaluator.add_work(WORK_OF_A_BIND);
    let (Some(shown), Ok(authorization)) =
        (session.certificate.as_deref_mut(), std::str::from_utf8(authorization))
    else {
        // Nothing was established by TLS: RFC 4513 section 5.2.3 wants this code, not invalidCredentials.
        let outcome = match session.certificate {
            None => Outcome::new(
                ResultCode::InappropriateAuthentication,
                "EXTERNAL needs TLS with a client certificate that an authority of this server has signed",
            ),
            Some(_) => Outcome::new(ResultCode::InvalidCredentials, INVALID_CREDENTIALS),
        };
        return respond(output, message_id, &outcome, tells_expiry.then_some(PasswordPolicy::Silent));
    };
    let trusted = session.settings.client_trust.present();
    let account = shown.username(&trusted, snapshot);
    session.evaluator.add_work(shown.take_work());
    let source = session.peer.source;
    let verdict = session.registry.authenticate_certificate(
        account.as_deref(),
        &shown.certificate,
        source,
        moment.now,
        moment.instant,
        &mut session.entitlements,
    );
    session.evaluator.add_work(session.entitlements.take_work());
    drop(trusted);
    let answering = Answering {
        message_id,
        tells_expiry,
        authorization: authorization.into(),
        tracked: tracing::Span::current(),
    };
    answer(session, &verdict, &answering, output, moment);
}

/// Ends a bind whose hash has come.
pub(in crate::ldap) fn conclude(
    session: &mut Session,
    outcome: Option<HashOutcome>,
    output: &mut Vec<u8>,
    moment: Moment,
) {
    let Some(bind) = session.bind.take() else { return };
    let _entered = bind.answering.tracked.enter();
    let Moment { now, instant } = moment;
    let entitlements = &mut session.entitlements;
    let verdict = session.registry.conclude(&bind.attempt, outcome, now, instant, entitlements);
    session.evaluator.add_work(session.entitlements.take_work());
    answer(session, &verdict, &bind.answering, output, moment);
}

fn answer(
    session: &mut Session,
    verdict: &Verdict,
    answering: &Answering,
    output: &mut Vec<u8>,
    moment: Moment,
) {
    let Answering { message_id, tells_expiry, authorization, .. } = answering;
    let mut policy = PasswordPolicy::Silent;
    let sentence;
    let outcome = match verdict {
        // The secret is right, so it may be told.
        Verdict::Accepted(identity)
            if !authorization.is_empty()
                && !names_account(session, authorization, identity.holder.account) =>
        {
            note_denied(session, identity, "it asked to act as somebody else", moment);
            let sentence = "an account may act as itself only: leave the authorization identity out";
            Outcome::new(ResultCode::InsufficientAccessRights, sentence)
        }
        Verdict::Accepted(identity) => {
            session.bound(*identity, moment);
            if *tells_expiry && let Some(seconds_left) = expires_soon(session, identity, moment) {
                policy = PasswordPolicy::ExpiresSoon { seconds_left };
            }
            Outcome::SUCCESS
        }
        Verdict::Refused(AuthenticationRefusal::InvalidCredentials) => {
            Outcome::new(ResultCode::InvalidCredentials, INVALID_CREDENTIALS)
        }
        Verdict::Refused(AuthenticationRefusal::Paused) => {
            policy = PasswordPolicy::AccountLocked;
            Outcome::new(ResultCode::InvalidCredentials, INVALID_CREDENTIALS)
        }
        Verdict::Refused(AuthenticationRefusal::Busy) => {
            Outcome::new(ResultCode::Busy, "too many passwords are being checked; try again later")
        }
        Verdict::Refused(AuthenticationRefusal::NotAdmitted(refused)) => {
            sentence = refused.to_string();
            Outcome::new(ResultCode::InsufficientAccessRights, &sentence)
        }
    };
    respond(output, *message_id, &outcome, tells_expiry.then_some(policy));
}

/// The SASL mechanisms that the root DSE advertises.
pub(in crate::ldap) fn mechanisms(settings: &SessionSettings) -> Vec<&'static str> {
    let takes_secrets = settings.offers_start_tls || settings.secrets_in_clear != SecretsInClear::Never;
    let external = settings.client_trust.present().asks().then_some(EXTERNAL);
    external.into_iter().chain(takes_secrets.then_some(PLAIN)).collect()
}

/// Answers a bind; `policy` when the client has asked for the password policy.
fn respond(output: &mut Vec<u8>, message_id: i32, outcome: &Outcome<'_>, policy: Option<PasswordPolicy>) {
    let mut controls = ResponseControls::default();
    if let Some(policy) = policy {
        controls.push(password_policy_response(policy));
    }
    response::bind_response(output, message_id, outcome, None, &controls.as_controls());
}

/// The seconds until the secret expires, when there are few enough left to warn of it.
fn expires_soon(session: &Session, identity: &Identity, moment: Moment) -> Option<u32> {
    let snapshot = session.registry.current();
    let Credential::Token { number, .. } = identity.holder.credential else { return None };
    let expires = snapshot.accounts().token(number)?.expires?;
    let left = expires.unix_seconds().saturating_sub(moment.now.unix_seconds());
    let left = u64::try_from(left).ok().filter(|left| *left < session.settings.expiry_warning.as_secs())?;
    // INTEGER (0 .. maxInt).
    u32::try_from(left).ok().filter(|left| i32::try_from(*left).is_ok())
}

/// Whether a name, a DN or an authzId (RFC 4513 section 5.2.1.8) stands for this account.
pub(super) fn names_account(session: &mut Session, name: &str, account: AccountNumber) -> bool {
    if is_long_name(session, name) {
        session.note(Limit::name_length_max);
        return false;
    }
    let name = without_prefix(name);
    count_name(session, name);
    session.registry.account_of_name(name) == Some(account)
}

/// Counts what it costs to look the name of an account up: work of the connection, and so of its source, whatever comes
/// of it. It is counted before the secret is looked at, also for one of a form that no secret has, with which the name is not
/// looked up at all: so what a bind costs tells nothing of the secret, and a client that sends long names waits for its turn.
fn count_name(session: &mut Session, name: &str) {
    let form = NAME_FORM_OCTETS_MAX.min(12 * name.len());
    let cost = |rule: MatchingRule| rule.cost_of_preparing(name.as_bytes(), form);
    // What is no DN of ours is read once more, as a username.
    let once_more = if name.contains('=') { cost(MatchingRule::CaseIgnore) } else { 0 };
    let work = cost(MatchingRule::DistinguishedName) + once_more;
    session.evaluator.add_work(work.max(WORK_OF_A_BIND));
}

/// Whether secrets may be sent over this connection, in either direction.
pub(super) fn may_send_secrets(session: &Session) -> bool {
    let is_tls = session.is_tls || session.peer.is_tls_at_proxy;
    session.settings.secrets_in_clear.takes_secrets(is_tls, session.peer.is_loopback)
}

const IN_CLEAR: &str = "passwords are taken over TLS only: use StartTLS or ldaps";
/// What a bind costs at least beside a hash.
const WORK_OF_A_BIND: u64 = 50;
/// RFC 4422 appendix A, RFC 4513 section 5.2.3.
const EXTERNAL: &str = "EXTERNAL";
/// RFC 4616.
const PLAIN: &str = "PLAIN";
/// The same words for every reason.
const INVALID_CREDENTIALS: &str =
    "the name or the password is wrong, or the credential does not hold any more";
