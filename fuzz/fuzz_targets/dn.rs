//! A DN of a stranger: its normal form is found or refused alike by both ways, and a DN that was read reads back.
#![no_main]

use bindery::inside::schema::{Dn, Schema, normalize_dn};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let schema = Schema::core();
    let mut normal = Vec::new();
    let is_name = normalize_dn(text, &schema, &mut normal).is_ok();
    match Dn::parse(text) {
        Ok(dn) => {
            assert!(is_name);
            assert_eq!(dn.normal_form(&schema).as_bytes(), normal);
            let mut again = Vec::new();
            normalize_dn(dn.to_string().as_bytes(), &schema, &mut again)
                .expect("what was written reads back");
            assert_eq!(again, normal);
        }
        Err(_) => assert!(!is_name && normal.is_empty()),
    }
});
