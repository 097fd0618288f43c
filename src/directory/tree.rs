//! One provider's tree: its entries, and the indexes that find them.

use std::hash::{BuildHasher, Hasher};
use std::hint::black_box;
use std::sync::Arc;

use foldhash::quality::RandomState;
use uuid::Uuid;

use super::accounts::name_key;
use super::common::Common;
use super::compose;
use super::entry::Entry;
use super::entry_id::{EntryId, NUMBER_MAX, virtual_group_uuid};
use super::hash_index::{HashIndex, Postings};
use super::id_set::IdSet;
use super::sparse::Sparse;
use crate::model::{
    Account, AccountKind, AccountNumber, Container, Group, GroupNumber, LdapProvider, Origin, ProviderNumber,
    Record, Timestamp,
};
use crate::schema::dn::is_at_or_below;
use crate::schema::{AttributeId, Dn, MatchingRule, Rdn, Schema, normalize_dn, steps};

/// The entries of one provider and their indexes.
#[derive(Clone)]
pub struct Tree {
    provider: Arc<LdapProvider>,
    /// The normal form of the base DN.
    suffix: Arc<[u8]>,
    /// The domain of userPrincipalName.
    domain: Arc<str>,
    /// The form in which a name ends that has it.
    domain_ending: Arc<[u8]>,
    /// Whether names with that domain bind here.
    binds_by_domain: bool,
    /// The suffix first.
    containers: Arc<[ContainerEntry]>,
    /// Those that the provider names, as it spells them: where nearly all entries stand.
    usual_containers: Arc<[(Box<str>, EntryId)]>,
    /// Entries of accounts and groups, by number.
    entries: Sparse<Arc<Entry>>,
    /// Virtual groups, by the account's number.
    virtual_groups: Sparse<Arc<Entry>>,
    /// What stands directly below each container.
    children: Vec<Arc<IdSet>>,
    by_dn: HashIndex,
    index: HashIndex,
    hasher: RandomState,
}

/// The suffix or a container of a tree.
#[derive(Clone)]
pub struct ContainerEntry {
    entry: Arc<Entry>,
    /// The normal form of the DN.
    normal: Box<[u8]>,
    uuid: Uuid,
    created: Timestamp,
    modified: Timestamp,
    /// Whether accounts stand in it, so that a name in it may stand for a username.
    holds_accounts: bool,
    /// Whether it is there for virtual groups alone.
    holds_virtual_groups: bool,
}

/// Why an object cannot have its entry in a tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// The DN would not be one.
    #[error("`{dn}` is not a distinguished name")]
    Dn {
        /// What it would be.
        dn: String,
    },
    /// The container is not one of the provider's.
    #[error("the provider `{provider}` has no container `{container}`")]
    Container {
        provider: String,
        /// The container, relative to the base DN.
        container: String,
    },
    /// Another entry stands there.
    #[error("the provider `{provider}` has another entry `{dn}`")]
    Taken { provider: String, dn: String },
}

impl ContainerEntry {
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// The normal form of its DN.
    pub(super) fn normal(&self) -> &[u8] {
        &self.normal
    }

    /// Its `entryUUID`.
    pub fn uuid(&self) -> Uuid {
        self.uuid
    }

    /// When the provider was made.
    pub fn created(&self) -> Timestamp {
        self.created
    }

    /// When the provider was last changed.
    pub fn modified(&self) -> Timestamp {
        self.modified
    }

    /// Whether it is there for virtual groups alone.
    pub fn holds_virtual_groups(&self) -> bool {
        self.holds_virtual_groups
    }

    /// Whether it stands directly below the entry.
    pub(super) fn is_below(&self, id: EntryId) -> bool {
        self.entry.parent() == id.raw() && !self.is_suffix()
    }

    fn is_suffix(&self) -> bool {
        self.entry.parent() == NO_PARENT
    }
}

/// What a tree keeps an index of.
#[derive(Clone, Copy)]
enum KeyKind {
    Equality,
    Presence,
    Trigram,
}

impl Tree {
    /// The tree of a provider, with its containers and nobody in them.
    pub(super) fn new(provider: Arc<LdapProvider>, schema: &Schema) -> Result<Self, PlaceError> {
        let base = parse_dn(&provider.base_dn)?;
        let mut tree = Self::bare(provider.clone());
        tree.suffix = normal_form(&provider.base_dn, schema)?.into();
        tree.domain = domain(&provider, &base).into();
        tree.domain_ending = name_key(&format!("@{}", tree.domain)).into();
        tree.binds_by_domain = match provider.domain.as_deref() {
            Some(domain) => !domain.is_empty(),
            None => domain_of(&base).is_some(),
        };
        let mut containers = Vec::new();
        tree.add_container(&mut containers, "", false, schema)?;
        for container in provider.users.iter().chain(&provider.service_accounts) {
            tree.add_container(&mut containers, &container.container, true, schema)?;
        }
        for container in &provider.groups {
            tree.add_container(&mut containers, &container.container, false, schema)?;
        }
        if provider.virtual_groups {
            let place = tree.add_container(&mut containers, VIRTUAL_GROUPS, false, schema)?;
            if let Some(container) = containers.get_mut(usize::from(place)) {
                container.holds_virtual_groups = true;
            }
        }
        tree.containers = containers.into();
        let named = provider.users.iter().chain(&provider.service_accounts).chain(&provider.groups);
        let named = named.map(|container| &*container.container).chain([VIRTUAL_GROUPS]);
        let usual = named.filter_map(|name| Some((name.into(), tree.container_named(name, schema)?)));
        tree.usual_containers = usual.collect();
        Ok(tree)
    }

    /// A tree without any entry, to look at the root DSE and the subschema from.
    pub(super) fn nowhere() -> Self {
        let beginning = Timestamp::from_unix_seconds(0);
        let provider = LdapProvider {
            uuid: Uuid::nil(),
            virtual_groups: false,
            compatibility_attributes: false,
            users: Vec::new(),
            service_accounts: Vec::new(),
            groups: Vec::new(),
            ..LdapProvider::of_name(ProviderNumber::new(0), String::new(), Origin::Unknown, beginning)
        };
        Self::bare(Arc::new(provider))
    }

    /// Without a suffix, without entries.
    fn bare(provider: Arc<LdapProvider>) -> Self {
        Self {
            provider,
            suffix: Arc::new([]),
            domain: "".into(),
            domain_ending: Arc::new([]),
            binds_by_domain: false,
            containers: Arc::new([]),
            usual_containers: Arc::new([]),
            entries: Sparse::new(),
            virtual_groups: Sparse::new(),
            children: Vec::new(),
            by_dn: HashIndex::new(),
            index: HashIndex::new(),
            hasher: RandomState::default(),
        }
    }

    /// The provider whose tree it is.
    pub fn provider(&self) -> &Arc<LdapProvider> {
        &self.provider
    }

    /// The normal form of the base DN.
    pub fn suffix(&self) -> &[u8] {
        &self.suffix
    }

    /// The base DN as it is written.
    pub fn suffix_dn(&self) -> &[u8] {
        self.provider.base_dn.as_bytes()
    }

    /// The domain of userPrincipalName.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The form of what stands before `@` and the domain of userPrincipalName in a name in RFC 4518 caseIgnore form. A domain
    /// has no `@`, so that no two of them end one name.
    pub fn before_domain<'a>(&self, form: &'a [u8]) -> Option<&'a [u8]> {
        form.strip_suffix(&*self.domain_ending)
            .filter(|_| !self.domain.is_empty())
            .map(<[u8]>::trim_ascii_end)
    }

    /// The domain whose `user@domain` names bind here: the provider's own, or that of its base DN.
    pub fn bind_domain(&self) -> Option<&str> {
        self.binds_by_domain.then_some(&*self.domain)
    }

    /// How a name with the domain of userPrincipalName ends, in RFC 4518 caseIgnore form.
    pub(super) fn domain_ending(&self) -> &[u8] {
        &self.domain_ending
    }

    /// How many entries there are, suffix and containers included.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.containers.len() + self.entries.len() + self.virtual_groups.len()
    }

    /// The entry with this id.
    pub fn entry(&self, id: EntryId) -> Option<&Entry> {
        self.shared(id).map(|entry| &**entry)
    }

    /// The same, for who keeps it.
    pub(super) fn shared(&self, id: EntryId) -> Option<&Arc<Entry>> {
        if let Some(number) = id.number() {
            return self.entries.get(number);
        }
        match id.virtual_group_of() {
            Some(account) => self.virtual_groups.get(account.get()),
            None => self.container(id).map(|container| &container.entry),
        }
    }

    /// The suffix or container with this id.
    pub fn container(&self, id: EntryId) -> Option<&ContainerEntry> {
        if id.is_container() { self.containers.get(id.raw() as usize) } else { None }
    }

    /// All ids, in the order of results: the suffix and the containers, each behind what it stands in, accounts and
    /// groups, virtual groups.
    pub fn ids(&self) -> impl Iterator<Item = EntryId> {
        let mut next = Some(0);
        std::iter::from_fn(move || {
            let id = self.next(next?)?;
            next = id.raw().checked_add(1);
            Some(id)
        })
    }

    /// The suffix and the containers, by the order of their ids.
    pub fn containers(&self) -> &[ContainerEntry] {
        &self.containers
    }

    /// What stands directly below a container.
    pub(super) fn children(&self, id: EntryId) -> Option<&IdSet> {
        if id.is_container() {
            self.children.get(id.raw() as usize).map(|children| &**children)
        } else {
            None
        }
    }

    /// The first entry at or behind `id`, in the order of results.
    pub(super) fn next(&self, id: u32) -> Option<EntryId> {
        let id = EntryId::from_raw(id);
        if (id.raw() as usize) < self.containers.len() {
            return Some(id);
        }
        if !id.is_behind_numbers() {
            let number = id.number().unwrap_or(0);
            if let Some((number, _)) = self.entries.next(number) {
                return Some(EntryId::of_account(AccountNumber::new(number)));
            }
        }
        let account = id.virtual_group_of().map_or(0, AccountNumber::get);
        let (number, _) = self.virtual_groups.next(account)?;
        Some(EntryId::of_virtual_group(AccountNumber::new(number)))
    }

    /// The entry whose DN has this normal form.
    pub fn find_normal(&self, normal: &[u8], schema: &Schema) -> Option<EntryId> {
        let mut form = Vec::with_capacity(normal.len());
        self.by_dn.get(self.hash(normal)).ids().map(EntryId::from_raw).find(|id| {
            let Some(entry) = self.entry(*id) else { return false };
            form.clear();
            steps::note(1);
            normalize_dn(entry.dn(), schema, &mut form).is_ok() && form == normal
        })
    }

    /// The same in as many steps whether or not there is one: for whom that may not be told.
    pub(super) fn find_normal_alike(&self, normal: &[u8], schema: &Schema) -> Option<EntryId> {
        let found = self.find_normal(normal, schema);
        if found.is_none() {
            // What is compared with the DN of an entry otherwise, which has about that length.
            let mut form = Vec::with_capacity(normal.len());
            steps::note(1);
            black_box(normalize_dn(normal, schema, &mut form).is_ok() && form == normal);
        }
        found
    }

    /// The suffix or container whose DN has this normal form.
    pub(super) fn find_container(&self, normal: &[u8]) -> Option<EntryId> {
        let place = self.containers.iter().position(|container| *container.normal == *normal)?;
        u16::try_from(place).ok().map(EntryId::of_container)
    }

    /// The deepest container at or above a DN in normal form.
    pub(super) fn container_above(&self, normal: &[u8]) -> Option<&ContainerEntry> {
        self.containers
            .iter()
            .filter(|container| is_at_or_below(normal, &container.normal))
            .max_by_key(|container| container.normal.len())
    }

    /// Whether the entry is `base` or stands somewhere below it.
    pub(super) fn is_at_or_below(&self, entry: &Entry, id: EntryId, base: EntryId) -> bool {
        if base == EntryId::SUFFIX || id == base {
            return true;
        }
        let mut parent = entry.parent();
        while parent != NO_PARENT {
            if parent == base.raw() {
                return true;
            }
            let Some(above) = self.container(EntryId::from_raw(parent)) else { return false };
            parent = above.entry.parent();
        }
        false
    }

    /// The entries whose attribute may have a value with this normal form.
    pub(super) fn with_value(&self, attribute: AttributeId, normal: &[u8]) -> Postings<'_> {
        self.index.get(self.key(KeyKind::Equality, attribute, normal))
    }

    /// The entries that have the attribute, stored.
    pub(super) fn with_attribute(&self, attribute: AttributeId) -> Postings<'_> {
        self.index.get(self.key(KeyKind::Presence, attribute, b""))
    }

    /// The entries in whose normal forms the three octets may stand one behind the other.
    pub(super) fn with_trigram(&self, attribute: AttributeId, trigram: &[u8]) -> Postings<'_> {
        self.index.get(self.key(KeyKind::Trigram, attribute, trigram))
    }

    /// Whether no entry has a uidNumber or gidNumber that would be derived from `number`.
    pub(super) fn is_number_free(&self, number: u32) -> bool {
        let is_free = |attribute: AttributeId, start: u32| {
            let mut form = Vec::new();
            let derived = (u64::from(start) + u64::from(number)).to_string();
            let normal = MatchingRule::Integer.normalize(derived.as_bytes(), &mut form);
            normal.is_err() || matches!(self.with_value(attribute, &form), Postings::None)
        };
        is_free(AttributeId::UID_NUMBER, self.provider.uid_start_number)
            && is_free(AttributeId::GID_NUMBER, self.provider.gid_start_number)
    }

    /// Whether an account can have its entry here, beside those that are there.
    pub fn check_account(&self, account: &Account, schema: &Schema) -> Result<(), PlaceError> {
        self.check(self.place_of(account), EntryId::of_account(account.number), schema)?;
        let common = &mut Common::new(schema);
        if self.provider.virtual_groups && compose::has_derived_gid_number(account, common) {
            let dn = self.virtual_group_dn(account);
            self.check_free(&dn, EntryId::of_virtual_group(account.number), schema)?;
        }
        Ok(())
    }

    /// Whether a group can have its entry here, beside those that are there.
    pub fn check_group(&self, group: &Group, schema: &Schema) -> Result<(), PlaceError> {
        let id = EntryId::of_group(group.number);
        self.check(
            compose::place(&self.provider, &group.placements, &self.provider.groups, &group.name),
            id,
            schema,
        )
    }

    pub(super) fn put_account(&mut self, account: &Account, schema: &Schema) {
        if account.number.get() > NUMBER_MAX {
            return;
        }
        let (entry, virtual_group) = self.account_entries(account, schema, &mut Common::new(schema));
        self.put(EntryId::of_account(account.number), entry, account.uuid, schema);
        let uuid = virtual_group_uuid(account.uuid);
        self.put(EntryId::of_virtual_group(account.number), virtual_group, uuid, schema);
    }

    pub(super) fn delete_account(&mut self, number: AccountNumber, uuid: Uuid, schema: &Schema) {
        if number.get() > NUMBER_MAX {
            return;
        }
        self.put(EntryId::of_account(number), None, uuid, schema);
        let uuid = virtual_group_uuid(uuid);
        self.put(EntryId::of_virtual_group(number), None, uuid, schema);
    }

    pub(super) fn put_group(&mut self, group: &Group, schema: &Schema) {
        let entry = self.group_entry(group, schema, &mut Common::new(schema));
        self.put(EntryId::of_group(group.number), entry, group.uuid, schema);
    }

    pub(super) fn delete_group(&mut self, number: GroupNumber, uuid: Uuid, schema: &Schema) {
        self.put(EntryId::of_group(number), None, uuid, schema);
    }

    /// Hands the entries of an account or group to `each`, with their `entryUUID`s, without putting them in.
    pub(super) fn compose(
        &self,
        record: &Record,
        schema: &Schema,
        common: &mut Common,
        each: &mut dyn FnMut(EntryId, Entry, Uuid),
    ) {
        match record {
            Record::Account(account) if account.number.get() <= NUMBER_MAX => {
                let (entry, virtual_group) = self.account_entries(account, schema, common);
                if let Some(entry) = entry {
                    each(EntryId::of_account(account.number), entry, account.uuid);
                }
                if let Some(entry) = virtual_group {
                    let uuid = virtual_group_uuid(account.uuid);
                    each(EntryId::of_virtual_group(account.number), entry, uuid);
                }
            }
            Record::Group(group) => {
                if let Some(entry) = self.group_entry(group, schema, common) {
                    each(EntryId::of_group(group.number), entry, group.uuid);
                }
            }
            _ => {}
        }
    }

    /// Its indexes: of DNs, of all else.
    pub(super) fn indexes(&self) -> [&HashIndex; 2] {
        [&self.by_dn, &self.index]
    }

    /// Takes all entries at once, with the ids of those that stand directly below each container, into a tree that has none
    /// yet, with indexes that hold what was in its own too.
    pub(super) fn take_entries(
        &mut self,
        entries: Sparse<Arc<Entry>>,
        virtual_groups: Sparse<Arc<Entry>>,
        below: Vec<Vec<u32>>,
        by_dn: HashIndex,
        index: HashIndex,
    ) {
        self.children = below
            .into_iter()
            .zip(&self.children)
            .map(|(ids, containers)| {
                let mut children: IdSet = containers.iter().chain(ids).collect();
                children.shrink();
                Arc::new(children)
            })
            .collect();
        self.entries = entries;
        self.virtual_groups = virtual_groups;
        self.by_dn = by_dn;
        self.index = index;
    }

    fn check(
        &self,
        place: Result<compose::Place, String>,
        id: EntryId,
        schema: &Schema,
    ) -> Result<(), PlaceError> {
        let place = place.map_err(|dn| PlaceError::Dn { dn })?;
        let provider = || self.provider.name.clone();
        if self.container_named(&place.container, schema).is_none() {
            return Err(PlaceError::Container { provider: provider(), container: place.container });
        }
        self.check_free(&place.dn, id, schema)
    }

    fn check_free(&self, dn: &str, id: EntryId, schema: &Schema) -> Result<(), PlaceError> {
        if dn.len() > DN_LENGTH_MAX {
            let beginning: String = dn.chars().take(80).collect();
            return Err(PlaceError::Dn { dn: format!("{beginning}…") });
        }
        match self.find_normal(&normal_form(dn, schema)?, schema) {
            Some(other) if other != id => {
                Err(PlaceError::Taken { provider: self.provider.name.clone(), dn: dn.to_owned() })
            }
            _ => Ok(()),
        }
    }

    fn place_of(&self, account: &Account) -> Result<compose::Place, String> {
        compose::place(&self.provider, &account.placements, self.containers_of(account), &account.username)
    }

    /// An account's entry and its virtual group.
    fn account_entries(
        &self,
        account: &Account,
        schema: &Schema,
        common: &mut Common,
    ) -> (Option<Entry>, Option<Entry>) {
        if account.kind == AccountKind::InternalServiceAccount {
            return (None, None);
        }
        let entry = self.place_of(account).ok().and_then(|place| {
            let parent = self.container_named(&place.container, schema)?;
            let classes = compose::account_classes(common, &self.provider, account);
            let composition = compose::account(schema, &self.provider, account, &place, &classes, common);
            Some(composition.build(&place.dn, parent.raw()))
        });
        let virtual_group = entry.is_some().then(|| self.virtual_group(account, schema, common)).flatten();
        (entry, virtual_group)
    }

    fn group_entry(&self, group: &Group, schema: &Schema, common: &mut Common) -> Option<Entry> {
        let containers = &self.provider.groups;
        let place = compose::place(&self.provider, &group.placements, containers, &group.name).ok()?;
        let parent = self.container_named(&place.container, schema)?;
        let classes = compose::group_classes(common, &self.provider, group);
        let composition = compose::group(schema, &self.provider, group, &place, &classes, common);
        Some(composition.build(&place.dn, parent.raw()))
    }

    fn virtual_group_dn(&self, account: &Account) -> String {
        let rdn = Rdn::new("cn", account.username.as_str());
        format!("{rdn},{VIRTUAL_GROUPS},{}", self.provider.base_dn)
    }

    fn containers_of(&self, account: &Account) -> &[Container] {
        if account.kind.is_person() { &self.provider.users } else { &self.provider.service_accounts }
    }

    fn virtual_group(&self, account: &Account, schema: &Schema, common: &mut Common) -> Option<Entry> {
        if !self.provider.virtual_groups || !compose::has_derived_gid_number(account, common) {
            return None;
        }
        let parent = self.container_named(VIRTUAL_GROUPS, schema)?;
        let dn = self.virtual_group_dn(account);
        let classes = compose::virtual_group_classes(common, &self.provider);
        Some(compose::virtual_group(schema, &self.provider, account, &classes).build(&dn, parent.raw()))
    }

    /// Exchanges an entry, or takes it out, with the keys that lead to it.
    fn put(&mut self, id: EntryId, entry: Option<Entry>, uuid: Uuid, schema: &Schema) {
        let entry = entry.map(Arc::new);
        let (store, number) = match (id.number(), id.virtual_group_of()) {
            (Some(number), _) => (&mut self.entries, number),
            (None, Some(account)) => (&mut self.virtual_groups, account.get()),
            (None, None) => return,
        };
        let before = match entry.clone() {
            Some(entry) => store.insert(number, entry),
            None => store.remove(number),
        };
        let keys = entry.as_ref().map(|entry| self.keys(entry, schema)).unwrap_or_default();
        if let Some(before) = &before {
            for key in self.keys(before, schema) {
                if keys.binary_search(&key).is_err() {
                    self.index.remove(key, id.raw());
                }
            }
            self.by_dn.remove(self.dn_hash(before, schema), id.raw());
            if let Some(children) = self.children.get_mut(before.parent() as usize) {
                Arc::make_mut(children).remove(id.raw());
            }
        }
        if let Some(entry) = &entry {
            for key in keys {
                match before {
                    Some(_) => self.index.insert(key, id.raw()),
                    None => self.index.add(key, id.raw()),
                }
            }
            self.by_dn.insert(self.dn_hash(entry, schema), id.raw());
            if let Some(children) = self.children.get_mut(entry.parent() as usize) {
                Arc::make_mut(children).insert(id.raw());
            }
        }
        let by_uuid = self.uuid_key(uuid);
        match (&entry, &before) {
            (Some(_), _) => self.index.insert(by_uuid, id.raw()),
            (None, Some(_)) => self.index.remove(by_uuid, id.raw()),
            (None, None) => {}
        }
    }

    /// All keys of an entry, sorted.
    fn keys(&self, entry: &Entry, schema: &Schema) -> Vec<u64> {
        let mut keys = Vec::with_capacity(128);
        self.each_key(entry, schema, &mut |key| keys.push(key));
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Hands the keys of an entry's attributes to `each`; one may come twice.
    pub(super) fn each_key(&self, entry: &Entry, schema: &Schema, each: &mut dyn FnMut(u64)) {
        let mut form = Vec::with_capacity(128);
        for stored in entry.attributes() {
            let attribute = schema.attribute(stored.id);
            each(self.key(KeyKind::Presence, stored.id, b""));
            let equality = attribute.equality.filter(|_| attribute.indexes.equality);
            let substrings = attribute.substrings_rule().filter(|_| attribute.indexes.substrings);
            // Rules of one family have one normal form.
            let is_one_form =
                substrings.is_some() && equality.and_then(MatchingRule::substrings_of) == substrings;
            for value in stored.values() {
                form.clear();
                form.push(TRIGRAM_BEGIN);
                let is_normal = equality.is_some_and(|rule| rule.normalize(value, &mut form).is_ok());
                if is_normal {
                    each(self.key(KeyKind::Equality, stored.id, &form[1..]));
                }
                let Some(rule) = substrings else { continue };
                let is_normal = if is_one_form {
                    is_normal
                } else {
                    form.truncate(1);
                    rule.normalize(value, &mut form).is_ok()
                };
                if is_normal {
                    form.push(TRIGRAM_END);
                    form.windows(3).for_each(|three| each(self.key(KeyKind::Trigram, stored.id, three)));
                }
            }
        }
    }

    /// The key of an `entryUUID`.
    pub(super) fn uuid_key(&self, uuid: Uuid) -> u64 {
        self.key(KeyKind::Equality, AttributeId::ENTRY_UUID, uuid.as_bytes())
    }

    /// By what the index of DNs finds an entry.
    pub(super) fn dn_hash(&self, entry: &Entry, schema: &Schema) -> u64 {
        self.hash(&self.dn_form_below(entry, schema).unwrap_or_else(|| dn_form(entry, schema)))
    }

    /// The normal form of the entry's DN, made of its RDN and what is known of the container above. `None`: only the whole DN
    /// tells where the RDN ends, or that it has one.
    pub(super) fn dn_form_below(&self, entry: &Entry, schema: &Schema) -> Option<Vec<u8>> {
        let container = self.containers.get(entry.parent() as usize)?;
        let rdn = entry.dn().get(..memchr::memchr(b',', entry.dn())?)?;
        if memchr::memchr2(b'\\', b'"', rdn).is_some() {
            return None;
        }
        let mut normal = Vec::with_capacity(entry.dn().len() + 16);
        normalize_dn(rdn, schema, &mut normal).ok()?;
        normal.push(b',');
        normal.extend_from_slice(&container.normal);
        Some(normal)
    }

    fn key(&self, kind: KeyKind, attribute: AttributeId, octets: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u32(u32::from(attribute.get()) << 8 | kind as u32);
        hasher.write(octets);
        hasher.finish()
    }

    fn hash(&self, normal_dn: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(normal_dn);
        hasher.finish()
    }

    /// Adds a container with all that stand between it and the suffix; one that is there already
    /// is left as it is.
    fn add_container(
        &mut self,
        containers: &mut Vec<ContainerEntry>,
        relative: &str,
        holds_accounts: bool,
        schema: &Schema,
    ) -> Result<u16, PlaceError> {
        let dn = match relative {
            "" => self.provider.base_dn.clone(),
            relative => format!("{relative},{}", self.provider.base_dn),
        };
        let normal = normal_form(&dn, schema)?;
        if let Some(place) = containers.iter().position(|container| *container.normal == *normal) {
            containers[place].holds_accounts |= holds_accounts;
            return Ok(place as u16);
        }
        let parsed = parse_dn(&dn)?;
        let parent = match relative {
            "" => NO_PARENT,
            relative => {
                let above = parse_dn(relative)?.parent().map(|parent| parent.to_string()).unwrap_or_default();
                u32::from(self.add_container(containers, &above, false, schema)?)
            }
        };
        let rdn: Vec<(String, Vec<u8>)> = parsed
            .rdns()
            .first()
            .map(|rdn| rdn.pairs().iter().map(|ava| (ava.attribute.clone(), ava.value.clone())).collect())
            .unwrap_or_default();
        let id = EntryId::of_container(containers.len() as u16);
        let uuid = compose::container_uuid(&self.provider, relative);
        let entry = compose::container(schema, &rdn, relative.is_empty()).build(&dn, parent);
        for key in self.keys(&entry, schema) {
            self.index.insert(key, id.raw());
        }
        self.index.insert(self.uuid_key(uuid), id.raw());
        self.by_dn.insert(self.hash(&normal), id.raw());
        self.children.push(Arc::new(IdSet::new()));
        if let Some(children) = self.children.get_mut(parent as usize) {
            Arc::make_mut(children).insert(id.raw());
        }
        containers.push(ContainerEntry {
            entry: Arc::new(entry),
            normal: normal.into(),
            uuid,
            created: self.provider.created,
            modified: self.provider.modified,
            holds_accounts,
            holds_virtual_groups: false,
        });
        Ok(id.raw() as u16)
    }

    fn container_named(&self, relative: &str, schema: &Schema) -> Option<EntryId> {
        if let Some((_, id)) = self.usual_containers.iter().find(|(name, _)| **name == *relative) {
            return Some(*id);
        }
        let dn = if relative.is_empty() {
            self.provider.base_dn.clone()
        } else {
            format!("{relative},{}", self.provider.base_dn)
        };
        self.find_container(&normal_form(&dn, schema).ok()?)
    }

    /// The form of the username that a DN in a container of accounts stands for, whether or not there
    /// is such an account.
    pub fn username_in(&self, dn: &[u8], schema: &Schema) -> Option<Vec<u8>> {
        self.name_in(dn, schema).filter(|name| name.is_username).map(|name| name.form)
    }

    /// The form of the name in a DN in a container of accounts, if it stands for a username, or is formed as the DNs of the
    /// container's own entries are, where the name alone tells which DNs are the same.
    pub(super) fn name_in(&self, dn: &[u8], schema: &Schema) -> Option<NameInDn> {
        steps::note(1);
        let leaf = self.leaf_of_accounts(dn, schema)?;
        let is_text = matches!(
            schema.attribute(leaf.attribute).equality,
            None | Some(
                MatchingRule::CaseIgnore
                    | MatchingRule::CaseIgnoreIa5
                    | MatchingRule::CaseExact
                    | MatchingRule::CaseExactIa5
            )
        );
        let mut homes = self.provider.users.iter().chain(&self.provider.service_accounts);
        let is_naming = |home: &Container| {
            schema.find(&home.naming) == Some(leaf.attribute)
                && self.container_named(&home.container, schema) == Some(leaf.container)
        };
        let is_username = leaf.is_alias();
        let is_formed_so = is_username || (is_text && homes.any(is_naming));
        if !is_formed_so {
            return None;
        }
        leaf.name().map(|form| NameInDn { form, is_username })
    }

    /// The entries in containers of accounts whose DN is made of a name, as [`Self::name_in`] takes it.
    pub(super) fn accounts_called(&self, name: &str, schema: &Schema) -> impl Iterator<Item = EntryId> {
        let homes = self.provider.users.iter().chain(&self.provider.service_accounts);
        homes.flat_map(move |home| {
            let container = self.container_named(&home.container, schema).and_then(|id| self.container(id));
            let namings = [home.naming.as_str(), "cn", "uid", "sAMAccountName"];
            namings.into_iter().filter_map(move |naming| {
                let container = String::from_utf8_lossy(container?.entry.dn());
                let normal = normal_form(&format!("{},{container}", Rdn::new(naming, name)), schema).ok()?;
                self.find_normal(&normal, schema)
            })
        })
    }

    /// What stands in front of a container of accounts, if it is one attribute.
    fn leaf_of_accounts(&self, dn: &[u8], schema: &Schema) -> Option<LeafOfAccounts> {
        let dn = Dn::parse(dn).ok()?;
        let [pair] = dn.rdns().first()?.pairs() else { return None };
        let attribute = schema.find(&pair.attribute)?;
        let container = self.find_container(dn.parent()?.normal_form(schema).as_bytes())?;
        if !self.container(container)?.holds_accounts {
            return None;
        }
        Some(LeafOfAccounts { attribute, value: pair.value.clone(), container })
    }
}

/// The name in a DN, in RFC 4518 caseIgnore form.
pub(super) struct NameInDn {
    pub(super) form: Vec<u8>,
    /// Whether it stands for the account of that username, however entries are named.
    pub(super) is_username: bool,
}

struct LeafOfAccounts {
    attribute: AttributeId,
    value: Vec<u8>,
    container: EntryId,
}

impl LeafOfAccounts {
    /// Whether it stands for a username, however entries are named here.
    fn is_alias(&self) -> bool {
        matches!(self.attribute, AttributeId::UID | AttributeId::SAM_ACCOUNT_NAME | AttributeId::CN)
    }

    fn name(&self) -> Option<Vec<u8>> {
        std::str::from_utf8(&self.value).ok().map(name_key)
    }
}

/// The normal form of the entry's DN.
pub(super) fn dn_form(entry: &Entry, schema: &Schema) -> Vec<u8> {
    let mut normal = Vec::with_capacity(entry.dn().len() + 16);
    if normalize_dn(entry.dn(), schema, &mut normal).is_err() {
        normal.clear();
        normal.extend_from_slice(entry.dn());
    }
    normal
}

fn normal_form(dn: &str, schema: &Schema) -> Result<Vec<u8>, PlaceError> {
    let mut normal = Vec::with_capacity(dn.len() + 16);
    normalize_dn(dn.as_bytes(), schema, &mut normal).map_err(|_| PlaceError::Dn { dn: dn.to_owned() })?;
    Ok(normal)
}

fn parse_dn(dn: &str) -> Result<Dn, PlaceError> {
    Dn::parse(dn.as_bytes()).map_err(|_| PlaceError::Dn { dn: dn.to_owned() })
}

/// The provider's domain or, when it has none, that of its base DN.
fn domain(provider: &LdapProvider, base: &Dn) -> String {
    let given = provider.domain.clone().filter(|domain| !domain.is_empty());
    given.or_else(|| domain_of(base)).unwrap_or_else(|| "localdomain".to_owned())
}

/// The `dc` values of a base DN.
fn domain_of(base: &Dn) -> Option<String> {
    let labels: Vec<String> = base
        .rdns()
        .iter()
        .flat_map(|rdn| rdn.pairs())
        .filter(|ava| ava.attribute.eq_ignore_ascii_case("dc"))
        .map(|ava| String::from_utf8_lossy(&ava.value).into_owned())
        .collect();
    (!labels.is_empty()).then(|| labels.join("."))
}

/// The container of virtual groups, relative to the base DN.
pub(super) const VIRTUAL_GROUPS: &str = "ou=virtual-groups";
/// Octets around a normal form, so that its beginning and its end can be looked up; they are in
/// no normal form, which holds no control characters.
pub(super) const TRIGRAM_BEGIN: u8 = 0x01;
pub(super) const TRIGRAM_END: u8 = 0x02;
const NO_PARENT: u32 = u32::MAX;
/// Octets of a DN, as an entry can hold them.
/// No limit of the config: the form of an entry gives it; `container_length_max` and `name_length_max` stay below.
pub const DN_LENGTH_MAX: usize = u16::MAX as usize;
