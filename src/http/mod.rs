//! The HTTP door: the API for holders of API tokens, the health of the server for whoever watches it, and the local socket
//! that the commands of the same binary go through.
//!
//! The router of the local socket is also called in the process of a command when no server runs, so that
//! there is one implementation of everything. Its paths are the binary's own affair.

mod access;
pub mod api;
mod compact;

mod backup;
mod error;
mod event;
mod export;
mod health;
mod import;
mod json;
mod local;
mod metrics;
mod pieces;
mod public;
mod seed;
mod status;
mod system_user;
mod token_key;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

pub use access::{ExplainRequest, ExplainResponse};
pub use backup::BackupRequest;
pub use compact::Compacted;
pub use error::{Problem, ProblemKind, in_words};
pub use event::{ShowRequest, ShownEvent, VerifyRequest};
pub use local::serve_local;
pub use public::{PublicDoor, serve_public};
pub use seed::{ApplyRequest, PlanRequest};
pub use status::{BackupStatus, Status};
pub use system_user::{SUDO_USER_HEADER, own_user, sudo_user};

use self::api::{Api, Door};
use crate::config::Limits;
use crate::model::{Actor, InternalAccount, SystemUser};
use crate::net::Tls;
use crate::registry::Registry;

/// The routes of the commands, on an open directory; `tls`: the certificates of the server whose socket it is.
pub fn router(registry: Arc<Registry>, limits: &Limits, tls: Option<Arc<Tls>>) -> Router {
    let api = Api::new(Arc::clone(&registry), Door::Local).with_limits(limits).with_tls(tls);
    let commands = Router::new()
        .route(path::STATUS, get(status::status))
        .route(path::SEED_NAMES, post(seed::names))
        .route(path::SEED_PLAN, post(seed::plan))
        .route(path::SEED_APPLY, post(seed::apply))
        .route(path::IMPORT, post(import::import))
        .route(path::EXPORT, post(export::export))
        .route(path::BACKUP, post(backup::backup))
        .route(path::ACCESS_EXPLAIN, post(access::explain))
        .route(path::EVENT_LIST, post(event::list))
        .route(path::EVENT_SHOW, post(event::show))
        .route(path::EVENT_VERIFY, post(event::verify))
        .route(path::COMPACT, post(compact::compact))
        .route(path::TOKEN_KEY, post(token_key::token_key))
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::no_such_path)
        .layer(DefaultBodyLimit::max(BODY_OCTETS_MAX))
        .with_state(registry);
    api::mount(commands, api)
}

/// The paths of the local socket; each names its request and its answer.
pub mod path {
    /// [`Status`](super::Status)
    pub const STATUS: &str = "/local/status";
    /// Kinds and names → those of them that are not there
    pub const SEED_NAMES: &str = "/local/seed/names";
    /// [`PlanRequest`](super::PlanRequest) → [`SeedPlan`](crate::registry::SeedPlan)
    pub const SEED_PLAN: &str = "/local/seed/plan";
    /// [`ApplyRequest`](super::ApplyRequest) → [`SeedPlan`](crate::registry::SeedPlan)
    pub const SEED_APPLY: &str = "/local/seed/apply";
    /// A line of [`ImportOptions`](crate::registry::ImportOptions), and LDIF → [`ImportReport`](crate::registry::ImportReport)
    pub const IMPORT: &str = "/local/import";
    /// [`ExportOptions`](crate::registry::commands::ExportOptions) → octets
    pub const EXPORT: &str = "/local/export";
    /// [`BackupRequest`](super::BackupRequest) → octets of an archive
    pub const BACKUP: &str = "/local/backup";
    /// [`ExplainRequest`](super::ExplainRequest) → [`ExplainResponse`](super::ExplainResponse)
    pub const ACCESS_EXPLAIN: &str = "/local/access/explain";
    /// [`EventQuery`](crate::registry::EventQuery) → [`ShownEvent`](super::ShownEvent)s
    pub const EVENT_LIST: &str = "/local/event/list";
    /// [`ShowRequest`](super::ShowRequest) → [`ShownEvent`](super::ShownEvent)
    pub const EVENT_SHOW: &str = "/local/event/show";
    /// [`VerifyRequest`](super::VerifyRequest) → [`AuditReport`](crate::audit::AuditReport)
    pub const EVENT_VERIFY: &str = "/local/event/verify";
    /// `null` → [`Compacted`](super::Compacted)
    pub const COMPACT: &str = "/local/compact";
    /// The mark of a key, or `null` → [`TokenKeyState`](crate::registry::TokenKeyState)
    pub const TOKEN_KEY: &str = "/local/token-key";
}

/// Who stands in the events of what is done here: everybody who may is the operator.
fn actor(internal: InternalAccount, user: Option<&SystemUser>) -> Actor {
    Actor { user: user.cloned(), ..Actor::internal(internal) }
}

/// The largest body of a request that is not read piece by piece: a seed with its secrets.
/// No limit of the config: of the operator alone, and the upper end of `http_body_size_max`.
pub const BODY_OCTETS_MAX: usize = 64 * 1024 * 1024;
/// The largest body that is read as JSON on a thread of the network, on which LDAP is served as well.
/// No limit of the config: where something is done is nobody's choice.
const HERE_OCTETS_MAX: usize = 16 * 1024;
