//! What objects have in common, found once for all whose entries are made one after the other: their classes, with what
//! follows from them, and what the names of their attributes mean.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::schema::{AttributeId, ObjectClass, Schema};

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

    /// The list that was made of these classes, if there is one.
    pub(super) fn known<S: AsRef<str>>(
        &self,
        given: &[S],
        structural: &str,
        compatibility: &[&'static str],
    ) -> Option<Arc<ClassList>> {
        self.classes.iter().find(|list| list.is_of(given, structural, compatibility)).cloned()
    }

    /// Keeps a list for the next entry.
    pub(super) fn keep(&mut self, list: Arc<ClassList>) -> Arc<ClassList> {
        if self.classes.len() == LISTS_MAX {
            self.classes.clear();
        }
        self.classes.push(list.clone());
        list
    }

    pub(super) fn schema(&self) -> &Schema {
        &self.schema
    }
}

/// Classes as an object has them, with what follows from them.
pub(super) struct ClassList {
    pub(super) given: Box<[Box<str>]>,
    pub(super) structural: &'static str,
    pub(super) compatibility: &'static [&'static str],
    /// All of them, as values.
    pub(super) values: Box<[Box<[u8]>]>,
    pub(super) classes: SmallVec<[Option<&'static ObjectClass>; 12]>,
    pub(super) own_classes: usize,
    pub(super) allowed: AttributeSet,
    pub(super) allowed_itself: AttributeSet,
}

/// Bits, by the numbers of the attribute types.
pub(super) struct AttributeSet(Box<[u64]>);

impl AttributeSet {
    pub(super) fn of<'c>(classes: impl Iterator<Item = &'c Option<&'static ObjectClass>>) -> Self {
        let mut bits = Vec::new();
        for id in classes.copied().flatten().flat_map(ObjectClass::attributes) {
            let place = id.index() / 64;
            if bits.len() <= place {
                bits.resize(place + 1, 0);
            }
            bits[place] |= 1 << (id.index() % 64);
        }
        Self(bits.into())
    }

    pub(super) fn contains(&self, id: AttributeId) -> bool {
        self.0.get(id.index() / 64).is_some_and(|bits| bits >> (id.index() % 64) & 1 == 1)
    }
}

impl ClassList {
    /// Whether it was made of these.
    pub(super) fn is_of<S: AsRef<str>>(
        &self,
        given: &[S],
        structural: &str,
        compatibility: &[&'static str],
    ) -> bool {
        self.given.iter().map(|class| &**class).eq(given.iter().map(AsRef::as_ref))
            && (self.structural, self.compatibility) == (structural, compatibility)
    }
}

/// Names that are known at a time.
const NAMES: usize = 256;
/// Lists of classes that are.
/// No limit of the config: what is found once more where there are others is only found again.
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
