//! Which values of an attribute are returned (RFC 3876): an OR of simple assertions, each asked of one value.

use smallvec::SmallVec;

use super::evaluate::has_options;
use super::filter::{FilterItem, PartPosition};
use super::prepared::{FilterBounds, FilterTooLarge, is_relation, member_named};
use super::reader::Reader;
use crate::schema::{AttributeId, MatchingRule, RuleKind};

/// Assertions made ready. What cannot be evaluated is Undefined, and selects nothing.
#[derive(Clone, Debug, Default)]
pub struct ValuesFilter {
    assertions: Vec<Assertion>,
    /// Octets of all that values are compared with.
    octets: usize,
    /// What it has cost to make them ready.
    work: u64,
}

/// Those of the assertions that are about one attribute, and the values that they are asked about: one is prepared once
/// by each rule, however many assertions compare it.
#[derive(Debug)]
pub struct ValueSelector<'f> {
    tests: Vec<&'f Test>,
    /// Normal forms of the present value; `None`: it has none by this rule.
    forms: SmallVec<[KnownForm; 4]>,
    octets: Vec<u8>,
    work: u64,
}

/// The rule, and where the form stands.
type KnownForm = (MatchingRule, Option<(usize, usize)>);

#[derive(Clone, Debug)]
struct Assertion {
    /// `None`: every attribute that the rule applies to.
    attribute: Option<AttributeId>,
    /// Options that the description must have, `a;b`.
    options: String,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    Present,
    /// A membership, which names an entry by these octets.
    Names(Vec<u8>),
    Matches {
        rule: MatchingRule,
        form: Vec<u8>,
    },
    Ordered {
        rule: MatchingRule,
        form: Vec<u8>,
        at_least: bool,
    },
    Parts {
        rule: MatchingRule,
        parts: Vec<(PartPosition, Vec<u8>)>,
    },
}

impl ValuesFilter {
    /// Makes assertions ready, one behind the other as in a filter; connectives among them are ignored.
    ///
    /// # Errors
    /// [`FilterTooLarge`] when the prepared values have more octets than they may.
    pub fn bounded(
        items: &[FilterItem<'_>],
        reader: &Reader<'_>,
        bounds: FilterBounds,
    ) -> Result<Self, FilterTooLarge> {
        let mut filter = Self::default();
        let mut rest = items;
        while let Some((item, behind)) = rest.split_first() {
            rest = behind;
            let parts = match item {
                FilterItem::Substrings { parts, .. } => {
                    let (parts, behind) = rest.split_at_checked(*parts as usize).unwrap_or((rest, &[]));
                    rest = behind;
                    parts
                }
                _ => &[],
            };
            let assertion = filter.assertion(item, parts, reader, bounds);
            filter.assertions.extend(assertion);
            if filter.octets > bounds.octets_max {
                return Err(FilterTooLarge { max: bounds.octets_max });
            }
        }
        Ok(filter)
    }

    /// What it has cost to make them ready, in the unit in which an evaluator counts.
    pub fn work(&self) -> u64 {
        self.work
    }

    /// How much memory they hold.
    pub fn octets(&self) -> usize {
        self.octets + self.assertions.len() * size_of::<Assertion>()
    }

    /// How many assertions there are.
    pub fn len(&self) -> usize {
        self.assertions.len()
    }

    /// Those that are about an attribute; `description` is the attribute's with its options.
    pub fn about(
        &self,
        attribute: AttributeId,
        description: &[u8],
        reader: &Reader<'_>,
    ) -> ValueSelector<'_> {
        let about = self.assertions.iter().filter(|one| one.is_about(attribute, description, reader));
        let tests = about.map(|assertion| &assertion.test).collect();
        let work = self.assertions.len() as u64;
        ValueSelector { tests, forms: SmallVec::new(), octets: Vec::new(), work }
    }

    fn form(
        &mut self,
        value: &[u8],
        rule: MatchingRule,
        bounds: FilterBounds,
        normalize: impl FnOnce(usize, &mut Vec<u8>) -> bool,
    ) -> Option<Vec<u8>> {
        let left = bounds.octets_max.checked_sub(self.octets)?;
        let mut form = Vec::new();
        let is_sound = bounds.takes(rule, value) && normalize(left, &mut form);
        self.octets += form.len();
        self.work += rule.cost_of_preparing(value, form.len());
        (is_sound && form.len() <= left).then_some(form)
    }

    fn assertion(
        &mut self,
        item: &FilterItem<'_>,
        parts: &[FilterItem<'_>],
        reader: &Reader<'_>,
        bounds: FilterBounds,
    ) -> Option<Assertion> {
        let schema = reader.schema();
        let about = |description: &str| {
            let (base, options) = description.split_once(';').unwrap_or((description, ""));
            let attribute = schema.find(base)?;
            (!schema.is_secret(attribute)).then(|| (attribute, options.to_owned()))
        };
        let mut form = |rule: MatchingRule, value: &[u8]| {
            self.form(value, rule, bounds, |left, form| rule.normalize_within(value, left, form).is_ok())
        };
        let (attribute, options, test) = match *item {
            FilterItem::Present { attribute } => {
                let (attribute, options) = about(attribute)?;
                (Some(attribute), options, Test::Present)
            }
            FilterItem::Equality { attribute, value } | FilterItem::Approximate { attribute, value } => {
                let (attribute, options) = about(attribute)?;
                let rule = schema.attribute(attribute).equality?;
                let form = form(rule, value)?;
                (Some(attribute), options, Test::equality(Some(attribute), rule, value, form, reader)?)
            }
            FilterItem::GreaterOrEqual { attribute, value }
            | FilterItem::LessOrEqual { attribute, value } => {
                let (attribute, options) = about(attribute)?;
                let rule = schema.attribute(attribute).ordering_rule()?;
                let at_least = matches!(item, FilterItem::GreaterOrEqual { .. });
                (Some(attribute), options, Test::Ordered { rule, form: form(rule, value)?, at_least })
            }
            FilterItem::Substrings { attribute, .. } => {
                let (attribute, options) = about(attribute)?;
                let rule = schema.attribute(attribute).substrings_rule()?;
                let parts = parts.iter().map(|part| self.part(rule, part, bounds));
                (Some(attribute), options, Test::Parts { rule, parts: parts.collect::<Option<Vec<_>>>()? })
            }
            FilterItem::Extensible { rule, attribute, value, .. } => {
                let described = match attribute {
                    Some(attribute) => Some(about(attribute)?),
                    None => None,
                };
                let rule = match (rule, &described) {
                    (Some(name), _) => MatchingRule::find(name)?,
                    (None, Some((attribute, _))) => schema.attribute(*attribute).equality?,
                    (None, None) => return None,
                };
                let fits = described
                    .as_ref()
                    .is_none_or(|(attribute, _)| rule.applies_to(schema.attribute(*attribute).syntax));
                if rule.kind() == RuleKind::Substrings || !fits {
                    return None;
                }
                let (attribute, options) = described
                    .map_or((None, String::new()), |(attribute, options)| (Some(attribute), options));
                let form = form(rule, value)?;
                (attribute, options, Test::equality(attribute, rule, value, form, reader)?)
            }
            FilterItem::And { .. }
            | FilterItem::Or { .. }
            | FilterItem::Not { .. }
            | FilterItem::Part { .. }
            | FilterItem::Unknown => return None,
        };
        Some(Assertion { attribute, options, test })
    }

    fn part(
        &mut self,
        rule: MatchingRule,
        part: &FilterItem<'_>,
        bounds: FilterBounds,
    ) -> Option<(PartPosition, Vec<u8>)> {
        let FilterItem::Part { kind, value } = *part else { return None };
        let form = self
            .form(value, rule, bounds, |left, form| rule.normalize_part(kind, value, left, form).is_ok())?;
        Some((kind, form))
    }
}

impl Assertion {
    fn is_about(&self, attribute: AttributeId, description: &[u8], reader: &Reader<'_>) -> bool {
        match (self.attribute, &self.test) {
            (Some(own), _) => {
                reader.subtypes(own).contains(&attribute) && has_options(description, self.options.as_bytes())
            }
            (None, Test::Matches { rule, .. }) => {
                rule.applies_to(reader.schema().attribute(attribute).syntax)
            }
            (None, _) => false,
        }
    }
}

impl Test {
    /// The assertion that a value is this one. Of a membership the entry is found once, as in a filter; `None`: it is
    /// not there or may not be seen.
    fn equality(
        attribute: Option<AttributeId>,
        rule: MatchingRule,
        value: &[u8],
        form: Vec<u8>,
        reader: &Reader<'_>,
    ) -> Option<Self> {
        let own_rule = attribute.and_then(|attribute| reader.schema().attribute(attribute).equality);
        match attribute {
            Some(attribute) if is_relation(attribute) => {
                let entry = reader.entry(reader.find(value)?)?;
                Some(Self::Names(entry.dn().to_vec()))
            }
            Some(AttributeId::MEMBER_UID) if own_rule == Some(rule) => {
                let account = reader.accounts().account_of_entry(member_named(rule, &form, reader)?)?;
                Some(Self::Names(account.username.as_bytes().to_vec()))
            }
            _ => Some(Self::Matches { rule, form }),
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

    fn passes(&mut self, place: usize, value: &[u8]) -> bool {
        self.work += 1;
        let Some(test) = self.tests.get(place).copied() else { return false };
        match test {
            Test::Present => true,
            Test::Names(octets) => value == octets,
            // These two compare bits, not forms.
            Test::Matches { rule: rule @ (MatchingRule::BitAnd | MatchingRule::BitOr), form } => {
                rule.matches(value, form, &mut Vec::new())
            }
            Test::Matches { rule, form } => {
                let own = self.form_of(*rule, value);
                match rule.kind() {
                    RuleKind::Ordering => own.is_some_and(|own| *own < **form),
                    _ => own.is_some_and(|own| *own == **form),
                }
            }
            Test::Ordered { rule, form, at_least } => self
                .form_of(*rule, value)
                .is_some_and(|own| if *at_least { *own >= **form } else { *own <= **form }),
            Test::Parts { rule, parts } => self.form_of(*rule, value).is_some_and(|own| {
                super::evaluate::has_parts(own, parts.iter().map(|(kind, part)| (*kind, part.as_slice())))
            }),
        }
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
    use crate::directory::{Snapshot, Visibility};

    fn selects(items: &[FilterItem<'_>], description: &str, value: &str) -> bool {
        let directory = Snapshot::empty();
        let everything = Visibility::Full;
        let reader = Reader::new(&directory, directory.nowhere(), &everything);
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
