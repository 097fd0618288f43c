//! The rules that hold for all objects, each by every door: a rule without a row for a door fails, and so does a row whose
//! door does not say what it should.

use std::os::unix::fs::PermissionsExt as _;

use axum::Extension;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::auth::{Argon2Parameters, HashPoolSettings, TokenKeys};
use crate::http::api::call::{RequestSource, TakesSecrets};
use crate::http::api::{PREFIX, mount};
use crate::ldif::LdifReader;
use crate::model::{Intent, Timestamp, Usage, UsageOf};
use crate::registry::commands::testing::{apply_with, new_token, wait};
use crate::registry::commands::{SeedOptions, SeedPlan};
use crate::registry::{Classified, Classifier, ImportEntry, ImportOptions, ImportReport, Rules};

/// By which way somebody says something of an object. The command is the local socket's API, called as the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Config,
    Api,
    Command,
    Import,
}

const DOORS: [Door; 4] = [Door::Config, Door::Api, Door::Command, Door::Import];

const CIRCLES: &str = "groups in each other";
const SELF: &str = "a group in itself";
const ABOVE: &str = "groups above one";
const CONTAINERS: &str = "containers of a provider";
const LENGTH: &str = "octets of a container";
const SPELLING: &str = "the canonical spelling of a container";
const BLANKS: &str = "names with blanks at their ends";
const EMPTY: &str = "empty names";
const UNSEEN: &str = "names with characters that nobody sees";
const OF_LDIF: &str = "attribute types whose name is a word of LDIF";
const SLUGS: &str = "slugs";
const DOMAINS: &str = "domains";
const MAIL: &str = "the form of a mail address";
const WRONG_KIND: &str = "a permission on an object of a kind that it is not for";
const PASSED: &str = "an expiry that has passed";
const RELATIVE: &str = "a relative expiry that was changed";
const APP_PASSWORD: &str = "an app password that somebody chose";
const PASSWORD: &str = "a person's password";
const LONG: &str = "a secret longer than a bind takes";
const LINES: &str = "a secret of two lines";
const NUL: &str = "a secret with a NUL";
const API_SECRET: &str = "the secret of an API token that somebody chose";
const FILES: &str = "a file of a secret";
const REPLACED: &str = "what a replaced token may still be changed in";
const REVOKED: &str = "revoking behind a rotation";
const KEPT: &str = "revoking but for what was replaced";
const LAST_USED: &str = "the application of the last use";
const SHUT_OUT: &str = "who loses access to an application";
const SHORTENED: &str = "a relative expiry that has passed by now";
const NUMBERS: &str = "numbers of system accounts";
const VALUES: &str = "values of one attribute";
const DELETED: &str = "names of deleted things";
const NAMING: &str = "what entries are named by";

const RULES: [&str; 33] = [
    CIRCLES,
    SELF,
    ABOVE,
    CONTAINERS,
    LENGTH,
    SPELLING,
    BLANKS,
    EMPTY,
    UNSEEN,
    OF_LDIF,
    SLUGS,
    DOMAINS,
    MAIL,
    WRONG_KIND,
    PASSED,
    RELATIVE,
    APP_PASSWORD,
    PASSWORD,
    LONG,
    LINES,
    NUL,
    API_SECRET,
    FILES,
    REPLACED,
    REVOKED,
    KEPT,
    LAST_USED,
    SHUT_OUT,
    SHORTENED,
    NUMBERS,
    VALUES,
    DELETED,
    NAMING,
];

/// What is done at a door.
enum Case {
    /// Configs are applied one after the other, and before the last, which is looked at, the operator calls.
    Config(Vec<String>, Vec<Said>),
    /// A config is applied, and another one a day later.
    Later(String, String),
    /// The operator calls, then whoever stands at the door; what that is answered is looked at.
    Calls(Vec<Said>, Vec<Said>),
    /// The operator calls, tokens were used for an application or for none, and then whoever stands at the door calls.
    Used(Vec<Said>, Vec<(&'static str, Option<&'static str>)>, Vec<Said>),
    /// The operator calls, containers of people are added, and a file is imported.
    Import(Vec<Said>, Vec<&'static str>, String),
    /// Why nothing can be said by this door that the rule is about.
    NotReachable(&'static str),
}

pub(super) type Said = (Method, &'static str, Value);

/// A rule at a door, and what is said there.
struct Row {
    rule: &'static str,
    door: Door,
    case: Case,
    words: &'static str,
}

#[test]
fn every_rule_is_kept_by_every_door() {
    let rows = rows();
    for rule in RULES {
        for door in DOORS {
            let count = rows.iter().filter(|row| row.rule == rule && row.door == door).count();
            assert_eq!(count, 1, "{rule} by {door:?}");
        }
    }
    assert_eq!(rows.len(), RULES.len() * DOORS.len(), "each row is of a rule of the list");
    let mut wrong = Vec::new();
    for Row { rule, door, case, words } in rows {
        if let Some(outcome) = Doors::new().outcome(door, case)
            && !is_said(&outcome, words)
        {
            wrong.push(format!("{rule} by {door:?}: expected {words:?} in {outcome}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A store may have groups in more than there can be by now: they are nested less deeply, not more.
#[test]
fn groups_in_too_many_already_are_nested_no_deeper() {
    let store = Arc::new(MemoryStore::new());
    let open = |groups_above_max| {
        let settings = RegistrySettings {
            rules: Rules { groups_above_max, ..Rules::default() },
            ..RegistrySettings::default()
        };
        let registry = Registry::open(store.clone(), settings).unwrap();
        let api = Api::new(Arc::clone(&registry), super::Door::Local);
        World { registry, router: router(api.clone()), api }
    };
    let world = open(10);
    let mut parents = json!([]);
    let mut pks = Vec::new();
    for name in ["a", "b", "c", "d", "e", "top", "other"] {
        if name == "top" {
            parents = json!([]);
        }
        let made = wait(world.post("/core/groups/", json!({ "name": name, "parents": parents })));
        parents = json!([made["pk"]]);
        pks.push(made["pk"].as_str().unwrap().to_owned());
    }
    world.registry.close();
    let world = open(3);
    let path = |place: usize| format!("/core/groups/{}/", pks[place]);
    let nest = |place: usize, above: &[usize]| {
        let parents: Vec<&String> = above.iter().map(|place| &pks[*place]).collect();
        wait(world.status(Method::PATCH, &path(place), json!({ "parents": parents })))
    };
    // `a` is above `b` and so on down to `e`, which is in five: no more of them, wherever it is put in.
    for (place, above) in [(0, &[5][..]), (0, &[6][..]), (3, &[2, 5][..]), (4, &[3, 5][..])] {
        assert_eq!(nest(place, above), StatusCode::BAD_REQUEST, "{place} in {above:?}");
    }
    let said = wait(world.status(Method::POST, "/core/groups/", json!({ "name": "f", "parents": [pks[4]] })));
    assert_eq!(said, StatusCode::BAD_REQUEST);
    // What changes nothing of it, or makes it less, is done.
    wait(world.patch(&path(4), json!({ "name": "e2", "parents": [pks[3]] })));
    assert_eq!(nest(4, &[2]), StatusCode::OK);
    assert_eq!(nest(4, &[]), StatusCode::OK);
}

/// Whether an outcome has the words, of which those behind a `…` come later.
fn is_said(outcome: &str, words: &str) -> bool {
    let mut rest = Some(outcome);
    for part in words.split('…') {
        rest = rest.and_then(|rest| rest.split_once(part)).map(|(_, rest)| rest);
    }
    rest.is_some()
}

/// A directory with one provider, its config, and `robot`, who may do everything over the API but what needs a superuser.
pub(super) struct Doors {
    pub(super) operator: World,
    public: Router,
    pub(super) secret: String,
    files: tempfile::TempDir,
}

impl Doors {
    pub(super) fn new() -> Self {
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
            rules: Rules {
                attribute_values_max: 3,
                groups_above_max: 3,
                containers_max: 2,
                container_length_max: 64,
                ..Rules::default()
            },
            ..RegistrySettings::default()
        };
        let registry = Registry::open(Arc::new(MemoryStore::new()), settings).unwrap();
        let api = |door| Api::new(Arc::clone(&registry), door);
        let operator = World {
            registry: Arc::clone(&registry),
            api: api(super::Door::Local),
            router: router(api(super::Door::Local)),
        };
        let public = mount(Router::new(), api(super::Door::Public))
            .layer(Extension(RequestSource(None)))
            .layer(Extension(TakesSecrets(true)));
        let files = tempfile::tempdir().unwrap();
        let mut doors = Self { operator, public, secret: String::new(), files };
        assert!(doors.config("").is_ok());
        let robot = json!({ "username": "robot", "name": "Robot", "type": "service_account" });
        let robot = wait(doors.operator.post("/core/users/", robot));
        let new = new_token("robot-api", "robot", Intent::Api);
        let made = wait(registry.create_token(Actor::named("test"), new)).unwrap();
        doors.secret = String::from_utf8(made.secret.expose().to_vec()).unwrap();
        let robot = AccountNumber::new(number(&robot["pk"]));
        let grants = Permission::ALL.iter().map(|&permission| Grant { permission, on: None }).collect();
        let granted = registry.change(Actor::named("test"), move |transaction| {
            let mut account = transaction.account(robot)?.unwrap();
            account.grants = grants;
            transaction.put(Record::Account(account))
        });
        wait(granted).unwrap();
        doors
    }

    /// What a door says; `None`: nothing can be said there.
    fn outcome(&self, door: Door, case: Case) -> Option<String> {
        Some(match case {
            Case::NotReachable(reason) => {
                assert!(!reason.is_empty());
                return None;
            }
            Case::Config(mut texts, calls) => {
                let last = texts.pop().unwrap();
                texts.iter().for_each(|text| drop(self.config(text).unwrap()));
                self.prepare(&calls);
                self.config(&last).unwrap_or_else(|refusal| refusal)
            }
            Case::Later(first, second) => {
                self.config(&first).unwrap();
                self.grow_older();
                let told = self.config(&second).unwrap_or_else(|refusal| refusal);
                let snapshot = self.operator.registry.snapshot();
                let expires = snapshot.accounts().token_named("t").unwrap().expires.unwrap();
                let now = Timestamp::now().unix_seconds();
                format!("{told} expires in {} days", (expires.unix_seconds() - now + 60) / 86_400)
            }
            Case::Used(before, uses, calls) => {
                self.prepare(&before);
                uses.into_iter().for_each(|(token, application)| self.used(token, application));
                return self.outcome(door, Case::Calls(Vec::new(), calls));
            }
            Case::Calls(before, calls) => {
                self.prepare(&before);
                let answers = calls.iter().map(|said| match door {
                    Door::Api => self.robot(said).1,
                    _ => self.operator_says(said).1,
                });
                answers.collect()
            }
            Case::Import(before, users, ldif) => {
                self.prepare(&before);
                self.import(&users, &ldif)
            }
        })
    }

    /// Lets the token of the config be a day old.
    fn grow_older(&self) {
        let done = self.operator.registry.change(Actor::named("test"), |transaction| {
            let mut token =
                crate::model::Token::clone(transaction.snapshot().accounts().token_named("t").unwrap());
            let earlier = |time: Timestamp| Timestamp::from_unix_seconds(time.unix_seconds() - 86_400);
            (token.created, token.renewed) = (earlier(token.created), earlier(token.renewed));
            token.expires = token.expires.map(earlier);
            transaction.put(Record::Token(token))
        });
        wait(done).unwrap();
    }

    /// Notes a use of a token, as it is kept.
    fn used(&self, token: &str, application: Option<&str>) {
        let registry = &self.operator.registry;
        let token = registry.snapshot().accounts().token_named(token).unwrap().number;
        let application = application.map(str::to_owned);
        let usage = Usage { time: Timestamp::now(), application, ..plain::usage(UsageOf::Token(token)) };
        wait(registry.change(Actor::named("test"), move |transaction| transaction.put(Record::Usage(usage))))
            .unwrap();
    }

    /// A call of `robot`.
    pub(super) fn robot(&self, said: &Said) -> (StatusCode, String) {
        self.call(&self.public, Some(&self.secret), PREFIX, said)
    }

    /// A call of the operator.
    pub(super) fn operator_says(&self, said: &Said) -> (StatusCode, String) {
        self.call(&self.operator.router, None, "", said)
    }

    /// What the operator does before.
    pub(super) fn prepare(&self, calls: &[Said]) {
        for said in calls {
            let (status, body) = self.operator_says(said);
            assert!(status.is_success(), "{}: {body}", said.1);
        }
    }

    /// Reads and applies a config.
    fn config(&self, text: &str) -> Result<String, String> {
        self.config_with(text, &SeedOptions::default())
            .map(|plan| format!("{:?} {:?}", plan.diff, plan.losing_access))
    }

    /// The same with options.
    pub(super) fn config_with(&self, text: &str, options: &SeedOptions) -> Result<SeedPlan, String> {
        let path = self.files.path().join("bindery.toml");
        std::fs::write(&path, format!("{CONFIG}{}", self.filled(text))).unwrap();
        std::fs::write(self.files.path().join("mark"), "\u{feff}a secret that is long enough\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let config = crate::config::load(&path, &|_| None).map_err(|problems| problems.to_string())?;
        let applied = apply_with(&self.operator.registry, &config.seed, options);
        applied.map(|(plan, _)| plan).map_err(|error| error.to_string())
    }

    fn call(&self, router: &Router, secret: Option<&str>, prefix: &str, said: &Said) -> (StatusCode, String) {
        let (method, path, body) = said;
        let uri = format!("{prefix}{}", self.filled(path));
        let mut request = Request::builder().method(method).uri(uri);
        request = request.header(header::CONTENT_TYPE, "application/json");
        if let Some(secret) = secret {
            request = request.header(header::AUTHORIZATION, format!("Bearer {secret}"));
        }
        let body = if body.is_null() { String::new() } else { self.filled(&body.to_string()) };
        wait(async {
            let answer = router.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
            let status = answer.status();
            let octets = to_bytes(answer.into_body(), 1024 * 1024).await.unwrap();
            (status, String::from_utf8(octets.to_vec()).unwrap())
        })
    }

    /// What `bindery import` does with a file, and its report.
    pub(super) fn import(&self, users: &[&str], ldif: &str) -> String {
        let containers = users.iter().map(|container| ((*container).to_owned(), "uid".to_owned()));
        let options = ImportOptions { users: containers.collect(), ..ImportOptions::default() };
        let registry = &self.operator.registry;
        let actor = || Actor::internal(InternalAccount::Import);
        let layout = match wait(registry.prepare_import(actor(), options.clone())) {
            Ok(layout) => layout,
            Err(error) => return error.to_string(),
        };
        let classifier = Classifier::new(&layout);
        let mut report = ImportReport::default();
        let (mut entries, mut groups, mut memberships) = (Vec::new(), Vec::new(), Vec::new());
        for record in LdifReader::new(ldif.as_bytes()) {
            let record = record.unwrap();
            let left_out = match classifier.classify(&record) {
                Classified::Account(account, left_out) => {
                    entries.push(ImportEntry::Account(account));
                    left_out
                }
                Classified::Group(group, members, left_out) => {
                    groups.push(ImportEntry::Group(group));
                    memberships.push(ImportEntry::Members(members));
                    left_out
                }
                Classified::Container(left_out) => left_out,
                Classified::Ignored { reason } => vec![reason],
            };
            left_out.into_iter().for_each(|reason| report.leave_out(reason, &record.dn));
        }
        entries.extend(groups);
        entries.extend(memberships);
        report.add(wait(registry.import(actor(), options, entries)).unwrap());
        format!("{layout:?} {report:?}")
    }

    /// A text with the keys of objects for `{group:…}`, `{user:…}`, `{role:…}`, `{provider:…}`, `{application:…}`, and for `{replaced:…}` the token of an
    /// account that was replaced.
    fn filled(&self, given: &str) -> String {
        let snapshot = self.operator.registry.snapshot();
        let accounts = snapshot.accounts();
        let mut filled = given.to_owned();
        for group in accounts.groups() {
            filled = filled.replace(&format!("{{group:{}}}", group.name), &group.uuid.to_string());
        }
        for account in accounts.accounts() {
            let number = account.number.to_string();
            filled = filled.replace(&format!("\"{{user:{}}}\"", account.username), &number);
            filled = filled.replace(&format!("{{user:{}}}", account.username), &number);
            filled = filled.replace(&format!("{{pk:{}}}", account.username), &number);
        }
        for role in accounts.roles() {
            filled = filled.replace(&format!("{{role:{}}}", role.name), &role.uuid.to_string());
        }
        for application in accounts.applications() {
            let uuid = application.uuid.to_string();
            filled = filled.replace(&format!("{{application:{}}}", application.slug), &uuid);
        }
        for provider in accounts.providers() {
            filled =
                filled.replace(&format!("\"{{provider:{}}}\"", provider.name), &provider.number.to_string());
            filled = filled.replace(&format!("{{provider:{}}}", provider.name), &provider.number.to_string());
        }
        for token in accounts.tokens().filter(|token| token.is_replaced) {
            let owner = accounts.account(token.account).unwrap();
            filled = filled.replace(&format!("{{replaced:{}}}", owner.username), &token.identifier);
        }
        filled
    }
}

/// Every rule at every door.
fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = |rule, door, case, words| rows.push(Row { rule, door, case, words });
    let config = |text: &str| Case::Config(vec![text.to_owned()], vec![]);
    let not = Case::NotReachable;
    let calls = |call: Said| Case::Calls(Vec::new(), vec![call]);
    let (post, patch, delete, get) = (Method::POST, Method::PATCH, Method::DELETE, Method::GET);
    let group = |name: &str| (Method::POST, "/core/groups/", json!({ "name": name }));
    let group_in = |name: &str, parent: &str| {
        (Method::POST, "/core/groups/", json!({ "name": name, "parents": [format!("{{group:{parent}}}")] }))
    };
    let user = |name: &str| {
        (Method::POST, "/core/users/", json!({ "username": name, "name": "A person", "type": "internal" }))
    };

    row(
        CIRCLES,
        Door::Config,
        config("[[group]]\nname = \"a\"\nparents = [\"b\"]\n[[group]]\nname = \"b\"\nparents = [\"a\"]\n"),
        "would be a circle",
    );
    for door in [Door::Api, Door::Command] {
        let closing = (patch.clone(), "/core/groups/{group:a}/", json!({ "parents": ["{group:b}"] }));
        let case = Case::Calls(vec![group("a"), group_in("b", "a")], vec![closing]);
        row(CIRCLES, door, case, "would be a circle");
        let own = (patch.clone(), "/core/groups/{group:a}/", json!({ "parents": ["{group:a}"] }));
        row(SELF, door, Case::Calls(vec![group("a")], vec![own]), "would be a circle");
        let nested = vec![group("a"), group_in("b", "a"), group_in("c", "b")];
        row(ABOVE, door, Case::Calls(nested, vec![group_in("d", "c")]), "can be in 3 groups");
    }
    let circle = imported_group("a", &["b"]) + &imported_group("b", &["a"]);
    row(CIRCLES, Door::Import, Case::Import(vec![], vec![], circle), "groups cannot be in each other");
    row(SELF, Door::Config, config("[[group]]\nname = \"a\"\nparents = [\"a\"]\n"), "would be a circle");
    row(
        SELF,
        Door::Import,
        Case::Import(vec![], vec![], imported_group("a", &["a"])),
        "a group is not in itself",
    );
    let nested = ["a", "b", "c", "d"]
        .windows(2)
        .map(|two| format!("[[group]]\nname = \"{}\"\nparents = [\"{}\"]\n", two[1], two[0]));
    let nested = format!("[[group]]\nname = \"a\"\n{}", nested.collect::<String>());
    row(ABOVE, Door::Config, config(&nested), "can be in 3 groups");
    let nested: String = imported_group("d", &[])
        + &imported_group("a", &["b"])
        + &imported_group("b", &["c"])
        + &imported_group("c", &["d"]);
    row(ABOVE, Door::Import, Case::Import(vec![], vec![], nested), "groups_above_max");

    let containers = |names: &[&str]| -> Value {
        names.iter().map(|name| json!({ "container": name, "naming": "uid" })).collect()
    };
    let long = format!("ou={}", "x".repeat(80)).leak() as &'static str;
    let lists: [(&str, Vec<&'static str>, [&'static str; 3]); 3] = [
        (CONTAINERS, vec!["ou=a", "ou=b", "ou=c"], ["at most 2 containers"; 3]),
        (LENGTH, vec![long], ["at most 64 octets"; 3]),
        (SPELLING, vec!["ou=b", "OU = b"], ["listed twice", "OU=b\\\" twice", "container: \"ou=b\""]),
    ];
    for (rule, names, [of_config, of_call, of_import]) in lists {
        let listed: Vec<String> =
            names.iter().map(|name| format!("{{ container = \"{name}\", naming = \"uid\" }}")).collect();
        row(rule, Door::Config, config(&format!("users = [{}]\n", listed.join(", "))), of_config);
        for door in [Door::Api, Door::Command] {
            let body = json!({ "users": containers(&names) });
            row(rule, door, calls((patch.clone(), "/providers/ldap/{provider:ldap}/", body)), of_call);
        }
        row(rule, Door::Import, Case::Import(vec![], names, String::new()), of_import);
    }

    let strange =
        [(BLANKS, "a ", "blanks at its ends"), (EMPTY, "  ", "empty"), (UNSEEN, "a\u{202e}b", "nobody sees")];
    for (rule, name, words) in strange {
        row(rule, Door::Config, config(&format!("[[group]]\nname = \"{name}\"\n")), words);
        for door in [Door::Api, Door::Command] {
            row(rule, door, calls(group(name)), words);
        }
        // A file's names are compared without blanks at their ends, so they come in without, below the DN that has them.
        let words = if rule == BLANKS { "groups: 1" } else { words };
        row(rule, Door::Import, Case::Import(vec![], vec![], imported_group(name, &[])), words);
    }

    let words = "in LDIF a line that begins with it is none of an attribute";
    row(OF_LDIF, Door::Config, config("[[attribute]]\nname = \"changeType\"\n"), words);
    let using = imported_group("a", &[]).trim_end().to_owned() + "\nd.n: x\n";
    row(OF_LDIF, Door::Import, Case::Import(vec![], vec![], using), words);
    for door in [Door::Api, Door::Command] {
        let using = json!({ "username": "a", "name": "A", "attributes": { "d.n": "x" } });
        row(OF_LDIF, door, calls((post.clone(), "/core/users/", using)), words);
    }
    row(
        SLUGS,
        Door::Config,
        config("[[application]]\nslug = \"a b\"\nname = \"A\"\n"),
        "letters, digits, - and _",
    );
    row(SLUGS, Door::Import, not("an import makes no applications"), "");
    row(DOMAINS, Door::Config, config("domain = \"a b\"\n"), "expected a domain");
    row(DOMAINS, Door::Import, not("an import changes the containers of a provider alone"), "");
    row(MAIL, Door::Config, config("[[account]]\nusername = \"a\"\nemail = \"a@b c\"\n"), "mail address");
    for door in [Door::Api, Door::Command] {
        let slug = json!({ "slug": "a b", "name": "A" });
        row(SLUGS, door, calls((post.clone(), "/core/applications/", slug)), "letters, digits, - and _");
        let domain = json!({ "domain": "a b" });
        let call = (patch.clone(), "/providers/ldap/{provider:ldap}/", domain);
        row(DOMAINS, door, calls(call), "expected a domain");
        let mail = (patch.clone(), "/core/users/{user:robot}/", json!({ "email": "a@b c" }));
        row(MAIL, door, calls(mail), "is no mail address");
    }
    let mail = imported_person("a", "mail: a@b c\nmail: a@example.com\n");
    row(
        MAIL,
        Door::Import,
        Case::Import(vec![], vec![], mail),
        "the attribute mail: a value is no mail address",
    );

    let grant = "[[account]]\nusername = \"a\"\n\
                 permissions = [{ permission = \"search_full_directory\", on = \"account:robot\" }]\n";
    row(WRONG_KIND, Door::Config, config(grant), "search_full_directory");
    row(WRONG_KIND, Door::Import, not("an import gives no rights"), "");
    row(
        PASSED,
        Door::Config,
        config("[[token]]\nidentifier = \"t\"\naccount = \"robot\"\nexpires = \"2020-01-01T00:00:00Z\"\n"),
        "expired at once",
    );
    row(PASSED, Door::Import, not("what an import makes does not expire"), "");
    for door in [Door::Api, Door::Command] {
        let body = json!({ "permissions": ["authentik_providers_ldap.search_full_directory"],
            "model": "authentik_core.user", "object_pk": "{pk:a}" });
        let call = (post.clone(), "/rbac/permissions/assigned_by_users/{user:a}/assign/", body);
        row(WRONG_KIND, door, Case::Calls(vec![user("a")], vec![call]), "search_full_directory");
        let body = json!({ "identifier": "t", "user": "{user:robot}", "intent": "app_password",
            "expires": "2020-01-01T00:00:00Z" });
        row(PASSED, door, calls((post.clone(), "/core/tokens/", body)), "expired at once");
        row(RELATIVE, door, not("a duration there counts from the call"), "");
    }
    let relative = |expires: &str| {
        format!("[[token]]\nidentifier = \"t\"\naccount = \"robot\"\nexpires = \"{expires}\"\n")
    };
    // A shorter duration acts from when the token was made.
    let texts = vec![relative("2h"), relative("1h")];
    row(RELATIVE, Door::Config, Case::Config(texts, vec![]), "expires");
    row(RELATIVE, Door::Import, not("what an import makes does not expire"), "");

    let chosen = |intent: &str, secret: &str| {
        format!(
            "[[token]]\nidentifier = \"t\"\naccount = \"robot\"\nintent = \"{intent}\"\nsecret = \"{secret}\"\n"
        )
    };
    row(
        APP_PASSWORD,
        Door::Config,
        config(&chosen("app_password", "fifteen-letters")),
        "at least 16 characters",
    );
    row(
        API_SECRET,
        Door::Config,
        config(&chosen("api", "thirty-one-letters-are-too-few-")),
        "at least 32 characters",
    );
    let person = "[[account]]\nusername = \"a\"\npassword = \"seven-7\"\n";
    row(PASSWORD, Door::Config, config(person), "8 characters");
    let file = "[[token]]\nidentifier = \"t\"\naccount = \"robot\"\nsecret_file = \"mark\"\n";
    row(FILES, Door::Config, config(file), "byte order mark");
    let odd = [
        (LONG, "ü".repeat(513), "more than 1024 octets"),
        (LINES, "first line\nsecond line".to_owned(), "has a second line"),
        (NUL, "hidden\0behind it, and long".to_owned(), "holds a NUL"),
    ];
    for (rule, secret, words) in &odd {
        let quoted = json!(secret);
        let table = format!("[[account]]\nusername = \"a\"\npassword = {quoted}\n");
        row(rule, Door::Config, config(&table), words);
        let ldif = format!(
            "dn: cn=a,ou=users,dc=example,dc=com\nobjectClass: inetOrgPerson\nuid: a\ncn: a\nsn: a\nuserPassword:: {}\n",
            STANDARD.encode(secret)
        );
        row(rule, Door::Import, Case::Import(vec![], vec![], ldif), words);
        for door in [Door::Api, Door::Command] {
            let set = (post.clone(), "/core/users/{user:a}/set_password/", json!({ "password": secret }));
            row(rule, door, Case::Calls(vec![user("a")], vec![set]), words);
        }
    }
    for rule in [APP_PASSWORD, PASSWORD, API_SECRET, FILES] {
        row(rule, Door::Import, not("an import takes hashes, of which nobody knows what was chosen"), "");
    }
    for door in [Door::Api, Door::Command] {
        for (rule, intent, key, words) in [
            (APP_PASSWORD, "app_password", "fifteen-letters", "at least 16 characters"),
            (API_SECRET, "api", "thirty-one-letters-are-too-few-", "at least 32 characters"),
        ] {
            let token = json!({ "identifier": "t", "user": "{user:robot}", "intent": intent });
            let token = (post.clone(), "/core/tokens/", token);
            let set = (post.clone(), "/core/tokens/t/set_key/", json!({ "key": key }));
            row(rule, door, Case::Calls(vec![token], vec![set]), words);
        }
        let set = (post.clone(), "/core/users/{user:a}/set_password/", json!({ "password": "seven-7" }));
        row(PASSWORD, door, Case::Calls(vec![user("a")], vec![set]), "8 characters");
        row(FILES, door, not("a secret comes in the request, not from a file"), "");
    }

    let rotated = || {
        vec![
            (
                Method::POST,
                "/core/tokens/",
                json!({ "identifier": "t", "user": "{user:x}", "intent": "app_password" }),
            ),
            (Method::POST, "/core/tokens/t/rotate/", json!({ "overlap": 3600 })),
        ]
    };
    for door in [Door::Api, Door::Command] {
        let before = || [vec![user("x")], rotated()].concat();
        let later =
            (patch.clone(), "/core/tokens/{replaced:x}/", json!({ "expires": "2099-01-01T00:00:00Z" }));
        let described =
            (patch.clone(), "/core/tokens/{replaced:x}/", json!({ "description": "the old one" }));
        let words = "only its description can be changed…the old one";
        row(REPLACED, door, Case::Calls(before(), vec![later, described]), words);
        let revoked = (delete.clone(), "/core/tokens/t/", Value::Null);
        let left = (get.clone(), "/core/tokens/?user__username=x", Value::Null);
        row(REVOKED, door, Case::Calls(before(), vec![revoked, left.clone()]), "\"results\":[]");
        let revoked = (delete.clone(), "/core/tokens/t/?keep_replaced=true", Value::Null);
        let words = "\"identifier\":\"t-replaced-until-";
        row(KEPT, door, Case::Calls(before(), vec![revoked, left]), words);
        // It is kept with the use, whatever became of the application.
        let token = |name: &str| {
            (
                post.clone(),
                "/core/tokens/",
                json!({ "identifier": name, "user": "{user:x}", "intent": "api" }),
            )
        };
        let calls = vec![
            (get.clone(), "/core/tokens/one/", Value::Null),
            (get.clone(), "/core/tokens/two/", Value::Null),
            (get.clone(), "/core/tokens/three/", Value::Null),
        ];
        let before = vec![user("x"), token("one"), token("two"), token("three")];
        let uses = vec![("one", Some("gone")), ("two", None)];
        let words = "\"application\":\"gone\"…\"application\":null…\"last_used\":null";
        row(LAST_USED, door, Case::Used(before, uses, calls), words);
        let app = json!({ "slug": "vault", "name": "Vault", "provider": "{provider:ldap}" });
        let app = (post.clone(), "/core/applications/", app);
        let binding = json!({ "target": "{application:vault}", "user": "{user:x}", "order": 0 });
        let bind = (post.clone(), "/policies/bindings/", binding);
        let words = "\"losing_access\":…\"username\":\"y\",\"application\":\"vault\"";
        row(SHUT_OUT, door, Case::Calls(vec![user("x"), user("y"), app], vec![bind]), words);
        row(SHORTENED, door, not("a duration there counts from the call"), "");
    }
    row(REPLACED, Door::Import, not("an import changes no tokens"), "");
    row(REVOKED, Door::Import, not("an import deletes nothing"), "");
    row(KEPT, Door::Import, not("an import deletes nothing"), "");
    row(KEPT, Door::Config, not("an apply deletes what it does not name, one by one"), "");
    row(SHUT_OUT, Door::Import, not("an import binds no application"), "");
    let app = "[[application]]\nslug = \"vault\"\nname = \"Vault\"\nprovider = \"ldap\"\nbindings = [{ account = \"x\" }]\n";
    let before = vec![user("x"), user("y")];
    row(SHUT_OUT, Door::Config, Case::Config(vec![app.to_owned()], before), "LostAccess…account: \"y\"");
    row(SHORTENED, Door::Import, not("what an import makes does not expire"), "");
    let later = Case::Later(relative("9d"), relative("1h"));
    row(SHORTENED, Door::Config, later, "Skipped…which has passed…expires in 8 days");
    row(LAST_USED, Door::Config, not("a config says nothing of uses"), "");
    row(LAST_USED, Door::Import, not("an import says nothing of uses"), "");
    row(
        REVOKED,
        Door::Config,
        not("an apply deletes with --prune, and then each token that it does not name"),
        "",
    );
    let text =
        "[[token]]\nidentifier = \"{replaced:x}\"\naccount = \"x\"\nexpires = \"2099-01-01T00:00:00Z\"\n";
    let before = [vec![user("x")], rotated()].concat();
    row(
        REPLACED,
        Door::Config,
        Case::Config(vec![text.to_owned()], before),
        "only its description can be changed",
    );

    let low = json!({ "attributes": { "uidNumber": "0" } });
    let call = || (Method::PATCH, "/core/users/{user:robot}/", low.clone());
    let text_of_low = "[[account]]\nusername = \"a\"\nattributes = { uidNumber = [\"0\"] }\n";
    row(NUMBERS, Door::Config, config(text_of_low), "uidNumber");
    row(NUMBERS, Door::Api, calls(call()), "of at least 1000");
    row(NUMBERS, Door::Command, calls(call()), "\"uidNumber\":");
    let person =
        imported_person("a", "objectClass: posixAccount\nuidNumber: 0\ngidNumber: 2000\nhomeDirectory: /\n");
    row(
        NUMBERS,
        Door::Import,
        Case::Import(vec![], vec![], person),
        "the attribute uidNumber: numbers below 1000",
    );

    let many = ["one", "two", "three", "four"];
    let call =
        || (Method::PATCH, "/core/users/{user:robot}/", json!({ "attributes": { "description": many } }));
    let text = format!("[[account]]\nusername = \"a\"\nattributes = {{ description = {} }}\n", json!(many));
    let person = many.map(|value| format!("description: {value}\n")).concat();
    row(VALUES, Door::Config, config(&text), "description");
    // Options make no other attribute of it.
    let [one, two, three, four] = many;
    let optional = json!({ "attributes": { "description": [one], "DESCRIPTION;x-a": [two, three], "2.5.4.13;x-b": four } });
    let cases = vec![call(), (Method::PATCH, "/core/users/{user:robot}/", optional)];
    let words = "would have 4 values: give it 3 at most";
    row(VALUES, Door::Api, Case::Calls(vec![], cases), format!("{words}…{words}").leak());
    row(VALUES, Door::Command, calls(call()), "\"four\"");
    row(VALUES, Door::Import, Case::Import(vec![], vec![], imported_person("a", &person)), "users: 1");

    // The config made it, or it held rights.
    let deleted = (delete, "/core/users/{user:x}/", Value::Null);
    let text = "[[account]]\nusername = \"x\"\n".to_owned();
    row(DELETED, Door::Config, Case::Config(vec![text.clone(), text], vec![deleted.clone()]), "Skipped");
    let right = json!({ "permissions": ["authentik_core.view_user"] });
    let right = (post, "/rbac/permissions/assigned_by_users/{user:x}/assign/", right);
    let gone = || vec![user("x"), right.clone(), deleted.clone()];
    row(DELETED, Door::Api, Case::Calls(gone(), vec![user("x")]), "only a superuser may give it");
    row(DELETED, Door::Command, Case::Calls(gone(), vec![user("x")]), "\"username\":\"x\"");
    let imported = Case::Import(gone(), vec!["ou=users"], imported_person("x", ""));
    row(DELETED, Door::Import, imported, "users: 0…no import brings it back");

    // A type of which DNs could be made that nobody can read again.
    let using = || {
        (Method::POST, "/core/users/", json!({ "username": "x", "name": "X", "attributes": { "a_b": "x" } }))
    };
    let text = "users = [{ container = \"ou=a\", naming = \"a_b\" }]\n";
    row(
        NAMING,
        Door::Config,
        Case::Config(vec![text.to_owned()], vec![using()]),
        "expected the name of an attribute",
    );
    for door in [Door::Api, Door::Command] {
        let body = json!({ "users": [{ "container": "ou=a", "naming": "a_b" }] });
        let call = (Method::PATCH, "/providers/ldap/{provider:ldap}/", body);
        row(NAMING, door, Case::Calls(vec![using()], vec![call]), "cannot name the entries");
    }
    row(NAMING, Door::Import, not("the containers of these imports are all named by uid"), "");
    rows
}

pub(super) fn imported_group(name: &str, members: &[&str]) -> String {
    use base64::Engine as _;
    let encoded = |value: &str| base64::engine::general_purpose::STANDARD.encode(value);
    let dn = |name: &str| {
        let mut rdn = crate::schema::Rdn::new("cn", name).to_string();
        rdn.push_str(",ou=groups,dc=example,dc=com");
        rdn
    };
    let mut text =
        format!("dn:: {}\nobjectClass: groupOfNames\ncn:: {}\n", encoded(&dn(name)), encoded(name));
    for member in members {
        text += &format!("member: {}\n", dn(member));
    }
    text + "\n"
}

pub(super) fn imported_person(name: &str, more: &str) -> String {
    format!(
        "dn: uid={name},ou=users,dc=example,dc=com\nobjectClass: inetOrgPerson\nuid: {name}\ncn: A\nsn: A\n{more}\n"
    )
}

const CONFIG: &str = "\
[server]
data_dir = \"data\"

[server.limits]
groups_above_max = 3
containers_max = 2
container_length_max = 64

[[provider]]
name = \"ldap\"
base_dn = \"dc=example,dc=com\"
default = true
";
