//! `policies/bindings/`

use uuid::Uuid;

use super::super::binding::{self, PolicyBindingQuery};
use super::*;
use crate::model::BindingSubject;
use crate::registry::commands::{
    BindingChanges, create_binding, create_group, delete_binding, update_binding,
};

async fn target(world: &World, slug: &str) -> Value {
    world.get(&format!("/core/applications/{slug}/")).await["pk"].clone()
}

fn path(binding: &Value) -> String {
    format!("/policies/bindings/{}/", binding["pk"].as_str().unwrap())
}

#[tokio::test]
async fn each_kind_of_subject_is_bound_and_exchanged() {
    let world = World::new();
    let provider = world.provider("ldap", "dc=example,dc=com").await;
    world.application("vault", Some(provider)).await;
    let vault = target(&world, "vault").await;
    let alice = world.account("alice").await;
    let staff = world.post("/core/groups/", json!({ "name": "staff" })).await["pk"].clone();

    let mut made = world
        .post(
            "/policies/bindings/",
            json!({
                "target": vault, "group": staff, "order": 7, "negate": true, "enabled": false, "timeout": 30,
                "failure_result": false, "policy": null, "user": null,
            }),
        )
        .await;
    assert_eq!(made["group_obj"]["name"], "staff");
    assert_eq!((&made["order"], &made["negate"], &made["enabled"]), (&json!(7), &json!(true), &json!(false)));
    assert_eq!((&made["timeout"], &made["failure_result"]), (&json!(30), &json!(false)));
    assert_eq!(
        (&made["expires"], &made["expiring"], &made["policy_obj"]),
        (&Value::Null, &json!(false), &Value::Null)
    );
    // It is the first binding, and switched off.
    let told = made.as_object_mut().unwrap().remove("losing_access").unwrap();
    assert_eq!(told["accounts"][0]["username"], "alice");
    assert_eq!(world.get(&path(&made)).await, made);
    assert_eq!(world.get(&format!("{}used_by/", path(&made))).await, json!([]));

    // The next subject takes the place of the one before, and its order stays.
    let user = world.patch(&path(&made), json!({ "user": alice.get() })).await;
    assert_eq!(
        (&user["user_obj"]["username"], &user["group"], &user["order"]),
        (&json!("alice"), &Value::Null, &json!(7))
    );
    let networks = json!({ "networks": ["10.0.0.0/8", "2001:db8::7"], "user": null });
    let networks = world.patch(&path(&made), networks).await;
    assert_eq!(networks["networks"], json!(["10.0.0.0/8", "2001:db8::7/128"]));
    let window =
        json!({ "days": ["mon", "fri"], "from": "08:00", "to": "18:00", "timezone": "Europe/Berlin" });
    let window = world.patch(&path(&made), window).await;
    assert_eq!((&window["days"], &window["networks"]), (&json!(["mon", "fri"]), &Value::Null));
    // A part of a window leaves the others.
    let later = world.patch(&path(&made), json!({ "to": "20:00", "timezone": null })).await;
    assert_eq!(
        (&later["days"], &later["from"], &later["to"], &later["timezone"]),
        (&json!(["mon", "fri"]), &json!("08:00"), &json!("20:00"), &json!("UTC"))
    );
    let put = json!({ "target": vault, "order": 1, "user": alice.get() });
    let put = world.put(&path(&made), put).await;
    assert_eq!((&put["user"], &put["days"], &put["pk"]), (&json!(alice.get()), &Value::Null, &made["pk"]));

    // To another application, as the same.
    world.application("wiki", None).await;
    let wiki = target(&world, "wiki").await;
    world.patch(&path(&made), json!({ "target": wiki })).await;
    assert_eq!(world.get(&path(&made)).await["target"], wiki);
    assert_eq!(world.get("/core/applications/vault/used_by/").await, json!([]));

    world.delete(&path(&made)).await;
    assert_eq!(world.status(Method::GET, &path(&made), Value::Null).await, StatusCode::NOT_FOUND);
    assert_eq!(world.status(Method::DELETE, &path(&made), Value::Null).await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_cannot_be_is_told_by_its_field() {
    let world = World::new();
    world.application("vault", None).await;
    let vault = target(&world, "vault").await;
    let alice = world.account("alice").await.get();
    let none = Uuid::new_v4();
    let all = "non_field_errors";
    for (field, given) in [
        (all, json!({})),
        (all, json!({ "user": alice, "networks": ["10.0.0.0/8"] })),
        (all, json!({ "networks": ["10.0.0.0/8"], "from": "08:00" })),
        ("policy", json!({ "user": alice, "policy": none })),
        ("group", json!({ "group": none })),
        ("user", json!({ "user": 4_711 })),
        ("timeout", json!({ "user": alice, "timeout": 31 })),
        ("failure_result", json!({ "user": alice, "failure_result": true })),
        ("target", json!({ "user": alice, "target": none })),
        ("networks", json!({ "networks": [] })),
        ("networks", json!({ "networks": ["everywhere"] })),
        ("networks", json!({ "networks": [null] })),
        ("networks", json!({ "networks": ["10.1.0.0/8"] })),
        ("networks", json!({ "networks": vec!["10.0.0.0/8"; 1_001] })),
        ("days", json!({ "days": [] })),
        ("days", json!({ "days": ["monday"] })),
        ("from", json!({ "from": "8" })),
        ("from", json!({ "from": "24:00", "to": "01:00" })),
        ("to", json!({ "from": "08:00", "to": "08:00" })),
        ("timezone", json!({ "timezone": "UTC" })),
        ("timezone", json!({ "days": ["mon"], "timezone": "Mars/Olympus" })),
        ("order", json!({ "user": alice, "order": 1_u64 << 40 })),
        ("order", json!({ "user": alice, "order": null })),
    ] {
        let mut body = json!({ "target": vault, "order": 0 });
        let fields = given.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(fields);
        let refused = world.refused(Method::POST, "/policies/bindings/", body.clone()).await;
        assert_eq!(refused, [field], "{body}");
    }
    // All that is wrong with a time is told at once.
    let body = json!({ "target": vault, "order": 0, "days": ["foo"], "from": "zz", "to": "24:01", "timezone": "Mars" });
    let all_of_it = ["days", "from", "timezone", "to"];
    assert_eq!(world.refused(Method::POST, "/policies/bindings/", body).await, all_of_it);
    // And all that is wrong with a list, which says of what.
    for (field, wrong) in [("networks", ["everywhere", "10.1.0.0/8"]), ("days", ["monday", "noday"])] {
        let body = json!({ "target": vault, "order": 0, field: [wrong[0], wrong[1]] });
        let (_, answer) = world.call(Method::POST, "/policies/bindings/", body).await;
        let told = answer[field].as_array().unwrap();
        assert_eq!(told.len(), 2, "{answer}");
        for (place, (told, wrong)) in told.iter().zip(wrong).enumerate() {
            let told = told.as_str().unwrap();
            assert!(told.contains(wrong) || told.contains(&format!("`[{place}]`")), "{answer}");
        }
    }
    // A binding is never left without a subject.
    let made = world.post("/policies/bindings/", json!({ "target": vault, "user": alice, "order": 0 })).await;
    assert_eq!(world.refused(Method::PATCH, &path(&made), json!({ "user": null })).await, [all]);
    world.patch(&path(&made), json!({ "group": null })).await;
    assert_eq!(world.listed("/policies/bindings/", "user").await, [alice]);
}

#[tokio::test]
async fn a_list_is_filtered_as_authentik_filters_it() {
    let world = World::new();
    let alice = world.account("alice").await.get();
    for slug in ["vault", "wiki"] {
        world.application(slug, None).await;
    }
    let (vault, wiki) = (target(&world, "vault").await, target(&world, "wiki").await);
    for (target, order, enabled) in [(&wiki, 5, true), (&vault, 3, true), (&vault, 1, false)] {
        let body = json!({ "target": target, "user": alice, "order": order, "enabled": enabled });
        world.post("/policies/bindings/", body).await;
    }
    let (vault, wiki) = (vault.as_str().unwrap(), wiki.as_str().unwrap());
    for (query, expected) in [
        (String::new(), vec![1, 3, 5]),
        ("?ordering=-order".to_owned(), vec![5, 3, 1]),
        ("?enabled=false".to_owned(), vec![1]),
        ("?order=3".to_owned(), vec![3]),
        (format!("?target={vault}"), vec![1, 3]),
        (format!("?target_in={vault}&target_in={wiki}&enabled=true"), vec![3, 5]),
        (format!("?policy={vault}"), vec![]),
        ("?policy__isnull=true".to_owned(), vec![1, 3, 5]),
        ("?policy__isnull=false".to_owned(), vec![]),
        ("?timeout=30".to_owned(), vec![1, 3, 5]),
        ("?timeout=1".to_owned(), vec![]),
        ("?search=alice".to_owned(), vec![1, 3, 5]),
        ("?search=bob".to_owned(), vec![]),
    ] {
        assert_eq!(world.listed(&format!("/policies/bindings/{query}"), "order").await, expected, "{query}");
    }
}

#[tokio::test]
async fn changes_need_their_permissions() {
    use Permission as P;
    let world = World::new();
    let vault = world.application("vault", None).await;
    let wiki = world.application("wiki", None).await;
    let alice = world.account("alice").await;
    let staff =
        world.change(&operator(), |t| create_group(t, "staff".to_owned(), Default::default())).await.unwrap();
    let networks = || BindingSubject::Networks(vec!["10.0.0.0/8".parse().unwrap()]);
    let bind = move |subject: BindingSubject| {
        move |t: &mut Transaction<'_>| create_binding(t, vault, subject, BindingChanges::default())
    };
    let uuid = world.change(&operator(), bind(networks())).await.unwrap();
    let disable = || BindingChanges { enabled: Some(false), ..BindingChanges::default() };
    let on = Some(ObjectReference::Application(vault));

    let nobody = world.caller("nobody", &[]).await;
    assert_forbidden(world.change(&nobody, bind(networks())).await, P::AddPolicyBinding);
    assert_not_found(world.change(&nobody, move |t| update_binding(t, uuid, disable())).await);
    assert_not_found(world.change(&nobody, move |t| delete_binding(t, uuid)).await);

    // The permission on bindings alone tells nothing of a hidden application.
    let all = [(P::AddPolicyBinding, None), (P::ChangePolicyBinding, None), (P::DeletePolicyBinding, None)];
    let blind = world.caller("blind", &all).await;
    assert_field(world.change(&blind, bind(networks())).await, "target");
    assert_not_found(world.change(&blind, move |t| update_binding(t, uuid, disable())).await);
    assert_not_found(world.change(&blind, move |t| delete_binding(t, uuid)).await);

    let seeing = world.caller("seeing", &[&all[..], &[(P::ViewApplication, on)]].concat()).await;
    assert_forbidden(world.change(&seeing, bind(networks())).await, P::ChangeApplication);
    let refused = world.change(&seeing, move |t| update_binding(t, uuid, disable())).await;
    assert_forbidden(refused, P::ChangeApplication);
    let refused = world.change(&seeing, move |t| delete_binding(t, uuid)).await;
    assert_forbidden(refused, P::ChangeApplication);

    let owner = [(P::ViewApplication, on), (P::ChangeApplication, on)];
    let owner = world.caller("owner", &owner).await;
    assert_forbidden(world.change(&owner, bind(networks())).await, P::AddPolicyBinding);
    let refused = world.change(&owner, move |t| update_binding(t, uuid, disable())).await;
    assert_forbidden(refused, P::ChangePolicyBinding);
    let refused = world.change(&owner, move |t| delete_binding(t, uuid)).await;
    assert_forbidden(refused, P::DeletePolicyBinding);

    let binder = world.caller("binder", &[&all[..], &[(P::ChangeApplication, on)]].concat()).await;
    let made = world.change(&binder, bind(networks())).await.unwrap();
    world.change(&binder, move |t| update_binding(t, made, disable())).await.unwrap();
    // It is not moved to an application that is hidden.
    let moved = BindingChanges { target: Some(wiki), ..BindingChanges::default() };
    assert_field(world.change(&binder, move |t| update_binding(t, made, moved)).await, "target");
    world.change(&binder, move |t| delete_binding(t, made)).await.unwrap();
    // Whom it may not view it cannot name, whether they exist or not.
    for number in [alice, AccountNumber::new(4_711)] {
        assert_field(world.change(&binder, bind(BindingSubject::Account(number))).await, "user");
    }
    assert_field(world.change(&binder, bind(BindingSubject::Group(staff))).await, "group");
}

#[tokio::test]
async fn a_list_shows_the_bindings_of_what_may_be_viewed() {
    let world = World::new();
    let alice = world.account("alice").await.get();
    let vault = world.application("vault", None).await;
    world.application("wiki", None).await;
    for slug in ["vault", "wiki"] {
        let target = target(&world, slug).await;
        world.post("/policies/bindings/", json!({ "target": target, "user": alice, "order": 0 })).await;
    }
    let on = Some(ObjectReference::Application(vault));
    for (name, grants, expected) in [
        ("nobody", vec![], 0),
        ("viewer", vec![(Permission::ViewApplication, on)], 1),
        ("auditor", vec![(Permission::ViewPolicyBinding, None)], 2),
    ] {
        let caller = world.caller(name, &grants).await;
        let page = binding::list(&world.reading(&caller, &[]), PolicyBindingQuery::default()).unwrap().page;
        assert_eq!(page.results.len(), expected, "{name}");
        // Who may not view the account is told nothing of it, nor of the application.
        assert!(page.results.iter().all(|shown| shown.user.is_none() && shown.user_obj.is_none()));
        let is_told = page.results.iter().all(|shown| !shown.target.is_nil());
        assert_eq!(is_told, name != "auditor", "{name}");
    }
}
