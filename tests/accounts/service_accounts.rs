//! What only people may do is refused to a service account with the reason, by every door; and who is deactivated or deleted
//! is so on every connection.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::octets::{connect, element, final_code, message, read_message};
use crate::support::{BASE, Place, SEED, Server, plain, secret_of};
use bindery::inside::model::{Account, AccountKind, Change, Record};
use bindery::inside::store::{Batch, DiskStore, Store};
use ldap3::exop::PasswordModify;
use ldap3::{LdapConn, LdapResult, Scope};
use serde_json::{Value, json};

/// A server, and the API token of somebody who may do everything: what is refused to them is refused for its own sake.
pub(super) struct Doors {
    pub(super) place: Place,
    server: Server,
    secrets: Value,
    superuser: String,
}

impl Doors {
    pub(super) fn start() -> Self {
        let place = Place::new(&format!(
            "{SEED}\n[[group]]\nname = \"admins\"\nis_superuser = true\nmembers = [\"alice\"]\n"
        ));
        place.run(&["apply", "--secrets-file", "secrets.json"]).exits(0);
        let secrets = crate::support::read_secrets(&place.path("secrets.json"));
        Self::over(place, secrets)
    }

    fn over(place: Place, secrets: Value) -> Self {
        let server = place.serve(&["--ldap", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
        let superuser = api_token(&place, "alice");
        Self { place, server, secrets, superuser }
    }

    fn secret(&self, account: &str) -> String {
        secret_of(&self.secrets, &format!("{account}-app-password"))
    }

    pub(super) fn number(&self, account: &str) -> String {
        self.place.run(&["account", "show", account, "--json"]).exits(0).json()["pk"].to_string()
    }

    /// A call of the API as whom this secret belongs to: the status, and what the answer says.
    pub(super) fn call(&self, secret: &str, method: &str, path: &str, body: &Value) -> (u16, String) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let authorization =
            if secret.is_empty() { String::new() } else { format!("Authorization: Bearer {secret}\r\n") };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{authorization}\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(self.server.address("http")).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }

    pub(super) fn call_as_superuser(&self, method: &str, path: &str, body: &Value) -> (u16, String) {
        self.call(&self.superuser, method, path, body)
    }

    /// A call of the superuser that is refused, with a reason in which this stands.
    #[track_caller]
    fn is_refused(&self, method: &str, path: &str, body: &Value, status: u16, reason: &str) {
        let (found, said) = self.call(&self.superuser, method, path, body);
        assert!(found == status && said.contains(reason), "{method} {path} {body}: {found} {said}");
    }

    /// `apply` of a changed config is refused with a reason, and so is it without a server.
    #[track_caller]
    fn config_is_refused(&self, old: &str, new: &str, reason: &str) {
        let config = self.place.read("bindery.toml");
        self.place.edit(old, new);
        self.place.run(&["apply"]).exits(3).says(&[reason]);
        self.place.run(&["apply", "--dry-run"]).exits(3).says(&[reason]);
        self.place.write("bindery.toml", &config);
    }

    fn ldap(&self, account: &str) -> LdapConn {
        let mut ldap = LdapConn::new(&self.server.url("ldap")).unwrap();
        ldap.simple_bind(&dn(account), &self.secret(account)).unwrap().success().unwrap();
        ldap
    }

    pub(super) fn code_of_bind(&self, account: &str, secret: &str) -> u32 {
        LdapConn::new(&self.server.url("ldap")).unwrap().simple_bind(&dn(account), secret).unwrap().rc
    }

    fn kind(&self, account: &str) -> Value {
        self.place.run(&["account", "show", account, "--json"]).exits(0).json()["type"].clone()
    }
}

fn dn(account: &str) -> String {
    format!("cn={account},ou=users,{BASE}")
}

pub(super) fn api_token(place: &Place, account: &str) -> String {
    let identifier = format!("{account}-api");
    let made =
        place.run(&["token", "create", &identifier, "--account", account, "--intent", "api", "--json"]);
    made.exits(0).json()["secret"].as_str().unwrap().to_owned()
}

const PORTAL: &str = "username = \"portal\"\ntype = \"service_account\"";

/// Whoever revokes a token ends what it has replaced too, unless they say otherwise: by the command and by the API.
#[test]
fn revoking_ends_what_was_replaced_unless_it_is_to_be_kept() {
    let doors = Doors::start();
    let place = &doors.place;
    let revoke = |identifier: &str, keeps: bool, by_command: bool| match (by_command, keeps) {
        (true, false) => {
            let done = place.run(&["token", "revoke", identifier]).exits(0);
            assert!(done.stdout.contains("which it had replaced"), "{}", done.stdout);
        }
        (true, true) => {
            let done = place.run(&["token", "revoke", identifier, "--keep-replaced"]).exits(0);
            assert!(!done.stdout.contains("which it had replaced"), "{}", done.stdout);
        }
        (false, keeps) => {
            let query = if keeps { "?keep_replaced=true" } else { "" };
            let path = format!("/api/v3/core/tokens/{identifier}/{query}");
            let (status, said) = doors.call(&doors.superuser, "DELETE", &path, &Value::Null);
            assert_eq!(status, 204, "{said}");
        }
    };
    for (place_in_list, (keeps, by_command)) in
        [(false, true), (true, true), (false, false), (true, false)].into_iter().enumerate()
    {
        let identifier = format!("cloud-{place_in_list}");
        let secret = |arguments: &[&str]| -> String {
            let made = place.run(arguments).exits(0).json();
            made["secret"].as_str().unwrap().to_owned()
        };
        let old = secret(&["token", "create", &identifier, "--account", "portal", "--json"]);
        let new = secret(&["token", "rotate", &identifier, "--overlap", "1h", "--json"]);
        let codes = || [&old, &new].map(|secret| doors.code_of_bind("portal", secret));
        assert_eq!(codes(), [0, 0]);
        revoke(&identifier, keeps, by_command);
        let expected = if keeps { [0, 49] } else { [49, 49] };
        assert_eq!(codes(), expected, "{identifier}");
    }
}

#[test]
fn setting_a_password_is_refused() {
    let doors = Doors::start();
    let unusable = "its password is unusable";
    doors.place.run_with_input(&["account", "password", "portal"], "a password\n").exits(5).says(&[unusable]);

    let path = format!("/api/v3/core/users/{}/", doors.number("portal"));
    let password = json!({ "password": "a password" });
    doors.is_refused("POST", &format!("{path}set_password/"), &password, 403, unusable);
    let hash = json!({ "password": "{SSHA}+cdSA0Oeaq1YaCpHYYvOwa6YbMJzYWx0c2FsdA==" });
    doors.is_refused("POST", &format!("{path}set_password_hash/"), &hash, 403, unusable);

    doors.place.write("portal.password", "a password");
    let tokens = "authenticates with tokens";
    let given = format!("{PORTAL}\npassword_file = \"portal.password\"");
    doors.config_is_refused(PORTAL, &given, tokens);
    // What the store knows counts where the config does not say it.
    let untold = "username = \"portal\"\npassword_file = \"portal.password\"";
    doors.config_is_refused(PORTAL, untold, tokens);

    // Over LDAP an account may have its secret exchanged; it may not choose it.
    let mut ldap = doors.ldap("portal");
    let secret = doors.secret("portal");
    for old in [None, Some(secret.as_str())] {
        let asked = PasswordModify { user_id: None, old_pass: old, new_pass: Some("a password") };
        let LdapResult { rc, text, .. } = ldap.extended(asked).unwrap().1;
        assert!(rc == 19 && text.contains("the secret of a service account is generated"), "{rc} {text}");
    }
    assert_eq!(doors.code_of_bind("portal", "a password"), 49);

    // An import takes a userPassword of another directory's service account over as an app password.
    let ldif = |name: &str| {
        format!(
            "dn: cn={name},ou=services,{BASE}\nobjectClass: applicationProcess\nobjectClass: simpleSecurityObject\n\
             cn: {name}\nuserPassword: {{SSHA}}+cdSA0Oeaq1YaCpHYYvOwa6YbMJzYWx0c2FsdA==\n\n"
        )
    };
    let import = ["import", "-", "--service-accounts", "ou=services:cn", "--json"];
    let text = ldif("portal") + &ldif("mailer");
    let report = doors.place.run_with_input(&import, &text).exits(0).json();
    assert!(report["left_out"].to_string().contains("portal"), "{report}");
    let tokens = |account: &str| -> Vec<String> {
        let list = doors.place.run(&["token", "list", "--account", account, "--json"]).exits(0).json();
        list.as_array()
            .unwrap()
            .iter()
            .map(|token| token["identifier"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(tokens("portal"), ["portal-app-password"]);
    assert_eq!(tokens("mailer"), ["mailer-imported"]);
    let path = format!("/api/v3/core/users/{}/set_password/", doors.number("mailer"));
    doors.is_refused("POST", &path, &password, 403, unusable);

    // And without a server.
    let Doors { place, server, .. } = doors;
    server.stop();
    place.run_with_input(&["account", "password", "portal"], "a password\n").exits(5).says(&[unusable]);
}

#[test]
fn nobody_signs_in_interactively_or_as_somebody_else() {
    let doors = Doors::start();
    let user = format!("/api/v3/core/users/{}", doors.number("portal"));
    for path in [
        "/if/flow/default-authentication-flow/".to_owned(),
        "/if/user/".to_owned(),
        "/if/admin/".to_owned(),
        "/flows/-/default/authentication/".to_owned(),
        "/api/v3/flows/executor/default-authentication-flow/".to_owned(),
        "/api/v3/flows/instances/".to_owned(),
        "/api/v3/stages/all/".to_owned(),
        format!("{user}/impersonate/"),
        format!("{user}/recovery/"),
        format!("{user}/recovery_email/"),
    ] {
        for method in ["GET", "POST"] {
            doors.is_refused(method, &path, &json!({}), 404, "nobody signs in here or acts as somebody else");
            let (status, said) = doors.call("", method, &path, &Value::Null);
            assert!(
                status == 404 && said.contains("nobody signs in here"),
                "{method} {path}: {status} {said}"
            );
        }
    }
    doors.is_refused("GET", "/", &Value::Null, 404, "bindery has nothing at /");
    doors.place.run(&["login"]).exits(2);
    // An app password is nothing to the API, and an API token is no password.
    let (status, said) = doors.call(&doors.secret("portal"), "GET", "/api/v3/core/users/me/", &Value::Null);
    assert!(status == 401 && said.contains("Token invalid"), "{status} {said}");
    assert_eq!(doors.code_of_bind("alice", &doors.superuser), 49);

    // Bound over LDAP, by SASL PLAIN as well, an account is itself.
    let credentials = format!("dn:{}\0{}\0{}", dn("alice"), dn("portal"), doors.secret("portal"));
    let sasl = [element(4, b"PLAIN"), element(4, credentials.as_bytes())].concat();
    let bind = [vec![2, 1, 3], element(4, b""), element(0xa3, &sasl)].concat();
    let mut stream = connect(doors.server.address("ldap"));
    stream.write_all(&message(1, &element(0x60, &bind))).unwrap();
    let answer = read_message(&mut stream).unwrap();
    assert_eq!(final_code(&answer), (1, 0x61, 50));
    assert!(String::from_utf8_lossy(&answer).contains("an account may act as itself only"));
}

#[test]
fn becoming_a_person_is_refused() {
    let doors = Doors::start();
    let path = format!("/api/v3/core/users/{}/", doors.number("portal"));
    let never = "cannot become a person";
    for kind in ["internal", "external"] {
        let body = json!({ "type": kind, "username": "portal", "name": "Portal" });
        doors.is_refused("PATCH", &path, &body, 400, never);
        doors.is_refused("PUT", &path, &body, 400, never);
        doors.config_is_refused(PORTAL, &format!("username = \"portal\"\ntype = \"{kind}\""), never);
    }
    doors.place.run(&["account", "set", "portal", "--type", "internal"]).exits(3).says(&[never]);
    doors.place.run(&["account", "create", "portal", "--type", "internal"]).exits(1).says(&["portal"]);
    // Nor does an import, which leaves what is there as it is.
    let ldif =
        format!("dn: uid=portal,ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: portal\ncn: P\nsn: P\n");
    let import = ["import", "-", "--users", "ou=people:uid", "--json"];
    let report = doors.place.run_with_input(&import, &ldif).exits(1).json();
    assert!(report["users"] == 0 && report["left_out"].to_string().contains("portal"), "{report}");
    assert_eq!(doors.kind("portal"), "service_account");
}

/// What bindery keeps for itself is refused to everybody, by every door.
fn is_kept(doors: &Doors, username: &str, number: u32, wiki_pk: &Value) {
    let kept = "bindery makes and keeps it";
    let run = |arguments: &[&str]| doors.place.run_with_input(arguments, "a password\n");
    for arguments in [
        &["account", "set", username, "--full-name", "Mine"][..],
        &["account", "set", username, "--rename", "mine"],
        &["account", "deactivate", username],
        &["account", "delete", username, "--yes"],
        &["token", "create", "mine", "--account", username],
        &["group", "add", "engineering", username],
        &["role", "add", "ldap-search", username],
        &["grant", "add", username, "view_user"],
    ] {
        run(arguments).exits(5).says(&[kept]);
    }
    run(&["account", "password", username]).exits(5).says(&[kept]);
    let path = format!("/api/v3/core/users/{}/", number);
    doors.is_refused("PATCH", &path, &json!({ "name": "Mine" }), 403, kept);
    doors.is_refused("PATCH", &path, &json!({ "type": "internal" }), 403, kept);
    doors.is_refused("DELETE", &path, &Value::Null, 403, kept);
    let token = json!({ "identifier": "mine", "user": number, "intent": "app_password" });
    doors.is_refused("POST", "/api/v3/core/tokens/", &token, 403, kept);
    doors.config_is_refused("username = \"bob\"", &format!("username = \"{username}\""), kept);
    doors.config_is_refused(
        "members = [\"alice\"]\n\n[[account]]",
        &format!("members = [\"{username}\"]\n\n[[account]]"),
        username,
    );
    let bob = "username = \"bob\"\nname = \"Bob Brown\"\n";
    let token = format!("{bob}\n[[token]]\nidentifier = \"mine\"\naccount = \"{username}\"\n");
    doors.config_is_refused(bob, &token, kept);
    let wiki = format!(
        "{bob}\n[[application]]\nslug = \"wiki\"\nname = \"Wiki\"\nbindings = [{{ account = \"{username}\" }}]\n"
    );
    doors.config_is_refused(bob, &wiki, kept);
    let body = json!({ "user": number, "target": wiki_pk, "order": 0 });
    doors.is_refused("POST", "/api/v3/policies/bindings/", &body, 403, kept);
    let ldif = format!("dn: {}\nobjectClass: inetOrgPerson\ncn: {username}\nsn: Mine\n", dn(username));
    let report = doors.place.run_with_input(&["import", "-", "--json"], &ldif).exits(1).json();
    assert!(report["users"] == 0 && report["left_out"].to_string().contains(username), "{report}");
    assert_eq!(doors.code_of_bind(username, "a password"), 49);
    for name in [username, &format!("cn={username}")] {
        let mut ldap = LdapConn::new(&doors.server.url("ldap")).unwrap();
        assert_eq!(ldap.simple_bind(name, "a password").unwrap().rc, 49);
    }
    // It is in no directory, and in no export.
    let mut ldap = doors.ldap("ldapservice");
    for filter in
        [format!("(cn={username})"), format!("(uid={username})"), format!("(|(cn={username}*)(cn=bindery*))")]
    {
        let (entries, _) =
            ldap.search(BASE, Scope::Subtree, &filter, vec!["1.1"]).unwrap().success().unwrap();
        assert_eq!(entries.len(), 0, "{filter}");
    }
    for format in ["json", "ldif"] {
        let exported = doors.place.run(&["export", "--format", format]).exits(0).stdout;
        assert!(exported.contains("alice") && !exported.contains(username), "{format}");
    }
}

/// One that a store has from elsewhere, and those that bindery makes.
#[test]
fn an_internal_service_account_is_made_and_edited_by_nobody() {
    let doors = Doors::start();
    let Doors { place, server, secrets, .. } = doors;
    server.stop();
    let store = DiskStore::open(&place.path("data")).unwrap();
    let meta = store.load(&mut |_| {}).unwrap();
    let kind = AccountKind::InternalServiceAccount;
    let prober = Account { kind, ..plain::account(900, "prober") };
    let changes = vec![Change::Put(Record::Account(prober))];
    store
        .commit(&Batch { changes, counters: meta.counters, seeded: meta.seeded, ..Batch::default() })
        .unwrap();
    drop(store);
    place.run(&["token", "revoke", "alice-api"]).exits(0);
    let doors = Doors::over(place, secrets);

    let wiki = json!({ "name": "Notes", "slug": "notes" });
    let (status, made) = doors.call(&doors.superuser, "POST", "/api/v3/core/applications/", &wiki);
    assert_eq!(status, 201, "{made}");
    let wiki: Value = serde_json::from_str(&made).unwrap();
    let mut internal = vec![("prober", 900)];
    internal.extend([
        ("bindery:command-line", 2_147_483_647),
        ("bindery:config", 2_147_483_646),
        ("bindery:import", 2_147_483_645),
        ("bindery:housekeeping", 2_147_483_644),
    ]);
    for (username, number) in &internal {
        assert_eq!(doors.number(username), number.to_string());
        is_kept(&doors, username, *number, &wiki["pk"]);
    }

    let run = |arguments: &[&str]| doors.place.run_with_input(arguments, "a password\n");
    // Nobody becomes one, or makes one.
    let alice = format!("/api/v3/core/users/{}/", doors.number("alice"));
    let body = json!({ "type": "internal_service_account" });
    doors.is_refused("PATCH", &alice, &body, 400, "bindery makes and keeps those itself");
    let body = json!({ "type": "internal_service_account", "username": "mine", "name": "Mine" });
    doors.is_refused("POST", "/api/v3/core/users/", &body, 400, "made and kept by bindery");
    run(&["account", "create", "mine", "--type", "internal_service_account"])
        .exits(3)
        .says(&["made and kept by bindery"]);
    let typed = format!("{PORTAL}\n").replace("service_account", "internal_service_account");
    doors.config_is_refused(&format!("{PORTAL}\n"), &typed, "made and kept by bindery");

    // A name that could be taken for one is nobody's, however it is spelt.
    for name in ["bindery:robot", "BINDERY:Robot", "bindery\u{ff1a}robot"] {
        let reserved = "begins with `bindery:`";
        run(&["account", "create", name]).exits(3).says(&[reserved]);
        run(&["account", "create", name, "--type", "service_account"]).exits(3).says(&[reserved]);
        run(&["account", "set", "bob", "--rename", name]).exits(3).says(&[reserved]);
        let body = json!({ "username": name, "name": "Robot" });
        doors.is_refused("POST", "/api/v3/core/users/", &body, 400, reserved);
        let body = json!({ "name": name, "create_group": true });
        doors.is_refused("POST", "/api/v3/core/users/service_account/", &body, 400, reserved);
        doors.is_refused("PATCH", &alice, &json!({ "username": name }), 400, reserved);
        doors.config_is_refused("username = \"bob\"", &format!("username = \"{name}\""), reserved);
        let ldif = format!("dn: uid={name},ou=people,{BASE}\nobjectClass: inetOrgPerson\ncn: R\nsn: R\n");
        let import = ["import", "-", "--users", "ou=people:uid", "--json"];
        let report = doors.place.run_with_input(&import, &ldif).exits(1).json();
        assert!(report["users"] == 0 && report["left_out"].to_string().contains("bindery:"), "{report}");
    }
    run(&["account", "create", "bindery-robot"]).exits(0);

    // What the config does not name is deleted with --prune; this is not.
    doors.place.run(&["apply", "--prune"]).exits(0);
    for (username, _) in &internal {
        assert_eq!(doors.kind(username), "internal_service_account");
    }
}

#[test]
fn who_is_deactivated_or_deleted_is_so_at_every_door() {
    let doors = Doors::start();
    let api = api_token(&doors.place, "portal");
    let me = || doors.call(&api, "GET", "/api/v3/core/users/me/", &Value::Null).0;
    let mut ldap = doors.ldap("portal");
    let mut search = || {
        let found = ldap.search(&dn("portal"), Scope::Base, "(objectClass=*)", vec!["1.1"]).unwrap();
        found.1.rc
    };
    assert_eq!((search(), me()), (0, 200));

    doors.place.run(&["account", "deactivate", "portal"]).exits(0);
    assert_eq!((search(), me()), (50, 401));
    assert_eq!(doors.code_of_bind("portal", &doors.secret("portal")), 49);
    // Its tokens were not taken: they work when it does.
    doors.place.run(&["account", "activate", "portal"]).exits(0);
    assert_eq!((doors.code_of_bind("portal", &doors.secret("portal")), me()), (0, 200));

    let mut ldap = doors.ldap("portal");
    doors.place.run(&["account", "delete", "portal", "--yes"]).exits(0);
    let found = ldap.search(&dn("portal"), Scope::Base, "(objectClass=*)", vec!["1.1"]).unwrap();
    assert_eq!((found.1.rc, me()), (50, 401));
    assert_eq!(doors.code_of_bind("portal", &doors.secret("portal")), 49);
    let tokens = doors.place.run(&["token", "list"]).exits(0).stdout;
    assert!(!tokens.contains("portal") && tokens.contains("ldapservice"), "{tokens}");
    // Another account of that name has nothing of it.
    doors.place.run(&["account", "create", "portal", "--json"]).exits(0);
    assert_eq!((doors.code_of_bind("portal", &doors.secret("portal")), me()), (49, 401));
    // What it did stays on record.
    let logins = doors.place.run(&["event", "list", "--action", "login", "--account", "portal", "--json"]);
    assert!(!logins.exits(0).json().as_array().unwrap().is_empty());
}
