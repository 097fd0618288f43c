//! A store that stopped by a failed write, and a token key that is lost.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

use crate::faults::state_of;
use crate::support::{Place, SEED, Server};

/// A journal that is written as long as nothing else is said, and then by nobody: a file in memory, which can be sealed.
struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Puts it in the place of the newest one of a store that nobody holds.
    fn put(place: &Place) -> Self {
        let path = place.path("data/journal");
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with("batches."));
        files.sort();
        let path = files.pop().unwrap();
        let mut file = File::from(memfd_create("journal", MemfdFlags::ALLOW_SEALING).unwrap());
        file.write_all(&std::fs::read(&path).unwrap()).unwrap();
        std::fs::remove_file(&path).unwrap();
        let target = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
        std::os::unix::fs::symlink(target, &path).unwrap();
        Self { file, path }
    }

    /// From now on every write fails, and not for lack of space.
    fn break_it(&self) {
        fcntl_add_seals(&self.file, SealFlags::GROW | SealFlags::WRITE).unwrap();
    }

    /// A disk that works again, with what was on the other one.
    fn mend(self) {
        let octets = std::fs::read(&self.path).unwrap();
        std::fs::remove_file(&self.path).unwrap();
        std::fs::write(&self.path, octets).unwrap();
    }
}

/// A server with the HTTP door, whose store has one token and stops with the next change.
fn start(on_store_failure: &str) -> (Place, Journal, Server) {
    let place = Place::new(SEED);
    place.edit(
        "data_dir = \"data\"",
        &format!("data_dir = \"data\"\nhttp = [\"127.0.0.1:0\"]\n{on_store_failure}"),
    );
    place.run(&["apply", "--json"]).exits(0);
    let journal = Journal::put(&place);
    let server = place.serve(&[]);
    place.run(&["token", "create", "before", "--account", "portal"]).exits(0);
    journal.break_it();
    (place, journal, server)
}

/// What readiness says: the status, and the whole answer.
fn ready(server: &Server) -> (u16, String) {
    let mut stream = TcpStream::connect(server.address("http")).unwrap();
    stream.write_all(b"GET /-/health/ready/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

fn has(place: &Place, token: &str) -> bool {
    let listed = place.run(&["token", "list", "--json"]).exits(0).json();
    listed.as_array().unwrap().iter().any(|listed| listed["identifier"] == token)
}

#[test]
fn a_server_whose_store_stopped_goes_down() {
    let (place, journal, mut server) = start("");
    place.run(&["token", "create", "lost", "--account", "portal"]).exits(4).says(&["check the disk"]);
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("a write to the store failed"), "{log}");
    // What was acknowledged is there for who reads, though nobody can write.
    assert!(has(&place, "before") && !has(&place, "lost"));
    place.run(&["event", "verify"]).exits(0);
    journal.mend();
    let server = place.serve(&[]);
    place.run(&["token", "create", "after", "--account", "portal"]).exits(0);
    assert!(has(&place, "before") && has(&place, "after") && !has(&place, "lost"));
    server.stop();
}

#[test]
fn a_server_whose_store_stopped_stays_where_it_is_told_to() {
    let (place, journal, server) = start("on_store_failure = \"serve\"");
    assert_eq!(ready(&server).0, 204);
    for _ in 0..2 {
        place.run(&["token", "create", "lost", "--account", "portal"]).exits(4).says(&["check the disk"]);
    }
    server.await_log("on_store_failure");
    let (status, body) = ready(&server);
    assert_eq!(status, 503);
    assert!(body.contains("because a write failed") && body.contains("batches."), "{body}");
    let status = place.run(&["status"]).exits(0);
    assert!(status.stdout.contains("because a write failed"), "{}", status.stdout);
    // All that only reads works, through the server.
    assert!(has(&place, "before") && !has(&place, "lost"));
    for command in [&["event", "verify"][..], &["event", "list"], &["check"], &["export", "--format", "json"]]
    {
        let done = place.run(command).exits(0);
        assert!(!done.stderr.contains("held by"), "{}", done.stderr);
    }
    let events = place.run(&["event", "list", "--object", "before", "--json"]).exits(0).json();
    assert!(!events.as_array().unwrap().is_empty());
    server.stop();
    journal.mend();
    assert!(has(&place, "before") && !has(&place, "lost"));
    place.run(&["token", "create", "after", "--account", "portal"]).exits(0);
}

const CHOSEN: &str = "\n[[token]]\nidentifier = \"chosen\"\naccount = \"portal\"\nintent = \"api\"\n\
                      secret_env = \"CHOSEN\"\nexpiring = false\n";

const OWN_SECRET: &str = "a-secret-of-ones-own-that-is-long-enough-for-an-api-token";

/// A store with a token that needs the key, and one that does not.
fn with_chosen() -> Place {
    let place = Place::new(&format!("{SEED}{CHOSEN}"));
    let applied = place.command(&["apply", "--json"]).env("CHOSEN", OWN_SECRET).output().unwrap();
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
    place.run(&["token", "create", "other", "--account", "portal"]).exits(0);
    place
}

#[test]
fn a_lost_token_key_ends_exactly_what_needs_it_and_only_when_told_to() {
    let place = with_chosen();
    let key = place.path("data/token.key");
    let right = std::fs::read(&key).unwrap();
    let refused = |what: &str| {
        for command in [&["serve"][..], &["account", "deactivate", "bob"]] {
            let before = state_of(&place.path("data"), &[]);
            place.run(command).exits(4).says(&["token.key", what, "chosen", "--new-token-key"]);
            assert!(state_of(&place.path("data"), &[]) == before, "{command:?}");
        }
        // With the environment that the config names there is nothing else to tell.
        let checked = place.command(&["check"]).env("CHOSEN", OWN_SECRET).output().unwrap();
        let told = String::from_utf8_lossy(&checked.stderr);
        assert_eq!(checked.status.code(), Some(4), "{told}");
        for piece in ["token.key", what, ": chosen;", "--new-token-key"] {
            assert!(told.contains(piece), "{piece:?} is not in {told}");
        }
        // Who only reads does not need it, and nothing was changed.
        assert!(has(&place, "chosen") && has(&place, "other"));
    };
    std::fs::remove_file(&key).unwrap();
    refused("is missing");
    assert!(!key.exists());
    std::fs::write(&key, right.iter().rev().copied().collect::<Vec<u8>>()).unwrap();
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    refused("is not the one");
    // The right one in its place again.
    std::fs::write(&key, &right).unwrap();
    place.run(&["account", "deactivate", "bob"]).exits(0);
    // With the right one nothing ends, whatever is said.
    place.run(&["account", "activate", "bob", "--new-token-key"]).exits(0);
    assert!(has(&place, "chosen") && std::fs::read(&key).unwrap() == right);

    std::fs::remove_file(&key).unwrap();
    let server = place.serve(&["--new-token-key"]);
    assert!(!has(&place, "chosen") && has(&place, "other"));
    server.await_log("chosen");
    let lost = with_chosen();
    let running = lost.serve(&[]);
    std::fs::remove_file(lost.path("data/token.key")).unwrap();
    let checked = lost.command(&["check"]).env("CHOSEN", OWN_SECRET).output().unwrap();
    assert_eq!(checked.status.code(), Some(4), "a server that runs would be refused the next time");
    drop(running);
    let events = place.run(&[
        "event",
        "list",
        "--kind",
        "token",
        "--object",
        "chosen",
        "--action",
        "model_deleted",
        "--json",
    ]);
    assert_eq!(events.exits(0).json().as_array().unwrap().len(), 1);
    server.stop();
    assert_ne!(std::fs::read(&key).unwrap(), right);
    place.serve(&[]).stop();
}

#[test]
fn a_lost_token_key_that_nobody_needs_is_made_anew() {
    let place = Place::new(SEED);
    place.run(&["apply", "--json"]).exits(0);
    let key = place.path("data/token.key");
    let before = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let server = place.serve(&[]);
    server.await_log("was made; no token needed one before");
    server.stop();
    assert_ne!(std::fs::read(&key).unwrap(), before);
    std::fs::write(&key, &before).unwrap();
    let server = place.serve(&[]);
    server.await_log("is another one; no token needed the one before");
    server.stop();
    let (_, log) = place.serve(&[]).stop();
    assert!(!log.contains("token.key"), "{log}");
}
