//! Every permission both ways: each row of the table is called through the public door by an account that holds what
//! the row says it needs, and by accounts that lack one thing of it. A row without a sample here fails the test, and so
//! does one whose refusals leave no trace.

use std::cell::RefCell;
use std::collections::HashSet;

use axum::Extension;
use uuid::Uuid;

use super::*;
use crate::auth::{Argon2Parameters, HashPoolSettings, TokenKeys};
use crate::http::api::call::{RequestSource, TakesSecrets};
use crate::http::api::route::Needs;
use crate::http::api::table::routes;
use crate::http::api::{PREFIX, mount};
use crate::model::{Account, Action, Event, GroupNumber, Intent, Key, Origin, Role, TokenNumber};
use crate::registry::EventQuery;
use crate::registry::climb::{PlayedBy, ROWS, Row};
use crate::registry::commands::testing::{new_token, set_origins};

/// How a row of the table is called.
struct Sample {
    method: Method,
    /// As it stands in the table.
    row: &'static str,
    /// With objects of [`Fixture`] between braces, and a query where there is one.
    path: &'static str,
    body: Value,
    /// What the caller must hold besides, because it gives it away.
    also: &'static [&'static str],
    /// The object on which the permissions may be granted instead of globally.
    on: Option<fn(&Fixture) -> ObjectReference>,
    /// Refused to everybody.
    never: bool,
}

/// A directory with one object of each kind, and `robot`, who calls.
pub(super) struct Fixture {
    pub(super) registry: Arc<Registry>,
    pub(super) router: Router,
    pub(super) robot: AccountNumber,
    pub(super) secret: String,
    objects: Vec<(&'static str, String)>,
    /// The refusals that were looked at.
    seen: RefCell<HashSet<Uuid>>,
}

impl Fixture {
    pub(super) async fn new() -> Self {
        Self::with(RegistrySettings::default()).await
    }

    /// With these bounds of the audit trail.
    pub(super) async fn with(settings: RegistrySettings) -> Self {
        let settings = RegistrySettings {
            hashing: HashPoolSettings {
                threads: std::num::NonZeroUsize::new(1),
                niceness: 0,
                parameters: Argon2Parameters::new(8, 1, 1).unwrap(),
                stored_memory_kib_max: 64,
                ..HashPoolSettings::default()
            },
            verified_secrets_max: 64,
            token_keys: TokenKeys::of(1, Some(2)),
            ..settings
        };
        let registry = Registry::open(Arc::new(MemoryStore::new()), settings).unwrap();
        let (_directory, tls) = super::certificates::development();
        let api = |door| Api::new(Arc::clone(&registry), door).with_tls(Some(Arc::clone(&tls)));
        let operator = World {
            registry: Arc::clone(&registry),
            api: api(Door::Local),
            router: router(api(Door::Local)),
        };
        let provider = json!({ "name": "ldap", "base_dn": "dc=example,dc=com", "default": true,
            "authorization_flow": Uuid::nil(), "invalidation_flow": Uuid::nil() });
        let provider = operator.post("/providers/ldap/", provider).await;
        let robot = operator
            .post("/core/users/", json!({ "username": "robot", "name": "Robot", "type": "service_account" }))
            .await;
        let user = operator.post("/core/users/", json!({ "username": "target", "name": "Target" })).await;
        let group = operator.post("/core/groups/", json!({ "name": "target", "users": [user["pk"]] })).await;
        let spare = operator.post("/core/groups/", json!({ "name": "spare" })).await;
        let role = operator.post("/rbac/roles/", json!({ "name": "target" })).await;
        let give = json!({ "permissions": ["view_user"] });
        for path in [
            format!("/rbac/permissions/assigned_by_roles/{}/assign/", text(&role["pk"])),
            format!("/rbac/permissions/assigned_by_groups/{}/assign/", text(&group["pk"])),
            format!("/rbac/permissions/assigned_by_users/{}/assign/", text(&user["pk"])),
        ] {
            let (status, body) = operator.call(Method::POST, &path, give.clone()).await;
            assert_eq!(status, StatusCode::OK, "{path}: {body}");
        }
        let app = json!({ "name": "Target", "slug": "target", "provider": provider["pk"] });
        let application = operator.post("/core/applications/", app).await;
        let binding = json!({ "target": application["pk"], "group": group["pk"], "order": 0 });
        let binding = operator.post("/policies/bindings/", binding).await;
        let token = json!({ "identifier": "target", "user": user["pk"], "intent": "app_password", "retrievable": true });
        operator.post("/core/tokens/", token).await;
        let event = operator.post("/events/events/", json!({ "action": "custom_", "app": "target" })).await;
        let certificate = operator.get("/crypto/certificatekeypairs/").await["results"][0]["pk"].clone();
        let new = new_token("robot-api", "robot", Intent::Api);
        let made = registry.create_token(Actor::named("test"), new).await.unwrap();
        let number = |value: &Value| u32::try_from(value.as_u64().unwrap()).unwrap();
        let robot = AccountNumber::new(number(&robot["pk"]));
        let public = mount(Router::new(), api(Door::Public))
            .layer(Extension(RequestSource(None)))
            .layer(Extension(TakesSecrets(true)));
        // Names, types and some deletions are for who has made an object, whatever else its caller holds.
        let snapshot = registry.snapshot();
        let accounts = snapshot.accounts();
        let own = [
            Key::Account(accounts.account_named("target").unwrap().number),
            Key::Group(accounts.group_named("target").unwrap().number),
            Key::Role(accounts.role_named("target").unwrap().number),
            Key::Token(accounts.token_named("target").unwrap().number),
            Key::Provider(accounts.provider_named("ldap").unwrap().number),
            Key::Application(accounts.application_named("target").unwrap().number),
        ];
        set_origins(&registry, own.to_vec(), Origin::Account(robot)).await;
        Self {
            objects: vec![
                ("user", text(&user["pk"])),
                ("group", text(&group["pk"])),
                ("spare", text(&spare["pk"])),
                ("role", text(&role["pk"])),
                ("token", "target".to_owned()),
                ("provider", text(&provider["pk"])),
                ("application", "target".to_owned()),
                ("application_pk", text(&application["pk"])),
                ("binding", text(&binding["pk"])),
                ("event", text(&event["pk"])),
                ("certificate", text(&certificate)),
                ("robot", robot.get().to_string()),
            ],
            secret: String::from_utf8(made.secret.expose().to_vec()).unwrap(),
            router: public,
            registry,
            robot,
            seen: RefCell::default(),
        }
    }

    /// Makes these the permissions of `robot`.
    pub(super) async fn grant(&self, grants: Vec<Grant>) {
        let robot = self.robot;
        let granted = self.registry.change(Actor::named("test"), move |transaction| {
            let mut account = transaction.account(robot)?.unwrap();
            account.grants = grants;
            transaction.put(Record::Account(account))
        });
        granted.await.unwrap();
    }

    async fn call(&self, sample: &Sample, credential: Option<&str>) -> (StatusCode, Value) {
        self.exchange(&sample.method, sample.path, &sample.body, credential).await
    }

    /// The status and the body of an answer to `robot`.
    pub(super) async fn send(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        self.exchange(&method, path, &body, Some(&self.secret)).await
    }

    async fn exchange(
        &self,
        method: &Method,
        path: &str,
        body: &Value,
        credential: Option<&str>,
    ) -> (StatusCode, Value) {
        let path = format!("{PREFIX}{}", self.filled(path));
        let mut request = Request::builder().method(method).uri(path);
        if let Some(credential) = credential {
            request = request.header(header::AUTHORIZATION, format!("Bearer {credential}"));
        }
        let body = match body {
            Value::Null => Body::empty(),
            body => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(self.filled(&body.to_string()))
            }
        };
        let answer = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let status = answer.status();
        let octets = to_bytes(answer.into_body(), 4 * 1024 * 1024).await.unwrap();
        (status, serde_json::from_slice(&octets).unwrap_or_default())
    }

    /// What stands in the trail of refusals since it was asked last.
    pub(super) async fn denied(&self) -> Vec<Event> {
        let query =
            EventQuery { actions: vec![Action::SuspiciousRequest], limit: 1_000, ..EventQuery::default() };
        let mut events = self.registry.events(query).await.unwrap();
        events.retain(|event| self.seen.borrow_mut().insert(event.uuid));
        events
    }

    fn filled(&self, text: &str) -> String {
        // A number stands without quotes in a body.
        let numbers = ["user", "provider", "robot"];
        self.objects.iter().fold(text.to_owned(), |text, (name, value)| {
            let text = match numbers.contains(name) {
                true => text.replace(&format!("\"<{name}>\""), value),
                false => text,
            };
            text.replace(&format!("<{name}>"), value)
        })
    }

    fn number(&self, name: &str) -> u32 {
        self.objects.iter().find(|(other, _)| *other == name).unwrap().1.parse().unwrap()
    }
}

pub(super) fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

pub(super) fn global(permission: Permission) -> Grant {
    Grant { permission, on: None }
}

fn on_user(fixture: &Fixture) -> ObjectReference {
    ObjectReference::Account(AccountNumber::new(fixture.number("user")))
}

fn on_provider(fixture: &Fixture) -> ObjectReference {
    ObjectReference::Provider(ProviderNumber::new(fixture.number("provider")))
}

fn on_group(fixture: &Fixture) -> ObjectReference {
    let snapshot = fixture.registry.snapshot();
    ObjectReference::Group(snapshot.accounts().group_named("target").unwrap().number)
}

fn on_spare(fixture: &Fixture) -> ObjectReference {
    let snapshot = fixture.registry.snapshot();
    ObjectReference::Group(snapshot.accounts().group_named("spare").unwrap().number)
}

fn on_role(fixture: &Fixture) -> ObjectReference {
    let snapshot = fixture.registry.snapshot();
    ObjectReference::Role(snapshot.accounts().role_named("target").unwrap().number)
}

fn on_token(fixture: &Fixture) -> ObjectReference {
    let snapshot = fixture.registry.snapshot();
    ObjectReference::Token(snapshot.accounts().token_named("target").unwrap().number)
}

fn on_application(fixture: &Fixture) -> ObjectReference {
    let snapshot = fixture.registry.snapshot();
    ObjectReference::Application(snapshot.accounts().application_named("target").unwrap().number)
}

fn sample(method: Method, row: &'static str, path: &'static str) -> Sample {
    Sample { method, row, path, body: Value::Null, also: &[], on: None, never: false }
}

impl Sample {
    fn body(self, body: Value) -> Self {
        Self { body, ..self }
    }

    fn also(self, also: &'static [&'static str]) -> Self {
        Self { also, ..self }
    }

    fn on(self, on: fn(&Fixture) -> ObjectReference) -> Self {
        Self { on: Some(on), ..self }
    }

    fn never(self) -> Self {
        Self { never: true, ..self }
    }

    fn is_list(&self) -> bool {
        self.method == Method::GET && !self.row.contains('{')
    }
}

/// Who may not do something is told nothing of what is wrong with the request, and costs no hash.
#[tokio::test]
async fn rights_are_asked_before_what_a_request_says() {
    let fixture = Fixture::new().await;
    let views = Permission::ALL.iter().copied().filter(|it| it.codename().starts_with("view_"));
    fixture.grant(views.map(global).collect()).await;
    let nil = Uuid::nil();
    let hashes = || fixture.registry.hash_pool().counts().created;
    fixture.send(Method::GET, "/core/users/me/", Value::Null).await;
    let before = hashes();
    for (method, path, body) in [
        (Method::POST, "/core/users/", json!({ "username": "new", "name": "x", "is_superuser": true })),
        (Method::POST, "/core/users/service_account/", json!({ "name": "target" })),
        (Method::POST, "/core/groups/", json!({ "name": "new", "users": [999_999] })),
        (Method::POST, "/core/tokens/", json!({ "identifier": "new", "managed": "x" })),
        (Method::POST, "/rbac/roles/", json!({ "name": "target" })),
        (Method::POST, "/events/events/", json!({ "action": "login", "app": "x" })),
        (
            Method::POST,
            "/core/applications/",
            json!({ "name": "x", "slug": "x", "backchannel_providers": [1] }),
        ),
        (
            Method::POST,
            "/providers/ldap/",
            json!({ "name": "x", "authorization_flow": nil, "invalidation_flow": nil, "tls_server_name": "x" }),
        ),
        (Method::POST, "/policies/bindings/", json!({ "target": nil, "group": nil, "order": 0 })),
        (Method::PATCH, "/core/users/<user>/", json!({ "is_superuser": true })),
        (Method::PATCH, "/core/groups/<group>/", json!({ "users": [999_999] })),
        (Method::PATCH, "/core/tokens/target/", json!({ "managed": "x" })),
        (Method::PATCH, "/rbac/roles/<role>/", json!({ "name": "" })),
        (Method::PATCH, "/core/applications/target/", json!({ "backchannel_providers": [1] })),
        (Method::PATCH, "/providers/ldap/<provider>/", json!({ "tls_server_name": "x" })),
        (Method::PATCH, "/policies/bindings/<binding>/", json!({ "group": nil })),
        (Method::POST, "/core/tokens/target/rotate/", json!({ "overlap": 999_999_999 })),
        (Method::POST, "/core/tokens/target/set_key/", json!({ "key": "x" })),
        (Method::POST, "/core/users/<user>/set_password/", json!({ "password": "x" })),
        (Method::POST, "/core/users/<user>/set_password_hash/", json!({ "password": "x" })),
        (
            Method::POST,
            "/rbac/permissions/assigned_by_roles/<role>/assign/",
            json!({ "permissions": ["no_such"] }),
        ),
    ] {
        let (status, answer) = fixture.send(method.clone(), path, body).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{method} {path}: {answer}");
    }
    // What it says that cannot be read is told, and nothing of what it means: neither that a name is taken, nor that it is not.
    for name in ["target", "new"] {
        let body = json!({ "username": name, "name": "x", "is_active": 3 });
        let (status, answer) = fixture.send(Method::POST, "/core/users/", body).await;
        let told: Vec<&str> = answer.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!((status, told), (StatusCode::BAD_REQUEST, vec!["code", "is_active"]), "{answer}");
    }
    // Half of what makes a service account is not enough for the hash of its secret.
    fixture.grant(vec![global(Permission::AddUser)]).await;
    let (status, answer) =
        fixture.send(Method::POST, "/core/users/service_account/", json!({ "name": "new" })).await;
    assert_eq!((status, hashes()), (StatusCode::FORBIDDEN, before), "{answer}");
}

/// Neither what is shown nor its number tells of grants on what the caller may not view.
#[tokio::test]
async fn hidden_grants_do_not_show_in_the_numbers_of_others() {
    let fixture = Fixture::new().await;
    let role = on_role(&fixture);
    let (user, group, spare) = (on_user(&fixture), on_group(&fixture), on_spare(&fixture));
    let made = fixture.registry.change(Actor::named("test"), move |transaction| {
        let accounts = transaction.snapshot().accounts();
        let role = accounts.role_named("target").unwrap().as_ref().clone();
        let on = |permission, on| Grant { permission, on: Some(on) };
        let hidden = [on(Permission::ViewGroup, group), on(Permission::ViewGroup, spare)];
        let grants = hidden.into_iter().chain([on(Permission::ViewUser, user)]).collect();
        transaction.put(Record::Role(Role { grants, ..role }))
    });
    made.await.unwrap();
    let on = |permission, on| Grant { permission, on: Some(on) };
    fixture.grant(vec![on(Permission::ViewRole, role), on(Permission::ViewUser, user)]).await;
    let (_, page) = fixture.send(Method::GET, "/rbac/permissions/roles/?uuid=<role>", Value::Null).await;
    assert_eq!((&page["pagination"]["count"], &page["results"][0]["id"]), (&json!(1), &json!(1)), "{page}");
    let path = "/rbac/permissions/assigned_by_roles/?model=authentik_core.user";
    let (_, page) = fixture.send(Method::GET, path, Value::Null).await;
    assert_eq!(page["results"][0]["object_permissions"][0]["id"], 1, "{page}");
}

/// A page of groups is too large by the members that it shows, not by those that the caller may not view.
#[tokio::test]
async fn hidden_members_make_no_page_too_large() {
    let fixture = Fixture::new().await;
    let made = fixture.registry.change(Actor::named("test"), |transaction| {
        let numbers: Vec<AccountNumber> = (20_000..21_000).map(AccountNumber::new).collect();
        for number in &numbers {
            transaction.put(Record::Account(plain::account(number.get(), &format!("member{number}"))))?;
        }
        for group in (30_000..30_021).map(GroupNumber::new) {
            transaction.put(Record::Group(plain::group(group.get(), &format!("large{group}"))))?;
            for number in &numbers {
                transaction.set_member(group, *number, true)?;
            }
        }
        Ok(())
    });
    made.await.unwrap();
    let page = "/core/groups/?page_size=100";
    fixture.grant(vec![global(Permission::ViewGroup)]).await;
    let (status, answer) = fixture.send(Method::GET, page, Value::Null).await;
    assert_eq!((status, &answer["pagination"]["count"]), (StatusCode::OK, &json!(23)), "{answer}");
    fixture.grant([Permission::ViewGroup, Permission::ViewUser].map(global).to_vec()).await;
    let (status, answer) = fixture.send(Method::GET, page, Value::Null).await;
    assert_eq!((status, answer["include_users"].is_array()), (StatusCode::BAD_REQUEST, true));
}

/// Of two calls that exchange one secret at a time one is refused, as the document says.
#[tokio::test]
async fn a_secret_is_exchanged_by_one_call_at_a_time() {
    let fixture = Fixture::new().await;
    let may = [Permission::SetTokenKey, Permission::ViewToken, Permission::ViewUser];
    fixture.grant(may.map(global).to_vec()).await;
    // Who calls is known by then.
    fixture.send(Method::GET, "/core/users/me/", Value::Null).await;
    let rotate = || fixture.send(Method::POST, "/core/tokens/target/rotate/", json!({}));
    let mut is_refused = false;
    // On a busy machine one may have ended before the other has begun.
    for _ in 0..50 {
        let ((one, told), (two, more)) = tokio::join!(rotate(), rotate());
        is_refused = one.max(two) == StatusCode::CONFLICT;
        assert!(one.min(two) == StatusCode::OK && (is_refused || one == two), "{told} {more}");
        if is_refused {
            break;
        }
    }
    assert!(is_refused);
    let document: Value = serde_json::from_slice(&crate::http::api::openapi::written(&routes())).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let responses = |path: &str, method: &str| &paths[path][method]["responses"]["409"];
    for (path, method) in
        [("rotate/", "post"), ("set_key/", "post"), ("view_key/", "get"), ("", "patch"), ("", "put")]
    {
        let path = format!("{PREFIX}/core/tokens/{{identifier}}/{path}");
        assert!(responses(&path, method).is_object(), "{method} {path}");
    }
    assert!(responses(&format!("{PREFIX}/core/users/"), "post").is_null());
}

/// What thousands hold is taken from them a part at a time, and all of it by who has the right to from it.
#[tokio::test]
async fn what_many_hold_is_deleted_in_parts() {
    const HOLDERS: u32 = 1_100;
    let fixture = Fixture::new().await;
    let registry = &fixture.registry;
    let robot = fixture.robot;
    let may = ["view_role", "delete_role", "view_group", "delete_group"];
    let made = registry.change(Actor::named("test"), move |transaction| {
        let accounts = transaction.snapshot().accounts();
        let role = accounts.role_named("target").unwrap().as_ref().clone();
        let groups = ["spare", "target"].map(|name| accounts.group_named(name).unwrap().number);
        for number in (20_000..20_000 + HOLDERS).map(AccountNumber::new) {
            let holder = plain::account(number.get(), &format!("holder{number}"));
            transaction.put(Record::Account(Account { roles: vec![role.number], ..holder }))?;
            for group in groups {
                transaction.set_member(group, number, true)?;
            }
        }
        let own = transaction.account(robot)?.unwrap();
        transaction.put(Record::Account(Account { roles: vec![role.number], ..own }))?;
        let grants = may.map(|name| global(name.parse().unwrap())).to_vec();
        transaction.put(Record::Role(Role { grants, ..role }))
    });
    made.await.unwrap();
    let revision = || registry.snapshot().revision();
    let members = |name: &str| registry.snapshot().accounts().group_named(name).map(|it| it.member_count());
    let deleted = async |path: &str| {
        let before = revision();
        let (status, answer) = fixture.send(Method::DELETE, path, Value::Null).await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{path}: {answer}");
        assert!(revision() >= before + 3, "{path}");
    };
    // What is refused at the end is refused before anybody has left.
    fixture.grant([Permission::ViewUser].map(global).to_vec()).await;
    let before = members("target");
    let (status, answer) = fixture.send(Method::DELETE, "/core/groups/<group>/", Value::Null).await;
    assert_eq!((status, members("target")), (StatusCode::FORBIDDEN, before), "{answer}");
    assert!(answer["detail"].as_str().unwrap().contains("delete the binding first"), "{answer}");
    deleted("/core/groups/<spare>/").await;
    assert_eq!(members("spare"), None);
    deleted("/rbac/roles/<role>/").await;
    let snapshot = registry.snapshot();
    assert!(snapshot.accounts().role_named("target").is_none());
    assert!(snapshot.accounts().accounts().all(|account| account.roles.is_empty()));
}

fn samples() -> Vec<Sample> {
    let get = |row, path| sample(Method::GET, row, path);
    let post = |row, path| sample(Method::POST, row, path);
    let put = |row, path| sample(Method::PUT, row, path);
    let patch = |row, path| sample(Method::PATCH, row, path);
    let delete = |row, path| sample(Method::DELETE, row, path);
    let nil = Uuid::nil();
    let provider = json!({ "name": "other", "base_dn": "dc=other", "authorization_flow": nil, "invalidation_flow": nil });
    let same_provider = json!({ "name": "ldap", "base_dn": "dc=example,dc=com", "authorization_flow": nil, "invalidation_flow": nil });
    let binding = json!({ "target": "<application_pk>", "user": "<user>", "order": 1 });
    let give = json!({ "permissions": ["view_user"] });
    vec![
        get("/core/users/", "/core/users/?username=target").on(on_user),
        post("/core/users/", "/core/users/").body(json!({ "username": "new", "name": "New" })),
        post("/core/users/service_account/", "/core/users/service_account/").body(json!({ "name": "new" })),
        get("/core/users/me/", "/core/users/me/"),
        get("/core/users/paths/", "/core/users/paths/"),
        get("/core/users/{id}/", "/core/users/<user>/").on(on_user),
        put("/core/users/{id}/", "/core/users/<user>/")
            .body(json!({ "username": "target", "name": "x" }))
            .also(&["view_user"])
            .on(on_user),
        patch("/core/users/{id}/", "/core/users/<user>/")
            .body(json!({ "name": "x" }))
            .also(&["view_user"])
            .on(on_user),
        delete("/core/users/{id}/", "/core/users/<user>/").also(&["view_user"]).on(on_user),
        post("/core/users/{id}/set_password/", "/core/users/<user>/set_password/")
            .body(json!({ "password": "a good one" }))
            .also(&["view_user"])
            .on(on_user),
        post("/core/users/{id}/set_password_hash/", "/core/users/<user>/set_password_hash/")
            .body(json!({ "password": "{SSHA}0c0blFTXXNuAMHECS4uxrj3ZieMoWImr" }))
            .also(&["view_user"])
            .on(on_user),
        get("/core/users/{id}/pauses/", "/core/users/<user>/pauses/").on(on_user),
        post("/core/users/{id}/unlock/", "/core/users/<user>/unlock/").also(&["view_user"]).on(on_user),
        get("/core/users/{id}/used_by/", "/core/users/<user>/used_by/").on(on_user),
        get("/core/groups/", "/core/groups/?name=target").on(on_group),
        post("/core/groups/", "/core/groups/").body(json!({ "name": "new" })),
        get("/core/groups/{group_uuid}/", "/core/groups/<group>/").on(on_group),
        put("/core/groups/{group_uuid}/", "/core/groups/<group>/")
            .body(json!({ "name": "other" }))
            .also(&["view_user"])
            .on(on_group),
        patch("/core/groups/{group_uuid}/", "/core/groups/<group>/")
            .body(json!({ "name": "other" }))
            .also(&["view_user"])
            .on(on_group),
        delete("/core/groups/{group_uuid}/", "/core/groups/<spare>/").on(on_spare),
        post("/core/groups/{group_uuid}/add_user/", "/core/groups/<group>/add_user/")
            .body(json!({ "pk": "<robot>" }))
            .also(&["view_user"])
            .on(on_group),
        post("/core/groups/{group_uuid}/remove_user/", "/core/groups/<group>/remove_user/")
            .body(json!({ "pk": "<user>" }))
            .also(&["view_user"])
            .on(on_group),
        get("/core/groups/{group_uuid}/used_by/", "/core/groups/<group>/used_by/").on(on_group),
        get("/core/tokens/", "/core/tokens/?identifier=target").on(on_token),
        post("/core/tokens/", "/core/tokens/").body(json!({ "identifier": "new" })),
        get("/core/tokens/{identifier}/", "/core/tokens/<token>/").on(on_token),
        put("/core/tokens/{identifier}/", "/core/tokens/<token>/")
            .body(json!({ "identifier": "other" }))
            .also(&["view_user"])
            .on(on_token),
        patch("/core/tokens/{identifier}/", "/core/tokens/<token>/")
            .body(json!({ "description": "x" }))
            .also(&["view_user"])
            .on(on_token),
        delete("/core/tokens/{identifier}/", "/core/tokens/<token>/").on(on_token),
        get("/core/tokens/{identifier}/view_key/", "/core/tokens/<token>/view_key/")
            .also(&["view_user"])
            .on(on_token),
        post("/core/tokens/{identifier}/set_key/", "/core/tokens/<token>/set_key/")
            .body(json!({ "key": "a secret of one's own that is long" }))
            .also(&["view_user"])
            .on(on_token),
        post("/core/tokens/{identifier}/rotate/", "/core/tokens/<token>/rotate/")
            .body(json!({}))
            .also(&["view_user"])
            .on(on_token),
        get("/core/tokens/{identifier}/used_by/", "/core/tokens/<token>/used_by/").on(on_token),
        get("/rbac/roles/", "/rbac/roles/?name=target").on(on_role),
        post("/rbac/roles/", "/rbac/roles/").body(json!({ "name": "new" })),
        get("/rbac/roles/{uuid}/", "/rbac/roles/<role>/").on(on_role),
        put("/rbac/roles/{uuid}/", "/rbac/roles/<role>/")
            .body(json!({ "name": "other" }))
            .also(&["view_user"])
            .on(on_role),
        patch("/rbac/roles/{uuid}/", "/rbac/roles/<role>/")
            .body(json!({ "name": "other" }))
            .also(&["view_user"])
            .on(on_role),
        delete("/rbac/roles/{uuid}/", "/rbac/roles/<role>/").also(&["view_user"]).on(on_role),
        post("/rbac/roles/{uuid}/add_user/", "/rbac/roles/<role>/add_user/")
            .body(json!({ "pk": "<robot>" }))
            .also(&["view_user"])
            .on(on_role),
        post("/rbac/roles/{uuid}/remove_user/", "/rbac/roles/<role>/remove_user/")
            .body(json!({ "pk": "<user>" }))
            .also(&["view_user"])
            .on(on_role),
        get("/rbac/roles/{uuid}/used_by/", "/rbac/roles/<role>/used_by/").on(on_role),
        get("/rbac/permissions/", "/rbac/permissions/"),
        get("/rbac/permissions/{id}/", "/rbac/permissions/1/"),
        get("/rbac/permissions/roles/", "/rbac/permissions/roles/?uuid=<role>").on(on_role),
        get(
            "/rbac/permissions/assigned_by_roles/",
            "/rbac/permissions/assigned_by_roles/?model=authentik_core.user",
        )
        .on(on_role),
        post(
            "/rbac/permissions/assigned_by_roles/{uuid}/assign/",
            "/rbac/permissions/assigned_by_roles/<role>/assign/",
        )
        .body(give.clone())
        .also(&["view_user"])
        .on(on_role),
        patch(
            "/rbac/permissions/assigned_by_roles/{uuid}/unassign/",
            "/rbac/permissions/assigned_by_roles/<role>/unassign/",
        )
        .body(give.clone())
        .also(&["view_user"])
        .on(on_role),
        get(
            "/rbac/permissions/assigned_by_groups/",
            "/rbac/permissions/assigned_by_groups/?model=authentik_core.user",
        )
        .on(on_group),
        post(
            "/rbac/permissions/assigned_by_groups/{uuid}/assign/",
            "/rbac/permissions/assigned_by_groups/<group>/assign/",
        )
        .body(give.clone())
        .also(&["view_user"]),
        patch(
            "/rbac/permissions/assigned_by_groups/{uuid}/unassign/",
            "/rbac/permissions/assigned_by_groups/<group>/unassign/",
        )
        .body(give.clone())
        .also(&["view_user"]),
        get(
            "/rbac/permissions/assigned_by_users/",
            "/rbac/permissions/assigned_by_users/?model=authentik_core.user&search=target",
        )
        .on(on_user),
        post(
            "/rbac/permissions/assigned_by_users/{id}/assign/",
            "/rbac/permissions/assigned_by_users/<user>/assign/",
        )
        .body(give.clone())
        .also(&["view_user"]),
        patch(
            "/rbac/permissions/assigned_by_users/{id}/unassign/",
            "/rbac/permissions/assigned_by_users/<user>/unassign/",
        )
        .body(give)
        .also(&["view_user"]),
        get("/events/events/", "/events/events/?username=robot"),
        post("/events/events/", "/events/events/").body(json!({ "action": "custom_", "app": "x" })),
        get("/events/events/actions/", "/events/events/actions/"),
        get("/events/events/volume/", "/events/events/volume/"),
        get("/events/events/top_per_user/", "/events/events/top_per_user/"),
        get("/events/events/stats/", "/events/events/stats/?count_steps=hours=24"),
        get("/events/events/{event_uuid}/", "/events/events/<event>/"),
        get("/core/applications/", "/core/applications/?slug=target").on(on_application),
        post("/core/applications/", "/core/applications/").body(json!({ "name": "New", "slug": "new" })),
        get("/core/applications/{slug}/", "/core/applications/<application>/").on(on_application),
        put("/core/applications/{slug}/", "/core/applications/<application>/")
            .body(json!({ "name": "x", "slug": "target" }))
            .on(on_application),
        patch("/core/applications/{slug}/", "/core/applications/<application>/")
            .body(json!({ "name": "x" }))
            .on(on_application),
        delete("/core/applications/{slug}/", "/core/applications/<application>/").on(on_application),
        get("/core/applications/{slug}/check_access/", "/core/applications/<application>/check_access/")
            .on(on_application),
        get("/core/applications/{slug}/used_by/", "/core/applications/<application>/used_by/")
            .on(on_application),
        get("/policies/bindings/", "/policies/bindings/"),
        post("/policies/bindings/", "/policies/bindings/")
            .body(binding.clone())
            .also(&["view_user", "view_application"]),
        get("/policies/bindings/{policy_binding_uuid}/", "/policies/bindings/<binding>/"),
        put("/policies/bindings/{policy_binding_uuid}/", "/policies/bindings/<binding>/")
            .body(binding)
            .also(&["view_user", "view_application"]),
        patch("/policies/bindings/{policy_binding_uuid}/", "/policies/bindings/<binding>/")
            .body(json!({ "order": 3 })),
        delete("/policies/bindings/{policy_binding_uuid}/", "/policies/bindings/<binding>/"),
        get("/policies/bindings/{policy_binding_uuid}/used_by/", "/policies/bindings/<binding>/used_by/"),
        get("/providers/all/", "/providers/all/").on(on_provider),
        get("/providers/all/types/", "/providers/all/types/"),
        get("/providers/all/{id}/", "/providers/all/<provider>/").on(on_provider),
        delete("/providers/all/{id}/", "/providers/all/<provider>/").on(on_provider),
        get("/providers/all/{id}/used_by/", "/providers/all/<provider>/used_by/").on(on_provider),
        get("/providers/ldap/", "/providers/ldap/").on(on_provider),
        post("/providers/ldap/", "/providers/ldap/").body(provider),
        get("/providers/ldap/{id}/", "/providers/ldap/<provider>/").on(on_provider),
        put("/providers/ldap/{id}/", "/providers/ldap/<provider>/").body(same_provider).on(on_provider),
        patch("/providers/ldap/{id}/", "/providers/ldap/<provider>/")
            .body(json!({ "name": "x" }))
            .on(on_provider),
        delete("/providers/ldap/{id}/", "/providers/ldap/<provider>/").on(on_provider),
        get("/providers/ldap/{id}/used_by/", "/providers/ldap/<provider>/used_by/").on(on_provider),
        get("/outposts/ldap/", "/outposts/ldap/"),
        get("/outposts/ldap/{id}/check_access/", "/outposts/ldap/<provider>/check_access/?app_slug=target"),
        get("/crypto/certificatekeypairs/", "/crypto/certificatekeypairs/"),
        get("/crypto/certificatekeypairs/{kp_uuid}/", "/crypto/certificatekeypairs/<certificate>/"),
        get(
            "/crypto/certificatekeypairs/{kp_uuid}/view_certificate/",
            "/crypto/certificatekeypairs/<certificate>/view_certificate/",
        ),
        get(
            "/crypto/certificatekeypairs/{kp_uuid}/view_private_key/",
            "/crypto/certificatekeypairs/<certificate>/view_private_key/",
        )
        .never(),
        get(
            "/crypto/certificatekeypairs/{kp_uuid}/used_by/",
            "/crypto/certificatekeypairs/<certificate>/used_by/",
        ),
        get("/admin/version/", "/admin/version/"),
        get("/admin/version/history/", "/admin/version/history/"),
        get("/admin/system/", "/admin/system/"),
        get("/root/config/", "/root/config/"),
    ]
}

/// A detail of an event.
pub(super) fn told<'a>(event: &'a Event, name: &str) -> Option<&'a str> {
    event.details.iter().find(|detail| detail.name == name).map(|detail| detail.value.as_str())
}

/// How many items an answer shows; one that is no list is itself one.
fn shown(body: &Value) -> usize {
    let list = body.get("results").and_then(Value::as_array).or_else(|| body.as_array());
    list.map_or(1, Vec::len)
}

#[tokio::test]
async fn each_row_does_what_its_permissions_say_and_nothing_without_one_of_them() {
    let samples = samples();
    for sample in &samples {
        let is_row = |route: &&crate::http::api::route::Route| {
            route.method == sample.method && route.path == sample.row
        };
        assert!(routes().iter().any(|route| is_row(&route)), "{} {} is no row", sample.method, sample.row);
    }
    for route in routes() {
        let is_of_row = |sample: &&Sample| sample.method == route.method && sample.row == route.path;
        let sample = samples.iter().find(is_of_row);
        let sample = sample.unwrap_or_else(|| panic!("{} {} has no sample", route.method, route.path));
        check(sample, route.needs, route.status).await;
    }
}

/// Whoever adds a row says how the random game plays it, or why nobody can get more by it.
#[test]
fn each_row_that_changes_something_is_played_by_the_random_game() {
    let is_row = |row: &&Row, route: &crate::http::api::route::Route| {
        route.method.as_str() == row.method && route.path == row.path
    };
    for route in routes() {
        let row = ROWS.iter().find(|row| is_row(row, &route));
        let reads = route.method == Method::GET;
        assert!(reads || row.is_some(), "{} {} has no row in the game", route.method, route.path);
        if let Some(row) = row {
            assert_eq!(row.is_told, route.is_told, "{} {}", route.method, route.path);
        }
    }
    for row in ROWS {
        assert!(routes().iter().any(|route| is_row(&row, route)), "{} {} is no row", row.method, row.path);
        if let PlayedBy::CannotMatter(reason) = row.played {
            assert!(!reason.is_empty(), "{} {}", row.method, row.path);
        }
    }
}

async fn check(sample: &Sample, needs: Needs, status: StatusCode) {
    let title = format!("{} {}", sample.method, sample.path);
    let also: Vec<Grant> = sample.also.iter().map(|name| global(name.parse().unwrap())).collect();
    let Needs::All(permissions) = needs else {
        let fixture = Fixture::new().await;
        let (got, body) = fixture.call(sample, None).await;
        match needs {
            Needs::Nothing => assert_eq!(got, status, "{title}: {body}"),
            _ => assert_eq!(got, StatusCode::UNAUTHORIZED, "{title}: {body}"),
        }
        let (got, body) = fixture.call(sample, Some(&fixture.secret)).await;
        assert_eq!(got, status, "{title}: {body}");
        assert_eq!(fixture.denied().await, [], "{title}");
        return;
    };
    assert!(!permissions.is_empty(), "{title} says nothing of what it needs");
    let allowed = |got: StatusCode| match sample.never {
        true => got == StatusCode::FORBIDDEN,
        false => got == status,
    };
    let fixture = Fixture::new().await;
    // Of a list, who lacks something sees less.
    let all = match sample.is_list() {
        true => {
            fixture.grant(permissions.iter().copied().map(global).collect()).await;
            shown(&fixture.call(sample, Some(&fixture.secret)).await.1)
        }
        false => 0,
    };
    let refused = |got: StatusCode, body: &Value| match got {
        StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => true,
        // What a list is about is not there for who may not view it.
        StatusCode::BAD_REQUEST => sample.is_list(),
        got => sample.is_list() && got == StatusCode::OK && shown(body) < all,
    };

    // Of who calls there is one trace of each refusal, of what a list leaves out none.
    let trace = async |fixture: &Fixture, got: StatusCode| {
        let events = fixture.denied().await;
        assert_eq!(events.len(), usize::from(got.is_client_error()), "{title}: {got} {events:#?}");
        events.into_iter().next().map(|event| {
            let Event { actor, count, object_kind, object_name, .. } = &event;
            assert_eq!((actor.account.as_str(), actor.number), ("robot", Some(fixture.robot)), "{title}");
            assert_eq!((actor.token.as_deref(), *count), (Some("robot-api"), 1), "{title}");
            let resource = format!("{PREFIX}{}", sample.row);
            assert_eq!(told(&event, "method"), Some(sample.method.as_str()), "{title}");
            assert_eq!(told(&event, "resource"), Some(resource.as_str()), "{title}");
            assert_eq!(
                (object_kind.as_str(), object_name),
                ("api", &format!("{} {resource}", sample.method))
            );
            told(&event, "missing").unwrap_or_default().to_owned()
        })
    };

    for (credential, told) in [(None, "without a token"), (Some("bindery_api_none"), "with a wrong token")] {
        let (got, body) = fixture.call(sample, credential).await;
        assert_eq!(got, StatusCode::UNAUTHORIZED, "{title} {told}: {body}");
    }
    assert_eq!(fixture.denied().await, [], "{title}");
    for missing in permissions {
        let held = permissions.iter().filter(|permission| *permission != missing).map(|held| global(*held));
        let besides = also.iter().copied().filter(|grant| grant.permission != *missing);
        fixture.grant(held.chain(besides).collect()).await;
        let (got, body) = fixture.call(sample, Some(&fixture.secret)).await;
        assert!(refused(got, &body), "{title} without {missing}: {got} {body}");
        if let Some(told) = trace(&fixture, got).await {
            assert_eq!(told, missing.codename(), "{title}");
        }
    }
    fixture.grant(permissions.iter().copied().map(global).chain(also.iter().copied()).collect()).await;
    let (got, body) = fixture.call(sample, Some(&fixture.secret)).await;
    assert!(allowed(got), "{title} with {permissions:?}: {got} {body}");
    // What nobody may leaves one that says so.
    assert_eq!(trace(&fixture, got).await, sample.never.then(String::new), "{title}");

    let Some(on) = sample.on else { return };
    // On the one object, and on another one.
    let fixture = Fixture::new().await;
    let there = on(&fixture);
    let elsewhere = match there {
        ObjectReference::Account(_) => ObjectReference::Account(AccountNumber::new(9_999)),
        ObjectReference::Group(_) => ObjectReference::Group(crate::model::GroupNumber::new(9_999)),
        ObjectReference::Role(_) => ObjectReference::Role(crate::model::RoleNumber::new(9_999)),
        ObjectReference::Token(_) => ObjectReference::Token(TokenNumber::new(9_999)),
        ObjectReference::Application(_) => ObjectReference::Application(ApplicationNumber::new(9_999)),
        ObjectReference::Provider(_) => ObjectReference::Provider(ProviderNumber::new(9_999)),
    };
    let on_object = |on: ObjectReference| {
        let granted =
            permissions.iter().map(move |permission| Grant { permission: *permission, on: Some(on) });
        granted.chain(also.iter().copied().filter(|grant| !permissions.contains(&grant.permission))).collect()
    };
    fixture.grant(on_object(elsewhere)).await;
    let (got, body) = fixture.call(sample, Some(&fixture.secret)).await;
    assert!(refused(got, &body), "{title} with {permissions:?} on another object: {got} {body}");
    if let Some(told) = trace(&fixture, got).await {
        assert!(permissions.iter().any(|permission| permission.codename() == told), "{title}: {told}");
    }
    fixture.grant(on_object(there)).await;
    let (got, body) = fixture.call(sample, Some(&fixture.secret)).await;
    assert!(allowed(got), "{title} with {permissions:?} on the object: {got} {body}");
    trace(&fixture, got).await;
}
