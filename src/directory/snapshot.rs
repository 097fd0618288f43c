//! The directory at one revision: immutable once published, the next one made by small copies.

use std::sync::{Arc, OnceLock};

use rpds::RedBlackTreeMapSync;

use super::accounts::Accounts;
use super::bulk::{Bulk, Means, Unread};
use super::custom::{custom_type, unknown_attributes, with_custom};
use super::entry::Entry;
use super::subschema::Subschema;
use super::tree::{PlaceError, Tree};
use crate::model::{
    Account, AttributeNumber, Change, CustomAttribute, Group, Key, LdapProvider, Membership, ProviderNumber,
    Record, Revision, Timestamp, Token,
};
use crate::schema::dn::is_at_or_below;
use crate::schema::{AttributeId, Schema, normalize_dn};

/// Everything that answers are made from, at one revision.
#[derive(Clone)]
pub struct Snapshot {
    revision: Revision,
    /// The core table with `custom`.
    schema: Schema,
    /// The custom attribute types, each with its place in the schema.
    custom: RedBlackTreeMapSync<AttributeNumber, (Arc<CustomAttribute>, AttributeId)>,
    accounts: Accounts,
    trees: Vec<Arc<Tree>>,
    nowhere: Arc<Tree>,
    /// Since when the schema is as it is.
    schema_since: Timestamp,
    /// Made when it is first asked for, anew when what it tells has changed.
    subschema: Arc<OnceLock<Subschema>>,
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
            custom: RedBlackTreeMapSync::new_sync(),
            accounts: Accounts::new(),
            trees: Vec::new(),
            nowhere: Arc::new(Tree::nowhere()),
            schema_since: Timestamp::from_unix_seconds(0),
            subschema: Arc::default(),
        }
    }

    /// The number of the commit that it shows.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The schema, custom attribute types included.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The custom attribute types, in the order in which they were made.
    pub fn custom_attributes(&self) -> impl Iterator<Item = &Arc<CustomAttribute>> {
        self.custom.values().map(|(attribute, _)| attribute)
    }

    /// The custom attribute type with this number.
    pub fn custom_attribute(&self, number: AttributeNumber) -> Option<&Arc<CustomAttribute>> {
        self.custom.get(&number).map(|(attribute, _)| attribute)
    }

    /// The custom attribute type of this name, in any case.
    pub fn custom_attribute_named(&self, name: &str) -> Option<&Arc<CustomAttribute>> {
        self.custom_attributes().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
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
    pub fn nowhere(&self) -> &Arc<Tree> {
        &self.nowhere
    }

    /// The subschema subentry (RFC 4512 section 4.2), readable by anyone.
    pub fn subschema(&self) -> &Arc<Entry> {
        self.subschema_of_now().entry()
    }

    /// The same, with what its values are compared by.
    pub(super) fn subschema_of_now(&self) -> &Subschema {
        self.subschema.get_or_init(|| {
            let first = self.trees.iter().map(|tree| tree.provider()).min_by_key(|provider| provider.number);
            Subschema::new(&self.schema, self.schema_since, first.map(|provider| &**provider))
        })
    }

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
        self.tree_with_shorter_suffix(normal, usize::MAX)
    }

    /// The same among the suffixes whose normal form has fewer octets: what there is to see of a DN when the tree with
    /// the longer suffix does not exist for somebody.
    pub fn tree_with_shorter_suffix(&self, normal: &[u8], octets: usize) -> Option<&Arc<Tree>> {
        self.trees
            .iter()
            .filter(|tree| tree.suffix().len() < octets && is_at_or_below(normal, tree.suffix()))
            .max_by_key(|tree| tree.suffix().len())
    }

    /// The tree in which bare names are looked up: the default one, or the only one.
    pub fn default_tree(&self) -> Option<&Arc<Tree>> {
        match self.trees.as_slice() {
            [only] => Some(only),
            trees => trees.iter().find(|tree| tree.provider().is_default),
        }
    }

    /// Carries one change out in place; other holders of shared parts do not see it.
    ///
    /// `source` is asked only when a provider is new or its settings changed, or the syntax of an
    /// attribute type, as entries are then made anew.
    ///
    /// # Errors
    /// The base DN or a container of a provider is no DN, or what `source` says.
    pub fn apply_change(&mut self, change: &Change, source: &dyn RecordSource) -> Result<(), String> {
        match change {
            Change::Put(Record::Provider(provider)) => {
                if self.put_provider(provider)? {
                    self.fill(&[provider.number], source)?;
                }
            }
            Change::Put(Record::CustomAttribute(attribute)) => {
                if self.put_custom_attribute(attribute) {
                    self.make_trees_anew(source)?;
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

    /// Since when the schema is as it is.
    pub fn schema_since(&self) -> Timestamp {
        self.schema_since
    }

    /// Says since when the schema is as it is: the start of the server, as the core table may be another than that of the
    /// server before, or the last change of a custom attribute type after it.
    pub fn set_schema_since(&mut self, since: Timestamp) {
        self.schema_since = since;
        self.subschema = Arc::default();
    }

    /// Whether no account or group has a uidNumber or gidNumber that would be derived from `number`.
    pub fn is_number_free(&self, number: u32) -> bool {
        self.trees.iter().all(|tree| tree.is_number_free(number))
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
            Record::Usage(usage) => self.accounts.put_usage(usage),
            Record::CustomAttribute(attribute) => {
                self.put_custom_attribute(&attribute);
            }
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
                self.subschema = Arc::default();
                self.trees.retain(|tree| tree.provider().number != *number);
            }
            Key::CustomAttribute(number) => {
                if let Some((_, id)) = self.custom.get(number).cloned() {
                    self.custom.remove_mut(number);
                    self.set_schema(self.schema.without(id));
                }
            }
            Key::Tombstone(tombstone) => self.accounts.delete_tombstone(tombstone),
            Key::Usage(of) => self.accounts.delete_usage(*of),
            Key::Event(_) => {}
        }
    }

    /// Says whether entries that are there were made with another declaration of the type.
    fn put_custom_attribute(&mut self, attribute: &CustomAttribute) -> bool {
        let (schema, id, is_other) = match self.custom.get(&attribute.number) {
            None => match with_custom(&self.schema, attribute) {
                Some((schema, id)) => (schema, id, false),
                None => return false,
            },
            Some((before, id)) => match self.schema.with_changed(*id, &custom_type(attribute)) {
                Ok(schema) => {
                    let is_other = before.name != attribute.name || before.syntax != attribute.syntax;
                    (schema, *id, is_other)
                }
                // Refused before the commit.
                Err(_) => return false,
            },
        };
        self.custom.insert_mut(attribute.number, (Arc::new(attribute.clone()), id));
        self.set_schema(schema);
        is_other
    }

    fn set_schema(&mut self, schema: Schema) {
        self.schema = schema;
        self.subschema = Arc::default();
    }

    fn put_account(&mut self, account: &Account) {
        self.accounts.put_account(account);
        for tree in &mut self.trees {
            Arc::make_mut(tree).put_account(account, &self.schema);
        }
    }

    fn put_group(&mut self, group: &Group) {
        self.accounts.put_group(group);
        for tree in &mut self.trees {
            Arc::make_mut(tree).put_group(group, &self.schema);
        }
    }

    /// Says whether the provider's tree was made anew and lacks its entries.
    fn put_provider(&mut self, provider: &LdapProvider) -> Result<bool, String> {
        let provider = Arc::new(provider.clone());
        self.accounts.put_provider((*provider).clone());
        self.subschema = Arc::default();
        let tree =
            Tree::new(provider.clone(), &self.schema).map_err(|error: PlaceError| error.to_string())?;
        match self.trees.iter_mut().find(|tree| tree.provider().number == provider.number) {
            Some(there) => *there = Arc::new(tree),
            None => self.trees.push(Arc::new(tree)),
        }
        Ok(self.accounts.account_count() + self.accounts.group_count() > 0)
    }

    /// Makes all trees anew: their entries were made with another schema.
    fn make_trees_anew(&mut self, source: &dyn RecordSource) -> Result<(), String> {
        let providers: Vec<Arc<LdapProvider>> =
            self.trees.iter().map(|tree| tree.provider().clone()).collect();
        for provider in &providers {
            self.put_provider(provider)?;
        }
        let numbers: Vec<ProviderNumber> = providers.iter().map(|provider| provider.number).collect();
        self.fill(&numbers, source)
    }

    /// Puts all accounts and groups, as they are in `source` and still here, into the trees of these providers.
    fn fill(&mut self, providers: &[ProviderNumber], source: &dyn RecordSource) -> Result<(), String> {
        let Self { schema, accounts, trees, .. } = self;
        let is_empty = |tree: &&Arc<Tree>| providers.contains(&tree.provider().number);
        let empty = trees.iter().filter(is_empty).map(|tree| Tree::clone(tree)).collect();
        let mut bulk = Bulk::new(None, empty, Means::alone());
        source.objects(&mut |record| {
            let is_here = match &record {
                Record::Account(account) => accounts.account(account.number).is_some(),
                Record::Group(group) => accounts.group(group.number).is_some(),
                _ => false,
            };
            if is_here {
                bulk.add(record, schema);
            }
        })?;
        self.take_trees(bulk.finish(&self.schema)?.trees);
        Ok(())
    }

    /// Takes trees in place of those of the same providers.
    fn take_trees(&mut self, made: Vec<Tree>) {
        for made in made {
            let number = made.provider().number;
            if let Some(tree) = self.trees.iter_mut().find(|tree| tree.provider().number == number) {
                *tree = Arc::new(made);
            }
        }
    }
}

/// Makes the first snapshot from the records of a store, in whatever order they come.
pub struct SnapshotBuilder {
    snapshot: Snapshot,
    /// From the first account or group behind the providers on.
    bulk: Option<Bulk>,
    means: Means,
    /// What names others waits until all of them are there.
    memberships: Vec<Membership>,
    tokens: Vec<Token>,
    /// Accounts and groups that came before the providers.
    early: Vec<Record>,
    /// Providers that came before an attribute type that their names use.
    early_providers: Vec<LdapProvider>,
    error: Option<String>,
}

impl Default for SnapshotBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl SnapshotBuilder {
    /// Nothing was read yet. Many records are given to threads on all cores.
    pub fn new() -> Self {
        Self::with_means(Means::all())
    }

    pub(super) fn with_means(means: Means) -> Self {
        Self {
            snapshot: Snapshot::empty(),
            bulk: None,
            means,
            memberships: Vec::new(),
            tokens: Vec::new(),
            early: Vec::new(),
            early_providers: Vec::new(),
            error: None,
        }
    }

    /// Takes the next record; of each account and group there is one. Custom attribute types, then providers should
    /// come first, as they do from a store: what comes before one that it needs is kept aside. An account or group
    /// between two providers is an error of [`SnapshotBuilder::finish`], as the second tree would lack it.
    pub fn add(&mut self, record: Record) {
        match record {
            Record::Provider(provider) => {
                let record = Record::Provider(provider.clone());
                if unknown_attributes(&self.snapshot.schema, &record).is_empty() {
                    self.add_provider(&provider);
                } else {
                    self.early_providers.push(provider);
                }
            }
            Record::Account(_) | Record::Group(_) if self.snapshot.trees.is_empty() => {
                self.early.push(record);
            }
            Record::Account(_) | Record::Group(_) => self.add_object(record),
            Record::Membership(membership) => self.memberships.push(membership),
            Record::Token(token) => self.tokens.push(token),
            record => self.snapshot.put(record),
        }
    }

    /// Takes records that are read on other threads, once custom attribute types and providers were added.
    pub fn add_unread(&mut self, unread: Unread) {
        if self.snapshot.trees.is_empty() {
            return unread(&mut |record| self.add(record.clone()));
        }
        let (bulk, schema) = self.bulk();
        bulk.add_unread(unread, schema);
    }

    pub fn finish(mut self, revision: Revision) -> Result<Snapshot, String> {
        for provider in std::mem::take(&mut self.early_providers) {
            self.add_provider(&provider);
        }
        if let Some(error) = self.error {
            return Err(error);
        }
        for record in std::mem::take(&mut self.early) {
            self.add_object(record);
        }
        if let Some(bulk) = self.bulk.take() {
            let made = bulk.finish(&self.snapshot.schema)?;
            self.memberships.extend(made.others.memberships);
            self.snapshot.accounts.take(made.accounts, self.memberships);
            self.memberships = Vec::new();
            self.snapshot.take_trees(made.trees);
            made.others.records.into_iter().for_each(|record| self.add(record));
        }
        let mut snapshot = self.snapshot;
        snapshot.accounts.put_tokens(self.tokens);
        snapshot.revision = revision;
        Ok(snapshot)
    }

    fn add_object(&mut self, record: Record) {
        let (bulk, schema) = self.bulk();
        bulk.add(record, schema);
    }

    fn bulk(&mut self) -> (&mut Bulk, &Schema) {
        let Self { snapshot, means, .. } = self;
        let bulk = self.bulk.get_or_insert_with(|| {
            let trees = snapshot.trees.iter().map(|tree| Tree::clone(tree)).collect();
            Bulk::new(Some(&snapshot.accounts), trees, *means)
        });
        (bulk, &snapshot.schema)
    }

    fn add_provider(&mut self, provider: &LdapProvider) {
        if self.bulk.is_some() {
            self.error.get_or_insert(format!(
                "the provider `{}` was read behind accounts that belong into its tree; read all providers first",
                provider.name
            ));
        }
        if let Err(error) = self.snapshot.put_provider(provider) {
            self.error.get_or_insert(error);
        }
    }
}
