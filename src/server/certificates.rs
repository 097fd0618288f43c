//! `[server.tls]` to certificates in use; development certificates are made when they are absent.

use std::sync::Arc;

use crate::clock::{Clock, system_time};
use crate::config::TlsSettings;
use crate::ldap::client_trust::ClientTrust;
use crate::model::Timestamp;
use crate::net::{
    CertificateError, CertificateOutcome, Tls, TlsError, TlsFile, TlsFiles, TlsWarning, create_development,
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

impl TlsStartError {
    /// The key of the config that it is about.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Development(_) => "server.tls.development",
            Self::Files(error) => match error.file() {
                Some(TlsFile::Certificate) => "server.tls.certificate",
                Some(TlsFile::Key) => "server.tls.key",
                Some(TlsFile::ClientCa) => "server.tls.client_ca",
                None => "server.tls",
            },
        }
    }
}

/// Loads what `[server.tls]` names. Call [`tell`] when it is known what time it is.
pub(super) fn load(settings: Option<&TlsSettings>, clock: &Arc<Clock>) -> Result<Option<Tls>, TlsStartError> {
    let Some(settings) = settings else { return Ok(None) };
    if let TlsSettings::Development { directory } = settings {
        let made = create_development(directory)?;
        if made.outcome == CertificateOutcome::Created {
            tracing::info!(directory = %directory.display(), "development certificates were made");
        }
    }
    Ok(Some(Tls::load(&tls_files(settings), clock)?))
}

/// Says in the log what an operator should know about the files. A certificate that is not valid is no reason not to start: a
/// server that comes up can be asked what is wrong, serves who does not look at it, and all who speak in clear on the machine.
pub(super) fn tell(tls: &Tls, now: Timestamp) {
    for warning in warnings(tls, now) {
        if warning.is_of_time() {
            tracing::error!("{warning}");
        } else {
            tracing::warn!("{warning}");
        }
    }
}

/// Puts what `[server.tls]` names now in force: certificates, and whom client certificates stand for. The session learns
/// of new authorities before a handshake does, so that nobody is measured by the old ones who has come in by the new.
///
/// # Errors
/// What is wrong with the files, or that a certificate is not valid at `now` and the one in force is; then all stays as it was.
pub(super) fn exchange(
    settings: &TlsSettings,
    tls: &Tls,
    trust: &ClientTrust,
    now: Timestamp,
) -> Result<(), TlsError> {
    let read = tls.read_again(&tls_files(settings), moment(now))?;
    if trust.exchange(read.client_authorities(), settings.client_accounts()) {
        tracing::info!(
            "client certificates are looked at anew, on open connections before their next operation"
        );
    }
    tls.put_in_force(read);
    let not_after = tls.not_after();
    tracing::info!(%not_after, "the certificates were read again, for connections from now on");
    tell(tls, now);
    Ok(())
}

/// Reads what `[server.tls]` names without making anything; absent development certificates are no error.
///
/// # Errors
/// All that is wrong with the files.
pub fn check_certificates(settings: Option<&TlsSettings>) -> Result<Vec<TlsWarning>, Vec<TlsStartError>> {
    let Some(settings) = settings else { return Ok(Vec::new()) };
    let files = tls_files(settings);
    if let TlsSettings::Development { directory } = settings {
        let names = [&files.certificate, &files.key];
        if names.iter().all(|path| path.symlink_metadata().is_err()) {
            return Ok(Vec::new());
        }
        // Some of them there, others not: this says so, and makes nothing.
        if names.iter().any(|path| path.symlink_metadata().is_err()) {
            create_development(directory).map_err(|error| vec![error.into()])?;
        }
    }
    let wrong = Tls::wrong_files(&files);
    if !wrong.is_empty() {
        return Err(wrong.into_iter().map(TlsStartError::from).collect());
    }
    let clock = Arc::new(Clock::of_system());
    let tls = Tls::load(&files, &clock).map_err(|error| vec![error.into()])?;
    Ok(warnings(&tls, system_time()))
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

fn warnings(tls: &Tls, now: Timestamp) -> Vec<TlsWarning> {
    tls.warnings(moment(now))
}

/// The same moment, or the first or last that there is.
fn moment(time: Timestamp) -> jiff::Timestamp {
    let (first, last) = (jiff::Timestamp::MIN, jiff::Timestamp::MAX);
    let seconds = time.unix_seconds().clamp(first.as_second(), last.as_second());
    jiff::Timestamp::from_second(seconds).unwrap_or(last)
}
