//! `/api/v3/`: the account model over HTTP, shaped so that authentik's published clients work.
//!
//! [`table`] is the one list of what there is: the router, the OpenAPI document and the tests of permissions are made
//! from it. One file for each resource; what all have in common stands in the others.

mod answer;
mod attributes;
mod authenticate;
mod body;
mod bounds;
mod by_uuid;
mod call;
mod denied;
mod fields;
mod fixed;
mod guard;
mod openapi;
mod ordered;
mod page;
mod partial;
mod reading;
mod refusal;
mod route;
mod statuses;
mod table;
mod told;
mod value;
mod waiting;
mod with_slash;

mod application;
mod binding;
mod certificate;
mod event;
mod group;
mod ldap_provider;
mod object;
mod outpost;
mod permission;
mod policy_test;
mod provider;

mod role;

mod server;
mod token;
mod used_by;
mod user;
mod user_list;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod tests;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{OriginalUri, RawQuery};
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::routing::{any, get};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use application::{Application, PatchedApplicationRequest};
pub use binding::{PatchedPolicyBindingRequest, PolicyBinding};
#[cfg(test)]
pub(super) use body::length_of_body;
pub use call::Door;
pub(crate) use call::{FromHere, RequestSource, TakesSecrets};
pub use call::{REHEARSE, RequestId};
pub use group::{Group, PatchedGroupRequest, RelatedGroup, UserAccountRequest};
pub use ldap_provider::{LdapProvider, PatchedLDAPProviderRequest, ProviderContainer};
pub use page::Page;
pub use permission::{
    ExtraRoleObjectPermission, ModelPermission, ObjectPermission, PatchedPermissionAssignRequest, Permission,
    UserAssignedObjectPermission,
};
pub use refusal::{CallRefusal, DETAIL, NOT_KEPT, SEED, UNIQUE, WHOLE};
pub use role::{PatchedRoleRequest, Role};

pub use token::{CreatedToken, LastUse, PatchedTokenRequest, Token, TokenRotateRequest, TokenView};
pub use told::{SharedValues, Told};
pub use used_by::UsedBy;
pub use user::{
    AccountPause, AccountUnlocked, PatchedUserRequest, User, UserPasswordSetRequest,
    UserServiceAccountRequest, UserServiceAccountResponse,
};
pub use value::{EndTime, Network};

use self::bounds::{Bounds, Shares};
use self::page::PageQuery;
use self::route::Needs;
use crate::config::{Limit, Limits};
use crate::model;
use crate::net::ClientSource;
use crate::net::Tls;
use crate::registry::{Caller, Registry};

/// What all calls have in common.
#[derive(Clone)]
pub struct Api {
    pub(super) registry: Arc<Registry>,
    pub(super) door: Door,
    bounds: Arc<Bounds>,
    /// The certificates of the server; `None`: there is no server, or it has none.
    pub(super) tls: Option<Arc<Tls>>,
}

impl Api {
    /// The directory.
    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The API over `registry`, for those who come through `door`, with the limits that stand in no config.
    pub fn new(registry: Arc<Registry>, door: Door) -> Self {
        Self { registry, door, bounds: Arc::new(Bounds::new(&Limits::default(), door)), tls: None }
    }

    /// The same with these limits.
    pub fn with_limits(self, limits: &Limits) -> Self {
        Self { bounds: Arc::new(Bounds::new(limits, self.door)), ..self }
    }

    /// The same with the certificates of the server.
    pub fn with_tls(self, tls: Option<Arc<Tls>>) -> Self {
        Self { tls, ..self }
    }

    /// A page of a list, no larger than it may be.
    fn bounded(&self, page: PageQuery) -> PageQuery {
        let size_max = self.bounds.page_size_max;
        if page.page_size.is_some_and(|size| size > size_max) {
            self.registry.reached().note(Limit::http_page_size_max);
        }
        page.within(size_max)
    }

    /// Counts a request from this address. `None` is no address but a Unix socket, and is not limited.
    ///
    /// # Errors
    /// There were too many.
    pub(super) fn admit_source(&self, address: Option<IpAddr>) -> Result<(), CallRefusal> {
        let (Some(rate), Some(_)) = (&self.bounds.by_source, address) else { return Ok(()) };
        self.admitted(rate.admit(&ClientSource::from(address)), Limit::http_requests_by_source_max)
    }

    /// Counts a request with a token, once it is known to be right; `key` is what tells it, with those that it has replaced, from
    /// others.
    ///
    /// # Errors
    /// There were too many.
    pub fn admit_token(&self, key: u64) -> Result<(), CallRefusal> {
        let Some(rate) = &self.bounds.by_token else { return Ok(()) };
        self.admitted(rate.admit(&key), Limit::http_requests_by_token_max)
    }

    /// Waits for a turn to read on a thread that may wait for the disk: more at a time would take the threads that others need,
    /// and none of them would be done sooner. One account has a part of them, so that others need not wait for its long lists.
    ///
    /// # Errors
    /// The server goes down.
    async fn turn_to_read(
        &self,
        caller: &Caller,
    ) -> Result<(Option<OwnedSemaphorePermit>, OwnedSemaphorePermit), CallRefusal> {
        let own = self.share(&self.bounds.readings_by_account, caller, Limit::http_readings_max).await?;
        let turns = Arc::clone(&self.bounds.readings);
        Ok((own, self.turn(turns, Limit::http_readings_max).await?))
    }

    /// Waits until the caller may walk through the audit trail: of these turns, which the trail itself gives, it has a part too.
    ///
    /// # Errors
    /// The server goes down.
    async fn turn_to_walk(&self, caller: &Caller) -> Result<Option<OwnedSemaphorePermit>, CallRefusal> {
        self.share(&self.bounds.walks_by_account, caller, Limit::trail_walks_max).await
    }

    async fn share(
        &self,
        shares: &Shares,
        caller: &Caller,
        limit: Limit,
    ) -> Result<Option<OwnedSemaphorePermit>, CallRefusal> {
        // The operator is no account.
        let Some(holder) = caller.holder() else { return Ok(None) };
        Ok(Some(self.turn(shares.of(holder.account), limit).await?))
    }

    async fn turn(&self, turns: Arc<Semaphore>, limit: Limit) -> Result<OwnedSemaphorePermit, CallRefusal> {
        if let Ok(turn) = Arc::clone(&turns).try_acquire_owned() {
            return Ok(turn);
        }
        self.registry.reached().note(limit);
        turns.acquire_owned().await.map_err(|_| CallRefusal::internal())
    }

    fn admitted(&self, admitted: Result<(), Duration>, limit: Limit) -> Result<(), CallRefusal> {
        admitted.map_err(|wait| {
            self.registry.reached().note(limit);
            CallRefusal::too_many_requests(wait)
        })
    }
}

/// Lets somebody watch the server who asks from this machine, or holds an API token with `view_system_info`.
///
/// # Errors
/// Neither is so, or the token would be sent in clear.
pub(super) async fn admit_watcher(
    api: &Api,
    request: &axum::http::request::Parts,
) -> Result<(), CallRefusal> {
    let extensions = &request.extensions;
    if extensions.get::<FromHere>().copied().unwrap_or_default().0 {
        return Ok(());
    }
    if !extensions.get::<TakesSecrets>().copied().unwrap_or_default().0 {
        return Err(CallRefusal::in_clear());
    }
    let source = extensions.get::<RequestSource>().and_then(|source| source.0);
    api.admit_source(source)?;
    let caller = authenticate::authenticate(api, &request.headers, source, RequestId::new()).await?;
    let permission = model::Permission::ViewSystemInfo;
    let required = caller.require(api.registry.snapshot().accounts(), permission);
    required.map_err(|error| {
        let refusal = CallRefusal::from(error);
        let (method, needs) = (&request.method, Needs::All(&[model::Permission::ViewSystemInfo]));
        let call = denied::Asked { method, resource: request.uri.path(), needs };
        call.note(&api.registry, caller.asker(), &refusal);
        refusal
    })
}

/// Puts the API below [`PREFIX`] of other routes.
pub fn mount(routes: Router, api: Api) -> Router {
    // A nested router does not have the path that is nothing but its prefix and a slash.
    let root = any(no_such_path).layer(from_fn_with_state(api.clone(), guard::guard));
    routes.route(ROOT, root).nest(PREFIX, router(api))
}

fn router(api: Api) -> Router {
    let routes = table::routes();
    let document = openapi::written(&routes);
    let mut router = Router::new();
    for route in &routes {
        router = router.route(route.path, route.service());
    }
    router = router.route(SCHEMA, get(move |RawQuery(query): RawQuery| openapi::answer(document, query)));
    let paths: BTreeSet<&'static str> = routes.iter().map(|route| route.path).chain([SCHEMA]).collect();
    for path in paths {
        router = router.route(path.trim_end_matches('/'), with_slash::of(path));
    }
    guarded(router, api)
}

/// Puts around routes what stands around every call.
pub(super) fn guarded(routes: Router<Api>, api: Api) -> Router {
    routes
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn_with_state(api.clone(), guard::guard))
        .with_state(api)
}

/// Answers what there is nothing for.
pub(super) async fn no_such_path(OriginalUri(uri): OriginalUri) -> CallRefusal {
    CallRefusal::no_such_path(uri.path())
}

async fn no_such_method(method: Method) -> CallRefusal {
    CallRefusal::no_such_method(&method)
}

/// Where authentik's API stands.
pub const PREFIX: &str = "/api/v3";
const ROOT: &str = "/api/v3/";
/// Below it, the OpenAPI document.
const SCHEMA: &str = "/schema/";
