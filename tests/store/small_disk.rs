//! A file system of a few MiB.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system in memory that is soon full; unmounted when dropped.
pub(crate) struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// `None`: not allowed here.
    pub(crate) fn mount(path: &Path) -> Option<Self> {
        Self::mount_with(path, &["-t", "tmpfs", "-o", "size=48m", "bindery-test"])
    }

    /// Another one, by what `mount` is told.
    pub(crate) fn mount_with(path: &Path, arguments: &[&str]) -> Option<Self> {
        std::fs::create_dir_all(path).unwrap();
        let mounted = Command::new("mount").args(arguments).arg(path).output().ok()?;
        mounted.status.success().then(|| Self { path: path.to_owned() })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the server may still hold files when a test has failed.
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

/// Takes the space of a disk but for this much, by the file `ballast`.
pub(crate) fn fill(disk: &Path, leave: u64) {
    let room = rustix::fs::statvfs(disk).unwrap();
    let octets = (room.f_bavail * room.f_frsize).saturating_sub(leave);
    std::fs::write(disk.join("ballast"), vec![1; usize::try_from(octets).unwrap()]).unwrap();
}
