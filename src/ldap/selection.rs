//! Which attributes a search asks for (RFC 4511 section 4.5.1.8, RFC 3673, RFC 4529).

use smallvec::SmallVec;

use crate::directory::{TreeReader, has_options};
use crate::schema::{AttributeId, Schema};

/// The attribute list of a search, looked up.
#[derive(Clone, Debug, Default)]
pub(super) struct Selection {
    /// `*`, or an empty list: all user attributes.
    all_user: bool,
    /// `+`: all operational attributes.
    all_operational: bool,
    /// Those that are named, subtypes included; sorted, each once.
    named: SmallVec<[AttributeId; 8]>,
    /// Those that are named with options: only descriptions that have them all.
    with_options: Vec<(AttributeId, String)>,
    /// Those that are computed, of all that an entry without options is asked for: known once, not for each entry.
    computed: SmallVec<[AttributeId; 8]>,
}

impl Selection {
    /// Looks the names up. Unknown ones select nothing, `1.1` selects nothing, duplicates count once.
    pub(super) fn new<'n>(names: &[&'n str], reader: &TreeReader<'_>) -> Self {
        let schema = reader.schema();
        let mut selection = Self { all_user: names.is_empty(), ..Self::default() };
        let mut classes = SmallVec::new();
        // Some clients send a list as one string; no name has a comma. A name alone is taken as it is, blanks included.
        let parts = |text: &&'n str| {
            let is_list = text.contains(',');
            text.split(',').map(move |name| if is_list { name.trim_ascii() } else { name })
        };
        for name in names.iter().flat_map(parts) {
            match name {
                "*" => selection.all_user = true,
                "+" => selection.all_operational = true,
                name => selection.add(name, reader, &mut classes),
            }
        }
        selection.named.sort_unstable();
        selection.named.dedup();
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

    /// Whether an attribute is asked for whose description, with its options, is this.
    pub(super) fn selects_description(&self, id: AttributeId, description: &[u8], schema: &Schema) -> bool {
        self.selects(id, schema)
            || self
                .with_options
                .iter()
                .any(|(other, options)| *other == id && has_options(description, options.as_bytes()))
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
                    self.named.extend(class.attributes());
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
        // `cn;` is no attribute description: an option has at least one character (RFC 4512 section 2.5.2).
        if name.contains(';') && options.split(';').any(str::is_empty) {
            return;
        }
        if options.is_empty() {
            self.named.extend_from_slice(reader.subtypes(id));
        } else {
            self.with_options.extend(reader.subtypes(id).iter().map(|id| (*id, options.to_owned())));
        }
    }
}

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
        assert!(!selection.selects_description(AttributeId::SN, b"sn;lang-de", &schema));
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
        assert!(!selection.selects_description(AttributeId::CN, b"cn", &schema));
        assert!(selection.selects_description(AttributeId::CN, b"cn;lang-de;x", &schema));
        assert!(!selection.selects_description(AttributeId::CN, b"cn;lang-fr", &schema));
        assert!(select(&["cn"]).selects_description(AttributeId::CN, b"cn;lang-fr", &schema));
    }
}
