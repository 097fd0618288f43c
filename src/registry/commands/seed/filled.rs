//! Who gains by a config that does not name them: who was in a group, or held a role, before that became worth what it is
//! from now on.
//!
//! To fill what is worth nothing takes no right. So what a caller of the API has put there stands in the way: groups that it
//! has made, which it may go on filling, below whatever becomes worth more; and accounts that it has made, in what was worth
//! nothing before. Whoever filled what was worth something already was asked for that, and all others are told.

use std::collections::HashSet;
use std::sync::Arc;

use super::DiffEntry;
use super::adoption::{origin, takes};
use super::apply::SeedRun;
use super::diff;
use super::options::typed;
use crate::access::Rights;
use crate::config::ReferenceKind;
use crate::directory::{AccountState, GroupState, name_key};
use crate::model::{FieldChange, Grant, Key, Record};
use crate::registry::ChangeError;
use crate::registry::commands::worth::Worth;

/// Who gains by what becomes of a group or a role.
pub(super) struct Gain {
    kind: ReferenceKind,
    name: String,
    /// What a caller of the API has made, in words.
    strangers: Vec<String>,
    /// By their usernames.
    others: Vec<String>,
}

/// What stands in the way of the seed: what a caller of the API has put into what becomes worth more.
pub(super) fn obstacles(run: &SeedRun<'_, '_>) -> Result<Vec<(ReferenceKind, String, String)>, ChangeError> {
    let gains = gains(run)?.into_iter().filter(|gain| !gain.strangers.is_empty());
    let obstacle = |gain: Gain| {
        let more = gain.strangers.len().saturating_sub(NAMED_MAX);
        let named: Vec<&str> = gain.strangers.iter().take(NAMED_MAX).map(String::as_str).collect();
        let more = if more == 0 { String::new() } else { format!("; and {more} more") };
        let reason =
            format!("it would give more than it does to what nobody has named: {}{more}", named.join("; "));
        (gain.kind, gain.name, reason)
    };
    Ok(gains.map(obstacle).collect())
}

/// Tells in the diff who gains without being named.
pub(super) fn tell(run: &SeedRun<'_, '_>, told: &mut Vec<DiffEntry>) -> Result<(), ChangeError> {
    for Gain { kind, name, others, .. } in gains(run)?.into_iter().filter(|gain| !gain.others.is_empty()) {
        let more = others.len().saturating_sub(NAMED_MAX);
        let mut after = others.into_iter().take(NAMED_MAX).collect::<Vec<_>>().join(", ");
        if more > 0 {
            after = format!("{after} and {more} more");
        }
        let field = FieldChange { field: GIVES_MORE.to_owned(), before: None, after: Some(after) };
        match told.iter_mut().find(|entry| entry.kind == kind && entry.name == name) {
            Some(entry) => entry.fields.push(field),
            None => told.push(DiffEntry { fields: vec![field], ..diff::unchanged(kind, &name) }),
        }
    }
    Ok(())
}

fn gains(run: &SeedRun<'_, '_>) -> Result<Vec<Gain>, ChangeError> {
    let (before, after) = (run.before.accounts(), run.accounts());
    let (was, is) = (Worth::of(before), Worth::of(after));
    let mut found = Vec::new();
    for group in after.groups() {
        let Some(known) = before.group(group.number) else { continue };
        if !is.of_group(group).is_beyond(&was.of_group(known)) {
            continue;
        }
        let mut gain = Gain::of(ReferenceKind::Group, &group.name);
        gain.add_group(run, group)?;
        if !run.says_members(&group.name) {
            let members = group.members().filter_map(|member| after.account_of_entry(member));
            let is_unnamed = |member: &&Arc<AccountState>| {
                known.has_member(member.number) && !run.is_own_group(&group.name, &member.username)
            };
            for member in members.filter(is_unnamed) {
                gain.add_account(run, member, !was.has(known))?;
            }
        }
        found.push(gain);
    }
    let seeds = run.seed.accounts.iter().filter(|seed| seed.roles.is_some());
    let named: HashSet<Vec<u8>> = seeds.map(|seed| name_key(&seed.username)).collect();
    for role in after.roles() {
        let Some(known) = before.role(role.number) else { continue };
        let rights = |grants: &[Grant]| Rights { is_superuser: false, grants: grants.to_vec() };
        if rights(&role.grants).beyond(&rights(&known.grants)).is_empty() {
            continue;
        }
        let mut gain = Gain::of(ReferenceKind::Role, &role.name);
        for holder in after.accounts().filter(|account| account.roles.contains(&role.number)) {
            let held = before.account(holder.number).is_some_and(|known| known.roles.contains(&role.number));
            if held && !named.contains(&name_key(&holder.username)) {
                gain.add_account(run, holder, known.grants.is_empty())?;
            }
        }
        found.push(gain);
    }
    Ok(found)
}

impl Gain {
    fn of(kind: ReferenceKind, name: &str) -> Self {
        Self { kind, name: name.to_owned(), strangers: Vec::new(), others: Vec::new() }
    }

    /// The group itself, where a caller of the API has made it: one that the config describes is told of as that.
    fn add_group(&mut self, run: &SeedRun<'_, '_>, group: &GroupState) -> Result<(), ChangeError> {
        let key = name_key(&group.name);
        let is_described = run.seed.groups.iter().any(|seed| name_key(&seed.name) == key);
        let record = run.strangers_record(&Key::Group(group.number))?.filter(|_| !is_described);
        if let Some(record) = record {
            let adopt = typed("--adopt", format_args!("{}:{}", ReferenceKind::Group, group.name));
            let above = group.parents.iter().filter_map(|parent| run.accounts().group(*parent));
            let above: Vec<String> = above.map(|parent| format!("`{}`", parent.name)).collect();
            let within = match above.is_empty() {
                true => String::new(),
                false => format!(" and is in {}", above.join(", ")),
            };
            self.strangers.push(format!(
                "it was {}{within}: {adopt} takes it over, empty; or delete it, or take it out of there",
                run.made(&record)
            ));
        }
        Ok(())
    }

    /// Somebody in it; `is_asked`: whether it matters who made the account.
    fn add_account(
        &mut self,
        run: &SeedRun<'_, '_>,
        account: &AccountState,
        is_asked: bool,
    ) -> Result<(), ChangeError> {
        let record = match is_asked {
            true => run.strangers_record(&Key::Account(account.number))?,
            false => None,
        };
        match record {
            None => self.others.push(account.username.to_string()),
            Some(record) => {
                let adopt = typed("--adopt", format_args!("{}:{}", ReferenceKind::Account, account.username));
                self.strangers.push(format!(
                    "the account `{}` was {}: {adopt} takes it over{}; or take it out of there",
                    account.username,
                    run.made(&record),
                    takes(ReferenceKind::Account)
                ));
            }
        }
        Ok(())
    }
}

impl SeedRun<'_, '_> {
    /// A record as it is by now, if a caller of the API who is no superuser has made or named its object.
    pub(super) fn strangers_record(&self, key: &Key) -> Result<Option<Record>, ChangeError> {
        let record = self.transaction.stored(key)?;
        Ok(record.filter(|record| self.is_strangers_origin(origin(record))))
    }
}

/// The field of a diff that says who gains.
const GIVES_MORE: &str = "gives more to";

/// So many are named; more are counted.
/// No limit of the config: all are counted, and nobody reads more.
const NAMED_MAX: usize = 20;
