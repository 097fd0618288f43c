//! What stands in the way of a seed: one thing, or many that one account has made, which are told together.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::ReferenceKind;
use crate::model::{AccountNumber, Key};
use crate::quoted::{NAMED_MAX, enumerated};

/// What cannot be as the seed says, because somebody else has what it needs.
#[derive(Clone, Debug)]
pub(super) struct Obstacle {
    pub(super) kind: ReferenceKind,
    pub(super) name: String,
    pub(super) reason: String,
    /// Who has made what it is about, where that are many.
    pub(super) together: Vec<Together>,
    /// What makes it one of many, if it may be one.
    pub(super) of: Option<Alike>,
    /// What would be in the way no more, if it was taken over by its name.
    pub(super) begins: Option<Key>,
}

/// What obstacles have in common that are told together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Alike {
    pub(super) maker: AccountNumber,
    pub(super) would: &'static str,
    /// Whether all of them is taken over with `by:`, not accepted as it is.
    pub(super) is_taken: bool,
}

impl Obstacle {
    /// One that is told by itself.
    pub(super) fn alone(kind: ReferenceKind, name: impl Into<String>, reason: String) -> Self {
        Self { kind, name: name.into(), reason, together: Vec::new(), of: None, begins: None }
    }
}

/// What of these is told by itself, and what together, in the order of the first of each.
pub(super) fn grouped<'o>(obstacles: impl Iterator<Item = &'o Obstacle>) -> Vec<Vec<&'o Obstacle>> {
    let mut groups: Vec<Vec<&Obstacle>> = Vec::new();
    let mut places = BTreeMap::new();
    for obstacle in obstacles {
        let place = obstacle.of.as_ref().map(|of| *places.entry((obstacle.kind, of)).or_insert(groups.len()));
        match place.and_then(|place| groups.get_mut(place)) {
            Some(group) => group.push(obstacle),
            None => groups.push(vec![obstacle]),
        }
    }
    groups
}

/// Something that a caller of the API, and no superuser, has made.
pub(super) struct Stranger {
    pub(super) kind: ReferenceKind,
    pub(super) name: String,
    pub(super) key: Key,
    /// Who has made it, and when, in words.
    pub(super) made: String,
    /// What would become of it.
    pub(super) would: &'static str,
    /// The one account by whose name it may be taken over or accepted, with all that this one has made.
    pub(super) maker: Option<AccountNumber>,
}

/// Objects of one kind that one account has made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Together {
    pub kind: ReferenceKind,
    /// The username of that account; `#` and its number where it is gone, or its name begins with that.
    pub by: String,
    pub count: usize,
    /// 20 at most.
    pub names: Vec<String>,
}

impl Together {
    pub(super) fn of(kind: ReferenceKind, by: String, names: &[&str]) -> Self {
        let first = names.iter().take(NAMED_MAX).map(|name| (*name).to_owned());
        Self { kind, by, count: names.len(), names: first.collect() }
    }

    /// Which they are, in words.
    pub(super) fn in_words(&self) -> String {
        let Self { kind, by, count, names } = self;
        let s = if *count == 1 { "" } else { "s" };
        let by = match by.strip_prefix('#') {
            Some(number) => format!("account {number}"),
            None => format!("`{by}`"),
        };
        format!("{count} {kind}{s} made by {by} ({})", enumerated(names, *count))
    }
}
