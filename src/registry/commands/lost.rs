//! Accounts that a change shuts out of an application: whoever binds it is told of them.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use crate::access::{Admissible, AskedFor};
use crate::directory::{AccountState, Accounts, Snapshot};
use crate::model::{
    AccountKind, AccountNumber, Application, ApplicationNumber, ObjectReference, Timestamp, UsageOf,
};
use crate::schema::steps;

/// An active account that could get into the provider of an application before a change, and that the application does not admit
/// after it, wherever the account comes from and whenever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostAccess {
    /// The slug of the application.
    pub application: String,
    /// The account's name.
    pub account: String,
    pub number: AccountNumber,
    /// When it last proved who it is, with whatever; `None`: never, as far as is known.
    pub last_used: Option<Timestamp>,
}

/// Those of whom somebody is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostAccesses {
    /// The last used first, 100 at most.
    pub accounts: Vec<LostAccess>,
    /// How many more there are.
    pub more: usize,
}

/// Those that these applications shut out of their providers by other bindings, another mode or another provider, as far as the
/// objects may be named. An application without a provider lets nobody in, and shuts nobody out.
///
/// Bindings to networks and times are taken to pass: what depends on where an account comes from, or when, is not lost for
/// good. Who leaves a group that an application is bound to loses access by that, not by the application.
///
/// The one writer waits for it. So what the bindings come to is found once for each application, and where it is as it was no
/// account is looked at; else each is looked at that may be named, and each group that it is in.
pub(in crate::registry) fn access(
    before: &Snapshot,
    after: &Snapshot,
    applications: impl IntoIterator<Item = ApplicationNumber>,
    names: impl Fn(ObjectReference) -> bool,
) -> LostAccesses {
    let (before, after) = (before.accounts(), after.accounts());
    let mut lost = Vec::new();
    for application in applications.into_iter().filter_map(|number| after.application(number)) {
        let Some(was) = admissible_before(before, application) else { continue };
        let is = Admissible::of(after, application, AskedFor::Losses);
        let shuts_out = was != is && is != Admissible::everybody();
        if !shuts_out || !names(ObjectReference::Application(application.number)) {
            continue;
        }
        for account in after.accounts() {
            steps::note(1);
            if !account.is_active
                || account.kind == AccountKind::InternalServiceAccount
                || !names(ObjectReference::Account(account.number))
            {
                continue;
            }
            let known = before.account(account.number).filter(|known| known.is_active);
            let Some(known) = known.filter(|known| was.admits(before, known)) else { continue };
            if !is.admits(after, account) {
                lost.push((Reverse(last_used(before, known)), account.number, application.number));
            }
        }
    }
    lost.sort_unstable();
    let told = lost.iter().take(TOLD_MAX).filter_map(|(last_used, account, application)| {
        Some(LostAccess {
            application: after.application(*application)?.slug.clone(),
            account: after.account(*account)?.username.to_string(),
            number: *account,
            last_used: last_used.0,
        })
    });
    LostAccesses { accounts: told.collect(), more: lost.len().saturating_sub(TOLD_MAX) }
}

/// Who could get into the provider of an application before; `None`: nobody, as there is none, or was none.
fn admissible_before(before: &Accounts, application: &Application) -> Option<Admissible> {
    let provider = application.provider?;
    before.provider(provider)?;
    let was = before.application_of(provider);
    Some(was.map_or_else(Admissible::everybody, |was| Admissible::of(before, was, AskedFor::Losses)))
}

fn last_used(accounts: &Accounts, account: &AccountState) -> Option<Timestamp> {
    let tokens = account.tokens.iter().map(|token| UsageOf::Token(*token));
    let all = tokens.chain([UsageOf::Account(account.number)]);
    all.filter_map(|of| accounts.usage(of)).map(|usage| usage.time).max()
}

/// So many are told of at a time.
/// No limit of the config: all are counted, and nobody reads more.
const TOLD_MAX: usize = 100;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::access::{Credential, Holder};
    use crate::model::{
        Account, Actor, Binding, BindingMode, BindingSubject, Change, Grant, GroupNumber, InternalAccount,
        Membership, Password, Permission, ProviderNumber, Record,
    };
    use crate::plain;
    use crate::registry::commands::testing::{registry_over, wait};
    use crate::registry::{Caller, Registry};
    use crate::store::{Batch, Counters, MemoryStore, Store as _};

    const ACCOUNTS: u32 = 300;
    const MEMBERS: u32 = 10;
    const TEAM: GroupNumber = GroupNumber::new(5_000);
    const APPLICATION: ApplicationNumber = ApplicationNumber::new(1);

    /// Many accounts, ten of them in a group, and an application before a provider that is bound to that group and to so many
    /// networks, all of which have to pass; and `helper`, who may do all with applications and views nobody.
    fn directory(bindings: usize) -> (Arc<Registry>, Caller) {
        let holds = |permission| Grant { permission, on: None };
        let helper = Account {
            grants: vec![holds(Permission::ViewApplication), holds(Permission::ChangeApplication)],
            password: Some(Password { generation: 1, ..plain::password("none") }),
            ..plain::account(4_000, "helper")
        };
        let bound = |subject, place| Binding {
            uuid: uuid::Uuid::from_u128(place as u128),
            order: i32::try_from(place).unwrap(),
            ..plain::binding(subject)
        };
        let networks = BindingSubject::Networks(vec!["10.0.0.0/8".parse().unwrap()]);
        let mut all: Vec<Binding> = (1..bindings).map(|place| bound(networks.clone(), place)).collect();
        all.push(bound(BindingSubject::Group(TEAM), 0));
        let application = Application {
            provider: Some(ProviderNumber::new(1)),
            mode: BindingMode::All,
            bindings: all,
            ..plain::application(1, "cloud")
        };
        let accounts =
            (1..=ACCOUNTS).map(|number| Record::Account(plain::account(number, &format!("a{number}"))));
        let members = (1..=MEMBERS).map(|number| {
            Record::Membership(Membership { group: TEAM, account: AccountNumber::new(number) })
        });
        let records = [
            Record::Provider(plain::provider(1, "dc=example,dc=org")),
            Record::Account(helper),
            Record::Group(plain::group(TEAM.get(), "team")),
            Record::Application(application),
        ];
        let store = Arc::new(MemoryStore::new());
        let changes = records.into_iter().chain(accounts).chain(members).map(Change::Put).collect();
        let counters = Counters { next_number: 10_000, next_object: 1_000, ..Counters::default() };
        store.commit(&Batch { changes, counters, seeded: true, ..Batch::default() }).unwrap();
        let credential = Credential::Password { generation: 1 };
        let holder = Holder { account: AccountNumber::new(4_000), credential };
        (registry_over(store), Caller::account(holder, Actor::named("helper")))
    }

    /// The steps in which it is found out whom a change of the application shuts out, and how many those are.
    fn told(
        registry: &Registry,
        caller: &Caller,
        change: impl Fn(&mut Application) + Send + 'static,
    ) -> (u64, usize) {
        let command = move |transaction: &mut crate::registry::Transaction<'_>| {
            let accounts = transaction.snapshot().accounts();
            let mut application = Application::clone(accounts.application(APPLICATION).unwrap());
            change(&mut application);
            transaction.put(Record::Application(application))?;
            let viewer = transaction.viewer();
            let before = steps::taken();
            let lost = transaction.lost_access(|on| viewer.names(on));
            Ok((steps::taken() - before, lost.accounts.len() + lost.more))
        };
        wait(registry.change(caller.clone(), command)).unwrap()
    }

    fn negate(application: &mut Application) {
        let team = |binding: &&mut Binding| binding.subject == BindingSubject::Group(TEAM);
        let binding = application.bindings.iter_mut().find(team).unwrap();
        binding.negate = !binding.negate;
    }

    /// Whoever may bind one application occupies the one writer no longer than it takes to look at whom it could be told of.
    #[test]
    fn what_many_bindings_cost_is_not_asked_for_each_account() {
        let operator = Caller::from(Actor::internal(InternalAccount::CommandLine));
        let (few, many) = (directory(20), directory(200));
        // All others, and `helper`.
        let others = usize::try_from(ACCOUNTS - MEMBERS + 1).unwrap();
        for ((registry, helper), bindings) in [(&few, 20), (&many, 200)] {
            // What decides nothing shuts nobody out, and nobody is looked at.
            let order = |application: &mut Application| {
                application.bindings.iter_mut().for_each(|binding| binding.order += 1);
                application.bindings.reverse();
            };
            let (steps, lost) = told(registry, &operator, order);
            assert!(steps <= 2 * bindings && lost == 0, "{steps} for the order of {bindings}");
            // Whom the caller may not view is not asked about.
            let (steps, lost) = told(registry, helper, negate);
            assert!(steps <= 2 * bindings + u64::from(ACCOUNTS) + 10, "{steps} for one who views nobody");
            assert_eq!(lost, 0);
        }
        let (of_few, lost) = told(&few.0, &operator, negate);
        assert_eq!(lost, others, "the binding is as it was at first");
        let (of_many, lost) = told(&many.0, &operator, negate);
        assert_eq!(lost, others);
        assert!(of_many <= of_few + 2 * 180, "{of_many} with 200 bindings, {of_few} with 20");
        assert_eq!(told(&many.0, &operator, negate).1, usize::try_from(MEMBERS).unwrap());
        // Nobody is let in by an application that is before no provider.
        told(&many.0, &operator, |application| application.provider = None);
        assert_eq!(told(&many.0, &operator, negate), (0, 0));
        let provider = Some(ProviderNumber::new(1));
        let (steps, lost) = told(&many.0, &operator, move |application| application.provider = provider);
        assert!(steps <= of_many && lost == others, "{steps} {lost}");
    }
}
