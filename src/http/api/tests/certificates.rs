//! `crypto/certificatekeypairs/`

use super::super::certificate::{self, CertificateQuery};
use super::super::fixed::CERTIFICATE;
use super::super::route::NoParameters;
use super::*;
use crate::clock::Clock;
use crate::net::{TlsFiles, create_development};

/// A development certificate, and the directory that it is in.
pub(super) fn development() -> (tempfile::TempDir, Arc<Tls>) {
    let directory = tempfile::tempdir().unwrap();
    let made = create_development(directory.path()).unwrap();
    let files = TlsFiles { certificate: made.certificate, key: made.key, client_ca: None };
    (directory, Arc::new(Tls::load(&files, &Arc::new(Clock::of_system())).unwrap()))
}

/// A server with a development certificate.
fn served() -> (tempfile::TempDir, World) {
    let (directory, tls) = development();
    (directory, World::with_tls(Some(tls)))
}

#[tokio::test]
async fn the_certificate_in_force_is_shown_and_its_key_never() {
    let (directory, world) = served();
    let page = world.get("/crypto/certificatekeypairs/").await;
    let shown = &page["results"][0];
    assert_eq!(shown["pk"], CERTIFICATE.to_string());
    assert_eq!((&shown["cert_subject"], &shown["key_type"]), (&json!("CN=localhost"), &json!("ec")));
    assert_eq!((&shown["private_key_available"], &shown["managed"]), (&json!(true), &Value::Null));
    let path = format!("/crypto/certificatekeypairs/{CERTIFICATE}/");
    assert_eq!(world.get(&path).await, *shown);
    let stored = std::fs::read_to_string(directory.path().join("server.pem")).unwrap();
    let viewed = world.get(&format!("{path}view_certificate/")).await;
    assert_eq!(viewed["data"].as_str().unwrap().trim(), stored.trim().replace("\r\n", "\n"));
    let file = world.get(&format!("{path}view_certificate/?download=true")).await;
    assert_eq!(file, viewed["data"]);

    let (status, refusal) = world.call(Method::GET, &format!("{path}view_private_key/"), Value::Null).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(refusal["detail"].as_str().unwrap().contains("never shown"), "{refusal}");

    // All providers have it.
    let provider = world.provider("ldap", "dc=example,dc=com").await;
    let changed = json!({ "certificate": CERTIFICATE });
    let changed = world.patch(&format!("/providers/ldap/{provider}/"), changed).await;
    assert_eq!(changed["certificate"], CERTIFICATE.to_string());
    assert_eq!(world.get(&format!("{path}used_by/")).await[0]["name"], "ldap");
    let by_certificate = format!("/providers/ldap/?certificate__kp_uuid__iexact={CERTIFICATE}");
    assert_eq!(world.listed(&by_certificate, "name").await, ["ldap"]);
}

#[tokio::test]
async fn the_list_is_filtered_as_authentik_filters_it() {
    let (_directory, world) = served();
    for (query, expected) in [
        ("", 1),
        ("?has_key=true", 1),
        ("?has_key=false", 0),
        ("?key_type=ec&key_type=rsa", 1),
        ("?key_type=rsa", 0),
        ("?managed=x", 0),
        ("?name=x", 0),
        ("?search=localhost", 1),
        ("?ordering=-name", 1),
    ] {
        let page = world.listed(&format!("/crypto/certificatekeypairs/{query}"), "pk").await;
        assert_eq!(page.len(), expected, "{query}");
    }
}

#[tokio::test]
async fn only_who_may_view_it_sees_it() {
    let (_directory, world) = served();
    let uuid = CERTIFICATE.to_string();
    for (name, grants, is_shown) in
        [("nobody", vec![], false), ("viewer", vec![(Permission::ViewCertificate, None)], true)]
    {
        let caller = world.caller(name, &grants).await;
        let page = certificate::list(&world.reading(&caller, &[]), CertificateQuery::default()).unwrap().page;
        assert_eq!(page.results.len() == 1, is_shown);
        let reading = world.reading(&caller, &[("kp_uuid", &uuid)]);
        let shown = certificate::retrieve(&reading, NoParameters {}).map_err(|refusal| refusal.status());
        assert_eq!(shown.is_ok(), is_shown);
        assert_eq!(shown.err(), (!is_shown).then_some(StatusCode::NOT_FOUND));
    }
}

#[tokio::test]
async fn without_a_server_there_is_none() {
    let world = World::new();
    assert_eq!(world.listed("/crypto/certificatekeypairs/", "pk").await, Vec::<Value>::new());
    let path = format!("/crypto/certificatekeypairs/{CERTIFICATE}/");
    for path in [path.clone(), format!("{path}view_private_key/")] {
        assert_eq!(world.status(Method::GET, &path, Value::Null).await, StatusCode::NOT_FOUND);
    }
}
