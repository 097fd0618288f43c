//! Values in requests and answers: points in time, fields that may be absent.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

use crate::model::Timestamp;

/// A point in time, RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(pub Timestamp);

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

/// Reads a field that may be `null`, so that `Some(None)` tells it from one that is absent. It needs
/// `#[serde(default)]` beside it.
pub(super) fn given<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

/// A request of which some fields must be there, where all may be absent in a change.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Required<T>(pub(super) T);

/// What must be there when an object is made or changed as a whole.
pub(super) trait RequiredFields {
    /// The names of the fields.
    const REQUIRED: &'static [&'static str];

    /// The first of them that is absent.
    fn missing(&self) -> Option<&'static str>;
}

impl<'de, T: Deserialize<'de> + RequiredFields> Deserialize<'de> for Required<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = T::deserialize(deserializer)?;
        match value.missing() {
            None => Ok(Self(value)),
            Some(name) => Err(serde::de::Error::missing_field(name)),
        }
    }
}

impl<T: JsonSchema + RequiredFields> JsonSchema for Required<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name().trim_start_matches("Patched").to_owned().into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = T::json_schema(generator);
        schema.insert("required".to_owned(), T::REQUIRED.into());
        schema
    }
}

/// Something that is empty in authentik's answers, such as the completions of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Empty {}
