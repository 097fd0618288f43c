//! What a server that runs shares, how it is closed, and why it did not start.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::certificates::TlsStartError;
use crate::config::{BadListenAddress, ListenerError};
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
    /// Nor can the local socket, whatever is done.
    #[error("the local socket {SOCKET_NAME} cannot be in the data directory, give it a shorter name: {0}")]
    LocalSocket(BadListenAddress),
    /// There are no random numbers for the keys of cookies.
    #[error("the operating system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

impl From<StoreError> for StartError {
    fn from(error: StoreError) -> Self {
        Self::Open(OpenError::Store(error))
    }
}

/// The local socket's name in the data directory.
pub const SOCKET_NAME: &str = "bindery.sock";
