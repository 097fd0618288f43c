//! What is acknowledged survives `kill -9`, whole; nothing is torn.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal, prlimit};

use crate::support::rounds::rounds;
use crate::support::{Place, SEED, pid, send};

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let place = Place::new(SEED);
    let secrets = place.path("secrets.json");
    place.serve(&["--secrets-file", secrets.to_str().unwrap()]).stop();
    let mut acknowledged: BTreeSet<String> = BTreeSet::new();
    // What was asked for when the server died may be there or not; nobody was told.
    let mut unknown: BTreeSet<String> = BTreeSet::new();
    let mut number = 0;
    let rounds = rounds(5);
    for round in 0..rounds {
        let server = place.serve(&[]);
        let delay = Duration::from_millis(50 + (u64::from(round) * 37) % 250);
        let process = server.process();
        // On a machine that is busy too, one command is through before the server is killed.
        number += 1;
        let identifier = format!("token-{number}");
        assert!(ask(&place, &["token", "create", &identifier, "--account", "portal", "--no-expiry"]));
        acknowledged.insert(identifier);
        let killer = std::thread::spawn(move || {
            std::thread::sleep(delay);
            send(process, Signal::KILL);
        });
        // Makes tokens and revokes every third, until the server is gone.
        loop {
            number += 1;
            let identifier = format!("token-{number}");
            let made = ask(&place, &["token", "create", &identifier, "--account", "portal", "--no-expiry"]);
            if !made {
                unknown.insert(identifier);
                break;
            }
            acknowledged.insert(identifier.clone());
            if number % 3 == 0 {
                acknowledged.remove(&identifier);
                if !ask(&place, &["token", "revoke", &identifier]) {
                    unknown.insert(identifier);
                    break;
                }
            }
        }
        killer.join().unwrap();
        drop(server);
        let listed = place.run(&["--json", "token", "list", "--account", "portal"]).exits(0).json();
        let found: BTreeSet<String> = listed
            .as_array()
            .unwrap()
            .iter()
            .map(|token| token["identifier"].as_str().unwrap().to_owned())
            .filter(|identifier| identifier.starts_with("token-"))
            .collect();
        let lost: Vec<_> = acknowledged.difference(&found).collect();
        assert!(lost.is_empty(), "round {round}: acknowledged, but not there: {lost:?}");
        let more: Vec<_> = found.difference(&acknowledged).filter(|name| !unknown.contains(*name)).collect();
        assert!(more.is_empty(), "round {round}: revoked, but there: {more:?}");
        // From here on it is known.
        acknowledged = found;
        unknown.clear();
    }
}

/// A limit on the size of files stands for a disk that becomes full in the middle of a commit.
#[test]
fn changes_go_on_once_a_full_disk_has_space_again() {
    let place = Place::new(SEED);
    place.serve(&[]).stop();
    // In blocks of 512 octets; the signal that comes with the limit does not kill the server.
    let server = place.serve_after("ulimit -S -f 3000", &[]);
    let photo = "A".repeat(40_000);
    let people = |numbers: std::ops::Range<u32>| -> String {
        let person = |number| {
            format!(
                "dn: cn=user{number},ou=users,dc=ldap,dc=example,dc=com\nobjectClass: inetOrgPerson\n\
                 cn: user{number}\nsn: x\ndescription: {photo}\n\n"
            )
        };
        numbers.map(person).collect()
    };
    // What there is no space for while it is read is refused before anything is changed.
    place.write("all.ldif", &people(0..80));
    place.run(&["import", "all.ldif"]).exits(1).says(&["cannot be kept", "nothing was changed"]);
    place.write("some.ldif", &people(0..2));
    let report = place.run(&["import", "some.ldif", "--json"]).exits(0).json();
    assert_eq!(report["users"], 2, "{report:#}");
    place.write("people.ldif", &people(2..36));
    place.run(&["import", "people.ldif"]).exits(1).says(&["is full"]);
    server.await_log("changes were not committed");
    // What is small enough still has space.
    place.run(&["account", "deactivate", "bob"]).exits(0);
    place.run(&["import", "people.ldif"]).exits(1).says(&["is full"]);

    let unlimited = Rlimit { current: None, maximum: None };
    prlimit(Some(pid(server.process())), Resource::Fsize, unlimited).unwrap();
    place.run(&["import", "people.ldif"]).exits(0);
}

/// Whether a command through the server was acknowledged. It must not fall back to the store: a command that
/// finds the server gone is to fail, which it does as long as the socket of the dead one is named.
pub(crate) fn ask(place: &Place, arguments: &[&str]) -> bool {
    let socket = place.path("data/bindery.sock");
    let mut all = arguments.to_vec();
    all.extend(["--socket", socket.to_str().unwrap()]);
    let mut command = place.command(&all);
    command.env_remove("BINDERY_CONFIG");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
}
