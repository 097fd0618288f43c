//! Why a binding passes or does not, in words.

use ipnet::IpNet;

use super::binding::Applicant;
use crate::model::{Binding, BindingSubject, ObjectReference, TimeWindow, Timestamp};

/// Who reads it.
#[derive(Clone, Copy)]
pub(super) enum Audience<'a> {
    /// Who may know everything.
    Operator,
    /// The account itself: of accounts and groups that it may not see it learns no name.
    Client,
    /// Somebody who may know of the objects of which this is so.
    Viewer(&'a dyn Fn(ObjectReference) -> bool),
}

impl Audience<'_> {
    /// Whether an account or a group is named, to which the account belongs or not.
    fn is_told(self, on: ObjectReference, belongs: bool) -> bool {
        match self {
            Self::Operator => true,
            // It may see itself and the groups that it is in, no others.
            Self::Client => belongs,
            Self::Viewer(names) => names(on),
        }
    }
}

/// What is so for this account, from this source, at this time, and what the binding makes of it.
pub(super) fn reason(applicant: &Applicant<'_>, binding: &Binding, audience: Audience<'_>) -> String {
    let Applicant { accounts, source, now, .. } = *applicant;
    applicant.count(WORK_OF_A_REASON);
    let holds = applicant.holds(&binding.subject);
    let is = if holds == Some(true) { "is" } else { "is not" };
    let is_told = |on| audience.is_told(on, holds == Some(true));
    let fact = match &binding.subject {
        BindingSubject::Account(number) => {
            let name = accounts.account(*number).map(|account| &*account.username);
            format!("it {is} {}", named("account", name, is_told(ObjectReference::Account(*number))))
        }
        BindingSubject::Group(number) => {
            let name = accounts.group(*number).map(|group| &*group.name);
            format!("it {is} in {}", named("group", name, is_told(ObjectReference::Group(*number))))
        }
        BindingSubject::Networks(networks) => {
            let source = match source {
                Some(source) => format!("the source {} is", source.to_canonical()),
                None => "there is no source address, so it is".to_owned(),
            };
            let place = if holds == Some(true) { "in one of" } else { "in none of" };
            format!("{source} {place} {}", listed(networks))
        }
        BindingSubject::Window(window) => of_window(window, holds, now),
    };
    if binding.negate { format!("{fact}, and the binding is negated") } else { fact }
}

/// What a binding names.
fn named(kind: &str, name: Option<&str>, is_told: bool) -> String {
    match name {
        _ if !is_told => format!("the {kind} that the binding names"),
        Some(name) => format!("the {kind} `{name}`"),
        None => format!("the {kind} that the binding names, which is deleted"),
    }
}

fn of_window(window: &TimeWindow, holds: Option<bool>, now: Timestamp) -> String {
    let place = match holds {
        None => {
            let zone = window.timezone();
            return format!(
                "the rules of the time zone {zone} are not known here, so nobody can tell whether it is within {window}; \
                 update bindery, or the zoneinfo of this system and restart"
            );
        }
        Some(true) => "within",
        Some(false) => "outside of",
    };
    let there = window.shown_there(now).map(|there| format!(": it is {there} there"));
    format!("{place} {window}{}", there.unwrap_or_default())
}

/// Not too many of them.
fn listed(networks: &[IpNet]) -> String {
    if networks.is_empty() {
        return "its networks, of which there are none".to_owned();
    }
    let (told, more) = networks.split_at_checked(NETWORKS_MAX).unwrap_or((networks, &[]));
    let told: Vec<String> = told.iter().map(ToString::to_string).collect();
    let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
    format!("{}{more}", told.join(", "))
}

/// What it costs to write one.
const WORK_OF_A_REASON: u64 = 50;
/// So many networks stand in one sentence.
/// No limit of the config: it is about the words of an answer.
const NETWORKS_MAX: usize = 8;
