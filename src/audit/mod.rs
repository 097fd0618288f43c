//! What happened: the lines of the audit trail.
//!
//! A change's events are committed with it, in the same batch ([`describe`] makes them). Logins are
//! written to the log as they happen ([`login`]); of those that fail alike the first, then how many
//! ([`LoginFailures`]).

mod describe;
mod failures;
mod log;

pub(crate) use describe::is_told;
pub use describe::{describe, object_name};
pub use failures::LoginFailures;
pub use log::{Failure, FailureKind, LoginProof, login};
