//! Accounts, tokens and rights by the command line, and what connections that are open notice of them.

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

mod account_commands;
mod audit_trail;
mod clocks;
mod command_line;
mod mistakes;
mod open_connections;
mod passwords_of_django;
mod revocation;
mod rotation;
mod service_accounts;
mod telling;
