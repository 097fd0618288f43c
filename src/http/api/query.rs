//! The query of a request: the page that is asked for, and the filters of the resource.

use std::collections::BTreeSet;

use schemars::{JsonSchema, SchemaGenerator};
use serde::de::DeserializeOwned;

use super::page::PageQuery;
use super::refusal::Refusal;

/// Reads the filters and the page out of a query. A filter that the resource does not have is an error: whoever is
/// not told would take the whole list for the filtered one.
///
/// # Errors
/// A key is unknown, or a value is not what it takes.
pub(super) fn read<Q>(query: &str, is_list: bool) -> Result<(Q, PageQuery), Refusal>
where
    Q: DeserializeOwned + JsonSchema,
{
    let pairs: Vec<(String, String)> = parse(query)?;
    let mut known = names::<Q>();
    if is_list {
        known.extend(names::<PageQuery>());
    }
    if let Some((unknown, _)) = pairs.iter().find(|(name, _)| !known.contains(name)) {
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(Refusal::field(
            unknown.clone(),
            format!("there is no such parameter; there are: {known}"),
        ));
    }
    let page = if is_list { parse(query)? } else { PageQuery::default() };
    Ok((parse(query)?, page))
}

fn parse<T: DeserializeOwned>(query: &str) -> Result<T, Refusal> {
    serde_html_form::from_str(query)
        .map_err(|error| Refusal::invalid(format!("the query cannot be read: {error}")))
}

/// The names of the parameters.
pub(super) fn names<Q: JsonSchema>() -> BTreeSet<String> {
    let schema = SchemaGenerator::default().into_root_schema_for::<Q>();
    let properties = schema.get("properties").and_then(|properties| properties.as_object());
    properties.map(|properties| properties.keys().cloned().collect()).unwrap_or_default()
}
