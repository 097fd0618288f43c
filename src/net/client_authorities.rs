//! The authorities of `client_ca`: whose client certificates are believed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use sha2::{Digest, Sha256};

use super::client_chain::PlainChains;
use super::signatures;
use super::tls_fault::{TlsError, TlsFile, TlsWarning};
use super::validity::Validity;
use crate::model::Timestamp;

/// What client certificates are verified by, in a handshake and when a reload has exchanged the authorities.
#[derive(Clone, Debug)]
pub struct ClientAuthorities {
    digest: AuthoritiesDigest,
    /// Their file.
    path: PathBuf,
    validities: Vec<Validity>,
    pub(super) verifier: Arc<dyn ClientCertVerifier>,
}

/// SHA-256 over a set of authorities: the same in whatever order, and however often, they stand in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthoritiesDigest([u8; 32]);

impl ClientAuthorities {
    /// Those in a file that was read; a client need not have a certificate.
    ///
    /// # Errors
    /// [`TlsError`], naming the file.
    pub fn new(
        path: &Path,
        authorities: &[CertificateDer<'static>],
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for authority in authorities {
            roots.add(authority.clone()).map_err(|source| TlsError::BadCertificate {
                file: TlsFile::ClientCa,
                path: path.to_path_buf(),
                source,
            })?;
        }
        let (roots, provider) = (Arc::new(roots), Arc::new(signatures::counting(provider)));
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), provider)
            .allow_unauthenticated()
            .build()
            .map_err(|source| TlsError::BadClientCa { path: path.to_path_buf(), source })?;
        Ok(Self {
            digest: AuthoritiesDigest::of(authorities),
            path: path.to_path_buf(),
            validities: authorities.iter().filter_map(|authority| Validity::of(authority)).collect(),
            verifier: Arc::new(PlainChains { verifier, authorities: roots }),
        })
    }

    /// Which they are.
    pub fn digest(&self) -> AuthoritiesDigest {
        self.digest
    }

    /// That none of them is valid at `now`.
    pub(super) fn problem(&self, now: jiff::Timestamp) -> Option<TlsWarning> {
        let Validity { not_before, not_after } = Validity::none_holds(&self.validities, now)?;
        Some(TlsWarning::ClientCaNotValid { path: self.path.clone(), not_before, not_after })
    }

    /// Verifies a chain as a client has sent it, the leaf first, as a handshake at `now` would. It costs the signatures
    /// of the chain: some 0.1 ms each with keys of P-256 or RSA, a millisecond with keys of P-384.
    ///
    /// # Errors
    /// Why they do not vouch for it.
    pub fn verify(&self, chain: &[CertificateDer<'_>], now: Timestamp) -> Result<(), rustls::Error> {
        let (leaf, intermediates) = chain.split_first().ok_or(rustls::Error::NoCertificatesPresented)?;
        let seconds = u64::try_from(now.unix_seconds()).unwrap_or(0);
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        self.verifier.verify_client_cert(leaf, intermediates, now).map(|_| ())
    }
}

impl AuthoritiesDigest {
    pub(super) fn of(authorities: &[CertificateDer<'_>]) -> Self {
        let mut digests: Vec<[u8; 32]> =
            authorities.iter().map(|authority| Sha256::digest(authority).into()).collect();
        digests.sort_unstable();
        digests.dedup();
        Self(Sha256::digest(digests.concat()).into())
    }
}
