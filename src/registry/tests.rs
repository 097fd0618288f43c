//! What the writer promises to every command, whatever becomes of the one before it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use super::commands::testing::{account, actor, apply, provider, registry_over, wait};
use crate::config::Seed;
use crate::model::AccountKind;
use crate::store::SledStore;

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
