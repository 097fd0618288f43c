//! A small directory in memory with everybody that the tests need, and hashes that cost next to nothing.

use std::net::IpAddr;
use std::sync::Arc;

use crate::auth::{Argon2Parameters, ArgonMemory, HashPoolSettings, ThrottleSettings, TokenSecret, hash_new};
use crate::clock::Clock;
use crate::config::{Limits, SecretsInClear};
use crate::ldap::client_trust::ClientTrust;
use crate::ldap::memory::ConnectionMemory;
use crate::ldap::session::{SessionPeer, SessionSettings};
use crate::model::{
    Account, AccountKind, AccountNumber, Actor, Application, ApplicationNumber, BindingSubject, Change,
    Grant, Group, GroupNumber, HashText, Intent, LdapProvider, Membership, ProviderNumber, Record, Role,
    RoleNumber, Timestamp, Token, TokenNumber, TokenSelector,
};
use crate::plain::{self, attribute, binding, search_grant};
use crate::registry::{ChangeError, Registry, RegistrySettings, Transaction};
use crate::store::{Batch, Counters, MemoryStore, Store};

/// When the conversations take place.
pub(in crate::ldap) const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
pub(in crate::ldap) const BASE: &str = "dc=example,dc=org";
pub(in crate::ldap) const OTHER_BASE: &str = "dc=other,dc=net";

pub(in crate::ldap) const MAIN: ProviderNumber = ProviderNumber::new(1);
pub(in crate::ldap) const OTHER: ProviderNumber = ProviderNumber::new(2);
pub(in crate::ldap) const VAULT: ApplicationNumber = ApplicationNumber::new(3);
pub(in crate::ldap) const READERS: RoleNumber = RoleNumber::new(4);

pub(in crate::ldap) const ALICE: AccountNumber = AccountNumber::new(1);
pub(in crate::ldap) const BOB: AccountNumber = AccountNumber::new(2);
pub(in crate::ldap) const CAROL: AccountNumber = AccountNumber::new(3);
pub(in crate::ldap) const APP: AccountNumber = AccountNumber::new(4);
pub(in crate::ldap) const READER: AccountNumber = AccountNumber::new(5);
pub(in crate::ldap) const LEGACY: AccountNumber = AccountNumber::new(6);
pub(in crate::ldap) const ROOT: AccountNumber = AccountNumber::new(7);
pub(in crate::ldap) const PROBER: AccountNumber = AccountNumber::new(8);

pub(in crate::ldap) const STAFF: GroupNumber = GroupNumber::new(20);
pub(in crate::ldap) const EVERYONE: GroupNumber = GroupNumber::new(21);
pub(in crate::ldap) const ADMINS: GroupNumber = GroupNumber::new(22);
pub(in crate::ldap) const HIDDEN: GroupNumber = GroupNumber::new(23);

/// What the app sees without rights: suffix, containers, itself, its virtual group, its groups.
pub(in crate::ldap) const SEEN_BY_APP: [&str; 8] = [
    "dc=example,dc=org",
    "ou=users,dc=example,dc=org",
    "ou=groups,dc=example,dc=org",
    "ou=virtual-groups,dc=example,dc=org",
    "cn=app,ou=users,dc=example,dc=org",
    "cn=staff,ou=groups,dc=example,dc=org",
    "cn=everyone,ou=groups,dc=example,dc=org",
    "cn=app,ou=virtual-groups,dc=example,dc=org",
];

/// The registry of a small directory, and the secrets of its tokens.
pub(in crate::ldap) struct World {
    pub(in crate::ldap) store: Arc<MemoryStore>,
    pub(in crate::ldap) registry: Arc<Registry>,
    pub(in crate::ldap) settings: SessionSettings,
    pub(in crate::ldap) secrets: Secrets,
}

/// Secrets that were generated for this world.
pub(in crate::ldap) struct Secrets {
    pub(in crate::ldap) app: String,
    /// Of the app too; expires 100 seconds from now.
    pub(in crate::ldap) app_brief: String,
    /// Of the app too; expired since this second.
    pub(in crate::ldap) app_expired: String,
    /// Of the app too; for 10.0.0.0/8 only.
    pub(in crate::ldap) app_local: String,
    /// An API token of the app.
    pub(in crate::ldap) app_api: String,
    pub(in crate::ldap) reader: String,
    /// Of carol, who is inactive.
    pub(in crate::ldap) carol: String,
    /// Made like all others, but nobody has its record.
    pub(in crate::ldap) nobody: String,
}

pub(in crate::ldap) const APP_TOKEN: TokenNumber = TokenNumber::new(30);
pub(in crate::ldap) const LEGACY_TOKEN: TokenNumber = TokenNumber::new(37);

pub(in crate::ldap) const ALICE_PASSWORD: &str =
    "alice; her %pass$word: \\ \"quoted\" and more than sixty-four characters long, ä";
pub(in crate::ldap) const CAROL_PASSWORD: &str = "carol's password";
pub(in crate::ldap) const ROOT_PASSWORD: &str = "root's password";
pub(in crate::ldap) const LEGACY_SECRET: &str = "a secret from elsewhere";

/// How a world differs from the usual one.
#[derive(Default)]
pub(in crate::ldap) struct Wishes {
    pub(in crate::ldap) limits: Limits,
    pub(in crate::ldap) throttle: Option<ThrottleSettings>,
    /// So many people more: user-0, user-1, …
    pub(in crate::ldap) people: u32,
    /// Cost of alice's password: (KiB, passes); the configured ones when `None`.
    pub(in crate::ldap) alice_hash: Option<String>,
    /// The system's when `None`.
    pub(in crate::ldap) clock: Option<Arc<Clock>>,
    /// Secrets of its own that an account exchanges within an hour; any number when `None`.
    pub(in crate::ldap) own_secrets: Option<u32>,
}

impl World {
    pub(in crate::ldap) fn new() -> Self {
        Self::with(Wishes::default())
    }

    pub(in crate::ldap) fn with(wishes: Wishes) -> Self {
        let store = Arc::new(MemoryStore::new());
        let (mut records, secrets) = records(wishes.alice_hash);
        for number in 0..wishes.people {
            records.push(account(1_000 + number, &format!("user-{number}"), AccountKind::Internal, None));
        }
        let changes = records.into_iter().map(Change::Put).collect();
        let counters = Counters { next_number: 100_000, next_object: 100, ..Counters::default() };
        store.commit(&Batch { changes, counters, seeded: true, ..Batch::default() }).unwrap();
        let hashing = HashPoolSettings {
            threads: std::num::NonZeroUsize::new(1),
            niceness: 0,
            parameters: cheap(),
            ..HashPoolSettings::default()
        };
        let settings = RegistrySettings {
            hashing,
            verified_secrets_max: 64,
            clock: wishes.clock.unwrap_or_else(|| Arc::new(Clock::of_system())),
            own_secrets_by_account_max: wishes.own_secrets.unwrap_or(u32::MAX),
            throttle: wishes.throttle.unwrap_or(ThrottleSettings {
                failures_per_name_max: 0,
                failures_per_source_max: 0,
                failures_per_application_max: 0,
                failures_per_token_max: 0,
                ..ThrottleSettings::default()
            }),
            ..RegistrySettings::default()
        };
        let registry = Registry::open(store.clone(), settings).unwrap();
        // What a start does by itself is done: the writer takes one thing after the other.
        wait_beside(registry.is_seeded()).unwrap();
        let pages = crate::ldap::pages::Pages::new(&wishes.limits, Arc::clone(registry.reached())).unwrap();
        let memory = ConnectionMemory::new(&wishes.limits);
        let settings = SessionSettings {
            secrets_in_clear: SecretsInClear::Never,
            limits: wishes.limits,
            offers_start_tls: true,
            client_trust: Arc::new(ClientTrust::new(None, &[])),
            expiry_warning: std::time::Duration::from_secs(86_400),
            rotation_overlap: std::time::Duration::from_secs(3_600),
            pages,
            memory,
        };
        Self { store, registry, settings, secrets }
    }

    /// argon2id verifications so far: the number that must not depend on names.
    pub(in crate::ldap) fn hashes(&self) -> u64 {
        self.registry.hash_pool().counts().argon2id_verified
    }

    /// Changes the directory and waits until that is in force.
    pub(in crate::ldap) fn change<F>(&self, command: F)
    where
        F: FnOnce(&mut Transaction<'_>) -> Result<(), ChangeError> + Send + 'static,
    {
        let actor = Actor::named("test");
        wait_beside(self.registry.change(actor, command)).unwrap();
    }

    /// Puts a changed copy of a token.
    pub(in crate::ldap) fn change_token(
        &self,
        number: TokenNumber,
        edit: impl FnOnce(&mut Token) + Send + 'static,
    ) {
        self.change(move |transaction| {
            let mut token = Token::clone(transaction.snapshot().accounts().token(number).unwrap());
            edit(&mut token);
            transaction.put(Record::Token(token))
        });
    }

    /// Puts a changed copy of an account.
    pub(in crate::ldap) fn change_account(
        &self,
        number: AccountNumber,
        edit: impl FnOnce(&mut Account) + Send + 'static,
    ) {
        self.change(move |transaction| {
            let mut account = transaction.account(number)?.unwrap();
            edit(&mut account);
            transaction.put(Record::Account(account))
        });
    }

    /// Grants or takes the right of the role to search the full directory.
    pub(in crate::ldap) fn grant_readers(&self, grants: Vec<Grant>) {
        self.change(move |transaction| transaction.put(Record::Role(readers(grants))));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.registry.close();
    }
}

/// A client that is not on this machine.
pub(in crate::ldap) fn stranger() -> SessionPeer {
    peer("192.0.2.7")
}

pub(in crate::ldap) fn peer(address: &str) -> SessionPeer {
    let source: IpAddr = address.parse().unwrap();
    SessionPeer { source: Some(source), is_loopback: source.is_loopback(), is_tls_at_proxy: false }
}

/// Waits for a future on this thread.
pub(in crate::ldap) fn wait<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// The same on a thread of its own, for tests that have a runtime too.
fn wait_beside<T: Send>(future: impl Future<Output = T> + Send) -> T {
    std::thread::scope(|scope| scope.spawn(|| wait(future)).join()).unwrap()
}

pub(in crate::ldap) fn cheap() -> Argon2Parameters {
    Argon2Parameters::new(8, 1, 1).unwrap()
}

pub(in crate::ldap) fn hash(secret: &str, parameters: Argon2Parameters) -> String {
    hash_new(secret.as_bytes(), &parameters, &mut ArgonMemory::new()).unwrap()
}

fn records(alice_hash: Option<String>) -> (Vec<Record>, Secrets) {
    let alice_hash = alice_hash.unwrap_or_else(|| hash(ALICE_PASSWORD, cheap()));
    let mut records = vec![
        provider(MAIN, "main", BASE, None),
        provider(OTHER, "other", OTHER_BASE, Some("corp.example")),
        Record::Role(readers(vec![search_grant(Some(MAIN))])),
        group(STAFF, "staff", &[EVERYONE], false),
        group(EVERYONE, "everyone", &[], false),
        group(ADMINS, "admins", &[], true),
        group(HIDDEN, "hidden-group", &[], false),
        account(ALICE.get(), "alice", AccountKind::Internal, Some(alice_hash)),
        account(BOB.get(), "hidden-bob", AccountKind::External, None),
        account(CAROL.get(), "carol", AccountKind::Internal, Some(hash(CAROL_PASSWORD, cheap()))),
        account(APP.get(), "app", AccountKind::ServiceAccount, None),
        account(READER.get(), "reader", AccountKind::ServiceAccount, None),
        account(LEGACY.get(), "legacy", AccountKind::ServiceAccount, None),
        account(ROOT.get(), "root", AccountKind::Internal, Some(hash(ROOT_PASSWORD, cheap()))),
        account(PROBER.get(), "prober", AccountKind::InternalServiceAccount, None),
        Record::Application(vault(vec![STAFF])),
    ];
    for (group, account) in
        [(STAFF, ALICE), (STAFF, BOB), (STAFF, APP), (ADMINS, ROOT), (HIDDEN, BOB), (HIDDEN, ALICE)]
    {
        records.push(Record::Membership(Membership { group, account }));
    }
    let mut token = |number: u32, account: AccountNumber, intent: Intent, edit: &dyn Fn(&mut Token)| {
        let secret = TokenSecret::generate(intent).unwrap();
        let text = String::from_utf8(secret.secret().expose().to_vec()).unwrap();
        let mut token = Token {
            intent,
            selector: TokenSelector::Generated(secret.selector().to_string()),
            hash: HashText::new(hash(&text, cheap())),
            created: NOW,
            renewed: NOW,
            ..plain::token(number, account)
        };
        edit(&mut token);
        records.push(Record::Token(token));
        text
    };
    let app = Intent::AppPassword;
    let secrets = Secrets {
        app: token(APP_TOKEN.get(), APP, app, &|_| {}),
        app_brief: token(31, APP, app, &|token| {
            token.expires = Some(NOW.after(std::time::Duration::from_secs(100)));
        }),
        app_expired: token(32, APP, app, &|token| token.expires = Some(NOW)),
        app_local: token(33, APP, app, &|token| token.networks = vec!["10.0.0.0/8".parse().unwrap()]),
        app_api: token(34, APP, Intent::Api, &|_| {}),
        reader: token(35, READER, app, &|_| {}),
        carol: token(36, CAROL, app, &|_| {}),
        nobody: String::from_utf8(TokenSecret::generate(app).unwrap().secret().expose().to_vec()).unwrap(),
    };
    token(LEGACY_TOKEN.get(), LEGACY, app, &|token| {
        token.selector = TokenSelector::None;
        token.hash = HashText::new(hash(LEGACY_SECRET, cheap()));
    });
    (records, secrets)
}

pub(in crate::ldap) fn vault(groups: Vec<GroupNumber>) -> Application {
    let bindings = groups.into_iter().map(|group| binding(BindingSubject::Group(group)));
    Application {
        provider: Some(OTHER),
        bindings: bindings.collect(),
        ..plain::application(VAULT.get(), "vault")
    }
}

pub(in crate::ldap) fn readers(grants: Vec<Grant>) -> Role {
    Role { grants, ..plain::role(READERS.get(), "readers") }
}

pub(in crate::ldap) fn provider(
    number: ProviderNumber,
    name: &str,
    base_dn: &str,
    domain: Option<&str>,
) -> Record {
    Record::Provider(LdapProvider {
        name: name.to_owned(),
        domain: domain.map(str::to_owned),
        ..plain::provider(number.get(), base_dn)
    })
}

pub(in crate::ldap) fn group(
    number: GroupNumber,
    name: &str,
    parents: &[GroupNumber],
    is_superuser: bool,
) -> Record {
    let parents = parents.to_vec();
    Record::Group(Group { parents, is_superuser, ..plain::group(number.get(), name) })
}

fn account(number: u32, username: &str, kind: AccountKind, hash: Option<String>) -> Record {
    let attributes =
        vec![attribute("employeeNumber", &["4711"]), attribute("description;lang-de", &["ein Konto"])];
    Record::Account(Account {
        kind,
        email: format!("{username}@example.org"),
        is_active: number != CAROL.get(),
        attributes: if kind.is_person() { attributes } else { Vec::new() },
        password: hash.map(|hash| plain::password(&hash)),
        roles: if number == READER.get() { vec![READERS] } else { Vec::new() },
        ..plain::account(number, username)
    })
}
