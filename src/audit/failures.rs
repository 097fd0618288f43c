//! Failed logins for the log: the first of its kind at once, then how many more there were.
//!
//! A failure without a hash costs a client next to nothing; a line for each would let one stranger fill a disk.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::log::{Failure, FailureKind, failure};

/// What failed since it was told last. Its memory is bounded, its counts leave nothing out.
pub struct LoginFailures {
    /// Failures that are told apart.
    rows_max: usize,
    /// Keyed at random: nobody can choose names that share a row.
    hasher: RandomState,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    rows: HashMap<u64, Row>,
    /// Failures that found no row.
    others: u64,
}

/// Failures that differ in nothing but their time.
struct Row {
    account: String,
    provider: String,
    source: Option<IpAddr>,
    kind: FailureKind,
    reason: String,
    /// How many there were after the first, which was told.
    more: u64,
}

impl LoginFailures {
    /// Nothing has failed yet.
    pub fn new(rows_max: usize) -> Self {
        Self { rows_max, hasher: RandomState::new(), state: Mutex::default() }
    }

    /// Notes a failure: tells it, if it is the first of its kind, or counts it. Says whether it could be told apart
    /// from others.
    pub fn note(&self, failed: Failure<'_>) -> bool {
        let Failure { account, provider, source, kind, reason } = failed;
        let key = self.hasher.hash_one((account, provider, source, kind, reason));
        let mut state = self.state();
        if let Some(row) = state.rows.get_mut(&key) {
            row.more += 1;
            return true;
        }
        if state.rows.len() < self.rows_max {
            let (account, provider) = (account.to_owned(), provider.to_owned());
            state
                .rows
                .insert(key, Row { account, provider, source, kind, reason: reason.to_owned(), more: 0 });
            drop(state);
            failure(failed, None);
            return true;
        }
        state.others += 1;
        let is_first = state.others == 1;
        drop(state);
        if is_first {
            tracing::warn!(
                target: "audit",
                told_apart = self.rows_max,
                "more failed logins than can be told apart: from now on others are counted together \
                 (login_failures_told_max)"
            );
        }
        false
    }

    /// Tells how many there were, and begins anew: the next of each kind is told at once.
    pub fn tell(&self) {
        let State { rows, others } = std::mem::take(&mut *self.state());
        for Row { account, provider, source, kind, reason, more } in rows.values().filter(|row| row.more > 0)
        {
            let failed = Failure { account, provider, source: *source, kind: *kind, reason };
            failure(failed, Some(*more));
        }
        if others > 0 {
            tracing::warn!(target: "audit", count = others, "failed logins that were not told apart");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use super::*;

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

    /// The lines that `act` writes.
    fn lines(act: impl FnOnce()) -> Vec<String> {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, act);
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn failed<'a>(account: &'a str, last: u8, reason: &'a str) -> Failure<'a> {
        let source = Some(IpAddr::from([192, 0, 2, last]));
        Failure { account, provider: "ldap", source, kind: FailureKind::Failed, reason }
    }

    #[test]
    fn the_first_of_each_kind_is_told_and_the_others_are_counted() {
        let failures = LoginFailures::new(10);
        let told = lines(|| {
            for _ in 0..1_000 {
                assert!(failures.note(failed("alice", 1, "wrong")));
            }
            failures.note(failed("alice", 2, "wrong"));
            failures.note(failed("bob", 1, "wrong"));
            failures.note(failed("alice", 1, "unknown"));
            failures.note(Failure { kind: FailureKind::Refused, ..failed("alice", 1, "wrong") });
        });
        assert_eq!(told.len(), 5, "{told:#?}");
        assert!(
            told[0]
                .contains("action=\"login_failed\" account=\"alice\" provider=\"ldap\" source=\"192.0.2.1\"")
        );
        assert!(!told[0].contains(" count="), "{}", told[0]);
        let told = lines(|| failures.tell());
        assert_eq!(told.len(), 1, "{told:#?}");
        assert!(told[0].contains("account=\"alice\"") && told[0].contains(" count=999"), "{}", told[0]);
        // Then all begins anew.
        assert_eq!(lines(|| failures.tell()).len(), 0);
        assert_eq!(lines(|| assert!(failures.note(failed("alice", 1, "wrong")))).len(), 1);
    }

    #[test]
    fn names_that_are_made_up_take_no_more_room_and_are_counted() {
        let failures = LoginFailures::new(10);
        let told = lines(|| {
            for number in 0..1_000 {
                let is_apart = failures.note(failed(&format!("name-{number}"), 1, "wrong"));
                assert_eq!(is_apart, number < 10);
            }
        });
        assert_eq!(told.len(), 11, "{told:#?}");
        assert!(told[10].contains("login_failures_told_max"), "{}", told[10]);
        assert_eq!(failures.state().rows.len(), 10);
        let told = lines(|| failures.tell());
        assert_eq!(told.len(), 1, "{told:#?}");
        assert!(told[0].contains(" count=990"), "{}", told[0]);
    }
}
