//! Nobody gets rights, or learns of objects, through what they may change: ways that look as if they led there.

use super::rights::{Fixture, global, text};
use super::*;
use crate::config::Seed;
use crate::directory::Accounts;
use crate::model::{Attribute, AttributeSyntax, Container};
use crate::registry::commands::{
    GroupChanges, ProviderChanges, create_group, create_provider, testing, update_account, update_group,
};

/// An account that is a superuser through its group, a group that gives a permission, and a role that does.
async fn rich(fixture: &Fixture) -> (u32, u32) {
    let made = fixture.registry.change(Actor::named("test"), |transaction| {
        let chief = create_account(
            transaction,
            "chief".to_owned(),
            AccountKind::ServiceAccount,
            AccountChanges::default(),
        )?;
        let reader = create_account(
            transaction,
            "reader".to_owned(),
            AccountKind::ServiceAccount,
            AccountChanges::default(),
        )?;
        let admins = crate::registry::commands::GroupChanges {
            is_superuser: Some(true),
            members: Some(vec![chief]),
            ..Default::default()
        };
        crate::registry::commands::create_group(transaction, "admins".to_owned(), admins)?;
        let mut account = transaction.account(reader)?.unwrap();
        account.grants = vec![global(Permission::SearchFullDirectory)];
        transaction.put(Record::Account(account))?;
        Ok((chief.get(), reader.get()))
    });
    made.await.unwrap()
}

fn group_pk(accounts: &Accounts, name: &str) -> String {
    accounts.group_named(name).unwrap().uuid.to_string()
}

/// A robot with these permissions, and the rich ones.
async fn robot(permissions: &[&str]) -> (Fixture, u32, u32) {
    let fixture = Fixture::new().await;
    let (chief, reader) = rich(&fixture).await;
    fixture.grant(permissions.iter().map(|name| global(name.parse().unwrap())).collect()).await;
    (fixture, chief, reader)
}

#[tokio::test]
async fn the_names_of_those_who_have_more_rights_cannot_be_taken() {
    let may = [
        "view_user",
        "add_user",
        "change_user",
        "delete_user",
        "add_token",
        "view_group",
        "add_group",
        "change_group",
        "delete_group",
        "view_role",
        "change_role",
        "delete_role",
    ];
    let (fixture, chief, reader) = robot(&may).await;
    for number in [chief, reader] {
        let path = format!("/core/users/{number}/");
        for (method, body) in [
            (Method::DELETE, Value::Null),
            (Method::PATCH, json!({ "username": "other" })),
            (Method::PATCH, json!({ "is_active": false })),
        ] {
            let (status, answer) = fixture.send(method.clone(), &path, body.clone()).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{method} {body}: {answer}");
            assert_eq!(answer["code"], "refused");
        }
        // Clients look people up by more than their names.
        let (status, answer) = fixture.send(Method::PATCH, &path, json!({ "email": "a@example.com" })).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{answer}");
    }
    let admins = format!("/core/groups/{}/", group_pk(fixture.registry.snapshot().accounts(), "admins"));
    for (method, body) in [
        (Method::DELETE, Value::Null),
        (Method::PATCH, json!({ "name": "other" })),
        (Method::PATCH, json!({ "is_superuser": false })),
    ] {
        let (status, answer) = fixture.send(method.clone(), &admins, body.clone()).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{method} {body}: {answer}");
    }
    let (status, answer) =
        fixture.send(Method::POST, "/core/groups/", json!({ "name": "x", "is_superuser": true })).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{answer}");
}

#[tokio::test]
async fn nobody_is_read_by_putting_them_into_a_group_of_ones_own() {
    let (fixture, chief, _) = robot(&["add_group"]).await;
    let mine = json!({ "name": "mine" });
    let (status, group) = fixture.send(Method::POST, "/core/groups/", mine).await;
    assert_eq!(status, StatusCode::CREATED, "{group}");
    let path = format!("/core/groups/{}/", text(&group["pk"]));
    // Those that there are and those that there are not are told the same.
    for number in [chief, 9_999] {
        let (status, answer) = fixture.send(Method::PATCH, &path, json!({ "users": [number] })).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
        assert_eq!(answer["users"][0], format!("there is no account {number}"));
    }
    // Whoever was given that one job puts somebody in by the number, and sees no more of them.
    let (status, answer) =
        fixture.send(Method::POST, &format!("{path}add_user/"), json!({ "pk": chief })).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{answer}");
    let (_, shown) = fixture.send(Method::GET, &path, Value::Null).await;
    assert_eq!((&shown["users"], &shown["users_obj"]), (&json!([]), &json!([])));
    let snapshot = fixture.registry.snapshot();
    let joined = snapshot.accounts().group_named("mine").unwrap();
    assert!(joined.has_member(AccountNumber::new(chief)));
    // Into a group that gives more than one has nobody is put, oneself included.
    let admins = group_pk(fixture.registry.snapshot().accounts(), "admins");
    fixture
        .grant(
            ["view_user", "view_group", "change_group", "add_user_to_group"]
                .map(|name| global(name.parse().unwrap()))
                .to_vec(),
        )
        .await;
    let me = json!({ "pk": fixture.robot.get() });
    let (status, answer) = fixture.send(Method::POST, &format!("/core/groups/{admins}/add_user/"), me).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{answer}");
    let (status, answer) = fixture.send(Method::PATCH, &path, json!({ "parents": [admins] })).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{answer}");
}

#[tokio::test]
async fn what_may_not_be_viewed_is_told_like_what_is_not_there() {
    let (fixture, chief, _) = robot(&["add_user", "add_role"]).await;
    let nothing = Value::Null;
    for (hidden, absent) in [
        (format!("/core/users/{chief}/"), "/core/users/9999/".to_owned()),
        ("/core/tokens/target/".to_owned(), "/core/tokens/none/".to_owned()),
        ("/core/applications/target/".to_owned(), "/core/applications/none/".to_owned()),
        (
            "/rbac/permissions/assigned_by_roles/?model=authentik_core.token&object_pk=target".to_owned(),
            "/rbac/permissions/assigned_by_roles/?model=authentik_core.token&object_pk=none".to_owned(),
        ),
    ] {
        for method in [Method::GET, Method::PATCH, Method::DELETE] {
            let body = if method == Method::PATCH {
                json!({ "retrievable": true, "path": "x" })
            } else {
                nothing.clone()
            };
            let (status, answer) = fixture.send(method.clone(), &hidden, body.clone()).await;
            let (other, expected) = fixture.send(method.clone(), &absent, body).await;
            let answer = answer.to_string().replace("target", "none");
            assert_eq!((status, answer), (other, expected.to_string()), "{method} {hidden}");
        }
    }
    // A number that somebody has is not told with a name.
    let taken = fixture.registry.change(Actor::named("test"), |transaction| {
        let attributes = vec![crate::model::Attribute {
            description: "uidNumber".to_owned(),
            values: vec![b"77777".to_vec()],
        }];
        let given = AccountChanges { attributes: Some(attributes), ..AccountChanges::default() };
        create_account(transaction, "hidden".to_owned(), AccountKind::Internal, given)
    });
    taken.await.unwrap();
    let new = json!({ "username": "x", "name": "x", "attributes": { "uidNumber": "77777" } });
    let (status, answer) = fixture.send(Method::POST, "/core/users/", new).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
    assert!(!answer.to_string().contains("hidden"), "{answer}");
    // The table of attribute types is not for everybody to fill.
    let new = json!({ "username": "x", "name": "x", "attributes": { "madeUp": "1" } });
    let (status, answer) = fixture.send(Method::POST, "/core/users/", new).await;
    assert_eq!((status, &answer["code"]), (StatusCode::BAD_REQUEST, &json!("invalid")), "{answer}");
    // A name that is taken is said to be, in the field.
    let (status, answer) = fixture.send(Method::POST, "/rbac/roles/", json!({ "name": "target" })).await;
    assert_eq!((status, &answer["code"]), (StatusCode::BAD_REQUEST, &json!("unique")), "{answer}");
    assert!(answer["name"].is_array());
}

#[tokio::test]
async fn groups_that_decide_who_is_admitted_are_not_deleted_by_the_way() {
    let (fixture, _, _) = robot(&["view_group", "delete_group", "view_user"]).await;
    let target = group_pk(fixture.registry.snapshot().accounts(), "target");
    let (status, answer) =
        fixture.send(Method::DELETE, &format!("/core/groups/{target}/"), Value::Null).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{answer}");
    assert!(answer["detail"].as_str().unwrap().contains("delete the binding first"), "{answer}");
    assert!(!answer.to_string().contains("`target`: delete"), "the application is not his to know: {answer}");
}

#[tokio::test]
async fn groups_are_not_nested_without_end() {
    let (fixture, _, _) = robot(&["add_group", "view_group", "change_group"]).await;
    let mut parents = json!([]);
    for depth in 0..300 {
        let new = json!({ "name": format!("level {depth}"), "parents": parents });
        let (status, answer) = fixture.send(Method::POST, "/core/groups/", new).await;
        if status == StatusCode::BAD_REQUEST {
            assert!(answer["parents"].is_array() && depth > 200, "{answer}");
            return;
        }
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        parents = json!([answer["pk"]]);
    }
    panic!("300 levels of groups");
}

/// A provider is a directory of all accounts and groups: whoever may add one could choose containers in which two of them
/// have one DN, or numbers that others are given.
#[test]
fn a_directory_of_a_callers_own_stops_no_apply() {
    let world = World::new();
    let mut seed = Seed {
        providers: vec![testing::provider("ldap", "dc=example,dc=com")],
        accounts: vec![testing::account("bob", AccountKind::Internal)],
        ..Seed::default()
    };
    testing::apply(&world.registry, &seed).unwrap();
    let bob = world.registry.snapshot().accounts().account_named("bob").unwrap().number;
    testing::wait(async {
        let caller = world.caller("adder", &[(Permission::AddProvider, None)]).await;
        let container = |naming: &str| {
            Some(vec![Container { container: "ou=all".to_owned(), naming: naming.to_owned() }])
        };
        let given = ProviderChanges {
            base_dn: Some("dc=one".to_owned()),
            uid_start_number: Some(60_000 - bob.get()),
            users: container("cn"),
            service_accounts: container("cn"),
            groups: container("cn"),
            ..ProviderChanges::default()
        };
        let made = world.change(&caller, |it| create_provider(it, "one".to_owned(), given)).await;
        made.unwrap();
    });
    let mut carol = testing::account("carol", AccountKind::Internal);
    carol.said.attributes = free("uidNumber", "60000");
    seed.accounts.extend([
        carol,
        testing::account("twin", AccountKind::Internal),
        testing::account("dave", AccountKind::Internal),
    ]);
    seed.groups.push(testing::group("twin", &[]));
    let (plan, _) = testing::apply(&world.registry, &seed).unwrap();
    let obstacles: Vec<_> = plan.obstacles().collect();
    assert_eq!(obstacles.len(), 2, "{obstacles:?}");
    for entry in obstacles {
        let reason = entry.reason.as_deref().unwrap();
        assert!(reason.contains("the provider `one` was made by `adder`"), "{reason}");
    }
    let snapshot = world.registry.snapshot();
    assert!(["carol", "dave"].iter().all(|name| snapshot.accounts().account_named(name).is_none()));
}

/// Applications look groups up by `cn`, and people by `uid` and `mail`, whatever kind of entry has it.
#[tokio::test]
async fn a_group_is_not_found_by_what_another_is_known_by() {
    let world = World::new();
    world.provider("ldap", "dc=example,dc=com").await;
    world.account("bob").await;
    let admins = world.post("/core/groups/", json!({ "name": "admins" })).await;
    let admins =
        world.registry.snapshot().accounts().group_named(admins["name"].as_str().unwrap()).unwrap().number;
    let bob = world.registry.snapshot().accounts().account_named("bob").unwrap().number;
    let on_group = (Permission::ChangeGroup, Some(ObjectReference::Group(admins)));
    let on_bob = (Permission::ChangeUser, Some(ObjectReference::Account(bob)));
    let limited = world.caller("limited", &[(Permission::AddGroup, None)]).await;
    let entitled = world.caller("entitled", &[(Permission::AddGroup, None), on_group, on_bob]).await;
    let known = [
        ("cn", "Admins"),
        ("commonName", "admins"),
        ("cn;lang-en", "admins"),
        ("uid", "bob"),
        ("mail", "bob@example.com"),
    ];
    for (count, (attribute, value)) in known.into_iter().enumerate() {
        let given = || GroupChanges {
            attributes: Some(vec![Attribute {
                description: attribute.to_owned(),
                values: vec![value.as_bytes().to_vec()],
            }]),
            ..GroupChanges::default()
        };
        let (none, may) = (format!("none-{count}"), format!("may-{count}"));
        let own = world.change(&limited, |it| create_group(it, none, GroupChanges::default())).await.unwrap();
        let with = given();
        assert_field(world.change(&limited, move |it| update_group(it, own, with)).await, "attributes");
        let (with, name) = (given(), format!("new-{count}"));
        assert_field(world.change(&limited, |it| create_group(it, name, with)).await, "attributes");
        let with = given();
        world.change(&entitled, |it| create_group(it, may, with)).await.unwrap();
    }
    // The other way round: a name that another group is found by.
    let given = GroupChanges {
        attributes: Some(vec![Attribute { description: "cn".to_owned(), values: vec![b"wheel".to_vec()] }]),
        ..GroupChanges::default()
    };
    world.change(&operator(), |it| create_group(it, "sudo".to_owned(), given)).await.unwrap();
    let named = |it: &mut Transaction<'_>| create_group(it, "wheel".to_owned(), GroupChanges::default());
    assert_field(world.change(&limited, named).await, "name");
    world.change(&operator(), named).await.unwrap();
    // A group of the name of an account is what `create_group` makes.
    let named = |it: &mut Transaction<'_>| create_group(it, "bob".to_owned(), GroupChanges::default());
    world.change(&limited, named).await.unwrap();
}

#[tokio::test]
async fn what_is_said_of_an_internal_account_is_true() {
    let world = World::new();
    let bob = world.account("bob").await;
    let path = format!("/core/users/{bob}/");
    let said = world.call(Method::PATCH, &path, json!({ "type": "internal_service_account" })).await;
    assert_eq!(said.0, StatusCode::BAD_REQUEST);
    assert!(said.1.to_string().contains("`bob` cannot become an internal service account"), "{}", said.1);
    let path = format!("/core/users/{}/set_password/", i32::MAX);
    let said = world.call(Method::POST, &path, json!({ "password": "long enough" })).await;
    assert_eq!(said.0, StatusCode::FORBIDDEN);
    assert!(said.1.to_string().contains("is an internal service account"), "{}", said.1);
}

#[tokio::test]
async fn names_differ_by_what_is_seen() {
    let world = World::new();
    for name in ["admins\u{3164}", "admins\u{2800}", "admins\u{ffa0}", "\u{e0062}ob"] {
        let said = world.call(Method::POST, "/core/groups/", json!({ "name": name })).await;
        assert_eq!(said.0, StatusCode::BAD_REQUEST);
        assert!(said.1.to_string().contains("nobody sees"), "{}", said.1);
    }
}

fn free(attribute: &str, value: &str) -> Option<Vec<Attribute>> {
    let values = vec![value.as_bytes().to_vec()];
    Some(vec![Attribute { description: attribute.to_owned(), values }])
}

/// Hosts take an account for a member of the group that has its gidNumber.
#[tokio::test]
async fn a_gid_number_is_a_membership() {
    let world = World::new();
    world.provider("ldap", "dc=example,dc=com").await;
    for (name, gid_number) in [("admins", "70000"), ("root", "70001"), ("empty", "70002")] {
        let given = GroupChanges {
            attributes: free("gidNumber", gid_number),
            is_superuser: Some(name == "root"),
            ..GroupChanges::default()
        };
        world.change(&operator(), move |it| create_group(it, name.to_owned(), given)).await.unwrap();
    }
    let snapshot = world.registry.snapshot();
    let group = |name: &str| snapshot.accounts().group_named(name).unwrap().number;
    let (admins, root, empty) = (group("admins"), group("root"), group("empty"));
    let adds = [(Permission::AddUser, None), (Permission::AddGroup, None)];
    let on = |permission, group| (permission, Some(ObjectReference::Group(group)));
    let limited = world.caller("limited", &adds).await;
    let joins = [on(Permission::AddUserToGroup, admins), on(Permission::AddUserToGroup, root)];
    let joins = world.caller("joins", &[&adds[..], &joins].concat()).await;
    let account = |name: &str, gid_number: &str| {
        let given = AccountChanges { attributes: free("gidNumber", gid_number), ..AccountChanges::default() };
        let name = name.to_owned();
        move |it: &mut Transaction<'_>| create_account(it, name, AccountKind::Internal, given)
    };
    assert_field(world.change(&limited, account("one", "70000")).await, "attributes");
    assert_field(world.change(&limited, account("one", "070000")).await, "attributes");
    world.change(&joins, account("two", "70000")).await.unwrap();
    assert_field(world.change(&joins, account("three", "70001")).await, "attributes");
    // Changed as well as made.
    let own = world.change(&limited, account("own", "80000")).await.unwrap();
    let given = || AccountChanges { attributes: free("gidNumber", "70000"), ..AccountChanges::default() };
    let with = given();
    assert_field(world.change(&limited, move |it| update_account(it, own, with)).await, "attributes");
    // A number that no group has may be shared.
    world.change(&limited, account("shares", "80000")).await.unwrap();

    let group = |name: &str, gid_number: String| {
        let given = GroupChanges { attributes: free("gidNumber", &gid_number), ..GroupChanges::default() };
        let name = name.to_owned();
        move |it: &mut Transaction<'_>| create_group(it, name, given)
    };
    // A group that takes what accounts were given, by somebody else.
    world.change(&operator(), account("held", "81000")).await.unwrap();
    assert_field(world.change(&limited, group("takes", "81000".to_owned())).await, "attributes");
    // A group in front of another, and the group of an account alone.
    assert_field(world.change(&limited, group("twin", "70002".to_owned())).await, "attributes");
    let changes = world.caller("changes", &[&adds[..], &[on(Permission::ChangeGroup, empty)]].concat()).await;
    world.change(&changes, group("twin", "70002".to_owned())).await.unwrap();
    world.change(&operator(), group("other", "70001".to_owned())).await.unwrap();
}

/// What finds people finds accounts alone, unless whoever may change the group says otherwise.
#[tokio::test]
async fn an_account_is_not_found_by_what_a_group_is_known_by() {
    let world = World::new();
    world.provider("ldap", "dc=example,dc=com").await;
    for (name, attribute, value) in [
        ("admins", "mail", "admins@example.com"),
        ("third", "mail", "third@example.com"),
        ("wheel", "uid", "operators"),
        ("fourth", "uid", "fourth-uid"),
    ] {
        let given = GroupChanges { attributes: free(attribute, value), ..GroupChanges::default() };
        world.change(&operator(), move |it| create_group(it, name.to_owned(), given)).await.unwrap();
    }
    let limited = world.caller("limited", &[(Permission::AddUser, None)]).await;
    let entitled = world
        .caller(
            "entitled",
            &[(Permission::AddUser, None), (Permission::ChangeUser, None), (Permission::ChangeGroup, None)],
        )
        .await;
    let tries = [
        (
            "a",
            "email",
            AccountChanges { email: Some("Admins@example.com".to_owned()), ..AccountChanges::default() },
        ),
        (
            "b",
            "attributes",
            AccountChanges { attributes: free("mail", "third@example.com"), ..AccountChanges::default() },
        ),
        (
            "c",
            "attributes",
            AccountChanges { attributes: free("uid", "fourth-uid"), ..AccountChanges::default() },
        ),
        ("d", "attributes", AccountChanges { attributes: free("cn", "third"), ..AccountChanges::default() }),
        ("operators", "username", AccountChanges::default()),
    ];
    for (name, field, given) in tries {
        let with = given.clone();
        let made =
            |it: &mut Transaction<'_>| create_account(it, name.to_owned(), AccountKind::Internal, with);
        assert_field(world.change(&limited, made).await, field);
        let made =
            |it: &mut Transaction<'_>| create_account(it, name.to_owned(), AccountKind::Internal, given);
        world.change(&entitled, made).await.unwrap();
    }
    // The name of a group is free to accounts, as theirs to groups.
    let made = |it: &mut Transaction<'_>| {
        create_account(it, "wheel".to_owned(), AccountKind::Internal, AccountChanges::default())
    };
    world.change(&limited, made).await.unwrap();
}

#[test]
fn a_value_of_a_callers_stops_no_apply() {
    let world = World::new();
    let declared = |syntax| crate::config::SeedAttribute {
        name: "badge".to_owned(),
        syntax: Some(syntax),
        ..Default::default()
    };
    let mut seed = Seed {
        providers: vec![testing::provider("ldap", "dc=example,dc=com")],
        attributes: vec![declared(AttributeSyntax::DirectoryString)],
        ..Seed::default()
    };
    testing::apply(&world.registry, &seed).unwrap();
    testing::wait(async {
        let caller = world.caller("adder", &[(Permission::AddUser, None)]).await;
        let given = AccountChanges { attributes: free("badge", "seven"), ..AccountChanges::default() };
        let made =
            |it: &mut Transaction<'_>| create_account(it, "x".to_owned(), AccountKind::Internal, given);
        world.change(&caller, made).await.unwrap();
    });
    seed.attributes = vec![declared(AttributeSyntax::Integer)];
    seed.accounts = vec![testing::account("bob", AccountKind::Internal)];
    let (plan, _) = testing::apply(&world.registry, &seed).unwrap();
    let obstacles: Vec<_> = plan.obstacles().collect();
    assert_eq!(obstacles.len(), 1, "{obstacles:?}");
    let reason = obstacles[0].reason.as_deref().unwrap();
    assert!(reason.contains("the account `x` was made by `adder`"), "{reason}");
    let snapshot = world.registry.snapshot();
    assert!(snapshot.accounts().account_named("bob").is_none());
    assert_eq!(snapshot.custom_attribute_named("badge").unwrap().syntax, AttributeSyntax::DirectoryString);
}

/// What is in a path has one spelling.
#[tokio::test]
async fn a_path_is_written_one_way() {
    let world = World::new();
    let bob = world.account("bob").await;
    let group = world.post("/core/groups/", json!({ "name": "devs" })).await;
    let group = group["pk"].as_str().unwrap();
    let ldap = world.provider("ldap", "dc=example,dc=com").await;
    let paths = [
        ("/core/users/", bob.to_string()),
        ("/providers/ldap/", ldap.to_string()),
        ("/core/groups/", group.to_owned()),
    ];
    for (path, pk) in paths {
        assert_eq!(world.call(Method::GET, &format!("{path}{pk}/"), Value::Null).await.0, StatusCode::OK);
        let others = [format!("+{pk}"), format!("0{pk}"), pk.replace('-', ""), pk.to_uppercase()];
        for other in others.into_iter().filter(|other| *other != pk) {
            for method in [Method::GET, Method::PATCH, Method::DELETE] {
                let said = world.call(method, &format!("{path}{other}/"), json!({})).await;
                assert_eq!(said.0, StatusCode::NOT_FOUND, "{other}");
            }
        }
    }
}
