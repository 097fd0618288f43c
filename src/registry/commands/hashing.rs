//! Hashes for commands: computed on the pool, before the writer is asked.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::auth::{Candidate, HashClass, HashError, HashJob, HashRefusal, StoredHash};
use crate::model::HashText;
use crate::registry::{Caller, ChangeError, Registry};
use crate::secret::Secret;

impl Registry {
    /// Hashes a new credential, for a request that will be carried out. It waits with the secrets that have a selector:
    /// whoever makes one was admitted before.
    ///
    /// # Errors
    /// The request is refused already, the hash failed, the pool stayed full, or the server is going down.
    pub(super) async fn hash_secret(&self, secret: Secret, caller: &Caller) -> Result<HashText, ChangeError> {
        caller.require_not_refused()?;
        let source = caller.actor().source;
        let waiting = self.queue_hash(HashClass::Selector, &secret, source).await?;
        hashed(waiting).await
    }

    /// Hashes new credentials, a few at a time, and lets every bind pass before them.
    ///
    /// # Errors
    /// As [`Registry::hash_secret`].
    pub(super) async fn hash_secrets(&self, secrets: &[Secret]) -> Result<Vec<HashText>, ChangeError> {
        let mut hashes = Vec::with_capacity(secrets.len());
        let mut waiting = VecDeque::new();
        for secret in secrets {
            if waiting.len() >= WINDOW
                && let Some(first) = waiting.pop_front()
            {
                hashes.push(hashed(first).await?);
            }
            waiting.push_back(self.queue_hash(HashClass::Bulk, secret, None).await?);
        }
        for last in waiting {
            hashes.push(hashed(last).await?);
        }
        Ok(hashes)
    }

    /// Whether a secret is the one that was stored.
    ///
    /// # Errors
    /// As [`Registry::hash_secret`].
    pub(super) async fn is_stored_secret(
        &self,
        secret: &Secret,
        stored: &HashText,
    ) -> Result<bool, ChangeError> {
        // What cannot be verified is not the same: a new hash takes its place.
        let Ok(stored) = StoredHash::parse(stored.expose(), &self.bounds) else { return Ok(false) };
        let candidate = Candidate::Stored(Arc::new(stored));
        for _ in 0..ATTEMPTS {
            let job = HashJob {
                // A config may hold many, and each is compared at every application.
                class: HashClass::Bulk,
                source: None,
                secret: secret.clone(),
                candidate: candidate.clone(),
                unlooked: None,
            };
            match self.hash_pool.verify(job) {
                Ok(outcome) => {
                    return Ok(outcome.await.map_err(|_| ChangeError::ShuttingDown)?.matches);
                }
                Err(HashRefusal::Busy) => tokio::time::sleep(PAUSE).await,
                Err(HashRefusal::AboveMemoryBudget) => return Ok(false),
                Err(HashRefusal::Closed) => return Err(ChangeError::ShuttingDown),
            }
        }
        Err(ChangeError::Secret(HashRefusal::Busy.to_string()))
    }

    async fn queue_hash(
        &self,
        class: HashClass,
        secret: &Secret,
        source: Option<IpAddr>,
    ) -> Result<Waiting, ChangeError> {
        for _ in 0..ATTEMPTS {
            match self.hash_pool.hash(class, secret.clone(), source) {
                Ok(waiting) => return Ok(waiting),
                Err(HashRefusal::Closed) => return Err(ChangeError::ShuttingDown),
                Err(HashRefusal::Busy | HashRefusal::AboveMemoryBudget) => tokio::time::sleep(PAUSE).await,
            }
        }
        Err(ChangeError::Secret(HashRefusal::Busy.to_string()))
    }
}

type Waiting = oneshot::Receiver<Result<String, HashError>>;

async fn hashed(waiting: Waiting) -> Result<HashText, ChangeError> {
    let hash = waiting.await.map_err(|_| ChangeError::ShuttingDown)?;
    hash.map(HashText::new).map_err(|error| ChangeError::Secret(error.to_string()))
}

/// Hashes of one command that wait or run at a time.
const WINDOW: usize = 8;
/// How long a command waits for a place in a full queue, and how often.
const PAUSE: Duration = Duration::from_millis(50);
const ATTEMPTS: u32 = 200;
