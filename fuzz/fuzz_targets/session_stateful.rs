//! A whole conversation: the octets are what a client sends, cut in pieces, to a server with a small directory.
//! The first octet says whether TLS is on and how long the pieces are; a bind as the account
//! `app` goes first when its highest bit is set.
#![no_main]

use std::num::NonZeroUsize;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bindery::auth::{Argon2Parameters, ArgonMemory, HashPoolSettings, hash_new};
use bindery::config::{Limits, PlainBind};
use bindery::ldap::frame;
use bindery::ldap::pages::Pages;
use bindery::ldap::session::{Clock, Next, Session, SessionPeer, SessionSettings};
use bindery::model::{
    Account, AccountKind, AccountNumber, Change, Container, HashText, LdapProvider, Password, ProviderNumber,
    Record, Timestamp,
};
use bindery::registry::{Registry, RegistrySettings};
use bindery::store::{Batch, Counters, MemoryStore, Store};
use libfuzzer_sys::fuzz_target;
use uuid::Uuid;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

static REGISTRY: LazyLock<Arc<Registry>> = LazyLock::new(|| {
    let parameters = Argon2Parameters::new(8, 1, 1).expect("parameters that argon2 takes");
    let container = |text: &str| vec![Container { container: text.to_owned(), naming: "cn".to_owned() }];
    let provider = LdapProvider {
        number: ProviderNumber::new(1),
        uuid: Uuid::from_u128(1),
        name: "main".to_owned(),
        base_dn: "dc=example,dc=org".to_owned(),
        is_default: true,
        domain: None,
        uid_start_number: 2_000,
        gid_start_number: 4_000,
        virtual_groups: true,
        compatibility_attributes: true,
        users: container("ou=users"),
        service_accounts: container("ou=users"),
        groups: container("ou=groups"),
        created: NOW,
        modified: NOW,
    };
    let account = |number: u32, username: &str| {
        let hash = hash_new(b"secret", &parameters, &mut ArgonMemory::new()).expect("a hash");
        Account {
            number: AccountNumber::new(number),
            uuid: Uuid::from_u128(u128::from(number)),
            username: username.to_owned(),
            kind: AccountKind::Internal,
            name: String::new(),
            email: String::new(),
            is_active: true,
            attributes: Vec::new(),
            object_classes: Vec::new(),
            password: Some(Password { hash: HashText::new(hash), generation: 0, seeded: None }),
            placements: Vec::new(),
            roles: Vec::new(),
            grants: Vec::new(),
            created: NOW,
            modified: NOW,
        }
    };
    let records = [
        Record::Provider(provider),
        Record::Account(account(1, "app")),
        Record::Account(account(2, "hidden")),
    ];
    let store = Arc::new(MemoryStore::new());
    let counters = Counters { next_number: 10, next_object: 10, next_event: 1 };
    let changes = records.into_iter().map(Change::Put).collect();
    store.commit(&Batch { changes, counters, seeded: true }).expect("a commit");
    let hashing = HashPoolSettings {
        threads: NonZeroUsize::new(1),
        parameters,
        niceness: 0,
        ..HashPoolSettings::default()
    };
    Registry::open(
        store,
        RegistrySettings { hashing, verified_secrets_max: 8, ..RegistrySettings::default() },
    )
    .expect("a registry")
});

static PAGES: LazyLock<Arc<Pages>> =
    LazyLock::new(|| Pages::new(&Limits::default()).expect("random numbers"));

static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
});

/// Message 1: a simple bind as `app` with the right password.
const BIND: &[u8] = b"\x30\x15\x02\x01\x01\x60\x10\x02\x01\x03\x04\x03app\x80\x06secret";

fuzz_target!(|octets: &[u8]| {
    let Some((first, sent)) = octets.split_first() else { return };
    let settings = SessionSettings {
        plain_bind: PlainBind::Never,
        limits: Limits::default(),
        offers_start_tls: true,
        expiry_warning: Duration::from_secs(86_400),
        rotation_overlap: Duration::from_secs(3_600),
        pages: PAGES.clone(),
    };
    let peer = SessionPeer { source: None, is_loopback: false };
    let is_tls = first & 1 == 1;
    let mut session = Session::new(REGISTRY.clone(), Arc::new(settings), peer, is_tls);
    let clock = Clock { now: NOW, instant: Instant::now() };
    let mut stream = if first & 0x80 == 0 { Vec::new() } else { BIND.to_vec() };
    stream.extend_from_slice(sent);
    let piece = usize::from(first >> 1 & 0x3f) + 1;
    let (mut input, mut output) = (Vec::new(), Vec::new());
    'conversation: for piece in stream.chunks(piece) {
        input.extend_from_slice(piece);
        loop {
            let taken = session.receive(&input, &mut output, clock);
            input.drain(..taken);
            match session.next() {
                Next::Read if taken > 0 && !input.is_empty() => {}
                Next::Read => break,
                Next::Work => session.work(&mut output, clock),
                Next::Hash => {
                    let outcome = session.attempt().map(|attempt| {
                        loop {
                            match attempt.outcome.try_recv() {
                                Ok(outcome) => break outcome,
                                Err(_) => std::thread::yield_now(),
                            }
                        }
                    });
                    session.conclude(outcome, &mut output, clock);
                }
                Next::Change => {
                    let changed = session.change().map(|change| RUNTIME.block_on(change));
                    if let Some(changed) = changed {
                        session.conclude_change(changed, &mut output);
                    }
                }
                Next::StartTls | Next::Close => break 'conversation,
            }
        }
    }
    // Everything that is said is a message, and nobody hears of the account that it may not see.
    let mut rest = output.as_slice();
    while !rest.is_empty() {
        let frame = frame::next(rest, usize::MAX).expect("an answer").expect("a whole answer");
        if frame.operation == 0x64 {
            assert!(!frame.body.windows(6).any(|window| window == b"hidden"));
        }
        rest = &rest[frame.octets.len()..];
    }
});
