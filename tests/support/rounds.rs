//! How much a test leaves to chance, which is also how long it takes, and that it cannot be played here: one variable for all of
//! them for each, read here alone, for the tests of the library and for those with the real binary.

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

/// Says that a test, or a part of it, cannot be played here, and why; where all are to be, it fails by that.
#[track_caller]
#[allow(clippy::print_stderr, reason = "whoever runs the test is to see it")]
pub(crate) fn skip(reason: &str) {
    assert!(std::env::var_os("BINDERY_TEST_NO_SKIP").is_none(), "skipped, and is to be played: {reason}");
    eprintln!("skipped: {reason}");
}
