//! The directory at one revision: immutable once published, the next one made by small copies.

use std::sync::{Arc, OnceLock};

use super::accounts::Accounts;
use super::entry::Entry;
use super::subschema;
use super::tree::{PlaceError, Tree};
use crate::model::{
    Account, Attribute, Change, Group, Key, LdapProvider, Membership, Placement, ProviderNumber, Record,
    Revision, Token,
};
use crate::schema::dn::is_at_or_below;
use crate::schema::{Dn, Schema, normalize_dn};

/// Everything that answers are made from, at one revision.
#[derive(Clone)]
pub struct Snapshot {
    revision: Revision,
    schema: Schema,
    accounts: Accounts,
    trees: Vec<Arc<Tree>>,
    nowhere: Arc<Tree>,
    /// Made when it is first asked for, anew when the schema has changed.
    subschema: Arc<OnceLock<Entry>>,
}

/// Where a snapshot gets whole records from when a tree has to be made anew.
pub trait RecordSource {
    /// Hands every account and group to `visit`.
    fn objects(&self, visit: &mut dyn FnMut(Record)) -> Result<(), String>;
}

impl Snapshot {
    /// The directory before anything was committed.
    pub fn empty() -> Self {
        Self {
            revision: 0,
            schema: Schema::core(),
            accounts: Accounts::new(),
            trees: Vec::new(),
            nowhere: Arc::new(Tree::nowhere()),
            subschema: Arc::default(),
        }
    }

    /// The number of the commit that it shows.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The schema, custom attributes included.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Accounts, groups, roles, credentials, applications.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// The trees of all providers.
    pub fn trees(&self) -> &[Arc<Tree>] {
        &self.trees
    }

    /// A tree without any entry, to look at entries from that stand in none.
    pub fn nowhere(&self) -> &Tree {
        &self.nowhere
    }

    /// The subschema subentry (RFC 4512 section 4.2), readable by anyone.
    pub fn subschema(&self) -> &Entry {
        self.subschema.get_or_init(|| subschema::entry(&self.schema))
    }

    /// The tree of this provider.
    pub fn tree(&self, provider: ProviderNumber) -> Option<&Arc<Tree>> {
        self.trees.iter().find(|tree| tree.provider().number == provider)
    }

    /// The tree whose suffix ends this DN.
    pub fn tree_of(&self, dn: &[u8]) -> Option<&Arc<Tree>> {
        let mut normal = Vec::with_capacity(dn.len() + 16);
        normalize_dn(dn, &self.schema, &mut normal).ok()?;
        self.tree_of_normal(&normal)
    }

    /// The tree whose suffix ends this DN in normal form; the longest suffix wins.
    pub fn tree_of_normal(&self, normal: &[u8]) -> Option<&Arc<Tree>> {
        self.trees
            .iter()
            .filter(|tree| is_at_or_below(normal, tree.suffix()))
            .max_by_key(|tree| tree.suffix().len())
    }

    /// The tree in which bare names are looked up: the default one, or the only one.
    pub fn default_tree(&self) -> Option<&Arc<Tree>> {
        match self.trees.as_slice() {
            [only] => Some(only),
            trees => trees.iter().find(|tree| tree.provider().is_default),
        }
    }

    /// The next snapshot: this one with the changes of one commit. What did not change is shared.
    ///
    /// # Errors
    /// As [`Snapshot::apply_change`].
    pub fn apply(
        &self,
        revision: Revision,
        changes: &[Change],
        source: &dyn RecordSource,
    ) -> Result<Self, String> {
        let mut next = self.clone();
        // What names an account or a group may come before it.
        let mut later = Vec::new();
        for change in changes {
            match change {
                Change::Put(record) if next.is_early(record) => later.push(change),
                change => next.apply_change(change, source)?,
            }
        }
        for change in later {
            next.apply_change(change, source)?;
        }
        next.revision = revision;
        Ok(next)
    }

    /// Carries one change out in place; other holders of shared parts do not see it.
    ///
    /// `source` is asked only when a provider is new or its settings changed, as its entries are
    /// then made anew.
    ///
    /// # Errors
    /// The base DN or a container of a provider is no DN, or what `source` says.
    pub fn apply_change(&mut self, change: &Change, source: &dyn RecordSource) -> Result<(), String> {
        match change {
            Change::Put(Record::Provider(provider)) => {
                if self.put_provider(provider)? {
                    self.fill(provider.number, source)?;
                }
            }
            Change::Put(record) => self.put(record.clone()),
            Change::Delete(key) => self.delete(key),
        }
        Ok(())
    }

    /// Says which commit this is.
    pub fn set_revision(&mut self, revision: Revision) {
        self.revision = revision;
    }

    /// Whether no account or group has a uidNumber or gidNumber that would be derived from `number`.
    pub fn is_number_free(&self, number: u32) -> bool {
        self.trees.iter().all(|tree| tree.is_number_free(number))
    }

    /// Whether the record names an account or a group that is not there yet.
    fn is_early(&self, record: &Record) -> bool {
        match record {
            Record::Membership(membership) => {
                self.accounts.account(membership.account).is_none()
                    || self.accounts.group(membership.group).is_none()
            }
            Record::Token(token) => self.accounts.account(token.account).is_none(),
            _ => false,
        }
    }

    fn put(&mut self, record: Record) {
        match record {
            Record::Account(account) => self.put_account(&account),
            Record::Group(group) => self.put_group(&group),
            Record::Membership(membership) => {
                self.accounts.put_membership(membership.group, membership.account)
            }
            Record::Role(role) => self.accounts.put_role(role),
            Record::Token(token) => self.accounts.put_token(token),
            Record::Application(application) => self.accounts.put_application(application),
            Record::Tombstone(tombstone) => self.accounts.put_tombstone(tombstone),
            Record::Provider(_) | Record::Event(_) => {}
        }
    }

    fn delete(&mut self, key: &Key) {
        match key {
            Key::Account(number) => {
                let Some(uuid) = self.accounts.account(*number).map(|account| account.uuid) else { return };
                self.accounts.delete_account(*number);
                for tree in &mut self.trees {
                    Arc::make_mut(tree).delete_account(*number, uuid, &self.schema);
                }
            }
            Key::Group(number) => {
                let Some(uuid) = self.accounts.group(*number).map(|group| group.uuid) else { return };
                self.accounts.delete_group(*number);
                for tree in &mut self.trees {
                    Arc::make_mut(tree).delete_group(*number, uuid, &self.schema);
                }
            }
            Key::Membership(group, account) => self.accounts.delete_membership(*group, *account),
            Key::Role(number) => self.accounts.delete_role(*number),
            Key::Token(number) => self.accounts.delete_token(*number),
            Key::Application(number) => self.accounts.delete_application(*number),
            Key::Provider(number) => {
                self.accounts.delete_provider(*number);
                self.trees.retain(|tree| tree.provider().number != *number);
            }
            Key::Tombstone(tombstone) => self.accounts.delete_tombstone(tombstone),
            Key::Event(_) => {}
        }
    }

    fn put_account(&mut self, account: &Account) {
        self.learn(&account.attributes, &account.placements);
        self.accounts.put_account(account);
        for tree in &mut self.trees {
            Arc::make_mut(tree).put_account(account, &self.schema);
        }
    }

    fn put_group(&mut self, group: &Group) {
        self.learn(&group.attributes, &group.placements);
        self.accounts.put_group(group);
        for tree in &mut self.trees {
            Arc::make_mut(tree).put_group(group, &self.schema);
        }
    }

    /// Says whether the provider's tree was made anew and lacks its entries.
    fn put_provider(&mut self, provider: &LdapProvider) -> Result<bool, String> {
        let provider = Arc::new(provider.clone());
        self.accounts.put_provider((*provider).clone());
        let tree =
            Tree::new(provider.clone(), &self.schema).map_err(|error: PlaceError| error.to_string())?;
        match self.trees.iter_mut().find(|tree| tree.provider().number == provider.number) {
            Some(there) => *there = Arc::new(tree),
            None => self.trees.push(Arc::new(tree)),
        }
        Ok(self.accounts.account_count() + self.accounts.group_count() > 0)
    }

    /// Puts all accounts and groups, as they are in `source` and still here, into a tree.
    fn fill(&mut self, provider: ProviderNumber, source: &dyn RecordSource) -> Result<(), String> {
        let schema = self.schema.clone();
        let accounts = self.accounts.clone();
        if let Some(tree) = self.trees.iter_mut().find(|tree| tree.provider().number == provider) {
            let tree = Arc::make_mut(tree);
            source.objects(&mut |record| match record {
                Record::Account(account) if accounts.account(account.number).is_some() => {
                    tree.put_account(&account, &schema);
                }
                Record::Group(group) if accounts.group(group.number).is_some() => {
                    tree.put_group(&group, &schema)
                }
                _ => {}
            })?;
            tree.shrink();
        }
        Ok(())
    }

    /// Attribute types that the schema does not know are kept as directoryString.
    fn learn(&mut self, attributes: &[Attribute], placements: &[Placement]) {
        for attribute in attributes {
            self.learn_name(attribute.description.split(';').next().unwrap_or_default());
        }
        for rdn in placements.iter().filter_map(|placement| Dn::parse(placement.rdn.as_bytes()).ok()) {
            rdn.rdns().iter().flat_map(|rdn| rdn.pairs()).for_each(|pair| self.learn_name(&pair.attribute));
        }
    }

    fn learn_name(&mut self, name: &str) {
        // A name that cannot be an attribute's is refused before the commit.
        if self.schema.find(name).is_none()
            && let Ok((schema, _)) = self.schema.with_attribute(name)
        {
            self.schema = schema;
            self.subschema = Arc::default();
        }
    }
}

/// Makes the first snapshot from the records of a store, in whatever order they come.
pub struct SnapshotBuilder {
    snapshot: Snapshot,
    /// What names others waits until all of them are there.
    memberships: Vec<Membership>,
    tokens: Vec<Token>,
    before_providers: Vec<Record>,
    error: Option<String>,
}

impl Default for SnapshotBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl SnapshotBuilder {
    /// Nothing was read yet.
    pub fn new() -> Self {
        Self {
            snapshot: Snapshot::empty(),
            memberships: Vec::new(),
            tokens: Vec::new(),
            before_providers: Vec::new(),
            error: None,
        }
    }

    /// Takes the next record. Providers should come first: what comes before all of them is kept
    /// aside. An account or group between two providers is an error of [`SnapshotBuilder::finish`],
    /// as the second tree would lack it.
    pub fn add(&mut self, record: Record) {
        match record {
            Record::Provider(provider) => {
                if self.snapshot.accounts.account_count() + self.snapshot.accounts.group_count() > 0 {
                    self.error.get_or_insert(format!(
                        "the provider `{}` was read behind accounts that belong into its tree; \
                         read all providers first",
                        provider.name
                    ));
                }
                if let Err(error) = self.snapshot.put_provider(&provider) {
                    self.error.get_or_insert(error);
                }
            }
            Record::Account(_) | Record::Group(_) if self.snapshot.trees.is_empty() => {
                self.before_providers.push(record);
            }
            Record::Membership(membership) => self.memberships.push(membership),
            Record::Token(token) => self.tokens.push(token),
            record => self.snapshot.put(record),
        }
    }

    /// The snapshot of that revision.
    pub fn finish(mut self, revision: Revision) -> Result<Snapshot, String> {
        if let Some(error) = self.error {
            return Err(error);
        }
        self.before_providers.into_iter().for_each(|record| self.snapshot.put(record));
        for membership in self.memberships {
            self.snapshot.accounts.put_membership(membership.group, membership.account);
        }
        self.tokens.into_iter().for_each(|token| self.snapshot.accounts.put_token(token));
        self.snapshot.revision = revision;
        self.snapshot.accounts.shrink();
        for tree in &mut self.snapshot.trees {
            Arc::make_mut(tree).shrink();
        }
        Ok(self.snapshot)
    }
}
