//! The files of a store are its own: what commands write stands elsewhere, and what is mounted among them is told.

use std::os::unix::fs::symlink;
use std::path::Path;

use crate::faults::{files_of, state_of};
use crate::small_disk::SmallDisk;
use crate::support::rounds::skip;
use crate::support::{Place, SEED};

/// However it is named, and whether a file is there or not.
const OWN: [&str; 14] = [
    "data/journal/checkpoint",
    "data/journal/batches.00000000000000009999",
    "data/store/db",
    "data/store/new",
    "data/store.new",
    "data/successor",
    "data/set-aside/mine",
    "data/acknowledged",
    "data/lock",
    "data/token.key",
    "data/bindery.sock",
    "data/backups/../lock",
    "way/acknowledged",
    "link",
];

#[test]
fn no_command_writes_among_the_files_of_a_store() {
    let place = Place::new(SEED);
    place.serve_first().0.stop();
    place.run(&["backup", "whole.backup"]).exits(0);
    std::fs::create_dir_all(place.path("data/backups")).unwrap();
    symlink("data", place.path("way")).unwrap();
    symlink("data/acknowledged", place.path("link")).unwrap();
    let before = state_of(&place.path("data"), &[]);
    let is_refused = |arguments: &[&str]| {
        place.run(arguments).exits(1).says(&["is a place of the store in", "is bindery's own"]);
        assert!(state_of(&place.path("data"), &[]) == before, "{arguments:?}");
    };
    for own in OWN {
        is_refused(&["backup", own, "--force"]);
        is_refused(&["backup", own]);
        is_refused(&["export", "--format", "json", "--output", own, "--force"]);
        is_refused(&["export", "--format", "ldif", "--output", own]);
        is_refused(&["salvage", "--output", own, "--force"]);
    }
    for directory in ["data/store", "data/journal", "data/set-aside/mine"] {
        is_refused(&["man", "--dir", directory]);
        is_refused(&["certificate", "--dir", directory]);
        is_refused(&["restore", "whole.backup", "--data-dir", directory]);
    }
    // Another name for a file of the store is what is exchanged, and not that file.
    let server = place.serve(&[]);
    std::fs::hard_link(place.path("data/acknowledged"), place.path("hard")).unwrap();
    place.run(&["backup", "hard", "--force"]).exits(0);
    place.run(&["backup", "verify", "hard"]).exits(0);
    place.run(&["backup", "data/backups/by-hand.backup"]).exits(0);
    place.run(&["export", "--format", "json", "--output", "data/mine.json"]).exits(0);
    server.stop();
    place.run(&["event", "verify"]).exits(0);
    place.serve(&[]).stop();
}

/// Before there is a store, which a file in its way would keep from being made.
#[test]
fn no_secrets_go_among_the_files_of_a_store_that_is_yet_to_be() {
    for own in ["data/lock", "data/journal/secrets.json", "data/token.key", "data/store.new"] {
        let place = Place::new(SEED);
        for command in ["serve", "apply"] {
            place.run(&[command, "--secrets-file", own]).exits(1).says(&["is a place of the store in"]);
            assert!(!place.path("data").exists(), "{command} {own}");
        }
        place.serve(&["--secrets-file", "data/secrets.json"]).stop();
        // Behind it, too.
        place.write("bindery.toml", &format!("{}\n{MORE}", place.read("bindery.toml")));
        let secrets = "data/journal/secrets.json";
        place.run(&["apply", "--secrets-file", secrets]).exits(1).says(&["is a place of the store in"]);
        assert!(!place.path(secrets).exists());
    }
}

const MORE: &str = "[[account]]\nusername = \"another\"\ntype = \"service_account\"\n";

#[test]
fn another_mount_of_the_files_of_a_store_is_known_again() {
    let place = Place::new(SEED);
    place.serve_first().0.stop();
    let before = state_of(&place.path("data"), &[]);
    for (of, files) in [
        ("data", ["journal/checkpoint", "acknowledged"]),
        ("data/journal", ["checkpoint", "batches.00000000000000009999"]),
        ("data/store", ["db", "snap.0000000000000001"]),
    ] {
        let of = place.path(of);
        let Some(_mount) = SmallDisk::mount_with(&place.path("other"), &["--bind", of.to_str().unwrap()])
        else {
            skip("no right to mount a directory once more");
            return;
        };
        for file in files {
            let file = format!("other/{file}");
            place.run(&["backup", &file, "--force"]).exits(1).says(&["is a place of the store in"]);
            assert!(state_of(&place.path("data"), &[]) == before, "{file}");
        }
    }
    place.serve(&[]).stop();
}

/// As a volume of a container: what makes one copy of the store of the other renames both.
#[test]
fn a_part_of_the_store_that_is_a_mount_is_told_at_the_start() {
    const SMALL: &[&str] = &["-t", "tmpfs", "-o", "size=48m", "bindery-test"];
    let place = Place::new(SEED);
    place.serve_first().0.stop();
    let words = |part: &str| format!("data/{part} is a mount point of its own");
    for part in ["journal", "store"] {
        let path = place.path("data").join(part);
        let content = files_of(&path);
        for is_bound in [false, true] {
            // One of the same file system as well.
            let of = place.path(&format!("copy-of-{part}"));
            let bind = ["--bind", of.to_str().unwrap()];
            std::fs::create_dir_all(&of).unwrap();
            let Some(_mount) = SmallDisk::mount_with(&path, if is_bound { &bind } else { SMALL }) else {
                skip("no right to mount a file system");
                return;
            };
            for (name, octets) in &content {
                std::fs::write(path.join(name), octets).unwrap();
            }
            let before = state_of(&place.path("data"), &[]);
            for command in ["serve", "check", "compact"] {
                place
                    .run(&[command])
                    .exits(3)
                    .says(&[&words(part), "instead, the data directory as a whole"]);
                assert!(state_of(&place.path("data"), &[]) == before, "{command} {part}");
            }
            // What is there can be read, and got out.
            place.run(&["token", "list"]).exits(0);
            place.run(&["salvage", "--output", "out.backup", "--force"]).exits(0);
        }
        place.serve(&[]).stop();
    }
    // Of a store that is yet to be.
    let place = Place::new(SEED);
    let _mount = SmallDisk::mount_with(&place.path("data/journal"), SMALL);
    place.run(&["serve"]).exits(3).says(&[&words("journal")]);
    assert_eq!(names_in(&place.path("data")), ["journal"]);
}

fn names_in(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// A file system that takes no more files, with octets free: the socket for commands has no place.
#[test]
fn a_start_without_a_free_inode_is_refused_and_changes_nothing() {
    let place = Place::new(SEED);
    let disk = place.path("disk");
    let options = ["-t", "tmpfs", "-o", "size=48m,nr_inodes=200", "bindery-test"];
    let Some(_disk) = SmallDisk::mount_with(&disk, &options) else {
        skip("no right to mount a small file system");
        return;
    };
    place.edit("data_dir = \"data\"", "data_dir = \"disk/data\"");
    place.serve_first().0.stop();
    let data = place.path("disk/data");
    for is_killed in [false, true] {
        if is_killed {
            drop(place.serve(&[]));
        }
        let mut number = 0;
        while std::fs::write(disk.join(format!("ballast-{number}")), "").is_ok() {
            number += 1;
        }
        let before = state_of(&data, &[]);
        if is_killed {
            // Its socket is there, and another takes its place.
            let server = place.serve(&[]);
            place.run(&["token", "list"]).exits(0);
            server.stop();
        } else {
            place.run(&["serve"]).exits(1).says(&["bindery.sock cannot be listened on", "No space left"]);
            assert!(state_of(&data, &[]) == before);
            place.run(&["token", "list"]).exits(0);
        }
        for number in 0..number {
            std::fs::remove_file(disk.join(format!("ballast-{number}"))).unwrap();
        }
        let server = place.serve(&[]);
        place.run(&["token", "create", &format!("made-{is_killed}"), "--account", "portal"]).exits(0);
        server.stop();
    }
}
