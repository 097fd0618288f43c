//! Way 8. What acts by itself is told by its name, so nobody else has one like it, and nobody makes, changes, deletes or binds
//! such an account: not a superuser, not the operator, not the config, not a file that is imported.

use super::*;
use crate::model::InternalAccount;

/// All that is said of bindery's own accounts, but when.
fn own(doors: &Doors) -> Vec<String> {
    let snapshot = doors.operator.registry.snapshot();
    let accounts = snapshot.accounts();
    let own = InternalAccount::ALL.into_iter().map(|internal| {
        let account = accounts.account(internal.number()).unwrap();
        format!(
            "{} {:?} {} {:?} {:?} {:?} {:?} {}",
            account.username,
            account.kind,
            account.is_active,
            account.groups,
            account.roles,
            account.grants,
            account.tokens,
            account.password.is_some()
        )
    });
    own.collect()
}

/// What a config may say of one, and what it is told.
#[test]
fn no_config_says_anything_of_one() {
    let names = ["bindery:config", "Bindery:Command-Line", "bindery:housekeeping", "bindery:import"];
    let texts: Vec<String> = names
        .into_iter()
        .flat_map(|name| {
            [
                format!("[[account]]\nusername = \"{name}\"\n"),
                format!("[[account]]\nusername = \"{name}\"\ntype = \"service_account\"\n"),
                format!("[[account]]\nusername = \"{name}\"\nis_active = false\n"),
                format!("[[account]]\nusername = \"{name}\"\npermissions = [\"view_event\"]\n"),
                format!("[[account]]\nusername = \"{name}\"\npassword = \"a long enough one\"\n"),
                format!("[[group]]\nname = \"readers\"\nmembers = [\"{name}\"]\n"),
                format!("[[token]]\nidentifier = \"mine\"\naccount = \"{name}\"\n"),
                format!(
                    "[[application]]\nslug = \"vault\"\nname = \"Vault\"\nprovider = \"ldap\"\n\
                     bindings = [{{ account = \"{name}\" }}]\n"
                ),
            ]
        })
        .chain([
            "[[account]]\nusername = \"bindery:mine\"\n".to_owned(),
            "[[account]]\nusername = \"\u{ff22}indery:mine\"\n".to_owned(),
            "[[account]]\nusername = \"bindery:mine\"\ntype = \"internal_service_account\"\n".to_owned(),
            "[[account]]\nusername = \"mine\"\ntype = \"internal_service_account\"\n".to_owned(),
        ])
        .collect();
    let doors = Doors::new();
    let before = own(&doors);
    for text in &texts {
        let revision = doors.operator.registry.snapshot().revision();
        let told = doors.config_with(text, &SeedOptions::default());
        let told = told.expect_err(&format!("this was applied: {text}"));
        assert!(told.contains("bindery") || told.contains("internal"), "{text}: {told}");
        assert_eq!(doors.operator.registry.snapshot().revision(), revision, "{text}");
    }
    assert_eq!(own(&doors), before);
    // A name that only looks like it is anybody's, and what is theirs is pruned by nobody.
    let text = "[[account]]\nusername = \"bindery-config\"\n[[account]]\nusername = \"bindery\"\n";
    assert_eq!(obstacles(&apply(&doors, text)), []);
    let prune = SeedOptions { prune: true, ..SeedOptions::default() };
    doors.config_with(text, &prune).unwrap();
    assert_eq!(own(&doors), before);
    for options in [
        SeedOptions { adopt: vec!["bindery:config".to_owned()], ..SeedOptions::default() },
        SeedOptions { recreate: vec!["bindery:config".to_owned()], ..SeedOptions::default() },
    ] {
        doors.config_with(text, &options).unwrap();
        assert_eq!(own(&doors), before);
    }
}

/// Nor does a file, by their names, their numbers, or as members.
#[test]
fn no_file_makes_one_or_puts_one_into_a_group() {
    let doors = Doors::new();
    let before = own(&doors);
    let number = InternalAccount::Config.number();
    let text = imported_person("bindery:config", "")
        + &imported_person("bindery:mine", "")
        + &imported_person("BINDERY:other", "")
        + &imported_person("bindery-config", "")
        + "dn: cn=crew,ou=groups,dc=example,dc=com\nobjectClass: posixGroup\nobjectClass: groupOfNames\n\
           gidNumber: 70000\nmemberUid: bindery:config\nmemberUid: bindery:command-line\n"
        + &format!("memberUid: {number}\nmember: uid=bindery:config,ou=users,dc=example,dc=com\n")
        + "member: cn=bindery:config,ou=users,dc=example,dc=com\nmemberUid: bindery-config\n\n";
    let report = doors.import(&["ou=users"], &text);
    assert!(report.contains(" users: 1,") && report.contains("memberships: 1,"), "{report}");
    assert!(report.contains("begins with `bindery:`"), "{report}");
    assert_eq!(own(&doors), before);
    let snapshot = doors.operator.registry.snapshot();
    let crew = snapshot.accounts().group_named("crew").unwrap();
    assert_eq!(crew.member_count(), 1);
}

/// Who may do everything over the API, as a superuser or by a permission, and the operator: none of them puts one into a group,
/// gives it a role, a permission, a token, a binding, or takes its number.
#[test]
fn nobody_gives_one_anything() {
    let make = || {
        let doors = Doors::new();
        doors.prepare(&[
            group("plain"),
            role("plain"),
            post("/core/applications/", json!({ "slug": "vault", "name": "Vault" })),
            user("alice"),
            post(
                "/core/tokens/",
                json!({ "identifier": "of-alice", "user": "{user:alice}", "intent": "api" }),
            ),
        ]);
        doors
    };
    let doors = make();
    let before = own(&doors);
    let number = InternalAccount::CommandLine.number().get();
    let at = |path: &str| -> &'static str { path.replace("{own}", &number.to_string()).leak() };
    let calls = [
        post("/core/groups/{group:plain}/add_user/", json!({ "pk": number })),
        patch("/core/groups/{group:plain}/", json!({ "users": [number] })),
        put("/core/groups/{group:plain}/", json!({ "name": "plain", "users": [number] })),
        post("/core/groups/", json!({ "name": "new", "users": [number] })),
        post("/rbac/roles/{role:plain}/add_user/", json!({ "pk": number })),
        post(
            at("/rbac/permissions/assigned_by_users/{own}/assign/"),
            json!({ "permissions": ["view_event"] }),
        ),
        post("/core/tokens/", json!({ "identifier": "mine", "user": number, "intent": "api" })),
        post("/core/tokens/", json!({ "identifier": "mine", "user": number, "intent": "app_password" })),
        patch("/core/tokens/of-alice/", json!({ "user": number })),
        put("/core/tokens/of-alice/", json!({ "identifier": "of-alice", "user": number })),
        post("/policies/bindings/", json!({ "target": "{application:vault}", "user": number, "order": 0 })),
        post(
            "/policies/bindings/",
            json!({ "target": "{application:vault}", "user": number, "order": 0, "negate": true }),
        ),
        patch(at("/core/users/{own}/"), json!({ "is_active": false })),
        patch(at("/core/users/{own}/"), json!({ "groups": ["{group:plain}"] })),
        patch(at("/core/users/{own}/"), json!({ "attributes": { "mail": "x@example.com" } })),
        put(at("/core/users/{own}/"), json!({ "username": "alice2", "name": "x", "type": "internal" })),
        post(at("/core/users/{own}/set_password/"), json!({ "password": "a long enough one" })),
    ];
    for held in [Held::AllBut(&[]), Held::Superuser] {
        robot_holds(&doors, held);
        for said in &calls {
            let told = refused(&doors, said);
            assert!(told.contains("internal service account"), "{said:?}: {told}");
        }
    }
    for said in &calls {
        let (status, told) = doors.operator_says(said);
        assert!(status.is_client_error(), "{said:?}: {status} {told}");
        assert!(told.contains("internal service account"), "{said:?}: {told}");
    }
    assert_eq!(own(&doors), before);
    // The same for alice is done: it is not the calls that are wrong.
    for said in calls.iter().take(12) {
        let doors = make();
        robot_holds(&doors, Held::Superuser);
        let (method, path, body) = said;
        let of_alice: Value =
            serde_json::from_str(&body.to_string().replace(&number.to_string(), "\"{user:alice}\"")).unwrap();
        let path: &'static str = path.replace(&number.to_string(), "{user:alice}").leak();
        done(&doors, &(method.clone(), path, of_alice));
    }
}
