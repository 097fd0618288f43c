//! What a salvage asks of those above the store, and what has come of it.

use std::collections::BTreeMap;

use crate::model::{CustomAttribute, Event, EventDigest, LdapProvider, Revision, Trail};

/// What the store cannot decide by itself.
pub struct SalvageRules<'a> {
    /// The digest of an event, by which the one behind it is held to it.
    pub digest: &'a dyn Fn(&Event) -> EventDigest,
    /// Why a provider makes no directory with these attribute types; `None`: it does.
    pub misfit: &'a dyn Fn(&[CustomAttribute], &LdapProvider) -> Option<String>,
    /// The form of a name that two names have in common when they are the same.
    pub name_key: &'a dyn Fn(&str) -> Vec<u8>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Salvaged {
    /// Of each of the three sources, what could be read.
    pub sources: Vec<String>,
    /// What is known to have been there and is not, by kind, number and name.
    pub missing: Vec<Missing>,
    /// What is there and was left out, with the reason.
    pub left_out: Vec<String>,
    /// What lost a reference to something that is missing.
    pub changed: Vec<String>,
    /// Of which only an earlier version was whole.
    pub earlier: Vec<String>,
    /// How many events of each trail are missing.
    pub events_missing: BTreeMap<Trail, u64>,
    /// How many records the newest description counts; `None`: no description was found.
    pub records_expected: Option<u64>,
    /// How many there are now.
    pub records: u64,
    /// The newest revision of which anything was found.
    pub revision: Revision,
}

impl Salvaged {
    /// Whether nothing is known to be missing, and nothing was left out, changed, or found in an earlier version.
    pub(super) fn is_complete(&self) -> bool {
        self.missing.is_empty()
            && self.left_out.is_empty()
            && self.changed.is_empty()
            && self.earlier.is_empty()
            && self.events_missing.is_empty()
    }
}

/// An object that is gone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    /// What it is: `account`, `token`.
    pub kind: &'static str,
    pub number: u32,
    /// Its last name in the audit trail.
    pub name: Option<String>,
}
