//! Handshakes and records over real sockets, from a client that seals each record by itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::cell::Cell;
use std::future::poll_fn;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustls::crypto::CryptoProvider;
use rustls::crypto::cipher::{AeadKey, Iv, MessageEncrypter, OutboundChunks, OutboundPlainMessage};
use rustls::crypto::ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256;
use rustls::crypto::ring::default_provider;
use rustls::crypto::tls13::OkmBlock;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::{
    ClientConfig, ClientConnection, ConnectionTrafficSecrets, ContentType, KeyLog, ProtocolVersion,
    RootCertStore,
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
    secret: Arc<TrafficSecret>,
}

/// What a client's keys are made of.
#[derive(Debug, Default)]
struct TrafficSecret(Mutex<Vec<u8>>);

impl KeyLog for TrafficSecret {
    fn log(&self, label: &str, _: &[u8], secret: &[u8]) {
        if label == "CLIENT_TRAFFIC_SECRET_0" {
            *self.0.lock().unwrap() = secret.to_vec();
        }
    }
}

impl Sides {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let made = create_development(directory.path()).unwrap();
        let files = TlsFiles { certificate: made.certificate, key: made.key, client_ca: None };
        let tls = Arc::new(Tls::load(&files, &Arc::new(Clock::of_system())).unwrap());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(directory.path().join("ca.pem")).unwrap()).unwrap();
        let provider =
            CryptoProvider { cipher_suites: vec![TLS13_CHACHA20_POLY1305_SHA256], ..default_provider() };
        let mut client = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.enable_secret_extraction = true;
        let secret = Arc::new(TrafficSecret::default());
        client.key_log = secret.clone();
        Self { _directory: directory, tls, client: Arc::new(client), secret }
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

    /// The same, with a client that seals by itself; the handshake is not counted, nor is time.
    async fn open(&self) -> (Sealing, Secured) {
        let (client, mut server) = self.shake(&turns()).await;
        server.turns = turns();
        server.clock = standing;
        let secret = self.secret.0.lock().unwrap().clone();
        (Sealing::new(client, secret), server)
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
    secret: Vec<u8>,
}

impl Sealing {
    fn new(client: ClientStream<TcpStream>, secret: Vec<u8>) -> Self {
        let (stream, connection) = client.into_inner();
        let (sequence, secrets) = connection.dangerous_extract_secrets().unwrap().tx;
        let ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } = secrets else {
            panic!("another cipher")
        };
        let suite = TLS13_CHACHA20_POLY1305_SHA256.tls13().unwrap();
        Self { stream, encrypter: suite.aead_alg.encrypter(key, iv), sequence, secret }
    }

    /// Exchanges the key (RFC 8446 sections 4.6.3 and 7.2), and wants the server to do so where `is_wanted`; with so many
    /// octets of padding (section 5.4).
    fn update_key(&mut self, is_wanted: bool, padding: usize) -> Vec<u8> {
        let message = [0x18, 0, 0, 1, u8::from(is_wanted)];
        let sealed = match padding.checked_sub(1) {
            None => self.seal(ContentType::Handshake, &message),
            // The kind stands before the padding, of which the last octet is where it stands otherwise.
            Some(rest) => {
                let padded = [&message[..], &[0x16], &vec![0; rest]].concat();
                self.seal(ContentType::Unknown(0), &padded)
            }
        };
        let suite = TLS13_CHACHA20_POLY1305_SHA256.tls13().unwrap();
        let expand = |secret: &[u8], label: &[u8], out: &mut [u8]| {
            let expander = suite.hkdf_provider.expander_for_okm(&OkmBlock::new(secret));
            let [.., length] = out.len().to_be_bytes();
            let lengths = [0, length, 6 + label.len() as u8];
            expander.expand_slice(&[&lengths, b"tls13 ", label, &[0]], out).unwrap();
        };
        let (mut next, mut key, mut iv) = ([0; 32], [0; 32], [0; 12]);
        expand(&self.secret, b"traffic upd", &mut next);
        expand(&next, b"key", &mut key);
        expand(&next, b"iv", &mut iv);
        self.encrypter = suite.aead_alg.encrypter(AeadKey::from(key), Iv::from(iv));
        (self.secret, self.sequence) = (next.to_vec(), 0);
        sealed
    }

    /// So many exchanges of the key, one behind the other.
    fn update_keys(&mut self, count: usize) -> Vec<u8> {
        (0..count).flat_map(|_| self.update_key(false, 0)).collect()
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

thread_local! {
    static FIRST: Instant = Instant::now();
    static ASKED: Cell<u32> = const { Cell::new(0) };
}

fn standing() -> Instant {
    FIRST.with(|first| *first)
}

/// A millisecond each time that it is asked.
fn slow() -> Instant {
    ASKED.set(ASKED.get() + 1);
    standing() + Duration::from_millis(ASKED.get().into())
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
        octets.extend(client.records(1, &[b'x'; 30]));
    }
    client.send(&octets).await;
    let mut read = [0; 40 * 30];
    timeout(PATIENCE, server.read_exact(&mut read)).await.unwrap().unwrap();
    assert_eq!(read, [b'x'; 40 * 30]);
    assert!(is_paced(&server.turns));
}

#[tokio::test]
async fn keys_that_are_exchanged_are_paid_for_however_long_their_records_are() {
    for (is_wanted, padding) in [(false, 0), (true, 0), (false, 1), (true, 20), (false, 300)] {
        let (mut client, mut server) = Sides::new().open().await;
        let mut octets = Vec::new();
        for _ in 0..10 {
            octets.extend(client.update_key(is_wanted, padding));
        }
        octets.extend(client.records(1, b"x"));
        client.send(&octets).await;
        let mut read = [0];
        timeout(PATIENCE, server.read_exact(&mut read)).await.unwrap().unwrap();
        assert_eq!(&read, b"x");
        // What is padded stands for a key also where it is beside data.
        let most = if padding == 0 { 10 } else { 11 };
        let counted = |keys: u64| 11 * 20 + keys * 180 - 1;
        assert!(
            (counted(10)..=counted(most)).contains(&server.owed),
            "{is_wanted} {padding} {}",
            server.owed
        );
    }
}

#[tokio::test]
async fn few_small_records_are_read_in_one_go() {
    let (mut client, mut server) = Sides::new().open().await;
    let octets = client.records(150, b"x");
    client.send(&octets).await;
    let mut read = [0; 150];
    let mut place = 0;
    while place < read.len() {
        let count = timeout(PATIENCE, server.read(&mut read[place..])).await.unwrap().unwrap();
        place += count;
        let (records, _) = server.stream.get_ref();
        assert!(records.work() <= 24 * 20, "{}", records.work());
    }
}

#[tokio::test]
async fn an_octet_of_data_pays_for_no_more_than_itself() {
    let (mut client, mut server) = Sides::new().open().await;
    let mut octets = Vec::new();
    for _ in 0..40 {
        octets.extend(client.update_keys(31));
        octets.extend(client.records(1, b"x"));
    }
    client.send(&octets).await;
    let mut read = Vec::new();
    let error = timeout(PATIENCE, server.read_to_end(&mut read)).await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), IN_VAIN);
    assert!((5..20).contains(&read.len()), "{}", read.len());
    assert!(is_paced(&server.turns));
}

#[tokio::test]
async fn what_reading_has_taken_is_counted() {
    let (mut client, mut server) = Sides::new().open().await;
    let mut read = [0; 100];
    server.clock = slow;
    for _ in 0..8 {
        let octets = client.records(1, &read);
        client.send(&octets).await;
        timeout(PATIENCE, server.read_exact(&mut read)).await.unwrap().unwrap();
        assert!(!is_paced(&server.turns));
    }
    // Twenty times what they count, but for what they have brought.
    assert_eq!(server.owed, 8 * (20 * 20 - 100));
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
