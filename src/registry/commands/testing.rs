//! What the tests of commands share: a registry in memory with hashes that cost nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::future::Future;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use super::{AccountChanges, NewSecret, ProviderChanges, SeedOptions, SeedPlan, update_account};
use crate::access::Entitlements;
use crate::auth::{Argon2Parameters, HashBounds, HashPoolSettings, TokenKeys, TokenSecret};
use crate::config::{
    Seed, SeedAccount, SeedBinding, SeedGrant, SeedGroup, SeedProvider, SeedRole, SeedSubject, SeedToken,
};
use crate::directory::{EntryId, Snapshot, Tree};
use crate::model::{AccountKind, AccountNumber, Actor, Intent, InternalAccount, Key, Origin, Timestamp};
use crate::registry::origins::{origin, with_origin};
use crate::registry::{
    Authentication, ChangeError, EventQuery, NewToken, Registry, RegistrySettings, Transaction, Verdict,
};
use crate::store::{MemoryStore, Store};

pub(crate) fn registry() -> Arc<Registry> {
    registry_over(Arc::new(MemoryStore::new()))
}

pub(crate) fn registry_over(store: Arc<dyn Store>) -> Arc<Registry> {
    let token_keys = TokenKeys::of(1, Some(2));
    registry_with(store, RegistrySettings { token_keys, ..RegistrySettings::default() })
}

/// The same with settings of one's own, but for the hashes.
pub(crate) fn registry_with(store: Arc<dyn Store>, settings: RegistrySettings) -> Arc<Registry> {
    let settings = RegistrySettings {
        hashing: HashPoolSettings {
            threads: NonZeroUsize::new(1),
            niceness: 0,
            parameters: Argon2Parameters::new(8, 1, 1).unwrap(),
            stored_memory_kib_max: 64,
            ..HashPoolSettings::default()
        },
        bounds: HashBounds { memory_kib_max: 64, ..HashBounds::default() },
        verified_secrets_max: 64,
        ..settings
    };
    Registry::open(store, settings).unwrap()
}

pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

/// Whose these objects are.
pub(crate) fn origins(registry: &Registry, keys: Vec<Key>) -> Vec<Origin> {
    let read = move |transaction: &mut Transaction<'_>| {
        Ok(keys.iter().filter_map(|key| origin(&transaction.stored(key).unwrap()?)).collect())
    };
    wait(registry.rehearse(read)).unwrap()
}

/// Makes these objects what this is the origin of.
pub(crate) async fn set_origins(registry: &Registry, keys: Vec<Key>, origin: Origin) {
    let given = registry.change(actor(), move |transaction| {
        keys.iter().try_for_each(|key| {
            let record = transaction.stored(key)?.unwrap();
            transaction.put(with_origin(record, origin))
        })
    });
    given.await.unwrap();
}

pub(crate) fn actor() -> Actor {
    Actor::internal(InternalAccount::Config)
}

pub(crate) async fn set_active(
    registry: &Registry,
    username: String,
    is_active: bool,
) -> Result<(), ChangeError> {
    registry
        .change(actor(), move |transaction| {
            let number = account_named(transaction, &username)?;
            let changes = AccountChanges { is_active: Some(is_active), ..AccountChanges::default() };
            update_account(transaction, number, changes)
        })
        .await
}

/// The account of this name.
fn account_named(transaction: &Transaction<'_>, username: &str) -> Result<AccountNumber, ChangeError> {
    let found = transaction.snapshot().accounts().account_named(username).map(|account| account.number);
    found.ok_or_else(|| ChangeError::NotFound { kind: "account", name: username.to_owned() })
}

pub(crate) async fn delete_account(registry: &Registry, username: String) -> Result<(), ChangeError> {
    registry
        .change(actor(), move |transaction| {
            let number = account_named(transaction, &username)?;
            super::delete_account(transaction, number)
        })
        .await
}

pub(crate) fn provider(name: &str, base_dn: &str) -> SeedProvider {
    let (base_dn, is_default) = (Some(base_dn.to_owned()), Some(true));
    SeedProvider {
        name: name.to_owned(),
        said: ProviderChanges { base_dn, is_default, ..ProviderChanges::default() },
    }
}

pub(crate) fn role(name: &str, permissions: Vec<SeedGrant>) -> SeedRole {
    SeedRole { name: name.to_owned(), permissions: Some(permissions), ..SeedRole::default() }
}

pub(crate) fn account(username: &str, kind: AccountKind) -> SeedAccount {
    let said = AccountChanges { kind: Some(kind), ..AccountChanges::default() };
    SeedAccount { username: username.to_owned(), said, ..SeedAccount::default() }
}

pub(crate) fn group(name: &str, members: &[&str]) -> SeedGroup {
    let members = Some(members.iter().map(ToString::to_string).collect());
    SeedGroup { name: name.to_owned(), members, ..SeedGroup::default() }
}

pub(crate) fn token(identifier: &str, account: &str) -> SeedToken {
    SeedToken { identifier: identifier.to_owned(), account: account.to_owned(), ..SeedToken::default() }
}

/// A binding that takes part.
pub(crate) fn bound(subject: SeedSubject) -> SeedBinding {
    SeedBinding { subject, order: 0, negate: false, enabled: true }
}

/// A token that does not expire.
pub(crate) fn new_token(identifier: &str, account: &str, intent: Intent) -> NewToken {
    NewToken {
        identifier: identifier.to_owned(),
        account: account.to_owned(),
        intent,
        expiring: Some(false),
        expires: None,
        description: String::new(),
        networks: Vec::new(),
        retrievable: false,
    }
}

/// Generates what a plan needs.
pub(crate) fn secrets_for(plan: &SeedPlan) -> Vec<NewSecret> {
    let new = |needed: &super::NeededSecret| NewSecret {
        account: needed.account.clone(),
        identifier: needed.identifier.clone(),
        intent: needed.intent,
        expires: needed.expires,
        secret: TokenSecret::generate(needed.intent).unwrap().into_secret(),
    };
    plan.needed.iter().map(new).collect()
}

/// How many events a query asks for, its limit left aside, those of the last logins included.
pub(crate) fn count_events(registry: &Arc<Registry>, query: EventQuery) -> u64 {
    wait(async {
        registry.flush_before_reading().await;
        registry.fold_events(query, 0, |count, _| *count += 1).await.unwrap()
    })
}

/// Plans, generates and applies.
pub(crate) fn apply_with(
    registry: &Registry,
    seed: &Seed,
    options: &SeedOptions,
) -> Result<(SeedPlan, Vec<NewSecret>), ChangeError> {
    wait(async {
        let plan = registry.plan_seed(seed.clone(), options.clone()).await?;
        if plan.obstacles().next().is_some() {
            let revision = registry.snapshot().revision();
            let refused = registry.apply_seed(actor(), seed.clone(), options.clone(), Vec::new()).await;
            assert!(matches!(refused, Err(ChangeError::Conflict)), "{refused:?}");
            assert_eq!(registry.snapshot().revision(), revision, "it is applied whole, or not at all");
            return Ok((plan, Vec::new()));
        }
        let secrets = secrets_for(&plan);
        let applied = registry.apply_seed(actor(), seed.clone(), options.clone(), secrets.clone()).await?;
        assert_eq!(applied.diff, plan.diff);
        Ok((applied, secrets))
    })
}

pub(crate) fn apply(registry: &Registry, seed: &Seed) -> Result<(SeedPlan, Vec<NewSecret>), ChangeError> {
    apply_with(registry, seed, &SeedOptions::default())
}

/// The sentences of a change that must be refused.
pub(crate) fn refused<T>(result: Result<T, ChangeError>) -> String {
    match result {
        Ok(_) => panic!("this was not refused"),
        Err(error) => error.to_string(),
    }
}

/// Whether a name and a secret are accepted.
pub(crate) fn binds(registry: &Registry, name: &str, secret: &[u8]) -> bool {
    matches!(verdict(registry, name, secret), Verdict::Accepted(_))
}

/// The entries of a tree that have this value.
pub(crate) fn holders(snapshot: &Snapshot, tree: &Tree, attribute: &str, value: &str) -> Vec<EntryId> {
    super::validate::holders(snapshot, tree, attribute, value.as_bytes())
}

/// What becomes of a name and a secret.
pub(crate) fn verdict(registry: &Registry, name: &str, secret: &[u8]) -> Verdict {
    wait(verdict_of(registry, name, secret, None, Timestamp::now()))
}

/// The same of a client at `source`, at `now`.
pub(crate) async fn verdict_of(
    registry: &Registry,
    name: &str,
    secret: &[u8],
    source: Option<IpAddr>,
    now: Timestamp,
) -> Verdict {
    let mut entitlements = Entitlements::default();
    match registry.authenticate(name, secret, source, now, Instant::now(), &mut entitlements) {
        Authentication::Done(verdict) => verdict,
        Authentication::Pending(mut attempt) => {
            let outcome = (&mut attempt.outcome).await.ok();
            registry.conclude(&attempt, outcome, now, Instant::now(), &mut entitlements)
        }
    }
}
