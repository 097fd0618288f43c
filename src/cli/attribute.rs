//! `--attribute NAME=VALUE`: free attributes on the command line.

use serde_json::{Map, Value};

use super::failure::Failure;

use crate::quoted::quoted;

/// What is said of free attributes: `NAME=VALUE`, once for each value; `NAME=` takes the attribute away.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct AttributeArguments {
    /// A free attribute of its entry; given several times for several values. NAME= with nothing takes it away
    #[arg(long = "attribute", value_name = "NAME=VALUE")]
    attributes: Vec<String>,
}

impl AttributeArguments {
    /// All attributes as they will be: those that are named here in place of the present ones of the same name. `None`:
    /// nothing was said.
    ///
    /// # Errors
    /// One has no name.
    pub(super) fn over(&self, present: &Map<String, Value>) -> Result<Option<Map<String, Value>>, Failure> {
        if self.attributes.is_empty() {
            return Ok(None);
        }
        let mut given: Vec<(&str, Vec<Value>)> = Vec::new();
        for attribute in &self.attributes {
            let (name, value) = match attribute.split_once('=') {
                Some((name, value)) if !name.is_empty() => (name, value),
                _ => {
                    return Err(Failure::usage(format!(
                        "{attribute} is no attribute: write it as NAME=VALUE, such as telephoneNumber=+15550100",
                        attribute = quoted(attribute)
                    )));
                }
            };
            let place = match given.iter().position(|(other, _)| other.eq_ignore_ascii_case(name)) {
                Some(place) => place,
                None => {
                    given.push((name, Vec::new()));
                    given.len() - 1
                }
            };
            if let Some((_, values)) = given.get_mut(place)
                && !value.is_empty()
            {
                values.push(Value::String(value.to_owned()));
            }
        }
        let is_named = |name: &str| given.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
        let mut all: Map<String, Value> = present
            .iter()
            .filter(|(name, _)| !is_named(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        for (name, values) in given.into_iter().filter(|(_, values)| !values.is_empty()) {
            all.insert(name.to_owned(), Value::Array(values));
        }
        Ok(Some(all))
    }
}

/// Attributes for people: a line each.
pub(super) fn in_words(attributes: &Map<String, Value>) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let values = |value: &Value| match value.as_array() {
        Some(values) => values.iter().map(text).collect::<Vec<_>>().join(", "),
        None => text(value),
    };
    attributes.iter().map(|(name, value)| (name.clone(), values(value))).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn over(given: &[&str], present: &str) -> Option<String> {
        let attributes = given.iter().map(|text| (*text).to_owned()).collect();
        let present = serde_json::from_str(present).unwrap();
        let all = AttributeArguments { attributes }.over(&present).ok()?;
        Some(serde_json::to_string(&all).unwrap())
    }

    #[test]
    fn what_is_named_takes_the_place_of_what_was() {
        let present = r#"{"mobile":["1"],"uidNumber":["7"]}"#;
        assert_eq!(over(&[], present).unwrap(), "null");
        assert_eq!(
            over(&["MOBILE=2", "mobile=3"], present).unwrap(),
            r#"{"MOBILE":["2","3"],"uidNumber":["7"]}"#
        );
        assert_eq!(over(&["mobile="], present).unwrap(), r#"{"uidNumber":["7"]}"#);
        assert_eq!(over(&["mobile"], present), None);
        assert_eq!(over(&["=1"], present), None);
    }
}
