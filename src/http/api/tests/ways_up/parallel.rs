//! Two callers at once: what is asked before a hash is computed is asked again where it is written, so whichever comes first,
//! the other is decided by what is there then.

use super::*;
use crate::access::Identity;
use crate::registry::commands::{AccountChanges, NewPassword, OwnSecret, update_account};
use crate::registry::{NewToken, Replaced, TokenChanges};
use crate::rounds::rounds;
use crate::secret::Secret;

fn secret() -> Secret {
    Secret::from("a long enough one".to_owned())
}

/// `robot`, by its token.
fn robot(doors: &Doors) -> Caller {
    let snapshot = doors.operator.registry.snapshot();
    let token = snapshot.accounts().token_named("robot-api").unwrap();
    let credential = Credential::Token { number: token.number, generation: token.generation };
    let holder = Holder { account: token.account, credential };
    Caller::account(holder, Actor { number: Some(token.account), ..Actor::named("robot") })
}

/// Lets something happen after a call has been looked at, and before it is written: its hash waits as long.
async fn meanwhile<T>(
    registry: &Registry,
    call: impl Future<Output = T>,
    happening: impl Future<Output = ()>,
) -> T {
    let held = registry.hash_pool().hold();
    let mut call = std::pin::pin!(call);
    std::future::poll_fn(|context| {
        assert!(call.as_mut().poll(context).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
    happening.await;
    drop(held);
    call.await
}

fn token_of(account: &str, identifier: &str) -> NewToken {
    NewToken {
        identifier: identifier.to_owned(),
        account: account.to_owned(),
        intent: crate::model::Intent::AppPassword,
        expiring: Some(false),
        expires: None,
        description: String::new(),
        networks: Vec::new(),
        retrievable: false,
    }
}

/// `bob`, with a password, and `eve`.
fn directory() -> Doors {
    let doors = Doors::new();
    doors.prepare(&[
        user("bob"),
        user("eve"),
        post("/core/users/{user:bob}/set_password/", json!({ "password": "a long enough one" })),
    ]);
    robot_holds(&doors, Held::AllBut(&["view_event"]));
    doors
}

fn number_of(doors: &Doors, name: &str) -> AccountNumber {
    doors.operator.registry.snapshot().accounts().account_named(name).unwrap().number
}

#[test]
fn of_two_who_take_one_name_one_has_it() {
    for round in 0..rounds(10) {
        let doors = directory();
        let registry = &doors.operator.registry;
        let (one, other) = wait(async {
            tokio::join!(
                registry.create_token(robot(&doors), token_of("bob", "same")),
                registry.create_token(operator(), token_of("eve", "same")),
            )
        });
        assert!(one.is_ok() != other.is_ok(), "{round}");
        let snapshot = registry.snapshot();
        let owner = snapshot.accounts().token_named("same").unwrap().account;
        assert_eq!(owner == number_of(&doors, "bob"), one.is_ok());
    }
}

/// The rights that an account gets while a secret of it is hashed.
#[test]
fn who_gets_rights_meanwhile_gets_no_secret_from_who_lacks_them() {
    for is_password in [false, true] {
        let doors = directory();
        let registry = &doors.operator.registry;
        let (caller, eve) = (robot(&doors), number_of(&doors, "eve"));
        let done = wait(async {
            if is_password {
                let set = registry.set_account_password(caller, eve, NewPassword::Secret(secret()));
                meanwhile(registry, set, give(&doors, "eve")).await
            } else {
                let made = registry.create_token(caller, token_of("eve", "late"));
                meanwhile(registry, made, give(&doors, "eve")).await.map(drop)
            }
        });
        assert!(matches!(done, Err(ChangeError::Refused(_))), "{done:?}");
        let snapshot = registry.snapshot();
        let eve = snapshot.accounts().account_named("eve").unwrap();
        assert!(eve.tokens.is_empty() && eve.password.is_none());
        assert_eq!(rights_of(&doors, "eve").grants.len(), 1);
    }
}

async fn give(doors: &Doors, name: &str) {
    let (number, grant) = (number_of(doors, name), global(Permission::ViewEvent));
    let given = doors.operator.registry.change(operator(), move |transaction| {
        let changes = AccountChanges { grants: Some(vec![grant]), ..AccountChanges::default() };
        update_account(transaction, number, changes)
    });
    given.await.unwrap();
}

/// A person who becomes a program, while somebody sets the password.
#[test]
fn no_program_has_a_password() {
    let become_program = async |doors: &Doors| {
        let number = number_of(doors, "bob");
        let changed = doors.operator.registry.change(operator(), move |transaction| {
            let changes = AccountChanges {
                kind: Some(AccountKind::ServiceAccount),
                drops_password: true,
                ..AccountChanges::default()
            };
            update_account(transaction, number, changes)
        });
        changed.await.unwrap();
    };
    for is_own in [false, true] {
        let doors = directory();
        let registry = doors.operator.registry.clone();
        let number = number_of(&doors, "bob");
        let (by_itself, provider) = {
            let snapshot = registry.snapshot();
            let bob = snapshot.accounts().account(number).unwrap();
            let generation = bob.password.as_ref().unwrap().generation;
            let provider = snapshot.default_tree().unwrap().provider().number;
            (Holder { account: number, credential: Credential::Password { generation } }, provider)
        };
        wait(async {
            if is_own {
                let identity = Identity { holder: by_itself, provider };
                let asked = OwnSecret { old: None, new: Some(secret()), overlap: std::time::Duration::ZERO };
                let set = registry.clone().change_own_secret(identity, None, asked);
                assert!(meanwhile(&registry, set, become_program(&doors)).await.is_err());
            } else {
                let set = registry.set_account_password(robot(&doors), number, NewPassword::Secret(secret()));
                assert!(meanwhile(&registry, set, become_program(&doors)).await.is_err());
            }
        });
        let snapshot = registry.snapshot();
        let bob = snapshot.accounts().account(number).unwrap();
        assert!(!bob.kind.is_person() && bob.password.is_none());
        assert!(!binds_as(&registry, "bob"));
    }
}

fn binds_as(registry: &Registry, name: &str) -> bool {
    crate::registry::commands::testing::binds(registry, name, secret().expose())
}

/// One secret is exchanged once, and nothing of one that is gone.
#[test]
fn a_secret_that_is_exchanged_or_revoked_meanwhile_is_exchanged_by_nobody_else() {
    for _ in 0..rounds(10) {
        let doors = directory();
        let registry = &doors.operator.registry;
        wait(registry.create_token(operator(), token_of("bob", "one"))).unwrap();
        let hour = std::time::Duration::from_secs(3_600);
        let (first, second) = wait(async {
            tokio::join!(
                registry.rotate_token(robot(&doors), "one".to_owned(), hour),
                registry.rotate_token(robot(&doors), "one".to_owned(), hour),
            )
        });
        // The one that comes second exchanges what the first has made, or nothing.
        let count = usize::from(first.is_ok()) + usize::from(second.is_ok());
        let of_bob = |registry: &Registry| {
            let snapshot = registry.snapshot();
            let bob = snapshot.accounts().account_named("bob").unwrap();
            bob.tokens.len()
        };
        assert!(count >= 1 && of_bob(registry) == 1 + count, "{first:?} {second:?}");

        let revoked = async {
            registry.revoke_token(operator(), "one".to_owned(), Replaced::End).await.unwrap();
        };
        let given = TokenChanges { account: Some("eve".to_owned()), ..TokenChanges::default() };
        let given = registry.update_token(robot(&doors), "one".to_owned(), given);
        let given = wait(meanwhile(registry, given, revoked));
        assert!(matches!(given, Err(ChangeError::NotFound { .. })), "{given:?}");
        let snapshot = registry.snapshot();
        assert!(snapshot.accounts().account_named("eve").unwrap().tokens.is_empty());
    }
}

/// Behind the end of a caller, nothing of it is written.
#[test]
fn who_is_shut_out_meanwhile_changes_nothing() {
    for is_deactivated in [false, true] {
        let doors = directory();
        let registry = &doors.operator.registry;
        let number = number_of(&doors, "robot");
        let made = registry.create_token(robot(&doors), token_of("robot", "late"));
        let ended = async {
            if is_deactivated {
                let off = AccountChanges { is_active: Some(false), ..AccountChanges::default() };
                registry.change(operator(), move |it| update_account(it, number, off)).await.unwrap();
            } else {
                let revoked = registry.revoke_token(operator(), "robot-api".to_owned(), Replaced::End);
                revoked.await.unwrap();
            }
        };
        let made = wait(meanwhile(registry, made, ended));
        assert!(matches!(made, Err(ChangeError::NotAuthenticated(_))), "{made:?}");
        assert!(registry.snapshot().accounts().token_named("late").is_none());
    }
}
