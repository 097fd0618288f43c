//! A credential or a right that is taken away while a thousand connections use it: none succeeds behind the
//! acknowledgement. How long that takes is shown, not asserted:
//!
//!     cargo test --release --test accounts revocation -- --nocapture

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::support::octets::{compare, final_code, length_behind, simple_bind};
use crate::support::{Place, SEED, Server, secret_of};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// One comparison: it is sent, and answered with a code.
#[derive(Clone, Copy, Debug)]
struct Comparison {
    sent: Instant,
    answered: Instant,
    code: u8,
}

/// A server with many connections, all of them bound with one app password.
struct Crowd {
    place: Place,
    server: Server,
    secret: String,
    runtime: tokio::runtime::Runtime,
    members: JoinSet<Vec<Comparison>>,
    /// When the change was acknowledged.
    acknowledged: Arc<OnceLock<Instant>>,
}

impl Crowd {
    /// Connects, binds, and waits until each of them has seen alice once.
    fn start() -> Self {
        let place = Place::new(SEED);
        let count = CONNECTIONS.min(files_max() / 2 - 100);
        let (server, secrets) = place.serve_first();
        let secret = secret_of(&secrets, "ldapservice-app-password");
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let mut members = JoinSet::new();
        let acknowledged = Arc::new(OnceLock::new());
        let succeeded = Arc::new(AtomicUsize::new(0));
        let address = server.address("ldap");
        for _ in 0..count {
            let bind = simple_bind(1, NAME, &secret);
            // One after the other: the first bind costs a hash, and there is no room for a thousand of them at once.
            let mut stream = runtime.block_on(async {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.set_nodelay(true).unwrap();
                assert_eq!(ask(&mut stream, &bind).await, 0);
                stream
            });
            let (acknowledged, succeeded) = (Arc::clone(&acknowledged), Arc::clone(&succeeded));
            members.spawn_on(
                async move { compare_until(&mut stream, &acknowledged, &succeeded).await },
                runtime.handle(),
            );
        }
        while succeeded.load(Ordering::Relaxed) < count {
            // They end only when they fail.
            if let Some(ended) = members.try_join_next() {
                panic!("{:?}", ended.map(|comparisons| comparisons.len()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { place, server, secret, runtime, members, acknowledged }
    }

    /// Makes a change through the local socket while all of them compare; everything that is sent behind its
    /// acknowledgement must be answered with `refusal`.
    fn loses(mut self, what: &str, method: &str, path: &str, body: &str, refusal: u8) {
        let count = self.members.len();
        std::thread::sleep(Duration::from_millis(300));
        let mut socket = UnixStream::connect(self.place.path("data/bindery.sock")).unwrap();
        let request = format!(
            "{method} /api/v3{path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let asked = Instant::now();
        socket.write_all(request.as_bytes()).unwrap();
        let mut answer = [0; 12];
        socket.read_exact(&mut answer).unwrap();
        let acknowledged = Instant::now();
        self.acknowledged.set(acknowledged).unwrap();
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 20"), "{method} {path}: {answer}");

        let mut members = std::mem::take(&mut self.members);
        let comparisons: Vec<Comparison> = self.runtime.block_on(async {
            let mut all = Vec::new();
            while let Some(one) = members.join_next().await {
                all.extend(one.unwrap());
            }
            all
        });
        let (behind, before): (Vec<Comparison>, Vec<Comparison>) =
            comparisons.into_iter().partition(|comparison| comparison.sent > acknowledged);
        for comparison in &behind {
            assert_eq!(comparison.code, refusal, "sent {:?} behind it", comparison.sent - acknowledged);
        }
        assert_eq!(behind.len(), count * BEHIND, "each connection has tried again");
        for comparison in &before {
            assert!([COMPARE_TRUE, refusal].contains(&comparison.code), "{comparison:?}");
        }
        let succeeded = || before.iter().filter(|comparison| comparison.code == COMPARE_TRUE);
        let last_sent = succeeded().map(|comparison| comparison.sent).max().unwrap();
        let last_answered = succeeded().map(|comparison| comparison.answered).max().unwrap();
        let first = before.iter().map(|comparison| comparison.sent).min().unwrap();
        let rate = before.len() as f64 / (acknowledged - first).as_secs_f64();
        eprintln!(
            "{what}: {count} connections, {rate:.0} comparisons a second; acknowledged {:.2} ms after it was asked for; \
             the last success was sent at {:+.2} ms and answered at {:+.2} ms of the acknowledgement; all {} that were \
             sent behind it were refused",
            milliseconds(acknowledged, asked),
            milliseconds(last_sent, acknowledged),
            milliseconds(last_answered, acknowledged),
            behind.len(),
        );
        // A new bind is no way around it.
        let code = self.runtime.block_on(async {
            let mut stream = TcpStream::connect(self.server.address("ldap")).await.unwrap();
            ask(&mut stream, &simple_bind(1, NAME, &self.secret)).await
        });
        assert_eq!(code, if refusal == NO_SUCH_OBJECT { 0 } else { 49 });
    }
}

/// Compares at its pace until it has tried some times behind the acknowledgement.
async fn compare_until(
    stream: &mut TcpStream,
    acknowledged: &OnceLock<Instant>,
    succeeded: &AtomicUsize,
) -> Vec<Comparison> {
    let request = compare(2, ALICE, "cn", "alice");
    let mut comparisons = Vec::new();
    let mut behind = 0;
    while behind < BEHIND {
        let sent = Instant::now();
        let code = ask(stream, &request).await;
        let comparison = Comparison { sent, answered: Instant::now(), code };
        if comparisons.is_empty() {
            assert_eq!(code, COMPARE_TRUE);
            succeeded.fetch_add(1, Ordering::Relaxed);
        }
        comparisons.push(comparison);
        if acknowledged.get().is_some_and(|acknowledged| sent > *acknowledged) {
            behind += 1;
        }
        tokio::time::sleep(PACE).await;
    }
    comparisons
}

/// Sends one request; gives the code of its answer.
async fn ask(stream: &mut TcpStream, request: &[u8]) -> u8 {
    stream.write_all(request).await.unwrap();
    let mut head = [0; 6];
    stream.read_exact(&mut head).await.unwrap();
    let mut octets = head.to_vec();
    octets.resize(6 + length_behind(head), 0);
    stream.read_exact(&mut octets[6..]).await.unwrap();
    final_code(&octets).2
}

/// Negative when it was before.
fn milliseconds(one: Instant, other: Instant) -> f64 {
    match one.checked_duration_since(other) {
        Some(later) => later.as_secs_f64() * 1e3,
        None => -(other - one).as_secs_f64() * 1e3,
    }
}

/// How many files this process, and the server that it starts, may have open: as many as the user may.
fn files_max() -> usize {
    let files = rustix::process::Resource::Nofile;
    let limits = rustix::process::getrlimit(files);
    let raised = rustix::process::Rlimit { current: limits.maximum, maximum: limits.maximum };
    let _ = rustix::process::setrlimit(files, raised);
    let current = rustix::process::getrlimit(files).current;
    current.map_or(usize::MAX, |current| usize::try_from(current).unwrap())
}

/// One crowd at a time: the figures are of a machine that does nothing else.
fn alone() -> impl Drop {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

const NAME: &str = "cn=ldapservice,ou=users,dc=ldap,dc=example,dc=com";
const ALICE: &str = "cn=alice,ou=users,dc=ldap,dc=example,dc=com";
const CONNECTIONS: usize = 1_000;
/// Between an answer and the next comparison of a connection.
const PACE: Duration = Duration::from_millis(100);
/// How often each connection tries behind the acknowledgement.
const BEHIND: usize = 3;

/// People of some 5 KiB each.
const PEOPLE: usize = 3_000;

const COMPARE_TRUE: u8 = 6;
const NO_SUCH_OBJECT: u8 = 32;
const INSUFFICIENT_ACCESS_RIGHTS: u8 = 50;

#[test]
fn a_revoked_token_is_of_no_use_behind_the_acknowledgement() {
    let _alone = alone();
    let path = "/core/tokens/ldapservice-app-password/";
    Crowd::start().loses("token revoked", "DELETE", path, "", INSUFFICIENT_ACCESS_RIGHTS);
}

#[test]
fn an_account_that_is_deactivated_ends_at_once() {
    let _alone = alone();
    let crowd = Crowd::start();
    let path = format!("/core/users/{}/", number(&crowd));
    let body = "{\"is_active\": false}";
    crowd.loses("account deactivated", "PATCH", &path, body, INSUFFICIENT_ACCESS_RIGHTS);
}

#[test]
fn an_account_that_is_deleted_ends_at_once() {
    let _alone = alone();
    let crowd = Crowd::start();
    let path = format!("/core/users/{}/", number(&crowd));
    crowd.loses("account deleted", "DELETE", &path, "", INSUFFICIENT_ACCESS_RIGHTS);
}

/// One search that is being answered while the credential goes: it sends no entry more, and says why.
#[test]
fn a_running_dump_ends_with_its_right() {
    let place = Place::new(SEED);
    let (server, secrets) = place.serve_first();
    let secret = secret_of(&secrets, "ldapservice-app-password");
    let base = ALICE.split_once("ou=users,").unwrap().1;
    // Far more than the buffers of both ends of a connection hold.
    let ldif: String = (0..PEOPLE)
        .map(|number| {
            format!(
                "dn: cn=p{number},ou=users,{base}\nobjectClass: inetOrgPerson\ncn: p{number}\nuid: p{number}\nsn: x\n\
                 description: {}\n\n",
                "what is said of it ".repeat(300).trim_end()
            )
        })
        .collect();
    place.write("people.ldif", &ldif);
    place.run(&["import", place.path("people.ldif").to_str().unwrap()]).exits(0);
    let mut stream = crate::support::octets::connect(server.address("ldap"));
    assert_eq!(crate::support::octets::bind(&mut stream, NAME, &secret), 0);
    let anything = crate::support::octets::element(0x87, b"objectClass");
    stream.write_all(&crate::support::octets::search_all(2, base, 2, &anything)).unwrap();
    let mut next = || final_code(&crate::support::octets::read_message(&mut stream).expect("an answer"));
    assert!(matches!(next(), (2, 0x64, _)));
    let mut socket = UnixStream::connect(place.path("data/bindery.sock")).unwrap();
    socket
        .write_all(b"DELETE /api/v3/core/tokens/ldapservice-app-password/ HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut answer = [0; 12];
    socket.read_exact(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 20"));
    let mut entries = 1;
    let code = loop {
        match next() {
            (2, 0x64, _) => entries += 1,
            (2, 0x65, code) => break code,
            other => panic!("{other:?}"),
        }
    };
    eprintln!("{entries} of {PEOPLE} entries came before the end");
    assert_eq!(code, INSUFFICIENT_ACCESS_RIGHTS);
    assert!(entries < PEOPLE);
}

/// The connections stay bound; what they may not see is not there.
#[test]
fn a_role_that_is_taken_away_is_so_at_once() {
    let _alone = alone();
    let crowd = Crowd::start();
    let role = crowd.place.run(&["role", "show", "ldap-search", "--json"]).exits(0).json();
    let path = format!("/rbac/roles/{}/remove_user/", role["pk"].as_str().unwrap());
    let body = format!("{{\"pk\": {}}}", number(&crowd));
    crowd.loses("role taken away", "POST", &path, &body, NO_SUCH_OBJECT);
}

/// The number of the account that they are bound as.
fn number(crowd: &Crowd) -> String {
    crowd.place.run(&["account", "show", "ldapservice", "--json"]).exits(0).json()["pk"].to_string()
}
