//! The trail as structured lines of the log. No secret and no hash ever stands in one.

use std::net::IpAddr;

use super::chain::digest;
use crate::model::{AccountNumber, Action, Event, Fingerprint, Trail, TrailState};

/// What an account has proved itself with, for the log.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProofNames<'a> {
    /// The identifier of the token; `None`: it was something else.
    pub token: Option<&'a str>,
    /// The client certificate; `None`: it was a secret.
    pub certificate: Option<Fingerprint>,
}

/// A login that failed, under the canonical name of the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Failure<'a> {
    /// Whose, as far as it is known.
    pub account: &'a str,
    /// The account's number, if there is such an account.
    pub number: Option<AccountNumber>,
    /// The identifier of the token, if there is such a token.
    pub token: Option<&'a str>,
    /// The provider's name; empty: none.
    pub provider: &'a str,
    /// The slug of the application that refused.
    pub application: Option<&'a str>,
    /// Where from; `None`: from a Unix socket.
    pub source: Option<IpAddr>,
    /// How it failed.
    pub kind: FailureKind,
    /// What was the matter. The client may not learn it.
    pub reason: &'a str,
    /// The call of the API that was refused; `None`: it was none.
    pub call: Option<DeniedCall<&'a str>>,
}

/// A call of the API that was refused for what its caller may not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeniedCall<T> {
    /// The method of HTTP.
    pub method: T,
    /// The path, with the names of its parameters in the place of their values.
    pub resource: T,
    /// The permission that is missing, or `superuser`; `None`: nothing that could be granted.
    pub missing: Option<T>,
}

impl<T: AsRef<str>> DeniedCall<T> {
    /// The same, borrowed.
    pub fn as_deref(&self) -> DeniedCall<&str> {
        DeniedCall {
            method: self.method.as_ref(),
            resource: self.resource.as_ref(),
            missing: self.missing.as_ref().map(AsRef::as_ref),
        }
    }

    /// The same, owned.
    pub fn to_owned(&self) -> DeniedCall<String> {
        let own = |text: &T| text.as_ref().to_owned();
        let missing = self.missing.as_ref().map(own);
        DeniedCall { method: own(&self.method), resource: own(&self.resource), missing }
    }
}

/// How a login failed, or what was refused afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The secret was wrong, or there is no such account.
    Failed,
    /// The secret was right, but the application does not admit the account.
    NotAdmitted,
    /// The server was too busy, or there were too many failures.
    Refused,
    /// An operation was refused to a connection that had bound, or a call of the API to an account.
    Denied,
}

impl FailureKind {
    /// What its event is called.
    pub fn action(self) -> Action {
        match self {
            Self::Failed | Self::NotAdmitted | Self::Refused => Action::LoginFailed,
            Self::Denied => Action::SuspiciousRequest,
        }
    }
}

/// Notes a login of an account under its name: the secret was right, and the application admits it. Its event comes
/// later, with how often.
pub fn login(account: &str, provider: &str, source: Option<IpAddr>, proof: ProofNames<'_>) {
    // Each bind comes here, and next to none is told.
    if !tracing::enabled!(target: "audit", tracing::Level::DEBUG) {
        return;
    }
    let token = proof.token.unwrap_or("");
    let certificate = proof.certificate.map(tracing::field::display);
    with_source(source, |source| {
        tracing::debug!(target: "audit", action = Action::Login.as_str(), account, token, certificate, provider, source);
    });
}

/// Writes the first failed login of its kind, at once. Its event comes later, with how often.
pub(super) fn failure(failed: Failure<'_>) {
    let Failure { account, number: _, token, provider, application, source, kind, reason, call } = failed;
    let (method, resource, missing) = match call {
        Some(DeniedCall { method, resource, missing }) => (Some(method), Some(resource), missing),
        None => (None, None, None),
    };
    let action = kind.action().as_str();
    with_source(source, |source| match kind {
        FailureKind::Failed | FailureKind::NotAdmitted => {
            tracing::info!(target: "audit", action, account, provider, source, token, application, reason);
        }
        FailureKind::Denied => {
            tracing::info!(
                target: "audit", action, account, provider, source, token, application, method, resource, missing, reason
            );
        }
        FailureKind::Refused => {
            tracing::warn!(target: "audit", action, account, provider, source, token, application, reason);
        }
    });
}

/// The target of events in full, for a log of JSON.
pub const DOCUMENT: &str = "audit::document";
/// The target of events on one short line, for a log that people read: what they changed is in the trail.
pub const SUMMARY: &str = "audit::summary";

/// Writes an event that is in the store, with its digest: a copy of the log elsewhere holds the trail to what it was.
/// Of the two forms the log takes one.
pub fn committed(event: &Event) {
    if tracing::enabled!(target: DOCUMENT, tracing::Level::INFO) {
        document(event);
    }
    if tracing::enabled!(target: SUMMARY, tracing::Level::INFO) {
        summary(event);
    }
}

fn document(event: &Event) {
    let changes = (!event.changes.is_empty()).then(|| json(&event.changes));
    let details = (!event.details.is_empty()).then(|| json(&event.details));
    let user = event.actor.user.as_ref();
    tracing::info!(
        target: DOCUMENT,
        trail = event.trail.as_str(),
        sequence = event.sequence,
        digest = %digest(event),
        event = %event.uuid,
        happened = %event.time,
        since = event.since.map(tracing::field::display),
        count = event.count,
        action = event.action.as_str(),
        account = event.actor.account,
        account_number = event.actor.number.map(AccountNumber::get),
        system_uid = user.map(|user| user.uid),
        system_user = user.and_then(|user| user.name.as_deref()),
        sudo_user = user.and_then(|user| user.sudo_user.as_deref()),
        token = event.actor.token,
        source = event.actor.source.map(tracing::field::display),
        request = event.actor.request.map(tracing::field::display),
        application = event.application,
        object_kind = some(&event.object_kind),
        object_name = some(&event.object_name),
        object_key = event.object_key,
        object_uuid = event.object_uuid.map(tracing::field::display),
        changes,
        details,
    );
}

fn summary(event: &Event) {
    let object =
        (!event.object_kind.is_empty()).then(|| format!("{} {}", event.object_kind, event.object_name));
    tracing::info!(
        target: SUMMARY,
        count = event.count,
        action = event.action.as_str(),
        account = event.actor.account,
        user = event.actor.user.as_ref().map(tracing::field::display),
        token = event.actor.token,
        source = event.actor.source.map(tracing::field::display),
        application = event.application,
        object,
        trail = event.trail.as_str(),
        sequence = event.sequence,
        digest = %digest(event),
    );
}

/// Writes where a trail ends after a commit with so many of its events.
pub fn trail_ends(trail: Trail, state: &TrailState, events: u64) {
    let TrailState { next, head, .. } = state;
    tracing::info!(target: "audit", trail = trail.as_str(), events, next, %head, "the audit trail goes on");
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn json(value: &impl serde::Serialize) -> String {
    // Text and lists of it can always be written.
    serde_json::to_string(value).unwrap_or_default()
}

fn with_source(source: Option<IpAddr>, write: impl FnOnce(&str)) {
    match source {
        None => write("local"),
        Some(source) => write(&source.to_string()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
pub(super) mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use uuid::Uuid;

    use super::*;
    use crate::model::{Actor, EventDetail, FieldChange, SystemUser, Timestamp};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(octets);
            Ok(octets.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Lines {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    /// The lines that `act` writes.
    pub(crate) fn lines(act: impl FnOnce()) -> Vec<String> {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, act);
        lines.text().lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_log_says_where_the_trail_ends() {
        let state = TrailState { next: 9, ..TrailState::default() };
        let told = lines(|| trail_ends(Trail::Logins, &state, 3));
        let end = format!("trail=\"logins\" events=3 next=9 head={}", state.head);
        assert!(told.len() == 1 && told[0].contains(&end), "{told:?}");
    }

    fn event() -> Event {
        Event {
            trail: Trail::Changes,
            sequence: 7,
            uuid: Uuid::from_u128(7),
            time: Timestamp::from_unix_seconds(1_800_000_000),
            action: Action::ModelUpdated,
            actor: Actor {
                number: Some(AccountNumber::new(5)),
                token: Some("portal-api".to_owned()),
                source: Some("192.0.2.7".parse().unwrap()),
                request: Some(Uuid::from_u128(9)),
                ..Actor::named("portal")
            },
            object_kind: "account".to_owned(),
            object_name: "alice \"the first\"".to_owned(),
            object_key: Some(8),
            object_uuid: Some(Uuid::from_u128(8)),
            changes: vec![FieldChange {
                field: "email".to_owned(),
                before: None,
                after: Some("a@example.com".to_owned()),
            }],
            details: vec![EventDetail { name: "reason".to_owned(), value: "asked".to_owned() }],
            ..crate::plain::event()
        }
    }

    fn by_root(event: Event) -> Event {
        let user = SystemUser { uid: 0, name: Some("root".to_owned()), sudo_user: Some("alice".to_owned()) };
        Event { actor: Actor { user: Some(user), ..event.actor }, ..event }
    }

    #[test]
    fn people_read_an_event_on_a_line_without_what_it_changed() {
        let told = lines(|| summary(&event()));
        let said = "count=1 action=\"model_updated\" account=\"portal\" token=\"portal-api\" source=192.0.2.7 \
                    object=\"account alice \\\"the first\\\"\" trail=\"changes\" sequence=7 digest=";
        assert!(told.len() == 1 && told[0].contains(said), "{told:?}");
        assert!(told[0].contains(&digest(&event()).to_string()), "{told:?}");
        assert!(!told[0].contains("a@example.com"), "{told:?}");
        let told = lines(|| summary(&by_root(event())));
        assert!(told[0].contains("account=\"portal\" user=root (0), by sudo of alice token="), "{told:?}");
    }

    #[test]
    fn an_event_is_one_json_document_of_the_log() {
        let event = by_root(event());
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber =
            tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, || document(&event));
        let line: serde_json::Value = serde_json::from_str(&lines.text()).unwrap();
        assert_eq!((&line["target"], &line["level"]), (&DOCUMENT.into(), &"INFO".into()));
        assert_eq!((&line["trail"], &line["sequence"]), (&"changes".into(), &7.into()));
        assert_eq!(line["digest"], digest(&event).to_string());
        assert_eq!(line["action"], "model_updated");
        assert_eq!((&line["account"], &line["token"]), (&"portal".into(), &"portal-api".into()));
        assert_eq!((&line["source"], &line["object_kind"]), (&"192.0.2.7".into(), &"account".into()));
        assert_eq!(line["object_name"], "alice \"the first\"");
        assert_eq!(line["request"], Uuid::from_u128(9).to_string());
        let changes: serde_json::Value = serde_json::from_str(line["changes"].as_str().unwrap()).unwrap();
        assert_eq!(changes[0]["after"], "a@example.com");
        assert_eq!((&line["system_uid"], &line["system_user"]), (&0.into(), &"root".into()));
        assert_eq!(line["sudo_user"], "alice");
        assert!(line.get("application").is_none(), "{line}");
    }
}
