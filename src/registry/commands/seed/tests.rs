#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::access::{Credential, Holder};
use crate::auth::TokenSecret;
use crate::config::{
    SeedAccount, SeedApplication, SeedAttribute, SeedBinding, SeedGrant, SeedProvider, SeedReference,
    SeedRole, SeedSecret, SeedSubject,
};
use crate::model::{
    Account, AccountKind, ApplicationText, Attribute, AttributeSyntax, Binding, BindingSubject, Change,
    Expiry, Grant, GroupNumber, HashText, Password, Permission, Record, TimeWindow, Trail, Weekday,
};
use crate::plain;
use crate::registry::commands::testing::*;
use crate::registry::commands::{
    ApplicationChanges, ProviderChanges, RoleChanges, create_provider, delete_group, delete_provider,
    update_application, update_provider,
};
use crate::registry::{Caller, NewToken, Replaced, TokenChanges};
use crate::store::{Batch, Counters, MemoryStore, Store as _};

fn person(username: &str) -> SeedAccount {
    account(username, AccountKind::Internal)
}

fn service(username: &str) -> SeedAccount {
    account(username, AccountKind::ServiceAccount)
}

fn secret(text: &str) -> Option<SeedSecret> {
    Some(SeedSecret::Given(Secret::from(text.to_owned())))
}

fn attributes(pairs: &[(&str, &str)]) -> Option<Vec<Attribute>> {
    let attribute = |(name, value): &(&str, &str)| Attribute {
        description: name.to_string(),
        values: vec![value.as_bytes().to_vec()],
    };
    Some(pairs.iter().map(attribute).collect())
}

fn not_default(name: &str, base_dn: &str, is_default: Option<bool>) -> SeedProvider {
    let mut provider = provider(name, base_dn);
    provider.said.is_default = is_default;
    provider
}

fn on_provider(permission: Permission) -> SeedGrant {
    let on = SeedReference { kind: ReferenceKind::Provider, name: "ldap".to_owned() };
    SeedGrant { permission, on: Some(on) }
}

fn application(slug: &str, provider: Option<&str>) -> SeedApplication {
    SeedApplication {
        slug: slug.to_owned(),
        provider: provider.map(str::to_owned),
        ..SeedApplication::default()
    }
}

/// A little of everything, each naming the others.
fn example() -> Seed {
    let mut alice = person("alice");
    alice.said.name = Some("Alice Adams".to_owned());
    alice.said.email = Some("alice@example.com".to_owned());
    alice.password = secret("correct horse");
    alice.said.attributes = attributes(&[("uidNumber", "7007"), ("telephoneNumber", "+1 555 0100")]);
    let mut searcher = service("ldapservice");
    searcher.roles = Some(vec!["ldap-search".to_owned()]);
    searcher.create_group = Some(true);
    let mut engineering = group("engineering", &["alice", "bob"]);
    engineering.parents = Some(vec!["staff".to_owned()]);
    engineering.permissions = Some(vec![SeedGrant {
        permission: Permission::ViewUser,
        on: Some(SeedReference { kind: ReferenceKind::Account, name: "bob".to_owned() }),
    }]);
    let mut nextcloud = application("nextcloud", Some("ldap"));
    nextcloud.bindings = Some(vec![
        bound(SeedSubject::Group("staff".to_owned())),
        SeedBinding { order: 1, ..bound(SeedSubject::Account("ldapservice".to_owned())) },
    ]);
    Seed {
        attributes: Vec::new(),
        providers: vec![provider("ldap", "dc=ldap,dc=example,dc=com")],
        roles: vec![SeedRole {
            said: RoleChanges { search_size_max: Some(Some(1_000)), ..RoleChanges::default() },
            ..role("ldap-search", vec![on_provider(Permission::SearchFullDirectory)])
        }],
        groups: vec![engineering, group("staff", &[])],
        accounts: vec![alice, person("bob"), searcher],
        tokens: vec![token("ldapservice-grafana", "ldapservice")],
        applications: vec![nextcloud],
    }
}

#[test]
fn all_wrong_fields_of_an_object_are_told_at_once() {
    let registry = registry();
    let mut alice = person("alice");
    alice.said.email = Some("no address".to_owned());
    alice.said.name = Some("n".repeat(5_000));
    alice.said.attributes = attributes(&[("uidNumber", "many"), ("jpegPhoto", "")]);
    alice.password = Some(SeedSecret::Hash(HashText::new("{md5-of-mine}x".to_owned())));
    let mut described = token("api", "bob");
    described.said.description = Some("d".repeat(5_000));
    described.said.networks = Some(vec!["10.0.0.0/8".parse().unwrap(); 1_001]);
    described.said.intent = Some(Intent::Api);
    described.secret = secret("short");
    let mut vault = application("vault", None);
    vault.said.texts = vec![
        (ApplicationText::LaunchUrl, "javascript:x".to_owned()),
        (ApplicationText::Description, "d".repeat(100_000)),
    ];
    let mut ldap = provider("ldap", "no dn");
    ldap.said.domain = Some(Some("no domain".to_owned()));
    let seed = Seed {
        providers: vec![ldap],
        accounts: vec![alice, person("bob")],
        tokens: vec![described],
        applications: vec![vault],
        ..Seed::default()
    };
    let planned = wait(registry.plan_seed(seed, SeedOptions::default()));
    let Err(ChangeError::Seed(problems)) = planned else { panic!("it was taken") };
    let told: Vec<(String, String)> = problems
        .iter()
        .map(|problem| {
            let (_, name) = problem.object.clone().unwrap();
            (name, problem.field.clone().unwrap_or_default())
        })
        .collect();
    for (name, field) in [
        ("alice", "email"),
        ("alice", "name"),
        ("alice", "attributes.uidNumber"),
        ("alice", "password"),
        ("api", "key"),
        ("api", "description"),
        ("api", "networks"),
        ("vault", "meta_launch_url"),
        ("vault", "meta_description"),
        ("ldap", "base_dn"),
        ("ldap", "domain"),
    ] {
        let expected = (name.to_owned(), field.to_owned());
        assert!(told.contains(&expected), "{expected:?} in {told:#?}");
    }
}

#[test]
fn a_seed_makes_everything_at_once_and_then_nothing() {
    let registry = registry();
    assert!(!wait(registry.is_seeded()).unwrap());
    let (plan, secrets) = apply(&registry, &example()).unwrap();
    assert!(wait(registry.is_seeded()).unwrap());
    assert!(plan.diff.iter().all(|entry| entry.sign == Sign::Created), "{:#?}", plan.diff);
    let names: Vec<&str> = plan.diff.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "ldap",
            "ldap-search",
            "engineering",
            "staff",
            "ldapservice",
            "alice",
            "bob",
            "ldapservice",
            "ldapservice-grafana",
            "ldapservice-app-password",
            "nextcloud"
        ]
    );
    let identifiers: Vec<&str> = secrets.iter().map(|secret| secret.identifier.as_str()).collect();
    assert_eq!(identifiers, ["ldapservice-grafana", "ldapservice-app-password"]);

    let snapshot = registry.snapshot();
    let accounts = snapshot.accounts();
    let token = accounts.token_named("ldapservice-app-password").unwrap();
    assert_eq!(token.expires, secrets[1].expires);
    assert!(token.expires.unwrap() > Timestamp::now().after(Duration::from_secs(359 * 86_400)));
    let made = accounts.group_named("ldapservice").unwrap();
    assert!(made.has_member(accounts.account_named("ldapservice").unwrap().number));
    let staff = accounts.group_named("staff").unwrap().number;
    assert!(accounts.group_named("engineering").unwrap().closure.contains(&staff));

    for new in &secrets {
        assert!(binds(&registry, "ldapservice", new.secret.expose()));
    }
    assert!(binds(&registry, "cn=alice,ou=users,dc=ldap,dc=example,dc=com", b"correct horse"));
    assert!(!binds(&registry, "alice", b"wrong"));

    let before = registry.snapshot().revision();
    let (again, secrets) = apply(&registry, &example()).unwrap();
    assert!(again.diff.is_empty() && secrets.is_empty(), "{:#?}", again.diff);
    assert_eq!(registry.snapshot().revision(), before, "nothing is committed when nothing is different");
}

#[test]
fn a_plan_changes_nothing_and_shows_names_and_no_secrets() {
    let registry = registry();
    let before = registry.snapshot().revision();
    let plan = wait(registry.plan_seed(example(), SeedOptions::default())).unwrap();
    assert_eq!(registry.snapshot().revision(), before);
    assert_eq!(registry.snapshot().accounts().account_count(), 0);
    let shown = serde_json::to_string(&plan).unwrap();
    assert!(!shown.contains("horse") && !shown.contains("argon2"), "{shown}");
    let engineering = plan.diff.iter().find(|entry| entry.name == "engineering").unwrap();
    let field = |name: &str| {
        let field = engineering.fields.iter().find(|field| field.field == name);
        field.and_then(|field| field.after.clone()).unwrap_or_default()
    };
    assert_eq!(field("members"), "alice, bob");
    assert_eq!(field("parents"), "staff");
    assert_eq!(field("permissions"), "view_user on account:bob");
    assert_eq!(serde_json::from_str::<SeedPlan>(&shown).unwrap(), plan);
}

#[test]
fn present_keys_are_set_and_absent_ones_left_alone() {
    let registry = registry();
    apply(&registry, &example()).unwrap();
    let mut seed = Seed { accounts: vec![person("alice")], ..Seed::default() };
    assert!(apply(&registry, &seed).unwrap().0.diff.is_empty());

    seed.accounts[0].said.email = Some("a@example.com".to_owned());
    seed.accounts[0].said.attributes = attributes(&[("uidNumber", "7008")]);
    seed.groups = vec![group("engineering", &["alice"])];
    let (plan, _) = apply(&registry, &seed).unwrap();
    let fields: Vec<(&str, &str, Option<&str>, Option<&str>)> = plan
        .diff
        .iter()
        .flat_map(|entry| {
            entry.fields.iter().map(|field| {
                (entry.name.as_str(), field.field.as_str(), field.before.as_deref(), field.after.as_deref())
            })
        })
        .collect();
    assert_eq!(
        fields,
        [
            ("engineering", "members", Some("bob"), None),
            ("alice", "email", Some("alice@example.com"), Some("a@example.com")),
            ("alice", "attributes.uidNumber", Some("7007"), Some("7008")),
            ("alice", "attributes.telephoneNumber", Some("+1 555 0100"), None),
        ]
    );
    assert!(binds(&registry, "alice", b"correct horse"), "the password was not in this seed");
    assert!(registry.snapshot().accounts().account_named("bob").is_some(), "an absent object is left alone");
}

#[test]
fn pruning_deletes_what_is_absent_and_leaves_tombstones() {
    let registry = registry();
    apply(&registry, &example()).unwrap();
    let mut seed = example();
    seed.accounts.retain(|account| account.username != "bob");
    seed.groups = vec![group("staff", &["alice"])];
    seed.tokens.clear();
    seed.roles.clear();
    for account in &mut seed.accounts {
        account.roles = None;
    }
    let prune = SeedOptions { prune: true, ..SeedOptions::default() };
    let (plan, _) = apply_with(&registry, &seed, &prune).unwrap();
    let deleted: Vec<&str> = plan
        .diff
        .iter()
        .filter(|entry| entry.sign == Sign::Deleted)
        .map(|entry| entry.name.as_str())
        .collect();
    assert_eq!(deleted, ["ldap-search", "engineering", "bob", "ldapservice-grafana"]);
    let origins = plan.diff.iter().filter(|entry| entry.sign == Sign::Deleted).map(|entry| &entry.reason);
    for origin in origins {
        assert!(origin.as_ref().unwrap().starts_with("made by the config"), "{origin:?}");
    }
    let snapshot = registry.snapshot();
    assert!(snapshot.accounts().account_named("ldapservice").unwrap().roles.is_empty());
    assert!(snapshot.accounts().token_named("ldapservice-app-password").is_some());
    assert!(apply_with(&registry, &seed, &prune).unwrap().0.diff.is_empty());

    // What was deleted stays deleted, and says so; what names it does not mind.
    let (plan, secrets) = apply(&registry, &example()).unwrap();
    let skipped: Vec<(&str, bool)> = plan
        .diff
        .iter()
        .filter(|entry| entry.sign == Sign::Skipped)
        .map(|entry| (entry.name.as_str(), entry.reason.is_some()))
        .collect();
    assert_eq!(
        skipped,
        [("ldap-search", true), ("engineering", true), ("bob", true), ("ldapservice-grafana", true)]
    );
    assert!(secrets.is_empty());
    assert!(wait(registry.plan_seed(example(), SeedOptions::default())).unwrap().is_empty());

    let recreate = SeedOptions {
        recreate: ["ldap-search", "engineering", "bob", "ldapservice-grafana"].map(str::to_owned).into(),
        ..SeedOptions::default()
    };
    let (plan, secrets) = apply_with(&registry, &example(), &recreate).unwrap();
    assert!(plan.diff.iter().all(|entry| entry.sign != Sign::Skipped), "{:#?}", plan.diff);
    assert_eq!(secrets.len(), 1);
    assert!(apply_with(&registry, &example(), &recreate).unwrap().0.diff.is_empty());
}

#[test]
fn recreating_an_account_recreates_its_tokens() {
    let registry = registry();
    apply(&registry, &example()).unwrap();
    wait(delete_account(&registry, "LDAPService".to_owned())).unwrap();
    let (plan, _) = apply(&registry, &example()).unwrap();
    let skipped = plan.diff.iter().filter(|entry| entry.sign == Sign::Skipped).count();
    assert_eq!(skipped, 2, "{:#?}", plan.diff);
    let options = SeedOptions { recreate: vec!["ldapservice".to_owned()], ..SeedOptions::default() };
    let (_, secrets) = apply_with(&registry, &example(), &options).unwrap();
    assert_eq!(secrets.len(), 2);
    for new in &secrets {
        assert!(binds(&registry, "ldapservice", new.secret.expose()));
    }
    let options = SeedOptions { recreate: vec!["nobody".to_owned()], ..SeedOptions::default() };
    assert!(refused(apply_with(&registry, &example(), &options)).contains("nothing to recreate"));
}

#[test]
fn a_binding_of_a_deleted_account_does_not_open_the_application() {
    let registry = registry();
    let mut seed = example();
    seed.applications[0].bindings.as_mut().unwrap().remove(0);
    let (_, secrets) = apply(&registry, &seed).unwrap();
    assert!(!binds(&registry, "alice", b"correct horse"));
    wait(delete_account(&registry, "ldapservice".to_owned())).unwrap();
    apply(&registry, &seed).unwrap();
    assert!(!binds(&registry, "alice", b"correct horse"));
    assert!(!binds(&registry, "ldapservice", secrets[0].secret.expose()));
    assert!(wait(registry.plan_seed(seed, SeedOptions::default())).unwrap().is_empty());
}

#[test]
fn a_binding_that_stays_keeps_its_uuid() {
    let registry = registry();
    let mut seed = example();
    let office = TimeWindow::new(
        [Weekday::Mon],
        "08:00".parse().unwrap(),
        "18:00".parse().unwrap(),
        "Europe/Berlin".parse().unwrap(),
    )
    .unwrap();
    let bindings = seed.applications[0].bindings.as_mut().unwrap();
    bindings.push(bound(SeedSubject::Networks(vec!["10.0.0.0/8".parse().unwrap()])));
    bindings.push(bound(SeedSubject::Window(office)));
    // The same twice are two.
    bindings.push(bindings[0].clone());
    apply(&registry, &seed).unwrap();
    let stored = || {
        let snapshot = registry.snapshot();
        let application = snapshot.accounts().application_named("nextcloud").unwrap();
        (application.uuid, application.modified, application.bindings.clone())
    };
    let (uuid, modified, first) = stored();
    let uuids = |bindings: &[Binding]| bindings.iter().map(|binding| binding.uuid).collect::<Vec<_>>();
    assert_eq!(uuids(&first).into_iter().collect::<std::collections::BTreeSet<_>>().len(), 5);
    assert!(apply(&registry, &seed).unwrap().0.diff.is_empty());
    assert_eq!(stored(), (uuid, modified, first.clone()));
    // Another place, order and switch are the same binding; another direction or subject is another.
    let bindings = seed.applications[0].bindings.as_mut().unwrap();
    bindings.reverse();
    bindings[1].order = 7;
    bindings[2].enabled = false;
    bindings[3].negate = true;
    let (plan, _) = apply(&registry, &seed).unwrap();
    let [entry] = plan.diff.as_slice() else { panic!("{:#?}", plan.diff) };
    let told = entry.fields.iter().find(|field| field.field == "bindings").unwrap();
    assert_eq!(
        told.before.as_deref(),
        Some(
            "group staff, account ldapservice, order 1, networks 10.0.0.0/8, time Mon 08:00-18:00 Europe/Berlin, \
             group staff"
        )
    );
    assert_eq!(
        told.after.as_deref(),
        Some(
            "group staff, time Mon 08:00-18:00 Europe/Berlin, order 7, networks 10.0.0.0/8, disabled, \
             not account ldapservice, order 1, group staff"
        )
    );
    let (_, _, second) = stored();
    assert_eq!(second[1].uuid, first[3].uuid);
    assert_eq!(second[2].uuid, first[2].uuid);
    assert!(!uuids(&first).contains(&second[3].uuid));
    let staff = |bindings: &[Binding], places: [usize; 2]| {
        places.map(|place| bindings[place].uuid).into_iter().collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(staff(&second, [0, 4]), staff(&first, [0, 4]));
}

#[test]
fn an_application_is_described_and_dated() {
    let registry = registry();
    let mut seed = example();
    let described = &mut seed.applications[0].said;
    let said = |text: ApplicationText, value: &str| (text, value.to_owned());
    let description = ApplicationText::Description;
    described.texts = vec![
        said(ApplicationText::Group, "Office"),
        said(ApplicationText::LaunchUrl, "https://cloud.example.com/"),
        said(description, "Files"),
        said(ApplicationText::Publisher, "Nextcloud"),
    ];
    described.open_in_new_tab = Some(true);
    described.hide = Some(true);
    apply(&registry, &seed).unwrap();
    let stored = || {
        let snapshot = registry.snapshot();
        crate::model::Application::clone(snapshot.accounts().application_named("nextcloud").unwrap())
    };
    let first = stored();
    assert_eq!(
        first.texts.iter().map(|(_, value)| value).filter(|value| !value.is_empty()).collect::<Vec<_>>(),
        ["Office", "https://cloud.example.com/", "Files", "Nextcloud"]
    );
    assert!(first.open_in_new_tab && first.hide);
    assert_eq!(first.created, first.modified);
    assert!(first.created.unix_seconds() > 0);
    // What is absent is left alone, what is empty is emptied.
    seed.applications[0] = SeedApplication {
        said: ApplicationChanges {
            texts: vec![said(description, "")],
            hide: Some(false),
            ..ApplicationChanges::default()
        },
        ..application("nextcloud", None)
    };
    let (plan, _) = apply(&registry, &seed).unwrap();
    let fields: Vec<&str> = plan.diff[0].fields.iter().map(|field| field.field.as_str()).collect();
    assert_eq!(fields, ["description", "hide"]);
    let second = stored();
    assert_eq!((second.texts.get(description), second.hide), ("", false));
    assert_eq!((second.texts.get(ApplicationText::Group), second.created), ("Office", first.created));
}

#[test]
fn a_password_says_when_it_was_set() {
    let registry = registry();
    let mut seed = example();
    let before = Timestamp::now();
    let changed = |registry: &Registry| {
        let snapshot = registry.snapshot();
        snapshot.accounts().account_named("alice").unwrap().password.as_ref().unwrap().changed
    };
    apply(&registry, &seed).unwrap();
    let first = changed(&registry);
    assert!(first >= before && first <= Timestamp::now());
    seed.accounts[0].password = secret("another one");
    apply(&registry, &seed).unwrap();
    assert!(changed(&registry) >= first);
}

#[test]
fn a_relative_expiry_is_not_moved_and_an_absolute_one_is() {
    let registry = registry();
    let mut seed = example();
    seed.tokens[0].said.expires = Some(Expiry::In(Duration::from_secs(86_400)));
    apply(&registry, &seed).unwrap();
    let expires = |registry: &Registry| {
        registry.snapshot().accounts().token_named("ldapservice-grafana").unwrap().expires
    };
    assert!(apply(&registry, &seed).unwrap().0.diff.is_empty());
    // What somebody else has said of it meanwhile stays.
    let changes =
        TokenChanges { expires: Some(Expiry::In(Duration::from_secs(60))), ..TokenChanges::default() };
    wait(registry.update_token(actor(), "ldapservice-grafana".to_owned(), changes)).unwrap();
    let meanwhile = expires(&registry);
    assert!(apply(&registry, &seed).unwrap().0.diff.is_empty());
    assert_eq!(expires(&registry), meanwhile);
    // Another duration counts from when the token was made.
    seed.tokens[0].said.expires = Some(Expiry::In(Duration::from_secs(2 * 86_400)));
    assert!(!apply(&registry, &seed).unwrap().0.diff.is_empty());
    let made = registry.snapshot().accounts().token_named("ldapservice-grafana").unwrap().created;
    assert_eq!(expires(&registry), Some(made.after(Duration::from_secs(2 * 86_400))));
    assert!(apply(&registry, &seed).unwrap().0.diff.is_empty());
    let time = Timestamp::from_unix_seconds(4_000_000_000);
    seed.tokens[0].said.expires = Some(Expiry::At(time));
    apply(&registry, &seed).unwrap();
    assert_eq!(expires(&registry), Some(time));
    seed.tokens[0].said.expires = None;
    seed.tokens[0].said.expiring = Some(false);
    apply(&registry, &seed).unwrap();
    assert_eq!(expires(&registry), None);
}

/// A time of the config that has passed ends no token that was given another one since; it is told.
#[test]
fn a_time_that_has_passed_ends_no_token() {
    for intent in [Intent::AppPassword, Intent::Api] {
        let registry = registry();
        let mut seed = with_provider(Seed { accounts: vec![service("svc")], ..Seed::default() });
        seed.tokens = vec![token("extra", "svc")];
        seed.tokens[0].said.intent = Some(intent);
        seed.tokens[0].said.expires = Some(Expiry::In(Duration::from_secs(90 * 86_400)));
        apply(&registry, &seed).unwrap();
        let stored = || registry.snapshot().accounts().token_named("extra").cloned().unwrap();
        let before = stored();
        seed.tokens[0].said.expires = Some(Expiry::At(Timestamp::from_unix_seconds(1_000_000_000)));
        let plan = wait(registry.plan_seed(seed.clone(), SeedOptions::default())).unwrap();
        let (applied, _) = apply(&registry, &seed).unwrap();
        assert_eq!(stored(), before, "{intent}");
        for plan in [plan, applied] {
            let [entry] = &plan.diff[..] else { panic!("{:?}", plan.diff) };
            assert_eq!((entry.sign, entry.name.as_str()), (Sign::Skipped, "extra"));
            assert!(entry.reason.as_ref().unwrap().contains("which has passed"), "{:?}", entry.reason);
        }
        // By no door.
        let late = Some(Expiry::At(Timestamp::from_unix_seconds(1_000_000_000)));
        let changes = TokenChanges { expires: late, ..TokenChanges::default() };
        let refusal = refused(wait(registry.update_token(actor(), "extra".to_owned(), changes)));
        assert!(refusal.contains("expired at once"), "{refusal}");
    }
}

#[test]
fn the_first_app_password_follows_the_account() {
    let registry = registry();
    let mut seed = example();
    seed.accounts[2].expiring = Some(false);
    let (plan, _) = apply(&registry, &seed).unwrap();
    let first = plan.needed.iter().find(|needed| needed.identifier == "ldapservice-app-password").unwrap();
    assert_eq!(first.expires, None);

    let registry = registry_with_example();
    let mut seed = example();
    let mut portal = service("portal");
    portal.expires = Some(Expiry::At(Timestamp::from_unix_seconds(4_000_000_000)));
    seed.accounts.push(portal);
    seed.tokens.push(token("portal-app-password", "portal"));
    let (plan, secrets) = apply(&registry, &seed).unwrap();
    assert_eq!(secrets.len(), 1, "the [[token]] of that identifier stands for it");
    assert_ne!(plan.needed[0].expires, Some(Timestamp::from_unix_seconds(4_000_000_000)));
}

/// Whether a token expires of which the config says nothing is said by its owner, as in the API and by commands.
#[test]
fn what_expires_by_default_is_said_by_the_account() {
    const ATTRIBUTE: &str = "\"goauthentik.io/user/token-expires\"";
    for (said, by_default) in
        [("", true), ("[\"false\"]", false), ("[\"FALSE\"]", false), ("[\"true\"]", true)]
    {
        let attributes =
            if said.is_empty() { String::new() } else { format!("attributes = {{ {ATTRIBUTE} = {said} }}") };
        let token = |identifier: &str, more: &str| {
            format!("[[token]]\nidentifier = \"{identifier}\"\naccount = \"robot\"\n{more}\n")
        };
        let config = format!(
            "[[provider]]\nname = \"ldap\"\nbase_dn = \"dc=example,dc=com\"\n\
             [[account]]\nusername = \"robot\"\ntype = \"service_account\"\n{attributes}\n{}{}{}{}",
            token("silent", ""),
            token("dated", "expires = \"30d\""),
            token("expiring", "expiring = true"),
            token("staying", "expiring = false"),
        );
        let registry = registry();
        apply(&registry, &seed_of(&config)).unwrap();
        let expires = |identifier: &str| {
            registry.snapshot().accounts().token_named(identifier).unwrap().expires.is_some()
        };
        let all = ["robot-app-password", "silent", "dated", "expiring", "staying"].map(expires);
        assert_eq!(all, [by_default, by_default, true, true, false], "{said}");
        // What stands in the config and says nothing moves nothing.
        assert!(wait(registry.plan_seed(seed_of(&config), SeedOptions::default())).unwrap().is_empty());
    }
}

/// The seed of a config.
fn seed_of(text: &str) -> Seed {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bindery.toml");
    std::fs::write(&path, format!("[server]\ndata_dir = \"data\"\n{text}")).unwrap();
    crate::config::load(&path, &|_: &str| None).unwrap().seed
}

fn registry_with_example() -> Arc<Registry> {
    let registry = registry();
    apply(&registry, &example()).unwrap();
    registry
}

#[test]
fn the_secrets_must_be_those_that_are_needed() {
    let registry = registry();
    let before = registry.snapshot().revision();
    let plan = wait(registry.plan_seed(example(), SeedOptions::default())).unwrap();
    let secrets = secrets_for(&plan);
    let try_with = |secrets: Vec<NewSecret>| {
        wait(registry.apply_seed(actor(), example(), SeedOptions::default(), secrets))
    };
    assert!(matches!(try_with(Vec::new()), Err(ChangeError::Conflict)));
    assert!(matches!(try_with(secrets[..1].to_vec()), Err(ChangeError::Conflict)));
    let mut later = secrets.clone();
    later[0].expires = Some(Timestamp::from_unix_seconds(4_000_000_000));
    assert!(matches!(try_with(later), Err(ChangeError::Conflict)), "the table would show a wrong time");
    let mut own = secrets.clone();
    own[0].secret = Secret::from("chosen".to_owned());
    assert!(matches!(try_with(own), Err(ChangeError::Refused(_))));
    let mut more = secrets.clone();
    let mut extra = secrets_for(&plan)[0].clone();
    extra.identifier = "more".to_owned();
    more.push(extra);
    assert!(matches!(try_with(more), Err(ChangeError::Conflict)));
    assert_eq!(registry.snapshot().revision(), before);
    try_with(secrets).unwrap();
}

#[test]
fn seeded_secrets_are_stored_by_their_shape() {
    let registry = registry();
    let mut seed = example();
    let generated = TokenSecret::generate(Intent::AppPassword).unwrap().into_secret();
    let generated_text = String::from_utf8(generated.expose().to_vec()).unwrap();
    seed.tokens[0].secret = Some(SeedSecret::Given(generated.clone()));
    seed.tokens.push(token("own", "ldapservice"));
    seed.tokens[1].secret = secret("my own long secret");
    let (_, secrets) = apply(&registry, &seed).unwrap();
    assert_eq!(secrets.len(), 1, "only the first app password is generated");
    assert!(binds(&registry, "ldapservice", generated.expose()));
    assert!(binds(&registry, "ldapservice", b"my own long secret"));
    assert!(registry.snapshot().accounts().token_named("own").unwrap().is_selectorless());
    assert!(apply(&registry, &seed).unwrap().0.diff.is_empty());

    let refusal = |change: &dyn Fn(&mut Seed)| {
        let mut seed = seed.clone();
        change(&mut seed);
        refused(apply(&registry, &seed))
    };
    let second = |given: Option<SeedSecret>| {
        refusal(&move |seed: &mut Seed| {
            let mut other = token("another", "ldapservice");
            other.secret = given.clone();
            seed.tokens.push(other);
        })
    };
    assert!(second(secret("another secret of mine")).contains("more than one credential"));
    assert!(second(Some(SeedSecret::Given(generated.clone()))).contains("there already"));
    let mut broken = generated_text.clone();
    broken.pop();
    assert!(second(secret(&broken)).contains("checksum"));
    assert!(
        second(Some(SeedSecret::Hash(HashText::new("{NONSENSE}x".to_owned())))).contains("not supported")
    );
    let costly =
        "$argon2id$v=19$m=65536,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";
    assert!(second(Some(SeedSecret::Hash(HashText::new(costly.to_owned())))).contains("argon2_memory_max"));
    let password = |text: &str| {
        let given = secret(text);
        refusal(&move |seed: &mut Seed| seed.accounts[0].password = given.clone())
    };
    assert!(password(&generated_text).contains("begins as a generated secret does"));
    assert!(password(&broken).contains("begins as a generated secret does"));
}

#[test]
fn api_tokens_have_generated_secrets() {
    let registry = registry();
    let mut seed = example();
    seed.tokens[0].said.intent = Some(Intent::Api);
    let with = |given: Option<SeedSecret>| {
        let mut seed = seed.clone();
        seed.tokens[0].secret = given;
        refused(apply(&registry, &seed))
    };
    assert!(with(secret("a secret of my own")).contains("at least 32 characters"));
    assert!(with(Some(SeedSecret::Hash(HashText::new("$argon2id$x".to_owned())))).contains("secret_hash"));
    let app = TokenSecret::generate(Intent::AppPassword).unwrap().into_secret();
    assert!(with(Some(SeedSecret::Given(app))).contains("another intent"));
    let (_, secrets) = apply(&registry, &seed).unwrap();
    assert!(secrets[0].secret.expose().starts_with(b"bindery_api_"));
    assert!(!binds(&registry, "ldapservice", secrets[0].secret.expose()));
    seed.tokens[0].said.intent = Some(Intent::AppPassword);
    assert!(refused(apply(&registry, &seed)).contains("cannot be changed"));
}

#[test]
fn a_password_is_hashed_only_when_it_differs() {
    let registry = registry_with_example();
    let created = || registry.hash_pool().counts().created;
    let before = created();
    apply(&registry, &example()).unwrap();
    assert_eq!(created(), before);
    let mut seed = example();
    seed.accounts[0].password = secret("battery staple");
    let (plan, _) = apply(&registry, &seed).unwrap();
    assert_eq!(created(), before + 1);
    assert_eq!(plan.diff.len(), 1);
    assert_eq!(plan.diff[0].fields[0].field, "password");
    assert!(binds(&registry, "alice", b"battery staple"));
    assert!(!binds(&registry, "alice", b"correct horse"));
}

/// Whoever sets it again and again between what an apply compares and what it writes keeps out one of two at most: who finds the
/// password of the config is told that it was exchanged, and the next finds another one.
#[test]
fn whoever_sets_a_password_of_the_config_keeps_no_apply_out() {
    let registry = registry_with_example();
    let set = |text: String| {
        let accounts = registry.snapshot();
        let alice = accounts.accounts().account_named("alice").unwrap().number;
        let new = crate::registry::commands::NewPassword::Secret(Secret::from(text));
        wait(registry.set_account_password(Caller::from(actor()), alice, new)).unwrap();
    };
    let mut refusals = Vec::new();
    for round in 0..4 {
        let mut seed = example();
        seed.groups[0].said.is_superuser = Some(round % 2 == 0);
        let refused = (0..3).take_while(|attempt| {
            let options = SeedOptions::default();
            let prepared = wait(Prepared::for_apply(&registry, &seed, &options, Vec::new())).unwrap();
            set(format!("set in round {round}, attempt {attempt}"));
            match wait(registry.apply_prepared(actor(), seed.clone(), options, prepared)) {
                Ok(_) => false,
                Err(ChangeError::Conflict) => true,
                Err(error) => panic!("{error}"),
            }
        });
        refusals.push(refused.count());
        assert!(binds(&registry, "alice", b"correct horse"));
    }
    assert_eq!(refusals, [1; 4]);
}

#[test]
fn a_password_hash_is_kept_as_it_is() {
    let registry = registry();
    let mut seed = example();
    // {SSHA} of "secret" with the salt "salt".
    let hash = HashText::new("{SSHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0".to_owned());
    seed.accounts[0].password = Some(SeedSecret::Hash(hash.clone()));
    apply(&registry, &seed).unwrap();
    let accounts = registry.snapshot();
    let alice = accounts.accounts().account_named("alice").unwrap();
    assert_eq!(alice.password.as_ref().unwrap().hash, hash);
    assert!(apply(&registry, &seed).unwrap().0.diff.is_empty());
}

#[test]
fn kinds_are_not_converted_where_that_is_forbidden() {
    let registry = registry_with_example();
    let with = |change: &dyn Fn(&mut Seed)| {
        let mut seed = example();
        change(&mut seed);
        refused(apply(&registry, &seed))
    };
    assert!(
        with(&|seed| {
            seed.accounts[2].said.kind = Some(AccountKind::Internal);
            seed.accounts[2].create_group = None;
        })
        .contains("cannot become a person")
    );
    assert!(
        with(&|seed| seed.accounts[1].said.kind = Some(AccountKind::InternalServiceAccount))
            .contains("internal service account")
    );
    assert!(with(&|seed| seed.accounts[2].password = secret("x")).contains("authenticates with tokens"));
    assert!(with(&|seed| seed.accounts[0].create_group = Some(true)).contains("is a person"));
    let mut seed = example();
    seed.accounts[0].said.kind = Some(AccountKind::External);
    apply(&registry, &seed).unwrap();
    // A person may become a service account: its password is gone then.
    seed.accounts[0].said.kind = Some(AccountKind::ServiceAccount);
    seed.accounts[0].password = None;
    apply(&registry, &seed).unwrap();
    assert!(!binds(&registry, "alice", b"correct horse"));
}

#[test]
fn names_and_numbers_are_unique() {
    let registry = registry_with_example();
    let with = |change: &dyn Fn(&mut Seed)| {
        let mut seed = example();
        change(&mut seed);
        refused(apply(&registry, &seed))
    };
    assert!(
        with(&|seed| seed.accounts[1].said.attributes = attributes(&[("uidNumber", "7007")]))
            .contains("`alice` has it")
    );
    // alice is number 4 or so; whatever it is, what it derives may not be given to another.
    let derived = |registry: &Registry, name: &str| {
        2_000 + registry.snapshot().accounts().account_named(name).unwrap().number.get()
    };
    let taken = derived(&registry, "ldapservice").to_string();
    assert!(
        with(&|seed| seed.accounts[1].said.attributes = attributes(&[("uidNumber", &taken)]))
            .contains("`ldapservice` has it")
    );
    // A shared gidNumber is allowed, and two may exchange their uidNumbers.
    let mut seed = example();
    seed.accounts[0].said.attributes = attributes(&[("uidNumber", "7007"), ("gidNumber", "100")]);
    seed.accounts[1].said.attributes = attributes(&[("uidNumber", "7008"), ("gidNumber", "100")]);
    apply(&registry, &seed).unwrap();
    seed.accounts[0].said.attributes = attributes(&[("uidNumber", "7008")]);
    seed.accounts[1].said.attributes = attributes(&[("uidNumber", "7007")]);
    apply(&registry, &seed).unwrap();

    assert!(
        with(&|seed| {
            let mut other = provider("other", "DC=ldap, dc=example,dc=com");
            other.said.is_default = None;
            seed.providers.push(other);
        })
        .contains("same base DN")
    );
    assert!(with(&|seed| seed.providers.push(provider("other", "dc=other"))).contains("both the default"));
    let all = with(&|seed| seed.providers.push(provider("other", "dc=ldap,dc=example,dc=com")));
    for what in ["same base DN", "same domain", "both the default"] {
        assert!(all.contains(what), "{what}: {all}");
    }
    assert!(
        with(&|seed| seed.applications.push(application("other", Some("ldap"))))
            .contains("the applications `nextcloud` and `other` have the same provider `ldap`")
    );
    let both = with(&|seed| {
        seed.accounts[1].said.attributes = attributes(&[("uidNumber", "7007")]);
        seed.applications.push(application("other", Some("ldap")));
    });
    assert_eq!(both.lines().count(), 2, "{both}");
    // Of an account the bound that governs; of a group there is no other.
    assert!(with(&|seed| seed.accounts.push(person(&"x".repeat(257)))).contains("more than 150 characters"));
    assert!(with(&|seed| seed.groups.push(group(&"x".repeat(257), &[]))).contains("more than 256"));
    assert!(with(&|seed| seed.accounts.push(person("a\u{7}b"))).contains("control characters"));
}

#[test]
fn given_numbers_are_not_derived_for_others() {
    let registry = registry();
    let mut seed = example();
    // The first number would derive these.
    seed.accounts[0].said.attributes = attributes(&[("uidNumber", "2001"), ("gidNumber", "4002")]);
    apply(&registry, &seed).unwrap();
    let numbers: Vec<u32> =
        registry.snapshot().accounts().accounts().map(|account| account.number.get()).collect();
    assert!(numbers.iter().all(|number| *number > 2), "{numbers:?}");
}

#[test]
fn attributes_are_what_the_schema_allows() {
    let registry = registry_with_example();
    for (name, value, sentence) in [
        ("userPassword", "x", "no entry holds secrets"),
        ("memberOf", "cn=x", "derived"),
        ("entryUUID", "x", "derived"),
        ("pwd/history/x;;", "x", "options"),
        ("objectClass", "device", "follow from what it is"),
        ("uidNumber", "seven", "syntax"),
        ("-x", "y", "attribute name"),
        ("displayName", "Alice", "made from its name"),
    ] {
        let mut seed = example();
        seed.accounts[0].said.attributes = attributes(&[(name, value)]);
        let refusal = refused(apply(&registry, &seed));
        assert!(refusal.contains(sentence), "{name}: {refusal}");
    }
    let mut seed = example();
    let of_two =
        |name: &str| Attribute { description: name.to_owned(), values: vec![b"de".to_vec(), b"en".to_vec()] };
    seed.accounts[0].said.attributes = Some(vec![of_two("preferredLanguage")]);
    assert!(refused(apply(&registry, &seed)).contains("one value at most"));
    seed.accounts[0].said.attributes = Some(vec![of_two("cn;lang-de"), of_two("shoeSize")]);
    apply(&registry, &seed).unwrap();
}

#[test]
fn what_does_not_exist_is_unresolved_in_the_plan_and_refused_when_applied() {
    let registry = registry();
    let before = registry.snapshot().revision();
    let mut seed = example();
    seed.groups[1].members = Some(vec!["carol".to_owned()]);
    seed.accounts[0].roles = Some(vec!["king".to_owned()]);
    let plan = wait(registry.plan_seed(seed.clone(), SeedOptions::default())).unwrap();
    assert_eq!(
        plan.unresolved,
        [(ReferenceKind::Account, "carol".to_owned()), (ReferenceKind::Role, "king".to_owned())]
    );
    let refusal = refused(apply(&registry, &seed));
    assert_eq!(refusal.lines().count(), 2, "{refusal}");
    assert_eq!(registry.snapshot().revision(), before);
}

/// A token that is not made is not announced: what is wrong is its account, and that is told.
#[test]
fn a_token_of_nobody_is_told_by_its_account() {
    let registry = registry();
    let mut seed = example();
    seed.tokens.push(token("of-nobody", "ldapservcie"));
    seed.roles[0].permissions.as_mut().unwrap().push(SeedGrant {
        permission: Permission::ViewToken,
        on: Some(SeedReference { kind: ReferenceKind::Token, name: "of-nobody".to_owned() }),
    });
    let plan = wait(registry.plan_seed(seed.clone(), SeedOptions::default())).unwrap();
    assert_eq!(plan.unresolved, [(ReferenceKind::Account, "ldapservcie".to_owned())]);
    let refusal = refused(apply(&registry, &seed));
    assert_eq!(refusal.lines().count(), 1, "{refusal}");
    assert!(refusal.contains("neither in the seed nor in the store"), "{refusal}");

    // So is one whose account is deleted by the same run.
    apply(&registry, &example()).unwrap();
    let mut seed = example();
    seed.accounts.retain(|account| account.username != "ldapservice");
    seed.applications.clear();
    let prune = SeedOptions { prune: true, ..SeedOptions::default() };
    let plan = wait(registry.plan_seed(seed.clone(), prune.clone())).unwrap();
    assert_eq!(plan.unresolved, [(ReferenceKind::Account, "ldapservice".to_owned())]);
    let refusal = refused(apply_with(&registry, &seed, &prune));
    assert!(refusal.contains("what is in the store alone is deleted"), "{refusal}");
}

#[test]
fn a_provider_may_move_but_not_lose_entries() {
    let registry = registry_with_example();
    let mut seed = example();
    seed.providers[0].said.base_dn = Some("dc=example,dc=org".to_owned());
    seed.providers[0].said.users =
        Some(vec![crate::model::Container { container: "ou=people".to_owned(), naming: "uid".to_owned() }]);
    apply(&registry, &seed).unwrap();
    assert!(binds(&registry, "uid=alice,ou=people,dc=example,dc=org", b"correct horse"));
    seed.providers[0].said.groups = seed.providers[0].said.users.clone();
    // A group and a service account of one name in one container.
    seed.providers[0].said.service_accounts = seed.providers[0].said.users.clone();
    let refusal = refused(apply(&registry, &seed));
    assert!(refusal.contains("would have two entries"), "{refusal}");
    seed.providers[0].said.groups = Some(Vec::new());
    assert!(refused(apply(&registry, &seed)).contains("no container"));
}

/// Configs that do not say it were written when there were virtual groups: what a store has, it keeps.
#[test]
fn a_provider_keeps_its_virtual_groups_when_nothing_is_said_of_them() {
    let registry = registry_with_example();
    let has = |registry: &Registry| registry.snapshot().trees()[0].provider().virtual_groups;
    let mut seed = example();
    assert!(!has(&registry), "a new provider has none");
    for given in [Some(true), None, Some(false), None] {
        seed.providers[0].said.virtual_groups = given;
        let before = has(&registry);
        apply(&registry, &seed).unwrap();
        assert_eq!(has(&registry), given.unwrap_or(before));
    }
}

#[test]
fn groups_are_not_in_each_other() {
    let registry = registry_with_example();
    let mut seed = example();
    seed.groups[1].parents = Some(vec!["engineering".to_owned()]);
    let refusal = refused(apply(&registry, &seed));
    assert!(refusal.contains("`engineering` in `staff` in `engineering` would be a circle"), "{refusal}");
    // Parent and child may be exchanged in one go.
    seed.groups[0].parents = Some(Vec::new());
    apply(&registry, &seed).unwrap();
    let snapshot = registry.snapshot();
    assert_eq!(snapshot.accounts().group_named("staff").unwrap().closure.len(), 2);
    assert!(apply(&registry, &seed).unwrap().0.diff.is_empty());
}

#[test]
fn tokens_are_made_listed_and_revoked() {
    let registry = registry_with_example();
    let new = |identifier: &str, account: &str| NewToken {
        expiring: Some(true),
        expires: Some(Expiry::In(Duration::from_secs(60))),
        ..new_token(identifier, account, Intent::AppPassword)
    };
    let made = wait(registry.create_token(actor(), new("extra", "LdapService"))).unwrap();
    assert_eq!(made.account, "ldapservice");
    assert!(binds(&registry, "ldapservice", made.secret.expose()));
    let snapshot = registry.snapshot();
    assert_eq!(snapshot.accounts().account_named("ldapservice").unwrap().tokens.len(), 3);
    assert!(matches!(
        wait(registry.create_token(actor(), new("extra", "ldapservice"))),
        Err(ChangeError::Exists { .. })
    ));
    assert!(matches!(
        wait(registry.create_token(actor(), new("other", "nobody"))),
        Err(ChangeError::NotFound { .. })
    ));
    let mut late = new("late", "alice");
    late.expires = Some(Expiry::At(Timestamp::from_unix_seconds(0)));
    assert!(refused(wait(registry.create_token(actor(), late))).contains("expired at once"));

    wait(registry.revoke_token(actor(), "extra".to_owned(), Replaced::End)).unwrap();
    assert!(!binds(&registry, "ldapservice", made.secret.expose()));
    assert!(wait(registry.revoke_token(actor(), "extra".to_owned(), Replaced::End)).is_err());
    let again = wait(registry.create_token(actor(), new("extra", "ldapservice"))).unwrap();
    assert!(binds(&registry, "ldapservice", again.secret.expose()), "a tombstone is cleared");

    wait(set_active(&registry, "ldapservice".to_owned(), false)).unwrap();
    assert!(!binds(&registry, "ldapservice", again.secret.expose()));
}

#[test]
fn a_full_disk_changes_nothing() {
    let store = Arc::new(MemoryStore::new());
    let registry = registry_over(store.clone());
    store.set_full(true);
    assert!(matches!(apply(&registry, &example()), Err(ChangeError::Store(_))));
    assert_eq!(registry.snapshot().accounts().account_count(), 0);
    store.set_full(false);
    apply(&registry, &example()).unwrap();
    registry.close();
    let again = registry_over(store);
    assert!(wait(again.plan_seed(example(), SeedOptions::default())).unwrap().is_empty());
}

/// What a config says that cannot be is refused by whoever writes the object, and told where it stands.
#[test]
fn what_cannot_be_is_told_at_its_line_and_key() {
    let registry = registry();
    let container = |number| format!("{{ container = \"ou={number}\", naming = \"cn\" }}, ");
    let containers: String = (0..101).map(container).collect();
    let token = "[[account]]\nusername = \"b\"\n[[token]]\nidentifier = \"a\"\naccount = \"b\"\n";
    let provider = "[[provider]]\nname = \"a\"\nbase_dn = \"dc=a\"\n";
    let cases = [
        (
            "[[account]]\nusername = \"a\"\ntype = \"service_account\"\npassword_hash = \"$6$a$b\""
                .to_owned(),
            "6:1: account.password_hash: the service account `a` cannot have a password",
        ),
        (
            "[[account]]\nusername = \"a\"\ntype = \"internal\"\nexpires = \"1d\"".to_owned(),
            "6:1: account.expires: the account `a` is a person",
        ),
        (
            "[[account]]\nusername = \"a\"\nemail = \"x\"".to_owned(),
            "5:1: account.email: \"x\" is no mail address",
        ),
        (
            format!("[[account]]\nusername = \"a\"\nname = \"{}\"", "x".repeat(4_097)),
            "5:1: account.name: the account `a` has a full name of more than 4096 octets",
        ),
        (
            format!("{token}description = \"{}\"", "x".repeat(4_097)),
            "8:1: token.description: the token `a` has a description of more than 4096 octets",
        ),
        (
            "[[account]]\nusername = \"a\"\n[account.attributes]\nl = [\"x\"]\nuidNumber = [\"x\"]"
                .to_owned(),
            "7:1: account.attributes.uidNumber: the account `a` cannot have the attribute",
        ),
        (
            format!("{token}intent = \"api\"\nsecret_hash = \"$argon2id$a$b\""),
            "9:1: token.secret_hash: the API token `a` is found by its secret",
        ),
        (
            format!("{token}intent = \"api\"\nsecret_env = \"SHORT\""),
            "9:1: token.secret_env: the secret of the token `a` is too short for an API token",
        ),
        (
            format!("{token}secret_hash = \"$argon2id$a$b\"\nretrievable = true"),
            "9:1: token.retrievable: the token `a` cannot be retrievable",
        ),
        (
            format!("[[provider]]\nname = \"a\"\nbase_dn = \"dc={}\"", "x".repeat(1_024)),
            "5:1: provider.base_dn: expected a DN of at most 1024 octets",
        ),
        (
            "[[provider]]\nname = \"a\"\nbase_dn = \"dc=x,CN=Subschema\"".to_owned(),
            "5:1: provider.base_dn: the provider `a` has the base DN \"dc=x,CN=Subschema\", where",
        ),
        (
            format!("{token}expires = \"2020-01-01\""),
            "8:1: token.expires: the token `a` would be expired at once",
        ),
        (
            "[[account]]\nusername = \"a\"\ntype = \"service_account\"\nexpires = \"2020-01-01\"".to_owned(),
            "6:1: account.expires: the token `a-app-password` would be expired at once",
        ),
        (
            format!(
                "{provider}[[account]]\nusername = \"a\"\nattributes = {{ uidNumber = [\"7000\"] }}\n[[account]]\n\
                 username = \"b\"\nattributes = {{ uidNumber = [\"7000\"] }}"
            ),
            "11:1: account.attributes: the account `a` cannot have the uidNumber 7000, `b` has it",
        ),
        (format!("{provider}users = [{containers}]"), "6:1: provider.users: expected at most 100 containers"),
    ];
    for (text, expected) in cases {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bindery.toml");
        std::fs::write(&path, format!("[server]\ndata_dir = \"data\"\n{text}")).unwrap();
        let environment = |name: &str| (name == "SHORT").then(|| "short".into());
        let config = crate::config::load(&path, &environment).unwrap();
        let refused = wait(registry.plan_seed(config.seed.clone(), SeedOptions::default()));
        let Err(ChangeError::Seed(problems)) = refused else { panic!("{text}: {refused:?}") };
        let found =
            |SeedProblem { object, field, sentence }| crate::config::Found { object, field, sentence };
        let (problems, sentences) = config.placed(problems.into_iter().map(found));
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let expected = format!("{}:{expected}", path.display());
        assert!(matches!(told.as_slice(), [one] if one.starts_with(&expected)), "{text}\n{told:#?}");
        assert_eq!(sentences, [""; 0]);
    }
}

fn seeds() -> impl Strategy<Value = Seed> {
    let name = || prop::sample::select(vec!["a", "b", "c", "d"]).prop_map(str::to_owned);
    let names = || prop::collection::btree_set(name(), 0..3).prop_map(|names| names.into_iter().collect());
    let account = (
        name(),
        any::<bool>(),
        prop::option::of("[a-z ]{1,8}"),
        prop::option::of(any::<bool>()),
        any::<bool>(),
    )
        .prop_map(|(username, is_person, name, is_active, create_group)| {
            let mut account = if is_person { person(&username) } else { service(&username) };
            account.said.name = name;
            account.said.is_active = is_active;
            account.create_group = (!is_person).then_some(create_group);
            account
        });
    let group = (name(), prop::option::of(names()), prop::option::of(names()), any::<bool>()).prop_map(
        |(name, members, parents, is_superuser): (String, Option<Vec<String>>, Option<Vec<String>>, bool)| {
            let mut group = group(&name, &[]);
            group.members = members;
            group.parents = parents;
            group.said.is_superuser = Some(is_superuser);
            group
        },
    );
    let token = (name(), name()).prop_map(|(identifier, account)| token(&identifier, &account));
    let lists = (
        prop::collection::vec(account, 0..4),
        prop::collection::vec(group, 0..4),
        prop::collection::vec(token, 0..3),
    );
    lists.prop_map(|(mut accounts, mut groups, mut tokens)| {
        let mut seen = std::collections::HashSet::new();
        accounts.retain(|account| seen.insert(account.username.clone()));
        seen.clear();
        groups.retain(|group| seen.insert(group.name.clone()));
        seen.clear();
        tokens.retain(|token| seen.insert(token.identifier.clone()));
        Seed {
            providers: vec![provider("ldap", "dc=example,dc=com")],
            accounts,
            groups,
            tokens,
            ..Seed::default()
        }
    })
}

proptest! {
    #![proptest_config(crate::rounds::cases(48))]
    #[test]
    fn after_a_seed_nothing_is_left_to_do(first in seeds(), second in seeds(), prune in any::<bool>()) {
        let registry = registry();
        for seed in [first, second] {
            let options = SeedOptions { prune, ..SeedOptions::default() };
            let plan = wait(registry.plan_seed(seed.clone(), options.clone()));
            let before = registry.snapshot().revision();
            match apply_with(&registry, &seed, &options) {
                Ok((plan, _)) if plan.obstacles().next().is_some() => {
                    prop_assert_eq!(registry.snapshot().revision(), before);
                }
                Ok(_) => {
                    let again = wait(registry.plan_seed(seed, options)).unwrap();
                    prop_assert!(again.is_empty(), "{:#?}", again.diff);
                    prop_assert!(again.needed.is_empty());
                }
                Err(_) => {
                    let is_told = plan.map_or(true, |plan| !plan.unresolved.is_empty());
                    prop_assert!(is_told, "a plan without problems was not applied");
                    prop_assert_eq!(registry.snapshot().revision(), before);
                }
            }
        }
    }
}

#[test]
fn names_can_be_compared_and_deleted() {
    let registry = registry();
    for name in ["alice\u{e000}".to_owned(), "a\u{fffd}".to_owned(), "\u{fdfa}".repeat(40)] {
        let seed = Seed {
            providers: vec![provider("ldap", "dc=example,dc=com")],
            accounts: vec![account(&name, AccountKind::Internal)],
            ..Seed::default()
        };
        let refusal = refused(apply(&registry, &seed));
        assert!(refusal.contains("compared"), "{name}: {refusal}");
    }
    let long = "\u{fdfa}".repeat(20);
    let seed = Seed {
        providers: vec![provider("ldap", "dc=example,dc=com")],
        accounts: vec![account(&long, AccountKind::Internal)],
        ..Seed::default()
    };
    apply(&registry, &seed).unwrap();
    wait(delete_account(&registry, long)).unwrap();
}

#[test]
fn a_token_that_did_not_expire_is_given_an_end() {
    for (expires, lifetime) in [
        (Some(Expiry::In(Duration::from_secs(3_600))), Duration::from_secs(3_600)),
        (None, crate::registry::DEFAULT_LIFETIME),
    ] {
        let registry = registry();
        let mut endless = token("robot-token", "robot");
        endless.said.expiring = Some(false);
        let mut seed = Seed {
            providers: vec![provider("ldap", "dc=example,dc=com")],
            accounts: vec![service("robot")],
            tokens: vec![endless],
            ..Seed::default()
        };
        apply(&registry, &seed).unwrap();
        let find = || registry.snapshot().accounts().token_named("robot-token").cloned().unwrap();
        assert_eq!(find().expires, None);

        seed.tokens[0].said.expiring = None;
        assert!(apply(&registry, &seed).unwrap().0.is_empty(), "nothing was said of its end");
        seed.tokens[0].said.expiring = Some(true);
        seed.tokens[0].said.expires = expires;
        let (plan, _) = apply(&registry, &seed).unwrap();
        assert_eq!(plan.diff[0].fields[0].field, "expires");
        assert_eq!(find().expires, Some(find().created.after(lifetime)));
        assert!(apply(&registry, &seed).unwrap().0.is_empty());
    }
}

#[test]
fn no_token_lives_longer_than_can_be_written() {
    let registry = registry();
    let seed = Seed {
        providers: vec![provider("ldap", "dc=example,dc=com")],
        accounts: vec![service("robot")],
        ..Seed::default()
    };
    apply(&registry, &seed).unwrap();
    let new = NewToken {
        expiring: Some(true),
        expires: Some(Expiry::In(Duration::from_secs(9_000 * 365 * 24 * 60 * 60))),
        ..new_token("for-ever", "robot", Intent::AppPassword)
    };
    let refusal = refused(wait(registry.create_token(actor(), new)));
    assert!(refusal.contains("100 years"), "{refusal}");
}

fn attribute(name: &str, syntax: Option<AttributeSyntax>) -> SeedAttribute {
    SeedAttribute { name: name.to_owned(), syntax, ..SeedAttribute::default() }
}

/// A person with one value of an attribute.
fn holder(name: &str, value: &str) -> SeedAccount {
    let mut alice = person("alice");
    alice.said.attributes = attributes(&[(name, value)]);
    alice
}

fn with_provider(seed: Seed) -> Seed {
    Seed { providers: vec![provider("ldap", "dc=example,dc=com")], ..seed }
}

fn of_attributes(plan: &SeedPlan) -> Vec<(Sign, String)> {
    let of_kind = plan.diff.iter().filter(|entry| entry.kind == ReferenceKind::Attribute);
    of_kind.map(|entry| (entry.sign, entry.name.clone())).collect()
}

#[test]
fn attribute_types_are_declared_and_their_values_checked() {
    let registry = registry();
    let mut badge = attribute("employeeBadge", Some(AttributeSyntax::Integer));
    badge.single_valued = Some(true);
    badge.oid = Some("1.3.6.1.4.1.55555.1".to_owned());
    badge.description = Some("the number on the badge".to_owned());
    let seed = |value: &str| {
        with_provider(Seed {
            attributes: vec![badge.clone()],
            accounts: vec![holder("EMPLOYEEBADGE", value)],
            ..Seed::default()
        })
    };
    let refusal = refused(wait(registry.plan_seed(seed("seven"), SeedOptions::default())));
    assert!(refusal.contains("EMPLOYEEBADGE") && refusal.contains("INTEGER"), "{refusal}");

    let (plan, _) = apply(&registry, &seed("7")).unwrap();
    assert_eq!(of_attributes(&plan), [(Sign::Created, "employeeBadge".to_owned())]);
    assert_eq!(plan.diff[0].kind, ReferenceKind::Attribute, "what others need stands first");
    let shown: Vec<_> =
        plan.diff[0].fields.iter().map(|field| (field.field.as_str(), field.after.as_deref())).collect();
    assert!(shown.contains(&("syntax", Some("integer"))), "{shown:?}");
    assert!(shown.contains(&("single_valued", Some("true"))), "{shown:?}");
    assert!(apply(&registry, &seed("7")).unwrap().0.diff.is_empty());

    let snapshot = registry.snapshot();
    let id = snapshot.schema().find("1.3.6.1.4.1.55555.1").unwrap();
    let published = snapshot.schema().subschema_values(crate::schema::AttributeId::ATTRIBUTE_TYPES);
    let wanted = "( 1.3.6.1.4.1.55555.1 NAME 'employeeBadge' DESC 'the number on the badge' EQUALITY integerMatch \
                  ORDERING integerOrderingMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE \
                  X-ORIGIN 'user defined' )";
    assert!(published.iter().any(|value| value == wanted), "{:?}", snapshot.schema().attribute(id));

    let events = registry.store().events(Trail::Changes, 0, 100).unwrap();
    let event = events.iter().find(|event| event.object_kind == "attribute").unwrap();
    assert_eq!(
        (event.object_name.as_str(), event.actor.account.as_str()),
        ("employeeBadge", "bindery:config")
    );
    assert!(event.changes.iter().any(|change| change.field == "syntax"));
}

/// However many groups are in it.
#[test]
fn a_circle_of_groups_is_told_once() {
    let registry = registry();
    let nested = |name: &str, parent: &str| {
        let mut nested = group(name, &[]);
        nested.parents = Some(vec![parent.to_owned()]);
        nested
    };
    let groups =
        vec![nested("b", "c"), nested("a", "b"), nested("c", "a"), nested("x", "y"), nested("y", "x")];
    let seed = with_provider(Seed { groups, ..Seed::default() });
    let Err(ChangeError::Seed(problems)) = wait(registry.plan_seed(seed, SeedOptions::default())) else {
        panic!("circles were taken");
    };
    let sentences: Vec<&str> = problems.iter().map(|problem| problem.sentence.as_str()).collect();
    let [one, other] = sentences[..] else { panic!("{sentences:?}") };
    assert!(
        one.contains("`b` in `c` in `a` in `b` would") && other.contains("`x` in `y` in `x` would"),
        "{sentences:?}"
    );
}

/// What no other door deletes stays, and all of the seed with it; where the binding goes too, the group goes.
#[test]
fn pruning_deletes_no_group_that_a_binding_names() {
    let registry = registry();
    let mut seed = example();
    apply(&registry, &seed).unwrap();
    seed.groups.retain(|group| group.name != "staff");
    seed.groups[0].parents = Some(vec![]);
    seed.applications[0].bindings = None;
    let prune = SeedOptions { prune: true, ..SeedOptions::default() };
    let before = registry.snapshot().revision();
    let number = registry.snapshot().accounts().group_named("staff").unwrap().number;
    let refusals = [
        refused(wait(registry.plan_seed(seed.clone(), prune.clone()))),
        refused(apply_with(&registry, &seed, &prune)),
        refused(wait(registry.change(actor(), move |transaction| delete_group(transaction, number)))),
    ];
    for refusal in refusals {
        let words =
            "the group `staff` decides who may use the application `nextcloud`: delete the binding first";
        assert!(refusal.contains(words), "{refusal}");
    }
    assert_eq!(registry.snapshot().revision(), before);
    assert!(wait(registry.broken_records()).unwrap().is_empty());

    seed.applications[0].bindings = Some(vec![bound(SeedSubject::Account("ldapservice".to_owned()))]);
    apply_with(&registry, &seed, &prune).unwrap();
    assert!(registry.snapshot().accounts().group_named("staff").is_none());
}

/// What a version let in that asked less.
#[test]
fn a_binding_to_a_group_that_was_deleted_is_told() {
    let registry = registry();
    apply(&registry, &example()).unwrap();
    let deleted = registry.change(actor(), |transaction| {
        let mut application =
            transaction.snapshot().accounts().applications().next().unwrap().as_ref().clone();
        application.bindings[0].subject = BindingSubject::Group(GroupNumber::new(999_999));
        transaction.put(Record::Application(application))
    });
    wait(deleted).unwrap();
    let told = wait(registry.broken_records()).unwrap();
    assert!(
        told.iter().any(|it| it.contains("`nextcloud` has a binding to a group that was deleted")),
        "{told:?}"
    );
}

/// A rotation is no reason to lose the old secret before the end of the overlap.
#[test]
fn pruning_leaves_what_a_token_of_the_seed_has_replaced() {
    let registry = registry();
    let (_, secrets) = apply(&registry, &example()).unwrap();
    let stray = wait(registry.create_token(actor(), new_token("stray", "ldapservice", Intent::AppPassword)));
    let stray = stray.unwrap().secret;
    let hour = Duration::from_secs(3_600);
    for name in ["ldapservice-grafana", "ldapservice-app-password", "ldapservice-grafana", "stray"] {
        wait(registry.rotate_token(actor(), name.to_owned(), hour)).unwrap();
    }
    let prune = SeedOptions { prune: true, ..SeedOptions::default() };
    let (plan, _) = apply_with(&registry, &example(), &prune).unwrap();
    let names: Vec<&str> = plan.diff.iter().map(|entry| entry.name.as_str()).collect();
    assert!(names.len() == 2 && names.iter().all(|name| name.starts_with("stray")), "{names:?}");
    assert!(secrets.iter().all(|made| binds(&registry, &made.account, made.secret.expose())));
    assert!(!binds(&registry, "ldapservice", stray.expose()));
}

/// Whoever uses a name first declares it; whether it is known depends on that record alone.
#[test]
fn what_nobody_declared_is_declared_by_its_first_use_and_stays() {
    let store = Arc::new(MemoryStore::new());
    let registry = registry_over(store.clone());
    let seed = with_provider(Seed { accounts: vec![holder("shoeSize;x-left", "41")], ..Seed::default() });
    let plan = wait(registry.plan_seed(seed.clone(), SeedOptions::default())).unwrap();
    assert_eq!(of_attributes(&plan), [(Sign::Created, "shoeSize".to_owned())], "a plan shows it");
    assert_eq!(registry.snapshot().schema().find("shoeSize"), None);

    apply(&registry, &seed).unwrap();
    wait(delete_account(&registry, "alice".to_owned())).unwrap();
    for registry in [&registry, &registry_over(store)] {
        let snapshot = registry.snapshot();
        assert!(snapshot.schema().find("shoesize").is_some());
        assert_eq!(
            snapshot.custom_attribute_named("SHOESIZE").unwrap().syntax,
            AttributeSyntax::DirectoryString
        );
    }
    let empty = with_provider(Seed::default());
    assert!(apply(&registry, &empty).unwrap().0.diff.is_empty(), "what is absent is left alone");
    let options = SeedOptions { prune: true, ..SeedOptions::default() };
    let (plan, _) = apply_with(&registry, &empty, &options).unwrap();
    assert_eq!(of_attributes(&plan), [(Sign::Deleted, "shoeSize".to_owned())]);
    assert_eq!(registry.snapshot().schema().find("shoeSize"), None);
}

#[test]
fn pruning_leaves_attribute_types_that_are_used() {
    let registry = registry();
    let mut seed = with_provider(Seed { accounts: vec![holder("shoeSize", "41")], ..Seed::default() });
    seed.attributes = vec![attribute("kept", None), attribute("unused", None)];
    apply(&registry, &seed).unwrap();
    // The value is in the store only.
    seed.accounts = vec![person("alice")];
    seed.attributes.pop();
    let options = SeedOptions { prune: true, ..SeedOptions::default() };
    let (plan, _) = apply_with(&registry, &seed, &options).unwrap();
    assert_eq!(of_attributes(&plan), [(Sign::Deleted, "unused".to_owned())]);
    assert!(registry.snapshot().schema().find("shoeSize").is_some());
}

#[test]
fn another_syntax_is_refused_while_values_are_not_of_it() {
    let registry = registry();
    let mut seed = with_provider(Seed { accounts: vec![holder("badge", "seven")], ..Seed::default() });
    apply(&registry, &seed).unwrap();
    let declared =
        Seed { attributes: vec![attribute("badge", Some(AttributeSyntax::Integer))], ..Seed::default() };
    // What somebody has stands in the way, and what the seed itself says is wrong.
    let (plan, _) = apply(&registry, &declared).unwrap();
    let [("badge", reason)] = obstacles(&plan)[..] else { panic!("{:?}", obstacles(&plan)) };
    assert!(reason.contains("the account `alice` has the attribute \"badge\""), "{reason}");
    let before = registry.snapshot().custom_attribute_named("badge").unwrap().syntax;
    assert_eq!(before, AttributeSyntax::DirectoryString);
    let said = Seed { attributes: declared.attributes.clone(), ..seed.clone() };
    let refusal = refused(apply(&registry, &said));
    assert!(refusal.contains("the account `alice` has the attribute \"badge\""), "{refusal}");

    // The seed may bring the better value along.
    seed.attributes = declared.attributes.clone();
    seed.accounts = vec![holder("badge", "007")];
    let (plan, _) = apply(&registry, &seed).unwrap();
    assert_eq!(of_attributes(&plan), [(Sign::Changed, "badge".to_owned())]);
    let snapshot = registry.snapshot();
    let badge = snapshot.schema().find("badge").unwrap();
    assert_eq!(snapshot.schema().attribute(badge).equality, Some(crate::schema::MatchingRule::Integer));

    seed.accounts[0].said.attributes =
        Some(vec![Attribute { description: "badge".to_owned(), values: vec![b"1".to_vec(), b"2".to_vec()] }]);
    apply(&registry, &seed).unwrap();
    let mut single = declared;
    single.attributes[0].single_valued = Some(true);
    let (plan, _) = apply(&registry, &single).unwrap();
    let [("badge", reason)] = obstacles(&plan)[..] else { panic!("{:?}", obstacles(&plan)) };
    assert!(reason.contains("one value at most"), "{reason}");
    let said = Seed { attributes: single.attributes.clone(), ..seed.clone() };
    assert!(refused(apply(&registry, &said)).contains("one value at most"));
    // Where values may stay, so may the declaration.
    single.attributes[0] = attribute("Badge", Some(AttributeSyntax::DirectoryString));
    apply(&registry, &single).unwrap();
    let entry = snapshot.accounts().account_named("alice").unwrap().number;
    let snapshot = registry.snapshot();
    let entry = snapshot.default_tree().unwrap().entry(crate::directory::EntryId::of_account(entry)).unwrap();
    assert!(entry.attributes().any(|stored| stored.description() == b"Badge"));
}

#[test]
fn attribute_types_that_cannot_be_are_refused() {
    let registry = registry();
    let mut taken = attribute("x-one", None);
    taken.oid = Some("2.5.4.3".to_owned());
    let mut wrong = attribute("x-two", None);
    wrong.oid = Some("one.two".to_owned());
    let attributes = vec![attribute("commonName", None), taken, wrong, attribute("no name", None)];
    let refusal = refused(apply(&registry, &Seed { attributes, ..Seed::default() }));
    for part in ["`commonName` is built in", "2.5.4.3, which is that of cn", "one.two", "\"no name\""] {
        assert!(refusal.contains(part), "{part} in {refusal}");
    }
}

#[test]
fn a_plan_says_whom_its_applications_shut_out() {
    let registry = registry();
    let mut seed = with_provider(Seed {
        accounts: vec![person("alice"), person("bob"), service("cloud")],
        groups: vec![group("staff", &["alice"])],
        ..Seed::default()
    });
    let application =
        |bindings| SeedApplication { bindings: Some(bindings), ..application("cloud", Some("ldap")) };
    let names = |plan: &SeedPlan| {
        plan.losing_access.accounts.iter().map(|lost| lost.account.clone()).collect::<Vec<_>>().join(" ")
    };
    // Who comes with the binding loses nothing.
    let staff = || bound(SeedSubject::Group("staff".to_owned()));
    let whole = Seed { applications: vec![application(vec![staff()])], ..seed.clone() };
    assert_eq!(names(&wait(registry.plan_seed(whole, SeedOptions::default())).unwrap()), "");
    apply(&registry, &seed).unwrap();
    seed.applications = vec![application(Vec::new())];
    assert_eq!(names(&apply(&registry, &seed).unwrap().0), "");
    seed.applications = vec![application(vec![staff()])];
    assert_eq!(names(&apply(&registry, &seed).unwrap().0), "bob cloud");
    assert_eq!(names(&apply(&registry, &seed).unwrap().0), "");
    seed.applications = vec![application(vec![staff(), bound(SeedSubject::Account("bob".to_owned()))])];
    assert_eq!(names(&apply(&registry, &seed).unwrap().0), "");
    seed.applications = vec![application(vec![bound(SeedSubject::Account("bob".to_owned()))])];
    assert_eq!(names(&apply(&registry, &seed).unwrap().0), "alice");
}

/// The names of what something stands in the way of, with the reasons.
fn obstacles(plan: &SeedPlan) -> Vec<(&str, &str)> {
    let found = plan.diff.iter().filter(|entry| entry.sign == Sign::Obstructed);
    found.map(|entry| (entry.name.as_str(), entry.reason.as_deref().unwrap_or_default())).collect()
}

/// Somebody has given one object of the config what the config gives to another, and says nothing of for the first.
#[test]
fn what_the_config_does_not_say_of_an_object_is_told_with_that() {
    let seed = |domain: Option<&str>| {
        let mut main = provider("main", "dc=example,dc=org");
        main.said.domain = domain.map(|domain| Some(domain.to_owned()));
        Seed {
            providers: vec![main, not_default("other", "dc=other,dc=net", Some(false))],
            accounts: vec![person("alice")],
            ..Seed::default()
        }
    };
    let registry = registry();
    apply(&registry, &Seed { accounts: Vec::new(), ..seed(None) }).unwrap();
    let taken = registry.change(actor(), |transaction| {
        let accounts = transaction.snapshot().accounts();
        let number = |name: &str| accounts.provider_named(name).unwrap().number;
        let (main, other) = (number("main"), number("other"));
        delete_provider(transaction, other)?;
        let changes =
            ProviderChanges { domain: Some(Some("other.net".to_owned())), ..ProviderChanges::default() };
        update_provider(transaction, main, changes)
    });
    wait(taken).unwrap();
    let (plan, _) = apply(&registry, &seed(None)).unwrap();
    let [("other", reason)] = obstacles(&plan)[..] else { panic!("{:?}", obstacles(&plan)) };
    assert!(reason.contains("the provider `main` has it, of which the config says nothing"), "{reason}");
    assert!(registry.snapshot().accounts().account_named("alice").is_none());
    let (plan, _) = apply(&registry, &seed(Some("example.org"))).unwrap();
    assert_eq!(obstacles(&plan), []);
    assert!(registry.snapshot().accounts().provider_named("other").is_some());
    // What the config says of both is its own mistake, and nothing is done.
    let sentence = refused(apply(&registry, &seed(Some("other.net"))));
    assert!(sentence.contains("the same domain other.net"), "{sentence}");
}

#[test]
fn a_renamed_default_provider_is_in_the_way_of_the_next() {
    let registry = registry();
    let main = provider("main", "dc=example,dc=org");
    let late = not_default("late", "dc=late,dc=net", None);
    let on_main = SeedReference { kind: ReferenceKind::Provider, name: "main".to_owned() };
    let search = SeedGrant { permission: Permission::SearchFullDirectory, on: Some(on_main) };
    let reader = role("reader", vec![search]);
    let before = Seed { providers: vec![main.clone()], roles: vec![reader.clone()], ..Seed::default() };
    apply(&registry, &before).unwrap();
    let grants = || registry.snapshot().accounts().role_named("reader").unwrap().grants.clone();
    let given = grants();
    assert_eq!(given.len(), 1);
    let renamed = registry.change(actor(), |transaction| {
        let number = transaction.snapshot().accounts().provider_named("main").unwrap().number;
        let changes = ProviderChanges { name: Some("late".to_owned()), ..ProviderChanges::default() };
        update_provider(transaction, number, changes)
    });
    wait(renamed).unwrap();
    let seed = Seed {
        providers: vec![main, late],
        accounts: vec![person("alice")],
        roles: vec![reader],
        ..Seed::default()
    };
    let (plan, _) = apply(&registry, &seed).unwrap();
    let [("main", reason)] = obstacles(&plan)[..] else { panic!("{:?}", obstacles(&plan)) };
    assert!(reason.contains("the provider `late` has it"), "{reason}");
    assert!(registry.snapshot().accounts().account_named("alice").is_none());
    assert_eq!(grants(), given);
}

#[test]
fn a_renamed_application_is_in_the_way_of_the_next() {
    let registry = registry();
    let seed = |applications| Seed {
        providers: vec![provider("main", "dc=example,dc=org")],
        applications,
        ..Seed::default()
    };
    let wiki = application("wiki", Some("main"));
    apply(&registry, &seed(vec![wiki.clone()])).unwrap();
    let renamed = registry.change(actor(), |transaction| {
        let number = transaction.snapshot().accounts().application_named("wiki").unwrap().number;
        let changes = ApplicationChanges { slug: Some("late".to_owned()), ..ApplicationChanges::default() };
        update_application(transaction, number, changes)
    });
    wait(renamed).unwrap();
    let late = SeedApplication { provider: None, ..application("late", None) };
    let both = Seed { accounts: vec![person("alice")], ..seed(vec![wiki.clone(), late]) };
    let (plan, _) = apply(&registry, &both).unwrap();
    let [("wiki", reason)] = obstacles(&plan)[..] else { panic!("{:?}", obstacles(&plan)) };
    assert!(reason.contains("the application `late` has it"), "{reason}");
    assert!(registry.snapshot().accounts().account_named("alice").is_none());
    let sentence = refused(apply(&registry, &seed(vec![wiki, application("late", Some("main"))])));
    assert!(sentence.contains("have the same provider `main`"), "{sentence}");
}

/// What each of them has at the end is what counts.
#[test]
fn applications_exchange_their_providers() {
    let registry = registry();
    let seed = |pairs: [(&str, &str); 3]| Seed {
        providers: vec![
            provider("one", "dc=one"),
            not_default("two", "dc=two", None),
            not_default("three", "dc=three", None),
        ],
        applications: pairs.map(|(slug, provider)| application(slug, Some(provider))).to_vec(),
        ..Seed::default()
    };
    let orders = [
        [("a", "one"), ("b", "two"), ("c", "three")],
        [("a", "two"), ("b", "one"), ("c", "three")],
        [("a", "three"), ("b", "two"), ("c", "one")],
        [("a", "one"), ("b", "three"), ("c", "two")],
        // One that is new first, in place of one that moves on.
        [("d", "one"), ("a", "three"), ("b", "two")],
    ];
    for pairs in orders {
        let prune = SeedOptions { prune: true, ..SeedOptions::default() };
        let (plan, _) = apply_with(&registry, &seed(pairs), &prune).unwrap();
        assert_eq!(obstacles(&plan), [], "{pairs:?}");
        let snapshot = registry.snapshot();
        for (slug, provider) in pairs {
            let number = snapshot.accounts().provider_named(provider).unwrap().number;
            assert_eq!(snapshot.accounts().application_of(number).unwrap().slug, slug, "{pairs:?}");
        }
        assert!(apply_with(&registry, &seed(pairs), &prune).unwrap().0.diff.is_empty());
    }
}

/// With its old owner a token goes, and the one of its identifier is made with a secret of its own.
#[test]
fn pruning_an_account_frees_the_identifiers_of_its_tokens() {
    for given in [None, secret("correct horse battery staple")] {
        let registry = registry();
        let seed = |owner: &str, secret: Option<SeedSecret>| {
            let mut job = token("job", owner);
            job.secret = secret;
            with_provider(Seed { accounts: vec![service(owner)], tokens: vec![job], ..Seed::default() })
        };
        let (_, old) = apply(&registry, &seed("old", None)).unwrap();
        let old = old.iter().find(|made| made.identifier == "job").unwrap();
        let prune = SeedOptions { prune: true, ..SeedOptions::default() };
        let (plan, new) = apply_with(&registry, &seed("new", given.clone()), &prune).unwrap();
        assert!(plan.diff.iter().all(|entry| entry.sign != Sign::Skipped), "{:#?}", plan.diff);
        let secret = match &given {
            Some(SeedSecret::Given(secret)) => secret.expose(),
            _ => new.iter().find(|made| made.identifier == "job").unwrap().secret.expose(),
        };
        assert!(binds(&registry, "new", secret) && !binds(&registry, "new", old.secret.expose()));
        assert!(apply_with(&registry, &seed("new", given), &prune).unwrap().0.diff.is_empty());
        // What somebody revokes stays so.
        wait(registry.revoke_token(actor(), "job".to_owned(), Replaced::End)).unwrap();
        let (plan, _) = apply_with(&registry, &seed("new", None), &prune).unwrap();
        assert!(plan.diff.iter().any(|entry| entry.sign == Sign::Skipped), "{:#?}", plan.diff);
    }
}

/// The only provider answers bare names without a mark. Where a stranger has made it, one of the config does not leave them there.
#[test]
fn a_provider_of_a_stranger_that_was_alone_does_not_keep_the_bare_names() {
    let helper = Account {
        grants: vec![Grant { permission: Permission::AddProvider, on: None }],
        kind: AccountKind::Internal,
        password: Some(Password { generation: 1, ..plain::password("none") }),
        ..plain::account(1, "helper")
    };
    for (is_default, is_in_the_way) in [(None, true), (Some(false), true), (Some(true), false)] {
        let store = Arc::new(MemoryStore::new());
        let counters = Counters { next_number: 1_000, next_object: 1_000, ..Counters::default() };
        let changes = vec![Change::Put(Record::Account(helper.clone()))];
        store.commit(&Batch { changes, counters, seeded: true, ..Batch::default() }).unwrap();
        let registry = registry_over(store);
        let holder = Holder { account: helper.number, credential: Credential::Password { generation: 1 } };
        let base_dn = Some("dc=mine".to_owned());
        let given = ProviderChanges { base_dn, ..ProviderChanges::default() };
        let made = registry.change(Caller::account(holder, Actor::named("helper")), |transaction| {
            create_provider(transaction, "mine".to_owned(), given)
        });
        wait(made).unwrap();
        let seed = Seed {
            providers: vec![not_default("main", "dc=example,dc=org", is_default)],
            accounts: vec![person("alice")],
            ..Seed::default()
        };
        let (plan, _) = apply(&registry, &seed).unwrap();
        assert_eq!(obstacles(&plan).len(), usize::from(is_in_the_way), "{:?}", plan.diff);
        assert_eq!(registry.snapshot().accounts().account_named("alice").is_none(), is_in_the_way);
        if let [(name, reason)] = obstacles(&plan)[..] {
            assert_eq!(name, "main");
            assert!(reason.contains("the provider `mine` was made by `helper`"), "{reason}");
            assert!(reason.contains("`default = true`"), "{reason}");
        }
    }
}
