//! Accounts one at a time: made, changed, deleted.

use std::collections::BTreeSet;
use std::time::Instant;

use uuid::Uuid;

use super::known_by::SharedValues;
use super::names::Former;
use super::role::{check_grants, check_roles, each_once};
use super::token::{self, CreatedToken, FIRST_GENERATION, NewTokenSecret};
use super::{names, set, validate};
use crate::access::Rights;
use crate::audit::EventObject;
use crate::auth::StoredHash;
use crate::model::{
    Account, AccountChanges, AccountKind, AccountNumber, Action, EventDetail, Expiry, GroupChanges,
    GroupNumber, HashText, Intent, Key, ObjectReference, Password, Permission, Record, Token, TokenNumber,
    Tombstone, TombstoneOf, first_identifier,
};
use crate::quoted::called;
use crate::registry::transaction::name_form;
use crate::registry::{Caller, ChangeError, Registry, Transaction, origins};
use crate::secret::Secret;

/// Makes an account.
///
/// # Errors
/// The name is taken or none, or that of something deleted that is not for the caller to bring back; the kind is
/// bindery's own, it is given rights that the caller lacks, or [`Permission::AddUser`] is missing.
pub fn create_account(
    transaction: &mut Transaction<'_>,
    username: String,
    kind: AccountKind,
    given: AccountChanges,
) -> Result<AccountNumber, ChangeError> {
    transaction.require(Permission::AddUser)?;
    let number = AccountNumber::new(transaction.next_number()?);
    let account = Account::new(number, username, kind, transaction.origin(), transaction.now());
    write(transaction, None, account, AccountChanges { username: None, kind: None, ..given })?;
    grant_to_creator(transaction, ObjectReference::Account(number))?;
    Ok(number)
}

/// Changes an account.
///
/// # Errors
/// There is no such account that the caller may view, it is bindery's own, the change is one that its kind does not
/// allow, [`Permission::ChangeUser`] on it is missing, or it has rights that the caller lacks: whoever changes what others
/// know somebody by can become that somebody.
pub fn update_account(
    transaction: &mut Transaction<'_>,
    number: AccountNumber,
    changes: AccountChanges,
) -> Result<(), ChangeError> {
    let account = account_for(transaction, number, Permission::ChangeUser)?;
    require_rights_of(transaction, number)?;
    write(transaction, Some(account.clone()), account, changes)
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

/// The one writer of accounts: puts `account`, with what is said of it, in the place of `before`. It asks whether the
/// caller holds what is given and taken; whether it may change the account at all is asked before.
///
/// # Errors
/// What cannot be, or a right that the caller lacks.
pub(super) fn write(
    transaction: &mut Transaction<'_>,
    before: Option<Account>,
    mut account: Account,
    changes: AccountChanges,
) -> Result<(), ChangeError> {
    let AccountChanges {
        username,
        kind,
        name,
        email,
        is_active,
        attributes,
        attribute_forms,
        groups,
        roles,
        grants,
        password,
        path,
        drops_password,
    } = changes;
    let number = account.number;
    if let Some(before) = before.as_ref().filter(|before| before.kind == AccountKind::InternalServiceAccount)
    {
        return Err(validate::internal(&before.username));
    }
    set(&mut account.username, username);
    if before.as_ref().is_none_or(|before| before.username != account.username) {
        let of = TombstoneOf::Account(name_form(&account.username));
        let former = before.as_ref().map(|before| former_name(transaction, before));
        names::refuse_rename(transaction, former.as_ref(), &of)?;
        let named = validate::username(&account.username);
        transaction.noting(named.map_err(|problem| ChangeError::field("username", problem)))?;
        let named = transaction.snapshot().accounts().account_named(&account.username);
        let named = named.map(|named| ObjectReference::Account(named.number));
        names::note_taken(transaction, named, ObjectReference::Account(number), &account.username)?;
        names::give(transaction, of, former)?;
    }
    if let Some(kind) = kind.filter(|kind| *kind != account.kind) {
        if let Some(before) = &before {
            let named = ("account", before.username.as_str());
            names::require_maker(transaction, before.origin, named, "give it another type")?;
        }
        account.kind = kind;
    }
    transaction.noting(check_kind(before.as_ref(), &account, drops_password))?;
    if !account.kind.is_person() {
        account.password = None;
    }
    if let Some(email) = email.filter(|email| *email != account.email) {
        transaction
            .noting(validate::email(&email).map_err(|problem| ChangeError::field("email", problem)))?;
        account.email = email;
    }
    set(&mut account.name, name);
    set(&mut account.is_active, is_active);
    if let Some(attributes) = attributes {
        account.attributes = attributes;
        account.attribute_forms = attribute_forms;
    }
    if let Some(path) = path.filter(|path| *path != account.path) {
        transaction.noting(validate::path(&path).map_err(|problem| ChangeError::field("path", problem)))?;
        account.path = path;
    }
    if let Some(roles) = roles.map(each_once) {
        check_roles(transaction, &account.roles, &roles)?;
        account.roles = roles;
    }
    if let Some(grants) = grants.map(each_once) {
        check_grants(transaction, &account.grants, &grants)?;
        account.grants = grants;
    }
    if let Some(password) = password {
        if !account.kind.is_person() {
            return Err(no_password(&before.as_ref().unwrap_or(&account).username));
        }
        account.password = Some(password);
    }
    if before.as_ref() != Some(&account) {
        // What an import says of the time holds for what it makes.
        if before.is_some() {
            account.modified = transaction.now();
        }
        put(transaction, before.as_ref(), account)?;
    }
    match groups {
        None => Ok(()),
        Some(groups) => set_groups(transaction, number, &groups),
    }
}

fn former_name<'n>(transaction: &Transaction<'_>, before: &'n Account) -> Former<'n> {
    let accounts = transaction.snapshot().accounts();
    let state = accounts.account(before.number);
    Former {
        name: &before.username,
        of: TombstoneOf::Account(name_form(&before.username)),
        origin: before.origin,
        holds_rights: state.is_some_and(|state| !Rights::of_account(accounts, state).is_empty()),
    }
}

/// Puts an account in the place of `before`. What each of its records keeps is asked here, and nothing about rights: for
/// [`write`], and for what follows from something else that was asked for.
///
/// # Errors
/// What cannot be and was not so before.
pub(super) fn put(
    transaction: &mut Transaction<'_>,
    before: Option<&Account>,
    account: Account,
) -> Result<(), ChangeError> {
    let present = &before.unwrap_or(&account).username;
    transaction.noting_all(validate::new_problems(before, &account, |account, problems| {
        validate::account(account, present, transaction.snapshot(), || transaction.viewer(), problems);
    }))?;
    let present = before.map(|before| &*before.attributes);
    transaction.noting(validate::value_counts(transaction, &account.attributes, present))?;
    transaction.noting(validate::posix_numbers(transaction, &account.attributes, present))?;
    transaction.put(Record::Account(account))
}

/// The password that takes the place of an account's present one; `seeded`: by what the config knows it again.
///
/// Where there is none, one may have ended, of whose secret a proof may still be remembered and connections be open. So its
/// generation begins at a place of the trail: each password that it had has left an event there, so none had one as high.
pub(super) fn next_password(
    transaction: &Transaction<'_>,
    account: &Account,
    hash: HashText,
    seeded: Option<[u8; 32]>,
) -> Password {
    let generation = match &account.password {
        Some(present) => present.generation.wrapping_add(1),
        // The place of the event of this one; what is above these bits was 4 billion events ago.
        None => u32::try_from(transaction.next_event() & u64::from(u32::MAX)).unwrap_or(u32::MAX),
    };
    Password { hash, generation, seeded, changed: transaction.now(), made_by: transaction.made_by() }
}

/// Puts another hash of the same password in the place of one.
pub(in crate::registry) fn rehash(
    transaction: &mut Transaction<'_>,
    number: AccountNumber,
    generation: u32,
    hash: HashText,
) -> Result<(), ChangeError> {
    let Some(before) = transaction.account(number)? else { return Ok(()) };
    let mut account = before.clone();
    match &mut account.password {
        Some(password) if password.generation == generation => password.hash = hash,
        _ => return Ok(()),
    }
    put(transaction, Some(&before), account)
}

impl Transaction<'_> {
    /// Deletes an account with its tokens and memberships, and leaves tombstones. Of one that a caller of the API has made
    /// nothing stays, unless it held rights: the config has said nothing of it, and who makes many would leave many.
    pub fn delete_account(&mut self, number: AccountNumber) -> Result<(), ChangeError> {
        let Some(state) = self.snapshot().accounts().account(number).cloned() else { return Ok(()) };
        let origin = self.account(number)?.map(|account| account.origin).unwrap_or_default();
        let held_rights = !Rights::of_account(self.snapshot().accounts(), &state).is_empty();
        for token in &state.tokens {
            self.delete_token(*token)?;
        }
        for group in &state.groups {
            self.delete(Key::Membership(*group, number))?;
        }
        self.delete(Key::Account(number))?;
        if !held_rights && origins::is_strangers(origin, self.snapshot().accounts()) {
            return Ok(());
        }
        let of = TombstoneOf::Account(name_form(&state.username));
        self.put_tombstone(Tombstone { of, origin, held_rights, made: Some(self.now()) })
    }
}

/// The account as it would be with what is said of it, for measuring.
pub(super) fn filled(account: Account, changes: &AccountChanges) -> Account {
    let AccountChanges { name, email, attributes, password, .. } = changes.clone();
    Account {
        name: name.unwrap_or(account.name),
        email: email.unwrap_or(account.email),
        attributes: attributes.unwrap_or(account.attributes),
        password: password.or(account.password),
        ..account
    }
}

/// Whether an account may be of its kind, after what it was. The end of a password is never a side effect.
fn check_kind(before: Option<&Account>, after: &Account, drops_password: bool) -> Result<(), ChangeError> {
    if after.kind == AccountKind::InternalServiceAccount && before.is_none() {
        return Err(ChangeError::field(
            "type",
            "internal service accounts are made and kept by bindery; choose service_account",
        ));
    }
    let Some(before) = before else { return Ok(()) };
    let username = &before.username;
    validate::kind_change(username, before.kind, after.kind)
        .map_err(|problem| ChangeError::field("type", problem))?;
    if before.kind.is_person() && !after.kind.is_person() && before.password.is_some() && !drops_password {
        return Err(ChangeError::field(
            "type",
            format!(
                "{} has a password, which a service account cannot have and which would be gone for good: say so with \
                 `drops_password`, or make another account",
                called(username)
            ),
        ));
    }
    Ok(())
}

fn no_password(username: &str) -> ChangeError {
    ChangeError::Refused(format!(
        "{} is a service account: its password is unusable and cannot be set, it authenticates with tokens; make it an \
         app password",
        called(username)
    ))
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
    let Some(before) = transaction.account(holder.account)? else { return Ok(()) };
    let mut creator = before.clone();
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
    put(transaction, Some(&before), creator)
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
    /// Ends the pauses of an account, for who asks to try again; says how many there were. Whoever may set its password
    /// may do so.
    ///
    /// # Errors
    /// There is no such account that the caller may view, it is bindery's own,
    /// [`Permission::ResetUserPassword`] on it is missing, or it has rights that the caller lacks.
    pub async fn unlock_account(&self, caller: Caller, number: AccountNumber) -> Result<usize, ChangeError> {
        self.change(caller, move |transaction| {
            let account = account_for(transaction, number, Permission::ResetUserPassword)?;
            require_rights_of(transaction, number)?;
            let object = EventObject::of(&Record::Account(account));
            let unlocked = EventDetail { name: "change".to_owned(), value: "unlocked".to_owned() };
            transaction.note_with(Action::ModelUpdated, object, vec![unlocked]).map(drop)
        })
        .await?;
        Ok(self.throttle.unlock(&self.snapshot().counted_forms(number), self.since_start(Instant::now())))
    }

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
                validate::password(&secret, self.rules())
                    .map_err(|problem| ChangeError::field("password", format!("the password {problem}")))?;
                self.hash_secret(secret, &caller).await?
            }
            NewPassword::Hash(hash) => {
                StoredHash::parse(hash.expose(), &self.bounds).map_err(|error| {
                    ChangeError::field("password", format!("the hash cannot be kept: {error}"))
                })?;
                hash
            }
        };
        self.change(caller, move |transaction| {
            check_password_change(transaction.caller(), transaction.snapshot(), number)?;
            let Some(account) = transaction.account(number)? else { return Ok(()) };
            let password = next_password(transaction, &account, hash, None);
            let changes = AccountChanges { password: Some(password), ..AccountChanges::default() };
            write(transaction, Some(account.clone()), account, changes)
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
    if account.kind == AccountKind::InternalServiceAccount {
        return Err(validate::internal(&account.username));
    }
    if !account.kind.is_person() {
        return Err(no_password(&account.username));
    }
    // Whoever sets the password of somebody can be that somebody.
    caller.require_held(accounts, &Rights::of_account(accounts, account))
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
    pub number: AccountNumber,
    /// Its `entryUUID`.
    pub uuid: Uuid,
    /// The group that was made with it.
    pub group: Option<Uuid>,
    /// The app password.
    pub token: CreatedToken,
    /// What it is known by as something else is, as far as its maker may know.
    pub shared_values: SharedValues,
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
        let snapshot = self.snapshot();
        for permission in [Permission::AddUser, Permission::AddToken] {
            caller.require(snapshot.accounts(), permission)?;
        }
        drop(snapshot);
        let token_uuid = Uuid::new_v4();
        // A free one is chosen by the writer: this name stands in messages alone.
        let identifier = first_identifier(&username);
        let made = match caller.require_not_refused() {
            Ok(()) => {
                let intent = Intent::AppPassword;
                let made =
                    self.new_token_secret(&identifier, intent, false, token_uuid, FIRST_GENERATION, &caller);
                Ok(made.await?)
            }
            // What else is wrong is known without a secret.
            Err(refused) => Err(refused),
        };
        let creator = caller.holder().map(|holder| holder.account);
        let command = move |transaction: &mut Transaction<'_>| {
            transaction.require(Permission::AddUser)?;
            transaction.require(Permission::AddToken)?;
            let expires = token::expiry(&identifier, expiring, expires, transaction.now());
            let expires = transaction.noting(expires)?.flatten();
            let given = AccountChanges { name: Some(username.clone()), ..AccountChanges::default() };
            let number = create_account(transaction, username.clone(), AccountKind::ServiceAccount, given)?;
            let group = match create_group {
                true => {
                    let number_of_group =
                        super::group::create_group(transaction, username.clone(), GroupChanges::default())?;
                    super::group::set_member(transaction, number_of_group, number, true)?;
                    transaction.snapshot().accounts().group(number_of_group).map(|group| group.uuid)
                }
                false => None,
            };
            let NewTokenSecret { secret, selector, hash, sealed } = made?;
            let identifier = token::free_first_identifier(transaction, &username);
            let token_number = TokenNumber::new(transaction.next_object()?);
            let made =
                token::made_now(transaction, token_number, identifier.clone(), number, (selector, hash));
            let token = Token { uuid: token_uuid, sealed, expires, is_first: true, ..made };
            token::put_new(transaction, token)?;
            let uuid = match transaction.snapshot().accounts().account(number) {
                Some(account) => account.uuid,
                None => return Err(ChangeError::Conflict),
            };
            let token =
                CreatedToken { account: username, identifier, intent: Intent::AppPassword, secret, expires };
            let viewer = transaction.viewer();
            let shared_values = transaction.shared_values(|on| viewer.names(on));
            Ok((CreatedServiceAccount { number, uuid, group, token, shared_values }, token_number))
        };
        let change = |transaction: &mut Transaction<'_>| transaction.telling_all_fields(command);
        let (made, token_number) = self.change(caller, change).await?;
        self.keep_fresh(token_number, FIRST_GENERATION, creator, made.token.secret.clone());
        Ok(made)
    }
}

/// Permissions that an account holds directly: each object that it makes adds some.
/// No limit of the config: a rule about what one object may hold, far above what any does.
const CREATOR_GRANTS_MAX: usize = 10_000;
