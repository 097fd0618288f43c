//! Octets of a stranger to frames and requests: no panic, and what was taken is never more than what was sent.
#![no_main]

use bindery::ldap::frame;
use bindery::ldap::message::{self, DecodeLimits};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let mut rest = octets;
    while let Ok(Some(frame)) = frame::next(rest, 1 << 20) {
        assert!(frame.octets.len() <= rest.len());
        if let Ok(decoded) = message::decode(&frame, &DecodeLimits::default()) {
            assert_eq!(decoded.message_id, frame.message_id);
        }
        rest = &rest[frame.octets.len()..];
    }
    // What the header announces never depends on the octets behind it.
    if let Ok(Some(announced)) = frame::announced(octets, 1 << 20) {
        assert!(announced <= 1 << 20);
    }
});
