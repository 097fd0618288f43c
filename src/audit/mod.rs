//! What happened: the lines of the audit trail.
//!
//! A change's events are committed with it, in the same batch ([`describe`] makes them). Logins are counted where they
//! are alike ([`LoginTally`]) and become events from time to time; of those that fail alike the first is written to the
//! log at once; refusals of who had proved themselves are counted with those. Events are chained ([`append`], [`TrailVerifier`]), and each is written to the log once it is in the
//! store ([`committed`]).

mod chain;
mod describe;
mod log;
mod tally;

#[cfg(test)]
pub use chain::TrailProblem;
pub use chain::{AuditReport, ExpectedEvent, TrailReport, TrailVerifier, append, digest};
pub(crate) use describe::is_told;
pub use describe::{EventObject, OBJECT_KINDS, describe};
#[cfg(test)]
pub(crate) use log::tests::lines as log_lines;
pub use log::{
    DOCUMENT, DeniedCall, Failure, FailureKind, ProofNames, SUMMARY, committed, login, trail_ends,
};
pub use tally::{
    FailureRow, LoginKey, LoginNames, LoginProof, LoginRow, LoginTally, Span, Tallied, TallyBounds, Told,
};
