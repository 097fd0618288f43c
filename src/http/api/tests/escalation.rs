//! Nobody gets rights, or learns of objects, through what they may change: ways that look as if they led there.

use super::rights::{Fixture, global, text};
use super::*;
use crate::directory::Accounts;

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
