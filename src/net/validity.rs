//! From when and until when a certificate of ours is valid (RFC 5280 section 4.1.2.5): rustls reads no more of it than
//! its key.

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The two ends of a certificate's validity, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
}

impl Validity {
    /// Reads the validity out of a DER certificate; `None` when it cannot be read.
    pub(crate) fn of(certificate: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let validity = certificate.validity();
        Some(Self {
            not_before: timestamp(validity.not_before.timestamp())?,
            not_after: timestamp(validity.not_after.timestamp())?,
        })
    }
}

impl Validity {
    /// Of those certificates of a chain, the leaf first, that may have issued the leaf by their names.
    pub(crate) fn of_issuers(chain: &[CertificateDer<'_>]) -> Vec<Self> {
        let Some((leaf, others)) = chain.split_first() else { return Vec::new() };
        let Ok((_, leaf)) = X509Certificate::from_der(leaf) else { return Vec::new() };
        let has_issued = |other: &&CertificateDer<'_>| {
            X509Certificate::from_der(other)
                .is_ok_and(|(_, other)| other.subject().as_raw() == leaf.issuer().as_raw())
        };
        others.iter().filter(has_issued).filter_map(|other| Self::of(other)).collect()
    }

    /// The one that holds for longest, if there are some and none holds at `now`.
    pub(crate) fn none_holds(all: &[Self], now: Timestamp) -> Option<Self> {
        let holds = |validity: &Self| (validity.not_before..=validity.not_after).contains(&now);
        all.iter().copied().filter(|_| !all.iter().any(holds)).max_by_key(|validity| validity.not_after)
    }
}

/// The moment, or the last that can be told: a certificate without an end says `99991231235959Z` (RFC 5280 section
/// 4.1.2.5), a day beyond it.
fn timestamp(unix_seconds: i64) -> Option<Timestamp> {
    let told = unix_seconds.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    Timestamp::from_second(told).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(first: (i32, u8, u8), last: (i32, u8, u8)) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(first.0, first.1, first.2);
        params.not_after = date_time_ymd(last.0, last.1, last.2);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn both_forms_of_time_are_read() {
        let validity = Validity::of(&certificate((1999, 12, 31), (2049, 2, 28))).unwrap();
        assert_eq!(validity.not_before, "1999-12-31T00:00:00Z".parse().unwrap());
        assert_eq!(validity.not_after, "2049-02-28T00:00:00Z".parse().unwrap());
        let validity = Validity::of(&certificate((2026, 1, 1), (9999, 12, 30))).unwrap();
        assert_eq!(validity.not_after, "9999-12-30T00:00:00Z".parse().unwrap());
    }

    #[test]
    fn a_certificate_may_be_without_an_end() {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_after = date_time_ymd(9999, 12, 31) + std::time::Duration::from_secs(86_399);
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let without_end: &[u8] = b"99991231235959Z";
        assert!(certificate.der().windows(without_end.len()).any(|octets| octets == without_end));
        let validity = Validity::of(certificate.der()).unwrap();
        assert_eq!(validity.not_after.as_second(), Timestamp::MAX.as_second());
    }

    proptest! {
        #![proptest_config(crate::rounds::cases(256))]
        #[test]
        fn nothing_panics(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Validity::of(&octets);
        }

        #[test]
        fn no_change_to_a_certificate_panics(at in 0_usize..200, octet in any::<u8>(), end in 0_usize..400) {
            let mut changed = certificate((2026, 1, 1), (2027, 1, 1));
            if let Some(place) = changed.get_mut(at) {
                *place = octet;
            }
            changed.truncate(end);
            let _ = Validity::of(&changed);
        }
    }
}
