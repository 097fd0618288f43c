//! Reads content records, and change records that add one, one by one. An error costs one record, never the rest of the file.

use std::error::Error as StdError;
use std::fmt;
use std::io::{self, BufRead};
use std::str;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use thiserror::Error;

use super::{Record, is_description};
use crate::quoted::beginning;

/// Reads LDIF (RFC 2849) as an iterator of records; it holds one record at a time.
///
/// More lenient than the RFC where OpenLDAP is: values may hold octets beyond ASCII, base64 may
/// lack its padding, a version line may stand before any record (files that were put together),
/// and a record may have no attributes. A leading byte order mark is skipped. A change record of
/// the type `add`, as ldifde writes them, says what a content record says, and is read as one.
///
/// After an error the next call goes on behind the next blank line, unless
/// [`LdifError::is_fatal`]. So between two calls [`LdifReader::octets_read`] is where a record ends.
#[derive(Debug)]
pub struct LdifReader<R> {
    input: R,
    record_size_max: usize,
    /// The logical line that was read last, unfolded, without its end.
    line: Vec<u8>,
    /// Lines of the file that were read, wholly or in part.
    lines_read: u64,
    octets_read: u64,
    progress: Progress,
    /// What went wrong behind a record with an error, for the next call.
    failed: Option<LdifError>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Nothing was read.
    Start,
    /// What follows is a record, or blank lines.
    BetweenRecords,
    /// Nothing follows.
    End,
}

/// What is wrong, and where.
#[derive(Debug)]
pub struct LdifError {
    /// The line, counted from 1; of a folded line the first.
    pub line: u64,
    /// The distinguished name of the record, if it was reached.
    pub dn: Option<String>,
    /// What is wrong. It quotes no value: a value may be a password.
    pub problem: LdifProblem,
}

impl LdifError {
    /// Does the file end here, instead of only this record?
    pub fn is_fatal(&self) -> bool {
        matches!(self.problem, LdifProblem::Input(_) | LdifProblem::Version)
    }
}

impl fmt::Display for LdifError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}", self.line)?;
        if let Some(dn) = &self.dn {
            write!(formatter, " ({})", beginning(dn))?;
        }
        write!(formatter, ": {}", self.problem)
    }
}

impl StdError for LdifError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.problem.source()
    }
}

/// What can be wrong with LDIF.
#[derive(Debug, Error)]
pub enum LdifProblem {
    /// The input failed; nothing more is read.
    #[error("the input cannot be read further")]
    Input(#[source] io::Error),
    /// The file says that it is of another version; nothing more is read.
    #[error("only version 1 of LDIF is known (RFC 2849)")]
    Version,
    /// The first line of the record is not its name.
    #[error("a record begins with its name (dn: …), this one does not")]
    NoDn,
    /// A line that begins with a space, after a blank line or at the start of the file.
    #[error("the line begins with a space, but there is no line before it that it continues")]
    Continuation,
    /// Neither an attribute with a value nor a comment.
    #[error("the line is not of the form attribute: value")]
    NotAnAttribute,
    /// The value after `::` is not base64.
    #[error("the value of {} is not valid base64", beginning(description))]
    Base64 {
        /// The attribute description.
        description: String,
    },
    /// The distinguished name is not UTF-8.
    #[error("the name (dn) is not valid UTF-8")]
    DnNotUtf8,
    /// `dn:` within a record.
    #[error("a second name (dn) in the same record: a blank line is missing before it")]
    SecondDn,
    /// A record that describes another change (RFC 2849, ldif-change-record) than a new entry.
    #[error("this is a change record (changetype{}); only entries can be read, as slapcat writes them, and changes that add \
             one", of_kind(.0))]
    ChangeRecord(Option<&'static str>),
    /// A control, which only change records have.
    #[error("this is a change record (control); only entries can be read, as slapcat writes them")]
    Control,
    /// `attribute:< URL`: a file chosen by whoever wrote the LDIF is not opened.
    #[error(
        "the value of {} is given by a URL (:<), which is not opened; give it as base64 (::)",
        beginning(description)
    )]
    Url {
        /// The attribute description.
        description: String,
    },
    /// The record needs more memory than it may.
    #[error("the record is larger than {limit} octets in memory")]
    TooLarge {
        /// The limit (octets).
        limit: usize,
    },
}

impl<R: BufRead> LdifReader<R> {
    /// Reads from `input` with a limit of [`RECORD_SIZE_MAX`].
    pub fn new(input: R) -> Self {
        Self {
            input,
            record_size_max: RECORD_SIZE_MAX,
            line: Vec::new(),
            lines_read: 0,
            octets_read: 0,
            progress: Progress::Start,
            failed: None,
        }
    }

    /// Another limit for one record (octets in memory, with what its values need beside their octets).
    #[cfg(test)]
    #[must_use]
    pub fn with_record_size_max(mut self, octets: usize) -> Self {
        self.record_size_max = octets;
        self
    }

    /// How much of the input was read (octets), for a progress bar.
    pub fn octets_read(&self) -> u64 {
        self.octets_read
    }

    /// The next record; `None` at the end.
    fn read_record(&mut self) -> Result<Option<Record>, LdifError> {
        if self.progress == Progress::Start {
            self.skip_byte_order_mark()?;
            self.progress = Progress::BetweenRecords;
        }

        let Some(line) = self.find_record()? else { return Ok(None) };
        let error = |problem| LdifError { line, dn: None, problem };
        let (description, value) = split(&self.line).map_err(error)?;
        if !description.eq_ignore_ascii_case(b"dn") {
            return Err(error(LdifProblem::NoDn));
        }
        let octets = value.octets("dn").map_err(error)?;
        let dn = String::from_utf8(octets).map_err(|_| error(LdifProblem::DnNotUtf8))?;
        let mut record = Record { line, dn, attributes: Vec::new() };
        match self.read_attributes(&mut record) {
            Ok(()) => Ok(Some(record)),
            Err(error) => Err(LdifError { dn: Some(record.dn), ..error }),
        }
    }

    /// Reads what is left of a record with an error.
    fn skip_record(&mut self) -> Result<(), LdifError> {
        while let Line::Text { .. } = self.read_line(0)? {}
        Ok(())
    }

    /// Finds the first line of the next record and leaves it in `self.line`; tells its number.
    fn find_record(&mut self) -> Result<Option<u64>, LdifError> {
        loop {
            let line = match self.read_line(self.record_size_max)? {
                Line::End => return Ok(None),
                Line::Blank => continue,
                Line::Text { number, fits: true } => number,
                Line::Text { number: line, fits: false } => {
                    let problem = LdifProblem::TooLarge { limit: self.record_size_max };
                    return Err(LdifError { line, dn: None, problem });
                }
            };
            if self.line.first() == Some(&b' ') {
                return Err(LdifError { line, dn: None, problem: LdifProblem::Continuation });
            }
            match split(&self.line) {
                Ok((description, value)) if description.eq_ignore_ascii_case(b"version") => {
                    if !matches!(value, Value::Plain(text) if text.trim_ascii_end() == b"1") {
                        return Err(LdifError { line, dn: None, problem: LdifProblem::Version });
                    }
                }
                _ => return Ok(Some(line)),
            }
        }
    }

    fn read_attributes(&mut self, record: &mut Record) -> Result<(), LdifError> {
        let limit = self.record_size_max;
        let mut is_first = true;
        let mut spent = record.dn.len();
        loop {
            let (line, fits) = match self.read_line(limit.saturating_sub(spent))? {
                Line::Blank | Line::End => return Ok(()),
                Line::Text { number, fits } => (number, fits),
            };
            let error = |problem| LdifError { line, dn: None, problem };
            if !fits {
                return Err(error(LdifProblem::TooLarge { limit }));
            }
            let (description, value) = split(&self.line).map_err(error)?;
            // It was checked to be ASCII.
            let description = String::from_utf8_lossy(description).into_owned();
            if description.eq_ignore_ascii_case("dn") {
                return Err(error(LdifProblem::SecondDn));
            }
            if description.eq_ignore_ascii_case("changetype") {
                let kind = value.octets(&description).map_err(error)?;
                let is = |other: &str| kind.trim_ascii_end().eq_ignore_ascii_case(other.as_bytes());
                if is_first && is("add") {
                    is_first = false;
                    continue;
                }
                return Err(error(LdifProblem::ChangeRecord(CHANGES.into_iter().find(|other| is(other)))));
            }
            is_first = false;
            // Elsewhere it may be an attribute of that name.
            if record.attributes.is_empty() && description.eq_ignore_ascii_case("control") {
                return Err(error(LdifProblem::Control));
            }
            let value = value.octets(&description).map_err(error)?;
            spent = spent.saturating_add(description.len() + value.len() + VALUE_OVERHEAD);
            if spent > limit {
                return Err(error(LdifProblem::TooLarge { limit }));
            }
            record.attributes.push((description, value));
        }
    }

    /// Reads the next line that is not a comment, with its continuations, into `self.line`, which
    /// never holds more than `room` octets; what does not fit is skipped.
    fn read_line(&mut self, room: usize) -> Result<Line, LdifError> {
        loop {
            self.line.clear();
            let Some(first) = self.peek()? else { return Ok(Line::End) };
            let room = if first == b'#' { 0 } else { room };
            let mut fits = self.take_line(room)?;
            let number = self.lines_read;
            if fits && self.line.is_empty() {
                return Ok(Line::Blank);
            }
            while self.peek()? == Some(b' ') {
                self.consume(1);
                fits &= self.take_line(room)?;
            }
            if first != b'#' {
                return Ok(Line::Text { number, fits });
            }
        }
    }

    /// Appends the rest of one line of the file to `self.line`, without its LF or CR LF.
    fn take_line(&mut self, room: usize) -> Result<bool, LdifError> {
        self.lines_read += 1;
        let start = self.line.len();
        let mut fits = true;
        loop {
            let available = match self.input.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.input_error(error)),
            };
            if available.is_empty() {
                break;
            }
            let end = memchr::memchr(b'\n', available);
            let part = available.get(..end.unwrap_or(available.len())).unwrap_or_default();
            // One octet more than there is room for: it may be the CR of the line's end.
            fits &= self.line.len().saturating_add(part.len()) <= room.saturating_add(1);
            if fits {
                self.line.extend_from_slice(part);
            }
            let used = part.len() + usize::from(end.is_some());
            self.consume(used);
            if end.is_some() {
                break;
            }
        }
        if self.line.len() > start && self.line.last() == Some(&b'\r') {
            self.line.pop();
        }
        Ok(fits && self.line.len() <= room)
    }

    fn skip_byte_order_mark(&mut self) -> Result<(), LdifError> {
        for octet in BYTE_ORDER_MARK {
            if self.peek()? != Some(octet) {
                break;
            }
            self.consume(1);
        }
        Ok(())
    }

    fn peek(&mut self) -> Result<Option<u8>, LdifError> {
        loop {
            match self.input.fill_buf() {
                Ok(available) => return Ok(available.first().copied()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.input_error(error)),
            }
        }
    }

    fn consume(&mut self, octets: usize) {
        self.input.consume(octets);
        self.octets_read += octets as u64;
    }

    fn input_error(&self, error: io::Error) -> LdifError {
        LdifError { line: self.lines_read.max(1), dn: None, problem: LdifProblem::Input(error) }
    }
}

impl<R: BufRead> Iterator for LdifReader<R> {
    type Item = Result<Record, LdifError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.progress == Progress::End {
            return None;
        }
        match self.failed.take().map_or_else(|| self.read_record(), Err) {
            Ok(Some(record)) => Some(Ok(record)),
            Ok(None) => {
                self.progress = Progress::End;
                None
            }
            Err(error) => {
                if error.is_fatal() {
                    self.progress = Progress::End;
                } else {
                    // Not by the next call: whoever reads on from here with another reader would take it for records.
                    self.progress = Progress::BetweenRecords;
                    self.failed = self.skip_record().err();
                }
                Some(Err(error))
            }
        }
    }
}

/// What [`LdifReader::read_line`] found.
enum Line {
    End,
    Blank,
    Text { number: u64, fits: bool },
}

/// The three forms of a value (RFC 2849, value-spec).
#[derive(Clone, Copy)]
enum Value<'a> {
    Plain(&'a [u8]),
    Base64(&'a [u8]),
    Url,
}

impl Value<'_> {
    fn octets(self, description: &str) -> Result<Vec<u8>, LdifProblem> {
        match self {
            Self::Plain(octets) => Ok(octets.to_vec()),
            Self::Base64(text) => {
                BASE64.decode(text).map_err(|_| LdifProblem::Base64 { description: description.to_owned() })
            }
            Self::Url => Err(LdifProblem::Url { description: description.to_owned() }),
        }
    }
}

fn of_kind(kind: &Option<&'static str>) -> String {
    kind.map_or_else(String::new, |kind| format!(": {kind}"))
}

/// Splits a line into an attribute description and its value, without the spaces before the value.
fn split(line: &[u8]) -> Result<(&[u8], Value<'_>), LdifProblem> {
    let (description, value) = memchr::memchr(b':', line)
        .and_then(|colon| Some((line.get(..colon)?, line.get(colon + 1..)?)))
        .filter(|(description, _)| is_description(description))
        .ok_or(LdifProblem::NotAnAttribute)?;
    let value = match value.split_first() {
        Some((b':', base64)) => Value::Base64(trim_spaces_end(trim_spaces(base64))),
        Some((b'<', _)) => Value::Url,
        _ => Value::Plain(trim_spaces(value)),
    };
    Ok((description, value))
}

/// Without the spaces that it begins with. Only spaces: a tab may begin a value.
fn trim_spaces(mut octets: &[u8]) -> &[u8] {
    while let Some(rest) = octets.strip_prefix(b" ") {
        octets = rest;
    }
    octets
}

fn trim_spaces_end(mut octets: &[u8]) -> &[u8] {
    while let Some(rest) = octets.strip_suffix(b" ") {
        octets = rest;
    }
    octets
}

/// The most that one record may take in memory (octets): a group with a million members fits.
/// No limit of the config: of the operator's own import alone.
pub const RECORD_SIZE_MAX: usize = 256 * 1024 * 1024;
/// What a value takes in memory beside its octets: a file of empty values must not fill it.
const VALUE_OVERHEAD: usize = size_of::<(String, Vec<u8>)>() + 2 * 16;

/// The types of change records.
const CHANGES: [&str; 5] = ["add", "delete", "modify", "modrdn", "moddn"];
const BYTE_ORDER_MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
