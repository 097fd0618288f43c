//! `[server.tls]` to certificates in use; development certificates are made when they are absent.

use crate::config::TlsSettings;
use crate::ldap::client_trust::ClientTrust;
use crate::model::Timestamp;
use crate::net::{
    CertificateError, CertificateOutcome, Tls, TlsError, TlsFiles, TlsWarning, create_development,
};

/// Why there is no TLS although the config wants it.
#[derive(Debug, thiserror::Error)]
pub enum TlsStartError {
    /// The files cannot be used.
    #[error(transparent)]
    Files(#[from] TlsError),
    /// No development certificates could be made.
    #[error(transparent)]
    Development(#[from] CertificateError),
}

/// Loads what `[server.tls]` names, and says in the log what an operator should know about it.
pub(super) fn load(settings: Option<&TlsSettings>) -> Result<Option<Tls>, TlsStartError> {
    let Some(settings) = settings else { return Ok(None) };
    if let TlsSettings::Development { directory } = settings {
        let made = create_development(directory)?;
        if made.outcome == CertificateOutcome::Created {
            tracing::info!(directory = %directory.display(), "development certificates were made");
        }
    }
    let tls = Tls::load(&tls_files(settings))?;
    for warning in warnings(&tls) {
        tracing::warn!("{warning}");
    }
    Ok(Some(tls))
}

/// Puts what `[server.tls]` names now in force: certificates, and whom client certificates stand for. The session learns
/// of new authorities before a handshake does, so that nobody is measured by the old ones who has come in by the new.
///
/// # Errors
/// What is wrong with the files; then all stays as it was.
pub(super) fn exchange(settings: &TlsSettings, tls: &Tls, trust: &ClientTrust) -> Result<(), TlsError> {
    let read = tls.read_again(&tls_files(settings))?;
    if trust.exchange(read.client_authorities(), settings.client_accounts()) {
        tracing::info!(
            "client certificates are looked at anew, on open connections before their next operation"
        );
    }
    tls.put_in_force(read);
    let not_after = tls.not_after();
    tracing::info!(%not_after, "the certificates were read again, for connections from now on");
    for warning in warnings(tls) {
        tracing::warn!("{warning}");
    }
    Ok(())
}

/// Reads what `[server.tls]` names without making anything; absent development certificates are no error.
///
/// # Errors
/// What is wrong with the files.
pub fn check_certificates(settings: Option<&TlsSettings>) -> Result<Vec<TlsWarning>, TlsStartError> {
    let Some(settings) = settings else { return Ok(Vec::new()) };
    let files = tls_files(settings);
    if let TlsSettings::Development { directory } = settings {
        let names = [&files.certificate, &files.key];
        if names.iter().all(|path| path.symlink_metadata().is_err()) {
            return Ok(Vec::new());
        }
        // Some of them there, others not: this says so, and makes nothing.
        if names.iter().any(|path| path.symlink_metadata().is_err()) {
            create_development(directory)?;
        }
    }
    Ok(warnings(&Tls::load(&files)?))
}

/// The files that `[server.tls]` means.
pub fn tls_files(settings: &TlsSettings) -> TlsFiles {
    match settings {
        TlsSettings::Files { certificate, key, client_ca, .. } => {
            TlsFiles { certificate: certificate.clone(), key: key.clone(), client_ca: client_ca.clone() }
        }
        TlsSettings::Development { directory } => TlsFiles {
            certificate: directory.join("server.pem"),
            key: directory.join("server.key"),
            client_ca: None,
        },
    }
}

fn warnings(tls: &Tls) -> Vec<TlsWarning> {
    match jiff::Timestamp::from_second(Timestamp::now().unix_seconds()) {
        Ok(now) => tls.warnings(now),
        Err(_) => Vec::new(),
    }
}
