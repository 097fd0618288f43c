//! Applications that ask a directory for people and their passwords, as they come from the distribution, against
//! the real binary with the example's directory: PostgreSQL, Apache, nslcd, SSSD, Postfix. Each finds the right user
//! and refuses the wrong password. All are processes of the test on ports that are free and with configuration of
//! their own; `bash tests/run --all` installs them.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::example::{ALICE, BOB, Example, said, script, tools};
use crate::support::{BASE, send};
use base64::Engine;
use rustix::process::Signal;
use tempfile::TempDir;

#[test]
#[ignore = "needs PostgreSQL: bash tests/run --all"]
fn postgresql_searches_and_binds() {
    let example = Example::start("never");
    let home = Home::of("postgres", &example);
    let programs = postgresql();
    let data = home.path("data");
    let data = data.to_str().unwrap();
    let options =
        ["-D", data, "-U", "postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"];
    let made = home.command(&programs.join("initdb")).args(options).output().unwrap();
    assert!(made.status.success(), "initdb: {}", said(&made));
    // alice comes over StartTLS, everybody else over TLS from the first octet.
    let rule = |users: &str, scheme: &str, more: &str| {
        format!(
            "host all {users} 127.0.0.1/32 ldap ldapserver=127.0.0.1 ldapport={} {more} ldapbasedn=\"{BASE}\" \
             ldapbinddn=\"{}\" ldapbindpasswd=\"{}\" ldapsearchattribute=uid\n",
            example.server.address(scheme).port(),
            Example::dn("ldapservice"),
            example.ldapservice
        )
    };
    let rules = [
        "local all postgres trust\n".to_owned(),
        rule("alice", "ldap", "ldaptls=1"),
        rule("all", "ldaps", "ldapscheme=ldaps"),
    ];
    home.write("data/pg_hba.conf", &rules.concat());
    let port = free_port().to_string();
    let socket = home.path("");
    let server = home
        .command(&programs.join("postgres"))
        .env("LDAPTLS_CACERT", home.path("ca.pem"))
        .args(["-D", data, "-p", &port, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"])
        .args(["-c", &format!("unix_socket_directories={}", socket.to_str().unwrap())])
        .args(["-c", "shared_buffers=1MB", "-c", "max_connections=10", "-c", "logging_collector=off"])
        .args(["-c", "max_wal_size=32MB", "-c", "jit=off"])
        .stderr(home.log("postgres.log"))
        .spawn()
        .unwrap();
    // An immediate shutdown: the children of the postmaster go with it.
    let _server = Running::new(server, Signal::QUIT, home.path("postgres.log"));
    let psql = |host: &str, user: &str, password: &str, statement: &str| {
        home.command(&programs.join("psql"))
            .env("PGPASSWORD", password)
            .env("PGCONNECT_TIMEOUT", "30")
            .args([
                "-X", "-A", "-t", "-w", "-h", host, "-p", &port, "-U", user, "-d", "postgres", "-c",
                statement,
            ])
            .output()
            .unwrap()
    };
    let roles =
        "create role alice login; create role bob login; create role carol login; create role eve login";
    await_that("PostgreSQL", || psql(socket.to_str().unwrap(), "postgres", "", roles).status.success());

    let login = |user: &str, password: &str| psql("127.0.0.1", user, password, "select current_user");
    for (user, password) in [("alice", ALICE), ("bob", BOB)] {
        let output = login(user, password);
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), user, "{}", said(&output));
    }
    // A wrong password, another one's, nobody's, and one who is in no directory.
    for (user, password) in [("alice", "wrong"), ("alice", BOB), ("bob", ALICE), ("carol", "x"), ("eve", BOB)]
    {
        let output = login(user, password);
        assert!(!output.status.success(), "{user}: {}", said(&output));
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("LDAP authentication failed"), "{user}: {text}");
    }
}

#[test]
#[ignore = "needs Apache: bash tests/run --all"]
fn apache_asks_for_passwords_and_groups() {
    let example = Example::start("never");
    let home = Home::of("www-data", &example);
    let port = free_port();
    fs::create_dir(home.path("pages")).unwrap();
    for page in ["engineering", "staff", "support", "anybody"] {
        home.write(&format!("pages/{page}"), "a page");
    }
    let directory = home.path("");
    let directory = directory.to_str().unwrap().trim_end_matches('/');
    let mut config = format!(
        "ServerRoot {directory}\nServerName localhost\nListen 127.0.0.1:{port}\nDefaultRuntimeDir {directory}\n\
         PidFile {directory}/pid\nErrorLog {directory}/error.log\nDocumentRoot {directory}/pages\n\
         User www-data\nGroup www-data\n\
         LDAPTrustedGlobalCert CA_BASE64 {directory}/ca.pem\nLDAPVerifyServerCert On\nLDAPSharedCacheSize 0\n"
    );
    let modules =
        ["mpm_prefork", "authn_core", "authz_core", "authz_user", "auth_basic", "ldap", "authnz_ldap"];
    let modules = modules
        .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
        .concat();
    for (page, scheme, mode, required) in [
        ("engineering", "ldaps", "", format!("ldap-group cn=engineering,ou=groups,{BASE}")),
        // staff holds engineering, which holds alice.
        ("staff", "ldaps", "", format!("ldap-group cn=staff,ou=groups,{BASE}")),
        ("support", "ldaps", "", format!("ldap-group cn=support,ou=groups,{BASE}")),
        ("anybody", "ldap", " STARTTLS", "valid-user".to_owned()),
    ] {
        config.push_str(&format!(
            "<Location /{page}>\nAuthType Basic\nAuthName bindery\nAuthBasicProvider ldap\n\
             AuthLDAPURL \"{}/{BASE}?uid?sub?(objectClass=inetOrgPerson)\"{mode}\n\
             AuthLDAPBindDN \"{}\"\nAuthLDAPBindPassword \"{}\"\nAuthLDAPMaxSubGroupDepth 2\n\
             AuthLDAPSubGroupAttribute member\nAuthLDAPSubGroupClass groupOfNames\nRequire {required}\n</Location>\n",
            example.server.url(scheme),
            Example::dn("ldapservice"),
            example.ldapservice,
        ));
    }
    home.write("apache.conf", &(modules + &config));
    let config = home.path("apache.conf");
    // One process (-X): nothing to be left behind.
    let server = Command::new("/usr/sbin/apache2")
        .args(["-X", "-f", config.to_str().unwrap()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(home.log("apache.log"))
        .spawn()
        .unwrap_or_else(|error| panic!("apache2: {error}; `bash tests/run --all` installs it"));
    let mut server = Running::new(server, Signal::KILL, home.path("error.log"));
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    await_that("Apache", || {
        server.goes_on();
        TcpStream::connect(address).is_ok()
    });
    let page = |page: &str, credentials: Option<(&str, &str)>| {
        status_of(address, page, "Authorization", credentials)
    };
    assert_eq!(page("/engineering", None), 401);
    for (user, password) in [("alice", ALICE), ("bob", BOB)] {
        for (path, status) in [("/engineering", 200), ("/staff", 200), ("/support", 401), ("/anybody", 200)] {
            assert_eq!(page(path, Some((user, password))), status, "{path} {user}");
        }
    }
    for (user, password) in
        [("alice", "wrong"), ("alice", ""), ("alice", BOB), ("carol", "x"), ("nobody", BOB), ("*", BOB)]
    {
        for path in ["/engineering", "/anybody"] {
            assert_eq!(page(path, Some((user, password))), 401, "{path} {user}");
        }
    }
}

#[test]
#[ignore = "needs nslcd: bash tests/run --all"]
fn nslcd_knows_accounts_groups_and_passwords() {
    let Some(text) = in_a_namespace("nslcd") else { return };
    let fields: Vec<String> = line_of(&text, "passwd").split(':').map(str::to_owned).collect();
    assert_eq!((&*fields[0], &*fields[2], &*fields[5]), ("alice", "7007", "/home/alice"), "{text}");
    assert_eq!(line_of(&text, "by number"), "alice");
    let group = line_of(&text, "group");
    assert!(group.starts_with("engineering:*:6001:"), "{group}");
    let mut members: Vec<&str> = group.rsplit(':').next().unwrap().split(',').collect();
    members.sort_unstable();
    assert_eq!(members, ["alice", "bob", "carol"]);
    assert!(line_of(&text, "groups").split(' ').any(|group| group == "engineering"), "{text}");
    assert!(text.contains("authenticated"), "{text}");
}

#[test]
#[ignore = "needs SSSD: bash tests/run --all"]
fn sssd_knows_accounts_nested_groups_and_passwords() {
    let Some(text) = in_a_namespace("sssd") else { return };
    let fields: Vec<String> = line_of(&text, "passwd").split(':').map(str::to_owned).collect();
    assert_eq!((&*fields[0], &*fields[2], &*fields[5]), ("alice", "7007", "/home/alice"), "{text}");
    assert_eq!(line_of(&text, "by number"), "alice");
    assert!(line_of(&text, "group").contains(":6001:"), "{text}");
    let groups = line_of(&text, "groups");
    for group in ["dave", "platform", "engineering"] {
        assert!(groups.split(' ').any(|other| other == group), "{group} is not among {groups}");
    }
    assert!(text.contains("authenticated"), "{text}");
    // More wrong passwords than an account may be tried with are no server that is down.
    assert_eq!(line_of(&text, "not known before"), "frank");
    assert_eq!(line_of(&text, "after the pause"), "bob");
    assert_eq!(line_of(&text, "known still"), "alice");
    assert_eq!(line_of(&text, "went offline"), "no", "{text}");
    assert_eq!(line_of(&text, "offline without its account"), "yes", "{text}");
}

/// Runs the script of an application, where mounts are its own; what it said, and none where that is not to be had.
fn in_a_namespace(application: &str) -> Option<String> {
    let example = Example::start("never");
    // Hosts want a primary group for each account.
    example.place.edit("virtual_groups = false", "virtual_groups = true");
    example.place.run(&["apply"]).exits(0);
    example.add_zoe();
    let unpacked = tools().join("applications").join(application);
    assert!(unpacked.is_dir(), "no {}: `bash tests/run --all` puts it there", unpacked.display());
    let place = TempDir::new().unwrap();
    let mut command = Command::new("unshare");
    command.arg("--mount");
    if !is_root() {
        command.arg("--map-root-user");
    }
    example.tell(&mut command);
    let output = command
        .env("UNPACKED", unpacked)
        .arg("bash")
        .arg(script(&format!("applications/{application}.sh")))
        .arg(place.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = said(&output);
    // A container without the right to mount, a user without the right to have a namespace.
    let is_refused = !output.status.success() && (text.contains("unshare: ") || text.contains("mount: "));
    if is_refused || text.contains("skipped: ") {
        crate::support::rounds::skip(&format!("{application} needs mounts of its own: {text}"));
        return None;
    }
    assert!(output.status.success(), "{text}");
    Some(text)
}

/// What a script said of a thing.
fn line_of(text: &str, name: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).to_owned()
}

#[test]
#[ignore = "needs Postfix: bash tests/run --all"]
fn postfix_looks_up_addresses_and_expands_groups() {
    let example = Example::start("never");
    let home = Home::of("", &example);
    home.write("main.cf", "compatibility_level = 3.6\n");
    let lookup = |table: &str, key: &str| -> Output {
        let directory = home.path("");
        Command::new("/usr/sbin/postmap")
            .args(["-c", directory.to_str().unwrap(), "-q", key])
            .arg(format!("ldap:{}", home.path(table).display()))
            .output()
            .unwrap_or_else(|error| panic!("postmap: {error}; `bash tests/run --all` installs it"))
    };
    let table = |name: &str, scheme: &str, secret: &str, more: &str| {
        let text = format!(
            "server_host = {}\nversion = 3\nbind = yes\nbind_dn = {}\nbind_pw = {secret}\nsearch_base = {BASE}\n\
             tls_ca_cert_file = {}\ntls_require_cert = yes\n{more}\n",
            example.server.url(scheme),
            Example::dn("ldapservice"),
            home.path("ca.pem").display(),
        );
        home.write(name, &text);
    };
    let by_mail = "query_filter = (mail=%s)\nresult_attribute = uid";
    let by_group = "query_filter = (&(objectClass=groupOfNames)(cn=%s))\nresult_attribute = mail\n\
                    special_result_attribute = member";
    table("starttls.cf", "ldap", &example.ldapservice, &format!("start_tls = yes\n{by_mail}"));
    table("ldaps.cf", "ldaps", &example.ldapservice, by_mail);
    table("groups.cf", "ldaps", &example.ldapservice, by_group);
    table("wrong.cf", "ldaps", "wrong", by_mail);
    for name in ["starttls.cf", "ldaps.cf"] {
        let output = lookup(name, "ALICE@example.com");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "alice", "{}", said(&output));
        let output = lookup(name, "nobody@example.com");
        assert!(output.status.code() == Some(1) && output.stderr.is_empty(), "{}", said(&output));
        // What means something in a filter means nothing in an address.
        let output = lookup(name, "*");
        assert!(output.status.code() == Some(1) && output.stderr.is_empty(), "{}", said(&output));
    }
    // staff holds engineering, which holds platform: Postfix walks down itself.
    let output = lookup("groups.cf", "staff");
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let mut found: Vec<&str> = text.split(',').collect();
    found.sort_unstable();
    let expected = ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy"];
    assert_eq!(found, expected.map(|name| format!("{name}@example.com")), "{}", said(&output));
    let output = lookup("wrong.cf", "alice@example.com");
    assert!(!output.status.success() && output.stdout.is_empty(), "{}", said(&output));
    assert!(String::from_utf8_lossy(&output.stderr).contains("49"), "{}", said(&output));
}

/// A directory that an application runs in, as a user without rights where the test is root.
pub(super) struct Home {
    directory: TempDir,
    user: Option<String>,
}

impl Home {
    /// With the authority of the server's certificate in it.
    pub fn of(user: &str, example: &Example) -> Self {
        let directory = TempDir::new().unwrap();
        fs::copy(example.authority(), directory.path().join("ca.pem")).unwrap();
        let user = (is_root() && !user.is_empty()).then(|| user.to_owned());
        let home = Self { directory, user };
        home.hand_over();
        home
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        self.hand_over();
    }

    pub fn log(&self, name: &str) -> fs::File {
        fs::File::create(self.path(name)).unwrap()
    }

    /// A program, as the user.
    pub fn command(&self, program: &Path) -> Command {
        let mut command;
        match &self.user {
            // setpriv becomes the program: the process id is the program's.
            Some(user) => {
                command = Command::new("setpriv");
                command.args(["--reuid", user, "--regid", user, "--init-groups"]).arg(program);
            }
            None => command = Command::new(program),
        }
        command.current_dir(self.directory.path()).stdin(Stdio::null()).stdout(Stdio::piped());
        command
    }

    fn hand_over(&self) {
        if let Some(user) = &self.user {
            let owner = format!("{user}:{user}");
            let done =
                Command::new("chown").args(["-R", &owner]).arg(self.directory.path()).status().unwrap();
            assert!(
                done.success(),
                "chown: is {user} a user of this machine? `bash tests/run --all` installs what has it"
            );
        }
    }
}

/// A server of another maker. Ended by its process id when dropped; its log is shown when the test has failed.
pub(super) struct Running {
    child: Child,
    signal: Signal,
    log: PathBuf,
}

impl Running {
    pub fn new(child: Child, signal: Signal, log: PathBuf) -> Self {
        Self { child, signal, log }
    }

    pub fn goes_on(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "it has ended: {ended:?}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Not waited for yet, so its id is its own, ended or not.
        send(self.child.id(), self.signal);
        let start = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if start.elapsed() > Duration::from_secs(20) {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        if std::thread::panicking() {
            eprintln!("{}", fs::read_to_string(&self.log).unwrap_or_default());
        }
    }
}

/// The programs of the newest PostgreSQL that is installed.
fn postgresql() -> PathBuf {
    let versions =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path());
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions.filter(|path| path.join("bin/postgres").exists()).max_by_key(number);
    newest.expect("no PostgreSQL: `bash tests/run --all` installs it").join("bin")
}

/// The status of a page, asked for with a name and a password in that header.
pub(super) fn status_of(
    address: SocketAddr,
    path: &str,
    header: &str,
    credentials: Option<(&str, &str)>,
) -> u16 {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let line = credentials.map_or_else(String::new, |(user, password)| {
        let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        format!("{header}: Basic {encoded}\r\n")
    });
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n{line}\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .unwrap_or_else(|| panic!("no status: {answer:?}"))
}

pub(super) fn await_that(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what} does not come up");
        std::thread::sleep(Duration::from_millis(50));
    }
}

pub(super) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
