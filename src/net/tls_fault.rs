//! Why TLS cannot be set up from its files, and what an operator should know of them although it can.

use std::io;
use std::path::PathBuf;

use jiff::Timestamp;
use rustls::pki_types::pem;
use thiserror::Error;

/// What one of the files is for, as messages name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFile {
    Certificate,
    Key,
    ClientCa,
}

impl std::fmt::Display for TlsFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Certificate => "server certificate",
            Self::Key => "private key",
            Self::ClientCa => "client CA",
        })
    }
}

/// Why TLS cannot be set up from these files.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The file is not there.
    #[error("the {file} {} does not exist: put it there, or correct its name in [server.tls]", path.display())]
    Missing {
        /// What it is for.
        file: TlsFile,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file is there but cannot be read.
    #[error("the {file} {} cannot be read by this user", path.display())]
    Unreadable {
        /// What it is for.
        file: TlsFile,
        /// Where it is.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is larger than any such file.
    #[error("the {file} {} is larger than {limit} octets: is it the right file?", path.display())]
    TooLarge {
        /// What it is for.
        file: TlsFile,
        /// Where it is.
        path: PathBuf,
        /// The limit (octets).
        limit: u64,
    },
    /// The file begins as PEM but is not.
    #[error("the {file} {} is damaged: it is not valid PEM", path.display())]
    NotPem {
        /// What it is for.
        file: TlsFile,
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// No certificate in a file that should have one.
    #[error(
        "the {file} {} holds no certificate: expected PEM with a line -----BEGIN CERTIFICATE-----",
        path.display()
    )]
    NoCertificate {
        /// What it is for.
        file: TlsFile,
        /// Where it is.
        path: PathBuf,
    },
    /// A certificate that cannot be parsed or used.
    #[error("the {file} {} holds a certificate that cannot be used", path.display())]
    BadCertificate {
        /// What it is for.
        file: TlsFile,
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        source: rustls::Error,
    },
    /// No key in the key file.
    #[error(
        "the private key {} holds no private key: expected PEM with a line -----BEGIN PRIVATE KEY-----, \
         -----BEGIN EC PRIVATE KEY----- or -----BEGIN RSA PRIVATE KEY-----",
        path.display()
    )]
    NoKey {
        /// Where it is.
        path: PathBuf,
    },
    /// The key is protected by a passphrase, which nobody could type when the server starts.
    #[error("the private key {} is encrypted: decrypt it first (openssl pkey -in … -out …)", path.display())]
    EncryptedKey {
        /// Where it is.
        path: PathBuf,
    },
    /// The key is of a kind that cannot sign.
    #[error("the private key {} cannot be used: expected ECDSA P-256 or P-384, Ed25519 or RSA", path.display())]
    BadKey {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        source: rustls::Error,
    },
    /// Key and certificate are not a pair.
    #[error(
        "the private key {} does not belong to the first certificate in {}: \
         the server's own certificate stands first, and both files must be of the same issue",
        key.display(), certificate.display()
    )]
    KeyMismatch {
        /// Where the key is.
        key: PathBuf,
        /// Where the certificate is.
        certificate: PathBuf,
    },
    /// The client CA cannot verify anything.
    #[error("the client CA {} cannot be used to verify client certificates", path.display())]
    BadClientCa {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        source: rustls::server::VerifierBuilderError,
    },
    /// Clients would refuse it, and take the one that is in force.
    #[error("{0}; what is in force is valid, and stays")]
    NotValidNow(TlsWarning),
    /// rustls itself refused: no random numbers, for example.
    #[error("TLS could not be set up")]
    Setup(#[source] rustls::Error),
}

impl TlsError {
    /// The file that it is about.
    pub fn file(&self) -> Option<TlsFile> {
        match self {
            Self::Missing { file, .. }
            | Self::Unreadable { file, .. }
            | Self::TooLarge { file, .. }
            | Self::NotPem { file, .. }
            | Self::NoCertificate { file, .. }
            | Self::BadCertificate { file, .. } => Some(*file),
            Self::NoKey { .. }
            | Self::EncryptedKey { .. }
            | Self::BadKey { .. }
            | Self::KeyMismatch { .. } => Some(TlsFile::Key),
            Self::BadClientCa { .. } => Some(TlsFile::ClientCa),
            Self::NotValidNow(_) | Self::Setup(_) => None,
        }
    }
}

/// What an operator should know although TLS works, or will work one day.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TlsWarning {
    /// Clients will refuse the certificate.
    #[error("the server certificate {} expired at {not_after}: clients will refuse it", path.display())]
    Expired {
        /// The file.
        path: PathBuf,
        /// Its last moment.
        not_after: Timestamp,
    },
    /// Clients refuse the certificate until then.
    #[error("the server certificate {} is not valid before {not_before}: clients will refuse it", path.display())]
    NotYetValid {
        /// The file.
        path: PathBuf,
        /// Its first moment.
        not_before: Timestamp,
    },
    /// Clients refuse the certificate of whoever has issued the server's.
    #[error(
        "the server certificate {} stands in its file with an issuer that is valid from {not_before} to {not_after} only: \
         clients will refuse it",
        path.display()
    )]
    IssuerNotValid {
        /// The file.
        path: PathBuf,
        /// The first moment of the issuer that is valid for longest.
        not_before: Timestamp,
        /// Its last.
        not_after: Timestamp,
    },
    /// No certificate of a client should be taken any more, or not yet.
    #[error(
        "the client CA {} holds no certificate that is valid now: the one that is valid for longest is from {not_before} to \
         {not_after}",
        path.display()
    )]
    ClientCaNotValid {
        /// The file.
        path: PathBuf,
        /// Its first moment.
        not_before: Timestamp,
        /// Its last.
        not_after: Timestamp,
    },
    /// The file of the private key has permissions for all.
    #[error("the private key {} can be read by every user of this machine: chmod o-rwx it", path.display())]
    KeyOpenToAll {
        /// The file.
        path: PathBuf,
    },
}

impl TlsWarning {
    /// Whether it tells of a certificate that is not valid now.
    pub fn is_of_time(&self) -> bool {
        !matches!(self, Self::KeyOpenToAll { .. })
    }
}
