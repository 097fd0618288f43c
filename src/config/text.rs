//! The text of a config file as it is shown in problems, and positions in it.
//!
//! Secrets are blotted out before the text is kept, so that no picture of a line can show one.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One config file: its name and its text, without the secrets in it.
pub struct ConfigText {
    path: PathBuf,
    text: String,
    line_starts: Vec<usize>,
    order: usize,
}

impl ConfigText {
    /// Keeps `text` with its secrets blotted out; `order` is the place of the file among those that were read.
    pub(super) fn new(path: &Path, text: &str, order: usize) -> Arc<Self> {
        let text = blot_secrets(text);
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Arc::new(Self { path: path.to_owned(), text, line_starts, order })
    }

    /// The name of the file, as it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The line that holds `offset`: its number from 1, the offset of its start, its text without the newline.
    pub(super) fn line(&self, offset: usize) -> (usize, usize, &str) {
        let number = self.line_starts.partition_point(|&start| start <= offset).max(1);
        let start = self.line_starts.get(number - 1).copied().unwrap_or(0);
        let end = self.line_starts.get(number).copied().unwrap_or(self.text.len());
        let line = self.text.get(start..end).unwrap_or("");
        (number, start, line.trim_end_matches(['\n', '\r']))
    }
}

impl fmt::Debug for ConfigText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ConfigText").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Where something was said.
#[derive(Clone, Debug)]
pub enum Position {
    /// In the text of a config file.
    Text {
        /// The file.
        source: Arc<ConfigText>,
        /// The octets of it that are meant.
        span: Range<usize>,
    },
    /// By a file as a whole: it cannot be read.
    File(PathBuf),
    /// In an environment variable.
    Variable(String),
}

impl Position {
    /// The file, unless it is a variable.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Text { source, .. } => Some(source.path()),
            Self::File(path) => Some(path),
            Self::Variable(_) => None,
        }
    }

    /// The line, from 1.
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::Text { source, span } => Some(source.line(span.start).0),
            Self::File(_) | Self::Variable(_) => None,
        }
    }

    /// The column in characters, from 1.
    pub fn column(&self) -> Option<usize> {
        match self {
            Self::Text { source, span } => {
                let (_, start, line) = source.line(span.start);
                let before = span.start - start;
                Some(1 + line.char_indices().take_while(|(at, _)| *at < before).count())
            }
            Self::File(_) | Self::Variable(_) => None,
        }
    }

    /// Sorts positions as a reader meets them: by file, then by place; variables last.
    pub(super) fn reading_order(&self) -> (usize, usize) {
        match self {
            Self::Text { source, span } => (source.order, span.start),
            Self::File(_) => (usize::MAX - 1, 0),
            Self::Variable(_) => (usize::MAX, 0),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { source, .. } => {
                let (line, column) = (self.line().unwrap_or(1), self.column().unwrap_or(1));
                write!(formatter, "{}:{line}:{column}", source.path().display())
            }
            Self::File(path) => path.display().fmt(formatter),
            Self::Variable(name) => formatter.write_str(name),
        }
    }
}

/// A value with the position that it was read from.
#[derive(Clone, Debug)]
pub struct Located<T> {
    pub value: T,
    /// Where it stands.
    pub position: Position,
}

/// Replaces what is in `range` of `text` by an ellipsis and spaces of the same length in octets, so that
/// offsets stay true and the length of what was there does not show.
pub(super) fn blot(text: &mut String, range: Range<usize>) {
    let Some(hidden) = text.get(range.clone()) else { return };
    let mut cover = String::with_capacity(hidden.len());
    for line in hidden.split_inclusive('\n') {
        let (line, newline) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        let ellipsis = if line.len() >= ELLIPSIS.len() { ELLIPSIS } else { "" };
        cover.push_str(ellipsis);
        cover.extend(std::iter::repeat_n(' ', line.len() - ellipsis.len()));
        cover.push_str(newline);
    }
    text.replace_range(range, &cover);
}

/// Blots out the values of all keys that are named like a secret. It looks at the text and not at the
/// parsed table, because of a file with a syntax error the lines that can be read are shown.
fn blot_secrets(text: &str) -> String {
    let mut shown = text.to_owned();
    let mut from = 0;
    while let Some(equals) = text.get(from..).and_then(|rest| rest.find('=')).map(|at| from + at) {
        from = equals + 1;
        if names_a_secret(text.get(..equals).unwrap_or("")) {
            let value = value_after(text, from);
            from = value.end.max(from);
            blot(&mut shown, value);
        }
    }
    shown
}

/// Whether the key that ends `before` is named like a secret.
fn names_a_secret(before: &str) -> bool {
    let key = before.trim_end_matches([' ', '\t', '"', '\'']);
    let start = key
        .rfind(|character: char| !character.is_ascii_alphanumeric() && !matches!(character, '_' | '-'))
        .map_or(0, |at| at + 1);
    let key = key.get(start..).unwrap_or("").to_ascii_lowercase();
    SECRET_ENDINGS.iter().any(|ending| key.ends_with(ending))
}

/// The inside of the string that begins at or behind `from`; without a proper string, the rest of the line.
fn value_after(text: &str, from: usize) -> Range<usize> {
    let rest = text.get(from..).unwrap_or("");
    let start = from + (rest.len() - rest.trim_start_matches([' ', '\t']).len());
    let rest = text.get(start..).unwrap_or("");
    for quote in ["\"\"\"", "'''"] {
        if let Some(inside) = rest.strip_prefix(quote) {
            return start + 3..inside.find(quote).map_or(text.len(), |end| start + 3 + end);
        }
    }
    let line = rest.lines().next().unwrap_or("");
    let closing = match line.as_bytes().first() {
        Some(b'"') => closing_quote(line),
        Some(b'\'') => line.get(1..).and_then(|inside| inside.find('\'')).map(|at| at + 1),
        _ => None,
    };
    closing.map_or(start..start + line.len(), |end| start + 1..start + end)
}

/// The offset of the quote that ends the basic string which begins `line`.
fn closing_quote(line: &str) -> Option<usize> {
    let mut is_escaped = false;
    line.bytes().enumerate().skip(1).find_map(|(at, octet)| {
        let ends = octet == b'"' && !is_escaped;
        is_escaped = octet == b'\\' && !is_escaped;
        ends.then_some(at)
    })
}

const ELLIPSIS: &str = "…";

/// How keys end whose value must not be shown.
const SECRET_ENDINGS: [&str; 6] = ["password", "passwd", "pass", "secret", "password_hash", "secret_hash"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_blotted_out_and_offsets_stay() {
        for text in [
            "password = \"hunter2\" # why",
            "[[account]]\npassword=\"hunter2\\\"hunter2\"\nname = \"x\"",
            "{ password = 'hunter2', name = \"x\" }",
            "secret = \"\"\"\nhunter2\nhunter2\"\"\"\nname = \"x\"",
            "secret = '''hunter2",
            "password = \"hunter2",
            "password = hunter2",
            "\"password\" = \"hunter2\"",
            "account.secret_hash = \"hunter2\"",
            "attributes = { userPassword = [\"hunter2\"] }",
        ] {
            let shown = blot_secrets(text);
            assert!(!shown.contains("hunter2"), "{shown}");
            assert_eq!(shown.len(), text.len());
            assert_eq!(shown.matches('\n').count(), text.matches('\n').count());
        }
        for text in ["verified_secrets_max = 5", "password_file = \"x\"", "key = \"certs/server.key\""] {
            assert_eq!(blot_secrets(text), text);
        }
    }

    #[test]
    fn positions_count_characters_from_one() {
        let source = ConfigText::new(Path::new("x.toml"), "a = 1\nä = 2\n", 0);
        let position = Position::Text { source: Arc::clone(&source), span: 9..10 };
        assert_eq!((position.line(), position.column()), (Some(2), Some(3)));
        let end = Position::Text { source, span: 13..13 };
        assert_eq!((end.line(), end.column()), (Some(3), Some(1)));
    }
}
