//! From when and until when a certificate of ours is valid (RFC 5280 section 4.1.2.5): rustls reads no more of it than
//! its key.

use jiff::Timestamp;
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
            not_before: Timestamp::from_second(validity.not_before.timestamp()).ok()?,
            not_after: Timestamp::from_second(validity.not_after.timestamp()).ok()?,
        })
    }
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

    proptest! {
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
