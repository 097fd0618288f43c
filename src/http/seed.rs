//! `POST /local/seed/…`: what a seed would change, and the change.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};

use super::actor;
use super::error::Problem;
use super::json::{Body, written};
use crate::config::{ReferenceKind, Seed};
use crate::model::{InternalAccount, SystemUser};
use crate::registry::{NewSecret, Registry, SeedOptions};

/// Asks what applying a seed would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRequest {
    /// The objects.
    pub seed: Seed,
    /// How they are applied.
    pub options: SeedOptions,
    /// Whether what is stored against a rule is wanted too.
    #[serde(default)]
    pub with_warnings: bool,
}

/// Applies a seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyRequest {
    /// The objects.
    pub seed: Seed,
    /// How they are applied.
    pub options: SeedOptions,
    /// What was generated for the secrets that the plan needs.
    pub secrets: Vec<NewSecret>,
}

/// Those of the names that nothing has.
pub(super) async fn names(
    State(registry): State<Arc<Registry>>,
    Body(names): Body<Vec<(ReferenceKind, String)>>,
) -> Json<Vec<(ReferenceKind, String)>> {
    Json(registry.absent_names(names))
}

pub(super) async fn plan(
    State(registry): State<Arc<Registry>>,
    Body(PlanRequest { seed, options, with_warnings }): Body<PlanRequest>,
) -> Result<Response, Problem> {
    let mut plan = registry.plan_seed(seed, options).await?;
    if with_warnings {
        plan.warnings.extend(registry.broken_records().await?);
    }
    written(move || plan).await
}

pub(super) async fn apply(
    State(registry): State<Arc<Registry>>,
    user: Option<Extension<SystemUser>>,
    Body(ApplyRequest { seed, options, secrets }): Body<ApplyRequest>,
) -> Result<Response, Problem> {
    let actor = actor(InternalAccount::Config, user.as_deref());
    let mut plan = registry.apply_seed(actor, seed, options, secrets).await?;
    // What was changed is changed, whether or not the rest can be looked through.
    plan.warnings.extend(registry.broken_records().await.unwrap_or_default());
    written(move || plan).await
}
