//! Backups that the server makes by itself: when one is due, that there is room for it, and which are kept. Of a directory that
//! several servers write to each looks at what is of its own store, and of its own history of that: not at what a copy of the data
//! directory makes that goes on by itself.

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
use crate::store::{Meta, NewFile, StoreError, check_reserve, has_been, read_head, verify, was_before};

/// Makes backups of the store in `data_dir` until the server goes down.
pub(super) async fn make_backups(
    registry: Arc<Registry>,
    settings: BackupSettings,
    data_dir: PathBuf,
    shutdown: CancellationToken,
) {
    let Some(every) = settings.every else { return };
    registry.backups().expect(every);
    let stop = shutdown.clone();
    let mut maker = Maker::new(registry, settings, every, data_dir, stop);
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
    data_dir: PathBuf,
    shutdown: CancellationToken,
    /// When this process made one, by the clock that never jumps.
    last: Option<Instant>,
    /// Whether the log knows of what is in the directory and of another store.
    has_told: bool,
    /// What backups of lives before were found to be: that is asked of a whole store, which does not change.
    before: Vec<(Meta, bool)>,
}

impl Maker {
    /// One that has made none yet.
    fn new(
        registry: Arc<Registry>,
        settings: BackupSettings,
        every: Duration,
        data_dir: PathBuf,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            registry,
            settings,
            every,
            data_dir,
            shutdown,
            last: None,
            has_told: false,
            before: Vec::new(),
        }
    }

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
        let Self { registry, settings, every, data_dir, shutdown, last, has_told, before } = self;
        let now = clock.earliest;
        let directory = &settings.directory;
        let failed =
            |doing: &str, error: &io::Error| format!("cannot {doing} {}: {error}", directory.display());
        if !directory.is_dir() {
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
            made.map_err(|error| failed("make", &error))?;
        }
        let meta = registry.store().meta();
        let whose = |of: &Meta| {
            // Where it has no life yet, no backup of it tells one.
            if of.incarnation.is_some_and(|life| meta.incarnation != Some(life)) {
                // What is restored is another life, and goes on with the backups of the one before: with those that were made before
                // it ended. A copy of the data directory may go on with that one.
                let known = before.iter().find(|(known, _)| known == of).map(|(_, is_ours)| *is_ours);
                let is_ours = known.unwrap_or_else(|| {
                    let is_ours = was_before(data_dir, of);
                    before.push((*of, is_ours));
                    is_ours
                });
                return if is_ours { Whose::Ours } else { Whose::Others };
            }
            // A copy of the store has the same incarnation.
            match has_been(registry.store(), of) {
                Ok(true) => Whose::Ours,
                Ok(false) => Whose::Others,
                Err(_) => Whose::Unknown,
            }
        };
        let Found { own, of_others } = tidy(directory, whose).map_err(|error| failed("list", &error))?;
        if let Some(first) = of_others.first()
            && !*has_told
        {
            tracing::warn!(
                count = of_others.len(), first = %first.display(),
                "backups of another store, of a copy of this one that went on by itself, or that cannot be read, are where those of \
                 this one are: they are neither counted nor removed"
            );
        }
        *has_told = !of_others.is_empty();
        // One of a time that has not come was made by a clock that was wrong, and nobody knows when: until then it is not the
        // newest, is not counted and does not go.
        let (ours, early): (Vec<Own>, Vec<Own>) = own.into_iter().partition(|own| own.head.made <= now);
        let newest = ours.last().map(|newest| newest.head);
        registry.backups().found(newest);
        let is_due = match (*last, &newest) {
            // Somebody has taken them all away. Where some cannot be read there is nothing to go by.
            (Some(_), None) if early.is_empty() && of_others.is_empty() => true,
            // However often the clock is set: no more of them.
            (Some(last), _) => moment.saturating_duration_since(last) >= *every,
            (None, Some(newest)) => newest.made.after(*every) <= now,
            (None, None) => true,
        };
        let is_of = |newest: &NewestBackup| {
            (newest.revision, newest.incarnation) == (meta.revision, meta.incarnation)
        };
        if !is_due || newest.as_ref().is_some_and(is_of) {
            return Ok(());
        }
        let keys = if settings.with_keys { Some(registry.finding_key_file()?) } else { None };
        let is_doubted = clock.trusted.is_none();
        let name = name_of(now, meta.revision, is_doubted);
        let mut paths = (1..).map(|number| directory.join(numbered(&name, number)));
        let path = paths.find(|path| fs::symlink_metadata(path).is_err()).unwrap_or_default();
        let file = NewFile::create(&path, false).map_err(|error| in_words(&error))?;
        let mut file = Bounded { file, directory, written: 0, asked: 0, shutdown };
        let written = registry.store().write_archive(&mut file, now, keys.as_ref());
        written.map_err(|error| unwritten(&path, &error))?;
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
        let keep = usize::try_from(settings.keep).unwrap_or(usize::MAX);
        // Where the store cannot be asked whose some are, all stay.
        let is_known = ours.iter().chain(&early).all(|own| own.is_known);
        let surplus = if is_known { (counted.len() + 1).saturating_sub(keep) } else { 0 };
        let mut removed = Ok(());
        for Own { path, .. } in counted.into_iter().take(surplus) {
            // One that stays keeps none behind it.
            if let Err(error) = fs::remove_file(path) {
                removed = removed.and(Err(format!("cannot remove {}: {error}", path.display())));
            }
        }
        removed
    }
}

/// What is called as a backup that a server made.
#[derive(Default)]
struct Found {
    /// Those of this store, or of which it cannot be asked, the oldest first.
    own: Vec<Own>,
    /// Those of another one, or of a copy of this one, and those of which nobody can say.
    of_others: Vec<PathBuf>,
}

/// Of which store a backup is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Of this one, or of one before in its data directory.
    Ours,
    /// Of another one, or of a copy of this one that went on by itself.
    Others,
    /// The store cannot be asked.
    Unknown,
}

/// What is in the directory. What a crash has left unfinished is removed, unless it may be of another store.
fn tidy(directory: &Path, mut whose: impl FnMut(&Meta) -> Whose) -> io::Result<Found> {
    let mut found = Found::default();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        let Some(name) = name.to_str() else { continue };
        if let Some((made, is_doubted)) = read_name(name) {
            match read(&path, made).map(|(head, of)| (head, whose(&of))) {
                Some((head, whose)) if whose != Whose::Others => {
                    found.own.push(Own { head, is_doubted, is_known: whose == Whose::Ours, path });
                }
                _ => found.of_others.push(path),
            }
        } else if let Some(name) = NewFile::finished_name(name.as_bytes())
            && str::from_utf8(name).is_ok_and(|name| read_name(name).is_some())
            && read_head(&path).map_or(true, |head| whose(&head.meta) == Whose::Ours)
        {
            // One that belongs to somebody else is no reason to make none.
            let _ = NewFile::remove_partial(&path);
        }
    }
    // The time stands in front, and has one length.
    found.own.sort_by(|one, other| one.path.cmp(&other.path));
    found.of_others.sort();
    Ok(found)
}

/// A backup that a server made of this store.
struct Own {
    head: NewestBackup,
    /// Whether the clock was not believed then.
    is_doubted: bool,
    /// Whether the store could be asked whose it is.
    is_known: bool,
    path: PathBuf,
}

/// What the name of a backup that a server made says: when that was, and whether the clock was not believed then. What has another
/// name is somebody else's.
fn read_name(name: &str) -> Option<(Timestamp, bool)> {
    let (time, revision) = name.strip_prefix(NAME_BEGIN)?.strip_suffix(NAME_END)?.split_once("-r")?;
    let numbered_one = revision.rsplit_once('-').and_then(|(of, number)| Some((of, number.parse().ok()?)));
    let (revision, number) = numbered_one.unwrap_or((revision, 1));
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
    let is_ours = numbered(&name_of(made, revision.parse().ok()?, is_doubted), number) == name;
    is_ours.then_some((made, is_doubted))
}

/// What the first block of a backup says, and what of; `None`: it cannot be read.
fn read(path: &Path, made: Timestamp) -> Option<(NewestBackup, Meta)> {
    let meta = read_head(path).ok()?.meta;
    let octets = path.metadata().ok()?.len();
    let (revision, incarnation) = (meta.revision, meta.incarnation);
    Some((NewestBackup { made, octets, revision, incarnation }, meta))
}

fn name_of(now: Timestamp, revision: Revision, is_doubted: bool) -> String {
    let time: String =
        now.to_string().chars().filter(|character| character.is_ascii_alphanumeric()).collect();
    let doubted = if is_doubted { DOUBTED } else { "" };
    format!("{NAME_BEGIN}{time}-r{revision}{doubted}{NAME_END}")
}

/// Why the backup at `path` was not written: what its own disk refuses says nothing of that of the store.
fn unwritten(path: &Path, error: &StoreError) -> String {
    match error {
        StoreError::Output { source } => format!("cannot write {}: {source}", path.display()),
        error => in_words(error),
    }
}

/// The same name with a number behind it, from 2 on: another store has made one of it in the same second.
fn numbered(name: &str, number: u32) -> String {
    match name.strip_suffix(NAME_END) {
        Some(begin) if number > 1 => format!("{begin}-{number}{NAME_END}"),
        _ => name.to_owned(),
    }
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
    use std::collections::BTreeSet;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::clock::Clock;
    use crate::model::{Actor, InternalAccount};
    use crate::registry::RegistrySettings;
    use crate::store::tests::copy;
    use crate::store::{Batch, Call, DiskStore, Fate, FaultyStore, MemoryStore, Restoration, Store};

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
            let data_dir = directory.path().to_owned();
            let maker = Maker::new(registry, settings, DAY, data_dir, shutdown);
            Self { directory, store, said, start: (now, Instant::now()), maker }
        }

        /// With a change and a look each day, and a little more.
        fn for_six_days(keep: u32) -> Self {
            let mut kept = Self::new(keep);
            for day in 0..6 {
                kept.change();
                kept.look((DAY + DAY / 24) * day).unwrap();
            }
            assert_eq!(kept.names().len(), keep as usize);
            kept
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
            let entries = fs::read_dir(&self.maker.settings.directory).unwrap();
            let mut names: Vec<String> =
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.retain(|name| name.starts_with(NAME_BEGIN) && name.ends_with(NAME_END));
            names.sort();
            names
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

    /// A directory of backups that several data directories beside it write to.
    struct Common {
        place: tempfile::TempDir,
        clock: Clock,
        start: Instant,
    }

    impl Common {
        fn new() -> Self {
            let place = tempfile::tempdir().unwrap();
            Self { place, clock: Clock::of_system(), start: Instant::now() }
        }

        fn data_dir(&self, name: &str) -> PathBuf {
            self.place.path().join(name)
        }

        fn open(&self, name: &str, keep: u32) -> Maker {
            let store = Arc::new(DiskStore::open(&self.data_dir(name)).unwrap());
            self.maker(store, name, keep)
        }

        fn maker(&self, store: Arc<dyn Store>, name: &str, keep: u32) -> Maker {
            let registry = Registry::open(store, RegistrySettings::default()).unwrap();
            let (data_dir, directory) = (self.data_dir(name), self.data_dir("backups"));
            let settings = BackupSettings { keep, directory, ..BackupSettings::of_data_dir(&data_dir) };
            Maker::new(registry, settings, DAY, data_dir, CancellationToken::new())
        }

        fn look(&self, maker: &mut Maker, day: u32) {
            let mut clock = self.clock.look();
            clock.earliest = clock.earliest.after(DAY * day);
            maker.make_due(clock, self.start + DAY * day).unwrap();
            let newest = maker.registry.backups().now().newest.unwrap();
            assert_eq!(newest.revision, maker.registry.store().meta().revision);
        }

        /// Has a change on each of these days, and a backup.
        async fn go_on(&self, maker: &mut Maker, days: std::ops::Range<u32>) {
            for day in days {
                change(maker).await;
                self.look(maker, day);
            }
        }

        fn names(&self) -> BTreeSet<PathBuf> {
            let entries = fs::read_dir(self.data_dir("backups")).unwrap();
            entries.map(|entry| entry.unwrap().path()).collect()
        }
    }

    async fn change(maker: &Maker) {
        let actor = Actor::internal(InternalAccount::CommandLine);
        // As no other data directory has it.
        let what = maker.data_dir.to_string_lossy().into_owned();
        maker.registry.note_backup(actor, what, false).await.unwrap();
    }

    fn close(maker: Maker) {
        maker.registry.close();
    }

    /// It has the same incarnation, and its backups go to the same directory: they are not those of the store that it was.
    #[tokio::test]
    async fn backups_of_a_copy_that_went_on_by_itself_are_not_ours() {
        let common = Common::new();
        let first = common.open("ours", 2);
        change(&first).await;
        close(first);
        copy(&common.data_dir("ours"), &common.data_dir("theirs"));

        let mut mine = common.open("ours", 2);
        common.go_on(&mut mine, 1..3).await;
        let made = common.names();
        assert_eq!(made.len(), 2);
        // As many changes: at the same revision, too.
        let mut other = common.open("theirs", 2);
        common.go_on(&mut other, 3..6).await;
        assert_eq!(common.names().len(), 4);
        assert!(common.names().is_superset(&made));
        // The others take no place of ours, and those that are too many are ours.
        common.go_on(&mut mine, 7..8).await;
        assert_eq!(common.names().intersection(&made).count(), 1);
        assert_eq!(common.names().len(), 4);
    }

    /// A restore that is tried out on a clone ends a life of its own there, and not the one that goes on elsewhere.
    #[tokio::test]
    async fn a_restore_on_a_clone_takes_no_backup_of_the_store_that_was_cloned() {
        let common = Common::new();
        let mut mine = common.open("ours", 3);
        common.go_on(&mut mine, 0..2).await;
        close(mine);
        copy(&common.data_dir("ours"), &common.data_dir("clone"));
        // What the clone went on to by itself has revisions that ours has, too.
        let other = common.open("clone", 3);
        for _ in 0..2 {
            change(&other).await;
        }
        close(other);
        let shared = common.names();
        let restoration = Restoration::begin(&common.data_dir("clone")).unwrap();
        let drafted = restoration.draft(shared.first().unwrap(), "token.key", None, None).unwrap();
        restoration.finish(drafted).unwrap();

        let mut mine = common.open("ours", 3);
        common.go_on(&mut mine, 2..5).await;
        let made: BTreeSet<_> = common.names().difference(&shared).cloned().collect();
        assert_eq!((made.len(), common.names().len()), (3, 3));
        let mut other = common.open("clone", 3);
        common.go_on(&mut other, 5..9).await;
        assert!(common.names().is_superset(&made), "{:?}", common.names());
        assert_eq!(common.names().len(), 6);
    }

    /// What was made before the restore is still counted, as it is of what was there.
    #[tokio::test]
    async fn a_restored_store_goes_on_with_the_backups_before() {
        let common = Common::new();
        let mut mine = common.open("ours", 3);
        common.go_on(&mut mine, 0..3).await;
        close(mine);
        let before: Vec<_> = common.names().into_iter().collect();
        let restoration = Restoration::begin(&common.data_dir("ours")).unwrap();
        let drafted = restoration.draft(&before[1], "token.key", None, None).unwrap();
        restoration.finish(drafted).unwrap();
        let mut mine = common.open("ours", 3);
        common.go_on(&mut mine, 3..5).await;
        assert_eq!(common.names().len(), 3);
        assert!(common.names().contains(&before[2]) && !common.names().contains(&before[1]));
    }

    #[tokio::test]
    async fn where_the_store_cannot_be_asked_whose_they_are_all_stay() {
        let common = Common::new();
        let mut mine = common.open("ours", 2);
        common.go_on(&mut mine, 0..2).await;
        close(mine);
        copy(&common.data_dir("ours"), &common.data_dir("theirs"));
        let mut other = common.open("theirs", 4);
        common.go_on(&mut other, 2..4).await;
        close(other);
        let before = common.names();
        let is_closed = Arc::new(AtomicBool::new(false));
        let fate = {
            let is_closed = is_closed.clone();
            move |call: Call| match call {
                Call::Events if is_closed.load(Ordering::Relaxed) => {
                    Fate::Fails(StoreError::Full { path: "data".into(), free: None, needed: None })
                }
                _ => Fate::CarriedOut,
            }
        };
        let store = Arc::new(DiskStore::open(&common.data_dir("ours")).unwrap());
        let mut mine = common.maker(Arc::new(FaultyStore::over(store, fate)), "ours", 1);
        change(&mine).await;
        is_closed.store(true, Ordering::Relaxed);
        common.look(&mut mine, 5);
        assert!(common.names().is_superset(&before) && common.names().len() == before.len() + 1);
        is_closed.store(false, Ordering::Relaxed);
        common.go_on(&mut mine, 6..7).await;
        assert!(common.names().len() < before.len() + 1, "{:?}", common.names());
    }

    /// Two stores have come as far in the same second.
    #[test]
    fn a_name_that_another_store_has_taken_keeps_none_from_being_made() {
        let (mut one, mut other) = (Kept::new(2), Kept::new(2));
        other.start = one.start;
        other.maker.settings.directory.clone_from(&one.maker.settings.directory);
        for kept in [&mut one, &mut other] {
            kept.change();
            kept.look(Duration::ZERO).unwrap();
        }
        let name = name_of(one.start.0, 2, false);
        assert_eq!(one.names(), [numbered(&name, 2), name]);
        // Each goes with those of its own store.
        for day in 1..3 {
            other.change();
            other.look((DAY + DAY / 24) * day).unwrap();
        }
        assert_eq!(one.names().len(), 3);
        assert!(one.names().contains(&name_of(one.start.0, 2, false)));
    }

    /// It need not be the disk of the store.
    #[test]
    fn what_the_disk_of_the_backups_refuses_is_told_of_them() {
        struct Refusing;
        impl Write for Refusing {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(rustix::io::Errno::NOSPC.into())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let place = tempfile::tempdir().unwrap();
        let stores: [Box<dyn Store>; 2] =
            [Box::new(MemoryStore::new()), Box::new(DiskStore::open(place.path()).unwrap())];
        for store in stores {
            let refused = store.write_archive(&mut Refusing, Timestamp::now(), None).unwrap_err();
            assert!(!refused.is_full() && !refused.is_unusable(), "{refused}");
            let said = unwritten(Path::new("backups/one.backup"), &refused);
            assert!(said.starts_with("cannot write backups/one.backup: No space left"), "{said}");
        }
    }

    #[test]
    fn the_oldest_go_when_a_new_one_is_there() {
        let mut kept = Kept::new(3);
        fs::create_dir_all(&kept.maker.settings.directory).unwrap();
        // Of a crash; and somebody else's.
        let left = format!("{}.77.partial", name_of(kept.start.0, 1, false));
        fs::write(kept.maker.settings.directory.join(left), "half").unwrap();
        fs::write(kept.maker.settings.directory.join("bindery-etc.tar.partial"), "mine").unwrap();
        let mut all = Vec::new();
        for day in 0..6 {
            kept.change();
            kept.look((DAY + DAY / 24) * day).unwrap();
            let names = kept.names();
            assert!(names.len() <= 3, "{names:?}");
            all.push(names.last().unwrap().clone());
        }
        assert_eq!(kept.names(), all[3..]);
        assert!(kept.maker.settings.directory.join("bindery-etc.tar.partial").exists());
        assert_eq!(fs::read_dir(&kept.maker.settings.directory).unwrap().count(), 4);
    }

    #[test]
    fn of_one_directory_each_store_keeps_its_own() {
        let (mut one, mut other) = (Kept::new(2), Kept::new(1));
        let directory = one.maker.settings.directory.clone();
        other.maker.settings.directory.clone_from(&directory);
        let newest = |kept: &Kept| kept.maker.registry.backups().now().newest.map(|newest| newest.made);
        one.change();
        one.look(Duration::ZERO).unwrap();
        let of_one = one.names();
        other.change();
        other.look(DAY / 24).unwrap();
        let of_other = other.names().into_iter().find(|name| !of_one.contains(name)).unwrap();
        for day in 1..4 {
            other.change();
            other.look(DAY / 24 + (DAY + DAY / 24) * day).unwrap();
            let names = other.names();
            assert!(names.contains(&of_one[0]) && names.len() == 2, "{names:?}");
            assert!(!names.contains(&of_other));
            // As it is: the newest is of the other one.
            one.maker.last = None;
            one.look(Duration::from_secs(1)).unwrap();
            assert_eq!(newest(&one), Some(one.start.0));
        }
        assert_eq!(newest(&other), Some(other.start.0.after(DAY / 24 + (DAY + DAY / 24) * 3)));
        // What a crash of either has left.
        let half = |name: &str| fs::read(directory.join(name)).unwrap()[..2_000].to_vec();
        let names = [of_one[0].clone(), one.names().into_iter().find(|name| !of_one.contains(name)).unwrap()];
        for name in &names {
            fs::write(directory.join(format!("{name}.77.partial")), half(name)).unwrap();
        }
        // Nobody can say whose these are.
        let illegible = name_of(one.start.0.after(DAY / 2), 7, false);
        fs::write(directory.join(&illegible), "?").unwrap();
        let no_file = name_of(Timestamp::from_unix_seconds(DAY.as_secs() as i64), 7, false);
        fs::create_dir(directory.join(&no_file)).unwrap();
        let mut made = Vec::new();
        for day in 1..4 {
            one.change();
            let passed = (DAY + DAY / 24) * day;
            one.look(passed).unwrap();
            made.push(name_of(one.start.0.after(passed), one.store.meta().revision, false));
        }
        let left = |name: &str| directory.join(format!("{name}.77.partial")).exists();
        assert!(!left(&names[0]) && left(&names[1]));
        let mut expected = [&made[1..], &[names[1].clone(), illegible, no_file]].concat();
        expected.sort();
        assert_eq!(one.names(), expected);
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
            let mut kept = Kept::for_six_days(3);
            let before = kept.names();
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
        let mut kept = Kept::for_six_days(3);
        let before = kept.names();
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
