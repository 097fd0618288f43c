//! Accounts that a change shuts out of an application: whoever binds it is told of them.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use crate::access::may_admit;
use crate::directory::{AccountState, Accounts, Snapshot};
use crate::model::{AccountKind, AccountNumber, Application, ObjectReference, Timestamp, UsageOf};

/// An active account that an application, or the provider that it gets, would have admitted before a change, and does not
/// admit after it, wherever it comes from and whenever.
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

/// Those of the applications whose bindings, mode or provider have changed, as far as the objects may be named.
///
/// Bindings to networks and times are taken to pass: what depends on where an account comes from, or when, is not lost for
/// good. Who leaves a group that an application is bound to loses access by that, not by the application.
pub(in crate::registry) fn access(
    before: &Snapshot,
    after: &Snapshot,
    names: impl Fn(ObjectReference) -> bool,
) -> LostAccesses {
    let (before, after) = (before.accounts(), after.accounts());
    let mut lost = Vec::new();
    for application in after.applications() {
        let old = before.application(application.number);
        if application.bindings.is_empty()
            || old.is_some_and(|old| admits_the_same(old, application))
            || !names(ObjectReference::Application(application.number))
        {
            continue;
        }
        for account in after.accounts() {
            let known = before.account(account.number);
            let Some(known) = known.filter(|known| known.is_active && account.is_active) else { continue };
            if account.kind != AccountKind::InternalServiceAccount
                && was_admitted(before, known, old.map(|old| &**old), application)
                && !may_admit(after, account, application)
                && names(ObjectReference::Account(account.number))
            {
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

fn admits_the_same(one: &Application, other: &Application) -> bool {
    (one.provider, one.mode, &one.bindings) == (other.provider, other.mode, &other.bindings)
}

/// Whether an account could get in before: to the application, or to the provider that the application is put before.
fn was_admitted(
    before: &Accounts,
    account: &AccountState,
    old: Option<&Application>,
    application: &Application,
) -> bool {
    match (old, application.provider) {
        (Some(old), provider) if old.provider == provider => may_admit(before, account, old),
        (_, Some(provider)) if before.provider(provider).is_some() => {
            before.application_of(provider).is_none_or(|old| may_admit(before, account, old))
        }
        _ => false,
    }
}

fn last_used(accounts: &Accounts, account: &AccountState) -> Option<Timestamp> {
    let tokens = account.tokens.iter().map(|token| UsageOf::Token(*token));
    let all = tokens.chain([UsageOf::Account(account.number)]);
    all.filter_map(|of| accounts.usage(of)).map(|usage| usage.time).max()
}

/// So many are told of at a time.
/// No limit of the config: all are counted, and nobody reads more.
const TOLD_MAX: usize = 100;
