//! What a server that runs shares, how it is closed, and why it did not start.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::certificates::TlsStartError;
use crate::config::{BadListenAddress, ListenAddress, ListenerError, Settings};
use crate::net::ListenError;
use crate::registry::{OpenError, Registry};
use crate::store::{FileError, OwnPlace, SOCKET_NAME, StoreError, check_apart, check_mounts, own_place};

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
    /// A Unix socket would be among the files of a store.
    #[error(transparent)]
    Socket(FileError),
    /// Nothing can be kept where it is to be.
    #[error(transparent)]
    DataDirectory(#[from] DataDirectoryError),
    /// No backups can be where they are to be.
    #[error(transparent)]
    BackupDirectory(#[from] BackupDirectoryError),
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
    #[error("there can be no data directory {}: {obstacle}", path.display())]
    NoDirectory {
        /// The data directory.
        path: PathBuf,
        /// What is there.
        obstacle: Obstacle,
    },
    /// A part of it is a mount of its own.
    #[error(transparent)]
    Mounted(StoreError),
    /// The system knows no such place.
    #[error("there can be no data directory {path:?}")]
    Io {
        /// The data directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Why the server's own backups cannot be in a directory.
#[derive(Debug, thiserror::Error)]
pub enum BackupDirectoryError {
    /// There is something else, or above it.
    #[error("there can be no directory {} for backups: {obstacle}", path.display())]
    NoDirectory {
        /// The directory.
        path: PathBuf,
        /// What is there.
        obstacle: Obstacle,
    },
    /// The system knows no such place.
    #[error("there can be no directory {path:?} for backups")]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// They would go with what a start or `compact` deletes, or stand where a file of ours has to be.
    #[error(
        "backups cannot be in {}: in the data directory `{name}` is a name of the store, which makes, moves or deletes what has it; \
         choose another directory",
        path.display()
    )]
    OfStore {
        /// The directory.
        path: PathBuf,
        /// The name of the store.
        name: String,
    },
}

/// What is there in the place of a directory, or of one above it.
#[derive(Debug)]
pub struct Obstacle {
    at: PathBuf,
    /// In words.
    what: &'static str,
}

impl std::fmt::Display for Obstacle {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} is {}", self.at.display(), self.what)
    }
}

/// Asks of a data directory what a start asks, without making anything: that it is one, or can be made where it is to be. What
/// this user may do there is not asked: it may be another one who starts the server.
///
/// # Errors
/// [`DataDirectoryError`]
pub fn check_data_directory(path: &Path) -> Result<(), DataDirectoryError> {
    ListenAddress::unix(path.join(SOCKET_NAME)).map_err(DataDirectoryError::LocalSocket)?;
    check_mounts(path).map_err(DataDirectoryError::Mounted)?;
    match obstacle(path) {
        Ok(None) => Ok(()),
        Ok(Some(obstacle)) => Err(DataDirectoryError::NoDirectory { path: path.to_owned(), obstacle }),
        Err(source) => Err(DataDirectoryError::Io { path: path.to_owned(), source }),
    }
}

/// Asks of the directory of the server's own backups what a backup asks, without making anything, and that the store leaves it
/// alone. Nothing is asked of one where none are made.
///
/// # Errors
/// [`BackupDirectoryError`]
pub fn check_backup_directory(settings: &Settings) -> Result<(), BackupDirectoryError> {
    check_backups_are_apart(settings)?;
    let Some(path) = backup_directory(settings) else { return Ok(()) };
    match obstacle(path) {
        Ok(None) => Ok(()),
        Ok(Some(obstacle)) => Err(BackupDirectoryError::NoDirectory { path: path.to_owned(), obstacle }),
        Err(source) => Err(BackupDirectoryError::Io { path: path.to_owned(), source }),
    }
}

/// Asks that the store leaves the server's own backups alone. More is not asked by a start: that there can be no backups, on
/// a disk that is away, is told and takes nobody's directory away.
///
/// # Errors
/// [`BackupDirectoryError::OfStore`]
pub fn check_backups_are_apart(settings: &Settings) -> Result<(), BackupDirectoryError> {
    let Some(path) = backup_directory(settings) else { return Ok(()) };
    match own_place(path, Some(&settings.data_dir)) {
        Some(OwnPlace { name, .. }) => Err(BackupDirectoryError::OfStore { path: path.to_owned(), name }),
        None => Ok(()),
    }
}

/// Asks that no Unix socket to listen on is the one for commands, or among the other files of the store. Beside an error is the key
/// that it is about.
///
/// # Errors
/// One is.
pub fn check_sockets_are_apart(settings: &Settings) -> Result<(), (&'static str, FileError)> {
    for (key, list) in [("server.ldap", &settings.ldap), ("server.http", &settings.http)] {
        for address in list {
            if let ListenAddress::Unix(path) = address {
                check_apart(path, Some(&settings.data_dir)).map_err(|error| (key, error))?;
            }
        }
    }
    Ok(())
}

/// Where the server's own backups are to be; `None`: it makes none.
fn backup_directory(settings: &Settings) -> Option<&Path> {
    let backup = &settings.backup;
    backup.every.is_some().then_some(&*backup.directory)
}

/// What is where a directory is to be, or be made: `None` where nothing is against it.
fn obstacle(path: &Path) -> io::Result<Option<Obstacle>> {
    let obstacle = |at: &Path, what: &'static str| Ok(Some(Obstacle { at: at.to_owned(), what }));
    // The nearest that is there is what it is made in.
    for at in path.ancestors().filter(|at| !at.as_os_str().is_empty()) {
        match fs::metadata(at) {
            Ok(found) if found.is_dir() => return Ok(None),
            Ok(found) if found.is_file() => return obstacle(at, "a file"),
            Ok(_) => return obstacle(at, "a device, a pipe or a socket"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if fs::symlink_metadata(at).is_ok() {
                    return obstacle(at, "a link to nothing");
                }
            }
            // It is below something else.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {}
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}
