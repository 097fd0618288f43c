//! Which places of a data directory are bindery's own: whoever writes a file elsewhere for a command asks here first, so that none
//! stands where a file of a store does, or where the store makes, moves and deletes what has the name.

use std::fs;
use std::path::{Path, PathBuf};

use super::disk::{database_in, is_beside_database, is_database};
use super::successor::{self, PARTS};
use super::{aside, journal, ledger, lock};
use crate::file_identity::FileIdentity;

/// A place among bindery's own files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnPlace {
    /// The data directory, or the journal or database itself where that is seen from elsewhere.
    pub directory: PathBuf,
    /// The name there that is bindery's.
    pub name: String,
}

/// Whether a file or directory at `path`, which need not be there, would be among the own files of a data directory: of `data_dir`,
/// whether there is a store in it or not, or of any other that has one. Links, `..` and mounts are followed to where they lead.
pub fn own_place(path: &Path, data_dir: Option<&Path>) -> Option<OwnPlace> {
    let path = resolved(path);
    let data_dir = data_dir.map(resolved);
    let place = |directory: &Path| {
        let name = path.strip_prefix(directory).ok()?.iter().next()?.to_str()?;
        Some(OwnPlace { directory: directory.to_owned(), name: name.to_owned() })
    };
    let is_data_dir = |directory: &Path| {
        data_dir.as_deref().is_some_and(|own| is_same(own, directory)) || has_files_of_store(directory)
    };
    let mut above = path.ancestors().skip(1);
    let in_data_dir = above.find_map(|at| place(at).filter(|own| is_own_name(&own.name) && is_data_dir(at)));
    // A part that is seen without its data directory: it is mounted there, or linked from it.
    let is_part = |directory: &&Path| is_journal(directory) || is_database(directory);
    in_data_dir.or_else(|| path.ancestors().skip(1).find(is_part).and_then(place))
}

/// Whether a name in a data directory is bindery's, which makes, renames and deletes what has it.
pub fn is_own_name(name: &str) -> bool {
    PARTS.contains(&name)
        || successor::NAMES.contains(&name)
        || [lock::FILE_NAME, aside::DIRECTORY, FINDING_KEY_NAME, SOCKET_NAME].contains(&name)
        || is_beside_database(name)
}

/// Whether the files of a store are in a directory, whatever else is called like one there.
fn has_files_of_store(directory: &Path) -> bool {
    is_journal(&ledger::path_in(directory))
        || is_database(&database_in(directory))
        || is_journal(&ledger::path_in(&successor::store_in(directory)))
}

fn is_journal(directory: &Path) -> bool {
    journal::files_in(directory).is_ok_and(|files| files.iter().any(|file| file.is_file()))
}

/// By name, or by what they are: one of two may be seen by another mount.
fn is_same(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).ok().map(|found| FileIdentity::of(&found));
    one == other || identity(one).is_some_and(|one| identity(other) == Some(one))
}

/// A path without links, as far as it is there.
fn resolved(path: &Path) -> PathBuf {
    let path = &*std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let found = path.ancestors().find_map(|at| {
        let there = fs::canonicalize(at).ok()?;
        match path.strip_prefix(at).ok()? {
            rest if rest.as_os_str().is_empty() => Some(there),
            rest => Some(there.join(rest)),
        }
    });
    found.unwrap_or_else(|| path.to_owned())
}

/// The key by which chosen secrets of API tokens are found.
pub const FINDING_KEY_NAME: &str = "token.key";
/// The socket for commands.
pub const SOCKET_NAME: &str = "bindery.sock";

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::store::DiskStore;

    #[test]
    fn a_place_among_the_own_files_is_found_however_it_is_named() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        let data = path("data");
        let name_of = |path: &Path, data_dir: Option<&Path>| own_place(path, data_dir).map(|own| own.name);
        // Before there is a store, for who knows where it is to be.
        for name in ["journal/checkpoint", "lock", "token.key", "bindery.sock", "set-aside/mine"] {
            let first = name.split('/').next().map(str::to_owned);
            assert_eq!(name_of(&data.join(name), None), None, "{name}");
            assert_eq!(name_of(&data.join(name), Some(&data)), first, "{name}");
        }
        // What is only called so.
        for name in ["journal", "store", "acknowledged"] {
            fs::create_dir_all(path("others").join(name)).unwrap();
        }
        for name in ["others/journal/file", "others/store/db", "others/lock", "others/acknowledged/x"] {
            assert_eq!(name_of(&path(name), Some(&data)), None, "{name}");
        }
        drop(DiskStore::open(&data).unwrap());
        symlink(&data, path("way")).unwrap();
        symlink(data.join("acknowledged"), path("link")).unwrap();
        fs::rename(data.join("journal"), path("elsewhere")).unwrap();
        symlink(path("elsewhere"), data.join("journal")).unwrap();
        fs::create_dir_all(data.join("backups")).unwrap();
        for (name, own) in [
            ("data/acknowledged", "acknowledged"),
            ("data/store", "store"),
            ("data/store/db", "store"),
            ("data/store/new", "store"),
            (
                "data/store.copy-0b0c4fb2-7d1c-4f0e-9a58-0e5a3a1f9b11/x",
                "store.copy-0b0c4fb2-7d1c-4f0e-9a58-0e5a3a1f9b11",
            ),
            ("data/token.key", "token.key"),
            ("data/backups/../lock", "lock"),
            ("way/lock", "lock"),
            ("link", "acknowledged"),
            ("data/journal/checkpoint", "checkpoint"),
            ("elsewhere/checkpoint", "checkpoint"),
        ] {
            assert_eq!(name_of(&path(name), None).as_deref(), Some(own), "{name}");
        }
        for name in ["data/backups/one.backup", "data/mine", "data", "data/stores/db", "mine", "others/lock"]
        {
            assert_eq!(name_of(&path(name), Some(&data)), None, "{name}");
        }
    }
}
