//! Backups that the server makes by itself: when one is due, that there is room for it, and which are kept.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::clock::Look;
use crate::config::BackupSettings;
use crate::http::in_words;
use crate::model::{DateMeans, Revision, Timestamp};
use crate::registry::{NewestBackup, Registry};
use crate::seldom::{self, Seldom};
use crate::store::{NewFile, StoreError, check_reserve, read_head, verify};

/// Makes backups until the server goes down.
pub(super) async fn make_backups(
    registry: Arc<Registry>,
    settings: BackupSettings,
    shutdown: CancellationToken,
) {
    let Some(every) = settings.every else { return };
    registry.backups().expect(every);
    let mut maker = Maker { registry, settings, every, shutdown: shutdown.clone(), last: None };
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(every.min(LOOK_PERIOD)) => {}
        }
        let looked = tokio::task::spawn_blocking(move || {
            maker.look();
            maker
        });
        match looked.await {
            Ok(looked) => maker = looked,
            Err(_) => return,
        }
    }
}

struct Maker {
    registry: Arc<Registry>,
    settings: BackupSettings,
    every: Duration,
    shutdown: CancellationToken,
    /// When this process made one, by the clock that never jumps.
    last: Option<Instant>,
}

impl Maker {
    /// Makes a backup if one is due, and tells when it cannot be or the newest is old.
    fn look(&mut self) {
        let clock = self.registry.clock().look();
        if let Err(reason) = self.make_due(clock, Instant::now()) {
            if self.shutdown.is_cancelled() {
                return;
            }
            if let Some(count) = seldom::note(Seldom::BackupFailed) {
                let directory = self.settings.directory.display();
                tracing::warn!(count, reason, %directory, "{}", Seldom::BackupFailed.sentence());
            }
            self.registry.backups().failed(reason);
        }
        let state = self.registry.backups().now();
        if state.is_old(self.registry.store().meta().revision, clock.earliest)
            && let Some(count) = seldom::note(Seldom::BackupOld)
        {
            let made = state.newest.map(|newest| newest.made.to_string());
            tracing::warn!(count, made, "{}", Seldom::BackupOld.sentence());
        }
    }

    fn make_due(&mut self, clock: Look, moment: Instant) -> Result<(), String> {
        let Self { registry, settings, every, shutdown, last } = self;
        let now = clock.earliest;
        let directory = &settings.directory;
        let failed =
            |doing: &str, error: &io::Error| format!("cannot {doing} {}: {error}", directory.display());
        if !directory.is_dir() {
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
            made.map_err(|error| failed("make", &error))?;
        }
        let files = tidy(directory).map_err(|error| failed("list", &error))?;
        let own: Vec<Own> = files.iter().filter_map(|file| Own::of(file)).collect();
        // One of a time that has not come was made by a clock that was wrong, and nobody knows when: until then it is not the
        // newest, is not counted and does not go.
        let (ours, early): (Vec<Own>, Vec<Own>) = own.into_iter().partition(|own| own.made <= now);
        // One that cannot be read is none; it is not removed before its time.
        let newest = ours.iter().rev().find_map(Own::read);
        registry.backups().found(newest);
        let is_due = match (*last, &newest) {
            (Some(_), _) if ours.is_empty() && early.is_empty() => true,
            // However often the clock is set: no more of them.
            (Some(last), _) => moment.saturating_duration_since(last) >= *every,
            (None, Some(newest)) => newest.made.after(*every) <= now,
            (None, None) => true,
        };
        let meta = registry.store().meta();
        let is_of = |newest: &NewestBackup| {
            (newest.revision, newest.incarnation) == (meta.revision, meta.incarnation)
        };
        if !is_due || newest.as_ref().is_some_and(is_of) {
            return Ok(());
        }
        let keys = if settings.with_keys { Some(registry.finding_key_file()?) } else { None };
        let is_doubted = clock.trusted.is_none();
        let path = directory.join(name_of(now, meta.revision, is_doubted));
        let file = NewFile::create(&path, false).map_err(|error| in_words(&error))?;
        let mut file = Bounded { file, directory, written: 0, asked: 0, shutdown };
        let written = registry.store().write_archive(&mut file, now, keys.as_ref());
        written.map_err(|error| in_words(&error))?;
        let octets = file.written;
        file.ask().map_err(|error| error.to_string())?;
        let verified = file.file.finish(verify).map_err(|error| in_words(&error))?;
        *last = Some(moment);
        let meta = verified.counts.meta;
        tracing::info!(file = %path.display(), revision = meta.revision, octets, "a backup was made and verified");
        let (revision, incarnation) = (meta.revision, meta.incarnation);
        registry.backups().made(NewestBackup { made: verified.made, octets, revision, incarnation });
        if let Some(first) = early.first() {
            tracing::warn!(
                count = early.len(), first = %first.path.display(),
                "backups of a time that has not come stay until it has, or somebody removes them"
            );
        }
        // While the clock is not believed only such go as were made in such a time: they are never more than `keep`, however long
        // it lasts, and take none away that was made by a clock that was right.
        let counted: Vec<&Own> = ours.iter().filter(|own| own.is_doubted || !is_doubted).collect();
        let surplus =
            (counted.len() + 1).saturating_sub(usize::try_from(settings.keep).unwrap_or(usize::MAX));
        for Own { path, .. } in counted.into_iter().take(surplus) {
            fs::remove_file(path).map_err(|error| format!("cannot remove {}: {error}", path.display()))?;
        }
        Ok(())
    }
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
            // One that belongs to somebody else is no reason to make none.
            let _ = NewFile::remove_partial(&entry.path());
        }
    }
    // The time stands in front, and has one length.
    files.sort();
    Ok(files)
}

/// A backup that the server made, as its name says. What has another name is somebody else's.
struct Own {
    made: Timestamp,
    /// Whether the clock was not believed then.
    is_doubted: bool,
    path: PathBuf,
}

impl Own {
    fn of(file: &Path) -> Option<Self> {
        let name = file.file_name()?.to_str()?;
        let (time, revision) = name.strip_prefix(NAME_BEGIN)?.strip_suffix(NAME_END)?.split_once("-r")?;
        let (revision, is_doubted) = match revision.strip_suffix(DOUBTED) {
            Some(revision) => (revision, true),
            None => (revision, false),
        };
        let (date, time) = time.split_once('T')?;
        let [year, month, day] = [date.get(..4)?, date.get(4..6)?, date.get(6..)?];
        let [hour, minute, second] = [time.get(..2)?, time.get(2..4)?, time.get(4..)?];
        let time = format!("{year}-{month}-{day}T{hour}:{minute}:{second}");
        let made = Timestamp::read(&time, DateMeans::End).ok()?;
        // No other way to write the same is ours.
        let is_ours = name_of(made, revision.parse().ok()?, is_doubted) == name;
        is_ours.then(|| Self { made, is_doubted, path: file.to_owned() })
    }

    /// What its first block says; `None`: it cannot be read.
    fn read(&self) -> Option<NewestBackup> {
        let head = read_head(&self.path).ok()?;
        let (revision, incarnation) = (head.meta.revision, head.meta.incarnation);
        let octets = self.path.metadata().ok()?.len();
        Some(NewestBackup { made: self.made, octets, revision, incarnation })
    }
}

fn name_of(now: Timestamp, revision: Revision, is_doubted: bool) -> String {
    let time: String =
        now.to_string().chars().filter(|character| character.is_ascii_alphanumeric()).collect();
    let doubted = if is_doubted { DOUBTED } else { "" };
    format!("{NAME_BEGIN}{time}-r{revision}{doubted}{NAME_END}")
}

/// A backup that ends when it would leave less than twice its size free, or less than the store needs, or the server goes down.
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
        // What the next start and the next changes need, where it lies on the same disk as the store; on another one it is little.
        check_reserve(self.directory).map_err(|error| match error {
            StoreError::Full { free: Some(free), needed: Some(needed), .. } => io::Error::other(format!(
                "{free} octets are free, and {needed} are needed by the store itself"
            )),
            error => io::Error::other(in_words(&error)),
        })
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
/// Of one that was made while the clock was not believed.
const DOUBTED: &str = "-doubted";
/// How often it is looked whether one is due, and one that failed is tried again.
const LOOK_PERIOD: Duration = Duration::from_secs(60);
/// After so many octets it is asked again whether there is room.
const ASK_OCTETS: u64 = 4 * 1024 * 1024;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Mutex;

    use super::*;
    use crate::clock::Clock;
    use crate::registry::RegistrySettings;
    use crate::store::{Batch, MemoryStore, Store};

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    struct Kept {
        directory: tempfile::TempDir,
        store: Arc<MemoryStore>,
        said: Arc<Mutex<(Timestamp, Duration)>>,
        start: (Timestamp, Instant),
        maker: Maker,
    }

    impl Kept {
        fn new(keep: u32) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let store = Arc::new(MemoryStore::new());
            let now = Timestamp::now();
            let said = Arc::new(Mutex::new((now, Duration::ZERO)));
            let clock = Arc::new(Clock::of_test(Arc::clone(&said)));
            let registry_settings = RegistrySettings { clock, ..RegistrySettings::default() };
            let registry = Registry::open(store.clone(), registry_settings).unwrap();
            let settings = BackupSettings { keep, ..BackupSettings::of_data_dir(directory.path()) };
            let shutdown = CancellationToken::new();
            let maker = Maker { registry, settings, every: DAY, shutdown, last: None };
            Self { directory, store, said, start: (now, Instant::now()), maker }
        }

        /// Looks when so much time has passed, and the clock says that.
        fn look(&mut self, passed: Duration) -> Result<(), String> {
            self.look_by(self.start.0.after(passed), passed)
        }

        /// The same when it says something else.
        fn look_by(&mut self, clock: Timestamp, passed: Duration) -> Result<(), String> {
            *self.said.lock().unwrap() = (clock, passed);
            let clock = self.maker.registry.clock().look();
            self.maker.make_due(clock, self.start.1 + passed)
        }

        fn change(&self) {
            let counters = self.store.meta().counters;
            self.store.commit(&Batch { counters, ..Batch::default() }).unwrap();
        }

        fn names(&self) -> Vec<String> {
            let files = tidy(&self.maker.settings.directory).unwrap();
            files.iter().map(|file| file.file_name().unwrap().to_str().unwrap().to_owned()).collect()
        }
    }

    #[test]
    fn one_is_made_when_it_is_due_and_something_has_changed() {
        let mut kept = Kept::new(7);
        kept.look(Duration::ZERO).unwrap();
        let first = kept.names();
        assert_eq!(first.len(), 1);
        let directory = kept.directory.path().join("backups");
        assert_eq!(directory.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        let file = directory.join(&first[0]);
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let newest = kept.maker.registry.backups().now().newest.unwrap();
        assert_eq!(newest.octets, file.metadata().unwrap().len());
        // Neither due nor, when it is, changed.
        kept.change();
        kept.look(DAY / 2).unwrap();
        assert_eq!(kept.names(), first);
        kept.look(DAY + DAY / 24).unwrap();
        assert_eq!(kept.names().len(), 2);
        kept.look(3 * DAY).unwrap();
        assert_eq!(kept.names().len(), 2);
    }

    #[test]
    fn the_oldest_go_when_a_new_one_is_there() {
        let mut kept = Kept::new(3);
        fs::create_dir_all(&kept.maker.settings.directory).unwrap();
        // Of a crash; and somebody else's.
        fs::write(kept.maker.settings.directory.join("bindery-1.backup.77.partial"), "half").unwrap();
        fs::write(kept.maker.settings.directory.join("notes.txt"), "mine").unwrap();
        let mut all = Vec::new();
        for day in 0..6 {
            kept.change();
            kept.look((DAY + DAY / 24) * day).unwrap();
            let names = kept.names();
            assert!(names.len() <= 3, "{names:?}");
            all.push(names.last().unwrap().clone());
        }
        assert_eq!(kept.names(), all[3..]);
        assert!(kept.maker.settings.directory.join("notes.txt").exists());
        assert_eq!(fs::read_dir(&kept.maker.settings.directory).unwrap().count(), 4);
    }

    #[test]
    fn none_is_removed_when_none_can_be_made() {
        let mut kept = Kept::new(1);
        kept.look(Duration::ZERO).unwrap();
        let names = kept.names();
        kept.change();
        kept.maker.shutdown.cancel();
        kept.look(2 * DAY).unwrap_err();
        assert_eq!(kept.names(), names);
        assert_eq!(
            fs::read_dir(&kept.maker.settings.directory).unwrap().count(),
            1,
            "nothing unfinished stays"
        );
    }

    /// In 1970, or years ahead and right again: with a change each minute, and over restarts.
    #[test]
    fn a_wrong_clock_takes_none_away_and_makes_no_more() {
        let year_1970 = Timestamp::from_unix_seconds(DAY.as_secs() as i64);
        for wrong in [Some(year_1970), None] {
            let mut kept = Kept::new(3);
            for day in 0..6 {
                kept.change();
                kept.look((DAY + DAY / 24) * day).unwrap();
            }
            let before = kept.names();
            assert_eq!(before.len(), 3);
            let begin = (DAY + DAY / 24) * 5 + DAY - 30 * LOOK_PERIOD;
            let wrong = wrong.unwrap_or(kept.start.0.after(400 * DAY));
            for minute in 0..60 {
                let passed = begin + minute * LOOK_PERIOD;
                if minute % 10 == 5 {
                    kept.maker.last = None;
                }
                kept.change();
                kept.look_by(wrong.after(passed), passed).unwrap();
                // The one that is due.
                let made = usize::from(minute >= 30);
                assert_eq!(kept.names().len(), 3 + made, "minute {minute}");
                assert_eq!(kept.names()[..3], before, "minute {minute}");
            }
            let due = kept.names().pop().unwrap();
            // Right again.
            kept.maker.last = None;
            kept.look(begin + 2 * DAY).unwrap();
            let newest = name_of(kept.start.0.after(begin + 2 * DAY), kept.store.meta().revision, false);
            assert_eq!(kept.names(), [before[2].clone(), due, newest]);
        }
    }

    /// A machine without a clock, for months: those of a right clock stay, and the disk does not fill.
    #[test]
    fn a_clock_that_is_never_believed_fills_no_disk() {
        let mut kept = Kept::new(3);
        for day in 0..6 {
            kept.change();
            kept.look((DAY + DAY / 24) * day).unwrap();
        }
        let before = kept.names();
        assert_eq!(before.len(), 3);
        let year_1970 = Timestamp::from_unix_seconds(DAY.as_secs() as i64);
        let mut made = Vec::new();
        for day in 6..20 {
            if day % 4 == 0 {
                kept.maker.last = None;
            }
            kept.change();
            let passed = (DAY + DAY / 24) * day;
            kept.look_by(year_1970.after(passed), passed).unwrap();
            assert_eq!(kept.names()[..3], before, "day {day}");
            made.push(kept.names().pop().unwrap());
            let last = &made[made.len().saturating_sub(3)..];
            assert_eq!(kept.names()[3..], *last, "day {day}");
        }
        // Right again, all count alike.
        kept.change();
        kept.look((DAY + DAY / 24) * 20).unwrap();
        let newest = name_of(kept.start.0.after((DAY + DAY / 24) * 20), kept.store.meta().revision, false);
        assert_eq!(kept.names(), [&made[made.len() - 2..], &[newest]].concat());
    }

    #[test]
    fn what_is_not_called_as_the_own_is_somebody_elses() {
        let mut kept = Kept::new(2);
        kept.look(Duration::ZERO).unwrap();
        let first = kept.maker.settings.directory.join(&kept.names()[0]);
        let later = kept.start.0.after(400 * DAY);
        let foreign = [
            "bindery-before-upgrade.backup".to_owned(),
            "bindery-20240101T000000Z.backup".to_owned(),
            "bindery-20240101T000000Z-r01.backup".to_owned(),
            "bindery-20240101T000000-r1.backup".to_owned(),
            "bindery-20240101T000060Z-r1.backup".to_owned(),
            name_of(later, 9, false),
            "bindery-20240101T000000Z-r1-doubted-doubted.backup".to_owned(),
        ];
        for name in &foreign {
            fs::copy(&first, kept.maker.settings.directory.join(name)).unwrap();
        }
        for day in 1..5 {
            kept.change();
            for minute in 0..3 {
                kept.look((DAY + DAY / 24) * day + minute * LOOK_PERIOD).unwrap();
                kept.change();
            }
            let names = kept.names();
            assert_eq!(names.len(), 2 + foreign.len(), "{names:?}");
            assert!(foreign.iter().all(|name| names.contains(name)), "{names:?}");
        }
        let newest = kept.maker.registry.backups().now().newest.unwrap();
        assert_eq!(newest.made, kept.start.0.after((DAY + DAY / 24) * 4));
    }
}
