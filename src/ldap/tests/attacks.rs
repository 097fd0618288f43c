//! What strangers, and accounts without any right, once made the server work on beside all limits. Asserted is the work
//! that is counted, which `cost` in `schema` ties to what it costs.

use std::time::Duration;

use ldap3_proto::proto::{LdapFilter, LdapOp, LdapSearchScope};

use super::client::{Client, element, encode, search, with_controls};
use super::orders::{Controls, list_view, order};
use super::paging::{PAGED, page_value};
use super::world::{APP, APP_TOKEN, BASE, MAIN, OTHER_BASE, STAFF, VAULT, Wishes, World, vault};
use crate::config::{Limit, Limits};
use crate::directory::filter::FilterItem;
use crate::directory::{
    EntryId, Evaluator, FilterBounds, PreparedFilter, Scope, TreeReader, ValuesFilter, Visibility, Walk, plan,
};
use crate::ldap::entry_writer::{LargeEntry, Piece, Projection, Room, write_entry};
use crate::ldap::selection::Selection;
use crate::ldap::session::Next;
use crate::model::{
    Account, AccountNumber, Application, Attribute, BindingSubject, Group, GroupNumber, Key, Membership,
    Record,
};
use crate::plain::{self, search_grant};
use crate::schema::steps;

const OWN: &str = "cn=app,ou=users,dc=example,dc=org";
const STAFF_DN: &str = "cn=staff,ou=groups,dc=example,dc=org";
const MATCHED_VALUES: &str = "1.2.826.0.1.3344810.2.3";
/// What a turn before a bind may cost and one request more.
const TURN_BEFORE_BIND: u64 = 5_000 + 10_000;

fn count(world: &World, limit: Limit) -> u64 {
    world.registry.limits_reached().find(|(own, _)| *own == limit).map_or(0, |(_, count)| count)
}

/// A world whose staff has so many people more.
fn crowd(people: u32, limits: Limits) -> World {
    let world = World::with(Wishes { people, limits, ..Wishes::default() });
    world.change(move |transaction| {
        (0..people).try_for_each(|number| {
            let account = AccountNumber::new(1_000 + number);
            transaction.put(Record::Membership(Membership { group: STAFF, account }))
        })
    });
    world
}

#[test]
fn the_name_of_a_bind_is_read_within_its_length_only() {
    let world = World::new();
    let hashes = world.hashes();
    let mut app = Client::app(&world);
    let hashes = world.hashes() - hashes;
    let long = [
        "x".repeat(5_000),
        format!("cn={},{BASE}", "\u{fdfa}".repeat(10_000)),
        "a=b,".repeat(1_000) + BASE,
        "x".repeat(3_000_000),
    ];
    for (place, name) in long.iter().enumerate() {
        // Before a bind the last is no message at all.
        if place < 3 && name.len() < 60_000 {
            let mut stranger = Client::new(&world);
            let before = stranger.session.work_done();
            stranger.bind(name, "wrong").is(49);
            assert!(stranger.session.work_done() - before < 2_000, "{place}");
        }
        let before = app.session.work_done();
        let reached = count(&world, Limit::name_length_max);
        app.bind(name, "wrong").is(49);
        assert_eq!(count(&world, Limit::name_length_max), reached + 1, "{place}");
        assert!(app.session.work_done() - before < 200 + name.len() as u64 / 64, "{place}");
        app.bind("cn=app,ou=users,dc=example,dc=org", &world.secrets.app).is(0);
    }
    assert_eq!(world.hashes(), hashes, "none is hashed for");
    // What may be so long and grows is read as far as a name may grow, and counted.
    let mut stranger = Client::new(&world);
    let before = stranger.session.work_done();
    stranger.bind(&"\u{fdfa}".repeat(1_300), "wrong").is(49);
    assert!((8_000..TURN_BEFORE_BIND).contains(&(stranger.session.work_done() - before)));
    // One who acts for another by a long name is nobody else.
    let plain = [b"x".repeat(5_000), b"app".to_vec(), world.secrets.app.as_bytes().to_vec()].join(&0);
    let body = [
        element(2, &[3]),
        element(4, b""),
        element(0xa3, &[element(4, b"PLAIN"), element(4, &plain)].concat()),
    ];
    stranger.send(&super::client::raw(9, &element(0x60, &body.concat()))).is(49);
}

#[test]
fn names_of_entries_are_read_within_their_length_only() {
    let world = World::new();
    let long = ["a=b,".repeat(14_000) + BASE, format!("cn={},{BASE}", "\u{fdfa}".repeat(10_000))];
    for name in &long {
        let ask = |client: &mut Client, code| {
            let before = client.session.work_done();
            client.search(search(name, LdapSearchScope::Base, "(objectClass=*)", &[])).is(code);
            client.compare(name, "cn", "x").is(code);
            assert!(client.session.work_done() - before < 200 + 2_000 + name.len() as u64 / 32);
        };
        ask(&mut Client::new(&world), 50);
        ask(&mut Client::app(&world), 34);
    }
    assert_eq!(count(&world, Limit::name_length_max), 8);
}

#[test]
fn what_is_asked_before_a_bind_is_counted() {
    let world = World::new();
    let mut stranger = Client::new(&world);
    let mut ask = |base: &str, filter: LdapFilter, code: u8| {
        let before = stranger.session.work_done();
        let mut request = search(base, LdapSearchScope::Base, "(objectClass=*)", &["1.1"]);
        request.filter = filter;
        stranger.search(request).is(code);
        let work = stranger.session.work_done() - before;
        assert!(work < TURN_BEFORE_BIND, "{work}");
    };
    let many = |attribute: &str| {
        LdapFilter::Or(
            (0..250)
                .map(|number| LdapFilter::Equality(attribute.to_owned(), format!("1.9.{number}")))
                .collect(),
        )
    };
    ask("cn=subschema", LdapFilter::Equality("attributeTypes".to_owned(), "CN".to_owned()), 0);
    ask("cn=subschema", many("attributeTypes"), 11);
    ask("cn=subschema", many("matchingRules"), 11);
    ask("", many("supportedControl"), 11);
    assert_eq!(count(&world, Limit::filter_work_before_bind_max), 3);
    ask("", LdapFilter::Equality("vendorName".to_owned(), "\u{fdfa}".repeat(600)), 11);
    assert_eq!(count(&world, Limit::filter_octets_before_bind_max), 1);
    ask("", LdapFilter::Equality("vendorName".to_owned(), "\u{fdfa}".repeat(10_000)), 0);
    assert_eq!(count(&world, Limit::assertion_length_before_bind_max), 1);
}

/// A filter element of some octets behind a tag.
fn or(terms: &[Vec<u8>]) -> Vec<u8> {
    element(0xa1, &terms.concat())
}

#[test]
fn what_is_made_ready_for_one_request_is_bounded() {
    const OWN: &str = "cn=app,ou=users,dc=example,dc=org";
    let world = World::new();
    let mut app = Client::app(&world);
    let texts = |count| vec![equality("cn", &"ä".repeat(31_000)); count];
    let names = |attribute: &'static str, value: &'static str| {
        move |number: usize| equality(attribute, &format!("cn={value}{number},ou=groups,{BASE}"))
    };
    let many = |name: &dyn Fn(usize) -> Vec<u8>| (0..16_000).map(name).collect::<Vec<_>>();
    let mut ask = |terms: &[Vec<u8>], as_filter: bool, controls: &[&'static str], code: u8| {
        let before = app.session.work_done();
        let filter = if as_filter { or(terms) } else { element(0x87, b"objectClass") };
        let body = [
            element(4, OWN.as_bytes()),
            element(10, &[0]),
            element(10, &[0]),
            element(2, &[0]),
            element(2, &[0]),
            element(1, &[0]),
            filter,
            element(0x30, &element(4, b"cn")),
        ];
        let message = super::client::raw(9, &element(0x63, &body.concat()));
        let controls: Vec<_> = controls
            .iter()
            .map(|control| {
                let value =
                    if *control == MATCHED_VALUES { element(0x30, &terms.concat()) } else { or(terms) };
                (*control, true, Some(value))
            })
            .collect();
        app.send(&with_controls(&message, &controls)).is(code);
        let work = app.session.work_done() - before;
        assert!(work < 100_000 + 80_000, "{work}");
    };
    const ASSERTION: &str = "1.3.6.1.1.12";
    let named = names("memberOf", "x");
    let escaped = equality("member", &format!("cn={},{BASE}", "\\C3\\A4".repeat(10_000)));
    let attacks = [
        texts(31),
        many(&named),
        many(&names("seeAlso", "ä")),
        many(&names("seeAlso", "x")),
        vec![escaped; 31],
    ];
    for terms in &attacks {
        ask(terms, true, &[], 11);
        ask(terms, false, &[ASSERTION], 11);
        ask(terms, false, &[MATCHED_VALUES], 11);
    }
    assert_eq!(count(&world, Limit::filter_preparation_max), 15);
    // All of them in one request are one.
    ask(&texts(1), true, &[MATCHED_VALUES], 11);
    ask(&texts(1), true, &[], 0);
    assert_eq!(count(&world, Limit::filter_preparation_max), 16);
    // Thousands of plain texts, and of names, are nothing to refuse.
    ask(&(0..16_000).map(|number| equality("cn", &format!("x{number}"))).collect::<Vec<_>>(), true, &[], 0);
    ask(&(0..1_000).map(named).collect::<Vec<_>>(), true, &[], 0);
}

#[test]
fn a_list_of_attributes_in_one_string_is_bounded_and_counted_by_its_names() {
    let world = World::new();
    let mut stranger = Client::new(&world);
    let names = |count: usize, name: &str| vec![name; count].join(",");
    let mut ask = |base: &str, list: &[&str], code: u8| {
        let before = stranger.session.work_done();
        stranger.search(search(base, LdapSearchScope::Base, "(objectClass=*)", list)).is(code);
        stranger.session.work_done() - before
    };
    for base in ["", "cn=subschema"] {
        let whole = names(1_024, "cn");
        let work = ask(base, &[&whole], 0);
        assert!((1_024..TURN_BEFORE_BIND).contains(&work), "{work}");
        let reached = count(&world, Limit::requested_attributes_max);
        // Empty ones are names too, and those of several strings are one list.
        for list in [&[&*names(1_025, "cn")][..], &[&names(1_025, "")], &[&whole, "cn"], &["cn", &whole]] {
            assert!(ask(base, list, 11) < 500);
        }
        assert_eq!(count(&world, Limit::requested_attributes_max), reached + 4);
        // Those with options are looked at once for each type, and only those of that type.
        assert!(ask(base, &[&names(1_024, "vendorName;x")], 0) < TURN_BEFORE_BIND);
    }
}

/// Names with options, each another one: of them there are so many before its own.
fn with_options(name: &str, options: usize, count: usize) -> Vec<String> {
    let options = ";o".repeat(options);
    (0..count).map(|number| format!("{name}{options};x-{number}")).collect()
}

#[test]
fn lists_of_names_with_options_are_bounded_by_what_they_cost() {
    let world = World::new();
    let ask = |client: &mut Client, base: &str, list: &[String], code: u8| {
        let (before, steps) = (client.session.work_done(), steps::taken());
        let list: Vec<&str> = list.iter().map(String::as_str).collect();
        let reply = client.search(search(base, LdapSearchScope::Base, "(objectClass=*)", &list));
        let work = client.session.work_done() - before;
        assert!(steps::taken() - steps <= 4 * work + 1_000, "{work}");
        (reply.is(code).entries().len(), work)
    };
    let refused = |before_bind: bool| {
        count(
            &world,
            if before_bind {
                Limit::filter_preparation_before_bind_max
            } else {
                Limit::filter_preparation_max
            },
        )
    };
    // Before a bind: what clients ask for, and a whole list of short options, but no more than the turn may cost.
    let mut stranger = Client::new(&world);
    let usual = ["userCertificate;binary", "cn;lang-de", "name", "*", "+"].map(str::to_owned);
    let some = |count: usize| -> Vec<String> {
        with_options("description", 1, count / 2)
            .into_iter()
            .chain(with_options("sn", 0, count / 2))
            .collect()
    };
    for base in ["", "cn=subschema"] {
        assert_eq!(ask(&mut stranger, base, &usual, 0).0, 1);
        assert_eq!(ask(&mut stranger, base, &some(16), 0).0, 1);
        let reached = refused(true);
        for name in ["cn", "name", "2.5.4.41"] {
            let (entries, work) = ask(&mut stranger, base, &with_options(name, 0, 1_000), 11);
            assert!(entries == 0 && work < 8_192 + 2_000, "{name}: {work}");
        }
        // In one string it is the same.
        let (_, work) = ask(&mut stranger, base, &[with_options("name", 7, 1_000).join(",")], 11);
        assert!(work < 8_192 + 2_000, "{work}");
        assert_eq!(refused(true), reached + 4);
        // Nobody has so many.
        assert_eq!(ask(&mut stranger, base, &with_options("name", 8, 100), 0).0, 1);
        assert_eq!(ask(&mut stranger, base, &with_options("name", 25, 1_000), 0).0, 1);
    }
    // After it all that one request has to be made ready is one.
    let mut app = Client::app(&world);
    let (entries, work) = ask(&mut app, OWN, &some(190), 0);
    assert!(entries == 1 && (95_000..110_000).contains(&work), "{work}");
    let long = vec![format!("name;{}", "x".repeat(3_900)); 1_000];
    for list in [long, with_options("name", 7, 1_000)] {
        let (_, work) = ask(&mut app, OWN, &list, 11);
        assert!((100_000..170_000).contains(&work), "{work}");
    }
    assert_eq!(refused(false), 2);
}

/// As many attributes with as many options as there may be, and as many names of which none is had by its last option.
#[test]
fn attributes_with_options_are_chosen_in_few_steps_however_many_are_asked_for() {
    let options: Vec<String> = (0..7).map(|number| format!("{}{number}", "o".repeat(30))).collect();
    let reversed: Vec<_> = options.iter().rev().map(String::as_str).collect();
    let list: Vec<_> =
        (0..190).map(|number| format!("description;{};zz{number:03}", reversed.join(";"))).collect();
    // One that is written at once, and one in pieces.
    for (octets, has_own) in [(10, false), (10, true), (2_000, false), (2_000, true)] {
        let world = World::new();
        let attributes: Vec<_> = (0..64)
            .map(|number| Attribute {
                description: format!("description;{};own{number:02}", options.join(";")),
                values: vec![vec![b'x'; octets]],
            })
            .collect();
        world.change_account(APP, |account| account.attributes = attributes);
        let mut app = Client::app(&world);
        let mut list: Vec<_> = list.iter().map(String::as_str).collect();
        if has_own {
            list.push("DESCRIPTION;Own63");
        }
        let request = search(OWN, LdapSearchScope::Base, "(objectClass=*)", &list);
        let before = (app.session.work_done(), steps::taken());
        let reply = app.search(request);
        let (work, steps) = (app.session.work_done() - before.0, steps::taken() - before.1);
        let [entry] = reply.is(0).entries()[..] else { panic!("{:?}", reply.messages) };
        assert_eq!(entry.attributes.len(), usize::from(has_own));
        // A step for each name and each attribute, and one for each option of either.
        assert!((64 * 190..20_000).contains(&steps), "{steps} steps");
        let chosen = work - list.len() as u64 * 500;
        assert!(chosen < 10_000 && steps <= 4 * chosen, "{steps} steps, counted as {chosen}");
    }
}

#[test]
fn assertions_about_names_with_options_are_bounded_by_what_they_cost() {
    let world = World::new();
    let mut app = Client::app(&world);
    let or = |names: &[String]| {
        format!("(|{})", names.iter().map(|name| format!("({name}=x)")).collect::<String>())
    };
    let mut ask = |filter: &str, code: u8| {
        let before = app.session.work_done();
        app.search(search(OWN, LdapSearchScope::Base, filter, &["1.1"])).is(code);
        (app.session.work_done() - before, count(&world, Limit::filter_preparation_max))
    };
    for filter in ["(userCertificate;binary=*)", "(cn;lang-de=x)", "(|(cn;lang-de=x)(cn;lang-fr=x)(cn=x))"] {
        assert!(ask(filter, 0).0 < 500);
    }
    let (different, reached) = ask(&or(&with_options("cn", 7, 2_000)), 0);
    assert!(different > 2_000 * 4 && reached == 0, "{different}");
    // The same description is read once.
    let same = with_options("cn", 7, 1);
    let (work, reached) = ask(&or(&vec![same.concat(); 2_000]), 0);
    assert!(work + 2_000 * 2 < different && reached == 0, "{work}, else {different}");
    // Matched values count with the filter.
    let about: Vec<Vec<u8>> = with_options("name", 7, 2_000).iter().map(|name| equality(name, "x")).collect();
    let before = app.session.work_done();
    let message = encode(
        app.id(),
        LdapOp::SearchRequest(search(OWN, LdapSearchScope::Base, "(objectClass=*)", &["cn"])),
    );
    app.send(&with_controls(&message, &[(MATCHED_VALUES, true, Some(element(0x30, &about.concat())))])).is(0);
    let work = app.session.work_done() - before;
    assert!(work > 2_000 * 4 && count(&world, Limit::filter_preparation_max) == 0, "{work}");
}

#[test]
fn options_are_compared_within_what_is_counted() {
    let world = World::new();
    let own: String = (0..60).map(|number| format!(";o{number}")).collect();
    world.change_account(super::world::ALICE, move |account| {
        account.attributes.extend((0..20).map(|number| Attribute {
            description: format!("description{own};own-{number}"),
            values: vec![b"x".to_vec()],
        }));
    });
    // All but the last are there, in another order.
    let wanted = |last: usize| {
        let options: String = (0..7).rev().map(|number| format!(";O{number}")).collect();
        format!("description{options};z{last}")
    };
    const DN: &str = "cn=alice,ou=users,dc=example,dc=org";
    let mut reader = Client::reader(&world);
    let ask = |filter: &str, list: &[&str]| search(DN, LdapSearchScope::Base, filter, list);
    // By the filter, in turns.
    let before = reader.session.work_done();
    let filter = format!("(|{})", format!("({}=x)", wanted(0)).repeat(20));
    let message = encode(reader.id(), LdapOp::SearchRequest(ask(&filter, &["cn"])));
    reader.push(&message);
    let (code, taken) = turns(&mut reader);
    let work = reader.session.work_done() - before;
    assert!(code == 0 && taken > 5 && work > 50_000, "{code} in {taken} turns, {work}");
    // By the values that are asked for.
    let before = reader.session.work_done();
    let about: Vec<Vec<u8>> = (0..5).map(|number| equality(&wanted(number), "x")).collect();
    let message = encode(reader.id(), LdapOp::SearchRequest(ask("(objectClass=*)", &["description"])));
    let control = (MATCHED_VALUES, true, Some(element(0x30, &about.concat())));
    reader.send(&with_controls(&message, &[control])).is(0);
    assert!(reader.session.work_done() - before > 20_000);
    // By the list of attributes.
    let before = reader.session.work_done();
    let names: Vec<String> = (0..5).map(wanted).collect();
    let reply = reader.search(ask("(objectClass=*)", &names.iter().map(String::as_str).collect::<Vec<_>>()));
    reply.is(0);
    // Each name by what it may cost, and no comparison: they are looked up by numbers.
    let work = reader.session.work_done() - before;
    assert!(work > 2_000 && work < 20_000, "{work}");
    // More than anybody means are not compared at all.
    let many = "description".to_owned() + &";o1".repeat(9);
    let before = reader.session.work_done();
    let reply = reader.search(ask(&format!("({many}=x)"), &[&many]));
    assert!(reply.is(0).entries().is_empty());
    assert!(reader.session.work_done() - before < 500);
    let few = "description".to_owned() + &";o1".repeat(8);
    assert_eq!(reader.search(ask(&format!("({few}=x)"), &[&few])).is(0).entries().len(), 1);
}

/// Of an entry that was made before there were bounds of what one may have.
#[test]
fn nothing_is_compared_behind_the_end_of_an_allowance() {
    let world = World::new();
    let own: String = (0..60).map(|number| format!(";o{number}")).collect();
    world.change_account(super::world::ALICE, move |account| {
        account.attributes.extend((0..900).map(|number| Attribute {
            description: format!("description{own};own-{number}"),
            values: vec![b"x".to_vec()],
        }));
    });
    let mut reader = Client::reader(&world);
    let wanted = "description;o6;o5;o4;o3;o2;o1;o0;none";
    let before = (reader.session.work_done(), steps::taken());
    reader.compare("cn=alice,ou=users,dc=example,dc=org", wanted, "x").is(11);
    let (work, steps) = (reader.session.work_done() - before.0, steps::taken() - before.1);
    assert!(work < 30_000 && steps < 60_000, "{work}, {steps} steps");
}

#[test]
fn looking_through_the_attributes_of_an_entry_is_work() {
    let world = World::new();
    world.change_account(super::world::ALICE, |account| {
        account.attributes.extend((0..900).map(|number| Attribute {
            description: format!("description;x-{number}"),
            values: vec![b"x".to_vec()],
        }));
    });
    let mut reader = Client::reader(&world);
    const DN: &str = "cn=alice,ou=users,dc=example,dc=org";
    for element in ["(roomNumber=7)", "(roomNumber;x-own=7)", "(roomNumber:caseExactMatch:=7)"] {
        let before = reader.session.work_done();
        let filter = format!("(|{})", element.repeat(1_000));
        let request = search(DN, LdapSearchScope::Base, &filter, &["cn"]);
        let message = encode(reader.id(), LdapOp::SearchRequest(request));
        reader.push(&message);
        let (code, taken) = turns(&mut reader);
        let work = reader.session.work_done() - before;
        assert!(code == 0 && taken > 3 && work > 25_000, "{element}: {code} in {taken} turns, {work}");
    }
}

#[test]
fn members_that_have_no_value_are_work() {
    let world = World::new();
    world.change(|transaction| {
        (0..1_500).try_for_each(|number| {
            let group = crate::plain::group(2_000 + number, &format!("part-{number}"));
            transaction.put(Record::Group(Group { parents: vec![STAFF], ..group }))
        })
    });
    let mut reader = Client::reader(&world);
    let before = reader.session.work_done();
    let message = encode(reader.id(), ask_staff(&many_parts(10)));
    reader.push(&message);
    assert_eq!(turns(&mut reader).0, 0);
    let work = reader.session.work_done() - before;
    assert!(work > 15_000, "{work}");
}

#[test]
fn the_choice_of_assertions_is_work_in_each_piece() {
    let world = crowd(300, Limits::default());
    let snapshot = world.registry.snapshot();
    let reader = TreeReader::new(&snapshot, snapshot.tree(MAIN).unwrap(), &Visibility::Full);
    let nobody = FilterItem::Equality { attribute: "memberUid", value: b"nobody" };
    let filter = ValuesFilter::bounded(&vec![nobody; 400], &reader, FilterBounds::NONE).unwrap();
    let names = ["memberUid", "member", "uniqueMember", "memberOf", "name"];
    let selection = Selection::new(&names, &reader, u64::MAX).unwrap();
    let projection = Projection { selection, types_only: false, values: Some(Box::new(filter)) };
    let pieces = [(1, 1), (200, 30), (100_000, 1_000), (100_000, 100_000)];
    // A person has no members: no value comes of what is chosen for.
    let ids = [EntryId::of_group(STAFF), EntryId::of_account(super::world::ALICE)];
    for (id, (octets, piece)) in ids.into_iter().flat_map(|id| pieces.map(|piece| (id, piece))) {
        let entry = &reader.entry(id).unwrap();
        let mut evaluator = Evaluator::default();
        let mut large = LargeEntry::new(&reader, id, entry, &projection, &mut evaluator);
        let mut written = Vec::new();
        loop {
            let (work, steps) = (evaluator.work(), steps::taken());
            let mut room = Room {
                octets: written.len() + octets,
                output: &mut written,
                work: work + piece,
                message_id: 7,
            };
            let end = large.go_on(&reader, entry, &projection, &mut evaluator, &mut room);
            let (work, steps) = (evaluator.work() - work, steps::taken() - steps);
            assert!(steps <= 4 * work + 20, "{steps} steps for a work of {work}");
            match end {
                Piece::More => {}
                end => break assert_eq!(end, Piece::Whole),
            }
        }
    }
}

#[test]
fn what_is_published_is_found_by_what_is_kept() {
    let world = World::new();
    let mut client = Client::new(&world);
    for (filter, is_found) in [
        ("(attributeTypes=cn)", true),
        ("(attributeTypes=2.5.4.3)", true),
        ("(attributeTypes=COMMONNAME)", true),
        ("(attributeTypes=nonsense)", false),
        ("(attributeTypes;x=cn)", false),
        ("(objectClasses=person)", true),
        ("(matchingRules=caseIgnoreMatch)", true),
        ("(:2.5.13.30:=inetOrgPerson)", true),
        ("(:2.5.13.30:=1.9)", false),
        ("(attributeTypes:2.5.13.30:=sn)", true),
    ] {
        let found = client.search(search("cn=subschema", LdapSearchScope::Base, filter, &["1.1"]));
        assert_eq!(found.entries().len(), usize::from(is_found), "{filter}");
    }
}

#[test]
fn a_turn_before_a_bind_takes_little() {
    let world = World::new();
    let mut stranger = Client::new(&world);
    let request = |id| {
        let request = search("", LdapSearchScope::Base, "(objectClass=*)", &["1.1"]);
        encode(id, LdapOp::SearchRequest(request))
    };
    let requests: Vec<u8> = (10..500).flat_map(request).collect();
    let (mut output, moment) = (Vec::new(), stranger.moment());
    let before = stranger.session.work_done();
    let taken = stranger.session.receive(&requests, &mut output, moment);
    assert!(taken > 0 && taken < requests.len() / 2, "{taken} of {}", requests.len());
    assert!(stranger.session.work_done() - before < TURN_BEFORE_BIND);
}

#[test]
fn the_value_of_a_list_view_is_read_within_its_length_only() {
    let world = World::new();
    let mut client = Client::app(&world);
    let sort = element(0x30, &element(0x30, &element(4, b"cn")));
    for octets in [70_000, 1_000_000] {
        let value = element(0x81, "\u{fdfa}".repeat(octets / 3).as_bytes());
        let view = element(0x30, &[element(2, &[0]), element(2, &[0]), value].concat());
        let request = search(BASE, LdapSearchScope::Subtree, "(objectClass=*)", &["1.1"]);
        let message = encode(client.id(), LdapOp::SearchRequest(request));
        let before = client.session.work_done();
        let controls = [
            ("1.2.840.113556.1.4.473", true, Some(sort.clone())),
            ("2.16.840.1.113730.3.4.9", true, Some(view)),
        ];
        client.send(&with_controls(&message, &controls)).is(76);
        let work = client.session.work_done() - before;
        assert!(work < 200 + octets as u64 * 2, "{work}");
    }
    assert_eq!(count(&world, Limit::assertion_length_max), 2);
}

#[test]
fn the_value_of_a_list_view_is_prepared_within_what_that_may_cost() {
    let limits = |octets| Limits { filter_octets_max: octets, ..Limits::default() };
    for (octets_max, limit, word) in [
        (Limits::default().filter_octets_max, Limit::filter_preparation_max, "work"),
        (50_000, Limit::filter_octets_max, "50000 octets"),
    ] {
        let world = World::with(Wishes { limits: limits(octets_max), ..Wishes::default() });
        let mut client = Client::app(&world);
        let request = search(BASE, LdapSearchScope::Subtree, "(objectClass=*)", &["1.1"]);
        let mut ask = |value: &str, code: u8| {
            let before = client.session.work_done();
            let view = list_view(0, 1, element(0x81, value.as_bytes()), None);
            let reply =
                super::orders::ask(&mut client, &request, &vec![order(true, &[("cn", None, false)]), view]);
            assert!(client.session.work_done() - before < 200_000);
            (
                reply.is(code).result().message.clone(),
                super::orders::view_result(&reply),
                count(&world, limit),
            )
        };
        assert_eq!(ask(&"\u{fdfa}".repeat(1_000), 0).2, 0);
        // As in a filter, where it is the same value.
        let (sentence, view, reached) = ask(&"\u{fdfa}".repeat(10_000), 11);
        assert!(sentence.contains(word), "{sentence}");
        assert_eq!((view, reached), (Some((0, 0, 11)), 1));
        let filter = format!("(cn={})", "\u{fdfa}".repeat(10_000));
        let mut client = Client::app(&world);
        let reply = client.search(search(BASE, LdapSearchScope::Subtree, &filter, &["1.1"]));
        assert_eq!(reply.is(11).result().message, sentence);
        assert_eq!(count(&world, limit), 2);
    }
}

fn equality(attribute: &str, value: &str) -> Vec<u8> {
    element(0xa3, &[element(4, attribute.as_bytes()), element(4, value.as_bytes())].concat())
}

fn ask_values(client: &mut Client, assertions: &[Vec<u8>]) -> Vec<u8> {
    let request = search(STAFF_DN, LdapSearchScope::Base, "(objectClass=*)", &["member", "memberUid"]);
    let message = encode(client.id(), LdapOp::SearchRequest(request));
    with_controls(&message, &[(MATCHED_VALUES, true, Some(element(0x30, &assertions.concat())))])
}

#[test]
fn matched_values_are_work() {
    let world = crowd(3_000, Limits { filter_work_max: 100_000, ..Limits::default() });
    let mut reader = Client::reader(&world);
    // Each is found once, not compared as a name.
    let named = equality("member", "CN=user-7, ou=users,dc=example,dc=org");
    let before = reader.session.work_done();
    let message =
        ask_values(&mut reader, &[named.clone(), equality("member", "cn=nobody,dc=example,dc=org")]);
    let reply = reader.send(&message);
    reply.is(0);
    assert_eq!(reply.values("member"), ["cn=user-7,ou=users,dc=example,dc=org"]);
    let work = reader.session.work_done() - before;
    assert!((3_000..30_000).contains(&work), "{work}");
    // Every value by every assertion.
    let many: Vec<Vec<u8>> =
        (0..1_000).map(|number| equality("description", &format!("x{number}"))).collect();
    let parts = |number: usize| {
        let part = element(0x30, &element(0x81, format!("none-{number}").as_bytes()));
        element(0xa4, &[element(4, b"memberUid"), part].concat())
    };
    let about: Vec<Vec<u8>> = (0..200).map(parts).collect();
    let message = ask_values(&mut reader, &about);
    reader.push(&message);
    let mut turns = 0;
    let code = loop {
        let before = reader.session.work_done();
        let (messages, _) = reader.step();
        assert!(reader.session.work_done() - before < 60_000);
        turns += 1;
        if let Some(result) = messages.iter().find_map(|message| super::client::result_of(&message.op)) {
            assert_eq!(messages.len(), 1, "nothing of the entry is sent");
            break result.code.clone() as i64;
        }
    };
    assert_eq!(code, 11);
    assert!(turns > 3, "others have their turns: {turns}");
    assert_eq!(count(&world, Limit::filter_work_max), 1);
    // Those that are about nothing here cost nothing for each value.
    let message = ask_values(&mut reader, &[many, vec![named]].concat());
    reader.send(&message).is(0);
}

fn in_chain(attribute: &str, value: &str) -> Vec<u8> {
    let rule = element(0x81, b"1.2.840.113556.1.4.1941");
    element(0xa9, &[rule, element(0x82, attribute.as_bytes()), element(0x83, value.as_bytes())].concat())
}

/// The code with which a search with matched values ends, its turns, and the most that one of them did but for the first,
/// which makes all ready.
fn turns_of_values(client: &mut Client, base: &str, attribute: &str, about: &[Vec<u8>]) -> (i64, usize, u64) {
    let request = search(base, LdapSearchScope::Base, "(objectClass=*)", &[attribute]);
    let message = encode(client.id(), LdapOp::SearchRequest(request));
    client.push(&with_controls(&message, &[(MATCHED_VALUES, true, Some(element(0x30, &about.concat())))]));
    let (mut turns, mut most) = (0, 0);
    loop {
        let before = client.session.work_done();
        let (messages, _) = client.step();
        if turns > 0 {
            most = most.max(client.session.work_done() - before);
        }
        turns += 1;
        if let Some(result) = messages.iter().find_map(|message| super::client::result_of(&message.op)) {
            return (result.code.clone() as i64, turns, most);
        }
    }
}

#[test]
fn what_many_values_are_sorted_by_is_found_in_turns() {
    let world = crowd(20_000, Limits::default());
    let mut reader = Client::reader(&world);
    let request = search(STAFF_DN, LdapSearchScope::Base, "(objectClass=*)", &["1.1"]);
    // The most that one turn did, and what all of it was.
    let mut ask = |controls: &Controls<'_>| {
        let message = encode(reader.id(), LdapOp::SearchRequest(request.clone()));
        reader.push(&with_controls(&message, controls));
        let (mut all, mut most) = (0, 0);
        loop {
            let before = reader.session.work_done();
            let (messages, _) = reader.step();
            let work = reader.session.work_done() - before;
            (all, most) = (all + work, most.max(work));
            let result = messages.iter().find_map(|message| super::client::result_of(&message.op));
            if let Some(result) = result {
                assert_eq!(result.code.clone() as i64, 0);
                return (all, most);
            }
        }
    };
    let by_members = order(true, &[("memberUid", None, false)]);
    let window = || list_view(0, 1, element(0x81, b"user-1"), None);
    for (name, controls) in [
        ("sorted", vec![by_members.clone()]),
        ("a view", vec![by_members.clone(), window()]),
        ("the view again, whose order is kept", vec![by_members.clone(), window()]),
        ("a page", vec![by_members, (PAGED, true, Some(page_value(1, b"")))]),
    ] {
        let (all, most) = ask(&controls);
        assert!(all > 20_000 && most < 12_000, "{name}: {all}, in one turn {most}");
    }
}

#[test]
fn matched_values_about_memberships_are_looked_at_in_turns() {
    const OWN: &str = "cn=app,ou=users,dc=example,dc=org";
    let world = crowd(3_000, Limits::default());
    world.change(|transaction| {
        (0..250).try_for_each(|number| {
            let group = crate::model::GroupNumber::new(50_000 + number);
            transaction.put(Record::Group(crate::plain::group(group.get(), &format!("g{number}"))))?;
            transaction.put(Record::Membership(Membership { group, account: super::world::APP }))
        })
    });
    let mut app = Client::app(&world);
    // Groups of an account, each by every assertion, by which none is selected.
    let (code, taken, most) =
        turns_of_values(&mut app, OWN, "memberOf", &vec![in_chain("memberOf", OWN); 1_000]);
    assert!(code == 0 && taken > 20 && most < 15_000, "{code} in {taken} turns of {most}");
    // The choice of assertions is work too, also where there is one value.
    let about: Vec<_> = (0..10_000).map(|number| equality("description", &format!("x{number}"))).collect();
    let (code, taken, most) = turns_of_values(&mut app, OWN, "memberOf", &about);
    assert!(code == 0 && taken > 2 && most < 15_000, "{code} in {taken} turns of {most}");
    // Each member is looked up once, and asked by every assertion.
    let mut reader = Client::reader(&world);
    let about = vec![in_chain("member", "cn=reader,ou=users,dc=example,dc=org"); 50];
    let before = reader.session.work_done();
    let (code, taken, most) = turns_of_values(&mut reader, STAFF_DN, "member", &about);
    let work = reader.session.work_done() - before;
    assert!(code == 0 && taken > 20 && most < 15_000, "{code} in {taken} turns of {most}");
    // It is measured and written.
    assert!((2 * 3_000 * 50..2 * 3_000 * 150).contains(&work), "{work}");
    // Ways of any attribute begin at each member.
    let rule = element(0x81, b"1.2.840.113556.1.4.1941");
    let any = element(0xa9, &[rule, element(0x83, b"cn=nobody,dc=example,dc=org")].concat());
    let (code, taken, most) = turns_of_values(&mut reader, STAFF_DN, "member", &vec![any; 50]);
    assert!(code == 0 && taken > 20 && most < 15_000, "{code} in {taken} turns of {most}");
}

#[test]
fn a_compare_takes_no_more_than_one_turn() {
    let world = crowd(3_000, Limits::default());
    world.change(|transaction| {
        let Record::Provider(mut main) = super::world::provider(MAIN, "main", BASE, None) else {
            unreachable!()
        };
        main.compatibility_attributes = false;
        transaction.put(Record::Provider(main))
    });
    let mut reader = Client::reader(&world);
    let before = reader.session.work_done();
    // A question about all that is derived from it, so about each member.
    reader.compare(STAFF_DN, "distinguishedName", "cn=x").is(11);
    let work = reader.session.work_done() - before;
    assert!(work < 25_000, "{work}");
    assert_eq!(count(&world, Limit::filter_work_max), 1);
    reader.compare(STAFF_DN, "member", "cn=user-7,ou=users,dc=example,dc=org").is(6);
    reader.compare(STAFF_DN, "member", "cn=x").is(5);
}

#[test]
fn chains_of_any_attribute_are_counted_by_the_attributes() {
    let world = World::new();
    let mut stranger = Client::new(&world);
    for base in ["", "cn=subschema"] {
        let ask = |count: usize| {
            let chains: String =
                (0..count).map(|number| format!("(:1.2.840.113556.1.4.1941:=cn=x{number})")).collect();
            search(base, LdapSearchScope::Base, &format!("(|{chains})"), &["1.1"])
        };
        // Some thirty attributes are asked for each.
        let before = stranger.session.work_done();
        stranger.search(ask(20)).is(0);
        let work = stranger.session.work_done() - before;
        assert!((20 * 20..TURN_BEFORE_BIND).contains(&work), "{work}");
        let before = stranger.session.work_done();
        stranger.search(ask(250)).is(11);
        let work = stranger.session.work_done() - before;
        assert!((5_000..TURN_BEFORE_BIND + 8_192).contains(&work), "{work}");
    }
}

#[test]
fn an_entry_with_many_members_is_written_in_pieces_and_what_follows_it_can_be_abandoned() {
    let limits = Limits { output_buffer_max: 16 * 1024, ..Limits::default() };
    let world = crowd(5_000, limits);
    // What is abandoned, and how many messages come.
    for (abandoned, count) in [(70, 1), (1, 2)] {
        let mut reader = Client::reader(&world);
        let (mut octets, mut peak, mut turns) = (Vec::new(), 0, 0);
        let moment = reader.moment();
        let mut output = Vec::new();
        let request = search(STAFF_DN, LdapSearchScope::Base, "(objectClass=*)", &[]);
        reader.session.receive(&encode(70, LdapOp::SearchRequest(request)), &mut output, moment);
        let abandon = encode(71, LdapOp::AbandonRequest(abandoned));
        let mut untaken = &abandon[..];
        while reader.session.next() == Next::Work {
            peak = peak.max(output.len());
            octets.append(&mut output);
            // Nothing is taken while an entry is half written, and no notice stands in it.
            if !octets.is_empty() {
                let taken = reader.session.receive(untaken, &mut output, moment);
                assert!(taken == 0 || super::client::decode(&octets).len() == 1);
                untaken = &untaken[taken..];
            }
            if reader.session.next() == Next::Work {
                reader.session.work(&mut output, moment);
            }
            turns += 1;
        }
        octets.append(&mut output);
        assert!(
            untaken.is_empty() && turns > 5 && peak <= (16 + 64 + 1) * 1024,
            "{turns} turns, {peak} octets"
        );
        let messages = super::client::decode(&octets);
        assert_eq!(messages.len(), count);
        match &messages[0].op {
            LdapOp::SearchResultEntry(entry) => {
                assert_eq!(super::client::values_of(entry, "member").len(), 5_003);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_answer_that_is_whole_is_one_though_its_time_is_over() {
    let limits = Limits { output_buffer_max: 16 * 1024, ..Limits::default() };
    let world = crowd(5_000, limits);
    let by_name = [order(true, &[("cn", None, false)])];
    // The same in an order, and one behind which there is more.
    for (base, scope, controls, code) in [
        (STAFF_DN, LdapSearchScope::Base, &[][..], 0),
        (STAFF_DN, LdapSearchScope::Base, &by_name[..], 0),
        (BASE, LdapSearchScope::Subtree, &[][..], 3),
    ] {
        let mut reader = Client::reader(&world);
        let mut request = search(base, scope, "(objectClass=*)", &["member"]);
        request.timelimit = 5;
        let message = with_controls(&encode(70, LdapOp::SearchRequest(request)), controls);
        let (mut octets, mut output) = (Vec::new(), Vec::new());
        let moment = reader.moment();
        reader.session.receive(&message, &mut output, moment);
        while reader.session.next() == Next::Work {
            octets.append(&mut output);
            // When the first of it is read its time is over.
            if !octets.is_empty() {
                reader.later = Duration::from_secs(6);
            }
            let moment = reader.moment();
            reader.session.work(&mut output, moment);
        }
        octets.append(&mut output);
        let messages = super::client::decode(&octets);
        let result = messages.last().and_then(|message| super::client::result_of(&message.op)).unwrap();
        assert!(messages.len() > 1, "{base}");
        assert_eq!(result.code.clone() as i64, code, "{base}");
    }
}

#[test]
fn an_entry_that_is_only_measured_can_be_abandoned_and_ends_in_time() {
    let world = crowd(3_000, Limits::default());
    let mut reader = Client::reader(&world);
    let parts = |number: usize| {
        let part = element(0x30, &element(0x81, format!("none-{number}").as_bytes()));
        element(0xa4, &[element(4, b"memberUid"), part].concat())
    };
    let about: Vec<Vec<u8>> = (0..200).map(parts).collect();
    let begin = |reader: &mut Client| {
        let message = ask_values(reader, &about);
        reader.push(&message);
        reader.step();
        assert_eq!(reader.step().1, Next::Work);
    };
    begin(&mut reader);
    let abandon = |id| LdapOp::AbandonRequest(id);
    let id = reader.id() - 1;
    let message = encode(900, abandon(id));
    reader.send(&message).is_silence();
    begin(&mut reader);
    reader.later = Duration::from_secs(3_601);
    reader.send(&[]).is(3);
}

#[test]
fn pieces_are_the_octets_of_the_whole() {
    let world = crowd(40, Limits::default());
    let snapshot = world.registry.snapshot();
    let tree = snapshot.tree(MAIN).unwrap();
    let view = crate::access::visibility_of(
        snapshot.accounts(),
        snapshot.accounts().account(super::world::APP).unwrap(),
        MAIN,
    );
    let items = [
        FilterItem::Substrings { attribute: "memberUid", parts: 1 },
        FilterItem::Part { kind: crate::directory::filter::PartPosition::Any, value: b"r-1" },
        FilterItem::Equality { attribute: "member", value: b"cn=alice,ou=users,dc=example,dc=org" },
        FilterItem::Equality { attribute: "objectClass", value: b"posixGroup" },
    ];
    let mut compared = 0;
    for visibility in [Visibility::Full, view] {
        let reader = TreeReader::new(&snapshot, tree, &visibility);
        let filter = ValuesFilter::bounded(&items, &reader, FilterBounds::NONE).unwrap();
        for names in
            [&[][..], &["*", "+"], &["member", "cn", "memberOf"], &["1.1"], &["memberUid", "entryUUID"]]
        {
            for values in [None, Some(Box::new(filter.clone()))] {
                let selection = Selection::new(names, &reader, u64::MAX).unwrap();
                let projection = Projection { selection, types_only: false, values };
                let everything = PreparedFilter::new(&[FilterItem::And { items: 0 }], &reader);
                let mut walk = Walk::new(&reader, &everything, EntryId::SUFFIX, Scope::Subtree);
                while let Some(id) = walk.next(&reader) {
                    let Some(entry) = reader.entry(id) else { continue };
                    let entry = &*entry;
                    let mut whole = Vec::new();
                    let mut evaluator = Evaluator::default();
                    write_entry(&mut whole, 7, &reader, id, entry, &projection, &mut evaluator);
                    for (octets, work) in [(1, 1), (40, 3), (100_000, 100_000)] {
                        let mut large = LargeEntry::new(&reader, id, entry, &projection, &mut evaluator);
                        let mut written = Vec::new();
                        loop {
                            let (octets, work) = (written.len() + octets, evaluator.work() + work);
                            let mut room = Room { output: &mut written, octets, work, message_id: 7 };
                            match large.go_on(&reader, entry, &projection, &mut evaluator, &mut room) {
                                Piece::More => {}
                                end => break assert_eq!(end, Piece::Whole),
                            }
                        }
                        assert_eq!(written, whole, "{names:?}: {}", String::from_utf8_lossy(entry.dn()));
                        compared += 1;
                    }
                }
            }
        }
    }
    assert!(compared > 1_000, "{compared}");
}

/// A dump of who sees everything, that has begun.
fn dump(world: &World) -> Client {
    let mut reader = Client::reader(world);
    let request = search(BASE, LdapSearchScope::Subtree, "(objectClass=*)", &[]);
    reader.push(&encode(80, LdapOp::SearchRequest(request)));
    assert!(!reader.step().0.is_empty());
    assert!(reader.step().1 == Next::Work);
    reader
}

#[test]
fn a_running_search_does_not_outlive_its_right() {
    let world = World::with(Wishes { people: 5_000, ..Wishes::default() });
    // A change of something else leaves it alone.
    let mut reader = dump(&world);
    world.change_token(APP_TOKEN, |token| token.description = "changed".to_owned());
    assert!(reader.send(&[]).is(0).entries().len() > 3_000);
    // The right to see everything: what is left is its own.
    let mut reader = dump(&world);
    world.grant_readers(Vec::new());
    let reply = reader.send(&[]);
    reply.is(0);
    assert!(reply.entries().len() < 4, "{:?}", reply.dns());
    world.grant_readers(vec![search_grant(Some(MAIN))]);
    // Who is inactive, and who is gone.
    let mut reader = dump(&world);
    world.change_account(super::world::READER, |account| account.is_active = false);
    let reply = reader.send(&[]);
    assert!(reply.is(50).entries().is_empty());
    world.change_account(super::world::READER, |account: &mut Account| account.is_active = true);
    let mut reader = dump(&world);
    // Without a change too, from the second that a secret expires.
    reader.now = super::world::NOW.after(Duration::from_secs(50));
    assert!(!reader.step().0.is_empty());
    world.change(|transaction| transaction.delete(Key::Token(crate::model::TokenNumber::new(35))));
    let reply = reader.send(&[]);
    assert!(reply.is(50).entries().is_empty());
}

#[test]
fn what_was_asked_of_a_hidden_entry_is_forgotten_with_the_right() {
    let world = crowd(4_000, Limits::default());
    world.change(|transaction| {
        let account = super::world::READER;
        transaction.put(Record::Membership(Membership { group: super::world::HIDDEN, account }))
    });
    // It would be found by a membership that it may still see, and by one that it may not.
    let hidden = format!("(|(memberOf={STAFF_DN})(memberOf=cn=everyone,ou=groups,{BASE}))");
    let mut reader = Client::reader(&world);
    let request = search(BASE, LdapSearchScope::Subtree, &hidden, &["memberOf"]);
    reader.push(&encode(80, LdapOp::SearchRequest(request)));
    assert!(!reader.step().0.is_empty());
    world.change(|transaction| {
        let account = super::world::READER;
        transaction.put(Record::Membership(Membership { group: STAFF, account }))
    });
    world.grant_readers(Vec::new());
    let reply = reader.send(&[]);
    assert!(reply.is(0).entries().is_empty(), "{:?}", reply.dns());
}

/// A reader that has got part of the staff, and what that is.
fn half_written(world: &World) -> (Client, Vec<u8>) {
    let mut reader = Client::reader(world);
    let request = search(STAFF_DN, LdapSearchScope::Base, "(objectClass=*)", &["*", "+"]);
    let (mut output, moment) = (Vec::new(), reader.moment());
    reader.session.receive(&encode(70, LdapOp::SearchRequest(request)), &mut output, moment);
    while output.is_empty() {
        reader.session.work(&mut output, moment);
    }
    assert_eq!(reader.session.next(), Next::Work);
    (reader, output)
}

/// Expects that it ends there.
#[track_caller]
fn ends_at_once(mut reader: Client) {
    let (mut output, moment) = (Vec::new(), reader.moment());
    reader.session.work(&mut output, moment);
    assert!(output.is_empty());
    assert_eq!(reader.session.next(), Next::Close);
}

/// A staff of 5,000 with an entry elsewhere that it refers to, if any, and a reader who may be admitted there.
fn crowd_that_refers_to(elsewhere: Option<&str>) -> World {
    let world = crowd(5_000, Limits { output_buffer_max: 16 * 1024, ..Limits::default() });
    let attributes = elsewhere.map(|dn| plain::attribute("seeAlso", &[dn])).into_iter().collect();
    world.change(move |transaction| {
        transaction.delete(Key::Application(VAULT))?;
        transaction.put(Record::Group(Group { attributes, ..plain::group(STAFF.get(), "staff") }))
    });
    world.grant_readers(vec![search_grant(None)]);
    world
}

#[test]
fn a_half_written_entry_ends_with_the_connection_when_the_right_is_gone() {
    let world = crowd_that_refers_to(None);
    let (reader, _) = half_written(&world);
    world.grant_readers(Vec::new());
    ends_at_once(reader);
    // The right to see what it names.
    let there = format!("cn=alice,ou=users,{OTHER_BASE}");
    let world = crowd_that_refers_to(Some(&there));
    let (reader, _) = half_written(&world);
    world.grant_readers(vec![search_grant(Some(MAIN))]);
    ends_at_once(reader);
}

/// Another provider that does not admit the reader, or an entry there that nothing refers to, is nothing that it had been told.
#[test]
fn a_half_written_entry_goes_on_when_less_is_seen_elsewhere() {
    for elsewhere in [None, Some("cn=hidden-bob,ou=users,dc=example,dc=org")] {
        let world = crowd_that_refers_to(elsewhere);
        let (mut reader, mut octets) = half_written(&world);
        world.grant_readers(vec![search_grant(Some(MAIN))]);
        let moment = reader.moment();
        reader.session.work(&mut octets, moment);
        world.change(|transaction| transaction.put(Record::Application(vault(Vec::new()))));
        while reader.session.next() == Next::Work {
            let mut output = Vec::new();
            reader.session.work(&mut output, moment);
            octets.append(&mut output);
        }
        assert_eq!(reader.session.next(), Next::Read);
        let messages = super::client::decode(&octets);
        assert_eq!(messages.len(), 2);
        match &messages[0].op {
            LdapOp::SearchResultEntry(entry) => {
                assert_eq!(super::client::values_of(entry, "member").len(), 5_003);
                assert_eq!(
                    super::client::values_of(entry, "seeAlso").len(),
                    usize::from(elsewhere.is_some())
                );
            }
            other => panic!("{other:?}"),
        }
    }
}

/// An OR of so many assertions that no value passes, about names that are no index's.
fn many_parts(count: usize) -> String {
    let parts: Vec<String> = (0..count).map(|number| format!("(memberUid=*none-{number}*)")).collect();
    format!("(|{})", parts.concat())
}

fn ask_staff(filter: &str) -> LdapOp {
    LdapOp::SearchRequest(search(STAFF_DN, LdapSearchScope::Base, filter, &["cn"]))
}

/// The code with which the one search of a client ends, and its turns; none of them does more than two pieces.
fn turns(client: &mut Client) -> (i64, usize) {
    let mut turns = 0;
    loop {
        let before = client.session.work_done();
        let (messages, _) = client.step();
        let work = client.session.work_done() - before;
        assert!(work < 45_000, "a turn did {work}");
        turns += 1;
        if let Some(result) = messages.iter().find_map(|message| super::client::result_of(&message.op)) {
            return (result.code.clone() as i64, turns);
        }
    }
}

#[test]
fn one_entry_with_many_values_is_looked_at_in_turns() {
    let world = crowd(3_000, Limits::default());
    let mut reader = Client::reader(&world);
    let message = encode(reader.id(), ask_staff(&many_parts(100)));
    reader.push(&message);
    let (code, taken) = turns(&mut reader);
    assert!(code == 0 && taken > 10, "300,000 values are compared in {taken} turns: {code}");
    // It ends when it is at the end of what it may.
    let message = encode(reader.id(), ask_staff(&many_parts(1_000)));
    reader.push(&message);
    let (code, taken) = turns(&mut reader);
    assert!(code == 11 && taken > 90, "{taken} turns: {code}");
    assert_eq!(count(&world, Limit::filter_work_max), 1);
    // It can be abandoned, and has its time.
    let begin = |reader: &mut Client| {
        let message = encode(reader.id(), ask_staff(&many_parts(100)));
        reader.push(&message);
        reader.step();
        assert_eq!(reader.step().1, Next::Work);
    };
    begin(&mut reader);
    let message = encode(900, LdapOp::AbandonRequest(reader.id() - 1));
    reader.send(&message).is_silence();
    begin(&mut reader);
    reader.later = Duration::from_secs(3_601);
    reader.send(&[]).is(3);
    reader.later = Duration::ZERO;
    // What was found before a right was lost is nothing behind that.
    begin(&mut reader);
    world.grant_readers(Vec::new());
    let (code, taken) = turns(&mut reader);
    assert!(code == 0 && taken < 3, "the entry is not there any more: {code} in {taken} turns");
}

#[test]
fn where_there_are_no_turns_little_is_looked_at() {
    let world = crowd(3_000, Limits::default());
    let mut reader = Client::reader(&world);
    let parts = (0..100).map(|number: u8| {
        let part = element(0x30, &element(0x81, format!("none-{number}").as_bytes()));
        element(0xa4, &[element(4, b"memberUid"), part].concat())
    });
    let assertion = element(0xa1, &parts.collect::<Vec<_>>().concat());
    let mut request = search(STAFF_DN, LdapSearchScope::Base, "(objectClass=*)", &["cn"]);
    let message = with_controls(
        &encode(reader.id(), LdapOp::SearchRequest(request.clone())),
        &[("1.3.6.1.1.12", true, Some(assertion))],
    );
    let before = reader.session.work_done();
    reader.send(&message).is(11);
    assert!(reader.session.work_done() - before < 25_000);
    // The subschema has some hundred values, each of some hundred octets.
    request = search("cn=subschema", LdapSearchScope::Base, "(objectClass=*)", &["cn"]);
    request.filter = LdapFilter::Or(
        (0..2_000)
            .map(|number| LdapFilter::Equality("attributeTypes".to_owned(), format!("1.2.3.{number}")))
            .collect(),
    );
    let message = encode(reader.id(), LdapOp::SearchRequest(request));
    let before = reader.session.work_done();
    reader.send(&message).is(11);
    assert!(reader.session.work_done() - before < 60_000);
    assert_eq!(count(&world, Limit::filter_work_max), 2);
}

#[test]
fn what_is_chosen_from_indexes_is_work_and_the_same_is_chosen_once() {
    let world = crowd(4_000, Limits::default());
    let snapshot = world.registry.snapshot();
    let tree = snapshot.tree(MAIN).unwrap();
    let reader = TreeReader::new(&snapshot, tree, &Visibility::Full);
    let choose = |items: &[FilterItem<'_>]| {
        let filter = PreparedFilter::new(items, &reader);
        let before = steps::taken();
        let plan = plan(&filter, &reader);
        let steps = steps::taken() - before;
        assert!(steps <= 4 * plan.work + 20, "{steps} steps for a work of {}", plan.work);
        plan
    };
    let many = [
        FilterItem::Present { attribute: "uid" },
        FilterItem::Equality { attribute: "memberOf", value: STAFF_DN.as_bytes() },
        FilterItem::Present { attribute: "cn" },
    ];
    for connective in [|items| FilterItem::And { items }, |items| FilterItem::Or { items }] {
        let once = choose(&[&[connective(3)][..], &many].concat());
        assert!((200..2_000).contains(&once.work), "{}", once.work);
        let repeated: Vec<_> = many.iter().cycle().take(900).cloned().collect();
        let repeated = choose(&[vec![connective(900)], repeated].concat());
        assert_eq!(repeated.candidates.count(), once.candidates.count());
        assert!(repeated.work < once.work + 1_000, "{} of {}", repeated.work, once.work);
    }
    // Three octets that stand in the filter over and over, more than are asked for: what is chosen holds all of them.
    let part = vec![b'1'; 40_000];
    let substrings = |part| {
        choose(&[
            FilterItem::Substrings { attribute: "uid", parts: 1 },
            FilterItem::Part { kind: crate::directory::filter::PartPosition::Any, value: part },
        ])
    };
    let (long, short) = (substrings(&part), substrings(&part[..3]));
    assert_eq!(long.candidates.count(), short.candidates.count());
    assert!(short.candidates.count().is_some_and(|count| count > 1), "{:?}", short.candidates);
    assert!(short.work < 10 && (9_000..11_000).contains(&long.work), "{} and {}", short.work, long.work);
    // And a search counts it.
    let mut client = Client::reader(&world);
    let before = client.session.work_done();
    let mut request = search(BASE, LdapSearchScope::Subtree, "(objectClass=*)", &["1.1"]);
    let absent = LdapFilter::Equality("uid".to_owned(), "nobody".to_owned());
    let people = LdapFilter::Equality("memberOf".to_owned(), STAFF_DN.to_owned());
    let either = LdapFilter::Or(vec![people, LdapFilter::Present("uid".to_owned())]);
    request.filter = LdapFilter::And(vec![either, absent]);
    client.search(request).is(0);
    assert!(client.session.work_done() - before > 100);
}

/// A world in which the app stands directly in each of a chain of groups.
fn chained(groups: u32) -> World {
    let world = World::new();
    let number = |place: u32| GroupNumber::new(2_000 + place);
    world.change(move |transaction| {
        (0..groups).try_for_each(|place| {
            let parents = place.checked_sub(1).map(number);
            let parents = parents.as_slice();
            transaction.put(super::world::group(
                number(place),
                &format!("chained-{place}"),
                parents,
                false,
            ))?;
            transaction.put(Record::Membership(Membership { group: number(place), account: APP }))
        })
    });
    world
}

#[test]
fn the_groups_of_an_account_are_gone_through_once_and_counted() {
    const GROUPS: u64 = 100;
    let world = chained(GROUPS as u32);
    let reached = GROUPS * (GROUPS + 1) / 2;
    let mut app = Client::app(&world);
    let costs = |client: &mut Client, about: &str| {
        let before = (client.session.work_done(), steps::taken());
        let found = client.search(search(about, LdapSearchScope::Base, "(objectClass=*)", &["1.1"]));
        assert_eq!(found.is(0).entries().len(), 1, "{about}");
        (client.session.work_done() - before.0, steps::taken() - before.1)
    };
    let lowest = format!("cn=chained-{},ou=groups,dc=example,dc=org", GROUPS - 1);
    assert!(app.session.work_done() > reached, "a bind asks whether it sees all");
    let (work, _) = costs(&mut app, &lowest);
    assert!(work > 2 * reached, "a work of {work}");
    for about in [&lowest, "cn=chained-0,ou=groups,dc=example,dc=org"] {
        let (work, steps) = costs(&mut app, about);
        assert!(steps < 500 && work < 500, "{steps} steps for a work of {work}");
    }
    // Who asks who it is does not go through them.
    let before = steps::taken();
    assert_eq!(app.who_am_i(), "dn:cn=app,ou=users,dc=example,dc=org");
    assert!(steps::taken() - before < 500);
    // Of another directory it is another.
    world.change(|transaction| {
        transaction.delete(Key::Membership(GroupNumber::new(2_000 + GROUPS as u32 - 1), APP))
    });
    let before = app.session.work_done();
    let gone = app.search(search(&lowest, LdapSearchScope::Base, "(objectClass=*)", &["1.1"]));
    assert!(gone.is(32).entries().is_empty());
    assert!(app.session.work_done() - before > 2 * reached);
    costs(&mut app, &format!("cn=chained-{},ou=groups,dc=example,dc=org", GROUPS - 2));
}

/// Lets the app into so many groups that the application of its provider is bound to so many others of, and to what
/// `last` says.
fn many_bindings(world: &World, groups: u32, bindings: u32, last: Option<BindingSubject>) {
    let number = |place: u32| GroupNumber::new(5_000 + place);
    world.change(move |transaction| {
        for place in 0..groups + bindings {
            let group = super::world::group(number(place), &format!("many-{place}"), &[], false);
            transaction.put(group)?;
        }
        for place in 0..groups {
            transaction.put(Record::Membership(Membership { group: number(place), account: APP }))?;
        }
        let others = (groups..groups + bindings).map(|place| BindingSubject::Group(number(place)));
        transaction.put(Record::Application(Application {
            provider: Some(MAIN),
            bindings: others.chain(last).map(plain::binding).collect(),
            ..plain::application(300, "many")
        }))
    });
}

#[test]
fn who_is_admitted_is_asked_once_for_each_revision_and_counted() {
    const GROUPS: u32 = 100;
    const BINDINGS: u32 = 400;
    let cost = u64::from(2 * GROUPS + BINDINGS);
    let app_dn = "cn=app,ou=users,dc=example,dc=org";
    let costs = |client: &mut Client, ask: &dyn Fn(&mut Client)| {
        let before = (client.session.work_done(), steps::taken());
        ask(client);
        let (work, steps) = (client.session.work_done() - before.0, steps::taken() - before.1);
        assert!(steps <= work, "{steps} steps for a work of {work}");
        work
    };
    // Refused: by turns of some binds, with a secret that is known to be right.
    let world = World::new();
    let mut client = Client::app(&world);
    many_bindings(&world, GROUPS, BINDINGS, None);
    let bind = |client: &mut Client| {
        let reply = client.bind(app_dn, &world.secrets.app);
        let message = &reply.is(50).result().message;
        assert!(message.ends_with(&format!("; and {} more", BINDINGS - 8)), "{message}");
    };
    let work = costs(&mut client, &bind);
    assert!((cost..4 * cost).contains(&work), "a work of {work}");
    assert!(costs(&mut client, &bind) < 300, "nothing has changed");
    client.now = client.now.after(Duration::from_secs(1));
    assert!((cost..3 * cost).contains(&costs(&mut client, &bind)), "at another second it is told anew");
    // Admitted by the last of them.
    let world = World::new();
    many_bindings(&world, GROUPS, BINDINGS, Some(BindingSubject::Account(APP)));
    let mut client = Client::new(&world);
    let bind = |client: &mut Client| {
        client.bind(app_dn, &world.secrets.app).is(0);
    };
    let work = costs(&mut client, &bind);
    assert!((cost..2 * cost).contains(&work), "a work of {work}");
    let who_am_i = |client: &mut Client| assert_eq!(client.who_am_i(), format!("dn:{app_dn}"));
    assert!(costs(&mut client, &who_am_i) < 150);
    world.change(|transaction| transaction.delete(Key::Group(GroupNumber::new(5_000))));
    assert!(costs(&mut client, &who_am_i) > cost - 10, "of another directory it is asked again");
    // At another second those to networks and times are asked again, and no others.
    let networks = BindingSubject::Networks(vec!["192.0.2.0/24".parse().unwrap(); 5]);
    many_bindings(&world, GROUPS, BINDINGS, Some(networks));
    assert!(costs(&mut client, &who_am_i) > cost);
    client.now = client.now.after(Duration::from_secs(1));
    assert!((100..150).contains(&costs(&mut client, &who_am_i)));
}

#[test]
fn whether_an_application_is_at_home_is_asked_once_for_each_revision_and_counted() {
    let world = World::new();
    let mut reader = Client::reader(&world);
    world.change(|transaction| {
        let bindings = (0..500).map(|place| {
            let group = GroupNumber::new(5_000 + place);
            plain::binding(BindingSubject::Group(group))
        });
        transaction.put(Record::Application(Application {
            provider: Some(MAIN),
            bindings: bindings.collect(),
            ..plain::application(300, "many")
        }))
    });
    let mut stranger = Client::new(&world);
    let mut costs = || {
        let before = (stranger.session.work_done(), steps::taken());
        stranger.bind("somebody", "wrong").is(49);
        (stranger.session.work_done() - before.0, steps::taken() - before.1)
    };
    let (work, steps) = costs();
    assert!(work > 500 && steps <= work, "{steps} steps for a work of {work}");
    let (work, steps) = costs();
    assert!(work < 200 && steps < 100, "{steps} steps for a work of {work}");
    assert_eq!(reader.who_am_i(), "");
}

#[test]
fn what_is_computed_for_a_value_is_counted() {
    let world = chained(40);
    let snapshot = world.registry.snapshot();
    let tree = snapshot.tree(MAIN).unwrap();
    let account = snapshot.accounts().account(APP).unwrap();
    let view = crate::access::visibility_of(snapshot.accounts(), account, MAIN);
    let app = EntryId::of_account(APP);
    for visibility in [Visibility::Full, view] {
        let reader = TreeReader::new(&snapshot, tree, &visibility);
        for (attribute, id) in [
            ("ak-superuser", app),
            ("structuralObjectClass", app),
            ("numSubordinates", EntryId::SUFFIX),
            ("hasSubordinates", EntryId::SUFFIX),
            ("member", EntryId::of_group(GroupNumber::new(2_000))),
        ] {
            for dn_attributes in [false, true] {
                let item = FilterItem::Extensible {
                    rule: None,
                    attribute: Some(attribute),
                    value: b"none",
                    dn_attributes,
                };
                let item = [item];
                let items: Vec<_> = [FilterItem::Or { items: 100 }]
                    .into_iter()
                    .chain(item.iter().cycle().take(100).cloned())
                    .collect();
                let filter = PreparedFilter::new(&items, &reader);
                let entry = &reader.entry(id).unwrap();
                let mut evaluator = Evaluator::default();
                let before = steps::taken();
                assert!(!evaluator.matches(&filter, &reader, id, entry));
                let (work, steps) = (evaluator.work(), steps::taken() - before);
                assert!(steps <= work, "{attribute}: {steps} steps for a work of {work}");
            }
        }
    }
}
