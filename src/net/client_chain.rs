//! Which chains are verified that a client shows in its handshake: no longer ones than need be, and those that can be put
//! together in one way only.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    SignatureScheme,
};

use x509_parser::prelude::{FromDer, X509Certificate};

use super::signatures;

/// Refuses other chains before they cost anything: whoever verifies tries each way from the leaf to an authority, by the
/// names in the certificates, and anybody may send some that make many ways.
#[derive(Debug)]
pub(super) struct PlainChains {
    pub(super) verifier: Arc<dyn ClientCertVerifier>,
    /// Those whom it asks.
    pub(super) authorities: Arc<RootCertStore>,
}

/// Why a chain is refused without a signature.
#[derive(Debug, thiserror::Error)]
enum ChainRefused {
    #[error(
        "{certificates} certificates stand behind the client's own, {octets} octets with it, and {} with {CHAIN_OCTETS_MAX} \
         octets are enough: let the client send only those that lead from its own to the authority",
        INTERMEDIATES_MAX
    )]
    TooLong { certificates: usize, octets: usize },
    #[error(
        "two of the certificates behind the client's own have one name: let the client send only those that lead from its own \
         to the authority"
    )]
    NameTwice,
    #[error(
        "a certificate behind the client's own has the name of an authority, and another key: put the authority with that key \
         into the file of client_ca too"
    )]
    NameOfAuthority,
}

impl From<ChainRefused> for Error {
    fn from(refused: ChainRefused) -> Self {
        CertificateError::Other(OtherError(Arc::new(refused))).into()
    }
}

impl PlainChains {
    /// Those behind the client's own through which a way may lead: of each name one, and none of the name of an authority. What
    /// stands there twice, or is an authority itself, leads nowhere else, and is left out as what cannot be read.
    fn one_way<'a>(
        &self,
        intermediates: &[CertificateDer<'a>],
    ) -> Result<Vec<CertificateDer<'a>>, ChainRefused> {
        let mut chain = Vec::with_capacity(intermediates.len());
        let mut named = RootCertStore::empty();
        for certificate in intermediates {
            if chain.contains(certificate) || named.add(certificate.clone()).is_err() {
                continue;
            }
            let Some((one, others)) = named.roots.split_last() else { continue };
            let is_named = |other: &&TrustAnchor<'_>| other.subject == one.subject;
            let mut authorities = self.authorities.roots.iter().filter(is_named).peekable();
            if authorities.peek().is_none() {
                // The root of another authority leads nowhere: one of the same name may, that ours has signed.
                if is_self_signed(certificate) {
                    named.roots.pop();
                    continue;
                }
                if others.iter().any(|other| is_named(&other)) {
                    return Err(ChainRefused::NameTwice);
                }
                chain.push(certificate.clone());
            } else if !authorities.any(|of| of.subject_public_key_info == one.subject_public_key_info) {
                return Err(ChainRefused::NameOfAuthority);
            }
        }
        Ok(chain)
    }
}

/// Whether a certificate names itself as its issuer.
fn is_self_signed(certificate: &CertificateDer<'_>) -> bool {
    X509Certificate::from_der(certificate)
        .is_ok_and(|(_, read)| read.issuer().as_raw() == read.subject().as_raw())
}

impl ClientCertVerifier for PlainChains {
    fn offer_client_auth(&self) -> bool {
        self.verifier.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.verifier.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let octets = leaf.len() + intermediates.iter().map(|certificate| certificate.len()).sum::<usize>();
        if intermediates.len() > INTERMEDIATES_MAX || octets > CHAIN_OCTETS_MAX {
            return Err(ChainRefused::TooLong { certificates: intermediates.len(), octets }.into());
        }
        let chain = self.one_way(intermediates)?;
        signatures::at_most(SIGNATURES_MAX, || self.verifier.verify_client_cert(leaf, &chain, now))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.verifier.requires_raw_public_keys()
    }
}

/// Certificates behind the client's own.
/// No limit of the config: between a client and its authority there are one or two. There is one way through them, which costs
/// at most a signature for each and one for the client's own, and one more for each further authority of one name.
const INTERMEDIATES_MAX: usize = 4;
/// Signatures that a chain may cost.
/// No limit of the config: as many as the longest chain has, and seven that do not hold because an authority of the same name
/// has another key; while one is exchanged for another there are two of a name.
const SIGNATURES_MAX: usize = 12;
/// Octets of them, with the client's own; they are kept as long as the connection is there.
/// No limit of the config: the largest that are usual, with RSA keys of 4,096 bits, have 2 KiB each.
pub(super) const CHAIN_OCTETS_MAX: usize = 12 * 1024;
