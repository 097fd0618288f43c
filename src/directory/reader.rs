//! One reader's look at one tree: entries and values, as far as they may be seen.

use std::iter::successors;
use std::sync::Arc;

use uuid::Uuid;

use super::accounts::{AccountState, Accounts, GroupState};
use super::cost::WORK_OF_A_LOOK_UP;
use super::entry::Entry;
use super::entry_id::{EntryId, virtual_group_uuid};
use super::snapshot::Snapshot;
use super::tree::{ContainerEntry, Tree};
use super::visibility::{OwnEntries, Visibility};
use crate::model::{GroupNumber, Timestamp};
use crate::schema::dn::is_at_or_below;
use crate::schema::{AttributeId, ClassKind, MatchingRule, Schema, computed_attributes, normalize_dn, steps};

/// A snapshot, one of its trees, and what may be seen of it.
#[derive(Clone, Copy)]
pub struct TreeReader<'a> {
    snapshot: &'a Snapshot,
    tree: &'a Tree,
    visibility: &'a Visibility,
}

/// What an entry stands for.
#[derive(Clone, Copy)]
pub enum Subject<'a> {
    /// The suffix or a container.
    Container(&'a ContainerEntry),
    Account(&'a AccountState),
    Group(&'a GroupState),
    /// The virtual primary group of an account.
    VirtualGroup(&'a AccountState),
}

impl<'a> Subject<'a> {
    /// The groups that it stands in directly, in the order of their numbers.
    pub(super) fn direct_groups(&self) -> &'a [GroupNumber] {
        match *self {
            Self::Account(account) => &account.groups,
            Self::Group(group) => &group.parents,
            Self::Container(_) | Self::VirtualGroup(_) => &[],
        }
    }
}

impl<'a> TreeReader<'a> {
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

    pub fn tree(&self) -> &'a Tree {
        self.tree
    }

    /// Whether entries carry the attributes of authentik and of Active Directory.
    pub(super) fn has_compatibility_attributes(&self) -> bool {
        self.tree.provider().compatibility_attributes
    }

    /// The types that a question about one is asked of: itself and what is derived from it. To a client of Active
    /// Directory distinguishedName is the DN of the entry, not all that RFC 4519 derives from it.
    pub fn subtypes(&self, attribute: AttributeId) -> &'a [AttributeId] {
        if attribute == AttributeId::DISTINGUISHED_NAME && self.has_compatibility_attributes() {
            return &[AttributeId::DISTINGUISHED_NAME];
        }
        self.snapshot.schema().subtypes(attribute)
    }

    /// The types that a question about is asked of this one too: those among whose [`TreeReader::subtypes`] it is.
    pub fn supertypes(&self, attribute: AttributeId) -> impl Iterator<Item = AttributeId> + use<'a> {
        let (schema, is_alone) = (self.schema(), self.has_compatibility_attributes());
        let above = move |id: &AttributeId| schema.attribute(*id).superior;
        successors(Some(attribute), above)
            .filter(move |id| !is_alone || *id == attribute || *id != AttributeId::DISTINGUISHED_NAME)
    }

    /// The computed attributes that entries may have, user attributes first, in the order of answers.
    pub fn computed_attributes(&self) -> impl Iterator<Item = AttributeId> + use<> {
        computed_attributes(self.has_compatibility_attributes())
    }

    /// What may be seen.
    pub fn visibility(&self) -> &'a Visibility {
        self.visibility
    }

    /// Whether every entry of the tree may be seen.
    pub fn sees_all_entries(&self) -> bool {
        matches!(self.visibility, Visibility::Full | Visibility::Tree(_))
    }

    pub(super) fn snapshot(&self) -> &'a Snapshot {
        self.snapshot
    }

    /// The entry as it is stored, if there is one and it may be seen: for its name and its place. What may be seen of its
    /// values is for [`TreeReader::entry`] to say.
    pub fn stored(&self, id: EntryId) -> Option<&'a Entry> {
        self.shared(id).map(|entry| &**entry)
    }

    pub(super) fn shared(&self, id: EntryId) -> Option<&'a Arc<Entry>> {
        if self.visibility.sees(id) { self.tree.shared(id) } else { None }
    }

    /// The entry that a DN from a client names, if there is one and it may be seen: the one with that DN
    /// or, when there is none, the account whose name `uid=`, `sAMAccountName=` or `cn=` in a container of
    /// accounts stands for.
    pub fn find(&self, dn: &[u8]) -> Option<EntryId> {
        let mut normal = Vec::with_capacity(dn.len() + 16);
        normalize_dn(dn, self.schema(), &mut normal).ok()?;
        self.find_target(dn, &normal)
    }

    /// The same for a DN whose normal form is known.
    pub fn find_target(&self, dn: &[u8], normal: &[u8]) -> Option<EntryId> {
        self.find_normal(normal).or_else(|| self.find_username(&self.tree.username_in(dn, self.schema())?))
    }

    /// The entry whose DN has this normal form, if there is one and it may be seen.
    pub fn find_normal(&self, normal: &[u8]) -> Option<EntryId> {
        match self.visibility {
            Visibility::Full | Visibility::Tree(_) => self.tree.find_normal(normal, self.schema()),
            Visibility::Own(own) => own_named(own, self.tree, self.snapshot, normal),
        }
    }

    /// The account whose name has this RFC 4518 caseIgnore form, if its entry may be seen.
    pub(super) fn find_username(&self, key: &[u8]) -> Option<EntryId> {
        match self.visibility {
            Visibility::Full | Visibility::Tree(_) => {
                let account = self.accounts().account_keyed(key)?;
                let id = EntryId::of_account(account.number);
                self.stored(id).map(|_| id)
            }
            Visibility::Own(own) => {
                own.among_names(self.tree, self.snapshot, |names| names.with_username(key))
            }
        }
    }

    /// The DN of the deepest entry at or above a DN in normal form that may be seen; empty when there is
    /// none. Below a leaf stands nothing: it is the container that the DN lies in, or what stands directly
    /// in that, so two look-ups are enough however long the DN is.
    pub fn matched_dn(&self, normal: &[u8]) -> &'a [u8] {
        let Some(container) = self.tree.container_above(normal) else { return b"" };
        // Without the comma before the container; what is left begins behind its last comma.
        let inside = normal.len().checked_sub(container.normal().len() + 1).and_then(|end| normal.get(..end));
        let leaf = inside.and_then(|inside| {
            let start = memchr::memrchr(b',', inside).map_or(0, |comma| comma + 1);
            self.find_normal(normal.get(start..)?)
        });
        leaf.and_then(|id| self.stored(id)).unwrap_or(container.entry()).dn()
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

    /// How many members an entry may have to show in an attribute, if that is of a group: of what is hidden it says
    /// nothing.
    pub fn members_in(&self, id: EntryId, entry: &Entry, attribute: AttributeId) -> Option<usize> {
        let shown = entry.membership();
        let is_shown = match attribute {
            AttributeId::MEMBER => shown.member,
            AttributeId::UNIQUE_MEMBER => shown.unique_member,
            AttributeId::MEMBER_UID => shown.member_uid,
            _ => false,
        };
        // Most entries show none, and are asked for each attribute.
        if !is_shown {
            return None;
        }
        match self.subject(id) {
            Some(Subject::Group(group)) => Some(match self.visibility {
                Visibility::Full | Visibility::Tree(_) => group.members.len(),
                Visibility::Own(own) => own.as_slice().len(),
            }),
            _ => None,
        }
    }

    /// What it costs to enumerate an attribute's values beside the values themselves: the entry's table is looked
    /// through for it, memberships of who does not see everything are found by asking its own entries, and some values
    /// are computed from others.
    pub(super) fn cost_of_values(&self, id: EntryId, entry: &Entry, attribute: AttributeId) -> u64 {
        entry.cost_of_table() + self.cost_of_computing(id, entry, attribute)
    }

    /// What it costs to compute the values of an attribute of an entry, beside the values themselves.
    pub fn cost_of_computing(&self, id: EntryId, entry: &Entry, attribute: AttributeId) -> u64 {
        let own = || match self.visibility {
            Visibility::Own(own) => own.as_slice().len() as u64,
            Visibility::Full | Visibility::Tree(_) => 0,
        };
        match attribute {
            AttributeId::MEMBER | AttributeId::UNIQUE_MEMBER | AttributeId::MEMBER_UID => own(),
            AttributeId::HAS_SUBORDINATES | AttributeId::NUM_SUBORDINATES if id.is_container() => {
                self.tree.containers().len() as u64 + own()
            }
            AttributeId::STRUCTURAL_OBJECT_CLASS => {
                let classes = entry.attributes_of(AttributeId::OBJECT_CLASS);
                classes.map(|classes| WORK_OF_A_CLASS * classes.values().count() as u64).sum()
            }
            AttributeId::AK_SUPERUSER => match self.subject(id) {
                Some(Subject::Account(account)) => account.groups.len() as u64,
                _ => 0,
            },
            // Whether somebody else has the name is looked up.
            AttributeId::USER_PRINCIPAL_NAME | AttributeId::SAM_ACCOUNT_NAME => WORK_OF_A_LOOK_UP,
            _ => 0,
        }
    }

    /// Whether a stored value that is the name of an entry may be seen: below a suffix of ours only when it
    /// names an entry that may be seen in the tree it lies in, whether or not there is another one of that name. Who sees
    /// all of that tree sees it whether or not there is one.
    pub(super) fn shows_name(&self, value: &[u8]) -> bool {
        if self.sees_all_entries() && self.stands_plainly_here(value) {
            return true;
        }
        let mut normal = Vec::with_capacity(value.len() + 16);
        normalize_dn(value, self.schema(), &mut normal).is_err() || self.shows_normal(&normal)
    }

    /// Whether a name that is one stands in this tree, as its octets alone tell: behind them is the suffix as it is written,
    /// before it nothing that a comma could belong to, and no other tree begins there. `false`: ask the normal form.
    fn stands_plainly_here(&self, value: &[u8]) -> bool {
        let suffix = self.tree.suffix_dn();
        let before = value.strip_suffix(suffix).and_then(|before| before.strip_suffix(b","));
        !suffix.is_empty()
            && before.is_some_and(|before| !before.iter().any(|octet| br#"\"+;<>#"#.contains(octet)))
            && self.visibility.is_whole(self.snapshot.revision(), || {
                let own = self.tree.provider().number;
                let mut others = self.snapshot.trees().iter().filter(|other| other.provider().number != own);
                !others.any(|other| is_at_or_below(other.suffix(), self.tree.suffix()))
            })
    }

    /// The same of its normal form.
    pub(super) fn shows_normal(&self, normal: &[u8]) -> bool {
        let Some(tree) = self.snapshot.tree_of_normal(normal) else { return true };
        let provider = tree.provider().number;
        let seen = match self.visibility {
            seen if provider == self.tree.provider().number => Some(seen),
            Visibility::Full => return true,
            Visibility::Tree(elsewhere) => elsewhere.of(provider),
            Visibility::Own(own) => own.elsewhere().of(provider),
        };
        match seen {
            None => false,
            Some(Visibility::Full | Visibility::Tree(_)) => true,
            // A value is no DN on input, which may stand for a username: it names one entry or none.
            Some(Visibility::Own(own)) => own_named(own, tree, self.snapshot, normal).is_some(),
        }
    }

    /// The normal forms of an attribute's values, where they are kept: of what the subschema publishes.
    pub(super) fn kept_forms(
        &self,
        entry: &Entry,
        attribute: AttributeId,
        rule: MatchingRule,
    ) -> Option<&'a [Box<[u8]>]> {
        if rule != MatchingRule::ObjectIdentifierFirstComponent {
            return None;
        }
        let subschema = self.snapshot.subschema_of_now();
        if std::ptr::eq(&**subschema.entry(), entry) { subschema.forms(attribute, rule) } else { None }
    }

    /// How many entries stand directly below.
    pub fn subordinates(&self, id: EntryId) -> usize {
        match self.visibility {
            Visibility::Full | Visibility::Tree(_) => {
                self.tree.children(id).map_or(0, |children| children.len())
            }
            // Only containers have something below them.
            Visibility::Own(_) if !id.is_container() => 0,
            Visibility::Own(own) => {
                let containers =
                    self.tree.containers().iter().filter(|container| container.is_below(id)).count();
                let entries = own.as_slice().iter().inspect(|_| steps::note(1));
                let entries = entries.filter_map(|own| self.tree.entry(*own));
                containers + entries.filter(|entry| entry.parent() == id.raw()).count()
            }
        }
    }

    /// The most derived structural class among the entry's.
    pub(super) fn structural_class(&self, entry: &Entry) -> Option<&'a str> {
        let classes = entry.attributes_of(AttributeId::OBJECT_CLASS).flat_map(|attribute| attribute.values());
        let mut found: Option<&'static crate::schema::ObjectClass> = None;
        for class in classes.filter_map(|value| self.schema().class(std::str::from_utf8(value).ok()?)) {
            steps::note(1);
            let is_deeper =
                found.is_none_or(|found| class.superclasses().any(|above| std::ptr::eq(above, found)));
            if class.kind == ClassKind::Structural && is_deeper {
                found = Some(class);
            }
        }
        found.map(|class| class.name())
    }
}

/// The entry in `tree` that a reader with these entries knows by this normal form of its DN.
fn own_named(own: &OwnEntries, tree: &Tree, snapshot: &Snapshot, normal: &[u8]) -> Option<EntryId> {
    tree.find_container(normal).or_else(|| own.among_names(tree, snapshot, |names| names.with_dn(normal)))
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

/// So much work is it to look up a class and those above it.
const WORK_OF_A_CLASS: u64 = 4;
