//! Whom an application may admit to some client at some time: what its bindings come to for all accounts, read once.

use std::collections::BTreeSet;

use crate::directory::{AccountState, Accounts};
use crate::model::{AccountNumber, Application, BindingMode, BindingSubject, GroupNumber};
use crate::schema::steps;

/// For whom it is asked. From where and when an account comes nobody knows, so bindings to networks and times are taken to be
/// against what is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedFor {
    /// Who is admitted no more, which is told where no place and no time would: they pass, negated or not.
    Losses,
    /// Who is admitted that was not, which is told where one place or one time does: they decide nothing. Where any binding is
    /// enough none of them passes, and where all must none of them keeps anybody out.
    Gains,
}

/// What the bindings of an application come to, however many they are and in whichever order: two that are equal admit the same
/// accounts.
///
/// A binding meets an account when it decides by itself: where any is enough by passing, where all must by not passing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admissible {
    /// Whether who is met is admitted, and nobody else; else it is the other way round.
    admits_the_met: bool,
    /// Whether everybody is met. Nothing else counts then.
    meets_all: bool,
    /// Who is one of these is met,
    accounts: BTreeSet<AccountNumber>,
    /// and who is not this one,
    all_but: Option<AccountNumber>,
    /// and who is in one of these groups,
    groups: BTreeSet<GroupNumber>,
    /// and who is not in all of these.
    outside: BTreeSet<GroupNumber>,
}

impl Admissible {
    /// Everybody, as an application without bindings, or none before a provider.
    pub fn everybody() -> Self {
        Self {
            admits_the_met: true,
            meets_all: true,
            accounts: BTreeSet::new(),
            all_but: None,
            groups: BTreeSet::new(),
            outside: BTreeSet::new(),
        }
    }

    /// Whom this application may admit.
    pub fn of(accounts: &Accounts, application: &Application, asked: AskedFor) -> Self {
        if application.bindings.is_empty() {
            return Self::everybody();
        }
        let mut enabled = application.bindings.iter().filter(|binding| binding.enabled).peekable();
        // Bindings that are all switched off admit nobody.
        let is_any = enabled.peek().is_none() || application.mode == BindingMode::Any;
        let mut admissible = Self { admits_the_met: is_any, meets_all: false, ..Self::everybody() };
        for binding in enabled {
            steps::note(1);
            // Whether it meets those of whom it is so what it asks for, or the others.
            let meets_those = is_any != binding.negate;
            match &binding.subject {
                BindingSubject::Account(number) if meets_those => drop(admissible.accounts.insert(*number)),
                BindingSubject::Account(number) => match admissible.all_but.replace(*number) {
                    // Nobody is two accounts.
                    Some(other) if other != *number => admissible.meets_all = true,
                    _ => {}
                },
                // Nobody can tell who was in a group that is gone, so it does not pass.
                BindingSubject::Group(number) if accounts.group(*number).is_none() => {
                    admissible.meets_all |= !is_any;
                }
                BindingSubject::Group(number) if meets_those => drop(admissible.groups.insert(*number)),
                BindingSubject::Group(number) => drop(admissible.outside.insert(*number)),
                // A time of which nobody can tell when it is does not pass.
                BindingSubject::Window(window) if !window.timezone().is_known() => {
                    admissible.meets_all |= !is_any;
                }
                BindingSubject::Networks(_) | BindingSubject::Window(_) => {
                    admissible.meets_all |= is_any && asked == AskedFor::Losses;
                }
            }
            if admissible.meets_all {
                return Self { admits_the_met: is_any, ..Self::everybody() };
            }
        }
        admissible
    }

    /// Whether the account may be admitted: one look at each group that it is in.
    pub fn admits(&self, accounts: &Accounts, account: &AccountState) -> bool {
        self.admits_in(account.number, || accounts.groups_of(account))
    }

    /// The same of an account of which it is known in which groups it is, directly or through nesting.
    pub fn admits_in<G: AsRef<[GroupNumber]>>(
        &self,
        account: AccountNumber,
        groups: impl FnOnce() -> G,
    ) -> bool {
        self.meets(account, groups) == self.admits_the_met
    }

    /// The accounts, and the groups of the accounts, that are admitted, where nobody else is.
    pub fn admitted(&self) -> Option<(&BTreeSet<AccountNumber>, &BTreeSet<GroupNumber>)> {
        let admits_others =
            !self.admits_the_met || self.meets_all || self.all_but.is_some() || !self.outside.is_empty();
        (!admits_others).then_some((&self.accounts, &self.groups))
    }

    fn meets<G: AsRef<[GroupNumber]>>(&self, account: AccountNumber, groups: impl FnOnce() -> G) -> bool {
        if self.meets_all
            || self.accounts.contains(&account)
            || self.all_but.is_some_and(|other| other != account)
        {
            return true;
        }
        if self.groups.is_empty() && self.outside.is_empty() {
            return false;
        }
        let groups = groups();
        let is_in =
            |of: &BTreeSet<GroupNumber>| groups.as_ref().iter().filter(|group| of.contains(group)).count();
        is_in(&self.groups) > 0 || is_in(&self.outside) < self.outside.len()
    }
}
