//! Clients at the wrong port, and certificates that do not fit: each kind is one line of the log, and counted.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::support::octets::{connect, element, search};
use crate::support::{Place, SEED, Server};

const SERVER: &str = r#"
[server]
data_dir = "data"
ldap = ["127.0.0.1:0"]
ldaps = ["127.0.0.1:0"]
http = ["127.0.0.1:0"]
https = ["127.0.0.1:0"]

[server.tls]
certificate = "server.pem"
key = "server.key"
client_ca = "clients.pem"

[server.hashing]
memory = "64 KiB"
time_cost = 1
threads = 1
"#;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// A certificate that somebody has signed for themselves, and its key.
struct SelfSigned {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    pem: (String, String),
}

fn self_signed(name: &str) -> SelfSigned {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    SelfSigned {
        certificate: made.cert.der().clone(),
        key: PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap(),
        pem: (made.cert.pem(), made.signing_key.serialize_pem()),
    }
}

struct Mistaken {
    server: Server,
    _place: Place,
    certificate: CertificateDer<'static>,
}

impl Mistaken {
    fn start() -> Self {
        let place = Place::new(SEED);
        place.write("bindery.toml", &format!("{SERVER}\n{SEED}"));
        let own = self_signed("localhost");
        place.write("server.pem", &own.pem.0);
        place.write("server.key", &own.pem.1);
        place.write("clients.pem", &self_signed("clients.example").pem.0);
        let (server, _) = place.serve_first();
        Self { server, _place: place, certificate: own.certificate }
    }

    /// Sends something, and waits for the end.
    fn send(&self, scheme: &str, octets: &[u8]) {
        let mut stream = connect(self.server.address(scheme));
        stream.write_all(octets).unwrap();
        // An end or a reset, as the system likes.
        let _ = stream.read_to_end(&mut Vec::new());
    }

    /// Speaks TLS; gives whether an LDAP request was answered.
    fn is_answered(&self, stream: TcpStream, trusts_it: bool, shows: Option<SelfSigned>) -> bool {
        let mut roots = RootCertStore::empty();
        if trusts_it {
            roots.add(self.certificate.clone()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match shows {
            None => config.with_no_client_auth(),
            Some(own) => config.with_client_auth_cert(vec![own.certificate], own.key).unwrap(),
        };
        let name = ServerName::try_from("localhost").unwrap();
        let mut client = StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream);
        client.write_all(&search(1, "", 0, &element(0x87, b"objectClass"))).is_ok()
            && client.read_exact(&mut [0; 1]).is_ok()
    }

    fn ldaps(&self) -> TcpStream {
        connect(self.server.address("ldaps"))
    }

    /// How often that came, as soon as it is so often: a connection has ended a moment before it is told.
    fn await_count(&self, kind: &str, count: u64) {
        let begun = Instant::now();
        while self.count(kind) < count {
            assert!(begun.elapsed() < Duration::from_secs(60), "{kind}: {} of {count}", self.count(kind));
        }
        assert_eq!(self.count(kind), count, "{kind}");
    }

    fn count(&self, kind: &str) -> u64 {
        let metrics = get(self.server.address("http"), "/metrics");
        let line = format!("bindery_seldom_told_total{{kind=\"{kind}\"}} ");
        let count = metrics.lines().find_map(|found| found.strip_prefix(&line));
        count.unwrap_or_else(|| panic!("{kind} is not in\n{metrics}")).parse().unwrap()
    }
}

fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = connect(address);
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn each_mistake_is_named_in_one_line_and_counted() {
    let mistaken = Mistaken::start();
    let hello = [&[0x16, 3, 1, 2, 0, 1][..], &[0; 512]].concat();
    let ldap = search(1, "", 0, &element(0x87, b"objectClass"));
    let proxy_header = b"PROXY TCP4 192.0.2.7 127.0.0.1 1 389\r\n";
    for (scheme, octets) in [
        ("ldap", &hello[..]),
        ("http", &hello),
        ("ldap", REQUEST),
        ("ldap", b"POST /api HTTP/1.1\r\n\r\n"),
        ("ldaps", REQUEST),
        ("ldaps", &ldap),
        ("https", REQUEST),
        ("https", &ldap),
        ("http", &ldap),
        ("http", &ldap),
        ("ldap", proxy_header),
        ("ldaps", proxy_header),
    ] {
        mistaken.send(scheme, octets);
    }
    for _ in 0..3 {
        assert!(!mistaken.is_answered(mistaken.ldaps(), true, Some(self_signed("stranger.example"))));
        assert!(!mistaken.is_answered(mistaken.ldaps(), false, None));
    }
    for (kind, count, words) in [
        ("tls_in_clear", 2, "clients speak TLS on a port in clear"),
        ("http_on_ldap", 2, "clients speak HTTP on a port of LDAP"),
        ("clear_on_tls", 4, "clients speak in clear on a port with TLS"),
        ("ldap_on_http", 2, "clients speak LDAP on a port of HTTP"),
        ("stray_proxy_header", 2, "do not come from `proxy_networks`"),
        ("untrusted_client_certificate", 3, "whose certificate `client_ca` does not vouch for"),
        ("untrusted_server_certificate", 3, "clients do not trust the server's certificate"),
    ] {
        mistaken.server.await_log(words);
        let log = mistaken.server.log();
        assert_eq!(log.matches(words).count(), 1, "{log}");
        // A reason is told where there is one, and no empty field elsewhere.
        let line = log.lines().find(|line| line.contains(words)).unwrap();
        assert_eq!(line.contains("reason="), words.contains("certificate"), "{line}");
        mistaken.await_count(kind, count);
    }
    // What ends otherwise is no mistake: silence, a half message, nonsense, and who is at the right port.
    mistaken.send("ldap", b"nonsense");
    mistaken.send("http", b"\0\0\0\0\r\n\r\n");
    drop(connect(mistaken.server.address("ldaps")));
    assert!(mistaken.is_answered(mistaken.ldaps(), true, None));
    assert_eq!(mistaken.count("clear_on_tls") + mistaken.count("tls_in_clear"), 6);
}
