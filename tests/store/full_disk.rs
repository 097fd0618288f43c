//! A disk that fills up under load, and while a killed server starts on it: nothing that was acknowledged is lost, and nothing that
//! was revoked comes back.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::durability::ask;
use crate::small_disk::SmallDisk;
use crate::support::rounds::rounds;
use crate::support::{Place, SEED, send};

/// What clients were told, by the names of tokens.
#[derive(Default)]
struct Told {
    made: BTreeSet<String>,
    revoked: BTreeSet<String>,
    /// Nobody was told: refused, or cut off.
    unknown: BTreeSet<String>,
}

impl Told {
    /// Makes tokens and revokes every second one, until it is over; counts those that were made.
    fn by_client(place: &Place, client: &str, made: &AtomicU64, is_over: &AtomicBool) -> Self {
        let mut told = Self::default();
        for number in 0.. {
            if is_over.load(Ordering::Relaxed) {
                break;
            }
            let name = format!("{client}-{number}");
            if !ask(place, &["token", "create", &name, "--account", "portal", "--no-expiry"]) {
                told.unknown.insert(name);
                continue;
            }
            made.fetch_add(1, Ordering::Relaxed);
            if number % 2 == 0 {
                told.made.insert(name);
            } else if ask(place, &["token", "revoke", &name]) {
                told.revoked.insert(name);
            } else {
                told.unknown.insert(name);
            }
        }
        told
    }

    fn and(mut self, other: Self) -> Self {
        self.made.extend(other.made);
        self.revoked.extend(other.revoked);
        self.unknown.extend(other.unknown);
        self
    }

    /// Holds what is listed now against it.
    fn is_kept(&self, place: &Place, context: &str) {
        let listed = place.run(&["--json", "token", "list", "--account", "portal"]).exits(0).json();
        let found: BTreeSet<String> = listed
            .as_array()
            .unwrap()
            .iter()
            .map(|token| token["identifier"].as_str().unwrap().to_owned())
            .filter(|name| name.starts_with("client"))
            .collect();
        let lost: Vec<_> = self.made.difference(&found).collect();
        assert!(lost.is_empty(), "{context}: acknowledged, and not there: {lost:?}");
        let back: Vec<_> = self.revoked.intersection(&found).collect();
        assert!(back.is_empty(), "{context}: revoked, and there: {back:?}");
        let known: BTreeSet<_> = self.made.union(&self.unknown).cloned().collect();
        assert!(found.is_subset(&known), "{context}: nobody made {:?}", found.difference(&known));
    }
}

/// Takes the space of a disk, on which others write too, but for about so much.
fn fill(disk: &Path, name: &str, leave: u64) {
    let mut file = File::create(disk.join(name)).unwrap();
    loop {
        let room = rustix::fs::statvfs(disk).unwrap();
        let free = (room.f_bavail * room.f_frsize).saturating_sub(leave);
        let octets = usize::try_from(free.min(256 * 1024)).unwrap();
        if octets == 0 || file.write_all(&vec![1; octets]).is_err() {
            return;
        }
    }
}

#[test]
fn a_disk_that_fills_up_under_load_loses_nothing() {
    let place = Place::new(SEED);
    let disk = place.path("data");
    let Some(_disk) = SmallDisk::mount(&disk) else {
        crate::support::rounds::skip("no right to mount a small file system");
        return;
    };
    place.serve_first().0.stop();
    let (mut told, mut refused_starts) = (Told::default(), 0);
    let rounds = u64::from(rounds(3));
    for round in 0..rounds {
        let server = place.serve(&[]);
        // From nothing to so much that a start still opens the database.
        let leave = 9 * 1024 * 1024 * round / (rounds - 1);
        let (made, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
        let this = std::thread::scope(|scope| {
            let clients = ["a", "b"].map(|client| {
                let (place, made, is_over) = (&place, &made, &is_over);
                let name = format!("client-{round}{client}");
                scope.spawn(move || Told::by_client(place, &name, made, is_over))
            });
            // Some were made while there was space.
            let begun = Instant::now();
            while made.load(Ordering::Relaxed) < 3 {
                // The clients are waited for, whatever comes.
                is_over.store(begun.elapsed() > Duration::from_secs(60), Ordering::Relaxed);
                assert!(!is_over.load(Ordering::Relaxed), "no token is made");
                std::thread::sleep(Duration::from_millis(5 + round * 37 % 50));
            }
            fill(&disk, "ballast", leave);
            std::thread::sleep(Duration::from_millis(200 + round * 53 % 300));
            server.signal(Signal::KILL);
            is_over.store(true, Ordering::Relaxed);
            clients.map(|client| client.join().unwrap()).into_iter().fold(Told::default(), Told::and)
        });
        told = told.and(this);
        drop(server);
        let context = format!("round {round}, {leave} octets free");

        // On the full disk; what is left of it goes while the start is at work.
        let mut starting = place
            .command(&["serve"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(place.path("start.log")).unwrap())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(round * 29 % 150));
        fill(&disk, "more-ballast", 0);
        let mut line = String::new();
        BufReader::new(starting.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line.starts_with("listening ") {
            told.is_kept(&place, &context);
            send(starting.id(), if round % 2 == 0 { Signal::KILL } else { Signal::TERM });
            starting.wait().unwrap();
        } else {
            // What may lack a change is not served.
            let status = starting.wait().unwrap();
            let log = place.read("start.log");
            assert_eq!(status.code(), Some(1), "{context}: {log}");
            assert!(log.contains("is full") || log.contains("No space left"), "{context}: {log}");
            refused_starts += 1;
        }
        for name in ["ballast", "more-ballast"] {
            std::fs::remove_file(disk.join(name)).unwrap();
        }

        let server = place.serve(&[]);
        told.is_kept(&place, &context);
        place.run(&["event", "verify"]).exits(0);
        let after = format!("client-{round}-after");
        place.run(&["token", "create", &after, "--account", "portal", "--no-expiry"]).exits(0);
        told.made.insert(after);
        server.stop();
    }
    eprintln!(
        "{} made, {} revoked, {} unknown; {refused_starts} of {rounds} starts on a full disk were refused",
        told.made.len(),
        told.revoked.len(),
        told.unknown.len()
    );
}
