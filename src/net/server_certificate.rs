//! What the server's own certificate says of itself, for who looks after the server. Never anything of its key.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::client_certificate::dn;
use crate::model::Timestamp;

/// The server's certificate, described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerCertificate {
    /// Whose it is, as a DN; empty when it names nobody.
    pub subject: String,
    /// Its last second.
    pub not_after: Timestamp,
    /// The SHA-256 of the whole, in hexadecimal with colons.
    pub sha256: String,
    /// The SHA-1 of the whole, which old tools show.
    pub sha1: String,
    pub key: Option<KeyKind>,
    /// It and the intermediate ones behind it, as PEM.
    pub pem: String,
}

/// The kinds of keys that TLS signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    Rsa,
    /// An elliptic curve of NIST.
    Ec,
    Ed25519,
}

impl ServerCertificate {
    /// Reads the first certificate of a chain; `None` when there is none, or none that can be read.
    pub fn of(chain: &[CertificateDer<'_>]) -> Option<Self> {
        let der = chain.first()?;
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let key = match certificate.public_key().algorithm.algorithm.to_id_string().as_str() {
            "1.2.840.113549.1.1.1" => Some(KeyKind::Rsa),
            "1.2.840.10045.2.1" => Some(KeyKind::Ec),
            "1.3.101.112" => Some(KeyKind::Ed25519),
            _ => None,
        };
        Some(Self {
            subject: dn(certificate.subject()).map(|subject| subject.to_string()).unwrap_or_default(),
            not_after: Timestamp::from_unix_seconds(certificate.validity().not_after.timestamp()),
            sha256: hexadecimal(&Sha256::digest(der)),
            sha1: hexadecimal(&Sha1::digest(der)),
            key,
            pem: chain.iter().map(|der| pem(der)).collect(),
        })
    }
}

/// `0a:1b:…`
fn hexadecimal(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len() * 3);
    for octet in octets {
        let colon = if text.is_empty() { "" } else { ":" };
        // Writing into a string does not fail.
        let _ = write!(text, "{colon}{octet:02x}");
    }
    text
}

/// RFC 7468.
fn pem(der: &[u8]) -> String {
    let encoded = STANDARD.encode(der);
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for (place, character) in encoded.chars().enumerate() {
        if place > 0 && place.is_multiple_of(LINE_LENGTH) {
            text.push('\n');
        }
        text.push(character);
    }
    text.push_str("\n-----END CERTIFICATE-----\n");
    text
}

/// Characters of a line of PEM.
const LINE_LENGTH: usize = 64;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, date_time_ymd};
    use rustls::pki_types::pem::PemObject as _;

    use super::*;

    #[test]
    fn a_certificate_describes_itself() {
        let mut params = CertificateParams::new(vec!["ldap.example.com".to_owned()]).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Example, Ltd.");
        params.distinguished_name.push(DnType::CommonName, "ldap.example.com");
        params.not_after = date_time_ymd(2027, 1, 1);
        let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let chain = [made.der().clone(), made.der().clone()];
        let described = ServerCertificate::of(&chain).unwrap();
        assert_eq!(described.subject, r"CN=ldap.example.com,O=Example\, Ltd.");
        assert_eq!(described.not_after, "2027-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(described.key, Some(KeyKind::Ec));
        assert_eq!((described.sha256.len(), described.sha1.len()), (95, 59));
        let read: Vec<_> =
            CertificateDer::pem_slice_iter(described.pem.as_bytes()).collect::<Result<_, _>>().unwrap();
        assert_eq!(read, chain);
    }

    #[test]
    fn what_is_no_certificate_is_not_described() {
        assert_eq!(ServerCertificate::of(&[]), None);
        assert_eq!(ServerCertificate::of(&[CertificateDer::from(vec![0x30, 0x00])]), None);
    }
}
