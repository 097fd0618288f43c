//! Everything that a command says: results on standard output, messages on standard error.
//!
//! With `--json` standard output holds one JSON document and nothing else.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is the one module through which the commands speak"
)]

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

use comfy_table::{ContentArrangement, Table, presets};
use rustix::fs::{FileType, OFlags, fcntl_getfl, fstat, major, minor};
use serde::Serialize;
use serde_json::json;

use super::failure::Failure;
use crate::model::visible;

/// Where and how a command speaks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    is_json: bool,
}

impl Output {
    /// `is_json`: whether `--json` was given.
    pub(super) fn new(is_json: bool) -> Self {
        Self { is_json }
    }

    /// Whether `--json` was given.
    pub(super) fn is_json(self) -> bool {
        self.is_json
    }

    /// The one result of the command: a JSON document, or what `text` says, on standard output.
    ///
    /// # Errors
    /// Standard output takes nothing more.
    pub(super) fn result(
        self,
        document: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        if !self.is_json {
            return self.lines(&text());
        }
        let mut json = serde_json::to_string_pretty(document)
            .map_err(|error| Failure::failed(format!("the result cannot be written as JSON: {error}")))?;
        json.push('\n');
        write_stdout(&json)
    }

    /// That something was done to one object: `{"group": "admins", "done": "deleted"}`, or `deleted: admins`.
    ///
    /// # Errors
    /// Standard output takes nothing more.
    pub(super) fn done(self, kind: &str, name: &str, done: &str) -> Result<(), Failure> {
        self.result(&json!({ kind: name, "done": done }), || format!("{done}: {name}"))
    }

    /// Text on standard output, at once.
    ///
    /// # Errors
    /// Standard output takes nothing more.
    pub(super) fn lines(self, text: &str) -> Result<(), Failure> {
        match text.trim_end_matches('\n') {
            "" => Ok(()),
            text => write_stdout(&format!("{}\n", harmless(text))),
        }
    }

    /// A piece of a result that is not text of ours, on standard output; an empty one flushes.
    ///
    /// # Errors
    /// Standard output takes nothing more.
    pub(super) fn octets(self, octets: &[u8]) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        let written = if octets.is_empty() { stdout.flush() } else { stdout.write_all(octets) };
        written.map_err(failure_of)
    }

    /// Asks whether standard output takes something, before a secret is made that is to go there.
    ///
    /// # Errors
    /// It takes nothing.
    pub(super) fn try_secrets(self) -> Result<(), Failure> {
        let stdout = io::stdout();
        let taken = rustix::io::write(&stdout, b"");
        taken.map_err(|error| failure_of(error.into()).behind("nothing was changed"))?;
        if is_closed(&stdout) {
            return Err(Failure::failed(
                "nothing was changed: standard output is closed, or the null device opened for reading and writing, and the \
                 secret would be lost: let it go somewhere, or open the null device for writing alone if nobody is to have it",
            ));
        }
        Ok(())
    }

    /// A message, on standard error. Whoever closed it does not want to know.
    pub(super) fn message(self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{}", harmless(text));
    }
}

/// A table with aligned columns, as wide as the terminal at most; in a pipe it is as wide as it needs to be.
/// `None`: as wide as it needs to be on a terminal too.
pub(super) fn table(header: &[&str], rows: Vec<Vec<String>>, to: Option<Stream>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    table.add_rows(rows.into_iter().map(|row| row.iter().map(|cell| visible(cell)).collect::<Vec<_>>()));
    if let Some(width) = to.and_then(width) {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

/// Fields of one thing, a line each; those without a value are left out.
pub(super) fn fields(lines: &[(String, String)]) -> String {
    let shown: Vec<&(String, String)> = lines.iter().filter(|(_, value)| !value.is_empty()).collect();
    let width = shown.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let lines: Vec<String> = shown
        .into_iter()
        .map(|(name, value)| format!("{:width$}  {}", visible(name), visible(value)))
        .collect();
    lines.join("\n")
}

/// Whether something is so, in a table or a field.
pub(super) fn yes_no(is_so: bool) -> String {
    if is_so { "yes" } else { "no" }.to_owned()
}

/// The two ways out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// Whether a person reads there.
pub(super) fn is_terminal(stream: Stream) -> bool {
    match stream {
        Stream::Output => io::stdout().is_terminal(),
        Stream::Error => io::stderr().is_terminal(),
    }
}

/// Whether colours may be used there.
pub(super) fn has_colours(stream: Stream) -> bool {
    is_terminal(stream) && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Characters in a line of the terminal; `None` where there is no terminal.
fn width(stream: Stream) -> Option<u16> {
    let size = match stream {
        Stream::Output => rustix::termios::tcgetwinsize(io::stdout()),
        Stream::Error => rustix::termios::tcgetwinsize(io::stderr()),
    };
    size.ok().map(|size| size.ws_col).filter(|columns| *columns >= COLUMNS_MIN)
}

/// Lines of ours, in which a name or a text from elsewhere may stand: nothing in them but our colours is obeyed by a
/// terminal. What must not make a line of its own is made [`visible`] where it is put in.
pub(super) fn harmless(text: &str) -> String {
    let mut pieces = text.split('\u{1b}');
    let shown = |piece: &str| piece.split('\n').map(visible).collect::<Vec<_>>().join("\n");
    let mut harmless = pieces.next().map(shown).unwrap_or_default();
    for piece in pieces {
        let numbers = piece.strip_prefix('[').and_then(|rest| rest.split_once('m'));
        let is_colour = numbers
            .is_some_and(|(numbers, _)| numbers.bytes().all(|octet| octet.is_ascii_digit() || octet == b';'));
        harmless += if is_colour { "\u{1b}" } else { "\\u{1b}" };
        harmless += &shown(piece);
    }
    harmless
}

fn write_stdout(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(failure_of)
}

/// Whether whoever started this had closed a stream: the runtime opens the null device in its place, for reading too, which
/// whoever wants to see nothing of a command need not do.
fn is_closed(stream: &impl AsFd) -> bool {
    let is_null = fstat(stream).is_ok_and(|found| {
        FileType::from_raw_mode(found.st_mode) == FileType::CharacterDevice
            && (major(found.st_rdev), minor(found.st_rdev)) == NULL_DEVICE
    });
    is_null && fcntl_getfl(stream).is_ok_and(|flags| flags & OFlags::RWMODE == OFlags::RDWR)
}

fn failure_of(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::silent(),
        _ => Failure::failed(format!("standard output cannot be written: {error}")),
    }
}

/// Of Linux.
const NULL_DEVICE: (u32, u32) = (1, 3);
/// A narrower terminal is told a lie about its width, or is none.
const COLUMNS_MIN: u16 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing_but_colours() {
        let text = "\u{1b}[1;31merror\u{1b}[0m: a\u{1b}[2Jb\u{1b}]0;title\u{7}c\r\nd\u{202e}";
        let expected = "\u{1b}[1;31merror\u{1b}[0m: a\\u{1b}[2Jb\\u{1b}]0;title\\u{7}c\\r\nd\\u{202e}";
        assert_eq!(harmless(text), expected);
    }

    #[test]
    fn tables_are_plain_in_a_pipe() {
        let rows =
            vec![vec!["a".to_owned(), "long value".to_owned()], vec!["b\u{1b}[2J".to_owned(), String::new()]];
        let drawn = table(&["NAME", "VALUE"], rows, None);
        assert_eq!(drawn, "NAME        VALUE\na           long value\nb\\u{1b}[2J");
    }
}
