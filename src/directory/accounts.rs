//! Accounts, groups, roles, credentials and applications of one revision, once for all providers.
//!
//! What an entry's octets hold (full name, mail, free attributes) is not held here a second time.

use std::hash::BuildHasher;
use std::hint::black_box;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use foldhash::quality::RandomState;
use roaring::RoaringBitmap;
use rpds::{HashTrieMapSync, RedBlackTreeMapSync};
use uuid::Uuid;

use super::account_table::AccountTable;
use super::entry_id::EntryId;
use super::hash_index::HashIndex;
use super::id_set::IdSet;
use super::sparse::Sparse;
use crate::model::{
    Account, AccountKind, AccountNumber, Application, ApplicationNumber, Grant, Group, GroupNumber,
    LdapProvider, Membership, ObjectReference, Origin, Password, ProviderNumber, Record, Role, RoleNumber,
    Timestamp, Token, TokenNumber, TokenSelector, Tombstone, TombstoneOf, Usage, UsageOf,
};
use crate::schema::{MatchingRule, steps};

/// Everything about accounts that a bind and a search ask for.
#[derive(Clone)]
pub struct Accounts {
    accounts: AccountTable<Arc<AccountState>>,
    accounts_by_name: HashIndex,
    /// How many of them have a name that may be one of a domain.
    addresses: usize,
    groups: Sparse<Arc<GroupState>>,
    groups_by_name: HashIndex,
    roles: RedBlackTreeMapSync<RoleNumber, Arc<Role>>,
    /// How many of them have limits of their own.
    limited_roles: usize,
    tokens_by_identifier: RedBlackTreeMapSync<String, Arc<Token>>,
    tokens_by_selector: HashTrieMapSync<String, Arc<Token>>,
    tokens_by_digest: HashTrieMapSync<[u8; 32], Arc<Token>>,
    tokens_by_number: HashTrieMapSync<TokenNumber, Arc<Token>>,
    applications: RedBlackTreeMapSync<ApplicationNumber, Arc<Application>>,
    providers: RedBlackTreeMapSync<ProviderNumber, Arc<LdapProvider>>,
    tombstones: HashTrieMapSync<TombstoneOf, Arc<Tombstone>>,
    /// Last uses, as far as they are in the store.
    usages: HashTrieMapSync<UsageOf, Arc<Usage>>,
    /// Children that were read before their parent, by the parent's number.
    waiting: HashTrieMapSync<GroupNumber, Vec<GroupNumber>>,
    hasher: RandomState,
}

/// An account, as far as it is not in its entries.
#[derive(Clone, Debug)]
pub struct AccountState {
    pub number: AccountNumber,
    /// Its `entryUUID`.
    pub uuid: Uuid,
    /// Its name as written.
    pub username: Box<str>,
    /// What it is for.
    pub kind: AccountKind,
    /// Whether it may bind.
    pub is_active: bool,
    /// Whether an `@` is in its name as it is compared.
    is_address: bool,
    /// Its password, of a person.
    pub password: Option<Box<Password>>,
    pub tokens: Box<[TokenNumber]>,
    /// The groups that it is in directly, sorted.
    pub groups: Box<[GroupNumber]>,
    /// Roles that it holds directly.
    pub roles: Box<[RoleNumber]>,
    /// Permissions granted to it directly.
    pub grants: Box<[Grant]>,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub modified: Timestamp,
}

/// A group, as far as it is not in its entries.
#[derive(Clone, Debug)]
pub struct GroupState {
    pub number: GroupNumber,
    /// Its `entryUUID`.
    pub uuid: Uuid,
    /// Its name as written.
    pub name: Box<str>,
    /// Whether its members may do everything.
    pub is_superuser: bool,
    /// The groups that it is in directly, sorted.
    pub parents: Box<[GroupNumber]>,
    /// Itself and all groups above it, sorted: derived from `parents` of all groups.
    pub closure: Box<[GroupNumber]>,
    /// Whether one of those has `is_superuser`: derived too.
    pub makes_superusers: bool,
    /// The entries of the accounts and groups that are directly in it.
    pub(crate) members: Arc<IdSet>,
    /// Those of them that are groups, sorted: nesting is followed without a look at the accounts.
    pub(crate) children: Box<[GroupNumber]>,
    /// Roles of its members, direct or nested.
    pub roles: Box<[RoleNumber]>,
    /// Permissions of its members, direct or nested.
    pub grants: Box<[Grant]>,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed, its members not counted.
    pub modified: Timestamp,
    /// When an account last joined or left.
    pub members_modified: Timestamp,
}

impl AccountState {
    /// As it is in its record: in no group, without tokens.
    fn of(account: &Account) -> Self {
        Self {
            number: account.number,
            uuid: account.uuid,
            username: account.username.as_str().into(),
            kind: account.kind,
            is_active: account.is_active,
            is_address: is_address(&account.username),
            password: account.password.clone().map(Box::new),
            tokens: Box::default(),
            groups: Box::default(),
            roles: account.roles.as_slice().into(),
            grants: account.grants.as_slice().into(),
            created: account.created,
            modified: account.modified,
        }
    }

    /// Whether its name may be one of a domain.
    pub(super) fn is_address(&self) -> bool {
        self.is_address
    }
}

/// Most names are plain, and are not prepared for it.
fn is_address(name: &str) -> bool {
    name.contains('@') || !name.is_ascii() && name_key(name).contains(&b'@')
}

impl GroupState {
    /// As it is in its record: nobody is in it, and nothing above it is known.
    fn of(group: &Group) -> Self {
        let mut parents = group.parents.clone();
        parents.sort_unstable();
        parents.dedup();
        Self {
            number: group.number,
            uuid: group.uuid,
            name: group.name.as_str().into(),
            is_superuser: group.is_superuser,
            parents: parents.into(),
            closure: [group.number].into(),
            makes_superusers: group.is_superuser,
            members: Arc::new(IdSet::new()),
            children: Box::default(),
            roles: group.roles.as_slice().into(),
            grants: group.grants.as_slice().into(),
            created: group.created,
            modified: group.modified,
            members_modified: group.members_modified,
        }
    }

    /// How many accounts and groups are directly in it.
    pub fn member_count(&self) -> usize {
        self.members.len()
    }

    /// The accounts and groups that are directly in it.
    pub fn members(&self) -> impl Iterator<Item = EntryId> + '_ {
        self.members.iter().map(EntryId::from_raw)
    }

    /// Whether the account is directly in it.
    pub fn has_member(&self, account: AccountNumber) -> bool {
        self.members.contains(EntryId::of_account(account).raw())
    }
}

/// Accounts and groups that are made at once, before it is known what joins them.
pub(super) struct AccountTables {
    accounts: AccountTable<Arc<AccountState>>,
    addresses: usize,
    groups: Sparse<Arc<GroupState>>,
    /// Of accounts, of groups.
    pub(super) by_name: [HashIndex; 2],
}

/// What an account or group is beside its entries.
pub(super) enum ObjectState {
    Account(Arc<AccountState>),
    Group(Arc<GroupState>),
}

impl ObjectState {
    pub(super) fn number(&self) -> u32 {
        match self {
            Self::Account(account) => account.number.get(),
            Self::Group(group) => group.number.get(),
        }
    }
}

impl AccountTables {
    pub(super) fn new() -> Self {
        Self {
            accounts: AccountTable::new(),
            addresses: 0,
            groups: Sparse::new(),
            by_name: Default::default(),
        }
    }

    pub(super) fn insert(&mut self, state: ObjectState) {
        match state {
            ObjectState::Account(account) => {
                self.addresses += usize::from(account.is_address());
                self.accounts.insert(account.number.get(), account);
            }
            ObjectState::Group(group) => drop(self.groups.insert(group.number.get(), group)),
        }
    }
}

impl Accounts {
    /// Nobody.
    pub(crate) fn new() -> Self {
        Self {
            accounts: AccountTable::new(),
            accounts_by_name: HashIndex::new(),
            addresses: 0,
            groups: Sparse::new(),
            groups_by_name: HashIndex::new(),
            roles: RedBlackTreeMapSync::default(),
            limited_roles: 0,
            tokens_by_identifier: RedBlackTreeMapSync::default(),
            tokens_by_selector: HashTrieMapSync::default(),
            tokens_by_digest: HashTrieMapSync::default(),
            tokens_by_number: HashTrieMapSync::default(),
            applications: RedBlackTreeMapSync::default(),
            providers: RedBlackTreeMapSync::default(),
            tombstones: HashTrieMapSync::default(),
            usages: HashTrieMapSync::default(),
            waiting: HashTrieMapSync::default(),
            hasher: RandomState::default(),
        }
    }

    /// The account with this number.
    pub fn account(&self, number: AccountNumber) -> Option<&Arc<AccountState>> {
        self.accounts.get(number.get())
    }

    /// The account with this name, by its RFC 4518 caseIgnore form.
    pub fn account_named(&self, name: &str) -> Option<&Arc<AccountState>> {
        self.account_keyed(&name_key(name))
    }

    /// The account whose name has this RFC 4518 caseIgnore form.
    pub fn account_keyed(&self, key: &[u8]) -> Option<&Arc<AccountState>> {
        self.accounts_by_name
            .get(self.hasher.hash_one(key))
            .ids()
            .filter_map(|number| self.accounts.get(number))
            .find(|account| {
                steps::note(1);
                name_key(&account.username) == key
            })
    }

    /// The same in as many steps whether or not there is one: for whom that may not be told.
    pub(super) fn account_keyed_alike(&self, key: &[u8]) -> Option<&Arc<AccountState>> {
        let found = self.account_keyed(key);
        if found.is_none() {
            // What is compared with a username otherwise.
            steps::note(1);
            black_box(std::str::from_utf8(key).is_ok_and(|name| name_key(name) == key));
        }
        found
    }

    /// Whether any account has a name that may be one of a domain.
    pub(super) fn has_addresses(&self) -> bool {
        self.addresses > 0
    }

    /// All accounts, in the order of their numbers.
    pub fn accounts(&self) -> impl Iterator<Item = &Arc<AccountState>> {
        self.accounts.iter()
    }

    /// Those of this number and above, in the order of their numbers.
    pub fn accounts_from(&self, number: AccountNumber) -> impl Iterator<Item = &Arc<AccountState>> {
        self.accounts.iter_from(number.get())
    }

    /// How many accounts there are, those of bindery's own parts not counted.
    pub fn account_count(&self) -> usize {
        self.accounts.numbered()
    }

    /// The group with this number.
    pub fn group(&self, number: GroupNumber) -> Option<&Arc<GroupState>> {
        self.groups.get(number.get())
    }

    /// The group with this name, by its RFC 4518 caseIgnore form.
    pub fn group_named(&self, name: &str) -> Option<&Arc<GroupState>> {
        self.group_keyed(&name_key(name))
    }

    /// The group whose name has this RFC 4518 caseIgnore form.
    pub fn group_keyed(&self, key: &[u8]) -> Option<&Arc<GroupState>> {
        self.groups_by_name
            .get(self.hasher.hash_one(key))
            .ids()
            .filter_map(|number| self.groups.get(number))
            .find(|group| name_key(&group.name) == key)
    }

    /// Whether who stands directly in these groups is in another, directly or nested.
    pub fn lead_to(&self, direct: &[GroupNumber], group: GroupNumber) -> bool {
        steps::note(direct.len() as u64);
        direct
            .iter()
            .filter_map(|number| self.group(*number))
            .any(|direct| direct.closure.binary_search(&group).is_ok())
    }

    /// All groups, in the order of their numbers.
    pub fn groups(&self) -> impl Iterator<Item = &Arc<GroupState>> {
        self.groups.iter().map(|(_, group)| group)
    }

    /// How many groups there are.
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// Every group that the account is in, directly or through nesting, sorted.
    pub fn groups_of(&self, account: &AccountState) -> Vec<GroupNumber> {
        let mut all: Vec<GroupNumber> = account
            .groups
            .iter()
            .filter_map(|number| self.group(*number))
            .flat_map(|group| group.closure.iter().copied())
            .inspect(|_| steps::note(1))
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Every group that the account is in, directly or through nesting; one may come twice.
    pub fn groups_above<'a>(
        &'a self,
        account: &'a AccountState,
    ) -> impl Iterator<Item = &'a Arc<GroupState>> {
        account
            .groups
            .iter()
            .filter_map(|number| self.group(*number))
            .flat_map(|group| group.closure.iter())
            .inspect(|_| steps::note(1))
            .filter_map(|number| self.group(*number))
    }

    /// How many those are, as often as they come: what it costs to go through them.
    pub fn group_steps(&self, account: &AccountState) -> u64 {
        let direct = account.groups.iter().filter_map(|number| self.group(*number));
        direct.map(|group| group.closure.len() as u64).sum()
    }

    /// Whether a group with `is_superuser` is among those.
    pub fn is_superuser(&self, account: &AccountState) -> bool {
        let direct = account.groups.iter().inspect(|_| steps::note(1));
        direct.filter_map(|number| self.group(*number)).any(|group| group.makes_superusers)
    }

    /// Whether a caller of the API, and not a superuser, has made what has this origin, as these accounts are: what somebody
    /// else says by its name, or by what it is known by, was not said of it.
    pub fn is_strangers(&self, origin: Origin) -> bool {
        let Some(maker) = origin.account().map(|maker| self.account(maker)) else { return false };
        !maker.is_some_and(|maker| maker.is_active && self.is_superuser(maker))
    }

    /// The group itself and all groups below it, sorted.
    pub(crate) fn groups_below(&self, group: GroupNumber) -> Vec<GroupNumber> {
        let mut found = vec![group];
        let mut seen = RoaringBitmap::from_iter([group.get()]);
        let mut next = 0;
        while let Some(number) = found.get(next).copied() {
            next += 1;
            let Some(current) = self.group(number) else { continue };
            for child in current.children.iter() {
                if self.group(*child).is_some() && seen.insert(child.get()) {
                    found.push(*child);
                }
            }
        }
        found.sort_unstable();
        found
    }

    /// The role with this number.
    pub fn role(&self, number: RoleNumber) -> Option<&Arc<Role>> {
        self.roles.get(&number)
    }

    /// The role with this name, by its RFC 4518 caseIgnore form.
    pub fn role_named(&self, name: &str) -> Option<&Arc<Role>> {
        let key = name_key(name);
        self.roles.values().find(|role| name_key(&role.name) == key)
    }

    /// Whether any role has a limit of its own; mostly none has, and nobody's roles need to be looked at.
    pub fn has_limited_roles(&self) -> bool {
        self.limited_roles > 0
    }

    /// All roles.
    pub fn roles(&self) -> impl Iterator<Item = &Arc<Role>> {
        self.roles.values()
    }

    /// The token with this identifier.
    pub fn token_named(&self, identifier: &str) -> Option<&Arc<Token>> {
        self.tokens_by_identifier.get(identifier)
    }

    /// The token whose secret has this selector.
    pub fn token_selected(&self, selector: &str) -> Option<&Arc<Token>> {
        self.tokens_by_selector.get(selector)
    }

    /// The token whose secret somebody chose and has this digest.
    pub fn token_digested(&self, digest: &[u8; 32]) -> Option<&Arc<Token>> {
        self.tokens_by_digest.get(digest)
    }

    /// The token that a secret of this selector leads to; there is none without one.
    pub fn token_found_by(&self, selector: &TokenSelector) -> Option<&Arc<Token>> {
        match selector {
            TokenSelector::None => None,
            TokenSelector::Generated(selector) => self.token_selected(selector),
            TokenSelector::Chosen(digest) => self.token_digested(digest),
        }
    }

    /// The token with this number.
    pub fn token(&self, number: TokenNumber) -> Option<&Arc<Token>> {
        self.tokens_by_number.get(&number)
    }

    /// All tokens, in the order of their identifiers.
    pub fn tokens(&self) -> impl Iterator<Item = &Arc<Token>> {
        self.tokens_by_identifier.values()
    }

    /// The application with this number.
    pub fn application(&self, number: ApplicationNumber) -> Option<&Arc<Application>> {
        self.applications.get(&number)
    }

    /// The application with this slug.
    pub fn application_named(&self, slug: &str) -> Option<&Arc<Application>> {
        self.applications.values().find(|application| application.slug == slug)
    }

    /// The application that uses the provider.
    pub fn application_of(&self, provider: ProviderNumber) -> Option<&Arc<Application>> {
        self.applications.values().find(|application| application.provider == Some(provider))
    }

    /// All applications.
    pub fn applications(&self) -> impl Iterator<Item = &Arc<Application>> {
        self.applications.values()
    }

    /// The provider with this number.
    pub fn provider(&self, number: ProviderNumber) -> Option<&Arc<LdapProvider>> {
        self.providers.get(&number)
    }

    /// The provider with this name.
    pub fn provider_named(&self, name: &str) -> Option<&Arc<LdapProvider>> {
        self.providers.values().find(|provider| provider.name == name)
    }

    /// All providers.
    pub fn providers(&self) -> impl Iterator<Item = &Arc<LdapProvider>> {
        self.providers.values()
    }

    /// Whether there is such an object.
    pub fn has(&self, object: ObjectReference) -> bool {
        match object {
            ObjectReference::Provider(number) => self.provider(number).is_some(),
            ObjectReference::Account(number) => self.account(number).is_some(),
            ObjectReference::Group(number) => self.group(number).is_some(),
            ObjectReference::Role(number) => self.role(number).is_some(),
            ObjectReference::Token(number) => self.token(number).is_some(),
            ObjectReference::Application(number) => self.application(number).is_some(),
        }
    }

    /// What an object is called in the config.
    pub fn name(&self, object: ObjectReference) -> Option<String> {
        match object {
            ObjectReference::Provider(number) => self.provider(number).map(|provider| provider.name.clone()),
            ObjectReference::Account(number) => {
                self.account(number).map(|account| account.username.to_string())
            }
            ObjectReference::Group(number) => self.group(number).map(|group| group.name.to_string()),
            ObjectReference::Role(number) => self.role(number).map(|role| role.name.clone()),
            ObjectReference::Token(number) => self.token(number).map(|token| token.identifier.clone()),
            ObjectReference::Application(number) => {
                self.application(number).map(|application| application.slug.clone())
            }
        }
    }

    /// Whether something of this name was deleted.
    pub fn has_tombstone(&self, of: &TombstoneOf) -> bool {
        self.tombstones.contains_key(of)
    }

    /// What is known of each thing that was deleted.
    pub fn tombstones(&self) -> impl Iterator<Item = &Arc<Tombstone>> {
        self.tombstones.values()
    }

    /// What is known of something of this name that was deleted.
    pub fn tombstone(&self, of: &TombstoneOf) -> Option<&Arc<Tombstone>> {
        self.tombstones.get(of)
    }

    /// When a credential was used last, as far as that is in the store already.
    pub fn usage(&self, of: UsageOf) -> Option<&Arc<Usage>> {
        self.usages.get(&of)
    }

    /// The account whose entry this is.
    pub fn account_of_entry(&self, id: EntryId) -> Option<&Arc<AccountState>> {
        self.account(AccountNumber::new(id.number()?))
    }

    /// The group whose entry this is.
    pub fn group_of_entry(&self, id: EntryId) -> Option<&Arc<GroupState>> {
        self.group(GroupNumber::new(id.number()?))
    }

    pub(super) fn put_account(&mut self, account: &Account) {
        let number = account.number.get();
        let before = self.accounts.get(number).cloned();
        if let Some(before) = &before {
            self.accounts_by_name.remove(self.hasher.hash_one(name_key(&before.username).as_slice()), number);
            self.addresses -= usize::from(before.is_address());
        }
        self.accounts_by_name.insert(self.hasher.hash_one(name_key(&account.username).as_slice()), number);
        let (tokens, groups) = match before {
            Some(before) => (before.tokens.clone(), before.groups.clone()),
            None => Default::default(),
        };
        let state = AccountState { tokens, groups, ..AccountState::of(account) };
        self.addresses += usize::from(state.is_address());
        self.accounts.insert(number, Arc::new(state));
    }

    pub(super) fn delete_account(&mut self, number: AccountNumber) {
        if let Some(before) = self.accounts.remove(number.get()) {
            self.accounts_by_name
                .remove(self.hasher.hash_one(name_key(&before.username).as_slice()), number.get());
            self.addresses -= usize::from(before.is_address());
        }
    }

    pub(super) fn put_group(&mut self, group: &Group) {
        let number = group.number.get();
        let before = self.groups.get(number).cloned();
        if let Some(before) = &before {
            self.groups_by_name.remove(self.hasher.hash_one(name_key(&before.name).as_slice()), number);
        }
        self.groups_by_name.insert(self.hasher.hash_one(name_key(&group.name).as_slice()), number);
        let old_parents = before.as_ref().map(|before| before.parents.clone()).unwrap_or_default();
        let was_superuser = before.as_ref().is_some_and(|before| before.is_superuser);
        let mut state = GroupState::of(group);
        if let Some(before) = before {
            state.closure = before.closure.clone();
            state.makes_superusers = before.makes_superusers;
            state.members = before.members.clone();
            state.children = before.children.clone();
        }
        let parents = state.parents.clone();
        self.groups.insert(number, Arc::new(state));
        self.adopt_waiting_children(group.number);
        if *old_parents != *parents || was_superuser != group.is_superuser {
            self.change_parents(group.number, &old_parents, &parents);
        }
    }

    pub(super) fn delete_group(&mut self, number: GroupNumber) {
        let Some(before) = self.groups.get(number.get()).cloned() else { return };
        for parent in before.parents.iter() {
            self.set_child(*parent, number, false);
        }
        let below = self.groups_below(number);
        self.groups.remove(number.get());
        // What is below may name it as a parent still, and gets nothing through it any more.
        self.renew_closures(&below);
        self.groups_by_name.remove(self.hasher.hash_one(name_key(&before.name).as_slice()), number.get());
    }

    pub(super) fn put_membership(&mut self, group: GroupNumber, account: AccountNumber) {
        if let Some(state) = self.accounts.get_mut(account.get())
            && let Err(at) = state.groups.binary_search(&group)
        {
            let mut groups = state.groups.to_vec();
            groups.insert(at, group);
            Arc::make_mut(state).groups = groups.into();
        }
        if let Some(state) = self.groups.get_mut(group.get()) {
            Arc::make_mut(&mut Arc::make_mut(state).members).insert(EntryId::of_account(account).raw());
        }
    }

    pub(super) fn delete_membership(&mut self, group: GroupNumber, account: AccountNumber) {
        if let Some(state) = self.accounts.get_mut(account.get()) {
            let groups = state.groups.iter().copied().filter(|number| *number != group).collect();
            Arc::make_mut(state).groups = groups;
        }
        if let Some(state) = self.groups.get_mut(group.get()) {
            Arc::make_mut(&mut Arc::make_mut(state).members).remove(EntryId::of_account(account).raw());
        }
    }

    pub(super) fn put_role(&mut self, role: Role) {
        self.delete_role(role.number);
        self.limited_roles += usize::from(has_limits(&role));
        self.roles.insert_mut(role.number, Arc::new(role));
    }

    pub(super) fn delete_role(&mut self, number: RoleNumber) {
        if self.roles.get(&number).is_some_and(|role| has_limits(role)) {
            self.limited_roles -= 1;
        }
        self.roles.remove_mut(&number);
    }

    pub(super) fn put_token(&mut self, token: Token) {
        self.delete_token(token.number);
        self.put_tokens(vec![token]);
    }

    /// Puts tokens that are not there yet.
    pub(super) fn put_tokens(&mut self, tokens: Vec<Token>) {
        let mut of_accounts: Vec<(AccountNumber, TokenNumber)> =
            tokens.iter().map(|token| (token.account, token.number)).collect();
        for token in tokens.into_iter().map(Arc::new) {
            self.tokens_by_identifier.insert_mut(token.identifier.clone(), token.clone());
            match &token.selector {
                TokenSelector::None => {}
                TokenSelector::Generated(selector) => {
                    self.tokens_by_selector.insert_mut(selector.clone(), token.clone());
                }
                TokenSelector::Chosen(digest) => self.tokens_by_digest.insert_mut(*digest, token.clone()),
            }
            self.tokens_by_number.insert_mut(token.number, token);
        }
        of_accounts.sort_by_key(|(account, _)| *account);
        for same_account in of_accounts.chunk_by(|(account, _), (next, _)| account == next) {
            let Some(state) = self.accounts.get_mut(same_account[0].0.get()) else { continue };
            let tokens = state.tokens.iter().copied().chain(same_account.iter().map(|(_, token)| *token));
            let tokens = tokens.collect();
            Arc::make_mut(state).tokens = tokens;
        }
    }

    pub(super) fn delete_token(&mut self, number: TokenNumber) {
        let Some(token) = self.tokens_by_number.get(&number).cloned() else { return };
        self.tokens_by_number.remove_mut(&number);
        self.tokens_by_identifier.remove_mut(&token.identifier);
        match &token.selector {
            TokenSelector::None => {}
            TokenSelector::Generated(selector) => {
                self.tokens_by_selector.remove_mut(selector);
            }
            TokenSelector::Chosen(digest) => {
                self.tokens_by_digest.remove_mut(digest);
            }
        }
        if let Some(state) = self.accounts.get_mut(token.account.get()) {
            let tokens = state.tokens.iter().copied().filter(|other| *other != number).collect();
            Arc::make_mut(state).tokens = tokens;
        }
    }

    pub(super) fn put_application(&mut self, application: Application) {
        self.applications.insert_mut(application.number, Arc::new(application));
    }

    pub(super) fn delete_application(&mut self, number: ApplicationNumber) {
        self.applications.remove_mut(&number);
    }

    pub(super) fn put_provider(&mut self, provider: LdapProvider) {
        self.providers.insert_mut(provider.number, Arc::new(provider));
    }

    pub(super) fn delete_provider(&mut self, number: ProviderNumber) {
        self.providers.remove_mut(&number);
    }

    pub(super) fn put_tombstone(&mut self, tombstone: Tombstone) {
        self.tombstones.insert_mut(tombstone.of.clone(), Arc::new(tombstone));
    }

    pub(super) fn delete_tombstone(&mut self, of: &TombstoneOf) {
        self.tombstones.remove_mut(of);
    }

    pub(super) fn put_usage(&mut self, usage: Usage) {
        self.usages.insert_mut(usage.of, Arc::new(usage));
    }

    pub(super) fn delete_usage(&mut self, of: UsageOf) {
        self.usages.remove_mut(&of);
    }

    /// What an account or group is beside its entries, with the hash that its name is found by.
    pub(super) fn state_of(&self, record: &Record) -> Option<(ObjectState, u64)> {
        let (state, name) = match record {
            Record::Account(account) => {
                (ObjectState::Account(Arc::new(AccountState::of(account))), &account.username)
            }
            Record::Group(group) => (ObjectState::Group(Arc::new(GroupState::of(group))), &group.name),
            _ => return None,
        };
        Some((state, self.hasher.hash_one(name_key(name).as_slice())))
    }

    /// Takes all accounts and groups at once, where there are none yet, and joins them.
    pub(super) fn take(&mut self, tables: AccountTables, mut memberships: Vec<Membership>) {
        self.accounts = tables.accounts;
        self.addresses = tables.addresses;
        self.groups = tables.groups;
        [self.accounts_by_name, self.groups_by_name] = tables.by_name;

        let mut children: Vec<(GroupNumber, GroupNumber)> = self
            .groups()
            .flat_map(|group| group.parents.iter().map(|parent| (*parent, group.number)))
            .collect();
        children.sort_unstable();
        for same_parent in children.chunk_by(|(parent, _), (next, _)| parent == next) {
            let parent = same_parent[0].0;
            let children: Box<[GroupNumber]> = same_parent.iter().map(|(_, child)| *child).collect();
            match self.groups.get_mut(parent.get()) {
                Some(state) => Arc::make_mut(state).children = children,
                None => self.waiting.insert_mut(parent, children.into()),
            }
        }

        // From a store they come sorted, some runs of them.
        memberships.sort_by_key(|membership| pair(membership.group.get(), membership.account.get()));
        memberships.dedup();
        let numbers: Vec<GroupNumber> = self.groups().map(|group| group.number).collect();
        let accounts = Mutex::new(Some(&mut self.accounts));
        let join_accounts = || {
            let accounts = accounts.lock().unwrap_or_else(PoisonError::into_inner).take();
            accounts.into_iter().for_each(|accounts| join_accounts(accounts, &memberships));
        };
        thread::scope(|scope| {
            // What cannot be started is done by this one.
            let _ = thread::Builder::new().name("load".to_owned()).spawn_scoped(scope, join_accounts);
            join_groups(&mut self.groups, &numbers, &memberships);
            join_accounts();
        });
        // Where nothing is above them they are made as they should be.
        let has_parents =
            |number: &GroupNumber| self.group(*number).is_some_and(|group| !group.parents.is_empty());
        let below: Vec<GroupNumber> = numbers.into_iter().filter(has_parents).collect();
        self.renew_closures(&below);
    }

    /// A child may have been read before its parent: the parent, made now, lists it.
    fn adopt_waiting_children(&mut self, parent: GroupNumber) {
        let Some(children) = self.waiting.get(&parent).cloned() else { return };
        self.waiting.remove_mut(&parent);
        for child in children {
            if self.group(child).is_some_and(|group| group.parents.binary_search(&parent).is_ok()) {
                self.set_child(parent, child, true);
                self.renew_closures(&self.groups_below(child));
            }
        }
    }

    fn change_parents(&mut self, child: GroupNumber, before: &[GroupNumber], after: &[GroupNumber]) {
        for parent in before.iter().filter(|parent| !after.contains(parent)) {
            self.set_child(*parent, child, false);
        }
        for parent in after.iter().filter(|parent| !before.contains(parent)) {
            self.set_child(*parent, child, true);
        }
        self.renew_closures(&self.groups_below(child));
    }

    fn set_child(&mut self, parent: GroupNumber, child: GroupNumber, is_member: bool) {
        let Some(state) = self.groups.get_mut(parent.get()) else {
            if is_member {
                match self.waiting.get_mut(&parent) {
                    Some(children) => children.push(child),
                    None => self.waiting.insert_mut(parent, vec![child]),
                }
            }
            return;
        };
        let state = Arc::make_mut(state);
        let members = Arc::make_mut(&mut state.members);
        let id = EntryId::of_group(child).raw();
        let mut children = state.children.to_vec();
        match (is_member, children.binary_search(&child)) {
            (true, Err(at)) => children.insert(at, child),
            (false, Ok(at)) => drop(children.remove(at)),
            (true, Ok(_)) | (false, Err(_)) => {}
        }
        state.children = children.into();
        if is_member {
            members.insert(id);
        } else {
            members.remove(id);
        }
    }

    /// Derives anew what these groups have from those above them.
    fn renew_closures(&mut self, groups: &[GroupNumber]) {
        for &number in groups {
            let mut closure = vec![number];
            let mut seen = RoaringBitmap::from_iter([number.get()]);
            let mut next = 0;
            while let Some(current) = closure.get(next).copied() {
                next += 1;
                let Some(state) = self.group(current) else { continue };
                for parent in state.parents.iter() {
                    if self.group(*parent).is_some() && seen.insert(parent.get()) {
                        closure.push(*parent);
                    }
                }
            }
            closure.sort_unstable();
            let mut above = closure.iter().filter_map(|group| self.group(*group));
            let makes_superusers = above.any(|group| group.is_superuser);
            if let Some(state) = self.groups.get_mut(number.get()) {
                let state = Arc::make_mut(state);
                (state.closure, state.makes_superusers) = (closure.into(), makes_superusers);
            }
        }
    }
}

/// Puts members into these groups, in their order. The memberships are sorted.
fn join_groups(groups: &mut Sparse<Arc<GroupState>>, numbers: &[GroupNumber], memberships: &[Membership]) {
    let mut rest = memberships;
    for &number in numbers {
        let Some(state) = groups.get_mut(number.get()) else { continue };
        let before = rest.iter().take_while(|membership| membership.group < number).count();
        let joined = rest.iter().skip(before).take_while(|membership| membership.group == number).count();
        let (joined, behind) = rest.split_at(before).1.split_at(joined);
        rest = behind;
        if joined.is_empty() && state.children.is_empty() {
            continue;
        }
        let accounts = joined.iter().map(|membership| EntryId::of_account(membership.account));
        let groups = state.children.iter().copied().map(EntryId::of_group);
        let mut members: IdSet = accounts.chain(groups).map(EntryId::raw).collect();
        members.shrink();
        Arc::make_mut(state).members = Arc::new(members);
    }
}

/// Tells accounts their groups.
fn join_accounts(accounts: &mut AccountTable<Arc<AccountState>>, memberships: &[Membership]) {
    let by_account = memberships.iter().map(|joined| pair(joined.account.get(), joined.group.get()));
    let mut by_account: Vec<u64> = by_account.collect();
    by_account.sort_unstable();
    let account = |pair: u64| (pair >> u32::BITS) as u32;
    for same_account in by_account.chunk_by(|one, next| account(*one) == account(*next)) {
        if let Some(state) = accounts.get_mut(account(same_account[0])) {
            let groups = same_account.iter().map(|pair| GroupNumber::new(*pair as u32));
            Arc::make_mut(state).groups = groups.collect();
        }
    }
}

/// Two numbers as one, ordered by the first, then by the second.
fn pair(first: u32, second: u32) -> u64 {
    u64::from(first) << u32::BITS | u64::from(second)
}

/// The RFC 4518 caseIgnore form of a name: two names are the same when these are.
pub fn name_key(name: &str) -> Vec<u8> {
    name_key_within(name, usize::MAX).unwrap_or_default()
}

/// The same; `None` when it has more octets than that.
pub fn name_key_within(name: &str, octets_max: usize) -> Option<Vec<u8>> {
    let mut key = Vec::with_capacity(name.len());
    if MatchingRule::CaseIgnore.normalize_within(name.as_bytes(), octets_max, &mut key).is_err() {
        key.clear();
        key.extend_from_slice(name.as_bytes());
    }
    (key.len() <= octets_max).then_some(key)
}

fn has_limits(role: &Role) -> bool {
    role.search_size_max.is_some() || role.search_time_max.is_some()
}
