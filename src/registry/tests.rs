//! What the writer promises to every command, whatever becomes of the one before it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::commands::testing::{account, actor, apply, provider, registry, registry_over, wait};
use super::{ChangeError, Transaction};
use crate::config::Seed;
use crate::model::{AccountKind, Event, Key, Record};
use crate::store::{Batch, MemoryStore, Meta, SledStore, Store, StoreError};

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
    let store = Arc::new(SledStore::open(directory.path()).unwrap());
    let registry = registry_over(store.clone());
    apply(&registry, &seed()).unwrap();
    store.close_as_full();
    wait(registry.set_account_active(actor(), "alice".to_owned(), false)).unwrap();
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
            registry.set_account_active(actor(), "bob".to_owned(), false)
        )
    });
    assert!(matches!(panicked, Err(ChangeError::Panicked)), "{panicked:?}");
    assert!(matches!(rehearsed, Err(ChangeError::Panicked)), "{rehearsed:?}");
    changed.unwrap();
    let snapshot = registry.snapshot();
    assert!(snapshot.accounts().account_named("alice").is_some());
    assert!(!snapshot.accounts().account_named("bob").unwrap().is_active);
}

/// A store in memory whose commits panic when told to.
#[derive(Default)]
struct PanickingStore {
    records: MemoryStore,
    panics: AtomicBool,
}

impl Store for PanickingStore {
    fn load(&self, visit: &mut dyn FnMut(Record)) -> Result<Meta, StoreError> {
        self.records.load(visit)
    }

    fn get(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        self.records.get(key)
    }

    fn commit(&self, batch: &Batch) -> Result<Meta, StoreError> {
        assert!(!self.panics.load(Ordering::Relaxed), "an error in the store");
        self.records.commit(batch)
    }

    fn events(&self, after: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        self.records.events(after, limit)
    }

    fn resume(&self) -> Result<(), StoreError> {
        self.records.resume()
    }
}

#[test]
fn the_end_of_the_writer_is_noticed_and_called_by_its_name() {
    let store = Arc::new(PanickingStore::default());
    let registry = registry_over(store.clone());
    apply(&registry, &seed()).unwrap();
    let ended = registry.writer_ended().unwrap();
    assert!(!ended.is_cancelled());
    store.panics.store(true, Ordering::Relaxed);
    for _ in 0..2 {
        let answer = wait(registry.set_account_active(actor(), "bob".to_owned(), false));
        assert!(matches!(answer, Err(ChangeError::WriterStopped)), "{answer:?}");
        wait(ended.cancelled());
    }
    registry.close();
}
