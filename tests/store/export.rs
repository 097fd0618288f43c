//! Export through the real binary: what another directory held comes out again, an export makes the same directory
//! again, and no secret is ever written.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;

use crate::support::{Place, SEED};
use bindery::inside::ldif::{LdifReader, Record};
use bindery::inside::schema::{Dn, Schema};

const SLAPCAT: &str = include_str!("../data/slapcat.ldif");

const PROVIDER: &str = r#"
[[provider]]
name = "main"
base_dn = "dc=example,dc=com"
default = true
virtual_groups = true
users = [{ container = "ou=users", naming = "cn" }, { container = "ou=people", naming = "uid" }]
service_accounts = [{ container = "ou=users", naming = "cn" }, { container = "ou=services", naming = "cn" }]
groups = [{ container = "ou=groups", naming = "cn" }]
"#;

/// What a provider makes of itself beside what comes from elsewhere.
const MORE: &str = r#"
[[attribute]]
name = "employeeBadge"
syntax = "integer"

[[group]]
name = "everybody here"
members = ["carol", "dave"]
attributes = { description = ["All", "Both"], gidNumber = ["900"] }

[[group]]
name = "admins"
members = ["carol"]
parents = ["everybody here"]

[[account]]
username = "carol"
name = "Carol Clark"
email = "carol@example.com"
attributes = { employeeBadge = ["17"], "sn;lang-de" = ["Klark"] }

[[account]]
username = "dave"
type = "external"
is_active = false
attributes = { gidNumber = ["900"], uidNumber = ["901"], mail = ["d@example.com"] }

[[account]]
username = "erin"

[[account]]
username = "portal"
type = "service_account"
create_group = true

[[account]]
username = "cloud"
type = "service_account"
expiring = false
"#;

/// Entries by the normal forms of their names.
type Entries = BTreeMap<String, Entry>;
/// Values by attribute descriptions in lower case; names among them in normal form.
type Entry = BTreeMap<String, BTreeSet<Vec<u8>>>;

fn records(ldif: &str) -> Vec<Record> {
    LdifReader::new(ldif.as_bytes()).collect::<Result<_, _>>().unwrap()
}

fn normal(dn: &[u8]) -> String {
    let dn = Dn::parse(dn).unwrap_or_else(|error| panic!("{}: {error}", dn.escape_ascii()));
    String::from_utf8_lossy(dn.normal_form(&Schema::core()).as_bytes()).into_owned()
}

fn entries(ldif: &str) -> Entries {
    let mut entries = Entries::new();
    for record in records(ldif) {
        let mut entry = Entry::new();
        for (description, value) in &record.attributes {
            let description = description.to_lowercase();
            let is_name = ["member", "uniquemember"].contains(&description.as_str());
            let value = if is_name { normal(value).into_bytes() } else { value.clone() };
            let is_new = entry.entry(description.clone()).or_default().insert(value);
            assert!(is_new, "{} has a value of {description} twice", record.dn);
        }
        assert!(
            entries.insert(normal(record.dn.as_bytes()), entry).is_none(),
            "{} is there twice",
            record.dn
        );
    }
    entries
}

fn export(place: &Place, arguments: &[&str]) -> String {
    let all: Vec<&str> =
        ["export", "--format", "ldif"].into_iter().chain(arguments.iter().copied()).collect();
    let done = place.run(&all).exits(0);
    let remarks = done.stdout.lines().filter_map(|line| line.strip_prefix("# "));
    assert_eq!(done.stderr, remarks.map(|remark| format!("{remark}\n")).collect::<String>());
    done.stdout
}

/// What an import did not take over, as its report tells: attributes of entries, and memberships.
struct LeftOut(BTreeMap<String, (u64, Vec<String>)>);

impl LeftOut {
    fn of(report: &serde_json::Value) -> Self {
        let reasons = report["left_out"].as_object().unwrap().iter().map(|(reason, left_out)| {
            let examples = left_out["examples"].as_array().unwrap();
            let examples = examples.iter().map(|example| example.as_str().unwrap().to_owned()).collect();
            (reason.clone(), (left_out["count"].as_u64().unwrap(), examples))
        });
        Self(reasons.collect())
    }

    fn names(&self, dn: &str, attribute: &str, value: &[u8]) -> bool {
        self.0.iter().any(|(reason, (count, examples))| {
            if reason.starts_with("a membership: ") {
                return examples.iter().any(|example| normal(example.as_bytes()).as_bytes() == value);
            }
            let about = reason.to_lowercase();
            let is_about = about.starts_with(&format!("the attribute {attribute}:"))
                || about.starts_with(&format!("the attribute {attribute} of a container:"));
            // Not every example of a frequent reason is told.
            let is_told = *count > examples.len() as u64
                || examples.iter().any(|example| normal(example.as_bytes()) == dn);
            is_about && is_told
        })
    }
}

/// Every name, every attribute and every value is there again, but for those that the report of the import names.
#[test]
fn what_openldap_held_comes_out_again() {
    let place = Place::new(PROVIDER);
    let server = place.serve(&[]);
    place.write("in.ldif", SLAPCAT);
    let report = place.run(&["import", "in.ldif", "--json"]).exits(0).json();
    assert_eq!(report["stopped"], serde_json::Value::Null);
    let left_out = LeftOut::of(&report);
    let text = export(&place, &[]);
    let exported = entries(&text);
    let mut lost = Vec::new();
    let mut kept = 0;
    for (dn, entry) in &entries(SLAPCAT) {
        let Some(found) = exported.get(dn) else {
            lost.push(format!("{dn} is not there"));
            continue;
        };
        for (attribute, values) in entry {
            for value in values {
                // It is kept as a hash, and shown to nobody.
                let is_password = attribute == "userpassword";
                if found.get(attribute).is_some_and(|found| found.contains(value)) {
                    assert!(!is_password, "{dn} shows a password");
                    kept += 1;
                } else if !is_password && !left_out.names(dn, attribute, value) {
                    lost.push(format!("{dn} {attribute}: {}", value.escape_ascii()));
                }
            }
        }
    }
    assert!(lost.is_empty(), "{lost:#?}\n{report:#}");
    assert!(kept > 200, "{kept}");
    // Clients compare DNs as strings: they keep their spelling, but for escapes that RFC 4514 does not ask for.
    let spelled: BTreeSet<String> = records(&text).into_iter().map(|record| record.dn).collect();
    for record in records(SLAPCAT) {
        let plain = Dn::parse(record.dn.as_bytes()).unwrap().to_string();
        assert!(spelled.contains(&plain), "{plain} is spelled another way");
    }

    // Nothing is computed or made for compatibility but who is in a group.
    for (dn, entry) in &exported {
        for hidden in ["memberof", "samaccountname", "useraccountcontrol", "entrydn", "ak-active"] {
            assert!(!entry.contains_key(hidden), "{dn} {hidden}");
        }
        assert!(!dn.contains("virtual-groups"), "{dn}");
        let classes = entry["objectclass"].iter().map(|class| String::from_utf8_lossy(class));
        assert!(!classes.into_iter().any(|class| class == "user" || class == "group"), "{dn}");
    }
    // Nor is anything added that only fits a class that was.
    for (dn, added) in [
        ("cn=postmaster,ou=services,dc=example,dc=com", "uid"),
        ("cn=grafana,ou=services,dc=example,dc=com", "uid"),
        ("cn=users,ou=groups,dc=example,dc=com", "member"),
        ("cn=builders,ou=groups,dc=example,dc=com", "member"),
    ] {
        assert!(!exported[dn].contains_key(added), "{dn} {added}");
    }
    let all = entries(&export(&place, &["--all"]));
    assert!(all.keys().any(|dn| dn.contains("virtual-groups")));
    let alice = &all["uid=alice,ou=people,dc=example,dc=com"];
    for shown in ["memberof", "samaccountname", "useraccountcontrol", "entrydn", "structuralobjectclass"] {
        assert!(alice.contains_key(shown), "{shown}");
    }

    // Without the server it is the same, octet by octet.
    assert!(server.stop().0.success());
    let done = place.run(&["export", "--format", "ldif", "--output", "out.ldif"]).exits(0);
    assert!(done.stdout.is_empty() && done.stderr.contains("out.ldif"), "{}{}", done.stdout, done.stderr);
    assert_eq!(place.read("out.ldif"), text);
    assert_eq!(std::fs::metadata(place.path("out.ldif")).unwrap().permissions().mode() & 0o777, 0o600);
}

/// Into an empty server an export makes the directory again, derived numbers and virtual groups included.
#[test]
fn an_export_makes_the_same_directory_again() {
    let place = Place::new(&format!("{PROVIDER}{MORE}"));
    let server = place.serve(&["--secrets-file", "secrets.json"]);
    place.write("in.ldif", SLAPCAT);
    place.run(&["import", "in.ldif", "--allow-system-numbers", "--json"]).exits(0);
    let exported = export(&place, &[]);
    let first = (entries(&exported), entries(&export(&place, &["--all"])));
    assert!(server.stop().0.success());

    let other = Place::new(PROVIDER);
    let server = other.serve(&[]);
    other.write("out.ldif", &exported);
    let report =
        other.run(&["import", "out.ldif", "--restore", "--allow-system-numbers", "--json"]).exits(0).json();
    assert_eq!(report["stopped"], serde_json::Value::Null);
    let second = (entries(&export(&other, &[])), entries(&export(&other, &["--all"])));
    drop(server);
    same(&first.0, &second.0);
    same(&first.1, &second.1);
    let virtual_group = &second.1["cn=carol,ou=virtual-groups,dc=example,dc=com"];
    assert_eq!(virtual_group["gidnumber"], second.1["cn=carol,ou=users,dc=example,dc=com"]["gidnumber"]);
    let dave = &second.1["cn=dave,ou=users,dc=example,dc=com"];
    assert_eq!(dave["ak-active"], BTreeSet::from([b"FALSE".to_vec()]), "whoever was locked still is");
}

/// Whether two exports hold the same. The suffix and the containers are made by the provider, with the time and the
/// identity of their own.
#[track_caller]
fn same(one: &Entries, other: &Entries) {
    let names = |entries: &Entries| entries.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(one), names(other));
    for (dn, entry) in one {
        let is_container = !entry.contains_key("uid")
            && entry["objectclass"].iter().any(|class| {
                ["organization", "organizationalUnit"].contains(&String::from_utf8_lossy(class).as_ref())
            });
        let values = |entry: &Entry| {
            let mut entry = entry.clone();
            if is_container {
                let is_of_its_own = |attribute: &str| {
                    attribute.ends_with("timestamp")
                        || ["entryuuid", "whencreated", "whenchanged"].contains(&attribute)
                };
                entry.retain(|attribute, _| !is_of_its_own(attribute));
            }
            entry
        };
        assert_eq!(values(entry), values(&other[dn]), "{dn}");
    }
}

#[test]
fn the_json_document_holds_the_model_and_no_secret() {
    let place = Place::new(&format!(
        "{SEED}
[[application]]
slug = \"cloud\"
provider = \"ldap\"
publisher = \"Example\"
bindings = [
    {{ group = \"engineering\" }},
    {{ networks = [\"10.0.0.0/8\"], order = 1 }},
    {{ days = [\"mon\", \"fri\"], from = \"08:00\", timezone = \"Europe/Berlin\", negate = true }},
]

[[token]]
identifier = \"chosen\"
account = \"portal\"
secret_env = \"CHOSEN\"
expiring = false
"
    ));
    let applied =
        place.command(&["apply", "--json"]).env("CHOSEN", "a secret of one's own").output().unwrap();
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
    let applied: serde_json::Value = serde_json::from_slice(&applied.stdout).unwrap();
    let carol = "dn: uid=carol,ou=people,dc=ldap,dc=example,dc=com\nobjectClass: inetOrgPerson\nuid: carol\ncn: C\n\
                 sn: C\nblob:: /9j/\nshoeSize: 41\nuserPassword: hunter2-in-clear\n";
    place.run_with_input(&["import", "-", "--users", "ou=people:uid"], carol).exits(0);
    let done = place.run(&["export", "--format", "json"]).exits(0);
    let document = done.json();
    let named = |list: &str, key: &str, name: &str| -> serde_json::Value {
        let found = document[list].as_array().unwrap().iter().find(|one| one[key] == name);
        found.unwrap_or_else(|| panic!("no {name} among {list}: {document:#}")).clone()
    };
    let carol = named("accounts", "username", "carol");
    assert_eq!((&carol["has_password"], &carol["type"]), (&true.into(), &"internal".into()));
    assert_eq!(carol["attributes"]["shoeSize"][0], "41");
    assert_eq!(carol["placements"][0]["rdn"], "uid=carol");
    let service = named("accounts", "username", "ldapservice");
    assert_eq!((&service["type"], &service["roles"][0]), (&"service_account".into(), &"ldap-search".into()));
    assert_eq!(named("groups", "name", "engineering")["members"][0], "alice");
    assert_eq!(named("roles", "name", "ldap-search")["permissions"][0]["on"], "provider:ldap");
    assert_eq!(named("attributes", "name", "shoeSize")["syntax"], "directory_string");
    let cloud = named("applications", "slug", "cloud");
    assert_eq!((&cloud["publisher"], &cloud["hide"]), (&"Example".into(), &false.into()));
    let bindings = &cloud["bindings"];
    assert_eq!(bindings[0]["group"], "engineering");
    assert!(bindings[0]["uuid"].as_str().is_some_and(|uuid| uuid.len() == 36), "{bindings:#}");
    assert_eq!(bindings[1]["networks"], serde_json::json!(["10.0.0.0/8"]));
    let window = &bindings[2];
    assert_eq!(window["days"], serde_json::json!(["mon", "fri"]));
    assert_eq!((&window["from"], &window["to"]), (&"08:00".into(), &"24:00".into()));
    assert_eq!((&window["timezone"], &window["negate"]), (&"Europe/Berlin".into(), &true.into()));
    assert_eq!(named("providers", "name", "ldap")["base_dn"], "dc=ldap,dc=example,dc=com");
    let token = named("tokens", "identifier", "chosen");
    assert_eq!((&token["account"], &token["expires"]), (&"portal".into(), &serde_json::Value::Null));

    let ldif = export(&place, &["--all"]);
    for text in [&done.stdout, &ldif] {
        for secret in ["hunter2", "argon2", "one's own", "selector", "\"hash\""] {
            assert!(!text.contains(secret), "{secret}");
        }
        for secret in applied["secrets"].as_array().unwrap() {
            let secret = secret["secret"].as_str().unwrap();
            assert!(secret.len() > 20 && !text.contains(&secret[..20]), "{secret}");
        }
    }
}

/// To RFC 2307 a name in memberUid and in homeDirectory is ASCII. Here it is not, and an export says so.
#[test]
fn an_export_says_what_another_directory_may_refuse() {
    let people = r#"
[[group]]
name = "staff"
members = ["zoë", "carol"]

[[account]]
username = "zoë"

[[account]]
username = "carol"
"#;
    let place = Place::new(&format!("{PROVIDER}{people}"));
    place.run(&["apply"]).exits(0);
    place.run(&["account", "set", "zoë", "--attribute", "x_odd=1", "--attribute", "a/b=2"]).exits(0);
    let text = export(&place, &[]);
    let remarks: Vec<&str> = text.lines().filter(|line| line.starts_with('#')).collect();
    let told = |name: &str| remarks.iter().filter(|remark| remark.contains(name)).count();
    assert_eq!(
        (remarks.len(), told(" memberUid: "), told(" homeDirectory: "), told(" x_odd: ")),
        (3, 1, 1, 1),
        "{remarks:#?}"
    );
    assert!(text.contains("\na-b: 2\n"), "{text}");
    assert_eq!(records(&text).len(), entries(&text).len());
    let other = Place::new(PROVIDER);
    other.run(&["apply"]).exits(0);
    other.write("out.ldif", &text);
    let report = other.run(&["import", "out.ldif", "--restore", "--json"]).exits(0).json();
    assert_eq!((&report["users"], &report["stopped"]), (&2.into(), &serde_json::Value::Null), "{report:#}");
    // All that it tells is ASCII: nothing is to be told.
    let plain = Place::new(&format!("{PROVIDER}{}", people.replace("zoë", "zoe")));
    plain.run(&["apply"]).exits(0);
    assert!(!export(&plain, &[]).contains('#'));
}

#[test]
fn an_export_is_refused_in_words() {
    let place = Place::new(SEED);
    place.run(&["export", "--format", "ldif"]).exits(1).says(&["no store"]);
    place.run(&["apply"]).exits(0);
    place.run(&["export"]).exits(2).says(&["--format"]);
    place.run(&["export", "--format", "xml"]).exits(2).says(&["ldif, json"]);
    place.run(&["export", "--format", "json", "--all"]).exits(2).says(&["--all"]);
    place.run(&["export", "--format", "ldif", "--json"]).exits(2).says(&["--output"]);
    place.run(&["export", "--format", "ldif", "--provider", "none"]).exits(1).says(&["`none`"]);
    place.run(&["export", "--format", "ldif", "--output", "none/x"]).exits(1).says(&["none/x"]);
    place.run(&["export", "--format", "ldif", "--provider", "none", "--output", "x"]).exits(1);
    let document =
        place.run(&["export", "--format", "ldif", "--provider", "ldap", "--output", "x", "--json"]);
    assert_eq!(document.exits(0).json()["output"], "x");
    let left: Vec<String> = std::fs::read_dir(place.path("."))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with('x'))
        .collect();
    assert_eq!(left, ["x"], "no half of an export stays");

    // Nothing is replaced unasked, a link leads to its file, and a pipe stays one.
    let to = |file: &'static str, more: &[&'static str]| {
        place.run(&[&["export", "--format", "json", "--output", file], more].concat())
    };
    let before = place.read("x");
    to("x", &[]).exits(1).says(&["x exists already", "--force"]);
    assert_eq!(place.read("x"), before);
    std::os::unix::fs::symlink("x", place.path("link")).unwrap();
    to("link", &["--force"]).exits(0);
    assert!(place.path("link").symlink_metadata().unwrap().is_symlink());
    assert!(serde_json::from_str::<serde_json::Value>(&place.read("x")).unwrap().is_object());
    let pipe = place.path("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::from(0o600), 0)
        .unwrap();
    let reader = std::thread::spawn(move || std::fs::read_to_string(pipe).unwrap());
    to("pipe", &[]).exits(0);
    let read: serde_json::Value = serde_json::from_str(&reader.join().unwrap()).unwrap();
    assert!(read["accounts"].is_array(), "{read:#}");
    place.run(&["backup", "pipe", "--force"]).exits(1).says(&["pipe is a pipe"]);
    assert!(!place.path("pipe").symlink_metadata().unwrap().is_file());
}
