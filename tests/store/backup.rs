//! A store goes into a file while it is changed, and comes out of it with all that was acknowledged; what is left of a
//! damaged one does too.

use std::collections::BTreeSet;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::small_disk::SmallDisk;
use crate::support::octets::{bind, connect};
use crate::support::rounds::rounds;
use crate::support::{BASE, Place, SEED, SERVER, Server, secret_of};

/// What a change-maker knows.
#[derive(Clone, Default)]
struct Known {
    /// Tokens of which it was acknowledged that they are there.
    there: BTreeSet<String>,
    /// Those that it has begun to revoke.
    ending: BTreeSet<String>,
    /// Those of which it was acknowledged that they are gone.
    gone: BTreeSet<String>,
}

#[test]
fn a_backup_under_load_restores_all_that_was_acknowledged_before_it() {
    let place = Place::new(SEED);
    let (server, secrets) = place.serve_first();
    let secret = secret_of(&secrets, "ldapservice-app-password");
    let known = Mutex::new(Known::default());
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| make_and_revoke(&place, &known, &is_over));
        let ending = Ending(&is_over);
        await_some(&known, 3);
        for round in 0..rounds(3) {
            let (file, data) = (format!("{round}.backup"), format!("data-{round}"));
            let before = known.lock().unwrap().clone();
            place.run(&["backup", &file]).exits(0);
            let after = known.lock().unwrap().clone();
            assert_eq!(mode(&place.path(&file)), 0o600);

            place.run(&["restore", &file, "--data-dir", &data]).exits(0);
            let config = config_of(&place, &data);
            let found = tokens(&place, &["--config", &config]);
            let lost: Vec<_> =
                before.there.difference(&found).filter(|name| !after.ending.contains(*name)).collect();
            assert!(
                lost.is_empty(),
                "round {round}: acknowledged before the backup, but not in it: {lost:?}"
            );
            let more: Vec<_> = before.gone.intersection(&found).collect();
            assert!(more.is_empty(), "round {round}: revoked before the backup, but in it: {more:?}");
            place.run(&["event", "verify", "--config", &config]).exits(0);
            let restored = place.serve(&["--data-dir", &data]);
            assert_eq!(bind_as(&restored, &secret), 0);
            drop(restored);
            std::fs::remove_dir_all(place.path(&data)).unwrap();
            std::fs::remove_file(place.path(&file)).unwrap();
        }
        drop(ending);
    });
    let known = known.into_inner().unwrap();
    assert!(!known.gone.is_empty(), "there was a load");
    assert_eq!(bind_as(&server, &secret), 0);
}

#[test]
fn a_backup_is_made_of_a_store_without_a_server_and_to_standard_output() {
    let place = Place::new(SEED);
    let (server, _) = place.serve_first();
    let streamed = |place: &Place| {
        let mut command = place.command(&["backup", "-"]);
        command.stdin(Stdio::null()).output().unwrap()
    };
    let beside = streamed(&place);
    assert!(beside.status.success() && beside.stderr.is_empty());
    std::fs::write(place.path("beside.backup"), &beside.stdout).unwrap();
    server.stop();
    place.run(&["backup", "alone.backup"]).exits(0);
    let alone = place.run(&["backup", "verify", "alone.backup", "--json"]).exits(0).json();
    let beside = place.run(&["backup", "verify", "beside.backup", "--json"]).exits(0).json();
    let named = place.path("alone.backup").canonicalize().unwrap();
    for to in ["standard output", named.to_str().unwrap()] {
        let kept = ["event", "list", "--kind", "backup", "--object", to, "--json"];
        let events = place.run(&kept).exits(0).json();
        assert_eq!(events.as_array().unwrap().len(), 1, "{to}: {events:#}");
        assert_eq!(events[0]["action"], "secret_view");
        assert!(events[0].to_string().contains("with_keys"), "{events:#}");
    }
    assert_eq!(alone["counts"]["tokens"], beside["counts"]["tokens"]);
    assert_eq!(alone["incarnation"], beside["incarnation"]);
    assert!(alone["revision"].as_u64() >= beside["revision"].as_u64());
    assert_eq!(alone["has_keys"], false);
    let words = place.run(&["backup", "verify", "alone.backup"]).exits(0).stdout;
    for piece in ["alone.backup is whole", "made ", "revision ", "accounts ", "token.key", "is not in it"] {
        assert!(words.contains(piece), "{piece:?} is not in\n{words}");
    }
}

#[test]
fn nothing_takes_the_place_of_a_file_or_a_store_unless_told() {
    let place = Place::new(SEED);
    place.edit("[server.hashing]", "[server.limits]\nstore_wait_time = \"0s\"\n\n[server.hashing]");
    let (server, secrets) = place.serve_first();
    let secret = secret_of(&secrets, "ldapservice-app-password");
    place.write("there", "something else");
    place.run(&["backup", "there"]).exits(1).says(&["exists already", "--force"]);
    assert_eq!(place.read("there"), "something else");
    place.run(&["backup", "there", "--force"]).exits(0);
    place.run(&["backup", "verify", "there"]).exits(0);
    assert_eq!(names_in(&place.path("."), "there"), ["there"], "nothing unfinished stays");

    // A server holds it.
    place.run(&["restore", "there", "--replace"]).exits(4).says(&["is held by process"]);
    place.run(&["token", "create", "later", "--account", "portal", "--no-expiry"]).exits(0);
    place.run(&["token", "revoke", "ldapservice-app-password"]).exits(0);
    place.run(&["account", "deactivate", "bob"]).exits(0);
    // As many memberships as before.
    place.run(&["group", "remove", "engineering", "alice"]).exits(0);
    place.run(&["group", "add", "engineering", "bob"]).exits(0);
    assert_eq!(bind_as(&server, &secret), 49);
    server.stop();

    let files = content_of(&place.path("data"));
    place.run(&["restore", "there"]).exits(1).says(&[
        "there is a store in",
        "--replace",
        "tokens that the store there does not have are valid again: ldapservice-app-password",
        "accounts that are not active there may bind again: bob",
        "rights that were taken away there are held again: alice: group engineering",
        "rights that are held there are gone: bob: group engineering",
    ]);
    assert_eq!(content_of(&place.path("data")), files, "nothing was done");

    let document = place.run(&["--json", "restore", "there", "--replace"]).exits(0).json();
    assert_eq!(document["valid_again"]["revoked_tokens"], serde_json::json!(["ldapservice-app-password"]));
    assert_eq!(document["valid_again"]["accounts"], serde_json::json!(["bob"]));
    assert_eq!(document["valid_again"]["rights"], serde_json::json!(["alice: group engineering"]));
    assert_eq!(document["rights_gone"], serde_json::json!(["bob: group engineering"]));
    let aside = document["set_aside"].as_str().unwrap().to_owned();
    let server = place.serve(&[]);
    assert_eq!(bind_as(&server, &secret), 0, "it is of the time of the backup");
    assert!(!tokens(&place, &[]).contains("later"));
    server.stop();
    // What was there is a data directory of its own.
    let config = config_of(&place, &aside);
    assert!(tokens(&place, &["--config", &config]).contains("later"));
    // Another life: whoever compares notices.
    let earlier = place.run(&["backup", "verify", "there", "--json"]).exits(0).json();
    assert_ne!(document["incarnation"], earlier["incarnation"]);
}

/// What somebody has noted of the store that was replaced is not something else now: a uidNumber on a disk, an event in a log.
#[test]
fn a_restore_gives_no_number_away_again() {
    let place = Place::new(SEED);
    place.run(&["apply", "--json"]).exits(0);
    place.run(&["backup", "earlier.backup"]).exits(0);
    let number = |name: &str| {
        place.run(&["account", "create", name]).exits(0);
        place.run(&["account", "show", name, "--json"]).exits(0).json()["pk"].as_u64().unwrap()
    };
    let events = || {
        let listed = place.run(&["event", "list", "--json", "--limit", "1000"]).exits(0).json();
        let of = |event: &serde_json::Value| format!("{}:{}", event["trail"], event["sequence"]);
        listed.as_array().unwrap().iter().map(of).collect::<BTreeSet<_>>()
    };
    let given: Vec<u64> = ["one", "two", "three"].map(number).to_vec();
    let noted = events();
    place.run(&["restore", "earlier.backup", "--replace"]).exits(0);
    // Nothing is missing, where all is as it was in the backup and where it goes on.
    place.run(&["event", "verify"]).exits(0);
    let kept = events();
    assert!(kept.is_subset(&noted) && kept.len() < noted.len());
    let next = number("four");
    assert!(given.iter().all(|given| *given < next), "{given:?} {next}");
    let new: Vec<String> = events().difference(&kept).cloned().collect();
    assert!(!new.is_empty() && new.iter().all(|place| !noted.contains(place)), "{new:?}");
    place.run(&["event", "verify"]).exits(0);
    let salvaged = place.run(&["--json", "salvage", "--output", "out.backup"]).exits(0).json();
    assert_eq!(salvaged["events_missing"], serde_json::json!({}));
}

#[test]
fn a_damaged_backup_is_refused_wherever_it_is_damaged() {
    let place = Place::new(SEED);
    place.serve(&[]).stop();
    place.run(&["backup", "whole"]).exits(0);
    let whole = std::fs::read(place.path("whole")).unwrap();
    let path = place.path("harmed");
    let refused = |octets: &[u8], what: &str| {
        std::fs::write(&path, octets).unwrap();
        let done = place.run(&["backup", "verify", "harmed"]).exits(4);
        assert!(done.stderr.contains("the backup harmed cannot be used"), "{what}: {}", done.stderr);
        done.stderr
    };
    let steps = u64::from(rounds(6));
    for step in 0..steps {
        let at = (step * 2_654_435_761 % whole.len() as u64) as usize;
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (step % 8);
        refused(&flipped, "flipped");
        refused(&whole[..at], "cut");
    }
    let says = |octets: &[u8], piece: &str| {
        let said = refused(octets, piece);
        assert!(said.contains(piece), "{piece:?}: {said}");
    };
    says(b"", "it ends too early");
    says(&whole[..whole.len() - 1], "it ends too early");
    says(
        "the quick brown fox jumps over the lazy dog, again and again".as_bytes(),
        "it is no backup of bindery",
    );
    says(&[whole.as_slice(), b"\0"].concat(), "it is damaged at octet");
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    says(&flipped, "it is damaged at octet");
    says(&newer(&whole), "a newer version of bindery made it (format 2");

    // None of them becomes a store.
    place.run(&["restore", "harmed", "--data-dir", "new"]).exits(4);
    assert!(!place.path("new").exists());
}

/// The same backup with the next format in its first block.
fn newer(whole: &[u8]) -> Vec<u8> {
    let mut octets = whole.to_vec();
    // "bndr", kind, number, length, checksum, content: see docs/format.md.
    let length = u32::from_le_bytes(octets[13..17].try_into().unwrap()) as usize;
    octets[33] = 2;
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"bndr");
    hasher.update(b"H");
    hasher.update(&0_u64.to_le_bytes());
    hasher.update(&(length as u64).to_le_bytes());
    hasher.update(&octets[33..33 + length]);
    let mut checksum = [0; 16];
    hasher.finalize_xof().fill(&mut checksum);
    octets[17..33].copy_from_slice(&checksum);
    octets
}

#[test]
fn chosen_secrets_need_the_key_of_their_time() {
    let token = "[[token]]\nidentifier = \"chosen\"\naccount = \"portal\"\nintent = \"api\"\n\
                 secret_file = \"chosen.secret\"\n";
    let place = Place::new(&format!("{SEED}\n{token}"));
    place.write("chosen.secret", "a-secret-that-somebody-has-chosen-for-the-api");
    std::fs::set_permissions(place.path("chosen.secret"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let server = place.serve(&[]);
    place.run(&["backup", "plain.backup"]).exits(0);
    place.run(&["backup", "keys.backup", "--with-keys"]).exits(0);
    server.stop();
    let key = std::fs::read(place.path("data/token.key")).unwrap();

    // Without the key it is refused, by name, and nothing was made that looks like a store.
    let refused = ["restore", "plain.backup", "--data-dir", "new"];
    place.run(&refused).exits(3).says(&["--new-token-key", "chosen"]);
    assert!(!place.path("new/journal").exists());
    // Another one lies there, beside which no server would start.
    std::fs::write(place.path("new/token.key"), "7".repeat(31) + "8").unwrap();
    std::fs::set_permissions(place.path("new/token.key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    place.run(&refused).exits(3).says(&["another one is in new", "--new-token-key", "chosen"]);
    assert!(!place.path("new/journal").exists());
    // It lies there already.
    std::fs::write(place.path("new/token.key"), &key).unwrap();
    std::fs::set_permissions(place.path("new/token.key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    place.run(&refused).exits(0);
    assert_eq!(std::fs::read(place.path("new/token.key")).unwrap(), key);
    // It is in the backup.
    place.run(&["restore", "keys.backup", "--data-dir", "other"]).exits(0);
    assert_eq!(std::fs::read(place.path("other/token.key")).unwrap(), key);
    assert_eq!(mode(&place.path("other/token.key")), 0o600);
    assert!(tokens(&place, &["--config", &config_of(&place, "other")]).contains("chosen"));
    // Exactly these end.
    let third = ["--json", "restore", "plain.backup", "--data-dir", "third", "--new-token-key"];
    let document = place.run(&third).exits(0).json();
    assert_eq!(document["ended_tokens"], serde_json::json!(["chosen"]));
    assert_ne!(std::fs::read(place.path("third/token.key")).unwrap(), key);
    let config = config_of(&place, "third");
    let left = tokens(&place, &["--config", &config]);
    assert!(!left.contains("chosen") && left.contains("portal-app-password"), "{left:?}");
    place.run(&["event", "verify", "--config", &config]).exits(0);
}

/// A place with an API token whose secret was chosen, and with a token that it alone has.
fn with_chosen(own: &str) -> Place {
    let token = "[[token]]\nidentifier = \"chosen\"\naccount = \"portal\"\nintent = \"api\"\n\
                 secret_file = \"chosen.secret\"\n";
    let place = Place::new(&format!("{SEED}\n{token}"));
    place.write("chosen.secret", "a-secret-that-somebody-has-chosen-for-the-api");
    std::fs::set_permissions(place.path("chosen.secret"), std::fs::Permissions::from_mode(0o600)).unwrap();
    place.serve(&[]).stop();
    place.run(&["token", "create", own, "--account", "portal", "--no-expiry"]).exits(0);
    place
}

/// A start takes the store that is there, with its key; answers with its tokens.
fn started(place: &Place) -> BTreeSet<String> {
    place.serve(&[]).stop();
    tokens(place, &[])
}

#[test]
fn a_restore_that_fails_leaves_nothing_that_a_later_start_takes() {
    let place = with_chosen("leaked");
    place.run(&["backup", "old.backup"]).exits(0);
    place.write("data/set-aside", "in its way");
    for more in [&[][..], &["--new-token-key"]] {
        let key = std::fs::read(place.path("data/token.key")).unwrap();
        let restore = [&["restore", "old.backup", "--replace"][..], more].concat();
        place.run(&restore).exits(1).says(&["set-aside"]);
        assert_eq!(std::fs::read(place.path("data/token.key")).unwrap(), key);
        assert_eq!(names_in(&place.path("data"), "successor"), Vec::<String>::new());
    }
    std::fs::remove_file(place.path("data/set-aside")).unwrap();
    let server = place.serve(&[]);
    place.run(&["token", "revoke", "leaked"]).exits(0);
    place.run(&["token", "create", "new", "--account", "portal", "--no-expiry"]).exits(0);
    server.stop();
    std::fs::remove_dir_all(place.path("data/journal")).unwrap();
    let found = started(&place);
    assert!(found.contains("new") && !found.contains("leaked"), "{found:?}");
}

/// Where a part of the store cannot be moved, or not to `set-aside`, those that were come back.
#[test]
fn a_restore_that_cannot_set_aside_puts_back_what_it_has_moved() {
    let (place, other) = (with_chosen("own"), with_chosen("others"));
    other.run(&["backup", "with.backup", "--with-keys"]).exits(0);
    let backup = other.path("with.backup");
    let restore = ["restore", backup.to_str().unwrap(), "--replace"];
    let before = content_of(&place.path("data"));
    for at in ["data/store", "elsewhere"] {
        let Some(mounted) = SmallDisk::mount(&place.path(at)) else {
            crate::support::rounds::skip("no right to mount a small file system");
            return;
        };
        if at == "elsewhere" {
            let _ = std::fs::remove_dir_all(place.path("data/set-aside"));
            std::os::unix::fs::symlink(mounted.path(), place.path("data/set-aside")).unwrap();
        }
        place.run(&restore).exits(3).says(&["is a mount point of its own, or a link to another disk"]);
        drop(mounted);
        assert!(content_of(&place.path("data")) == before, "{at}");
    }
    std::fs::remove_file(place.path("data/set-aside")).unwrap();
    assert!(started(&place).contains("own"));
    place.run(&restore).exits(0);
    assert!(started(&place).contains("others"));
}

#[test]
fn a_restore_that_is_killed_leaves_a_store_that_starts() {
    let (place, other) = (with_chosen("own"), with_chosen("others"));
    other.run(&["backup", "with.backup", "--with-keys"]).exits(0);
    let backup = other.path("with.backup");
    place.run(&["backup", "without.backup"]).exits(0);
    let restores = [
        &["restore", backup.to_str().unwrap(), "--replace"][..],
        &["restore", "without.backup", "--replace", "--new-token-key"],
    ];
    for round in 0..rounds(8) {
        let mut command = place.command(restores[(round % 2) as usize]);
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(u64::from(round) * 23 % 211));
        let _ = child.kill();
        child.wait().unwrap();
        let found = started(&place);
        assert!(found.contains("own") != found.contains("others"), "round {round}: {found:?}");
        assert_eq!(names_in(&place.path("data"), "successor"), Vec::<String>::new(), "round {round}");
    }
}

#[test]
fn a_backup_is_restored_from_a_file() {
    let place = Place::new(SEED);
    place.serve(&[]).stop();
    place.run(&["backup", "one.backup"]).exits(0);
    let pipe = place.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // Before anybody writes to it.
    place.run(&["restore", "pipe", "--data-dir", "new"]).exits(1).says(&["is a pipe", "name a file"]);
    place.run(&["restore", "data", "--data-dir", "new"]).exits(1).says(&["is a directory", "name a file"]);
    assert!(!place.path("new").exists());
}

#[test]
fn the_server_makes_backups_by_itself() {
    let place = Place::new(SEED);
    place.edit(
        "[server.hashing]",
        "http = [\"127.0.0.1:0\"]\n\n[server.backup]\nevery = \"1s\"\nkeep = 2\n\n[server.hashing]",
    );
    let server = place.serve(&[]);
    let directory = place.path("data/backups");
    let mut seen = BTreeSet::new();
    let start = Instant::now();
    let mut number = 0;
    while seen.len() < 4 {
        assert!(start.elapsed() < Duration::from_secs(60), "{seen:?}:\n{}", server.log());
        number += 1;
        place.run(&["token", "create", &format!("t{number}"), "--account", "portal", "--no-expiry"]).exits(0);
        if directory.exists() {
            let names = names_in(&directory, "bindery-");
            let finished: Vec<String> = names.into_iter().filter(|name| name.ends_with(".backup")).collect();
            assert!(finished.len() <= 3, "{finished:?}");
            seen.extend(finished);
        }
    }
    assert_eq!(
        (mode(&directory), mode(&directory.join(names_in(&directory, "bindery-").last().unwrap()))),
        (0o700, 0o600)
    );
    let status = place.run(&["status", "--json"]).exits(0).json();
    assert!(status["backup"]["newest"].is_string() && status["backup"]["is_old"] == false, "{status}");
    let metrics = fetch_metrics(&server);
    for piece in ["bindery_backup_age_seconds ", "bindery_backup_octets ", "bindery_backup_failures_total 0"]
    {
        assert!(metrics.contains(piece), "{piece} is not in\n{metrics}");
    }
    server.stop();
    let before = names_in(&directory, "bindery-");
    let file = directory.join(before.last().unwrap());
    place.run(&["restore", file.to_str().unwrap(), "--replace"]).exits(0);
    assert!(tokens(&place, &[]).contains("portal-app-password"));
    // The next life goes on with the backups of this one.
    let server = place.serve(&[]);
    let start = Instant::now();
    while before.iter().any(|name| directory.join(name).exists()) {
        assert!(start.elapsed() < Duration::from_secs(60), "{before:?}:\n{}", server.log());
        number += 1;
        place.run(&["token", "create", &format!("t{number}"), "--account", "portal", "--no-expiry"]).exits(0);
    }
    assert!(!server.log().contains("backups of another store"));
    server.stop();

    // Where none can be made, that is told.
    std::fs::remove_dir_all(&directory).unwrap();
    std::fs::write(&directory, "in its way").unwrap();
    let server = place.serve(&[]);
    server.await_log("backups that were due were not made");
    let status = place.run(&["status"]).exits(0).stdout;
    assert!(
        status.contains("newest backup: none yet; it is old; the next could not be made: cannot make"),
        "{status}"
    );
    server.stop();
    place.edit("every = \"1s\"", "every = \"never\"");
    let _server = place.serve(&[]);
    assert!(!place.run(&["status"]).exits(0).stdout.contains("newest backup"));
}

/// One directory for two: the one that makes many takes none of the other's away, and neither is told for the other's.
#[test]
fn two_servers_with_one_directory_keep_their_own_backups() {
    let shared = tempfile::tempdir().unwrap();
    let directory = shared.path().to_str().unwrap();
    let [seldom, often] = [(); 2].map(|()| {
        let place = Place::new(SEED);
        let backup = format!("[server.backup]\nevery = \"1s\"\nkeep = 1\ndirectory = {directory:?}\n");
        place.edit("[server.hashing]", &format!("{backup}\n[server.hashing]"));
        place
    });
    let server = seldom.serve(&[]);
    let start = Instant::now();
    let finished = || {
        let mut names = names_in(shared.path(), "bindery-");
        names.retain(|name| name.ends_with(".backup"));
        names
    };
    // It has made one, and then nothing changes in it.
    let mut own = Vec::new();
    while own.is_empty() || own != finished() {
        assert!(start.elapsed() < Duration::from_secs(60), "{}", server.log());
        own = finished();
        std::thread::sleep(Duration::from_secs(3));
    }
    let server_often = often.serve(&[]);
    let mut seen = BTreeSet::new();
    let mut number = 0;
    while seen.len() < 4 {
        assert!(start.elapsed() < Duration::from_secs(120), "{seen:?}:\n{}", server_often.log());
        number += 1;
        often.run(&["token", "create", &format!("t{number}"), "--account", "portal", "--no-expiry"]).exits(0);
        seen.extend(finished());
        assert!(shared.path().join(&own[0]).exists(), "{seen:?}");
    }
    assert!(finished().len() <= 3, "{:?}", finished());
    server_often.await_log("backups of another store");
    let newest = |place: &Place| {
        let status = place.run(&["status", "--json"]).exits(0).json();
        status["backup"]["newest"].as_str().unwrap().replace(['-', ':'], "")
    };
    std::thread::sleep(Duration::from_secs(2));
    assert!(own[0].contains(&newest(&seldom)), "{own:?}");
    assert!(!own[0].contains(&newest(&often)), "{own:?}");
    drop((server, server_often));
}

/// All three files of a store are damaged: what is sound comes out, and makes a store that starts.
#[test]
fn what_is_sound_of_a_damaged_store_makes_one_that_starts() {
    for round in 0..rounds(2) {
        let place = Place::new(SEED);
        let (server, secrets) = place.serve_first();
        let secret = secret_of(&secrets, "ldapservice-app-password");
        for number in 0..20 {
            place
                .run(&["token", "create", &format!("t{number}"), "--account", "portal", "--no-expiry"])
                .exits(0);
        }
        server.stop();
        // Neither copy is whole, and the newest batches are torn in the middle.
        harm(&place.path("data/journal/checkpoint"), 40 + u64::from(round));
        let batches = names_in(&place.path("data/journal"), "batches.").pop().unwrap();
        let batches = place.path("data/journal").join(batches);
        let length = written(&batches);
        harm(&batches, length / 2 + u64::from(round) * 97);
        let database = place.path("data/store/db");
        let length = written(&database);
        for part in 1..6 {
            harm(&database, length * part / 6 + u64::from(round) * 61);
        }
        let files = content_of(&place.path("data"));
        place.run(&["status"]).exits(4);
        assert_eq!(content_of(&place.path("data")), files, "what is refused is as it was");

        let done = place.run(&["salvage", "--output", "left.backup"]).exits(0);
        assert_eq!(content_of(&place.path("data")), files, "it is read only");
        assert!(done.stdout.contains("left.backup has "), "{}", done.stdout);
        assert_eq!(names_in(&place.path("."), "store"), Vec::<String>::new(), "no copy stays");
        place.run(&["backup", "verify", "left.backup"]).exits(0);
        place.run(&["restore", "left.backup", "--replace"]).exits(0);
        let restored = place.serve(&[]);
        let found = tokens(&place, &[]);
        let kept = (0..20).filter(|number| found.contains(&format!("t{number}"))).count();
        // One batch is torn: one token at most, and what stands in the checkpoint.
        let known = place.run(&["--json", "status"]).exits(0).json();
        assert!(kept >= 18, "round {round}: {found:?}\n{}\n{known}", done.stdout);
        place.run(&["token", "create", "new", "--account", "portal", "--no-expiry"]).exits(0);
        if found.contains("ldapservice-app-password") {
            assert_eq!(bind_as(&restored, &secret), 0);
        }
        // The trail has a gap, and says so; or it has none.
        let verified = place.run(&["event", "verify"]);
        assert!(matches!(verified.status.code(), Some(0 | 1)), "{}", verified.stderr);
    }
}

/// The commands of the page, as an operator types them.
#[test]
fn the_commands_of_the_page_do_what_it_says() {
    let page = include_str!("../../docs/reliability.md");
    let chapter =
        page.split("\n## ").find(|chapter| chapter.starts_with("Backing up and restoring")).unwrap();
    let place = Place::new(SEED);
    place.edit("data_dir = \"data\"", "data_dir = \"data\"\nhttp = [\"127.0.0.1:0\"]");
    let server = place.serve(&[]);
    let mut ran = 0;
    for block in chapter.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()) {
        // What stands behind the first block is done beside a stopped server.
        let is_stopped = block.contains("bindery restore") || block.contains("bindery salvage");
        if is_stopped && server_runs(&place) {
            crate::support::send(server.process(), rustix::process::Signal::TERM);
            let start = Instant::now();
            while server_runs(&place) {
                assert!(start.elapsed() < Duration::from_secs(60));
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        let directory = Path::new(env!("CARGO_BIN_EXE_bindery")).parent().unwrap();
        let path = std::env::var("PATH").unwrap();
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", block])
            .current_dir(place.path("."))
            .env("PATH", format!("{}:{path}", directory.display()))
            .env("BINDERY_CONFIG", place.config())
            .env_remove("BINDERY_SOCKET")
            .output()
            .unwrap();
        assert!(output.status.success(), "{block}\n{}", String::from_utf8_lossy(&output.stderr));
        ran += 1;
    }
    assert!(ran >= 4, "{ran} blocks");
}

fn server_runs(place: &Place) -> bool {
    std::os::unix::net::UnixStream::connect(place.path("data/bindery.sock")).is_ok()
}

/// Makes tokens and revokes every third, until it is over.
fn make_and_revoke(place: &Place, known: &Mutex<Known>, is_over: &AtomicBool) {
    let mut number = 0;
    while !is_over.load(Ordering::Relaxed) {
        number += 1;
        let identifier = format!("token-{number}");
        place.run(&["token", "create", &identifier, "--account", "portal", "--no-expiry"]).exits(0);
        known.lock().unwrap().there.insert(identifier.clone());
        if number % 3 == 0 {
            known.lock().unwrap().ending.insert(identifier.clone());
            place.run(&["token", "revoke", &identifier]).exits(0);
            let mut known = known.lock().unwrap();
            known.there.remove(&identifier);
            known.gone.insert(identifier);
        }
    }
}

/// Says that it is over, also when an assertion fails.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn await_some(known: &Mutex<Known>, count: usize) {
    let start = Instant::now();
    let made = || {
        let known = known.lock().unwrap();
        known.gone.len() + known.there.len()
    };
    while made() < count {
        assert!(start.elapsed() < Duration::from_secs(60), "nothing is changed");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn tokens(place: &Place, more: &[&str]) -> BTreeSet<String> {
    let mut arguments = vec!["--json", "token", "list"];
    arguments.extend(more);
    let listed = place.run(&arguments).exits(0).json();
    let identifier = |token: &Value| token["identifier"].as_str().unwrap().to_owned();
    listed.as_array().unwrap().iter().map(identifier).collect()
}

/// A config with another data directory.
fn config_of(place: &Place, data: &str) -> String {
    let server = SERVER.replace("data_dir = \"data\"", &format!("data_dir = {data:?}"));
    let name = format!("{}.toml", data.replace('/', "-"));
    place.write(&name, &server);
    place.path(&name).to_str().unwrap().to_owned()
}

fn bind_as(server: &Server, secret: &str) -> u32 {
    let mut stream: TcpStream = connect(server.address("ldap"));
    bind(&mut stream, &format!("cn=ldapservice,ou=users,{BASE}"), secret).into()
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

/// What in a directory begins so, in order.
fn names_in(directory: &Path, begin: &str) -> Vec<String> {
    let names = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    names.retain(|name| name.starts_with(begin));
    names.sort();
    names
}

/// Every file of a data directory with its content, but the lock.
fn content_of(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in std::fs::read_dir(next).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                waiting.push(path);
            } else if entry.file_type().unwrap().is_file() && entry.file_name() != "lock" {
                found.push((path.clone(), std::fs::read(path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// How much of a file is not the zeros at its end.
fn written(path: &Path) -> u64 {
    let octets = std::fs::read(path).unwrap();
    octets.iter().rposition(|octet| *octet != 0).map_or(0, |place| place as u64 + 1)
}

fn harm(path: &Path, at: u64) {
    let mut octets = std::fs::read(path).unwrap();
    octets[at as usize] ^= 0x55;
    std::fs::write(path, octets).unwrap();
}

pub(crate) fn fetch_metrics(server: &Server) -> String {
    use std::io::{Read, Write};
    let mut stream = TcpStream::connect(server.address("http")).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}
