//! What happened: the lines of the audit trail.
//!
//! A change's events are committed with it, in the same batch ([`describe`] makes them). Logins are
//! written to the log as they happen ([`login`]).

mod describe;
mod log;

pub(crate) use describe::is_told;
pub use describe::{describe, object_name};
pub use log::{LoginResult, login};
