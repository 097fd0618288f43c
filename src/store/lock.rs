//! One process at a time works on a store: a lock file beside it, with the process id of its holder.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::error::StoreError;

/// Holds the store in a directory until it is dropped. The system frees it when the process ends.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Drop for Lock {
    /// Closing alone would leave it to a child process that was forked meanwhile, until that executes something.
    fn drop(&mut self) {
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

impl Lock {
    /// Takes the lock of the store in `directory`, without waiting.
    ///
    /// # Errors
    /// [`StoreError::Held`], or the file cannot be made.
    pub(super) fn take(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(FILE_NAME);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| StoreError::from_io(&path, "open the lock file", error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(StoreError::Held { path: directory.to_owned(), pid: holder(&mut file) });
            }
            Err(error) => return Err(StoreError::from_io(&path, "lock", error.into())),
        }
        // Only the name of the holder in a message depends on it: a full disk is no reason to stop.
        let _ = note_holder(&mut file);
        Ok(Self { file })
    }
}

fn note_holder(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    writeln!(file, "{}", std::process::id())
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(PID_OCTETS_MAX).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

const FILE_NAME: &str = "lock";
const PID_OCTETS_MAX: u64 = 32;
