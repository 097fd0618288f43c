//! The API of the real binary, walked by its own OpenAPI document: what is wrong with a request is told by the name of the
//! field, all at once, and what the document says of a list is so.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::support::openapi::{Operation, operations, resolved};
use crate::support::{Place, SEED, Server, secret_of};

/// More of everything than one page holds.
const MORE: &str = r#"
[[provider]]
name = "second"
base_dn = "dc=second,dc=example,dc=com"

[[provider]]
name = "third"
base_dn = "dc=third,dc=example,dc=com"

[[role]]
name = "auditor"
permissions = [
    { permission = "view_user", on = "account:alice" },
    { permission = "view_user", on = "account:bob" },
    { permission = "view_group", on = "group:engineering" },
    { permission = "search_full_directory" },
]

[[role]]
name = "empty"

[[role]]
name = "searcher"
permissions = [{ permission = "search_full_directory", on = "provider:ldap" }]

[[group]]
name = "admins"
is_superuser = true
members = ["walker"]

[[group]]
name = "first"
permissions = [{ permission = "search_full_directory", on = "provider:ldap" }]

[[group]]
name = "second"
permissions = [{ permission = "search_full_directory", on = "provider:ldap" }]

[[group]]
name = "third"
permissions = [{ permission = "search_full_directory", on = "provider:ldap" }]

[[account]]
username = "walker"
type = "service_account"
permissions = [{ permission = "search_full_directory", on = "provider:ldap" }]

[[account]]
username = "carol"
name = "Carol Clark"
permissions = [{ permission = "search_full_directory" }]

[[account]]
username = "dave"
name = "Dave Dunn"
permissions = [{ permission = "search_full_directory", on = "provider:ldap" }]

[[token]]
identifier = "walker-api"
account = "walker"
intent = "api"

[[token]]
identifier = "walker-other"
account = "walker"
intent = "api"

[[token]]
identifier = "portal-app"
account = "portal"

[[application]]
slug = "one"
name = "One"
provider = "ldap"
bindings = [{ group = "engineering" }, { account = "alice" }, { account = "bob" }]

[[application]]
slug = "two"
name = "Two"
provider = "second"

[[application]]
slug = "three"
name = "Three"
provider = "third"
"#;

const SERVER: &str = r#"
[server]
data_dir = "data"
ldap = ["127.0.0.1:0"]
http = ["127.0.0.1:0"]
tls = { development = "certs" }
log = { level = "warn" }

[server.hashing]
memory = "64 KiB"
time_cost = 1
threads = 1

[server.limits]
http_requests_by_token_max = 100000000
http_requests_by_source_max = 100000000
http_connection_time = "1h"
"#;

/// What is a time, and what is none: in bodies and in queries alike.
const TIMES: [&str; 8] = [
    "2099-11-18T10:00:00Z",
    "2099-11-18T10:00:00+01:00",
    "2099-11-18T10:00:00.123456+0000",
    "2099-11-18T10:00:00.123456789-12:00",
    "2099-11-18 10:00:00+00:00",
    "2099-11-18T10:00:00",
    "2099-11-18T10:00",
    "2099-11-18",
];
const NO_TIMES: [&str; 10] = [
    "tomorrow",
    "2099",
    "2099-11",
    "2099-02-30",
    "2099-11-18T25:00:00Z",
    "2099-11-18T10:00:00+25:00",
    "2099-11-18T10:00:00+14:01",
    "2099-11-18T10:00:00Z[Europe/Berlin]",
    "20991118100000Z",
    "4098074400",
];
/// What a refused time is answered with; `bindery token create --expires` says it too.
const TIME_WORDS: &str = "a time such as \"2027-11-18T10:00:00Z\" or \"2027-11-18T11:00:00+01:00\" (without an offset it is \
                          UTC), or a date such as \"2027-11-18\"";

/// The walk: one connection, what the server says of itself, and what is not so.
struct Walk {
    address: SocketAddr,
    stream: BufReader<TcpStream>,
    token: String,
    document: Value,
    wrong: Vec<String>,
}

struct Answer {
    status: u16,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// The fields that a refusal names.
    fn named(&self) -> BTreeSet<String> {
        let json = self.json();
        let fields = json.as_object().into_iter().flat_map(Map::keys);
        if self.status == 400 {
            fields.filter(|name| *name != "code").cloned().collect()
        } else {
            BTreeSet::new()
        }
    }
}

/// The path of an operation, of objects that there are not.
fn url_of(operation: &Operation) -> String {
    let mut url = String::new();
    for part in operation.path.split_inclusive('/') {
        url.push_str(match part {
            "{id}/" => "4000000/",
            "{slug}/" | "{identifier}/" => "there-is-none/",
            part if part.starts_with('{') => "00000000-0000-4000-8000-000000000001/",
            part => part,
        });
    }
    url
}

fn connect(address: SocketAddr) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.set_nodelay(true).unwrap();
    BufReader::new(stream)
}

impl Walk {
    fn start() -> (Self, Server, Place) {
        let place = Place::new("");
        place.write("bindery.toml", &format!("{SERVER}\n{SEED}\n{MORE}"));
        let (server, secrets) = place.serve_first();
        let address = server.address("http");
        let token = secret_of(&secrets, "walker-api");
        let mut walk =
            Self { address, stream: connect(address), token, document: Value::Null, wrong: Vec::new() };
        walk.document = walk.ask("GET", "/api/v3/schema/", "").json();
        (walk, server, place)
    }

    fn ask(&mut self, method: &str, path: &str, body: &str) -> Answer {
        self.ask_octets(method, path, body.as_bytes())
    }

    fn ask_octets(&mut self, method: &str, path: &str, body: &[u8]) -> Answer {
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            self.token,
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        self.stream.get_mut().write_all(&request).unwrap();
        let (mut status, mut length, mut closes) = (0, 0, false);
        loop {
            let mut line = String::new();
            assert_ne!(self.stream.read_line(&mut line).unwrap(), 0, "{method} {path} has no answer");
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(rest) = line.strip_prefix("http/1.1 ") {
                status = rest.get(..3).and_then(|code| code.parse().ok()).unwrap_or_default();
            }
            if let Some(octets) = line.strip_prefix("content-length: ") {
                length = octets.parse().unwrap();
            }
            closes |= line == "connection: close";
            if line.is_empty() {
                break;
            }
        }
        let mut octets = vec![0; length];
        self.stream.read_exact(&mut octets).unwrap();
        if closes {
            self.stream = connect(self.address);
        }
        let text = String::from_utf8(octets).unwrap();
        let answer = Answer { status, text };
        self.look_at(method, path, &answer);
        answer
    }

    /// What no answer may be.
    fn look_at(&mut self, method: &str, path: &str, answer: &Answer) {
        let words = answer.text.split(|letter: char| !letter.is_ascii_alphanumeric());
        let of_rust =
            ["u8", "u16", "u32", "u64", "i32", "i64", "usize", "f64", "Option", "Vec", "struct", "enum"];
        let is_of_rust = answer.status == 400 && words.into_iter().any(|word| of_rust.contains(&word));
        if answer.status >= 500 || answer.status == 0 || is_of_rust || !self.says(method, path, answer.status)
        {
            self.wrong.push(format!("{method} {path}: {} {}", answer.status, answer.text));
        }
    }

    /// Whether the document says that a call may be answered so. Of what stands in no row, it says nothing.
    fn says(&self, method: &str, path: &str, status: u16) -> bool {
        let path = path.split('?').next().unwrap_or_default();
        let is_of = |row: &str| {
            let (mut rows, mut parts) = (row.split('/'), path.split('/'));
            rows.by_ref().zip(parts.by_ref()).all(|(row, part)| row == part || row.starts_with('{'))
                && row.split('/').count() == path.split('/').count()
        };
        // A row whose path is all words goes before one that takes any.
        let rows = self.document["paths"].as_object().into_iter().flatten().filter(|(row, _)| is_of(row));
        let Some((_, item)) = rows.min_by_key(|(row, _)| row.matches('{').count()) else { return true };
        let Some(operation) = item.get(method.to_ascii_lowercase()) else { return true };
        operation["responses"].as_object().is_some_and(|said| said.contains_key(&status.to_string()))
    }

    fn operations(&self) -> Vec<Operation> {
        operations(&self.document)
    }

    /// A schema, or what it refers to.
    fn resolved(&self, schema: &Value) -> Value {
        resolved(&self.document, schema)
    }

    /// The schema of the body that an operation takes.
    fn body(&self, operation: &Operation) -> Option<Map<String, Value>> {
        operation.body(&self.document)
    }

    /// The first that a schema says besides `null`, with whether it says that.
    fn kind(&self, schema: &Value) -> (Value, bool) {
        if let Some(choices) = schema["anyOf"].as_array() {
            let is_null = |choice: &&Value| choice["type"] == "null";
            let choice = choices.iter().find(|choice| !is_null(choice)).unwrap();
            return (self.resolved(choice), choices.iter().any(|choice| is_null(&choice)));
        }
        let mut schema = self.resolved(schema);
        let kinds = schema["type"].as_array().cloned();
        let is_nullable = kinds.as_ref().is_some_and(|kinds| kinds.contains(&"null".into()));
        if let Some(kind) = kinds.iter().flatten().find(|kind| **kind != "null") {
            schema["type"] = kind.clone();
        }
        (schema, is_nullable)
    }

    /// Values that a schema does not allow.
    fn not_of(&self, schema: &Value) -> Vec<Value> {
        let (schema, _) = self.kind(schema);
        let words = schema["enum"].is_array() || schema["oneOf"].is_array();
        match schema["type"].as_str() {
            Some("boolean") => vec![json!("yes"), json!(1), json!("TRUE")],
            Some("integer") => {
                vec![json!("7"), json!(7.5), json!(-9_223_372_036_854_775_808_i64), json!(1e30), json!(true)]
            }
            Some("array") => {
                let item = |item: Value| json!([item]);
                let of_items = self.not_of(&schema["items"]).into_iter().map(item);
                [json!({}), json!("one"), json!(7)].into_iter().chain(of_items).collect()
            }
            Some("object") => vec![json!([]), json!("{}"), json!(7)],
            _ if words || schema["format"].is_string() => vec![json!("no such word"), json!(7), json!([])],
            Some("string") => vec![json!(7), json!(true), json!(["text"]), json!({})],
            other => panic!("{other:?} in {schema}"),
        }
    }

    fn say(&mut self, what: &str, operation: &Operation, sent: &str, answer: &Answer) {
        let Answer { status, text } = answer;
        self.wrong.push(format!("{operation}: {what}\n    sent {sent}\n    {status} {text}"));
    }

    /// Sends what names these fields as wrong, and no others.
    fn names(&mut self, operation: &Operation, body: &str, expected: &BTreeSet<String>) {
        let answer = self.ask(&operation.method, &url_of(operation), body);
        if answer.named() != *expected {
            self.say(&format!("expected that {expected:?} are named"), operation, body, &answer);
        }
    }

    fn walk_bodies(&mut self) {
        let whole = BTreeSet::from(["non_field_errors".to_owned()]);
        for operation in self.operations() {
            let Some(body) = self.body(&operation) else {
                // What takes no body takes none.
                self.names(&operation, r#"{"overlap":1}"#, &BTreeSet::from(["overlap".to_owned()]));
                self.names(&operation, "[]", &whole);
                continue;
            };
            if body.get("additionalProperties") != Some(&false.into()) {
                self.wrong.push(format!("{operation}: its body is not said to be closed"));
            }
            for text in [
                "{} x",
                "{}{}",
                "[]",
                "[{}]",
                "\"text\"",
                "7",
                "null",
                "{",
                "{\"name\":1,}",
                "{\"name\" 1}",
                "{}\0",
            ] {
                self.names(&operation, text, &whole);
            }
            let answer = self.ask_octets(&operation.method, &url_of(&operation), b"{\"name\": \"\xff\"}");
            if answer.named() != whole {
                self.say("no UTF-8", &operation, "0xff", &answer);
            }
            let none = Map::new();
            let fields = body.get("properties").and_then(Value::as_object).unwrap_or(&none);
            let required: BTreeSet<String> = match body.get("required").and_then(Value::as_array) {
                Some(names) => names.iter().map(|name| name.as_str().unwrap().to_owned()).collect(),
                None => BTreeSet::new(),
            };
            if !required.is_empty() {
                self.names(&operation, "{}", &required);
            }
            self.walk_what_is_read_back(&operation, fields);
            self.walk_fields(&operation, fields, &required);
            self.walk_times(&operation, fields, &required);
            self.walk_what_is_passed_over(&operation, &required);
        }
    }

    fn walk_fields(
        &mut self,
        operation: &Operation,
        fields: &Map<String, Value>,
        required: &BTreeSet<String>,
    ) {
        let named = |names: &mut dyn Iterator<Item = &String>| -> BTreeSet<String> {
            names.cloned().chain(["no_such_field".to_owned()]).collect()
        };
        // With each, one that there is not, so that nothing is made.
        let unknown = "\"no_such_field\": 1";
        self.names(operation, &format!("{{{unknown}}}"), &named(&mut required.iter()));
        let twice = fields.keys().fold(unknown.to_owned(), |mut text, name| {
            write!(text, ", \"{name}\": 1, \"{name}\": {{}}").unwrap();
            text
        });
        self.names(operation, &format!("{{{twice}}}"), &named(&mut fields.keys()));
        let nulls = fields.keys().fold(unknown.to_owned(), |mut text, name| {
            write!(text, ", \"{name}\": null").unwrap();
            text
        });
        let not_null: Vec<&String> =
            fields.iter().filter(|(_, schema)| !self.kind(schema).1).map(|(name, _)| name).collect();
        self.names(operation, &format!("{{{nulls}}}"), &named(&mut not_null.into_iter()));
        let wrong: Vec<(&String, Vec<Value>)> =
            fields.iter().map(|(name, schema)| (name, self.not_of(schema))).collect();
        for round in 0..wrong.iter().map(|(_, values)| values.len()).max().unwrap_or_default() {
            let body: Map<String, Value> = wrong
                .iter()
                .map(|(name, values)| ((*name).clone(), values[round % values.len()].clone()))
                .chain([("no_such_field".to_owned(), 1.into())])
                .collect();
            self.names(operation, &Value::Object(body).to_string(), &named(&mut fields.keys()));
        }
    }

    fn walk_times(
        &mut self,
        operation: &Operation,
        fields: &Map<String, Value>,
        required: &BTreeSet<String>,
    ) {
        let names: Vec<&String> = fields
            .iter()
            .filter(|(_, schema)| schema["format"] == "date-time")
            .map(|(name, _)| name)
            .collect();
        for (text, is_time) in
            TIMES.iter().map(|text| (text, true)).chain(NO_TIMES.iter().map(|text| (text, false)))
        {
            if names.is_empty() {
                break;
            }
            let times = names.iter().map(|name| ((*name).clone(), json!(text)));
            let unknown = [("no_such_field".to_owned(), json!(1))];
            let body = Value::Object(times.chain(unknown).collect()).to_string();
            let wrong = names.iter().filter(|_| !is_time).map(|name| (*name).clone());
            let expected: BTreeSet<String> =
                wrong.chain(required.iter().cloned()).chain(["no_such_field".to_owned()]).collect();
            let answer = self.ask(&operation.method, &url_of(operation), &body);
            let said = answer.json();
            let says_what_is_wanted = is_time
                || names
                    .iter()
                    .all(|name| said[name][0].as_str().is_some_and(|said| said.contains(TIME_WORDS)));
            // What is a time may still be one that there cannot be.
            let named = answer.named();
            let is_more = named.difference(&expected).any(|name| !names.contains(&name));
            if !named.is_superset(&expected) || is_more || !says_what_is_wanted {
                self.say("a time", operation, &body, &answer);
            }
        }
    }

    /// What a change answers with `null` it takes as `null`.
    fn walk_what_is_read_back(&mut self, operation: &Operation, fields: &Map<String, Value>) {
        let answer = operation.value.pointer("/responses/200/content/application~1json/schema");
        let (Some(answer), "PUT" | "PATCH") = (answer, operation.method.as_str()) else { return };
        let answer = self.resolved(answer);
        for (name, schema) in fields {
            if self.kind(&answer["properties"][name]).1 && !self.kind(schema).1 {
                self.wrong.push(format!("{operation}: {name} is answered with null, and not taken so"));
            }
        }
    }

    /// What only the server writes may be sent back as it was read.
    fn walk_what_is_passed_over(&mut self, operation: &Operation, required: &BTreeSet<String>) {
        let Some(names) = operation.value["x-passed-over"].as_array() else { return };
        let body: Map<String, Value> = names
            .iter()
            .map(|name| (name.as_str().unwrap().to_owned(), json!({ "some": ["thing"] })))
            .collect();
        let mut body = body;
        body.insert("no_such_field".to_owned(), 1.into());
        let expected = required.iter().cloned().chain(["no_such_field".to_owned()]).collect();
        self.names(operation, &Value::Object(body).to_string(), &expected);
    }

    fn walk_queries(&mut self) {
        for operation in self.operations() {
            if operation.path.ends_with("/schema/") {
                continue;
            }
            let parameters = operation.parameters("query");
            let mut wrong: Vec<(&str, Vec<String>)> = Vec::new();
            for (name, schema) in &parameters {
                let schema = if schema["type"] == "array" { &schema["items"] } else { schema };
                let (schema, is_nullable) = self.kind(schema);
                if is_nullable {
                    self.wrong.push(format!("{operation}: the parameter {name} cannot be null"));
                }
                let words = schema["enum"].is_array() || schema["oneOf"].is_array();
                let values: Vec<&str> = match (schema["type"].as_str(), schema["format"].as_str()) {
                    (Some("boolean"), _) => vec!["maybe", "2", "TRUE "],
                    (Some("integer"), _) => vec!["x", "1.5", "99999999999999999999999", "0x10"],
                    (_, Some("date-time")) => NO_TIMES.to_vec(),
                    (_, Some(_)) => vec!["no such thing", "-1", "%00"],
                    _ if words => vec!["no_such_word"],
                    _ if *name == "ordering" && schema["pattern"].is_string() => {
                        vec!["no_such_field", "-no_such_field", "pk,no_such_field", "--pk"]
                    }
                    _ => continue,
                };
                wrong.push((name, values.into_iter().map(str::to_owned).collect()));
            }
            for round in 0..wrong.iter().map(|(_, values)| values.len()).max().unwrap_or(1) {
                let pairs = wrong.iter().map(|(name, values)| (*name, values[round % values.len()].as_str()));
                let pairs: Vec<(&str, &str)> = pairs.chain([("no_such_parameter", "1")]).collect();
                let url = format!("{}?{}", url_of(&operation), query(&pairs));
                let answer = self.ask(&operation.method, &url, "");
                let missing: BTreeSet<String> = pairs
                    .iter()
                    .map(|(name, _)| (*name).to_owned())
                    .filter(|name| !answer.named().contains(name))
                    .collect();
                if !missing.is_empty() {
                    self.say(&format!("expected that {missing:?} are named"), &operation, &url, &answer);
                }
            }
            self.walk_what_is_taken(&operation);
        }
    }

    /// Truths as Python writes them, times in every form, and what is empty.
    fn walk_what_is_taken(&mut self, operation: &Operation) {
        let mut rounds: Vec<Vec<(&str, &str)>> = Vec::new();
        for (name, schema) in operation.parameters("query") {
            let values: Vec<&str> = match (schema["type"].as_str(), schema["format"].as_str()) {
                (Some("boolean"), _) => vec!["true", "True", "false", "False", ""],
                (_, Some("date-time")) => TIMES.to_vec(),
                _ => vec![""],
            };
            for (round, value) in values.into_iter().enumerate() {
                if rounds.len() <= round {
                    rounds.push(Vec::new());
                }
                rounds[round].push((name, value));
            }
        }
        for pairs in rounds {
            let url = format!("{}?{}&no_such_parameter=1", url_of(operation), query(&pairs));
            let answer = self.ask(&operation.method, &url, "");
            let required = |name: &str| {
                let parameters = operation.value["parameters"].as_array().unwrap();
                parameters.iter().any(|parameter| parameter["name"] == name && parameter["required"] == true)
            };
            let named = answer.named();
            if named.iter().any(|name| name != "no_such_parameter" && !required(name)) {
                self.say("expected that it is taken", operation, &url, &answer);
            }
        }
    }

    fn walk_paths(&mut self) {
        for operation in self.operations().iter().filter(|operation| operation.method == "GET") {
            // It is sent on to the row of the table, wherever it came from.
            let url = url_of(operation);
            let answer = self.ask("GET", url.trim_end_matches('/'), "");
            if answer.status != 308 {
                self.say("a path without its last slash", operation, &url, &answer);
            }
            if !operation.path.contains('{') {
                continue;
            }
            for odd in
                ["x", "-1", "+1", "01", "99999999999999999999", "%00", "%2F%2Felsewhere", "%FF", "..%2f"]
            {
                let parts = operation.path.split('/');
                let parts = parts.map(|part| if part.starts_with('{') { odd } else { part });
                let url = parts.collect::<Vec<&str>>().join("/");
                let answer = self.ask("GET", &url, "");
                // What is asked for besides may be missing.
                if ![400, 404].contains(&answer.status) {
                    self.say("an object that cannot be", operation, &url, &answer);
                }
            }
        }
    }

    /// Each list in each order that it says it has, both ways, to its end.
    fn walk_lists(&mut self) {
        let roles = self.ask("GET", "/api/v3/rbac/roles/?name=auditor", "").json();
        let role = roles["results"][0]["pk"].as_str().unwrap().to_owned();
        let mut lists = 0;
        for operation in self.operations() {
            let parameters = operation.value["parameters"].as_array().unwrap().clone();
            if !operation.parameters("query").iter().any(|(name, _)| *name == "page_size") {
                continue;
            }
            lists += 1;
            let mut asked = Vec::new();
            for parameter in parameters.iter().filter(|parameter| parameter["required"] == true) {
                asked.push(match parameter["name"].as_str().unwrap() {
                    "model" => ("model", "authentik_providers_ldap.ldapprovider"),
                    "uuid" => ("uuid", role.as_str()),
                    other => panic!("{operation}: {other}"),
                });
            }
            let pattern = operation.parameters("query").into_iter().find(|(name, _)| *name == "ordering");
            let pattern = pattern.and_then(|(_, schema)| schema["pattern"].as_str().map(str::to_owned));
            let Some(names) =
                pattern.as_deref().and_then(|pattern| pattern.strip_prefix("^-?(")?.split(')').next())
            else {
                self.wrong.push(format!("{operation}: it does not say by what it can be ordered"));
                continue;
            };
            let names: Vec<&str> = names.split('|').collect();
            let whole = self.pages(&operation, &asked, "100");
            if whole.len() < 3 && !operation.path.contains("/crypto/") {
                self.wrong.push(format!("{operation}: a list of {} shows nothing of its order", whole.len()));
            }
            let size = (whole.len() / 3).max(1).to_string();
            for name in &names {
                let back = format!("-{name}");
                let ordered = |walk: &mut Self, ordering: &str| {
                    walk.pages(&operation, &[asked.as_slice(), &[("ordering", ordering)]].concat(), &size)
                };
                let (forth, back) = (ordered(self, name), ordered(self, &back));
                let values =
                    |items: &[Value]| items.iter().map(|item| item[*name].clone()).collect::<Vec<_>>();
                let mut reversed = values(&back);
                reversed.reverse();
                if operation.path.contains("/events/") {
                    // It grows while it is looked at.
                    continue;
                }
                if keys(&forth) != keys(&whole) || keys(&back) != keys(&whole) {
                    let pages = format!("{:?}\n    {:?}\n    {:?}", keys(&forth), keys(&back), keys(&whole));
                    self.wrong.push(format!("{operation} by {name}: not each is there once\n    {pages}"));
                }
                // Who walks is seen meanwhile.
                if *name != "last_login" && values(&forth) != reversed {
                    let both = format!("{:?}\n    {reversed:?}", values(&forth));
                    self.wrong.push(format!("{operation} by {name}: not the same turned round\n    {both}"));
                }
            }
            let both = format!("{},-{}", names[names.len() - 1], names[0]);
            self.pages(&operation, &[asked.as_slice(), &[("ordering", both.as_str())]].concat(), &size);
        }
        assert!(lists >= 16, "{lists} lists");
    }

    /// All items of a list, a page after the other.
    fn pages(&mut self, operation: &Operation, asked: &[(&str, &str)], size: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut page = 1;
        while page != 0 {
            let number = page.to_string();
            let asked = [asked, &[("page_size", size), ("page", number.as_str())]].concat();
            let url = format!("{}?{}", operation.path, query(&asked));
            let answer = self.ask("GET", &url, "");
            let json = answer.json();
            let (Some(results), Some(next)) =
                (json["results"].as_array(), json["pagination"]["next"].as_u64())
            else {
                self.say("expected a page", operation, &url, &answer);
                return items;
            };
            items.extend(results.iter().cloned());
            assert!(items.len() < 10_000, "{operation} has no end");
            page = next;
        }
        items
    }

    #[track_caller]
    fn end(self) {
        let count = self.wrong.len();
        assert!(self.wrong.is_empty(), "{count} answers are wrong:\n{}", self.wrong.join("\n"));
    }
}

/// What tells the items of a list apart, in order.
fn keys(items: &[Value]) -> Vec<String> {
    let key = |item: &Value| {
        let key = ["pk", "role_pk", "id"].iter().map(|name| &item[*name]).find(|key| !key.is_null());
        key.unwrap_or_else(|| panic!("{item}")).to_string()
    };
    let mut keys: Vec<String> = items.iter().map(key).collect();
    keys.sort();
    keys
}

fn query(pairs: &[(&str, &str)]) -> String {
    let escaped = |text: &str| {
        text.bytes().fold(String::new(), |mut escaped, octet| {
            match octet {
                octet if octet.is_ascii_alphanumeric() || b"-_.~%".contains(&octet) => {
                    escaped.push(char::from(octet));
                }
                octet => write!(escaped, "%{octet:02X}").unwrap(),
            }
            escaped
        })
    };
    pairs.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect::<Vec<_>>().join("&")
}

#[test]
fn what_is_wrong_is_told_by_its_name_and_lists_are_as_the_document_says() {
    let (mut walk, server, _place) = Walk::start();
    walk.walk_bodies();
    walk.walk_queries();
    walk.walk_paths();
    walk.walk_lists();
    walk.end();
    drop(server);
}
