//! What an account sees and through which grant, or which grant is missing: in words, for operators.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::admission::admit;
use super::binding::Applicant;
use super::binding_reason::{Audience, reason};
use super::limits::{SearchLimits, search_limits};
use super::rights::{Decision, Reason, Via, decide};
use super::visibility::visibility_in;
use crate::directory::{
    AccountState, Accounts, Evaluator, FilterText, PreparedFilter, Scope, Snapshot, TreeReader, Visibility,
    Walk,
};
use crate::model::{
    Application, Binding, BindingMode, GroupNumber, ObjectReference, Permission, ProviderNumber, RoleNumber,
    Timestamp,
};

/// What an account may see of one provider's directory, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    pub provider: String,
    /// The base DN of its directory.
    pub base_dn: String,
    /// Whether the account may bind at all, and what stands in the way.
    pub may_bind: bool,
    /// The reason, as a sentence.
    pub bind_reason: String,
    /// What its application's bindings make of it, by their order.
    pub bindings: Vec<Bound>,
    /// Whether it sees the whole directory.
    pub sees_everything: bool,
    /// Through which grant, or which grant is missing.
    pub search_reason: Granted,
    /// Entries that a search of it may return, when a role says so; 0: no limit.
    pub search_size_max: Option<u32>,
    /// How long a search of it may take, in milliseconds, when a role says so.
    pub search_time_max_ms: Option<u64>,
    /// Which roles say so, or that the server's limits hold: sentences.
    pub search_limits: Vec<String>,
    /// The DNs that it sees when it does not see everything, containers not counted.
    pub own_entries: Vec<String>,
    /// Of the entry that was asked about: whether it is there and seen. `None`: none was asked about.
    pub entry: Option<String>,
    /// Of the filter that was asked about: what a search of the whole directory with it finds. `None`: none was.
    pub filter: Option<Found>,
}

/// What a search finds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// How many entries the account is shown.
    pub seen: usize,
    /// How many more there are that match and are not for it.
    pub hidden: usize,
    /// The DNs of the first entries that it is shown.
    pub first: Vec<String>,
}

/// What is to be explained besides, and for which client.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// An entry, by its DN.
    pub entry: Option<&'a str>,
    /// A search of the whole directory.
    pub filter: Option<&'a FilterText>,
    /// Where the client is; `None`: on a Unix socket, or nowhere that is known.
    pub source: Option<IpAddr>,
    /// When.
    pub now: Timestamp,
}

/// What one binding makes of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// Whether it passes; `None`: it is switched off and takes no part.
    pub passes: Option<bool>,
    /// The reason, as a sentence.
    pub sentence: String,
}

/// The grant behind a decision, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    pub is_granted: bool,
    pub sentence: String,
}

/// Explains what the account may see of one provider's directory and what is asked besides.
pub fn explain(
    snapshot: &Snapshot,
    account: &AccountState,
    provider: ProviderNumber,
    question: Question<'_>,
) -> Option<Explanation> {
    let Question { entry, filter, source, now } = question;
    let accounts = snapshot.accounts();
    let tree = snapshot.tree(provider)?;
    let bindings = bindings(accounts, account, provider, source, now);
    let (may_bind, bind_reason) = match (account.is_active, admit(accounts, account, provider, source, now)) {
        (false, _) => (false, format!("the account `{}` is inactive", account.username)),
        (true, Err(refused)) => (false, not_admitted(&refused.application, &bindings)),
        (true, Ok(())) => (true, admitted(accounts, provider)),
    };
    let on = Some(ObjectReference::Provider(provider));
    let decision = decide(accounts, account, Permission::SearchFullDirectory, on);
    let visibility = visibility_in(snapshot, &Applicant::new(accounts, account, source, now), provider);
    let reader = TreeReader::new(snapshot, tree, &visibility);
    let own_entries = match &visibility {
        Visibility::Full | Visibility::Tree(_) => Vec::new(),
        Visibility::Own(own) => own
            .as_slice()
            .iter()
            .filter_map(|id| reader.stored(*id))
            .map(|entry| String::from_utf8_lossy(entry.dn()).into_owned())
            .collect(),
    };
    let limits = search_limits(accounts, account);
    let name = &tree.provider().name;
    Some(Explanation {
        provider: name.clone(),
        base_dn: tree.provider().base_dn.clone(),
        may_bind,
        bind_reason,
        bindings,
        sees_everything: decision.is_allowed(),
        search_reason: granted(accounts, account, name, decision),
        search_size_max: limits.size_max.map(|(size, _)| size),
        search_time_max_ms: limits
            .time_max
            .map(|(time, _)| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        search_limits: limits_in_words(accounts, &limits),
        own_entries,
        entry: entry.map(|dn| about_entry(&reader, dn)),
        filter: filter.map(|filter| found(&reader, filter)),
    })
}

/// What a search of the whole directory finds, and what it would find for who sees everything.
fn found(reader: &TreeReader<'_>, filter: &FilterText) -> Found {
    let (seen, first) = search(reader, filter);
    let (all, _) = search(&reader.with_visibility(&Visibility::Full), filter);
    Found { seen, hidden: all.saturating_sub(seen), first }
}

/// How many entries match, and the DNs of the first.
fn search(reader: &TreeReader<'_>, filter: &FilterText) -> (usize, Vec<String>) {
    let items = filter.items();
    let filter = PreparedFilter::new(&items, reader);
    let base = reader.find(reader.tree().provider().base_dn.as_bytes());
    let Some(base) = base else { return (0, Vec::new()) };
    let mut walk = Walk::new(reader, &filter, base, Scope::Subtree);
    let mut evaluator = Evaluator::default();
    let (mut count, mut first) = (0, Vec::new());
    while let Some(id) = walk.next(reader) {
        let Some(entry) = reader.entry(id) else { continue };
        if evaluator.matches(&filter, reader, id, &entry) {
            count += 1;
            if first.len() < FIRST {
                first.push(String::from_utf8_lossy(entry.dn()).into_owned());
            }
        }
    }
    (count, first)
}

/// Each binding of the provider's application, by its order.
fn bindings(
    accounts: &Accounts,
    account: &AccountState,
    provider: ProviderNumber,
    source: Option<IpAddr>,
    now: Timestamp,
) -> Vec<Bound> {
    let Some(application) = accounts.application_of(provider) else { return Vec::new() };
    let applicant = Applicant::new(accounts, account, source, now);
    let mut bindings: Vec<&Binding> = application.bindings.iter().collect();
    bindings.sort_by_key(|binding| binding.order);
    let bound = bindings.into_iter().map(|binding| Bound {
        passes: binding.enabled.then(|| applicant.passes(binding)),
        sentence: reason(&applicant, binding, Audience::Operator),
    });
    bound.collect()
}

fn not_admitted(application: &Application, bindings: &[Bound]) -> String {
    let slug = &application.slug;
    let why = match application.mode {
        _ if bindings.iter().all(|bound| bound.passes.is_none()) => "all of its bindings are switched off",
        BindingMode::Any => "none of its bindings passes",
        BindingMode::All => "each of its bindings must pass",
    };
    format!("the application `{slug}` does not admit it: {why}")
}

fn admitted(accounts: &Accounts, provider: ProviderNumber) -> String {
    match accounts.application_of(provider) {
        None => "the provider has no application, so every active account may bind".to_owned(),
        Some(application) if application.bindings.is_empty() => {
            format!(
                "the application `{}` has no bindings, so every active account may bind",
                application.slug
            )
        }
        Some(application) => format!("the application `{}` admits it", application.slug),
    }
}

fn granted(accounts: &Accounts, account: &AccountState, provider: &str, decision: Decision) -> Granted {
    let permission = Permission::SearchFullDirectory.codename();
    let sentence = match decision {
        Decision::Denied => format!(
            "nothing grants `{permission}` on the provider `{provider}`: not the account, no role and no group of it. \
             Grant it to a role of `{}`, or directly",
            account.username
        ),
        Decision::Allowed(Reason::Superuser(group)) => {
            format!("the group `{}` makes its members superusers", group_name(accounts, group))
        }
        // Nobody owns a provider.
        Decision::Allowed(Reason::Own) => format!("`{}` holds `{permission}` as its owner", account.username),
        Decision::Allowed(Reason::Grant { is_global, via }) => {
            let reach =
                if is_global { "globally".to_owned() } else { format!("on the provider `{provider}`") };
            let holder = holder(accounts, via);
            format!("{holder} has `{permission}` {reach}")
        }
    };
    Granted { is_granted: decision.is_allowed(), sentence }
}

/// Where a grant or a limit stands.
fn holder(accounts: &Accounts, via: Via) -> String {
    match via {
        Via::Account => "the account itself".to_owned(),
        Via::Role(role) => format!("the role `{}`", role_name(accounts, role)),
        Via::Group(group) => format!("the group `{}`", group_name(accounts, group)),
        Via::GroupRole(group, role) => {
            format!("the role `{}` of the group `{}`", role_name(accounts, role), group_name(accounts, group))
        }
    }
}

fn limits_in_words(accounts: &Accounts, limits: &SearchLimits) -> Vec<String> {
    let size = match limits.size_max {
        None => "as many entries as the server lets all searches return".to_owned(),
        Some((0, via)) => format!("any number of entries: {}", holder(accounts, via)),
        Some((size, via)) => format!("at most {size} entries: {}", holder(accounts, via)),
    };
    let time = match limits.time_max {
        None => "for as long as the server lets all searches take".to_owned(),
        Some((time, via)) => {
            format!("for at most {}: {}", humantime::format_duration(time), holder(accounts, via))
        }
    };
    vec![size, time]
}

fn about_entry(reader: &TreeReader<'_>, dn: &str) -> String {
    if reader.find(dn.as_bytes()).is_some() {
        return format!("`{dn}` is seen");
    }
    let all = Visibility::Full;
    if reader.with_visibility(&all).find(dn.as_bytes()).is_some() {
        format!("`{dn}` exists, but is not seen: it is neither the account itself nor a group of it")
    } else {
        format!("`{dn}` does not exist in this directory")
    }
}

fn group_name(accounts: &Accounts, number: GroupNumber) -> &str {
    accounts.group(number).map_or("?", |group| &group.name)
}

fn role_name(accounts: &Accounts, number: RoleNumber) -> &str {
    accounts.role(number).map_or("?", |role| &role.name)
}

/// So many entries are named; the others are counted.
const FIRST: usize = 20;
