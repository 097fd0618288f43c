//! Who can bind, by which name, and how a bind is refused.

use ldap3_proto::proto::{LdapBindCred, LdapBindRequest, LdapOp, LdapSearchScope, SaslCredentials};

use super::client::{Client, bind, element, raw, search, with_control};
use super::world::{
    ALICE, ALICE_PASSWORD, APP, APP_TOKEN, BASE, CAROL, CAROL_PASSWORD, LEGACY_SECRET, NOW, OTHER_BASE, ROOT,
    ROOT_PASSWORD, STAFF, VAULT, Wishes, World, peer, vault,
};
use crate::config::SecretsInClear;
use crate::ldap::session::Next;
use crate::model::{Key, Record};

const APP_DN: &str = "cn=app,ou=users,dc=example,dc=org";

#[test]
fn every_spelling_of_a_name_is_the_account() {
    let world = World::new();
    for name in [
        "cn=app,ou=users,dc=example,dc=org",
        "CN=App , OU = Users, DC=EXAMPLE,dc=org",
        "uid=app,ou=users,dc=example,dc=org",
        "sAMAccountName=APP,ou=users,dc=example,dc=org",
        "2.5.4.3=app,ou=users,dc=example,dc=org",
        "cn=\\61pp,ou=users,dc=example,dc=org",
        "cn=#0403617070,ou=users,dc=example,dc=org",
        "app",
        "APP",
        "app@example.org",
        "App@EXAMPLE.ORG",
    ] {
        let mut client = Client::new(&world);
        client.bind(name, &world.secrets.app).is(0);
        assert_eq!(client.who_am_i(), format!("dn:{APP_DN}"), "bound as {name}");
    }
}

/// Whoever binds by a userPrincipalName is whom it finds, and whoever has one binds by it, whatever the username looks like.
#[test]
fn a_user_principal_name_finds_who_binds_by_it() {
    let world = World::new();
    let names = [
        (ALICE, "alice", ALICE_PASSWORD, None),
        (CAROL, "Alice@example.org", CAROL_PASSWORD, Some("Alice@example.org")),
        (ROOT, "a=b", ROOT_PASSWORD, Some("a=b@example.org")),
    ];
    for (number, username, ..) in names {
        world.change_account(number, move |account| {
            (account.username, account.is_active) = (username.to_owned(), true);
        });
    }
    let mut reader = Client::reader(&world);
    for (_, username, secret, principal) in names {
        let [dn] = &reader.find(BASE, &format!("(sAMAccountName={username})"))[..] else {
            panic!("{username}")
        };
        let found =
            reader.search(search(dn, LdapSearchScope::Base, "(objectClass=*)", &["userPrincipalName"]));
        assert_eq!(found.values("userPrincipalName"), principal.into_iter().collect::<Vec<_>>());
        for name in [Some(username), principal].into_iter().flatten() {
            let mut client = Client::new(&world);
            client.bind(name, secret).is(0);
            assert_eq!(client.who_am_i(), format!("dn:{dn}"), "bound as {name}");
        }
        if let Some(principal) = principal {
            assert_eq!(reader.find(BASE, &format!("(userPrincipalName={principal})")), [dn.as_str()]);
        }
    }
    // A text that is a DN of ours stays one, and one that is none is a name.
    for username in ["cn=app,ou=users,dc=example,dc=org", "cn=x,dc=nowhere", "a=b,c", "#=\\"] {
        world.change_account(ROOT, move |root| root.username = username.to_owned());
        let is_ours = username.ends_with(BASE);
        Client::new(&world).bind(username, ROOT_PASSWORD).is(if is_ours { 49 } else { 0 });
        Client::new(&world).bind(&format!("{username}@example.org"), ROOT_PASSWORD).is(0);
    }
}

/// X.501 has each type once in an RDN: what repeats one is not the name of what has it once.
#[test]
fn a_type_that_comes_twice_names_nobody() {
    let world = World::new();
    let mut reader = Client::reader(&world);
    for rdn in ["cn=app+cn=app", "cn=app+commonName=APP", "cn=app+2.5.4.3=app"] {
        let dn = format!("{rdn},ou=users,{BASE}");
        Client::new(&world).bind(&dn, &world.secrets.app).is(49);
        reader.search(search(&dn, LdapSearchScope::Subtree, "(objectClass=*)", &[])).is(32);
    }
}

#[test]
fn names_that_are_nobody_are_refused_alike() {
    let world = World::new();
    let mut texts = Vec::new();
    for name in [
        "",
        "nobody",
        "app@elsewhere.example",
        "cn=nobody,ou=users,dc=example,dc=org",
        "cn=app,ou=groups,dc=example,dc=org",
        "cn=staff,ou=groups,dc=example,dc=org",
        "cn=app,ou=virtual-groups,dc=example,dc=org",
        "ou=users,dc=example,dc=org",
        "mail=app@example.org,ou=users,dc=example,dc=org",
        "cn=app,dc=example,dc=org",
        "cn=app,ou=users,dc=nowhere",
        "dc=example,dc=org",
        "cn=app,ou=users,dc=example,dc=org,",
        "=,=",
        "bindery:command-line",
        "prober",
        "cn=prober,ou=users,dc=example,dc=org",
        "cn=bindery:config,ou=users,dc=example,dc=org",
        "bindery:config@example.org",
    ] {
        let reply = Client::new(&world).bind(name, &world.secrets.app);
        texts.push((reply.is(49).result().message.clone(), reply.result().matcheddn.clone()));
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:?}");
}

#[test]
fn whatever_is_wrong_with_a_credential_the_answer_is_the_same() {
    let world = World::new();
    world.change(|transaction| transaction.delete_token(APP_TOKEN));
    let secrets = &world.secrets;
    let carol = "cn=carol,ou=users,dc=example,dc=org";
    let mut broken = secrets.app_brief.clone().into_bytes();
    broken[20] ^= 1;
    let tries: Vec<(&str, &str, Vec<u8>)> = vec![
        ("wrong", APP_DN, b"wrong".to_vec()),
        ("not text", APP_DN, vec![0xff, 0xfe, 0x00]),
        ("revoked", APP_DN, secrets.app.clone().into()),
        ("expired", APP_DN, secrets.app_expired.clone().into()),
        ("from the wrong network", APP_DN, secrets.app_local.clone().into()),
        ("an API token", APP_DN, secrets.app_api.clone().into()),
        ("of another account", APP_DN, secrets.reader.clone().into()),
        ("made up", APP_DN, secrets.nobody.clone().into()),
        ("mistyped", APP_DN, broken),
        ("no token at all", "prober", secrets.nobody.clone().into()),
        ("inactive, by password", carol, CAROL_PASSWORD.into()),
        ("inactive, by token", carol, secrets.carol.clone().into()),
        ("unknown account", "cn=nobody,ou=users,dc=example,dc=org", b"wrong".to_vec()),
        ("no password", "hidden-bob", b"wrong".to_vec()),
        ("too long", APP_DN, vec![b'x'; 1_025]),
    ];
    for (what, name, secret) in tries {
        let reply = Client::new(&world).bind(name, &secret);
        let result = reply.is(49).result();
        let expected = "the name or the password is wrong, or the credential does not hold any more";
        assert_eq!((result.message.as_str(), result.matcheddn.as_str()), (expected, ""), "{what}");
    }
}

#[test]
fn people_and_imported_secrets_bind_with_what_they_have() {
    let world = World::new();
    for (name, secret) in
        [("alice", ALICE_PASSWORD), ("root@example.org", ROOT_PASSWORD), ("legacy", LEGACY_SECRET)]
    {
        // Once by its hash, once by its proof.
        Client::new(&world).bind(name, secret).is(0);
        Client::new(&world).bind(name, secret).is(0);
        Client::new(&world).bind(name, format!("{secret} ")).is(49);
        // Trap 8: a secret that an appliance has cut is another one.
        Client::new(&world).bind(name, &secret.as_bytes()[..secret.len() - 2]).is(49);
    }
    assert!(ALICE_PASSWORD.len() > 64);
}

#[test]
fn generated_secrets_survive_every_appliance() {
    let world = World::new();
    for secret in [&world.secrets.app, &world.secrets.reader] {
        assert!(secret.len() <= 64);
        assert!(secret.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"_-".contains(&octet)));
    }
}

#[test]
fn a_token_of_a_network_binds_from_there_only() {
    let world = World::new();
    for (address, code) in [("10.1.2.3", 0), ("::ffff:10.1.2.3", 0), ("11.0.0.1", 49), ("2001:db8::1", 49)] {
        let mut client = Client::from(&world, peer(address), true);
        client.bind(APP_DN, &world.secrets.app_local).is(code);
    }
    // A Unix socket has no address, so a token of a network is not for it.
    let unix = crate::ldap::session::SessionPeer { source: None, is_loopback: true, is_tls_at_proxy: false };
    Client::from(&world, unix, true).bind(APP_DN, &world.secrets.app_local).is(49);
    Client::from(&world, unix, true).bind(APP_DN, &world.secrets.app).is(0);
}

#[test]
fn expiry_is_to_the_second() {
    let world = World::new();
    for (seconds, code) in [(99, 0), (100, 49), (101, 49)] {
        let mut client = Client::new(&world);
        client.now = NOW.after(std::time::Duration::from_secs(seconds));
        client.bind(APP_DN, &world.secrets.app_brief).is(code);
    }
}

#[test]
fn anonymous_and_unauthenticated_binds() {
    let world = World::new();
    let mut client = Client::app(&world);
    // A name without a password has authenticated nobody (RFC 4513 section 5.1.2).
    client.bind(APP_DN, "").is(53);
    assert_eq!(client.who_am_i(), "");
    let mut client = Client::app(&world);
    client.bind("", "").is(0);
    assert_eq!(client.who_am_i(), "");
    assert_eq!(world.hashes(), 1);
}

#[test]
fn other_versions_and_methods() {
    let world = World::new();
    for version in [-1, 0, 2, 4, 300] {
        let cred = LdapBindCred::Simple(world.secrets.app.clone());
        let request = LdapBindRequest { version, dn: APP_DN.to_owned(), cred };
        Client::new(&world).ask(LdapOp::BindRequest(request)).is(2);
    }
    for mechanism in ["DIGEST-MD5", "GSSAPI", ""] {
        let cred =
            LdapBindCred::SASL(SaslCredentials { mechanism: mechanism.to_owned(), credentials: vec![1] });
        let request = LdapBindRequest { version: 3, dn: String::new(), cred };
        Client::new(&world).ask(LdapOp::BindRequest(request)).is(7);
    }
    // A choice that nobody knows.
    let body = [element(0x02, &[3]), element(0x04, b""), element(0x89, b"x")].concat();
    Client::new(&world).send(&raw(2, &element(0x60, &body))).is(7);
    assert_eq!(world.hashes(), 0);
}

pub(super) fn plain(id: i32, credentials: Option<&[u8]>) -> Vec<u8> {
    let credentials = credentials.map(|credentials| element(0x04, credentials)).unwrap_or_default();
    let sasl = element(0xa3, &[element(0x04, b"PLAIN"), credentials].concat());
    raw(id, &element(0x60, &[element(0x02, &[3]), element(0x04, b""), sasl].concat()))
}

#[test]
fn sasl_plain_is_a_bind_with_a_name_and_a_secret() {
    let world = World::new();
    let secret = world.secrets.app.as_bytes();
    let ask = |client: &mut Client, authorization: &str, name: &str, secret: &[u8]| {
        let message = [authorization.as_bytes(), b"\0", name.as_bytes(), b"\0", secret].concat();
        let id = client.id();
        client.send(&plain(id, Some(&message)))
    };
    for (authorization, name) in [
        ("", "app"),
        ("", APP_DN),
        ("", "dn:cn=APP,ou=users,dc=example,dc=org"),
        ("", "u:app@example.org"),
        ("app", "app"),
        ("u:APP", "app"),
        ("dn:uid=app,ou=users,dc=example,dc=org", "app"),
    ] {
        let mut client = Client::new(&world);
        ask(&mut client, authorization, name, secret).is(0);
        assert_eq!(client.who_am_i(), format!("dn:{APP_DN}"), "{authorization:?} {name:?}");
        // As somebody else: refused after the right secret only, and nobody is bound afterwards.
        ask(&mut client, "u:alice", name, secret).is(50);
        assert_eq!(client.who_am_i(), "");
    }
    for (authorization, name, secret, code) in [
        ("u:nobody", "app", secret, 50),
        ("", "bindery:config", secret, 49),
        ("u:alice", "app", b"wrong", 49),
        ("", "app", b"wrong", 49),
        ("", "nobody", secret, 49),
        ("", "app", b"", 53),
    ] {
        ask(&mut Client::new(&world), authorization, name, secret).is(code);
    }
    for broken in [&b"app"[..], b"", b"\0app", b"\0\0x", b"\0app\0x\0y"] {
        let mut client = Client::new(&world);
        let id = client.id();
        client.send(&plain(id, Some(broken))).is(49);
    }
    // Not in clear.
    ask(&mut Client::in_clear(&world), "", "app", secret).is(13);
}

#[test]
fn a_sasl_client_may_wait_to_be_asked() {
    let mut world = World::new();
    // Not in clear, where it would be asked for a secret that must not be sent: it is told so first.
    let mut client = Client::in_clear(&world);
    client.send(&plain(2, None)).is(13);
    client.send(&plain(3, Some(b"of another form"))).is(13);
    client.extended("1.3.6.1.4.1.1466.20037").is(0);
    world.settings.secrets_in_clear = SecretsInClear::Always;
    let mut client = Client::in_clear(&world);
    client.send(&plain(2, None)).is(14);
    // RFC 4511 section 4.14.1: no TLS in between.
    let start_tls = "1.3.6.1.4.1.1466.20037";
    client.extended(start_tls).is(1);
    let message = [b"\0app\0", world.secrets.app.as_bytes()].concat();
    client.send(&plain(4, Some(&message))).is(0);
    assert_eq!(client.who_am_i(), format!("dn:{APP_DN}"));
    // Another bind aborts it.
    client.send(&plain(6, None)).is(14);
    client.bind("", "").is(0);
    client.extended(start_tls).is(0);
}

#[test]
fn secrets_in_clear_are_refused_and_not_looked_at() {
    let mut world = World::new();
    let here = || peer("127.0.0.1");
    let there = || peer("192.0.2.1");
    for (secrets_in_clear, peer, code) in [
        (SecretsInClear::Never, here(), 13),
        (SecretsInClear::Never, there(), 13),
        (SecretsInClear::Loopback, there(), 13),
        (SecretsInClear::Loopback, here(), 0),
        (SecretsInClear::Always, there(), 0),
    ] {
        world.settings.secrets_in_clear = secrets_in_clear;
        let before = world.hashes();
        let mut client = Client::from(&world, peer, false);
        let secrets: [&[u8]; 3] = [world.secrets.app.as_bytes(), b"wrong", ALICE_PASSWORD.as_bytes()];
        if code == 13 {
            for secret in secrets {
                client.bind(APP_DN, secret).is(13);
                client.bind("alice", secret).is(13);
            }
            assert_eq!(world.hashes(), before);
            // The right secret was not remembered either.
            client.bind("", "").is(0);
        } else {
            client.bind(APP_DN, &world.secrets.app).is(code);
        }
        Client::from(&world, peer, true).bind(APP_DN, &world.secrets.app).is(0);
    }
}

#[test]
fn whatever_fails_leaves_the_connection_anonymous() {
    let world = World::new();
    let good = bind(9, APP_DN, world.secrets.app.as_bytes());
    let malformed = raw(9, &element(0x60, &element(0x02, &[3])));
    let not_utf8 = {
        let body = [element(0x02, &[3]), element(0x04, &[0xff]), element(0x80, b"x")].concat();
        raw(9, &element(0x60, &body))
    };
    for (what, octets, code) in [
        ("wrong secret", bind(9, APP_DN, b"wrong"), 49),
        ("wrong name", bind(9, "nobody", world.secrets.app.as_bytes()), 49),
        ("empty password", bind(9, APP_DN, b""), 53),
        ("malformed", malformed, 2),
        ("a name that is not UTF-8", not_utf8, 2),
        ("an unknown critical control", with_control(&good, "1.2.3", true), 12),
    ] {
        let mut client = Client::app(&world);
        assert_eq!(client.who_am_i(), format!("dn:{APP_DN}"));
        client.send(&octets).is(code);
        assert_eq!(client.who_am_i(), "", "{what}");
        client.search(search(BASE, LdapSearchScope::Base, "(objectClass=*)", &[])).is(50);
        client.bind(APP_DN, &world.secrets.app).is(0);
        assert_eq!(client.who_am_i(), format!("dn:{APP_DN}"), "{what}");
    }
}

#[test]
fn an_application_refuses_only_the_right_secret() {
    let world = World::new();
    // Of the other provider's suffix and domain: `vault` admits the staff only.
    for name in
        ["cn=reader,ou=users,dc=other,dc=net", "reader@corp.example", "uid=reader,ou=users,dc=other,dc=net"]
    {
        let mut client = Client::new(&world);
        let reply = client.bind(name, &world.secrets.reader);
        assert!(reply.is(50).result().message.contains("`vault`"), "{}", reply.result().message);
        assert_eq!(client.who_am_i(), "");
        client.bind(name, "wrong").is(49);
        client.bind(name, &world.secrets.app).is(49);
        client.bind(name, &world.secrets.nobody).is(49);
    }
    let mut client = Client::new(&world);
    client.bind("app@corp.example", &world.secrets.app).is(0);
    assert_eq!(client.who_am_i(), format!("dn:cn=app,ou=users,{OTHER_BASE}"));
    // A proof does not outlive the binding.
    world.change(|transaction| transaction.put(Record::Application(vault(vec![super::world::ADMINS]))));
    Client::new(&world).bind("app@corp.example", &world.secrets.app).is(50);
    world.change(|transaction| transaction.delete(Key::Application(VAULT)));
    Client::new(&world).bind("app@corp.example", &world.secrets.app).is(0);
}

#[test]
fn nested_members_are_admitted() {
    let world = World::new();
    world.change(|transaction| transaction.put(Record::Application(vault(vec![super::world::EVERYONE]))));
    Client::new(&world).bind("app@corp.example", &world.secrets.app).is(0);
    world.change(|transaction| transaction.set_member(STAFF, APP, false).map(|_| ()));
    Client::new(&world).bind("app@corp.example", &world.secrets.app).is(50);
}

#[test]
fn a_bind_waits_for_what_is_outstanding() {
    let world = World::with(Wishes { people: 2_000, ..Wishes::default() });
    let mut client = Client::reader(&world);
    let dump = search(BASE, LdapSearchScope::Subtree, "(objectClass=*)", &[]);
    client.push(&super::client::encode(7, LdapOp::SearchRequest(dump)));
    client.push(&bind(8, "", b""));
    let (_, next) = client.step();
    assert_eq!(next, Next::Work);
    assert!(!client.left().is_empty(), "the bind is not taken");
    let reply = client.send(&[]);
    let kinds: Vec<i32> = reply
        .messages
        .iter()
        .filter(|message| super::client::result_of(&message.op).is_some())
        .map(|message| message.msgid)
        .collect();
    assert_eq!(kinds, [7, 8]);
    assert_eq!(client.who_am_i(), "");
}

#[test]
fn nothing_is_taken_while_a_hash_is_computed() {
    let world = World::new();
    let mut client = Client::new(&world);
    client.push(&bind(2, APP_DN, world.secrets.app.as_bytes()));
    client.push(&super::client::encode(3, LdapOp::UnbindRequest));
    let taken = client.left().len();
    let mut output = Vec::new();
    let octets = client.left().to_vec();
    let moment = client.moment();
    let taken_now = client.session.receive(&octets, &mut output, moment);
    assert!(taken_now < taken && output.is_empty());
    assert_eq!(client.session.next(), Next::Hash);
    assert_eq!(client.session.receive(&octets[taken_now..], &mut output, moment), 0);
    let outcome = super::world::wait(async { (&mut client.session.attempt().unwrap().outcome).await });
    client.session.conclude(outcome.ok(), &mut output, moment);
    assert!(client.session.is_bound());
    client.session.receive(&octets[taken_now..], &mut output, moment);
    assert_eq!(client.session.next(), Next::Close);
}

#[test]
fn a_hash_that_never_comes_is_busy() {
    let world = World::new();
    let mut client = Client::new(&world);
    let octets = bind(2, APP_DN, world.secrets.app.as_bytes());
    let (mut output, moment) = (Vec::new(), client.moment());
    client.session.receive(&octets, &mut output, moment);
    client.session.conclude(None, &mut output, moment);
    assert_eq!(client.who_am_i(), "");
    // And the pool that is closed takes none.
    world.registry.hash_pool().close();
    Client::new(&world).bind(APP_DN, &world.secrets.app).is(51);
}

#[test]
fn revoking_between_the_hash_and_the_answer_counts() {
    let world = World::new();
    let mut client = Client::new(&world);
    let octets = bind(2, APP_DN, world.secrets.app.as_bytes());
    let (mut output, moment) = (Vec::new(), client.moment());
    client.session.receive(&octets, &mut output, moment);
    let outcome = super::world::wait(async { (&mut client.session.attempt().unwrap().outcome).await });
    world.change(|transaction| transaction.delete_token(APP_TOKEN));
    client.session.conclude(outcome.ok(), &mut output, moment);
    assert_eq!(
        super::client::result_of(&super::client::decode(&output)[0].op).unwrap().code.clone() as i64,
        49
    );
    assert!(!client.session.is_bound());
}
