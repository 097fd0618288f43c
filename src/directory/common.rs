//! What objects have in common, found once for all whose entries are made one after the other: their classes, with what
//! follows from them, and what the names of their attributes mean.

use std::sync::Arc;

use super::compose::ClassList;
use crate::schema::{AttributeId, Schema};

/// What was found so far; for one thread.
pub(super) struct Common {
    schema: Schema,
    /// By a mark of the name, each in the place of one that came before.
    names: Vec<Option<(Box<str>, Option<AttributeId>)>>,
    classes: Vec<Arc<ClassList>>,
}

impl Common {
    /// Nothing was found yet.
    pub(super) fn new(schema: &Schema) -> Self {
        Self { schema: schema.clone(), names: Vec::new(), classes: Vec::new() }
    }

    /// Whether it was found in this schema.
    pub(super) fn is_of(&self, schema: &Schema) -> bool {
        self.schema.is_same(schema)
    }

    /// The attribute type of this name, as [`Schema::find`] has it.
    pub(super) fn find(&mut self, name: &str) -> Option<AttributeId> {
        let octets = name.as_bytes();
        let ends = octets.first().zip(octets.last()).map_or(0, |(first, last)| {
            usize::from(*first).wrapping_mul(5).wrapping_add(usize::from(*last).wrapping_mul(17))
        });
        let place = name.len().wrapping_mul(31).wrapping_add(ends) % NAMES;
        if let Some(Some((known, id))) = self.names.get(place)
            && **known == *name
        {
            return *id;
        }
        let id = self.schema.find(name);
        if self.names.is_empty() {
            self.names.resize(NAMES, None);
        }
        if let Some(place) = self.names.get_mut(place) {
            *place = Some((name.into(), id));
        }
        id
    }

    /// These classes, see [`ClassList::new`].
    pub(super) fn classes<S: AsRef<str>>(
        &mut self,
        given: &[S],
        structural: &'static str,
        compatibility: &'static [&'static str],
    ) -> Arc<ClassList> {
        if let Some(known) = self.classes.iter().find(|list| list.is_of(given, structural, compatibility)) {
            return known.clone();
        }
        let list = Arc::new(ClassList::new(&self.schema, given, structural, compatibility));
        if self.classes.len() == LISTS_MAX {
            self.classes.clear();
        }
        self.classes.push(list.clone());
        list
    }
}

/// Names that are known at a time.
const NAMES: usize = 256;
/// Lists of classes that are.
const LISTS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_mean_what_they_mean_in_the_schema() {
        let schema = Schema::core();
        let mut common = Common::new(&schema);
        let names = ["cn", "CN", "sn", "mail", "", "nothing", "2.5.4.3", "cn;lang-de", "commonName", "ö"];
        for name in names.into_iter().chain(names) {
            assert_eq!(common.find(name), schema.find(name), "{name}");
        }
        // More than are kept.
        for round in 0..2 {
            for number in 0..2 * NAMES {
                let name = format!("name-{number}");
                assert_eq!(common.find(&name), None, "{round}");
            }
            assert_eq!(common.find("uid"), Some(AttributeId::UID));
        }
        assert!(common.is_of(&schema.clone()));
    }
}
