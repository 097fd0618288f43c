//! Generated secrets: written or shown before the commit, and taken back when it fails.

use std::cell::RefCell;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use serde::Serialize;
use zeroize::Zeroizing;

use super::failure::Failure;
use super::output::{Output, Stream, is_terminal, table};
use crate::auth::TokenSecret;
use crate::clock::system_time;
use crate::model::{Intent, Timestamp};
use crate::registry::{NeededSecret, NewSecret};
use crate::store::check_apart;

/// Where generated secrets go.
#[derive(Debug)]
pub(super) enum Destination {
    /// A table for the person at the terminal.
    Terminal,
    /// Standard output, in the command's document.
    Document,
    /// A new file.
    File(SecretsFile),
    /// A new file in the data directory, because nobody would see them.
    DataDirectory(PathBuf),
}

impl Destination {
    /// In this order: `--secrets-file`, `--json`, a terminal, the data directory.
    pub(super) fn choose(file: Option<&Path>, output: Output, data_dir: &Path) -> Self {
        match file {
            Some(file) => Self::File(SecretsFile::later(file)),
            None if output.is_json() => Self::Document,
            None if is_terminal(Stream::Error) => Self::Terminal,
            None => {
                // Colons are of no use in a name; the rest is RFC 3339.
                let time = system_time().to_string().replace([':', '-'], "");
                Self::DataDirectory(data_dir.join(format!("secrets-{time}.json")))
            }
        }
    }
}

/// A new file for secrets, which may have been made before there are any. One that is made and not written to goes again; what
/// a process has left that was killed meanwhile counts as new.
#[derive(Debug)]
pub(super) struct SecretsFile {
    path: PathBuf,
    made: RefCell<Option<File>>,
}

impl SecretsFile {
    /// Made when there are secrets.
    pub(super) fn later(path: &Path) -> Self {
        Self { path: path.to_owned(), made: RefCell::default() }
    }

    /// Made now, before a store is made: where it cannot be made nothing else is. What is to stand in a data directory that
    /// comes with the store is made behind it.
    ///
    /// # Errors
    /// It is there already, or cannot be made.
    pub(super) fn before_store(path: &Path, data_dir: &Path) -> Result<Self, Failure> {
        check_apart(path, Some(data_dir))?;
        let absolute = |path: &Path| std::path::absolute(path).ok();
        let directory = absolute(path).and_then(|path| path.parent().map(Path::to_owned));
        if directory == absolute(data_dir) && !data_dir.exists() {
            return Ok(Self::later(path));
        }
        let file = create_or_take(path).map_err(|error| not_made(path, &error))?;
        Ok(Self { path: path.to_owned(), made: RefCell::new(Some(file)) })
    }

    fn take(&self) -> io::Result<File> {
        self.made.take().map_or_else(|| create_or_take(&self.path), Ok)
    }
}

impl Drop for SecretsFile {
    fn drop(&mut self) {
        // Locked until it is gone.
        let made = self.made.take();
        if made.is_some() {
            // It is empty: one that stays is taken by the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// What has been written or shown.
#[derive(Debug)]
#[must_use = "the file is removed when the commit fails"]
pub(super) struct Delivered {
    file: Option<PathBuf>,
}

impl Delivered {
    /// The file that holds them.
    pub(super) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The commit failed: the secrets open nothing, and their file goes.
    pub(super) fn take_back(self, output: Output) {
        let Some(path) = self.file else { return };
        if let Err(error) = fs::remove_file(&path) {
            output.message(&format!(
                "warning: {} holds secrets that were not taken over, and cannot be removed: {error}",
                path.display()
            ));
        }
    }
}

/// Makes a secret for each token that needs one.
pub(super) fn generate(needed: &[NeededSecret]) -> Result<Vec<NewSecret>, Failure> {
    needed
        .iter()
        .map(|needed| {
            let secret =
                TokenSecret::generate(needed.intent).map_err(|error| Failure::failed(error.to_string()))?;
            Ok(NewSecret {
                account: needed.account.clone(),
                identifier: needed.identifier.clone(),
                intent: needed.intent,
                expires: needed.expires,
                secret: secret.into_secret(),
            })
        })
        .collect()
}

/// Puts the secrets where they are asked for. With [`Destination::Document`] the caller prints them.
pub(super) fn deliver(
    secrets: &[NewSecret],
    destination: &Destination,
    output: Output,
) -> Result<Delivered, Failure> {
    if secrets.is_empty() {
        return Ok(Delivered { file: None });
    }
    match destination {
        Destination::Document => {
            output.try_secrets()?;
            Ok(Delivered { file: None })
        }
        Destination::Terminal => {
            output.message(&in_table(secrets));
            Ok(Delivered { file: None })
        }
        Destination::File(file) => {
            let path = &file.path;
            check_apart(path, None)?;
            let made = file.take().map_err(|error| not_made(path, &error))?;
            write(path, made, secrets)?;
            Ok(Delivered { file: Some(path.clone()) })
        }
        Destination::DataDirectory(path) => {
            // The store may not have been made yet.
            if let Some(directory) = path.parent()
                && let Err(error) = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
            {
                return Err(Failure::failed(format!("cannot make {}: {error}", directory.display())));
            }
            let (path, file) = create_free(path).map_err(|error| not_made(path, &error))?;
            write(&path, file, secrets)?;
            Ok(Delivered { file: Some(path) })
        }
    }
}

/// Says where the secrets are, once they are in force.
pub(super) fn tell(secrets: &[NewSecret], delivered: &Delivered, output: Output) {
    if let Some(path) = delivered.file() {
        let count = secrets.len();
        let what = if count == 1 { "secret is" } else { "secrets are" };
        output.message(&format!(
            "{count} generated {what} in {}: hand them out, then delete the file",
            path.display()
        ));
    }
}

/// A secret in the file or the document.
#[derive(Debug, Serialize)]
pub(super) struct Shown<'a> {
    account: &'a str,
    identifier: &'a str,
    intent: Intent,
    secret: &'a str,
    expires: Option<Timestamp>,
}

/// The form of the file and of the document.
pub(super) fn shown(secrets: &[NewSecret]) -> Vec<Shown<'_>> {
    secrets
        .iter()
        .map(|secret| Shown {
            account: &secret.account,
            identifier: &secret.identifier,
            intent: secret.intent,
            secret: text_of(secret),
            expires: secret.expires,
        })
        .collect()
}

pub(super) fn text_of(secret: &NewSecret) -> &str {
    // What bindery generates is ASCII.
    std::str::from_utf8(secret.secret.expose()).unwrap_or_default()
}

fn in_table(secrets: &[NewSecret]) -> String {
    let rows = secrets
        .iter()
        .map(|secret| {
            let expires = secret.expires.map_or_else(|| "never".to_owned(), |expires| expires.to_string());
            vec![secret.account.clone(), secret.identifier.clone(), expires, text_of(secret).to_owned()]
        })
        .collect();
    // A secret that is broken over two lines cannot be copied: the table is as wide as it needs to be.
    let drawn = table(&["ACCOUNT", "IDENTIFIER", "EXPIRES", "SECRET"], rows, None);
    format!("These secrets are shown once. Hand them out now:\n\n{drawn}\n")
}

/// Makes a file that did not exist, readable by its owner only.
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// The same, or takes the one that a process has left which was killed before it had secrets: empty, this user's and nobody
/// else's to read, and used by nobody.
fn create_or_take(path: &Path) -> io::Result<File> {
    let exists = || io::Error::from(ErrorKind::AlreadyExists);
    let (file, is_new) = match create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            // Neither through a link nor from a pipe.
            let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            (File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(|_| exists())?), false)
        }
        made => (made?, true),
    };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        // Not every file system has locks.
        Err(error) if is_new && error != Errno::WOULDBLOCK => {}
        Err(_) => return Err(exists()),
    }
    // Whoever had it may have written to it, or removed it, until it was locked.
    let found = file.metadata()?;
    let is_ours = found.is_file()
        && (found.len(), found.nlink(), found.mode() & 0o7777) == (0, 1, 0o600)
        && found.uid() == rustix::process::geteuid().as_raw();
    if is_ours || is_new { Ok(file) } else { Err(exists()) }
}

/// A new one under this name, or the next that nobody has: several commands may begin within one second.
fn create_free(path: &Path) -> io::Result<(PathBuf, File)> {
    let numbered = (2_u32..=NAMES_TRIED_MAX).map(|count| path.with_extension(format!("{count}.json")));
    for path in std::iter::once(path.to_owned()).chain(numbered) {
        match create(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => return made.map(|file| (path, file)),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

fn not_made(path: &Path, error: &io::Error) -> Failure {
    Failure::failed(match error.kind() {
        ErrorKind::AlreadyExists => format!(
            "the secrets file {} exists already and is never overwritten: move it away, or name another one; nothing \
             was changed",
            path.display()
        ),
        _ => format!("the secrets file {} cannot be made: {error}; nothing was changed", path.display()),
    })
}

/// Writes a file, and waits for the disk.
fn write(path: &Path, mut file: File, secrets: &[NewSecret]) -> Result<(), Failure> {
    let mut json = Zeroizing::new(
        serde_json::to_vec_pretty(&shown(secrets)).map_err(|error| Failure::failed(error.to_string()))?,
    );
    json.push(b'\n');
    let written = file.write_all(&json).and_then(|()| file.sync_all()).and_then(|()| sync_directory(path));
    written.map_err(|error| {
        // Half a file of secrets is of no use; that it cannot be removed changes nothing about that.
        let _ = fs::remove_file(path);
        Failure::failed(format!(
            "the secrets file {} cannot be written: {error}; nothing was changed",
            path.display()
        ))
    })
}

fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(directory)?.sync_all()
}

/// Names of files that are tried within one second.
/// No limit of the config: nobody has so many files of one second.
const NAMES_TRIED_MAX: u32 = 1_000;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn one() -> Vec<NewSecret> {
        let needed = NeededSecret {
            account: "ldapservice".to_owned(),
            identifier: "ldapservice-app-password".to_owned(),
            intent: Intent::AppPassword,
            expires: Some("2027-11-18T10:00:00Z".parse().unwrap()),
        };
        generate(&[needed]).unwrap()
    }

    #[test]
    fn the_file_is_private_never_overwritten_and_taken_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secrets.json");
        let output = Output::new(false);
        let secrets = one();
        let file = || Destination::File(SecretsFile::later(&path));
        let delivered = deliver(&secrets, &file(), output).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let read: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(read[0]["account"], "ldapservice");
        assert_eq!(read[0]["identifier"], "ldapservice-app-password");
        assert_eq!(read[0]["intent"], "app_password");
        assert_eq!(read[0]["expires"], "2027-11-18T10:00:00Z");
        assert_eq!(read[0]["secret"], text_of(&secrets[0]));

        let again = deliver(&one(), &file(), output).unwrap_err();
        assert!(again.messages[0].contains("never overwritten"), "{again:?}");
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&fs::read(&path).unwrap()).unwrap(), read);

        delivered.take_back(output);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_is_made_early_is_written_to_or_goes() {
        let directory = tempfile::tempdir().unwrap();
        let data_dir = directory.path().join("data");
        let path = directory.path().join("secrets.json");
        let output = Output::new(false);
        let early = |path: &Path| SecretsFile::before_store(path, &data_dir);
        let file = early(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(early(&path).unwrap_err().messages[0].contains("never overwritten"));
        drop(file);
        assert!(!path.exists(), "nothing was written to it");

        // A commit that is tried again makes it again.
        let destination = Destination::File(early(&path).unwrap());
        deliver(&one(), &destination, output).unwrap().take_back(output);
        assert!(!path.exists());
        let delivered = deliver(&one(), &destination, output).unwrap();
        drop(destination);
        assert_eq!(delivered.file(), Some(path.as_path()));
        assert!(path.metadata().unwrap().len() > 0);

        assert!(early(&directory.path().join("none").join("secrets.json")).is_err());
        assert!(path.metadata().unwrap().len() > 0 && early(&path).is_err());
        fs::remove_file(&path).unwrap();

        // A process that was killed has left it.
        let left = |mode: u32| {
            let _ = fs::remove_file(&path);
            OpenOptions::new().write(true).create_new(true).mode(mode).open(&path).unwrap();
        };
        left(0o600);
        let file = early(&path).unwrap();
        assert!(early(&path).is_err(), "somebody uses it");
        deliver(&one(), &Destination::File(file), output).unwrap().take_back(output);
        left(0o600);
        deliver(&one(), &Destination::File(SecretsFile::later(&path)), output).unwrap().take_back(output);
        left(0o400);
        assert!(early(&path).is_err() && path.exists());
        left(0o600);
        let link = directory.path().join("link.json");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(early(&link).is_err() && path.exists());

        let inside = data_dir.join("secrets.json");
        let file = early(&inside).unwrap();
        assert!(!data_dir.exists(), "the store makes it");
        fs::create_dir(&data_dir).unwrap();
        let delivered = deliver(&one(), &Destination::File(file), output).unwrap();
        assert_eq!(delivered.file(), Some(inside.as_path()));
    }

    #[test]
    fn two_commands_of_one_second_write_two_files() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data").join("secrets-20261129T061000Z.json");
        let output = Output::new(false);
        let (one_secret, other_secret) = (one(), one());
        let first = deliver(&one_secret, &Destination::DataDirectory(path.clone()), output).unwrap();
        let second = deliver(&other_secret, &Destination::DataDirectory(path.clone()), output).unwrap();
        let files = [&first, &second].map(|delivered| delivered.file().unwrap().to_owned());
        assert_eq!(files, [path.clone(), path.with_extension("2.json")]);
        for (file, secret) in files.iter().zip([&one_secret, &other_secret]) {
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
            let read: serde_json::Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
            assert_eq!(read[0]["secret"], text_of(&secret[0]));
        }
        // Each takes back its own.
        second.take_back(output);
        assert!(files[0].exists() && !files[1].exists());
        first.take_back(output);
    }

    #[test]
    fn the_table_keeps_a_secret_in_one_line() {
        let secrets = one();
        let drawn = in_table(&secrets);
        assert!(drawn.lines().any(|line| line.ends_with(text_of(&secrets[0]))), "{drawn}");
    }
}
