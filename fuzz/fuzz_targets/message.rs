//! The contents of a message of a stranger to a request: decoded within the limits, or refused under its own ID.
//!
//! The first octet chooses the operation, the second how many of the octets behind are controls: no try is lost on a
//! frame that cannot be read, as that is what `frame` is for.
#![no_main]

use bindery::inside::ldap::ber::BerWriter;
use bindery::inside::ldap::frame;
use bindery::inside::ldap::message::{self, Answer, DecodeLimits, Operation, Request};
use libfuzzer_sys::fuzz_target;

const MESSAGE_ID: i32 = 7;

fuzz_target!(|octets: &[u8]| {
    let [choice, share, contents @ ..] = octets else { return };
    let row = usize::from(*choice) % (Operation::TABLE.len() + 1);
    let tag = Operation::TABLE.get(row).map_or(*share, |row| row.1);
    let (controls, body) = contents.split_at(contents.len() * usize::from(*share) / 256);
    let mut message = Vec::new();
    let mut writer = BerWriter::new(&mut message);
    let sequence = writer.begin(0x30);
    writer.integer(i64::from(MESSAGE_ID));
    writer.element(tag, body);
    if !controls.is_empty() {
        writer.element(0xa0, controls);
    }
    writer.end(sequence);
    // A tag number above 30 takes more octets than the one that was written.
    let Ok(Some(frame)) = frame::next(&message, usize::MAX) else {
        assert!(row == Operation::TABLE.len());
        return;
    };
    let limits =
        DecodeLimits { filter_depth_max: 20, filter_elements_max: 64, controls_max: 4, attributes_max: 8 };
    match message::decode(&frame, &limits) {
        Ok(decoded) => {
            assert_eq!(decoded.message_id, MESSAGE_ID);
            assert_eq!(Operation::from_tag(tag), Some(decoded.request.operation()));
            assert!(decoded.controls.len() <= limits.controls_max);
            match &decoded.request {
                Request::Search(search) => {
                    assert!(search.filter.len() <= limits.filter_elements_max);
                    assert!(search.attributes.len() <= limits.attributes_max);
                }
                Request::Abandon { message_id } => assert!(*message_id >= 0),
                _ => {}
            }
            // It can be shown, as a log does.
            assert!(!format!("{decoded:?}").is_empty());
        }
        Err(error) => {
            // Only what is no request at all ends the connection.
            let is_request = Operation::from_tag(tag).is_some();
            assert_eq!(error.answer() == Answer::Disconnection, !is_request);
            assert!(!error.to_string().is_empty());
        }
    }
});
