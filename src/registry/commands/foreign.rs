//! Credentials that somebody else has made: whoever gives rights to an account gives them to whoever knows its secrets.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::access::{Rights, holds};
use crate::directory::{AccountState, Accounts, GroupState, Snapshot};
use crate::model::{AccountNumber, Key, MadeBy, ObjectReference, TokenNumber};

/// A credential whose account gets rights, and that was made by somebody who does not hold them.
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
            "`{account}` would get rights that {} does not hold, who has made its credential `{identifier}`: revoke it, \
             or say --accept-credentials {identifier}",
            self.made_by.join(", ")
        )
    }

    /// Whatever one has to be allowed to view to know of it.
    pub fn objects(&self) -> impl Iterator<Item = ObjectReference> {
        let token = self.token.map(ObjectReference::Token);
        [ObjectReference::Account(self.number)].into_iter().chain(token)
    }
}

/// Those whose accounts have more rights after a change of these records than before it.
pub(in crate::registry) fn credentials<'a>(
    before: &Snapshot,
    after: &Snapshot,
    changed: impl Iterator<Item = &'a Key>,
) -> Vec<ForeignCredential> {
    let (before, accounts) = (before.accounts(), after.accounts());
    let mut found = Vec::new();
    let mut look_at = |owner: &AccountState| {
        let tokens = owner.tokens.iter().filter_map(|number| accounts.token(*number));
        for token in tokens {
            if let Some(makers) = strangers(before, accounts, owner, &token.made_by) {
                found.push(foreign(accounts, owner, &token.identifier, Some(token.number), makers));
            }
        }
        if let Some(password) = &owner.password
            && let Some(makers) = strangers(before, accounts, owner, &password.made_by)
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

/// Who may have more rights after a change than before it.
enum Gainers {
    Anybody,
    These(BTreeSet<AccountNumber>),
}

/// Who gains by a change: nothing but an account, a membership, a group and a role gives rights. Mostly one account or none
/// is concerned, and the others, who may be a million, are not looked at.
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
            Key::Token(_)
            | Key::Application(_)
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

/// Who has made a credential and does not hold what its account has got by a change; `None`: nobody.
fn strangers(
    before: &Accounts,
    after: &Accounts,
    owner: &AccountState,
    made_by: &MadeBy,
) -> Option<Vec<AccountNumber>> {
    // Nearly all are made by their own account, the config or the operator.
    made_by.accounts().find(|maker| *maker != owner.number)?;
    let known = before.account(owner.number).map(|known| Rights::of_account(before, known));
    let gained = Rights::of_account(after, owner).beyond(&known.unwrap_or_default());
    if gained.is_empty() {
        return None;
    }
    let is_stranger = |maker: &AccountNumber| {
        *maker != owner.number && !holds(after, after.account(*maker).map(|maker| &**maker), &gained)
    };
    let strangers: Vec<AccountNumber> = made_by.accounts().filter(is_stranger).collect();
    (!strangers.is_empty()).then_some(strangers)
}
