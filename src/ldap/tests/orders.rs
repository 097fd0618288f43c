//! Server-side sorting (RFC 2891) and virtual list views (draft-ietf-ldapext-ldapv3-vlv-09).

use ldap3_proto::proto::{LdapOp, LdapSearchRequest, LdapSearchScope};

use super::client::{Client, Reply, element, encode, search, with_controls};
use super::controls::SUBENTRIES;
use super::paging::{PAGED, page_value};
use super::world::{BASE, MAIN, OTHER_BASE, VAULT, Wishes, World};
use crate::config::Limits;
use crate::ldap::session::Next;
use crate::model::{AccountNumber, Attribute, Key, Record};
use crate::plain::search_grant;

pub(super) const SORT: &str = "1.2.840.113556.1.4.473";
const SORTED: &str = "1.2.840.113556.1.4.474";
pub(super) const VIEW: &str = "2.16.840.1.113730.3.4.9";
pub(super) const VIEWED: &str = "2.16.840.1.113730.3.4.10";

pub(super) type Controls<'a> = Vec<(&'a str, bool, Option<Vec<u8>>)>;

fn world(people: u32, limits: Limits) -> World {
    World::with(Wishes { people, limits, ..Wishes::default() })
}

fn people() -> LdapSearchRequest {
    search("ou=users,dc=example,dc=org", LdapSearchScope::OneLevel, "(sn=user-*)", &["cn"])
}

pub(super) fn order<'a>(
    critical: bool,
    keys: &[(&str, Option<&str>, bool)],
) -> (&'a str, bool, Option<Vec<u8>>) {
    let mut list = Vec::new();
    for (attribute, rule, reverse) in keys {
        let mut key = element(0x04, attribute.as_bytes());
        if let Some(rule) = rule {
            key.extend(element(0x80, rule.as_bytes()));
        }
        if *reverse {
            key.extend(element(0x81, &[0xff]));
        }
        list.extend(element(0x30, &key));
    }
    (SORT, critical, Some(element(0x30, &list)))
}

pub(super) fn ask(client: &mut Client, request: &LdapSearchRequest, controls: &Controls<'_>) -> Reply {
    let request = encode(client.id(), LdapOp::SearchRequest(request.clone()));
    client.send(&with_controls(&request, controls))
}

/// The code of a sort response, and the attribute in it.
fn sort_result(reply: &Reply) -> Option<(u8, String)> {
    let value = reply.control(SORTED)?;
    let mut reader = crate::ldap::ber::BerReader::new(&value);
    let mut sequence = reader.sequence().unwrap();
    let code = sequence.enumerated().unwrap();
    let attribute = sequence.optional(0x80).unwrap().unwrap_or_default();
    Some((code as u8, String::from_utf8(attribute.to_vec()).unwrap()))
}

fn user(number: u32) -> String {
    format!("cn=user-{number},ou=users,dc=example,dc=org")
}

fn by_name(people: u32) -> Vec<String> {
    let mut names: Vec<String> = (0..people).map(user).collect();
    names.sort();
    names
}

#[test]
fn results_come_in_order() {
    // More than one run, and more than one merge.
    let count = 5_000;
    let world = world(count, Limits::default());
    let mut client = Client::reader(&world);
    let expected = by_name(count);
    let reply = ask(&mut client, &people(), &vec![order(true, &[("cn", None, false)])]);
    reply.is(0);
    assert_eq!(reply.names_in_order(), expected);
    assert_eq!(sort_result(&reply), Some((0, String::new())));
    let reply =
        ask(&mut client, &people(), &vec![order(false, &[("CN", Some("caseIgnoreOrderingMatch"), true)])]);
    assert!(reply.names_in_order().iter().eq(expected.iter().rev()));
    // As numbers.
    let reply = ask(&mut client, &people(), &vec![order(true, &[("uidNumber", None, true)])]);
    assert!(reply.names_in_order().into_iter().eq((0..count).rev().map(user)));
    assert_eq!(world.settings.pages.sort_memory_used(), 0, "an order for no next page is not kept");
}

#[test]
fn several_keys_and_entries_without_a_value() {
    let world = world(6, Limits::default());
    for (number, title, room) in
        [(0, Some("b"), "2"), (1, Some("A"), "1"), (2, None, "1"), (3, Some("a"), "2"), (4, Some("B"), "1")]
    {
        world.change_account(AccountNumber::new(1_000 + number), move |account| {
            let attribute = |description: &str, values: &[&str]| Attribute {
                description: description.to_owned(),
                values: values.iter().map(|value| value.as_bytes().to_vec()).collect(),
            };
            account.attributes.extend(title.map(|title| attribute("title", &["zzz", title])));
            account.attributes.push(attribute("roomNumber", &[room]));
        });
    }
    let mut client = Client::reader(&world);
    for (keys, expected) in [
        // The least of several values counts; who has none comes last, in the order of ids.
        (vec![("title", None, false), ("roomNumber", None, false)], [1, 3, 4, 0, 2, 5]),
        (vec![("title", None, false), ("roomNumber", None, true)], [3, 1, 0, 4, 5, 2]),
        // Reversed, who has none comes first.
        (vec![("title", None, true), ("roomNumber", None, false)], [2, 5, 4, 0, 1, 3]),
    ] {
        let reply = ask(&mut client, &people(), &vec![order(true, &keys)]);
        assert_eq!(reply.names_in_order(), expected.map(user), "{keys:?}");
    }
}

#[test]
fn what_cannot_be_sorted_fails_or_comes_unsorted() {
    let world = world(30, Limits::default());
    let mut client = Client::reader(&world);
    for (keys, code, attribute) in [
        (vec![("nonsense", None, false)], 16, "nonsense"),
        (vec![("cn", None, false), ("userPassword", None, false)], 16, "userPassword"),
        (vec![("cn", Some("1.2.3"), false)], 18, "cn"),
        (vec![("member", None, false)], 18, "member"),
        (vec![("cn", None, false), ("cn", None, true)], 53, "cn"),
    ] {
        let reply = ask(&mut client, &people(), &vec![order(true, &keys)]);
        reply.is(12);
        assert!(reply.entries().is_empty());
        assert_eq!(sort_result(&reply), Some((code, attribute.to_owned())));
        let reply = ask(&mut client, &people(), &vec![order(false, &keys)]);
        reply.is(0);
        assert!(reply.names_in_order().into_iter().eq((0..30).map(user)));
        assert_eq!(sort_result(&reply), Some((code, attribute.to_owned())));
    }
    // A base that is not there: no word about the order (RFC 2891 section 2, case 6).
    let nowhere = search("ou=nowhere,dc=example,dc=org", LdapSearchScope::Base, "(objectClass=*)", &[]);
    let reply = ask(&mut client, &nowhere, &vec![order(true, &[("cn", None, false)])]);
    reply.is(32);
    assert_eq!(sort_result(&reply), None);
}

#[test]
fn memory_for_sorting_is_bounded() {
    let world = world(200, Limits { sort_memory_max: 2_000, ..Limits::default() });
    let mut client = Client::reader(&world);
    let keys = [("cn", None, false)];
    let reply = ask(&mut client, &people(), &vec![order(true, &keys)]);
    reply.is(12);
    assert!(reply.entries().is_empty());
    assert_eq!(sort_result(&reply), Some((11, String::new())));
    let reply = ask(&mut client, &people(), &vec![order(false, &keys)]);
    reply.is(0);
    assert_eq!(reply.entries().len(), 200);
    assert_eq!(sort_result(&reply), Some((11, String::new())));
    assert_eq!(world.settings.pages.sort_memory_used(), 0);
    // What fits is sorted.
    let few = search("ou=users,dc=example,dc=org", LdapSearchScope::OneLevel, "(sn=user-1*)", &["cn"]);
    let mut few_of_them = few.clone();
    few_of_them.filter = search(BASE, LdapSearchScope::Base, "(sn=user-11*)", &[]).filter;
    let reply = ask(&mut client, &few_of_them, &vec![order(true, &keys)]);
    reply.is(0);
    assert_eq!(sort_result(&reply), Some((0, String::new())));
    let reply =
        ask(&mut client, &few_of_them, &vec![order(true, &keys), list_view(0, 3, offset(1, 0), None)]);
    reply.is(0);
    let reply = ask(&mut client, &few, &vec![order(true, &keys), list_view(0, 3, offset(1, 0), None)]);
    reply.is(76);
    assert_eq!(view_result(&reply), Some((0, 0, 11)));
}

#[test]
fn sorted_pages_are_the_whole() {
    let world = world(300, Limits::default());
    let mut client = Client::reader(&world);
    let expected = by_name(300);
    let (mut all, mut cookie, mut round) = (Vec::new(), Vec::new(), 0);
    loop {
        let paged = (PAGED, true, Some(page_value(70, &cookie)));
        let reply = ask(&mut client, &people(), &vec![order(true, &[("cn", None, false)]), paged]);
        reply.is(0);
        assert_eq!(sort_result(&reply), Some((0, String::new())));
        all.extend(reply.names_in_order());
        assert_eq!(reply.page().0, 300);
        cookie = reply.page().1;
        if cookie.is_empty() {
            break;
        }
        // What changes between two pages is not seen.
        world.change(move |transaction| transaction.delete_account(AccountNumber::new(1_299 - round)));
        round += 1;
    }
    assert_eq!(all, expected);
    assert!(world.settings.pages.sort_memory_used() > 0, "the order is kept for the next page");
    assert!(world.settings.pages.sort_memory_used() <= 300 * 4);
}

/// Pages of 20 by an attribute, from the first or behind a cookie.
fn page_by(client: &mut Client, attribute: &str, cookie: &[u8]) -> Reply {
    let paged = (PAGED, true, Some(page_value(20, cookie)));
    ask(client, &people(), &vec![order(false, &[(attribute, None, false)]), paged])
}

/// What is left of such pages.
fn rest_by(client: &mut Client, attribute: &str, mut cookie: Vec<u8>) -> Vec<String> {
    let mut all = Vec::new();
    while !cookie.is_empty() {
        let reply = page_by(client, attribute, &cookie);
        all.extend(reply.is(0).names_in_order());
        cookie = reply.page().1;
    }
    all
}

fn describe(world: &World, number: u32, value: String) {
    world.change_account(AccountNumber::new(1_000 + number), move |account| {
        account.attributes.retain(|attribute| attribute.description != "description");
        let values = vec![value.into_bytes()];
        account.attributes.push(Attribute { description: "description".to_owned(), values });
    });
}

#[test]
fn a_sorted_sequence_whose_revision_is_gone_goes_on_in_the_newest() {
    let world = world(50, Limits { paging_snapshots: 0, ..Limits::default() });
    let mut client = Client::reader(&world);
    let cookie = page_by(&mut client, "cn", b"").page().1;
    // Nothing has changed: the newest revision is its own.
    assert_eq!(page_by(&mut client, "cn", &cookie).names_in_order(), by_name(50)[20..40]);
    // One that was sent, the last that was sent, one that was not.
    for place in [3, 19, 30] {
        let number: u32 = by_name(50)[place][8..].split(',').next().unwrap().parse().unwrap();
        world.change(move |transaction| transaction.delete_account(AccountNumber::new(1_000 + number)));
        let expected: Vec<String> = by_name(50).into_iter().skip(20).collect();
        let found = rest_by(&mut client, "cn", cookie.clone());
        assert!(found.iter().eq(expected.iter().filter(|dn| place != 30 || **dn != user(number))), "{place}");
    }
}

#[test]
fn what_is_sorted_by_something_else_meanwhile_takes_nobody_along() {
    let world = world(50, Limits { paging_snapshots: 0, ..Limits::default() });
    (0..50).for_each(|number| describe(&world, number, format!("{number:02}")));
    let mut client = Client::reader(&world);
    let first = page_by(&mut client, "description", b"");
    assert!(first.names_in_order().into_iter().eq((0..20).map(user)));
    // The last that was sent comes again, where it stands now, and nothing is left out before it.
    describe(&world, 19, "99".to_owned());
    let found = rest_by(&mut client, "description", first.page().1);
    assert!(found.into_iter().eq((20..50).chain([19]).map(user)));
}

#[test]
fn values_that_begin_alike_for_longer_than_a_cookie_tells_are_left_out_nowhere() {
    let world = world(50, Limits { paging_snapshots: 0, ..Limits::default() });
    // The order of the values is the reverse of that of the numbers.
    let value = |number: u32| format!("{}{:02}", "a".repeat(300), 99 - number);
    (0..50).for_each(|number| describe(&world, number, value(number)));
    let mut client = Client::reader(&world);
    let first = page_by(&mut client, "description", b"");
    assert!(first.names_in_order().into_iter().eq((30..50).rev().map(user)));
    let cookie = first.page().1;
    world.change(|transaction| transaction.delete_account(AccountNumber::new(1_040)));
    let found = rest_by(&mut client, "description", cookie.clone());
    assert!(found.into_iter().eq((0..30).rev().map(user)));
    // The last begins as it did, and comes behind those that were not sent yet: rather twice than never.
    describe(&world, 30, format!("{}99", "a".repeat(300)));
    let found = rest_by(&mut client, "description", cookie.clone());
    assert!((0..30).map(user).all(|name| found.contains(&name)), "{found:?}");
    // The last is gone: the same.
    world.change(|transaction| transaction.delete_account(AccountNumber::new(1_030)));
    let found = rest_by(&mut client, "description", cookie);
    assert!(found.into_iter().eq((0..50).rev().filter(|number| ![30, 40].contains(number)).map(user)));
}

#[test]
fn pages_that_began_without_an_order_go_on_without_one() {
    let world = world(200, Limits { sort_memory_max: 2_000, ..Limits::default() });
    let mut client = Client::reader(&world);
    let first = page_by(&mut client, "cn", b"");
    assert_eq!(sort_result(&first), Some((11, String::new())));
    let second = page_by(&mut client, "cn", &first.page().1);
    assert_eq!(sort_result(&second), Some((11, String::new())));
    let found = [first.names_in_order(), rest_by(&mut client, "cn", first.page().1)].concat();
    assert!(found.into_iter().eq((0..200).map(user)));
}

#[test]
fn pages_that_began_in_order_do_not_go_on_without_it() {
    let world = world(50, Limits { sort_memory_max: 20_000, ..Limits::default() });
    let mut client = Client::reader(&world);
    let cookie = page_by(&mut client, "cn", b"").page().1;
    client.later += std::time::Duration::from_secs(61);
    world.settings.pages.sweep(client.moment().instant);
    let mut held: Vec<_> = (0..2).map(|_| world.settings.pages.sort_memory([None; 4])).collect();
    while held.iter_mut().any(|memory| memory.grow(500)) {}
    let refused = page_by(&mut client, "cn", &cookie);
    assert!(refused.is(11).entries().is_empty());
    assert!(refused.page().1.is_empty());
    drop(held);
    assert_eq!(page_by(&mut client, "cn", &cookie).is(0).names_in_order(), by_name(50)[20..40]);
}

pub(super) fn offset(offset: u32, count: u32) -> Vec<u8> {
    let number = |number: u32| element(0x02, &i64::from(number).to_be_bytes());
    element(0xa0, &[number(offset), number(count)].concat())
}

fn at_least(value: &str) -> Vec<u8> {
    element(0x81, value.as_bytes())
}

pub(super) fn list_view<'a>(
    before: u32,
    after: u32,
    target: Vec<u8>,
    context_id: Option<&[u8]>,
) -> (&'a str, bool, Option<Vec<u8>>) {
    let number = |number: u32| element(0x02, &i64::from(number).to_be_bytes());
    let context_id = context_id.map(|id| element(0x04, id)).unwrap_or_default();
    (VIEW, true, Some(element(0x30, &[number(before), number(after), target, context_id].concat())))
}

/// Target position, content count and code of a view response.
pub(super) fn view_result(reply: &Reply) -> Option<(i64, i64, i64)> {
    let value = reply.control(VIEWED)?;
    let mut sequence = crate::ldap::ber::BerReader::new(&value).sequence().unwrap();
    Some((sequence.integer().unwrap(), sequence.integer().unwrap(), sequence.enumerated().unwrap()))
}

pub(super) fn context_id(reply: &Reply) -> Vec<u8> {
    let value = reply.control(VIEWED).unwrap();
    let mut sequence = crate::ldap::ber::BerReader::new(&value).sequence().unwrap();
    for _ in 0..3 {
        sequence.element().unwrap();
    }
    sequence.octet_string().unwrap().to_vec()
}

#[test]
fn windows_are_where_they_are_asked_for() {
    let world = world(100, Limits::default());
    let mut client = Client::reader(&world);
    let names = by_name(100);
    let keys = [("cn", None, false)];
    for (before, after, target, place, window) in [
        (0, 19, offset(1, 0), 1, 0..20),
        (19, 0, offset(100, 100), 100, 80..100),
        (5, 5, offset(50, 100), 50, 44..55),
        // At the borders there are fewer.
        (10, 10, offset(3, 100), 3, 0..13),
        (10, 10, offset(98, 100), 98, 87..100),
        // The client's numbers are a ratio.
        (0, 0, offset(5, 10), 50, 49..50),
        (0, 0, offset(10, 10), 100, 99..100),
        (0, 0, offset(1, 10), 1, 0..1),
        (0, 0, offset(7, 0), 7, 6..7),
        (0, 0, offset(700, 0), 100, 99..100),
        // By value: user-10 stands at place 3 (0, 1, 10, …).
        (1, 1, at_least("USER-10"), 3, 1..4),
        (0, 0, at_least("user-100"), 4, 3..4),
        (0, 0, at_least(""), 1, 0..1),
        (2, 2, at_least("v"), 101, 98..100),
    ] {
        let reply = ask(
            &mut client,
            &people(),
            &vec![order(true, &keys), list_view(before, after, target.clone(), None)],
        );
        reply.is(0);
        assert_eq!(view_result(&reply), Some((place, 100, 0)), "{before} {after} {target:02x?}");
        assert_eq!(reply.names_in_order(), names[window], "{before} {after} {target:02x?}");
    }
    // Reversed: the first that is not greater.
    let reply = ask(
        &mut client,
        &people(),
        &vec![order(true, &[("cn", None, true)]), list_view(0, 1, at_least("user-98"), None)],
    );
    assert_eq!(view_result(&reply), Some((2, 100, 0)));
    assert_eq!(reply.names_in_order(), [user(98), user(97)]);
    // Of nothing.
    let nobody = search("ou=users,dc=example,dc=org", LdapSearchScope::OneLevel, "(sn=nobody)", &[]);
    let reply = ask(&mut client, &nobody, &vec![order(true, &keys), list_view(1, 1, offset(1, 0), None)]);
    reply.is(0);
    assert_eq!(view_result(&reply), Some((0, 0, 0)));
    // Of subentries, of which there are none here.
    let only = vec![
        order(true, &keys),
        list_view(1, 1, offset(1, 0), None),
        (SUBENTRIES, true, Some(vec![1, 1, 0xff])),
    ];
    let reply = ask(&mut client, &people(), &only);
    assert!(reply.is(0).entries().is_empty());
    assert_eq!(view_result(&reply), Some((0, 0, 0)));
}

#[test]
fn views_that_cannot_be_given() {
    let world = world(20, Limits::default());
    let mut client = Client::reader(&world);
    let keys = [("cn", None, false)];
    for (controls, code) in [
        (vec![list_view(0, 1, offset(1, 0), None)], 60),
        (vec![order(false, &[("nonsense", None, false)]), list_view(0, 1, offset(1, 0), None)], 16),
        (vec![order(true, &keys), list_view(0, 1, offset(0, 0), None)], 61),
        (vec![order(true, &[("uidNumber", None, false)]), list_view(0, 1, at_least("x"), None)], 18),
        (vec![order(true, &keys), list_view(0, 1, offset(1, 0), Some(b"forged"))], 2),
    ] {
        let reply = ask(&mut client, &people(), &controls);
        reply.is(76);
        assert!(reply.entries().is_empty());
        assert_eq!(view_result(&reply), Some((0, 0, code)));
    }
    let paged = (PAGED, true, Some(page_value(5, b"")));
    ask(&mut client, &people(), &vec![order(true, &keys), list_view(0, 1, offset(1, 0), None), paged]).is(53);
}

#[test]
fn a_list_stays_as_it_was_while_its_context_is_known() {
    let world = world(40, Limits::default());
    let mut client = Client::reader(&world);
    let names = by_name(40);
    let keys = [("cn", None, false)];
    let first = ask(&mut client, &people(), &vec![order(true, &keys), list_view(0, 9, offset(1, 0), None)]);
    let id = context_id(&first);
    world.change(|transaction| transaction.delete_account(AccountNumber::new(1_000)));
    let next =
        ask(&mut client, &people(), &vec![order(true, &keys), list_view(0, 9, offset(11, 40), Some(&id))]);
    assert_eq!([first.names_in_order(), next.names_in_order()].concat(), names[..20]);
    assert_eq!(view_result(&next), Some((11, 40, 0)));
    // Without a context the list is that of now.
    let now = ask(&mut client, &people(), &vec![order(true, &keys), list_view(0, 9, offset(1, 0), None)]);
    assert_eq!(view_result(&now), Some((1, 39, 0)));
    // Once the revision is gone the list is that of now.
    client.later += std::time::Duration::from_secs(61);
    let later =
        ask(&mut client, &people(), &vec![order(true, &keys), list_view(0, 9, offset(21, 39), Some(&id))]);
    assert_eq!(later.is(0).names_in_order(), names[21..31]);
    assert_eq!(view_result(&later), Some((21, 39, 0)));
}

#[test]
fn a_context_is_no_cookie_of_a_page() {
    let world = world(20, Limits::default());
    let mut client = Client::reader(&world);
    let order = order(true, &[("cn", None, false)]);
    let page = |cookie: &[u8]| (PAGED, true, Some(page_value(5, cookie)));
    let paged = ask(&mut client, &people(), &vec![order.clone(), page(b"")]);
    let viewed = ask(&mut client, &people(), &vec![order.clone(), list_view(0, 4, offset(1, 0), None)]);
    let (cookie, id) = (paged.page().1, context_id(&viewed));
    // Each goes on where it was given,
    assert_eq!(ask(&mut client, &people(), &vec![order.clone(), page(&cookie)]).is(0).entries().len(), 5);
    ask(&mut client, &people(), &vec![order.clone(), list_view(0, 4, offset(6, 0), Some(&id))]).is(0);
    // and nowhere else.
    assert!(ask(&mut client, &people(), &vec![order.clone(), page(&id)]).is(53).entries().is_empty());
    let refused = ask(&mut client, &people(), &vec![order, list_view(0, 4, offset(6, 0), Some(&cookie))]);
    assert!(refused.is(76).entries().is_empty());
}

#[test]
fn who_sees_little_sorts_that() {
    let world = world(20, Limits::default());
    let mut client = Client::app(&world);
    let request = search(BASE, LdapSearchScope::Subtree, "(cn=*)", &["1.1"]);
    let reply = ask(
        &mut client,
        &request,
        &vec![order(true, &[("cn", None, true)]), list_view(0, 9, offset(1, 0), None)],
    );
    reply.is(0);
    assert_eq!(view_result(&reply), Some((1, 4, 0)));
    assert_eq!(
        reply.names_in_order(),
        [
            "cn=staff,ou=groups,dc=example,dc=org",
            "cn=everyone,ou=groups,dc=example,dc=org",
            "cn=app,ou=users,dc=example,dc=org",
            "cn=app,ou=virtual-groups,dc=example,dc=org",
        ]
    );
}

#[test]
fn what_was_collected_with_fewer_rights_is_no_order_for_who_has_them_again() {
    let people_count = 1_200;
    let world = world(people_count, Limits::default());
    world.grant_readers(vec![search_grant(None)]);
    world.change(move |transaction| {
        // Nobody is kept out of the other tree.
        transaction.delete(Key::Application(VAULT))?;
        for number in 0..people_count {
            let mut account = transaction.account(AccountNumber::new(1_000 + number))?.unwrap();
            let values = vec![format!("cn=alice,ou=users,{OTHER_BASE}").into_bytes()];
            account.attributes = vec![Attribute { description: "seeAlso".to_owned(), values }];
            transaction.put(Record::Account(account))?;
        }
        Ok(())
    });
    let mut client = Client::reader(&world);
    let request =
        search("ou=users,dc=example,dc=org", LdapSearchScope::OneLevel, "(&(sn=user-*)(seeAlso=*))", &["cn"]);
    let keys = [("cn", None, false)];
    let begun = encode(client.id(), LdapOp::SearchRequest(request.clone()));
    let controls = vec![order(true, &keys), list_view(0, 9, offset(1, 0), None)];
    client.push(&with_controls(&begun, &controls));
    // Some were found while the other tree was seen, and the others are not.
    assert_eq!(client.step().1, Next::Work);
    world.grant_readers(vec![search_grant(Some(MAIN))]);
    let narrowed = client.send(b"");
    let (_, found, _) = view_result(narrowed.is(0)).unwrap();
    assert!(0 < found && found < i64::from(people_count), "{found}");
    world.grant_readers(vec![search_grant(None)]);
    let id = context_id(&narrowed);
    let again =
        ask(&mut client, &request, &vec![order(true, &keys), list_view(0, 9, offset(1, 0), Some(&id))]);
    assert_eq!(view_result(again.is(0)), Some((1, i64::from(people_count), 0)));
    assert_eq!(again.names_in_order(), by_name(people_count)[..10]);
}
