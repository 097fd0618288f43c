//! Session tracking (draft-wahl-ldap-session-03): for whom a client works, for the log.

use super::{in_value, value_of};
use crate::ldap::ber::tag;
use crate::ldap::message::{Control, Fault};

pub(super) const OID: &str = "1.3.6.1.4.1.21008.108.63.1";

/// For whom a client works, as it says: nobody has checked it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ldap) struct SessionTracking<'a> {
    /// The address of its client.
    pub(in crate::ldap) source: &'a str,
    /// The name of its client.
    pub(in crate::ldap) name: &'a str,
    /// What `identifier` is, as an OID.
    pub(in crate::ldap) format: &'a str,
    /// A session, an account or the like.
    pub(in crate::ldap) identifier: &'a str,
}

impl<'a> SessionTracking<'a> {
    pub(super) fn decode(control: &Control<'a>) -> Result<Self, Fault> {
        let mut reader = value_of(control, tag::SEQUENCE)?;
        let mut text = || {
            let text = reader.string().map_err(in_value)?;
            if text.len() > TEXT_OCTETS_MAX { Err(Fault::ControlValue) } else { Ok(text) }
        };
        let tracking = Self { source: text()?, name: text()?, format: text()?, identifier: text()? };
        reader.ignore_rest().map_err(in_value)?;
        Ok(tracking)
    }

    /// What stands beside every line of the log that is written while it is entered. The texts are the client's own,
    /// so they are written with their control characters escaped.
    pub(in crate::ldap) fn span(&self) -> tracing::Span {
        let Self { source, name, format, identifier } = self;
        tracing::info_span!(target: "audit", "session", ?source, ?name, ?format, ?identifier)
    }
}

/// Octets of each of its texts; the draft gives 128 for the address and 1,024 for the others.
/// No limit of the config: the draft gives it.
const TEXT_OCTETS_MAX: usize = 1_024;
