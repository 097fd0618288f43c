//! What clients of other directories take for granted, each asked of the real server as they ask it. Ends of connections
//! are in `endings`, clients at the wrong port in `mistaken`, the applications themselves in the program `programs`.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use ldap3::exop::{PasswordModify, WhoAmI};
use ldap3::{LdapConn, Scope, SearchEntry, SearchOptions};

use crate::support::{Place, SERVER, Server, secret_of};

const SEED: &str = r#"
[[provider]]
name = "new"
base_dn = "dc=new,dc=example"
default = true

[[provider]]
name = "old"
base_dn = "dc=old,dc=example"
virtual_groups = true

[[provider]]
name = "plain"
base_dn = "dc=plain,dc=example"
compatibility_attributes = false

[[role]]
name = "search"
permissions = ["search_full_directory"]

[[group]]
name = "staff"
members = ["alice", "bob", "jürgen"]

[[account]]
username = "alice"
password_file = "alice.password"
attributes = { manager = ["cn=bob,ou=users,dc=new,dc=example"] }

[[account]]
username = "bob"
attributes = { manager = ["cn=carol,ou=users,dc=new,dc=example"], secretary = ["cn=carol,ou=users,dc=new,dc=example"] }

[[account]]
username = "carol"
attributes = { manager = ["cn=alice,ou=users,dc=new,dc=example"], owner = ["cn=alice,ou=users,dc=new,dc=example"] }

[[account]]
username = "jürgen"

[[account]]
username = "reader"
type = "service_account"
roles = ["search"]
"#;

const PASSWORD: &str = "the password of alice";

struct Exact {
    place: Place,
    server: Server,
    ldap: LdapConn,
}

impl Exact {
    fn start() -> Self {
        let place = Place::new(SEED);
        place.write("alice.password", PASSWORD);
        let (server, secrets) = place.serve_first();
        let mut ldap = LdapConn::new(&server.url("ldap")).unwrap();
        ldap.simple_bind("reader", &secret_of(&secrets, "reader-app-password")).unwrap().success().unwrap();
        Self { place, server, ldap }
    }

    /// Changes an account by the local socket, as a call of the API.
    fn change(&self, account: &str, body: &str) {
        let number = &self.place.run(&["account", "show", account, "--json"]).exits(0).json()["pk"];
        let mut socket = UnixStream::connect(self.place.path("data/bindery.sock")).unwrap();
        let request = format!(
            "PATCH /api/v3/core/users/{number}/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        socket.write_all(request.as_bytes()).unwrap();
        let mut answer = [0; 12];
        socket.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
    }

    fn entries(&mut self, base: &str, filter: &str, attributes: &[&str]) -> Vec<SearchEntry> {
        let found = self.ldap.search(base, Scope::Subtree, filter, attributes).unwrap().success().unwrap().0;
        found.into_iter().map(SearchEntry::construct).collect()
    }

    /// The first RDNs of what is found below the suffix of a provider, in order.
    fn find(&mut self, provider: &str, filter: &str) -> Vec<String> {
        let found = self.entries(&format!("dc={provider},dc=example"), filter, &["1.1"]);
        let mut names: Vec<String> =
            found.into_iter().map(|entry| entry.dn.split(',').next().unwrap().to_owned()).collect();
        names.sort();
        names
    }
}

fn dn(name: &str) -> String {
    format!("cn={name},ou=users,dc=new,dc=example")
}

const PEOPLE: [&str; 5] = ["cn=alice", "cn=bob", "cn=carol", "cn=jürgen", "cn=reader"];

#[test]
fn classes_of_authentik_are_found() {
    let mut exact = Exact::start();
    for class in ["goauthentik.io/ldap/user", "GOAUTHENTIK.IO/LDAP/USER"] {
        let users = exact.find("new", &format!("(objectClass={class})"));
        assert_eq!(users, PEOPLE);
        let others = exact.find("new", &format!("(&(cn=*)(!(objectClass={class})))"));
        assert_eq!(others, ["cn=staff"]);
        assert!(exact.find("plain", &format!("(objectClass={class})")).is_empty());
    }
    assert_eq!(exact.find("new", "(objectClass=goauthentik.io/ldap/group)"), ["cn=staff"]);
    assert!(exact.find("new", "(objectClass=goauthentik.io/ldap/virtual-group)").is_empty());
    assert_eq!(exact.find("old", "(objectClass=goauthentik.io/ldap/virtual-group)"), PEOPLE);
    let shown = exact.entries("dc=new,dc=example", "(cn=alice)", &["objectClass"]);
    assert!(shown[0].attrs["objectClass"].iter().any(|class| class == "goauthentik.io/ldap/user"));
}

#[test]
fn clients_of_active_directory_find_what_they_look_for() {
    let mut exact = Exact::start();
    let person = "(&(objectCategory=person)(objectClass=user)(sAMAccountName=alice))";
    for provider in ["new", "old"] {
        assert_eq!(exact.find(provider, person), ["cn=alice"]);
    }
    assert!(exact.find("plain", person).is_empty());
    assert_eq!(exact.find("new", "(objectCategory=group)"), ["cn=staff"]);
    assert_eq!(exact.find("new", "(sAMAccountType=268435456)"), ["cn=staff"]);
    assert_eq!(exact.find("new", "(sAMAccountType=805306368)"), PEOPLE);
    assert_eq!(
        exact.find("new", "(&(cn=alice)(whenCreated>=20200101000000.0Z)(whenChanged=*))"),
        ["cn=alice"]
    );
    // To them it is the DN of the entry itself; to RFC 4519 all that is derived from it.
    let alice = |provider: &str| format!("(distinguishedName=cn=alice,ou=users,dc={provider},dc=example)");
    assert_eq!(exact.find("new", &alice("new")), ["cn=alice"]);
    assert_eq!(exact.find("plain", &alice("plain")), ["cn=staff"]);
}

#[test]
fn one_name_is_one_entry() {
    let mut exact = Exact::start();
    // A size limit that is exceeded would be an error of the search.
    let mut one = |provider: &str, filter: &str| {
        let base = format!("dc={provider},dc=example");
        let found = exact.ldap.with_search_options(SearchOptions::new().sizelimit(1));
        let found = found.search(&base, Scope::Subtree, filter, ["1.1"]).unwrap();
        (found.1.rc, found.0.len())
    };
    assert_eq!(one("new", "(cn=alice)"), (0, 1));
    assert_eq!(one("new", "(sAMAccountName=alice)"), (0, 1));
    assert_eq!(one("old", "(sAMAccountName=alice)"), (0, 1));
    assert_eq!(one("old", "(cn=alice)"), (4, 1));
}

#[test]
fn attributes_are_found_as_they_are_asked_for() {
    let mut exact = Exact::start();
    let mut found = exact.entries("dc=new,dc=example", "(cn=alice)", &["uid,cn,sn"]);
    let mut names: Vec<String> = found.remove(0).attrs.into_keys().collect();
    names.sort();
    assert_eq!(names, ["cn", "sn", "uid"]);
    // As authentik calls it, and as its outpost does.
    exact.change("alice", "{\"attributes\": {\"goauthentik.io/user/debug\": [\"on\"]}}");
    assert_eq!(exact.find("new", "(goauthentikio-user-debug=ON)"), ["cn=alice"]);
    for name in ["goauthentik.io/user/debug", "goauthentikio-user-debug"] {
        let found = exact.entries("dc=new,dc=example", "(cn=alice)", &[name]);
        assert_eq!(found[0].attrs["goauthentikio-user-debug"], ["on"], "{name}");
    }
    // Beyond ASCII too, of which the schema says that it may be.
    let found = exact.entries("dc=new,dc=example", "(memberUid=jürgen)", &["memberUid"]);
    assert!(found[0].attrs["memberUid"].contains(&"jürgen".to_owned()));
    let subschema = exact.ldap.search("cn=subschema", Scope::Base, "(objectClass=*)", ["attributeTypes"]);
    let subschema = SearchEntry::construct(subschema.unwrap().success().unwrap().0.remove(0));
    for name in ["memberUid", "homeDirectory"] {
        let published =
            subschema.attrs["attributeTypes"].iter().find(|text| text.contains(&format!("'{name}'")));
        let published = published.unwrap();
        assert!(
            published.contains("1.3.6.1.4.1.1466.115.121.1.15") && published.contains("X-ORIGIN"),
            "{published}"
        );
    }
}

#[test]
fn names_lead_on_in_chains() {
    let mut exact = Exact::start();
    let chain = |attribute: &str, to: &str| format!("({attribute}:1.2.840.113556.1.4.1941:={})", dn(to));
    // They go round.
    assert_eq!(exact.find("new", &chain("manager", "carol")), ["cn=alice", "cn=bob", "cn=carol"]);
    assert_eq!(exact.find("new", &chain("secretary", "carol")), ["cn=bob"]);
    assert_eq!(exact.find("new", &chain("owner", "alice")), ["cn=carol"]);
    assert!(exact.find("new", &chain("seeAlso", "alice")).is_empty());
    assert_eq!(exact.find("new", "(manager=cn=carol,ou=users,dc=new,dc=example)"), ["cn=bob"]);
}

#[test]
fn the_root_dse_is_found_by_what_it_holds() {
    let mut exact = Exact::start();
    let mut ask = |filter: &str| {
        let found = exact.ldap.search("", Scope::Base, filter, ["supportedLDAPVersion"]).unwrap();
        found.success().unwrap().0.len()
    };
    assert_eq!(ask("(supportedLDAPVersion=3)"), 1);
    assert_eq!(ask("(&(objectClass=top)(namingContexts=dc=new,dc=example))"), 1);
    assert_eq!(ask("(supportedLDAPVersion=2)"), 0);
}

#[test]
fn who_changes_the_password_stays_bound_and_raises_no_suspicion() {
    let exact = Exact::start();
    let bound = || {
        let mut ldap = LdapConn::new(&exact.server.url("ldap")).unwrap();
        ldap.simple_bind(&dn("alice"), PASSWORD).unwrap().success().unwrap();
        ldap
    };
    let (mut own, mut other) = (bound(), bound());
    let whom = |ldap: &mut LdapConn| {
        let (said, _) = ldap.extended(WhoAmI).unwrap().success().unwrap();
        String::from_utf8(said.val.unwrap_or_default()).unwrap()
    };
    // The user who is named by nothing is the one that is bound.
    let change =
        PasswordModify { user_id: Some(""), old_pass: Some(PASSWORD), new_pass: Some("another password") };
    own.extended(change).unwrap().success().unwrap();
    assert_eq!(whom(&mut own), format!("dn:{}", dn("alice")));
    let found = own.search(&dn("alice"), Scope::Base, "(objectClass=*)", ["1.1"]).unwrap();
    assert_eq!(found.success().unwrap().0.len(), 1);
    // Others have lost it.
    assert_eq!(whom(&mut other), "");
    assert_eq!(other.search(&dn("alice"), Scope::Base, "(objectClass=*)", ["1.1"]).unwrap().1.rc, 50);
    let Exact { place, server, .. } = exact;
    server.stop();
    let failures = place.run(&["event", "list", "--trail", "failures", "--json"]).exits(0).stdout;
    assert!(!failures.contains("suspicious_request"), "{failures}");
}

#[test]
fn a_number_of_two_people_is_told_and_left_out() {
    let place = Place::new(SEED);
    place.write("alice.password", PASSWORD);
    place.run(&["apply", "--json"]).exits(0);
    let person = |name: &str| {
        format!(
            "dn: uid={name},ou=people,dc=new,dc=example\nobjectClass: inetOrgPerson\nobjectClass: posixAccount\n\
             uid: {name}\ncn: {name}\nsn: {name}\nuidNumber: 4000\ngidNumber: 4000\nhomeDirectory: /home/{name}\n\n"
        )
    };
    let both = |first: &str, second: &str| person(first) + &person(second);
    let import = |ldif: &str, more: &[&str]| {
        let arguments = [&["import", "-", "--users", "ou=people:uid", "--json"], more].concat();
        place.run_with_input(&arguments, ldif).exits(0).json()
    };
    let report = import(&both("dora", "emil"), &[]);
    assert_eq!(report["users"], 2, "{report:#}");
    assert!(report.to_string().contains("--allow-shared-numbers"), "{report:#}");
    let report = import(&both("fred", "gina"), &["--allow-shared-numbers"]);
    assert_eq!(report["users"], 2, "{report:#}");
    assert!(!report.to_string().contains("--allow-shared-numbers"), "{report:#}");
}

#[test]
fn mapped_addresses_are_listened_on_and_names_of_hosts_are_not() {
    let place = Place::new(SEED);
    place.write("alice.password", PASSWORD);
    place
        .write("bindery.toml", &format!("{}\n{SEED}", SERVER.replace("127.0.0.1:0", "[::ffff:127.0.0.1]:0")));
    place.run(&["check"]).exits(0);
    let (server, _) = place.serve_first();
    let mut ldap = LdapConn::new(&server.url("ldap")).unwrap();
    assert_eq!(
        ldap.search("", Scope::Base, "(objectClass=*)", ["1.1"]).unwrap().success().unwrap().0.len(),
        1
    );
    drop(server);
    place.edit("[::ffff:127.0.0.1]:0", "localhost:389");
    place.run(&["check"]).exits(3).says(&["localhost:389"]);
}
