//! What stands in front of other things and asks a directory who may pass, as it comes from the distribution, against
//! the real binary with the example's directory: FreeRADIUS, Dovecot, Squid. Each keeps its connections to the
//! directory and binds on them again and again. As in `applications.rs`, all are processes of the test;
//! `bash tests/run --all` installs them.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::BASE;
use crate::support::example::{ALICE, BOB, Example, ZOE, ZOE_PASSWORD, said};
use base64::Engine;
use rustix::process::Signal;

use super::applications::{Home, Running, await_that, free_port, status_of};

/// Whom every application lets in.
const RIGHT: [(&str, &str); 3] = [("alice", ALICE), ("bob", BOB), (ZOE, ZOE_PASSWORD)];
/// Whom none lets in: wrong passwords, another's, of one who has none, and names that mean something in a filter.
const WRONG: [(&str, &str); 8] = [
    ("alice", "wrong"),
    ("bob", ALICE),
    (ZOE, "wrong"),
    ("carol", "x"),
    ("nobody", BOB),
    ("*", BOB),
    ("b*", BOB),
    ("bob)(uid=*", BOB),
];
/// The groups that all in [`RIGHT`] are in, directly and by nesting, and one that they are not in.
const GROUPS: [(&str, bool); 3] = [("engineering", true), ("staff", true), ("support", false)];

#[test]
#[ignore = "needs FreeRADIUS: bash tests/run --all"]
fn freeradius_searches_binds_and_asks_for_groups() {
    let example = Example::start("never");
    example.add_zoe();
    let home = Home::of("freerad", &example);
    let port = UdpSocket::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let directory = home.path("");
    let directory = directory.to_str().unwrap().trim_end_matches('/');
    home.write("dictionary", "$INCLUDE /usr/share/freeradius/dictionary\n");
    // One instance over StartTLS, which asks for the groups that nest too; one over TLS from the first octet, which
    // reads them in the person's entry.
    let instance = |name: &str, scheme: &str, membership: &str, tls: &str| {
        format!(
            r#"
    ldap {name} {{
        server = '{}'
        identity = '{}'
        password = '{}'
        base_dn = '{BASE}'
        user {{
            base_dn = "${{..base_dn}}"
            filter = "(&(objectClass=inetOrgPerson)(uid=%{{User-Name}}))"
        }}
        group {{
            base_dn = "${{..base_dn}}"
            filter = '(objectClass=groupOfNames)'
            name_attribute = cn
            {membership}
        }}
        options {{
            chase_referrals = yes
            rebind = yes
        }}
        tls {{
            {tls}
            ca_file = '{directory}/ca.pem'
            require_cert = 'demand'
        }}
        pool {{
            start = 0
            min = 0
            max = 4
            spare = 1
            retry_delay = 1
        }}
    }}
"#,
            example.server.url(scheme),
            Example::dn("ldapservice"),
            example.ldapservice
        )
    };
    let nested = "membership_filter = \"(member:1.2.840.113556.1.4.1941:=%{control:Ldap-UserDn})\"";
    let instances = instance("starttls", "ldap", nested, "start_tls = yes")
        + &instance("ldaps", "ldaps", "membership_attribute = memberOf", "");
    let steps = ["starttls", "ldaps"].map(|name| {
        format!(
            "        if (NAS-Identifier == \"{name}\") {{\n            {name}\n            \
             if (Filter-Id && !({name}-LDAP-Group == \"%{{Filter-Id}}\")) {{\n                refused\n            }}\n            \
             update control {{\n                Auth-Type := {name}\n            }}\n        }}\n"
        )
    });
    let config = format!(
        r"
prefix = /usr
libdir = /usr/lib/freeradius
raddbdir = {directory}
run_dir = {directory}
logdir = {directory}
pidfile = {directory}/pid
security {{
    allow_core_dumps = no
    reject_delay = 0
}}
client here {{
    ipaddr = 127.0.0.1
    secret = shared
}}
modules {{
    always refused {{
        rcode = reject
    }}
{instances}
}}
server default {{
    listen {{
        type = auth
        ipaddr = 127.0.0.1
        port = {port}
    }}
    authorize {{
{}
    }}
    authenticate {{
        Auth-Type starttls {{
            starttls
        }}
        Auth-Type ldaps {{
            ldaps
        }}
    }}
}}
",
        steps.concat()
    );
    home.write("radiusd.conf", &config);
    let server = home
        .command(Path::new("/usr/sbin/freeradius"))
        .args(["-f", "-x", "-l", "stdout", "-d", directory])
        .stdout(home.log("radius.log"))
        .spawn()
        .unwrap();
    let mut server = Running::new(server, Signal::TERM, home.path("radius.log"));
    await_that("FreeRADIUS", || {
        server.goes_on();
        fs::read_to_string(home.path("radius.log")).unwrap().contains("Ready to process requests")
    });
    let is_let_in = |instance: &str, group: Option<&str>, user: &str, password: &str| {
        let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        let group = group.map_or_else(String::new, |group| format!("Filter-Id = {}\n", quoted(group)));
        let request = format!(
            "User-Name = {}\nUser-Password = {}\nNAS-Identifier = {}\n{group}",
            quoted(user),
            quoted(password),
            quoted(instance)
        );
        home.write("request", &request);
        let output = Command::new("radclient")
            .args(["-d", directory, "-r", "1", "-t", "30", "-f"])
            .arg(home.path("request"))
            .args([&format!("127.0.0.1:{port}"), "auth", "shared"])
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("radclient: {error}; `bash tests/run --all` installs it"));
        let text = String::from_utf8_lossy(&output.stdout);
        let is_let_in = text.contains("Received Access-Accept");
        assert!(is_let_in || text.contains("Received Access-Reject"), "{user}: {}", said(&output));
        is_let_in
    };
    for instance in ["starttls", "ldaps"] {
        for (user, password) in RIGHT {
            assert!(is_let_in(instance, None, user, password), "{instance} {user}");
            for (group, is_member) in GROUPS {
                // memberOf has the groups that name the person.
                let is_member = is_member && (instance == "starttls" || group != "staff");
                let found = is_let_in(instance, Some(group), user, password);
                assert_eq!(found, is_member, "{instance} {group} {user}");
            }
        }
        for (user, password) in WRONG {
            assert!(!is_let_in(instance, None, user, password), "{instance} {user}");
        }
        follows(&example, |user, password| is_let_in(instance, None, user, password));
    }
    server.goes_on();
}

#[test]
#[ignore = "needs Dovecot: bash tests/run --all"]
fn dovecot_lets_in_by_password_and_group() {
    let example = Example::start("never");
    example.add_zoe();
    let home = Home::of("dovecot", &example);
    let port = free_port();
    let directory = home.path("");
    let directory = directory.to_str().unwrap().trim_end_matches('/');
    let mine = |option: &str| {
        let output = home.command(Path::new("/usr/bin/id")).arg(option).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let (user, group, uid, gid) = (mine("-un"), mine("-gn"), mine("-u"), mine("-g"));
    let (searcher, secret, url) =
        (Example::dn("ldapservice"), &example.ldapservice, example.server.url("ldap"));
    let person = "(&(objectClass=inetOrgPerson)(uid=%{user}))";
    let engineer =
        format!("(&(objectClass=inetOrgPerson)(uid=%{{user}})(memberOf=cn=engineering,ou=groups,{BASE}))");
    // All of it as one user, as a machine without root would have it.
    let common = format!(
        r"
base_dir = {directory}/run
state_dir = {directory}/state
log_path = {directory}/dovecot.log
listen = 127.0.0.1
ssl = no
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
auth_username_chars =
auth_mechanisms = plain
auth_cache_size = 1M
auth_failure_delay = 0
first_valid_uid = 1
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
"
    );
    let version = Command::new("/usr/sbin/dovecot").arg("--version").output();
    let version =
        version.unwrap_or_else(|error| panic!("dovecot: {error}; `bash tests/run --all` installs it"));
    if version.stdout.starts_with(b"2.3.") {
        let table = |name: &str, more: &str| {
            let text = format!(
                "uris = {url}\ntls = yes\ntls_ca_cert_file = {directory}/ca.pem\ntls_require_cert = demand\n\
                 dn = {searcher}\ndnpass = {secret}\nbase = {BASE}\n{more}"
            );
            home.write(name, &text);
        };
        table("passdb.conf", &format!("auth_bind = yes\npass_filter = {engineer}\npass_attrs = uid=user\n"));
        let fields =
            format!("user_attrs = =home={directory}/mail/%{{ldap:uidNumber}},=uid={uid},=gid={gid}\n");
        table("userdb.conf", &format!("user_filter = {person}\n{fields}"));
        let more = format!(
            "protocols = imap\ndisable_plaintext_auth = no\nmail_location = maildir:~/mail\n\
             passdb {{\n  driver = ldap\n  args = {directory}/passdb.conf\n}}\n\
             userdb {{\n  driver = ldap\n  args = {directory}/userdb.conf\n}}\n"
        );
        home.write("dovecot.conf", &(common + &more));
    } else {
        // 2.4 has other names for the same, wants its version first, and has no setting for the authority of LDAP.
        let more = format!(
            "protocols = imap\nauth_allow_cleartext = yes\nmail_driver = maildir\nmail_path = ~/mail\n\
             import_environment {{\n  LDAPTLS_CACERT = {directory}/ca.pem\n}}\nldap_uris = {url}\nldap_starttls = yes\n\
             ldap_auth_dn = {searcher}\nldap_auth_dn_password = {secret}\nldap_base = {BASE}\n\
             passdb ldap {{\n  bind = yes\n  filter = {engineer}\n  fields {{\n    user = %{{ldap:uid}}\n  }}\n}}\n\
             userdb ldap {{\n  filter = {person}\n  fields {{\n    home = {directory}/mail/%{{ldap:uidNumber}}\n    \
             uid = {uid}\n    gid = {gid}\n  }}\n}}\n"
        );
        let version = "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\n";
        home.write("dovecot.conf", &(version.to_owned() + &common + &more));
    }
    let config = home.path("dovecot.conf");
    let server = home
        .command(Path::new("/usr/sbin/dovecot"))
        .args(["-F", "-c", config.to_str().unwrap()])
        .stdout(Stdio::null())
        .stderr(home.log("start.log"))
        .spawn()
        .unwrap();
    // Its children end with it.
    let mut server = Running::new(server, Signal::TERM, home.path("dovecot.log"));
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    await_that("Dovecot", || {
        let start = fs::read_to_string(home.path("start.log")).unwrap_or_default();
        assert!(!start.contains("Fatal"), "{start}");
        server.goes_on();
        TcpStream::connect(address).is_ok()
    });
    let is_let_in = |user: &str, password: &str| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
        let greeting = lines.next().unwrap();
        assert!(greeting.starts_with("* OK"), "{greeting}");
        let secret = base64::engine::general_purpose::STANDARD.encode(format!("\0{user}\0{password}"));
        // Whoever is let in by the password is known to the look-up of the mailbox too.
        write!(stream, "a AUTHENTICATE PLAIN {secret}\r\n").unwrap();
        let answer = lines.find(|line| line.starts_with("a ")).unwrap();
        if !answer.starts_with("a OK") {
            assert!(answer.starts_with("a NO"), "{answer}");
            return false;
        }
        write!(stream, "b SELECT INBOX\r\n").unwrap();
        let answer = lines.find(|line| line.starts_with("b ")).unwrap();
        assert!(answer.starts_with("b OK"), "{answer}");
        write!(stream, "c LOGOUT\r\n").unwrap();
        let _ = lines.find(|line| line.starts_with("c "));
        true
    };
    let flush = || {
        let done = home
            .command(Path::new("/usr/bin/doveadm"))
            .args(["-c", config.to_str().unwrap(), "auth", "cache", "flush"])
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", said(&done));
    };
    for (user, password) in RIGHT {
        assert!(is_let_in(user, password), "{user}");
    }
    for (user, password) in WRONG {
        assert!(!is_let_in(user, password), "{user}");
    }
    // It keeps what it was told, also of who is let in, until it is told to forget.
    follows(&example, |user, password| {
        flush();
        is_let_in(user, password)
    });
    example.place.run(&["group", "remove", "engineering", "bob"]).exits(0);
    flush();
    assert!(!is_let_in("bob", BOB) && is_let_in("alice", ALICE));
    server.goes_on();
}

#[test]
#[ignore = "needs Squid: bash tests/run --all"]
fn squid_asks_for_passwords_and_groups() {
    let example = Example::start("never");
    example.add_zoe();
    let home = Home::of("proxy", &example);
    let port = free_port();
    let directory = home.path("");
    let directory = directory.to_str().unwrap().trim_end_matches('/');
    home.write("secret", &example.ldapservice);
    let common = format!("-v 3 -R -P -b {BASE} -D {} -W {directory}/secret", Example::dn("ldapservice"));
    let person = "(&(objectClass=inetOrgPerson)(uid=%s))";
    let group = "(&(objectClass=groupOfNames)(cn=%g)(member:1.2.840.113556.1.4.1941:=%u))";
    // People over StartTLS, groups over TLS from the first octet. Who was let in is asked for again
    // after a second.
    let mut config = format!(
        r"
http_port 127.0.0.1:{port}
pid_filename {directory}/pid
coredump_dir {directory}
cache_log {directory}/squid.log
cache_store_log none
access_log none
cache deny all
memory_cache_shared off
pinger_enable off
visible_hostname localhost
shutdown_lifetime 0 seconds
auth_param basic program /usr/lib/squid/basic_ldap_auth {common} -Z -f {person} -H {}
auth_param basic children 2 startup=1
auth_param basic credentialsttl 1 second
external_acl_type group children-max=2 children-startup=1 ttl=0 negative_ttl=0 %#un /usr/lib/squid/ext_ldap_group_acl {common} -B {BASE} -F {person} -f {group} -H {}
acl known proxy_auth REQUIRED
http_access deny !known
",
        example.server.url("ldap"),
        example.server.url("ldaps"),
    );
    for (group, _) in GROUPS {
        config.push_str(&format!(
            "acl to_{group} urlpath_regex ^/{group}$\nacl in_{group} external group {group}\n\
             http_access allow to_{group} in_{group}\n"
        ));
    }
    config
        .push_str("acl anybody urlpath_regex ^/anybody$\nhttp_access allow anybody\nhttp_access deny all\n");
    home.write("squid.conf", &config);
    // What is behind the proxy. Its thread ends with the process.
    let origin = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let site = format!("http://{}", origin.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in origin.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let _ = stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    let server = home
        .command(Path::new("/usr/sbin/squid"))
        .env("LDAPTLS_CACERT", home.path("ca.pem"))
        .env("LDAPTLS_REQCERT", "demand")
        .args(["-N", "-f", home.path("squid.conf").to_str().unwrap()])
        .stdout(Stdio::null())
        .stderr(home.log("start.log"))
        .spawn()
        .unwrap();
    // Its helpers end when it is gone.
    let mut server = Running::new(server, Signal::TERM, home.path("squid.log"));
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    await_that("Squid", || {
        server.goes_on();
        TcpStream::connect(address).is_ok()
    });
    let page = |page: &str, credentials: Option<(&str, &str)>| {
        status_of(address, &format!("{site}/{page}"), "Proxy-Authorization", credentials)
    };
    assert_eq!(page("anybody", None), 407);
    for (user, password) in RIGHT {
        assert_eq!(page("anybody", Some((user, password))), 200, "{user}");
        for (group, is_member) in GROUPS {
            // Another name may be told where one has no right: it asks again.
            let status = page(group, Some((user, password)));
            assert_eq!(status == 200, is_member, "{group} {user}: {status}");
            assert!([200, 403, 407].contains(&status), "{group} {user}: {status}");
        }
    }
    for (user, password) in WRONG {
        for path in ["anybody", "engineering"] {
            assert_eq!(page(path, Some((user, password))), 407, "{path} {user}");
        }
    }
    // The whole second may go by before it asks again.
    let is_let_in = |user: &str, password: &str| page("engineering", Some((user, password))) == 200;
    follows(&example, |user, password| {
        let first = is_let_in(user, password);
        let mut again = (0..15).map(|_| {
            std::thread::sleep(Duration::from_millis(150));
            is_let_in(user, password)
        });
        if again.any(|again| again != first) { !first } else { first }
    });
    server.goes_on();
}

/// What is changed in the directory is so for an application too, that has its connections open meanwhile: of a person,
/// and of the account that it searches with.
fn follows(example: &Example, is_let_in: impl Fn(&str, &str) -> bool) {
    for account in ["bob", "ldapservice"] {
        example.place.run(&["account", "deactivate", account]).exits(0);
        assert!(!is_let_in("bob", BOB), "bob is let in while {account} is inactive");
        assert_eq!(is_let_in("alice", ALICE), account == "bob", "alice, while {account} is inactive");
        example.place.run(&["account", "activate", account]).exits(0);
        await_that("bob's right", || is_let_in("bob", BOB));
    }
}
