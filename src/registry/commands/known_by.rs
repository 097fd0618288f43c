//! Values by which two accounts, two groups or one of each are known: clients look people up by them and take who comes
//! first, and hosts go by numbers. Whoever makes such a value has to be allowed to change both, and who may is told.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::validate::holders;
use super::whole::Problem;
use crate::access::Rights;
use crate::directory::{Accounts, EntryId, Snapshot, Tree, name_key};
use crate::model::{
    Account, AccountNumber, GroupNumber, Key, ObjectReference, Permission, ProviderNumber, Record,
};
use crate::registry::{Caller, Lack, Viewer};
use crate::schema::Schema;

/// Two objects that a change makes known by one value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedValue {
    /// What was changed, and what was led to by the value before; each with its name.
    pub between: [(ObjectReference, String); 2],
    /// In lower case.
    pub value: String,
}

/// Those of which somebody is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedValues {
    /// In the order of the objects' numbers, 100 at most.
    pub values: Vec<SharedValue>,
    /// How many more there are.
    pub more: usize,
}

/// What the caller may not make known by what something else is known by.
pub(super) fn problems(
    before: &Snapshot,
    after: &Snapshot,
    on: ObjectReference,
    journal: &[(Option<Record>, Option<Record>)],
    caller: &Caller,
    viewer: &Viewer,
) -> Vec<Problem> {
    let accounts = after.accounts();
    let mut problems = Vec::new();
    for (other, value) in shared(before, after, on, false) {
        let permission = match other {
            ObjectReference::Group(_) => Permission::ChangeGroup,
            _ => Permission::ChangeUser,
        };
        let (Some(name), Some(called)) = (name_of(accounts, on), name_of(accounts, other)) else { continue };
        if caller.may(accounts, permission, Some(other)) {
            continue;
        }
        // Refused calls are counted by it.
        caller.lacks(Lack::Permission(permission));
        let (kind, of) = (on.kind(), other.kind());
        let other = match viewer.names(other) {
            true => format!("the {of} `{called}`"),
            false => format!("another {of}"),
        };
        let sentence = format!(
            "the {kind} `{name}` and {other} would be known by the same value, so that clients could take one \
             for the other: that needs the permission `{permission}` on the latter"
        );
        problems.push(Problem::new(field_of(on, &value, journal), sentence).about(on));
    }
    gid_numbers(before, after, on, caller, viewer, &mut problems);
    problems
}

/// The field of an account or a group that gives it this value: one that was changed, or its attributes.
fn field_of(on: ObjectReference, value: &[u8], journal: &[(Option<Record>, Option<Record>)]) -> &'static str {
    let gives = |text: &str| name_key(text) == value;
    let begins = |text: &str| value.strip_prefix(&*name_key(text)).is_some_and(|rest| rest.starts_with(b"@"));
    let names = |text: &str| gives(text) || begins(text);
    let given = journal.iter().find_map(|change| match change {
        (before, Some(Record::Account(after))) if on == ObjectReference::Account(after.number) => {
            let before = match before {
                Some(Record::Account(before)) => Some(before),
                _ => None,
            };
            let is_new = |field: fn(&Account) -> &String| before.map(field) != Some(field(after));
            if is_new(|account| &account.email) && gives(&after.email) {
                Some("email")
            } else if is_new(|account| &account.username) && names(&after.username) {
                Some("username")
            } else if is_new(|account| &account.name) && gives(&after.name) {
                Some("name")
            } else {
                None
            }
        }
        (before, Some(Record::Group(after))) if on == ObjectReference::Group(after.number) => {
            let was_named = matches!(before, Some(Record::Group(before)) if before.name == after.name);
            (!was_named && names(&after.name)).then_some("name")
        }
        _ => None,
    });
    given.unwrap_or("attributes")
}

/// That one object becomes known by a value which leads to another, or is taken by hosts for another, or for a member of it.
#[derive(Clone, Debug)]
pub(in crate::registry) struct Claim {
    /// What was changed: the first of the two, or a provider in whose directory it is so now.
    pub(super) by: ObjectReference,
    /// Accounts and groups.
    pub(super) between: [ObjectReference; 2],
    /// In the form in which it is compared.
    pub(super) value: Vec<u8>,
    /// Whether it is a gidNumber that makes an account a member of a group.
    is_membership: bool,
    /// Whether who makes the change has said so: of the account, whatever of the group.
    is_said: bool,
}

/// All that a change of these brings about. Of what counts as new (`anew`) it is all that it is known by, whatever of that it
/// was known by before, which whoever makes the change has not said.
pub(in crate::registry) fn claims<'a>(
    before: &Snapshot,
    after: &Snapshot,
    changed: impl Iterator<Item = &'a Key>,
    anew: &HashSet<ObjectReference>,
) -> Vec<Claim> {
    let changed: HashSet<ObjectReference> = changed.filter_map(reference_of).collect();
    let mut asked: Vec<ObjectReference> = changed.union(anew).copied().collect();
    asked.sort_unstable_by_key(|on| (on.kind(), on.number()));
    let is_changed = &changed - anew;
    let mut found = Vec::new();
    let mut known = KnownNumbers::default();
    for by in asked {
        let is_anew = anew.contains(&by);
        let claim = |between: [ObjectReference; 2], value, is_membership| {
            let of_account = |on: &ObjectReference| matches!(on, ObjectReference::Account(_));
            let is_said = between.iter().any(|on| of_account(on) && is_changed.contains(on));
            Claim { by, between, value, is_membership, is_said }
        };
        let is_membership = |one: ObjectReference, other: ObjectReference| one.kind() != other.kind();
        if let ObjectReference::Provider(number) = by {
            let named = names_of_domain(before, after, number, is_anew).into_iter();
            found.extend(named.map(|(between, value)| claim(between, value, false)));
            let numbered = derived_numbers(before, after, number, is_anew).into_iter();
            found.extend(
                numbered.map(|([one, other], value)| claim([one, other], value, is_membership(one, other))),
            );
            continue;
        }
        let named = shared(before, after, by, is_anew).into_iter();
        found.extend(named.map(|(other, value)| claim([by, other], value, false)));
        let numbered = shared_numbers(before, after, (by, is_anew), &mut known).into_iter();
        let numbered = numbered.filter(|(other, _)| !is_member(after.accounts(), by, *other));
        found.extend(numbered.map(|(other, value)| claim([by, other], value, is_membership(by, other))));
    }
    found
}

/// What of these somebody is told, as far as the objects may be named. That hosts take an account for a member of a group
/// by its number is told where the group gets that, of accounts that are not said to; of no account of a file, which says
/// by numbers who is in which group.
pub(in crate::registry) fn told(
    accounts: &Accounts,
    claims: Vec<Claim>,
    is_import: bool,
    names: impl Fn(ObjectReference) -> bool,
) -> SharedValues {
    let mut pairs = HashSet::new();
    let mut found = SharedValues::default();
    for Claim { between: [on, other], value, is_membership, is_said, .. } in claims {
        if is_membership && (is_said || is_import) || !names(on) || !names(other) {
            continue;
        }
        // Two that were changed lead to each other, and one may lead to another by its name and by its number.
        if pairs.contains(&(other, on)) || !pairs.insert((on, other)) {
            continue;
        }
        let named = |on| (on, name_of(accounts, on).unwrap_or_default().to_owned());
        match found.values.len() < TOLD_MAX {
            true => found.values.push(SharedValue {
                between: [on, other].map(named),
                value: String::from_utf8_lossy(&value).into_owned(),
            }),
            false => found.more += 1,
        }
    }
    found
}

/// Whom else a value leads to that an account or a group did not have before, by one such value for each. What was shared
/// before is no matter of this change.
fn shared(
    before: &Snapshot,
    after: &Snapshot,
    on: ObjectReference,
    is_anew: bool,
) -> BTreeMap<ObjectReference, Vec<u8>> {
    let questions = match on {
        ObjectReference::Account(_) => OF_ACCOUNT,
        ObjectReference::Group(_) => OF_GROUP,
        _ => &[],
    };
    let mut found = BTreeMap::new();
    for tree in after.trees() {
        for question in questions {
            let known = known_before(before, tree, is_anew, |was| (question.values)(before, was, on));
            for value in &(question.values)(after, tree, on) - &known {
                for other in question.led_to(after, tree, &value).into_iter().filter(|other| *other != on) {
                    found.entry(other).or_insert_with(|| value.clone());
                }
            }
        }
    }
    found
}

/// What was known before in the directory of this provider; where it is new, in any. Of what counts as new nothing was.
fn known_before(
    before: &Snapshot,
    tree: &Tree,
    is_anew: bool,
    values: impl Fn(&Tree) -> BTreeSet<Vec<u8>>,
) -> BTreeSet<Vec<u8>> {
    if is_anew {
        return BTreeSet::new();
    }
    match before.tree(tree.provider().number) {
        Some(was) => values(was),
        None => before.trees().iter().flat_map(|was| values(was)).collect(),
    }
}

/// One way to be taken for another.
struct Question {
    /// What of an object clients may look it up by.
    values: fn(&Snapshot, &Tree, ObjectReference) -> BTreeSet<Vec<u8>>,
    /// What may be found instead.
    others: Kind,
    /// Whether it is by its name: an account's also with the domain of the provider.
    by_name: bool,
    /// The attributes that it is found by.
    by: &'static [&'static str],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Account,
    Group,
}

impl Question {
    fn led_to(&self, snapshot: &Snapshot, tree: &Tree, value: &[u8]) -> Vec<ObjectReference> {
        let accounts = snapshot.accounts();
        let entries = self.by.iter().flat_map(|attribute| holders(snapshot, tree, attribute, value));
        // Whose names these are at a bind, whatever attributes the provider has.
        let names = [Some(value), tree.before_domain(value)].into_iter().flatten();
        let of_account = |id| Some(ObjectReference::Account(accounts.account_of_entry(id)?.number));
        let of_group = |id| Some(ObjectReference::Group(accounts.group_of_entry(id)?.number));
        match self.others {
            Kind::Account => {
                let named = names.filter(|_| self.by_name).filter_map(|name| accounts.account_keyed(name));
                let named = named.map(|named| ObjectReference::Account(named.number));
                named.chain(entries.filter_map(of_account)).collect()
            }
            Kind::Group => {
                let named = accounts.group_keyed(value).filter(|_| self.by_name);
                let named = named.map(|named| ObjectReference::Group(named.number));
                named.into_iter().chain(entries.filter_map(of_group)).collect()
            }
        }
    }
}

const OF_ACCOUNT: &[Question] = &[
    // Clients look people up by any of these, and take who comes first.
    Question { values: found_by, others: Kind::Account, by_name: true, by: &PEOPLE_KNOWN_BY },
    Question { values: found_by, others: Kind::Group, by_name: false, by: &PEOPLE_KNOWN_BY },
    Question { values: names, others: Kind::Account, by_name: true, by: &KNOWN_BY },
    Question { values: names, others: Kind::Group, by_name: false, by: &PEOPLE_KNOWN_BY },
    // An account may well have the username of a group; a `cn` of another's name is a choice.
    Question { values: chosen_common_names, others: Kind::Group, by_name: false, by: &["cn"] },
    Question { values: bound_by, others: Kind::Account, by_name: true, by: &[] },
];

/// Applications take the members of whatever is found by a name for those who hold a role.
const OF_GROUP: &[Question] = &[
    Question { values: common_names, others: Kind::Group, by_name: true, by: &[] },
    Question { values: name, others: Kind::Group, by_name: false, by: &["cn"] },
    // A group may well have the name of an account; what finds people finds it by these.
    Question { values: found_like_people, others: Kind::Account, by_name: true, by: &PEOPLE_KNOWN_BY },
    Question { values: named_by_dn, others: Kind::Account, by_name: true, by: &[] },
];

/// Whose gidNumber an account or a group has that it did not have before, as far as that makes one worth what the other is.
/// Hosts go by the number alone: an account with that of a group is a member of it, a group with that of another is in it, and
/// what belongs to a number that was derived for one account is open to whoever has it too. One that accounts were given may
/// be shared.
fn shared_numbers(
    before: &Snapshot,
    after: &Snapshot,
    (on, is_anew): (ObjectReference, bool),
    known: &mut KnownNumbers,
) -> BTreeSet<(ObjectReference, Vec<u8>)> {
    let accounts = after.accounts();
    let mut found = BTreeSet::new();
    for tree in after.trees() {
        let numbers = |snapshot: &Snapshot, tree: &Tree| values(snapshot, tree, on, &["gidNumber"]);
        let before = known_before(before, tree, is_anew, |was| numbers(before, was));
        for value in &numbers(after, tree) - &before {
            let others = match on {
                ObjectReference::Account(_) => known.worth_something(after, tree, &value).to_vec(),
                _ => holders(after, tree, "gidNumber", &value)
                    .into_iter()
                    .filter_map(|id| object_of(accounts, id))
                    .collect(),
            };
            let others = others.into_iter().filter(|other| *other != on);
            let others = others.filter(|other| match (on, *other) {
                (ObjectReference::Account(account), ObjectReference::Group(group)) => {
                    accounts.group(group).is_some_and(|group| !group.has_member(account))
                }
                _ => true,
            });
            found.extend(others.map(|other| (other, value.clone())));
        }
    }
    found
}

/// Which groups, and which account for which it is derived, have a number: looked up once, as thousands may be given one.
#[derive(Default)]
struct KnownNumbers(HashMap<(ProviderNumber, Vec<u8>), Vec<ObjectReference>>);

impl KnownNumbers {
    fn worth_something(&mut self, snapshot: &Snapshot, tree: &Tree, value: &[u8]) -> &[ObjectReference] {
        let look_up = || {
            let found = holders(snapshot, tree, "gidNumber", value).into_iter();
            let found = found.filter_map(|id| object_of(snapshot.accounts(), id));
            let is_worth = |on: &ObjectReference| match on {
                ObjectReference::Account(account) => derived_for(tree, value) == Some(account.get()),
                _ => true,
            };
            found.filter(is_worth).collect()
        };
        self.0.entry((tree.provider().number, value.to_vec())).or_insert_with(look_up)
    }
}

/// The account or group for which a gidNumber would be derived.
fn derived_for(tree: &Tree, value: &[u8]) -> Option<u32> {
    let value: u32 = std::str::from_utf8(value).ok()?.trim().parse().ok()?;
    value.checked_sub(tree.provider().gid_start_number)
}

fn object_of(accounts: &Accounts, id: EntryId) -> Option<ObjectReference> {
    let account = accounts.account_of_entry(id).map(|account| ObjectReference::Account(account.number));
    account.or_else(|| accounts.group_of_entry(id).map(|group| ObjectReference::Group(group.number)))
}

/// Whether one of the two is a member of the other.
fn is_member(accounts: &Accounts, one: ObjectReference, other: ObjectReference) -> bool {
    match (one, other) {
        (ObjectReference::Account(account), ObjectReference::Group(group))
        | (ObjectReference::Group(group), ObjectReference::Account(account)) => {
            accounts.group(group).is_some_and(|group| group.has_member(account))
        }
        _ => false,
    }
}

/// The directory of a provider, where none was the same in this before; its own does not count where it counts as new.
fn unlike_before<'s>(
    before: &Snapshot,
    after: &'s Snapshot,
    (number, is_anew): (ProviderNumber, bool),
    is_same: impl Fn(&Tree, &Tree) -> bool,
) -> Option<&'s Arc<Tree>> {
    let counts = |was: &&Arc<Tree>| !is_anew || was.provider().number != number;
    after.tree(number).filter(|tree| !before.trees().iter().filter(counts).any(|was| is_same(was, tree)))
}

/// What a provider with another domain makes of the names of accounts: one that is `alice` and the domain leads to `alice`
/// now, whoever has it.
fn names_of_domain(
    before: &Snapshot,
    after: &Snapshot,
    number: ProviderNumber,
    is_anew: bool,
) -> Vec<([ObjectReference; 2], Vec<u8>)> {
    let accounts = after.accounts();
    let is_same = |one: &Tree, other: &Tree| one.domain().eq_ignore_ascii_case(other.domain());
    let Some(tree) = unlike_before(before, after, (number, is_anew), is_same) else { return Vec::new() };
    let mut found = Vec::new();
    for account in accounts.accounts() {
        let on = ObjectReference::Account(account.number);
        let known = &names(after, tree, on) | &found_by(after, tree, on);
        for value in known {
            let other = tree.before_domain(&value).and_then(|name| accounts.account_keyed(name));
            if let Some(other) = other.filter(|other| other.number != account.number) {
                found.push(([on, ObjectReference::Account(other.number)], value));
            }
        }
    }
    found
}

/// Those to whom a provider that begins elsewhere derives the gidNumber that another was given, the latter first.
fn derived_numbers(
    before: &Snapshot,
    after: &Snapshot,
    number: ProviderNumber,
    is_anew: bool,
) -> Vec<([ObjectReference; 2], Vec<u8>)> {
    let accounts = after.accounts();
    let start = |tree: &Tree| tree.provider().gid_start_number;
    let is_same = |one: &Tree, other: &Tree| start(one) == start(other);
    let Some(tree) = unlike_before(before, after, (number, is_anew), is_same) else { return Vec::new() };
    let of_accounts = accounts.accounts().map(|account| ObjectReference::Account(account.number));
    let of_groups = accounts.groups().map(|group| ObjectReference::Group(group.number));
    let mut found = Vec::new();
    for on in of_accounts.chain(of_groups) {
        for value in values(after, tree, on, &["gidNumber"]) {
            let Some(derived) = derived_for(tree, &value).filter(|derived| *derived != on.number()) else {
                continue;
            };
            let other = [
                ObjectReference::Account(AccountNumber::new(derived)),
                ObjectReference::Group(GroupNumber::new(derived)),
            ];
            let other = other.into_iter().find(|other| accounts.has(*other));
            let has_it =
                |other: &ObjectReference| values(after, tree, *other, &["gidNumber"]).contains(&value);
            if let Some(other) = other.filter(has_it).filter(|other| !is_member(accounts, on, *other)) {
                found.push(([on, other], value));
            }
        }
    }
    found
}

/// Whether the caller may give an account or a group the gidNumber of another.
fn gid_numbers(
    before: &Snapshot,
    after: &Snapshot,
    on: ObjectReference,
    caller: &Caller,
    viewer: &Viewer,
    problems: &mut Vec<Problem>,
) {
    let accounts = after.accounts();
    let Some(name) = name_of(accounts, on) else { return };
    // What is to be held, and on what.
    let mut needed: Vec<(Permission, ObjectReference)> = Vec::new();
    for (other, _) in shared_numbers(before, after, (on, false), &mut KnownNumbers::default()) {
        match (on, other) {
            (ObjectReference::Account(_), ObjectReference::Group(_)) => {
                needed.push((Permission::AddUserToGroup, other));
            }
            (_, ObjectReference::Group(_)) => needed.push((Permission::ChangeGroup, other)),
            (ObjectReference::Group(_), _) => {
                needed.push((Permission::AddUserToGroup, on));
                needed.push((Permission::ChangeUser, other));
            }
            _ => needed.push((Permission::ChangeUser, other)),
        }
    }
    let mut told = HashSet::new();
    for (permission, other) in needed.into_iter().filter(|needed| told.insert(*needed)) {
        let given = match other {
            ObjectReference::Group(group) => Rights::of_group(accounts, group),
            _ => Rights::default(),
        };
        if !caller.may(accounts, permission, Some(other)) {
            caller.lacks(Lack::Permission(permission));
        } else if caller.require_held(accounts, &given).is_ok() {
            continue;
        }
        problems.push(
            Problem::new(
                "attributes",
                format!(
                    "`{name}` would have a gidNumber that makes hosts take it for a member of a group, or a group for \
                     another: that needs the permission `{permission}` on {}, and all rights that it gives",
                    viewer.called(other, name_of(accounts, other).unwrap_or_default(), "something else")
                ),
            )
            .about(on),
        );
    }
}

/// What an account is known by stands in the directories alone: without any, it cannot be asked of whom else it is. So
/// only who may change every account gives it.
pub(in crate::registry) fn unseen(
    snapshot: &Snapshot,
    journal: &[(Option<Record>, Option<Record>)],
    caller: &Caller,
) -> Vec<Problem> {
    if !snapshot.trees().is_empty() || caller.may(snapshot.accounts(), Permission::ChangeUser, None) {
        return Vec::new();
    }
    let known_by = |account: &Account| {
        let Account { username, name, email, attributes, .. } = account;
        (username.clone(), name.clone(), email.clone(), attributes.clone())
    };
    let given = journal.iter().filter_map(|change| match change {
        (Some(Record::Account(before)), Some(Record::Account(after))) => {
            (known_by(before) != known_by(after)).then_some(after)
        }
        (None, Some(Record::Account(made))) => Some(made),
        _ => None,
    });
    let problem = |account: &Account| {
        let sentence = format!(
            "there is no provider, and without one it cannot be asked whether `{}` is known by what another account is \
             known by: that needs the permission `{}` on all accounts, or a provider",
            account.username,
            Permission::ChangeUser
        );
        Problem::new("attributes", sentence).about(ObjectReference::Account(account.number))
    };
    given.map(problem).collect()
}

/// What an account is named by: nobody else is to be found by it.
fn names(snapshot: &Snapshot, tree: &Tree, on: ObjectReference) -> BTreeSet<Vec<u8>> {
    let Some(name) = name_of(snapshot.accounts(), on) else { return BTreeSet::new() };
    let mut names = values(snapshot, tree, on, &["mail"]);
    names.insert(name_key(name));
    if !tree.domain().is_empty() {
        names.insert(name_key(&format!("{name}@{}", tree.domain())));
    }
    names
}

fn name(snapshot: &Snapshot, _: &Tree, on: ObjectReference) -> BTreeSet<Vec<u8>> {
    name_of(snapshot.accounts(), on).map(name_key).into_iter().collect()
}

/// What an account can be found by.
fn found_by(snapshot: &Snapshot, tree: &Tree, on: ObjectReference) -> BTreeSet<Vec<u8>> {
    values(snapshot, tree, on, &KNOWN_BY)
}

/// What a group can be found by where people are looked for.
fn found_like_people(snapshot: &Snapshot, tree: &Tree, on: ObjectReference) -> BTreeSet<Vec<u8>> {
    values(snapshot, tree, on, &PEOPLE_KNOWN_BY)
}

fn common_names(snapshot: &Snapshot, tree: &Tree, on: ObjectReference) -> BTreeSet<Vec<u8>> {
    values(snapshot, tree, on, &["cn"])
}

fn chosen_common_names(snapshot: &Snapshot, tree: &Tree, on: ObjectReference) -> BTreeSet<Vec<u8>> {
    &common_names(snapshot, tree, on) - &name(snapshot, tree, on)
}

/// What an account takes at a bind, and what it may have had as an address or a `uid` before without taking it.
fn bound_by(snapshot: &Snapshot, tree: &Tree, on: ObjectReference) -> BTreeSet<Vec<u8>> {
    &name(snapshot, tree, on) | &named_by_dn(snapshot, tree, on)
}

/// Whose name its DN would stand for if it had another: the entry that has a DN takes it from whom it stands for.
fn named_by_dn(snapshot: &Snapshot, tree: &Tree, on: ObjectReference) -> BTreeSet<Vec<u8>> {
    let entry = entry_of(on).and_then(|id| tree.entry(id));
    entry.and_then(|entry| tree.username_in(entry.dn(), snapshot.schema())).into_iter().collect()
}

fn values(snapshot: &Snapshot, tree: &Tree, on: ObjectReference, attributes: &[&str]) -> BTreeSet<Vec<u8>> {
    let Some(entry) = entry_of(on).and_then(|id| tree.entry(id)) else { return BTreeSet::new() };
    let ids = attributes.iter().filter_map(|name| snapshot.schema().find(name));
    ids.flat_map(|id| {
        entry.attributes_of(id).flat_map(|stored| stored.values().map(folded).collect::<Vec<_>>())
    })
    .collect()
}

/// Whether clients or hosts go by an attribute of this description.
pub(super) fn is_known_by(description: &str, schema: &Schema) -> bool {
    let id = schema.find(description.split(';').next().unwrap_or_default());
    id.is_some() && KNOWN_BY.iter().chain(&["gidNumber"]).any(|name| schema.find(name) == id)
}

/// A value in the form in which it is compared.
pub(super) fn folded(value: &[u8]) -> Vec<u8> {
    std::str::from_utf8(value).map_or_else(|_| value.to_vec(), name_key)
}

fn reference_of(key: &Key) -> Option<ObjectReference> {
    use ObjectReference::{Account, Group, Provider};
    key.object().filter(|on| matches!(on, Account(_) | Group(_) | Provider(_)))
}

/// The entry of an account or a group.
pub(super) fn entry_of(on: ObjectReference) -> Option<EntryId> {
    match on {
        ObjectReference::Account(number) => Some(EntryId::of_account(number)),
        ObjectReference::Group(number) => Some(EntryId::of_group(number)),
        _ => None,
    }
}

/// The name of an account or a group.
fn name_of(accounts: &Accounts, on: ObjectReference) -> Option<&str> {
    match on {
        ObjectReference::Account(number) => accounts.account(number).map(|account| &*account.username),
        ObjectReference::Group(number) => accounts.group(number).map(|group| &*group.name),
        _ => None,
    }
}

/// The attributes that clients look people up by.
const KNOWN_BY: [&str; 6] = ["uid", "cn", "mail", "email", "sAMAccountName", "userPrincipalName"];

/// Those of them that are one person's alone, and find people whatever has them: full names may be shared, and a group may
/// well have the name of an account.
const PEOPLE_KNOWN_BY: [&str; 4] = ["uid", "mail", "email", "userPrincipalName"];

/// So many are told of at a time.
/// No limit of the config: all are counted, and nobody reads more.
const TOLD_MAX: usize = 100;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::access::{Credential, Holder};
    use crate::model::{AccountChanges, AccountKind, Actor, Change, Grant, GroupChanges, Password};
    use crate::plain;
    use crate::registry::commands::testing::{registry_over, wait};
    use crate::registry::commands::{update_account, update_group};
    use crate::schema::steps;
    use crate::store::{Batch, Counters, MemoryStore, Store as _};

    /// Whoever may change one object occupies the one writer no longer than what is said of it takes.
    #[test]
    fn what_many_values_cost_grows_as_they_do() {
        let holds = |permission| Grant { permission, on: None };
        let helper = Account {
            grants: vec![holds(Permission::ChangeUser), holds(Permission::ChangeGroup)],
            kind: AccountKind::Internal,
            password: Some(Password { generation: 1, ..plain::password("none") }),
            ..plain::account(1, "helper")
        };
        let person = |number, name| Account { kind: AccountKind::Internal, ..plain::account(number, name) };
        let records = [
            Record::Provider(plain::provider(1, "dc=example,dc=org")),
            Record::Account(helper),
            Record::Account(person(2, "one")),
            Record::Account(person(3, "other")),
            Record::Group(plain::group(4, "team")),
        ];
        let store = Arc::new(MemoryStore::new());
        let changes = records.into_iter().map(Change::Put).collect();
        let counters = Counters { next_number: 1_000, next_object: 1_000, ..Counters::default() };
        store.commit(&Batch { changes, counters, seeded: true, ..Batch::default() }).unwrap();
        let registry = registry_over(store);
        let holder =
            Holder { account: AccountNumber::new(1), credential: Credential::Password { generation: 1 } };
        let caller = Caller::account(holder, Actor::named("helper"));
        let cost = |on: ObjectReference, name: &str, count: usize| {
            let values: Vec<String> = (0..count).map(|number| format!("m{number}@example.org")).collect();
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            let attributes = Some(vec![plain::attribute(name, &values)]);
            let command = move |transaction: &mut crate::registry::Transaction<'_>| {
                let before = steps::taken();
                match on {
                    ObjectReference::Group(number) => {
                        update_group(transaction, number, GroupChanges { attributes, ..Default::default() })?;
                    }
                    _ => {
                        let number = AccountNumber::new(on.number());
                        let changes = AccountChanges { attributes, ..Default::default() };
                        update_account(transaction, number, changes)?;
                    }
                }
                assert!(transaction.problems().is_empty());
                Ok(steps::taken() - before)
            };
            wait(registry.change(caller.clone(), command)).unwrap()
        };
        let [one, other] = [2, 3].map(|number| ObjectReference::Account(AccountNumber::new(number)));
        let team = ObjectReference::Group(GroupNumber::new(4));
        for (on, name) in [(one, "mail"), (one, "uid"), (one, "cn"), (team, "mail"), (team, "cn")] {
            let (few, many) = (cost(on, name, 100), cost(on, name, 400));
            assert!(many < 6 * few, "{on:?} {name}: {many} for four times what cost {few}");
            cost(on, name, 1);
        }
        // Nor where another has them all.
        cost(one, "mail", 100);
        let few = cost(other, "mail", 100);
        cost(other, "mail", 1);
        cost(one, "mail", 400);
        let many = cost(other, "mail", 400);
        assert!(many < 6 * few, "{many} for four times what cost {few}");
    }
}
