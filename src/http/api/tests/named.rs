//! An object is named to who may view it, and to nobody else: every row of the table is called by accounts that may view
//! one kind of objects, or one object, in a directory in which everything is tied to everything, and no octet of a name,
//! a number or a UUID of anything else stands in an answer. Who may view all is answered as the operator is.

use uuid::Uuid;

use super::rights::{Fixture, global, text};
use super::*;
use crate::http::api::table::routes;
use crate::model::{
    Account, Application, Binding, BindingSubject, Group, GroupNumber, LdapProvider, Membership, Role,
    RoleNumber, Timestamp, Token, TokenNumber, Usage, UsageOf,
};
use crate::plain::{self, attribute};
use crate::registry::Viewer;

/// Each kind has two objects, which are tied to each other and to all of the other kinds: `near`, and `far`.
const PLACES: [&str; 2] = ["near", "far"];

/// An object of [`Tangle`].
struct Knot {
    on: ObjectReference,
    /// What stands for it in a path.
    pk: String,
    /// What tells that it is there, each unmistakable.
    marks: Vec<String>,
}

/// A directory in which everything is tied to everything.
struct Tangle {
    fixture: Fixture,
    operator: Router,
    knots: Vec<Knot>,
    bindings: Vec<String>,
}

impl Tangle {
    /// `is_rich`: the accounts are superusers, and they, the groups and the roles hold permissions on everything.
    async fn new(is_rich: bool) -> Self {
        let fixture = Fixture::new().await;
        let tied =
            fixture.registry.change(Actor::named("test"), move |transaction| tie(transaction, is_rich));
        let (knots, bindings) = tied.await.unwrap();
        let (_directory, tls) = super::certificates::development();
        let operator = router(Api::new(Arc::clone(&fixture.registry), Door::Local).with_tls(Some(tls)));
        Self { fixture, operator, knots, bindings }
    }

    fn knot(&self, kind: &str, place: &str) -> &Knot {
        let of_kind = self.knots.iter().filter(|knot| knot.on.kind() == kind);
        of_kind.zip(PLACES).find(|(_, other)| *other == place).unwrap().0
    }

    /// Every path of a row, with a query where the row wants one. Of what stands in a query only that is named which
    /// `names` says.
    fn paths(&self, row: &str, names: &dyn Fn(ObjectReference) -> bool) -> Vec<String> {
        let of = |kind: &str| -> Vec<String> {
            let knots = self.knots.iter().filter(|knot| knot.on.kind() == kind);
            knots.map(|knot| knot.pk.clone()).collect()
        };
        let named = |kind: &str| -> Vec<String> {
            let knots = self.knots.iter().filter(|knot| knot.on.kind() == kind && names(knot.on));
            knots.map(|knot| knot.pk.clone()).collect()
        };
        let filled = if let Some((before, rest)) = row.split_once('{') {
            let (_, after) = rest.split_once('}').unwrap();
            let pks = match before {
                "/core/users/" | "/rbac/permissions/assigned_by_users/" => of("account"),
                "/core/groups/" | "/rbac/permissions/assigned_by_groups/" => of("group"),
                "/core/tokens/" => of("token"),
                "/core/applications/" => of("application"),
                "/rbac/roles/" | "/rbac/permissions/assigned_by_roles/" => of("role"),
                "/providers/all/" | "/providers/ldap/" | "/outposts/ldap/" => of("provider"),
                "/policies/bindings/" => self.bindings.clone(),
                "/crypto/certificatekeypairs/" => vec![crate::http::api::fixed::CERTIFICATE.to_string()],
                "/rbac/permissions/" => vec!["1".to_owned()],
                // Who may view events reads everything; nobody here may.
                "/events/events/" => vec![Uuid::nil().to_string()],
                other => panic!("what stands in {other}{{}}?"),
            };
            pks.iter().map(|pk| format!("{before}{pk}{after}")).collect()
        } else {
            vec![row.to_owned()]
        };
        let queries: Vec<String> = match row {
            "/core/groups/" | "/core/groups/{group_uuid}/" => {
                let all = "?include_users=true&include_children=true&include_parents=true";
                vec![String::new(), format!("{all}&include_inherited_roles=true")]
            }
            "/core/users/" => vec![String::new(), "?include_groups=false&include_roles=false".to_owned()],
            "/core/applications/" => vec!["?ordering=provider".to_owned()],
            "/core/tokens/" => vec!["?ordering=user".to_owned(), "?search=zq".to_owned()],
            "/policies/bindings/" => vec!["?ordering=target".to_owned(), "?search=zq".to_owned()],
            "/core/applications/{slug}/check_access/" => {
                let accounts = named("account");
                accounts.iter().map(|pk| format!("?for_user={pk}")).chain([String::new()]).collect()
            }
            "/outposts/ldap/{id}/check_access/" => {
                named("application").iter().map(|slug| format!("?app_slug={slug}")).collect()
            }
            "/rbac/permissions/roles/" => named("role").iter().map(|uuid| format!("?uuid={uuid}")).collect(),
            "/rbac/permissions/assigned_by_roles/"
            | "/rbac/permissions/assigned_by_groups/"
            | "/rbac/permissions/assigned_by_users/" => {
                let kinds = ["account", "group", "token", "application", "role", "provider"];
                let models = kinds.into_iter().flat_map(|kind| {
                    let on_one = named(kind).into_iter().map(move |pk| format!("&object_pk={pk}"));
                    let objects = on_one.chain([String::new()]);
                    objects.map(move |object| format!("?model={}{object}", model(kind)))
                });
                models.collect()
            }
            _ => vec![String::new()],
        };
        let paths = filled.iter().flat_map(|path| queries.iter().map(move |query| format!("{path}{query}")));
        paths.collect()
    }

    /// The answer to the operator.
    async fn told(&self, path: &str) -> (StatusCode, Value) {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        let answer = self.operator.clone().oneshot(request).await.unwrap();
        let status = answer.status();
        let octets = to_bytes(answer.into_body(), 4 * 1024 * 1024).await.unwrap();
        (status, serde_json::from_slice(&octets).unwrap_or_default())
    }

    /// Asserts that nothing is named in an answer that `names` does not say, and that the request did not.
    fn assert_silent(&self, asked: &str, answer: &Value, names: &dyn Fn(ObjectReference) -> bool) {
        let text = answer.to_string();
        for knot in self.knots.iter().filter(|knot| !names(knot.on)) {
            for mark in knot.marks.iter().filter(|mark| !asked.contains(mark.as_str())) {
                assert!(!text.contains(mark.as_str()), "{asked} tells of {:?} {mark}: {text}", knot.on);
            }
        }
    }
}

fn model(kind: &str) -> &'static str {
    match kind {
        "account" => "authentik_core.user",
        "group" => "authentik_core.group",
        "token" => "authentik_core.token",
        "application" => "authentik_core.application",
        "role" => "authentik_rbac.role",
        _ => "authentik_providers_ldap.ldapprovider",
    }
}

/// Makes the objects; gives them back with the UUIDs of the bindings.
fn tie(transaction: &mut Transaction<'_>, is_rich: bool) -> Result<(Vec<Knot>, Vec<String>), ChangeError> {
    let numbers = [73_100_001_u32, 73_100_002];
    let (accounts, groups) =
        (numbers.map(AccountNumber::new), [73_200_001, 73_200_002].map(GroupNumber::new));
    let (roles, tokens) = ([9_301, 9_302].map(RoleNumber::new), [9_401, 9_402].map(TokenNumber::new));
    let applications = [9_501, 9_502].map(ApplicationNumber::new);
    let providers = [73_600_001, 73_600_002].map(ProviderNumber::new);
    let all: Vec<ObjectReference> = (accounts.map(ObjectReference::Account).into_iter())
        .chain(groups.map(ObjectReference::Group))
        .chain(roles.map(ObjectReference::Role))
        .chain(tokens.map(ObjectReference::Token))
        .chain(applications.map(ObjectReference::Application))
        .chain(providers.map(ObjectReference::Provider))
        .collect();
    let grants: Vec<Grant> =
        all.iter().map(|on| Grant { permission: on.view_permission(), on: Some(*on) }).collect();
    let grants = if is_rich { grants } else { Vec::new() };
    let uuids: Vec<Uuid> = all.iter().map(|_| Uuid::new_v4()).collect();
    let uuid = |on: ObjectReference| uuids[all.iter().position(|other| *other == on).unwrap()];
    let name = |kind: &str, place: usize| format!("zq-{kind}-{}", PLACES[place]);

    // What the fixture has would have the same places in a tree whose accounts and groups stand together.
    let target = transaction.snapshot().accounts().application_named("target").unwrap().number;
    transaction.delete(crate::model::Key::Application(target))?;
    for group in ["target", "spare"] {
        let number = transaction.snapshot().accounts().group_named(group).unwrap().number;
        transaction.delete_group(number)?;
    }
    for place in [0, 1] {
        let role = Role {
            uuid: uuid(ObjectReference::Role(roles[place])),
            grants: grants.clone(),
            ..plain::role(roles[place].get(), &name("role", place))
        };
        transaction.put(Record::Role(role))?;
    }
    // The one is in the other, which makes superusers.
    for place in [1, 0] {
        let group = Group {
            uuid: uuid(ObjectReference::Group(groups[place])),
            is_superuser: is_rich && place == 1,
            parents: if place == 0 { vec![groups[1]] } else { Vec::new() },
            roles: roles.to_vec(),
            grants: grants.clone(),
            ..plain::group(groups[place].get(), &name("group", place))
        };
        transaction.put(Record::Group(group))?;
    }
    for place in [0, 1] {
        let account = Account {
            uuid: uuid(ObjectReference::Account(accounts[place])),
            name: format!("Zq Full {}", PLACES[place]),
            email: format!("{}@example.com", name("mail", place)),
            attributes: vec![attribute("uidNumber", &[&format!("6432{place}")])],
            roles: roles.to_vec(),
            grants: grants.clone(),
            kind: AccountKind::Internal,
            ..plain::account(accounts[place].get(), &name("account", place))
        };
        transaction.put(Record::Account(account))?;
        for group in groups {
            transaction.put(Record::Membership(Membership { group, account: accounts[place] }))?;
        }
    }
    for place in [0, 1] {
        let on = ObjectReference::Provider(providers[place]);
        let mut provider = LdapProvider {
            uuid: uuid(on),
            name: name("provider", place),
            domain: Some(format!("{}.example", name("domain", place))),
            ..plain::provider(providers[place].get(), &format!("dc={}", name("base", place)))
        };
        // So that an account and a group of one name have one DN.
        provider.groups = provider.users.clone();
        transaction.put(Record::Provider(provider))?;
    }
    let mut bindings = Vec::new();
    for place in [0, 1] {
        let subjects =
            accounts.map(BindingSubject::Account).into_iter().chain(groups.map(BindingSubject::Group));
        let bound = subjects.map(|subject| {
            let negate = matches!(subject, BindingSubject::Group(_));
            Binding { uuid: Uuid::new_v4(), negate, ..plain::binding(subject) }
        });
        let on = ObjectReference::Application(applications[place]);
        let application = Application {
            uuid: uuid(on),
            name: format!("Zq Application {}", PLACES[place]),
            provider: Some(providers[place]),
            bindings: bound.collect(),
            mode: crate::model::BindingMode::All,
            ..plain::application(applications[place].get(), &name("application", place))
        };
        bindings.extend(application.bindings.iter().map(|binding| binding.uuid.to_string()));
        transaction.put(Record::Application(application))?;
        let on = ObjectReference::Token(tokens[place]);
        let token = Token {
            uuid: uuid(on),
            identifier: name("token", place),
            ..plain::token(tokens[place].get(), accounts[place])
        };
        transaction.put(Record::Token(token))?;
        let time = Timestamp::now();
        let (provider, application) = (Some(providers[1 - place]), Some(name("application", 1 - place)));
        let of = plain::usage(UsageOf::Token(tokens[place]));
        transaction.put(Record::Usage(Usage { time, provider, application, ..of }))?;
    }
    let knots = all.iter().enumerate().map(|(index, on)| {
        let (place, uuid) = (index % 2, uuid(*on));
        let mut marks = vec![name(on.kind(), place)];
        // The UUID of a provider stands nowhere in the API.
        marks.extend((on.kind() != "provider").then(|| uuid.to_string()));
        let pk = match on {
            ObjectReference::Account(number) => {
                marks.extend([number.to_string(), uuid.simple().to_string(), name("mail", place)]);
                marks.push(format!("Zq Full {}", PLACES[place]));
                number.to_string()
            }
            ObjectReference::Group(number) => {
                marks.push(number.to_string());
                uuid.to_string()
            }
            ObjectReference::Role(_) => uuid.to_string(),
            ObjectReference::Token(_) => name("token", place),
            ObjectReference::Application(_) => {
                marks.push(format!("Zq Application {}", PLACES[place]));
                name("application", place)
            }
            ObjectReference::Provider(number) => {
                marks.extend([number.to_string(), name("base", place), name("domain", place)]);
                number.to_string()
            }
        };
        Knot { on: *on, pk, marks }
    });
    Ok((knots.collect(), bindings))
}

/// What somebody may view: a kind of objects as a whole, or one of them.
fn views(tangle: &Tangle) -> Vec<(Permission, Option<ObjectReference>)> {
    let mut views = vec![(Permission::ViewPolicyBinding, None), (Permission::ViewCertificate, None)];
    for kind in ["account", "group", "role", "token", "application", "provider"] {
        let permission = tangle.knot(kind, "near").on.view_permission();
        views.push((permission, None));
        views.extend(PLACES.map(|place| (permission, Some(tangle.knot(kind, place).on))));
    }
    views
}

#[tokio::test]
async fn who_may_view_one_kind_reads_nothing_of_another() {
    let tangle = Tangle::new(true).await;
    for (permission, on) in views(&tangle) {
        tangle.fixture.grant(vec![Grant { permission, on }]).await;
        let names =
            |other: ObjectReference| other.view_permission() == permission && on.is_none_or(|on| on == other);
        let mut answered = 0;
        for route in routes().iter().filter(|route| route.method == Method::GET) {
            for path in tangle.paths(route.path, &names) {
                let (status, answer) = tangle.fixture.send(Method::GET, &path, Value::Null).await;
                answered += usize::from(status == StatusCode::OK);
                tangle.assert_silent(&format!("{permission} on {on:?}: {path}"), &answer, &names);
            }
        }
        assert!(answered > 10, "{permission} on {on:?} reads next to nothing");
    }
}

#[tokio::test]
async fn who_may_view_all_reads_what_the_operator_reads() {
    let tangle = Tangle::new(true).await;
    let all = Permission::ALL.iter().filter(|permission| permission.codename().starts_with("view_"));
    let all: Vec<Permission> =
        all.copied().filter(|permission| *permission != Permission::ViewTokenKey).collect();
    tangle.fixture.grant(all.iter().copied().map(global).collect()).await;
    let mut told = String::new();
    for route in routes().iter().filter(|route| route.method == Method::GET) {
        // What differs from one call to the next, and what is about who calls.
        let differs = route.path.starts_with("/events/")
            || route.path.starts_with("/crypto/")
            || ["/core/users/me/", "/admin/system/", "/core/tokens/{identifier}/view_key/"]
                .contains(&route.path)
            || route.path.ends_with("/check_access/");
        if differs {
            continue;
        }
        for path in tangle.paths(route.path, &|_| true) {
            let (status, mut answer) = tangle.fixture.send(Method::GET, &path, Value::Null).await;
            let (expected_status, mut expected) = tangle.told(&path).await;
            for answer in [&mut answer, &mut expected] {
                // The robot's token is used by asking.
                without_uses(answer);
            }
            assert_eq!((status, &answer), (expected_status, &expected), "{path}");
            told += &answer.to_string();
        }
    }
    for knot in &tangle.knots {
        for mark in &knot.marks {
            assert!(told.contains(mark.as_str()), "{:?} is named nowhere by {mark}", knot.on);
        }
    }
}

/// Takes the times of logins out of an answer.
fn without_uses(answer: &mut Value) {
    match answer {
        Value::Object(fields) => {
            fields.remove("last_login");
            fields.remove("last_used");
            fields.values_mut().for_each(without_uses);
        }
        Value::Array(items) => items.iter_mut().for_each(without_uses),
        _ => {}
    }
}

/// Requests that run into something that there is: by its name in another spelling, a number, a place that is taken.
fn provocations(tangle: &Tangle) -> Vec<(Method, String, Value)> {
    let (post, put, patch, delete) = (Method::POST, Method::PUT, Method::PATCH, Method::DELETE);
    let mut requests = Vec::new();
    for place in PLACES {
        let upper = |kind: &str| format!("ZQ-{}-{}", kind.to_uppercase(), place.to_uppercase());
        let knot = |kind: &str| tangle.knot(kind, place).pk.clone();
        let (user, group) =
            (format!("/core/users/{}/", knot("account")), format!("/core/groups/{}/", knot("group")));
        let role = format!("/rbac/roles/{}/", knot("role"));
        let token = format!("/core/tokens/{}/", knot("token"));
        let application = format!("/core/applications/{}/", knot("application"));
        let provider = format!("/providers/ldap/{}/", knot("provider"));
        let uid = if place == "near" { "64320" } else { "64321" };
        let user_of = |name: String| json!({ "username": name, "name": "x" });
        requests.extend([
            (post.clone(), "/core/users/".to_owned(), user_of(upper("account"))),
            // The group of this name stands where it would.
            (post.clone(), "/core/users/".to_owned(), user_of(upper("group"))),
            (
                post.clone(),
                "/core/users/".to_owned(),
                json!({ "username": "x", "name": "x", "attributes": { "uidNumber": uid } }),
            ),
            (
                patch.clone(),
                user.clone(),
                json!({ "attributes": { "uidNumber": if uid == "64320" { "64321" } else { "64320" } } }),
            ),
            (patch.clone(), user.clone(), json!({ "is_active": false })),
            (post.clone(), format!("{user}set_password/"), json!({ "password": "a good one" })),
            (delete.clone(), user.clone(), Value::Null),
            (
                post.clone(),
                "/core/users/service_account/".to_owned(),
                json!({ "name": upper("group"), "create_group": true }),
            ),
            (post.clone(), "/core/groups/".to_owned(), json!({ "name": upper("group") })),
            (post.clone(), "/core/groups/".to_owned(), json!({ "name": upper("account") })),
            (patch.clone(), group.clone(), json!({ "name": upper("account") })),
            (patch.clone(), group.clone(), json!({ "parents": [], "roles": [], "users": [] })),
            (delete.clone(), group.clone(), Value::Null),
            (post.clone(), "/rbac/roles/".to_owned(), json!({ "name": upper("role") })),
            (delete.clone(), role.clone(), Value::Null),
            (
                patch.clone(),
                token.clone(),
                json!({ "description": "x", "expiring": true, "networks": ["10.0.0.0/8"] }),
            ),
            (patch.clone(), token.clone(), json!({ "user": tangle.fixture.robot.get() })),
            (
                post.clone(),
                format!("{token}set_key/"),
                json!({ "key": "a secret of one's own that is long enough" }),
            ),
            (post.clone(), format!("{token}rotate/"), json!({})),
            (
                post.clone(),
                "/core/applications/".to_owned(),
                json!({ "name": "x", "slug": knot("application") }),
            ),
            (
                post.clone(),
                "/core/applications/".to_owned(),
                json!({ "name": "x", "slug": "x", "provider": tangle.knot("provider", place).on.number() }),
            ),
            (patch.clone(), application.clone(), json!({ "provider": null })),
            (patch.clone(), application.clone(), json!({ "name": "x" })),
            (
                post.clone(),
                "/providers/ldap/".to_owned(),
                json!({ "name": upper("provider"), "base_dn": "dc=x" }),
            ),
            (
                post.clone(),
                "/providers/ldap/".to_owned(),
                json!({ "name": "x", "base_dn": format!("DC={}", upper("base")) }),
            ),
            (
                post.clone(),
                "/providers/ldap/".to_owned(),
                json!({ "name": "x", "base_dn": "dc=x", "domain": format!("{}.EXAMPLE", upper("domain")) }),
            ),
            (
                post.clone(),
                "/providers/ldap/".to_owned(),
                json!({ "name": "x", "base_dn": "dc=x", "groups": [{ "container": "ou=users" }] }),
            ),
            (patch.clone(), provider.clone(), json!({ "default": true })),
        ]);
        // Said of all of it, and with what the other one has.
        let other = if place == "near" { "far" } else { "near" };
        let of_other = |kind: &str| tangle.knot(kind, other).pk.clone();
        let provider_of_other = tangle.knot("provider", other).on.number();
        requests.extend([
            (put.clone(), user.clone(), user_of(upper("account"))),
            (put.clone(), user.clone(), json!({ "username": "y", "name": "y", "groups": [], "roles": [] })),
            (put.clone(), user.clone(), user_of(format!("zq-account-{other}"))),
            (
                put.clone(),
                group.clone(),
                json!({ "name": upper("group"), "users": [], "parents": [], "roles": [] }),
            ),
            (put.clone(), group.clone(), json!({ "name": format!("zq-group-{other}") })),
            (put.clone(), role.clone(), json!({ "name": format!("ZQ-role-{other}") })),
            (put.clone(), token.clone(), json!({ "identifier": format!("zq-token-{other}") })),
            (put.clone(), token.clone(), json!({ "identifier": "y", "expiring": false, "networks": [] })),
            (
                put.clone(),
                application.clone(),
                json!({ "name": "y", "slug": of_other("application"), "provider": provider_of_other }),
            ),
            (put.clone(), application.clone(), json!({ "name": "y", "slug": "y", "provider": null })),
            (
                put.clone(),
                provider.clone(),
                json!({ "name": format!("zq-provider-{other}"), "base_dn": format!("dc=zq-base-{other}") }),
            ),
            (put.clone(), provider.clone(), json!({ "name": "y", "base_dn": "dc=y", "default": true })),
            (delete.clone(), provider, Value::Null),
        ]);
    }
    // Granted on what may be hidden, to what may be hidden.
    for (kind, of) in [("roles", "role"), ("groups", "group"), ("users", "account")] {
        for (to, on) in [("near", "far"), ("far", "near")] {
            for (model_of, permission) in [
                ("account", "view_user"),
                ("group", "view_group"),
                ("role", "view_role"),
                ("token", "view_token"),
            ] {
                let on = &tangle.knot(model_of, on).pk;
                let body = json!({ "permissions": [permission], "model": model(model_of), "object_pk": on });
                let path = format!("/rbac/permissions/assigned_by_{kind}/{}/", tangle.knot(of, to).pk);
                requests.push((post.clone(), format!("{path}assign/"), body.clone()));
                requests.push((patch.clone(), format!("{path}unassign/"), body));
            }
        }
    }
    for binding in &tangle.bindings {
        let target = &tangle.knot("application", "far").marks[1];
        let (account, group) = (tangle.knot("account", "far"), tangle.knot("group", "far"));
        for subject in [("user", json!(account.on.number())), ("group", json!(group.pk))] {
            let body = json!({ "target": target, "order": 1, subject.0: subject.1 });
            requests.push((put.clone(), format!("/policies/bindings/{binding}/"), body));
        }
        requests.push((patch.clone(), format!("/policies/bindings/{binding}/"), json!({ "order": 3 })));
        requests.push((patch.clone(), format!("/policies/bindings/{binding}/"), json!({ "group": null })));
    }
    requests
}

#[tokio::test]
async fn nothing_is_named_by_a_refusal_or_the_answer_to_a_change() {
    let kinds = ["user", "group", "role", "token", "application", "ldapprovider", "policybinding"];
    let (mut refused, mut changed) = (0, 0);
    // The rich ones refuse what is asked of them, the poor ones let it happen.
    for (kind, is_rich) in kinds.into_iter().flat_map(|kind| [(kind, true), (kind, false)]) {
        let tangle = Tangle::new(is_rich).await;
        // All that there is to do with one kind, and what there is to add of all.
        let may: Vec<Permission> = Permission::ALL
            .iter()
            .copied()
            .filter(|permission| permission.model() == kind || permission.codename().starts_with("add_"))
            .filter(|permission| *permission != Permission::SearchFullDirectory)
            .collect();
        let names = |on: ObjectReference| on.view_permission().model() == kind;
        for (method, path, body) in provocations(&tangle) {
            tangle.fixture.grant(may.iter().copied().map(global).collect()).await;
            let (status, answer) = tangle.fixture.send(method.clone(), &path, body.clone()).await;
            let asked = format!("{kind}: {method} {path} {body}");
            assert!(!status.is_server_error(), "{asked}: {answer}");
            refused += usize::from(status.is_client_error());
            changed += usize::from(status.is_success());
            tangle.assert_silent(&asked, &answer, &names);
        }
    }
    assert!(refused > 500 && changed > 30, "{refused} refused, {changed} changed");
}

#[tokio::test]
async fn what_was_not_shown_is_not_taken_away_by_giving_back_what_was() {
    let tangle = Tangle::new(false).await;
    let cases = [
        ("account", "/core/users/", &["username", "name", "groups", "roles", "is_active", "type"][..]),
        ("group", "/core/groups/", &["name", "users", "parents", "roles", "is_superuser"]),
        ("token", "/core/tokens/", &["identifier", "user", "description", "intent", "expiring"]),
        ("application", "/core/applications/", &["name", "slug", "provider", "group"]),
    ];
    let state = |tangle: &Tangle| {
        let snapshot = tangle.fixture.registry.snapshot();
        let accounts = snapshot.accounts();
        let of_account = accounts
            .accounts()
            .map(|account| format!("{} {:?} {:?}", account.username, account.groups, account.roles));
        let of_group = accounts.groups().map(|group| {
            let members: Vec<_> = group.members().collect();
            format!("{} {:?} {:?} {members:?}", group.name, group.parents, group.roles)
        });
        let of_token = accounts.tokens().map(|token| format!("{} {:?}", token.identifier, token.account));
        let of_application = accounts.applications().map(|application| format!("{application:?}"));
        let all = of_account.chain(of_group).chain(of_token);
        let all: Vec<String> = all.chain(of_application.map(|text| cut(&text, "modified"))).collect();
        all
    };
    // Nothing is asked of the memberships and roles in it, as none is taken.
    for (kind, base, fields) in cases {
        for place in PLACES {
            let knot = tangle.knot(kind, place);
            let model = knot.on.view_permission().model();
            let may = Permission::ALL.iter().copied().filter(|permission| {
                let is_right =
                    ["view_", "change_"].iter().any(|start| permission.codename().starts_with(start));
                permission.model() == model && is_right
            });
            tangle.fixture.grant(may.map(global).collect()).await;
            let path = format!("{base}{}/", knot.pk);
            let before = state(&tangle);
            let (status, mut back) = tangle.fixture.send(Method::GET, &path, Value::Null).await;
            assert_eq!(status, StatusCode::OK, "{back}");
            back.as_object_mut().unwrap().retain(|field, _| fields.contains(&field.as_str()));
            let (status, answer) = tangle.fixture.send(Method::PUT, &path, back.clone()).await;
            assert_eq!(status, StatusCode::OK, "{path} {back}: {answer}");
            assert_eq!(state(&tangle), before, "{path} {back}");
        }
    }
    let may = [Permission::ViewPolicyBinding, Permission::ChangePolicyBinding, Permission::ChangeApplication];
    tangle.fixture.grant(may.map(global).to_vec()).await;
    for binding in &tangle.bindings {
        let path = format!("/policies/bindings/{binding}/");
        let before = state(&tangle);
        let (_, mut back) = tangle.fixture.send(Method::GET, &path, Value::Null).await;
        assert_eq!(
            (&back["target"], &back["user"], &back["group"]),
            (&json!(Uuid::nil()), &Value::Null, &Value::Null)
        );
        let fields =
            ["target", "user", "group", "order", "negate", "networks", "days", "from", "to", "timezone"];
        back.as_object_mut().unwrap().retain(|field, _| fields.contains(&field.as_str()));
        let (status, answer) = tangle.fixture.send(Method::PUT, &path, back.clone()).await;
        assert_eq!(status, StatusCode::OK, "{back}: {answer}");
        assert_eq!(state(&tangle), before, "{back}");
        // The numbers of what is hidden cannot be tried out.
        for number in
            [tangle.knot("account", "near").on.number(), tangle.knot("account", "far").on.number(), 9_999]
        {
            let (status, answer) = tangle.fixture.send(Method::PATCH, &path, json!({ "user": number })).await;
            assert_eq!(
                (status, &answer["user"][0]),
                (StatusCode::BAD_REQUEST, &json!(format!("there is no account {number}")))
            );
        }
    }
    // What was shown is taken, and nothing else.
    let near = tangle.knot("group", "near").on;
    let may = [
        Permission::ViewUser,
        Permission::ChangeUser,
        Permission::AddUserToGroup,
        Permission::RemoveUserFromGroup,
    ];
    let on_near = Grant { permission: Permission::ViewGroup, on: Some(near) };
    tangle.fixture.grant(may.into_iter().map(global).chain([on_near]).collect()).await;
    let path = format!("/core/users/{}/", tangle.knot("account", "near").pk);
    let (status, answer) = tangle.fixture.send(Method::PATCH, &path, json!({ "groups": [] })).await;
    assert_eq!((status, &answer["groups"]), (StatusCode::OK, &json!([])), "{answer}");
    let snapshot = tangle.fixture.registry.snapshot();
    let left = snapshot.accounts().account_named("zq-account-near").unwrap().groups.clone();
    let far = snapshot.accounts().group_named("zq-group-far").unwrap().number;
    assert_eq!(&*left, [far]);
}

/// A text without the value of one field.
fn cut(text: &str, field: &str) -> String {
    text.split(", ").filter(|part| !part.starts_with(field)).collect::<Vec<_>>().join(", ")
}

#[tokio::test]
async fn hidden_objects_in_bodies_and_filters_are_none() {
    let tangle = Tangle::new(true).await;
    let may = [
        Permission::ViewUser,
        Permission::ChangeUser,
        Permission::AddUserToGroup,
        Permission::RemoveUserFromGroup,
        Permission::ViewToken,
        Permission::ViewApplication,
        Permission::ChangeApplication,
    ];
    tangle.fixture.grant(may.map(global).to_vec()).await;
    let user = format!("/core/users/{}/", tangle.knot("account", "near").pk);
    let provider = |place: &str| tangle.knot("provider", place).on.number();
    let application = format!("/core/applications/{}/", tangle.knot("application", "near").pk);
    for (path, field, hidden, absent) in [
        (&user, "groups", json!([tangle.knot("group", "near").pk]), json!([Uuid::nil()])),
        (&user, "roles", json!([tangle.knot("role", "near").pk]), json!([Uuid::nil()])),
        (&application, "provider", json!(provider("near")), json!(4_711)),
        (&application, "provider", json!(provider("far")), json!(4_711)),
    ] {
        let mut told = Vec::new();
        for given in [&hidden, &absent] {
            let (status, answer) = tangle.fixture.send(Method::PATCH, path, json!({ field: given })).await;
            let named = given.as_array().map_or_else(|| given.to_string(), |list| text(&list[0]));
            told.push((status, answer.to_string().replace(&named, "_")));
        }
        assert_eq!(told[0], told[1], "{path} {field}");
        assert_eq!(told[0].0, StatusCode::BAD_REQUEST, "{path} {field}");
    }
    // What may be viewed is found by a filter, what may not is not.
    tangle.fixture.grant(vec![global(Permission::ViewGroup), global(Permission::ViewToken)]).await;
    let near = tangle.knot("account", "near");
    for path in [
        format!("/core/groups/?members_by_pk={}", near.pk),
        "/core/groups/?members_by_username=zq-account-near".to_owned(),
        "/core/tokens/?user__username=zq-account-near".to_owned(),
        "/core/tokens/?search=zq-account-near".to_owned(),
    ] {
        let (status, answer) = tangle.fixture.send(Method::GET, &path, Value::Null).await;
        assert_eq!((status, &answer["results"]), (StatusCode::OK, &json!([])), "{path}");
    }
    tangle
        .fixture
        .grant([Permission::ViewGroup, Permission::ViewToken, Permission::ViewUser].map(global).to_vec())
        .await;
    let (_, answer) =
        tangle.fixture.send(Method::GET, "/core/tokens/?search=zq-account-near", Value::Null).await;
    assert_eq!(answer["results"][0]["identifier"], "zq-token-near");
}

#[tokio::test]
async fn one_sees_oneself() {
    let tangle = Tangle::new(true).await;
    let robot = tangle.fixture.robot;
    let tied = tangle.fixture.registry.change(Actor::named("test"), move |transaction| {
        let group = GroupNumber::new(transaction.next_number()?);
        transaction.put(Record::Group(plain::group(group.get(), "own-group")))?;
        transaction.put(Record::Membership(Membership { group, account: robot }))?;
        let role = plain::role(transaction.next_object()?, "own-role");
        let mut account = transaction.account(robot)?.unwrap();
        account.roles = vec![role.number];
        transaction.put(Record::Role(role))?;
        transaction.put(Record::Account(account))
    });
    tied.await.unwrap();
    for (may, roles) in [(vec![], json!([])), (vec![Permission::ViewRole], json!(["own-role"]))] {
        tangle.fixture.grant(may.into_iter().map(global).collect()).await;
        let (_, me) = tangle.fixture.send(Method::GET, "/core/users/me/", Value::Null).await;
        let named = |list: &str| -> Vec<Value> {
            me["user"][list].as_array().unwrap().iter().map(|named| named["name"].clone()).collect()
        };
        assert_eq!((json!(named("groups")), json!(named("roles"))), (json!(["own-group"]), roles));
    }
    // Its own number and its own token name nobody else.
    tangle.fixture.grant([Permission::ViewGroup, Permission::ViewToken].map(global).to_vec()).await;
    let (_, shown) = tangle.fixture.send(Method::GET, "/core/groups/?name=own-group", Value::Null).await;
    let group = &shown["results"][0];
    assert_eq!((&group["users"], &group["users_obj"]), (&json!([robot.get()]), &json!([])));
    let (_, own) = tangle.fixture.send(Method::GET, "/core/tokens/robot-api/", Value::Null).await;
    assert_eq!((&own["user"], &own["user_obj"]["username"]), (&json!(robot.get()), &json!("robot")));
    let (_, other) = tangle.fixture.send(Method::GET, "/core/tokens/zq-token-near/", Value::Null).await;
    assert_eq!((&other["user"], &other["user_obj"]["pk"]), (&Value::Null, &json!(0)));
    assert_eq!(other["last_used"]["application"], Value::Null);
    let both = [Permission::ViewToken, Permission::ViewApplication];
    tangle.fixture.grant(both.map(global).to_vec()).await;
    let (_, other) = tangle.fixture.send(Method::GET, "/core/tokens/zq-token-near/", Value::Null).await;
    assert_eq!(other["last_used"]["application"], "zq-application-far");
}

#[tokio::test]
async fn a_viewer_sees_what_the_caller_may_view() {
    let tangle = Tangle::new(true).await;
    let holder = Holder { account: tangle.fixture.robot, credential: Credential::Password { generation: 1 } };
    let caller = Caller::account(holder, Actor::named("robot"));
    let mut cases: Vec<Vec<Grant>> =
        views(&tangle).into_iter().map(|(permission, on)| vec![Grant { permission, on }]).collect();
    cases.push(Vec::new());
    cases.push(vec![global(Permission::ChangeUser), global(Permission::DeleteGroup)]);
    for grants in cases {
        tangle.fixture.grant(grants.clone()).await;
        let snapshot = tangle.fixture.registry.snapshot();
        let accounts = snapshot.accounts();
        let viewer = Viewer::new(&caller, accounts);
        for knot in &tangle.knots {
            let may = caller.may(accounts, knot.on.view_permission(), Some(knot.on));
            assert_eq!(viewer.sees(knot.on), may, "{:?} with {grants:?}", knot.on);
        }
    }
    let snapshot = tangle.fixture.registry.snapshot();
    let (all, none) = (operator(), Caller::stranger(None));
    for knot in &tangle.knots {
        assert!(Viewer::new(&all, snapshot.accounts()).sees(knot.on));
        assert!(!Viewer::new(&none, snapshot.accounts()).names(knot.on));
    }
}

#[tokio::test]
async fn reasons_and_refusals_name_what_may_be_viewed() {
    let tangle = Tangle::new(true).await;
    let near = tangle.knot("account", "near");
    let path = format!("/core/applications/zq-application-near/check_access/?for_user={}", near.pk);
    let provider = tangle.knot("provider", "near").on.number();
    let tie = json!({ "name": "x", "slug": "x", "provider": provider });
    let may = [
        Permission::ViewUser,
        Permission::ViewApplication,
        Permission::AddApplication,
        Permission::ChangeProvider,
    ];
    for (more, named) in [(vec![], false), (vec![Permission::ViewGroup, Permission::ViewProvider], true)] {
        tangle.fixture.grant(may.into_iter().chain(more).map(global).collect()).await;
        let (_, tested) = tangle.fixture.send(Method::GET, &path, Value::Null).await;
        let why = tested["messages"][0].as_str().unwrap();
        assert!(why.contains("it is not the account `zq-account-far`"), "{why}");
        assert_eq!(why.contains("it is in the group `zq-group-near`"), named, "{why}");
        assert_eq!(why.contains("it is in the group that the binding names"), !named, "{why}");
        let (_, refused) = tangle.fixture.send(Method::POST, "/core/applications/", tie.clone()).await;
        let why = refused["provider"][0].as_str().unwrap();
        assert_eq!(why.contains("have the same provider `zq-provider-near`,"), named, "{why}");
        assert_eq!(why.contains("have the same provider,"), !named, "{why}");
    }
}
