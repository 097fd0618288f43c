//! Free attributes as JSON: `{"telephoneNumber": ["+1 555 0100"], "uidNumber": "7007"}`.

use serde_json::{Map, Value};

use crate::model::Attribute;
use crate::registry::ChangeError;

/// What a request says of attributes. One value may stand without a list, numbers and truths as LDAP writes them.
///
/// # Errors
/// A value is none that an entry can hold.
pub(super) fn read(given: Map<String, Value>) -> Result<Vec<Attribute>, ChangeError> {
    let mut attributes = Vec::with_capacity(given.len());
    for (description, value) in given {
        let values = match value {
            Value::Null => continue,
            Value::Array(values) => values,
            value => vec![value],
        };
        let values: Result<Vec<Vec<u8>>, ChangeError> =
            values.into_iter().map(|value| octets(&description, value)).collect();
        let values = values?;
        if !values.is_empty() {
            attributes.push(Attribute { description, values });
        }
    }
    Ok(attributes)
}

fn octets(description: &str, value: Value) -> Result<Vec<u8>, ChangeError> {
    match value {
        Value::String(text) => Ok(text.into_bytes()),
        Value::Number(number) => Ok(number.to_string().into_bytes()),
        Value::Bool(true) => Ok(b"TRUE".to_vec()),
        Value::Bool(false) => Ok(b"FALSE".to_vec()),
        Value::Object(object) => match object.get("base64").and_then(Value::as_str) {
            Some(text) if object.len() == 1 => decode(text).ok_or_else(|| {
                ChangeError::field("attributes", format!("a value of {description:?} is no base64"))
            }),
            _ => Err(unfit(description)),
        },
        Value::Null | Value::Array(_) => Err(unfit(description)),
    }
}

fn unfit(description: &str) -> ChangeError {
    ChangeError::field(
        "attributes",
        format!(
            "the attribute {description:?} has values that no entry can hold: give text, a number, a truth, or \
             {{\"base64\": \"…\"}}, or a list of those"
        ),
    )
}

/// Attributes in an answer: each a list. A value that is no text stands as `{"base64": "…"}`.
pub(super) fn write(attributes: &[Attribute]) -> Map<String, Value> {
    let value = |octets: &Vec<u8>| match std::str::from_utf8(octets) {
        Ok(text) => Value::String(text.to_owned()),
        Err(_) => Value::Object(Map::from_iter([("base64".to_owned(), Value::String(encode(octets)))])),
    };
    attributes
        .iter()
        .map(|attribute| {
            (attribute.description.clone(), Value::Array(attribute.values.iter().map(value).collect()))
        })
        .collect()
}

fn decode(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

fn encode(octets: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(octets)
}

/// Whether attributes hold all that a filter names: `{"key": value}`, compared as text.
///
/// # Errors
/// The filter is no JSON object.
pub(super) fn hold(attributes: &[Attribute], filter: &Map<String, Value>) -> Result<bool, ChangeError> {
    for (description, wanted) in filter {
        let wanted = read(Map::from_iter([(description.clone(), wanted.clone())]))?;
        let found =
            attributes.iter().find(|attribute| attribute.description.eq_ignore_ascii_case(description));
        let is_held = wanted
            .iter()
            .flat_map(|wanted| &wanted.values)
            .all(|value| found.is_some_and(|attribute| attribute.values.contains(value)));
        if !is_held {
            return Ok(false);
        }
    }
    Ok(true)
}
