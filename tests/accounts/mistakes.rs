//! Configs with mistakes, as somebody who writes one makes them: all of them are told, each once and where it stands.

use crate::support::{Done, Place, SEED};

/// Thirty mistakes, of form, of names and of references, and three that only the directory knows. The line of each ends
/// with its mark; each is of an object of its own, or of a key that nothing else hangs on.
const MISTAKES: &str = r#"
[[attribute]]
name = "uid" # wrong
[[attribute]]
name = "shoeSize"
syntax = "number" # wrong

[[provider]]
name = "ldap"
base_dn = "dc=ldap,dc=example,dc=com"
users = [{ container = "ou=users", naming = "cn" }]
service_accounts = [{ container = "ou=users", naming = "cn" }]
groups = [{ container = "ou=groups", naming = "cn" }]
[[provider]]
name = "other"
base_dn = "dc=other,,dc=com" # wrong

[[role]]
name = "reader"
permissions = ["view_usr"] # wrong
[[role]]
name = "Reader" # wrong
[[role]]
permissions = [{ permission = "view_group", on = "group:stuff" }] # wrong
name = "grouper"
[[role]]
name = "writer"
permissions = [{ permission = "change_user", on = "alice" }] # wrong

[[group]]
name = "staff"
members = ["alice", "bbo"] # wrong
[[group]]
name = "twice"
members = [
  "alice",
  "alice", # wrong
]
[[group]]
name = " padded" # wrong
[[group]]
name = "nested"
parents = [
  "padded",
  "everybody", # wrong
]
roles = ["raeder"] # wrong
[[group]]
name = "numbers"
is_superuser = 1 # wrong
attributes = { description = [] } # wrong

[[account]]
username = "alice"
type = "intern" # wrong
emial = "alice@example.com" # wrong
[[account]]
username = "bob"
password_file = "not-there" # wrong
roles = [
  "reader",
  "king", # wrong
]
[[account]] # wrong
name = "Nobody"
[[account]]
username = "ALICE" # wrong
[[account]]
username = "carol"
attributes = { uidNumber = ["seven"] } # wrong
[[account]]
username = "dave"
email = "dave@example@com" # wrong
[[account]]
username = "erin"
permissions = [{ permission = "view_user", on = "account:crol" }] # wrong
[[account]]
username = "portal"
type = "service_account"
expires = "soon" # wrong
[[account]]
username = "robot"
type = "service_account"
password_hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA" # wrong

[[token]]
identifier = "t one" # wrong
account = "bob"
[[token]]
identifier = "t-two"
account = "portla" # wrong
[[token]]
identifier = "t-three"
account = "bob"
networks = ["10.0.0.1/8"] # wrong
[[token]]
identifier = "t-four"
account = "bob"
expiring = false
expires = "90d" # wrong

[[application]]
slug = "wiki"
provider = "ldpa" # wrong
[[application]]
slug = "chat"
mode = "some" # wrong
bindings = [
  { group = "staff" },
  { group = "staf" }, # wrong
]
"#;

fn lines_told(done: &Done) -> Vec<u64> {
    let document = done.json();
    let problems = document["problems"].as_array().unwrap();
    for problem in problems {
        assert!(problem["file"].as_str().unwrap().ends_with("bindery.toml"), "{problem}");
        assert!(!problem["key"].as_str().unwrap().is_empty(), "{problem}");
    }
    problems.iter().map(|problem| problem["line"].as_u64().unwrap()).collect()
}

#[test]
fn thirty_mistakes_are_thirty_problems_with_their_lines() {
    let place = Place::new(MISTAKES);
    let text = place.read("bindery.toml");
    let wrong = |(at, line): (usize, &str)| line.ends_with("# wrong").then_some(at as u64 + 1);
    let expected: Vec<u64> = text.lines().enumerate().filter_map(wrong).collect();
    assert!(expected.len() >= 30, "{}", expected.len());
    let told = place.run(&["check", "--json"]).exits(3);
    assert_eq!(lines_told(&told), expected, "{}", told.stdout);
    // The same is said to whoever applies it, and nothing is made of the rest.
    let count = format!("{} problems", expected.len());
    let [check, apply, serve] = ["check", "apply", "serve"].map(|command| {
        let done = place.run(&[command]).exits(3).says(&[&count]);
        assert_eq!(done.stdout, "");
        done.stderr
    });
    assert_eq!((&check, &check), (&apply, &serve));
    assert!(!place.path("data").exists());
}

#[test]
fn one_missing_bracket_is_one_problem() {
    for (old, new, begins) in [
        (
            "users = [{ container = \"ou=users\", naming = \"cn\" }]",
            "users = [{ container = \"ou=users\", naming = \"cn\" }",
            "",
        ),
        ("members = [\"alice\"]", "members = [\"alice\"", "members"),
        ("[[account]]\nusername = \"alice\"", "[[account]\nusername = \"alice\"", "[[account]\n"),
        ("name = \"Alice Adams\"", "name = \"Alice Adams", "name = \"Alice"),
        ("roles = [\"ldap-search\"]", "roles = [\"ldap-search", "roles"),
    ] {
        let place = Place::new(SEED);
        let text = place.read("bindery.toml");
        place.write("bindery.toml", &text.replacen(old, new, 1));
        let done = place.run(&["check", "--json"]).exits(3);
        let problems = done.json()["problems"].clone();
        assert_eq!(problems.as_array().unwrap().len(), 1, "{new}: {problems:#}");
        assert!(problems[0]["message"].as_str().unwrap().starts_with("this is not TOML"), "{problems:#}");
        let line = text.lines().position(|line| !begins.is_empty() && line.starts_with(begins.trim_end()));
        if let Some(line) = line {
            let told = problems[0]["line"].as_u64().unwrap();
            assert!((line as u64 + 1..=line as u64 + 2).contains(&told), "{new}: {told}, {line}");
        }
    }
    // What is wrong elsewhere is told beside it.
    let place = Place::new(SEED);
    place.edit("members = [\"alice\"]", "members = [\"alice\"");
    place.edit("name = \"Bob Brown\"", "nmae = \"Bob Brown\"");
    let done = place.run(&["check"]).exits(3).says(&["this is not TOML", "account.nmae", "2 problems"]);
    assert_eq!(done.stderr.matches("error: ").count(), 2, "{}", done.stderr);
}

/// Neither a missing bracket nor a mistake of form hides what else is wrong: with the same object, or elsewhere.
#[test]
fn what_is_wrong_elsewhere_is_told_beside_a_mistake_of_form() {
    let marked = |text: &str| -> Vec<u64> {
        let wrong = |(at, line): (usize, &str)| line.contains("# wrong").then_some(at as u64 + 1);
        text.lines().enumerate().filter_map(wrong).collect()
    };
    for broken in [
        // Others may name what it would have described, and what comes with it.
        "[[account] # wrong\nusername = \"carol\"\ncreate_group = true\n",
        "[[account]]\nusername = \"carol\"\ntype = [1 # wrong\n",
        "[[account]]\nusername = \"carol\"\nemail = \"no address\"\nname = \"x # wrong\n",
    ] {
        let place = Place::new(SEED);
        let text = format!(
            "{}\n{broken}\n\
             [[group]]\nname = \"g\"\nmembers = [\n  \"carol\",\n  \"nobody\", # wrong\n]\n\
             [[account]]\nusername = \"dave\"\nemail = \"no address\" # wrong\nattributes = {{ uidNumber = [\"seven\"] }} # wrong\n\
             [[account]]\nusername = \"erin\"\nfoo = 1 # wrong\nemail = \"no address\" # wrong\n\
             [[account]]\nusername = \"frank\"\nis_active = 1 # wrong\nemail = \"no address\" # wrong\n\
             [[group]]\nname = \"h\"\nfoo = 1 # wrong\nattributes = {{ gidNumber = [\"x\"] }} # wrong\nroles = [\"king\"] # wrong\n",
            place.read("bindery.toml")
        );
        place.write("bindery.toml", &text);
        let done = place.run(&["check", "--json"]).exits(3);
        let problems = done.json()["problems"].clone();
        let lines: Vec<u64> =
            problems.as_array().unwrap().iter().map(|problem| problem["line"].as_u64().unwrap()).collect();
        assert_eq!(lines, marked(&text), "{broken}{problems:#}");
        for command in ["serve", "apply"] {
            place.run(&[command]).exits(3).says(&[&format!("{} problems", lines.len())]);
        }
    }

    // What follows from what cannot be read is not told.
    let place = Place::new(SEED);
    let text = place.read("bindery.toml");
    for (from, to) in [
        ("data_dir = \"data\"", "data_dir = \"data"),
        ("ldap = [\"127.0.0.1:0\"]", "ldap = [\"127.0.0.1:0\""),
        ("[server]", "[server"),
        ("[[provider]]", "[[provider]"),
        ("[[role]]", "[[role]"),
        ("name = \"ldap-search\"", "name = \"ldap-search"),
        ("type = \"service_account\"\nroles", "type = \"service\"\nexpires = \"90d\"\nroles"),
    ] {
        place.write("bindery.toml", &text.replacen(from, to, 1));
        let problems = place.run(&["check", "--json"]).exits(3).json()["problems"].clone();
        assert_eq!(problems.as_array().unwrap().len(), 1, "{to}: {problems:#}");
    }
    // What the settings allow is not known where they cannot be read: a secret is sealed with a key of theirs, and they have
    // the bounds of what an object may be.
    let kept = "[[token]]\nidentifier = \"kept\"\naccount = \"alice\"\nretrievable = true\n\
         [[group]]\nname = \"low\"\nattributes = { gidNumber = [\"500\"] }\n";
    for broken in [
        "token_key_file = \"keys/tokens.key\n",
        "token_key_file = 5\n",
        "[server.limits]\nposix_number_min = 100 and more\n",
        "[server.limits]\ngroups_above_max = 0\n",
        "[server.tls]\ncertificate = \"c\"\nkey = \"k\n",
        "[server.limits]\nargon2_memory_max = 16 MiB\n",
    ] {
        // A table stands behind the keys of another one.
        let before = if broken.starts_with('[') { "[[provider]]" } else { "data_dir" };
        let with_broken = text.replacen(before, &format!("{broken}{before}"), 1);
        place.write("bindery.toml", &format!("{with_broken}{kept}"));
        let problems = place.run(&["check", "--json"]).exits(3).json()["problems"].clone();
        assert_eq!(problems.as_array().unwrap().len(), 1, "{broken}: {problems:#}");
        // A name that stands for nothing is told beside it.
        place.edit("members = [\"alice\"]", "members = [\"alice\", \"nobody\"]");
        place.run(&["check"]).exits(3).says(&["nobody", "2 problems"]);
    }
    // A file that cannot be read may hold what is named.
    place.write("bindery.toml", &format!("include = [\"not-there.toml\"]\n{text}"));
    place.edit("members = [\"alice\"]", "members = [\"alice\", \"nobody\"]");
    place.edit("alice@example.com", "no address");
    let done = place.run(&["check"]).exits(3).says(&["not-there.toml", "no address", "2 problems"]);
    assert!(!done.stderr.contains("nobody"), "{}", done.stderr);
}

#[test]
fn what_is_no_toml_is_said_once() {
    let place = Place::new(SEED);
    for text in [
        "server:\n  data_dir: data\n  ldap:\n    - 127.0.0.1:3389\nprovider:\n  - name: ldap\n",
        "{ \"server\": { \"data_dir\": \"data\" } }\n",
        "[server]\ndata_dir = data\n[provider]\nname = ldap\nbase_dn = dc=x\n",
        "\u{0}\u{1}\u{2}",
    ] {
        place.write("bindery.toml", text);
        for command in ["check", "apply", "serve"] {
            let done = place.run(&[command]).exits(3).says(&["bindery.toml", "this is not TOML"]);
            assert_eq!(done.stderr.matches("error: ").count(), 1, "{}", done.stderr);
        }
    }
    std::fs::write(place.config(), b"\xff\xfe[\x00").unwrap();
    let done = place.run(&["check"]).exits(3).says(&["bindery.toml", "UTF-8"]);
    assert_eq!(done.stderr.matches("error: ").count(), 1, "{}", done.stderr);
}

/// Also where nothing else is wrong, so that the plan is asked to its end.
#[test]
fn a_token_of_nobody_has_its_line() {
    let place = Place::new(SEED);
    place.run(&["apply"]).exits(0);
    let text = place.read("bindery.toml");
    let token = "\n[[token]]\nidentifier = \"t\"\naccount = ";
    let line = text.lines().count() as u64 + 4;
    place.write("bindery.toml", &format!("{text}{token}\"protal\"\n"));
    let done = place.run(&["check", "--json"]).exits(3);
    assert_eq!(lines_told(&done), [line], "{}", done.stdout);
    for command in [&["apply"][..], &["apply", "--prune"], &["apply", "--dry-run"]] {
        place.run(command).exits(3).says(&["token.account", "did you mean \"portal\"?"]);
    }
    std::fs::remove_dir_all(place.path("data")).unwrap();
    for command in ["serve", "apply", "check"] {
        place.run(&[command]).exits(3).says(&["token.account", "did you mean \"portal\"?"]);
    }

    // One whose account would be pruned.
    place.write("bindery.toml", &text);
    place.run(&["apply"]).exits(0);
    let account = text.find("[[account]]\nusername = \"portal\"").unwrap();
    let without = text.split_at(account).0;
    place.write("bindery.toml", &format!("{without}{token}\"portal\"\n"));
    place.run(&["check"]).exits(0);
    for command in [&["apply", "--prune"][..], &["apply", "--prune", "--dry-run"]] {
        place.run(command).exits(3).says(&["token.account", "--prune deletes the one in the store"]);
    }
    place.run(&["apply"]).exits(0);
}

#[test]
fn a_config_without_a_provider_is_told() {
    let place = Place::new("[[account]]\nusername = \"alice\"\n");
    place.run(&["check"]).exits(0).says(&["there is no provider", "[[provider]]"]);
    place.run(&["apply"]).exits(0).says(&["there is no provider"]);
    let server = place.serve(&[]);
    server.await_log("there is no provider");
    server.stop();
    let place = Place::new(SEED);
    assert_eq!(place.run(&["check"]).exits(0).stderr, "");
}

/// What is wrong with `[server]` and its files stands at its key too, or names the variable that says it.
#[test]
fn problems_of_files_have_lines() {
    let place = Place::new(SEED);
    place.edit(
        "[server.hashing]",
        "[server.tls]\ncertificate = \"no.pem\"\nkey = \"no.key\"\nclient_ca = \"no.ca\"\n\n[server.hashing]",
    );
    let text = place.read("bindery.toml");
    let line = 1 + text.lines().position(|line| line.starts_with("certificate")).unwrap() as u64;
    let done = place.run(&["check", "--json"]).exits(3);
    // Each of the three, in one run.
    assert_eq!(lines_told(&done), [line, line + 1, line + 2]);
    let mut command = place.command(&["check"]);
    let output = command.env("BINDERY_SERVER_TLS_CERTIFICATE", "other.pem").output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("BINDERY_SERVER_TLS_CERTIFICATE") && told.contains("other.pem"), "{told}");
}

/// What no start could make its data directory is told by `check`, and by who would make it.
#[test]
fn what_can_be_no_data_directory_has_its_line() {
    let place = Place::new(SEED);
    place.write("file", "");
    std::os::unix::fs::symlink("nothing", place.path("link")).unwrap();
    let text = place.read("bindery.toml");
    let line = 1 + text.lines().position(|line| line.starts_with("data_dir")).unwrap() as u64;
    let (long, longer) = ("a".repeat(300), "a".repeat(100));
    for (data_dir, words) in [
        ("file", "is a file"),
        ("file/below", "is a file"),
        ("/dev/full", "is a device"),
        ("link", "a link to nothing"),
        ("a\\u0000b", "can be no data directory"),
        (&long, "at most"),
        (&longer, "at most"),
    ] {
        place.write("bindery.toml", &text.replace("\"data\"", &format!("\"{data_dir}\"")));
        let done = place.run(&["check", "--json"]).exits(3);
        assert_eq!(lines_told(&done), [line], "{data_dir}: {}", done.stdout);
        assert_eq!(done.json()["problems"][0]["key"], "server.data_dir");
        for command in ["check", "serve", "apply"] {
            place.run(&[command]).exits(3).says(&["server.data_dir", words]);
        }
    }
    place.write("bindery.toml", &text);
    place.run(&["serve", "--data-dir", "file"]).exits(3).says(&["is a file"]);
    place.run(&["check"]).exits(0);
}

/// Backups that would fail, or go with what the store deletes, are told before any is made.
#[test]
fn what_can_be_no_directory_for_backups_has_its_line() {
    const COPY: &str = "data/store.copy-0b0c4fb2-7d1c-4f0e-9a58-0e5a3a1f9b11";
    let place = Place::new(SEED);
    place.write("file", "");
    std::fs::create_dir(place.path("data")).unwrap();
    std::os::unix::fs::symlink("data", place.path("way")).unwrap();
    let text = place.read("bindery.toml");
    let write = |directory: &str| {
        place.write("bindery.toml", &format!("{text}\n[server.backup]\ndirectory = \"{directory}\"\n"));
        (text.lines().count() + 3) as u64
    };
    for is_made in [false, true] {
        for (directory, words) in [
            ("file", "is a file"),
            ("file/below", "is a file"),
            ("data/store", "`store` is a name of the store"),
            ("data/store.new/backups", "`store.new` is a name of the store"),
            ("way/store.old", "`store.old` is a name of the store"),
            ("data/journal", "`journal` is a name of the store"),
            ("data/successor", "`successor` is a name of the store"),
            ("data/successor.new", "`successor.new` is a name of the store"),
            ("data/journal.new", "`journal.new` is a name of the store"),
            ("data/lock", "`lock` is a name of the store"),
            ("data/lock/below", "`lock` is a name of the store"),
            ("data/set-aside/backups", "`set-aside` is a name of the store"),
            ("data/token.key", "`token.key` is a name of the store"),
            ("data/bindery.sock", "`bindery.sock` is a name of the store"),
            (COPY, "is a name of the store"),
        ] {
            let line = write(directory);
            let done = place.run(&["check", "--json"]).exits(3);
            assert_eq!(lines_told(&done), [line], "{directory}: {}", done.stdout);
            assert_eq!(done.json()["problems"][0]["key"], "server.backup.directory");
            for command in ["check", "serve", "apply"] {
                // Whoever has a store serves it, with backups or without.
                if command == "serve" && is_made && directory.starts_with("file") {
                    continue;
                }
                place.run(&[command]).exits(3).says(&["server.backup.directory", words]);
            }
        }
        let others = [
            "data/stores",
            "data/store.backups",
            "data/journal.old",
            "data/store.copy-mine",
            "data/successor.1",
        ];
        for directory in others.iter().chain(&["data/kept/store", "elsewhere/journal"]) {
            write(directory);
            place.run(&["check"]).exits(0);
        }
        if !is_made {
            place.run(&["apply", "--json"]).exits(0);
        }
    }
}

#[test]
fn variables_that_override_nothing_are_told() {
    let place = Place::new(SEED);
    let told = |name: &str, value: &str| {
        let output = place.command(&["check"]).env(name, value).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let strange = told("BINDERY_SERVER_LDAPP", "x");
    assert!(
        strange.contains("BINDERY_SERVER_LDAPP") && strange.contains("BINDERY_SERVER_LDAP?"),
        "{strange}"
    );
    // Of Kubernetes are those that say what it says there.
    let strange = told("BINDERY_SERVER_LDAP_PORT", "3389");
    assert!(strange.contains("BINDERY_SERVER_LDAP_PORT overrides nothing"), "{strange}");
    assert_eq!(told("BINDERY_SERVER_LDAP_PORT", "tcp://10.0.0.1:3389"), "");
    assert_eq!(told("BINDERY_SERVER_SERVICE_PORT_LDAP", "389"), "");
    assert_eq!(told("BINDERY_SERVER_PORT_389_TCP_ADDR", "10.0.0.1"), "");
}

/// What a command names goes before what variables name, and is not made up for by them.
#[test]
fn a_place_that_is_named_and_is_not_there_is_an_error() {
    let place = Place::new(SEED);
    let server = place.serve(&[]);
    place.run(&["account", "list"]).exits(0);
    place.run(&["account", "list", "--socket", "none.sock"]).exits(1).says(&["none.sock"]);
    place.run(&["apply", "--socket", "none.sock"]).exits(1).says(&["none.sock"]);
    place.run(&["account", "list", "--config", "none.toml"]).exits(3).says(&["none.toml"]);
    let socket = place.path("data/bindery.sock");
    let output = place
        .command(&["account", "list", "--config", "none.toml"])
        .env("BINDERY_SOCKET", &socket)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    // What the variables name may still make up for each other.
    let output = place.command(&["account", "list"]).env("BINDERY_SOCKET", "none.sock").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    server.stop();
}

/// Whoever cannot be reached hands out no secrets, and leaves no store.
#[test]
fn a_first_start_that_cannot_be_leaves_nothing() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let place = Place::new(SEED);
    let nothing_is_left = |done: Done| {
        assert!(!done.stderr.contains("bnd") && done.stdout.is_empty(), "{}", done.stderr);
        assert!(!place.path("data").exists(), "{}", done.stderr);
        assert!(!place.path("secrets.json").exists());
    };
    for flag in ["--ldap", "--http"] {
        let arguments = ["serve", flag, &address, "--secrets-file", "secrets.json"];
        nothing_is_left(place.run(&arguments).exits(1).says(&["is in use"]));
    }
    let long = format!("data-{}", "x".repeat(120));
    let done = place.run(&["serve", "--data-dir", &long, "--secrets-file", "secrets.json"]).exits(3);
    nothing_is_left(done.says(&["shorter name"]));
    assert!(!place.path(&long).exists());
    place.edit(
        "[server.hashing]",
        "[server.tls]\ncertificate = \"no.pem\"\nkey = \"no.key\"\n\n[server.hashing]",
    );
    nothing_is_left(place.run(&["serve", "--secrets-file", "secrets.json"]).exits(3).says(&["no.pem"]));
    place.edit("[server.tls]\ncertificate = \"no.pem\"\nkey = \"no.key\"\n", "");
    place.write("there.json", "mine");
    for (path, words) in [("none/secrets.json", "cannot be made"), ("there.json", "never overwritten")] {
        for command in ["serve", "apply"] {
            let done = place.run(&[command, "--secrets-file", path]).exits(1);
            nothing_is_left(done.says(&[words, "nothing was changed"]));
            assert!(!place.path("certs").exists(), "{command} made certificates");
        }
    }
    assert_eq!(place.read("there.json"), "mine");
    let server = place.serve(&["--secrets-file", "secrets.json"]);
    server.stop();
    assert!(place.path("secrets.json").exists());
}
