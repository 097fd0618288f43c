//! What the system does not give of a file that is there. For who reads a copy of a store that is damage of this copy, as the
//! other one may serve. Where it gives nothing for another reason (rights, memory, too many open files), that is no damage.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// Opens a file to read it. What is none (a directory, a pipe that would be waited for, a device) is refused as damage.
///
/// # Errors
/// It is not there, is no file, or cannot be opened.
pub fn open_file(path: &Path) -> io::Result<File> {
    let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?;
    let file = File::from(file);
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "it is no regular file"))
}

/// Whether an error says that the content itself cannot be read.
pub(super) fn is_damage(error: &io::Error) -> bool {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(error) => matches!(
            error,
            Errno::IO
                | Errno::UCLEAN
                | Errno::BADMSG
                | Errno::ISDIR
                | Errno::NOTDIR
                | Errno::LOOP
                | Errno::NXIO
        ),
        None => error.kind() == io::ErrorKind::InvalidData,
    }
}

/// A file from its beginning to its end, with filling in the place of what the disk does not give: no zeros, so that nobody takes
/// it for space that nothing was written to, and of no right checksum.
pub(super) struct Patched<'a, F = File> {
    file: &'a F,
    at: u64,
    /// Behind it nothing is filled in.
    octets: u64,
}

/// What is read from any place.
pub(super) trait ReadAt {
    /// As [`FileExt::read_at`].
    fn read_at(&self, octets: &mut [u8], at: u64) -> io::Result<usize>;
}

impl ReadAt for File {
    fn read_at(&self, octets: &mut [u8], at: u64) -> io::Result<usize> {
        FileExt::read_at(self, octets, at)
    }
}

impl<'a> Patched<'a> {
    /// Of a file.
    ///
    /// # Errors
    /// Nobody can say how long it is.
    pub(super) fn of(file: &'a File) -> io::Result<Self> {
        Ok(Self { file, at: 0, octets: file.metadata()?.len() })
    }
}

impl<F: ReadAt> Read for Patched<'_, F> {
    fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        let taken = match self.file.read_at(octets, self.at) {
            Err(error) if is_damage(&error) => {
                let behind = (self.at / PAGE_OCTETS + 1).saturating_mul(PAGE_OCTETS).min(self.octets);
                let length = usize::try_from(behind.saturating_sub(self.at)).unwrap_or(usize::MAX);
                let length = length.min(octets.len());
                let page = octets.get_mut(..length).unwrap_or_default();
                match self.file.read_at(page, self.at) {
                    Err(error) if is_damage(&error) => {
                        page.fill(FILLING);
                        length
                    }
                    taken => taken?,
                }
            }
            taken => taken?,
        };
        self.at = self.at.saturating_add(taken as u64);
        Ok(taken)
    }
}

/// Reads a file like that, without most of the zeros that stand at its end: by damage, it may be longer than there is memory.
///
/// # Errors
/// It cannot be read for another reason than damage.
pub(super) fn read_without_end(file: &File) -> io::Result<Vec<u8>> {
    read_up_to(file, u64::MAX)
}

/// The same of the first octets of a file, which others may write on.
///
/// # Errors
/// They cannot be read for another reason than damage.
pub(super) fn read_up_to(file: &File, length: u64) -> io::Result<Vec<u8>> {
    let (mut octets, mut zeros) = (Vec::new(), 0_usize);
    let mut input = Patched::of(file)?.take(length);
    let mut piece = vec![0; ZEROS_KEPT];
    let nothing = vec![0; ZEROS_KEPT];
    loop {
        let taken = match input.read(&mut piece) {
            Ok(0) => break,
            Ok(taken) => piece.get(..taken).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if nothing.starts_with(taken) {
            zeros = zeros.saturating_add(taken.len());
            continue;
        }
        octets.resize(octets.len().saturating_add(std::mem::take(&mut zeros)), 0);
        octets.extend_from_slice(taken);
    }
    octets.resize(octets.len().saturating_add(zeros.min(ZEROS_KEPT)), 0);
    Ok(octets)
}

/// More than what is written to a file of ours may end with: its last item.
const ZEROS_KEPT: usize = 64 * 1024;

/// A disk that does not give an octet does not give those around it.
pub(super) const PAGE_OCTETS: u64 = 4096;
const FILLING: u8 = 0xff;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    /// A disk that does not give some octets.
    struct Disk {
        content: Vec<u8>,
        lost: std::ops::Range<usize>,
        error: Errno,
    }

    impl ReadAt for Disk {
        fn read_at(&self, octets: &mut [u8], at: u64) -> io::Result<usize> {
            let at = usize::try_from(at).unwrap();
            let end = self.content.len().min(at + octets.len());
            if at >= end {
                return Ok(0);
            }
            if at < self.lost.end && end > self.lost.start {
                return Err(self.error.into());
            }
            octets[..end - at].copy_from_slice(&self.content[at..end]);
            Ok(end - at)
        }
    }

    #[test]
    fn what_the_disk_does_not_give_is_filled_in_page_by_page() {
        let page = usize::try_from(PAGE_OCTETS).unwrap();
        let content: Vec<u8> = (0..251).cycle().take(3 * page + 100).collect();
        for bad in 0..4 {
            let lost = bad * page..((bad + 1) * page).min(content.len());
            let mut expected = content.clone();
            expected[lost.clone()].fill(FILLING);
            let mut disk = Disk { content: content.clone(), lost, error: Errno::IO };
            let octets = content.len() as u64;
            let mut read = Vec::new();
            Patched { file: &disk, at: 0, octets }.read_to_end(&mut read).unwrap();
            assert!(read == expected, "page {bad}");
            disk.error = Errno::MFILE;
            Patched { file: &disk, at: 0, octets }.read_to_end(&mut read).unwrap_err();
        }
    }

    #[test]
    fn zeros_at_the_end_of_a_file_take_no_memory() {
        let file = tempfile::tempfile().unwrap();
        for length in [0, 1, 5, ZEROS_KEPT, 3 * ZEROS_KEPT + 7] {
            for zeros in [0, 1, ZEROS_KEPT, 5 * ZEROS_KEPT + 3, 1 << 26] {
                file.set_len(0).unwrap();
                file.write_all_at(&vec![0; length], 0).unwrap();
                file.write_all_at(&[7], length as u64).unwrap();
                file.set_len((length + 1 + zeros) as u64).unwrap();
                let read = read_without_end(&file).unwrap();
                assert_eq!(read.iter().position(|octet| *octet != 0), Some(length), "{zeros}");
                assert!(read.len() >= length + 1 + zeros.min(ZEROS_KEPT), "{length} {zeros}");
                assert!(read.len() <= length + 1 + zeros.min(2 * ZEROS_KEPT), "{length} {zeros}");
            }
        }
    }

    #[test]
    fn only_what_cannot_be_read_is_damage() {
        for error in [Errno::IO, Errno::UCLEAN, Errno::BADMSG, Errno::ISDIR, Errno::LOOP] {
            assert!(is_damage(&error.into()), "{error}");
        }
        for error in [Errno::ACCESS, Errno::MFILE, Errno::NOMEM, Errno::NOENT, Errno::NOSPC, Errno::INTR] {
            assert!(!is_damage(&error.into()), "{error}");
        }
        // Reading the beginning of this one is such an error, whoever does it.
        let error = std::fs::read("/proc/self/mem").unwrap_err();
        assert!(is_damage(&error), "{error}");
    }

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
            .unwrap();
        let circle = directory.path().join("circle");
        std::os::unix::fs::symlink(&circle, &circle).unwrap();
        for path in [directory.path(), &pipe, &circle, Path::new("/dev/zero")] {
            assert!(is_damage(&open_file(path).unwrap_err()), "{}", path.display());
        }
        assert_eq!(open_file(&directory.path().join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
