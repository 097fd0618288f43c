//! Distinguished names: reading (RFC 4514, and what RFC 2253 and 1779 let clients write), spelling, and the normal
//! form under which equal names are equal octets.

mod normal;

use std::fmt::{self, Write};

pub use normal::{is_at_or_below, normalize_dn, normalize_dn_within, parent};

use super::oid::is_numeric_oid;

/// A distinguished name as it was written: its RDNs, the leaf first. The one without RDNs is the root.
#[derive(Clone, Eq, PartialEq, Debug, Default)]
pub struct Dn {
    rdns: Vec<Rdn>,
}

/// One step of a name: one type with a value, seldom several.
#[derive(Clone, Eq, PartialEq, Debug)]
pub struct Rdn {
    pairs: Vec<TypeAndValue>,
}

/// An attribute type as it was spelled, and the octets of its value without escapes.
#[derive(Clone, Eq, PartialEq, Debug)]
pub struct TypeAndValue {
    /// A name or a dotted OID, as written.
    pub attribute: String,
    pub value: Vec<u8>,
}

/// Why a text is no distinguished name. Positions count octets from 0.
#[derive(Copy, Clone, Eq, PartialEq, Debug, thiserror::Error)]
pub enum DnError {
    /// The text is not UTF-8.
    #[error("The DN is not UTF-8. Write octets that are not text as \\XX.")]
    NotUtf8,
    /// No attribute type where one must stand.
    #[error("The DN needs an attribute type (as in cn=value) at octet {position}.")]
    Type {
        /// Where.
        position: usize,
    },
    /// No `=` behind an attribute type.
    #[error("The DN needs a = behind the attribute type at octet {position}.")]
    Equals {
        /// Where.
        position: usize,
    },
    /// A character that must be escaped.
    #[error("The DN has a character at octet {position} that must be written with a \\ before it.")]
    Character {
        /// Where.
        position: usize,
    },
    /// A `\` before something that needs no escape.
    #[error(
        "The DN has a \\ at octet {position} that is followed by neither two hexadecimal digits nor a special character."
    )]
    Escape {
        /// Where.
        position: usize,
    },
    /// A quotation mark without its partner.
    #[error("The DN has a quotation mark at octet {position} that is not closed.")]
    Quote {
        /// Where.
        position: usize,
    },
    /// A `#` that no BER value in hexadecimal digits follows.
    #[error(
        "The DN has a # at octet {position} that is not followed by a BER value in hexadecimal digits. Write \\# for the character."
    )]
    Hexadecimal {
        /// Where.
        position: usize,
    },
}

impl Dn {
    /// Reads a name.
    ///
    /// Besides RFC 4514: spaces around `,`, `=` and `+`, `;` as a separator, values in quotation marks, and `OID.`
    /// before a dotted OID. Types that no schema knows are kept.
    ///
    /// # Errors
    /// [`DnError`] with the place.
    pub fn parse(text: &[u8]) -> Result<Self, DnError> {
        if std::str::from_utf8(text).is_err() {
            return Err(DnError::NotUtf8);
        }
        let mut reader = DnReader { text, position: 0 };
        reader.skip_spaces();
        let mut name = Self::default();
        if reader.peek().is_none() {
            return Ok(name);
        }
        loop {
            let mut pairs = vec![reader.pair()?];
            while reader.peek() == Some(b'+') {
                reader.position += 1;
                pairs.push(reader.pair()?);
            }
            name.rdns.push(Rdn { pairs });
            match reader.peek() {
                None => return Ok(name),
                // `value` stops at separators and at the end alone.
                Some(_) => reader.position += 1,
            }
        }
    }

    /// The name with these RDNs, the leaf first.
    pub fn of_rdns(rdns: Vec<Rdn>) -> Self {
        Self { rdns }
    }

    /// The RDNs, the leaf first.
    pub fn rdns(&self) -> &[Rdn] {
        &self.rdns
    }

    /// The leaf; `None` for the root.
    pub fn rdn(&self) -> Option<&Rdn> {
        self.rdns.first()
    }

    /// Whether it is the empty name.
    pub fn is_root(&self) -> bool {
        self.rdns.is_empty()
    }

    /// The name one step up; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        self.rdns.split_first().map(|(_, above)| Self { rdns: above.to_vec() })
    }
}

impl Rdn {
    /// The RDN of one type and value.
    pub fn new(attribute: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        Self { pairs: vec![TypeAndValue { attribute: attribute.into(), value: value.into() }] }
    }

    /// The RDN of several types and values; `None` when there are none.
    pub fn of_pairs(pairs: Vec<TypeAndValue>) -> Option<Self> {
        (!pairs.is_empty()).then_some(Self { pairs })
    }

    /// Its types and values, at least one.
    pub fn pairs(&self) -> &[TypeAndValue] {
        &self.pairs
    }
}

impl fmt::Display for Dn {
    /// The canonical spelling of RFC 4514: no space around separators, `\` before special characters, `\XX` for
    /// octets that are no printable text; types and values as they are.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, rdn) in self.rdns.iter().enumerate() {
            if place > 0 {
                formatter.write_char(',')?;
            }
            rdn.fmt(formatter)?;
        }
        Ok(())
    }
}

impl fmt::Display for Rdn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, pair) in self.pairs.iter().enumerate() {
            if place > 0 {
                formatter.write_char('+')?;
            }
            formatter.write_str(&pair.attribute)?;
            formatter.write_char('=')?;
            write_value(&pair.value, formatter)?;
        }
        Ok(())
    }
}

/// A value with its escapes (RFC 4514 section 2.4).
fn write_value(value: &[u8], formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut place = 0;
    for chunk in value.utf8_chunks() {
        for character in chunk.valid().chars() {
            let is_first = place == 0;
            place += character.len_utf8();
            let is_last = place == value.len();
            match character {
                '"' | '+' | ',' | ';' | '<' | '>' => write!(formatter, "\\{character}")?,
                // In hexadecimal, as OpenLDAP has it: FreeRADIUS makes one backslash of two.
                '\\' => formatter.write_str("\\5C")?,
                ' ' if is_first || is_last => formatter.write_str("\\ ")?,
                '#' if is_first => formatter.write_str("\\#")?,
                '\0'..='\u{1F}' | '\u{7F}' => write!(formatter, "\\{:02X}", u32::from(character))?,
                _ => formatter.write_char(character)?,
            }
        }
        for octet in chunk.invalid() {
            place += 1;
            write!(formatter, "\\{octet:02X}")?;
        }
    }
    Ok(())
}

/// The text of a name and how far it has been read.
struct DnReader<'a> {
    text: &'a [u8],
    position: usize,
}

impl DnReader<'_> {
    /// One `type=value`, with the spaces around it.
    fn pair(&mut self) -> Result<TypeAndValue, DnError> {
        let attribute = self.attribute()?;
        self.skip_spaces();
        if self.peek() != Some(b'=') {
            return Err(DnError::Equals { position: self.position });
        }
        self.position += 1;
        self.skip_spaces();
        let value = match self.peek() {
            Some(b'#') => self.hexadecimal()?,
            Some(b'"') => self.quoted()?,
            _ => self.plain()?,
        };
        Ok(TypeAndValue { attribute, value })
    }

    fn attribute(&mut self) -> Result<String, DnError> {
        self.skip_spaces();
        let start = self.position;
        while self.peek().is_some_and(|octet| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet)) {
            self.position += 1;
        }
        let mut written = self.text.get(start..self.position).unwrap_or_default();
        // Before anything else it is a part of the type: taken off once, it would be taken off again from the spelling.
        if let Some((prefix, oid)) = written.split_at_checked(4)
            && prefix.eq_ignore_ascii_case(b"OID.")
            && is_numeric_oid(oid)
        {
            written = oid;
        }
        if !is_attribute(written) {
            return Err(DnError::Type { position: start });
        }
        Ok(String::from_utf8_lossy(written).into_owned())
    }

    /// A value without quotation marks: up to a separator, without the spaces at its ends that are not escaped.
    fn plain(&mut self) -> Result<Vec<u8>, DnError> {
        let mut value = Vec::new();
        let mut kept = 0;
        while let Some(octet) = self.peek() {
            match octet {
                b',' | b';' | b'+' => break,
                b'\\' => {
                    value.push(self.escaped()?);
                    kept = value.len();
                    continue;
                }
                b'"' | b'\0' => return Err(DnError::Character { position: self.position }),
                b' ' => value.push(octet),
                _ => {
                    value.push(octet);
                    kept = value.len();
                }
            }
            self.position += 1;
        }
        value.truncate(kept);
        Ok(value)
    }

    /// A value in quotation marks (RFC 2253 section 4).
    fn quoted(&mut self) -> Result<Vec<u8>, DnError> {
        let start = self.position;
        self.position += 1;
        let mut value = Vec::new();
        loop {
            match self.peek() {
                None => return Err(DnError::Quote { position: start }),
                Some(b'"') => break,
                Some(b'\\') => value.push(self.escaped()?),
                Some(octet) => {
                    value.push(octet);
                    self.position += 1;
                }
            }
        }
        self.position += 1;
        self.end_of_value(DnError::Character { position: self.position })?;
        Ok(value)
    }

    /// `\,` or `\2C`: the octet it stands for.
    fn escaped(&mut self) -> Result<u8, DnError> {
        let rest = self.text.get(self.position + 1..).unwrap_or_default();
        if let [high, low, ..] = rest
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            self.position += 3;
            return Ok(high << 4 | low);
        }
        match rest.first() {
            Some(octet) if b" \"#+,;<=>\\".contains(octet) => {
                self.position += 2;
                Ok(*octet)
            }
            _ => Err(DnError::Escape { position: self.position }),
        }
    }

    /// `#04024869`: the BER encoding of a value. Of text and octets the content is the value; of any other type the
    /// whole encoding is, which no LDAP string equals.
    fn hexadecimal(&mut self) -> Result<Vec<u8>, DnError> {
        let error = DnError::Hexadecimal { position: self.position };
        self.position += 1;
        let mut encoding = Vec::new();
        while let Some(high) = self.peek().and_then(digit) {
            let low = self.text.get(self.position + 1).copied().and_then(digit).ok_or(error)?;
            encoding.push(high << 4 | low);
            self.position += 2;
        }
        self.end_of_value(error)?;
        let (tag, content) = ber_content(&encoding).ok_or(error)?;
        Ok(if BER_STRINGS.contains(&tag) { content.to_vec() } else { encoding })
    }

    /// Nothing but spaces may stand before the next separator.
    fn end_of_value(&mut self, error: DnError) -> Result<(), DnError> {
        self.skip_spaces();
        match self.peek() {
            None | Some(b',' | b';' | b'+') => Ok(()),
            Some(_) => Err(error),
        }
    }

    fn skip_spaces(&mut self) {
        while self.peek() == Some(b' ') {
            self.position += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.position).copied()
    }
}

/// A name (leniently with `_` and `.` inside) or a dotted OID.
fn is_attribute(written: &[u8]) -> bool {
    written.first().is_some_and(u8::is_ascii_alphabetic) || is_numeric_oid(written)
}

fn digit(octet: u8) -> Option<u8> {
    char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Tag and content of one definite-length BER value that is all of `encoding`.
fn ber_content(encoding: &[u8]) -> Option<(u8, &[u8])> {
    let (tag, rest) = encoding.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, content) = match first {
        0..=0x7F => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (octets, content) = rest.split_at_checked(usize::from(first & 0x7F))?;
            (octets.iter().fold(0, |length, octet| length << 8 | usize::from(*octet)), content)
        }
        _ => return None,
    };
    (content.len() == length).then_some((*tag, content))
}

/// OCTET STRING, UTF8String, NumericString, PrintableString, TeletexString and IA5String.
const BER_STRINGS: &[u8] = &[0x04, 0x0C, 0x12, 0x13, 0x14, 0x16];

#[cfg(test)]
mod tests;
