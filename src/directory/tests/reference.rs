//! A slow and simple reading of RFC 4511 section 4.5.1.7 and of the rules of visibility, over plain
//! lists: no index, no plan, nothing prepared. Only matching rules and names are asked of the schema.

use std::collections::BTreeSet;

use super::fixture::{World, normal};
use crate::directory::filter::{FilterItem, PartPosition};
use crate::directory::{EntryId, Snapshot, Truth, name_key};
use crate::model::{AccountNumber, GroupNumber, LdapProvider};
use crate::schema::time::generalized_time;
use crate::schema::{AttributeId, ClassKind, Dn, MatchingRule, RuleKind, Schema, Syntax};

/// What one reader sees of one provider's directory.
pub(super) struct Reference<'a> {
    world: &'a World,
    provider: &'a LdapProvider,
    schema: Schema,
    /// In the order of ids.
    pub(super) entries: Vec<Entry>,
}

/// Takes the class away that an entry has for an attribute which no other class allows, where it has none.
fn close(world: &World, schema: &Schema, entry: &mut Entry) {
    let given = match entry.kind {
        Kind::Account(number) => &world.accounts[&number].object_classes,
        Kind::Group(number) => &world.groups[&number].object_classes,
        Kind::Container | Kind::Virtual(_) => return,
    };
    let is_extensible = |class: &[u8]| class.eq_ignore_ascii_case(b"extensibleObject");
    if given.iter().any(|class| is_extensible(class.as_bytes())) {
        return;
    }
    let types: Vec<AttributeId> = entry
        .attributes
        .iter()
        .map(|(description, _)| schema.find(description.split(';').next().unwrap()).unwrap())
        .collect();
    let Some((_, classes)) =
        entry.attributes.iter_mut().find(|(description, _)| description == "objectClass")
    else {
        return;
    };
    let others: Vec<_> = classes
        .iter()
        .filter(|class| !is_extensible(class))
        .map(|class| schema.class(std::str::from_utf8(class).unwrap()))
        .collect();
    let is_needed = types.iter().any(|id| {
        !schema.attribute(*id).is_operational() && !others.iter().flatten().any(|class| class.allows(*id))
    });
    if !is_needed {
        classes.retain(|class| !is_extensible(class));
    }
}

/// An entry as a reader sees it.
pub(super) struct Entry {
    pub(super) id: EntryId,
    pub(super) dn: String,
    pub(super) normal: Vec<u8>,
    kind: Kind,
    /// Descriptions and values, computed ones included.
    pub(super) attributes: Vec<(String, Vec<Vec<u8>>)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Container,
    Account(u32),
    Group(u32),
    Virtual(u32),
}

/// A filter as a tree.
#[derive(Clone, Debug)]
pub(super) enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    Equality(String, Vec<u8>),
    Approximate(String, Vec<u8>),
    Substrings(String, Vec<(PartPosition, Vec<u8>)>),
    AtLeast(String, Vec<u8>),
    AtMost(String, Vec<u8>),
    Present(String),
    Extensible { rule: Option<String>, attribute: Option<String>, value: Vec<u8>, dn: bool },
    Unknown,
}

impl Filter {
    /// The flat list that the decoder would make.
    pub(super) fn flat<'a>(&'a self, items: &mut Vec<FilterItem<'a>>) {
        match self {
            Self::And(operands) => connective(items, operands, |items| FilterItem::And { items }),
            Self::Or(operands) => connective(items, operands, |items| FilterItem::Or { items }),
            Self::Not(operand) => {
                connective(items, std::slice::from_ref(&**operand), |items| FilterItem::Not { items });
            }
            Self::Equality(attribute, value) => items.push(FilterItem::Equality { attribute, value }),
            Self::Approximate(attribute, value) => items.push(FilterItem::Approximate { attribute, value }),
            Self::Substrings(attribute, parts) => {
                items.push(FilterItem::Substrings { attribute, parts: parts.len() as u32 });
                items.extend(parts.iter().map(|(kind, value)| FilterItem::Part { kind: *kind, value }));
            }
            Self::AtLeast(attribute, value) => items.push(FilterItem::GreaterOrEqual { attribute, value }),
            Self::AtMost(attribute, value) => items.push(FilterItem::LessOrEqual { attribute, value }),
            Self::Present(attribute) => items.push(FilterItem::Present { attribute }),
            Self::Extensible { rule, attribute, value, dn } => items.push(FilterItem::Extensible {
                rule: rule.as_deref(),
                attribute: attribute.as_deref(),
                value,
                dn_attributes: *dn,
            }),
            Self::Unknown => items.push(FilterItem::Unknown),
        }
    }
}

fn connective<'a>(items: &mut Vec<FilterItem<'a>>, operands: &'a [Filter], of: fn(u32) -> FilterItem<'a>) {
    let place = items.len();
    items.push(of(0));
    operands.iter().for_each(|operand| operand.flat(items));
    items[place] = of((items.len() - place - 1) as u32);
}

impl<'a> Reference<'a> {
    /// What `reader` sees, or, without one, everything. The stored attributes are taken from the
    /// snapshot (their composition has tests of its own); which entries and values there are, and
    /// all that is computed, is found anew from the records.
    pub(super) fn new(
        world: &'a World,
        snapshot: &Snapshot,
        provider: &'a LdapProvider,
        reader: Option<u32>,
    ) -> Self {
        let mut reference = Self { world, provider, schema: snapshot.schema().clone(), entries: Vec::new() };
        reference.collect(snapshot, reader);
        reference.hide_values(reader);
        let computed: Vec<_> =
            reference.entries.iter().map(|entry| reference.computed(entry, snapshot)).collect();
        for (entry, computed) in reference.entries.iter_mut().zip(computed) {
            for (name, values) in computed {
                // A name that stands in the RDN is stored; then it is not computed as well.
                if !values.is_empty() && !entry.attributes.iter().any(|(other, _)| *other == name) {
                    entry.attributes.push((name, values));
                }
            }
        }
        reference
    }

    fn collect(&mut self, snapshot: &Snapshot, reader: Option<u32>) {
        let world = self.world;
        let tree = snapshot.tree(self.provider.number).unwrap();
        let groups = reader.map(|reader| world.groups_above(reader));
        let sees_account = |number: u32| reader.is_none_or(|reader| reader == number);
        let sees_group = |number: u32| groups.as_ref().is_none_or(|groups| groups.contains(&number));
        let mut all: Vec<(EntryId, Kind, Option<String>)> = (0..tree.containers().len())
            .map(|place| (EntryId::of_container(place as u16), Kind::Container, None))
            .collect();
        for account in world.accounts.values() {
            let number = account.number.get();
            if world.has_entry(number) && sees_account(number) {
                let dn = world.dn(self.provider, &account.placements, Some(account.kind), &account.username);
                all.push((EntryId::of_account(account.number), Kind::Account(number), Some(dn)));
            }
            if world.has_virtual_group(self.provider, number) && sees_account(number) {
                all.push((EntryId::of_virtual_group(account.number), Kind::Virtual(number), None));
            }
        }
        for group in world.groups.values().filter(|group| sees_group(group.number.get())) {
            let dn = world.dn(self.provider, &group.placements, None, &group.name);
            all.push((EntryId::of_group(group.number), Kind::Group(group.number.get()), Some(dn)));
        }
        all.sort_by_key(|(id, _, _)| *id);
        for (id, kind, expected) in all {
            let stored = tree.entry(id).unwrap_or_else(|| panic!("{id:?} has no entry"));
            let dn = String::from_utf8(stored.dn().to_vec()).unwrap();
            if let Some(expected) = expected {
                assert_eq!(normal(&dn), normal(&expected));
            }
            let attributes = stored
                .attributes()
                .map(|attribute| {
                    let description = String::from_utf8(attribute.description().to_vec()).unwrap();
                    (description, attribute.values().map(<[u8]>::to_vec).collect())
                })
                .collect();
            self.entries.push(Entry { id, normal: normal(&dn), dn, kind, attributes });
        }
        if reader.is_none() {
            assert_eq!(tree.len(), self.entries.len());
        }
    }

    /// A value that names an entry which the reader may not see is not there.
    fn hide_values(&mut self, reader: Option<u32>) {
        if reader.is_none() {
            return;
        }
        let seen: BTreeSet<Vec<u8>> = self.entries.iter().map(|entry| entry.normal.clone()).collect();
        let own = self.provider.number;
        let suffixes: Vec<_> =
            self.world.providers.values().map(|other| (other.number, normal(&other.base_dn))).collect();
        let shows = |value: &[u8]| {
            let Ok(dn) = Dn::parse(value) else { return true };
            let form = normal(&dn.to_string());
            let inside = suffixes.iter().filter(|(_, suffix)| is_at_or_below(&form, suffix));
            match inside.max_by_key(|(_, suffix)| suffix.len()) {
                None => true,
                Some((provider, _)) => *provider == own && seen.contains(&form),
            }
        };
        let schema = self.schema.clone();
        for entry in &mut self.entries {
            for (description, values) in &mut entry.attributes {
                let id = schema.find(description.split(';').next().unwrap()).unwrap();
                if matches!(schema.attribute(id).syntax, Syntax::Dn | Syntax::NameAndOptionalUid) {
                    values.retain(|value| shows(value));
                }
            }
            entry.attributes.retain(|(_, values)| !values.is_empty());
            close(self.world, &schema, entry);
        }
    }

    fn seen(&self, kind: Kind) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.kind == kind)
    }

    /// Names of the objects that are directly in a group, seen ones only.
    fn members(&self, entry: &Entry) -> Vec<Kind> {
        let world = self.world;
        let mut members: Vec<Kind> = match entry.kind {
            Kind::Group(group) => {
                let accounts = world.memberships.iter().filter(|(of, _)| *of == group);
                let children =
                    world.groups.values().filter(|child| child.parents.contains(&GroupNumber::new(group)));
                let children = children.map(|child| Kind::Group(child.number.get()));
                accounts.map(|(_, account)| Kind::Account(*account)).chain(children).collect()
            }
            Kind::Virtual(account) => vec![Kind::Account(account)],
            _ => Vec::new(),
        };
        members.retain(|member| self.seen(*member).is_some());
        members
    }

    /// The groups that an object is directly in, seen ones only.
    fn parents(&self, entry: &Entry) -> Vec<Kind> {
        let world = self.world;
        let mut parents: Vec<Kind> = match entry.kind {
            Kind::Account(account) => {
                let own = world.memberships.iter().filter(|(_, member)| *member == account);
                own.map(|(group, _)| Kind::Group(*group)).collect()
            }
            Kind::Group(group) => {
                world.groups[&group].parents.iter().map(|parent| Kind::Group(parent.get())).collect()
            }
            _ => Vec::new(),
        };
        parents.retain(|parent| self.seen(*parent).is_some());
        parents
    }

    fn dns(&self, kinds: &[Kind]) -> Vec<Vec<u8>> {
        kinds.iter().filter_map(|kind| self.seen(*kind)).map(|entry| entry.dn.clone().into_bytes()).collect()
    }

    fn classes(entry: &Entry) -> Vec<String> {
        let classes = entry.attributes.iter().find(|(name, _)| name == "objectClass").unwrap();
        classes.1.iter().map(|class| String::from_utf8(class.clone()).unwrap()).collect()
    }

    fn has_class(entry: &Entry, class: &str) -> bool {
        Self::classes(entry).iter().any(|other| other.eq_ignore_ascii_case(class))
    }

    fn computed(&self, entry: &Entry, snapshot: &Snapshot) -> Vec<(String, Vec<Vec<u8>>)> {
        let members = self.members(entry);
        let mut all: Vec<(&str, Vec<Vec<u8>>)> = Vec::new();
        if Self::has_class(entry, "groupOfNames") || Self::has_class(entry, "group") {
            all.push(("member", self.dns(&members)));
        }
        if Self::has_class(entry, "groupOfUniqueNames") {
            all.push(("uniqueMember", self.dns(&members)));
        }
        if Self::has_class(entry, "posixGroup") {
            let names = members.iter().filter_map(|member| match member {
                Kind::Account(account) => Some(self.world.accounts[account].username.clone().into_bytes()),
                _ => None,
            });
            all.push(("memberUid", names.collect()));
        }
        all.push(("memberOf", self.dns(&self.parents(entry))));
        let (uuid, created, modified) = match entry.kind {
            Kind::Container => {
                let container = snapshot.tree(self.provider.number).unwrap().container(entry.id).unwrap();
                (container.uuid(), self.provider.created, self.provider.modified)
            }
            Kind::Account(number) => {
                let account = &self.world.accounts[&number];
                (account.uuid, account.created, account.modified)
            }
            Kind::Group(number) => {
                let group = &self.world.groups[&number];
                (group.uuid, group.created, group.modified)
            }
            Kind::Virtual(number) => {
                let account = &self.world.accounts[&number];
                let uuid = crate::directory::entry_id::virtual_group_uuid(account.uuid);
                (uuid, account.created, account.modified)
            }
        };
        let below = self.entries.iter().filter(|other| is_child(other, entry)).count();
        all.push(("structuralObjectClass", self.structural_class(entry).into_iter().collect()));
        all.push(("entryUUID", vec![uuid.to_string().into_bytes()]));
        all.push(("createTimestamp", vec![generalized_time(created.unix_seconds()).to_vec()]));
        all.push(("modifyTimestamp", vec![generalized_time(modified.unix_seconds()).to_vec()]));
        all.push(("creatorsName", vec![self.provider.base_dn.clone().into_bytes()]));
        all.push(("modifiersName", vec![self.provider.base_dn.clone().into_bytes()]));
        all.push(("entryDN", vec![entry.dn.clone().into_bytes()]));
        all.push(("subschemaSubentry", vec![b"cn=subschema".to_vec()]));
        all.push(("hasSubordinates", vec![boolean(below > 0)]));
        all.push(("numSubordinates", vec![below.to_string().into_bytes()]));
        if self.provider.compatibility_attributes {
            let windows = |time: crate::model::Timestamp| {
                let time = String::from_utf8(generalized_time(time.unix_seconds()).to_vec()).unwrap();
                vec![time.replace('Z', ".0Z").into_bytes()]
            };
            all.push(("distinguishedName", vec![entry.dn.clone().into_bytes()]));
            all.push(("objectCategory", vec![self.category(self.category_of(entry))]));
            all.push(("whenCreated", windows(created)));
            all.push(("whenChanged", windows(modified)));
        }
        if self.provider.compatibility_attributes && entry.kind != Kind::Container {
            all.push(("objectGUID", vec![uuid.to_bytes_le().to_vec()]));
            let kind = if matches!(entry.kind, Kind::Account(_)) { "805306368" } else { "268435456" };
            all.push(("sAMAccountType", vec![kind.as_bytes().to_vec()]));
            all.extend(self.compatibility(entry));
        }
        all.into_iter().map(|(name, values)| (name.to_owned(), values)).collect()
    }

    /// What Active Directory's schema would call it.
    fn category_of(&self, entry: &Entry) -> &'static str {
        match entry.kind {
            Kind::Account(_) => "Person",
            Kind::Group(_) | Kind::Virtual(_) => "Group",
            Kind::Container if Self::has_class(entry, "organizationalUnit") => "Organizational-Unit",
            Kind::Container if Self::has_class(entry, "dcObject") || Self::has_class(entry, "domain") => {
                "Domain-DNS"
            }
            Kind::Container => "Container",
        }
    }

    fn category(&self, name: &str) -> Vec<u8> {
        format!("CN={name},CN=Schema,CN=Configuration,{}", self.provider.base_dn).into_bytes()
    }

    /// The type and what is derived from it, which to clients of Active Directory is nothing.
    fn subtypes(&self, id: AttributeId) -> &[AttributeId] {
        let subtypes = self.schema.subtypes(id);
        let is_own = id == AttributeId::DISTINGUISHED_NAME && self.provider.compatibility_attributes;
        if is_own { &subtypes[..1] } else { subtypes }
    }

    fn compatibility(&self, entry: &Entry) -> Vec<(&'static str, Vec<Vec<u8>>)> {
        let world = self.world;
        let text = |text: &str| vec![text.as_bytes().to_vec()];
        match entry.kind {
            Kind::Account(number) => {
                let account = &world.accounts[&number];
                let above = world.groups_above(number);
                let is_superuser = above.iter().any(|group| world.groups[group].is_superuser);
                let domain = self.provider.domain.clone().unwrap_or_else(|| {
                    let dn = Dn::parse(self.provider.base_dn.as_bytes()).unwrap();
                    let labels: Vec<String> = dn
                        .rdns()
                        .iter()
                        .flat_map(|rdn| rdn.pairs())
                        .filter(|pair| pair.attribute == "dc")
                        .map(|pair| String::from_utf8(pair.value.clone()).unwrap())
                        .collect();
                    if labels.is_empty() { "localdomain".to_owned() } else { labels.join(".") }
                });
                let display = entry.attributes.iter().find(|(name, _)| name == "displayName");
                let name =
                    display.map_or_else(|| text(&account.username), |(_, values)| values[..1].to_vec());
                // Whose a name is at a bind, its userPrincipalName is.
                let is_own =
                    account.username.rsplit_once('@').is_some_and(|(_, of)| of.eq_ignore_ascii_case(&domain));
                let added = format!("{}@{domain}", account.username);
                let principal = match is_own {
                    true => text(&account.username),
                    false if self.sees_account_named(&added) => Vec::new(),
                    false => text(&added),
                };
                vec![
                    ("name", name),
                    ("sAMAccountName", text(&account.username)),
                    ("userPrincipalName", principal),
                    ("userAccountControl", text(if account.is_active { "512" } else { "514" })),
                    ("ak-active", vec![boolean(account.is_active)]),
                    ("ak-superuser", vec![boolean(is_superuser)]),
                ]
            }
            Kind::Group(number) => {
                let group = &world.groups[&number];
                let is_accounts = self.sees_account_named(&group.name);
                vec![
                    ("name", text(&group.name)),
                    ("sAMAccountName", if is_accounts { Vec::new() } else { text(&group.name) }),
                    ("ak-superuser", vec![boolean(group.is_superuser)]),
                ]
            }
            Kind::Virtual(number) => {
                vec![("name", text(&world.accounts[&number].username))]
            }
            Kind::Container => Vec::new(),
        }
    }

    fn sees_account_named(&self, name: &str) -> bool {
        self.entries.iter().any(|entry| match entry.kind {
            Kind::Account(number) => name_key(&self.world.accounts[&number].username) == name_key(name),
            _ => false,
        })
    }

    fn structural_class(&self, entry: &Entry) -> Option<Vec<u8>> {
        let classes: Vec<_> =
            Self::classes(entry).iter().filter_map(|class| self.schema.class(class)).collect();
        let structural: Vec<_> =
            classes.into_iter().filter(|class| class.kind == ClassKind::Structural).collect();
        let most_derived = structural.iter().find(|class| {
            structural.iter().all(|other| {
                other.name() == class.name() || other.superclasses().all(|above| above.name() != class.name())
            })
        });
        most_derived.map(|class| class.name().as_bytes().to_vec())
    }

    /// The seen entry that a DN from a client names: its own DN, else the username it stands for.
    pub(super) fn find(&self, dn: &[u8]) -> Option<EntryId> {
        let dn = Dn::parse(dn).ok()?;
        let form = dn.normal_form(&self.schema).as_bytes().to_vec();
        if let Some(entry) = self.entries.iter().find(|entry| entry.normal == form) {
            return Some(entry.id);
        }
        let [pair] = dn.rdn()?.pairs() else { return None };
        if ![AttributeId::UID, AttributeId::CN, AttributeId::SAM_ACCOUNT_NAME]
            .contains(&self.schema.find(&pair.attribute)?)
        {
            return None;
        }
        let parent = normal(&dn.parent()?.to_string());
        let mut homes = self.provider.users.iter().chain(&self.provider.service_accounts);
        if !homes.any(|home| normal(&format!("{},{}", home.container, self.provider.base_dn)) == parent) {
            return None;
        }
        let key = name_key(std::str::from_utf8(&pair.value).ok()?);
        let account = self.world.accounts.values().find(|account| name_key(&account.username) == key)?;
        self.seen(Kind::Account(account.number.get())).map(|entry| entry.id)
    }

    /// The deepest seen entry at or above.
    pub(super) fn matched_dn(&self, dn: &str) -> &str {
        let mut dn = Dn::parse(dn.as_bytes()).unwrap();
        loop {
            let form = dn.normal_form(&self.schema);
            if let Some(entry) = self.entries.iter().find(|entry| entry.normal == form.as_bytes()) {
                return &entry.dn;
            }
            match dn.parent() {
                Some(parent) => dn = parent,
                None => return "",
            }
        }
    }

    /// What the filter says of the entry.
    pub(super) fn truth(&self, filter: &Filter, entry: &Entry) -> Truth {
        match filter {
            Filter::And(operands) => {
                let all: Vec<Truth> = operands.iter().map(|operand| self.truth(operand, entry)).collect();
                if all.contains(&Truth::False) {
                    Truth::False
                } else if all.contains(&Truth::Undefined) {
                    Truth::Undefined
                } else {
                    Truth::True
                }
            }
            Filter::Or(operands) => {
                let all: Vec<Truth> = operands.iter().map(|operand| self.truth(operand, entry)).collect();
                if all.contains(&Truth::True) {
                    Truth::True
                } else if all.contains(&Truth::Undefined) {
                    Truth::Undefined
                } else {
                    Truth::False
                }
            }
            Filter::Not(operand) => match self.truth(operand, entry) {
                Truth::True => Truth::False,
                Truth::False => Truth::True,
                Truth::Undefined => Truth::Undefined,
            },
            Filter::Unknown => Truth::Undefined,
            Filter::Equality(description, value) | Filter::Approximate(description, value) => {
                let Some((id, options)) = self.description(description) else { return Truth::Undefined };
                let is_class = value.first().is_some_and(u8::is_ascii_alphabetic)
                    && value.iter().all(|octet| octet.is_ascii_alphanumeric() || *octet == b'-');
                if id == AttributeId::OBJECT_CATEGORY
                    && options.is_empty()
                    && self.provider.compatibility_attributes
                    && is_class
                {
                    let name = match String::from_utf8(value.to_ascii_lowercase()).unwrap().as_str() {
                        "person" | "user" | "organizationalperson" | "inetorgperson" => "Person",
                        "group" => "Group",
                        "organizationalunit" => "Organizational-Unit",
                        "domain" | "dcobject" | "domaindns" => "Domain-DNS",
                        "container" => "Container",
                        _ => return Truth::False,
                    };
                    return truth(name == self.category_of(entry));
                }
                let Some(rule) = self.schema.attribute(id).equality else { return Truth::Undefined };
                self.some(entry, id, &options, rule, value)
            }
            Filter::AtLeast(description, value) => self.order(entry, description, value, true),
            Filter::AtMost(description, value) => self.order(entry, description, value, false),
            Filter::Present(description) => match self.description(description) {
                Some((id, options)) => truth(!self.values(entry, id, &options).is_empty()),
                None => Truth::Undefined,
            },
            Filter::Substrings(description, parts) => self.substrings(entry, description, parts),
            Filter::Extensible { rule, attribute, value, dn } => {
                self.extensible(entry, rule.as_deref(), attribute.as_deref(), value, *dn)
            }
        }
    }

    /// The same of an entry that has this value alone; `None`: what is asked is not asked of values, but of memberships
    /// or of what the entry is.
    pub(super) fn truth_of_value(
        &self,
        filter: &Filter,
        entry: &Entry,
        description: &str,
        value: &[u8],
    ) -> Option<Truth> {
        let asked = match filter {
            Filter::Equality(asked, _) | Filter::Approximate(asked, _) => Some(asked),
            Filter::Extensible { attribute, .. } => attribute.as_ref(),
            _ => None,
        };
        let asked = asked.and_then(|asked| self.description(asked)).map(|(id, _)| id);
        let is_in_chain = matches!(filter, Filter::Extensible { rule: Some(rule), .. }
            if MatchingRule::find(rule) == Some(MatchingRule::InChain));
        let memberships = [AttributeId::MEMBER, AttributeId::UNIQUE_MEMBER, AttributeId::MEMBER_OF];
        let is_membership = asked.is_some_and(|asked| memberships.contains(&asked));
        if asked == Some(AttributeId::OBJECT_CATEGORY) || is_in_chain && is_membership {
            return None;
        }
        let attributes = vec![(description.to_owned(), vec![value.to_vec()])];
        let (dn, normal) = (entry.dn.clone(), entry.normal.clone());
        Some(self.truth(filter, &Entry { id: entry.id, dn, normal, kind: entry.kind, attributes }))
    }

    fn order(&self, entry: &Entry, description: &str, value: &[u8], at_least: bool) -> Truth {
        let Some((id, options)) = self.description(description) else { return Truth::Undefined };
        let Some(rule) = self.schema.attribute(id).ordering_rule() else { return Truth::Undefined };
        let Some(assertion) = form(rule, value) else { return Truth::Undefined };
        if !can_be(self.schema.attribute(id).syntax, value) {
            return Truth::Undefined;
        }
        let values = self.values(entry, id, &options);
        truth(
            values
                .iter()
                .filter_map(|value| form(rule, value))
                .any(|value| if at_least { value >= assertion } else { value <= assertion }),
        )
    }

    fn substrings(&self, entry: &Entry, description: &str, parts: &[(PartPosition, Vec<u8>)]) -> Truth {
        let Some((id, options)) = self.description(description) else { return Truth::Undefined };
        let Some(rule) = self.schema.attribute(id).substrings_rule() else { return Truth::Undefined };
        let mut forms = Vec::new();
        for (kind, part) in parts {
            let mut out = Vec::new();
            if rule.normalize_part(*kind, part, usize::MAX, &mut out).is_err() {
                return Truth::Undefined;
            }
            forms.push((*kind, out));
        }
        let values = self.values(entry, id, &options);
        truth(values.iter().filter_map(|value| form(rule, value)).any(|value| fits(&value, &forms)))
    }

    fn extensible(
        &self,
        entry: &Entry,
        rule: Option<&str>,
        description: Option<&str>,
        value: &[u8],
        dn: bool,
    ) -> Truth {
        let described = match description.map(|description| self.description(description)) {
            Some(None) => return Truth::Undefined,
            described => described.flatten(),
        };
        let rule = match (rule, &described) {
            (Some(rule), _) => MatchingRule::find(rule),
            (None, Some((id, _))) => self.schema.attribute(*id).equality,
            (None, None) => None,
        };
        let Some(rule) = rule.filter(|rule| rule.kind() != RuleKind::Substrings) else {
            return Truth::Undefined;
        };
        let syntax = described.as_ref().map_or(rule.syntax(), |(id, _)| self.schema.attribute(*id).syntax);
        if form(rule, value).is_none() || !can_be(syntax, value) {
            return Truth::Undefined;
        }
        let mut found = Truth::False;
        match &described {
            Some((id, options)) => {
                if !rule.applies_to(self.schema.attribute(*id).syntax) {
                    return Truth::Undefined;
                }
                found = self.some(entry, *id, options, rule, value);
            }
            None => {
                for (description, values) in &entry.attributes {
                    let Some((id, _)) = self.description(description) else { continue };
                    if !rule.applies_to(self.schema.attribute(id).syntax) {
                        continue;
                    }
                    let leads = || {
                        self.leads_to(entry, value, |entry| {
                            let of_type = entry.attributes.iter().filter(|(description, _)| {
                                self.description(description).is_some_and(|(own, _)| own == id)
                            });
                            of_type.flat_map(|(_, values)| values.iter().map(Vec::as_slice)).collect()
                        })
                    };
                    if values.iter().any(|other| matches(rule, other, value))
                        || rule == MatchingRule::InChain && leads()
                    {
                        found = Truth::True;
                    }
                }
            }
        }
        if found != Truth::True && dn {
            for pair in Dn::parse(entry.dn.as_bytes()).unwrap().rdns().iter().flat_map(|rdn| rdn.pairs()) {
                let Some(id) = self.schema.find(&pair.attribute) else { continue };
                let is_meant = match &described {
                    Some((wanted, options)) => options.is_empty() && self.subtypes(*wanted).contains(&id),
                    None => rule.applies_to(self.schema.attribute(id).syntax),
                };
                if is_meant && matches(rule, &pair.value, value) {
                    found = Truth::True;
                }
            }
        }
        found
    }

    /// Whether some value of the attribute matches by the rule.
    fn some(
        &self,
        entry: &Entry,
        id: AttributeId,
        options: &[String],
        rule: MatchingRule,
        value: &[u8],
    ) -> Truth {
        if form(rule, value).is_none() || !can_be(self.schema.attribute(id).syntax, value) {
            return Truth::Undefined;
        }
        // These name entries: what a client writes may stand for a username.
        if [AttributeId::MEMBER, AttributeId::UNIQUE_MEMBER, AttributeId::MEMBER_OF].contains(&id) {
            let Some(target) = self.find(value).filter(|_| options.is_empty()) else { return Truth::False };
            let Some(target) = self.entries.iter().find(|entry| entry.id == target) else {
                return Truth::False;
            };
            if rule == MatchingRule::InChain {
                return truth(self.is_in_chain(entry, id, target));
            }
            let values = self.values(entry, id, options);
            return truth(values.contains(&target.dn.as_bytes()));
        }
        if rule == MatchingRule::InChain {
            return truth(self.leads_to(entry, value, |entry| self.values(entry, id, options)));
        }
        truth(self.values(entry, id, options).iter().any(|other| matches(rule, other, value)))
    }

    /// Whether the name is among the values of the entry, or of one that is named by its values, and so on.
    fn leads_to<'b>(
        &'b self,
        entry: &'b Entry,
        target: &[u8],
        values: impl Fn(&'b Entry) -> Vec<&'b [u8]>,
    ) -> bool {
        let name = |value: &[u8]| form(MatchingRule::DistinguishedName, value);
        let mut reached = vec![entry];
        let mut place = 0;
        while let Some(entry) = reached.get(place) {
            for value in values(entry) {
                if name(value).is_some() && name(value) == name(target) {
                    return true;
                }
                let next = self.entries.iter().find(|other| Some(&other.normal) == name(value).as_ref());
                // A way may come back to the entry of which it began with one value only, and go on by its others.
                if let Some(next) =
                    next.filter(|next| reached.iter().all(|other| !std::ptr::eq(*other, *next)))
                {
                    reached.push(next);
                }
            }
            place += 1;
        }
        false
    }

    /// Whether a way of one and more memberships leads to the target.
    fn is_in_chain(&self, entry: &Entry, id: AttributeId, target: &Entry) -> bool {
        let (from, to) = match id {
            AttributeId::MEMBER_OF => (entry, target),
            AttributeId::MEMBER
                if !Self::has_class(entry, "groupOfNames") && !Self::has_class(entry, "group") =>
            {
                return false;
            }
            AttributeId::UNIQUE_MEMBER if !Self::has_class(entry, "groupOfUniqueNames") => return false,
            _ => (target, entry),
        };
        if let (Kind::Virtual(account), Kind::Account(member)) = (to.kind, from.kind)
            && id != AttributeId::MEMBER_OF
        {
            return account == member;
        }
        let mut open = self.parents(from);
        let mut reached: Vec<Kind> = Vec::new();
        while let Some(kind) = open.pop() {
            if !reached.contains(&kind) {
                reached.push(kind);
                open.extend(self.parents(self.seen(kind).unwrap()));
            }
        }
        reached.contains(&to.kind)
    }

    fn description(&self, description: &str) -> Option<(AttributeId, Vec<String>)> {
        let mut parts = description.split(';');
        let id = self.schema.find(parts.next()?)?;
        let options: Vec<String> = parts.map(str::to_ascii_lowercase).collect();
        if options.contains(&String::new()) {
            return None;
        }
        (!self.schema.is_secret(id)).then_some((id, options))
    }

    fn values<'b>(&self, entry: &'b Entry, id: AttributeId, options: &[String]) -> Vec<&'b [u8]> {
        let mut all = Vec::new();
        for (description, values) in &entry.attributes {
            let (own, own_options) = self.description(description).unwrap();
            if self.subtypes(id).contains(&own) && options.iter().all(|option| own_options.contains(option)) {
                all.extend(values.iter().map(Vec::as_slice));
            }
        }
        all
    }
}

fn truth(is_true: bool) -> Truth {
    if is_true { Truth::True } else { Truth::False }
}

/// Text has a character, only that of IA5 none; spaces are no DN.
fn can_be(syntax: Syntax, value: &[u8]) -> bool {
    let is_text = [
        Syntax::DirectoryString,
        Syntax::PrintableString,
        Syntax::CountryString,
        Syntax::NumericString,
        Syntax::TelephoneNumber,
    ]
    .contains(&syntax);
    let is_name = [Syntax::Dn, Syntax::NameAndOptionalUid].contains(&syntax);
    let is_blank = value.iter().all(|octet| *octet == b' ');
    !(is_text && value.is_empty() || is_name && is_blank && !value.is_empty())
}

fn form(rule: MatchingRule, value: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    rule.normalize(value, &mut out).ok().map(|()| out)
}

fn matches(rule: MatchingRule, value: &[u8], assertion: &[u8]) -> bool {
    let Some(assertion) = form(rule, assertion) else { return false };
    match (rule, form(rule, value)) {
        (MatchingRule::BitAnd | MatchingRule::BitOr, _) => rule.matches(value, &assertion, &mut Vec::new()),
        (_, None) => false,
        (_, Some(value)) if rule.kind() == RuleKind::Ordering => value < assertion,
        (_, Some(value)) => value == assertion,
    }
}

/// Tries every way to lay the parts into the value.
fn fits(value: &[u8], parts: &[(PartPosition, Vec<u8>)]) -> bool {
    let Some(((kind, part), rest)) = parts.split_first() else { return true };
    match kind {
        PartPosition::Initial => value.starts_with(part) && fits(&value[part.len()..], rest),
        PartPosition::Final => value.ends_with(part),
        PartPosition::Any => (0..=value.len())
            .any(|start| value[start..].starts_with(part) && fits(&value[start + part.len()..], rest)),
    }
}

fn boolean(value: bool) -> Vec<u8> {
    if value { b"TRUE".to_vec() } else { b"FALSE".to_vec() }
}

pub(super) fn is_at_or_below(form: &[u8], suffix: &[u8]) -> bool {
    form == suffix || form.strip_suffix(suffix).is_some_and(|before| before.ends_with(b","))
}

/// Whether `entry` stands directly below `above`.
pub(super) fn is_child(entry: &Entry, above: &Entry) -> bool {
    match entry.normal.strip_suffix(above.normal.as_slice()) {
        Some(before) => before.iter().filter(|octet| **octet == b',').count() == 1 && before.ends_with(b","),
        None => false,
    }
}

/// The number of an account's entry, for tests that name readers.
pub(super) fn own_entries(world: &World, reader: u32) -> Vec<EntryId> {
    let account = AccountNumber::new(reader);
    let groups =
        world.groups_above(reader).into_iter().map(|group| EntryId::of_group(GroupNumber::new(group)));
    groups.chain([EntryId::of_account(account), EntryId::of_virtual_group(account)]).collect()
}
