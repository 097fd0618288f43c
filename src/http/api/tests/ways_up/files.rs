//! A file that is imported is written by somebody else than who imports it: it takes no name of the config or of what held
//! rights, gives nobody rights, and makes nobody known as a group that gives some.

use super::*;

/// What the config has made, or what held rights, is gone until somebody says otherwise.
#[test]
fn a_file_brings_back_nothing_that_held_rights() {
    let config = "[[role]]\nname = \"reader\"\npermissions = [\"view_event\"]\n\
                  [[account]]\nusername = \"boss\"\nroles = [\"reader\"]\n\
                  [[account]]\nusername = \"plain\"\n\
                  [[group]]\nname = \"admins\"\nis_superuser = true\n";
    let make = || {
        let doors = Doors::new();
        apply(&doors, config);
        doors.prepare(&[
            user("mine"),
            group("own"),
            grant("/rbac/permissions/assigned_by_users/{user:mine}/assign/", "view_role"),
            user("free"),
            delete("/core/users/{user:boss}/"),
            delete("/core/users/{user:plain}/"),
            delete("/core/users/{user:mine}/"),
            delete("/core/users/{user:free}/"),
            delete("/core/groups/{group:admins}/"),
            delete("/core/groups/{group:own}/"),
        ]);
        doors
    };
    let password = "userPassword: {SSHA}MTIzNDU2Nzg5MDEyMzQ1Njc4OTBzYWx0\n";
    let people = ["boss", "BOSS", "plain", "mine", "free"].map(|name| imported_person(name, password));
    let text = people.concat() + &imported_group("admins", &["free"]) + &imported_group("own", &[]);
    let doors = make();
    let report = doors.import(&["ou=users"], &text);
    assert!(report.contains(" users: 1,") && report.contains(" groups: 1,"), "{report}");
    assert!(report.contains("no import brings it back"), "{report}");
    let there = |doors: &Doors, name: &str| {
        let snapshot = doors.operator.registry.snapshot();
        snapshot.accounts().account_named(name).is_some()
    };
    assert_eq!(
        ["boss", "plain", "mine", "free"].map(|name| there(&doors, name)),
        [false, false, false, true]
    );
    // The config goes on skipping them, and makes its own when it is told to.
    apply(&doors, config);
    assert!(!there(&doors, "boss"));
    let recreate = SeedOptions { recreate: vec!["boss".to_owned()], ..SeedOptions::default() };
    doors.config_with(config, &recreate).unwrap();
    assert_eq!(rights_of(&doors, "boss").grants.len(), 1);
    let snapshot = doors.operator.registry.snapshot();
    assert!(snapshot.accounts().account_named("boss").unwrap().password.is_none());
}

/// Hosts take whoever has the number of a group for its member, applications whoever is in what is found by its name.
#[test]
fn a_file_makes_nobody_known_as_a_group_that_gives_rights() {
    let doors = Doors::new();
    let named = |name: &str, number: &str| {
        post("/core/groups/", json!({ "name": name, "attributes": { "gidNumber": number } }))
    };
    doors.prepare(&[
        named("chiefs", "70001"),
        named("readers", "70002"),
        named("bound", "70003"),
        named("plain", "70004"),
        patch("/core/groups/{group:chiefs}/", json!({ "is_superuser": true })),
        grant("/rbac/permissions/assigned_by_groups/{group:readers}/assign/", "view_event"),
        post("/core/groups/", json!({ "name": "below", "parents": ["{group:readers}"], "attributes": { "gidNumber": "70005", "cn": ["below", "lower"] } })),
        post("/core/applications/", json!({ "slug": "vault", "name": "Vault" })),
        post("/policies/bindings/", json!({ "target": "{application:vault}", "group": "{group:bound}", "order": 0 })),
    ]);
    let posix = |number: &str| {
        format!("objectClass: posixAccount\nuidNumber: 8{number}\ngidNumber: {number}\nhomeDirectory: /\n")
    };
    let mut text = String::new();
    for number in ["70001", "70002", "070003", "70004", "70005", "70006"] {
        text += &imported_person(&format!("p{number}"), &posix(number));
    }
    for (name, also) in
        [("one", "chiefs"), ("two", "CHIEFS"), ("three", "lower"), ("four", "plain"), ("five", "other")]
    {
        text += &format!(
            "dn: cn={name},ou=groups,dc=example,dc=com\nobjectClass: posixGroup\ncn: {name}\ncn: {also}\ngidNumber: 71000\n\n"
        );
    }
    text += "dn: cn=six,ou=groups,dc=example,dc=com\nobjectClass: posixGroup\ncn: six\ngidNumber: 70002\n\n";
    let report = doors.import(&["ou=users"], &text);
    assert!(report.contains(" users: 6,") && report.contains(" groups: 6,"), "{report}");
    let snapshot = doors.operator.registry.snapshot();
    let (accounts, tree) = (snapshot.accounts(), snapshot.default_tree().unwrap());
    let has = |name: &str, attribute: &str, value: &str| {
        let mut found = crate::registry::commands::testing::holders(&snapshot, tree, attribute, value);
        found.retain(|id| {
            accounts.account_of_entry(*id).is_some_and(|account| &*account.username == name)
                || accounts.group_of_entry(*id).is_some_and(|group| &*group.name == name)
        });
        !found.is_empty()
    };
    for (name, number, is_left) in [
        ("p70001", "70001", false),
        ("p70002", "70002", false),
        ("p070003", "70003", false),
        ("p70004", "70004", true),
        ("p70005", "70005", false),
        ("p70006", "70006", true),
        ("six", "70002", false),
    ] {
        assert_eq!(has(name, "gidNumber", number), is_left, "{name}: {report}");
    }
    for (name, also, is_left) in [
        ("one", "chiefs", false),
        ("two", "chiefs", false),
        ("three", "lower", false),
        ("four", "plain", true),
        ("five", "other", true),
    ] {
        assert_eq!(has(name, "cn", also), is_left, "{name}: {report}");
    }
    assert!(report.contains("a group that gives rights here is known by it"), "{report}");
}
