//! `POST /local/seed/…`: what a seed would change, and the change.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::error::Problem;
use super::json::Body;
use super::{Doer, actor};
use crate::config::Seed;
use crate::registry::{NewSecret, Registry, SeedOptions, SeedPlan};

/// Asks what applying a seed would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRequest {
    /// The objects.
    pub seed: Seed,
    /// How they are applied.
    pub options: SeedOptions,
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

pub(super) async fn plan(
    State(registry): State<Arc<Registry>>,
    Body(PlanRequest { seed, options }): Body<PlanRequest>,
) -> Result<Json<SeedPlan>, Problem> {
    Ok(Json(registry.plan_seed(seed, options).await?))
}

pub(super) async fn apply(
    State(registry): State<Arc<Registry>>,
    Body(ApplyRequest { seed, options, secrets }): Body<ApplyRequest>,
) -> Result<Json<SeedPlan>, Problem> {
    Ok(Json(registry.apply_seed(actor(Doer::Config), seed, options, secrets).await?))
}
