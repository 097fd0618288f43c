//! What a connection may see of a tree, decided anew for every operation.

use std::net::IpAddr;

use super::admission::{NotAdmitted, admit, is_admitted};
use super::identity::{Identity, Invalid};
use super::limits::{SearchLimits, search_limits};
use super::rights::decide;
use crate::directory::{AccountState, Accounts, EntryId, OwnEntries, Snapshot, Visibility};
use crate::model::{AccountNumber, ObjectReference, Permission, ProviderNumber, Revision, Timestamp};

/// Why a connection may see nothing of a tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Nobody is bound.
    #[error("nobody is bound to this connection")]
    Anonymous,
    /// Who was bound is so no longer.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The application of the bind's provider does not admit the account any more.
    #[error(transparent)]
    NotAdmitted(#[from] NotAdmitted),
    /// Another provider, whose application does not admit the account: it does not exist for it.
    #[error("the provider does not exist for this account")]
    OtherProvider,
}

impl Denied {
    /// Whether somebody should look at it. Connections of an account whose password was changed do not know of it yet:
    /// each of them asks for something once.
    pub const fn is_suspicious(&self) -> bool {
        !matches!(self, Self::Invalid(Invalid::PasswordChanged))
    }
}

/// What the groups of an account give it, from one operation of a connection to the next: to go through them costs what
/// they are, and they are the same until the directory is another. Whether the identity holds and is admitted is not kept.
#[derive(Debug, Default)]
pub struct Entitlements {
    kept: Option<Kept>,
    work: u64,
}

#[derive(Debug)]
struct Kept {
    of: (Revision, AccountNumber, ProviderNumber),
    visibility: Visibility,
    limits: SearchLimits,
}

impl Entitlements {
    /// What was done since the last time that this was asked, in the unit in which an evaluator counts.
    pub fn take_work(&mut self) -> u64 {
        std::mem::take(&mut self.work)
    }

    /// Keeps nothing large.
    pub fn release(&mut self) {
        let is_large = |seen: &Visibility| match seen {
            Visibility::Own(own) => own.as_slice().len() > KEPT_ENTRIES_MAX,
            Visibility::Full => false,
        };
        self.kept.take_if(|kept| is_large(&kept.visibility));
    }

    /// What the roles of the account say of its searches.
    pub fn search_limits(
        &mut self,
        snapshot: &Snapshot,
        account: &AccountState,
        provider: ProviderNumber,
    ) -> SearchLimits {
        self.of(snapshot, account, provider).limits
    }

    fn of(&mut self, snapshot: &Snapshot, account: &AccountState, provider: ProviderNumber) -> &Kept {
        let of = (snapshot.revision(), account.number, provider);
        let kept = self.kept.take().filter(|kept| kept.of == of);
        self.kept.insert(kept.unwrap_or_else(|| {
            let accounts = snapshot.accounts();
            let visibility = match visibility_of(accounts, account, provider) {
                Visibility::Own(own) => Visibility::Own(own.kept_for(snapshot.revision())),
                Visibility::Full => Visibility::Full,
            };
            // The right, the groups, the limits; and the names of what it sees, which most operations ask for.
            self.work += 3 * accounts.group_steps(account) + visibility.cost_of_names();
            Kept { of, visibility, limits: search_limits(accounts, account) }
        }))
    }
}

/// Decides what `identity` may see of the tree of `provider`.
pub fn authorise(
    snapshot: &Snapshot,
    identity: Option<&Identity>,
    provider: ProviderNumber,
    source: Option<IpAddr>,
    now: Timestamp,
    entitlements: &mut Entitlements,
) -> Result<Visibility, Denied> {
    let account = admitted(snapshot, identity, provider, source, now)?;
    Ok(entitlements.of(snapshot, account, provider).visibility.clone())
}

/// The account of `identity`, if that holds and may use `provider`.
///
/// # Errors
/// Why it may not.
pub fn admitted<'a>(
    snapshot: &'a Snapshot,
    identity: Option<&Identity>,
    provider: ProviderNumber,
    source: Option<IpAddr>,
    now: Timestamp,
) -> Result<&'a AccountState, Denied> {
    let identity = identity.ok_or(Denied::Anonymous)?;
    let accounts = snapshot.accounts();
    let account = identity.verify(accounts, source, now)?;
    // An identity whose own application admits it no longer is none, whatever it asks for.
    admit(accounts, account, identity.provider, source, now)?;
    if provider != identity.provider && !is_admitted(accounts, account, provider, source, now) {
        return Err(Denied::OtherProvider);
    }
    Ok(account)
}

/// Whether `identity` may see all of the tree of its own provider. For who may not it costs no more than the question
/// about the permission.
pub fn sees_all(snapshot: &Snapshot, identity: &Identity, source: Option<IpAddr>, now: Timestamp) -> bool {
    let accounts = snapshot.accounts();
    let provider = identity.provider;
    accounts.account(identity.holder.account).is_some_and(|account| holds_full(accounts, account, provider))
        && admitted(snapshot, Some(identity), provider, source, now).is_ok()
}

/// What an account may see of the tree of a provider that admits it.
pub fn visibility_of(accounts: &Accounts, account: &AccountState, provider: ProviderNumber) -> Visibility {
    if holds_full(accounts, account, provider) {
        return Visibility::Full;
    }
    let groups = accounts.groups_of(account).into_iter().map(EntryId::of_group);
    let own = [EntryId::of_account(account.number), EntryId::of_virtual_group(account.number)];
    Visibility::Own(OwnEntries::new(groups.chain(own).collect()))
}

fn holds_full(accounts: &Accounts, account: &AccountState, provider: ProviderNumber) -> bool {
    let on = Some(ObjectReference::Provider(provider));
    decide(accounts, account, Permission::SearchFullDirectory, on).is_allowed()
}

/// Entries that are kept for a connection that is silent: what most accounts see.
/// No limit of the config: what is forgotten is found again.
const KEPT_ENTRIES_MAX: usize = 32;
