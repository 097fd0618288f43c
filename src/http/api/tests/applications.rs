//! `core/applications/`

use super::super::application::{self, ApplicationQuery, CheckAccessQuery};
use super::super::route::NoParameters;
use super::*;
use crate::registry::commands::{
    ApplicationChanges, create_application, delete_application, update_application,
};

fn named(provider: Option<ProviderNumber>) -> ApplicationChanges {
    ApplicationChanges { provider: provider.map(Some), ..ApplicationChanges::default() }
}

#[tokio::test]
async fn an_application_is_called_by_the_slug_that_it_has() {
    let world = World::new();
    world.application("wiki", None).await;
    world.application("vault", None).await;
    let body = json!({ "slug": "vault", "meta_launch_url": "javascript:x" });
    let (status, answer) = world.call(Method::PATCH, "/core/applications/wiki/", body).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
    let told = answer["meta_launch_url"][0].as_str().unwrap();
    assert!(told.contains("the application \"wiki\" has"), "{answer}");
    assert!(answer["slug"][0].as_str().unwrap().contains("`vault` exists already"), "{answer}");
}

#[tokio::test]
async fn an_application_is_made_changed_and_deleted() {
    let world = World::new();
    let provider = world.provider("ldap", "dc=example,dc=com").await;
    let made = world
        .post(
            "/core/applications/",
            json!({
                "name": "Vault", "slug": "vault", "provider": provider.get(), "backchannel_providers": [],
                "open_in_new_tab": true, "meta_launch_url": "https://vault.example.com/?a=b", "meta_icon": "vault.svg",
                "meta_description": "Secrets", "meta_publisher": "Example", "policy_engine_mode": "all",
                "group": "Tools", "meta_hide": true,
            }),
        )
        .await;
    assert_eq!(made["pk"], made["pbm_uuid"]);
    assert_eq!(made["provider_obj"]["assigned_application_slug"], "vault");
    assert_eq!(made["launch_url"], "https://vault.example.com/?a=b");
    assert_eq!((&made["policy_engine_mode"], &made["meta_icon"]), (&json!("all"), &json!("vault.svg")));
    assert_eq!(world.get("/core/applications/vault/").await, made);
    assert_eq!(world.get(&format!("/providers/ldap/{provider}/used_by/")).await[0]["action"], "set_null");

    // What is absent stays, what is null goes.
    let changed = world.patch("/core/applications/vault/", json!({ "meta_launch_url": "" })).await;
    assert_eq!((&changed["launch_url"], &changed["provider"]), (&Value::Null, &json!(provider.get())));
    let changed = world.patch("/core/applications/vault/", json!({ "provider": null, "slug": "safe" })).await;
    assert_eq!((&changed["provider"], &changed["provider_obj"]), (&Value::Null, &Value::Null));
    assert_eq!(changed["pk"], made["pk"]);
    let put = world.put("/core/applications/safe/", json!({ "name": "Safe", "slug": "safe" })).await;
    assert_eq!((&put["name"], &put["group"]), (&json!("Safe"), &json!("Tools")));

    world.delete("/core/applications/safe/").await;
    assert_eq!(
        world.status(Method::GET, "/core/applications/safe/", Value::Null).await,
        StatusCode::NOT_FOUND
    );
    assert!(world.registry.snapshot().accounts().provider(provider).is_some());
}

#[tokio::test]
async fn what_cannot_be_is_told_by_its_field() {
    let world = World::new();
    let provider = world.provider("ldap", "dc=example,dc=com").await;
    world.application("vault", Some(provider)).await;
    let long = "x".repeat(257);
    let text = format!("https://{}", "x".repeat(4_096));
    for (field, value) in [
        ("slug", json!("with space")),
        ("slug", json!("")),
        ("slug", json!("ünicode")),
        ("name", json!("")),
        ("name", json!(long)),
        ("provider", json!(4_711)),
        ("provider", json!(provider.get())),
        ("backchannel_providers", json!([1])),
        ("meta_icon", json!("x".repeat(4_097))),
        ("meta_launch_url", json!("javascript:alert(1)")),
        ("meta_launch_url", json!("https://")),
        ("meta_launch_url", json!("https://a b")),
        ("meta_launch_url", json!("ftp://example.com")),
        ("meta_launch_url", json!(text)),
        ("meta_description", json!("x".repeat(4_097))),
        ("meta_publisher", json!(long)),
        ("group", json!(long)),
        ("policy_engine_mode", json!("most")),
    ] {
        let mut body = json!({ "name": "Wiki", "slug": "wiki" });
        body[field] = value;
        let fields = world.refused(Method::POST, "/core/applications/", body).await;
        assert_eq!(fields, [field]);
    }
    for field in ["name", "slug"] {
        let mut body = json!({ "name": "Wiki", "slug": "wiki" });
        body.as_object_mut().unwrap().remove(field);
        assert_eq!(world.refused(Method::POST, "/core/applications/", body).await, [field]);
    }
    let taken = json!({ "name": "Vault", "slug": "vault" });
    assert_eq!(world.status(Method::POST, "/core/applications/", taken).await, StatusCode::BAD_REQUEST);
    assert_eq!(world.listed("/core/applications/", "slug").await, ["vault"]);
}

#[tokio::test]
async fn a_list_is_filtered_as_authentik_filters_it() {
    let world = World::new();
    let (alice, bob) = (world.account("alice").await, world.account("bob").await);
    for (slug, group, url) in [("wiki", "Docs", ""), ("vault", "Tools", "https://vault.example.com")] {
        world
            .post(
                "/core/applications/",
                json!({ "name": slug, "slug": slug, "group": group, "meta_launch_url": url }),
            )
            .await;
    }
    let vault = world.get("/core/applications/vault/").await["pk"].clone();
    world.post("/policies/bindings/", json!({ "target": vault, "user": alice.get(), "order": 0 })).await;
    for (query, expected) in [
        ("", vec!["wiki", "vault"]),
        ("?ordering=slug", vec!["vault", "wiki"]),
        ("?ordering=-name", vec!["wiki", "vault"]),
        ("?group=Docs", vec!["wiki"]),
        ("?name=vault", vec!["vault"]),
        ("?slug=none", vec![]),
        ("?search=tool", vec!["vault"]),
        ("?only_with_launch_url=true", vec!["vault"]),
        ("?superuser_full_list=true", vec!["wiki", "vault"]),
        ("?meta_publisher=", vec!["wiki", "vault"]),
    ] {
        assert_eq!(world.listed(&format!("/core/applications/{query}"), "slug").await, expected, "{query}");
    }
    let of = |account: AccountNumber| format!("/core/applications/?for_user={account}");
    assert_eq!(world.listed(&of(alice), "slug").await, ["wiki", "vault"]);
    assert_eq!(world.listed(&of(bob), "slug").await, ["wiki"]);
    assert_eq!(
        world.refused(Method::GET, "/core/applications/?for_user=4711", Value::Null).await,
        ["for_user"]
    );

    // Whether it admits somebody.
    let path = |account: AccountNumber| format!("/core/applications/vault/check_access/?for_user={account}");
    assert_eq!(world.get(&path(alice)).await, json!({ "passing": true, "messages": [], "log_messages": [] }));
    let refused = world.get(&path(bob)).await;
    assert_eq!(refused["passing"], false);
    assert!(refused["messages"][0].as_str().unwrap().contains("does not admit"), "{refused}");
    world.patch(&format!("/core/users/{alice}/"), json!({ "is_active": false })).await;
    assert_eq!(world.get(&path(alice)).await["passing"], false);
    let own = "/core/applications/vault/check_access/";
    assert_eq!(world.status(Method::GET, own, Value::Null).await, StatusCode::BAD_REQUEST);
    assert_eq!(world.get("/core/applications/vault/used_by/").await[0]["name"], "account alice");
}

#[tokio::test]
async fn networks_ask_for_the_address_of_the_client() {
    let world = World::new();
    let alice = world.account("alice").await;
    world.application("vault", None).await;
    let vault = world.get("/core/applications/vault/").await["pk"].clone();
    world
        .post("/policies/bindings/", json!({ "target": vault, "networks": ["10.0.0.0/8"], "order": 0 }))
        .await;
    for (source, passing) in [("", false), ("&client_ip=10.1.2.3", true), ("&client_ip=192.0.2.1", false)] {
        let path = format!("/core/applications/vault/check_access/?for_user={alice}{source}");
        assert_eq!(world.get(&path).await["passing"], passing, "{source}");
    }
}

#[tokio::test]
async fn changes_need_their_permissions() {
    let world = World::new();
    let provider = world.provider("ldap", "dc=example,dc=com").await;
    let vault = world.application("vault", None).await;
    let on = Some(ObjectReference::Application(vault));

    let nobody = world.caller("nobody", &[]).await;
    let make = |slug: &'static str, given: ApplicationChanges| {
        move |transaction: &mut Transaction<'_>| create_application(transaction, slug.to_owned(), given)
    };
    assert_forbidden(world.change(&nobody, make("a", named(None))).await, Permission::AddApplication);
    assert_not_found(world.change(&nobody, move |t| update_application(t, vault, named(None))).await);
    assert_not_found(world.change(&nobody, move |t| delete_application(t, vault)).await);

    let viewer = world.caller("viewer", &[(Permission::ViewApplication, on)]).await;
    let refused = world.change(&viewer, move |t| update_application(t, vault, named(None))).await;
    assert_forbidden(refused, Permission::ChangeApplication);
    let refused = world.change(&viewer, move |t| delete_application(t, vault)).await;
    assert_forbidden(refused, Permission::DeleteApplication);

    // Who may bind to a provider is the affair of those who may change it, and a hidden one does not exist.
    let maker = world.caller("maker", &[(Permission::AddApplication, None)]).await;
    assert_field(world.change(&maker, make("b", named(Some(provider)))).await, "provider");
    let on_provider = Some(ObjectReference::Provider(provider));
    let viewing = [(Permission::AddApplication, None), (Permission::ViewProvider, on_provider)];
    let viewing = world.caller("viewing", &viewing).await;
    let refused = world.change(&viewing, make("b", named(Some(provider)))).await;
    assert_forbidden(refused, Permission::ChangeProvider);
    let tying = [(Permission::AddApplication, None), (Permission::ChangeProvider, on_provider)];
    let tying = world.caller("tying", &tying).await;
    let tied = world.change(&tying, make("b", named(Some(provider)))).await.unwrap();

    // The creator may do everything with what it made.
    let made = world.change(&maker, make("c", named(None))).await.unwrap();
    world
        .change(&maker, move |t| {
            let changes = ApplicationChanges { hide: Some(true), ..ApplicationChanges::default() };
            update_application(t, made, changes)
        })
        .await
        .unwrap();
    world.change(&maker, move |t| delete_application(t, made)).await.unwrap();

    // Who may change the application alone cannot take it from its provider, which would open that to all.
    let changing = [(Permission::ChangeApplication, Some(ObjectReference::Application(tied)))];
    let changing = world.caller("changing", &changing).await;
    let untie = ApplicationChanges { provider: Some(None), ..ApplicationChanges::default() };
    let refused = world.change(&changing, move |t| update_application(t, tied, untie)).await;
    assert_forbidden(refused, Permission::ChangeProvider);
    // Naming the one that it has is no change.
    world.change(&changing, move |t| update_application(t, tied, named(Some(provider)))).await.unwrap();
}

#[tokio::test]
async fn a_list_shows_what_may_be_viewed() {
    let world = World::new();
    let provider = world.provider("ldap", "dc=example,dc=com").await;
    let vault = world.application("vault", Some(provider)).await;
    world.application("wiki", None).await;
    let on = Some(ObjectReference::Application(vault));
    let viewer = world.caller("viewer", &[(Permission::ViewApplication, on)]).await;
    let page = application::list(&world.reading(&viewer, &[]), ApplicationQuery::default()).unwrap().page;
    let shown: Vec<(&str, bool)> =
        page.results.iter().map(|shown| (shown.slug.as_str(), shown.provider_obj.is_some())).collect();
    // Of the provider nothing, not even the number: the caller may not view it.
    assert_eq!(shown, [("vault", false)]);
    assert_eq!(page.results[0].provider, None);
    let both = [(Permission::ViewApplication, on), (Permission::ViewProvider, None)];
    let both = world.caller("both", &both).await;
    let page = application::list(&world.reading(&both, &[]), ApplicationQuery::default()).unwrap().page;
    assert_eq!(page.results[0].provider, Some(provider.get()));

    for (slug, is_shown) in [("vault", true), ("wiki", false), ("none", false)] {
        let reading = world.reading(&viewer, &[("slug", slug)]);
        let status = application::retrieve(&reading, NoParameters {}).map_err(|refusal| refusal.status());
        assert_eq!(status.is_ok(), is_shown, "{slug}");
        if let Err(status) = status {
            assert_eq!(status, StatusCode::NOT_FOUND);
        }
    }

    // Of itself the caller may always ask, of others only when it may view them.
    let reading = world.reading(&viewer, &[("slug", "vault")]);
    let check = |for_user| {
        application::check_access(&reading, CheckAccessQuery { for_user, client_ip: None })
            .map(|result| result.passing)
            .map_err(|refusal| refusal.status())
    };
    assert_eq!(check(None), Ok(true));
    let viewer_number = viewer.holder().unwrap().account.get();
    assert_eq!(check(Some(viewer_number)), Err(StatusCode::BAD_REQUEST));
}
