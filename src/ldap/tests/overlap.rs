//! Requests of one connection overlap: they are answered as they finish, and a client that reads nothing is held
//! back.

use std::collections::BTreeMap;

use ldap3_proto::proto::{LdapMsg, LdapOp, LdapSearchScope};

use super::client::{Client, encode, result_of, search, with_control};
use super::world::{BASE, Wishes, World};
use crate::config::Limits;
use crate::ldap::session::Next;

const PEOPLE: u32 = 1_000;

fn big(limits: Limits) -> World {
    World::with(Wishes { people: PEOPLE, limits, ..Wishes::default() })
}

fn dump(id: i32) -> Vec<u8> {
    encode(id, LdapOp::SearchRequest(search(BASE, LdapSearchScope::Subtree, "(objectClass=*)", &["*", "+"])))
}

fn small(id: i32) -> Vec<u8> {
    encode(
        id,
        LdapOp::SearchRequest(search(BASE, LdapSearchScope::Subtree, "(mail=user-7@example.org)", &[])),
    )
}

fn start_tls(id: i32) -> Vec<u8> {
    let name = "1.3.6.1.4.1.1466.20037".to_owned();
    encode(id, LdapOp::ExtendedRequest(ldap3_proto::proto::LdapExtendedRequest { name, value: None }))
}

/// The message IDs of the final responses, in their order.
fn finals(messages: &[LdapMsg]) -> Vec<i32> {
    messages.iter().filter(|message| result_of(&message.op).is_some()).map(|message| message.msgid).collect()
}

fn entries(messages: &[LdapMsg]) -> BTreeMap<i32, usize> {
    let mut counts = BTreeMap::new();
    for message in messages.iter().filter(|message| result_of(&message.op).is_none()) {
        *counts.entry(message.msgid).or_default() += 1;
    }
    counts
}

#[test]
fn a_long_dump_does_not_stall_a_small_search() {
    let world = big(Limits::default());
    let mut client = Client::reader(&world);
    client.push(&[dump(10), small(11)].concat());
    let (first, next) = client.step();
    assert_eq!(next, Next::Work);
    assert_eq!(finals(&first), [11]);
    // Later too.
    client.push(&small(12));
    let (more, next) = client.step();
    assert_eq!((finals(&more).as_slice(), next), (&[12][..], Next::Work));
    let rest = client.send(&[]);
    assert_eq!(finals(&rest.messages), [10]);
}

#[test]
fn two_dumps_share_and_both_are_whole() {
    let world = big(Limits::default());
    let mut client = Client::reader(&world);
    let alone = client.send(&dump(9));
    let expected = entries(&alone.messages)[&9];
    let both = client.send(&[dump(10), dump(11)].concat());
    assert_eq!(finals(&both.messages), [10, 11]);
    assert_eq!(entries(&both.messages), BTreeMap::from([(10, expected), (11, expected)]));
    let first_of_second = both.messages.iter().position(|message| message.msgid == 11).unwrap();
    let last_of_first = both.messages.iter().rposition(|message| message.msgid == 10).unwrap();
    assert!(first_of_second < last_of_first, "they take turns");
}

#[test]
fn an_answer_comes_from_one_snapshot() {
    let world = big(Limits::default());
    let mut client = Client::reader(&world);
    let expected = entries(&client.send(&dump(9)).messages)[&9];
    client.push(&dump(10));
    let (mut messages, _) = client.step();
    world.change(|transaction| {
        for number in 1_000..1_000 + PEOPLE {
            transaction.delete_account(crate::model::AccountNumber::new(number))?;
        }
        Ok(())
    });
    messages.extend(client.send(&[]).messages);
    assert_eq!(entries(&messages)[&10], expected);
    assert!(entries(&client.send(&dump(11)).messages)[&11] < 50);
}

#[test]
fn abandon_stops_a_running_search() {
    let world = big(Limits::default());
    let mut client = Client::reader(&world);
    client.push(&[dump(10), dump(11)].concat());
    client.step();
    // One with a critical control that is unknown is not carried out, and cannot say so.
    client.push(&with_control(&encode(12, LdapOp::AbandonRequest(10)), "1.2.3", true));
    let (messages, _) = client.step();
    assert!(entries(&messages).contains_key(&10));
    client.push(&encode(13, LdapOp::AbandonRequest(10)));
    client.push(&encode(14, LdapOp::AbandonRequest(99)));
    let rest = client.send(&[]);
    assert_eq!(finals(&rest.messages), [11]);
    assert!(!entries(&rest.messages).contains_key(&10), "not an entry more");
    // It is not outstanding any more.
    client.push(&dump(20));
    client.step();
    client.push(
        &[encode(21, LdapOp::AbandonRequest(20)), encode(22, LdapOp::DelRequest("cn=x".to_owned()))].concat(),
    );
    assert_eq!(finals(&client.send(&[]).messages), [22]);
}

#[test]
fn an_abandon_behind_a_bind_that_waits_ends_what_it_waits_for() {
    let world = big(Limits::default());
    let mut client = Client::reader(&world);
    let abandon = |id| encode(id, LdapOp::AbandonRequest(10));
    let bind = super::client::bind(11, "reader", world.secrets.reader.as_bytes());
    client.push(&[dump(10), bind.clone()].concat());
    let (_, next) = client.step();
    assert_eq!(next, Next::Work);
    // One that is not carried out leaves it alone, and so does what stands behind something else.
    client.push(&with_control(&abandon(12), "1.2.3", true));
    assert_eq!(client.step().1, Next::Work);
    client.push(&[small(13), abandon(14)].concat());
    assert_eq!(client.step().1, Next::Work);
    let rest = client.send(&[]);
    assert_eq!(finals(&rest.messages), [10, 11, 13]);
    client.push(&[dump(10), bind, abandon(12), small(13)].concat());
    let (mut messages, _) = client.step();
    let rest = client.send(&[]);
    assert!(!entries(&rest.messages).contains_key(&10), "not an entry more");
    messages.extend(rest.messages);
    assert_eq!(finals(&messages), [11, 13]);
}

#[test]
fn unbind_ends_all_that_runs() {
    let world = big(Limits::default());
    let mut client = Client::reader(&world);
    client.push(&[dump(10), encode(11, LdapOp::UnbindRequest), small(12)].concat());
    let (messages, next) = client.step();
    assert_eq!(next, Next::Close);
    assert!(finals(&messages).is_empty());
}

#[test]
fn start_tls_is_refused_while_something_is_outstanding() {
    let mut world = big(Limits::default());
    world.settings.secrets_in_clear = crate::config::SecretsInClear::Always;
    let mut client = Client::in_clear(&world);
    client.bind("reader", &world.secrets.reader).is(0);
    client.push(&[dump(10), start_tls(11)].concat());
    let (messages, next) = client.step();
    assert_eq!(next, Next::Work);
    assert_eq!(finals(&messages), [11]);
    assert_eq!(result_of(&messages.last().unwrap().op).map(|_| ()), None, "work went on behind it");
    let rest = client.send(&[]);
    assert_eq!(finals(&rest.messages), [10]);
    client.send(&start_tls(12)).is(0);
    assert_eq!(client.session.next(), Next::StartTls);
}

#[test]
fn the_output_of_many_dumps_is_bounded() {
    let limits = Limits { output_buffer_max: 128 * 1024, pending_operations_max: 16, ..Limits::default() };
    let world = World::with(Wishes { people: 500, limits, ..Wishes::default() });
    let mut client = Client::reader(&world);
    let requests: Vec<u8> = (100..120).flat_map(dump).collect();
    client.push(&requests);
    let mut done = Vec::new();
    let mut rounds = 0;
    loop {
        let (messages, next) = client.step();
        done.extend(finals(&messages));
        rounds += 1;
        if next == Next::Read && client.left().is_empty() {
            break;
        }
        assert!(rounds < 100_000, "it does not end: {} of 20 are done", done.len());
    }
    done.sort_unstable();
    assert_eq!(done, (100..120).collect::<Vec<_>>());
    // One batch may go beyond the limit, no more.
    assert!(client.output_peak < 256 * 1024, "{}", client.output_peak);
}

#[test]
fn more_than_may_be_outstanding_stay_unread() {
    let limits = Limits { pending_operations_max: 2, ..Limits::default() };
    let world = big(limits);
    let mut client = Client::reader(&world);
    client.push(&[dump(10), dump(11), small(12)].concat());
    let (messages, _) = client.step();
    assert!(finals(&messages).is_empty());
    assert_eq!(client.left(), small(12));
    let rest = client.send(&[]);
    assert_eq!(finals(&rest.messages).len(), 3);
}

#[test]
fn a_search_that_finds_nothing_among_many_ends_its_turn() {
    let world = big(Limits::default());
    let mut client = Client::reader(&world);
    // No index helps, thousands are in scope, and none matches: a turn looks at no more than its share.
    let request =
        search("ou=users,dc=example,dc=org", LdapSearchScope::OneLevel, "(loginShell=/nowhere)", &[]);
    client.push(&encode(10, LdapOp::SearchRequest(request)));
    let (messages, next) = client.step();
    assert_eq!(next, Next::Work, "{messages:?}");
    client.push(&encode(11, LdapOp::AbandonRequest(10)));
    assert!(client.send(&[]).messages.is_empty());
}
