//! What a start cannot use is put aside, never deleted: `set-aside/` in the data directory.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::StoreError;

/// Moves a file or directory out of the way, if it is there; answers with where it is now.
///
/// # Errors
/// It cannot be moved.
pub fn put(directory: &Path, path: &Path) -> Result<Option<PathBuf>, StoreError> {
    if fs::symlink_metadata(path).is_err() {
        return Ok(None);
    }
    let place = place_for(directory, &path.file_name().unwrap_or_default().to_string_lossy())?;
    fs::rename(path, &place).map_err(|error| StoreError::from_io(path, "put aside", error))?;
    place.parent().map_or(Ok(()), super::directories::sync_directory)?;
    path.parent().map_or(Ok(()), super::directories::sync_directory)?;
    Ok(Some(place))
}

/// Removes a directory that was made under this name, if it is there; something else of that name is somebody's, and put aside.
///
/// # Errors
/// It cannot be removed or moved.
pub(super) fn remove_made(path: &Path) -> Result<(), StoreError> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => {
            fs::remove_dir_all(path).map_err(|error| StoreError::from_io(path, "remove", error))
        }
        Ok(_) => put(path.parent().unwrap_or(Path::new("")), path).map(drop),
        Err(_) => Ok(()),
    }
}

/// Writes octets of the file at `path` to a file there; answers with where that is.
///
/// # Errors
/// It cannot be made durable; nothing of it is left.
pub(super) fn put_octets(directory: &Path, path: &Path, octets: &[u8]) -> Result<PathBuf, StoreError> {
    let place = place_for(directory, &path.file_name().unwrap_or_default().to_string_lossy())?;
    let written = super::directories::write_file(&place, octets)
        .and_then(|()| place.parent().map_or(Ok(()), super::directories::sync_directory));
    if let Err(error) = written {
        let _ = fs::remove_file(&place);
        return Err(error);
    }
    Ok(place)
}

/// A place of this name where nothing is, in a directory that is made.
///
/// # Errors
/// The directory cannot be made.
pub(super) fn place_for(directory: &Path, name: &str) -> Result<PathBuf, StoreError> {
    let aside = directory.join(DIRECTORY);
    super::directories::make_directory(&aside)?;
    let now = crate::clock::system_time().unix_seconds();
    let mut place = aside.join(format!("{name}.{now}"));
    let mut number = 1;
    while fs::symlink_metadata(&place).is_ok() {
        number += 1;
        place = aside.join(format!("{name}.{now}.{number}"));
    }
    Ok(place)
}

/// What is put aside under this name.
pub(super) fn places_of(directory: &Path, name: &str) -> impl Iterator<Item = PathBuf> {
    let places = fs::read_dir(directory.join(DIRECTORY)).into_iter().flatten().flatten();
    let begin = format!("{name}.");
    let is_of =
        move |entry: &fs::DirEntry| entry.file_name().as_encoded_bytes().starts_with(begin.as_bytes());
    places.filter(is_of).map(|entry| entry.path())
}

pub(super) const DIRECTORY: &str = "set-aside";
