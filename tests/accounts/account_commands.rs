//! `bindery account`, `group`, `role` and `grant`, on the store and through a server that runs.

use crate::support::Place;

const SEED: &str = r#"
[[provider]]
name = "ldap"
base_dn = "dc=example,dc=com"
default = true

[[account]]
username = "bob"
"#;

/// The words of an answer.
fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

/// The story of a service account, by commands alone.
fn story(place: &Place) {
    let made = place.run(&["account", "create", "cloud", "--create-group", "--expires", "90d", "--json"]);
    let made = made.exits(0).json();
    assert_eq!((&made["account"], &made["identifier"]), (&"cloud".into(), &"cloud-app-password".into()));
    assert_eq!(made["intent"], "app_password");
    assert!(made["secret"].as_str().unwrap().starts_with("bindery_app_"));
    assert!(made["expires"].is_string() && made["group"].is_string());
    place.run(&["account", "create", "cloud"]).exits(1).says(&["`cloud` exists already"]);
    place.run(&["account", "create", " "]).exits(3).says(&["empty name"]);
    place
        .run(&["account", "create", "x", "--type", "internal_service_account"])
        .exits(3)
        .says(&["made and kept by bindery"]);
    place
        .run(&["account", "create", "x", "--type", "internal", "--no-expiry"])
        .exits(2)
        .says(&["--no-expiry"]);

    place
        .run(&[
            "account",
            "set",
            "cloud",
            "--full-name",
            "Cloud",
            "--attribute",
            "mobile=1",
            "--attribute",
            "mobile=2",
        ])
        .exits(0);
    let shown = place.run(&["account", "show", "CLOUD", "--json"]).exits(0).json();
    assert_eq!((&shown["name"], &shown["type"]), (&"Cloud".into(), &"service_account".into()));
    assert_eq!(shown["attributes"]["mobile"], serde_json::json!(["1", "2"]));
    assert_eq!(shown["groups_obj"][0]["name"], "cloud");
    place.run(&["account", "set", "cloud", "--attribute", "mobile="]).exits(0);
    let text = place.run(&["account", "show", "cloud"]).exits(0).stdout;
    assert!(!text.contains("mobile") && text.contains("Cloud"), "{text}");
    place.run(&["account", "set", "cloud"]).exits(2).says(&["nothing to change"]);
    place
        .run(&["account", "set", "cloud", "--attribute", "memberOf=x"])
        .exits(3)
        .says(&["memberOf", "derived"]);
    place.run(&["account", "set", "cloud", "--rename", "bob"]).exits(1).says(&["`bob` exists already"]);

    // What only people have.
    place.run_with_input(&["account", "password", "cloud"], "secret\n").exits(5).says(&["service account"]);
    place.run_with_input(&["account", "password", "bob"], "\n").exits(2).says(&["empty"]);
    place.run_with_input(&["account", "password", "bob"], "a good secret\n").exits(0);

    place.run(&["group", "create", "staff", "--attribute", "description=All"]).exits(0);
    place.run(&["group", "create", "STAFF"]).exits(1).says(&["already"]);
    place.run(&["group", "create", "ops", "--parent", "staff"]).exits(0);
    place.run(&["group", "set", "staff", "--parent", "ops"]).exits(3).says(&["cannot be in each other"]);
    place.run(&["group", "add", "ops", "bob"]).exits(0);
    let staff = place.run(&["group", "show", "staff", "--json"]).exits(0).json();
    assert_eq!((&staff["children_obj"][0]["name"], &staff["users"]), (&"ops".into(), &serde_json::json!([])));
    let list = place.run(&["group", "list", "--account", "bob"]).exits(0).stdout;
    assert!(list.contains("ops") && !list.contains("cloud"), "{list}");
    // What a command says is so: `staff` has `bob` through `ops`.
    let says = |arguments: &[&str], words: &str| {
        let said = place.run(arguments).exits(0).stdout;
        assert_eq!(said.trim_end(), words, "{arguments:?}");
    };
    says(&["group", "add", "ops", "bob"], "bob is in ops already");
    says(
        &["group", "remove", "staff", "bob"],
        "bob is not in staff directly, but is in it through the group ops",
    );
    says(&["group", "add", "staff", "bob"], "bob is in staff");
    says(
        &["group", "remove", "staff", "bob"],
        "bob is no longer in staff directly, but is in it through the group ops",
    );
    place.run(&["role", "create", "nested"]).exits(0);
    place.run(&["group", "set", "staff", "--role", "nested"]).exits(0);
    says(
        &["role", "remove", "nested", "bob"],
        "bob does not hold nested directly, but holds it through the group staff",
    );
    says(&["role", "add", "nested", "bob"], "bob holds nested");
    says(&["role", "add", "nested", "bob"], "bob holds nested already");
    let removed = place.run(&["role", "remove", "nested", "bob", "--json"]).exits(0).json();
    assert_eq!((&removed["was"], &removed["through"]), (&true.into(), &"staff".into()));
    place.run(&["role", "delete", "nested", "--yes"]).exits(0);
    says(&["group", "remove", "ops", "bob"], "bob is no longer in ops");
    says(&["group", "remove", "ops", "bob"], "bob is not in ops");
    // An empty variable of a script names nobody.
    for nobody in [&["account", "delete", "", "--yes"][..], &["account", "show", ""]] {
        place.run(nobody).exits(1).says(&["there is no account ``"]);
    }
    place.run(&["group", "show", ""]).exits(1).says(&["there is no group ``"]);
    place.run(&["group", "add", "ops", "nobody"]).exits(1).says(&["there is no account `nobody`"]);

    place.run(&["role", "create", "search"]).exits(0);
    place.run(&["role", "create", "Search"]).exits(1).says(&["already"]);
    place.run(&["role", "grant", "search", "search_full_directory", "--on", "provider:ldap"]).exits(0);
    place
        .run(&["role", "grant", "search", "fly"])
        .exits(2)
        .says(&["there is no permission `fly`", "grant list --all"]);
    place
        .run(&["role", "grant", "search", "view_user", "--on", "provider:ldap"])
        .exits(3)
        .says(&["view_user"]);
    place.run(&["role", "grant", "search", "view_user", "--on", "account:nobody"]).exits(1).says(&["nobody"]);
    place.run(&["role", "add", "search", "cloud"]).exits(0);
    let role = place.run(&["role", "show", "search", "--json"]).exits(0).json();
    assert_eq!(role["accounts"], serde_json::json!(["cloud"]));
    assert_eq!(role["permissions"][0]["object"], "ldap");
    let explained = place.run(&["access", "explain", "cloud"]).exits(0).stdout;
    assert!(explained.contains("the role `search` has `search_full_directory`"), "{explained}");
    let filter = ["access", "explain", "cloud", "--filter", "(&(objectClass=person)(cn=b*))"];
    let found = place.run(&[&filter[..], &["--json"]].concat()).exits(0).json();
    let found = &found["providers"][0]["filter"];
    assert_eq!((&found["seen"], &found["hidden"]), (&1.into(), &0.into()));
    place.run(&["role", "remove", "search", "cloud"]).exits(0);
    let hidden = place.run(&filter).exits(0).stdout;
    assert!(hidden.contains("finds 0 entries for it, and 1 that it is not shown"), "{hidden}");
    place.run(&["access", "explain", "cloud", "--filter", "(cn=b"]).exits(3).says(&["a ) is missing"]);
    let explained = place.run(&["access", "explain", "cloud"]).exits(0).stdout;
    assert!(explained.contains("nothing grants `search_full_directory`"), "{explained}");

    place.run(&["grant", "add", "cloud", "view_group", "--on", "group:ops"]).exits(0);
    place.run(&["grant", "add", "cloud", "view_user"]).exits(0);
    let held = place.run(&["grant", "list", "cloud"]).exits(0).stdout;
    assert!(held.contains("authentik_core.view_group on group ops"), "{held}");
    place.run(&["grant", "remove", "cloud", "view_user"]).exits(0);
    assert_eq!(place.run(&["grant", "list"]).exits(0).stdout.lines().count(), 2);
    place.run(&["group", "grant", "ops", "search_full_directory"]).exits(0);
    place.run(&["group", "add", "ops", "cloud"]).exits(0);
    let explained = place.run(&["access", "explain", "cloud"]).exits(0).stdout;
    assert!(explained.contains("the group `ops` has"), "{explained}");
    place.run(&["group", "ungrant", "ops", "search_full_directory"]).exits(0);

    place.run(&["account", "deactivate", "cloud"]).exits(0);
    let inactive = place.run(&["account", "list", "--inactive"]).exits(0).stdout;
    assert_eq!(words(&inactive)[7..10], ["cloud", "service_account", "no"], "{inactive}");
    for delete in [["account", "delete", "cloud"], ["group", "delete", "staff"], ["role", "delete", "search"]]
    {
        place.run(&delete).exits(2).says(&["give --yes"]);
        place.run(&[&delete[..], &["--yes"]].concat()).exits(0);
        place.run(&[&delete[..], &["--yes"]].concat()).exits(1).says(&["there is no"]);
    }
    assert!(place.run(&["token", "list"]).exits(0).stdout.lines().count() == 1);
    place.run(&["group", "delete", "ops", "--yes"]).exits(0);
    place.run(&["group", "delete", "cloud", "--yes"]).exits(0);
}

#[test]
fn accounts_groups_roles_and_grants_are_kept_by_commands() {
    let place = Place::new(SEED);
    place.run(&["account", "list"]).exits(1).says(&["there is no store"]);
    place.run(&["apply"]).exits(0);
    // On the store, then through a server: the same answers.
    story(&place);
    let server = place.serve(&[]);
    story(&place);
    server.stop();
}

#[test]
fn applications_and_providers_are_kept_by_commands() {
    let place = Place::new(SEED);
    place.run(&["apply"]).exits(0);
    place
        .run(&["application", "create", "cloud", "--provider", "none"])
        .exits(1)
        .says(&["no provider `none`"]);
    place.run(&["application", "create", "cloud", "--provider", "ldap", "--mode", "all"]).exits(0);
    place.run(&["application", "create", "cloud"]).exits(1).says(&["already"]);
    place.run(&["application", "create", "b c"]).exits(3);
    place.run(&["group", "create", "staff"]).exits(0);
    place.run(&["application", "bind", "cloud"]).exits(2);
    place.run(&["application", "bind", "cloud", "--group", "staff", "--from", "08:00"]).exits(2);
    place
        .run(&["application", "bind", "cloud", "--timezone", "Europe/Berlin"])
        .exits(3)
        .says(&["alone is no time"]);
    place.run(&["application", "bind", "cloud", "--group", "staff", "--account", "bob"]).exits(2);
    let bound = place.run(&["application", "bind", "cloud", "--group", "staff", "--json"]).exits(0).json();
    assert_eq!(bound["group_obj"]["name"], "staff");
    place.run(&["application", "bind", "cloud", "--network", "10.0.0.0/8", "--network", "::1/128"]).exits(0);
    place.run(&["application", "bind", "cloud", "--network", "10.0.0.1/8"]).exits(2).says(&["10.0.0.0/8?"]);
    let window =
        ["--day", "mon", "--day", "fri", "--from", "08:00", "--to", "18:00", "--timezone", "Europe/Berlin"];
    place.run(&[&["application", "bind", "cloud", "--negate"][..], &window].concat()).exits(0);
    place.run(&["application", "bind", "cloud", "--day", "someday"]).exits(3);
    let shown = place.run(&["application", "show", "cloud"]).exits(0).stdout;
    for piece in ["the group staff", "10.0.0.0/8, ::1/128", "not mon, fri 08:00-18:00 Europe/Berlin", "all"] {
        assert!(shown.contains(piece), "{piece}: {shown}");
    }
    let explained = place.run(&["access", "explain", "bob", "--source", "192.0.2.1"]).exits(0).stdout;
    assert!(explained.contains("may not bind"), "{explained}");
    let binding = bound["pk"].as_str().unwrap();
    place.run(&["application", "unbind", "cloud", binding]).exits(2).says(&["--yes"]);
    place.run(&["application", "unbind", "cloud", binding, "--yes"]).exits(0);
    place.run(&["application", "unbind", "cloud", binding, "--yes"]).exits(1).says(&["no binding"]);
    place.run(&["application", "set", "cloud", "--provider", "", "--description", "Files"]).exits(0);
    let list = place.run(&["application", "list", "--json"]).exits(0).json();
    assert_eq!(
        (&list[0]["provider"], &list[0]["meta_description"]),
        (&serde_json::Value::Null, &"Files".into())
    );

    place.run(&["provider", "create", "other", "--base-dn", "dc=other"]).exits(0);
    place.run(&["provider", "create", "other", "--base-dn", "dc=third"]).exits(1).says(&["already"]);
    place.run(&["provider", "create", "third", "--base-dn", "no dn"]).exits(3);
    place
        .run(&["provider", "set", "other", "--users", "ou=people:uid", "--domain", "other.example"])
        .exits(0);
    let shown = place.run(&["provider", "show", "other"]).exits(0).stdout;
    assert!(shown.contains("ou=people by uid") && shown.contains("other.example"), "{shown}");
    place.run(&["provider", "list"]).exits(0).says(&[]);
    place.run(&["provider", "delete", "other", "--yes"]).exits(0);
    place.run(&["provider", "delete", "other", "--yes"]).exits(1).says(&["no provider `other`"]);
    place.run(&["application", "delete", "cloud", "--yes"]).exits(0);
}

#[test]
fn shells_and_man_know_the_commands() {
    let place = Place::new(SEED);
    for shell in ["bash", "zsh", "fish"] {
        let script = place.run(&["completions", shell]).exits(0).stdout;
        assert!(script.contains("deactivate"), "{shell}");
    }
    let page = place.run(&["man"]).exits(0).stdout;
    assert!(page.contains(".TH") && page.contains("account"), "{page}");
    std::fs::create_dir(place.path("man")).unwrap();
    place.run(&["man", "--dir", place.path("man").to_str().unwrap()]).exits(0);
    assert!(place.read("man/bindery-account-create.1").contains("create\\-group"));
    // A page of another version is replaced, what is none stays, and keeps the others from being written.
    place.write("man/bindery-status.1", "\\.ds\n.TH BINDERY-STATUS 1  \"bindery 0.0.1\"\n");
    place.run(&["man", "--dir", place.path("man").to_str().unwrap()]).exits(0);
    assert!(!place.read("man/bindery-status.1").contains("0.0.1"));
    place.write("man/bindery-status.1", "notes of mine");
    std::fs::remove_file(place.path("man/bindery.1")).unwrap();
    let refused = place.run(&["man", "--dir", place.path("man").to_str().unwrap()]).exits(1);
    refused.says(&["bindery-status.1", "no page of bindery's"]);
    assert_eq!(place.read("man/bindery-status.1"), "notes of mine");
    assert!(!place.path("man/bindery.1").exists());
}
