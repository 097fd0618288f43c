//! Steps that comparing and looking really takes: values, comparisons, elements, groups on the way of memberships. Tests
//! and the fuzzer hold what is counted as work against them; without debug assertions nobody counts.

use std::cell::Cell;

thread_local! {
    static TAKEN: Cell<u64> = const { Cell::new(0) };
}

/// Notes steps of this thread.
pub fn note(steps: u64) {
    if cfg!(debug_assertions) {
        TAKEN.with(|taken| taken.set(taken.get() + steps));
    }
}

/// How many this thread has taken; 0 for ever without debug assertions.
pub fn taken() -> u64 {
    TAKEN.with(Cell::get)
}

/// Does what is done once for many and is nobody's work: its steps are not noted.
pub fn apart<T>(work: impl FnOnce() -> T) -> T {
    let before = taken();
    let done = work();
    TAKEN.with(|taken| taken.set(before));
    done
}
