//! The doors, octet by octet: what is decoded, refused and published, and what strangers may do to it.

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

mod attack;
mod brute_force;
mod codec_oracle;
mod endings;
mod exact;
mod fuzz_corpus;
mod hostile_clients;
mod http_door;
mod mistaken;
mod places;
mod proxies;
mod schema;
mod walked_api;
