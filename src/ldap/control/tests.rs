//! Each value as its specification says, and as `ldap3_proto` reads and writes it where it knows the control.

use ldap3_proto::control::LdapControl;

use super::*;
use crate::ldap::ber::{BerWriter, tag};
use crate::ldap::response::{self, Outcome, ResponseControls};

fn control<'a>(oid: &'a str, criticality: bool, value: Option<&'a [u8]>) -> Control<'a> {
    Control { oid, criticality, value }
}

/// Reads one control of a search.
fn read<'a>(oid: &'a str, value: &'a [u8]) -> Result<RequestControls<'a>, ControlRefusal> {
    read_all(Operation::Search, &[control(oid, true, Some(value))])
}

fn read_all<'a>(
    operation: Operation,
    controls: &[Control<'a>],
) -> Result<RequestControls<'a>, ControlRefusal> {
    RequestControls::read(operation, &controls.iter().copied().collect(), &DecodeLimits::default())
}

#[track_caller]
fn refused(result: Result<RequestControls<'_>, ControlRefusal>) -> ResultCode {
    result.unwrap_err().code
}

#[test]
fn oids_are_unique() {
    let mut oids: Vec<&str> = supported().collect();
    let count = oids.len();
    oids.sort_unstable();
    oids.dedup();
    assert_eq!(oids.len(), count);
}

#[test]
fn what_is_critical_must_be_known_and_belong() {
    for (oid, operation, code) in [
        ("1.2.3", Operation::Search, Some(ResultCode::UnavailableCriticalExtension)),
        ("1.2.840.113556.1.4.319", Operation::Compare, Some(ResultCode::UnavailableCriticalExtension)),
        ("1.3.6.1.4.1.42.2.27.8.5.1", Operation::Search, Some(ResultCode::UnavailableCriticalExtension)),
        ("1.3.6.1.4.1.42.2.27.8.5.1", Operation::Bind, None),
        ("2.16.840.1.113730.3.4.2", Operation::Search, None),
        ("2.16.840.1.113730.3.4.2", Operation::Delete, None),
        ("2.16.840.1.113730.3.4.2", Operation::Extended, Some(ResultCode::UnavailableCriticalExtension)),
        ("1.2.840.113556.1.4.1339", Operation::Search, None),
        ("1.3.6.1.1.22", Operation::Search, None),
    ] {
        let critical = read_all(operation, &[control(oid, true, None)]);
        assert_eq!(critical.as_ref().err().map(|refusal| refusal.code), code, "{oid} {operation:?}");
        if code.is_some() {
            read_all(operation, &[control(oid, false, None)]).unwrap();
        }
    }
}

#[test]
fn a_repetition_is_refused_unless_parties_may_be_several() {
    let paged = paged_response(10, b"").1;
    let one = control(paged::OID, false, Some(&paged));
    assert_eq!(refused(read_all(Operation::Search, &[one, one])), ResultCode::ProtocolError);
    let value = tracking("192.0.2.1", "host", "1.3.6.1.4.1.21008.108.63.1.3", "alice");
    let one = control(session_tracking::OID, false, Some(&value));
    read_all(Operation::Search, &[one, one]).unwrap();
}

#[test]
fn a_value_that_is_missing_or_broken_is_a_protocol_error() {
    for oid in [
        paged::OID,
        sort::REQUEST_OID,
        list_view::REQUEST_OID,
        "1.2.826.0.1.3344810.2.3",
        "1.3.6.1.1.12",
        "1.3.6.1.4.1.4203.1.10.1",
        session_tracking::OID,
    ] {
        for criticality in [false, true] {
            let missing = read_all(Operation::Search, &[control(oid, criticality, None)]);
            assert_eq!(refused(missing), ResultCode::ProtocolError, "{oid}");
            for value in [&b""[..], b"\x30", b"\x04\x01x", b"\x30\x80", b"\x30\x01\x02", b"\x30\x00\x00"] {
                // An empty list of values to return is one.
                let broken = read_all(Operation::Search, &[control(oid, criticality, Some(value))]);
                assert_eq!(refused(broken), ResultCode::ProtocolError, "{oid} {value:02x?}");
            }
        }
    }
    // RFC 6171: always critical, never with a value.
    let copy =
        |criticality, value| read_all(Operation::Search, &[control("1.3.6.1.1.22", criticality, value)]);
    assert_eq!(refused(copy(false, None)), ResultCode::ProtocolError);
    assert_eq!(refused(copy(true, Some(b""))), ResultCode::ProtocolError);
}

#[test]
fn pages() {
    let value = paged_response(500, b"cookie").1;
    assert_eq!(value, b"\x30\x84\x00\x00\x00\x0c\x02\x02\x01\xf4\x04\x06cookie");
    let paged = read(paged::OID, &value).unwrap().paged.unwrap();
    assert_eq!(paged, PagedRequest { size: 500, cookie: b"cookie" });
    // What ldap3_proto makes of it.
    match control(paged::OID, true, Some(&value)).parse().unwrap() {
        LdapControl::SimplePagedResults { size, cookie } => {
            assert_eq!((size, cookie.as_slice()), (500, &b"cookie"[..]));
        }
        other => panic!("{other:?}"),
    }
    // Negative, which ldap3_proto reads as 255.
    assert_eq!(refused(read(paged::OID, b"\x30\x05\x02\x01\xff\x04\x00")), ResultCode::ProtocolError);
    assert_eq!(refused(read(paged::OID, b"\x30\x08\x02\x04\x80\0\0\0\x04\x00")), ResultCode::ProtocolError);
    assert_eq!(refused(read(paged::OID, b"\x30\x03\x02\x01\x01")), ResultCode::ProtocolError);
}

#[test]
fn orders() {
    let mut value = Vec::new();
    let mut writer = BerWriter::new(&mut value);
    let list = writer.begin(tag::SEQUENCE);
    for (attribute, rule, reverse) in [("sn", None, false), ("cn", Some("2.5.13.3"), true)] {
        let key = writer.begin(tag::SEQUENCE);
        writer.octet_string(str::as_bytes(attribute));
        if let Some(rule) = rule {
            writer.element(0x80, str::as_bytes(rule));
        }
        if reverse {
            writer.element(0x81, &[0xff]);
        }
        writer.end(key);
    }
    writer.end(list);
    let sort = read(sort::REQUEST_OID, &value).unwrap().sort.unwrap();
    assert!(sort.criticality);
    let keys: Vec<_> = sort.keys.iter().map(|key| (key.attribute, key.rule, key.reverse)).collect();
    assert_eq!(keys, [("sn", None, false), ("cn", Some("2.5.13.3"), true)]);
    match control(sort::REQUEST_OID, true, Some(&value)).parse().unwrap() {
        LdapControl::ServerSort { sort_requests } => {
            let keys: Vec<_> = sort_requests
                .iter()
                .map(|key| (key.attribute_name.as_str(), key.ordering_rule.as_deref(), key.reverse_order))
                .collect();
            assert_eq!(keys, [("sn", None, false), ("cn", Some("2.5.13.3"), true)]);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(refused(read(sort::REQUEST_OID, b"\x30\x00")), ResultCode::ProtocolError);
    let many: Vec<u8> = std::iter::repeat_n(*b"\x30\x04\x04\x02cn", 17).flatten().collect();
    let too_many = [&[0x30, many.len() as u8][..], &many].concat();
    assert_eq!(refused(read(sort::REQUEST_OID, &too_many)), ResultCode::ProtocolError);
    assert_eq!(
        sort_response(ResultCode::NoSuchAttribute, Some("x")).1,
        b"\x30\x84\x00\x00\x00\x06\x0a\x01\x10\x80\x01x"
    );
}

#[test]
fn views() {
    let offset = b"\x30\x0e\x02\x01\x01\x02\x01\x02\xa0\x06\x02\x01\x03\x02\x01\x04";
    let list_view = read(list_view::REQUEST_OID, offset).unwrap().list_view.unwrap();
    let target = Target::Offset { offset: 3, content_count: 4 };
    assert_eq!(list_view, ListViewRequest { before: 1, after: 2, target, context_id: None });
    let value = b"\x30\x0d\x02\x01\x00\x02\x01\x13\x81\x01B\x04\x02id";
    let list_view = read(list_view::REQUEST_OID, value).unwrap().list_view.unwrap();
    let target = Target::AtLeast(b"B");
    assert_eq!(list_view, ListViewRequest { before: 0, after: 19, target, context_id: Some(b"id") });
    for broken in [
        &b"\x30\x06\x02\x01\x01\x02\x01\x02"[..],
        b"\x30\x08\x02\x01\x01\x02\x01\x02\x82\x00",
        b"\x30\x0b\x02\x01\x01\x02\x01\x02\xa0\x03\x02\x01\x03",
        b"\x30\x0e\x02\x01\xff\x02\x01\x02\xa0\x06\x02\x01\x03\x02\x01\x04",
    ] {
        assert_eq!(refused(read(list_view::REQUEST_OID, broken)), ResultCode::ProtocolError, "{broken:02x?}");
    }
    assert_eq!(
        list_view_response(5, 100, ListViewResult::OffsetRangeError, b"").1,
        b"\x30\x84\x00\x00\x00\x09\x02\x01\x05\x02\x01\x64\x0a\x01\x3d"
    );
    assert!(
        list_view_response(0, 0, ListViewResult::SortControlMissing, b"id")
            .1
            .ends_with(b"\x0a\x01\x3c\x04\x02id")
    );
}

#[test]
fn values_to_return_are_simple_assertions() {
    let oid = "1.2.826.0.1.3344810.2.3";
    // ((mail=*)(cn=A))
    let value = b"\x30\x0f\x87\x04mail\xa3\x07\x04\x02cn\x04\x01A";
    assert_eq!(read(oid, value).unwrap().values.unwrap().len(), 2);
    // (&(mail=*)), (!(mail=*)), and an extensible match with dnAttributes.
    for broken in [
        &b"\x30\x08\xa0\x06\x87\x04mail"[..],
        b"\x30\x08\xa2\x06\x87\x04mail",
        b"\x30\x0c\xa9\x0a\x82\x02cn\x83\x01A\x84\x01\xff",
    ] {
        assert_eq!(refused(read(oid, broken)), ResultCode::ProtocolError, "{broken:02x?}");
    }
}

#[test]
fn password_policy_responses_are_these_octets() {
    let expires_soon =
        |seconds_left| password_policy_response(PasswordPolicy::ExpiresSoon { seconds_left }).1;
    assert_eq!(password_policy_response(PasswordPolicy::Silent).1, b"\x30\x00");
    assert_eq!(password_policy_response(PasswordPolicy::AccountLocked).1, b"\x30\x03\x81\x01\x01");
    assert_eq!(expires_soon(0), b"\x30\x05\xa0\x03\x80\x01\x00");
    assert_eq!(expires_soon(127), b"\x30\x05\xa0\x03\x80\x01\x7f");
    assert_eq!(expires_soon(128), b"\x30\x06\xa0\x04\x80\x02\x00\x80");
    assert_eq!(expires_soon(86_400), b"\x30\x07\xa0\x05\x80\x03\x01\x51\x80");
}

fn tracking(source: &str, name: &str, format: &str, identifier: &str) -> Vec<u8> {
    let mut value = Vec::new();
    let mut writer = BerWriter::new(&mut value);
    let sequence = writer.begin(tag::SEQUENCE);
    for text in [source, name, format, identifier] {
        writer.octet_string(text.as_bytes());
    }
    writer.end(sequence);
    value
}

#[test]
fn sessions_are_tracked_in_short_texts() {
    let value = tracking("192.0.2.1", "host", "1.3.6.1.4.1.21008.108.63.1.3", "alice");
    let found = read(session_tracking::OID, &value).unwrap().session_tracking.unwrap();
    assert_eq!((found.source, found.name, found.identifier), ("192.0.2.1", "host", "alice"));
    let long = tracking("192.0.2.1", &"x".repeat(1_025), "1.3", "alice");
    assert_eq!(refused(read(session_tracking::OID, &long)), ResultCode::ProtocolError);
}

#[test]
fn responses_carry_them() {
    let mut controls = ResponseControls::default();
    controls.push(paged_response(7, b"c"));
    controls.push(sort_response(ResultCode::Success, None));
    let mut output = Vec::new();
    response::search_result_done(&mut output, 1, &Outcome::SUCCESS, &controls.as_controls());
    let frame = crate::ldap::frame::next(&output, usize::MAX).unwrap().unwrap();
    let mut list = BerReader::new(frame.controls.unwrap());
    for oid in [paged::OID, "1.2.840.113556.1.4.474"] {
        let mut control = list.sequence().unwrap();
        assert_eq!(control.string().unwrap(), oid);
        // Not critical, so that is left out.
        assert_eq!(control.peek(), Some(tag::OCTET_STRING));
    }
}
