//! A stream of a stranger to frames: no panic, and what was taken is never more than what was sent.
#![no_main]

use bindery::inside::ldap::frame;
use libfuzzer_sys::fuzz_target;

const MESSAGE_SIZE_MAX: usize = 1 << 20;

fuzz_target!(|octets: &[u8]| {
    let mut rest = octets;
    while let Ok(Some(frame)) = frame::next(rest, MESSAGE_SIZE_MAX) {
        let length = frame.octets.len();
        assert_eq!(frame.octets, &rest[..length]);
        assert!(frame.message_id >= 0);
        assert!(frame.body.len() + frame.controls.unwrap_or_default().len() < length);
        // A header tells at once what the whole message turns out to have; without its last octet there is none.
        assert_eq!(frame::announced(rest, MESSAGE_SIZE_MAX), Ok(Some(length)));
        assert_eq!(frame::next(&rest[..length - 1], MESSAGE_SIZE_MAX), Ok(None));
        // And nobody who takes less accepts it.
        assert!(frame::next(rest, length - 1).is_err());
        rest = &rest[length..];
    }
    // What the header announces never depends on the octets behind it, and never exceeds the limit.
    let announced = frame::announced(octets, MESSAGE_SIZE_MAX);
    if let Ok(Some(announced)) = announced {
        assert!(announced <= MESSAGE_SIZE_MAX);
    }
    assert_eq!(
        announced.is_err(),
        frame::announced(&octets[..octets.len().min(6)], MESSAGE_SIZE_MAX).is_err()
    );
});
