//! Way 3. What a caller of the API has put into the config's way is told with who made it, and nothing is applied.

use super::*;

/// What `robot` does, what the config says, and the name of what it stands in the way of.
fn obstructions() -> Vec<(Vec<Said>, &'static str, &'static str)> {
    let provider = |mut body: Value| {
        body["authorization_flow"] = json!(uuid::Uuid::nil());
        body["invalidation_flow"] = json!(uuid::Uuid::nil());
        post("/providers/ldap/", body)
    };
    vec![
        (
            vec![post("/core/tokens/", json!({ "identifier": "ci" }))],
            "[[account]]\nusername = \"builder\"\ntype = \"service_account\"\n\
             [[token]]\nidentifier = \"ci\"\naccount = \"builder\"\n",
            "ci",
        ),
        (
            vec![
                post("/core/tokens/", json!({ "identifier": "old" })),
                patch("/core/tokens/old/", json!({ "identifier": "ci" })),
            ],
            "[[account]]\nusername = \"builder\"\ntype = \"service_account\"\n\
             [[token]]\nidentifier = \"ci\"\naccount = \"builder\"\n",
            "ci",
        ),
        (
            vec![provider(json!({ "name": "mine", "base_dn": "dc=second" }))],
            "[[provider]]\nname = \"second\"\nbase_dn = \"dc=second\"\n",
            "second",
        ),
        (
            vec![provider(json!({ "name": "mine", "base_dn": "dc=mine", "domain": "second.example" }))],
            "[[provider]]\nname = \"second\"\nbase_dn = \"dc=second\"\ndomain = \"second.example\"\n",
            "second",
        ),
        (
            vec![post(
                "/core/users/",
                json!({ "username": "mine", "name": "Mine", "attributes": { "uidNumber": "70000" } }),
            )],
            "[[account]]\nusername = \"second\"\nattributes = { uidNumber = [\"70000\"] }\n",
            "second",
        ),
        (
            vec![post(
                "/core/applications/",
                json!({ "slug": "mine", "name": "Mine", "provider": "{provider:ldap}" }),
            )],
            "[[application]]\nslug = \"second\"\nname = \"Second\"\nprovider = \"ldap\"\n",
            "second",
        ),
    ]
}

#[test]
fn what_stands_in_the_way_is_told_with_whose_it_is() {
    for (calls, text, name) in obstructions() {
        let text = format!("{text}[[account]]\nusername = \"bystander\"\n[[group]]\nname = \"bystanders\"\n");
        let doors = Doors::new();
        robot_holds(&doors, Held::AllBut(&[]));
        calls.iter().for_each(|said| drop(done(&doors, said)));
        let told = obstacles(&apply(&doors, &text));
        assert!(told.len() == 1 && told[0].0 == name, "{text}{told:?}");
        assert!(told[0].1.contains("by `robot`"), "{text}{told:?}");
        let snapshot = doors.operator.registry.snapshot();
        assert!(snapshot.accounts().account_named("bystander").is_none(), "{text}");
        assert_eq!(obstacles(&apply(&doors, &text)), told);
    }
}

/// `add_token` alone can take the identifier that the first token of an account has: then it has another, which is told, and
/// the account is made all the same, over the config as over the API.
#[test]
fn the_first_token_of_an_account_gets_a_free_identifier() {
    let doors = Doors::new();
    robot_holds(&doors, Held::Only(&["add_token"], &[]));
    done(&doors, &post("/core/tokens/", json!({ "identifier": "portal-app-password" })));
    done(&doors, &post("/core/tokens/", json!({ "identifier": "builder-app-password" })));
    let plan = apply(&doors, "[[account]]\nusername = \"portal\"\ntype = \"service_account\"\n");
    assert_eq!(obstacles(&plan), []);
    let needed: Vec<_> = plan.needed.iter().map(|needed| needed.identifier.as_str()).collect();
    assert_eq!(needed, ["portal-app-password-2"]);
    // It is known by its mark, and pruned and kept with its account by it.
    let prune = SeedOptions { prune: true, ..SeedOptions::default() };
    let text = "[[account]]\nusername = \"portal\"\ntype = \"service_account\"\n\
                [[account]]\nusername = \"robot\"\ntype = \"service_account\"\n";
    let plan = doors.config_with(text, &prune).unwrap();
    let is_pruned =
        |name: &str| plan.diff.iter().any(|entry| entry.name == name && entry.sign == Sign::Deleted);
    assert!(!is_pruned("portal-app-password-2"), "{:?}", plan.diff);

    let doors = Doors::new();
    robot_holds(&doors, Held::Only(&["add_token"], &[]));
    done(&doors, &post("/core/tokens/", json!({ "identifier": "portal-app-password" })));
    robot_holds(&doors, Held::Only(&["add_token", "add_user"], &[]));
    let made = done(&doors, &post("/core/users/service_account/", json!({ "name": "portal" })));
    assert!(made.contains("\"token_identifier\":\"portal-app-password-2\""), "{made}");
}

/// A renamed account leaves nothing in the way of the next of its name, its first token included, once that is meant.
#[test]
fn a_renamed_account_frees_its_name_whole() {
    let doors = Doors::new();
    let text = "[[account]]\nusername = \"portal\"\ntype = \"service_account\"\n\
                permissions = [\"view_event\"]\n";
    apply(&doors, text);
    doors.prepare(&[patch("/core/users/{user:portal}/", json!({ "username": "gate" }))]);
    let plan = apply(&doors, text);
    assert_eq!(obstacles(&plan), []);
    let mut told = plan.diff.iter().filter_map(|entry| entry.reason.as_deref());
    assert!(told.any(|told| told.contains("renamed to `gate`")), "{:?}", plan.diff);
    let text = format!("{text}{}", text.replace("portal", "gate"));
    let options = SeedOptions { recreate: vec!["portal".to_owned()], ..SeedOptions::default() };
    let plan = doors.config_with(&text, &options).unwrap();
    assert_eq!(obstacles(&plan), []);
    let needed: Vec<_> = plan.needed.iter().map(|needed| needed.identifier.as_str()).collect();
    assert_eq!(needed, ["portal-app-password-2"]);
    assert_eq!(rights_of(&doors, "portal"), rights_of(&doors, "gate"));
}

/// What is in the way of one object of the config makes no mistake of the rest, and a mistake hides nothing that is in the way.
#[test]
fn an_application_that_leaves_for_a_provider_in_the_way_is_no_mistake_of_the_config() {
    let provider = |name: &str| format!("[[provider]]\nname = \"{name}\"\nbase_dn = \"dc={name}\"\n");
    let application = |slug: &str, before: &str| {
        format!("[[application]]\nslug = \"{slug}\"\nname = \"{slug}\"\nprovider = \"{before}\"\n")
    };
    let (first, second) = (provider("first"), provider("second"));
    let doors = Doors::new();
    apply(&doors, &format!("{second}{}", application("moves", "second")));
    robot_holds(&doors, Held::Only(&["add_ldapprovider", "add_user"], &[]));
    let flows = json!({
        "name": "first", "base_dn": "dc=elsewhere",
        "authorization_flow": uuid::Uuid::nil(), "invalidation_flow": uuid::Uuid::nil()
    });
    done(&doors, &post("/providers/ldap/", flows));
    done(&doors, &user("boss"));
    let boss = "[[account]]\nusername = \"boss\"\n";
    let text =
        format!("{first}{second}{}{}{boss}", application("moves", "first"), application("comes", "second"));
    let plan = apply(&doors, &text);
    let told = obstacles(&plan);
    let names: Vec<&str> = told.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["first", "boss"], "{told:?}");
    // With a mistake both are told.
    let twin = |name: &str| {
        format!("[[account]]\nusername = \"{name}\"\nattributes = {{ uidNumber = [\"7000\"] }}\n")
    };
    let wrong = format!("{text}{}{}", twin("third"), twin("fourth"));
    let both = doors.config_with(&wrong, &SeedOptions::default()).unwrap_err();
    for told in ["--adopt provider:first", "--adopt account:boss", "`third`"] {
        assert!(both.contains(told), "{told}: {both}");
    }
    assert_eq!(obstacles(&doors.config_with(&text, &adopting(&plan)).unwrap()), []);
    let snapshot = doors.operator.registry.snapshot();
    let before = |slug: &str| snapshot.accounts().application_named(slug).and_then(|it| it.provider);
    let named = |name: &str| snapshot.accounts().providers().find(|it| it.name == name).map(|it| it.number);
    assert_eq!((before("moves"), before("comes")), (named("first"), named("second")));
}
