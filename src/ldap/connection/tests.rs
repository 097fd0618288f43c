//! Timers, back-pressure and endings of a connection, over a pipe in memory with a clock that stands still until
//! everybody waits.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use ldap3_proto::proto::{LdapExtendedRequest, LdapMsg, LdapOp, LdapSearchScope};
use tokio::io::{AsyncReadExt, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::{Instant as TestInstant, sleep};

use super::input::{KEPT_OCTETS, READ_OCTETS};
use super::*;
use crate::auth::HashClass;
use crate::auth::hash_pool::MemoryLease;
use crate::ldap::memory::BufferMemory;
use crate::ldap::tests::client::{bind, decode, encode, raw, result_of, search};
use crate::ldap::tests::world::{APP_TOKEN, BASE, NOW, READER, Wishes, World, stranger};
use crate::net::{ConnectionLimitSettings, ConnectionLimits, LimitsOf, Listener, LocalAddress, PeerAddress};
use crate::registry::{Attempt, Authentication};

const APP: &str = "cn=app,ou=users,dc=example,dc=org";

/// How a connection over a pipe ended; `Ok(true)`: TLS would begin.
type Ending = Result<bool, Ended>;

fn turns() -> Arc<SourceTurns> {
    Turns::new(1).of(None)
}

fn peer() -> Peer {
    let address = PeerAddress::from_socket("192.0.2.7:1".parse().unwrap());
    Peer { address, local: LocalAddress::Ip("192.0.2.1:389".parse().unwrap()), proxied: None }
}

fn permit() -> Permit {
    let address = PeerAddress::from_socket("192.0.2.7:1".parse().unwrap());
    let settings = ConnectionLimitSettings {
        connections_max: 8,
        connections_by_source_max: 8,
        connections_before_bind_max: 8,
        connections_before_bind_by_source_max: 8,
        connections_reserved: 0,
        connections_leaving_max: 64,
        proxy_headers_awaited_max: 64,
        of: LimitsOf::Ldap,
    };
    ConnectionLimits::new(settings).admit(&address).unwrap()
}

fn session(world: &World, is_tls: bool) -> Session {
    Session::new(world.registry.clone(), Arc::new(world.settings.clone()), stranger(), is_tls)
}

fn input_memory(world: &World) -> BufferMemory {
    world.settings.memory.buffer(memory::holders(None, stranger()))
}

/// Serves one end of a pipe of `octets`, under TLS; gives the other.
fn connect(world: &World, octets: usize, shutdown: &CancellationToken) -> (DuplexStream, JoinHandle<Ending>) {
    connect_session(world, session(world, true), octets, shutdown)
}

fn connect_session(
    world: &World,
    session: Session,
    octets: usize,
    shutdown: &CancellationToken,
) -> (DuplexStream, JoinHandle<Ending>) {
    let (client, server) = duplex(octets);
    (client, serve_over(world, session, server, shutdown))
}

/// One that is run where it stands.
fn connection<'a>(
    world: &'a World,
    permit: Permit,
    shutdown: &'a CancellationToken,
    peer: &'a Peer,
) -> Connection<'a> {
    Connection {
        session: session(world, true),
        input: Input::new(input_memory(world)),
        output: Vec::new(),
        deadline: Deadline::default(),
        permit,
        turns: turns(),
        registry: &world.registry,
        limits: &world.settings.limits,
        shutdown,
        peer,
        is_begun: false,
        unrested: 0,
    }
}

fn serve_over(
    world: &World,
    session: Session,
    server: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    shutdown: &CancellationToken,
) -> JoinHandle<Ending> {
    serve_with(world, session, server, shutdown, (permit(), turns()))
}

fn serve_with(
    world: &World,
    session: Session,
    server: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    shutdown: &CancellationToken,
    (permit, turns): (Permit, Arc<SourceTurns>),
) -> JoinHandle<Ending> {
    let registry = Arc::clone(&world.registry);
    let (limits, shutdown) = (world.settings.limits.clone(), shutdown.clone());
    let input_memory = input_memory(world);
    tokio::spawn(async move {
        let mut connection = Connection {
            session,
            input: Input::new(input_memory),
            output: Vec::new(),
            deadline: Deadline::default(),
            permit,
            turns,
            registry: &registry,
            limits: &limits,
            shutdown: &shutdown,
            peer: &peer(),
            is_begun: false,
            unrested: 0,
        };
        connection.run(server).await.map(|stream| stream.is_some())
    })
}

fn open(world: &World) -> (DuplexStream, JoinHandle<Ending>) {
    connect(world, 1 << 20, &CancellationToken::new())
}

fn root_dse(id: i32) -> Vec<u8> {
    encode(id, LdapOp::SearchRequest(search("", LdapSearchScope::Base, "(objectClass=*)", &["*", "+"])))
}

fn dump(id: i32) -> Vec<u8> {
    encode(id, LdapOp::SearchRequest(search(BASE, LdapSearchScope::Subtree, "(objectClass=*)", &["*", "+"])))
}

fn who_am_i(id: i32) -> Vec<u8> {
    let name = "1.3.6.1.4.1.4203.1.11.3".to_owned();
    encode(id, LdapOp::ExtendedRequest(LdapExtendedRequest { name, value: None }))
}

/// Reads until so many final responses have come.
async fn answers(client: &mut DuplexStream, finals: usize) -> Vec<LdapMsg> {
    let mut octets = Vec::new();
    let mut chunk = vec![0; 64 * 1024];
    let mut messages = Vec::new();
    loop {
        let read = client.read(&mut chunk).await.unwrap();
        assert_ne!(read, 0, "the connection ended");
        octets.extend_from_slice(&chunk[..read]);
        let mut whole = 0;
        while let Ok(Some(frame)) = frame::next(&octets[whole..], usize::MAX) {
            whole += frame.octets.len();
        }
        messages.extend(decode(&octets[..whole]));
        octets.drain(..whole);
        let final_count = messages.iter().filter(|message| result_of(&message.op).is_some()).count();
        if octets.is_empty() && final_count >= finals {
            return messages;
        }
    }
}

/// Everything until the end.
async fn rest(client: &mut DuplexStream) -> Vec<LdapMsg> {
    let mut octets = Vec::new();
    client.read_to_end(&mut octets).await.unwrap();
    decode(&octets)
}

#[track_caller]
fn is_notice(messages: &[LdapMsg], code: i64) {
    match messages {
        [.., LdapMsg { msgid: 0, op: LdapOp::ExtendedResponse(response), .. }] => {
            assert_eq!(response.name.as_deref(), Some("1.3.6.1.4.1.1466.20036"));
            assert_eq!(response.res.code.clone() as i64, code);
        }
        other => panic!("no notice: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_has_its_time_from_its_first_octet_to_its_last() {
    let world = World::new();
    let (mut client, task) = open(&world);
    let began = TestInstant::now();
    let request = root_dse(1);
    assert!(request.len() > 35);
    let (mut reader, mut writer) = tokio::io::split(client);
    let slow = tokio::spawn(async move {
        for octet in request {
            if writer.write_all(&[octet]).await.is_err() {
                return;
            }
            sleep(Duration::from_secs(1)).await;
        }
    });
    let mut octets = Vec::new();
    reader.read_to_end(&mut octets).await.unwrap();
    is_notice(&decode(&octets), 2);
    let taken = began.elapsed();
    let patience = world.settings.limits.message_time;
    assert!(taken >= patience && taken < patience + Duration::from_secs(2), "{taken:?}");
    assert!(matches!(task.await.unwrap(), Err(Ended::TimedOut(_))));
    slow.abort();

    // Slow, but in time; and each message has its own time.
    (client, _) = open(&world);
    for id in 1..4 {
        let request = who_am_i(id);
        assert!((request.len() as u64) < 300);
        for octet in request {
            client.write_all(&[octet]).await.unwrap();
            sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(answers(&mut client, 1).await[0].msgid, id);
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_gets_its_notice() {
    let world = World::new();
    let (mut client, task) = open(&world);
    let began = TestInstant::now();
    client.write_all(&root_dse(1)).await.unwrap();
    answers(&mut client, 1).await;
    sleep(Duration::from_secs(100)).await;
    // Each request starts the time anew.
    client.write_all(&root_dse(2)).await.unwrap();
    answers(&mut client, 1).await;
    is_notice(&rest(&mut client).await, 52);
    let taken = began.elapsed();
    assert!(taken >= Duration::from_secs(220) && taken < Duration::from_secs(222), "{taken:?}");
    assert!(matches!(task.await.unwrap(), Err(Ended::TimedOut(_))));
}

#[tokio::test(start_paused = true)]
async fn a_bound_client_may_be_silent_for_long() {
    let world = World::new();
    let (mut client, _task) = open(&world);
    client.write_all(&bind(1, APP, world.secrets.app.as_bytes())).await.unwrap();
    answers(&mut client, 1).await;
    sleep(world.settings.limits.idle_time - Duration::from_secs(60)).await;
    client.write_all(&who_am_i(2)).await.unwrap();
    assert_eq!(answers(&mut client, 1).await[0].msgid, 2);
    let began = TestInstant::now();
    is_notice(&rest(&mut client).await, 52);
    assert!(began.elapsed() >= world.settings.limits.idle_time);
}

#[tokio::test(start_paused = true)]
async fn who_has_lost_the_identity_may_not_be_silent_for_long() {
    let world = World::new();
    let (mut client, _task) = open(&world);
    client.write_all(&bind(1, APP, world.secrets.app.as_bytes())).await.unwrap();
    answers(&mut client, 1).await;
    let patience = world.settings.limits.idle_time_before_bind;
    sleep(patience * 10).await;
    world.change(|transaction| transaction.delete_token(APP_TOKEN));
    let began = TestInstant::now();
    is_notice(&rest(&mut client).await, 52);
    assert!(began.elapsed() <= patience, "{:?}", began.elapsed());
    assert_eq!(world.registry.reached().count(Limit::idle_time_before_bind), 1);
}

#[tokio::test(start_paused = true)]
async fn who_has_lost_the_identity_has_a_place_before_bind() {
    let world = World::new();
    let mut crowded = Crowded::bound(&world, 1 << 16).await;
    assert_eq!(crowded.limits.counts().before_bind, 0);
    world.change_account(READER, |account| account.is_active = false);
    crowded.client.write_all(&who_am_i(2)).await.unwrap();
    answers(&mut crowded.client, 1).await;
    assert_eq!((crowded.limits.counts().open, crowded.limits.counts().before_bind), (4, 1));
    world.change_account(READER, |account| account.is_active = true);
    crowded.client.write_all(&who_am_i(3)).await.unwrap();
    answers(&mut crowded.client, 1).await;
    assert_eq!((crowded.limits.counts().open, crowded.limits.counts().before_bind), (4, 0));
    world.change_account(READER, |account| account.is_active = false);
    // In the middle of a message too.
    crowded.client.write_all(&who_am_i(4)[..5]).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(crowded.limits.counts().before_bind, 1);
    drop(crowded.client);
    assert!(crowded.task.await.unwrap().is_err());
    assert_eq!((crowded.limits.counts().open, crowded.limits.counts().before_bind), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_failed_bind_gives_no_patience() {
    let world = World::new();
    let (mut client, _task) = open(&world);
    client.write_all(&bind(1, APP, b"wrong")).await.unwrap();
    answers(&mut client, 1).await;
    let began = TestInstant::now();
    is_notice(&rest(&mut client).await, 52);
    assert!(began.elapsed() < Duration::from_secs(130));
}

#[tokio::test(start_paused = true)]
async fn whole_messages_are_not_left_behind_a_full_output() {
    let limits = crate::config::Limits { output_buffer_max: 16 * 1024, ..Default::default() };
    let world = World::with(Wishes { people: 700, limits, ..Wishes::default() });
    let (mut client, _task) = open(&world);
    client.write_all(&bind(1, "reader", world.secrets.reader.as_bytes())).await.unwrap();
    answers(&mut client, 1).await;
    let mut requests = Vec::new();
    for id in 2..6 {
        requests.extend(dump(id));
    }
    for id in 100..500 {
        requests.extend(who_am_i(id));
    }
    requests.extend(bind(1_000, "", b""));
    requests.extend(who_am_i(1_001));
    client.write_all(&requests).await.unwrap();
    let began = TestInstant::now();
    let messages = answers(&mut client, 4 + 400 + 2).await;
    let patience = world.settings.limits.write_time;
    assert!(began.elapsed() < patience / 2, "it waited for a client that waits for it");
    assert_eq!(messages.last().unwrap().msgid, 1_001);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_is_held_back_and_then_left() {
    let world = World::with(Wishes { people: 700, ..Wishes::default() });
    let (mut client, task) = connect(&world, 4 * 1024, &CancellationToken::new());
    client.write_all(&bind(1, "reader", world.secrets.reader.as_bytes())).await.unwrap();
    answers(&mut client, 1).await;
    let requests: Vec<u8> = (2..10_000).flat_map(dump).collect();
    let began = TestInstant::now();
    // The pipe and one read are all that is taken of it.
    let error = client.write_all(&requests).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    let taken = began.elapsed();
    let patience = world.settings.limits.write_time;
    assert!(taken >= patience && taken < patience + Duration::from_secs(2), "{taken:?}");
    assert!(matches!(task.await.unwrap(), Err(Ended::TimedOut(_))));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_slowly_is_served() {
    let world = World::with(Wishes { people: 100, ..Wishes::default() });
    let (mut client, _task) = connect(&world, 1024, &CancellationToken::new());
    client.write_all(&bind(1, "reader", world.secrets.reader.as_bytes())).await.unwrap();
    answers(&mut client, 1).await;
    client.write_all(&dump(2)).await.unwrap();
    let mut octets = Vec::new();
    let mut chunk = [0; 1024];
    loop {
        sleep(Duration::from_secs(30)).await;
        let read = client.read(&mut chunk).await.unwrap();
        assert_ne!(read, 0);
        octets.extend_from_slice(&chunk[..read]);
        let mut whole = 0;
        while let Ok(Some(frame)) = frame::next(&octets[whole..], usize::MAX) {
            whole += frame.octets.len();
            if frame.operation == 0x65 {
                assert_eq!(whole, octets.len());
                assert_eq!(decode(&octets).len(), 4 + 107 + 4 + 107 + 1);
                return;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_keeps_no_large_buffers() {
    let world = World::with(Wishes { people: 2_000, ..Wishes::default() });
    let shutdown = CancellationToken::new();
    let (mut client, server) = duplex(1 << 16);
    let peer = peer();
    let mut connection = connection(&world, permit(), &shutdown, &peer);
    let talk = async {
        client.write_all(&bind(1, "reader", world.secrets.reader.as_bytes())).await.unwrap();
        answers(&mut client, 1).await;
        // A long answer, then a request that fills its buffer nearly to the end.
        client.write_all(&[dump(2), dump(3)].concat()).await.unwrap();
        answers(&mut client, 2).await;
        let long = crate::ldap::tests::client::element(0x4a, &vec![b'x'; (4 << 20) - 20 * 1024]);
        client.write_all(&raw(4, &long)).await.unwrap();
        answers(&mut client, 1).await;
        sleep(Duration::from_secs(1)).await;
        shutdown.cancel();
        rest(&mut client).await
    };
    let (ended, messages) = tokio::join!(connection.run(server), talk);
    is_notice(&messages, 52);
    assert!(ended.is_err());
    assert!(connection.output.capacity() <= KEPT_OCTETS, "{}", connection.output.capacity());
    assert!(connection.input.capacity() <= KEPT_OCTETS, "{}", connection.input.capacity());
}

#[tokio::test(start_paused = true)]
async fn a_large_buffer_does_not_stay_for_a_small_rest() {
    let world = World::new();
    let shutdown = CancellationToken::new();
    let (mut client, server) = duplex(1 << 16);
    let peer = peer();
    let mut connection = connection(&world, permit(), &shutdown, &peer);
    let used = || world.settings.memory.used();
    let talk = async {
        client.write_all(&bind(1, "reader", world.secrets.reader.as_bytes())).await.unwrap();
        answers(&mut client, 1).await;
        let (message, next) = (large(3 << 20), root_dse(3));
        client.write_all(&message[..message.len() - 1]).await.unwrap();
        sleep(Duration::from_millis(1)).await;
        assert!((3 << 20..4 << 20).contains(&used()), "{}", used());
        // A large answer, too, and the beginning of what never comes to its end.
        let schema =
            LdapOp::SearchRequest(search("cn=subschema", LdapSearchScope::Base, "(objectClass=*)", &["+"]));
        let rest =
            [&message[message.len() - 1..], &encode(4, schema.clone()), &encode(5, schema), &next[..1]];
        client.write_all(&rest.concat()).await.unwrap();
        answers(&mut client, 3).await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(used(), 0);
        shutdown.cancel();
    };
    tokio::select! {
        biased;
        () = talk => {}
        _ = connection.run(server) => panic!("it waits for the rest"),
    }
    assert!(connection.input.capacity() <= KEPT_OCTETS, "{}", connection.input.capacity());
    assert!(connection.output.capacity() <= KEPT_OCTETS, "{}", connection.output.capacity());
    assert_eq!(connection.input.octets(), &root_dse(3)[..1]);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_is_told_to_everybody() {
    let world = World::with(Wishes { people: 2_000, ..Wishes::default() });
    let shutdown = CancellationToken::new();
    // The hash is computed by a thread that the clock does not wait for: it comes before any other timer runs.
    let (mut busy, _first) = connect(&world, 1 << 12, &shutdown);
    busy.write_all(&bind(1, "reader", world.secrets.reader.as_bytes())).await.unwrap();
    answers(&mut busy, 1).await;
    let (mut idle, _second) = connect(&world, 1 << 16, &shutdown);
    let (mut partial, _third) = connect(&world, 1 << 16, &shutdown);
    idle.write_all(&root_dse(1)).await.unwrap();
    answers(&mut idle, 1).await;
    partial.write_all(&root_dse(1)[..10]).await.unwrap();
    busy.write_all(&dump(2)).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    shutdown.cancel();
    is_notice(&rest(&mut idle).await, 52);
    is_notice(&rest(&mut partial).await, 52);
    let messages = rest(&mut busy).await;
    is_notice(&messages, 52);
    assert!(messages.len() > 1);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_for_who_takes_no_answers() {
    let world = World::with(Wishes { people: 700, ..Wishes::default() });
    let shutdown = CancellationToken::new();
    let (mut client, task) = connect(&world, 4 * 1024, &shutdown);
    client.write_all(&bind(1, "reader", world.secrets.reader.as_bytes())).await.unwrap();
    answers(&mut client, 1).await;
    client.write_all(&dump(2)).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert!(!task.is_finished());
    let began = TestInstant::now();
    shutdown.cancel();
    assert!(task.await.unwrap().is_err());
    assert!(began.elapsed() <= CLOSE_TIME_MAX * 2, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_long_message_is_read_beside_a_dump() {
    let world = World::with(Wishes { people: 2_000, ..Wishes::default() });
    let (mut client, _task) = connect(&world, 1 << 16, &CancellationToken::new());
    client.write_all(&bind(1, "reader", world.secrets.reader.as_bytes())).await.unwrap();
    answers(&mut client, 1).await;
    // Longer than one read, and behind it what ends the dump.
    let names: Vec<String> =
        (0..1_000).map(|number| format!("attribute-with-a-long-name-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let small =
        encode(3, LdapOp::SearchRequest(search(BASE, LdapSearchScope::Base, "(objectClass=*)", &names)));
    assert!(small.len() > 2 * READ_OCTETS - READ_OCTETS / 4, "{}", small.len());
    let abandon = encode(4, LdapOp::AbandonRequest(2));
    client.write_all(&[dump(2), small, abandon, who_am_i(5)].concat()).await.unwrap();
    let messages = answers(&mut client, 2).await;
    let finals: Vec<i32> = messages
        .iter()
        .filter(|message| result_of(&message.op).is_some())
        .map(|message| message.msgid)
        .collect();
    assert_eq!(finals, [3, 5], "the dump was abandoned, and the small search did not wait for it");
}

#[tokio::test(start_paused = true)]
async fn a_bind_without_a_hash_gives_its_place_before_bind_back_at_once() {
    let world = World::new();
    let limits = ConnectionLimits::new(ConnectionLimitSettings {
        connections_max: 8,
        connections_by_source_max: 8,
        connections_before_bind_max: 8,
        connections_before_bind_by_source_max: 8,
        connections_reserved: 0,
        connections_leaving_max: 64,
        proxy_headers_awaited_max: 64,
        of: LimitsOf::Ldap,
    });
    let address = PeerAddress::from_socket("192.0.2.7:1".parse().unwrap());
    for round in 0..2 {
        let permit = limits.admit(&address).unwrap();
        let (mut client, server) = duplex(1 << 16);
        let session = session(&world, true);
        let task = serve_with(&world, session, server, &CancellationToken::new(), (permit, turns()));
        assert_eq!(limits.counts().before_bind, 1);
        client.write_all(&bind(1, APP, world.secrets.app.as_bytes())).await.unwrap();
        answers(&mut client, 1).await;
        assert_eq!(limits.counts().before_bind, 0, "round {round}");
        drop(client);
        assert!(task.await.unwrap().is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_makes_room_and_one_with_half_a_message_does_not() {
    let world = World::new();
    let limits = ConnectionLimits::new(ConnectionLimitSettings {
        connections_max: 8,
        connections_by_source_max: 8,
        connections_before_bind_max: 1,
        connections_before_bind_by_source_max: 8,
        connections_reserved: 0,
        connections_leaving_max: 64,
        proxy_headers_awaited_max: 64,
        of: LimitsOf::Ldap,
    });
    let admit = |address: &str| limits.admit(&PeerAddress::from_socket(address.parse().unwrap()));
    let shutdown = CancellationToken::new();
    let (server, mut client) = duplex(1 << 16);
    let peer = peer();
    let mut connection = connection(&world, admit("192.0.2.7:1").unwrap(), &shutdown, &peer);
    let talk = async {
        let request = root_dse(1);
        client.write_all(&request[..10]).await.unwrap();
        sleep(Duration::from_secs(1)).await;
        assert!(admit("192.0.2.8:1").is_err());
        client.write_all(&request[10..]).await.unwrap();
        answers(&mut client, 1).await;
        sleep(Duration::from_secs(1)).await;
        let _newcomer = admit("192.0.2.8:1").unwrap();
        is_notice(&rest(&mut client).await, 52);
    };
    let (ended, ()) = tokio::join!(connection.run(server), talk);
    assert!(matches!(ended, Err(Ended::MadeRoom(ConnectionRefused::BeforeBind { limit: 1 }))));
    drop(connection);
    assert_eq!(limits.counts().leaving, 0);
    assert_eq!(world.registry.reached().count(Limit::connections_before_bind_max), 1);
}

/// A connection of somebody who has all places, in some state or other.
struct Crowded {
    limits: Arc<ConnectionLimits>,
    others: Vec<Permit>,
    turns: Arc<SourceTurns>,
    client: DuplexStream,
    task: JoinHandle<Ending>,
}

impl Crowded {
    fn new(world: &World, octets: usize) -> Self {
        Self::behind(0, world, octets)
    }

    /// So many others have come before it.
    fn behind(others: usize, world: &World, octets: usize) -> Self {
        let limits = ConnectionLimits::new(ConnectionLimitSettings {
            connections_max: 4,
            connections_by_source_max: 8,
            connections_before_bind_max: 4,
            connections_before_bind_by_source_max: 8,
            connections_reserved: 0,
            connections_leaving_max: 64,
            proxy_headers_awaited_max: 64,
            of: LimitsOf::Ldap,
        });
        let admit = || limits.admit(&PeerAddress::from_socket("192.0.2.7:1".parse().unwrap())).unwrap();
        let mut others: Vec<Permit> = (0..others).map(|_| admit()).collect();
        let (permit, turns) = (admit(), turns());
        others.resize_with(3, admit);
        let (client, server) = duplex(octets);
        let shutdown = CancellationToken::new();
        let with = (permit, Arc::clone(&turns));
        let task = serve_with(world, session(world, true), server, &shutdown, with);
        Self { limits, others, turns, client, task }
    }

    /// All of them are one account's.
    async fn bound(world: &World, octets: usize) -> Self {
        let mut crowded = Self::new(world, octets);
        crowded.client.write_all(&bind(1, "reader", world.secrets.reader.as_bytes())).await.unwrap();
        answers(&mut crowded.client, 1).await;
        crowded.others.iter_mut().for_each(|permit| permit.bound_as(READER));
        crowded
    }

    /// Somebody comes from elsewhere, and has its place.
    async fn makes_room(self) {
        let newcomer = PeerAddress::from_socket("198.51.100.1:1".parse().unwrap());
        let _newcomer = self.limits.admit(&newcomer).unwrap();
        let ended = self.task.await.unwrap();
        assert!(matches!(ended, Err(Ended::MadeRoom(_))), "{ended:?}");
        assert_eq!((self.limits.counts().open, self.limits.counts().leaving), (4, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn half_a_message_of_who_is_bound_makes_room() {
    let world = World::new();
    let mut crowded = Crowded::bound(&world, 1 << 16).await;
    crowded.client.write_all(&dump(2)[..10]).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    crowded.makes_room().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_who_is_bound_does_not_take_makes_room() {
    let world = World::with(Wishes { people: 700, ..Wishes::default() });
    let mut crowded = Crowded::bound(&world, 4 * 1024).await;
    crowded.client.write_all(&dump(2)).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    crowded.makes_room().await;
}

#[tokio::test(start_paused = true)]
async fn who_asks_on_and_on_makes_room() {
    let world = World::new();
    for is_bound in [false, true] {
        let mut crowded = match is_bound {
            true => Crowded::bound(&world, 1 << 16).await,
            false => Crowded::new(&world, 1 << 16),
        };
        let (unused, _) = duplex(1);
        let client = std::mem::replace(&mut crowded.client, unused);
        let (mut reader, mut writer) = tokio::io::split(client);
        let asking = tokio::spawn(async move { while writer.write_all(&root_dse(2)).await.is_ok() {} });
        let mut chunk = vec![0; 1 << 16];
        for _ in 0..100 {
            assert_ne!(reader.read(&mut chunk).await.unwrap(), 0);
        }
        let reading =
            tokio::spawn(
                async move { while reader.read(&mut chunk).await.is_ok_and(|octets| octets > 0) {} },
            );
        crowded.makes_room().await;
        reading.await.unwrap();
        asking.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_turn_of_its_source_makes_room() {
    let world = World::new();
    let mut crowded = Crowded::behind(3, &world, 1 << 16);
    crowded.client.write_all(&root_dse(1)).await.unwrap();
    answers(&mut crowded.client, 1).await;
    let turns = Arc::clone(&crowded.turns);
    turns.note(u64::MAX, Instant::now());
    let _turn = turns.take().await.expect("it is paced");
    crowded.client.write_all(&root_dse(2)).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    crowded.makes_room().await;
}

#[tokio::test]
async fn a_bind_that_waits_for_its_hash_makes_room() {
    let world = World::new();
    let mut crowded = Crowded::new(&world, 1 << 16);
    let _held = waiting_for_a_hash(&mut crowded.client, &world).await;
    crowded.makes_room().await;
}

#[tokio::test(start_paused = true)]
async fn start_tls_gives_the_stream_back_and_takes_nothing_with_it() {
    let world = World::new();
    let name = "1.3.6.1.4.1.1466.20037".to_owned();
    let request = encode(5, LdapOp::ExtendedRequest(LdapExtendedRequest { name, value: None }));
    for (behind, is_injected) in [(Vec::new(), false), (vec![0x16], true), (root_dse(6), true)] {
        let in_clear = session(&world, false);
        let (mut client, task) = connect_session(&world, in_clear, 1 << 16, &CancellationToken::new());
        client.write_all(&[request.clone(), behind].concat()).await.unwrap();
        assert_eq!(answers(&mut client, 1).await[0].msgid, 5);
        match task.await.unwrap() {
            Ok(begins) => assert!(begins && !is_injected),
            Err(ended) => assert!(matches!(ended, Ended::Injected) && is_injected, "{ended}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn endings() {
    let world = World::new();
    // Health checks connect and close, and that is all.
    let (client, task) = open(&world);
    drop(client);
    assert!(matches!(task.await.unwrap(), Err(Ended::Closed)));
    // Unbind.
    let (mut client, task) = open(&world);
    client.write_all(&[root_dse(1), encode(2, LdapOp::UnbindRequest), root_dse(3)].concat()).await.unwrap();
    assert_eq!(rest(&mut client).await.iter().filter(|message| result_of(&message.op).is_some()).count(), 1);
    assert!(matches!(task.await.unwrap(), Ok(false)));
    // What is no LDAP.
    let (mut client, task) = open(&world);
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    is_notice(&rest(&mut client).await, 2);
    assert!(matches!(task.await.unwrap(), Ok(false)));
    // Cut in the middle of a message.
    let (mut client, task) = open(&world);
    client.write_all(&root_dse(1)[..9]).await.unwrap();
    drop(client);
    assert!(matches!(task.await.unwrap(), Err(Ended::Closed)));
}

/// The one thread of the pool has taken a job and gets no memory for it, until the first is dropped; behind it waits the
/// hash of who is connected here.
async fn waiting_for_a_hash<'w>(
    client: &mut (impl AsyncWrite + Unpin),
    world: &'w World,
) -> (MemoryLease<'w>, Box<Attempt>) {
    let pool = world.registry.hash_pool();
    let held = pool.hold();
    let first = world.registry.authenticate(
        "nobody",
        b"wrong",
        stranger().source,
        NOW,
        Instant::now(),
        &mut crate::access::Entitlements::default(),
    );
    let Authentication::Pending(first) = first else { panic!("it is hashed") };
    while pool.queue_lengths().of(HashClass::Other) > 0 {
        tokio::task::yield_now().await;
    }
    client.write_all(&bind(1, APP, world.secrets.app.as_bytes())).await.unwrap();
    while pool.queue_lengths().of(HashClass::Selector) == 0 {
        tokio::task::yield_now().await;
    }
    (held, first)
}

#[tokio::test]
async fn a_client_that_is_gone_cancels_its_hash() {
    let world = World::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut second = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    let second_task = serve_over(&world, session(&world, true), server, &CancellationToken::new());
    let (held, mut first) = waiting_for_a_hash(&mut second, &world).await;
    second.set_zero_linger().unwrap();
    drop(second);
    assert!(matches!(second_task.await.unwrap(), Err(Ended::Io(_))));
    drop(held);
    assert!(!(&mut first.outcome).await.unwrap().matches);
    while world.registry.hash_pool().queue_lengths().of(HashClass::Selector) > 0 {
        tokio::task::yield_now().await;
    }
    world.registry.hash_pool().close();
    let counts = world.registry.hash_pool().counts();
    assert_eq!((counts.argon2id_verified, counts.cancelled), (1, 1), "{counts:?}");
}

/// Its close looks like that of a client that waits for its answers, until its time is over.
#[tokio::test(start_paused = true)]
async fn a_client_that_closes_is_not_worked_for_for_ever() {
    let world = World::new();
    let (mut second, second_task) = open(&world);
    let (held, mut first) = waiting_for_a_hash(&mut second, &world).await;
    let began = TestInstant::now();
    second.shutdown().await.unwrap();
    // The clock goes on while the thread waits.
    is_notice(&rest(&mut second).await, 52);
    assert!(began.elapsed() >= world.settings.limits.half_close_time);
    assert!(matches!(second_task.await.unwrap(), Err(Ended::TimedOut(GIVEN_UP))));
    assert_eq!(world.registry.reached().count(Limit::half_close_time), 1);
    drop(held);
    assert!(!(&mut first.outcome).await.unwrap().matches);
    while world.registry.hash_pool().queue_lengths().of(HashClass::Selector) > 0 {
        tokio::task::yield_now().await;
    }
    world.registry.hash_pool().close();
    assert_eq!(world.registry.hash_pool().counts().cancelled, 1);
}

#[tokio::test]
async fn who_has_closed_its_side_is_answered_first() {
    let world = World::with(Wishes { people: 700, ..Wishes::default() });
    let (mut client, task) = connect(&world, 1 << 16, &CancellationToken::new());
    let secret = world.secrets.reader.as_bytes();
    let requests = [root_dse(1), bind(2, "reader", secret), dump(3), who_am_i(4), root_dse(5)].concat();
    // The last of them is not whole.
    client.write_all(&requests[..requests.len() - 1]).await.unwrap();
    client.shutdown().await.unwrap();
    let messages = rest(&mut client).await;
    let finals: Vec<(i32, i64)> = messages
        .iter()
        .filter_map(|message| Some((message.msgid, result_of(&message.op)?.code.clone() as i64)))
        .collect();
    assert_eq!(finals.len(), 4, "{finals:?}");
    assert!([1, 2, 3, 4].iter().all(|id| finals.contains(&(*id, 0))), "{finals:?}");
    assert_eq!(messages.len(), 2 + 1 + (4 + 707 + 4 + 707 + 1) + 1);
    assert!(matches!(task.await.unwrap(), Err(Ended::Closed)));
}

#[tokio::test]
async fn a_real_socket() {
    let world = World::new();
    let listener = Listener::bind_tcp("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local().socket().unwrap();
    let door = Arc::new(Door {
        turns: Turns::new(1),
        registry: world.registry.clone(),
        tls: None,
        settings: Arc::new(world.settings.clone()),
        shutdown: CancellationToken::new(),
    });
    let server = tokio::spawn(async move {
        let (stream, peer) = listener.accept().await;
        serve(door, stream, peer, permit(), false).await;
    });
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    client.write_all(&[root_dse(1), bind(2, APP, world.secrets.app.as_bytes())].concat()).await.unwrap();
    client.write_all(&encode(3, LdapOp::UnbindRequest)).await.unwrap();
    let mut octets = Vec::new();
    client.read_to_end(&mut octets).await.unwrap();
    let codes: Vec<(i32, i64)> = decode(&octets)
        .iter()
        .filter_map(|message| Some((message.msgid, result_of(&message.op)?.code.clone() as i64)))
        .collect();
    assert_eq!(codes, [(1, 0), (2, 13)]);
    server.await.unwrap();
}

/// A world whose connections may hold little together.
fn with_little_memory(connection_memory_max: u64) -> World {
    let limits = crate::config::Limits { connection_memory_max, ..Default::default() };
    World::with(Wishes { people: 2_000, limits, ..Wishes::default() })
}

async fn bound(world: &World, octets: usize, name: &str, secret: &str) -> (DuplexStream, JoinHandle<Ending>) {
    let (mut client, task) = connect(world, octets, &CancellationToken::new());
    client.write_all(&bind(1, name, secret.as_bytes())).await.unwrap();
    answers(&mut client, 1).await;
    (client, task)
}

/// An operation that there is not, of so many octets.
fn large(octets: usize) -> Vec<u8> {
    raw(9, &crate::ldap::tests::client::element(0x4a, &vec![b'x'; octets]))
}

#[tokio::test(start_paused = true)]
async fn messages_that_are_never_whole_share_what_memory_there_is() {
    const MAX: u64 = 1 << 20;
    let world = with_little_memory(MAX);
    let message = large(300 * 1024);
    let mut silent = Vec::new();
    for _ in 0..20 {
        let (mut client, task) = bound(&world, 1 << 20, APP, &world.secrets.app).await;
        client.write_all(&message[..message.len() - 1]).await.unwrap();
        silent.push((client, task));
    }
    sleep(Duration::from_secs(1)).await;
    let used = world.settings.memory.used();
    assert!(used > MAX / 4 && used <= MAX / 2, "one account holds {used}");
    // Small requests need none of it, and somebody else still has room for a large one.
    let (mut small, _task) = bound(&world, 1 << 20, APP, &world.secrets.app).await;
    small.write_all(&who_am_i(2)).await.unwrap();
    answers(&mut small, 1).await;
    let (mut other, _task) = bound(&world, 1 << 20, "reader", &world.secrets.reader).await;
    other.write_all(&large(200 * 1024)).await.unwrap();
    answers(&mut other, 1).await;
    // Whoever waits for room waits no longer than a message may take, and is told.
    let mut codes = std::collections::BTreeMap::new();
    for (client, task) in &mut silent {
        let messages = rest(client).await;
        match messages.last().map(|message| message.op.clone()) {
            Some(LdapOp::ExtendedResponse(response)) => {
                *codes.entry(response.res.code as i64).or_insert(0) += 1
            }
            other => panic!("no notice: {other:?}"),
        }
        assert!(matches!(task.await.unwrap(), Err(Ended::TimedOut(_))));
    }
    assert_eq!(codes.keys().copied().collect::<Vec<_>>(), [2, 51], "{codes:?}");
    // Whoever was answered last rests before it waits for the next request.
    sleep(Duration::from_millis(1)).await;
    assert_eq!(world.settings.memory.used(), 0, "it is given back");
    assert!(world.registry.reached().count(Limit::connection_memory_max) > 0);
}

#[tokio::test(start_paused = true)]
async fn answers_that_nobody_takes_share_what_memory_there_is() {
    const MAX: u64 = 1 << 20;
    let world = with_little_memory(MAX);
    let mut deaf = Vec::new();
    for _ in 0..20 {
        let (mut client, task) = bound(&world, 4 * 1024, "reader", &world.secrets.reader).await;
        client.write_all(&dump(2)).await.unwrap();
        deaf.push((client, task));
    }
    sleep(Duration::from_secs(1)).await;
    let used = world.settings.memory.used();
    assert!(used > MAX / 4 && used <= MAX / 2, "one account holds {used}");
    // With less room for its answer a search comes to its end as well.
    let (mut client, _task) = bound(&world, 4 * 1024, "reader", &world.secrets.reader).await;
    client.write_all(&dump(2)).await.unwrap();
    assert_eq!(answers(&mut client, 1).await.len(), 4 + 2_007 + 4 + 2_007 + 1);
    drop(client);
    drop(deaf);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(world.settings.memory.used(), 0, "it is given back");
}

#[tokio::test(start_paused = true)]
async fn searches_that_are_outstanding_share_what_memory_there_is() {
    const MAX: u64 = 256 << 10;
    let world = with_little_memory(MAX);
    let (mut client, _task) = bound(&world, 2 << 20, "reader", &world.secrets.reader).await;
    // None of them ends soon: no index knows so short a part, and each is compared with everybody.
    let parts = ["qx", "xq", "zj", "jz", "qz", "zq", "xj", "jx", "qj", "jq"];
    let asserted: String = parts.iter().cycle().take(300).map(|part| format!("(cn=*{part}*)")).collect();
    let filter = format!("(|{asserted})");
    let search =
        |id| encode(id, LdapOp::SearchRequest(search(BASE, LdapSearchScope::Subtree, &filter, &["*"])));
    let requests: Vec<u8> = (2..22).flat_map(search).collect();
    client.write_all(&requests).await.unwrap();
    let messages = answers(&mut client, 20).await;
    let codes: Vec<i64> = messages
        .iter()
        .filter_map(|message| result_of(&message.op))
        .map(|result| result.code.clone() as i64)
        .collect();
    let busy = codes.iter().filter(|code| **code == 51).count();
    assert!(busy > 0 && busy < 20, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 20 - busy);
    assert_eq!(world.settings.memory.used(), 0, "it is given back");
}
