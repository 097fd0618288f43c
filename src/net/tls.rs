//! TLS for both doors: certificates from PEM files, exchanged while connections go on.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustls::ALL_VERSIONS;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, ServerConfig, ServerSessionMemoryCache};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;
use zeroize::Zeroizing;

use super::client_authorities::{AuthoritiesDigest, ClientAuthorities};
use super::server_certificate::ServerCertificate;
use super::tls_fault::{TlsError, TlsFile, TlsWarning};
use super::validity::Validity;
use crate::clock::Clock;

/// The server's side of TLS 1.2 and 1.3, without early data (it could be replayed). One certificate for both doors; LDAP
/// asks for client certificates and knows no ALPN, HTTP is the other way round.
#[derive(Debug)]
pub struct Tls {
    provider: Arc<CryptoProvider>,
    clock: Arc<Clock>,
    served: Arc<Served>,
    accepting: ArcSwap<Accepting>,
    /// Never exchanged: nothing of it comes from the files.
    accepting_http: Arc<ServerConfig>,
}

/// Files that were read again and can be used, but are not in force yet.
#[derive(Debug)]
pub struct TlsExchange {
    identity: Identity,
    accepting: Arc<Accepting>,
}

/// The PEM files of `[server.tls]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, then the intermediate ones that lead to its authority.
    pub certificate: PathBuf,
    /// The private key of the first certificate: PKCS#8, SEC1 or PKCS#1, not encrypted.
    pub key: PathBuf,
    /// Authorities whose client certificates are asked for and verified; a client need not have one.
    pub client_ca: Option<PathBuf>,
}

impl Tls {
    /// Loads the files; `clock` says whether certificates of clients are valid. Files with a certificate of ours that is not
    /// are taken: see [`Tls::warnings`].
    ///
    /// # Errors
    /// [`TlsError`], naming the file.
    pub fn load(files: &TlsFiles, clock: &Arc<Clock>) -> Result<Self, TlsError> {
        let provider = Arc::new(default_provider());
        let served = Arc::new(Served { current: ArcSwap::from_pointee(Identity::load(files, &provider)?) });
        let authorities = load_client_authorities(files, &provider)?;
        let accepting = ArcSwap::from_pointee(Accepting::new(&provider, clock, &served, authorities)?);
        let accepting_http = http_config(&provider, clock, &served)?;
        Ok(Self { provider, clock: Arc::clone(clock), served, accepting, accepting_http })
    }

    /// What is wrong with each of the files, where it is wrong by itself.
    pub fn wrong_files(files: &TlsFiles) -> Vec<TlsError> {
        let certificate = load_certificates(TlsFile::Certificate, &files.certificate).err();
        let key = load_key(&files.key).err();
        let authorities = load_client_authorities(files, &Arc::new(default_provider())).err();
        [certificate, key, authorities].into_iter().flatten().collect()
    }

    /// Reads the files again, which may be others than before, and changes nothing.
    ///
    /// # Errors
    /// [`TlsError`], naming the file; [`TlsError::NotValidNow`] too, where the one in force is valid.
    pub fn read_again(&self, files: &TlsFiles, now: Timestamp) -> Result<TlsExchange, TlsError> {
        let identity = Identity::load(files, &self.provider)?;
        if let (Some(problem), None) = (identity.problem(now), self.served.current.load().problem(now)) {
            return Err(TlsError::NotValidNow(problem));
        }
        let authorities = load_client_authorities(files, &self.provider)?;
        let present = self.accepting.load_full();
        if let (Some(new), Some(old)) = (&authorities, &present.authorities)
            && let (Some(problem), None) = (new.problem(now), old.problem(now))
        {
            return Err(TlsError::NotValidNow(problem));
        }
        let digest =
            |authorities: &Option<Arc<ClientAuthorities>>| authorities.as_ref().map(|of| of.digest());
        let accepting = if digest(&present.authorities) == digest(&authorities) {
            present
        } else {
            Arc::new(Accepting::new(&self.provider, &self.clock, &self.served, authorities)?)
        };
        Ok(TlsExchange { identity, accepting })
    }

    /// Puts files in force that were read again, for connections from now on; those that are open go on.
    ///
    /// Sessions resume across an exchange of the server's certificate. When the client CA has
    /// changed they do not, because a resumed session keeps the client's certificate.
    pub fn put_in_force(&self, exchange: TlsExchange) {
        let TlsExchange { identity, accepting } = exchange;
        self.accepting.store(accepting);
        self.served.current.store(Arc::new(identity));
    }

    /// Performs handshakes as the files said when they were read last, and verifies client certificates by the
    /// authorities with this digest: to be asked for anew for each connection, which costs no more than counting a
    /// reference.
    pub fn acceptor(&self) -> (TlsAcceptor, Option<AuthoritiesDigest>) {
        let accepting = self.accepting.load();
        let authorities = accepting.authorities.as_ref().map(|authorities| authorities.digest());
        (TlsAcceptor::from(Arc::clone(&accepting.config)), authorities)
    }

    /// Who vouches for clients; `None` without a client CA.
    pub fn client_authorities(&self) -> Option<Arc<ClientAuthorities>> {
        self.accepting.load().authorities.clone()
    }

    /// The same for HTTP/1.1: it asks for no client certificate, because calls show a token.
    pub fn http_acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.accepting_http))
    }

    /// The last moment at which the server's certificate is valid.
    pub fn not_after(&self) -> Timestamp {
        self.served.current.load().validity.not_after
    }

    /// The server's certificate in force; `None` when it cannot be described.
    pub fn certificate(&self) -> Option<ServerCertificate> {
        ServerCertificate::of(&self.served.current.load().certified_key.cert)
    }

    /// What deserves a line in the log at the time `now`, after [`Tls::load`] or [`Tls::put_in_force`].
    pub fn warnings(&self, now: Timestamp) -> Vec<TlsWarning> {
        let identity = self.served.current.load();
        let mut warnings: Vec<TlsWarning> = identity.problem(now).into_iter().collect();
        warnings.extend(self.client_authorities().and_then(|authorities| authorities.problem(now)));
        if identity.key_mode & 0o007 != 0 {
            warnings.push(TlsWarning::KeyOpenToAll { path: identity.files.key.clone() });
        }
        warnings
    }
}

impl TlsExchange {
    /// Who will vouch for clients.
    pub fn client_authorities(&self) -> Option<Arc<ClientAuthorities>> {
        self.accepting.authorities.clone()
    }
}

/// What handshakes are performed with, but for the server's certificate.
#[derive(Debug)]
struct Accepting {
    config: Arc<ServerConfig>,
    /// Who vouches for clients; `None` without a client CA.
    authorities: Option<Arc<ClientAuthorities>>,
}

impl Accepting {
    fn new(
        provider: &Arc<CryptoProvider>,
        clock: &Arc<Clock>,
        served: &Arc<Served>,
        authorities: Option<Arc<ClientAuthorities>>,
    ) -> Result<Self, TlsError> {
        let builder = ServerConfig::builder_with_details(Arc::clone(provider), Arc::<Clock>::clone(clock))
            .with_protocol_versions(ALL_VERSIONS)
            .map_err(TlsError::Setup)?;
        let builder = match &authorities {
            None => builder.with_no_client_auth(),
            Some(authorities) => builder.with_client_cert_verifier(Arc::clone(&authorities.verifier)),
        };
        let mut config = builder.with_cert_resolver(Arc::<Served>::clone(served));
        config.ticketer = Ticketer::new().map_err(TlsError::Setup)?;
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS_MAX);
        Ok(Self { config: Arc::new(config), authorities })
    }
}

/// Hands the present certificate to each handshake.
#[derive(Debug)]
struct Served {
    current: ArcSwap<Identity>,
}

impl ResolvesServerCert for Served {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.load().certified_key))
    }
}

/// The server's certificate with its key, and what warnings are made from.
#[derive(Debug)]
struct Identity {
    /// Where it was read from.
    files: TlsFiles,
    certified_key: Arc<CertifiedKey>,
    validity: Validity,
    /// Those of its file that may have issued it: clients need one that is valid.
    issuers: Vec<Validity>,
    /// The permissions of the key's file.
    key_mode: u32,
}

impl Identity {
    fn load(files: &TlsFiles, provider: &CryptoProvider) -> Result<Self, TlsError> {
        let (certificate, key) = (&files.certificate, &files.key);
        let chain = load_certificates(TlsFile::Certificate, certificate)?;
        let validity = chain.first().and_then(|first| Validity::of(first)).ok_or_else(|| {
            let source = rustls::CertificateError::BadEncoding.into();
            TlsError::BadCertificate { file: TlsFile::Certificate, path: certificate.clone(), source }
        })?;
        let issuers = Validity::of_issuers(&chain);
        let (private_key, key_mode) = load_key(key)?;
        let certified_key =
            CertifiedKey::from_der(chain, private_key, provider).map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => {
                    TlsError::KeyMismatch { key: key.clone(), certificate: certificate.clone() }
                }
                source @ rustls::Error::InvalidCertificate(_) => {
                    TlsError::BadCertificate { file: TlsFile::Certificate, path: certificate.clone(), source }
                }
                source => TlsError::BadKey { path: key.clone(), source },
            })?;
        Ok(Self { files: files.clone(), certified_key: Arc::new(certified_key), validity, issuers, key_mode })
    }

    /// Why clients refuse the certificate at `now`, as far as its time is concerned. What stands in the file above its issuer
    /// they may have from elsewhere.
    fn problem(&self, now: Timestamp) -> Option<TlsWarning> {
        let path = self.files.certificate.clone();
        let Validity { not_before, not_after } = self.validity;
        if now > not_after {
            return Some(TlsWarning::Expired { path, not_after });
        }
        if now < not_before {
            return Some(TlsWarning::NotYetValid { path, not_before });
        }
        let last = Validity::none_holds(&self.issuers, now)?;
        Some(TlsWarning::IssuerNotValid { path, not_before: last.not_before, not_after: last.not_after })
    }
}

fn http_config(
    provider: &Arc<CryptoProvider>,
    clock: &Arc<Clock>,
    served: &Arc<Served>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let builder = ServerConfig::builder_with_details(Arc::clone(provider), Arc::<Clock>::clone(clock))
        .with_protocol_versions(ALL_VERSIONS)
        .map_err(TlsError::Setup)?;
    let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::<Served>::clone(served));
    config.ticketer = Ticketer::new().map_err(TlsError::Setup)?;
    config.session_storage = ServerSessionMemoryCache::new(SESSIONS_MAX);
    config.alpn_protocols = vec![ALPN_HTTP.to_vec()];
    Ok(Arc::new(config))
}

fn load_client_authorities(
    files: &TlsFiles,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<ClientAuthorities>>, TlsError> {
    let Some(path) = &files.client_ca else { return Ok(None) };
    let certificates = load_certificates(TlsFile::ClientCa, path)?;
    Ok(Some(Arc::new(ClientAuthorities::new(path, &certificates, provider)?)))
}

/// All certificates of a file, at least one.
fn load_certificates(file: TlsFile, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let (content, _) = read(file, path)?;
    let certificates = CertificateDer::pem_slice_iter(&content)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| TlsError::NotPem { file, path: path.to_path_buf(), source })?;
    if certificates.is_empty() {
        return Err(TlsError::NoCertificate { file, path: path.to_path_buf() });
    }
    Ok(certificates)
}

/// The first private key of a file, and the permissions of the file.
fn load_key(path: &Path) -> Result<(PrivateKeyDer<'static>, u32), TlsError> {
    let (content, mode) = read(TlsFile::Key, path)?;
    // PKCS#8 says it in the label, the older forms in a header inside of the section.
    let is_encrypted = |text: &str| memchr::memmem::find(&content, text.as_bytes()).is_some();
    if is_encrypted("-----BEGIN ENCRYPTED PRIVATE KEY-----") || is_encrypted("Proc-Type: 4,ENCRYPTED") {
        return Err(TlsError::EncryptedKey { path: path.to_path_buf() });
    }
    match PrivateKeyDer::from_pem_slice(&content) {
        Ok(key) => Ok((key, mode)),
        Err(pem::Error::NoItemsFound) => Err(TlsError::NoKey { path: path.to_path_buf() }),
        Err(source) => Err(TlsError::NotPem { file: TlsFile::Key, path: path.to_path_buf(), source }),
    }
}

/// The content of a file, wiped after use, and its permissions.
fn read(file: TlsFile, path: &Path) -> Result<(Zeroizing<Vec<u8>>, u32), TlsError> {
    let unreadable = |source: io::Error| {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::NotFound => TlsError::Missing { file, path },
            _ => TlsError::Unreadable { file, path, source },
        }
    };
    let handle = File::open(path).map_err(unreadable)?;
    let metadata = handle.metadata().map_err(unreadable)?;
    // At once large enough: a vector that grows would leave copies behind that are not wiped.
    let capacity = usize::try_from(metadata.len().min(FILE_SIZE_MAX)).unwrap_or(0) + 1;
    let mut content = Zeroizing::new(Vec::with_capacity(capacity));
    handle.take(FILE_SIZE_MAX + 1).read_to_end(&mut content).map_err(unreadable)?;
    if content.len() as u64 > FILE_SIZE_MAX {
        return Err(TlsError::TooLarge { file, path: path.to_path_buf(), limit: FILE_SIZE_MAX });
    }
    Ok((content, metadata.mode()))
}

/// The largest file of certificates that is read (octets): a few hundred authorities.
/// No limit of the config: the operator's own file, refused with a sentence.
const FILE_SIZE_MAX: u64 = 1024 * 1024;
/// RFC 7301 section 6.
const ALPN_HTTP: &[u8] = b"http/1.1";
/// Sessions of TLS 1.2 that are kept for clients without tickets (sessions).
/// No limit of the config: a cache, whose oldest makes room: who is in it no more shakes hands in full.
const SESSIONS_MAX: usize = 1_024;

#[cfg(test)]
mod tests;
