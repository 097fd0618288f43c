//! Under pressure the server goes on: many wrong secrets at once, and a disk that is full.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::small_disk::{self, SmallDisk};
use crate::support::{BASE, Place, SEED, Server, secret_of, send};
use ldap3::{LdapConn, Scope};
use rustix::process::Signal;

/// A server whose hashes cost what they cost in earnest, with room for few at a time.
fn start() -> (Place, Server, String) {
    let place = Place::new(SEED);
    place.edit("memory = \"64 KiB\"\ntime_cost = 1\nthreads = 1", "memory_budget = \"128 MiB\"\nthreads = 2");
    let (server, secrets) = place.serve_first();
    let secret = secret_of(&secrets, "ldapservice-app-password");
    (place, server, secret)
}

fn connect(server: &Server, secret: &str) -> LdapConn {
    let mut ldap = LdapConn::new(&server.url("ldap")).unwrap();
    ldap.simple_bind(&format!("cn=ldapservice,ou=users,{BASE}"), secret).unwrap().success().unwrap();
    ldap
}

#[track_caller]
fn finds_alice(ldap: &mut LdapConn) {
    let (found, _) =
        ldap.search(BASE, Scope::Subtree, "(uid=alice)", vec!["1.1"]).unwrap().success().unwrap();
    assert_eq!(found.len(), 1);
}

#[test]
fn a_thousand_wrong_secrets_at_once_hold_nobody_up() {
    let (_place, server, secret) = start();
    let mut ldap = connect(&server, &secret);
    let before = memory_kib(server.process());
    let is_over = AtomicBool::new(false);
    let (wrong, busy) = (AtomicU64::new(0), AtomicU64::new(0));
    let mut searches = 0;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..20)
            .map(|thread| {
                let (address, wrong, busy) = (server.address("ldap"), &wrong, &busy);
                scope.spawn(move || {
                    let mut streams: Vec<TcpStream> =
                        (0..50).map(|number| send_wrong_bind(address, thread * 50 + number)).collect();
                    for stream in &mut streams {
                        match bind_code(stream) {
                            49 => wrong.fetch_add(1, Ordering::Relaxed),
                            51 => busy.fetch_add(1, Ordering::Relaxed),
                            code => panic!("the bind was answered with {code}"),
                        };
                    }
                })
            })
            .collect();
        let searcher = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                finds_alice(&mut ldap);
                searches += 1;
            }
        });
        for thread in threads {
            thread.join().unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
        searcher.join().unwrap();
    });
    let (wrong, busy) = (wrong.into_inner(), busy.into_inner());
    assert_eq!(wrong + busy, 1000);
    assert!(wrong > 0 && busy > 0, "{wrong} wrong, {busy} busy: the queue is bounded, and works");
    assert!(searches > 0);
    // A thousand hashes at once would take 19 GiB; the budget is 128 MiB, and a thousand connections take some.
    let grown = memory_kib(server.process()).saturating_sub(before);
    assert!(grown < (128 + 96) * 1024, "the server has grown by {grown} KiB");
    // The owner's secret has a selector: nobody shuts it out.
    finds_alice(&mut connect(&server, &secret));
}

#[test]
fn on_a_full_disk_changes_are_refused_and_searches_go_on() {
    let place = Place::new(SEED);
    let Some(mount) = SmallDisk::mount(&place.path("data")) else {
        crate::support::rounds::skip(
            "this user cannot mount a small file system, so the disk cannot be filled",
        );
        return;
    };
    let (server, secrets) = place.serve_first();
    let secret = secret_of(&secrets, "ldapservice-app-password");
    let mut ldap = connect(&server, &secret);
    let create =
        |identifier: &str| place.run(&["token", "create", identifier, "--account", "portal", "--json"]);
    create("before").exits(0);

    let ballast = mount.path().join("ballast");
    fill(&ballast);
    create("while-full").exits(1).says(&["full"]);
    finds_alice(&mut ldap);
    finds_alice(&mut connect(&server, &secret));

    std::fs::remove_file(&ballast).unwrap();
    create("after").exits(0);
    // What was refused is not there, also after a restart.
    drop(ldap);
    server.stop();
    let listed = place.run(&["--json", "token", "list", "--account", "portal"]).exits(0).json();
    let names: Vec<_> =
        listed.as_array().unwrap().iter().map(|token| token["identifier"].as_str().unwrap()).collect();
    assert!(
        names.contains(&"before") && names.contains(&"after") && !names.contains(&"while-full"),
        "{names:?}"
    );
}

/// The file of an import takes nothing of what the store needs.
#[test]
fn an_import_that_fills_the_disk_ends_before_the_store_has_to() {
    let place = Place::new(SEED);
    let Some(_mount) = SmallDisk::mount(&place.path("data")) else {
        crate::support::rounds::skip(
            "this user cannot mount a small file system, so the disk cannot be filled",
        );
        return;
    };
    let (server, _) = place.serve_first();
    let comment = format!("# {}\n", "x".repeat(1 << 20)).repeat(64);
    place.run_with_input(&["import", "-"], &comment).exits(1).says(&["too full", "nothing was changed"]);
    place.run(&["account", "deactivate", "bob"]).exits(0);
    server.stop();
}

/// However small they are, the server's own backups do not take what the next start and the next changes need.
#[test]
fn backups_of_the_server_leave_the_store_its_reserve() {
    let place = Place::new(SEED);
    place.edit("[server.hashing]", "[server.backup]\nevery = \"1s\"\n\n[server.hashing]");
    let Some(mount) = SmallDisk::mount(&place.path("data")) else {
        crate::support::rounds::skip(
            "this user cannot mount a small file system, so the disk cannot be filled",
        );
        return;
    };
    let (server, _) = place.serve_first();
    let newest = || place.run(&["status", "--json"]).exits(0).json()["backup"]["newest"].clone();
    // Enough for a change, which leaves 8 MiB.
    small_disk::fill(mount.path(), 12 * 1024 * 1024);
    place.run(&["account", "deactivate", "bob"]).exits(0);
    server.await_log("backups that were due were not made");
    assert!(place.run(&["status"]).exits(0).stdout.contains("are needed"));
    let before = newest();
    place.run(&["account", "activate", "bob"]).exits(0);
    std::fs::remove_file(mount.path().join("ballast")).unwrap();
    let start = Instant::now();
    while newest() == before {
        assert!(start.elapsed() < Duration::from_secs(60), "{}", server.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    server.stop();
}

/// Sends a bind with a secret that costs a hash.
fn send_wrong_bind(address: SocketAddr, number: usize) -> TcpStream {
    // Each for another name: one that is guessed at is paused, and then told that its secret is wrong whatever happens.
    let name = format!("cn=nobody-{number},ou=users,{BASE}");
    let secret = format!("wrong-{number}");
    let element = |tag: u8, contents: &[u8]| {
        let length = u8::try_from(contents.len()).unwrap();
        assert!(length < 0x80);
        [&[tag, length], contents].concat()
    };
    let bind = [vec![2, 1, 3], element(4, name.as_bytes()), element(0x80, secret.as_bytes())].concat();
    let message = element(0x30, &[vec![2, 1, 1], element(0x60, &bind)].concat());
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(&message).unwrap();
    stream
}

/// The result code of a BindResponse.
fn bind_code(stream: &mut TcpStream) -> u8 {
    let mut answer = [0; 256];
    let mut length = 0;
    loop {
        let read = stream.read(&mut answer[length..]).unwrap();
        assert!(read > 0, "the connection was closed");
        length += read;
        // The first ENUMERATED of one octet is the result code.
        if let Some(at) = answer[..length].windows(2).position(|octets| octets == [0x0a, 1])
            && at + 2 < length
        {
            return answer[at + 2];
        }
    }
}

fn memory_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}

fn fill(path: &Path) {
    let mut file = std::fs::File::create(path).unwrap();
    let block = vec![0u8; 64 * 1024];
    while file.write_all(&block).is_ok() {}
}

#[test]
fn failed_binds_that_cost_nothing_do_not_fill_the_log() {
    let place = Place::new(SEED);
    let server = place.serve(&["--secrets-file", place.path("s.json").to_str().unwrap()]);
    let mut ldap = LdapConn::new(&server.url("ldap")).unwrap();
    let name = format!("cn=alice,ou=users,{BASE}");
    for _ in 0..500 {
        // Ours by its prefix, but made up: refused without a hash, and never throttled.
        assert_eq!(ldap.simple_bind(&name, "bindery_app_made_up").unwrap().rc, 49);
    }
    server.await_log("login_failed");
    let (_, log) = server.stop();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("login_failed")).collect();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(!lines[0].contains(" count="), "{}", lines[0]);
    // The line of the event, which counts them all.
    assert!(lines[1].contains(" count=500") && lines[1].contains("sequence="), "{}", lines[1]);
}

#[test]
fn a_log_that_nobody_reads_holds_nobody_up() {
    let place = Place::new(SEED);
    place.edit("[server.hashing]", "[server.log]\nlevel = \"debug\"\n\n[server.hashing]");
    let mut server = place
        .command(&["serve", "--secrets-file", place.path("s.json").to_str().unwrap()])
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut listening = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(server.stdout.take().unwrap()), &mut listening)
        .unwrap();
    let address: SocketAddr =
        listening.trim_end().strip_prefix("listening ldap://").unwrap().parse().unwrap();
    // Each connection is a line; the pipe that nobody reads holds 64 KiB.
    let mut answered = 0;
    for number in 0..2_000 {
        let mut stream = send_wrong_bind(address, number);
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        assert!(matches!(bind_code(&mut stream), 49 | 51));
        answered += 1;
    }
    assert_eq!(answered, 2_000);
    send(server.id(), Signal::TERM);
    assert_eq!(server.wait().unwrap().code(), Some(0));
}
