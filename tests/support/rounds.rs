//! How much a test leaves to chance, which is also how long it takes: one variable for all of them, read here alone, for the
//! tests of the library and for those with the real binary.

use proptest::test_runner::Config;

/// `few` rounds, as played on every commit, times the whole number in `BINDERY_TEST_ROUNDS`, which is 1 where it is not set.
pub(crate) fn rounds(few: u32) -> u32 {
    let times = match std::env::var("BINDERY_TEST_ROUNDS") {
        Ok(text) => text.parse().unwrap_or(0),
        Err(_) => 1,
    };
    assert!(times > 0, "BINDERY_TEST_ROUNDS is a whole number from 1: how many times more rounds");
    few.saturating_mul(times)
}

/// The same for the cases of a property.
pub(crate) fn cases(few: u32) -> Config {
    Config::with_cases(rounds(few))
}
