//! Proxies in front of the real binary: whose address counts, and where secrets in clear are taken.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tokio::net::TcpSocket;

use crate::support::octets::{bind, connect, final_code, read_message, search, simple_bind};
use crate::support::{BASE, Place, SEED, Server, secret_of};

/// A server with both doors, whose clients on this machine are proxies or are not, and the secret of a service account.
fn start(networks: &str) -> (Place, Server, String) {
    let place = Place::new("");
    let server = format!(
        r#"
[server]
data_dir = "data"
ldap = ["127.0.0.1:0"]
ldaps = ["127.0.0.1:0"]
http = ["127.0.0.1:0"]
https = ["127.0.0.1:0"]
tls = {{ development = "certs" }}
proxy_networks = [{networks}]
log = {{ level = "debug" }}

[server.hashing]
memory = "64 KiB"
time_cost = 1
threads = 1

[server.limits]
proxy_header_time = "1s"
throttle_failures_max = {THROTTLE_FAILURES_MAX}
throttle_pause_min = "5m"
"#
    );
    place.write("bindery.toml", &format!("{server}\n{SEED}"));
    let (server, secrets) = place.serve_first();
    let secret = secret_of(&secrets, "ldapservice-app-password");
    (place, server, secret)
}

const THROTTLE_FAILURES_MAX: usize = 3;
const PERSON: &str = "cn=alice,ou=users,dc=ldap,dc=example,dc=com";
const PASSWORD: &str = "a long way to Tipperary";

fn name() -> String {
    format!("cn=ldapservice,ou=users,{BASE}")
}

/// A header of version 2 with the client 192.0.2.7, who speaks TLS with the proxy or does not.
fn header(is_tls: bool) -> Vec<u8> {
    let mut octets = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x14\xc0\0\x02\x07\x7f\0\0\x01\x9c\x40\x01\x85".to_vec();
    octets.extend([0x20, 0, 5, u8::from(is_tls), 0, 0, 0, 0]);
    octets
}

fn behind(address: SocketAddr, header: &[u8]) -> TcpStream {
    let mut stream = connect(address);
    stream.write_all(header).unwrap();
    stream
}

/// What a connection ends with.
fn rest(mut stream: TcpStream) -> Vec<u8> {
    let mut octets = Vec::new();
    // A reset is an end as well.
    let _ = stream.read_to_end(&mut octets);
    octets
}

#[test]
fn ldap_goes_by_the_header_of_a_proxy() {
    let (_place, server, secret) = start("\"127.0.0.0/8\"");
    let address = server.address("ldap");
    // Secrets are taken by what the proxy says of TLS, and never for an address of this machine.
    assert_eq!(bind(&mut behind(address, &header(true)), &name(), &secret), 0);
    assert_eq!(bind(&mut behind(address, &header(false)), &name(), &secret), 13);
    let local = b"PROXY TCP4 127.0.0.1 127.0.0.1 40000 389\r\n";
    assert_eq!(bind(&mut behind(address, local), &name(), &secret), 13);
    // The address of the header is that of the log.
    assert_eq!(bind(&mut behind(address, &header(true)), &name(), "wrong"), 49);
    server.await_log("192.0.2.7");
    // The proxy for itself.
    for own in [&b"PROXY UNKNOWN\r\n"[..], b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"] {
        let mut stream = behind(address, own);
        stream.write_all(&search(1, "", 0, b"\x87\x0bobjectClass")).unwrap();
        let mut answer = read_message(&mut stream).unwrap();
        while final_code(&answer).1 != 0x65 {
            answer = read_message(&mut stream).unwrap();
        }
        assert_eq!(final_code(&answer).2, 0);
    }
    // Without a header, with a wrong one, with half of one: the end, without a word, and a line.
    for wrong in [&simple_bind(1, "", "")[..], b"PROXY TCP4 1.2.3.4\r\n", b"PROXY TCP4 1."] {
        assert_eq!(rest(behind(address, wrong)), b"");
    }
    server.await_log("PROXY header");
    assert_eq!(server.log().matches("connections of proxies were ended").count(), 1);
}

#[test]
fn from_elsewhere_it_is_no_header() {
    let (_place, server, secret) = start("\"192.0.2.0/24\"");
    let address = server.address("ldap");
    assert_eq!(bind(&mut connect(address), &name(), &secret), 0);
    let answer = rest(behind(address, &header(true)));
    assert!(!answer.is_empty(), "the notice of disconnection");
    let answer = rest(behind(address, b"PROXY TCP4 192.0.2.7 127.0.0.1 1 389\r\n"));
    assert!(!answer.is_empty());
    let answer = rest(behind(server.address("http"), &header(true)));
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
    assert!(!server.log().contains("192.0.2.7"));
}

/// A proxy behind another passes the header of that on: what the operator is told is not to trust the client.
#[test]
fn two_headers_are_told_as_such() {
    let (_place, server, _) = start("\"127.0.0.0/8\"");
    let text = b"PROXY TCP4 192.0.2.7 127.0.0.1 1 389\r\n";
    for scheme in ["ldap", "ldaps", "http", "https"] {
        for first in [&header(false), &text[..]] {
            rest(behind(server.address(scheme), &[first, text].concat()));
        }
        // Of one octet nobody knows what it begins.
        rest(behind(server.address(scheme), &[&text[..], b"P\r\n"].concat()));
    }
    server.await_log("more than one PROXY header");
    for wrong in ["name the proxy there", "speak HTTP", "speak in clear"] {
        assert!(!server.log().contains(wrong), "{}", server.log());
    }
}

#[test]
fn http_goes_by_the_header_of_a_proxy() {
    let (_place, server, _) = start("\"127.0.0.0/8\"");
    let address = server.address("http");
    let request = b"GET /-/health/live/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer = |header: &[u8], request: &[u8]| {
        String::from_utf8_lossy(&rest(behind(address, &[header, request].concat()))).into_owned()
    };
    assert!(answer(&header(false), request).starts_with("HTTP/1.1 2"));
    assert_eq!(answer(b"", request), "");
    // Counters are for this machine, and nobody that comes by a proxy is on it; a call in clear is refused as such.
    let metrics = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    for own in [&header(false)[..], b"PROXY TCP4 127.0.0.1 127.0.0.1 1 80\r\n", b"PROXY UNKNOWN\r\n"] {
        assert!(answer(own, metrics).starts_with("HTTP/1.1 403"));
    }
    // Over TLS at the proxy it may be asked for with a token, which is missing here.
    assert!(answer(&header(true), metrics).starts_with("HTTP/1.1 401"));
}

/// Ended when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Debian's HAProxy before one listener.
struct HaProxy {
    port: u16,
    log: PathBuf,
    _running: Running,
}

impl HaProxy {
    /// `ends` is what its own listener is given beside the address, `way` how it speaks with the server.
    fn start(place: &Place, name: &str, ends: &str, address: SocketAddr, way: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (config, log) = (place.path(&format!("{name}.cfg")), place.path(&format!("{name}.log")));
        fs::write(
            &config,
            format!(
                "global\n tune.ssl.default-dh-param 2048\n\
                 defaults\n mode tcp\n timeout connect 10s\n timeout client 60s\n timeout server 60s\n\
                 listen front\n bind 127.0.0.1:{port} {ends}\n server bindery {address} {way}\n"
            ),
        )
        .unwrap();
        let child = Command::new("/usr/sbin/haproxy")
            .args(["-db", "-f", config.to_str().unwrap()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("haproxy: {error}; `bash tests/run` installs it"));
        let haproxy = Self { port, log, _running: Running(child) };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < Duration::from_secs(60), "HAProxy does not listen: {}", haproxy.told());
            std::thread::sleep(Duration::from_millis(20));
        }
        haproxy
    }

    /// A connection from an address of this machine.
    fn connect_from(&self, source: [u8; 4]) -> TcpStream {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let stream = runtime.block_on(async {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(SocketAddr::from((source, 0))).unwrap();
            socket.connect(SocketAddr::from(([127, 0, 0, 1], self.port))).await.unwrap()
        });
        let stream = stream.into_std().unwrap();
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    fn connect(&self) -> TcpStream {
        self.connect_from([127, 0, 0, 1])
    }

    fn told(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }
}

/// TLS with whoever holds the development certificate.
fn tls(stream: TcpStream, place: &Place) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(place.path("certs/ca.pem")).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream)
}

fn api_token(place: &Place) -> String {
    let arguments = ["token", "create", "portal-api", "--account", "portal", "--intent", "api", "--json"];
    place.run(&arguments).exits(0).json()["secret"].as_str().unwrap().to_owned()
}

/// The status of a call with a token.
fn status(mut stream: impl Read + Write, token: &str) -> String {
    let call = format!(
        "GET /api/v3/core/users/me/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(call.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // HAProxy may end a connection without a close_notify.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
}

#[test]
fn haproxy_in_front() {
    let (place, server, secret) = start("\"127.0.0.0/8\"");
    for version in ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl"] {
        let checked = format!("{version} check inter 100ms");
        let haproxy =
            HaProxy::start(&place, version, "\n option ldap-check", server.address("ldap"), &checked);
        // It came in clear, though from this machine.
        assert_eq!(bind(&mut haproxy.connect(), &name(), &secret), 13, "{version}");
        // Several checks: none takes the server down.
        std::thread::sleep(Duration::from_millis(500));
        assert!(!haproxy.told().contains("DOWN"), "{version}: {}", haproxy.told());
    }
    assert!(!server.log().contains("connections of proxies were ended"), "{}", server.log());
}

#[test]
fn haproxy_that_lets_tls_through() {
    let (place, server, secret) = start("\"127.0.0.0/8\"");
    let token = api_token(&place);
    for version in ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl"] {
        // The header stands before the handshake, and says nothing of TLS: there is TLS all the same.
        let name_of = |door| format!("{door}-{version}");
        let ldaps = HaProxy::start(&place, &name_of("ldaps"), "", server.address("ldaps"), version);
        let mut client = tls(ldaps.connect_from([127, 0, 0, 2]), &place);
        assert_eq!(bind(&mut client, &name(), "wrong"), 49, "{version}");
        server.await_log("127.0.0.2");
        assert_eq!(bind(&mut client, &name(), &secret), 0, "{version}");
        let https = HaProxy::start(&place, &name_of("https"), "", server.address("https"), version);
        assert_eq!(status(tls(https.connect(), &place), &token), "HTTP/1.1 200 OK", "{version}");
    }
    assert!(!server.log().contains("connections of proxies were ended"), "{}", server.log());
}

#[test]
fn haproxy_that_ends_tls() {
    let (place, server, secret) = start("\"127.0.0.0/8\"");
    let token = api_token(&place);
    let both = [place.read("certs/server.pem"), place.read("certs/server.key")].concat();
    place.write("both.pem", &both);
    let ends = format!("ssl crt {}", place.path("both.pem").display());
    // Only version 2 with PP2_TYPE_SSL tells of TLS; what is not told of counts as clear.
    for (version, code, answer) in [
        ("send-proxy", 13, "HTTP/1.1 403 Forbidden"),
        ("send-proxy-v2", 13, "HTTP/1.1 403 Forbidden"),
        ("send-proxy-v2-ssl", 0, "HTTP/1.1 200 OK"),
        ("send-proxy-v2-ssl-cn", 0, "HTTP/1.1 200 OK"),
    ] {
        let name_of = |door| format!("{door}-{version}");
        let ldap = HaProxy::start(&place, &name_of("ldap"), &ends, server.address("ldap"), version);
        assert_eq!(bind(&mut tls(ldap.connect(), &place), &name(), &secret), code, "{version}");
        let http = HaProxy::start(&place, &name_of("http"), &ends, server.address("http"), version);
        assert_eq!(status(tls(http.connect(), &place), &token), answer, "{version}");
    }
    // It tells of who comes in clear as well.
    let clear = HaProxy::start(&place, "clear", "", server.address("http"), "send-proxy-v2-ssl");
    assert_eq!(status(clear.connect(), &token), "HTTP/1.1 403 Forbidden");
    assert!(!server.log().contains("connections of proxies were ended"), "{}", server.log());
}

#[test]
fn behind_haproxy_everybody_is_throttled_alone() {
    let (place, server, secret) = start("\"127.0.0.0/8\"");
    let haproxy = HaProxy::start(&place, "throttled", "", server.address("ldaps"), "send-proxy-v2");
    place.run_with_input(&["account", "password", "alice"], &format!("{PASSWORD}\n")).exits(0);
    let bind_from =
        |source, name: &str, secret: &str| bind(&mut tls(haproxy.connect_from(source), &place), name, secret);
    for _ in 0..THROTTLE_FAILURES_MAX {
        assert_eq!(bind_from([127, 0, 0, 2], PERSON, "wrong"), 49);
    }
    // The account is paused at this source, also for who knows its secret, and at no other.
    assert_eq!(bind_from([127, 0, 0, 2], PERSON, PASSWORD), 49);
    assert_eq!(bind_from([127, 0, 0, 3], PERSON, PASSWORD), 0);
    // One with a selector is taken as long as it is right.
    assert_eq!(bind_from([127, 0, 0, 2], &name(), &secret), 0);
}
