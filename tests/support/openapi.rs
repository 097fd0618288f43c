//! The OpenAPI document of a server, read: its operations, their parameters, and what its references lead to.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// An operation of the document.
#[derive(Clone)]
pub struct Operation {
    pub method: String,
    pub path: String,
    pub value: Value,
}

impl Operation {
    /// The parameters of a place (`path`, `query`), with their schemas.
    pub fn parameters(&self, place: &str) -> Vec<(&str, &Value)> {
        let parameters = self.value["parameters"].as_array().unwrap().iter();
        let of_place = parameters.filter(|parameter| parameter["in"] == place);
        of_place.map(|parameter| (parameter["name"].as_str().unwrap(), &parameter["schema"])).collect()
    }

    /// The names of the parameters of a place.
    pub fn names(&self, place: &str) -> BTreeSet<&str> {
        self.parameters(place).into_iter().map(|(name, _)| name).collect()
    }

    /// The schema of the body that it takes.
    pub fn body(&self, document: &Value) -> Option<Map<String, Value>> {
        let schema = self.value.pointer("/requestBody/content/application~1json/schema")?;
        Some(resolved(document, schema).as_object().unwrap().clone())
    }
}

impl std::fmt::Display for Operation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.method, self.path)
    }
}

/// Every operation of a document.
pub fn operations(document: &Value) -> Vec<Operation> {
    let paths = document["paths"].as_object().unwrap().iter();
    let operations = paths.flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(|(method, value)| Operation {
            method: method.to_uppercase(),
            path: path.clone(),
            value: value.clone(),
        })
    });
    operations.collect()
}

/// A schema, or what it refers to.
pub fn resolved(document: &Value, schema: &Value) -> Value {
    match schema["$ref"].as_str() {
        Some(reference) => target(document, reference).unwrap_or_else(|| panic!("{reference}")).clone(),
        None => schema.clone(),
    }
}

/// What a reference leads to.
pub fn target<'a>(document: &'a Value, reference: &str) -> Option<&'a Value> {
    document.pointer(reference.strip_prefix('#')?)
}
