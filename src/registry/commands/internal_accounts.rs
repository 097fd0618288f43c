//! Makes the accounts of bindery's own parts where they are missing, and frees their names.

use super::{account, validate};
use crate::directory::Accounts;
use crate::model::{Account, AccountKind, AccountNumber, InternalAccount, Origin, Record, TombstoneOf};
use crate::registry::transaction::name_form;
use crate::registry::{ChangeError, Transaction};

/// Whether all of them are there.
pub(in crate::registry) fn are_kept(accounts: &Accounts) -> bool {
    InternalAccount::ALL.into_iter().all(|internal| accounts.account(internal.number()).is_some())
}

/// Makes those that are missing. Whoever has a name that is theirs, from when it was free, gets another: it is told in the
/// log and by an event.
pub(in crate::registry) fn keep(transaction: &mut Transaction<'_>) -> Result<(), ChangeError> {
    let accounts = transaction.snapshot().accounts();
    let is_bearer = |number: AccountNumber| InternalAccount::of_number(number).is_none();
    let bearers: Vec<AccountNumber> = accounts
        .accounts()
        .filter(|account| is_bearer(account.number) && validate::is_reserved(&account.username))
        .map(|account| account.number)
        .collect();
    for number in bearers {
        let Some(before) = transaction.account(number)? else { continue };
        let (username, modified) = (free_name(transaction, &before), transaction.now());
        let account = Account { username, modified, ..before.clone() };
        tracing::warn!(
            account = before.username,
            renamed = account.username,
            "an account had a name that only bindery's own parts have now, and was renamed: whoever binds as it or names it \
             needs the new name"
        );
        account::put(transaction, Some(&before), account)?;
    }
    let now = transaction.now();
    for internal in InternalAccount::ALL {
        if transaction.snapshot().accounts().account(internal.number()).is_some() {
            continue;
        }
        let kind = AccountKind::InternalServiceAccount;
        let username = internal.username().to_owned();
        let account = Account {
            name: internal.full_name().to_owned(),
            ..Account::new(internal.number(), username, kind, Origin::Server, now)
        };
        transaction.put(Record::Account(account))?;
    }
    Ok(())
}

/// A name for an account that cannot keep its own: like it, and nobody's yet in any provider.
fn free_name(transaction: &Transaction<'_>, account: &Account) -> String {
    let before = &account.username;
    let ends = before.char_indices().map(|(at, character)| at + character.len_utf8());
    let reserved = ends.filter_map(|end| before.split_at_checked(end));
    let rest = reserved.into_iter().find(|(beginning, _)| validate::is_reserved(beginning));
    let wanted = format!("bindery-{}", rest.map_or("", |(_, rest)| rest.trim()));
    let numbered = (2..=NAMES_TRIED).map(|place| format!("{wanted}-{place}"));
    let mut names = std::iter::once(wanted.clone()).chain(numbered);
    let free = names.find(|name| is_free(transaction, account, name));
    // Its own number is nobody else's.
    free.unwrap_or_else(|| format!("bindery-account-{}", account.number))
}

fn is_free(transaction: &Transaction<'_>, account: &Account, name: &str) -> bool {
    let snapshot = transaction.snapshot();
    let accounts = snapshot.accounts();
    let named = Account { username: name.to_owned(), ..account.clone() };
    validate::username(name).is_ok()
        && accounts.account_named(name).is_none()
        && !accounts.has_tombstone(&TombstoneOf::Account(name_form(name)))
        && snapshot.trees().iter().all(|tree| tree.check_account(&named, snapshot.schema()).is_ok())
}

const NAMES_TRIED: u32 = 100;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::access::{Credential, Holder};
    use crate::model::{Action, Actor, BindingSubject, Change, Grant, Intent, Permission};
    use crate::registry::commands::testing::{
        account, actor, apply, refused, registry, registry_over, verdict, wait,
    };
    use crate::registry::commands::{
        self, AccountChanges, ApplicationChanges, BindingChanges, Grantee, GroupChanges, NewPassword,
        NewToken,
    };
    use crate::registry::{Caller, EventQuery, Registry, Verdict};
    use crate::secret::Secret;
    use crate::store::{Batch, Counters, MemoryStore, Store};

    fn internal_accounts(registry: &Registry) -> Vec<(u32, String)> {
        let snapshot = registry.snapshot();
        let accounts = snapshot.accounts().accounts();
        let internal = accounts.filter(|account| account.kind == AccountKind::InternalServiceAccount);
        internal.map(|account| (account.number.get(), account.username.to_string())).collect()
    }

    fn created(registry: &Registry, username: &str) -> Result<AccountNumber, ChangeError> {
        let username = username.to_owned();
        let (kind, given) = (AccountKind::Internal, AccountChanges::default());
        wait(
            registry.change(actor(), move |transaction| {
                commands::create_account(transaction, username, kind, given)
            }),
        )
    }

    #[test]
    fn a_store_has_them_before_all_else_and_once() {
        let store = Arc::new(MemoryStore::new());
        let registry = registry_over(store.clone());
        let expected = [
            (2_147_483_644, "bindery:housekeeping".to_owned()),
            (2_147_483_645, "bindery:import".to_owned()),
            (2_147_483_646, "bindery:config".to_owned()),
            (2_147_483_647, "bindery:command-line".to_owned()),
        ];
        assert_eq!(internal_accounts(&registry), expected);
        assert!(!wait(registry.is_seeded()).unwrap());
        // They take nothing from the numbers of others, nor count as entries.
        assert_eq!(registry.snapshot().accounts().account_count(), 0);
        assert_eq!(created(&registry, "alice").unwrap(), AccountNumber::new(1));
        let made = EventQuery { actions: vec![Action::ModelCreated], ..EventQuery::newest(100) };
        let events = wait(registry.events(made)).unwrap();
        let housekeeping = Actor::internal(InternalAccount::Housekeeping);
        let of_them: Vec<_> = events.iter().filter(|event| event.actor == housekeeping).collect();
        assert_eq!(of_them.len(), InternalAccount::ALL.len());
        registry.close();

        let revision = store.meta().revision;
        let registry = registry_over(store.clone());
        assert_eq!(internal_accounts(&registry), expected);
        assert_eq!(store.meta().revision, revision);
        let record = store.get(&crate::model::Key::Account(InternalAccount::Config.number())).unwrap();
        assert!(matches!(record, Some(Record::Account(Account { origin: Origin::Server, .. }))));
    }

    #[test]
    fn whoever_has_such_a_name_from_before_gets_another_and_is_told_of() {
        let store = Arc::new(MemoryStore::new());
        let names = [
            ("bindery:config", "bindery-config-2"),
            ("BINDERY\u{ff1a}Other", "bindery-Other"),
            ("bindery:", "bindery-"),
            ("bindery-config", "bindery-config"),
            ("bindery", "bindery"),
            ("Bindery: Robot", "bindery-Robot"),
        ];
        let changes = names
            .iter()
            .zip(1..)
            .map(|((name, _), number)| Change::Put(Record::Account(crate::plain::account(number, name))));
        let counters = Counters { next_number: 10, ..Counters::default() };
        store
            .commit(&Batch { changes: changes.collect(), counters, seeded: true, ..Batch::default() })
            .unwrap();
        for _ in 0..2 {
            let registry = registry_over(store.clone());
            let snapshot = registry.snapshot();
            for ((_, expected), number) in names.iter().zip(1..) {
                let account = snapshot.accounts().account(AccountNumber::new(number)).unwrap();
                assert_eq!(&&*account.username, expected);
            }
            assert_eq!(internal_accounts(&registry).len(), InternalAccount::ALL.len());
            let renamed = EventQuery { actions: vec![Action::ModelUpdated], ..EventQuery::newest(100) };
            let events = wait(registry.events(renamed)).unwrap();
            let told: Vec<_> = events
                .iter()
                .flat_map(|event| &event.changes)
                .filter_map(|change| Some((change.before.clone()?, change.after.clone()?)))
                .collect();
            let renamed: Vec<_> = names.iter().filter(|(before, after)| before != after).collect();
            assert_eq!(told.len(), renamed.len(), "{told:?}");
            for (before, after) in renamed {
                assert!(told.contains(&((*before).to_owned(), (*after).to_owned())), "{before} {told:?}");
            }
            registry.close();
        }
        let registry = registry_over(store);
        assert!(wait(registry.is_seeded()).unwrap());
        assert_eq!(created(&registry, "alice").unwrap(), AccountNumber::new(10));
    }

    #[test]
    fn the_prefix_is_theirs_however_it_is_spelt() {
        let registry = registry();
        let reserved = "begins with `bindery:`";
        for name in [
            "bindery:config",
            "bindery:robot",
            "Bindery:Robot",
            "BINDERY:",
            "bindery\u{ff1a}robot",
            "\u{ff22}indery:robot",
            "bin\u{ad}dery:robot",
        ] {
            let problem = refused(created(&registry, name));
            assert!(problem.contains(reserved) || problem.contains("exists"), "{name:?}: {problem}");
            assert!(
                refused(apply(
                    &registry,
                    &crate::config::Seed {
                        accounts: vec![account(name, AccountKind::ServiceAccount)],
                        ..crate::config::Seed::default()
                    }
                ))
                .contains("bindery"),
                "{name:?}"
            );
        }
        let alice = created(&registry, "alice").unwrap();
        let renamed = wait(registry.change(actor(), move |transaction| {
            let changes =
                AccountChanges { username: Some("bindery:robot".to_owned()), ..AccountChanges::default() };
            commands::update_account(transaction, alice, changes)
        }));
        assert!(refused(renamed).contains(reserved));
        for name in ["bindery", "bindery-config", "a bindery:config", "bindery config"] {
            created(&registry, name).unwrap();
        }
    }

    /// The operator, and a superuser.
    fn callers(registry: &Registry) -> [Caller; 2] {
        let root = created(registry, "root").unwrap();
        let made = wait(registry.change(actor(), move |transaction| {
            let changes = GroupChanges { is_superuser: Some(true), ..GroupChanges::default() };
            let admins = commands::create_group(transaction, "admins".to_owned(), changes)?;
            commands::set_member(transaction, admins, root, true)?;
            let mut root = transaction.account(root)?.unwrap();
            let password = crate::plain::password("$argon2id$");
            root.password = Some(crate::model::Password { generation: 1, ..password });
            transaction.put(Record::Account(root))
        }));
        made.unwrap();
        let holder = Holder { account: root, credential: Credential::Password { generation: 1 } };
        let superuser = Caller::account(holder, Actor { number: Some(root), ..Actor::named("root") });
        [Caller::from(actor()), superuser]
    }

    #[test]
    fn nobody_changes_deletes_fills_or_binds_one() {
        let registry = registry();
        for caller in callers(&registry) {
            for internal in InternalAccount::ALL {
                let number = internal.number();
                let kept = "bindery makes and keeps it";
                let change = |command: fn(&mut Transaction<'_>, AccountNumber) -> Result<(), ChangeError>| {
                    refused(wait(
                        registry.change(caller.clone(), move |transaction| command(transaction, number)),
                    ))
                };
                type Command = fn(&mut Transaction<'_>, AccountNumber) -> Result<(), ChangeError>;
                let changes: [Command; 13] = [
                    |transaction, number| {
                        changed(transaction, number, |it| it.name = Some("Mine".to_owned()))
                    },
                    |transaction, number| changed(transaction, number, |it| it.is_active = Some(false)),
                    |transaction, number| {
                        changed(transaction, number, |it| it.username = Some("mine".to_owned()))
                    },
                    |transaction, number| {
                        changed(transaction, number, |it| it.kind = Some(AccountKind::Internal))
                    },
                    |transaction, number| {
                        changed(transaction, number, |it| it.kind = Some(AccountKind::ServiceAccount))
                    },
                    |transaction, number| {
                        let grant = Grant { permission: Permission::ViewUser, on: None };
                        changed(transaction, number, |it| it.grants = Some(vec![grant]))
                    },
                    |transaction, number| changed(transaction, number, |it| it.roles = Some(Vec::new())),
                    |transaction, number| changed(transaction, number, |it| it.groups = Some(Vec::new())),
                    |transaction, number| {
                        let name = "readers".to_owned();
                        let role =
                            commands::create_role(transaction, name, commands::RoleChanges::default())?;
                        commands::set_role_of_account(transaction, role, number, true)
                    },
                    commands::delete_account,
                    |transaction, number| {
                        let groups = transaction.snapshot().accounts();
                        let admins = groups.group_named("admins").map(|group| group.number).unwrap();
                        commands::set_member(transaction, admins, number, true).map(drop)
                    },
                    |transaction, number| {
                        let grants = [Grant { permission: Permission::ViewUser, on: None }];
                        commands::set_grants(transaction, Grantee::Account(number), &grants, true)
                    },
                    |transaction, number| {
                        let slug = "wiki".to_owned();
                        let application =
                            commands::create_application(transaction, slug, ApplicationChanges::default())?;
                        let subject = BindingSubject::Account(number);
                        commands::create_binding(transaction, application, subject, BindingChanges::default())
                            .map(drop)
                    },
                ];
                for (place, command) in changes.into_iter().enumerate() {
                    let problem = change(command);
                    assert!(problem.contains(kept), "{place} {internal:?}: {problem}");
                }
            }
        }
        assert_eq!(internal_accounts(&registry).len(), InternalAccount::ALL.len());
    }

    fn changed(
        transaction: &mut Transaction<'_>,
        number: AccountNumber,
        say: impl FnOnce(&mut AccountChanges),
    ) -> Result<(), ChangeError> {
        let mut changes = AccountChanges::default();
        say(&mut changes);
        commands::update_account(transaction, number, changes)
    }

    #[test]
    fn nobody_gives_one_a_secret_and_nobody_binds_as_one() {
        let registry = registry();
        let callers = callers(&registry);
        for internal in InternalAccount::ALL {
            for caller in &callers {
                let new = NewToken {
                    identifier: "mine".to_owned(),
                    account: internal.username().to_owned(),
                    intent: Intent::Api,
                    expiring: Some(false),
                    expires: None,
                    description: String::new(),
                    networks: Vec::new(),
                    retrievable: false,
                };
                let problem = refused(wait(registry.create_token(caller.clone(), new)));
                assert!(problem.contains("bindery makes and keeps it"), "{problem}");
                let password = NewPassword::Secret(Secret::from("a password of mine".to_owned()));
                let set = registry.set_account_password(caller.clone(), internal.number(), password);
                assert!(refused(wait(set)).contains("bindery makes and keeps it"));
            }
            for name in [internal.username().to_owned(), internal.username().to_uppercase()] {
                assert!(matches!(verdict(&registry, &name, b"a password of mine"), Verdict::Refused(_)));
            }
        }
    }
}
