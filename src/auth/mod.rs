//! Is this secret right? What a secret looks like, what is kept of it, who computes the hash,
//! what is remembered of a secret that was right, and how often it may be wrong.
//!
//! Nothing here knows an account, a snapshot or a protocol: callers hand in what is stored and get
//! a verdict. The order for one secret is: [`proof`] (seen before), [`token_secret`] (which shape),
//! [`throttle`] (too often wrong), [`hash_pool`] (the hash itself).

mod hash_memory;
pub mod hash_pool;
mod hash_queue;
pub mod password_hash;
pub mod proof;
pub mod schemes;
pub mod throttle;
pub mod token_keys;
pub mod token_secret;

pub use hash_pool::{
    Candidate, HashClass, HashJob, HashOutcome, HashPool, HashPoolError, HashPoolSettings, HashRefusal,
};
pub use password_hash::{HashBounds, HashParseError, StoredHash};
pub use proof::{CredentialKey, ProofCache};
pub use schemes::argon::{Argon2Parameters, ArgonMemory, HashError, hash_new};
pub use throttle::{Pause, Throttle, ThrottleSettings, TryingSource};
pub use token_keys::{SealError, TokenKeyError, TokenKeys, is_finding_file};
pub use token_secret::{SecretShape, TokenSecret};
