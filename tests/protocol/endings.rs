//! How connections end: what was received is answered first, and over TLS the end is told.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::support::octets::{connect, element, final_code, message, read_message, search, simple_bind};
use crate::support::{Place, SEED, Server, secret_of};

const NAME: &str = "cn=ldapservice,ou=users,dc=ldap,dc=example,dc=com";
const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";

const SERVER: &str = r#"
[server]
data_dir = "data"
ldap = ["127.0.0.1:0"]
ldaps = ["127.0.0.1:0"]
http = ["127.0.0.1:0"]
https = ["127.0.0.1:0"]

[server.tls]
development = "certs"

[server.hashing]
memory = "64 KiB"
time_cost = 1
threads = 1

[server.limits]
"#;

type TlsClient = StreamOwned<ClientConnection, TcpStream>;

fn start(limits: &str) -> (Place, Server, String) {
    let place = Place::new(SEED);
    place.write("bindery.toml", &format!("{SERVER}{limits}\n{SEED}"));
    let (server, secrets) = place.serve_first();
    (place, server, secret_of(&secrets, "ldapservice-app-password"))
}

/// TLS over a stream, of one version.
fn tls(stream: TcpStream, place: &Place, version: &'static rustls::SupportedProtocolVersion) -> TlsClient {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(place.path("certs/ca.pem")).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream)
}

fn ldaps(
    address: SocketAddr,
    place: &Place,
    version: &'static rustls::SupportedProtocolVersion,
) -> TlsClient {
    tls(connect(address), place, version)
}

fn start_tls(address: SocketAddr, place: &Place) -> TlsClient {
    let mut stream = connect(address);
    stream.write_all(&message_of_start_tls()).unwrap();
    assert_eq!(final_code(&read_message(&mut stream).unwrap()), (1, 0x78, 0));
    tls(stream, place, &rustls::version::TLS13)
}

fn message_of_start_tls() -> Vec<u8> {
    message(1, &element(0x77, &element(0x80, START_TLS)))
}

/// A bind that needs a hash, and searches behind it.
fn requests(secret: &str) -> Vec<u8> {
    let present = element(0x87, b"objectClass");
    [simple_bind(1, NAME, secret), search(2, "", 0, &present), search(3, "", 0, &present)].concat()
}

/// Message IDs, tags and codes of all whole messages, entries left out.
fn finals(mut octets: &[u8]) -> Vec<(u8, u8, u8)> {
    let mut found = Vec::new();
    while let Some(message) = read_message_of(&mut octets) {
        found.push(final_code(&message));
    }
    found.retain(|(_, tag, _)| *tag != 0x64);
    found
}

fn read_message_of(octets: &mut &[u8]) -> Option<Vec<u8>> {
    let head: [u8; 6] = octets.get(..6)?.try_into().ok()?;
    let (message, rest) = octets.split_at(6 + crate::support::octets::length_behind(head));
    *octets = rest;
    Some(message.to_vec())
}

/// All that comes until a close_notify; without one this is an error.
fn rest(client: &mut TlsClient) -> Vec<u8> {
    let mut octets = Vec::new();
    client.read_to_end(&mut octets).expect("the end is told");
    octets
}

#[test]
fn who_closes_its_side_behind_a_request_is_answered() {
    let (_place, server, secret) = start("");
    let mut stream = connect(server.address("ldap"));
    // A bind in clear from this machine is taken.
    stream.write_all(&requests(&secret)).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut octets = Vec::new();
    stream.read_to_end(&mut octets).unwrap();
    assert_eq!(finals(&octets), [(1, 0x61, 0), (2, 0x65, 0), (3, 0x65, 0)]);

    let mut stream = connect(server.address("http"));
    stream.write_all(b"GET /-/health/ready/ HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
}

#[test]
fn a_close_notify_is_answered_behind_all_that_was_received() {
    let (place, server, secret) = start("");
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let over_ldaps = || ldaps(server.address("ldaps"), &place, version);
        for mut client in [over_ldaps(), start_tls(server.address("ldap"), &place)] {
            client.write_all(&requests(&secret)).unwrap();
            client.conn.send_close_notify();
            client.flush().unwrap();
            assert_eq!(finals(&rest(&mut client)), [(1, 0x61, 0), (2, 0x65, 0), (3, 0x65, 0)]);
        }
        // Without a word before it.
        let mut client = over_ldaps();
        client.flush().unwrap();
        client.conn.send_close_notify();
        client.flush().unwrap();
        assert!(rest(&mut client).is_empty());
        // Over HTTP.
        let mut client = ldaps(server.address("https"), &place, version);
        client.write_all(b"GET /-/health/ready/ HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        client.conn.send_close_notify();
        client.flush().unwrap();
        assert!(rest(&mut client).starts_with(b"HTTP/1.1 204"));
    }
}

#[test]
fn every_orderly_end_is_told_over_tls() {
    let limits = "idle_time_before_bind = \"1s\"\nmessage_time = \"1s\"\nhttp_header_time = \"1s\"";
    let (place, server, _) = start(limits);
    let unbind = message(1, &[0x42, 0]);
    let present = element(0x87, b"objectClass");
    let half = &search(1, "", 0, &present)[..9];
    // An unbind, what is no LDAP, half a message, silence, more than is taken.
    let too_much = [&[0x30, 0x84, 0x7f, 0xff, 0xff, 0xff][..], &[0; 64 * 1024]].concat();
    let sent: [(&[u8], Option<u8>); 5] = [
        (&unbind, None),
        (b"GET / HTTP/1.1\r\n\r\n", Some(2)),
        (half, Some(2)),
        (b"", Some(52)),
        (&too_much, Some(2)),
    ];
    for (octets, code) in sent {
        let mut client = ldaps(server.address("ldaps"), &place, &rustls::version::TLS13);
        client.write_all(octets).unwrap();
        client.flush().unwrap();
        let told: Vec<u8> = finals(&rest(&mut client)).iter().map(|(_, _, code)| *code).collect();
        assert_eq!(told, code.into_iter().collect::<Vec<_>>(), "{octets:?}");
    }
    let mut client = ldaps(server.address("https"), &place, &rustls::version::TLS13);
    client.write_all(b"GET /-/health/live/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    assert!(rest(&mut client).starts_with(b"HTTP/1.1 204"));
    let mut silent = ldaps(server.address("https"), &place, &rustls::version::TLS13);
    silent.flush().unwrap();
    rest(&mut silent);
    // The server goes down.
    let mut client = ldaps(server.address("ldaps"), &place, &rustls::version::TLS13);
    client.write_all(&search(1, "", 0, &present)).unwrap();
    let mut head = [0; 1];
    client.read_exact(&mut head).unwrap();
    server.signal(rustix::process::Signal::TERM);
    rest(&mut client);
}

/// More than any client says before it is answered: nobody keeps it.
#[test]
fn a_handshake_that_does_not_end_is_cut_off() {
    let (_place, server, _) = start("handshake_time = \"1h\"");
    let mut message = vec![1, 0, 0xff, 0xdc, 3, 3];
    message.resize(65_000, 0);
    let in_records = |part: &[u8]| {
        let [.., high, low] = part.len().to_be_bytes();
        [&[0x16, 3, 1, high, low], part].concat()
    };
    let octets: Vec<u8> = message.chunks(16_000).flat_map(in_records).collect();
    let mut upgraded = connect(server.address("ldap"));
    upgraded.write_all(&message_of_start_tls()).unwrap();
    assert_eq!(final_code(&read_message(&mut upgraded).unwrap()), (1, 0x78, 0));
    for mut stream in [upgraded, connect(server.address("ldaps")), connect(server.address("https"))] {
        // It may be closed before all of it is sent.
        let _ = stream.write_all(&octets);
        match stream.read(&mut [0; 64]) {
            Ok(read) => assert_eq!(read, 0),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
}
