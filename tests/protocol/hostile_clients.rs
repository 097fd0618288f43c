//! Clients that mean harm, or know no better: each gets its answer, and a search beside them goes on. What needs a world of
//! its own stands beside: who guesses in `brute_force`, who takes places in `places`, whose right ends in `revocation` of the
//! tests of accounts.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::support::octets::{
    bind, connect, element, end_of_search, equality, final_code, message, password_modify, read_message,
    search, search_all, simple_bind, sort_control, view_control, with_controls,
};
use crate::support::{BASE, Place, SEED, SERVER, Server, forged, secret_of};
use ldap3::{LdapConn, Scope};
use rustix::process::Signal;
use serde_json::{Value, json};

const NAME: &str = "cn=ldapservice,ou=users,dc=ldap,dc=example,dc=com";

const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";

/// The server of the other tests, with TLS.
const TLS_SERVER: &str = r#"
[server]
data_dir = "data"
ldap = ["127.0.0.1:0"]
ldaps = ["127.0.0.1:0"]

[server.tls]
development = "certs"

[server.hashing]
memory = "64 KiB"
time_cost = 1
threads = 1
"#;

/// A server, the secret of who sees everything, and a connection that must go on answering.
struct Attacked {
    place: Place,
    server: Server,
    secret: String,
    /// Of the account `portal`, which sees itself alone.
    rightless: String,
}

impl Attacked {
    fn start(limits: &str) -> Self {
        Self::start_with(SERVER, limits)
    }

    fn start_with(server: &str, limits: &str) -> Self {
        let place = Place::new(SEED);
        place.write("bindery.toml", &format!("{server}\n[server.limits]\n{limits}\n{SEED}"));
        Self::over(place)
    }

    /// The same with the API, a password of alice, and an API token of hers, who may do everything.
    fn start_with_api(limits: &str) -> (Self, String) {
        let place = Place::new(&format!(
            "{SEED}\n[[group]]\nname = \"admins\"\nis_superuser = true\nmembers = [\"alice\"]\n"
        ));
        place.edit("ldap = [", "http = [\"127.0.0.1:0\"]\nldap = [");
        place.edit("[server.hashing]", &format!("[server.limits]\n{limits}\n\n[server.hashing]"));
        place.edit("name = \"Alice Adams\"", "name = \"Alice Adams\"\npassword_file = \"alice.password\"");
        place.write("alice.password", PASSWORD);
        let attacked = Self::over(place);
        let made = ["token", "create", "alice-api", "--account", "alice", "--intent", "api", "--json"];
        let made = attacked.place.run(&made).exits(0).json();
        (attacked, made["secret"].as_str().unwrap().to_owned())
    }

    fn over(place: Place) -> Self {
        let (server, secrets) = place.serve_first();
        let secret = secret_of(&secrets, "ldapservice-app-password");
        let rightless = secret_of(&secrets, "portal-app-password");
        Self { place, server, secret, rightless }
    }

    fn address(&self) -> SocketAddr {
        self.server.address("ldap")
    }

    /// A connection of octets, bound as who sees everything.
    fn bound(&self) -> TcpStream {
        let mut stream = connect(self.address());
        assert_eq!(bind(&mut stream, NAME, &self.secret), 0);
        stream
    }

    /// How often a limit was reached.
    fn reached(&self, limit: &str) -> u64 {
        let status = self.place.run(&["status", "--json"]).exits(0).json();
        status["limits_reached"][limit].as_u64().unwrap()
    }

    /// The status of a call of the API, and what it answers.
    fn call(&self, secret: &str, method: &str, path: &str, body: &Value) -> (u16, String) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = format!(
            "{method} /api/v3{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {secret}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = connect(self.server.address("http"));
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// Several call the API over and over, as long as it `goes_on`; gives how often each status came.
    fn hammer(
        &self,
        call: impl Fn(u64) -> u16 + Sync,
        mut goes_on: impl FnMut() -> bool,
    ) -> BTreeMap<u16, u64> {
        let (is_over, next) = (AtomicBool::new(false), AtomicU64::new(0));
        std::thread::scope(|scope| {
            let calling = Acting(&is_over);
            let callers: Vec<_> = (0..CALLERS)
                .map(|_| {
                    scope.spawn(|| {
                        let mut statuses = Vec::new();
                        while !is_over.load(Ordering::Relaxed) {
                            statuses.push(call(next.fetch_add(1, Ordering::Relaxed)));
                        }
                        statuses
                    })
                })
                .collect();
            let begun = Instant::now();
            while goes_on() {
                assert!(begun.elapsed() < Duration::from_secs(60));
            }
            drop(calling);
            let mut counts = BTreeMap::new();
            for status in callers.into_iter().flat_map(|caller| caller.join().unwrap()) {
                *counts.entry(status).or_default() += 1;
            }
            counts
        })
    }

    /// Does something while somebody else searches; gives the longest wait of a search.
    fn beside<T>(&self, act: impl FnOnce() -> T) -> (T, Duration) {
        let mut ldap = LdapConn::new(&self.server.url("ldap")).unwrap();
        ldap.simple_bind(NAME, &self.secret).unwrap().success().unwrap();
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let searcher = scope.spawn(|| {
                let mut longest = Duration::ZERO;
                // At least once, however soon the others are done.
                loop {
                    let begun = Instant::now();
                    let found = ldap.search(BASE, Scope::Subtree, "(uid=alice)", vec!["1.1"]).unwrap();
                    assert_eq!(found.success().unwrap().0.len(), 1);
                    longest = longest.max(begun.elapsed());
                    if is_over.load(Ordering::Relaxed) {
                        return longest;
                    }
                }
            });
            let acting = Acting(&is_over);
            let acted = act();
            drop(acting);
            (acted, searcher.join().unwrap())
        })
    }
}

/// While it lives, something is done beside the searches: they end with it, also when that fails.
struct Acting<'a>(&'a AtomicBool);

impl Drop for Acting<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A Notice of Disconnection with this code, then the end.
#[track_caller]
fn is_notice(stream: &mut TcpStream, code: u8) {
    let notice = read_message(stream).expect("a notice");
    assert_eq!(final_code(&notice), (0, 0x78, code));
    assert!(notice.windows(22).any(|octets| octets == b"1.3.6.1.4.1.1466.20036"));
    assert!(read_message(stream).is_none(), "the connection goes on behind the notice");
}

#[test]
fn a_filter_of_sixty_nots_is_evaluated() {
    let attacked = Attacked::start("");
    let mut stream = attacked.bound();
    let present = element(0x87, b"objectClass");
    let nested = |depth: usize| (0..depth).fold(present.clone(), |filter, _| element(0xa2, &filter));
    for (depth, code, entries) in [(60, 0, 1), (61, 0, 0), (100, 0, 1), (101, 11, 0), (1_000, 11, 0)] {
        stream.write_all(&search(2, BASE, 0, &nested(depth))).unwrap();
        assert_eq!(end_of_search(&mut stream), (code, entries), "{depth}");
    }
}

#[test]
fn an_or_of_ten_thousand_terms_is_answered_beside_others() {
    let attacked = Attacked::start("");
    let terms: Vec<u8> = (0..10_000)
        .flat_map(|number| {
            let value = if number == 9_999 { "alice".to_owned() } else { format!("nobody-{number}") };
            element(0xa3, &[element(4, b"uid"), element(4, value.as_bytes())].concat())
        })
        .collect();
    let filter = element(0xa1, &terms);
    let (found, longest) = attacked.beside(|| {
        let mut stream = attacked.bound();
        // Indexed, and, with a term that no index helps, entry by entry.
        stream.write_all(&search(2, BASE, 2, &filter)).unwrap();
        let indexed = end_of_search(&mut stream);
        let room = element(0xa3, &[element(4, b"roomNumber"), element(4, b"7")].concat());
        let unindexed = element(0xa1, &[terms.clone(), room].concat());
        stream.write_all(&search(3, BASE, 2, &unindexed)).unwrap();
        (indexed, end_of_search(&mut stream))
    });
    assert_eq!(found, ((0, 1), (0, 1)));
    eprintln!("the longest search beside it took {longest:?}");
    // Before a bind it is refused by its length.
    let mut stranger = connect(attacked.address());
    stranger.write_all(&search(2, "", 0, &element(0xa1, &terms[..30_000]))).unwrap();
    let (code, entries) = end_of_search(&mut stranger);
    assert!(entries == 0 && [2, 11].contains(&code), "{code}");
}

#[test]
fn a_header_that_announces_four_gibibytes_gets_its_notice() {
    let attacked = Attacked::start("");
    let (_, _) = attacked.beside(|| {
        for mut stream in [connect(attacked.address()), attacked.bound()] {
            stream.write_all(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]).unwrap();
            is_notice(&mut stream, 2);
        }
        for broken in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x30, 0x80], &[0x16, 0x03, 0x01]] {
            let mut stream = connect(attacked.address());
            stream.write_all(broken).unwrap();
            is_notice(&mut stream, 2);
        }
    });
}

#[test]
fn who_does_not_finish_a_handshake_or_stays_silent_is_let_go() {
    let limits = "handshake_time = \"1s\"\nidle_time_before_bind = \"1s\"";
    let attacked = Attacked::start_with(TLS_SERVER, limits);
    attacked.beside(|| {
        // Behind LDAPS and behind StartTLS: nothing, and the beginning of a TLS record.
        for sent in [&[][..], &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01]] {
            let begun = Instant::now();
            let ldaps = connect(attacked.server.address("ldaps"));
            let mut started = connect(attacked.address());
            started.write_all(&message(1, &element(0x77, &element(0x80, START_TLS)))).unwrap();
            assert_eq!(final_code(&read_message(&mut started).unwrap()), (1, 0x78, 0));
            let mut streams = [ldaps, started];
            for stream in &mut streams {
                stream.write_all(sent).unwrap();
            }
            for mut stream in streams {
                let mut rest = Vec::new();
                match stream.read_to_end(&mut rest) {
                    Ok(_) => {}
                    // What was sent and never read makes the end a hard one.
                    Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
                }
                assert!(rest.is_empty(), "there is nothing to say without TLS: {rest:?}");
            }
            assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
        }
        let begun = Instant::now();
        let mut silent = connect(attacked.address());
        is_notice(&mut silent, 52);
        assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
    });
    let status = attacked.place.run(&["status", "--json"]).exits(0).json();
    assert_eq!(status["limits_reached"]["handshake_time"], 4, "{status}");
    assert_eq!(status["limits_reached"]["idle_time_before_bind"], 1, "{status}");
}

#[test]
fn a_request_that_comes_octet_by_octet_has_its_time() {
    let attacked = Attacked::start("message_time = \"2s\"");
    let (elapsed, _) = attacked.beside(|| {
        let mut stream = connect(attacked.address());
        let request = search(2, "", 0, &element(0x87, b"objectClass"));
        let begun = Instant::now();
        let mut writer = stream.try_clone().unwrap();
        let slow = std::thread::spawn(move || {
            for octet in request {
                // The pace is what is tested.
                if writer.write_all(&[octet]).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(500));
            }
        });
        is_notice(&mut stream, 2);
        let elapsed = begun.elapsed();
        drop(stream);
        slow.join().unwrap();
        elapsed
    });
    assert!(elapsed >= Duration::from_secs(2), "{elapsed:?}");
}

#[test]
fn five_thousand_idle_connections_hold_nobody_up() {
    let attacked = Attacked::start("connections_before_bind_max = 5100\nconnections_max = 5200");
    let count = usize::try_from(open_files_max() / 2).unwrap_or(5_000).min(5_000);
    if count < 5_000 {
        eprintln!("only {count} connections: this user may open no more files");
    }
    let idle: Vec<TcpStream> = (0..count).map(|_| connect(attacked.address())).collect();
    let (_, longest) = attacked.beside(|| {
        for _ in 0..20 {
            drop(attacked.bound());
        }
    });
    eprintln!("the longest search beside {count} idle connections took {longest:?}");
    // They are served as ever.
    for mut stream in idle.into_iter().step_by(500) {
        stream.write_all(&search(2, "", 0, &element(0x87, b"objectClass"))).unwrap();
        assert_eq!(end_of_search(&mut stream), (0, 1));
    }
}

#[test]
fn a_thousand_idle_http_connections_hold_nobody_up() {
    let server = SERVER.replace("ldap = [", "http = [\"127.0.0.1:0\"]\nldap = [");
    let limits = "http_connections_max = 1010\nhttp_header_time = \"10m\"\nhttp_connection_time = \"10m\"";
    let attacked = Attacked::start_with(&server, limits);
    let address = attacked.server.address("http");
    let idle: Vec<TcpStream> = (0..1_000).map(|_| connect(address)).collect();
    let (_, longest) = attacked.beside(|| {
        for _ in 0..20 {
            drop(attacked.bound());
        }
    });
    eprintln!("the longest search beside 1,000 idle HTTP connections took {longest:?}");
    // They are served as ever.
    for mut stream in idle.into_iter().step_by(100) {
        stream.write_all(b"GET /-/health/ready/ HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 204");
    }
}

/// Each was once worth some fifty milliseconds of a network thread, or a second, beside every limit. That it is not any
/// more is counted in `ldap::tests::attacks`; here it is answered as it should be, over sockets, beside a search.
#[test]
fn what_is_costly_to_prepare_is_refused_unread() {
    let attacked = Attacked::start("");
    let grows = "\u{fdfa}".repeat(20_000);
    let long_dn = "a=b,".repeat(14_000) + BASE;
    let many: Vec<u8> =
        (0..250).flat_map(|number| equality("attributeTypes", &format!("1.9.{number}"))).collect();
    let (_, longest) = attacked.beside(|| {
        let mut strangers: Vec<TcpStream> = (0..20).map(|_| connect(attacked.address())).collect();
        for _ in 0..5 {
            for stranger in &mut strangers {
                assert_eq!(bind(stranger, &grows, "wrong"), 49);
                assert_eq!(bind(stranger, &long_dn, "wrong"), 49);
                stranger.write_all(&search(2, &long_dn, 0, &element(0x87, b"cn"))).unwrap();
                assert_eq!(end_of_search(stranger), (50, 0));
                stranger.write_all(&search(2, "", 0, &equality("vendorName", &grows))).unwrap();
                assert_eq!(end_of_search(stranger), (0, 0));
                stranger.write_all(&search(2, "cn=subschema", 0, &element(0xa1, &many))).unwrap();
                assert_eq!(end_of_search(stranger), (11, 0));
            }
        }
        // After a bind a message may be large; the name of a bind may not, nor the value of a list view.
        let mut bound = attacked.bound();
        let view = [sort_control(&["cn"]), view_control(grows.repeat(16).as_bytes())];
        bound.write_all(&with_controls(&search(2, BASE, 2, &element(0x87, b"cn")), &view)).unwrap();
        assert_eq!(end_of_search(&mut bound), (76, 0));
        assert_eq!(bind(&mut bound, &"\u{fdfa}".repeat(1_000_000), "wrong"), 49);
    });
    eprintln!("the longest search beside it took {longest:?}");
    assert_eq!(attacked.reached("name_length_max"), 301);
    assert_eq!(attacked.reached("assertion_length_before_bind_max"), 100);
    assert_eq!(attacked.reached("assertion_length_max"), 1);
    assert_eq!(attacked.reached("filter_work_before_bind_max"), 100);
}

/// Each value by each assertion is work, which is bounded for one entry.
#[test]
fn matched_values_are_bounded_by_their_work() {
    let attacked = Attacked::start("filter_work_max = 1000");
    let about: Vec<u8> = (0..1_200).flat_map(|number| equality("cn", &format!("none {number}"))).collect();
    let control = ("1.2.826.0.1.3344810.2.3", element(0x30, &about));
    let request = with_controls(&search_all(2, BASE, 2, &equality("uid", "alice")), &[control]);
    attacked.beside(|| {
        let mut stream = attacked.bound();
        for _ in 0..20 {
            stream.write_all(&request).unwrap();
            assert_eq!(end_of_search(&mut stream), (11, 0));
        }
    });
    assert_eq!(attacked.reached("filter_work_max"), 20);
}

/// A selector is no secret: whoever knows one has secrets hashed, but in a class of their own after a few.
#[test]
fn forged_secrets_of_a_known_selector_are_paced() {
    let attacked = Attacked::start("");
    attacked.beside(|| {
        let mut forger = connect(attacked.address());
        for number in 0..20 {
            assert_eq!(bind(&mut forger, NAME, &forged(&attacked.secret, number)), 49, "{number}");
        }
    });
    assert_eq!(attacked.reached("throttle_failures_by_token_max"), 14);
    drop(attacked.bound());
}

/// What a connection holds for searches that are outstanding is counted, whatever the account may see.
#[test]
fn many_large_filters_at_a_time_are_bounded_in_memory() {
    let attacked = Attacked::start("connection_memory_max = \"16 MiB\"");
    let terms: Vec<u8> =
        (0..10_000).flat_map(|number| equality("description", &format!("{number:030}"))).collect();
    let request = search(2, BASE, 2, &element(0xa1, &terms));
    let codes = attacked.beside(|| {
        let mut stream = connect(attacked.address());
        assert_eq!(bind(&mut stream, &NAME.replace("ldapservice", "portal"), &attacked.rightless), 0);
        let mut writer = stream.try_clone().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || (0..256).for_each(|_| writer.write_all(&request).unwrap()));
            (0..256).map(|_| end_of_search(&mut stream).0).collect::<Vec<u8>>()
        })
    });
    let busy = codes.0.iter().filter(|code| **code == 51).count();
    assert!(busy > 0 && codes.0.iter().all(|code| [0, 51].contains(code)), "{codes:?}");
    assert_eq!(attacked.reached("connection_memory_max"), busy as u64);
}

/// Messages that do not come to their end share one budget, and others have what they need.
#[test]
fn unfinished_messages_are_bounded_in_memory() {
    let attacked = Attacked::start("connection_memory_max = \"16 MiB\"\nmessage_time = \"2s\"");
    let mut message = simple_bind(1, &"x".repeat(4 * 1024 * 1024 - 64), "");
    message.pop();
    attacked.beside(|| {
        let mut held: Vec<TcpStream> = (0..20).map(|_| attacked.bound()).collect();
        std::thread::scope(|scope| {
            for stream in &mut held {
                // There is no room for most of them, which are not taken to their end.
                scope.spawn(|| stream.write_all(&message).is_ok());
            }
            drop(attacked.bound());
        });
        for mut stream in held {
            let mut rest = Vec::new();
            // It is told, or, as not all was read that it has sent, reset.
            let _ = stream.read_to_end(&mut rest);
        }
    });
    assert!((12..=20).contains(&attacked.reached("connection_memory_max")));
}

/// Who asks for more than it reads is not worked for until it reads.
#[test]
fn what_is_not_read_is_not_made() {
    let attacked = Attacked::start("output_buffer_max = \"16 KiB\"");
    let mut stream = attacked.bound();
    let request = search_all(2, BASE, 2, &element(0x87, b"objectClass"));
    let count = 2_000;
    let mut writer = stream.try_clone().unwrap();
    attacked.beside(|| {
        std::thread::scope(|scope| {
            scope.spawn(move || (0..count).for_each(|_| writer.write_all(&request).unwrap()));
            let begun = Instant::now();
            while attacked.reached("output_buffer_max") == 0 {
                assert!(begun.elapsed() < Duration::from_secs(60));
            }
            for _ in 0..count {
                let (code, entries) = end_of_search(&mut stream);
                assert!(code == 0 && entries > 5, "{code}, {entries} entries");
            }
        });
    });
}

/// Connections that do not read what is sorted for them leave others their share.
#[test]
fn sorts_that_are_not_read_leave_room_for_others() {
    let attacked = Attacked::start("sort_memory_max = \"1 MiB\"");
    let mut ldif = String::new();
    for number in 0..1_500 {
        ldif += &format!(
            "dn: cn=p{number},ou=users,{BASE}\nobjectClass: inetOrgPerson\ncn: p{number}\nuid: p{number}\n\
             sn: {}{number}\n\n",
            "of a long name ".repeat(10)
        );
    }
    attacked.place.write("people.ldif", &ldif);
    attacked.place.run(&["import", attacked.place.path("people.ldif").to_str().unwrap()]).exits(0);
    let sorted = |filter: &[u8]| with_controls(&search_all(2, BASE, 2, filter), &[sort_control(&["sn"])]);
    let everybody = element(0x87, b"sn");
    let mut held: Vec<TcpStream> = (0..10).map(|_| attacked.bound()).collect();
    for stream in &mut held {
        stream.write_all(&sorted(&everybody).repeat(20)).unwrap();
    }
    let begun = Instant::now();
    while attacked.reached("sort_memory_max") == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
    // Of another account.
    let mut other = connect(attacked.address());
    assert_eq!(bind(&mut other, &NAME.replace("ldapservice", "portal"), &attacked.rightless), 0);
    other.write_all(&sorted(&element(0x87, b"objectClass"))).unwrap();
    assert_eq!(end_of_search(&mut other).0, 0);
}

/// Callers of the API do not fill memory with changes that wait for the writer, and an operator is not held up by them.
#[test]
fn changes_that_wait_are_bounded_and_the_operator_s_own_are_made() {
    let limits = "commands_waiting_max = 1\nhttp_requests_by_token_max = 100000000\nhttp_requests_by_source_max = 100000000";
    let (attacked, secret) = Attacked::start_with_api(limits);
    let make = |number: u64| {
        attacked.call(&secret, "POST", "/core/groups/", &json!({ "name": format!("group {number}") })).0
    };
    let (counts, _) = attacked.beside(|| {
        let mut made = 0;
        attacked.hammer(make, || {
            made += 1;
            let name = format!("own-{made}");
            attacked.place.run(&["group", "create", &name]).exits(0);
            attacked.reached("commands_waiting_max") == 0
        })
    });
    assert!(counts.keys().all(|status| [201, 429].contains(status)), "{counts:?}");
    assert_eq!(attacked.reached("commands_waiting_max"), counts[&429]);
    // Nothing waits any more.
    assert_eq!(make(u64::MAX), 201);
}

/// Whoever may read lists and the audit trail takes no more threads and no more of the writer's time than there is for it.
#[test]
fn readers_wait_for_their_turn() {
    let limits = "http_readings_max = 1\ntrail_walks_max = 1\nhttp_requests_by_token_max = 100000000\n\
                  http_requests_by_source_max = 100000000";
    let (attacked, secret) = Attacked::start_with_api(limits);
    let read = |number: u64| {
        let path = if number.is_multiple_of(2) { "/core/users/" } else { "/events/events/" };
        attacked.call(&secret, "GET", path, &Value::Null).0
    };
    let (counts, _) = attacked.beside(|| {
        attacked.hammer(read, || {
            ["http_readings_max", "trail_walks_max"].iter().any(|limit| attacked.reached(limit) == 0)
        })
    });
    assert!(counts.keys().eq(&[200]), "{counts:?}");
}

/// Who is bound has no right but its own, and each new secret leaves events.
#[test]
fn own_secrets_are_exchanged_so_often_only() {
    let (attacked, _) = Attacked::start_with_api("own_secrets_by_account_max = 3");
    let alice = NAME.replace("ldapservice", "alice");
    let codes = attacked.beside(|| {
        let mut stream = connect(attacked.address());
        assert_eq!(bind(&mut stream, &alice, PASSWORD), 0);
        let mut change = |number: usize| {
            stream.write_all(&password_modify(&format!("{PASSWORD} {number}"))).unwrap();
            final_code(&read_message(&mut stream).unwrap()).2
        };
        (0..8).map(&mut change).collect::<Vec<u8>>()
    });
    assert_eq!(codes.0, [0, 0, 0, 19, 19, 19, 19, 19]);
    assert_eq!(attacked.reached("own_secrets_by_account_max"), 5);
    assert_eq!(bind(&mut connect(attacked.address()), &alice, &format!("{PASSWORD} 2")), 0);
}

/// Failed logins are folded by their source before they are written, custom events have their rate, and each has a trail of
/// its own.
#[test]
fn strangers_and_custom_events_wash_no_trail_out() {
    let limits =
        "logins_told_time = \"1h\"\nfailures_told_by_source_max = 4\ncustom_events_by_account_max = 2";
    let (attacked, secret) = Attacked::start_with_api(limits);
    let events = |trail: &str| {
        let list = ["event", "list", "--trail", trail, "--limit", "1000", "--json"];
        attacked.place.run(&list).exits(0).json()
    };
    let changes = events("changes");
    attacked.beside(|| {
        let mut stranger = connect(attacked.address());
        for number in 0..200 {
            assert_eq!(bind(&mut stranger, &NAME.replace("ldapservice", &format!("x{number}")), "x"), 49);
        }
        let event = json!({ "action": "custom_", "app": "noise", "context": { "message": "x" } });
        // One more comes every half minute.
        let calls = (0..100).map(|_| attacked.call(&secret, "POST", "/events/events/", &event));
        let taken = calls.take_while(|(status, said)| {
            assert!([201, 429].contains(status), "{status} {said}");
            *status == 201
        });
        assert!((2..50).contains(&taken.count()));
    });
    assert_eq!(attacked.reached("custom_events_by_account_max"), 1);
    assert!(attacked.reached("failures_told_by_source_max") > 0);
    assert_eq!(events("changes"), changes);
    let Attacked { place, server, .. } = attacked;
    // What is not told yet is, at the end.
    server.stop();
    let list = ["event", "list", "--trail", "failures", "--limit", "1000", "--json"];
    let failures = place.run(&list).exits(0).json();
    let failures = failures["results"].as_array().or(failures.as_array()).unwrap().clone();
    let count: u64 = failures.iter().map(|event| event["count"].as_u64().unwrap_or(1)).sum();
    assert!(failures.len() <= 5 && count == 200, "{count} in {failures:#?}");
    place.run(&["event", "verify"]).exits(0);
}

/// Silent connections make room, but not more at a time than may be on their way out: each keeps its file until it has gone.
#[test]
fn not_too_many_are_on_their_way_out() {
    let server =
        SERVER.replace("ldap = [", "proxy_networks = [\"127.0.0.1/32\"]\nplain_bind = \"always\"\nldap = [");
    let limits = "connections_before_bind_max = 4\nconnections_leaving_max = 1";
    let attacked = Attacked::start_with(&server, limits);
    let come = |number: usize| {
        let mut stream = connect(attacked.address());
        let header = format!("PROXY TCP4 192.0.2.{} 127.0.0.1 40000 389\r\n", number % 250);
        let root_dse = search(2, "", 0, &element(0x87, b"objectClass"));
        // One that is refused may be gone by now.
        let _ = stream.write_all(&[header.as_bytes(), &root_dse].concat());
        stream
    };
    let is_served =
        |mut stream: TcpStream| read_message(&mut stream).is_some_and(|answer| final_code(&answer).1 == 0x64);
    let begun = Instant::now();
    while attacked.reached("connections_leaving_max") == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60));
        let silent: Vec<TcpStream> = (0..4).map(come).collect();
        for stream in &silent {
            read_message(&mut &*stream);
        }
        // They come while the server looks at none of them: all of them want room at once, and none has gone by then.
        attacked.server.signal(Signal::STOP);
        let others: Vec<TcpStream> = (4..64).map(come).collect();
        attacked.server.signal(Signal::CONT);
        for mut stream in others {
            read_message(&mut stream);
        }
    }
    // When they have gone there is room.
    let begun = Instant::now();
    while !is_served(come(0)) {
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
}

const PASSWORD: &str = "the password of alice";
/// Who call the API at a time.
const CALLERS: usize = 12;

/// How many files a process of this user may have open.
fn open_files_max() -> u64 {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap_or(u64::MAX)
}
