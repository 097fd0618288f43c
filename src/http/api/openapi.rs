//! The OpenAPI document, made from the table and the types of its handlers.

use std::collections::BTreeSet;

use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::PREFIX;
use super::fields::{ORDERING, as_request};
use super::page::PageQuery;
use super::refusal::CallRefusal;
use super::route::{Needs, Route};
use super::statuses::{self, Calls};

/// `GET /api/v3/schema/`
pub(super) async fn answer(document: Bytes, query: Option<String>) -> Response {
    let query: Vec<(String, String)> =
        query.and_then(|query| serde_html_form::from_str(&query).ok()).unwrap_or_default();
    if query.iter().any(|(name, format)| name == "format" && format != "json") {
        return CallRefusal::field("format", "the document is JSON: say json, or leave it out")
            .into_response();
    }
    ([(CONTENT_TYPE, "application/json")], document).into_response()
}

/// The document as it is answered: written once, as anybody may ask for it.
pub(super) fn written(routes: &[Route]) -> Bytes {
    document(routes).to_string().into()
}

/// The document (OpenAPI 3.1) of these routes.
pub(super) fn document(routes: &[Route]) -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    for route in routes {
        let operation = operation(route, &mut generator);
        let path = format!("{PREFIX}{}", route.path);
        let item = paths.entry(path).or_insert_with(|| Value::Object(Map::new()));
        if let Some(item) = item.as_object_mut() {
            item.insert(route.method.as_str().to_ascii_lowercase(), operation);
        }
    }
    // Several operations may take the same.
    let bodies: BTreeSet<String> = routes
        .iter()
        .filter_map(|route| referred(&body(route, &mut generator)?).map(str::to_owned))
        .collect();
    let mut schemas = generator.take_definitions(true);
    for name in bodies {
        if let Some(schema) = schemas.get_mut(&name) {
            as_request(schema);
        }
    }
    schemas.insert("GenericError".to_owned(), generic_error());
    schemas.insert("ValidationError".to_owned(), validation_error());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "bindery",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The account model of bindery, shaped like authentik's API.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": statuses::answers(),
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
    })
}

fn operation(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let mut operation = Map::new();
    operation.insert("operationId".to_owned(), operation_id(route).into());
    operation.insert("summary".to_owned(), route.about.into());
    operation.insert("tags".to_owned(), json!([tag(route.path)]));
    let mut parameters: Vec<Value> = names_in(route.path)
        .map(|name| json!({ "in": "path", "name": name, "required": true, "schema": { "type": "string" } }))
        .collect();
    if let Some(query) = route.query {
        parameters.extend(query_parameters(query(generator).to_value(), generator));
    }
    if route.is_list {
        let page = PageQuery::json_schema(generator).to_value();
        let page = query_parameters(page, generator).into_iter();
        parameters.extend(page.filter(|parameter| parameter["name"] != ORDERING));
    }
    if !route.orderings.is_empty() {
        parameters.push(ordering(route.orderings));
    }
    operation.insert("parameters".to_owned(), parameters.into());
    if let Some(schema) = body(route, generator) {
        let body = json!({ "required": true, "content": { "application/json": { "schema": schema } } });
        operation.insert("requestBody".to_owned(), body);
    }
    let passed_over: Vec<&str> = route.passed_over().collect();
    if !passed_over.is_empty() {
        // Of who sends back an object as it was read.
        operation.insert("x-passed-over".to_owned(), passed_over.into());
    }
    operation.insert("responses".to_owned(), responses(route, generator));
    let (security, permissions): (Value, Vec<String>) = match route.needs {
        Needs::Nothing => (json!([{}]), Vec::new()),
        Needs::Credential => (json!([{ "token": [] }]), Vec::new()),
        Needs::All(permissions) => {
            (json!([{ "token": [] }]), permissions.iter().map(ToString::to_string).collect())
        }
    };
    operation.insert("security".to_owned(), security);
    if !permissions.is_empty() {
        let sentence = format!("Needs {}.", permissions.join(", "));
        operation.insert("description".to_owned(), sentence.into());
        operation.insert("x-permissions".to_owned(), permissions.into());
    }
    Value::Object(operation)
}

fn responses(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let mut responses = Map::new();
    let success = match route.answer {
        None => json!({ "description": "done" }),
        Some(answer) => json!({
            "description": "done",
            "content": { "application/json": { "schema": answer(generator).to_value() } },
        }),
    };
    responses.insert(route.status.as_str().to_owned(), success);
    responses.extend(statuses::of(|calls| match calls {
        Calls::All => true,
        Calls::WithToken => route.needs != Needs::Nothing,
        Calls::Named => route.path.contains('{') || route.is_list,
        Calls::Prepared => route.is_prepared,
        Calls::Others => false,
    }));
    Value::Object(responses)
}

fn body(route: &Route, generator: &mut SchemaGenerator) -> Option<Value> {
    route.body.map(|body| body(generator).to_value())
}

/// The name of the schema that another refers to.
fn referred(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.rsplit('/').next()
}

/// The properties of a struct of parameters, one parameter each.
fn query_parameters(schema: Value, generator: &SchemaGenerator) -> Vec<Value> {
    let definition = referred(&schema).and_then(|name| generator.definitions().get(name)).cloned();
    let mut schema = definition.unwrap_or(schema);
    as_request(&mut schema);
    let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return Vec::new() };
    let parameter = |(name, schema): (&String, &Value)| {
        let is_required = required.iter().any(|required| required == name);
        json!({ "in": "query", "name": name, "required": is_required, "schema": schema })
    };
    properties.iter().map(parameter).collect()
}

/// The parameter by which a list is ordered.
fn ordering(names: &[&str]) -> Value {
    let key = format!("-?({})", names.join("|"));
    json!({
        "in": "query",
        "name": ORDERING,
        "required": false,
        "description": format!(
            "What the list is ordered by, the first first, out of {}; a `-` in front turns one round.",
            names.join(", ")
        ),
        "schema": { "type": "string", "pattern": format!("^{key}(,{key})*$") },
    })
}

/// `GET /core/users/{id}/` is `core_users_id_get`.
fn operation_id(route: &Route) -> String {
    let words = route.path.split(['/', '{', '}']).filter(|word| !word.is_empty());
    let words: Vec<&str> = words.collect();
    format!("{}_{}", words.join("_"), route.method.as_str().to_ascii_lowercase())
}

fn tag(path: &str) -> &str {
    path.split('/').find(|part| !part.is_empty()).unwrap_or_default()
}

fn names_in(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn generic_error() -> Value {
    json!({
        "type": "object",
        "required": ["detail"],
        "properties": { "detail": { "type": "string" }, "code": { "type": "string" } },
    })
}

fn validation_error() -> Value {
    json!({
        "type": "object",
        "properties": {
            "non_field_errors": { "type": "array", "items": { "type": "string" } },
            "code": { "type": "string" },
        },
        "additionalProperties": true,
    })
}
