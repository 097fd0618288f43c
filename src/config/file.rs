//! Config files on disk: reading, parsing, and what `include` brings in.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Error, ErrorKind, Read};
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::DeTable;
use zeroize::Zeroizing;

use super::diagnostics::{Problem, Problems};
use super::mended;
use super::reader::TableReader;
use super::text::{ConfigText, Located, Position};
use super::value;

/// A config file that was read.
pub(super) struct ConfigFile {
    /// Its name and its text without secrets.
    pub(super) source: Arc<ConfigText>,
    /// What relative paths in it are relative to.
    pub(super) directory: PathBuf,
    /// Whether nobody but its owner may read or change it, so that secrets may stand in it.
    pub(super) is_private: bool,
    text: Zeroizing<String>,
    /// What of it cannot be read.
    pub(super) broken: Vec<Broken>,
    /// Whether it is something else than TOML, so that nothing of it can be read.
    pub(super) is_something_else: bool,
}

/// A piece of a config file of which nobody knows what it is to say.
pub(super) struct Broken {
    pub(super) octets: Range<usize>,
    /// What stands in the headers there; none: it is what stands before the first table.
    pub(super) headers: Vec<String>,
    /// The names that stand there, each with its key.
    pub(super) names: Vec<(&'static str, String)>,
}

impl Broken {
    /// The first parts of its headers, such as `server` or `account`.
    pub(super) fn tables(&self) -> impl Iterator<Item = &str> {
        self.headers.iter().map(|header| header.split('.').next().unwrap_or("").trim())
    }
}

impl ConfigFile {
    /// Reads the file and reports what of it is no TOML. It stands at `order` among all; `named_at` is where it was asked for.
    pub(super) fn read(
        path: &Path,
        order: usize,
        named_at: Option<&Position>,
        problems: &mut Problems,
    ) -> Option<Self> {
        match open(path) {
            Ok((text, is_private)) => {
                let source = ConfigText::new(path, &text, order);
                let (mut broken, mut is_something_else) = (Vec::new(), false);
                let text = match mended::mend(&text) {
                    Some(mended) => {
                        is_something_else = mended.text.is_empty();
                        problems.extend(mended.mistakes.into_iter().map(|mistake| {
                            let (octets, headers) = (mistake.broken, mistake.headers);
                            broken.push(Broken { octets, headers, names: mistake.names });
                            let position = Position::Text { source: Arc::clone(&source), span: mistake.span };
                            let message = format!("this is not TOML: {}", mistake.message);
                            Problem::syntax(position, mistake.table, message)
                        }));
                        Zeroizing::new(mended.text)
                    }
                    None => text,
                };
                let directory = path.parent().unwrap_or(Path::new("")).to_owned();
                Some(Self { source, directory, is_private, text, broken, is_something_else })
            }
            Err(error) => {
                let position = named_at.cloned().unwrap_or_else(|| Position::File(path.to_owned()));
                let message = format!("the config file {} cannot be read: {error}", path.display());
                problems.push(Problem::new(position, "", message));
                None
            }
        }
    }

    /// Whether all of `[server]` could be read.
    pub(super) fn has_server(&self) -> bool {
        !self
            .broken
            .iter()
            .any(|broken| broken.headers.is_empty() || broken.tables().any(|table| table == "server"))
    }

    /// Parses what of it is TOML.
    pub(super) fn parse(&self) -> DeTable<'_> {
        DeTable::parse_recoverable(&self.text).0.into_inner()
    }
}

/// Reads `include` of the main file: the files that it names, in their order, each with where it is named; and whether these
/// are all that are meant.
pub(super) fn included(
    root: &mut TableReader<'_>,
    main: &ConfigFile,
    problems: &mut Problems,
) -> (Vec<Located<PathBuf>>, bool) {
    let before = problems.len();
    let patterns = root.list("include", problems, value::filled_text).unwrap_or_default();
    let mut seen: HashSet<PathBuf> = main.source.path().canonicalize().into_iter().collect();
    let mut files = Vec::new();
    for Located { value: pattern, position } in patterns {
        let found = match matching(&main.directory.join(&pattern)) {
            Ok(found) => found,
            Err(message) => {
                problems.report(&position, "include", message);
                continue;
            }
        };
        for path in found {
            // A file that is not there is reported when it is read.
            if path.canonicalize().is_ok_and(|canonical| !seen.insert(canonical)) {
                problems.report(&position, "include", format!("{} is read already", path.display()));
            } else {
                files.push(Located { value: path, position: position.clone() });
            }
        }
    }
    (files, problems.len() == before)
}

/// The files that a path with at most one `*` in its last part names, by name; hidden ones only when the
/// pattern begins with their dot.
fn matching(pattern: &Path) -> Result<Vec<PathBuf>, String> {
    let directory = pattern.parent().unwrap_or(Path::new(""));
    let name = pattern.file_name().and_then(|name| name.to_str()).unwrap_or("");
    if directory.to_string_lossy().contains('*') || name.matches('*').count() > 1 || name.is_empty() {
        return Err(
            "expected a file, or files with one * in their name, such as \"seed.d/*.toml\"".to_owned()
        );
    }
    let Some((prefix, suffix)) = name.split_once('*') else {
        return Ok(vec![pattern.to_owned()]);
    };
    let opened = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let unreadable = |error: std::io::Error| format!("{} cannot be read: {error}", opened.display());
    let mut names = Vec::new();
    for entry in opened.read_dir().map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let is_meant = name.len() >= prefix.len() + suffix.len()
            && name.starts_with(prefix)
            && name.ends_with(suffix)
            && (!name.starts_with('.') || prefix.starts_with('.'));
        if is_meant && !entry.path().is_dir() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names.into_iter().map(|name| directory.join(name)).collect())
}

/// The text, and whether only the owner has any right to the file. Asked of the open file, so that it cannot
/// be exchanged in between.
fn open(path: &Path) -> Result<(Zeroizing<String>, bool), Error> {
    let file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode();
    let mut octets = Zeroizing::new(Vec::new());
    file.take(FILE_OCTETS_MAX + 1).read_to_end(&mut octets)?;
    if octets.len() as u64 > FILE_OCTETS_MAX {
        let message = "it is larger than 16 MiB: divide it among several, with `include`";
        return Err(Error::new(ErrorKind::FileTooLarge, message));
    }
    let text = String::from_utf8(std::mem::take(&mut *octets)).map_err(|error| {
        drop(Zeroizing::new(error.into_bytes()));
        Error::new(ErrorKind::InvalidData, "it is not UTF-8")
    })?;
    Ok((Zeroizing::new(text), mode & 0o077 == 0))
}

/// A config file that is larger is something else, such as a device that never ends (octets).
/// No limit of the config: it is about the config itself, in the operator's own command, and refused with a sentence.
const FILE_OCTETS_MAX: u64 = 16 * 1024 * 1024;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_does_not_end_is_no_config() {
        let told = open(Path::new("/dev/zero")).unwrap_err().to_string();
        assert!(told.contains("16 MiB"), "{told}");
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.toml");
        std::fs::write(&path, "#".repeat(FILE_OCTETS_MAX as usize)).unwrap();
        assert_eq!(open(&path).unwrap().0.len() as u64, FILE_OCTETS_MAX);
    }

    #[test]
    fn one_star_matches_by_name() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["b.toml", "a.toml", "a.toml.bak", ".#a.toml", "c.txt"] {
            std::fs::write(directory.path().join(name), "").unwrap();
        }
        std::fs::create_dir(directory.path().join("d.toml")).unwrap();
        let names = |pattern: &str| -> Vec<String> {
            let found = matching(&directory.path().join(pattern)).unwrap();
            found.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
        };
        assert_eq!(names("*.toml"), ["a.toml", "b.toml"]);
        assert_eq!(names("a*"), ["a.toml", "a.toml.bak"]);
        assert_eq!(names("absent.toml"), ["absent.toml"]);
        assert!(names("z*").is_empty());
        for pattern in ["*/a.toml", "*a*.toml", ".."] {
            assert!(matching(&directory.path().join(pattern)).is_err(), "{pattern}");
        }
    }
}
