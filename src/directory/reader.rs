//! One reader's look at one tree: entries and values, as far as they may be seen.

use uuid::Uuid;

use super::accounts::{AccountState, Accounts, GroupState};
use super::computed;
use super::entry::Entry;
use super::entry_id::EntryId;
use super::snapshot::Snapshot;
use super::tree::{ContainerEntry, Tree};
use super::visibility::Visibility;
use crate::model::Timestamp;
use crate::schema::{AttributeId, ClassKind, Schema, Syntax, normalize_dn};

/// A snapshot, one of its trees, and what may be seen of it.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    snapshot: &'a Snapshot,
    tree: &'a Tree,
    visibility: &'a Visibility,
}

/// What an entry stands for.
#[derive(Clone, Copy)]
pub enum Subject<'a> {
    /// The suffix or a container.
    Container(&'a ContainerEntry),
    /// An account.
    Account(&'a AccountState),
    /// A group.
    Group(&'a GroupState),
    /// The virtual primary group of an account.
    VirtualGroup(&'a AccountState),
}

impl<'a> Reader<'a> {
    /// A look at `tree`, which belongs to `snapshot`.
    pub fn new(snapshot: &'a Snapshot, tree: &'a Tree, visibility: &'a Visibility) -> Self {
        Self { snapshot, tree, visibility }
    }

    /// The same look with other eyes.
    pub fn with_visibility(&self, visibility: &'a Visibility) -> Self {
        Self { visibility, ..*self }
    }

    /// The schema of the snapshot.
    pub fn schema(&self) -> &'a Schema {
        self.snapshot.schema()
    }

    /// The accounts of the snapshot.
    pub fn accounts(&self) -> &'a Accounts {
        self.snapshot.accounts()
    }

    /// The tree.
    pub fn tree(&self) -> &'a Tree {
        self.tree
    }

    /// What may be seen.
    pub fn visibility(&self) -> &'a Visibility {
        self.visibility
    }

    /// Whether every entry, and so every value, may be seen.
    pub fn sees_everything(&self) -> bool {
        matches!(self.visibility, Visibility::Full)
    }

    /// The entry, if there is one and it may be seen.
    pub fn entry(&self, id: EntryId) -> Option<&'a Entry> {
        if self.visibility.sees(id) { self.tree.entry(id) } else { None }
    }

    /// The entry with this DN, if there is one and it may be seen.
    pub fn find(&self, dn: &[u8]) -> Option<EntryId> {
        self.tree.resolve_seen(dn, self.snapshot, |id| self.visibility.sees(id))
    }

    /// The DN of the deepest entry at or above `dn` that may be seen; empty when there is none.
    pub fn matched_dn(&self, dn: &[u8]) -> &'a [u8] {
        let mut form = Vec::new();
        if normalize_dn(dn, self.schema(), &mut form).is_err() {
            return b"";
        }
        let found = self.tree.ancestors(&form, self.schema()).find(|id| self.visibility.sees(*id));
        found.and_then(|id| self.tree.entry(id)).map_or(b"", |entry| entry.dn())
    }

    /// What the entry stands for.
    pub fn subject(&self, id: EntryId) -> Option<Subject<'a>> {
        if let Some(container) = self.tree.container(id) {
            return Some(Subject::Container(container));
        }
        if let Some(account) = id.virtual_group_of() {
            return self.accounts().account(account).map(|account| Subject::VirtualGroup(account));
        }
        match self.accounts().account_of_entry(id) {
            Some(account) => Some(Subject::Account(account)),
            None => self.accounts().group_of_entry(id).map(|group| Subject::Group(group)),
        }
    }

    /// Hands the values of exactly this attribute type to `each`, stored or computed, until it
    /// says `false`. Secrets have no values.
    pub fn values(
        &self,
        id: EntryId,
        entry: &Entry,
        attribute: AttributeId,
        each: &mut dyn FnMut(&[u8]) -> bool,
    ) {
        let mut is_stored = false;
        for stored in entry.attributes_of(attribute) {
            is_stored = true;
            for value in stored.values() {
                if self.shows_value(attribute, value) && !each(value) {
                    return;
                }
            }
        }
        // An RDN may be made of a computed attribute (`sAMAccountName`): then its value is the one.
        if !is_stored && computed::is_computed(attribute) {
            computed::values(self, id, entry, attribute, each);
        }
    }

    /// Whether a stored value may be seen: one that is a DN below a suffix of ours only when it
    /// names an entry that may be seen, whether or not there is another one of that name.
    pub fn shows_value(&self, attribute: AttributeId, value: &[u8]) -> bool {
        if matches!(self.visibility, Visibility::Full) || !self.is_name(attribute) {
            return true;
        }
        let Some(tree) = self.snapshot.tree_of(value) else { return true };
        // A value is no DN on input, which may stand for a username: it names one entry or none.
        tree.provider().number == self.tree.provider().number
            && self.tree.find(value, self.schema()).is_some_and(|id| self.visibility.sees(id))
    }

    /// Whether every value of the attribute is shown to this reader without being looked at.
    pub fn shows_all_values(&self, attribute: AttributeId) -> bool {
        matches!(self.visibility, Visibility::Full) || !self.is_name(attribute)
    }

    /// How many entries stand directly below.
    pub fn subordinates(&self, id: EntryId) -> usize {
        match self.visibility {
            Visibility::Full => self.tree.children(id).map_or(0, |children| children.len()),
            Visibility::Own(own) => {
                let containers =
                    self.tree.containers().iter().filter(|container| container.is_below(id)).count();
                let entries = own.as_slice().iter().filter_map(|own| self.tree.entry(*own));
                containers + entries.filter(|entry| entry.parent() == id.raw()).count()
            }
        }
    }

    /// The most derived structural class among the entry's.
    pub(super) fn structural_class(&self, entry: &Entry) -> Option<&'a str> {
        let classes = entry.attributes_of(AttributeId::OBJECT_CLASS).flat_map(|attribute| attribute.values());
        let mut found: Option<&'static crate::schema::ObjectClass> = None;
        for class in classes.filter_map(|value| self.schema().class(std::str::from_utf8(value).ok()?)) {
            let is_deeper =
                found.is_none_or(|found| class.superclasses().any(|above| std::ptr::eq(above, found)));
            if class.kind == ClassKind::Structural && is_deeper {
                found = Some(class);
            }
        }
        found.map(|class| class.name())
    }

    fn is_name(&self, attribute: AttributeId) -> bool {
        matches!(self.schema().attribute(attribute).syntax, Syntax::Dn | Syntax::NameAndOptionalUid)
    }
}

impl Subject<'_> {
    /// Its `entryUUID`.
    pub fn uuid(&self) -> Uuid {
        match self {
            Self::Container(container) => container.uuid(),
            Self::Account(account) => account.uuid,
            Self::Group(group) => group.uuid,
            Self::VirtualGroup(account) => virtual_group_uuid(account.uuid),
        }
    }

    /// When it was made.
    pub fn created(&self) -> Timestamp {
        match self {
            Self::Container(container) => container.created(),
            Self::Account(account) | Self::VirtualGroup(account) => account.created,
            Self::Group(group) => group.created,
        }
    }

    /// When it was last changed, as far as somebody may know who `sees_members`.
    pub fn modified(&self, sees_members: bool) -> Timestamp {
        match self {
            Self::Container(container) => container.modified(),
            Self::Account(account) | Self::VirtualGroup(account) => account.modified,
            Self::Group(group) if sees_members => group.modified.max(group.members_modified),
            Self::Group(group) => group.modified,
        }
    }
}

/// The `entryUUID` of an account's virtual group, derived from the account's.
pub(super) fn virtual_group_uuid(account: Uuid) -> Uuid {
    let mut octets = [0; 16];
    let mut hasher = blake3::Hasher::new_derive_key("bindery virtual group entryUUID");
    hasher.update(account.as_bytes()).finalize_xof().fill(&mut octets);
    uuid::Builder::from_custom_bytes(octets).into_uuid()
}
