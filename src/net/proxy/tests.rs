//! Headers as proxies send them, as strangers would, in pieces, and with what comes behind them.

use std::net::SocketAddr;

use proptest::prelude::*;
use proxy_header::{SslInfo, Tlv};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::*;
use crate::rounds::cases;

const MAX: u64 = 4096;

fn addresses(source: &str, destination: &str) -> ProxiedAddress {
    ProxiedAddress::stream(source.parse().unwrap(), destination.parse().unwrap())
}

fn v1(source: &str, destination: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    ProxyHeader::with_address(addresses(source, destination)).encode_v1(&mut octets).unwrap();
    octets
}

fn v2(address: Option<ProxiedAddress>, fields: Vec<Tlv<'_>>) -> Vec<u8> {
    let mut octets = Vec::new();
    ProxyHeader::with_tlvs(address, fields).encode_v2(&mut octets).unwrap();
    octets
}

fn v2_raw(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [V2_START, &[command, family], &length, rest].concat()
}

/// What a whole header says.
fn read(octets: &[u8]) -> Result<Said, HeaderError> {
    let length = header_length(octets, MAX)?.filter(|length| *length <= octets.len());
    said(&octets[..length.ok_or(HeaderError::Malformed)?])
}

fn client(octets: &[u8]) -> Option<SocketAddr> {
    read(octets).unwrap().client
}

#[test]
fn both_versions_name_the_client() {
    for (source, destination) in
        [("192.0.2.7:40000", "198.51.100.1:389"), ("[2001:db8::7]:40000", "[2001:db8::1]:636")]
    {
        let expected = Some(source.parse().unwrap());
        assert_eq!(client(&v1(source, destination)), expected);
        assert_eq!(client(&v2(Some(addresses(source, destination)), Vec::new())), expected);
    }
}

#[test]
fn a_proxy_may_speak_for_itself() {
    let itself = Said { client: None, is_tls: false };
    let unix = [0; 216];
    for header in [
        v2(None, Vec::new()),
        v2(None, vec![Tlv::Ssl(SslInfo::new(true, false, false, 0))]),
        // The rest of a LOCAL header means nothing, and its family neither.
        v2_raw(0x20, 0x11, &[1, 2, 3]),
        v2_raw(0x20, 0xff, &[]),
        v2_raw(0x21, 0x00, &[]),
        v2_raw(0x21, 0x31, &unix),
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n".to_vec(),
    ] {
        assert_eq!(read(&header).unwrap(), itself, "{header:?}");
    }
}

#[test]
fn only_pp2_client_ssl_is_tls() {
    let address = || Some(addresses("192.0.2.7:1", "192.0.2.1:389"));
    for (is_tls, certificate) in [(true, false), (true, true), (false, true), (false, false)] {
        let fields = vec![Tlv::Noop(3), Tlv::Ssl(SslInfo::new(is_tls, certificate, certificate, 0))];
        assert_eq!(read(&v2(address(), fields)).unwrap().is_tls, is_tls);
    }
    assert!(!read(&v2(address(), vec![Tlv::Alpn(b"h2"[..].into())])).unwrap().is_tls);
    assert!(!read(&v1("192.0.2.7:1", "192.0.2.1:389")).unwrap().is_tls);
}

#[test]
fn what_is_no_header_is_told_from_a_wrong_one() {
    for octets in [&b"0\x0c\x02\x01"[..], b"GET / HTTP/1.1\r\n", b"\x16\x03\x01", b"PROXYTCP4", b"\r\nQUIT"] {
        assert!(matches!(read(octets), Err(HeaderError::Missing)), "{octets:?}");
    }
    let mut long = b"PROXY TCP4 ".to_vec();
    long.resize(V1_OCTETS_MAX, b'1');
    for octets in [
        &b"PROXY TCP4 192.0.2.7 192.0.2.1 1 389\n"[..],
        b"PROXY TCP4 192.0.2.7 192.0.2.1 1\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 1 65536\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 +1 389\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 1 0389\r\n",
        b"PROXY TCP4 2001:db8::7 2001:db8::1 1 389\r\n",
        b"PROXY TCP6 192.0.2.7 192.0.2.1 1 389\r\n",
        b"PROXY UDP4 192.0.2.7 192.0.2.1 1 389\r\n",
        b"PROXY UNKNOWNS\r\n",
        b"PROXY UNKNOWN\n",
        b"PROXY \r\n",
        &long,
        // Another version, another command, datagrams, too short for its addresses, a broken field.
        &v2_raw(0x11, 0x11, &[0; 12]),
        &v2_raw(0x22, 0x11, &[0; 12]),
        &v2_raw(0x21, 0x12, &[0; 12]),
        &v2_raw(0x21, 0x11, &[0; 11]),
        &v2_raw(0x21, 0x31, &[0; 215]),
        &v2_raw(0x21, 0x41, &[0; 12]),
        &v2_raw(0x21, 0x11, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0, 9, 1]),
        &v2_raw(0x21, 0x11, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0, 1, 1]),
    ] {
        assert!(matches!(read(octets), Err(HeaderError::Malformed)), "{:?}", String::from_utf8_lossy(octets));
    }
    assert!(matches!(read(&v2_raw(0x21, 0x11, &[0; 5000])), Err(HeaderError::TooLong { limit: MAX })));
}

/// Any octets, among them many that begin as a header does.
fn octets() -> impl Strategy<Value = Vec<u8>> {
    let starts = [
        b"".to_vec(),
        V1_START.to_vec(),
        b"PROXY TCP4 ".to_vec(),
        b"PROXY TCP6 ::1 ".to_vec(),
        b"PROXY UNKNOWN".to_vec(),
        V2_START.to_vec(),
        [V2_START, &[0x21, 0x11, 0]].concat(),
        [V2_START, &[0x21, 0x21, 0]].concat(),
        [V2_START, &[0x20, 0x31, 0]].concat(),
        v1("192.0.2.7:1", "192.0.2.1:389"),
        v2(
            Some(addresses("192.0.2.7:1", "192.0.2.1:389")),
            vec![Tlv::Ssl(SslInfo::new(true, true, true, 0))],
        ),
    ];
    let text = proptest::collection::vec(prop::sample::select(&b"0123456789.: \r\n\0\x20P"[..]), 0..120);
    let rest = proptest::collection::vec(any::<u8>(), 0..300);
    (prop::sample::select(starts.to_vec()), prop_oneof![text, rest], any::<prop::sample::Index>()).prop_map(
        |(start, rest, cut)| {
            let mut octets = [start, rest].concat();
            let length = octets.len();
            // Many are cut off somewhere.
            if cut.index(2) == 0 {
                octets.truncate(cut.index(length + 1));
            }
            octets
        },
    )
}

proptest! {
    #![proptest_config(cases(512))]

    /// It never panics; what it says of a header does not depend on what comes behind it, and before it is whole nobody
    /// takes it for one.
    #[test]
    fn a_header_ends_where_it_ends(octets in octets(), behind in proptest::collection::vec(any::<u8>(), 0..40)) {
        let of_all = header_length(&octets, MAX);
        let _ = said(&octets);
        let longer = [octets.clone(), behind].concat();
        match of_all {
            Ok(Some(length)) => {
                prop_assert!(length > 0 && length as u64 <= MAX);
                prop_assert_eq!(header_length(&longer, MAX).unwrap(), Some(length));
                for end in 0..length.min(octets.len()) {
                    let shorter = header_length(&octets[..end], MAX).unwrap();
                    prop_assert!(shorter.is_none_or(|found| found == length));
                    prop_assert!(said(&octets[..end]).is_err());
                }
                prop_assert!(header_length(&octets, length as u64 - 1).is_err());
            }
            Ok(None) => prop_assert!(octets.len() < V1_OCTETS_MAX && said(&octets).is_err()),
            Err(_) => prop_assert!(header_length(&longer, MAX).is_err()),
        }
    }
}

/// Both ends of a connection.
async fn pair() -> (TcpStream, Stream, Peer) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, address) = listener.accept().await.unwrap();
    let local = super::super::LocalAddress::Ip(server.local_addr().unwrap());
    let peer = Peer { address: PeerAddress::from_socket(address), local, proxied: None };
    (client, Stream::Tcp(server), peer)
}

fn proxies(networks: &[&str]) -> Proxies {
    let networks = networks.iter().map(|network| network.parse().unwrap()).collect();
    Proxies { networks, header_time: Duration::from_secs(30), header_size_max: MAX }
}

#[tokio::test]
async fn a_header_is_taken_in_pieces_and_nothing_behind_it() {
    let ssl = || vec![Tlv::Ssl(SslInfo::new(true, false, false, 0)), Tlv::Noop(700)];
    let loopback = || Some(addresses("127.0.0.1:40000", "127.0.0.1:389"));
    for (header, is_tls) in [
        (v1("192.0.2.7:40000", "198.51.100.1:389"), false),
        (v2(loopback(), ssl()), true),
        (b"PROXY UNKNOWN\r\n".to_vec(), false),
    ] {
        for piece in [1, 7, 200, usize::MAX] {
            let (mut client, mut stream, peer) = pair().await;
            client.set_nodelay(true).unwrap();
            let sent = [header.clone(), b"\x16\x03\x01 behind".to_vec()].concat();
            let sending = tokio::spawn(async move {
                for part in sent.chunks(piece.min(sent.len())) {
                    client.write_all(part).await.unwrap();
                    tokio::task::yield_now().await;
                }
                client.shutdown().await.unwrap();
                client
            });
            let met = proxies(&["127.0.0.0/8"]).read_header(&mut stream, peer.clone()).await.unwrap();
            assert_eq!(met.address, client_of(&header).map_or(peer.address, PeerAddress::from_socket));
            assert_eq!(met.proxied, Some(Proxied { is_tls }));
            assert!(!met.is_loopback() && peer.is_loopback());
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.unwrap();
            assert_eq!(rest, b"\x16\x03\x01 behind");
            sending.await.unwrap();
        }
    }
}

fn client_of(header: &[u8]) -> Option<SocketAddr> {
    said(header).unwrap().client
}

#[tokio::test]
async fn a_header_has_its_time_and_its_size() {
    let (mut client, mut stream, peer) = pair().await;
    client.write_all(b"PROXY TCP4 ").await.unwrap();
    let hasty = Proxies { header_time: Duration::from_millis(20), ..proxies(&["127.0.0.0/8"]) };
    let error = hasty.read_header(&mut stream, peer).await.unwrap_err();
    assert!(matches!(error, HeaderError::TooLate), "{error}");

    let (mut client, mut stream, peer) = pair().await;
    client.write_all(&v2_raw(0x21, 0x11, &[0; 5000])[..16]).await.unwrap();
    let error = proxies(&["127.0.0.0/8"]).read_header(&mut stream, peer).await.unwrap_err();
    assert!(matches!(error, HeaderError::TooLong { limit: MAX }), "{error}");

    // Who only looks whether the port is open.
    let (client, mut stream, peer) = pair().await;
    drop(client);
    let error = proxies(&["127.0.0.0/8"]).read_header(&mut stream, peer).await.unwrap_err();
    assert!(matches!(error, HeaderError::Closed(_)), "{error}");
}

#[tokio::test]
async fn proxies_are_known_by_their_networks() {
    let (_client, _stream, peer) = pair().await;
    assert!(proxies(&["10.0.0.0/8", "127.0.0.1/32"]).is_proxy(&peer));
    assert!(!proxies(&["10.0.0.0/8", "::1/128"]).is_proxy(&peer));
    assert!(!proxies(&[]).is_proxy(&peer));
    let unix = Peer { address: PeerAddress::Unix { uid: 0 }, ..peer };
    assert!(!proxies(&["0.0.0.0/0", "::/0"]).is_proxy(&unix));
}
