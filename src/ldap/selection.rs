//! Which attributes a search asks for (RFC 4511 section 4.5.1.8, RFC 3673, RFC 4529).

use std::collections::HashSet;

use foldhash::quality::RandomState;
use smallvec::SmallVec;

use super::message::names_in;
use crate::directory::{FilterTooLarge, OPTIONS_MAX, OptionNumbers, TreeReader, wanted_options};
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
    /// Those that are named with options: only descriptions that have them all, of the type or of a subtype. In the order of
    /// the types, each name once.
    with_options: Vec<WithOptions>,
    /// The numbers of the options of all of these, one name behind the other.
    numbers: Vec<u32>,
    options: OptionNumbers,
    /// Those that are computed, of all that an entry without options is asked for: known once, not for each entry.
    computed: SmallVec<[AttributeId; 8]>,
    /// What it has cost to look the names up.
    work: u64,
}

/// A type that is named with options, and where the numbers of these stand.
#[derive(Clone, Copy, Debug)]
struct WithOptions {
    named: AttributeId,
    start: u32,
    end: u32,
}

/// What was read of a list of names until now.
#[derive(Default)]
struct Read {
    /// Those whose attributes were added, each of which is once.
    classes: SmallVec<[&'static str; 4]>,
    /// The types that are named without options.
    types: SmallVec<[AttributeId; 16]>,
    /// Those that are named with options, and the numbers of these.
    with_options: HashSet<(AttributeId, SmallVec<[u32; OPTIONS_MAX]>), RandomState>,
}

impl Selection {
    /// Looks the names up. Unknown ones select nothing, `1.1` selects nothing, duplicates count once.
    ///
    /// # Errors
    /// [`FilterTooLarge::Work`]: it would cost more than `work_max`.
    pub(super) fn new(
        names: &[&str],
        reader: &TreeReader<'_>,
        work_max: u64,
    ) -> Result<Self, FilterTooLarge> {
        let schema = reader.schema();
        let mut selection = Self { all_user: names.is_empty(), ..Self::default() };
        let mut read = Read::default();
        for name in names.iter().flat_map(|text| names_in(text)) {
            selection.look_at(1 + name.len() as u64 / OCTETS_OF_ONE_WORK);
            match name {
                "*" => selection.all_user = true,
                "+" => selection.all_operational = true,
                name => selection.add(name, reader, &mut read),
            }
            if selection.work > work_max {
                return Err(FilterTooLarge::Work { work: selection.work });
            }
        }
        // The subtypes of a type that is named a thousand times are looked at once.
        read.types.sort_unstable();
        read.types.dedup();
        for id in read.types {
            let subtypes = reader.subtypes(id);
            selection.look_at(subtypes.len() as u64);
            selection.named.extend_from_slice(subtypes);
        }
        selection.named.sort_unstable();
        selection.named.dedup();
        selection.with_options.sort_unstable_by_key(|wanted| wanted.named);
        let computed = reader.computed_attributes();
        selection.computed = computed.filter(|id| selection.selects(*id, schema)).collect();
        Ok(selection)
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
        reader: &TreeReader<'_>,
        work: &mut u64,
    ) -> bool {
        if self.selects(id, reader.schema()) {
            return true;
        }
        if self.with_options.is_empty() || !description.contains(&b';') {
            return false;
        }
        let mut had = None;
        reader.supertypes(id).any(|named| {
            *work += 1;
            let first = self.with_options.partition_point(|wanted| wanted.named < named);
            let wanted = self.with_options.get(first..).unwrap_or_default();
            let mut wanted = wanted.iter().take_while(|wanted| wanted.named == named).peekable();
            if wanted.peek().is_none() {
                return false;
            }
            let had = had.get_or_insert_with(|| self.options.had_by(description, work));
            let mut looked = 0;
            let is_selected = wanted.any(|wanted| {
                looked += 1;
                let numbers = self.numbers.get(wanted.start as usize..wanted.end as usize);
                numbers.is_some_and(|numbers| had.has_all(numbers))
            });
            *work += looked / NAMES_OF_ONE_WORK;
            is_selected
        })
    }

    /// What it has cost to look the names up, in the unit in which an evaluator counts.
    pub(super) fn work(&self) -> u64 {
        self.work
    }

    /// Octets that it holds beside itself.
    pub(super) fn octets(&self) -> usize {
        let spilled = |ids: &SmallVec<[AttributeId; 8]>| {
            if ids.spilled() { ids.capacity() * size_of::<AttributeId>() } else { 0 }
        };
        let with_options = self.with_options.capacity() * size_of::<WithOptions>();
        let numbers = self.numbers.capacity() * size_of::<u32>() + self.options.octets();
        spilled(&self.named) + spilled(&self.computed) + with_options + numbers
    }

    /// Whether all user attributes are asked for.
    pub(super) fn all_user(&self) -> bool {
        self.all_user
    }

    /// The computed attributes that are asked for, user attributes first.
    pub(super) fn computed(&self) -> &[AttributeId] {
        &self.computed
    }

    fn add(&mut self, name: &str, reader: &TreeReader<'_>, read: &mut Read) {
        if let Some(class) = name.strip_prefix('@') {
            match reader.schema().class(class) {
                // It allows every attribute (RFC 4512 section 4.3).
                Some(class) if class.name() == "extensibleObject" => {
                    self.all_user = true;
                    self.all_operational = true;
                }
                Some(class) if !read.classes.contains(&class.name()) => {
                    read.classes.push(class.name());
                    let before = self.named.len();
                    self.named.extend(class.attributes());
                    self.look_at((self.named.len() - before) as u64);
                }
                Some(_) | None => {}
            }
            return;
        }
        let Some((base, options)) = name.split_once(';') else {
            read.types.extend(reader.schema().find(name));
            return;
        };
        let Some(named) = reader.schema().find(base) else { return };
        let Some(options) = wanted_options(options, &mut self.work) else { return };
        let numbers = self.options.of_wanted(options, &mut self.work);
        // A message is far below 4 GiB.
        let (start, end) = (self.numbers.len() as u32, (self.numbers.len() + numbers.len()) as u32);
        self.numbers.extend_from_slice(&numbers);
        if read.with_options.insert((named, numbers)) {
            self.work += WORK_OF_KEEPING;
            self.with_options.push(WithOptions { named, start, end });
        } else {
            self.numbers.truncate(start as usize);
        }
    }

    fn look_at(&mut self, steps: u64) {
        steps::note(steps);
        self.work += steps;
    }
}

/// So many octets of a name cost as much as to look one up.
const OCTETS_OF_ONE_WORK: u64 = 64;
/// So many names with options cost as much to compare with what a description has as to look one up.
const NAMES_OF_ONE_WORK: u64 = 4;
/// What a name with options counts: it is compared with each stored attribute that has options, of each entry that is sent, and
/// not in pieces.
const WORK_OF_KEEPING: u64 = 500;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::directory::{Snapshot, Visibility};

    /// Does something as who sees everything of a directory without entries.
    fn with_reader<T>(look: impl FnOnce(&TreeReader<'_>) -> T) -> T {
        let directory = Snapshot::empty();
        look(&TreeReader::new(&directory, directory.nowhere(), &Visibility::Full))
    }

    fn select_within(names: &[&str], work_max: u64) -> Result<Selection, FilterTooLarge> {
        with_reader(|reader| Selection::new(names, reader, work_max))
    }

    fn select(names: &[&str]) -> Selection {
        select_within(names, u64::MAX).unwrap()
    }

    /// Whether a description of a type is selected, and what that costs.
    fn look_at(selection: &Selection, id: AttributeId, description: &str) -> (bool, u64) {
        let mut work = 0;
        let description = description.as_bytes();
        (with_reader(|reader| selection.selects_description(id, description, reader, &mut work)), work)
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
        assert!(!look_at(&selection, AttributeId::SN, "sn;lang-de").0);
    }

    #[test]
    fn a_supertype_selects_its_subtypes() {
        let schema = Schema::core();
        assert!(select(&["name"]).selects(AttributeId::SN, &schema));
        let selection = select(&["NAME;lang-de", "uid;x"]);
        for (id, description, is_selected) in [
            (AttributeId::SN, "sn;Lang-DE;x", true),
            (AttributeId::CN, "cn;x;lang-de", true),
            (AttributeId::SN, "sn;lang-fr", false),
            (AttributeId::SN, "sn", false),
            (AttributeId::MAIL, "mail;lang-de", false),
            (AttributeId::UID, "uid;x", true),
        ] {
            assert_eq!(look_at(&selection, id, description).0, is_selected, "{description}");
        }
        // Not the other way.
        assert!(!look_at(&select(&["sn;x"]), AttributeId::CN, "cn;x").0);
    }

    #[test]
    fn options_select_what_has_them() {
        let selection = select(&["cn;LANG-de"]);
        let selects = |selection: &Selection, description| look_at(selection, AttributeId::CN, description).0;
        assert!(!selects(&selection, "cn"));
        assert!(selects(&selection, "cn;lang-de;x"));
        assert!(!selects(&selection, "cn;lang-fr"));
        assert!(selects(&select(&["cn"]), "cn;lang-fr"));
        // In any order, and each name by itself.
        let several = select(&["sn;x", "cn;lang-de;X", "cn;y", "cn;x;lang-DE;x"]);
        assert!(selects(&several, "cn;x;lang-de") && selects(&several, "cn;Y"));
        assert!(!selects(&several, "cn;x"));
    }

    #[test]
    fn names_with_options_are_kept_once_and_found_by_their_type() {
        let named = |name: &str, kinds: usize| -> Vec<String> {
            (0..1_000).map(|number| format!("{name};x-{}", number % kinds)).collect()
        };
        let select_all = |names: &[String]| select(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let selection = select_all(&named("cn", 10));
        assert_eq!((selection.with_options.len(), selection.numbers.len()), (10, 10));
        let kept = 10 * WORK_OF_KEEPING;
        assert!((3_000..3_100).contains(&(selection.work() - kept)), "{}", selection.work());
        let looked_at = |id, description| {
            let (is_selected, work) = look_at(&selection, id, description);
            assert!(!is_selected);
            work
        };
        assert_eq!(looked_at(AttributeId::CN, "cn"), 0);
        // The type and what it is derived from.
        assert_eq!(looked_at(AttributeId::SN, "sn;lang-de"), 2);
        assert_eq!(looked_at(AttributeId::CN, "cn;lang-de"), 2 + 1 + 10 / NAMES_OF_ONE_WORK);
        assert!(selection.octets() >= 10 * size_of::<WithOptions>() + 30);
        // In another order and case they are the same.
        assert_eq!(select(&["cn;a;b", "cn;B;a", "cn;b;A;b", "sn;a;b"]).with_options.len(), 2);
        // A type with many subtypes costs no more, and takes no more.
        let derived = select_all(&named("name", 1_000));
        assert_eq!((derived.with_options.len(), derived.work()), (1_000, 3_000 + 1_000 * WORK_OF_KEEPING));
        assert!(look_at(&derived, AttributeId::SN, "sn;x-777").0);
        assert!(derived.octets() < 2 * select_all(&named("uid", 1_000)).octets());
        // What is named without options again and again is looked at once with its subtypes.
        let once = select(&["name"]);
        assert_eq!(select(&["name"; 100]).work(), 99 + once.work());
        assert_eq!(once.work(), 1 + once.named.len() as u64);
    }

    #[test]
    fn many_options_are_work_and_end_where_it_does() {
        let options: String = (0..7).map(|number| format!(";o{number}")).collect();
        let names: Vec<String> = (0..1_000).map(|number| format!("cn{options};x-{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let whole = select(&names).work();
        assert!((8_000..12_000).contains(&(whole - 1_000 * WORK_OF_KEEPING)), "{whole}");
        assert!(select_within(&names, whole).is_ok());
        for work_max in [0, 1_000, whole - 1] {
            let Err(FilterTooLarge::Work { work }) = select_within(&names, work_max) else {
                unreachable!("more than {work_max}")
            };
            assert!((1..=WORK_OF_KEEPING + 40).contains(&(work - work_max)), "{work}");
        }
        // Not to be read is the same; a name that nobody has costs its octets.
        assert!(select(&[&*format!("cn{}", ";".repeat(60_000)); 10]).work() > 10_000);
        assert!(select(&["nonsense;x"; 1_000]).work() <= 1_000);
    }
}
