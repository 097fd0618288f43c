//! What groups and accounts are worth: which rights they give, and where they are admitted. Whoever says who is in a group
//! that is worth something gives that.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::Hash;

use crate::access::{Admissible, AskedFor, Rights};
use crate::directory::{AccountState, Accounts, GroupState};
use crate::model::{AccountNumber, ApplicationNumber, BindingSubject, GroupNumber, ProviderNumber};
use crate::schema::steps;

/// What makes groups worth something.
pub(super) struct Worth<'a> {
    accounts: &'a Accounts,
    /// Those to which applications are bound.
    bound: HashSet<GroupNumber>,
    /// Those of them whose members one shuts out.
    shut_out: HashSet<GroupNumber>,
    /// Which of them the members are admitted by, and to what.
    admitting: HashMap<GroupNumber, BTreeSet<(ApplicationNumber, ProviderNumber)>>,
}

/// What a group gives to its members.
pub(super) struct Given {
    rights: Rights,
    admitted: BTreeSet<(ApplicationNumber, ProviderNumber)>,
}

impl Given {
    /// What of it is not in the other.
    pub(super) fn beyond(&self, other: &Self) -> Gained {
        let admitted: BTreeSet<_> =
            self.admitted.difference(&other.admitted).map(|(_, provider)| *provider).collect();
        Gained { rights: self.rights.beyond(&other.rights), admitted: admitted.into_iter().collect() }
    }
}

/// What somebody has by a change and had not before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Gained {
    pub(super) rights: Rights,
    /// Where one is admitted.
    pub(super) admitted: Vec<ProviderNumber>,
}

impl Gained {
    pub(super) fn is_empty(&self) -> bool {
        self.rights.is_empty() && self.admitted.is_empty()
    }
}

impl<'a> Worth<'a> {
    /// In this directory.
    pub(super) fn of(accounts: &'a Accounts) -> Self {
        let (mut bound, mut shut_out) = (HashSet::new(), HashSet::new());
        let mut admitting = HashMap::<_, BTreeSet<_>>::new();
        for application in accounts.applications() {
            for binding in &application.bindings {
                let BindingSubject::Group(group) = binding.subject else { continue };
                bound.insert(group);
                // Without a provider nobody is admitted, and what is switched off decides nothing.
                let Some(provider) = application.provider.filter(|_| binding.enabled) else { continue };
                if binding.negate {
                    shut_out.insert(group);
                } else {
                    admitting.entry(group).or_default().insert((application.number, provider));
                }
            }
        }
        Self { accounts, bound, shut_out, admitting }
    }

    /// Whether the group, or one above it, is there to give something, be it that it gives nothing yet: nothing of that is given
    /// away by a file that is imported.
    pub(super) fn has(&self, group: &GroupState) -> bool {
        group.closure.iter().filter_map(|number| self.accounts.group(*number)).any(|above| {
            above.is_superuser
                || !above.roles.is_empty()
                || !above.grants.is_empty()
                || self.bound.contains(&above.number)
        })
    }

    /// Whether an application shuts the members out, or those of one above it.
    pub(super) fn shuts_out(&self, group: &GroupState) -> bool {
        group.closure.iter().any(|above| self.shut_out.contains(above))
    }

    /// Whether the group, or one above it, gives its members any right, or admission anywhere. To fill one that does not takes
    /// no right.
    pub(super) fn gives(&self, group: &GroupState) -> bool {
        group.closure.iter().any(|above| self.admitting.contains_key(above))
            || !Rights::of_group(self.accounts, group.number).is_empty()
    }

    /// What the members of the group have through it, and through those above it.
    pub(super) fn of_group(&self, group: &GroupState) -> Given {
        let admitted = group.closure.iter().filter_map(|above| self.admitting.get(above)).flatten();
        Given { rights: Rights::of_group(self.accounts, group.number), admitted: admitted.copied().collect() }
    }
}

/// Who is admitted where by an application, and not as everybody is. Found once for all accounts: of each only those applications
/// are asked that could admit it.
pub(super) struct Admissions<'a> {
    accounts: &'a Accounts,
    bound: Vec<(ProviderNumber, Admissible)>,
    /// Where in `bound` those are that admit an account, and the members of a group.
    by_account: HashMap<AccountNumber, Vec<usize>>,
    by_group: HashMap<GroupNumber, Vec<usize>>,
    /// Where those are that admit others too.
    of_others: Vec<usize>,
    by_provider: HashMap<ProviderNumber, Vec<usize>>,
}

impl<'a> Admissions<'a> {
    /// In this directory.
    pub(super) fn of(accounts: &'a Accounts) -> Self {
        let bound = accounts.applications().filter_map(|application| {
            let provider = application.provider.filter(|number| accounts.provider(*number).is_some())?;
            let admissible = Admissible::of(accounts, application, AskedFor::Gains);
            (admissible != Admissible::everybody()).then_some((provider, admissible))
        });
        let bound: Vec<(ProviderNumber, Admissible)> = bound.collect();
        let (mut by_account, mut by_group, mut of_others) = (HashMap::new(), HashMap::new(), Vec::new());
        let mut by_provider = HashMap::new();
        for (place, (provider, admissible)) in bound.iter().enumerate() {
            note_places(&mut by_provider, [provider], place);
            match admissible.admitted() {
                None => of_others.push(place),
                Some((accounts, groups)) => {
                    note_places(&mut by_account, accounts, place);
                    note_places(&mut by_group, groups, place);
                }
            }
        }
        Self { accounts, bound, by_account, by_group, of_others, by_provider }
    }

    /// Where an account is admitted that others are not.
    pub(super) fn of_account(&self, account: &AccountState) -> Vec<ProviderNumber> {
        self.of_one(account.number, &self.accounts.groups_of(account), |_| true)
    }

    /// The same of an account in these groups, where that matters.
    fn of_one(
        &self,
        account: AccountNumber,
        groups: &[GroupNumber],
        matters: impl Fn(ProviderNumber) -> bool,
    ) -> Vec<ProviderNumber> {
        let by_group = groups.iter().filter_map(|group| self.by_group.get(group)).flatten();
        let places = by_group.chain(self.by_account.get(&account).into_iter().flatten());
        let places: BTreeSet<usize> = places.chain(&self.of_others).copied().collect();
        let asked = places.into_iter().filter_map(|place| self.bound.get(place));
        let asked = asked.filter(|(provider, _)| matters(*provider)).inspect(|_| steps::note(1));
        let admitting = asked.filter(|(_, admissible)| admissible.admits_in(account, || groups));
        admitting.map(|(provider, _)| *provider).collect()
    }

    /// Whether an account is admitted there, be it as everybody.
    pub(super) fn admits(&self, provider: ProviderNumber, account: &AccountState) -> bool {
        self.admits_one(provider, account.number, &self.accounts.groups_of(account))
    }

    fn admits_one(&self, provider: ProviderNumber, account: AccountNumber, groups: &[GroupNumber]) -> bool {
        let mut before_it = self.before(provider).inspect(|_| steps::note(1));
        self.accounts.provider(provider).is_some()
            && before_it.all(|admissible| admissible.admits_in(account, || groups))
    }

    /// What is bound before a provider.
    fn before(&self, provider: ProviderNumber) -> impl Iterator<Item = &Admissible> {
        let places = self.by_provider.get(&provider).into_iter().flatten();
        places.filter_map(|place| self.bound.get(*place)).map(|(_, admissible)| admissible)
    }

    /// Whether an account is admitted to all of these, or may have itself admitted.
    pub(super) fn has_all(&self, account: Option<&AccountState>, providers: &[ProviderNumber]) -> bool {
        account.filter(|account| account.is_active).is_some_and(|account| {
            self.accounts.is_superuser(account)
                || providers.iter().all(|provider| self.admits(*provider, account))
        })
    }
}

fn note_places<'k, K: Copy + Eq + Hash + 'k>(
    places: &mut HashMap<K, Vec<usize>>,
    keys: impl IntoIterator<Item = &'k K>,
    place: usize,
) {
    keys.into_iter().for_each(|key| places.entry(*key).or_default().push(place));
}

/// Who is admitted by a change where it was not before.
pub(super) struct NewAdmissions<'a> {
    pub(super) before: Admissions<'a>,
    pub(super) after: Admissions<'a>,
    /// Where the bindings come to what they came to before.
    unchanged: HashSet<ProviderNumber>,
}

impl<'a> NewAdmissions<'a> {
    /// By what became of one directory in another.
    pub(super) fn of(before: &'a Accounts, after: &'a Accounts) -> Self {
        let (was, is) = (Admissions::of(before), Admissions::of(after));
        let is_unchanged = |provider: &ProviderNumber| {
            before.provider(*provider).is_some() && was.before(*provider).eq(is.before(*provider))
        };
        let unchanged = is.by_provider.keys().copied().filter(is_unchanged).collect();
        Self { before: was, after: is, unchanged }
    }

    /// Where an account is admitted by it; `known`: the account before.
    pub(super) fn of_account(
        &self,
        known: Option<&AccountState>,
        account: &AccountState,
    ) -> Vec<ProviderNumber> {
        let number = account.number;
        let groups = self.after.accounts.groups_of(account);
        let known_groups = known.map(|known| self.before.accounts.groups_of(known));
        // Who is in the same groups as before gains where the bindings are others alone.
        let is_same = known_groups.as_ref() == Some(&groups);
        let mut admitted =
            self.after.of_one(number, &groups, |provider| !is_same || !self.unchanged.contains(&provider));
        if let Some(known_groups) = known_groups {
            admitted.retain(|provider| !self.before.admits_one(*provider, number, &known_groups));
        }
        admitted
    }
}
