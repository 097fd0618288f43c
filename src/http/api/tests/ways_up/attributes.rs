//! Way 6. Clients look people up by their attributes, and systems take a number for a user: a value by which another is known
//! is for who may change that other too.

use super::*;

/// `bob`, known by a mail address, and `eve`, whom the caller may change; `staff`, with a given number, and `club`, a group that
/// the caller may change.
fn directory() -> Doors {
    let doors = Doors::new();
    doors.prepare(&[
        user("bob"),
        user("eve"),
        patch("/core/users/{user:bob}/", json!({ "email": "bob@example.org" })),
        post("/core/groups/", json!({ "name": "staff", "attributes": { "gidNumber": "71000" } })),
        group("club"),
    ]);
    // Another name is for who has made the account.
    made_by("robot", doors, &["eve"])
}

const EVE: (&str, &str) = ("change_user", "account:eve");
const BOB: (&str, &str) = ("change_user", "account:bob");
const MAY: &[&str] = &["add_user", "view_user", "add_token"];

/// People are looked up by every `uid` that they have, by those of imported entries too.
#[test]
fn a_uid_that_is_no_username_is_one_persons_too() {
    let make = || {
        let doors = directory();
        let many = json!({ "attributes": { "uid": ["boss1"] } });
        doors.prepare(&[patch("/core/users/{user:bob}/", many)]);
        doors
    };
    let eve =
        |name: &str, value: &str| patch("/core/users/{user:eve}/", json!({ "attributes": { name: value } }));
    let person = json!({ "username": "new", "name": "New", "attributes": { "uid": ["boss1"] } });
    let calls = [
        eve("uid", "boss1"),
        eve("uid;lang-de", "BOSS1"),
        post("/core/users/", person),
        post("/core/groups/", json!({ "name": "new", "attributes": { "uid": ["boss1"] } })),
    ];
    let may = ["add_user", "add_group", "view_user"];
    both_ways(&make, Held::Only(&may, &[EVE]), Held::Only(&may, &[EVE, BOB]), &calls);
}

#[test]
fn who_is_known_by_what_another_is_known_by_is_for_who_may_change_both() {
    let with =
        |name: &str, value: &str| patch("/core/users/{user:eve}/", json!({ "attributes": { name: value } }));
    let new = |body: Value| post("/core/users/", body);
    let calls = [
        with("uid", "bob"),
        with("uid", "BOB"),
        with("cn", "bob"),
        with("CN;lang-de", "bob"),
        with("2.5.4.3", "bob"),
        with("mail", "bob@example.org"),
        with("mail", "Bob@Example.org"),
        with("mail", "bob"),
        with("uid", "bob@example.org"),
        patch("/core/users/{user:eve}/", json!({ "email": "BOB@example.org" })),
        patch("/core/users/{user:eve}/", json!({ "username": "bob@example.org" })),
        // The userPrincipalName of `bob`, which he binds with.
        patch("/core/users/{user:eve}/", json!({ "username": "bob@example.com" })),
        patch("/core/users/{user:eve}/", json!({ "email": "bob@example.com" })),
        with("uid", "bob@example.com"),
        put(
            "/core/users/{user:eve}/",
            json!({ "username": "eve", "name": "Eve", "attributes": { "uid": ["x", "bob"] } }),
        ),
        put("/core/users/{user:eve}/", json!({ "username": "Bob@example.org", "name": "Eve" })),
        new(json!({ "username": "new", "name": "New", "attributes": { "cn": "bob" } })),
        new(json!({ "username": "new", "name": "New", "email": "bob@example.org" })),
        new(json!({ "username": "bob@example.org", "name": "New" })),
        new(json!({ "username": "bob@example.com", "name": "New" })),
    ];
    let lacking = Held::Only(MAY, &[EVE]);
    let holding = Held::Only(MAY, &[EVE, BOB]);
    both_ways(&directory, lacking, holding, &calls);
    let machine = [post("/core/users/service_account/", json!({ "name": "bob@example.com" }))];
    both_ways(&directory, lacking, holding, &machine);
}

/// A bind takes what a username and the domain of a provider are together before it takes the domain off, so a name of one
/// account can be taken away by another: whatever attributes the provider has.
#[test]
fn a_name_that_somebody_binds_by_is_for_who_may_change_whose_it_is() {
    let plain = |doors: &Doors| {
        let provider = json!({ "compatibility_attributes": false });
        doors.prepare(&[patch("/providers/ldap/{provider:ldap}/", provider)]);
    };
    let bob = || {
        let doors = directory();
        plain(&doors);
        doors
    };
    let service = |name: &str| post("/core/users/service_account/", json!({ "name": name }));
    let calls = [
        user("bob@example.com"),
        user("BOB@Example.com"),
        service("bob@example.com"),
        patch("/core/users/{user:eve}/", json!({ "username": "bob@example.com" })),
        patch("/core/users/{user:eve}/", json!({ "email": "bob@example.com" })),
    ];
    both_ways(&bob, Held::Only(MAY, &[EVE]), Held::Only(MAY, &[EVE, BOB]), &calls);
    // What she was known by already by the will of who may: that it is her mail address makes it no name of hers.
    let known = || {
        let doors = bob();
        doors.prepare(&[patch("/core/users/{user:eve}/", json!({ "email": "bob@example.com" }))]);
        doors
    };
    both_ways(&known, Held::Only(MAY, &[EVE]), Held::Only(MAY, &[EVE, BOB]), &calls[3..4]);
    // The other way: what has the domain already is found by what is added to the new name.
    let address = || {
        let doors = bob();
        doors.prepare(&[
            user("zed@example.com"),
            patch("/core/users/{user:zed@example.com}/", json!({ "attributes": { "uid": "z", "cn": "z" } })),
        ]);
        doors
    };
    let calls = [user("zed"), service("zed"), patch("/core/users/{user:eve}/", json!({ "username": "Zed" }))];
    let holding = Held::Only(MAY, &[EVE, ("change_user", "account:zed@example.com")]);
    both_ways(&address, Held::Only(MAY, &[EVE]), holding, &calls);
    // What stands where a DN led to an account takes that from it.
    let shared = || {
        let doors = bob();
        let all = json!([{ "container": "ou=all", "naming": "uid" }]);
        let groups = json!([{ "container": "ou=all", "naming": "cn" }]);
        let containers = json!({ "users": all, "service_accounts": all, "groups": groups });
        doors.prepare(&[patch("/providers/ldap/{provider:ldap}/", containers)]);
        doors
    };
    let may = &["add_user", "add_group", "add_token"];
    both_ways(&shared, Held::Only(may, &[EVE]), Held::Only(may, &[EVE, BOB]), &[group("bob")]);
}

/// Asked when either of the two is made, renamed or changed.
#[test]
fn nobody_is_given_a_name_by_which_somebody_else_is_found() {
    let found = || {
        let doors = directory();
        doors.prepare(&[patch(
            "/core/users/{user:bob}/",
            json!({ "attributes": { "uid": "robert", "cn": "bobby" } }),
        )]);
        doors
    };
    let calls = [
        user("robert"),
        user("bobby"),
        patch("/core/users/{user:eve}/", json!({ "username": "Robert" })),
        put("/core/users/{user:eve}/", json!({ "username": "bobby", "name": "Eve" })),
    ];
    both_ways(&found, Held::Only(MAY, &[EVE]), Held::Only(MAY, &[EVE, BOB]), &calls);
    // What does not make it worse may be changed, and the operator may all of it.
    let doors = found();
    doors.prepare(&[patch("/core/users/{user:eve}/", json!({ "attributes": { "uid": "bob" } }))]);
    robot_holds(&doors, Held::Only(MAY, &[EVE]));
    done(&doors, &patch("/core/users/{user:eve}/", json!({ "name": "Eve" })));
    done(
        &doors,
        &patch("/core/users/{user:eve}/", json!({ "attributes": { "uid": "bob", "description": "x" } })),
    );
}

/// The refusal stands under what was sent, and reads as a sentence whatever may be named in it.
#[test]
fn a_value_that_another_has_is_told_by_the_field_that_gives_it() {
    for (held, other) in [
        (Held::Only(MAY, &[EVE]), "and the account `bob` would"),
        (Held::Only(&[], &[EVE]), "and another account would"),
    ] {
        let doors = directory();
        robot_holds(&doors, held);
        for (field, value) in [
            ("email", json!("BOB@example.org")),
            ("email", json!("bob@example.com")),
            ("username", json!("bob@example.org")),
            ("username", json!("bob@example.com")),
            ("attributes", json!({ "uid": "bob" })),
            ("attributes", json!({ "mail": "bob@example.org" })),
        ] {
            let told = refused(&doors, &patch("/core/users/{user:eve}/", json!({ field: value })));
            let answer: Value = serde_json::from_str(&told).unwrap();
            let sentence = answer[field][0].as_str().unwrap_or_else(|| panic!("{field}: {told}"));
            assert!(sentence.contains(other), "{sentence}");
        }
    }
    let doors = directory();
    robot_holds(&doors, Held::Only(MAY, &[EVE]));
    for number in ["4294967296", "-1"] {
        let attributes = json!({ "attributes": { "uidNumber": number } });
        let told = refused(&doors, &patch("/core/users/{user:eve}/", attributes));
        assert!(told.contains("give one from 1000 to 4294967295"), "{told}");
    }
}

/// Who may is told, of what it may view; what was so before is not told again.
#[test]
fn who_may_is_told_of_what_is_known_by_one_value() {
    let known = |of: &str| json!({ "kind": "account", "name": of });
    let shared = |between: [Value; 2], value: &str| json!({ "values": [{ "between": between, "value": value }], "more": 0 });
    let told = |doors: &Doors, said: &Said| {
        let answer: Value = serde_json::from_str(&done(doors, said)).unwrap();
        answer.get("shared_values").cloned()
    };
    let with_mail = patch("/core/users/{user:eve}/", json!({ "email": "Bob@example.org" }));
    let with_name = patch("/core/users/{user:eve}/", json!({ "name": "Eve" }));
    for held in [Held::Superuser, Held::Only(&["change_user", "view_user"], &[])] {
        let doors = directory();
        robot_holds(&doors, held);
        assert_eq!(told(&doors, &with_mail), Some(shared([known("eve"), known("bob")], "bob@example.org")));
        assert_eq!(told(&doors, &with_name), None, "it was so before");
        assert_eq!(
            told(&doors, &patch("/core/users/{user:eve}/", json!({ "email": "eve@example.org" }))),
            None
        );
        let named = patch("/core/users/{user:eve}/", json!({ "username": "BOB@example.com" }));
        assert_eq!(
            told(&doors, &named),
            Some(shared([known("BOB@example.com"), known("bob")], "bob@example.com"))
        );
    }
    // Who may change both without viewing them knows nothing of them.
    let doors = directory();
    robot_holds(&doors, Held::Only(&["change_user"], &[("view_user", "account:eve")]));
    assert_eq!(told(&doors, &with_mail), None);
    // Groups, what is new, and what comes with a secret.
    let doors = directory();
    robot_holds(&doors, Held::Superuser);
    let like_bob =
        post("/core/groups/", json!({ "name": "crew", "attributes": { "mail": "bob@example.org" } }));
    let crew = json!({ "kind": "group", "name": "crew" });
    assert_eq!(told(&doors, &like_bob), Some(shared([crew.clone(), known("bob")], "bob@example.org")));
    let new =
        post("/core/users/", json!({ "username": "new", "name": "New", "attributes": { "cn": "crew" } }));
    assert_eq!(told(&doors, &new), Some(shared([known("new"), crew], "crew")));
    let machine = post("/core/users/service_account/", json!({ "name": "bob@example.com" }));
    assert_eq!(
        told(&doors, &machine),
        Some(shared([known("bob@example.com"), known("bob")], "bob@example.com"))
    );
}

/// The config is told too, before it is applied and as it is.
#[test]
fn a_config_is_told_of_what_is_known_by_one_value() {
    let doors = directory();
    let text = r#"
[[account]]
username = "carol"
email = "BOB@example.org"

[[account]]
username = "dora"
email = "carol@example.com"
"#;
    let told = |plan: &SeedPlan| {
        let shared = plan.shared_values.values.iter();
        shared
            .map(|it| (it.between.each_ref().map(|(_, name)| name.clone()), it.value.clone()))
            .collect::<Vec<_>>()
    };
    let pair = |one: &str, other: &str, value: &str| ([one.to_owned(), other.to_owned()], value.to_owned());
    let expected = [pair("carol", "bob", "bob@example.org"), pair("carol", "dora", "carol@example.com")];
    assert_eq!(told(&apply(&doors, text)), expected);
    assert_eq!(told(&apply(&doors, text)), [], "nothing is new");
}

/// Low numbers are the system's, 0 is root; whatever an option or an OID calls them.
#[test]
fn numbers_of_system_accounts_are_for_superusers() {
    let of_user = |body: Value| patch("/core/users/{user:eve}/", json!({ "attributes": body }));
    let of_group = |body: Value| patch("/core/groups/{group:club}/", json!({ "attributes": body }));
    let calls = [
        of_user(json!({ "uidNumber": "0" })),
        of_user(json!({ "UIDNUMBER": "999" })),
        of_user(json!({ "1.3.6.1.1.1.1.0": "0" })),
        of_user(json!({ "uidNumber;x-a": "0" })),
        of_user(json!({ "gidNumber": "0" })),
        of_group(json!({ "gidNumber": "10" })),
        of_group(json!({ "gidNumber;x-a": "0" })),
        put("/core/groups/{group:club}/", json!({ "name": "club", "attributes": { "gidNumber": "0" } })),
        post("/core/groups/", json!({ "name": "new", "attributes": { "gidNumber": "27" } })),
        post("/core/users/", json!({ "username": "new", "name": "New", "attributes": { "uidNumber": "0" } })),
    ];
    both_ways(&directory, Held::AllBut(&[]), Held::Superuser, &calls);
    let doors = directory();
    robot_holds(&doors, Held::AllBut(&[]));
    done(&doors, &of_user(json!({ "uidNumber": "1000" })));
    done(&doors, &of_group(json!({ "gidNumber": "1000" })));
}

/// A system takes whoever has the number of a group for a member of it: it is given by who may fill that group, and to
/// another group by who may change that group.
#[test]
fn the_number_of_a_group_is_for_who_may_fill_that_group() {
    let derived = |doors: &Doors| {
        let snapshot = doors.operator.registry.snapshot();
        let tree = snapshot.default_tree().unwrap();
        let robots = snapshot.accounts().group_named("robots").unwrap().number;
        let start = tree.provider().gid_start_number;
        (start + robots.get()).to_string()
    };
    let make = || {
        let doors = directory();
        doors.prepare(&[group("robots")]);
        doors
    };
    let number: &'static str = derived(&make()).leak();
    let calls = [
        patch("/core/groups/{group:club}/", json!({ "attributes": { "gidNumber": "71000" } })),
        put("/core/groups/{group:club}/", json!({ "name": "club", "attributes": { "gidNumber": "071000" } })),
        patch("/core/groups/{group:club}/", json!({ "attributes": { "gidNumber": number } })),
        post("/core/groups/", json!({ "name": "new", "attributes": { "gidNumber": "71000" } })),
        patch("/core/users/{user:eve}/", json!({ "attributes": { "gidNumber": "71000" } })),
        patch("/core/users/{user:eve}/", json!({ "attributes": { "gidNumber": number } })),
        post(
            "/core/users/",
            json!({ "username": "new", "name": "New", "attributes": { "gidNumber": "71000" } }),
        ),
    ];
    let may: &[&str] = &["add_user", "view_user", "add_group", "view_group"];
    let club = ("change_group", "group:club");
    let of = |permission| [(permission, "group:staff"), (permission, "group:robots")];
    let (changes, fills) = (of("change_group"), of("add_user_to_group"));
    let held = [&[EVE, club][..], &changes, &fills].concat();
    both_ways(&make, Held::Only(may, &[EVE, club]), Held::Only(may, held.leak()), &calls);
}

/// What is derived, operational or secret is given by nobody, and what nobody has declared by no limited caller.
#[test]
fn what_says_who_is_in_which_group_is_given_by_nobody() {
    let doors = directory();
    let computed = [
        "memberOf",
        "member",
        "uniqueMember",
        "memberUid",
        "entryUUID",
        "objectClass",
        "userPassword",
        "creatorsName",
        "structuralObjectClass",
        "sAMAccountName",
        "userPrincipalName",
    ];
    let undeclared = ["ak-superuser", "isMemberOf", "goauthentik.io/ldap/superuser"];
    for (held, names) in [(Held::Superuser, &computed[..]), (Held::AllBut(&[]), &undeclared[..])] {
        robot_holds(&doors, held);
        for name in names {
            for path in ["/core/users/{user:eve}/", "/core/groups/{group:club}/"] {
                let value = "cn=staff,ou=groups,dc=example,dc=com";
                refused(&doors, &patch(path, json!({ "attributes": { *name: value } })));
            }
        }
    }
}

/// Somebody's key is somebody's way in, so an account that is worth more is not changed at all.
#[test]
fn the_keys_of_who_is_worth_more_are_not_changed() {
    let make = || {
        let doors = directory();
        doors.prepare(&[grant("/rbac/permissions/assigned_by_users/{user:bob}/assign/", "view_event")]);
        doors
    };
    let calls = [
        patch("/core/users/{user:bob}/", json!({ "attributes": { "sshPublicKey": "ssh-ed25519 AAAA" } })),
        patch("/core/users/{user:bob}/", json!({ "attributes": { "loginShell": "/bin/sh" } })),
        patch("/core/users/{user:bob}/", json!({ "name": "B" })),
        put("/core/users/{user:bob}/", json!({ "username": "bob", "name": "B" })),
    ];
    both_ways(&make, Held::AllBut(&["view_event"]), Held::AllBut(&[]), &calls);
}

/// Nor are its tokens, by whose names the config and whoever looks for a leaked one go, nor what gives rights.
#[test]
fn what_is_worth_more_is_changed_as_a_whole_or_not_at_all() {
    let make = || {
        let doors = directory();
        doors.prepare(&[
            role("reader"),
            grant("/rbac/permissions/assigned_by_roles/{role:reader}/assign/", "view_event"),
            grant("/rbac/permissions/assigned_by_users/{user:bob}/assign/", "view_event"),
            patch("/core/groups/{group:staff}/", json!({ "roles": ["{role:reader}"] })),
            post("/core/groups/", json!({ "name": "below", "parents": ["{group:staff}"] })),
            post("/core/tokens/", json!({ "identifier": "of-bob", "user": "{user:bob}", "intent": "api" })),
        ]);
        made_by("robot", doors, &["of-bob", "staff", "reader"])
    };
    let calls = [
        patch("/core/tokens/of-bob/", json!({ "identifier": "old" })),
        put("/core/tokens/of-bob/", json!({ "identifier": "old", "description": "x" })),
        patch("/core/tokens/of-bob/", json!({ "description": "x" })),
        patch("/core/tokens/of-bob/", json!({ "networks": ["10.0.0.0/8"] })),
        patch("/core/tokens/of-bob/", json!({ "expires": "2099-01-01T00:00:00Z" })),
        patch("/core/groups/{group:staff}/", json!({ "name": "other" })),
        patch("/core/groups/{group:staff}/", json!({ "attributes": { "gidNumber": "72000" } })),
        patch("/core/groups/{group:staff}/", json!({ "attributes": { "description": "x" } })),
        put(
            "/core/groups/{group:staff}/",
            json!({ "name": "staff", "attributes": { "cn": ["staff", "x"] } }),
        ),
        patch("/core/groups/{group:staff}/", json!({ "parents": ["{group:club}"] })),
        patch("/core/groups/{group:below}/", json!({ "attributes": { "description": "x" } })),
        patch("/rbac/roles/{role:reader}/", json!({ "name": "other" })),
        put("/rbac/roles/{role:reader}/", json!({ "name": "other" })),
    ];
    both_ways(&make, Held::AllBut(&["view_event"]), Held::AllBut(&[]), &calls);
    // Of a superuser, by superusers.
    let make = || {
        let doors = make();
        doors.prepare(&[patch(
            "/core/groups/{group:staff}/",
            json!({ "is_superuser": true, "users": ["{user:bob}"] }),
        )]);
        doors
    };
    let (of_roles, of_others): (Vec<Said>, Vec<Said>) =
        calls.into_iter().partition(|(_, path, _)| path.starts_with("/rbac/"));
    both_ways(&make, Held::AllBut(&[]), Held::Superuser, &of_others);
    both_ways(&make, Held::AllBut(&["view_event"]), Held::AllBut(&[]), &of_roles);
}
