//! Who gains by a config that does not name them: who was in a group, or held a role, before that became worth what it is
//! from now on.
//!
//! To fill what is worth nothing takes no right, and to fill what is worth something takes that and no more. So what a caller
//! of the API has put there stands in the way: groups that it has made, which it may go on filling, below whatever becomes worth
//! more; and accounts that it has made, in what was worth nothing before, or where they get what it did not have itself. It is not
//! enough that it was worth something: who is no superuser can make it worth a little, with what is its own. All others are told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::DiffEntry;
use super::adoption::{origin, takes};
use super::apply::SeedRun;
use super::diff;
use super::obstacle::Obstacle;
use super::options::{BY, typed};
use crate::access::{Admissible, AskedFor, Rights};
use crate::config::ReferenceKind;
use crate::directory::{AccountState, GroupState};
use crate::model::{
    AccountNumber, Application, BindingSubject, FieldChange, Grant, GroupNumber, Key, ProviderNumber, Record,
};
use crate::quoted::NAMED_MAX;
use crate::registry::ChangeError;
use crate::registry::commands::gains::Gains;
use crate::registry::commands::worth::{Gained, Worth};

/// Who gains by what becomes of a group or a role.
struct Gain {
    kind: ReferenceKind,
    name: String,
    /// The group itself, where a caller of the API has made it and the config does not describe it, and what it is in.
    itself: Option<(Filler, Vec<String>)>,
    /// Accounts that a caller of the API has made.
    strangers: Vec<Filler>,
    /// By their usernames.
    others: Vec<String>,
}

/// What a caller of the API has made, and put where something becomes worth more.
struct Filler {
    key: Key,
    name: String,
    /// Who has made it, in words.
    made: String,
    /// The one account by whose name it may be taken over or accepted.
    maker: Option<AccountNumber>,
}

/// Adds what stands in the way of the seed: what a caller of the API has put into what becomes worth more. Accounts are accepted
/// as they are with all that their maker has made; groups are taken over, as that could go on filling them.
pub(super) fn obstacles(
    run: &SeedRun<'_, '_>,
    obstacles: &mut Vec<Obstacle>,
    taken: &mut BTreeSet<Key>,
) -> Result<(), ChangeError> {
    let is_said = |filler: &Filler| filler.maker.is_some_and(|maker| run.adopted_makers.contains(&maker));
    for Gain { kind, name, itself, strangers, .. } in gains(run)? {
        let mut reasons = Vec::new();
        match itself {
            Some((group, _)) if is_said(&group) => drop(taken.insert(group.key)),
            Some((group, above)) => reasons.push(group.as_group(&above)),
            None => {}
        }
        let mut by_maker: BTreeMap<Option<AccountNumber>, Vec<Filler>> = BTreeMap::new();
        for filler in strangers.into_iter().filter(|filler| !is_said(filler)) {
            by_maker.entry(filler.maker).or_default().push(filler);
        }
        let mut together = Vec::new();
        for (maker, fillers) in by_maker {
            match maker.filter(|_| fillers.len() > 1) {
                None => reasons.extend(fillers.iter().map(Filler::as_account)),
                Some(maker) => {
                    let names: Vec<&str> = fillers.iter().map(|filler| filler.name.as_str()).collect();
                    let alike = run.together(ReferenceKind::Account, maker, &names);
                    let adopt = typed("--adopt", format_args!("{BY}:{}", alike.by));
                    let which = alike.in_words();
                    reasons.push(format!(
                        "{which}: {adopt} accepts them as they are; or take them out of there"
                    ));
                    together.push(alike);
                }
            }
        }
        if reasons.is_empty() {
            continue;
        }
        let more = reasons.len().saturating_sub(NAMED_MAX);
        reasons.truncate(NAMED_MAX);
        let more = if more == 0 { String::new() } else { format!("; and {more} more") };
        let reasons = reasons.join("; ");
        let reason = format!("it would give more than it does to what nobody has named: {reasons}{more}");
        obstacles.push(Obstacle { together, ..Obstacle::alone(kind, name, reason) });
    }
    Ok(())
}

/// The accounts that are accepted as they are, each with who has made it: nothing stands in the way any more.
pub(super) fn accepted(run: &SeedRun<'_, '_>) -> Result<Vec<(AccountNumber, String)>, ChangeError> {
    let strangers = gains(run)?.into_iter().flat_map(|gain| gain.strangers);
    Ok(strangers.filter_map(|filler| Some((filler.maker?, filler.name))).collect())
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
    let by_change = run.transaction.gains();
    let mut found = Vec::new();
    // By which groups somebody is admitted where.
    let mut admitting: BTreeMap<ProviderNumber, BTreeSet<GroupNumber>> = BTreeMap::new();
    for group in after.groups() {
        let Some(known) = before.group(group.number) else { continue };
        let gained = is.of_group(group).beyond(&was.of_group(known));
        if gained.is_empty() {
            continue;
        }
        for provider in &gained.admitted {
            admitting.entry(*provider).or_default().insert(group.number);
        }
        let mut gain = Gain::of(ReferenceKind::Group, &group.name);
        gain.add_group(run, group)?;
        if !run.described.says_members(&group.name) {
            let members = group.members().filter_map(|member| after.account_of_entry(member));
            let is_unnamed = |member: &&Arc<AccountState>| {
                known.has_member(member.number) && !run.described.is_own_group(&group.name, &member.username)
            };
            for member in members.filter(is_unnamed) {
                let gained = by_change.given_to(member);
                gain.add_account(run, member, !was.gives(known), (&by_change, &gained))?;
            }
        }
        found.push(gain);
    }
    for role in after.roles() {
        let Some(known) = before.role(role.number) else { continue };
        let rights = |grants: &[Grant]| Rights { is_superuser: false, grants: grants.to_vec() };
        if rights(&role.grants).beyond(&rights(&known.grants)).is_empty() {
            continue;
        }
        let mut gain = Gain::of(ReferenceKind::Role, &role.name);
        for holder in after.accounts().filter(|account| account.roles.contains(&role.number)) {
            let held = before.account(holder.number).is_some_and(|known| known.roles.contains(&role.number));
            let is_named =
                || run.described.account(&holder.username).is_some_and(|seed| seed.roles.is_some());
            if held && !is_named() {
                let gained = by_change.given_to(holder);
                gain.add_account(run, holder, known.grants.is_empty(), (&by_change, &gained))?;
            }
        }
        found.push(gain);
    }
    for application in after.applications() {
        let none = BTreeSet::new();
        let by_groups = application.provider.and_then(|provider| admitting.get(&provider)).unwrap_or(&none);
        found.extend(gain_of_application(run, application, by_groups, &by_change)?);
    }
    Ok(found)
}

/// Who is admitted by another mode of an application, or by other bindings, and not by one of these groups, of which that is told.
fn gain_of_application(
    run: &SeedRun<'_, '_>,
    application: &Application,
    by_groups: &BTreeSet<GroupNumber>,
    by_change: &Gains<'_>,
) -> Result<Option<Gain>, ChangeError> {
    let (before, after) = (run.before.accounts(), run.accounts());
    let Some(known) = before.application(application.number) else { return Ok(None) };
    let Some(provider) = application.provider.filter(|provider| known.provider == Some(*provider)) else {
        return Ok(None);
    };
    let was = Admissible::of(before, known, AskedFor::Gains);
    let is = Admissible::of(after, application, AskedFor::Gains);
    // Who is admitted as everybody is gains nothing by what one has done before.
    if was == is || is == Admissible::everybody() {
        return Ok(None);
    }
    let gained = Gained { rights: Rights::default(), admitted: vec![provider] };
    let says_bindings = run.described.application(&application.slug).is_some_and(|it| it.bindings.is_some());
    let bound = |subject: BindingSubject| {
        application
            .bindings
            .iter()
            .any(|binding| binding.enabled && !binding.negate && binding.subject == subject)
    };
    let is_named_member = |account: &AccountState| {
        account.groups.iter().filter_map(|number| after.group(*number)).any(|group| {
            let mut above = group.closure.iter();
            run.described.says_members(&group.name) && above.any(|above| bound(BindingSubject::Group(*above)))
        })
    };
    let mut gain = Gain::of(ReferenceKind::Application, &application.slug);
    for account in after.accounts() {
        let Some(was_it) = before.account(account.number) else { continue };
        if !is.admits(after, account)
            || was.admits(before, was_it)
            || after.groups_of(account).iter().any(|group| by_groups.contains(group))
            // Asked of by its name.
            || is_named_member(account)
        {
            continue;
        }
        let others = gain.others.len();
        gain.add_account(run, account, false, (by_change, &gained))?;
        if says_bindings && bound(BindingSubject::Account(account.number)) {
            gain.others.truncate(others);
        }
    }
    Ok(Some(gain))
}

impl Gain {
    fn of(kind: ReferenceKind, name: &str) -> Self {
        Self { kind, name: name.to_owned(), itself: None, strangers: Vec::new(), others: Vec::new() }
    }

    /// The group itself, where a caller of the API has made it: one that the config describes is told of as that.
    fn add_group(&mut self, run: &SeedRun<'_, '_>, group: &GroupState) -> Result<(), ChangeError> {
        let key = Key::Group(group.number);
        if run.described.group(&group.name).is_none()
            && let Some(record) = run.strangers_record(&key)?
        {
            let above = group.parents.iter().filter_map(|parent| run.accounts().group(*parent));
            let above = above.map(|parent| format!("`{}`", parent.name)).collect();
            self.itself = Some((Filler::of(run, key, &group.name, &record), above));
        }
        Ok(())
    }

    /// Somebody in it, and what that account gets; `had_nothing`: whether nobody had anything by it before.
    fn add_account(
        &mut self,
        run: &SeedRun<'_, '_>,
        account: &AccountState,
        had_nothing: bool,
        (by_change, gained): (&Gains<'_>, &Gained),
    ) -> Result<(), ChangeError> {
        let key = Key::Account(account.number);
        let is_asked = had_nothing || run.is_beyond_maker(&key, by_change, gained)?;
        let record = if is_asked { run.strangers_record(&key)? } else { None };
        match record {
            None => self.others.push(account.username.to_string()),
            Some(record) => self.strangers.push(Filler::of(run, key, &account.username, &record)),
        }
        Ok(())
    }
}

impl Filler {
    fn of(run: &SeedRun<'_, '_>, key: Key, name: &str, record: &Record) -> Self {
        let (made, maker) = (run.made(record), run.sole_maker(&key, record));
        Self { key, name: name.to_owned(), made, maker }
    }

    fn as_group(&self, above: &[String]) -> String {
        let adopt = typed("--adopt", format_args!("{}:{}", ReferenceKind::Group, self.name));
        let within =
            if above.is_empty() { String::new() } else { format!(" and is in {}", above.join(", ")) };
        format!(
            "it was {}{within}: {adopt} takes it over, empty; or delete it, or take it out of there",
            self.made
        )
    }

    fn as_account(&self) -> String {
        let adopt = typed("--adopt", format_args!("{}:{}", ReferenceKind::Account, self.name));
        format!(
            "the account `{}` was {}: {adopt} takes it over{}; or take it out of there",
            self.name,
            self.made,
            takes(ReferenceKind::Account)
        )
    }
}

impl SeedRun<'_, '_> {
    /// A record as it is by now, if a caller of the API who is no superuser has made its object.
    pub(super) fn strangers_record(&self, key: &Key) -> Result<Option<Record>, ChangeError> {
        let record = self.transaction.stored(key)?;
        Ok(record.filter(|record| self.is_strangers_origin(origin(record))))
    }

    /// Whether a caller of the API who is no superuser has made an object, and had not all of this itself before:
    /// whatever that object, or what it is in, was worth until now.
    pub(super) fn is_beyond_maker(
        &self,
        key: &Key,
        by_change: &Gains<'_>,
        gained: &Gained,
    ) -> Result<bool, ChangeError> {
        if gained.is_empty() {
            return Ok(false);
        }
        let Some(record) = self.strangers_record(key)? else { return Ok(false) };
        Ok(!origin(&record).account().is_some_and(|maker| by_change.had(maker, gained)))
    }
}

/// The field of a diff that says who gains.
const GIVES_MORE: &str = "gives more to";
