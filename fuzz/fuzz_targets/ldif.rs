//! A file from elsewhere: records or problems, no panic, an end; and what was read is written and read back.
#![no_main]

use bindery::inside::ldif::LdifReader;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    for record in LdifReader::new(octets) {
        match record {
            Ok(record) => {
                let text = record.to_ldif();
                let mut reader = LdifReader::new(text.as_bytes());
                let again = reader.next().expect("a record").expect("what was written reads back");
                assert_eq!((again.dn, again.attributes), (record.dn, record.attributes));
                assert!(reader.next().is_none());
            }
            Err(error) if error.is_fatal() => break,
            Err(_) => {}
        }
    }
});
