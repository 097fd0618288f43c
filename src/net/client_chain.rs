//! How long a chain may be that a client shows in its handshake.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
};

/// Verifies what is no longer than a chain need be, and refuses what is longer before it costs anything: whoever verifies
/// tries each way from the leaf to an authority, and anybody may send certificates that make many ways.
#[derive(Debug)]
pub(super) struct ShortChains(pub(super) Arc<dyn ClientCertVerifier>);

/// A chain is refused unread.
#[derive(Debug, thiserror::Error)]
#[error(
    "{certificates} certificates stand behind the client's own, {octets} octets with it, and {} with {CHAIN_OCTETS_MAX} octets \
     are enough: let the client send only those that lead from its own to the authority",
    INTERMEDIATES_MAX
)]
struct ChainTooLong {
    certificates: usize,
    octets: usize,
}

impl ClientCertVerifier for ShortChains {
    fn offer_client_auth(&self) -> bool {
        self.0.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let octets = leaf.len() + intermediates.iter().map(|certificate| certificate.len()).sum::<usize>();
        if intermediates.len() > INTERMEDIATES_MAX || octets > CHAIN_OCTETS_MAX {
            let refused = ChainTooLong { certificates: intermediates.len(), octets };
            return Err(CertificateError::Other(OtherError(Arc::new(refused))).into());
        }
        self.0.verify_client_cert(leaf, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.0.requires_raw_public_keys()
    }
}

/// Certificates behind the client's own.
/// No limit of the config: between a client and its authority there are one or two. There are at most 16 ways through four
/// of them, each of which costs a signature that does not hold; six have some hundreds, and a verifier gives up at a
/// hundred.
const INTERMEDIATES_MAX: usize = 4;
/// Octets of them, with the client's own; they are kept as long as the connection is there.
/// No limit of the config: the largest that are usual, with RSA keys of 4,096 bits, have 2 KiB each.
pub(super) const CHAIN_OCTETS_MAX: usize = 12 * 1024;
