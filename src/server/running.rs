//! What a server that runs shares, how it is closed, and why it did not start.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::certificates::TlsStartError;
use crate::config::{BadListenAddress, ListenAddress, ListenerError};
use crate::net::ListenError;
use crate::registry::{OpenError, Registry};
use crate::store::StoreError;

/// What all tasks of the running server share.
pub(super) struct Tasks {
    /// Cancelled when the server goes down: listeners stop, connections say goodbye.
    pub(super) shutdown: CancellationToken,
    /// Every listener and connection.
    pub(super) tracker: TaskTracker,
}

/// Lets the writer finish what waits, on a thread that may wait for a disk.
pub(super) async fn close(registry: Arc<Registry>) {
    // It can only fail by a panic of the writer, which the log has told.
    let _ = tokio::task::spawn_blocking(move || registry.close()).await;
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// `[server]` and the flags together name no listeners that can be.
    #[error(transparent)]
    Listeners(#[from] ListenerError),
    /// The certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsStartError),
    /// The store or the directory.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// An address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Nothing can be kept where it is to be.
    #[error(transparent)]
    DataDirectory(#[from] DataDirectoryError),
    /// There are no random numbers for the keys of cookies.
    #[error("the operating system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

impl From<StoreError> for StartError {
    fn from(error: StoreError) -> Self {
        Self::Open(OpenError::Store(error))
    }
}

/// Why a directory cannot be the data directory, whoever starts the server.
#[derive(Debug, thiserror::Error)]
pub enum DataDirectoryError {
    /// The local socket has no place in it.
    #[error("the local socket {SOCKET_NAME} cannot be in the data directory, give it a shorter name: {0}")]
    LocalSocket(BadListenAddress),
    /// There is something else, or above it.
    #[error("there can be no data directory {}: {} is {what}", path.display(), at.display())]
    NoDirectory {
        /// The data directory.
        path: PathBuf,
        /// What is there.
        at: PathBuf,
        /// What it is, in words.
        what: &'static str,
    },
    /// The system knows no such place.
    #[error("there can be no data directory {path:?}")]
    Io {
        /// The data directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Asks of a data directory what a start asks, without making anything: that it is one, or can be made where it is to be. What
/// this user may do there is not asked: it may be another one who starts the server.
///
/// # Errors
/// [`DataDirectoryError`]
pub fn check_data_directory(path: &Path) -> Result<(), DataDirectoryError> {
    ListenAddress::unix(path.join(SOCKET_NAME)).map_err(DataDirectoryError::LocalSocket)?;
    let no_directory = |at: &Path, what: &'static str| {
        Err(DataDirectoryError::NoDirectory { path: path.to_owned(), at: at.to_owned(), what })
    };
    // The nearest that is there is what it is made in.
    for at in path.ancestors().filter(|at| !at.as_os_str().is_empty()) {
        match fs::metadata(at) {
            Ok(found) if found.is_dir() => return Ok(()),
            Ok(found) if found.is_file() => return no_directory(at, "a file"),
            Ok(_) => return no_directory(at, "a device, a pipe or a socket"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if fs::symlink_metadata(at).is_ok() {
                    return no_directory(at, "a link to nothing");
                }
            }
            // It is below something else.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {}
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
            Err(source) => return Err(DataDirectoryError::Io { path: path.to_owned(), source }),
        }
    }
    Ok(())
}

/// The local socket's name in the data directory.
pub const SOCKET_NAME: &str = "bindery.sock";
