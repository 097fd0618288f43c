//! Directories and whole files of the store: made for their owner alone, and durable.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use super::error::StoreError;

/// Makes a directory for our eyes only, with those above it.
pub(super) fn make_directory(path: &Path) -> Result<(), StoreError> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| StoreError::from_io(path, "create the directory", error))?;
    path.parent().map_or(Ok(()), sync_directory)
}

/// Makes a file that is not there, but for the name that its directory has of it.
pub(super) fn write_file(path: &Path, octets: &[u8]) -> Result<(), StoreError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(octets).and_then(|()| file.sync_all()))
        .map_err(|error| StoreError::from_io(path, "write", error))
}

/// Makes durable which files a directory has.
pub(super) fn sync_directory(path: &Path) -> Result<(), StoreError> {
    // The parent of a relative path of one component is the empty path.
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| StoreError::from_io(path, "sync the directory", error))
}
