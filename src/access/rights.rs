//! Rights: what an account may do, and through which grant.

use std::collections::HashSet;

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
    /// It is the account's own: everybody views the tokens that are theirs.
    Own,
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
    Account,
    /// On a role that the account holds.
    Role(RoleNumber),
    /// On a group that the account is in, directly or through nesting.
    Group(GroupNumber),
    /// On a role of such a group.
    GroupRole(GroupNumber, RoleNumber),
}

impl Decision {
    pub fn is_allowed(self) -> bool {
        matches!(self, Self::Allowed(_))
    }
}

/// Rights as a whole: what an account, a group or a role gives to whoever has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rights {
    /// Whether everything is allowed.
    pub is_superuser: bool,
    /// What is allowed; one may come twice.
    pub grants: Vec<Grant>,
}

impl Rights {
    /// Those of an account: its own, those of its roles, and those of its groups.
    pub fn of_account(accounts: &Accounts, account: &AccountState) -> Self {
        let mut rights = Self { is_superuser: false, grants: account.grants.to_vec() };
        rights.add_roles(accounts, &account.roles);
        for group in account.groups.iter() {
            rights.add_group(accounts, *group);
        }
        rights
    }

    /// Those that the members of a group have through it, and through the groups that it is in.
    pub fn of_group(accounts: &Accounts, group: GroupNumber) -> Self {
        let mut rights = Self::default();
        rights.add_group(accounts, group);
        rights
    }

    /// Those of roles.
    pub fn of_roles(accounts: &Accounts, roles: &[RoleNumber]) -> Self {
        let mut rights = Self::default();
        rights.add_roles(accounts, roles);
        rights
    }

    /// What of this is not in the other.
    pub fn beyond(&self, other: &Self) -> Self {
        if other.is_superuser {
            return Self::default();
        }
        let known: HashSet<&Grant> = other.grants.iter().collect();
        // What is held globally is held on each object.
        let is_new =
            |grant: &&Grant| !known.contains(*grant) && !known.contains(&Grant { on: None, ..**grant });
        Self { is_superuser: self.is_superuser, grants: self.grants.iter().filter(is_new).copied().collect() }
    }

    /// Whether nothing is allowed.
    pub fn is_empty(&self) -> bool {
        !self.is_superuser && self.grants.is_empty()
    }

    fn add_group(&mut self, accounts: &Accounts, group: GroupNumber) {
        let closure = accounts.group(group).map(|group| group.closure.iter()).into_iter().flatten();
        for group in closure.filter_map(|number| accounts.group(*number)) {
            self.is_superuser |= group.is_superuser;
            self.grants.extend_from_slice(&group.grants);
            self.add_roles(accounts, &group.roles);
        }
    }

    fn add_roles(&mut self, accounts: &Accounts, roles: &[RoleNumber]) {
        let roles = roles.iter().filter_map(|role| accounts.role(*role));
        self.grants.extend(roles.flat_map(|role| role.grants.iter().copied()));
    }
}

/// Whether the account may do all of this. One that is gone, or inactive, may do nothing.
pub fn holds(accounts: &Accounts, account: Option<&AccountState>, rights: &Rights) -> bool {
    missing(accounts, account, rights).is_none()
}

/// What of this the account may not do, the first of it.
pub fn missing(accounts: &Accounts, account: Option<&AccountState>, rights: &Rights) -> Option<Missing> {
    let account = account.filter(|account| account.is_active);
    if account.is_some_and(|account| accounts.is_superuser(account)) {
        return None;
    }
    if rights.is_superuser {
        return Some(Missing::Superuser);
    }
    let is_held = |grant: &&Grant| {
        account.is_some_and(|account| decide(accounts, account, grant.permission, grant.on).is_allowed())
    };
    // Each decision looks at all that the account holds: of many, those that it plainly holds are sorted out together.
    let left = account
        .filter(|_| rights.grants.len() > DECIDED_ONE_BY_ONE_MAX)
        .map(|account| rights.beyond(&Rights::of_account(accounts, account)));
    left.as_ref()
        .unwrap_or(rights)
        .grants
        .iter()
        .find(|grant| !is_held(grant))
        .map(|grant| Missing::Permission(grant.permission))
}

/// A right that somebody lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// To be a superuser.
    Superuser,
    /// A permission, globally or on an object.
    Permission(Permission),
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
    if let (Permission::ViewToken, Some(ObjectReference::Token(token))) = (permission, on)
        && accounts.token(token).is_some_and(|token| token.account == account.number)
    {
        return Decision::Allowed(Reason::Own);
    }
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

/// So many rights are decided one by one.
/// No limit of the config: beyond it is another way to the same outcome.
const DECIDED_ONE_BY_ONE_MAX: usize = 16;
