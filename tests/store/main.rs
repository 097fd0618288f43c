//! What lasts: through starts that are cut short, kills, full disks and many clients at once, and out into a file and back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "a test may panic and print"
)]

#[path = "../support/mod.rs"]
mod support;

mod backup;
mod beside;
mod durability;
mod export;
mod faults;
mod format;
mod full_disk;
mod own_files;
mod parts;
mod pressure;
mod small_disk;
mod starts;
mod stopped;
