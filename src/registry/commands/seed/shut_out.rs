//! Whom an application is to shut out must be there: of a group that was deleted, and stays so, nobody would be.

use std::collections::BTreeSet;

use super::apply::SeedRun;
use crate::config::{ReferenceKind, SeedApplication, SeedGroup, SeedSubject};
use crate::directory::name_key;

impl SeedRun<'_, '_> {
    /// Why an application would let in whom the config says that it shuts out.
    pub(super) fn not_shut_out(&self, seed: &SeedApplication) -> Option<String> {
        // What else is in the way is told first: what follows from it is not.
        if !self.names.obstructed.is_empty() {
            return None;
        }
        let shut_out = seed.bindings.iter().flatten().filter(|binding| binding.negate && binding.enabled);
        let groups = shut_out.filter_map(|binding| match &binding.subject {
            SeedSubject::Group(name) => Some(name),
            _ => None,
        });
        groups.into_iter().find_map(|name| {
            let missing = self.missing_of(name)?;
            Some(format!(
                "it is to shut out the group `{name}`, and the group `{missing}`, which was deleted, is not made again: \
                 --recreate {missing} makes it"
            ))
        })
    }

    /// What of a group, with all that the config puts into it, is not made.
    fn missing_of<'n>(&'n self, name: &'n str) -> Option<&'n str> {
        let mut waiting = vec![name];
        let mut seen = BTreeSet::new();
        while let Some(name) = waiting.pop() {
            let key = name_key(name);
            if !seen.insert(key.clone()) {
                continue;
            }
            if self.names.skipped.contains(&(ReferenceKind::Group, name_key(name))) {
                return Some(name);
            }
            let below =
                |group: &&SeedGroup| group.parents.iter().flatten().any(|parent| name_key(parent) == key);
            waiting.extend(self.seed.groups.iter().filter(below).map(|group| group.name.as_str()));
        }
        None
    }
}
