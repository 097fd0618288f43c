//! What a store remembers of the clock, so that a start need not take the clock's word. What follows from it is decided in
//! `clock.rs`.

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// What was last believed of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Belief {
    /// The newest time that was believed.
    pub time: Timestamp,
    /// That the clock is too far ahead of it to be believed.
    pub doubt: Option<Doubt>,
}

/// A clock that is ahead and not believed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// What it said when it was last looked at.
    pub clock: Timestamp,
    /// How long a server has watched it say so (seconds), over all starts.
    pub lasted: u64,
}

impl Belief {
    /// Believes this time.
    pub const fn of(time: Timestamp) -> Self {
        Self { time, doubt: None }
    }
}
