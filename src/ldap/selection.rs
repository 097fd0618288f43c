//! Which attributes a search asks for (RFC 4511 section 4.5.1.8, RFC 3673, RFC 4529).

use std::sync::Arc;

use smallvec::SmallVec;

use super::message::names_in;
use crate::directory::{TreeReader, has_options, wanted_options};
use crate::schema::{AttributeId, Schema, steps};

/// The attribute list of a search, looked up.
#[derive(Clone, Debug, Default)]
pub(super) struct Selection {
    /// `*`, or an empty list: all user attributes.
    all_user: bool,
    /// `+`: all operational attributes.
    all_operational: bool,
    /// Those that are named, subtypes included; sorted, each once.
    named: SmallVec<[AttributeId; 8]>,
    /// Those that are named with options: only descriptions that have them all. Sorted, each once; the subtypes of one
    /// name share its options.
    with_options: Vec<(AttributeId, Arc<str>)>,
    /// Those that are computed, of all that an entry without options is asked for: known once, not for each entry.
    computed: SmallVec<[AttributeId; 8]>,
    /// What it has cost to look the names up.
    work: u64,
}

impl Selection {
    /// Looks the names up. Unknown ones select nothing, `1.1` selects nothing, duplicates count once.
    pub(super) fn new(names: &[&str], reader: &TreeReader<'_>) -> Self {
        let schema = reader.schema();
        let mut selection = Self { all_user: names.is_empty(), ..Self::default() };
        let mut classes = SmallVec::new();
        for name in names.iter().flat_map(|text| names_in(text)) {
            selection.look_at(1 + name.len() as u64 / OCTETS_OF_ONE_WORK);
            match name {
                "*" => selection.all_user = true,
                "+" => selection.all_operational = true,
                name => selection.add(name, reader, &mut classes),
            }
        }
        selection.named.sort_unstable();
        selection.named.dedup();
        selection.with_options.sort_unstable();
        selection.with_options.dedup();
        let computed = reader.computed_attributes();
        selection.computed = computed.filter(|id| selection.selects(*id, schema)).collect();
        selection
    }

    /// Whether an attribute without options is asked for.
    pub(super) fn selects(&self, id: AttributeId, schema: &Schema) -> bool {
        if self.named.binary_search(&id).is_ok() {
            return true;
        }
        if schema.attribute(id).is_operational() { self.all_operational } else { self.all_user }
    }

    /// Whether an attribute is asked for whose description, with its options, is this; `work` grows by what it costs to
    /// compare options.
    pub(super) fn selects_description(
        &self,
        id: AttributeId,
        description: &[u8],
        schema: &Schema,
        work: &mut u64,
    ) -> bool {
        if self.selects(id, schema) {
            return true;
        }
        if self.with_options.is_empty() || !description.contains(&b';') {
            return false;
        }
        let first = self.with_options.partition_point(|(other, _)| *other < id);
        let mut wanted = self.with_options.iter().skip(first).take_while(|(other, _)| *other == id);
        wanted.any(|(_, options)| has_options(description, options.as_bytes(), work))
    }

    /// What it has cost to look the names up, in the unit in which an evaluator counts.
    pub(super) fn work(&self) -> u64 {
        self.work
    }

    /// Octets that it holds beside itself. Options that several types share are counted with each.
    pub(super) fn octets(&self) -> usize {
        let spilled = |ids: &SmallVec<[AttributeId; 8]>| {
            if ids.spilled() { ids.capacity() * size_of::<AttributeId>() } else { 0 }
        };
        let options: usize = self.with_options.iter().map(|(_, options)| options.len()).sum();
        let with_options = self.with_options.capacity() * size_of::<(AttributeId, Arc<str>)>() + options;
        spilled(&self.named) + spilled(&self.computed) + with_options
    }

    /// Whether all user attributes are asked for.
    pub(super) fn all_user(&self) -> bool {
        self.all_user
    }

    /// The computed attributes that are asked for, user attributes first.
    pub(super) fn computed(&self) -> &[AttributeId] {
        &self.computed
    }

    /// `classes` are those whose attributes were added, each of which is once.
    fn add(&mut self, name: &str, reader: &TreeReader<'_>, classes: &mut SmallVec<[&'static str; 4]>) {
        if let Some(class) = name.strip_prefix('@') {
            match reader.schema().class(class) {
                // It allows every attribute (RFC 4512 section 4.3).
                Some(class) if class.name() == "extensibleObject" => {
                    self.all_user = true;
                    self.all_operational = true;
                }
                Some(class) if !classes.contains(&class.name()) => {
                    classes.push(class.name());
                    let before = self.named.len();
                    self.named.extend(class.attributes());
                    self.look_at((self.named.len() - before) as u64);
                }
                Some(_) | None => {}
            }
            return;
        }
        let (base, options) = match name.split_once(';') {
            Some((base, options)) => (base, options),
            None => (name, ""),
        };
        let Some(id) = reader.schema().find(base) else { return };
        let subtypes = reader.subtypes(id);
        self.look_at(subtypes.len() as u64);
        if !name.contains(';') {
            self.named.extend_from_slice(subtypes);
        } else if let Some(options) = wanted_options(options) {
            let options: Arc<str> = options.into();
            self.with_options.extend(subtypes.iter().map(|id| (*id, options.clone())));
        }
    }

    fn look_at(&mut self, steps: u64) {
        steps::note(steps);
        self.work += steps;
    }
}

/// So many octets of a name cost as much as to look one up.
const OCTETS_OF_ONE_WORK: u64 = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::{Snapshot, Visibility};

    fn select(names: &[&str]) -> Selection {
        let directory = Snapshot::empty();
        Selection::new(names, &TreeReader::new(&directory, directory.nowhere(), &Visibility::Full))
    }

    #[test]
    fn an_empty_list_is_all_user_attributes() {
        let schema = Schema::core();
        let selection = select(&[]);
        assert!(selection.selects(AttributeId::CN, &schema));
        assert!(!selection.selects(AttributeId::ENTRY_UUID, &schema));
    }

    #[test]
    fn names_are_found_in_any_case_by_oid_and_by_class() {
        let schema = Schema::core();
        let selection = select(&["CN", "0.9.2342.19200300.100.1.1", "@posixGroup", "nonsense", "cn"]);
        assert!(selection.selects(AttributeId::CN, &schema));
        assert!(selection.selects(AttributeId::UID, &schema));
        assert!(selection.selects(AttributeId::MEMBER_UID, &schema));
        assert!(!selection.selects(AttributeId::SN, &schema));
        let everything = select(&["@extensibleObject"]);
        assert!(everything.selects(AttributeId::SN, &schema));
        assert!(everything.selects(AttributeId::ENTRY_UUID, &schema));
    }

    #[test]
    fn no_attributes_may_stand_beside_names() {
        let schema = Schema::core();
        assert!(!select(&["1.1"]).selects(AttributeId::CN, &schema));
        assert!(select(&["1.1", "cn"]).selects(AttributeId::CN, &schema));
    }

    #[test]
    fn a_list_in_one_string_is_a_list() {
        let schema = Schema::core();
        let selection = select(&["uid,cn, SN ,,1.1"]);
        for (id, is_selected) in [
            (AttributeId::UID, true),
            (AttributeId::CN, true),
            (AttributeId::SN, true),
            (AttributeId::MAIL, false),
        ] {
            assert_eq!(selection.selects(id, &schema), is_selected);
        }
        assert!(select(&["cn,*,+"]).selects(AttributeId::ENTRY_UUID, &schema));
    }

    #[test]
    fn an_empty_option_makes_an_unknown_name() {
        let schema = Schema::core();
        let selection = select(&["cn;", "sn;;lang-de"]);
        assert!(!selection.selects(AttributeId::CN, &schema));
        assert!(!selection.selects_description(AttributeId::SN, b"sn;lang-de", &schema, &mut 0));
    }

    #[test]
    fn a_supertype_selects_its_subtypes() {
        let schema = Schema::core();
        assert!(select(&["name"]).selects(AttributeId::SN, &schema));
    }

    #[test]
    fn options_select_what_has_them() {
        let schema = Schema::core();
        let selection = select(&["cn;LANG-de"]);
        let selects = |selection: &Selection, description: &[u8]| {
            selection.selects_description(AttributeId::CN, description, &schema, &mut 0)
        };
        assert!(!selects(&selection, b"cn"));
        assert!(selects(&selection, b"cn;lang-de;x"));
        assert!(!selects(&selection, b"cn;lang-fr"));
        assert!(selects(&select(&["cn"]), b"cn;lang-fr"));
        // In any order, and each name by itself.
        let several = select(&["sn;x", "cn;lang-de;X", "cn;y", "cn;x;lang-DE;x"]);
        assert!(selects(&several, b"cn;x;lang-de") && selects(&several, b"cn;Y"));
        assert!(!selects(&several, b"cn;x"));
    }

    #[test]
    fn names_with_options_are_kept_once_and_found_by_their_type() {
        let schema = Schema::core();
        let names: Vec<String> = (0..1_000).map(|number| format!("cn;x-{}", number % 10)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let selection = select(&names);
        assert_eq!(selection.with_options.len(), 10);
        assert!((1_000..4_000).contains(&selection.work()), "{}", selection.work());
        let looked_at = |id, description: &[u8]| {
            let mut work = 0;
            assert!(!selection.selects_description(id, description, &schema, &mut work));
            work
        };
        assert_eq!(looked_at(AttributeId::CN, b"cn"), 0);
        assert_eq!(looked_at(AttributeId::SN, b"sn;lang-de"), 0);
        assert!((10..50).contains(&looked_at(AttributeId::CN, b"cn;lang-de")));
        assert!(selection.octets() >= 10 * size_of::<(AttributeId, Arc<str>)>());
        // As many types as a name has subtypes.
        assert!(select(&["name"; 100]).work() >= 100 * select(&["name"]).named.len() as u64);
    }
}
