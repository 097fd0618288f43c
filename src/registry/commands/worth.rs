//! What groups and accounts are worth: which rights they give, and where they are admitted. Whoever says who is in a group
//! that is worth something gives that.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::access::{Admissible, Rights};
use crate::directory::{AccountState, Accounts, GroupState};
use crate::model::{ApplicationNumber, BindingSubject, GroupNumber, ProviderNumber};

/// What makes groups worth something.
pub(super) struct Worth<'a> {
    accounts: &'a Accounts,
    /// Those to which applications are bound.
    bound: HashSet<GroupNumber>,
    /// Which of them the members are admitted by, and to what.
    admitting: HashMap<GroupNumber, BTreeSet<(ApplicationNumber, ProviderNumber)>>,
}

/// What a group gives to its members.
pub(super) struct Given {
    rights: Rights,
    admitted: BTreeSet<(ApplicationNumber, ProviderNumber)>,
}

impl Given {
    /// Whether some of it is not in the other.
    pub(super) fn is_beyond(&self, other: &Self) -> bool {
        !self.rights.beyond(&other.rights).is_empty() || !self.admitted.is_subset(&other.admitted)
    }
}

impl<'a> Worth<'a> {
    /// In this directory.
    pub(super) fn of(accounts: &'a Accounts) -> Self {
        let (mut bound, mut admitting) = (HashSet::new(), HashMap::<_, BTreeSet<_>>::new());
        for application in accounts.applications() {
            for binding in &application.bindings {
                let BindingSubject::Group(group) = binding.subject else { continue };
                bound.insert(group);
                if let Some(provider) = application.provider
                    && binding.enabled
                    && !binding.negate
                {
                    admitting.entry(group).or_default().insert((application.number, provider));
                }
            }
        }
        Self { accounts, bound, admitting }
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

    /// What the members of the group have through it, and through those above it.
    pub(super) fn of_group(&self, group: &GroupState) -> Given {
        let admitted = group.closure.iter().filter_map(|above| self.admitting.get(above)).flatten();
        Given { rights: Rights::of_group(self.accounts, group.number), admitted: admitted.copied().collect() }
    }
}

/// Who is admitted where by an application, and not as everybody is.
pub(super) struct Admissions<'a> {
    accounts: &'a Accounts,
    bound: Vec<(ProviderNumber, Admissible)>,
}

impl<'a> Admissions<'a> {
    /// In this directory.
    pub(super) fn of(accounts: &'a Accounts) -> Self {
        let bound = accounts.applications().filter_map(|application| {
            let provider = application.provider.filter(|number| accounts.provider(*number).is_some())?;
            let admissible = Admissible::of(accounts, application);
            (admissible != Admissible::everybody()).then_some((provider, admissible))
        });
        Self { accounts, bound: bound.collect() }
    }

    /// Where an account is admitted that others are not.
    pub(super) fn of_account(&self, account: &AccountState) -> Vec<ProviderNumber> {
        let admitting = self.bound.iter().filter(|(_, admissible)| admissible.admits(self.accounts, account));
        admitting.map(|(provider, _)| *provider).collect()
    }

    /// Whether an account is admitted there, be it as everybody.
    pub(super) fn admits(&self, provider: ProviderNumber, account: &AccountState) -> bool {
        let mut before_it = self.bound.iter().filter(|(of, _)| *of == provider);
        self.accounts.provider(provider).is_some()
            && before_it.all(|(_, admissible)| admissible.admits(self.accounts, account))
    }

    /// Whether an account is admitted to all of these, or may have itself admitted.
    pub(super) fn has_all(&self, account: Option<&AccountState>, providers: &[ProviderNumber]) -> bool {
        account.filter(|account| account.is_active).is_some_and(|account| {
            self.accounts.is_superuser(account)
                || providers.iter().all(|provider| self.admits(*provider, account))
        })
    }
}
