//! The root DSE and the subschema: read before bind, by anyone, with any filter and any list (traps 1, 6 and 10).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ldap3_proto::proto::LdapSearchScope::{Base, Children, OneLevel, Subtree};

use super::client::{Client, encode, search};
use super::world::{ALICE, NOW, Wishes, World};
use crate::clock::Clock;
use crate::plain::attribute;
use crate::registry::{Registry, RegistrySettings};

#[test]
fn the_root_dse_answers_whatever_filter_matches_it() {
    let world = World::new();
    for (filter, is_found) in [
        ("(objectClass=*)", true),
        ("(objectclass=top)", true),
        ("(OBJECTCLASS=*)", true),
        ("(2.5.4.0=*)", true),
        ("(namingContexts=*)", true),
        ("(vendorName=bindery)", true),
        ("(&)", true),
        ("(|(objectClass=nothing)(vendorName=*))", true),
        ("(!(cn=x))", true),
        ("(objectClass=person)", false),
        ("(cn=*)", false),
        ("(unknownAttribute=*)", false),
        ("(!(unknownAttribute=*))", false),
    ] {
        for mut client in
            [Client::in_clear(&world), Client::new(&world), Client::app(&world), Client::reader(&world)]
        {
            let reply = client.search(search("", Base, filter, &["*", "+"]));
            assert_eq!(reply.is(0).entries().len(), usize::from(is_found), "{filter}");
        }
    }
}

#[test]
fn the_root_dse_holds_what_works() {
    let world = World::new();
    let mut client = Client::in_clear(&world);
    let all = client.search(search("", Base, "(objectClass=*)", &["*", "+"]));
    assert_eq!(all.entry().dn, "");
    for (name, values) in [
        ("objectClass", &["top"][..]),
        ("namingContexts", &["dc=example,dc=org", "dc=other,dc=net"]),
        ("defaultNamingContext", &["dc=example,dc=org"]),
        ("supportedLDAPVersion", &["3"]),
        (
            "supportedExtension",
            &["1.3.6.1.4.1.1466.20037", "1.3.6.1.4.1.4203.1.11.3", "1.3.6.1.1.8", "1.3.6.1.4.1.4203.1.11.1"],
        ),
        ("subschemaSubentry", &["cn=subschema"]),
        ("vendorName", &["bindery"]),
    ] {
        assert_eq!(all.values(name), values, "{name}");
    }
    assert_eq!(all.values("vendorVersion").len(), 1);
    assert_eq!(all.values("supportedFeatures").len(), 3);
    // Nothing of it is told to only some: bound clients and those of another provider read the same.
    let mut bound = Client::app(&world);
    assert_eq!(bound.search(search("", Base, "(objectClass=*)", &["*", "+"])).entry(), all.entry());
    // Any list.
    let names = |client: &mut Client, list: &[&str]| {
        let reply = client.search(search("", Base, "(objectClass=*)", list));
        reply.is(0);
        reply.names().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(names(&mut client, &["NAMINGcontexts", "nonsense", "namingcontexts"]), ["namingContexts"]);
    assert_eq!(names(&mut client, &["1.1"]), [""; 0]);
    assert_eq!(names(&mut client, &[]), ["objectClass"]);
    let mut only_types = search("", Base, "(objectClass=*)", &["supportedExtension"]);
    only_types.typesonly = true;
    assert!(client.search(only_types).entry().attributes[0].vals.is_empty());
    // Without a certificate StartTLS is not offered.
    let mut world = World::new();
    world.settings.offers_start_tls = false;
    let reply = Client::in_clear(&world).search(search("", Base, "(objectClass=*)", &["+"]));
    assert_eq!(
        reply.values("supportedExtension"),
        ["1.3.6.1.4.1.4203.1.11.3", "1.3.6.1.1.8", "1.3.6.1.4.1.4203.1.11.1"]
    );
}

#[test]
fn the_root_dse_has_the_scope_base_only() {
    let world = World::new();
    for scope in [OneLevel, Subtree, Children] {
        let request = || search("", scope.clone(), "(objectClass=*)", &[]);
        Client::new(&world).search(request()).is(50);
        let reply = Client::app(&world).search(request());
        assert_eq!(reply.is(32).result().matcheddn, "");
    }
    let request = search("  ", Base, "(objectClass=*)", &[]);
    Client::new(&world).search(request).is(0).entry();
}

#[test]
fn the_subschema_is_found_however_it_is_spelt() {
    let world = World::new();
    let oid = "2.5.4.3=#0409737562736368656d61";
    for base in
        ["cn=subschema", "CN=Subschema", "cn = subschema ", "commonName=SUBSCHEMA", "cn=\\73\\75bschema", oid]
    {
        let mut client = Client::in_clear(&world);
        for (scope, count) in [(Base, 1), (Subtree, 1), (OneLevel, 0), (Children, 0)] {
            let reply = client.search(search(base, scope, "(objectClass=subschema)", &["attributeTypes"]));
            assert_eq!(reply.is(0).entries().len(), count, "{base}");
        }
        client.compare(base, "cn", "SubSchema").is(6);
        client.compare(base, "cn", "other").is(5);
        client.compare(base, "mail", "x").is(16);
    }
    let reply = Client::in_clear(&world).search(search("cn=subschema", Base, "(objectClass=*)", &["*", "+"]));
    for name in ["attributeTypes", "objectClasses", "matchingRules", "matchingRuleUse", "ldapSyntaxes"] {
        assert!(!reply.values(name).is_empty(), "{name}");
    }
    assert_eq!(reply.entry().dn, "cn=subschema");
    // It is readable, but it is not what a search of a directory finds.
    assert!(Client::reader(&world).find("dc=example,dc=org", "(objectClass=subschema)").is_empty());
    Client::in_clear(&world).search(search("cn=x,cn=subschema", Base, "(objectClass=*)", &[])).is(50);
    Client::app(&world).search(search("cn=x,cn=subschema", Base, "(objectClass=*)", &[])).is(32);
}

#[test]
fn the_subschema_tells_when_it_was_changed() {
    let said = Arc::new(Mutex::new((NOW, Duration::ZERO)));
    let clock = || Arc::new(Clock::of_test(Arc::clone(&said)));
    let wait = || {
        let mut said = said.lock().unwrap();
        let (time, moment) = (said.0.after(Duration::from_secs(10)), said.1 + Duration::from_secs(10));
        *said = (time, moment);
    };
    let mut world = World::with(Wishes { clock: Some(clock()), ..Wishes::default() });
    let names =
        ["entryUUID", "createTimestamp", "modifyTimestamp", "creatorsName", "modifiersName", "entryDN"];
    let read = |world: &World| {
        let reply = Client::in_clear(world).search(search("cn=subschema", Base, "(objectClass=*)", &["+"]));
        names.map(|name| {
            let values = reply.values(name);
            assert_eq!(values.len(), 1, "{name}");
            values[0].clone()
        })
    };
    let first = read(&world);
    let [uuid, created, modified, ..] = first.clone();
    assert_eq!(modified, "20270115080000Z");
    assert_eq!(first[3..], ["cn=subschema"; 3]);
    // What changes no schema does not move it; a custom attribute type does.
    wait();
    world.change_account(ALICE, |account| account.name.push('x'));
    assert_eq!(read(&world), first);
    world.change_account(ALICE, |account| account.attributes.push(attribute("employeeBadge", &["7"])));
    let second = read(&world);
    assert_eq!(second[2], "20270115080010Z");
    assert_eq!(second[..2], first[..2]);
    for (filter, is_found) in [
        (format!("(entryUUID={uuid})"), true),
        ("(entryUUID=00000000-0000-0000-0000-000000000000)".to_owned(), false),
        (format!("(createTimestamp={created})"), true),
        ("(modifyTimestamp>=20270115080010Z)".to_owned(), true),
        ("(modifyTimestamp>=20270115080011Z)".to_owned(), false),
        ("(modifiersName=CN=Subschema)".to_owned(), true),
    ] {
        let reply = Client::in_clear(&world).search(search("cn=subschema", Base, &filter, &["1.1"]));
        assert_eq!(reply.is(0).entries().len(), usize::from(is_found), "{filter}");
    }
    for list in [&[][..], &["*"], &["cn"]] {
        let reply = Client::in_clear(&world).search(search("cn=subschema", Base, "(objectClass=*)", list));
        assert!(reply.names().iter().all(|name| !names.contains(name)), "{list:?}");
    }
    Client::in_clear(&world).compare("cn=subschema", "entryUUID", &uuid).is(6);
    // The next start may be one of another table.
    wait();
    let settings = RegistrySettings { clock: clock(), ..RegistrySettings::default() };
    world.registry.close();
    world.registry = Registry::open(world.store.clone(), settings).unwrap();
    let third = read(&world);
    assert_eq!(third[2], "20270115080020Z");
    assert_eq!(third[..2], first[..2]);
}

#[test]
fn the_root_dse_can_be_compared() {
    let world = World::new();
    let mut client = Client::in_clear(&world);
    client.compare("", "vendorName", "bindery").is(6);
    client.compare("", "vendorName", "other").is(5);
    // RFC 4512 gives this one no rule to compare by; we do.
    client.compare("", "supportedLDAPVersion", "3").is(6);
    client.compare("", "supportedLDAPVersion", "2").is(5);
    client.compare("", "cn", "x").is(16);
}

#[test]
fn the_root_dse_is_found_by_what_stands_in_it() {
    let world = World::new();
    for (filter, is_found) in [
        ("(supportedLDAPVersion=3)", true),
        ("(supportedLDAPVersion=03)", true),
        ("(supportedLDAPVersion=2)", false),
        ("(!(supportedLDAPVersion=2))", true),
        ("(supportedControl=1.2.840.113556.1.4.319)", true),
        ("(supportedExtension=1.9)", false),
        ("(supportedSASLMechanisms=plain)", true),
        ("(namingContexts=DC=example, dc=ORG)", true),
        ("(defaultNamingContext=dc=example,dc=org)", true),
        ("(vendorName=bindery)", true),
    ] {
        let mut client = Client::in_clear(&world);
        let reply = client.search(search("", Base, filter, &["1.1"]));
        assert_eq!(reply.is(0).entries().len(), usize::from(is_found), "{filter}");
    }
}

#[test]
fn a_health_check_with_the_message_id_0_gets_its_notice() {
    let world = World::new();
    let mut client = Client::in_clear(&world);
    let request = search("", Base, "(objectClass=*)", &[]);
    client.send(&encode(0, ldap3_proto::proto::LdapOp::SearchRequest(request))).is_notice(2);
    assert_eq!(client.session.next(), crate::ldap::session::Next::Close);
}
