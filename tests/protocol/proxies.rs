//! Proxies in front of the real binary: whose address counts, and where secrets in clear are taken.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

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
http = ["127.0.0.1:0"]
proxy_networks = [{networks}]
log = {{ level = "debug" }}

[server.hashing]
memory = "64 KiB"
time_cost = 1
threads = 1

[server.limits]
proxy_header_time = "1s"
"#
    );
    place.write("bindery.toml", &format!("{server}\n{SEED}"));
    let (server, secrets) = place.serve_first();
    let secret = secret_of(&secrets, "ldapservice-app-password");
    (place, server, secret)
}

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

#[test]
fn haproxy_in_front() {
    let (place, server, secret) = start("\"127.0.0.0/8\"");
    let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for version in ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl"] {
        let (front, log) = (free(), place.path(&format!("{version}.log")));
        place.write(
            "haproxy.cfg",
            &format!(
                "defaults\n mode tcp\n timeout connect 10s\n timeout client 60s\n timeout server 60s\n\
                 listen ldap\n bind 127.0.0.1:{front}\n option ldap-check\n \
                 server bindery {} {version} check inter 100ms\n",
                server.address("ldap")
            ),
        );
        let child = Command::new("/usr/sbin/haproxy")
            .args(["-db", "-f", place.path("haproxy.cfg").to_str().unwrap()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("haproxy: {error}; `bash tests/run` installs it"));
        let _running = Running(child);
        let start = Instant::now();
        let mut stream = loop {
            match TcpStream::connect(("127.0.0.1", front)) {
                Ok(stream) => break stream,
                Err(_) => assert!(start.elapsed() < Duration::from_secs(60), "HAProxy does not listen"),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        // It came in clear, though from this machine.
        assert_eq!(bind(&mut stream, &name(), &secret), 13, "{version}");
        // Several checks: none takes the server down.
        std::thread::sleep(Duration::from_millis(500));
        let told = fs::read_to_string(&log).unwrap();
        assert!(!told.contains("DOWN"), "{version}: {told}");
    }
    assert!(!server.log().contains("connections of proxies were ended"), "{}", server.log());
}
