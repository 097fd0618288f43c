//! A filter made ready for one tree: names looked up, assertion values normalised, DNs of members
//! found. Done once for a search, so that nothing of it is done for each entry.

use std::ops::Range;

use smallvec::SmallVec;

use super::accounts::name_key;
use super::category::Category;
use super::entry_id::EntryId;
use super::filter::{FilterItem, PartPosition};
use super::options::wanted_options;
use super::reader::TreeReader;
use crate::schema::{AttributeId, MatchingRule, RuleKind, is_keystring};

/// The outcome of a filter (RFC 4511 section 4.5.1.7: three-valued logic).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// The entry matches.
    True,
    /// It does not.
    False,
    /// Nothing can be said; inverted it stays so.
    Undefined,
}

impl Truth {
    /// What NOT makes of it.
    pub(super) fn inverted(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::Undefined => Self::Undefined,
        }
    }
}

/// A filter made ready for one tree and one reader.
#[derive(Clone, Debug)]
pub struct PreparedFilter {
    pub(super) nodes: SmallVec<[Node; 6]>,
    octets: Vec<u8>,
    /// The options that were read last.
    options: Span,
    bounds: FilterBounds,
    /// What it has cost to make it ready.
    work: u64,
    /// Whether a value was too long to be looked at.
    has_long_value: bool,
    /// The place of the last element that is no part of a substring assertion.
    head: usize,
}

/// How much of the values of a filter is made ready.
#[derive(Clone, Copy, Debug)]
pub struct FilterBounds {
    /// Octets of all of them, prepared for comparison.
    pub octets_max: usize,
    /// Octets of one of them as it was sent.
    pub value_octets_max: usize,
    /// What it may cost to make all of them ready, in the unit in which an evaluator counts.
    pub work_max: u64,
}

impl FilterBounds {
    /// All of it.
    pub const NONE: Self = Self { octets_max: usize::MAX, value_octets_max: usize::MAX, work_max: u64::MAX };

    /// What is left of them when so many octets were made ready, at such a cost.
    pub(super) fn behind(self, octets: usize, work: u64) -> Self {
        Self {
            octets_max: self.octets_max.saturating_sub(octets),
            work_max: self.work_max.saturating_sub(work),
            ..self
        }
    }

    /// How many octets a value may become; `None`: to make it ready costs more than it may, whatever it becomes.
    pub(super) fn form_octets_max(self, rule: MatchingRule, value: &[u8]) -> Option<usize> {
        let cost = rule.cost_of_preparing(value, 0);
        if cost > self.work_max {
            return None;
        }
        // Plain text costs little, and becomes no longer than it is.
        let is_plain = cost < value.len() as u64;
        let work_max =
            if is_plain { usize::MAX } else { usize::try_from(self.work_max).unwrap_or(usize::MAX) };
        Some(self.octets_max.min(work_max))
    }

    /// Whether so many octets, made ready at such a cost, are within them.
    ///
    /// # Errors
    /// [`FilterTooLarge`].
    pub(super) fn check(self, octets: usize, work: u64) -> Result<(), FilterTooLarge> {
        if octets > self.octets_max {
            return Err(FilterTooLarge::Octets { max: self.octets_max, work });
        }
        if work > self.work_max {
            return Err(FilterTooLarge::Work { work });
        }
        Ok(())
    }

    /// Whether an assertion value is short enough to be prepared. Octets need no preparation; a text or a name that is
    /// longer is Undefined, as preparing it could cost a hundred times what it costs to send.
    pub(super) fn takes(&self, rule: MatchingRule, value: &[u8]) -> bool {
        value.len() <= self.value_octets_max
            || matches!(rule, MatchingRule::OctetString | MatchingRule::OctetStringOrdering)
    }
}

/// A request is more than may be made ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterTooLarge {
    #[error(
        "the assertion values of the filter have more than {max} octets when they are prepared for comparison"
    )]
    Octets {
        /// How many they may have.
        max: usize,
        /// What has been done until then.
        work: u64,
    },
    #[error(
        "to read the attribute list and to prepare all assertion values takes more work than one request may"
    )]
    Work {
        /// What has been done until then.
        work: u64,
    },
}

/// One element, in prefix order like [`FilterItem`].
#[derive(Clone, Debug)]
pub(super) enum Node {
    And {
        items: u32,
    },
    Or {
        items: u32,
    },
    Not {
        items: u32,
    },
    Constant(Truth),
    Equality {
        attribute: AttributeId,
        rule: MatchingRule,
        form: Span,
        options: Span,
    },
    Ordering {
        attribute: AttributeId,
        rule: MatchingRule,
        form: Span,
        options: Span,
        at_least: bool,
    },
    Substrings {
        attribute: AttributeId,
        rule: MatchingRule,
        parts: u32,
        options: Span,
    },
    Part {
        kind: PartPosition,
        form: Span,
    },
    Present {
        attribute: AttributeId,
        options: Span,
    },
    /// A membership attribute names an entry: `None`, one that is not there or may not be seen.
    Relation {
        attribute: AttributeId,
        target: Option<EntryId>,
    },
    /// The same over any number of memberships.
    Chain {
        attribute: AttributeId,
        target: Option<EntryId>,
    },
    /// objectCategory is said by the name of a class: `None`, one that no entry is of.
    Category(Option<Category>),
    Extensible {
        attribute: Option<AttributeId>,
        rule: MatchingRule,
        form: Span,
        dn_attributes: bool,
        options: Span,
    },
}

/// Where octets stand in the filter's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    pub(super) const EMPTY: Span = Span { start: 0, end: 0 };

    pub(super) fn is_empty(self) -> bool {
        self.start == self.end
    }
}

impl PreparedFilter {
    /// Octets that it holds beside itself.
    pub fn octets(&self) -> usize {
        let nodes = if self.nodes.spilled() { self.nodes.capacity() * size_of::<Node>() } else { 0 };
        nodes + self.octets.capacity()
    }

    /// Makes a filter ready. What cannot be evaluated (an unknown attribute or rule, a value of
    /// the wrong syntax) becomes Undefined in its place.
    pub fn new(items: &[FilterItem<'_>], reader: &TreeReader<'_>) -> Self {
        let mut filter = Self::empty(FilterBounds::NONE);
        for item in items {
            filter.push(item, reader);
        }
        filter
    }

    fn empty(bounds: FilterBounds) -> Self {
        let (nodes, octets) = (SmallVec::new(), Vec::new());
        let options = Span::EMPTY;
        Self { nodes, octets, options, bounds, work: 0, has_long_value: false, head: 0 }
    }

    /// What it has cost to make it ready, in the unit in which an evaluator counts.
    pub fn work(&self) -> u64 {
        self.work
    }

    /// Whether a value was longer than it may be, and so Undefined.
    pub fn has_long_value(&self) -> bool {
        self.has_long_value
    }

    /// The same, but stops when the prepared values have more octets than they may: a code point may become eighteen.
    ///
    /// # Errors
    /// [`FilterTooLarge`].
    pub fn bounded(
        items: &[FilterItem<'_>],
        reader: &TreeReader<'_>,
        bounds: FilterBounds,
    ) -> Result<Self, FilterTooLarge> {
        let mut filter = Self::empty(bounds);
        for item in items {
            filter.push(item, reader);
            bounds.check(filter.octets.len(), filter.work)?;
        }
        Ok(filter)
    }

    fn push(&mut self, item: &FilterItem<'_>, reader: &TreeReader<'_>) {
        self.work += 1;
        let node = self.node(item, reader);
        if !is_part(&node) {
            self.head = self.nodes.len();
        }
        self.nodes.push(node);
    }

    /// The octets of a span.
    pub(super) fn form(&self, span: Span) -> &[u8] {
        self.octets.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// The operands of a connective: for each the range of its nodes. `first` is the node behind
    /// the connective.
    pub(super) fn operands(&self, first: usize, items: u32) -> Operands<'_> {
        Operands { filter: self, next: first, end: first + items as usize }
    }

    /// The parts of a substring assertion.
    pub(super) fn parts(&self, place: usize) -> impl Iterator<Item = (PartPosition, &[u8])> + Clone {
        self.nodes[place + 1..].iter().map_while(|node| match node {
            Node::Part { kind, form } => Some((*kind, self.form(*form))),
            _ => None,
        })
    }

    /// The place behind an element and all that belongs to it.
    pub(super) fn behind(&self, place: usize) -> usize {
        let below = match self.nodes.get(place) {
            Some(Node::And { items } | Node::Or { items } | Node::Not { items }) => *items as usize,
            Some(Node::Substrings { parts, .. }) => *parts as usize,
            // The parts of an assertion that is Undefined.
            Some(Node::Constant(_)) => {
                self.nodes[place + 1..].iter().take_while(|node| is_part(node)).count()
            }
            _ => 0,
        };
        place + 1 + below
    }

    fn node(&mut self, item: &FilterItem<'_>, reader: &TreeReader<'_>) -> Node {
        match *item {
            FilterItem::And { items } => Node::And { items },
            FilterItem::Or { items } => Node::Or { items },
            FilterItem::Not { items } => Node::Not { items },
            FilterItem::Equality { attribute, value } | FilterItem::Approximate { attribute, value } => {
                self.equality(attribute, value, reader)
            }
            FilterItem::Substrings { attribute, parts } => self.substrings(attribute, parts, reader),
            // The parts follow their assertion, which knows the rule.
            FilterItem::Part { kind, value } => self.part(kind, value),
            FilterItem::GreaterOrEqual { attribute, value } => self.ordering(attribute, value, true, reader),
            FilterItem::LessOrEqual { attribute, value } => self.ordering(attribute, value, false, reader),
            FilterItem::Present { attribute } => match self.attribute(attribute, reader) {
                Some((attribute, options)) => Node::Present { attribute, options },
                None => UNDEFINED,
            },
            FilterItem::Extensible { rule, attribute, value, dn_attributes } => {
                self.extensible(rule, attribute, value, dn_attributes, reader)
            }
            FilterItem::Unknown => UNDEFINED,
        }
    }

    fn equality(&mut self, description: &str, value: &[u8], reader: &TreeReader<'_>) -> Node {
        let Some((attribute, options)) = self.attribute(description, reader) else { return UNDEFINED };
        if attribute == AttributeId::OBJECT_CATEGORY
            && options.is_empty()
            && reader.has_compatibility_attributes()
            && is_keystring(value)
        {
            return Node::Category(Category::of_class(value));
        }
        let attribute_type = reader.schema().attribute(attribute);
        let Some(rule) = attribute_type.equality else { return UNDEFINED };
        if !MatchingRule::is_assertion(attribute_type.syntax, value) {
            return UNDEFINED;
        }
        match self.normalize(rule, value) {
            Some(form) => self
                .relation(attribute, rule, value, form, options, reader)
                .unwrap_or(Node::Equality { attribute, rule, form, options }),
            None => UNDEFINED,
        }
    }

    /// The assertion as one about the relation of accounts and groups, where it is one: so a group
    /// with a million members is asked for one of them, not for all.
    fn relation(
        &mut self,
        attribute: AttributeId,
        rule: MatchingRule,
        value: &[u8],
        form: Span,
        options: Span,
        reader: &TreeReader<'_>,
    ) -> Option<Node> {
        let is_name_of_member = attribute == AttributeId::MEMBER_UID
            && Some(rule) == reader.schema().attribute(attribute).equality;
        if !is_relation(attribute) && !is_name_of_member {
            return None;
        }
        let target = match (options.is_empty(), is_name_of_member) {
            // Nothing that is computed has an option.
            (false, _) => None,
            (true, true) => self.member_named(rule, form, reader),
            (true, false) => {
                let normal = match rule {
                    MatchingRule::DistinguishedName | MatchingRule::InChain => Some(self.form(form)),
                    _ => None,
                };
                let found = match normal {
                    Some(normal) => reader.find_target(value, normal),
                    None => reader.find(value),
                };
                // A name that is nobody's is read once more, as one of another spelling.
                self.work += match (normal, found) {
                    (Some(_), Some(_)) => rule.cost(),
                    _ => rule.cost() + rule.cost_of_preparing(value, 0),
                };
                found
            }
        };
        Some(match rule {
            MatchingRule::InChain => Node::Chain { attribute, target },
            _ => Node::Relation { attribute, target },
        })
    }

    /// The account of exactly this name, if it may be seen.
    fn member_named(&self, rule: MatchingRule, form: Span, reader: &TreeReader<'_>) -> Option<EntryId> {
        member_named(rule, self.form(form), reader)
    }

    fn ordering(&mut self, description: &str, value: &[u8], at_least: bool, reader: &TreeReader<'_>) -> Node {
        let Some((attribute, options)) = self.attribute(description, reader) else { return UNDEFINED };
        let attribute_type = reader.schema().attribute(attribute);
        let Some(rule) = attribute_type.ordering_rule() else { return UNDEFINED };
        if !MatchingRule::is_assertion(attribute_type.syntax, value) {
            return UNDEFINED;
        }
        match self.normalize(rule, value) {
            Some(form) => Node::Ordering { attribute, rule, form, options, at_least },
            None => UNDEFINED,
        }
    }

    fn substrings(&mut self, description: &str, parts: u32, reader: &TreeReader<'_>) -> Node {
        let Some((attribute, options)) = self.attribute(description, reader) else { return UNDEFINED };
        match reader.schema().attribute(attribute).substrings_rule() {
            Some(rule) => Node::Substrings { attribute, rule, parts, options },
            None => UNDEFINED,
        }
    }

    /// A part takes its rule from the assertion before it; where that one is Undefined, or the part
    /// cannot occur in any value, the assertion becomes (or stays) Undefined and the part is inert.
    fn part(&mut self, kind: PartPosition, value: &[u8]) -> Node {
        let Some(Node::Substrings { rule, .. }) = self.nodes.get(self.head) else { return INERT };
        let rule = *rule;
        let start = self.octets.len();
        if let Some(octets_max) = self.form_octets_max(rule, value) {
            let is_sound = rule.normalize_part(kind, value, octets_max, &mut self.octets).is_ok();
            self.work += rule.cost_of_preparing(value, self.octets.len() - start);
            if is_sound {
                return Node::Part { kind, form: self.span(start..self.octets.len()) };
            }
        }
        if let Some(head) = self.nodes.get_mut(self.head) {
            *head = UNDEFINED;
        }
        INERT
    }

    fn extensible(
        &mut self,
        rule: Option<&str>,
        description: Option<&str>,
        value: &[u8],
        dn_attributes: bool,
        reader: &TreeReader<'_>,
    ) -> Node {
        let described = match description {
            Some(description) => match self.attribute(description, reader) {
                Some(described) => Some(described),
                None => return UNDEFINED,
            },
            None => None,
        };
        let (attribute, options) =
            described.map_or((None, Span::EMPTY), |(attribute, options)| (Some(attribute), options));
        let rule = match (rule, attribute) {
            (Some(name), _) => {
                self.work += WORK_OF_A_RULE;
                MatchingRule::find(name)
            }
            (None, Some(attribute)) => reader.schema().attribute(attribute).equality,
            (None, None) => None,
        };
        let Some(rule) = rule else { return UNDEFINED };
        if rule.kind() == RuleKind::Substrings
            || attribute
                .is_some_and(|attribute| !rule.applies_to(reader.schema().attribute(attribute).syntax))
        {
            return UNDEFINED;
        }
        let syntax =
            attribute.map_or_else(|| rule.syntax(), |attribute| reader.schema().attribute(attribute).syntax);
        if !MatchingRule::is_assertion(syntax, value) {
            return UNDEFINED;
        }
        let Some(form) = self.normalize(rule, value) else { return UNDEFINED };
        attribute
            .and_then(|attribute| self.relation(attribute, rule, value, form, options, reader))
            .unwrap_or(Node::Extensible { attribute, rule, form, dn_attributes, options })
    }

    /// Looks an attribute description up; keeps its options as they are compared.
    fn attribute(&mut self, description: &str, reader: &TreeReader<'_>) -> Option<(AttributeId, Span)> {
        let (base, options) = match description.split_once(';') {
            Some((base, options)) => (base, Some(options)),
            None => (description, None),
        };
        let attribute = reader.schema().find(base)?;
        if reader.schema().attribute(attribute).secret {
            return None;
        }
        let options = match options {
            Some(options) => self.options(options)?,
            None => Span::EMPTY,
        };
        Some((attribute, options))
    }

    /// Keeps options as they are compared; the same of one assertion after the other are read once.
    fn options(&mut self, options: &str) -> Option<Span> {
        if !self.options.is_empty() && self.form(self.options) == options.as_bytes() {
            self.work += options.len() as u64 / OCTETS_OF_ONE_WORK;
            return Some(self.options);
        }
        let options = wanted_options(options, &mut self.work)?;
        let start = self.octets.len();
        self.octets.extend_from_slice(options.as_bytes());
        self.options = self.span(start..self.octets.len());
        Some(self.options)
    }

    fn normalize(&mut self, rule: MatchingRule, value: &[u8]) -> Option<Span> {
        let octets_max = self.form_octets_max(rule, value)?;
        let start = self.octets.len();
        let is_sound = rule.normalize_within(value, octets_max, &mut self.octets).is_ok();
        self.work += rule.cost_of_preparing(value, self.octets.len() - start);
        (is_sound && self.octets.len() <= self.bounds.octets_max).then(|| self.span(start..self.octets.len()))
    }

    /// How many octets a value may become; `None`: it is not made ready. If that is because of what it costs, that cost
    /// is counted, with which the whole filter is too much.
    fn form_octets_max(&mut self, rule: MatchingRule, value: &[u8]) -> Option<usize> {
        if !self.bounds.takes(rule, value) {
            self.has_long_value = true;
            return None;
        }
        let octets_max = self.bounds.behind(self.octets.len(), self.work).form_octets_max(rule, value);
        if octets_max.is_none() {
            self.work += rule.cost_of_preparing(value, 0);
        }
        octets_max
    }

    fn span(&self, range: Range<usize>) -> Span {
        // A message is far below 4 GiB, and a normal form at most some times as long as its value.
        Span { start: range.start as u32, end: range.end as u32 }
    }
}

/// The operands of a connective, one after the other: each is the place of its first node.
pub(super) struct Operands<'a> {
    filter: &'a PreparedFilter,
    next: usize,
    end: usize,
}

impl Iterator for Operands<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let place = self.next;
        if place >= self.end || place >= self.filter.nodes.len() {
            return None;
        }
        self.next = self.filter.behind(place);
        Some(place)
    }
}

/// The account of exactly this name, if it may be seen.
pub(super) fn member_named(rule: MatchingRule, form: &[u8], reader: &TreeReader<'_>) -> Option<EntryId> {
    let id = reader.find_username(&name_key(std::str::from_utf8(form).ok()?))?;
    let account = reader.accounts().account_of_entry(id)?;
    rule.matches(account.username.as_bytes(), form, &mut Vec::new()).then_some(id)
}

fn is_part(node: &Node) -> bool {
    matches!(node, Node::Part { .. })
}

/// Whether the values of the attribute are the relation of accounts and groups.
pub(super) fn is_relation(attribute: AttributeId) -> bool {
    matches!(attribute, AttributeId::MEMBER | AttributeId::UNIQUE_MEMBER | AttributeId::MEMBER_OF)
}

/// So many octets of options cost as much to know again as to look at a short value.
const OCTETS_OF_ONE_WORK: u64 = 64;
/// What it costs to find a rule by its name.
const WORK_OF_A_RULE: u64 = 5;
const UNDEFINED: Node = Node::Constant(Truth::Undefined);
/// A part of an assertion that is Undefined.
const INERT: Node = Node::Part { kind: PartPosition::Any, form: Span::EMPTY };
