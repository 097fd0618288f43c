//! Paged results (RFC 2696): nothing lost, nothing doubled, whatever changes between two pages.

use std::time::Duration;

use ldap3_proto::proto::{LdapOp, LdapSearchRequest, LdapSearchScope};

use super::client::{Client, Reply, element, encode, search, with_controls};
use super::world::{ALICE, BASE, MAIN, Wishes, World};
use crate::config::Limits;
use crate::model::{AccountNumber, Timestamp};
use crate::plain::search_grant;

pub(super) const PAGED: &str = "1.2.840.113556.1.4.319";
const PEOPLE: u32 = 250;

fn world(limits: Limits) -> World {
    World::with(Wishes { people: PEOPLE, limits, ..Wishes::default() })
}

fn everybody() -> LdapSearchRequest {
    search("ou=users,dc=example,dc=org", LdapSearchScope::OneLevel, "(objectClass=person)", &["cn"])
}

/// The value of the control.
pub(super) fn page_value(size: u32, cookie: &[u8]) -> Vec<u8> {
    let size = element(0x02, &i64::from(size).to_be_bytes());
    element(0x30, &[size, element(0x04, cookie)].concat())
}

pub(super) fn page(client: &mut Client, request: &LdapSearchRequest, size: u32, cookie: &[u8]) -> Reply {
    let request = encode(client.id(), LdapOp::SearchRequest(request.clone()));
    client.send(&with_controls(&request, &[(PAGED, true, Some(page_value(size, cookie)))]))
}

/// All pages, with something that happens behind each.
fn pages(
    client: &mut Client,
    request: &LdapSearchRequest,
    size: u32,
    mut between: impl FnMut(&mut Client, usize),
) -> Vec<String> {
    let (mut all, mut cookie, mut count) = (Vec::new(), Vec::new(), 0);
    loop {
        let reply = page(client, request, size, &cookie);
        reply.is(0);
        assert!(reply.entries().len() <= size as usize);
        all.extend(reply.names_in_order());
        count += 1;
        cookie = reply.page().1;
        if cookie.is_empty() {
            return all;
        }
        assert_eq!(reply.entries().len(), size as usize, "only the last page may be short");
        between(client, count);
    }
}

fn user(number: u32) -> String {
    format!("cn=user-{number},ou=users,dc=example,dc=org")
}

#[test]
fn the_pages_are_the_whole() {
    let world = world(Limits::default());
    let mut client = Client::reader(&world);
    let expected = client.search(everybody()).names_in_order();
    assert_eq!(expected.len(), PEOPLE as usize + 7);
    for size in [1, 7, 100, 256, 257, 258, 10_000] {
        assert_eq!(pages(&mut client, &everybody(), size, |_, _| ()), expected, "{size}");
    }
    // Who sees little pages through that.
    let mut app = Client::app(&world);
    let request = search(BASE, LdapSearchScope::Subtree, "(objectClass=*)", &["1.1"]);
    let expected = app.search(request.clone()).names_in_order();
    assert_eq!(pages(&mut app, &request, 3, |_, _| ()), expected);
}

#[test]
fn several_sequences_go_on_beside_each_other() {
    let world = world(Limits::default());
    let mut client = Client::reader(&world);
    let groups = search("ou=groups,dc=example,dc=org", LdapSearchScope::OneLevel, "(objectClass=*)", &[]);
    let first = page(&mut client, &everybody(), 10, b"");
    let other = page(&mut client, &groups, 2, b"");
    let again = page(&mut client, &everybody(), 20, b"");
    let second = page(&mut client, &everybody(), 10, &first.page().1);
    assert_eq!([first.names_in_order(), second.names_in_order()].concat(), again.names_in_order());
    let rest = page(&mut client, &groups, 100, &other.page().1);
    rest.is(0);
    assert_eq!(other.entries().len() + rest.entries().len(), 4);
    // On another connection of the same account too.
    let mut elsewhere = Client::reader(&world);
    assert_eq!(
        page(&mut elsewhere, &everybody(), 10, &first.page().1).names_in_order(),
        second.names_in_order()
    );
}

#[test]
fn a_revision_that_is_kept_answers_as_it_was() {
    let world = world(Limits::default());
    let mut client = Client::reader(&world);
    let expected = client.search(everybody()).names_in_order();
    let found = pages(&mut client, &everybody(), 20, |_, count| {
        let number = AccountNumber::new(1_000 + PEOPLE - count as u32);
        world.change(move |transaction| transaction.delete_account(number));
    });
    assert_eq!(found, expected);
}

#[test]
fn without_it_no_entry_that_was_there_throughout_is_lost_or_doubled() {
    let world = world(Limits { paging_snapshots: 0, ..Limits::default() });
    let mut client = Client::reader(&world);
    let expected = client.search(everybody()).names_in_order();
    let mut gone = Vec::new();
    let found = pages(&mut client, &everybody(), 20, |_, count| {
        // One that was sent already and one that was not; others are renamed, which changes no order.
        let count = count as u32;
        for number in [count, PEOPLE - count] {
            gone.push(user(number));
            world.change(move |transaction| transaction.delete_account(AccountNumber::new(1_000 + number)));
        }
    });
    let throughout =
        |dns: &[String]| -> Vec<String> { dns.iter().filter(|dn| !gone.contains(dn)).cloned().collect() };
    assert_eq!(throughout(&found), throughout(&expected));
    let mut once = found.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), found.len());
    // So it is when the time is over.
    let world = self::world(Limits::default());
    let mut client = Client::reader(&world);
    let first = page(&mut client, &everybody(), 20, b"");
    world.change(|transaction| transaction.delete_account(AccountNumber::new(1_100)));
    client.later += Duration::from_secs(61);
    let rest = page(&mut client, &everybody(), 1_000, &first.page().1);
    rest.is(0);
    assert_eq!(rest.entries().len(), PEOPLE as usize + 7 - 20 - 1);
}

#[test]
fn the_rights_of_now_decide() {
    let world = world(Limits::default());
    let mut client = Client::reader(&world);
    let first = page(&mut client, &everybody(), 20, b"");
    world.grant_readers(Vec::new());
    let second = page(&mut client, &everybody(), 500, &first.page().1);
    second.is(0);
    assert!(second.entries().len() <= 1, "{:?}", second.names_in_order());
    // Given back, the sequence goes on where it was.
    world.grant_readers(vec![search_grant(Some(MAIN))]);
    let third = page(&mut client, &everybody(), 500, &first.page().1);
    assert_eq!(third.entries().len(), PEOPLE as usize + 7 - 20);
}

#[test]
fn a_cookie_is_for_its_query_account_and_time() {
    let world = world(Limits::default());
    let mut client = Client::reader(&world);
    let cookie = page(&mut client, &everybody(), 20, b"").page().1;
    let refused = |reply: Reply| {
        reply.is(53);
        assert!(reply.entries().is_empty());
        assert!(reply.page().1.is_empty());
    };
    let mut other = everybody();
    other.attrs = vec!["sn".to_owned()];
    refused(page(&mut client, &other, 20, &cookie));
    other = everybody();
    other.filter = search(BASE, LdapSearchScope::Base, "(objectClass=top)", &[]).filter;
    refused(page(&mut client, &other, 20, &cookie));
    refused(page(&mut client, &everybody(), 20, b"made up"));
    let mut forged = cookie.clone();
    *forged.last_mut().unwrap() ^= 1;
    refused(page(&mut client, &everybody(), 20, &forged));
    // Somebody else's.
    let mut app = Client::app(&world);
    refused(page(&mut app, &everybody(), 20, &cookie));
    client.now = Timestamp::from_unix_seconds(client.now.unix_seconds() + 3_601);
    refused(page(&mut client, &everybody(), 20, &cookie));
    // Who is nobody learns nothing else.
    page(&mut Client::new(&world), &everybody(), 20, &cookie).is(50);
    client.now = super::world::NOW;
    page(&mut client, &everybody(), 20, &cookie).is(0);
}

#[test]
fn size_limits_and_page_sizes() {
    let world = world(Limits::default());
    let mut client = Client::reader(&world);
    // The page is smaller.
    let mut request = everybody();
    request.sizelimit = 30;
    let reply = page(&mut client, &request, 20, b"");
    reply.is(0);
    assert_eq!(reply.entries().len(), 20);
    // The limit is: it can be answered in one page (RFC 2696 section 3), and there are more.
    let reply = page(&mut client, &request, 30, b"");
    reply.is(4);
    assert_eq!((reply.entries().len(), reply.page().1.len()), (30, 0));
    // No entries: how many there may be, or the end of a sequence.
    let classes = search(BASE, LdapSearchScope::Subtree, "(sn=user-7)", &[]);
    let reply = page(&mut client, &classes, 0, b"");
    reply.is(0);
    assert_eq!((reply.entries().len(), reply.page()), (0, (1, Vec::new())));
    let cookie = page(&mut client, &everybody(), 20, b"").page().1;
    let reply = page(&mut client, &everybody(), 0, &cookie);
    reply.is(0);
    assert!(reply.entries().is_empty() && reply.page().1.is_empty());
}

#[test]
fn the_limit_of_the_server_makes_pages_smaller() {
    let world = world(Limits { search_size_max: 50, ..Limits::default() });
    let mut client = Client::reader(&world);
    client.search(everybody()).is(4);
    let first = page(&mut client, &everybody(), 1_000, b"");
    first.is(0);
    assert_eq!(first.entries().len(), 50);
    assert!(!first.page().1.is_empty());
    assert_eq!(pages(&mut client, &everybody(), 50, |_, _| ()).len(), PEOPLE as usize + 7);
}

#[test]
fn what_stands_alone_is_one_page() {
    let world = world(Limits::default());
    let mut client = Client::new(&world);
    for base in ["", "cn=subschema"] {
        let request = search(base, LdapSearchScope::Base, "(objectClass=*)", &["objectClass"]);
        let reply = page(&mut client, &request, 10, b"");
        reply.is(0);
        assert_eq!(reply.entries().len(), 1);
        assert!(reply.page().1.is_empty());
        // There is no cookie that goes on from there.
        for size in [0, 10] {
            let refused = page(&mut client, &request, size, b"x");
            assert!(refused.is(53).entries().is_empty(), "{base}");
            assert_eq!(refused.page(), (0, Vec::new()));
        }
    }
}

#[test]
fn a_deleted_account_gets_no_next_page() {
    let world = world(Limits::default());
    let mut client = Client::new(&world);
    client.bind("alice", super::world::ALICE_PASSWORD).is(0);
    let request = search(BASE, LdapSearchScope::Subtree, "(objectClass=*)", &["1.1"]);
    let first = page(&mut client, &request, 2, b"");
    first.is(0);
    world.change(|transaction| transaction.delete_account(ALICE));
    page(&mut client, &request, 2, &first.page().1).is(50);
}
