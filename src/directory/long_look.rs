//! The evaluation of a filter with an entry in pieces: what has too many values to be looked at in one turn.

use smallvec::SmallVec;

use super::chain::{Chain, ChainWalk};
use super::cost::{spend, spend_on};
use super::evaluate::{Evaluation, passes};
use super::prepared::{Node, Span, Truth};
use super::value_cursor::{Met, ValueCursor};
use crate::schema::{AttributeId, MatchingRule, steps};

/// An evaluation, as far as it has come: connectives that are open, and the place in the values of the element that it
/// is at.
#[derive(Clone, Debug, Default)]
pub struct LongLook {
    /// The element that comes next.
    next: usize,
    open: SmallVec<[Open; 4]>,
    leaf: Leaf,
    /// What was looked at.
    pub(super) work: u64,
}

/// A connective of which some operands are evaluated.
#[derive(Clone, Debug)]
struct Open {
    kind: Connective,
    /// The element behind its operands.
    end: usize,
    /// What its operands say so far.
    truth: Truth,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Connective {
    And,
    Or,
    Not,
}

/// An element that is begun.
#[derive(Clone, Debug, Default)]
struct Leaf {
    /// Of an assertion without a type: which attribute of the entry.
    attribute: usize,
    cursor: ValueCursor,
    chain: Option<Box<ChainWalk>>,
}

impl LongLook {
    /// Octets that it holds; a way of values holds the more the longer it is.
    pub fn octets(&self) -> usize {
        let open = if self.open.spilled() { size_of::<Open>() * self.open.capacity() } else { 0 };
        size_of::<Self>() + open + self.leaf.chain.as_ref().map_or(0, |chain| chain.octets())
    }

    /// Goes on until the outcome is known (`Some`) or the allowance is used up. Something is looked at in any case.
    pub(super) fn go_on(&mut self, evaluation: &mut Evaluation<'_>) -> Option<Truth> {
        let filter = evaluation.filter;
        loop {
            let place = self.next;
            let connective = match filter.nodes.get(place) {
                Some(Node::And { items }) => Some((Connective::And, *items, Truth::True)),
                Some(Node::Or { items }) => Some((Connective::Or, *items, Truth::False)),
                Some(Node::Not { items }) => Some((Connective::Not, *items, Truth::Undefined)),
                _ => None,
            };
            let truth = match connective {
                Some((kind, items, truth)) if items > 0 => {
                    evaluation.allowance = evaluation.allowance.saturating_sub(1);
                    self.open.push(Open { kind, end: place + 1 + items as usize, truth });
                    self.next += 1;
                    continue;
                }
                Some((_, _, truth)) => truth,
                None => self.leaf(place, evaluation)?,
            };
            self.next = filter.behind(place);
            self.leaf = Leaf::default();
            if let Some(truth) = self.close(truth) {
                return Some(truth);
            }
            if evaluation.allowance == 0 {
                return None;
            }
        }
    }

    /// Takes the truth of an operand up into the connectives around it; gives that of the whole filter, once it is known.
    fn close(&mut self, mut truth: Truth) -> Option<Truth> {
        while let Some(open) = self.open.last_mut() {
            let is_decided = match (open.kind, truth) {
                (Connective::Not, _) => {
                    truth = truth.inverted();
                    true
                }
                (Connective::And, Truth::False) | (Connective::Or, Truth::True) => true,
                (_, Truth::Undefined) => {
                    open.truth = Truth::Undefined;
                    false
                }
                _ => false,
            };
            if !is_decided {
                if self.next < open.end {
                    return None;
                }
                truth = open.truth;
            }
            self.next = open.end;
            self.open.pop();
        }
        Some(truth)
    }

    /// Goes on with an element that is no connective; `None`: the allowance is used up.
    fn leaf(&mut self, place: usize, evaluation: &mut Evaluation<'_>) -> Option<Truth> {
        let (filter, reader) = (evaluation.filter, evaluation.reader);
        let (attribute, options, rule, form) = match filter.nodes.get(place) {
            Some(
                Node::Equality { attribute, options, rule, .. }
                | Node::Ordering { attribute, options, rule, .. }
                | Node::Substrings { attribute, options, rule, .. },
            ) => (Some(*attribute), *options, *rule, Span::EMPTY),
            Some(Node::Present { attribute, options }) => {
                (Some(*attribute), *options, MatchingRule::OctetString, Span::EMPTY)
            }
            Some(Node::Extensible { attribute, options, rule, form, .. }) => {
                (*attribute, *options, *rule, *form)
            }
            // The others look at no values.
            _ => return Some(evaluation.in_one_piece(|evaluation| evaluation.node(place))),
        };
        let assertion = Assertion { place, rule, form: filter.form(form), options: filter.form(options) };
        let found = match attribute {
            Some(attribute) => self.leaf.some_of(reader.subtypes(attribute), &assertion, evaluation)?,
            None => self.leaf.some_attribute(&assertion, evaluation)?,
        };
        let is_true = found || evaluation.in_one_piece(|evaluation| evaluation.is_in_name(place));
        Some(if is_true { Truth::True } else { Truth::False })
    }
}

/// An element that is asked of values.
struct Assertion<'f> {
    place: usize,
    rule: MatchingRule,
    /// The name that the in-chain rule is to lead to.
    form: &'f [u8],
    options: &'f [u8],
}

impl Leaf {
    /// Whether some value of these types passes; `None`: the allowance is used up.
    fn some_of(
        &mut self,
        types: &[AttributeId],
        assertion: &Assertion<'_>,
        evaluation: &mut Evaluation<'_>,
    ) -> Option<bool> {
        let (reader, own) = (evaluation.reader, (evaluation.id, evaluation.entry));
        let Assertion { place, rule, form, options } = *assertion;
        let (allowance, scratch) = (&mut evaluation.allowance, &mut *evaluation.scratch);
        if rule == MatchingRule::InChain {
            let walk = self.chain.get_or_insert_with(|| Box::new(ChainWalk::new(own.0)));
            let found = walk.go_on(&Chain { types, options, form }, reader, own, allowance, scratch);
            return (found || walk.is_done()).then_some(found);
        }
        let costs = types.iter().map(|attribute| reader.cost_of_values(own.0, own.1, *attribute));
        *allowance = allowance.saturating_sub(costs.sum());
        let (filter, mut found) = (evaluation.filter, false);
        let is_done = self.cursor.go_on(reader, own, types, options, &mut |met| match met {
            Met::Value(value) => {
                found = passes(filter, place, value, scratch);
                spend_on(allowance, rule.cost(), value) && !found
            }
            Met::Nothing => spend(allowance, rule.cost()),
            Met::Options(work) => spend(allowance, work),
        });
        (found || is_done).then_some(found)
    }

    /// The same of all attributes that a rule applies to.
    fn some_attribute(&mut self, assertion: &Assertion<'_>, evaluation: &mut Evaluation<'_>) -> Option<bool> {
        let (reader, entry) = (evaluation.reader, evaluation.entry);
        evaluation.allowance = evaluation.allowance.saturating_sub(entry.cost_of_table());
        let stored = entry.attributes().map(|stored| stored.id);
        for attribute in stored.chain(reader.computed_attributes()).skip(self.attribute) {
            let is_meant = assertion.rule.applies_to(reader.schema().attribute(attribute).syntax);
            if is_meant && self.some_of(&[attribute], assertion, evaluation)? {
                return Some(true);
            }
            *self = Self { attribute: self.attribute + 1, ..Self::default() };
            steps::note(1);
            if !spend(&mut evaluation.allowance, 1) {
                return None;
            }
        }
        Some(false)
    }
}

#[cfg(test)]
use super::{Entry, EntryId, PreparedFilter, TreeReader};

#[cfg(test)]
impl LongLook {
    /// All of it, in pieces of so much work.
    pub(super) fn whole(
        piece: u64,
        filter: &PreparedFilter,
        reader: &TreeReader<'_>,
        id: EntryId,
        entry: &Entry,
    ) -> Truth {
        let mut long = Self::default();
        let mut scratch = Vec::new();
        loop {
            let mut evaluation =
                Evaluation { filter, reader, id, entry, scratch: &mut scratch, name: None, allowance: piece };
            if let Some(truth) = long.go_on(&mut evaluation) {
                return truth;
            }
            assert_eq!(evaluation.allowance, 0, "it rests when it must");
        }
    }
}
