//! The other controls, and Cancel.

use ldap3_proto::proto::{LdapCompareRequest, LdapExtendedRequest, LdapOp, LdapSearchScope};

use super::client::{Client, Reply, bind, element, encode, result_of, search, values_of, with_controls};
use super::world::{APP_TOKEN, BASE, NOW, Wishes, World};
use crate::ldap::session::Next;
use crate::model::Timestamp;

const MATCHED_VALUES: &str = "1.2.826.0.1.3344810.2.3";
const ASSERTION: &str = "1.3.6.1.1.12";
pub(super) const SUBENTRIES: &str = "1.3.6.1.4.1.4203.1.10.1";
const PASSWORD_POLICY: &str = "1.3.6.1.4.1.42.2.27.8.5.1";
const ALICE_DN: &str = "cn=alice,ou=users,dc=example,dc=org";

fn equality(attribute: &str, value: &str) -> Vec<u8> {
    element(0xa3, &[element(0x04, attribute.as_bytes()), element(0x04, value.as_bytes())].concat())
}

fn ask(client: &mut Client, op: LdapOp, oid: &str, value: Option<Vec<u8>>) -> Reply {
    let request = encode(client.id(), op);
    client.send(&with_controls(&request, &[(oid, true, value)]))
}

fn read(base: &str, attributes: &[&str]) -> LdapOp {
    LdapOp::SearchRequest(search(base, LdapSearchScope::Base, "(objectClass=*)", attributes))
}

#[test]
fn only_the_values_that_match_are_returned() {
    let world = World::new();
    let mut client = Client::reader(&world);
    let wanted = |assertions: &[Vec<u8>]| Some(element(0x30, &assertions.concat()));
    let classes = wanted(&[equality("objectClass", "person"), equality("objectClass", "2.5.6.0")]);
    let reply = ask(&mut client, read(ALICE_DN, &["objectClass", "sn"]), MATCHED_VALUES, classes.clone());
    reply.is(0);
    assert_eq!(reply.values("objectClass"), ["top", "person"]);
    // An attribute without a value that matches stays, without values (RFC 3876 section 2); one that the entry does
    // not have is not there.
    assert_eq!(reply.names(), ["objectClass", "sn"]);
    assert!(reply.values("sn").is_empty());
    // Under `*` and `+`, computed attributes too.
    let staff = "cn=staff,ou=groups,dc=example,dc=org";
    let reply =
        ask(&mut client, read(ALICE_DN, &["*", "+"]), MATCHED_VALUES, wanted(&[equality("memberOf", staff)]));
    assert_eq!(reply.values("memberOf"), [staff]);
    assert!(reply.names().contains(&"entryUUID") && reply.values("entryUUID").is_empty());
    // It has no effect on types only, nor where no attributes are asked for.
    let mut request = search(ALICE_DN, LdapSearchScope::Base, "(objectClass=*)", &["objectClass"]);
    request.typesonly = true;
    let reply = ask(&mut client, LdapOp::SearchRequest(request), MATCHED_VALUES, classes.clone());
    assert_eq!(reply.names(), ["objectClass"]);
    let reply = ask(&mut client, read(ALICE_DN, &["1.1"]), MATCHED_VALUES, classes);
    assert!(reply.names().is_empty());
    // What may not be seen does not come back by it.
    let mut app = Client::app(&world);
    let member = wanted(&[element(0x87, b"member")]);
    let reply = ask(&mut app, read(staff, &["member"]), MATCHED_VALUES, member);
    assert_eq!(reply.values("member"), ["cn=app,ou=users,dc=example,dc=org"]);
    // The schema, of which a client wants one definition.
    let name = wanted(&[equality("attributeTypes", "2.5.4.3")]);
    let reply = ask(&mut client, read("cn=subschema", &["attributeTypes"]), MATCHED_VALUES, name);
    assert_eq!(reply.values("attributeTypes").len(), 1);
}

#[test]
fn an_assertion_must_be_true_of_the_entry() {
    let world = World::new();
    let mut client = Client::reader(&world);
    for (assertion, code) in [
        (equality("cn", "ALICE"), 0),
        (equality("cn", "bob"), 122),
        // Undefined is not true.
        (equality("nonsense", "x"), 122),
        (element(0xa2, &equality("nonsense", "x")), 122),
    ] {
        let reply = ask(&mut client, read(ALICE_DN, &[]), ASSERTION, Some(assertion.clone()));
        reply.is(code);
        assert_eq!(reply.entries().len(), usize::from(code == 0));
        let compare =
            LdapCompareRequest { dn: ALICE_DN.to_owned(), atype: "cn".to_owned(), val: b"alice".to_vec() };
        let reply = ask(&mut client, LdapOp::CompareRequest(compare), ASSERTION, Some(assertion));
        reply.is(if code == 0 { 6 } else { code });
    }
    // It is about the base of a search, whatever the filter finds below it.
    let users = search("ou=users,dc=example,dc=org", LdapSearchScope::Subtree, "(cn=alice)", &[]);
    let about_base = Some(equality("ou", "users"));
    ask(&mut client, LdapOp::SearchRequest(users), ASSERTION, about_base).is(0);
    // What is hidden is not asserted about.
    let mut app = Client::app(&world);
    ask(&mut app, read(ALICE_DN, &[]), ASSERTION, Some(equality("cn", "alice"))).is(32);
    // Changes are refused as ever.
    ask(&mut client, LdapOp::DelRequest(ALICE_DN.to_owned()), ASSERTION, Some(equality("cn", "alice")))
        .is(53);
}

#[test]
fn subentries_are_apart() {
    let world = World::new();
    let mut client = Client::reader(&world);
    let only = |flag: u8| Some(element(0x01, &[flag]));
    let all = || LdapOp::SearchRequest(search(BASE, LdapSearchScope::Subtree, "(objectClass=*)", &["1.1"]));
    assert!(ask(&mut client, all(), SUBENTRIES, only(0xff)).is(0).entries().is_empty());
    assert!(!ask(&mut client, all(), SUBENTRIES, only(0)).is(0).entries().is_empty());
    for (flag, count) in [(0xff, 1), (0, 0)] {
        let reply = ask(&mut client, read("cn=subschema", &["1.1"]), SUBENTRIES, only(flag));
        assert_eq!(reply.is(0).entries().len(), count);
        let reply = ask(&mut client, read("", &["1.1"]), SUBENTRIES, only(flag));
        assert_eq!(reply.is(0).entries().len(), 1 - count);
    }
}

#[test]
fn the_root_dse_says_which_controls_work() {
    let world = World::new();
    let reply = Client::new(&world).search(search(
        "",
        LdapSearchScope::Base,
        "(objectClass=*)",
        &["supportedControl"],
    ));
    let controls = values_of(reply.entry(), "supportedControl");
    for oid in [MATCHED_VALUES, ASSERTION, SUBENTRIES, PASSWORD_POLICY, "1.2.840.113556.1.4.319"] {
        assert!(controls.iter().any(|control| control == oid), "{oid}");
    }
}

#[test]
fn a_client_that_asks_learns_when_its_secret_expires() {
    let world = World::new();
    let policy = |client: &mut Client, secret: &str| {
        let request = bind(client.id(), "cn=app,ou=users,dc=example,dc=org", secret.as_bytes());
        client.send(&with_controls(&request, &[(PASSWORD_POLICY, false, None)]))
    };
    let mut client = Client::new(&world);
    // It does not expire.
    assert_eq!(policy(&mut client, &world.secrets.app).is(0).control(PASSWORD_POLICY).unwrap(), b"\x30\x00");
    // In 100 seconds; with and without a hash.
    for _ in 0..2 {
        let reply = policy(&mut client, &world.secrets.app_brief);
        assert_eq!(reply.is(0).control(PASSWORD_POLICY).unwrap(), b"\x30\x05\xa0\x03\x80\x01\x64");
    }
    // Not soon.
    world.change_token(APP_TOKEN, |token| {
        token.expires = Some(Timestamp::from_unix_seconds(NOW.unix_seconds() + 86_400));
    });
    assert_eq!(policy(&mut client, &world.secrets.app).is(0).control(PASSWORD_POLICY).unwrap(), b"\x30\x00");
    // Why it is refused is not told.
    for secret in [world.secrets.app_expired.as_str(), "wrong"] {
        assert_eq!(policy(&mut client, secret).is(49).control(PASSWORD_POLICY).unwrap(), b"\x30\x00");
    }
    // Who has not asked is told nothing.
    assert_eq!(
        client.bind("cn=app,ou=users,dc=example,dc=org", &world.secrets.app_brief).control(PASSWORD_POLICY),
        None
    );
}

fn cancel(id: i32, of: i32) -> Vec<u8> {
    let value = element(0x30, &element(0x02, &of.to_be_bytes()));
    let name = "1.3.6.1.1.8".to_owned();
    encode(id, LdapOp::ExtendedRequest(LdapExtendedRequest { name, value: Some(value) }))
}

#[test]
fn cancel_ends_a_search_and_says_so() {
    let world = World::with(Wishes { people: 1_000, ..Wishes::default() });
    let mut client = Client::reader(&world);
    let dump = |id| {
        encode(
            id,
            LdapOp::SearchRequest(search(BASE, LdapSearchScope::Subtree, "(objectClass=*)", &["*", "+"])),
        )
    };
    client.push(&[dump(10), dump(11)].concat());
    client.step();
    client.push(&cancel(12, 10));
    let (messages, next) = client.step();
    assert_eq!(next, Next::Work);
    let finals: Vec<(i32, i64)> = messages
        .iter()
        .filter_map(|message| {
            result_of(&message.op).map(|result| (message.msgid, result.code.clone() as i64))
        })
        .collect();
    assert_eq!(finals, [(10, 118), (12, 0)]);
    let rest = client.send(&[]);
    assert!(rest.messages.iter().all(|message| message.msgid == 11), "not an entry more");
    // What is over, or never was, is no operation.
    client.send(&cancel(13, 11)).is(119);
    client.send(&cancel(14, 14)).is(119);
    client.send(&cancel(15, 999)).is(119);
    for value in
        [None, Some(Vec::new()), Some(element(0x30, &[])), Some(element(0x30, &element(0x02, &[0xff])))]
    {
        let name = "1.3.6.1.1.8".to_owned();
        let request = encode(client.id(), LdapOp::ExtendedRequest(LdapExtendedRequest { name, value }));
        client.send(&request).is(2);
    }
}
