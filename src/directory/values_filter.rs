//! Which values of an attribute are returned (RFC 3876): an OR of simple assertions, each asked of one value. They are
//! made ready as elements of a filter are, and a value is selected when an entry with no other would match.

use std::borrow::Cow;
use std::slice;

use smallvec::SmallVec;

use super::chain::{Chain, ChainWalk};
use super::entry::has_options;
use super::entry_id::EntryId;
use super::evaluate::has_parts;
use super::evaluator::WORK_WITHOUT_REST;
use super::filter::FilterItem;
use super::prepared::{FilterBounds, FilterTooLarge, Node, PreparedFilter, Span};
use super::reader::TreeReader;
use crate::schema::{AttributeId, MatchingRule, RuleKind, steps};

/// Assertions made ready. What cannot be evaluated is Undefined, and selects nothing.
#[derive(Clone, Debug)]
pub struct ValuesFilter {
    filter: PreparedFilter,
    /// The places of the assertions in it.
    assertions: Vec<usize>,
}

/// Those of the assertions that are about one attribute, and the values that they are asked about: one is prepared once
/// by each rule, however many assertions compare it.
pub struct ValueSelector<'f> {
    filter: &'f PreparedFilter,
    reader: TreeReader<'f>,
    attribute: AttributeId,
    tests: Vec<Test<'f>>,
    /// Normal forms of the present value; `None`: it has none by this rule.
    forms: SmallVec<[KnownForm; 4]>,
    octets: Vec<u8>,
    scratch: Vec<u8>,
    work: u64,
    is_exhausted: bool,
}

/// The rule, and where the form stands.
type KnownForm = (MatchingRule, Option<(usize, usize)>);

enum Test<'f> {
    Present,
    /// A value that is computed, by its octets: what a membership names, a category.
    Is(Cow<'f, [u8]>),
    /// A membership that any number of memberships lead to, or from.
    Related(EntryId),
    /// The element at this place.
    Element(usize),
}

impl ValuesFilter {
    /// Makes assertions ready, one behind the other as in a filter; connectives among them are ignored.
    ///
    /// # Errors
    /// [`FilterTooLarge`] when the prepared values have more octets than they may.
    pub fn bounded(
        items: &[FilterItem<'_>],
        reader: &TreeReader<'_>,
        bounds: FilterBounds,
    ) -> Result<Self, FilterTooLarge> {
        let filter = PreparedFilter::bounded(items, reader, bounds)?;
        let is_assertion = |node: &Node| {
            !matches!(
                node,
                Node::And { .. }
                    | Node::Or { .. }
                    | Node::Not { .. }
                    | Node::Constant(_)
                    | Node::Part { .. }
                    | Node::Relation { target: None, .. }
                    | Node::Chain { target: None, .. }
                    | Node::Category(None)
            )
        };
        let nodes = filter.nodes.iter().enumerate();
        let assertions = nodes.filter(|(_, node)| is_assertion(node)).map(|(place, _)| place).collect();
        Ok(Self { filter, assertions })
    }

    /// What it has cost to make them ready, in the unit in which an evaluator counts.
    pub fn work(&self) -> u64 {
        self.filter.work()
    }

    /// How much memory they hold.
    pub fn octets(&self) -> usize {
        self.filter.octets() + size_of_val(self.assertions.as_slice())
    }

    /// How many assertions there are.
    pub fn len(&self) -> usize {
        self.assertions.len()
    }

    /// Whether one of them is about a way of values, which may be long for a single one.
    pub fn follows_values(&self) -> bool {
        let mut nodes = self.assertions.iter().filter_map(|place| self.filter.nodes.get(*place));
        nodes.any(|node| {
            matches!(node, Node::Chain { .. } | Node::Extensible { rule: MatchingRule::InChain, .. })
        })
    }

    /// Those that are about an attribute; `description` is the attribute's with its options.
    pub fn about<'f>(
        &'f self,
        attribute: AttributeId,
        description: &[u8],
        reader: &TreeReader<'f>,
    ) -> ValueSelector<'f> {
        let mut work = self.assertions.len() as u64;
        steps::note(work);
        let mut is_about = |own: AttributeId, options: Span| {
            reader.subtypes(own).contains(&attribute)
                && has_options(description, self.filter.form(options), &mut work)
        };
        let mut test = |place: usize| match *self.filter.nodes.get(place)? {
            Node::Present { attribute: own, options } => is_about(own, options).then_some(Test::Present),
            Node::Relation { attribute: own, target } if own == attribute => {
                let target = target?;
                let entry = reader.entry(target)?;
                Some(Test::Is(Cow::Borrowed(match own {
                    AttributeId::MEMBER_UID => {
                        reader.accounts().account_of_entry(target)?.username.as_bytes()
                    }
                    _ => entry.dn(),
                })))
            }
            Node::Chain { attribute: own, target } if own == attribute => {
                let target = target.filter(|target| reader.entry(*target).is_some())?;
                Some(Test::Related(target))
            }
            Node::Category(category) if attribute == AttributeId::OBJECT_CATEGORY => {
                Some(Test::Is(Cow::Owned(category?.dn(reader.tree().suffix_dn()))))
            }
            Node::Equality { attribute: own, options, .. }
            | Node::Ordering { attribute: own, options, .. }
            | Node::Substrings { attribute: own, options, .. }
            | Node::Extensible { attribute: Some(own), options, .. } => {
                is_about(own, options).then_some(Test::Element(place))
            }
            Node::Extensible { attribute: None, rule, .. } => {
                let applies = rule.applies_to(reader.schema().attribute(attribute).syntax);
                applies.then_some(Test::Element(place))
            }
            _ => None,
        };
        let tests = self.assertions.iter().filter_map(|place| test(*place)).collect();
        ValueSelector {
            filter: &self.filter,
            reader: *reader,
            attribute,
            tests,
            forms: SmallVec::new(),
            octets: Vec::new(),
            scratch: Vec::new(),
            work,
            is_exhausted: false,
        }
    }
}

impl ValueSelector<'_> {
    /// Whether a value of the attribute is returned.
    pub fn selects(&mut self, value: &[u8]) -> bool {
        self.forms.clear();
        self.octets.clear();
        (0..self.tests.len()).any(|place| self.passes(place, value))
    }

    /// What was done since the last time that this was asked, in the unit in which an evaluator counts.
    pub fn take_work(&mut self) -> u64 {
        std::mem::take(&mut self.work)
    }

    /// Whether a way from one value was too long to be gone to its end: then it is not known whether that is selected.
    pub fn is_exhausted(&self) -> bool {
        self.is_exhausted
    }

    fn passes(&mut self, place: usize, value: &[u8]) -> bool {
        self.work += 1;
        match self.tests.get(place) {
            None => false,
            Some(Test::Present) => true,
            Some(Test::Is(octets)) => value == &**octets,
            Some(Test::Related(target)) => self.is_related(*target, value),
            Some(Test::Element(place)) => self.passes_element(*place, value),
        }
    }

    fn passes_element(&mut self, place: usize, value: &[u8]) -> bool {
        let filter = self.filter;
        match filter.nodes.get(place) {
            // These two compare bits, not forms.
            Some(Node::Extensible {
                rule: rule @ (MatchingRule::BitAnd | MatchingRule::BitOr),
                form,
                ..
            }) => rule.matches(value, filter.form(*form), &mut self.scratch),
            Some(Node::Extensible { attribute, rule: MatchingRule::InChain, form, options, .. }) => {
                self.leads_to(*attribute, *options, filter.form(*form), value)
            }
            Some(Node::Equality { rule, form, .. } | Node::Extensible { rule, form, .. }) => {
                let (form, own) = (filter.form(*form), self.form_of(*rule, value));
                match rule.kind() {
                    RuleKind::Ordering => own.is_some_and(|own| *own < *form),
                    _ => own.is_some_and(|own| *own == *form),
                }
            }
            Some(Node::Ordering { rule, form, at_least, .. }) => {
                let (form, own) = (filter.form(*form), self.form_of(*rule, value));
                own.is_some_and(|own| if *at_least { *own >= *form } else { *own <= *form })
            }
            Some(Node::Substrings { rule, .. }) => {
                self.form_of(*rule, value).is_some_and(|own| has_parts(own, filter.parts(place)))
            }
            _ => false,
        }
    }

    /// Whether the entry that a membership names is the other one, or memberships lead from the group to the other, or
    /// from the other member to this one.
    fn is_related(&mut self, target: EntryId, value: &[u8]) -> bool {
        let reader = self.reader;
        let Some(form) = self.form_of(MatchingRule::InChain, value) else { return false };
        let Some(own) = reader.find_normal(form) else { return false };
        if own == target {
            return true;
        }
        let accounts = reader.accounts();
        let Some(group) = accounts.group_of_entry(own) else { return false };
        if self.attribute == AttributeId::MEMBER_OF {
            let target = accounts.group_of_entry(target);
            return target.is_some_and(|target| accounts.lead_to(&[group.number], target.number));
        }
        let Some(member) = reader.subject(target) else { return false };
        self.work += member.direct_groups().len() as u64;
        accounts.lead_to(member.direct_groups(), group.number)
    }

    /// Whether a value is the name, or a way of values leads from what it names to that.
    fn leads_to(&mut self, described: Option<AttributeId>, options: Span, form: &[u8], value: &[u8]) -> bool {
        let reader = self.reader;
        let Some(own) = self.form_of(MatchingRule::InChain, value) else { return false };
        if *own == *form {
            return true;
        }
        let Some(next) = reader.find_normal(own) else { return false };
        let Some(entry) = reader.entry(next) else { return false };
        let types = match &described {
            Some(described) => reader.subtypes(*described),
            None => slice::from_ref(&self.attribute),
        };
        let chain = Chain { types, options: self.filter.form(options), form };
        let mut allowance = WORK_WITHOUT_REST;
        let mut walk = ChainWalk::new(next);
        let found = walk.go_on(&chain, &reader, (next, entry), &mut allowance, &mut self.scratch);
        self.work += WORK_WITHOUT_REST - allowance;
        self.is_exhausted |= !found && !walk.is_done();
        found
    }

    /// The normal form of the present value.
    fn form_of(&mut self, rule: MatchingRule, value: &[u8]) -> Option<&[u8]> {
        let known = self.forms.iter().find(|(own, _)| *own == rule).map(|(_, place)| *place);
        let place = known.unwrap_or_else(|| {
            let start = self.octets.len();
            let place = rule.normalize(value, &mut self.octets).ok().map(|()| (start, self.octets.len()));
            self.work += rule.cost_of_preparing(value, self.octets.len() - start);
            self.forms.push((rule, place));
            place
        });
        let (start, end) = place?;
        self.octets.get(start..end)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::directory::filter::PartPosition;
    use crate::directory::{Snapshot, Visibility};

    fn selects(items: &[FilterItem<'_>], description: &str, value: &str) -> bool {
        let directory = Snapshot::empty();
        let everything = Visibility::Full;
        let reader = TreeReader::new(&directory, directory.nowhere(), &everything);
        let schema = reader.schema();
        let attribute = schema.find(description.split(';').next().unwrap_or_default());
        let filter = ValuesFilter::bounded(items, &reader, FilterBounds::NONE).unwrap();
        attribute.is_some_and(|attribute| {
            filter.about(attribute, description.as_bytes(), &reader).selects(value.as_bytes())
        })
    }

    #[test]
    fn one_assertion_is_enough() {
        let items = [
            FilterItem::Equality { attribute: "mail", value: b"A@example.com" },
            FilterItem::Substrings { attribute: "cn", parts: 2 },
            FilterItem::Part { kind: PartPosition::Initial, value: b"al" },
            FilterItem::Part { kind: PartPosition::Final, value: b"s" },
            FilterItem::GreaterOrEqual { attribute: "uidNumber", value: b"10" },
        ];
        for (description, value, expected) in [
            ("mail", "a@EXAMPLE.com", true),
            ("mail", "b@example.com", false),
            ("cn", "Alice Adams", true),
            ("cn", "Bob", false),
            ("cn;lang-de", "Alice Adams", true),
            ("uidNumber", "9", false),
            ("uidNumber", "010", true),
            ("uidNumber", "11", true),
            ("sn", "Alice Adams", false),
        ] {
            assert_eq!(selects(&items, description, value), expected, "{description}: {value}");
        }
    }

    #[test]
    fn subtypes_options_and_rules_alone() {
        let name = [FilterItem::Present { attribute: "name" }];
        assert!(selects(&name, "sn", "x") && !selects(&name, "mail", "x"));
        let german = [FilterItem::Present { attribute: "cn;lang-DE" }];
        assert!(selects(&german, "cn;lang-de", "x") && !selects(&german, "cn", "x"));
        let rule = [FilterItem::Extensible {
            rule: Some("caseExactMatch"),
            attribute: None,
            value: b"X",
            dn_attributes: false,
        }];
        assert!(selects(&rule, "sn", "X") && !selects(&rule, "sn", "x") && !selects(&rule, "uidNumber", "X"));
    }

    #[test]
    fn what_is_undefined_selects_nothing() {
        for item in [
            FilterItem::Present { attribute: "nonsense" },
            FilterItem::Present { attribute: "userPassword" },
            FilterItem::Equality { attribute: "uidNumber", value: b"x" },
            FilterItem::Unknown,
            FilterItem::Or { items: 0 },
        ] {
            for description in ["cn", "uidNumber", "userPassword"] {
                assert!(!selects(&[item], description, "x"), "{item:?} {description}");
            }
        }
    }
}
