//! Secrets of tokens that were made a moment ago: whoever made one can view it once, from memory.
//!
//! Clients of the API make a token first and view its secret then. Nothing of this is on disk, and all of it is wiped.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::model::{AccountNumber, TokenNumber};
use crate::secret::Secret;

/// The secrets, the oldest first.
pub(super) struct FreshSecrets {
    entries: Mutex<VecDeque<FreshSecret>>,
    entries_max: usize,
}

/// One of them.
pub(super) struct FreshSecret {
    pub(super) token: TokenNumber,
    /// Which of its secrets this is.
    pub(super) generation: u32,
    /// Who made it; `None`: the operator.
    pub(super) creator: Option<AccountNumber>,
    pub(super) secret: Secret,
    /// Until when it can be viewed.
    pub(super) deadline: Instant,
}

/// A secret that is about to be shown. Unless it was it goes back, also when whoever waits for it has gone away.
pub(super) struct Viewing<'a> {
    secrets: &'a FreshSecrets,
    fresh: Option<FreshSecret>,
}

impl Viewing<'_> {
    pub(super) fn secret(&self) -> Option<&Secret> {
        self.fresh.as_ref().map(|fresh| &fresh.secret)
    }

    /// It is shown now: nobody will see it again.
    pub(super) fn shown(mut self) {
        self.fresh = None;
    }
}

impl Drop for Viewing<'_> {
    fn drop(&mut self) {
        if let Some(fresh) = self.fresh.take() {
            self.secrets.keep(fresh);
        }
    }
}

impl FreshSecrets {
    /// None yet, and never more than `entries_max`.
    pub(super) fn new(entries_max: usize) -> Self {
        Self { entries: Mutex::default(), entries_max }
    }

    /// Keeps one for [`VIEW_TIME`]; says how many others had to make room for it.
    pub(super) fn keep(&self, fresh: FreshSecret) -> usize {
        let mut entries = self.lock();
        if self.entries_max == 0 {
            return 0;
        }
        let displaced = entries.len().saturating_sub(self.entries_max - 1);
        entries.drain(..displaced);
        entries.push_back(fresh);
        displaced
    }

    /// Gives the secret to whoever made the token, and to nobody else meanwhile.
    pub(super) fn take(
        &self,
        token: TokenNumber,
        generation: u32,
        viewer: Option<AccountNumber>,
        now: Instant,
    ) -> Option<Viewing<'_>> {
        let mut entries = self.lock();
        let place = entries.iter().position(|fresh| {
            (fresh.token, fresh.generation, fresh.creator) == (token, generation, viewer)
                && now < fresh.deadline
        })?;
        let fresh = entries.remove(place)?;
        Some(Viewing { secrets: self, fresh: Some(fresh) })
    }

    /// Wipes those whose time is over.
    pub(super) fn sweep(&self, now: Instant) {
        self.lock().retain(|fresh| now < fresh.deadline);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<FreshSecret>> {
        // Nothing that holds the lock can leave it half changed.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a new secret can be viewed.
pub(super) const VIEW_TIME: Duration = Duration::from_secs(10 * 60);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const CREATOR: Option<AccountNumber> = Some(AccountNumber::new(5));

    fn fresh(token: u32, deadline: Instant) -> FreshSecret {
        FreshSecret {
            token: TokenNumber::new(token),
            generation: 1,
            creator: CREATOR,
            secret: Secret::from(format!("secret {token}")),
            deadline,
        }
    }

    #[test]
    fn a_secret_is_for_its_creator_once_and_in_time() {
        let start = Instant::now();
        let secrets = FreshSecrets::new(8);
        secrets.keep(fresh(1, start + VIEW_TIME));
        let take = |generation, viewer, now| secrets.take(TokenNumber::new(1), generation, viewer, now);
        assert!(take(1, None, start).is_none(), "the operator has not made it");
        assert!(take(1, Some(AccountNumber::new(6)), start).is_none());
        assert!(take(2, CREATOR, start).is_none(), "another secret");
        assert!(take(1, CREATOR, start + VIEW_TIME).is_none(), "too late");
        let taken = take(1, CREATOR, start + VIEW_TIME - Duration::from_secs(1)).unwrap();
        assert_eq!(taken.secret(), Some(&Secret::from("secret 1".to_owned())));
        assert!(take(1, CREATOR, start).is_none(), "one at a time");
        drop(taken);
        take(1, CREATOR, start).unwrap().shown();
        assert!(take(1, CREATOR, start).is_none(), "only once");
    }

    #[test]
    fn they_are_bounded_and_swept() {
        let start = Instant::now();
        let secrets = FreshSecrets::new(2);
        let displaced: Vec<usize> =
            (1..=3).map(|token| secrets.keep(fresh(token, start + VIEW_TIME))).collect();
        assert_eq!(displaced, [0, 0, 1]);
        assert!(secrets.take(TokenNumber::new(1), 1, CREATOR, start).is_none(), "the oldest made room");
        secrets.sweep(start);
        assert_eq!(secrets.lock().len(), 2);
        secrets.sweep(start + VIEW_TIME);
        assert_eq!(secrets.lock().len(), 0);
        let none = FreshSecrets::new(0);
        assert_eq!(none.keep(fresh(1, start + VIEW_TIME)), 0);
        assert!(none.take(TokenNumber::new(1), 1, CREATOR, start).is_none());
    }
}
