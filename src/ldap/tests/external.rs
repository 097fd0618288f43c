//! SASL EXTERNAL (RFC 4513 section 5.2.3): who the holder of a client certificate is.

use std::sync::Arc;

use ldap3_proto::proto::LdapSearchScope;

use super::client::{Client, Reply, element, raw, search};
use super::world::{APP, BASE, NOW, OTHER, OTHER_BASE, STAFF, VAULT, World, vault};
use crate::config::{ClientAccount, ClientName};
use crate::model::{Fingerprint, Record};
use crate::net::ClientCertificate;
use crate::schema::Dn;

const APP_DN: &str = "cn=app,ou=users,dc=example,dc=org";

fn certificate(subject: &str) -> ClientCertificate {
    ClientCertificate {
        fingerprint: Fingerprint::new([7; 32]),
        subject: Some(Dn::parse(subject.as_bytes()).unwrap()),
        dns_names: vec!["cloud.example.org".to_owned()],
        not_after: NOW.after(std::time::Duration::from_secs(100)),
    }
}

fn accounts(rows: Vec<(ClientName, &str)>) -> Option<Arc<[ClientAccount]>> {
    let account = |(certificate, account): (ClientName, &str)| ClientAccount {
        certificate,
        account: account.to_owned(),
    };
    Some(rows.into_iter().map(account).collect())
}

fn subject(text: &str) -> ClientName {
    ClientName::Subject(text.to_owned())
}

/// A world in which `CN=cloud,O=Example` is the app.
fn world() -> World {
    let mut world = World::new();
    world.settings.client_accounts = accounts(vec![(subject("CN=cloud,O=Example"), "app")]);
    world
}

/// A client that has shown this certificate.
fn client(world: &World, certificate: Option<ClientCertificate>) -> Client {
    let mut client = Client::in_clear(world);
    client.session.tls_started(certificate);
    client
}

fn external(client: &mut Client, authorization: Option<&[u8]>) -> Reply {
    let id = client.id();
    let credentials = authorization.map(|text| element(0x04, text)).unwrap_or_default();
    let sasl = element(0xa3, &[element(0x04, b"EXTERNAL"), credentials].concat());
    client.send(&raw(id, &element(0x60, &[element(0x02, &[3]), element(0x04, b""), sasl].concat())))
}

#[test]
fn a_certificate_is_the_account_that_the_config_says() {
    let mut world = World::new();
    let hashes = world.hashes();
    let own = certificate("CN=cloud,O=Example");
    for (name, account, code) in [
        (subject("CN=cloud,O=Example"), "app", 0),
        (subject("cn = CLOUD , 2.5.4.10=example"), "APP", 0),
        (ClientName::Dns("cloud.example.org".to_owned()), "app", 0),
        (ClientName::Sha256(own.fingerprint), "app", 0),
        (subject("O=Example,CN=cloud"), "app", 49),
        (subject("CN=cloud"), "app", 49),
        (subject("CN=cloud,O=Example,C=DE"), "app", 49),
        (ClientName::Dns("example.org".to_owned()), "app", 49),
        (ClientName::Sha256(Fingerprint::new([8; 32])), "app", 49),
        // Of no account, of one that is inactive, and of bindery's own.
        (subject("CN=cloud,O=Example"), "nobody", 49),
        (subject("CN=cloud,O=Example"), "carol", 49),
        (subject("CN=cloud,O=Example"), "prober", 49),
        (subject("CN=cloud,O=Example"), APP_DN, 49),
    ] {
        let what = format!("{name:?} {account}");
        world.settings.client_accounts = accounts(vec![(name, account)]);
        let mut client = client(&world, Some(own.clone()));
        let reply = external(&mut client, None);
        assert_eq!(reply.result().code.clone() as i64, code, "{what}");
        let expected = if code == 0 { format!("dn:{APP_DN}") } else { String::new() };
        assert_eq!(client.who_am_i(), expected, "{what}");
    }
    // The first that fits.
    world.settings.client_accounts = accounts(vec![
        (subject("CN=other"), "alice"),
        (ClientName::Dns("cloud.example.org".to_owned()), "app"),
        (subject("CN=cloud,O=Example"), "alice"),
    ]);
    let mut client = client(&world, Some(own));
    external(&mut client, Some(b"")).is(0);
    assert_eq!(client.who_am_i(), format!("dn:{APP_DN}"));
    assert_eq!(world.hashes(), hashes, "no secret, no hash");
}

#[test]
fn without_a_certificate_there_is_nothing_to_be_external_to() {
    let world = world();
    external(&mut Client::in_clear(&world), None).is(48);
    external(&mut client(&world, None), None).is(48);
    // Nobody is asked for a certificate: the mechanism is not known.
    let mut other = World::new();
    other.settings.client_accounts = None;
    external(&mut client(&other, Some(certificate("CN=cloud,O=Example"))), None).is(7);
}

#[test]
fn the_holder_acts_as_itself_only() {
    let world = world();
    let mut client = client(&world, Some(certificate("CN=cloud,O=Example")));
    for itself in ["app", "u:App", "dn:uid=app,ou=users,dc=example,dc=org"] {
        external(&mut client, Some(itself.as_bytes())).is(0);
        assert_eq!(client.who_am_i(), format!("dn:{APP_DN}"), "{itself}");
    }
    for (other, code) in
        [(&b"u:alice"[..], 50), (b"dn:cn=alice,ou=users,dc=example,dc=org", 50), (b"\xff", 49)]
    {
        external(&mut client, Some(other)).is(code);
        assert_eq!(client.who_am_i(), "");
        external(&mut client, None).is(0);
    }
}

#[test]
fn the_identity_holds_until_account_or_certificate_do_not() {
    let world = world();
    let mut client = client(&world, Some(certificate("CN=cloud,O=Example")));
    external(&mut client, None).is(0);
    let look =
        |client: &mut Client| client.search(search(BASE, LdapSearchScope::Base, "(objectClass=*)", &["1.1"]));
    client.now = NOW.after(std::time::Duration::from_secs(100));
    look(&mut client).is(0);
    // The second after its last one.
    client.now = NOW.after(std::time::Duration::from_secs(101));
    assert!(look(&mut client).is(50).result().message.contains("certificate has expired"));
    assert_eq!(client.who_am_i(), "");
    external(&mut client, None).is(49);
    client.now = NOW;
    external(&mut client, None).is(0);
    world.change_account(APP, |account| account.is_active = false);
    look(&mut client).is(50);
    external(&mut client, None).is(49);
    world.change_account(APP, |account| account.is_active = true);
    external(&mut client, None).is(0);
}

#[test]
fn applications_admit_holders_as_they_admit_others() {
    let world = world();
    let mut client = client(&world, Some(certificate("CN=cloud,O=Example")));
    external(&mut client, None).is(0);
    let other = |client: &mut Client| {
        client.search(search(OTHER_BASE, LdapSearchScope::Base, "(objectClass=*)", &["1.1"]))
    };
    other(&mut client).is(0);
    // The application of another provider, and then that of its own.
    world.change(|transaction| transaction.put(Record::Application(vault(vec![super::world::HIDDEN]))));
    other(&mut client).is(32);
    world.change(|transaction| {
        let mut application = vault(vec![super::world::HIDDEN]);
        application.provider = Some(super::world::MAIN);
        transaction.put(Record::Application(application))
    });
    assert!(external(&mut client, None).is(50).result().message.contains("vault"));
    world.change(|transaction| {
        let mut application = vault(vec![STAFF]);
        application.provider = Some(OTHER);
        transaction.put(Record::Application(application))
    });
    external(&mut client, None).is(0);
    assert_eq!(VAULT.get(), 3);
}

#[test]
fn what_was_known_before_the_handshake_counts_no_more() {
    let world = world();
    let mut client = client(&world, Some(certificate("CN=cloud,O=Example")));
    external(&mut client, None).is(0);
    client.session.tls_started(None);
    assert_eq!(client.who_am_i(), "");
    external(&mut client, None).is(48);
}

#[test]
fn external_is_advertised_where_certificates_are_asked_for() {
    let mut world = world();
    let mechanisms = |world: &World| {
        let request = search("", LdapSearchScope::Base, "(objectClass=*)", &["supportedSASLMechanisms"]);
        Client::in_clear(world).search(request).values("supportedSASLMechanisms")
    };
    assert_eq!(mechanisms(&world), ["EXTERNAL", "PLAIN"]);
    world.settings.client_accounts = None;
    assert_eq!(mechanisms(&world), ["PLAIN"]);
}
