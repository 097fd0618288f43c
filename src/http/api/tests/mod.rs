//! The API in process: for function its router as the operator calls it, for rights its handlers and the commands behind
//! them as an account calls them.

mod applications;
mod authentik;
mod bindings;
mod bodies;
mod certificates;
mod custom_events;
mod denied;
mod escalation;
mod gone;
mod named;
mod providers;
mod requests;
mod rights;
mod rules;
mod server;
mod told;
mod users;
mod ways_up;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::call::Call;
use super::page::PageQuery;
use super::reading::Reading;
use super::{Api, Door, router};
use crate::access::{Credential, Holder};
use crate::model::{
    AccountKind, AccountNumber, Actor, ApplicationNumber, Grant, InternalAccount, ObjectReference, Password,
    Permission, ProviderNumber, Record,
};
use crate::net::Tls;
use crate::plain;
use crate::registry::commands::{AccountChanges, create_account};
use crate::registry::{Caller, ChangeError, Registry, RegistrySettings, Transaction};
use crate::store::MemoryStore;

/// A directory in memory with the API before it.
struct World {
    registry: Arc<Registry>,
    api: Api,
    router: Router,
}

impl World {
    fn new() -> Self {
        Self::with_tls(None)
    }

    fn with_tls(tls: Option<Arc<Tls>>) -> Self {
        let registry = Registry::open(Arc::new(MemoryStore::new()), RegistrySettings::default()).unwrap();
        let api = Api::new(Arc::clone(&registry), Door::Local).with_tls(tls);
        Self { registry, router: router(api.clone()), api }
    }

    /// The status and the body of an answer to the operator.
    async fn call(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.call_with(method, path, body).await
    }

    /// The same with whatever stands in the body.
    async fn call_with(&self, method: Method, path: &str, body: String) -> (StatusCode, Value) {
        let request =
            Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, "application/json");
        let request = request.body(Body::from(body));
        let answer = self.router.clone().oneshot(request.unwrap()).await.unwrap();
        let status = answer.status();
        let is_json =
            answer.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
        let octets = to_bytes(answer.into_body(), 1024 * 1024).await.unwrap();
        let text = String::from_utf8(octets.to_vec()).unwrap();
        // The answer to a HEAD has none.
        (
            status,
            if is_json && !text.is_empty() {
                serde_json::from_str(&text).unwrap()
            } else {
                Value::String(text)
            },
        )
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call(Method::GET, path, Value::Null).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(Method::POST, path, body).await;
        assert_eq!(status, StatusCode::CREATED, "{path}: {answer}");
        answer
    }

    async fn patch(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(Method::PATCH, path, body).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    }

    async fn put(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(Method::PUT, path, body).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    }

    async fn delete(&self, path: &str) {
        let (status, answer) = self.call(Method::DELETE, path, Value::Null).await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{path}: {answer}");
    }

    /// The fields of which a refusal tells, but for the code.
    async fn refused(&self, method: Method, path: &str, body: Value) -> Vec<String> {
        let (status, answer) = self.call(method, path, body.clone()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path} {body}: {answer}");
        answer.as_object().unwrap().keys().filter(|key| *key != "code").cloned().collect()
    }

    async fn status(&self, method: Method, path: &str, body: Value) -> StatusCode {
        self.call(method, path, body).await.0
    }

    /// What a field has in the results of a list, in their order.
    async fn listed(&self, path: &str, field: &str) -> Vec<Value> {
        let page = self.get(path).await;
        let results = page["results"].as_array().unwrap();
        assert_eq!(page["pagination"]["count"], results.len());
        results.iter().map(|result| result[field].clone()).collect()
    }

    /// An account that holds these permissions and calls.
    async fn caller(&self, username: &str, grants: &[(Permission, Option<ObjectReference>)]) -> Caller {
        let grants: Vec<Grant> =
            grants.iter().map(|(permission, on)| Grant { permission: *permission, on: *on }).collect();
        let name = username.to_owned();
        let number = self
            .change(&operator(), move |transaction| {
                let number =
                    create_account(transaction, name, AccountKind::Internal, AccountChanges::default())?;
                let mut account = transaction.account(number)?.unwrap();
                account.grants = grants;
                account.password = Some(Password { generation: 1, ..plain::password("none") });
                transaction.put(Record::Account(account))?;
                Ok(number)
            })
            .await
            .unwrap();
        let holder = Holder { account: number, credential: Credential::Password { generation: 1 } };
        Caller::account(holder, Actor { number: Some(number), ..Actor::named(username) })
    }

    async fn change<T: Send + 'static>(
        &self,
        caller: &Caller,
        command: impl FnOnce(&mut Transaction<'_>) -> Result<T, ChangeError> + Send + 'static,
    ) -> Result<T, ChangeError> {
        self.registry.change(caller.clone(), command).await
    }

    /// A call that only reads, of an account.
    fn reading(&self, caller: &Caller, parameters: &[(&str, &str)]) -> Reading {
        let parameters =
            parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Call::new(&self.api, caller.clone(), PageQuery::default(), parameters).reading()
    }

    /// A provider with an application of the same name.
    async fn provider(&self, name: &str, base_dn: &str) -> ProviderNumber {
        let made = self.post("/providers/ldap/", json!({ "name": name, "base_dn": base_dn })).await;
        ProviderNumber::new(number(&made["pk"]))
    }

    async fn application(&self, slug: &str, provider: Option<ProviderNumber>) -> ApplicationNumber {
        let provider = provider.map(ProviderNumber::get);
        let body = json!({ "name": slug, "slug": slug, "provider": provider });
        self.post("/core/applications/", body).await;
        self.registry.snapshot().accounts().application_named(slug).unwrap().number
    }

    async fn account(&self, username: &str) -> AccountNumber {
        let made = self.post("/core/users/", json!({ "username": username, "name": username })).await;
        AccountNumber::new(number(&made["pk"]))
    }
}

/// Who may do everything.
fn operator() -> Caller {
    Actor::internal(InternalAccount::CommandLine).into()
}

fn number(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap()).unwrap()
}

/// Asserts that a change was refused because a permission is missing.
fn assert_forbidden<T: std::fmt::Debug>(answer: Result<T, ChangeError>, expected: Permission) {
    match answer {
        Err(ChangeError::Forbidden { permission }) if permission == expected => {}
        other => panic!("expected that {expected} is missing, found {other:?}"),
    }
}

fn assert_not_found<T: std::fmt::Debug>(answer: Result<T, ChangeError>) {
    assert!(matches!(answer, Err(ChangeError::NotFound { .. })), "{answer:?}");
}

/// Asserts that a change was refused because of one field.
fn assert_field<T: std::fmt::Debug>(answer: Result<T, ChangeError>, expected: &str) {
    match answer {
        Err(ChangeError::Field { field, .. }) if field == expected => {}
        other => panic!("expected that {expected} is wrong, found {other:?}"),
    }
}
