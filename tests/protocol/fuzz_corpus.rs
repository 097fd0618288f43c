//! What the fuzzer has kept as interesting, replayed through the library: a promise that was broken once is checked by
//! every `cargo test`, without a fuzzer. The targets in `fuzz/` check more.

use std::path::Path;

use bindery::inside::ldap::ber;
use bindery::inside::ldap::frame;
use bindery::inside::ldap::message::{self, Answer, DecodeLimits, decode_filter};
use bindery::inside::ldif::LdifReader;
use bindery::inside::schema::{Dn, Schema, normalize_dn};

use crate::support::proxy_headers;

/// Gives each file of a corpus to `check`.
fn replay(target: &str, check: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files = 0;
    for file in std::fs::read_dir(&folder).expect("the corpus of the target") {
        let path = file.unwrap().path();
        let octets = std::fs::read(&path).unwrap();
        // A panic does not say of itself which file it was.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&octets)));
        assert!(done.is_ok(), "{} breaks a promise", path.display());
        files += 1;
    }
    assert!(files > 10, "{target} has {files} files");
}

#[test]
fn streams_are_taken_apart_or_refused() {
    replay("frame", |octets| {
        let mut rest = octets;
        while let Ok(Some(frame)) = frame::next(rest, 1 << 20) {
            assert!(frame.message_id >= 0 && rest.starts_with(frame.octets));
            if let Ok(decoded) = message::decode(&frame, &DecodeLimits::default()) {
                assert_eq!(decoded.message_id, frame.message_id);
            }
            rest = &rest[frame.octets.len()..];
        }
    });
}

#[test]
fn requests_are_decoded_or_refused_under_their_id() {
    replay("message", |octets| {
        let [choice, share, contents @ ..] = octets else { return };
        let table = message::Operation::TABLE;
        let tag = table.get(usize::from(*choice) % (table.len() + 1)).map_or(*share, |row| row.1);
        let (controls, body) = contents.split_at(contents.len() * usize::from(*share) / 256);
        let mut octets = Vec::new();
        let mut writer = ber::BerWriter::new(&mut octets);
        let sequence = writer.begin(0x30);
        writer.integer(7);
        writer.element(tag, body);
        if !controls.is_empty() {
            writer.element(0xa0, controls);
        }
        writer.end(sequence);
        let Ok(Some(frame)) = frame::next(&octets, usize::MAX) else { return };
        let is_request = message::Operation::from_tag(tag).is_some();
        match message::decode(&frame, &DecodeLimits::default()) {
            Ok(decoded) => assert!(is_request && decoded.message_id == 7),
            Err(error) => assert_eq!(error.answer() == Answer::Disconnection, !is_request),
        }
    });
}

#[test]
fn filters_stay_within_their_limits() {
    replay("filter", |octets| {
        let limits = DecodeLimits { filter_elements_max: 500, ..DecodeLimits::default() };
        let mut reader = ber::BerReader::new(octets.get(1..).unwrap_or_default());
        if let Ok(items) = decode_filter(&mut reader, &limits) {
            assert!(items.len() <= limits.filter_elements_max);
        }
    });
}

#[test]
fn names_read_back_as_they_were_written() {
    let schema = Schema::core();
    replay("dn", |text| {
        let mut normal = Vec::new();
        let is_name = normalize_dn(text, &schema, &mut normal).is_ok();
        let dn = Dn::parse(text);
        assert_eq!(dn.is_ok(), is_name);
        if let Ok(dn) = dn {
            let mut again = Vec::new();
            normalize_dn(dn.to_string().as_bytes(), &schema, &mut again).unwrap();
            assert_eq!(again, normal);
        }
    });
}

#[test]
fn records_read_back_as_they_were_written() {
    replay("ldif", |octets| {
        for record in LdifReader::new(octets) {
            match record {
                Ok(record) => {
                    let text = record.to_ldif();
                    let again = LdifReader::new(text.as_bytes()).next().unwrap().unwrap();
                    assert_eq!((again.dn, again.attributes), (record.dn, record.attributes));
                }
                Err(error) if error.is_fatal() => break,
                Err(_) => {}
            }
        }
    });
}

#[test]
fn headers_of_proxies_are_read_by_their_specification() {
    replay("proxy", |octets| {
        let [size, octets @ ..] = octets else { return };
        proxy_headers::check(octets, proxy_headers::length_max(*size));
    });
}
