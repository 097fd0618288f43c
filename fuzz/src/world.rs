//! A directory in memory with everybody that the targets need, and hashes that cost next to nothing.
//!
//! The names of accounts and groups contain what stands nowhere else, so that an answer that holds one of them tells
//! of it. What an account may see is computed here anew, from the sentences of the product and not from `access`.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bindery::inside::auth::{
    Argon2Parameters, ArgonMemory, HashBounds, HashPoolSettings, ThrottleSettings, TokenSecret, hash_new,
};
use bindery::inside::clock::system_time;
use bindery::inside::config::{Limits, SecretsInClear};
use bindery::inside::ldap::client_trust::ClientTrust;
use bindery::inside::ldap::memory::ConnectionMemory;
use bindery::inside::ldap::pages::Pages;
use bindery::inside::ldap::session::SessionSettings;
use bindery::inside::model::{
    Account, AccountKind, AccountNumber, Actor, Application, BindingSubject, Change, Group, GroupNumber,
    HashText, Intent, LdapProvider, Membership, ProviderNumber, Record, Role, RoleNumber, Timestamp, Token,
    TokenNumber, TokenSelector,
};
use bindery::inside::registry::{ChangeError, Registry, RegistrySettings, Transaction};
use bindery::inside::store::{Batch, Counters, MemoryStore, Store};

use crate::plain::{self, attribute};

pub const MAIN: ProviderNumber = ProviderNumber::new(1);
pub const OTHER: ProviderNumber = ProviderNumber::new(2);
/// The suffix of [`MAIN`], which admits everybody.
pub const BASE: &str = "dc=example,dc=org";
/// The suffix of [`OTHER`], which admits members of [`STAFF`].
pub const OTHER_BASE: &str = "dc=other,dc=net";

pub const APP: u32 = 1;
pub const READER: u32 = 2;
pub const ALICE: u32 = 3;
pub const BOB: u32 = 4;
pub const LONER: u32 = 5;
/// Accounts: number, name, kind. All but [`READER`] are without a right at first.
pub const ACCOUNTS: [(u32, &str, AccountKind); 9] = [
    (APP, "z1app", AccountKind::ServiceAccount),
    (READER, "z2reader", AccountKind::ServiceAccount),
    (ALICE, "z3alice", AccountKind::Internal),
    (BOB, "z4bob", AccountKind::External),
    (LONER, "z5loner", AccountKind::ServiceAccount),
    (6, "z6mallory", AccountKind::Internal),
    (7, "z7nobody", AccountKind::Internal),
    (8, "z8person", AccountKind::Internal),
    (9, "z9person", AccountKind::External),
];

pub const STAFF: u32 = 20;
pub const EVERYONE: u32 = 21;
pub const SECRET: u32 = 22;
/// Groups: number, name, parents.
pub const GROUPS: [(u32, &str, &[u32]); 3] =
    [(STAFF, "y0staff", &[EVERYONE]), (EVERYONE, "y1everyone", &[]), (SECRET, "y2secret", &[EVERYONE])];
/// Who is where at first.
const MEMBERS: [(u32, u32); 7] =
    [(STAFF, APP), (STAFF, ALICE), (STAFF, BOB), (SECRET, BOB), (SECRET, 6), (SECRET, 8), (EVERYONE, 9)];
/// What [`World::twin`] lacks: nobody of the others is in a group with them, or may see them.
pub const ABSENT_IN_TWIN: [u32; 4] = [BOB, 6, 8, 9];

const READERS: RoleNumber = RoleNumber::new(40);
/// Seconds after the beginning of a conversation until the brief token expires: no step of the clock ends there.
pub const BRIEF_SECONDS: i64 = 90;
/// Seconds that a rotated token goes on working.
pub const OVERLAP_SECONDS: i64 = 3_600;
pub const PASSWORD: &str = "the password of a person";

/// The registry of the directory, the secrets of its tokens, and what must be true of it.
pub struct World {
    pub registry: Arc<Registry>,
    pub settings: Arc<SessionSettings>,
    /// When conversations begin.
    pub start: Timestamp,
    pub state: State,
    /// How it was made, and its revision then or since it was last so.
    records: Vec<Record>,
    made: State,
    revision: u64,
}

/// What is in the directory, as far as it decides what may be seen and who may bind.
#[derive(Clone)]
pub struct State {
    /// Whether an account is active; one that was deleted is not there.
    pub active: BTreeMap<u32, bool>,
    /// Group and account.
    pub members: BTreeSet<(u32, u32)>,
    pub readers_grant: ReadersGrant,
    /// When each token expires; one that was revoked is not there.
    pub tokens: BTreeMap<u32, (u32, Option<i64>)>,
    /// The generation of each person's password.
    pub passwords: BTreeMap<u32, u32>,
}

/// What the role of [`READER`] may.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ReadersGrant {
    Nothing,
    OnMain,
    Everywhere,
}

/// What proves an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    Token(u32),
    Password(u32),
}

/// Secrets are made once: what a token is named by does not matter to any target.
pub struct Secrets {
    /// Number of the token, its account, its secret, its hash.
    pub tokens: Vec<(u32, u32, TokenSecret, String)>,
    password_hash: String,
}

/// The token of the account, and the second one of [`APP`], which expires.
pub const BRIEF_TOKEN: u32 = 60;
pub const fn token_of(account: u32) -> u32 {
    50 + account
}

pub static SECRETS: LazyLock<Secrets> = LazyLock::new(|| {
    let owners =
        [(token_of(APP), APP), (token_of(READER), READER), (token_of(LONER), LONER), (BRIEF_TOKEN, APP)];
    let tokens = owners.into_iter().map(|(number, account)| {
        let secret = TokenSecret::generate(Intent::AppPassword).expect("random numbers");
        let hash = hash(secret.secret().expose());
        (number, account, secret, hash)
    });
    Secrets { tokens: tokens.collect(), password_hash: hash(PASSWORD.as_bytes()) }
});

impl World {
    pub fn new() -> Self {
        Self::without(&[])
    }

    /// A directory that differs only in what [`APP`], [`ALICE`] and [`LONER`] may not see.
    pub fn twin() -> Self {
        Self::without(&ABSENT_IN_TWIN)
    }

    fn without(absent: &[u32]) -> Self {
        let start = system_time();
        let is_there = |account: &u32| !absent.contains(account);
        let mut state = State {
            active: ACCOUNTS.iter().map(|row| (row.0, true)).filter(|row| is_there(&row.0)).collect(),
            members: MEMBERS.into_iter().filter(|row| is_there(&row.1)).collect(),
            readers_grant: ReadersGrant::OnMain,
            tokens: BTreeMap::new(),
            passwords: BTreeMap::new(),
        };
        let mut records = vec![
            provider(MAIN, "main", BASE, None),
            provider(OTHER, "other", OTHER_BASE, Some("corp.example")),
            readers(state.readers_grant),
            vault(),
        ];
        records.extend(GROUPS.iter().map(|(number, name, parents)| group(*number, name, parents)));
        for (number, name, kind) in ACCOUNTS.iter().filter(|row| is_there(&row.0)) {
            records.push(account(*number, name, *kind));
            if kind.is_person() {
                state.passwords.insert(*number, 0);
            }
        }
        for (group, account) in &state.members {
            let (group, account) = (GroupNumber::new(*group), AccountNumber::new(*account));
            records.push(Record::Membership(Membership { group, account }));
        }
        for (number, account, secret, hash) in &SECRETS.tokens {
            let brief = start.after(Duration::from_secs(BRIEF_SECONDS.unsigned_abs()));
            let expires = (*number == BRIEF_TOKEN).then_some(brief);
            state.tokens.insert(*number, (*account, expires.map(Timestamp::unix_seconds)));
            records.push(token(*number, *account, secret, hash, expires));
        }
        let store = Arc::new(MemoryStore::new());
        let counters = Counters { next_number: 10_000, next_object: 100, ..Counters::default() };
        let changes = records.iter().cloned().map(Change::Put).collect();
        store.commit(&Batch { changes, counters, seeded: true, ..Batch::default() }).expect("a commit");
        let hashing = HashPoolSettings {
            threads: NonZeroUsize::new(1),
            parameters: cheap(),
            niceness: 0,
            stored_memory_kib_max: MEMORY_KIB_MAX,
            ..HashPoolSettings::default()
        };
        let bounds = HashBounds { memory_kib_max: MEMORY_KIB_MAX, ..HashBounds::default() };
        // What is tried for the tenth time must be answered as the first time was.
        let throttle = ThrottleSettings {
            failures_per_name_max: 0,
            failures_per_source_max: 0,
            failures_per_application_max: 0,
            failures_per_token_max: 0,
            entries_max: 1_024,
            ..ThrottleSettings::default()
        };
        let settings = RegistrySettings {
            hashing,
            bounds,
            throttle,
            verified_secrets_max: 64,
            logins_told_max: 64,
            login_failures_told_max: 64,
            ..RegistrySettings::default()
        };
        let registry = Registry::open(store, settings).expect("a registry");
        // Little, so that searches rest, and that much is held back.
        let limits = Limits { pending_operations_max: 4, filter_elements_max: 4_096, ..Limits::default() };
        let settings = SessionSettings {
            secrets_in_clear: SecretsInClear::Never,
            offers_start_tls: true,
            expiry_warning: Duration::from_secs(86_400),
            rotation_overlap: Duration::from_secs(OVERLAP_SECONDS.unsigned_abs()),
            client_trust: Arc::new(ClientTrust::new(None, &[])),
            pages: Pages::new(&limits, registry.reached().clone()).expect("random numbers"),
            memory: ConnectionMemory::new(&limits),
            limits,
        };
        let (made, revision) = (state.clone(), registry.snapshot().revision());
        Self { registry, settings: Arc::new(settings), start, state, records, made, revision }
    }

    /// Makes it as it was at first, which costs less than to make another. Not for one in which secrets were made:
    /// what was verified is remembered under a generation that then comes again.
    pub fn restore(&mut self) {
        // No conversation finds the order of a search that another has asked for.
        let pages =
            Pages::new(&self.settings.limits, self.registry.reached().clone()).expect("random numbers");
        self.settings = Arc::new(SessionSettings { pages, ..SessionSettings::clone(&self.settings) });
        if self.registry.snapshot().revision() == self.revision {
            return;
        }
        self.state = self.made.clone();
        let (records, made) = (self.records.clone(), self.made.clone());
        let done = self.change(move |transaction| {
            for record in records {
                if !matches!(record, Record::Membership(_)) {
                    transaction.put(record)?;
                }
            }
            for (group, ..) in GROUPS {
                transaction.keep_time_of_members(GroupNumber::new(group));
                for account in made.active.keys() {
                    let is_member = made.members.contains(&(group, *account));
                    transaction.set_member(
                        GroupNumber::new(group),
                        AccountNumber::new(*account),
                        is_member,
                    )?;
                }
            }
            Ok(())
        });
        assert!(done);
        self.revision = self.registry.snapshot().revision();
    }

    /// Changes the directory and waits until that is in force. What cannot be changed stays as it is.
    pub fn change<F>(&self, command: F) -> bool
    where
        F: FnOnce(&mut Transaction<'_>) -> Result<(), ChangeError> + Send + 'static,
    {
        let actor = Actor::named("fuzz");
        wait(self.registry.change(actor, command)).is_ok()
    }

    /// Makes a new revision of the directory in which nothing differs that anybody can see.
    pub fn touch(&self) {
        let name = format!("revision-{}", self.registry.snapshot().revision());
        let role = plain::role(42, &name);
        assert!(self.change(move |transaction| transaction.put(Record::Role(role))));
    }

    pub fn set_readers_grant(&mut self, grant: ReadersGrant) {
        assert!(self.change(move |transaction| transaction.put(readers(grant))));
        self.state.readers_grant = grant;
    }

    pub fn set_active(&mut self, account: u32, is_active: bool) {
        let done = self.change(move |transaction| {
            if let Some(mut account) = transaction.account(AccountNumber::new(account))? {
                account.is_active = is_active;
                transaction.put(Record::Account(account))?;
            }
            Ok(())
        });
        assert!(done);
        self.state.active.entry(account).and_modify(|active| *active = is_active);
    }

    pub fn delete_account(&mut self, account: u32) {
        assert!(self.change(move |transaction| transaction.delete_account(AccountNumber::new(account))));
        self.state.active.remove(&account);
        self.state.members.retain(|(_, member)| *member != account);
        self.state.tokens.retain(|_, (owner, _)| *owner != account);
        self.state.passwords.remove(&account);
    }

    pub fn revoke(&mut self, token: u32) {
        assert!(self.change(move |transaction| transaction.delete_token(TokenNumber::new(token))));
        self.state.tokens.remove(&token);
    }

    pub fn set_member(&mut self, group: u32, account: u32, is_member: bool) {
        if !self.state.active.contains_key(&account) {
            return;
        }
        assert!(self.change(move |transaction| {
            let (group, account) = (GroupNumber::new(group), AccountNumber::new(account));
            transaction.set_member(group, account, is_member).map(|_| ())
        }));
        if is_member {
            self.state.members.insert((group, account));
        } else {
            self.state.members.remove(&(group, account));
        }
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.registry.close();
    }
}

impl State {
    /// The groups that an account belongs to, through others too.
    fn groups_of(&self, account: u32) -> BTreeSet<u32> {
        let direct = self.members.iter().filter(|(_, member)| *member == account).map(|(group, _)| *group);
        let mut groups = BTreeSet::new();
        let mut waiting: Vec<u32> = direct.collect();
        while let Some(group) = waiting.pop() {
            if groups.insert(group) {
                let parents = GROUPS.iter().filter(|row| row.0 == group).flat_map(|row| row.2);
                waiting.extend(parents);
            }
        }
        groups
    }

    /// Whether an account that proved itself with this credential is still somebody.
    pub fn holds(&self, account: u32, credential: Credential, now: i64) -> bool {
        self.active.get(&account) == Some(&true)
            && match credential {
                Credential::Token(number) => self.tokens.get(&number).is_some_and(|(owner, expires)| {
                    *owner == account && expires.is_none_or(|expires| now < expires)
                }),
                Credential::Password(generation) => self.passwords.get(&account) == Some(&generation),
            }
    }

    /// Rule 14.
    pub fn admits(&self, provider: ProviderNumber, account: u32) -> bool {
        provider == MAIN || self.groups_of(account).contains(&STAFF)
    }

    /// Rule 15: whether an account may see everything of a provider.
    pub fn sees_everything(&self, provider: ProviderNumber, account: u32) -> bool {
        account == READER
            && match self.readers_grant {
                ReadersGrant::Nothing => false,
                ReadersGrant::OnMain => provider == MAIN,
                ReadersGrant::Everywhere => true,
            }
    }

    /// Rule 15: the DNs that an account without rights sees of a provider.
    pub fn seen_by(&self, provider: ProviderNumber, account: u32) -> BTreeSet<String> {
        let base = base_of(provider);
        let name = name_of(account);
        let mut seen: BTreeSet<String> = ["ou=users,", "ou=groups,", "ou=virtual-groups,", ""]
            .iter()
            .map(|at| format!("{at}{base}"))
            .collect();
        seen.insert(format!("cn={name},ou=users,{base}"));
        seen.insert(format!("cn={name},ou=virtual-groups,{base}"));
        let groups = self.groups_of(account);
        seen.extend(groups.iter().map(|group| format!("cn={},ou=groups,{base}", name_of(*group))));
        seen
    }

    /// The names that no answer to such an account may hold.
    pub fn hidden_from(&self, account: u32) -> Vec<&'static str> {
        let groups = self.groups_of(account);
        let accounts = ACCOUNTS.iter().filter(|row| row.0 != account).map(|row| row.1);
        accounts.chain(GROUPS.iter().filter(|row| !groups.contains(&row.0)).map(|row| row.1)).collect()
    }
}

pub fn base_of(provider: ProviderNumber) -> &'static str {
    if provider == MAIN { BASE } else { OTHER_BASE }
}

pub fn name_of(number: u32) -> &'static str {
    let accounts = ACCOUNTS.iter().map(|row| (row.0, row.1));
    let mut all = accounts.chain(GROUPS.iter().map(|row| (row.0, row.1)));
    all.find(|row| row.0 == number).map_or("", |row| row.1)
}

/// Every name of an account or a group.
pub fn all_names() -> impl Iterator<Item = &'static str> {
    ACCOUNTS.iter().map(|row| row.1).chain(GROUPS.iter().map(|row| row.1))
}

/// Waits for a future on this thread.
pub fn wait<F: Future>(future: F) -> F::Output {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    }
    RUNTIME.with(|runtime| runtime.block_on(future))
}

fn cheap() -> Argon2Parameters {
    Argon2Parameters::new(8, 1, 1).expect("parameters that argon2 takes")
}

fn hash(secret: &[u8]) -> String {
    hash_new(secret, &cheap(), &mut ArgonMemory::new()).expect("a hash")
}

/// A hash may cost so much: each registry sets it aside.
const MEMORY_KIB_MAX: u32 = 64;

fn provider(number: ProviderNumber, name: &str, base_dn: &str, domain: Option<&str>) -> Record {
    Record::Provider(LdapProvider {
        name: name.to_owned(),
        domain: domain.map(str::to_owned),
        ..plain::provider(number.get(), base_dn)
    })
}

fn readers(grant: ReadersGrant) -> Record {
    let grants = match grant {
        ReadersGrant::Nothing => Vec::new(),
        ReadersGrant::OnMain => vec![plain::search_grant(Some(MAIN))],
        ReadersGrant::Everywhere => vec![plain::search_grant(None)],
    };
    Record::Role(Role { grants, ..plain::role(READERS.get(), "readers") })
}

/// The application of [`OTHER`].
fn vault() -> Record {
    Record::Application(Application {
        provider: Some(OTHER),
        bindings: vec![plain::binding(BindingSubject::Group(GroupNumber::new(STAFF)))],
        ..plain::application(41, "vault")
    })
}

fn group(number: u32, name: &str, parents: &[u32]) -> Record {
    let parents = parents.iter().map(|parent| GroupNumber::new(*parent)).collect();
    Record::Group(Group { parents, ..plain::group(number, name) })
}

fn account(number: u32, name: &str, kind: AccountKind) -> Record {
    // Values that name somebody: only who may see that entry sees the value.
    let names = vec![
        attribute("manager", &[&format!("cn=z4bob,ou=users,{BASE}")]),
        attribute("seeAlso", &[&format!("cn=y2secret,ou=groups,{BASE}")]),
    ];
    let attributes =
        vec![attribute("employeeNumber", &["4711"]), attribute("description;lang-de", &["ein Konto"])];
    Record::Account(Account {
        kind,
        email: format!("{name}@example.org"),
        attributes: if kind.is_person() { [attributes, names].concat() } else { names },
        password: kind.is_person().then(|| plain::password(&SECRETS.password_hash)),
        roles: if number == READER { vec![READERS] } else { Vec::new() },
        ..plain::account(number, name)
    })
}

fn token(number: u32, account: u32, secret: &TokenSecret, hash: &str, expires: Option<Timestamp>) -> Record {
    Record::Token(Token {
        selector: TokenSelector::Generated(secret.selector().to_string()),
        hash: HashText::new(hash.to_owned()),
        expires,
        ..plain::token(number, AccountNumber::new(account))
    })
}
