//! Logins that are waiting to become events: those that are alike are counted together.
//!
//! A login costs a client next to nothing, so one line of the trail for each would let anybody fill a disk. The memory
//! of the tally is bounded, its counts leave nothing out: what finds no row of its own is counted with others. Failures of
//! one source are counted together before they take the rows of others, and before they are written: what stands in a
//! chain cannot be folded any more.

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::log::{DeniedCall, Failure, FailureKind, failure};
use crate::model::{
    AccountNumber, Action, Fingerprint, ProviderNumber, Timestamp, TokenNumber, Usage, UsageOf,
};
use crate::net::ClientSource;

/// What happened since it was taken last. Cheap to add to from many threads.
pub struct LoginTally {
    /// Successes that are told apart.
    logins_max: usize,
    login_rows: AtomicUsize,
    /// Failures that are told apart.
    failures: Room,
    /// Refusals of who had proved themselves: strangers, who may fail as they like, take no room from them.
    denials: Room,
    /// Failures of one source that are told apart, and as many refusals.
    failures_by_source_max: usize,
    shards: Box<[Mutex<Shard>]>,
    /// Keyed at random: nobody can choose names that share a row.
    failure_hasher: std::hash::RandomState,
    /// Told when rows become scarce.
    scarce: Notify,
    /// Uses that were taken and are not yet known to be in the store.
    in_flight: Mutex<HashMap<UsageOf, Usage>>,
}

/// How many rows there may be, and how many there are.
struct Room {
    rows_max: usize,
    rows: AtomicUsize,
    /// The name of the limit that says so.
    limit: &'static str,
}

#[derive(Default)]
struct Shard {
    logins: HashMap<LoginKey, LoginRow, foldhash::quality::RandomState>,
    /// The rows of each credential, so that its last use is found without looking at all of them.
    rows_of: HashMap<UsageOf, Vec<LoginKey>>,
    /// Successes that found no row: their last uses are kept all the same, and there are no more of them than
    /// credentials.
    other_usages: HashMap<UsageOf, Usage>,
    other_logins: Option<Span>,
    failures: HashMap<u64, FailureRow>,
    /// How many of these rows each source has, and each network around sources, by what they tell of.
    rows_of_source: HashMap<(Action, u8, ClientSource), usize>,
    other_failures: BTreeMap<Action, Span>,
}

/// What there is room for.
#[derive(Clone, Copy, Debug)]
pub struct TallyBounds {
    /// Successes that are told apart.
    pub logins_max: usize,
    /// Failures that are told apart.
    pub failures_max: usize,
    /// Refusals of who had proved themselves that are told apart.
    pub denials_max: usize,
    /// Failures of one source that are told apart, and as many refusals; of a network around sources four times as many.
    pub failures_by_source_max: usize,
}

/// How a failure was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// With those that differ in nothing but their time.
    Apart,
    /// With others of its source.
    WithItsSource,
    /// With others from anywhere.
    WithOthers,
}

/// Successes that are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LoginKey {
    /// Whose.
    pub account: AccountNumber,
    /// What proved it.
    pub proof: LoginProof,
    /// Where from; `None`: from a Unix socket.
    pub source: Option<IpAddr>,
    /// The provider; `None`: the HTTP API.
    pub provider: Option<ProviderNumber>,
}

/// What an account has proved itself with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LoginProof {
    Token(TokenNumber),
    Password,
    /// A client certificate.
    Certificate(Fingerprint),
}

impl LoginKey {
    /// The credential whose use it is.
    pub fn usage_of(&self) -> UsageOf {
        match self.proof {
            LoginProof::Token(number) => UsageOf::Token(number),
            LoginProof::Password | LoginProof::Certificate(_) => UsageOf::Account(self.account),
        }
    }

    fn usage(&self, span: Span, names: &LoginNames) -> Usage {
        Usage {
            of: self.usage_of(),
            time: span.last,
            source: self.source,
            provider: self.provider,
            count: span.count,
            application: names.application.as_deref().map(str::to_owned),
        }
    }
}

/// What things were called when a login was first seen: they may be gone when it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginNames {
    /// The account's name.
    pub account: Box<str>,
    /// The token's identifier.
    pub token: Option<Box<str>>,
    /// The provider's name.
    pub provider: Box<str>,
    /// The slug of the provider's application.
    pub application: Option<Box<str>>,
}

/// How often something happened, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// How often.
    pub count: u64,
    /// The first time.
    pub first: Timestamp,
    /// The last time.
    pub last: Timestamp,
}

impl Span {
    fn once(now: Timestamp) -> Self {
        Self { count: 1, first: now, last: now }
    }

    fn add(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

/// Successes that were alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginRow {
    /// How often and when.
    pub span: Span,
    /// Who and what, in words.
    pub names: LoginNames,
}

/// Failures that differed in nothing but their time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureRow {
    /// How often and when.
    pub span: Span,
    /// Whose, as far as it is known.
    pub account: String,
    /// The account's number, if there is such an account.
    pub number: Option<AccountNumber>,
    /// The identifier of the token that was used, as far as there is such a token.
    pub token: Option<String>,
    /// The provider's name; empty: none.
    pub provider: String,
    /// The slug of the application that refused.
    pub application: Option<String>,
    /// Where from.
    pub source: Option<IpAddr>,
    /// How it failed.
    pub kind: FailureKind,
    /// What was the matter.
    pub reason: String,
    /// The call of the API that was refused.
    pub call: Option<DeniedCall<String>>,
    /// Failures that differ, of one source or of a network around several: its prefix length.
    pub network: Option<u8>,
}

/// What was taken out of a tally, to become events.
#[derive(Clone, Debug, Default)]
pub struct Tallied {
    /// Successes.
    pub logins: Vec<(LoginKey, LoginRow)>,
    /// Last uses of credentials whose successes found no row.
    pub other_usages: Vec<Usage>,
    /// Successes that found no row.
    pub other_logins: Option<Span>,
    pub failures: Vec<FailureRow>,
    /// Failures that found no row, by what they are.
    pub other_failures: BTreeMap<Action, Span>,
}

impl Tallied {
    /// Whether nothing has happened.
    pub fn is_empty(&self) -> bool {
        self.logins.is_empty()
            && self.other_usages.is_empty()
            && self.other_logins.is_none()
            && self.failures.is_empty()
            && self.other_failures.is_empty()
    }

    /// Takes out as much as may become one change.
    pub fn split(&mut self, rows_max: usize) -> Self {
        fn last<T>(rows: &mut Vec<T>, count: usize) -> Vec<T> {
            rows.split_off(rows.len().saturating_sub(count))
        }
        Self {
            logins: last(&mut self.logins, rows_max),
            other_usages: last(&mut self.other_usages, rows_max),
            other_logins: self.other_logins.take(),
            failures: last(&mut self.failures, rows_max),
            other_failures: std::mem::take(&mut self.other_failures),
        }
    }

    /// The last uses in it, one for each credential.
    pub fn usages(&self) -> HashMap<UsageOf, Usage> {
        let mut usages = HashMap::new();
        let of_rows = self.logins.iter().map(|(key, row)| key.usage(row.span, &row.names));
        of_rows.chain(self.other_usages.iter().cloned()).for_each(|usage| merge(&mut usages, usage));
        usages
    }

    /// Its uses are not in flight any more.
    fn land(&self, in_flight: &mut HashMap<UsageOf, Usage>) {
        for usage in self.usages().into_values() {
            if let Entry::Occupied(mut there) = in_flight.entry(usage.of) {
                let count = there.get().count.saturating_sub(usage.count);
                there.get_mut().count = count;
                if count == 0 {
                    there.remove();
                }
            }
        }
    }

    /// How many logins it stands for, failed ones included.
    pub fn count(&self) -> u64 {
        let logins = self.logins.iter().map(|(_, row)| row.span);
        let failures = self.failures.iter().map(|row| row.span);
        let others = self.other_logins.into_iter().chain(self.other_failures.values().copied());
        logins.chain(failures).chain(others).map(|span| span.count).sum()
    }
}

impl LoginTally {
    /// Nobody has tried yet.
    pub fn new(bounds: TallyBounds) -> Self {
        let TallyBounds { logins_max, failures_max, denials_max, failures_by_source_max } = bounds;
        Self {
            logins_max,
            failures_by_source_max,
            login_rows: AtomicUsize::new(0),
            failures: Room::new(failures_max, "login_failures_told_max"),
            denials: Room::new(denials_max, "denials_told_max"),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            failure_hasher: std::hash::RandomState::new(),
            scarce: Notify::new(),
            in_flight: Mutex::default(),
        }
    }

    /// Notes a success; `names` is asked when it is the first of its kind. Says whether it could be told apart from
    /// others.
    pub fn succeeded(&self, key: LoginKey, now: Timestamp, names: impl FnOnce() -> LoginNames) -> bool {
        self.add_login(key, Span::once(now), names)
    }

    /// Notes a failure: tells the log, if it is the first of its kind, or counts it.
    pub fn failed(&self, failed: Failure<'_>, now: Timestamp) -> Told {
        let span = Span::once(now);
        let Counted { told, is_first } = self.add_failure(failed, None, span);
        if !is_first {
            return told;
        }
        let room = self.room(failed.kind);
        match told {
            Told::Apart => failure(failed),
            Told::WithItsSource => tracing::warn!(
                target: "audit",
                action = failed.kind.action().as_str(),
                source = %ClientSource::from(failed.source),
                told_apart = self.failures_by_source_max,
                limit = "failures_told_by_source_max",
                "more failed logins or refusals of one source than can be told apart: others are counted together"
            ),
            Told::WithOthers => tracing::warn!(
                target: "audit",
                told_apart = room.rows_max,
                limit = room.limit,
                "more failed logins or refusals than can be told apart: others are counted together"
            ),
        }
        told
    }

    /// Comes when rows are about to run out: what is there should become events now.
    pub async fn becomes_scarce(&self) {
        self.scarce.notified().await;
    }

    /// The uses of a credential that are not known to be in the store.
    pub fn usage(&self, of: UsageOf) -> Option<Usage> {
        let mut usages = HashMap::new();
        // Held until the shard was read, so that what is taken or put back meanwhile is in one of them.
        let in_flight = self.in_flight();
        let shard = self.shard(shard_key(of));
        let of_rows = shard.rows_of.get(&of).into_iter().flatten();
        of_rows
            .filter_map(|key| shard.logins.get(key).map(|row| key.usage(row.span, &row.names)))
            .chain(shard.other_usages.get(&of).cloned())
            .chain(in_flight.get(&of).cloned())
            .for_each(|usage| merge(&mut usages, usage));
        usages.remove(&of)
    }

    /// How many logins wait to become events, failed ones included.
    pub fn count(&self) -> u64 {
        let of_shard = |shard: &Mutex<Shard>| {
            let Shard { logins, other_logins, failures, other_failures, .. } = &*lock(shard);
            let rows = logins.values().map(|row| row.span).chain(failures.values().map(|row| row.span));
            let others = other_logins.iter().chain(other_failures.values()).copied();
            rows.chain(others).map(|span| span.count).sum::<u64>()
        };
        self.shards.iter().map(of_shard).sum()
    }

    /// Takes everything out, and begins anew: the next failure of each kind is told at once. Say
    /// [`LoginTally::kept`] or [`LoginTally::put_back`] when it is known what has become of it.
    pub fn take(&self) -> Tallied {
        let mut taken = Tallied::default();
        // Before the rows are gone from the shards, so that a use is never in neither place.
        let mut in_flight = self.in_flight();
        for shard in &self.shards {
            let mut shard = lock(shard);
            let Shard {
                logins,
                rows_of: _,
                other_usages,
                other_logins,
                failures,
                rows_of_source: _,
                other_failures,
            } = std::mem::take(&mut *shard);
            self.login_rows.fetch_sub(logins.len(), Ordering::Relaxed);
            for row in failures.values() {
                self.room(row.kind).rows.fetch_sub(1, Ordering::Relaxed);
            }
            drop(shard);
            taken.logins.extend(logins);
            taken.other_usages.extend(other_usages.into_values());
            taken.failures.extend(failures.into_values());
            if let Some(span) = other_logins {
                add_optional(&mut taken.other_logins, span);
            }
            for (action, span) in other_failures {
                add_span(&mut taken.other_failures, action, span);
            }
        }
        taken.usages().into_values().for_each(|usage| merge(&mut in_flight, usage));
        // Parts are taken from the end: as it happened, as far as an aggregate can be in order at all.
        taken.logins.sort_unstable_by_key(|(_, row)| Reverse(row.span.last));
        taken.failures.sort_unstable_by_key(|row| Reverse(row.span.last));
        taken
    }

    /// A part of what was taken is in the store.
    pub fn kept(&self, part: &Tallied) {
        part.land(&mut self.in_flight());
    }

    /// What was taken could not be kept: counts it again.
    pub fn put_back(&self, taken: Tallied) {
        // Held until all is back, so that no use is counted in both places.
        let mut in_flight = self.in_flight();
        taken.land(&mut in_flight);
        let Tallied { logins, other_usages, other_logins, failures, other_failures } = taken;
        for (key, row) in logins {
            self.add_login(key, row.span, || row.names);
        }
        for usage in other_usages {
            merge(&mut self.shard(shard_key(usage.of)).other_usages, usage);
        }
        if let Some(span) = other_logins {
            add_optional(&mut self.shard(0).other_logins, span);
        }
        for row in failures {
            self.add_failure(row.failure(), row.network, row.span);
        }
        for (action, span) in other_failures {
            add_span(&mut self.shard(0).other_failures, action, span);
        }
    }

    fn add_login(&self, key: LoginKey, span: Span, names: impl FnOnce() -> LoginNames) -> bool {
        let mut shard = self.shard(shard_key(key.usage_of()));
        if let Some(row) = shard.logins.get_mut(&key) {
            row.span.add(span);
            return true;
        }
        if take_row(&self.login_rows, self.logins_max) {
            shard.logins.insert(key, LoginRow { span, names: names() });
            shard.rows_of.entry(key.usage_of()).or_default().push(key);
            drop(shard);
            if self.login_rows.load(Ordering::Relaxed) >= self.logins_max.saturating_sub(self.logins_max / 4)
            {
                self.scarce.notify_one();
            }
            return true;
        }
        merge(&mut shard.other_usages, key.usage(span, &names()));
        add_optional(&mut shard.other_logins, span);
        false
    }

    /// Counts a failure, or so many that were counted before; with a `network` it stands for several of that.
    fn add_failure(&self, failed: Failure<'_>, network: Option<u8>, span: Span) -> Counted {
        let source = ClientSource::from(failed.source);
        let action = failed.kind.action();
        // All of a source and of the networks around it are in one shard.
        let mut shard = self.shard(self.failure_hasher.hash_one(source.networks().next_back()));
        let key = |failed: &Failure<'_>, network: Option<u8>| self.failure_hasher.hash_one((failed, network));
        let told = |network: Option<u8>| if network.is_some() { Told::WithItsSource } else { Told::Apart };
        if let Some(row) = shard.failures.get_mut(&key(&failed, network)) {
            row.span.add(span);
            return Counted { told: told(network), is_first: false };
        }
        let (failed, network) = match network {
            Some(_) => (failed, network),
            // The widest first: one whose sources are all full would have a row for each of them.
            None => match source
                .networks()
                .rev()
                .find(|of| shard.is_full(action, *of, self.failures_by_source_max))
            {
                Some((prefix, around)) => (of_others(failed, around), Some(prefix)),
                None => (failed, None),
            },
        };
        let key = key(&failed, network);
        if let Some(row) = shard.failures.get_mut(&key) {
            row.span.add(span);
            return Counted { told: told(network), is_first: false };
        }
        if self.room(failed.kind).take() {
            if network.is_none() {
                for (prefix, around) in source.networks() {
                    *shard.rows_of_source.entry((action, prefix, around)).or_default() += 1;
                }
            }
            shard.failures.insert(key, FailureRow::new(failed, network, span));
            return Counted { told: told(network), is_first: true };
        }
        let is_first = add_span(&mut shard.other_failures, action, span);
        Counted { told: Told::WithOthers, is_first }
    }

    fn room(&self, kind: FailureKind) -> &Room {
        match kind {
            FailureKind::Failed | FailureKind::NotAdmitted | FailureKind::Refused => &self.failures,
            FailureKind::Denied => &self.denials,
        }
    }

    fn shard(&self, key: u64) -> MutexGuard<'_, Shard> {
        let count = self.shards.len() as u64;
        let place = usize::try_from(key % count.max(1)).unwrap_or_default();
        #[allow(clippy::indexing_slicing, reason = "a remainder is below what it is the remainder of")]
        lock(&self.shards[place])
    }

    fn in_flight(&self) -> MutexGuard<'_, HashMap<UsageOf, Usage>> {
        lock(&self.in_flight)
    }
}

impl Room {
    fn new(rows_max: usize, limit: &'static str) -> Self {
        Self { rows_max, rows: AtomicUsize::new(0), limit }
    }

    fn take(&self) -> bool {
        take_row(&self.rows, self.rows_max)
    }
}

/// What became of a failure, and whether it is the first that did.
struct Counted {
    told: Told,
    is_first: bool,
}

impl Shard {
    /// Whether a source or a network has as many rows as it may.
    fn is_full(&self, action: Action, (prefix, of): (u8, ClientSource), by_source_max: usize) -> bool {
        let rows = self.rows_of_source.get(&(action, prefix, of)).copied().unwrap_or_default();
        let is_source = prefix == ClientSource::PREFIX;
        rows >= if is_source { by_source_max } else { by_source_max.saturating_mul(NETWORK_SHARES) }
    }
}

/// What several failures of a source have in common. Of who had proved themselves it is known who did.
fn of_others(failed: Failure<'_>, around: ClientSource) -> Failure<'_> {
    let of_source = Failure {
        provider: "",
        application: None,
        source: around.address(),
        reason: OTHERS_OF_SOURCE,
        call: None,
        ..failed
    };
    match failed.kind {
        FailureKind::Denied => of_source,
        FailureKind::Failed | FailureKind::NotAdmitted | FailureKind::Refused => {
            Failure { account: "others", number: None, token: None, kind: FailureKind::Failed, ..of_source }
        }
    }
}

impl FailureRow {
    fn new(failed: Failure<'_>, network: Option<u8>, span: Span) -> Self {
        let Failure { account, number, token, provider, application, source, kind, reason, call } = failed;
        Self {
            span,
            account: account.to_owned(),
            number,
            token: token.map(str::to_owned),
            provider: provider.to_owned(),
            application: application.map(str::to_owned),
            source,
            kind,
            reason: reason.to_owned(),
            call: call.map(|call| call.to_owned()),
            network,
        }
    }

    /// What it is a row of.
    pub fn failure(&self) -> Failure<'_> {
        Failure {
            account: &self.account,
            number: self.number,
            token: self.token.as_deref(),
            provider: &self.provider,
            application: self.application.as_deref(),
            source: self.source,
            kind: self.kind,
            reason: &self.reason,
            call: self.call.as_ref().map(DeniedCall::as_deref),
        }
    }
}

/// Whether there was a row left, which is now taken.
fn take_row(rows: &AtomicUsize, rows_max: usize) -> bool {
    let more = |taken: usize| (taken < rows_max).then_some(taken + 1);
    rows.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
}

/// All uses of one credential are in one shard; numbers are given away one after the other, so they spread evenly.
fn shard_key(of: UsageOf) -> u64 {
    u64::from(match of {
        UsageOf::Token(number) => number.get(),
        UsageOf::Account(number) => number.get(),
    })
}

fn merge(usages: &mut HashMap<UsageOf, Usage>, usage: Usage) {
    match usages.entry(usage.of) {
        Entry::Occupied(mut there) => there.get_mut().add(&usage),
        Entry::Vacant(place) => {
            place.insert(usage);
        }
    }
}

fn add_optional(sum: &mut Option<Span>, span: Span) {
    match sum {
        Some(sum) => sum.add(span),
        None => *sum = Some(span),
    }
}

/// Says whether it is the first.
fn add_span(spans: &mut BTreeMap<Action, Span>, action: Action, span: Span) -> bool {
    match spans.get_mut(&action) {
        Some(sum) => {
            sum.add(span);
            false
        }
        None => {
            spans.insert(action, span);
            true
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds a lock can leave it half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Threads that note something at the same time should seldom meet.
const SHARDS: usize = 64;

/// A network around sources has so many times the rows of one of them.
const NETWORK_SHARES: usize = 4;

const OTHERS_OF_SOURCE: &str =
    "more of this source than can be told apart: different ones are counted together";

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::super::log::tests::lines;
    use super::*;

    fn tally(logins_max: usize, failures_max: usize, denials_max: usize) -> LoginTally {
        LoginTally::new(TallyBounds { logins_max, failures_max, denials_max, failures_by_source_max: 1_000 })
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    fn key(token: u32, last: u8) -> LoginKey {
        LoginKey {
            account: AccountNumber::new(1),
            proof: LoginProof::Token(TokenNumber::new(token)),
            source: Some(IpAddr::from([192, 0, 2, last])),
            provider: Some(ProviderNumber::new(3)),
        }
    }

    fn names() -> LoginNames {
        LoginNames { account: "alice".into(), token: None, provider: "ldap".into(), application: None }
    }

    fn failed<'a>(account: &'a str, last: u8, reason: &'a str) -> Failure<'a> {
        Failure {
            account,
            number: None,
            token: None,
            provider: "ldap",
            application: None,
            source: Some(IpAddr::from([192, 0, 2, last])),
            kind: FailureKind::Failed,
            reason,
            call: None,
        }
    }

    fn denied<'a>(resource: &'a str, missing: &'a str) -> Failure<'a> {
        let call = DeniedCall { method: "GET", resource, missing: Some(missing) };
        Failure {
            kind: FailureKind::Denied,
            call: Some(call),
            ..failed("robot", 1, "the permission is missing")
        }
    }

    #[test]
    fn successes_that_are_alike_are_one_row() {
        let tally = tally(10, 10, 10);
        for second in 0..1_000 {
            let asked = std::cell::Cell::new(false);
            let is_apart = tally.succeeded(key(1, 1), at(second), || {
                asked.set(true);
                names()
            });
            assert!(is_apart);
            assert_eq!(asked.get(), second == 0, "names are asked for once");
        }
        tally.succeeded(key(1, 2), at(5), names);
        tally.succeeded(LoginKey { proof: LoginProof::Password, ..key(1, 1) }, at(6), names);
        let usage = tally.usage(UsageOf::Token(TokenNumber::new(1))).unwrap();
        assert_eq!((usage.count, usage.time), (1_001, at(999)));
        let mut taken = tally.take();
        assert_eq!((taken.logins.len(), taken.count()), (3, 1_002));
        taken.logins.sort_by_key(|(_, row)| row.span.count);
        assert_eq!(taken.logins[2].1.span, Span { count: 1_000, first: at(0), last: at(999) });
        // Until it is known to be in the store, it is known here.
        assert!(tally.usage(UsageOf::Token(TokenNumber::new(1))).is_some());
        tally.kept(&taken);
        assert_eq!(tally.usage(UsageOf::Token(TokenNumber::new(1))), None);
        assert!(tally.take().is_empty());
    }

    #[test]
    fn successes_without_a_row_are_counted_and_their_last_use_is_kept() {
        let tally = tally(4, 10, 10);
        for token in 0..100 {
            assert_eq!(tally.succeeded(key(token, 1), at(i64::from(token)), names), token < 4);
            tally.succeeded(key(token, 1), at(i64::from(token) + 7), names);
        }
        let taken = tally.take();
        assert_eq!((taken.logins.len(), taken.count()), (4, 200));
        assert_eq!(taken.other_logins, Some(Span { count: 192, first: at(4), last: at(106) }));
        let usages = taken.usages();
        assert_eq!(usages.len(), 100);
        assert!(usages.values().all(|usage| usage.count == 2));
        assert_eq!(usages[&UsageOf::Token(TokenNumber::new(50))].time, at(57));
        // And then there are rows again.
        assert!(tally.succeeded(key(200, 1), at(0), names));
    }

    #[tokio::test]
    async fn a_tally_that_is_nearly_full_says_so() {
        let tally = tally(8, 10, 10);
        for token in 0..5 {
            tally.succeeded(key(token, 1), at(0), names);
        }
        let scarce = tokio::time::timeout(std::time::Duration::from_millis(20), tally.becomes_scarce());
        assert!(scarce.await.is_err());
        tally.succeeded(key(6, 1), at(0), names);
        tally.becomes_scarce().await;
    }

    #[test]
    fn what_could_not_be_kept_is_counted_again() {
        let tally = tally(4, 4, 4);
        for number in 0..10_u8 {
            tally.succeeded(key(u32::from(number), 1), at(10), names);
            tally.failed(failed("alice", number, "wrong"), at(10));
        }
        let taken = tally.take();
        let count = taken.count();
        assert_eq!(count, 20);
        // In the meantime others take the rows.
        for number in 20..30_u8 {
            tally.succeeded(key(u32::from(number), 1), at(20), names);
            tally.failed(failed("bob", number, "wrong"), at(20));
        }
        tally.put_back(taken);
        let taken = tally.take();
        assert_eq!((taken.count(), taken.logins.len(), taken.failures.len()), (40, 4, 4));
        assert_eq!(taken.usages().len(), 20);
        assert_eq!(taken.other_failures[&Action::LoginFailed].count, 16);
    }

    #[test]
    fn a_use_is_in_one_place_at_each_time() {
        let tally = tally(4, 4, 4);
        let count = || tally.usage(UsageOf::Token(TokenNumber::new(1))).map(|usage| usage.count);
        for last in 0..10 {
            tally.succeeded(key(1, last), at(i64::from(last)), names);
        }
        assert_eq!(count(), Some(10));
        let mut taken = tally.take();
        tally.succeeded(key(1, 1), at(20), names);
        assert_eq!(count(), Some(11));
        let first = taken.split(2);
        tally.kept(&first);
        assert_eq!(count(), Some(11 - first.usages().values().map(|usage| usage.count).sum::<u64>()));
        let rest = count();
        let second = taken.split(1);
        tally.put_back(second);
        assert_eq!(count(), rest);
        tally.put_back(taken);
        assert_eq!(count(), rest);
        let taken = tally.take();
        tally.kept(&taken);
        assert_eq!(count(), None);
    }

    #[test]
    fn uses_are_found_while_others_take_and_put_back() {
        let tally = tally(8, 8, 8);
        for token in 0..8 {
            tally.succeeded(key(token, 1), at(1), names);
        }
        let is_over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..5_000 {
                    tally.put_back(tally.take());
                }
                is_over.store(true, Ordering::Relaxed);
            });
            while !is_over.load(Ordering::Relaxed) {
                for token in 0..8 {
                    let usage = tally.usage(UsageOf::Token(TokenNumber::new(token)));
                    assert_eq!(usage.map(|usage| usage.count), Some(1));
                }
            }
        });
    }

    #[test]
    fn a_change_takes_a_part_of_it() {
        let tally = tally(10, 10, 10);
        for number in 0..10_u8 {
            tally.succeeded(key(u32::from(number), 1), at(10), names);
            tally.failed(failed("alice", number, "wrong"), at(10));
        }
        let mut taken = tally.take();
        let parts: Vec<Tallied> =
            std::iter::from_fn(|| Some(taken.split(4)).filter(|part| !part.is_empty())).collect();
        assert_eq!(parts.len(), 3);
        assert_eq!(parts.iter().map(Tallied::count).sum::<u64>(), 20);
    }

    #[test]
    fn the_first_failure_of_each_kind_is_told_and_all_are_counted() {
        let tally = tally(10, 10, 10);
        let told = lines(|| {
            for _ in 0..1_000 {
                assert_eq!(tally.failed(failed("alice", 1, "wrong"), at(1)), Told::Apart);
            }
            tally.failed(failed("alice", 2, "wrong"), at(1));
            tally.failed(failed("bob", 1, "wrong"), at(1));
            tally.failed(failed("alice", 1, "unknown"), at(1));
            tally.failed(Failure { kind: FailureKind::Refused, ..failed("alice", 1, "wrong") }, at(1));
            tally.failed(Failure { kind: FailureKind::Denied, ..failed("alice", 1, "wrong") }, at(1));
        });
        assert_eq!(told.len(), 6, "{told:#?}");
        assert!(
            told[0]
                .contains("action=\"login_failed\" account=\"alice\" provider=\"ldap\" source=\"192.0.2.1\"")
        );
        assert!(told[5].contains("action=\"suspicious_request\""), "{}", told[5]);
        let taken = tally.take();
        assert_eq!((taken.failures.len(), taken.count()), (6, 1_005));
        // Then all begins anew.
        assert_eq!(
            lines(|| assert_eq!(tally.failed(failed("alice", 1, "wrong"), at(1)), Told::Apart)).len(),
            1
        );
    }

    #[test]
    fn names_that_are_made_up_take_no_more_room_and_are_counted() {
        let tally = tally(10, 10, 10);
        let told = lines(|| {
            for number in 0..1_000 {
                let told = tally.failed(failed(&format!("name-{number}"), 1, "wrong"), at(1));
                assert_eq!(told, if number < 10 { Told::Apart } else { Told::WithOthers });
            }
        });
        assert!(told[10].contains("login_failures_told_max"), "{}", told[10]);
        // Each shard may say so once.
        assert!(told.len() <= 10 + SHARDS, "{told:#?}");
        let taken = tally.take();
        assert_eq!((taken.failures.len(), taken.count()), (10, 1_000));
    }

    #[test]
    fn refused_calls_are_told_apart_by_what_was_asked_and_missing() {
        let tally = tally(10, 10, 10);
        let told = lines(|| {
            for _ in 0..100 {
                for (resource, missing) in
                    [("/a/{id}/", "view_user"), ("/b/", "view_user"), ("/b/", "add_user")]
                {
                    assert_eq!(tally.failed(denied(resource, missing), at(1)), Told::Apart);
                }
            }
        });
        assert_eq!(told.len(), 3, "{told:#?}");
        assert!(
            told[0].contains("method=\"GET\" resource=\"/a/{id}/\" missing=\"view_user\""),
            "{}",
            told[0]
        );
        let taken = tally.take();
        assert_eq!((taken.failures.len(), taken.count()), (3, 300));
        tally.put_back(taken);
        tally.failed(denied("/b/", "add_user"), at(2));
        let taken = tally.take();
        assert_eq!((taken.failures.len(), taken.count()), (3, 301));
    }

    #[test]
    fn strangers_take_no_room_from_refusals_nor_the_other_way_round() {
        let tally = tally(10, 10, 4);
        for number in 0..1_000 {
            tally.failed(failed(&format!("name-{number}"), 1, "wrong"), at(1));
        }
        let told = lines(|| {
            for number in 0..100 {
                let told = tally.failed(denied(&format!("/{number}/"), "view_user"), at(1));
                assert_eq!(told, if number < 4 { Told::Apart } else { Told::WithOthers });
            }
        });
        assert!(told[4].contains("denials_told_max"), "{}", told[4]);
        let taken = tally.take();
        assert_eq!((taken.failures.len(), taken.count()), (14, 1_100));
        assert_eq!(taken.other_failures[&Action::SuspiciousRequest].count, 96);
        // What could not be kept takes the room that it had, and frees it again.
        tally.put_back(taken);
        assert_eq!(tally.count(), 1_100);
        assert_eq!(tally.failed(denied("/new/", "view_user"), at(1)), Told::WithOthers);
        assert_eq!(tally.take().count(), 1_101);
        assert_eq!(tally.failed(denied("/new/", "view_user"), at(1)), Told::Apart);
    }

    /// A tally that tells three failures of a source apart.
    fn narrow() -> LoginTally {
        let failures_by_source_max = 3;
        LoginTally::new(TallyBounds {
            logins_max: 9,
            failures_max: 99,
            denials_max: 99,
            failures_by_source_max,
        })
    }

    #[test]
    fn many_failures_of_one_source_are_one_row_and_take_none_from_others() {
        let tally = narrow();
        let fail = |name: &str, last| tally.failed(failed(name, last, "wrong"), at(1));
        let told = lines(|| {
            for number in 0..1_000 {
                let told = fail(&format!("name-{number}"), 1);
                assert_eq!(told, if number < 3 { Told::Apart } else { Told::WithItsSource });
            }
        });
        assert_eq!(told.len(), 4, "{told:#?}");
        assert!(
            told[3].contains("failures_told_by_source_max") && told[3].contains("192.0.2.1"),
            "{}",
            told[3]
        );
        // What was told apart is, and others are.
        assert_eq!((fail("name-1", 1), fail("alice", 2)), (Told::Apart, Told::Apart));
        // Who had proved themselves are counted for themselves, and it is known who they are.
        for number in 0..10 {
            let told = tally.failed(denied(&format!("/{number}/"), "view_user"), at(1));
            assert_eq!(told, if number < 3 { Told::Apart } else { Told::WithItsSource });
        }
        let check = |taken: &Tallied| {
            assert_eq!((taken.failures.len(), taken.count()), (3 + 1 + 1 + 3 + 1, 1_012));
            let mut others: Vec<&FailureRow> =
                taken.failures.iter().filter(|row| row.network.is_some()).collect();
            others.sort_by_key(|row| row.span.count);
            let told: Vec<_> =
                others.iter().map(|row| (row.account.as_str(), row.source, row.span.count)).collect();
            let source = Some(IpAddr::from([192, 0, 2, 1]));
            assert_eq!(told, [("robot", source, 7), ("others", source, 997)]);
        };
        let taken = tally.take();
        check(&taken);
        // What could not be kept is the same again, and the source still is full.
        tally.put_back(taken);
        let taken = tally.take();
        check(&taken);
        tally.put_back(taken);
        assert_eq!(fail("another", 1), Told::WithItsSource);
        assert_eq!(tally.take().count(), 1_013);
        // And then there is room again.
        assert_eq!(fail("another", 1), Told::Apart);
    }

    #[test]
    fn who_has_many_networks_of_ipv6_has_few_rows() {
        let tally = narrow();
        let fail = |name: &str, source: String| {
            let source = Some(source.parse().unwrap());
            tally.failed(Failure { source, ..failed(name, 1, "wrong") }, at(1))
        };
        // Each of a /48 uses up what it has, from another address each time.
        for network in 0..1_000 {
            for host in 0..10 {
                fail(&format!("{network}-{host}"), format!("2001:db8:1:{network:x}::{host}"));
            }
        }
        assert_eq!(fail("alice", "2001:db8:2::1".to_owned()), Told::Apart);
        let taken = tally.take();
        assert_eq!(taken.count(), 10_001);
        let others: Vec<_> =
            taken.failures.iter().filter_map(|row| Some((row.network?, row.source?))).collect();
        // Twelve rows of four /64, what these had more, the rest of the /48; and alice.
        assert_eq!(taken.failures.len(), 12 + others.len() + 1);
        assert!(others.len() <= 6, "{others:?}");
        assert!(others.contains(&(48, "2001:db8:1::".parse().unwrap())), "{others:?}");
    }
}
