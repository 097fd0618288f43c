//! Backups that the server makes by itself: when one is due, that there is room for it, and which are kept.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::config::BackupSettings;
use crate::http::in_words;
use crate::model::{Revision, Timestamp};
use crate::registry::{NewestBackup, Registry};
use crate::seldom::{self, Seldom};
use crate::store::{NewFile, read_head, verify};

/// Makes backups until the server goes down.
pub(super) async fn make_backups(
    registry: Arc<Registry>,
    settings: BackupSettings,
    shutdown: CancellationToken,
) {
    let Some(every) = settings.every else { return };
    registry.backups().expect(every);
    let settings = Arc::new(settings);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(every.min(LOOK_PERIOD)) => {}
        }
        let (for_thread, own) = (Arc::clone(&registry), Arc::clone(&settings));
        let (going_down, now) = (shutdown.clone(), registry.now());
        let look = move || look(&for_thread, &own, every, now, &going_down);
        if tokio::task::spawn_blocking(look).await.is_err() {
            return;
        }
    }
}

/// Makes a backup if one is due, and tells when it cannot be or the newest is old.
fn look(
    registry: &Registry,
    settings: &BackupSettings,
    every: Duration,
    now: Timestamp,
    shutdown: &CancellationToken,
) {
    if let Err(reason) = make_due(registry, settings, every, now, shutdown) {
        if shutdown.is_cancelled() {
            return;
        }
        if let Some(count) = seldom::note(Seldom::BackupFailed) {
            let directory = settings.directory.display();
            tracing::warn!(count, reason, %directory, "{}", Seldom::BackupFailed.sentence());
        }
        registry.backups().failed(reason);
    }
    let state = registry.backups().now();
    if state.is_old(registry.store().meta().revision, now)
        && let Some(count) = seldom::note(Seldom::BackupOld)
    {
        let made = state.newest.map(|newest| newest.made.to_string());
        tracing::warn!(count, made, "{}", Seldom::BackupOld.sentence());
    }
}

fn make_due(
    registry: &Registry,
    settings: &BackupSettings,
    every: Duration,
    now: Timestamp,
    shutdown: &CancellationToken,
) -> Result<(), String> {
    let directory = &settings.directory;
    let failed = |doing: &str, error: &io::Error| format!("cannot {doing} {}: {error}", directory.display());
    if !directory.is_dir() {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(|error| failed("make", &error))?;
    }
    let files = tidy(directory).map_err(|error| failed("list", &error))?;
    // One that cannot be read is none; it is not removed before its time.
    let newest = files.iter().rev().find_map(|file| newest_of(file));
    registry.backups().found(newest);
    let meta = registry.store().meta();
    if let Some(newest) = &newest {
        // One of the future was made by a clock that was wrong.
        let is_due = newest.made.after(every) <= now || newest.made > now;
        let is_changed = (newest.revision, newest.incarnation) != (meta.revision, meta.incarnation);
        if !is_due || !is_changed {
            return Ok(());
        }
    }
    let keys = if settings.with_keys { Some(registry.finding_key_file()?) } else { None };
    let path = directory.join(name_of(now, meta.revision));
    let file = NewFile::create(&path, false).map_err(|error| in_words(&error))?;
    let mut file = Bounded { file, directory, written: 0, asked: 0, shutdown };
    let written = registry.store().write_archive(&mut file, keys.as_ref());
    written.map_err(|error| in_words(&error))?;
    let octets = file.written;
    file.ask().map_err(|error| error.to_string())?;
    let verified = file.file.finish(verify).map_err(|error| in_words(&error))?;
    let meta = verified.counts.meta;
    tracing::info!(file = %path.display(), revision = meta.revision, octets, "a backup was made and verified");
    let (revision, incarnation) = (meta.revision, meta.incarnation);
    registry.backups().made(NewestBackup { made: verified.made, octets, revision, incarnation });
    let others = files.iter().filter(|file| **file != path);
    let surplus = (files.len() + 1).saturating_sub(usize::try_from(settings.keep).unwrap_or(usize::MAX));
    for file in others.take(surplus) {
        fs::remove_file(file).map_err(|error| format!("cannot remove {}: {error}", file.display()))?;
    }
    Ok(())
}

/// The backups in the directory, the oldest first. What a crash has left unfinished is removed.
fn tidy(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| name.starts_with(NAME_BEGIN)) else { continue };
        if name.ends_with(NAME_END) {
            files.push(entry.path());
        } else if name.ends_with(".partial") {
            NewFile::remove_partial(&entry.path())?;
        }
    }
    // The time stands in front, and has one length.
    files.sort();
    Ok(files)
}

fn newest_of(file: &Path) -> Option<NewestBackup> {
    let head = read_head(file).ok()?;
    let (revision, incarnation) = (head.meta.revision, head.meta.incarnation);
    Some(NewestBackup { made: head.made, octets: file.metadata().ok()?.len(), revision, incarnation })
}

fn name_of(now: Timestamp, revision: Revision) -> String {
    let time: String =
        now.to_string().chars().filter(|character| character.is_ascii_alphanumeric()).collect();
    format!("{NAME_BEGIN}{time}-r{revision}{NAME_END}")
}

/// A backup that ends when it would leave less than twice its size free, or the server goes down.
struct Bounded<'a> {
    file: NewFile,
    directory: &'a Path,
    written: u64,
    /// What was written when it was last asked.
    asked: u64,
    shutdown: &'a CancellationToken,
}

impl Bounded<'_> {
    fn ask(&mut self) -> io::Result<()> {
        self.asked = self.written;
        if self.shutdown.is_cancelled() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let room = rustix::fs::statvfs(self.directory)?;
        let free = room.f_bavail.saturating_mul(room.f_frsize);
        // A file system without a size says so with zeros.
        if room.f_blocks != 0 && free < self.written.saturating_mul(2) {
            return Err(io::Error::other(format!(
                "{free} octets are free, and it would leave less than twice its own size"
            )));
        }
        Ok(())
    }
}

impl Write for Bounded<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if self.written.saturating_sub(self.asked) >= ASK_OCTETS {
            // `write_all` would try again what is interrupted.
            self.ask().map_err(|error| io::Error::other(error.to_string()))?;
        }
        let written = self.file.write(octets)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

const NAME_BEGIN: &str = "bindery-";
const NAME_END: &str = ".backup";
/// How often it is looked whether one is due, and one that failed is tried again.
const LOOK_PERIOD: Duration = Duration::from_secs(60);
/// After so many octets it is asked again whether there is room.
const ASK_OCTETS: u64 = 4 * 1024 * 1024;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::registry::RegistrySettings;
    use crate::store::{Batch, MemoryStore, Store};

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    struct Kept {
        directory: tempfile::TempDir,
        store: Arc<MemoryStore>,
        registry: Arc<Registry>,
        settings: BackupSettings,
        shutdown: CancellationToken,
    }

    impl Kept {
        fn new(keep: u32) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let store = Arc::new(MemoryStore::new());
            let registry = Registry::open(store.clone(), RegistrySettings::default()).unwrap();
            let settings = BackupSettings { keep, ..BackupSettings::of_data_dir(directory.path()) };
            Self { directory, store, registry, settings, shutdown: CancellationToken::new() }
        }

        fn look(&self, now: Timestamp) -> Result<(), String> {
            make_due(&self.registry, &self.settings, DAY, now, &self.shutdown)
        }

        fn change(&self) {
            let counters = self.store.meta().counters;
            self.store.commit(&Batch { counters, ..Batch::default() }).unwrap();
        }

        fn names(&self) -> Vec<String> {
            let files = tidy(&self.settings.directory).unwrap();
            files.iter().map(|file| file.file_name().unwrap().to_str().unwrap().to_owned()).collect()
        }
    }

    #[test]
    fn one_is_made_when_it_is_due_and_something_has_changed() {
        let kept = Kept::new(7);
        let now = Timestamp::now();
        kept.look(now).unwrap();
        let first = kept.names();
        assert_eq!(first.len(), 1);
        let directory = kept.directory.path().join("backups");
        assert_eq!(directory.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        let file = directory.join(&first[0]);
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let newest = kept.registry.backups().now().newest.unwrap();
        assert_eq!(newest.octets, file.metadata().unwrap().len());
        // Neither due nor, when it is, changed.
        kept.change();
        kept.look(now.after(DAY / 2)).unwrap();
        assert_eq!(kept.names(), first);
        kept.look(now.after(DAY + DAY / 24)).unwrap();
        assert_eq!(kept.names().len(), 2);
        kept.look(now.after(3 * DAY)).unwrap();
        assert_eq!(kept.names().len(), 2);
    }

    #[test]
    fn the_oldest_go_when_a_new_one_is_there() {
        let kept = Kept::new(3);
        let now = Timestamp::now();
        fs::create_dir_all(&kept.settings.directory).unwrap();
        // Of a crash; and somebody else's.
        fs::write(kept.settings.directory.join("bindery-1.backup.77.partial"), "half").unwrap();
        fs::write(kept.settings.directory.join("notes.txt"), "mine").unwrap();
        let mut all = Vec::new();
        for day in 0..6 {
            kept.change();
            kept.look(now.after((DAY + DAY / 24) * day)).unwrap();
            let names = kept.names();
            assert!(names.len() <= 3, "{names:?}");
            all.push(names.last().unwrap().clone());
        }
        assert_eq!(kept.names(), all[3..]);
        assert!(kept.settings.directory.join("notes.txt").exists());
        assert_eq!(fs::read_dir(&kept.settings.directory).unwrap().count(), 4);
    }

    #[test]
    fn none_is_removed_when_none_can_be_made() {
        let kept = Kept::new(1);
        let now = Timestamp::now();
        kept.look(now).unwrap();
        let names = kept.names();
        kept.change();
        kept.shutdown.cancel();
        kept.look(now.after(2 * DAY)).unwrap_err();
        assert_eq!(kept.names(), names);
        assert_eq!(fs::read_dir(&kept.settings.directory).unwrap().count(), 1, "nothing unfinished stays");
    }
}
