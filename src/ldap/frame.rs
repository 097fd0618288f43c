//! Where a message begins and ends: from what was read so far to one LDAPMessage, its message ID, the
//! tag of its operation and its controls, all borrowed (RFC 4511 section 4.1.1).
//!
//! An error here means that the stream cannot be followed any further: the answer is a Notice of
//! Disconnection with protocolError, then the connection is closed.

use std::fmt;

use thiserror::Error;

use super::ber::{self, BerError, BerReader, tag};

/// One LDAPMessage, whole but not decoded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The message ID, 0 to 2,147,483,647. In a request 0 is reserved (RFC 4511 section 4.1.1.1): who
    /// handles the request answers it with a Notice of Disconnection.
    pub message_id: i32,
    /// The tag octet of the operation, known or not.
    pub operation: u8,
    /// The contents of the operation.
    pub body: &'a [u8],
    /// The contents of the controls, when there are any.
    pub controls: Option<&'a [u8]>,
    /// The whole message.
    pub octets: &'a [u8],
}

/// Why what was read is not an LDAPMessage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The message announces more octets than may be sent.
    #[error("the message announces {announced} octets, at most {limit} are accepted")]
    TooLarge {
        /// How many octets the message would have, its header included.
        announced: u64,
        /// How many it may have.
        limit: usize,
    },
    /// The first octet is not the tag of a SEQUENCE. 0x16 is the first octet of a TLS handshake.
    #[error("the message begins with the octet {found:#04x}, an LDAP message begins with 0x30")]
    NotASequence {
        /// The octet that was read.
        found: u8,
    },
    /// The length of the message is not one that LDAP allows.
    #[error("the length of the message cannot be read: {0}")]
    Length(BerError),
    /// The message ID is not an INTEGER of one to four octets.
    #[error("the message ID cannot be read: {0}")]
    MessageId(BerError),
    #[error("the message ID {0} is negative")]
    NegativeMessageId(i32),
    /// The operation is not an element that fits in the message.
    #[error("the operation of message {message_id} cannot be read: {error}")]
    Operation {
        message_id: i32,
        /// What is wrong with it.
        error: BerError,
    },
    /// What follows the operation is not made of elements that fit in the message, or has the controls
    /// twice, behind an unknown element, or encoded as a primitive.
    #[error("what follows the operation of message {message_id} cannot be read: {error}")]
    Trailer {
        message_id: i32,
        /// What is wrong with it.
        error: BerError,
    },
}

/// Reads the first message of `buffer`. `None` when it is not all there yet; [`announced`] then tells
/// how many octets it needs. The next message begins behind [`Frame::octets`].
///
/// Of `message_size_max`, the most octets that a message may have, a message that announces more is
/// refused by its header alone. Elements behind the operation with a tag that is not known are ignored
/// (RFC 4511 section 4); the controls must stand directly behind the operation, so that none hides.
///
/// # Errors
///
/// [`FrameError`]: the connection must be closed.
pub fn next(buffer: &[u8], message_size_max: usize) -> Result<Option<Frame<'_>>, FrameError> {
    let Some(header) = Header::read(buffer, message_size_max)? else { return Ok(None) };
    let Some(octets) = buffer.get(..header.message_octets) else { return Ok(None) };
    let Some(contents) = octets.get(header.header_octets..) else { return Ok(None) };

    let mut reader = BerReader::new(contents);
    let message_id = read_message_id(&mut reader)?;
    let operation = reader.element().map_err(|error| FrameError::Operation { message_id, error })?;
    let trailer = |error| FrameError::Trailer { message_id, error };
    let controls = reader.optional(CONTROLS).map_err(trailer)?;
    reader.ignore_unknown_rest(&[CONTROLS, CONTROLS_PRIMITIVE]).map_err(trailer)?;
    Ok(Some(Frame { message_id, operation: operation.tag, body: operation.contents, controls, octets }))
}

/// How many octets the first message of `buffer` has in all, as soon as its header (two to six octets)
/// is there. A buffer need never be larger than this, nor grow before the octets arrive.
///
/// # Errors
///
/// [`FrameError::NotASequence`], [`FrameError::Length`], [`FrameError::TooLarge`].
pub fn announced(buffer: &[u8], message_size_max: usize) -> Result<Option<usize>, FrameError> {
    Ok(Header::read(buffer, message_size_max)?.map(|header| header.message_octets))
}

impl fmt::Debug for Frame<'_> {
    /// Without the contents: they may hold a password.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Frame")
            .field("message_id", &self.message_id)
            .field("operation", &format_args!("{:#04x}", self.operation))
            .field("octets", &self.octets.len())
            .finish_non_exhaustive()
    }
}

struct Header {
    header_octets: usize,
    message_octets: usize,
}

impl Header {
    fn read(buffer: &[u8], message_size_max: usize) -> Result<Option<Self>, FrameError> {
        let Some((&first, after_tag)) = buffer.split_first() else { return Ok(None) };
        if first != tag::SEQUENCE {
            return Err(FrameError::NotASequence { found: first });
        }
        let Some((length, contents)) = ber::read_length(after_tag).map_err(FrameError::Length)? else {
            return Ok(None);
        };
        let header_octets = buffer.len() - contents.len();
        match length.checked_add(header_octets) {
            Some(message_octets) if message_octets <= message_size_max => {
                Ok(Some(Self { header_octets, message_octets }))
            }
            _ => Err(FrameError::TooLarge {
                announced: (length as u64).saturating_add(header_octets as u64),
                limit: message_size_max,
            }),
        }
    }
}

fn read_message_id(reader: &mut BerReader<'_>) -> Result<i32, FrameError> {
    let contents = reader.expect(tag::INTEGER).map_err(FrameError::MessageId)?;
    let octets = contents.len();
    if octets > MESSAGE_ID_OCTETS_MAX {
        return Err(FrameError::MessageId(BerError::IntegerSize {
            octets,
            octets_max: MESSAGE_ID_OCTETS_MAX,
        }));
    }
    let value = ber::integer(contents).map_err(FrameError::MessageId)?;
    // Four octets are within i32, so the cast loses nothing.
    match value as i32 {
        negative if negative < 0 => Err(FrameError::NegativeMessageId(negative)),
        message_id => Ok(message_id),
    }
}

const CONTROLS: u8 = tag::context_constructed(0);
const CONTROLS_PRIMITIVE: u8 = tag::context(0);
/// No limit of the config: RFC 4511 section 4.1.1.1 gives it.
const MESSAGE_ID_OCTETS_MAX: usize = 4;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 1024;

    /// Message 1, unbind.
    const UNBIND: [u8; 7] = [0x30, 0x05, 0x02, 0x01, 0x01, 0x42, 0x00];

    #[test]
    fn a_message_is_found_before_the_next() {
        let mut buffer = UNBIND.to_vec();
        buffer.extend([0x30, 0x05, 0x02]);
        let frame = next(&buffer, LIMIT).unwrap().unwrap();
        assert_eq!((frame.message_id, frame.operation), (1, 0x42));
        assert_eq!((frame.body, frame.controls, frame.octets), (&[][..], None, &UNBIND[..]));
        assert_eq!(next(buffer.get(frame.octets.len()..).unwrap(), LIMIT), Ok(None));
    }

    #[test]
    fn a_message_is_not_whole_before_its_last_octet() {
        for cut in 0..UNBIND.len() {
            let part = UNBIND.get(..cut).unwrap();
            assert_eq!(next(part, LIMIT), Ok(None), "{cut} octets");
            assert_eq!(announced(part, LIMIT), Ok((cut >= 2).then_some(UNBIND.len())), "{cut} octets");
        }
    }

    #[test]
    fn controls_are_given_as_they_are() {
        let octets = [0x30, 0x0a, 0x02, 0x01, 0x01, 0x42, 0x00, 0xa0, 0x03, 0x04, 0x01, 0x61];
        let frame = next(&octets, LIMIT).unwrap().unwrap();
        assert_eq!(frame.controls, Some(&[0x04, 0x01, 0x61][..]));
    }

    #[test]
    fn unknown_elements_behind_the_operation_are_ignored() {
        for trailer in [&[0x8a, 0x00][..], &[0xa0, 0x00, 0x04, 0x00, 0xbf, 0x20, 0x01, 0x00]] {
            let mut octets = UNBIND.to_vec();
            octets.extend(trailer);
            octets[1] += trailer.len() as u8;
            let frame = next(&octets, LIMIT).unwrap().unwrap();
            assert_eq!(frame.octets, octets);
        }
    }

    #[test]
    fn message_ids_are_0_to_2147483647() {
        for (contents, result) in [
            (&[0x00][..], Ok(0)),
            (&[0x00, 0x00, 0x00, 0x07], Ok(7)),
            (&[0x7f, 0xff, 0xff, 0xff], Ok(i32::MAX)),
            (&[0xff], Err(FrameError::NegativeMessageId(-1))),
            (&[0x80, 0x00, 0x00, 0x00], Err(FrameError::NegativeMessageId(i32::MIN))),
            (&[], Err(FrameError::MessageId(BerError::IntegerSize { octets: 0, octets_max: 8 }))),
            (&[0; 5], Err(FrameError::MessageId(BerError::IntegerSize { octets: 5, octets_max: 4 }))),
        ] {
            let mut octets = vec![0x30, 4 + contents.len() as u8, 0x02, contents.len() as u8];
            octets.extend(contents);
            octets.extend([0x42, 0x00]);
            let read = next(&octets, LIMIT).map(|frame| frame.unwrap().message_id);
            assert_eq!(read, result, "{contents:02x?}");
        }
    }

    #[test]
    fn broken_framing_is_told_apart() {
        let operation = |error| FrameError::Operation { message_id: 1, error };
        let trailer = |error| FrameError::Trailer { message_id: 1, error };
        for (octets, error) in [
            (&[0x16, 0x03, 0x01][..], FrameError::NotASequence { found: 0x16 }),
            (&[0x30, 0x80], FrameError::Length(BerError::IndefiniteLength)),
            (&[0x30, 0x85], FrameError::Length(BerError::LengthTooLong { octets: 5 })),
            (
                &[0x30, 0x89, 0, 0, 0, 0, 0, 0, 0, 0, 7],
                FrameError::Length(BerError::LengthTooLong { octets: 9 }),
            ),
            (&[0x30, 0x00], FrameError::MessageId(BerError::Missing { expected: 2 })),
            (&[0x30, 0x02, 0x02, 0x05], FrameError::MessageId(BerError::Truncated)),
            (&[0x30, 0x03, 0x02, 0x01, 0x01], operation(BerError::Truncated)),
            (&[0x30, 0x05, 0x02, 0x01, 0x01, 0x42, 0x01], operation(BerError::Truncated)),
            (&[0x30, 0x05, 0x02, 0x01, 0x01, 0x60, 0x80], operation(BerError::IndefiniteLength)),
            (&[0x30, 0x06, 0x02, 0x01, 0x01, 0x42, 0x00, 0x00], trailer(BerError::Truncated)),
            (&[0x30, 0x07, 0x02, 0x01, 0x01, 0x42, 0x00, 0xa0, 0x01], trailer(BerError::Truncated)),
            (
                &[0x30, 0x07, 0x02, 0x01, 0x01, 0x42, 0x00, 0x80, 0x00],
                trailer(BerError::Misplaced { tag: 0x80 }),
            ),
            (
                &[0x30, 0x09, 0x02, 0x01, 0x01, 0x42, 0x00, 0xa0, 0x00, 0xa0, 0x00],
                trailer(BerError::Misplaced { tag: 0xa0 }),
            ),
            (
                &[0x30, 0x09, 0x02, 0x01, 0x01, 0x42, 0x00, 0x85, 0x00, 0xa0, 0x00],
                trailer(BerError::Misplaced { tag: 0xa0 }),
            ),
        ] {
            assert_eq!(next(octets, LIMIT), Err(error), "{octets:02x?}");
        }
    }

    #[test]
    fn a_large_message_is_refused_by_its_header_alone() {
        for (octets, announced) in [
            (&[0x30, 0x84, 0x40, 0x00, 0x00, 0x00][..], (1 << 30) + 6),
            (&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], 0xffff_ffff + 6),
            (&[0x30, 0x82, 0x03, 0xfd], LIMIT as u64 + 1),
        ] {
            let error = FrameError::TooLarge { announced, limit: LIMIT };
            assert_eq!(next(octets, LIMIT), Err(error));
            assert_eq!(super::announced(octets, LIMIT), Err(error));
        }
        assert_eq!(announced(&[0x30, 0x82, 0x03, 0xfc], LIMIT), Ok(Some(LIMIT)));
    }

    #[test]
    fn a_frame_does_not_print_what_it_holds() {
        let octets = [0x30, 0x0a, 0x02, 0x01, 0x01, 0x60, 0x05, 0x80, 0x03, b'p', b'w', b'd'];
        let shown = format!("{:?}", next(&octets, LIMIT).unwrap().unwrap());
        assert_eq!(shown, "Frame { message_id: 1, operation: 0x60, octets: 12, .. }");
    }

    proptest! {
        #![proptest_config(crate::rounds::cases(256))]
        #[test]
        fn any_octets_are_whole_refused_or_waited_for(octets: Vec<u8>, behind_a_header: bool) {
            let mut buffer = if behind_a_header { vec![0x30, 0x10, 0x02, 0x01, 0x01] } else { Vec::new() };
            buffer.extend(octets);
            if let Ok(Some(frame)) = next(&buffer, LIMIT) {
                prop_assert!(buffer.starts_with(frame.octets));
                prop_assert!(frame.message_id >= 0);
            }
        }
    }
}
