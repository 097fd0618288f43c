//! Random directories as plain model records, and snapshots made from them.
//!
//! Everything is drawn from a tape of numbers, so that proptest can shorten the tape and with it
//! the directory.

use std::collections::{BTreeMap, BTreeSet};

use crate::directory::bulk::Means;
use crate::directory::{RecordSource, Snapshot, SnapshotBuilder, name_key};
use crate::model::{
    Account, AccountKind, AccountNumber, Application, Attribute, AttributeNumber, Container, CustomAttribute,
    Group, GroupNumber, LdapProvider, Membership, Placement, Record, Role, Timestamp, Token,
};
use crate::plain::{account, group, provider};
use crate::schema::{Dn, Rdn, Schema};

/// Numbers to choose by; zeros when it has run out.
pub(crate) struct Tape<'a> {
    numbers: &'a [u16],
    next: usize,
}

impl<'a> Tape<'a> {
    pub(crate) fn new(numbers: &'a [u16]) -> Self {
        Self { numbers, next: 0 }
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.next >= self.numbers.len()
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let number = self.numbers.get(self.next).copied().unwrap_or(0);
        self.next += 1;
        usize::from(number) % bound.max(1)
    }

    /// Yes in one of `of` cases; no when the tape has run out.
    pub(crate) fn one_in(&mut self, of: usize) -> bool {
        self.below(of) == of - 1
    }

    pub(crate) fn pick<'b, T>(&mut self, from: &'b [T]) -> &'b T {
        &from[self.below(from.len())]
    }
}

/// What a store would hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    pub(crate) providers: BTreeMap<u32, LdapProvider>,
    pub(crate) accounts: BTreeMap<u32, Account>,
    pub(crate) groups: BTreeMap<u32, Group>,
    /// Group, account.
    pub(crate) memberships: BTreeSet<(u32, u32)>,
    pub(crate) roles: BTreeMap<u32, Role>,
    pub(crate) tokens: BTreeMap<u32, Token>,
    pub(crate) applications: BTreeMap<u32, Application>,
    /// Custom attribute types: they are objects of their own, whoever uses them.
    pub(crate) attributes: Vec<CustomAttribute>,
}

impl World {
    /// Providers, accounts, groups (nested, with cycles), memberships, placements.
    pub(crate) fn random(tape: &mut Tape<'_>) -> Self {
        let mut world = Self::default();
        for number in 0..1 + tape.below(2) as u32 {
            let provider = random_provider(number + 1, tape);
            world.providers.insert(number + 1, provider);
        }
        world.declare(CUSTOM);
        let objects = 2 + tape.below(14) as u32;
        for place in 0..objects {
            world.put_random_object(place, tape);
        }
        world.nest(tape);
        world
    }

    /// Declares custom attribute types as text.
    pub(crate) fn declare(&mut self, names: &[&str]) {
        for name in names {
            let number = AttributeNumber::new(700 + self.attributes.len() as u32);
            self.attributes.push(CustomAttribute::of_name(number, (*name).to_owned()));
        }
    }

    /// Puts an account or a group with this place in the list of names there, or changes it.
    pub(crate) fn put_random_object(&mut self, place: u32, tape: &mut Tape<'_>) -> Option<u32> {
        // Some ids in other chunks of 65,536, so that large sets are not one chunk.
        let number = if place % 5 == 4 { 70_000 + place * 65_536 } else { 10 + place };
        let name = NAMES[place as usize % NAMES.len()];
        let is_group = match (self.accounts.contains_key(&number), self.groups.contains_key(&number)) {
            (true, _) => false,
            (_, true) => true,
            _ => tape.one_in(3) || tape.one_in(4),
        };
        // Service accounts often have a group of their own name.
        let name = if is_group && tape.one_in(3) { NAMES[tape.below(NAMES.len())] } else { name };
        let is_taken = if is_group {
            self.groups.values().any(|other| other.number.get() != number && same(&other.name, name))
        } else {
            self.accounts.values().any(|other| other.number.get() != number && same(&other.username, name))
        };
        if is_taken {
            return None;
        }
        if is_group {
            let before = self.groups.get(&number).cloned();
            let mut group = group(number, name);
            if let Some(before) = before {
                group.parents = before.parents;
            }
            group.is_superuser = tape.one_in(8);
            group.attributes = self.random_attributes(GROUP_ATTRIBUTES, tape);
            group.object_classes = tape.pick(GROUP_CLASSES).iter().map(|class| class.to_string()).collect();
            group.placements = self.random_placements(name, tape);
            group.modified = Timestamp::from_unix_seconds(1_700_000_000 + tape.below(3) as i64 * 1000);
            if self.is_free(number, &group.placements, None, name) {
                self.groups.insert(number, group);
                return Some(number);
            }
        } else {
            let mut account = account(number, name);
            account.kind = match self.accounts.get(&number) {
                Some(before) => before.kind,
                None => *tape.pick(&KINDS),
            };
            account.is_active = !tape.one_in(5);
            if tape.one_in(2) {
                account.name = (*tape.pick(&["Alice Adams", "Bob  B.", "Ünal Öz", "alice"])).to_owned();
            }
            if tape.one_in(2) {
                account.email = format!("{}@example.org", tape.pick(&["a", "Alice", "o'neil", "üser"]));
            }
            account.attributes = self.random_attributes(ACCOUNT_ATTRIBUTES, tape);
            account.object_classes =
                tape.pick(ACCOUNT_CLASSES).iter().map(|class| class.to_string()).collect();
            account.placements = self.random_placements(name, tape);
            account.modified = Timestamp::from_unix_seconds(1_700_000_000 + tape.below(3) as i64 * 1000);
            if self.is_free(number, &account.placements, Some(account.kind), name) {
                self.accounts.insert(number, account);
                return Some(number);
            }
        }
        None
    }

    /// Memberships and parents, cycles included.
    pub(crate) fn nest(&mut self, tape: &mut Tape<'_>) {
        let groups: Vec<u32> = self.groups.keys().copied().collect();
        let accounts: Vec<u32> = self.accounts.keys().copied().collect();
        if groups.is_empty() {
            return;
        }
        let memberships = if accounts.is_empty() { 0 } else { tape.below(3 * groups.len() + 1) };
        for _ in 0..memberships {
            self.memberships.insert((*tape.pick(&groups), *tape.pick(&accounts)));
        }
        for _ in 0..tape.below(2 * groups.len() + 1) {
            let (child, parent) = (*tape.pick(&groups), *tape.pick(&groups));
            if child != parent
                && let Some(child) = self.groups.get_mut(&child)
                && !child.parents.contains(&GroupNumber::new(parent))
            {
                child.parents.push(GroupNumber::new(parent));
            }
        }
    }

    fn random_attributes(&self, names: &[&str], tape: &mut Tape<'_>) -> Vec<Attribute> {
        let mut attributes: Vec<Attribute> = Vec::new();
        for _ in 0..tape.below(5) {
            let name = *tape.pick(names);
            if attributes.iter().any(|other| canonical(&other.description) == canonical(name)) {
                continue;
            }
            let mut values = vec![self.random_value(name, tape)];
            if !is_single(name) && tape.one_in(3) {
                values.push(self.random_value(name, tape));
            }
            attributes.push(Attribute { description: name.to_owned(), values });
        }
        attributes
    }

    pub(crate) fn random_value(&self, name: &str, tape: &mut Tape<'_>) -> Vec<u8> {
        match canonical(name).split(';').next().unwrap_or_default() {
            "uidNumber" | "gidNumber" => tape.pick(&["5000", "10", "2010"]).as_bytes().to_vec(),
            "loginShell" | "homeDirectory" => tape.pick(&["/bin/sh", "/bin/Bash"]).as_bytes().to_vec(),
            "manager" | "seeAlso" | "owner" => self.random_dn(tape).into_bytes(),
            "telephoneNumber" => tape.pick(&["+49 30 12-34", "+4930 1234", "110"]).as_bytes().to_vec(),
            "jpegPhoto" | "userPassword" => vec![0xff, 0xd8, tape.below(3) as u8],
            "postalAddress" => tape.pick(&["a$b c", "A$B  c", "x\\24y$z"]).as_bytes().to_vec(),
            _ => tape.pick(TEXTS).as_bytes().to_vec(),
        }
    }

    /// Adds values to an object that name nobody below the suffixes: who does not see everything there does not see them.
    pub(crate) fn name_nobody(&mut self, number: u32, tape: &mut Tape<'_>) {
        let bases: Vec<String> = self.providers.values().map(|provider| provider.base_dn.clone()).collect();
        let description = *tape.pick(&["owner", "seeAlso", "manager", "seeAlso;lang-de", "roleOccupant"]);
        let count = *tape.pick(&[1, 2, 40]);
        let hidden = (0..count).map(|place| format!("cn=nobody {place},{}", tape.pick(&bases)).into_bytes());
        let hidden: Vec<Vec<u8>> = hidden.collect();
        let attributes = match (self.accounts.get_mut(&number), self.groups.get_mut(&number)) {
            (Some(account), _) => &mut account.attributes,
            (None, Some(group)) => &mut group.attributes,
            (None, None) => return,
        };
        let same =
            attributes.iter_mut().find(|other| canonical(&other.description) == canonical(description));
        match same {
            Some(attribute) => attribute.values.extend(hidden),
            None => attributes.push(Attribute { description: description.to_owned(), values: hidden }),
        }
    }

    /// A DN below one of the suffixes (of an entry or of none), or elsewhere.
    pub(crate) fn random_dn(&self, tape: &mut Tape<'_>) -> String {
        let providers: Vec<&LdapProvider> = self.providers.values().collect();
        let provider = *tape.pick(&providers);
        let containers: Vec<&Container> = containers(provider).collect();
        let base = &provider.base_dn;
        let container = *tape.pick(&containers);
        let name = *tape.pick(NAMES);
        match tape.below(9) {
            0 => base.clone(),
            1 => "cn=elsewhere,dc=com".to_owned(),
            2 => format!("{},{base}", container.container),
            3 => format!("cn=below,{},{},{base}", Rdn::new("cn", name), container.container),
            4 => format!("{},ou=virtual-groups,{base}", Rdn::new("cn", name)),
            place => {
                let naming = ["cn", "uid", "CN", "sAMAccountName"][place % 4];
                format!("{} , {}, {base}", Rdn::new(naming, name), container.container.to_uppercase())
            }
        }
    }

    fn random_placements(&self, name: &str, tape: &mut Tape<'_>) -> Vec<Placement> {
        let mut placements = Vec::new();
        for provider in self.providers.values() {
            if !tape.one_in(4) {
                continue;
            }
            let all: Vec<&Container> = containers(provider).collect();
            let container = tape.pick(&all).container.clone();
            let other = *tape.pick(NAMES);
            let rdn = match tape.below(7) {
                0 => Rdn::new("uid", name).to_string(),
                1 => format!("CN={}+sn=Adams", Rdn::new("x", name).to_string().trim_start_matches("x=")),
                2 => Rdn::new("cn", other).to_string(),
                3 => Rdn::new("sAMAccountName", other).to_string(),
                4 => Rdn::new("mail", "a@example.org").to_string(),
                5 => Rdn::new("x-rdn", other).to_string(),
                _ => Rdn::new("2.5.4.3", name).to_string(),
            };
            placements.push(Placement { provider: provider.number, container, rdn });
        }
        placements
    }

    /// The DN of an object in a provider's tree, put together from its record.
    pub(crate) fn dn(
        &self,
        provider: &LdapProvider,
        placements: &[Placement],
        kind: Option<AccountKind>,
        name: &str,
    ) -> String {
        let own = match kind {
            None => &provider.groups,
            Some(AccountKind::Internal | AccountKind::External) => &provider.users,
            Some(_) => &provider.service_accounts,
        };
        let base = &provider.base_dn;
        match placements.iter().find(|placement| placement.provider == provider.number) {
            Some(placement) => format!("{},{},{base}", placement.rdn, placement.container),
            None => format!("{},{},{base}", Rdn::new(own[0].naming.as_str(), name), own[0].container),
        }
    }

    /// Whether no other object stands where this one would.
    fn is_free(&self, number: u32, placements: &[Placement], kind: Option<AccountKind>, name: &str) -> bool {
        self.providers.values().all(|provider| {
            let wanted = normal(&self.dn(provider, placements, kind, name));
            let accounts = self
                .accounts
                .values()
                .filter(|other| other.number.get() != number)
                .map(|other| self.dn(provider, &other.placements, Some(other.kind), &other.username));
            let groups = self
                .groups
                .values()
                .filter(|other| other.number.get() != number)
                .map(|other| self.dn(provider, &other.placements, None, &other.name));
            let all =
                containers(provider).map(|container| format!("{},{}", container.container, provider.base_dn));
            accounts.chain(groups).chain(all).all(|other| normal(&other) != wanted)
        })
    }

    /// The records, providers first, in an order that the tape chooses.
    pub(crate) fn records(&self, tape: &mut Tape<'_>) -> Vec<Record> {
        let mut records: Vec<Record> = Vec::new();
        records.extend(self.accounts.values().cloned().map(Record::Account));
        records.extend(self.groups.values().cloned().map(Record::Group));
        records.extend(self.memberships.iter().map(|(group, account)| membership(*group, *account)));
        records.extend(self.roles.values().cloned().map(Record::Role));
        records.extend(self.tokens.values().cloned().map(Record::Token));
        records.extend(self.applications.values().cloned().map(Record::Application));
        records.extend(self.attributes.iter().cloned().map(Record::CustomAttribute));
        for place in (1..records.len()).rev() {
            records.swap(place, place - tape.below(place + 1));
        }
        let providers = self.providers.values().cloned().map(Record::Provider);
        if tape.one_in(3) {
            records.into_iter().chain(providers).collect()
        } else {
            providers.chain(records).collect()
        }
    }

    /// A snapshot built at once.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.snapshot_from(&mut Tape::new(&[]))
    }

    /// A snapshot built at once from the records in some order, by some threads and in small pieces.
    pub(crate) fn snapshot_from(&self, tape: &mut Tape<'_>) -> Snapshot {
        let means =
            Means { threads: tape.below(3), batch_max: 1 + tape.below(3), postings_min: 1 + tape.below(200) };
        let mut builder = SnapshotBuilder::with_means(means);
        let mut records = self.records(tape);
        if tape.one_in(2) {
            // As they come from a store.
            let is_other =
                |record: &Record| !matches!(record, Record::CustomAttribute(_) | Record::Provider(_));
            records.sort_by_key(|record| (is_other(record), matches!(record, Record::Provider(_))));
            let others = records.split_off(records.partition_point(|record| !is_other(record)));
            records.into_iter().for_each(|record| builder.add(record));
            for some in others.chunks(1 + tape.below(9)).map(<[Record]>::to_vec) {
                builder.add_unread(Box::new(move |each| some.iter().for_each(each)));
            }
        } else {
            records.into_iter().for_each(|record| builder.add(record));
        }
        builder.finish(1).unwrap()
    }

    /// The groups that an account is in, over any number of memberships, found by walking.
    pub(crate) fn groups_above(&self, account: u32) -> BTreeSet<u32> {
        let direct =
            self.memberships.iter().filter(|(_, member)| *member == account).map(|(group, _)| *group);
        self.up_from(direct.collect())
    }

    /// These groups and all above them.
    pub(crate) fn up_from(&self, start: Vec<u32>) -> BTreeSet<u32> {
        let mut found = BTreeSet::new();
        let mut open = start;
        while let Some(number) = open.pop() {
            let Some(group) = self.groups.get(&number) else { continue };
            if found.insert(number) {
                open.extend(group.parents.iter().map(|parent| parent.get()));
            }
        }
        found
    }

    /// Whether the object has an entry.
    pub(crate) fn has_entry(&self, account: u32) -> bool {
        self.accounts.get(&account).is_some_and(|account| account.kind != AccountKind::InternalServiceAccount)
    }

    /// Whether the account has a virtual group in the provider's tree.
    pub(crate) fn has_virtual_group(&self, provider: &LdapProvider, account: u32) -> bool {
        let Some(state) = self.accounts.get(&account) else { return false };
        let is_posix = state.object_classes.is_empty()
            || state.object_classes.iter().any(|class| class.eq_ignore_ascii_case("posixAccount"));
        let is_given = state.attributes.iter().any(|attribute| {
            let base = attribute.description.split(';').next().unwrap_or_default();
            base.eq_ignore_ascii_case("gidNumber") || base == "1.3.6.1.1.1.1.1"
        });
        provider.virtual_groups && self.has_entry(account) && is_posix && !is_given
    }
}

impl RecordSource for World {
    fn objects(&self, visit: &mut dyn FnMut(Record)) -> Result<(), String> {
        self.accounts.values().for_each(|account| visit(Record::Account(account.clone())));
        self.groups.values().for_each(|group| visit(Record::Group(group.clone())));
        Ok(())
    }
}

fn random_provider(number: u32, tape: &mut Tape<'_>) -> LdapProvider {
    let mut provider =
        provider(number, if number == 1 { "dc=Example,dc=org" } else { "ou=sub,dc=example,dc=org" });
    if number > 1 && tape.one_in(2) {
        provider.base_dn = "o=Ö\\, Co".to_owned();
    }
    match tape.below(3) {
        0 => {}
        1 => {
            provider.users = vec![container("ou=people", "uid"), container("ou=More,ou=People", "cn")];
            provider.service_accounts = provider.users.clone();
            provider.groups = vec![container("ou=teams,ou=groups", "cn"), container("OU=groups", "cn")];
        }
        _ => {
            provider.service_accounts = vec![container("cn=Services", "sAMAccountName")];
            provider.groups = vec![container("ou=groups,l=here", "cn")];
        }
    }
    provider.virtual_groups = !tape.one_in(3);
    provider.compatibility_attributes = !tape.one_in(3);
    if tape.one_in(3) {
        provider.domain = Some("Corp.example".to_owned());
    }
    provider
}

pub(crate) fn container(relative: &str, naming: &str) -> Container {
    Container { container: relative.to_owned(), naming: naming.to_owned() }
}

pub(crate) fn membership(group: u32, account: u32) -> Record {
    Record::Membership(Membership { group: GroupNumber::new(group), account: AccountNumber::new(account) })
}

pub(crate) fn containers(provider: &LdapProvider) -> impl Iterator<Item = &Container> {
    provider.users.iter().chain(&provider.service_accounts).chain(&provider.groups)
}

/// The normal form of a DN, as the parser and not the fast way makes it.
pub(crate) fn normal(dn: &str) -> Vec<u8> {
    Dn::parse(dn.as_bytes()).unwrap().normal_form(&Schema::core()).as_bytes().to_vec()
}

fn same(name: &str, other: &str) -> bool {
    name_key(name) == name_key(other)
}

/// The description as an entry spells it.
fn canonical(description: &str) -> String {
    let (base, options) = description.split_once(';').unwrap_or((description, ""));
    let schema = Schema::core();
    let name = schema.find(base).map_or(base.to_owned(), |id| schema.attribute(id).name.to_string());
    if options.is_empty() { name } else { format!("{name};{options}") }
}

fn is_single(name: &str) -> bool {
    matches!(
        canonical(name).split(';').next().unwrap_or_default(),
        "uidNumber"
            | "gidNumber"
            | "loginShell"
            | "homeDirectory"
            | "displayName"
            | "employeeNumber"
            | "gecos"
    )
}

pub(crate) const NAMES: &[&str] = &[
    "alice",
    "Bob",
    "ALICE@example.org",
    "carol  smith",
    "O'Neil",
    "o'neil@corp.example",
    "dave, jr.",
    "eve+one",
    "#frank",
    "Müller",
    "straße",
    "u\u{308}nal",
    "a*b(c)\\",
    "admins",
    "Staff",
    "it",
    "x=y",
    "日本",
];

const TEXTS: &[&str] = &[
    "Adams",
    "adams",
    " A  dams ",
    "Straße",
    "STRASSE",
    "hello world",
    "Hello  World",
    "a",
    "ab",
    "abc",
    "x*y",
    "Ünal",
    "aaaaab",
    "42",
    "007",
    "tab\there",
    "20240101000000Z",
    "soft\u{AD}hyphen",
];

const CUSTOM: &[&str] = &["customText", "x-other", "x-rdn"];

const ACCOUNT_ATTRIBUTES: &[&str] = &[
    "description",
    "cn;lang-de",
    "cn",
    "SN",
    "givenName",
    "title",
    "telephoneNumber",
    "description;lang-en;x-foo",
    "employeeNumber",
    "manager",
    "seeAlso",
    "customText",
    "loginShell",
    "uidNumber",
    "gidNumber",
    "displayName",
    "userPassword",
    "memberOf",
    "customText;x-tag",
    "l",
    "ou",
    "postalAddress",
    "jpegPhoto",
    "mail",
    "2.5.4.12",
    "1.3.6.1.1.1.1.1",
];

const GROUP_ATTRIBUTES: &[&str] = &[
    "description",
    "owner",
    "seeAlso",
    "cn",
    "gidNumber",
    "x-other",
    "member",
    "memberUid",
    "o",
    "ou;lang-de",
];

const ACCOUNT_CLASSES: &[&[&str]] = &[
    &[],
    &[],
    &[],
    &["top", "person"],
    &["inetOrgPerson"],
    &["top", "account", "posixAccount"],
    &["organizationalRole", "unknownClass"],
    &["top", "person", "organizationalPerson", "inetOrgPerson"],
];

const GROUP_CLASSES: &[&[&str]] = &[
    &[],
    &[],
    &[],
    &["top", "groupOfNames"],
    &["top", "posixGroup"],
    &["groupOfUniqueNames", "groupOfNames"],
];

const KINDS: [AccountKind; 6] = [
    AccountKind::Internal,
    AccountKind::ServiceAccount,
    AccountKind::External,
    AccountKind::Internal,
    AccountKind::ServiceAccount,
    AccountKind::InternalServiceAccount,
];
