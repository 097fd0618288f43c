//! Calls of the API from commands: the same requests and answers as over the network, with names in place of numbers.

use axum::http::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::backend::{Backend, CallError};
use super::failure::{Exit, Failure};
use crate::config::{ReferenceKind, SeedReference};
use crate::http::api::{Group, NOT_KEPT, PREFIX, Page, Role, Told, User};
use crate::http::{Problem, ProblemKind};

impl Backend {
    /// Reads something.
    ///
    /// # Errors
    /// It was refused, or there is no answer.
    pub(super) async fn read<A: DeserializeOwned>(
        &mut self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<A, Failure> {
        self.api(Method::GET, path, query, &Value::Null).await
    }

    /// Reads a whole list, page by page.
    ///
    /// # Errors
    /// It was refused, or there is no answer.
    pub(super) async fn read_all<A: DeserializeOwned>(
        &mut self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Vec<A>, Failure> {
        let mut all = Vec::new();
        let mut number = 1;
        loop {
            let current = number.to_string();
            let mut query = query.to_vec();
            query.extend([("page", current.as_str()), ("page_size", PAGE_SIZE)]);
            let page: Page<A> = self.read(path, &query).await?;
            all.extend(page.results);
            if page.pagination.next <= number {
                return Ok(all);
            }
            number = page.pagination.next;
        }
    }

    /// Makes or does something.
    ///
    /// # Errors
    /// It was refused, or nobody knows whether it was done.
    pub(super) async fn post<A: DeserializeOwned>(
        &mut self,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<A, Failure> {
        self.api(Method::POST, path, &[], body).await
    }

    /// Changes what is named of something.
    ///
    /// # Errors
    /// It was refused, or nobody knows whether it was done.
    pub(super) async fn patch<A: DeserializeOwned>(
        &mut self,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<A, Failure> {
        self.api(Method::PATCH, path, &[], body).await
    }

    /// Deletes something.
    ///
    /// # Errors
    /// It was refused, or nobody knows whether it was done.
    pub(super) async fn delete(&mut self, path: &[&str]) -> Result<(), Failure> {
        self.delete_with(path, &[]).await
    }

    /// The same, in a way that a query says.
    ///
    /// # Errors
    /// It was refused, or nobody knows whether it was done.
    pub(super) async fn delete_with(&mut self, path: &[&str], query: &[(&str, &str)]) -> Result<(), Failure> {
        self.api(Method::DELETE, path, query, &Value::Null).await
    }

    /// The account of this name.
    ///
    /// # Errors
    /// There is none.
    pub(super) async fn user_named(&mut self, username: &str) -> Result<User, Failure> {
        self.one(&["core", "users"], &[("username", username)], "account", username).await
    }

    /// The group of this name.
    ///
    /// # Errors
    /// There is none.
    pub(super) async fn group_named(&mut self, name: &str) -> Result<Group, Failure> {
        self.one(&["core", "groups"], &[("name", name), ("include_users", "false")], "group", name).await
    }

    /// The role of this name.
    ///
    /// # Errors
    /// There is none.
    pub(super) async fn role_named(&mut self, name: &str) -> Result<Role, Failure> {
        self.one(&["rbac", "roles"], &[("name", name)], "role", name).await
    }

    /// The model and the `pk` of an object that a permission is granted on.
    ///
    /// # Errors
    /// There is none.
    pub(super) async fn object_named(
        &mut self,
        reference: &SeedReference,
    ) -> Result<(&'static str, String), Failure> {
        let name = reference.name.as_str();
        Ok(match reference.kind {
            ReferenceKind::Account => ("authentik_core.user", self.user_named(name).await?.pk.to_string()),
            ReferenceKind::Group => ("authentik_core.group", self.group_named(name).await?.pk.to_string()),
            ReferenceKind::Role => ("authentik_rbac.role", self.role_named(name).await?.pk.to_string()),
            ReferenceKind::Token => ("authentik_core.token", name.to_owned()),
            ReferenceKind::Application => ("authentik_core.application", name.to_owned()),
            ReferenceKind::Provider => {
                let provider: Value =
                    self.one(&["providers", "ldap"], &[("name__iexact", name)], "provider", name).await?;
                let pk = provider.get("pk").map(ToString::to_string).unwrap_or_default();
                ("authentik_providers_ldap.ldapprovider", pk)
            }
            ReferenceKind::Attribute => {
                return Err(Failure::usage("permissions cannot be granted on attribute types"));
            }
        })
    }

    /// The one object that a filter finds.
    ///
    /// # Errors
    /// There is none.
    pub(super) async fn one<A: DeserializeOwned>(
        &mut self,
        path: &[&str],
        query: &[(&str, &str)],
        kind: &str,
        name: &str,
    ) -> Result<A, Failure> {
        let none = || Failure::failed(format!("there is no {kind} `{name}`"));
        // A filter that is empty finds everything.
        if name.is_empty() {
            return Err(none());
        }
        let page: Page<A> = self.read(path, query).await?;
        page.results.into_iter().next().ok_or_else(none)
    }

    /// Finds out what a change would tell. Nothing is changed.
    ///
    /// # Errors
    /// It would be refused, or there is no answer.
    pub(super) async fn rehearse(
        &mut self,
        method: Method,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<Told, Failure> {
        self.exchange_json(method, path, &[], body, true).await
    }

    async fn api<A: DeserializeOwned>(
        &mut self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: &impl Serialize,
    ) -> Result<A, Failure> {
        self.exchange_json(method, path, query, body, false).await
    }

    async fn exchange_json<A: DeserializeOwned>(
        &mut self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: &impl Serialize,
        is_rehearsal: bool,
    ) -> Result<A, Failure> {
        let query = match query {
            [] => String::new(),
            query => format!(
                "?{}",
                serde_html_form::to_string(query).map_err(|error| Failure::failed(error.to_string()))?
            ),
        };
        let path: String = path.iter().map(|part| format!("{}/", escaped(part))).collect();
        let body = serde_json::to_vec(body)
            .map_err(|error| Failure::failed(format!("the request cannot be written as JSON: {error}")))?;
        // A call that says nothing has no body.
        let body = if body == b"null" { Vec::new() } else { body };
        let path = format!("{PREFIX}/{path}{query}");
        let (status, octets) = self.exchange_api(method, &path, body, is_rehearsal).await?;
        if !status.is_success() {
            return Err(refused(status, &octets));
        }
        let octets = if octets.is_empty() { b"null".as_slice() } else { &octets };
        // The error would quote the answer, and a secret may stand in it.
        serde_json::from_slice(octets).map_err(|_| {
            CallError::Lost(
                "it was carried out, but its answer cannot be understood: server and command are of different \
                 versions"
                    .to_owned(),
            )
            .into()
        })
    }
}

/// What the API says of a call that it did not carry out.
fn refused(status: StatusCode, octets: &[u8]) -> Failure {
    let Ok(Value::Object(mut body)) = serde_json::from_slice(octets) else {
        return Failure::failed(format!("the server answers with the HTTP status {status}"));
    };
    let code = body.remove("code").unwrap_or_default();
    if let Some(detail) = body.get("detail").and_then(Value::as_str) {
        let kind = serde_json::from_value::<ProblemKind>(code.clone());
        return match kind {
            Ok(kind) => Problem::one(kind, detail).into(),
            // No right would show it.
            Err(_) if code == NOT_KEPT => Failure::failed(detail),
            Err(_) if matches!(status, StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED) => {
                Failure::new(Exit::Refused, detail)
            }
            Err(_) => Failure::failed(detail),
        };
    }
    let is_taken = code.as_str() == Some("unique");
    let exit = if is_taken { Exit::Failed } else { Exit::Wrong };
    Failure { exit, messages: of_fields(&body), is_drawn: false }
}

/// One sentence for each message about a field.
fn of_fields(body: &Map<String, Value>) -> Vec<String> {
    let mut sentences = Vec::new();
    for (field, messages) in body {
        for message in messages.as_array().into_iter().flatten().filter_map(Value::as_str) {
            sentences.push(match field.as_str() {
                "non_field_errors" => message.to_owned(),
                field => format!("{field}: {message}"),
            });
        }
    }
    sentences
}

/// A part of a path: only unreserved characters stand for themselves (RFC 3986 section 2.3).
fn escaped(part: &str) -> String {
    let mut escaped = String::with_capacity(part.len());
    for octet in part.bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(octet))
            }
            octet => escaped.push_str(&format!("%{octet:02X}")),
        }
    }
    escaped
}

/// Items that are asked for at once.
const PAGE_SIZE: &str = "1000";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_api_says_becomes_sentences_and_exit_codes() {
        let failure = refused(StatusCode::BAD_REQUEST, br#"{"name":["is empty"],"code":"invalid"}"#);
        assert_eq!((failure.exit, failure.messages), (Exit::Wrong, vec!["name: is empty".to_owned()]));
        let failure = refused(StatusCode::NOT_FOUND, br#"{"detail":"Not found.","code":"not_found"}"#);
        assert_eq!((failure.exit, failure.messages), (Exit::Failed, vec!["Not found.".to_owned()]));
        let failure = refused(StatusCode::FORBIDDEN, br#"{"detail":"no","code":"permission_denied"}"#);
        assert_eq!(failure.exit, Exit::Refused);
        assert_eq!(refused(StatusCode::BAD_GATEWAY, b"<html>").exit, Exit::Failed);
    }

    #[test]
    fn parts_of_a_path_are_escaped() {
        assert_eq!(escaped("a/b c?ü~"), "a%2Fb%20c%3F%C3%BC~");
    }
}
