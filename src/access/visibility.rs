//! What a connection may see of a tree, decided anew for every operation.

use std::net::IpAddr;

use super::admission::{NotAdmitted, admit, is_admitted};
use super::identity::{Identity, Invalid};
use super::rights::decide;
use crate::directory::{AccountState, Accounts, EntryId, OwnEntries, Snapshot, Visibility};
use crate::model::{ObjectReference, Permission, ProviderNumber, Timestamp};

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

/// Decides what `identity` may see of the tree of `provider`.
pub fn authorise(
    snapshot: &Snapshot,
    identity: Option<&Identity>,
    provider: ProviderNumber,
    source: Option<IpAddr>,
    now: Timestamp,
) -> Result<Visibility, Denied> {
    let identity = identity.ok_or(Denied::Anonymous)?;
    let accounts = snapshot.accounts();
    let account = identity.verify(accounts, source, now)?;
    // An identity whose own application admits it no longer is none, whatever it asks for.
    admit(accounts, account, identity.provider, source, now)?;
    if provider != identity.provider && !is_admitted(accounts, account, provider, source, now) {
        return Err(Denied::OtherProvider);
    }
    Ok(visibility_of(accounts, account, provider))
}

/// Whether `identity` may see all of the tree of its own provider. For who may not it costs no more than the question
/// about the permission.
pub fn sees_all(snapshot: &Snapshot, identity: &Identity, source: Option<IpAddr>, now: Timestamp) -> bool {
    let accounts = snapshot.accounts();
    let provider = identity.provider;
    accounts.account(identity.holder.account).is_some_and(|account| holds_full(accounts, account, provider))
        && authorise(snapshot, Some(identity), provider, source, now).is_ok()
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
