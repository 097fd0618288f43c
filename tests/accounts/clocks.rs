//! Starts with a clock that is wrong: nobody loses anything, and nothing that has expired works again.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::octets::{bind, connect};
use crate::support::{BASE, Place, SEED, SERVER, Server, secret_of};

/// The library that tells a program another time. Its clock that never jumps stays the true one.
fn faked(time: &str) -> String {
    let found = std::fs::read_dir("/usr/lib").unwrap().find_map(|entry| {
        let path: PathBuf = entry.unwrap().path().join("faketime/libfaketimeMT.so.1");
        path.exists().then_some(path)
    });
    let library = found.expect("libfaketime is not installed: `bash tests/run` installs it");
    format!("export LD_PRELOAD={} FAKETIME='{time}' FAKETIME_DONT_FAKE_MONOTONIC=1", library.display())
}

fn place() -> Place {
    let place = Place::new("");
    let limits = "http = [\"127.0.0.1:0\"]\n\n[server.limits]\nexpired_tokens_kept = \"1h\"\nevent_retention = \"30d\"\n";
    let server = SERVER.replace("ldap = [\"127.0.0.1:0\"]\n", &format!("ldap = [\"127.0.0.1:0\"]\n{limits}"));
    place.write("bindery.toml", &format!("{server}\n{SEED}"));
    place
}

/// The result code of a bind as the account.
fn binds(server: &Server, account: &str, secret: &str) -> u8 {
    let name = format!("cn={account},ou=users,{BASE}");
    bind(&mut connect(server.address("ldap")), &name, secret)
}

/// Makes a token and revokes it: its tombstone ends with an age.
fn revoke_one(place: &Place) {
    place.run(&["token", "create", "gone", "--account", "portal"]).exits(0);
    place.run(&["token", "revoke", "gone"]).exits(0);
}

/// How many tombstones have gone since the start.
fn forgotten(place: &Place) -> u64 {
    let status = place.run(&["status", "--json"]).exits(0).json();
    status["limits_reached"]["token_tombstones_kept"].as_u64().unwrap_or(0)
}

/// What is on record, but for what binds change.
fn kept(place: &Place) -> (Vec<(String, String)>, usize) {
    let tokens = place.run(&["token", "list", "--json"]).exits(0).json();
    let tokens = tokens.as_array().unwrap().iter().map(|token| {
        let text = |key: &str| token[key].as_str().unwrap_or_default().to_owned();
        (text("identifier"), text("expires") + &text("uuid"))
    });
    let query = ["event", "list", "--trail", "changes", "--limit", "100000", "--json"];
    let events = place.run(&query).exits(0).json();
    (tokens.collect(), events.as_array().unwrap().len())
}

fn readiness(server: &Server) -> String {
    get(server, "/-/health/ready/")
}

/// What the metrics say: whether the clock is believed, and by how many seconds it is ahead.
fn metrics(server: &Server) -> (i64, i64) {
    let text = get(server, "/metrics");
    let gauge = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("{name} is not in {text}")).parse().unwrap()
    };
    (gauge("bindery_clock_believed"), gauge("bindery_clock_ahead_seconds"))
}

fn get(server: &Server, path: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(server.address("http")).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn nobody_loses_anything_by_a_start_with_a_wrong_clock() {
    let place = place();
    let (server, secrets) = place.serve_first();
    let secret = secret_of(&secrets, "portal-app-password");
    let brief = place
        .run(&["token", "create", "brief", "--account", "ldapservice", "--expires", "5s", "--json"])
        .exits(0)
        .json();
    let brief = brief["secret"].as_str().unwrap().to_owned();
    place.run(&["token", "create", "api", "--account", "portal", "--intent", "api"]).exits(0);
    revoke_one(&place);
    assert_eq!(binds(&server, "portal", &secret), 0);
    let begun = Instant::now();
    while binds(&server, "ldapservice", &brief) == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not expire");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(readiness(&server).starts_with("HTTP/1.1 204 "));
    assert_eq!(server.stop().0.code(), Some(0));
    let before = kept(&place);

    for (time, days, portal, piece) in [
        ("+400d", 400, 49, "the clock says"),
        ("-20000d", -20_000, 0, "by which things go on expiring"),
        ("+3650d", 3_650, 49, "it is believed in"),
    ] {
        let server = place.serve_after(&faked(time), &[]);
        server.await_log(piece);
        // What is done about tokens is done at once; a second later it would have been.
        std::thread::sleep(Duration::from_millis(1_200));
        assert_eq!(binds(&server, "portal", &secret), portal, "{time}");
        assert_eq!(binds(&server, "ldapservice", &brief), 49, "{time}");
        assert_eq!(forgotten(&place), 0, "{time}");
        let status = place.run(&["status"]).exits(0).stdout;
        assert!(status.contains("the clock says") && status.contains("--trust-clock"), "{status}");
        let answer = readiness(&server);
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains(piece), "{answer}");
        // To the day: how long a busy machine takes is not asked.
        let (is_believed, ahead) = metrics(&server);
        assert_eq!(is_believed, 0, "{time}");
        assert!((ahead - days * 86_400).abs() < 86_400, "{time}: {ahead}");
        assert_eq!(server.stop().0.code(), Some(0));

        // Right again.
        let server = place.serve(&[]);
        let (is_believed, ahead) = metrics(&server);
        assert!(is_believed == 1 && ahead.abs() < 86_400, "after {time}: {is_believed}, {ahead}");
        assert_eq!(binds(&server, "portal", &secret), 0, "after {time}");
        assert_eq!(binds(&server, "ldapservice", &brief), 49, "after {time}");
        assert!(readiness(&server).starts_with("HTTP/1.1 204 "));
        assert_eq!(place.run(&["status", "--json"]).exits(0).json()["clock"]["standing"], "believed");
        // An hour is not over yet, by which it would be deleted.
        assert_eq!(kept(&place), before, "after {time}");
        place.run(&["event", "verify"]).exits(0);
        assert_eq!(server.stop().0.code(), Some(0));
    }
}

#[test]
fn a_clock_that_the_operator_vouches_for_is_believed() {
    let place = place();
    let (server, secrets) = place.serve_first();
    let secret = secret_of(&secrets, "portal-app-password");
    revoke_one(&place);
    assert_eq!(server.stop().0.code(), Some(0));
    let has = |identifier: &str| kept(&place).0.iter().any(|(name, _)| name == identifier);
    let server = place.serve_after(&faked("+400d"), &["--trust-clock"]);
    server.await_log("--trust-clock was given");
    let begun = Instant::now();
    while has("portal-app-password") || forgotten(&place) == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "{}", server.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    let secret_by_hand = place
        .run(&["token", "create", "new", "--account", "portal", "--no-expiry", "--json"])
        .exits(0)
        .json();
    assert_eq!(binds(&server, "portal", &secret), 49);
    assert_eq!(server.stop().0.code(), Some(0));
    // What was believed wrongly is taken back in the same way.
    let server = place.serve(&[]);
    server.await_log("by which things go on expiring");
    assert_eq!(server.stop().0.code(), Some(0));
    let server = place.serve(&["--trust-clock"]);
    assert_eq!(binds(&server, "portal", secret_by_hand["secret"].as_str().unwrap()), 0);
    assert_eq!(place.run(&["status", "--json"]).exits(0).json()["clock"]["standing"], "believed");
    assert_eq!(server.stop().0.code(), Some(0));
}

/// A certificate of its own signature that is valid in these years, as two files.
fn certificate(place: &Place, first: i32, last: i32) {
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(first, 1, 1);
    params.not_after = rcgen::date_time_ymd(last, 12, 31);
    let key = rcgen::KeyPair::generate().unwrap();
    place.write("server.pem", &params.self_signed(&key).unwrap().pem());
    place.write("server.key", &key.serialize_pem());
}

#[test]
fn a_reload_takes_no_certificate_that_is_not_valid() {
    let place = Place::new("");
    let tls =
        "ldaps = [\"127.0.0.1:0\"]\n\n[server.tls]\ncertificate = \"server.pem\"\nkey = \"server.key\"\n";
    let server = SERVER.replace("ldap = [\"127.0.0.1:0\"]\n", tls);
    place.write("bindery.toml", &format!("{server}\n{SEED}"));
    certificate(&place, 2020, 2060);
    let server = place.serve(&[]);
    place.run(&["check"]).exits(0);
    for (first, last, sentence) in
        [(2001, 2002, "expired at 2002-12-31"), (2070, 2071, "is not valid before 2070")]
    {
        certificate(&place, first, last);
        place.run(&["check"]).exits(3).says(&["server.tls", sentence]);
        server.signal(Signal::HUP);
        server.await_log(sentence);
        server.await_log("the certificates stay as they were");
        assert!(!server.log().contains("the certificates were read again"), "{}", server.log());
    }
    // What is valid is taken, and a server starts with any.
    certificate(&place, 2021, 2061);
    server.signal(Signal::HUP);
    server.await_log("the certificates were read again");
    assert_eq!(server.stop().0.code(), Some(0));
    certificate(&place, 2001, 2002);
    let server = place.serve(&[]);
    server.await_log("clients will refuse it");
    assert_eq!(server.stop().0.code(), Some(0));
}
