//! authentik's published clients, unmodified, against the real binary: what they may do, what they are refused, and
//! what the answers say. `bash tests/run` installs the Python package; with `--all` it builds the program of the Rust crate.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use crate::support::example::{said, script, tools};
use crate::support::openapi::{Operation, operations, target};
use crate::support::{BASE, Place, SEED, Server, secret_of};
use serde_json::Value;

/// The example's people with four who call: one may do everything, one makes service accounts, one looks, one has no
/// permission at all.
const CALLERS: &str = r#"
[[role]]
name = "clerk"
permissions = [
    { permission = "view_user" },
    { permission = "add_user" },
    { permission = "view_group" },
    { permission = "add_group" },
    { permission = "add_token" },
    { permission = "view_role" },
]

[[role]]
name = "auditor"
permissions = [
    { permission = "view_user" },
    { permission = "view_group" },
    { permission = "view_token" },
    { permission = "view_role" },
    { permission = "view_event" },
    { permission = "view_application" },
    { permission = "view_policybinding" },
    { permission = "view_ldapprovider" },
    { permission = "view_certificatekeypair" },
]

[[group]]
name = "admins"
is_superuser = true
members = ["admin"]

[[account]]
username = "admin"
type = "service_account"

[[account]]
username = "clerk"
type = "service_account"
roles = ["clerk"]

[[account]]
username = "auditor"
type = "service_account"
roles = ["auditor"]

[[account]]
username = "stranger"
type = "service_account"

[[token]]
identifier = "admin-api"
account = "admin"
intent = "api"

[[token]]
identifier = "clerk-api"
account = "clerk"
intent = "api"

[[token]]
identifier = "auditor-api"
account = "auditor"
intent = "api"

[[token]]
identifier = "stranger-api"
account = "stranger"
intent = "api"
"#;

/// A server with its callers.
pub struct Served {
    place: Place,
    server: Server,
    secrets: Value,
}

impl Served {
    pub fn start() -> Self {
        let place = Place::new("");
        let server = r#"
[server]
data_dir = "data"
ldaps = ["127.0.0.1:0"]
http = ["127.0.0.1:0"]
https = ["127.0.0.1:0"]
tls = { development = "certs" }
log = { level = "warn" }

[server.hashing]
memory = "64 KiB"
time_cost = 1
threads = 1
"#;
        place.write("bindery.toml", &format!("{server}\n{SEED}\n{CALLERS}"));
        let (server, secrets) = place.serve_first();
        Self { place, server, secrets }
    }

    /// One call of the API with a token: the status and the body of its answer.
    pub fn call(&self, token: &str, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let secret = secret_of(&self.secrets, token);
        let body = body.map(Value::to_string).unwrap_or_default();
        let head = format!(
            "{method} /api/v3{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {secret}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(self.server.address("http")).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let body = if body.is_empty() { Ok(Value::Null) } else { serde_json::from_str(body) };
        (status.unwrap_or_else(|| panic!("{head}")), body.unwrap_or_else(|error| panic!("{error}: {answer}")))
    }

    /// Runs a client to its end, with what it needs to know as variables.
    fn run(&self, program: &Path, arguments: &[&Path]) -> String {
        let mut command = Command::new(program);
        for (name, identifier) in [
            ("ADMIN", "admin-api"),
            ("CLERK", "clerk-api"),
            ("AUDITOR", "auditor-api"),
            ("STRANGER", "stranger-api"),
            ("PORTAL_APP_PASSWORD", "portal-app-password"),
        ] {
            command.env(name, secret_of(&self.secrets, identifier));
        }
        // No proxy of the machine stands between them.
        for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            command.env_remove(name);
        }
        let output = command
            .env("LDAPS_URL", self.server.url("ldaps"))
            .env("HTTPS_URL", self.server.url("https"))
            .env("HTTP_URL", self.server.url("http"))
            .env("CA_FILE", self.place.path("certs/ca.pem"))
            .env("BASE", BASE)
            .args(arguments)
            .output()
            .unwrap_or_else(|error| {
                panic!("{program:?}: {error}; `bash tests/run`, with --all or without, installs it")
            });
        assert!(output.status.success(), "{program:?}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }
}

#[track_caller]
fn says(out: &str, steps: &[&str]) {
    let done: Vec<&str> = out.lines().filter_map(|line| line.strip_prefix("ok: ")).collect();
    assert_eq!(done, steps, "{out}");
}

#[test]
fn python_package() {
    let served = Served::start();
    let python = tools().join("clients/python/bin/python");
    let out = served.run(&python, &[Path::new("-B"), &script("clients/authentik.py")]);
    says(
        &out,
        &[
            "credentials",
            "service accounts",
            "tokens",
            "tokens that end",
            "users",
            "groups",
            "roles and grants",
            "events",
            "providers",
            "applications",
            "certificates and the server",
            "what is not there",
        ],
    );
    has_done_all(&out);
}

/// A client has succeeded in every operation that it has of what bindery serves.
#[track_caller]
fn has_done_all(out: &str) {
    let done: BTreeSet<&str> = out.lines().filter_map(|line| line.strip_prefix("done: ")).collect();
    let known: BTreeSet<String> = published_calls().map(|(operation, ..)| operation).collect();
    let known: BTreeSet<&str> = known.iter().map(String::as_str).filter(|call| *call != REFUSED).collect();
    assert_eq!(known.difference(&done).collect::<Vec<_>>(), [] as [&&str; 0], "not tried");
    assert_eq!(done.difference(&known).collect::<Vec<_>>(), [] as [&&str; 0], "not listed");
}

/// A key leaves no server.
const REFUSED: &str = "GET /crypto/certificatekeypairs/{kp_uuid}/view_private_key/";

/// The operations of authentik's clients: method and path, the status of a success, the parameters of the query.
fn published_calls() -> impl Iterator<Item = (String, &'static str, Vec<&'static str>)> {
    let lines = include_str!("../data/authentik_calls.txt").lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let [method, path, status, query @ ..] = words.as_slice() else { panic!("{line:?}") };
        (format!("{method} {path}"), *status, query.to_vec())
    })
}

#[test]
#[ignore = "needs the crate authentik-client: bash tests/run --all"]
fn rust_crate() {
    let served = Served::start();
    let out = served.run(&tools().join("debug/authentik-story"), &[]);
    says(&out, &["credentials", "service account", "tokens", "groups", "grants", "events", "all operations"]);
    has_done_all(&out);
}

/// What bindery has beside what authentik's clients call.
const OWN: [&str; 9] = [
    "POST /core/tokens/{identifier}/rotate/",
    "POST /core/users/{id}/unlock/",
    "GET /core/users/{id}/pauses/",
    "GET /rbac/permissions/assigned_by_groups/",
    "POST /rbac/permissions/assigned_by_groups/{uuid}/assign/",
    "PATCH /rbac/permissions/assigned_by_groups/{uuid}/unassign/",
    "GET /rbac/permissions/assigned_by_users/",
    "POST /rbac/permissions/assigned_by_users/{id}/assign/",
    "PATCH /rbac/permissions/assigned_by_users/{id}/unassign/",
];

#[test]
fn the_document_has_every_call_of_the_clients() {
    let document = document();
    let mut calls: BTreeMap<String, Operation> = BTreeMap::new();
    for operation in operations(&document) {
        let path = operation.path.strip_prefix("/api/v3").unwrap();
        calls.insert(format!("{} {path}", operation.method), operation);
    }
    for (call, status, query) in published_calls() {
        let operation = calls.remove(&call).unwrap_or_else(|| panic!("there is no {call}"));
        let responses = operation.value["responses"].as_object().unwrap();
        let successes: Vec<&String> = responses.keys().filter(|status| status.starts_with('2')).collect();
        assert_eq!(successes, [status], "{call}");
        let known = operation.names("query");
        for name in query {
            assert!(known.contains(name), "{call} has no parameter {name}, only {known:?}");
        }
    }
    let own: Vec<&str> = calls.keys().map(String::as_str).collect();
    let mut expected = OWN;
    expected.sort_unstable();
    assert_eq!(
        own, expected,
        "add what is new to tests/data/authentik_calls.txt, or here if it is bindery's own"
    );
}

#[test]
fn the_document_is_sound() {
    let document = document();
    let mut ids = BTreeSet::new();
    for operation in operations(&document) {
        let id = operation.value["operationId"].as_str().unwrap();
        assert!(ids.insert(id.to_owned()), "there are two {id}");
        let parts = operation.path.split('/');
        let in_path: BTreeSet<&str> =
            parts.filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        assert_eq!(operation.names("path"), in_path, "{operation}");
    }
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(!references.is_empty());
    for reference in references {
        assert!(reference.starts_with('#'), "{reference} leads elsewhere");
        assert!(target(&document, reference).is_some(), "{reference} leads nowhere");
    }
}

/// The OpenAPI document, as anybody gets it.
fn document() -> Value {
    let served = Served::start();
    let mut stream = TcpStream::connect(served.server.address("http")).unwrap();
    stream
        .write_all(b"GET /api/v3/schema/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

fn collect_references<'a>(value: &'a Value, references: &mut Vec<&'a str>) {
    match value {
        Value::Object(object) => {
            references.extend(object.get("$ref").and_then(Value::as_str));
            object.values().for_each(|value| collect_references(value, references));
        }
        Value::Array(list) => list.iter().for_each(|value| collect_references(value, references)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
