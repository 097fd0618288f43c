//! A filter of a stranger: decoded within its limits; and who is led by the indexes finds what looking at everything
//! finds, whether it sees all of the directory or little of it. The first octet chooses the base and the scope.
#![no_main]

use std::sync::{Arc, LazyLock};

use bindery::inside::access::visibility_of;
use bindery::inside::directory::{
    EntryId, Evaluator, PreparedFilter, Scope, Snapshot, TreeReader, Visibility, Walk,
};
use bindery::inside::ldap::ber;
use bindery::inside::ldap::message::{DecodeLimits, decode_filter};
use bindery::inside::model::AccountNumber;
use bindery_fuzz::world::{APP, MAIN, World};
use libfuzzer_sys::fuzz_target;

static SNAPSHOT: LazyLock<Arc<Snapshot>> = LazyLock::new(|| World::new().registry.snapshot());
static VIEWS: LazyLock<[Visibility; 2]> = LazyLock::new(|| {
    let accounts = SNAPSHOT.accounts();
    let app = accounts.account(AccountNumber::new(APP)).expect("an account");
    let view = visibility_of(accounts, app, MAIN);
    assert!(matches!(view, Visibility::Own(_)));
    [Visibility::Full, view]
});

fuzz_target!(|octets: &[u8]| {
    let Some((first, octets)) = octets.split_first() else { return };
    let limits = DecodeLimits { filter_elements_max: 500, ..DecodeLimits::default() };
    let Ok(items) = decode_filter(&mut ber::BerReader::new(octets), &limits) else { return };
    assert!(items.len() <= limits.filter_elements_max);
    let tree = SNAPSHOT.tree(MAIN).expect("a tree");
    let scope = [Scope::Base, Scope::One, Scope::Subtree, Scope::Subordinates][usize::from(first & 3)];
    let base = EntryId::from_raw(u32::from(first >> 2 & 3));
    for view in VIEWS.iter() {
        let reader = TreeReader::new(&SNAPSHOT, tree, view);
        let filter = PreparedFilter::new(&items, &reader);
        let found = |filter_to_walk: &PreparedFilter| {
            let mut evaluator = Evaluator::new(2_000_000);
            let mut walk = Walk::new(&reader, filter_to_walk, base, scope);
            let mut found = Vec::new();
            while let Some(id) = walk.next(&reader) {
                let entry = reader.entry(id).expect("what is walked to can be seen");
                if evaluator.matches(&filter, &reader, id, &entry) {
                    found.push(id);
                }
            }
            (found, evaluator.take_exhausted())
        };
        // Absolute true: no index helps, every entry is looked at.
        let everything =
            PreparedFilter::new(&[bindery::inside::directory::filter::FilterItem::And { items: 0 }], &reader);
        assert_eq!(found(&filter), found(&everything));
    }
    let nowhere = TreeReader::new(&SNAPSHOT, SNAPSHOT.nowhere(), &VIEWS[0]);
    let filter = PreparedFilter::new(&items, &nowhere);
    Evaluator::default().matches(&filter, &nowhere, EntryId::STANDALONE, SNAPSHOT.subschema());
});
