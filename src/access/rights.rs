//! Rights: what an account may do, and through which grant.

use crate::directory::{AccountState, Accounts};
use crate::model::{Grant, GroupNumber, ObjectReference, Permission, RoleNumber};

/// Whether something is allowed, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes, through this.
    Allowed(Reason),
    /// No: nothing grants it.
    Denied,
}

/// What allows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A group that makes its members superusers.
    Superuser(GroupNumber),
    /// A grant.
    Grant {
        /// Whether it is for all objects, not for the one.
        is_global: bool,
        /// Where it stands.
        via: Via,
    },
}

/// Where a grant stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// On the account.
    Account,
    /// On a role that the account holds.
    Role(RoleNumber),
    /// On a group that the account is in, directly or through nesting.
    Group(GroupNumber),
    /// On a role of such a group.
    GroupRole(GroupNumber, RoleNumber),
}

impl Decision {
    /// Whether it is allowed.
    pub fn is_allowed(self) -> bool {
        matches!(self, Self::Allowed(_))
    }
}

/// Decides whether the account has the permission, globally or on the object.
pub fn decide(
    accounts: &Accounts,
    account: &AccountState,
    permission: Permission,
    on: Option<ObjectReference>,
) -> Decision {
    let granted = |grants: &[Grant], via: Via| {
        let grant = grants
            .iter()
            .filter(|grant| grant.permission == permission)
            .find(|grant| grant.on.is_none() || grant.on == on)?;
        Some(Decision::Allowed(Reason::Grant { is_global: grant.on.is_none(), via }))
    };
    let by_role = |number: RoleNumber, via: Via| {
        let role = accounts.role(number)?;
        granted(&role.grants, via)
    };
    if let Some(decision) = granted(&account.grants, Via::Account) {
        return decision;
    }
    if let Some(decision) = account.roles.iter().find_map(|role| by_role(*role, Via::Role(*role))) {
        return decision;
    }
    for group in accounts.groups_above(account) {
        if group.is_superuser {
            return Decision::Allowed(Reason::Superuser(group.number));
        }
        if let Some(decision) = granted(&group.grants, Via::Group(group.number)) {
            return decision;
        }
        let through_role = |role: &RoleNumber| by_role(*role, Via::GroupRole(group.number, *role));
        if let Some(decision) = group.roles.iter().find_map(through_role) {
            return decision;
        }
    }
    Decision::Denied
}
