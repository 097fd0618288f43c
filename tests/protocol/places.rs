//! Places: silent strangers make room, for whoever comes, at both doors.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::octets::{bind, connect, element, final_code, read_message, search, search_all};
use crate::support::{Place, SEED, Server, secret_of};

const NAME: &str = "cn=ldapservice,ou=users,dc=ldap,dc=example,dc=com";
const PORTAL: &str = "cn=portal,ou=users,dc=ldap,dc=example,dc=com";

/// Clients of a proxy, so that they come from elsewhere.
const SERVER: &str = r#"
[server]
data_dir = "data"
ldap = ["127.0.0.1:0"]
http = ["127.0.0.1:0"]
proxy_networks = ["127.0.0.1/32"]
plain_bind = "always"

[server.hashing]
memory = "64 KiB"
time_cost = 1
threads = 1

[server.limits]
connections_before_bind_max = 50
connections_before_bind_by_source_max = 40
connections_max = 60
http_connections_max = 20
http_connections_by_source_max = 16
http_header_time = "10m"
"#;

fn start() -> (Place, Server, String) {
    let (place, server, secrets) = start_with(SERVER);
    (place, server, secret_of(&secrets, "ldapservice-app-password"))
}

/// The secrets of all accounts, too.
fn start_with(config: &str) -> (Place, Server, serde_json::Value) {
    let place = Place::new(SEED);
    place.write("bindery.toml", &format!("{config}\n{SEED}"));
    let (server, secrets) = place.serve_first();
    (place, server, secrets)
}

fn from(server: &Server, scheme: &str, client: &str) -> TcpStream {
    let mut stream = connect(server.address(scheme));
    let header = format!("PROXY TCP4 {client} 127.0.0.1 40000 389\r\n");
    stream.write_all(header.as_bytes()).unwrap();
    stream
}

fn root_dse(stream: &mut TcpStream) {
    stream.write_all(&search(2, "", 0, &element(0x87, b"objectClass"))).unwrap();
    loop {
        match final_code(&read_message(stream).expect("an answer")) {
            (2, 0x65, code) => return assert_eq!(code, 0),
            (2, 0x64, _) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn silent_strangers_of_a_few_sources_keep_nobody_out_of_ldap() {
    let (place, server, secret) = start();
    let mut strangers = Vec::new();
    for number in 0..200 {
        let mut stranger = from(&server, "ldap", &format!("192.0.2.{}", number % 5));
        // So that it is in, and silent from now on.
        root_dse(&mut stranger);
        strangers.push(stranger);
    }
    let mut victim = from(&server, "ldap", "198.51.100.1");
    root_dse(&mut victim);
    for number in 0..100 {
        let mut stranger = from(&server, "ldap", &format!("192.0.2.{}", number % 5));
        root_dse(&mut stranger);
        strangers.push(stranger);
    }
    // It was silent for longer than any of them.
    assert_eq!(bind(&mut victim, NAME, &secret), 0);
    root_dse(&mut victim);
    // Those that have gone were told.
    let notice = read_message(&mut strangers[0]).expect("a notice");
    assert_eq!(final_code(&notice), (0, 0x78, 52));
    assert!(read_message(&mut strangers[0]).is_none());
    server.await_log("connections made room for others");
    assert_eq!(server.log().matches("connections made room for others").count(), 1);
    let status = place.run(&["status", "--json"]).exits(0).json();
    let reached = status["limits_reached"]["connections_before_bind_max"].as_u64().unwrap();
    assert!((200..=251).contains(&reached), "{status}");
}

#[test]
fn an_account_with_many_connections_keeps_nobody_out() {
    let (_place, server, secret) = start();
    let mut own = Vec::new();
    for _ in 0..80 {
        let mut stream = from(&server, "ldap", "192.0.2.1");
        assert_eq!(bind(&mut stream, NAME, &secret), 0);
        root_dse(&mut stream);
        own.push(stream);
    }
    let mut newcomer = from(&server, "ldap", "198.51.100.1");
    root_dse(&mut newcomer);
    assert_eq!(final_code(&read_message(&mut own[0]).expect("a notice")), (0, 0x78, 52));
    root_dse(own.last_mut().unwrap());
    server.await_log("connections_max");
}

/// An account without any right, whose connections are in the middle of something for as long as they may.
#[test]
fn an_account_that_is_at_something_keeps_nobody_out() {
    // Half a message, and requests whose answers nobody takes.
    let half = vec![0x30, 0x50, 2, 1];
    let untaken: Vec<u8> =
        (0..400).flat_map(|_| search_all(5, "cn=subschema", 0, &element(0x87, b"objectClass"))).collect();
    for what in [half, untaken] {
        let (_place, server, secrets) = start_with(SERVER);
        let secret = |account: &str| secret_of(&secrets, &format!("{account}-app-password"));
        let mut held = Vec::new();
        for number in 0..60 {
            let mut stream = from(&server, "ldap", &format!("203.0.113.{}", number % 4));
            assert_eq!(bind(&mut stream, PORTAL, &secret("portal")), 0);
            stream.set_nonblocking(true).unwrap();
            // As much of it as it takes.
            let _ = stream.write_all(&what);
            held.push(stream);
        }
        let mut newcomers = Vec::new();
        for number in 0..8 {
            let mut newcomer = from(&server, "ldap", &format!("198.51.100.{number}"));
            assert_eq!(bind(&mut newcomer, NAME, &secret("ldapservice")), 0);
            newcomers.push(newcomer);
        }
        root_dse(&mut from(&server, "ldap", "198.51.100.77"));
        newcomers.iter_mut().for_each(root_dse);
    }
}

/// Set when it goes, so that nobody is waited for when a test fails.
struct SetAtEnd<'a>(&'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn busy_strangers_of_a_few_sources_keep_nobody_out_of_ldap() {
    let config = SERVER.replace("connections_before_bind_max = 50", "connections_before_bind_max = 20");
    let (_place, server, _) = start_with(&config);
    let (is_over, asking) = (AtomicBool::new(false), AtomicUsize::new(0));
    let requests: Vec<u8> = (0..100).flat_map(|_| search(2, "", 0, &element(0x87, b"objectClass"))).collect();
    std::thread::scope(|scope| {
        let _end = SetAtEnd(&is_over);
        for number in 0..20 {
            let mut stream = from(&server, "ldap", &format!("203.0.113.{}", number % 5));
            let (mut answers, requests) = (stream.try_clone().unwrap(), &requests);
            // There is always a request left.
            scope.spawn(move || while stream.write_all(requests).is_ok() {});
            let (is_over, asking) = (&is_over, &asking);
            scope.spawn(move || {
                let mut octets = vec![0; 1 << 16];
                let mut is_first = true;
                while !is_over.load(Ordering::Relaxed)
                    && answers.read(&mut octets).is_ok_and(|octets| octets > 0)
                {
                    asking.fetch_add(usize::from(is_first), Ordering::Relaxed);
                    is_first = false;
                }
                let _ = answers.shutdown(Shutdown::Both);
            });
        }
        while asking.load(Ordering::Relaxed) < 20 {
            std::thread::sleep(Duration::from_millis(10));
        }
        let mut newcomers = Vec::new();
        for number in 0..10 {
            let mut newcomer = from(&server, "ldap", &format!("198.51.100.{number}"));
            root_dse(&mut newcomer);
            newcomers.push(newcomer);
        }
        newcomers.iter_mut().for_each(root_dse);
    });
}

#[test]
fn silent_strangers_keep_nobody_out_of_http() {
    let (_place, server, _) = start();
    let mut strangers = Vec::new();
    // Each is answered, and silent from then on.
    for number in 0..100 {
        let mut stranger = from(&server, "http", &format!("192.0.2.{}", number % 8));
        is_well(&mut stranger);
        strangers.push(stranger);
    }
    is_well(&mut from(&server, "http", "198.51.100.1"));
    // Those that have not made room are still served.
    is_well(strangers.last_mut().unwrap());
}

fn is_well(stream: &mut TcpStream) {
    stream.write_all(b"GET /-/health/ready/ HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut octet = [0; 1];
        stream.read_exact(&mut octet).unwrap();
        answer.extend(octet);
    }
    assert!(answer.starts_with(b"HTTP/1.1 204"), "{}", String::from_utf8_lossy(&answer));
}
