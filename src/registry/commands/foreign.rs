//! Credentials that somebody else has made: whoever gives rights to an account, or has it admitted somewhere, gives that to
//! whoever knows its secrets.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::seed::options::{PASSWORD, TOKEN, typed};
use super::worth::Admissions;
use crate::access::{Rights, holds};
use crate::directory::{AccountState, Accounts, GroupState, Snapshot};
use crate::model::{AccountNumber, Key, MadeBy, ObjectReference, TokenNumber};

/// A credential whose account gets rights, or is admitted somewhere, and that was made by somebody who has not what it gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignCredential {
    /// The account's name.
    pub account: String,
    pub number: AccountNumber,
    /// The identifier of the token; of a password the account's name.
    pub identifier: String,
    /// The token; `None`: the password.
    pub token: Option<TokenNumber>,
    /// The accounts that made it, by name, or by number where they are gone.
    pub made_by: Vec<String>,
    /// The same by number.
    pub makers: Vec<AccountNumber>,
}

impl ForeignCredential {
    /// Why the rights are not given, and what to do.
    pub(super) fn sentence(&self) -> String {
        let Self { account, identifier, .. } = self;
        format!(
            "`{account}` would get rights that {makers} does not hold, or be admitted where {makers} is not, who has made or \
             exchanged its credential `{identifier}`: revoke it, or say {}",
            self.acceptance(),
            makers = self.made_by.join(", ")
        )
    }

    /// What says that it is meant, as it is typed.
    pub fn acceptance(&self) -> String {
        let kind = if self.token.is_some() { TOKEN } else { PASSWORD };
        typed("--accept-credentials", format_args!("{kind}:{}", self.identifier))
    }

    /// Whatever one has to be allowed to view to know of it.
    pub fn objects(&self) -> impl Iterator<Item = ObjectReference> {
        let token = self.token.map(ObjectReference::Token);
        [ObjectReference::Account(self.number)].into_iter().chain(token)
    }
}

/// Those whose accounts have more rights, or are admitted to more, after a change of these records than before it.
pub(in crate::registry) fn credentials<'a>(
    before: &Snapshot,
    after: &Snapshot,
    changed: impl Iterator<Item = &'a Key>,
) -> Vec<ForeignCredential> {
    let (before, accounts) = (before.accounts(), after.accounts());
    let change = Gains { before, after: accounts, admissions: OnceCell::new() };
    let mut found = Vec::new();
    let mut look_at = |owner: &AccountState| {
        let tokens = owner.tokens.iter().filter_map(|number| accounts.token(*number));
        for token in tokens {
            if let Some(makers) = change.strangers(owner, &token.made_by) {
                found.push(foreign(accounts, owner, &token.identifier, Some(token.number), makers));
            }
        }
        if let Some(password) = &owner.password
            && let Some(makers) = change.strangers(owner, &password.made_by)
        {
            found.push(foreign(accounts, owner, &owner.username, None, makers));
        }
    };
    match who_may_gain(before, accounts, changed) {
        Gainers::Anybody => accounts.accounts().for_each(|owner| look_at(owner)),
        Gainers::These(numbers) => {
            numbers.iter().filter_map(|number| accounts.account(*number)).for_each(|owner| look_at(owner));
        }
    }
    found
}

/// Who may have more after a change than before it.
enum Gainers {
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

fn foreign(
    accounts: &Accounts,
    owner: &AccountState,
    identifier: &str,
    token: Option<TokenNumber>,
    makers: Vec<AccountNumber>,
) -> ForeignCredential {
    let name = |number: &AccountNumber| {
        accounts
            .account(*number)
            .map_or_else(|| format!("account {number}"), |maker| maker.username.to_string())
    };
    ForeignCredential {
        account: owner.username.to_string(),
        number: owner.number,
        identifier: identifier.to_owned(),
        token,
        made_by: makers.iter().map(name).collect(),
        makers,
    }
}

/// A change, for who gains by it.
struct Gains<'a> {
    before: &'a Accounts,
    after: &'a Accounts,
    /// Who is admitted where before and after it: looked up where somebody else has made a credential.
    admissions: OnceCell<[Admissions<'a>; 2]>,
}

impl Gains<'_> {
    /// Who has made a credential and has not what its account has got by the change; `None`: nobody.
    fn strangers(&self, owner: &AccountState, made_by: &MadeBy) -> Option<Vec<AccountNumber>> {
        // Nearly all are made by their own account, the config or the operator.
        made_by.accounts().find(|maker| *maker != owner.number)?;
        let Self { before, after, .. } = *self;
        let known = before.account(owner.number);
        let held = known.map(|known| Rights::of_account(before, known)).unwrap_or_default();
        let gained = Rights::of_account(after, owner).beyond(&held);
        let [were, are] = self.admissions.get_or_init(|| [before, after].map(Admissions::of));
        let mut admitted = are.of_account(owner);
        admitted.retain(|provider| !known.is_some_and(|known| were.admits(*provider, known)));
        if gained.is_empty() && admitted.is_empty() {
            return None;
        }
        let is_stranger = |maker: &AccountNumber| {
            let account = after.account(*maker).map(|maker| &**maker);
            *maker != owner.number && !(holds(after, account, &gained) && are.has_all(account, &admitted))
        };
        let strangers: Vec<AccountNumber> = made_by.accounts().filter(is_stranger).collect();
        (!strangers.is_empty()).then_some(strangers)
    }
}
