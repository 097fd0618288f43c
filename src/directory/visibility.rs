//! What a reader may see: everything, or a few named entries.

use super::entry_id::EntryId;

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnEntries(Vec<EntryId>);

impl OwnEntries {
    /// These entries.
    pub fn new(mut entries: Vec<EntryId>) -> Self {
        entries.sort_unstable();
        entries.dedup();
        Self(entries)
    }

    /// The entries, ascending; suffix and containers are not among them.
    pub fn as_slice(&self) -> &[EntryId] {
        &self.0
    }
}

impl Visibility {
    /// Whether the entry may be seen.
    pub fn sees(&self, id: EntryId) -> bool {
        match self {
            Self::Full => true,
            Self::Own(own) => id.is_container() || own.0.binary_search(&id).is_ok(),
        }
    }
}
