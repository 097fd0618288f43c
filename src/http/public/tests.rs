//! Clients of octets, well and ill behaved, and peers that are made up.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use axum::extract::State;
use axum::routing::post;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::clock::Clock;
use crate::config::{BackupSettings, LogSettings, TlsSettings};
use crate::net::{LocalAddress, PeerAddress, TlsFiles, create_development};
use crate::registry::RegistrySettings;
use crate::store::MemoryStore;

fn settings(limits: Limits) -> Settings {
    Settings {
        data_dir: "data".into(),
        ldap: Vec::new(),
        ldaps: Vec::new(),
        http: Vec::new(),
        https: Vec::new(),
        proxy_networks: Vec::new(),
        secrets_in_clear: SecretsInClear::Loopback,
        tls: None::<TlsSettings>,
        token_key_file: None,
        workers: None,
        expiry_warning: Duration::ZERO,
        rotation_overlap: Duration::ZERO,
        on_store_failure: Default::default(),
        log: LogSettings::default(),
        hashing: Default::default(),
        backup: BackupSettings::of_data_dir("data".as_ref()),
        limits,
    }
}

fn registry() -> Arc<Registry> {
    Registry::open(Arc::new(MemoryStore::new()), RegistrySettings::default()).unwrap()
}

/// A door with these limits, some routes that behave badly beside those of the API.
fn door_with(settings: &Settings, tls: Option<Arc<Tls>>) -> Arc<PublicDoor> {
    let registry = registry();
    let proxies = Proxies {
        networks: settings.proxy_networks.clone(),
        header_time: settings.limits.proxy_header_time,
        header_size_max: settings.limits.proxy_header_size_max,
    };
    let mut door = PublicDoor::new(Arc::clone(&registry), tls, settings, proxies, CancellationToken::new());
    let api = Api::new(registry, api::Door::Public).with_limits(&settings.limits);
    let routes = Router::new()
        .route("/length/", post(length))
        .route("/panic/", get(panicking))
        .route("/slow/", get(slow))
        .route("/slower/", get(slower))
        .route("/held/", get(held))
        .route("/large/", get(|| async { "x".repeat(64 << 20) }));
    let router = Arc::get_mut(&mut door).unwrap();
    router.router = router.router.clone().nest("/test", api::guarded(routes, api));
    door
}

async fn length(State(api): State<Api>, request: axum::extract::Request) -> Result<String, api::CallRefusal> {
    let (parts, body) = request.into_parts();
    Ok(api::length_of_body(&api, &parts.headers, body).await?.to_string())
}

async fn panicking() -> String {
    tokio::task::yield_now().await;
    panic!("an error in a handler")
}

async fn slow() -> &'static str {
    sleep(Duration::from_millis(300)).await;
    "slow"
}

async fn slower() -> &'static str {
    sleep(Duration::from_millis(2_500)).await;
    "slower"
}

/// Answers when its one test lets it.
async fn held() -> &'static str {
    HELD.0.add_permits(1);
    HELD.1.acquire().await.unwrap().forget();
    "held"
}

/// It was asked; it may answer.
static HELD: (Semaphore, Semaphore) = (Semaphore::const_new(0), Semaphore::const_new(0));

async fn listen(door: &Arc<PublicDoor>, is_tls: bool) -> SocketAddr {
    let listener = Listener::bind_tcp("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local().socket().unwrap();
    tokio::spawn(serve_public(listener, Arc::clone(door), is_tls));
    address
}

/// A door with these limits, on a port that is free.
async fn door(limits: Limits) -> (Arc<PublicDoor>, SocketAddr) {
    let door = door_with(&settings(limits), None);
    let address = listen(&door, false).await;
    (door, address)
}

/// A connection whose client is said to be elsewhere.
async fn from(door: &Arc<PublicDoor>, client: &str, local: LocalAddress) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client_end = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server_end, _) = listener.accept().await.unwrap();
    let address = match client {
        "unix" => PeerAddress::Unix { uid: 1000 },
        address => PeerAddress::from_socket(SocketAddr::new(address.parse::<IpAddr>().unwrap(), 40_000)),
    };
    let peer = Peer { address, local, proxied: None };
    let permit = door.entrance.admit(&peer).await.unwrap();
    tokio::spawn(serve_connection(Arc::clone(door), Stream::Tcp(server_end), peer, permit, false));
    client_end
}

async fn from_elsewhere(door: &Arc<PublicDoor>, client: &str) -> TcpStream {
    from(door, client, LocalAddress::Ip("192.0.2.100:80".parse().unwrap())).await
}

/// An answer.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// What is true of everything that the API says.
    #[track_caller]
    fn is_of_the_api(&self, status: u16) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("x-content-type-options"), Some("nosniff"), "{self:?}");
        assert_eq!(self.header("cache-control"), Some("no-store"), "{self:?}");
        let id: uuid::Uuid = self.header("x-request-id").unwrap().parse().unwrap();
        assert_eq!(id.get_version_num(), 4);
        if status >= 400 {
            let body: serde_json::Value = serde_json::from_str(&self.body).unwrap();
            assert!(body["code"].is_string(), "{self:?}");
        }
    }
}

/// Reads one answer, without a body for a HEAD.
async fn read_answer<S: AsyncRead + Unpin>(stream: &mut S, has_body: bool) -> Answer {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(
            stream
                .read_u8()
                .await
                .unwrap_or_else(|error| panic!("{error} behind {:?}", String::from_utf8_lossy(&head))),
        );
    }
    let head = String::from_utf8(head).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut answer = Answer { status, head, body: String::new() };
    let octets = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
    if has_body && status != 100 {
        let mut body = vec![0; octets];
        stream.read_exact(&mut body).await.unwrap();
        answer.body = String::from_utf8(body).unwrap();
    }
    answer
}

async fn ask<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, head: &str, body: &str) -> Answer {
    stream.write_all(format!("{head}\r\nHost: x\r\n\r\n{body}").as_bytes()).await.unwrap();
    read_answer(stream, !head.starts_with("HEAD")).await
}

async fn get_path<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, path: &str) -> Answer {
    ask(stream, &format!("GET {path} HTTP/1.1"), "").await
}

/// Waits for the server to close.
async fn is_closed<S: AsyncRead + Unpin>(stream: &mut S) -> bool {
    let mut rest = Vec::new();
    timeout(Duration::from_secs(30), stream.read_to_end(&mut rest)).await.is_ok()
}

fn reached(door: &PublicDoor, limit: Limit) -> u64 {
    door.registry.reached().count(limit)
}

fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[tokio::test]
async fn one_connection_too_many_is_closed_and_counted() {
    let limits = Limits { http_connections_max: 2, http_connections_reserved: 0, ..Limits::default() };
    let (door, address) = door(limits).await;
    let mut first = TcpStream::connect(address).await.unwrap();
    let mut second = TcpStream::connect(address).await.unwrap();
    assert_eq!(get_path(&mut first, "/-/health/live/").await.status, 204);
    assert_eq!(get_path(&mut second, "/-/health/ready/").await.status, 204);
    // Who is in the middle of a request keeps its place.
    for stream in [&mut first, &mut second] {
        stream.write_all(b"GET ").await.unwrap();
    }
    while door.entrance.counts().silent > 0 {
        sleep(milliseconds(5)).await;
    }
    let mut third = TcpStream::connect(address).await.unwrap();
    assert!(is_closed(&mut third).await);
    assert_eq!(reached(&door, Limit::http_connections_max), 1);
    // Who goes makes room.
    drop(first);
    while door.entrance.counts().open > 1 {
        sleep(milliseconds(5)).await;
    }
    let mut fourth = TcpStream::connect(address).await.unwrap();
    assert!(get_path(&mut fourth, "/metrics").await.body.contains("bindery_limit_reached_total{limit=\""));
}

#[tokio::test]
async fn a_silent_client_makes_room_for_another() {
    let limits = Limits { http_connections_max: 2, http_connections_reserved: 0, ..Limits::default() };
    let (door, address) = door(limits).await;
    let mut streams = Vec::new();
    for _ in 0..10 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        assert_eq!(get_path(&mut stream, "/-/health/live/").await.status, 204);
        streams.push(stream);
        while door.entrance.counts().silent < streams.len().min(2) {
            sleep(milliseconds(1)).await;
        }
    }
    for stream in &mut streams[..8] {
        assert!(is_closed(stream).await);
    }
    assert_eq!(get_path(&mut streams[9], "/-/health/live/").await.status, 204);
    assert_eq!(reached(&door, Limit::http_connections_max), 8);
}

#[tokio::test]
async fn some_places_are_for_who_asks_for_health() {
    let limits = Limits { http_connections_max: 1, http_connections_reserved: 2, ..Limits::default() };
    let (door, _) = door(limits).await;
    let mut first = from_elsewhere(&door, "192.0.2.1").await;
    first.write_all(b"GET ").await.unwrap();
    sleep(milliseconds(1)).await;
    while door.entrance.counts().silent > 0 {
        sleep(milliseconds(1)).await;
    }
    let mut second = from_elsewhere(&door, "192.0.2.2").await;
    assert_eq!(get_path(&mut second, "/-/health/ready/").await.status, 204);
    let mut third = from_elsewhere(&door, "192.0.2.3").await;
    let refused = get_path(&mut third, "/api/v3/schema/").await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert!(is_closed(&mut third).await);
    assert_eq!(reached(&door, Limit::http_connections_reserved), 2);
}

#[tokio::test]
async fn silent_clients_are_closed() {
    let (door, address) = door(Limits { http_header_time: milliseconds(50), ..Limits::default() }).await;
    let mut silent = TcpStream::connect(address).await.unwrap();
    assert!(is_closed(&mut silent).await);
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    assert!(is_closed(&mut slow).await);
    // Between two requests too.
    let mut idle = TcpStream::connect(address).await.unwrap();
    assert_eq!(get_path(&mut idle, "/-/health/live/").await.status, 204);
    assert!(is_closed(&mut idle).await);
    assert!(reached(&door, Limit::http_header_time) >= 2);
    assert_eq!(reached(&door, Limit::http_connection_time), 0);
}

#[tokio::test]
async fn an_old_connection_answers_and_closes() {
    let (door, address) =
        door(Limits { http_connection_time: milliseconds(1_000), ..Limits::default() }).await;
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut idle = TcpStream::connect(address).await.unwrap();
    let first = get_path(&mut idle, "/-/health/live/").await;
    assert_eq!((first.status, first.header("connection")), (204, None));
    let mut busy = TcpStream::connect(address).await.unwrap();
    // It takes longer than the connection may live.
    let last = get_path(&mut busy, "/test/slower/").await;
    last.is_of_the_api(200);
    assert_eq!((last.body.as_str(), last.header("connection")), ("slower", Some("close")));
    for stream in [&mut silent, &mut idle, &mut busy] {
        assert!(is_closed(stream).await);
    }
    assert_eq!(reached(&door, Limit::http_connection_time), 3);
    while door.entrance.counts().open > 0 {
        sleep(milliseconds(5)).await;
    }
}

#[tokio::test]
async fn a_call_is_answered_though_the_server_goes_down() {
    let (door, address) = door(Limits::default()).await;
    let mut idle = TcpStream::connect(address).await.unwrap();
    assert_eq!(get_path(&mut idle, "/-/health/live/").await.status, 204);
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut busy = TcpStream::connect(address).await.unwrap();
    busy.write_all(b"GET /test/held/ HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    HELD.0.acquire().await.unwrap().forget();
    door.shutdown.cancel();
    // Nothing is waited for where nothing is asked.
    for stream in [&mut idle, &mut silent] {
        assert!(is_closed(stream).await);
    }
    HELD.1.add_permits(1);
    let last = read_answer(&mut busy, true).await;
    last.is_of_the_api(200);
    assert_eq!((last.body.as_str(), last.header("connection")), ("held", Some("close")));
    assert!(is_closed(&mut busy).await);
}

#[tokio::test]
async fn who_takes_no_answer_is_cut_off() {
    let (door, address) = door(Limits { write_time: milliseconds(100), ..Limits::default() }).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(LARGE).await.unwrap();
    while reached(&door, Limit::write_time) == 0 || door.entrance.counts().open > 0 {
        sleep(milliseconds(5)).await;
    }
    assert_eq!(reached(&door, Limit::http_connection_time), 0);
}

#[tokio::test]
async fn who_takes_the_last_answer_slowly_is_cut_off() {
    let limits = Limits {
        http_connection_time: milliseconds(100),
        http_request_time: Duration::from_secs(1),
        write_time: Duration::from_secs(1),
        ..Limits::default()
    };
    let (door, address) = door(limits).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(LARGE).await.unwrap();
    // At this pace the whole takes a minute.
    let mut octets = vec![0; 64 * 1024];
    let mut taken = 0;
    while let Ok(more @ 1..) = stream.read(&mut octets).await {
        taken += more;
        sleep(milliseconds(60)).await;
    }
    assert!(taken < 64 << 20);
    assert_eq!(reached(&door, Limit::http_connection_time), 1);
    while door.entrance.counts().open > 0 {
        sleep(milliseconds(5)).await;
    }
}

/// More than fits on the way.
const LARGE: &[u8] = b"GET /test/large/ HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test]
async fn requests_may_follow_each_other_unasked() {
    let (_, address) = door(Limits::default()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let pipelined = "GET /-/health/live/ HTTP/1.1\r\nHost: x\r\n\r\n\
                     HEAD /api/v3/schema/ HTTP/1.1\r\nHost: x\r\n\r\n\
                     GET /api/v3/schema/ HTTP/1.1\r\nHost: x\r\n\r\n";
    stream.write_all(pipelined.as_bytes()).await.unwrap();
    assert_eq!(read_answer(&mut stream, true).await.status, 204);
    let head = read_answer(&mut stream, false).await;
    head.is_of_the_api(200);
    let whole = read_answer(&mut stream, true).await;
    whole.is_of_the_api(200);
    assert!(whole.body.starts_with('{'));
    assert_eq!(head.header("content-length"), whole.header("content-length"));
}

#[tokio::test]
async fn every_answer_of_the_api_has_its_headers() {
    let (_, address) = door(Limits::default()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let own = "2b0e1b52-5f0b-4d1c-9f0e-0c8f6f8f8f8f";
    let mut seen = std::collections::BTreeSet::from([own.to_owned()]);
    for (request, status) in [
        ("GET /api/v3/schema/", 200),
        ("GET /api/v3/core/users/", 401),
        ("GET /api/v3/nothing/", 404),
        ("GET /api/v3/", 404),
        ("GET /api/v3", 404),
        ("PUT /api/v3/schema/", 405),
        ("GET /test/panic/", 500),
        ("GET /test/slow/", 200),
    ] {
        let answer = ask(&mut stream, &format!("{request} HTTP/1.1\r\nX-Request-Id: {own}"), "").await;
        answer.is_of_the_api(status);
        assert!(seen.insert(answer.header("x-request-id").unwrap().to_owned()), "{answer:?}");
    }
}

#[tokio::test]
async fn a_credential_in_clear_is_not_looked_at() {
    let door = door_with(&settings(Limits::default()), None);
    let mut stream = from_elsewhere(&door, "192.0.2.7").await;
    for path in
        ["/api/v3", "/api/v3/", "/api/v3/core/users/", "/api/v3/schema/", "/api/v3/nothing", "/test/slow/"]
    {
        let head = format!("GET {path} HTTP/1.1\r\nAuthorization: Bearer hunter2hunter2");
        let answer = ask(&mut stream, &head, "").await;
        answer.is_of_the_api(403);
        assert!(answer.body.contains("https://") && !answer.body.contains("hunter2"), "{answer:?}");
    }
    for path in ["/-/health/live/", "/-/health/ready/"] {
        assert!(get_path(&mut stream, path).await.status < 300);
    }
    // The counters are for who is on this machine, and for who has a token that may see them.
    assert_eq!(get_path(&mut stream, "/metrics").await.status, 403);
    // On this machine it is, and anywhere when the config says so; or nowhere.
    let mut unix = from(&door, "unix", LocalAddress::Unix(std::path::Path::new("/run/http").into())).await;
    get_path(&mut unix, "/api/v3/core/users/").await.is_of_the_api(401);
    let always = Settings { secrets_in_clear: SecretsInClear::Always, ..settings(Limits::default()) };
    let mut stream = from_elsewhere(&door_with(&always, None), "192.0.2.7").await;
    get_path(&mut stream, "/api/v3/core/users/").await.is_of_the_api(401);
    assert_eq!(get_path(&mut stream, "/metrics").await.status, 401);
    let never =
        door_with(&Settings { secrets_in_clear: SecretsInClear::Never, ..settings(Limits::default()) }, None);
    let mut stream = TcpStream::connect(listen(&never, false).await).await.unwrap();
    get_path(&mut stream, "/api/v3/core/users/").await.is_of_the_api(403);
}

#[tokio::test]
async fn a_source_that_asks_too_often_waits() {
    let limits = Limits { http_requests_by_source_max: 2, ..Limits::default() };
    let always = Settings { secrets_in_clear: SecretsInClear::Always, ..settings(limits) };
    let door = door_with(&always, None);
    let mut stream = from_elsewhere(&door, "2001:db8::1").await;
    for _ in 0..2 {
        get_path(&mut stream, "/api/v3/core/users/").await.is_of_the_api(401);
    }
    let mut neighbour = from_elsewhere(&door, "2001:db8::2").await;
    for stream in [&mut stream, &mut neighbour] {
        let refused = get_path(stream, "/api/v3/core/users/").await;
        refused.is_of_the_api(429);
        let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=30).contains(&wait), "{refused:?}");
    }
    // What watches the server goes on, and so does everybody else.
    assert_eq!(get_path(&mut stream, "/-/health/live/").await.status, 204);
    let mut other = from_elsewhere(&door, "2001:db8:0:1::1").await;
    get_path(&mut other, "/api/v3/core/users/").await.is_of_the_api(401);
    assert_eq!(reached(&door, Limit::http_requests_by_source_max), 2);
    let mut unix = from(&door, "unix", LocalAddress::Unix(std::path::Path::new("/run/http").into())).await;
    for _ in 0..5 {
        get_path(&mut unix, "/api/v3/core/users/").await.is_of_the_api(401);
    }
}

#[tokio::test]
async fn a_token_that_asks_too_often_waits() {
    let registry = registry();
    let limits = Limits { http_requests_by_token_max: 3, ..Limits::default() };
    let api = Api::new(Arc::clone(&registry), api::Door::Public).with_limits(&limits);
    for _ in 0..3 {
        api.admit_token(1).unwrap();
    }
    assert_eq!(api.admit_token(1).unwrap_err().status(), 429);
    api.admit_token(2).unwrap();
    assert_eq!(registry.reached().count(Limit::http_requests_by_token_max), 1);
    let local = Api::new(registry, api::Door::Local).with_limits(&limits);
    for _ in 0..10 {
        local.admit_token(1).unwrap();
    }
}

#[tokio::test]
async fn a_slow_body_is_answered_in_time() {
    let (door, address) = door(Limits { http_request_time: milliseconds(100), ..Limits::default() }).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let begun = Instant::now();
    let head = "POST /test/length/ HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 1000";
    let answer = ask(&mut stream, head, "{").await;
    answer.is_of_the_api(408);
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(begun.elapsed() >= milliseconds(100));
    assert!(is_closed(&mut stream).await);
    // The handler itself, too.
    let mut stream = TcpStream::connect(address).await.unwrap();
    get_path(&mut stream, "/test/slower/").await.is_of_the_api(408);
    assert_eq!(reached(&door, Limit::http_request_time), 2);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_answered_though_it_is_still_sent() {
    let (door, address) = door(Limits { http_body_size_max: 1024, ..Limits::default() }).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let json = "POST /test/length/ HTTP/1.1\r\nContent-Type: application/json";
    let fits = ask(&mut stream, &format!("{json}\r\nContent-Length: 1024"), &"x".repeat(1024)).await;
    fits.is_of_the_api(200);
    assert_eq!(fits.body, "1024");
    // Whoever asks first is told before it has sent anything.
    let asked =
        ask(&mut stream, &format!("{json}\r\nContent-Length: 1025\r\nExpect: 100-continue"), "").await;
    asked.is_of_the_api(413);
    // Whoever does not has the answer all the same.
    for length in ["Content-Length: 4000000", "Transfer-Encoding: chunked"] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let body = match length {
            "Transfer-Encoding: chunked" => format!("3d0900\r\n{}", "x".repeat(4_000_000)),
            _ => "x".repeat(4_000_000),
        };
        ask(&mut stream, &format!("{json}\r\n{length}"), &body).await.is_of_the_api(413);
        assert!(is_closed(&mut stream).await);
    }
    assert_eq!(reached(&door, Limit::http_body_size_max), 3);
}

#[tokio::test]
async fn a_client_that_asks_may_send() {
    let (_, address) = door(Limits::default()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = "POST /test/length/ HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 2";
    let may = ask(&mut stream, &format!("{head}\r\nExpect: 100-continue"), "").await;
    assert_eq!(may.status, 100);
    stream.write_all(b"{}").await.unwrap();
    assert_eq!(read_answer(&mut stream, true).await.body, "2");
    // Who is nobody is not asked for a body.
    let head = "POST /api/v3/core/users/ HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 2";
    ask(&mut stream, &format!("{head}\r\nExpect: 100-continue"), "").await.is_of_the_api(401);
}

#[tokio::test]
async fn a_body_is_json() {
    let (_, address) = door(Limits::default()).await;
    for (content_type, length, status) in [
        ("Content-Type: application/json", 2, 200),
        ("Content-Type: Application/JSON; charset=utf-8", 2, 200),
        ("Content-Type: application/x-www-form-urlencoded", 2, 415),
        ("Content-Type: application/jsonp", 2, 415),
        ("Accept: */*", 2, 415),
        ("Accept: */*", 0, 200),
        ("Content-Type: text/plain", 0, 200),
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!("POST /test/length/ HTTP/1.1\r\n{content_type}\r\nContent-Length: {length}");
        ask(&mut stream, &head, &"x".repeat(length)).await.is_of_the_api(status);
    }
    let mut stream = TcpStream::connect(address).await.unwrap();
    let chunked = "POST /test/length/ HTTP/1.1\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked";
    ask(&mut stream, chunked, "0\r\n\r\n").await.is_of_the_api(200);
    ask(&mut stream, chunked, "1\r\nx\r\n0\r\n\r\n").await.is_of_the_api(415);
}

#[tokio::test]
async fn a_header_that_says_too_little_or_two_things_is_refused() {
    let (_, address) = door(Limits::default()).await;
    for (head, status) in [
        ("GET /-/health/live/ HTTP/1.1\r\n\r\n", 400),
        ("GET /-/health/live/ HTTP/1.0\r\n\r\n", 204),
        ("GET /-/health/live/ HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400),
        ("GET /api/v3/schema/ HTTP/1.1\r\nHost: x\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n", 400),
        ("GET /api/v3/schema/ HTTP/1.1\r\nHost: x\r\nAuthorization: a\r\n\r\n", 200),
        (
            "POST /api/v3/core/users/ HTTP/1.1\r\nHost: x\r\nContent-Type: a/b\r\ncontent-type: a/b\r\n\r\n",
            400,
        ),
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let answer = read_answer(&mut stream, true).await;
        assert_eq!(answer.status, status, "{head}: {answer:?}");
        assert!(status != 400 || answer.body.contains("header field"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_handler_that_panics_fails_alone() {
    let (_, address) = door(Limits::default()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let failed = get_path(&mut stream, "/test/panic/").await;
    failed.is_of_the_api(500);
    assert!(!failed.body.contains("an error in a handler"), "{failed:?}");
    get_path(&mut stream, "/test/slow/").await.is_of_the_api(200);
}

#[tokio::test]
async fn long_headers_and_paths_are_refused() {
    let (_, address) = door(Limits::default()).await;
    for (head, status) in [
        (format!("GET /api/v3/schema/?{} HTTP/1.1", "x".repeat(16_000)), 200),
        (format!("GET /api/v3/schema/?{} HTTP/1.1", "x".repeat(17_000)), 414),
        (format!("GET /api/v3/schema/?{} HTTP/1.1", "x".repeat(40_000)), 431),
        (format!("GET /api/v3/schema/ HTTP/1.1\r\nAuthorization: {}", "x".repeat(40_000)), 431),
        (format!("GET /api/v3/schema/ HTTP/1.1{}", "\r\nA: b".repeat(101)), 431),
        ("GET /api/v3/schema/ HTTP/1.1\r\nNo header".to_owned(), 400),
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let answer = ask(&mut stream, &head, "").await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
    // An endless header is not collected.
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nA: ").await.unwrap();
    let (mut reading, mut writing) = stream.into_split();
    let sender = tokio::spawn(async move { while writing.write_all(&[b'x'; 1024]).await.is_ok() {} });
    assert_eq!(read_answer(&mut reading, true).await.status, 431);
    timeout(Duration::from_secs(30), sender).await.unwrap().unwrap();
}

#[tokio::test]
async fn https_is_spoken_with_the_same_certificate() {
    let directory = tempfile::tempdir().unwrap();
    let made = create_development(directory.path()).unwrap();
    // Whoever wants client certificates for LDAP does not want them here.
    let client_ca = Some(made.authority.clone());
    let files = TlsFiles { certificate: made.certificate, key: made.key, client_ca };
    let tls = Arc::new(Tls::load(&files, &Arc::new(Clock::of_system())).unwrap());
    let limits = Limits { handshake_time: milliseconds(200), ..Limits::default() };
    let never = Settings { secrets_in_clear: SecretsInClear::Never, ..settings(limits) };
    let door = door_with(&never, Some(tls));
    let address = listen(&door, true).await;

    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(made.authority).unwrap()).unwrap();
    let connect = async |protocols: &[&[u8]]| {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    };
    let mut stream = connect(&[b"h2", b"http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"http/1.1".as_slice()));
    assert_eq!(get_path(&mut stream, "/-/health/ready/").await.status, 204);
    get_path(&mut stream, "/api/v3/core/users/").await.is_of_the_api(401);
    get_path(&mut connect(&[]).await.unwrap(), "/api/v3/core/users/").await.is_of_the_api(401);
    assert!(connect(&[b"h2"]).await.is_err(), "h2 is not spoken");

    // Neither silence nor HTTP in clear keeps a place.
    let mut silent = TcpStream::connect(address).await.unwrap();
    assert!(is_closed(&mut silent).await);
    assert_eq!(reached(&door, Limit::handshake_time), 1);
    let mut clear = TcpStream::connect(address).await.unwrap();
    clear.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(is_closed(&mut clear).await);
}

#[tokio::test]
async fn who_may_see_the_server_sees_its_counters_from_elsewhere() {
    use crate::model::{AccountKind, Actor, Grant, Intent, Permission, Record};
    use crate::registry::commands::testing::new_token;
    use crate::registry::commands::{AccountChanges, create_account};

    let always = Settings { secrets_in_clear: SecretsInClear::Always, ..settings(Limits::default()) };
    let door = door_with(&always, None);
    let watcher = door.registry.change(Actor::named("test"), |transaction| {
        create_account(
            transaction,
            "watcher".to_owned(),
            AccountKind::ServiceAccount,
            AccountChanges::default(),
        )
    });
    let watcher = watcher.await.unwrap();
    let new = new_token("watcher", "watcher", Intent::Api);
    let made = door.registry.create_token(Actor::named("test"), new).await.unwrap();
    let secret = String::from_utf8(made.secret.expose().to_vec()).unwrap();
    let mut stream = from_elsewhere(&door, "192.0.2.7").await;
    let head = format!("GET /metrics HTTP/1.1\r\nAuthorization: Bearer {secret}");
    assert_eq!(ask(&mut stream, &head, "").await.status, 403);
    let granted = door.registry.change(Actor::named("test"), move |transaction| {
        let mut account = transaction.account(watcher)?.unwrap();
        account.grants = vec![Grant { permission: Permission::ViewSystemInfo, on: None }];
        transaction.put(Record::Account(account))
    });
    granted.await.unwrap();
    let seen = ask(&mut stream, &head, "").await;
    assert!(seen.status == 200 && seen.body.contains("bindery_limit_reached_total"), "{seen:?}");
}

/// An account that may view accounts and groups, and change these, and the head of its calls behind the path.
async fn clerk_named(door: &PublicDoor, name: &'static str) -> String {
    use crate::model::{AccountKind, Actor, Grant, Intent, Permission, Record};
    use crate::registry::commands::testing::new_token;
    use crate::registry::commands::{AccountChanges, create_account};

    let made = door.registry.change(Actor::named("test"), move |transaction| {
        let (kind, changes) = (AccountKind::ServiceAccount, AccountChanges::default());
        let number = create_account(transaction, name.to_owned(), kind, changes)?;
        let mut account = transaction.account(number)?.unwrap();
        use Permission::{AddGroup, AddUser, ChangeGroup, ChangeUser, ViewGroup, ViewUser};
        let permissions = [AddUser, ChangeUser, ViewUser, AddGroup, ChangeGroup, ViewGroup];
        account.grants = permissions.into_iter().map(|permission| Grant { permission, on: None }).collect();
        transaction.put(Record::Account(account))
    });
    made.await.unwrap();
    let made = door.registry.create_token(Actor::named("test"), new_token(name, name, Intent::Api));
    let secret = String::from_utf8(made.await.unwrap().secret.expose().to_vec()).unwrap();
    format!(" HTTP/1.1\r\nAuthorization: Bearer {secret}")
}

/// A call with a JSON body.
async fn send(stream: &mut TcpStream, line: &str, clerk: &str, body: &serde_json::Value) -> Answer {
    let body = body.to_string();
    let length = body.len();
    let head = format!("{line}{clerk}\r\nContent-Type: application/json\r\nContent-Length: {length}");
    ask(stream, &head, &body).await
}

#[tokio::test]
async fn an_answer_has_a_bound() {
    use serde_json::{Value, json};

    const SIZE_MAX: usize = 512 << 10;
    let (door, address) = door(Limits { http_answer_size_max: SIZE_MAX as u64, ..Limits::default() }).await;
    let clerk = clerk_named(&door, "clerk").await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let group = send(&mut stream, "POST /api/v3/core/groups/", &clerk, &json!({ "name": "all" })).await;
    group.is_of_the_api(201);
    let group: Value = serde_json::from_str(&group.body).unwrap();
    let group = group["pk"].as_str().unwrap();
    for number in 0..6 {
        let large = json!({ "description": ["x".repeat(100 << 10)] });
        let user = json!({ "username": format!("u{number}"), "name": "", "attributes": large });
        send(&mut stream, "POST /api/v3/core/users/", &clerk, &user).await.is_of_the_api(201);
        let child = json!({ "name": format!("g{number}"), "attributes": large, "parents": [group] });
        send(&mut stream, "POST /api/v3/core/groups/", &clerk, &child).await.is_of_the_api(201);
    }
    // Within it, whole; over it, refused with what to do.
    let users = "GET /api/v3/core/users/?ordering=-username";
    let within = ask(&mut stream, &format!("{users}&page_size=4{clerk}"), "").await;
    within.is_of_the_api(200);
    let page: Value = serde_json::from_str(&within.body).unwrap();
    let names: Vec<_> = page["results"].as_array().unwrap().iter().map(|user| &user["username"]).collect();
    assert_eq!(names, ["u5", "u4", "u3", "u2"]);
    assert!(within.body.len() > 300 << 10 && within.body.len() <= SIZE_MAX);
    assert_eq!(reached(&door, Limit::http_answer_size_max), 0);
    let over = ask(&mut stream, &format!("{users}&page_size=7{clerk}"), "").await;
    over.is_of_the_api(400);
    assert!(over.body.contains("smaller `page_size`"), "{over:?}");
    // What stands in one object counts, before it is written.
    let path = format!("/api/v3/core/groups/{group}/");
    ask(&mut stream, &format!("GET {path}{clerk}"), "").await.is_of_the_api(200);
    let over = ask(&mut stream, &format!("GET {path}?include_children=true{clerk}"), "").await;
    over.is_of_the_api(400);
    assert_eq!(reached(&door, Limit::http_answer_size_max), 2);
    // A change that was made is told as that.
    let changed = send(&mut stream, &format!("PATCH {path}"), &clerk, &json!({ "name": "others" })).await;
    changed.is_of_the_api(200);
    let changed: Value = serde_json::from_str(&changed.body).unwrap();
    assert_eq!((&changed["name"], &changed["children_obj"]), (&json!("others"), &Value::Null));
    assert_eq!(changed["children"].as_array().unwrap().len(), 6);
}

/// People whose page has so many MiB, more than sockets hold, and the head of a call for it by this clerk.
async fn a_large_page(stream: &mut TcpStream, clerk: &str, size: usize) -> String {
    use serde_json::json;

    for number in 0..size {
        let large = json!({ "description": ["x".repeat(1000 << 10)] });
        let user = json!({ "username": format!("u{number}"), "name": "", "attributes": large });
        send(stream, "POST /api/v3/core/users/", clerk, &user).await.is_of_the_api(201);
    }
    format!("GET /api/v3/core/users/{clerk}")
}

/// Connections that have asked, and read nothing.
async fn silent(address: SocketAddr, call: &str, count: usize) -> Vec<TcpStream> {
    let mut silent = Vec::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("{call}\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
        stream.readable().await.unwrap();
        silent.push(stream);
    }
    silent
}

/// Waits until a limit is reached.
async fn is_reached(door: &PublicDoor, limit: Limit) {
    while reached(door, limit) == 0 {
        sleep(milliseconds(5)).await;
    }
}

#[tokio::test]
async fn an_answer_waits_for_room_and_others_do_not() {
    let (door, address) = door(Limits { http_answer_memory_max: 64 << 20, ..Limits::default() }).await;
    let (clerk, other) = (clerk_named(&door, "clerk").await, clerk_named(&door, "other").await);
    let mut stream = TcpStream::connect(address).await.unwrap();
    let page = a_large_page(&mut stream, &clerk, 14).await;
    // Two such answers are nearly all that one account may hold; the next one waits.
    let mut silent = silent(address, &page, 2).await;
    let mut third = TcpStream::connect(address).await.unwrap();
    third.write_all(format!("{page}\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
    is_reached(&door, Limit::http_answer_memory_max).await;
    // What is small always has room, and another account its own.
    let small = ask(&mut stream, &format!("GET /api/v3/core/users/?username=clerk{clerk}"), "").await;
    small.is_of_the_api(200);
    let others = ask(&mut stream, &page.replace(&clerk, &other), "").await;
    others.is_of_the_api(200);
    assert!(third.try_read(&mut [0]).is_err(), "it has an answer, though there is no room");
    // Who takes its answer gives back.
    read_answer(&mut silent[0], true).await.is_of_the_api(200);
    let waited = read_answer(&mut third, true).await;
    waited.is_of_the_api(200);
    assert!(waited.body.len() > 14_000 << 10, "{}", waited.body.len());
    assert_eq!(reached(&door, Limit::http_answer_memory_max), 1);
}

#[tokio::test]
async fn an_answer_for_which_there_is_no_room_in_time_is_refused() {
    let limits = Limits {
        http_answer_memory_max: 36 << 20,
        http_request_time: Duration::from_secs(5),
        ..Limits::default()
    };
    let (door, address) = door(limits).await;
    let clerk = clerk_named(&door, "clerk").await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let page = a_large_page(&mut stream, &clerk, 8).await;
    let silent = silent(address, &page, 2).await;
    let refused = ask(&mut stream, &page, "").await;
    refused.is_of_the_api(503);
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(reached(&door, Limit::http_request_time), 0);
    // Who goes gives back.
    drop(silent);
    while door.entrance.counts().open > 1 {
        sleep(milliseconds(5)).await;
    }
    ask(&mut stream, &page, "").await.is_of_the_api(200);
}
