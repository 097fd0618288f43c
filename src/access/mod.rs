//! What may this identity do and see, in this snapshot? Everything is denied unless granted.
//!
//! Nothing here outlives a revision: tokens are looked up in the snapshot for every operation, rights and bindings for
//! every revision ([`Entitlements`]), so that granting and taking away act on open connections at once.

mod admissible;
mod admission;
mod binding;
mod binding_reason;
mod explain;
mod identity;
mod limits;
mod rights;
mod visibility;

pub use admissible::{Admissible, AskedFor};
pub use admission::{NotAdmitted, admit_to, admit_to_before};
pub use explain::{Bound, Explanation, Found, Question, explain};
pub use identity::{Credential, Holder, Identity, Invalid};
pub use rights::{Missing, Rights, decide, holds, missing};
pub use visibility::{Denied, Entitlements, admitted, authorise, sees_all, visibility_of};

#[cfg(test)]
mod tests;
