//! The rules that are about more than one object: asked at the end of every change, whoever makes it, of what has changed.
//!
//! What was so before is not asked of again: a store may hold what an older version let in, and it may be changed in all
//! that does not make it worse.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::validate::holders;
use crate::access::Rights;
use crate::directory::{Accounts, EntryId, Snapshot, Tree, name_key};
use crate::model::{
    Account, AccountKind, AccountNumber, GroupNumber, Key, LdapProvider, ObjectReference, Permission, Record,
    Token,
};
use crate::registry::{Caller, ChangeError, Rules, Viewer};
use crate::schema::{AttributeId, normalize_dn};

/// What cannot be, about more than one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The field of the API that says it.
    pub(crate) field: &'static str,
    /// Which objects it is about, as far as they may be named, and what to do.
    pub(crate) sentence: String,
    /// The two objects that want the same, where it is that.
    pub(crate) between: Option<(ObjectReference, ObjectReference)>,
    /// The object that it is about, where it is about one more than about others.
    pub(crate) on: Option<ObjectReference>,
    /// The provider in whose directory alone it is so.
    pub(crate) within: Option<ObjectReference>,
    /// How far it goes beyond what can be; 0 where there is nothing to count.
    excess: usize,
}

impl Problem {
    fn new(field: &'static str, sentence: String) -> Self {
        Self { field, sentence, between: None, on: None, within: None, excess: 0 }
    }

    fn between(self, one: ObjectReference, other: ObjectReference) -> Self {
        Self { between: Some((one, other)), ..self }
    }

    fn about(self, on: ObjectReference) -> Self {
        Self { on: Some(on), ..self }
    }

    fn within(self, tree: &Tree) -> Self {
        Self { within: Some(ObjectReference::Provider(tree.provider().number)), ..self }
    }

    /// Whether this is what the other was already, and no worse.
    fn is_no_worse_than(&self, known: &Self) -> bool {
        self.excess <= known.excess && *self == Self { excess: self.excess, ..known.clone() }
    }
}

/// Refuses a change that makes what cannot be.
///
/// # Errors
/// All of it.
pub(in crate::registry) fn refuse(problems: Vec<Problem>) -> Result<(), ChangeError> {
    let problems = match <[Problem; 1]>::try_from(problems) {
        // What stands in a field that every request has is said of it.
        Ok([Problem { field: field @ ("parents" | "attributes"), sentence, .. }]) => {
            return Err(ChangeError::field(field, sentence));
        }
        Ok([one]) => vec![one],
        Err(problems) if problems.is_empty() => return Ok(()),
        Err(problems) => problems,
    };
    let mut sentences: Vec<String> = problems.into_iter().map(|problem| problem.sentence).collect();
    sentences.dedup();
    Err(ChangeError::Invalid(sentences))
}

/// What cannot be of what there is now, and could be, or was not so, before.
pub(in crate::registry) fn problems<'a>(
    before: &Snapshot,
    after: &Snapshot,
    changed: impl Iterator<Item = &'a Key>,
    caller: &Caller,
    rules: Rules,
) -> Vec<Problem> {
    let mut asked = Asked::default();
    for key in changed {
        asked.add(key, before, after);
    }
    // Whoever changes an object is told its name.
    let viewer =
        asked.objects.iter().fold(Viewer::new(caller, after.accounts()), |viewer, on| viewer.about(*on));
    let mut found = asked.problems(after, &viewer, rules);
    if !found.is_empty() {
        let known = asked.problems(before, &viewer, rules);
        found.retain(|problem| !known.iter().any(|known| problem.is_no_worse_than(known)));
    }
    if !caller.is_superuser(after.accounts()) {
        for number in &asked.accounts {
            identities(before, after, *number, caller, &viewer, &mut found);
        }
        for on in &asked.objects {
            if let ObjectReference::Group(number) = on {
                group_identities(before, after, *number, caller, &viewer, &mut found);
            }
            gid_numbers(before, after, *on, caller, &viewer, &mut found);
        }
    }
    found
}

/// What an account is known by stands in the directories alone: without any, it cannot be asked of whom else it is. So
/// only who may change every account gives it.
pub(in crate::registry) fn identities_unseen(
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

/// What cannot be of what there is, whatever was before: for who is told, not for who is refused.
pub(super) fn of_all(snapshot: &Snapshot, rules: Rules, found: &mut Vec<String>) {
    let viewer = Viewer::of_everything();
    let accounts = snapshot.accounts();
    let asked = Asked { providers: true, applications: true, ..Asked::default() };
    let mut problems = asked.problems(snapshot, &viewer, rules);
    let mut in_circles = HashSet::new();
    for group in accounts.groups().filter(|group| !group.parents.is_empty()) {
        if in_circles.contains(&group.number) {
            continue;
        }
        in_circles.extend(circle(snapshot, group.number).into_iter().flatten());
        nesting(snapshot, group.number, &viewer, rules, &mut problems);
    }
    for account in accounts.accounts() {
        credentials(snapshot, account.number, &viewer, &mut problems);
    }
    found.extend(problems.into_iter().map(|problem| problem.sentence));
}

/// What is to be asked.
#[derive(Default)]
struct Asked {
    /// What was changed.
    objects: Vec<ObjectReference>,
    accounts: BTreeSet<AccountNumber>,
    /// Groups that joined or left another.
    nested: BTreeSet<GroupNumber>,
    providers: bool,
    applications: bool,
}

impl Asked {
    fn add(&mut self, key: &Key, before: &Snapshot, after: &Snapshot) {
        match key {
            Key::Account(number) => {
                self.objects.push(ObjectReference::Account(*number));
                self.accounts.insert(*number);
            }
            Key::Token(number) => {
                self.accounts.extend(after.accounts().token(*number).map(|token| token.account));
            }
            Key::Group(number) => {
                self.objects.push(ObjectReference::Group(*number));
                let parents = |snapshot: &Snapshot| {
                    snapshot.accounts().group(*number).map(|group| group.parents.clone())
                };
                if parents(before) != parents(after) {
                    self.nested.insert(*number);
                }
            }
            Key::Provider(number) => {
                self.objects.push(ObjectReference::Provider(*number));
                self.providers = true;
            }
            Key::Application(number) => {
                self.objects.push(ObjectReference::Application(*number));
                self.applications = true;
            }
            Key::Membership(..)
            | Key::Role(_)
            | Key::CustomAttribute(_)
            | Key::Tombstone(_)
            | Key::Usage(_)
            | Key::Event(_) => {}
        }
    }

    fn problems(&self, snapshot: &Snapshot, viewer: &Viewer, rules: Rules) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.providers {
            providers(snapshot, viewer, &mut problems);
            if problems.is_empty() {
                trees(snapshot, viewer, &mut problems);
            }
        }
        if self.applications || self.providers {
            applications(snapshot, &mut problems);
        }
        for number in &self.accounts {
            uid_numbers(snapshot, *number, viewer, &mut problems);
            credentials(snapshot, *number, viewer, &mut problems);
        }
        for number in &self.nested {
            nesting(snapshot, *number, viewer, rules, &mut problems);
        }
        problems
    }
}

/// Whether a group is in itself through others, or an account in too many groups through it.
fn nesting(
    snapshot: &Snapshot,
    number: GroupNumber,
    viewer: &Viewer,
    rules: Rules,
    problems: &mut Vec<Problem>,
) {
    let accounts = snapshot.accounts();
    let Some(group) = accounts.group(number) else { return };
    let name = |number: &GroupNumber| {
        let group = accounts.group(*number);
        let on = ObjectReference::Group(*number);
        group.map_or_else(|| number.to_string(), |group| viewer.called(on, &group.name, "another group"))
    };
    if let Some(circle) = circle(snapshot, number) {
        let path: Vec<String> = circle.iter().chain([&number]).map(name).collect();
        let path = path.join(" in ");
        problems.push(
            Problem::new(
                "parents",
                format!("groups cannot be in each other: {path} would be a circle; leave one of them out"),
            )
            .about(ObjectReference::Group(number)),
        );
        return;
    }
    let below = accounts.groups_below(number).into_iter().filter_map(|below| accounts.group(below));
    let most = below.map(|below| below.closure.len()).max().unwrap_or(0);
    let excess = most.saturating_sub(rules.groups_above_max);
    if excess > 0 {
        let problem = Problem::new(
            "parents",
            format!(
                "an account can be in {} groups through nesting of one, and would be in more through `{}`: nest them \
                 less deeply",
                rules.groups_above_max, group.name
            ),
        );
        problems.push(Problem { excess, ..problem }.about(ObjectReference::Group(number)));
    }
}

/// The groups from this one over its parents back to it, without it at the end.
fn circle(snapshot: &Snapshot, start: GroupNumber) -> Option<Vec<GroupNumber>> {
    let accounts = snapshot.accounts();
    let mut from: HashMap<GroupNumber, GroupNumber> = HashMap::new();
    let mut waiting = vec![start];
    while let Some(number) = waiting.pop() {
        let parents = accounts.group(number).map(|group| group.parents.clone()).unwrap_or_default();
        for parent in parents {
            if parent == start {
                let mut path = vec![number];
                while let Some(last) = path.last().filter(|last| **last != start) {
                    let below = from.get(last).copied()?;
                    path.push(below);
                }
                path.reverse();
                return Some(path);
            }
            if let std::collections::hash_map::Entry::Vacant(place) = from.entry(parent) {
                place.insert(number);
                waiting.push(parent);
            }
        }
    }
    None
}

/// Whether the caller may make one account known by what another is known by. Clients look people up by any of these, and
/// take who comes first.
fn identities(
    before: &Snapshot,
    after: &Snapshot,
    number: AccountNumber,
    caller: &Caller,
    viewer: &Viewer,
    problems: &mut Vec<Problem>,
) {
    let accounts = after.accounts();
    let Some(account) = accounts.account(number) else { return };
    let (mut told, mut told_groups) = (HashSet::new(), HashSet::new());
    for tree in after.trees() {
        let was = before.tree(tree.provider().number);
        let new = |values: fn(&Snapshot, &Tree, AccountNumber) -> BTreeSet<Vec<u8>>| {
            let known = was.map(|was| values(before, was, number)).unwrap_or_default();
            let now = values(after, tree, number);
            now.difference(&known).cloned().collect::<Vec<_>>()
        };
        let mut others: BTreeSet<EntryId> = BTreeSet::new();
        let mut groups: BTreeSet<EntryId> = BTreeSet::new();
        let find = |attribute: &str, value: &[u8], others: &mut BTreeSet<EntryId>| {
            others.extend(holders(after, tree, attribute, value));
        };
        for value in new(claimed) {
            let named = std::str::from_utf8(&value).ok().and_then(|name| accounts.account_named(name));
            others.extend(named.map(|named| EntryId::of_account(named.number)));
            for attribute in ["mail", "userPrincipalName"] {
                find(attribute, &value, &mut others);
            }
            for attribute in GROUP_KNOWN_BY {
                find(attribute, &value, &mut groups);
            }
        }
        for value in new(names) {
            for attribute in KNOWN_BY {
                find(attribute, &value, &mut others);
            }
            for attribute in GROUP_KNOWN_BY {
                find(attribute, &value, &mut groups);
            }
        }
        // An account may well have the username of a group; a `cn` of another's name is a choice.
        for value in new(common_names).into_iter().filter(|value| *value != name_key(&account.username)) {
            find("cn", &value, &mut groups);
        }
        for other in groups.into_iter().filter_map(|other| accounts.group_of_entry(other)) {
            let on = ObjectReference::Group(other.number);
            if caller.may(accounts, Permission::ChangeGroup, Some(on)) || !told_groups.insert(other.number) {
                continue;
            }
            problems.push(Problem::new(
                "attributes",
                format!(
                    "`{}` and {} would be known by the same value, so that clients could take one for the other: that needs \
                     the permission `{}` on the group",
                    account.username,
                    viewer.called(on, &other.name, "a group"),
                    Permission::ChangeGroup
                ),
            ).about(ObjectReference::Account(number)));
        }
        for other in others.into_iter().filter_map(|other| accounts.account_of_entry(other)) {
            let on = ObjectReference::Account(other.number);
            if other.number == number || caller.may(accounts, Permission::ChangeUser, Some(on)) {
                continue;
            }
            if told.insert(other.number) {
                let other = viewer.called(on, &other.username, "another account");
                problems.push(Problem::new(
                    "attributes",
                    format!(
                        "`{}` and {other} would be known by the same value, so that clients could take one for the other: \
                         that needs the permission `{}` on both",
                        account.username,
                        Permission::ChangeUser
                    ),
                ).about(ObjectReference::Account(number)));
            }
        }
    }
}

/// The same of a group: applications take the members of whatever is found by a name for those who hold a role.
fn group_identities(
    before: &Snapshot,
    after: &Snapshot,
    number: GroupNumber,
    caller: &Caller,
    viewer: &Viewer,
    problems: &mut Vec<Problem>,
) {
    let accounts = after.accounts();
    let Some(group) = accounts.group(number) else { return };
    let id = EntryId::of_group(number);
    let is_named_anew = before.accounts().group(number).is_none_or(|was| was.name != group.name);
    let (mut groups, mut others) = (BTreeSet::new(), BTreeSet::new());
    for tree in after.trees() {
        let was = before.tree(tree.provider().number);
        let new = |attributes: &[&str]| {
            let known = was.map(|was| values(before, was, id, attributes)).unwrap_or_default();
            &values(after, tree, id, attributes) - &known
        };
        let text = |value: &[u8]| std::str::from_utf8(value).map(str::to_owned).unwrap_or_default();
        for value in new(&["cn"]) {
            groups.extend(accounts.group_named(&text(&value)).map(|other| other.number));
        }
        if is_named_anew {
            let found = holders(after, tree, "cn", group.name.as_bytes());
            groups.extend(found.into_iter().filter_map(|id| accounts.group_of_entry(id)).map(|it| it.number));
        }
        // A group may well have the name of an account; what finds people finds it by these.
        for value in new(&GROUP_KNOWN_BY) {
            others.extend(accounts.account_named(&text(&value)).map(|other| other.number));
            let found = ["mail", "userPrincipalName"].map(|name| holders(after, tree, name, &value));
            let found = found.into_iter().flatten().filter_map(|id| accounts.account_of_entry(id));
            others.extend(found.map(|other| other.number));
        }
    }
    let groups = groups.into_iter().filter(|other| *other != number);
    let groups = groups.map(|other| (Permission::ChangeGroup, ObjectReference::Group(other)));
    let others = others.into_iter().map(|other| (Permission::ChangeUser, ObjectReference::Account(other)));
    for (permission, on) in groups.chain(others) {
        if caller.may(accounts, permission, Some(on)) {
            continue;
        }
        let other = viewer.called(on, name_of(accounts, on).unwrap_or_default(), "something else");
        problems.push(
            Problem::new(
                "attributes",
                format!(
                    "the group `{}` and {other} would be known by the same value, so that clients could take one for the \
                     other: that needs the permission `{permission}` on it",
                    group.name
                ),
            )
            .about(ObjectReference::Group(number)),
        );
    }
}

/// Whether the caller may give an account or a group the gidNumber of another. Hosts go by the number alone: an account
/// with that of a group is a member of it, a group with that of another is in it, and what belongs to a number that was
/// derived for one account is open to whoever has it too. One that accounts were given may be shared.
fn gid_numbers(
    before: &Snapshot,
    after: &Snapshot,
    on: ObjectReference,
    caller: &Caller,
    viewer: &Viewer,
    problems: &mut Vec<Problem>,
) {
    let accounts = after.accounts();
    let id = match on {
        ObjectReference::Account(number) => EntryId::of_account(number),
        ObjectReference::Group(number) => EntryId::of_group(number),
        _ => return,
    };
    let Some(name) = name_of(accounts, on) else { return };
    let is_derived = |tree: &Tree, number: AccountNumber, value: &[u8]| {
        let derived = u64::from(tree.provider().gid_start_number) + u64::from(number.get());
        std::str::from_utf8(value).is_ok_and(|value| value.trim().parse() == Ok(derived))
    };
    // What is to be held, and on what.
    let mut needed: Vec<(Permission, ObjectReference)> = Vec::new();
    for tree in after.trees() {
        let numbers = |snapshot: &Snapshot, tree: &Tree| values(snapshot, tree, id, &["gidNumber"]);
        let known = before.tree(tree.provider().number).map(|was| numbers(before, was)).unwrap_or_default();
        for value in &numbers(after, tree) - &known {
            for other in holders(after, tree, "gidNumber", &value).into_iter().filter(|other| *other != id) {
                match (on, accounts.account_of_entry(other), accounts.group_of_entry(other)) {
                    (ObjectReference::Account(account), _, Some(group)) if !group.has_member(account) => {
                        needed.push((Permission::AddUserToGroup, ObjectReference::Group(group.number)));
                    }
                    (ObjectReference::Group(_), _, Some(group)) => {
                        needed.push((Permission::ChangeGroup, ObjectReference::Group(group.number)));
                    }
                    (ObjectReference::Group(group), Some(account), _) => {
                        needed.push((Permission::AddUserToGroup, ObjectReference::Group(group)));
                        needed.push((Permission::ChangeUser, ObjectReference::Account(account.number)));
                    }
                    (ObjectReference::Account(_), Some(account), _)
                        if is_derived(tree, account.number, &value) =>
                    {
                        needed.push((Permission::ChangeUser, ObjectReference::Account(account.number)));
                    }
                    _ => {}
                }
            }
        }
    }
    let mut told = HashSet::new();
    for (permission, other) in needed.into_iter().filter(|needed| told.insert(*needed)) {
        let given = match other {
            ObjectReference::Group(group) => Rights::of_group(accounts, group),
            _ => Rights::default(),
        };
        if caller.may(accounts, permission, Some(other)) && caller.require_held(accounts, &given).is_ok() {
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

/// The name of an account or a group.
fn name_of(accounts: &Accounts, on: ObjectReference) -> Option<&str> {
    match on {
        ObjectReference::Account(number) => accounts.account(number).map(|account| &*account.username),
        ObjectReference::Group(number) => accounts.group(number).map(|group| &*group.name),
        _ => None,
    }
}

/// What an account is named by: nobody else is to be found by it.
fn names(snapshot: &Snapshot, tree: &Tree, number: AccountNumber) -> BTreeSet<Vec<u8>> {
    let Some(account) = snapshot.accounts().account(number) else { return BTreeSet::new() };
    let mut names = BTreeSet::from([name_key(&account.username)]);
    if !tree.domain().is_empty() {
        names.insert(name_key(&format!("{}@{}", account.username, tree.domain())));
    }
    names.extend(values(snapshot, tree, EntryId::of_account(number), &["mail"]));
    names
}

/// What an account can be found by.
fn claimed(snapshot: &Snapshot, tree: &Tree, number: AccountNumber) -> BTreeSet<Vec<u8>> {
    values(snapshot, tree, EntryId::of_account(number), &KNOWN_BY)
}

fn common_names(snapshot: &Snapshot, tree: &Tree, number: AccountNumber) -> BTreeSet<Vec<u8>> {
    values(snapshot, tree, EntryId::of_account(number), &["cn"])
}

fn values(snapshot: &Snapshot, tree: &Tree, id: EntryId, attributes: &[&str]) -> BTreeSet<Vec<u8>> {
    let Some(entry) = tree.entry(id) else { return BTreeSet::new() };
    let ids = attributes.iter().filter_map(|name| snapshot.schema().find(name));
    ids.flat_map(|id| {
        entry.attributes_of(id).flat_map(|stored| stored.values().map(folded).collect::<Vec<_>>())
    })
    .collect()
}

fn folded(value: &[u8]) -> Vec<u8> {
    std::str::from_utf8(value).map_or_else(|_| value.to_vec(), name_key)
}

/// What only one provider can have: a name, a suffix, a domain, to be the default. `viewer` reads the sentences.
fn providers(snapshot: &Snapshot, viewer: &Viewer, problems: &mut Vec<Problem>) {
    let mut names: HashMap<Vec<u8>, &Tree> = HashMap::new();
    let mut suffixes: HashMap<&[u8], &Tree> = HashMap::new();
    let mut domains: HashMap<String, &Tree> = HashMap::new();
    let mut default: Option<&Tree> = None;
    let is_named = |tree: &Tree| viewer.names(ObjectReference::Provider(tree.provider().number));
    let name = |tree: &Tree| {
        let LdapProvider { number, name, .. } = tree.provider().as_ref();
        viewer.called(ObjectReference::Provider(*number), name, "another")
    };
    let of = |tree: &Tree| ObjectReference::Provider(tree.provider().number);
    // The one that is named first, and its spelling of what both have.
    let told = |one, other| if is_named(one) { (one, other) } else { (other, one) };
    for tree in snapshot.trees().iter().map(Arc::as_ref) {
        let provider = tree.provider();
        if let Some(other) = names.insert(name_key(&provider.name), tree) {
            let (one, other) = told(other, tree);
            problems.push(
                Problem::new(
                    "base_dn",
                    format!(
                        "the providers {} and {} have one name; give one of them another",
                        name(one),
                        name(other)
                    ),
                )
                .between(of(one), of(other)),
            );
        }
        if let Some(other) = suffixes.insert(tree.suffix(), tree) {
            let (one, other) = told(other, tree);
            problems.push(
                Problem::new(
                    "base_dn",
                    format!(
                        "the providers {} and {} have the same base DN {}; give one of them another",
                        name(one),
                        name(other),
                        one.provider().base_dn
                    ),
                )
                .between(of(one), of(other)),
            );
        }
        if let Some(domain) = tree.bind_domain()
            && let Some(other) = domains.insert(domain.to_lowercase(), tree)
        {
            let (one, other) = told(other, tree);
            problems.push(Problem::new("base_dn", format!(
                "the providers {} and {} have the same domain {} (that of the base DN, where none is given); give one \
                 of them another, or domain = \"\" for none",
                name(one),
                name(other),
                one.bind_domain().unwrap_or_default()
            )).between(of(one), of(other)));
        }
        if provider.is_default
            && let Some(other) = default.replace(tree)
        {
            let (one, other) = told(other, tree);
            problems.push(
                Problem::new(
                    "base_dn",
                    format!(
                        "the providers {} and {} are both the default; set default = false for one of them",
                        name(one),
                        name(other)
                    ),
                )
                .between(of(one), of(other)),
            );
        }
    }
}

/// What only one application can have: a slug, a provider.
fn applications(snapshot: &Snapshot, problems: &mut Vec<Problem>) {
    let mut slugs = HashMap::new();
    let mut providers = HashMap::new();
    for application in snapshot.accounts().applications() {
        let slug = application.slug.as_str();
        if slugs.insert(slug, ()).is_some() {
            problems.push(
                Problem::new(
                    "provider",
                    format!("there are two applications `{slug}`; give one of them another slug"),
                )
                .about(ObjectReference::Application(application.number)),
            );
        }
        if let Some(number) = application.provider
            && let Some(other) = providers.insert(number, slug)
        {
            let provider = snapshot.accounts().provider(number).map_or("", |provider| &provider.name);
            problems.push(Problem::new("provider", format!(
                "the applications `{other}` and `{slug}` have the same provider `{provider}`; a provider has one \
                 application at most"
            )).about(ObjectReference::Application(application.number)));
        }
    }
}

/// Whether every account and group has an entry of its own in every tree: asked when a tree was made anew.
fn trees(snapshot: &Snapshot, viewer: &Viewer, problems: &mut Vec<Problem>) {
    let known = problems.len();
    trees_of_all(snapshot, problems);
    // The sentences name accounts, groups and providers, which not everybody may know.
    let kinds = [Permission::ViewUser, Permission::ViewGroup, Permission::ViewProvider];
    if problems.len() > known && !kinds.into_iter().all(|kind| viewer.sees_all(kind)) {
        problems.truncate(known);
        problems.push(Problem::new("base_dn", NO_ENTRIES.to_owned()));
    }
}

fn trees_of_all(snapshot: &Snapshot, problems: &mut Vec<Problem>) {
    for tree in snapshot.trees() {
        let accounts = snapshot.accounts().accounts();
        let accounts = accounts
            .filter(|account| account.kind != AccountKind::InternalServiceAccount)
            .map(|account| (EntryId::of_account(account.number), &account.username));
        let groups = snapshot.accounts().groups().map(|group| (EntryId::of_group(group.number), &group.name));
        let name = &tree.provider().name;
        let on = ObjectReference::Provider(tree.provider().number);
        let mut homeless: Vec<&str> = Vec::new();
        let mut normal = Vec::new();
        let mut numbers: HashMap<Vec<u8>, &str> = HashMap::new();
        for (id, object) in accounts.chain(groups) {
            let Some(entry) = tree.entry(id) else {
                homeless.push(object);
                continue;
            };
            normal.clear();
            if normalize_dn(entry.dn(), snapshot.schema(), &mut normal).is_ok()
                && tree.find_normal(&normal, snapshot.schema()).is_some_and(|found| found != id)
            {
                problems.push(Problem::new("base_dn", format!(
                    "the provider `{name}` would have two entries {}; give them containers or names that differ",
                    String::from_utf8_lossy(entry.dn())
                )).about(on));
            }
            for number in entry.attributes_of(AttributeId::UID_NUMBER).flat_map(|stored| stored.values()) {
                if let Some(other) = numbers.insert(number.to_vec(), object) {
                    problems.push(Problem::new("base_dn", format!(
                        "the accounts `{other}` and `{object}` would both have the uidNumber {} in the provider \
                         `{name}`; choose another uid_start_number, or give one of them another uidNumber",
                        String::from_utf8_lossy(number)
                    )).about(on));
                }
            }
        }
        if let Some(first) = homeless.first() {
            problems.push(Problem::new("base_dn", format!(
                "the provider `{name}` has no container any more for {} accounts and groups, `{first}` first; keep \
                 the container",
                homeless.len()
            )).about(on));
        }
    }
}

/// Whether no other account has the uidNumber of this one, given or derived, in any provider. `viewer` reads the
/// sentences.
fn uid_numbers(snapshot: &Snapshot, number: AccountNumber, viewer: &Viewer, problems: &mut Vec<Problem>) {
    let id = EntryId::of_account(number);
    let mut told = HashSet::new();
    for tree in snapshot.trees() {
        let Some(entry) = tree.entry(id) else { continue };
        for value in entry.attributes_of(AttributeId::UID_NUMBER).flat_map(|stored| stored.values()) {
            for other in holders(snapshot, tree, "uidNumber", value).into_iter().filter(|other| *other != id)
            {
                let accounts = snapshot.accounts();
                let (Some(account), Some(other)) =
                    (accounts.account(number), accounts.account_of_entry(other))
                else {
                    continue;
                };
                if told.insert(other.number) {
                    problems.push(Problem::new(
                        "attributes",
                        format!(
                            "the account `{}` cannot have the uidNumber {}, {} has it; give it another one",
                            account.username,
                            String::from_utf8_lossy(value),
                            viewer.called(
                                ObjectReference::Account(other.number),
                                &other.username,
                                "another account"
                            )
                        ),
                    ).between(ObjectReference::Account(account.number), ObjectReference::Account(other.number)).within(tree));
                }
            }
        }
    }
}

/// Whether an account has one credential without a selector at most. `viewer` reads the sentences.
fn credentials(snapshot: &Snapshot, number: AccountNumber, viewer: &Viewer, problems: &mut Vec<Problem>) {
    let accounts = snapshot.accounts();
    let Some(account) = accounts.account(number) else { return };
    let tokens = account.tokens.iter().filter_map(|token| accounts.token(*token));
    let selectorless: Vec<&Arc<Token>> = tokens.filter(|token| token.is_selectorless()).collect();
    if selectorless.len() + usize::from(account.password.is_some()) > 1 {
        let mut listed: Vec<String> = selectorless
            .iter()
            .map(|token| match viewer.names(ObjectReference::Token(token.number)) {
                true => format!("the token `{}`", token.identifier),
                false => "a token".to_owned(),
            })
            .collect();
        if account.password.is_some() {
            listed.insert(0, "the password".to_owned());
        }
        problems.push(Problem::new("password", format!(
            "{} has more than one credential that only its name leads to ({}); it can have one: let bindery generate \
             the secrets of the others",
            match viewer.names(ObjectReference::Account(number)) {
                true => format!("the account `{}`", account.username),
                false => "the account".to_owned(),
            },
            listed.join(", ")
        )).about(ObjectReference::Account(number)));
    }
}

/// The attributes that clients look people up by.
const KNOWN_BY: [&str; 6] = ["uid", "cn", "mail", "email", "sAMAccountName", "userPrincipalName"];

/// Those of them that find people, whatever has them; a group may well have the name of an account.
const GROUP_KNOWN_BY: [&str; 3] = ["uid", "mail", "email"];

const NO_ENTRIES: &str = "accounts or groups would have no entry of their own in this provider; choose other containers or \
                          start numbers, or ask somebody who may view all accounts and groups";
