//! A ledger that is to take the place of what is in a data directory: a draft first, then decided on, in one step, and then
//! put there.
//!
//! ```text
//! successor.new/    a draft, which is nothing to anybody: it goes when its maker fails, or when next somebody works there
//! successor/        decided on: whoever holds the store puts it into its place before anything else
//!     journal/      the ledger, whole
//!     token.key     perhaps: a file that takes the place of the one of its name
//!     aside         perhaps: the directory in which all of the store goes that is there, with a checksum, a line each; without
//!                   the file the journal goes alone
//! ```
//!
//! So neither a draft nor what decides lies where the end of another file makes a store of it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Meta;
use super::acknowledged::{self, Said};
use super::aside;
use super::directories::{make_directory, sync_directory, write_file};
use super::disk::{DATABASE, DATABASE_OLD};
use super::error::StoreError;
use super::ledger::{self, Ledger, Trouble};
use super::{lock, unreadable};

/// A successor that is not decided on: gone with this.
#[derive(Debug)]
pub(super) struct Draft {
    /// That of the store which it is to follow.
    directory: PathBuf,
    /// A data directory of its own.
    path: PathBuf,
}

impl Draft {
    /// Makes one with a ledger of the items that `fill` hands over.
    ///
    /// # Errors
    /// It cannot be made durable, or what `fill` says.
    pub(super) fn make(
        directory: &Path,
        meta: &Meta,
        fill: impl FnOnce(&mut dyn FnMut(&[u8], &[u8]) -> io::Result<()>) -> Result<(), StoreError>,
    ) -> Result<Self, StoreError> {
        remove_draft(directory)?;
        let draft = Self { directory: directory.to_owned(), path: directory.join(DRAFT) };
        make_directory(&draft.path)?;
        Ledger::write(&draft.path, meta, fill)?;
        Ok(draft)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Has all of the store set aside that is there, together, and answers with where that will be.
    ///
    /// # Errors
    /// It cannot go there.
    pub(super) fn set_all_aside(&self) -> Result<PathBuf, StoreError> {
        let place = aside::place_for(&self.directory, REPLACED)?;
        // Moved there, as all else will be.
        let made = self.path.join(ASIDE);
        make_directory(&made)?;
        fs::rename(&made, &place)
            .map_err(|error| StoreError::from_io(&place, "set a store aside in", error))?;
        place.parent().map_or(Ok(()), sync_directory)?;
        if let Err(error) = write_file(&made, &sealed(relative(&self.directory, &place))) {
            let _ = fs::remove_dir(place);
            return Err(error);
        }
        Ok(place)
    }

    /// Decides on it, and puts it into its place. Answers with where what was there is now.
    ///
    /// # Errors
    /// The system refuses something. Then all is as it was, unless that is refused too: then the next start goes on.
    pub(super) fn take_place(self) -> Result<Option<PathBuf>, StoreError> {
        sync_directory(&self.path)?;
        let names = names_in(&self.path)?;
        let decided = self.directory.join(DECIDED);
        fs::rename(&self.path, &decided).map_err(|error| StoreError::from_io(&decided, "make", error))?;
        let placed = sync_directory(&self.directory).and_then(|()| finish(&self.directory));
        if placed.is_err() {
            // What is left undone is done by the next start.
            let _ = undo(&self.directory, &names);
        }
        placed
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Whether a successor is decided on that is not in its place. Where the disk does not tell, there may be one.
pub(super) fn is_decided(directory: &Path) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    let decided = directory.join(DECIDED);
    match fs::symlink_metadata(&decided) {
        // The ledger is the last that comes to its place: what is without it has nothing to come.
        Ok(found) => found.is_dir() && !is_gone(&ledger::path_in(&decided)) && !has_come(directory),
        // The last two are about the data directory, of which nothing else can be read either.
        Err(error) => !matches!(error.kind(), NotFound | NotADirectory | PermissionDenied),
    }
}

/// Whether what is called as one that is decided on came to its place before, by what was acknowledged of its life since: it was
/// brought back, by a copy of the directory that was made while it was on its way.
fn has_come(directory: &Path) -> bool {
    let said = Said::read(directory);
    if !said.is_of_ledger() {
        return false;
    }
    // Also one that was copied while it went on its way, of which some files lack.
    let coming = match Ledger::read(&directory.join(DECIDED)) {
        Ok(ledger) => ledger.legible(),
        Err(Trouble::Damaged { legible, .. }) => *legible,
        Err(_) => return false,
    };
    let is_behind = |life| said.of_life(Some(life)) > Some(coming.at_least(Some(life)));
    said.lives().any(|life| coming.is_of(life) && is_behind(life))
}

/// Whether nothing is left of a successor, whose decision was taken back: a part of one that came into its place leaves the rest.
pub(super) fn is_taken_back(directory: &Path) -> bool {
    is_gone(&directory.join(DECIDED))
}

/// Where the ledger of the store in a data directory is: that of a successor which is decided on, or its own.
pub(super) fn store_in(directory: &Path) -> PathBuf {
    if is_decided(directory) { directory.join(DECIDED) } else { directory.to_owned() }
}

/// Where a file beside the store in a data directory is: with a successor that brings one, or in its place.
pub fn beside_store(directory: &Path, name: &str) -> PathBuf {
    let coming = store_in(directory).join(name);
    if is_gone(&coming) { directory.join(name) } else { coming }
}

/// Whether a store that a restore has set aside in a data directory has been what `meta` describes, as far as its journal tells: what
/// a copy of it has become since is another's.
pub fn was_before(directory: &Path, meta: &Meta) -> bool {
    let has_been = |place: &PathBuf| {
        let is_of_life = Said::read(place).lives().any(|life| meta.incarnation == Some(life));
        is_of_life
            && Ledger::read(place).is_ok_and(|ledger| {
                let end = ledger.meta().revision;
                meta.revision <= end && ledger.parted_from(meta).is_ok_and(|parted| parted.is_none())
            })
    };
    aside::places_of(directory, REPLACED).any(|place| has_been(&place))
}

/// Puts a successor into its place that was decided on when the process ended.
///
/// # Errors
/// The system refuses something.
pub(super) fn go_on(directory: &Path) -> Result<(), StoreError> {
    if !is_decided(directory) {
        return Ok(());
    }
    let finished = finish(directory).map_err(|error| match error {
        error @ StoreError::Io { .. } => {
            StoreError::Unfinished { path: directory.to_owned(), reason: error.with_reason() }
        }
        error => error,
    });
    match finished? {
        Some(aside) => tracing::warn!(
            set_aside = %aside.display(),
            "what a process had decided on that was killed is in its place: the store of a backup, or a journal made anew"
        ),
        None => tracing::info!("what a process had decided on that was killed is in its place"),
    }
    Ok(())
}

/// Removes what was never decided on; what a version before left there is set aside, and what is only called as one that is decided
/// on. Of a start that is not going to be refused: until that is known, all of it stays.
///
/// # Errors
/// It cannot be removed.
pub(super) fn remove_draft(directory: &Path) -> Result<(), StoreError> {
    if !is_decided(directory) {
        clear(directory);
    }
    aside::remove_made(&directory.join(DRAFT))?;
    // It may be all that there is of a store which that version would have finished.
    aside::put(directory, &directory.join(DRAFT_BEFORE)).map(drop)
}

/// Whether there is something that [`remove_draft`] would move or remove.
pub(super) fn has_draft(directory: &Path) -> bool {
    let decided = if is_decided(directory) { None } else { Some(DECIDED) };
    let mut names = [DRAFT, DRAFT_BEFORE].into_iter().chain(decided);
    names.any(|name| fs::symlink_metadata(directory.join(name)).is_ok())
}

/// Clears away what is called as one that is decided on, and is none: what is left of one that has come to its place, or what is
/// somebody's, which is set aside. What cannot be is in nobody's way but that of the next one.
fn clear(directory: &Path) {
    let decided = directory.join(DECIDED);
    let Ok(found) = fs::symlink_metadata(&decided) else { return };
    if found.is_dir() && names_in(&decided).is_ok_and(|names| names.is_empty()) {
        remove_rest(&decided);
    }
    if let Err(error) = aside::put(directory, &decided) {
        tracing::warn!(%error, "what is called as a store that was decided on, and is none, stays");
    }
}

/// Removes what is no part of a store, and the directory, if nothing else is in it.
fn remove_rest(decided: &Path) {
    for name in [ASIDE, ASIDE_NEW, lock::FILE_NAME] {
        let _ = fs::remove_file(decided.join(name));
    }
    let _ = fs::remove_dir(decided);
}

/// Ended in the middle, it goes on where it was.
fn finish(directory: &Path) -> Result<Option<PathBuf>, StoreError> {
    let decided = directory.join(DECIDED);
    let mut names = names_in(&decided)?;
    // The last that comes: until then what lies there is what was there before.
    names.sort_by_key(|name| name == ledger::DIRECTORY);
    let mut set_aside = aside_of(directory)?;
    if names.last().is_some_and(|name| name == ledger::DIRECTORY) {
        match &set_aside {
            Some(place) => {
                make_directory(place)?;
                for part in PARTS {
                    move_if_there(&directory.join(part), &place.join(part), "set aside")?;
                }
                sync_directory(place)?;
            }
            None => set_aside = aside::put(directory, &ledger::path_in(directory))?,
        }
    }
    for name in names {
        move_if_there(&decided.join(&name), &directory.join(&name), "put into its place")?;
        sync_directory(directory)?;
    }
    // What has stayed there against all that was answered is not lost.
    remove_rest(&decided);
    Ok(set_aside)
}

/// Takes the decision back, as long as nothing has come into its place.
fn undo(directory: &Path, names: &[OsString]) -> Result<(), StoreError> {
    let (decided, draft) = (directory.join(DECIDED), directory.join(DRAFT));
    if !names.iter().all(|name| fs::symlink_metadata(decided.join(name)).is_ok()) {
        return Ok(());
    }
    match aside_of(directory)? {
        Some(place) => {
            for part in PARTS {
                move_if_there(&place.join(part), &directory.join(part), "put back")?;
            }
            sync_directory(directory)?;
        }
        None if ledger::path_in(directory).exists() => {}
        // It is in `set-aside/`, or there never was one.
        None => return Ok(()),
    }
    fs::rename(&decided, &draft).map_err(|error| StoreError::from_io(&decided, "remove", error))?;
    sync_directory(directory)?;
    remove_draft(directory)
}

/// Where all of the store goes that is there; `None`: its journal goes alone.
fn aside_of(directory: &Path) -> Result<Option<PathBuf>, StoreError> {
    let decided = directory.join(DECIDED);
    let (path, new) = (decided.join(ASIDE), decided.join(ASIDE_NEW));
    let is_there = match place_in(directory, &path)? {
        Told::Place(place) => return Ok(Some(place)),
        Told::Nothing => false,
        Told::Illegible => true,
    };
    // Any place serves as well. What was moved to the one that nobody knows any more stays there, beside it. It is said beside the
    // file that cannot be read, before that goes: without either, what is there would be taken for a journal that goes alone.
    let place = match place_in(directory, &new)? {
        Told::Place(place) => place,
        Told::Nothing if !is_there => return Ok(None),
        told => {
            if matches!(told, Told::Illegible) {
                aside::put(directory, &new)?;
            }
            let place = aside::place_for(directory, REPLACED)?;
            write_file(&new, &sealed(relative(directory, &place)))?;
            sync_directory(&decided)?;
            place
        }
    };
    let illegible = aside::put(directory, &path)?.unwrap_or_default();
    fs::rename(&new, &path).map_err(|error| StoreError::from_io(&path, "make", error))?;
    sync_directory(&decided)?;
    tracing::warn!(
        illegible = %illegible.display(), place = %place.display(),
        "the file with the place where what was there goes cannot be read: it goes to another one, and what was moved before, \
         or a copy of its `token.key`, is in the one before that"
    );
    Ok(Some(place))
}

/// What a file says of where all goes.
enum Told {
    Nothing,
    Place(PathBuf),
    Illegible,
}

fn place_in(directory: &Path, path: &Path) -> Result<Told, StoreError> {
    match unreadable::open_file(path).and_then(|file| unreadable::read_without_end(&file)) {
        Ok(octets) => Ok(match unsealed(directory, &octets) {
            Some(relative) => Told::Place(directory.join(relative)),
            None => Told::Illegible,
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Told::Nothing),
        Err(error) if unreadable::is_damage(&error) => Ok(Told::Illegible),
        Err(error) => Err(StoreError::from_io(path, "read", error)),
    }
}

fn relative<'a>(directory: &Path, place: &'a Path) -> &'a Path {
    place.strip_prefix(directory).unwrap_or(place)
}

/// What says where all goes: a wrong place could be that of something else.
pub(super) fn sealed(relative: &Path) -> Vec<u8> {
    let relative = relative.as_os_str().as_bytes();
    [relative, b"\n", blake3::hash(relative).to_hex().as_bytes()].concat()
}

/// What it says; `None`: it is not what was written. Before it had a checksum it was the path alone, of a directory that is there.
fn unsealed<'a>(directory: &Path, octets: &'a [u8]) -> Option<&'a Path> {
    let bare = Path::new(OsStr::from_bytes(octets));
    let is_ours = |path: &Path| {
        let mut parts = path.components();
        let names = [parts.next(), parts.next()].map(|part| part.map(|part| part.as_os_str().to_owned()));
        let [Some(first), Some(second)] = names else { return false };
        let is_named = second.as_bytes().starts_with(REPLACED.as_bytes());
        parts.next().is_none() && first == aside::DIRECTORY && is_named && directory.join(path).is_dir()
    };
    if !octets.contains(&b'\n') && is_ours(bare) {
        return Some(bare);
    }
    let (relative, checksum) = octets.split_last_chunk::<{ 2 * blake3::OUT_LEN }>()?;
    let relative = relative.strip_suffix(b"\n")?;
    let is_whole = blake3::hash(relative).to_hex().as_bytes() == checksum;
    is_whole.then(|| Path::new(OsStr::from_bytes(relative)))
}

/// What in a successor is to come into its place.
fn names_in(path: &Path) -> Result<Vec<OsString>, StoreError> {
    let entries = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = entries.map_err(|error| StoreError::from_io(path, "list", error))?;
    // Whoever has worked there as in a data directory has left a lock, which is not that of this one.
    let comes = |name: &OsString| ![ASIDE, ASIDE_NEW, lock::FILE_NAME].iter().any(|not| name == not);
    Ok(entries.iter().map(fs::DirEntry::file_name).filter(comes).collect())
}

fn is_gone(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

fn move_if_there(from: &Path, to: &Path, doing: &'static str) -> Result<(), StoreError> {
    match fs::rename(from, to) {
        Err(error) if !is_gone(from) => Err(StoreError::from_io(from, doing, error)),
        _ => Ok(()),
    }
}

/// What a store is made of in a data directory.
pub(super) const PARTS: [&str; 4] = [ledger::DIRECTORY, DATABASE, DATABASE_OLD, acknowledged::FILE_NAME];
const DRAFT: &str = "successor.new";
/// What versions before called it, which made it the store once the journal was gone.
const DRAFT_BEFORE: &str = "journal.new";
const DECIDED: &str = "successor";
/// All of them.
pub(super) const NAMES: [&str; 3] = [DECIDED, DRAFT, DRAFT_BEFORE];
const ASIDE: &str = "aside";
/// What it is called until the one that cannot be read has gone.
const ASIDE_NEW: &str = "aside.new";
/// What a store that was set aside as a whole is called there.
const REPLACED: &str = "replaced";
