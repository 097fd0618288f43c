//! Values that authentik's clients must find and that say nothing in bindery, which has no flows, no policies of its
//! own and one certificate. They never change, so that what a client keeps of them stays true.

use uuid::Uuid;

/// The name of every flow in addresses.
pub(super) const FLOW_SLUG: &str = "bindery";
/// The certificate of the server, whichever is in force: it is renewed, and what refers to it goes on doing so.
pub(super) const CERTIFICATE: Uuid = Uuid::from_u128(0x6269_6e64_6572_4900_8000_0000_0000_0002);
