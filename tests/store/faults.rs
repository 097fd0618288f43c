//! What happens to a disk and to files around a start: nothing that was acknowledged is lost, and a start that is refused
//! has changed nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Permissions;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use ldap3::{LdapConn, Scope};
use rustix::process::Signal;

use crate::beside::READING;
use crate::small_disk::{SmallDisk, fill};
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
        crate::support::rounds::skip("no right to mount a small file system");
        return;
    };
    place.edit("data_dir = \"data\"", "data_dir = \"disk/data\"");
    let (server, secrets) = place.serve_first();
    let secret = secret_of(&secrets, "ldapservice-app-password");
    server.stop();
    for round in 0..u64::from(rounds(6)) {
        fill(&disk, round * 37_000 % 4_000_000);
        let server = place.serve(&[]);
        let mut ldap = LdapConn::new(&server.url("ldap")).unwrap();
        ldap.simple_bind(&format!("cn=ldapservice,ou=users,{BASE}"), &secret).unwrap().success().unwrap();
        let found = ldap.search(BASE, Scope::Subtree, "(uid=alice)", vec!["1.1"]).unwrap().success().unwrap();
        assert_eq!(found.0.len(), 1, "round {round}");
        let name = format!("made-{round}");
        let create = ["token", "create", &name, "--account", "portal", "--no-expiry"];
        place.run(&create).exits(1).says(&["is full"]);
        // What only reads answers, from the journal, what the database would be asked for.
        for command in READING.iter().filter(|_| round < 2) {
            place.run(command).exits(0);
        }
        let listed = place.run(&["event", "list", "--json"]).exits(0).json();
        assert!(listed.as_array().is_some_and(|events| !events.is_empty()), "{listed}");
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

/// What is done to a file.
#[derive(Clone, Copy, Debug)]
enum Harm {
    Flipped,
    Cut,
    Zeroed,
    Empty,
    Gone,
    /// The file is whole, and others lie beside it.
    Joined,
}

impl Harm {
    const ALL: [Self; 6] = [Self::Flipped, Self::Cut, Self::Zeroed, Self::Empty, Self::Gone, Self::Joined];

    fn doing(self, path: &Path, content: &[u8], at: usize) {
        let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
        match self {
            Self::Flipped => file.write_all_at(&[content[at] ^ (1 << (at % 8))], at as u64).unwrap(),
            Self::Cut => file.set_len(at as u64).unwrap(),
            Self::Zeroed => {
                let octets = [1, 64, 4_096, 100_000][at % 4].min(content.len() - at);
                file.write_all_at(&vec![0; octets], at as u64).unwrap();
            }
            Self::Empty => file.set_len(0).unwrap(),
            Self::Gone => std::fs::remove_file(path).unwrap(),
            Self::Joined => {
                let name = path.file_name().unwrap().to_str().unwrap();
                for stray in [format!("{name}.bak"), format!("{name}.generating"), format!("0{name}")] {
                    std::fs::write(path.with_file_name(stray), &content[..at]).unwrap();
                }
            }
        }
    }
}

/// Each file of the data directory flipped, cut, zeroed, empty, gone or joined by strays: alone, it is no loss.
/// `BINDERY_TEST_ROUNDS=150` makes it 300 positions in each.
#[test]
fn whichever_file_is_harmed_nothing_is_lost() {
    let place = Place::new(SEED);
    let data = place.path("data");
    let expected = with_tokens(&place);
    let whole = files_of(&data);
    let harms = usize::try_from(rounds(2)).unwrap();
    let mut refused = 0;
    for (number, (name, content)) in whole.iter().filter(|(_, content)| !content.is_empty()).enumerate() {
        for round in 0..harms {
            let harm = Harm::ALL[(round + number) % Harm::ALL.len()];
            let at = (content.len() * round / harms + round * 7_919) % content.len();
            let context = format!("{harm:?} at {at} of {}", name.display());
            harm.doing(&data.join(name), content, at);
            // What holds no key is for its owner to look at.
            let is_key = name == Path::new("token.key");
            if is_key && matches!(harm, Harm::Cut | Harm::Empty) {
                let before = state_of(&data, OPENED);
                place.run(&["serve"]).exits(3).says(&["token.key", "holds no key"]);
                assert!(state_of(&data, OPENED) == before, "{context}");
                refused += 1;
            } else {
                let server = place.serve(&[]);
                assert_eq!(place.run(&["--json", "token", "list"]).exits(0).json(), expected, "{context}");
                place.run(&["event", "verify"]).exits(0);
                if round % 2 == 0 {
                    server.stop();
                } else {
                    drop(server);
                }
            }
            put_back(&data, &whole);
        }
    }
    eprintln!("{harms} harms to each of {} files, {refused} refused", whole.len());
}

/// One file of each copy of the store: all is there, or nothing was changed and what is sound comes out.
#[test]
fn a_harmed_file_of_each_copy_is_made_up_for_or_refused() {
    let place = Place::new(SEED);
    let data = place.path("data");
    let expected = with_tokens(&place);
    let whole = files_of(&data);
    let of = |directory: &str| -> Vec<(&PathBuf, &Vec<u8>)> {
        let is_of =
            |(name, content): &(&PathBuf, &Vec<u8>)| name.starts_with(directory) && !content.is_empty();
        whole.iter().filter(is_of).collect()
    };
    let (journal, database) = (of("journal"), of("store"));
    let mut refused = 0;
    let harms = usize::try_from(rounds(6)).unwrap();
    for round in 0..harms {
        let mut said = String::new();
        for (number, files) in [&journal, &database].into_iter().enumerate() {
            let (name, content) = files[(round / (number + 1)) % files.len()];
            let harm = Harm::ALL[(round / 3 + number * 2) % 5];
            // The files are large and mostly empty behind their content.
            let length = content.iter().rposition(|octet| *octet != 0).map_or(1, |last| last + 1);
            let at = (length * round / harms + round * 7_919) % length;
            said.push_str(&format!("{harm:?} at {at} of {}; ", name.display()));
            harm.doing(&data.join(name), content, at);
        }
        let before = state_of(&data, &[]);
        let done = place.run(&["account", "activate", "bob"]);
        if done.status.code() == Some(0) {
            assert_eq!(place.run(&["--json", "token", "list"]).exits(0).json(), expected, "{said}");
            place.run(&["event", "verify"]).exits(0);
        } else {
            assert_eq!(done.status.code(), Some(4), "{said}{}", done.stderr);
            assert!(state_of(&data, &[]) == before, "{said}{}", done.stderr);
            refused += 1;
            // Of nothing nothing comes out.
            let salvaged = place.run(&["salvage", "--output", "left.backup", "--force"]);
            assert!(matches!(salvaged.status.code(), Some(0 | 4)), "{said}{}", salvaged.stderr);
            if salvaged.status.code() == Some(0) {
                place.run(&["backup", "verify", "left.backup"]).exits(0);
                let found =
                    place.run(&["token", "list", "--backup", "left.backup", "--json"]).exits(0).json();
                // What comes out is as it was.
                let whole = expected.as_array().unwrap();
                let mut found = found.as_array().unwrap().iter();
                assert!(found.all(|token| whole.contains(token)), "{said}{found:?}");
            }
            assert!(state_of(&data, &[]) == before, "{said}");
        }
        put_back(&data, &whole);
    }
    eprintln!("{refused} of {harms} were refused");
}

/// What is sound comes out of a checkpoint of several blocks, one of which is damaged, with no database beside it; what is in that
/// block is missing, and told by name.
#[test]
fn salvage_gets_out_what_is_sound_and_names_the_rest() {
    let place = Place::new(SEED);
    place.run(&["apply", "--json"]).exits(0);
    let description = "d".repeat(20_000);
    let person = |number| {
        format!(
            "dn: cn=user{number},ou=users,{BASE}\nobjectClass: inetOrgPerson\ncn: user{number}\nsn: x\n\
             description: {description}\n\n"
        )
    };
    place.run_with_input(&["import", "-"], &(0..60).map(person).collect::<String>()).exits(0);
    place.run(&["backup", "whole.backup"]).exits(0);
    // Its checkpoint has all of it then, and it has no database yet.
    place.run(&["restore", "whole.backup", "--replace"]).exits(0);
    let names = |arguments: &[&str]| -> BTreeSet<String> {
        let listed = place.run(&[&["account", "list", "--json"], arguments].concat()).exits(0).json();
        let names = listed.as_array().unwrap().iter().map(|account| account["username"].as_str().unwrap());
        names.map(str::to_owned).collect()
    };
    let all = names(&["--backup", "whole.backup"]);
    let checkpoint = place.path("data/journal/checkpoint");
    let mut octets = std::fs::read(&checkpoint).unwrap();
    let middle = octets.len() / 2;
    octets[middle] ^= 1;
    std::fs::write(&checkpoint, octets).unwrap();
    place.run(&["serve"]).exits(4).says(&["`bindery salvage`"]);

    let salvaged = place.run(&["salvage", "--output", "left.backup", "--json"]).exits(0).json();
    let missing = salvaged["missing"].as_array().unwrap();
    let missing = missing.iter().filter(|object| object["kind"] == "accounts" || object["kind"] == "account");
    let missing: BTreeSet<String> =
        missing.map(|object| object["name"].as_str().unwrap().to_owned()).collect();
    let left = names(&["--backup", "left.backup"]);
    assert!(!missing.is_empty() && left.len() > 30, "{salvaged:#}");
    assert!(left.is_disjoint(&missing));
    assert_eq!(left.union(&missing).cloned().collect::<BTreeSet<_>>(), all, "{salvaged:#}");
    let told = place.run(&["salvage", "--output", "left.backup", "--force"]).exits(0).stdout;
    for name in missing {
        assert!(
            told.lines()
                .any(|line| line.starts_with("missing: account") && line.ends_with(&format!("({name})"))),
            "{told}"
        );
    }
    place.run(&["restore", "left.backup", "--replace"]).exits(0);
    place.serve(&[]).stop();
    assert_eq!(names(&[]), left);
}

/// A store with some tokens, closed; they are listed.
fn with_tokens(place: &Place) -> serde_json::Value {
    place.serve_first().0.stop();
    for number in 0..5 {
        let name = format!("made-{number}");
        place.run(&["token", "create", &name, "--account", "portal", "--no-expiry"]).exits(0);
    }
    place.run(&["--json", "token", "list"]).exits(0).json()
}

#[test]
fn a_start_that_is_refused_changes_nothing() {
    let place = Place::new(SEED);
    place.serve_first().0.stop();
    let data = place.path("data");
    for name in ["journal/checkpoint", "store/db"] {
        std::fs::write(data.join(name), "nonsense").unwrap();
    }
    let before = state_of(&data, &[]);
    let refused = place.run(&["serve"]).exits(4);
    refused.says(&["has lost acknowledged changes"]);
    assert_eq!(state_of(&data, &[]), before);
}

/// Told before the store is touched, also of one that a start would repair, and not before a server that goes down has left them.
#[test]
fn a_start_whose_addresses_are_taken_changes_nothing() {
    let place = Place::new(SEED);
    with_tokens(&place);
    let data = place.path("data");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let _unix = std::os::unix::net::UnixListener::bind(place.path("taken.sock")).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let unix = format!("unix:{}", place.path("taken.sock").display());
    for damaged in ["", "store/db", "journal/checkpoint"] {
        let whole = files_of(&data);
        if !damaged.is_empty() {
            std::fs::write(data.join(damaged), "nonsense").unwrap();
        }
        let before = state_of(&data, &[]);
        for (flag, address) in [("--ldap", &address), ("--http", &address), ("--ldap", &unix)] {
            place.run(&["serve", flag, address]).exits(1).says(&["is in use"]);
            assert!(state_of(&data, &[]) == before, "{flag} {address} {damaged}");
        }
        // Of sockets the directory is asked; and two that each could be listened on are not by both.
        for (arguments, code, words) in [
            (
                ["--ldap", "unix:none/ldapi", "--http", "127.0.0.1:0"],
                1,
                "unix:none/ldapi cannot be listened on",
            ),
            (["--http", "unix:bindery.toml/http", "--ldap", "127.0.0.1:0"], 1, "unix:bindery.toml/http"),
            (["--ldap", "127.0.0.1:47011", "--http", "0.0.0.0:47011"], 3, "cannot be listened on beside"),
            (["--ldap", "[::]:47011", "--ldap", "[::1]:47011"], 3, "cannot be listened on beside"),
            (["--ldap", "unix:twice", "--http", "unix:twice"], 3, "is listed twice"),
            (
                ["--ldap", "unix:data/bindery.sock", "--http", "127.0.0.1:0"],
                3,
                "`bindery.sock` is bindery's own",
            ),
        ] {
            let [one, address, two, other] = arguments;
            place.run(&["serve", one, address, two, other]).exits(code).says(&[words]);
            assert!(state_of(&data, &[]) == before, "{arguments:?} {damaged}");
        }
        place.serve(&[]).stop();
        put_back(&data, &whole);
    }
    drop(taken);
    // A restart on the same address, which waits for the one before.
    let place = Place::new(SEED);
    let before = place.serve(&["--ldap", &address]);
    let after = std::thread::scope(|scope| {
        let started = scope.spawn(|| place.serve(&["--ldap", &address]));
        std::thread::sleep(Duration::from_millis(200));
        before.stop();
        started.join().unwrap()
    });
    after.stop();
}

/// As a disk that does not give it: told before anything is opened.
#[test]
fn a_token_key_that_cannot_be_read_refuses_what_would_open_the_store() {
    let place = Place::new(SEED);
    with_tokens(&place);
    place.run(&["backup", "with.backup", "--with-keys"]).exits(0);
    let (data, key) = (place.path("data"), place.path("data/token.key"));
    let right = std::fs::read(&key).unwrap();
    let write_key = |content: &[u8], mode| {
        std::fs::write(&key, content).unwrap();
        std::fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
    };
    let restore = ["restore", "with.backup", "--replace"];
    let refuses = |command: &[&str], words: &[&str]| {
        let before = state_of(&data, &[]);
        let refused = place.run(command).exits(3).says(&[&["token.key"][..], words].concat());
        assert!(state_of(&data, &[]) == before, "{command:?}");
        assert!(!refused.stderr.contains("the store there is at revision"), "{}", refused.stderr);
    };
    std::fs::remove_file(&key).unwrap();
    std::fs::create_dir(&key).unwrap();
    for command in [&["serve"][..], &["account", "deactivate", "bob"], &restore] {
        refuses(command, &["cannot be read", "move it away", "--new-token-key"]);
    }
    std::fs::remove_dir(&key).unwrap();
    for (content, mode, words) in [(&right[..4], 0o600, "holds no key"), (&right[..], 0o604, "chmod 600")] {
        write_key(content, mode);
        for command in [&["serve"][..], &["account", "deactivate", "bob"]] {
            refuses(command, &[words]);
        }
    }
    // What is no key is set aside.
    write_key(b"none", 0o600);
    place.run(&restore).exits(0);
    assert!(std::fs::read(&key).unwrap() == right);
    place.serve(&[]).stop();
}

/// The database is lost, which alone could tell what stood at the torn end of the journal.
#[test]
fn a_start_that_is_refused_for_a_torn_end_changes_nothing() {
    let place = Place::new(SEED);
    let data = place.path("data");
    with_tokens(&place);
    let journal = files_of(&data)
        .into_keys()
        .rfind(|name| name.starts_with("journal") && !name.ends_with("checkpoint"));
    let journal = data.join(journal.unwrap());
    let mut octets = std::fs::read(&journal).unwrap();
    let end = octets.iter().rposition(|octet| *octet != 0).unwrap();
    octets[end] ^= 1;
    std::fs::write(&journal, octets).unwrap();
    for lost in ["store/db", "store"] {
        let lost = data.join(lost);
        if lost.is_dir() { std::fs::remove_dir_all(lost) } else { std::fs::remove_file(lost) }.unwrap();
        let before = state_of(&data, &[]);
        place.run(&["serve"]).exits(4).says(&["neither of its two copies is whole"]);
        assert_eq!(state_of(&data, &[]), before);
    }
    place.run(&["salvage", "--output", "left.backup"]).exits(0);
    place.run(&["restore", "left.backup", "--replace"]).exits(0);
    place.serve(&[]).stop();
}

/// Both copies are whole, and end before what was acknowledged. What is left of them can be had on purpose.
#[test]
fn an_end_that_both_copies_have_lost_is_told() {
    let place = Place::new(SEED);
    let data = place.path("data");
    with_tokens(&place);
    let earlier = files_of(&data);
    place.run(&["token", "create", "later", "--account", "portal", "--no-expiry"]).exits(0);
    for name in earlier.keys().filter(|name| name.starts_with("journal") || name.starts_with("store")) {
        std::fs::write(data.join(name), &earlier[name]).unwrap();
    }
    let before = state_of(&data, &[]);
    let named = ["has lost acknowledged changes", "`bindery restore`", "`bindery salvage`"];
    place.run(&["serve"]).exits(4).says(&named);
    place.run(&["compact"]).exits(4).says(&named);
    place.run(&["token", "list"]).exits(4).says(&["the journal ends with revision"]);
    assert!(state_of(&data, &[]) == before);
    let salvaged = place.run(&["salvage", "--output", "left.backup"]).exits(0);
    for told in ["acknowledged: up to revision", "the last 1 are in none of these"] {
        assert!(salvaged.stdout.contains(told), "{}", salvaged.stdout);
    }
    place.run(&["restore", "left.backup", "--replace"]).exits(0);
    place.run(&["token", "create", "later", "--account", "portal", "--no-expiry"]).exits(0);
    place.serve(&[]).stop();
}

/// All files of a data directory with their content.
pub fn files_of(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut left = vec![directory.to_owned()];
    while let Some(path) = left.pop() {
        for entry in std::fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_none_or(|end| end != "sock") {
                let content = std::fs::read(&path).unwrap();
                files.insert(path.strip_prefix(directory).unwrap().to_owned(), content);
            }
        }
    }
    files
}

/// The same without the lock, which says who was the last to hold it, and without what was opened.
pub fn state_of(directory: &Path, opened: &[&str]) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = files_of(directory);
    files.retain(|name, _| name != Path::new("lock") && !opened.iter().any(|part| name.starts_with(part)));
    files
}

/// What the database changes by being opened.
const OPENED: &[&str] = &["store"];

/// Makes a data directory what it was.
pub fn put_back(directory: &Path, files: &BTreeMap<PathBuf, Vec<u8>>) {
    std::fs::remove_dir_all(directory).unwrap();
    for (name, content) in files {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }
}
