//! The order of sorted results (RFC 2891): from an entry to octets that compare as the order says.

use super::entry::Entry;
use super::entry_id::EntryId;
use super::evaluator::Evaluator;
use super::prepared::{FilterBounds, FilterTooLarge};
use super::reader::TreeReader;
use super::value_cursor::{Met, ValueCursor};
use crate::schema::{AttributeId, MatchingRule, RuleKind, Schema};

/// One key of an order: an attribute by an ordering rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SortKey {
    attribute: AttributeId,
    rule: MatchingRule,
    reverse: bool,
}

/// An order of entries: by the first key, then by the others, then by id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortKeys(Vec<SortKey>);

/// How far it is found what an entry is sorted by: it may have more values than are looked at in one turn.
#[derive(Debug, Default)]
pub struct OrderOfEntry {
    /// Which key is next.
    key: usize,
    is_begun: bool,
    cursor: ValueCursor,
    /// Of the values so far.
    least: Option<Vec<u8>>,
}

/// What there is in one turn to find with what entries are sorted by.
pub struct OrderTurn<'t, 'a> {
    /// Who reads the entries.
    pub reader: &'t TreeReader<'a>,
    /// Where the work is counted.
    pub evaluator: &'t mut Evaluator,
    /// When so much is done in all, others have their turn.
    pub enough: u64,
}

impl OrderTurn<'_, '_> {
    /// Whether enough is done.
    pub fn is_over(&self) -> bool {
        self.evaluator.work() >= self.enough
    }
}

/// Why results cannot be sorted so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SortFault {
    /// The attribute is not known.
    #[error("the attribute is not known")]
    Attribute,
    /// The rule is not known, orders nothing, or does not fit the attribute; or the attribute has none.
    #[error("the attribute cannot be ordered by that rule")]
    Rule,
    /// The attribute stands twice in the order.
    #[error("the attribute stands twice in the order")]
    Twice,
}

impl SortKey {
    /// The key for an attribute, by its own ordering rule or by the one that is named.
    ///
    /// # Errors
    /// [`SortFault`].
    pub fn new(
        attribute: &str,
        rule: Option<&str>,
        reverse: bool,
        schema: &Schema,
    ) -> Result<Self, SortFault> {
        // Values with options are of the attribute too: an order by `cn;lang-de` is one by all of `cn`.
        let base = attribute.split(';').next().unwrap_or_default();
        let id = schema.find(base).filter(|id| !schema.is_secret(*id)).ok_or(SortFault::Attribute)?;
        let attribute = schema.attribute(id);
        let rule = match rule {
            None => attribute.ordering_rule(),
            Some(name) => {
                let named = MatchingRule::find(name).ok_or(SortFault::Rule)?;
                let ordering = match named.kind() {
                    RuleKind::Ordering => Some(named),
                    // Active Directory's clients name the equality rule.
                    RuleKind::Equality => named.ordering_of(),
                    RuleKind::Substrings => None,
                };
                ordering.filter(|rule| rule.applies_to(attribute.syntax))
            }
        };
        Ok(Self { attribute: id, rule: rule.ok_or(SortFault::Rule)?, reverse })
    }

    /// Finds the least of the values that the entry has for this key, until so much is done in all; says whether all were
    /// looked at.
    fn find_least(
        &self,
        found: &mut OrderOfEntry,
        (id, entry): (EntryId, &Entry),
        turn: &mut OrderTurn<'_, '_>,
    ) -> bool {
        let reader = turn.reader;
        let types = reader.subtypes(self.attribute);
        if !std::mem::replace(&mut found.is_begun, true) {
            let cost = |attribute: &AttributeId| reader.cost_of_values(id, entry, *attribute);
            turn.evaluator.add_work(WORK_OF_A_KEY + types.iter().map(cost).sum::<u64>());
        }
        let (cursor, least) = (&mut found.cursor, &mut found.least);
        let mut form = Vec::new();
        cursor.go_on(reader, (id, entry), types, &[], &mut |met| {
            let mut work = 1;
            if let Met::Value(value) = met {
                form.clear();
                let is_valid = self.rule.normalize(value, &mut form).is_ok();
                work += self.rule.cost_of_preparing(value, form.len());
                match least {
                    _ if !is_valid => {}
                    None => *least = Some(std::mem::take(&mut form)),
                    Some(least) if form < *least => std::mem::swap(least, &mut form),
                    Some(_) => {}
                }
            }
            turn.evaluator.add_work(work);
            !turn.is_over()
        })
    }

    /// Octets that compare as the forms do, whatever stands behind them.
    fn append_form(&self, form: Option<&[u8]>, out: &mut Vec<u8>) {
        let start = out.len();
        match form {
            Some(form) => {
                out.push(HAS_VALUE);
                for piece in form.split_inclusive(|octet| *octet == 0) {
                    out.extend_from_slice(piece);
                    if piece.ends_with(&[0]) {
                        out.push(0xff);
                    }
                }
                out.extend([0, 0]);
            }
            None => out.push(HAS_NONE),
        }
        if self.reverse {
            out.iter_mut().skip(start).for_each(|octet| *octet = !*octet);
        }
    }
}

impl SortKeys {
    /// The order by these keys.
    ///
    /// # Errors
    /// [`SortFault::Twice`], with the place of the key.
    pub fn new(keys: Vec<SortKey>) -> Result<Self, (usize, SortFault)> {
        let is_twice = |place: &usize| {
            let attribute = keys.get(*place).map(|key| key.attribute);
            keys.iter().take(*place).any(|other| Some(other.attribute) == attribute)
        };
        match (0..keys.len()).find(is_twice) {
            Some(place) => Err((place, SortFault::Twice)),
            None => Ok(Self(keys)),
        }
    }

    /// Appends octets that compare among entries as the order says; entries with the same octets are ordered by id. Of each
    /// key that is the least of the entry's values, or, without one, more than any value (RFC 2891 section 2.2). Goes on
    /// from where `found` is until all of it is appended (`true`) or the turn is over; something is done in any case.
    pub fn append(
        &self,
        found: &mut OrderOfEntry,
        own: (EntryId, &Entry),
        out: &mut Vec<u8>,
        turn: &mut OrderTurn<'_, '_>,
    ) -> bool {
        while let Some(key) = self.0.get(found.key) {
            if !key.find_least(found, own, turn) {
                return false;
            }
            key.append_form(found.least.as_deref(), out);
            *found = OrderOfEntry { key: found.key + 1, ..OrderOfEntry::default() };
        }
        true
    }

    /// Where an assertion value stands in the order, as octets that compare with [`SortKeys::append`]'s: behind all
    /// entries that come before every entry with that value. `None`: it is not of the syntax of the first key, or too long.
    /// `work` grows by what it costs to prepare it, in the unit in which an evaluator counts.
    ///
    /// # Errors
    /// [`FilterTooLarge`], as of the value in a filter.
    pub fn assertion(
        &self,
        value: &[u8],
        bounds: FilterBounds,
        work: &mut u64,
    ) -> Result<Option<Vec<u8>>, FilterTooLarge> {
        let Some(first) = self.0.first() else { return Ok(None) };
        if value.len() > bounds.value_octets_max {
            return Ok(None);
        }
        let Some(octets_max) = bounds.form_octets_max(first.rule, value) else {
            return Err(FilterTooLarge::Work { work: first.rule.cost_of_preparing(value, 0) });
        };
        let mut form = Vec::new();
        let is_sound = first.rule.normalize_within(value, octets_max, &mut form).is_ok();
        let cost = first.rule.cost_of_preparing(value, form.len());
        bounds.check(form.len(), cost)?;
        *work += cost;
        if !is_sound {
            return Ok(None);
        }
        let mut out = Vec::new();
        first.append_form(Some(&form), &mut out);
        Ok(Some(out))
    }
}

/// What a key costs beside the values that are looked at.
const WORK_OF_A_KEY: u64 = 4;
const HAS_VALUE: u8 = 1;
const HAS_NONE: u8 = 2;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(attribute: &str, reverse: bool) -> SortKey {
        SortKey::new(attribute, None, reverse, &Schema::core()).unwrap()
    }

    proptest! {
        #![proptest_config(crate::rounds::cases(256))]
        #[test]
        fn octets_compare_as_the_forms_do(
            a in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..4)),
            b in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..4)),
            behind_a: Vec<u8>,
            behind_b: Vec<u8>,
            reverse: bool,
        ) {
            let key = key("cn", reverse);
            let octets = |form: &Option<Vec<u8>>, behind: &[u8]| {
                let mut out = Vec::new();
                key.append_form(form.as_deref(), &mut out);
                out.extend_from_slice(behind);
                out
            };
            // No value is more than every value.
            let expected = match (&a, &b) {
                (None, None) => std::cmp::Ordering::Equal,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(_), None) => std::cmp::Ordering::Less,
                (Some(a), Some(b)) => a.cmp(b),
            };
            let expected = if reverse { expected.reverse() } else { expected };
            let found = octets(&a, &behind_a).cmp(&octets(&b, &behind_b));
            if expected.is_eq() {
                prop_assert_eq!(found, behind_a.cmp(&behind_b));
            } else {
                prop_assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn rules_must_order_and_fit() {
        let schema = Schema::core();
        for (attribute, rule, expected) in [
            ("cn", None, Ok(MatchingRule::CaseIgnoreOrdering)),
            ("CN;lang-de", Some("2.5.13.6"), Ok(MatchingRule::CaseExactOrdering)),
            ("cn", Some("caseIgnoreMatch"), Ok(MatchingRule::CaseIgnoreOrdering)),
            ("uidNumber", None, Ok(MatchingRule::IntegerOrdering)),
            ("modifyTimestamp", None, Ok(MatchingRule::GeneralizedTimeOrdering)),
            ("nonsense", None, Err(SortFault::Attribute)),
            ("userPassword", None, Err(SortFault::Attribute)),
            ("cn", Some("integerOrderingMatch"), Err(SortFault::Rule)),
            ("cn", Some("caseIgnoreSubstringsMatch"), Err(SortFault::Rule)),
            ("cn", Some("nonsense"), Err(SortFault::Rule)),
            ("member", None, Err(SortFault::Rule)),
        ] {
            let found = SortKey::new(attribute, rule, false, &schema).map(|key| key.rule);
            assert_eq!(found, expected, "{attribute} {rule:?}");
        }
    }

    #[test]
    fn an_attribute_stands_once() {
        let twice = SortKeys::new(vec![key("cn", false), key("sn", false), key("cn", true)]);
        assert_eq!(twice, Err((2, SortFault::Twice)));
        assert!(SortKeys::new(vec![key("cn", false), key("sn", false)]).is_ok());
    }
}
