//! SASL EXTERNAL (RFC 4513 section 5.2.3): who the holder of a client certificate is.

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use ldap3_proto::proto::{LdapOp, LdapSearchScope};
use rcgen::{CertificateParams, DistinguishedName, DnType, Issuer, KeyPair};
use rustls::crypto::ring::default_provider;

use super::client::{Client, Reply, element, encode, raw, result_of, search};
use super::paging::page;
use super::world::{
    ALICE, APP, BASE, MAIN, NOW, OTHER, OTHER_BASE, READER, STAFF, VAULT, Wishes, World, stranger, vault,
};
use crate::access::Entitlements;
use crate::config::{ClientAccount, ClientName};
use crate::ldap::client_trust::ClientTrust;
use crate::ldap::session::Next;
use crate::model::{Fingerprint, Record};
use crate::net::{ClientAuthorities, ClientCertificate};
use crate::registry::Trial;

const APP_DN: &str = "cn=app,ou=users,dc=example,dc=org";

/// An authority that signs for clients.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    alone: Arc<ClientAuthorities>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().der().clone();
        let provider = Arc::new(default_provider());
        let alone = ClientAuthorities::new(Path::new("clients.pem"), &[certificate], &provider).unwrap();
        Self { issuer: Issuer::new(params, key), alone: Arc::new(alone) }
    }

    /// Of `O=Example` and this common name, for a hundred seconds, as a handshake has verified it.
    fn signs(&self, name: &str) -> ClientCertificate {
        let mut params = CertificateParams::new(vec!["cloud.example.org".to_owned()]).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Example");
        params.distinguished_name.push(DnType::CommonName, name);
        let seconds = u64::try_from(NOW.unix_seconds()).unwrap() + 100;
        params.not_after = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds);
        let certificate = params.signed_by(&KeyPair::generate().unwrap(), &self.issuer).unwrap();
        ClientCertificate::of(&[certificate.der().clone()], self.alone.digest()).unwrap()
    }
}

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::new("first"));
static OTHER_AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::new("second"));

fn accounts(rows: Vec<(ClientName, &str)>) -> Vec<ClientAccount> {
    let account = |(certificate, account): (ClientName, &str)| ClientAccount {
        certificate,
        account: account.to_owned(),
    };
    rows.into_iter().map(account).collect()
}

fn trust(rows: Vec<(ClientName, &str)>) -> Arc<ClientTrust> {
    Arc::new(ClientTrust::new(Some(AUTHORITY.alone.clone()), &accounts(rows)))
}

fn subject(text: &str) -> ClientName {
    ClientName::Subject(text.to_owned())
}

/// A world in which `CN=cloud,O=Example` is the app.
fn world() -> World {
    let mut world = World::new();
    world.settings.client_trust = trust(vec![(subject("CN=cloud,O=Example"), "app")]);
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
    let own = AUTHORITY.signs("cloud");
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
        (subject("CN=cloud,O=Example"), "bindery:command-line", 49),
        (subject("CN=cloud,O=Example"), APP_DN, 49),
    ] {
        let what = format!("{name:?} {account}");
        world.settings.client_trust = trust(vec![(name, account)]);
        let mut client = client(&world, Some(own.clone()));
        let reply = external(&mut client, None);
        assert_eq!(reply.result().code.clone() as i64, code, "{what}");
        let expected = if code == 0 { format!("dn:{APP_DN}") } else { String::new() };
        assert_eq!(client.who_am_i(), expected, "{what}");
    }
    // The first that fits.
    world.settings.client_trust = trust(vec![
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
fn whom_a_certificate_stands_for_is_looked_up_once_and_counted() {
    let mut world = World::new();
    let mut rows: Vec<(ClientName, &str)> =
        (0..1_000).map(|number| (subject(&format!("CN=other-{number},O=Example")), "alice")).collect();
    rows.push((ClientName::Dns("elsewhere.example.org".to_owned()), "alice"));
    world.settings.client_trust = trust(rows.clone());
    let trust = world.settings.client_trust.clone();
    let mut client = client(&world, Some(AUTHORITY.signs("cloud")));
    let bind = |client: &mut Client, authorization: Option<&[u8]>, code| {
        let before = client.session.work_done();
        external(client, authorization).is(code);
        client.session.work_done() - before
    };
    let first = bind(&mut client, None, 49);
    assert!((2_000..50_000).contains(&first), "{first}");
    let next = bind(&mut client, None, 49);
    assert!((50..500).contains(&next), "{next}");
    // An exchange of the list is another question; a change of the directory is none, but of the schema.
    rows.push((subject("CN=cloud,O=Example"), "app"));
    assert!(trust.exchange(Some(AUTHORITY.alone.clone()), &accounts(rows)));
    assert!(bind(&mut client, None, 0) > 2_000);
    assert!(bind(&mut client, None, 0) < 500);
    world.change_account(APP, |account| account.email = "app@example.net".to_owned());
    assert!(bind(&mut client, None, 0) < 500);
    let custom = crate::plain::attribute("x-shoe-size", &["44"]);
    world.change_account(APP, |account| account.attributes.push(custom));
    assert!(bind(&mut client, None, 0) > 2_000);
    // As whom it is to act is a name, and costs what a name costs.
    let dear = "\u{fdfa}".repeat(1_300);
    assert!((8_000..15_000).contains(&bind(&mut client, Some(dear.as_bytes()), 50)));
    // Who shows none has asked for a bind all the same.
    assert!(bind(&mut self::client(&world, None), None, 48) >= 50);
}

#[test]
fn without_a_certificate_there_is_nothing_to_be_external_to() {
    let world = world();
    external(&mut Client::in_clear(&world), None).is(48);
    external(&mut client(&world, None), None).is(48);
    // Nobody is asked for a certificate: the mechanism is not known.
    let mut other = World::new();
    other.settings.client_trust = Arc::new(ClientTrust::new(None, &[]));
    external(&mut client(&other, Some(AUTHORITY.signs("cloud"))), None).is(7);
}

#[test]
fn the_holder_acts_as_itself_only() {
    let world = world();
    let mut client = client(&world, Some(AUTHORITY.signs("cloud")));
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
    let mut client = client(&world, Some(AUTHORITY.signs("cloud")));
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
fn who_the_authorities_of_now_do_not_vouch_for_is_nobody() {
    let world = world();
    let rows = accounts(vec![(subject("CN=cloud,O=Example"), "app")]);
    let trust = world.settings.client_trust.clone();
    let mut client = client(&world, Some(AUTHORITY.signs("cloud")));
    let mut other = self::client(&world, Some(OTHER_AUTHORITY.signs("cloud")));
    external(&mut client, None).is(0);
    // A handshake may end after the exchange of what it began with: what it has verified counts for nothing.
    external(&mut other, None).is(49);
    let look =
        |client: &mut Client| client.search(search(BASE, LdapSearchScope::Base, "(objectClass=*)", &["1.1"]));

    assert!(trust.exchange(Some(OTHER_AUTHORITY.alone.clone()), &rows));
    assert!(!trust.exchange(Some(OTHER_AUTHORITY.alone.clone()), &rows), "nothing has changed");
    // The chain is verified again, once, and that is work; no signature, for its issuer has another name.
    let before = client.session.work_done();
    assert!(look(&mut client).is(50).result().message.contains("not one of an authority of this server"));
    let verified = client.session.work_done() - before;
    assert!((500..1_400).contains(&verified), "{verified}");
    assert_eq!(client.who_am_i(), "");
    client.compare(APP_DN, "cn", "app").is(50);
    assert!(client.session.work_done() - before < 1_400);
    client.extended("1.3.6.1.4.1.4203.1.11.1").is(50);
    external(&mut client, None).is(49);
    look(&mut client).is(50);
    // A secret is as good as before.
    client.bind(APP_DN, &world.secrets.app).is(0);
    external(&mut other, None).is(0);
    assert_eq!(other.who_am_i(), format!("dn:{APP_DN}"));

    // Without any client CA there is no EXTERNAL, and who was bound with a secret does not notice.
    assert!(trust.exchange(None, &[]));
    assert_eq!(client.who_am_i(), format!("dn:{APP_DN}"));
    look(&mut other).is(50);
    external(&mut other, None).is(7);

    assert!(trust.exchange(Some(AUTHORITY.alone.clone()), &rows));
    external(&mut client, None).is(0);
    assert_eq!(client.who_am_i(), format!("dn:{APP_DN}"));
    external(&mut other, None).is(49);
}

#[test]
fn a_certificate_that_is_given_to_another_account_is_the_old_one_no_more() {
    let world = world();
    let trust = world.settings.client_trust.clone();
    let map = |rows| assert!(trust.exchange(Some(AUTHORITY.alone.clone()), &accounts(rows)));
    let mut client = client(&world, Some(AUTHORITY.signs("cloud")));
    external(&mut client, None).is(0);
    // Found in another way, it is the same account.
    map(vec![(ClientName::Dns("cloud.example.org".to_owned()), "APP")]);
    assert_eq!(client.who_am_i(), format!("dn:{APP_DN}"));
    for rows in [vec![], vec![(subject("CN=cloud,O=Example"), "alice")], vec![(subject("CN=x"), "app")]] {
        map(vec![(subject("CN=cloud,O=Example"), "app")]);
        external(&mut client, None).is(0);
        let is_somebody = rows.first().is_some_and(|(_, account)| *account == "alice");
        map(rows);
        let look = search(BASE, LdapSearchScope::Base, "(objectClass=*)", &["1.1"]);
        assert!(client.search(look).is(50).result().message.contains("does not stand for this account"));
        assert_eq!(client.who_am_i(), "");
        external(&mut client, None).is(if is_somebody { 0 } else { 49 });
        let expected = if is_somebody { "dn:cn=alice,ou=users,dc=example,dc=org" } else { "" };
        assert_eq!(client.who_am_i(), expected);
    }
}

#[test]
fn a_name_that_another_account_has_takes_the_certificate_with_it() {
    let world = world();
    let mut client = client(&world, Some(AUTHORITY.signs("cloud")));
    let look = search(BASE, LdapSearchScope::Base, "(objectClass=*)", &["1.1"]);
    external(&mut client, None).is(0);
    // The certificate stands for a name; nobody has it, then somebody else.
    world.change_account(APP, |account| account.username = "app-old".to_owned());
    assert!(client.search(look.clone()).is(50).result().message.contains("does not stand for this account"));
    assert_eq!(client.who_am_i(), "");
    external(&mut client, None).is(49);
    world.change_account(APP, |account| account.username = "app".to_owned());
    external(&mut client, None).is(0);
    world.change(|transaction| {
        let mut app = transaction.account(APP)?.unwrap();
        app.username = "app-old".to_owned();
        transaction.put(Record::Account(app))?;
        let mut alice = transaction.account(ALICE)?.unwrap();
        alice.username = "app".to_owned();
        transaction.put(Record::Account(alice))
    });
    assert_eq!(client.who_am_i(), "");
    client.search(look.clone()).is(50);
    external(&mut client, None).is(0);
    assert_eq!(client.who_am_i(), "dn:cn=app,ou=users,dc=example,dc=org");
    assert_eq!(client.session.account(), Some(ALICE));
    // Another change takes nothing away.
    world.change_account(APP, |account| account.email = "app@example.net".to_owned());
    client.search(look).is(0);
}

#[test]
fn where_a_certificate_is_withdrawn_no_application_is_at_home() {
    let mut world = World::new();
    let rows = accounts(vec![(subject("CN=cloud,O=Example"), "reader")]);
    world.settings.client_trust = Arc::new(ClientTrust::new(Some(AUTHORITY.alone.clone()), &rows));
    let trust = world.settings.client_trust.clone();
    let is_application = || {
        let trial = Trial { source: stranger().source, now: NOW, instant: Instant::now() };
        world.registry.is_application(MAIN, &world.registry.snapshot(), trial, &mut Entitlements::default())
    };
    let mut client = client(&world, Some(AUTHORITY.signs("cloud")));
    let bound = |client: &mut Client, is_bound: bool| {
        assert_eq!(!client.who_am_i().is_empty(), is_bound);
        assert_eq!(is_application(), is_bound);
    };
    external(&mut client, None).is(0);
    bound(&mut client, true);
    trust.exchange(Some(AUTHORITY.alone.clone()), &[]);
    bound(&mut client, false);
    // It is given back, and taken by a change of the directory.
    trust.exchange(Some(AUTHORITY.alone.clone()), &rows);
    bound(&mut client, true);
    world.change_account(READER, |account| account.username = "reader-old".to_owned());
    bound(&mut client, false);
    drop(client);
    assert!(!is_application());
}

#[test]
fn what_runs_at_an_exchange_ends_as_it_began_and_nothing_begins_behind_it() {
    let mut world = World::with(Wishes { people: 1_000, ..Wishes::default() });
    world.settings.client_trust = trust(vec![(subject("CN=cloud,O=Example"), "reader")]);
    let trust = world.settings.client_trust.clone();
    let mut client = client(&world, Some(AUTHORITY.signs("cloud")));
    external(&mut client, None).is(0);
    let everything = search(BASE, LdapSearchScope::Subtree, "(objectClass=*)", &["*", "+"]);
    let count = client.search(everything.clone()).entries().len();
    let first = page(&mut client, &everything, 10, b"");
    let cookie = first.is(0).page().1;
    assert!(!cookie.is_empty());

    let dump = encode(client.id(), LdapOp::SearchRequest(everything.clone()));
    client.push(&dump);
    let (begun, next) = client.step();
    assert_eq!(next, Next::Work);
    assert!(begun.len() < count);
    trust.exchange(Some(OTHER_AUTHORITY.alone.clone()), &[]);
    // It is answered from the snapshot that it has begun with, as when a token is revoked meanwhile.
    let rest = client.send(&encode(1_000, LdapOp::SearchRequest(everything.clone())));
    assert_eq!(rest.messages.iter().filter(|message| message.msgid == 1_000).count(), 1);
    let ended: Vec<_> = rest.messages.iter().filter_map(|message| result_of(&message.op)).collect();
    let codes: Vec<_> = ended.iter().map(|result| result.code.clone() as i64).collect();
    assert_eq!(codes, [50, 0]);
    assert_eq!(begun.len() + rest.messages.len(), count + 2);
    page(&mut client, &everything, 10, &cookie).is(50);
}

#[test]
fn applications_admit_holders_as_they_admit_others() {
    let world = world();
    let mut client = client(&world, Some(AUTHORITY.signs("cloud")));
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
    let mut client = client(&world, Some(AUTHORITY.signs("cloud")));
    external(&mut client, None).is(0);
    client.session.tls_started(None);
    assert_eq!(client.who_am_i(), "");
    external(&mut client, None).is(48);
}

#[test]
fn external_is_advertised_where_certificates_are_asked_for() {
    let world = world();
    let mechanisms = |world: &World| {
        let request = search("", LdapSearchScope::Base, "(objectClass=*)", &["supportedSASLMechanisms"]);
        Client::in_clear(world).search(request).values("supportedSASLMechanisms")
    };
    assert_eq!(mechanisms(&world), ["EXTERNAL", "PLAIN"]);
    world.settings.client_trust.exchange(None, &[]);
    assert_eq!(mechanisms(&world), ["PLAIN"]);
}
