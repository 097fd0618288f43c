//! Generated secrets: written or shown before the commit, and taken back when it fails.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use zeroize::Zeroizing;

use super::failure::Failure;
use super::output::{Output, Stream, is_terminal, table};
use crate::auth::TokenSecret;
use crate::clock::system_time;
use crate::model::{Intent, Timestamp};
use crate::registry::{NeededSecret, NewSecret};

/// Where generated secrets go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    /// A table for the person at the terminal.
    Terminal,
    /// Standard output, in the command's document.
    Document,
    /// A new file.
    File(PathBuf),
    /// A new file in the data directory, because nobody would see them.
    DataDirectory(PathBuf),
}

impl Destination {
    /// In this order: `--secrets-file`, `--json`, a terminal, the data directory.
    pub(super) fn choose(file: Option<&Path>, output: Output, data_dir: &Path) -> Self {
        match file {
            Some(file) => Self::File(file.to_owned()),
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
        Destination::Document => Ok(Delivered { file: None }),
        Destination::Terminal => {
            output.message(&in_table(secrets));
            Ok(Delivered { file: None })
        }
        Destination::File(path) => {
            let file = create(path).map_err(|error| not_made(path, &error))?;
            write(path, file, secrets)?;
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

/// The same under this name, or the next that nobody has: several commands may begin within one second.
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
        let delivered = deliver(&secrets, &Destination::File(path.clone()), output).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let read: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(read[0]["account"], "ldapservice");
        assert_eq!(read[0]["identifier"], "ldapservice-app-password");
        assert_eq!(read[0]["intent"], "app_password");
        assert_eq!(read[0]["expires"], "2027-11-18T10:00:00Z");
        assert_eq!(read[0]["secret"], text_of(&secrets[0]));

        let again = deliver(&one(), &Destination::File(path.clone()), output).unwrap_err();
        assert!(again.messages[0].contains("never overwritten"), "{again:?}");
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&fs::read(&path).unwrap()).unwrap(), read);

        delivered.take_back(output);
        assert!(!path.exists());
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
