//! Writes content records as RFC 2849 wants them: folded, and in base64 where it must be.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use super::is_description;
use crate::quoted::quoted;
use crate::schema::is_word_of_ldif;

/// Writes records, a version line before the first and a blank line between two.
#[derive(Debug)]
pub struct LdifWriter<W> {
    output: W,
    /// What was not handed to the output yet, of one record.
    text: Vec<u8>,
    is_begun: bool,
}

/// Why a record was not written.
#[derive(Debug, Error)]
pub enum LdifWriteError {
    /// It cannot stand in a content record; nothing of the record was written.
    #[error(
        "{} of {} cannot be written: it is no attribute description of LDIF",
        quoted(description),
        quoted(dn)
    )]
    Description {
        /// The name of the record.
        dn: String,
        /// The attribute description.
        description: String,
    },
    /// The output failed.
    #[error("the LDIF cannot be written")]
    Output(#[from] io::Error),
}

impl<W: Write> LdifWriter<W> {
    /// Writes to `output`.
    pub fn new(output: W) -> Self {
        Self { output, text: Vec::new(), is_begun: false }
    }

    /// Begins an entry that may be larger than what should be in memory, as a group with a million members is.
    ///
    /// # Errors
    /// [`LdifWriteError`], from its attributes too: then a part of a large record was written.
    pub fn begin<'w>(&'w mut self, dn: &'w str) -> Result<RecordWriter<'w, W>, LdifWriteError> {
        self.text.clear();
        self.push_name(dn);
        Ok(RecordWriter { writer: self, dn })
    }

    fn push_name(&mut self, dn: &str) {
        if !self.is_begun {
            self.text.extend_from_slice(VERSION);
        }
        self.text.push(b'\n');
        push_line(&mut self.text, "dn", dn.as_bytes());
    }

    /// Writes comments behind the records, each on a line of its own; before the first record there are none.
    ///
    /// # Errors
    /// What the output says.
    pub fn comments(&mut self, lines: &[String]) -> io::Result<()> {
        for (place, line) in lines.iter().enumerate() {
            let border = if place == 0 { "\n" } else { "" };
            writeln!(self.output, "{border}# {}", line.replace(['\r', '\n'], " "))?;
        }
        Ok(())
    }

    /// Flushes the output and gives it back.
    ///
    /// # Errors
    /// What the output says.
    pub fn finish(mut self) -> io::Result<W> {
        if !self.is_begun {
            self.output.write_all(VERSION)?;
        }
        self.output.flush()?;
        Ok(self.output)
    }
}

/// One record that is written value by value. It is whole after [`RecordWriter::end`].
#[derive(Debug)]
pub struct RecordWriter<'w, W> {
    writer: &'w mut LdifWriter<W>,
    dn: &'w str,
}

impl<W: Write> RecordWriter<'_, W> {
    /// Writes an attribute description with one value.
    ///
    /// # Errors
    /// [`LdifWriteError`]
    pub fn attribute(&mut self, description: &str, value: &[u8]) -> Result<(), LdifWriteError> {
        check_description(self.dn, description)?;
        push_line(&mut self.writer.text, description, value);
        if self.writer.text.len() >= TEXT_OCTETS_MAX {
            self.flush()?;
        }
        Ok(())
    }

    /// Ends the record.
    ///
    /// # Errors
    /// What the output says.
    pub fn end(mut self) -> Result<(), LdifWriteError> {
        self.flush()
    }

    fn flush(&mut self) -> Result<(), LdifWriteError> {
        let LdifWriter { output, text, is_begun } = &mut *self.writer;
        output.write_all(text)?;
        text.clear();
        *is_begun = true;
        Ok(())
    }
}

fn check_description(dn: &str, description: &str) -> Result<(), LdifWriteError> {
    if is_word_of_ldif(description) || !is_description(description.as_bytes()) {
        let (dn, description) = (dn.to_owned(), description.to_owned());
        return Err(LdifWriteError::Description { dn, description });
    }
    Ok(())
}

/// Appends an attribute with its value, folded, with its line feed.
pub(super) fn push_line(text: &mut Vec<u8>, description: &str, value: &[u8]) {
    let start = text.len();
    text.extend_from_slice(description.as_bytes());
    if value.is_empty() {
        text.push(b':');
    } else if is_plain(value) {
        text.extend_from_slice(b": ");
        text.extend_from_slice(value);
    } else {
        text.extend_from_slice(b":: ");
        text.extend_from_slice(STANDARD.encode(value).as_bytes());
    }
    fold(text, start);
    text.push(b'\n');
}

/// Folds the line that begins at `start`.
fn fold(text: &mut Vec<u8>, start: usize) {
    if text.len() - start <= LINE_LENGTH_MAX {
        return;
    }
    let rest = text.split_off(start + LINE_LENGTH_MAX);
    for part in rest.chunks(LINE_LENGTH_MAX - 1) {
        text.extend_from_slice(b"\n ");
        text.extend_from_slice(part);
    }
}

/// May the value stand as it is? Stricter than SAFE-STRING of RFC 2849: no control characters, which
/// a terminal would obey, and no space at the end, which nobody would see.
fn is_plain(value: &[u8]) -> bool {
    !matches!(value.first(), Some(b' ' | b':' | b'<'))
        && value.last() != Some(&b' ')
        && value.iter().all(|octet| matches!(octet, b' '..=b'~'))
}

/// The longest line (octets, RFC 2849 note 10 of the formal syntax).
/// No limit of the config: the RFC gives it.
const LINE_LENGTH_MAX: usize = 76;
/// A record that is written value by value goes out in pieces of about this size.
/// No limit of the config: the rest follows in the next piece.
const TEXT_OCTETS_MAX: usize = 64 * 1024;
const VERSION: &[u8] = b"version: 1\n";
