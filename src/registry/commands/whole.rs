//! The rules that are about more than one object: asked at the end of every change, whoever makes it, of what has changed.
//!
//! What was so before is not asked of again: a store may hold what an older version let in, and it may be changed in all
//! that does not make it worse.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use super::known_by;
use super::validate::holders;
use crate::directory::{Accounts, EntryId, Snapshot, Tree, name_key};
use crate::model::{
    AccountKind, AccountNumber, Application, BindingSubject, GroupNumber, Key, LdapProvider, ObjectReference,
    Permission, ProviderNumber, Record, Token,
};
use crate::registry::{Caller, ChangeError, Rules, Viewer};
use crate::schema::{AttributeId, normalize_dn};

/// What cannot be, about more than one object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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
    pub(super) fn new(field: &'static str, sentence: String) -> Self {
        Self { field, sentence, between: None, on: None, within: None, excess: 0 }
    }

    fn between(self, one: ObjectReference, other: ObjectReference) -> Self {
        Self { between: Some((one, other)), ..self }
    }

    pub(super) fn about(self, on: ObjectReference) -> Self {
        Self { on: Some(on), ..self }
    }

    fn within(self, tree: &Tree) -> Self {
        Self { within: Some(ObjectReference::Provider(tree.provider().number)), ..self }
    }

    /// The same, whether it is worse or not.
    fn whatever_its_excess(self) -> Self {
        Self { excess: 0, ..self }
    }
}

/// Refuses a change that makes what cannot be.
///
/// # Errors
/// All of it.
pub(in crate::registry) fn refuse(problems: Vec<Problem>) -> Result<(), ChangeError> {
    if problems.is_empty() {
        return Ok(());
    }
    if problems.iter().all(|problem| problem.field == BINDINGS) {
        let sentences: BTreeSet<String> = problems.into_iter().map(|problem| problem.sentence).collect();
        return Err(ChangeError::Refused(Vec::from_iter(sentences).join("\n")));
    }
    // What stands in fields that a request has is said of them.
    let is_of_fields = problems.iter().all(|problem| ![CREDENTIALS, BINDINGS].contains(&problem.field));
    let mut told: Vec<(&'static str, String)> =
        problems.into_iter().map(|Problem { field, sentence, .. }| (field, sentence)).collect();
    told.dedup_by(|one, other| one.1 == other.1);
    Err(match <[_; 1]>::try_from(told) {
        Ok([(field, sentence)]) if is_of_fields => ChangeError::field(field, sentence),
        Ok([(_, sentence)]) => ChangeError::Invalid(vec![sentence]),
        Err(told) if is_of_fields => ChangeError::Fields(told),
        Err(told) => ChangeError::Invalid(told.into_iter().map(|(_, sentence)| sentence).collect()),
    })
}

/// What cannot be of what there is now, and could be, or was not so, before.
pub(in crate::registry) fn problems<'a>(
    before: &Snapshot,
    after: &Snapshot,
    changed: impl Iterator<Item = &'a Key>,
    journal: &[(Option<Record>, Option<Record>)],
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
        // How far each went before: there may be as many as objects that share a value.
        let mut known: HashMap<Problem, usize> = HashMap::new();
        for problem in asked.problems(before, &viewer, rules) {
            let excess = problem.excess;
            let worst = known.entry(problem.whatever_its_excess()).or_default();
            *worst = excess.max(*worst);
        }
        found.retain(|problem| {
            known.get(&problem.clone().whatever_its_excess()).is_none_or(|worst| *worst < problem.excess)
        });
    }
    for problem in &mut found {
        problem.field = changed_field(problem, journal);
    }
    bound_groups(before, after, &asked.deleted, &viewer, &mut found);
    if !caller.is_superuser(after.accounts()) {
        for on in &asked.objects {
            found.extend(known_by::problems(before, after, *on, journal, caller, &viewer));
        }
    }
    found
}

/// The field of a provider that makes what cannot be: often more than one could, and it is one that was changed.
fn changed_field(problem: &Problem, journal: &[(Option<Record>, Option<Record>)]) -> &'static str {
    let concerns = |number| {
        let on = ObjectReference::Provider(number);
        problem.on == Some(on) || problem.between.is_some_and(|(one, other)| one == on || other == on)
    };
    let changes = || {
        journal.iter().filter_map(|(before, after)| match (before, after) {
            (before, Some(Record::Provider(after))) if concerns(after.number) => Some((before, after)),
            _ => None,
        })
    };
    // Of one that is made now all fields are new.
    if changes().any(|(before, _)| before.is_none()) {
        return problem.field;
    }
    for (before, after) in changes() {
        let Some(Record::Provider(before)) = before else { continue };
        let fields = [
            ("name", before.name != after.name),
            ("base_dn", before.base_dn != after.base_dn),
            ("domain", before.domain != after.domain),
            ("default", before.is_default != after.is_default),
            ("users", before.users != after.users),
            ("service_accounts", before.service_accounts != after.service_accounts),
            ("groups", before.groups != after.groups),
            ("uid_start_number", before.uid_start_number != after.uid_start_number),
        ];
        if fields.iter().any(|(field, is_changed)| *field == problem.field && !is_changed)
            && let Some((field, _)) = fields.iter().find(|(_, is_changed)| *is_changed)
        {
            return field;
        }
    }
    problem.field
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
    for (application, group) in groups_in_bindings(accounts) {
        if accounts.group(group).is_none() {
            problems.push(Problem::new(BINDINGS, format!(
                "the application `{}` has a binding to a group that was deleted: delete the binding, or give it another \
                 group",
                application.slug
            )));
        }
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
    /// Groups that are there no more.
    deleted: BTreeSet<GroupNumber>,
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
                if before.accounts().group(*number).is_some() && after.accounts().group(*number).is_none() {
                    self.deleted.insert(*number);
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
                // Of these it is asked below.
                let asked = if rules.shares_uid_numbers { &BTreeSet::new() } else { &self.accounts };
                trees(snapshot, asked, viewer, &mut problems);
            }
        }
        if self.applications || self.providers {
            applications(snapshot, viewer, &mut problems);
        }
        for number in &self.accounts {
            if !rules.shares_uid_numbers {
                uid_numbers(snapshot, *number, viewer, &mut problems);
            }
            credentials(snapshot, *number, viewer, &mut problems);
        }
        for number in &self.nested {
            nesting(snapshot, *number, viewer, rules, &mut problems);
        }
        problems
    }
}

/// The groups that bindings name, each with its application.
fn groups_in_bindings(accounts: &Accounts) -> impl Iterator<Item = (&Arc<Application>, GroupNumber)> {
    accounts.applications().flat_map(|application| {
        application.bindings.iter().filter_map(move |binding| match binding.subject {
            BindingSubject::Group(group) => Some((application, group)),
            BindingSubject::Account(_) | BindingSubject::Networks(_) | BindingSubject::Window(_) => None,
        })
    })
}

/// Refuses to delete a group that bindings name, before anything of it is.
///
/// # Errors
/// Which applications it decides about.
pub(super) fn refuse_bound(
    snapshot: &Snapshot,
    number: GroupNumber,
    viewer: &Viewer,
) -> Result<(), ChangeError> {
    let mut problems = Vec::new();
    bound_groups(snapshot, snapshot, &BTreeSet::from([number]), viewer, &mut problems);
    refuse(problems)
}

/// Whether bindings name groups that are deleted: without them everybody would be shut out, or whom a negated one keeps out let
/// in. `viewer` reads the sentences.
fn bound_groups(
    before: &Snapshot,
    after: &Snapshot,
    deleted: &BTreeSet<GroupNumber>,
    viewer: &Viewer,
    problems: &mut Vec<Problem>,
) {
    if deleted.is_empty() {
        return;
    }
    for (application, number) in groups_in_bindings(after.accounts()) {
        let Some(group) = before.accounts().group(number).filter(|_| deleted.contains(&number)) else {
            continue;
        };
        let on = ObjectReference::Application(application.number);
        let slug = if viewer.names(on) { format!(" `{}`", application.slug) } else { String::new() };
        let sentence = format!(
            "the group `{}` decides who may use the application{slug}: delete the binding first",
            group.name
        );
        let problem = Problem::new(BINDINGS, sentence).about(on);
        if !problems.contains(&problem) {
            problems.push(problem);
        }
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
    if let Some(mut circle) = circle(snapshot, number) {
        // It begins at the same one of its groups, whichever is asked for, so that it is told once.
        let first = circle.iter().enumerate().min_by_key(|(_, group)| **group).map_or(0, |(place, _)| place);
        circle.rotate_left(first);
        let path: Vec<String> = circle.iter().chain(circle.first()).map(name).collect();
        let path = path.join(" in ");
        let problem = Problem::new(
            "parents",
            format!("groups cannot be in each other: {path} would be a circle; leave one of them out"),
        );
        if problems.iter().all(|told| told.sentence != problem.sentence) {
            problems.push(problem.about(ObjectReference::Group(number)));
        }
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

/// What only one provider can have: a name, a suffix, a domain, to be the default. `viewer` reads the sentences.
fn providers(snapshot: &Snapshot, viewer: &Viewer, problems: &mut Vec<Problem>) {
    let mut names: Known<Vec<u8>, &Tree> = Known::default();
    let mut suffixes: Known<&[u8], &Tree> = Known::default();
    let mut domains: Known<String, &Tree> = Known::default();
    let mut default: Known<(), &Tree> = Known::default();
    let is_named = |tree: &Tree| viewer.names(ObjectReference::Provider(tree.provider().number));
    let name = |tree: &Tree| {
        let LdapProvider { number, name, .. } = tree.provider().as_ref();
        viewer.called(ObjectReference::Provider(*number), name, "another")
    };
    let of = |tree: &Tree| ObjectReference::Provider(tree.provider().number);
    let mut between = |field, one, other, sentence: &dyn Fn(&Tree, &Tree) -> String| {
        // The one that is named first, and its spelling of what both have.
        let (one, other) = if is_named(one) { (one, other) } else { (other, one) };
        problems.push(Problem::new(field, sentence(one, other)).between(of(one), of(other)));
    };
    for tree in snapshot.trees().iter().map(Arc::as_ref) {
        let provider = tree.provider();
        for other in names.before(name_key(&provider.name), tree) {
            between("name", other, tree, &|one, other| {
                format!(
                    "the providers {} and {} have one name; give one of them another",
                    name(one),
                    name(other)
                )
            });
        }
        for other in suffixes.before(tree.suffix(), tree) {
            between("base_dn", other, tree, &|one, other| {
                format!(
                    "the providers {} and {} have the same base DN {}; give one of them another",
                    name(one),
                    name(other),
                    one.provider().base_dn
                )
            });
        }
        let domain = tree.bind_domain().map(str::to_lowercase);
        for other in domain.map(|domain| domains.before(domain, tree)).unwrap_or_default() {
            let is_given = [other, tree].into_iter().any(|tree| tree.provider().domain.is_some());
            let field = if is_given { "domain" } else { "base_dn" };
            between(field, other, tree, &|one, other| {
                format!(
                    "the providers {} and {} have the same domain {} (that of the base DN, where none is given); give one \
                     of them another, or domain = \"\" for none",
                    name(one),
                    name(other),
                    one.bind_domain().unwrap_or_default()
                )
            });
        }
        if !provider.is_default {
            continue;
        }
        for other in default.before((), tree) {
            between("default", other, tree, &|one, other| {
                format!(
                    "the providers {} and {} are both the default; set default = false for one of them",
                    name(one),
                    name(other)
                )
            });
        }
    }
}

/// Who has what only one can have. Where it is several, as an earlier version may have let in, each two of them are told: of those
/// that are left when one gives it up, none is told that was not before.
struct Known<K, V>(HashMap<K, Vec<V>>);

impl<K, V> Default for Known<K, V> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Hash + Eq, V: Copy> Known<K, V> {
    /// Who had it before this one.
    fn before(&mut self, key: K, value: V) -> Vec<V> {
        let known = self.0.entry(key).or_default();
        let before = known.clone();
        known.push(value);
        before
    }
}

/// What only one application can have: a slug, a provider. `viewer` reads the sentences.
fn applications(snapshot: &Snapshot, viewer: &Viewer, problems: &mut Vec<Problem>) {
    let mut slugs = HashMap::new();
    let mut providers: Known<ProviderNumber, &Application> = Known::default();
    let of = |application: &Application| ObjectReference::Application(application.number);
    for application in snapshot.accounts().applications().map(Arc::as_ref) {
        let slug = application.slug.as_str();
        if slugs.insert(slug, ()).is_some() {
            problems.push(
                Problem::new(
                    "slug",
                    format!("there are two applications `{slug}`; give one of them another slug"),
                )
                .about(of(application)),
            );
        }
        let Some(number) = application.provider else { continue };
        for other in providers.before(number, application) {
            let provider = snapshot.accounts().provider(number).map_or("", |provider| &provider.name);
            let provider = viewer.called(ObjectReference::Provider(number), provider, "");
            let provider = if provider.is_empty() { provider } else { format!(" {provider}") };
            // The one that is named first.
            let names_other = viewer.names(of(other));
            let (one, two) = if names_other { (other, application) } else { (application, other) };
            let name =
                |application: &Application| viewer.called(of(application), &application.slug, "another");
            let problem = Problem::new(
                "provider",
                format!(
                    "the applications {} and {} have the same provider{provider}, and a provider has one application at most; \
                     choose another for one of them",
                    name(one),
                    name(two)
                ),
            );
            problems.push(problem.between(of(one), of(two)));
        }
    }
}

/// Whether every account and group has an entry of its own in every tree, and each account but those a uidNumber of its own:
/// asked when a tree was made anew.
fn trees(snapshot: &Snapshot, but: &BTreeSet<AccountNumber>, viewer: &Viewer, problems: &mut Vec<Problem>) {
    let known = problems.len();
    trees_of_all(snapshot, but, problems);
    // The sentences name accounts, groups and providers, which not everybody may know.
    let kinds = [Permission::ViewUser, Permission::ViewGroup, Permission::ViewProvider];
    if problems.len() > known && !kinds.into_iter().all(|kind| viewer.sees_all(kind)) {
        let first = problems.get(known).map(|first| (first.field, first.on));
        let (field, on) = first.unwrap_or(("base_dn", None));
        problems.truncate(known);
        problems.push(Problem { on, ..Problem::new(field, NO_ENTRIES.to_owned()) });
    }
}

fn trees_of_all(snapshot: &Snapshot, but: &BTreeSet<AccountNumber>, problems: &mut Vec<Problem>) {
    for tree in snapshot.trees() {
        let accounts = snapshot.accounts().accounts();
        let accounts =
            accounts.filter(|account| account.kind != AccountKind::InternalServiceAccount).map(|account| {
                let containers = if account.kind.is_person() { "users" } else { "service_accounts" };
                (EntryId::of_account(account.number), &account.username, containers)
            });
        let groups = snapshot.accounts().groups();
        let groups = groups.map(|group| (EntryId::of_group(group.number), &group.name, "groups"));
        let name = &tree.provider().name;
        let on = ObjectReference::Provider(tree.provider().number);
        let mut homeless: Vec<(&str, &'static str)> = Vec::new();
        let mut normal = Vec::new();
        let mut numbers: HashMap<Vec<u8>, &str> = HashMap::new();
        for (id, object, containers) in accounts.chain(groups) {
            let Some(entry) = tree.entry(id) else {
                homeless.push((object, containers));
                continue;
            };
            normal.clear();
            if normalize_dn(entry.dn(), snapshot.schema(), &mut normal).is_ok()
                && tree.find_normal(&normal, snapshot.schema()).is_some_and(|found| found != id)
            {
                problems.push(Problem::new(containers, format!(
                    "the provider `{name}` would have two entries {}; give them containers or names that differ",
                    String::from_utf8_lossy(entry.dn())
                )).about(on));
            }
            if snapshot.accounts().account_of_entry(id).is_some_and(|account| but.contains(&account.number)) {
                continue;
            }
            for number in entry.attributes_of(AttributeId::UID_NUMBER).flat_map(|stored| stored.values()) {
                if let Some(other) = numbers.insert(number.to_vec(), object) {
                    problems.push(Problem::new("uid_start_number", format!(
                        "the accounts `{other}` and `{object}` would both have the uidNumber {} in the provider \
                         `{name}`; choose another uid_start_number, or give one of them another uidNumber",
                        String::from_utf8_lossy(number)
                    )).about(on));
                }
            }
        }
        if let Some((first, containers)) = homeless.first() {
            problems.push(Problem::new(containers, format!(
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
        problems.push(Problem::new(CREDENTIALS, format!(
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

/// What credentials are told under: no request that makes one has such a field.
const CREDENTIALS: &str = "password";
/// What bindings to groups that are deleted are told under: no request that deletes a group has such a field.
const BINDINGS: &str = "bindings";
const NO_ENTRIES: &str = "accounts or groups would have no entry of their own in this provider; choose other containers or \
                          start numbers, or ask somebody who may view all accounts and groups";
