//! Searches through the door: scopes, selections, limits, traps 3 to 5.

use ldap3_proto::proto::LdapSearchScope::{self, Base, Children, OneLevel, Subtree};

use super::client::{Client, search};
use super::world::{ALICE, BASE, SEEN_BY_APP, STAFF, Wishes, World};
use crate::config::Limits;
use crate::model::Record;

const USERS: &str = "ou=users,dc=example,dc=org";
const APP_DN: &str = "cn=app,ou=users,dc=example,dc=org";
const ALICE_DN: &str = "cn=alice,ou=users,dc=example,dc=org";

#[test]
fn scopes() {
    let world = World::new();
    let mut client = Client::app(&world);
    let mut find = |base: &str, scope: LdapSearchScope| {
        let reply = client.search(search(base, scope, "(objectClass=*)", &["1.1"]));
        reply.is(0).dns()
    };
    let mut everything = SEEN_BY_APP.map(str::to_owned).to_vec();
    everything.sort();
    assert_eq!(find(BASE, Subtree), everything);
    everything.retain(|dn| dn != BASE);
    assert_eq!(find(BASE, Children), everything);
    assert_eq!(find(BASE, Base), [BASE]);
    assert_eq!(find("DC=Example , dc=ORG", Base), [BASE]);
    assert_eq!(find(USERS, OneLevel), [APP_DN]);
    assert_eq!(find(USERS, Children), [APP_DN]);
    assert_eq!(find(USERS, Subtree), [APP_DN, USERS]);
    assert_eq!(find(APP_DN, Base), [APP_DN]);
    assert_eq!(find("uid=App,ou=users,dc=example,dc=org", Subtree), [APP_DN]);
    assert_eq!(find(APP_DN, OneLevel), [""; 0]);
    assert_eq!(find(APP_DN, Children), [""; 0]);
    assert_eq!(find(BASE, OneLevel).len(), 3);
    let mut reader = Client::reader(&world);
    assert_eq!(reader.find(BASE, "(objectClass=*)").len(), 4 + 7 + 4 + 7);
}

#[test]
fn a_base_that_is_not_there() {
    let world = World::new();
    let matched = |client: &mut Client, base: &str, code| {
        let reply = client.search(search(base, Subtree, "(objectClass=*)", &[]));
        assert!(reply.entries().is_empty());
        reply.is(code).result().matcheddn.clone()
    };
    let (mut app, mut reader) = (Client::app(&world), Client::reader(&world));
    for client in [&mut app, &mut reader] {
        assert_eq!(matched(client, "cn=nobody,ou=users,dc=example,dc=org", 32), USERS);
        assert_eq!(matched(client, "cn=x,cn=y,cn=nobody,OU=Users,dc=example,dc=org", 32), USERS);
        assert_eq!(matched(client, "ou=nowhere,dc=example,dc=org", 32), BASE);
        assert_eq!(matched(client, "cn=x,cn=app,ou=users,dc=example,dc=org", 32), APP_DN);
        assert_eq!(matched(client, "cn=y,cn=x,cn=APP,ou=users,dc=example,dc=org", 32), APP_DN);
        assert_eq!(matched(client, "dc=nowhere", 32), "");
        assert_eq!(matched(client, "dc=org", 32), "");
        assert_eq!(matched(client, "", 32), "");
        assert_eq!(matched(client, "not a dn", 34), "");
        assert_eq!(matched(client, "cn=x,,dc=org", 34), "");
    }
    // What is hidden is not there, and neither is it above.
    assert_eq!(matched(&mut app, ALICE_DN, 32), USERS);
    assert_eq!(matched(&mut app, &format!("cn=x,{ALICE_DN}"), 32), USERS);
    assert_eq!(matched(&mut reader, &format!("cn=x,{ALICE_DN}"), 32), ALICE_DN);
}

#[test]
fn selections() {
    let world = World::new();
    let mut client = Client::reader(&world);
    let mut names = |list: &[&str]| {
        let reply = client.search(search(ALICE_DN, Base, "(objectClass=*)", list));
        reply.is(0).names().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let user = names(&[]);
    assert_eq!(user, names(&["*"]));
    for name in
        ["objectClass", "cn", "sn", "uid", "mail", "uidNumber", "gidNumber", "homeDirectory", "memberOf"]
    {
        assert!(user.iter().any(|other| other == name), "{name} in {user:?}");
    }
    let operational = names(&["+"]);
    for name in [
        "entryUUID",
        "entryDN",
        "createTimestamp",
        "modifyTimestamp",
        "structuralObjectClass",
        "hasSubordinates",
        "subschemaSubentry",
    ] {
        assert!(operational.iter().any(|other| other == name), "{name} in {operational:?}");
        assert!(!user.iter().any(|other| other == name), "{name} in {user:?}");
    }
    let mut both: Vec<String> = user.iter().chain(&operational).cloned().collect();
    let mut all = names(&["+", "*"]);
    both.sort();
    all.sort();
    assert_eq!(all, both);
    all.dedup();
    assert_eq!(all.len(), both.len(), "no attribute comes twice");
    assert_eq!(names(&["1.1"]), [""; 0]);
    assert_eq!(names(&["nonsense"]), [""; 0]);
    assert_eq!(names(&["1.1", "CN"]), ["cn"]);
    assert_eq!(names(&["MEMBEROF", "2.5.4.4", "sn", "sn"]), ["sn", "memberOf"]);
    assert_eq!(names(&["userPassword", "userpassword;x"]), [""; 0]);
    assert_eq!(names(&["description;LANG-DE"]), ["description;lang-de"]);
    assert_eq!(names(&["description"]), ["description;lang-de"]);
    assert_eq!(names(&["description;lang-fr"]), [""; 0]);
    assert_eq!(names(&["entryuuid"]), ["entryUUID"]);
    let of_class = names(&["@posixAccount"]);
    assert!(of_class.iter().any(|name| name == "homeDirectory"), "{of_class:?}");
    assert!(!of_class.iter().any(|name| name == "mail"), "{of_class:?}");
    assert_eq!(names(&["@nonsense"]), [""; 0]);
    // SSSD asks for 35, others for more than 60.
    let many: Vec<String> =
        (0..100).map(|number| format!("attribute{number}")).chain(["mail".to_owned()]).collect();
    assert_eq!(names(&many.iter().map(String::as_str).collect::<Vec<_>>()), ["mail"]);
}

#[test]
fn secrets_are_in_no_entry() {
    let world = World::new();
    let mut client = Client::reader(&world);
    let list = ["*", "+", "userPassword", "authPassword", "unicodePwd", "sambaNTPassword"];
    let reply = client.search(search(BASE, Subtree, "(objectClass=*)", &list));
    for entry in reply.is(0).entries() {
        for attribute in &entry.attributes {
            assert!(!attribute.atype.to_lowercase().contains("pass"), "{}", attribute.atype);
            assert!(!attribute.vals.iter().any(|value| value.starts_with(b"$argon2")));
        }
    }
    assert!(client.find(BASE, "(userPassword=*)").is_empty());
    assert!(client.find(BASE, "(!(userPassword=*))").is_empty(), "it is Undefined");
}

#[test]
fn types_only() {
    let world = World::new();
    for mut client in [Client::app(&world), Client::reader(&world)] {
        let usual = client.search(search(APP_DN, Base, "(objectClass=*)", &["*", "+"]));
        let mut request = search(APP_DN, Base, "(objectClass=*)", &["*", "+"]);
        request.typesonly = true;
        let types = client.search(request);
        assert_eq!(types.is(0).names(), usual.is(0).names());
        assert!(types.entry().attributes.iter().all(|attribute| attribute.vals.is_empty()));
        // A group without a member that may be seen has no member at all.
        let everyone = "cn=everyone,ou=groups,dc=example,dc=org";
        let mut request = search(everyone, Base, "(objectClass=*)", &["memberUid", "member"]);
        request.typesonly = true;
        assert_eq!(client.search(request).names(), ["member"]);
    }
}

#[test]
fn the_size_limit_sends_exactly_so_many() {
    let world = World::with(Wishes { people: 1_500, ..Wishes::default() });
    let mut client = Client::reader(&world);
    for (limit, found, code) in
        [(1, 1, 4), (3, 3, 4), (1_499, 1_499, 4), (1_500, 1_500, 0), (1_501, 1_500, 0), (0, 1_500, 0)]
    {
        let mut request = search(BASE, Subtree, "(mail=user-*)", &["1.1"]);
        request.sizelimit = limit;
        let reply = client.search(request);
        assert_eq!(reply.is(code).entries().len(), found, "limit {limit}");
    }
}

#[test]
fn the_limits_of_the_server_hold_too() {
    let limits = Limits { search_size_max: 10, look_through_max: 100, ..Limits::default() };
    let world = World::with(Wishes { people: 300, limits, ..Wishes::default() });
    let mut client = Client::reader(&world);
    for (asked, found) in [(0, 10), (5, 5), (50, 10)] {
        let mut request = search(BASE, Subtree, "(mail=user-*)", &["1.1"]);
        request.sizelimit = asked;
        assert_eq!(client.search(request).is(4).entries().len(), found);
    }
    // No index helps.
    client.search(search(BASE, Subtree, "(!(mail=*))", &["1.1"])).is(11);
    // One does.
    client.search(search(BASE, Subtree, "(mail=user-299@example.org)", &["1.1"])).is(0).entry();
    // What a reader without rights may see is few, so that look-through does not concern it.
    let mut app = Client::app(&world);
    app.search(search(BASE, Subtree, "(!(mail=*))", &["1.1"])).is(0);
}

#[test]
fn the_time_limit_ends_a_search() {
    let world = World::with(Wishes { people: 3_000, ..Wishes::default() });
    let mut client = Client::reader(&world);
    for (seconds, later, code) in [(2, 1, 0), (2, 2, 3), (0, 3_599, 0), (0, 3_600, 3), (i32::MAX, 3_600, 3)] {
        let mut request = search(BASE, Subtree, "(objectClass=*)", &["1.1"]);
        request.timelimit = seconds;
        client.later = std::time::Duration::ZERO;
        let id = client.id();
        client.push(&super::client::encode(id, ldap3_proto::proto::LdapOp::SearchRequest(request)));
        client.step();
        client.later = std::time::Duration::from_secs(later);
        client.send(&[]).is(code);
    }
}

#[test]
fn what_clients_ask_for() {
    let world = World::new();
    let mut client = Client::reader(&world);
    let mut count = |filter: &str| client.find(BASE, filter).len();
    // Trap 3: polls, one with an RFC 3339 value.
    assert!(count("(modifyTimestamp>=20200101000000Z)") > 4);
    assert!(count("(modifyTimestamp>=2020-01-01T00:00:00Z)") > 4);
    assert_eq!(count("(modifyTimestamp>=20990101000000Z)"), 0);
    assert_eq!(count("(modifyTimestamp>=yesterday)"), 0);
    // Trap 4.
    assert_eq!(count("(&(objectClass=posixGroup)(memberUid=alice))"), 3, "two groups and her own");
    assert_eq!(count(&format!("(&(objectClass=groupOfNames)(member={ALICE_DN}))")), 3);
    assert_eq!(count("(&(objectClass=groupOfNames)(cn=staff))"), 1);
    assert_eq!(count("(userAccountControl:1.2.840.113556.1.4.803:=2)"), 1);
    assert_eq!(count("(&(objectClass=user)(!(userAccountControl:1.2.840.113556.1.4.803:=2)))"), 6);
    let everyone = "cn=everyone,ou=groups,dc=example,dc=org";
    assert_eq!(count(&format!("(&(objectClass=user)(memberOf:1.2.840.113556.1.4.1941:={everyone}))")), 3);
    // Trap 5.
    assert_eq!(count("(|(ou=*)(cn=Users))"), 3);
    assert_eq!(count("(|(uid=*lic*)(mail=*lic*)(nonsense=*lic*)(givenName=*lic*))"), 1);
    // RFC 4526: absolute true and false.
    assert_eq!(count("(&)"), 22);
    assert_eq!(count("(|)"), 0);
    // Three values: what is Undefined stays so when it is inverted.
    assert_eq!(count("(!(nonsense=x))"), 0);
    assert_eq!(count("(|(nonsense=x)(cn=alice))"), 2);
}

/// What authentik's outpost gives to its entries, and applications that were set up for it look for.
#[test]
fn classes_of_authentik() {
    let world = World::new();
    let mut client = Client::reader(&world);
    let mut count = |filter: &str| client.find(BASE, filter).len();
    for (class, expected) in [
        ("goauthentik.io/ldap/user", 7),
        ("goauthentik.io/ldap/group", 11),
        ("goauthentik.io/ldap/virtual-group", 7),
    ] {
        let published = class.replace('.', "").replace('/', "-");
        for class in [class, &class.to_uppercase(), &published] {
            assert_eq!(count(&format!("(objectClass={class})")), expected, "{class}");
            assert_eq!(count(&format!("(!(objectClass={class}))")), 22 - expected, "not {class}");
        }
    }
    assert_eq!(count("(!(objectClass=goauthentik.io/ldap/nothing))"), 0, "no name of a class");
    let request = search(ALICE_DN, Base, "(objectClass=*)", &["@goauthentik.io/ldap/user"]);
    let reply = client.search(request);
    let names = reply.is(0).names();
    assert!(
        ["objectClass", "ak-active", "ak-superuser"].iter().all(|name| names.contains(name)),
        "{names:?}"
    );
    assert!(!names.contains(&"cn"), "{names:?}");
}

/// It is one object's alone: a group that is called like an account has none, however it is asked for.
#[test]
fn an_account_name_of_a_person_is_no_groups() {
    let world = World::new();
    world.change(|transaction| {
        let mut staff = transaction.group(STAFF)?.unwrap();
        staff.name = "Alice".to_owned();
        transaction.put(Record::Group(staff))
    });
    let mut client = Client::reader(&world);
    let dn = "cn=Alice,ou=groups,dc=example,dc=org";
    let expect = |client: &mut Client, has_it: bool| {
        let found = client.find(BASE, "(&(objectCategory=group)(sAMAccountName=alice))");
        assert_eq!(found, if has_it { vec![dn] } else { vec![] });
        for filter in ["(sAMAccountName=*)", "(sAMAccountName=ali*)", "(sAMAccountName>=alice)"] {
            assert_eq!(client.find(dn, filter).len(), usize::from(has_it), "{filter}");
        }
        let entry = client.search(search(dn, LdapSearchScope::Base, "(objectClass=*)", &["*", "+"]));
        assert_eq!(entry.values("sAMAccountName"), if has_it { vec!["Alice"] } else { vec![] });
        client.compare(dn, "sAMAccountName", "alice").is(if has_it { 6 } else { 16 });
    };
    expect(&mut client, false);
    assert_eq!(client.find(BASE, "(sAMAccountName=alice)"), [ALICE_DN]);
    // At once.
    world.change_account(ALICE, |alice| alice.username = "alicia".to_owned());
    expect(&mut client, true);
    world.change_account(ALICE, |alice| alice.username = "ALICE".to_owned());
    expect(&mut client, false);
    // Who may not see her learns nothing of her by it.
    world.change(|transaction| {
        let mut staff = transaction.group(STAFF)?.unwrap();
        staff.name = "legacy".to_owned();
        transaction.put(Record::Group(staff))
    });
    let mut app = Client::app(&world);
    assert_eq!(app.find(BASE, "(sAMAccountName=legacy)"), ["cn=legacy,ou=groups,dc=example,dc=org"]);
}

/// What clients that were made for Active Directory ask for.
#[test]
fn attributes_of_active_directory() {
    let world = World::new();
    let mut client = Client::reader(&world);
    let mut count = |filter: &str| client.find(BASE, filter).len();
    assert_eq!(count("(&(objectCategory=person)(objectClass=user)(sAMAccountName=alice))"), 1);
    for class in ["person", "User", "INETORGPERSON", "organizationalPerson"] {
        assert_eq!(count(&format!("(objectCategory={class})")), 7, "{class}");
    }
    assert_eq!(count("(objectCategory=cn=person,cn=schema, cn=configuration,DC=example,dc=org)"), 7);
    assert_eq!(count("(sAMAccountName=alice)"), 1, "her virtual group has her name, but not this one");
    assert_eq!(count("(objectCategory=group)"), 11);
    assert_eq!(count("(objectCategory=organizationalUnit)"), 3);
    assert_eq!(count("(objectCategory=domainDNS)"), 1);
    assert_eq!(count("(&(cn=alice)(!(objectCategory=computer)))"), 2);
    assert_eq!(count("(sAMAccountType=805306368)"), 7);
    assert_eq!(count("(sAMAccountType=268435456)"), 11);
    assert_eq!(count(&format!("(distinguishedName={ALICE_DN})")), 1, "and none of her groups");
    assert_eq!(count(&format!("(distinguishedName={})", ALICE_DN.to_uppercase())), 1);
    assert_eq!(count("(distinguishedName=*)"), 22);
    assert_eq!(count("(whenChanged>=20200101000000.0Z)"), 22);
    assert_eq!(count("(whenCreated<=20200101000000.0Z)"), 0);
    let asked = ["distinguishedName", "objectCategory", "sAMAccountType", "whenCreated", "whenChanged"];
    let reply = client.search(search(ALICE_DN, Base, "(objectClass=*)", &asked));
    let times = ["20231114221320.0Z", "20231114221320.0Z"];
    for (name, expected) in asked.into_iter().zip([
        ALICE_DN,
        "CN=Person,CN=Schema,CN=Configuration,dc=example,dc=org",
        "805306368",
        times[0],
        times[1],
    ]) {
        assert_eq!(reply.values(name), [expected], "{name}");
    }
    let group =
        client.search(search("cn=staff,ou=groups,dc=example,dc=org", Base, "(objectClass=*)", &asked));
    assert_eq!(group.is(0).names(), asked, "no member is a distinguishedName");
}

#[test]
fn the_same_entry_for_everybody_who_sees_it() {
    let world = World::new();
    // The one is a copy of wire octets, the other is written value by value.
    let own = Client::app(&world).search(search(APP_DN, Base, "(objectClass=*)", &["*", "+"]));
    let full = Client::reader(&world).search(search(APP_DN, Base, "(objectClass=*)", &["*", "+"]));
    assert_eq!(own.is(0).entry(), full.is(0).entry());
    let named: Vec<&str> = full.names();
    let picked = Client::reader(&world).search(search(APP_DN, Base, "(objectClass=*)", &named));
    assert_eq!(picked.is(0).entry(), full.entry());
}
