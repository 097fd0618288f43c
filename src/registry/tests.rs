//! What the writer promises to every command, whatever becomes of the one before it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::commands::testing::{
    account, actor, apply, apply_with, binds, delete_account, group, new_token, provider, refused, registry,
    registry_over, registry_with, set_active, verdict, wait,
};
use super::{Caller, ChangeError, Registry, RegistrySettings, Rules, SeedOptions, Transaction, Verdict};
use crate::access::{Credential, Holder};
use crate::auth::{TokenKeys, TokenSecret};
use crate::config::{Limit, Seed, SeedAccount, SeedProvider, SeedSecret};
use crate::model::{AccountKind, Intent, Record, Timestamp, Trail};
use crate::secret::Secret;
use crate::seldom::{self, Seldom};
use crate::store::{Call, DiskStore, Fate, FaultyStore, MemoryStore, RECORD_OCTETS_MAX, StoreError};

fn seed() -> Seed {
    Seed {
        providers: vec![provider("ldap", "dc=example,dc=com")],
        accounts: vec![account("alice", AccountKind::Internal), account("bob", AccountKind::Internal)],
        ..Seed::default()
    }
}

#[test]
fn changes_go_on_once_a_full_disk_has_space_again() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(DiskStore::open(directory.path()).unwrap());
    let registry = registry_over(store.clone());
    apply(&registry, &seed()).unwrap();
    store.close_as_full();
    wait(set_active(&registry, "alice".to_owned(), false)).unwrap();
    let snapshot = registry.snapshot();
    assert!(!snapshot.accounts().account_named("alice").unwrap().is_active);
}

#[test]
fn a_command_that_panics_fails_alone() {
    let registry = registry();
    apply(&registry, &seed()).unwrap();
    let panics = |transaction: &mut Transaction<'_>| -> Result<(), ChangeError> {
        let alice = transaction.snapshot().accounts().account_named("alice").unwrap().number;
        transaction.delete_account(alice)?;
        panic!("an error in a command")
    };
    let (panicked, rehearsed, changed) = wait(async {
        // In one group, or the writer has begun: either way each is for itself.
        tokio::join!(
            registry.change(actor(), panics),
            registry.rehearse(panics),
            set_active(&registry, "bob".to_owned(), false)
        )
    });
    assert!(matches!(panicked, Err(ChangeError::Panicked)), "{panicked:?}");
    assert!(matches!(rehearsed, Err(ChangeError::Panicked)), "{rehearsed:?}");
    changed.unwrap();
    let snapshot = registry.snapshot();
    assert!(snapshot.accounts().account_named("alice").is_some());
    assert!(!snapshot.accounts().account_named("bob").unwrap().is_active);
}

/// A store in memory whose calls of this kind meet with `fate` while the flag is set.
fn faulty(
    kind: Call,
    fate: impl Fn() -> Fate + Send + Sync + 'static,
) -> (Arc<FaultyStore>, Arc<AtomicBool>) {
    let flag = Arc::new(AtomicBool::new(false));
    let is_set = Arc::clone(&flag);
    let store = FaultyStore::over(Arc::new(MemoryStore::new()), move |call| {
        if call == kind && is_set.load(Ordering::Relaxed) { fate() } else { Fate::CarriedOut }
    });
    (Arc::new(store), flag)
}

#[test]
fn the_end_of_the_writer_is_noticed_and_called_by_its_name() {
    let (store, panics) = faulty(Call::Commit, || panic!("an error in the store"));
    let registry = registry_over(store);
    apply(&registry, &seed()).unwrap();
    let ended = registry.writer_ended().unwrap();
    assert!(!ended.is_cancelled());
    panics.store(true, Ordering::Relaxed);
    for _ in 0..2 {
        let answer = wait(set_active(&registry, "bob".to_owned(), false));
        assert!(matches!(answer, Err(ChangeError::WriterStopped)), "{answer:?}");
        wait(ended.cancelled());
    }
    registry.close();
}

/// Holds the writer in a command of its own until all others wait, so that they are one group.
async fn hold(registry: &Registry, waiting: std::sync::mpsc::Receiver<()>) {
    let held = registry.change(actor(), move |_| {
        waiting.recv().unwrap();
        Ok(())
    });
    // Where it is of the same group, it fails with them.
    let _ = held.await;
}

#[test]
fn callers_are_told_when_too_many_changes_wait() {
    let settings = RegistrySettings { commands_waiting_max: 1, ..RegistrySettings::default() };
    let registry = registry_with(Arc::new(MemoryStore::new()), settings);
    apply(&registry, &seed()).unwrap();
    let account = registry.snapshot().accounts().account_named("alice").unwrap().number;
    let of_api =
        || Caller::account(Holder { account, credential: Credential::Password { generation: 1 } }, actor());
    let (begins, begun) = std::sync::mpsc::channel();
    let (release, waiting) = std::sync::mpsc::channel::<()>();
    let nothing = |_: &mut Transaction<'_>| Ok(());
    let (held, first, second, ours, _) = wait(async {
        tokio::join!(
            registry.change(actor(), move |_| {
                begins.send(()).unwrap();
                waiting.recv().unwrap();
                Ok(())
            }),
            async {
                begun.recv().unwrap();
                registry.change(of_api(), nothing).await
            },
            registry.change(of_api(), nothing),
            // The operator's own wait beside them.
            registry.change(actor(), nothing),
            async move { release.send(()).unwrap() },
        )
    });
    held.unwrap();
    assert!(!matches!(first, Err(ChangeError::Busy)), "{first:?}");
    assert!(matches!(second, Err(ChangeError::Busy)), "{second:?}");
    ours.unwrap();
    assert_eq!(registry.reached().count(Limit::commands_waiting_max), 1);
}

/// Nothing is kept of a request that is refused already, whatever it asks for and whatever becomes of it.
#[test]
fn what_is_refused_already_is_not_carried_out() {
    let registry = registry();
    apply(&registry, &seed()).unwrap();
    let revision = || registry.snapshot().revision();
    let (before, hashes) = (revision(), registry.hash_pool().counts().created);
    let operator = || Caller::from(actor()).refused();
    let number = registry.snapshot().accounts().account_named("alice").unwrap().number;
    let changed = wait(registry.change(operator(), |transaction| {
        let number = transaction.snapshot().accounts().account_named("bob").unwrap().number;
        super::commands::delete_account(transaction, number)
    }));
    let password = super::commands::NewPassword::Secret(Secret::from("long enough".to_owned()));
    let results = [
        changed.err(),
        wait(registry.set_account_password(operator(), number, password)).err(),
        wait(registry.unlock_account(operator(), number)).err(),
        wait(registry.create_token(operator(), new_token("new", "alice", Intent::Api))).err(),
    ];
    for refusal in results {
        // Why is told by who has read it.
        assert!(matches!(&refusal, Some(ChangeError::Fields(fields)) if fields.is_empty()), "{refusal:?}");
    }
    assert_eq!((revision(), registry.hash_pool().counts().created), (before, hashes));
    wait(registry.change(actor(), |_| Ok(()))).unwrap();
    assert!(registry.snapshot().accounts().account_named("bob").is_some());
}

fn set_name(
    name: &'static str,
    size: usize,
) -> impl FnOnce(&mut Transaction<'_>) -> Result<(), ChangeError> + Send + 'static {
    move |transaction| {
        let number = transaction.snapshot().accounts().account_named(name).unwrap().number;
        let mut account = transaction.account(number)?.unwrap();
        account.name = "x".repeat(size);
        transaction.put(Record::Account(account))
    }
}

#[test]
fn what_is_too_large_fails_alone() {
    let registry = registry();
    apply(&registry, &seed()).unwrap();
    let (release, waiting) = std::sync::mpsc::channel();
    let ((), before, large, after, _) = wait(async {
        tokio::join!(
            hold(&registry, waiting),
            registry.change(actor(), set_name("alice", 10)),
            registry.change(actor(), set_name("bob", RECORD_OCTETS_MAX)),
            set_active(&registry, "bob".to_owned(), false),
            async move { release.send(()) },
        )
    });
    before.unwrap();
    assert!(matches!(large, Err(ChangeError::Store(error)) if matches!(*error, StoreError::TooLarge { .. })));
    after.unwrap();
}

#[test]
fn a_refusal_is_told_once_what_it_rests_on_is_committed() {
    let store = Arc::new(MemoryStore::new());
    let registry = registry_over(store.clone());
    apply(&registry, &seed()).unwrap();
    store.set_full(true);
    let (release, waiting) = std::sync::mpsc::channel();
    let gone = || delete_account(&registry, "bob".to_owned());
    let ((), first, refused, _) = wait(async {
        tokio::join!(hold(&registry, waiting), gone(), gone(), async move { release.send(()) })
    });
    assert!(matches!(first, Err(ChangeError::Store(_))), "{first:?}");
    assert!(matches!(refused, Err(ChangeError::Store(_))), "there is a bob: {refused:?}");
    // Nothing stands before this one.
    let refused = wait(delete_account(&registry, "nobody".to_owned()));
    assert!(matches!(refused, Err(ChangeError::NotFound { .. })), "{refused:?}");
}

fn seed_with_groups() -> Seed {
    let mut inner = group("inner", &["bob"]);
    inner.parents = Some(vec!["staff".to_owned()]);
    Seed { groups: vec![group("staff", &["alice"]), inner], ..seed() }
}

#[test]
fn no_membership_is_committed_without_its_event() {
    let full = || Fate::Fails(StoreError::Full { path: "memory".into(), free: None, needed: None });
    let (store, is_unreadable) = faulty(Call::Get, full);
    let registry = registry_over(store);
    apply(&registry, &seed_with_groups()).unwrap();
    let join = |transaction: &mut Transaction<'_>| {
        let accounts = transaction.snapshot().accounts();
        let bob = accounts.account_named("bob").unwrap().number;
        let staff = accounts.group_named("staff").unwrap().number;
        transaction.set_member(staff, bob, true)
    };
    is_unreadable.store(true, Ordering::Relaxed);
    assert!(matches!(wait(registry.change(actor(), join)), Err(ChangeError::Store(_))));
    assert_eq!(registry.snapshot().accounts().group_named("staff").unwrap().members().count(), 2);
    is_unreadable.store(false, Ordering::Relaxed);
    assert!(wait(registry.change(actor(), join)).unwrap());
}

#[test]
fn the_event_of_a_membership_names_an_account_that_is_gone() {
    let registry = registry();
    apply(&registry, &seed_with_groups()).unwrap();
    wait(delete_account(&registry, "alice".to_owned())).unwrap();
    let events = registry.store().events(Trail::Changes, 0, usize::MAX).unwrap();
    let last = events.iter().rev().find(|event| event.object_name == "staff").unwrap();
    assert_eq!(last.changes[0].before.as_deref(), Some("alice"));
}

/// Clients that look for what changed since they last asked see a group whose nested groups changed.
#[test]
fn a_group_that_joins_or_leaves_another_changes_its_members() {
    let store = Arc::new(MemoryStore::new());
    let registry = registry_over(store.clone());
    apply(&registry, &seed_with_groups()).unwrap();
    let long_ago = Timestamp::from_unix_seconds(1_000_000_000);
    let age = || {
        let age = move |transaction: &mut Transaction<'_>| {
            let staff = transaction.snapshot().accounts().group_named("staff").unwrap().number;
            let mut staff = transaction.group(staff)?.unwrap();
            staff.members_modified = long_ago;
            transaction.put(Record::Group(staff))
        };
        wait(registry.change(actor(), age)).unwrap();
    };
    let times = || {
        let snapshot = registry.snapshot();
        let staff = snapshot.accounts().group_named("staff").unwrap();
        (staff.modified, staff.members_modified)
    };
    age();
    let (modified, members_modified) = times();
    assert_eq!(members_modified, long_ago);

    let mut apart = seed_with_groups();
    apart.groups[1].parents = Some(Vec::new());
    apply(&registry, &apart).unwrap();
    assert!(times().1 > long_ago, "one left");
    age();
    apply(&registry, &seed_with_groups()).unwrap();
    assert!(times().1 > long_ago, "one joined");
    age();
    let mut pruned = seed_with_groups();
    pruned.groups.truncate(1);
    apply_with(&registry, &pruned, &SeedOptions { prune: true, ..SeedOptions::default() }).unwrap();
    assert!(times().1 > long_ago, "one was deleted");
    assert_eq!(times().0, modified, "the group itself is what it was");
}

/// A person whose password is the name.
fn person(name: &str) -> SeedAccount {
    let password = Some(SeedSecret::Given(Secret::from(name.to_owned())));
    SeedAccount { password, ..account(name, AccountKind::Internal) }
}

/// A registry in which a password may be as short as a name.
fn lenient() -> Arc<Registry> {
    let rules = Rules { password_length_min: 1, ..Rules::default() };
    let settings =
        RegistrySettings { rules, token_keys: TokenKeys::of(1, Some(2)), ..RegistrySettings::default() };
    registry_with(Arc::new(MemoryStore::new()), settings)
}

#[test]
fn a_domain_leads_to_the_provider_that_has_it() {
    let registry = lenient();
    let mut one = provider("one", "dc=example,dc=com");
    let mut two = provider("two", "o=two");
    two.said.domain = Some(Some("Example.com".to_owned()));
    two.said.is_default = Some(false);
    let accounts = vec![person("carol"), person("dora@example.com"), person("eve@elsewhere.org")];
    let seed = |one: &SeedProvider, two: &SeedProvider| Seed {
        providers: vec![one.clone(), two.clone()],
        accounts: accounts.clone(),
        ..Seed::default()
    };
    // One is given it, the other has it from its base DN.
    let refusal = refused(apply(&registry, &seed(&one, &two)));
    assert!(refusal.contains("`one` and `two` have the same domain"), "{refusal}");

    one.said.domain = Some(Some(String::new()));
    apply(&registry, &seed(&one, &two)).unwrap();
    let bound_to = |name: &str, secret: &str| match verdict(&registry, name, secret.as_bytes()) {
        Verdict::Accepted(identity) => {
            let snapshot = registry.snapshot();
            Some(snapshot.accounts().provider(identity.provider).unwrap().name.clone())
        }
        Verdict::Refused(_) => None,
    };
    assert_eq!(bound_to("carol@EXAMPLE.com", "carol").as_deref(), Some("two"));
    assert_eq!(bound_to("carol", "carol").as_deref(), Some("one"));
    // Usernames that are mail addresses.
    assert_eq!(bound_to("dora@example.com", "dora@example.com").as_deref(), Some("two"));
    assert_eq!(bound_to("eve@elsewhere.org", "eve@elsewhere.org").as_deref(), Some("one"));
    assert_eq!(bound_to("carol@elsewhere.org", "carol"), None);

    // None has it any more, though a base DN would give one.
    two.said.domain = Some(Some(String::new()));
    let plan = apply(&registry, &seed(&one, &two)).unwrap().0;
    assert_eq!(plan.diff[0].fields[0].after.as_deref(), Some("none"));
    assert_eq!(bound_to("carol@example.com", "carol"), None);
    assert_eq!(bound_to("carol", "carol").as_deref(), Some("one"));

    // Of several, a bare name needs one that is marked.
    one.said.is_default = Some(false);
    apply(&registry, &seed(&one, &two)).unwrap();
    assert_eq!(bound_to("carol", "carol"), None);
    assert_eq!(bound_to("cn=carol,ou=users,o=two", "carol").as_deref(), Some("two"));
}

#[test]
fn an_only_provider_takes_bare_names_and_the_domain_of_its_base_dn() {
    let registry = lenient();
    let mut only = provider("only", "dc=example,dc=com");
    only.said.is_default = None;
    let seed = Seed { providers: vec![only], accounts: vec![person("carol")], ..Seed::default() };
    apply(&registry, &seed).unwrap();
    assert!(binds(&registry, "carol", b"carol"));
    assert!(binds(&registry, "carol@example.com", b"carol"));
    assert!(!binds(&registry, "carol@example.org", b"carol"));
}

/// Providers without a domain in their base DN have none in common.
#[test]
fn no_domain_is_not_a_domain() {
    let registry = lenient();
    let mut other = provider("other", "o=other");
    other.said.is_default = None;
    let seed = Seed {
        providers: vec![provider("one", "o=one"), other],
        accounts: vec![person("carol")],
        ..Seed::default()
    };
    apply(&registry, &seed).unwrap();
    assert!(binds(&registry, "carol", b"carol"));
    assert!(!binds(&registry, "carol@localdomain", b"carol"));
    assert!(!binds(&registry, "carol@", b"carol"));
}

/// What is refused without a hash and without the throttle must not tell names by its time: the log shows the
/// name as it was typed, since nobody looked it up.
#[test]
fn a_secret_that_is_broken_or_unknown_is_refused_before_the_name_is_looked_up() {
    let registry = lenient();
    let seed = Seed { accounts: vec![person("carol")], ..seed() };
    apply(&registry, &seed).unwrap();
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let unknown = TokenSecret::generate(Intent::AppPassword).unwrap().into_secret();
    tracing::subscriber::with_default(subscriber, || {
        for secret in [unknown.expose(), b"bindery_app_broken"] {
            assert!(!binds(&registry, "CAROL", secret));
        }
        assert!(!binds(&registry, "CAROL", b"wrong"));
    });
    let lines = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<&str> = lines.lines().filter(|line| line.contains("login_failed")).collect();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    for line in &lines[..2] {
        assert!(line.contains("account=\"CAROL\" provider=\"\""), "{line}");
    }
    assert!(lines[2].contains("account=\"carol\" provider=\"ldap\""), "{}", lines[2]);
}

#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Each is told to who asked for it, and the log has one line a minute.
#[test]
fn what_is_refused_again_and_again_is_counted_and_told_seldom() {
    let count = |kind| seldom::counts().find(|(other, _)| *other == kind).unwrap().1;
    let store = Arc::new(MemoryStore::new());
    let registry = registry_over(store.clone());
    apply(&registry, &seed()).unwrap();
    let refused = count(Seldom::ChangeRefused);
    for _ in 0..3 {
        registry.change_later(actor(), |_| {
            Err(ChangeError::NotFound { kind: "account", name: "nobody".to_owned() })
        });
    }
    // Behind those.
    wait(delete_account(&registry, "alice".to_owned())).unwrap();
    assert!(count(Seldom::ChangeRefused) >= refused + 3);
    assert!(seldom::note(Seldom::ChangeRefused).is_none(), "it was told of within the last minute");
    let uncommitted = count(Seldom::NotCommitted);
    store.set_full(true);
    for _ in 0..3 {
        wait(delete_account(&registry, "bob".to_owned())).unwrap_err();
    }
    assert!(count(Seldom::NotCommitted) >= uncommitted + 3);
}

/// The product of a file and of all below it, each with its name.
fn product(path: &std::path::Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        match name.as_str() {
            "climb" | "tests" | "tests.rs" | "testing.rs" => {}
            _ if path.is_dir() => product(&path, found),
            _ => {
                let text = std::fs::read_to_string(&path).unwrap();
                let product = text.split("mod tests {").next().unwrap().to_owned();
                found.push((path.to_str().unwrap().to_owned(), product));
            }
        }
    }
}

/// A rule that is added where the records of a kind are put holds for all of them.
#[test]
fn records_are_put_by_the_writer_of_their_kind_alone() {
    let mut found = Vec::new();
    product(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    for (kind, writers) in [
        ("Account", &["commands/account.rs", "commands/internal_accounts.rs"][..]),
        ("Group", &["commands/group.rs"]),
        ("Role", &["commands/role.rs"]),
        ("Token", &["commands/token/mod.rs"]),
        ("Application", &["commands/application.rs"]),
        ("Provider", &["commands/provider.rs"]),
    ] {
        let puts = format!(".put(Record::{kind}(");
        let putting: Vec<&str> =
            found.iter().filter(|(_, text)| text.contains(&puts)).map(|(name, _)| name.as_str()).collect();
        assert!(!putting.is_empty(), "{kind}");
        let is_writer = |name: &&str| writers.iter().any(|writer| name.ends_with(writer));
        assert!(putting.iter().all(is_writer), "{kind}: {putting:?}");
    }
}
