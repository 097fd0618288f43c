//! Parts of a store that are mounts of their own, as a volume of a container is: they cannot be renamed, nor anything into them or
//! out of them, and whatever makes one copy of the store of the other would fail, at each start anew.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};

use super::disk::DATABASE;
use super::error::StoreError;
use super::{aside, ledger};

/// Refuses a data directory of which a part that is moved is a mount of its own. Nothing is made or changed.
///
/// # Errors
/// [`StoreError::Mounted`]
pub fn check_mounts(directory: &Path) -> Result<(), StoreError> {
    let moved = [ledger::DIRECTORY, DATABASE, aside::DIRECTORY].map(|name| directory.join(name));
    // What is moved there is moved through a link.
    let is_elsewhere = |part: &Path| part.ends_with(aside::DIRECTORY) && is_on_another_disk(part);
    match moved.into_iter().find(|part| is_mount(part) || is_elsewhere(part)) {
        Some(part) => Err(StoreError::Mounted { path: directory.to_owned(), part }),
        None => Ok(()),
    }
}

/// Whether something is mounted there: also a directory of the same file system, where the system tells of that.
fn is_mount(path: &Path) -> bool {
    let Ok(found) = fs::symlink_metadata(path) else { return false };
    if !found.is_dir() {
        return false;
    }
    is_on_another_disk(path)
        || statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty())
            .is_ok_and(|told| told.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Whether what is there, or what a link there leads to, is of another file system than the directory that it is in.
fn is_on_another_disk(path: &Path) -> bool {
    let above = path.parent().and_then(|above| above.metadata().ok());
    above.zip(path.metadata().ok()).is_some_and(|(above, found)| above.dev() != found.dev())
}
