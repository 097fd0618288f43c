//! Which values of an attribute are returned (RFC 3876): an OR of simple assertions, each asked of one value.

use super::evaluate::has_options;
use super::filter::{FilterItem, PartPosition};
use crate::schema::{AttributeId, MatchingRule, RuleKind, Schema};

/// Assertions made ready. What cannot be evaluated is Undefined, and selects nothing.
#[derive(Clone, Debug, Default)]
pub struct ValuesFilter {
    assertions: Vec<Assertion>,
}

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
    Matches { rule: MatchingRule, form: Vec<u8> },
    Ordered { rule: MatchingRule, form: Vec<u8>, at_least: bool },
    Parts { rule: MatchingRule, parts: Vec<(PartPosition, Vec<u8>)> },
}

impl ValuesFilter {
    /// Makes assertions ready, one behind the other as in a filter; connectives among them are ignored.
    pub fn new(items: &[FilterItem<'_>], schema: &Schema) -> Self {
        let mut assertions = Vec::new();
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
            assertions.extend(Assertion::new(item, parts, schema));
        }
        Self { assertions }
    }

    /// Whether a value of an attribute is returned; `description` is the attribute's with its options. `scratch` is
    /// overwritten.
    pub fn selects(
        &self,
        attribute: AttributeId,
        description: &[u8],
        value: &[u8],
        schema: &Schema,
        scratch: &mut Vec<u8>,
    ) -> bool {
        self.assertions.iter().any(|assertion| {
            assertion.is_about(attribute, description, schema) && assertion.test.passes(value, scratch)
        })
    }
}

impl Assertion {
    fn new(item: &FilterItem<'_>, parts: &[FilterItem<'_>], schema: &Schema) -> Option<Self> {
        let about = |description: &str| {
            let (base, options) = description.split_once(';').unwrap_or((description, ""));
            let attribute = schema.find(base)?;
            (!schema.is_secret(attribute)).then(|| (attribute, options.to_owned()))
        };
        let form = |rule: MatchingRule, value: &[u8]| {
            let mut form = Vec::new();
            rule.normalize(value, &mut form).ok().map(|()| form)
        };
        let (attribute, options, test) = match *item {
            FilterItem::Present { attribute } => {
                let (attribute, options) = about(attribute)?;
                (Some(attribute), options, Test::Present)
            }
            FilterItem::Equality { attribute, value } | FilterItem::Approximate { attribute, value } => {
                let (attribute, options) = about(attribute)?;
                let rule = schema.attribute(attribute).equality?;
                (Some(attribute), options, Test::Matches { rule, form: form(rule, value)? })
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
                let parts = parts.iter().map(|part| prepare_part(rule, part)).collect::<Option<Vec<_>>>()?;
                (Some(attribute), options, Test::Parts { rule, parts })
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
                (attribute, options, Test::Matches { rule, form: form(rule, value)? })
            }
            FilterItem::And { .. }
            | FilterItem::Or { .. }
            | FilterItem::Not { .. }
            | FilterItem::Part { .. }
            | FilterItem::Unknown => return None,
        };
        Some(Self { attribute, options, test })
    }

    fn is_about(&self, attribute: AttributeId, description: &[u8], schema: &Schema) -> bool {
        match (self.attribute, &self.test) {
            (Some(own), _) => {
                schema.subtypes(own).contains(&attribute) && has_options(description, self.options.as_bytes())
            }
            (None, Test::Matches { rule, .. }) => rule.applies_to(schema.attribute(attribute).syntax),
            (None, _) => false,
        }
    }
}

impl Test {
    fn passes(&self, value: &[u8], scratch: &mut Vec<u8>) -> bool {
        match self {
            Self::Present => true,
            Self::Matches { rule, form } => rule.matches(value, form, scratch),
            Self::Ordered { rule, form, at_least } => rule
                .compare(value, form, scratch)
                .is_some_and(|order| if *at_least { order.is_ge() } else { order.is_le() }),
            Self::Parts { rule, parts } => {
                scratch.clear();
                rule.normalize(value, scratch).is_ok() && have_order(scratch, parts)
            }
        }
    }
}

fn prepare_part(rule: MatchingRule, part: &FilterItem<'_>) -> Option<(PartPosition, Vec<u8>)> {
    let FilterItem::Part { kind, value } = *part else { return None };
    let mut form = Vec::new();
    rule.normalize_part(kind, value, &mut form).ok()?;
    Some((kind, form))
}

/// Whether the parts occur in their order, without overlapping.
fn have_order(form: &[u8], parts: &[(PartPosition, Vec<u8>)]) -> bool {
    super::evaluate::has_parts(form, parts.iter().map(|(kind, part)| (*kind, part.as_slice())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selects(items: &[FilterItem<'_>], description: &str, value: &str) -> bool {
        let schema = Schema::core();
        let attribute = schema.find(description.split(';').next().unwrap_or_default());
        let filter = ValuesFilter::new(items, &schema);
        attribute.is_some_and(|attribute| {
            let scratch = &mut Vec::new();
            filter.selects(attribute, description.as_bytes(), value.as_bytes(), &schema, scratch)
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
