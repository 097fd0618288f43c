//! What a client certificate says of its holder, once TLS has verified it.

use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

use super::client_authorities::{AuthoritiesDigest, ClientAuthorities};
use super::signatures;
use crate::model::{Fingerprint, Timestamp};
use crate::schema::{Dn, Rdn, TypeAndValue};

/// The parts of a verified client certificate that tell who its holder is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Of the whole.
    pub fingerprint: Fingerprint,
    /// Whose it is; `None` when it is empty or holds a value that is no text.
    pub subject: Option<Dn>,
    /// The DNS names among its alternative names.
    pub dns_names: Vec<String>,
    /// Its last second. TLS looks at it in a handshake only, and not when a session is resumed.
    pub not_after: Timestamp,
    /// As the client has sent it, the leaf first.
    chain: Box<[CertificateDer<'static>]>,
    /// Who was asked for it last; `None`: nobody, for there was no client CA.
    asked: Option<AuthoritiesDigest>,
    is_vouched_for: bool,
}

impl ClientCertificate {
    /// Reads the leaf of a chain that a handshake has verified by these authorities; `None` when it cannot be read.
    pub fn of(chain: &[CertificateDer<'static>], authorities: AuthoritiesDigest) -> Option<Self> {
        let der = chain.first()?;
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let alternatives = certificate.subject_alternative_name().ok()?;
        let names = alternatives.iter().flat_map(|extension| &extension.value.general_names);
        let dns_names = names.filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        });
        Some(Self {
            fingerprint: Fingerprint::new(Sha256::digest(der).into()),
            subject: dn(certificate.subject()),
            dns_names: dns_names.collect(),
            not_after: Timestamp::from_unix_seconds(certificate.validity().not_after.timestamp()),
            chain: chain.into(),
            asked: Some(authorities),
            is_vouched_for: true,
        })
    }

    /// Whether the authorities that were asked last vouch for it.
    pub fn is_vouched_for(&self) -> bool {
        self.is_vouched_for
    }

    /// Asks the authorities of now (`None`: there is no client CA any more), if they are others than were asked last; says what
    /// that has cost, in the unit in which work is counted.
    pub fn ask(&mut self, authorities: Option<&ClientAuthorities>, now: Timestamp) -> u64 {
        let digest = authorities.map(ClientAuthorities::digest);
        if digest == self.asked {
            return 0;
        }
        self.asked = digest;
        let before = signatures::work();
        self.is_vouched_for = authorities.is_some_and(|authorities| match authorities.verify(&self.chain, now) {
            Ok(()) => true,
            Err(error) => {
                let holder = self.holder();
                tracing::debug!(holder, %error, "the authorities of now do not vouch for a client certificate");
                false
            }
        });
        WORK_OF_ASKING + signatures::work() - before
    }

    /// Its holder in words, for the log.
    pub fn holder(&self) -> String {
        match (&self.subject, self.dns_names.first()) {
            (Some(subject), _) => subject.to_string(),
            (None, Some(name)) => name.clone(),
            (None, None) => self.fingerprint.to_string(),
        }
    }
}

/// The name as LDAP writes it: a certificate begins with the root, a DN with the leaf (RFC 4514 section 2.1).
pub(super) fn dn(name: &X509Name<'_>) -> Option<Dn> {
    let mut rdns = Vec::new();
    for rdn in name.iter() {
        let pair = |pair: &x509_parser::x509::AttributeTypeAndValue<'_>| {
            let attribute = attribute(pair.attr_type().to_id_string());
            Some(TypeAndValue { attribute, value: pair.as_str().ok()?.as_bytes().to_vec() })
        };
        rdns.push(Rdn::of_pairs(rdn.iter().map(pair).collect::<Option<_>>()?)?);
    }
    rdns.reverse();
    (!rdns.is_empty()).then(|| Dn::of_rdns(rdns))
}

/// The name by which people know an attribute type in certificates, or its OID.
fn attribute(oid: String) -> String {
    let known = NAMES.iter().find(|(known, _)| *known == oid);
    known.map_or(oid, |(_, name)| (*name).to_owned())
}

/// What verifying a chain again costs beside its signatures: its certificates are read.
const WORK_OF_ASKING: u64 = 500;
/// RFC 4514 section 3, and what is usual in certificates beside it.
const NAMES: [(&str, &str); 10] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

    use super::*;

    fn of(der: &[u8]) -> Option<ClientCertificate> {
        ClientCertificate::of(&[CertificateDer::from(der.to_vec())], AuthoritiesDigest::of(&[]))
    }

    fn certificate(subject: &[(DnType, &str)], names: &[&str]) -> Vec<u8> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in subject {
            params.distinguished_name.push(kind.clone(), *value);
        }
        params.not_after = date_time_ymd(2027, 1, 1);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn the_subject_is_written_as_a_dn() {
        let subject = [
            (DnType::CountryName, "DE"),
            (DnType::OrganizationName, "Example, Ltd."),
            (DnType::CommonName, "nextcloud"),
            (DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]), "cloud@example.com"),
        ];
        let read = of(&certificate(&subject, &["cloud.example.com", "b"])).unwrap();
        let dn = read.subject.as_ref().unwrap().to_string();
        assert_eq!(dn, "emailAddress=cloud@example.com,CN=nextcloud,O=Example\\, Ltd.,C=DE");
        assert_eq!(read.dns_names, ["cloud.example.com", "b"]);
        assert_eq!(read.not_after.to_string(), "2027-01-01T00:00:00Z");
        assert_eq!(read.holder(), dn);
    }

    #[test]
    fn a_certificate_without_a_subject_has_a_fingerprint() {
        let der = certificate(&[], &[]);
        let read = of(&der).unwrap();
        assert_eq!((&read.subject, read.dns_names.len()), (&None, 0));
        assert_eq!(read.holder(), read.fingerprint.to_string());
        assert_ne!(read.fingerprint, of(&certificate(&[], &[])).unwrap().fingerprint);
    }

    proptest! {
        #![proptest_config(crate::rounds::cases(256))]
        #[test]
        fn nothing_panics(octets in prop::collection::vec(any::<u8>(), 0..200), at in 0_usize..400, octet in any::<u8>()) {
            let _ = of(&octets);
            let mut changed = certificate(&[(DnType::CommonName, "x")], &["y"]);
            if let Some(place) = changed.get_mut(at) {
                *place = octet;
            }
            let _ = of(&changed);
        }
    }
}
