//! Everything but bind and search: compare, extended operations, what is refused, what ends a connection.

use ldap3_proto::proto::{
    LdapAddRequest, LdapCompareRequest, LdapExtendedRequest, LdapModifyDNRequest, LdapModifyRequest, LdapOp,
    LdapSearchScope,
};

use super::client::{Client, bind, element, encode, raw, search, tag_of, with_control};
use super::world::{BASE, World};
use crate::ldap::session::Next;

const STAFF_DN: &str = "cn=staff,ou=groups,dc=example,dc=org";
const START_TLS: &str = "1.3.6.1.4.1.1466.20037";
const WHO_AM_I: &str = "1.3.6.1.4.1.4203.1.11.3";

fn updates() -> Vec<LdapOp> {
    let dn = "cn=app,ou=users,dc=example,dc=org".to_owned();
    vec![
        LdapOp::AddRequest(LdapAddRequest { dn: dn.clone(), attributes: Vec::new() }),
        LdapOp::ModifyRequest(LdapModifyRequest { dn: dn.clone(), changes: Vec::new() }),
        LdapOp::DelRequest(dn.clone()),
        LdapOp::ModifyDNRequest(LdapModifyDNRequest {
            dn,
            newrdn: "cn=other".to_owned(),
            deleteoldrdn: true,
            new_superior: None,
        }),
    ]
}

fn same_kind(request: &LdapOp, response: &LdapOp) -> bool {
    matches!(
        (request, response),
        (LdapOp::AddRequest(_), LdapOp::AddResponse(_))
            | (LdapOp::ModifyRequest(_), LdapOp::ModifyResponse(_))
            | (LdapOp::DelRequest(_), LdapOp::DelResponse(_))
            | (LdapOp::ModifyDNRequest(_), LdapOp::ModifyDNResponse(_))
            | (LdapOp::CompareRequest(_), LdapOp::CompareResult(_))
            | (LdapOp::SearchRequest(_), LdapOp::SearchResultDone(_))
            | (LdapOp::ExtendedRequest(_), LdapOp::ExtendedResponse(_))
    )
}

#[test]
fn changes_are_refused_in_the_response_of_their_type() {
    let world = World::new();
    for mut client in [Client::new(&world), Client::app(&world), Client::reader(&world)] {
        for op in updates() {
            let reply = client.ask(op.clone());
            assert!(reply.is(53).result().message.contains("read-only over LDAP"));
            assert!(same_kind(&op, &reply.messages[0].op), "{op:?}");
        }
    }
    // The contents are not looked at.
    for (tag, answer) in [(0x66, 0x67), (0x68, 0x69), (0x6c, 0x6d), (0x4a, 0x6b)] {
        let mut client = Client::app(&world);
        let octets = raw(77, &element(tag, &[0xff, 0xff, 0xff]));
        let reply = client.send(&octets);
        reply.is(53);
        assert_eq!((reply.messages[0].msgid, tag_of(&reply.messages[0].op)), (77, Some(answer)));
    }
}

#[test]
fn compare_says_what_the_reader_may_see() {
    let world = World::new();
    let alice = "cn=alice,ou=users,dc=example,dc=org";
    let app = "cn=app,ou=users,dc=example,dc=org";
    // (DN, attribute, value, for the app without rights, for the reader)
    for (dn, attribute, value, own, full) in [
        (STAFF_DN, "member", app, 6, 6),
        (STAFF_DN, "member", "UID=App , ou=users,dc=example,dc=org", 6, 6),
        (STAFF_DN, "member", alice, 5, 6),
        (STAFF_DN, "uniqueMember", alice, 5, 6),
        (STAFF_DN, "memberUid", "app", 6, 6),
        (STAFF_DN, "memberUid", "alice", 5, 6),
        (STAFF_DN, "member", "cn=nobody,ou=users,dc=example,dc=org", 5, 5),
        (STAFF_DN, "member", "not a dn", 5, 5),
        ("cn=everyone,ou=groups,dc=example,dc=org", "member", STAFF_DN, 6, 6),
        ("cn=everyone,ou=groups,dc=example,dc=org", "member", app, 5, 5),
        (app, "CN", "APP", 6, 6),
        (app, "2.5.4.3", "app", 6, 6),
        (app, "cn", "other", 5, 5),
        (app, "uidNumber", "2004", 6, 6),
        (app, "uidNumber", "02004", 6, 6),
        (app, "uidNumber", "many", 5, 5),
        (app, "memberOf", STAFF_DN, 6, 6),
        (app, "employeeNumber", "4711", 16, 16),
        (app, "nonsense", "x", 16, 16),
        (app, "userPassword", &world.secrets.app, 16, 16),
        (app, "entryDN", app, 6, 6),
        (app, "description;lang-de", "x", 16, 16),
        (alice, "cn", "alice", 32, 6),
        (alice, "description;lang-de", "EIN KONTO", 32, 6),
        (alice, "description;lang-fr", "ein Konto", 32, 16),
        (alice, "description", "ein konto", 32, 6),
        ("cn=hidden-group,ou=groups,dc=example,dc=org", "cn", "hidden-group", 32, 6),
        ("cn=nobody,ou=users,dc=example,dc=org", "cn", "nobody", 32, 32),
        ("dc=nowhere", "dc", "nowhere", 32, 32),
        ("not a dn", "dc", "nowhere", 34, 34),
        ("cn=app,ou=users,dc=other,dc=net", "cn", "app", 6, 32),
    ] {
        Client::new(&world).compare(dn, attribute, value).is(50);
        for (mut client, code) in [(Client::app(&world), own), (Client::reader(&world), full)] {
            let reply = client.compare(dn, attribute, value);
            reply.is(code);
            if code == 32 && dn.ends_with("ou=users,dc=example,dc=org") {
                assert_eq!(reply.result().matcheddn, "ou=users,dc=example,dc=org");
            }
        }
    }
    // A value that is not UTF-8 is legal, and equal to none.
    Client::app(&world).compare(app, "cn", [0xff, 0xfe]).is(5);
}

#[test]
fn unknown_extended_operations_are_named() {
    let world = World::new();
    for oid in ["1.2.3.4", "", "1.3.6.1.4.1.4203.1.11.2", "1.3.6.1.1.9"] {
        let reply = Client::app(&world).extended(oid);
        assert!(reply.is(2).result().message.contains(oid));
        assert!(same_kind(
            &LdapOp::ExtendedRequest(LdapExtendedRequest { name: String::new(), value: None }),
            &reply.messages[0].op
        ));
    }
}

#[test]
fn each_extended_operation_has_a_value_or_has_none() {
    const CANCEL: &str = "1.3.6.1.1.8";
    let world = World::new();
    let ask = |client: &mut Client, name: &str, value: Option<&[u8]>| {
        let value = value.map(<[u8]>::to_vec);
        client.ask(LdapOp::ExtendedRequest(LdapExtendedRequest { name: name.to_owned(), value }))
    };
    for value in [&b""[..], b"x"] {
        let mut client = Client::in_clear(&world);
        let refused = ask(&mut client, START_TLS, Some(value));
        assert!(refused.is(2).result().message.contains("has no value"));
        match &refused.messages[0].op {
            LdapOp::ExtendedResponse(response) => assert_eq!(response.name.as_deref(), Some(START_TLS)),
            other => panic!("{other:?}"),
        }
        assert_eq!(client.session.next(), Next::Read, "TLS does not begin");
        ask(&mut Client::app(&world), WHO_AM_I, Some(value)).is(2);
        ask(&mut Client::app(&world), CANCEL, Some(value)).is(2);
    }
    let refused = ask(&mut Client::app(&world), CANCEL, None);
    assert!(refused.is(2).result().message.contains("needs a value"));
    ask(&mut Client::app(&world), WHO_AM_I, None).is(0);
}

#[test]
fn below_the_subschema_there_is_nothing() {
    let world = World::new();
    let mut client = Client::reader(&world);
    for (base, matched) in [
        ("cn=x,cn=subschema", "cn=subschema"),
        ("cn=x, CN=y, CN=Subschema", "cn=subschema"),
        ("cn=x+cn=subschema", ""),
        ("cn=xcn=subschema", ""),
    ] {
        let found = client.search(search(base, LdapSearchScope::Base, "(objectClass=*)", &[]));
        assert_eq!(found.is(32).result().matcheddn, matched, "{base}");
        let found = client.compare(base, "cn", "x");
        assert_eq!(found.is(32).result().matcheddn, matched, "{base}");
    }
    // Who is nobody learns nothing.
    let mut nobody = Client::new(&world);
    let refused = nobody.search(search("cn=x,cn=subschema", LdapSearchScope::Base, "(objectClass=*)", &[]));
    assert_eq!(refused.is(50).result().matcheddn, "");
}

#[test]
fn start_tls_as_the_rfc_has_it() {
    let mut world = World::new();
    // In clear, with nothing outstanding.
    let mut client = Client::in_clear(&world);
    let reply = client.extended(START_TLS);
    match &reply.is(0).messages[0].op {
        LdapOp::ExtendedResponse(response) => assert_eq!(response.name.as_deref(), Some(START_TLS)),
        other => panic!("{other:?}"),
    }
    assert_eq!(client.session.next(), Next::StartTls);
    // TLS is on already.
    Client::new(&world).extended(START_TLS).is(1);
    // Nothing behind the request is taken before the handshake, and it is told.
    let mut client = Client::in_clear(&world);
    let request =
        encode(2, LdapOp::ExtendedRequest(LdapExtendedRequest { name: START_TLS.to_owned(), value: None }));
    let behind = bind(3, "app", world.secrets.app.as_bytes());
    let reply = client.send(&[request.clone(), behind.clone()].concat());
    assert_eq!(reply.is(0).messages.len(), 1);
    assert_eq!(client.left(), behind);
    assert!(client.session.is_injected(client.left()));
    assert!(!client.session.is_injected(&[]));
    // Afterwards secrets are taken.
    let mut client = Client::in_clear(&world);
    client.bind("app", &world.secrets.app).is(13);
    client.send(&request).is(0);
    client.session.tls_started(None);
    assert_eq!(client.session.next(), Next::Read);
    client.bind("app", &world.secrets.app).is(0);
    client.extended(START_TLS).is(1);
    // Who was bound in clear is anonymous afterwards.
    world.settings.secrets_in_clear = crate::config::SecretsInClear::Always;
    let mut client = Client::in_clear(&world);
    client.bind("app", &world.secrets.app).is(0);
    client.send(&request).is(0);
    client.session.tls_started(None);
    assert_eq!(client.who_am_i(), "");
    // There is no certificate.
    world.settings.offers_start_tls = false;
    let mut client = Client::in_clear(&world);
    client.extended(START_TLS).is(2);
    assert_eq!(client.session.next(), Next::Read);
}

#[test]
fn who_am_i_follows_the_connection() {
    let world = World::new();
    let mut client = Client::new(&world);
    assert_eq!(client.who_am_i(), "");
    client.bind("UID=READER,ou=users,dc=example,dc=org", &world.secrets.reader).is(0);
    assert_eq!(client.who_am_i(), "dn:cn=reader,ou=users,dc=example,dc=org");
    client.bind("app@corp.example", &world.secrets.app).is(0);
    assert_eq!(client.who_am_i(), "dn:cn=app,ou=users,dc=other,dc=net");
}

#[test]
fn unbind_and_abandon_have_no_response() {
    let world = World::new();
    let mut client = Client::app(&world);
    for id in [0, 1, 2, 77, i32::MAX] {
        client.ask(LdapOp::AbandonRequest(id)).is_silence();
    }
    // Neither when it is malformed.
    client.send(&raw(9, &element(0x50, &[]))).is_silence();
    client.send(&raw(9, &element(0x50, &[1, 2, 3, 4, 5, 6, 7, 8, 9]))).is_silence();
    client.send(&raw(9, &element(0x50, &[0xff]))).is_silence();
    assert_eq!(client.session.next(), Next::Read);
    for octets in [
        encode(9, LdapOp::UnbindRequest),
        raw(9, &element(0x42, b"whatever")),
        with_control(&encode(9, LdapOp::UnbindRequest), "1.2.3", true),
    ] {
        let mut client = Client::app(&world);
        let behind = encode(10, LdapOp::DelRequest("cn=x".to_owned()));
        client.send(&[octets, behind].concat()).is_silence();
        assert_eq!(client.session.next(), Next::Close);
    }
}

#[test]
fn an_unknown_critical_control_refuses_each_operation_in_its_type() {
    let world = World::new();
    let requests = updates().into_iter().chain([
        LdapOp::CompareRequest(LdapCompareRequest {
            dn: STAFF_DN.to_owned(),
            atype: "cn".to_owned(),
            val: b"staff".to_vec(),
        }),
        LdapOp::SearchRequest(search(BASE, LdapSearchScope::Base, "(objectClass=*)", &[])),
        LdapOp::ExtendedRequest(LdapExtendedRequest { name: WHO_AM_I.to_owned(), value: None }),
    ]);
    for op in requests {
        let plain = encode(70, op.clone());
        let mut client = Client::app(&world);
        let usual = client.send(&plain);
        let ignored = client.send(&with_control(&plain, "1.2.3.4", false));
        assert_eq!(usual.messages, ignored.messages, "a control that is not critical is ignored");
        let refused = client.send(&with_control(&plain, "1.2.3.4", true));
        assert!(refused.is(12).result().message.contains("1.2.3.4"));
        assert_eq!(refused.messages.len(), 1);
        assert!(same_kind(&op, &refused.messages[0].op), "{op:?}");
        assert_eq!(refused.messages[0].msgid, 70);
    }
    // StartTLS does not begin.
    let start =
        encode(2, LdapOp::ExtendedRequest(LdapExtendedRequest { name: START_TLS.to_owned(), value: None }));
    let mut client = Client::in_clear(&world);
    client.send(&with_control(&start, "1.2.3.4", true)).is(12);
    assert_eq!(client.session.next(), Next::Read);
}

#[test]
fn what_is_no_request_ends_the_connection_with_a_notice() {
    let world = World::new();
    let entry = element(0x64, &[]);
    for (what, octets) in [
        ("an unknown operation", raw(5, &element(0x7f, &[]))),
        ("a response", raw(5, &element(0x61, &[]))),
        ("an entry", raw(5, &entry)),
        ("message ID 0", encode(0, LdapOp::UnbindRequest)),
        ("a negative message ID", raw(-1, &element(0x42, &[]))),
        ("a TLS handshake", vec![0x16, 0x03, 0x01, 0x02, 0x00, 0x01]),
        ("HTTP", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("an indefinite length", vec![0x30, 0x80, 0, 0]),
        ("a message that is too large", vec![0x30, 0x84, 0x7f, 0xff, 0xff, 0xff]),
        ("no operation", element(0x30, &element(0x02, &[1]))),
    ] {
        let mut client = Client::app(&world);
        let behind = bind(6, "", b"");
        let reply = client.send(&[octets, behind].concat());
        reply.is_notice(2);
        assert_eq!(client.session.next(), Next::Close, "{what}");
        client.send(&bind(7, "", b"")).is_silence();
    }
}

#[test]
fn a_malformed_request_in_a_sound_frame_is_answered_and_the_connection_goes_on() {
    let world = World::new();
    let mut client = Client::app(&world);
    let base = |octets: &[u8], scope: u8| {
        [
            element(0x04, octets),
            element(0x0a, &[scope]),
            element(0x0a, &[0]),
            element(0x02, &[0]),
            element(0x02, &[0]),
            element(0x01, &[0]),
            element(0x87, b"objectClass"),
            element(0x30, &[]),
        ]
        .concat()
    };
    for (what, operation, response) in [
        ("a base that is not UTF-8", element(0x63, &base(&[0xff], 0)), 0x65),
        ("an unknown scope", element(0x63, &base(b"", 9)), 0x65),
        ("an empty search", element(0x63, &[]), 0x65),
        ("an empty compare", element(0x6e, &[]), 0x6f),
        ("an extended request without a name", element(0x77, &[]), 0x78),
    ] {
        let reply = client.send(&raw(1_234, &operation));
        reply.is(2);
        let answer = &reply.messages[0];
        assert_eq!((answer.msgid, tag_of(&answer.op)), (1_234, Some(response)), "{what}");
        assert_eq!(client.who_am_i(), "dn:cn=app,ou=users,dc=example,dc=org", "{what}");
    }
    // The same search, sound.
    client.send(&raw(1_234, &element(0x63, &base(b"", 0)))).is(0);
    // A malformed control.
    let control = element(0xa0, &element(0x30, &element(0x02, &[1])));
    let operation = element(0x63, &base(b"", 0));
    client.send(&raw(9, &[operation, control].concat())).is(2);
}
