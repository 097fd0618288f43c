//! Way 4. Whoever puts a provider before another takes its entries, its bare names or its domain from it: that is for who may
//! change that other one.

use super::*;
use crate::registry::commands::testing::binds;

/// `ldap`, `dc=example,dc=com` and the default, with an application that `mallory` is not admitted by, and `mine`, which the
/// caller may change, as whoever makes a provider may.
fn directory() -> Doors {
    let doors = Doors::new();
    doors.prepare(&[
        provider(json!({ "name": "mine", "base_dn": "dc=mine" })),
        user("alice"),
        post(
            "/core/applications/",
            json!({ "slug": "vault", "name": "Vault", "provider": "{provider:ldap}" }),
        ),
        post("/core/applications/", json!({ "slug": "spare", "name": "Spare" })),
    ]);
    doors
}

fn provider(mut body: Value) -> Said {
    body["authorization_flow"] = json!(uuid::Uuid::nil());
    body["invalidation_flow"] = json!(uuid::Uuid::nil());
    post("/providers/ldap/", body)
}

const MINE: (&str, &str) = ("change_ldapprovider", "provider:mine");
const THEIRS: (&str, &str) = ("change_ldapprovider", "provider:ldap");
const MAY: &[&str] = &["add_ldapprovider", "view_ldapprovider", "add_application", "change_application"];

#[test]
fn what_another_provider_loses_is_for_who_may_change_that_one() {
    let full = |body: Value| {
        let mut body = body;
        body["name"] = json!("mine");
        body["authorization_flow"] = json!(uuid::Uuid::nil());
        body["invalidation_flow"] = json!(uuid::Uuid::nil());
        put("/providers/ldap/{provider:mine}/", body)
    };
    let calls = [
        // Below it, above it, in whatever spelling.
        provider(json!({ "name": "new", "base_dn": "ou=users,dc=example,dc=com", "domain": "" })),
        provider(json!({ "name": "new", "base_dn": "OU=Users, DC=Example, DC=COM", "domain": "" })),
        provider(json!({ "name": "new", "base_dn": "dc=com", "domain": "" })),
        patch(
            "/providers/ldap/{provider:mine}/",
            json!({ "base_dn": "ou=x,dc=example,dc=com", "domain": "mine" }),
        ),
        patch("/providers/ldap/{provider:mine}/", json!({ "base_dn": "dc=com", "domain": "" })),
        full(json!({ "base_dn": "ou=x,dc=example,dc=com", "domain": "mine" })),
        // Its application, taken off and put before another.
        patch("/core/applications/vault/", json!({ "provider": null })),
        put(
            "/core/applications/vault/",
            json!({ "name": "Vault", "slug": "vault", "provider": "{provider:mine}" }),
        ),
    ];
    both_ways(&directory, Held::Only(MAY, &[MINE]), Held::Only(MAY, &[MINE, THEIRS]), &calls);
    // To tie an application to it decides who may bind there.
    let open = || {
        let doors = directory();
        doors.prepare(&[delete("/core/applications/vault/")]);
        doors
    };
    let calls = [
        patch("/core/applications/spare/", json!({ "provider": "{provider:ldap}" })),
        post("/core/applications/", json!({ "slug": "new", "name": "New", "provider": "{provider:ldap}" })),
    ];
    both_ways(&open, Held::Only(MAY, &[MINE]), Held::Only(MAY, &[MINE, THEIRS]), &calls);
}

/// Two defaults, domains, names and suffixes of one spelling there cannot be, whoever asks.
#[test]
fn what_only_one_can_have_is_given_to_nobody_twice() {
    let doors = directory();
    for held in [Held::Only(MAY, &[MINE]), Held::Superuser] {
        robot_holds(&doors, held);
        for said in [
            provider(json!({ "name": "new", "base_dn": "dc=new", "default": true })),
            provider(json!({ "name": "new", "base_dn": "dc=new", "domain": "EXAMPLE.com" })),
            provider(json!({ "name": "LDAP", "base_dn": "dc=new" })),
            provider(json!({ "name": "new", "base_dn": "DC=Example,dc=COM" })),
            patch("/providers/ldap/{provider:mine}/", json!({ "default": true })),
            patch("/providers/ldap/{provider:mine}/", json!({ "domain": "example.com" })),
            patch("/providers/ldap/{provider:mine}/", json!({ "name": "Ldap" })),
        ] {
            refused(&doors, &said);
        }
    }
}

/// Which one is the default is changed by who may change both: the one that was, and the one that is to be.
#[test]
fn which_one_is_the_default_is_for_who_may_change_the_one_that_was() {
    let unmarked = || {
        let doors = directory();
        doors.prepare(&[patch("/providers/ldap/{provider:ldap}/", json!({ "default": false }))]);
        doors
    };
    // Nobody's bare names are taken by a mark that none had.
    let doors = unmarked();
    robot_holds(&doors, Held::Only(MAY, &[MINE]));
    done(&doors, &patch("/providers/ldap/{provider:mine}/", json!({ "default": true })));
    let off = [patch("/providers/ldap/{provider:ldap}/", json!({ "default": false }))];
    both_ways(&directory, Held::Only(MAY, &[MINE]), Held::Only(MAY, &[THEIRS]), &off);
}

/// An only provider answers bare names without a mark, and goes on when a second one comes, by whatever door.
#[test]
fn a_second_provider_takes_no_bare_names_from_an_only_one() {
    let make = || {
        let doors = Doors::new();
        doors.prepare(&[
            patch("/providers/ldap/{provider:ldap}/", json!({ "default": false })),
            user("alice"),
            post("/core/users/{user:alice}/set_password/", json!({ "password": "a long enough one" })),
        ]);
        doors
    };
    let second =
        |is_default: bool| provider(json!({ "name": "mine", "base_dn": "dc=mine", "default": is_default }));
    let default = |doors: &Doors| {
        let snapshot = doors.operator.registry.snapshot();
        snapshot.default_tree().map(|tree| tree.provider().name.clone())
    };
    // To be the default itself takes it from the only one.
    both_ways(&make, Held::Only(MAY, &[]), Held::Only(MAY, &[THEIRS]), &[second(true)]);
    let doors = make();
    robot_holds(&doors, Held::Only(MAY, &[]));
    done(&doors, &second(false));
    assert_eq!(default(&doors).as_deref(), Some("ldap"));
    assert!(binds(&doors.operator.registry, "alice", b"a long enough one"));
    let doors = make();
    doors.prepare(&[second(false)]);
    assert_eq!(default(&doors).as_deref(), Some("ldap"));
    let doors = make();
    apply(&doors, "[[provider]]\nname = \"mine\"\nbase_dn = \"dc=mine\"\n");
    assert_eq!(default(&doors).as_deref(), Some("ldap"));
}

/// A username may be a mail address: whoever takes its domain takes where it binds from the default provider.
#[test]
fn a_domain_that_usernames_end_in_is_for_who_may_change_the_default_provider() {
    let make = || {
        let doors = directory();
        doors.prepare(&[user("bob@Corp.example")]);
        doors
    };
    let calls = [
        provider(json!({ "name": "new", "base_dn": "dc=new", "domain": "corp.example" })),
        provider(json!({ "name": "new", "base_dn": "dc=corp,dc=example" })),
        patch("/providers/ldap/{provider:mine}/", json!({ "domain": "corp.EXAMPLE" })),
        patch("/providers/ldap/{provider:mine}/", json!({ "base_dn": "dc=corp,dc=example" })),
    ];
    both_ways(&make, Held::Only(MAY, &[MINE]), Held::Only(MAY, &[MINE, THEIRS]), &calls);
    let doors = make();
    robot_holds(&doors, Held::Only(MAY, &[MINE]));
    done(&doors, &patch("/providers/ldap/{provider:mine}/", json!({ "domain": "other.example" })));
}

/// Numbers are what files belong to.
#[test]
fn where_numbers_start_is_for_superusers_once_there_are_entries() {
    let calls = [
        patch("/providers/ldap/{provider:mine}/", json!({ "uid_start_number": 5000 })),
        patch("/providers/ldap/{provider:mine}/", json!({ "gid_start_number": 6000 })),
        provider(json!({ "name": "new", "base_dn": "dc=new", "uid_start_number": 0 })),
        provider(json!({ "name": "new", "base_dn": "dc=new", "gid_start_number": 999 })),
    ];
    both_ways(&directory, Held::AllBut(&[]), Held::Superuser, &calls);
    // A number that somebody has is given to nobody else, not by a superuser.
    let doors = directory();
    doors.prepare(&[patch("/core/users/{user:alice}/", json!({ "attributes": { "uidNumber": "70000" } }))]);
    robot_holds(&doors, Held::Superuser);
    let snapshot = doors.operator.registry.snapshot();
    let robot = snapshot.accounts().account_named("robot").unwrap().number.get();
    let start = json!({ "uid_start_number": 70_000 - robot });
    let told = refused(&doors, &patch("/providers/ldap/{provider:mine}/", start));
    assert!(told.contains("70000"), "{told}");
}
