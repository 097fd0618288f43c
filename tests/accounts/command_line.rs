//! The command line with the real binary: exit codes, messages, files, the running server's socket.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bindery::inside::model::{Account, AccountKind, Change, Group, GroupNumber, Record};
use bindery::inside::store::{Batch, DiskStore, Store};

use crate::support::octets::{element, final_code, read_message, search};
use crate::support::{Place, SEED, plain, read_secrets, secret_of};
use rustix::process::Signal;

fn mode_of(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

// ---- usage ---------------------------------------------------------------------------------------------

#[test]
fn wrong_usage_is_2() {
    let place = Place::new(SEED);
    place.run(&[]).exits(2);
    place.run(&["fly"]).exits(2);
    place.run(&["token", "create", "x"]).exits(2).says(&["--account"]);
    place.run(&["token", "create", "x", "--account", "a", "--expires", "soon"]).exits(2).says(&["90d"]);
    place
        .run(&["token", "create", "x", "--account", "a", "--expires", "9d", "--no-expiry"])
        .exits(2)
        .says(&["cannot be used with"]);
    place.run(&["import", "x.ldif", "--users", "people"]).exits(2).says(&["ou=people:uid"]);
    place.run(&["serve", "--ldap", "localhost"]).exits(2).says(&["127.0.0.1:3389"]);
    place.run(&["serve", "--json"]).exits(2);
}

#[test]
fn a_command_without_a_directory_is_2() {
    let place = Place::new(SEED);
    let output = place.command(&["token", "list"]).env_remove("BINDERY_CONFIG").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--config FILE or --socket PATH"));
}

#[test]
fn which_directory_is_said_before_a_command_or_behind_it() {
    let place = Place::new(SEED);
    place.run(&["apply"]).exits(0);
    let config = place.config().display().to_string();
    for arguments in [
        ["--config", &config, "account", "list"],
        ["account", "--config", &config, "list"],
        ["account", "list", "--config", &config],
    ] {
        let done = place.command(&arguments).env_remove("BINDERY_CONFIG").output().unwrap();
        assert!(done.status.success() && !done.stdout.is_empty(), "{arguments:?}: {done:?}");
    }
    // Who asks no server, or needs no directory, takes none without a word.
    for arguments in [
        &["serve", "--socket", "s"][..],
        &["check", "--socket", "s"],
        &["salvage", "--socket", "s"],
        &["restore", "f", "--socket", "s"],
        &["certificate", "--config", "c"],
        &["completions", "bash", "--socket", "s"],
        &["man", "--config", "c"],
        &["backup", "verify", "b", "--socket", "s"],
        &["salvage", "--data-dir", "d", "--config", "c"],
        &["account", "list", "--backup", "b", "--socket", "s"],
    ] {
        place.run(arguments).exits(2).says(&["leave"]);
    }
    place.run(&["account", "list", "--config", &config, "--socket", "s"]).exits(2).says(&["one of them"]);
    for command in ["serve", "check", "apply", "salvage"] {
        let done = place.command(&[command]).env_remove("BINDERY_CONFIG").output().unwrap();
        assert_eq!(done.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&done.stderr).contains("BINDERY_CONFIG"), "{done:?}");
    }
}

#[test]
fn help_and_version_are_0() {
    let place = Place::new(SEED);
    for arguments in [&["--help"][..], &["--version"], &["serve", "--help"], &["token", "create", "--help"]] {
        let done = place.run(arguments).exits(0);
        assert!(!done.stdout.is_empty() && done.stderr.is_empty());
    }
}

// ---- certificate ---------------------------------------------------------------------------------------

#[test]
fn certificates_are_made_once() {
    let place = Place::new(SEED);
    let made = place.run(&["certificate", "--dir", "certs", "--json"]).exits(0).json();
    assert_eq!(made["created"], true);
    let key = place.read("certs/server.key");
    assert_eq!(mode_of(&place.path("certs/server.key")), 0o600);
    let again = place.run(&["certificate", "--dir", "certs", "--json"]).exits(0).json();
    assert_eq!(again["created"], false);
    assert_eq!(place.read("certs/server.key"), key);
    std::fs::remove_file(place.path("certs/server.pem")).unwrap();
    place.run(&["certificate", "--dir", "certs"]).exits(1).says(&["server.pem", "move the remaining files"]);
}

// ---- check ---------------------------------------------------------------------------------------------

#[test]
fn check_accepts_what_is_right_and_makes_nothing() {
    let place = Place::new(SEED);
    place.run(&["check"]).exits(0);
    assert_eq!(place.run(&["check", "--json"]).exits(0).json()["ok"], true);
    assert!(!place.path("data").exists());
}

#[test]
fn check_tells_all_problems_with_file_line_and_key() {
    let place = Place::new(SEED);
    place.edit("email = \"alice@example.com\"", "mail = \"alice@example.com\"\nis_active = \"yes\"");
    let done = place.run(&["check"]).exits(3).says(&["account.mail", "account.is_active", "bindery.toml:"]);
    assert_eq!(done.stdout, "");
    let document = place.run(&["check", "--json"]).exits(3).json();
    assert_eq!(document["ok"], false);
    let problems = document["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 2, "{problems:?}");
    let text = place.read("bindery.toml");
    let line = 1 + text.lines().position(|line| line.starts_with("mail")).unwrap();
    assert_eq!(problems[0]["line"], line);
    assert_eq!(problems[1]["line"], line + 1);
}

#[test]
fn check_tells_of_missing_listeners_beside_all_else() {
    let place = Place::new(SEED);
    let told = |expected: &[&str]| {
        let document = place.run(&["check", "--json"]).exits(3).json();
        let problems = document["problems"].as_array().unwrap();
        let keys: Vec<&str> = problems.iter().map(|problem| problem["key"].as_str().unwrap()).collect();
        assert_eq!(keys, expected, "{problems:?}");
        assert!(problems.iter().all(|problem| problem["line"].is_u64()), "{problems:?}");
    };
    place.edit("ldap = [\"127.0.0.1:0\"]", "ldap = []");
    place.edit("email = \"alice@example.com\"", "mail = \"alice@example.com\"");
    told(&["server.ldap", "account.mail"]);
    // What was listed and is wrong is said once.
    place.edit("ldap = []", "ldap = [\"localhost:389\"]");
    told(&["server.ldap", "account.mail"]);
    place.edit("ldap = [\"localhost:389\"]", "ldaps = [\"127.0.0.1:0\"]");
    told(&["server.ldaps", "account.mail"]);
}

#[test]
fn check_finds_names_that_do_not_exist() {
    let place = Place::new(SEED);
    place.edit("members = [\"alice\"]", "members = [\"alcie\"]");
    place.run(&["check"]).exits(3).says(&["alcie", "did you mean \"alice\"", "bindery.toml:"]);
    place.run(&["apply"]).exits(3).says(&["alcie"]);
    place.run(&["serve"]).exits(3).says(&["alcie"]);
}

/// What only the store knows is told where it stands, as what the file alone tells.
#[test]
fn what_the_store_refuses_is_told_with_line_and_key() {
    let place = Place::new(&format!(
        "{SEED}\n[[group]]\nname = \"a\"\nparents = [\"b\"]\n[[group]]\nname = \"b\"\nparents = [\"a\"]\n"
    ));
    place.edit("email = \"alice@example.com\"", "email = \"alice@example@com\"");
    place.edit("username = \"bob\"", &format!("username = \"{}\"", "b".repeat(151)));
    let text = place.read("bindery.toml");
    let line = |begins: &str| 1 + text.lines().position(|line| line.starts_with(begins)).unwrap();
    let email = format!("bindery.toml:{}:", line("email = "));
    let name = format!("bindery.toml:{}:", line("username = \"bbb"));
    for command in [&["check"][..], &["apply"], &["apply", "--dry-run"], &["serve"]] {
        place.run(command).exits(3).says(&[
            "error: account.email: ",
            &email,
            "error: account.username: ",
            &name,
            "no mail address",
        ]);
    }
    let document = place.run(&["check", "--json"]).exits(3).json();
    assert_eq!(document["problems"][0]["key"], "account.email", "{document}");
    assert_eq!(document["problems"][0]["line"], line("email = "));

    // A circle is there once both groups are, and is told of one of them at the key that makes it.
    place.edit("email = \"alice@example@com\"", "email = \"alice@example.com\"");
    place.edit(&"b".repeat(151), "bob");
    let circle = format!("bindery.toml:{}:", line("parents = "));
    for command in ["check", "apply"] {
        place.run(&[command]).exits(3).says(&["error: group.parents: ", &circle, "would be a circle"]);
    }

    // The same over the socket of a server.
    place.edit("parents = [\"b\"]", "parents = []");
    let (server, _) = place.serve_first();
    place.edit("parents = []", "parents = [\"b\"]");
    place.run(&["apply"]).exits(3).says(&["error: group.parents: ", "bindery.toml:", "would be a circle"]);
    assert!(server.stop().0.success());
}

/// Groups in each other, and what names and addresses may not be any more, from before there was a rule.
#[test]
fn check_and_apply_warn_of_what_is_stored_against_a_rule() {
    let place = Place::new(SEED);
    place.run(&["apply"]).exits(0);
    assert_eq!(place.run(&["check", "--json"]).exits(0).json()["warnings"], serde_json::json!([]));
    let store = DiskStore::open(&place.path("data")).unwrap();
    let meta = store.load(&mut |_| {}).unwrap();
    let group = |number: u32, name: &str, parent: u32| {
        let parents = vec![GroupNumber::new(parent)];
        Change::Put(Record::Group(Group { parents, ..plain::group(number, name) }))
    };
    let old = plain::account(902, " old ");
    let old = Account { kind: AccountKind::Internal, email: "old at example.com".to_owned(), ..old };
    let changes = vec![group(900, "left", 901), group(901, "right", 900), Change::Put(Record::Account(old))];
    store
        .commit(&Batch { changes, counters: meta.counters, seeded: meta.seeded, ..Batch::default() })
        .unwrap();
    drop(store);

    let told = [
        "warning: groups cannot be in each other: `",
        "\" old \" has a name with blanks",
        "\"old at example.com\" is no mail",
    ];
    for command in [&["check"][..], &["apply", "--dry-run"], &["apply"]] {
        place.run(command).exits(0).says(&told);
    }
    let warnings = place.run(&["check", "--json"]).exits(0).json()["warnings"].clone();
    assert_eq!(warnings.as_array().unwrap().len(), 3, "{warnings}");
    // It may be changed in what does not make it worse, and put right.
    place.run(&["account", "set", " old ", "--full-name", "Old"]).exits(0);
    place.run(&["account", "set", " old ", "--email", "still@example@com"]).exits(3).says(&["no mail"]);
    place.run(&["account", "set", " old ", "--email", "old@example.com", "--rename", "old"]).exits(0);
    let server = place.serve(&[]);
    let warnings = place.run(&["check", "--json"]).exits(0).json()["warnings"].clone();
    assert_eq!(warnings.as_array().unwrap().len(), 1, "{warnings}");
    assert!(server.stop().0.success());
}

/// Somebody else has what the config needs: nothing is changed before that is put right.
#[test]
fn what_stands_in_the_way_of_an_apply_is_told_and_is_1() {
    let place = Place::new(SEED);
    place.run(&["apply"]).exits(0);
    place.run(&["token", "create", "t", "--account", "alice"]).exits(0);
    let config = place.read("bindery.toml");
    let more = "\n[[token]]\nidentifier = \"t\"\naccount = \"portal\"\n[[group]]\nname = \"new\"\n";
    place.write("bindery.toml", &format!("{config}{more}"));
    const TOLD: &str = "the token `t` cannot be as the config says";
    let whose = "a token of `alice`, not of `portal`, made by the operator at ";
    let done = place.run(&["apply", "--dry-run"]).exits(1).says(&[TOLD, whose]);
    assert!(done.stdout.contains("x token t (") && done.stdout.contains(whose), "{}", done.stdout);
    let done = place.run(&["apply"]).exits(1).says(&[TOLD, whose]);
    assert!(done.stdout.is_empty(), "{}", done.stdout);
    place.run(&["group", "show", "new"]).exits(1);
    // Whoever asks before is told the same, with its line.
    let line = 1 + place.read("bindery.toml").lines().position(|line| line == "identifier = \"t\"").unwrap();
    let place_of = format!("bindery.toml:{line}:");
    let done = place.run(&["check"]).exits(1).says(&["token.identifier", TOLD, &place_of]);
    assert!(done.stdout.is_empty(), "{}", done.stdout);
    let told = place.run(&["check", "--json"]).exits(1).json();
    assert_eq!((&told["ok"], &told["problems"][0]["line"]), (&false.into(), &line.into()), "{told}");
    // What is wrong with the config itself comes before.
    place.write("wrong.toml", &format!("{config}{more}members = [\"nobody\"]\n"));
    place.run(&["check", "--config", "wrong.toml"]).exits(3).says(&["no account \"nobody\""]);
    let done = place.run(&["apply", "--dry-run"]).exits(1);
    assert!(
        done.stdout.ends_with("nothing is changed before this is put right: 1 in the way\n"),
        "{}",
        done.stdout
    );
    place.run(&["token", "revoke", "t"]).exits(0);
    place.run(&["check"]).exits(0);
    place.run(&["apply", "--recreate", "t", "--secrets-file", "again.json"]).exits(0);
}

/// No permission is missing where it is not said what to import into.
#[test]
fn an_import_that_names_no_provider_is_3() {
    let place = Place::new(SEED);
    place.edit("default = true", "default = false");
    let config = place.read("bindery.toml");
    let other = "\n[[provider]]\nname = \"other\"\nbase_dn = \"dc=other\"\n";
    place.write("bindery.toml", &format!("{config}{other}"));
    place.run(&["apply"]).exits(0);
    place.write(
        "in.ldif",
        "dn: uid=zoe,ou=people,dc=other\nobjectClass: inetOrgPerson\nuid: zoe\ncn: Z\nsn: Z\n",
    );
    let people = ["--users", "ou=people:uid"];
    let done = place.run(&[&["import", "in.ldif"][..], &people].concat()).exits(3);
    done.says(&["there is no default provider; name the one to import into"]);
    place.run(&[&["import", "in.ldif", "--provider", "other"][..], &people].concat()).exits(0);
}

/// Nothing is made whose secret nobody would see, as far as that can be known before; else it is said how to get another.
#[test]
fn a_secret_that_cannot_be_printed_is_not_lost_without_a_word() {
    let place = Place::new(SEED);
    place.run(&["apply"]).exits(0);
    place.run(&["token", "create", "t", "--account", "portal"]).exits(0);
    let shell = |command: &str, to: &str| {
        let mut shell = std::process::Command::new("sh");
        let bindery = place.command(&[]).get_program().to_string_lossy().into_owned();
        shell.env("BINDERY_CONFIG", place.config()).env("NO_COLOR", "1").current_dir(place.path("."));
        let done = shell.arg("-c").arg(format!("{bindery} {command} {to}")).output().unwrap();
        (done.status.code(), String::from_utf8(done.stderr).unwrap())
    };
    let state = || place.run(&["export", "--format", "json"]).exits(0).stdout;
    place.write(
        "more.toml",
        &format!("{}\n[[token]]\nidentifier = \"u\"\naccount = \"portal\"\n", place.read("bindery.toml")),
    );
    let before = state();
    for command in [
        "account create x",
        "account create x --json",
        "token create u --account portal",
        "token create u --account portal --json",
        "token rotate t",
        "token rotate t --json",
        "apply --config more.toml --json",
    ] {
        for to in [">/dev/full", ">&-", "1</dev/null"] {
            let (code, said) = shell(command, to);
            assert_eq!(code, Some(1), "{command} {to}: {said}");
            assert!(said.contains("nothing was changed: standard output"), "{command} {to}: {said}");
        }
        assert_eq!(state(), before, "{command}");
    }
    // What could be written to takes nothing after all: here a pipe whose reader has gone.
    for (command, made) in [
        ("account create x", "the service account x was made"),
        ("token create u --account portal --json", "the token u of portal was made"),
        ("token rotate t", "the token t of portal was rotated"),
    ] {
        let (_, said) = shell(&format!("{command} 2>said"), "| true; sleep 0");
        assert_eq!(said, "");
        let said = place.read("said");
        let is_told = said.contains(made) && said.contains("bindery token rotate");
        // Unless the other end was slow to go.
        assert!(is_told || !said.contains("error"), "{said}");
    }
    // Who wants to see nothing of it may say so.
    assert_eq!(shell("token rotate t", ">/dev/null").0, Some(0));
}

/// The seed is in the store: what becomes of it in the config keeps nobody from being served.
#[test]
fn a_seeded_store_is_served_whatever_has_become_of_the_seed() {
    let token = "\n[[token]]\nidentifier = \"t\"\naccount = \"portal\"\nsecret_file = \"t.secret\"\n";
    let place = Place::new(&format!("{SEED}{token}"));
    place.write("t.secret", "correct horse battery staple");
    let (server, _) = place.serve_first();
    assert!(!server.log().contains("not as they should be"), "{}", server.log());
    assert!(server.stop().0.success());

    std::fs::remove_file(place.path("t.secret")).unwrap();
    let (status, log) = place.serve(&[]).stop();
    assert!(status.success() && !log.contains("t.secret"), "nobody looks at it:\n{log}");
    place.edit("name = \"ldap-search\"", "nam = \"ldap-search\"");
    let text = place.read("bindery.toml");
    let line = 1 + text.lines().position(|line| line.starts_with("nam = ")).unwrap();
    let (status, log) = place.serve(&[]).stop();
    assert!(status.success(), "{log}");
    assert!(log.contains(&format!("bindery.toml:{line}:1: role.nam: there is no such key")), "{log}");
    for command in ["check", "apply"] {
        place.run(&[command]).exits(3).says(&["role.nam", "token.secret_file", "cannot be read"]);
    }
    // `[server]` must be right, and a store that never was seeded needs all of it.
    place.edit("data_dir = ", "data_dri = ");
    place.run(&["serve"]).exits(3).says(&["server.data_dri", "role.nam", "token.secret_file"]);
    place.edit("data_dri = ", "data_dir = ");
    let unseeded = place.path("unseeded").display().to_string();
    place.run(&["serve", "--data-dir", &unseeded]).exits(3).says(&["role.nam", "token.secret_file"]);
    assert!(!place.path("unseeded").exists(), "a refused start makes nothing");
    drop(DiskStore::open(&place.path("unseeded")).unwrap());
    place.run(&["serve", "--data-dir", &unseeded]).exits(3).says(&["role.nam", "token.secret_file"]);
}

#[test]
fn check_reads_certificates_and_secret_files() {
    let place = Place::new(SEED);
    place.edit(
        "[server.hashing]",
        "[server.tls]\ncertificate = \"none.pem\"\nkey = \"none.key\"\n\n[server.hashing]",
    );
    place.run(&["check"]).exits(3).says(&["none.pem does not exist"]);
    place.run(&["serve"]).exits(3).says(&["none.pem does not exist"]);
    assert!(!place.path("data").exists(), "a bad config never half-applies");

    let place = Place::new(&format!(
        "{SEED}\n[[token]]\nidentifier = \"t\"\naccount = \"portal\"\nsecret_file = \"t\"\n"
    ));
    place.run(&["check"]).exits(3).says(&["token.secret_file", "cannot be read"]);
}

#[test]
fn check_knows_which_secrets_an_api_token_can_have() {
    let place = Place::new(SEED);
    let config = place.read("bindery.toml");
    let token = "\n[[token]]\nidentifier = \"t\"\naccount = \"portal\"\nintent = \"api\"\nsecret_file = \"t.secret\"\n";
    place.write("bindery.toml", &format!("{config}{token}"));
    place.write("t.secret", &"x".repeat(31));
    place.run(&["check"]).exits(3).says(&["token.secret", "at least 32 characters"]);
    place.write("t.secret", &"x".repeat(32));
    place.run(&["check"]).exits(0);
}

#[test]
fn a_config_that_is_not_there_is_3() {
    let place = Place::new(SEED);
    for command in ["check", "apply", "serve"] {
        place.run(&[command, "--config", "none.toml"]).exits(3).says(&["none.toml"]);
    }
}

// ---- apply ---------------------------------------------------------------------------------------------

#[test]
fn apply_twice_changes_nothing() {
    let place = Place::new(SEED);
    let first = place.run(&["apply", "--json"]).exits(0).json();
    assert!(first["changes"].as_array().unwrap().iter().any(|change| change["name"] == "alice"));
    let secret = secret_of(&first["secrets"], "ldapservice-app-password");
    assert!(secret.starts_with("bindery_app_"));
    assert_eq!(first["secrets"].as_array().unwrap().len(), 2);

    let again = place.run(&["apply", "--json"]).exits(0).json();
    assert_eq!(again["changes"], serde_json::json!([]));
    assert_eq!(again["secrets"], serde_json::json!([]));
    let words = place.run(&["apply"]).exits(0);
    assert!(words.stdout.contains("nothing to change"), "{}", words.stdout);
}

#[test]
fn a_dry_run_changes_nothing() {
    let place = Place::new(SEED);
    let done = place.run(&["apply", "--dry-run"]).exits(0).says(&["ldapservice-app-password"]);
    assert!(done.stdout.contains("+ account alice"), "{}", done.stdout);
    assert!(!place.path("data").exists());

    place.run(&["apply", "--secrets-file", "s.json"]).exits(0);
    place.edit("name = \"Alice Adams\"", "name = \"Alice Baker\"");
    let before = place.run(&["status", "--json"]).exits(0).json()["revision"].clone();
    let done = place.run(&["apply", "--dry-run"]).exits(0);
    assert!(
        done.stdout.contains("~ account alice") && done.stdout.contains("Alice Baker"),
        "{}",
        done.stdout
    );
    assert_eq!(place.run(&["status", "--json"]).exits(0).json()["revision"], before);
    let done = place.run(&["apply"]).exits(0);
    assert!(done.stdout.contains("~ account alice"), "{}", done.stdout);
    assert_ne!(place.run(&["status", "--json"]).exits(0).json()["revision"], before);
}

#[test]
fn secrets_go_to_the_file_that_is_named() {
    let place = Place::new(SEED);
    let done = place.run(&["apply", "--secrets-file", "out.json"]).exits(0).says(&["out.json"]);
    let file = place.path("out.json");
    assert_eq!(mode_of(&file), 0o600);
    let secrets = read_secrets(&file);
    let secret = secret_of(&secrets, "ldapservice-app-password");
    assert!(!done.stdout.contains(&secret) && !done.stderr.contains(&secret));
    assert_eq!(secrets[0]["intent"], "app_password");
    assert!(secrets[0]["expires"].is_string());
}

#[test]
fn a_secrets_file_is_never_overwritten_and_then_nothing_happens() {
    let place = Place::new(SEED);
    place.write("out.json", "mine");
    place.run(&["apply", "--secrets-file", "out.json"]).exits(1).says(&["out.json", "never overwritten"]);
    assert_eq!(place.read("out.json"), "mine");
    let again = place.run(&["apply", "--json"]).exits(0).json();
    assert_eq!(again["secrets"].as_array().unwrap().len(), 2, "nothing had been applied");
}

#[test]
fn secrets_without_a_terminal_go_to_the_data_directory() {
    let place = Place::new(SEED);
    place.run(&["apply"]).exits(0).says(&["data/secrets-"]);
    let files: Vec<_> = std::fs::read_dir(place.path("data"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("secrets-"))
        .collect();
    assert_eq!(files.len(), 1);
    assert_eq!(mode_of(&files[0]), 0o600);
    assert_eq!(read_secrets(&files[0]).as_array().unwrap().len(), 2);
    assert_eq!(mode_of(&place.path("data")), 0o700);
}

#[test]
fn what_was_deleted_stays_so_until_it_is_recreated() {
    let token = "[[token]]\nidentifier = \"cloud\"\naccount = \"portal\"\n";
    let place = Place::new(&format!("{SEED}\n{token}"));
    place.run(&["apply", "--json"]).exits(0);
    place.run(&["token", "revoke", "cloud"]).exits(0);
    place.run(&["account", "delete", "bob", "--yes"]).exits(0);
    let done = place.run(&["apply"]).exits(0);
    assert!(done.stdout.contains("! account bob"), "{}", done.stdout);
    assert!(done.stdout.contains("! token cloud"), "{}", done.stdout);
    let arguments = ["apply", "--json", "--recreate", "bob", "--recreate", "cloud"];
    let again = place.run(&arguments).exits(0).json();
    secret_of(&again["secrets"], "cloud");
    assert!(place.run(&["access", "explain", "bob"]).exits(0).stdout.contains("may bind"));
}

#[test]
fn prune_deletes_what_is_not_in_the_config() {
    let place = Place::new(SEED);
    place.run(&["apply", "--json"]).exits(0);
    place.edit("[[account]]\nusername = \"bob\"\nname = \"Bob Brown\"\n", "");
    let done = place.run(&["apply"]).exits(0);
    assert!(done.stdout.contains("nothing to change"), "{}", done.stdout);
    let done = place.run(&["apply", "--prune"]).exits(0);
    assert!(done.stdout.contains("- account bob"), "{}", done.stdout);
    place.run(&["access", "explain", "bob"]).exits(1).says(&["bob"]);
}

#[test]
fn changes_that_add_entries_are_imported() {
    let place = Place::new(SEED);
    place.run(&["apply", "--json"]).exits(0);
    place.write(
        "changes.ldif",
        "dn: uid=ivy,ou=people,dc=ldap,dc=example,dc=com\nchangetype: add\nobjectClass: inetOrgPerson\nuid: ivy\n\
         cn: Ivy Irving\nsn: Irving\n\n\
         dn: uid=alice,ou=people,dc=ldap,dc=example,dc=com\nchangetype: delete\n",
    );
    let file = place.path("changes.ldif");
    let done = place.run(&["import", "--users", "ou=people:uid", file.to_str().unwrap()]).exits(0);
    let left_out = "line 9 (uid=alice,ou=people,dc=ldap,dc=example,dc=com)";
    assert!(
        done.stdout.contains("(changetype: delete)") && done.stdout.contains(left_out),
        "{}",
        done.stdout
    );
    assert!(place.run(&["account", "show", "ivy"]).exits(0).stdout.contains("Ivy Irving"));
    place.run(&["account", "show", "alice"]).exits(0);
}

// ---- tokens, accounts, access --------------------------------------------------------------------------

#[test]
fn tokens_are_made_listed_and_revoked() {
    let place = Place::new(SEED);
    place.run(&["token", "list"]).exits(1).says(&["there is no store", "bindery apply"]);
    place.run(&["apply", "--json"]).exits(0);
    let made = place.run(&[
        "token",
        "create",
        "cloud",
        "--account",
        "portal",
        "--expires",
        "90d",
        "--description",
        "Cloud on web-3",
        "--network",
        "10.2.0.0/16",
        "--json",
    ]);
    let made = made.exits(0).json();
    assert_eq!((&made["account"], &made["identifier"]), (&"portal".into(), &"cloud".into()));
    assert!(made["secret"].as_str().unwrap().starts_with("bindery_app_"));
    assert!(made["expires"].is_string());
    let api = place.run(&["token", "create", "api", "--account", "portal", "--intent", "api", "--no-expiry"]);
    let api = api.exits(0).says(&["expires: never"]);
    assert!(api.stdout.starts_with("bindery_api_") && api.stdout.lines().count() == 1, "{}", api.stdout);

    place.run(&["token", "create", "cloud", "--account", "portal"]).exits(1).says(&["already"]);
    place.run(&["token", "create", "x", "--account", "nobody"]).exits(1).says(&["nobody"]);

    let list = place.run(&["token", "list", "--account", "portal", "--json"]).exits(0).json();
    let identifiers: Vec<_> =
        list.as_array().unwrap().iter().map(|token| token["identifier"].clone()).collect();
    assert_eq!(identifiers, ["api", "cloud", "portal-app-password"]);
    assert!(list.as_array().unwrap().iter().all(|token| token.get("secret").is_none()));
    let words = place.run(&["token", "list"]).exits(0).stdout;
    assert!(
        words.contains("Cloud on web-3") && words.contains("10.2.0.0/16") && words.contains("never"),
        "{words}"
    );
    assert!(!words.contains('\u{1b}'));

    place.run(&["token", "revoke", "cloud"]).exits(0);
    place.run(&["token", "revoke", "cloud"]).exits(1).says(&["cloud"]);
}

#[test]
fn an_account_that_is_not_described_as_asked_is_told_by_the_exit_code() {
    let place = Place::new(SEED);
    place.run(&["apply"]).exits(0);
    let create = ["account", "create", "robot", "--email", "no address", "--json"];
    let made = place.run(&create).exits(3).says(&["was made, but not described", "email"]);
    // Its secret is shown all the same.
    let secret = made.json()["secret"].as_str().unwrap().to_owned();
    assert!(!secret.is_empty());
    place.run(&["account", "show", "robot"]).exits(0);
    // What cannot be meant is found before anything is made.
    let create = ["account", "create", "other", "--attribute", "no attribute"];
    place.run(&create).exits(2);
    place.run(&["account", "show", "other"]).exits(1);
}

#[test]
fn what_is_not_there_is_1_wherever_it_is_named() {
    let place = Place::new(SEED);
    place.run(&["apply"]).exits(0);
    place.run(&["role", "create", "r"]).exits(0);
    place.run(&["application", "create", "app", "--provider", "ldap"]).exits(0);
    let kinds = ["account", "group", "role", "token", "application", "provider"];
    for object in kinds.map(|kind| format!("{kind}:absent")) {
        for words in [
            &["grant", "add", "alice", "view_user", "--on"][..],
            &["grant", "remove", "alice", "view_user", "--on"],
            &["role", "grant", "r", "view_user", "--on"],
        ] {
            place.run(&[words, &[&object]].concat()).exits(1).says(&["there is no", "absent"]);
        }
    }
    let uuid = "7d444840-9dc0-11d1-b245-5ffdce74fad2";
    for words in [
        &["grant", "add", "absent", "view_user"][..],
        &["grant", "list", "absent"],
        &["account", "show", "absent"],
        &["account", "set", "absent", "--email", "a@example.com"],
        &["account", "list", "--group", "absent"],
        &["account", "activate", "absent"],
        &["account", "unlock", "absent"],
        &["account", "delete", "absent", "--yes"],
        &["group", "create", "g", "--parent", "absent"],
        &["group", "create", "g", "--role", "absent"],
        &["group", "list", "--account", "absent"],
        &["group", "add", "absent", "alice"],
        &["group", "delete", "absent", "--yes"],
        &["role", "show", "absent"],
        &["role", "add", "r", "absent"],
        &["role", "add", "absent", "alice"],
        &["token", "create", "t", "--account", "absent"],
        &["token", "list", "--account", "absent"],
        &["token", "set", "absent", "--no-expiry"],
        &["token", "rotate", "absent"],
        &["token", "revoke", "absent"],
        &["application", "create", "b", "--provider", "absent"],
        &["application", "set", "absent", "--name", "x"],
        &["application", "bind", "app", "--group", "absent"],
        &["application", "bind", "absent", "--group", "absent"],
        &["application", "unbind", "app", uuid, "--yes"],
        &["provider", "show", "absent"],
        &["provider", "set", "absent", "--default", "true"],
        &["access", "explain", "absent"],
        &["access", "explain", "alice", "--provider", "absent"],
        &["event", "show", "logins:77"],
        &["import", "bindery.toml", "--provider", "absent"],
    ] {
        place.run(words).exits(1);
    }
}

#[test]
fn tokens_are_changed_and_rotated() {
    let place = Place::new(SEED);
    place.run(&["apply", "--json"]).exits(0);
    let made = place.run(&["token", "create", "cloud", "--account", "portal", "--json"]).exits(0).json();
    let set = ["token", "set", "cloud", "--description", "Cloud", "--network", "10.2.0.0/16", "--no-expiry"];
    place.run(&set).exits(0);
    let list = |name: &str| {
        let list = place.run(&["token", "list", "--json"]).exits(0).json();
        list.as_array().unwrap().iter().find(|token| token["identifier"] == name).cloned().unwrap()
    };
    let token = list("cloud");
    assert_eq!((&token["description"], &token["networks"][0]), (&"Cloud".into(), &"10.2.0.0/16".into()));
    assert!(token["expires"].is_null());
    place.run(&["token", "set", "cloud", "--any-network", "--expires", "9d"]).exits(0);
    assert!(list("cloud")["expires"].is_string() && list("cloud")["networks"][0].is_null());
    assert_eq!(list("cloud")["description"], "Cloud", "what is not named stays");
    place.run(&["token", "set", "cloud"]).exits(2).says(&["--description"]);
    place.run(&["token", "set", "nobody", "--no-expiry"]).exits(1).says(&["nobody"]);

    let rotated = place.run(&["token", "rotate", "cloud", "--overlap", "24h", "--json"]).exits(0).json();
    assert_eq!((&rotated["account"], &rotated["identifier"]), (&"portal".into(), &"cloud".into()));
    assert_eq!(rotated["intent"], "app_password");
    assert!(rotated["secret"] != made["secret"] && rotated["expires"].is_string());
    let words = place.run(&["token", "list"]).exits(0).stdout;
    assert!(words.contains("cloud-replaced-until-"), "{words}");
    let plain = place.run(&["token", "rotate", "cloud"]).exits(0).says(&["shown once"]);
    assert!(plain.stdout.starts_with("bindery_app_") && plain.stdout.lines().count() == 1);
    place.run(&["token", "rotate", "cloud", "--overlap", "soon"]).exits(2).says(&["24h"]);
    place.run(&["token", "rotate", "cloud", "--overlap", "91d"]).exits(3).says(&["shorter overlap"]);
    place.run(&["token", "view-key", "cloud"]).exits(1).says(&["retrievable"]);
}

#[test]
fn a_retrievable_secret_is_shown_again_with_its_key_alone() {
    let place = Place::new(SEED);
    place.run(&["apply", "--json"]).exits(0);
    let create = ["token", "create", "kept", "--account", "portal", "--retrievable", "--json"];
    place.run(&create).exits(5).says(&["token_key_file"]);
    let config = place.read("bindery.toml");
    let with_key = config.replacen("[server]\n", "[server]\ntoken_key_file = \"tokens.key\"\n", 1);
    assert_ne!(with_key, config);
    place.write("bindery.toml", &with_key);
    place.run(&["check"]).exits(3).says(&["server.token_key_file", "tokens.key", "cannot be read"]);
    let first = Place::new(SEED);
    first.write("bindery.toml", &with_key);
    for command in ["serve", "apply"] {
        first.run(&[command]).exits(3).says(&["tokens.key"]);
        assert!(!first.path("data").exists(), "{command}");
    }
    place.run(&create).exits(3).says(&["tokens.key"]);
    let key = |digit: &str| {
        let path = place.path("tokens.key");
        std::fs::write(&path, format!("{}{}\n", digit.repeat(32), "0".repeat(32))).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    key("1");
    place.run(&["check"]).exits(0);
    let made = place.run(&create).exits(0).json();
    let viewed = place.run(&["token", "view-key", "kept", "--json"]).exits(0).json();
    assert_eq!(viewed, made);
    // The key that bindery makes itself is its user's alone.
    assert_eq!(mode_of(&place.path("data/token.key")), 0o600);
    // One that somebody chose may hold what a terminal does not show.
    let chosen = "a\ttab, a\u{200d}joiner, no\u{200b}space";
    place.write("chosen.secret", chosen);
    let token = "[[token]]\nidentifier = \"chosen\"\naccount = \"portal\"\nsecret_file = \"chosen.secret\"\nretrievable = true\n";
    place.write("bindery.toml", &format!("{with_key}\n{token}"));
    place.run(&["apply"]).exits(0);
    assert_eq!(place.run(&["token", "view-key", "chosen"]).exits(0).stdout, format!("{chosen}\n"));
    key("2");
    place.run(&["token", "view-key", "kept"]).exits(5).says(&["`kept`", "does not open"]);
}

#[test]
fn access_is_explained() {
    let place = Place::new(SEED);
    place.run(&["apply", "--json"]).exits(0);
    let all = place.run(&["access", "explain", "ldapservice"]).exits(0).stdout;
    assert!(all.contains("sees the whole directory") && all.contains("`ldap-search`"), "{all}");
    let entry = "cn=alice,ou=users,dc=ldap,dc=example,dc=com";
    let own = place.run(&["access", "explain", "portal", "--entry", entry, "--json"]).exits(0).json();
    assert_eq!(own["providers"][0]["sees_everything"], false);
    assert!(own["providers"][0]["entry"].as_str().unwrap().contains("is not seen"));
    place.run(&["access", "explain", "portal", "--provider", "none"]).exits(1).says(&["none"]);
    place.run(&["account", "deactivate", "portal"]).exits(0);
    let own = place.run(&["access", "explain", "portal", "--json"]).exits(0).json();
    assert_eq!(own["providers"][0]["may_bind"], false);
    place.run(&["account", "activate", "portal"]).exits(0);
}

// ---- import --------------------------------------------------------------------------------------------

const LDIF: &str = "\
dn: dc=ldap,dc=example,dc=com
objectClass: domain
dc: ldap

dn: ou=people,dc=ldap,dc=example,dc=com
objectClass: organizationalUnit
ou: people

dn: cn=crew,ou=teams,dc=ldap,dc=example,dc=com
objectClass: groupOfNames
cn: crew
member: uid=carol,ou=people,dc=ldap,dc=example,dc=com

dn: uid=carol,ou=people,dc=ldap,dc=example,dc=com
objectClass: inetOrgPerson
uid: carol
cn: Carol Clark
sn: Clark
mail: carol@example.com

dn: uid=far,ou=elsewhere,dc=ldap,dc=example,dc=com
objectClass: inetOrgPerson
uid: far
cn: Far
sn: Far

dn: uid=broken,ou=people,dc=ldap,dc=example,dc=com
cn:: %%%
";

#[test]
fn an_import_takes_people_and_groups_and_tells_what_it_leaves_out() {
    let place = Place::new(SEED);
    place.run(&["apply", "--json"]).exits(0);
    place.write("in.ldif", LDIF);
    let arguments = ["import", "in.ldif", "--users", "ou=people:uid", "--groups", "ou=teams:cn", "--json"];
    let report = place.run(&arguments).exits(0).json();
    assert_eq!(
        (&report["users"], &report["groups"], &report["memberships"]),
        (&1.into(), &1.into(), &1.into())
    );
    let left_out = report["left_out"].to_string();
    assert!(left_out.contains("uid=far") && left_out.contains("uid=broken"), "{left_out}");

    let again = place.run_with_input(&["import", "-", "--json"], LDIF).exits(0).json();
    assert_eq!(again["users"], 0);
    let words = place.run(&["import", "in.ldif"]).exits(0);
    assert!(words.stdout.contains("left out") && words.stderr.is_empty(), "{}{}", words.stdout, words.stderr);
    place.run(&["import", "none.ldif"]).exits(3).says(&["none.ldif"]);
    place.run(&["import", "in.ldif", "--provider", "none"]).exits(1).says(&["none"]);
}

/// What comes from another directory may be of any size. None of it stops an import, let alone the server.
#[test]
fn an_import_leaves_out_what_is_too_large_and_goes_on() {
    let place = Place::new(SEED);
    let server = place.serve(&[]);
    let person = |name: &str, more: &str| {
        format!(
            "dn: cn={name},ou=users,dc=ldap,dc=example,dc=com\nobjectClass: inetOrgPerson\ncn: {name}\nsn: x\n{more}\n"
        )
    };
    let options: String = (0..70_000).map(|number| format!("description;x-{number}: v\n")).collect();
    // Of its attributes, of its record; a value that is large and fits is taken.
    let ldif = [
        person("first", ""),
        person("options", &options),
        person("record", &format!("description: {}\n", "x".repeat(18 << 20))),
        person("request", &format!("description:: {}\n", "AQEB".repeat(4 << 20))),
        person("last", ""),
    ];
    place.write("large.ldif", &ldif.concat());
    let report = place.run(&["import", "large.ldif", "--json"]).exits(0).json();
    assert_eq!(report["users"], 3, "{report:#}");
    assert_eq!(report["stopped"], serde_json::Value::Null);
    let left_out: u64 =
        report["left_out"].as_object().unwrap().values().filter_map(|reason| reason["count"].as_u64()).sum();
    assert_eq!(left_out, 2, "{report:#}");
    place.run(&["account", "deactivate", "bob"]).exits(0);
    server.stop();
}

/// What is no LDIF, or fits no container, is known before the first change.
#[test]
fn an_import_of_something_else_changes_nothing() {
    let place = Place::new(SEED);
    place.run(&["apply", "--json"]).exits(0);
    let revision = || place.run(&["status", "--json"]).exits(0).json()["revision"].clone();
    let person = "objectClass: inetOrgPerson\ncn: x\nsn: x\n";
    let files = [
        ("no.ldif", "this is\nsomething else\n".to_owned(), "this is no LDIF"),
        ("empty.ldif", String::new(), "holds no entry"),
        (
            "version.ldif",
            format!("dn: cn=x,ou=users,dc=ldap,dc=example,dc=com\n{person}\nversion: 2\n"),
            "version 1",
        ),
        (
            "far.ldif",
            format!("dn: uid=x,ou=people,dc=elsewhere\n{person}"),
            "fits a container of the provider `ldap`",
        ),
        (
            "beside.ldif",
            format!("dn: uid=x,ou=staff,dc=ldap,dc=example,dc=com\n{person}"),
            "--users, --groups",
        ),
    ];
    for through_a_server in [false, true] {
        let server = through_a_server.then(|| place.serve(&[]));
        let before = revision();
        for (name, text, told) in &files {
            place.write(name, text);
            let done = place.run(&["import", name, "--users", "ou=people:uid"]).exits(3);
            let done = done.says(&[name, told]);
            assert_eq!(done.stdout, "");
        }
        assert_eq!(revision(), before);
        drop(server);
    }
    assert!(!place.run(&["export", "--format", "ldif"]).exits(0).stdout.contains("ou=people"));
}

#[test]
fn an_import_has_a_largest_file() {
    let place = Place::new(SEED);
    place.edit("[server.hashing]", "[server.limits]\nimport_size_max = \"2 KiB\"\n\n[server.hashing]");
    let server = place.serve(&["--http", "127.0.0.1:0"]);
    let more = "x".repeat(5 << 20);
    let ldif = format!("{LDIF}\n# {more}\n");
    let limit = || {
        let status = place.run(&["status", "--json"]).exits(0).json();
        status["limits_reached"]["import_size_max"].as_u64().unwrap()
    };
    place.write("large.ldif", &ldif);
    let done = place.run(&["import", "large.ldif", "--users", "ou=people:uid"]);
    done.exits(3).says(&["large.ldif", "server.limits.import_size_max"]);
    assert_eq!(limit(), 1);
    place.run_with_input(&["import", "-", "--users", "ou=people:uid"], LDIF).exits(0);
    assert_eq!(limit(), 1);
    server.stop();
}

#[test]
fn an_import_has_a_largest_number_of_entries() {
    let place = Place::new(SEED);
    place.edit("[server.hashing]", "[server.limits]\nimport_entries_max = 2\n\n[server.hashing]");
    let server = place.serve(&[]);
    let before = place.run(&["status", "--json"]).exits(0).json()["revision"].as_u64();
    let person = |name: &str| {
        format!(
            "dn: uid={name},ou=people,dc=ldap,dc=example,dc=com\nobjectClass: inetOrgPerson\nuid: {name}\ncn: x\nsn: x\n\n"
        )
    };
    let import = |ldif: &str| place.run_with_input(&["import", "-", "--users", "ou=people:uid"], ldif);
    import(&["p", "q", "r"].map(person).concat()).exits(3).says(&["server.limits.import_entries_max (2)"]);
    let status = place.run(&["status", "--json"]).exits(0).json();
    assert_eq!(status["limits_reached"]["import_entries_max"], 1);
    assert_eq!(status["revision"].as_u64(), before);
    import(&["p", "q"].map(person).concat()).exits(0);
    server.stop();
}

/// Opens a connection to the local socket and sends the beginning of an import that never comes to its end.
fn begin_import(place: &Place) -> UnixStream {
    let mut stream = UnixStream::connect(place.path("data/bindery.sock")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let octets = 1_u64 << 40;
    let begin = format!("POST /local/import HTTP/1.1\r\nHost: x\r\nContent-Length: {octets}\r\n\r\n{{}}\n");
    stream.write_all(begin.as_bytes()).unwrap();
    stream
}

/// What comes, until the end of the connection, however it ends.
fn rest_of(mut stream: UnixStream) -> String {
    let (mut rest, mut piece) = (Vec::new(), [0; 1024]);
    while let Ok(count @ 1..) = stream.read(&mut piece) {
        rest.extend_from_slice(&piece[..count]);
    }
    String::from_utf8(rest).unwrap()
}

#[test]
fn an_import_without_an_end_is_answered() {
    let place = Place::new(SEED);
    place.edit("[server.hashing]", "[server.limits]\nimport_size_max = \"1 MiB\"\n\n[server.hashing]");
    let server = place.serve(&[]);
    let stream = begin_import(&place);
    let mut sender = stream.try_clone().unwrap();
    let sending = std::thread::spawn(move || while sender.write_all(&[b'x'; 1 << 16]).is_ok() {});
    let answer = rest_of(stream);
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("import_size_max"), "{answer}");
    sending.join().unwrap();
    // Nor does one that says nothing more keep the server from going down.
    let stream = begin_import(&place);
    let stalled = begin_import(&place);
    (&stalled).write_all(&[b'x'; 1 << 16]).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let (status, log) = server.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains("cut off"), "{log}");
    for stream in [stream, stalled] {
        let answer = rest_of(stream);
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("shutting_down"), "{answer}");
    }
}

#[test]
fn an_import_that_is_still_written_keeps_nobody_from_the_store() {
    let place = Place::new(SEED);
    place.run(&["apply"]).exits(0);
    let mut import = place.command(&["import", "-", "--users", "ou=people:uid", "--json"]);
    let mut import = import.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = import.stdin.take().unwrap();
    // More than a pipe holds: it has begun to read when all of it is written.
    input.write_all(LDIF.as_bytes()).unwrap();
    input.write_all("# nothing\n".repeat(30_000).as_bytes()).unwrap();
    place.run(&["account", "create", "meanwhile", "--json"]).exits(0);
    input
        .write_all(
            b"\ndn: uid=late,ou=people,dc=ldap,dc=example,dc=com\nobjectClass: inetOrgPerson\nuid: late\n",
        )
        .unwrap();
    drop(input);
    let done = import.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    place.run(&["account", "show", "late"]).exits(0);
    assert!(
        std::fs::read_dir(place.path("data"))
            .unwrap()
            .all(|entry| { !entry.unwrap().file_name().to_str().unwrap().starts_with("import-") })
    );
}

/// The second entry of a name says what of it was lost, and nobody is counted twice, by whatever names a group has them.
#[test]
fn an_import_counts_nothing_twice() {
    let place = Place::new(SEED);
    place.run(&["apply", "--json"]).exits(0);
    let base = "dc=ldap,dc=example,dc=com";
    let ldif = format!(
        "dn: ou=people,{base}\nobjectClass: organizationalUnit\nou: people\n\n\
         dn: uid=zoe,ou=people,{base}\nobjectClass: inetOrgPerson\nuid: zoe\ncn: Zoe\nsn: Z\nuserPassword: secret-one\n\n\
         dn: UID=Zoe, OU=people,{base}\nobjectClass: inetOrgPerson\nuid: zoe\ncn: Zoe\nsn: Other\nmail: zoe@example.com\n\
         userPassword: secret-two\nms-Mcs-AdmPwd: secret-two\nx-vault: secret-two\n\n\
         dn: cn=crew,ou=groups,{base}\nobjectClass: groupOfNames\ncn: crew\nmember: uid=zoe,ou=people,{base}\n\
         uniqueMember: uid=ZOE,ou=people,{base}\nmemberUid: zoe\nmember: uid=gone,ou=people,{base}\n\n\
         dn: cn=crew,ou=groups,{base}\nobjectClass: groupOfNames\ncn: crew\nmember: cn=alice,ou=users,{base}\n"
    );
    let arguments = ["import", "-", "--users", "ou=people:uid", "--json"];
    let report = place.run_with_input(&arguments, &ldif).exits(0).json();
    let counts = ["users", "groups", "memberships", "already_there"].map(|key| report[key].as_u64().unwrap());
    assert_eq!(counts, [1, 1, 1, 1], "{report:#}");
    let left_out = report["left_out"].to_string();
    for told in [
        "a second entry of one DN",
        "ms-Mcs-AdmPwd (a secret)",
        "x-vault (a value of it)",
        "sn: Other",
        "mail: zoe@example.com",
        "member: cn=alice",
        "(line 12)",
    ] {
        assert!(left_out.contains(told), "{told}: {report:#}");
    }
    assert!(!left_out.contains("secret-two") && !left_out.contains("cn: Zoe"), "{report:#}");
    let gone = report["left_out"]["a membership: its member does not exist here"]["count"].as_u64();
    assert_eq!(gone, Some(1), "{report:#}");
    // What the provider has now, for the config: with it, applying changes nothing.
    let line = "users = [{ container = \"ou=users\", naming = \"cn\" }, { container = \"ou=people\", naming = \"uid\" }]";
    assert_eq!(report["config"], serde_json::json!([line]));
    // Its event says it in words.
    let changed = place.run(&["event", "list", "--action", "model_updated", "--json"]).exits(0).json();
    let said = serde_json::json!([{
        "field": "users",
        "before": "ou=users by cn",
        "after": "ou=users by cn, ou=people by uid",
    }]);
    let is_told = |event: &serde_json::Value| event["object_kind"] == "provider" && event["changes"] == said;
    assert!(changed.as_array().unwrap().iter().any(is_told), "{changed:#}");
    let again = place.run_with_input(&["import", "-"], &ldif).exits(0);
    assert!(!again.stdout.contains("users = ["), "{}", again.stdout);
    place.edit(
        "users = [{ container = \"ou=users\", naming = \"cn\" }]\nservice",
        &format!("{line}\nservice"),
    );
    assert!(place.run(&["apply"]).exits(0).stdout.contains("nothing to change"));
    assert!(
        !std::fs::read_dir(place.path("data"))
            .unwrap()
            .any(|entry| { entry.unwrap().file_name().to_string_lossy().starts_with("import-") })
    );
}

#[test]
fn an_import_makes_nobody_a_superuser() {
    let seed = format!("{SEED}\n[[group]]\nname = \"admins\"\nis_superuser = true\nmembers = [\"alice\"]\n");
    let place = Place::new(&seed);
    place.run(&["apply", "--json"]).exits(0);
    let base = "dc=ldap,dc=example,dc=com";
    let ldif = format!(
        "dn: cn=mallory,ou=users,{base}\nobjectClass: inetOrgPerson\ncn: mallory\nsn: x\n\n\
         dn: cn=admins,ou=groups,{base}\nobjectClass: groupOfNames\ncn: admins\nmember: cn=mallory,ou=users,{base}\n"
    );
    let report = place.run_with_input(&["import", "-", "--json"], &ldif).exits(0).json();
    assert_eq!((&report["users"], &report["memberships"]), (&1.into(), &0.into()));
    assert!(report["left_out"].to_string().contains("gives rights"), "{report:#}");
    let explained = place.run(&["access", "explain", "mallory"]).exits(0);
    assert!(!explained.stdout.contains("superuser"), "{}", explained.stdout);
}

// ---- serve ---------------------------------------------------------------------------------------------

#[test]
fn serve_prints_its_listeners_and_stops_on_sigterm() {
    let place = Place::new(SEED);
    let server = place.serve(&["--ldap", "127.0.0.1:0", "--ldap", "[::1]:0", "--http", "127.0.0.1:0"]);
    assert_eq!(server.listening.len(), 3, "{:?}", server.listening);
    assert!(server.address("ldap").port() > 0);
    assert!(server.listening[1].starts_with("ldap://[::1]:"));
    TcpStream::connect(server.address("ldap")).unwrap();

    let mut health = TcpStream::connect(server.address("http")).unwrap();
    health.write_all(b"GET /-/health/ready/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    health.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");

    let socket = place.path("data/bindery.sock");
    assert!(socket.metadata().unwrap().file_type().is_socket());
    assert_eq!(mode_of(&socket), 0o600);
    assert_eq!(mode_of(&place.path("data")), 0o700);
    let (status, log) = server.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!socket.exists());
}

#[test]
fn open_connections_end_when_the_server_goes_down() {
    let place = Place::new(SEED);
    let server = place.serve(&[]);
    let mut connection = TcpStream::connect(server.address("ldap")).unwrap();
    let (status, log) = server.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains("cut off"), "{log}");
    let mut rest = Vec::new();
    connection.read_to_end(&mut rest).unwrap();
}

#[test]
fn connections_above_the_limit_are_closed() {
    let place = Place::new(SEED);
    let limits = "[server.limits]\nconnections_max = 1\nconnections_reserved = 0\n\n[server.hashing]";
    place.edit("[server.hashing]", limits);
    let server = place.serve(&[]);
    let mut first = TcpStream::connect(server.address("ldap")).unwrap();
    // Half a message behind a whole one that is answered: who is silent would make room.
    let request = search(1, "", 0, &element(0x87, b"objectClass"));
    first.write_all(&[&request[..], &request[..9]].concat()).unwrap();
    while final_code(&read_message(&mut first).unwrap()).1 != 0x65 {}
    let mut second = TcpStream::connect(server.address("ldap")).unwrap();
    // Closed before anything was read: an end or a reset, as the system likes.
    assert_eq!(second.read(&mut [0; 1]).unwrap_or(0), 0);
    server.await_log("connections_max");
    drop(first);
    assert_eq!(server.stop().0.code(), Some(0));
}

#[test]
fn unix_sockets_are_listened_on() {
    let place = Place::new(SEED);
    place.edit("ldap = [\"127.0.0.1:0\"]", "ldap = [\"unix:ldapi\"]");
    let server = place.serve(&[]);
    assert!(server.listening[0].starts_with("ldapi://%2F"), "{:?}", server.listening);
    UnixStream::connect(place.path("ldapi")).unwrap();
    assert_eq!(server.stop().0.code(), Some(0));
}

#[test]
fn the_examples_are_right() {
    for (name, has_secrets) in [("bindery.toml", true), ("applications.toml", true), ("minimal.toml", false)]
    {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
        let place = Place::new("");
        std::fs::create_dir(place.path("examples")).unwrap();
        std::fs::copy(example, place.path("examples").join(name)).unwrap();
        let config = format!("examples/{name}");
        place.run(&["check", "--config", &config]).exits(0);
        let first = place.run(&["apply", "--config", &config, "--json"]).exits(0).json();
        assert_eq!(!first["secrets"].as_array().unwrap().is_empty(), has_secrets, "{name}");
        let again = place.run(&["apply", "--config", &config, "--json"]).exits(0).json();
        assert_eq!(again["changes"], serde_json::json!([]), "{name}");
    }
}

#[test]
fn serve_seeds_a_new_store_once() {
    let place = Place::new(SEED);
    let server = place.serve(&["--secrets-file", "first.json"]);
    assert_eq!(read_secrets(&place.path("first.json")).as_array().unwrap().len(), 2);
    let secret = secret_of(&read_secrets(&place.path("first.json")), "ldapservice-app-password");
    server.await_log("ldapsearch");
    assert!(!server.log().contains(&secret), "a secret that went to a file is not shown");
    server.stop();
    std::fs::remove_file(place.path("first.json")).unwrap();
    place.edit("name = \"Alice Adams\"", "name = \"Alice Baker\"");
    let server = place.serve(&["--secrets-file", "first.json"]);
    assert!(!place.path("first.json").exists(), "a store that was seeded is not seeded again");
    let done = place.run(&["apply", "--dry-run"]).exits(0);
    assert!(done.stdout.contains("~ account alice"), "{}", done.stdout);
    assert_eq!(server.stop().0.code(), Some(0));
}

#[test]
fn serve_makes_development_certificates_and_listens_with_them() {
    let place = Place::new(SEED);
    place.edit("[server.hashing]", "[server.tls]\ndevelopment = \"certs\"\n\n[server.hashing]");
    let server = place.serve(&["--ldaps", "127.0.0.1:0"]);
    assert!(place.path("certs/ca.pem").exists());
    server.address("ldaps");
    server.await_log("LDAPTLS_CACERT=");
    server.signal(Signal::HUP);
    server.await_log("certificates were read again");
    assert_eq!(server.stop().0.code(), Some(0));
}

#[test]
fn listeners_that_cannot_be_are_told() {
    let place = Place::new(SEED);
    place.run(&["serve", "--ldaps", "127.0.0.1:0"]).exits(3).says(&["LDAPS needs a certificate"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    place.run(&["serve", "--ldap", &address]).exits(1).says(&["is in use"]);
}

#[test]
fn a_reload_changes_what_it_can_and_names_what_it_cannot() {
    let place = Place::new(SEED);
    let server = place.serve(&[]);
    place.edit(
        "[server.hashing]",
        "plain_bind = \"never\"\n\n[server.log]\nlevel = \"debug\"\n\n[server.hashing]",
    );
    server.signal(Signal::HUP);
    server.await_log("log.level");
    server.await_log("plain_bind");
    place.edit("plain_bind = \"never\"", "plain_bind = \"sometimes\"");
    server.signal(Signal::HUP);
    server.await_log("the config stays as it was");
    server.await_log("sometimes");
    assert_eq!(server.stop().0.code(), Some(0));
}

// ---- through the server --------------------------------------------------------------------------------

#[test]
fn commands_go_through_the_running_server() {
    let place = Place::new(SEED);
    let server = place.serve(&[]);
    let status = place.run(&["status", "--json"]).exits(0).json();
    assert_eq!(status["process"], server.process());
    assert_eq!(status["is_seeded"], true);

    place.edit("name = \"Bob Brown\"", "name = \"Bob Black\"");
    let done = place.run(&["apply"]).exits(0);
    assert!(done.stdout.contains("~ account bob"), "{}", done.stdout);
    let made = place.run(&["token", "create", "t", "--account", "bob", "--json"]).exits(0).json();
    assert!(made["secret"].is_string());
    // By its socket alone, without a config.
    let socket = place.path("data/bindery.sock");
    let output = place
        .command(&["token", "list", "--account", "bob", "--json", "--socket"])
        .arg(&socket)
        .env_remove("BINDERY_CONFIG")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("\"t\""));
    place.run(&["account", "delete", "nobody", "--yes"]).exits(1).says(&["nobody"]);
    place.run(&["check"]).exits(0);
    assert_eq!(server.stop().0.code(), Some(0));
    // And they are on disk.
    let list = place.run(&["token", "list", "--account", "bob", "--json"]).exits(0).json();
    assert_eq!(list[0]["identifier"], "t");
    let output = place
        .command(&["token", "list", "--socket"])
        .arg(&socket)
        .env_remove("BINDERY_CONFIG")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no server answers"));
}

#[test]
fn a_store_that_is_held_is_4() {
    let place = Place::new(SEED);
    place.edit("[server.hashing]", "[server.limits]\nstore_wait_time = \"0s\"\n\n[server.hashing]");
    let server = place.serve(&[]);
    place.run(&["serve"]).exits(4).says(&["is held by process", &server.process().to_string()]);
    std::fs::remove_file(place.path("data/bindery.sock")).unwrap();
    let change = ["account", "deactivate", "alice"];
    place.run(&change).exits(4).says(&["is held by", "nobody answers on its socket"]);
    // Who only reads does without the server.
    place.run(&["token", "list"]).exits(0).says(&["is held by", "nobody answers on its socket"]);
    place.run(&["apply"]).exits(4).says(&["is held by"]);
    assert_eq!(server.stop().0.code(), Some(0));
}

#[test]
fn a_damaged_store_is_4() {
    let place = Place::new(SEED);
    place.run(&["apply", "--json"]).exits(0);
    for name in ["journal/checkpoint", "store/db"] {
        std::fs::write(place.path("data").join(name), "x").unwrap();
    }
    place.run(&["token", "list"]).exits(4).says(&["damaged"]);
    // Nor is the key beside it of interest to who only asks about the config.
    std::fs::write(place.path("data/token.key"), "x").unwrap();
    let done = place.run(&["check"]).exits(0).says(&["the store cannot be read"]);
    assert!(!done.stderr.contains("token.key"), "{}", done.stderr);
    // A start reads it before it looks at the store.
    place.run(&["serve"]).exits(3).says(&["token.key", "holds no key"]);
    std::fs::remove_file(place.path("data/token.key")).unwrap();
    std::fs::remove_dir_all(place.path("data/journal")).unwrap();
    place.run(&["serve"]).exits(4).says(&["lost acknowledged changes", "bindery salvage"]);
}

#[test]
fn the_socket_answers_what_it_does_not_know() {
    let place = Place::new(SEED);
    let server = place.serve(&[]);
    let ask = |request: String| {
        let mut stream = UnixStream::connect(place.path("data/bindery.sock")).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let answer = ask("GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned());
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("\"bad_request\""), "{answer}");
    let body = "{\"account\": 7}";
    let answer = ask(format!(
        "POST /local/access/explain HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    ));
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(server.stop().0.code(), Some(0));
}

#[test]
fn a_server_that_was_killed_leaves_nothing_in_the_way() {
    let place = Place::new(SEED);
    let mut server = place.serve(&[]);
    server.signal(Signal::KILL);
    server.wait();
    assert!(place.path("data/bindery.sock").exists());
    // The socket is stale: the command opens the store itself, and the next server replaces it.
    place.run(&["token", "list"]).exits(0);
    let server = place.serve(&[]);
    assert_eq!(place.run(&["status", "--json"]).exits(0).json()["process"], server.process());
    assert_eq!(server.stop().0.code(), Some(0));
}

#[test]
fn limits_of_roles_are_applied_told_and_taken_away() {
    let limited = "name = \"ldap-search\"\nsearch_size_max = 5\nsearch_time_max = \"2m\"\n";
    let place = Place::new(&SEED.replace("name = \"ldap-search\"\n", limited));
    place.run(&["apply", "--secrets-file", "secrets.json"]).exits(0);
    let told = |account: &str| place.run(&["access", "explain", account]).exits(0).stdout;
    let of_service = told("ldapservice");
    for piece in ["at most 5 entries: the role `ldap-search`", "for at most 2m: the role `ldap-search`"] {
        assert!(of_service.contains(piece), "{of_service}");
    }
    assert!(told("portal").contains("as many entries as the server"), "{}", told("portal"));

    place.edit("search_size_max = 5", "search_size_max = \"default\"");
    let plan = place.run(&["apply", "--dry-run"]).exits(0).stdout;
    assert!(plan.contains("search_size_max") && !plan.contains("search_time_max"), "{plan}");
    place.run(&["apply"]).exits(0);
    assert!(told("ldapservice").contains("as many entries as the server"), "{}", told("ldapservice"));

    place.edit("search_size_max = \"default\"", "search_size_max = \"many\"");
    place.run(&["check"]).exits(3).says(&["search_size_max", "\"default\" for the server's"]);
}

#[test]
fn limits_that_were_reached_are_told_by_status_and_by_metrics() {
    let place = Place::new(SEED);
    let server = place.serve(&["--http", "127.0.0.1:0", "--secrets-file", "s.json"]);
    let ask = |path: &str| {
        let mut http = TcpStream::connect(server.address("http")).unwrap();
        write!(http, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        http.read_to_string(&mut answer).unwrap();
        answer
    };
    let none = place.run(&["status"]).exits(0).stdout;
    assert!(!none.contains("limits reached"), "{none}");
    // The header of a message of two gigabytes.
    let mut ldap = TcpStream::connect(server.address("ldap")).unwrap();
    ldap.write_all(b"\x30\x84\x7f\xff\xff\xff").unwrap();
    let mut notice = Vec::new();
    ldap.read_to_end(&mut notice).unwrap();

    let metrics = ask("/metrics");
    assert!(metrics.contains("content-type: text/plain; version=0.0.4"), "{metrics}");
    for line in [
        "# TYPE bindery_limit_reached_total counter\n",
        "bindery_limit_reached_total{limit=\"message_size_before_bind_max\"} 1\n",
        "bindery_limit_reached_total{limit=\"search_size_max\"} 0\n",
        "# TYPE bindery_tokens_expiring gauge\nbindery_tokens_expiring 0\n",
        "bindery_tokens_expired 0\n",
    ] {
        assert!(metrics.contains(line), "{line} in\n{metrics}");
    }
    let status = place.run(&["status", "--json"]).exits(0).json();
    assert_eq!(status["limits_reached"]["message_size_before_bind_max"], 1);
    assert_eq!(status["limits_reached"]["search_size_max"], 0);
    let status = place.run(&["status"]).exits(0).stdout;
    assert!(status.contains("limits reached:\n  message_size_before_bind_max: 1"), "{status}");
}
