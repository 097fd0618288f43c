//! Rights and credentials that change while clients are connected, with the `ldap3` crate as the client.

use crate::support::{BASE, Place, SEED, Server, secret_of};
use ldap3::{LdapConn, Scope, SearchEntry};

struct Fixture {
    place: Place,
    server: Server,
    secrets: serde_json::Value,
}

impl Fixture {
    /// `tester` holds the role as `ldapservice` does.
    fn start() -> Self {
        let seed = format!(
            "{SEED}\n[[account]]\nusername = \"tester\"\ntype = \"service_account\"\nroles = [\"ldap-search\"]\n"
        );
        let place = Place::new(&seed);
        let (server, secrets) = place.serve_first();
        Self { secrets, place, server }
    }

    fn secret(&self, account: &str) -> String {
        secret_of(&self.secrets, &format!("{account}-app-password"))
    }

    fn connect(&self, account: &str, secret: &str) -> LdapConn {
        let mut ldap = LdapConn::new(&self.server.url("ldap")).unwrap();
        let name = format!("cn={account},ou=users,{BASE}");
        ldap.simple_bind(&name, secret).unwrap().success().unwrap();
        ldap
    }
}

/// The names of all entries that a search over everything finds, or the code that it ends with.
fn everything(ldap: &mut LdapConn) -> Result<Vec<String>, u32> {
    let result = ldap.search(BASE, Scope::Subtree, "(cn=*)", vec!["cn"]).unwrap();
    match result.1.rc {
        0 => {
            let mut names: Vec<String> =
                result.0.into_iter().map(|entry| SearchEntry::construct(entry).dn).collect();
            names.sort();
            Ok(names)
        }
        code => Err(code),
    }
}

fn code_of_bind(fixture: &Fixture, account: &str, secret: &str) -> u32 {
    let mut ldap = LdapConn::new(&fixture.server.url("ldap")).unwrap();
    ldap.simple_bind(&format!("cn={account},ou=users,{BASE}"), secret).unwrap().rc
}

#[test]
fn a_role_taken_away_shows_only_oneself_from_the_next_search_on() {
    let fixture = Fixture::start();
    let mut service = fixture.connect("ldapservice", &fixture.secret("ldapservice"));
    let mut tester = fixture.connect("tester", &fixture.secret("tester"));
    let all = everything(&mut service).unwrap();
    assert_eq!(everything(&mut tester).unwrap(), all);
    assert!(all.contains(&format!("cn=alice,ou=users,{BASE}")), "{all:?}");

    // Both hold it through the role: the role goes.
    fixture.place.edit(
        "permissions = [{ permission = \"search_full_directory\", on = \"provider:ldap\" }]",
        "permissions = []",
    );
    fixture.place.run(&["apply"]).exits(0);
    for (account, ldap) in [("ldapservice", &mut service), ("tester", &mut tester)] {
        let own = everything(ldap).unwrap();
        assert_eq!(own, [format!("cn={account},ou=users,{BASE}")]);
    }
    // And comes back, for one of them, on the account itself.
    fixture.place.edit(
        "username = \"tester\"\ntype = \"service_account\"\nroles = [\"ldap-search\"]",
        "username = \"tester\"\ntype = \"service_account\"\npermissions = [\"search_full_directory\"]",
    );
    fixture.place.run(&["apply"]).exits(0);
    assert_eq!(everything(&mut tester).unwrap(), all);
    assert_eq!(everything(&mut service).unwrap().len(), 1);
}

#[test]
fn a_revoked_token_ends_the_connection_s_identity_and_binds_no_more() {
    let fixture = Fixture::start();
    let secret = fixture.secret("ldapservice");
    let mut ldap = fixture.connect("ldapservice", &secret);
    let mut other = fixture.connect("tester", &fixture.secret("tester"));
    everything(&mut ldap).unwrap();
    fixture.place.run(&["token", "revoke", "ldapservice-app-password"]).exits(0);
    assert_eq!(everything(&mut ldap), Err(50));
    assert_eq!(ldap.compare(&format!("cn=alice,ou=users,{BASE}"), "cn", "alice").unwrap().0.rc, 50);
    assert_eq!(code_of_bind(&fixture, "ldapservice", &secret), 49);
    // Somebody else's goes on.
    everything(&mut other).unwrap();
}

#[test]
fn a_token_that_expires_while_connected_is_refused_from_that_second_on() {
    let fixture = Fixture::start();
    let made = fixture
        .place
        .run(&["--json", "token", "create", "short", "--account", "ldapservice", "--expires", "3s"])
        .exits(0)
        .json();
    let secret = made["secret"].as_str().unwrap();
    let expires: jiff::Timestamp = made["expires"].as_str().unwrap().parse().unwrap();
    let mut ldap = fixture.connect("ldapservice", secret);
    everything(&mut ldap).unwrap();
    while jiff::Timestamp::now() < expires {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(everything(&mut ldap), Err(50));
    assert_eq!(code_of_bind(&fixture, "ldapservice", secret), 49);
    assert_eq!(code_of_bind(&fixture, "ldapservice", &fixture.secret("ldapservice")), 0);
}

#[test]
fn an_inactive_account_is_refused_and_may_come_back() {
    let fixture = Fixture::start();
    let secret = fixture.secret("ldapservice");
    let mut ldap = fixture.connect("ldapservice", &secret);
    fixture.place.run(&["account", "deactivate", "ldapservice"]).exits(0);
    assert_eq!(everything(&mut ldap), Err(50));
    assert_eq!(code_of_bind(&fixture, "ldapservice", &secret), 49);
    fixture.place.run(&["account", "activate", "ldapservice"]).exits(0);
    assert_eq!(code_of_bind(&fixture, "ldapservice", &secret), 0);
}

#[test]
fn a_failed_bind_leaves_nobody_bound() {
    let fixture = Fixture::start();
    let mut ldap = fixture.connect("ldapservice", &fixture.secret("ldapservice"));
    let name = format!("cn=ldapservice,ou=users,{BASE}");
    assert_eq!(ldap.simple_bind(&name, "wrong").unwrap().rc, 49);
    assert_eq!(everything(&mut ldap), Err(50));
}

#[test]
fn changes_show_up_in_the_next_search() {
    let fixture = Fixture::start();
    let mut ldap = fixture.connect("ldapservice", &fixture.secret("ldapservice"));
    fixture.place.edit("name = \"Bob Brown\"", "name = \"Bob Brown\"\nemail = \"bob@new.example\"");
    fixture.place.edit("members = [\"alice\"]", "members = [\"alice\", \"bob\"]");
    fixture.place.run(&["apply"]).exits(0);
    let filter = format!("(&(mail=bob@new.example)(memberOf=cn=engineering,ou=groups,{BASE}))");
    let (found, _) = ldap.search(BASE, Scope::Subtree, &filter, vec!["1.1"]).unwrap().success().unwrap();
    assert_eq!(found.len(), 1);
}

#[test]
fn an_imported_scheme_is_re_hashed_at_the_first_success_and_the_seed_knows_it_still() {
    let place = Place::new(SEED);
    place.edit(
        "email = \"alice@example.com\"",
        "email = \"alice@example.com\"\npassword_hash = \"{SSHA}+cdSA0Oeaq1YaCpHYYvOwa6YbMJzYWx0c2FsdA==\"",
    );
    let (server, secrets) = place.serve_first();
    let fixture = Fixture { secrets, place, server };
    assert_eq!(code_of_bind(&fixture, "alice", "wrong"), 49);
    for _ in 0..2 {
        assert_eq!(code_of_bind(&fixture, "alice", "alice-secret"), 0);
    }
    // The new hash is committed a moment after the answer; a change that waits behind it is told after it.
    fixture.place.run(&["token", "create", "later", "--account", "portal", "--json"]).exits(0);
    let again = fixture.place.run(&["apply"]).exits(0);
    assert!(
        !again.stdout.contains("alice") && !again.stderr.contains("alice"),
        "{}{}",
        again.stdout,
        again.stderr
    );
    assert_eq!(code_of_bind(&fixture, "alice", "alice-secret"), 0);
    // A person without the right sees itself and its groups, with itself as the only member.
    let mut alice = fixture.connect("alice", "alice-secret");
    let own = everything(&mut alice).unwrap();
    assert!(own.contains(&format!("cn=engineering,ou=groups,{BASE}")) && own.len() == 2, "{own:?}");
}

#[test]
fn networks_of_an_application_say_from_where() {
    let fixture = Fixture::start();
    let secret = fixture.secret("portal");
    let application = |networks: &str| {
        format!(
            "\n[[application]]\nslug = \"office\"\nprovider = \"ldap\"\nbindings = [{{ networks = [\"{networks}\"] }}]\n"
        )
    };
    let config = fixture.place.read("bindery.toml");
    let apply = |networks: &str| {
        fixture.place.write("bindery.toml", &format!("{config}{}", application(networks)));
        fixture.place.run(&["apply"]).exits(0).stdout
    };
    apply("127.0.0.0/8");
    let mut ldap = fixture.connect("portal", &secret);
    everything(&mut ldap).unwrap();

    let told = apply("10.0.0.0/8");
    assert!(told.contains("networks 127.0.0.0/8") && told.contains("networks 10.0.0.0/8"), "{told}");
    assert_eq!(everything(&mut ldap), Err(50));
    assert_eq!(code_of_bind(&fixture, "portal", &secret), 50);
    assert_eq!(code_of_bind(&fixture, "portal", "wrong"), 49);
    let explain = |arguments: &[&str]| {
        let all = [&["access", "explain", "portal"], arguments].concat();
        fixture.place.run(&all).exits(0).stdout
    };
    let told = explain(&["--source", "127.0.0.1"]);
    for piece in ["from 127.0.0.1, at ", "may not bind", "the source 127.0.0.1 is in none of 10.0.0.0/8"] {
        assert!(told.contains(piece), "{told}");
    }
    let told = explain(&["--source", "10.2.0.7", "--at", "2027-11-18T10:00:00Z"]);
    for piece in
        ["from 10.2.0.7, at 2027-11-18T10:00:00Z\n", "portal on ldap", "may bind", "a binding passes"]
    {
        assert!(told.contains(piece), "{told}");
    }
    let told = explain(&[]);
    assert!(told.contains("from no known source") && told.contains("there is no source address"), "{told}");

    apply("127.0.0.0/8");
    everything(&mut ldap).unwrap();
}
