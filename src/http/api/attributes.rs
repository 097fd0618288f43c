//! Free attributes as JSON: `{"telephoneNumber": ["+1 555 0100"], "uidNumber": "7007"}`.

use std::collections::BTreeSet;

use serde_json::{Map, Number, Value};

use super::refusal::CallRefusal;
use crate::model::{Attribute, AttributeForm, ValueKind};
use crate::quoted::quoted;
use crate::registry::ChangeError;

/// What a request says of attributes, and how: one value may stand without a list, numbers and truths are kept as LDAP
/// writes them.
///
/// # Errors
/// A value is none that an entry can hold, or there is none.
pub(super) fn read(given: Map<String, Value>) -> Result<(Vec<Attribute>, Vec<AttributeForm>), ChangeError> {
    let (mut attributes, mut forms) = (Vec::with_capacity(given.len()), Vec::new());
    for (description, value) in given {
        let (values, is_one) = match value {
            Value::Array(values) => (values, false),
            value => (vec![value], true),
        };
        let read: Result<Vec<(Vec<u8>, ValueKind)>, ChangeError> =
            values.into_iter().map(|value| octets(&description, value)).collect();
        let (values, mut kinds): (Vec<Vec<u8>>, Vec<ValueKind>) = read?.into_iter().unzip();
        if values.is_empty() {
            return Err(unfit(&description));
        }
        if kinds.iter().all(|kind| *kind == ValueKind::Text) {
            kinds.clear();
        }
        if is_one || !kinds.is_empty() {
            forms.push(AttributeForm { description: description.clone(), is_one, kinds });
        }
        attributes.push(Attribute { description, values });
    }
    Ok((attributes, forms))
}

fn octets(description: &str, value: Value) -> Result<(Vec<u8>, ValueKind), ChangeError> {
    match value {
        Value::String(text) => Ok((text.into_bytes(), ValueKind::Text)),
        Value::Number(number) => Ok((number.to_string().into_bytes(), ValueKind::Number)),
        Value::Bool(true) => Ok((TRUE.to_vec(), ValueKind::Truth)),
        Value::Bool(false) => Ok((FALSE.to_vec(), ValueKind::Truth)),
        Value::Object(object) => match object.get("base64").and_then(Value::as_str) {
            Some(text) if object.len() == 1 => {
                let octets = decode(text).ok_or_else(|| {
                    ChangeError::field(
                        "attributes",
                        format!("a value of {description} is no base64", description = quoted(description)),
                    )
                })?;
                Ok((octets, ValueKind::Base64))
            }
            _ => Err(unfit(description)),
        },
        Value::Null | Value::Array(_) => Err(unfit(description)),
    }
}

fn unfit(description: &str) -> ChangeError {
    ChangeError::field(
        "attributes",
        format!(
            "the attribute {description} has values that no entry can hold, or none: give text, a number, a truth, or \
             {{\"base64\": \"…\"}}, or a list of those; leave out what has no value",
            description = quoted(description)
        ),
    )
}

/// Attributes in an answer: in the form in which they were given, else each a list. A value that is no text stands as
/// `{"base64": "…"}`.
pub(super) fn write(attributes: &[Attribute], forms: &[AttributeForm]) -> Map<String, Value> {
    let shown = attributes.iter().map(|Attribute { description, values }| {
        let form = forms.iter().find(|form| form.description == *description);
        let kind = |index| form.and_then(|form| form.kinds.get(index)).copied();
        let mut shown: Vec<Value> = values
            .iter()
            .enumerate()
            .map(|(index, octets)| value(octets, kind(index).unwrap_or(ValueKind::Text)))
            .collect();
        let shown = match (form, shown.len()) {
            (Some(AttributeForm { is_one: true, .. }), 1) => shown.remove(0),
            _ => Value::Array(shown),
        };
        (description.clone(), shown)
    });
    shown.collect()
}

/// Octets of memory that [`write`] takes for these, about.
pub(super) fn octets_as_json(attributes: &[Attribute]) -> usize {
    let value = |value: &Vec<u8>| VALUE_OCTETS + value.len() + value.len() / 2;
    let of = |attribute: &Attribute| VALUE_OCTETS + attribute.values.iter().map(value).sum::<usize>();
    attributes.iter().map(of).sum()
}

/// A value that has become another since it was given stands as what it is.
fn value(octets: &[u8], kind: ValueKind) -> Value {
    let text = std::str::from_utf8(octets).ok();
    let known = match kind {
        ValueKind::Text | ValueKind::Base64 => None,
        ValueKind::Number => text.and_then(|text| text.parse::<Number>().ok()).map(Value::Number),
        ValueKind::Truth if octets == TRUE => Some(Value::Bool(true)),
        ValueKind::Truth if octets == FALSE => Some(Value::Bool(false)),
        ValueKind::Truth => None,
    };
    match (known, text) {
        (Some(known), _) => known,
        (None, Some(text)) if kind != ValueKind::Base64 => Value::String(text.to_owned()),
        _ => Value::Object(Map::from_iter([("base64".to_owned(), Value::String(encode(octets)))])),
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

fn encode(octets: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(octets)
}

/// What a list asks of attributes: `{"key": value}`, compared as text. Read once, and asked of each object.
#[derive(Debug)]
pub(super) struct AttributesFilter(Vec<(String, BTreeSet<Vec<u8>>)>);

impl AttributesFilter {
    /// What a parameter says of them; `None`: nothing.
    ///
    /// # Errors
    /// It is no JSON object, there is a value that no entry can hold, or too much is asked for: each value is looked for in
    /// each object.
    pub(super) fn read(text: Option<&str>) -> Result<Option<Self>, CallRefusal> {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
        let given = serde_json::from_str::<Map<String, Value>>(text);
        let given = given.map_err(|_| CallRefusal::field(FIELD, "expected a JSON object, as text"))?;
        let (wanted, _) = read(given)?;
        let wanted: Vec<(String, BTreeSet<Vec<u8>>)> = wanted
            .into_iter()
            .map(|attribute| (attribute.description, attribute.values.into_iter().collect()))
            .collect();
        let count: usize = wanted.iter().map(|(_, values)| values.len()).sum();
        if count > WANTED_MAX {
            let message = format!("there are {count} values: ask for {WANTED_MAX} at most");
            return Err(CallRefusal::field(FIELD, message));
        }
        Ok(Some(Self(wanted)))
    }

    /// Whether attributes hold all that is asked for.
    pub(super) fn is_held_by(&self, attributes: &[Attribute]) -> bool {
        self.0.iter().all(|(description, wanted)| {
            let found = attributes.iter().find(|held| held.description.eq_ignore_ascii_case(description));
            found.is_some_and(|held| wanted.iter().all(|value| held.values.contains(value)))
        })
    }
}

/// Values that a list is asked for at a time.
/// No limit of the config: nobody asks for more.
const WANTED_MAX: usize = 100;
/// Of one value, beside what it says.
const VALUE_OCTETS: usize = 64;
const FIELD: &str = "attributes";
const TRUE: &[u8] = b"TRUE";
const FALSE: &[u8] = b"FALSE";

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn given(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn what_is_accepted_is_what_is_read_back() {
        for value in [
            json!({ "a": "one" }),
            json!({ "a": ["one"] }),
            json!({ "a": ["one", "two"], "b": 7007, "c": true, "d": false, "e": -1.5 }),
            json!({ "a": ["1", 2, true, { "base64": "AP8=" }, { "base64": "dGV4dA==" }] }),
            json!({ "a": { "base64": "AP8=" }, "b": "TRUE", "c": "12" }),
        ] {
            let (attributes, forms) = read(given(value.clone())).unwrap();
            assert_eq!(Value::Object(write(&attributes, &forms)), value);
        }
        for value in
            [json!({ "a": null }), json!({ "a": [] }), json!({ "a": [null] }), json!({ "a": { "b": 1 } })]
        {
            assert!(read(given(value)).is_err());
        }
    }

    #[test]
    fn a_form_that_fits_no_more_is_none() {
        let (_, forms) = read(given(json!({ "a": 5, "b": true }))).unwrap();
        let other = [("a", vec!["x", "y"]), ("b", vec!["maybe"])].map(|(description, values)| Attribute {
            description: description.to_owned(),
            values: values.into_iter().map(|value| value.as_bytes().to_vec()).collect(),
        });
        assert_eq!(Value::Object(write(&other, &forms)), json!({ "a": ["x", "y"], "b": "maybe" }));
        assert_eq!(Value::Object(write(&other, &[])), json!({ "a": ["x", "y"], "b": ["maybe"] }));
    }
}
