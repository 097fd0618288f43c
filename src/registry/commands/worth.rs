//! Which groups are worth something to who is in them: whoever says who is in such a group gives that.

use std::collections::HashSet;

use crate::directory::{Accounts, GroupState};
use crate::model::{BindingSubject, GroupNumber};

/// What makes groups worth something.
pub(super) struct Worth<'a> {
    accounts: &'a Accounts,
    /// Those to which applications are bound.
    bound: HashSet<GroupNumber>,
}

impl<'a> Worth<'a> {
    /// In this directory.
    pub(super) fn of(accounts: &'a Accounts) -> Self {
        let bindings = accounts.applications().flat_map(|application| &application.bindings);
        let bound = bindings.filter_map(|binding| match binding.subject {
            BindingSubject::Group(number) => Some(number),
            _ => None,
        });
        Self { accounts, bound: bound.collect() }
    }

    /// Whether members of the group, or of one above it, may do something for it, or are admitted for it.
    pub(super) fn has(&self, group: &GroupState) -> bool {
        group.closure.iter().filter_map(|number| self.accounts.group(*number)).any(|above| {
            above.is_superuser
                || !above.roles.is_empty()
                || !above.grants.is_empty()
                || self.bound.contains(&above.number)
        })
    }
}
