//! Way 1, its second half. Who may know a secret is kept with it, however often it is exchanged by means of itself: over LDAP
//! too, where an account changes its own. Whoever gives the account rights is told.

use super::*;
use crate::access::Identity;
use crate::model::Action;
use crate::registry::EventQuery;
use crate::registry::commands::OwnSecret;
use crate::secret::Secret;

fn of_bob(doors: &Doors) -> (Identity, Vec<String>) {
    let snapshot = doors.operator.registry.snapshot();
    let accounts = snapshot.accounts();
    let bob = accounts.account_named("bob").unwrap();
    let password = bob.password.as_ref().unwrap();
    let name = |number: AccountNumber| accounts.account(number).unwrap().username.to_string();
    let credential = Credential::Password { generation: password.generation };
    let holder = Holder { account: bob.number, credential };
    let provider = snapshot.default_tree().unwrap().provider().number;
    (Identity { holder, provider }, password.made_by.accounts().map(name).collect())
}

/// `bob` changes his own password, over LDAP.
fn changes_own(doors: &Doors, new: Option<&str>) -> Secret {
    let new = new.map(|new| Secret::from(new.to_owned()));
    let asked = OwnSecret { old: None, new: new.clone(), overlap: std::time::Duration::ZERO };
    let changed = doors.operator.registry.clone().change_own_secret(of_bob(doors).0, None, asked);
    let changed = wait(changed).unwrap();
    changed.generated.or(new).unwrap()
}

#[test]
fn a_password_that_somebody_has_set_is_known_to_them_until_somebody_else_sets_one() {
    let text = "[[account]]\nusername = \"bob\"\npermissions = [\"view_event\"]\n";
    let set = post("/core/users/{user:bob}/set_password/", json!({ "password": "a long enough one" }));
    let doors = Doors::new();
    doors.prepare(&[user("bob")]);
    robot_holds(&doors, Held::AllBut(&["view_event"]));
    done(&doors, &set);
    assert_eq!(of_bob(&doors).1, ["robot"]);
    for new in [Some("another long one"), None] {
        let secret = changes_own(&doors, new);
        assert!(crate::registry::commands::testing::binds(&doors.operator.registry, "bob", secret.expose()));
        assert_eq!(of_bob(&doors).1, ["bob", "robot"]);
        let told = doors.config_with(text, &SeedOptions::default()).unwrap_err();
        assert!(told.contains("--accept-credentials password:bob"), "{told}");
        assert!(rights_of(&doors, "bob").is_empty());
    }
    // Who holds it, and the operator, may know what they give.
    let accept = SeedOptions { accept_credentials: vec!["bob".to_owned()], ..SeedOptions::default() };
    let plan = doors.config_with(text, &accept).unwrap();
    assert_eq!((obstacles(&plan), rights_of(&doors, "bob").grants.len()), (Vec::new(), 1));
    for is_superuser in [false, true] {
        let doors = Doors::new();
        doors.prepare(&[user("bob")]);
        robot_holds(&doors, if is_superuser { Held::Superuser } else { Held::AllBut(&["view_event"]) });
        done(&doors, &set);
        changes_own(&doors, None);
        if !is_superuser {
            doors.prepare(std::slice::from_ref(&set));
            assert_eq!(of_bob(&doors).1, Vec::<String>::new());
            changes_own(&doors, None);
            assert_eq!(of_bob(&doors).1, ["bob"]);
        }
        assert_eq!(obstacles(&apply(&doors, text)), []);
    }
}

/// Who is admitted beside a binding to networks or times: by the group alone from elsewhere, or at other times.
#[test]
fn a_binding_to_networks_or_times_hides_nobody_who_is_admitted_beside() {
    let set = post("/core/users/{user:bob}/set_password/", json!({ "password": "a long enough one" }));
    let text = |mode: &str, beside: &str, members: &str| {
        format!(
            "[[account]]\nusername = \"bob\"\n[[group]]\nname = \"few\"\nmembers = [{members}]\n\
             [[application]]\nslug = \"vault\"\nname = \"Vault\"\nprovider = \"ldap\"\nmode = \"{mode}\"\n\
             bindings = [{{ group = \"few\" }}, {beside}]\n"
        )
    };
    let networks = "{ networks = [\"10.0.0.0/8\"] }";
    let others = "{ networks = [\"10.0.0.0/8\"], negate = true }";
    let window = "{ days = [\"mon\"], from = \"08:00\", to = \"18:00\" }";
    for (mode, beside) in
        [("any", networks), ("any", others), ("any", window), ("all", networks), ("all", window)]
    {
        let make = || {
            let doors = Doors::new();
            apply(&doors, &text(mode, beside, ""));
            robot_holds(&doors, Held::AllBut(&["view_event"]));
            done(&doors, &set);
            doors
        };
        let doors = make();
        let told = doors.config_with(&text(mode, beside, "\"bob\""), &SeedOptions::default()).unwrap_err();
        assert!(told.contains("--accept-credentials password:bob"), "{mode} {beside}: {told}");
        // Whoever does the same by a call, or a command, finds it in the trail.
        doors.prepare(&[post("/core/groups/{group:few}/add_user/", json!({ "pk": "{user:bob}" }))]);
        let query = EventQuery {
            actions: vec![Action::SuspiciousRequest],
            object_name: Some("bob".to_owned()),
            limit: 10,
            ..EventQuery::default()
        };
        let events = wait(doors.operator.registry.events(query)).unwrap();
        assert_eq!(events.len(), 1, "{mode} {beside}: {events:?}");
        // Who is admitted itself gains nothing by it.
        let doors = make();
        let both = text(mode, beside, "\"bob\", \"robot\"");
        assert_eq!(
            obstacles(&doors.config_with(&both, &SeedOptions::default()).unwrap()),
            [],
            "{mode} {beside}"
        );
    }
}

/// What an automation has made goes on to be its own, whatever else the config says.
#[test]
fn who_is_described_keeps_what_it_holds_on_what_it_has_made() {
    let text = "[[account]]\nusername = \"robot\"\ntype = \"service_account\"\n\
                permissions = [\"add_user\", \"add_group\"]\n";
    let doors = Doors::new();
    doors.prepare(&[user("other")]);
    apply(&doors, text);
    done(&doors, &user("joe"));
    done(&doors, &group("joes"));
    // What somebody else has granted, and on what somebody else has made, the config says.
    let on_other = json!({
        "permissions": ["change_user"], "model": "authentik_core.user", "object_pk": "{pk:other}"
    });
    doors.prepare(&[post("/rbac/permissions/assigned_by_users/{user:robot}/assign/", on_other)]);
    let rename_other = patch("/core/users/{user:other}/", json!({ "name": "Another" }));
    done(&doors, &rename_other);
    let works = |doors: &Doors| {
        done(doors, &patch("/core/users/{user:joe}/", json!({ "name": "Joe" })));
        done(doors, &post("/core/groups/{group:joes}/add_user/", json!({ "pk": "{user:joe}" })));
    };
    works(&doors);
    assert_eq!(obstacles(&apply(&doors, &format!("{text}[[group]]\nname = \"else\"\n"))), []);
    works(&doors);
    refused(&doors, &rename_other);
    let again = apply(&doors, &format!("{text}[[group]]\nname = \"else\"\n"));
    assert!(again.diff.is_empty(), "{:?}", again.diff);
    // What becomes the config's is no more its own.
    let described = format!("{text}[[group]]\nname = \"joes\"\n");
    let told = apply(&doors, &described);
    assert_eq!(obstacles(&doors.config_with(&described, &adopting(&told)).unwrap()), []);
    refused(&doors, &post("/core/groups/{group:joes}/add_user/", json!({ "pk": "{user:joe}" })));
    done(&doors, &patch("/core/users/{user:joe}/", json!({ "name": "Joe B" })));
}
