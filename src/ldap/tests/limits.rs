//! What bounds the work and the memory that one request or one connection may take.

use ldap3_proto::proto::{LdapFilter, LdapOp, LdapSearchScope, LdapSubstringFilter};

use super::client::{Client, bind, element, encode, search, with_controls};
use super::world::{BASE, MAIN, Wishes, World, peer, readers};
use crate::auth::ThrottleSettings;
use crate::config::{Limit, Limits};
use crate::model::{Attribute, Record};
use crate::plain::search_grant;

const STAFF: &str = "cn=staff,ou=groups,dc=example,dc=org";

fn world(limits: Limits) -> World {
    World::with(Wishes { limits, ..Wishes::default() })
}

/// An OR of so many terms that no value has.
fn many(terms: usize) -> LdapFilter {
    let term = |number: usize| {
        let parts =
            LdapSubstringFilter { any: vec![format!("none-{number}")], ..LdapSubstringFilter::default() };
        LdapFilter::Substring("memberUid".to_owned(), parts)
    };
    LdapFilter::Or((0..terms).map(term).collect())
}

fn ask(client: &mut Client, base: &str, filter: LdapFilter) -> super::client::Reply {
    let mut request = search(base, LdapSearchScope::Base, "(objectClass=*)", &[]);
    request.filter = filter;
    client.search(request)
}

#[test]
fn a_filter_is_smaller_before_bind() {
    let world = world(Limits { filter_elements_before_bind_max: 64, ..Limits::default() });
    let mut client = Client::new(&world);
    ask(&mut client, "", many(31)).is(0);
    ask(&mut client, "", many(32)).is(11);
    let mut client = Client::app(&world);
    ask(&mut client, "", many(32)).is(0);
    // A failed bind makes the connection anonymous.
    client.bind("cn=app,ou=users,dc=example,dc=org", "wrong").is(49);
    ask(&mut client, "", many(32)).is(11);
}

#[test]
fn the_work_for_one_entry_is_bounded() {
    let world = world(Limits { filter_work_max: 1_000, ..Limits::default() });
    let mut client = Client::reader(&world);
    // Three members, each looked at by each term.
    ask(&mut client, STAFF, many(200)).is(0);
    let refused = ask(&mut client, STAFF, many(300));
    refused.is(11);
    assert!(refused.entries().is_empty());
    assert!(refused.result().message.contains("too many values"), "{:?}", refused.result());
    // A NOT of what was never decided is not true.
    let negated = ask(&mut client, STAFF, LdapFilter::Not(Box::new(many(300))));
    negated.is(11);
    assert!(negated.entries().is_empty());
    // Who sees one member of it pays for what it sees, whatever is hidden.
    ask(&mut Client::app(&world), STAFF, many(150)).is(0);
    // What is everybody's is bounded too.
    ask(&mut Client::new(&world), "cn=subschema", LdapFilter::Present("memberUid".to_owned())).is(0);
    let everything = search("cn=subschema", LdapSearchScope::Base, "(:2.5.13.30:=1.9)", &[]).filter;
    let terms = LdapFilter::Or(vec![everything; 20]);
    ask(&mut client, "cn=subschema", terms).is(11);
    // The next search begins anew.
    ask(&mut client, STAFF, many(200)).is(0);
}

#[test]
fn prepared_assertion_values_are_bounded() {
    let world = world(Limits { filter_octets_max: 4_096, ..Limits::default() });
    let mut client = Client::reader(&world);
    // One code point that becomes eighteen.
    let grows = |times: usize| LdapFilter::Equality("description".to_owned(), "\u{fdfa}".repeat(times));
    ask(&mut client, BASE, grows(50)).is(0);
    let refused = ask(&mut client, BASE, grows(1_000));
    refused.is(11);
    assert!(refused.result().message.contains("4096"), "{:?}", refused.result());
}

#[test]
fn texts_that_no_entry_can_hold_are_not_prepared() {
    let world = world(Limits::default());
    let mut client = Client::reader(&world);
    let long = "x".repeat(70_000);
    ask(&mut client, &format!("cn={long},{BASE}"), many(1)).is(34);
    client.compare(&format!("cn={long},{BASE}"), "cn", "x").is(34);
    // Undefined: neither true nor, inverted, true.
    for attribute in ["description", "member"] {
        let filter = LdapFilter::Equality(attribute.to_owned(), format!("cn={long}"));
        assert!(ask(&mut client, BASE, filter.clone()).entries().is_empty());
        assert!(ask(&mut client, BASE, LdapFilter::Not(Box::new(filter))).entries().is_empty());
    }
}

#[test]
fn a_turn_takes_no_more_requests_than_its_share() {
    let world = world(Limits::default());
    let mut client = Client::app(&world);
    let requests: Vec<u8> = (10..5_010).flat_map(|id| encode(id, LdapOp::AbandonRequest(1))).collect();
    let mut output = Vec::new();
    let moment = client.moment();
    let taken = client.session.receive(&requests, &mut output, moment);
    assert!(taken > 0 && taken < requests.len() / 2, "{taken} of {}", requests.len());
    // What is left is taken in the next turns.
    let mut rest = requests[taken..].to_vec();
    while !rest.is_empty() {
        let taken = client.session.receive(&rest, &mut output, moment);
        assert!(taken > 0);
        rest.drain(..taken);
    }
    assert!(output.is_empty());
}

#[test]
fn answers_before_bind_wait_in_a_small_buffer() {
    let limits = Limits { output_buffer_before_bind_max: 16 * 1024, ..Limits::default() };
    let world = world(limits);
    let mut client = Client::new(&world);
    let schema = |id| {
        encode(
            id,
            LdapOp::SearchRequest(search("cn=subschema", LdapSearchScope::Base, "(objectClass=*)", &["+"])),
        )
    };
    let one = client.send(&schema(9));
    one.is(0);
    let one = client.output_peak;
    client.push(&(10..40).flat_map(schema).collect::<Vec<u8>>());
    let mut answered = 0;
    while answered < 30 {
        answered += client.step().0.len() / 2;
    }
    assert!(client.output_peak <= 16 * 1024 + one, "{} after {one}", client.output_peak);
}

/// Gives the role of the reader limits of its own.
fn limit_readers(world: &World, size: Option<u32>, time: Option<std::time::Duration>) {
    world.change(move |transaction| {
        let mut readers = readers(vec![search_grant(Some(MAIN))]);
        (readers.search_size_max, readers.search_time_max) = (size, time);
        transaction.put(Record::Role(readers))
    });
}

#[test]
fn a_role_has_a_size_limit_of_its_own() {
    let world = world(Limits { search_size_max: 4, ..Limits::default() });
    let count = |client: &mut Client, size: i32, code: u8| {
        let mut request = search(BASE, LdapSearchScope::Subtree, "(objectClass=*)", &["1.1"]);
        request.sizelimit = size;
        client.search(request).is(code).entries().len()
    };
    let mut reader = Client::reader(&world);
    let mut app = Client::app(&world);
    assert_eq!(count(&mut reader, 0, 4), 4, "the server's");
    // It replaces the server's, on an open connection, whichever is the stricter; the client's own counts beside it.
    for (limit, asked, code, found) in
        [(Some(10), 0, 4, 10), (Some(10), 3, 4, 3), (Some(2), 0, 4, 2), (Some(0), 0, 0, 22), (None, 0, 4, 4)]
    {
        limit_readers(&world, limit, None);
        assert_eq!(count(&mut reader, asked, code), found, "{limit:?}");
        assert_eq!(count(&mut app, 0, 4), 4, "who does not hold the role");
    }
}

#[test]
fn a_role_has_a_time_limit_of_its_own() {
    let world = World::with(Wishes { people: 3_000, ..Wishes::default() });
    let mut reader = Client::reader(&world);
    let seconds = |seconds| Some(std::time::Duration::from_secs(seconds));
    for (limit, later, code) in
        [(None, 3_600, 3), (seconds(2), 1, 0), (seconds(2), 2, 3), (seconds(7_200), 3_600, 0)]
    {
        limit_readers(&world, None, limit);
        reader.later = std::time::Duration::ZERO;
        let id = reader.id();
        let request = search(BASE, LdapSearchScope::Subtree, "(objectClass=*)", &["1.1"]);
        reader.push(&encode(id, LdapOp::SearchRequest(request)));
        reader.step();
        reader.later = std::time::Duration::from_secs(later);
        reader.send(&[]).is(code);
    }
}

/// The limit that `act` reaches is counted once, and no other.
#[track_caller]
fn reaches(world: &World, limit: Option<Limit>, act: impl FnOnce()) {
    let before: Vec<_> = world.registry.limits_reached().collect();
    act();
    let after = world.registry.limits_reached();
    let grown: Vec<_> = before
        .into_iter()
        .zip(after)
        .filter(|(old, new)| old != new)
        .map(|((limit, old), (_, new))| (limit, new - old))
        .collect();
    let expected: Vec<_> = limit.map(|limit| (limit, 1)).into_iter().collect();
    assert_eq!(grown, expected);
}

#[test]
fn requests_that_are_too_large_are_counted() {
    let world = world(Limits {
        message_size_max: 64 * 1024,
        message_size_before_bind_max: 1_024,
        filter_depth_max: 3,
        filter_elements_max: 64,
        filter_elements_before_bind_max: 16,
        filter_octets_max: 4_096,
        controls_max: 1,
        requested_attributes_max: 2,
        bind_secret_length_max: 64,
        ..Limits::default()
    });
    let new = || Client::new(&world);
    let mut app = Client::app(&world);
    let secret = vec![b'x'; 2_000];
    reaches(&world, Some(Limit::message_size_before_bind_max), || drop(new().send(&bind(2, "app", &secret))));
    let much = vec![b'x'; 100_000];
    reaches(&world, Some(Limit::message_size_max), || drop(Client::app(&world).send(&bind(2, "app", &much))));
    reaches(&world, Some(Limit::bind_secret_length_max), || {
        new().bind("app", &secret[..65]).is(49);
    });
    reaches(&world, Some(Limit::filter_elements_before_bind_max), || {
        ask(&mut new(), "", many(8)).is(11);
    });
    reaches(&world, Some(Limit::filter_elements_max), || {
        ask(&mut app, STAFF, many(32)).is(11);
    });
    let deep = (0..4).fold(many(1), |filter, _| LdapFilter::Not(Box::new(filter)));
    reaches(&world, Some(Limit::filter_depth_max), || {
        ask(&mut app, STAFF, deep).is(11);
    });
    let large = LdapFilter::Equality("description".to_owned(), "\u{fdfa}".repeat(1_000));
    reaches(&world, Some(Limit::filter_octets_max), || {
        ask(&mut app, BASE, large).is(11);
    });
    let request = || search("", LdapSearchScope::Base, "(objectClass=*)", &["cn", "sn", "mail"]);
    reaches(&world, Some(Limit::requested_attributes_max), || {
        app.search(request()).is(11);
    });
    let listed = search("", LdapSearchScope::Base, "(objectClass=*)", &["cn,sn,mail"]);
    reaches(&world, Some(Limit::requested_attributes_max), || {
        app.search(listed).is(11);
    });
    let message = encode(9, LdapOp::SearchRequest(search("", LdapSearchScope::Base, "(objectClass=*)", &[])));
    let controls = [("1.2.3", false, None), ("1.2.4", false, None)];
    reaches(&world, Some(Limit::controls_max), || {
        app.send(&with_controls(&message, &controls)).is(11);
    });
    reaches(&world, None, || {
        ask(&mut app, STAFF, many(2)).is(0);
    });
}

#[test]
fn searches_that_are_ended_are_counted() {
    let limits = Limits { search_size_max: 3, look_through_max: 100, ..Limits::default() };
    let world = World::with(Wishes { people: 300, limits, ..Wishes::default() });
    let mut reader = Client::reader(&world);
    reaches(&world, Some(Limit::search_size_max), || {
        reader.search(everything(0)).is(4);
    });
    // What the client itself asks for is no limit of ours.
    reaches(&world, None, || {
        reader.search(everything(2)).is(4);
    });
    limit_readers(&world, Some(0), None);
    reaches(&world, Some(Limit::look_through_max), || {
        reader.search(everything(0)).is(11);
    });
}

#[test]
fn what_holds_searches_up_is_counted() {
    let limits = Limits { pending_operations_max: 2, ..Limits::default() };
    let world = World::with(Wishes { people: 3_000, limits, ..Wishes::default() });
    let mut reader = Client::reader(&world);
    limit_readers(&world, None, Some(std::time::Duration::from_secs(5)));
    reaches(&world, Some(Limit::search_time_max), || {
        let id = reader.id();
        reader.push(&encode(id, LdapOp::SearchRequest(everything(0))));
        reader.step();
        reader.later += std::time::Duration::from_secs(5);
        reader.send(&[]).is(3);
    });
    // Three dumps at once, of which two are taken.
    let messages: Vec<u8> =
        (60..63).flat_map(|id| encode(id, LdapOp::SearchRequest(everything(0)))).collect();
    reaches(&world, Some(Limit::pending_operations_max), || {
        reader.push(&messages);
        reader.step();
        reader.step();
    });
}

#[test]
fn a_full_buffer_is_counted() {
    let limits = Limits { output_buffer_max: 16 * 1024, ..Limits::default() };
    let world = World::with(Wishes { people: 3_000, limits, ..Wishes::default() });
    let mut reader = Client::reader(&world);
    reaches(&world, Some(Limit::output_buffer_max), || {
        reader.push(&encode(60, LdapOp::SearchRequest(everything(0))));
        reader.step();
    });
}

#[test]
fn without_memory_all_is_answered_in_pieces_that_need_none() {
    use ldap3_proto::proto::LdapSearchScope::Base;
    let worlds = [1 << 30, 0].map(|connection_memory_max| {
        let limits = Limits { connection_memory_max, ..Limits::default() };
        let world = World::with(Wishes { people: 2_000, limits, ..Wishes::default() });
        world.change_account(super::world::APP, |account| {
            let photo = vec![vec![7; 200_000]];
            let manager = vec![b"cn=user-1,ou=users,dc=example,dc=org".to_vec()];
            account.attributes = [("jpegPhoto", photo), ("manager", manager)]
                .map(|(description, values)| Attribute { description: description.to_owned(), values })
                .to_vec();
        });
        world
    });
    // What is not of each world alone.
    let all =
        ["*", "attributeTypes", "objectClasses", "matchingRules", "member", "memberOf", "numSubordinates"];
    let (staff, app) = ("cn=staff,ou=groups,dc=example,dc=org", "cn=app,ou=users,dc=example,dc=org");
    let ask = |base, scope| search(base, scope, "(objectClass=*)", &all);
    type Who = fn(&World) -> Client;
    let requests: [(Who, _); 5] = [
        (Client::new, ask("cn=subschema", Base)),
        (Client::new, ask("", Base)),
        (Client::app, ask(app, Base)),
        (Client::reader, ask(staff, Base)),
        (Client::reader, ask(BASE, LdapSearchScope::Subtree)),
    ];
    for (who, request) in requests {
        let answers = worlds.each_ref().map(|world| {
            let mut client = who(world);
            client.output_peak = 0;
            let reply = client.search(request.clone());
            reply.is(0);
            (format!("{:?}", reply.messages), client.output_peak)
        });
        let [(expected, _), (found, peak)] = answers;
        assert_eq!(found.len(), expected.len(), "{}", request.base);
        assert!(found == expected, "{}: the same, however little memory there is", request.base);
        assert!(peak <= 20 * 1024, "{}: {peak} octets at once", request.base);
    }
    // One value, which a filter of values selects.
    let selected = worlds.each_ref().map(|world| {
        let mut client = Client::app(world);
        client.output_peak = 0;
        let message = encode(client.id(), LdapOp::SearchRequest(ask(app, Base)));
        let photo = element(0x30, &element(0x87, b"jpegPhoto"));
        let reply = client.send(&with_controls(&message, &[("1.2.826.0.1.3344810.2.3", true, Some(photo))]));
        reply.is(0);
        (format!("{:?}", reply.messages), client.output_peak)
    });
    assert!(selected[0].0 == selected[1].0 && selected[1].1 <= 20 * 1024, "{}", selected[1].1);
}

#[test]
fn candidates_of_an_outstanding_search_count() {
    let world = World::with(Wishes { people: 6_000, ..Wishes::default() });
    let mut reader = Client::reader(&world);
    let held = |reader: &mut Client, filter: &str| {
        let before = world.settings.memory.used();
        let request = search(BASE, LdapSearchScope::Subtree, filter, &["1.1"]);
        let message = encode(reader.id(), LdapOp::SearchRequest(request));
        reader.push(&message);
        reader.step();
        world.settings.memory.used() - before
    };
    // The first is small, and not counted.
    held(&mut reader, "(!(objectClass=*))");
    let without = held(&mut reader, "(&(!(mail=*))(!(objectClass=*)))");
    let with = held(&mut reader, "(&(mail=*)(!(objectClass=*)))");
    assert!(without > 0 && with > without, "of a longer filter: {without}, of an index: {with}");
}

fn everything(size: i32) -> ldap3_proto::proto::LdapSearchRequest {
    let mut request = search(BASE, LdapSearchScope::Subtree, "(objectClass=*)", &["1.1"]);
    request.sizelimit = size;
    request
}

#[test]
fn work_and_failures_that_are_too_many_are_counted() {
    let throttle = ThrottleSettings {
        failures_per_name_max: 1,
        failures_per_source_max: 2,
        pause_min: std::time::Duration::from_secs(300),
        ..ThrottleSettings::default()
    };
    let limits = Limits { filter_work_max: 1_000, ..Limits::default() };
    let world = World::with(Wishes { limits, throttle: Some(throttle), ..Wishes::default() });
    let mut reader = Client::reader(&world);
    reaches(&world, Some(Limit::filter_work_max), || {
        ask(&mut reader, STAFF, many(300)).is(11);
    });
    let wrong = |name: &str, code| {
        // Where no application is at home.
        Client::from(&world, peer("198.51.100.1"), true).bind(name, "wrong").is(code);
    };
    reaches(&world, None, || wrong("alice", 49));
    reaches(&world, Some(Limit::throttle_failures_max), || wrong("alice", 49));
    reaches(&world, None, || wrong("root", 49));
    reaches(&world, Some(Limit::throttle_failures_by_source_max), || wrong("legacy", 49));
}
