//! Handshakes and records over real sockets, from a client that seals each record by itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::future::poll_fn;
use std::time::{Duration, Instant};

use rustls::crypto::CryptoProvider;
use rustls::crypto::cipher::{MessageEncrypter, OutboundChunks, OutboundPlainMessage};
use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::{
    ClientConfig, ClientConnection, ConnectionTrafficSecrets, ContentType, ProtocolVersion, RootCertStore,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream as ClientStream;

use super::*;
use crate::clock::Clock;
use crate::net::certificate::create_development;
use crate::net::presence::Presence;
use crate::net::{ClientSource, LocalAddress, Peer, PeerAddress, Stream, Tls, TlsFiles, Turns, handshake};

/// A server's side of TLS, and a client that trusts it.
struct Sides {
    _directory: TempDir,
    tls: Arc<Tls>,
    client: Arc<ClientConfig>,
}

impl Sides {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let made = create_development(directory.path()).unwrap();
        let files = TlsFiles { certificate: made.certificate, key: made.key, client_ca: None };
        let tls = Arc::new(Tls::load(&files, &Arc::new(Clock::of_system())).unwrap());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(directory.path().join("ca.pem")).unwrap()).unwrap();
        let provider = CryptoProvider { cipher_suites: vec![TLS13_AES_128_GCM_SHA256], ..default_provider() };
        let mut client = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.enable_secret_extraction = true;
        Self { _directory: directory, tls, client: Arc::new(client) }
    }

    /// A connection whose handshake is waited for.
    async fn connect(&self, turns: &Arc<SourceTurns>) -> (TcpStream, JoinHandle<io::Result<Secured>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, address) = listener.accept().await.unwrap();
        let (acceptor, turns) = (self.tls.acceptor().0, Arc::clone(turns));
        let accepting = tokio::spawn(async move {
            let address = PeerAddress::from_socket(address);
            let local = LocalAddress::Ip("192.0.2.254:636".parse().unwrap());
            let peer = Peer { address, local, proxied: None };
            let presence = Presence::new(tokio::time::Instant::now());
            handshake::accept(acceptor, Stream::Tcp(server), &peer, &presence, &turns).await
        });
        (client, accepting)
    }

    /// Both ends behind a handshake.
    async fn shake(&self, turns: &Arc<SourceTurns>) -> (ClientStream<TcpStream>, Secured) {
        let (stream, accepting) = self.connect(turns).await;
        let connector = TlsConnector::from(Arc::clone(&self.client));
        let client = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
        (client, accepting.await.unwrap().unwrap())
    }

    /// The same, with a client that seals by itself; the handshake is not counted.
    async fn open(&self) -> (Sealing, Secured) {
        let (client, mut server) = self.shake(&turns()).await;
        server.turns = turns();
        (Sealing::new(client), server)
    }

    /// The first message of a handshake.
    fn hello(&self) -> Vec<u8> {
        let name = ServerName::try_from("localhost").unwrap();
        let mut octets = Vec::new();
        ClientConnection::new(Arc::clone(&self.client), name).unwrap().write_tls(&mut octets).unwrap();
        octets
    }
}

/// A client that says what it likes.
struct Sealing {
    stream: TcpStream,
    encrypter: Box<dyn MessageEncrypter>,
    sequence: u64,
}

impl Sealing {
    fn new(client: ClientStream<TcpStream>) -> Self {
        let (stream, connection) = client.into_inner();
        let (sequence, secrets) = connection.dangerous_extract_secrets().unwrap().tx;
        let ConnectionTrafficSecrets::Aes128Gcm { key, iv } = secrets else { panic!("another cipher") };
        let suite = TLS13_AES_128_GCM_SHA256.tls13().unwrap();
        Self { stream, encrypter: suite.aead_alg.encrypter(key, iv), sequence }
    }

    fn seal(&mut self, typ: ContentType, octets: &[u8]) -> Vec<u8> {
        let payload = OutboundChunks::Single(octets);
        let message = OutboundPlainMessage { typ, version: ProtocolVersion::TLSv1_2, payload };
        let sealed = self.encrypter.encrypt(message, self.sequence).unwrap().encode();
        self.sequence += 1;
        sealed
    }

    /// So many records, one behind the other.
    fn records(&mut self, count: usize, octets: &[u8]) -> Vec<u8> {
        (0..count).flat_map(|_| self.seal(ContentType::ApplicationData, octets)).collect()
    }

    async fn send(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).await.unwrap();
    }
}

fn turns() -> Arc<SourceTurns> {
    Turns::new(1).of(Some(ClientSource::from(Some("192.0.2.1".parse().unwrap()))))
}

fn is_paced(turns: &SourceTurns) -> bool {
    turns.is_paced(Instant::now())
}

/// The end of what is read, and how often it was asked for.
async fn error_of(server: &mut Secured) -> (io::Error, usize) {
    let mut polls = 0;
    let mut octets = [0; 64];
    let read = poll_fn(|context| {
        polls += 1;
        Pin::new(&mut *server).poll_read(context, &mut ReadBuf::new(&mut octets))
    });
    let error = timeout(PATIENCE, read).await.expect("it is read on and on").unwrap_err();
    (error, polls)
}

#[tokio::test]
async fn who_sends_records_that_carry_nothing_is_cut_off() {
    let (mut client, mut server) = Sides::new().open().await;
    // Each brings an octet of a message that is not whole.
    let mut octets = client.seal(ContentType::Handshake, &[0x18, 0, 0xff, 0xd0]);
    for _ in 0..1_000 {
        octets.extend(client.seal(ContentType::Handshake, &[0]));
    }
    client.send(&octets).await;
    let (error, polls) = error_of(&mut server).await;
    assert_eq!((error.kind(), error.to_string().as_str()), (io::ErrorKind::InvalidData, IN_VAIN));
    // Others have their turns in between.
    assert!(polls >= 3, "{polls}");
    assert!(is_paced(&server.turns));
}

#[tokio::test]
async fn records_that_carry_nothing_may_stand_between_others() {
    let (mut client, mut server) = Sides::new().open().await;
    let mut octets = Vec::new();
    for _ in 0..40 {
        octets.extend(client.records(30, b""));
        octets.extend(client.records(1, b"x"));
    }
    client.send(&octets).await;
    let mut read = [0; 40];
    timeout(PATIENCE, server.read_exact(&mut read)).await.unwrap().unwrap();
    assert_eq!(read, [b'x'; 40]);
    assert!(is_paced(&server.turns));
}

#[tokio::test]
async fn a_message_of_the_handshake_that_does_not_end_is_not_kept() {
    let (mut client, mut server) = Sides::new().open().await;
    let mut message = vec![0x18, 0, 0xff, 0xd0];
    message.resize(16_000, 0);
    let octets = client.seal(ContentType::Handshake, &message);
    client.send(&octets).await;
    let (error, _) = error_of(&mut server).await;
    assert_eq!(error.to_string(), IN_VAIN);
}

#[tokio::test]
async fn one_octet_in_each_record_is_paid_for() {
    let (mut client, mut server) = Sides::new().open().await;
    let octets = client.records(1_000, b"x");
    client.send(&octets).await;
    let mut read = vec![0; 1_000];
    timeout(PATIENCE, server.read_exact(&mut read)).await.unwrap().unwrap();
    assert!(is_paced(&server.turns));
}

#[tokio::test]
async fn ordinary_records_cost_nothing() {
    let (mut client, mut server) = Sides::new().open().await;
    for (count, length) in [(500, 60), (64, 16 * 1024), (200, 1_000)] {
        let octets = client.records(count, &vec![b'x'; length]);
        let mut read = vec![0; count * length];
        let both = async { tokio::join!(client.send(&octets), server.read_exact(&mut read)).1 };
        timeout(PATIENCE, both).await.unwrap().unwrap();
        assert!(read.iter().all(|octet| *octet == b'x'));
        assert!(!is_paced(&server.turns), "{length}");
    }

    // Keys are exchanged now and then, and the end is told.
    let (mut client, mut server) = Sides::new().shake(&turns()).await;
    let mut answer = [0; 4];
    for _ in 0..100 {
        client.get_mut().1.refresh_traffic_keys().unwrap();
        client.write_all(b"ping").await.unwrap();
        client.flush().await.unwrap();
        server.read_exact(&mut answer).await.unwrap();
        server.write_all(&answer).await.unwrap();
        server.flush().await.unwrap();
        client.read_exact(&mut answer).await.unwrap();
    }
    client.shutdown().await.unwrap();
    assert_eq!(server.read(&mut answer).await.unwrap(), 0);
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_not_kept() {
    let sides = Sides::new();
    let (mut client, accepting) = sides.connect(&turns()).await;
    let mut message = vec![1, 0, 0xff, 0xdc, 3, 3];
    message.resize(65_000, 0);
    for part in message.chunks(16_000) {
        let [.., high, low] = part.len().to_be_bytes();
        client.write_all(&[&[0x16, 3, 1, high, low], part].concat()).await.unwrap();
    }
    let error = timeout(PATIENCE, accepting).await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}

#[tokio::test]
async fn a_handshake_is_a_turn_from_its_first_octet_on() {
    let sides = Sides::new();
    let of_source = turns();
    let (mut client, accepting) = sides.connect(&of_source).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!is_paced(&of_source), "a silent client has cost nothing");

    client.write_all(&sides.hello()).await.unwrap();
    let mut first = [0; 5];
    timeout(PATIENCE, client.read_exact(&mut first)).await.unwrap().unwrap();
    assert!(is_paced(&of_source));
    // The client is waited for, and the turn is somebody else's.
    let turn = timeout(PATIENCE, of_source.take()).await.unwrap();
    assert!(turn.is_some());

    // As long as that one has it, no other handshake goes on.
    let (mut other, other_accepting) = sides.connect(&of_source).await;
    other.write_all(&sides.hello()).await.unwrap();
    assert!(timeout(Duration::from_millis(50), other.read(&mut first)).await.is_err());
    drop(turn);
    timeout(PATIENCE, other.read_exact(&mut first)).await.unwrap().unwrap();
    accepting.abort();
    other_accepting.abort();
}

/// Nothing here takes so long.
const PATIENCE: Duration = Duration::from_secs(20);
