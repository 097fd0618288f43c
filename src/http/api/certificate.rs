//! `crypto/certificatekeypairs/`: the one certificate that the server has. Its key is never shown.

use std::sync::Arc;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::{JsonSchema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::answer::{Room, WrittenPage};
use super::fixed::CERTIFICATE;
use super::ordered::SortKey;
use super::reading::{Reading, RepresentationSource};
use super::refusal::CallRefusal;
use super::route::{Answer, NoParameters, SchemaOf};
use super::used_by::{UsedBy, UsedByAction};
use super::value::Time;
use crate::model::{ObjectReference, Permission};
use crate::net::{self, ServerCertificate};

/// The certificate of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CertificateKeyPair {
    /// Always the same: it outlives the renewals of the certificate.
    pub pk: Uuid,
    /// What it is.
    pub name: String,
    /// The SHA-256 of the whole.
    pub fingerprint_sha256: Option<String>,
    /// The SHA-1 of the whole.
    pub fingerprint_sha1: Option<String>,
    /// Its last second.
    pub cert_expiry: Option<Time>,
    /// Whose it is.
    pub cert_subject: Option<String>,
    /// Whether the server has the key; it does.
    pub private_key_available: bool,
    /// What the key is.
    pub key_type: Option<KeyType>,
    /// Where the certificate can be had.
    pub certificate_download_url: String,
    /// Always empty: private keys are never shown.
    pub private_key_download_url: String,
    /// Always `null`.
    pub managed: Option<String>,
}

/// The kinds of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyType {
    /// RSA
    Rsa,
    /// An elliptic curve.
    Ec,
    /// DSA, which no certificate of a server has.
    Dsa,
    /// Ed25519
    Ed25519,
    /// Ed448, with which rustls does not sign.
    Ed448,
}

/// The certificate itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct CertificateData {
    data: String,
}

/// The certificate itself, as JSON or as a file.
#[derive(Clone, Debug)]
pub(super) struct ViewedCertificate {
    data: String,
    is_download: bool,
}

/// Which certificates are asked for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct CertificateQuery {
    has_key: Option<bool>,
    key_type: Vec<KeyType>,
    managed: Option<String>,
    name: Option<String>,
}

/// How a certificate is shown.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct ViewQuery {
    /// As a file.
    download: Option<bool>,
}

impl Answer for ViewedCertificate {
    const SCHEMA: Option<SchemaOf> =
        Some(|generator: &mut SchemaGenerator| generator.subschema_for::<CertificateData>());

    fn respond(self, status: StatusCode, room: &Arc<Room>) -> Result<Response, CallRefusal> {
        let Self { data, is_download } = self;
        if !is_download {
            return CertificateData { data }.respond(status, room);
        }
        let headers = [
            (header::CONTENT_TYPE, "application/x-pem-file"),
            (header::CONTENT_DISPOSITION, "attachment; filename=\"certificate.pem\""),
            (header::CACHE_CONTROL, "no-store"),
        ];
        Ok((status, headers, data).into_response())
    }
}

pub(super) fn list(
    reading: &Reading,
    query: CertificateQuery,
) -> Result<WrittenPage<CertificateKeyPair>, CallRefusal> {
    let in_force = certificate(reading).filter(|_| reading.may(Permission::ViewCertificate, None));
    let found: Option<CertificateKeyPair> = in_force.as_ref().map(shown).filter(|shown| {
        query.has_key != Some(false)
            && query.managed.is_none()
            && query.name.as_deref().is_none_or(|name| name == shown.name)
            && (query.key_type.is_empty() || shown.key_type.is_some_and(|key| query.key_type.contains(&key)))
            && reading.page.finds([shown.name.as_str(), shown.cert_subject.as_deref().unwrap_or_default()])
    });
    let mut found: Vec<CertificateKeyPair> = found.into_iter().collect();
    reading.order(&mut found, |field, _| {
        matches!(field, "pk" | "name" | "managed" | "cert_expiry" | "cert_subject")
            .then_some(SortKey::Nothing)
    })?;
    reading.cut(&found, |shown| Ok(shown.clone()))
}

pub(super) fn retrieve(reading: &Reading, _: NoParameters) -> Result<CertificateKeyPair, CallRefusal> {
    Ok(shown(&viewed(reading)?))
}

pub(super) fn view_certificate(
    reading: &Reading,
    query: ViewQuery,
) -> Result<ViewedCertificate, CallRefusal> {
    let is_download = query.download.unwrap_or(false);
    Ok(ViewedCertificate { data: viewed(reading)?.pem, is_download })
}

pub(super) fn view_private_key(reading: &Reading, _: ViewQuery) -> Result<CertificateData, CallRefusal> {
    viewed(reading)?;
    Err(CallRefusal::forbidden_because(
        "private keys are never shown: whoever looks after the server finds it where [server.tls] says",
    ))
}

/// The providers that are served with it, which are all.
pub(super) fn used_by(reading: &Reading, _: NoParameters) -> Result<Vec<UsedBy>, CallRefusal> {
    viewed(reading)?;
    let providers = reading.accounts().providers();
    let providers = providers.map(|provider| ObjectReference::Provider(provider.number));
    Ok(providers.filter_map(|on| UsedBy::of(reading, on, UsedByAction::SetNull)).collect())
}

/// The certificate in force.
fn certificate(reading: &Reading) -> Option<ServerCertificate> {
    reading.tls.as_ref()?.certificate()
}

/// The certificate in the path, which the caller may view.
fn viewed(reading: &Reading) -> Result<ServerCertificate, CallRefusal> {
    let uuid: Uuid = reading.parameter("kp_uuid")?;
    let may_view = reading.may(Permission::ViewCertificate, None);
    certificate(reading).filter(|_| uuid == CERTIFICATE && may_view).ok_or_else(CallRefusal::not_found)
}

fn shown(certificate: &ServerCertificate) -> CertificateKeyPair {
    CertificateKeyPair {
        pk: CERTIFICATE,
        name: NAME.to_owned(),
        fingerprint_sha256: Some(certificate.sha256.clone()),
        fingerprint_sha1: Some(certificate.sha1.clone()),
        cert_expiry: Some(Time(certificate.not_after)),
        cert_subject: Some(certificate.subject.clone()),
        private_key_available: true,
        key_type: certificate.key.map(|key| match key {
            net::KeyKind::Rsa => KeyType::Rsa,
            net::KeyKind::Ec => KeyType::Ec,
            net::KeyKind::Ed25519 => KeyType::Ed25519,
        }),
        certificate_download_url: format!(
            "{}/crypto/certificatekeypairs/{CERTIFICATE}/view_certificate/?download=true",
            super::PREFIX
        ),
        private_key_download_url: String::new(),
        managed: None,
    }
}

pub(super) const NAME: &str = "bindery server certificate";
