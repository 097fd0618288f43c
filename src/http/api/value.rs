//! Values in requests and answers: points in time, fields that may be absent.

use std::borrow::Cow;

use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

use super::fields::{NETWORK_FORMAT, OR_NULL};
use crate::model::{DateMeans, Timestamp, read_network};
use crate::secret::Secret;

/// A point in time. A date is read as its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(pub Timestamp);

/// A point in time at which something ends. A date is read as its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct EndTime(pub Timestamp);

/// A network of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Network(pub IpNet);

impl<'de> Deserialize<'de> for EndTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Timestamp::read(&text, DateMeans::End).map(Self).map_err(serde::de::Error::custom)
    }
}

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

impl JsonSchema for EndTime {
    fn schema_name() -> Cow<'static, str> {
        "EndTime".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Time::json_schema(generator)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        read_network(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Network {
    fn schema_name() -> Cow<'static, str> {
        "Network".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": NETWORK_FORMAT })
    }
}

/// A text that is one of a few words.
pub(super) fn one_of(words: &[&str]) -> Schema {
    json_schema!({ "type": "string", "enum": words })
}

/// Says in the schema of a request's field that `null` means something there, or is what authentik's clients send for
/// nothing; elsewhere it is refused.
pub(super) fn or_null(schema: &mut Schema) {
    schema.insert(OR_NULL.to_owned(), true.into());
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

/// A request of which some fields must be there, where all may be absent in a change. That they are is asked where it is
/// read.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(transparent)]
pub(super) struct Required<T>(pub(super) T);

/// What must be there when an object is made or changed as a whole.
pub(super) trait RequiredFields {
    /// The names of the fields.
    const REQUIRED: &'static [&'static str];
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

/// A secret in an answer: those that may be shown are text.
pub(super) fn secret_text(secret: &Secret) -> String {
    String::from_utf8_lossy(secret.expose()).into_owned()
}

/// Something that is empty in authentik's answers, such as the completions of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Empty {}
