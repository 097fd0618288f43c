//! What accounts gain by a change, and who has that besides: of what somebody holds anyway nothing is given away to them.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeSet, HashMap};

use super::worth::{Admissions, Gained, NewAdmissions};
use crate::access::{Rights, holds};
use crate::directory::{AccountState, Accounts, GroupState};
use crate::model::{AccountNumber, Key};

/// A change, for who gains by it.
pub(crate) struct Gains<'a> {
    before: &'a Accounts,
    after: &'a Accounts,
    who: Gainers,
    /// Who is admitted where by it: looked up where somebody else has made something.
    admissions: OnceCell<NewAdmissions<'a>>,
    /// Whether a maker has all of this: of thousands who gain most gain the same.
    answers: RefCell<HashMap<(AccountNumber, Gained), [bool; 2]>>,
}

impl<'a> Gains<'a> {
    /// By what became of one directory in another, where these records were changed.
    pub(crate) fn of<'k>(
        before: &'a Accounts,
        after: &'a Accounts,
        changed: impl Iterator<Item = &'k Key>,
    ) -> Self {
        let who = who_may_gain(before, after, changed);
        Self { before, after, who, admissions: OnceCell::new(), answers: RefCell::new(HashMap::new()) }
    }

    /// The directory by now.
    pub(super) fn after(&self) -> &'a Accounts {
        self.after
    }

    /// Who may have gained something.
    pub(super) fn who(&self) -> &Gainers {
        &self.who
    }

    /// Whether this account may have.
    pub(super) fn may_be_of(&self, account: AccountNumber) -> bool {
        match &self.who {
            Gainers::Anybody => true,
            Gainers::These(numbers) => numbers.contains(&account),
        }
    }

    /// What an account has got by the change.
    pub(super) fn of_account(&self, account: &AccountState) -> Gained {
        if !self.may_be_of(account.number) {
            return Gained::default();
        }
        let known = self.before.account(account.number).map(|known| &**known);
        Gained {
            rights: self.rights_of(known, account),
            admitted: self.admissions().of_account(known, account),
        }
    }

    /// The same with where it is admitted from now on as others are not, be it that everybody was before.
    pub(super) fn given_to(&self, account: &AccountState) -> Gained {
        if !self.may_be_of(account.number) {
            return Gained::default();
        }
        let NewAdmissions { before, after, .. } = self.admissions();
        let known = self.before.account(account.number).map(|known| &**known);
        let mut admitted = after.of_account(account);
        let admitted_before = known.map(|known| before.of_account(known)).unwrap_or_default();
        admitted.retain(|provider| !admitted_before.contains(provider));
        Gained { rights: self.rights_of(known, account), admitted }
    }

    fn rights_of(&self, known: Option<&AccountState>, account: &AccountState) -> Rights {
        let held = known.map(|known| Rights::of_account(self.before, known)).unwrap_or_default();
        Rights::of_account(self.after, account).beyond(&held)
    }

    /// Whether this account has all of it now.
    pub(super) fn has(&self, account: AccountNumber, gained: &Gained) -> bool {
        let [_, has] = self.had_and_has(account, gained);
        has
    }

    /// Whether it has all of it and had all of it before the change: whoever gets it as well may have seen to that.
    pub(super) fn had(&self, account: AccountNumber, gained: &Gained) -> bool {
        let [had, has] = self.had_and_has(account, gained);
        had && has
    }

    fn had_and_has(&self, account: AccountNumber, gained: &Gained) -> [bool; 2] {
        let ask = |accounts: &Accounts, admissions: &Admissions<'_>| {
            let account = accounts.account(account).map(|account| &**account);
            holds(accounts, account, &gained.rights) && admissions.has_all(account, &gained.admitted)
        };
        let both =
            || [ask(self.before, &self.admissions().before), ask(self.after, &self.admissions().after)];
        *self.answers.borrow_mut().entry((account, gained.clone())).or_insert_with(both)
    }

    fn admissions(&self) -> &NewAdmissions<'a> {
        self.admissions.get_or_init(|| NewAdmissions::of(self.before, self.after))
    }
}

/// Who may have more after a change than before it.
pub(super) enum Gainers {
    Anybody,
    These(BTreeSet<AccountNumber>),
}

/// Who gains by a change: nothing but an account, a membership, a group and a role gives rights, and nothing but these and an
/// application admits anybody. Mostly one account or none is concerned, and the others, who may be a million, are not looked at.
fn who_may_gain<'a>(before: &Accounts, after: &Accounts, changed: impl Iterator<Item = &'a Key>) -> Gainers {
    let mut numbers = BTreeSet::new();
    for key in changed {
        match key {
            Key::Account(account) | Key::Membership(_, account) => drop(numbers.insert(*account)),
            Key::Group(number) => {
                // Members of a group that is new have joined it by memberships, and groups by their own change.
                let gives_the_same = |one: &GroupState, other: &GroupState| {
                    (one.is_superuser, &one.parents, &one.roles, &one.grants)
                        == (other.is_superuser, &other.parents, &other.roles, &other.grants)
                };
                if let (Some(one), Some(other)) = (before.group(*number), after.group(*number))
                    && !gives_the_same(one, other)
                {
                    return Gainers::Anybody;
                }
            }
            Key::Role(_) => return Gainers::Anybody,
            Key::Application(number) => {
                let admits = |accounts: &Accounts| {
                    let application = accounts.application(*number)?;
                    application
                        .provider
                        .map(|provider| (provider, application.mode, application.bindings.clone()))
                };
                let is = admits(after);
                if is.is_some() && is != admits(before) {
                    return Gainers::Anybody;
                }
            }
            Key::Token(_)
            | Key::Provider(_)
            | Key::CustomAttribute(_)
            | Key::Tombstone(_)
            | Key::Usage(_)
            | Key::Event(_) => {}
        }
    }
    Gainers::These(numbers)
}
