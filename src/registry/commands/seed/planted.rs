//! What strangers have planted in the way of what the config describes, by what it is known by or where it stands.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::apply::{SeedRun, name_of};
use super::obstacle::Obstacle;
use crate::access::Rights;
use crate::config::{ReferenceKind, SeedSubject};
use crate::directory::{AccountState, Accounts, GroupState};
use crate::model::{Key, ObjectReference, ProviderNumber};
use crate::quoted::NAMED_MAX;
use crate::registry::ChangeError;
use crate::registry::commands::gains::Gains;
use crate::registry::commands::planted::{self, Planted};
use crate::registry::commands::worth::{Admissions, Gained, Worth};

/// All of it, with what of the config it is in the way of, and the reason.
pub(super) fn obstacles(run: &SeedRun<'_, '_>) -> Result<Vec<Obstacle>, ChangeError> {
    let providers = run.seed.providers.iter().filter_map(|provider| run.find_provider(&provider.name));
    let providers: Vec<ProviderNumber> = providers.collect();
    let mut found = planted::values(run.transaction, &run.transaction.claims())?;
    found.append(&mut planted::providers(run.transaction, &providers)?);
    // How something is told of in whose way something is: what the seed describes, and what it makes worth something.
    found.retain(|planted| described(run, planted.by).is_some() || run.transaction.counts_as_new(planted.by));
    found.append(&mut beyond_their_makers(run)?);
    // All that is in the way of one thing is told at once.
    let mut told: BTreeMap<(ReferenceKind, String), Vec<String>> = BTreeMap::new();
    for planted in found {
        // Of a stranger's object that the config describes that alone is told, and it may be adopted.
        let named = described(run, planted.by).or_else(|| name_of(run.accounts(), planted.by));
        let Some(on) = named.filter(|_| described(run, planted.of).is_none()) else { continue };
        let sentences = told.entry(on).or_default();
        let sentence = planted.sentence();
        if !sentences.contains(&sentence) {
            sentences.push(sentence);
        }
    }
    let obstacle = |((kind, name), mut sentences): ((ReferenceKind, String), Vec<String>)| {
        let more = sentences.len().saturating_sub(NAMED_MAX);
        sentences.truncate(NAMED_MAX);
        sentences.extend((more > 0).then(|| format!("and {more} more of the kind")));
        Obstacle::alone(kind, name, sentences.join("; "))
    };
    Ok(told.into_iter().map(obstacle).collect())
}

/// Has groups that gave nobody anything before, and accounts that the seed names and that had nothing, count as new: by what
/// they are known by somebody could be known without being asked for it.
pub(super) fn count_what_is_worth_more(run: &mut SeedRun<'_, '_>) -> Result<(), ChangeError> {
    let (before, after) = (run.before.accounts(), run.accounts());
    let (was, is) = (Worth::of(before), Worth::of(after));
    let groups = after.groups().filter(|group| is.gives(group));
    let groups = groups.filter(|group| before.group(group.number).is_some_and(|known| !was.gives(known)));
    let mut found: Vec<ObjectReference> = groups.map(|group| ObjectReference::Group(group.number)).collect();
    let (was, is) = (Admissions::of(before), Admissions::of(after));
    let has = |accounts: &Accounts, admissions: &Admissions<'_>, account: &AccountState| {
        !Rights::of_account(accounts, account).is_empty() || !admissions.of_account(account).is_empty()
    };
    for account in named_accounts(run, &run.transaction.gains()).into_iter().filter(|it| has(after, &is, it))
    {
        if before.account(account.number).is_some_and(|known| !has(before, &was, known))
            && is_not_strangers(run, account)?
        {
            found.push(ObjectReference::Account(account.number));
        }
    }
    found.into_iter().for_each(|on| run.transaction.count_as_new(on));
    Ok(())
}

/// What is known by the same as a group, or an account that the seed names, which gets more now than its maker had: whoever
/// made that known so was asked for what the other had then, if for that.
fn beyond_their_makers(run: &SeedRun<'_, '_>) -> Result<Vec<Planted>, ChangeError> {
    let (before, after) = (run.before.accounts(), run.accounts());
    let (was, is) = (Worth::of(before), Worth::of(after));
    let by_change = run.transaction.gains();
    let of_group = |group: &Arc<GroupState>| {
        let known = before.group(group.number)?;
        Some((ObjectReference::Group(group.number), is.of_group(group).beyond(&was.of_group(known))))
    };
    let counts =
        |(on, gained): &(ObjectReference, Gained)| !gained.is_empty() && !run.transaction.counts_as_new(*on);
    let mut gained: HashMap<ObjectReference, Gained> =
        after.groups().filter_map(of_group).filter(counts).collect();
    for account in named_accounts(run, &by_change) {
        let given = (ObjectReference::Account(account.number), by_change.given_to(account));
        if before.account(account.number).is_some() && counts(&given) && is_not_strangers(run, account)? {
            gained.extend([given]);
        }
    }
    if gained.is_empty() {
        return Ok(Vec::new());
    }
    let these: HashSet<ObjectReference> = gained.keys().copied().collect();
    let mut found = Vec::new();
    for planted in planted::values(run.transaction, &run.transaction.claims_of(&these))? {
        if let Some(gained) = gained.get(&planted.by).filter(|_| planted.of != planted.by)
            && run.is_beyond_maker(&planted.of.into(), &by_change, gained)?
        {
            found.push(planted);
        }
    }
    Ok(found)
}

/// The accounts that the seed describes, or has somewhere else by their names, and that may have gained something.
fn named_accounts<'r>(run: &'r SeedRun<'_, '_>, by_change: &Gains<'_>) -> Vec<&'r Arc<AccountState>> {
    let seed = run.seed;
    let bindings = seed.applications.iter().flat_map(|application| application.bindings.iter().flatten());
    let bound = bindings.filter_map(|binding| match &binding.subject {
        SeedSubject::Account(name) => Some(name),
        _ => None,
    });
    let members = seed.groups.iter().flat_map(|group| group.members.iter().flatten());
    let names = seed.accounts.iter().map(|account| &account.username).chain(members).chain(bound);
    let mut seen = HashSet::new();
    let named = names.filter_map(|name| run.accounts().account_named(name));
    named.filter(|account| by_change.may_be_of(account.number) && seen.insert(account.number)).collect()
}

/// Whether an account is not one that a stranger has made: of these who has made them is asked.
fn is_not_strangers(run: &SeedRun<'_, '_>, account: &AccountState) -> Result<bool, ChangeError> {
    Ok(run.strangers_record(&Key::Account(account.number))?.is_none())
}

/// What the seed calls a provider, an account or a group that it describes.
fn described(run: &SeedRun<'_, '_>, on: ObjectReference) -> Option<(ReferenceKind, String)> {
    let (kind, name) = name_of(run.accounts(), on)?;
    Some((kind, run.described.name(kind, &name)?.to_owned()))
}
