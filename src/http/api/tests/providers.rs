//! `providers/ldap/`, `providers/all/` and `outposts/ldap/`

use super::super::ldap_provider::{self, LDAPProviderQuery};
use super::super::outpost::{self, CheckAccessQuery, OutpostQuery};
use super::super::refusal::CallRefusal;
use super::*;
use crate::model::AsGiven;
use crate::registry::commands::{ProviderChanges, create_provider, delete_provider, update_provider};

fn base(base_dn: &str) -> ProviderChanges {
    ProviderChanges { base_dn: Some(base_dn.to_owned()), ..ProviderChanges::default() }
}

#[tokio::test]
async fn a_provider_is_made_changed_and_deleted() {
    let world = World::new();
    let flow = "11111111-2222-4333-8444-555555555555";
    let made = world
        .post(
            "/providers/ldap/",
            json!({
                "name": "ldap", "authorization_flow": flow, "invalidation_flow": flow, "property_mappings": [],
                "base_dn": "DC=example, DC=com", "certificate": null, "tls_server_name": "",
                "uid_start_number": 5000, "gid_start_number": 6000, "search_mode": "direct", "bind_mode": "cached",
                "mfa_support": true, "default": true, "domain": "", "virtual_groups": false,
                "compatibility_attributes": false, "users": [{ "container": "ou=people", "naming": "uid" }],
                "service_accounts": [{ "container": "ou=robots" }], "groups": [{ "container": "ou=teams" }],
            }),
        )
        .await;
    let path = format!("/providers/ldap/{}/", made["pk"]);
    assert_eq!(made["base_dn"], "DC=example, DC=com");
    assert_eq!((&made["authorization_flow"], &made["invalidation_flow"]), (&json!(flow), &json!(flow)));
    assert_eq!(
        made["authentication_flow"],
        json!(AsGiven::default().authentication_flow),
        "nothing was said"
    );
    assert_eq!((&made["search_mode"], &made["bind_mode"]), (&json!("direct"), &json!("cached")));
    assert_eq!((&made["certificate"], &made["mfa_support"]), (&Value::Null, &json!(true)));
    assert_eq!((&made["default"], &made["domain"]), (&json!(true), &json!("")));
    assert_eq!(made["users"], json!([{ "container": "ou=people", "naming": "uid" }]));
    assert_eq!(made["service_accounts"], json!([{ "container": "ou=robots", "naming": "cn" }]));
    assert_eq!(world.get(&path).await, made);

    let changed = world.patch(&path, json!({ "uid_start_number": 7000, "domain": null })).await;
    assert_eq!((&changed["uid_start_number"], &changed["domain"]), (&json!(7000), &Value::Null));
    assert_eq!(changed["groups"], made["groups"]);
    let put = json!({ "name": "ldap", "authorization_flow": flow, "invalidation_flow": flow });
    assert_eq!(world.put(&path, put).await, changed);

    // The tree is served.
    let snapshot = world.registry.snapshot();
    assert_eq!(snapshot.trees().len(), 1);
    assert_eq!(snapshot.default_tree().map(|tree| &*tree.provider().base_dn), Some("DC=example,DC=com"));
    assert_eq!(snapshot.default_tree().map(|tree| tree.provider().uid_start_number), Some(7000));

    // What is kept to be read back changes by itself, and is taken away by `null` where that is a value.
    let zeros = json!({ "authentication_flow": "00000000-0000-0000-0000-000000000000" });
    let changed = world.patch(&path, zeros.clone()).await;
    assert_eq!(changed["authentication_flow"], zeros["authentication_flow"]);
    let other = json!({ "authentication_flow": null, "bind_mode": "direct", "base_dn": "DC=example,DC=com" });
    let changed = world.patch(&path, other).await;
    assert_eq!((&changed["authentication_flow"], &changed["bind_mode"]), (&Value::Null, &json!("direct")));
    assert_eq!(
        (&changed["search_mode"], &changed["base_dn"]),
        (&json!("direct"), &json!("DC=example,DC=com"))
    );
    assert_eq!(changed["mfa_support"], true);
    assert_eq!(world.listed("/providers/ldap/?base_dn__iexact=dc=example,dc=com", "name").await, ["ldap"]);

    // Its application stays without it.
    let number = ProviderNumber::new(number(&made["pk"]));
    world.application("vault", Some(number)).await;
    assert_eq!(world.get(&path).await["assigned_application_slug"], "vault");
    assert_eq!(world.get(&format!("{path}used_by/")).await[0]["name"], "vault");
    world.delete(&path).await;
    assert_eq!(world.get("/core/applications/vault/").await["provider"], Value::Null);
    assert_eq!(world.status(Method::GET, &path, Value::Null).await, StatusCode::NOT_FOUND);
    assert!(world.registry.snapshot().trees().is_empty());
}

#[tokio::test]
async fn what_cannot_be_is_told_by_its_field() {
    let world = World::new();
    world.provider("ldap", "dc=example,dc=com").await;
    let containers = vec![json!({ "container": "ou=a" }); 101];
    for (field, value) in [
        ("name", json!(null)),
        ("name", json!("")),
        ("base_dn", json!("nonsense")),
        ("base_dn", json!("")),
        ("base_dn", json!(format!("dc={}", "x".repeat(1_100)))),
        ("base_dn", json!("DC=Example,dc=COM")),
        ("uid_start_number", json!(-1)),
        ("gid_start_number", json!(1_u64 << 31)),
        ("tls_server_name", json!("ldap.example.com")),
        ("certificate", json!("11111111-2222-4333-8444-555555555555")),
        ("property_mappings", json!(["11111111-2222-4333-8444-555555555555"])),
        ("search_mode", json!("fast")),
        ("domain", json!("a@b")),
        ("users", json!([{ "container": "nonsense" }])),
        ("groups", json!(containers)),
        ("users", json!([])),
        ("users", json!([{ "container": "ou=virtual-groups" }])),
        ("users", json!([{ "container": "ou=a" }, { "container": "OU=A" }])),
        ("users", json!([{ "container": "ou=a", "naming": "jpegPhoto" }])),
    ] {
        let mut body = json!({ "name": "other", "base_dn": "dc=example,dc=org" });
        body[field] = value;
        let refused = world.refused(Method::POST, "/providers/ldap/", body.clone()).await;
        assert_eq!(refused, [field], "{body}");
    }
    let taken = json!({ "name": "LDAP", "base_dn": "dc=example,dc=org" });
    assert_eq!(world.status(Method::POST, "/providers/ldap/", taken).await, StatusCode::BAD_REQUEST);
    // As the seed: containers that hold something stay, and one provider is the default.
    world.account("alice").await;
    let path = format!("/providers/ldap/{}/", world.listed("/providers/ldap/", "pk").await[0]);
    world.patch(&path, json!({ "default": true })).await;
    let second = json!({ "name": "second", "base_dn": "dc=example,dc=net", "default": true });
    assert_eq!(world.refused(Method::POST, "/providers/ldap/", second).await, ["default"]);
    // What several objects are asked together is told of the field that makes it so, however much there is.
    let domain = json!({ "name": "second", "base_dn": "dc=example,dc=net", "domain": "EXAMPLE.com" });
    assert_eq!(world.refused(Method::POST, "/providers/ldap/", domain).await, ["domain"]);
    world.post("/core/groups/", json!({ "name": "alice" })).await;
    for field in ["users", "groups"] {
        let there = if field == "users" { "ou=groups" } else { "ou=users" };
        let moved = json!({ field: [{ "container": there }] });
        assert_eq!(world.refused(Method::PATCH, &path, moved).await, [field]);
    }
    let two = json!({ "default": true, "domain": "example.com", "name": "ldap", "base_dn": "dc=x" });
    let refused = world.refused(Method::POST, "/providers/ldap/", two).await;
    assert!(refused.contains(&"name".to_owned()), "{refused:?}");
    assert_eq!(world.listed("/providers/ldap/", "name").await, ["ldap"]);
    // authentik's base DN where none is given.
    let bare = world.post("/providers/ldap/", json!({ "name": "bare" })).await;
    assert_eq!(bare["base_dn"], "DC=ldap,DC=goauthentik,DC=io");
    assert_eq!(bare["virtual_groups"], false, "a name is found once");
}

#[tokio::test]
async fn lists_are_filtered_as_authentik_filters_them() {
    let world = World::new();
    let one = world.provider("One", "dc=example,dc=com").await;
    world.provider("Two", "dc=example,dc=org").await;
    world.application("vault", Some(one)).await;
    for (query, expected) in [
        ("ldap/", vec!["One", "Two"]),
        ("ldap/?ordering=-name", vec!["Two", "One"]),
        ("ldap/?application__isnull=true", vec!["Two"]),
        ("ldap/?application__isnull=false", vec!["One"]),
        ("ldap/?name__iexact=two", vec!["Two"]),
        ("ldap/?base_dn__iexact=DC=EXAMPLE,DC=COM", vec!["One"]),
        ("ldap/?uid_start_number__iexact=2000&gid_start_number__iexact=4000", vec!["One", "Two"]),
        ("ldap/?uid_start_number__iexact=1", vec![]),
        ("ldap/?tls_server_name__iexact=x", vec![]),
        ("ldap/?certificate__name__iexact=x", vec![]),
        ("ldap/?certificate__kp_uuid__iexact=11111111-2222-4333-8444-555555555555", vec![]),
        ("ldap/?authorization_flow__slug__iexact=bindery", vec!["One", "Two"]),
        ("ldap/?search=org", vec!["Two"]),
        ("all/", vec!["One", "Two"]),
        ("all/?application__isnull=true", vec!["Two"]),
        ("all/?backchannel=true", vec![]),
        ("all/?backchannel=false", vec!["One", "Two"]),
        ("all/?search=one", vec!["One"]),
    ] {
        assert_eq!(world.listed(&format!("/providers/{query}"), "name").await, expected, "{query}");
    }
    assert_eq!(world.get(&format!("/providers/all/{one}/")).await["component"], "ak-provider-ldap-form");
    assert_eq!(world.get("/providers/all/types/").await[0]["model_name"], "ldapprovider");
    assert_eq!(world.listed("/outposts/ldap/", "application_slug").await, ["vault"]);
    assert_eq!(world.listed("/outposts/ldap/?name=two", "pk").await, Vec::<Value>::new());
    world.delete(&format!("/providers/all/{one}/")).await;
    assert_eq!(world.listed("/providers/all/", "name").await, ["Two"]);
}

#[tokio::test]
async fn changes_need_their_permissions() {
    use Permission as P;
    let world = World::new();
    let provider = world.provider("ldap", "dc=example,dc=com").await;
    let on = Some(ObjectReference::Provider(provider));
    let make = |base_dn: &'static str| {
        move |t: &mut Transaction<'_>| create_provider(t, base_dn.to_owned(), base(base_dn))
    };
    let rename = |t: &mut Transaction<'_>, number| {
        update_provider(
            t,
            number,
            ProviderChanges { name: Some("new".to_owned()), ..ProviderChanges::default() },
        )
    };

    let nobody = world.caller("nobody", &[]).await;
    assert_forbidden(world.change(&nobody, make("dc=a")).await, P::AddProvider);
    let refused = world.change(&nobody, move |t| rename(t, provider)).await;
    // Not even its name: what is hidden is answered like what is not there.
    assert_eq!(CallRefusal::from(refused.unwrap_err()), CallRefusal::not_found());
    assert_not_found(world.change(&nobody, move |t| delete_provider(t, provider)).await);

    let viewer = world.caller("viewer", &[(P::ViewProvider, on)]).await;
    assert_forbidden(world.change(&viewer, move |t| rename(t, provider)).await, P::ChangeProvider);
    assert_forbidden(world.change(&viewer, move |t| delete_provider(t, provider)).await, P::DeleteProvider);

    let maker = world.caller("maker", &[(P::AddProvider, None)]).await;
    let made = world.change(&maker, make("dc=a")).await.unwrap();
    world.change(&maker, move |t| rename(t, made)).await.unwrap();
    // Whoever makes a directory may not read everybody in it.
    let snapshot = world.registry.snapshot();
    let on_made = Some(ObjectReference::Provider(made));
    assert!(maker.may(snapshot.accounts(), P::ViewProvider, on_made));
    assert!(!maker.may(snapshot.accounts(), P::SearchFullDirectory, on_made));

    world.change(&maker, move |t| delete_provider(t, made)).await.unwrap();
}

#[tokio::test]
async fn what_stands_in_the_way_is_named_to_those_who_may_know_it() {
    use Permission as P;
    let world = World::new();
    let provider = world.provider("ldap", "dc=example,dc=com").await;
    let on = Some(ObjectReference::Provider(provider));
    // Given by hand: the number that a lower start would derive for the next account.
    let agent = world.account("agent").await;
    let taken = (1_000 + agent.get() + 1).to_string();
    let body = json!({ "username": "double", "name": "", "attributes": { "uidNumber": taken } });
    world.post("/core/users/", body).await;
    let third = world.account("third").await;
    let start = 1_000 + agent.get() + 1 - third.get();
    let clash = move |t: &mut Transaction<'_>| {
        let changes = ProviderChanges { uid_start_number: Some(start), ..ProviderChanges::default() };
        update_provider(t, provider, changes)
    };
    let told = world.change(&operator(), clash).await.unwrap_err().to_string();
    assert!(told.contains("`double`"), "{told}");
    let changer = world.caller("changer", &[(P::ChangeProvider, on)]).await;
    let told = world.change(&changer, clash).await.unwrap_err().to_string();
    assert!(!told.contains("double") && told.contains("only a superuser"), "{told}");
    // What another container would do to entries is told in general.
    let crowd = move |t: &mut Transaction<'_>| {
        let groups = Some(vec![crate::model::Container::of_dn("ou=users")]);
        update_provider(t, provider, ProviderChanges { groups, ..ProviderChanges::default() })
    };
    world.post("/core/groups/", json!({ "name": "agent" })).await;
    let told = world.change(&operator(), crowd).await.unwrap_err().to_string();
    assert!(told.contains("cn=agent"), "{told}");
    let told = world.change(&changer, crowd).await.unwrap_err().to_string();
    assert!(!told.contains("agent") && told.contains("choose other"), "{told}");
}

#[tokio::test]
async fn a_list_shows_what_may_be_viewed() {
    let world = World::new();
    let one = world.provider("one", "dc=example,dc=com").await;
    let two = world.provider("two", "dc=example,dc=org").await;
    world.application("vault", Some(one)).await;
    let on = Some(ObjectReference::Provider(one));
    let grants = [(Permission::ViewProvider, on), (Permission::SearchFullDirectory, on)];
    let viewer = world.caller("viewer", &grants).await;
    let page = ldap_provider::list(&world.reading(&viewer, &[]), LDAPProviderQuery::default()).unwrap().page;
    let shown: Vec<_> = page
        .results
        .iter()
        .map(|shown| (shown.provider.pk, shown.provider.assigned_application_slug.clone()))
        .collect();
    assert_eq!(shown, [(one.get(), None)]);
    // An application that may not be viewed is none, and without one there is nothing for an outpost.
    let page = outpost::list(&world.reading(&viewer, &[]), OutpostQuery::default()).unwrap().page;
    assert_eq!(page.results.len(), 0);
    let vault = world.registry.snapshot().accounts().application_named("vault").unwrap().number;
    let of_application = [(Permission::ViewApplication, Some(ObjectReference::Application(vault)))];
    let both = world.caller("both", &[&grants[..], &of_application[..]].concat()).await;
    let page = outpost::list(&world.reading(&both, &[]), OutpostQuery::default()).unwrap().page;
    assert_eq!(page.results.len(), 1);

    let check_by = |caller: &Caller, number: ProviderNumber, slug: &str| {
        let number = number.to_string();
        let reading = world.reading(caller, &[("id", &number)]);
        let query = CheckAccessQuery { app_slug: Some(slug.to_owned()) };
        outpost::check_access(&reading, query)
            .map(|found| (found.has_search_permission, found.access.passing))
            .map_err(|refusal| refusal.status())
    };
    let check = |number: ProviderNumber, slug: &str| check_by(&both, number, slug);
    assert_eq!(check_by(&viewer, one, "vault"), Err(StatusCode::NOT_FOUND));
    assert_eq!(check(one, "vault"), Ok((true, true)));
    assert_eq!(check(one, "wiki"), Err(StatusCode::NOT_FOUND));
    assert_eq!(check(two, "vault"), Err(StatusCode::NOT_FOUND));
}

#[tokio::test]
async fn grants_on_what_was_deleted_are_not_listed() {
    let world = World::new();
    let provider = world.provider("ldap", "dc=example,dc=com").await;
    let role = world.post("/rbac/roles/", json!({ "name": "readers" })).await["pk"].clone();
    let role = role.as_str().unwrap().to_owned();
    let model = "authentik_providers_ldap.ldapprovider";
    let path = format!("/rbac/permissions/assigned_by_roles/{role}/assign/");
    let body = json!({ "permissions": ["search_full_directory"], "model": model, "object_pk": provider.to_string() });
    assert_eq!(world.status(Method::POST, &path, body).await, StatusCode::OK);
    let of_role = format!("/rbac/permissions/roles/?uuid={role}");
    let of_model = format!("/rbac/permissions/assigned_by_roles/?model={model}");
    assert_eq!(world.listed(&of_role, "object_description").await, ["ldap"]);
    assert_eq!(world.listed(&of_model, "name").await, ["readers"]);
    world.delete(&format!("/providers/ldap/{provider}/")).await;
    assert_eq!(world.listed(&of_role, "object_pk").await, Vec::<Value>::new());
    assert_eq!(world.listed(&of_model, "name").await, Vec::<Value>::new());
}
