//! `/api/v3/`: the account model over HTTP, shaped so that authentik's published clients work.
//!
//! [`table`] is the one list of what there is: the router, the OpenAPI document and the tests of permissions are made
//! from it. One file for each resource; what all have in common stands in the others.

mod attributes;
mod authenticate;
mod call;
mod openapi;
mod page;
mod query;
mod reading;
mod refusal;
mod route;
mod table;
mod value;

mod group;
mod object;
mod permission;

mod role;

mod token;
mod used_by;
mod user;

use std::sync::Arc;

use axum::Router;
use axum::extract::OriginalUri;
use axum::http::Method;

pub use call::Door;
pub(crate) use call::RequestSource;
pub use group::{Group, PartialGroup, RelatedGroup};
pub use page::{Page, Pagination};
pub use permission::{
    ExtraRoleObjectPermission, GroupAssignedObjectPermission, ModelPermission, ObjectPermission,
    PatchedPermissionAssignRequest, Permission, PermissionAssignResult, RoleAssignedObjectPermission,
    UserAssignedObjectPermission,
};
pub use refusal::Refusal;
pub use role::Role;

pub use token::{CreatedToken, Token, TokenRotateRequest, TokenView};
pub use used_by::{UsedBy, UsedByAction};
pub use user::{User, UserServiceAccountRequest, UserServiceAccountResponse};

use crate::registry::Registry;

/// What all calls have in common.
#[derive(Clone)]
pub struct Api {
    pub(super) registry: Arc<Registry>,
    pub(super) door: Door,
}

impl Api {
    /// The API over `registry`, for those who come through `door`.
    pub fn new(registry: Arc<Registry>, door: Door) -> Self {
        Self { registry, door }
    }
}

/// The routes, to be put below [`PREFIX`].
pub fn router(api: Api) -> Router {
    let routes = table::routes();
    let document = Arc::new(openapi::document(&routes));
    let mut router = Router::new();
    for route in &routes {
        router = router.route(route.path, route.service());
    }
    router
        .route("/schema/", axum::routing::get(move || openapi::answer(document)))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .with_state(api)
}

async fn no_such_path(OriginalUri(uri): OriginalUri) -> Refusal {
    Refusal::no_such_path(uri.path())
}

async fn no_such_method(method: Method) -> Refusal {
    Refusal::no_such_method(&method)
}

/// Where authentik's API stands.
pub const PREFIX: &str = "/api/v3";
