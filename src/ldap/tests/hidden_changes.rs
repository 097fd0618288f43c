//! What somebody is answered depends only on what it may see: between two pages or views everything else may change, or
//! nothing, and the answers are the same.

use std::time::Duration;

use ldap3_proto::proto::LdapSearchScope::Subtree;

use super::client::{Client, Reply, search};
use super::orders::{Controls, VIEWED, ask, context_id, list_view, offset, order};
use super::paging::{PAGED, page_value};
use super::world::{APP, BASE, BOB, HIDDEN, LEGACY_TOKEN, MAIN, STAFF, Wishes, World, group};
use crate::config::Limits;
use crate::directory::{EntryId, TreeReader, Visibility};
use crate::model::{AccountNumber, Membership, Record};
use crate::plain::search_grant;

/// How a sequence goes on: pages or a list view, in an order or in none.
#[derive(Clone, Copy, Debug)]
enum Way {
    Unsorted,
    Sorted(&'static str),
    View(&'static str),
}

const WAYS: [Way; 5] = [
    Way::Unsorted,
    Way::Sorted("cn"),
    Way::Sorted("modifyTimestamp"),
    Way::View("cn"),
    Way::View("modifyTimestamp"),
];

/// Asks for the next two of what is seen, and gives what was answered and by what it goes on.
fn next(client: &mut Client, way: Way, number: u32, mark: &[u8]) -> (String, Vec<u8>) {
    let controls: Controls<'_> = match way {
        Way::Unsorted => vec![(PAGED, true, Some(page_value(2, mark)))],
        Way::Sorted(by) => {
            vec![order(true, &[(by, None, true)]), (PAGED, true, Some(page_value(2, mark)))]
        }
        Way::View(by) => {
            let mark = (!mark.is_empty()).then_some(mark);
            vec![order(true, &[(by, None, true)]), list_view(0, 1, offset(2 * number + 1, 0), mark)]
        }
    };
    let attributes = ["cn", "member", "memberOf", "modifyTimestamp", "numSubordinates", "hasSubordinates"];
    let reply = ask(client, &search(BASE, Subtree, "(objectClass=*)", &attributes), &controls);
    reply.is(0);
    let mark = match way {
        Way::View(_) => context_id(&reply),
        Way::Unsorted | Way::Sorted(_) => reply.page().1,
    };
    (shape(&reply, &mark), mark)
}

/// All of an answer but the octets of its cookie, which are never the same.
fn shape(reply: &Reply, mark: &[u8]) -> String {
    let view = reply.control(VIEWED).map(|mut value| {
        value.truncate(value.len() - mark.len());
        value
    });
    let estimate = view.is_none().then(|| reply.page().0);
    format!("{:#?} {:?} {view:?} {estimate:?} {}", reply.entries(), reply.result(), mark.len())
}

fn sequence(client: &mut Client, way: Way, mut between: impl FnMut(&mut Client, u32)) -> Vec<String> {
    let (mut answers, mut mark) = (Vec::new(), Vec::new());
    for number in 0..4 {
        let (answer, after) = next(client, way, number, &mark);
        answers.push(answer);
        mark = after;
        between(client, number);
    }
    answers
}

/// Changes what the app does not see.
fn change_something(world: &World, number: u32) {
    world.change_account(AccountNumber::new(1_000 + number), |account| account.username.push_str("-renamed"));
    world.change(move |transaction| transaction.delete_account(AccountNumber::new(1_100 + number)));
    world.change(move |transaction| {
        let account = AccountNumber::new(1_000 + number);
        transaction.put(Record::Membership(Membership { group: STAFF, account }))
    });
    world.change_token(LEGACY_TOKEN, |token| token.description.push('x'));
    world.change(move |transaction| {
        let parents = if number.is_multiple_of(2) { vec![STAFF] } else { Vec::new() };
        transaction.put(group(HIDDEN, "hidden-group", &parents, false))
    });
    world.change_account(BOB, |account| account.name.push('x'));
}

#[test]
fn pages_and_views_do_not_tell_whether_anything_hidden_was_changed() {
    for limits in [Limits::default(), Limits { paging_snapshots: 0, ..Limits::default() }] {
        for seconds in [0, 50, 61] {
            let world = World::with(Wishes { people: 200, limits: limits.clone(), ..Wishes::default() });
            for (place, way) in WAYS.into_iter().enumerate() {
                let mut client = Client::app(&world);
                let wait = |client: &mut Client| client.later += Duration::from_secs(seconds);
                let unchanged = sequence(&mut client, way, |client, _| wait(client));
                let changed = sequence(&mut client, way, |client, number| {
                    change_something(&world, 4 * place as u32 + number);
                    // Somebody else, and it itself, keep what there is now.
                    next(&mut Client::reader(&world), way, 0, b"");
                    next(client, Way::Unsorted, 0, b"");
                    wait(client);
                });
                assert_eq!(changed, unchanged, "{way:?}, {seconds} s");
            }
        }
    }
}

#[test]
fn what_may_be_seen_is_of_now_whatever_is_kept() {
    let world = World::new();
    let mut client = Client::app(&world);
    let request = search(BASE, Subtree, "(cn=*)", &["cn"]);
    let controls = |cookie: &[u8]| -> Controls<'_> {
        vec![order(true, &[("cn", None, false)]), (PAGED, true, Some(page_value(2, cookie)))]
    };
    let first = ask(&mut client, &request, &controls(b""));
    assert_eq!(
        first.is(0).names_in_order(),
        ["cn=app,ou=users,dc=example,dc=org", "cn=app,ou=virtual-groups,dc=example,dc=org"]
    );
    // A group that it gets into is there, one that it has left is not.
    world.change(|transaction| {
        transaction.put(group(HIDDEN, "hidden-group", &[], false))?;
        transaction.set_member(HIDDEN, super::world::APP, true).map(|_| ())
    });
    let second = ask(&mut client, &request, &controls(&first.page().1));
    assert_eq!(
        second.is(0).names_in_order(),
        ["cn=everyone,ou=groups,dc=example,dc=org", "cn=hidden-group,ou=groups,dc=example,dc=org"]
    );
    world.change(|transaction| transaction.set_member(HIDDEN, super::world::APP, false).map(|_| ()));
    let third = ask(&mut client, &request, &controls(&second.page().1));
    assert_eq!(third.is(0).names_in_order(), ["cn=staff,ou=groups,dc=example,dc=org"]);
    assert!(third.page().1.is_empty());
}

#[test]
fn a_sorted_sequence_goes_on_when_rights_come_and_go() {
    let world = World::with(Wishes { people: 50, ..Wishes::default() });
    let mut client = Client::reader(&world);
    let request = search(BASE, Subtree, "(cn=*)", &["cn"]);
    let page = |client: &mut Client, size, cookie: &[u8]| {
        ask(
            client,
            &request,
            &vec![order(true, &[("cn", None, false)]), (PAGED, true, Some(page_value(size, cookie)))],
        )
    };
    let all = page(&mut client, 1_000, b"").is(0).names_in_order();
    let first = page(&mut client, 20, b"");
    assert_eq!(first.is(0).names_in_order(), all[..20]);
    world.grant_readers(Vec::new());
    let second = page(&mut client, 20, &first.page().1);
    let own = ["cn=reader,ou=users,dc=example,dc=org", "cn=reader,ou=virtual-groups,dc=example,dc=org"];
    let expected: Vec<&String> = all[20..].iter().filter(|dn| own.contains(&dn.as_str())).collect();
    assert!(second.is(0).names_in_order().iter().eq(expected));
    world.grant_readers(vec![search_grant(Some(MAIN))]);
    client.later += Duration::from_secs(61);
    let third = page(&mut client, 1_000, &first.page().1);
    assert_eq!(third.is(0).names_in_order(), all[20..]);
}

#[test]
fn what_is_known_of_one_revision_is_not_taken_for_that_of_another() {
    let world = World::new();
    let name = |username: &'static str| {
        world.change_account(APP, move |account| account.username = username.to_owned());
        world.registry.snapshot()
    };
    let snapshots = ["app-1", "app-2", "app-3"].map(name);
    let newest = &snapshots[2];
    let account = newest.accounts().account(APP).unwrap();
    let Visibility::Own(own) = crate::access::visibility_of(newest.accounts(), account, MAIN) else {
        panic!()
    };
    let visibility = Visibility::Own(own.kept_for(newest.revision()));
    // In any order, and again.
    for place in [2, 0, 1, 0, 2, 1] {
        let snapshot = &snapshots[place];
        let reader = TreeReader::new(snapshot, snapshot.tree(MAIN).unwrap(), &visibility);
        for other in 0..3 {
            let found = reader.find(format!("cn=app-{},ou=users,{BASE}", other + 1).as_bytes());
            assert_eq!(found, (other == place).then_some(EntryId::of_account(APP)), "{other} in {place}");
        }
    }
}
