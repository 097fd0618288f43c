//! What a reader may see: everything, or a few named entries.

use std::sync::{Arc, OnceLock};

use super::accounts::name_key;
use super::entry_id::EntryId;
use super::snapshot::Snapshot;
use super::tree::{Tree, dn_form};
use crate::model::Revision;
use crate::schema::steps;

/// What a reader may see of one tree. Made by `access`, obeyed by everything in here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// All entries.
    Full,
    /// The suffix, the containers, and these.
    Own(OwnEntries),
}

/// The entries of a reader without the right to search the full directory: itself, its virtual
/// group, and the groups that it is in, directly or through nesting.
#[derive(Clone, Debug, Default)]
pub struct OwnEntries {
    entries: Arc<[EntryId]>,
    /// Of which snapshot it is made; `None`: of the one that it is asked about.
    revision: Option<Revision>,
    /// Their names in that one, for all clones of this.
    names: Arc<OnceLock<OwnNames>>,
    /// Their names in another one: a page may be of a directory that is not the newest.
    names_before: OnceLock<OwnNames>,
}

/// By which names such a reader can ask for its entries. They are looked up here and never in the indexes
/// of the tree: what those hold, and so what a look-up costs, is a function of everybody's entries.
#[derive(Clone, Debug)]
pub(super) struct OwnNames {
    /// Normal forms of DNs, sorted.
    by_dn: Vec<(Box<[u8]>, EntryId)>,
    /// The RFC 4518 caseIgnore form of the account's name.
    username: Option<(Vec<u8>, EntryId)>,
}

impl OwnEntries {
    /// These entries.
    pub fn new(mut entries: Vec<EntryId>) -> Self {
        entries.sort_unstable();
        entries.dedup();
        Self { entries: entries.into(), ..Self::default() }
    }

    /// The same, to be kept for all who look at the snapshot of this revision.
    pub fn kept_for(self, revision: Revision) -> Self {
        Self { revision: Some(revision), ..self }
    }

    /// The entries, ascending; suffix and containers are not among them.
    pub fn as_slice(&self) -> &[EntryId] {
        &self.entries
    }

    /// Their names in `tree`, the one tree that this is about; made when they are first asked for.
    pub(super) fn names(&self, tree: &Tree, snapshot: &Snapshot) -> &OwnNames {
        let names = || OwnNames::new(&self.entries, tree, snapshot);
        let is_before = self.revision.is_some_and(|revision| revision != snapshot.revision());
        if is_before { self.names_before.get_or_init(names) } else { self.names.get_or_init(names) }
    }
}

impl PartialEq for OwnEntries {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl Eq for OwnEntries {}

impl OwnNames {
    fn new(entries: &[EntryId], tree: &Tree, snapshot: &Snapshot) -> Self {
        let names = entries.iter().filter_map(|id| {
            steps::note(1);
            let entry = tree.entry(*id)?;
            Some((dn_form(entry, snapshot.schema()).into_boxed_slice(), *id))
        });
        let mut by_dn: Vec<_> = names.collect();
        by_dn.sort_unstable();
        let username = entries.iter().find_map(|id| {
            let account = snapshot.accounts().account_of_entry(*id)?;
            Some((name_key(&account.username), *id))
        });
        Self { by_dn, username }
    }

    /// The entry whose DN has this normal form.
    pub(super) fn with_dn(&self, normal: &[u8]) -> Option<EntryId> {
        let place = self.by_dn.binary_search_by(|(own, _)| (**own).cmp(normal)).ok()?;
        self.by_dn.get(place).map(|(_, id)| *id)
    }

    /// The account whose name has this RFC 4518 caseIgnore form.
    pub(super) fn with_username(&self, key: &[u8]) -> Option<EntryId> {
        self.username.as_ref().filter(|(own, _)| own == key).map(|(_, id)| *id)
    }
}

impl Visibility {
    /// What of this may still be seen by who may now see `newer`: no more than either.
    pub fn narrowed(&self, newer: &Self) -> Self {
        match (self, newer) {
            (_, Self::Full) => self.clone(),
            (Self::Full, Self::Own(_)) => newer.clone(),
            (Self::Own(own), Self::Own(now)) if own.entries == now.entries => self.clone(),
            (Self::Own(own), Self::Own(now)) => {
                let both = own.entries.iter().filter(|id| now.entries.binary_search(id).is_ok());
                Self::Own(OwnEntries::new(both.copied().collect()))
            }
        }
    }

    /// What it costs to make the names ready by which a reader asks for its entries, in the unit in which an evaluator
    /// counts.
    pub fn cost_of_names(&self) -> u64 {
        match self {
            Self::Full => 0,
            Self::Own(own) => WORK_OF_A_NAME * own.entries.len() as u64,
        }
    }

    /// Whether the entry may be seen.
    pub fn sees(&self, id: EntryId) -> bool {
        match self {
            Self::Full => true,
            Self::Own(own) => id.is_container() || own.entries.binary_search(&id).is_ok(),
        }
    }
}

/// So much work is it to make the name of an entry ready for comparison.
const WORK_OF_A_NAME: u64 = 8;
