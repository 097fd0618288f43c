//! What happens to a disk and to files around a start: nothing that was acknowledged is lost, and a start that is refused
//! has changed nothing.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use ldap3::{LdapConn, Scope};
use rustix::process::Signal;

use crate::small_disk::SmallDisk;
use crate::support::rounds::rounds;
use crate::support::{BASE, Place, SEED, secret_of, send};

/// Starts that are killed at any moment, with a change now and then.
#[test]
fn a_start_that_is_killed_loses_nothing() {
    let place = Place::new(SEED);
    place.serve_first().0.stop();
    let mut made = Vec::new();
    for round in 0..rounds(10) {
        let mut child = place
            .command(&["serve"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(u64::from(round) * 13 % 97));
        send(child.id(), Signal::KILL);
        child.wait().unwrap();
        if round % 3 == 0 {
            let name = format!("made-{round}");
            place.run(&["token", "create", &name, "--account", "portal", "--no-expiry"]).exits(0);
            made.push(name);
        }
    }
    let (server, listed) = (place.serve(&[]), place.run(&["--json", "token", "list", "--account", "portal"]));
    let listed = listed.exits(0).json();
    for name in made {
        let found = listed.as_array().unwrap().iter().any(|token| token["identifier"] == *name);
        assert!(found, "{name} is not in {listed:#}");
    }
    place.run(&["event", "verify"]).exits(0);
    drop(server);
}

/// The server starts on a full disk and answers; changes are taken as soon as there is space.
#[test]
fn a_server_starts_on_a_full_disk() {
    let place = Place::new(SEED);
    let disk = place.path("disk");
    let Some(_disk) = SmallDisk::mount(&disk) else {
        eprintln!("skipped: no right to mount a small file system");
        return;
    };
    place.edit("data_dir = \"data\"", "data_dir = \"disk/data\"");
    let (server, secrets) = place.serve_first();
    let secret = secret_of(&secrets, "ldapservice-app-password");
    server.stop();
    for round in 0..u64::from(rounds(6)) {
        disk_fill(&disk, round * 37_000 % 4_000_000);
        let server = place.serve(&[]);
        let mut ldap = LdapConn::new(&server.url("ldap")).unwrap();
        ldap.simple_bind(&format!("cn=ldapservice,ou=users,{BASE}"), &secret).unwrap().success().unwrap();
        let found = ldap.search(BASE, Scope::Subtree, "(uid=alice)", vec!["1.1"]).unwrap().success().unwrap();
        assert_eq!(found.0.len(), 1, "round {round}");
        let name = format!("made-{round}");
        let create = ["token", "create", &name, "--account", "portal", "--no-expiry"];
        place.run(&create).exits(1).says(&["is full"]);
        if round % 2 == 0 {
            // Killed, and waited for.
            drop(server);
        } else {
            server.stop();
        }
        std::fs::remove_file(disk.join("ballast")).unwrap();
        place.run(&create).exits(0);
    }
    place.run(&["event", "verify"]).exits(0);
}

/// Each file cut, zeroed, flipped, empty or gone: alone, it is no loss.
#[test]
fn whichever_file_is_harmed_nothing_is_lost() {
    let place = Place::new(SEED);
    place.serve_first().0.stop();
    for number in 0..5 {
        let name = format!("made-{number}");
        place.run(&["token", "create", &name, "--account", "portal", "--no-expiry"]).exits(0);
    }
    let expected = place.run(&["--json", "token", "list"]).exits(0).json();
    let whole = files_of(&place.path("data"));
    let harms = u64::from(rounds(2));
    for (name, content) in whole.iter().filter(|(_, content)| !content.is_empty()) {
        if !name.starts_with("store") && !name.starts_with("journal") {
            continue;
        }
        for harm in 0..harms {
            let path = place.path("data").join(name);
            let at = (content.len() as u64 * harm / harms + harm * 7_919) % content.len() as u64;
            let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
            match harm % 4 {
                0 => {
                    let octet = content[usize::try_from(at).unwrap()] ^ 0x10;
                    file.write_all_at(&[octet], at).unwrap();
                }
                1 => file.set_len(at).unwrap(),
                2 => file.write_all_at(&[0; 4_096], at).unwrap(),
                _ => std::fs::remove_file(&path).unwrap(),
            }
            place.serve(&[]).stop();
            let listed = place.run(&["--json", "token", "list"]).exits(0).json();
            assert_eq!(listed, expected, "harm {harm} at {at} of {}", name.display());
            put_back(&place.path("data"), &whole);
        }
    }
}

#[test]
fn a_start_that_is_refused_changes_nothing() {
    let place = Place::new(SEED);
    place.serve_first().0.stop();
    let data = place.path("data");
    for name in ["journal/checkpoint", "store/db"] {
        std::fs::write(data.join(name), "nonsense").unwrap();
    }
    let before = files_of(&data);
    let refused = place.run(&["serve"]).exits(4);
    refused.says(&["has lost acknowledged changes"]);
    assert_eq!(files_of(&data), before);
}

/// All files of a data directory with their content, but for the lock.
fn files_of(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut left = vec![directory.to_owned()];
    while let Some(path) = left.pop() {
        for entry in std::fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else if path.file_name().unwrap() != "lock" && path.extension().is_none_or(|end| end != "sock")
            {
                let content = std::fs::read(&path).unwrap();
                files.insert(path.strip_prefix(directory).unwrap().to_owned(), content);
            }
        }
    }
    files
}

/// Makes a data directory what it was.
fn put_back(directory: &Path, files: &BTreeMap<PathBuf, Vec<u8>>) {
    std::fs::remove_dir_all(directory).unwrap();
    for (name, content) in files {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }
}

fn disk_fill(disk: &Path, leave: u64) {
    let room = rustix::fs::statvfs(disk).unwrap();
    let octets = (room.f_bavail * room.f_frsize).saturating_sub(leave);
    std::fs::write(disk.join("ballast"), vec![1; usize::try_from(octets).unwrap()]).unwrap();
}
