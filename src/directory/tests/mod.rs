//! Tests of the whole room: searches against a slow reference, changes against building anew,
//! what is hidden against what is not there, entries against the schema.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod changes;
mod composition;
pub(crate) mod fixture;
mod reference;
mod searches;
