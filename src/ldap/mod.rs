//! The LDAP door: bytes to requests to answers.
//!
//! Without I/O: `ber` and `frame` find messages, `message` decodes them, [`session`] is the state of
//! one connection, `operation` has one file for each operation, `entry_writer` and `response` encode.
//! With I/O: [`connection`] reads, writes and waits for what the session says.

pub mod ber;
pub mod client_trust;
pub mod connection;
mod control;
mod entry_writer;
pub mod frame;
pub mod memory;
pub mod message;
mod operation;
pub mod pages;
pub mod response;
pub mod result_code;
mod root_dse;
mod selection;
pub mod session;

#[cfg(test)]
mod tests;
