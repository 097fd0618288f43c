//! One file for each operation: a decoded request, the snapshot, and the octets of its answer.

pub(super) mod bind;
pub(super) mod compare;
pub(super) mod extended;
pub(super) mod gate;
pub(super) mod password_modify;
mod sasl;
pub(super) mod search;
pub(super) mod update;

pub(super) use sasl::account_of;
