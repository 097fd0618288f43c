//! Whether what a binding asks for is so.

use std::cell::{Cell, OnceCell};
use std::net::IpAddr;

use crate::directory::{AccountState, Accounts};
use crate::model::{Binding, BindingSubject, GroupNumber, Timestamp};
use crate::schema::steps;

/// An account that asks to be let in: from where and when. Its groups are gone through once, when a binding first asks
/// for one; what is looked at is counted.
pub(super) struct Applicant<'a> {
    pub(super) accounts: &'a Accounts,
    pub(super) account: &'a AccountState,
    pub(super) source: Option<IpAddr>,
    pub(super) now: Timestamp,
    groups: OnceCell<Vec<GroupNumber>>,
    work: Cell<u64>,
}

impl<'a> Applicant<'a> {
    pub(super) fn new(
        accounts: &'a Accounts,
        account: &'a AccountState,
        source: Option<IpAddr>,
        now: Timestamp,
    ) -> Self {
        Self { accounts, account, source, now, groups: OnceCell::new(), work: Cell::new(0) }
    }

    /// Whether a binding passes. Where the rules of a time zone are missing it does not, negated or not.
    pub(super) fn passes(&self, binding: &Binding) -> bool {
        self.holds(&binding.subject).is_some_and(|holds| holds != binding.negate)
    }

    /// Whether what a binding asks for is so; `None`: nobody can tell here.
    pub(super) fn holds(&self, subject: &BindingSubject) -> Option<bool> {
        self.count(cost_of(subject));
        Some(match subject {
            BindingSubject::Account(number) => self.account.number == *number,
            // Who was in a group that is gone nobody knows: it must not let anybody in, negated either.
            BindingSubject::Group(number) if self.accounts.group(*number).is_none() => return None,
            BindingSubject::Group(number) => self.groups().binary_search(number).is_ok(),
            BindingSubject::Networks(networks) => self.source.is_some_and(|source| {
                networks.iter().any(|network| network.contains(&source.to_canonical()))
            }),
            BindingSubject::Window(window) if !window.timezone().is_known() => return None,
            BindingSubject::Window(window) => window.is_open(self.now),
        })
    }

    /// What was looked at so far, in the unit in which an evaluator counts.
    pub(super) fn work(&self) -> u64 {
        self.work.get()
    }

    /// Counts what is done for it.
    pub(super) fn count(&self, work: u64) {
        steps::note(1);
        self.work.set(self.work.get() + work);
    }

    fn groups(&self) -> &[GroupNumber] {
        self.groups.get_or_init(|| {
            // They are sorted, too.
            self.count(2 * self.accounts.group_steps(self.account));
            self.accounts.groups_of(self.account)
        })
    }
}

/// What it costs to ask a binding, but for going through the groups.
fn cost_of(subject: &BindingSubject) -> u64 {
    match subject {
        BindingSubject::Account(_) | BindingSubject::Group(_) => 1,
        BindingSubject::Networks(networks) => 1 + networks.len() as u64,
        BindingSubject::Window(_) => WORK_OF_A_WINDOW,
    }
}

/// To find the time of day in a time zone costs as much as looking at so many values.
const WORK_OF_A_WINDOW: u64 = 20;
