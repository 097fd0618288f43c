//! What is known of the backups that the server makes by itself, for who asks how it is; and the events of those that somebody
//! else takes away.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{ChangeError, Registry};
use crate::audit::EventObject;
use crate::model::{Action, Actor, EventDetail, Incarnation, Revision, Timestamp};

/// The backups of a store, as of the last look at them.
#[derive(Debug, Default)]
pub struct Backups {
    state: Mutex<BackupState>,
}

/// The same at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackupState {
    /// How old the newest may become; `None`: the server makes none.
    pub every: Option<Duration>,
    pub newest: Option<NewestBackup>,
    /// How often none could be made, since the start.
    pub failures: u64,
    /// Why not, the last time; `None`: it was made.
    pub failure: Option<String>,
}

/// The newest backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewestBackup {
    pub made: Timestamp,
    pub octets: u64,
    /// What it was made of.
    pub revision: Revision,
    pub incarnation: Option<Incarnation>,
}

impl Registry {
    /// Has the audit trail tell that somebody gets everything that is in the store, and where it goes as far as they say.
    ///
    /// # Errors
    /// The store takes no changes.
    pub async fn note_backup(&self, actor: Actor, to: String, with_keys: bool) -> Result<(), ChangeError> {
        let object = EventObject { kind: "backup".to_owned(), name: to, ..EventObject::default() };
        let detail = EventDetail { name: "with_keys".to_owned(), value: with_keys.to_string() };
        self.change(actor, move |transaction| {
            transaction.note_with(Action::SecretView, object, vec![detail]).map(drop)
        })
        .await
    }
}

impl Backups {
    /// Says that the server makes them.
    pub fn expect(&self, every: Duration) {
        self.state().every = Some(every);
    }

    /// Says which is the newest.
    pub fn found(&self, newest: Option<NewestBackup>) {
        self.state().newest = newest;
    }

    /// Says that one was made.
    pub fn made(&self, newest: NewestBackup) {
        let mut state = self.state();
        state.newest = Some(newest);
        state.failure = None;
    }

    /// Says why one was not made.
    pub fn failed(&self, reason: String) {
        let mut state = self.state();
        state.failures += 1;
        state.failure = Some(reason);
    }

    /// What is known now.
    pub fn now(&self) -> BackupState {
        self.state().clone()
    }

    fn state(&self) -> MutexGuard<'_, BackupState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BackupState {
    /// Whether the newest is older than it may be, of a store that is at `revision` by now. One of the same revision is as
    /// good as new.
    pub fn is_old(&self, revision: Revision, now: Timestamp) -> bool {
        let Some(every) = self.every else { return false };
        match &self.newest {
            Some(newest) => newest.revision != revision && newest.made.after(every.saturating_mul(2)) < now,
            None => self.failure.is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_is_old_after_twice_its_time_when_something_has_changed() {
        let at = Timestamp::from_unix_seconds;
        let newest = NewestBackup { made: at(1_000), octets: 1, revision: 7, incarnation: None };
        let every = Some(Duration::from_secs(100));
        let state = BackupState { every, newest: Some(newest), ..BackupState::default() };
        assert!(!state.is_old(8, at(1_200)));
        assert!(state.is_old(8, at(1_201)));
        assert!(!state.is_old(7, at(9_000)), "nothing has changed");
        assert!(!BackupState { every: None, ..state }.is_old(8, at(9_000)), "none is expected");
        let none = BackupState { every, ..BackupState::default() };
        assert!(!none.is_old(8, at(9_000)), "it is on its way");
        assert!(BackupState { failure: Some("full".to_owned()), ..none }.is_old(8, at(9_000)));
    }
}
