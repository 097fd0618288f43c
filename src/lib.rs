//! bindery, an LDAP bind and search server for service accounts.
//!
//! Public is the program, and a door for `fuzz/` and `tests/`. The folders are floors; an import points down or stays
//! on its floor inside one folder. ARCHITECTURE.md shows the way of a bind, of a search and of a change through them.

/// The program, but for its name: reads the command line, does what it says, and gives the exit code.
pub use cli::run;

#[doc(hidden)]
pub mod inside;

// 6: words typed by a person
mod cli;
// 5: the life of the process
mod server;
// 4: the doors
mod http;
mod ldap;
// 3: the one way to read and to change
mod registry;
// 2: is the secret right, what may be seen, what happened
mod access;
mod audit;
mod auth;
// 1: in memory, on disk, on the network; and the two readers beside them
mod config;
mod directory;
mod ldif;
mod net;
mod store;
// 0: what exists, what time it is
mod clock;
mod file_identity;
mod model;
mod quoted;
mod schema;
mod secret;
mod seldom;
mod users;

#[cfg(test)]
mod imports;
#[cfg(test)]
mod named_tests;
#[cfg(test)]
#[path = "../tests/support/plain.rs"]
mod plain;
#[cfg(test)]
#[path = "../tests/support/rounds.rs"]
mod rounds;
