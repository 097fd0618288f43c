use ldap3_proto::control::LdapControl;
use proptest::prelude::*;

use super::*;
use crate::directory::filter::{FilterItem, PartPosition};
use crate::ldap::ber::{BerError, BerReader, BerWriter, tag};
use crate::ldap::frame;
use crate::ldap::result_code::ResultCode;

/// Octets that are no UTF-8: the beginning of an objectGUID.
const BINARY: &[u8] = &[0xff, 0xfe, 0x00, 0x80];

const AND: u8 = 0xa0;
const OR: u8 = 0xa1;
const NOT: u8 = 0xa2;
const EQUALITY: u8 = 0xa3;
const SUBSTRINGS: u8 = 0xa4;
const PRESENT: u8 = 0x87;
const EXTENSIBLE: u8 = 0xa9;

fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    BerWriter::new(&mut octets).element(tag, contents);
    octets
}

fn constructed(tag: u8, elements: &[Vec<u8>]) -> Vec<u8> {
    element(tag, &elements.concat())
}

fn string(text: &str) -> Vec<u8> {
    element(tag::OCTET_STRING, text.as_bytes())
}

fn integer(value: i64) -> Vec<u8> {
    let mut octets = Vec::new();
    BerWriter::new(&mut octets).integer(value);
    octets
}

fn enumerated(value: i64) -> Vec<u8> {
    let mut octets = Vec::new();
    BerWriter::new(&mut octets).enumerated(value);
    octets
}

fn message(parts: &[Vec<u8>]) -> Vec<u8> {
    element(tag::SEQUENCE, &[integer(7), parts.concat()].concat())
}

fn assertion(choice: u8, attribute: &str, value: &[u8]) -> Vec<u8> {
    constructed(choice, &[string(attribute), element(tag::OCTET_STRING, value)])
}

fn present(attribute: &str) -> Vec<u8> {
    element(PRESENT, attribute.as_bytes())
}

/// The components of a search for everything, to be changed by a test.
fn search_parts() -> Vec<Vec<u8>> {
    vec![
        string("dc=example,dc=com"),
        enumerated(2),
        enumerated(0),
        integer(0),
        integer(0),
        element(tag::BOOLEAN, &[0]),
        present("objectClass"),
        element(tag::SEQUENCE, &[]),
    ]
}

fn search_with(position: usize, part: Vec<u8>) -> Vec<u8> {
    let mut parts = search_parts();
    parts[position] = part;
    message(&[constructed(0x63, &parts)])
}

fn search_for(filter: Vec<u8>) -> Vec<u8> {
    search_with(6, filter)
}

fn bind(authentication: Vec<u8>) -> Vec<u8> {
    message(&[constructed(0x60, &[integer(3), string("cn=reader"), authentication])])
}

fn unbind_with(controls: &[Vec<u8>]) -> Vec<u8> {
    message(&[element(0x42, &[]), constructed(0xa0, controls)])
}

fn compare_with(controls: &[Vec<u8>]) -> Vec<u8> {
    let assertion = constructed(tag::SEQUENCE, &[string("mail"), string("a@b")]);
    message(&[constructed(0x6e, &[string("cn=a"), assertion]), constructed(0xa0, controls)])
}

fn decoded(octets: &[u8]) -> Result<Message<'_>, DecodeError> {
    let frame = frame::next(octets, 1 << 20).unwrap().unwrap();
    decode(&frame, &DecodeLimits::default())
}

fn filter_of(octets: &[u8]) -> FilterItems<'_> {
    match decoded(octets).unwrap().request {
        Request::Search(search) => search.filter,
        other => panic!("{other:?}"),
    }
}

fn fault_of(octets: &[u8]) -> Fault {
    match decoded(octets).unwrap_err() {
        DecodeError::Refused { fault, .. } => fault,
        other => panic!("{other}"),
    }
}

/// The request is answered with this code in its own response, and the connection goes on.
fn assert_refused(octets: &[u8], response: ResponseTag, code: ResultCode) {
    let error = decoded(octets).unwrap_err();
    assert_eq!((error.answer(), error.code()), (Answer::Response(response), code), "{error}");
}

// What ldap3_proto does with odd input, and what is needed instead, row by row.

#[test]
fn an_assertion_value_need_not_be_utf8() {
    for (choice, item) in [
        (EQUALITY, FilterItem::Equality { attribute: "objectGUID", value: BINARY }),
        (0xa5, FilterItem::GreaterOrEqual { attribute: "objectGUID", value: BINARY }),
        (0xa6, FilterItem::LessOrEqual { attribute: "objectGUID", value: BINARY }),
        (0xa8, FilterItem::Approximate { attribute: "objectGUID", value: BINARY }),
    ] {
        let octets = search_for(assertion(choice, "objectGUID", BINARY));
        assert_eq!(filter_of(&octets).as_slice(), [item]);
    }
    let part = constructed(tag::SEQUENCE, &[element(0x81, BINARY)]);
    assert_eq!(
        filter_of(&search_for(constructed(SUBSTRINGS, &[string("objectGUID"), part]))).as_slice(),
        [
            FilterItem::Substrings { attribute: "objectGUID", parts: 1 },
            FilterItem::Part { kind: PartPosition::Any, value: BINARY },
        ]
    );
    assert_eq!(
        filter_of(&search_for(constructed(EXTENSIBLE, &[element(0x82, b"cn"), element(0x83, BINARY)])))
            .as_slice(),
        [FilterItem::Extensible { rule: None, attribute: Some("cn"), value: BINARY, dn_attributes: false }]
    );
}

#[test]
fn a_password_need_not_be_utf8() {
    let octets = bind(element(0x80, BINARY));
    let expected =
        BindRequest { version: 3, name: "cn=reader", authentication: Authentication::Simple(BINARY) };
    assert_eq!(decoded(&octets).unwrap().request, Request::Bind(expected));
}

#[test]
fn an_unknown_scope_is_answered_by_the_search() {
    let octets = search_with(1, enumerated(9));
    assert_refused(&octets, ResponseTag::SearchDone, ResultCode::ProtocolError);
    assert_eq!(decoded(&octets).unwrap_err().to_string(), "the search request is refused: scope cannot be 9");
}

#[test]
fn an_unknown_filter_choice_is_undefined() {
    for choice in [element(0xaa, b"whatever"), element(0x8a, &[]), vec![0xbf, 0x20, 0x01, 0x00]] {
        let octets = search_for(constructed(OR, &[choice, present("cn")]));
        let expected =
            [FilterItem::Or { items: 2 }, FilterItem::Unknown, FilterItem::Present { attribute: "cn" }];
        assert_eq!(filter_of(&octets).as_slice(), expected);
    }
}

#[test]
fn a_known_control_with_a_malformed_value_spoils_only_itself() {
    let octets = compare_with(&[constructed(
        tag::SEQUENCE,
        &[string("1.2.840.113556.1.4.319"), element(tag::OCTET_STRING, b"?")],
    )]);
    let message = decoded(&octets).unwrap();
    let paged = message.controls.only("1.2.840.113556.1.4.319").unwrap().unwrap();
    assert_eq!(paged.parse(), Err(Fault::ControlValue));
    assert_eq!(Fault::ControlValue.code(), ResultCode::ProtocolError);
}

#[test]
fn an_unknown_operation_ends_the_connection() {
    for tag in [0x6a, 0x61, 0x78, 0x7e, 0x30, 0x9f] {
        let number = if tag == 0x9f { vec![0x20] } else { vec![] };
        let error = decoded(&message(&[vec![tag], number, vec![0x00]])).unwrap_err();
        assert_eq!(error, DecodeError::UnknownOperation { tag });
        assert_eq!((error.answer(), error.code()), (Answer::Disconnection, ResultCode::ProtocolError));
    }
}

#[test]
fn the_criticality_of_paged_and_sort_controls_is_kept() {
    let size_and_cookie = constructed(tag::SEQUENCE, &[integer(100), string("")]);
    let keys = constructed(tag::SEQUENCE, &[constructed(tag::SEQUENCE, &[string("cn")])]);
    let octets = compare_with(&[
        constructed(
            tag::SEQUENCE,
            &[
                string("1.2.840.113556.1.4.319"),
                element(tag::BOOLEAN, &[0xff]),
                element(tag::OCTET_STRING, &size_and_cookie),
            ],
        ),
        constructed(
            tag::SEQUENCE,
            &[
                string("1.2.840.113556.1.4.473"),
                element(tag::BOOLEAN, &[0x01]),
                element(tag::OCTET_STRING, &keys),
            ],
        ),
        constructed(tag::SEQUENCE, &[string("1.2.3"), element(tag::BOOLEAN, &[0x00])]),
        constructed(tag::SEQUENCE, &[string("1.2.4")]),
    ]);
    let controls = decoded(&octets).unwrap().controls;
    let criticalities: Vec<bool> = controls.iter().map(|control| control.criticality).collect();
    assert_eq!(criticalities, [true, true, false, false]);
    let parsed: Vec<LdapControl> = controls.iter().map(|control| control.parse().unwrap()).collect();
    assert!(matches!(&parsed[0], LdapControl::SimplePagedResults { size: 100, cookie } if cookie.is_empty()));
    assert!(matches!(&parsed[1], LdapControl::ServerSort { sort_requests } if sort_requests.len() == 1));
    assert!(
        matches!(&parsed[2], LdapControl::Unknown { oid, criticality: false, value: None } if oid == "1.2.3")
    );
}

#[test]
fn a_not_holds_exactly_one_filter() {
    for operands in [vec![], vec![present("cn"), present("sn")]] {
        let octets = search_for(constructed(NOT, &operands));
        assert_refused(&octets, ResponseTag::SearchDone, ResultCode::ProtocolError);
        assert_eq!(fault_of(&octets), Fault::NotOperands);
    }
}

#[test]
fn a_substring_assertion_has_a_part() {
    let octets = search_for(constructed(SUBSTRINGS, &[string("cn"), element(tag::SEQUENCE, &[])]));
    assert_refused(&octets, ResponseTag::SearchDone, ResultCode::ProtocolError);
    assert_eq!(fault_of(&octets), Fault::NoSubstrings);
}

#[test]
fn limits_are_not_negative_and_not_above_maxint() {
    for position in [3, 4] {
        for value in [-1, i64::from(i32::MAX) + 1] {
            let octets = search_with(position, integer(value));
            assert_refused(&octets, ResponseTag::SearchDone, ResultCode::ProtocolError);
        }
        assert!(decoded(&search_with(position, integer(i64::from(i32::MAX)))).is_ok());
    }
}

#[test]
fn a_trailing_element_is_ignored_when_it_is_sound() {
    let mut parts = search_parts();
    parts.push(element(0x85, b"x"));
    assert!(decoded(&message(&[constructed(0x63, &parts)])).is_ok());
    parts.push(vec![0x85, 0x7f]);
    let octets = message(&[constructed(0x63, &parts)]);
    assert_eq!(fault_of(&octets), Fault::Encoding { field: "SearchRequest", error: BerError::Truncated });
}

#[test]
fn lengths_inside_are_definite_and_short() {
    for (length, error) in [
        (vec![0x80], BerError::IndefiniteLength),
        (vec![0x89, 0, 0, 0, 0, 0, 0, 0, 0, 0], BerError::LengthTooLong { octets: 9 }),
        (vec![0x84, 0x40, 0, 0, 0], BerError::Truncated),
    ] {
        let octets = message(&[element(0x63, &[vec![tag::OCTET_STRING], length].concat())]);
        assert_eq!(fault_of(&octets), Fault::Encoding { field: "baseObject", error });
    }
}

#[test]
fn a_filter_may_be_nested_to_its_limit_only() {
    let nested = |depth| (0..depth).fold(present("cn"), |filter, _| constructed(NOT, &[filter]));
    let items = filter_of(&search_for(nested(100))).len();
    assert_eq!(items, 101);
    for depth in [101, 121, 5_000] {
        let octets = search_for(nested(depth));
        assert_refused(&octets, ResponseTag::SearchDone, ResultCode::AdminLimitExceeded);
        assert_eq!(fault_of(&octets), Fault::FilterTooDeep { max: 100 });
    }
}

#[test]
fn a_filter_may_have_two_thousand_terms() {
    let terms: Vec<Vec<u8>> =
        (0..2000).map(|number| assertion(EQUALITY, "uid", format!("user-{number:05}").as_bytes())).collect();
    let octets = search_for(constructed(OR, &terms));
    assert!(octets.len() > 36 * 1024, "{}", octets.len());
    let filter_items = filter_of(&octets).len();
    assert_eq!(filter_items, 2001);
}

// The rest of the protocol.

#[test]
fn bind_with_every_choice() {
    for (choice, authentication) in [
        (element(0x80, b""), Authentication::Simple(b"")),
        (
            constructed(0xa3, &[string("PLAIN"), string("\0a\0b")]),
            Authentication::Sasl { mechanism: "PLAIN", credentials: Some(b"\0a\0b") },
        ),
        (
            constructed(0xa3, &[string("EXTERNAL")]),
            Authentication::Sasl { mechanism: "EXTERNAL", credentials: None },
        ),
        (constructed(0xa3, &[string("")]), Authentication::Sasl { mechanism: "", credentials: None }),
        (element(0x85, b"?"), Authentication::Other { tag: 0x85 }),
        (element(0xa9, b"?"), Authentication::Other { tag: 0xa9 }),
    ] {
        let octets = bind(choice);
        match decoded(&octets).unwrap().request {
            Request::Bind(bind) => assert_eq!(bind.authentication, authentication),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_bind_that_is_malformed_is_answered_by_a_bind_response() {
    for authentication in
        [element(0xa0, b""), element(0x83, b""), element(0x04, b""), vec![], vec![0x80, 0x05]]
    {
        assert_refused(&bind(authentication), ResponseTag::Bind, ResultCode::ProtocolError);
    }
    let name = element(tag::OCTET_STRING, BINARY);
    let octets = message(&[constructed(0x60, &[integer(3), name, element(0x80, b"")])]);
    assert_eq!(fault_of(&octets), Fault::Encoding { field: "name", error: BerError::NotUtf8 });
}

#[test]
fn another_version_is_seen_by_who_handles_the_bind() {
    for version in [0, 2, 4, 300, -1] {
        let octets = message(&[constructed(0x60, &[integer(version), string(""), element(0x80, b"")])]);
        match decoded(&octets).unwrap().request {
            Request::Bind(bind) => assert_eq!(bind.version, version),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_search_is_decoded_whole() {
    let attributes = constructed(tag::SEQUENCE, &[string("cn"), string("1.1"), string("")]);
    let parts = [
        string("ou=users"),
        enumerated(3),
        enumerated(1),
        integer(1000),
        integer(60),
        element(tag::BOOLEAN, &[0x01]),
        present("cn"),
        attributes,
    ];
    let octets = message(&[constructed(0x63, &parts)]);
    let message = decoded(&octets).unwrap();
    assert_eq!(message.message_id, 7);
    let Request::Search(search) = message.request else { panic!("{message:?}") };
    assert_eq!((search.base, search.scope), ("ou=users", Scope::Subordinates));
    assert_eq!(search.dereference, Dereference::InSearching);
    assert_eq!((search.size_limit, search.time_limit, search.types_only), (1000, 60, true));
    assert_eq!(search.filter.as_slice(), [FilterItem::Present { attribute: "cn" }]);
    assert_eq!(search.attributes.as_slice(), ["cn", "1.1", ""]);
}

#[test]
fn a_filter_is_one_list_in_prefix_order() {
    let substrings = constructed(
        SUBSTRINGS,
        &[
            string("cn"),
            constructed(tag::SEQUENCE, &[element(0x80, b"a"), element(0x81, b"b"), element(0x82, b"c")]),
        ],
    );
    let extensible = constructed(
        EXTENSIBLE,
        &[element(0x81, b"2.5.13.5"), element(0x82, b"cn"), element(0x83, b"v"), element(0x84, &[0xff])],
    );
    let octets = search_for(constructed(
        AND,
        &[
            present("a"),
            constructed(OR, &[]),
            constructed(NOT, &[constructed(AND, &[substrings, extensible])]),
            present("z"),
        ],
    ));
    assert_eq!(
        filter_of(&octets).as_slice(),
        [
            FilterItem::And { items: 10 },
            FilterItem::Present { attribute: "a" },
            FilterItem::Or { items: 0 },
            FilterItem::Not { items: 6 },
            FilterItem::And { items: 5 },
            FilterItem::Substrings { attribute: "cn", parts: 3 },
            FilterItem::Part { kind: PartPosition::Initial, value: b"a" },
            FilterItem::Part { kind: PartPosition::Any, value: b"b" },
            FilterItem::Part { kind: PartPosition::Final, value: b"c" },
            FilterItem::Extensible {
                rule: Some("2.5.13.5"),
                attribute: Some("cn"),
                value: b"v",
                dn_attributes: true,
            },
            FilterItem::Present { attribute: "z" },
        ]
    );
}

#[test]
fn parts_of_a_substring_assertion_stand_in_order() {
    for (parts, fault) in [
        (vec![0x81, 0x80], Fault::SubstringOrder),
        (vec![0x80, 0x80], Fault::SubstringOrder),
        (vec![0x82, 0x81], Fault::SubstringOrder),
        (vec![0x82, 0x82], Fault::SubstringOrder),
        (vec![0x83], Fault::Choice { field: "filter: substrings", tag: 0x83 }),
        (vec![0x04], Fault::Choice { field: "filter: substrings", tag: 0x04 }),
    ] {
        let parts: Vec<Vec<u8>> = parts.into_iter().map(|tag| element(tag, b"x")).collect();
        let octets = search_for(constructed(SUBSTRINGS, &[string("cn"), constructed(tag::SEQUENCE, &parts)]));
        assert_eq!(fault_of(&octets), fault);
    }
}

#[test]
fn a_part_of_no_octets_makes_the_assertion_undefined() {
    let parts = constructed(tag::SEQUENCE, &[element(0x80, b"a"), element(0x81, b""), element(0x82, b"c")]);
    let substrings = constructed(SUBSTRINGS, &[string("cn"), parts]);
    let octets = search_for(constructed(AND, &[substrings, present("cn")]));
    let expected =
        [FilterItem::And { items: 2 }, FilterItem::Unknown, FilterItem::Present { attribute: "cn" }];
    assert_eq!(filter_of(&octets).as_slice(), expected);
}

#[test]
fn an_extensible_match_names_something_and_has_its_components_in_order() {
    let components = |tags: &[u8]| -> Vec<Vec<u8>> { tags.iter().map(|tag| element(*tag, b"x")).collect() };
    let misplaced =
        |tag| Fault::Encoding { field: "filter: extensibleMatch", error: BerError::Misplaced { tag } };
    for (tags, fault) in [
        (&[0x83][..], Fault::NothingToMatch),
        (&[0x83, 0x84], Fault::NothingToMatch),
        (&[0x82, 0x83, 0x81], misplaced(0x81)),
        (&[0x82, 0x83, 0x84, 0x84], misplaced(0x84)),
        (
            &[0x82],
            Fault::Encoding { field: "filter: extensibleMatch", error: BerError::Missing { expected: 0x83 } },
        ),
    ] {
        let octets = search_for(constructed(EXTENSIBLE, &components(tags)));
        assert_eq!(fault_of(&octets), fault, "{tags:02x?}");
    }
    assert_eq!(filter_of(&search_for(constructed(EXTENSIBLE, &components(&[0x81, 0x83, 0x8a])))).len(), 1);
}

#[test]
fn a_known_filter_choice_of_the_wrong_form_or_class_is_refused() {
    for tag in [0x80, 0x83, 0xa7, 0x89, 0x63, 0x04, 0x30] {
        let octets = search_for(element(tag, &[]));
        assert_eq!(fault_of(&octets), Fault::Choice { field: "filter", tag });
    }
}

#[test]
fn names_are_utf8() {
    let not_utf8 = |field| Fault::Encoding { field, error: BerError::NotUtf8 };
    let name = element(tag::OCTET_STRING, BINARY);
    for (octets, fault) in [
        (search_with(0, name.clone()), not_utf8("baseObject")),
        (search_for(element(PRESENT, BINARY)), not_utf8("filter: present")),
        (search_for(constructed(EQUALITY, &[name.clone(), string("v")])), not_utf8("filter: attributeDesc")),
        (search_with(7, constructed(tag::SEQUENCE, std::slice::from_ref(&name))), not_utf8("attributes")),
        (compare_with(&[constructed(tag::SEQUENCE, &[name])]), not_utf8("controlType")),
    ] {
        assert_eq!(fault_of(&octets), fault);
    }
}

#[test]
fn each_limit_is_answered_with_admin_limit_exceeded() {
    let control = constructed(tag::SEQUENCE, &[string("1.2.3")]);
    for (octets, response, fault) in [
        (
            search_for(constructed(OR, &vec![present("cn"); 4096])),
            ResponseTag::SearchDone,
            Fault::FilterTooLong { max: 4096 },
        ),
        (
            search_with(7, constructed(tag::SEQUENCE, &vec![string("cn"); 1025])),
            ResponseTag::SearchDone,
            Fault::TooManyAttributes { max: 1024 },
        ),
        (compare_with(&vec![control.clone(); 17]), ResponseTag::Compare, Fault::TooManyControls { max: 16 }),
    ] {
        assert_refused(&octets, response, ResultCode::AdminLimitExceeded);
        assert_eq!(fault_of(&octets), fault);
    }
    assert!(decoded(&search_for(constructed(OR, &vec![present("cn"); 4095]))).is_ok());
    assert!(decoded(&search_with(7, constructed(tag::SEQUENCE, &vec![string("cn"); 1024]))).is_ok());
    assert!(decoded(&compare_with(&vec![control; 16])).is_ok());
}

#[test]
fn a_compare_is_decoded_whole() {
    let assertion = constructed(tag::SEQUENCE, &[string("memberUid"), element(tag::OCTET_STRING, BINARY)]);
    let octets = message(&[constructed(0x6e, &[string("cn=a"), assertion])]);
    let expected = CompareRequest { entry: "cn=a", attribute: "memberUid", value: BINARY };
    assert_eq!(decoded(&octets).unwrap().request, Request::Compare(expected));

    let octets = message(&[constructed(0x6e, &[string("cn=a")])]);
    assert_refused(&octets, ResponseTag::Compare, ResultCode::ProtocolError);
}

#[test]
fn unbind_always_decodes() {
    for octets in [message(&[element(0x42, b"\x05\x00")]), unbind_with(&[vec![0xff, 0xff]])] {
        let message = decoded(&octets).unwrap();
        assert_eq!((message.request, message.controls.is_empty()), (Request::Unbind, true));
    }
}

#[test]
fn abandon_is_never_answered() {
    let octets = message(&[element(0x50, &[0x01, 0x00])]);
    assert_eq!(decoded(&octets).unwrap().request, Request::Abandon { message_id: 256 });
    for contents in [&[][..], &[0xff], &[0x00, 0x80, 0x00, 0x00, 0x00]] {
        let octets = message(&[element(0x50, contents)]);
        assert_eq!(decoded(&octets).unwrap_err().answer(), Answer::Silence, "{contents:02x?}");
    }
}

#[test]
fn changes_are_known_by_their_tag_and_not_decoded() {
    for (tag, update, response) in [
        (0x68, Update::Add, ResponseTag::Add),
        (0x66, Update::Modify, ResponseTag::Modify),
        (0x4a, Update::Delete, ResponseTag::Delete),
        (0x6c, Update::ModifyDn, ResponseTag::ModifyDn),
    ] {
        let octets = message(&[element(tag, BINARY)]);
        let request = decoded(&octets).unwrap().request;
        assert_eq!(request, Request::Update(update));
        assert_eq!(request.operation().response(), Some(response));

        let octets = message(&[element(tag, BINARY), element(0xa0, BINARY)]);
        assert_refused(&octets, response, ResultCode::ProtocolError);
    }
}

#[test]
fn an_extended_request_is_decoded_by_ldap3_proto() {
    let name = element(0x80, b"1.3.6.1.4.1.4203.1.11.1");
    for (parts, value) in [
        (vec![name.clone()], None),
        (vec![name.clone(), element(0x81, b"")], Some(vec![])),
        (vec![name.clone(), element(0x81, BINARY)], Some(BINARY.to_vec())),
        (vec![name.clone(), element(0x81, b"v"), element(0x8a, b"?")], Some(b"v".to_vec())),
        (vec![name.clone(), element(0x8a, b"?")], None),
    ] {
        let octets = message(&[constructed(0x77, &parts)]);
        let expected = ExtendedRequest { name: "1.3.6.1.4.1.4203.1.11.1".to_owned(), value };
        assert_eq!(decoded(&octets).unwrap().request, Request::Extended(expected));
    }
}

#[test]
fn an_extended_request_never_loses_its_value() {
    let name = element(0x80, b"1.3.6.1.4.1.4203.1.11.1");
    for parts in [
        vec![],
        vec![element(0x04, b"1.2.3")],
        vec![element(0x80, BINARY)],
        vec![name.clone(), vec![0x81, 0x05, b'x']],
        vec![name.clone(), vec![0x81]],
        vec![name.clone(), element(0xa1, b"")],
        vec![name.clone(), name.clone()],
        vec![name.clone(), element(0x8a, b""), element(0x81, b"v")],
        vec![name, element(0x8a, b""), vec![0x81, 0x05]],
    ] {
        let octets = message(&[constructed(0x77, &parts)]);
        assert_refused(&octets, ResponseTag::Extended, ResultCode::ProtocolError);
    }
}

#[test]
fn a_malformed_control_is_answered_by_its_operation() {
    for control in [
        element(0x04, b""),
        element(0x70, b""),
        constructed(tag::SEQUENCE, &[]),
        constructed(tag::SEQUENCE, &[string("1.2"), element(tag::BOOLEAN, &[])]),
        constructed(tag::SEQUENCE, &[string("1.2"), string("v"), element(tag::BOOLEAN, &[0xff])]),
        constructed(tag::SEQUENCE, &[string("1.2"), element(0x85, b""), string("v")]),
        constructed(tag::SEQUENCE, &[string("1.2"), vec![0x04, 0x05]]),
        vec![0x30, 0x7f],
    ] {
        assert_refused(&compare_with(&[control]), ResponseTag::Compare, ResultCode::ProtocolError);
    }
}

#[test]
fn a_repeated_control_is_told_where_one_is_needed() {
    let control = constructed(tag::SEQUENCE, &[string("1.2.3")]);
    let octets = compare_with(&[control.clone(), control]);
    let controls = decoded(&octets).unwrap().controls;
    assert_eq!(controls.len(), 2);
    assert_eq!(controls.only("1.2.4"), Ok(None));
    assert_eq!(controls.only("1.2.3"), Err(RepeatedControl { oid: "1.2.3".to_owned() }));
}

#[test]
fn requests_do_not_print_secrets() {
    let sasl = bind(constructed(0xa3, &[string("PLAIN"), string("\0a\0hunter2")]));
    let value = element(0x81, b"hunter2");
    let extended = message(&[constructed(0x77, &[element(0x80, b"1.3.6.1.4.1.4203.1.11.1"), value])]);
    for octets in [bind(element(0x80, b"hunter2")), sasl, extended] {
        let shown = format!("{:?}", decoded(&octets).unwrap());
        let as_numbers = format!("{:?}", b"hunter2").replace(['[', ']'], "");
        assert!(!shown.contains("hunter2") && !shown.contains(&as_numbers), "{shown}");
        assert!(shown.contains("octets)"), "{shown}");
    }
}

#[test]
fn a_filter_of_a_control_is_decoded_alone() {
    let octets = [present("cn"), present("sn")].concat();
    let mut reader = BerReader::new(&octets);
    for attribute in ["cn", "sn"] {
        let filter = decode_filter(&mut reader, &DecodeLimits::default()).unwrap();
        assert_eq!(filter.as_slice(), [FilterItem::Present { attribute }]);
    }
    assert!(reader.is_empty());
}

proptest! {
    #![proptest_config(crate::rounds::cases(256))]
    #[test]
    fn any_body_is_decoded_or_refused(
        operation in prop::sample::select(Operation::TABLE.iter().map(|row| row.1).collect::<Vec<_>>()),
        body: Vec<u8>,
        controls: Option<Vec<u8>>,
    ) {
        let frame =
            Frame { message_id: 1, operation, body: &body, controls: controls.as_deref(), octets: &[] };
        if let Err(error) = decode(&frame, &DecodeLimits::default()) {
            prop_assert!(!error.to_string().is_empty());
            prop_assert_ne!(error.answer(), Answer::Disconnection);
        }
    }
}
