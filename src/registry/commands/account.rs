//! Accounts one at a time: made, changed, deleted.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::group::GroupChanges;
use super::token::{self, CreatedToken, FIRST_GENERATION, NewTokenSecret};
use super::{set, validate};
use crate::access::Rights;
use crate::auth::SecretShape;
use crate::config::{Expiry, first_identifier};
use crate::model::{
    Account, AccountKind, AccountNumber, Attribute, GroupNumber, HashText, Intent, ObjectReference, Password,
    Permission, Record, RoleNumber, TombstoneOf,
};
use crate::registry::transaction::name_form;
use crate::registry::{Caller, ChangeError, Registry, Transaction};
use crate::secret::Secret;

/// What is said of an account when it is made or changed; what is `None` is left as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountChanges {
    /// Its name.
    pub username: Option<String>,
    /// What it is for.
    pub kind: Option<AccountKind>,
    /// The full name.
    pub name: Option<String>,
    /// The mail address; empty: none.
    pub email: Option<String>,
    /// Whether it may bind and call the API.
    pub is_active: Option<bool>,
    /// All its free attributes.
    pub attributes: Option<Vec<Attribute>>,
    /// All groups that it is in directly.
    pub groups: Option<Vec<GroupNumber>>,
    /// All roles that it holds directly.
    pub roles: Option<Vec<RoleNumber>>,
}

/// Makes an account. A tombstone of its name is lifted.
///
/// # Errors
/// The name is taken or none, the kind is bindery's own, it is given rights that the caller lacks, or
/// [`Permission::AddUser`] is missing.
pub fn create_account(
    transaction: &mut Transaction<'_>,
    username: String,
    kind: AccountKind,
    given: AccountChanges,
) -> Result<AccountNumber, ChangeError> {
    transaction.require(Permission::AddUser)?;
    if kind == AccountKind::InternalServiceAccount {
        return Err(ChangeError::field(
            "type",
            "internal service accounts are made and kept by bindery; choose service_account",
        ));
    }
    if transaction.snapshot().accounts().account_named(&username).is_some() {
        return Err(ChangeError::Exists { kind: "account", name: username });
    }
    transaction.lift_tombstone(TombstoneOf::Account(name_form(&username)))?;
    let number = AccountNumber::new(transaction.next_number()?);
    let account = Account::new(number, username, kind, transaction.origin(), transaction.now());
    let given = AccountChanges { username: None, kind: None, ..given };
    put_account(transaction, None, account, given)?;
    grant_to_creator(transaction, ObjectReference::Account(number))?;
    Ok(number)
}

/// Changes an account.
///
/// # Errors
/// There is no such account that the caller may view, it is bindery's own, the change is one that its kind does not
/// allow, [`Permission::ChangeUser`] on it is missing, or it is renamed, switched on or off and has rights that the
/// caller lacks: who takes the name of another, or gives a credential its worth back, would get those rights.
pub fn update_account(
    transaction: &mut Transaction<'_>,
    number: AccountNumber,
    changes: AccountChanges,
) -> Result<(), ChangeError> {
    let account = account_for(transaction, number, Permission::ChangeUser)?;
    if let Some(kind) = changes.kind {
        validate::kind_change(&account.username, account.kind, kind)
            .map_err(|problem| ChangeError::field("type", problem))?;
    }
    let is_renamed = changes.username.as_ref().is_some_and(|username| *username != account.username);
    let is_switched = changes.is_active.is_some_and(|is_active| is_active != account.is_active);
    if is_renamed || is_switched {
        require_rights_of(transaction, number)?;
    }
    put_account(transaction, Some(account.clone()), account, changes)
}

/// Deletes an account with its tokens and memberships, and leaves tombstones.
///
/// # Errors
/// There is no such account that the caller may view, it is bindery's own, [`Permission::DeleteUser`] on it is missing,
/// or it has rights that the caller lacks: a config would give them to whoever takes its name next.
pub fn delete_account(transaction: &mut Transaction<'_>, number: AccountNumber) -> Result<(), ChangeError> {
    account_for(transaction, number, Permission::DeleteUser)?;
    require_rights_of(transaction, number)?;
    transaction.delete_account(number)
}

fn require_rights_of(transaction: &Transaction<'_>, number: AccountNumber) -> Result<(), ChangeError> {
    let accounts = transaction.snapshot().accounts();
    match accounts.account(number) {
        Some(account) => transaction.caller().require_held(accounts, &Rights::of_account(accounts, account)),
        None => Ok(()),
    }
}

/// The account of this name.
///
/// # Errors
/// There is none.
pub fn account_named(transaction: &Transaction<'_>, username: &str) -> Result<AccountNumber, ChangeError> {
    let found = transaction.snapshot().accounts().account_named(username).map(|account| account.number);
    found.ok_or_else(|| ChangeError::NotFound { kind: "account", name: username.to_owned() })
}

/// The record of an account that the caller may do this to.
fn account_for(
    transaction: &Transaction<'_>,
    number: AccountNumber,
    permission: Permission,
) -> Result<Account, ChangeError> {
    let Some(account) = transaction.account(number)? else {
        return Err(ChangeError::NotFound { kind: "account", name: number.to_string() });
    };
    transaction.require_on(permission, ObjectReference::Account(number), &account.username)?;
    if account.kind == AccountKind::InternalServiceAccount {
        return Err(validate::internal(&account.username));
    }
    Ok(account)
}

/// Puts an account with what is said of it, and its memberships.
fn put_account(
    transaction: &mut Transaction<'_>,
    before: Option<Account>,
    mut account: Account,
    changes: AccountChanges,
) -> Result<(), ChangeError> {
    let AccountChanges { username, kind, name, email, is_active, attributes, groups, roles } = changes;
    set(&mut account.username, username);
    validate::username(&account.username).map_err(|problem| ChangeError::field("username", problem))?;
    let named = transaction.snapshot().accounts().account_named(&account.username);
    if named.is_some_and(|other| other.number != account.number) {
        return Err(ChangeError::Exists { kind: "account", name: account.username });
    }
    set(&mut account.kind, kind);
    if !account.kind.is_person() {
        account.password = None;
    }
    set(&mut account.name, name);
    set(&mut account.email, email);
    set(&mut account.is_active, is_active);
    set(&mut account.attributes, attributes);
    if let Some(roles) = roles {
        let roles = each_once(roles);
        check_roles(transaction, &account.roles, &roles)?;
        account.roles = roles;
    }
    let number = account.number;
    if before.as_ref() != Some(&account) {
        account.modified = transaction.now();
        let mut problems = Vec::new();
        validate::account(&account, transaction.snapshot(), &mut problems);
        validate::refuse(problems)?;
        transaction.put(Record::Account(account))?;
        let mut problems = Vec::new();
        validate::uid_numbers(transaction.snapshot(), number, &mut problems);
        if !problems.is_empty()
            && !transaction.caller().may(transaction.snapshot().accounts(), Permission::ViewUser, None)
        {
            // The sentences name accounts that the caller may not know.
            return Err(ChangeError::field(
                "attributes",
                "another account has this uidNumber; give it another one",
            ));
        }
        validate::refuse(problems)?;
    }
    match groups {
        None => Ok(()),
        Some(groups) => set_groups(transaction, number, &groups),
    }
}

/// Whether the caller may change the roles of somebody from these to those.
pub(super) fn check_roles(
    transaction: &Transaction<'_>,
    before: &[RoleNumber],
    after: &[RoleNumber],
) -> Result<(), ChangeError> {
    let accounts = transaction.snapshot().accounts();
    let is_new = |role: &&RoleNumber| !before.contains(role);
    let is_gone = |role: &&RoleNumber| !after.contains(role);
    for role in after.iter().filter(is_new).chain(before.iter().filter(is_gone)) {
        let name = accounts.role(*role).map_or_else(|| role.to_string(), |role| role.name.clone());
        transaction.require_on(Permission::ChangeRole, ObjectReference::Role(*role), &name)?;
    }
    let new: Vec<RoleNumber> = after.iter().filter(is_new).copied().collect();
    transaction.caller().require_held(accounts, &Rights::of_roles(accounts, &new))
}

/// In their order, none twice.
pub(super) fn each_once<T: Copy + Ord>(items: Vec<T>) -> Vec<T> {
    let mut seen = BTreeSet::new();
    items.into_iter().filter(|item| seen.insert(*item)).collect()
}

/// Makes these the groups that an account is in directly.
fn set_groups(
    transaction: &mut Transaction<'_>,
    number: AccountNumber,
    groups: &[GroupNumber],
) -> Result<(), ChangeError> {
    let present: BTreeSet<GroupNumber> = match transaction.snapshot().accounts().account(number) {
        Some(account) => account.groups.iter().copied().collect(),
        None => BTreeSet::new(),
    };
    let wanted: BTreeSet<GroupNumber> = groups.iter().copied().collect();
    for group in wanted.difference(&present) {
        super::group::set_member_for(transaction, *group, number, true)?;
    }
    for group in present.difference(&wanted) {
        super::group::set_member_for(transaction, *group, number, false)?;
    }
    Ok(())
}

/// Gives the creator of an object every permission on it, as authentik does. The operator has them anyway.
///
/// To search the full directory is not among them: a provider shows all accounts, so whoever may make one could read
/// everything.
///
/// # Errors
/// The store cannot be read.
pub(super) fn grant_to_creator(
    transaction: &mut Transaction<'_>,
    on: ObjectReference,
) -> Result<(), ChangeError> {
    let Some(holder) = transaction.caller().holder() else { return Ok(()) };
    let Some(mut creator) = transaction.account(holder.account)? else { return Ok(()) };
    let accounts = transaction.snapshot().accounts();
    // What was granted on objects that are gone is of no use: without this an automation's list would grow for ever.
    creator.grants.retain(|grant| grant.on.is_none_or(|on| accounts.has(on)));
    let permissions = on.permissions().filter(|permission| {
        // What it holds on all objects need not be said of this one.
        *permission != Permission::SearchFullDirectory
            && !transaction.caller().may(accounts, *permission, None)
    });
    let grants = permissions.map(|permission| crate::model::Grant { permission, on: Some(on) });
    let missing: Vec<_> = grants.filter(|grant| !creator.grants.contains(grant)).collect();
    if creator.grants.len().saturating_add(missing.len()) > CREATOR_GRANTS_MAX {
        return Err(ChangeError::Refused(format!(
            "`{}` holds {CREATOR_GRANTS_MAX} permissions, as many as it can, and each object that it makes adds some: grant \
             it what it needs on all objects, or let another account make them",
            creator.username
        )));
    }
    creator.grants.extend(missing);
    transaction.put(Record::Account(creator))
}

/// What a person's password becomes.
#[derive(Clone, Debug)]
pub enum NewPassword {
    /// This secret.
    Secret(Secret),
    /// What hashes to this.
    Hash(HashText),
}

impl Registry {
    /// Sets the password of a person.
    ///
    /// # Errors
    /// It is a service account, which has none; there is no such account that the caller may view; the password is
    /// none; [`Permission::ResetUserPassword`] on the account is missing, or the account has rights that the caller
    /// lacks.
    pub async fn set_account_password(
        &self,
        caller: Caller,
        number: AccountNumber,
        password: NewPassword,
    ) -> Result<(), ChangeError> {
        // Asked again by the writer; here it saves a hash.
        check_password_change(&caller, &self.snapshot(), number)?;
        let hash = match password {
            NewPassword::Secret(secret) => {
                check_password(&secret)?;
                self.hash_secret(secret).await?
            }
            NewPassword::Hash(hash) => {
                crate::auth::StoredHash::parse(hash.expose(), &self.bounds).map_err(|error| {
                    ChangeError::field("password", format!("the hash cannot be kept: {error}"))
                })?;
                hash
            }
        };
        self.change(caller, move |transaction| {
            check_password_change(transaction.caller(), transaction.snapshot(), number)?;
            let Some(mut account) = transaction.account(number)? else { return Ok(()) };
            let generation = account.password.as_ref().map_or(0, |password| password.generation);
            let generation = generation.saturating_add(1);
            let changed = transaction.now();
            let made_by = transaction.made_by();
            account.password = Some(Password { hash, generation, seeded: None, changed, made_by });
            account.modified = changed;
            transaction.put(Record::Account(account))?;
            let mut problems = Vec::new();
            validate::credentials(transaction.snapshot(), number, &mut problems);
            if !problems.is_empty()
                && !transaction.caller().may(transaction.snapshot().accounts(), Permission::ViewToken, None)
            {
                // The sentences name tokens that the caller may not know.
                return Err(ChangeError::Refused(
                    "the account has another credential that only its name leads to, and can have one"
                        .to_owned(),
                ));
            }
            validate::refuse(problems)
        })
        .await
    }
}

fn check_password_change(
    caller: &Caller,
    snapshot: &crate::directory::Snapshot,
    number: AccountNumber,
) -> Result<(), ChangeError> {
    let accounts = snapshot.accounts();
    let Some(account) = accounts.account(number) else {
        return Err(ChangeError::NotFound { kind: "account", name: number.to_string() });
    };
    let on = ObjectReference::Account(number);
    caller.require_on(accounts, Permission::ResetUserPassword, on, &account.username)?;
    if !account.kind.is_person() {
        return Err(ChangeError::Refused(format!(
            "`{}` is a service account: its password is unusable and cannot be set, it authenticates with tokens; \
             make it an app password",
            account.username
        )));
    }
    // Whoever sets the password of somebody can be that somebody.
    caller.require_held(accounts, &Rights::of_account(accounts, account))
}

/// Whether a person may have this password: product rule 8 keeps passwords and generated secrets apart.
fn check_password(password: &Secret) -> Result<(), ChangeError> {
    if password.expose().is_empty() {
        return Err(ChangeError::field("password", "a password cannot be empty"));
    }
    match SecretShape::parse(password.expose()) {
        SecretShape::Other => Ok(()),
        SecretShape::Ours { .. } | SecretShape::OursBroken => Err(ChangeError::field(
            "password",
            "a password cannot look like a generated secret: choose another",
        )),
    }
}

/// A service account that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewServiceAccount {
    /// Its name.
    pub username: String,
    /// Whether a group of the same name is made, with the account in it.
    pub create_group: bool,
    /// Whether its first app password expires.
    pub expiring: bool,
    /// When; `None`: after [`super::DEFAULT_LIFETIME`].
    pub expires: Option<Expiry>,
}

/// A service account that was made, with its first app password, which is shown once.
#[derive(Clone, Debug)]
pub struct CreatedServiceAccount {
    /// Its number.
    pub number: AccountNumber,
    /// Its `entryUUID`.
    pub uuid: Uuid,
    /// The group that was made with it.
    pub group: Option<Uuid>,
    /// The app password.
    pub token: CreatedToken,
}

impl Registry {
    /// Makes a service account with its first app password, `<username>-app-password`, and, if asked for, a group.
    ///
    /// # Errors
    /// A name is taken or none; the time to expire has passed; [`Permission::AddUser`], [`Permission::AddToken`] or,
    /// with a group, [`Permission::AddGroup`] is missing.
    pub async fn create_service_account(
        &self,
        caller: Caller,
        new: NewServiceAccount,
    ) -> Result<CreatedServiceAccount, ChangeError> {
        let NewServiceAccount { username, create_group, expiring, expires } = new;
        // Asked again by the writer; here it saves the hash.
        caller.require(self.snapshot().accounts(), Permission::AddUser)?;
        let (identifier, token_uuid) = (first_identifier(&username), Uuid::new_v4());
        let NewTokenSecret { secret, selector, hash, sealed } = self
            .new_token_secret(&identifier, Intent::AppPassword, false, token_uuid, FIRST_GENERATION)
            .await?;
        let creator = caller.holder().map(|holder| holder.account);
        let (made, token_number) = self
            .change(caller, move |transaction| {
                transaction.require(Permission::AddToken)?;
                let given = AccountChanges { name: Some(username.clone()), ..AccountChanges::default() };
                let number =
                    create_account(transaction, username.clone(), AccountKind::ServiceAccount, given)?;
                let group = match create_group {
                    true => {
                        let number_of_group = super::group::create_group(
                            transaction,
                            username.clone(),
                            GroupChanges::default(),
                        )?;
                        super::group::set_member(transaction, number_of_group, number, true)?;
                        transaction.snapshot().accounts().group(number_of_group).map(|group| group.uuid)
                    }
                    false => None,
                };
                let expires = token::expiry(&identifier, expiring, expires, transaction.now())?;
                let token = token::NewRecord {
                    uuid: token_uuid,
                    identifier: identifier.clone(),
                    account: number,
                    intent: Intent::AppPassword,
                    selector,
                    hash,
                    sealed,
                    expires,
                    description: String::new(),
                    networks: Vec::new(),
                    is_first: true,
                };
                let token_number = token::put_new(transaction, token)?;
                let uuid = match transaction.snapshot().accounts().account(number) {
                    Some(account) => account.uuid,
                    None => return Err(ChangeError::Conflict),
                };
                let token = CreatedToken {
                    account: username,
                    identifier,
                    intent: Intent::AppPassword,
                    secret,
                    expires,
                };
                Ok((CreatedServiceAccount { number, uuid, group, token }, token_number))
            })
            .await?;
        self.keep_fresh(token_number, FIRST_GENERATION, creator, made.token.secret.clone());
        Ok(made)
    }
}

/// Permissions that an account holds directly: each object that it makes adds some.
const CREATOR_GRANTS_MAX: usize = 10_000;
