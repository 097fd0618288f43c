//! Which file it is, whatever its name: one that was renamed is the same, and one that took its place is another.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

/// The device and the inode of a file that is there; another one may have it once that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileIdentity {
    device: u64,
    inode: u64,
}

impl FileIdentity {
    pub fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}
