//! What the roles of an account say of its searches, in place of the server's limits.

use std::time::Duration;

use super::rights::Via;
use crate::directory::{AccountState, Accounts};
use crate::model::{Role, RoleNumber};

/// The limits that roles give; `None`: no role says anything, and the server's limit holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SearchLimits {
    /// Entries that a search may return, and the role that says so; 0: no limit.
    pub size_max: Option<(u32, Via)>,
    /// How long a search may take, and the role that says so.
    pub time_max: Option<(Duration, Via)>,
}

/// Of all roles that the account holds, directly or through its groups, the most generous.
pub fn search_limits(accounts: &Accounts, account: &AccountState) -> SearchLimits {
    let mut limits = SearchLimits::default();
    if !accounts.has_limited_roles() {
        return limits;
    }
    for role in &account.roles {
        limits.add(accounts, *role, Via::Role(*role));
    }
    for group in accounts.groups_above(account) {
        for role in &group.roles {
            limits.add(accounts, *role, Via::GroupRole(group.number, *role));
        }
    }
    limits
}

impl SearchLimits {
    fn add(&mut self, accounts: &Accounts, role: RoleNumber, via: Via) {
        let Some(role) = accounts.role(role) else { return };
        let Role { search_size_max, search_time_max, .. } = &**role;
        if let Some(size) = *search_size_max
            && self.size_max.is_none_or(|(other, _)| generosity(size) > generosity(other))
        {
            self.size_max = Some((size, via));
        }
        if let Some(time) = *search_time_max
            && self.time_max.is_none_or(|(other, _)| time > other)
        {
            self.time_max = Some((time, via));
        }
    }
}

/// Nothing is more generous than no limit.
fn generosity(size: u32) -> u64 {
    if size == 0 { u64::MAX } else { u64::from(size) }
}
