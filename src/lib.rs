//! bindery, an LDAP bind and search server for service accounts.
//!
//! The folders are floors; an import points down or stays on its floor inside one folder.
//! ARCHITECTURE.md shows the way of a bind, of a search and of a change through them.

// 6: words typed by a person
pub mod cli;
// 5: the life of the process
pub mod server;
// 4: the doors
pub mod http;
pub mod ldap;
// 3: the one way to read and to change
pub mod registry;
// 2: is the secret right, what may be seen, what happened
pub mod access;
pub mod audit;
pub mod auth;
// 1: in memory, on disk, on the network; and the two readers beside them
pub mod config;
pub mod directory;
pub mod ldif;
pub mod net;
pub mod store;
// 0: what exists
pub mod model;
pub mod schema;
pub mod secret;

#[cfg(test)]
#[path = "../tests/support/rounds.rs"]
mod rounds;
