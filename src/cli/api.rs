//! Calls of the API from commands: the same requests and answers as over the network, with names in place of numbers.

use axum::http::{HeaderValue, Method};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::backend::{Backend, body_of, request_of};
use super::failure::Failure;
use crate::config::{ReferenceKind, SeedReference};
use crate::http::api::{Application, Group, LdapProvider, PREFIX, Page, REHEARSE, Role, Token, Told, User};
use crate::quoted::called;

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
        self.api(Method::GET, path, query, &()).await
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
        self.api(Method::DELETE, path, query, &()).await
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

    /// The LDAP provider of this name.
    ///
    /// # Errors
    /// There is none.
    pub(super) async fn provider_named(&mut self, name: &str) -> Result<LdapProvider, Failure> {
        self.one(&["providers", "ldap"], &[("name__iexact", name)], "provider", name).await
    }

    /// The token of this name.
    ///
    /// # Errors
    /// There is none.
    pub(super) async fn token_named(&mut self, identifier: &str) -> Result<Token, Failure> {
        self.one(&["core", "tokens"], &[("identifier", identifier)], "token", identifier).await
    }

    /// The application of this slug.
    ///
    /// # Errors
    /// There is none.
    pub(super) async fn application_named(&mut self, slug: &str) -> Result<Application, Failure> {
        self.one(&["core", "applications"], &[("slug", slug)], "application", slug).await
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
            ReferenceKind::Token => ("authentik_core.token", self.token_named(name).await?.identifier),
            ReferenceKind::Application => {
                ("authentik_core.application", self.application_named(name).await?.slug)
            }
            ReferenceKind::Provider => {
                let pk = self.provider_named(name).await?.provider.pk.to_string();
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
        let none = || Failure::failed(format!("there is no {kind} {}", called(name)));
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
        let body = body_of(body)?;
        // A call that says nothing has no body.
        let body = if body == b"null" { Vec::new() } else { body };
        let path = format!("{PREFIX}/{path}{query}");
        let mut request = request_of(method, &path, body)?;
        if is_rehearsal {
            request.headers_mut().insert(REHEARSE, HeaderValue::from_static("1"));
        }
        Ok(self.answer(request).await?)
    }
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
    fn parts_of_a_path_are_escaped() {
        assert_eq!(escaped("a/b c?ü~"), "a%2Fb%20c%3F%C3%BC~");
    }
}
