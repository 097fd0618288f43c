//! Bindings to source networks and to times, on open connections: product rule 14, asked at every operation.

use std::time::Duration;

use ldap3_proto::proto::LdapSearchScope::{Base, Subtree};

use super::client::{Client, search};
use super::paging::page;
use super::world::{APP, BASE, MAIN, NOW, OTHER_BASE, STAFF, VAULT, World, peer, vault};
use crate::model::{
    Application, Attribute, BindingMode, BindingSubject, Group, GroupNumber, Record, TimeWindow, Timestamp,
    Weekday,
};
use crate::plain::{self, binding};

const APP_DN: &str = "cn=app,ou=users,dc=example,dc=org";
const PASSWORD_MODIFY: &str = "1.3.6.1.4.1.4203.1.11.1";
/// When the window closes.
const CLOSED: Timestamp = Timestamp::from_unix_seconds(NOW.unix_seconds() + 3_600);
const A_WEEK: Duration = Duration::from_secs(7 * 24 * 3_600);

fn inside() -> BindingSubject {
    BindingSubject::Networks(vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()])
}

/// [`NOW`] is a Friday, 08:00 in UTC.
fn morning() -> BindingSubject {
    let (from, to) = ("09:00".parse().unwrap(), "10:00".parse().unwrap());
    let berlin = "Europe/Berlin".parse().unwrap();
    BindingSubject::Window(TimeWindow::new([Weekday::Fri], from, to, berlin).unwrap())
}

/// Lets the provider of the bind have an application with these bindings.
fn bind_main(world: &World, mode: BindingMode, subjects: Vec<BindingSubject>) {
    let application = Application {
        provider: Some(MAIN),
        mode,
        bindings: subjects.into_iter().map(binding).collect(),
        ..plain::application(300, "office")
    };
    world.change(move |transaction| transaction.put(Record::Application(application)));
}

/// The same for the other provider.
fn bind_other(world: &World, subject: BindingSubject) {
    let application = Application { bindings: vec![binding(subject)], ..vault(Vec::new()) };
    assert_eq!(application.number, VAULT);
    world.change(move |transaction| transaction.put(Record::Application(application)));
}

fn code(client: &mut Client, base: &str) -> u8 {
    client.search(search(base, Base, "(objectClass=*)", &[])).result().code.clone() as u8
}

/// Whoever was bound is nobody now.
#[track_caller]
fn is_refused_everything(client: &mut Client) {
    for base in [BASE, APP_DN, "dc=nowhere", OTHER_BASE] {
        let reply = client.search(search(base, Subtree, "(objectClass=*)", &[]));
        assert_eq!(reply.is(50).result().matcheddn, "", "{base}");
        assert_eq!(client.compare(base, "cn", "x").is(50).result().matcheddn, "", "{base}");
    }
    client.extended(PASSWORD_MODIFY).is(50);
    assert_eq!(client.who_am_i(), "");
    client.search(search("", Base, "(objectClass=*)", &[])).is(0).entry();
}

#[test]
fn networks_admit_who_comes_from_them() {
    let world = World::new();
    bind_main(&world, BindingMode::Any, vec![inside()]);
    for (address, is_admitted) in
        [("10.1.2.3", true), ("::ffff:10.1.2.3", true), ("2001:db8::7", true), ("192.0.2.7", false)]
    {
        let mut client = Client::from(&world, peer(address), true);
        // Only the right secret learns of the application, and of where it would be admitted.
        let wrong = client.bind("app", &world.secrets.nobody);
        assert!(!wrong.is(49).result().message.contains("office"));
        let reply = client.bind("app", &world.secrets.app);
        if is_admitted {
            reply.is(0);
            assert_eq!(code(&mut client, APP_DN), 0);
            continue;
        }
        assert_eq!(
            reply.is(50).result().message,
            "the application `office` does not admit this account: the source 192.0.2.7 is in none of 10.0.0.0/8, \
             2001:db8::/32"
        );
        is_refused_everything(&mut client);
    }
}

#[test]
fn networks_that_change_act_on_open_connections() {
    let world = World::new();
    let mut client = Client::app(&world);
    bind_main(&world, BindingMode::Any, vec![inside()]);
    is_refused_everything(&mut client);
    bind_main(&world, BindingMode::Any, vec![inside(), BindingSubject::Account(APP)]);
    assert_eq!(code(&mut client, APP_DN), 0);
    bind_main(&world, BindingMode::All, vec![inside(), BindingSubject::Account(APP)]);
    is_refused_everything(&mut client);
}

#[test]
fn a_connection_loses_access_when_the_window_closes_and_gets_it_back() {
    let world = World::new();
    bind_main(&world, BindingMode::Any, vec![morning()]);
    let mut client = Client::app(&world);
    let mut late = Client::new(&world);
    late.now = CLOSED;
    late.bind("app", &world.secrets.nobody).is(49);
    let refused = late.bind("app", &world.secrets.app);
    assert!(
        refused
            .is(50)
            .result()
            .message
            .ends_with(": outside of Fri 09:00-10:00 Europe/Berlin: it is Fri 10:00 there")
    );
    for _ in 0..2 {
        client.now = Timestamp::from_unix_seconds(CLOSED.unix_seconds() - 1);
        assert_eq!(code(&mut client, APP_DN), 0);
        assert_eq!(client.who_am_i(), format!("dn:{APP_DN}"));
        client.now = CLOSED;
        is_refused_everything(&mut client);
    }
    client.now = NOW.after(A_WEEK);
    assert_eq!(code(&mut client, APP_DN), 0);
}

#[test]
fn the_next_page_is_refused_when_the_window_has_closed() {
    let world = World::new();
    bind_main(&world, BindingMode::Any, vec![morning()]);
    let mut client = Client::reader(&world);
    let request = search(BASE, Subtree, "(objectClass=*)", &["1.1"]);
    let first = page(&mut client, &request, 2, b"");
    let (_, cookie) = first.is(0).page();
    assert_eq!(first.entries().len(), 2);
    let (_, cookie) = page(&mut client, &request, 2, &cookie).is(0).page();
    client.now = CLOSED;
    assert!(page(&mut client, &request, 2, &cookie).is(50).entries().is_empty());
}

#[test]
fn another_provider_exists_while_it_admits() {
    let world = World::new();
    bind_other(&world, inside());
    let nowhere = |client: &mut Client| {
        let nowhere = client.search(search("dc=nowhere", Subtree, "(objectClass=*)", &[]));
        let there = client.search(search(OTHER_BASE, Subtree, "(objectClass=*)", &[]));
        assert_eq!(there.is(32).result(), nowhere.is(32).result());
        let there = client.compare(OTHER_BASE, "dc", "other");
        assert_eq!(there.is(32).result(), nowhere.result());
    };
    let mut outside = Client::app(&world);
    nowhere(&mut outside);
    let mut within = Client::from(&world, peer("10.1.2.3"), true);
    within.bind("app", &world.secrets.app).is(0);
    assert_eq!(code(&mut within, OTHER_BASE), 0);

    bind_other(&world, morning());
    assert_eq!(code(&mut outside, OTHER_BASE), 0);
    outside.now = CLOSED;
    nowhere(&mut outside);
    assert_eq!(code(&mut outside, APP_DN), 0);
    outside.now = NOW.after(A_WEEK);
    assert_eq!(code(&mut outside, OTHER_BASE), 0);
}

#[test]
fn who_is_asked_much_before_and_has_much_to_be_found_is_answered() {
    const PARENTS: u32 = 80;
    let world = World::new();
    bind_main(&world, BindingMode::Any, vec![BindingSubject::Group(STAFF)]);
    world.change(|transaction| {
        let parents: Vec<GroupNumber> = (0..PARENTS).map(|number| GroupNumber::new(1_000 + number)).collect();
        for parent in &parents {
            let name = format!("parent-{}", parent.get());
            transaction.put(Record::Group(plain::group(parent.get(), &name)))?;
        }
        for number in 2_000..2_000 + PARENTS {
            let parents = parents.clone();
            let group = Group { parents, ..plain::group(number, &format!("group-{number}")) };
            transaction.put(Record::Group(group))?;
            transaction.set_member(GroupNumber::new(number), APP, true)?;
        }
        Ok(())
    });
    let values = (0..3_000).map(|number| format!("cn=user-{number},ou=users,{BASE}").into_bytes());
    let see_also = Attribute { description: "seeAlso".to_owned(), values: values.collect() };
    world.change_account(APP, move |account| account.attributes = vec![see_also]);
    let mut client = Client::app(&world);
    for round in 0..3 {
        assert_eq!(code(&mut client, APP_DN), 0, "{round}");
        // What is bound to a group is gone through again, and what is shown is found again.
        bind_other(&world, inside());
    }
}
