//! Password Modify (RFC 3062): an account rotates the app password it is bound with; a person changes the password they are
//! bound with.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use super::bind::{may_send_secrets, names_account};
use super::gate::{held_or_noted, note_denied};
use crate::access::Identity;
use crate::config::Limit;
use crate::ldap::ber::{BerReader, BerWriter, tag};
use crate::ldap::message::ExtendedRequest;
use crate::ldap::response::{self, Outcome};
use crate::ldap::result_code::ResultCode;
use crate::ldap::session::{Context, Moment, Session};
use crate::registry::{ChangeError, Exchanged, OwnSecret, OwnSecretError};
use crate::secret::Secret;

/// The OID of the operation, RFC 3062 section 2.
pub(super) const PASSWORD_MODIFY: &str = "1.3.6.1.4.1.4203.1.11.1";

/// How a change of a credential ended.
pub type Changed = Result<Exchanged, OwnSecretError>;

/// A change that waits for a hash and for the disk.
pub struct PendingChange {
    future: Pin<Box<dyn Future<Output = Changed> + Send>>,
    message_id: i32,
    /// Who asked for it, and when.
    identity: Identity,
    moment: Moment,
}

impl Future for PendingChange {
    type Output = Changed;

    fn poll(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<Changed> {
        self.future.as_mut().poll(context)
    }
}

/// PasswdModifyRequestValue.
#[derive(Default)]
struct Request<'a> {
    user: Option<&'a str>,
    old: Option<&'a [u8]>,
    new: Option<&'a [u8]>,
}

/// Begins to change the credential; the answer comes when it is on disk.
pub(super) fn run(session: &mut Session, request: &ExtendedRequest, context: Context<'_>) {
    let Context { snapshot, moment, output, message_id, .. } = context;
    let mut refuse = |code, sentence: &str| answer(output, message_id, &Outcome::new(code, sentence), None);
    let Some(asked) = Request::decode(request.value.as_deref()) else {
        return refuse(ResultCode::ProtocolError, "the value of the Password Modify request is malformed");
    };
    let Some(identity) = held_or_noted(session, snapshot, moment) else {
        return refuse(
            ResultCode::InsufficientAccessRights,
            "bind first: an account changes its own password only",
        );
    };
    if !may_send_secrets(session) {
        return refuse(
            ResultCode::ConfidentialityRequired,
            "passwords are changed over TLS only: use StartTLS or ldaps",
        );
    }
    if asked.user.is_some_and(|user| !names_account(session, user, identity.holder.account)) {
        note_denied(session, &identity, "it asked for a change of the password of somebody else", moment);
        return refuse(ResultCode::InsufficientAccessRights, "an account changes its own password only");
    }
    // As at a bind: nothing of what is longer than any that somebody has is looked at.
    let length_max = session.settings.limits.bind_secret_length_max as usize;
    for (which, secret) in [("old", asked.old), ("new", asked.new)] {
        if secret.is_some_and(|secret| secret.len() > length_max) {
            session.note(Limit::bind_secret_length_max);
            let sentence = format!(
                "the {which} password has more than {length_max} octets (server.limits.bind_secret_length_max), so \
                 that nobody could bind with it"
            );
            return refuse(ResultCode::ConstraintViolation, &sentence);
        }
    }
    let asked = OwnSecret {
        old: asked.old.map(Secret::from),
        new: asked.new.map(Secret::from),
        overlap: session.settings.rotation_overlap,
    };
    let future = session.registry.clone().change_own_secret(identity, session.peer.source, asked);
    session.change = Some(PendingChange { future: Box::pin(future), message_id, identity, moment });
}

/// Answers the change when it was made, or was not.
pub(in crate::ldap) fn conclude(session: &mut Session, changed: Changed, output: &mut Vec<u8>) {
    let Some(PendingChange { message_id, identity, moment, .. }) = session.change.take() else { return };
    let (code, sentence) = match changed {
        Ok(Exchanged { generated, credential }) => {
            // Whoever has changed it knows the new one: nothing is decoded meanwhile, so it is who has asked.
            if let Some(mut identity) = session.identity {
                identity.holder.credential = credential;
                session.bound(identity, moment);
            }
            return answer(output, message_id, &Outcome::SUCCESS, generated.as_ref());
        }
        Err(error) => (code_of(&error), error.to_string()),
    };
    if code == ResultCode::InsufficientAccessRights {
        note_denied(session, &identity, &sentence, moment);
    }
    answer(output, message_id, &Outcome::new(code, &sentence), None);
}

fn code_of(error: &OwnSecretError) -> ResultCode {
    match error {
        OwnSecretError::OldIsWrong => ResultCode::InvalidCredentials,
        OwnSecretError::Constraint(_) => ResultCode::ConstraintViolation,
        OwnSecretError::NoSecret | OwnSecretError::NotByToken => ResultCode::UnwillingToPerform,
        OwnSecretError::CredentialGone => ResultCode::InsufficientAccessRights,
        OwnSecretError::Change(error) => match error {
            ChangeError::Invalid(_)
            | ChangeError::Seed(_)
            | ChangeError::Field { .. }
            | ChangeError::Fields(_)
            // As for a password that is too young to be changed; clients take 51 for a server that is down.
            | ChangeError::TooOften { .. } => ResultCode::ConstraintViolation,
            ChangeError::NotFound { .. }
            | ChangeError::NotKept { .. }
            | ChangeError::Exists { .. }
            | ChangeError::Refused(_) => ResultCode::UnwillingToPerform,
            ChangeError::NotAuthenticated(_) | ChangeError::Forbidden { .. } => {
                ResultCode::InsufficientAccessRights
            }
            ChangeError::Busy
            | ChangeError::Conflict
            | ChangeError::Secret(_) => ResultCode::Busy,
            ChangeError::Store(_) | ChangeError::ShuttingDown => ResultCode::Unavailable,
            ChangeError::Panicked | ChangeError::WriterStopped => ResultCode::Other,
        },
    }
}

/// The response has no name (RFC 3062 section 2), and a value only when a secret was generated.
fn answer(output: &mut Vec<u8>, message_id: i32, outcome: &Outcome<'_>, generated: Option<&Secret>) {
    let value = generated.map(|secret| {
        let mut value = zeroize::Zeroizing::new(Vec::new());
        let mut element = zeroize::Zeroizing::new(Vec::new());
        BerWriter::new(&mut element).element(GENERATED, secret.expose());
        BerWriter::new(&mut value).element(tag::SEQUENCE, &element);
        value
    });
    let value = value.as_ref().map(|value| value.as_slice());
    response::extended_response(output, message_id, outcome, None, value, &[]);
}

impl<'a> Request<'a> {
    fn decode(value: Option<&'a [u8]>) -> Option<Self> {
        let Some(value) = value else { return Some(Self::default()) };
        let mut reader = BerReader::new(value);
        let mut sequence = reader.sequence().ok()?;
        let user = sequence.optional(USER).ok()?.map(std::str::from_utf8).transpose().ok()?;
        // Clients that have nothing to say there send nothing in it, and mean who is bound.
        let user = user.filter(|user| !user.is_empty());
        let old = sequence.optional(OLD).ok()?;
        let new = sequence.optional(NEW).ok()?;
        (reader.is_empty() && sequence.is_empty()).then_some(Self { user, old, new })
    }
}

const USER: u8 = tag::context(0);
const OLD: u8 = tag::context(1);
const NEW: u8 = tag::context(2);
const GENERATED: u8 = tag::context(0);
