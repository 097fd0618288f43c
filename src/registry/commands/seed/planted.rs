//! What strangers have planted in the way of what the config describes, by what it is known by or where it stands.

use std::collections::BTreeMap;

use super::apply::{SeedRun, name_of};
use super::obstacle::Obstacle;
use crate::access::Rights;
use crate::config::ReferenceKind;
use crate::directory::{AccountState, Accounts};
use crate::model::{ObjectReference, ProviderNumber};
use crate::quoted::NAMED_MAX;
use crate::registry::ChangeError;
use crate::registry::commands::planted;
use crate::registry::commands::worth::{Admissions, Worth};

/// All of it, with what of the config it is in the way of, and the reason.
pub(super) fn obstacles(run: &SeedRun<'_, '_>) -> Result<Vec<Obstacle>, ChangeError> {
    let providers = run.seed.providers.iter().filter_map(|provider| run.find_provider(&provider.name));
    let providers: Vec<ProviderNumber> = providers.collect();
    let mut found = planted::values(run.transaction, &run.transaction.claims())?;
    found.append(&mut planted::providers(run.transaction, &providers)?);
    // All that is in the way of one thing is told at once.
    let mut told: BTreeMap<(ReferenceKind, String), Vec<String>> = BTreeMap::new();
    for planted in found {
        // Of a stranger's object that the config describes that alone is told, and it may be adopted.
        let Some(on) = named(run, planted.by).filter(|_| described(run, planted.of).is_none()) else {
            continue;
        };
        told.entry(on).or_default().push(planted.sentence());
    }
    let obstacle = |((kind, name), mut sentences): ((ReferenceKind, String), Vec<String>)| {
        let more = sentences.len().saturating_sub(NAMED_MAX);
        sentences.truncate(NAMED_MAX);
        sentences.extend((more > 0).then(|| format!("and {more} more of the kind")));
        Obstacle::alone(kind, name, sentences.join("; "))
    };
    Ok(told.into_iter().map(obstacle).collect())
}

/// Has groups that gave nobody anything before, and accounts that the seed describes and that had nothing, count as new: by what
/// they are known by somebody could be known without being asked for it.
pub(super) fn count_what_is_worth_more(run: &mut SeedRun<'_, '_>) {
    let (before, after) = (run.before.accounts(), run.accounts());
    let (was, is) = (Worth::of(before), Worth::of(after));
    let groups = after.groups().filter(|group| is.gives(group));
    let groups = groups.filter(|group| before.group(group.number).is_some_and(|known| !was.gives(known)));
    let mut found: Vec<ObjectReference> = groups.map(|group| ObjectReference::Group(group.number)).collect();
    let (was, is) = (Admissions::of(before), Admissions::of(after));
    let has = |accounts: &Accounts, admissions: &Admissions<'_>, account: &AccountState| {
        !Rights::of_account(accounts, account).is_empty() || !admissions.of_account(account).is_empty()
    };
    let described = run.seed.accounts.iter().filter_map(|seed| after.account_named(&seed.username));
    for account in described.filter(|account| has(after, &is, account)) {
        if before.account(account.number).is_some_and(|known| !has(before, &was, known)) {
            found.push(ObjectReference::Account(account.number));
        }
    }
    found.into_iter().for_each(|on| run.transaction.count_as_new(on));
}

/// How something is told of in whose way something is: what the seed describes, and what it makes worth something.
fn named(run: &SeedRun<'_, '_>, on: ObjectReference) -> Option<(ReferenceKind, String)> {
    let counts = || name_of(run.accounts(), on).filter(|_| run.transaction.counts_as_new(on));
    described(run, on).or_else(counts)
}

/// What the seed calls a provider, an account or a group that it describes.
fn described(run: &SeedRun<'_, '_>, on: ObjectReference) -> Option<(ReferenceKind, String)> {
    let (kind, name) = name_of(run.accounts(), on)?;
    Some((kind, run.described.name(kind, &name)?.to_owned()))
}
