//! A filter of a stranger: decoded within its limits, prepared and evaluated without a panic.
#![no_main]

use bindery::directory::{EntryId, Evaluator, PreparedFilter, Reader, Snapshot, Visibility};
use bindery::ldap::ber;
use bindery::ldap::message::{DecodeLimits, decode_filter};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let limits = DecodeLimits::default();
    let Ok(items) = decode_filter(&mut ber::Reader::new(octets), &limits) else { return };
    assert!(items.len() <= limits.filter_elements_max);
    let snapshot = Snapshot::empty();
    let reader = Reader::new(&snapshot, snapshot.nowhere(), &Visibility::Full);
    let filter = PreparedFilter::new(&items, &reader);
    Evaluator::default().matches(&filter, &reader, EntryId::STANDALONE, snapshot.subschema());
});
