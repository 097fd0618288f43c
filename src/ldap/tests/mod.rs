//! Whole conversations with the LDAP door, without a socket: [`world`] makes a directory, [`client`] talks to a
//! session, and the other files hold the tables of what must come back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub(super) mod client;
pub(super) mod world;

mod access;
mod attacks;
mod bind_costs;
mod bindings;
mod binds;
mod controls;
mod external;
mod hidden_changes;
mod limits;
mod mutation;
mod operations;
mod orders;
mod overlap;
mod paging;
mod passwords;
mod published;
mod searches;
mod standalone;
mod throttle;
