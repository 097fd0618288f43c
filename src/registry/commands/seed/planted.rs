//! What strangers have planted in the way of what the config describes, by what it is known by or where it stands.

use super::apply::{SeedRun, name_of};
use crate::config::ReferenceKind;
use crate::directory::name_key;
use crate::model::{ObjectReference, ProviderNumber};
use crate::registry::ChangeError;
use crate::registry::commands::planted;

/// All of it, with what of the config it is in the way of, and the reason.
pub(super) fn obstacles(run: &SeedRun<'_, '_>) -> Result<Vec<(ReferenceKind, String, String)>, ChangeError> {
    let providers = run.seed.providers.iter().filter_map(|provider| run.find_provider(&provider.name));
    let providers: Vec<ProviderNumber> = providers.collect();
    let mut found = planted::values(run.transaction, &run.transaction.claims())?;
    found.append(&mut planted::providers(run.transaction, &providers)?);
    let obstacle = |planted: planted::Planted| {
        let (kind, name) = described(run, planted.by)?;
        // Of a stranger's object that the config describes that alone is told, and it may be adopted.
        described(run, planted.of).is_none().then(|| (kind, name, planted.sentence()))
    };
    Ok(found.into_iter().filter_map(obstacle).collect())
}

/// What the seed calls an object that it describes.
fn described(run: &SeedRun<'_, '_>, on: ObjectReference) -> Option<(ReferenceKind, String)> {
    let (kind, name) = name_of(run.accounts(), on)?;
    let key = name_key(&name);
    let seed = run.seed;
    let found = match kind {
        ReferenceKind::Provider => {
            let mut names = seed.providers.iter().map(|provider| &provider.name);
            names.find(|name| name_key(name) == key)
        }
        ReferenceKind::Account => {
            let mut names = seed.accounts.iter().map(|account| &account.username);
            names.find(|name| name_key(name) == key)
        }
        ReferenceKind::Group => {
            let made = seed.accounts.iter().filter(|account| account.create_group == Some(true));
            let made = made.map(|account| &account.username);
            let mut names = seed.groups.iter().map(|group| &group.name).chain(made);
            names.find(|name| name_key(name) == key)
        }
        _ => None,
    };
    found.map(|name| (kind, name.clone()))
}
