//! Whether what a binding asks for is so.

use std::net::IpAddr;

use crate::directory::{AccountState, Accounts};
use crate::model::{Binding, BindingSubject, Timestamp};

/// Whether a binding passes. Where the rules of a time zone are missing it does not, negated or not.
pub(super) fn passes(
    accounts: &Accounts,
    account: &AccountState,
    binding: &Binding,
    source: Option<IpAddr>,
    now: Timestamp,
) -> bool {
    holds(accounts, account, &binding.subject, source, now).is_some_and(|holds| holds != binding.negate)
}

/// Whether what a binding asks for is so; `None`: nobody can tell here.
pub(super) fn holds(
    accounts: &Accounts,
    account: &AccountState,
    subject: &BindingSubject,
    source: Option<IpAddr>,
    now: Timestamp,
) -> Option<bool> {
    Some(match subject {
        BindingSubject::Account(number) => account.number == *number,
        // Who was in a group that is gone nobody knows: it must not let anybody in, negated either.
        BindingSubject::Group(number) if accounts.group(*number).is_none() => return None,
        BindingSubject::Group(number) => accounts.lead_to(&account.groups, *number),
        BindingSubject::Networks(networks) => source
            .is_some_and(|source| networks.iter().any(|network| network.contains(&source.to_canonical()))),
        BindingSubject::Window(window) if !window.timezone().is_known() => return None,
        BindingSubject::Window(window) => window.is_open(now),
    })
}
