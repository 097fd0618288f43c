//! Extended operations (RFC 4511 section 4.12): StartTLS, Who am I?, Cancel, and the way to Password Modify.

use super::gate::holding;
use super::password_modify::{self, PASSWORD_MODIFY};
use crate::directory::EntryId;
use crate::ldap::ber::BerReader;
use crate::ldap::message::ExtendedRequest;
use crate::ldap::response::{self, Outcome};
use crate::ldap::result_code::ResultCode;
use crate::ldap::session::{Context, Next, Session};

/// An extended operation that there is.
struct Extension {
    oid: &'static str,
    value: RequestValue,
    /// What its responses are named.
    response_name: Option<&'static str>,
    run: fn(&mut Session, &ExtendedRequest, Context<'_>),
}

/// Whether a request has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RequestValue {
    Absent,
    Optional,
    Required,
}

const EXTENSIONS: [Extension; 4] = [
    Extension { oid: START_TLS, value: RequestValue::Absent, response_name: Some(START_TLS), run: start_tls },
    Extension { oid: WHO_AM_I, value: RequestValue::Absent, response_name: None, run: who_am_i },
    Extension { oid: CANCEL, value: RequestValue::Required, response_name: None, run: cancel },
    Extension {
        oid: PASSWORD_MODIFY,
        value: RequestValue::Optional,
        response_name: None,
        run: password_modify::run,
    },
];

/// Carries an extended operation out; an unknown one is protocolError with its OID named, and so is one with a value that
/// it has not, or without one that it has.
pub(in crate::ldap) fn run(session: &mut Session, request: &ExtendedRequest, context: Context<'_>) {
    let name = request.name.as_str();
    let known = EXTENSIONS.iter().find(|known| known.oid == name);
    let fault = match (known.map(|known| known.value), &request.value) {
        (None, _) => "is not supported",
        (Some(RequestValue::Absent), Some(_)) => "has no value",
        (Some(RequestValue::Required), None) => "needs a value",
        _ => "",
    };
    match known {
        Some(known) if fault.is_empty() => (known.run)(session, request, context),
        _ => {
            let sentence = format!("the extended operation {name} {fault}");
            let outcome = Outcome::new(ResultCode::ProtocolError, &sentence);
            let response_name = known.and_then(|known| known.response_name);
            let Context { output, message_id, .. } = context;
            response::extended_response(output, message_id, &outcome, response_name, None, &[]);
        }
    }
}

/// The OIDs that the root DSE advertises.
pub(in crate::ldap) fn supported(offers_start_tls: bool) -> Vec<&'static str> {
    EXTENSIONS.iter().map(|known| known.oid).filter(|oid| offers_start_tls || *oid != START_TLS).collect()
}

/// RFC 4511 section 4.14.
fn start_tls(session: &mut Session, _: &ExtendedRequest, context: Context<'_>) {
    let outcome = if !session.settings.offers_start_tls {
        Outcome::new(ResultCode::ProtocolError, "this server has no certificate, so it cannot start TLS")
    } else if session.is_tls {
        Outcome::new(ResultCode::OperationsError, "TLS is on already")
    } else if session.is_sasl_in_progress {
        Outcome::new(ResultCode::OperationsError, "a SASL bind is in progress on this connection")
    } else if !session.is_idle() {
        Outcome::new(ResultCode::OperationsError, "operations are outstanding on this connection")
    } else {
        session.end_with(Next::StartTls);
        Outcome::SUCCESS
    };
    response::extended_response(context.output, context.message_id, &outcome, Some(START_TLS), None, &[]);
}

/// RFC 4532: `dn:` and the DN of the account, nothing for who is nobody.
fn who_am_i(session: &mut Session, _: &ExtendedRequest, context: Context<'_>) {
    let snapshot = context.snapshot;
    let mut name = Vec::new();
    if let Some(identity) = holding(session, snapshot, context.moment)
        && let Some(tree) = snapshot.tree(identity.provider)
        && let Some(entry) = tree.entry(EntryId::of_account(identity.holder.account))
    {
        name.extend_from_slice(b"dn:");
        name.extend_from_slice(entry.dn());
    }
    response::extended_response(
        context.output,
        context.message_id,
        &Outcome::SUCCESS,
        None,
        Some(&name),
        &[],
    );
}

/// RFC 3909: ends a running search with canceled, and says so. Nothing else runs while a request is taken; what has
/// been answered, or never was asked, is no operation.
fn cancel(session: &mut Session, request: &ExtendedRequest, context: Context<'_>) {
    let Context { output, message_id, .. } = context;
    let outcome = match decode_cancel(request) {
        None => Outcome::new(ResultCode::ProtocolError, "a Cancel needs the message ID of an operation"),
        Some(id) => match session.take_search(id) {
            Some(running) => {
                running.cancel(output);
                Outcome::SUCCESS
            }
            None => Outcome::new(ResultCode::NoSuchOperation, "no such operation is running"),
        },
    };
    response::extended_response(output, message_id, &outcome, None, None, &[]);
}

/// cancelRequestValue ::= SEQUENCE { cancelID MessageID }
fn decode_cancel(request: &ExtendedRequest) -> Option<i32> {
    let mut reader = BerReader::new(request.value.as_deref()?);
    let mut sequence = reader.sequence().ok()?;
    let id = i32::try_from(sequence.integer().ok()?).ok().filter(|id| *id >= 0)?;
    (reader.is_empty() && sequence.is_empty()).then_some(id)
}

/// RFC 3909 section 2.1.
const CANCEL: &str = "1.3.6.1.1.8";
/// RFC 4511 section 4.14.1.
const START_TLS: &str = "1.3.6.1.4.1.1466.20037";
/// RFC 4532 section 2.1.
const WHO_AM_I: &str = "1.3.6.1.4.1.4203.1.11.3";
