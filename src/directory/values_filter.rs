//! Which values of an attribute are returned (RFC 3876): an OR of simple assertions, each asked of one value. They are
//! made ready as elements of a filter are, and a value is selected when an entry with no other would match.

use std::slice;

use smallvec::SmallVec;

use super::chain::{Chain, ChainWalk};
use super::cost::WORK_OF_A_LOOK_UP;
use super::entry_id::EntryId;
use super::evaluate::has_parts;
use super::filter::FilterItem;
use super::options::has_options;
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

/// The assertions that are about one attribute, as values are asked of them one after the other: one is prepared once by
/// each rule, however many assertions compare it.
pub struct ValueSelector<'f> {
    values: &'f ValuesFilter,
    reader: TreeReader<'f>,
    attribute: AttributeId,
    /// The attribute's description with its options.
    description: &'f [u8],
    /// Normal forms of the present value; `None`: it has none by this rule.
    forms: SmallVec<[KnownForm; 4]>,
    octets: Vec<u8>,
    /// The entry that the present value names, once that was asked.
    named: Option<Option<EntryId>>,
    scratch: Vec<u8>,
    work: u64,
}

/// How far the choice of assertions about one attribute, and the look at one of its values, has come: both may take more
/// than one turn.
#[derive(Clone, Debug, Default)]
pub struct ValueLook {
    /// So many assertions were asked whether they are about the attribute.
    asked: usize,
    /// The places of those that are.
    chosen: Vec<usize>,
    /// Which of them the present value is asked next.
    next: usize,
    /// The way of values that this one has begun.
    walk: Option<Box<ChainWalk>>,
}

/// The rule, and where the form stands.
type KnownForm = (MatchingRule, Option<(usize, usize)>);

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

    /// How much memory they hold, with the places of those that were chosen.
    pub fn octets(&self) -> usize {
        self.filter.octets() + 2 * size_of_val(self.assertions.as_slice())
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
        description: &'f [u8],
        reader: &TreeReader<'f>,
    ) -> ValueSelector<'f> {
        ValueSelector {
            values: self,
            reader: *reader,
            attribute,
            description,
            forms: SmallVec::new(),
            octets: Vec::new(),
            named: None,
            scratch: Vec::new(),
            work: 0,
        }
    }
}

impl ValueLook {
    /// Octets that it holds beside itself and beside the places of assertions, which are counted with these.
    pub fn octets(&self) -> usize {
        self.walk.as_ref().map_or(0, |walk| walk.octets())
    }
}

impl ValueSelector<'_> {
    /// Whether a value of the attribute is returned; `None`: the allowance is used up, and the same value is to be asked
    /// about again with the same look. Something is done in any case.
    pub fn selects(&mut self, value: &[u8], look: &mut ValueLook, allowance: u64) -> Option<bool> {
        self.forms.clear();
        self.octets.clear();
        self.named = None;
        let enough = self.work.saturating_add(allowance);
        let values = self.values;
        for place in values.assertions.get(look.asked..).unwrap_or_default() {
            if self.work >= enough {
                return None;
            }
            look.asked += 1;
            self.work += 1;
            steps::note(1);
            if self.is_about(*place) {
                look.chosen.push(*place);
            }
        }
        while let Some(place) = look.chosen.get(look.next) {
            if self.work >= enough {
                return None;
            }
            self.work += 1;
            let is_selected = self.passes(*place, value, &mut look.walk, enough)?;
            look.walk = None;
            if is_selected {
                look.next = 0;
                return Some(true);
            }
            look.next += 1;
        }
        look.next = 0;
        Some(false)
    }

    /// What was done since the last time that this was asked, in the unit in which an evaluator counts.
    pub fn take_work(&mut self) -> u64 {
        std::mem::take(&mut self.work)
    }

    /// Whether an assertion is about the attribute.
    fn is_about(&mut self, place: usize) -> bool {
        let (filter, reader, attribute) = (&self.values.filter, self.reader, self.attribute);
        let Some(node) = filter.nodes.get(place) else { return false };
        match *node {
            Node::Relation { attribute: own, target } | Node::Chain { attribute: own, target } => {
                own == attribute && target.is_some_and(|target| reader.stored(target).is_some())
            }
            Node::Category(category) => category.is_some() && attribute == AttributeId::OBJECT_CATEGORY,
            Node::Present { attribute: own, options }
            | Node::Equality { attribute: own, options, .. }
            | Node::Ordering { attribute: own, options, .. }
            | Node::Substrings { attribute: own, options, .. }
            | Node::Extensible { attribute: Some(own), options, .. } => {
                reader.subtypes(own).contains(&attribute)
                    && has_options(self.description, filter.form(options), &mut self.work)
            }
            Node::Extensible { attribute: None, rule, .. } => {
                rule.applies_to(reader.schema().attribute(attribute).syntax)
            }
            _ => false,
        }
    }

    /// `None`: the way of values that is asked for is longer than what may be done now.
    fn passes(
        &mut self,
        place: usize,
        value: &[u8],
        walk: &mut Option<Box<ChainWalk>>,
        enough: u64,
    ) -> Option<bool> {
        let filter = &self.values.filter;
        Some(match filter.nodes.get(place) {
            Some(Node::Present { .. }) => true,
            Some(Node::Relation { attribute, target: Some(target) }) => {
                self.is_named(*attribute, *target, value)
            }
            Some(Node::Chain { target: Some(target), .. }) => self.is_related(*target, value),
            Some(Node::Category(Some(category))) => *category.dn(self.reader.tree().suffix_dn()) == *value,
            // These two compare bits, not forms.
            Some(Node::Extensible {
                rule: rule @ (MatchingRule::BitAnd | MatchingRule::BitOr),
                form,
                ..
            }) => rule.matches(value, filter.form(*form), &mut self.scratch),
            Some(Node::Extensible { attribute, rule: MatchingRule::InChain, form, options, .. }) => {
                return self.leads_to(*attribute, *options, filter.form(*form), value, walk, enough);
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
        })
    }

    /// Whether a membership is one of the other entry.
    fn is_named(&self, attribute: AttributeId, target: EntryId, value: &[u8]) -> bool {
        match attribute {
            AttributeId::MEMBER_UID => self
                .reader
                .accounts()
                .account_of_entry(target)
                .is_some_and(|account| account.username.as_bytes() == value),
            _ => self.reader.stored(target).is_some_and(|entry| entry.dn() == value),
        }
    }

    /// Whether the entry that a membership names is the other one, or memberships lead from the group to the other, or
    /// from the other member to this one.
    fn is_related(&mut self, target: EntryId, value: &[u8]) -> bool {
        let Some(own) = self.entry_named(value) else { return false };
        if own == target {
            return true;
        }
        let reader = self.reader;
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

    /// Whether a value is the name, or a way of values leads from what it names to that; `None`: that way is not yet at its
    /// end.
    fn leads_to(
        &mut self,
        described: Option<AttributeId>,
        options: Span,
        form: &[u8],
        value: &[u8],
        walk: &mut Option<Box<ChainWalk>>,
        enough: u64,
    ) -> Option<bool> {
        let reader = self.reader;
        match self.form_of(MatchingRule::InChain, value) {
            None => return Some(false),
            Some(own) if *own == *form => return Some(true),
            Some(_) => {}
        }
        let Some(next) = self.entry_named(value) else { return Some(false) };
        let Some(entry) = reader.entry(next) else { return Some(false) };
        let types = match &described {
            Some(described) => reader.subtypes(*described),
            None => slice::from_ref(&self.attribute),
        };
        let chain = Chain { types, options: self.values.filter.form(options), form };
        let walk = walk.get_or_insert_with(|| Box::new(ChainWalk::new(next)));
        let allowance = enough.saturating_sub(self.work).max(1);
        let mut left = allowance;
        let found = walk.go_on(&chain, &reader, (next, &entry), &mut left, &mut self.scratch);
        self.work += allowance - left;
        (found || walk.is_done()).then_some(found)
    }

    /// The entry that the present value names, if it may be seen.
    fn entry_named(&mut self, value: &[u8]) -> Option<EntryId> {
        if let Some(named) = self.named {
            return named;
        }
        let reader = self.reader;
        let named = self.form_of(MatchingRule::InChain, value).and_then(|form| reader.find_normal(form));
        self.work += WORK_OF_A_LOOK_UP;
        self.named = Some(named);
        named
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
            let mut selector = filter.about(attribute, description.as_bytes(), &reader);
            let selects = selector.selects(value.as_bytes(), &mut ValueLook::default(), u64::MAX).unwrap();
            // In the smallest pieces it is the same.
            let mut look = ValueLook::default();
            let pieces = std::iter::repeat_with(|| selector.selects(value.as_bytes(), &mut look, 1));
            assert_eq!(pieces.flatten().next(), Some(selects));
            selects
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
