//! Programs of other makers against the real binary. `bash tests/run` installs the small ones; what needs more is ignored
//! with its reason, until `bash tests/run --all` installs that too and runs it.

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

mod applications;
mod authentik_clients;
mod clients;
mod differential;
mod examples;
mod gateways;
mod openldap_clients;
mod terraform;
