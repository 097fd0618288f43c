//! Files in a data directory that are of another time or another life of the store than those beside them.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::faults::{files_of, put_back, state_of};
use crate::support::{Place, SEED};

fn create(place: &Place, token: &str) {
    place.run(&["token", "create", token, "--account", "portal", "--no-expiry"]).exits(0);
}

/// The identifiers of all tokens, of the store or of a backup.
fn tokens(place: &Place, more: &[&str]) -> Vec<String> {
    let listed = place.run(&[&["--json", "token", "list"][..], more].concat()).exits(0).json();
    let names = listed.as_array().unwrap().iter().map(|token| token["identifier"].as_str().unwrap());
    names.map(str::to_owned).collect()
}

fn batches_in(data: &Path) -> Vec<PathBuf> {
    let names = std::fs::read_dir(data.join("journal")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        names.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("batches.")).collect();
    files.sort();
    files
}

fn flip(path: &Path, at: usize) {
    let mut octets = std::fs::read(path).unwrap();
    octets[at] ^= 1;
    std::fs::write(path, octets).unwrap();
}

/// The database alone is older than the journal by a life: what was revoked since does not come back by one flipped bit.
#[test]
fn a_database_of_an_earlier_life_is_not_taken_in_the_place_of_a_damaged_journal() {
    let place = Place::new(SEED);
    let data = place.path("data");
    place.serve_first().0.stop();
    create(&place, "leaked");
    place.run(&["backup", "first.backup"]).exits(0);
    (0..6).for_each(|number| create(&place, &format!("earlier-{number}")));
    let mut earlier = files_of(&data);
    earlier.retain(|name, _| name.starts_with("store"));
    place.run(&["restore", "first.backup", "--replace"]).exits(0);
    place.run(&["token", "revoke", "leaked"]).exits(0);
    create(&place, "later");
    let expected = tokens(&place, &[]);
    std::fs::remove_dir_all(data.join("set-aside")).unwrap();

    std::fs::remove_dir_all(data.join("store")).unwrap();
    let mut mixed = files_of(&data);
    mixed.extend(earlier);
    let batches = batches_in(&data).remove(0);
    let checkpoint = data.join("journal/checkpoint");
    let middle = std::fs::read(&checkpoint).unwrap().len() / 2;
    for (harmed, at) in [(checkpoint, middle), (batches, 30)] {
        put_back(&data, &mixed);
        flip(&harmed, at);
        let before = state_of(&data, &[]);
        for command in [&["serve"][..], &["token", "create", "after", "--account", "portal", "--no-expiry"]] {
            place.run(command).exits(4).says(&["another life"]);
        }
        assert!(state_of(&data, &[]) == before);
        // Nor does it come out of what is sound in all of them.
        let salvaged = place.run(&["salvage", "--output", "left.backup", "--force"]);
        if salvaged.status.code() == Some(0) {
            assert!(salvaged.stdout.contains("left out: the database"), "{}", salvaged.stdout);
            let left = tokens(&place, &["--backup", "left.backup"]);
            assert!(left.iter().all(|token| expected.contains(token)), "{left:?}");
        } else {
            salvaged.exits(4).says(&["left out: the database"]);
        }
        assert!(state_of(&data, &[]) == before);
    }
    // The batches were all that is damaged, and of them only where they begin.
    assert_eq!(tokens(&place, &["--backup", "left.backup"]), expected);
    place.run(&["restore", "left.backup", "--replace"]).exits(0);
    assert_eq!(tokens(&place, &[]), expected);

    // Beside a whole journal it is refused too: the journal may be what was brought here. The refusal says how to go on.
    put_back(&data, &mixed);
    let before = state_of(&data, &[]);
    place.run(&["serve"]).exits(4).says(&["two lives of one", "/store", "`accept`"]);
    assert!(state_of(&data, &[]) == before);
    std::fs::remove_dir_all(data.join("store")).unwrap();
    std::fs::write(data.join("acknowledged"), "accept\n").unwrap();
    create(&place, "after");
    assert!(!tokens(&place, &[]).contains(&"leaked".to_owned()));
}

/// Somebody has copied a file of the journal beside itself.
#[test]
fn an_older_duplicate_of_a_file_of_batches_harms_nothing() {
    let place = Place::new(SEED);
    let data = place.path("data");
    place.serve_first().0.stop();
    create(&place, "one");
    let batches = batches_in(&data).pop().unwrap();
    let older = std::fs::read(&batches).unwrap();
    create(&place, "two");
    let name = batches.file_name().unwrap().to_str().unwrap();
    let number: u64 = name.strip_prefix("batches.").unwrap().parse().unwrap();
    let mut expected = tokens(&place, &[]);
    for later in [1, 2, 90] {
        std::fs::write(batches.with_file_name(format!("batches.{:020}", number + later)), &older).unwrap();
        let server = place.serve(&[]);
        assert_eq!(tokens(&place, &[]), expected);
        create(&place, &format!("acknowledged-{later}"));
        expected = tokens(&place, &[]);
        place.run(&["backup", "now.backup", "--force"]).exits(0);
        assert_eq!(tokens(&place, &["--backup", "now.backup"]), expected);
        // What is written to is what is read.
        drop(server);
        std::fs::remove_dir_all(data.join("store")).unwrap();
        assert_eq!(tokens(&place, &[]), expected);
        place.serve(&[]).stop();
        assert_eq!(tokens(&place, &[]), expected);
    }
}

/// What a copy of a store in use may have: the files of batches as of before a checkpoint, and that checkpoint.
#[test]
fn a_copy_of_a_store_in_use_is_made_whole_or_refused() {
    let place = Place::new(SEED);
    let data = place.path("data");
    let (server, _) = place.serve_first();
    let before = batches_in(&data);
    let early = std::fs::read(&before[0]).unwrap();
    let photo = "A".repeat(40_000);
    let start = Instant::now();
    let mut number = 0;
    while before[0].exists() {
        assert!(start.elapsed() < Duration::from_secs(300), "no checkpoint was made");
        let people = (0..100).map(|_| {
            number += 1;
            format!(
                "dn: cn=user{number},ou=users,dc=ldap,dc=example,dc=com\nobjectClass: inetOrgPerson\n\
                 cn: user{number}\nsn: x\ndescription: {photo}\n\n"
            )
        });
        place.write("people.ldif", &people.collect::<String>());
        place.run(&["import", "people.ldif"]).exits(0);
    }
    server.stop();
    batches_in(&data).iter().for_each(|file| std::fs::remove_file(file).unwrap());
    std::fs::write(&before[0], early).unwrap();
    let copied = files_of(&data);

    std::fs::remove_dir_all(data.join("store")).unwrap();
    let unchanged = state_of(&data, &[]);
    place.run(&["serve"]).exits(4).says(&["batches.", "is missing"]);
    assert!(state_of(&data, &[]) == unchanged);

    put_back(&data, &copied);
    let server = place.serve(&[]);
    server.await_log("the journal was made anew of the database");
    create(&place, "acknowledged");
    place.run(&["backup", "now.backup"]).exits(0);
    let expected = tokens(&place, &[]);
    server.stop();
    std::fs::remove_dir_all(data.join("store")).unwrap();
    assert_eq!(tokens(&place, &[]), expected);
    place.serve(&[]).stop();
    assert!(tokens(&place, &[]).contains(&"acknowledged".to_owned()));
}

/// A copy of this very store, of the same life, was tried out: its checkpoint, as far as ours, comes back by a copy of files.
#[test]
fn a_checkpoint_of_a_copy_that_went_on_by_itself_is_made_up_for() {
    let place = Place::new(SEED);
    let (data, checkpoint) = (place.path("data"), place.path("data/journal/checkpoint"));
    place.serve_first().0.stop();
    let before = files_of(&data);
    // A start makes the journal anew of the database, and so a checkpoint of now.
    let go_on = |token: &str| {
        create(&place, token);
        flip(&checkpoint, std::fs::read(&checkpoint).unwrap().len() / 2);
        place.run(&["account", "deactivate", "bob"]).exits(0);
        std::fs::remove_dir_all(data.join("set-aside")).unwrap();
        files_of(&data)
    };
    let ours = go_on("production");
    put_back(&data, &before);
    let theirs = go_on("tried-out");
    put_back(&data, &ours);
    std::fs::write(&checkpoint, &theirs[Path::new("journal/checkpoint")]).unwrap();
    place.serve(&[]).stop();
    let there = tokens(&place, &[]);
    assert!(
        there.contains(&"production".to_owned()) && !there.contains(&"tried-out".to_owned()),
        "{there:?}"
    );
}
