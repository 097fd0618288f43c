//! The octets of LDAP: the part of BER that RFC 4511 section 5.1 allows, read from a slice and
//! written behind a buffer.
//!
//! Reading borrows and never allocates. Where BER (X.690) leaves a choice, the reader takes what
//! clients are known to send: lengths and integers with leading zero octets, and any octet but zero
//! for TRUE. Writing gives integers and known lengths in their shortest form; a constructed element
//! whose length is not known when it begins gets a length of four octets, as Active Directory does.

use thiserror::Error;

/// One element: its tag octet and its contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element<'a> {
    /// Class, form and number of the tag. A tag number above 30 takes more octets, which are read
    /// over: [`tag::NUMBER_MASK`] bits are then all set, and no element of LDAP has such a tag.
    pub tag: u8,
    /// The contents octets.
    pub contents: &'a [u8],
}

/// Reads elements one after the other from a slice.
#[derive(Clone, Copy, Debug)]
pub struct BerReader<'a> {
    rest: &'a [u8],
}

/// Why octets are not the element that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BerError {
    /// The contents end before the element does.
    #[error("an element is longer than what holds it")]
    Truncated,
    /// A length octet of 0x80, which RFC 4511 section 5.1 forbids.
    #[error("an element has an indefinite length")]
    IndefiniteLength,
    /// A length of more than four octets.
    #[error("the length of an element takes {octets} octets, at most {LENGTH_OCTETS_MAX} are read")]
    LengthTooLong {
        /// How many octets were announced.
        octets: u8,
    },
    /// A tag number of more octets than any extension will ever need.
    #[error("the tag of an element takes more than {TAG_OCTETS_MAX} octets")]
    TagTooLong,
    /// Another element stands here.
    #[error("an element has the tag {found:#04x} where {expected:#04x} is needed")]
    UnexpectedTag {
        /// The tag octet that was needed.
        expected: u8,
        /// The tag octet that stands there.
        found: u8,
    },
    /// Nothing stands here.
    #[error("an element with the tag {expected:#04x} is missing")]
    Missing {
        /// The tag octet that was needed.
        expected: u8,
    },
    /// A known component stands there twice, or behind one that is not known.
    #[error("an element with the tag {tag:#04x} stands twice or in the wrong place")]
    Misplaced {
        /// Its tag octet.
        tag: u8,
    },
    /// An INTEGER or ENUMERATED of no octets, or of more than were allowed here.
    #[error("an integer takes {octets} octets, it must take 1 to {octets_max}")]
    IntegerSize {
        /// How many octets it has.
        octets: usize,
        /// How many it may have.
        octets_max: usize,
    },
    /// A BOOLEAN that is not one octet.
    #[error("a boolean takes {octets} octets, it must take 1")]
    BooleanSize {
        /// How many octets it has.
        octets: usize,
    },
    /// An LDAPString (RFC 4511 section 4.1.2) that is not UTF-8.
    #[error("a string is not UTF-8")]
    NotUtf8,
}

impl<'a> BerReader<'a> {
    /// Reads the elements of `octets`.
    pub const fn new(octets: &'a [u8]) -> Self {
        Self { rest: octets }
    }

    /// Whether nothing is left.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What is left to read.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The tag octet of the next element, without reading it.
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Reads the next element, whatever it is.
    ///
    /// # Errors
    ///
    /// [`BerError::Truncated`] at the end or when the element is cut, and what the tag and the length
    /// may not be.
    pub fn element(&mut self) -> Result<Element<'a>, BerError> {
        let (tag, after_tag) = read_tag(self.rest)?.ok_or(BerError::Truncated)?;
        let (length, after_length) = read_length(after_tag)?.ok_or(BerError::Truncated)?;
        let (contents, rest) = after_length.split_at_checked(length).ok_or(BerError::Truncated)?;
        self.rest = rest;
        Ok(Element { tag, contents })
    }

    /// Reads the next element, which must have this tag octet, and gives its contents.
    ///
    /// # Errors
    ///
    /// [`BerError::Missing`], [`BerError::UnexpectedTag`], and those of [`BerReader::element`].
    pub fn expect(&mut self, expected: u8) -> Result<&'a [u8], BerError> {
        match self.peek() {
            None => Err(BerError::Missing { expected }),
            Some(found) if found != expected => Err(BerError::UnexpectedTag { expected, found }),
            Some(_) => self.element().map(|element| element.contents),
        }
    }

    /// Reads the next element when it has this tag octet.
    ///
    /// # Errors
    ///
    /// Those of [`BerReader::element`].
    pub fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, BerError> {
        match self.peek() {
            Some(found) if found == tag => self.element().map(|element| Some(element.contents)),
            _ => Ok(None),
        }
    }

    /// Reads a SEQUENCE and gives a reader of its contents.
    ///
    /// # Errors
    ///
    /// Those of [`BerReader::expect`].
    pub fn sequence(&mut self) -> Result<BerReader<'a>, BerError> {
        self.expect(tag::SEQUENCE).map(BerReader::new)
    }

    /// Reads an OCTET STRING.
    ///
    /// # Errors
    ///
    /// Those of [`BerReader::expect`].
    pub fn octet_string(&mut self) -> Result<&'a [u8], BerError> {
        self.expect(tag::OCTET_STRING)
    }

    /// Reads an LDAPString: an OCTET STRING of UTF-8 (RFC 4511 section 4.1.2).
    ///
    /// # Errors
    ///
    /// Those of [`BerReader::expect`], and [`BerError::NotUtf8`].
    pub fn string(&mut self) -> Result<&'a str, BerError> {
        utf8(self.octet_string()?)
    }

    /// Reads an INTEGER of up to eight octets.
    ///
    /// # Errors
    ///
    /// Those of [`BerReader::expect`], and [`BerError::IntegerSize`].
    pub fn integer(&mut self) -> Result<i64, BerError> {
        integer(self.expect(tag::INTEGER)?)
    }

    /// Reads an ENUMERATED of up to eight octets.
    ///
    /// # Errors
    ///
    /// Those of [`BerReader::expect`], and [`BerError::IntegerSize`].
    pub fn enumerated(&mut self) -> Result<i64, BerError> {
        integer(self.expect(tag::ENUMERATED)?)
    }

    /// Reads a BOOLEAN.
    ///
    /// # Errors
    ///
    /// Those of [`BerReader::expect`], and [`BerError::BooleanSize`].
    pub fn boolean(&mut self) -> Result<bool, BerError> {
        boolean(self.expect(tag::BOOLEAN)?)
    }

    /// Reads over what is left: trailing components of a SEQUENCE that this server does not know are
    /// ignored (RFC 4511 section 4), but they must be elements.
    ///
    /// # Errors
    ///
    /// Those of [`BerReader::element`].
    pub fn ignore_rest(self) -> Result<(), BerError> {
        self.ignore_unknown_rest(&[])
    }

    /// Reads over what is left, in which none of the tag octets of the components that are known may
    /// stand: an optional component that comes twice, or behind an unknown one, must not be lost.
    ///
    /// # Errors
    ///
    /// [`BerError::Misplaced`], and those of [`BerReader::element`].
    pub fn ignore_unknown_rest(mut self, known: &[u8]) -> Result<(), BerError> {
        while !self.is_empty() {
            let tag = self.element()?.tag;
            if known.contains(&tag) {
                return Err(BerError::Misplaced { tag });
            }
        }
        Ok(())
    }
}

/// Reads a tag. `None` when its octets are not all there; more than one octet only for a number
/// above 30, which is read over.
///
/// # Errors
///
/// [`BerError::TagTooLong`].
pub fn read_tag(octets: &[u8]) -> Result<Option<(u8, &[u8])>, BerError> {
    let Some((&tag, mut rest)) = octets.split_first() else { return Ok(None) };
    if tag & tag::NUMBER_MASK != tag::NUMBER_MASK {
        return Ok(Some((tag, rest)));
    }
    for _ in 1..TAG_OCTETS_MAX {
        let Some((&octet, after)) = rest.split_first() else { return Ok(None) };
        rest = after;
        if octet & 0x80 == 0 {
            return Ok(Some((tag, rest)));
        }
    }
    Err(BerError::TagTooLong)
}

/// Reads a length in the definite form. `None` when its octets are not all there.
///
/// # Errors
///
/// [`BerError::IndefiniteLength`], [`BerError::LengthTooLong`].
pub fn read_length(octets: &[u8]) -> Result<Option<(usize, &[u8])>, BerError> {
    let Some((&first, rest)) = octets.split_first() else { return Ok(None) };
    if first < LONG_FORM {
        return Ok(Some((usize::from(first), rest)));
    }
    let count = first & !LONG_FORM;
    if count == 0 {
        return Err(BerError::IndefiniteLength);
    }
    if count > LENGTH_OCTETS_MAX {
        return Err(BerError::LengthTooLong { octets: count });
    }
    let Some((digits, rest)) = rest.split_at_checked(usize::from(count)) else { return Ok(None) };
    // Four octets fit; on a machine of 32 bits the length may be all its memory, which no slice holds.
    let length = digits.iter().fold(0_usize, |length, &digit| length << 8 | usize::from(digit));
    Ok(Some((length, rest)))
}

/// The value of the contents of an INTEGER or ENUMERATED of up to eight octets.
///
/// # Errors
///
/// [`BerError::IntegerSize`].
pub fn integer(contents: &[u8]) -> Result<i64, BerError> {
    let (Some(&first), true) = (contents.first(), contents.len() <= INTEGER_OCTETS_MAX) else {
        return Err(BerError::IntegerSize { octets: contents.len(), octets_max: INTEGER_OCTETS_MAX });
    };
    // Two's complement: the sign fills from the left.
    let sign = i64::from(first as i8 >> 7);
    Ok(contents.iter().fold(sign, |value, &digit| value << 8 | i64::from(digit)))
}

/// The value of the contents of a BOOLEAN.
///
/// # Errors
///
/// [`BerError::BooleanSize`].
pub fn boolean(contents: &[u8]) -> Result<bool, BerError> {
    match contents {
        [octet] => Ok(*octet != 0),
        _ => Err(BerError::BooleanSize { octets: contents.len() }),
    }
}

/// The contents of an LDAPString.
///
/// # Errors
///
/// [`BerError::NotUtf8`].
pub fn utf8(contents: &[u8]) -> Result<&str, BerError> {
    std::str::from_utf8(contents).map_err(|_| BerError::NotUtf8)
}

/// Writes elements behind what a buffer holds already.
#[derive(Debug)]
pub struct BerWriter<'b> {
    octets: &'b mut Vec<u8>,
}

/// A constructed element that has begun: where its contents start.
///
/// It must be handed to [`BerWriter::end`], innermost first; until then its length is zero.
#[derive(Debug)]
#[must_use = "the length of the element is written by BerWriter::end"]
pub struct Begun(usize);

impl<'b> BerWriter<'b> {
    /// Writes behind what `octets` holds.
    pub const fn new(octets: &'b mut Vec<u8>) -> Self {
        Self { octets }
    }

    /// Begins a constructed element with a length of four octets, to be filled in by [`BerWriter::end`].
    pub fn begin(&mut self, tag: u8) -> Begun {
        self.octets.extend_from_slice(&[tag, LONG_FORM | LENGTH_OCTETS_MAX, 0, 0, 0, 0]);
        Begun(self.octets.len())
    }

    /// Ends the element: everything written since [`BerWriter::begin`] is its contents.
    ///
    /// An element of more than 4 GiB does not exist in LDAP: a message is limited to far less.
    pub fn end(&mut self, begun: Begun) {
        let length = self.octets.len().saturating_sub(begun.0);
        debug_assert!(u32::try_from(length).is_ok(), "an element of {length} octets");
        let digits = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
        if let Some(place) = begun.0.checked_sub(digits.len()).and_then(|at| self.octets.get_mut(at..begun.0))
        {
            place.copy_from_slice(&digits);
        }
    }

    /// Begins an element of which the length is known already: so many octets follow.
    pub fn header(&mut self, tag: u8, length: u32) {
        self.octets.push(tag);
        self.octets.push(LONG_FORM | LENGTH_OCTETS_MAX);
        self.octets.extend_from_slice(&length.to_be_bytes());
    }

    /// Writes one element whose contents are known, with the shortest length.
    pub fn element(&mut self, tag: u8, contents: &[u8]) {
        self.octets.push(tag);
        self.length(contents.len());
        self.octets.extend_from_slice(contents);
    }

    /// Writes an OCTET STRING.
    pub fn octet_string(&mut self, contents: &[u8]) {
        self.element(tag::OCTET_STRING, contents);
    }

    /// Writes an INTEGER.
    pub fn integer(&mut self, value: i64) {
        self.number(tag::INTEGER, value);
    }

    /// Writes an ENUMERATED.
    pub fn enumerated(&mut self, value: i64) {
        self.number(tag::ENUMERATED, value);
    }

    /// Writes a BOOLEAN; TRUE is 0xFF (RFC 4511 section 5.1).
    pub fn boolean(&mut self, value: bool) {
        self.element(tag::BOOLEAN, &[if value { 0xff } else { 0 }]);
    }

    /// Writes elements that are encoded already.
    pub fn encoded(&mut self, elements: &[u8]) {
        self.octets.extend_from_slice(elements);
    }

    fn number(&mut self, tag: u8, value: i64) {
        let digits = value.to_be_bytes();
        // The first octet is needed while it is more than a copy of the sign bit behind it.
        let is_filler = |pair: &&[u8]| {
            matches!(pair, [0x00, next] if next & 0x80 == 0)
                || matches!(pair, [0xff, next] if next & 0x80 != 0)
        };
        let fillers = digits.windows(2).take_while(is_filler).count();
        self.element(tag, digits.get(fillers..).unwrap_or(&digits));
    }

    fn length(&mut self, length: usize) {
        match u8::try_from(length) {
            Ok(short) if short < LONG_FORM => self.octets.push(short),
            _ => {
                let digits = length.to_be_bytes();
                let zeros = digits.iter().take_while(|&&digit| digit == 0).count();
                let digits = digits.get(zeros..).unwrap_or(&digits);
                // At most eight digits, so the cast loses nothing.
                self.octets.push(LONG_FORM | digits.len() as u8);
                self.octets.extend_from_slice(digits);
            }
        }
    }
}

/// How many octets an element has that [`BerWriter::element`] writes, whose tag is one octet.
pub fn element_octets(contents: usize) -> usize {
    let digits = match contents {
        0..=0x7f => 0,
        _ => (usize::BITS - contents.leading_zeros()).div_ceil(8) as usize,
    };
    2 + digits + contents
}

/// Tag octets of the universal class, and how a tag octet is made.
pub mod tag {
    pub const BOOLEAN: u8 = 0x01;
    pub const INTEGER: u8 = 0x02;
    /// OCTET STRING, primitive.
    pub const OCTET_STRING: u8 = 0x04;
    pub const ENUMERATED: u8 = 0x0a;
    /// SEQUENCE and SEQUENCE OF.
    pub const SEQUENCE: u8 = 0x30;
    /// SET and SET OF.
    pub const SET: u8 = 0x31;
    /// The bits of the tag number; all set when the number is above 30 and stands behind.
    pub const NUMBER_MASK: u8 = 0x1f;
    /// The bits of the class.
    pub const CLASS_MASK: u8 = 0xc0;
    /// The context-specific class.
    pub const CONTEXT: u8 = 0x80;

    /// The tag octet of a primitive element `[number]`.
    pub const fn context(number: u8) -> u8 {
        CONTEXT | number
    }

    /// The tag octet of a constructed element `[number]`.
    pub const fn context_constructed(number: u8) -> u8 {
        CONTEXT | 0x20 | number
    }
}

const LONG_FORM: u8 = 0x80;
/// No limit of the config: lengths of messages have 32 bits at most (RFC 4511 section 4.1.1, `maxInt`).
const LENGTH_OCTETS_MAX: u8 = 4;
/// No limit of the config: the encoding gives it.
const TAG_OCTETS_MAX: usize = 5;
/// No limit of the config: the encoding gives it.
const INTEGER_OCTETS_MAX: usize = 8;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn elements_are_read_in_every_form_of_length() {
        for octets in [
            &[0x04, 0x02, b'a', b'b'][..],
            &[0x04, 0x81, 0x02, b'a', b'b'],
            &[0x04, 0x82, 0x00, 0x02, b'a', b'b'],
            &[0x04, 0x84, 0x00, 0x00, 0x00, 0x02, b'a', b'b'],
        ] {
            let mut reader = BerReader::new(octets);
            assert_eq!(reader.octet_string(), Ok(&b"ab"[..]));
            assert!(reader.is_empty());
        }
    }

    #[test]
    fn what_ldap_forbids_is_refused() {
        for (octets, error) in [
            (&[][..], BerError::Truncated),
            (&[0x04], BerError::Truncated),
            (&[0x04, 0x01], BerError::Truncated),
            (&[0x04, 0x82, 0x00], BerError::Truncated),
            (&[0x04, 0x84, 0xff, 0xff, 0xff, 0xff], BerError::Truncated),
            (&[0x30, 0x80, 0x00, 0x00], BerError::IndefiniteLength),
            (&[0x04, 0x85, 0, 0, 0, 0, 1, 7], BerError::LengthTooLong { octets: 5 }),
            (&[0x04, 0xff], BerError::LengthTooLong { octets: 127 }),
            (&[0x1f], BerError::Truncated),
            (&[0x1f, 0xff, 0xff, 0xff, 0xff, 0x01, 0x00], BerError::TagTooLong),
        ] {
            assert_eq!(BerReader::new(octets).element(), Err(error), "{octets:02x?}");
        }
    }

    #[test]
    fn a_tag_of_more_octets_is_read_over() {
        let element = BerReader::new(&[0xbf, 0x81, 0x01, 0x01, 0x00]).element();
        assert_eq!(element, Ok(Element { tag: 0xbf, contents: &[0x00] }));
    }

    #[test]
    fn what_is_not_expected_stays_unread() {
        let mut reader = BerReader::new(&[0x02, 0x01, 0x05]);
        assert_eq!(reader.octet_string(), Err(BerError::UnexpectedTag { expected: 0x04, found: 0x02 }));
        assert_eq!(reader.optional(tag::OCTET_STRING), Ok(None));
        assert_eq!(reader.integer(), Ok(5));
        assert_eq!(reader.integer(), Err(BerError::Missing { expected: 0x02 }));
    }

    #[test]
    fn what_is_ignored_must_be_sound() {
        assert_eq!(BerReader::new(&[0x85, 0x00, 0x04, 0x01, 0x61]).ignore_rest(), Ok(()));
        assert_eq!(BerReader::new(&[0x85, 0x00, 0x04]).ignore_rest(), Err(BerError::Truncated));
        let misplaced = BerReader::new(&[0x85, 0x00, 0x04, 0x00]).ignore_unknown_rest(&[0x04]);
        assert_eq!(misplaced, Err(BerError::Misplaced { tag: 0x04 }));
    }

    #[test]
    fn integers_have_a_sign_and_one_to_eight_octets() {
        for (contents, value) in [
            (&[0x00][..], 0),
            (&[0x7f], 127),
            (&[0x80], -128),
            (&[0xff], -1),
            (&[0x00, 0xff], 255),
            (&[0x7f, 0xff, 0xff, 0xff], i64::from(i32::MAX)),
            (&[0x80, 0, 0, 0, 0, 0, 0, 0], i64::MIN),
            (&[0, 0, 0, 0, 0, 0, 0, 1], 1),
        ] {
            assert_eq!(integer(contents), Ok(value), "{contents:02x?}");
        }
        assert_eq!(integer(&[]), Err(BerError::IntegerSize { octets: 0, octets_max: 8 }));
        assert_eq!(integer(&[0; 9]), Err(BerError::IntegerSize { octets: 9, octets_max: 8 }));
    }

    #[test]
    fn booleans_are_one_octet() {
        assert_eq!((boolean(&[0]), boolean(&[1]), boolean(&[0xff])), (Ok(false), Ok(true), Ok(true)));
        assert_eq!(boolean(&[]), Err(BerError::BooleanSize { octets: 0 }));
        assert_eq!(boolean(&[0, 0]), Err(BerError::BooleanSize { octets: 2 }));
    }

    #[test]
    fn known_lengths_are_written_in_the_shortest_form() {
        for (length, header) in
            [(127, &[0x04, 0x7f][..]), (128, &[0x04, 0x81, 0x80]), (256, &[0x04, 0x82, 0x01, 0x00])]
        {
            let mut octets = Vec::new();
            BerWriter::new(&mut octets).octet_string(&vec![0; length]);
            assert_eq!(octets.get(..header.len()), Some(header));
            assert_eq!(octets.len(), header.len() + length);
        }
    }

    #[test]
    fn open_elements_get_their_length_at_the_end() {
        let mut octets = vec![0xaa];
        let mut writer = BerWriter::new(&mut octets);
        let outer = writer.begin(tag::SEQUENCE);
        writer.boolean(true);
        let inner = writer.begin(tag::SET);
        writer.end(inner);
        writer.end(outer);
        let expected = [0xaa, 0x30, 0x84, 0, 0, 0, 9, 0x01, 0x01, 0xff, 0x31, 0x84, 0, 0, 0, 0];
        assert_eq!(octets, expected);
    }

    proptest! {
        #![proptest_config(crate::rounds::cases(256))]
        #[test]
        fn numbers_are_written_short_and_read_back(value: i64) {
            let mut octets = Vec::new();
            BerWriter::new(&mut octets).integer(value);
            prop_assert_eq!(BerReader::new(&octets).integer(), Ok(value));
            let digits = octets.get(2..).unwrap();
            prop_assert!(!matches!(digits, [0x00, next, ..] if next & 0x80 == 0), "{octets:02x?}");
            prop_assert!(!matches!(digits, [0xff, next, ..] if next & 0x80 != 0), "{octets:02x?}");
        }

        #[test]
        fn any_octets_are_read_to_an_end(octets: Vec<u8>) {
            let mut reader = BerReader::new(&octets);
            while let Ok(element) = reader.element() {
                prop_assert!(element.contents.len() < octets.len());
            }
        }
    }
}
