//! Commands say what else a change brings about before they make it: they ask on a terminal, and tell on standard error
//! elsewhere.

use std::io::Write;
use std::process::Stdio;

use serde_json::json;

use crate::service_accounts::{Doors, api_token};
use crate::support::{Place, SEED};

/// A command on a terminal, whose question gets this answer: the exit code, and all that is shown.
fn on_terminal(place: &Place, arguments: &[&str], answer: &str) -> (i32, String) {
    let command = place.command(&[]);
    let quoted: Vec<String> = arguments.iter().map(|argument| format!("'{argument}'")).collect();
    let line = format!("'{}' {}", command.get_program().to_str().unwrap(), quoted.join(" "));
    let mut script = std::process::Command::new("script");
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    let mut child = script
        .args(["-qec", &line, "/dev/null"])
        .current_dir(command.get_current_dir().unwrap())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(format!("{answer}\n").as_bytes()).unwrap();
    // Its end would be an end of the terminal's input before the question.
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// `mallory` may make tokens for `portal`, has made one, and holds nothing else.
fn with_foreign_token() -> (Doors, String) {
    let doors = Doors::start();
    let place = &doors.place;
    place.run(&["account", "create", "mallory"]).exits(0);
    place.run(&["grant", "add", "mallory", "add_token"]).exits(0);
    for permission in ["view_user", "change_user"] {
        place.run(&["grant", "add", "mallory", permission, "--on", "account:portal"]).exits(0);
    }
    let mallory = api_token(place, "mallory");
    let portal: u32 = doors.number("portal").parse().unwrap();
    let token = json!({ "identifier": "portal-backup", "user": portal, "intent": "app_password" });
    let (status, said) = doors.call(&mallory, "POST", "/api/v3/core/tokens/", &token);
    assert_eq!(status, 201, "{said}");
    (doors, mallory)
}

const TOLD: &[&str] = &["portal-backup of account portal was made by mallory"];

#[test]
fn who_gives_rights_by_a_command_is_told_of_credentials_of_others() {
    let (doors, _mallory) = with_foreign_token();
    let place = &doors.place;
    place.run(&["group", "create", "readers"]).exits(0);
    place.run(&["role", "create", "reader"]).exits(0);
    let quiet = place.run(&["role", "grant", "reader", "view_event"]).exits(0);
    assert_eq!(quiet.stderr, "");
    let quiet = place.run(&["group", "add", "readers", "portal"]).exits(0);
    assert_eq!(quiet.stderr, "");
    let gives: [&[&str]; 6] = [
        &["role", "add", "reader", "portal"],
        &["role", "grant", "reader", "view_group"],
        &["group", "grant", "readers", "view_role"],
        &["group", "set", "readers", "--superuser", "true"],
        &["grant", "add", "portal", "view_token"],
        &["group", "add", "admins", "portal"],
    ];
    for command in gives {
        let (exit, said) = on_terminal(place, command, "n");
        assert!(exit == 1 && said.contains(TOLD[0]) && said.contains("nothing was done"), "{exit} {said}");
        place.run(command).exits(0).says(TOLD);
        if command[0] == "group" && command[1] == "set" {
            // Else the rest is given to somebody who may do everything already.
            place.run(&["group", "set", "readers", "--superuser", "false"]).exits(0);
        }
    }
    place.run(&["group", "remove", "admins", "portal"]).exits(0);
    let (exit, said) = on_terminal(place, &["group", "add", "admins", "portal"], "y");
    assert!(exit == 0 && said.contains(TOLD[0]), "{exit} {said}");
    place.run(&["group", "remove", "admins", "portal"]).exits(0);
    let (exit, said) = on_terminal(place, &["group", "add", "admins", "portal", "--yes"], "n");
    assert!(exit == 0 && said.contains(TOLD[0]), "{exit} {said}");
}

#[test]
fn apply_marks_credentials_of_others_and_needs_to_be_told_to_accept_them() {
    let (doors, _mallory) = with_foreign_token();
    let place = &doors.place;
    place.edit("username = \"portal\"", "username = \"portal\"\nroles = [\"ldap-search\"]");
    // Nothing is changed before.
    place.edit("alice@example.com", "alice@example.net");
    let planned = place.run(&["apply", "--dry-run"]).exits(5);
    assert!(planned.stdout.contains("! ") && planned.stdout.contains("portal-backup"), "{}", planned.stdout);
    let planned = place.run(&["apply", "--dry-run", "--json"]).exits(5).json();
    assert_eq!(planned["credentials"][0]["identifier"], "portal-backup", "{planned}");
    place.run(&["apply"]).exits(5).says(&["mallory", "--accept-credentials token:portal-backup"]);
    let shown = place.run(&["account", "show", "alice", "--json"]).exits(0).json();
    assert_eq!(shown["email"], "alice@example.com");
    let refused = place.run(&["apply", "--json"]).exits(5).json();
    assert_eq!(refused["credentials"][0]["identifier"], "portal-backup", "{refused}");
    place.run(&["apply", "--accept-credentials", "password:portal"]).exits(5);
    place.run(&["apply", "--accept-credentials", "token:portal-backup"]).exits(0);
}

#[test]
fn who_makes_two_known_by_one_value_is_told() {
    let place = &Doors::start().place;
    const TOLD: &str = "the account eve and the account alice are both known by `alice@example.com`";
    place
        .run(&["account", "create", "eve", "--type", "internal", "--email", "Alice@example.com"])
        .exits(0)
        .says(&[TOLD]);
    let said = place.run(&["account", "set", "eve", "--email", "eve@example.org"]).exits(0).stderr;
    assert!(!said.contains("known by"), "{said}");
    place.run(&["account", "set", "eve", "--email", "alice@example.com"]).exits(0).says(&[TOLD]);
    place
        .run(&["group", "create", "crew", "--attribute", "mail=alice@example.com"])
        .exits(0)
        .says(&["the group crew and"]);
    place.write(
        "bindery.toml",
        &format!(
            "{}\n[[account]]\nusername = \"frank\"\nemail = \"alice@example.com\"\n",
            place.read("bindery.toml")
        ),
    );
    let planned = place.run(&["apply", "--dry-run"]).exits(0);
    assert!(
        planned.stdout.contains("! the account frank and the account alice are both known by"),
        "{}",
        planned.stdout
    );
    let planned = place.run(&["apply", "--dry-run", "--json"]).exits(0).json();
    assert_eq!(planned["shared_values"]["values"].as_array().unwrap().len(), 3, "{planned}");
    place.run(&["apply"]).exits(0).says(&["the account frank and the account alice"]);
    let said = place.run(&["apply"]).exits(0).stderr;
    assert!(!said.contains("known by"), "{said}");
}

#[test]
fn what_somebody_else_has_made_is_in_the_way_of_an_apply() {
    let (doors, mallory) = with_foreign_token();
    let place = &doors.place;
    place.run(&["grant", "add", "mallory", "add_user"]).exits(0);
    let body = json!({ "username": "eve", "name": "Eve", "type": "service_account" });
    assert_eq!(doors.call(&mallory, "POST", "/api/v3/core/users/", &body).0, 201);
    let config = place.read("bindery.toml");
    place.write(
        "bindery.toml",
        &format!(
            "{config}\n[[account]]\nusername = \"eve\"\ntype = \"service_account\"\nroles = [\"ldap-search\"]\n\n\
             [[account]]\nusername = \"frank\"\n"
        ),
    );
    place
        .run(&["apply"])
        .exits(1)
        .says(&["account `eve` cannot be as the config says", "--adopt account:eve"]);
    // A program reads one document, whatever came of it.
    let refused = place.run(&["apply", "--json"]).exits(1).json();
    assert_eq!(refused["changes"][0]["sign"], "obstructed", "{refused}");
    place.run(&["account", "show", "frank"]).exits(1);
    // Who may change what the operator has made gives it neither another name nor another type.
    place.run(&["grant", "add", "mallory", "change_user"]).exits(0);
    place.run(&["account", "create", "grace", "--type", "internal"]).exits(0);
    let user = place.run(&["account", "show", "grace", "--json"]).exits(0).json();
    let path = format!("/api/v3/core/users/{}/", user["pk"]);
    for body in [json!({ "type": "service_account" }), json!({ "username": "eve.adams" })] {
        let (status, told) = doors.call(&mallory, "PATCH", &path, &body);
        assert_eq!(status, 403, "{told}");
        assert!(told.to_string().contains("only who has made the account `grace`"), "{told}");
    }
    assert_eq!(doors.call(&mallory, "PATCH", &path, &json!({ "name": "Grace" })).0, 200);
    let grace = "\n[[account]]\nusername = \"grace\"\nroles = [\"ldap-search\"]\n";
    place.write("bindery.toml", &format!("{config}{grace}"));
    place.run(&["apply", "--dry-run"]).exits(0);
    // A prune shows whose it is that goes.
    place.write("bindery.toml", &config);
    let pruned = place.run(&["apply", "--prune", "--dry-run"]).exits(0).stdout;
    assert!(pruned.contains("- account eve (made by `mallory` at "), "{pruned}");
    assert!(pruned.contains("- account mallory (made by "), "{pruned}");
}

/// An automation makes accounts, sets their passwords and fills a group, which the config makes worth something later.
#[test]
fn what_an_automation_has_made_is_told_and_accepted_by_its_name() {
    let doors = Doors::start();
    let place = &doors.place;
    place.run(&["account", "create", "scim"]).exits(0);
    place.run(&["group", "create", "staff"]).exits(0);
    for permission in ["add_user", "view_user"] {
        place.run(&["grant", "add", "scim", permission]).exits(0);
    }
    place.run(&["grant", "add", "scim", "add_user_to_group", "--on", "group:staff"]).exits(0);
    let scim = api_token(place, "scim");
    let staff = place.run(&["group", "show", "staff", "--json"]).exits(0).json()["pk"].clone();
    let staff = staff.as_str().unwrap();
    for name in ["ann", "ben", "cat", "dan"] {
        let body = json!({ "username": name, "name": name, "type": "internal" });
        assert_eq!(doors.call(&scim, "POST", "/api/v3/core/users/", &body).0, 201);
        let user: u32 = doors.number(name).parse().unwrap();
        let calls = [
            (format!("/api/v3/core/users/{user}/set_password/"), json!({ "password": "a long enough one" })),
            (format!("/api/v3/core/groups/{staff}/add_user/"), json!({ "pk": user })),
        ];
        for (path, body) in calls {
            let (status, said) = doors.call(&scim, "POST", &path, &body);
            assert_eq!(status, 204, "{path} {said}");
        }
    }
    let config = place.read("bindery.toml");
    let worth = "\n[[group]]\nname = \"staff\"\nroles = [\"ldap-search\"]\n";
    place.write("bindery.toml", &format!("{config}{worth}"));
    let told = "4 accounts made by `scim` (ann, ben, cat and 1 more)";
    for command in ["apply", "check"] {
        place.run(&[command]).exits(1).says(&[told, "--adopt by:scim accepts them as they are"]);
    }
    let refused = place.run(&["apply", "--json"]).exits(1).json();
    let together =
        json!([{ "kind": "account", "by": "scim", "count": 4, "names": ["ann", "ben", "cat", "dan"] }]);
    assert_eq!(refused["changes"][0]["together"], together, "{refused}");
    let adopt = ["--adopt", "by:scim"];
    let run = |more: &[&str]| place.run(&[&["apply"], &adopt[..], more].concat());
    let told = "4 passwords that `scim` has made or exchanged (ann, ben, cat and 1 more)";
    run(&[]).exits(5).says(&[told, "bindery apply --accept-credentials by:scim"]);
    let refused = run(&["--dry-run", "--json"]).exits(5).json();
    assert_eq!(refused["credentials_together"][0]["count"], 4, "{refused}");
    let accept = ["--accept-credentials", "by:scim"];
    let done = run(&accept).exits(0).stdout;
    assert!(done.contains("= account ann (accepted as they are: 4 accounts made"), "{done}");
    assert!(done.contains("= account ann (accepted: 4 passwords"), "{done}");
    assert_eq!(doors.code_of_bind("dan", "a long enough one"), 0);
    assert!(place.run(&["apply"]).exits(0).stdout.contains("nothing to change"));
    run(&["--adopt", "by:nobody"]).exits(3).says(&["there is no account `nobody`"]);
    // An account that is described begins as the config says, and its credentials end.
    place.write("bindery.toml", &format!("{config}{worth}\n[[account]]\nusername = \"ann\"\n"));
    place.run(&["apply"]).exits(1).says(&["--adopt account:ann"]);
    run(&[]).exits(0);
    assert_eq!(doors.code_of_bind("ann", "a long enough one"), 49);
}

#[test]
fn who_binds_an_application_is_told_whom_that_shuts_out() {
    let place = Place::new(SEED);
    place.run(&["apply", "--secrets-file", "secrets.json"]).exits(0);
    place.run(&["application", "create", "cloud", "--provider", "ldap"]).exits(0);
    let bind = ["application", "bind", "cloud", "--group", "engineering"];
    let shut_out = "bob loses access to cloud (not used)";
    let (exit, said) = on_terminal(&place, &bind, "n");
    assert!(exit == 1 && said.contains(shut_out) && said.contains("nothing was done"), "{exit} {said}");
    let shown = place.run(&["application", "show", "cloud", "--json"]).exits(0).json();
    assert_eq!(shown["bindings"], json!([]));
    let network = ["application", "bind", "cloud", "--network", "127.0.0.0/8"];
    assert_eq!(place.run(&network).exits(0).stderr, "");
    let done = place.run(&["application", "set", "cloud", "--mode", "all"]).exits(0);
    assert_eq!(done.stderr, "");
    let done = place.run(&bind).exits(0).says(&[shut_out, "portal loses access"]);
    assert!(!done.stderr.contains("alice"), "{}", done.stderr);

    let application =
        "\n[[application]]\nslug = \"cloud\"\nmode = \"any\"\nbindings = [{ account = \"bob\" }]\n";
    let config = place.read("bindery.toml");
    place.write("bindery.toml", &format!("{config}{application}"));
    let alice = "alice loses access to cloud";
    let planned = place.run(&["apply", "--dry-run"]).exits(0);
    assert!(planned.stdout.contains(&format!("! {alice}")), "{}", planned.stdout);
    place.run(&["apply"]).exits(0).says(&[alice]);
}

#[test]
fn a_password_is_dropped_by_nobody_who_has_not_said_so() {
    let place = Place::new(SEED);
    place.run(&["apply", "--secrets-file", "secrets.json"]).exits(0);
    let kind =
        |account: &str| place.run(&["account", "show", account, "--json"]).exits(0).json()["type"].clone();
    // Who has none loses none.
    place.run(&["account", "set", "alice", "--type", "external"]).exits(0);
    for account in ["alice", "bob"] {
        place.run_with_input(&["account", "password", account], "a good secret\n").exits(0);
        let convert = ["account", "set", account, "--type", "service_account"];
        place.run(&convert).exits(2).says(&["has a password", "--drop-password"]);
        let (exit, said) = on_terminal(&place, &convert, "n");
        assert!(exit == 1 && said.contains("gone for good"), "{exit} {said}");
        assert_ne!(kind(account), "service_account");
    }
    place.run(&["account", "set", "alice", "--type", "service_account", "--drop-password"]).exits(0);
    assert_eq!(on_terminal(&place, &["account", "set", "bob", "--type", "service_account"], "y").0, 0);
    assert_eq!((kind("alice"), kind("bob")), ("service_account".into(), "service_account".into()));
    place.run(&["account", "set", "bob", "--drop-password"]).exits(2).says(&["--type"]);
}
