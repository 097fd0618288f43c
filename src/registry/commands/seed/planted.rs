//! What strangers have planted in the way of what the config describes, by what it is known by or where it stands.

use std::collections::BTreeMap;

use super::apply::{SeedRun, name_of};
use super::obstacle::{NAMED_MAX, Obstacle};
use crate::config::ReferenceKind;
use crate::model::{ObjectReference, ProviderNumber};
use crate::registry::ChangeError;
use crate::registry::commands::planted;

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
        let Some(on) = described(run, planted.by).filter(|_| described(run, planted.of).is_none()) else {
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

/// What the seed calls a provider, an account or a group that it describes.
fn described(run: &SeedRun<'_, '_>, on: ObjectReference) -> Option<(ReferenceKind, String)> {
    let (kind, name) = name_of(run.accounts(), on)?;
    Some((kind, run.described.name(kind, &name)?.to_owned()))
}
