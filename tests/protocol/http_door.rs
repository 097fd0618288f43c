//! The HTTP door of the real binary: in clear and over TLS, with its limits, its log and its ends.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::{Place, SEED};
use rustix::process::Signal;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// `[server]` with every listener, and these limits.
fn place(limits: &str) -> Place {
    let place = Place::new("");
    let server = format!(
        r#"
[server]
data_dir = "data"
ldap = ["127.0.0.1:0"]
http = ["127.0.0.1:0"]
https = ["127.0.0.1:0"]
tls = {{ development = "certs" }}
log = {{ level = "debug" }}

[server.hashing]
memory = "64 KiB"
time_cost = 1
threads = 1

[server.limits]
{limits}
"#
    );
    place.write("bindery.toml", &format!("{server}\n{SEED}"));
    place
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// A client that trusts an authority, as `curl --cacert` does.
fn connect_tls(address: SocketAddr, authority: &Path) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let connection =
        ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap();
    StreamOwned::new(connection, connect(address))
}

/// Sends a request, and reads until the server closes.
fn ask(stream: &mut (impl Read + Write), head: &str, body: &str) -> String {
    let request = format!(
        "{head} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn get(address: SocketAddr, path: &str) -> String {
    ask(&mut connect(address), &format!("GET {path}"), "")
}

#[track_caller]
fn is(answer: &str, status: u16) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{status}:\n{answer}");
}

fn reached(place: &Place, limit: &str) -> u64 {
    place.run(&["status", "--json"]).exits(0).json()["limits_reached"][limit].as_u64().unwrap()
}

fn request_id(answer: &str) -> &str {
    answer.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap()
}

#[test]
fn https_has_the_certificate_of_ldap_and_changes_it_with_it() {
    let place = place("");
    let server = place.serve_first().0;
    assert_eq!(server.listening.len(), 3, "{:?}", server.listening);
    let (address, old) = (server.address("https"), place.path("certs/ca.pem"));
    is(&ask(&mut connect_tls(address, &old), "GET /-/health/ready/", ""), 204);
    let mut open = connect_tls(address, &old);
    is(&ask(&mut connect_tls(address, &old), "GET /api/v3/core/users/", ""), 401);
    open.write_all(b"GET /-/health/live/ HTTP/1.1\r\nHost: x\r\n").unwrap();

    let kept = place.path("old.pem");
    std::fs::rename(&old, &kept).unwrap();
    for name in ["server.pem", "server.key"] {
        std::fs::remove_file(place.path("certs").join(name)).unwrap();
    }
    place.run(&["certificate", "--dir", place.path("certs").to_str().unwrap()]).exits(0);
    server.signal(Signal::HUP);
    server.await_log("the certificates were read again");
    is(&ask(&mut connect_tls(address, &place.path("certs/ca.pem")), "GET /-/health/live/", ""), 204);
    let refused = connect_tls(address, &kept).write_all(b"GET / HTTP/1.1\r\n\r\n");
    assert!(refused.is_err(), "the old authority knows the new certificate");
    // What was open goes on.
    open.write_all(b"Connection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    open.read_to_string(&mut answer).unwrap();
    is(&answer, 204);
    let (status, log) = server.stop();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn listeners_are_given_by_flags_and_by_variables() {
    let place = place("");
    let server = place.serve(&["--https", "127.0.0.1:0", "--https", "127.0.0.1:0"]);
    let https = server.listening.iter().filter(|address| address.starts_with("https://127.0.0.1:"));
    assert_eq!(https.count(), 2, "{:?}", server.listening);
    drop(server);
    // A variable replaces the list; the configuration is checked as ever.
    let check = |value: &str| {
        let mut command = place.command(&["check"]);
        command.env("BINDERY_SERVER_HTTPS", value).output().unwrap()
    };
    assert!(check("127.0.0.1:0,127.0.0.1:0").status.success());
    let output = check("unix:https");
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("BINDERY_SERVER_HTTPS"), "{output:?}");
    place.edit("tls = { development = \"certs\" }\n", "");
    place.run(&["check"]).exits(3).says(&["HTTPS needs a certificate"]);
    let help = place.run(&["serve", "--help"]).exits(0).stdout;
    assert!(help.contains("--https <ADDR:PORT>"), "{help}");
}

#[test]
fn an_answer_is_found_in_the_log_without_what_was_asked() {
    let server = place("").serve_first().0;
    let mut stream = connect(server.address("http"));
    let request = "GET /api/v3/core/users/?search=alice HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                   X-Request-Id: 2b0e1b52-5f0b-4d1c-9f0e-0c8f6f8f8f8f\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    is(&answer, 401);
    let id = request_id(&answer);
    assert_ne!(id, "2b0e1b52-5f0b-4d1c-9f0e-0c8f6f8f8f8f");
    server.await_log(id);
    let log = server.log();
    let line = log.lines().find(|line| line.contains(id)).unwrap();
    for piece in ["GET", "/api/v3/core/users/", "401", "microseconds"] {
        assert!(line.contains(piece), "{piece} in {line}");
    }
    assert!(!log.contains("search=alice"), "{log}");
}

#[test]
fn who_is_nobody_sends_no_body() {
    let place = place("http_header_time = \"1s\"\nhttp_connection_time = \"5m\"");
    let server = place.serve_first().0;
    let address = server.address("http");
    // The body is not waited for, and the answer comes out though it is still sent.
    let mut slow = connect(address);
    slow.write_all(b"POST /api/v3/core/users/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{")
        .unwrap();
    let begun = Instant::now();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    is(&answer, 401);
    assert!(begun.elapsed() < Duration::from_secs(20));
    is(&ask(&mut connect(address), "POST /api/v3/core/users/", &"x".repeat(8 << 20)), 401);
    // A header that does not come to its end.
    let mut slow = connect(address);
    slow.write_all(b"GET /-/health/live/ HTTP/1.1\r\nA: ").unwrap();
    assert_eq!(slow.read(&mut [0; 64]).unwrap(), 0);
    assert_eq!(reached(&place, "http_header_time"), 1);
    // One that is too long.
    let mut long = connect(address);
    let head = format!("GET /-/health/live/ HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(100_000));
    long.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    long.read_to_string(&mut answer).unwrap();
    is(&answer, 431);
}

#[test]
fn a_source_is_told_when_to_come_again() {
    let place = place("http_requests_by_source_max = 3");
    let server = place.serve_first().0;
    let address = server.address("http");
    for _ in 0..3 {
        is(&get(address, "/api/v3/core/users/"), 401);
    }
    let refused = get(address, "/api/v3/core/users/");
    is(&refused, 429);
    assert!(refused.contains("\r\nretry-after: "), "{refused}");
    is(&get(address, "/-/health/ready/"), 204);
    assert!(get(address, "/metrics").contains("{limit=\"http_requests_by_source_max\"} 1\n"));
    // The commands of this machine do not come through that door.
    for _ in 0..5 {
        place.run(&["status"]).exits(0);
    }
}

#[test]
fn no_credential_is_taken_in_clear_when_the_config_says_so() {
    let place = place("");
    place.edit("log = {", "plain_bind = \"never\"\nlog = {");
    let server = place.serve_first().0;
    let refused = get(server.address("http"), "/api/v3/core/users/");
    is(&refused, 403);
    assert!(refused.contains("https://"), "{refused}");
    is(&get(server.address("http"), "/-/health/ready/"), 204);
    let authority = place.path("certs/ca.pem");
    is(&ask(&mut connect_tls(server.address("https"), &authority), "GET /api/v3/core/users/", ""), 401);
}

/// A client that most machines have.
#[test]
fn python_calls_it() {
    let place = place("");
    let server = place.serve_first().0;
    let script = "import ssl, sys, urllib.request, urllib.error\n\
                  context = ssl.create_default_context(cafile=sys.argv[2])\n\
                  context.check_hostname = True\n\
                  try:\n    urllib.request.urlopen(sys.argv[1], context=context)\n\
                  except urllib.error.HTTPError as error:\n    print(error.code, error.headers['WWW-Authenticate'])\n";
    let port = server.address("https").port();
    let ran = std::process::Command::new("python3")
        .arg("-c")
        .arg(script)
        .arg(format!("https://localhost:{port}/api/v3/core/users/"))
        .arg(place.path("certs/ca.pem"))
        .output();
    let output = ran.expect("python3, which `bash tests/run` installs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "401 Bearer\n", "{output:?}");
}
