//! Rules 13 to 18 of the product on open connections: rights are asked for every operation.

use std::time::Duration;

use ldap3_proto::proto::LdapSearchScope::{Base, OneLevel, Subtree};
use ldap3_proto::proto::{LdapCompareRequest, LdapFilter, LdapOp};

use super::client::{Client, element, encode, raw, search, with_controls};
use super::world::{
    ALICE, ALICE_PASSWORD, APP, APP_TOKEN, BASE, HIDDEN, MAIN, NOW, OTHER, OTHER_BASE, READER, ROOT_PASSWORD,
    SEEN_BY_APP, STAFF, VAULT, Wishes, World, vault, wait,
};
use crate::config::{Limit, Limits};
use crate::model::{AccountNumber, Action, Attribute, Event, Key, ProviderNumber, Record};
use crate::plain::search_grant;
use crate::registry::EventQuery;

const APP_DN: &str = "cn=app,ou=users,dc=example,dc=org";

fn sees_itself(client: &mut Client) -> bool {
    let found = client.find(BASE, "(objectClass=*)");
    let sees_all = found.iter().any(|dn| dn.contains("hidden"));
    assert!(sees_all || found.iter().all(|dn| !dn.contains("alice")), "{found:?}");
    !sees_all
}

#[test]
fn without_rights_it_sees_itself_and_its_groups() {
    let world = World::new();
    let mut client = Client::app(&world);
    let mut expected = SEEN_BY_APP.map(str::to_owned).to_vec();
    expected.sort();
    assert_eq!(client.find(BASE, "(objectClass=*)"), expected);
    let staff =
        client.search(search("cn=staff,ou=groups,dc=example,dc=org", Base, "(objectClass=*)", &["*", "+"]));
    assert_eq!(staff.values("member"), [APP_DN]);
    assert_eq!(staff.values("uniqueMember"), [APP_DN]);
    assert_eq!(staff.values("memberUid"), ["app"]);
    assert_eq!(staff.values("memberOf"), ["cn=everyone,ou=groups,dc=example,dc=org"]);
    let users =
        client.search(search("ou=users,dc=example,dc=org", Base, "(objectClass=*)", &["numSubordinates"]));
    assert_eq!(users.values("numSubordinates"), ["1"]);
    // Filters neither find nor exclude by what is hidden.
    let alice = "cn=alice,ou=users,dc=example,dc=org";
    for filter in [
        format!("(member={alice})"),
        "(memberUid=alice)".to_owned(),
        format!("(uniqueMember={alice})"),
        "(cn=alice)".to_owned(),
        "(cn=hidden*)".to_owned(),
        format!("(member:1.2.840.113556.1.4.1941:={alice})"),
        "(memberOf=cn=hidden-group,ou=groups,dc=example,dc=org)".to_owned(),
        "(memberOf:1.2.840.113556.1.4.1941:=cn=hidden-group,ou=groups,dc=example,dc=org)".to_owned(),
        "(numSubordinates>=2)".to_owned(),
    ] {
        let found =
            client.find("ou=groups,dc=example,dc=org", &format!("(&(objectClass=groupOfNames){filter})"));
        assert!(found.is_empty(), "{filter} found {found:?}");
    }
    assert_eq!(client.find(BASE, &format!("(&(cn=staff)(!(member={alice})))")).len(), 1);
}

#[test]
fn both_ways_to_see_everything() {
    let world = World::new();
    assert!(!sees_itself(&mut Client::reader(&world)));
    let mut root = Client::new(&world);
    root.bind("root", ROOT_PASSWORD).is(0);
    assert!(!sees_itself(&mut root));
}

#[test]
fn grants_act_on_open_connections() {
    let world = World::new();
    let mut reader = Client::reader(&world);
    let mut app = Client::app(&world);
    assert!(!sees_itself(&mut reader));
    world.grant_readers(Vec::new());
    assert!(sees_itself(&mut reader));
    world.grant_readers(vec![search_grant(None)]);
    assert!(!sees_itself(&mut reader));
    world.grant_readers(vec![search_grant(Some(OTHER))]);
    assert!(sees_itself(&mut reader), "a grant on another provider is none");
    world.grant_readers(vec![search_grant(Some(MAIN))]);
    assert!(!sees_itself(&mut reader));
    world.change_account(READER, |account| account.roles.clear());
    assert!(sees_itself(&mut reader));

    assert!(sees_itself(&mut app));
    world.change_account(APP, |account| account.grants.push(search_grant(Some(MAIN))));
    assert!(!sees_itself(&mut app));
    world.change_account(APP, |account| account.grants.clear());
    assert!(sees_itself(&mut app));
    // Through a group that its group is in.
    world.change(|transaction| {
        let mut group = transaction.group(super::world::EVERYONE)?.unwrap();
        group.is_superuser = true;
        transaction.put(Record::Group(group))
    });
    assert!(!sees_itself(&mut app));
    world.change(|transaction| transaction.set_member(STAFF, APP, false).map(|_| ()));
    assert!(sees_itself(&mut app));
    assert_eq!(app.find("ou=groups,dc=example,dc=org", "(objectClass=groupOfNames)").len(), 0);
    world.change(|transaction| transaction.set_member(HIDDEN, APP, true).map(|_| ()));
    assert_eq!(app.find("ou=groups,dc=example,dc=org", "(objectClass=groupOfNames)").len(), 1);
}

/// Whoever was bound is nobody now: 50 everywhere, whether or not the base exists, and an empty matchedDN.
#[track_caller]
fn has_lost_its_identity(client: &mut Client) {
    for base in [BASE, "cn=nobody,ou=users,dc=example,dc=org", "dc=nowhere", "not a dn", OTHER_BASE] {
        let reply = client.search(search(base, Base, "(objectClass=*)", &[]));
        assert_eq!(reply.is(50).result().matcheddn, "", "{base}");
        let reply = client.compare(base, "cn", "x");
        assert_eq!(reply.is(50).result().matcheddn, "", "{base}");
    }
    client.search(search("", OneLevel, "(objectClass=*)", &[])).is(50);
    client.search(search("", Base, "(objectClass=*)", &[])).is(0).entry();
    client.search(search("cn=subschema", Base, "(objectClass=*)", &[])).is(0).entry();
    assert_eq!(client.who_am_i(), "");
}

#[test]
fn anonymous_clients_read_the_root_dse_and_the_subschema() {
    let world = World::new();
    has_lost_its_identity(&mut Client::new(&world));
    has_lost_its_identity(&mut Client::in_clear(&world));
}

#[test]
fn what_ends_a_credential_ends_the_identity() {
    let world = World::new();
    let mut client = Client::app(&world);
    world.change(|transaction| transaction.delete_token(APP_TOKEN));
    has_lost_its_identity(&mut client);

    let world = World::new();
    let mut client = Client::app(&world);
    world.change_token(APP_TOKEN, |token| token.generation += 1);
    has_lost_its_identity(&mut client);

    let world = World::new();
    let mut client = Client::new(&world);
    client.bind("app", &world.secrets.app_brief).is(0);
    client.now = NOW.after(std::time::Duration::from_secs(99));
    assert_eq!(client.who_am_i(), format!("dn:{APP_DN}"));
    client.now = NOW.after(std::time::Duration::from_secs(100));
    has_lost_its_identity(&mut client);

    let world = World::new();
    let mut client = Client::app(&world);
    world.change_account(APP, |account| account.is_active = false);
    has_lost_its_identity(&mut client);
    world.change_account(APP, |account| account.is_active = true);
    assert_eq!(client.who_am_i(), format!("dn:{APP_DN}"));
    world.change_token(APP_TOKEN, |token| token.networks = vec!["10.0.0.0/8".parse().unwrap()]);
    has_lost_its_identity(&mut client);

    let world = World::new();
    let mut client = Client::app(&world);
    world.change(|transaction| transaction.delete_account(APP));
    has_lost_its_identity(&mut client);

    let world = World::new();
    let mut client = Client::new(&world);
    client.bind("alice", ALICE_PASSWORD).is(0);
    world.change_account(ALICE, |account| account.password.as_mut().unwrap().generation += 1);
    has_lost_its_identity(&mut client);
}

/// The limits of who has bound are for as long as that holds.
#[test]
fn who_has_lost_the_identity_is_a_stranger() {
    let limits = Limits { filter_elements_before_bind_max: 8, ..Limits::default() };
    let world = World::with(Wishes { limits, ..Wishes::default() });
    let terms = |client: &mut Client| {
        let mut request = search("", Base, "(objectClass=*)", &[]);
        request.filter = LdapFilter::Or(vec![LdapFilter::Present("cn".to_owned()); 16]);
        client.search(request)
    };
    let mut client = Client::app(&world);
    terms(&mut client).is(0);
    let bound = client.session.holders();
    world.change_account(APP, |account| account.is_active = false);
    terms(&mut client).is(11);
    assert!(!client.session.is_bound() && client.session.has_lost_identity());
    assert_eq!(client.session.account(), None);
    assert_eq!(client.session.holders(), Client::new(&world).session.holders());
    assert_eq!(client.session.message_size_max(), 64 * 1024);
    // It may come back.
    world.change_account(APP, |account| account.is_active = true);
    terms(&mut client).is(0);
    assert_eq!((client.session.account(), client.session.holders()), (Some(APP), bound));
    // So it is with a second, with the provider's application, and without any request at all.
    world.change_token(APP_TOKEN, |token| token.expires = Some(NOW.after(Duration::from_secs(1))));
    terms(&mut client).is(0);
    client.now = NOW.after(Duration::from_secs(1));
    client.session.review(client.moment());
    assert!(!client.session.is_bound());
    // A message that is too large for a stranger is not taken.
    let large = element(0x4a, &vec![b'x'; 100 * 1024]);
    client.send(&raw(9, &large)).is_notice(2);
}

#[test]
fn another_token_of_the_same_account_changes_nothing() {
    let world = World::new();
    let mut client = Client::new(&world);
    client.bind("app", &world.secrets.app_brief).is(0);
    world.change(|transaction| transaction.delete_token(APP_TOKEN));
    assert_eq!(client.who_am_i(), format!("dn:{APP_DN}"));
}

#[test]
fn an_application_that_refuses_takes_the_identity() {
    let world = World::new();
    let mut client = Client::new(&world);
    client.bind("app@corp.example", &world.secrets.app).is(0);
    client.search(search(OTHER_BASE, Base, "(objectClass=*)", &[])).is(0);
    world.change(|transaction| transaction.put(Record::Application(vault(vec![super::world::ADMINS]))));
    let reply = client.search(search(OTHER_BASE, Base, "(objectClass=*)", &[]));
    assert!(reply.is(50).result().message.contains("`vault`"));
    has_lost_its_identity(&mut client);
    world.change(|transaction| transaction.put(Record::Application(vault(vec![STAFF]))));
    client.search(search(OTHER_BASE, Base, "(objectClass=*)", &[])).is(0);
    world.change(|transaction| {
        let mut application = vault(vec![STAFF]);
        application.bindings[0].negate = true;
        transaction.put(Record::Application(application))
    });
    client.search(search(OTHER_BASE, Base, "(objectClass=*)", &[])).is(50);
    world.change(|transaction| transaction.delete(Key::Application(VAULT)));
    client.search(search(OTHER_BASE, Base, "(objectClass=*)", &[])).is(0);
}

#[test]
fn another_provider_exists_only_for_whom_it_admits() {
    let world = World::new();
    // `vault` admits the staff: the app, not the reader.
    let mut app = Client::app(&world);
    assert_eq!(app.find(OTHER_BASE, "(objectClass=person)"), [format!("cn=app,ou=users,{OTHER_BASE}")]);
    let mut reader = Client::reader(&world);
    let there = reader.search(search(OTHER_BASE, Subtree, "(objectClass=*)", &[]));
    let nowhere = reader.search(search("dc=nowhere,dc=net", Subtree, "(objectClass=*)", &[]));
    assert_eq!(there.is(32).result(), nowhere.is(32).result());
    let there = reader.compare(&format!("cn=app,ou=users,{OTHER_BASE}"), "cn", "app");
    assert_eq!(there.is(32).result(), nowhere.result());
    // Admitted, it sees there what it may see there: the role is granted on the first provider only.
    world.change(|transaction| transaction.delete(Key::Application(VAULT)));
    assert_eq!(reader.find(OTHER_BASE, "(objectClass=person)"), [format!("cn=reader,ou=users,{OTHER_BASE}")]);
    world.grant_readers(vec![search_grant(None)]);
    assert!(reader.find(OTHER_BASE, "(objectClass=person)").len() > 1);
    // The application of the bind decides first.
    let mut other = Client::new(&world);
    other.bind("app@corp.example", &world.secrets.app).is(0);
    other.search(search(BASE, Base, "(objectClass=*)", &[])).is(0);
    world.change(|transaction| transaction.put(Record::Application(vault(vec![super::world::ADMINS]))));
    other.search(search(BASE, Base, "(objectClass=*)", &[])).is(50);
}

#[test]
fn a_provider_inside_of_another_does_not_show_when_it_admits_nobody() {
    let world = World::new();
    let inner = format!("ou=sub,{BASE}");
    let base = inner.clone();
    world.change(move |transaction| {
        transaction.put(super::world::provider(super::world::OTHER, "other", &base, Some("corp.example")))
    });
    let mut app = Client::app(&world);
    assert_eq!(app.find(&inner, "(objectClass=person)"), [format!("cn=app,ou=users,{inner}")]);
    // As a name in the outer one that nobody has.
    let mut reader = Client::reader(&world);
    for below in [inner.clone(), format!("cn=app,ou=users,{inner}"), format!("cn=nobody,{inner}")] {
        let there = reader.search(search(&below, Subtree, "(objectClass=*)", &[]));
        let nowhere = below.replace("ou=sub", "ou=none");
        let nowhere = reader.search(search(&nowhere, Subtree, "(objectClass=*)", &[]));
        assert_eq!(there.is(32).result(), nowhere.is(32).result());
        assert_eq!(there.result().matcheddn, BASE);
        assert_eq!(reader.compare(&below, "cn", "app").is(32).result(), nowhere.result());
    }
}

#[test]
fn what_is_hidden_costs_nothing() {
    // The same view over a small and over a large directory: the same answers, the same work.
    let small = World::new();
    let large = World::with(super::world::Wishes { people: 500, ..Default::default() });
    for filter in ["(objectClass=*)", "(cn=user-1)", "(mail=*user*)", "(!(cn=x))", "(uidNumber>=0)"] {
        let mut counts = Vec::new();
        for world in [&small, &large] {
            let mut client = Client::app(world);
            let request = search(BASE, Subtree, filter, &["*", "+"]);
            let reply = client.search(request);
            counts.push((reply.messages.len(), reply.dns(), client.session.next()));
        }
        assert_eq!(counts[0], counts[1], "{filter}");
    }
}

/// A directory of which the app sees the same, whatever is `hidden`: so many members that it does not see in its groups,
/// and so many values in its own entry and theirs, that name nobody it sees.
fn with_hidden(hidden: u32) -> World {
    let limits = Limits { filter_work_max: 20_000, ..Limits::default() };
    let world = World::with(Wishes { people: hidden, limits, ..Wishes::default() });
    let values = |more: &[&str]| {
        let mut values: Vec<Vec<u8>> = more.iter().map(|value| value.as_bytes().to_vec()).collect();
        values.extend((0..hidden).map(|number| format!("cn=user-{number},ou=users,{BASE}").into_bytes()));
        values
    };
    let owners = Attribute { description: "owner".to_owned(), values: values(&[]) };
    let see_also = Attribute { description: "seeAlso".to_owned(), values: values(&[APP_DN, "cn=x,dc=com"]) };
    let managers = Attribute { description: "manager;x-old".to_owned(), values: values(&[]) };
    let given: Vec<Attribute> =
        [owners, see_also, managers].into_iter().filter(|given| !given.values.is_empty()).collect();
    let of_app = given.clone();
    world.change_account(APP, move |account| account.attributes = of_app);
    world.change(move |transaction| {
        for number in [STAFF, super::world::EVERYONE] {
            let mut group = transaction.group(number)?.unwrap();
            group.attributes = given.clone();
            transaction.put(Record::Group(group))?;
            for person in 0..hidden {
                transaction.set_member(number, AccountNumber::new(1_000 + person), true)?;
            }
        }
        Ok(())
    });
    world
}

/// All that a client can tell of what comes of octets that it sends at once: the answers in their order, the work that was
/// counted, and the limits that were reached.
fn told(world: &World, client: &mut Client, octets: &[u8]) -> (Vec<String>, u64, Vec<u64>) {
    let before = client.session.work_done();
    let reply = client.send(octets);
    let answers = reply.messages.iter().map(super::client::show).collect();
    let limits = Limit::counted().map(|limit| world.registry.reached().count(limit)).collect();
    (answers, client.session.work_done() - before, limits)
}

#[test]
fn hidden_values_and_members_of_what_is_seen_change_nothing() {
    const STAFF_DN: &str = "cn=staff,ou=groups,dc=example,dc=org";
    let mut worlds = [0, 3, 3_000].map(with_hidden);
    let mut requests: Vec<Vec<u8>> = Vec::new();
    let searched = |request| encode(7, LdapOp::SearchRequest(request));
    let shapes = [
        ("owner", "cn=z"),
        ("seeAlso", APP_DN),
        ("manager;x-old", "cn=z"),
        ("member", "cn=z"),
        ("memberUid", "z"),
        ("memberOf", STAFF_DN),
        ("distinguishedName", "cn=z"),
        ("objectClass", "extensibleObject"),
    ];
    for (attribute, value) in shapes {
        let equality = LdapFilter::Equality(attribute.to_owned(), value.to_owned());
        let present = LdapFilter::Present(attribute.to_owned());
        let never = LdapFilter::Equality(attribute.to_owned(), "cn=never".to_owned());
        for filter in [
            equality.clone(),
            LdapFilter::Not(Box::new(equality.clone())),
            present.clone(),
            LdapFilter::Not(Box::new(present)),
            LdapFilter::Or(vec![never; 1_000]),
        ] {
            let mut request = search(BASE, Subtree, "(objectClass=*)", &["1.1"]);
            request.filter = filter.clone();
            requests.push(searched(request));
            let request = search(STAFF_DN, Base, "(objectClass=*)", &[attribute]);
            let assertion = super::client::filter_octets(&filter);
            let message = searched(request);
            requests.push(with_controls(&message, &[("1.3.6.1.1.12", true, Some(assertion))]));
        }
        for (base, value) in
            [(STAFF_DN, value), (APP_DN, value), (STAFF_DN, "cn=user-1,ou=users,dc=example,dc=org")]
        {
            requests.push(encode(
                7,
                LdapOp::CompareRequest(LdapCompareRequest {
                    dn: base.to_owned(),
                    atype: attribute.to_owned(),
                    val: value.as_bytes().to_vec(),
                }),
            ));
        }
        let item = super::client::filter_octets(&equality);
        for count in [1, 60, 1_000] {
            let items = element(0x30, &item.repeat(count));
            let message = searched(search(BASE, Subtree, "(objectClass=*)", &["*", "+"]));
            requests.push(with_controls(&message, &[("1.2.826.0.1.3344810.2.3", true, Some(items))]));
        }
    }
    for filter in [
        "(:2.5.13.1:=cn=z)",
        "(owner:1.2.840.113556.1.4.1941:=cn=z)",
        "(:1.2.840.113556.1.4.1941:=cn=z)",
        "(memberUid=*z*)",
        "(!(owner;x-none=*))",
    ] {
        let mut request = search(BASE, Subtree, filter, &[]);
        requests.push(searched(request.clone()));
        request.filter = LdapFilter::Or(vec![request.filter; 300]);
        requests.push(searched(request));
    }
    for names in [&[][..], &["*", "+"], &["owner"], &["member", "cn"], &["objectClass", "seeAlso"]] {
        for types_only in [false, true] {
            let mut request = search(BASE, Subtree, "(objectClass=*)", names);
            request.typesonly = types_only;
            let message = searched(request);
            // What comes first when another is sent behind it.
            let behind = encode(8, LdapOp::SearchRequest(search(BASE, Base, "(objectClass=*)", &["1.1"])));
            requests.push([message.clone(), behind].concat());
            let sort = element(0x30, &element(0x30, &element(0x04, b"cn")));
            requests.push(with_controls(&message, &[("1.2.840.113556.1.4.473", true, Some(sort))]));
        }
    }
    let mut clients = worlds.each_ref().map(Client::app);
    for request in requests {
        let mut all = Vec::new();
        for (world, client) in worlds.iter_mut().zip(&mut clients) {
            all.push(told(world, client, &request));
        }
        let shown = request.escape_ascii().to_string();
        let shown: String = shown.chars().take(400).collect();
        assert_eq!(all[0], all[1], "{shown}");
        assert_eq!(all[0], all[2], "{shown}");
    }
    // Behind each change it is found anew, by who asks first.
    let before = clients.each_ref().map(|client| client.session.cost() - client.session.work_done());
    assert!(before[0] < before[1] && before[1] < before[2], "{before:?}");
}

#[test]
fn a_value_shows_to_who_sees_what_it_names_in_its_tree() {
    let there = |name: &str| format!("cn={name},ou=users,{OTHER_BASE}");
    let here = |name: &str| format!("cn={name},ou=users,{BASE}");
    let world = World::new();
    let all = [there("alice"), there("app"), there("nobody"), here("hidden-bob"), "cn=x,dc=com".to_owned()];
    let values: Vec<Vec<u8>> = all.iter().map(|value| value.clone().into_bytes()).collect();
    let given = vec![
        Attribute { description: "seeAlso".to_owned(), values },
        Attribute { description: "owner".to_owned(), values: vec![there("alice").into_bytes()] },
    ];
    for account in [ALICE, APP] {
        let given = given.clone();
        world.change_account(account, move |account| account.attributes = given);
    }
    #[track_caller]
    fn shows(client: &mut Client, dn: &str, all: &[String], shown: &[usize], shows_owner: bool) {
        let reply = client.search(search(dn, Base, "(objectClass=*)", &["*"]));
        let expected: Vec<&String> = shown.iter().filter_map(|place| all.get(*place)).collect();
        assert_eq!(reply.values("seeAlso").iter().collect::<Vec<_>>(), expected);
        assert_eq!(reply.names().contains(&"owner"), shows_owner);
        assert_eq!(reply.values("objectClass").contains(&"extensibleObject".to_owned()), shows_owner);
        for (place, value) in all.iter().enumerate() {
            let is_shown = shown.contains(&place);
            client.compare(dn, "seeAlso", value).is(if is_shown { 6 } else { 5 });
            assert_eq!(client.find(BASE, &format!("(seeAlso={value})")).contains(&dn.to_owned()), is_shown);
        }
        client.compare(dn, "owner", "cn=x").is(if shows_owner { 5 } else { 16 });
        for filter in
            ["(owner=*)", "(objectClass=extensibleObject)", "(objectClass=1.3.6.1.4.1.1466.101.120.111)"]
        {
            let found = client.find(BASE, &format!("(&{filter}(!(cn=never)))"));
            assert_eq!(found.contains(&dn.to_owned()), shows_owner, "{filter}");
            assert_eq!(client.find(BASE, filter).contains(&dn.to_owned()), shows_owner, "{filter}");
        }
    }
    let alice = here("alice");
    // It sees all of the first provider, and the second does not exist for it.
    let mut reader = Client::reader(&world);
    shows(&mut reader, &alice, &all, &[3, 4], false);
    // Admitted, it sees itself there.
    world.change(|transaction| transaction.delete(Key::Application(VAULT)));
    shows(&mut reader, &alice, &all, &[3, 4], false);
    world.grant_readers(vec![search_grant(None)]);
    shows(&mut reader, &alice, &all, &[0, 1, 2, 3, 4], true);
    world.grant_readers(vec![search_grant(Some(MAIN))]);
    shows(&mut reader, &alice, &all, &[3, 4], false);
    // The app sees itself there as here.
    let mut app = Client::app(&world);
    shows(&mut app, APP_DN, &all, &[1, 4], false);
    world.change_account(APP, |account| account.grants.push(search_grant(Some(OTHER))));
    shows(&mut app, APP_DN, &all, &[0, 1, 2, 4], true);
    world.change(|transaction| transaction.put(Record::Application(vault(vec![super::world::ADMINS]))));
    shows(&mut app, APP_DN, &all, &[4], false);
}

/// What is refused afterwards stands in the trail too, counted; what strangers ask does not.
#[test]
fn a_refusal_of_who_was_bound_is_a_suspicious_request() {
    let world = World::new();
    let mut client = Client::app(&world);
    has_lost_its_identity(&mut Client::new(&world));
    world.change_account(APP, |account| account.is_active = false);
    has_lost_its_identity(&mut client);
    let mut refused = Client::new(&world);
    refused.bind("reader@corp.example", &world.secrets.reader).is(50);
    let events = |action| {
        let query = EventQuery { actions: vec![action], limit: 10, ..EventQuery::default() };
        wait(world.registry.events(query)).unwrap()
    };
    let suspicious = events(Action::SuspiciousRequest);
    assert_eq!(suspicious.len(), 1, "{suspicious:#?}");
    let Event { actor, count, details, .. } = &suspicious[0];
    // Five bases, each searched and compared, and one search more below the root.
    assert_eq!((actor.account.as_str(), actor.number, *count), ("app", Some(APP), 11));
    assert!(actor.token.is_some() && actor.source.is_some(), "{actor:?}");
    assert_eq!(details[0].value, "the account is inactive");
    let failed = events(Action::LoginFailed);
    assert_eq!(failed.len(), 1, "{failed:#?}");
    assert_eq!(failed[0].application.as_deref(), Some("vault"));
    assert_eq!(failed[0].details[0].value, "the application does not admit the account");
}

#[test]
fn a_value_that_ends_like_the_tree_may_stand_in_another() {
    let world = World::new();
    world.grant_readers(vec![search_grant(Some(MAIN))]);
    let own =
        [format!("cn=x,{BASE}"), format!("CN=z , {BASE}"), format!("cn=\\C3\\A9,{BASE}"), BASE.to_owned()];
    let above = [format!("cn=x\\,{BASE}"), "cn=x,dc=org".to_owned()];
    let below = [format!("cn=x,ou=below,{BASE}"), format!("cn=y,OU=Below,{BASE}")];
    let values = own.iter().chain(&above).chain(&below).map(|value| value.clone().into_bytes()).collect();
    let see_also = vec![Attribute { description: "seeAlso".to_owned(), values }];
    world.change_account(ALICE, move |account| account.attributes = see_also);
    let mut client = Client::reader(&world);
    let mut shown = move || {
        let alice = search("cn=alice,ou=users,dc=example,dc=org", Base, "(objectClass=*)", &["seeAlso"]);
        client.search(alice).is(0).values("seeAlso")
    };
    assert_eq!(shown(), [&own[..], &above, &below].concat());
    for (number, base, expected) in [
        (70, "dc=org".to_owned(), [&own[..], &below].concat()),
        (71, format!("ou=below,{BASE}"), own.to_vec()),
    ] {
        let name = format!("nested-{number}");
        let domain = format!("{name}.example");
        let provider = super::world::provider(ProviderNumber::new(number), &name, &base, Some(&domain));
        world.change(move |transaction| transaction.put(provider));
        assert_eq!(shown(), expected, "{base}");
    }
}

#[test]
fn presence_of_a_name_is_found_by_the_index_and_its_count_is_not_told() {
    let limits = Limits { look_through_max: 5, ..Limits::default() };
    let world = World::with(Wishes { people: 100, limits, ..Wishes::default() });
    let owned = |account, name: String| {
        let owner = Attribute { description: "owner".to_owned(), values: vec![name.into_bytes()] };
        world.change_account(account, move |account| account.attributes = vec![owner]);
    };
    owned(ALICE, format!("cn=alice,ou=users,{OTHER_BASE}"));
    owned(APP, format!("cn=alice,ou=users,{BASE}"));
    let mut reader = Client::reader(&world);
    let mut found = |filter: &str| {
        let reply = super::paging::page(&mut reader, &search(BASE, Subtree, filter, &["1.1"]), 100, b"");
        (reply.is(0).dns(), reply.page().0)
    };
    for filter in ["(owner=*)", "(&(owner=*)(objectClass=*))", "(&(owner=*)(cn=a*))"] {
        assert_eq!(found(filter), (vec![APP_DN.to_owned()], 0), "{filter}");
    }
    world.change(|transaction| transaction.delete(Key::Application(VAULT)));
    world.grant_readers(vec![search_grant(None)]);
    let all = vec!["cn=alice,ou=users,dc=example,dc=org".to_owned(), APP_DN.to_owned()];
    assert_eq!(found("(owner=*)"), (all, 2));
}
