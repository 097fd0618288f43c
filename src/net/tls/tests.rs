//! Handshakes with a rustls client that trusts the development authority, and every way to be wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls::{HandshakeKind, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream as ClientStream;
use tokio_rustls::server::TlsStream as ServerStream;

use super::*;
use crate::clock::Clock;
use crate::net::certificate::create_development;
use crate::net::signatures;

fn development() -> (TempDir, TlsFiles) {
    let directory = tempfile::tempdir().unwrap();
    let made = create_development(directory.path()).unwrap();
    (directory, TlsFiles { certificate: made.certificate, key: made.key, client_ca: None })
}

fn reload(tls: &Tls, files: &TlsFiles) -> Result<(), TlsError> {
    tls.put_in_force(tls.read_again(files, jiff::Timestamp::now())?);
    Ok(())
}

fn roots(authority: &Path) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
    roots
}

fn client(authority: &Path) -> Arc<ClientConfig> {
    client_of_versions(authority, ALL_VERSIONS)
}

fn client_of_versions(
    authority: &Path,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots(authority))
        .with_no_client_auth();
    Arc::new(config)
}

type Both = (io::Result<ClientStream<DuplexStream>>, io::Result<ServerStream<DuplexStream>>);

async fn handshake(tls: &Tls, client: &Arc<ClientConfig>, name: &str) -> Both {
    let (here, there) = duplex(64 * 1024);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connector = TlsConnector::from(Arc::clone(client));
    tokio::join!(connector.connect(name, here), tls.acceptor().0.accept(there))
}

async fn echo(
    client: &mut (impl AsyncRead + AsyncWrite + Unpin),
    server: &mut (impl AsyncRead + AsyncWrite + Unpin),
) {
    let mut octets = [0; 4];
    client.write_all(b"ping").await.unwrap();
    client.flush().await.unwrap();
    server.read_exact(&mut octets).await.unwrap();
    server.write_all(&octets).await.unwrap();
    server.flush().await.unwrap();
    client.read_exact(&mut octets).await.unwrap();
    assert_eq!(&octets, b"ping");
}

fn server_certificate(client: &ClientStream<DuplexStream>) -> Vec<u8> {
    client.get_ref().1.peer_certificates().unwrap().first().unwrap().to_vec()
}

#[tokio::test]
async fn a_client_that_trusts_the_authority_is_served_under_all_names() {
    let (directory, files) = development();
    let tls = Tls::load(&files, &Arc::new(Clock::of_system())).unwrap();
    for versions in [&[&rustls::version::TLS12], &[&rustls::version::TLS13]] {
        let client = client_of_versions(&directory.path().join("ca.pem"), versions);
        for name in ["localhost", "127.0.0.1", "::1"] {
            let (here, there) = handshake(&tls, &client, name).await;
            echo(&mut here.unwrap(), &mut there.unwrap()).await;
        }
        assert!(handshake(&tls, &client, "ldap.example.com").await.0.is_err());
    }
    let (other, _) = development();
    assert!(handshake(&tls, &client(&other.path().join("ca.pem")), "localhost").await.0.is_err());
}

#[tokio::test]
async fn sessions_resume_in_both_versions_and_across_a_reload() {
    let (directory, files) = development();
    let tls = Tls::load(&files, &Arc::new(Clock::of_system())).unwrap();
    for versions in [&[&rustls::version::TLS12], &[&rustls::version::TLS13]] {
        let client = client_of_versions(&directory.path().join("ca.pem"), versions);
        let (here, there) = handshake(&tls, &client, "localhost").await;
        let (mut here, mut there) = (here.unwrap(), there.unwrap());
        assert_eq!(there.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
        echo(&mut here, &mut there).await;
        reload(&tls, &files).unwrap();
        let (_, there) = handshake(&tls, &client, "localhost").await;
        assert_eq!(there.unwrap().get_ref().1.handshake_kind(), Some(HandshakeKind::Resumed));
    }
}

#[tokio::test]
async fn a_reload_serves_the_new_certificate_while_an_old_connection_goes_on() {
    let (directory, files) = development();
    let tls = Tls::load(&files, &Arc::new(Clock::of_system())).unwrap();
    let first_client = client(&directory.path().join("ca.pem"));
    let (here, there) = handshake(&tls, &first_client, "localhost").await;
    let (mut here, mut there) = (here.unwrap(), there.unwrap());

    let (other, others) = development();
    fs::copy(&others.certificate, &files.certificate).unwrap();
    let error = reload(&tls, &files).unwrap_err();
    assert!(matches!(error, TlsError::KeyMismatch { .. }), "{error}");
    // A reload that failed has changed nothing.
    assert!(handshake(&tls, &client(&directory.path().join("ca.pem")), "localhost").await.0.is_ok());

    fs::copy(&others.key, &files.key).unwrap();
    reload(&tls, &files).unwrap();
    let (new, _) = handshake(&tls, &client(&other.path().join("ca.pem")), "localhost").await;
    assert_ne!(server_certificate(&new.unwrap()), server_certificate(&here));
    echo(&mut here, &mut there).await;
}

/// An authority of its own with one client certificate.
fn client_identity(directory: &Path, authority: &str) -> (Vec<CertificateDer<'static>>, KeyPair) {
    let authority_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    fs::write(directory.join(authority), params.self_signed(&authority_key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(params, authority_key);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["portal.example.com".to_owned()]).unwrap();
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, &issuer).unwrap();
    (vec![certificate.der().clone()], key)
}

fn client_with(authority: &Path, identity: &(Vec<CertificateDer<'static>>, KeyPair)) -> Arc<ClientConfig> {
    let key = PrivateKeyDer::try_from(identity.1.serialize_der()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(ALL_VERSIONS)
        .unwrap()
        .with_root_certificates(roots(authority))
        .with_client_auth_cert(identity.0.clone(), key)
        .unwrap();
    Arc::new(config)
}

#[tokio::test]
async fn client_certificates_are_optional_verified_and_follow_a_reload() {
    let (directory, mut files) = development();
    let identity = client_identity(directory.path(), "clients.pem");
    let stranger = client_identity(directory.path(), "strangers.pem");
    files.client_ca = Some(directory.path().join("clients.pem"));
    let tls = Tls::load(&files, &Arc::new(Clock::of_system())).unwrap();
    let authority = directory.path().join("ca.pem");

    let (_, there) = handshake(&tls, &client(&authority), "localhost").await;
    assert!(there.unwrap().get_ref().1.peer_certificates().is_none());
    let known = client_with(&authority, &identity);
    let (here, there) = handshake(&tls, &known, "localhost").await;
    let (mut here, mut there) = (here.unwrap(), there.unwrap());
    assert_eq!(there.get_ref().1.peer_certificates().unwrap(), identity.0);
    echo(&mut here, &mut there).await;
    let unknown = client_with(&authority, &stranger);
    assert!(handshake(&tls, &unknown, "localhost").await.1.is_err());

    // The authority is exchanged: the session that could have been resumed is not.
    fs::copy(directory.path().join("strangers.pem"), directory.path().join("clients.pem")).unwrap();
    reload(&tls, &files).unwrap();
    assert!(handshake(&tls, &known, "localhost").await.1.is_err());
    let (_, there) = handshake(&tls, &unknown, "localhost").await;
    assert_eq!(there.unwrap().get_ref().1.peer_certificates().unwrap(), stranger.0);
}

#[tokio::test]
async fn a_resumed_session_still_knows_the_client_certificate() {
    let (directory, mut files) = development();
    let identity = client_identity(directory.path(), "clients.pem");
    files.client_ca = Some(directory.path().join("clients.pem"));
    let tls = Tls::load(&files, &Arc::new(Clock::of_system())).unwrap();
    let authorities = tls.client_authorities().unwrap().digest();
    let client = client_with(&directory.path().join("ca.pem"), &identity);
    for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let (here, there) = handshake(&tls, &client, "localhost").await;
        let (mut here, mut there) = (here.unwrap(), there.unwrap());
        let connection = there.get_ref().1;
        assert_eq!(connection.handshake_kind(), Some(expected));
        assert_eq!(connection.peer_certificates().unwrap(), identity.0);
        let shown = connection.peer_certificates().unwrap();
        let read = crate::net::ClientCertificate::of(shown, authorities).unwrap();
        assert_eq!(read.dns_names, ["portal.example.com"]);
        echo(&mut here, &mut there).await;
    }
}

/// Signs for a subject: a CA, or a client's certificate.
fn signed(
    subject: &str,
    key: &KeyPair,
    is_ca: bool,
    by: &Issuer<'_, KeyPair>,
) -> (CertificateParams, CertificateDer<'static>) {
    let params = params(subject, is_ca);
    let certificate = params.signed_by(key, by).unwrap().der().clone();
    (params, certificate)
}

fn params(subject: &str, is_ca: bool) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, subject);
    if is_ca {
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    }
    params
}

#[test]
fn a_chain_is_verified_again_by_other_authorities() {
    let key = || KeyPair::generate().unwrap();
    let (root_key, old_root) = (key(), params("root", true));
    let old = old_root.self_signed(&root_key).unwrap().der().clone();
    // The same name and key, another certificate: the authority was issued again.
    let mut anew = params("root", true);
    anew.not_after = rcgen::date_time_ymd(2040, 1, 1);
    let anew = anew.self_signed(&root_key).unwrap().der().clone();
    let same_name = params("root", true).self_signed(&key()).unwrap().der().clone();
    let stranger = params("stranger", true).self_signed(&key()).unwrap().der().clone();
    let root = Issuer::new(old_root, root_key);
    let (middle_key, client_key) = (key(), key());
    let (middle_params, middle) = signed("middle", &middle_key, true, &root);
    let issuer = Issuer::new(middle_params, middle_key);
    let (_, leaf) = signed("portal", &client_key, false, &issuer);

    let provider = Arc::new(default_provider());
    let authorities = |certificates: &[&CertificateDer<'static>]| {
        let certificates: Vec<_> = certificates.iter().map(|one| (*one).clone()).collect();
        ClientAuthorities::new(Path::new("clients.pem"), &certificates, &provider).unwrap()
    };
    let now = crate::model::Timestamp::now();
    let chain = [leaf.clone(), middle.clone()];
    let verified = authorities(&[&old]);
    let mut shown = crate::net::ClientCertificate::of(&chain, verified.digest()).unwrap();
    let mut holds = |of: Option<&ClientAuthorities>, now| {
        let work = shown.ask(of, now);
        // What holds has cost a signature or two, unless it was asked already.
        let of_one = signatures::work_of(rustls::pki_types::alg_id::ECDSA_P256, &[]);
        assert!(work == 0 || work > of_one || !shown.is_vouched_for(), "{work}");
        shown.is_vouched_for()
    };
    for (present, expected) in [
        (Some(authorities(&[&anew])), true),
        (Some(authorities(&[&stranger])), false),
        (Some(authorities(&[&stranger, &old])), true),
        (None, false),
        (Some(authorities(&[&middle])), true),
        // The name of an authority proves nothing without its key.
        (Some(authorities(&[&same_name])), false),
        (Some(authorities(&[&old])), true),
    ] {
        assert_eq!(holds(present.as_ref(), now), expected, "{present:?}");
    }
    // Behind its end nobody vouches for it; but authorities that were asked are not asked again.
    let much_later = now.after(std::time::Duration::from_secs(86_400 * 365 * 3_000));
    assert!(holds(Some(&verified), much_later));
    assert!(!holds(Some(&authorities(&[&anew])), much_later));

    // What is missing in the chain was missing in the handshake too.
    assert!(verified.verify(&[leaf], now).is_err());
    assert!(verified.verify(&[], now).is_err());
    // The same set is the same, however it is written down.
    let digest = |certificates: &[&CertificateDer<'static>]| authorities(certificates).digest();
    assert_eq!(digest(&[&old, &stranger]), digest(&[&stranger, &old, &stranger]));
    assert_ne!(digest(&[&old]), digest(&[&anew]));
    assert_ne!(digest(&[&old]), digest(&[&old, &stranger]));

    // What a connection pays for an exchange: cargo test --release chain_is_verified -- --nocapture
    let begun = std::time::Instant::now();
    for _ in 0..VERIFICATIONS {
        verified.verify(&chain, now).unwrap();
    }
    eprintln!("a chain of two signatures: {:?}", begun.elapsed() / VERIFICATIONS);
}

/// A verifier would try each way through them, and each may cost a signature.
#[test]
fn no_more_certificates_are_looked_at_than_a_chain_needs() {
    let key = || KeyPair::generate().unwrap();
    let mut issuer = Issuer::new(params("root", true), key());
    let root = params("root", true).self_signed(issuer.key()).unwrap().der().clone();
    let provider = Arc::new(default_provider());
    let authorities = ClientAuthorities::new(Path::new("clients.pem"), &[root], &provider).unwrap();
    let now = crate::model::Timestamp::now();
    let mut chain = Vec::new();
    for number in 0..=5 {
        let mine = key();
        let (params, certificate) = signed(&format!("middle {number}"), &mine, true, &issuer);
        let (_, leaf) = signed("portal", &key(), false, &issuer);
        let shown: Vec<_> = std::iter::once(leaf).chain(chain.iter().cloned()).collect();
        let verified = authorities.verify(&shown, now);
        assert_eq!(verified.is_ok(), number <= 4, "{number}: {verified:?}");
        chain.insert(0, certificate);
        issuer = Issuer::new(params, mine);
    }

    let mut large = params("portal", false);
    large.custom_extensions.push(rcgen::CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![4; 13_000]));
    let root = Issuer::new(params("root", true), key());
    let authority = params("root", true).self_signed(root.key()).unwrap().der().clone();
    let authorities = ClientAuthorities::new(Path::new("clients.pem"), &[authority], &provider).unwrap();
    let leaf = large.signed_by(&key(), &root).unwrap().der().clone();
    let error = authorities.verify(&[leaf], now).unwrap_err();
    assert!(format!("{error:?}").contains("TooLong"), "{error:?}");
}

/// An authority of a name, and with it who signs for it.
struct Named {
    params: CertificateParams,
    key: KeyPair,
    kind: &'static rcgen::SignatureAlgorithm,
    certificate: CertificateDer<'static>,
}

impl Named {
    fn root(name: &str, kind: &'static rcgen::SignatureAlgorithm) -> Self {
        let (params, key) = (params(name, true), KeyPair::generate_for(kind).unwrap());
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { params, key, kind, certificate }
    }

    /// One that this one has signed.
    fn sign(&self, name: &str, is_ca: bool) -> Self {
        self.issue(name, is_ca, false)
    }

    /// One that somebody else has signed in its name.
    fn forge(&self, name: &str, is_ca: bool) -> Self {
        self.issue(name, is_ca, true)
    }

    fn issue(&self, name: &str, is_ca: bool, is_forged: bool) -> Self {
        let kind = &rcgen::PKCS_ECDSA_P256_SHA256;
        let (mine, made_up) =
            (KeyPair::generate_for(kind).unwrap(), KeyPair::generate_for(self.kind).unwrap());
        let by = match is_forged {
            true => Issuer::from_params(&self.params, &made_up),
            false => Issuer::from_params(&self.params, &self.key),
        };
        let params = params(name, is_ca);
        let certificate = params.signed_by(&mine, &by).unwrap().der().clone();
        Self { params, key: mine, kind, certificate }
    }
}

/// What a chain has cost, in signatures of this kind, and whether it is good.
fn cost(
    authorities: &[&Named],
    leaf: &Named,
    behind: &[&Named],
    of: rustls::pki_types::AlgorithmIdentifier,
) -> (u64, Result<(), rustls::Error>) {
    let certificates: Vec<_> = authorities.iter().map(|one| one.certificate.clone()).collect();
    let provider = Arc::new(default_provider());
    let authorities = ClientAuthorities::new(Path::new("clients.pem"), &certificates, &provider).unwrap();
    let chain: Vec<_> = [leaf].iter().chain(behind).map(|one| one.certificate.clone()).collect();
    let before = signatures::work();
    let verified = authorities.verify(&chain, crate::model::Timestamp::now());
    let work = signatures::work() - before;
    (work / signatures::work_of(of, &[]), verified)
}

/// Certificates of one name make as many ways as there are orders of them: a leaf and four cost 65 signatures.
#[test]
fn a_chain_costs_no_more_signatures_than_it_has() {
    let (p256, p384) = (&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384);
    let (of_p256, of_p384) = (rustls::pki_types::alg_id::ECDSA_P256, rustls::pki_types::alg_id::ECDSA_P384);
    for (kind, of) in [(p256, of_p256), (p384, of_p384)] {
        let root = Named::root("root", kind);
        let leaf = root.forge("root", false);
        let (_, only) = cost(&[&root], &leaf, &[], of);
        assert!(only.is_err());
        let forged: Vec<_> = (0..4).map(|_| root.forge("root", true)).collect();
        let forged: Vec<_> = forged.iter().collect();
        let (signatures, verified) = cost(&[&root], &leaf, &forged, of);
        let text = format!("{:?}", verified.unwrap_err());
        assert!(text.contains("NameOfAuthority") && signatures == 0, "{signatures} {text}");
        // The same beside one that is meant, and with another authority of that name in the file.
        let other = Named::root("root", kind);
        let (signatures, verified) = cost(&[&root, &other], &leaf, &forged, of);
        assert!(verified.is_err() && signatures == 0, "{signatures}");

        // Names that nobody has: one way, and its first signature does not hold.
        let first = root.forge("first", true);
        let second = first.forge("second", true);
        let third = second.forge("third", true);
        let fourth = third.forge("fourth", true);
        let leaf = fourth.forge("leaf", false);
        let behind = [&first, &second, &third, &fourth];
        let (signatures, verified) = cost(&[&root], &leaf, &behind, of);
        assert!(verified.is_err() && signatures == 1, "{signatures} {verified:?}");
        // Ways of their own.
        let twins = [&first, &first.forge("second", true), &first.forge("second", true), &second];
        let (signatures, verified) = cost(&[&root], &leaf, &twins, of);
        let text = format!("{:?}", verified.unwrap_err());
        assert!(text.contains("NameTwice") && signatures == 0, "{signatures} {text}");
        // Authorities of one name are asked one behind the other, and no more than a dozen.
        let crowd: Vec<_> = (0..20).map(|_| Named::root("root", kind)).collect();
        for (asked, most) in [(3, 3), (20, 12)] {
            let crowd: Vec<_> = crowd.iter().take(asked).collect();
            let (signatures, verified) = cost(&crowd, &leaf, &behind, of);
            assert!(verified.is_err() && signatures == most, "{signatures} {verified:?}");
        }
    }
}

#[test]
fn a_chain_that_leads_to_its_authority_is_taken_as_it_is_sent() {
    let kind = &rcgen::PKCS_ECDSA_P256_SHA256;
    let of = rustls::pki_types::alg_id::ECDSA_P256;
    let root = Named::root("root", kind);
    let mut behind: Vec<Named> = Vec::new();
    for count in 0..=4 {
        // A client may have the name of who has signed for it, or of its authority.
        for name in ["portal", "root", "middle 0"] {
            let leaf = behind.last().unwrap_or(&root).sign(name, false);
            let mut shown: Vec<_> = behind.iter().rev().collect();
            let in_order = cost(&[&root], &leaf, &shown, of);
            assert_eq!(in_order, (count + 1, Ok(())), "{name} {count}");
            shown.reverse();
            assert_eq!(cost(&[&root], &leaf, &shown, of), (count + 1, Ok(())), "{name} {count}");
            // What leads nowhere else: the authority, and a certificate that stands there twice.
            if count < 4 {
                let once_more = *shown.first().unwrap_or(&&root);
                for one in [&root, once_more] {
                    let more = [&shown[..], &[one]].concat();
                    assert_eq!(cost(&[&root], &leaf, &more, of), (count + 1, Ok(())), "{name} {count}");
                }
            }
            // While the authority is exchanged for one of its name.
            let new = Named::root("root", kind);
            let (signatures, verified) = cost(&[&new, &root], &leaf, &shown, of);
            assert_eq!((signatures, verified), (count + 2, Ok(())), "{name} {count}");
        }
        let next = behind.last().unwrap_or(&root).sign(&format!("middle {count}"), true);
        behind.push(next);
    }
}

const VERIFICATIONS: u32 = 100;

fn error_of(files: &TlsFiles) -> TlsError {
    Tls::load(files, &Arc::new(Clock::of_system())).unwrap_err()
}

#[test]
fn each_mistake_in_the_files_is_told_apart() {
    let (directory, files) = development();
    let path = |name: &str| directory.path().join(name);

    let absent = TlsFiles { key: path("absent.key"), ..files.clone() };
    let text = error_of(&absent).to_string();
    assert!(text.starts_with("the private key ") && text.contains("absent.key does not exist"), "{text}");

    let unreadable = TlsFiles { certificate: directory.path().to_path_buf(), ..files.clone() };
    assert!(matches!(error_of(&unreadable), TlsError::Unreadable { file: TlsFile::Certificate, .. }));

    let exchanged =
        TlsFiles { certificate: files.key.clone(), key: files.certificate.clone(), client_ca: None };
    assert!(matches!(error_of(&exchanged), TlsError::NoCertificate { .. }));
    let no_key = TlsFiles { key: files.certificate.clone(), ..files.clone() };
    assert!(matches!(error_of(&no_key), TlsError::NoKey { .. }));

    let (_other, others) = development();
    let mismatch = TlsFiles { key: others.key, ..files.clone() };
    assert!(matches!(error_of(&mismatch), TlsError::KeyMismatch { .. }));

    fs::write(path("cut.pem"), &fs::read(&files.certificate).unwrap()[..200]).unwrap();
    let cut = TlsFiles { certificate: path("cut.pem"), ..files.clone() };
    assert!(matches!(error_of(&cut), TlsError::NotPem { .. }));

    fs::write(path("no.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let no_certificate = TlsFiles { certificate: path("no.pem"), ..files.clone() };
    assert!(matches!(error_of(&no_certificate), TlsError::BadCertificate { .. }));
    let no_authority = TlsFiles { client_ca: Some(path("no.pem")), ..files.clone() };
    assert!(matches!(error_of(&no_authority), TlsError::BadCertificate { file: TlsFile::ClientCa, .. }));

    fs::write(path("no.key"), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").unwrap();
    let bad_key = TlsFiles { key: path("no.key"), ..files.clone() };
    assert!(matches!(error_of(&bad_key), TlsError::BadKey { .. }));

    for header in ["-----BEGIN ENCRYPTED PRIVATE KEY-----", "Proc-Type: 4,ENCRYPTED"] {
        fs::write(path("locked.key"), header).unwrap();
        let locked = TlsFiles { key: path("locked.key"), ..files.clone() };
        assert!(matches!(error_of(&locked), TlsError::EncryptedKey { .. }));
    }

    fs::write(path("large.pem"), vec![b'x'; 1024 * 1024 + 1]).unwrap();
    let large = TlsFiles { certificate: path("large.pem"), ..files };
    assert!(matches!(error_of(&large), TlsError::TooLarge { .. }));
}

#[test]
fn keys_of_three_forms_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("some.key");
    let load = |label: &str, der: &[u8]| {
        let base64 = STANDARD.encode(der);
        fs::write(&path, format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n")).unwrap();
        load_key(&path).unwrap().0
    };
    let pkcs8 = KeyPair::generate().unwrap().serialize_der();
    // The PKCS#8 form of an EC key ends with its SEC1 form (RFC 5915), which begins with version 1.
    let start = memchr::memmem::find(&pkcs8, &[2, 1, 1, 4, 32]).unwrap() - 2;
    for key in [load("PRIVATE KEY", &pkcs8), load("EC PRIVATE KEY", &pkcs8[start..])] {
        default_provider().key_provider.load_private_key(key).unwrap();
    }
    assert!(matches!(load("RSA PRIVATE KEY", b"octets"), PrivateKeyDer::Pkcs1(_)));
}

#[test]
fn an_expired_certificate_and_an_open_key_are_warnings() {
    let (_directory, files) = development();
    let tls = Tls::load(&files, &Arc::new(Clock::of_system())).unwrap();
    let now = Timestamp::now();
    assert_eq!(tls.warnings(now), []);
    let years = |count: i64| jiff::SignedDuration::from_hours(24 * 365 * count);
    assert!(matches!(tls.warnings(now + years(3)).as_slice(), [TlsWarning::Expired { .. }]));
    assert!(matches!(tls.warnings(now - years(1)).as_slice(), [TlsWarning::NotYetValid { .. }]));
    assert!(tls.not_after() > now + years(2));

    fs::set_permissions(&files.key, fs::Permissions::from_mode(0o644)).unwrap();
    reload(&tls, &files).unwrap();
    assert_eq!(tls.warnings(now), [TlsWarning::KeyOpenToAll { path: files.key }]);
}

/// A certificate with its key, and behind it in the file that of its issuer; each is valid in these years.
fn issued(directory: &Path, name: &str, leaf: (i32, i32), issuer: (i32, i32)) -> TlsFiles {
    let params = |(first, last): (i32, i32), name: &str| {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(first, 1, 1);
        params.not_after = rcgen::date_time_ymd(last, 12, 31);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params
    };
    let mut authority = params(issuer, "an intermediate CA");
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let certificate =
        params(leaf, "localhost").signed_by(&key, &Issuer::new(authority, authority_key)).unwrap();
    let path = |end: &str| directory.join(format!("{name}.{end}"));
    fs::write(path("pem"), certificate.pem() + &authority_pem).unwrap();
    fs::write(path("ca.pem"), authority_pem).unwrap();
    fs::write(path("key"), key.serialize_pem()).unwrap();
    fs::set_permissions(path("key"), fs::Permissions::from_mode(0o600)).unwrap();
    TlsFiles { certificate: path("pem"), key: path("key"), client_ca: None }
}

#[test]
fn a_reload_puts_nothing_that_is_not_valid_in_the_place_of_what_is() {
    let directory = tempfile::tempdir().unwrap();
    let files = |name: &str, leaf, issuer| issued(directory.path(), name, leaf, issuer);
    let now: Timestamp = "2026-06-01T00:00:00Z".parse().unwrap();
    let valid = files("valid", (2025, 2027), (2025, 2030));
    let expired = files("expired", (2024, 2025), (2025, 2030));
    let early = files("early", (2028, 2029), (2025, 2030));
    let of_expired = files("of-expired", (2025, 2027), (2020, 2025));
    let tls = Tls::load(&valid, &Arc::new(Clock::of_system())).unwrap();
    assert_eq!(tls.warnings(now), []);
    for (files, sentence) in [
        (&expired, "expired at 2025-12-31"),
        (&early, "is not valid before 2028-01-01"),
        (&of_expired, "issuer that is valid from 2020-01-01T00:00:00Z to 2025-12-31"),
    ] {
        let refused = tls.read_again(files, now).unwrap_err();
        assert!(matches!(refused, TlsError::NotValidNow(_)), "{refused}");
        let text = refused.to_string();
        assert!(text.contains(sentence) && text.contains("stays"), "{text}");
        // At the start it is taken, and told.
        let begun = Tls::load(files, &Arc::new(Clock::of_system())).unwrap();
        let told = begun.warnings(now);
        assert!(
            told.len() == 1 && told[0].is_of_time() && told[0].to_string().contains(sentence),
            "{told:?}"
        );
        // In the place of one that is no better it may come, and a valid one may always.
        begun.read_again(&expired, now).unwrap();
        begun.put_in_force(begun.read_again(&valid, now).unwrap());
        assert_eq!(begun.warnings(now), []);
    }
    tls.read_again(&valid, now).unwrap();
    // When its time has come.
    tls.read_again(&early, "2028-06-01T00:00:00Z".parse().unwrap()).unwrap();
    // What stands above the issuer, or has nothing to do with it, clients may have from elsewhere.
    let other = fs::read(directory.path().join("expired.pem")).unwrap();
    fs::write(&valid.certificate, [fs::read(&valid.certificate).unwrap(), other].concat()).unwrap();
    tls.read_again(&valid, now).unwrap();

    // The same of who vouches for clients: one that is valid is enough.
    let ca = |name: &str| fs::read(directory.path().join(format!("{name}.ca.pem"))).unwrap();
    let with = |name: &str, content: Vec<u8>| {
        let path = directory.path().join(name);
        fs::write(&path, content).unwrap();
        TlsFiles { client_ca: Some(path), ..valid.clone() }
    };
    let (good, bad) = (with("good", ca("valid")), with("bad", ca("of-expired")));
    tls.read_again(&bad, now).unwrap();
    tls.put_in_force(tls.read_again(&good, now).unwrap());
    let text = tls.read_again(&bad, now).unwrap_err().to_string();
    assert!(text.contains("the client CA ") && text.contains("to 2025-12-31"), "{text}");
    tls.read_again(&with("both", [ca("of-expired"), ca("valid")].concat()), now).unwrap();
}

/// Who has a certificate that has expired is let in by no clock that was set back.
#[tokio::test]
async fn clients_are_looked_at_by_the_clock_of_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let server = issued(directory.path(), "server", (2020, 2040), (2020, 2040));
    let client = issued(directory.path(), "client", (2020, 2025), (2020, 2040));
    let roots = roots(&directory.path().join("server.ca.pem"));
    let files = TlsFiles { client_ca: Some(directory.path().join("client.ca.pem")), ..server };
    let at = |text: &str| text.parse::<crate::model::Timestamp>().unwrap();
    for (said, is_let_in) in [("2024-06-01T00:00:00Z", true), ("2026-06-01T00:00:00Z", false)] {
        let clock = Arc::new(Mutex::new((at(said), std::time::Duration::ZERO)));
        let believing = Arc::new(Clock::of_test(Arc::clone(&clock)));
        believing.recall(Some(crate::model::Belief::of(at(said))), None);
        // It is set back now, to when the certificate was valid.
        *clock.lock().unwrap() = (at("2022-06-01T00:00:00Z"), std::time::Duration::ZERO);
        let tls = Tls::load(&files, &believing).unwrap();
        let chain = CertificateDer::pem_file_iter(&client.certificate).unwrap().map(Result::unwrap);
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(ALL_VERSIONS)
            .unwrap()
            .with_root_certificates(roots.clone())
            .with_client_auth_cert(chain.collect(), PrivateKeyDer::from_pem_file(&client.key).unwrap())
            .unwrap();
        let (_, server) = handshake(&tls, &Arc::new(config), "localhost").await;
        assert_eq!(server.is_ok(), is_let_in, "{said}: {:?}", server.err());
    }
}
