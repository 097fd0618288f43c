//! From logins that are alike to their events and to the last use of each credential, from time to time.

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::{Asker, ChangeError, Registry, Transaction};
use crate::access::{Credential, Holder, Identity};
use crate::audit::{
    DeniedCall, Failure, FailureKind, FailureRow, LoginKey, LoginNames, LoginProof, LoginRow, Span, Tallied,
    Told,
};
use crate::config::Limit;
use crate::directory::{Accounts, Snapshot};
use crate::model::{
    AccountNumber, Action, Actor, Event, EventDetail, EventDigest, ProviderNumber, Timestamp, TokenNumber,
    Trail, Usage, UsageOf,
};

impl Registry {
    /// Makes events of all logins since the last time, and notes the last use of each credential. It goes on when the
    /// caller has gone away.
    ///
    /// # Errors
    /// The store does not take them: they are counted on, and nothing is lost.
    pub async fn flush_logins(self: &Arc<Self>) -> Result<(), ChangeError> {
        let registry = Arc::clone(self);
        let flushed = tokio::spawn(async move { registry.flush().await });
        flushed.await.map_err(|_| ChangeError::Panicked)?
    }

    /// The same for a reader who may come often, at most every [`FLUSH_PERIOD`]: a call of the API is a login itself, and
    /// would otherwise be an event and a synced write for each time that somebody looks.
    pub async fn flush_logins_sometimes(self: &Arc<Self>) {
        let now = Instant::now();
        {
            let mut flushed = self.flushed_for_readers();
            if flushed.is_some_and(|flushed| now.duration_since(flushed) < FLUSH_PERIOD) {
                return;
            }
            *flushed = Some(now);
        }
        self.flush_before_reading().await;
    }

    /// When it was last done for such a reader.
    pub(crate) fn flushed_for_readers(&self) -> MutexGuard<'_, Option<Instant>> {
        self.flushed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same for a reader who wants to see all. What cannot be committed is not to be read either; all else is.
    pub(super) async fn flush_before_reading(self: &Arc<Self>) {
        if let Err(error) = self.flush_logins().await {
            tracing::debug!(%error, "the last logins are not among the events");
        }
    }

    /// Comes when so many logins are told apart that it is time to make events of them.
    pub async fn logins_become_many(&self) {
        self.tally.becomes_scarce().await;
    }

    /// When a token was used last: what is in the store, and what is not there yet.
    pub fn last_used_token(&self, token: TokenNumber) -> Option<Usage> {
        self.last_used(UsageOf::Token(token))
    }

    /// When an account last proved itself with something else than a token.
    pub fn last_used_account(&self, account: AccountNumber) -> Option<Usage> {
        self.last_used(UsageOf::Account(account))
    }

    /// Notes that an account has proved itself with a token, for the HTTP API.
    pub fn note_api_login(&self, token: TokenNumber, source: Option<IpAddr>, now: Timestamp) {
        let snapshot = self.current();
        let accounts = snapshot.accounts();
        if let Some(account) = accounts.token(token).map(|token| token.account) {
            let key = LoginKey { account, proof: LoginProof::Token(token), source, provider: None };
            self.note_login(key, accounts, now);
        }
    }

    /// Notes that an operation was refused to a connection that had bound.
    pub fn note_denied(&self, identity: &Identity, source: Option<IpAddr>, reason: &str, now: Timestamp) {
        self.denied(identity.holder, source, Some(identity.provider), None, reason, now);
    }

    /// Notes that a call of the API was refused to an account for what it may not do.
    pub fn note_denied_call(&self, asker: &Asker, call: DeniedCall<&str>, reason: &str, now: Timestamp) {
        self.denied(asker.holder(), asker.source(), None, Some(call), reason, now);
    }

    fn denied(
        &self,
        holder: Holder,
        source: Option<IpAddr>,
        provider: Option<ProviderNumber>,
        call: Option<DeniedCall<&str>>,
        reason: &str,
        now: Timestamp,
    ) {
        let snapshot = self.current();
        let accounts = snapshot.accounts();
        let account = accounts.account(holder.account);
        let gone;
        let name: &str = match account {
            Some(account) => &account.username,
            None => {
                gone = format!("account {}", holder.account);
                &gone
            }
        };
        let token = match holder.credential {
            Credential::Token { number, .. } => accounts.token(number),
            Credential::Password { .. } | Credential::Certificate { .. } => None,
        };
        let failure = Failure {
            account: name,
            number: Some(holder.account),
            token: token.map(|token| token.identifier.as_str()),
            provider: provider
                .and_then(|number| accounts.provider(number))
                .map_or("", |provider| &provider.name),
            application: application_in(&snapshot, provider),
            source,
            kind: FailureKind::Denied,
            reason,
            call,
        };
        self.note_failure(failure, now);
    }

    pub(super) fn note_failure(&self, failure: Failure<'_>, now: Timestamp) {
        let limit = match failure.kind {
            FailureKind::Failed | FailureKind::NotAdmitted | FailureKind::Refused => {
                Limit::login_failures_told_max
            }
            FailureKind::Denied => Limit::denials_told_max,
        };
        match self.tally.failed(failure, now) {
            Told::Apart => {}
            Told::WithItsSource => self.reached().note(Limit::failures_told_by_source_max),
            Told::WithOthers => self.reached().note(limit),
        }
    }

    pub(super) fn note_login(&self, key: LoginKey, accounts: &Accounts, now: Timestamp) {
        if !self.tally.succeeded(key, now, || names(&key, accounts)) {
            self.reached().note(Limit::logins_told_max);
        }
    }

    fn last_used(&self, of: UsageOf) -> Option<Usage> {
        // In this order: what is committed in between is in the directory.
        let waiting = self.tally.usage(of);
        let snapshot = self.current();
        let accounts = snapshot.accounts();
        let is_there = match of {
            UsageOf::Token(number) => accounts.token(number).is_some(),
            UsageOf::Account(number) => accounts.account(number).is_some(),
        };
        let waiting = waiting.filter(|_| is_there);
        match (accounts.usage(of), waiting) {
            (Some(stored), Some(waiting)) => {
                let mut usage = Usage::clone(stored);
                usage.add_at(&waiting, self.now());
                Some(usage)
            }
            (Some(stored), None) => Some(Usage::clone(stored)),
            (None, waiting) => waiting,
        }
    }

    async fn flush(&self) -> Result<(), ChangeError> {
        // One at a time: who asks for events waits for what another flush has taken.
        let _turn = self.flushing.lock().await;
        let mut taken = self.tally.take();
        while !taken.is_empty() {
            let part = Arc::new(taken.split(ROWS_TOGETHER_MAX));
            let committed = Arc::clone(&part);
            let kept =
                self.change(super::nobody(), move |transaction| commit_logins(transaction, &committed)).await;
            if let Err(error) = kept {
                self.put_back(part);
                self.tally.put_back(taken);
                return Err(error);
            }
            self.tally.kept(&part);
            self.flushed_parts.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Waits, on a thread that may, until no flush is under way; `None`: one is, and does not get on. On a slow machine
    /// a flush of many logins takes its time, and what it has not handed over yet would be refused.
    pub(super) fn last_turn_to_flush(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let mut parts = self.flushed_parts.load(Ordering::Relaxed);
        let mut deadline = Instant::now() + LAST_FLUSH_TIME;
        loop {
            if let Ok(turn) = self.flushing.try_lock() {
                return Some(turn);
            }
            let now = self.flushed_parts.load(Ordering::Relaxed);
            if now != parts {
                (parts, deadline) = (now, Instant::now() + LAST_FLUSH_TIME);
            } else if Instant::now() >= deadline {
                return None;
            }
            std::thread::sleep(LAST_FLUSH_PAUSE);
        }
    }

    /// Has the writer make events of what is left as its last work; `close` calls what is returned when it has ended.
    pub(super) fn flush_last(&self, writer: &super::WriterHandle) -> impl FnOnce() + use<> {
        let mut taken = self.tally.take();
        let mut parts = Vec::new();
        while !taken.is_empty() {
            let part = Arc::new(taken.split(ROWS_TOGETHER_MAX));
            let committed = Arc::clone(&part);
            let answer = writer
                .submit(super::nobody().into(), move |transaction| commit_logins(transaction, &committed));
            parts.push((part, answer));
        }
        move || {
            for (part, mut answer) in parts {
                let problem = match answer.try_recv() {
                    Ok(Ok(())) => continue,
                    Ok(Err(error)) => error.to_string(),
                    Err(_) => ChangeError::WriterStopped.to_string(),
                };
                tracing::error!(logins = part.count(), problem, "the last logins have no events");
            }
        }
    }

    /// Counts what could not be committed again.
    fn put_back(&self, part: Arc<Tallied>) {
        self.tally.put_back(Arc::unwrap_or_clone(part));
    }
}

/// Makes an event of each row, and notes the last uses.
fn commit_logins(transaction: &mut Transaction<'_>, tallied: &Tallied) -> Result<(), ChangeError> {
    let mut events: Vec<Event> = tallied.logins.iter().map(|(key, row)| login_event(key, row)).collect();
    events.extend(tallied.failures.iter().map(failure_event));
    events.extend(tallied.other_logins.map(|span| others_event(Trail::Logins, Action::Login, span)));
    let other_failures = tallied.other_failures.iter();
    events.extend(other_failures.map(|(action, span)| others_event(Trail::Failures, *action, *span)));
    // As it happened, as far as an aggregate can be in order at all.
    events.sort_by_key(|event| event.time);
    for event in events {
        transaction.note_event(event)?;
    }
    for usage in tallied.usages().into_values() {
        transaction.note_use(usage)?;
    }
    Ok(())
}

fn login_event(key: &LoginKey, row: &LoginRow) -> Event {
    let LoginRow { span, names } = row;
    let (method, fingerprint) = match key.proof {
        LoginProof::Token(_) => ("token", None),
        LoginProof::Password => ("password", None),
        LoginProof::Certificate(fingerprint) => ("certificate", Some(fingerprint)),
    };
    let mut details = vec![detail("method", method)];
    details.extend(fingerprint.map(|fingerprint| detail("fingerprint", fingerprint)));
    let actor = Actor {
        number: Some(key.account),
        token: names.token.as_deref().map(str::to_owned),
        source: key.source,
        ..Actor::named(&names.account)
    };
    let (object_kind, object_name) = match key.provider {
        Some(_) => ("provider", names.provider.to_string()),
        None => ("api", String::new()),
    };
    Event {
        application: names.application.as_deref().map(str::to_owned),
        object_kind: object_kind.to_owned(),
        object_name,
        object_key: key.provider.map(ProviderNumber::get),
        details,
        ..aggregate(Trail::Logins, Action::Login, actor, *span)
    }
}

fn failure_event(row: &FailureRow) -> Event {
    let FailureRow {
        span,
        account,
        number,
        token,
        provider,
        application,
        source,
        kind,
        reason,
        call,
        network,
    } = row;
    let actor = Actor { number: *number, token: token.clone(), source: *source, ..Actor::named(account) };
    let mut details = vec![detail("reason", reason)];
    if let (Some(prefix), Some(IpAddr::V6(address))) = (network, source) {
        details.push(detail("network", format_args!("{address}/{prefix}")));
    }
    let (object_kind, object_name) = match call {
        Some(DeniedCall { method, resource, missing }) => {
            details.extend([detail("method", method), detail("resource", resource)]);
            details.extend(missing.as_ref().map(|missing| detail("missing", missing)));
            ("api", format!("{method} {resource}"))
        }
        None if provider.is_empty() => ("", String::new()),
        None => ("provider", provider.clone()),
    };
    Event {
        application: application.clone(),
        object_kind: object_kind.to_owned(),
        object_name,
        details,
        ..aggregate(Trail::Failures, kind.action(), actor, *span)
    }
}

/// What was too much to be told apart.
fn others_event(trail: Trail, action: Action, span: Span) -> Event {
    let reason = "more than can be told apart: different accounts and sources are counted together";
    let actor = Actor::named("others");
    Event { details: vec![detail("reason", reason)], ..aggregate(trail, action, actor, span) }
}

fn aggregate(trail: Trail, action: Action, actor: Actor, span: Span) -> Event {
    Event {
        trail,
        // It gets its place when it is told.
        sequence: 0,
        previous: EventDigest::NONE,
        uuid: Uuid::new_v4(),
        time: span.last,
        since: (span.count > 1).then_some(span.first),
        count: span.count,
        action,
        actor,
        application: None,
        object_kind: String::new(),
        object_name: String::new(),
        object_key: None,
        object_uuid: None,
        changes: Vec::new(),
        details: Vec::new(),
    }
}

fn detail(name: &str, value: impl ToString) -> EventDetail {
    EventDetail { name: name.to_owned(), value: value.to_string() }
}

fn names(key: &LoginKey, accounts: &Accounts) -> LoginNames {
    let token = match key.proof {
        LoginProof::Token(number) => accounts.token(number),
        LoginProof::Password | LoginProof::Certificate(_) => None,
    };
    let provider = key.provider.and_then(|provider| accounts.provider(provider));
    let application = key.provider.and_then(|provider| application_of(accounts, provider));
    LoginNames {
        account: accounts.account(key.account).map(|account| account.username.clone()).unwrap_or_default(),
        token: token.map(|token| token.identifier.as_str().into()),
        provider: provider.map(|provider| provider.name.as_str().into()).unwrap_or_default(),
        application: application.map(Into::into),
    }
}

/// The slug of the application that is behind a provider.
pub(super) fn application_of(accounts: &Accounts, provider: ProviderNumber) -> Option<&str> {
    accounts.application_of(provider).map(|application| application.slug.as_str())
}

/// The same in a snapshot, for a name that may belong to no provider.
pub(super) fn application_in(snapshot: &Snapshot, provider: Option<ProviderNumber>) -> Option<&str> {
    application_of(snapshot.accounts(), provider?)
}

/// Rows of each kind that become events in one change.
/// No limit of the config: the rest follows in the next change; `logins_told_max` bounds them all.
const ROWS_TOGETHER_MAX: usize = 8_192;

/// So often at most a flush is made for readers who may come at any time.
const FLUSH_PERIOD: Duration = Duration::from_secs(5);

/// How long the end waits for the next part of a flush that is under way.
const LAST_FLUSH_TIME: Duration = Duration::from_secs(2);

/// How long it sleeps before it looks again.
const LAST_FLUSH_PAUSE: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests;
