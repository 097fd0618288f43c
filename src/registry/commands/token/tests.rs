//! Every command about tokens, allowed and refused; what it costs; what is left after a restart.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::auth::TokenKeys;
use crate::config::{ROTATION_OVERLAP_MAX, Seed, SeedGrant, SeedReference, SeedSecret};
use crate::model::{
    AccountKind, Action, Actor, Event, Grant, InternalAccount, ObjectReference, Origin, Tombstone, Trail,
};
use crate::registry::authenticate_api::ApiIdentity;
use crate::registry::commands::testing::{
    account, actor, apply, apply_with, binds, group, new_token, provider, refused, registry_with, set_active,
    set_origins, token, wait,
};
use crate::registry::{ApiRefusal, EventQuery, RegistrySettings, SeedOptions};
use crate::store::{MemoryStore, Store};

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const CHOSEN: &str = "a-secret-of-my-own-that-is-long-enough";

/// `helper` calls the API with these permissions; `robot` has none, `reader` may search, `root` may do everything.
fn registry_where(permissions: &[&str]) -> Arc<Registry> {
    registry_over(Arc::new(MemoryStore::new()), settings(), permissions)
}

fn settings() -> RegistrySettings {
    RegistrySettings {
        token_keys: TokenKeys::of(1, Some(2)),
        token_care: TokenCareSettings {
            expiry_warning: 14 * DAY,
            expired_tokens_kept: 30 * DAY,
            tombstones_kept: 365 * DAY,
        },
        ..RegistrySettings::default()
    }
}

fn registry_over(store: Arc<dyn Store>, settings: RegistrySettings, permissions: &[&str]) -> Arc<Registry> {
    let registry = registry_with(store, settings);
    apply(&registry, &seed(permissions)).unwrap();
    registry
}

fn seed(permissions: &[&str]) -> Seed {
    let grant = |text: &&str| {
        let (permission, on) = match text.split_once(" on ") {
            Some((permission, on)) => (permission, Some(on.parse::<SeedReference>().unwrap())),
            None => (*text, None),
        };
        SeedGrant { permission: permission.parse().unwrap(), on }
    };
    let mut accounts: Vec<_> = ["helper", "robot", "reader"]
        .map(|name| account(name, AccountKind::ServiceAccount))
        .into_iter()
        .chain([account("root", AccountKind::Internal)])
        .collect();
    accounts[0].permissions = Some(permissions.iter().map(grant).collect());
    accounts[2].permissions = Some(vec![grant(&"search_full_directory on provider:ldap")]);
    let mut admins = group("admins", &["root"]);
    admins.said.is_superuser = Some(true);
    Seed {
        providers: vec![provider("ldap", "dc=example,dc=com")],
        groups: vec![admins],
        accounts,
        ..Seed::default()
    }
}

fn new(identifier: &str, account: &str, intent: Intent) -> NewToken {
    let expires = Some(Expiry::In(100 * DAY));
    NewToken { expiring: Some(true), expires, ..new_token(identifier, account, intent) }
}

fn api(
    registry: &Registry,
    secret: &[u8],
    source: Option<IpAddr>,
    now: Timestamp,
) -> Result<ApiIdentity, ApiRefusal> {
    wait(registry.authenticate_api(secret, source, now))
}

fn calls(registry: &Registry, secret: &[u8]) -> bool {
    api(registry, secret, None, Timestamp::now()).is_ok()
}

/// An account as it calls the API, with a token that the operator has made for it.
fn caller(registry: &Registry, account: &str) -> Caller {
    let new = new(&format!("of-{account}"), account, Intent::Api);
    let made = wait(registry.create_token(actor(), new)).unwrap();
    let identity = api(registry, made.secret.expose(), None, Timestamp::now()).unwrap();
    let actor = Actor { token: Some(identity.token), ..Actor::named(&identity.account) };
    Caller::account(identity.holder, actor)
}

fn stored(registry: &Registry, identifier: &str) -> Token {
    Token::clone(registry.snapshot().accounts().token_named(identifier).unwrap())
}

fn grants_on(registry: &Registry, account: &str, token: TokenNumber) -> Vec<Permission> {
    let snapshot = registry.snapshot();
    let account = snapshot.accounts().account_named(account).unwrap();
    let on = Some(ObjectReference::Token(token));
    account.grants.iter().filter(|grant| grant.on == on).map(|grant| grant.permission).collect()
}

/// How many events of this action are about the token.
fn events(registry: &Registry, action: Action, name: &str) -> usize {
    let is_it = |event: &&Event| event.action == action && event.object_name == name;
    registry.store().events(Trail::of(action), 0, 10_000).unwrap().iter().filter(is_it).count()
}

fn change(registry: &Registry, identifier: &str, edit: impl FnOnce(&mut Token) + Send + 'static) {
    let mut token = stored(registry, identifier);
    edit(&mut token);
    wait(registry.change(actor(), move |transaction| transaction.put(Record::Token(token)))).unwrap();
}

fn is_forbidden<T>(result: &Result<T, ChangeError>, expected: Permission) -> bool {
    matches!(result, Err(ChangeError::Forbidden { permission }) if *permission == expected)
}

/// Whether it was refused because the account has a right that the caller lacks.
fn lacks_right<T>(result: &Result<T, ChangeError>, expected: Permission) -> bool {
    matches!(result, Err(ChangeError::Refused(sentence)) if sentence.contains(&expected.to_string()))
}

fn is_missing<T>(result: &Result<T, ChangeError>) -> bool {
    matches!(result, Err(ChangeError::NotFound { .. } | ChangeError::NotKept { .. }))
}

#[test]
fn who_makes_a_token_may_do_everything_with_it_and_sees_its_secret_once() {
    let registry = registry_where(&["add_token"]);
    let helper = caller(&registry, "helper");
    let made =
        wait(registry.create_token(helper.clone(), new("mine", "helper", Intent::AppPassword))).unwrap();
    assert!(binds(&registry, "helper", made.secret.expose()));
    let number = stored(&registry, "mine").number;
    let mut all: Vec<Permission> = ObjectReference::Token(number).permissions().collect();
    // What it holds on all tokens is not said of each.
    all.retain(|permission| *permission != Permission::AddToken);
    assert_eq!(grants_on(&registry, "helper", number), all);

    // From memory, by its creator, once.
    let view = |caller: Caller| wait(registry.view_token_key(caller, "mine".to_owned()));
    assert!(is_missing(&view(actor().into())), "the operator has not made it");
    assert_eq!(view(helper.clone()).unwrap(), made.secret);
    let again = view(helper.clone());
    assert!(is_missing(&again));
    assert!(refused(again).contains("kept only of a retrievable one"));
    assert_eq!(events(&registry, Action::SecretView, "mine"), 1);

    // Nobody else knows of it.
    let robot = caller(&registry, "robot");
    for result in [
        view(robot.clone()).map(drop),
        wait(registry.revoke_token(robot.clone(), "mine".to_owned(), Replaced::End)),
        wait(registry.update_token(robot.clone(), "mine".to_owned(), TokenChanges::default())),
        wait(registry.rotate_token(robot.clone(), "mine".to_owned(), HOUR)).map(drop),
        wait(registry.set_token_key(robot.clone(), "mine".to_owned(), made.secret.clone())),
    ] {
        assert!(is_missing(&result), "{result:?}");
    }
    assert!(is_forbidden(
        &wait(registry.create_token(robot, new("other", "robot", Intent::Api))),
        Permission::AddToken
    ));
    // With the tokens the grants go, at the latest when the next is made.
    wait(registry.revoke_token(helper.clone(), "mine".to_owned(), Replaced::End)).unwrap();
    wait(registry.create_token(helper, new("next", "helper", Intent::Api))).unwrap();
    assert_eq!(grants_on(&registry, "helper", number), []);
}

#[test]
fn nobody_makes_a_secret_that_is_worth_more_than_they_are() {
    let mint = |permissions: &[&str], owner: &str| {
        let registry = registry_where(permissions);
        let helper = caller(&registry, "helper");
        let before = registry.hash_pool().counts();
        let result = wait(registry.create_token(helper, new("minted", owner, Intent::Api))).map(drop);
        if result.is_err() {
            assert_eq!(registry.hash_pool().counts(), before, "a refusal costs no hash");
        }
        result
    };
    // For itself.
    mint(&["add_token"], "helper").unwrap();
    assert!(is_forbidden(&mint(&[], "helper"), Permission::AddToken));
    assert!(is_forbidden(&mint(&["add_token on token:helper-app-password"], "helper"), Permission::AddToken));
    // For one that it does not see, sees, may change.
    assert!(is_missing(&mint(&["add_token"], "robot")));
    assert!(is_missing(&mint(&["add_token", "change_user"], "robot")));
    assert!(is_missing(&mint(&["add_token"], "nobody")));
    assert!(is_forbidden(&mint(&["add_token", "view_user"], "robot"), Permission::ChangeUser));
    mint(&["add_token", "view_user", "change_user"], "robot").unwrap();
    mint(&["add_token", "view_user on account:robot", "change_user on account:robot"], "robot").unwrap();
    // For one that may more.
    let may = ["add_token", "view_user", "change_user"];
    assert!(lacks_right(&mint(&may, "reader"), Permission::SearchFullDirectory));
    mint(&[&may[..], &["search_full_directory"]].concat(), "reader").unwrap();
    mint(&[&may[..], &["search_full_directory on provider:ldap"]].concat(), "reader").unwrap();
    let every: Vec<&str> = Permission::ALL.iter().map(|permission| permission.codename()).collect();
    assert!(matches!(mint(&every, "root"), Err(ChangeError::Refused(_))));
    // Superusers and the operator.
    let registry = registry_where(&[]);
    let root = caller(&registry, "root");
    for owner in ["root", "reader"] {
        let identifier = format!("for-{owner}");
        wait(registry.create_token(root.clone(), new(&identifier, owner, Intent::Api))).unwrap();
    }
    wait(registry.create_token(actor(), new("by-the-operator", "root", Intent::Api))).unwrap();
}

#[test]
fn a_token_is_given_away_only_to_whom_one_could_be_made_for() {
    let registry = registry_where(&["add_token", "view_user", "change_user"]);
    let helper = caller(&registry, "helper");
    wait(registry.create_token(helper.clone(), new("mine", "helper", Intent::Api))).unwrap();
    let give = |account: &str| {
        let changes = TokenChanges { account: Some(account.to_owned()), ..TokenChanges::default() };
        wait(registry.update_token(helper.clone(), "mine".to_owned(), changes))
    };
    assert!(lacks_right(&give("reader"), Permission::SearchFullDirectory));
    assert!(matches!(give("root"), Err(ChangeError::Refused(_))));
    assert!(is_missing(&give("nobody")));
    let secret = wait(registry.view_token_key(helper.clone(), "mine".to_owned())).unwrap();
    let of = || api(&registry, secret.expose(), None, Timestamp::now()).unwrap().account;
    assert_eq!(of(), "helper");
    give("robot").unwrap();
    // What others may know of it is worth nothing any more.
    assert!(!calls(&registry, secret.expose()));
    assert_eq!(stored(&registry, "mine").generation, 2);
    assert_eq!(events(&registry, Action::SecretRotate, "mine"), 1);
    wait(registry.set_token_key(helper.clone(), "mine".to_owned(), Secret::from(CHOSEN.to_owned()))).unwrap();
    assert_eq!(api(&registry, CHOSEN.as_bytes(), None, Timestamp::now()).unwrap().account, "robot");
    // Whoever may not make tokens gives none away.
    let registry = registry_where(&["change_token", "view_token", "view_user", "change_user"]);
    let helper = caller(&registry, "helper");
    let changes = TokenChanges { account: Some("robot".to_owned()), ..TokenChanges::default() };
    let refusal = wait(registry.update_token(helper, "helper-app-password".to_owned(), changes));
    assert!(is_forbidden(&refusal, Permission::AddToken));
}

#[test]
fn a_retrievable_token_that_is_given_away_has_another_secret() {
    let registry = registry_where(&[]);
    let kept = NewToken { retrievable: true, ..new("kept", "robot", Intent::Api) };
    let secret = wait(registry.create_token(actor(), kept)).unwrap().secret;
    let changes = TokenChanges { account: Some("reader".to_owned()), ..TokenChanges::default() };
    wait(registry.update_token(actor(), "kept".to_owned(), changes)).unwrap();
    let viewed = wait(registry.view_token_key(actor(), "kept".to_owned())).unwrap();
    assert_ne!(viewed, secret);
    assert!(!calls(&registry, secret.expose()));
    assert_eq!(api(&registry, viewed.expose(), None, Timestamp::now()).unwrap().account, "reader");
}

#[test]
fn nobody_makes_a_token_worth_more_than_they_are() {
    let may = ["change_token", "view_token", "view_token_key", "add_token", "view_user", "change_user"];
    let with = TokenChanges::default;
    let network = || Some(vec!["10.0.0.0/8".parse().unwrap()]);
    let worth = || {
        [
            TokenChanges { account: Some("helper".to_owned()), ..with() },
            TokenChanges { expiring: Some(false), ..with() },
            TokenChanges { expires: Some(Expiry::In(200 * DAY)), ..with() },
            TokenChanges { identifier: Some("hidden".to_owned()), ..with() },
            TokenChanges { networks: Some(Vec::new()), ..with() },
            TokenChanges { networks: Some(vec!["10.0.0.0/7".parse().unwrap()]), ..with() },
        ]
    };
    let harmless = || {
        [
            TokenChanges { description: Some("used by the portal".to_owned()), ..with() },
            TokenChanges { expires: Some(Expiry::In(DAY)), ..with() },
            TokenChanges { networks: Some(vec!["10.1.0.0/16".parse().unwrap()]), ..with() },
        ]
    };
    let update = |registry: &Registry, caller: &str, changes: TokenChanges| {
        let made = NewToken { networks: network().unwrap(), ..new("given", caller, Intent::Api) };
        wait(registry.create_token(actor(), made)).unwrap();
        // Another identifier is for who has made it.
        let helper = registry.snapshot().accounts().account_named("helper").unwrap().number;
        let given = Key::Token(stored(registry, "given").number);
        wait(set_origins(registry, vec![given], Origin::Account(helper)));
        let done = wait(registry.update_token(self::caller(registry, "helper"), "given".to_owned(), changes));
        let given = ["given", "hidden"]
            .into_iter()
            .find(|name| registry.snapshot().accounts().token_named(name).is_some());
        for identifier in [given.unwrap(), "of-helper"] {
            wait(registry.revoke_token(actor(), identifier.to_owned(), Replaced::End)).unwrap();
        }
        done
    };
    let registry = registry_where(&may);
    for changes in worth() {
        assert!(lacks_right(&update(&registry, "reader", changes.clone()), Permission::SearchFullDirectory));
        update(&registry, "robot", changes.clone()).unwrap();
        update(&registry, "helper", changes).unwrap();
    }
    for changes in worth().into_iter().chain(harmless()) {
        assert!(refused(update(&registry, "root", changes)).contains("superuser"));
    }
    for changes in harmless() {
        assert!(lacks_right(&update(&registry, "reader", changes.clone()), Permission::SearchFullDirectory));
        update(&registry, "robot", changes.clone()).unwrap();
        update(&registry, "helper", changes).unwrap();
    }
    let registry = registry_where(&[&may[..], &["search_full_directory"]].concat());
    for changes in worth().into_iter().chain(harmless()) {
        update(&registry, "reader", changes).unwrap();
    }
}

#[test]
fn the_secrets_of_superusers_are_for_superusers() {
    let registry = registry_where(&["view_token", "view_token_key", "set_token_key"]);
    let helper = caller(&registry, "helper");
    let root = caller(&registry, "root");
    let kept = NewToken { retrievable: true, ..new("kept", "root", Intent::Api) };
    let secret = wait(registry.create_token(actor(), kept)).unwrap().secret;
    let kept = || "kept".to_owned();
    for result in [
        wait(registry.view_token_key(helper.clone(), kept())).map(drop),
        wait(registry.rotate_token(helper.clone(), kept(), HOUR)).map(drop),
        wait(registry.set_token_key(helper.clone(), kept(), Secret::from(CHOSEN.to_owned()))),
    ] {
        assert!(matches!(result, Err(ChangeError::Refused(_))), "{result:?}");
    }
    assert_eq!(wait(registry.view_token_key(root, kept())).unwrap(), secret);
}

#[test]
fn a_secret_is_for_who_holds_what_its_owner_holds_now() {
    let may = ["view_token", "view_token_key", "set_token_key", "add_token", "view_user", "change_user"];
    let registry = registry_where(&may);
    let helper = caller(&registry, "helper");
    let kept = NewToken { retrievable: true, ..new("kept", "robot", Intent::Api) };
    let secret = wait(registry.create_token(helper.clone(), kept)).unwrap().secret;
    let kept = || "kept".to_owned();
    let attempts = |caller: &Caller| {
        [
            wait(registry.view_token_key(caller.clone(), kept())).map(drop),
            wait(registry.rotate_token(caller.clone(), kept(), Duration::ZERO)).map(drop),
            wait(registry.set_token_key(caller.clone(), kept(), Secret::from(CHOSEN.to_owned()))),
        ]
    };
    assert_eq!(wait(registry.view_token_key(helper.clone(), kept())).unwrap(), secret);
    attempts(&helper).into_iter().for_each(|done| done.unwrap());
    // Its owner gets more: the grants of whoever made the token are still there.
    let mut seed = seed(&[]);
    seed.accounts.retain(|account| account.username == "robot");
    seed.accounts[0].permissions = Some(vec![SeedGrant {
        permission: Permission::SearchFullDirectory,
        on: Some("provider:ldap".parse().unwrap()),
    }]);
    // Whoever gives it is told that somebody else may know a secret of the account.
    let reason = apply(&registry, &seed).unwrap_err().to_string();
    assert!(reason.contains("--accept-credentials token:kept") && reason.contains("helper"), "{reason}");
    attempts(&helper).into_iter().for_each(|done| done.unwrap());
    let misspelled = SeedOptions { accept_credentials: vec!["kpet".to_owned()], ..SeedOptions::default() };
    let refusal = apply_with(&registry, &seed, &misspelled).unwrap_err().to_string();
    assert!(refusal.contains("no token and no account `kpet`"), "{refusal}");
    let told = SeedOptions { accept_credentials: vec![kept()], ..SeedOptions::default() };
    apply_with(&registry, &seed, &told).unwrap();
    let before = registry.hash_pool().counts();
    for refused in attempts(&helper) {
        assert!(lacks_right(&refused, Permission::SearchFullDirectory), "{refused:?}");
    }
    assert_eq!(registry.hash_pool().counts(), before, "a refusal costs no hash");
    attempts(&actor().into()).into_iter().for_each(|done| done.unwrap());
    // One's own needs no more than the permission.
    let kept = NewToken { retrievable: true, ..new("of-reader-too", "reader", Intent::Api) };
    wait(registry.create_token(actor(), kept)).unwrap();
    let reader = caller(&registry, "reader");
    let on = ObjectReference::Token(stored(&registry, "of-reader-too").number);
    let grant = Grant { permission: Permission::ViewTokenKey, on: Some(on) };
    wait(registry.change(actor(), move |transaction| {
        let number = reader_number(transaction);
        let mut account = transaction.account(number)?.unwrap();
        account.grants.push(grant);
        transaction.put(Record::Account(account))
    }))
    .unwrap();
    wait(registry.view_token_key(reader, "of-reader-too".to_owned())).unwrap();
}

fn reader_number(transaction: &Transaction<'_>) -> AccountNumber {
    transaction.snapshot().accounts().account_named("reader").unwrap().number
}

#[test]
fn what_is_said_of_a_token_is_changed() {
    let registry = registry_where(&["view_token", "change_token on token:helper-app-password"]);
    let made = wait(registry.create_token(actor(), new("extra", "robot", Intent::AppPassword))).unwrap();
    let update = |caller: Caller, changes| wait(registry.update_token(caller, "extra".to_owned(), changes));
    let with = TokenChanges::default;
    update(
        actor().into(),
        TokenChanges {
            description: Some("the backup".to_owned()),
            networks: Some(vec!["10.0.0.0/8".parse().unwrap()]),
            expiring: Some(false),
            ..with()
        },
    )
    .unwrap();
    let token = stored(&registry, "extra");
    assert_eq!((token.description.as_str(), token.networks.len(), token.expires), ("the backup", 1, None));
    assert!(!binds(&registry, "robot", made.secret.expose()), "from another network");
    // Another lifetime begins now, and is what a rotation repeats.
    change(&registry, "extra", |token| {
        token.created = Timestamp::from_unix_seconds(0);
        token.renewed = token.created;
    });
    update(actor().into(), TokenChanges { expires: Some(Expiry::In(DAY)), ..with() }).unwrap();
    assert_eq!(stored(&registry, "extra").lifetime(), Some(DAY));
    let changes =
        TokenChanges { identifier: Some("renamed".to_owned()), networks: Some(Vec::new()), ..with() };
    update(actor().into(), changes).unwrap();
    assert!(binds(&registry, "robot", made.secret.expose()));
    assert!(registry.snapshot().accounts().token_named("extra").is_none());

    let update = |caller: Caller, changes| wait(registry.update_token(caller, "renamed".to_owned(), changes));
    let past = TokenChanges { expires: Some(Expiry::At(Timestamp::from_unix_seconds(0))), ..with() };
    assert!(refused(update(actor().into(), past)).contains("still to come"));
    let api = TokenChanges { intent: Some(Intent::Api), ..with() };
    assert!(refused(update(actor().into(), api)).contains("cannot be changed"));
    let taken = TokenChanges { identifier: Some("robot-app-password".to_owned()), ..with() };
    assert!(matches!(update(actor().into(), taken), Err(ChangeError::Exists { .. })));
    // What is seen and not allowed, and what is allowed.
    let helper = caller(&registry, "helper");
    assert!(is_forbidden(&update(helper.clone(), with()), Permission::ChangeToken));
    let own = "helper-app-password".to_owned();
    let changes = TokenChanges { description: Some("mine".to_owned()), ..with() };
    wait(registry.update_token(helper, own, changes)).unwrap();
    assert_eq!(stored(&registry, "helper-app-password").description, "mine");
}

#[test]
fn a_rotation_is_one_event_that_says_what_became_of_the_old_secret() {
    let registry = registry_where(&[]);
    wait(registry.create_token(actor(), new("mine", "robot", Intent::Api))).unwrap();
    let told = || registry.store().meta().counters.trails.of(Trail::of(Action::SecretRotate)).next;
    for overlap in [HOUR, Duration::ZERO] {
        let Token { number: old, uuid, .. } = stored(&registry, "mine");
        let before = told();
        wait(registry.rotate_token(actor(), "mine".to_owned(), overlap)).unwrap();
        assert_eq!(told(), before + 1);
        let newest = wait(
            registry.events(EventQuery { actions: vec![Action::SecretRotate], ..EventQuery::newest(1) }),
        );
        let event = newest.unwrap().remove(0);
        assert_eq!((event.action, event.object_name.as_str()), (Action::SecretRotate, "mine"));
        assert_eq!(event.object_key, Some(stored(&registry, "mine").number.get()));
        let details: Vec<_> = event.details.iter().map(|detail| (&*detail.name, &*detail.value)).collect();
        let snapshot = registry.snapshot();
        let replaced = snapshot.accounts().token(old).map(|token| ("replaced", &*token.identifier));
        let (uuid, number) = (uuid.to_string(), old.to_string());
        let lasting = [("replaced_uuid", &*uuid), ("replaced_number", &*number)];
        assert_eq!(details, replaced.into_iter().chain(lasting).collect::<Vec<_>>());
        // Whoever looks for the old one finds how it ended, with its record or without.
        for asked in [
            EventQuery { object_uuid: uuid.parse().ok(), ..EventQuery::newest(1) },
            EventQuery { object_key: Some(old.get()), ..EventQuery::newest(1) },
        ] {
            assert_eq!(wait(registry.events(asked)).unwrap().remove(0).action, Action::SecretRotate);
        }
    }
}

#[test]
fn a_rotated_token_works_on_for_the_overlap_and_no_longer() {
    let registry = registry_where(&["add_token"]);
    let helper = caller(&registry, "helper");
    let old =
        wait(registry.create_token(helper.clone(), new("mine", "helper", Intent::AppPassword))).unwrap();
    let number = stored(&registry, "mine").number;
    let rotate =
        |caller: Caller, name: &str, overlap| wait(registry.rotate_token(caller, name.to_owned(), overlap));
    let made = rotate(helper.clone(), "mine", HOUR).unwrap();
    assert_eq!((made.account.as_str(), made.identifier.as_str()), ("helper", "mine"));
    assert_ne!(made.secret, old.secret);
    for secret in [&old.secret, &made.secret] {
        assert!(binds(&registry, "helper", secret.expose()));
    }
    let token = stored(&registry, "mine");
    assert_eq!((token.number == number, token.lifetime()), (false, Some(100 * DAY)));
    assert_eq!(grants_on(&registry, "helper", token.number).len(), 5, "the creator may go on with it");
    let replaced = registry.snapshot().accounts().token(number).unwrap().identifier.clone();
    assert!(replaced.starts_with("mine-replaced-until-"), "{replaced}");
    assert!(refused(rotate(actor().into(), &replaced, HOUR)).contains("taken the place"));
    assert_eq!(events(&registry, Action::SecretRotate, "mine"), 1);

    // When the overlap is over it is deleted, without a trace that a seed could meet.
    let later = Timestamp::now().after(HOUR + Duration::from_secs(5));
    assert_eq!(wait(registry.keep_tokens(later)).unwrap().removed, 1);
    assert!(!binds(&registry, "helper", old.secret.expose()));
    assert!(!registry.snapshot().accounts().has_tombstone(&TombstoneOf::Token(replaced)));

    // Without an overlap the old one ends at once.
    let next = rotate(helper, "mine", Duration::ZERO).unwrap();
    assert!(!binds(&registry, "helper", made.secret.expose()));
    assert!(binds(&registry, "helper", next.secret.expose()));
    let too_long = rotate(actor().into(), "mine", ROTATION_OVERLAP_MAX + HOUR);
    let told = refused(too_long);
    assert!(told.contains("more than 90d: give a shorter overlap"), "{told}");
    rotate(actor().into(), "mine", ROTATION_OVERLAP_MAX).unwrap();
    let watcher = registry_where(&["view_token"]);
    let helper = caller(&watcher, "helper");
    let refusal = wait(watcher.rotate_token(helper, "robot-app-password".to_owned(), HOUR));
    assert!(is_forbidden(&refusal, Permission::SetTokenKey));
}

#[test]
fn a_replaced_token_gets_no_longer_life() {
    let registry = registry_where(&[]);
    wait(registry.create_token(actor(), new("mine", "robot", Intent::AppPassword))).unwrap();
    let number = stored(&registry, "mine").number;
    wait(registry.rotate_token(actor(), "mine".to_owned(), 2 * HOUR)).unwrap();
    let snapshot = registry.snapshot();
    let before = Token::clone(snapshot.accounts().token(number).unwrap());
    let update = |changes| wait(registry.update_token(actor(), before.identifier.clone(), changes));
    let with = TokenChanges::default;
    for changes in [
        TokenChanges { identifier: Some("another".to_owned()), ..with() },
        TokenChanges { account: Some("reader".to_owned()), ..with() },
        TokenChanges { expiring: Some(false), ..with() },
        TokenChanges { expires: Some(Expiry::In(DAY)), ..with() },
        TokenChanges { networks: Some(vec!["10.0.0.0/8".parse().unwrap()]), ..with() },
    ] {
        assert!(refused(update(changes)).contains("taken the place"));
    }
    assert_eq!(stored(&registry, &before.identifier), before);
    let description = Some("of the old host".to_owned());
    update(TokenChanges { description, expires: Some(Expiry::In(HOUR)), ..with() }).unwrap();
    let after = stored(&registry, &before.identifier);
    assert_eq!(after.description, "of the old host");
    assert!(after.expires < before.expires && after.is_replaced);
}

#[test]
fn who_views_a_replaced_secret_is_kept_with_it() {
    let registry = registry_where(&["view_token", "view_token_key", "view_user"]);
    let kept = NewToken { retrievable: true, ..new("kept", "robot", Intent::AppPassword) };
    let made = wait(registry.create_token(actor(), kept)).unwrap();
    wait(registry.rotate_token(actor(), "kept".to_owned(), HOUR)).unwrap();
    let replaced = replaced(&registry);
    let viewed = wait(registry.view_token_key(caller(&registry, "helper"), replaced[0].clone())).unwrap();
    assert_eq!(viewed.expose(), made.secret.expose());
}

/// A token that somebody else has made for an account shows them what the account itself may see.
#[test]
fn who_may_know_the_credential_of_a_view_may_know_the_secret() {
    let registry = registry_where(&["add_token", "change_user", "view_user"]);
    let kept = NewToken { retrievable: true, ..new("kept", "robot", Intent::Api) };
    wait(registry.create_token(actor(), kept)).unwrap();
    let view = Grant {
        permission: Permission::ViewTokenKey,
        on: Some(ObjectReference::Token(stored(&registry, "kept").number)),
    };
    for holder in ["robot", "helper"] {
        let granted = registry.change(actor(), move |transaction| {
            let account = transaction.snapshot().accounts().account_named(holder).unwrap().number;
            let grantee = crate::registry::commands::Grantee::Account(account);
            crate::registry::commands::set_grants(transaction, grantee, &[view], true)
        });
        wait(granted).unwrap();
    }
    let makers = || stored(&registry, "kept").made_by.accounts().collect::<Vec<_>>();
    wait(registry.view_token_key(caller(&registry, "robot"), "kept".to_owned())).unwrap();
    assert_eq!(makers(), [], "its own, with a credential of the operator's");

    let helper = caller(&registry, "helper");
    let made = wait(registry.create_token(helper.clone(), new("of-others", "robot", Intent::Api))).unwrap();
    let identity = api(&registry, made.secret.expose(), None, Timestamp::now()).unwrap();
    let robot = Caller::account(identity.holder, Actor::named("robot"));
    wait(registry.view_token_key(robot, "kept".to_owned())).unwrap();
    let helper = helper.holder().unwrap().account;
    assert!(makers().contains(&helper), "{:?}", makers());
}

#[test]
fn revoking_behind_a_rotation_ends_what_was_replaced() {
    let registry = registry_where(&[]);
    let first = wait(registry.create_token(actor(), new("mine", "robot", Intent::AppPassword))).unwrap();
    let other = wait(registry.create_token(actor(), new("other", "robot", Intent::AppPassword))).unwrap();
    wait(registry.rotate_token(actor(), "other".to_owned(), HOUR)).unwrap();
    let rotate = |overlap| wait(registry.rotate_token(actor(), "mine".to_owned(), overlap)).unwrap().secret;
    let revoke = |name: &str, replaced| wait(registry.revoke_token(actor(), name.to_owned(), replaced));
    let works = |secret: &Secret| binds(&registry, "robot", secret.expose());

    // One in between that has gone breaks no chain.
    let second = rotate(3 * HOUR);
    let third = rotate(HOUR);
    let between = replaced(&registry)
        .into_iter()
        .find(|name| name.starts_with("mine-") && { stored(&registry, name).began_as.is_some() });
    revoke(&between.unwrap(), Replaced::End).unwrap();
    assert_eq!([&first.secret, &second, &third].map(works), [true, false, true]);
    revoke("mine", Replaced::End).unwrap();
    assert_eq!([&first.secret, &second, &third].map(works), [false; 3]);
    assert!(works(&other.secret), "what another one has replaced is no part of it");

    // On request they work on.
    revoke("other", Replaced::Keep).unwrap();
    assert!(works(&other.secret));
    let left = replaced(&registry);
    assert_eq!(left.len(), 1);
    revoke(&left[0], Replaced::End).unwrap();
    assert!(!works(&other.secret));
}

/// A store of the first version does not say which token has taken whose place, but by their names.
#[test]
fn what_was_replaced_in_an_earlier_version_ends_with_what_took_its_place() {
    let store = Arc::new(MemoryStore::new());
    let registry = registry_over(store.clone(), settings(), &[]);
    let make = |name: &str| wait(registry.create_token(actor(), new(name, "robot", Intent::AppPassword)));
    let rotate = |name: &str| wait(registry.rotate_token(actor(), name.to_owned(), HOUR)).unwrap().secret;
    let rename = |name: &str, new: &str| {
        let changes = TokenChanges { identifier: Some(new.to_owned()), ..TokenChanges::default() };
        wait(registry.update_token(actor(), name.to_owned(), changes)).unwrap();
    };
    let first = make("mine").unwrap().secret;
    let rows = [first, rotate("mine"), rotate("mine")];
    let long = "x".repeat(255);
    let long_rows = [make(&long).unwrap().secret, rotate(&long)];
    // One was renamed, and another has its name: it is not known any more whose place that took.
    let strange = make("strange").unwrap().secret;
    rotate("strange");
    rename("strange", "renamed");
    let identifiers: Vec<String> =
        registry.snapshot().accounts().tokens().map(|token| token.identifier.clone()).collect();
    for identifier in identifiers {
        change(&registry, &identifier, |token| {
            (token.origin, token.began_as) = (crate::model::Origin::Unknown, None);
        });
    }
    registry.close();

    let registry = registry_with(store, settings());
    let works = |secret: &Secret| binds(&registry, "robot", secret.expose());
    let revoke = |name: &str| wait(registry.revoke_token(actor(), name.to_owned(), Replaced::End)).unwrap();
    // The writer has it done before any other change; a rotation since goes on with the row.
    let newest = wait(registry.rotate_token(actor(), "mine".to_owned(), HOUR)).unwrap().secret;
    assert!(rows.iter().chain([&newest]).all(works));
    revoke("mine");
    assert!(!rows.iter().chain([&newest]).any(works));
    assert!(long_rows.iter().all(works));
    revoke(&long);
    assert!(!long_rows.iter().any(works));
    revoke("renamed");
    assert!(works(&strange));
}

/// The names of the tokens that were replaced.
fn replaced(registry: &Registry) -> Vec<String> {
    let snapshot = registry.snapshot();
    let replaced = snapshot.accounts().tokens().filter(|token| token.is_replaced);
    replaced.map(|token| token.identifier.clone()).collect()
}

#[test]
fn a_long_identifier_makes_room_for_what_is_said_of_a_replaced_token() {
    let registry = registry_where(&[]);
    let long = "x".repeat(255);
    wait(registry.create_token(actor(), new(&long, "robot", Intent::AppPassword))).unwrap();
    for _ in 0..2 {
        wait(registry.rotate_token(actor(), long.clone(), HOUR)).unwrap();
    }
    let snapshot = registry.snapshot();
    let replaced: Vec<&str> = snapshot
        .accounts()
        .tokens()
        .filter(|token| token.is_replaced)
        .map(|token| token.identifier.as_str())
        .collect();
    assert_eq!(replaced.len(), 2);
    for name in replaced {
        assert!(name.starts_with("xx") && name.contains("-replaced-until-"), "{name}");
        validate::identifier(name).unwrap();
    }
}

#[test]
fn a_token_that_cannot_be_deleted_does_not_keep_others() {
    let registry = registry_where(&[]);
    for identifier in ["first", "stuck", "next"] {
        wait(registry.create_token(actor(), new(identifier, "robot", Intent::AppPassword))).unwrap();
    }
    let api = NewToken { retrievable: true, ..new("api", "robot", Intent::Api) };
    wait(registry.create_token(actor(), api)).unwrap();
    // A name that is longer than any command gives, and than a tombstone can be.
    change(&registry, "stuck", |token| token.identifier = "x".repeat(2_000));
    let late = Timestamp::now().after(200 * DAY);
    let care = wait(registry.keep_tokens(late)).unwrap();
    assert_eq!((care.removed, care.rotated), (2, 1));
    let is_there = |identifier: &str| registry.snapshot().accounts().token_named(identifier).is_some();
    assert!(is_there(&"x".repeat(2_000)) && !is_there("first") && !is_there("next"));
}

#[test]
fn a_secret_is_set_and_the_old_one_stops_at_once() {
    let registry = registry_where(&[]);
    let old = wait(registry.create_token(actor(), new("api", "robot", Intent::Api))).unwrap();
    let set = |name: &str, secret: &str| {
        wait(registry.set_token_key(actor(), name.to_owned(), Secret::from(secret.to_owned())))
    };
    assert!(calls(&registry, old.secret.expose()));
    set("api", CHOSEN).unwrap();
    assert!(!calls(&registry, old.secret.expose()));
    assert!(calls(&registry, CHOSEN.as_bytes()));
    assert_eq!(stored(&registry, "api").generation, 2);
    assert_eq!(events(&registry, Action::SecretRotate, "api"), 1);
    assert_eq!(events(&registry, Action::ModelUpdated, "api"), 0);
    assert!(refused(set("api", "short")).contains("at least 32"));
    set("api", CHOSEN).unwrap();
    assert!(calls(&registry, CHOSEN.as_bytes()), "the same again is no other token's");
    wait(registry.create_token(actor(), new("second", "robot", Intent::Api))).unwrap();
    assert!(refused(set("second", CHOSEN)).contains("another token"));
    assert!(calls(&registry, CHOSEN.as_bytes()));

    // An app password: one of ours, or the account's only one that its name leads to.
    wait(registry.create_token(actor(), new("app", "robot", Intent::AppPassword))).unwrap();
    set("app", "chosen by a person").unwrap();
    assert!(binds(&registry, "robot", b"chosen by a person"));
    assert!(refused(set("app", "fifteen letters")).contains("at least 16"));
    let refusal = refused(set("robot-app-password", "chosen by a person too"));
    assert!(refusal.contains("more than one credential"), "{refusal}");
    let ours = TokenSecret::generate(Intent::AppPassword).unwrap().into_secret();
    let text = String::from_utf8(ours.expose().to_vec()).unwrap();
    set("robot-app-password", &text).unwrap();
    assert!(binds(&registry, "robot", ours.expose()));
    assert!(refused(set("app", &text)).contains("another token"));
    assert!(refused(set("app", &format!("{text}x"))).contains("checksum"));
    set("app", "chosen by a person").unwrap();
}

#[test]
fn an_api_token_costs_one_hash_and_what_leads_to_none_costs_none() {
    let registry = registry_where(&[]);
    let now = Timestamp::now();
    let create = |new: NewToken| wait(registry.create_token(actor(), new)).unwrap().secret;
    let right = create(new("right", "robot", Intent::Api));
    let app = create(new("app", "robot", Intent::AppPassword));
    let local = create(NewToken {
        networks: vec!["10.0.0.0/8".parse().unwrap()],
        ..new("local", "robot", Intent::Api)
    });
    create(new("chosen", "robot", Intent::Api));
    wait(registry.set_token_key(actor(), "chosen".to_owned(), Secret::from(CHOSEN.to_owned()))).unwrap();
    create(new("exchanged", "robot", Intent::Api));
    let stolen = stored(&registry, "exchanged").selector;
    let unknown = TokenSecret::generate(Intent::Api).unwrap().into_secret();
    let cost = |secret: &[u8], source: Option<IpAddr>, at| {
        let before = registry.hash_pool().counts().argon2id_verified;
        let result = api(&registry, secret, source, at);
        (result, registry.hash_pool().counts().argon2id_verified - before)
    };
    // Nothing that leads to no token is hashed, whatever it looks like.
    let broken = [unknown.expose(), b"x"].concat();
    let other = format!("{CHOSEN}!");
    let none: [&[u8]; 6] = [b"", b"password", other.as_bytes(), &[b'x'; 5_000], unknown.expose(), &broken];
    for secret in none {
        assert_eq!(cost(secret, None, now), (Err(ApiRefusal::Invalid), 0));
    }
    // What is right costs one, and then none.
    for (secret, identifier) in [(right.expose(), "right"), (CHOSEN.as_bytes(), "chosen")] {
        for hashes in [1, 0, 0] {
            let (identity, cost) = cost(secret, None, now);
            let identity = identity.unwrap();
            assert_eq!(
                (identity.account.as_str(), identity.token.as_str(), cost),
                ("robot", identifier, hashes)
            );
        }
    }
    // An app password is no API token, and an API token is no app password.
    assert_eq!(cost(app.expose(), None, now), (Err(ApiRefusal::Invalid), 1));
    assert!(!binds(&registry, "robot", right.expose()));
    assert!(!binds(&registry, "robot", CHOSEN.as_bytes()));
    // Another secret under a selector that exists.
    change(&registry, "app", |token| token.selector = TokenSelector::None);
    change(&registry, "app", move |token| {
        (token.intent, token.selector) = (Intent::Api, TokenSelector::Chosen([0; 32]))
    });
    change(&registry, "exchanged", |token| token.selector = TokenSelector::Chosen([1; 32]));
    change(&registry, "right", move |token| (token.selector, token.generation) = (stolen, 9));
    assert_eq!(cost(right.expose(), None, now), (Err(ApiRefusal::Invalid), 0), "its selector leads nowhere");
    // Where it is used, when, and by whom.
    let inside = Some(IpAddr::from([10, 1, 2, 3]));
    assert!(cost(local.expose(), inside, now).0.is_ok());
    for source in [None, Some(IpAddr::from([192, 0, 2, 1]))] {
        assert_eq!(cost(local.expose(), source, now), (Err(ApiRefusal::Invalid), 0));
    }
    assert!(cost(CHOSEN.as_bytes(), None, now.after(99 * DAY)).0.is_ok());
    assert_eq!(cost(CHOSEN.as_bytes(), None, now.after(101 * DAY)).0, Err(ApiRefusal::Invalid));
    wait(set_active(&registry, "robot".to_owned(), false)).unwrap();
    assert_eq!(cost(CHOSEN.as_bytes(), None, now).0, Err(ApiRefusal::Invalid));
    wait(set_active(&registry, "robot".to_owned(), true)).unwrap();
    assert!(cost(CHOSEN.as_bytes(), None, now).0.is_ok());
    wait(registry.revoke_token(actor(), "chosen".to_owned(), Replaced::End)).unwrap();
    assert_eq!(cost(CHOSEN.as_bytes(), None, now), (Err(ApiRefusal::Invalid), 0));
}

#[test]
fn a_wrong_secret_under_a_selector_that_exists_costs_one_hash() {
    let registry = registry_where(&[]);
    let first = wait(registry.create_token(actor(), new("first", "robot", Intent::Api))).unwrap().secret;
    wait(registry.create_token(actor(), new("second", "robot", Intent::Api))).unwrap();
    let hash = stored(&registry, "second").hash;
    change(&registry, "first", move |token| token.hash = hash);
    for _ in 0..2 {
        let before = registry.hash_pool().counts().argon2id_verified;
        assert!(!calls(&registry, first.expose()));
        assert_eq!(registry.hash_pool().counts().argon2id_verified - before, 1);
    }
}

#[test]
fn a_retrievable_secret_is_kept_under_the_key_and_no_other() {
    let store = Arc::new(MemoryStore::new());
    let registry = registry_over(store.clone(), settings(), &[]);
    let kept = NewToken { retrievable: true, ..new("kept", "robot", Intent::Api) };
    let first = wait(registry.create_token(actor(), kept)).unwrap().secret;
    let view = |registry: &Registry| wait(registry.view_token_key(actor(), "kept".to_owned()));
    for _ in 0..3 {
        assert_eq!(view(&registry).unwrap(), first);
    }
    assert_eq!(events(&registry, Action::SecretView, "kept"), 3);
    // Whatever gives it another secret keeps that one.
    wait(registry.set_token_key(actor(), "kept".to_owned(), Secret::from(CHOSEN.to_owned()))).unwrap();
    assert_eq!(view(&registry).unwrap(), Secret::from(CHOSEN.to_owned()));
    let rotated = wait(registry.rotate_token(actor(), "kept".to_owned(), HOUR)).unwrap().secret;
    assert_eq!(view(&registry).unwrap(), rotated);
    let shown = format!("{:?}", stored(&registry, "kept"));
    assert!(!shown.contains(std::str::from_utf8(rotated.expose()).unwrap()), "{shown}");
    registry.close();

    // After a restart with the key, with another, with none.
    let with = |sealing| {
        let settings = RegistrySettings { token_keys: TokenKeys::of(1, sealing), ..settings() };
        registry_with(store.clone(), settings)
    };
    let same = with(Some(2));
    assert_eq!(view(&same).unwrap(), rotated);
    assert!(calls(&same, rotated.expose()));
    same.close();
    for (sealing, reason) in [(Some(3), "does not open"), (None, "token_key_file")] {
        let other = with(sealing);
        let refusal = refused(view(&other));
        assert!(refusal.contains("`kept`") && refusal.contains(reason), "{refusal}");
        assert!(calls(&other, rotated.expose()), "it works all the same");
        other.close();
    }
    let without = with(None);
    let kept = NewToken { retrievable: true, ..new("more", "robot", Intent::Api) };
    let before = without.hash_pool().counts();
    let refusal = refused(wait(without.create_token(actor(), kept)));
    assert!(
        refusal.contains("`more` cannot be retrievable") && refusal.contains("token_key_file"),
        "{refusal}"
    );
    assert_eq!(without.hash_pool().counts(), before);
    assert!(refused(wait(without.rotate_token(actor(), "kept".to_owned(), HOUR))).contains("token_key_file"));
}

#[test]
fn a_view_that_is_not_on_disk_shows_nothing_and_uses_nothing_up() {
    let store = Arc::new(MemoryStore::new());
    let registry = registry_over(store.clone(), settings(), &[]);
    let made = wait(registry.create_token(actor(), new("fresh", "robot", Intent::Api))).unwrap();
    let view = || wait(registry.view_token_key(actor(), "fresh".to_owned()));
    store.set_full(true);
    assert!(matches!(view(), Err(ChangeError::Store(_))));
    store.set_full(false);
    assert_eq!(view().unwrap(), made.secret);
}

#[test]
fn a_view_that_is_cut_off_uses_nothing_up() {
    let registry = registry_where(&[]);
    let made = wait(registry.create_token(actor(), new("fresh", "robot", Intent::Api))).unwrap();
    wait(async {
        // Whoever asks goes away while the event is on its way to the disk.
        let mut view = std::pin::pin!(registry.view_token_key(actor(), "fresh".to_owned()));
        let poll = std::future::poll_fn(|context| std::task::Poll::Ready(view.as_mut().poll(context)));
        assert!(poll.await.is_pending());
        let other = registry.view_token_key(actor(), "fresh".to_owned()).await;
        assert!(is_missing(&other), "two never see it");
    });
    assert_eq!(wait(registry.view_token_key(actor(), "fresh".to_owned())).unwrap(), made.secret);
    assert!(is_missing(&wait(registry.view_token_key(actor(), "fresh".to_owned()))));
}

#[test]
fn an_expired_api_token_gets_a_new_secret_if_somebody_can_learn_it() {
    let registry = registry_where(&[]);
    let create = |identifier: &str, intent, retrievable| {
        let new =
            NewToken { retrievable, expires: Some(Expiry::In(HOUR)), ..new(identifier, "robot", intent) };
        wait(registry.create_token(actor(), new)).unwrap().secret
    };
    let kept = create("kept", Intent::Api, true);
    let unseen = create("unseen", Intent::Api, false);
    create("app", Intent::AppPassword, false);
    let now = Timestamp::now().after(HOUR + Duration::from_secs(5));
    let care = wait(registry.keep_tokens(now)).unwrap();
    assert_eq!((care.rotated, care.removed), (1, 0));
    for (identifier, secret, generation) in [("kept", &kept, 2), ("unseen", &unseen, 1)] {
        assert!(api(&registry, secret.expose(), None, now).is_err());
        let token = stored(&registry, identifier);
        assert_eq!((token.generation, token.lifetime()), (generation, Some(HOUR)));
        assert_eq!(events(&registry, Action::SecretRotate, identifier), generation as usize - 1);
    }
    assert!(!calls(&registry, kept.expose()));
    let new = wait(registry.view_token_key(actor(), "kept".to_owned())).unwrap();
    assert_ne!(new, kept);
    assert!(calls(&registry, new.expose()));
    // Whoever made it may see it once more.
    assert_eq!(wait(registry.view_token_key(actor(), "unseen".to_owned())).unwrap(), unseen);
    assert!(is_missing(&wait(registry.view_token_key(actor(), "unseen".to_owned()))));
    assert_eq!(registry.token_counts().expired(), 2, "the app password, and what is not retrievable");
    assert_eq!(wait(registry.keep_tokens(now)).unwrap().rotated, 0);
    assert_eq!(wait(registry.keep_tokens(now.after(HOUR))).unwrap().rotated, 1);
    // By hand it is, at any time until it goes.
    wait(registry.rotate_token(actor(), "unseen".to_owned(), HOUR)).unwrap();
    create("unseen-too", Intent::Api, false);
    let over = now.after(30 * DAY);
    wait(registry.keep_tokens(over)).unwrap();
    let is_there = |identifier| registry.snapshot().accounts().token_named(identifier).is_some();
    assert!(is_there("kept") && !is_there("unseen-too"));
    assert!(registry.snapshot().accounts().has_tombstone(&TombstoneOf::Token("unseen-too".to_owned())));
}

/// By a clock that is ahead the old one has expired: it is not deleted for that, and when the clock is right again it works as
/// long as it was given.
#[test]
fn a_rotation_by_a_clock_that_is_ahead_keeps_its_overlap() {
    let store = Arc::new(MemoryStore::new());
    let registry = registry_over(store.clone(), settings(), &[]);
    wait(registry.create_token(actor(), new("app", "robot", Intent::AppPassword))).unwrap();
    registry.close();
    let believed = store.meta().belief.unwrap().time;
    let said = Arc::new(std::sync::Mutex::new((believed.after(400 * DAY), Duration::ZERO)));
    let clock = Arc::new(crate::clock::Clock::of_test(said));
    let registry = registry_with(store, RegistrySettings { clock, ..settings() });
    assert_eq!(registry.now(), believed.after(400 * DAY));
    wait(registry.rotate_token(actor(), "app".to_owned(), HOUR)).unwrap();
    let snapshot = registry.snapshot();
    let replaced: Vec<_> = snapshot.accounts().tokens().filter(|token| token.is_replaced).collect();
    let [replaced] = replaced.as_slice() else { panic!("{replaced:?}") };
    assert_eq!(replaced.expires, Some(believed.after(HOUR)));
}

#[test]
fn a_short_life_is_neither_warned_of_nor_renewed_each_minute() {
    let registry = registry_where(&[]);
    let short = Duration::from_secs(60);
    let kept =
        NewToken { retrievable: true, expires: Some(Expiry::In(short)), ..new("kept", "robot", Intent::Api) };
    wait(registry.create_token(actor(), kept)).unwrap();
    assert_eq!(wait(registry.keep_tokens(Timestamp::now())).unwrap(), TokenCare::default());
    let mut now = Timestamp::now().after(short);
    let mut rotated = 0;
    for _ in 0..60 {
        now = now.after(short);
        let care = wait(registry.keep_tokens(now)).unwrap();
        assert_eq!(care.warned, 0);
        rotated += care.rotated;
    }
    assert_eq!(rotated, 1);
    assert_eq!(events(&registry, Action::ConfigurationWarning, "kept"), 0);
    assert_eq!(wait(registry.keep_tokens(now.after(short))).unwrap().rotated, 1, "after an hour");
    // What is not rotated by itself the operator is warned of.
    for (identifier, intent) in [("app", Intent::AppPassword), ("unseen", Intent::Api)] {
        let new = NewToken { expires: Some(Expiry::In(short)), ..new(identifier, "robot", intent) };
        wait(registry.create_token(actor(), new)).unwrap();
    }
    assert_eq!(wait(registry.keep_tokens(Timestamp::now())).unwrap().warned, 2);
}

#[test]
fn without_a_key_a_retrievable_token_waits_for_one() {
    let store = Arc::new(MemoryStore::new());
    let registry = registry_over(store.clone(), settings(), &[]);
    let kept = NewToken { retrievable: true, ..new("kept", "robot", Intent::Api) };
    wait(registry.create_token(actor(), kept)).unwrap();
    registry.close();
    let without = RegistrySettings { token_keys: TokenKeys::of(1, None), ..settings() };
    let registry = registry_with(store, without);
    let late = Timestamp::now().after(1_000 * DAY);
    let told = crate::audit::log_lines(|| {
        for _ in 0..3 {
            let care = wait(registry.keep_tokens(late)).unwrap();
            assert_eq!(care.rotated, 0);
        }
    });
    assert_eq!(told.iter().filter(|line| line.contains("token_key_file")).count(), 1, "{told:#?}");
    assert!(
        stored(&registry, "kept").is_retrievable(),
        "it is neither deleted nor made one that is not kept"
    );
}

#[test]
fn what_has_long_expired_is_deleted_and_a_seed_does_not_bring_it_back() {
    let registry = registry_where(&[]);
    wait(registry.create_token(actor(), new("extra", "robot", Intent::AppPassword))).unwrap();
    let expired = Timestamp::now().after(100 * DAY + Duration::from_secs(5));
    assert_eq!(wait(registry.keep_tokens(expired)).unwrap().removed, 0);
    assert_eq!(registry.token_counts().expired(), 1);
    assert_eq!(wait(registry.keep_tokens(expired.after(29 * DAY))).unwrap().removed, 0);
    assert_eq!(wait(registry.keep_tokens(expired.after(30 * DAY))).unwrap().removed, 1);
    assert_eq!(events(&registry, Action::ModelDeleted, "extra"), 1);
    assert_eq!(registry.reached().count(Limit::expired_tokens_kept), 1);
    assert_eq!(registry.token_counts().expired(), 0);
    let tombstone = TombstoneOf::Token("extra".to_owned());
    assert!(registry.snapshot().accounts().has_tombstone(&tombstone));
    let for_ever = RegistrySettings {
        token_care: TokenCareSettings { expired_tokens_kept: Duration::ZERO, ..settings().token_care },
        ..settings()
    };
    let registry = registry_over(Arc::new(MemoryStore::new()), for_ever, &[]);
    wait(registry.keep_tokens(expired.after(10_000 * DAY))).unwrap();
    assert!(registry.snapshot().accounts().token_named("robot-app-password").is_some());
}

fn is_known_as_deleted(registry: &Registry, of: &TombstoneOf) -> bool {
    registry.snapshot().accounts().has_tombstone(of)
}

/// A token that the operator made and revoked.
fn gone(registry: &Registry, identifier: &str) -> TombstoneOf {
    let operator = || Actor::internal(InternalAccount::CommandLine);
    wait(registry.create_token(operator(), new(identifier, "robot", Intent::AppPassword))).unwrap();
    wait(registry.revoke_token(operator(), identifier.to_owned(), Replaced::End)).unwrap();
    TombstoneOf::Token(identifier.to_owned())
}

#[test]
fn the_tombstone_of_a_token_or_of_what_a_caller_made_goes_after_its_age_and_no_other_does() {
    let registry = registry_where(&[]);
    let early = Timestamp::now();
    let gone = gone(&registry, "gone");
    let late = Timestamp::now();
    let of_caller = || TombstoneOf::Account("eve".to_owned());
    wait(registry.revoke_token(actor(), "robot-app-password".to_owned(), Replaced::End)).unwrap();
    let kept = wait(registry.change(actor(), move |transaction| {
        let mut kept = vec![TombstoneOf::Token("robot-app-password".to_owned())];
        let made = Some(transaction.now());
        for (of, origin, made) in [
            (TombstoneOf::Token("of version 3".to_owned()), Origin::Operator, None),
            (TombstoneOf::Token("of the config".to_owned()), Origin::Config, made),
            (TombstoneOf::Account("ada".to_owned()), Origin::Operator, made),
            (TombstoneOf::Group("ada".to_owned()), Origin::Operator, made),
            (TombstoneOf::Role("ada".to_owned()), Origin::Operator, made),
        ] {
            kept.push(of.clone());
            transaction.put_tombstone(Tombstone { of, origin, held_rights: false, made })?;
        }
        let (origin, made) = (Origin::Account(AccountNumber::new(7)), Some(early));
        transaction.put_tombstone(Tombstone { of: of_caller(), origin, held_rights: true, made })?;
        Ok(kept)
    }))
    .unwrap();
    let before = early.after(365 * DAY - Duration::from_secs(1));
    assert_eq!(wait(registry.keep_tokens(before)).unwrap().forgotten, 0);
    assert!(is_known_as_deleted(&registry, &gone) && is_known_as_deleted(&registry, &of_caller()));
    let numbers = || -> Vec<TokenNumber> {
        registry.snapshot().accounts().tokens().map(|token| token.number).collect()
    };
    let tokens = numbers();
    let after = late.after(365 * DAY);
    assert_eq!(wait(registry.keep_tokens(after)).unwrap().forgotten, 2);
    assert!(!is_known_as_deleted(&registry, &gone) && !is_known_as_deleted(&registry, &of_caller()));
    assert_eq!(numbers(), tokens, "no token went with it");
    assert_eq!(registry.reached().count(Limit::token_tombstones_kept), 2);
    assert_eq!(wait(registry.keep_tokens(after.after(10_000 * DAY))).unwrap().forgotten, 0);
    for of in &kept {
        assert!(is_known_as_deleted(&registry, of), "{of:?}");
    }

    let for_ever = RegistrySettings {
        token_care: TokenCareSettings { tombstones_kept: Duration::ZERO, ..settings().token_care },
        ..settings()
    };
    let registry = registry_over(Arc::new(MemoryStore::new()), for_ever, &[]);
    let gone = self::gone(&registry, "gone");
    wait(registry.keep_tokens(late.after(10_000 * DAY))).unwrap();
    assert!(is_known_as_deleted(&registry, &gone));
}

#[test]
fn what_the_config_describes_is_not_forgotten_whoever_had_made_it() {
    let registry = registry_where(&[]);
    let gone = gone(&registry, "gone");
    let described = Seed { tokens: vec![token("gone", "robot")], ..seed(&[]) };
    apply(&registry, &described).unwrap();
    assert_eq!(wait(registry.keep_tokens(Timestamp::now().after(400 * DAY))).unwrap().forgotten, 0);
    assert!(is_known_as_deleted(&registry, &gone));
    let revision = registry.snapshot().revision();
    apply(&registry, &described).unwrap();
    assert!(registry.snapshot().accounts().token_named("gone").is_none());
    assert_eq!(registry.snapshot().revision(), revision, "it is the config's already");
}

#[test]
fn many_tombstones_go_in_several_changes() {
    let registry = registry_where(&[]);
    wait(registry.change(actor(), |transaction| {
        let made = Some(transaction.now());
        (0..2_500).try_for_each(|number| {
            let of = TombstoneOf::Token(format!("gone-{number}"));
            transaction.put_tombstone(Tombstone { of, origin: Origin::Operator, held_rights: true, made })
        })
    }))
    .unwrap();
    let late = Timestamp::now().after(366 * DAY);
    let mut runs = Vec::new();
    loop {
        let revision = registry.snapshot().revision();
        let care = wait(registry.keep_tokens(late)).unwrap();
        runs.push(care.forgotten);
        assert!(care.forgotten == 0 || registry.snapshot().revision() > revision);
        if !care.is_more {
            break;
        }
    }
    assert_eq!(runs, [1_000, 1_000, 500]);
    assert_eq!(registry.snapshot().accounts().tombstones().count(), 0);
}

/// As a server does: without a time that is believed nothing is looked for.
#[test]
fn no_tombstone_goes_by_a_clock_that_is_not_believed() {
    let store = Arc::new(MemoryStore::new());
    let registry = registry_over(store.clone(), settings(), &[]);
    let gone = gone(&registry, "gone");
    registry.close();
    let believed = store.meta().belief.unwrap().time;
    let said = Arc::new(std::sync::Mutex::new((believed.after(400 * DAY), Duration::ZERO)));
    let clock = Arc::new(crate::clock::Clock::of_test(Arc::clone(&said)));
    let registry = registry_with(store, RegistrySettings { clock, ..settings() });
    let look_and_keep = || {
        let trusted = registry.clock().look().trusted;
        trusted.map(|now| wait(registry.keep_tokens(now)).unwrap().forgotten)
    };
    assert_eq!(look_and_keep(), None);
    assert!(is_known_as_deleted(&registry, &gone));
    // One that is deleted now is deleted by that clock, and stays a year after it is right.
    let late = self::gone(&registry, "late");
    *said.lock().unwrap() = (believed.after(366 * DAY), DAY);
    assert_eq!(look_and_keep(), None);
    *said.lock().unwrap() = (believed.after(402 * DAY), 2 * DAY);
    assert_eq!(look_and_keep(), None, "it has jumped again");
    *said.lock().unwrap() = (believed.after(403 * DAY), 3 * DAY);
    assert_eq!(look_and_keep(), Some(1), "it has lasted a day");
    assert!(!is_known_as_deleted(&registry, &gone) && is_known_as_deleted(&registry, &late));
}

#[test]
fn the_operator_is_warned_once_of_each_lifetime() {
    let store = Arc::new(MemoryStore::new());
    let registry = registry_over(store.clone(), settings(), &[]);
    wait(registry.create_token(actor(), new("soon", "robot", Intent::AppPassword))).unwrap();
    let now = Timestamp::now();
    assert_eq!(wait(registry.keep_tokens(now.after(85 * DAY))).unwrap().warned, 0);
    let near = now.after(90 * DAY);
    assert_eq!(wait(registry.keep_tokens(near)).unwrap().warned, 1);
    assert_eq!(registry.token_counts().expiring(), 1);
    assert_eq!(wait(registry.keep_tokens(near)).unwrap().warned, 0);
    registry.close();
    // Not again after a restart…
    let registry = registry_with(store, settings());
    assert_eq!(wait(registry.keep_tokens(near)).unwrap().warned, 0);
    assert_eq!(registry.token_counts().expiring(), 1);
    assert_eq!(events(&registry, Action::ConfigurationWarning, "soon"), 1);
    // …but of another time to expire.
    let changes = TokenChanges { expires: Some(Expiry::In(95 * DAY)), ..TokenChanges::default() };
    wait(registry.update_token(actor(), "soon".to_owned(), changes)).unwrap();
    assert_eq!(wait(registry.keep_tokens(near)).unwrap().warned, 1);
    assert_eq!(events(&registry, Action::ConfigurationWarning, "soon"), 2);
    // One that was replaced is meant to expire.
    wait(registry.rotate_token(actor(), "soon".to_owned(), HOUR)).unwrap();
    assert_eq!(wait(registry.keep_tokens(now)).unwrap().warned, 0);
}

#[test]
fn one_run_does_no_more_than_it_should() {
    let registry = registry_where(&[]);
    wait(registry.create_token(actor(), new("first", "robot", Intent::AppPassword))).unwrap();
    let one = stored(&registry, "first");
    wait(registry.change(actor(), move |transaction| {
        for number in 0..260_u32 {
            let (number, identifier) =
                (TokenNumber::new(transaction.next_object()?), format!("token {number}"));
            let selector = TokenSelector::Generated(identifier.clone());
            transaction.put(Record::Token(Token { number, identifier, selector, ..one.clone() }))?;
        }
        Ok(())
    }))
    .unwrap();
    let late = Timestamp::now().after(200 * DAY);
    let care = wait(registry.keep_tokens(late)).unwrap();
    assert_eq!((care.removed, care.is_more), (250, true));
    let care = wait(registry.keep_tokens(late)).unwrap();
    assert_eq!((care.removed, care.is_more), (11, false));
}

#[test]
fn a_seed_makes_retrievable_tokens_and_chosen_secrets() {
    let registry = registry_where(&[]);
    let mut seed = seed(&[]);
    seed.tokens = vec![token("kept", "robot"), token("chosen", "robot")];
    seed.tokens[0].said.intent = Some(Intent::Api);
    seed.tokens[0].retrievable = Some(true);
    seed.tokens[1].said.intent = Some(Intent::Api);
    seed.tokens[1].secret = Some(SeedSecret::Given(Secret::from(CHOSEN.to_owned())));
    let (_, secrets) = apply(&registry, &seed).unwrap();
    assert_eq!(wait(registry.view_token_key(actor(), "kept".to_owned())).unwrap(), secrets[0].secret);
    assert!(calls(&registry, CHOSEN.as_bytes()));
    assert!(apply(&registry, &seed).unwrap().0.diff.is_empty());
    // Nothing is kept afterwards, but what is kept can be thrown away.
    seed.tokens[1].retrievable = Some(true);
    assert!(refused(apply(&registry, &seed)).contains("cannot become retrievable"));
    seed.tokens[1].retrievable = None;
    seed.tokens[0].retrievable = Some(false);
    let (plan, _) = apply(&registry, &seed).unwrap();
    assert_eq!(plan.diff[0].fields[0].field, "retrievable");
    assert!(is_missing(&wait(registry.view_token_key(actor(), "kept".to_owned()))));
    // Without a key a seed that wants one is refused whole.
    let without = RegistrySettings { token_keys: TokenKeys::of(1, None), ..settings() };
    let registry = registry_over(Arc::new(MemoryStore::new()), without, &[]);
    seed.tokens[0].retrievable = Some(true);
    assert!(refused(apply(&registry, &seed)).contains("token_key_file"));
    let twice = |seed: &mut Seed| {
        seed.tokens[0].retrievable = None;
        seed.tokens[0].secret = seed.tokens[1].secret.clone();
    };
    twice(&mut seed);
    assert!(refused(apply(&registry, &seed)).contains("there already"));
}

#[test]
fn a_time_of_a_seed_that_has_passed_is_answered_with_one_rotation() {
    let registry = registry_where(&[]);
    let mut seed = seed(&[]);
    seed.tokens = vec![token("api", "robot")];
    seed.tokens[0].said.intent = Some(Intent::Api);
    seed.tokens[0].retrievable = Some(true);
    apply(&registry, &seed).unwrap();
    change(&registry, "api", |token| {
        token.created = Timestamp::from_unix_seconds(0);
        token.renewed = token.created;
    });
    // Another time to expire begins another lifetime.
    let now = Timestamp::now();
    seed.tokens[0].said.expires = Some(Expiry::At(now.after(DAY)));
    apply(&registry, &seed).unwrap();
    assert!(stored(&registry, "api").lifetime().unwrap() <= DAY);
    // One that has passed ends the secret, once.
    seed.tokens[0].said.expires = Some(Expiry::At(Timestamp::from_unix_seconds(1)));
    apply(&registry, &seed).unwrap();
    assert!(stored(&registry, "api").is_expired(now));
    for rotated in [1, 0, 0] {
        assert_eq!(wait(registry.keep_tokens(Timestamp::now())).unwrap().rotated, rotated);
        assert!(apply(&registry, &seed).unwrap().0.diff.is_empty());
    }
    assert_eq!(stored(&registry, "api").generation, 2);
}

#[test]
fn a_relative_time_of_a_seed_counts_from_the_creation() {
    let registry = registry_where(&[]);
    let mut seed = seed(&[]);
    seed.tokens = vec![token("app", "robot")];
    seed.tokens[0].said.expiring = Some(false);
    apply(&registry, &seed).unwrap();
    change(&registry, "app", |token| token.renewed = Timestamp::from_unix_seconds(0));
    (seed.tokens[0].said.expiring, seed.tokens[0].said.expires) = (None, Some(Expiry::In(DAY)));
    apply(&registry, &seed).unwrap();
    assert_eq!(stored(&registry, "app").lifetime(), Some(DAY));
}

#[test]
fn grants_of_others_pass_to_the_replacement() {
    let registry = registry_where(&["view_token_key on token:robot-app-password"]);
    let old = stored(&registry, "robot-app-password").number;
    wait(registry.rotate_token(actor(), "robot-app-password".to_owned(), HOUR)).unwrap();
    let new = stored(&registry, "robot-app-password").number;
    assert_eq!(grants_on(&registry, "helper", new), [Permission::ViewTokenKey]);
    assert_eq!(grants_on(&registry, "helper", old), [Permission::ViewTokenKey], "as long as it works");
    let global = Grant { permission: Permission::ViewTokenKey, on: None };
    let snapshot = registry.snapshot();
    assert!(!snapshot.accounts().account_named("helper").unwrap().grants.contains(&global));
}
